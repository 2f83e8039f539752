/* SPDX-License-Identifier: MIT */
/*
 * JSON, as Go's encoding/json writes and reads it. Library: cmdstream_codec_json.
 *
 * Written: an object of all rows in schema order under their names, without spaces. Integers
 * exactly; floats in the fewest digits that come back, with an exponent below 1e-6 and from 1e21
 * on; cmds_bytes and arrays of uint8_t as base64, uint8_t[N] as an array of numbers; an absent
 * optional as null; an empty array or map as [] or {}; a map's keys sorted, if there are at most
 * 256. Text is escaped for HTML too; what is not UTF-8 in it becomes U+FFFD.
 *
 * Read: names first exactly, then without regard to case; unknown ones are skipped, missing ones
 * are zero. null leaves a field as it is and empties an optional, an array, a map, bytes. Of a name
 * that comes twice the last value counts; objects are merged. A lone surrogate and what is not
 * UTF-8 become U+FFFD; \u0000 is a byte of a cmds_string like any other. CMDS_E_PROTO: no JSON,
 * another kind of value than the field's, a number that the field cannot hold (a fraction or an
 * exponent for an integer, 1e400), NUL in a char[N], another count than a uint8_t[N]'s, bytes
 * behind the value. CMDS_E_LIMIT: CMDS_MAX, char[N], 32 containers inside each other, the arena.
 * NaN and infinities cannot be said in JSON: encoding them is -EINVAL.
 */
#ifndef CMDSTREAM_CODEC_JSON_H
#define CMDSTREAM_CODEC_JSON_H

#include <cmdstream/codec.h>

CMDS_BEGIN_

/** No state, any thread. */
extern CMDS_API const struct cmds_codec cmds_codec_json;

CMDS_END_

#endif
