/* SPDX-License-Identifier: MIT */
/*
 * MUS, as mus-gen writes it for Go by default. Library: cmdstream_codec_mus.
 *
 * Fields in the order of the schema, without names, numbers or an end: both sides must have the
 * same rows, and a row that one side adds makes every value unreadable for the other. A bool is a
 * byte; 8-bit integers are a byte, all others a varint, of signed ones with zigzag; floats are raw,
 * little-endian; strings, bytes, uint8_t[N], arrays and maps are a varint count and what it counts;
 * an optional is 01 if it is absent, else 00 and the value; CMDS_RESERVED is nothing.
 *
 * CMDS_E_PROTO: a bool or an optional that is neither 0 nor 1, a varint too large for its field,
 * NUL in a char[N], another count than a uint8_t[N]'s. CMDS_E_LIMIT: CMDS_MAX, and without one 16
 * MiB, char[N], the arena. Text is left as it is, be it UTF-8 or not; a map keeps every pair that
 * came, the last of equal keys counts. Refused at start: an array of structs that are no bytes on
 * the wire, because its count could not be believed, or of structs with more than eight rows for
 * each byte that they are at least (all but a few of them CMDS_RESERVED). A value that comes in
 * pieces is walked once, however deep it is.
 */
#ifndef CMDSTREAM_CODEC_MUS_H
#define CMDSTREAM_CODEC_MUS_H

#include <cmdstream/codec.h>

CMDS_BEGIN_

/** Self-delimiting. No state, any thread. */
extern CMDS_API const struct cmds_codec cmds_codec_mus;

CMDS_END_

#endif
