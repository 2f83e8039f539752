/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
struct t {
    int64_t a;
};
#else
struct t {
    int64_t *a;
};
#endif
CMDS_SCHEMA(t, a);
