/* SPDX-License-Identifier: MIT */
/*
 * The words of JSON, one after the other, for json_read.c: who reads knows what he expects, so nothing
 * is built in between, and nothing here calls itself: a text of a million brackets costs no stack.
 *
 * A scan that has failed has its sentence in `text`, with the place where it stood, and stays there.
 */
#ifndef CMDSTREAM_TOOL_JSON_SCAN_H
#define CMDSTREAM_TOOL_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "memory.h"

enum {
    TOOL_JSON_TEXT_SIZE = 512,
    TOOL_JSON_NUMBER_MAX = 400, // Characters: more digits than a double has say nothing more.
};

struct tool_scan {
    const char *begin, *at, *end;
    struct tool_memory *memory; // Of the strings that were read.
    char *text;                 // TOOL_JSON_TEXT_SIZE bytes.
};

/** What the next value is, by its first character. */
enum tool_json_kind {
    TOOL_JSON_NONE, // No value begins there.
    TOOL_JSON_OBJECT,
    TOOL_JSON_ARRAY,
    TOOL_JSON_STRING,
    TOOL_JSON_INTEGER,
    TOOL_JSON_REAL,
    TOOL_JSON_BOOL,
    TOOL_JSON_NULL
};
/** Passes white space. Does not say yet that what begins there is right. */
enum tool_json_kind cmdi_tool_scan_peek(struct tool_scan *scan);
/** "an object". Static. */
const char *cmdi_tool_json_kind_word(enum tool_json_kind kind);

/** Passes white space and takes `letter`, if it stands there. */
bool cmdi_tool_scan_letter(struct tool_scan *scan, char letter);
/** Is that all? White space may follow. */
bool cmdi_tool_scan_is_over(struct tool_scan *scan);
/** `true`, `false`, `null`. Returns: false, and it has not moved: another word. */
bool cmdi_tool_scan_word(struct tool_scan *scan, const char *word);
/**
 * A string without its quotes and escapes, terminated by a NUL that does not count.
 *
 * Returns: 0; -EINVAL: none, or one that is cut, not UTF-8, or has a wrong escape; -ENOMEM.
 */
int cmdi_tool_scan_string(struct tool_scan *scan, struct cmds_string *string);
/**
 * The characters of a number, checked by the grammar, terminated.
 *
 * Returns: 0; -EINVAL.
 */
int cmdi_tool_scan_number(struct tool_scan *scan, char number[TOOL_JSON_NUMBER_MAX + 1]);

/** Says that it is no JSON, and where. Returns: -EINVAL. */
int cmdi_tool_scan_fail(struct tool_scan *scan, const char *why);
/** Appends ", at column 7", or ", at line 2, column 7", of `at`. Columns are bytes, from 1. */
void cmdi_tool_scan_say_place(struct tool_scan *scan, const char *at);

/** Bytes of the UTF-8 character at `at`, of which `left` are there. Returns: 0: it is none. */
size_t cmdi_tool_utf8_size(const unsigned char *at, size_t left);

#endif
