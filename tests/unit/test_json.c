/* SPDX-License-Identifier: MIT */
/*
 * The codec json. What may go wrong: another byte than Go's encoding/json writes, an integer that
 * loses a digit, a field that keeps or loses what came before, a body that is cut, and grammar that
 * only one of two readers accepts: jansson reads everything that we write, and what it refuses we
 * refuse too. The rest is in test_json_number.c, _text.c, _list.c and _limit.c.
 */
#include <cmdstream/codec_json.h>

#include <jansson.h>
#include <math.h>

#define CASE_CODEC cmds_codec_json
#include "support/codec_case.h"
#include "support/traced.h"

struct two {
    int64_t a, b;
};
CMDS_COMMAND(two, 1, CMDS_AS(a, "A"), CMDS_AS(b, "B"));
struct parts {
    CMDS_OPTIONAL_OF(struct two) pair;
    CMDS_ARRAY_OF(uint8_t) raw;
    struct two plain;
};
CMDS_COMMAND(parts, 6, CMDS_OPTIONAL(pair, two), CMDS_ARRAY(raw), CMDS_NESTED(plain, two));

static const struct cmds_codec *const json = &cmds_codec_json;

/* The same value by Go's encoding/json. */
static const char go_order[] =
        "{\"id\":[48,49,50,51,52,53,54,55,56,57,97,98,99,100,101,102],\"Customer\":\"Ada\""
        ",\"note\":\"ring twice\",\"invoice\":\"AP+A\",\"address\":{\"street\":\"Main St\""
        ",\"country\":\"DE\"},\"items\":[{\"sku\":1,\"quantity\":-2,\"price\":3.5},{\"sku"
        "\":18446744073709551615,\"quantity\":-2147483648,\"price\":-0.25}],\"coupons\":["
        "0,-1,9223372036854775807,-9223372036854775808,127,128,-32,-33],\"tags\":[\"a\",\""
        "\",\"with \\u0000 in it\"],\"flags\":[true,false,true],\"limit\":-42,\"billing\""
        ":{\"street\":\"Side St\",\"country\":\"FR\"},\"hint\":\"back door\",\"labels\":{"
        "\"\":\"empty key\",\"k\":\"v\"},\"state\":300,\"big\":-9223372036854775808,\"wei"
        "ght\":18446744073709551615,\"rate\":0.1,\"i8\":-128,\"u8\":255,\"i16\":-32768,\""
        "u16\":65535,\"u32\":4294967295,\"real\":1e+300,\"gift\":true}";

static void test_json_every_kind_comes_back(void)
{
    case_every_kind_comes_back(json);
}

static void test_json_bytes_are_those_of_go(void)
{
    case_go_vector(json, go_order, sizeof(go_order) - 1);
    struct echo echo = {true, -5, CMDS_STRING("hi"), 1.5};
    char body[128];
    static const char expected[] = "{\"Bool\":true,\"Int64\":-5,\"String\":\"hi\",\"Float64\":1.5}";
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(json, echo_message(&echo), body, sizeof(body)), 0x34);
    CU_ASSERT_EQUAL(memcmp(body, expected, 0x34), 0);
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_encode(json, two_message(&(struct two){3, 4}), body, sizeof(body)), 0x0d);
    CU_ASSERT_EQUAL(memcmp(body, "{\"A\":3,\"B\":4}", 0x0d), 0);
    CU_ASSERT_EQUAL(
            cmds_codec_encode(json, case_nothing_message(&(struct case_nothing){0}), body, 2), 2);
    CU_ASSERT_EQUAL(memcmp(body, "{}", 2), 0);
}

static void test_json_writer_refuses_what_cannot_be_sent(void)
{
    case_writer_refuses(json);
    struct case_numbers numbers = {.f64 = (double)NAN};
    CU_ASSERT_EQUAL(json->size(json, &case_numbers_type, &numbers), -EINVAL);
    numbers = (struct case_numbers){.f32 = INFINITY};
    CU_ASSERT_EQUAL(json->size(json, &case_numbers_type, &numbers), -EINVAL);
}

/* For each value of a type: jansson reads what we write. */
static void test_json_another_reader_understands_it(void)
{
    struct shop_order order;
    char body[CASE_BODY_MAX];
    shop_order_fill(&order);
    order.weight = 7; // A uint64_t above INT64_MAX is what jansson cannot hold.
    static const struct shop_item items[] = {{12, 3, 0.1}};
    order.items.items = items;
    order.items.count = 1;
    int64_t size = cmds_codec_encode(json, shop_order_message(&order), body, sizeof(body));
    CU_ASSERT_FATAL(size > 0);
    json_t *tree = json_loadb(body, (size_t)size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(tree, "big")), INT64_MIN);
    CU_ASSERT_EQUAL(json_real_value(json_object_get(tree, "real")), 1e300);
    CU_ASSERT_EQUAL(json_string_length(json_array_get(json_object_get(tree, "tags"), 2)), 12);
    CU_ASSERT_TRUE(json_is_true(json_object_get(tree, "gift")));
    json_decref(tree);
}

static void test_json_every_prefix_is_refused(void)
{
    for (size_t cut = 0; cut + 1 < sizeof(go_order); cut++) {
        CU_ASSERT_EQUAL(case_outcome(json, &shop_order_type, go_order, cut), CMDS_E_PROTO);
    }
}

static void test_json_changed_bytes_are_survived(void)
{
    case_changed_bytes_are_survived(json);
}

/* What jansson refuses as grammar, we refuse; both as a value that is skipped and as the whole. */
static void test_json_grammar_is_that_of_another_reader(void)
{
    static const char *const values[] = {"01", "-", "-01", "1.", ".5", "+1", "1e", "1e+", "0x10",
            "NaN", "Infinity", "tru", "truee", "nul", "True", "\"\\x\"", "\"\\u12g4\"",
            "\"\\u123\"", "\"a", "\"\n\"", "[1,]", "[,1]", "[1 2]", "{\"a\":1,}", "{\"a\" 1}",
            "{a:1}", "{1:2}", "[1}", "{\"a\":1]", "// c\n1", "/* c */1", "'a'", "1 2", "[[[]]",
            "[]]", "{\"a\":}", "\xef\xbb\xbf[1]", "", "1", "-0", "1.5e+07", "[]", "{}", "[[],{}]",
            "\"\\ud83d\\ude00\"", "[1,{\"a\":[null,true]}]", " 1 ", "\"\\/\"", "1E5", "0", "0.0",
            "[\t1\r\n,2 ]"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char body[128];
        int size = snprintf(body, sizeof(body), "{\"unknown\":%s}", values[i]);
        json_t *tree = json_loadb(body, (size_t)size, 0, NULL);
        int64_t used = case_outcome(json, &echo_type, body, (size_t)size);
        CU_ASSERT_EQUAL(used, tree != NULL ? size : CMDS_E_PROTO);
        json_decref(tree);
    }
    REFUSES(echo_type, "");
    REFUSES(echo_type, "  ");
    REFUSES(echo_type, "[]");
    REFUSES(echo_type, "1");
    REFUSES(echo_type, "{} x");
    REFUSES(echo_type, "\xef\xbb\xbf{}");
    ACCEPTS(echo_type, " \t\r\n{ } \n");
    ACCEPTS(echo_type, "null");
}

static void test_json_unknown_is_skipped_and_null_leaves(void)
{
    struct echo *echo = case_value(json, &echo_type,
            CASE_BYTES("{\"x\":[{\"y\":\"\\\"]\"}],\"Int64\":5,\"Int64\":null,\"String\":null,"
                       "\"z\":{}}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT_EQUAL(echo->number, 5);
    free(echo);
    struct parts *parts = case_value(json, &parts_type,
            CASE_BYTES("{\"pair\":{\"A\":1},\"pair\":{\"B\":2},\"plain\":{\"a\":1},\"plain\":{"
                       "\"b\":2},\"raw\":[1,2,255]}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(parts);
    CU_ASSERT(parts->pair.has && parts->pair.value.a == 1 && parts->pair.value.b == 2);
    CU_ASSERT(parts->plain.a == 1 && parts->plain.b == 2);
    CU_ASSERT(parts->raw.count == 3 && parts->raw.items[2] == 255);
    free(parts);
    parts = case_value(json, &parts_type,
            CASE_BYTES("{\"pair\":{\"A\":1},\"pair\":null,\"pair\":{\"B\":2},\"raw\":\"AAE=\"}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(parts);
    CU_ASSERT(parts->pair.has && parts->pair.value.a == 0 && parts->pair.value.b == 2);
    CU_ASSERT(parts->raw.count == 2 && parts->raw.items[1] == 1);
    free(parts);
}

static void test_json_integers_are_exact_or_refused(void)
{
    ACCEPTS(case_numbers_type, "{\"i64\":9223372036854775807,\"u64\":18446744073709551615}");
    ACCEPTS(case_numbers_type, "{\"i64\":-9223372036854775808,\"i8\":-128,\"u16\":65535}");
    ACCEPTS(case_numbers_type, "{\"i64\":-0,\"i8\":127,\"u64\":0}");
    REFUSES(case_numbers_type, "{\"u64\":-0}"); // As Go does.
    REFUSES(case_numbers_type, "{\"i8\":-129}");
    REFUSES(case_numbers_type, "{\"i64\":18446744073709551615}");
    REFUSES(case_numbers_type, "{\"i64\":-18446744073709551615}");
    REFUSES(case_numbers_type, "{\"u64\":99999999999999999999999}");
    REFUSES(case_numbers_type, "{\"i64\":9223372036854775808}");
    REFUSES(case_numbers_type, "{\"i64\":-9223372036854775809}");
    REFUSES(case_numbers_type, "{\"u64\":18446744073709551616}");
    REFUSES(case_numbers_type, "{\"u64\":-1}");
    REFUSES(case_numbers_type, "{\"i8\":128}");
    REFUSES(case_numbers_type, "{\"u16\":65536}");
    // With enough behind it for eight digits at once, and without.
    REFUSES(case_numbers_type, "{\"i64\":007}");
    REFUSES(case_numbers_type, "{\"i64\":-07,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":00.5,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":1.,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":.5,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":1e,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":1e+,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"f64\":-,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"i64\":+1,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"i64\":1.0,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"i64\":1E2,\"flag\":false}");
    ACCEPTS(case_numbers_type, "{\"f64\":-0.25E+2 ,\"i64\":0 ,\"flag\":false}");
    REFUSES(case_numbers_type, "{\"i64\":1.0}");
    REFUSES(case_numbers_type, "{\"i64\":1e2}");
    REFUSES(case_numbers_type, "{\"i64\":\"1\"}");
    REFUSES(case_numbers_type, "{\"i64\":true}");
    REFUSES(case_numbers_type, "{\"flag\":1}");
    REFUSES(case_numbers_type, "{\"f64\":1e400}");
    REFUSES(case_numbers_type, "{\"f32\":1e39}");
    ACCEPTS(case_numbers_type, "{\"f32\":3.4028235e38,\"f64\":5e-324}");
}

static void test_json_a_traced_command_is_that_of_go(void)
{
    static const char context[] = "{\"MapCarrier\":{\"traceparent\":\"" TRACED_PARENT "\"},";
    static const char empty[] = "{\"MapCarrier\":{},";
    static const char none[] = "{\"MapCarrier\":null,";
    static const char command[] = "\"Cmd\":{\"A\":2,\"B\":3}}";
    const struct traced_bytes bytes = {
            .context = {context, sizeof(context) - 1},
            .empty = {empty, sizeof(empty) - 1},
            .none = {none, sizeof(none) - 1},
            .command = {command, sizeof(command) - 1},
            .has_empty = true,
    };
    traced_case(json, &bytes);
}

static CU_TestInfo tests[] = {
        {"every kind comes back", test_json_every_kind_comes_back},
        {"bytes are those of go", test_json_bytes_are_those_of_go},
        {"writer refuses what cannot be sent", test_json_writer_refuses_what_cannot_be_sent},
        {"another reader understands it", test_json_another_reader_understands_it},
        {"every prefix is refused", test_json_every_prefix_is_refused},
        {"changed bytes are survived", test_json_changed_bytes_are_survived},
        {"grammar is that of another reader", test_json_grammar_is_that_of_another_reader},
        {"unknown is skipped and null leaves", test_json_unknown_is_skipped_and_null_leaves},
        {"integers are exact or refused", test_json_integers_are_exact_or_refused},
        {"a traced command is that of go", test_json_a_traced_command_is_that_of_go},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json", tests)
