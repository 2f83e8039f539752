/* SPDX-License-Identifier: MIT */
/*
 * A connection on random walks: bytes in pieces, receives that end for every reason, pauses, stops,
 * ends, watches, times, in any order that a transport and an owner may choose. What must hold after
 * every step: frames come whole and in order, a receive is armed whenever one is due, whoever goes is
 * looked out for, and in the end everything was told once and nothing is left.
 */
#include "conn/conn.h"

#include <errno.h>

#include "support/harness.h"
#include "support/peer.h"

enum {
    WALKS = 2000,
    STEPS = 200,
    FRAMES = 200,
};

static uint64_t walk_seed;

static uint32_t walk_random(uint32_t below)
{
    walk_seed = walk_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(walk_seed >> 33) % below;
}

struct walk {
    struct peer *peer;
    uint8_t wire[PEER_WIRE_MAX];
    size_t size, fed;    // Of `wire`.
    size_t ends[FRAMES]; // Of each frame in it.
    bool finished;       // The peer's FIN was seen.
};

/* Bytes come only while a receive is armed, and before the FIN. */
static void walk_feed(struct walk *walk)
{
    size_t left = walk->size - walk->fed;
    size_t size = walk_random(walk_random(4) == 0 ? 4000 : 40);
    size = size < left ? size : left;
    if (walk->peer->receiving && !walk->finished && size > 0) {
        cmdi_conn_feed(&walk->peer->conn, walk->wire + walk->fed, size);
        walk->fed += size;
    }
}

static void walk_end_recv(struct walk *walk)
{
    static const int codes[] = {-EAGAIN, -EAGAIN, -EAGAIN, -EINTR, -EINTR, -ECANCELED, -ENOBUFS,
            -ENOBUFS, -ENOBUFS, -ENOBUFS, 0, -ECONNRESET};
    uint32_t count = sizeof(codes) / sizeof(codes[0]);
    struct peer *peer = walk->peer;
    if (!peer->receiving) {
        return;
    }
    int code = peer->stopping && walk_random(2) == 0 ? -ECANCELED : codes[walk_random(count)];
    code = walk->finished ? 0 : code;
    walk->finished = walk->finished || code == 0;
    peer_recv_done(peer, code);
}

/* There is a buffer for it again. */
static void walk_give_buffers(struct walk *walk)
{
    struct cmdi_work *starve = &walk->peer->conn.more->starve;
    if (cmdi_work_queued(starve)) {
        cmdi_list_remove(&starve->link);
        starve->fn(walk->peer->shard, starve);
    }
}

static void walk_end_watch(struct walk *walk)
{
    static const int events[] = {CMDI_PEER_FINISHED, CMDI_PEER_FINISHED | CMDI_PEER_GONE,
            CMDI_PEER_GONE | CMDI_PEER_FAILED, -ECANCELED};
    struct peer *peer = walk->peer;
    if (peer->watching) {
        int event = events[walk_random(4)];
        bool known = !peer->watch_finish && event == CMDI_PEER_FINISHED; // Not asked for.
        walk->finished = walk->finished || event > 0;
        peer_watch_done(peer, known ? CMDI_PEER_GONE : event);
    }
}

static void walk_end_send(struct walk *walk)
{
    struct peer *peer = walk->peer;
    if (peer->sending != NULL) {
        uint32_t how = walk_random(12);
        peer_send_done(peer, how == 0   ? -EPIPE
                             : how == 1 ? -EAGAIN
                                        : (int32_t)(1 + walk_random((uint32_t)peer->sending_size)));
    }
}

static void walk_append(struct walk *walk)
{
    static const uint8_t bytes[3000];
    int code = 0;
    struct cmdi_conn *conn = &walk->peer->conn;
    size_t size = 1 + walk_random(sizeof(bytes));
    if (conn->state == CMDI_CONN_OPEN && cmdi_conn_reserve(conn, size, &code) != NULL) {
        walk->peer->now_takes = walk_random(2) == 0 ? 0 : walk_random(3000);
        cmdi_conn_commit(conn, size);
    }
}

static void walk_step(struct walk *walk)
{
    struct cmdi_conn *conn = &walk->peer->conn;
    uint32_t what = walk_random(100);
    bool ends = walk_random(4) == 0; // Else a walk would be short.
    if (what < 30) {
        walk_feed(walk);
    } else if (what < 45) {
        walk_end_recv(walk);
    } else if (what < 55) {
        walk_give_buffers(walk);
    } else if (what < 62) {
        walk_end_watch(walk);
    } else if (what < 72) {
        walk_end_send(walk);
    } else if (what < 80) {
        walk_append(walk);
    } else if (what < 86) {
        cmdi_conn_pause(conn);
    } else if (what < 92) {
        cmdi_conn_resume(conn);
    } else if (what < 94 && ends) {
        cmdi_conn_stop_input(conn);
    } else if (what < 96 && ends) {
        cmdi_conn_finish(conn);
    } else if (what == 96 && ends) {
        cmdi_conn_fail(conn, CMDS_E_LOST, "walked into it");
    } else {
        peer_advance_ms(walk->peer, walk_random(500));
    }
}

/* After everything that is to be run has run. */
static void walk_check(const struct walk *walk)
{
    const struct peer *peer = walk->peer;
    const struct cmdi_conn *conn = &peer->conn;
    CU_ASSERT_FALSE(peer->wrong);
    bool is_receiving = conn->input == CMDI_INPUT_RECEIVING || conn->input == CMDI_INPUT_STOPPING;
    CU_ASSERT_EQUAL(peer->receiving, is_receiving);
    CU_ASSERT_EQUAL(cmdi_work_queued(&conn->more->starve),
            conn->input == CMDI_INPUT_STARVED && conn->state < CMDI_CONN_CLOSED);
    if (conn->state == CMDI_CONN_OPEN && !conn->paused) {
        CU_ASSERT_NOT_EQUAL(conn->input, CMDI_INPUT_IDLE);
    } else if (conn->state == CMDI_CONN_LINGERING) {
        CU_ASSERT(is_receiving || conn->input == CMDI_INPUT_STARVED);
    }
    bool is_over = conn->input == CMDI_INPUT_ENDED || conn->input == CMDI_INPUT_STOPPED;
    if (conn->state == CMDI_CONN_OPEN && (conn->paused || is_over) && !is_receiving) {
        CU_ASSERT(peer->watching || conn->watch == CMDI_WATCH_OVER);
    }
    if (conn->state == CMDI_CONN_OPEN && !conn->paused && is_over) {
        CU_ASSERT_EQUAL(peer->eofs, 1);
    }
    CU_ASSERT(peer->eofs <= 1);
}

/* Whatever has come, however the walk went on, has run once nothing holds it up. */
static void walk_run_rest(struct walk *walk)
{
    struct peer *peer = walk->peer;
    uint64_t whole = 0;
    if (peer->conn.state != CMDI_CONN_OPEN || peer->conn.more->recv_error < 0) {
        return;
    }
    cmdi_conn_resume(&peer->conn);
    peer_advance(peer);
    while (whole < FRAMES && walk->ends[whole] <= walk->fed) {
        whole++;
    }
    CU_ASSERT_EQUAL(peer->frames, whole);
}

static void walk_once(struct walk *walk)
{
    walk->peer = peer_open(&peer_server_ops);
    walk->peer->conn.transport = &peer_watching_transport;
    walk->fed = 0;
    walk->finished = false;
    cmdi_conn_start(&walk->peer->conn);
    for (uint32_t i = 0; i < STEPS && walk->peer->conn.state < CMDI_CONN_CLOSING; i++) {
        walk_step(walk);
        if (walk_random(3) > 0) {
            peer_advance(walk->peer);
            walk_check(walk);
        }
    }
    walk_run_rest(walk);
    peer_free(walk->peer);
}

static void test_conn_walks(void)
{
    static struct walk walk;
    walk.size = peer_mixed_frames(walk.wire, FRAMES);
    for (uint64_t i = 0; i < FRAMES; i++) {
        walk.ends[i] = peer_mixed_frames(walk.wire, i + 1) - ((i + 1) % 3 == 0); // A ping follows.
    }
    for (uint64_t i = 0; i < WALKS; i++) {
        walk_seed = i;
        uint32_t before = CU_get_number_of_failures();
        walk_once(&walk);
        if (CU_get_number_of_failures() > before) {
            (void)fprintf(stderr, "walk %llu\n", (unsigned long long)i);
            return;
        }
    }
}

static CU_TestInfo tests[] = {
        {"walks", test_conn_walks},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_walk", tests)
