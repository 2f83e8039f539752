/* SPDX-License-Identifier: MIT */
/*
 * Recording failures, and taking option structs over the border between program and library.
 *
 * Every function that can fail does it through cmdi_fail(), so that one place guarantees what the
 * public header promises of struct cmds_error: the first failure stays, the text is terminated, and
 * no byte of a peer reaches a terminal raw. Any thread; nothing here keeps state.
 */
#ifndef CMDI_BASE_ERROR_H
#define CMDI_BASE_ERROR_H

#include <cmdstream/base.h>

/**
 * Records `code` and the sentence, unless `error` is NULL or holds a failure already.
 *
 * Owner:   borrows everything.
 * Thread:  any, one at a time for one `error`.
 * Returns: `code`, so that `return cmdi_fail(...)` is the whole of an error path.
 */
int cmdi_fail(struct cmds_error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/**
 * Copies an options struct that begins with `uint32_t struct_size`. A program built against an
 * older header has a shorter one: what it lacks reads as zero. One built against a newer header has
 * a longer one: what we do not know must be zero.
 *
 * Owner:   borrows; `mine` has `mine_size` bytes and is untouched on failure.
 * Thread:  any.
 * Returns: 0; -EINVAL: `theirs` was not started from its INIT macro; -E2BIG: it sets an option this
 *          library lacks.
 */
int cmdi_options_take(void *mine, size_t mine_size, const void *theirs, const char *name,
        struct cmds_error *error);

/**
 * The same rule for a table that is used where it lies, and begins with `uint32_t struct_size`: it has
 * at least `least` bytes, and beyond the `known` ones, which a newer header has, they are zero.
 *
 * Owner:   borrows.
 * Thread:  any.
 * Returns: 0; -EINVAL: its struct_size is none; -E2BIG: it has something this library lacks.
 */
int cmdi_table_check(
        const void *table, size_t known, size_t least, const char *name, struct cmds_error *error);
/** Are the bytes from `from` to `size` zero? */
bool cmdi_is_zero(const void *table, size_t from, size_t size);

#endif
