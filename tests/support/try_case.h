/* SPDX-License-Identifier: MIT */
/*
 * try_encode() beside size() and encode(), for every codec and any value: in whatever room, it writes the same
 * bytes or gives up, it never writes behind the room, and it does not give up where a message's own room is plenty.
 */
#ifndef CMDI_TESTS_SUPPORT_TRY_CASE_H
#define CMDI_TESTS_SUPPORT_TRY_CASE_H

#include <stdlib.h>
#include <string.h>

#include <cmdstream/codec.h>

enum {
    TRY_PLENTY = 8192, // More than a struct of the tests keeps for its rows, at every depth.
    TRY_GUARD = 16,
};

/* Room in which none of the tests' values is given up. JSON asks for the longest form of each byte of a text. */
static inline size_t try_plenty(const struct cmds_codec *codec, size_t size)
{
    return (strcmp(codec->name, "json") == 0 ? 6 * size : size) + TRY_PLENTY;
}

/* `bytes`, `size`: what encode() writes; below 0: what size() has said. Returns: it is so. */
static inline bool try_agrees(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *value, const uint8_t *bytes, int64_t size, size_t room)
{
    uint8_t *out = malloc(room + TRY_GUARD), guard[TRY_GUARD];
    if (out == NULL) {
        abort();
    }
    memset(guard, 0x5a, sizeof(guard));
    memset(out, 0x5a, room + TRY_GUARD);
    int64_t got = codec->try_encode(codec, type, value, out, room);
    bool good = memcmp(out + room, guard, sizeof(guard)) == 0;
    if (got >= 0) {
        good = good && bytes != NULL && got == size && memcmp(out, bytes, (size_t)size) == 0;
    } else {
        good = good && (size < 0 || room < try_plenty(codec, (size_t)size));
    }
    free(out);
    return good;
}

/* The same in every room around the size, and in plenty. */
static inline bool try_agrees_everywhere(const struct cmds_codec *codec,
        const struct cmds_type *type, const void *value, const uint8_t *bytes, int64_t size)
{
    size_t exact = size > 0 ? (size_t)size : 0, from = exact > 40 ? exact - 40 : 0;
    for (size_t room = from; room < exact + 80; room++) {
        if (!try_agrees(codec, type, value, bytes, size, room)) {
            return false;
        }
    }
    return try_agrees(codec, type, value, bytes, size, 0) &&
           try_agrees(codec, type, value, bytes, size, exact / 2) &&
           try_agrees(codec, type, value, bytes, size, try_plenty(codec, exact));
}

#endif
