/* SPDX-License-Identifier: MIT */
/* A tool for the protocol: call, bench, describe, completion. The file `arguments` shows it. */
#include <cmdstream/tool.h>

#include "stock.h"

int main(int argc, char **argv)
{
    return cmds_tool_main(argc, argv, &stock);
}
