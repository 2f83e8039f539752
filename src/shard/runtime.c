/* SPDX-License-Identifier: MIT */
/*
 * The runtime: options become shards; servers and groups are counted in and out; the end comes in
 * the order services, workers, shards, so that nobody works for what is gone.
 */
#include "shard/runtime.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "machine/probe.h"
#include "ring/clock.h"
#include "ring/cpu.h"
#include "ring/output.h"
#include "ring/thread.h"
#include "shard/drive.h"
#include "shard/runtime_timers.h"
#include "shard/sinks.h"
#include "shard/spans.h"
#include "shard/walk.h"

enum {
    RUNTIME_SPIN_US = 100,
    RUNTIME_POOL_THREADS = 4,
    RUNTIME_POOL_QUEUE = 65536,
    RUNTIME_BUFFER_SIZE = 32768,
    RUNTIME_BUFFERS_LOCK_PART = 16, // A runtime's may have this part of RLIMIT_MEMLOCK by default.
    RUNTIME_RING_ENTRIES = 512,
    RUNTIME_RING_ENTRIES_INLINE = 128,
    RUNTIME_RING_ENTRIES_MIN = 32,
    RUNTIME_RING_ENTRIES_MAX = 4096,
    RUNTIME_COMPLETIONS_PER_ENTRY = 8, // Multishot operations complete many times.
    RUNTIME_STACK_SIZE_MIN = 65536,
    RUNTIME_POSTS_MAX = 65536,
    RUNTIME_STALL_MS = 100,
    RUNTIME_EXEC_SAMPLE = 256,
    RUNTIME_EXEC_SAMPLE_MAX = 1000 * 1000,
};
#define RUNTIME_MEMORY ((uint64_t)1 << 30)

/* --- Options ---------------------------------------------------------------------------------- */

struct runtime_cpus {
    uint16_t list[CMDS_SHARDS_MAX];
    uint32_t count;
    bool named; // By the program.
};

/* "0,2-5" */
static int runtime_parse_cpus(const char *text, struct runtime_cpus *cpus, struct cmds_error *error)
{
    const char *at = text;
    cpus->count = 0;
    while (*at != '\0') {
        char *end = NULL;
        unsigned long first =
                isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : UINT16_MAX + 1ul;
        unsigned long last = first;
        if (first <= UINT16_MAX && *end == '-' && isdigit((unsigned char)end[1])) {
            last = strtoul(end + 1, &end, 10);
        }
        if (last > UINT16_MAX || first > last || (*end != ',' && *end != '\0') ||
                last - first >= CMDS_SHARDS_MAX - cpus->count) {
            return cmdi_fail(error, -EINVAL, "cpus \"%s\": not a list like \"0,2-5\"", text);
        }
        for (unsigned long cpu = first; cpu <= last; cpu++) {
            cpus->list[cpus->count++] = (uint16_t)cpu;
        }
        at = end + (*end == ',');
    }
    return cpus->count > 0 ? 0 : cmdi_fail(error, -EINVAL, "cpus \"%s\": names no CPU", text);
}

static int runtime_check_stack(const char *name, uint32_t size, struct cmds_error *error)
{
    if (size != 0 && size < RUNTIME_STACK_SIZE_MIN) {
        return cmdi_fail(error, -EINVAL, "%s %u: at least %d", name, size, RUNTIME_STACK_SIZE_MIN);
    }
    return 0;
}

static uint32_t runtime_power_of_two(uint32_t value)
{
    uint32_t power = 1;
    while (power < value) {
        power *= 2;
    }
    return power;
}

static int runtime_check_options(const struct cmds_runtime_options *mine, struct cmds_error *error)
{
    if (mine->shard_count > CMDS_SHARDS_MAX && mine->shard_count != CMDS_SHARDS_INLINE) {
        return cmdi_fail(
                error, -EINVAL, "shard_count %u: at most %d", mine->shard_count, CMDS_SHARDS_MAX);
    }
    if (mine->pool_thread_count > 1024) {
        return cmdi_fail(
                error, -EINVAL, "pool_thread_count %u: at most 1024", mine->pool_thread_count);
    }
    if (mine->buffer_size < 4096 || mine->buffer_size > 1024 * 1024) {
        return cmdi_fail(error, -EINVAL, "buffer_size %u: 4096 to 1048576", mine->buffer_size);
    }
    if (mine->buffer_count_max > CMDI_RING_BUFFERS_MAX) {
        return cmdi_fail(error, -EINVAL, "buffer_count_max %u: at most %d", mine->buffer_count_max,
                CMDI_RING_BUFFERS_MAX);
    }
    if (mine->ring_entries < RUNTIME_RING_ENTRIES_MIN ||
            mine->ring_entries > RUNTIME_RING_ENTRIES_MAX ||
            runtime_power_of_two(mine->ring_entries) != mine->ring_entries) {
        return cmdi_fail(error, -EINVAL, "ring_entries %u: a power of two, %d to %d",
                mine->ring_entries, RUNTIME_RING_ENTRIES_MIN, RUNTIME_RING_ENTRIES_MAX);
    }
    if (mine->log_level > CMDS_LOG_ERROR) {
        return cmdi_fail(error, -EINVAL, "log_level %u: there is none", mine->log_level);
    }
    int code = runtime_check_stack("shard_stack_size", mine->shard_stack_size, error);
    return code < 0 ? code : runtime_check_stack("pool_stack_size", mine->pool_stack_size, error);
}

static int runtime_take_telemetry(struct cmds_telemetry_options *mine,
        const struct cmds_telemetry_options *options, struct cmds_error *error)
{
    *mine = (struct cmds_telemetry_options)CMDS_TELEMETRY_OPTIONS_INIT;
    int code = options != NULL ? cmdi_options_take(mine, sizeof(*mine), options,
                                         "cmds_telemetry_options", error)
                               : 0;
    if (code < 0) {
        return code;
    }
    if ((mine->off & ~(uint32_t)CMDS_TELEMETRY_ALL) != 0) {
        return cmdi_fail(
                error, -E2BIG, "telemetry: off 0x%x has a bit that this library lacks", mine->off);
    }
    cmdi_default(&mine->exec_sample, RUNTIME_EXEC_SAMPLE);
    cmdi_default(&mine->stall_ms, RUNTIME_STALL_MS);
    if (mine->exec_sample > RUNTIME_EXEC_SAMPLE_MAX) {
        return cmdi_fail(error, -EINVAL, "telemetry: exec_sample %u: at most %d", mine->exec_sample,
                RUNTIME_EXEC_SAMPLE_MAX);
    }
    return 0;
}

static int runtime_take_options(struct cmds_runtime_options *mine,
        const struct cmds_runtime_options *options, struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_runtime_options", error);
    code = code < 0 ? code
                    : cmdi_unused_check(mine->unused | mine->unused2 | mine->unused3,
                              "cmds_runtime_options", error);
    if (code < 0) {
        return code;
    }
    cmdi_default(&mine->spin_us, RUNTIME_SPIN_US);
    mine->spin_us = mine->spin_us != CMDS_SPIN_OFF ? mine->spin_us : 0;
    cmdi_default(&mine->pool_thread_count, RUNTIME_POOL_THREADS);
    cmdi_default(&mine->pool_queue_max, RUNTIME_POOL_QUEUE);
    cmdi_default(&mine->buffer_size, RUNTIME_BUFFER_SIZE);
    mine->memory_size_max = mine->memory_size_max != 0 ? mine->memory_size_max : RUNTIME_MEMORY;
    bool is_inline = mine->shard_count == CMDS_SHARDS_INLINE;
    cmdi_default(
            &mine->ring_entries, is_inline ? RUNTIME_RING_ENTRIES_INLINE : RUNTIME_RING_ENTRIES);
    return runtime_check_options(mine, error);
}

/* One shard per CPU we may use, but not more than a cgroup's quota lets run at once. */
static uint32_t runtime_shard_count(
        const struct cmds_runtime_options *options, const struct runtime_cpus *cpus)
{
    if (options->shard_count != CMDS_SHARDS_PER_CORE) {
        return options->shard_count == CMDS_SHARDS_INLINE ? 1 : options->shard_count;
    }
    uint32_t quota = (cmdi_cpu_quota_percent() + 99) / 100;
    return quota != 0 && quota < cpus->count ? quota : cpus->count;
}

/* All runtimes of a user share RLIMIT_MEMLOCK, and rings need it more than many buffers do. */
static void runtime_default_buffers(
        struct cmds_runtime_options *mine, const struct runtime_cpus *cpus)
{
    uint64_t lockable = cmdi_process_memlock() / RUNTIME_BUFFERS_LOCK_PART;
    cmdi_default(&mine->buffer_count_max,
            cmdi_receive_count_max(mine->shard_count == CMDS_SHARDS_INLINE, mine->buffer_size,
                    lockable / runtime_shard_count(mine, cpus)));
}

/*
 * Fewer shards than CPUs stay where the scheduler wants them: every such runtime on the machine
 * would be pinned to the same first ones.
 */
static bool runtime_pins(const struct cmds_runtime *runtime,
        const struct cmds_runtime_options *options, const struct runtime_cpus *cpus)
{
    return !options->no_pinning && runtime->drive == CMDI_DRIVE_THREAD &&
           (cpus->named || runtime_shard_count(options, cpus) >= cpus->count);
}

static void runtime_shard_options(const struct cmds_runtime *runtime,
        const struct cmds_runtime_options *options, const struct runtime_cpus *cpus, uint32_t index,
        struct cmdi_shard_options *out)
{
    bool quota = cmdi_cpu_quota_percent() != 0;
    uint32_t stall_ms = runtime->telemetry_options.stall_ms;
    *out = (struct cmdi_shard_options){
            .index = index,
            .cpu = runtime_pins(runtime, options, cpus) ? cpus->list[index % cpus->count] : -1,
            /* Under a quota a spin burns what the work will need. */
            .spin_us = quota && !options->spin_always ? 0 : options->spin_us,
            .spin_always = options->spin_always,
            .drive = runtime->drive,
            .stall_ns = stall_ms != CMDS_NEVER ? cmdi_ms_to_ns(stall_ms) : 0,
            .stack_size = options->shard_stack_size,
            .memory_size_max = options->memory_size_max,
            .log = &runtime->log,
            .runtime = runtime,
            .ring = {.entries = options->ring_entries,
                    .completion_entries = options->ring_entries * RUNTIME_COMPLETIONS_PER_ENTRY,
                    .external_wait = runtime->drive == CMDI_DRIVE_INLINE},
    };
    cmdi_receive_plan(&out->ring, options->buffer_size, options->buffer_count_max);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int runtime_make_shards(struct cmds_runtime *runtime,
        const struct cmds_runtime_options *options, const struct runtime_cpus *cpus,
        struct cmds_error *error)
{
    uint32_t count = runtime_shard_count(options, cpus);
    CMDI_ASSERT(count > 0 && count <= CMDS_SHARDS_MAX && cpus->count > 0);
    runtime->shards = calloc(count, sizeof(struct cmdi_shard *));
    runtime->errands = cmdi_errands_create(count);
    if (runtime->shards == NULL || runtime->errands == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for %u shards", count);
    }
    for (; runtime->shard_count < count; runtime->shard_count++) {
        struct cmdi_shard_options shard_options;
        runtime_shard_options(runtime, options, cpus, runtime->shard_count, &shard_options);
        int code = cmdi_shard_create(&runtime->shards[runtime->shard_count], &shard_options, error);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static struct cmdi_service *runtime_pop(struct cmdi_list *list)
{
    struct cmdi_list *node = cmdi_list_pop(list);
    return node != NULL ? CMDI_CONTAINER(node, struct cmdi_service, link) : NULL;
}

static void runtime_free(struct cmds_runtime *runtime)
{
    CMDI_ASSERT(cmdi_list_empty(&runtime->services));
    for (struct cmdi_service *old; (old = runtime_pop(&runtime->retired)) != NULL;) {
        old->forget(old);
    }
    struct cmdi_telemetry *telemetry = atomic_load(&runtime->telemetry);
    if (telemetry != NULL) {
        runtime->free_telemetry(telemetry);
    }
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        cmdi_spans_destroy(runtime->shards[i]->spans);
        cmdi_shard_destroy(runtime->shards[i]);
    }
    cmdi_spans_destroy(runtime->spans);
    cmdi_workers_fini(&runtime->workers);
    cmdi_runtime_timers_free(runtime->timers);
    (void)pthread_mutex_destroy(&runtime->lock);
    free(runtime->errands);
    free(runtime->shards);
    free(runtime);
}

static int runtime_make_spans(struct cmds_runtime *runtime,
        const struct cmds_trace_options *options, struct cmds_error *error)
{
    struct cmds_trace_options mine;
    if (options == NULL) {
        return 0;
    }
    int code = cmdi_trace_options_take(&mine, options, error);
    if (code < 0) {
        return code;
    }
    runtime->spans = cmdi_spans_create(&mine, true);
    bool has_all = runtime->spans != NULL;
    for (uint32_t i = 0; i < runtime->shard_count && has_all; i++) {
        runtime->shards[i]->spans = cmdi_spans_create(&mine, false);
        has_all = runtime->shards[i]->spans != NULL;
    }
    return has_all ? 0 : cmdi_fail(error, -ENOMEM, "no memory for %u spans", mine.span_count);
}

/* On the only thread of a child: it is no shard, though it may have been one. */
static void runtime_in_child(void)
{
    (void)cmdi_shard_set_current(NULL);
    cmdi_sinks_in_child();
}

/* Without shards. Gives: runtime_free(). `mine`: taken and checked. Returns: NULL without memory. */
static struct cmds_runtime *runtime_new(
        const struct cmds_runtime_options *mine, enum cmdi_drive drive)
{
    struct cmds_runtime *runtime = calloc(1, sizeof(*runtime));
    if (runtime == NULL) {
        return NULL;
    }
    runtime->drive = drive;
    runtime->fork_count = cmdi_fork_count();
    runtime->options = *mine; // Of what it points to nothing is looked at again.
    runtime->log = (struct cmdi_log){mine->on_log, mine->log_context, mine->on_record,
            mine->record_context, mine->log_level};
    cmdi_list_init(&runtime->services);
    cmdi_list_init(&runtime->retired);
    // Cannot fail with default attributes on Linux.
    (void)pthread_mutex_init(&runtime->lock, NULL);
    runtime->timers = cmdi_runtime_timers_create(runtime->fork_count);
    if (runtime->timers == NULL || cmdi_fork_register(runtime_in_child) < 0) {
        runtime_free(runtime);
        return NULL;
    }
    return runtime;
}

/* `mine`: taken and checked; what depends on the CPUs gets its default here. */
static int runtime_start(
        struct cmds_runtime **out, struct cmds_runtime_options *mine, struct cmds_error *error)
{
    struct runtime_cpus cpus = {.named = mine->cpus != NULL};
    int code = 0;
    if (cpus.named) {
        code = runtime_parse_cpus(mine->cpus, &cpus, error);
    } else {
        cpus.count = cmdi_cpus_allowed(cpus.list, CMDS_SHARDS_MAX);
        cpus.count += cpus.count == 0; // Nobody can say: CPU 0 exists.
    }
    if (code < 0) {
        return code;
    }
    runtime_default_buffers(mine, &cpus);
    bool is_inline = mine->shard_count == CMDS_SHARDS_INLINE;
    struct cmds_runtime *runtime =
            runtime_new(mine, is_inline ? CMDI_DRIVE_INLINE : CMDI_DRIVE_THREAD);
    if (runtime == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a runtime");
    }
    cmdi_output_init();
    code = cmdi_workers_init(&runtime->workers, mine->pool_thread_count, mine->pool_queue_max);
    code = code < 0 ? cmdi_fail(error, code, "no memory for the worker pool") : 0;
    runtime->workers.stack_size = mine->pool_stack_size;
    runtime->workers.hooks = (struct cmdi_worker_hooks){
            mine->on_pool_thread_start, mine->on_pool_thread_stop, mine->pool_context};
    if (code == 0) {
        code = runtime_take_telemetry(&runtime->telemetry_options, mine->telemetry, error);
    }
    if (code == 0) {
        code = runtime_make_shards(runtime, mine, &cpus, error);
    }
    if (code == 0) {
        code = runtime_make_spans(runtime, mine->trace, error);
    }
    if (code == 0) {
        code = cmdi_workers_start(&runtime->workers, error);
    }
    if (code == 0) {
        code = cmdi_drive_start(runtime, error);
    }
    if (code < 0) {
        runtime_free(runtime);
        return code;
    }
    *out = runtime;
    return 0;
}

int cmds_runtime_start(struct cmds_runtime **out, const struct cmds_runtime_options *options,
        struct cmds_error *error)
{
    struct cmds_runtime_options mine;
    int code = runtime_take_options(&mine, options, error);
    return code < 0 ? code : runtime_start(out, &mine, error);
}

int cmdi_runtime_create_stepped(struct cmds_runtime **out, struct cmds_error *error)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime_options mine;
    int code = runtime_take_options(&mine, &options, error);
    if (code < 0) {
        return code;
    }
    const struct runtime_cpus cpus = {.count = 1};
    runtime_default_buffers(&mine, &cpus); // Its options are listed, too.
    struct cmds_runtime *runtime = runtime_new(&mine, CMDI_DRIVE_STEPPED);
    if (runtime == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a test");
    }
    struct cmdi_shard_options shard_options = {.drive = CMDI_DRIVE_STEPPED,
            .cpu = -1,
            .memory_size_max = UINT64_MAX / 2,
            .runtime = runtime};
    runtime->shards = calloc(1, sizeof(struct cmdi_shard *));
    runtime->errands = cmdi_errands_create(1);
    code = runtime->shards != NULL && runtime->errands != NULL
                   ? cmdi_shard_create(runtime->shards, &shard_options, error)
                   : cmdi_fail(error, -ENOMEM, "no memory for a test");
    if (code < 0) {
        runtime_free(runtime);
        return code;
    }
    runtime->shard_count = 1;
    runtime->turner = cmdi_thread_self(); // Between two steps it is the shard all the same.
    atomic_store(&runtime->turner_known, 1);
    *out = runtime;
    return 0;
}

void cmdi_runtime_destroy_stepped(struct cmds_runtime *runtime)
{
    if (runtime != NULL) {
        CMDI_ASSERT(runtime->drive == CMDI_DRIVE_STEPPED);
        runtime_free(runtime);
    }
}

/* The next one to stop. It and those behind it begin, up to one that has to be stopped first. */
static struct cmdi_service *runtime_take_service(struct cmds_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    struct cmdi_list *node = runtime->services.next;
    for (; node != &runtime->services; node = node->next) {
        struct cmdi_service *service = CMDI_CONTAINER(node, struct cmdi_service, link);
        if (service->begin_stop == NULL) {
            break;
        }
        service->begin_stop(service);
    }
    struct cmdi_service *first = runtime_pop(&runtime->services);
    pthread_mutex_unlock(&runtime->lock);
    return first;
}

/* Those that list: none begins any more, and the shards still answer, or are given up. */
static void runtime_wait_for_walks(struct cmds_runtime *runtime)
{
    CMDI_ASSERT(atomic_load(&runtime->stopping) != 0);
    for (uint32_t walks; (walks = atomic_load(&runtime->walks)) > 0;) {
        cmdi_futex_wait(&runtime->walks, walks, UINT64_MAX);
    }
    pthread_mutex_lock(&runtime->lock); // The last one has let go of it.
    pthread_mutex_unlock(&runtime->lock);
}

void cmds_runtime_stop(struct cmds_runtime *runtime)
{
    if (runtime == NULL || cmdi_runtime_is_foreign(runtime)) {
        return; // Of a parent process: nothing of it but a copy of its memory is here.
    }
    if (runtime->drive == CMDI_DRIVE_STEPPED) {
        return; // It is freed by cmds_test_close().
    }
    /* It would wait for itself. Nothing can be returned, and going on would free what is in use. */
    CMDI_ASSERT(cmdi_shard_current() == NULL);
    pthread_mutex_lock(&runtime->lock);
    atomic_store(&runtime->stopping, 1);
    pthread_mutex_unlock(&runtime->lock);
    // Their functions may use the servers and groups that end now.
    cmdi_runtime_timers_end(runtime);
    for (;;) {
        struct cmdi_service *service = runtime_take_service(runtime);
        if (service == NULL) {
            break;
        }
        service->stop(service);
    }
    cmdi_workers_fini(&runtime->workers);
    runtime_wait_for_walks(runtime);
    cmdi_drive_stop(runtime);
    runtime_free(runtime);
}

int cmdi_runtime_add(struct cmds_runtime *runtime, struct cmdi_service *service)
{
    CMDI_ASSERT(service->stop != NULL);
    cmdi_list_init(&service->link);
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    pthread_mutex_lock(&runtime->lock);
    int code = atomic_load(&runtime->stopping) != 0 ? CMDS_E_CLOSED : 0;
    if (code == 0) {
        cmdi_list_push(&runtime->services, &service->link);
    }
    pthread_mutex_unlock(&runtime->lock);
    return code;
}

bool cmdi_runtime_remove(struct cmds_runtime *runtime, struct cmdi_service *service)
{
    pthread_mutex_lock(&runtime->lock);
    bool mine = !cmdi_list_empty(&service->link);
    cmdi_list_remove(&service->link);
    pthread_mutex_unlock(&runtime->lock);
    return mine;
}

bool cmdi_runtime_retire(struct cmds_runtime *runtime, struct cmdi_service *service, bool removed)
{
    struct cmdi_service *oldest = NULL;
    CMDI_ASSERT(service->forget != NULL);
    pthread_mutex_lock(&runtime->lock);
    bool mine = !cmdi_list_empty(&service->link);
    cmdi_list_remove(&service->link);
    if (mine || removed) {
        cmdi_list_push(&runtime->retired, &service->link);
        if (++runtime->retired_count > CMDI_RUNTIME_RETIRED_MAX) {
            runtime->retired_count--;
            oldest = runtime_pop(&runtime->retired);
        }
    }
    pthread_mutex_unlock(&runtime->lock);
    if (oldest != NULL) {
        oldest->forget(oldest);
    }
    return mine;
}

/* --- Small public things ---------------------------------------------------------------------- */

bool cmds_runtime_is_draining(const struct cmds_runtime *runtime)
{
    return atomic_load(&runtime->stopping) != 0 || atomic_load(&runtime->leaving) > 0 ||
           (atomic_load(&runtime->served) != 0 && atomic_load(&runtime->serving) == 0);
}

int cmds_runtime_set_log_level(struct cmds_runtime *runtime, enum cmds_log_level level)
{
    if ((uint32_t)level > CMDS_LOG_ERROR) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED; // Nobody writes a line there.
    }
    atomic_store_explicit(&runtime->log.least, (uint32_t)level, memory_order_relaxed);
    return 0;
}

enum cmds_log_level cmds_runtime_log_level(const struct cmds_runtime *runtime)
{
    return (enum cmds_log_level)atomic_load_explicit(&runtime->log.least, memory_order_relaxed);
}

bool cmds_runtime_turns(const struct cmds_runtime *runtime, uint32_t within_ms)
{
    uint64_t now_ns = cmdi_now_ns();
    if (runtime->drive != CMDI_DRIVE_THREAD || cmdi_runtime_is_foreign(runtime)) {
        return true;
    }
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        const _Atomic uint64_t *busy_since_ns = &runtime->shards[i]->busy_since_ns;
        uint64_t since_ns = atomic_load_explicit(busy_since_ns, memory_order_relaxed);
        if (since_ns != 0 && now_ns > since_ns + cmdi_ms_to_ns(within_ms)) {
            return false;
        }
    }
    return true;
}

uint32_t cmds_runtime_shard_count(const struct cmds_runtime *runtime)
{
    return runtime->shard_count;
}

int cmds_runtime_current_shard(const struct cmds_runtime *runtime)
{
    const struct cmdi_shard *shard = cmdi_shard_current();
    bool ours = shard != NULL && shard->index < runtime->shard_count &&
                runtime->shards[shard->index] == shard;
    return ours ? (int)shard->index : -ENOENT;
}

struct runtime_post {
    struct cmdi_mail mail;
    struct cmds_runtime *runtime;
    void (*fn)(void *context);
    void *context;
};

static void runtime_run_post(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct runtime_post post = *CMDI_CONTAINER(mail, struct runtime_post, mail);
    free(CMDI_CONTAINER(mail, struct runtime_post, mail));
    uint64_t before = atomic_fetch_sub(&post.runtime->post_count, 1);
    CMDI_ASSERT(before > 0);
    post.fn(post.context);
}

int cmds_runtime_post(
        struct cmds_runtime *runtime, uint32_t index, void (*fn)(void *context), void *context)
{
    if (index >= runtime->shard_count) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    if (atomic_fetch_add(&runtime->post_count, 1) >= RUNTIME_POSTS_MAX) {
        atomic_fetch_sub(&runtime->post_count, 1);
        return -ENOBUFS;
    }
    struct runtime_post *post = malloc(sizeof(*post));
    if (post == NULL) {
        atomic_fetch_sub(&runtime->post_count, 1);
        return -ENOMEM;
    }
    *post = (struct runtime_post){
            .mail = {.fn = runtime_run_post}, .runtime = runtime, .fn = fn, .context = context};
    cmdi_shard_post(runtime->shards[index], &post->mail);
    return 0;
}

int cmds_runtime_describe(const struct cmds_runtime *runtime, char *text, size_t size)
{
    static const char *const names[] = {
#define CMDI_X_(name, word, since, gives) word,
            CMDI_RING_FEATURES(CMDI_X_)
#undef CMDI_X_
    };
    char yes[128] = "";
    char no[128] = "";
    if (runtime->drive == CMDI_DRIVE_STEPPED) {
        return snprintf(text, size, "the shard of a cmds_test");
    }
    uint32_t features = cmdi_ring_features(runtime->shards[0]->ring);
    for (uint32_t i = 0; i < CMDI_RING_FEATURE_COUNT; i++) {
        char *list = features & (1u << i) ? yes : no;
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(yes) - used, "%s%s", used > 0 ? " " : "", names[i]);
    }
    char kernel[CMDI_KERNEL_RELEASE_MAX];
    cmdi_kernel_release(kernel, sizeof(kernel));
    return snprintf(text, size, "Linux %s, %u %s, io_uring with %s%s%s", kernel,
            runtime->shard_count,
            runtime->drive == CMDI_DRIVE_INLINE ? "inline shard"
            : runtime->shard_count == 1         ? "shard"
                                                : "shards",
            yes[0] != '\0' ? yes : "its floor", no[0] != '\0' ? ", without " : "", no);
}

CMDI_COUNTERS_MATCH(struct cmdi_shard_counters, struct cmds_runtime_counters);

void cmds_runtime_stats(const struct cmds_runtime *runtime, struct cmds_runtime_counters *counters)
{
    struct cmds_runtime_counters sums = {0};
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        const struct cmdi_shard_counters *block = &runtime->shards[i]->counters;
        cmdi_counters_add(&sums, block, sizeof(*block));
    }
    cmdi_counters_give(counters, &sums, sizeof(sums));
}
