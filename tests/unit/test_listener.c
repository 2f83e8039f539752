/* SPDX-License-Identifier: MIT */
/*
 * A listener without a server. What may go wrong: a connection that comes while it stops is lost, a
 * socket that another process shares is broken, a file that is somebody else's is removed, an accept
 * that fails at once becomes a loop.
 */
#include "net/listener.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shard/drive.h"
#include "support/harness.h"
#include "support/raw.h"

enum {
    ACCEPTED_MAX = 64,
    ROUNDS = 50,
};

struct owner {
    struct cmdi_listener listener;
    struct cmdi_shard *shard;
    int fds[ACCEPTED_MAX];
    _Atomic uint32_t accepted, errors, closed;
    _Atomic uint32_t may; // Accepts that are allowed still.
    _Atomic int code;
    uint32_t rests[ACCEPTED_MAX];
    uint32_t accepted_stopping;
    struct raw raw;
    bool stops_at_once;
};

static struct owner *owner_of(struct cmdi_listener *listener)
{
    return CMDI_CONTAINER(listener, struct owner, listener);
}

static void owner_on_accepted(struct cmdi_listener *listener, int fd)
{
    struct owner *owner = owner_of(listener);
    owner->accepted_stopping += listener->state == CMDI_LISTENER_STOPPING;
    owner->fds[atomic_load(&owner->accepted) % ACCEPTED_MAX] = fd;
    atomic_fetch_add(&owner->accepted, 1);
    if (owner->stops_at_once) {
        cmdi_listener_stop(listener);
    }
}

static bool owner_may_accept(struct cmdi_listener *listener)
{
    struct owner *owner = owner_of(listener);
    uint32_t may = atomic_load(&owner->may);
    atomic_store(&owner->may, may > 0 ? may - 1 : 0);
    return may > 0;
}

static void owner_on_error(struct cmdi_listener *listener, int code, uint32_t rest_ms)
{
    struct owner *owner = owner_of(listener);
    CMDI_ASSERT(listener->state == CMDI_LISTENER_RESTING);
    owner->rests[atomic_load(&owner->errors) % ACCEPTED_MAX] = rest_ms;
    atomic_store(&owner->code, code);
    atomic_fetch_add(&owner->errors, 1);
}

static void owner_on_closed(struct cmdi_listener *listener)
{
    atomic_fetch_add(&owner_of(listener)->closed, 1);
}

static const struct cmdi_listener_ops owner_ops = {
        .on_accepted = owner_on_accepted,
        .may_accept = owner_may_accept,
        .on_error = owner_on_error,
        .on_closed = owner_on_closed,
};

/* A shard with a thread, and a listener on it that is CLOSED. */
static void owner_open(struct owner *owner, bool once)
{
    struct cmdi_shard_options options = {.cpu = -1,
            .drive = CMDI_DRIVE_THREAD,
            .memory_size_max = 1 << 20,
            .ring = {.entries = 16,
                    .completion_entries = 64,
                    .buffer_size = 64,
                    .buffer_count = 4,
                    .buffer_count_max = 4}};
    struct cmds_error error = CMDS_ERROR_INIT;
    memset(owner, 0, sizeof(*owner));
    atomic_store(&owner->may, UINT32_MAX);
    if (cmdi_shard_create(&owner->shard, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_drive_start_thread(owner->shard), 0);
    cmdi_listener_init(&owner->listener, owner->shard, &owner_ops, once);
}

static void owner_bind(struct owner *owner, const char *text)
{
    struct cmdi_address address;
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(text, &address, 1, NULL), 1);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_listener_bind(&owner->listener, &address, 16, false, CMDS_NEVER, NULL), 0);
    CU_ASSERT_EQUAL(owner->listener.state, CMDI_LISTENER_LISTENING);
}

/* Connects to where it listens. Returns: 0; -errno. */
static int owner_connect(const struct owner *owner, struct raw *raw)
{
    char text[CMDI_ADDRESS_TEXT_MAX];
    cmdi_address_text(&owner->listener.address, text, sizeof(text));
    return raw_open(raw, text, 0, NULL);
}

static void call_start(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    CU_ASSERT_EQUAL(cmdi_listener_start(context), 0);
}
static void call_resume(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    cmdi_listener_resume(context);
}
static void call_stop(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    cmdi_listener_stop(context);
}
static void call_nothing(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    (void)context;
}

/* The kernel has a connection for the accept, and the shard does not know it yet. */
static void call_connect_and_stop(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    struct owner *owner = context;
    CU_ASSERT_EQUAL(owner_connect(owner, &owner->raw), 0);
    cmdi_listener_stop(&owner->listener);
}

static void owner_start(struct owner *owner)
{
    cmdi_shard_call(owner->shard, call_start, &owner->listener);
}

static void wait_until(_Atomic uint32_t *word, uint32_t value)
{
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    while (atomic_load(word) < value && raw_now_ms() < until_ms) {
        raw_pause(NULL);
    }
    CU_ASSERT_FATAL(atomic_load(word) >= value); // It may have gone on since.
}

static void owner_stop(struct owner *owner)
{
    cmdi_shard_call(owner->shard, call_stop, &owner->listener);
    wait_until(&owner->closed, 1);
    cmdi_shard_call(owner->shard, call_stop, &owner->listener); // Once more is nothing.
    CU_ASSERT_EQUAL(owner->listener.state, CMDI_LISTENER_CLOSED);
    CU_ASSERT_EQUAL(owner->listener.fd, -1);
}

static void owner_close(struct owner *owner)
{
    for (uint32_t i = 0; i < atomic_load(&owner->accepted); i++) {
        (void)close(owner->fds[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&owner->closed), 1);
    cmdi_drive_join(owner->shard);
    cmdi_shard_destroy(owner->shard);
}

/* --- Accepting -------------------------------------------------------------------------------- */

static void accept_and_stop(bool once)
{
    struct owner owner;
    struct raw raws[3];
    owner_open(&owner, once);
    owner_bind(&owner, "127.0.0.1:0");

    CU_ASSERT_EQUAL(owner_connect(&owner, &raws[0]), 0); // The kernel queues it.
    owner_start(&owner);
    wait_until(&owner.accepted, 1);
    for (uint32_t i = 1; i < 3; i++) {
        CU_ASSERT_EQUAL(owner_connect(&owner, &raws[i]), 0);
        wait_until(&owner.accepted, i + 1);
    }
    struct cmdi_address address = owner.listener.address;
    owner_stop(&owner);

    owner.listener.address = address;
    struct raw late;
    CU_ASSERT_EQUAL(owner_connect(&owner, &late), -ECONNREFUSED);
    for (uint32_t i = 0; i < 3; i++) {
        raw_close(&raws[i]);
    }
    owner_close(&owner);
}

static void test_listener_accepts_until_it_stops(void)
{
    accept_and_stop(false);
    accept_and_stop(true);
}

static void test_listener_is_parked_and_resumed(void)
{
    struct owner owner;
    struct raw raws[3];
    owner_open(&owner, true);
    owner_bind(&owner, "127.0.0.1:0");
    atomic_store(&owner.may, 1);
    owner_start(&owner);

    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(owner_connect(&owner, &raws[i]), 0);
    }
    wait_until(&owner.accepted, 1);
    cmdi_shard_call(owner.shard, call_resume, &owner.listener); // Not yet.
    CU_ASSERT_EQUAL(owner.listener.state, CMDI_LISTENER_PARKED);
    CU_ASSERT_EQUAL(atomic_load(&owner.accepted), 1);
    atomic_store(&owner.may, 2);
    cmdi_shard_call(owner.shard, call_resume, &owner.listener);
    wait_until(&owner.accepted, 3);
    cmdi_shard_call(owner.shard, call_nothing, NULL);
    CU_ASSERT_EQUAL(owner.listener.state, CMDI_LISTENER_PARKED);

    owner_stop(&owner);
    cmdi_shard_call(owner.shard, call_resume, &owner.listener); // Too late.
    CU_ASSERT_EQUAL(owner.listener.state, CMDI_LISTENER_CLOSED);
    for (uint32_t i = 0; i < 3; i++) {
        raw_close(&raws[i]);
    }
    owner_close(&owner);
}

/* An accept that fails at once: another process has shut the socket down. */
static void test_listener_rests_longer_each_time(void)
{
    struct owner owner;
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    (void)shutdown(owner.listener.fd, SHUT_RDWR);
    owner_start(&owner);

    wait_until(&owner.errors, 4);

    CU_ASSERT_EQUAL(atomic_load(&owner.code), -EINVAL);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(owner.rests[i], 10u << i);
    }
    owner_stop(&owner); // While it rests.
    owner_close(&owner);
}

/* What it has rested is forgotten with the first connection. */
static void test_listener_rests_briefly_after_a_success(void)
{
    struct owner owner;
    struct raw raw;
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    (void)shutdown(owner.listener.fd, SHUT_RDWR);
    owner_start(&owner);
    wait_until(&owner.errors, 3);
    CU_ASSERT_EQUAL_FATAL(listen(owner.listener.fd, 8), 0); // On another port.
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(owner.listener.fd, &owner.listener.address), 0);
    CU_ASSERT_EQUAL(owner_connect(&owner, &raw), 0);
    wait_until(&owner.accepted, 1);

    uint32_t before = atomic_load(&owner.errors);
    (void)shutdown(owner.listener.fd, SHUT_RDWR);
    wait_until(&owner.errors, before + 1);

    CU_ASSERT_EQUAL(owner.rests[before], 10);
    owner_stop(&owner);
    raw_close(&raw);
    owner_close(&owner);
}

/* --- Sockets that others have, too ------------------------------------------------------------ */

static void test_listener_leaves_a_shared_socket_whole(void)
{
    struct owner owner;
    struct raw raw;
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    int other = dup(owner.listener.fd); // As another process would have it.
    CU_ASSERT_FATAL(other >= 0);
    owner_start(&owner);
    struct cmdi_address address = owner.listener.address;
    cmdi_listener_disown(&owner.listener);
    owner_stop(&owner);

    owner.listener.address = address;
    CU_ASSERT_EQUAL_FATAL(owner_connect(&owner, &raw), 0);
    int fd = cmdi_socket_accept_now(other);
    CU_ASSERT(fd >= 0);
    cmdi_fd_close(fd);
    cmdi_fd_close(other);
    raw_close(&raw);
    owner_close(&owner);
}

/* A child that was forked has a copy of the socket, and does not know of it: the port is free. */
static void stop_beside_a_copy(bool starts)
{
    struct owner owner;
    struct raw raw;
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    int copy = dup(owner.listener.fd);
    CU_ASSERT_FATAL(copy >= 0);
    if (starts) {
        owner_start(&owner);
        cmdi_shard_call(owner.shard, call_nothing, NULL);
    }
    struct cmdi_address address = owner.listener.address;
    owner_stop(&owner);

    owner.listener.address = address;
    CU_ASSERT_EQUAL(owner_connect(&owner, &raw), -ECONNREFUSED);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_listener_bind(&owner.listener, &address, 16, false, CMDS_NEVER, NULL), 0);
    cmdi_listener_close(&owner.listener);
    cmdi_fd_close(copy);
    owner_close(&owner);
}

static void test_listener_frees_the_port_for_all(void)
{
    stop_beside_a_copy(true);
    stop_beside_a_copy(false);
}

/* Each connection is the owner's, or is still in the socket: none is closed unseen. */
static void test_listener_loses_none_while_it_stops(void)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct owner owner;
        owner_open(&owner, round % 2 != 0);
        owner_bind(&owner, "127.0.0.1:0");
        int other = dup(owner.listener.fd);
        cmdi_listener_disown(&owner.listener);
        owner_start(&owner);
        cmdi_shard_call(owner.shard, call_nothing, NULL); // The accept is in flight.
        cmdi_shard_call(owner.shard, call_connect_and_stop, &owner);
        owner_stop(&owner);

        int fd = cmdi_socket_accept_now(other);
        CU_ASSERT_EQUAL(atomic_load(&owner.accepted) + (fd >= 0), 1);
        if (fd >= 0) {
            cmdi_fd_close(fd);
        }
        cmdi_fd_close(other);
        raw_close(&owner.raw);
        owner_close(&owner);
    }
}

/* Two have come when it starts. The owner stops at the first, and gets the second all the same. */
static void test_listener_gives_away_what_comes_while_it_stops(void)
{
    struct owner owner;
    struct raw raws[2];
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    owner.stops_at_once = true;
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(owner_connect(&owner, &raws[i]), 0);
    }

    owner_start(&owner);
    wait_until(&owner.closed, 1);

    CU_ASSERT_EQUAL(atomic_load(&owner.accepted), 2);
    CU_ASSERT_EQUAL(owner.accepted_stopping, 1);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(raw_write(&raws[i], "0", 1), true);
        raw_close(&raws[i]);
    }
    owner_close(&owner);
}

static bool file_is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void test_listener_removes_its_own_file_only(void)
{
    char path[64];
    char text[80];
    (void)snprintf(path, sizeof(path), "/tmp/test_listener.%d", (int)getpid());
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    for (uint32_t way = 0; way < 3; way++) {
        struct owner owner;
        owner_open(&owner, false);
        owner_bind(&owner, text);
        CU_ASSERT_TRUE(file_is_there(path));
        if (way == 1) { // Another one listens on by the same socket.
            cmdi_listener_disown(&owner.listener);
        } else if (way == 2) { // It came from elsewhere.
            int fd = dup(owner.listener.fd);
            cmdi_listener_disown(&owner.listener);
            cmdi_listener_close(&owner.listener);
            CU_ASSERT_EQUAL_FATAL(cmdi_listener_adopt(&owner.listener, fd, NULL), 0);
        }
        owner_start(&owner);
        struct raw raw;
        CU_ASSERT_EQUAL_FATAL(raw_open(&raw, text, 0, NULL), 0);
        wait_until(&owner.accepted, 1);
        owner_stop(&owner);

        CU_ASSERT_EQUAL(file_is_there(path), way != 0);
        (void)unlink(path);
        raw_close(&raw);
        owner_close(&owner);
    }
}

static void test_listener_adopts_what_listens_for_streams(void)
{
    struct owner owner;
    struct cmds_error error = CMDS_ERROR_INIT;
    owner_open(&owner, false);
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    CU_ASSERT_EQUAL(cmdi_listener_adopt(&owner.listener, stream, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no socket that listens"));
    CU_ASSERT(cmdi_listener_adopt(&owner.listener, datagram, NULL) < 0);
    CU_ASSERT_EQUAL(cmdi_listener_adopt(&owner.listener, -1, NULL), -EBADF);
    CU_ASSERT_EQUAL(owner.listener.state, CMDI_LISTENER_CLOSED);

    CU_ASSERT_EQUAL_FATAL(listen(stream, 4), 0); // On a port that the kernel chooses.
    CU_ASSERT_EQUAL_FATAL(cmdi_listener_adopt(&owner.listener, stream, NULL), 0);
    owner_start(&owner);
    struct raw raw;
    struct cmdi_address any = owner.listener.address;
    any.as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    owner.listener.address = any;
    CU_ASSERT_EQUAL_FATAL(owner_connect(&owner, &raw), 0);
    wait_until(&owner.accepted, 1);
    owner_stop(&owner);
    raw_close(&raw);
    cmdi_fd_close(datagram);
    owner_close(&owner);
}

static void test_listener_that_never_started_closes(void)
{
    struct owner owner;
    owner_open(&owner, false);
    owner_bind(&owner, "127.0.0.1:0");
    struct cmdi_address address = owner.listener.address;

    cmdi_listener_close(&owner.listener);

    CU_ASSERT_EQUAL(owner.listener.state, CMDI_LISTENER_CLOSED);
    CU_ASSERT_EQUAL(atomic_load(&owner.closed), 0);
    CU_ASSERT_EQUAL(cmdi_listener_bind(&owner.listener, &address, 16, false, CMDS_NEVER, NULL), 0);
    owner_stop(&owner);
    owner_close(&owner);
}

CU_TestInfo test_listener[] = {
        {"accepts until it stops", test_listener_accepts_until_it_stops},
        {"is parked and resumed", test_listener_is_parked_and_resumed},
        {"rests longer each time", test_listener_rests_longer_each_time},
        {"rests briefly after a success", test_listener_rests_briefly_after_a_success},
        {"leaves a shared socket whole", test_listener_leaves_a_shared_socket_whole},
        {"frees the port for all", test_listener_frees_the_port_for_all},
        {"loses none while it stops", test_listener_loses_none_while_it_stops},
        {"gives away what comes while it stops",
                test_listener_gives_away_what_comes_while_it_stops},
        {"removes its own file only", test_listener_removes_its_own_file_only},
        {"adopts what listens for streams", test_listener_adopts_what_listens_for_streams},
        {"that never started closes", test_listener_that_never_started_closes},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("listener", test_listener)
