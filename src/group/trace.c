/* SPDX-License-Identifier: MIT */
/* Contexts on their way out. See trace.h. Any thread. */
#include "group/trace.h"

#include <string.h>

#include "base/assert.h"
#include "group/group.h"

void cmdi_group_trace(const struct cmds_group *group, const struct cmds_trace *trace,
        struct cmds_message *message, struct cmdi_traced_value *value)
{
    const struct cmds_type *type = message->type;
    const struct cmdi_type_entry *entry =
            type != NULL ? cmdi_type_table_entry(&group->commands, type->number) : NULL;
    if (entry == NULL || entry->traced == NULL || entry->traced == entry->type ||
            message->value == NULL || !cmdi_type_same(entry->type, type) ||
            !cmdi_trace_is_valid(trace)) {
        return; // It goes as it is, or is refused as it would be.
    }
    const struct cmds_type *traced = entry->traced;
    const struct cmds_field *carrier = cmdi_traced_carrier(traced);
    const struct cmds_field *command = cmdi_traced_command(traced);
    const struct cmds_map map = cmdi_trace_to_map(trace, &value->carrier);
    const bool has = true;
    CMDI_ASSERT(traced->schema->value_size <= sizeof(value->bytes));
    memset(value->bytes, 0, traced->schema->value_size);
    memcpy(value->bytes + carrier->offset, &has, sizeof(has));
    memcpy(value->bytes + carrier->offset + carrier->item_offset, &map, sizeof(map));
    memcpy(value->bytes + command->offset, message->value, command->size);
    *message = (struct cmds_message){traced, value->bytes};
}

struct cmds_message cmdi_group_untraced(const struct cmds_type *type, const void *value)
{
    const struct cmds_type *traces = cmdi_type_traces(type);
    if (CMDI_LIKELY(traces == NULL)) {
        return (struct cmds_message){type, value};
    }
    CMDI_ASSERT(value != NULL);
    return (struct cmds_message){
            traces, (const uint8_t *)value + cmdi_traced_command(type)->offset};
}
