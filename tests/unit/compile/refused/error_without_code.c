/* SPDX-License-Identifier: MIT */
#include "calc.h"

struct t {
#ifdef RIGHT
    int32_t code;
    struct cmds_string text;
};
CMDS_RESULT_ERROR(t, 7, code, text);
#else
    struct cmds_string text;
};
CMDS_RESULT_ERROR(t, 7, text);
#endif
