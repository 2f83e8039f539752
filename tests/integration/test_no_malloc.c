/* SPDX-License-Identifier: MIT */
/*
 * What may go wrong: somebody allocates for each command, or takes a lock. This program counts the mallocs of
 * the whole process, and the locks and futexes of the library, while 20,000 commands go through a group and a
 * server, with hooks and breakers, with a span on either side, and without, after a warm-up in which pools and
 * buffers have grown. The linker sends the library's calls of locks here.
 */
#include <semaphore.h>

#include "support/world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_IS_OURS 0 // The sanitizer's is in its place.
#else
#define MALLOC_IS_OURS 1
#endif

enum {
    IN_FLIGHT = 64,
    COMMANDS = 20000,
};

static _Atomic uint64_t lock_count;

static void lock_counted(void)
{
    atomic_fetch_add_explicit(&lock_count, 1, memory_order_relaxed);
}

#define LOCK(name, lock)                                                                           \
    int __real_##name(lock *one);                                                                  \
    int __wrap_##name(lock *one);                                                                  \
    int __wrap_##name(lock *one)                                                                   \
    {                                                                                              \
        lock_counted();                                                                            \
        return __real_##name(one);                                                                 \
    }

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK(sem_wait, sem_t)

void __real_cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void __wrap_cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void __wrap_cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    lock_counted();
    __real_cmdi_futex_wait(word, expected, timeout_ns);
}

void __real_cmdi_futex_wake(_Atomic uint32_t *word, int count);
void __wrap_cmdi_futex_wake(_Atomic uint32_t *word, int count);
void __wrap_cmdi_futex_wake(_Atomic uint32_t *word, int count)
{
    lock_counted();
    __real_cmdi_futex_wake(word, count);
}

#if MALLOC_IS_OURS
static _Atomic uint64_t malloc_count;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *data, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&malloc_count, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&malloc_count, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *data, size_t size)
{
    atomic_fetch_add_explicit(&malloc_count, 1, memory_order_relaxed);
    return __libc_realloc(data, size);
}

struct load {
    struct cmds_group *group;
    struct echo echo;
    bool in_pool; // Commands are `pool`, which a worker executes, and not `echo`.
    _Atomic uint64_t good, failed;
    uint64_t to_send;
    const struct cmds_trace *trace; // Of each command. NULL: none.
    _Atomic uint64_t hooked; // Ends that hooks saw, with what they had left at the beginning.
};

static void load_send(struct load *load);

static void load_on_result(void *context, const struct cmds_result *result)
{
    struct load *load = context;
    const struct echoed *echoed = echoed_of(result);
    if (load->in_pool ? item_of(result) != NULL
                      : echoed != NULL && echoed->string.size == load->echo.string.size) {
        atomic_fetch_add(&load->good, 1);
    } else {
        atomic_fetch_add(&load->failed, 1);
    }
    load_send(load);
}

static void load_send(struct load *load)
{
    if (load->to_send > 0) {
        struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
        struct pool pool = {.number = 1};
        how.trace = load->trace;
        load->to_send--;
        struct cmds_message message =
                load->in_pool ? pool_message(&pool) : echo_message(&load->echo);
        if (cmds_group_send(load->group, message, &how, load_on_result, load) < 0) {
            atomic_fetch_add(&load->failed, 1);
        }
    }
}

static void load_begin(void *context)
{
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        load_send(context);
    }
}

static uint64_t load_ended(struct load *load)
{
    return atomic_load(&load->good) + atomic_load(&load->failed);
}

struct taken {
    uint64_t mallocs, locks;
};

/* Returns: mallocs of the process meanwhile, and locks of the library. */
static struct taken load_run(struct world *world, struct load *load)
{
    struct taken before = {atomic_load(&malloc_count), atomic_load(&lock_count)};
    atomic_store(&load->good, 0);
    load->to_send = COMMANDS;
    CU_ASSERT_FATAL(cmds_runtime_post(world->runtime, 0, load_begin, load) == 0);
    WORLD_UNTIL(world, load_ended(load) == COMMANDS);
    return (struct taken){
            atomic_load(&malloc_count) - before.mallocs, atomic_load(&lock_count) - before.locks};
}

static int load_exec(struct cmds_call *call, const struct run *run)
{
    return world_send_item(call, run->number, true);
}

static int load_before(void *context, struct cmds_sent_command *command)
{
    command->user = context;
    return 0;
}

static void load_after(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct load *load = context;
    atomic_fetch_add(&load->hooked, result->last && command->user == load);
}
#endif

enum check {
    PLAIN,
    WITH_HOOKS,
    WITH_SPANS,
    IN_POOL, // The count of locks is not blind: a call that a worker lets go of takes one.
};

static void check_per_command(enum check check)
{
#if MALLOC_IS_OURS
    static char text[1000];
    static const struct cmds_trace sampled = {
            .trace_id = {1}, .span_id = {1}, .flags = CMDS_TRACE_SAMPLED};
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    bool with_hooks = check == WITH_HOOKS;
    struct world world;
    struct load load = {
            .echo = {.int64 = 5, .string = {text, sizeof(text)}}, .in_pool = check == IN_POOL};
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *list[] = {&hooks};
    struct cmds_breaker_options breaker_options = CMDS_BREAKER_OPTIONS_INIT;
    memset(text, 'x', sizeof(text));
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.exec = load_exec;
    if (check == WITH_SPANS) {
        trace.span_rate_max = UINT32_MAX; // On the server each command begins a trace.
        world.runtime_options.trace = &trace;
        load.trace = &sampled;
    }
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    options.connect = world.address;
    hooks.context = &load;
    hooks.before_send = load_before;
    hooks.on_result = load_after;
    if (with_hooks) {
        options.hooks = list;
        options.hooks_count = 1;
        options.endpoint_breaker = &breaker_options;
        CU_ASSERT_FATAL(cmds_breaker_new(&options.breaker, &breaker_options, NULL) == 0);
    }
    CU_ASSERT_FATAL(cmds_group_open(&load.group, world.runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(load.group, RAW_GUARD_MS, NULL) == 0);

    (void)load_run(&world, &load);
    struct taken taken = load_run(&world, &load);

    CU_ASSERT_EQUAL(atomic_load(&load.failed), 0);
    CU_ASSERT_EQUAL(atomic_load(&load.hooked), with_hooks ? 2 * COMMANDS : 0);
    /*
     * A quiet shard gives memory back once a second and takes it again: a handful. One per command
     * would be 20,000.
     */
    CU_ASSERT(check == IN_POOL ? taken.locks >= COMMANDS : taken.mallocs < 100);
    CU_ASSERT(check == IN_POOL || taken.locks < 100);
    // Two spans of each command, of both runs: nobody takes one, so most are dropped.
    CU_ASSERT(check != WITH_SPANS || cmds_span_dropped(world.runtime) >= 3 * COMMANDS);
    cmds_group_close(load.group, NULL, NULL);
    world_stop(&world);
    cmds_breaker_free(options.breaker);
#else
    (void)check;
    cmdi_test_skip("malloc belongs to the sanitizer in this build");
#endif
}

static void test_no_malloc_and_no_lock_per_command(void)
{
    check_per_command(PLAIN);
}

static void test_no_malloc_and_no_lock_per_command_with_hooks(void)
{
    check_per_command(WITH_HOOKS);
}

static void test_no_malloc_and_no_lock_per_command_with_spans(void)
{
    check_per_command(WITH_SPANS);
}

static void test_a_lock_per_command_in_the_pool(void)
{
    check_per_command(IN_POOL);
}

CU_TestInfo test_no_malloc[] = {
        {"per command", test_no_malloc_and_no_lock_per_command},
        {"per command with hooks", test_no_malloc_and_no_lock_per_command_with_hooks},
        {"per command with spans", test_no_malloc_and_no_lock_per_command_with_spans},
        {"but a lock per command in the pool", test_a_lock_per_command_in_the_pool},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("no malloc", test_no_malloc)
