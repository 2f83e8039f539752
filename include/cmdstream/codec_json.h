/* SPDX-License-Identifier: MIT */
/*
 * JSON, as Go's encoding/json writes and reads it. Library: cmdstream_codec_json.
 *
 * Written: an object of all rows in schema order under their names, without spaces. Integers
 * exactly; floats in the fewest digits that come back, with an exponent below 1e-6 and from 1e21
 * on; cmds_bytes and arrays of uint8_t as base64, uint8_t[N] as an array of numbers; an absent
 * optional as null; an empty array or map as [] or {}, since there are no nil ones as in Go; a
 * map's keys sorted, if there are at most 256. Text is escaped for HTML too; what is not UTF-8 in
 * it becomes U+FFFD. One float in all has another last digit than Go 1.26 gives it: +-2^-12 is
 * 0.00024414062, which is as near as Go's 0.00024414063. NaN and infinities cannot be said in
 * JSON: encoding them is -EINVAL.
 *
 * Read: names first exactly, then without regard to the case of ASCII letters, with which Go counts
 * the long s and the Kelvin sign, but not of others; unknown ones are skipped, missing ones are
 * zero. null leaves a field as it is, and an element of a uint8_t[N]; it empties an optional, an
 * array, a map, bytes. Of a name that comes twice the last value counts; objects are merged, but
 * arrays and maps are replaced, and their elements begin as zero. A map keeps a pair for each key
 * as it was sent; of equal keys the last one counts, as cmds_map_find() has it. A lone surrogate
 * and what is not UTF-8 become U+FFFD; \u0000 is a byte of a cmds_string like any other.
 *
 * CMDS_E_PROTO: no JSON, another kind of value than the field's, a number that the field cannot
 * hold (a fraction or an exponent for an integer, 1e400), NUL in a char[N], another count than a
 * uint8_t[N]'s, bytes behind the value. CMDS_E_LIMIT: CMDS_MAX, char[N], 32 containers inside each
 * other, the arena, a large optional that is filled and null again and again (more than 64 bytes of
 * it for each byte that came, beside 64 KiB). Each value is held against the limits, also one that
 * a later one replaces.
 * CMDS_E_SCHEMA at start: a struct of more than 512 fields, a name of more than 255 bytes, or more
 * than eight names that differ only in their case, because a hostile body may make us compare each of
 * its names with all of these.
 */
#ifndef CMDSTREAM_CODEC_JSON_H
#define CMDSTREAM_CODEC_JSON_H

#include <cmdstream/codec.h>

CMDS_BEGIN_

/** No state, any thread. */
extern CMDS_API const struct cmds_codec cmds_codec_json;

CMDS_END_

#endif
