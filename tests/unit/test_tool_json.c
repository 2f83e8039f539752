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

static int json_take(
        const struct cmds_schema *schema, const char *name, const char *json, void *value)
{
    json_t *object = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    memset(value, 0, schema->value_size);
    text[0] = '\0';
    int code = tool_json_to_value(schema, name, object, value, text);
    json_decref(object);
    return code;
}

/* Returns: were all bytes UTF-8? */
static bool json_expect(const struct cmds_schema *schema, const void *value, const char *expected)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    bool is_text = tool_json_write(out, schema, "t", value);
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
    struct command_echo echo = {0};
    json_t *object =
            json_loads("{\"bool\":true,\"int64\":-5,\"string\":\"hi\",\"float64\":1.5}", 0, NULL);

    int code = tool_json_to_value(&command_echo_schema, "echo", object, &echo, text);

    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT(echo.boolean && echo.int64 == -5);
    CU_ASSERT_EQUAL(echo.string.size, 2);
    CU_ASSERT_EQUAL(memcmp(echo.string.data, "hi", 2), 0);
    CU_ASSERT(echo.float64 > 1.49 && echo.float64 < 1.51);
    json_decref(object);
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
            text, "echo has no field \"strng\"; its fields: bool, int64, string, float64");

    struct command_fail fail;
    CU_ASSERT_EQUAL(json_take(&command_fail_schema, "fail", "{\"a\":1}", &fail), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "fail has no field \"a\"; it has none at all");
}

static void test_json_says_what_a_member_takes(void)
{
    struct command_echo echo;

    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"int64\":\"5\"}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo.int64 takes an integer, not a string");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"int64\":1.0}", &echo), -EINVAL);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"bool\":1}", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo.bool takes true or false, not an integer");
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "{\"string\":null}", &echo), -EINVAL);
    CU_ASSERT_EQUAL(json_take(&command_echo_schema, "echo", "[1]", &echo), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "echo takes an object, as in {\"string\":\"hi\"}, not an array");
}

static void test_json_refuses_an_integer_beside_its_range(void)
{
    struct json_all all;
    static const char *const bad[] = {"{\"i8\":128}", "{\"i8\":-129}", "{\"u8\":256}",
            "{\"u8\":-1}", "{\"i16\":32768}", "{\"u16\":65536}", "{\"i32\":2147483648}",
            "{\"u32\":4294967296}", "{\"u64\":-1}", "{\"blob\":\"x\"}"};
    static const char *const good[] = {"{\"i8\":127}", "{\"i8\":-128}", "{\"u8\":255}",
            "{\"i16\":-32768}", "{\"u16\":65535}", "{\"i32\":-2147483648}", "{\"u32\":4294967295}",
            "{\"i64\":-9223372036854775808}", "{\"u64\":9223372036854775807}"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", bad[i], &all), -EINVAL);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", good[i], &all), 0);
    }
    CU_ASSERT_EQUAL(json_take(&json_all_schema, "all", "{\"u8\":256}", &all), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "all.u8 takes 0 to 255, not 256");
}

static void test_json_integers_come_back_whole(void)
{
    struct json_all all = {INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX, INT32_MIN, UINT32_MAX,
            INT64_MIN, UINT64_MAX, 0.5F, {0}};

    json_expect(&json_all_schema, &all,
            "{\"type\":\"t\",\"i8\":-128,\"u8\":255,\"i16\":-32768,\"u16\":65535,\"i32\":-"
            "2147483648,"
            "\"u32\":4294967295,\"i64\":-9223372036854775808,\"u64\":18446744073709551615,\"f32\":"
            "0.5,\"blob\":null}");
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
        (void)tool_json_write(out, &result_echo_schema, "t", &echo);
        fclose(out);
        json_t *object = json_loads(line, 0, NULL);
        (void)json_object_del(object, "type");
        CU_ASSERT_EQUAL(tool_json_to_value(&result_echo_schema, "t", object, &back, text), 0);
        CU_ASSERT_EQUAL(memcmp(&back.float64, &value, sizeof(value)), 0);
        json_decref(object);
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
    CU_ASSERT_STRING_EQUAL(text, "echo.int64 is there twice");
}

static void test_json_a_nul_is_taken_and_printed(void)
{
    struct command_echo echo = {0};
    json_t *object = json_loads("{\"string\":\"a\\u0000b\"}", JSON_ALLOW_NUL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);

    CU_ASSERT_EQUAL(tool_json_to_value(&command_echo_schema, "echo", object, &echo, text), 0);

    CU_ASSERT_EQUAL(echo.string.size, 3);
    CU_ASSERT_EQUAL(memcmp(echo.string.data, "a\0b", 3), 0);
    CU_ASSERT_TRUE(json_expect_literal("a\0b", "a\\u0000b"));
    json_decref(object);
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

static CU_TestInfo test_tool_json[] = {
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
