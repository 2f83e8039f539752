/* SPDX-License-Identifier: MIT */
/*
 * The carrier that nearly all traced commands have: a map of one pair, "traceparent" and the 55 bytes that W3C gives
 * it. What the codecs write and read for it is always as long, and mostly the same: so they do that without a walk over
 * the map. All others, and whatever a peer sends that only looks alike, go the way of every map. No state, any thread.
 */
#ifndef CMDI_COMMON_CARRIER_H
#define CMDI_COMMON_CARRIER_H

#include <cmdstream/codec.h>

enum {
    CMDI_CARRIER_KEY = 11, // "traceparent"
    CMDI_CARRIER_VALUE = 55,
};

/** By its sizes: for a writer the bytes do not matter. */
static inline bool cmdi_map_is_carrier(struct cmds_map map)
{
    const struct cmds_pair *pair = map.items;
    return map.count == 1 && pair != NULL && pair->key.size == CMDI_CARRIER_KEY &&
           pair->value.size == CMDI_CARRIER_VALUE && pair->key.data != NULL &&
           pair->value.data != NULL;
}

/** Rows as CMDS_TRACED makes them: a map that may be absent, and a struct behind it. */
static inline bool cmdi_schema_has_carrier(const struct cmds_schema *schema)
{
    if (schema->field_count != 2) {
        return false;
    }
    const struct cmds_field *carrier = schema->fields, *command = cmds_schema_field(schema, 1);
    return carrier->kind == CMDS_KIND_MAP && carrier->shape == CMDS_SHAPE_OPTIONAL &&
           command->kind == CMDS_KIND_STRUCT && command->shape == CMDS_SHAPE_ONE;
}

#endif
