/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
struct t {
    double a;
};
#else
struct t {
    long double a;
};
#endif
CMDS_SCHEMA(t, a);
