/* SPDX-License-Identifier: MIT */
/* Its length would be lost. */
#include "calc.h"

void f(const struct cmds_exec *execs);
void f(const struct cmds_exec *execs)
{
    const struct cmds_exec table[1] = {execs[0]};
#ifdef RIGHT
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, table);
#else
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
#endif
    (void)options, (void)table;
}
