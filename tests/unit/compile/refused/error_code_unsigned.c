/* SPDX-License-Identifier: MIT */
/* Codes are negative. */
#include "calc.h"

struct t {
#ifdef RIGHT
    int64_t code;
#else
    uint64_t code;
#endif
    struct cmds_string text;
};
CMDS_RESULT_ERROR(t, 7, CMDS_MAX(text, 100), code);
