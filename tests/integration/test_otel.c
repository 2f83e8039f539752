/* SPDX-License-Identifier: MIT */
/*
 * A runtime that is exported: what a backend gets are the runtime's own numbers. The request is read by a
 * reader that has nothing of the writer but the numbers of OTLP's fields.
 */
#include <cmdstream/otel.h>
#include <cmdstream/test.h>
#include <cmdstream/trace.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "support/backend.h"
#include "support/guest.h"
#include "support/world.h"

enum {
    LONG_MS = 60000,
};

static const struct backend_step fine = {.text = BACKEND_OK};

static uint64_t varint(const uint8_t **at)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
}

/* The next field of [*at, end) with this number: what is in it, or 8 bytes of a number. */
static bool field(const uint8_t **at, const uint8_t *end, uint64_t number, struct cmds_bytes *bytes)
{
    while (*at < end) {
        uint64_t tag = varint(at);
        uint64_t size = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : varint(at);
        *bytes = (struct cmds_bytes){*at, (tag & 7) == 0 ? 0 : size};
        *at += bytes->size;
        if (tag >> 3 == number) {
            return true;
        }
    }
    return false;
}

static bool first(struct cmds_bytes message, uint64_t number, struct cmds_bytes *bytes)
{
    const uint8_t *at = message.data;
    return field(&at, at + message.size, number, bytes);
}

static bool is_text(struct cmds_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* The first point of a counter of this name: as_int, and the times. */
static bool counter(struct cmds_bytes body, const char *name, int64_t *value, uint64_t times[2])
{
    struct cmds_bytes part, metric, text;
    if (!first(body, 1, &part) || !first(part, 2, &part)) { // ResourceMetrics, ScopeMetrics.
        return false;
    }
    const uint8_t *at = part.data, *end = at + part.size;
    while (field(&at, end, 2, &metric)) {
        if (first(metric, 1, &text) && is_text(text, name) && first(metric, 7, &part) &&
                first(part, 1, &part) && first(part, 6, &text)) {
            memcpy(value, text.data, sizeof(*value));
            for (uint64_t i = 0; i < 2; i++) {
                struct cmds_bytes time = {NULL, 0};
                CU_ASSERT_TRUE_FATAL(first(part, 2 + i, &time));
                memcpy(&times[i], time.data, sizeof(times[i]));
            }
            return true;
        }
    }
    return false;
}

static int64_t exported(struct backend *backend, const char *name, uint64_t times[2])
{
    int64_t value = -1;
    size_t size = 0;
    uint8_t *body = backend_body(backend, &size);
    CU_ASSERT_TRUE(counter((struct cmds_bytes){body, size}, name, &value, times));
    free(body);
    return value;
}

static struct cmds_otel *exporter_open(
        struct world *world, struct backend *backend, bool no_metrics)
{
    struct cmds_otel *otel = NULL;
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    options.ignore_environment = true;
    options.no_metrics = no_metrics;
    options.endpoint = backend_url(backend);
    CU_ASSERT_EQUAL_FATAL(cmds_otel_open(&otel, world->runtime, &options, &world->error), 0);
    return otel;
}

static void test_otel_exports_what_a_server_counts(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct world world;
    struct guest guest;
    world_init(&world);
    world.options.listen = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    struct cmds_otel *otel = exporter_open(&world, backend, false);
    guest_init(&guest);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, world.address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);
    for (int64_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) == 3);

    uint64_t times[2], later[2];
    CU_ASSERT_EQUAL(cmds_otel_flush(otel, LONG_MS), 0);
    CU_ASSERT_EQUAL(exported(backend, "cmdstream.server.commands_received", times), 3);
    CU_ASSERT_EQUAL(exported(backend, "cmdstream.client.results_received", times), 3);
    CU_ASSERT(times[0] > UINT64_C(1700000000) * 1000000000 && times[0] <= times[1]);

    CU_ASSERT_EQUAL(guest_echo(&guest, 7, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 4);
    CU_ASSERT_EQUAL(cmds_otel_flush(otel, LONG_MS), 0);
    CU_ASSERT_EQUAL(exported(backend, "cmdstream.server.commands_received", later), 4);
    CU_ASSERT_EQUAL(later[0], times[0]); // The same beginning in every batch.
    CU_ASSERT(later[1] >= times[1]);

    struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_otel_stats(otel, &counters), 0);
    CU_ASSERT_EQUAL(counters.batches_sent, 2);
    counters.struct_size = 0;
    CU_ASSERT_EQUAL(cmds_otel_stats(otel, &counters), -EINVAL);
    cmds_otel_close(otel, LONG_MS);
    CU_ASSERT_EQUAL(backend_requests(backend), 3);
    guest_close(&guest, &world);
    world_stop(&world);
    backend_stop(backend);
}

/* The first point of an exponential histogram of this name: its count; -1: there is none. */
static int64_t histogram_count(struct cmds_bytes body, const char *name)
{
    struct cmds_bytes part, metric, text;
    int64_t value = -1;
    if (!first(body, 1, &part) || !first(part, 2, &part)) { // ResourceMetrics, ScopeMetrics.
        return -1;
    }
    const uint8_t *at = part.data, *end = at + part.size;
    while (value < 0 && field(&at, end, 2, &metric)) {
        if (first(metric, 1, &text) && is_text(text, name) && first(metric, 10, &part) &&
                first(part, 1, &part) && first(part, 4, &text)) {
            memcpy(&value, text.data, sizeof(value));
        }
    }
    return value;
}

struct lingering {
    struct answers *answers;
    _Atomic bool is_over;
    bool is_let; // It waits until it is let go, and not for 100 ms.
    _Atomic bool may_go;
};

/* What it was told is known, and its turn is not over. */
static void lingering_on_result(void *context, const struct cmds_result *result)
{
    static const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    struct lingering *lingering = context;
    answers_take(lingering->answers, result);
    do {
        (void)nanosleep(&pause, NULL);
    } while (lingering->is_let && !atomic_load(&lingering->may_go));
    atomic_store(&lingering->is_over, true);
}

static int64_t exported_durations(struct backend *backend)
{
    size_t size = 0;
    uint8_t *body = backend_body(backend, &size);
    int64_t count =
            histogram_count((struct cmds_bytes){body, size}, "cmd-stream.client.command.duration");
    free(body);
    return count;
}

/* A flush has what the callbacks were told, though durations are counted at the end of their turn. */
static void test_otel_flush_waits_for_the_end_of_a_turn(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest_start(&guest, &world);
    struct cmds_otel *otel = exporter_open(&world, backend, false);
    struct lingering lingering = {.answers = guest.answers};
    struct echo echo = {true, 1, CMDS_STRING("hi"), 0.5};
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(cmds_group_send(guest.group, echo_message(&echo), NULL, lingering_on_result,
                                &lingering),
                0);
        WORLD_UNTIL(&world, guest_last(&guest) == i + 1);
        CU_ASSERT_EQUAL(cmds_otel_flush(otel, LONG_MS), 0);
        CU_ASSERT_EQUAL_FATAL(exported_durations(backend), (int64_t)i + 1);
    }

    lingering.is_let = true; // A shard that is held up for ever is waited for in vain.
    atomic_store(&lingering.is_over, false);
    CU_ASSERT_EQUAL(cmds_group_send(guest.group, echo_message(&echo), NULL, lingering_on_result,
                            &lingering),
            0);
    WORLD_UNTIL(&world, guest_last(&guest) == 3);
    CU_ASSERT_EQUAL(cmds_otel_flush(otel, 4000), 0); // The other half of the time is the backend's.
    CU_ASSERT_FALSE(atomic_load(&lingering.is_over));
    atomic_store(&lingering.may_go, true);
    cmds_otel_close(otel, LONG_MS);
    CU_ASSERT_EQUAL(exported_durations(backend), 3);
    guest_close(&guest, &world);
    world_stop(&world);
    backend_stop(backend);
}

/* The shard of a test is the very thread that would wait for it: it is sent nothing that it would have to answer. */
static void test_otel_flush_does_not_wait_for_a_test(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    struct cmds_test *test = NULL;
    struct world world;
    world_init(&world);
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &world.options, &world.error), 0);
    world.runtime = cmds_test_runtime(test);
    struct cmds_otel *otel = exporter_open(&world, backend, false);
    CU_ASSERT_EQUAL(cmds_otel_flush(otel, LONG_MS), 0);
    cmds_otel_close(otel, LONG_MS);
    cmds_test_advance_ms(test, 1); // A turn, which takes what was posted.
    cmds_runtime_stats(world.runtime, &counters);
    CU_ASSERT_EQUAL(counters.posts, 0);
    cmds_test_close(test);
    backend_stop(backend);
}

/* Every command that began a trace, and none twice. */
static void test_otel_exports_spans(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct world world;
    struct guest guest;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    world_init(&world);
    world.options.listen = "127.0.0.1:0";
    world.runtime_options.trace = &trace;
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    struct cmds_otel *otel = exporter_open(&world, backend, true);
    guest_init(&guest);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, world.address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);
    for (int64_t i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) == 20);
    guest_close(&guest, &world);

    struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
    do {
        CU_ASSERT_EQUAL_FATAL(cmds_otel_flush(otel, LONG_MS), 0);
        CU_ASSERT_EQUAL_FATAL(cmds_otel_stats(otel, &counters), 0);
    } while (counters.spans_sent < 20); // A span is over after its last result was sent.
    CU_ASSERT_EQUAL(counters.spans_sent, 20);
    size_t size = 0;
    uint8_t *body = backend_body(backend, &size);
    CU_ASSERT_PTR_NOT_NULL(memmem(body, size, "Invoke echo", 11));
    free(body);
    cmds_otel_close(otel, LONG_MS);
    world_stop(&world);
    backend_stop(backend);
}

/* --- A backend that stalls -------------------------------------------------------------------- */

enum {
    STALL_IN_FLIGHT = 32,
    STALL_COMMANDS = 2000, // So many at least while it is silent.
    STALL_DROPS = 3,
    STALL_SPANS = 16, // That there is room for.
};

struct load {
    struct cmds_group *group;
    _Atomic uint32_t sent, good, refused;
    _Atomic bool is_over;
};

static void load_send(struct load *load);

static void load_on_result(void *context, const struct cmds_result *result)
{
    struct load *load = context;
    bool is_good = echoed_of(result) != NULL;
    if (!atomic_load(&load->is_over)) {
        load_send(load);
    }
    atomic_fetch_add(&load->good, is_good);
}

static void load_send(struct load *load)
{
    struct echo echo = {true, 1, CMDS_STRING("hi"), 0.5};
    atomic_fetch_add(&load->sent, 1);
    if (cmds_group_send(load->group, echo_message(&echo), NULL, load_on_result, load) < 0) {
        atomic_fetch_add(&load->refused, 1);
    }
}

static void load_begin(void *context)
{
    for (uint32_t i = 0; i < STALL_IN_FLIGHT; i++) {
        load_send(context);
    }
}

static uint64_t batches_dropped(const struct cmds_otel *otel)
{
    struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_otel_stats(otel, &counters), 0);
    CU_ASSERT_EQUAL(counters.batches_sent, 0);
    return counters.batches_dropped;
}

/* Each command is answered, and what cannot be sent gives way and is counted. */
static void check_load(struct world *world, struct load *load, const struct cmds_otel *otel)
{
    uint32_t good = atomic_load(&load->good);
    WORLD_UNTIL(world, atomic_load(&load->good) - good >= STALL_COMMANDS);
    WORLD_UNTIL(world, batches_dropped(otel) >= STALL_DROPS);
    WORLD_UNTIL(world, cmds_span_dropped(world->runtime) > 0);
    good = atomic_load(&load->good);
    WORLD_UNTIL(world, atomic_load(&load->good) - good >= STALL_COMMANDS); // Also from then on.
    atomic_store(&load->is_over, true);
    WORLD_UNTIL(world, atomic_load(&load->good) == atomic_load(&load->sent));
    CU_ASSERT_EQUAL(atomic_load(&load->refused), 0);
}

static void test_otel_silent_backend_holds_up_no_command(void)
{
    static const struct backend_step silence = {.act = BACKEND_SILENCE};
    struct backend *backend = backend_start(&silence, 1);
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmds_otel *otel = NULL;
    struct world world;
    struct guest guest;
    struct load load = {.group = NULL};
    trace.span_rate_max = UINT32_MAX;
    trace.span_count = STALL_SPANS;
    options.ignore_environment = true;
    options.endpoint = backend_url(backend);
    options.metric_interval_ms = 1;
    options.span_interval_ms = 1;
    options.timeout_ms = 60 * LONG_MS; // No request ends by itself.
    world_init(&world);
    world.runtime_options.trace = &trace;
    guest_init(&guest);
    guest_start(&guest, &world);
    load.group = guest.group;
    CU_ASSERT_EQUAL_FATAL(cmds_otel_open(&otel, world.runtime, &options, &world.error), 0);

    CU_ASSERT_EQUAL_FATAL(cmds_runtime_post(world.runtime, 0, load_begin, &load), 0);
    CU_ASSERT_TRUE(backend_wait(backend, 2)); // Metrics and spans have begun to wait.

    check_load(&world, &load, otel);
    cmds_otel_close(otel, 0);
    CU_ASSERT_EQUAL(backend_requests(backend), 2);
    guest_close(&guest, &world);
    world_stop(&world);
    backend_stop(backend);
}

static struct cmds_sampling sampling_with(const char *ratio)
{
    struct world world;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    struct cmds_otel *otel = NULL;
    world_init(&world);
    trace.span_rate_max = 7;
    world.runtime_options.trace = &trace;
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    (void)(ratio != NULL ? setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", 1)
                         : unsetenv("OTEL_TRACES_SAMPLER"));
    (void)setenv("OTEL_TRACES_SAMPLER_ARG", ratio != NULL ? ratio : "0.5", 1);
    CU_ASSERT_EQUAL_FATAL(cmds_otel_open(&otel, world.runtime, &options, &world.error), 0);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(world.runtime, &sampling), 0);
    cmds_otel_close(otel, 0);
    world_stop(&world);
    (void)unsetenv("OTEL_TRACES_SAMPLER");
    (void)unsetenv("OTEL_TRACES_SAMPLER_ARG");
    return sampling;
}

static void test_otel_sampler_of_the_environment_is_the_runtimes(void)
{
    struct cmds_sampling own = sampling_with(NULL);
    struct cmds_sampling asked = sampling_with("0.125");
    CU_ASSERT(own.root_ratio == 1 && own.span_rate_max == 7);
    CU_ASSERT(asked.root_ratio == 0.125 && asked.span_rate_max == UINT32_MAX);
}

static void test_otel_refuses_what_is_wrong(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    struct cmds_otel *otel = NULL;
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.endpoint = "grpc://localhost:4317";
    CU_ASSERT_EQUAL(cmds_otel_open(&otel, world.runtime, &options, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "endpoint"));
    CU_ASSERT_EQUAL(cmds_otel_open(&otel, NULL, &options, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(otel);
    cmds_otel_close(NULL, 0);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"exports what a server counts", test_otel_exports_what_a_server_counts},
        {"a flush waits for the end of a turn", test_otel_flush_waits_for_the_end_of_a_turn},
        {"a flush does not wait for a test", test_otel_flush_does_not_wait_for_a_test},
        {"exports spans", test_otel_exports_spans},
        {"a silent backend holds up no command", test_otel_silent_backend_holds_up_no_command},
        {"the environment's sampler is the runtime's",
                test_otel_sampler_of_the_environment_is_the_runtimes},
        {"refuses what is wrong", test_otel_refuses_what_is_wrong},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel", tests)
