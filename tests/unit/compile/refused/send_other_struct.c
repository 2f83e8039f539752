/* SPDX-License-Identifier: MIT */
#include "calc.h"

int f(struct cmds_call *call);
int f(struct cmds_call *call)
{
    const struct calc_value value = {5};
#ifdef RIGHT
    return cmds_call_send(call, calc_value_message(&value));
#else
    return cmds_call_send(call, calc_line_message(&value));
#endif
}
