/* SPDX-License-Identifier: MIT */
#include "calc.h"

int64_t f(const struct cmds_result *result);
int64_t f(const struct cmds_result *result)
{
#ifdef RIGHT
    return calc_value_of(result)->value;
#else
    return calc_add_of(result)->a;
#endif
}
