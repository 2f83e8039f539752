/* SPDX-License-Identifier: MIT */
/*
 * How a ring is made: its queues, as large as there is memory for, and the features that this kernel
 * has beyond the floor. Before a ring is enabled, on any thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "machine/probe.h"
#include "ring/clock.h"
#include "ring/inside.h"

enum {
    /* How long a ring is tried for that the kernel has no memory for, and how small it may get. */
    RING_SETUP_WAIT_MS = 10,
    RING_ENTRIES_FLOOR = 32,
};

/* --- Features --------------------------------------------------------------------------------- */

static bool ring_feature_off(const char *name)
{
    const char *off = getenv("CMDSTREAM_FEATURES_OFF");
    size_t size = strlen(name);
    while (off != NULL && *off != '\0') {
        size_t word = strcspn(off, ",");
        if ((word == size && memcmp(off, name, size) == 0) ||
                (word == 3 && memcmp(off, "all", 3) == 0)) {
            return true;
        }
        off += word + (off[word] == ',');
    }
    return false;
}

static void ring_choose_features(struct cmdi_ring *ring, uint32_t kernel_features)
{
    const bool available[CMDI_RING_FEATURE_COUNT] = {
            [CMDI_RING_FEATURE_REGISTERED_FD] = true,
            [CMDI_RING_FEATURE_NO_IOWAIT] = (kernel_features & IORING_FEAT_NO_IOWAIT) != 0,
            [CMDI_RING_FEATURE_ACCEPT_POLL_FIRST] =
                    (kernel_features & IORING_FEAT_RECVSEND_BUNDLE) != 0,
    };
    static const char *const names[] = {
#define CMDI_X_(name, text, since, gives) text,
            CMDI_RING_FEATURES(CMDI_X_)
#undef CMDI_X_
    };
    for (uint32_t i = 0; i < CMDI_RING_FEATURE_COUNT; i++) {
        if (available[i] && !ring_feature_off(names[i])) {
            ring->features |= 1u << i;
        }
    }
    if (ring->features & (1u << CMDI_RING_FEATURE_NO_IOWAIT)) {
        ring->enter_flags |= IORING_ENTER_NO_IOWAIT;
    }
}

/* --- Queues ----------------------------------------------------------------------------------- */

bool cmdi_ring_wait_for_memory(struct cmdi_ring_patience *patience, uint32_t max_ms)
{
    if (patience->waited_ms >= max_ms) {
        return false;
    }
    patience->next_ms = patience->next_ms == 0 ? RING_SETUP_WAIT_MS : patience->next_ms * 2;
    cmdi_sleep_ms(patience->next_ms);
    patience->waited_ms += patience->next_ms;
    return true;
}

static int ring_setup_queues(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct io_uring_params *params, struct cmdi_ring_patience *patience)
{
    uint32_t entries = options->entries;
    uint32_t completions = options->completion_entries;
    for (;;) {
        *params = (struct io_uring_params){
                .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                         IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                         IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
                .cq_entries = completions,
        };
        int code = io_uring_queue_init_params(entries, &ring->uring, params);
        if (code != -ENOMEM) {
            return code;
        }
        bool may_shrink = entries / 2 >= RING_ENTRIES_FLOOR && completions > entries;
        if (!cmdi_ring_wait_for_memory(patience,
                    may_shrink ? CMDI_RING_SETUP_WAIT_FIRST_MS : CMDI_RING_SETUP_WAIT_MAX_MS)) {
            if (!may_shrink) {
                return code;
            }
            entries /= 2;
            completions /= 2;
        }
    }
}

/*
 * A sandbox may allow the set-up alone. Returns: 0; -errno of an enter, which the kernel refuses to
 * a ring that is not enabled, and to no other one of its arguments.
 */
static int ring_try_enter(const struct cmdi_ring *ring)
{
    int code = io_uring_enter2((unsigned)ring->uring.ring_fd, 0, 0, 0, NULL, 0);
    return code >= 0 || code == -EBADFD ? 0 : code;
}

int cmdi_ring_refused(int code, struct cmds_error *error)
{
    char text[252];
    (void)cmdi_probe_setup_error(code, text, sizeof(text));
    return cmdi_fail(error, code, "%s", text);
}

int cmdi_ring_setup(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct cmdi_ring_patience *patience, struct cmds_error *error)
{
    struct io_uring_params params;
    int code = ring_setup_queues(ring, options, &params, patience);
    ring->uring_ready = code >= 0;
    code = code >= 0 ? ring_try_enter(ring) : code;
    if (code < 0) {
        return cmdi_ring_refused(code, error);
    }
    // A child shall not touch it; not being able to say so harms nobody.
    (void)io_uring_ring_dontfork(&ring->uring);
    ring_choose_features(ring, params.features);
    if (ring->uring.sq.array != NULL) {
        for (uint32_t i = 0; i < params.sq_entries; i++) {
            ring->uring.sq.array[i] = i; // Our enter moves only the tail.
        }
    }
    return 0;
}
