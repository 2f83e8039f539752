/* SPDX-License-Identifier: MIT */
/*
 * JSON to structs and back. What may go wrong: a number cut to its field, a wrong type taken
 * silently, a message that does not say which member, a number that reads back as another or has
 * more digits than it needs, bytes that are not UTF-8, a terminal that obeys what is printed.
 */
#include "tool/json.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "support/harness.h"
#include "tool/test_protocol.h"

struct json_all {
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    float f32;
    struct cmds_bytes blob;
};
CMDS_SCHEMA(json_all, i8, u8, i16, u16, i32, u32, i64, u64, f32, blob);

static char text[TOOL_JSON_TEXT_SIZE];
static struct tool_memory memory; // Of the value that was read last.

static int json_take_of(const struct cmds_schema *schema, const char *name, const char *json,
        size_t size, void *value)
{
    memset(value, 0, schema->value_size);
    text[0] = '\0';
    cmdi_tool_memory_free(&memory);
    char *exact = malloc(size > 0 ? size : 1); // A sanitizer sees a read behind it.
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, json, size);
    int code = cmdi_tool_json_read(
            schema, name, (struct cmds_string){exact, size}, &memory, value, text);
    free(exact);
    return code;
}

static int json_take(
        const struct cmds_schema *schema, const char *name, const char *json, void *value)
{
    return json_take_of(schema, name, json, strlen(json), value);
}

/* Returns: were all bytes UTF-8? */
static bool json_expect(const struct cmds_schema *schema, const void *value, const char *expected)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    bool is_text = cmdi_tool_json_write(out, schema, "t", value);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(line, expected);
    free(line);
    return is_text;
}

/* The value as a result prints it. */
static void json_expect_double(double value, const char *expected)
{
    char line[128];
    struct result_echo echo = {.string = CMDS_STRING(""), .float64 = value};
    snprintf(line, sizeof(line),
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":%s}", expected);
    CU_ASSERT_TRUE(json_expect(&result_echo_schema, &echo, line));
}

struct json_single {
    float f32;
};
CMDS_SCHEMA(json_single, f32);

static void json_expect_single(float value, const char *expected)
{
    char line[64];
    snprintf(line, sizeof(line), "{\"type\":\"t\",\"f32\":%s}", expected);
    CU_ASSERT_TRUE(json_expect(&json_single_schema, &(struct json_single){value}, line));
}

static bool json_expect_string(const char *data, size_t size, const char *expected)
{
    char line[256];
    struct result_echo echo = {.string = {data, size}};
    snprintf(line, sizeof(line),
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"%s\",\"float64\":0}",
            expected);
    return json_expect(&result_echo_schema, &echo, line);
}
#define json_expect_literal(literal_, expected_)                                                   \
    json_expect_string(literal_, sizeof(literal_) - 1, expected_)

static void test_json_takes_every_member(void)
{
    struct command_echo echo;

    int code = json_take(&command_echo_schema, "echo",
            "{\"bool\":true,\"int64\":-5,\"string\":\"hi\",\"float64\":1.5}", &echo);

    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT(echo.boolean && echo.int64 == -5);
    CU_ASSERT_EQUAL(echo.string.size, 2);
    CU_ASSERT_EQUAL(memcmp(echo.string.data, "hi", 2), 0);
    CU_ASSERT(echo.float64 > 1.49 && echo.float64 < 1.51);
}

static void test_json_members_may_be_absent_and_of_any_case(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{}", &echo), 0);
    CU_ASSERT_EQUAL(echo.int64, 0);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"INT64\":7}", &echo), 0);
    CU_ASSERT_EQUAL(echo.int64, 7);
}

static void test_json_names_the_unknown_member_and_the_known(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"strng\":\"x\"}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(
            text, "echo has no field \"strng\"; did you mean \"string\"?, at column 2");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"other\":\"x\"}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text,
            "echo has no field \"other\"; its fields: bool, int64, string, float64, at column 2");

    struct command_fail fail;
    CU_ASSERT_EQUAL(json_take(&command_fail_schema, "fail", "{\"a\":1}", &fail), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "fail has no field \"a\"; it has none at all, at column 2");
}

static void test_json_says_what_a_member_takes(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"int64\":\"5\"}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo.int64 takes an integer, not a string, at column 10");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"int64\":1.0}", &echo), -EINVAL);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"bool\":1}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo.bool takes true or false, not an integer, at column 9");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"string\":null}", &echo), -EINVAL);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "[1]", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo takes an object, not an array, at column 1");
}

static void test_json_refuses_an_integer_beside_its_range(void)
{
    struct json_all all;
    static const char *const bad[] = {"{\"i8\":128}", "{\"i8\":-129}", "{\"u8\":256}",
            "{\"u8\":-1}", "{\"i16\":32768}", "{\"u16\":65536}", "{\"i32\":2147483648}",
            "{\"u32\":4294967296}", "{\"u64\":-1}", "{\"u64\":18446744073709551616}",
            "{\"i64\":9223372036854775808}", "{\"blob\":\"x\"}"};
    static const char *const good[] = {"{\"i8\":127}", "{\"i8\":-128}", "{\"u8\":255}",
            "{\"i16\":-32768}", "{\"u16\":65535}", "{\"i32\":-2147483648}", "{\"u32\":4294967295}",
            "{\"i64\":-9223372036854775808}", "{\"u64\":18446744073709551615}"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", bad[i], &all), -EINVAL);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", good[i], &all), 0);
    }
    CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", "{\"u8\":256}", &all), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "all.u8 takes 0 to 255, not 256, at column 7");
}

static void test_json_integers_come_back_whole(void)
{
    struct json_all all = {INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX,
            INT64_MIN, UINT64_MAX, 0.5F, {0}};

    json_expect(&json_all_schema, &all,
            "{\"type\":\"t\",\"i8\":-128,\"u8\":255,\"i16\":-32768,\"u16\":65535,\"i32\":-"
            "2147483648,"
            "\"u32\":4294967295,\"i64\":-9223372036854775808,\"u64\":18446744073709551615,\"f32\":"
            "0.5,\"blob\":\"\"}");
}

static void test_json_result_is_printed_in_schema_order(void)
{
    struct result_echo echo = {false, -5, CMDS_STRING("hi"), 0};

    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":-5,\"string\":\"hi\",\"float64\":0}");
}

static void test_json_floats_are_as_short_as_they_can_be(void)
{
    json_expect_double(0.1, "0.1");
    json_expect_double(1.5, "1.5");
    json_expect_double(-3, "-3");
    json_expect_double(-0.0, "-0");
    json_expect_double(1e15, "1000000000000000");
    json_expect_double(1e300, "1e+300");
    json_expect_double(5e-324, "5e-324");
    json_expect_double(0.1 + 0.2, "0.30000000000000004");
    json_expect_double(DBL_MAX, "1.7976931348623157e+308");
    json_expect_single(0.1F, "0.1");
    json_expect_single(16777216.0F * 3, "5.033165e+07");
    json_expect_single(FLT_MAX, "3.4028235e+38");
}

static void test_json_every_double_reads_back(void)
{
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) {
            continue;
        }
        char *line = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&line, &size);
        struct result_echo echo = {.string = CMDS_STRING(""), .float64 = value}, back = {0};
        (void)cmdi_tool_json_write_value(out, &result_echo_schema, &echo);
        fclose(out);
        CU_ASSERT_EQUAL(json_take(&result_echo_schema, "t", line, &back), 0);
        CU_ASSERT_EQUAL(memcmp(&back.float64, &value, sizeof(value)), 0);
        free(line);
    }
}

static void test_json_what_is_no_number_is_a_word(void)
{
    struct command_echo echo;

    json_expect_double((double)NAN, "\"NaN\"");
    json_expect_double((double)INFINITY, "\"Infinity\"");
    json_expect_double(-(double)INFINITY, "\"-Infinity\"");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"float64\":\"NaN\"}", &echo), 0);
    CU_ASSERT(isnan(echo.float64));
    CU_ASSERT_EQUAL(
            json_take(&command_echo_schema, "echo", "{\"float64\":\"-Infinity\"}", &echo), 0);
    CU_ASSERT(isinf(echo.float64) && echo.float64 < 0);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"float64\":\"1\"}", &echo), -EINVAL);
    struct json_single single;
    CU_ASSERT_EQUAL(json_take(&json_single_schema, "s", "{\"f32\":1e39}", &single), -EINVAL);
}

static void test_json_a_member_twice_is_refused(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(
            json_take(&command_echo_schema, "echo", "{\"int64\":1,\"INT64\":2}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo.int64 is there twice, at column 12");
}

static void test_json_a_nul_is_taken_and_printed(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(
            json_take(&command_echo_schema, "echo", "{\"string\":\"a\\u0000b\"}", &echo), 0);

    CU_ASSERT_EQUAL(echo.string.size, 3);
    CU_ASSERT_EQUAL(memcmp(echo.string.data, "a\0b", 3), 0);
    CU_ASSERT_TRUE(json_expect_literal("a\0b", "a\\u0000b"));
}

static void test_json_a_terminal_obeys_nothing(void)
{
    CU_ASSERT_TRUE(json_expect_literal("\x1b[31m\x7f\n\t\"\\", "\\u001b[31m\\u007f\\n\\t\\\"\\\\"));
    CU_ASSERT_TRUE(json_expect_literal("\xc2\x9b"
                                       "2J",
            "\\u009b2J")); // C1: CSI.
    CU_ASSERT_TRUE(json_expect_literal("\xc2\xa0\xc3\xbb", "\xc2\xa0\xc3\xbb"));
}

static void test_json_bytes_that_are_not_utf8_are_shown(void)
{
#define BAD "\xef\xbf\xbd"
    CU_ASSERT_FALSE(json_expect_literal("a\xff"
                                        "b",
            "a" BAD "b"));
    CU_ASSERT_FALSE(json_expect_literal("\xc3", BAD));                         // Cut.
    CU_ASSERT_FALSE(json_expect_literal("\xc0\x80", BAD BAD));                 // Too long for NUL.
    CU_ASSERT_FALSE(json_expect_literal("\xed\xa0\x80", BAD BAD BAD));         // A surrogate.
    CU_ASSERT_FALSE(json_expect_literal("\xf4\x90\x80\x80", BAD BAD BAD BAD)); // Above U+10FFFF.
    CU_ASSERT_TRUE(json_expect_literal("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"));
    CU_ASSERT_TRUE(json_expect_string(NULL, 0, ""));
#undef BAD
}

/* --- Every kind ------------------------------------------------------------------------------- */

enum json_colour {
    JSON_RED,
    JSON_GREEN
};
struct json_item {
    struct cmds_string name;
    uint16_t price;
};
CMDS_SCHEMA(json_item, CMDS_MAX(name, 8), price);
struct json_order {
    struct json_item first;
    CMDS_ARRAY_OF(struct json_item) items;
    CMDS_OPTIONAL_OF(struct json_item) gift;
    CMDS_OPTIONAL_OF(int32_t) rank;
    CMDS_ARRAY_OF(double) rates;
    CMDS_ARRAY_OF(uint8_t) raw;
    CMDS_ARRAY_OF(struct cmds_string) words;
    struct cmds_map notes;
    struct cmds_bytes body;
    char code[5];
    uint8_t key[3];
    enum json_colour colour;
};
CMDS_SCHEMA(json_order, CMDS_NESTED(first, json_item), CMDS_ARRAY(items, json_item),
        CMDS_OPTIONAL(gift, json_item), CMDS_OPTIONAL(rank), CMDS_ARRAY(rates), CMDS_ARRAY(raw),
        CMDS_ARRAY(words), CMDS_MAX(notes, 2), body, code, key, colour);

static int json_take_order(const char *json, struct json_order *order)
{
    return json_take(&json_order_schema, "order", json, order);
}

/* What is read is written as it was. */
static void json_round(const struct cmds_schema *schema, const char *json)
{
    void *value = calloc(1, schema->value_size);
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(json_take(schema, "t", json, value), 0);
    CU_ASSERT_TRUE(cmdi_tool_json_write_value(out, schema, value));
    fclose(out);
    CU_ASSERT_STRING_EQUAL(line, json);
    CU_ASSERT_STRING_EQUAL(text, "");
    free(line);
    free(value);
}

static void test_json_every_shape_goes_there_and_back(void)
{
    json_round(&json_order_schema,
            "{\"first\":{\"name\":\"a\",\"price\":1},\"items\":[{\"name\":\"b\",\"price\":2},"
            "{\"name\":\"\",\"price\":65535}],\"gift\":{\"name\":\"c\",\"price\":3},\"rank\":-7,"
            "\"rates\":[0.5,1,\"NaN\"],\"raw\":\"AQID/w==\",\"words\":[\"x\",\"y z\"],"
            "\"notes\":{\"k\":\"v\",\"l\":\"\"},\"body\":\"aGk=\",\"code\":\"abcd\",\"key\":[1,2,"
            "255],"
            "\"colour\":1}");
    json_round(&json_order_schema,
            "{\"first\":{\"name\":\"\",\"price\":0},\"items\":[],\"gift\":null,\"rank\":null,"
            "\"rates\":[],\"raw\":\"\",\"words\":[],\"notes\":{},\"body\":\"\",\"code\":\"\","
            "\"key\":[0,0,0],\"colour\":0}");
}

static void test_json_bytes_are_read_in_both_forms(void)
{
    struct json_order order;

    CU_ASSERT_EQUAL(json_take_order(" { \"raw\" : [ 104 , 105 ] , \"body\":[0],\"key\":\"AQID\" } ",
                            &order),
            0);

    CU_ASSERT_EQUAL(order.raw.count, 2);
    CU_ASSERT_EQUAL(memcmp(order.raw.items, "hi", 2), 0);
    CU_ASSERT_EQUAL(order.body.size, 1);
    CU_ASSERT_EQUAL(memcmp(order.key, "\1\2\3", 3), 0);
}

static void json_refused(const char *json, const char *expected)
{
    struct json_order order;
    CU_ASSERT_EQUAL(json_take_order(json, &order), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_json_says_which_field_and_where(void)
{
    json_refused("{\"items\":[{},{},{},{\"price\":\"x\"}]}",
            "order.items[3].price takes an integer, not a string, at column 29");
    json_refused("{\n \"gift\":\n  {\"price\":65536}}",
            "order.gift.price takes 0 to 65535, not 65536, at line 3, column 12");
    json_refused("{\"first\":{\"name\":\"123456789\"}}",
            "order.first.name takes at most 8 bytes, not 9, at column 18");
    json_refused("{\"code\":\"abcde\"}", "order.code takes at most 4 bytes, not 5, at column 9");
    json_refused(
            "{\"code\":\"a\\u0000\"}", "order.code takes no \\u0000: it ends there, at column 9");
    json_refused("{\"key\":[1,2]}", "order.key takes exactly 3 bytes, not 2, at column 8");
    json_refused("{\"key\":[1,2,256]}", "order.key[2] takes 0 to 255, not 256, at column 13");
    json_refused(
            "{\"notes\":{\"a\":1}}", "order.notes.a takes a string, not an integer, at column 15");
    json_refused("{\"notes\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}",
            "order.notes takes at most 2 pairs, not 3, at column 10");
    json_refused("{\"notes\":{\"a\":\"\",\"a\":\"\"}}",
            "order.notes has the key \"a\" twice, at column 10");
    json_refused("{\"body\":\"a\"}",
            "order.body takes base64, as \"aGk=\", and this is none, at column 9");
    json_refused("{\"body\":\"A===\"}",
            "order.body takes base64, as \"aGk=\", and this is none, at column 9");
    json_refused("{\"rates\":[1e999]}",
            "order.rates[0] takes a float of 64 bits, and 1e999 is none, at column 11");
    json_refused("{\"rates\":null}", "order.rates takes an array, not null, at column 10");
    json_refused("{\"first\":[[[[[[[[", "order.first takes an object, not an array, at column 10");
    json_refused("{\"a\x01\x1b\":1}", "not JSON: a control character in a string: write it as "
                                      "\\u, at column 4");
    json_refused("{\"\\u001b[2J\\u009b\":1}", "order has no field \"?[2J??\"; its fields: "
                                              "first, items, gift, rank, rates, raw, words, "
                                              "notes, body, code, key, colour, at column 2");
}

static void test_json_what_is_no_json_is_refused(void)
{
    static const char *const bad[] = {"", " ", "{", "}", "{]", "[", "nul", "{\"rank\"}",
            "{\"rank\":}", "{\"rank\":1,}", "{\"rank\":1 \"raw\":\"\"}", "{\"rank\":01}",
            "{\"rank\":-}", "{\"rank\":+1}", "{\"rank\":1}x", "{\"rank\":1}{}", "{\"rank\":nulx}",
            "{\"rates\":[1.]}", "{\"rates\":[.5]}", "{\"rates\":[1e]}", "{\"rates\":[1,]}",
            "{\"rates\":[1 2]}", "{\"rates\":[0x1]}", "{\"rates\":[NaN]}", "{\"code\":\"a}",
            "{\"code\":\"\\", "{\"code\":\"\\u12\"}", "{\"code\":\"\\x\"}",
            "{\"code\":\"\\ud800\"}", "{\"code\":\"\\ud800\\u0041\"}", "{\"code\":\"\\udc00\"}",
            "{\"code\":\"\xff\"}", "{\"code\":\"\n\"}", "{'code':\"\"}", "{code:\"\"}",
            "\xef\xbb\xbf{}", "{\"first\":{\"name\":\"\"}"};
    struct json_order order;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(json_take_order(bad[i], &order), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, ", at "));
    }
}

static void test_json_a_pair_of_escapes_is_one_character(void)
{
    struct json_order order;

    CU_ASSERT_EQUAL(
            json_take_order("{\"words\":[\"\\ud83d\\ude00\\u00e9\\u20ac\\/\\b\"]}", &order), 0);

    CU_ASSERT_STRING_EQUAL(order.words.items[0].data, "\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac/\b");
}

static void test_json_a_large_map_is_searched_for_twins_at_once(void)
{
    struct json_item_map {
        struct cmds_map map;
    } value;
    static const struct cmds_field fields[] = {{.name = "map",
            .size = sizeof(struct cmds_map),
            .item_size = sizeof(struct cmds_map),
            .kind = CMDS_KIND_MAP}};
    static const struct cmds_schema schema = {sizeof(schema), sizeof(struct cmds_field), 1,
            sizeof(struct cmds_map), "map", fields, NULL, {0}};
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fputs("{\"map\":{", out);
    for (int i = 0; i < 200000; i++) { // By pairs that would be 2e10 comparisons.
        fprintf(out, "\"%d\":\"\",", i);
    }
    fputs("\"0\":\"\"}}", out);
    fclose(out);

    CU_ASSERT_EQUAL(json_take_of(&schema, "t", json, size, &value), -EINVAL);

    CU_ASSERT_STRING_EQUAL(text, "t.map has the key \"0\" twice, at column 8");
    free(json);
}

static void test_json_an_example_is_within_all_limits(void)
{
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
    struct json_order order;
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    cmdi_tool_json_write_example(out, &json_order_schema);
    fclose(out);

    CU_ASSERT_EQUAL(json_take_order(json, &order), 0);

    CU_ASSERT_STRING_EQUAL(text, "");
    CU_ASSERT(order.gift.has && order.rank.has && order.items.count == 2 && order.notes.count == 1);
    CU_ASSERT_STRING_EQUAL(order.code, "abcd");
    free(json);
}

/* Whatever comes: no read or write beside, and a failure has its sentence. */
static void test_json_hostile_texts_end_in_a_sentence(void)
{
    static const char seed[] =
            "{\"first\":{\"name\":\"a\\u00e9\",\"price\":1},\"items\":[{\"price\":2},{}],"
            "\"gift\":null,\"rank\":-7,\"rates\":[0.5e3,\"NaN\"],\"raw\":\"AQID/w==\","
            "\"notes\":{\"k\":\"v\"},\"code\":\"ab\",\"key\":[1,2,255]}";
    static const char letters[] = "{}[]\",:\\0-.eun19aA= \n\xff\xc2";
    uint64_t random = 7;
    struct json_order order;

    for (int i = 0; i < 200000; i++) {
        char json[sizeof(seed)];
        memcpy(json, seed, sizeof(seed));
        size_t size = sizeof(seed) - 1;
        for (int change = 0; change < 1 + i % 3; change++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            json[(random >> 33) % size] = letters[(random >> 20) % (sizeof(letters) - 1)];
        }
        size = i % 5 == 0 ? (random >> 40) % size : size;
        int code = json_take_of(&json_order_schema, "order", json, size, &order);
        CU_ASSERT_FATAL(code == 0 || (code == -EINVAL && text[0] != '\0'));
    }
}

static CU_TestInfo test_tool_json[] = {
        {"every shape goes there and back", test_json_every_shape_goes_there_and_back},
        {"bytes are read in both forms", test_json_bytes_are_read_in_both_forms},
        {"says which field, and where", test_json_says_which_field_and_where},
        {"what is no JSON is refused", test_json_what_is_no_json_is_refused},
        {"a pair of escapes is one character", test_json_a_pair_of_escapes_is_one_character},
        {"a large map is searched for twins at once",
                test_json_a_large_map_is_searched_for_twins_at_once},
        {"an example is within all limits", test_json_an_example_is_within_all_limits},
        {"hostile texts end in a sentence", test_json_hostile_texts_end_in_a_sentence},
        {"takes every member", test_json_takes_every_member},
        {"members may be absent and of any case", test_json_members_may_be_absent_and_of_any_case},
        {"names the unknown member and the known",
                test_json_names_the_unknown_member_and_the_known},
        {"says what a member takes", test_json_says_what_a_member_takes},
        {"refuses an integer beside its range", test_json_refuses_an_integer_beside_its_range},
        {"integers come back whole", test_json_integers_come_back_whole},
        {"a result is printed in schema order", test_json_result_is_printed_in_schema_order},
        {"floats are as short as they can be", test_json_floats_are_as_short_as_they_can_be},
        {"every double reads back", test_json_every_double_reads_back},
        {"what is no number is a word", test_json_what_is_no_number_is_a_word},
        {"a member twice is refused", test_json_a_member_twice_is_refused},
        {"a NUL is taken and printed", test_json_a_nul_is_taken_and_printed},
        {"a terminal obeys nothing", test_json_a_terminal_obeys_nothing},
        {"bytes that are not UTF-8 are shown", test_json_bytes_that_are_not_utf8_are_shown},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool json", test_tool_json)
