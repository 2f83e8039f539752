/* SPDX-License-Identifier: MIT */
/* The other source file: see twice.h. */
#include "support/twice.h"

const struct twice_ask *twice_ask_elsewhere(const struct cmds_call *call)
{
    return twice_ask_of(call);
}

const struct twice_pair *twice_pair_elsewhere(const struct cmds_result *result)
{
    return twice_pair_of(result);
}

struct cmds_message twice_message_elsewhere(const struct twice_pair *pair)
{
    return twice_pair_message(pair);
}

const struct cmds_type *twice_type_elsewhere(void)
{
    return &twice_pair_type;
}
