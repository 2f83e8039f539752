/* SPDX-License-Identifier: MIT */
/* Only commands are executed. */
#include "calc.h"

#ifdef RIGHT
static int run(struct cmds_call *call, const struct calc_add *command)
#else
static int run(struct cmds_call *call, const struct calc_value *command)
#endif
{
    (void)call, (void)command;
    return 0;
}
extern const struct cmds_exec execs[1];
#ifdef RIGHT
const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, run)};
#else
const struct cmds_exec execs[] = {CMDS_EXEC(calc_value, run)};
#endif
