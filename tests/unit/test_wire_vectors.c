/* SPDX-License-Identifier: MIT */
/*
 * The bytes that cmd-stream-go itself printed. If our reading of the protocol drifts, encode and
 * decode may drift together and every round trip still passes; these cannot. Here: what needs no
 * codec. The bodies are opaque.
 */
#include <stdio.h>
#include <string.h>

#include "support/harness.h"
#include "wire/frame.h"

enum {
    BYTES_MAX = 128
};

/* Returns: how many bytes the hexadecimal text stands for. */
static size_t from_hex(uint8_t *out, const char *text)
{
    size_t size = strlen(text) / 2;
    CU_ASSERT_FATAL(size <= BYTES_MAX);
    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        CU_ASSERT_EQUAL_FATAL(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return size;
}

static void expect_varint(uint64_t value, const char *hex)
{
    uint8_t wire[BYTES_MAX];
    uint8_t ours[CMDI_VARINT_SIZE_MAX];
    size_t size = from_hex(wire, hex);
    uint64_t back = ~value;

    CU_ASSERT_EQUAL((size_t)(cmdi_varint_encode(ours, value) - ours), size);
    CU_ASSERT_EQUAL(memcmp(ours, wire, size), 0);
    CU_ASSERT_EQUAL(cmdi_varint_decode(wire, size, &back), (int)size);
    CU_ASSERT_EQUAL(back, value);
}

static void test_wire_vectors_varint(void)
{
    expect_varint(0, "00");
    expect_varint(1, "01");
    expect_varint(127, "7f");
    expect_varint(128, "8001");
    expect_varint(16384, "808001");
    expect_varint((uint64_t)1 << 40, "808080808020");
    expect_varint(UINT64_MAX, "ffffffffffffffffff01");
}

static void test_wire_vectors_server_info(void)
{
    uint8_t wire[BYTES_MAX];
    uint8_t ours[BYTES_MAX];
    size_t size = from_hex(wire, "0764656661756c74");
    struct cmds_bytes info = {NULL, 0};

    CU_ASSERT_EQUAL(cmdi_server_info_decode(wire, size, &info), (int)size);
    CU_ASSERT_EQUAL_FATAL(info.size, 7);
    CU_ASSERT_EQUAL(memcmp(info.data, "default", 7), 0);
    CU_ASSERT_EQUAL((size_t)(cmdi_server_info_encode(ours, info) - ours), size);
    CU_ASSERT_EQUAL(memcmp(ours, wire, size), 0);
}

/* A command of Go without its sequence, as the vectors are printed: type, length, body. */
struct vector {
    const char *hex;
    uint64_t type;
    size_t body_size;
};
static const struct vector vectors[] = {
        {"00347b22426f6f6c223a747275652c22496e743634223a2d352c22537472696e67223a226869222c22466c6f6"
         "174"
         "3634223a312e357d",
                0, 52},
        {"003184a4426f6f6cc3a5496e743634d3fffffffffffffffba6537472696e67a26869a7466c6f61743634cb3ff"
         "800"
         "0000000000",
                0, 49},
        {"000f94c3fba26869cb3ff8000000000000", 0, 15},
        {"010d7b2241223a332c2242223a347d", 1, 13},
};
enum {
    VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0])
};

/* As it travels: the sequence before it. Returns: its size. */
static size_t vector_frame(uint8_t *wire, const struct vector *vector, uint64_t sequence)
{
    uint8_t *behind = cmdi_varint_encode(wire, sequence);
    return (size_t)(behind - wire) + from_hex(behind, vector->hex);
}

static void test_wire_vectors_frames(void)
{
    for (int i = 0; i < VECTOR_COUNT; i++) {
        uint8_t wire[BYTES_MAX + CMDI_VARINT_SIZE_MAX];
        uint8_t ours[CMDI_FRAME_HEADER_MAX];
        size_t size = vector_frame(wire, &vectors[i], 128);
        struct cmdi_frame frame = {0};
        size_t missing = 0;

        CU_ASSERT_EQUAL_FATAL(
                cmdi_frame_decode(&frame, wire, size, 64, false, &missing), (int64_t)size);
        CU_ASSERT_EQUAL(frame.sequence, 128);
        CU_ASSERT_EQUAL(frame.type, vectors[i].type);
        CU_ASSERT_EQUAL(frame.body_size, vectors[i].body_size);
        CU_ASSERT_PTR_EQUAL(frame.body + frame.body_size, wire + size);

        uint8_t *end =
                cmdi_frame_header_encode(ours, 128, vectors[i].type, vectors[i].body_size, false);
        CU_ASSERT_EQUAL((size_t)(end - ours), frame.header_size);
        CU_ASSERT_EQUAL(memcmp(ours, wire, frame.header_size), 0);
    }
}

/* Server info, each command, a pong: what a server sends in one life, however it is cut. */
static void test_wire_vectors_a_whole_connection_at_every_cut(void)
{
    uint8_t wire[(VECTOR_COUNT + 1) * (BYTES_MAX + CMDI_VARINT_SIZE_MAX)];
    size_t size = from_hex(wire, "0764656661756c74");
    for (int i = 0; i < VECTOR_COUNT; i++) {
        size += vector_frame(wire + size, &vectors[i], (uint64_t)i + 1);
    }
    wire[size++] = 0;

    for (size_t cut = 0; cut <= size; cut++) {
        struct cmds_bytes info;
        int used = cmdi_server_info_decode(wire, cut, &info);
        size_t at = used > 0 ? (size_t)used : 0;
        uint64_t frames = 0;
        while (at > 0) {
            struct cmdi_frame frame = {0};
            size_t missing = 0;
            int64_t got = cmdi_frame_decode(&frame, wire + at, cut - at, 64, false, &missing);
            CU_ASSERT_FATAL(got >= 0);
            if (got == 0) {
                CU_ASSERT(missing >= 1 && missing <= size - cut + (cut == size));
                break;
            }
            at += (size_t)got;
            frames++;
            CU_ASSERT_EQUAL(frame.sequence, frames > VECTOR_COUNT ? 0 : frames);
        }
        CU_ASSERT(at <= cut);
        CU_ASSERT(cut < size || (at == size && frames == VECTOR_COUNT + 1));
    }
}

static CU_TestInfo tests[] = {
        {"varint", test_wire_vectors_varint},
        {"server info", test_wire_vectors_server_info},
        {"frames", test_wire_vectors_frames},
        {"a whole connection at every cut", test_wire_vectors_a_whole_connection_at_every_cut},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("wire_vectors", tests)
