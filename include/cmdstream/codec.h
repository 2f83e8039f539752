/* SPDX-License-Identifier: MIT */
/*
 * How a value becomes bytes and bytes a value. For codecs of your own, and for programs that encode
 * without a connection.
 *
 * A codec is a constant table of functions. All of them are called from any shard at once, so a
 * codec keeps no state that changes; it never blocks, and it allocates only from the arena it is
 * given.
 */
#ifndef CMDSTREAM_CODEC_H
#define CMDSTREAM_CODEC_H

#include <cmdstream/schema.h>

CMDS_BEGIN_

/** Memory that lives as long as the decoded value, and is bounded. */
struct cmds_arena;
/**
 * Room for `size` bytes, aligned to `align` (a power of two, at most 16). Not zeroed.
 *
 * A value gets at most the arena's size, which server, client or function choose. A value that came in
 * few bytes gets less: 64 KiB, and 64 bytes for each byte that it came in. So an array of a million
 * empty structs of 4 KiB each, which takes a few bytes on the wire, is refused before it is cleared.
 *
 * Thread:  inside decode.
 * Returns: NULL at the bound; decode then returns CMDS_E_LIMIT.
 */
CMDS_API void *cmds_arena_alloc(struct cmds_arena *arena, size_t size, size_t align);

enum {
    CMDS_CODEC_VERSION = 1,
    // The end of a value is found by reading it (MUS): no length is on the wire, and an unknown type
    // closes the connection.
    CMDS_CODEC_SELF_DELIMITING = 1,
    // It reads cmds_type.descriptor. Types that have one are refused for other codecs.
    CMDS_CODEC_DESCRIPTORS = 2,
    CMDS_CODEC_PLACE_WORDS = 40,
};

/** How far find_end() has come in a value: the codec's own words, zeroed before its first call. */
struct cmds_codec_place {
    uint64_t words[CMDS_CODEC_PLACE_WORDS];
};

/** See base.h for other sizes than this one; a codec of 0.1 has everything up to decode. */
struct cmds_codec {
    uint32_t struct_size, version; // sizeof(struct cmds_codec), CMDS_CODEC_VERSION.
    uint32_t flags, unused;        // CMDS_CODEC_...; an unknown bit is refused. 0.
    const char *name;              // As in `--codec`.

    /**
     * Checks at start that every field of the type can be carried. May be NULL: all can.
     * Returns: 0; CMDS_E_SCHEMA, and `error` (may be NULL) names the field.
     */
    int (*check)(
            const struct cmds_codec *self, const struct cmds_type *type, struct cmds_error *error);

    /**
     * How many bytes encode() will write for this value. It is asked before that one, because a frame
     * begins with its length.
     * Returns: the size; CMDS_E_LIMIT if a field is larger than its row allows; -EINVAL: a NULL
     *          pointer with a size or count.
     */
    int64_t (*size)(const struct cmds_codec *self, const struct cmds_type *type, const void *value);

    /**
     * Writes the `size` bytes that size() has just promised for the same value, and returns their
     * end. Cannot fail.
     */
    uint8_t *(*encode)(const struct cmds_codec *self, const struct cmds_type *type,
            const void *value, uint8_t *out, size_t size);

    /**
     * `value` has the type's value_size and is zeroed by the caller; strings and bytes may point
     * into `in`. The cost must depend on `in` alone, not on what the type could hold, because
     * anybody who can connect may send `in`.
     * Returns: bytes used (all of `in`, unless self-delimiting); more than in.size: not whole yet,
     *          so many bytes are needed at least (only self-delimiting); CMDS_E_PROTO: not a value
     *          of this type; CMDS_E_LIMIT: larger than a limit.
     */
    int64_t (*decode)(const struct cmds_codec *self, const struct cmds_type *type,
            struct cmds_bytes in, struct cmds_arena *arena, void *value);

    /**
     * Self-delimiting only. Finds the end of a value that decode() reported as incomplete. `in`
     * begins at the value's first byte; it has grown since, and may have moved. `place` says how far
     * the last call came, so that a value is walked once, however slowly its bytes arrive. decode()
     * is called when the value is whole, and may still refuse it. NULL: decode() is called each time,
     * from the beginning.
     * Returns: the value's size; more than in.size: at least so many bytes are needed; CMDS_E_PROTO,
     *          CMDS_E_LIMIT: the value will be refused, whatever follows.
     */
    int64_t (*find_end)(const struct cmds_codec *self, const struct cmds_type *type,
            struct cmds_bytes in, struct cmds_codec_place *place);

    /**
     * size() and encode() in one walk over the value, where it leaves from: nearly always with much more
     * room than it takes. Of a value that fits it writes what encode() would write, byte for byte. It may
     * write to all of `room`, and never behind it; what it leaves behind the end of the value, or when it
     * gives up, means nothing.
     *
     * It may give up for any reason: then, or if this is NULL, size() and encode() are called for the same
     * value, so they alone judge it and say what is wrong with it. So a codec may ask for a few bytes more
     * than it uses, such as for wide stores, or leave rare kinds to the others. It should see early that the
     * room is too small, since what it has done by then is done twice.
     * Returns: the size, at most `room`: what size() would return; below 0, or above `room`: it gave up, as
     *          it has to where size() would refuse the value. Which number does not matter.
     */
    int64_t (*try_encode)(const struct cmds_codec *self, const struct cmds_type *type,
            const void *value, uint8_t *out, size_t room);

    void (*reserved[5])(void); // NULL.
};

/**
 * The default: structs as arrays of their fields in schema order; reads maps too.
 *
 * Both msgpack codecs read what other implementations write: integers in every width, float for
 * double and back, a whole number for a float, str and bin for either kind of string, nil and what
 * is missing as zero. They skip unknown keys and extra elements, take the last of a key that comes
 * twice, and leave text as it is, be it UTF-8 or not. CMDS_E_PROTO: an integer that the field
 * cannot hold, another kind than the field's, NUL in a char[N], another size than a uint8_t[N]'s,
 * bytes behind the value. CMDS_E_LIMIT: CMDS_MAX, char[N], 32 containers inside each other, the
 * arena, large fields that come again and again in a struct whose fields are in disorder (more than
 * 64 bytes of them for each byte that came, beside 64 KiB).
 */
extern CMDS_API const struct cmds_codec cmds_codec_msgpack;
/** Structs as maps keyed by field name; reads arrays too. */
extern CMDS_API const struct cmds_codec cmds_codec_msgpack_map;
/** The payload untouched: for types whose one field is a cmds_bytes or a cmds_string. */
extern CMDS_API const struct cmds_codec cmds_codec_raw;

/**
 * Encodes one value, without a connection: the codec's body alone, no type and no length. What it
 * encodes, a decoder may yet refuse: large structs that say nothing (see cmds_arena_alloc()).
 *
 * Thread:  any.
 * Returns: the size of the body; CMDS_E_LIMIT, -EINVAL: as the codec's size(); -ENOBUFS if
 *          `out_size` is smaller; CMDS_E_SCHEMA: a type with a descriptor, for a codec that reads
 *          none. Nothing is in `out` then.
 */
CMDS_NODISCARD CMDS_API int64_t cmds_codec_encode(
        const struct cmds_codec *codec, struct cmds_message message, void *out, size_t out_size);
/**
 * Decodes one body into a value of its own, of up to 64 MiB.
 *
 * Owner:   gives *value: one block, free(); its strings may point into `in`.
 * Thread:  any.
 * Returns: 0; CMDS_E_PROTO, CMDS_E_LIMIT, -ENOMEM; CMDS_E_SCHEMA as above.
 */
CMDS_NODISCARD CMDS_API int cmds_codec_decode(const struct cmds_codec *codec,
        const struct cmds_type *type, struct cmds_bytes in, void **value);

/**
 * Why the codec would not take this value: "calc_greet.name has 70000 bytes, at most 65535". For after a
 * send that returned CMDS_E_LIMIT or -EINVAL; see cmds_group_check() and cmds_call_check(), which know the
 * protocol and the frame's limit as well.
 *
 * Owner:   borrows. `error` may be NULL.
 * Thread:  any.
 * Returns: 0: it takes it; CMDS_E_LIMIT, -EINVAL, CMDS_E_SCHEMA, and `error` names the field.
 */
CMDS_NODISCARD CMDS_API int cmds_message_check(
        const struct cmds_codec *codec, struct cmds_message message, struct cmds_error *error);

/**
 * The row by its stride: tables of a program that was built against an older header stay readable.
 */
static inline const struct cmds_field *cmds_schema_field(
        const struct cmds_schema *schema, uint32_t index)
{
    const void *fields = schema->fields;
    size_t distance = schema->field_stride;
    distance *= index;
    const char *first = CMDS_CAST_(const char *, fields);
    const void *row = first + distance;
    return CMDS_CAST_(const struct cmds_field *, row);
}

CMDS_END_

#endif
