/* SPDX-License-Identifier: MIT */
/*
 * The rows of those with the least keys, of more than there are rows for: a heap says which of the rows that
 * are taken has the greatest key, and a smaller key takes its place. One thread at a time.
 */
#ifndef CMDI_BASE_LEAST_H
#define CMDI_BASE_LEAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cmdi_least_key {
    uint64_t key;
    size_t row;
};

struct cmdi_least {
    struct cmdi_least_key *heap; // The greatest first: none is greater than the one at (i - 1) / 2.
    size_t count, max;
};

/** Returns: 0; -ENOMEM. */
int cmdi_least_init(struct cmdi_least *least, size_t max);
/** One that is zero is fine. */
void cmdi_least_fini(struct cmdi_least *least);
/** Returns: it has a row now: *row, a free one or that of a greater key; not: all keys are smaller. */
bool cmdi_least_take(struct cmdi_least *least, uint64_t key, size_t *row);

#endif
