/* SPDX-License-Identifier: MIT */
/*
 * The codec json. What may go wrong: another byte than Go's encoding/json writes, a number that loses a digit, a name that Go
 * would match and we do not, text that is cut or broken, and grammar that only one of two readers accepts: jansson reads
 * everything that we write, and what it refuses we refuse too.
 */
#include <cmdstream/codec_json.h>

#include <jansson.h>
#include <math.h>

#include "support/codec_case.h"
#include "json/json.h"

struct echo {
    bool flag;
    int64_t number;
    struct cmds_string text;
    double real;
};
CMDS_COMMAND(echo, 0, CMDS_AS(flag, "Bool"), CMDS_AS(number, "Int64"), CMDS_AS(text, "String"),
        CMDS_AS(real, "Float64"));
struct two {
    int64_t a, b;
};
CMDS_COMMAND(two, 1, CMDS_AS(a, "A"), CMDS_AS(b, "B"));
struct twins {
    int64_t lower, upper;
    CMDS_OPTIONAL_OF(struct two) pair;
    CMDS_ARRAY_OF(uint8_t) raw;
    struct two plain;
};
CMDS_COMMAND(twins, 6, CMDS_AS(lower, "name"), CMDS_AS(upper, "NAME"), CMDS_OPTIONAL(pair, two),
        CMDS_ARRAY(raw), CMDS_NESTED(plain, two));

static const struct cmds_codec *const json = &cmds_codec_json;
#define OUTCOME(type, literal)  case_outcome(json, &(type), CASE_BYTES(literal))
#define ACCEPTS(type, literal)  CU_ASSERT_EQUAL(OUTCOME(type, literal), (int64_t)sizeof(literal) - 1)
#define REFUSES(type, literal)  CU_ASSERT_EQUAL(OUTCOME(type, literal), CMDS_E_PROTO)
#define TOO_MUCH(type, literal) CU_ASSERT_EQUAL(OUTCOME(type, literal), CMDS_E_LIMIT)

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

/* String -> what Go writes for it. */
static void test_json_text_is_escaped_as_go_does(void)
{
    static const struct {
        struct cmds_string text;
        const char *written;
    } cases[] = {
            {CMDS_STRING("plain"), "plain"},
            {CMDS_STRING("\"\\/\b\f\n\r\t\0\x1f\x7f"),
                    "\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"},
            {CMDS_STRING("<a href='x'>&amp;</a>"),
                    "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"},
            {CMDS_STRING("\u2028 \u2029 \u202a"), "\\u2028 \\u2029 \u202a"},
            {CMDS_STRING("\xff\xc0\x80\xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82"),
                    "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd "
                    "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd"},
            {CMDS_STRING("\u00e9 \u20ac \U0001f600"), "\u00e9 \u20ac \U0001f600"},
            {CMDS_STRING("xxxxxxxxxxxxxxxxx<yyyyyyyyyyyyyyyy\xf0\x9f"),
                    "xxxxxxxxxxxxxxxxx\\u003cyyyyyyyyyyyyyyyy\\ufffd\\ufffd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct echo echo = {.text = cases[i].text};
        char body[256], expected[256];
        int size = snprintf(expected, sizeof(expected),
                "{\"Bool\":false,\"Int64\":0,\"String\":\"%s\",\"Float64\":0}", cases[i].written);
        CU_ASSERT_EQUAL_FATAL(
                cmds_codec_encode(json, echo_message(&echo), body, sizeof(body)), size);
        CU_ASSERT_EQUAL(memcmp(body, expected, (size_t)size), 0);
    }
}

static void test_json_floats_are_those_of_go(void)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } doubles[] = {
            {0x0000000000000000, "0"},
            {0x8000000000000000, "-0"},
            {0x3ff0000000000000, "1"},
            {0xbff8000000000000, "-1.5"},
            {0x3fb999999999999a, "0.1"},
            {0x4415af1d78b58c40, "100000000000000000000"},
            {0x444b1ae4d6e2ef50, "1e+21"},
            {0x441ac53a7e04bcda, "123456789012345680000"},
            {0x4450bb448ec2f608, "1.2345678901234568e+21"},
            {0x3eb0c6f7a0b5ed8d, "0.000001"},
            {0x3eb0c2ac1dbbe3d8, "9.99e-7"},
            {0x3e7ad7f29abcaf48, "1e-7"},
            {0x3de49da7e361ce4c, "1.5e-10"},
            {0x3e112e0be826d695, "1e-9"},
            {0x3ddb7cdfd9d7bdbb, "1e-10"},
            {0x7e37e43c8800759c, "1e+300"},
            {0x7fefffffffffffff, "1.7976931348623157e+308"},
            {0x0000000000000001, "5e-324"},
            {0x0010000000000000, "2.2250738585072014e-308"},
            {0x4340000000000000, "9007199254740992"},
            {0x4330000000000000, "4503599627370496"},
            {0x3fd5555555555555, "0.3333333333333333"},
            {0x4059000000000000, "100"},
            {0x430c6bf526340000, "1000000000000000"},
            {0x40fe240c9fbe76c9, "123456.789"},
            {0x3eb0000000000000, "9.5367431640625e-7"},
            {0x3ea0c6f7a0b5ed8d, "5e-7"},
    };
    char text[CMDI_JSON_NUMBER_MAX];
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        double value, again = 0;
        memcpy(&value, &doubles[i].bits, sizeof(value));
        size_t size = cmdi_json_format_f64(text, value);
        CU_ASSERT_EQUAL_FATAL(size, strlen(doubles[i].text));
        CU_ASSERT_EQUAL(memcmp(text, doubles[i].text, size), 0);
        CU_ASSERT_EQUAL(cmdi_json_parse_f64(text, size, &again), 0);
        CU_ASSERT_EQUAL(memcmp(&again, &value, sizeof(value)), 0);
    }
}

static void test_json_narrow_floats_are_those_of_go(void)
{
    static const struct {
        uint32_t bits;
        const char *text;
    } floats[] = {
            {0x3dcccccd, "0.1"},
            {0x3f800000, "1"},
            {0x4b800000, "16777216"},
            {0x7f7fffff, "3.4028235e+38"},
            {0x00000001, "1e-45"},
            {0x358637bd, "0.000001"},
            {0x35861561, "9.99e-7"},
            {0x6258d727, "1e+21"},
            {0x60ad78ec, "100000000000000000000"},
            {0x3eaaaaaa, "0.3333333"},
            {0x00800000, "1.1754944e-38"},
            {0x4c000000, "33554432"},
            {0xc0200000, "-2.5"},
    };
    char text[CMDI_JSON_NUMBER_MAX];
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        float value, again = 0;
        memcpy(&value, &floats[i].bits, sizeof(value));
        size_t size = cmdi_json_format_f32(text, value);
        CU_ASSERT_EQUAL_FATAL(size, strlen(floats[i].text));
        CU_ASSERT_EQUAL(memcmp(text, floats[i].text, size), 0);
        CU_ASSERT_EQUAL(cmdi_json_parse_f32(text, size, &again), 0);
        CU_ASSERT_EQUAL(memcmp(&again, &value, sizeof(value)), 0);
    }
}

/* Random bits as the C library prints them: what we read is what it reads, and what we write comes back. */
static void test_json_floats_agree_with_the_c_library(void)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        double value, read = 0, again = 0;
        char text[64], shortest[CMDI_JSON_NUMBER_MAX];
        memcpy(&value, &state, sizeof(value));
        if (!isfinite(value)) {
            continue;
        }
        int size = snprintf(text, sizeof(text), "%.*e", (int)(state % 24), value);
        int error = cmdi_json_parse_f64(text, (size_t)size, &read);
        CU_ASSERT(error == 0 ? read == strtod(text, NULL) : isinf(strtod(text, NULL)));
        size_t short_size = cmdi_json_format_f64(shortest, value);
        CU_ASSERT(short_size <= sizeof(shortest));
        CU_ASSERT_EQUAL(cmdi_json_parse_f64(shortest, short_size, &again), 0);
        CU_ASSERT_EQUAL(again, value);
    }
}

static void test_json_hard_numbers_are_rounded_right(void)
{
    static char digits[100020];
    double value = 0;
    float narrow = 0;
    memset(digits, '0', sizeof(digits));
    memcpy(digits, "9007199254740993", 16); // Half way between two doubles,
    digits[16] = '.';
    CU_ASSERT_EQUAL(cmdi_json_parse_f64(digits, 100000, &value), 0);
    CU_ASSERT_EQUAL(value, 9007199254740992.0);
    digits[99999] = '1'; // and just above it.
    CU_ASSERT_EQUAL(cmdi_json_parse_f64(digits, 100000, &value), 0);
    CU_ASSERT_EQUAL(value, 9007199254740994.0);
    memset(digits, '0', sizeof(digits));
    digits[1] = '.';
    memcpy(digits + 100000, "5e100000", 8);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64(digits, 100008, &value), 0);
    CU_ASSERT_EQUAL(value, 5.0 * 10);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("1e400", 5, &value), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("-1e99999999999", 14, &value), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("1e-99999999999", 14, &value), 0);
    CU_ASSERT_EQUAL(value, 0);
    CU_ASSERT_EQUAL(cmdi_json_parse_f32("1e39", 4, &narrow), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(cmdi_json_parse_f32("7.038531e-26", 12, &narrow), 0);
    CU_ASSERT_EQUAL(narrow, 7.038531e-26f); // By way of a double it would be the next one.
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

static void test_json_names_match_without_regard_to_case(void)
{
    struct echo *echo = case_value(json, &echo_type,
            CASE_BYTES("{\"bool\":true,\"INT64\":7,\"s\\u0074ring\":\"x\",\"fLoAt64\":2}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT(echo->flag && echo->number == 7 && echo->text.size == 1 && echo->real == 2);
    free(echo);
    echo = case_value(
            json, &echo_type, CASE_BYTES("{\"\u017ftring\":\"x\"}")); // A long s folds to s.
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT_EQUAL(echo->text.size, 1);
    free(echo);
    struct twins *twins =
            case_value(json, &twins_type, CASE_BYTES("{\"NAME\":2,\"name\":1,\"Name\":3}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(twins);
    CU_ASSERT_EQUAL(twins->upper, 2); // Exactly first; of those without regard to case, the first.
    CU_ASSERT_EQUAL(twins->lower, 3);
    free(twins);
    ACCEPTS(echo_type, "{\"Bool\\u0000x\":1}"); // Another name.
}

static void test_json_unknown_is_skipped_and_null_leaves(void)
{
    struct echo *echo = case_value(json, &echo_type,
            CASE_BYTES("{\"x\":[{\"y\":\"\\\"]\"}],\"Int64\":5,\"Int64\":null,\"String\":null,"
                       "\"z\":{}}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT_EQUAL(echo->number, 5);
    free(echo);
    struct twins *twins = case_value(json, &twins_type,
            CASE_BYTES("{\"pair\":{\"A\":1},\"pair\":{\"B\":2},\"plain\":{\"a\":1},\"plain\":{"
                       "\"b\":2},"
                       "\"raw\":[1,2,255]}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(twins);
    CU_ASSERT(twins->pair.has && twins->pair.value.a == 1 && twins->pair.value.b == 2);
    CU_ASSERT(twins->plain.a == 1 && twins->plain.b == 2);
    CU_ASSERT(twins->raw.count == 3 && twins->raw.items[2] == 255);
    free(twins);
    twins = case_value(json, &twins_type,
            CASE_BYTES("{\"pair\":{\"A\":1},\"pair\":null,\"pair\":{\"B\":2},\"raw\":\"AAE=\"}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(twins);
    CU_ASSERT(twins->pair.has && twins->pair.value.a == 0 && twins->pair.value.b == 2);
    CU_ASSERT(twins->raw.count == 2 && twins->raw.items[1] == 1);
    free(twins);
}

static void test_json_integers_are_exact_or_refused(void)
{
    ACCEPTS(case_numbers_type, "{\"i64\":9223372036854775807,\"u64\":18446744073709551615}");
    ACCEPTS(case_numbers_type, "{\"i64\":-9223372036854775808,\"i8\":-128,\"u16\":65535}");
    ACCEPTS(case_numbers_type, "{\"i64\":-0}");
    REFUSES(case_numbers_type, "{\"i64\":9223372036854775808}");
    REFUSES(case_numbers_type, "{\"i64\":-9223372036854775809}");
    REFUSES(case_numbers_type, "{\"u64\":18446744073709551616}");
    REFUSES(case_numbers_type, "{\"u64\":-1}");
    REFUSES(case_numbers_type, "{\"i8\":128}");
    REFUSES(case_numbers_type, "{\"u16\":65536}");
    REFUSES(case_numbers_type, "{\"i64\":1.0}");
    REFUSES(case_numbers_type, "{\"i64\":1e2}");
    REFUSES(case_numbers_type, "{\"i64\":\"1\"}");
    REFUSES(case_numbers_type, "{\"i64\":true}");
    REFUSES(case_numbers_type, "{\"flag\":1}");
    REFUSES(case_numbers_type, "{\"f64\":1e400}");
    REFUSES(case_numbers_type, "{\"f32\":1e39}");
    ACCEPTS(case_numbers_type, "{\"f32\":3.4028235e38,\"f64\":5e-324}");
}

static void test_json_text_is_read_as_go_does(void)
{
    static const struct {
        const char *body;
        struct cmds_string text;
    } cases[] = {
            {"{\"String\":\"\\u0041\\n\\/\\\"\"}", CMDS_STRING("A\n/\"")},
            {"{\"String\":\"\\ud83d\\ude00\"}", CMDS_STRING("\U0001f600")},
            {"{\"String\":\"\\ud83dx\\ude00\\ud83d\\u0041\"}", CMDS_STRING("\ufffdx\ufffd\ufffd"
                                                                           "A")},
            {"{\"String\":\"a\\u0000b\"}", CMDS_STRING("a\0b")},
            {"{\"String\":\"a\xff\xc3\xa9\xed\xa0\x80\"}",
                    CMDS_STRING("a\ufffd\u00e9\ufffd\ufffd\ufffd")},
            {"{\"String\":\"\"}", CMDS_STRING("")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct echo *echo = case_value(json, &echo_type, cases[i].body, strlen(cases[i].body));
        CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
        CU_ASSERT_TRUE(cmds_string_equal(echo->text, cases[i].text));
        free(echo);
    }
    REFUSES(case_limits_type, "{\"name\":\"a\\u0000\"}"); // A C string would end there.
}

static void test_json_base64_is_strict(void)
{
    ACCEPTS(shop_order_type, "{\"invoice\":\"\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":\"AA==\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":\"AA\\n==\\r\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":[0,255]}");
    REFUSES(shop_order_type, "{\"invoice\":\"A\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"A===\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA=\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA=A\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA==AAAA\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA====\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA-_\"}");
    REFUSES(shop_order_type, "{\"invoice\":[256]}");
}

static void test_json_limits_hold(void)
{
    ACCEPTS(case_limits_type,
            "{\"text\":\"xyz\",\"bytes\":\"AAAA\",\"name\":\"abc\",\"id\":[1,2]}");
    TOO_MUCH(case_limits_type, "{\"text\":\"xyz!\"}");
    TOO_MUCH(case_limits_type, "{\"bytes\":\"AAAAAA==\"}");
    TOO_MUCH(case_limits_type, "{\"name\":\"abcd\"}");
    REFUSES(case_limits_type, "{\"id\":[1]}");
    REFUSES(case_limits_type, "{\"id\":[1,2,3]}");
    ACCEPTS(case_limits_type, "{\"map\":{\"a\":\"b\"}}");
    TOO_MUCH(case_limits_type, "{\"map\":{\"a\":\"b\",\"c\":null}}");
    static char deep[100001];
    memcpy(deep, "{\"x\":", 5);
    memset(deep + 5, '[', sizeof(deep) - 5);
    CU_ASSERT_EQUAL(case_outcome(json, &echo_type, deep, sizeof(deep)), CMDS_E_LIMIT);
    memset(deep + 5 + 31, ']', 31);
    memcpy(deep + 5 + 62, "}", 1);
    CU_ASSERT_EQUAL(case_outcome(json, &echo_type, deep, 68), 68); // 32 are read.
    static char many[300000];
    memcpy(many, "{\"items\":[", 10);
    for (size_t i = 10; i + 3 <= sizeof(many); i += 3) {
        memcpy(many + i, "{},", 3);
    }
    CU_ASSERT_EQUAL(case_outcome(json, &case_list_type, many, sizeof(many)), CMDS_E_LIMIT);
}

static void test_json_keys_of_a_map_are_sorted(void)
{
    static const struct cmds_pair pairs[] = {{CMDS_STRING("b"), CMDS_STRING("1")},
            {CMDS_STRING("a"), CMDS_STRING("2")}, {CMDS_STRING("ab"), CMDS_STRING("3")},
            {CMDS_STRING("b"), CMDS_STRING("4")}};
    struct shop_order order = {.labels = {pairs, 4}};
    char body[1024];
    int64_t size = cmds_codec_encode(json, shop_order_message(&order), body, sizeof(body) - 1);
    CU_ASSERT_FATAL(size > 0);
    body[size] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(
            body, "{\"a\":\"2\",\"ab\":\"3\",\"b\":\"1\",\"b\":\"4\"}")); // The last stays last.
}

static CU_TestInfo tests[] = {
        {"every kind comes back", test_json_every_kind_comes_back},
        {"bytes are those of go", test_json_bytes_are_those_of_go},
        {"text is escaped as go does", test_json_text_is_escaped_as_go_does},
        {"floats are those of go", test_json_floats_are_those_of_go},
        {"narrow floats are those of go", test_json_narrow_floats_are_those_of_go},
        {"floats agree with the c library", test_json_floats_agree_with_the_c_library},
        {"hard numbers are rounded right", test_json_hard_numbers_are_rounded_right},
        {"writer refuses what cannot be sent", test_json_writer_refuses_what_cannot_be_sent},
        {"another reader understands it", test_json_another_reader_understands_it},
        {"every prefix is refused", test_json_every_prefix_is_refused},
        {"changed bytes are survived", test_json_changed_bytes_are_survived},
        {"grammar is that of another reader", test_json_grammar_is_that_of_another_reader},
        {"names match without regard to case", test_json_names_match_without_regard_to_case},
        {"unknown is skipped and null leaves", test_json_unknown_is_skipped_and_null_leaves},
        {"integers are exact or refused", test_json_integers_are_exact_or_refused},
        {"text is read as go does", test_json_text_is_read_as_go_does},
        {"base64 is strict", test_json_base64_is_strict},
        {"limits hold", test_json_limits_hold},
        {"keys of a map are sorted", test_json_keys_of_a_map_are_sorted},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json", tests)
