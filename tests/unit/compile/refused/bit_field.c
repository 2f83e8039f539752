/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
struct t {
    unsigned a;
};
#else
struct t {
    unsigned a : 3;
};
#endif
CMDS_SCHEMA(t, a);
