/* SPDX-License-Identifier: MIT */
/* See exporter.h. */
#include "otel/exporter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cond.h"
#include "base/error.h"
#include "base/time.h"
#include "otel/courier.h"
#include "otel/metrics.h"
#include "otel/resource.h"
#include "otel/sampling.h"
#include "otel/spans.h"

enum {
    BODY_SIZE_MAX = 16 << 20,
    RESOURCE_SIZE_MAX = 1 << 20,
    IDLE_MS = 10000,  // It looks at the clock at least this often.
    SETTLE_MS = 5000, // A shard that is held up for longer is not waited for.
};

/* An exporter only moves down this list. */
enum exporter_state {
    EXPORTER_OPEN,    // Collects and sends.
    EXPORTER_CLOSING, // Sends what there is until `deadline_ms`.
    EXPORTER_ENDING,  // Drops what there is.
};

static const uint8_t exporter_next[] = {
        [EXPORTER_OPEN] = 1 << EXPORTER_CLOSING | 1 << EXPORTER_ENDING,
        [EXPORTER_CLOSING] = 1 << EXPORTER_ENDING,
        [EXPORTER_ENDING] = 0,
};

struct cmdi_exporter {
    pid_t pid;
    struct cmdi_settings settings;
    struct cmdi_source source;
    struct cmdi_tally tallies[CMDI_SIGNALS];
    bool has_thread;
    pthread_t thread;
    CURLM *multi; // The thread's; others may wake it.

    pthread_mutex_t lock; // Of the next four.
    pthread_cond_t changed;
    uint8_t state; // enum exporter_state
    uint64_t deadline_ms;
    uint64_t flushes_wanted, flushes_done; // A flush is over when what was wanted by then is done.

    // The thread's alone.
    struct cmdi_otel_log log;
    struct cmdi_metrics_plan plan;
    struct cmdi_proto resource, body;
    struct cmdi_deltas *deltas; // NULL: totals.
    struct cmdi_spans spans;
    uint64_t collect_ms; // UINT64_MAX: never.
    uint64_t flushes_begun;
    bool is_marked;               // What has to be over for the flush is known:
    uint64_t marks[CMDI_SIGNALS]; // Each courier's `pushed`.
    struct cmdi_courier couriers[CMDI_SIGNALS];
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    int code = clock_gettime(clock, &now);
    CMDI_ASSERT(code == 0);
    return (uint64_t)now.tv_sec * CMDI_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t now_ms(void)
{
    return cmdi_ns_to_ms(clock_ns(CLOCK_MONOTONIC));
}

static bool is_on(const struct cmdi_exporter *exporter, enum cmdi_signal signal)
{
    return !exporter->settings.targets[signal].is_off &&
           (signal != CMDI_SIGNAL_TRACES || exporter->source.take != NULL);
}

static void exporter_move(struct cmdi_exporter *exporter, enum exporter_state next)
{
    CMDI_ASSERT(exporter_next[exporter->state] & 1 << next);
    exporter->state = (uint8_t)next;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void collect(struct cmdi_exporter *exporter, uint64_t now)
{
    struct cmdi_courier *courier = &exporter->couriers[CMDI_SIGNAL_METRICS];
    struct cmdi_metrics metrics;
    cmdi_proto_reset(&exporter->body);
    cmdi_metrics_begin(
            &metrics, &exporter->plan, &exporter->body, exporter->deltas, clock_ns(CLOCK_REALTIME));
    int code = exporter->source.read(exporter->source.context,
            exporter->settings.go_milliseconds ? CMDS_READ_GO_MILLISECONDS : 0, cmdi_metrics_point,
            &metrics);
    int64_t count = cmdi_metrics_end(&metrics);
    struct cmdi_batch batch = {.data = NULL};
    if (code == 0 && count > 0) {
        code = cmdi_batch_make(&batch, cmdi_proto_bytes_of(&exporter->body), (uint64_t)count,
                courier->target->gzip);
    } else if (code == 0) {
        code = (int)count;
    }
    if (batch.data != NULL) {
        cmdi_courier_push(courier, &batch, now);
    } else if (code != 0) {
        cmdi_courier_lost(courier, metrics.point_count);
        cmdi_otel_say(&exporter->log, now, CMDS_LOG_ERROR, "otel: nothing is collected: %s",
                cmds_error_text(code));
    }
    if (metrics.lost_count > 0) {
        cmdi_courier_left_out(courier, metrics.lost_count);
        cmdi_otel_say(&exporter->log, now, CMDS_LOG_WARN,
                "otel: more than %d points, and as deltas: %u are left out", CMDI_DELTAS_MAX,
                metrics.lost_count);
    }
}

/* Between two collections lies the interval, however long one took. */
static void gather(struct cmdi_exporter *exporter, uint64_t wanted, uint64_t now)
{
    bool is_flush = wanted != exporter->flushes_begun;
    if (is_flush) {
        exporter->flushes_begun = wanted;
        exporter->is_marked = false;
        exporter->spans.is_wanted = is_on(exporter, CMDI_SIGNAL_TRACES);
    }
    if (is_on(exporter, CMDI_SIGNAL_METRICS) && (is_flush || now >= exporter->collect_ms)) {
        exporter->collect_ms = now + exporter->settings.metric_interval_ms;
        collect(exporter, now);
    }
    if (is_on(exporter, CMDI_SIGNAL_TRACES)) {
        struct cmdi_courier *courier = &exporter->couriers[CMDI_SIGNAL_TRACES];
        int code = cmdi_spans_look(&exporter->spans, courier, &exporter->body, now);
        if (code < 0) {
            cmdi_otel_say(&exporter->log, now, CMDS_LOG_ERROR, "otel: a batch of spans is lost: %s",
                    cmds_error_text(code));
        }
    }
    if (!exporter->is_marked && !exporter->spans.is_wanted) {
        for (int i = 0; i < CMDI_SIGNALS; i++) {
            exporter->marks[i] = exporter->couriers[i].pushed;
        }
        exporter->is_marked = true;
    }
}

static void carry(struct cmdi_exporter *exporter, uint64_t now)
{
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        cmdi_courier_turn(&exporter->couriers[i], now);
    }
    int running = 0, left = 0;
    (void)curl_multi_perform(exporter->multi, &running);
    for (CURLMsg *done; (done = curl_multi_info_read(exporter->multi, &left)) != NULL;) {
        struct cmdi_courier *courier = NULL;
        if (done->msg == CURLMSG_DONE) {
            CURLcode code = done->data.result;
            (void)curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, &courier);
            cmdi_courier_on_done(courier, code, now_ms());
        }
    }
}

/* Has all that the flush is about been sent, or dropped? */
static bool is_flushed(const struct cmdi_exporter *exporter)
{
    bool is_over = exporter->is_marked;
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        is_over = is_over && exporter->couriers[i].over >= exporter->marks[i];
    }
    return is_over;
}

/* With a deadline, what cannot be sent before it is not waited for. */
static bool is_in_vain(const struct cmdi_exporter *exporter, uint64_t end_ms)
{
    bool rests = true;
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        rests = rests && cmdi_courier_rests(&exporter->couriers[i], end_ms);
    }
    return rests;
}

static void sleep_until(struct cmdi_exporter *exporter, uint64_t due_ms)
{
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        uint64_t courier_ms = cmdi_courier_due_ms(&exporter->couriers[i]);
        due_ms = courier_ms < due_ms ? courier_ms : due_ms;
    }
    due_ms = exporter->collect_ms < due_ms ? exporter->collect_ms : due_ms;
    if (is_on(exporter, CMDI_SIGNAL_TRACES)) {
        due_ms = exporter->spans.look_ms < due_ms ? exporter->spans.look_ms : due_ms;
    }
    uint64_t now = now_ms();
    uint64_t wait_ms = due_ms > now ? due_ms - now : 0;
    (void)curl_multi_poll(
            exporter->multi, NULL, 0, (int)(wait_ms < IDLE_MS ? wait_ms : IDLE_MS), NULL);
}

/* Returns: false: it has ended. */
static bool exporter_turn(struct cmdi_exporter *exporter)
{
    uint64_t now = now_ms();
    pthread_mutex_lock(&exporter->lock);
    if (exporter->state == EXPORTER_CLOSING && now >= exporter->deadline_ms) {
        exporter_move(exporter, EXPORTER_ENDING);
    }
    enum exporter_state state = (enum exporter_state)exporter->state;
    uint64_t wanted = exporter->flushes_wanted;
    uint64_t due_ms = state == EXPORTER_CLOSING ? exporter->deadline_ms : UINT64_MAX;
    pthread_mutex_unlock(&exporter->lock);
    if (state == EXPORTER_ENDING) {
        return false;
    }
    gather(exporter, wanted, now);
    carry(exporter, now);
    if (is_flushed(exporter)) {
        pthread_mutex_lock(&exporter->lock);
        exporter->flushes_done = exporter->flushes_begun;
        pthread_cond_broadcast(&exporter->changed);
        pthread_mutex_unlock(&exporter->lock);
    }
    if (state == EXPORTER_CLOSING && is_in_vain(exporter, due_ms)) {
        return false;
    }
    sleep_until(exporter, due_ms);
    return true;
}

static void *exporter_run(void *context)
{
    (void)pthread_setname_np(pthread_self(), "cmds-otel");
    while (exporter_turn(context)) {
    }
    return NULL;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_code;

static void curl_start(void)
{
    curl_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Signals are for the program's own threads; those that a fault raises cannot be put off. */
static int start_thread(struct cmdi_exporter *exporter)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t all, before;
    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)sigdelset(&all, faults[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&exporter->thread, NULL, exporter_run, exporter);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    exporter->has_thread = code == 0;
    return -code;
}

static void exporter_free(struct cmdi_exporter *exporter)
{
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        cmdi_courier_fini(&exporter->couriers[i]);
    }
    if (exporter->multi != NULL) {
        (void)curl_multi_cleanup(exporter->multi);
    }
    cmdi_spans_fini(&exporter->spans);
    cmdi_deltas_free(exporter->deltas);
    cmdi_proto_fini(&exporter->body);
    cmdi_proto_fini(&exporter->resource);
    cmdi_settings_fini(&exporter->settings);
    (void)pthread_cond_destroy(&exporter->changed);
    (void)pthread_mutex_destroy(&exporter->lock);
    free(exporter);
}

static struct cmdi_exporter *exporter_new(const struct cmdi_source *source)
{
    struct cmdi_exporter *exporter = calloc(1, sizeof(*exporter));
    if (exporter == NULL) {
        return NULL;
    }
    exporter->pid = getpid();
    exporter->source = *source;
    cmdi_proto_init(&exporter->resource, RESOURCE_SIZE_MAX);
    cmdi_proto_init(&exporter->body, BODY_SIZE_MAX);
    (void)pthread_mutex_init(&exporter->lock, NULL);
    cmdi_cond_init(&exporter->changed);
    return exporter;
}

static int make_couriers(struct cmdi_exporter *exporter, struct cmds_error *error)
{
    static const char *const names[] = {
            [CMDI_SIGNAL_METRICS] = "metrics", [CMDI_SIGNAL_TRACES] = "traces"};
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        const struct cmdi_target *target = &exporter->settings.targets[i];
        int code = 0;
        if (is_on(exporter, (enum cmdi_signal)i)) {
            code = cmdi_courier_init(&exporter->couriers[i], target, names[i], exporter->multi,
                    &exporter->tallies[i], &exporter->log);
        }
        if (code < 0) {
            return cmdi_fail(
                    error, code, "otel: libcurl does not take the endpoint %s", target->shown);
        }
    }
    return 0;
}

static int make_parts(struct cmdi_exporter *exporter, struct cmds_error *error)
{
    const struct cmdi_settings *settings = &exporter->settings;
    exporter->log =
            (struct cmdi_otel_log){.on_log = settings->on_log, .context = settings->log_context};
    int code = cmdi_resource_make(&exporter->resource, settings);
    if (code < 0) {
        return cmdi_fail(error, code, "otel: the resource's attributes: %s", cmds_error_text(code));
    }
    exporter->plan =
            (struct cmdi_metrics_plan){.resource = cmdi_proto_bytes_of(&exporter->resource),
                    .start_ns = exporter->source.start_ns,
                    .is_explicit = settings->is_explicit,
                    .is_milliseconds = settings->go_milliseconds};
    exporter->multi = curl_multi_init();
    exporter->deltas = settings->delta ? cmdi_deltas_new(exporter->source.start_ns) : NULL;
    if (exporter->multi == NULL || (settings->delta && exporter->deltas == NULL)) {
        return cmdi_fail(error, -ENOMEM, "otel: out of memory");
    }
    exporter->collect_ms = UINT64_MAX;
    if (is_on(exporter, CMDI_SIGNAL_METRICS)) {
        exporter->collect_ms = now_ms() + settings->metric_interval_ms;
    }
    if (is_on(exporter, CMDI_SIGNAL_TRACES) &&
            cmdi_spans_init(&exporter->spans, &exporter->source, exporter->plan.resource,
                    settings->span_interval_ms) < 0) {
        return cmdi_fail(error, -ENOMEM, "otel: out of memory");
    }
    return make_couriers(exporter, error);
}

static void set_sampling(struct cmdi_exporter *exporter)
{
    const struct cmdi_settings *settings = &exporter->settings;
    double ratio = 0;
    if (exporter->source.sample == NULL || !cmdi_otel_sampling(settings, &ratio)) {
        return;
    }
    int code = exporter->source.sample(exporter->source.context, ratio);
    if (code < 0 && settings->on_log != NULL) {
        settings->on_log(settings->log_context, CMDS_LOG_WARN,
                code == -ENOTSUP ? "otel: OTEL_TRACES_SAMPLER: the runtime keeps no spans: "
                                   "cmds_runtime_options.trace is not set"
                                 : cmds_error_text(code));
    }
}

int cmdi_exporter_open(struct cmdi_exporter **exporter, const struct cmdi_source *source,
        const struct cmds_otel_options *options, struct cmds_error *error)
{
    if (pthread_once(&curl_once, curl_start) != 0 || curl_code != CURLE_OK) {
        return cmdi_fail(error, -ENOTSUP, "otel: libcurl does not start");
    }
    struct cmdi_exporter *made = exporter_new(source);
    if (made == NULL) {
        return cmdi_fail(error, -ENOMEM, "otel: out of memory");
    }
    int code = cmdi_settings_init(&made->settings, options, error);
    if (code == 0) {
        set_sampling(made); // Before the thread, which may speak on its own.
    }
    if (code == 0 && (is_on(made, CMDI_SIGNAL_METRICS) || is_on(made, CMDI_SIGNAL_TRACES))) {
        code = make_parts(made, error);
        if (code == 0) {
            code = start_thread(made);
            code = code < 0 ? cmdi_fail(error, code, "otel: there is no thread to be had") : 0;
        }
    }
    if (code < 0) {
        exporter_free(made);
        return code;
    }
    *exporter = made;
    return 0;
}

/* ---- For other threads ----------------------------------------------------------------------- */

static bool is_foreign(const struct cmdi_exporter *exporter)
{
    return getpid() != exporter->pid;
}

static uint64_t dropped_batches(const struct cmdi_exporter *exporter)
{
    uint64_t dropped = 0;
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        dropped += atomic_load(&exporter->tallies[i].dropped);
    }
    return dropped;
}

/* Half of the time at most: what can be read then is to be sent in the other half. */
static void settle(const struct cmdi_exporter *exporter, uint64_t now_ns, uint32_t timeout_ms)
{
    uint64_t half_ns = cmdi_ms_to_ns(timeout_ms) / 2, most_ns = cmdi_ms_to_ns(SETTLE_MS);
    if (exporter->source.settle != NULL && timeout_ms > 0) {
        exporter->source.settle(
                exporter->source.context, now_ns + (half_ns < most_ns ? half_ns : most_ns));
    }
}

int cmdi_exporter_flush(struct cmdi_exporter *exporter, uint32_t timeout_ms)
{
    if (is_foreign(exporter)) {
        return CMDS_E_FORKED;
    }
    if (!exporter->has_thread) {
        return 0;
    }
    uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t end_ns = begin_ns + cmdi_ms_to_ns(timeout_ms);
    uint64_t dropped = dropped_batches(exporter); // Before it settles, which is of this call.
    settle(exporter, begin_ns, timeout_ms);
    struct timespec end = {
            .tv_sec = (time_t)(end_ns / CMDI_NS_PER_S), .tv_nsec = (long)(end_ns % CMDI_NS_PER_S)};
    int code = 0;
    pthread_mutex_lock(&exporter->lock);
    uint64_t mine = ++exporter->flushes_wanted;
    (void)curl_multi_wakeup(exporter->multi);
    while (exporter->flushes_done < mine && code == 0) {
        code = timeout_ms == CMDS_NEVER
                       ? pthread_cond_wait(&exporter->changed, &exporter->lock)
                       : pthread_cond_timedwait(&exporter->changed, &exporter->lock, &end);
    }
    bool done = exporter->flushes_done >= mine;
    pthread_mutex_unlock(&exporter->lock);
    if (!done) {
        return -ETIMEDOUT;
    }
    return dropped_batches(exporter) == dropped ? 0 : -EIO;
}

void cmdi_exporter_stats(const struct cmdi_exporter *exporter, struct cmds_otel_counters *counters)
{
    const struct cmdi_tally *spans = &exporter->tallies[CMDI_SIGNAL_TRACES];
    counters->batches_dropped = dropped_batches(exporter);
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        const struct cmdi_tally *tally = &exporter->tallies[i];
        counters->batches_sent += atomic_load(&tally->sent);
        counters->tries_again += atomic_load(&tally->again);
        counters->items_rejected += atomic_load(&tally->rejected);
    }
    const struct cmdi_tally *points = &exporter->tallies[CMDI_SIGNAL_METRICS];
    counters->points_sent = atomic_load(&points->items_sent);
    counters->points_dropped = atomic_load(&points->items_dropped);
    counters->spans_sent = atomic_load(&spans->items_sent);
    counters->spans_dropped = atomic_load(&spans->items_dropped);
}

void cmdi_exporter_close(struct cmdi_exporter *exporter, uint32_t timeout_ms)
{
    if (exporter == NULL || is_foreign(exporter)) {
        return;
    }
    if (exporter->has_thread) {
        uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
        settle(exporter, begin_ns, timeout_ms);
        pthread_mutex_lock(&exporter->lock);
        exporter_move(exporter, timeout_ms > 0 ? EXPORTER_CLOSING : EXPORTER_ENDING);
        exporter->deadline_ms =
                timeout_ms == CMDS_NEVER ? UINT64_MAX : cmdi_ns_to_ms(begin_ns) + timeout_ms;
        exporter->flushes_wanted++;
        (void)curl_multi_wakeup(exporter->multi);
        pthread_mutex_unlock(&exporter->lock);
        (void)pthread_join(exporter->thread, NULL);
    }
    exporter_free(exporter);
}
