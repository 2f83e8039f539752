/* SPDX-License-Identifier: MIT */
/*
 * Floats of JSON where the compiler calculates in more digits than a float or a double has
 * (FLT_EVAL_METHOD 1 or 2): the same text and the same bits. The tests' CMake compiles this file, and
 * with it the codec's own, for such a unit.
 */
#include "json/number.c"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "support/harness.h"

static void check_f32(float value, const char *text)
{
    char out[CMDI_JSON_NUMBER_MAX + 1] = {0};
    float again = 0;
    size_t size = cmdi_json_format_f32(out, value);
    CU_ASSERT_STRING_EQUAL(out, text);
    CU_ASSERT_EQUAL(cmdi_json_parse_f32(out, size, &again), 0);
    CU_ASSERT_EQUAL(memcmp(&again, &value, sizeof(value)), 0);
}

static void check_f64(double value, const char *text)
{
    char out[CMDI_JSON_NUMBER_MAX + 1] = {0};
    double again = 0;
    size_t size = cmdi_json_format_f64(out, value);
    CU_ASSERT_STRING_EQUAL(out, text);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64(out, size, &again), 0);
    CU_ASSERT_EQUAL(memcmp(&again, &value, sizeof(value)), 0);
}

/* The limits of the plain form are floats themselves, and above or below what their digits say. */
static void test_json_x87_limits_of_the_plain_form(void)
{
    const uint32_t f32[] = {0x358637bc, 0x358637bd, 0x6258d726, 0x6258d727};
    const uint64_t f64[] = {
            0x3eb0c6f7a0b5ed8c, 0x3eb0c6f7a0b5ed8d, 0x444b1ae4d6e2ef4f, 0x444b1ae4d6e2ef50};
    const char *const text32[] = {"9.999999e-7", "0.000001", "999999950000000000000", "1e+21"};
    const char *const text64[] = {
            "9.999999999999997e-7", "0.000001", "999999999999999900000", "1e+21"};
    for (size_t i = 0; i < 4; i++) {
        float narrow;
        double wide;
        memcpy(&narrow, &f32[i], sizeof(narrow));
        memcpy(&wide, &f64[i], sizeof(wide));
        check_f32(narrow, text32[i]);
        check_f64(wide, text64[i]);
    }
}

/* Numbers that a division or a product in long double would round twice. */
static void test_json_x87_numbers_are_rounded_once(void)
{
    static const char *const texts[] = {"0.1", "1e22", "1e23", "8.5e-21", "123456789.125e-10",
            "9007199254740993", "9007199254740993e3", "1.00000005960464477539062500000001",
            "1.0000000596046447753906250", "5e-324", "7.0064923216240854e-46"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double wide = 0, right_wide = strtod(texts[i], NULL);
        float narrow = 0, right_narrow = strtof(texts[i], NULL);
        CU_ASSERT_EQUAL(cmdi_json_parse_f64(texts[i], strlen(texts[i]), &wide), 0);
        CU_ASSERT_EQUAL(cmdi_json_parse_f32(texts[i], strlen(texts[i]), &narrow), 0);
        CU_ASSERT_EQUAL(memcmp(&wide, &right_wide, sizeof(wide)), 0);
        CU_ASSERT_EQUAL(memcmp(&narrow, &right_narrow, sizeof(narrow)), 0);
    }
}

static CU_TestInfo tests[] = {
        {"limits of the plain form", test_json_x87_limits_of_the_plain_form},
        {"numbers are rounded once", test_json_x87_numbers_are_rounded_once},
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    printf("FLT_EVAL_METHOD is %d\n", FLT_EVAL_METHOD);
    return cmdi_test_main("json x87", tests, argc, argv);
}
