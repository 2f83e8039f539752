/* SPDX-License-Identifier: MIT */
/* See courier.h. */
#include "otel/courier.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/time.h"
#include "otel/reply.h"

static const uint8_t courier_next[] = {
        [CMDI_COURIER_IDLE] = 1 << CMDI_COURIER_WAITING,
        [CMDI_COURIER_WAITING] = 1 << CMDI_COURIER_SENDING,
        [CMDI_COURIER_SENDING] = 1 << CMDI_COURIER_WAITING | 1 << CMDI_COURIER_IDLE,
};

static void courier_move(struct cmdi_courier *courier, enum cmdi_courier_state next)
{
    CMDI_ASSERT(courier_next[courier->state] & 1 << next);
    CMDI_ASSERT((courier->batch.data != NULL) == (next != CMDI_COURIER_IDLE));
    courier->state = (uint8_t)next;
}

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
            memory_order_relaxed);
}

/* ---- Setting up ------------------------------------------------------------------------------ */

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    CMDI_ASSERT(one == 1);
    struct cmdi_courier *courier = context;
    size_t room = sizeof(courier->reply) - courier->reply_size;
    size_t taken = size < room ? size : room;
    if (taken > 0) {
        memcpy(courier->reply + courier->reply_size, data, taken);
        courier->reply_size += taken;
    }
    return size;
}

static int add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL) {
        return -ENOMEM;
    }
    *list = longer;
    return 0;
}

static int make_headers(struct curl_slist **list, const struct cmdi_target *target, bool gzip)
{
    int code = add_header(list, "Content-Type: application/x-protobuf");
    if (code == 0) {
        code = add_header(list, "Expect:"); // Or large batches wait a second for a "100 Continue".
    }
    if (code == 0 && gzip) {
        code = add_header(list, "Content-Encoding: gzip");
    }
    for (uint32_t i = 0; i < target->header_count && code == 0; i++) {
        code = add_header(list, target->headers[i]);
    }
    return code;
}

#define SET(option, value) (code = code != CURLE_OK ? code : curl_easy_setopt(easy, option, value))

static CURLcode set_up_security(CURL *easy, const struct cmdi_target *target)
{
    CURLcode code = CURLE_OK;
    if (target->ca_file != NULL) {
        SET(CURLOPT_CAINFO, target->ca_file);
    }
    if (target->certificate_file != NULL) {
        SET(CURLOPT_SSLCERT, target->certificate_file);
    }
    if (target->key_file != NULL) {
        SET(CURLOPT_SSLKEY, target->key_file);
    }
    return code;
}

static CURLcode set_up(struct cmdi_courier *courier)
{
    CURL *easy = courier->easy;
    const struct cmdi_target *target = courier->target;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, target->url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)target->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)target->timeout_ms);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, courier);
    SET(CURLOPT_PRIVATE, courier);
    SET(CURLOPT_USERAGENT, "OTel-OTLP-Exporter-cmdstream/" CMDS_VERSION);
    SET(CURLOPT_PROXY, target->proxy);
    SET(CURLOPT_NOPROXY, target->no_proxy);
    if (target->unix_path != NULL) {
        SET(CURLOPT_UNIX_SOCKET_PATH, target->unix_path);
    }
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); // The end does not wait for a look-up of a name.
#endif
    return code != CURLE_OK ? code : set_up_security(easy, target);
}

int cmdi_courier_init(struct cmdi_courier *courier, const struct cmdi_target *target,
        const char *name, CURLM *multi, struct cmdi_tally *tally, struct cmdi_otel_log *log)
{
    *courier = (struct cmdi_courier){.target = target,
            .name = name,
            .tally = tally,
            .log = log,
            .multi = multi,
            .easy = curl_easy_init()};
    (void)getrandom(&courier->random, sizeof(courier->random), GRND_NONBLOCK);
    if (courier->easy == NULL || make_headers(&courier->headers, target, false) < 0 ||
            make_headers(&courier->headers_gzip, target, true) < 0) {
        return -ENOMEM;
    }
    CURLcode code = set_up(courier);
    return code == CURLE_OK ? 0 : code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static uint64_t drop_at_end(struct cmdi_courier *courier)
{
    count(&courier->tally->dropped, 1);
    count(&courier->tally->items_dropped, courier->batch.item_count);
    cmdi_batch_free(&courier->batch);
    return 1;
}

enum {
    STATUS_SIZE = 32,
};

/* " (HTTP 503)"; nothing, if nobody has answered. */
static const char *status_text(char text[STATUS_SIZE], long status)
{
    text[0] = '\0';
    if (status != 0) {
        (void)snprintf(text, STATUS_SIZE, " (HTTP %ld)", status);
    }
    return text;
}

/* With what the last try came to, which is why they are left. */
static void say_end(const struct cmdi_courier *courier, uint64_t left)
{
    char status[STATUS_SIZE];
    cmdi_otel_say(courier->log, UINT64_MAX, CMDS_LOG_WARN,
            "otel: %s to %s: %s%s: the exporter ends, %llu %s dropped", courier->name,
            courier->target->shown, courier->why != NULL ? courier->why : "no answer yet",
            status_text(status, courier->status), (unsigned long long)left,
            left == 1 ? "batch is" : "batches are");
}

void cmdi_courier_fini(struct cmdi_courier *courier)
{
    if (courier->easy != NULL) {
        if (courier->state == CMDI_COURIER_SENDING) {
            (void)curl_multi_remove_handle(courier->multi, courier->easy);
        }
        curl_easy_cleanup(courier->easy);
    }
    uint64_t left = 0;
    if (courier->state != CMDI_COURIER_IDLE) {
        left += drop_at_end(courier);
    }
    while (cmdi_queue_pop(&courier->queue, &courier->batch)) {
        left += drop_at_end(courier);
    }
    if (left > 0) {
        say_end(courier, left);
    }
    curl_slist_free_all(courier->headers);
    curl_slist_free_all(courier->headers_gzip);
    *courier = (struct cmdi_courier){.state = CMDI_COURIER_IDLE};
}

/* ---- What comes of a try --------------------------------------------------------------------- */

static void courier_failed(struct cmdi_courier *courier, const char *why, long status)
{
    courier->why = why;
    courier->status = status;
}

static void forget(struct cmdi_courier *courier)
{
    cmdi_batch_free(&courier->batch);
    courier->over++;
    courier_move(courier, CMDI_COURIER_IDLE);
}

static void lose(struct cmdi_courier *courier, const char *why, long status, uint64_t now_ms)
{
    count(&courier->tally->dropped, 1);
    count(&courier->tally->items_dropped, courier->batch.item_count);
    char answer[STATUS_SIZE];
    cmdi_otel_say(courier->log, now_ms, CMDS_LOG_WARN,
            "otel: %s to %s: %s%s: a batch of %llu is dropped after %u tries", courier->name,
            courier->target->shown, why, status_text(answer, status),
            (unsigned long long)courier->batch.item_count, courier->batch.tries);
    courier_failed(courier, why, status);
    forget(courier);
}

static void take_reply(struct cmdi_courier *courier, uint64_t now_ms)
{
    struct cmdi_partial partial;
    courier->is_told = false;
    courier_failed(courier, NULL, 0);
    count(&courier->tally->sent, 1);
    count(&courier->tally->items_sent, courier->batch.item_count);
    struct cmds_bytes body = {courier->reply, courier->reply_size};
    // It may lie, or be JSON: the batch is taken all the same.
    (void)cmdi_reply_read(body, &partial);
    if (partial.rejected > courier->batch.item_count) {
        partial.rejected = courier->batch.item_count;
    }
    if (partial.rejected > 0 || partial.message.size > 0) {
        count(&courier->tally->rejected, partial.rejected);
        size_t size = partial.message.size < 200 ? partial.message.size : 200;
        cmdi_otel_say(courier->log, now_ms, CMDS_LOG_WARN,
                "otel: %s to %s: %llu of %llu were rejected: %.*s", courier->name,
                courier->target->shown, (unsigned long long)partial.rejected,
                (unsigned long long)courier->batch.item_count, (int)size, partial.message.data);
    }
    forget(courier);
}

static uint64_t retry_after_ms(CURL *easy)
{
    curl_off_t seconds = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    seconds = seconds < 0 ? 0 : seconds > CMDI_RETRY_FOR_MS ? CMDI_RETRY_FOR_MS : seconds;
    return (uint64_t)seconds * CMDI_MS_PER_S;
}

static void try_again(struct cmdi_courier *courier, const char *why, long status, uint64_t now_ms)
{
    struct cmdi_batch *batch = &courier->batch;
    char answer[STATUS_SIZE];
    courier->random = cmdi_hash_mix(courier->random + now_ms + 1);
    int64_t delay_ms = cmdi_reply_delay_ms(batch->tries, retry_after_ms(courier->easy),
            courier->random, now_ms - batch->first_try_ms);
    if (delay_ms < 0) {
        lose(courier, why, status, now_ms);
        return;
    }
    batch->next_try_ms = now_ms + (uint64_t)delay_ms;
    // Once as a warning: who looks for those alone is to hear of it before all tries are over.
    bool is_told =
            cmdi_otel_say(courier->log, now_ms, courier->is_told ? CMDS_LOG_INFO : CMDS_LOG_WARN,
                    "otel: %s to %s: %s%s: again in %lld ms", courier->name, courier->target->shown,
                    why, status_text(answer, status), (long long)delay_ms);
    courier->is_told = courier->is_told || is_told;
    courier_failed(courier, why, status);
    courier_move(courier, CMDI_COURIER_WAITING);
}

void cmdi_courier_on_done(struct cmdi_courier *courier, CURLcode code, uint64_t now_ms)
{
    CMDI_ASSERT(courier->state == CMDI_COURIER_SENDING);
    long status = 0;
    (void)curl_multi_remove_handle(courier->multi, courier->easy);
    (void)curl_easy_getinfo(courier->easy, CURLINFO_RESPONSE_CODE, &status);
    const char *why = code != CURLE_OK ? curl_easy_strerror(code) : "refused";
    switch (cmdi_reply_verdict(status)) {
    case CMDI_VERDICT_SENT:
        take_reply(courier, now_ms);
        break;
    case CMDI_VERDICT_AGAIN:
        try_again(courier, why, status, now_ms);
        break;
    case CMDI_VERDICT_LOST:
        lose(courier, why, status, now_ms);
        break;
    }
}

/* ---- Its turns ------------------------------------------------------------------------------- */

void cmdi_courier_push(struct cmdi_courier *courier, struct cmdi_batch *batch, uint64_t now_ms)
{
    courier->pushed++;
    uint64_t lost = cmdi_queue_push(&courier->queue, batch);
    if (lost > 0) {
        courier->over++;
        cmdi_courier_lost(courier, lost);
        cmdi_otel_say(courier->log, now_ms, CMDS_LOG_WARN,
                "otel: %s to %s: %d batches wait already: the oldest is dropped", courier->name,
                courier->target->shown, CMDI_BATCHES_WAITING_MAX);
    }
}

void cmdi_courier_left_out(struct cmdi_courier *courier, uint64_t item_count)
{
    count(&courier->tally->items_dropped, item_count);
}

void cmdi_courier_lost(struct cmdi_courier *courier, uint64_t item_count)
{
    count(&courier->tally->dropped, 1);
    count(&courier->tally->items_dropped, item_count);
}

static void begin(struct cmdi_courier *courier, uint64_t now_ms)
{
    struct cmdi_batch *batch = &courier->batch;
    CURL *easy = courier->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_POSTFIELDS, (const char *)batch->data);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)batch->size);
    SET(CURLOPT_HTTPHEADER, batch->is_gzip ? courier->headers_gzip : courier->headers);
    courier->reply_size = 0;
    if (batch->tries == 0) {
        batch->first_try_ms = now_ms;
    } else {
        count(&courier->tally->again, 1);
    }
    batch->tries++;
    courier_move(courier, CMDI_COURIER_SENDING);
    if (code != CURLE_OK || curl_multi_add_handle(courier->multi, easy) != CURLM_OK) {
        lose(courier, "libcurl does not take it", 0, now_ms);
    }
}

void cmdi_courier_turn(struct cmdi_courier *courier, uint64_t now_ms)
{
    if (courier->state == CMDI_COURIER_IDLE && cmdi_queue_pop(&courier->queue, &courier->batch)) {
        courier->batch.next_try_ms = now_ms;
        courier_move(courier, CMDI_COURIER_WAITING);
    }
    if (courier->state == CMDI_COURIER_WAITING && now_ms >= courier->batch.next_try_ms) {
        begin(courier, now_ms);
    }
}

uint64_t cmdi_courier_due_ms(const struct cmdi_courier *courier)
{
    switch (courier->state) {
    case CMDI_COURIER_WAITING:
        return courier->batch.next_try_ms;
    case CMDI_COURIER_IDLE:
        return courier->queue.count > 0 ? 0 : UINT64_MAX;
    default:
        return UINT64_MAX;
    }
}

bool cmdi_courier_is_full(const struct cmdi_courier *courier)
{
    return courier->queue.count == CMDI_BATCHES_WAITING_MAX;
}

bool cmdi_courier_rests(const struct cmdi_courier *courier, uint64_t end_ms)
{
    return courier->state != CMDI_COURIER_SENDING && cmdi_courier_due_ms(courier) >= end_ms;
}
