/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    struct item a;
};
#ifdef RIGHT
CMDS_SCHEMA(t, CMDS_NESTED(a, item));
#else
CMDS_SCHEMA(t, CMDS_NESTED(a, place));
#endif
