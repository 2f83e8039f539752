/* SPDX-License-Identifier: MIT */
#include "calc.h"

#ifdef RIGHT
struct t {
    bool a;
};
#else
struct t {
    int a;
};
#endif
CMDS_RESULT(t, 0, CMDS_LAST(a));
