/* SPDX-License-Identifier: MIT */
/*
 * Option structs and tables on their way over the border between a program and a library of different
 * versions: the rules of <cmdstream/base.h>. Any thread; nothing here keeps state.
 */
#ifndef CMDI_BASE_OPTIONS_H
#define CMDI_BASE_OPTIONS_H

#include <cmdstream/base.h>

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
/**
 * `unused`: the reserved members of an options struct, or-ed together. A newer header may give them a
 * meaning; a program that uses it is refused, as if the struct were longer.
 *
 * Returns: 0; -E2BIG: one of them is set.
 */
int cmdi_unused_check(uint64_t unused, const char *name, struct cmds_error *error);
/** Are the bytes from `from` to `size` zero? */
bool cmdi_is_zero(const void *table, size_t from, size_t size);

/** A field that is left at zero takes its default. */
static inline void cmdi_default(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

#endif
