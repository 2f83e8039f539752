/* SPDX-License-Identifier: MIT */
/*
 * Messages of protobuf-c, by the descriptors that protoc-c generates. The library does the work;
 * these lines hold it to this codec's rules.
 *
 * What it does not check is checked before it sees it. A message that goes out is walked for what
 * it would fall over; one that comes in for its depth, over which the library recurses, for strings
 * that it would end at the first NUL, and for all that it would cut or join wrongly. Its memory
 * comes from the arena, so nothing of a message is ever freed. Its messages point out of
 * themselves, never into, so the struct it makes is moved to where the value is to be, and a copy
 * is made by walking the descriptors. No state, any thread.
 */
#include <protobuf-c/protobuf-c.h>

#include "codec/copier.h"
#include "common/refuse.h"
#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"
#include "protobuf/wire.h"

enum {
    FIELDS_MAX = 512, // Of a message that is received.
};

int cmdi_message_check(const struct cmds_type *type, struct cmds_error *error)
{
    const ProtobufCMessageDescriptor *descriptor = type->descriptor;
    const char *name = type->schema->name;
    if (descriptor->magic != PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC) {
        return cmdi_refuse(
                error, "codec protobuf: the descriptor of %s is none of protobuf-c", name);
    }
    if (descriptor->n_fields > FIELDS_MAX) {
        return cmdi_refuse(error, "codec protobuf: %s has more than %d fields", name, FIELDS_MAX);
    }
    if (type->schema->field_count > 0 || type->schema->copy != cmds_protobuf_copy ||
            type->schema->value_size != descriptor->sizeof_message) {
        return cmdi_refuse(error,
                "codec protobuf: %s is not %s: make it with CMDS_PROTOBUF_COMMAND or _RESULT", name,
                descriptor->name);
    }
    return 0;
}

/* --- Fields ----------------------------------------------------------------------------------- */

static bool has_pointer(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
           field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

/* --- Out -------------------------------------------------------------------------------------- */

/* Is it one of several of which another one is set? */
static bool is_other_of_oneof(const ProtobufCFieldDescriptor *field, const uint8_t *message)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           CMDI_LOAD(uint32_t, message + field->quantifier_offset) != field->id;
}

static int value_check(const ProtobufCMessage *message,
        const ProtobufCMessageDescriptor *descriptor, unsigned depth);

/* One string, bytes or message, that lies at `at`. */
static int pointer_check(const ProtobufCFieldDescriptor *field, const uint8_t *at, unsigned depth)
{
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData data = CMDI_LOAD(ProtobufCBinaryData, at);
        return data.data == NULL && data.len > 0 ? -EINVAL : 0;
    }
    const void *pointer = CMDI_LOAD(const void *, at);
    if (pointer == NULL) { // Absent.
        bool due = field->label == PROTOBUF_C_LABEL_REQUIRED ||
                   field->label == PROTOBUF_C_LABEL_REPEATED;
        return due ? -EINVAL : 0;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        return cmdi_utf8_is_valid(pointer, strlen(pointer)) ? 0 : -EINVAL;
    }
    return value_check(pointer, field->descriptor, depth + 1);
}

static int repeated_check(
        const ProtobufCFieldDescriptor *field, const uint8_t *message, unsigned depth)
{
    size_t count = CMDI_LOAD(size_t, message + field->quantifier_offset);
    const uint8_t *item = CMDI_LOAD(const uint8_t *, message + field->offset);
    int code = count > 0 && item == NULL ? -EINVAL : 0;
    for (size_t i = 0; code == 0 && has_pointer(field) && i < count; i++) {
        code = pointer_check(field, item, depth);
        item += element_size(field);
    }
    return code;
}

static int unknown_check(const ProtobufCMessage *message)
{
    if (message->n_unknown_fields > 0 && message->unknown_fields == NULL) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        if (field->data == NULL && field->len > 0) {
            return -EINVAL;
        }
    }
    return 0;
}

/*
 * What the library would fall over, and what the peer would refuse. Its own check takes the
 * descriptor's pointer for the presence of a proto3 field, and knows neither UTF-8 nor depth.
 */
static int value_check(const ProtobufCMessage *message,
        const ProtobufCMessageDescriptor *descriptor, unsigned depth)
{
    const uint8_t *at = (const uint8_t *)message;
    if (message->descriptor != descriptor) {
        return -EINVAL; // Not initialized, or another message.
    }
    if (depth > CMDI_DEPTH_MAX) {
        return CMDS_E_LIMIT;
    }
    int code = unknown_check(message);
    for (unsigned i = 0; code == 0 && i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            code = repeated_check(field, at, depth);
        } else if (has_pointer(field) && !is_other_of_oneof(field, at)) {
            code = pointer_check(field, at + field->offset, depth);
        }
    }
    return code;
}

int64_t cmdi_message_size(const struct cmds_type *type, const void *value)
{
    int code = value_check(value, type->descriptor, 1);
    if (code < 0) {
        return code;
    }
    size_t size = protobuf_c_message_get_packed_size(value);
    return size > INT32_MAX ? CMDS_E_LIMIT : (int64_t)size;
}

uint8_t *cmdi_message_write(const void *value, uint8_t *out)
{
    return out + protobuf_c_message_pack(value, out);
}

/* --- In --------------------------------------------------------------------------------------- */

static uint8_t wire_form_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return CMDI_PROTOBUF_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return CMDI_PROTOBUF_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return CMDI_PROTOBUF_BYTES;
    default:
        return CMDI_PROTOBUF_VARINT;
    }
}

/* The library cuts a varint that goes on beyond 64 bits. */
static int packed_scan(struct cmds_bytes bytes)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        uint64_t value = 0;
        int used = cmdi_leb_read(at, end, &value);
        if (used <= 0) {
            return CMDS_E_PROTO;
        }
        at += used;
    }
    return 0;
}

static int message_scan(
        const ProtobufCMessageDescriptor *descriptor, struct cmds_bytes in, unsigned depth);

static int string_scan(struct cmds_bytes bytes)
{
    bool cut = memchr(bytes.data, '\0', bytes.size) != NULL;
    return !cut && cmdi_utf8_is_valid(bytes.data, bytes.size) ? 0 : CMDS_E_PROTO;
}

static int field_scan(const ProtobufCFieldDescriptor *known,
        const struct cmdi_protobuf_field *field, unsigned depth)
{
    uint8_t form = wire_form_of(known->type);
    if (field->form != form) {
        bool packed =
                known->label == PROTOBUF_C_LABEL_REPEATED && field->form == CMDI_PROTOBUF_BYTES;
        return !packed                        ? CMDS_E_PROTO
               : form == CMDI_PROTOBUF_VARINT ? packed_scan(field->bytes)
                                              : 0;
    }
    if (known->type == PROTOBUF_C_TYPE_MESSAGE) {
        return message_scan(known->descriptor, field->bytes, depth + 1);
    }
    return known->type == PROTOBUF_C_TYPE_STRING ? string_scan(field->bytes) : 0;
}

/* Which of its messages has it already? Two parts of one the library would join wrongly. */
struct seen {
    uint64_t bits[FIELDS_MAX / 64 + 1];
};

static int seen_once(struct seen *seen, unsigned index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (index >= FIELDS_MAX) {
        return CMDS_E_LIMIT;
    }
    bool again = (seen->bits[index / 64] & bit) != 0;
    seen->bits[index / 64] |= bit;
    return again ? CMDS_E_PROTO : 0;
}

static int message_scan(
        const ProtobufCMessageDescriptor *descriptor, struct cmds_bytes in, unsigned depth)
{
    const uint8_t *at = in.data, *end = at + in.size;
    struct seen seen; // Of which only the bits for its fields are used.
    if (depth > CMDI_DEPTH_MAX) {
        return CMDS_E_LIMIT;
    }
    memset(&seen, 0, (descriptor->n_fields / 64 + 1) * sizeof(seen.bits[0]));
    while (at < end) {
        struct cmdi_protobuf_field field = {0};
        int code = cmdi_protobuf_next(&at, end, &field);
        if (code < 0 || field.form == CMDI_PROTOBUF_GROUP) {
            return code < 0 ? code : CMDS_E_PROTO;
        }
        const ProtobufCFieldDescriptor *known =
                protobuf_c_message_descriptor_get_field(descriptor, field.number);
        if (known == NULL) {
            continue;
        }
        if (known->type == PROTOBUF_C_TYPE_MESSAGE && known->label != PROTOBUF_C_LABEL_REPEATED) {
            code = seen_once(&seen, (unsigned)(known - descriptor->fields));
        }
        code = code < 0 ? code : field_scan(known, &field, depth);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

struct memory {
    struct cmds_arena *arena;
    bool exhausted; // The library says only that it has failed.
};

static void *memory_alloc(void *context, size_t size)
{
    struct memory *memory = context;
    void *block = cmds_arena_alloc(memory->arena, size, _Alignof(max_align_t));
    memory->exhausted = memory->exhausted || block == NULL;
    return block;
}

static void memory_free(void *context, void *block)
{
    (void)context, (void)block; // All at once, with the arena.
}

int64_t cmdi_message_read(
        const struct cmds_type *type, struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    const ProtobufCMessageDescriptor *descriptor = type->descriptor;
    struct memory memory = {arena, false};
    ProtobufCAllocator allocator = {memory_alloc, memory_free, &memory};
    int code = message_scan(descriptor, in, 1);
    if (code < 0) {
        return code;
    }
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, in.size, in.data);
    if (message == NULL) {
        return memory.exhausted ? CMDS_E_LIMIT : CMDS_E_PROTO;
    }
    memcpy(value, message, descriptor->sizeof_message);
    return (int64_t)in.size;
}

/* --- Copies ----------------------------------------------------------------------------------- */

static ProtobufCMessage *copy_message(struct cmdi_copier *copier, const ProtobufCMessage *from);

/*
 * One string, bytes or message, that lies at `from`; its pointer at `to` is moved, unless `to` is
 * NULL.
 */
static void copy_pointer(struct cmdi_copier *copier, const ProtobufCFieldDescriptor *field,
        const uint8_t *from, uint8_t *to)
{
    void *pointer = NULL;
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData data = CMDI_LOAD(ProtobufCBinaryData, from);
        const ProtobufCBinaryData *initial = field->default_value;
        if (data.data == NULL || (initial != NULL && data.data == initial->data)) {
            return;
        }
        data.data = cmdi_copier_take(copier, 1, data.len, data.data);
        if (to != NULL) {
            memcpy(to, &data, sizeof(data));
        }
        return;
    }
    memcpy(&pointer, from, sizeof(pointer));
    if (pointer == NULL || pointer == field->default_value || pointer == protobuf_c_empty_string) {
        return;
    }
    pointer = field->type == PROTOBUF_C_TYPE_STRING
                      ? cmdi_copier_take(copier, 1, strlen(pointer) + 1, pointer)
                      : copy_message(copier, pointer);
    if (to != NULL) {
        memcpy(to, &pointer, sizeof(pointer));
    }
}

static void copy_repeated(struct cmdi_copier *copier, const ProtobufCFieldDescriptor *field,
        const uint8_t *message, uint8_t *copy)
{
    size_t count = CMDI_LOAD(size_t, message + field->quantifier_offset);
    const uint8_t *items = CMDI_LOAD(const uint8_t *, message + field->offset);
    size_t size = element_size(field);
    if (count == 0) {
        return;
    }
    uint8_t *copied = cmdi_copier_take(copier, _Alignof(max_align_t), count * size, items);
    for (size_t i = 0; has_pointer(field) && i < count; i++) {
        copy_pointer(copier, field, items + i * size, copied != NULL ? copied + i * size : NULL);
    }
    if (copy != NULL) {
        memcpy(copy + field->offset, &copied, sizeof(copied));
    }
}

static void copy_unknown(
        struct cmdi_copier *copier, const ProtobufCMessage *from, ProtobufCMessage *copy)
{
    size_t count = from->n_unknown_fields;
    if (count == 0) {
        return;
    }
    ProtobufCMessageUnknownField *fields = cmdi_copier_take(
            copier, _Alignof(max_align_t), count * sizeof(*fields), from->unknown_fields);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessageUnknownField *field = &from->unknown_fields[i];
        uint8_t *data = cmdi_copier_take(copier, 1, field->len, field->data);
        if (fields != NULL) {
            fields[i].data = data;
        }
    }
    if (copy != NULL) {
        copy->unknown_fields = fields;
    }
}

static ProtobufCMessage *copy_message(struct cmdi_copier *copier, const ProtobufCMessage *from)
{
    const ProtobufCMessageDescriptor *descriptor = from->descriptor;
    const uint8_t *message = (const uint8_t *)from;
    uint8_t *copy =
            cmdi_copier_take(copier, _Alignof(max_align_t), descriptor->sizeof_message, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            copy_repeated(copier, field, message, copy);
        } else if (has_pointer(field) && !is_other_of_oneof(field, message)) {
            copy_pointer(copier, field, message + field->offset,
                    copy != NULL ? copy + field->offset : NULL);
        }
    }
    void *copied = copy;
    copy_unknown(copier, from, copied);
    return copied;
}

static size_t copy_value(struct cmdi_copier copier, const struct cmds_schema *schema,
        const ProtobufCMessage *message)
{
    if (message->descriptor == NULL) { // Zeroed: nothing was received into it.
        (void)cmdi_copier_take(&copier, 1, schema->value_size, message);
    } else {
        (void)copy_message(&copier, message);
    }
    return copier.used;
}

size_t cmds_protobuf_copy(
        const struct cmds_schema *schema, const void *value, void *block, size_t size)
{
    size_t used = SIZE_MAX;
    if (block != NULL) {
        used = copy_value((struct cmdi_copier){.block = block, .size_max = size}, schema, value);
    }
    return used != SIZE_MAX
                   ? used
                   : copy_value((struct cmdi_copier){.size_max = SIZE_MAX / 2}, schema, value);
}
