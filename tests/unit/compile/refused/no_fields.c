/* SPDX-License-Identifier: MIT */
/* An empty command says so: CMDS_COMMAND_EMPTY. */
#include "calc.h"

struct t {
    int64_t a;
};
#ifdef RIGHT
CMDS_COMMAND(t, 0, a);
#else
CMDS_COMMAND(t, 0);
#endif
