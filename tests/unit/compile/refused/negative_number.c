/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    int64_t a;
};
#ifdef RIGHT
CMDS_COMMAND(t, 1, a);
#else
CMDS_COMMAND(t, -1, a);
#endif
