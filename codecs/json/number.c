/* SPDX-License-Identifier: MIT */
/*
 * Floats to text and back, exactly and in constant time.
 *
 * To text: the shortest decimal inside the interval of numbers that round to the float, and of
 * several the closest, found by Schubfach (R. Giulietti, 2020): three multiplications by a power of
 * ten of 128 bits. The layout is Go's.
 * To float: up to 19 digits by the method of Lemire (2021) and Mushtak (2022), which is one or two
 * multiplications and always right. Of more digits the first 19 nearly always decide; if they do not,
 * all of them are compared, as whole numbers, with the middle of the two floats that are left.
 *
 * Integers only, but for the value itself: the result depends on neither the locale, nor the rounding
 * mode, nor FLT_EVAL_METHOD. No state, any thread.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hint.h"
#include "json/digits.h"
#include "json/json.h"
#include "json/pow10.h"
#include "json/print.h"

__extension__ typedef unsigned __int128 uint128;

/* Each of the two formats has its own copy, in which the format's figures are constants. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

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
    unsigned magnitude = (unsigned)abs(exponent), places = cmdi_json_digits(magnitude);
    (void)cmdi_json_digits_write((uint8_t *)out + size, magnitude, places);
    return size + places;
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

/* Without the zeros behind it. */
static struct decimal strip(struct decimal decimal)
{
    static const struct {
        uint32_t power;
        int zeros;
    } steps[] = {{100000000, 8}, {10000, 4}, {100, 2}, {10, 1}};
    if (decimal.digits % 10 != 0) {
        return decimal;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (decimal.digits % steps[i].power == 0) {
            decimal.digits /= steps[i].power;
            decimal.exponent += steps[i].zeros;
        }
    }
    return decimal;
}

/* A float taken to pieces: its sign, the fewest digits, and which of the two layouts Go chooses. */
struct parts {
    struct decimal decimal;
    bool negative, is_zero, scientific;
};

static ALWAYS_INLINE struct parts take_apart_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7ff);
    struct parts parts = {.negative = bits >> 63, .is_zero = biased == 0 && fraction == 0};
    if (parts.is_zero) {
        return parts;
    }
    parts.decimal = biased == 0 ? shortest(fraction, 1 - 1075, false)
                                : shortest(fraction | UINT64_C(1) << 52, biased - 1075,
                                          fraction == 0 && biased > 1);
    parts.decimal = strip(parts.decimal);
    // Bits in the order of the numbers: 1e-6 and 1e21. A compiler may take the constants themselves
    // for wider than they are.
    uint64_t magnitude = bits & UINT64_MAX >> 1;
    parts.scientific = magnitude < 0x3eb0c6f7a0b5ed8d || magnitude >= 0x444b1ae4d6e2ef50;
    return parts;
}

static ALWAYS_INLINE struct parts take_apart_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint32_t fraction = bits & ((1u << 23) - 1);
    int biased = (int)(bits >> 23 & 0xff);
    struct parts parts = {.negative = bits >> 31, .is_zero = biased == 0 && fraction == 0};
    if (parts.is_zero) {
        return parts;
    }
    parts.decimal =
            biased == 0 ? shortest(fraction, 1 - 150, false)
                        : shortest(fraction | 1u << 23, biased - 150, fraction == 0 && biased > 1);
    parts.decimal = strip(parts.decimal);
    uint32_t magnitude = bits & UINT32_MAX >> 1;
    parts.scientific = magnitude < 0x358637bd || magnitude >= 0x6258d727; // As above.
    return parts;
}

static size_t parts_size(const struct parts *parts)
{
    if (parts->is_zero) {
        return parts->negative + 1u;
    }
    int count = (int)cmdi_json_digits(parts->decimal.digits);
    int point = count + parts->decimal.exponent; // Digits in front of it.
    int size = count + (count > 1) + 2 + (int)cmdi_json_digits((uint64_t)abs(point - 1));
    if (!parts->scientific) {
        size = point <= 0 ? 2 - point + count : point < count ? count + 1 : point;
    }
    return (size_t)size + parts->negative;
}

static size_t parts_write(char *out, const struct parts *parts)
{
    char digits[20];
    out[0] = '-';
    out += parts->negative;
    if (parts->is_zero) {
        *out = '0';
        return parts->negative + 1u;
    }
    unsigned count = cmdi_json_digits(parts->decimal.digits);
    (void)cmdi_json_digits_write((uint8_t *)digits, parts->decimal.digits, count);
    int point = (int)count + parts->decimal.exponent;
    return parts->negative + (parts->scientific ? format_scientific(out, digits, count, point)
                                                : format_plain(out, digits, count, point));
}

size_t cmdi_json_size_f64(double value)
{
    struct parts parts = take_apart_f64(value);
    return parts_size(&parts);
}

size_t cmdi_json_format_f64(char *out, double value)
{
    struct parts parts = take_apart_f64(value);
    return parts_write(out, &parts);
}

size_t cmdi_json_size_f32(float value)
{
    struct parts parts = take_apart_f32(value);
    return parts_size(&parts);
}

size_t cmdi_json_format_f32(char *out, float value)
{
    struct parts parts = take_apart_f32(value);
    return parts_write(out, &parts);
}

/* --- To float --------------------------------------------------------------------------------- */

enum {
    DIGITS_EXACT = 19, // Fit 64 bits.
    // More decide nothing but whether there was something: no double's middle has as many.
    DIGITS_KEPT = 800,
    EXPONENT_MAX = 20000, // Beyond it everything is zero or too large, whatever the digits.
    EXPONENT_READ_MAX = 100000000, // More than the digits of any input can make up for.
};

/* The two formats of IEEE 754. */
struct format {
    int fraction_bits, biased_max;
    int exponent_bias;       // Of the format itself: 1023, 127.
    int tie_first, tie_last; // Powers of ten for which a number may lie just between two floats.
};
static const struct format binary64 = {52, 0x7ff, 1023, -4, 23};
static const struct format binary32 = {23, 0xff, 127, -17, 10};

struct parsed {
    uint64_t mantissa;   // Of the first 19 digits. value = mantissa * 10^exponent, and
    bool more, negative; // more: a bit above it.
    int exponent;
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

static ALWAYS_INLINE const char *skip_zeros(const char *at, const char *end)
{
    while (at < end && *at == '0') {
        at++;
    }
    return at;
}

/* Digits into the mantissa, as long as it has room for them. */
static ALWAYS_INLINE const char *take_digits(
        struct parsed *parsed, const char *at, const char *end, int *room)
{
    uint64_t mantissa = parsed->mantissa;
    int left = *room;
    for (; at < end && left > 0 && (unsigned char)(*at - '0') < 10; at++, left--) {
        mantissa = 10 * mantissa + (uint64_t)(*at - '0');
    }
    parsed->mantissa = mantissa;
    *room = left;
    return at;
}

/* Those for which there was none. */
static const char *pass_digits(struct parsed *parsed, const char *at, const char *end)
{
    for (; at < end && (unsigned char)(*at - '0') < 10; at++) {
        parsed->more = parsed->more || *at != '0';
    }
    return at;
}

static ALWAYS_INLINE struct parsed parse_text(const char *text, size_t size)
{
    struct parsed parsed = {.negative = *text == '-'};
    const char *end = text + size;
    int room = DIGITS_EXACT;
    const char *at = skip_zeros(text + parsed.negative, end);
    at = take_digits(&parsed, at, end, &room);
    const char *from = at;
    at = room == 0 ? pass_digits(&parsed, at, end) : at;
    int64_t shift = at - from;
    if (at < end && *at == '.') {
        from = ++at;
        if (parsed.mantissa == 0) {
            at = skip_zeros(at, end);
        }
        at = take_digits(&parsed, at, end, &room);
        shift -= at - from;
        at = room == 0 ? pass_digits(&parsed, at, end) : at;
    }
    shift += at < end ? parse_exponent(at + 1, end) : 0;
    parsed.exponent = clamp_exponent(shift);
    return parsed;
}

/*
 * The float nearest to mantissa * 10^e, as its bits. The product with the cut power is so exact that
 * no number of 19 digits lies between it and a place where the rounding would change; a tie, for
 * which the power is exact or its reciprocal rounded up, shows as such.
 */
static ALWAYS_INLINE uint64_t nearest(const struct format *format, uint64_t mantissa, int e)
{
    uint64_t infinity = (uint64_t)format->biased_max << format->fraction_bits;
    if (mantissa == 0 || e < CMDI_POW10_FIRST) {
        return 0;
    }
    if (e > 308) {
        return infinity;
    }
    const uint64_t *power = cmdi_pow10[e - CMDI_POW10_FIRST];
    uint64_t rest = power[1] + (e < 0 && e >= -27);
    int zeros = __builtin_clzll(mantissa);
    mantissa <<= zeros;
    uint128 product = (uint128)mantissa * power[0];
    uint64_t mask = UINT64_MAX >> (format->fraction_bits + 3);
    if (((uint64_t)(product >> 64) & mask) == mask) {
        product += (uint64_t)((uint128)mantissa * rest >> 64);
    }
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    int top = (int)(high >> 63);
    int cut = top + 64 - format->fraction_bits - 3;
    uint64_t upper = high >> cut; // The significand and one bit for rounding.
    int biased = floor_log2_pow10(e) + 63 + top - zeros + format->exponent_bias;
    if (biased <= 0) { // A float without its first bit, or nothing.
        if (biased < -62) {
            return 0;
        }
        upper >>= 1 - biased;
        return (upper + (upper & 1)) >> 1; // That it carries into the exponent is as it should be.
    }
    bool tie = low <= 1 && e >= format->tie_first && e <= format->tie_last && (upper & 3) == 1;
    if (tie && upper << cut == high) {
        upper--; // To the even one.
    }
    upper = (upper + (upper & 1)) >> 1;
    biased += (int)(upper >> (format->fraction_bits + 1)); // Rounded up to a power of two.
    upper >>= upper >> (format->fraction_bits + 1);
    if (biased >= format->biased_max) {
        return infinity;
    }
    uint64_t fraction = upper & ((UINT64_C(1) << format->fraction_bits) - 1);
    return (uint64_t)biased << format->fraction_bits | fraction;
}

/* --- Digits that 64 bits do not hold ---------------------------------------------------------- */

/*
 * A whole number, lowest word first. Enough for 801 digits, and for 55 bits times 5^1124: of two such
 * that are to be compared none is made larger than the other is.
 */
struct big {
    size_t count;
    uint64_t words[64];
};

static void big_multiply_add(struct big *big, uint64_t factor, uint64_t carry)
{
    for (size_t i = 0; i < big->count; i++) {
        uint128 sum = (uint128)big->words[i] * factor + carry;
        big->words[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    if (carry != 0 && big->count < sizeof(big->words) / sizeof(big->words[0])) {
        big->words[big->count++] = carry;
    }
}

static void big_multiply_pow5(struct big *big, int exponent)
{
    const uint64_t pow5_27 = UINT64_C(7450580596923828125);
    for (; exponent >= 27; exponent -= 27) {
        big_multiply_add(big, pow5_27, 0);
    }
    uint64_t rest = 1;
    for (; exponent > 0; exponent--) {
        rest *= 5;
    }
    big_multiply_add(big, rest, 0);
}

static void big_shift(struct big *big, unsigned bits)
{
    size_t words = bits / 64;
    if (words > 0 && big->count + words <= sizeof(big->words) / sizeof(big->words[0])) {
        memmove(big->words + words, big->words, big->count * sizeof(big->words[0]));
        memset(big->words, 0, words * sizeof(big->words[0]));
        big->count += words;
    }
    big_multiply_add(big, UINT64_C(1) << bits % 64, 0);
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->count != b->count) {
        return a->count < b->count ? -1 : 1;
    }
    for (size_t i = a->count; i > 0; i--) {
        if (a->words[i - 1] != b->words[i - 1]) {
            return a->words[i - 1] < b->words[i - 1] ? -1 : 1;
        }
    }
    return 0;
}

/*
 * All digits of the text as a whole number. `exponent`: the power of ten that belongs to its first 19.
 * Returns: that of all of them.
 */
static int big_read(struct big *big, const char *text, size_t size, int exponent)
{
    uint64_t part = 0, scale = 1;
    int kept = 0;
    bool cut = false;
    const char *end = text + size;
    for (const char *at = text; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.' || *at == '-' || (kept == 0 && *at == '0')) {
            continue;
        }
        if (kept == DIGITS_KEPT) {
            cut = cut || *at != '0';
            continue;
        }
        part = 10 * part + (uint64_t)(*at - '0');
        scale *= 10;
        kept++;
        if (kept % DIGITS_EXACT == 0) {
            big_multiply_add(big, scale, part);
            part = 0;
            scale = 1;
        }
    }
    big_multiply_add(big, scale, part);
    if (cut) {
        big_multiply_add(big, 10, 1);
        kept++;
    }
    return exponent - (kept - DIGITS_EXACT);
}

/* Is the number above the middle of the float with these bits and the next one? The tie is even. */
static __attribute__((noinline)) bool is_above_middle(
        const struct format *format, const char *text, size_t size, int exponent, uint64_t bits)
{
    struct big number = {.count = 0}, middle = {.count = 0};
    int power10 = big_read(&number, text, size, exponent);
    int biased = (int)(bits >> format->fraction_bits);
    uint64_t significand = bits & ((UINT64_C(1) << format->fraction_bits) - 1);
    if (biased > 0) {
        significand |= UINT64_C(1) << format->fraction_bits;
    }
    big_multiply_add(&middle, 1, 2 * significand + 1);
    int power2 = (biased > 0 ? biased : 1) - format->exponent_bias - format->fraction_bits - 1;
    big_multiply_pow5(power10 > 0 ? &number : &middle, abs(power10));
    int shift = power10 - power2;
    big_shift(shift > 0 ? &number : &middle, (unsigned)abs(shift));
    int order = big_compare(&number, &middle);
    return order > 0 || (order == 0 && (bits & 1) != 0);
}

/* --- Numbers of up to 19 digits, which are read where they lie ----------------------------------- */

static const uint8_t *take_exponent(const uint8_t *at, const uint8_t *end, int *exponent)
{
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    uint64_t value = 0;
    const uint8_t *from = at;
    at = cmdi_json_take_digits(at, end, 4, &value);
    *exponent += negative ? -(int)value : (int)value;
    bool is_whole = at > from && (at == end || (uint8_t)(*at - '0') >= 10);
    return is_whole ? at : NULL;
}

/*
 * The number at `at`: its bits, without the sign. Returns: where it ends; NULL: it has more digits, is no
 * number or too large, and is for the other way.
 */
static ALWAYS_INLINE const uint8_t *take(const struct format *format, const uint8_t *at,
        const uint8_t *end, uint64_t *bits, bool *negative)
{
    *negative = at < end && *at == '-';
    at += *negative;
    uint64_t mantissa = 0;
    int exponent = 0;
    const uint8_t *from = at;
    *bits = 0;
    at = cmdi_json_take_digits(at, end, DIGITS_EXACT, &mantissa);
    size_t whole = (size_t)(at - from);
    if (whole == 0 || (*from == '0' && whole > 1)) {
        return NULL;
    }
    if (at < end && *at == '.') {
        from = ++at;
        at = cmdi_json_take_digits(at, end, DIGITS_EXACT - whole, &mantissa);
        exponent = (int)(from - at);
        if (exponent == 0) {
            return NULL;
        }
    }
    if (at < end && (uint8_t)(*at - '0') < 10) {
        return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at = take_exponent(at + 1, end, &exponent);
    }
    *bits = nearest(format, mantissa, exponent);
    return *bits >> format->fraction_bits != (uint64_t)format->biased_max ? at : NULL;
}

const uint8_t *cmdi_json_take_f64(const uint8_t *at, const uint8_t *end, double *value)
{
    uint64_t bits;
    bool negative;
    at = take(&binary64, at, end, &bits, &negative);
    bits |= (uint64_t)negative << 63;
    memcpy(value, &bits, sizeof(bits));
    return at;
}

const uint8_t *cmdi_json_take_f32(const uint8_t *at, const uint8_t *end, float *value)
{
    uint64_t bits;
    bool negative;
    at = take(&binary32, at, end, &bits, &negative);
    uint32_t narrow = (uint32_t)bits | (uint32_t)negative << 31;
    memcpy(value, &narrow, sizeof(narrow));
    return at;
}

/* --- The two of them -------------------------------------------------------------------------- */

/* Returns: CMDS_E_PROTO: nothing but an infinity is as large. *negative: the sign, which *bits lack. */
static ALWAYS_INLINE int parse(
        const struct format *format, const char *text, size_t size, uint64_t *bits, bool *negative)
{
    struct parsed parsed = parse_text(text, size);
    *negative = parsed.negative;
    *bits = nearest(format, parsed.mantissa, parsed.exponent);
    if (CMDI_UNLIKELY(parsed.more)) {
        uint64_t above = nearest(format, parsed.mantissa + 1, parsed.exponent);
        if (above != *bits && is_above_middle(format, text, size, parsed.exponent, *bits)) {
            *bits = above;
        }
    }
    return *bits >> format->fraction_bits == (uint64_t)format->biased_max ? CMDS_E_PROTO : 0;
}

int cmdi_json_parse_f64(const char *text, size_t size, double *value)
{
    uint64_t bits;
    bool negative;
    int code = parse(&binary64, text, size, &bits, &negative);
    if (code == 0) {
        bits |= (uint64_t)negative << 63;
        memcpy(value, &bits, sizeof(bits));
    }
    return code;
}

/* Not by way of a double: rounding twice may miss the nearest. */
int cmdi_json_parse_f32(const char *text, size_t size, float *value)
{
    uint64_t bits;
    bool negative;
    int code = parse(&binary32, text, size, &bits, &negative);
    if (code == 0) {
        uint32_t narrow = (uint32_t)bits | (uint32_t)negative << 31;
        memcpy(value, &narrow, sizeof(narrow));
    }
    return code;
}
