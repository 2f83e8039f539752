/* SPDX-License-Identifier: MIT */
/*
 * Every allocation and every system call fails once: a service that starts, connects to itself,
 * serves commands of each kind and ends is played again and again, each time with another call that
 * fails, alone or with all that come after it. Whatever fails is an error that somebody is told of:
 * no crash, no hang, no command that ends twice or never, nothing left behind; and what has lived
 * through it works when the shortage is over.
 *
 * In a sanitizer's build, which is slower, a part of the calls is taken: every n-th, from an offset
 * that CMDSTREAM_TORTURE_SEED sets (by default the time), and it is printed. CMDSTREAM_TORTURE_STEP is
 * that n in any build.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "fault/torture.h"
#include "fault/torture_moves.h"
#ifdef TORTURE_TLS
#include <cmdstream/tls.h>

#include "fault/torture_tls.h"
#include "support/tls_pair.h"
#endif
#include "support/mask.h"
#include "support/world.h"

#if defined(__SANITIZE_ADDRESS__)
#define TORTURE_STEP 11
#elif defined(__SANITIZE_THREAD__)
#define TORTURE_STEP      47
#define TORTURE_TLS_PLAYS 40
#else
#define TORTURE_STEP 1
#endif
#ifndef TORTURE_TLS_PLAYS
#define TORTURE_TLS_PLAYS 100
#endif

enum {
    KIND_INLINE,
    KIND_LATER, // Kept, and ended by a timer.
    KIND_STREAM,
    KIND_FORWARD,
    KIND_POOL,
    KIND_LARGE, // Grows every buffer on its way.
    KINDS,
    LARGE = 150000,
    STREAM_LENGTH = 20,
    ROUNDS = 3,
    DEADLINE_MS = 200,
    LATER_MS = 10, // Long enough to be lost, if the server goes then.
    TLS_PLAYS_MAX = TORTURE_TLS_PLAYS,
    TLS_PLAY_SECONDS_MAX = 60,
};

struct scene {
    bool is_inline;
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group, *upstream;
    char address[128];
    _Atomic uint32_t accepted, ended, wrong;
    _Atomic uint32_t posted, posted_ran;
    _Atomic uint32_t echoed;

    /* Of a scene that moves. */
    char other[128]; // The server's second address.
    struct torture_moves moves;
};

/* One command under way. */
struct asked {
    struct scene *scene;
    _Atomic uint32_t lasts;
};
static struct asked asked[256];
static _Atomic uint32_t asked_count;

/* Of the scenes of these tests; NULL: plain. */
static struct cmds_tls *server_tls, *client_tls;
/*
 * Two addresses, of which the list has one or both; a server that goes and comes back while it is
 * asked; hooks, a breaker, commands that are sent again, pauses.
 */
static bool is_moving;

static char last_words[160];

static void on_abort(int number)
{
    (void)number;
    const char *first = atomic_load(&torture.first);
    ssize_t written = write(STDERR_FILENO, last_words, strlen(last_words));
    written = first != NULL ? write(STDERR_FILENO, first, strlen(first)) : written;
    written = write(STDERR_FILENO, "\n", 1);
    (void)written;
    (void)signal(SIGABRT, SIG_DFL);
}

/* --- The service ------------------------------------------------------------------------------ */

static int serve_echo(struct cmds_call *call, const struct echo *echo)
{
    struct echoed echoed = {echo->boolean, echo->int64, echo->string, echo->float64};
    return cmds_call_send(call, echoed_message(&echoed));
}

static void serve_later(struct cmds_call *call)
{
    const struct run *run = run_of(call);
    struct item item = {.index = run != NULL ? run->number : -1, .last = true};
    (void)cmds_call_send(call, item_message(&item)); // Fails: unref ends it as unfinished.
    cmds_call_unref(call);
}

static void serve_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct echoed *echoed = echoed_of(result);
    struct item item = {.index = echoed != NULL ? echoed->int64 : -1, .last = true};
    if (result->last) {
        (void)cmds_call_send(call, item_message(&item));
    }
}

static int serve_run(struct cmds_call *call, const struct run *run)
{
    struct scene *scene = cmds_call_receiver(call);
    struct echo echo = {.int64 = run->number, .string = run->text};
    if (run->what == KIND_LATER) {
        int code = cmds_call_keep_command(call);
        if (code == 0) {
            (void)cmds_call_ref(call);
            code = cmds_call_after(call, is_moving ? LATER_MS : 1, serve_later);
            if (code < 0) {
                cmds_call_unref(call);
            }
        }
        return code;
    }
    if (run->what == KIND_FORWARD) {
        return cmds_group_forward(
                scene->upstream, echo_message(&echo), NULL, call, serve_forwarded, NULL);
    }
    int64_t index = (int64_t)cmds_call_round(call);
    struct item item = {.index = index, .last = index + 1 >= STREAM_LENGTH, .data = run->text};
    int code = cmds_call_send(call, item_message(&item));
    return code < 0 || item.last ? code : CMDS_EXEC_AGAIN;
}

static int serve_pool(struct cmds_call *call, const struct pool *pool)
{
    struct item item = {.index = pool->number, .last = true};
    return cmds_call_send(call, item_message(&item));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(echo, serve_echo), CMDS_EXEC(run, serve_run),
        CMDS_EXEC_IN_POOL(pool, serve_pool)};

/* An exec function that lacks memory is the command's failure, not the connection's. */
static int serve_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    (void)receiver;
    (void)error;
    struct item item = {.index = -1, .last = true};
    return cmds_call_send(call, item_message(&item));
}

static void quiet_log(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static void on_result(void *context, const struct cmds_result *result)
{
    struct asked *one = context;
    if (atomic_load(&one->lasts) > 0) {
        atomic_fetch_add(&one->scene->wrong, 1);
    }
    if (result->error == 0 && echoed_of(result) != NULL) {
        atomic_fetch_add(&one->scene->echoed, 1);
    }
    if (result->last) {
        atomic_fetch_add(&one->lasts, 1);
        atomic_fetch_add(&one->scene->ended, 1);
    }
}

static int ask(struct scene *scene, uint32_t kind, int64_t number)
{
    static char text[LARGE];
    size_t size = kind == KIND_STREAM ? 3000 : (size_t)number % 700;
    struct cmds_string string = {text, kind == KIND_LARGE ? LARGE : size};
    struct echo echo = {.int64 = number, .string = string};
    struct run run = {kind, number, string};
    struct pool pool = {kind, number, string};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket;
    how.deadline_ms = DEADLINE_MS;
    how.ticket = number % 3 == 0 ? &ticket : NULL;
    uint32_t index = atomic_fetch_add(&asked_count, 1);
    if (index >= sizeof(asked) / sizeof(asked[0])) {
        return -ENOBUFS;
    }
    asked[index].scene = scene;
    atomic_store(&asked[index].lasts, 0);
    int code = cmds_group_send(scene->group,
            kind == KIND_INLINE || kind == KIND_LARGE ? echo_message(&echo)
            : kind == KIND_POOL                       ? pool_message(&pool)
                                                      : run_message(&run),
            &how, on_result, &asked[index]);
    atomic_fetch_add(&scene->accepted, code == 0);
    return code;
}

static void ask_each(struct scene *scene)
{
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        (void)ask(scene, kind, kind * 100);
    }
}

static void ask_on_shard(void *context)
{
    struct scene *scene = context;
    ask_each(scene);
    atomic_fetch_add(&scene->posted_ran, 1);
}

/* Turns or waits. A hang is the harness's to find. */
#define UNTIL(scene, condition)                                                                    \
    do {                                                                                           \
        while (!(condition)) {                                                                     \
            raw_pause((scene)->is_inline ? (scene)->runtime : NULL);                               \
        }                                                                                          \
    } while (0)

static bool all_ended(const struct scene *scene)
{
    return atomic_load(&scene->ended) >= atomic_load(&scene->accepted) &&
           atomic_load(&scene->posted_ran) == atomic_load(&scene->posted);
}

/* --- Of a scene that moves -------------------------------------------------------------------- */

/* `count` of the addresses, the last one first. */
static void move_endpoints(struct scene *scene, uint32_t count)
{
    const struct cmds_endpoint list[] = {
            CMDS_ENDPOINT_INIT(scene->other), CMDS_ENDPOINT_INIT(scene->address)};
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_group_set_endpoints(scene->group, list, count, &error);
    if (code < 0 && error.code != code) {
        atomic_fetch_add(&scene->wrong, 1);
    }
}

static int count_items(void *context, const struct cmds_result *result)
{
    const struct item *item = item_of(result);
    *(uint32_t *)context += item != NULL && item->index >= 0;
    return 0;
}

/* A stream of which each result is too much: it pauses its connection again and again. */
static void move_stream(struct scene *scene, struct cmds_sender *sender)
{
    struct run run = {.what = KIND_STREAM, .text = CMDS_STRING("paused")};
    struct cmds_error error = CMDS_ERROR_INIT;
    uint32_t items = 0;
    int code = cmds_sender_send_multi(
            sender, run_message(&run), DEADLINE_MS, &error, count_items, &items);
    if (code < 0 ? error.code != code : items > STREAM_LENGTH) {
        atomic_fetch_add(&scene->wrong, 1);
    }
}

static void sender_asks(struct scene *scene, bool single_thread)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct echo echo = {.int64 = 7, .string = CMDS_STRING("sender")};
    options.connect = scene->address;
    options.single_thread = single_thread;
    options.tls = client_tls;
    options.connect_timeout_ms = DEADLINE_MS;
    if (is_moving) {
        torture_moves_set(&scene->moves, &group);
        options.group = &group;
        options.stream_size_max = options.stream_size_low = 1;
    }
    if (cmds_sender_open(&sender, &options, &error) == 0) {
        int code = cmds_sender_send(sender, echo_message(&echo), DEADLINE_MS, &result, &error);
        if ((code == 0) != (result != NULL)) {
            atomic_fetch_add(&scene->wrong, 1);
        }
        cmds_result_free(result);
        if (is_moving) {
            move_stream(scene, sender);
        }
        cmds_sender_close(sender, 0);
    }
    if (sender == NULL && error.code == 0) {
        atomic_fetch_add(&scene->wrong, 1); // A failure without a word.
    }
}

/* --- The scene -------------------------------------------------------------------------------- */

static int scene_open_group(struct scene *scene, struct cmds_group **group)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    char both[sizeof(scene->address) + sizeof(scene->other)];
    options.connect = scene->address;
    options.client_count = 2;
    options.tls = client_tls;
    options.connect_timeout_ms = DEADLINE_MS;
    if (is_moving) {
        (void)snprintf(both, sizeof(both), "%s,%s", scene->address, scene->other);
        options.connect = both;
        torture_moves_set(&scene->moves, &options);
    }
    int code = cmds_group_open(group, scene->runtime, &options, &error);
    if (code == 0) {
        (void)cmds_group_wait(*group, 2 * DEADLINE_MS, &error);
    } else if (error.code != code) {
        atomic_fetch_add(&scene->wrong, 1);
    }
    return code;
}

/* Its addresses are in the scene from then on. */
static int scene_start_server(struct scene *scene, const char *listen, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&world_protocol, execs);
    options.listen = listen;
    options.receiver = scene;
    options.on_exec_error = serve_error;
    options.tls = server_tls;
    int code = cmds_server_start(&scene->server, scene->runtime, &options, error);
    if (code == 0) {
        code = cmds_server_address(scene->server, 0, scene->address, sizeof(scene->address));
    }
    if (code == 0 && is_moving) {
        code = cmds_server_address(scene->server, 1, scene->other, sizeof(scene->other));
    }
    return code;
}

/* Where it was. It may fail: there is none then. */
static void scene_start_server_again(struct scene *scene)
{
    char listen[sizeof(scene->address) + sizeof(scene->other)];
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)snprintf(listen, sizeof(listen), "%s,%s", scene->address, scene->other);
    int code = scene_start_server(scene, listen, &error);
    if (code < 0 && error.code != code) {
        atomic_fetch_add(&scene->wrong, 1);
    }
}

static int scene_begin(struct scene *scene, bool is_inline)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    *scene = (struct scene){.is_inline = is_inline};
    atomic_store(&asked_count, 0);
    runtime.shard_count = is_inline ? CMDS_SHARDS_INLINE : 2;
    runtime.on_log = quiet_log;
    runtime.buffer_count_max = 32;
    int code = cmds_runtime_start(&scene->runtime, &runtime, &error);
    if (code == 0) {
        code = scene_start_server(
                scene, is_moving ? "127.0.0.1:0,127.0.0.1:0" : "127.0.0.1:0", &error);
    }
    if (code == 0 && is_moving) {
        code = torture_moves_init(&scene->moves, &error);
    }
    if (code < 0 && error.code != code) {
        printf("code %d without its words: %d \"%s\"\n", code, error.code, error.text);
        atomic_fetch_add(&scene->wrong, 1);
    }
    code = code == 0 ? scene_open_group(scene, &scene->upstream) : code;
    return code == 0 ? scene_open_group(scene, &scene->group) : code;
}

/* While commands are under way. */
static void scene_move(struct scene *scene, uint32_t round)
{
    if (round == 0) {
        move_endpoints(scene, 1);
        if (cmds_group_pause(scene->group, 0) == 0) {
            (void)cmds_group_resume(scene->group, 0);
        }
    } else if (round == 1) {
        raw_pause(scene->is_inline ? scene->runtime : NULL);
        cmds_server_close(scene->server);
        scene->server = NULL;
        scene_start_server_again(scene);
    } else {
        move_endpoints(scene, 2);
    }
}

static void scene_serve(struct scene *scene)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        ask_each(scene);
        for (uint32_t i = 0; i < cmds_runtime_shard_count(scene->runtime); i++) {
            atomic_fetch_add(&scene->posted, 1);
            if (cmds_runtime_post(scene->runtime, i, ask_on_shard, scene) < 0) {
                atomic_fetch_sub(&scene->posted, 1);
            }
        }
        if (is_moving) {
            scene_move(scene, round);
        }
        UNTIL(scene, all_ended(scene));
    }
    if (!scene->is_inline) {
        sender_asks(scene, false);
        sender_asks(scene, true);
    }
}

/* The shortage is over: the server serves a new group. A connection that was lost stays lost. */
static bool scene_recovers(struct scene *scene)
{
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    uint32_t before = atomic_load(&scene->echoed);
    while (raw_now_ms() < until_ms && atomic_load(&scene->echoed) == before) {
        cmds_group_close(scene->group, NULL, NULL);
        scene->group = NULL;
        if (scene->server == NULL) {
            scene_start_server_again(scene);
        }
        if (scene_open_group(scene, &scene->group) == 0) {
            atomic_store(&asked_count, 0);
            (void)ask(scene, KIND_INLINE, 1);
            UNTIL(scene, all_ended(scene));
        }
    }
    return atomic_load(&scene->echoed) != before;
}

static uint32_t open_files(void)
{
    uint32_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count;
}

static bool is_first; // Play: it may leave blocks behind, once.

/* Returns: calls that were counted. */
static uint64_t play(bool is_inline, uint64_t at, bool onwards)
{
    struct scene scene;
    uint32_t files = open_files();
    int64_t blocks = torture_own_blocks();
    (void)snprintf(last_words, sizeof(last_words), "\n%s, call %llu%s: ",
            is_inline            ? "inline"
            : server_tls != NULL ? "secured"
            : is_moving          ? "moving"
                                 : "threads",
            (unsigned long long)at, onwards ? " and all after" : "");
    torture_arm(at, onwards);
    bool lives = scene_begin(&scene, is_inline) == 0;
    if (lives) {
        scene_serve(&scene);
    }
    bool recovered = true;
    if (lives && atomic_load(&torture.failed) > 0) {
        torture_disarm(); // Else the end of it is what fails.
        recovered = scene_recovers(&scene);
    }
    cmds_group_close(scene.group, NULL, NULL);
    cmds_group_close(scene.upstream, NULL, NULL);
    cmds_server_close(scene.server);
    cmds_runtime_stop(scene.runtime);
    cmds_breaker_free(scene.moves.breaker);
    torture_disarm();
    recovered = recovered && atomic_load(&scene.moves.begun) == atomic_load(&scene.moves.over);
    bool clean = atomic_load(&scene.wrong) == 0 && recovered && open_files() == files &&
                 (torture_own_blocks() == blocks || is_first);
    if (!clean) {
        const char *first = atomic_load(&torture.first);
        printf("%s%s: wrong %u, recovered %d, files %u -> %u, blocks %lld -> %lld\n",
                last_words + 1, first != NULL ? first : "none", atomic_load(&scene.wrong),
                recovered, files, open_files(), (long long)blocks, (long long)torture_own_blocks());
        CU_FAIL("see the line above");
    }
    return atomic_load(&torture.calls);
}

static uint32_t torture_step(void)
{
    const char *text = getenv("CMDSTREAM_TORTURE_STEP");
    uint32_t step = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;
    return step > 0 ? step : TORTURE_STEP;
}

static void play_all(bool is_inline, bool onwards)
{
    const char *only = getenv("CMDSTREAM_TORTURE_AT");
    const char *seed = getenv("CMDSTREAM_TORTURE_SEED");
    uint64_t number = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)raw_now_ms();
    (void)signal(SIGABRT, on_abort);
    (void)play(is_inline, 0, false);
    uint64_t calls = play(is_inline, 0, false);
    uint32_t step = torture_step();
    uint64_t first = 1 + number % step;
    if (only != NULL) {
        (void)play(is_inline, strtoull(only, NULL, 10), onwards);
        return;
    }
    uint64_t played = 0;
    for (uint64_t at = first; at <= calls + 5; at += step, played++) {
        (void)play(is_inline, at, onwards);
    }
    printf("%s%llu of %llu calls, every %u from %llu on ... ", step > 1 ? "***** a part: " : "",
            (unsigned long long)played, (unsigned long long)calls, step, (unsigned long long)first);
}

static void test_torture_one_call_fails(void)
{
    play_all(false, false);
}

static void test_torture_calls_fail_from_one_on(void)
{
    play_all(false, true);
}

static void test_torture_one_call_fails_inline(void)
{
    play_all(true, false);
}

static void test_torture_calls_fail_from_one_on_inline(void)
{
    play_all(true, true);
}

/* With what a security layer needs for each connection. */
static void play_secured(bool onwards)
{
    struct mask server, client;
    mask_init(&server, true);
    mask_init(&client, false);
    server_tls = &server.tls;
    client_tls = &client.tls;
    play_all(false, onwards);
    server_tls = client_tls = NULL;
    CU_ASSERT_EQUAL(atomic_load(&server.sessions) + atomic_load(&client.sessions), 0);
}

static void test_torture_one_call_fails_secured(void)
{
    play_secured(false);
}

static void test_torture_calls_fail_from_one_on_secured(void)
{
    play_secured(true);
}

/* With what a group does when servers go and come. */
static void play_moving(bool is_inline, bool onwards)
{
    is_moving = true;
    play_all(is_inline, onwards);
    is_moving = false;
}

static void test_torture_one_call_fails_moving(void)
{
    play_moving(false, false);
}

static void test_torture_calls_fail_from_one_on_moving(void)
{
    play_moving(false, true);
}

static void test_torture_one_call_fails_moving_inline(void)
{
    play_moving(true, false);
}

/* A machine that is always short: behind the start, now this fails and now that. */
static void test_torture_calls_fail_again_and_again(void)
{
    (void)signal(SIGABRT, on_abort);
    for (uint32_t every = 2; every<40; every += torture_step()> 1 ? 7 : 1) {
        for (uint32_t at = 60; at<80; at += torture_step()> 1 ? 7 : 2) {
            torture.every = every;
            (void)play(false, at, false);
            (void)play(true, at, false);
        }
    }
    torture.every = 0;
}

/* The kernel is short of memory, or interrupted, at every third enter. */
static void test_torture_enter_is_refused_for_a_moment(void)
{
    (void)signal(SIGABRT, on_abort);
    torture.enter_every = 3;
    for (uint32_t i = 0; i < 10; i++) {
        (void)play(false, 0, false);
        (void)play(true, 0, false);
    }
    torture.enter_every = 0;
}

#ifdef TORTURE_TLS
static void test_torture_over_tls(void)
{
    const char *only = getenv("CMDSTREAM_TORTURE_AT");
    (void)signal(SIGABRT, on_abort);
    torture_take_allocators();
    client_tls = tls_new_client("ca", "client");
    server_tls = tls_new_server("server", "ca");
    is_first = true; // What a thread has for the records of all its connections stays.
    (void)play(false, 0, false);
    is_first = false;
    uint64_t calls = play(false, 0, false), step = calls / TLS_PLAYS_MAX + 1, played = 0;
    for (uint64_t at = 1 + raw_now_ms() % step; only == NULL && at <= calls; at += step, played++) {
        (void)alarm(TLS_PLAY_SECONDS_MAX);
        (void)play(false, at, played % 2 == 1);
    }
    if (only != NULL) {
        (void)play(false, strtoull(only, NULL, 10), getenv("CMDSTREAM_TORTURE_ONWARDS") != NULL);
    }
    printf("***** a part: %llu of %llu calls ... ", (unsigned long long)played,
            (unsigned long long)calls);
    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
    client_tls = server_tls = NULL;
}
#endif

CU_TestInfo test_torture[] = {
        {"one call fails", test_torture_one_call_fails},
        {"calls fail from one on", test_torture_calls_fail_from_one_on},
        {"inline, one call fails", test_torture_one_call_fails_inline},
        {"inline, calls fail from one on", test_torture_calls_fail_from_one_on_inline},
        {"secured, one call fails", test_torture_one_call_fails_secured},
        {"secured, calls fail from one on", test_torture_calls_fail_from_one_on_secured},
        {"moving, one call fails", test_torture_one_call_fails_moving},
        {"moving, calls fail from one on", test_torture_calls_fail_from_one_on_moving},
        {"moving inline, one call fails", test_torture_one_call_fails_moving_inline},
        {"calls fail again and again", test_torture_calls_fail_again_and_again},
        {"enter is refused for a moment", test_torture_enter_is_refused_for_a_moment},
#ifdef TORTURE_TLS
        {"over TLS", test_torture_over_tls},
#endif
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("torture", test_torture)
