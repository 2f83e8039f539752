/* SPDX-License-Identifier: MIT */
/* See parse.h. */
#include "admin/parse.h"

#include <stdlib.h>
#include <string.h>

struct rest {
    const char *at, *end;
};

static void skip_blanks(struct rest *rest)
{
    while (rest->at < rest->end && memchr(" \t\r\n", *rest->at, 4) != NULL) {
        rest->at++;
    }
}

static bool take(struct rest *rest, char c)
{
    skip_blanks(rest);
    if (rest->at == rest->end || *rest->at != c) {
        return false;
    }
    rest->at++;
    return true;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* A string of plain characters. Returns: false: it is none, or longer than fits. */
static bool take_word(struct rest *rest, char *word, size_t size)
{
    size_t length = 0;
    if (!take(rest, '"')) {
        return false;
    }
    while (rest->at < rest->end && is_plain(*rest->at)) {
        if (length + 1 >= size) {
            return false;
        }
        word[length++] = *rest->at++;
    }
    word[length] = '\0';
    // At once: a blank would be a part of it.
    return rest->at < rest->end && *rest->at++ == '"';
}

static bool ends(struct rest *rest)
{
    skip_blanks(rest);
    return rest->at == rest->end;
}

bool cmdi_admin_parse(const char *body, size_t size, const struct cmdi_admin_member *member)
{
    struct rest rest = {body, body + size};
    char name[32];
    if (member->name == NULL && ends(&rest)) {
        return true;
    }
    if (!take(&rest, '{')) {
        return false;
    }
    if (member->name != NULL &&
            !(take_word(&rest, name, sizeof(name)) && strcmp(name, member->name) == 0 &&
                    take(&rest, ':') && take_word(&rest, member->value, member->size))) {
        return false;
    }
    return take(&rest, '}') && ends(&rest);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool take_digits(struct rest *rest)
{
    const char *from = rest->at;
    while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9') {
        rest->at++;
    }
    return rest->at > from;
}

static bool take_if(struct rest *rest, const char *set)
{
    bool is_one = rest->at < rest->end && *rest->at != '\0' && strchr(set, *rest->at) != NULL;
    rest->at += is_one;
    return is_one;
}

/* As JSON has them, and not below 0. Returns: false: it is none, or long beyond all use. */
static bool take_number(struct rest *rest, double *value)
{
    char text[32];
    skip_blanks(rest);
    const char *from = rest->at;
    if (!take_digits(rest) || (*from == '0' && rest->at > from + 1)) {
        return false;
    }
    if (take_if(rest, ".") && !take_digits(rest)) {
        return false;
    }
    if (take_if(rest, "eE") && (take_if(rest, "+-"), !take_digits(rest))) {
        return false;
    }
    size_t length = (size_t)(rest->at - from);
    if (length >= sizeof(text)) {
        return false;
    }
    memcpy(text, from, length);
    text[length] = '\0';
    *value = strtod(text, NULL);
    return true;
}

static bool take_member(struct rest *rest, struct cmdi_admin_number *numbers, size_t count)
{
    char name[32];
    if (!take_word(rest, name, sizeof(name)) || !take(rest, ':')) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, numbers[i].name) == 0 && !numbers[i].is_there) {
            numbers[i].is_there = true;
            return take_number(rest, &numbers[i].value);
        }
    }
    return false;
}

bool cmdi_admin_parse_numbers(
        const char *body, size_t size, struct cmdi_admin_number *numbers, size_t count)
{
    struct rest rest = {body, body + size};
    if (!take(&rest, '{')) {
        return false;
    }
    do {
        if (!take_member(&rest, numbers, count)) {
            return false;
        }
    } while (take(&rest, ','));
    return take(&rest, '}') && ends(&rest);
}
