/* SPDX-License-Identifier: MIT */
/*
 * "key=value,key=value" as the OTEL_* variables have it: the values may be percent-encoded ("%25" is the sign
 * itself), blanks around keys and values are none of theirs. Text in, text out; any thread.
 */
#ifndef CMDI_OTEL_PAIRS_H
#define CMDI_OTEL_PAIRS_H

#include <cmdstream/base.h>

/**
 * The next pair of `*text`, which moves behind it. Empty elements are passed over.
 *
 * Owner:   key and value point into `buffer`, of `size` bytes: strlen(*text) + 2 are enough.
 * Returns: 1; 0: there is no further one; -EINVAL: an element without '=' or key; -EILSEQ: a value with a '%' that two
 *          hexadecimal digits do not follow, and nobody knows what is meant. Such an element was passed over.
 */
int cmdi_pairs_next(const char **text, char *buffer, size_t size, struct cmds_pair *pair);
/** All of them. NULL is none. Returns: 0; as above, of the first that is none; -ENOMEM. */
int cmdi_pairs_check(const char *text);
/** What is wrong, for a person who reads "... is not". `code` is of cmdi_pairs_check(). */
const char *cmdi_pairs_wanted(int code);

#endif
