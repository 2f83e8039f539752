/* SPDX-License-Identifier: MIT */
/* A pointer to text has no length and no owner. */
#include "calc.h"

#ifdef RIGHT
struct t {
    struct cmds_string s;
};
#else
struct t {
    const char *s;
};
#endif
CMDS_SCHEMA(t, s);
