/* SPDX-License-Identifier: MIT */
/* Structs of which a few bytes say much: for the test and the fuzzers of what decoding costs. */
#ifndef CMDI_TESTS_SUPPORT_STEEP_H
#define CMDI_TESTS_SUPPORT_STEEP_H

#include <cmdstream/schema.h>

struct page {
    uint8_t blob[4096];
};
struct pages { // In each format an absent one is hardly a byte.
    CMDS_OPTIONAL_OF(struct page) page;
};
struct shelf { // Which takes few bytes, unlike a steep, whose `one` is always written.
    CMDS_ARRAY_OF(struct pages) pages;
    struct cmds_string note;
};
struct book {
    uint8_t blob[40000];
};
struct line {
    char text[4096];
};
struct steep {
    CMDS_ARRAY_OF(struct pages) pages;
    CMDS_ARRAY_OF(struct line) lines;
    CMDS_OPTIONAL_OF(struct page) page;
    CMDS_ARRAY_OF(float) floats;
    CMDS_ARRAY_OF(double) doubles;
    struct cmds_string string;
    struct cmds_map map;
    struct cmds_bytes bytes;
    struct page one;
    char text[4096];
    CMDS_OPTIONAL_OF(struct book) book;
};
CMDS_SCHEMA(page, blob);
CMDS_SCHEMA(book, blob);
CMDS_SCHEMA(pages, CMDS_OPTIONAL(page, page));
CMDS_SCHEMA(line, text);
CMDS_COMMAND(steep, 0, CMDS_ARRAY(pages, pages), CMDS_ARRAY(lines, line), CMDS_OPTIONAL(page, page),
        CMDS_ARRAY(floats), CMDS_ARRAY(doubles), string, map, bytes, CMDS_NESTED(one, page), text,
        CMDS_OPTIONAL(book, book));
CMDS_COMMAND(shelf, 7, CMDS_ARRAY(pages, pages), note);

#endif
