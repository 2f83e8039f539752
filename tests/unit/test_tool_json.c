/* SPDX-License-Identifier: MIT */
/*
 * JSON to structs and back. What may go wrong: a number cut to its field, a wrong type taken
 * silently, a message that does not say which member, a double printed as something else, bytes
 * that are not UTF-8.
 */
#include "tool/json.h"

#include <errno.h>
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
    json_t *object = json_loads(json, JSON_DECODE_ANY, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    memset(value, 0, schema->value_size);
    text[0] = '\0';
    int error = tool_json_to_value(schema, name, object, value, text);
    json_decref(object);
    return error;
}

static void json_expect(const struct cmds_schema *schema, const void *value, const char *expected)
{
    json_t *json = tool_json_from_value(schema, "t", value);
    char *line = json_dumps(json, JSON_COMPACT);
    CU_ASSERT_STRING_EQUAL(line, expected);
    free(line);
    json_decref(json);
}

static void test_json_takes_every_member(void)
{
    struct command_echo echo = {0};
    json_t *object =
            json_loads("{\"bool\":true,\"int64\":-5,\"string\":\"hi\",\"float64\":1.5}", 0, NULL);

    int error = tool_json_to_value(&command_echo_schema, "echo", object, &echo, text);

    CU_ASSERT_EQUAL(error, 0);
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
            INT64_MIN, 7, 0.5F, {0}};

    json_expect(&json_all_schema, &all,
            "{\"type\":\"t\",\"i8\":-128,\"u8\":255,\"i16\":-32768,\"u16\":65535,\"i32\":-"
            "2147483648,"
            "\"u32\":4294967295,\"i64\":-9223372036854775808,\"u64\":7,\"f32\":0.5,\"blob\":null}");
}

static void test_json_result_is_printed_in_schema_order(void)
{
    struct result_echo echo = {false, -5, CMDS_STRING("hi"), 0};

    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":-5,\"string\":\"hi\",\"float64\":0}");
}

static void test_json_doubles_are_numbers_or_null(void)
{
    struct result_echo echo = {.string = CMDS_STRING(""), .float64 = 1.5};
    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":1.5}");
    echo.float64 = -3;
    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":-3}");
    echo.float64 = (double)NAN;
    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":null}");
}

static void test_json_bytes_that_are_not_utf8_are_shown(void)
{
    struct result_echo echo = {.string = CMDS_STRING("a\xff"
                                                     "b")};

    json_expect(&result_echo_schema, &echo,
            "{\"type\":\"t\",\"bool\":false,\"int64\":0,\"string\":\"a?b\",\"float64\":0}");
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
        {"doubles are numbers or null", test_json_doubles_are_numbers_or_null},
        {"bytes that are not UTF-8 are shown", test_json_bytes_that_are_not_utf8_are_shown},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool json", test_tool_json)
