/* SPDX-License-Identifier: MIT */
/*
 * The parts of the Protobuf codec: values by a schema, which is the library's own code, and
 * messages of protobuf-c by their descriptors. Both stand on wire.h. No state, any thread.
 */
#ifndef CMDI_PROTOBUF_PROTOBUF_H
#define CMDI_PROTOBUF_PROTOBUF_H

#include <cmdstream/codec_protobuf.h>

/* By schema. */
/** proto3 has maps, but no lists of them. One that may be absent is on the wire as one that is empty. */
static inline bool cmdi_protobuf_has_row(const struct cmds_field *row)
{
    return row->kind != CMDS_KIND_MAP || row->shape != CMDS_SHAPE_ARRAY;
}
int64_t cmdi_protobuf_size(const struct cmds_schema *schema, const uint8_t *value);
/** `size`: what cmdi_protobuf_size() has said. Returns: the end of what was written. */
uint8_t *cmdi_protobuf_write(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t size);
/** Returns: as a codec's try_encode. */
int64_t cmdi_protobuf_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room);
int64_t cmdi_protobuf_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value);

/* By descriptor. */
int cmdi_message_check(const struct cmds_type *type, struct cmds_error *error);
int64_t cmdi_message_size(const struct cmds_type *type, const void *value);
uint8_t *cmdi_message_write(const void *value, uint8_t *out);
int64_t cmdi_message_read(
        const struct cmds_type *type, struct cmds_bytes in, struct cmds_arena *arena, void *value);

#endif
