/* SPDX-License-Identifier: MIT */
/* See parse.h. */
#include "admin/parse.h"

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
