/* SPDX-License-Identifier: MIT */
#include "calc.h"

int64_t f(const struct cmds_result *result);
int64_t f(const struct cmds_result *result)
{
#ifdef RIGHT
    const struct calc_value *value = calc_value_of(result);
#else
    const struct calc_value *value = calc_line_of(result);
#endif
    return value->value;
}
