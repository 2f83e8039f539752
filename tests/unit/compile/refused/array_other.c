/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    CMDS_ARRAY_OF(struct item) a;
};
#ifdef RIGHT
CMDS_SCHEMA(t, CMDS_ARRAY(a, item));
#else
CMDS_SCHEMA(t, CMDS_ARRAY(a, place));
#endif
