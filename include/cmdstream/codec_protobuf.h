/* SPDX-License-Identifier: MIT */
/*
 * Protobuf, proto3. Library: cmdstream_codec_protobuf.
 *
 * From a schema: rows are the fields 1, 2, 3, ... in their order; CMDS_RESERVED keeps its number
 * free. The message is
 *
 *     bool, float, double            themselves
 *     signed, unsigned integers      int64, uint64 (the same bytes: int32, uint32, enums)
 *     cmds_string, char[N]           string
 *     cmds_bytes, uint8_t[N]         bytes
 *     cmds_map                       map<string, string>; an optional one that is empty reads as absent
 *     a nested struct                a message
 *     CMDS_ARRAY, CMDS_OPTIONAL      repeated (numbers packed), optional
 *
 * Zero is not written, except in an optional, an array, a map's pair, and a uint8_t[N], which has
 * always N bytes. Text must be UTF-8: Go refuses the rest. Read: packed or not; unknown numbers,
 * groups and known numbers in another wire type are skipped; the last of a field counts, messages
 * are merged, repeated ones joined; a map keeps every pair that came, the last of equal keys
 * counts. CMDS_E_PROTO: field 0, wire types 6 and 7, a varint beyond 64 bits, a length beyond the
 * end, a number that the field cannot hold (Go would cut it), text that is not UTF-8, NUL in a
 * char[N], another size than a uint8_t[N]'s. CMDS_E_LIMIT: CMDS_MAX, char[N], 32 groups inside each
 * other, the arena. -EINVAL from size(): text that is not UTF-8.
 *
 * From a .proto file: messages as protoc-c generates them for protobuf-c (sint, fixed, oneof, ...):
 *
 *     CMDS_PROTOBUF_COMMAND(calc_add, 0, Calc__Add, calc__add__descriptor);
 *     CMDS_PROTOBUF_RESULT(calc_value, 0, Calc__Value, calc__value__descriptor);
 *
 * define calc_add_type, calc_add_message() and calc_add_of() as CMDS_COMMAND does, and
 * CMDS_PROTOBUF_EXEC stands for CMDS_EXEC. Such types are for this codec alone: others are refused
 * at start. Initialize what you send (calc__add__init); what you receive is borrowed memory: never
 * free it with protobuf-c. Where protobuf-c differs from Go: a message field that comes in two
 * parts, a field in another wire type than its own, groups, a string that holds a NUL, which C
 * would cut, and lengths and tags in more than five bytes are CMDS_E_PROTO; a number too large for
 * an int32 is cut; -0.0 is not written. CMDS_E_LIMIT: 32 messages inside each other, 512 fields,
 * the arena, of which protobuf-c takes up to 30 times what came. -EINVAL from size(): not
 * initialized, text that is not UTF-8, a NULL with a length.
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

/**
 * tag: prefix of what is defined; Message: the struct's typedef; descriptor: its
 * ProtobufCMessageDescriptor.
 */
#define CMDS_PROTOBUF_COMMAND(tag, number, Message, descriptor)                                    \
    CMDS_PROTOBUF_COMMAND_(tag, number, 0, Message, descriptor)
/** As CMDS_COMMAND_IDEMPOTENT. */
#define CMDS_PROTOBUF_COMMAND_IDEMPOTENT(tag, number, Message, descriptor)                         \
    CMDS_PROTOBUF_COMMAND_(tag, number, CMDS_TYPE_IDEMPOTENT, Message, descriptor)
#define CMDS_PROTOBUF_COMMAND_(tag, number, flags, Message, descriptor)                            \
    typedef Message tag##_value_;                                                                  \
    CMDS_PROTOBUF_TYPE_(tag, number, CMDS_ROLE_COMMAND, CMDS_LAST_BY_FIELD_, CMDS_NULL_, flags,    \
            Message, descriptor)                                                                   \
    static inline CMDS_UNUSED_ const Message *tag##_of(const struct cmds_call *call)               \
    {                                                                                              \
        return CMDS_CAST_(const Message *, cmds_call_value(call, &tag##_type));                    \
    }                                                                                              \
    CMDS_PROTOBUF_INVOKE_(tag, Message)                                                            \
    CMDS_STATIC_ASSERT_(sizeof(Message) > 0, "")
/**
 * A row of the exec table, as CMDS_EXEC of server.h: int add(struct cmds_call *call, const
 * Calc__Add *command): CMDS_PROTOBUF_EXEC(calc_add, add). The compiler checks the message.
 */
#define CMDS_PROTOBUF_EXEC(tag, fn)         CMDS_PROTOBUF_EXEC_(tag, fn, 0)
#define CMDS_PROTOBUF_EXEC_IN_POOL(tag, fn) CMDS_PROTOBUF_EXEC_(tag, fn, CMDS_EXEC_POOL_)

#define CMDS_PROTOBUF_RESULT(tag, number, Message, descriptor)                                     \
    CMDS_PROTOBUF_RESULT_(tag, number, CMDS_LAST_BY_FIELD_, CMDS_NULL_, Message, descriptor)
/** The result with `member`, a bool of the message, set is the last of its command. */
#define CMDS_PROTOBUF_RESULT_LAST(tag, number, Message, descriptor, member)                        \
    static inline bool tag##_is_last(const void *value)                                            \
    {                                                                                              \
        const Message *message = CMDS_CAST_(const Message *, value);                               \
        return message->member != 0;                                                               \
    }                                                                                              \
    CMDS_PROTOBUF_RESULT_(tag, number, CMDS_LAST_BY_VALUE_, tag##_is_last, Message, descriptor)
/** A result that is never the last of its command. */
#define CMDS_PROTOBUF_RESULT_NOT_LAST(tag, number, Message, descriptor)                            \
    CMDS_PROTOBUF_RESULT_(tag, number, CMDS_LAST_NEVER_, CMDS_NULL_, Message, descriptor)

#define CMDS_PROTOBUF_RESULT_(tag, number, rule, is_last, Message, descriptor)                     \
    CMDS_PROTOBUF_TYPE_(tag, number, CMDS_ROLE_RESULT, rule, is_last, 0, Message, descriptor)      \
    static inline CMDS_UNUSED_ const Message *tag##_of(const struct cmds_result *result)           \
    {                                                                                              \
        return CMDS_CAST_(const Message *, cmds_result_value(result, &tag##_type));                \
    }                                                                                              \
    CMDS_STATIC_ASSERT_(sizeof(Message) > 0, "")
#ifdef __cplusplus
#define CMDS_PROTOBUF_INVOKE_(tag, Message)
#define CMDS_PROTOBUF_EXEC_(tag, fn, flags)                                                        \
    {                                                                                              \
        &tag##_type, nullptr, &cmds_detail::invoke<tag##_value_, fn>, (flags), 0                   \
    }
#else
#define CMDS_PROTOBUF_INVOKE_(tag, Message)                                                        \
    CMDS_UNUSED_ static inline int tag##_invoke(                                                   \
            cmds_any_fn exec, struct cmds_call *call, const void *command)                         \
    {                                                                                              \
        return ((int (*)(struct cmds_call *, const Message *))exec)(call, command);                \
    }
#define CMDS_PROTOBUF_EXEC_(tag, fn, flags)                                                        \
    {                                                                                              \
        &tag##_type,                                                                               \
                (cmds_any_fn) _Generic(&(fn), int (*)(struct cmds_call *, const tag##_value_ *)    \
                                       : (fn)),                                                    \
                tag##_invoke, (flags), 0                                                           \
    }
#endif
#define CMDS_PROTOBUF_TYPE_(tag, number, role, rule, is_last, flags, Message, descriptor)          \
    static const struct cmds_schema tag##_schema = {sizeof(struct cmds_schema),                    \
            sizeof(struct cmds_field), 0, sizeof(Message), #tag, CMDS_NULL_, cmds_protobuf_copy,   \
            CMDS_NO_CODE_};                                                                        \
    static const struct cmds_type tag##_type = {sizeof(struct cmds_type), (number), (role),        \
            (rule), 0, (flags), 0, &tag##_schema, (is_last), &(descriptor), #descriptor,           \
            CMDS_NULL_};                                                                           \
    static inline CMDS_UNUSED_ struct cmds_message tag##_message(const Message *value)             \
    {                                                                                              \
        struct cmds_message message = {&tag##_type, value};                                        \
        return message;                                                                            \
    }

#endif
