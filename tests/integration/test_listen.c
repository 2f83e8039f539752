/* SPDX-License-Identifier: MIT */
/*
 * Addresses that a server listens on. A socket file may be left over, belong to another server, or
 * be no socket; a port may be taken; with several addresses each has its own.
 */
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[] = "/tmp/cmdstream-listen-XXXXXX";
static char path[64], address[80];

static void listen_on_a_path(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/cmdstream-listen-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
    (void)snprintf(path, sizeof(path), "%s/socket", directory);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
}

static void test_listen_on_a_unix_path(void)
{
    struct world world;
    struct raw raw;
    struct stat status;
    listen_on_a_path();
    world_init(&world);
    world.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_STRING_EQUAL(world.address, address);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    world_stop(&world);
    CU_ASSERT_EQUAL(stat(path, &status), -1); // It takes its file along.
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

/* A server that was killed leaves its file behind. */
static void test_listen_over_a_stale_file(void)
{
    struct world world;
    struct raw raw;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    listen_on_a_path();
    (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_FATAL(
            bind(fd, (struct sockaddr *)(void *)&local, sizeof(local)) == 0 && listen(fd, 1) == 0);
    (void)close(fd);
    world_init(&world);
    world.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    world_stop(&world);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static void test_listen_takes_no_file_of_others(void)
{
    struct world world, second;
    struct raw raw;
    struct stat status;
    listen_on_a_path();
    world_init(&world);
    world_init(&second);
    world.options.listen = address;
    second.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(world_start(&second), -EADDRINUSE); // Somebody listens there.
    CU_ASSERT(strstr(second.error.text, path) != NULL);
    world_stop(&second);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    world_stop(&world);

    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, "mine", 4) == 4);
    (void)close(fd);
    world_init(&world);
    world.options.listen = address;
    CU_ASSERT(world_start(&world) < 0); // No socket at all.
    world_stop(&world);
    CU_ASSERT(stat(path, &status) == 0 && status.st_size == 4);
    CU_ASSERT(unlink(path) == 0 && rmdir(directory) == 0);
}

static void test_listen_on_an_abstract_name(void)
{
    struct world world;
    struct raw raw;
    (void)snprintf(address, sizeof(address), "unix:@cmdstream-test-%d", (int)getpid());
    world_init(&world);
    world.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_STRING_EQUAL(world.address, address);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    world_stop(&world);
}

static bool has_ipv6(void)
{
    struct raw raw;
    int code = raw_open(&raw, "[::1]:1", 0, NULL);
    raw_close(&raw);
    return code == 0 || code == -ECONNREFUSED;
}

static void test_listen_on_ipv6(void)
{
    struct world world;
    struct raw raw;
    if (!has_ipv6()) {
        printf("***** no IPv6 on this machine: not tested ***** ");
        return;
    }
    world_init(&world);
    world.options.listen = "[::1]:0";
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(strncmp(world.address, "[::1]:", 6), 0);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    world_stop(&world);
}

static void test_listen_on_several_addresses(void)
{
    struct world world;
    struct raw raw;
    char text[128], tiny[4];
    char list[160];
    (void)snprintf(
            list, sizeof(list), "127.0.0.1:0,unix:@cmdstream-many-%d,127.0.0.1:0", (int)getpid());
    world_init(&world);
    world.options.listen = list;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_FATAL(cmds_server_address(world.server, i, text, sizeof(text)) == 0);
        CU_ASSERT_EQUAL(strncmp(text, i == 1 ? "unix:@" : "127.0.0.1:", i == 1 ? 6 : 10), 0);
        CU_ASSERT(i != 2 || strcmp(text, world.address) != 0);
        CU_ASSERT_FATAL(raw_open(&raw, text, 0, NULL) == 0 && raw_server_info(&raw));
        CU_ASSERT(world_echoes(&raw, 1));
        raw_close(&raw);
    }
    CU_ASSERT_EQUAL(cmds_server_address(world.server, 3, text, sizeof(text)), -ENOENT);
    CU_ASSERT_EQUAL(cmds_server_address(world.server, 0, tiny, sizeof(tiny)), -ENOBUFS);

    world_stop(&world);
}

static void test_listen_with_a_listener_per_shard(void)
{
    struct world world;
    struct raw raw;
    char text[128];
    world_init(&world);
    world.options.reuse_port = true;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    // One address.
    CU_ASSERT_EQUAL(cmds_server_address(world.server, 1, text, sizeof(text)), -ENOENT);
    for (uint32_t i = 0; i < 50; i++) { // Each shard gets some of them, by the kernel's hash.
        CU_ASSERT_FATAL(world_connect(&world, &raw) && world_echoes(&raw, 1));
        raw_close(&raw);
    }
    world_stop(&world);

    world_init(&world);
    world.options.reuse_port = true;
    world.options.listen = "unix:@cmdstream-reuse";
    CU_ASSERT_EQUAL(world_start(&world), -EINVAL);
    CU_ASSERT(strstr(world.error.text, "reuse_port") != NULL);
    world_stop(&world);
}

/* A comma separates addresses, but for one behind a backslash. */
static void test_listen_on_a_path_with_a_comma(void)
{
    struct world world;
    struct raw raw;
    struct stat status;
    char list[200], text[128], expected[128];
    listen_on_a_path();
    (void)snprintf(list, sizeof(list), "unix:%s\\,a\\,,127.0.0.1:0", path);
    (void)snprintf(expected, sizeof(expected), "unix:%s,a,", path);
    world_init(&world);
    world.options.listen = list;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_STRING_EQUAL(world.address, expected);
    CU_ASSERT(cmds_server_address(world.server, 1, text, sizeof(text)) == 0 &&
              strncmp(text, "127.0.0.1:", 10) == 0);
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1)); // As it stands, to a client.
    raw_close(&raw);
    world_stop(&world);
    CU_ASSERT_EQUAL(stat(expected + 5, &status), -1);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static void test_listen_says_what_is_too_long(void)
{
    struct world world;
    char list[600];
    for (size_t size = 120; size < sizeof(list); size += 400) {
        memset(list, 'a', sizeof(list));
        memcpy(list, "unix:/", 6);
        list[size] = '\0';
        world_init(&world);
        world.options.listen = list;
        CU_ASSERT_EQUAL(world_start(&world), -EINVAL);
        CU_ASSERT(strstr(world.error.text, "at most") != NULL);
        world_stop(&world);
    }
}

/* Somebody has put another socket there meanwhile. */
static void test_listen_leaves_a_file_that_is_not_its_own(void)
{
    struct world world;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct stat status;
    listen_on_a_path();
    (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
    world_init(&world);
    world.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_FATAL(unlink(path) == 0 &&
                    bind(fd, (struct sockaddr *)(void *)&local, sizeof(local)) == 0 &&
                    listen(fd, 1) == 0);

    world_stop(&world);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    (void)close(fd);
    CU_ASSERT(unlink(path) == 0 && rmdir(directory) == 0);
}

/* --- Handing a path over ---------------------------------------------------------------------- */

enum {
    HAND_OVERS = 300
};

struct successor {
    struct world world;
    struct cmds_server *server;
    _Atomic uint32_t round;  // That it is to take over in.
    _Atomic uint32_t served; // That it has.
    pthread_t thread;
};

/* Tries again and again, as a service does that is started anew while the old one ends. */
static void *successor_main(void *argument)
{
    struct successor *successor = argument;
    for (uint32_t round = 1; round <= HAND_OVERS; round++) {
        while (atomic_load(&successor->round) < round) {
            (void)sched_yield();
        }
        while (cmds_server_start(&successor->server, successor->world.runtime,
                       &successor->world.options, NULL) < 0) {
            (void)sched_yield();
        }
        atomic_store(&successor->served, round);
    }
    return NULL;
}

static void test_listen_hands_a_path_over(void)
{
    struct world world;
    static struct successor successor;
    struct raw raw;
    uint32_t lost = 0;
    listen_on_a_path();
    world_init(&world);
    world_init(&successor.world);
    world.options.listen = address;
    successor.world.options.listen = address;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_start(
                            &successor.world.runtime, &successor.world.runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(pthread_create(&successor.thread, NULL, successor_main, &successor) == 0);
    for (uint32_t round = 1; round <= HAND_OVERS; round++) {
        atomic_store(&successor.round, round);
        for (uint32_t i = 0; i < round % 7 * 50; i++) {
            (void)sched_yield();
        }
        cmds_server_close(world.server);
        WORLD_UNTIL(&world, atomic_load(&successor.served) == round);
        lost += raw_open(&raw, address, 0, NULL) < 0;
        raw_close(&raw);
        cmds_server_close(successor.server);
        CU_ASSERT_FATAL(cmds_server_start(&world.server, world.runtime, &world.options, NULL) == 0);
    }
    CU_ASSERT_EQUAL(lost, 0);
    (void)pthread_join(successor.thread, NULL);
    cmds_runtime_stop(successor.world.runtime);
    world_stop(&world);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static CU_TestInfo tests[] = {
        {"on a unix path", test_listen_on_a_unix_path},
        {"over a stale file", test_listen_over_a_stale_file},
        {"takes no file of others", test_listen_takes_no_file_of_others},
        {"on an abstract name", test_listen_on_an_abstract_name},
        {"on IPv6", test_listen_on_ipv6},
        {"on several addresses", test_listen_on_several_addresses},
        {"on a path with a comma", test_listen_on_a_path_with_a_comma},
        {"says what is too long", test_listen_says_what_is_too_long},
        {"leaves a file that is not its own", test_listen_leaves_a_file_that_is_not_its_own},
        {"hands a path over", test_listen_hands_a_path_over},
        {"with a listener per shard", test_listen_with_a_listener_per_shard},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("listen", tests)
