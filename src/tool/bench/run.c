/* SPDX-License-Identifier: MIT */
/*
 * Driving the load, and looking at it from outside.
 *
 *     run_on_shards    closed loop: a runtime with threads; the load starts by a post to each shard
 *     run_on_threads   threads of ours, one worker each:
 *         turning      each turns a runtime of its own (the open loop needs a clock between two turns; also --own-threads)
 *         calling      each blocks in one sender that all share
 *         alone        each blocks in a single-threaded sender of its own
 *
 * In all of them the main thread sleeps, samples the workers' counters at the two ends of the
 * measured time, and waits for the last answers. It alone takes signals: the runtime's threads
 * block them, and so do ours.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

enum {
    RUN_CONNECT_MS = 30000,
    RUN_TRIES = 3, // Then nobody is there, and it says so.
    RUN_TURN_US_MAX = 1000,
    RUN_ERRORS_MAX = 1000, // Of one caller; then it gives up.
    // Idle connections are to be idle, and to outlive the server's idle limit.
    RUN_IDLE_KEEPALIVE_MS = 60000,
    RUN_SEND_ON_MS = 1000, // Open loop: after the end, for what was due before it.
    RUN_LAST_MS = 1000,    // After the last deadline, for it to be told.
};
#define RUN_NS_PER_S UINT64_C(1000000000)

/* --- Looking on ------------------------------------------------------------------------------- */

static uint64_t run_client_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * RUN_NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t cmdi_bench_server_cpu_ns(const struct bench_server *server)
{
    clockid_t clock;
    struct timespec now;
    if (server->pid <= 0 || clock_getcpuclockid(server->pid, &clock) != 0 ||
            clock_gettime(clock, &now) != 0) {
        return -1;
    }
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct bench_sample run_sample(const struct bench *bench)
{
    struct bench_sample sample = {.at_ns = cmdi_tool_now_ns(),
            .client_cpu_ns = run_client_cpu_ns(),
            .server_cpu_ns = cmdi_bench_server_cpu_ns(&bench->server)};
    for (uint32_t i = 0; i < bench->worker_count; i++) {
        const struct bench_worker *worker = &bench->workers[i];
        sample.commands += atomic_load_explicit(&worker->commands, memory_order_relaxed);
        sample.results += atomic_load_explicit(&worker->results, memory_order_relaxed);
        sample.bytes += atomic_load_explicit(&worker->bytes, memory_order_relaxed);
    }
    return sample;
}

static void run_progress(const struct bench *bench, const struct bench_sample *last)
{
    if (!bench->options.progress) {
        return;
    }
    struct bench_sample now = run_sample(bench);
    double seconds = (double)(now.at_ns - last->at_ns) / 1e9;
    bool terminal = cmdi_tool_wait_is_seen();
    fprintf(stderr, "%s%-10s %6.1f s  %12.0f commands/s  %12.0f results/s  %llu errors%s",
            terminal ? "\r" : "", bench->phase, (double)(now.at_ns - bench->start_ns) / 1e9,
            (double)(now.commands - last->commands) / seconds,
            (double)(now.results - last->results) / seconds,
            (unsigned long long)cmdi_bench_errors(bench), terminal ? " " : "\n");
}

/*
 * sem_timedwait knows only the wall clock, which may jump: hence the callers' loops over the
 * monotonic one.
 */
static bool run_wait_done(sem_t *sem, uint64_t until_ns)
{
    uint64_t now_ns = cmdi_tool_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + wait_ns;
    at.tv_sec += (time_t)(ns / RUN_NS_PER_S);
    at.tv_nsec = (long)(ns % RUN_NS_PER_S);
    return sem_timedwait(sem, &at) == 0;
}

/*
 * Until that time, or until all workers are done, or until a signal comes while `*interrupt` is 0;
 * NULL: no signal matters.
 */
static void run_watch_until(struct bench *bench, uint64_t until_ns, uint32_t *done,
        const volatile sig_atomic_t *interrupt)
{
    struct bench_sample last = run_sample(bench);
    while (*done < bench->worker_count && cmdi_tool_now_ns() < until_ns &&
            (interrupt == NULL || *interrupt == 0)) {
        uint64_t next_ns = last.at_ns + RUN_NS_PER_S;
        if (run_wait_done(&bench->done, next_ns < until_ns ? next_ns : until_ns)) {
            (*done)++;
        } else if (cmdi_tool_now_ns() >= next_ns) {
            run_progress(bench, &last);
            last = run_sample(bench);
        }
    }
}

/* The one word that a signal handler may write. */
static volatile sig_atomic_t run_signal;

/* The first one ends the measurement, a second one the program. */
static void run_on_signal(int number)
{
    if (run_signal != 0) {
        _exit(BENCH_EXIT_SIGNAL + number);
    }
    run_signal = number;
}

static void run_take_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    run_signal = 0;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before, action = {.sa_handler = run_on_signal};
        sigemptyset(&action.sa_mask);
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(numbers[i], &action, NULL);
        }
    }
}

static void run_set_end(struct bench *bench, uint64_t end)
{
    struct bench_plan *plan = &bench->plan;
    uint64_t send_until = end + tool_clock_from_ns(&plan->clock, RUN_SEND_ON_MS * 1e6);
    double last_ms = (double)plan->deadline_ms + RUN_LAST_MS;
    atomic_store_explicit(&plan->end, end, memory_order_relaxed);
    atomic_store_explicit(&plan->send_until, send_until, memory_order_relaxed);
    atomic_store_explicit(&plan->give_up,
            send_until + tool_clock_from_ns(&plan->clock, last_ms * 1e6), memory_order_relaxed);
}

static void run_set_times(struct bench *bench)
{
    struct bench_plan *plan = &bench->plan;
    const struct bench_options *options = &bench->options;
    cmdi_tool_wait_end(&bench->wait);
    run_take_signals();
    bench->start_ns = cmdi_tool_now_ns();
    plan->start = tool_clock_ticks(&plan->clock);
    plan->measure_from = plan->start + tool_clock_from_ns(&plan->clock, options->warmup * 1e9);
    run_set_end(
            bench, plan->measure_from + tool_clock_from_ns(&plan->clock, options->duration * 1e9));
}

static void run_watch(struct bench *bench)
{
    bench->measure_ns = bench->start_ns + (uint64_t)(bench->options.warmup * 1e9);
    uint64_t end_ns = bench->measure_ns + (uint64_t)(bench->options.duration * 1e9);
    uint32_t done = 0;
    bench->phase = "warming up";
    run_watch_until(bench, bench->measure_ns, &done, &run_signal);
    bench->from = run_sample(bench);
    bench->phase = "measuring";
    run_watch_until(bench, end_ns, &done, &run_signal);
    bench->to = run_sample(bench);
    bench->signal = run_signal;
    if (bench->signal != 0) {
        run_set_end(bench, tool_clock_ticks(&bench->plan.clock));
        end_ns = bench->to.at_ns;
    }
    bench->phase = "waiting";
    uint64_t last_ms = (uint64_t)bench->plan.deadline_ms + RUN_SEND_ON_MS + 2 * RUN_LAST_MS;
    run_watch_until(bench, end_ns + last_ms * 1000000, &done, NULL);
    if (bench->options.progress && cmdi_tool_wait_is_seen()) {
        fputc('\n', stderr);
    }
}

/* --- Groups and runtimes ---------------------------------------------------------------------- */

static int run_start_runtime(const struct bench *bench, struct cmds_runtime **runtime,
        uint32_t shard_count, struct cmds_error *error)
{
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = shard_count;
    options.no_pinning = bench->options.no_pin;
    options.spin_us = cmdi_tool_spin(bench->options.client_spin_us);
    options.spin_always = bench->options.spin_always;
    options.on_log = cmdi_tool_log_line;
    options.log_context = (void *)(uintptr_t)&bench->log_level;
    telemetry.stall_ms = CMDS_NEVER; // What holds a load up is the machine: its percentiles say it.
    options.telemetry = &telemetry;
    return cmds_runtime_start(runtime, &options, error);
}

static struct cmds_group_options run_group_options(const struct bench *bench, uint32_t client_count)
{
    const struct bench_options *from = &bench->options;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(bench->plan.protocol);
    options.client_count = client_count;
    options.connect = bench->server.address;
    options.codec = bench->plan.codec;
    options.server_info = bench->plan.server_info;
    options.dispatch = bench->plan.sticky ? &cmdi_bench_dispatch_sticky : NULL;
    options.in_flight_max = from->in_flight > 1024 ? from->in_flight : 0;
    options.deadline_ms = bench->plan.deadline_ms;
    options.connect_timeout_ms = RUN_CONNECT_MS;
    options.reconnect_count_max = RUN_TRIES;
    options.tls = bench->tls;
    cmdi_bench_watch_set(bench, &options);
    return options;
}

static int run_open_group(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    int code = cmds_group_open(group, runtime, options, error);
    return code < 0 ? code : cmds_group_wait(*group, RUN_CONNECT_MS, error);
}

static int run_open_idle(struct bench *bench, struct cmds_error *error)
{
    if (bench->options.idle == 0) {
        return 0;
    }
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    runtime.shard_count = 1;
    runtime.spin_us = CMDS_SPIN_OFF;
    int code = cmds_runtime_start(&bench->idle_runtime, &runtime, error);
    if (code < 0) {
        return code;
    }
    struct cmds_group_options options = run_group_options(bench, bench->options.idle);
    options.keepalive_ms = RUN_IDLE_KEEPALIVE_MS;
    return run_open_group(&bench->idle_group, bench->idle_runtime, &options, error);
}

static void run_on_closed(void *context)
{
    sem_post((sem_t *)context);
}

static void run_close_group(struct bench *bench, struct cmds_group *group)
{
    if (group != NULL) {
        cmds_group_close(group, run_on_closed, &bench->closed);
        while (sem_wait(&bench->closed) < 0 && errno == EINTR) {
        }
    }
}

/* --- Closed loop on the runtime's shards ------------------------------------------------------ */

static void run_start_shard(void *worker)
{
    cmdi_bench_worker_start(worker);
}

static void run_shard_writable(void *context)
{
    struct bench *bench = context;
    int shard = cmds_runtime_current_shard(bench->runtime);
    if (shard >= 0 && (uint32_t)shard < bench->worker_count) {
        cmdi_bench_worker_on_writable(&bench->workers[shard]);
    }
}

/* Client i of a group lives on shard i % shard_count. */
static uint32_t run_share(uint32_t count, uint32_t index, uint32_t of)
{
    return count / of + (index < count % of);
}

static int run_on_shards(struct bench *bench, struct cmds_error *error)
{
    const struct bench_options *from = &bench->options;
    int code = run_start_runtime(bench, &bench->runtime, from->threads, error);
    if (code == 0) {
        struct cmds_group_options options = run_group_options(bench, from->conns);
        options.context = bench;
        options.on_writable = run_shard_writable;
        code = run_open_group(&bench->group, bench->runtime, &options, error);
    }
    if (code == 0 && from->light > 0) {
        struct cmds_group_options options = run_group_options(bench, from->light);
        options.dispatch = &cmdi_bench_dispatch_sticky;
        options.context = bench;
        options.on_writable = run_shard_writable;
        code = run_open_group(&bench->light_group, bench->runtime, &options, error);
    }
    uint32_t count = bench->worker_count;
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        bench->workers[i].done = &bench->done;
        code = cmdi_bench_worker_fill(&bench->workers[i], bench->group,
                run_share(from->conns, i, count), from->in_flight, bench->light_group,
                run_share(from->light, i, count));
    }
    if (code == 0) {
        run_set_times(bench);
        for (uint32_t i = 0; code == 0 && i < count; i++) {
            code = cmds_runtime_post(bench->runtime, i, run_start_shard, &bench->workers[i]);
        }
    }
    if (code == 0) {
        run_watch(bench);
    }
    run_close_group(bench, bench->light_group);
    run_close_group(bench, bench->group);
    cmds_runtime_stop(bench->runtime);
    return code;
}

/* --- Threads of ours: turning a runtime of their own ------------------------------------------ */

static void run_turning_writable(void *worker)
{
    cmdi_bench_worker_on_writable(worker);
}

static int run_turning_open(struct bench_worker *worker, struct cmds_error *error)
{
    struct bench *bench = worker->bench;
    uint32_t conns = run_share(bench->options.conns, worker->index, bench->worker_count);
    if (!bench->options.no_pin && bench->client_cpu_count > 0) {
        (void)cmdi_tool_cpus_bind(&bench->client_cpus[worker->index % bench->client_cpu_count], 1);
    }
    // Else each wait for a due time is 50 us late.
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    int code = run_start_runtime(bench, &worker->runtime, CMDS_SHARDS_INLINE, error);
    if (code < 0) {
        return code;
    }
    struct cmds_group_options options = run_group_options(bench, conns);
    options.context = worker;
    options.on_writable = run_turning_writable;
    code = run_open_group(&worker->group, worker->runtime, &options, error);
    return code < 0 ? code
                    : cmdi_bench_worker_fill(
                              worker, worker->group, conns, bench->options.in_flight, NULL, 0);
}

/*
 * How long a turn may wait: not beyond the next due time, and not at all while results came a
 * moment ago.
 */
static uint32_t run_turn_wait_us(
        const struct bench_worker *worker, uint64_t idle_ticks, uint64_t until_due)
{
    const struct tool_clock *clock = &worker->plan->clock;
    double spin_us = worker->bench->options.client_spin_us;
    bool blocked = until_due == 0; // Due, but no lane or no room: a completion will change that.
    double due_us = blocked || until_due == UINT64_MAX ? RUN_TURN_US_MAX
                                                       : tool_clock_to_us(clock, until_due);
    if (due_us < spin_us || tool_clock_to_us(clock, idle_ticks) < spin_us) {
        return CMDS_TURN_NOWAIT;
    }
    return due_us < RUN_TURN_US_MAX ? (uint32_t)due_us : RUN_TURN_US_MAX;
}

static void run_turning_work(struct bench_worker *worker)
{
    const struct bench_plan *plan = worker->plan;
    bool open_loop = plan->due_interval > 0;
    cmdi_bench_worker_start(worker);
    uint64_t now = tool_clock_ticks(&plan->clock);
    uint64_t busy_at = now;
    while (now < bench_at(&plan->give_up)) {
        uint64_t until_due = open_loop ? cmdi_bench_worker_send_due(worker, now) : UINT64_MAX;
        bool more_to_send = until_due != UINT64_MAX && worker->free != NULL;
        if (worker->live == 0 && !more_to_send) {
            break;
        }
        int handled = cmds_runtime_turn(
                worker->runtime, run_turn_wait_us(worker, now - busy_at, until_due));
        now = tool_clock_ticks(&plan->clock);
        busy_at = handled > 0 ? now : busy_at;
        if (handled < 0) {
            cmdi_bench_worker_error(worker, handled, cmds_error_text(handled));
            break;
        }
    }
    if (open_loop) {
        cmdi_bench_worker_count_unsent(worker, now);
    }
}

static void run_turning_closed(void *worker)
{
    ((struct bench_worker *)worker)->group_closed = true;
}

static void run_turning_close(struct bench_worker *worker)
{
    if (worker->group != NULL) {
        cmds_group_close(worker->group, run_turning_closed, worker);
        while (!worker->group_closed && cmds_runtime_turn(worker->runtime, RUN_TURN_US_MAX) >= 0) {
        }
    }
    cmds_runtime_stop(worker->runtime);
}

/* --- Threads of ours: blocking callers -------------------------------------------------------- */

static struct cmds_sender_options run_sender_options(
        const struct bench *bench, const struct cmds_group_options *group)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(bench->plan.protocol);
    options.connect = bench->server.address;
    options.codec = bench->plan.codec;
    options.group = group;
    options.connect_timeout_ms = RUN_CONNECT_MS;
    return options;
}

static int run_calling_open(struct bench_worker *worker, struct cmds_error *error)
{
    (void)error;
    worker->sender = worker->bench->sender;
    worker->caller = (struct bench_lane){.worker = worker};
    return 0;
}

static int run_alone_open(struct bench_worker *worker, struct cmds_error *error)
{
    struct bench *bench = worker->bench;
    if (!bench->options.no_pin && bench->client_cpu_count > 0) {
        (void)cmdi_tool_cpus_bind(&bench->client_cpus[worker->index % bench->client_cpu_count], 1);
    }
    struct cmds_group_options group = run_group_options(bench, 1);
    group.dispatch = NULL;
    struct cmds_sender_options options = run_sender_options(bench, &group);
    options.single_thread = true;
    worker->caller = (struct bench_lane){.worker = worker};
    return cmds_sender_open(&worker->sender, &options, error);
}

static int run_caller_each(void *context, const struct cmds_result *result)
{
    (void)cmdi_bench_lane_take(context, result);
    return 0;
}

static void run_calling_work(struct bench_worker *worker)
{
    const struct bench_plan *plan = worker->plan;
    struct bench_lane *lane = &worker->caller;
    uint64_t now = tool_clock_ticks(&plan->clock);
    while (now < bench_at(&plan->end) &&
            atomic_load_explicit(&worker->errors, memory_order_relaxed) <= RUN_ERRORS_MAX) {
        union bench_value value;
        struct cmds_error error = CMDS_ERROR_INIT;
        struct cmds_result *result = NULL;
        lane->began = now;
        struct cmds_message message = plan->subject->message(lane, &value);
        int code = plan->multi ? cmds_sender_send_multi(worker->sender, message, plan->deadline_ms,
                                         &error, run_caller_each, lane)
                               : cmds_sender_send(worker->sender, message, plan->deadline_ms,
                                         &result, &error);
        now = tool_clock_ticks(&plan->clock);
        if (code < 0) {
            cmdi_bench_worker_error(
                    worker, code, error.code < 0 ? error.text : cmds_error_text(code));
            continue;
        }
        if (result != NULL) {
            (void)cmdi_bench_lane_take(lane, result);
            cmds_result_free(result);
        }
        cmdi_bench_lane_end(lane, now);
    }
}

static void run_calling_close(struct bench_worker *worker)
{
    (void)worker; // The sender is everybody's; the main thread closes it.
}

static void run_alone_close(struct bench_worker *worker)
{
    cmds_sender_close(worker->sender, 0);
}

/* --- Threads of ours: the frame --------------------------------------------------------------- */

struct run_kind {
    int (*open)(struct bench_worker *worker, struct cmds_error *error);
    void (*work)(struct bench_worker *worker);
    void (*close)(struct bench_worker *worker);
};
static const struct run_kind run_turning = {run_turning_open, run_turning_work, run_turning_close};
static const struct run_kind run_calling = {run_calling_open, run_calling_work, run_calling_close};
static const struct run_kind run_alone = {run_alone_open, run_calling_work, run_alone_close};

static const struct run_kind *run_kind_of(const struct bench_options *options)
{
    if (!options->blocking) {
        return &run_turning;
    }
    return options->sender_single ? &run_alone : &run_calling;
}

static void *run_thread(void *context)
{
    struct bench_worker *worker = context;
    struct bench *bench = worker->bench;
    sigset_t all;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    const struct run_kind *kind = run_kind_of(&bench->options);
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = kind->open(worker, &error);
    if (code < 0) {
        cmdi_bench_worker_error(worker, code, error.code < 0 ? error.text : cmds_error_text(code));
    }
    sem_post(&bench->ready);
    while (sem_wait(&worker->go) < 0 && errno == EINTR) {
    }
    if (!bench->off) {
        kind->work(worker);
    }
    kind->close(worker);
    sem_post(&bench->done);
    return NULL;
}

/* All are connected, or the first that is not says why. */
static int run_threads_ready(struct bench *bench, uint32_t started, struct cmds_error *error)
{
    for (uint32_t i = 0; i < started; i++) {
        while (sem_wait(&bench->ready) < 0 && errno == EINTR) {
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        if (bench->workers[i].first_error.code < 0) {
            *error = bench->workers[i].first_error;
            return error->code;
        }
    }
    return 0;
}

static int run_on_threads(struct bench *bench, struct cmds_error *error)
{
    uint32_t started = 0;
    int code = 0;
    while (started < bench->worker_count && code == 0) {
        struct bench_worker *worker = &bench->workers[started];
        sem_init(&worker->go, 0, 0);
        code = -pthread_create(&worker->thread, NULL, run_thread, worker);
        started += code == 0;
    }
    int ready = run_threads_ready(bench, started, error);
    code = code < 0 ? code : ready;
    bench->off = code < 0;
    if (code == 0) {
        run_set_times(bench);
    }
    for (uint32_t i = 0; i < started; i++) {
        sem_post(&bench->workers[i].go);
    }
    if (code == 0) {
        run_watch(bench);
    }
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(bench->workers[i].thread, NULL);
        sem_destroy(&bench->workers[i].go);
    }
    return code;
}

/* One sender for all callers, on a runtime with as many shards as asked for. */
static int run_on_callers(struct bench *bench, struct cmds_error *error)
{
    int code = run_start_runtime(bench, &bench->runtime, bench->options.threads, error);
    if (code == 0) {
        struct cmds_group_options group = run_group_options(bench, bench->options.conns);
        group.dispatch = NULL;
        struct cmds_sender_options options = run_sender_options(bench, &group);
        options.client_count = bench->options.conns;
        options.runtime = bench->runtime;
        code = cmds_sender_open(&bench->sender, &options, error);
    }
    if (code == 0) {
        code = run_on_threads(bench, error);
    }
    cmds_sender_close(bench->sender, 0);
    cmds_runtime_stop(bench->runtime);
    return code;
}

static int run_make_workers(struct bench *bench)
{
    size_t size = bench->worker_count * sizeof(*bench->workers);
    bench->workers = aligned_alloc(64, size);
    if (bench->workers == NULL) {
        return -ENOMEM;
    }
    memset(bench->workers, 0, size);
    for (uint32_t i = 0; i < bench->worker_count; i++) {
        bench->workers[i].plan = &bench->plan;
        bench->workers[i].bench = bench;
        bench->workers[i].index = i;
        bench->workers[i].random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
    }
    return 0;
}

int cmdi_bench_run(struct bench *bench, struct cmds_error *error)
{
    const struct bench_options *options = &bench->options;
    bench->worker_count = options->blocking ? options->callers : options->threads;
    sem_init(&bench->ready, 0, 0);
    sem_init(&bench->done, 0, 0);
    sem_init(&bench->closed, 0, 0);
    snprintf(bench->wait_text, sizeof(bench->wait_text), "connecting to %s", bench->server.address);
    cmdi_tool_wait_begin(&bench->wait, options->progress, bench->wait_text, RUN_CONNECT_MS);
    int code = run_make_workers(bench);
    code = code < 0 ? code : run_open_idle(bench, error);
    if (code == 0 && options->blocking && !options->sender_single) {
        code = run_on_callers(bench, error);
    } else if (code == 0 && (options->blocking || options->own_threads)) {
        code = run_on_threads(bench, error);
    } else if (code == 0) {
        code = run_on_shards(bench, error);
    }
    cmdi_tool_wait_end(&bench->wait);
    run_close_group(bench, bench->idle_group);
    cmds_runtime_stop(bench->idle_runtime);
    return code;
}
