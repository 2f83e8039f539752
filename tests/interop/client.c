/* SPDX-License-Identifier: MIT */
/*
 * Our client against any server of the test protocol: the rows of the interop matrix. The Go client
 * `cmdstream-go check` has the same ones against ours; tests/interop/run drives both.
 *
 *     interop_client ADDRESS CODEC [--server-info TEXT] [--ping-ms N] [--tls-... VALUE] CHECK...
 *
 * It prints `ok CHECK` or `FAIL CHECK: why`, a line each; `reconnect` first prints `ready`, and waits
 * for a line that says that the server has been restarted. Facts of callbacks, which run on a shard,
 * are brought to the main thread by a semaphore.
 */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target.h"
#include "tool/common.h"

enum {
    TEXT_SIZE = 65536,
    GROUP_CLIENTS = 8,
    GROUP_CALLERS = 32,
    GROUP_CALLS = 50,
    IDLE_ROUNDS = 3,
    PING_MS = 100,
    INFO_SIZE_MAX = 1024,
    SLEEP_COMMANDS = 3,
};

static char text[TEXT_SIZE]; // Byte i is 'a' + i % 26. Constant once made.

/* --- Echo ------------------------------------------------------------------------------------- */

static bool echo_integers(struct cmds_sender *sender)
{
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t border = UINT64_C(1) << bit;
        uint64_t numbers[] = {
                border - 1, border, border + 1, 0 - border, 1 - border, UINT64_MAX - border};
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            struct command_echo echo = {.boolean = (i & 1) != 0};
            memcpy(&echo.int64, &numbers[i], sizeof(echo.int64));
            if (!echo_check(sender, &echo)) {
                return false;
            }
        }
    }
    return true;
}

static bool echo_floats(struct cmds_sender *sender, bool nan_too)
{
    const double numbers[] = {0.0, -0.0, 1.5, -1.5, 0.1, 1e21, 1e20, 1e-6, 1e-7, 123456789.125,
            DBL_MAX, -DBL_MAX, DBL_MIN, 4.9406564584124654e-324, 3.141592653589793,
            9007199254740992.0, FLT_MAX, (double)INFINITY, -(double)INFINITY, (double)NAN};
    size_t count = sizeof(numbers) / sizeof(numbers[0]) - (nan_too ? 0 : 3);
    for (size_t i = 0; i < count; i++) {
        struct command_echo echo = {.float64 = numbers[i]};
        if (!echo_check(sender, &echo)) {
            return false;
        }
    }
    return true;
}

static bool echo_strings(struct cmds_sender *sender)
{
    const size_t sizes[] = {
            0, 1, 31, 32, 127, 128, 255, 256, 1006, 4095, 4096, 16383, 16384, 65535, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct command_echo echo = {.string = {text, sizes[i]}};
        if (!echo_check(sender, &echo)) {
            return false;
        }
    }
    const struct cmds_string odd[] = {{"\0", 1}, CMDS_STRING("\x01\x1f\x7f"),
            CMDS_STRING("\"\\/\b\f\n\r\t"), CMDS_STRING("<script>&amp;</script>"),
            CMDS_STRING("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            CMDS_STRING("\xe2\x80\xa8\xe2\x80\xa9"), CMDS_STRING("\xef\xbf\xbd"),
            CMDS_STRING("\xef\xbb\xbf")};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct command_echo echo = {true, -1, odd[i], 0.5};
        if (!echo_check(sender, &echo)) {
            return false;
        }
    }
    return true;
}

static bool check_echo(const struct target *target)
{
    struct cmds_sender *sender = target_must_open(target, 1);
    bool good = sender != NULL && echo_integers(sender) && echo_floats(sender, target->nan) &&
                echo_strings(sender);
    cmds_sender_close(sender, 0);
    return good;
}

/* --- Streams and work ------------------------------------------------------------------------- */

struct stream_state {
    int64_t count, size, next;
};

static int stream_item(void *context, const struct cmds_result *result)
{
    struct stream_state *state = context;
    const struct result_item *item = result_item_of(result);
    int64_t index = state->count == 0 ? -1 : state->next;
    bool last = state->count == 0 || state->next == state->count - 1;
    state->next++;
    return item != NULL && item->index == index && item->last == last && result->last == last &&
                           cmds_string_equal(
                                   item->data, (struct cmds_string){text, (size_t)state->size})
                   ? 0
                   : 1;
}

static bool check_stream(const struct target *target)
{
    const int64_t shapes[][2] = {{0, 5}, {1, 0}, {3, 8}, {1000, 64}, {5000, 1}, {20, 65536}};
    struct cmds_sender *sender = target_must_open(target, 1);
    bool good = sender != NULL;
    for (size_t i = 0; good && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct command_stream stream = {shapes[i][0], shapes[i][1]};
        struct stream_state state = {stream.count, stream.size, 0};
        struct cmds_error error = CMDS_ERROR_INIT;
        int code = cmds_sender_send_multi(
                sender, command_stream_message(&stream), ANSWER_MS, &error, stream_item, &state);
        int64_t expected = stream.count > 0 ? stream.count : 1;
        good = code == 0 && state.next == expected;
        if (!good) {
            (void)because("%lld items of %lld bytes: item %lld is wrong or did not come: %s",
                    (long long)stream.count, (long long)stream.size, (long long)state.next,
                    error.text);
        }
    }
    cmds_sender_close(sender, 0);
    return good;
}

static bool check_work(const struct target *target)
{
    struct cmds_sender *sender = target_must_open(target, 1);
    struct command_work work = {1000};
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    const struct command_echo zeros = {0};
    bool good = sender != NULL;
    if (good) {
        int code =
                cmds_sender_send(sender, command_work_message(&work), ANSWER_MS, &result, &error);
        good = code == 0 && echo_same(&zeros, result_echo_of(result));
        if (!good) {
            (void)because_of("work", code, &error);
        }
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 0);
    return good;
}

/* --- A group with callbacks ------------------------------------------------------------------- */

struct watched {
    struct cmds_group *group;
    sem_t lost, over, closed;
};

static void watched_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct watched *watched = context;
    (void)client;
    (void)cause;
    if (state != CMDS_CONNECTION_UP) {
        sem_post(&watched->lost);
    }
}

static void watched_on_closed(void *context)
{
    struct watched *watched = context;
    sem_post(&watched->closed);
}

static bool watched_wait(sem_t *semaphore, const char *what)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_MS / 1000;
    return sem_timedwait(semaphore, &until) == 0 || because("%s", what);
}

static bool watched_open(struct watched *watched, struct cmds_runtime *runtime,
        const struct target *target, uint32_t keepalive_ms)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&test_protocol);
    options.connect = target->address;
    options.codec = target->codec;
    options.server_info = target->server_info;
    options.keepalive_ms = keepalive_ms;
    options.keepalive_interval_ms = keepalive_ms == CMDS_NEVER ? 0 : keepalive_ms;
    options.deadline_ms = CMDS_NEVER;
    options.context = watched;
    options.on_state = watched_on_state;
    options.tls = target->secure.tls;
    sem_init(&watched->lost, 0, 0);
    sem_init(&watched->over, 0, 0);
    sem_init(&watched->closed, 0, 0);
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_group_open(&watched->group, runtime, &options, &error);
    code = code < 0 ? code : cmds_group_wait(watched->group, ANSWER_MS, &error);
    return code == 0 || because_of("connect", code, &error);
}

static void watched_close(struct watched *watched)
{
    if (watched->group != NULL) {
        cmds_group_close(watched->group, watched_on_closed, watched);
        while (sem_wait(&watched->closed) != 0) {
        }
        watched->group = NULL;
    }
}

static struct cmds_runtime *runtime_start(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    options.no_pinning = true;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_runtime_start(&runtime, &options, &error);
    if (code < 0) {
        (void)because_of("runtime", code, &error);
    }
    return runtime;
}

/* One command in flight; its answer is read on the main thread after `over` was posted for it. */
struct awaited {
    struct watched *watched;
    const struct command_echo *expected;
    int error;
    bool right;
    uint32_t place; // 1: it came first.
    uint32_t *places;
};

static void awaited_on_result(void *context, const struct cmds_result *result)
{
    struct awaited *awaited = context;
    awaited->error = result->error;
    awaited->right = result->error == 0 && awaited->expected != NULL &&
                     echo_same(awaited->expected, result_echo_of(result));
    awaited->place = ++*awaited->places;
    sem_post(&awaited->watched->over);
}

/* --- Sleep: later commands overtake ----------------------------------------------------------- */

static bool sleep_all(struct watched *watched)
{
    const struct command_echo values[SLEEP_COMMANDS] = {{false, 1, CMDS_STRING("slow"), 1.5},
            {true, 2, CMDS_STRING(""), 0}, {false, 3, CMDS_STRING("at once"), 0}};
    const int64_t ms[SLEEP_COMMANDS] = {900, 300, 0};
    struct awaited awaited[SLEEP_COMMANDS];
    uint32_t places = 0;
    for (uint32_t i = 0; i < SLEEP_COMMANDS; i++) {
        const struct command_echo *value = &values[i];
        struct command_sleep sleep = {
                ms[i], value->boolean, value->int64, value->string, value->float64};
        awaited[i] = (struct awaited){.watched = watched, .expected = value, .places = &places};
        int code = cmds_group_send(watched->group,
                ms[i] > 0 ? command_sleep_message(&sleep) : command_echo_message(value), NULL,
                awaited_on_result, &awaited[i]);
        if (code < 0) {
            return because("send: %s", cmds_error_name(code));
        }
    }
    bool good = true;
    for (uint32_t i = 0; good && i < SLEEP_COMMANDS; i++) {
        good = watched_wait(&watched->over, "an answer did not come");
    }
    for (uint32_t i = 0; good && i < SLEEP_COMMANDS; i++) {
        good = (awaited[i].right && awaited[i].place == SLEEP_COMMANDS - i) ||
               because("command %u came as number %u, %s: %s", i, awaited[i].place,
                       awaited[i].right ? "right" : "wrong", cmds_error_name(awaited[i].error));
    }
    watched_close(watched); // Before the awaited ones are gone.
    return good;
}

static bool check_sleep(const struct target *target)
{
    struct watched watched = {0};
    struct cmds_runtime *runtime = runtime_start();
    bool good =
            runtime != NULL && watched_open(&watched, runtime, target, 0) && sleep_all(&watched);
    watched_close(&watched);
    cmds_runtime_stop(runtime);
    return good;
}

/* --- Fail: this connection is closed, the server goes on -------------------------------------- */

static bool fail_both(struct watched *watched)
{
    uint32_t places = 0;
    struct awaited sleeping = {.watched = watched, .places = &places};
    struct awaited failing = sleeping;
    struct command_sleep sleep = {.ms = 60000};
    struct command_fail fail = {0};
    int code = cmds_group_send(
            watched->group, command_sleep_message(&sleep), NULL, awaited_on_result, &sleeping);
    code = code < 0 ? code
                    : cmds_group_send(watched->group, command_fail_message(&fail), NULL,
                              awaited_on_result, &failing);
    bool good = code == 0 || because("send: %s", cmds_error_name(code));
    good = good && watched_wait(&watched->over, "the commands did not end") &&
           watched_wait(&watched->over, "one command did not end") &&
           watched_wait(&watched->lost, "the connection was not closed");
    if (good && (sleeping.error != CMDS_E_LOST || failing.error != CMDS_E_LOST)) {
        good = because("they ended with %s and %s", cmds_error_name(sleeping.error),
                cmds_error_name(failing.error));
    }
    watched_close(watched);
    return good;
}

static bool check_fail(const struct target *target)
{
    const struct command_echo still = {.string = CMDS_STRING("still here")};
    struct watched watched = {0};
    struct cmds_runtime *runtime = runtime_start();
    struct cmds_sender *other = target_must_open(target, 1);
    bool good = runtime != NULL && other != NULL && watched_open(&watched, runtime, target, 0) &&
                fail_both(&watched) && echo_check(other, &still);
    watched_close(&watched);
    cmds_sender_close(other, 0);
    cmds_runtime_stop(runtime);
    return good;
}

/* --- ServerInfo ------------------------------------------------------------------------------- */

static bool info_is_refused(const struct target *target, const char *info, size_t size)
{
    struct target wrong = *target;
    wrong.server_info = (struct cmds_bytes){info, size};
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = target_open(&wrong, 1, &sender, &error);
    cmds_sender_close(sender, 0);
    if (code == 0) {
        return because("another ServerInfo of %zu bytes was taken", size);
    }
    return code == CMDS_E_SERVER_INFO_MISMATCH ||
           because_of("with another ServerInfo", code, &error);
}

/* What is wrong at the last byte only is refused, and what is a byte too short, or too long. */
static bool check_info(const struct target *target)
{
    char other[INFO_SIZE_MAX + 1];
    size_t size = target->server_info.size;
    memcpy(other, target->server_info.data, size);
    other[size] = '?';
    if (!info_is_refused(target, other, size - 1) ||
            (size < INFO_SIZE_MAX && !info_is_refused(target, other, size + 1))) {
        return false;
    }
    other[size - 1] ^= 1;
    if (!info_is_refused(target, other, size)) {
        return false;
    }
    const struct command_echo one = {.int64 = 1};
    struct cmds_sender *sender = target_must_open(target, 1);
    bool good = sender != NULL && echo_check(sender, &one);
    cmds_sender_close(sender, 0);
    return good;
}

/* --- A group of 8 under 32 callers ------------------------------------------------------------ */

struct caller {
    pthread_t thread;
    struct cmds_sender *sender;
    uint32_t number;
    bool good;
};

static void *caller_run(void *context)
{
    struct caller *caller = context;
    struct cmds_error error = CMDS_ERROR_INIT;
    caller->good = true;
    for (uint32_t i = 0; caller->good && i < GROUP_CALLS; i++) {
        struct command_echo echo = {.int64 = (int64_t)caller->number * GROUP_CALLS + i,
                .string = {text, (size_t)caller->number * i}};
        caller->good = echo_once(caller->sender, &echo, &error);
    }
    return NULL;
}

static bool check_group(const struct target *target)
{
    struct cmds_sender *sender = target_must_open(target, GROUP_CLIENTS);
    if (sender == NULL) {
        return false;
    }
    struct cmds_group *group = cmds_sender_group(sender);
    bool good = cmds_group_connected(group) == GROUP_CLIENTS ||
                because("%u of %d are connected", cmds_group_connected(group), GROUP_CLIENTS);
    struct caller callers[GROUP_CALLERS];
    uint32_t started = 0;
    for (; good && started < GROUP_CALLERS; started++) {
        callers[started] = (struct caller){.sender = sender, .number = started};
        if (pthread_create(&callers[started].thread, NULL, caller_run, &callers[started]) != 0) {
            good = because("no thread could be started");
            break;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        if (good && !callers[i].good) {
            good = because("caller %u got no answer or a wrong one", i);
        }
    }
    cmds_sender_close(sender, 0);
    return good;
}

/* --- Keepalive: the server closes what is idle for several `ping_ms` -------------------------- */

/* Pings keep one connection open while others, silent, are closed one after the other. */
static bool keepalive_outlives(
        struct watched *pinging, struct cmds_runtime *runtime, const struct target *target)
{
    for (uint32_t i = 0; i < IDLE_ROUNDS; i++) {
        struct watched silent = {0};
        bool lost = watched_open(&silent, runtime, target, CMDS_NEVER) &&
                    watched_wait(&silent.lost, "an idle connection was not closed");
        watched_close(&silent);
        if (!lost) {
            return false;
        }
    }
    // That it is connected would not do: a lost one comes back by itself.
    if (sem_trywait(&pinging->lost) == 0 || cmds_group_connected(pinging->group) != 1) {
        return because("it was closed in spite of its pings");
    }
    const struct command_echo after = {.string = CMDS_STRING("after pings")};
    uint32_t places = 0;
    struct awaited awaited = {.watched = pinging, .expected = &after, .places = &places};
    int code = cmds_group_send(
            pinging->group, command_echo_message(&after), NULL, awaited_on_result, &awaited);
    bool good = code == 0 && watched_wait(&pinging->over, "no answer came") && awaited.right;
    watched_close(pinging);
    return good || because("after its pings it does not answer");
}

static bool check_keepalive(const struct target *target)
{
    struct watched pinging = {0};
    struct cmds_runtime *runtime = runtime_start();
    bool good = runtime != NULL && watched_open(&pinging, runtime, target, target->ping_ms) &&
                keepalive_outlives(&pinging, runtime, target);
    watched_close(&pinging);
    cmds_runtime_stop(runtime);
    return good;
}

/* --- Reconnect: the server ends and comes back ------------------------------------------------ */

/* What is sent before the end of the old connection was seen is lost; only that is sent anew. */
static bool reconnect_echo(struct cmds_sender *sender, const char *when)
{
    const struct command_echo echo = {.string = {when, strlen(when)}};
    struct cmds_error error = CMDS_ERROR_INIT;
    bool same = echo_once(sender, &echo, &error);
    if (!same && error.code == CMDS_E_LOST) {
        error = (struct cmds_error)CMDS_ERROR_INIT;
        same = echo_once(sender, &echo, &error);
    }
    return same || because("echo %s the restart: %s", when,
                           error.code < 0 ? error.text : "another value came back");
}

static bool reconnect_seen(struct cmds_sender *sender)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    int code = cmds_group_connection(cmds_sender_group(sender), 0, &info);
    return (code == 0 && info.state == CMDS_CONNECTION_UP && info.up_count == 2) ||
           because("it was up %llu times, and not twice", (unsigned long long)info.up_count);
}

static bool check_reconnect(const struct target *target)
{
    struct cmds_sender *sender = target_must_open(target, 1);
    bool good = sender != NULL && reconnect_echo(sender, "before");
    if (good) {
        printf("ready: restart the server\n");
        fflush(stdout);
        int byte = 0;
        do {
            byte = getchar();
        } while (byte != '\n' && byte != EOF);
        good = reconnect_echo(sender, "after") && reconnect_seen(sender);
    }
    cmds_sender_close(sender, 0);
    return good;
}

/* --- TLS: what a handshake agrees on, and whether the next one resumes it --------------------- */

static bool check_tls(const struct target *target)
{
    const struct command_echo echo = {.string = CMDS_STRING("over TLS")};
    for (uint32_t i = 0; i < 2; i++) {
        struct cmds_sender *sender = target_must_open(target, 1);
        bool good = sender != NULL && echo_check(sender, &echo);
        cmds_sender_close(sender, 0);
        if (!good) {
            return false;
        }
        const char *problem = secure_problem(&target->secure, i == 0);
        if (problem != NULL) {
            return because("handshake %u: %s", i, problem);
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*run)(const struct target *target);
} checks[] = {
        {"echo", check_echo},
        {"stream", check_stream},
        {"sleep", check_sleep},
        {"work", check_work},
        {"fail", check_fail},
        {"info", check_info},
        {"group", check_group},
        {"keepalive", check_keepalive},
        {"reconnect", check_reconnect},
        {"tls", check_tls},
};

static bool run_check(const struct target *target, const char *name)
{
    because_not();
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(checks[i].name, name) == 0) {
            return checks[i].run(target);
        }
    }
    return because("no such check");
}

/* Takes the options that stand before the checks. Returns: the first check's index; -1. */
static int take_options(struct target *target, int argc, char **argv)
{
    int at = 3;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--server-info") == 0) {
            target->server_info = (struct cmds_bytes){argv[at + 1], strlen(argv[at + 1])};
        } else if (strcmp(argv[at], "--ping-ms") == 0) {
            target->ping_ms = (uint32_t)strtoul(argv[at + 1], NULL, 10);
        } else if (!secure_take(&target->secure, argv[at], argv[at + 1])) {
            return -1;
        }
    }
    size_t size = target->server_info.size;
    return size > 0 && size <= INFO_SIZE_MAX && target->ping_ms > 0 ? at : -1;
}

static int usage(void)
{
    fprintf(stderr,
            "Usage: interop_client ADDRESS CODEC [--server-info TEXT] [--ping-ms N]\n"
            "           [--tls-ca|--tls-cert|--tls-key|--tls-alpn|--tls-resumes VALUE] CHECK...\n");
    return 2;
}

static int run_checks(const struct target *target, char **names)
{
    int status = 0;
    for (; *names != NULL; names++) {
        if (run_check(target, *names)) {
            printf("ok %s\n", *names);
        } else {
            printf("FAIL %s: %s\n", *names, target_reason());
            status = 1;
        }
        fflush(stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return usage();
    }
    struct target target = {.address = argv[1],
            .codec = cmdi_tool_codec_find("interop", argv[2]),
            .server_info = {"default", 7},
            .ping_ms = PING_MS};
    if (target.codec == NULL) {
        return 2;
    }
    int first = take_options(&target, argc, argv);
    if (first < 0) {
        return usage();
    }
    target.nan = strcmp(argv[2], "json") != 0;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i % 26);
    }
    struct cmds_error error = CMDS_ERROR_INIT;
    if (secure_open(&target.secure, &error) < 0) {
        fprintf(stderr, "interop_client: %s\n", error.text);
        return 2;
    }
    int status = run_checks(&target, argv + first);
    secure_close(&target.secure);
    return status;
}
