/* SPDX-License-Identifier: MIT */
/*
 * What the two walks over received MUS have in common, the one that makes a value and the one that
 * only looks for its end: varints, counts and spans of bytes that may be cut anywhere.
 */
#ifndef CMDI_MUS_READER_H
#define CMDI_MUS_READER_H

#include "base/hint.h"
#include "common/value.h"
#include "common/varint.h"
#include "mus/mus.h"

enum {
    CMDI_MUS_SHORT = 1, // The input ends too early; reader.missing says by how much at least.
};

struct cmdi_mus_reader {
    const uint8_t *at, *end;
    size_t missing;
    struct cmds_arena *arena;
};

static inline size_t cmdi_mus_bytes_left(const struct cmdi_mus_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline int cmdi_mus_short_by(struct cmdi_mus_reader *reader, size_t missing)
{
    reader->missing = missing;
    return CMDI_MUS_SHORT;
}

static inline int cmdi_mus_read_varint(struct cmdi_mus_reader *reader, uint64_t *value)
{
    int used = cmdi_leb_read(reader->at, reader->end, value);
    if (CMDI_UNLIKELY(used <= 0)) {
        return used < 0 ? CMDS_E_PROTO : cmdi_mus_short_by(reader, 1);
    }
    reader->at += used;
    return 0;
}

static inline int cmdi_mus_read_count(
        struct cmdi_mus_reader *reader, size_t count_max, size_t *count)
{
    uint64_t value = 0;
    int code = cmdi_mus_read_varint(reader, &value);
    if (CMDI_UNLIKELY(code != 0)) {
        return code;
    }
    if (CMDI_UNLIKELY(value > count_max)) {
        return value > INT64_MAX ? CMDS_E_PROTO : CMDS_E_LIMIT; // The former is negative to Go.
    }
    *count = (size_t)value;
    return 0;
}

static inline int cmdi_mus_read_span(
        struct cmdi_mus_reader *reader, size_t size_max, struct cmds_bytes *span)
{
    size_t size = 0;
    int code = cmdi_mus_read_count(reader, size_max, &size);
    if (CMDI_UNLIKELY(code != 0)) {
        return code;
    }
    if (CMDI_UNLIKELY(size > cmdi_mus_bytes_left(reader))) {
        return cmdi_mus_short_by(reader, size - cmdi_mus_bytes_left(reader));
    }
    *span = (struct cmds_bytes){reader->at, size};
    reader->at += size;
    return 0;
}

/**
 * Behind an element that is not whole there are at least so many bytes of those that follow it.
 */
static inline int cmdi_mus_list_short(
        struct cmdi_mus_reader *reader, int code, size_t following, size_t size_min)
{
    if (code == CMDI_MUS_SHORT) {
        reader->missing += following * size_min;
    }
    return code;
}

/** The bytes that a walk ended at; more than `in` has: not whole. */
static inline int64_t cmdi_mus_outcome(
        const struct cmdi_mus_reader *reader, struct cmds_bytes in, int code)
{
    if (CMDI_UNLIKELY(code != 0)) {
        return code == CMDI_MUS_SHORT ? (int64_t)(in.size + reader->missing) : code;
    }
    return (int64_t)(in.size - cmdi_mus_bytes_left(reader));
}

#endif
