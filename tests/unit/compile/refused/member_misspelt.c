/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    int a;
};
#ifdef RIGHT
CMDS_SCHEMA(t, a);
#else
CMDS_SCHEMA(t, b);
#endif
