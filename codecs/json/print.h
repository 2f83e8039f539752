/* SPDX-License-Identifier: MIT */
/*
 * Text and whole numbers as JSON has them: how many bytes each takes, and these bytes. A size is always
 * that of what is written, and nothing is written behind it. No state, any thread.
 */
#ifndef CMDI_JSON_PRINT_H
#define CMDI_JSON_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** With its quotes; <, > and & are escaped as Go does. `data` may be NULL if `size` is 0. */
size_t cmdi_json_string_size(const uint8_t *data, size_t size);
uint8_t *cmdi_json_string_write(uint8_t *out, const uint8_t *data, size_t size);
/** The same of a text without NUL, mostly a short one. */
size_t cmdi_json_name_size(const char *name, size_t size);
uint8_t *cmdi_json_name_write(uint8_t *out, const char *name, size_t size);
/** With its quotes. */
uint8_t *cmdi_json_base64_write(uint8_t *out, const uint8_t *data, size_t size);
/** Returns: the decimal digits of the number, 1 to 20. */
unsigned cmdi_json_digits(uint64_t value);
/** All digits of a number that has `count` of them. Returns: their end. */
uint8_t *cmdi_json_digits_write(uint8_t *out, uint64_t value, unsigned count);
uint8_t *cmdi_json_integer_write(uint8_t *out, uint64_t value, bool is_signed);

#endif
