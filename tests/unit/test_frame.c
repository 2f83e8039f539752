/* SPDX-License-Identifier: MIT */
/*
 * Frame decoding. TCP may cut a frame at any byte, a peer may lie about a length or count into
 * numbers that Go cannot hold: the decoder waits for the first, and says how long; it refuses the
 * others as soon as the header is there.
 */
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    BODY_SIZE_MAX = 1000,
    WIRE_SIZE_MAX = CMDI_FRAME_HEADER_MAX + BODY_SIZE_MAX
};

/*
 * Decodes from a block of exactly `size` bytes, so that the sanitizer sees a read behind the end.
 */
static int64_t decode_exact(struct cmdi_frame *frame, const uint8_t *data, size_t size,
        bool self_delimiting, size_t *missing)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    int64_t used = cmdi_frame_decode(frame, exact, size, BODY_SIZE_MAX, self_delimiting, missing);
    free(exact);
    return used;
}

static size_t encode(uint8_t *wire, uint64_t sequence, uint64_t type, size_t body_size)
{
    uint8_t *body = cmdi_frame_header_encode(wire, sequence, type, body_size, false);
    for (size_t i = 0; i < body_size; i++) {
        body[i] = (uint8_t)('a' + i % 26);
    }
    return (size_t)(body - wire) + body_size;
}

static const uint64_t numbers[] = {1, 127, 128, 16383, 16384, (uint64_t)1 << 40, CMDI_SEQUENCE_MAX};
enum {
    NUMBER_COUNT = sizeof(numbers) / sizeof(numbers[0])
};
static const size_t body_sizes[] = {0, 1, 127, 128, BODY_SIZE_MAX};
enum {
    BODY_SIZE_COUNT = sizeof(body_sizes) / sizeof(body_sizes[0])
};

static void expect_waits(const uint8_t *wire, size_t size, size_t header_size)
{
    for (size_t cut = 0; cut < size; cut++) {
        struct cmdi_frame frame = {0};
        size_t missing = 0;
        CU_ASSERT_EQUAL(decode_exact(&frame, wire, cut, false, &missing), 0);
        CU_ASSERT_EQUAL(missing, cut < header_size ? 1 : size - cut);
    }
}

static void test_frame_decode_waits_at_every_cut_and_says_how_long(void)
{
    uint8_t wire[WIRE_SIZE_MAX];
    for (int i = 0; i < NUMBER_COUNT; i++) {
        for (int j = 0; j < BODY_SIZE_COUNT; j++) {
            size_t size = encode(wire, numbers[i], numbers[NUMBER_COUNT - 1 - i], body_sizes[j]);
            expect_waits(wire, size, size - body_sizes[j]);
        }
    }
}

static void test_frame_decode_reads_what_encode_wrote(void)
{
    uint8_t wire[WIRE_SIZE_MAX];
    for (int i = 0; i < NUMBER_COUNT * NUMBER_COUNT * BODY_SIZE_COUNT; i++) {
        uint64_t sequence = numbers[i % NUMBER_COUNT];
        uint64_t type = numbers[i / NUMBER_COUNT % NUMBER_COUNT];
        size_t body_size = body_sizes[i / NUMBER_COUNT / NUMBER_COUNT];
        size_t size = encode(wire, sequence, type, body_size);
        struct cmdi_frame frame = {0};
        size_t missing = 0;

        CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire, size, BODY_SIZE_MAX, false, &missing),
                (int64_t)size);

        CU_ASSERT_EQUAL(frame.sequence, sequence);
        CU_ASSERT_EQUAL(frame.type, type);
        CU_ASSERT_EQUAL(frame.body_size, body_size);
        CU_ASSERT_PTR_EQUAL(frame.body, wire + size - body_size);
        CU_ASSERT_EQUAL(frame.header_size, size - body_size);
        CU_ASSERT_EQUAL(cmdi_frame_header_size(sequence, type, body_size, false), size - body_size);
    }
}

static void test_frame_decode_leaves_what_follows_alone(void)
{
    uint8_t wire[2 * WIRE_SIZE_MAX];
    size_t first = encode(wire, 1, 0, 5);
    size_t second = encode(wire + first, 2, 1, 7);
    struct cmdi_frame frame = {0};
    size_t missing = 0;

    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire, first + second, BODY_SIZE_MAX, false, &missing),
            (int64_t)first);
    CU_ASSERT_EQUAL(frame.body_size, 5);
    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire + first, second, BODY_SIZE_MAX, false, &missing),
            (int64_t)second);
    CU_ASSERT_EQUAL(frame.sequence, 2);
}

static void test_frame_decode_sees_a_ping_in_one_byte(void)
{
    const uint8_t wire[] = {0, 0, 7, 1, 0};
    const uint8_t longer[] = {0x80, 0x00}; // Go reads it as zero as well.
    struct cmdi_frame frame = {.sequence = 9};
    size_t missing = 0;

    CU_ASSERT_EQUAL(decode_exact(&frame, wire, sizeof(wire), false, &missing), 1);
    CU_ASSERT_EQUAL(frame.sequence, 0);
    CU_ASSERT_EQUAL(decode_exact(&frame, wire, 1, true, &missing), 1);
    CU_ASSERT_EQUAL(frame.header_size, 1);
    CU_ASSERT_EQUAL(decode_exact(&frame, longer, sizeof(longer), false, &missing), 2);
    CU_ASSERT_EQUAL(frame.sequence, 0);
}

static void test_frame_decode_refuses_a_byte_over_the_limit_before_the_body_comes(void)
{
    uint8_t wire[CMDI_FRAME_HEADER_MAX];
    const size_t lies[] = {
            BODY_SIZE_MAX + 1, (size_t)1 << 31, (size_t)1 << 32, SIZE_MAX / 2, SIZE_MAX};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        size_t size = (size_t)(cmdi_frame_header_encode(wire, 1, 0, lies[i], false) - wire);
        struct cmdi_frame frame = {0};
        size_t missing = 0;
        CU_ASSERT_EQUAL(decode_exact(&frame, wire, size, false, &missing), CMDS_E_LIMIT);
        CU_ASSERT_EQUAL(decode_exact(&frame, wire, size - 1, false, &missing), 0);
    }
}

static void test_frame_decode_refuses_a_sequence_above_an_int64(void)
{
    uint8_t wire[WIRE_SIZE_MAX];
    size_t size = encode(wire, CMDI_SEQUENCE_MAX + 1, 0, 0);
    struct cmdi_frame frame = {0};
    size_t missing = 0;

    CU_ASSERT_EQUAL(decode_exact(&frame, wire, size, false, &missing), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(decode_exact(&frame, wire, CMDI_VARINT_SIZE_MAX, true, &missing), CMDS_E_PROTO);
}

static void test_frame_decode_refuses_an_overflow_in_each_field(void)
{
    for (int field = 0; field < 3; field++) {
        uint8_t wire[2 + CMDI_VARINT_SIZE_MAX] = {1, 1};
        struct cmdi_frame frame = {0};
        size_t missing = 0;
        memset(wire + field, 0xff, CMDI_VARINT_SIZE_MAX);
        CU_ASSERT_EQUAL(
                decode_exact(&frame, wire, (size_t)field + CMDI_VARINT_SIZE_MAX, false, &missing),
                CMDS_E_PROTO);
    }
}

static void test_frame_self_delimiting_has_no_length(void)
{
    uint8_t wire[CMDI_FRAME_HEADER_MAX + 3];
    uint8_t *body = cmdi_frame_header_encode(wire, 300, 1, 77, true);
    memcpy(body, "xyz", 3);
    size_t header_size = (size_t)(body - wire);
    struct cmdi_frame frame = {0};
    size_t missing = 0;

    CU_ASSERT_EQUAL(cmdi_frame_header_size(300, 1, 77, true), 3);
    CU_ASSERT_EQUAL(header_size, 3);
    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire, header_size + 3, 0, true, &missing), 3);
    CU_ASSERT_EQUAL(frame.sequence, 300);
    CU_ASSERT_EQUAL(frame.type, 1);
    CU_ASSERT_PTR_EQUAL(frame.body, body);
    CU_ASSERT_EQUAL(frame.body_size, 3); // All there is: the codec finds the end.
    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire, header_size, 0, true, &missing), 3);
    CU_ASSERT_EQUAL(frame.body_size, 0);
    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, wire, 2, 0, true, &missing), 0);
    CU_ASSERT_EQUAL(missing, 1);
}

/* The short way and the long one. */
static void expect_same_header(
        uint64_t sequence, uint64_t type, uint64_t body_size, bool self_delimiting)
{
    uint8_t wire[CMDI_FRAME_HEADER_MAX + 8];
    struct cmdi_frame frame = {0}, slow = {0};
    uint64_t length = 0;
    size_t missing = 0;
    memset(wire, 0xff, sizeof(wire)); // What follows is no part of it.
    (void)cmdi_frame_header_encode(wire, sequence, type, body_size, self_delimiting);

    int64_t used =
            cmdi_frame_decode(&frame, wire, sizeof(wire), SIZE_MAX / 2, self_delimiting, &missing);

    CU_ASSERT_EQUAL(
            cmdi_frame_header_decode(&slow, wire, sizeof(wire), self_delimiting, &length), 1);
    CU_ASSERT_EQUAL(frame.sequence, sequence);
    CU_ASSERT_EQUAL(frame.type, type);
    CU_ASSERT_EQUAL(frame.header_size, slow.header_size);
    CU_ASSERT_EQUAL(slow.sequence, sequence);
    CU_ASSERT_EQUAL(slow.type, type);
    CU_ASSERT_EQUAL(length, self_delimiting ? 0 : body_size);
    size_t whole = slow.header_size + (self_delimiting ? 0 : (size_t)body_size);
    CU_ASSERT_EQUAL(used, whole <= sizeof(wire) ? (int64_t)whole : 0);
    CU_ASSERT(whole <= sizeof(wire) || missing == whole - sizeof(wire));
}

static void test_frame_decode_reads_short_headers_as_long_ones(void)
{
    for (uint32_t bits = 0; bits < 63 * 3; bits++) {
        uint64_t sequence = (UINT64_C(1) << bits / 3) + bits % 3 - 1; // At each power of two.
        for (uint32_t j = 0; j < 3 * 20; j++) {
            uint64_t body_size = (UINT64_C(1) << j / 3) + j % 3 - 1;
            sequence += sequence == 0;
            expect_same_header(sequence, j % 4 == 0 ? 200 : j, body_size, false);
            expect_same_header(sequence, j % 4 == 0 ? 200 : j, body_size, true);
        }
    }
}

/* In a block of exactly so many bytes: two frames that follow each other. */
static bool are_alike(const uint8_t *wire, size_t first, size_t second)
{
    struct cmdi_frame frame = {0};
    struct cmdi_frame_head head;
    size_t missing = 0;
    uint8_t *exact = malloc(first + second);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, wire, first + second);
    CU_ASSERT_EQUAL(cmdi_frame_decode(&frame, exact, first, BODY_SIZE_MAX, false, &missing),
            (int64_t)first);
    bool alike = cmdi_frame_head(&head, &frame);
    CU_ASSERT(!alike || head.whole == first);
    alike = alike && head.whole <= second && cmdi_frame_has_head(&head, exact + first);
    free(exact);
    return alike;
}

static void test_frame_alike_is_one_with_the_same_header_and_whole(void)
{
    uint8_t wire[2 * WIRE_SIZE_MAX];
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        for (size_t j = 0; j < BODY_SIZE_COUNT; j++) {
            size_t size = encode(wire, numbers[i], 3, body_sizes[j]);
            size_t header_size = size - body_sizes[j];
            bool is_short = header_size <= 8 && size >= 8;
            (void)encode(wire + size, numbers[i], 3, body_sizes[j]);
            CU_ASSERT_EQUAL(are_alike(wire, size, size), is_short);
            CU_ASSERT_FALSE(are_alike(wire, size, size - 1)); // It is cut.
            for (size_t at = 0; at < header_size; at++) {
                wire[size + at] ^= 1; // Another header.
                CU_ASSERT_FALSE(are_alike(wire, size, size));
                wire[size + at] ^= 1;
            }
            wire[size + header_size] ^= body_sizes[j] > 0; // Another body.
            CU_ASSERT_EQUAL(are_alike(wire, size, size), is_short);
        }
    }
}

static CU_TestInfo tests[] = {
        {"alike is one with the same header, and whole",
                test_frame_alike_is_one_with_the_same_header_and_whole},
        {"decode reads short headers as long ones",
                test_frame_decode_reads_short_headers_as_long_ones},
        {"decode waits at every cut and says how long",
                test_frame_decode_waits_at_every_cut_and_says_how_long},
        {"decode reads what encode wrote", test_frame_decode_reads_what_encode_wrote},
        {"decode leaves what follows alone", test_frame_decode_leaves_what_follows_alone},
        {"decode sees a ping in one byte", test_frame_decode_sees_a_ping_in_one_byte},
        {"decode refuses a byte over the limit before the body comes",
                test_frame_decode_refuses_a_byte_over_the_limit_before_the_body_comes},
        {"decode refuses a sequence above an int64",
                test_frame_decode_refuses_a_sequence_above_an_int64},
        {"decode refuses an overflow in each field",
                test_frame_decode_refuses_an_overflow_in_each_field},
        {"self-delimiting has no length", test_frame_self_delimiting_has_no_length},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("frame", tests)
