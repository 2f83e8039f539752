/* SPDX-License-Identifier: MIT */
/*
 * Values in memory, walked by their schema: how an array lies there, and the deep copy in one
 * block.
 *
 * The block is `value_size` bytes and then everything the value points to, so that one free() ends
 * it and the caller may bring memory of his own. The walk recurses over nested schemas, which a
 * checked protocol bounds, never over a list of unknown length. Any thread.
 */
#ifndef CMDI_CODEC_VALUE_H
#define CMDI_CODEC_VALUE_H

#include <cmdstream/codec.h>

/** What CMDS_ARRAY_OF(type) is in memory, whatever the type: the macros assert it. */
struct cmdi_array {
    void *items;
    size_t count;
};
_Static_assert(sizeof(struct cmdi_array) == sizeof(void *) + sizeof(size_t),
        "as CMDS_ARRAY_OF, without padding");

/**
 * Bytes that cmdi_value_copy_into() needs for this value. Thread: any. Returns: SIZE_MAX if that is
 * more than there is.
 */
size_t cmdi_value_copy_size(const struct cmds_schema *schema, const void *value);
/**
 * Copies the value and what it points to into `block`, which is aligned for any object.
 *
 * Owner:   borrows `value`; the copy lives in `block` and points nowhere else.
 * Thread:  any.
 * Returns: the copy, at the start of `block`; NULL if `size` is smaller than cmdi_value_copy_size()
 *          says.
 */
void *cmdi_value_copy_into(
        const struct cmds_schema *schema, const void *value, void *block, size_t size);

#endif
