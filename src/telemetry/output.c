/* SPDX-License-Identifier: MIT */
#include "telemetry/output.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    DIGITS_SAFE = 15, // So many digits of a decimal number always survive in a double,
    DIGITS_MAX = 17   // and so many tell any two doubles apart.
};

void cmdi_output_patch(struct cmdi_output *output, uint64_t at, const void *data, size_t size)
{
    struct cmdi_output part = {output->out, output->size, at};
    cmdi_output_bytes(&part, data, size);
}

void cmdi_output_unsigned(struct cmdi_output *output, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    cmdi_output_bytes(output, digits + at, sizeof(digits) - at);
}

void cmdi_output_signed(struct cmdi_output *output, int64_t number)
{
    if (number < 0) {
        cmdi_output_byte(output, '-');
    }
    cmdi_output_unsigned(output, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void cmdi_output_hex(struct cmdi_output *output, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        cmdi_output_byte(output, (uint8_t)digits[bytes[i] >> 4]);
        cmdi_output_byte(output, (uint8_t)digits[bytes[i] & 15]);
    }
}

/* What stands between the digits of a double, in any locale, is its decimal point. */
static void use_point(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (strchr("0123456789+-e", *from) != NULL) {
            *to++ = *from;
        } else if (to == text || to[-1] != '.') {
            *to++ = '.';
        }
    }
    *to = '\0';
}

void cmdi_real_text(double number, char text[CMDI_OUTPUT_REAL_SIZE])
{
    if (number != number) {
        memcpy(text, "NaN", sizeof("NaN"));
        return;
    }
    if (number - number != 0) {
        memcpy(text, number > 0 ? "+Inf" : "-Inf", sizeof("+Inf"));
        return;
    }
    for (int digits = DIGITS_SAFE; digits <= DIGITS_MAX; digits++) {
        snprintf(text, CMDI_OUTPUT_REAL_SIZE, "%.*g", digits, number);
        double read = strtod(text, NULL);
        if (!(read < number) && !(read > number)) {
            break;
        }
    }
    use_point(text);
}
