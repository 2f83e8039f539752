/* SPDX-License-Identifier: MIT */
/*
 * The runtime under a server: options, posts, the inline loop, little memory, few buffers, and what
 * the rest of a process does (signals, forks). A message may be lost or run on the wrong thread, a
 * loop may sleep through what is there for it, and somebody's flood may keep the others from ever
 * getting a buffer.
 */
#include "support/world.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Options ---------------------------------------------------------------------------------- */

static void refused(const struct cmds_runtime_options *options, const char *word)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_runtime_start(&runtime, options, &error);
    if (code != -EINVAL || error.code != code || strstr(error.text, word) == NULL) {
        printf("%d \"%s\" has no \"%s\"\n", code, error.text, word);
        CU_FAIL("a bad option was not refused by name");
    }
    CU_ASSERT_PTR_NULL(runtime);
}

static void test_runtime_bad_options_are_named(void)
{
    struct cmds_runtime_options options;
#define REFUSED(change, word)                                                                      \
    do {                                                                                           \
        options = (struct cmds_runtime_options)CMDS_RUNTIME_OPTIONS_INIT;                          \
        options.change;                                                                            \
        refused(&options, (word));                                                                 \
    } while (0)
    REFUSED(struct_size = 0, "INIT");
    REFUSED(shard_count = CMDS_SHARDS_MAX + 1, "shard_count");
    REFUSED(pool_thread_count = 2000, "pool_thread_count");
    REFUSED(buffer_size = 4095, "buffer_size");
    REFUSED(buffer_size = 1024 * 1024 + 1, "buffer_size");
    REFUSED(buffer_count_max = 32769, "buffer_count_max");
    REFUSED(log_level = CMDS_LOG_ERROR + 1, "log_level");
    REFUSED(cpus = "", "cpus");
    REFUSED(cpus = "x", "cpus");
    REFUSED(cpus = "3-1", "cpus");
    REFUSED(cpus = "0-", "cpus");
    REFUSED(cpus = "-1", "cpus");
    REFUSED(cpus = "0 1", "cpus");
    REFUSED(cpus = "99999", "cpus");
}

static void test_runtime_unused_members_are_for_newer_libraries(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.unused = 1;
    CU_ASSERT_EQUAL(cmds_runtime_start(&runtime, &options, &error), -E2BIG);
    CU_ASSERT(strstr(error.text, "cmds_runtime_options: an unused member") != NULL);
    options.unused = 0;
    options.unused2 = 1;
    CU_ASSERT_EQUAL(cmds_runtime_start(&runtime, &options, &error), -E2BIG);
    options.unused2 = 0;
    options.unused3 = 1;
    CU_ASSERT_EQUAL(cmds_runtime_start(&runtime, &options, &error), -E2BIG);
    CU_ASSERT_PTR_NULL(runtime);
}

static void test_runtime_counts_and_describes(void)
{
    struct world world;
    struct raw raw;
    struct utsname kernel;
    char text[512], tiny[8];
    world_init(&world);
    world.runtime_options.cpus = "0"; // Both shards there.
    CU_ASSERT_FATAL(
            world_start(&world) == 0 && world_connect(&world, &raw) && world_echoes(&raw, 1));

    CU_ASSERT_EQUAL(cmds_runtime_shard_count(world.runtime), 2);
    CU_ASSERT_EQUAL(cmds_runtime_current_shard(world.runtime), -ENOENT);
    int size = cmds_runtime_describe(world.runtime, text, sizeof(text));
    CU_ASSERT(size > 0 && (size_t)size == strlen(text) && uname(&kernel) == 0);
    CU_ASSERT(strstr(text, kernel.release) != NULL && strstr(text, "2 shards") != NULL);
    CU_ASSERT_EQUAL(cmds_runtime_describe(world.runtime, tiny, sizeof(tiny)), size);
    CU_ASSERT_EQUAL(strlen(tiny), sizeof(tiny) - 1);

    // The completion may come after the answer.
    WORLD_UNTIL(&world, world_stats(&world).send_bytes > 8);
    struct world_stats stats = world_stats(&world);
    CU_ASSERT_EQUAL(stats.connections, 1);
    CU_ASSERT_EQUAL(stats.connections_accepted, 1);
    CU_ASSERT_EQUAL(stats.commands_received, 1);
    CU_ASSERT_EQUAL(stats.results_sent, 1);
    CU_ASSERT(stats.recv_bytes > 0 && stats.turns > 0 && stats.enters > 0);
    struct cmds_runtime_counters older = {
            .struct_size = offsetof(struct cmds_runtime_counters, enters), .enters = 4711};
    cmds_runtime_stats(world.runtime, &older); // Of a program that knows fewer counters.
    CU_ASSERT(older.turns > 0 && older.enters == 4711);
    CU_ASSERT_EQUAL(cmds_runtime_turn(world.runtime, 0), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_fd(world.runtime), -EINVAL);

    raw_close(&raw);
    WORLD_UNTIL(&world, world_stats(&world).connections == 0);
    CU_ASSERT_EQUAL(world_stats(&world).connections_closed, 1);
    world_stop(&world);
}

/* The floor of kernels: nothing that came later is used. */
static void test_runtime_works_without_features(void)
{
    struct world world;
    struct raw raw;
    char text[512];
    const char *before = getenv("CMDSTREAM_FEATURES_OFF");
    CU_ASSERT_FATAL(setenv("CMDSTREAM_FEATURES_OFF", "all", 1) == 0);
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    (void)cmds_runtime_describe(world.runtime, text, sizeof(text));
    CU_ASSERT(strstr(text, "without registered_fd") != NULL);
    for (uint32_t i = 0; i < 20; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raw) && world_echoes(&raw, 1));
        raw_close(&raw);
    }
    world_stop(&world);
    if (before == NULL) {
        (void)unsetenv("CMDSTREAM_FEATURES_OFF");
    }
}

/* --- Posts ------------------------------------------------------------------------------------ */

enum {
    POSTS = 5000,
    POSTERS = 4
};

struct posted {
    struct poster *poster;
    uint32_t number;
};

struct poster {
    struct cmds_runtime *runtime;
    uint32_t shard;
    pthread_t thread;
    struct posted posted[POSTS];
    _Atomic uint32_t next, failed;
};

static void on_post(void *context)
{
    const struct posted *posted = context;
    struct poster *poster = posted->poster;
    bool right = atomic_load(&poster->next) == posted->number &&
                 cmds_runtime_current_shard(poster->runtime) == (int)poster->shard;
    atomic_fetch_add(&poster->failed, !right);
    atomic_fetch_add(&poster->next, 1);
}

static void *poster_main(void *argument)
{
    struct poster *poster = argument;
    for (uint32_t i = 0; i < POSTS; i++) {
        poster->posted[i] = (struct posted){poster, i};
        if (cmds_runtime_post(poster->runtime, poster->shard, on_post, &poster->posted[i]) != 0) {
            atomic_fetch_add(&poster->failed, 1);
        }
    }
    return NULL;
}

static void test_runtime_posts_run_in_order(void)
{
    static struct poster posters[POSTERS];
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 2, on_post, NULL), -EINVAL);

    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i].runtime = world.runtime;
        posters[i].shard = i % 2;
        CU_ASSERT_FATAL(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]) == 0);
    }
    for (uint32_t i = 0; i < POSTERS; i++) {
        CU_ASSERT(pthread_join(posters[i].thread, NULL) == 0);
        WORLD_UNTIL(&world, atomic_load(&posters[i].next) == POSTS);
        CU_ASSERT_EQUAL(atomic_load(&posters[i].failed), 0);
    }
    world_stop(&world);
}

struct chain {
    struct cmds_runtime *runtime;
    _Atomic uint32_t left, inside;
    bool running;
};

static void on_chain(void *context)
{
    struct chain *chain = context;
    atomic_fetch_add(&chain->inside, chain->running); // Not within the call that posted it.
    chain->running = true;
    if (atomic_fetch_sub(&chain->left, 1) > 1) {
        (void)cmds_runtime_post(chain->runtime, 0, on_chain, chain);
    }
    chain->running = false;
}

static void test_runtime_post_never_runs_inside_itself(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct chain chain = {.runtime = world.runtime, .left = 1000};

    CU_ASSERT_FATAL(cmds_runtime_post(world.runtime, 0, on_chain, &chain) == 0);
    WORLD_UNTIL(&world, atomic_load(&chain.left) == 0);
    CU_ASSERT_EQUAL(atomic_load(&chain.inside), 0);
    world_stop(&world);
}

struct blocker {
    _Atomic bool entered, go;
    _Atomic uint32_t count;
};

static void on_block(void *context)
{
    struct blocker *blocker = context;
    atomic_store(&blocker->entered, true);
    while (!atomic_load(&blocker->go)) {
        raw_pause(NULL);
    }
}

static void on_count(void *context)
{
    struct blocker *blocker = context;
    atomic_fetch_add(&blocker->count, 1);
}

static void test_runtime_posts_are_bounded(void)
{
    struct world world;
    struct blocker blocker = {.entered = false};
    uint32_t taken = 0;
    int code = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_post(world.runtime, 0, on_block, &blocker) == 0);
    WORLD_UNTIL(&world, atomic_load(&blocker.entered));

    while (taken <= 70000 && code == 0) {
        code = cmds_runtime_post(world.runtime, 0, on_count, &blocker);
        taken += code == 0;
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT_EQUAL(taken, 65536);
    atomic_store(&blocker.go, true);
    WORLD_UNTIL(&world, atomic_load(&blocker.count) == taken);
    // There is room again.
    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, on_count, &blocker), 0);
    WORLD_UNTIL(&world, atomic_load(&blocker.count) == taken + 1);
    world_stop(&world);
}

/* --- Inline ----------------------------------------------------------------------------------- */

struct elsewhere {
    struct cmds_runtime *runtime;
    int code;
};

static void *turn_elsewhere(void *argument)
{
    struct elsewhere *elsewhere = argument;
    elsewhere->code = cmds_runtime_turn(elsewhere->runtime, 0);
    return NULL;
}

static int exec_turn(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    (void)run;
    return world_send_item(call, cmds_runtime_turn(world->runtime, 0), true);
}

static void test_runtime_inline_is_turned_by_one_thread(void)
{
    struct world world;
    struct raw raw;
    struct elsewhere elsewhere = {NULL, 0};
    pthread_t thread;
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {0};
    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    world.exec = exec_turn;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    elsewhere.runtime = world.runtime;
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, turn_elsewhere, &elsewhere) == 0);
    CU_ASSERT(pthread_join(thread, NULL) == 0);
    CU_ASSERT_EQUAL(elsewhere.code, -EXDEV);
    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -EDEADLK);
    CU_ASSERT(world_echoes(&raw, 2));
    CU_ASSERT_EQUAL(cmds_runtime_shard_count(world.runtime), 1);

    raw_close(&raw);
    world_stop(&world);
}

static void after_a_while(struct cmds_call *call)
{
    (void)world_send_item(call, 1, true);
}

static int exec_after(struct cmds_call *call, const struct run *run)
{
    return cmds_call_after(call, (uint32_t)run->number, after_a_while);
}

/* As an application's loop does it, before it sleeps. */
static bool turn_all(struct world *world)
{
    int code = 0;
    do {
        code = cmds_runtime_turn(world->runtime, CMDS_TURN_NOWAIT);
    } while (code > 0);
    return code == 0;
}

static bool sleep_until_readable(int epoll)
{
    struct epoll_event event;
    int count = 0;
    do { // The kernel interrupts us when it has taken a former ring apart.
        count = epoll_wait(epoll, &event, 1, RAW_GUARD_MS);
    } while (count < 0 && errno == EINTR);
    return count == 1;
}

static void *post_elsewhere(void *argument)
{
    struct chain *chain = argument;
    (void)cmds_runtime_post(chain->runtime, 0, on_chain, chain);
    return NULL;
}

/*
 * Data, timers, and messages of other threads: each of them ends the sleep of a loop that has
 * nothing else to wake it.
 */
static void test_runtime_inline_wakes_an_epoll_loop(void)
{
    struct world world;
    struct raw raw;
    struct raw_frame frame;
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    world.exec = exec_after;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT_FATAL(epoll_ctl(epoll, EPOLL_CTL_ADD, cmds_runtime_fd(world.runtime), &event) == 0);

    for (uint64_t i = 1; i <= 50; i++) {
        struct run run = {.number = (int64_t)i % 7};
        CU_ASSERT_FATAL(raw_send(&raw, i, run_message(&run)));
        CU_ASSERT_FATAL(turn_all(&world));
        while (raw_try(&raw, &frame) == RAW_HANG) {
            CU_ASSERT_FATAL(sleep_until_readable(epoll));
            CU_ASSERT_FATAL(turn_all(&world));
        }
        CU_ASSERT_FATAL(frame.sequence == i);
    }
    for (uint32_t i = 0; i < 50; i++) {
        struct chain chain = {.runtime = world.runtime, .left = 1};
        pthread_t thread;
        CU_ASSERT_FATAL(pthread_create(&thread, NULL, post_elsewhere, &chain) == 0);
        CU_ASSERT_FATAL(turn_all(&world));
        while (atomic_load(&chain.left) > 0) {
            CU_ASSERT_FATAL(sleep_until_readable(epoll));
            CU_ASSERT_FATAL(turn_all(&world));
        }
        CU_ASSERT(pthread_join(thread, NULL) == 0);
    }

    (void)close(epoll);
    raw_close(&raw);
    world_stop(&world);
}

/* --- Little to go round ----------------------------------------------------------------------- */

enum {
    FLOODS = 30,
    FRAMES = 60,
    TEXT = 3000
};

static bool flood_step(
        struct raw *raw, const uint8_t *bytes, size_t size, size_t *written, uint32_t *answers)
{
    struct raw_frame frame;
    if (*written < size) {
        int64_t taken = raw_write_some(raw, bytes + *written, size - *written);
        if (taken < 0) {
            return false;
        }
        *written += (size_t)taken;
    }
    enum raw_event event = raw_try(raw, &frame);
    for (; event == RAW_FRAME; event = raw_try(raw, &frame)) {
        (*answers)++;
    }
    return event == RAW_HANG;
}

/* Everybody gets everything answered, however few buffers they share. */
static void flood_with(uint32_t buffer_count_max)
{
    static char text[TEXT];
    static uint8_t body[TEXT + 64], bytes[FRAMES * (TEXT + 100)];
    struct world world;
    struct raw raw[FLOODS];
    size_t written[FLOODS] = {0}, size = 0;
    uint32_t answers[FLOODS] = {0}, done = 0;
    struct echo echo = {.string = {text, TEXT}};
    int64_t body_size =
            cmds_codec_encode(&cmds_codec_msgpack, echo_message(&echo), body, sizeof(body));
    CU_ASSERT_FATAL(body_size > 0);
    for (uint64_t i = 1; i <= FRAMES; i++) {
        size += raw_frame_encode(bytes + size, i, 0, body, (size_t)body_size);
    }
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.buffer_size = 4096;
    world.runtime_options.buffer_count_max = buffer_count_max;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    for (uint32_t i = 0; i < FLOODS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raw[i]));
    }

    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (done < FLOODS && raw_now_ms() < until_ms) {
        done = 0;
        for (uint32_t i = 0; i < FLOODS; i++) {
            CU_ASSERT_FATAL(flood_step(&raw[i], bytes, size, &written[i], &answers[i]));
            done += answers[i] == FRAMES;
        }
    }
    CU_ASSERT_EQUAL(done, FLOODS);
    CU_ASSERT(world_stats(&world).buffers_empty > 0); // It was as tight as it should be.
    for (uint32_t i = 0; i < FLOODS; i++) {
        raw_close(&raw[i]);
    }
    world_stop(&world);
}

static void test_runtime_few_buffers_serve_all(void)
{
    flood_with(1);
    flood_with(2);
    flood_with(3);
    flood_with(4);
}

/* Who wants more memory than there is loses its connection; the others do not. */
static void test_runtime_memory_is_limited(void)
{
    static uint8_t body[1 << 20];
    struct world world;
    struct raw large, other;
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.memory_size_max = 256 * 1024;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &large) && world_connect(&world, &other));

    CU_ASSERT(raw_write_hex(&large, "01008080800194c3fbdb"));
    (void)raw_write(&large, body, sizeof(body)); // It may be closed before it has taken all.
    CU_ASSERT(raw_drain(&large) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(world_stats(&world).out_of_memory, 1);
    CU_ASSERT(world_echoes(&other, 1));
    WORLD_UNTIL(&world, world_stats(&world).buffer_bytes == 0);

    raw_close(&large);
    raw_close(&other);
    world_stop(&world);
}

/* --- The rest of the process ------------------------------------------------------------------ */

static pthread_t main_thread;
static _Atomic uint32_t signals, strays;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
    atomic_fetch_add(&strays, pthread_equal(pthread_self(), main_thread) == 0);
}

/* The runtime's threads take no signal; a storm of them on the program's own does no harm. */
static void test_runtime_leaves_signals_alone(void)
{
    struct world world;
    struct raw raw;
    struct sigaction action = {.sa_handler = on_signal}, before;
    main_thread = pthread_self();
    CU_ASSERT_FATAL(sigaction(SIGUSR1, &action, &before) == 0);
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 500; i++) {
        CU_ASSERT(kill(getpid(), SIGUSR1) == 0);
        CU_ASSERT_FATAL(world_echoes(&raw, i));
    }
    CU_ASSERT(atomic_load(&signals) > 0);
    CU_ASSERT_EQUAL(atomic_load(&strays), 0);

    raw_close(&raw);
    world_stop(&world);
    CU_ASSERT(sigaction(SIGUSR1, &before, NULL) == 0);
}

static void test_runtime_a_child_takes_nothing_along(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 10; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(0); // Without a word to anybody.
        }
        CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
        CU_ASSERT_FATAL(world_echoes(&raw, i));
    }
    /* What a program that is started from here finds open: nothing of ours. */
    FILE *listing = popen("ls -l /proc/self/fd | grep -c -e io_uring -e 'socket:' -e eventfd", "r");
    char count[16] = "";
    CU_ASSERT_FATAL(listing != NULL);
    CU_ASSERT_FATAL(fgets(count, sizeof(count), listing) != NULL);
    (void)pclose(listing);
    int inherited = 0; // By this program itself: from whoever started it.
    for (int fd = 0; fd < 3; fd++) {
        int type = 0;
        socklen_t size = sizeof(type);
        inherited += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    }
    CU_ASSERT(atoi(count) <= inherited);

    raw_close(&raw);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"bad options are named", test_runtime_bad_options_are_named},
        {"unused members are for newer libraries",
                test_runtime_unused_members_are_for_newer_libraries},
        {"counts and describes", test_runtime_counts_and_describes},
        {"works without features", test_runtime_works_without_features},
        {"posts run in order", test_runtime_posts_run_in_order},
        {"post never runs inside itself", test_runtime_post_never_runs_inside_itself},
        {"posts are bounded", test_runtime_posts_are_bounded},
        {"inline is turned by one thread", test_runtime_inline_is_turned_by_one_thread},
        {"inline wakes an epoll loop", test_runtime_inline_wakes_an_epoll_loop},
        {"few buffers serve all", test_runtime_few_buffers_serve_all},
        {"memory is limited", test_runtime_memory_is_limited},
        {"leaves signals alone", test_runtime_leaves_signals_alone},
        {"a child takes nothing along", test_runtime_a_child_takes_nothing_along},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("runtime", tests)
