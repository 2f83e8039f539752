/* SPDX-License-Identifier: MIT */
/* See pem.h. */
#include "tls/pem.h"

#include <string.h>

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define DASH  "-----"

enum {
    LABEL_SIZE_MAX = 64
};

/* Where `what` begins, at the start of a line; NULL: nowhere. */
static const char *find_line(const char *text, const char *at, const char *end, const char *what)
{
    size_t size = strlen(what);
    while (at != NULL && (size_t)(end - at) >= size) {
        if (memcmp(at, what, size) == 0 && (at == text || at[-1] == '\n')) {
            return at;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return NULL;
}

/* The label that stands at `at`, in front of dashes. Empty: there is none. */
static struct cmds_string take_label(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && *at != '\n' && *at != '-' && at - from < LABEL_SIZE_MAX) {
        at++;
    }
    bool is_whole = (size_t)(end - at) >= strlen(DASH) && memcmp(at, DASH, strlen(DASH)) == 0;
    return (struct cmds_string){from, is_whole ? (size_t)(at - from) : 0};
}

enum cmdi_pem_result cmdi_pem_next(struct cmdi_pem *pem, struct cmdi_pem_block *block)
{
    const char *begin = find_line(pem->at, pem->at, pem->end, BEGIN);
    if (begin == NULL) {
        pem->at = pem->end;
        return CMDI_PEM_END;
    }
    struct cmds_string label = take_label(begin + strlen(BEGIN), pem->end);
    if (label.size == 0) {
        return CMDI_PEM_CUT;
    }
    const char *body = label.data + label.size + strlen(DASH);
    const char *last = find_line(pem->at, body, pem->end, END);
    if (last == NULL) {
        return CMDI_PEM_CUT;
    }
    struct cmds_string end_label = take_label(last + strlen(END), pem->end);
    if (!cmds_string_equal(label, end_label)) {
        return CMDI_PEM_CUT; // The rest of another block: two halves.
    }
    pem->at = end_label.data + end_label.size + strlen(DASH);
    *block = (struct cmdi_pem_block){
            .label = label,
            .body = {body, (size_t)(last - body)},
            .all = {begin, (size_t)(pem->at - begin)},
    };
    return CMDI_PEM_BLOCK;
}

/* Returns: 0..63; -1: no digit of base64. */
static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t cmdi_pem_decode(struct cmds_string body, uint8_t *out)
{
    uint32_t bits = 0;
    size_t digits = 0, padding = 0, size = 0;
    for (size_t i = 0; i < body.size; i++) {
        char c = body.data[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t') {
            continue;
        }
        int digit = digit_of(c);
        padding += c == '=';
        if ((digit < 0 && c != '=') || (digit >= 0 && padding > 0) || padding > 2) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)(digit < 0 ? 0 : digit);
        if (++digits % 4 == 0) {
            out[size++] = (uint8_t)(bits >> 16);
            out[size++] = (uint8_t)(bits >> 8);
            out[size++] = (uint8_t)bits;
        }
    }
    return digits % 4 == 0 ? size - padding : 0;
}
