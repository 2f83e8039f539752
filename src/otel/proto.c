/* SPDX-License-Identifier: MIT */
/* See proto.h. */
#include "otel/proto.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"

enum {
    PROTO_SIZE_MIN = 4096,
    VARINT_SIZE_MAX = 10,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_SIZED = 2,
    WIRE_FIXED32 = 5,
};

void cmdi_proto_init(struct cmdi_proto *proto, size_t size_max)
{
    CMDI_ASSERT(size_max >= PROTO_SIZE_MIN);
    *proto = (struct cmdi_proto){.size_max = size_max};
}

void cmdi_proto_fini(struct cmdi_proto *proto)
{
    free(proto->data);
    *proto = (struct cmdi_proto){.size_max = proto->size_max};
}

void cmdi_proto_reset(struct cmdi_proto *proto)
{
    proto->at = proto->size;
    proto->error = 0;
}

struct cmds_bytes cmdi_proto_bytes_of(const struct cmdi_proto *proto)
{
    if (proto->error != 0 || proto->at == proto->size) {
        return (struct cmds_bytes){.data = "", .size = 0};
    }
    return (struct cmds_bytes){proto->data + proto->at, proto->size - proto->at};
}

/* Twice the size; what there is moves to the new end. */
static bool grow(struct cmdi_proto *proto, size_t need)
{
    size_t used = proto->size - proto->at;
    if (need > proto->size_max || used > proto->size_max - need) {
        proto->error = -EFBIG;
        return false;
    }
    size_t size = proto->size == 0 ? PROTO_SIZE_MIN : proto->size;
    while (size - used < need) {
        size = size <= proto->size_max / 2 ? size * 2 : proto->size_max;
    }
    uint8_t *data = malloc(size);
    if (data == NULL) {
        proto->error = -ENOMEM;
        return false;
    }
    if (used > 0) {
        memcpy(data + size - used, proto->data + proto->at, used);
    }
    free(proto->data);
    proto->data = data;
    proto->size = size;
    proto->at = size - used;
    return true;
}

/* Puts bytes in front of what there is. */
static void put(struct cmdi_proto *proto, const void *data, size_t size)
{
    if (proto->error != 0 || size == 0 || (proto->at < size && !grow(proto, size))) {
        return;
    }
    proto->at -= size;
    memcpy(proto->data + proto->at, data, size);
}

static void put_varint(struct cmdi_proto *proto, uint64_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[size++] = (uint8_t)(value | 0x80);
    }
    bytes[size++] = (uint8_t)value;
    put(proto, bytes, size);
}

static void put_fixed(struct cmdi_proto *proto, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    put(proto, bytes, size);
}

static void put_tag(struct cmdi_proto *proto, uint32_t field, uint32_t wire)
{
    put_varint(proto, (uint64_t)field << 3 | wire);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

void cmdi_proto_wrap(struct cmdi_proto *proto, uint32_t field, size_t mark)
{
    if (proto->error != 0) {
        return;
    }
    size_t now = cmdi_proto_mark(proto);
    CMDI_ASSERT(now >= mark);
    put_varint(proto, now - mark);
    put_tag(proto, field, WIRE_SIZED);
}

void cmdi_proto_uint(struct cmdi_proto *proto, uint32_t field, uint64_t value)
{
    put_varint(proto, value);
    put_tag(proto, field, WIRE_VARINT);
}

void cmdi_proto_sint(struct cmdi_proto *proto, uint32_t field, int64_t value)
{
    cmdi_proto_uint(proto, field, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void cmdi_proto_fixed64(struct cmdi_proto *proto, uint32_t field, uint64_t value)
{
    put_fixed(proto, value, 8);
    put_tag(proto, field, WIRE_FIXED64);
}

void cmdi_proto_fixed32(struct cmdi_proto *proto, uint32_t field, uint32_t value)
{
    put_fixed(proto, value, 4);
    put_tag(proto, field, WIRE_FIXED32);
}

void cmdi_proto_double(struct cmdi_proto *proto, uint32_t field, double value)
{
    cmdi_proto_fixed64(proto, field, bits_of(value));
}

void cmdi_proto_bytes(struct cmdi_proto *proto, uint32_t field, struct cmds_bytes bytes)
{
    put(proto, bytes.data, bytes.size);
    put_varint(proto, bytes.size);
    put_tag(proto, field, WIRE_SIZED);
}

void cmdi_proto_text(struct cmdi_proto *proto, uint32_t field, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        cmdi_proto_bytes(proto, field, (struct cmds_bytes){text, strlen(text)});
    }
}

void cmdi_proto_packed_uint(struct cmdi_proto *proto, uint64_t value)
{
    put_varint(proto, value);
}

void cmdi_proto_packed_fixed64(struct cmdi_proto *proto, uint64_t value)
{
    put_fixed(proto, value, 8);
}

void cmdi_proto_packed_double(struct cmdi_proto *proto, double value)
{
    put_fixed(proto, bits_of(value), 8);
}

void cmdi_proto_raw(struct cmdi_proto *proto, struct cmds_bytes bytes)
{
    put(proto, bytes.data, bytes.size);
}
