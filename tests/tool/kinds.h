/* SPDX-License-Identifier: MIT */
/*
 * A protocol with every kind of field in every shape: what the tool of one's own protocol has to carry
 * from a shell and back. Each echoed command has a result with the same rows.
 */
#ifndef KINDS_H
#define KINDS_H

#include <cmdstream/cmdstream.h>

#define KINDS_ECHOED(X)                                                                            \
    X(kinds_bool)                                                                                  \
    X(kinds_signed)                                                                                \
    X(kinds_unsigned)                                                                              \
    X(kinds_floats)                                                                                \
    X(kinds_string)                                                                                \
    X(kinds_bytes)                                                                                 \
    X(kinds_map)                                                                                   \
    X(kinds_text)                                                                                  \
    X(kinds_enum)                                                                                  \
    X(kinds_nested)                                                                                \
    X(kinds_arrays)                                                                                \
    X(kinds_array_texts)                                                                           \
    X(kinds_array_structs)                                                                         \
    X(kinds_optionals)                                                                             \
    X(kinds_optional_texts)                                                                        \
    X(kinds_limits)                                                                                \
    X(kinds_reserved)                                                                              \
    X(kinds_idempotent)

enum kinds_colour {
    KINDS_RED,
    KINDS_GREEN,
    KINDS_BLUE
};
struct kinds_point {
    int32_t x, y;
};
struct kinds_line {
    struct kinds_point from, to;
    struct cmds_string name;
};
struct kinds_bool {
    bool on;
};
struct kinds_signed {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
};
struct kinds_unsigned {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
};
struct kinds_floats {
    float single;
    double both;
};
struct kinds_string {
    struct cmds_string text;
};
struct kinds_bytes {
    struct cmds_bytes data;
};
struct kinds_map {
    struct cmds_map map;
};
struct kinds_text {
    char text[16];
    uint8_t key[6];
};
struct kinds_enum {
    enum kinds_colour colour;
};
struct kinds_nested {
    struct kinds_line line;
    int32_t width;
};
struct kinds_arrays {
    CMDS_ARRAY_OF(bool) bools;
    CMDS_ARRAY_OF(int8_t) i8s;
    CMDS_ARRAY_OF(int64_t) i64s;
    CMDS_ARRAY_OF(uint8_t) u8s;
    CMDS_ARRAY_OF(uint32_t) u32s;
    CMDS_ARRAY_OF(float) floats;
    CMDS_ARRAY_OF(double) doubles;
};
struct kinds_array_texts {
    CMDS_ARRAY_OF(struct cmds_string) strings;
    CMDS_ARRAY_OF(struct cmds_bytes) blocks;
};
struct kinds_array_structs {
    CMDS_ARRAY_OF(struct kinds_line) lines;
};
struct kinds_optionals {
    CMDS_OPTIONAL_OF(bool) on;
    CMDS_OPTIONAL_OF(int16_t) i16;
    CMDS_OPTIONAL_OF(uint64_t) u64;
    CMDS_OPTIONAL_OF(double) both;
    CMDS_OPTIONAL_OF(struct kinds_point) point;
};
struct kinds_optional_texts {
    CMDS_OPTIONAL_OF(struct cmds_string) text;
    CMDS_OPTIONAL_OF(struct cmds_bytes) data;
};
struct kinds_limits {
    struct cmds_string text;
    struct cmds_bytes data;
    struct cmds_map map;
};
struct kinds_reserved {
    int32_t first, last_one;
};
struct kinds_idempotent {
    int32_t number;
};
struct kinds_one_way {
    struct cmds_string text;
};
struct kinds_feed {
    int32_t count; // Negative: without end.
};
struct kinds_tick {
    int32_t index;
    bool last;
};
struct kinds_error {
    int32_t code;
    struct cmds_string text;
};
struct kinds_counted {
    uint64_t one_way;
};

#define KINDS_BACK(tag, number)                                                                    \
    static const struct cmds_type tag##_back CMDS_UNUSED_ = {sizeof(struct cmds_type), (number),   \
            CMDS_ROLE_RESULT, CMDS_LAST_BY_FIELD_, 0, 0, 0, &tag##_schema, NULL, NULL, NULL,       \
            NULL};

CMDS_SCHEMA(kinds_point, x, y);
CMDS_SCHEMA(kinds_line, CMDS_NESTED(from, kinds_point), CMDS_NESTED(to, kinds_point), name);
CMDS_COMMAND(kinds_bool, 0, on);
CMDS_COMMAND(kinds_signed, 1, i8, i16, i32, i64);
CMDS_COMMAND(kinds_unsigned, 2, u8, u16, u32, u64);
CMDS_COMMAND(kinds_floats, 3, single, both);
CMDS_COMMAND(kinds_string, 4, text);
CMDS_COMMAND(kinds_bytes, 5, data);
CMDS_COMMAND(kinds_map, 6, map);
CMDS_COMMAND(kinds_text, 7, text, key);
CMDS_COMMAND(kinds_enum, 8, colour);
CMDS_COMMAND(kinds_nested, 9, CMDS_NESTED(line, kinds_line), width);
CMDS_COMMAND(kinds_arrays, 10, CMDS_ARRAY(bools), CMDS_ARRAY(i8s), CMDS_ARRAY(i64s),
        CMDS_ARRAY(u8s), CMDS_ARRAY(u32s), CMDS_ARRAY(floats), CMDS_ARRAY(doubles));
CMDS_COMMAND(kinds_array_texts, 11, CMDS_ARRAY(strings), CMDS_ARRAY(blocks));
CMDS_COMMAND(kinds_array_structs, 12, CMDS_ARRAY(lines, kinds_line));
CMDS_COMMAND(kinds_optionals, 13, CMDS_OPTIONAL(on), CMDS_OPTIONAL(i16), CMDS_OPTIONAL(u64),
        CMDS_OPTIONAL(both), CMDS_OPTIONAL(point, kinds_point));
CMDS_COMMAND(kinds_optional_texts, 14, CMDS_OPTIONAL(text), CMDS_OPTIONAL(data));
CMDS_COMMAND(kinds_limits, 15, CMDS_MAX(text, 3), CMDS_MAX(data, 2), CMDS_MAX(map, 1));
CMDS_COMMAND(kinds_reserved, 16, first, CMDS_RESERVED, CMDS_AS(last_one, "lastOne"));
CMDS_COMMAND_IDEMPOTENT(kinds_idempotent, 17, number);
CMDS_COMMAND_ONE_WAY(kinds_one_way, 18, text);
CMDS_COMMAND_EMPTY(kinds_count, 19);
CMDS_COMMAND(kinds_feed, 20, count);
CMDS_RESULT(kinds_counted, 19, one_way);
CMDS_RESULT(kinds_tick, 20, index, CMDS_LAST(last));
CMDS_RESULT_ERROR(kinds_error, 21, code, text);
#define KINDS_DEFINE_BACK(tag) KINDS_BACK(tag, tag##_number)
enum {
    kinds_bool_number,
    kinds_signed_number,
    kinds_unsigned_number,
    kinds_floats_number,
    kinds_string_number,
    kinds_bytes_number,
    kinds_map_number,
    kinds_text_number,
    kinds_enum_number,
    kinds_nested_number,
    kinds_arrays_number,
    kinds_array_texts_number,
    kinds_array_structs_number,
    kinds_optionals_number,
    kinds_optional_texts_number,
    kinds_limits_number,
    kinds_reserved_number,
    kinds_idempotent_number
};
KINDS_ECHOED(KINDS_DEFINE_BACK)

#define KINDS_COMMAND_ROW(tag) &tag##_type,
#define KINDS_RESULT_ROW(tag)  &tag##_back,
static const struct cmds_type *const kinds_commands[] = {KINDS_ECHOED(KINDS_COMMAND_ROW) //
                                                                 & kinds_one_way_type,
        &kinds_count_type, &kinds_feed_type};
static const struct cmds_type *const kinds_results[] = {
        KINDS_ECHOED(KINDS_RESULT_ROW) & kinds_counted_type, &kinds_tick_type, &kinds_error_type};
static const struct cmds_protocol kinds CMDS_UNUSED_ =
        CMDS_PROTOCOL("kinds", kinds_commands, kinds_results);

#endif
