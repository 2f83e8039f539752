/* SPDX-License-Identifier: MIT */
/*
 * Figures as a person reads them, and columns of them. Any thread; nothing here keeps state.
 */
#ifndef CMDI_ADMIN_WORDS_H
#define CMDI_ADMIN_WORDS_H

#include <stdint.h>

#include "admin/out.h"

enum {
    CMDI_ADMIN_WORD_SIZE = 32, // Of one figure with its unit.
};

/** "812 MiB". Returns: `text`. */
const char *cmdi_admin_bytes(char text[CMDI_ADMIN_WORD_SIZE], double bytes);
/** "41 us", "1.2 s", "3h12m"; NAN, which is no value: "-". Returns: `text`. */
const char *cmdi_admin_time(char text[CMDI_ADMIN_WORD_SIZE], double seconds);
/** "2,981,120"; below 10 with two digits if it is not whole. Returns: `text`. */
const char *cmdi_admin_number(char text[CMDI_ADMIN_WORD_SIZE], double number);

/** The few digits that read back as the same number: "0.1". Finite. Returns: `text`. */
const char *cmdi_admin_real(char text[CMDI_ADMIN_WORD_SIZE], double number);

/** `text` and two blanks behind it, `width` wide before those; wider if it is longer. */
void cmdi_admin_left(struct cmdi_admin_out *out, const char *text, int width);
/** The same, with the blanks that it lacks in front. */
void cmdi_admin_right(struct cmdi_admin_out *out, const char *text, int width);

#endif
