/* SPDX-License-Identifier: MIT */
/*
 * The codec mus. What may go wrong: another byte than Go's, a value that is not whole being taken
 * for one that is or for one that never can be, waiting for more bytes than there will be, memory
 * for a count that is only a claim.
 */
#include <cmdstream/codec_mus.h>

#define CASE_CODEC cmds_codec_mus
#include "codec/codec.h"
#include "support/codec_case.h"
#include "support/steep.h"
#include "support/traced.h"

/* Printed by mus-stream-go v0.10.1 as mus-gen calls it: varint integers, raw bytes and floats. */
static const uint8_t go_order[] = {0x10, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
        0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x03, 0x41, 0x64, 0x61, 0x0a, 0x72, 0x69, 0x6e, 0x67,
        0x20, 0x74, 0x77, 0x69, 0x63, 0x65, 0x03, 0x00, 0xff, 0x80, 0x07, 0x4d, 0x61, 0x69, 0x6e,
        0x20, 0x53, 0x74, 0x02, 0x44, 0x45, 0x02, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x0c, 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0xff,
        0xff, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xd0, 0xbf, 0x08, 0x00, 0x01, 0xfe, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x01, 0xfe, 0x01, 0x80, 0x02, 0x3f, 0x41, 0x03, 0x01, 0x61, 0x00, 0x0c, 0x77,
        0x69, 0x74, 0x68, 0x20, 0x00, 0x20, 0x69, 0x6e, 0x20, 0x69, 0x74, 0x03, 0x01, 0x00, 0x01,
        0x00, 0x53, 0x00, 0x07, 0x53, 0x69, 0x64, 0x65, 0x20, 0x53, 0x74, 0x02, 0x46, 0x52, 0x00,
        0x09, 0x62, 0x61, 0x63, 0x6b, 0x20, 0x64, 0x6f, 0x6f, 0x72, 0x02, 0x00, 0x09, 0x65, 0x6d,
        0x70, 0x74, 0x79, 0x20, 0x6b, 0x65, 0x79, 0x01, 0x6b, 0x01, 0x76, 0xd8, 0x04, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x01, 0xcd, 0xcc, 0xcc, 0x3d, 0x80, 0xff, 0xff, 0xff, 0x03, 0xff, 0xff, 0x03,
        0xff, 0xff, 0xff, 0xff, 0x0f, 0x9c, 0x75, 0x00, 0x88, 0x3c, 0xe4, 0x37, 0x7e, 0x01};

struct hollow {
    char unused;
};
CMDS_SCHEMA_(hollow, NULL, 0, CMDS_NO_CODE_);
struct hollows {
    CMDS_ARRAY_OF(struct hollow) items;
};
CMDS_COMMAND(hollows, 1, CMDS_ARRAY(items, hollow));

static const struct cmds_codec *const mus = &cmds_codec_mus;

static void test_mus_every_kind_comes_back(void)
{
    case_every_kind_comes_back(mus);
}

static void test_mus_bytes_are_those_of_go(void)
{
    case_go_vector(mus, go_order, sizeof(go_order));
    struct echo echo = {true, -5, CMDS_STRING("hi"), 1.5};
    uint8_t body[32];
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(mus, echo_message(&echo), body, sizeof(body)), 13);
    CU_ASSERT_EQUAL(memcmp(body, "\x01\x09\x02hi\0\0\0\0\0\0\xf8\x3f", 13), 0);
}

static void test_mus_writer_refuses_what_cannot_be_sent(void)
{
    case_writer_refuses(mus);
    struct cmds_string large = {"", (16 << 20) + 1};
    CU_ASSERT_EQUAL(mus->size(mus, &echo_type, &(struct echo){.text = large}), CMDS_E_LIMIT);
}

/* Every cut asks for more, and never for more than there is to come. */
static void test_mus_a_cut_value_says_how_much_is_missing_at_least(void)
{
    for (size_t cut = 0; cut < sizeof(go_order); cut++) {
        int64_t need = case_outcome(mus, &shop_order_type, go_order, cut);
        CU_ASSERT(need > (int64_t)cut && need <= (int64_t)sizeof(go_order));
    }
    CU_ASSERT_EQUAL(OUTCOME(echo_type, "\x01\x09\x90\x4e"
                                       "abc"),
            4 + 10000);                                            // All of the string.
    CU_ASSERT_EQUAL(OUTCOME(case_list_type, "\x64\x01"), 1 + 100); // An item: 1 + 1 + 8 bytes.
}

/* Sixteen levels of lists. */
struct level_p {
    CMDS_ARRAY_OF(int8_t) items;
};
CMDS_SCHEMA(level_p, CMDS_ARRAY(items));
#define LEVEL(outer, inner)                                                                        \
    struct level_##outer {                                                                         \
        CMDS_ARRAY_OF(struct level_##inner) items;                                                 \
    }
LEVEL(o, p);
CMDS_SCHEMA(level_o, CMDS_ARRAY(items, level_p));
LEVEL(n, o);
CMDS_SCHEMA(level_n, CMDS_ARRAY(items, level_o));
LEVEL(m, n);
CMDS_SCHEMA(level_m, CMDS_ARRAY(items, level_n));
LEVEL(l, m);
CMDS_SCHEMA(level_l, CMDS_ARRAY(items, level_m));
LEVEL(k, l);
CMDS_SCHEMA(level_k, CMDS_ARRAY(items, level_l));
LEVEL(j, k);
CMDS_SCHEMA(level_j, CMDS_ARRAY(items, level_k));
LEVEL(i, j);
CMDS_SCHEMA(level_i, CMDS_ARRAY(items, level_j));
LEVEL(h, i);
CMDS_SCHEMA(level_h, CMDS_ARRAY(items, level_i));
LEVEL(g, h);
CMDS_SCHEMA(level_g, CMDS_ARRAY(items, level_h));
LEVEL(f, g);
CMDS_SCHEMA(level_f, CMDS_ARRAY(items, level_g));
LEVEL(e, f);
CMDS_SCHEMA(level_e, CMDS_ARRAY(items, level_f));
LEVEL(d, e);
CMDS_SCHEMA(level_d, CMDS_ARRAY(items, level_e));
LEVEL(c, d);
CMDS_SCHEMA(level_c, CMDS_ARRAY(items, level_d));
LEVEL(b, c);
CMDS_SCHEMA(level_b, CMDS_ARRAY(items, level_c));
LEVEL(a, b);
CMDS_COMMAND(level_a, 7, CMDS_ARRAY(items, level_b));

/* Each look has `step` bytes more, and what the last one asked for. Returns: what the last said. */
static int64_t find_end(const struct cmds_type *type, const uint8_t *data, size_t size, size_t step)
{
    struct cmds_codec_place place = {{0}};
    int64_t need = 0;
    size_t there = 0;
    do {
        size_t next = there + step > (size_t)need ? there + step : (size_t)need;
        there = next < size ? next : size;
        uint8_t *copy = malloc(there + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, data, there);
        memset(copy, 0xff, (size_t)place.words[0]); // What was passed is not looked at again.
        need = mus->find_end(mus, type, (struct cmds_bytes){copy, there}, &place);
        free(copy);
    } while (need > (int64_t)there && need <= (int64_t)size);
    return need;
}

static void test_mus_the_end_is_found_in_pieces(void)
{
    for (size_t step = 1; step < sizeof(go_order); step++) {
        CU_ASSERT_EQUAL(find_end(&shop_order_type, go_order, sizeof(go_order), step),
                (int64_t)sizeof(go_order));
    }
    for (size_t cut = 0; cut < sizeof(go_order); cut++) {
        CU_ASSERT(find_end(&shop_order_type, go_order, cut, 1) > (int64_t)cut);
    }
    CU_ASSERT_EQUAL(find_end(&case_nothing_type, (const uint8_t *)"", 0, 1), 0);
    CU_ASSERT_EQUAL(find_end(&hollows_type, (const uint8_t *)"\x05-----", 6, 1), CMDS_E_PROTO);
    const uint8_t claim[] = {0, 0, 0x81, 0x80, 0x80, 0x08}; // A string of 16 MiB + 1.
    CU_ASSERT_EQUAL(find_end(&echo_type, claim, sizeof(claim), 1), CMDS_E_LIMIT);
}

/* A map that may be absent has a mark, a count and pairs: wherever it is cut, the walk goes on there. */
static void test_mus_the_end_is_found_behind_an_optional_map(void)
{
    static const char two[] = "\x00\x02\x01k\x03val\x00\x01v\x04\x06";
    static const char others[][5] = {{"\x01\x04\x06"}, {"\x00\x00\x04\x06"}};
    const size_t sizes[] = {3, 4};
    for (size_t step = 1; step <= sizeof(two); step++) {
        CU_ASSERT_EQUAL(find_end(&sum_traced_type, (const uint8_t *)two, sizeof(two) - 1, step),
                (int64_t)sizeof(two) - 1);
    }
    for (size_t cut = 0; cut < sizeof(two) - 1; cut++) {
        CU_ASSERT(find_end(&sum_traced_type, (const uint8_t *)two, cut, 1) > (int64_t)cut);
    }
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(find_end(&sum_traced_type, (const uint8_t *)others[i], sizes[i], 1),
                (int64_t)sizes[i]);
    }
}

/* Else a value in many pieces would cost its square. */
static void test_mus_a_look_keeps_what_it_has_passed(void)
{
    struct cmds_codec_place place = {{0}};
    size_t before = 0;
    for (size_t there = 1; there < sizeof(go_order); there++) {
        struct cmds_bytes in = {go_order, there};
        CU_ASSERT(mus->find_end(mus, &shop_order_type, in, &place) > (int64_t)there);
        CU_ASSERT(place.words[0] >= before && place.words[0] <= there);
        before = (size_t)place.words[0];
    }
    CU_ASSERT(before > sizeof(go_order) / 2);
}

/* Sixteen levels of lists, looked at anew for each byte. */
static void test_mus_deep_values_end_too(void)
{
    uint8_t deep[3 * 16 + 8];
    memset(deep, 1, sizeof(deep)); // A list of one at each level, at the bottom a list of one byte.
    int64_t size = case_outcome(mus, &level_a_type, deep, sizeof(deep));
    CU_ASSERT_FATAL(size > 16 && size < (int64_t)sizeof(deep));
    struct cmds_codec_place place = {{0}};
    for (int64_t there = 0; there < size; there++) {
        CU_ASSERT(mus->find_end(mus, &level_a_type, (struct cmds_bytes){deep, (size_t)there},
                          &place) > there);
    }
    CU_ASSERT_EQUAL(
            mus->find_end(mus, &level_a_type, (struct cmds_bytes){deep, sizeof(deep)}, &place),
            size);
}

/*
 * What a value may take depends on its bytes, of which only some have come: that is no reason to
 * refuse it. Whole, it is accepted, whatever lies behind it; made of nothing, it is refused.
 */
static void test_mus_a_large_value_may_come_in_pieces(void)
{
    enum {
        LINES = 200,
        TEXT = 100
    };
    static uint8_t body[LINES * (TEXT + 1) + 8192];
    struct line *lines = calloc(LINES, sizeof(*lines));
    struct steep steep = {0};
    struct cmds_arena arena;
    void *value = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(lines);
    for (size_t i = 0; i < LINES; i++) {
        memset(lines[i].text, 'x', TEXT);
    }
    steep.lines.items = lines;
    steep.lines.count = LINES;
    int64_t size = cmds_codec_encode(mus, steep_message(&steep), body, sizeof(body));
    CU_ASSERT_FATAL(size > LINES * TEXT && size < (int64_t)sizeof(body));
    cmdi_arena_init(&arena, 16 << 20);
    for (size_t cut = 3; cut < (size_t)size; cut += 97) {
        int64_t need = cmdi_codec_decode(
                mus, &steep_type, (struct cmds_bytes){body, cut}, NULL, &arena, &value);
        CU_ASSERT(need > (int64_t)cut && need <= size);
    }
    struct cmds_bytes in = {body, sizeof(body)};
    CU_ASSERT_EQUAL(cmdi_codec_decode(mus, &steep_type, in, NULL, &arena, &value), size);
    CU_ASSERT_EQUAL(strlen(((struct steep *)value)->lines.items[LINES - 1].text), TEXT);

    memset(lines, 0, LINES * sizeof(*lines));
    size = cmds_codec_encode(mus, steep_message(&steep), body, sizeof(body));
    CU_ASSERT_EQUAL(cmdi_codec_decode(mus, &steep_type, in, NULL, &arena, &value), CMDS_E_LIMIT);
    in.size = (size_t)size; // 64 bytes for each of these 4,300 are less than 200 lines of 4 KiB.
    CU_ASSERT_EQUAL(cmdi_codec_decode(mus, &steep_type, in, NULL, &arena, &value), CMDS_E_LIMIT);
    cmdi_arena_fini(&arena);
    free(lines);
}

static void test_mus_a_value_ends_where_it_ends(void)
{
    CU_ASSERT_EQUAL(OUTCOME(echo_type, "\x01\x09\x02hi\0\0\0\0\0\0\xf8\x3fnext"), 13);
    CU_ASSERT_EQUAL(OUTCOME(case_nothing_type, "next"), 0);
    CU_ASSERT_EQUAL(OUTCOME(case_nothing_type, ""), 0);
    void *value = case_value(mus, &case_nothing_type, "", 0);
    CU_ASSERT_PTR_NOT_NULL(value);
    free(value);
    CU_ASSERT_PTR_NULL(case_value(mus, &echo_type, "\x01", 1));               // Cut off.
    CU_ASSERT_PTR_NULL(case_value(mus, &case_nothing_type, CASE_BYTES("x"))); // Too much.
}

static void test_mus_changed_bytes_are_survived(void)
{
    case_changed_bytes_are_survived(mus);
}

static void test_mus_numbers_are_exact_or_refused(void)
{
    CU_ASSERT_EQUAL(OUTCOME(echo_type, "\x02"), CMDS_E_PROTO); // A bool.
    CU_ASSERT_EQUAL(
            OUTCOME(case_numbers_type, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(OUTCOME(case_numbers_type, "\0\0\0\xff\xff\x04"), CMDS_E_PROTO); // A uint16.
    // One byte more than it has.
    CU_ASSERT_EQUAL(OUTCOME(case_numbers_type, "\0\0\0\x80\x80\x80"), CMDS_E_PROTO);
    // The same, whole.
    REFUSES(case_numbers_type, "\0\0\0\x80\x80\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    CU_ASSERT_EQUAL(OUTCOME(case_numbers_type, "\0\0\0\x81\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
            19); // Longer than needed.
    CU_ASSERT_EQUAL(
            OUTCOME(case_numbers_type, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"), CMDS_E_PROTO);
}

static void test_mus_claims_cost_nothing(void)
{
    CU_ASSERT_EQUAL(OUTCOME(echo_type, "\0\0\x81\x80\x80\x08"), CMDS_E_LIMIT); // 16 MiB + 1.
    CU_ASSERT_EQUAL(
            OUTCOME(echo_type, "\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(OUTCOME(case_limits_type, "\x04"), CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(OUTCOME(case_limits_type, "\0\0\x04"), CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(OUTCOME(case_limits_type, "\0\0\x02x\0"), CMDS_E_PROTO); // NUL in a char[N].
    CU_ASSERT_EQUAL(OUTCOME(case_limits_type, "\0\0\0\x01"), CMDS_E_PROTO);  // One of two bytes.
    CU_ASSERT_EQUAL(OUTCOME(case_limits_type, "\0\0\0\x02xy\x02"), CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(OUTCOME(case_list_type, "\xff\xff\xff\x07"), 4 + ((16 << 20) - 1));
    static uint8_t many[90000] = {0xa0, 0x8d, 0x06}; // 100,000 items of a byte or more.
    CU_ASSERT_EQUAL(case_outcome(mus, &case_list_type, many, sizeof(many)), 3 + 100000);
}

static void test_mus_lists_of_nothing_are_refused_at_start(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(mus->check(mus, &shop_order_type, &error), 0);
    CU_ASSERT_EQUAL(mus->check(mus, &hollows_type, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "hollows.items"));
    void *value = NULL; // Nor does it fall over one that nobody checked.
    CU_ASSERT_EQUAL(cmds_codec_decode(mus, &hollows_type, (struct cmds_bytes){"\x05", 1}, &value),
            CMDS_E_PROTO);
}

static void test_mus_a_traced_command_is_that_of_go(void)
{
    static const char context[] = "\x00\x01\x0b"
                                  "traceparent"
                                  "\x37" TRACED_PARENT;
    static const char empty[] = "\x00\x00";
    static const char none[] = "\x01";
    static const char command[] = "\x04\x06";
    const struct traced_bytes bytes = {
            .context = {context, sizeof(context) - 1},
            .empty = {empty, sizeof(empty) - 1},
            .none = {none, sizeof(none) - 1},
            .command = {command, sizeof(command) - 1},
            .has_empty = true,
    };
    traced_case(mus, &bytes);
}

static CU_TestInfo tests[] = {
        {"every kind comes back", test_mus_every_kind_comes_back},
        {"bytes are those of Go", test_mus_bytes_are_those_of_go},
        {"writer refuses what cannot be sent", test_mus_writer_refuses_what_cannot_be_sent},
        {"a cut value says how much is missing at least",
                test_mus_a_cut_value_says_how_much_is_missing_at_least},
        {"the end is found in pieces", test_mus_the_end_is_found_in_pieces},
        {"the end is found behind an optional map",
                test_mus_the_end_is_found_behind_an_optional_map},
        {"a look keeps what it has passed", test_mus_a_look_keeps_what_it_has_passed},
        {"deep values end too", test_mus_deep_values_end_too},
        {"a large value may come in pieces", test_mus_a_large_value_may_come_in_pieces},
        {"a value ends where it ends", test_mus_a_value_ends_where_it_ends},
        {"changed bytes are survived", test_mus_changed_bytes_are_survived},
        {"numbers are exact or refused", test_mus_numbers_are_exact_or_refused},
        {"claims cost nothing", test_mus_claims_cost_nothing},
        {"lists of nothing are refused at start", test_mus_lists_of_nothing_are_refused_at_start},
        {"a traced command is that of go", test_mus_a_traced_command_is_that_of_go},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("mus", tests)
