/* SPDX-License-Identifier: MIT */
#include "support/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/tls_vectors.h"

enum {
    VECTOR_COUNT = sizeof(tls_vectors) / sizeof(tls_vectors[0]),
    BUILD_SIZE = 1 << 20
};

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

struct cmds_bytes tls_vector(const char *name)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        const char *hex = tls_vectors[i].hex;
        if (strcmp(tls_vectors[i].name, name) == 0) {
            size_t size = strlen(hex) / 2;
            uint8_t *bytes = malloc(size);
            for (size_t at = 0; bytes != NULL && at < size; at++) {
                bytes[at] = (uint8_t)(hex_digit(hex[2 * at]) << 4 | hex_digit(hex[2 * at + 1]));
            }
            return (struct cmds_bytes){bytes, size};
        }
    }
    fprintf(stderr, "there is no certificate %s\n", name);
    abort();
}

const char *tls_vector_name(size_t index)
{
    return index < VECTOR_COUNT ? tls_vectors[index].name : NULL;
}

static uint8_t build_memory[BUILD_SIZE];
static size_t build_used;

void tls_build_reset(void)
{
    build_used = 0;
}

static uint8_t *build_take(size_t size)
{
    if (size > BUILD_SIZE - build_used) {
        fprintf(stderr, "tls_build_reset() was forgotten\n");
        abort();
    }
    build_used += size;
    return build_memory + build_used - size;
}

static void copy(uint8_t *out, struct cmds_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(out, bytes.data, bytes.size);
    }
}

struct cmds_bytes tls_der(uint8_t tag, struct cmds_bytes content)
{
    size_t size = content.size;
    uint8_t head[4] = {tag, (uint8_t)size};
    size_t head_size = 2;
    if (size >= 0x100) {
        head[1] = 0x82;
        head[2] = (uint8_t)(size >> 8);
        head[3] = (uint8_t)size;
        head_size = 4;
    } else if (size >= 0x80) {
        head[1] = 0x81;
        head[2] = (uint8_t)size;
        head_size = 3;
    }
    uint8_t *out = build_take(head_size + size);
    memcpy(out, head, head_size);
    copy(out + head_size, content);
    return (struct cmds_bytes){out, head_size + size};
}

struct cmds_bytes tls_join(struct cmds_bytes first, struct cmds_bytes second)
{
    uint8_t *out = build_take(first.size + second.size);
    copy(out, first);
    copy(out + first.size, second);
    return (struct cmds_bytes){out, first.size + second.size};
}

struct cmds_bytes tls_repeat(struct cmds_bytes element, size_t count)
{
    uint8_t *out = build_take(element.size * count);
    for (size_t i = 0; i < count; i++) {
        copy(out + i * element.size, element);
    }
    return (struct cmds_bytes){out, element.size * count};
}

struct cmds_bytes tls_attribute(struct cmds_bytes oid, struct cmds_bytes value)
{
    return tls_der(0x31, tls_der(0x30, tls_join(tls_der(0x06, oid), value)));
}

struct cmds_bytes tls_extension(struct cmds_bytes oid, struct cmds_bytes value)
{
    return tls_der(0x30, tls_join(tls_der(0x06, oid), tls_der(0x04, value)));
}

struct cmds_bytes tls_alt_names(struct cmds_bytes names)
{
    return tls_extension(BYTES("\x55\x1d\x11"), tls_der(0x30, names));
}

struct tls_parts tls_parts(void)
{
    struct cmds_bytes ecdsa = tls_der(0x30, BYTES("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"));
    struct cmds_bytes ec = tls_der(0x30, BYTES("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                                               "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"));
    struct cmds_bytes point = tls_join(BYTES("\x00\x04"), tls_repeat(BYTES("x"), 64));
    struct cmds_bytes name = tls_attribute(BYTES("\x55\x04\x03"), tls_der(0x0c, BYTES("s1")));
    return (struct tls_parts){
            .version = BYTES("\xa0\x03\x02\x01\x02"),
            .serial = BYTES("\x02\x01\x07"),
            .algorithm = ecdsa,
            .issuer = tls_der(0x30, name),
            .validity = tls_der(0x30, tls_join(tls_der(0x17, BYTES("240101000000Z")),
                                              tls_der(0x18, BYTES("20500101000000Z")))),
            .subject = tls_der(0x30, name),
            .key = tls_der(0x30, tls_join(ec, tls_der(0x03, point))),
            .extensions = tls_alt_names(tls_der(0x82, BYTES("a"))),
            .algorithm_again = ecdsa,
            .signature = BYTES("\x03\x02\x00\x01"),
    };
}

struct cmds_bytes tls_build(const struct tls_parts *parts)
{
    struct cmds_bytes extensions = parts->extensions, all = {NULL, 0};
    if (extensions.data != NULL) {
        extensions = tls_der(0xa3, tls_der(0x30, extensions));
    }
    const struct cmds_bytes body[] = {parts->version, parts->serial, parts->algorithm,
            parts->issuer, parts->validity, parts->subject, parts->key, parts->unique_ids,
            extensions, parts->body_tail};
    for (size_t i = 0; i < sizeof(body) / sizeof(body[0]); i++) {
        all = tls_join(all, body[i]);
    }
    all = tls_join(tls_der(0x30, all), tls_join(parts->algorithm_again, parts->signature));
    return tls_join(tls_der(0x30, all), parts->tail);
}
