/* SPDX-License-Identifier: MIT */
/*
 * Ends: of a server in whatever state its connections are, by close, by drain, by the end of its
 * runtime. One may hang, lose what it had accepted, leave a descriptor or a port behind, or wait
 * for a peer that does not play along. With threads and inline.
 */
#include "support/mask.h"
#include "support/world.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PEERS = 4
};

struct scene {
    struct world world;
    struct raw peers[PEERS];
    struct cmds_call *_Atomic kept[PEERS];
    _Atomic uint32_t kept_count;
};

/* --- States that an end may meet -------------------------------------------------------------- */

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct scene *scene = world->context;
    (void)run;
    atomic_store(&scene->kept[atomic_fetch_add(&scene->kept_count, 1)], cmds_call_ref(call));
    return 0;
}

static int exec_endless(struct cmds_call *call, const struct run *run)
{
    static char chunk[8192];
    int code = 0;
    (void)run;
    for (int i = 0; i < 64 && code == 0; i++) {
        struct item item = {.data = {chunk, sizeof(chunk)}};
        code = cmds_call_send(call, item_message(&item));
    }
    return code == 0 || code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void after_long(struct cmds_call *call)
{
    (void)world_send_item(call, 1, true); // Sooner only when the end does not wait.
}

static int exec_timer(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct scene *scene = world->context;
    (void)run;
    atomic_fetch_add(&scene->kept_count, 1);
    return cmds_call_after(call, CMDS_NEVER - 1, after_long);
}

static void meet_connecting(struct scene *scene, struct raw *raw)
{
    CU_ASSERT_FATAL(raw_open(raw, scene->world.address, 0, world_turn(&scene->world)) == 0);
}

static void meet_idle(struct scene *scene, struct raw *raw)
{
    CU_ASSERT_FATAL(world_connect(&scene->world, raw) && world_echoes(raw, 1));
}

static void meet_half_a_frame(struct scene *scene, struct raw *raw)
{
    meet_idle(scene, raw);
    CU_ASSERT(raw_write_hex(raw, "02000f94c3"));
}

static void meet_half_a_close(struct scene *scene, struct raw *raw)
{
    meet_idle(scene, raw);
    raw_finish(raw);
}

static void meet_kept(struct scene *scene, struct raw *raw)
{
    struct run run = {0};
    uint32_t before = atomic_load(&scene->kept_count);
    meet_idle(scene, raw);
    CU_ASSERT(raw_send(raw, 2, run_message(&run)));
    WORLD_UNTIL(&scene->world, atomic_load(&scene->kept_count) == before + 1);
}

static void meet_output(struct scene *scene, struct raw *raw)
{
    struct run run = {0};
    uint64_t before = world_stats(&scene->world).commands_received;
    CU_ASSERT_FATAL(raw_open(raw, scene->world.address, 4096, world_turn(&scene->world)) == 0 &&
                    raw_server_info(raw));
    CU_ASSERT(raw_send(raw, 1, run_message(&run)));
    WORLD_UNTIL(&scene->world, world_stats(&scene->world).commands_received == before + 1);
}

static const struct meeting {
    const char *name;
    void (*meet)(struct scene *scene, struct raw *raw);
    int (*exec)(struct cmds_call *call, const struct run *run);
} meetings[] = {
        {"connecting", meet_connecting, exec_keep},
        {"idle", meet_idle, exec_keep},
        {"half a frame", meet_half_a_frame, exec_keep},
        {"half a close", meet_half_a_close, exec_keep},
        {"kept", meet_kept, exec_keep},
        {"timers", meet_kept, exec_timer},
        {"queued output", meet_output, exec_endless},
};
enum {
    MEETING_COUNT = sizeof(meetings) / sizeof(meetings[0])
};

static void scene_open(struct scene *scene, const struct meeting *meeting, uint32_t shards)
{
    memset(scene, 0, sizeof(*scene));
    world_init(&scene->world);
    scene->world.runtime_options.shard_count = shards;
    scene->world.context = scene;
    scene->world.exec = meeting->exec;
    scene->world.options.linger_timeout_ms = 20; // The peers stay when we go.
    CU_ASSERT_FATAL(world_start(&scene->world) == 0);
    for (uint32_t i = 0; i < PEERS; i++) {
        meeting->meet(scene, &scene->peers[i]);
    }
}

/* The server is gone; whoever asks is told. */
static void scene_close(struct scene *scene)
{
    struct raw late;
    CU_ASSERT(raw_open(&late, scene->world.address, 0, NULL) < 0);
    for (uint32_t i = 0; i < PEERS; i++) {
        scene->peers[i].turn = NULL; // There may be no runtime any more.
        CU_ASSERT(raw_drain(&scene->peers[i]) != RAW_HANG);
        raw_close(&scene->peers[i]);
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        struct cmds_call *call = atomic_load(&scene->kept[i]);
        if (call != NULL) {
            CU_ASSERT(cmds_call_is_cancelled(call));
            CU_ASSERT_EQUAL(world_send_item(call, 1, true), CMDS_E_GONE);
            cmds_call_unref(call);
        }
    }
    CU_ASSERT_EQUAL(atomic_load(&scene->world.connected), atomic_load(&scene->world.disconnected));
    world_stop(&scene->world);
}

static const uint32_t shard_counts[] = {1, 2, CMDS_SHARDS_INLINE};

static void test_shutdown_close_in_every_state(void)
{
    for (uint32_t i = 0; i < MEETING_COUNT * 3; i++) {
        struct scene scene;
        scene_open(&scene, &meetings[i / 3], shard_counts[i % 3]);
        cmds_server_close(scene.world.server);
        scene.world.server = NULL;
        CU_ASSERT_EQUAL(
                atomic_load(&scene.world.disconnected), atomic_load(&scene.world.connected));
        scene_close(&scene);
    }
}

static void test_shutdown_close_while_it_drains(void)
{
    for (uint32_t i = 0; i < MEETING_COUNT * 3; i++) {
        struct scene scene;
        scene_open(&scene, &meetings[i / 3], shard_counts[i % 3]);
        (void)cmds_server_shutdown(scene.world.server, 1); // Whatever is done by then.
        cmds_server_close(scene.world.server);
        scene.world.server = NULL;
        scene_close(&scene);
    }
}

static void test_shutdown_runtime_stops_what_runs_on_it(void)
{
    for (uint32_t i = 0; i < MEETING_COUNT * 3; i++) {
        struct scene scene;
        scene_open(&scene, &meetings[i / 3], shard_counts[i % 3]);
        cmds_runtime_stop(scene.world.runtime);
        scene.world.server = NULL;
        scene.world.runtime = NULL;
        scene_close(&scene);
    }
}

/* --- Drain ------------------------------------------------------------------------------------ */

static void test_shutdown_drain_of_the_idle_is_a_fin(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct scene scene;
        scene_open(&scene, &meetings[1], shard_counts[i]);
        CU_ASSERT_EQUAL(cmds_server_shutdown(scene.world.server, RAW_GUARD_MS), 0);
        CU_ASSERT_EQUAL(cmds_server_connection_count(scene.world.server), 0);
        for (uint32_t peer = 0; peer < PEERS; peer++) {
            CU_ASSERT_EQUAL(raw_drain(&scene.peers[peer]), RAW_EOF); // No RST.
        }
        CU_ASSERT_EQUAL(cmds_server_shutdown(scene.world.server, 0), 0); // Again: it is over.
        cmds_server_close(scene.world.server);
        scene.world.server = NULL;
        scene_close(&scene);
    }
}

static void answer(struct cmds_call *call)
{
    (void)world_send_item(call, (int64_t)cmds_call_sequence(call), true);
}

static int exec_soon(struct cmds_call *call, const struct run *run)
{
    return cmds_call_after(call, (uint32_t)run->number, answer);
}

static void test_shutdown_drain_answers_what_was_executed(void)
{
    enum {
        COUNT = 20
    };
    for (uint32_t i = 0; i < 3; i++) {
        struct world world;
        struct raw raw;
        uint64_t sequence = 0;
        bool last = false;
        world_init(&world);
        world.exec = exec_soon;
        world.runtime_options.shard_count = shard_counts[i];
        world.options.linger_timeout_ms = 20;
        CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
        for (uint64_t n = 1; n <= COUNT; n++) {
            struct run run = {.number = 50};
            CU_ASSERT(raw_send(&raw, n, run_message(&run)));
        }
        // And a half one, which no longer comes whole.
        CU_ASSERT(raw_write_hex(&raw, "20000f94c3"));
        WORLD_UNTIL(&world, atomic_load(&world.executed) == COUNT);

        CU_ASSERT_EQUAL(cmds_server_shutdown(world.server, RAW_GUARD_MS), 0);
        for (int64_t n = 1; n <= COUNT; n++) {
            CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), n);
        }
        CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);

        raw_close(&raw);
        world_stop(&world);
    }
}

struct flood {
    struct raw raw;
    pthread_t thread;
};

/* Writes pings until it is told to go. */
static void *flood_main(void *argument)
{
    static const uint8_t pings[4096];
    struct flood *flood = argument;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    struct raw_frame frame;
    enum raw_event event = RAW_HANG;
    while ((event == RAW_HANG || event == RAW_FRAME) && raw_now_ms() < until_ms) {
        if (raw_write_some(&flood->raw, pings, sizeof(pings)) < 0) {
            break;
        }
        do { // All there is: else it is the peer whose reading of the answers the drain waits for.
            event = raw_try(&flood->raw, &frame);
        } while (event == RAW_FRAME);
    }
    raw_close(&flood->raw);
    return NULL;
}

static void test_shutdown_drain_ends_though_a_peer_goes_on(void)
{
    struct world world;
    struct flood floods[PEERS];
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    for (uint32_t i = 0; i < PEERS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &floods[i].raw));
        CU_ASSERT_FATAL(pthread_create(&floods[i].thread, NULL, flood_main, &floods[i]) == 0);
    }
    WORLD_UNTIL(&world, world_stats(&world).pings_answered > 10000);

    CU_ASSERT_EQUAL(cmds_server_shutdown(world.server, RAW_GUARD_MS), 0);
    for (uint32_t i = 0; i < PEERS; i++) {
        CU_ASSERT(pthread_join(floods[i].thread, NULL) == 0);
    }

    world_stop(&world);
}

static int exec_blocking(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct cmds_server *none = NULL;
    (void)run;
    int code = cmds_server_shutdown(world->server, 1000);
    int start = cmds_server_start(&none, world->runtime, &world->options, NULL);
    return world_send_item(call, code == -EDEADLK && start == -EDEADLK && none == NULL, true);
}

static void test_shutdown_on_a_shard_is_refused(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct world world;
        struct raw raw;
        uint64_t sequence = 0;
        bool last = false;
        struct run run = {0};
        world_init(&world);
        world.exec = exec_blocking;
        world.runtime_options.shard_count = shard_counts[i];
        CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
        CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 1);
        CU_ASSERT(world_echoes(&raw, 2)); // It runs on.
        raw_close(&raw);
        world_stop(&world);
    }
}

/* --- Again ------------------------------------------------------------------------------------ */

/* The server closes first, so its port is in TIME_WAIT. */
static void test_shutdown_and_start_on_the_same_port(void)
{
    struct world world;
    struct raw raw;
    char address[128];
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    (void)snprintf(address, sizeof(address), "%s", world.address);
    for (uint32_t i = 0; i < 20; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raw) && world_echoes(&raw, 1));
        cmds_server_close(world.server);
        world.server = NULL;
        CU_ASSERT(raw_drain(&raw) != RAW_HANG);
        raw_close(&raw);
        world.options.listen = address;
        CU_ASSERT_FATAL(
                cmds_server_start(&world.server, world.runtime, &world.options, &world.error) == 0);
    }
    world_stop(&world);
}

static void test_shutdown_of_one_server_leaves_the_other(void)
{
    struct world world;
    struct raw raw;
    struct cmds_server *second = NULL;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint32_t i = 1; i <= 20; i++) {
        CU_ASSERT_FATAL(cmds_server_start(&second, world.runtime, &world.options, NULL) == 0);
        CU_ASSERT(world_echoes(&raw, i));
        cmds_server_close(second);
    }
    CU_ASSERT(world_echoes(&raw, 21));
    raw_close(&raw);
    world_stop(&world);
}

static uint32_t open_files(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CU_ASSERT_FATAL(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

static void test_shutdown_leaves_no_descriptor(void)
{
    uint32_t before = open_files();
    for (uint32_t i = 0; i < 200; i++) {
        struct world world;
        struct raw raw;
        world_init(&world);
        world.runtime_options.shard_count = shard_counts[i % 3];
        CU_ASSERT_FATAL(world_start(&world) == 0);
        if (i % 2 == 0) {
            CU_ASSERT_FATAL(world_connect(&world, &raw) && world_echoes(&raw, 1));
            raw_close(&raw);
        }
        world_stop(&world);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

/* --- A program whose job is to serve ---------------------------------------------------------- */

/*
 * In a child: cmds_server_main; what it prints goes to the pipe. Returns: its pid, and the address
 * in `address`.
 */
static pid_t serve_in_a_child(struct scene *scene, char *address, size_t size)
{
    int fds[2];
    char text[256];
    size_t used = 0;
    CU_ASSERT_FATAL(pipe(fds) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)close(fds[0]);
        (void)close(fds[1]);
        _exit(cmds_server_main(&scene->world.options));
    }
    (void)close(fds[1]);
    while (used < sizeof(text) - 1) {
        ssize_t got = read(fds[0], text + used, sizeof(text) - 1 - used);
        if (got <= 0 || memchr(text + used, '\n', (size_t)got) != NULL) {
            used += got > 0 ? (size_t)got : 0;
            break;
        }
        used += (size_t)got;
    }
    text[used] = '\0';
    text[strcspn(text, "\n")] = '\0';
    (void)close(fds[0]);
    CU_ASSERT(strncmp(text, "listening on ", 13) == 0);
    (void)snprintf(address, size, "%.100s", strlen(text) > 13 ? text + 13 : "");
    return pid;
}

static void test_shutdown_main_ends_by_signals(void)
{
    struct scene scene = {.kept_count = 0};
    struct raw raw;
    struct run run = {0};
    int status = 0;
    world_init(&scene.world);
    scene.world.context = &scene;
    scene.world.exec = exec_keep;
    pid_t pid = serve_in_a_child(&scene, scene.world.address, sizeof(scene.world.address));
    CU_ASSERT_FATAL(pid > 0);
    CU_ASSERT(world_connect(&scene.world, &raw) && world_echoes(&raw, 1));
    CU_ASSERT(kill(pid, SIGTERM) == 0);
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);
    raw_close(&raw);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

    pid = serve_in_a_child(&scene, scene.world.address, sizeof(scene.world.address));
    CU_ASSERT_FATAL(pid > 0);
    CU_ASSERT(world_connect(&scene.world, &raw));
    CU_ASSERT(raw_send(&raw, 1, run_message(&run))); // Nobody will ever answer it.
    CU_ASSERT(world_echoes(&raw, 2));
    CU_ASSERT(kill(pid, SIGTERM) == 0);
    struct raw late;
    while (raw_open(&late, scene.world.address, 0, NULL) == 0) { // Until it has begun to drain.
        raw_close(&late);
        raw_pause(NULL);
    }
    CU_ASSERT(kill(pid, SIGINT) == 0);
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    raw_close(&raw);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* Until the server of the child has taken so many signals. */
static bool has_reloaded(struct mask *shared, uint32_t count)
{
    for (uint32_t i = 0; i < 5000 && shared->reloads < count; i++) {
        raw_pause(NULL);
    }
    return shared->reloads == count;
}

static void test_shutdown_main_reads_files_anew(void)
{
    struct scene scene = {.kept_count = 0};
    int status = 0;
    struct mask *mask = mmap(NULL, sizeof(*mask), PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0); // Its counts are the child's.
    CU_ASSERT_FATAL(mask != MAP_FAILED);
    world_init(&scene.world);
    mask_init(mask, true);
    scene.world.options.tls = &mask->tls;
    pid_t pid = serve_in_a_child(&scene, scene.world.address, sizeof(scene.world.address));
    CU_ASSERT_FATAL(pid > 0);
    CU_ASSERT(kill(pid, SIGHUP) == 0);
    CU_ASSERT_TRUE(has_reloaded(mask, 1));
    mask->cannot_reload = true;
    CU_ASSERT(kill(pid, SIGHUP) == 0);
    CU_ASSERT_TRUE(has_reloaded(mask, 2));
    CU_ASSERT(kill(pid, SIGTERM) == 0);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

    scene.world.options.tls = NULL; // Then the signal means what it always means.
    pid = serve_in_a_child(&scene, scene.world.address, sizeof(scene.world.address));
    CU_ASSERT_FATAL(pid > 0);
    CU_ASSERT(kill(pid, SIGHUP) == 0);
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    (void)munmap(mask, sizeof(*mask));
}

static void test_shutdown_main_says_why_it_does_not_start(void)
{
    struct world world;
    int status = 0;
    world_init(&world);
    world.options.listen = "nowhere";
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(cmds_server_main(&world.options));
    }
    CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static CU_TestInfo tests[] = {
        {"main ends by signals", test_shutdown_main_ends_by_signals},
        {"main reads files anew", test_shutdown_main_reads_files_anew},
        {"main says why it does not start", test_shutdown_main_says_why_it_does_not_start},
        {"close in every state", test_shutdown_close_in_every_state},
        {"close while it drains", test_shutdown_close_while_it_drains},
        {"runtime stops what runs on it", test_shutdown_runtime_stops_what_runs_on_it},
        {"drain of the idle is a FIN", test_shutdown_drain_of_the_idle_is_a_fin},
        {"drain answers what was executed", test_shutdown_drain_answers_what_was_executed},
        {"drain ends though a peer goes on", test_shutdown_drain_ends_though_a_peer_goes_on},
        {"on a shard is refused", test_shutdown_on_a_shard_is_refused},
        {"and start on the same port", test_shutdown_and_start_on_the_same_port},
        {"of one server leaves the other", test_shutdown_of_one_server_leaves_the_other},
        {"leaves no descriptor", test_shutdown_leaves_no_descriptor},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("shutdown", tests)
