/* SPDX-License-Identifier: MIT */
/*
 * Messages of protobuf-c, by the descriptors that protoc-c generates. The library does the work; these lines hold it to
 * this codec's rules.
 *
 * It recurses over the input, and its strings end at the first NUL: the input is walked once before it sees it. Its memory
 * comes from the arena, so nothing of a message is ever freed. Its messages point out of themselves, never into, so the
 * struct it makes is moved to where the value is to be, and a copy is made by walking the descriptors. No state, any thread.
 */
#include <protobuf-c/protobuf-c.h>

#include "common/utf8.h"
#include "common/value.h"
#include "protobuf/protobuf.h"

int cmdi_message_check(const struct cmds_type *type, struct cmds_error *error)
{
    const ProtobufCMessageDescriptor *descriptor = type->descriptor;
    const char *name = type->schema->name;
    if (descriptor->magic != PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC) {
        return cmdi_protobuf_refuse(
                error, "codec protobuf: the descriptor of %s is none of protobuf-c", name);
    }
    if (type->schema->field_count > 0 || type->schema->copy != cmds_protobuf_copy ||
            type->schema->value_size != descriptor->sizeof_message) {
        return cmdi_protobuf_refuse(error,
                "codec protobuf: %s is not %s: make it with CMDS_PROTOBUF_COMMAND or _RESULT", name,
                descriptor->name);
    }
    return 0;
}

/* --- Out and in ---------------------------------------------------------------------------------------------------- */

int64_t cmdi_message_size(const struct cmds_type *type, const void *value)
{
    const ProtobufCMessage *message = value;
    if (message->descriptor != type->descriptor || !protobuf_c_message_check(message)) {
        return -EINVAL; // Not initialized, or another message; a NULL where something must be.
    }
    size_t size = protobuf_c_message_get_packed_size(message);
    return size > INT32_MAX ? CMDS_E_LIMIT : (int64_t)size;
}

uint8_t *cmdi_message_write(const void *value, uint8_t *out)
{
    return out + protobuf_c_message_pack(value, out);
}

static int message_scan(
        const ProtobufCMessageDescriptor *descriptor, struct cmds_bytes in, unsigned depth)
{
    const uint8_t *at = in.data, *end = at + in.size;
    if (depth > CMDI_DEPTH_MAX) {
        return CMDS_E_LIMIT;
    }
    while (at < end) {
        struct cmdi_wire_field field = {0};
        int error = cmdi_wire_next(&at, end, &field);
        if (error < 0 || field.type == CMDI_WIRE_GROUP) {
            return error < 0 ? error : CMDS_E_PROTO;
        }
        const ProtobufCFieldDescriptor *known =
                field.type == CMDI_WIRE_BYTES
                        ? protobuf_c_message_descriptor_get_field(descriptor, field.number)
                        : NULL;
        if (known != NULL && known->type == PROTOBUF_C_TYPE_MESSAGE) {
            error = message_scan(known->descriptor, field.bytes, depth + 1);
        } else if (known != NULL && known->type == PROTOBUF_C_TYPE_STRING) {
            bool cut = memchr(field.bytes.data, '\0', field.bytes.size) != NULL;
            bool sound = !cut && cmdi_utf8_is_valid(field.bytes.data, field.bytes.size);
            error = sound ? 0 : CMDS_E_PROTO;
        }
        if (error < 0) {
            return error;
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
    int error = message_scan(descriptor, in, 1);
    if (error < 0) {
        return error;
    }
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, in.size, in.data);
    if (message == NULL) {
        return memory.exhausted ? CMDS_E_LIMIT : CMDS_E_PROTO;
    }
    memcpy(value, message, descriptor->sizeof_message);
    return (int64_t)in.size;
}

/* --- Copies -------------------------------------------------------------------------------------------------------- */

struct copier {
    uint8_t *block; // NULL: only counts.
    size_t used;
};

/* Room, filled from `from`. NULL while counting. */
static void *copier_take(struct copier *copier, size_t align, size_t size, const void *from)
{
    size_t at = (copier->used + align - 1) & ~(align - 1);
    copier->used = at + size;
    if (copier->block == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(copier->block + at, from, size);
    }
    return copier->block + at;
}

static ProtobufCMessage *copy_message(struct copier *copier, const ProtobufCMessage *from);

/* One string, bytes or message, that lies at `from`; its pointer at `to` is moved, unless `to` is NULL. */
static void copy_pointer(struct copier *copier, const ProtobufCFieldDescriptor *field,
        const uint8_t *from, uint8_t *to)
{
    void *pointer = NULL;
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData data = CMDI_LOAD(ProtobufCBinaryData, from);
        const ProtobufCBinaryData *initial = field->default_value;
        if (data.data == NULL || (initial != NULL && data.data == initial->data)) {
            return;
        }
        data.data = copier_take(copier, 1, data.len, data.data);
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
                      ? copier_take(copier, 1, strlen(pointer) + 1, pointer)
                      : copy_message(copier, pointer);
    if (to != NULL) {
        memcpy(to, &pointer, sizeof(pointer));
    }
}

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

static void copy_repeated(struct copier *copier, const ProtobufCFieldDescriptor *field,
        const uint8_t *message, uint8_t *copy)
{
    size_t count = CMDI_LOAD(size_t, message + field->quantifier_offset);
    const uint8_t *items = CMDI_LOAD(const uint8_t *, message + field->offset);
    size_t size = element_size(field);
    if (count == 0) {
        return;
    }
    uint8_t *copied = copier_take(copier, _Alignof(max_align_t), count * size, items);
    for (size_t i = 0; has_pointer(field) && i < count; i++) {
        copy_pointer(copier, field, items + i * size, copied != NULL ? copied + i * size : NULL);
    }
    if (copy != NULL) {
        memcpy(copy + field->offset, &copied, sizeof(copied));
    }
}

static void copy_unknown(
        struct copier *copier, const ProtobufCMessage *from, ProtobufCMessage *copy)
{
    size_t count = from->n_unknown_fields;
    if (count == 0) {
        return;
    }
    ProtobufCMessageUnknownField *fields = copier_take(
            copier, _Alignof(max_align_t), count * sizeof(*fields), from->unknown_fields);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessageUnknownField *field = &from->unknown_fields[i];
        uint8_t *data = copier_take(copier, 1, field->len, field->data);
        if (fields != NULL) {
            fields[i].data = data;
        }
    }
    if (copy != NULL) {
        copy->unknown_fields = fields;
    }
}

static ProtobufCMessage *copy_message(struct copier *copier, const ProtobufCMessage *from)
{
    const ProtobufCMessageDescriptor *descriptor = from->descriptor;
    const uint8_t *message = (const uint8_t *)from;
    uint8_t *copy = copier_take(copier, _Alignof(max_align_t), descriptor->sizeof_message, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool other = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                     CMDI_LOAD(uint32_t, message + field->quantifier_offset) != field->id;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            copy_repeated(copier, field, message, copy);
        } else if (has_pointer(field) && !other) {
            copy_pointer(copier, field, message + field->offset,
                    copy != NULL ? copy + field->offset : NULL);
        }
    }
    void *copied = copy;
    copy_unknown(copier, from, copied);
    return copied;
}

size_t cmds_protobuf_copy(
        const struct cmds_schema *schema, const void *value, void *block, size_t size)
{
    const ProtobufCMessage *message = value;
    struct copier copier = {0};
    if (message->descriptor == NULL) { // Zeroed: nothing was received into it.
        (void)copier_take(&copier, 1, schema->value_size, value);
    } else {
        (void)copy_message(&copier, message);
    }
    size_t need = copier.used;
    if (block != NULL && need <= size) {
        copier = (struct copier){.block = block};
        if (message->descriptor == NULL) {
            (void)copier_take(&copier, 1, schema->value_size, value);
        } else {
            (void)copy_message(&copier, message);
        }
    }
    return need;
}
