/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the codec json that have a point in them. What may go wrong: a digit more than is
 * needed, or not the closest one; another layout than Go's; a text that becomes the neighbour of
 * the number it means, because it lies near the middle of two; a table of powers that is not what
 * the script makes.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/codec_case.h"
#include "json/json.h"

static void random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
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
            {0x44b52d02c7e14af6, "1e+23"},
            {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
            {0xc3c11e5a9e2fb072, "-2467045966795040000"},
            {0x4340000000000001, "9007199254740994"},
            {0x7fe0000000000000, "8.98846567431158e+307"},
            {0x0010000000000001, "2.225073858507202e-308"},
            {0x000fffffffffffff, "2.225073858507201e-308"},
            {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
            {0x444b1ae4d6e2ef4f, "999999999999999900000"},
            {0x3e60000000000000, "2.9802322387695312e-8"},
            {0x0000000000000002, "1e-323"},
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
            {0x358637bc, "9.999999e-7"},
            {0x6258d726, "999999950000000000000"},
            {0x39000000, "0.00012207031"},
            {0x4b7fffff, "16777215"},
            {0x00000002, "3e-45"},
            {0x007fffff, "1.1754942e-38"},
            // The only one for which Go has another: 0.00024414063, which is as near.
            {0x39800000, "0.00024414062"},
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

/* The digits of a number without point, sign, exponent, and zeros at either end. */
static size_t digits_of(char *out, const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size && text[i] != 'e'; i++) {
        if (text[i] >= '0' && text[i] <= '9' && (count > 0 || text[i] != '0')) {
            out[count++] = text[i];
        }
    }
    while (count > 0 && out[count - 1] == '0') {
        count--;
    }
    return count;
}

struct closest {
    double value; // > 0.
    bool narrow;  // It is a float.
};

static bool comes_back(const struct closest *number, const char *text)
{
    return number->narrow ? strtof(text, NULL) == (float)number->value
                          : strtod(text, NULL) == number->value;
}

/* Is there a number of so many digits that is read as this one? It can only be beside it. */
static bool is_said_in(const struct closest *number, size_t count)
{
    char text[64], digits[64];
    (void)snprintf(text, sizeof(text), "%.*e", (int)count - 1, number->value);
    if (comes_back(number, text)) {
        return true;
    }
    char *exponent = strchr(text, 'e');
    for (int step = -1; step <= 1; step += 2) { // The last digit one down, one up.
        uint64_t all = 0;
        for (const char *at = text; at < exponent; at++) {
            all = *at != '.' ? 10 * all + (uint64_t)(*at - '0') : all;
        }
        long shift = strtol(exponent + 1, NULL, 10) - (long)count + 1;
        (void)snprintf(digits, sizeof(digits), "%llue%ld",
                (unsigned long long)(all + (uint64_t)(int64_t)step), shift);
        if (comes_back(number, digits)) {
            return true;
        }
    }
    return false;
}

/* No number with fewer digits is read as this one, and none with as many is closer to it. */
static void check_closest(struct closest number)
{
    char text[CMDI_JSON_NUMBER_MAX + 1], nearest[64], ours[64], theirs[64];
    size_t size = number.narrow ? cmdi_json_format_f32(text, (float)number.value)
                                : cmdi_json_format_f64(text, number.value);
    CU_ASSERT_FATAL(size < sizeof(text));
    text[size] = '\0';
    size_t count = digits_of(ours, text, size);
    CU_ASSERT(comes_back(&number, text));
    CU_ASSERT(count == 1 || !is_said_in(&number, count - 1));
    // Rounded from all digits; in the middle of two, the even one.
    int nearest_size = snprintf(nearest, sizeof(nearest), "%.*e", (int)count - 1, number.value);
    if (comes_back(&number, nearest)) {
        size_t nearest_count = digits_of(theirs, nearest, (size_t)nearest_size);
        CU_ASSERT(nearest_count == count && memcmp(ours, theirs, count) == 0);
    }
    // What the C library needs at most always comes back: were ours longer, it would not be short.
    CU_ASSERT(count <= (number.narrow ? 9 : 17));
}

static void check_closest_f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    if (isfinite(value) && value > 0) {
        check_closest((struct closest){value, false});
    }
}

static void check_closest_f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    if (isfinite(value) && value > 0) {
        check_closest((struct closest){(double)value, true});
    }
}

static void test_json_floats_are_the_shortest_and_closest(void)
{
    uint64_t state = 1442695040888963407u;
    for (int i = 0; i < 20000; i++) {
        random_next(&state);
        check_closest_f64(state >> 1);
        check_closest_f32((uint32_t)(state >> 33));
    }
    for (uint64_t exponent = 0; exponent < 2047; exponent++) { // Powers of two and beside them.
        for (uint64_t i = 0; i < 5; i++) {
            check_closest_f64((exponent << 52) + i - 2);
        }
    }
    for (uint32_t exponent = 0; exponent < 255; exponent++) {
        for (uint32_t i = 0; i < 5; i++) {
            check_closest_f32((exponent << 23) + i - 2);
        }
    }
    // Few bits below the point end in a 5, which lies in the middle of two shorter numbers.
    for (int shift = 10; shift < 40; shift++) {
        for (int odd = 1; odd < 200; odd += 2) {
            check_closest((struct closest){ldexp(odd, -shift), false});
            check_closest((struct closest){ldexp(odd, -shift), true});
        }
    }
    for (int decimal = 1; decimal < 20000; decimal++) {
        check_closest((struct closest){decimal / 100.0, false});
        check_closest((struct closest){(double)((float)decimal / 100.0f), true});
        check_closest((struct closest){decimal * 1e19, false});
    }
}

/*
 * Random bits as the C library prints them: what we read is what it reads, and what we write comes
 * back.
 */
static void test_json_floats_agree_with_the_c_library(void)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        random_next(&state);
        double value, read = 0, again = 0;
        char text[64], shortest[CMDI_JSON_NUMBER_MAX];
        memcpy(&value, &state, sizeof(value));
        if (!isfinite(value)) {
            continue;
        }
        int size = snprintf(text, sizeof(text), "%.*e", (int)(state % 24), value);
        int code = cmdi_json_parse_f64(text, (size_t)size, &read);
        CU_ASSERT(code == 0 ? read == strtod(text, NULL) : isinf(strtod(text, NULL)));
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

/* Half of a number whose digits are written out, "0.": one digit more. */
static void halve_digits(char *digits, size_t *size)
{
    int rest = 0;
    for (size_t i = 2; i < *size; i++) {
        int digit = 10 * rest + (digits[i] - '0');
        digits[i] = (char)('0' + digit / 2);
        rest = digit % 2;
    }
    digits[*size] = (char)('0' + 5 * rest);
    *size += 1;
}

static double read_f64(const char *text, size_t size)
{
    double value = -1;
    CU_ASSERT_EQUAL(cmdi_json_parse_f64(text, size, &value), 0);
    // Where it lies, with something behind it that is no part of it and without, if that way takes it.
    char longer[1024];
    double same = -1;
    const uint8_t *from = (const uint8_t *)longer;
    if (size + 16 < sizeof(longer)) {
        memcpy(longer, text, size);
        memset(longer + size, ',', 16);
        const uint8_t *end = cmdi_json_take_f64(from, from + size, &same);
        CU_ASSERT(end == NULL || (end == from + size && same == value));
        CU_ASSERT_PTR_EQUAL(cmdi_json_take_f64(from, from + size + 16, &same), end);
        CU_ASSERT(end == NULL || same == value);
    }
    return value;
}

#define READ_F64(literal) read_f64(literal, sizeof(literal) - 1)

static void test_json_a_late_digit_decides_a_tie(void)
{
    // One and the half of its last bit, in 53 digits.
#define MIDDLE "1.00000000000000011102230246251565404236316680908203125"
    CU_ASSERT_EQUAL(READ_F64(MIDDLE), 1.0);
    CU_ASSERT_EQUAL(READ_F64(MIDDLE "00000000000"), 1.0);
    CU_ASSERT_EQUAL(READ_F64(MIDDLE "00000000001"), nextafter(1.0, 2.0));
    CU_ASSERT_EQUAL(READ_F64("1.00000000000000011102230246251565404236316680908203124"), 1.0);
    CU_ASSERT_EQUAL(READ_F64("100000000000000011102230246251565404236316680908203126e-53"),
            nextafter(1.0, 2.0));
#undef MIDDLE
    // The middle between nothing and the smallest number: 752 digits behind 323 zeros.
    static char digits[2000];
    size_t size = (size_t)snprintf(digits, sizeof(digits), "%.1074f", 5e-324);
    halve_digits(digits, &size);
    CU_ASSERT_EQUAL(read_f64(digits, size), 0.0);
    digits[size++] = '1';
    CU_ASSERT_EQUAL(read_f64(digits, size), 5e-324);
    // More digits in front of the point than are kept, and behind it.
    memset(digits, '0', sizeof(digits));
    digits[0] = '1';
    memcpy(digits + 901, "e-890", 5);
    CU_ASSERT_EQUAL(read_f64(digits, 906), 1e10);
    memcpy(digits + 901, ".00e-890", 8);
    CU_ASSERT_EQUAL(read_f64(digits, 909), 1e10);
    memcpy(digits, "9007199254740993", 16);
    memcpy(digits + 899, "01e-885", 7); // Above the middle by its last digit alone.
    CU_ASSERT_EQUAL(read_f64(digits, 906), 9007199254740994.0);
    // The same where there are most digits, below the smallest normal number.
    size = (size_t)snprintf(digits, sizeof(digits), "%.1074f", 4.4501477170144023e-308);
    halve_digits(digits, &size);
    CU_ASSERT_EQUAL(read_f64(digits, size), strtod(digits, NULL));
    digits[size++] = '1';
    digits[size] = '\0';
    CU_ASSERT_EQUAL(read_f64(digits, size), strtod(digits, NULL));
}

/* Around the edges of the ways on which a number can be read. */
static void test_json_every_way_of_reading_rounds_alike(void)
{
    static const char *const texts[] = {"9007199254740991.4", "9007199254740991.5",
            "9007199254740991.9", "90071992547409915e-1", "9007199254740992", "9007199254740993",
            "9007199254740993.0", "9007199254740995", "18014398509481983", "18014398509481985",
            "9223372036854775807", "9223372036854776832", "9223372036854776833",
            "9999999999999999999", "9007199254740991e22", "9007199254740991e23",
            "9007199254740991e-22", "9007199254740991e-23", "9007199254740993e-22", "1e22", "1e23",
            "8.5e22", "1.7976931348623157e308", "1.7976931348623158e308", "179769313486231570e291",
            "2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201e-308",
            "4.9406564584124654e-324", "2.4703282292062328e-324", "2.4703282292062327e-324",
            "1e-323", "1e-342", "1e-343", "123456789e-330", "1.8446744073709551615e19", "0.1e1",
            "0.000000000000000000000000000001e30", "5e-1", "12345678901234567e-20",
            "3.518437208883201171875", "7450580596923828125e-27", "0e999", "0.0e-999"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        float narrow = -1;
        float expected = strtof(texts[i], NULL);
        CU_ASSERT_EQUAL(read_f64(texts[i], strlen(texts[i])), strtod(texts[i], NULL));
        int code = cmdi_json_parse_f32(texts[i], strlen(texts[i]), &narrow);
        CU_ASSERT(isinf(expected) ? code == CMDS_E_PROTO : narrow == expected);
    }
    double value = -1;
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("1.7976931348623159e308", 22, &value), CMDS_E_PROTO);
    // Beside 19 digits in every decade: whole significands that lie in the middle, and next to it.
    uint64_t state = 4101842887655102017u;
    for (int exponent = -340; exponent <= 288; exponent++) {
        for (int i = 0; i < 20; i++) {
            char text[48];
            random_next(&state);
            uint64_t bits = (state >> 12 | UINT64_C(1) << 52) * 2 + 1;
            int size = snprintf(text, sizeof(text), "%llue%d",
                    (unsigned long long)(i % 2 == 0 ? bits * (i > 9 ? 64 : 1) : state >> 1),
                    exponent);
            CU_ASSERT_EQUAL(read_f64(text, (size_t)size), strtod(text, NULL));
        }
    }
}

static void test_json_errno_is_left_alone(void)
{
    double value = 0;
    float narrow = 0;
    errno = EDOM;
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("1e400", 5, &value), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(cmdi_json_parse_f64("1e-400", 6, &value), 0);
    CU_ASSERT_EQUAL(cmdi_json_parse_f32("1e40", 4, &narrow), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(cmdi_json_parse_f32("1e-60", 5, &narrow), 0);
    CU_ASSERT_EQUAL(errno, EDOM);
}

/* Needs the sources and python3; where one is missing there is nothing to compare with. */
static void test_json_powers_are_those_of_the_script(void)
{
    static const char here[] = __FILE__, inside[] = "tests/unit/test_json_number.c";
    char script[1024], command[1200];
    size_t root = sizeof(here) > sizeof(inside) ? sizeof(here) - sizeof(inside) : 0;
    CU_ASSERT_STRING_EQUAL(here + root, inside);
    (void)snprintf(script, sizeof(script), "%.*sscripts/gen_pow10.py", (int)root, here);
    if (access(script, R_OK) != 0 || system("python3 -c pass 2>/dev/null") != 0) {
        return;
    }
    (void)snprintf(command, sizeof(command), "python3 '%s' --check", script);
    CU_ASSERT_EQUAL(system(command), 0);
}

static CU_TestInfo tests[] = {
        {"floats are those of go", test_json_floats_are_those_of_go},
        {"narrow floats are those of go", test_json_narrow_floats_are_those_of_go},
        {"floats are the shortest and closest", test_json_floats_are_the_shortest_and_closest},
        {"floats agree with the c library", test_json_floats_agree_with_the_c_library},
        {"hard numbers are rounded right", test_json_hard_numbers_are_rounded_right},
        {"a late digit decides a tie", test_json_a_late_digit_decides_a_tie},
        {"every way of reading rounds alike", test_json_every_way_of_reading_rounds_alike},
        {"errno is left alone", test_json_errno_is_left_alone},
        {"powers are those of the script", test_json_powers_are_those_of_the_script},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json_number", tests)
