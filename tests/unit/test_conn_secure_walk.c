/* SPDX-License-Identifier: MIT */
/*
 * A connection with a security layer on random walks: as test_conn_walk.c, but what comes are records,
 * of any size and cut anywhere, some of which bring nothing, ask for an answer, or are none; memory
 * may be short for a while. What must hold after every step: frames come whole and in order, what is
 * sent are whole records of what was appended, in order, and in the end everything was told once and
 * nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/masked.h"

enum {
    WALKS = 3000,
    STEPS = 250,
    FRAMES = 200,
    MARKS = 4 * FRAMES,
    MEMORY = 1 << 22,
};

static uint64_t walk_seed;

static uint32_t walk_random(uint32_t below)
{
    walk_seed = walk_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(walk_seed >> 33) % below;
}

/* So many bytes of the stream carry so many bytes of frames. */
struct mark {
    size_t wire, plain;
};

struct walk {
    struct masked masked;
    struct peer *peer;
    uint8_t frames[PEER_WIRE_MAX];
    size_t frames_size, ends[FRAMES]; // Of each frame.
    uint8_t wire[4 * PEER_WIRE_MAX];  // What comes.
    size_t size, fed, hello_size;
    struct mark marks[MARKS];
    uint32_t mark_count;
    size_t notify_at; // In `wire`; 0: none.
    bool finished;    // The peer's FIN was seen.
    bool is_bad;      // There is something in it that fails the session.
    bool is_short;    // Of memory.
    size_t appended;  // Numbers, as output.
    bool has_ended;   // on_eof was called.
    uint64_t frames_at_end;
};

/* --- What comes ------------------------------------------------------------------------------- */

static void walk_mark(struct walk *walk, const uint8_t *end, size_t plain)
{
    CU_ASSERT_FATAL(walk->mark_count < MARKS);
    walk->marks[walk->mark_count++] = (struct mark){(size_t)(end - walk->wire), plain};
}

/* Something between two records: seldom, what fails it. */
static uint8_t *walk_put_other(struct walk *walk, uint8_t *end)
{
    uint32_t what = walk_random(100);
    if (what < 10) {
        return mask_put(end, MASK_GLITCH, NULL, 0);
    } else if (what < 20) {
        return mask_put(end, MASK_ASK, NULL, 0);
    } else if (what < 22) {
        return mask_put_data(&walk->masked.end, end, NULL, 0);
    } else if (what == 22 && walk_random(8) == 0) {
        walk->is_bad = true;
        return mask_put(end, MASK_ALERT, "!", 1);
    } else if (what == 23 && walk_random(8) == 0) {
        walk->is_bad = true;
        return mask_put(end, MASK_HELLO, "!", 1);
    } else if (what == 24 && walk_random(8) == 0) {
        walk->is_bad = true;
        memset(end, 'G', 10);
        return end + 10;
    }
    return end;
}

static void walk_make(struct walk *walk)
{
    bool is_server = walk->masked.mask.tls.is_server;
    uint8_t *end = walk->wire;
    walk->mark_count = 0;
    walk->is_bad = false;
    for (uint8_t flight = is_server ? 1 : 2; flight <= walk->masked.mask.flights;
            flight = (uint8_t)(flight + 2)) {
        end = mask_put_hello(end, flight, 1 + walk_random(2) * walk_random(3000));
    }
    walk->hello_size = (size_t)(end - walk->wire);
    if (!is_server) {
        end = mask_wrap(&walk->masked.end, end, "\004calc", 5, 1 + walk_random(6));
    }
    walk_mark(walk, end, 0);
    size_t most = walk_random(3) == 0 ? 8000 : walk_random(2) == 0 ? 30 : 300;
    for (size_t at = 0; at < walk->frames_size && walk->mark_count < MARKS;) {
        end = walk_put_other(walk, end);
        size_t left = walk->frames_size - at;
        size_t size = 1 + walk_random((uint32_t)most);
        size = size < left && walk->mark_count < MARKS - 1 ? size : left;
        end = mask_put_data(&walk->masked.end, end, walk->frames + at, size);
        at += size;
        walk_mark(walk, end, at);
    }
    bool notifies = walk_random(2) == 0;
    walk->notify_at = notifies ? (size_t)(end - walk->wire) : 0;
    end = notifies ? mask_put(end, MASK_NOTIFY, NULL, 0) : end;
    end = notifies ? mask_put_data(&walk->masked.end, end, "behind it", 9) : end;
    walk->size = (size_t)(end - walk->wire);
    CU_ASSERT_FATAL(walk->size <= sizeof(walk->wire));
}

/* Bytes come only while a receive is armed, and before the FIN. */
static void walk_feed(struct walk *walk)
{
    size_t left = walk->size - walk->fed;
    size_t size = walk_random(walk_random(4) == 0 ? 6000 : 60);
    size = size < left ? size : left;
    if (walk->peer->receiving && !walk->finished && size > 0) {
        cmdi_conn_feed(&walk->peer->conn, walk->wire + walk->fed, size);
        walk->fed += size;
    }
}

static void walk_end_recv(struct walk *walk)
{
    static const int codes[] = {-EAGAIN, -EAGAIN, -EAGAIN, -EINTR, -EINTR, -ECANCELED, -ENOBUFS,
            -ENOBUFS, -ENOBUFS, -ENOBUFS, -EAGAIN, -EAGAIN, -EAGAIN, -EINTR, -EINTR, 0,
            -ECONNRESET};
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

/* --- What leaves ------------------------------------------------------------------------------ */

static void walk_end_send(struct walk *walk)
{
    struct peer *peer = walk->peer;
    if (peer->sending != NULL) {
        uint32_t how = walk_random(24);
        peer_send_done(peer, how == 0   ? -EPIPE
                             : how == 1 ? -EAGAIN
                                        : (int32_t)(1 + walk_random((uint32_t)peer->sending_size)));
    }
}

static void walk_append(struct walk *walk)
{
    int code = 0;
    struct cmdi_conn *conn = &walk->peer->conn;
    size_t size = 1 + walk_random(walk_random(8) == 0 ? 40000 : 3000);
    uint8_t *out = cmdi_conn_alive(conn) ? cmdi_conn_reserve(conn, size, &code) : NULL;
    if (out == NULL) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(walk->appended++ * 7);
    }
    walk->peer->now_takes = walk_random(2) == 0 ? 0 : walk_random(3000);
    cmdi_conn_commit(conn, size);
}

/* Memory is short, or is not any more; for a while nobody has to go for it. */
static void walk_squeeze(struct walk *walk)
{
    struct cmdi_shard *shard = walk->peer->shard;
    struct cmdi_account *account = &shard->buffers.account;
    shard->relieve_after_ms = shard->now_ms + walk_random(1000);
    walk->is_short = !walk->is_short && walk_random(3) == 0;
    account->size_max = walk->is_short ? account->size + walk_random(100000) : MEMORY;
}

/* --- The walk --------------------------------------------------------------------------------- */

static void walk_end(struct walk *walk, uint32_t how)
{
    struct cmdi_conn *conn = &walk->peer->conn;
    if (how < 2) {
        cmdi_conn_stop_input(conn);
    } else if (how < 4) {
        cmdi_conn_finish(conn);
    } else {
        cmdi_conn_fail(conn, CMDS_E_LOST, "walked into it");
    }
}

static void walk_step(struct walk *walk)
{
    struct cmdi_conn *conn = &walk->peer->conn;
    uint32_t what = walk_random(100);
    if (what < 30) {
        walk_feed(walk);
    } else if (what < 45) {
        walk_end_recv(walk);
    } else if (what < 55) {
        walk_give_buffers(walk);
    } else if (what < 58) {
        walk_end_watch(walk);
    } else if (what < 72) {
        walk_end_send(walk);
    } else if (what < 80) {
        walk_append(walk);
    } else if (what < 85 && conn->state == CMDI_CONN_OPEN) {
        cmdi_conn_pause(conn);
    } else if (what < 92) {
        cmdi_conn_resume(conn);
    } else if (what < 94) {
        walk_squeeze(walk);
    } else if (what < 95 && walk_random(8) == 0) { // Else a walk would be short.
        walk_end(walk, walk_random(5));
    } else {
        peer_advance_ms(walk->peer, walk_random(500));
    }
}

static void walk_check_output(struct walk *walk)
{
    struct masked *masked = &walk->masked;
    size_t before = masked->data_size;
    struct mask_found found = masked_look(masked);
    for (size_t i = before; i < masked->data_size; i++) {
        CU_ASSERT_FATAL(masked->data[i] == (uint8_t)(i * 7));
    }
    CU_ASSERT(masked->data_size <= walk->appended);
    CU_ASSERT(found.notifies <= 1);
    if (found.notifies > 0) { // Only behind everything.
        CU_ASSERT_EQUAL(found.last, MASK_NOTIFY);
        CU_ASSERT_EQUAL(masked->data_size, walk->appended);
    }
}

/* After everything that is to be run has run. */
static void walk_check(struct walk *walk)
{
    const struct peer *peer = walk->peer;
    const struct cmdi_conn *conn = &peer->conn;
    CU_ASSERT_FALSE(peer->wrong);
    bool is_receiving = conn->input == CMDI_INPUT_RECEIVING || conn->input == CMDI_INPUT_STOPPING;
    bool is_open = conn->state == CMDI_CONN_OPEN || conn->state == CMDI_CONN_SERVER_INFO ||
                   conn->state == CMDI_CONN_SECURING;
    bool is_held = conn->paused || conn->lacks_input;
    CU_ASSERT_EQUAL(peer->receiving, is_receiving);
    CU_ASSERT_EQUAL(cmdi_work_queued(&conn->more->starve),
            conn->input == CMDI_INPUT_STARVED && conn->state < CMDI_CONN_CLOSED);
    if (is_open && !is_held) {
        CU_ASSERT_NOT_EQUAL(conn->input, CMDI_INPUT_IDLE);
    } else if (conn->state == CMDI_CONN_LINGERING) {
        CU_ASSERT(is_receiving || conn->input == CMDI_INPUT_STARVED);
    }
    if (is_open && conn->state != CMDI_CONN_SECURING && !is_held) {
        CU_ASSERT_PTR_NULL(conn->secured->raw.data);
    }
    bool is_over = conn->input == CMDI_INPUT_ENDED || conn->input == CMDI_INPUT_STOPPED;
    if (conn->state == CMDI_CONN_OPEN && (conn->paused || is_over) && !is_receiving &&
            !conn->lacks_input) {
        CU_ASSERT(peer->watching || conn->watch == CMDI_WATCH_OVER);
    }
    if (conn->state == CMDI_CONN_OPEN && !is_held && is_over) {
        CU_ASSERT_EQUAL(peer->eofs, 1);
    }
    CU_ASSERT(conn->run_size <= conn->received_size);
    CU_ASSERT(peer->eofs <= 1);
    if (!walk->has_ended) {
        walk->frames_at_end = peer->frames;
        walk->has_ended = peer->eofs > 0;
    }
    CU_ASSERT_EQUAL(peer->frames, walk->frames_at_end); // Nothing runs behind the end.
    walk_check_output(walk);
}

/* Whatever has come, however the walk went on, has run once nothing holds it up. */
static void walk_run_rest(struct walk *walk)
{
    struct peer *peer = walk->peer;
    size_t plain = 0;
    uint64_t whole = 0;
    bool ended = walk->notify_at > 0 && walk->fed > walk->notify_at;
    if (peer->conn.state != CMDI_CONN_OPEN || peer->conn.more->recv_error < 0) {
        return;
    }
    peer->shard->buffers.account.size_max = MEMORY;
    cmdi_conn_resume(&peer->conn);
    peer_advance_ms(peer, 200);
    if (peer->conn.state != CMDI_CONN_OPEN) {
        CU_ASSERT_TRUE(walk->is_bad || walk->is_short || peer->conn.output == CMDI_OUTPUT_BROKEN);
        return;
    }
    for (uint32_t i = 0; i < walk->mark_count && walk->marks[i].wire <= walk->fed; i++) {
        plain = walk->marks[i].plain;
    }
    while (whole < FRAMES && walk->ends[whole] <= plain) {
        whole++;
    }
    CU_ASSERT_EQUAL(peer->frames, whole);
    if (!ended && !peer->conn.secured->cut && peer->conn.more->stash.data == NULL) {
        CU_ASSERT_EQUAL(peer->conn.run_size, peer->conn.received_size);
    }
    (void)peer_send_all(peer);
    walk_check_output(walk);
    // Else it cannot be sealed, or the peer takes nothing any more.
    CU_ASSERT(walk->masked.data_size == walk->appended || walk->is_bad ||
              peer->conn.output == CMDI_OUTPUT_BROKEN);
}

static void walk_once(struct walk *walk)
{
    struct mask *mask = &walk->masked.mask;
    bool is_server = walk_random(2) == 0;
    mask_init(mask, is_server);
    mask->flights = 2 + walk_random(4);
    mask->is_light_at_last = walk_random(2) == 0;
    mask->is_eager = walk_random(4) == 0;
    mask->fails_silently = walk_random(4) == 0;
    mask->fails_in_step = walk_random(10) == 0 ? 1 + walk_random(3) : 0;
    mask->fails_in_open = walk_random(10) == 0 ? 1 + walk_random(30) : 0;
    mask->fails_in_seal = walk_random(10) == 0 ? 1 + walk_random(5) : 0;
    masked_open(&walk->masked, is_server ? &peer_secured_server_ops : &peer_client_ops,
            walk_random(2) == 0 ? CMDS_NEVER : 20000);
    walk->peer = walk->masked.peer;
    walk->peer->conn.transport = &peer_watching_transport;
    walk->peer->shard->buffers.account.size_max = MEMORY;
    walk->fed = walk->appended = 0;
    walk->finished = walk->is_short = walk->has_ended = false;
    walk_make(walk);
    walk->masked.end.sealed = 0;
    walk->is_bad = walk->is_bad || mask->fails_in_step + mask->fails_in_open + mask->fails_in_seal;
    for (uint32_t i = 0; i < STEPS && walk->peer->conn.state < CMDI_CONN_CLOSING; i++) {
        walk_step(walk);
        if (walk_random(3) > 0) {
            peer_advance(walk->peer);
            walk_check(walk);
        }
    }
    walk_run_rest(walk);
    masked_free(&walk->masked);
}

static uint64_t runs_to_the_end;

static void test_walk_secured(void)
{
    static struct walk walk;
    walk.frames_size = peer_mixed_frames(walk.frames, FRAMES);
    for (uint64_t i = 0; i < FRAMES; i++) {
        // A ping follows every third one.
        walk.ends[i] = peer_mixed_frames(walk.frames, i + 1) - ((i + 1) % 3 == 0);
    }
    for (uint64_t i = 0; i < WALKS; i++) {
        walk_seed = i;
        uint32_t before = CU_get_number_of_failures();
        walk_once(&walk);
        runs_to_the_end += walk.peer != NULL && walk.fed == walk.size;
        if (CU_get_number_of_failures() > before) {
            (void)fprintf(stderr, "walk %llu\n", (unsigned long long)i);
            return;
        }
    }
    CU_ASSERT(runs_to_the_end > WALKS / 100); // Else it tries little.
}

static CU_TestInfo tests[] = {
        {"secured", test_walk_secured},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure_walk", tests)
