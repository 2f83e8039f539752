/* SPDX-License-Identifier: MIT */
/* Neither a number nor text. */
#include "calc.h"

#ifdef RIGHT
struct t {
    signed char a;
};
#else
struct t {
    char a;
};
#endif
CMDS_SCHEMA(t, a);
