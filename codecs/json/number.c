/* SPDX-License-Identifier: MIT */
/*
 * Floats to text and back, exactly and in constant time.
 *
 * To text: the shortest decimal inside the interval of numbers that round to the float, and of
 * several the closest, found by Schubfach (R. Giulietti, 2020): three multiplications by a power of
 * ten of 128 bits. The layout is Go's.
 * To float: few digits by one exact division or multiplication; up to 19 digits by Lemire's method
 * (2021), which knows when it does not know; what is left by the C library, over digits without a
 * point, since where that stands is a matter of locale. No state, any thread.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"
#include "json/pow10.h"

__extension__ typedef unsigned __int128 uint128;

/* --- To text ---------------------------------------------------------------------------------- */

struct decimal {
    uint64_t digits; // value = digits * 10^exponent
    int exponent;
};

static int floor_log2_pow10(int e)
{
    return (e * 1741647) >> 19; // -1233..1233; an arithmetic shift.
}

/*
 * factor * power / 2^128, where a rest sets the lowest bit: that there is one is all that a
 * comparison needs to know of it.
 */
static uint64_t multiply_sticky(uint128 power, uint64_t factor)
{
    uint128 low = (uint128)(uint64_t)power * factor;
    uint128 high = (uint128)(uint64_t)(power >> 64) * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* significand * 2^exponent; below a power of two the next number is only half as far away. */
static struct decimal shortest(uint64_t significand, int exponent, bool lower_is_closer)
{
    // floor(log10(2^e or 3/4 2^e))
    int k = (exponent * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
    int shift = exponent + floor_log2_pow10(-k) + 1;
    const uint64_t *entry = cmdi_pow10[-k - CMDI_POW10_FIRST];
    uint128 power = (uint128)entry[0] << 64 | entry[1];
    power += !(-k >= 0 && -k <= CMDI_POW10_EXACT_LAST); // From above.

    uint64_t odd = significand & 1; // The bounds of an even one round to it.
    uint64_t lower = multiply_sticky(power, (4 * significand - 2 + lower_is_closer) << shift) + odd;
    uint64_t value = multiply_sticky(power, (4 * significand) << shift);
    uint64_t upper = multiply_sticky(power, (4 * significand + 2) << shift) - odd;

    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10; // One digit less, if exactly one such number lies inside.
        bool down = lower <= 40 * tens;
        bool up = 40 * tens + 40 <= upper;
        if (down != up) {
            return (struct decimal){tens + up, k + 1};
        }
    }
    bool down = lower <= 4 * s;
    bool up = 4 * s + 4 <= upper;
    if (down != up) {
        return (struct decimal){s + up, k};
    }
    uint64_t middle = 4 * s + 2;
    bool round_up = value > middle || (value == middle && (s & 1) != 0);
    return (struct decimal){s + round_up, k};
}

static size_t format_digits(char *out, uint64_t digits)
{
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + digits % 10);
        digits /= 10;
    } while (digits != 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = reversed[count - 1 - i];
    }
    return count;
}

/*
 * d.ddde-07 without the zero in front of the 7; the exponents that get here have a sign, and two
 * digits if positive.
 */
static size_t format_scientific(char *out, const char *digits, size_t count, int point)
{
    size_t size = 0;
    out[size++] = digits[0];
    if (count > 1) {
        out[size++] = '.';
        memcpy(out + size, digits + 1, count - 1);
        size += count - 1;
    }
    int exponent = point - 1;
    out[size++] = 'e';
    out[size++] = exponent < 0 ? '-' : '+';
    return size + format_digits(out + size, (uint64_t)abs(exponent));
}

static size_t format_plain(char *out, const char *digits, size_t count, int point)
{
    size_t size = 0;
    if (point <= 0) {
        size_t zeros = (size_t)-point;
        memcpy(out, "0.", 2);
        memset(out + 2, '0', zeros);
        memcpy(out + 2 + zeros, digits, count);
        return 2 + zeros + count;
    }
    size_t whole = (size_t)point < count ? (size_t)point : count;
    memcpy(out, digits, whole);
    size = whole;
    memset(out + size, '0', (size_t)point - whole);
    size += (size_t)point - whole;
    if (count > whole) {
        out[size++] = '.';
        memcpy(out + size, digits + whole, count - whole);
        size += count - whole;
    }
    return size;
}

static size_t format_decimal(char *out, struct decimal decimal, bool scientific)
{
    char digits[20];
    while (decimal.digits % 10 == 0) {
        decimal.digits /= 10;
        decimal.exponent++;
    }
    size_t count = format_digits(digits, decimal.digits);
    int point = (int)count + decimal.exponent; // Digits in front of it.
    return scientific ? format_scientific(out, digits, count, point)
                      : format_plain(out, digits, count, point);
}

size_t cmdi_json_format_f64(char *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    size_t sign = bits >> 63;
    out[0] = '-';
    out += sign;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7ff);
    if (biased == 0 && fraction == 0) {
        *out = '0';
        return sign + 1;
    }
    struct decimal decimal = biased == 0 ? shortest(fraction, 1 - 1075, false)
                                         : shortest(fraction | UINT64_C(1) << 52, biased - 1075,
                                                   fraction == 0 && biased > 1);
    double magnitude = fabs(value);
    return sign + format_decimal(out, decimal, magnitude < 1e-6 || magnitude >= 1e21);
}

size_t cmdi_json_format_f32(char *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    size_t sign = bits >> 31;
    out[0] = '-';
    out += sign;
    uint32_t fraction = bits & ((1u << 23) - 1);
    int biased = (int)(bits >> 23 & 0xff);
    if (biased == 0 && fraction == 0) {
        *out = '0';
        return sign + 1;
    }
    struct decimal decimal =
            biased == 0 ? shortest(fraction, 1 - 150, false)
                        : shortest(fraction | 1u << 23, biased - 150, fraction == 0 && biased > 1);
    float magnitude = fabsf(value);
    return sign + format_decimal(out, decimal, magnitude < 1e-6f || magnitude >= 1e21f);
}

/* --- To float --------------------------------------------------------------------------------- */

enum {
    DIGITS_EXACT = 19, // Fit 64 bits.
    // More decide nothing but whether there was something: no double's middle has as many.
    DIGITS_KEPT = 800,
    EXPONENT_MAX = 20000, // Beyond it everything is zero or too large, whatever the digits.
    EXPONENT_READ_MAX = 100000000, // More than the digits of any input can make up for.
};

struct parsed {
    uint64_t mantissa; // value = mantissa * 10^exponent
    int exponent;
    bool negative;
};

static int parse_exponent(const char *at, const char *end)
{
    bool negative = *at == '-';
    int exponent = 0;
    for (at += *at == '-' || *at == '+'; at < end; at++) {
        exponent = exponent < EXPONENT_READ_MAX ? 10 * exponent + (*at - '0') : exponent;
    }
    return negative ? -exponent : exponent;
}

static int clamp_exponent(int64_t exponent)
{
    int64_t low = exponent < -EXPONENT_MAX ? -EXPONENT_MAX : exponent;
    return (int)(low > EXPONENT_MAX ? EXPONENT_MAX : low);
}

/* Returns: false: it has more than DIGITS_EXACT digits. */
static bool parse_text(const char *text, size_t size, struct parsed *parsed)
{
    *parsed = (struct parsed){.negative = *text == '-'};
    const char *end = text + size;
    unsigned count = 0;
    bool fraction = false;
    int64_t shift = 0;
    for (const char *at = text + parsed->negative; at < end; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if ((*at | 0x20) == 'e') {
            shift += parse_exponent(at + 1, end);
            break;
        }
        shift -= fraction;
        if (count == 0 && *at == '0') {
            continue;
        }
        if (count == DIGITS_EXACT) {
            return false;
        }
        parsed->mantissa = 10 * parsed->mantissa + (uint64_t)(*at - '0');
        count++;
    }
    parsed->exponent = clamp_exponent(shift);
    return true;
}

/*
 * mantissa * 10^exponent by the cut power: the product's upper bits are those of the true one,
 * unless all bits below the rounding are ones; and a tie is one only where nothing was cut
 * off. Returns: false where it cannot be known, or is no normal number.
 */
static bool round_product(const struct parsed *parsed, double *value)
{
    int e = parsed->exponent;
    if (e < CMDI_POW10_FIRST || e > CMDI_POW10_LAST) {
        return false;
    }
    const uint64_t *power = cmdi_pow10[e - CMDI_POW10_FIRST];
    int zeros = __builtin_clzll(parsed->mantissa);
    uint64_t mantissa = parsed->mantissa << zeros;
    uint128 product = (uint128)mantissa * power[0];
    if ((uint64_t)(product >> 64 & 0x1ff) == 0x1ff) {
        uint128 rest = (uint128)mantissa * power[1];
        product += (uint64_t)(rest >> 64);
        if ((uint64_t)(product >> 64 & 0x1ff) == 0x1ff && (uint64_t)product >= UINT64_MAX - 1) {
            return false;
        }
    }
    int top = (int)(uint64_t)(product >> 127);
    uint64_t upper = (uint64_t)(product >> 64) >> (9 + top); // 54 bits: one for rounding.
    uint64_t below = (uint64_t)(product >> 64) & ((UINT64_C(1) << (9 + top)) - 1);
    if ((upper & 1) != 0 && below == 0 && (uint64_t)product < mantissa) {
        return false; // A tie, or just above one.
    }
    upper = (upper + 1) >> 1;
    int biased = floor_log2_pow10(e) + 63 - zeros + top + 1023;
    if (upper >> 53 != 0) {
        upper >>= 1;
        biased++;
    }
    if (biased < 1 || biased > 2046) {
        return false;
    }
    uint64_t bits = (uint64_t)parsed->negative << 63 | (uint64_t)biased << 52 |
                    (upper & ((UINT64_C(1) << 52) - 1));
    memcpy(value, &bits, sizeof(bits));
    return true;
}

/* The same number for strtod: all digits that matter, no point. */
static void write_without_point(char *out, const char *text, size_t size)
{
    size_t count = 0;
    bool fraction = false, cut = false;
    int64_t shift = 0;
    const char *end = text + size;
    for (const char *at = text; at < end; at++) {
        if (*at == '.') {
            fraction = true;
        } else if (*at == '-') {
            *out++ = '-';
        } else if ((*at | 0x20) == 'e') {
            shift += parse_exponent(at + 1, end);
            break;
        } else if (count == 0 && *at == '0') {
            shift -= fraction;
        } else if (count < DIGITS_KEPT) {
            out[count++] = *at;
            shift -= fraction;
        } else {
            cut = cut || *at != '0';
            shift += !fraction;
        }
    }
    if (count == 0 || cut) {
        out[count++] = cut ? '1' : '0';
        shift -= cut;
    }
    shift = clamp_exponent(shift);
    out[count++] = 'e';
    if (shift < 0) {
        out[count++] = '-';
        shift = -shift;
    }
    count += format_digits(out + count, (uint64_t)shift);
    out[count] = '\0';
}

/* Of the C library, which sets errno where we return a code. */
static double slow_f64(const char *text, size_t size)
{
    char digits[DIGITS_KEPT + 32];
    int kept = errno;
    write_without_point(digits, text, size);
    double value = strtod(digits, NULL);
    errno = kept;
    return value;
}

static float slow_f32(const char *text, size_t size)
{
    char digits[DIGITS_KEPT + 32];
    int kept = errno;
    write_without_point(digits, text, size);
    float value = strtof(digits, NULL);
    errno = kept;
    return value;
}

/* Returns: false: only the slow way knows. */
static bool fast_f64(const struct parsed *parsed, double *value)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int e = parsed->exponent;
    if (parsed->mantissa == 0) {
        *value = parsed->negative ? -0.0 : 0.0;
        return true;
    }
    if (parsed->mantissa >> DBL_MANT_DIG == 0 && e >= -22 && e <= 22) {
        double exact = (double)parsed->mantissa; // One operation on two exact numbers rounds once.
        exact = e < 0 ? exact / powers[-e] : exact * powers[e];
        *value = parsed->negative ? -exact : exact;
        return true;
    }
    return round_product(parsed, value);
}

int cmdi_json_parse_f64(const char *text, size_t size, double *value)
{
    struct parsed parsed;
    if (parse_text(text, size, &parsed) && fast_f64(&parsed, value)) {
        return 0;
    }
    double slow = slow_f64(text, size);
    if (isinf(slow)) {
        return CMDS_E_PROTO;
    }
    *value = slow;
    return 0;
}

/* Not by way of a double: rounding twice may miss the nearest. */
int cmdi_json_parse_f32(const char *text, size_t size, float *value)
{
    float slow = slow_f32(text, size);
    if (isinf(slow)) {
        return CMDS_E_PROTO;
    }
    *value = slow;
    return 0;
}
