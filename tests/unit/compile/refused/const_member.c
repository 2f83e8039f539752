/* SPDX-License-Identifier: MIT */
/* A decoder has to write it. */
#include "calc.h"

#ifdef RIGHT
struct t {
    int64_t a;
};
#else
struct t {
    const int64_t a;
};
#endif
CMDS_SCHEMA(t, a);
