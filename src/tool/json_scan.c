/* SPDX-License-Identifier: MIT */
/* See json_scan.h. */
#include "json_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- Places ----------------------------------------------------------------------------------- */

void cmdi_tool_scan_say_place(struct tool_scan *scan, const char *at)
{
    size_t line = 1;
    const char *line_begin = scan->begin;
    for (const char *byte = scan->begin; byte < at; byte++) {
        if (*byte == '\n') {
            line++;
            line_begin = byte + 1;
        }
    }
    size_t used = strlen(scan->text);
    if (line > 1) {
        snprintf(scan->text + used, TOOL_JSON_TEXT_SIZE - used, ", at line %zu, column %zu", line,
                (size_t)(at - line_begin) + 1);
    } else {
        snprintf(scan->text + used, TOOL_JSON_TEXT_SIZE - used, ", at column %zu",
                (size_t)(at - line_begin) + 1);
    }
}

int cmdi_tool_scan_fail(struct tool_scan *scan, const char *why)
{
    snprintf(scan->text, TOOL_JSON_TEXT_SIZE, "not JSON: %s", why);
    cmdi_tool_scan_say_place(scan, scan->at);
    return -EINVAL;
}

/* --- Words ------------------------------------------------------------------------------------ */

static bool scan_is_digit(const struct tool_scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static void scan_pass_space(struct tool_scan *scan)
{
    while (scan->at < scan->end &&
            (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) {
        scan->at++;
    }
}

/* A number with a point or an exponent is none that a whole number may be. */
static enum tool_json_kind scan_peek_number(const struct tool_scan *scan)
{
    const char *at = scan->at + (*scan->at == '-');
    while (at < scan->end && *at >= '0' && *at <= '9') {
        at++;
    }
    bool is_real = at < scan->end && (*at == '.' || *at == 'e' || *at == 'E');
    return is_real ? TOOL_JSON_REAL : TOOL_JSON_INTEGER;
}

enum tool_json_kind cmdi_tool_scan_peek(struct tool_scan *scan)
{
    scan_pass_space(scan);
    if (scan->at == scan->end) {
        return TOOL_JSON_NONE;
    }
    switch (*scan->at) {
    case '{':
        return TOOL_JSON_OBJECT;
    case '[':
        return TOOL_JSON_ARRAY;
    case '"':
        return TOOL_JSON_STRING;
    case 't':
    case 'f':
        return TOOL_JSON_BOOL;
    case 'n':
        return TOOL_JSON_NULL;
    default:
        break;
    }
    return *scan->at == '-' || scan_is_digit(scan) ? scan_peek_number(scan) : TOOL_JSON_NONE;
}

const char *cmdi_tool_json_kind_word(enum tool_json_kind kind)
{
    static const char *const words[] = {[TOOL_JSON_NONE] = "what is no value",
            [TOOL_JSON_OBJECT] = "an object",
            [TOOL_JSON_ARRAY] = "an array",
            [TOOL_JSON_STRING] = "a string",
            [TOOL_JSON_INTEGER] = "an integer",
            [TOOL_JSON_REAL] = "a real number",
            [TOOL_JSON_BOOL] = "a bool",
            [TOOL_JSON_NULL] = "null"};
    return words[kind];
}

bool cmdi_tool_scan_letter(struct tool_scan *scan, char letter)
{
    scan_pass_space(scan);
    bool there = scan->at < scan->end && *scan->at == letter;
    scan->at += there;
    return there;
}

bool cmdi_tool_scan_is_over(struct tool_scan *scan)
{
    scan_pass_space(scan);
    return scan->at == scan->end;
}

bool cmdi_tool_scan_word(struct tool_scan *scan, const char *word)
{
    size_t size = strlen(word);
    bool there = (size_t)(scan->end - scan->at) >= size && memcmp(scan->at, word, size) == 0;
    scan->at += there ? size : 0;
    return there;
}

/* --- Strings ---------------------------------------------------------------------------------- */

/*
 * By the lead byte's ranges of the second (Unicode, table 3-7): no surrogate, nothing longer than need
 * be, nothing above U+10FFFF.
 */
size_t cmdi_tool_utf8_size(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || size > left) {
        return 0;
    }
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < size; i++) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

static char *scan_put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* The four digits behind \u. */
static bool scan_hex(struct tool_scan *scan, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        if (scan->at == scan->end) {
            return false;
        }
        char c = *scan->at;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16) {
            return false;
        }
        *code = *code << 4 | digit;
    }
    return true;
}

/* Behind the "\u". A character above U+FFFF is two of them. Returns: NULL, and it is told. */
static char *scan_unicode(struct tool_scan *scan, char *out)
{
    uint32_t code;
    uint32_t low;
    if (!scan_hex(scan, &code)) {
        (void)cmdi_tool_scan_fail(scan, "\\u takes four hexadecimal digits");
        return NULL;
    }
    if (code >= 0xd800 && code < 0xdc00 && cmdi_tool_scan_word(scan, "\\u") &&
            scan_hex(scan, &low) && low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) {
        (void)cmdi_tool_scan_fail(scan, "half of a pair of \\u");
        return NULL;
    }
    return scan_put_utf8(out, code);
}

/* Behind the backslash. Returns: NULL, and it is told. */
static char *scan_escape(struct tool_scan *scan, char *out)
{
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    char letter = scan->at < scan->end ? *scan->at : '\0';
    if (letter == 'u') {
        scan->at++;
        return scan_unicode(scan, out);
    }
    for (size_t i = 0; letter != '\0' && i + 1 < sizeof(letters); i += 2) {
        if (letters[i] == letter) {
            scan->at++;
            *out++ = letters[i + 1];
            return out;
        }
    }
    (void)cmdi_tool_scan_fail(scan, "a backslash before what needs none");
    return NULL;
}

/* One character of a string, which is no quote. Returns: NULL, and it is told. */
static char *scan_character(struct tool_scan *scan, char *out)
{
    if (*scan->at == '\\') {
        scan->at++;
        return scan_escape(scan, out);
    }
    if ((unsigned char)*scan->at < 0x20) {
        (void)cmdi_tool_scan_fail(scan, "a control character in a string: write it as \\u");
        return NULL;
    }
    size_t size =
            cmdi_tool_utf8_size((const unsigned char *)scan->at, (size_t)(scan->end - scan->at));
    if (size == 0) {
        (void)cmdi_tool_scan_fail(scan, "a string that is not UTF-8");
        return NULL;
    }
    memcpy(out, scan->at, size);
    scan->at += size;
    return out + size;
}

int cmdi_tool_scan_string(struct tool_scan *scan, struct cmds_string *string)
{
    if (!cmdi_tool_scan_letter(scan, '"')) {
        return cmdi_tool_scan_fail(scan, "a string is missing");
    }
    // Without its escapes it is no longer than with them.
    const char *quote = scan->at;
    while (quote < scan->end && *quote != '"') {
        quote += 1 + (*quote == '\\' && quote + 1 < scan->end);
    }
    char *data = cmdi_tool_memory_get(scan->memory, (size_t)(quote - scan->at) + 1);
    if (data == NULL) {
        snprintf(scan->text, TOOL_JSON_TEXT_SIZE, "no memory for so long a string");
        return -ENOMEM;
    }
    char *out = data;
    while (scan->at < scan->end && *scan->at != '"') {
        out = scan_character(scan, out);
        if (out == NULL) {
            return -EINVAL;
        }
    }
    if (scan->at == scan->end) {
        return cmdi_tool_scan_fail(scan, "a string without its second quote");
    }
    scan->at++;
    *string = (struct cmds_string){data, (size_t)(out - data)};
    return 0;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool scan_digits(struct tool_scan *scan)
{
    bool any = scan_is_digit(scan);
    while (scan_is_digit(scan)) {
        scan->at++;
    }
    return any;
}

int cmdi_tool_scan_number(struct tool_scan *scan, char number[TOOL_JSON_NUMBER_MAX + 1])
{
    scan_pass_space(scan);
    const char *begin = scan->at;
    (void)cmdi_tool_scan_word(scan, "-");
    bool zero = cmdi_tool_scan_word(scan, "0");
    if (!zero && !scan_digits(scan)) {
        return cmdi_tool_scan_fail(scan, "a number without a digit");
    }
    if (zero && scan_is_digit(scan)) {
        return cmdi_tool_scan_fail(scan, "a number that begins with 0");
    }
    if (cmdi_tool_scan_word(scan, ".") && !scan_digits(scan)) {
        return cmdi_tool_scan_fail(scan, "no digit behind the point");
    }
    if (cmdi_tool_scan_word(scan, "e") || cmdi_tool_scan_word(scan, "E")) {
        (void)(cmdi_tool_scan_word(scan, "+") || cmdi_tool_scan_word(scan, "-"));
        if (!scan_digits(scan)) {
            return cmdi_tool_scan_fail(scan, "no digit in the exponent");
        }
    }
    size_t size = (size_t)(scan->at - begin);
    if (size > TOOL_JSON_NUMBER_MAX) {
        scan->at = begin;
        return cmdi_tool_scan_fail(scan, "a number of more than 400 characters");
    }
    memcpy(number, begin, size);
    number[size] = '\0';
    return 0;
}
