/* SPDX-License-Identifier: MIT */
/*
 * Protobuf, proto3. Library: cmdstream_codec_protobuf.
 *
 * From a schema: rows are the fields 1, 2, 3, ... in their order; CMDS_RESERVED keeps its number
 * free. The message is
 *
 *     bool, all signed integers as int64, all unsigned as uint64, float, double, string (cmds_string, char[N]),
 *     bytes (cmds_bytes, uint8_t[N]), map<string, string>, a nested struct as a message, CMDS_ARRAY as repeated (numbers
 *     packed), CMDS_OPTIONAL as optional
 *
 * and, since these are the same bytes, int32 and uint32 for narrower fields and enums. Zero is not
 * written, except in an optional, an array, a map's pair, and a uint8_t[N], which has always N
 * bytes. Text must be UTF-8: Go refuses the rest. Read: packed or not; unknown numbers, groups and
 * known numbers in another wire type are skipped; the last of a field counts, messages are merged,
 * repeated ones joined. CMDS_E_PROTO: field 0, wire types 6 and 7, a varint beyond 64 bits, a
 * length beyond the end, a number that the field cannot hold, text that is not UTF-8, NUL in a
 * char[N], another size than a uint8_t[N]'s. CMDS_E_LIMIT: CMDS_MAX, char[N], 32 groups inside each
 * other, the arena. -EINVAL from size(): text that is not UTF-8.
 *
 * From a .proto file: messages as protoc-c generates them for protobuf-c, with all that it knows
 * (sint, fixed, oneof, ...):
 *
 *     CMDS_PROTOBUF_COMMAND(calc_add, 0, Calc__Add, calc__add__descriptor);
 *     CMDS_PROTOBUF_RESULT(calc_value, 0, Calc__Value, calc__value__descriptor);
 *
 * define calc_add_type, calc_add_message() and calc_add_of() as CMDS_COMMAND does. Such types are
 * for this codec alone. Initialize what you send (calc__add__init); what you receive is borrowed
 * memory: never free it with protobuf-c. Messages inside each other: 32 (CMDS_E_LIMIT). A string
 * that holds a NUL, which C would cut, and groups are CMDS_E_PROTO.
 */
#ifndef CMDSTREAM_CODEC_PROTOBUF_H
#define CMDSTREAM_CODEC_PROTOBUF_H

#include <cmdstream/codec.h>

CMDS_BEGIN_

/** No state, any thread. */
extern CMDS_API const struct cmds_codec cmds_codec_protobuf;

/** How a schema made by the macros below copies its values; see cmds_schema.copy. Thread: any. */
CMDS_API size_t cmds_protobuf_copy(
        const struct cmds_schema *schema, const void *value, void *block, size_t size);

CMDS_END_

/** tag: prefix of what is defined; Message: the struct's typedef; descriptor: its ProtobufCMessageDescriptor. */
#define CMDS_PROTOBUF_COMMAND(tag, number, Message, descriptor)                                    \
    CMDS_PROTOBUF_TYPE_(tag, number, CMDS_ROLE_COMMAND, CMDS_LAST_BY_FIELD_, Message, descriptor)  \
    static inline CMDS_UNUSED_ const Message *tag##_of(const struct cmds_call *call)               \
    {                                                                                              \
        return (const Message *)cmds_call_value(call, (number), sizeof(Message));                  \
    }                                                                                              \
    CMDS_STATIC_ASSERT_(sizeof(Message) > 0, "")
#define CMDS_PROTOBUF_RESULT(tag, number, Message, descriptor)                                     \
    CMDS_PROTOBUF_RESULT_(tag, number, CMDS_LAST_BY_FIELD_, Message, descriptor)
/** A result that is never the last of its command. */
#define CMDS_PROTOBUF_RESULT_NOT_LAST(tag, number, Message, descriptor)                            \
    CMDS_PROTOBUF_RESULT_(tag, number, CMDS_LAST_NEVER_, Message, descriptor)

#define CMDS_PROTOBUF_RESULT_(tag, number, rule, Message, descriptor)                              \
    CMDS_PROTOBUF_TYPE_(tag, number, CMDS_ROLE_RESULT, rule, Message, descriptor)                  \
    static inline CMDS_UNUSED_ const Message *tag##_of(const struct cmds_result *result)           \
    {                                                                                              \
        return (const Message *)cmds_result_value(result, (number), sizeof(Message));              \
    }                                                                                              \
    CMDS_STATIC_ASSERT_(sizeof(Message) > 0, "")
#define CMDS_PROTOBUF_TYPE_(tag, number, role, rule, Message, descriptor)                          \
    static const struct cmds_schema tag##_schema = {sizeof(struct cmds_schema),                    \
            sizeof(struct cmds_field), 0, sizeof(Message), #tag, NULL, cmds_protobuf_copy};        \
    static const struct cmds_type tag##_type = {sizeof(struct cmds_type), (number), (role),        \
            (rule), 0, 0, 0, &tag##_schema, NULL, &(descriptor)};                                  \
    static inline CMDS_UNUSED_ struct cmds_message tag##_message(const Message *value)             \
    {                                                                                              \
        struct cmds_message message = {&tag##_type, value};                                        \
        return message;                                                                            \
    }

#endif
