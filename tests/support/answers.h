/* SPDX-License-Identifier: MIT */
/*
 * What came back to a client: every result callback of a test writes here, from any shard, and the
 * test's thread looks.
 */
#ifndef CMDI_TESTS_SUPPORT_ANSWERS_H
#define CMDI_TESTS_SUPPORT_ANSWERS_H

#include <pthread.h>
#include <stdatomic.h>

#include <cmdstream/cmdstream.h>

enum {
    ANSWERS_MAX = 4096, // Kept; more are only counted.
};

struct answer {
    int32_t error;
    bool last;
    uint32_t client;
    uint64_t sequence;
    int64_t number; // The int64 of an `echoed`, the index of an `item`; INT64_MIN: neither.
    char text[252];
};

struct answers {
    pthread_mutex_t lock; // Of `list` and `stored`.
    uint32_t stored;
    _Atomic uint32_t count;      // Results told.
    _Atomic uint32_t last_count; // Those with `last`.
    _Atomic uint32_t good_count; // Those without an error.
    struct answer list[ANSWERS_MAX];
};

/** Gives: answers_free(). Ends the test program without memory. */
struct answers *answers_new(void);
void answers_free(struct answers *answers);
/** A cmds_result_fn; the context is the answers. Also fits on_unexpected. */
void answers_take(void *context, const struct cmds_result *result);
/** A copy of answer `index`, zeroed if there is none. */
struct answer answers_at(struct answers *answers, uint32_t index);
/** How many ended with this error. */
uint32_t answers_with(struct answers *answers, int32_t error);

#endif
