/* SPDX-License-Identifier: MIT */
/*
 * The simulated network under everything at once: processes that dial each other over TCP and UNIX
 * sockets, send, read, shut, close and forget in any order, while links break and hosts lose power. What
 * could go wrong: a socket that is used after it was freed or never freed (the sanitized builds see it), a
 * byte that is lost, or in another's place, an operation that never ends.
 */
#include "support/sim_runs.h"
#include "support/stream.h"

#include <arpa/inet.h>

#include "sim/net.h"

enum {
    SEEDS = 20,
    PROCESSES = 3,
    STREAMS = 12,
    PORT = 7000,
    ACTIONS_MS = 3000,
};

struct stream {
    int fd; // -1: none.
    size_t sent, read;
};
struct member {
    struct cmds_sim_process *process;
    size_t bytes; // That were read.
};
static struct member members[PROCESSES];

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)(cmds_sim_random(cmds_sim_current()) % bound);
}

static struct cmdi_address address_of(const struct member *member)
{
    struct cmdi_address address = v4(0, PORT);
    (void)inet_pton(AF_INET, cmds_sim_address(member->process), &address.as.v4.sin_addr);
    return address;
}

static struct cmdi_address own_path(void)
{
    struct cmdi_address address = {.as.local = {.sun_family = AF_UNIX, .sun_path = "/run/soak"}};
    address.size = sizeof(address.as.local);
    return address;
}

static void stream_close(struct stream *stream)
{
    cmdi_fd_close(stream->fd);
    *stream = (struct stream){.fd = -1};
}

static void stream_send(struct rig *rig, struct stream *stream)
{
    uint8_t data[CHUNK];
    uint32_t size = 1 + draw(draw(2) == 0 ? CHUNK : 64);
    for (size_t i = 0; i < size; i++) {
        data[i] = byte_at(stream->sent + i);
    }
    int64_t sent = cmdi_socket_send_now(stream->fd, data, size);
    if (sent == -EAGAIN && draw(4) == 0) { // Some wait, and most of those not for long.
        cmdi_ring_send(rig->ring, stream->fd, data, size, FIRST + SEND);
        for (uint32_t i = 0; i < 20 && rig->counts[SEND] == 0; i++) {
            turn(rig);
        }
        while (rig->counts[SEND] == 0) {
            cmdi_ring_cancel(rig->ring, FIRST + SEND, FIRST + CANCEL);
            (void)await(rig, CANCEL);
            turn(rig);
        }
        sent = await(rig, SEND);
    }
    stream->sent += sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && sent != -EAGAIN && sent != -ECANCELED && sent != -EINTR) {
        CU_ASSERT(sent == -EPIPE || sent == -ECONNRESET || sent == -ETIMEDOUT);
        stream_close(stream);
    }
}

static void stream_read(struct rig *rig, struct stream *stream, struct member *member)
{
    if (cmdi_socket_peek(stream->fd) == -EAGAIN) {
        return;
    }
    int32_t got = recv_one(rig, stream->fd);
    bool right = true;
    for (int32_t i = 0; i < got; i++) {
        right = right && rig->data[i] == byte_at(stream->read);
        stream->read++;
    }
    CU_ASSERT_TRUE_FATAL(right);
    member->bytes += got > 0 ? (size_t)got : 0;
    if (got <= 0 && got != -EINTR && got != -ENOBUFS && draw(4) == 0) {
        stream_close(stream);
    }
}

static void stream_act(struct rig *rig, struct stream *stream, struct member *member)
{
    size_t waiting = 0;
    uint32_t what = draw(40);
    if (what < 16) {
        stream_send(rig, stream);
    } else if (what < 36) {
        stream_read(rig, stream, member);
    } else if (what == 36) {
        cmdi_socket_shutdown(stream->fd, draw(2) == 0 ? SHUT_WR : SHUT_RDWR);
    } else if (what == 37) {
        stream_close(stream);
    } else {
        int64_t acked = cmdi_socket_acked(stream->fd, &waiting);
        CU_ASSERT(acked < 0 || (size_t)acked <= stream->sent + 1);
        (void)cmdi_socket_unread(stream->fd);
    }
}

/* It waits for a while at most: then whoever connects is forgotten. */
static void stream_dial(struct rig *rig, struct stream *stream)
{
    struct cmdi_address address = draw(4) == 0 ? own_path() : address_of(&members[draw(PROCESSES)]);
    *stream = (struct stream){.fd = cmdi_socket_open(&address, draw(2) == 0 ? 2000 : 0)};
    if (stream->fd < 0) {
        stream->fd = -1;
        return;
    }
    cmdi_ring_connect(rig->ring, stream->fd, &address, FIRST + CONNECT);
    for (uint32_t i = 0; i < 20 && rig->counts[CONNECT] == 0; i++) {
        turn(rig);
    }
    while (rig->counts[CONNECT] == 0) {
        cmdi_socket_shutdown(stream->fd, SHUT_RDWR);
        cmdi_ring_cancel(rig->ring, FIRST + CONNECT, FIRST + CANCEL);
        (void)await(rig, CANCEL);
        turn(rig);
    }
    if (await(rig, CONNECT) < 0) {
        stream_close(stream);
    }
}

static int listen_somehow(const struct cmdi_address *address)
{
    int fd = cmdi_socket_listen(address, (int)draw(4), false, draw(2) == 0 ? 2000 : 0);
    return fd < 0 ? -1 : fd;
}

static void listener_turn(int *listener, const struct cmdi_address *address, struct stream *stream)
{
    if (*listener < 0) {
        *listener = listen_somehow(address);
    } else if (draw(100) == 0) {
        cmdi_fd_close(*listener);
        *listener = -1;
    } else if (stream->fd < 0) {
        int fd = cmdi_socket_accept_now(*listener);
        *stream = (struct stream){.fd = fd < 0 ? -1 : fd};
    }
}

static int main_of_member(void *context)
{
    struct member *member = context;
    struct rig rig;
    struct stream streams[STREAMS];
    struct cmdi_address addresses[] = {v4(INADDR_ANY, PORT), own_path()};
    int listeners[] = {-1, -1};
    uint64_t end_ns = (uint64_t)ACTIONS_MS * 1000000 + CMDI_SIM_BEGIN_NS;
    if (!rig_try(&rig)) {
        return 0;
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        streams[i] = (struct stream){.fd = -1};
    }
    while (cmdi_sim_now() < end_ns) {
        uint32_t i = draw(STREAMS);
        if (streams[i].fd >= 0) {
            stream_act(&rig, &streams[i], member);
        } else if (draw(3) == 0) {
            stream_dial(&rig, &streams[i]);
        } else {
            uint32_t which = draw(2);
            listener_turn(&listeners[which], &addresses[which], &streams[i]);
        }
        if (draw(4) == 0) {
            turn(&rig);
        }
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        if (streams[i].fd >= 0) {
            stream_close(&streams[i]);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (listeners[i] >= 0) {
            cmdi_fd_close(listeners[i]);
        }
    }
    rig_fini(&rig);
    return 0;
}

static void test_sim_net_any_order_of_anything(void)
{
    static const char *names[PROCESSES] = {"one", "two", "three"};
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        uint64_t hashes[2] = {0};
        size_t bytes = 0;
        for (uint32_t run = 0; run < 2; run++) {
            struct cmds_sim_report report;
            struct cmds_sim *sim =
                    open_world(seed, CMDS_SIM_ALL_FAULTS & ~(uint32_t)CMDS_SIM_MEMORY);
            for (uint32_t i = 0; i < PROCESSES; i++) {
                members[i] = (struct member){0};
                members[i].process = add(sim, names[i], i > 0, main_of_member, &members[i]);
            }
            CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
            CU_ASSERT_EQUAL(report.files_left, 0);
            hashes[run] = report.hash;
            bytes = members[0].bytes + members[1].bytes + members[2].bytes;
        }
        CU_ASSERT(bytes > 10000);
        CU_ASSERT_EQUAL(hashes[0], hashes[1]);
    }
}

static CU_TestInfo test_sim_net_soak[] = {
        {"any order of anything", test_sim_net_any_order_of_anything},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_net_soak", test_sim_net_soak)
