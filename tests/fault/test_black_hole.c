/* SPDX-License-Identifier: MIT */
/*
 * A cable that goes dark between two kernels: nothing comes, no reset, no refusal. Each side is a process in
 * a network of its own, see netns.h. What may go wrong: a connection is never given up, because it is idle,
 * because TCP takes what is sent to it, or because its buffers are full; commands hang, or end twice, or are
 * executed twice after the return; the group does not come back; the server keeps the dead for ever; and a
 * name service that hangs takes the group along.
 *
 * The times are printed, for reading. What is asserted is that it happens at all.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/netns.h"
#include "support/raw.h"

enum {
    IDLE,  // Connections by number: nothing is sent;
    BUSY,  // commands all the time, and some without an answer yet;
    STUCK, // the server has stopped reading, and all buffers are full.
    CONNECTIONS,
};
enum {
    COMMANDS_MAX = 8192,
    SERVER_IN_FLIGHT = 8,
    LARGE = 65536,
    LATER_MS = 1500,
    FULL_LOOKS = 50, // So often in a row there was no room: there is none.
    PATIENCE_MS = 20000,
};
enum ask_what {
    ASK_ECHO,
    ASK_KEEP,  // No answer comes.
    ASK_LATER, // A large one, after LATER_MS.
};

struct ask {
    int64_t number;
    uint32_t what;
    struct cmds_string text;
};
struct told {
    int64_t number;
    struct cmds_string text;
};
CMDS_COMMAND(ask, 0, number, what, text);
CMDS_RESULT(told, 0, number, text);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&told_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("dark", commands, results);

/* Waits for `condition`; a hang fails the test. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ms_ = raw_now_ms() + RAW_GUARD_MS;                                          \
        while (!(condition) && raw_now_ms() < until_ms_) {                                         \
            raw_pause(NULL);                                                                       \
        }                                                                                          \
        CU_ASSERT_FATAL(condition);                                                                \
    } while (0)

/* What the other process shows and is told, in shared memory. */
static struct facts {
    _Atomic uint8_t executed[COMMANDS_MAX]; // How often, by number.
    _Atomic uint32_t connected, gone;
    _Atomic int32_t causes[64]; // Of those that are gone, in their order.
    _Atomic uint32_t names;     // Questions that were asked of the name service,
    _Atomic bool is_mute;       // which does not answer.
} * facts;
static pid_t server;
static bool has_names;
static char large[LARGE];

/* --- The other side --------------------------------------------------------------------------- */

static void answer_later(struct cmds_call *call)
{
    (void)cmds_call_send(call, told_message(&(struct told){-1, {large, sizeof(large)}}));
    cmds_call_unref(call);
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    atomic_fetch_add(&facts->executed[ask->number], 1);
    if (ask->what == ASK_ECHO) {
        return cmds_call_send(call, told_message(&(struct told){ask->number, {"", 0}}));
    }
    cmds_call_ref(call);
    int code = cmds_call_after(call, ask->what == ASK_LATER ? LATER_MS : 3600000, answer_later);
    if (code < 0) {
        cmds_call_unref(call);
    }
    return code;
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static int on_connect(void *receiver, struct cmds_connection *connection)
{
    (void)receiver;
    (void)connection;
    atomic_fetch_add(&facts->connected, 1);
    return 0;
}

static void on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    (void)receiver;
    (void)connection;
    atomic_store(&facts->causes[atomic_load(&facts->gone) % 64], cause->code);
    atomic_fetch_add(&facts->gone, 1);
}

/* "shop.test" is there, as is everything else, but no name has an IPv6 address. */
static void serve_names(void)
{
    static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 77, 0, 2};
    struct sockaddr_in from, own = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t message[512 + sizeof(answer)];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0) {
        _exit(1);
    }
    while (true) {
        socklen_t from_size = sizeof(from);
        ssize_t size = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &from_size);
        size_t end = 12;
        while (size > 16 && end < (size_t)size - 5 && message[end] != 0) {
            end += message[end] + 1U;
        }
        atomic_fetch_add(&facts->names, 1);
        if (size <= 16 || end + 5 > (size_t)size || atomic_load(&facts->is_mute)) {
            continue;
        }
        bool is_v4 = message[end + 2] == 1;
        const uint8_t head[] = {0x85, 0x80, 0, 1, 0, is_v4, 0, 0, 0, 0};
        memcpy(message + 2, head, sizeof(head));
        memcpy(message + end + 5, answer, sizeof(answer));
        (void)sendto(fd, message, end + 5 + (is_v4 ? sizeof(answer) : 0), 0,
                (struct sockaddr *)&from, from_size);
    }
}

static int serve(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    if (fork() == 0) {
        serve_names();
    }
    options.listen = "0.0.0.0:9000"; // Nobody else is in this network.
    options.on_connect = on_connect;
    options.on_disconnect = on_disconnect;
    options.in_flight_max = SERVER_IN_FLIGHT;
    options.idle_timeout_ms = 5000;
    options.write_timeout_ms = 3000;
    options.frame_timeout_ms = 3000;
    return cmds_server_main(&options);
}

/* --- This side -------------------------------------------------------------------------------- */

struct command {
    _Atomic uint32_t ends;
    _Atomic int32_t code;
    _Atomic bool is_wrong; // Somebody else's answer.
};
static struct command sent[COMMANDS_MAX];
static uint32_t sent_count;

/* One group has the connections that are idle and busy, the other the stuck one, which the first would help. */
struct side {
    struct scene *scene;
    struct cmds_group *group;
    uint32_t first, count; // Of its connections.
};
enum {
    SIDES = 2
};

struct scene {
    struct cmds_group_options options;
    struct cmds_runtime *runtime;
    struct side sides[SIDES];
    uint32_t first; // Of its commands in `sent`.
    _Atomic uint32_t unexpected, closed;
    _Atomic uint64_t fell_ms[CONNECTIONS], up_ms[CONNECTIONS]; // 0: not since it was forgotten.
    _Atomic int32_t causes[CONNECTIONS];
};

/* To where the key says. */
static uint32_t pick(const struct cmds_dispatch *self, void *state, uint64_t key, uint32_t count,
        cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    (void)candidate;
    (void)source;
    return (uint32_t)key % count;
}
static const struct cmds_dispatch by_key = {.struct_size = sizeof(by_key),
        .version = CMDS_DISPATCH_VERSION,
        .name = "by key",
        .pick = pick};

static void on_result(void *context, const struct cmds_result *result)
{
    struct command *command = context;
    const struct told *told = result->error == 0 ? told_of(result) : NULL;
    atomic_store(&command->code, result->error);
    if (told != NULL && told->number != command - sent) {
        atomic_store(&command->is_wrong, true);
    }
    atomic_fetch_add(&command->ends, 1);
}

static void on_unexpected(void *context, const struct cmds_result *result)
{
    const struct side *side = context;
    (void)result;
    atomic_fetch_add(&side->scene->unexpected, 1);
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    const struct side *side = context;
    struct scene *scene = side->scene;
    client += side->first;
    if (state == CMDS_CONNECTION_UP) {
        atomic_store(&scene->up_ms[client], raw_now_ms());
    } else if (atomic_load(&scene->fell_ms[client]) == 0) {
        atomic_store(&scene->causes[client], cause->code);
        atomic_store(&scene->fell_ms[client], raw_now_ms());
    }
}

static void on_closed(void *context)
{
    struct scene *scene = context;
    atomic_fetch_add(&scene->closed, 1);
}

/* Returns: as cmds_group_send. */
static int send_one(
        struct scene *scene, uint32_t where, enum ask_what what, size_t size, uint32_t deadline_ms)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct ask ask = {sent_count, what, {large, size}};
    const struct side *side = &scene->sides[where == STUCK];
    how.sticky_key = where;
    how.deadline_ms = deadline_ms;
    CU_ASSERT_FATAL(sent_count < COMMANDS_MAX);
    int code = cmds_group_send(side->group, ask_message(&ask), &how, on_result, &sent[sent_count]);
    sent_count += code == 0;
    return code;
}

static void scene_init(struct scene *scene, const char *connect)
{
    *scene = (struct scene){
            .first = sent_count, .sides = {{.count = 2}, {.first = STUCK, .count = 1}}};
    scene->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    scene->options.connect = connect;
    scene->options.dispatch = &by_key;
    scene->options.on_state = on_state;
    scene->options.on_unexpected = on_unexpected;
}

static void scene_open(struct scene *scene)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    runtime.shard_count = 1;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&scene->runtime, &runtime, &error), 0);
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &scene->sides[i];
        side->scene = scene;
        scene->options.client_count = side->count;
        scene->options.context = side;
        CU_ASSERT_EQUAL_FATAL(
                cmds_group_open(&side->group, scene->runtime, &scene->options, &error), 0);
    }
}

static uint32_t scene_connected(const struct scene *scene)
{
    return cmds_group_connected(scene->sides[0].group) +
           cmds_group_connected(scene->sides[1].group);
}

static void scene_drain(const struct scene *scene)
{
    for (int i = 0; i < SIDES; i++) {
        CU_ASSERT_EQUAL(cmds_group_drain(scene->sides[i].group, RAW_GUARD_MS), 0);
    }
}

static void scene_close(struct scene *scene)
{
    for (int i = 0; i < SIDES; i++) {
        cmds_group_close(scene->sides[i].group, on_closed, scene);
    }
    UNTIL(atomic_load(&scene->closed) == SIDES);
    cmds_runtime_stop(scene->runtime);
}

/* How many of its commands have ended so. */
static uint32_t ended_with(const struct scene *scene, int32_t code)
{
    uint32_t count = 0;
    for (uint32_t i = scene->first; i < sent_count; i++) {
        count += atomic_load(&sent[i].ends) > 0 && atomic_load(&sent[i].code) == code;
    }
    return count;
}

/* Each of its commands has ended once, with an end that it may have, and was executed once at most. */
static void check_ends(const struct scene *scene)
{
    uint32_t odd = 0, twice = 0, wrong = 0;
    for (uint32_t i = scene->first; i < sent_count; i++) {
        odd += atomic_load(&sent[i].ends) != 1;
        wrong += atomic_load(&sent[i].is_wrong);
        twice += atomic_load(&facts->executed[i]) > 1;
    }
    CU_ASSERT_EQUAL(odd, 0);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(twice, 0);
    CU_ASSERT_EQUAL(atomic_load(&scene->unexpected), 0);
    printf("%u answered, %u lost, %u not sent, %u late; ", ended_with(scene, 0),
            ended_with(scene, CMDS_E_LOST), ended_with(scene, CMDS_E_NOT_SENT),
            ended_with(scene, CMDS_E_TIMEOUT));
}

/* --- A group ---------------------------------------------------------------------------------- */

/* Until the server reads no more, and nothing more is taken here. */
static void fill(struct scene *scene)
{
    for (uint32_t refused = 0; refused < FULL_LOOKS;) {
        int code = send_one(scene, STUCK, ASK_KEEP, sizeof(large), 120000);
        CU_ASSERT_FATAL(code == 0 || code == -ENOBUFS);
        refused = code == 0 ? 0 : refused + 1;
        if (code < 0) {
            raw_pause(NULL);
        }
    }
}

static bool all_fell(const struct scene *scene)
{
    bool all = true;
    for (int i = 0; i < CONNECTIONS; i++) {
        all &= atomic_load(&scene->fell_ms[i]) != 0;
    }
    return all;
}

/* Returns: since when it is dark. */
static uint64_t go_dark(struct scene *scene, enum netns_dark how)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        atomic_store(&scene->fell_ms[i], 0);
    }
    CU_ASSERT_FATAL(netns_darken(server, how));
    return raw_now_ms();
}

/* A busy connection goes on being busy. */
static void wait_found(struct scene *scene, uint64_t dark_ms)
{
    while (!all_fell(scene) && raw_now_ms() - dark_ms < PATIENCE_MS) {
        for (int i = 0; i < 20; i++) {
            raw_pause(NULL);
        }
        if (atomic_load(&scene->fell_ms[BUSY]) == 0) {
            (void)send_one(scene, BUSY, ASK_ECHO, 100, 120000);
        }
    }
    CU_ASSERT_TRUE_FATAL(all_fell(scene));
    for (int i = 0; i < CONNECTIONS; i++) {
        static const char *const names[] = {"idle", "busy", "stuck"};
        printf("%s found after %u ms (%s); ", names[i],
                (unsigned)(atomic_load(&scene->fell_ms[i]) - dark_ms),
                cmds_error_name(atomic_load(&scene->causes[i])));
    }
}

static void wait_back(struct scene *scene)
{
    uint64_t light_ms = raw_now_ms(), last_ms = light_ms;
    UNTIL(scene_connected(scene) == CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        uint64_t up_ms = atomic_load(&scene->up_ms[i]);
        last_ms = up_ms > last_ms ? up_ms : last_ms;
    }
    printf("all back after %u ms; ", (unsigned)(last_ms - light_ms));
}

static void live_through(enum netns_dark how)
{
    struct scene scene;
    scene_init(&scene, NETNS_THERE ":9000");
    scene_open(&scene);
    UNTIL(scene_connected(&scene) == CONNECTIONS);
    CU_ASSERT_EQUAL(send_one(&scene, BUSY, ASK_KEEP, 100, 120000), 0);
    CU_ASSERT_EQUAL(send_one(&scene, BUSY, ASK_ECHO, 100, 120000), 0);
    UNTIL(ended_with(&scene, 0) == 1);
    fill(&scene);
    CU_ASSERT_EQUAL(scene_connected(&scene), CONNECTIONS);

    wait_found(&scene, go_dark(&scene, how));

    // One may have been sent when the connection had just fallen: it waits for the light.
    uint32_t waiting = sent_count - scene.first - ended_with(&scene, 0) -
                       ended_with(&scene, CMDS_E_LOST) - ended_with(&scene, CMDS_E_NOT_SENT);
    CU_ASSERT_TRUE(waiting <= 1);
    CU_ASSERT_TRUE(ended_with(&scene, CMDS_E_LOST) > SERVER_IN_FLIGHT);
    uint32_t answered = ended_with(&scene, 0);
    for (uint32_t i = 0; i < 5; i++) { // They wait: some too long, the others for the light.
        CU_ASSERT_EQUAL(send_one(&scene, i % CONNECTIONS, ASK_ECHO, 100, 300), 0);
        CU_ASSERT_EQUAL(send_one(&scene, i % CONNECTIONS, ASK_ECHO, 100, 120000), 0);
    }
    UNTIL(ended_with(&scene, CMDS_E_TIMEOUT) == 5);

    CU_ASSERT_FATAL(netns_light(server, how));
    wait_back(&scene);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        CU_ASSERT_EQUAL(send_one(&scene, i, ASK_ECHO, 100, 120000), 0);
    }
    scene_drain(&scene);

    CU_ASSERT_EQUAL(ended_with(&scene, 0), answered + waiting + 5 + CONNECTIONS);
    scene_close(&scene);
    check_ends(&scene);
}

static void test_black_hole_a_group_finds_it_and_comes_back(void)
{
    live_through(NETNS_LOST);
}

static void test_black_hole_a_cable_that_was_pulled(void)
{
    live_through(NETNS_PULLED);
}

/* --- A server --------------------------------------------------------------------------------- */

static void print_gone(uint32_t before, uint64_t dark_ms)
{
    for (uint32_t seen = before; seen < before + CONNECTIONS + 1; seen++) {
        UNTIL(atomic_load(&facts->gone) > seen);
        printf("%s after %u ms; ", cmds_error_name(atomic_load(&facts->causes[seen % 64])),
                (unsigned)(raw_now_ms() - dark_ms));
    }
}

/* Clients that would never notice, nor come again: idle, one with a call, one with results, half a frame. */
static void test_black_hole_a_server_lets_go_of_the_dead(void)
{
    struct scene scene;
    struct raw raw;
    scene_init(&scene, NETNS_THERE ":9000");
    scene.options.keepalive_ms = CMDS_NEVER;
    scene.options.reconnect_delay_ms = CMDS_NEVER;
    UNTIL(atomic_load(&facts->gone) == atomic_load(&facts->connected));
    uint32_t before = atomic_load(&facts->gone);
    scene_open(&scene);
    UNTIL(scene_connected(&scene) == CONNECTIONS);
    CU_ASSERT_EQUAL_FATAL(raw_open(&raw, NETNS_THERE ":9000", 0, NULL), 0);
    CU_ASSERT_TRUE(raw_server_info(&raw));
    CU_ASSERT_EQUAL(send_one(&scene, BUSY, ASK_KEEP, 100, 120000), 0);
    CU_ASSERT_EQUAL(send_one(&scene, STUCK, ASK_LATER, 100, 120000), 0);
    CU_ASSERT_TRUE(raw_write_hex(&raw, "01 00 20 93"));
    UNTIL(atomic_load(&facts->executed[sent_count - 1]) == 1);

    print_gone(before, go_dark(&scene, NETNS_LOST));

    scene_close(&scene); // In the dark as well.
    raw_close(&raw);
    CU_ASSERT_FATAL(netns_light(server, NETNS_LOST));
    CU_ASSERT_EQUAL(ended_with(&scene, CMDS_E_CLOSED), 2);
    check_ends(&scene);
}

/* --- A name service --------------------------------------------------------------------------- */

/* While names cannot be looked up any more, what is known stays; and nobody waits for a name to go. */
static void test_black_hole_a_name_service_that_hangs(void)
{
    struct scene scene, other;
    if (!has_names) {
        printf("SKIPPED: /etc/resolv.conf cannot be covered here ");
        return;
    }
    scene_init(&scene, "dns:shop.test:9000");
    scene.options.resolve_interval_ms = 1000;
    scene_open(&scene);
    UNTIL(scene_connected(&scene) == CONNECTIONS);
    uint64_t dark_ms = go_dark(&scene, NETNS_LOST);
    atomic_store(&facts->is_mute, true);
    wait_found(&scene, dark_ms);
    uint32_t asked = atomic_load(&facts->names);

    CU_ASSERT_FATAL(netns_light(server, NETNS_LOST));
    wait_back(&scene);
    CU_ASSERT_EQUAL(send_one(&scene, IDLE, ASK_ECHO, 100, 120000), 0);
    scene_drain(&scene);
    UNTIL(atomic_load(&facts->names) > asked + 1); // It is asked, and says nothing.
    CU_ASSERT_EQUAL(cmds_group_endpoint_count(scene.sides[0].group), 1);
    check_ends(&scene);

    scene_init(&other, "dns:other.test:9000");
    scene_open(&other);
    CU_ASSERT_EQUAL(send_one(&other, IDLE, ASK_ECHO, 100, 500), 0);
    scene_drain(&other);
    CU_ASSERT_EQUAL(ended_with(&other, CMDS_E_TIMEOUT), 1);
    scene_close(&other);
    CU_ASSERT_EQUAL(scene_connected(&scene), CONNECTIONS);
    scene_close(&scene);
    atomic_store(&facts->is_mute, false);
}

static CU_TestInfo test_black_hole[] = {
        {"a group finds it and comes back", test_black_hole_a_group_finds_it_and_comes_back},
        {"a cable that was pulled", test_black_hole_a_cable_that_was_pulled},
        {"a server lets go of the dead", test_black_hole_a_server_lets_go_of_the_dead},
        {"a name service that hangs", test_black_hole_a_name_service_that_hangs},
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    int status = 0;
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (facts == MAP_FAILED) {
        cmdi_test_skip("no shared memory");
    }
    has_names = netns_resolve_at(NETNS_THERE);
    server = netns_begin(serve, NULL);
    int failed = cmdi_test_main("black_hole", test_black_hole, argc, argv);
    (void)kill(server, SIGTERM);
    if (waitpid(server, &status, 0) != server || status != 0) {
        printf("the server ended with status %d\n", status);
        failed = 1;
    }
    return failed;
}
