/* SPDX-License-Identifier: MIT */
/*
 * The object of the pages over HTTP, and its ports. What may go wrong: an option is taken for another
 * version's, a failed open leaves a file or a descriptor, a child that was forked takes its parent's socket
 * away, one that sends byte by byte keeps its place for ever, a ninth one is taken.
 */
#include "admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/common.h"
#include "support/harness.h"

static struct cmds_runtime *start(void)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.shard_count = 1;
    options.no_pinning = true;
    if (cmds_runtime_start(&runtime, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    return runtime;
}

static int count_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

struct place {
    char folder[32], path[64], address[80];
};

static void place_make(struct place *place)
{
    strcpy(place->folder, "/tmp/admin-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof(place->path), "%s/socket", place->folder);
    (void)snprintf(place->address, sizeof(place->address), "unix:%s", place->path);
}

/* --- Options ---------------------------------------------------------------------------------- */

static int refused(
        struct cmds_runtime *runtime, const struct cmds_admin_options *options, const char *word)
{
    struct cmds_admin *admin = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_admin_open(&admin, runtime, options, &error);
    CU_ASSERT_PTR_NULL(admin);
    CU_ASSERT_EQUAL(error.code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, word));
    return code;
}

static void test_admin_refuses_options_by_name(void)
{
    struct cmds_runtime *runtime = start();
    struct {
        struct cmds_admin_options options;
        uint64_t later;
    } newer = {.options = CMDS_ADMIN_OPTIONS_INIT};
    struct cmds_admin_options *options = &newer.options;
    CU_ASSERT_EQUAL(refused(runtime, options, "neither metrics nor admin"), -EINVAL);
    options->metrics = "nowhere";
    CU_ASSERT_EQUAL(refused(runtime, options, "metrics: \"nowhere\""), -EINVAL);
    options->metrics = "192.0.2.1:80";
    CU_ASSERT_EQUAL(refused(runtime, options, "allow_remote"), -EACCES);
    options->metrics = "127.0.0.1:0";
    CU_ASSERT_EQUAL(refused(NULL, options, "runtime"), -EINVAL);
    options->unused[1] = 1;
    CU_ASSERT_EQUAL(refused(runtime, options, "version"), -E2BIG);
    options->unused[1] = 0;
    options->struct_size = sizeof(newer);
    newer.later = 1;
    CU_ASSERT_EQUAL(refused(runtime, options, "version"), -E2BIG);
    options->struct_size = 0;
    CU_ASSERT_EQUAL(refused(runtime, options, "CMDS_ADMIN_OPTIONS_INIT"), -EINVAL);
    CU_ASSERT_EQUAL(refused(runtime, NULL, "CMDS_ADMIN_OPTIONS_INIT"), -EINVAL);

    // An older program has no drain, and a newer one does not use what is new.
    struct cmds_admin *admin = NULL;
    options->struct_size = offsetof(struct cmds_admin_options, on_drain);
    options->on_drain = (void (*)(void *))(uintptr_t)1;
    CU_ASSERT_EQUAL_FATAL(cmds_admin_open(&admin, runtime, options, NULL), 0);
    CU_ASSERT_TRUE(admin->on_drain == NULL);
    cmds_admin_close(admin);
    options->on_drain = NULL;
    options->struct_size = sizeof(newer);
    newer.later = 0;
    CU_ASSERT_EQUAL_FATAL(cmds_admin_open(&admin, runtime, options, NULL), 0);
    cmds_admin_close(admin);
    cmds_admin_close(NULL);
    cmds_runtime_stop(runtime);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void test_admin_says_where_it_listens(void)
{
    struct cmds_runtime *runtime = start();
    struct cmds_admin *admin = NULL;
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    char text[64];
    options.admin = "[::1]:0";
    if (cmds_admin_open(&admin, runtime, &options, NULL) == 0) { // There may be no IPv6.
        CU_ASSERT_EQUAL(cmds_admin_address(admin, 0, text, sizeof(text)), -ENOENT);
        CU_ASSERT_EQUAL(cmds_admin_address(admin, 1, text, sizeof(text)), 0);
        CU_ASSERT_EQUAL(strncmp(text, "[::1]:", 6), 0);
        CU_ASSERT_NOT_EQUAL(strcmp(text, "[::1]:0"), 0);
        CU_ASSERT_EQUAL(cmds_admin_address(admin, 1, text, strlen(text)), -ENOBUFS);
        CU_ASSERT_EQUAL(cmds_admin_address(admin, 2, text, sizeof(text)), -ENOENT);
        cmds_admin_close(admin);
    }
    cmds_runtime_stop(runtime);
}

static void test_admin_that_fails_leaves_nothing(void)
{
    struct cmds_runtime *runtime = start();
    struct place place;
    place_make(&place);
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    options.metrics = place.address;
    options.admin = "192.0.2.1:80";
    options.allow_remote = true; // Of the metrics.
    int before = count_files();
    CU_ASSERT_EQUAL(refused(runtime, &options, "other machines"), -EACCES);
    CU_ASSERT_EQUAL(count_files(), before);
    CU_ASSERT_EQUAL(access(place.path, F_OK), -1);
    CU_ASSERT_EQUAL(rmdir(place.folder), 0);
    cmds_runtime_stop(runtime);
}

static void test_admin_of_a_parent_is_left_alone_by_a_child(void)
{
    struct cmds_runtime *runtime = start();
    struct place place;
    place_make(&place);
    struct cmds_admin *admin = NULL;
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    options.admin = place.address;
    CU_ASSERT_EQUAL_FATAL(cmds_admin_open(&admin, runtime, &options, NULL), 0);

    pid_t child = fork();
    if (child == 0) {
        cmds_admin_close(admin);
        _exit(access(place.path, F_OK) == 0 ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(access(place.path, F_OK), 0);

    cmds_admin_close(admin);
    CU_ASSERT_EQUAL(access(place.path, F_OK), -1);
    CU_ASSERT_EQUAL(rmdir(place.folder), 0);
    cmds_runtime_stop(runtime);
}

/* --- A port, driven by hand ------------------------------------------------------------------- */

struct driven {
    struct cmds_admin admin;
    struct place place;
    struct cmdi_admin_port *port;
};

static void driven_open(struct driven *driven)
{
    *driven = (struct driven){.admin = {.stop_fd = -1, .pages = cmdi_admin_pages}};
    place_make(&driven->place);
    driven->port = &driven->admin.ports[0];
    cmdi_admin_port_init(driven->port, &driven->admin, CMDI_ADMIN_METRICS);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_admin_port_open(driven->port, "metrics", driven->place.address, false, NULL), 0);
}

static void driven_close(struct driven *driven)
{
    cmdi_admin_port_close(driven->port);
    CU_ASSERT_EQUAL(rmdir(driven->place.folder), 0);
}

/* All that can be done at this time. */
static void driven_turn(struct driven *driven, uint64_t now_ns)
{
    struct pollfd polls[CMDI_ADMIN_PORT_POLLS];
    for (int i = 0; i < 20; i++) {
        (void)cmdi_admin_port_wait(driven->port, polls, now_ns);
        cmdi_admin_port_run(driven->port, now_ns);
    }
}

static int driven_connect(struct driven *driven)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&driven->port->listener.path,
                                  sizeof(driven->port->listener.path)),
            0);
    return fd;
}

static ssize_t take(int fd, char *text, size_t size)
{
    ssize_t got = recv(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static void test_port_has_eight_places(void)
{
    struct driven driven;
    driven_open(&driven);
    uint64_t now_ns = cmdi_admin_now_ns();
    struct pollfd polls[CMDI_ADMIN_PORT_POLLS];
    int fds[CMDI_ADMIN_CONNECTIONS_MAX + 1];
    char text[512];
    for (int i = 0; i <= CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        fds[i] = driven_connect(&driven);
    }
    CU_ASSERT_EQUAL(
            send(fds[CMDI_ADMIN_CONNECTIONS_MAX], "GET /healthz HTTP/1.0\r\n\r\n", 25, 0), 25);
    driven_turn(&driven, now_ns);

    // The ninth waits, and nobody is woken for it.
    CU_ASSERT_EQUAL(driven.port->connection_count, CMDI_ADMIN_CONNECTIONS_MAX);
    CU_ASSERT(cmdi_admin_port_wait(driven.port, polls, now_ns) > 1000);
    CU_ASSERT_EQUAL(polls[0].fd, -1);
    CU_ASSERT_EQUAL(take(fds[CMDI_ADMIN_CONNECTIONS_MAX], text, sizeof(text)), -1);

    (void)close(fds[0]);
    driven_turn(&driven, now_ns);
    CU_ASSERT(take(fds[CMDI_ADMIN_CONNECTIONS_MAX], text, sizeof(text)) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "200 OK"));
    for (int i = 1; i <= CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        (void)close(fds[i]);
    }
    driven_turn(&driven, now_ns);
    CU_ASSERT_EQUAL(driven.port->connection_count, 0);
    driven_close(&driven);
}

static void test_port_ends_one_that_sends_byte_by_byte(void)
{
    struct driven driven;
    driven_open(&driven);
    uint64_t now_ns = cmdi_admin_now_ns();
    struct pollfd polls[CMDI_ADMIN_PORT_POLLS];
    char text[512];
    int fd = driven_connect(&driven);
    driven_turn(&driven, now_ns);

    // A byte a second: never idle. The tenth second is one too many.
    for (uint64_t second = 0; second < 10; second++) {
        CU_ASSERT_EQUAL(send(fd, "G", 1, 0), 1);
        driven_turn(&driven, now_ns + second * 1000000000u);
        CU_ASSERT_EQUAL(driven.port->connection_count, 1);
    }
    CU_ASSERT(cmdi_admin_port_wait(driven.port, polls, now_ns + 9990000000u) <= 11);
    driven_turn(&driven, now_ns + 10000000000u);
    CU_ASSERT_EQUAL(driven.port->connection_count, 0);
    CU_ASSERT_EQUAL(take(fd, text, sizeof(text)), 0);
    (void)close(fd);
    driven_close(&driven);
}

static CU_TestInfo tests[] = {
        {"refuses options by name", test_admin_refuses_options_by_name},
        {"says where it listens", test_admin_says_where_it_listens},
        {"that fails leaves nothing", test_admin_that_fails_leaves_nothing},
        {"of a parent is left alone by a child", test_admin_of_a_parent_is_left_alone_by_a_child},
        {"a port has eight places", test_port_has_eight_places},
        {"a port ends one that sends byte by byte", test_port_ends_one_that_sends_byte_by_byte},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("admin", tests)
