/* SPDX-License-Identifier: MIT */
/*
 * The body of a change: an object of JSON with no member, or with some whose values are words or numbers. Nothing
 * else is asked for, so nothing else is read. Bytes in, values out; any thread.
 */
#ifndef CMDI_ADMIN_PARSE_H
#define CMDI_ADMIN_PARSE_H

#include <stdbool.h>
#include <stddef.h>

/** The member that is wanted; `name` is NULL if none is. */
struct cmdi_admin_member {
    const char *name;
    char *value; // Letters, digits, '-', '_', with a terminator.
    size_t size; // Of `value`.
};

/**
 * Nothing at all is an object without members. Returns: false: it is something else, and `value` is of no
 * meaning.
 */
bool cmdi_admin_parse(const char *body, size_t size, const struct cmdi_admin_member *member);

/** A member that may be there, once; its value is a number. */
struct cmdi_admin_number {
    const char *name;
    double value;
    bool is_there;
};

/**
 * Any of `count` members, in any order. Returns: false: it is something else, and the numbers are of no meaning.
 */
bool cmdi_admin_parse_numbers(
        const char *body, size_t size, struct cmdi_admin_number *numbers, size_t count);

#endif
