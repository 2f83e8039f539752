/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    CMDS_OPTIONAL_OF(struct item) a;
};
#ifdef RIGHT
CMDS_SCHEMA(t, CMDS_OPTIONAL(a, item));
#else
CMDS_SCHEMA(t, CMDS_OPTIONAL(a, place));
#endif
