/* SPDX-License-Identifier: MIT */
/*
 * A writer of Protobuf that works from the end to the front: when the length of a message is written,
 * all that it holds lies behind it already. So there is one pass over the values, and nothing is measured
 * first. Fields and elements are handed over in reverse, as they come out.
 *
 *     size_t mark = cmdi_proto_mark(&proto);
 *     cmdi_proto_text(&proto, 2, "the second field");
 *     cmdi_proto_uint(&proto, 1, 1);
 *     cmdi_proto_wrap(&proto, 7, mark);       // A message with these two, as field 7.
 *
 * One thread at a time. The first failure stays: what is written after it is ignored.
 */
#ifndef CMDI_OTEL_PROTO_H
#define CMDI_OTEL_PROTO_H

#include <cmdstream/base.h>

struct cmdi_proto {
    uint8_t *data; // Of `size` bytes; those from `at` on are written.
    size_t size, at;
    size_t size_max; // It does not grow beyond.
    int error;       // 0, -ENOMEM, -EFBIG
};

/** Nothing is allocated before something is written. */
void cmdi_proto_init(struct cmdi_proto *proto, size_t size_max);
void cmdi_proto_fini(struct cmdi_proto *proto);
/** Forgets what was written and the failure, and keeps the memory. */
void cmdi_proto_reset(struct cmdi_proto *proto);

/** Owner: valid until the next write. Returns: what was written; empty after a failure. */
struct cmds_bytes cmdi_proto_bytes_of(const struct cmdi_proto *proto);

/** Where the end of a message is, for cmdi_proto_wrap(). */
static inline size_t cmdi_proto_mark(const struct cmdi_proto *proto)
{
    return proto->size - proto->at;
}
/** All that was written since `mark` is field `field`: a message, or packed numbers. */
void cmdi_proto_wrap(struct cmdi_proto *proto, uint32_t field, size_t mark);

/* Fields. A zero is written as well: in a oneof, and where a field is optional, it says something. */
void cmdi_proto_uint(struct cmdi_proto *proto, uint32_t field, uint64_t value);
/** sint32, sint64: zigzag. */
void cmdi_proto_sint(struct cmdi_proto *proto, uint32_t field, int64_t value);
void cmdi_proto_fixed64(struct cmdi_proto *proto, uint32_t field, uint64_t value);
void cmdi_proto_fixed32(struct cmdi_proto *proto, uint32_t field, uint32_t value);
void cmdi_proto_double(struct cmdi_proto *proto, uint32_t field, double value);
void cmdi_proto_bytes(struct cmdi_proto *proto, uint32_t field, struct cmds_bytes bytes);
/** Terminated. NULL and "" are left out. */
void cmdi_proto_text(struct cmdi_proto *proto, uint32_t field, const char *text);

/* Elements of packed numbers. */
void cmdi_proto_packed_uint(struct cmdi_proto *proto, uint64_t value);
void cmdi_proto_packed_fixed64(struct cmdi_proto *proto, uint64_t value);
void cmdi_proto_packed_double(struct cmdi_proto *proto, double value);
/** Bytes as they are: a message that was written before. */
void cmdi_proto_raw(struct cmdi_proto *proto, struct cmds_bytes bytes);

#endif
