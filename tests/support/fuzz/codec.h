/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets of the codecs have in common: any bytes as a value that has every kind of
 * field. The decoder must stay inside them and inside its bound of memory, must cost no more than
 * what their number pays for (see support/cost.h), and what it accepts must survive encode and
 * decode: the same value twice is the same bytes.
 *
 * The bytes that a value came in pay for its memory. Encoded it may be fewer, without what was written
 * longer than it must be, or is unknown; then its reader may refuse it, but only for the memory.
 */
#ifndef CMDI_TESTS_SUPPORT_FUZZ_CODEC_H
#define CMDI_TESTS_SUPPORT_FUZZ_CODEC_H

#include <errno.h>
#include <stdlib.h>

#include "codec/arena.h"
#include "support/cost.h"
#include "support/shop.h"
#include "support/steep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_ARENA_MAX = 1 << 20,
    FUZZ_ARENA_SLACK = 4096, // For alignment, and chunks that end elsewhere.
};

#define REQUIRE(fact)                                                                              \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What was accepted once, encoded by us, with the memory that `paid` bytes pay for. */
static inline void *fuzz_decode_paid(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, size_t paid)
{
    struct cmds_arena arena;
    void *value = calloc(1, type->schema->value_size);
    REQUIRE(value != NULL);
    cmdi_arena_init(&arena, 2 * FUZZ_ARENA_MAX);
    cmdi_arena_begin(&arena, FUZZ_ARENA_SLACK, paid > in.size ? paid : in.size);
    REQUIRE(codec->decode(codec, type, in, &arena, value) == (int64_t)in.size);
    void *copy = cmds_value_copy(type->schema, value);
    REQUIRE(copy != NULL);
    cmdi_arena_fini(&arena);
    free(value);
    return copy;
}

/* In one walk it is the same, or nothing. */
static inline void fuzz_try(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *value, const uint8_t *bytes, size_t size)
{
    const size_t rooms[] = {size, size + size / 4, 2 * size + FUZZ_ARENA_SLACK};
    for (size_t i = 0; codec->try_encode != NULL && i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        uint8_t *out = malloc(rooms[i] + 1); // For a sanitizer to see a byte too many.
        REQUIRE(out != NULL);
        int64_t got = codec->try_encode(codec, type, value, out, rooms[i]);
        REQUIRE(got < 0 || (got == (int64_t)size && memcmp(out, bytes, size) == 0));
        free(out);
    }
}

/* Encodes the value, which came in `paid` bytes, decodes it again, encodes that, and compares. */
static inline void fuzz_round_trip(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *value, int64_t size, size_t paid)
{
    uint8_t *first = malloc((size_t)size + 1), *second = malloc((size_t)size + 1);
    REQUIRE(first != NULL && second != NULL);
    REQUIRE(codec->encode(codec, type, value, first, (size_t)size) == first + size);
    fuzz_try(codec, type, value, first, (size_t)size);
    void *again = NULL;
    struct cmds_bytes in = {first, (size_t)size};
    int code = cmds_codec_decode(codec, type, in, &again);
    REQUIRE(code == 0 || code == CMDS_E_LIMIT);
    if (code == CMDS_E_LIMIT) {
        again = fuzz_decode_paid(codec, type, in, paid);
    }
    struct cmds_message message = {type, again};
    REQUIRE(cmds_codec_encode(codec, message, second, (size_t)size) == size);
    REQUIRE(memcmp(first, second, (size_t)size) == 0);
    free(again);
    free(first);
    free(second);
}

/* Returns: what decode has said. */
static inline int64_t fuzz_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        const uint8_t *data, size_t size)
{
    bool open_ended = (codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0;
    struct cmds_arena arena;
    void *value = calloc(1, type->schema->value_size);
    REQUIRE(value != NULL);
    cmdi_arena_init(&arena, FUZZ_ARENA_MAX);
    cmdi_arena_begin(&arena, 0, size);
    uint64_t begin = cmdi_cost;
    int64_t used = codec->decode(codec, type, (struct cmds_bytes){data, size}, &arena, value);
    REQUIRE(cmdi_cost - begin <= CMDI_COST_MIN + CMDI_COST_FACTOR * size);
    REQUIRE(arena.size <= FUZZ_ARENA_MAX);
    REQUIRE(used == (int64_t)size || used == CMDS_E_PROTO || used == CMDS_E_LIMIT ||
            (open_ended && used >= 0));
    if (used >= 0 && used <= (int64_t)size) {
        int64_t encoded = codec->size(codec, type, value);
        REQUIRE(encoded >= 0); // What passed the limits on its way in passes them on its way out.
        fuzz_round_trip(codec, type, value, encoded, size);
    }
    cmdi_arena_fini(&arena);
    free(value);
    return used;
}

#endif
