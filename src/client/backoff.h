/* SPDX-License-Identifier: MIT */
/*
 * When is a server that was lost, or could not be reached, tried again?
 *
 * After a random time up to a bound, which begins at `delay_ms` and doubles with each failure in a
 * row, up to `delay_max_ms`, and to twice the time that the row has lasted: who tried often because
 * his random times were short does not stay away longer than others for it. The whole of it is random ("full jitter"), so that clients which lost
 * their server at the same moment do not come back at the same moment.
 *
 * A connection that came up ends the row only if it answered a command or stayed up for a while: a
 * server that accepts and closes at once, for ever, is tried as seldom as one that does not answer.
 *
 * Pure values: times and a random number come in, the decision goes out.
 */
#ifndef CMDI_CLIENT_BACKOFF_H
#define CMDI_CLIENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CMDI_BACKOFF_STABLE_MS = 1000, // A connection that was up for so long ends the row.
};

struct cmdi_backoff_options {
    uint32_t delay_ms;     // At least 1; CMDS_NEVER: it is never tried again.
    uint32_t delay_max_ms; // CMDS_NEVER: no bound.
    uint32_t count_max;    // Failures in a row after which it is not tried again; 0: no limit.
};

struct cmdi_backoff {
    uint32_t failed;   // In a row, now.
    uint64_t since_ms; // When the row began.
    uint64_t up_at_ms; // When it came up; 0: it is not.
    bool is_proved;    // A command was answered since: the server does what it is for.
};

/** The connection is up. */
void cmdi_backoff_up(struct cmdi_backoff *backoff, uint64_t now_ms);
/**
 * It was lost, or no address could be reached. Returns: true: it is tried again after `*delay_ms`;
 * false: not any more.
 */
bool cmdi_backoff_failed(struct cmdi_backoff *backoff, const struct cmdi_backoff_options *options,
        uint64_t now_ms, uint64_t random, uint32_t *delay_ms);

#endif
