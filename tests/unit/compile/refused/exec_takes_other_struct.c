/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
static int add(struct cmds_call *call, const struct calc_add *command)
#else
static int add(struct cmds_call *call, const struct calc_greet *command)
#endif
{
    (void)call, (void)command;
    return 0;
}
extern const struct cmds_exec execs[1];
const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add)};
