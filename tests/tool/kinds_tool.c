/* SPDX-License-Identifier: MIT */
/* The three lines. */
#include <cmdstream/tool.h>

#include "kinds.h"

int main(int argc, char **argv)
{
    return cmds_tool_main(argc, argv, &kinds);
}
