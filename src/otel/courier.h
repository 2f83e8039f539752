/* SPDX-License-Identifier: MIT */
/*
 * Carries the batches of one signal to its backend, one at a time, and tries again. It never waits: its
 * turns are the exporter's. Of that thread.
 */
#ifndef CMDI_OTEL_COURIER_H
#define CMDI_OTEL_COURIER_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "otel/batch.h"
#include "otel/log.h"
#include "otel/settings.h"

enum {
    CMDI_REPLY_SIZE_MAX = 65536, // What a backend says beyond is not read.
};

/** Written by the exporter's thread alone, read by any. */
struct cmdi_tally {
    _Atomic uint64_t sent, dropped, again, rejected;
    _Atomic uint64_t items_sent, items_dropped; // Points, or spans.
};

enum cmdi_courier_state {
    CMDI_COURIER_IDLE,    // `batch` is empty.
    CMDI_COURIER_WAITING, // `batch` is to be sent at batch.next_try_ms.
    CMDI_COURIER_SENDING, // `batch` is libcurl's to read.
};

struct cmdi_courier {
    uint8_t state; // enum cmdi_courier_state
    const struct cmdi_target *target;
    const char *name; // "metrics"
    struct cmdi_tally *tally;
    struct cmdi_otel_log *log;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers, *headers_gzip;
    struct cmdi_queue queue;
    struct cmdi_batch batch;
    uint64_t pushed, over; // Batches that were taken, and those of them that are no more.
    uint64_t random;       // State of the jitter.
    const char *why; // The last try failed, and this is libcurl's word for it. NULL: it did not.
    long status;     // Of HTTP, of that try; 0: there was none.
    bool is_told;    // As a warning, since a batch was taken.
    size_t reply_size;
    uint8_t reply[CMDI_REPLY_SIZE_MAX];
};

/**
 * Owner:   borrows all but `courier`; cmdi_courier_fini(), after a failure too.
 * Returns: 0; -ENOMEM; -EINVAL: libcurl does not take the address.
 */
int cmdi_courier_init(struct cmdi_courier *courier, const struct cmdi_target *target,
        const char *name, CURLM *multi, struct cmdi_tally *tally, struct cmdi_otel_log *log);
/** What was not sent is dropped, and counted. */
void cmdi_courier_fini(struct cmdi_courier *courier);
/** Takes *batch. */
void cmdi_courier_push(struct cmdi_courier *courier, struct cmdi_batch *batch, uint64_t now_ms);
/** So many have found no place in a batch. */
void cmdi_courier_left_out(struct cmdi_courier *courier, uint64_t item_count);
/** A batch of so many was lost before it was made. */
void cmdi_courier_lost(struct cmdi_courier *courier, uint64_t item_count);
/** Begins to send what is due. */
void cmdi_courier_turn(struct cmdi_courier *courier, uint64_t now_ms);
/** libcurl is done with the batch. */
void cmdi_courier_on_done(struct cmdi_courier *courier, CURLcode code, uint64_t now_ms);
/** When the next turn is wanted; UINT64_MAX: not by itself. */
uint64_t cmdi_courier_due_ms(const struct cmdi_courier *courier);
/** Would a further batch push one out? */
bool cmdi_courier_is_full(const struct cmdi_courier *courier);
/** Is there nothing that can be sent before `end_ms`? */
bool cmdi_courier_rests(const struct cmdi_courier *courier, uint64_t end_ms);

#endif
