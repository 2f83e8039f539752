/* SPDX-License-Identifier: MIT */
/* A nested struct needs its schema named. */
#include "calc.h"

struct t {
    struct item a;
};
#ifdef RIGHT
CMDS_SCHEMA(t, CMDS_NESTED(a, item));
#else
CMDS_SCHEMA(t, a);
#endif
