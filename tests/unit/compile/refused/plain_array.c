/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
struct t {
    CMDS_ARRAY_OF(int64_t) a;
};
CMDS_SCHEMA(t, CMDS_ARRAY(a));
#else
struct t {
    int64_t a[4];
};
CMDS_SCHEMA(t, a);
#endif
