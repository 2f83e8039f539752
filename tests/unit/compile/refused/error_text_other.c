/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
    int32_t code;
#ifdef RIGHT
    struct cmds_string text;
#else
    char text[16];
#endif
};
CMDS_RESULT_ERROR(t, 7, code, text);
