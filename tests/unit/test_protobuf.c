/* SPDX-License-Identifier: MIT */
/*
 * The codec protobuf, by schema and by descriptor. What may go wrong: another byte than Go's, a
 * list that is packed, cut up or joined in a way that we do not read, a number cut silently, a wire
 * format that no message has, and a hostile peer that makes the generated code's library recurse or
 * allocate.
 */
#include <cmdstream/codec_protobuf.h>

#include "codec/codec.h"
#include "shop.pb-c.h"
#define CASE_CODEC cmds_codec_protobuf
#include "support/codec_case.h"
#include "support/traced.h"

CMDS_PROTOBUF_COMMAND(leaf, 5, ShopLeaf, shop_leaf__descriptor);
CMDS_PROTOBUF_RESULT_LAST(leaf_last, 5, ShopLeaf, shop_leaf__descriptor, last);

struct lists {
    CMDS_ARRAY_OF(int64_t) numbers;
    CMDS_ARRAY_OF(double) reals;
};
struct parts {
    struct lists lists;
};
CMDS_SCHEMA(lists, CMDS_ARRAY(numbers), CMDS_ARRAY(reals));
CMDS_COMMAND(parts, 6, CMDS_NESTED(lists, lists));

/* The same value by google.golang.org/protobuf v1.36.10, deterministic. */
static const uint8_t go_order[] = {0x0a, 0x10, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
        0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x12, 0x03, 0x41, 0x64, 0x61, 0x1a, 0x0a, 0x72,
        0x69, 0x6e, 0x67, 0x20, 0x74, 0x77, 0x69, 0x63, 0x65, 0x22, 0x03, 0x00, 0xff, 0x80, 0x2a,
        0x0d, 0x0a, 0x07, 0x4d, 0x61, 0x69, 0x6e, 0x20, 0x53, 0x74, 0x12, 0x02, 0x44, 0x45, 0x3a,
        0x16, 0x08, 0x01, 0x10, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x19,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x40, 0x3a, 0x1f, 0x08, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x10, 0x80, 0x80, 0x80, 0x80, 0xf8, 0xff, 0xff, 0xff,
        0xff, 0x01, 0x19, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xd0, 0xbf, 0x42, 0x35, 0x00, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x7f, 0x80,
        0x01, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xdf, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x4a, 0x01, 0x61, 0x4a, 0x00, 0x4a, 0x0c, 0x77, 0x69,
        0x74, 0x68, 0x20, 0x00, 0x20, 0x69, 0x6e, 0x20, 0x69, 0x74, 0x52, 0x03, 0x01, 0x00, 0x01,
        0x58, 0xd6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x62, 0x0d, 0x0a, 0x07,
        0x53, 0x69, 0x64, 0x65, 0x20, 0x53, 0x74, 0x12, 0x02, 0x46, 0x52, 0x6a, 0x09, 0x62, 0x61,
        0x63, 0x6b, 0x20, 0x64, 0x6f, 0x6f, 0x72, 0x72, 0x0d, 0x0a, 0x00, 0x12, 0x09, 0x65, 0x6d,
        0x70, 0x74, 0x79, 0x20, 0x6b, 0x65, 0x79, 0x72, 0x06, 0x0a, 0x01, 0x6b, 0x12, 0x01, 0x76,
        0x78, 0xac, 0x02, 0x80, 0x01, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
        0x88, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x95, 0x01, 0xcd,
        0xcc, 0xcc, 0x3d, 0x98, 0x01, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        0xa0, 0x01, 0xff, 0x01, 0xa8, 0x01, 0x80, 0x80, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x01, 0xb0, 0x01, 0xff, 0xff, 0x03, 0xb8, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xc1, 0x01,
        0x9c, 0x75, 0x00, 0x88, 0x3c, 0xe4, 0x37, 0x7e, 0xc8, 0x01, 0x01};

struct maps {
    CMDS_ARRAY_OF(struct cmds_map) map;
};
CMDS_COMMAND(maps, 1, CMDS_ARRAY(map));
struct inner {
    CMDS_ARRAY_OF(int32_t) list;
    float real;
};
struct outer {
    struct inner inner;
};
CMDS_SCHEMA(inner, CMDS_ARRAY(list), real);
CMDS_COMMAND(outer, 2, CMDS_NESTED(inner, inner));
CMDS_PROTOBUF_COMMAND(echo_c, 0, EchoMessage, echo_message__descriptor);
CMDS_PROTOBUF_RESULT(node, 1, ShopNode, shop_node__descriptor);
CMDS_PROTOBUF_COMMAND(wrong, 2, ShopNode, echo_message__descriptor);

static const struct cmds_codec *const protobuf = &cmds_codec_protobuf;

static void test_protobuf_every_kind_comes_back(void)
{
    case_every_kind_comes_back(protobuf);
}

static void test_protobuf_bytes_are_those_of_go(void)
{
    case_go_vector(protobuf, go_order, sizeof(go_order));
    struct echo echo = {true, -5, CMDS_STRING("hi"), 1.5};
    uint8_t body[64];
    static const char expected[] = "\x08\x01\x10\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x02hi"
                                   "\x21\0\0\0\0\0\0\xf8\x3f";
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(protobuf, echo_message(&echo), body, sizeof(body)),
            (int64_t)sizeof(expected) - 1);
    CU_ASSERT_EQUAL(memcmp(body, expected, sizeof(expected) - 1), 0);
}

static void test_protobuf_zero_is_nothing(void)
{
    uint8_t body[64];
    struct echo echo = {.text = {"", 0}};
    CU_ASSERT_EQUAL(cmds_codec_encode(protobuf, echo_message(&echo), body, 0), 0);
    echo.real = -0.0; // Go writes it: its bits are not zero.
    CU_ASSERT_EQUAL(cmds_codec_encode(protobuf, echo_message(&echo), body, sizeof(body)), 9);
    CU_ASSERT_EQUAL(cmds_codec_encode(protobuf, outer_message(&(struct outer){0}), body, 0), 0);
    ACCEPTS(echo_type, "");
}

static void test_protobuf_writer_refuses_what_cannot_be_sent(void)
{
    case_writer_refuses(protobuf);
    struct echo echo = {.text = CMDS_STRING("a\xff")};
    CU_ASSERT_EQUAL(protobuf->size(protobuf, &echo_type, &echo), -EINVAL);
    struct maps maps = {.map = {&(struct cmds_map){NULL, 0}, 1}};
    CU_ASSERT_EQUAL(protobuf->size(protobuf, &maps_type, &maps), -EINVAL);
}

/* A cut is a value or none, but nothing is read behind it; and never the whole value. */
static void test_protobuf_prefixes_are_no_more_than_they_are(void)
{
    struct shop_order order;
    shop_order_fill(&order);
    for (size_t cut = 0; cut < sizeof(go_order); cut++) {
        int64_t used = case_outcome(protobuf, &shop_order_type, go_order, cut);
        CU_ASSERT(used == (int64_t)cut || used == CMDS_E_PROTO);
        struct shop_order *part = case_value(protobuf, &shop_order_type, go_order, cut);
        CU_ASSERT(part == NULL || !shop_order_equal(&order, part));
        free(part);
    }
}

/*
 * The size in front of a message and of packed numbers is written behind them: of one byte, of two, of
 * three, into room that ends with the value.
 */
static void test_protobuf_a_size_in_front_takes_the_room_it_needs(void)
{
    static int64_t numbers[16384];
    static const size_t borders[] = {0, 8100, 16376};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        numbers[i] = (int64_t)(i % 300);
    }
    for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
        for (size_t count = borders[i]; count < borders[i] + 130 && count <= 16384; count++) {
            struct parts parts = {.lists = {.numbers = {numbers, count}}};
            int64_t size = protobuf->size(protobuf, &parts_type, &parts);
            CU_ASSERT_FATAL(size >= 0);
            // As large as the value, so that a sanitizer sees a byte too many.
            uint8_t *exact = malloc(size > 0 ? (size_t)size : 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
            uint8_t *end = protobuf->encode(protobuf, &parts_type, &parts, exact, (size_t)size);
            CU_ASSERT_PTR_EQUAL(end, exact + size);
            struct parts *again = case_value(protobuf, &parts_type, exact, (size_t)size);
            CU_ASSERT_PTR_NOT_NULL_FATAL(again);
            CU_ASSERT_EQUAL(again->lists.numbers.count, count);
            free(again);
            free(exact);
        }
    }
}

static void test_protobuf_changed_bytes_are_survived(void)
{
    case_changed_bytes_are_survived(protobuf);
}

static void test_protobuf_lists_are_read_packed_and_not(void)
{
    struct outer *outer = case_value(protobuf, &outer_type,
            CASE_BYTES("\x0a\x0a\x0a\x03\x01\x96\x01\x08\x03\x0a"
                       "\x01\x04"         // Packed 1, 150; 3; packed 4.
                       "\x0a\x02\x08\x05" // A second part of inner.
                       "\x0a\x05\x15\0\0\xc0\x3f"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(outer);
    CU_ASSERT_EQUAL_FATAL(outer->inner.list.count, 5);
    static const int32_t expected[] = {1, 150, 3, 4, 5};
    CU_ASSERT_EQUAL(memcmp(outer->inner.list.items, expected, sizeof(expected)), 0);
    CU_ASSERT_EQUAL(outer->inner.real, 1.5f);
    free(outer);
    ACCEPTS(outer_type, "\x0a\x02\x0a\x00");
    REFUSES(outer_type, "\x0a\x03\x0a\x01\x80");                 // The last one does not end.
    REFUSES(outer_type, "\x0a\x07\x0a\x05\xff\xff\xff\xff\x7f"); // No int32.
}

static void test_protobuf_the_last_counts_and_unknown_is_skipped(void)
{
    struct echo *echo = case_value(protobuf, &echo_type,
            CASE_BYTES("\x10\x01\x7a\x03xyz\xf9\x01\0\0\0\0\0\0\0\0\xfd\x01\0\0\0\0\x10\x02"
                       "\x33\x08\x01\x3b\x3c\x34" // A group with another one in it,
                       "\x15\x01\x02\x03\x04"     // field 2 in 32 bits,
                       "\x1a\x01"
                       "a\x1a\x01"
                       "b"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT_EQUAL(echo->number, 2);
    CU_ASSERT(echo->text.size == 1 && echo->text.data[0] == 'b');
    free(echo);
    ACCEPTS(shop_order_type, "\x30\x01\x32\x02xx"); // 6, which was removed.
}

static void test_protobuf_what_is_no_message_is_refused(void)
{
    REFUSES(echo_type, "\x00\x01"); // Field 0.
    REFUSES(echo_type, "\x0e");     // Wire types 6, 7.
    REFUSES(echo_type, "\x0f");
    REFUSES(echo_type, "\x0c");                     // An end without a beginning,
    REFUSES(echo_type, "\x0b\x14");                 // of another group,
    REFUSES(echo_type, "\x0b\x08\x01");             // a beginning without an end.
    REFUSES(echo_type, "\x80\x80\x80\x80\x10\x01"); // Number 2^29.
    REFUSES(echo_type, "\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02");     // 65 bits.
    REFUSES(echo_type, "\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"); // 11 bytes.
    REFUSES(echo_type, "\x1a\x03xy");                                       // Beyond the end.
    REFUSES(echo_type, "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x");
    REFUSES(echo_type, "\x21\0\0\0\0\0\0\0");
    REFUSES(echo_type, "\x1a\x01\xff"); // No UTF-8.
    REFUSES(echo_type, "\x1a\x03\xed\xa0\x80");
    static uint8_t groups[100000];
    memset(groups, 0x0b, sizeof(groups));
    CU_ASSERT_EQUAL(case_outcome(protobuf, &echo_type, groups, sizeof(groups)), CMDS_E_LIMIT);
}

static void test_protobuf_numbers_are_exact_or_refused(void)
{
    ACCEPTS(case_numbers_type, "\x18\x80\xff\xff\xff\xff\xff\xff\xff\xff\x01"); // int8: -128
    REFUSES(case_numbers_type, "\x18\x80\x01");
    ACCEPTS(case_numbers_type, "\x20\xff\xff\x03");
    REFUSES(case_numbers_type, "\x20\x80\x80\x04");
    struct case_numbers *numbers = case_value(protobuf, &case_numbers_type, CASE_BYTES("\x38\x02"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(numbers);
    CU_ASSERT_TRUE(numbers->flag);
    free(numbers);
}

static void test_protobuf_limits_hold(void)
{
    ACCEPTS(case_limits_type, "\x0a\x03xyz");
    EXCEEDS(case_limits_type, "\x0a\x04xyz!");
    EXCEEDS(case_limits_type, "\x1a\x04xyz!");
    REFUSES(case_limits_type, "\x1a\x02x\0");
    REFUSES(case_limits_type, "\x22\x01x");
    ACCEPTS(case_limits_type, "\x2a\x00");
    EXCEEDS(case_limits_type, "\x2a\x00\x2a\x00");
    static uint8_t many[200000];
    for (size_t i = 0; i < sizeof(many); i += 2) {
        memcpy(many + i, "\x0a\0", 2); // An item of 24 bytes.
    }
    CU_ASSERT_EQUAL(case_outcome(protobuf, &case_list_type, many, sizeof(many)), CMDS_E_LIMIT);
}

/* Of a message in many parts the lists are moved seldom, or their room would be its square. */
static void test_protobuf_lists_come_in_many_parts(void)
{
    static uint8_t body[20000];
    struct cmds_arena arena;
    struct parts parts;
    void *exact = NULL;
    for (size_t i = 0; i < sizeof(body); i += 4) {
        memcpy(body + i, "\x0a\x02\x08\x01", 4);
    }
    struct cmds_bytes in = {body, sizeof(body)};
    CU_ASSERT_EQUAL(case_decode(protobuf, &parts_type, in, &parts, &arena, &exact), sizeof(body));
    CU_ASSERT_EQUAL_FATAL(parts.lists.numbers.count, sizeof(body) / 4);
    for (size_t i = 0; i < parts.lists.numbers.count; i++) {
        CU_ASSERT(parts.lists.numbers.items[i] == 1);
    }
    cmdi_arena_fini(&arena);
    free(exact);

    const char reals[] = "\x0a\x0a\x12\x08\0\0\0\0\0\0\xf8\x3f\x0a\x09\x11\0\0\0\0\0\0\xe0\x3f";
    struct parts *two = case_value(protobuf, &parts_type, reals, sizeof(reals) - 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(two);
    CU_ASSERT(two->lists.reals.count == 2 && two->lists.reals.items[0] == 1.5 &&
              two->lists.reals.items[1] == 0.5);
    free(two);
    REFUSES(parts_type, "\x0a\x09\x12\x07\0\0\0\0\0\0\xf8");        // No multiple of eight.
    ACCEPTS(echo_type, "\x83\x01\xe0\x81\x80\x80\x38\x01\x84\x01"); // As Go in a group: 2^29..
}

static void test_protobuf_check_names_what_cannot_be_carried(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(protobuf->check(protobuf, &shop_order_type, &error), 0);
    CU_ASSERT_EQUAL(protobuf->check(protobuf, &echo_c_type, &error), 0);
    CU_ASSERT_EQUAL(protobuf->check(protobuf, &maps_type, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "maps.map"));
    CU_ASSERT_EQUAL(protobuf->check(protobuf, &wrong_type, NULL), CMDS_E_SCHEMA);
    const struct cmds_type *const commands[] = {&echo_c_type};
    const struct cmds_type *const results[] = {&node_type};
    static struct cmds_protocol protocol;
    protocol = (struct cmds_protocol)CMDS_PROTOCOL("generated", commands, results);
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
}

/* --- By descriptor ---------------------------------------------------------------------------- */

static void test_protobuf_generated_messages_have_the_same_bytes(void)
{
    EchoMessage message = ECHO_MESSAGE__INIT;
    struct echo echo = {true, -5, CMDS_STRING("hi"), 1.5};
    char hi[] = "hi";
    message.bool_ = 1;
    message.int64 = -5;
    message.string = hi;
    message.float64 = 1.5;
    uint8_t body[64], ours[64];
    int64_t size = cmds_codec_encode(protobuf, echo_c_message(&message), body, sizeof(body));
    CU_ASSERT_EQUAL_FATAL(
            size, cmds_codec_encode(protobuf, echo_message(&echo), ours, sizeof(ours)));
    CU_ASSERT_EQUAL(memcmp(body, ours, (size_t)size), 0);
    EchoMessage *again = case_value(protobuf, &echo_c_type, body, (size_t)size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT(again->bool_ && again->int64 == -5 && again->float64 == 1.5);
    CU_ASSERT_STRING_EQUAL(again->string, "hi");
    free(again);
    CU_ASSERT_EQUAL(protobuf->size(protobuf, &echo_c_type, &(EchoMessage){0}), -EINVAL);
}

/* What is decoded is copied into one block, deep: the arena that it was built in is gone. */
static void test_protobuf_generated_messages_are_copied_whole(void)
{
    ShopNode child = SHOP_NODE__INIT, node = SHOP_NODE__INIT;
    char name[] = "child", tag[] = "tag", *tags[] = {tag, tag};
    uint8_t data[] = {0, 255};
    int64_t numbers[] = {1, -1};
    ShopNode *children[] = {&child};
    child.name = name;
    child.data = (ProtobufCBinaryData){2, data};
    node.zigzag = -7;
    node.fixed = 9;
    node.n_numbers = node.n_tags = 2;
    node.numbers = numbers;
    node.tags = tags;
    node.n_children = 1;
    node.children = children;
    node.choice_case = SHOP_NODE__CHOICE_NODE;
    node.node = &child;
    uint8_t body[256], second[256];
    int64_t size = cmds_codec_encode(protobuf, node_message(&node), body, sizeof(body) - 4);
    CU_ASSERT_FATAL(size > 0);
    memcpy(body + size, "\xfa\x07\x01x", 4); // And one that nobody knows: it is kept.
    ShopNode *again = case_value(protobuf, &node_type, body, (size_t)size + 4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_STRING_EQUAL(again->children[0]->name, "child");
    CU_ASSERT_STRING_EQUAL(again->name, "");
    CU_ASSERT_EQUAL(again->node->data.data[1], 255);
    CU_ASSERT_EQUAL(
            cmds_codec_encode(protobuf, node_message(again), second, sizeof(second)), size + 4);
    CU_ASSERT_EQUAL(memcmp(body, second, (size_t)size + 4), 0);
    size_t need = cmds_protobuf_copy(&node_schema, again, NULL, 0);
    void *block = malloc(need);
    CU_ASSERT_EQUAL(cmds_protobuf_copy(&node_schema, again, block, need), need);
    for (size_t room = 1; room < need; room++) {
        void *small = malloc(room);
        CU_ASSERT_EQUAL(cmds_protobuf_copy(&node_schema, again, small, room), need);
        free(small);
    }
    free(again);
    CU_ASSERT_EQUAL(
            cmds_codec_encode(protobuf, node_message(block), second, sizeof(second)), size + 4);
    free(block);
    void *zero = calloc(1, sizeof(ShopNode));
    CU_ASSERT_EQUAL(cmds_protobuf_copy(&node_schema, zero, NULL, 0), sizeof(ShopNode));
    free(zero);
}

static void test_protobuf_generated_messages_are_held_to_the_rules(void)
{
    REFUSES(echo_c_type, "\x1a\x02x\0"); // A C string would end there.
    REFUSES(echo_c_type, "\x1a\x01\xff");
    REFUSES(echo_c_type, "\x33\x34"); // A group.
    REFUSES(echo_c_type, "\x00\x01");
    REFUSES(echo_c_type, "\x1a\x03xy");
    ACCEPTS(echo_c_type, "\x7a\x01x");
    uint8_t deep[256];
    size_t at = sizeof(deep);
    for (int level = 0; level < 32; level++) {
        size_t inner = sizeof(deep) - at;
        if (inner >= 0x80) {
            deep[--at] = (uint8_t)(inner >> 7);
            deep[--at] = (uint8_t)(inner | 0x80);
        } else {
            deep[--at] = (uint8_t)inner;
        }
        deep[--at] = 0x3a; // children
        int64_t size = (int64_t)(sizeof(deep) - at);
        CU_ASSERT_EQUAL(case_outcome(protobuf, &node_type, deep + at, (size_t)size),
                level < 31 ? size : CMDS_E_LIMIT);
    }
    static uint8_t many[200000];
    for (size_t i = 0; i < sizeof(many); i += 2) {
        memcpy(many + i, "\x3a\0", 2);
    }
    CU_ASSERT_EQUAL(case_outcome(protobuf, &node_type, many, sizeof(many)), CMDS_E_LIMIT);
}

/* What Go would join or skip, and the library would join, cut or read wrongly. */
static void test_protobuf_generated_messages_are_not_mended(void)
{
    ACCEPTS(leaf_type, "\x3a\x02\x08\x01");
    REFUSES(leaf_type, "\x3a\x02\x08\x01\x3a\x00"); // A message in two parts.
    ACCEPTS(leaf_type, "\x6a\x00\x6a\x00");         // Two messages.
    REFUSES(node_type, "\x4a\x00\x4a\x00");
    REFUSES(leaf_type, "\x0a\x01\x00"); // A bool of another wire type.
    REFUSES(leaf_type, "\x0d\0\x01\0\0");
    REFUSES(leaf_type, "\x10\x01");
    REFUSES(leaf_type, "\x60\x01");
    ACCEPTS(leaf_type, "\x30\x01\x32\x02\x02\x03"); // Packed and not.
    REFUSES(leaf_type, "\x32\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
    ACCEPTS(leaf_type, "\x2a\x04\0\0\x80\x3f");
    REFUSES(leaf_type, "\x2a\x03\0\0\x80");
}

static int64_t leaf_size(const ShopLeaf *leaf)
{
    return protobuf->size(protobuf, &leaf_type, leaf);
}

/* What the library would fall over, and what the other side would refuse. */
static void test_protobuf_generated_messages_are_checked_before_they_go(void)
{
    ShopLeaf leaf = SHOP_LEAF__INIT, inner = SHOP_LEAF__INIT;
    char bad[] = "\xff", *strings[] = {NULL};
    ShopLeaf *others[] = {NULL};
    ShopNode node = SHOP_NODE__INIT;
    CU_ASSERT_EQUAL(leaf_size(&leaf), 0);
    leaf.data.len = 5;
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    shop_leaf__init(&leaf);
    leaf.raw.len = 5; // Not the one that is set,
    CU_ASSERT_EQUAL(leaf_size(&leaf), 0);
    leaf.choice_case = SHOP_LEAF__CHOICE_RAW; // and now it is.
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    shop_leaf__init(&leaf);
    leaf.inner = &inner;
    inner.name = bad;
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    leaf.inner = (ShopLeaf *)(void *)&node; // Another message.
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    shop_leaf__init(&leaf);
    leaf.n_others = 1;
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    leaf.others = others;
    CU_ASSERT_EQUAL(leaf_size(&leaf), -EINVAL);
    node.n_tags = 1;
    node.tags = strings;
    CU_ASSERT_EQUAL(protobuf->size(protobuf, &node_type, &node), -EINVAL);
    ShopLeaf chain[33];
    for (size_t i = 0; i < 33; i++) {
        shop_leaf__init(&chain[i]);
        chain[i].inner = i > 0 ? &chain[i - 1] : NULL;
    }
    CU_ASSERT(leaf_size(&chain[31]) > 0);
    CU_ASSERT_EQUAL(leaf_size(&chain[32]), CMDS_E_LIMIT); // As its reader would say.
}

static void test_protobuf_generated_lists_are_copied(void)
{
    const char body[] = "\x1a\x02\x01\x00\x22\x01x\x22\x00\x2a\x04\0\0\x80\x3f\x30\x07\x58\x01"
                        "\x6a\x02\x08\x01";
    uint8_t again[64];
    ShopLeaf *leaf = case_value(protobuf, &leaf_type, body, sizeof(body) - 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(leaf);
    CU_ASSERT(leaf->n_flags == 2 && leaf->flags[0] && !leaf->flags[1]);
    CU_ASSERT(leaf->n_blobs == 2 && leaf->blobs[0].len == 1 && leaf->blobs[0].data[0] == 'x');
    CU_ASSERT(leaf->n_floats == 1 && leaf->floats[0] == 1.0f && leaf->numbers[0] == 7);
    CU_ASSERT(leaf->n_others == 1 && leaf->others[0]->flag);
    CU_ASSERT(leaf_last_type.is_last(leaf));
    leaf->last = 0;
    CU_ASSERT_FALSE(leaf_last_type.is_last(leaf));
    CU_ASSERT(cmds_codec_encode(protobuf, leaf_message(leaf), again, sizeof(again)) > 0);
    free(leaf);
}

/* A type without rows would be nothing at all to another codec. */
static void test_protobuf_generated_messages_are_for_no_other_codec(void)
{
    ShopLeaf leaf = SHOP_LEAF__INIT;
    uint8_t body[8];
    void *value = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    const struct cmds_type *const commands[] = {&leaf_type}, *const results[] = {&node_type};
    const struct cmds_protocol shop = CMDS_PROTOCOL("shop", commands, results);
    CU_ASSERT_EQUAL(cmds_codec_encode(&cmds_codec_msgpack, leaf_message(&leaf), body, sizeof(body)),
            CMDS_E_SCHEMA);
    CU_ASSERT_EQUAL(cmds_codec_decode(&cmds_codec_msgpack, &leaf_type,
                            (struct cmds_bytes){"\x90", 1}, &value),
            CMDS_E_SCHEMA);
    CU_ASSERT_EQUAL(cmdi_codec_check(&cmds_codec_msgpack, &shop, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "leaf"));
    CU_ASSERT_EQUAL(cmdi_codec_check(protobuf, &shop, NULL), 0);
}

static void test_protobuf_a_traced_command_is_that_of_go(void)
{
    static const char context[] = "\x0a\x46\x0a\x0b"
                                  "traceparent"
                                  "\x12\x37" TRACED_PARENT;
    static const char empty[] = "";
    static const char none[] = "";
    static const char command[] = "\x12\x04\x08\x02\x10\x03";
    const struct traced_bytes bytes = {
            .context = {context, sizeof(context) - 1},
            .empty = {empty, sizeof(empty) - 1},
            .none = {none, sizeof(none) - 1},
            .command = {command, sizeof(command) - 1},
            .has_empty = false,
    };
    traced_case(protobuf, &bytes);
}

static CU_TestInfo tests[] = {
        {"every kind comes back", test_protobuf_every_kind_comes_back},
        {"bytes are those of go", test_protobuf_bytes_are_those_of_go},
        {"zero is nothing", test_protobuf_zero_is_nothing},
        {"writer refuses what cannot be sent", test_protobuf_writer_refuses_what_cannot_be_sent},
        {"prefixes are no more than they are", test_protobuf_prefixes_are_no_more_than_they_are},
        {"a size in front takes the room it needs",
                test_protobuf_a_size_in_front_takes_the_room_it_needs},
        {"changed bytes are survived", test_protobuf_changed_bytes_are_survived},
        {"lists are read packed and not", test_protobuf_lists_are_read_packed_and_not},
        {"the last counts and unknown is skipped",
                test_protobuf_the_last_counts_and_unknown_is_skipped},
        {"what is no message is refused", test_protobuf_what_is_no_message_is_refused},
        {"numbers are exact or refused", test_protobuf_numbers_are_exact_or_refused},
        {"limits hold", test_protobuf_limits_hold},
        {"lists come in many parts", test_protobuf_lists_come_in_many_parts},
        {"check names what cannot be carried", test_protobuf_check_names_what_cannot_be_carried},
        {"generated messages have the same bytes",
                test_protobuf_generated_messages_have_the_same_bytes},
        {"generated messages are copied whole", test_protobuf_generated_messages_are_copied_whole},
        {"generated messages are held to the rules",
                test_protobuf_generated_messages_are_held_to_the_rules},
        {"generated messages are not mended", test_protobuf_generated_messages_are_not_mended},
        {"generated messages are checked before they go",
                test_protobuf_generated_messages_are_checked_before_they_go},
        {"generated lists are copied", test_protobuf_generated_lists_are_copied},
        {"generated messages are for no other codec",
                test_protobuf_generated_messages_are_for_no_other_codec},
        {"a traced command is that of go", test_protobuf_a_traced_command_is_that_of_go},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("protobuf", tests)
