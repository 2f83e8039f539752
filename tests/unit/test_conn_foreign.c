/* SPDX-License-Identifier: MIT */
/*
 * What other threads append to a connection, also while it closes: everything that was accepted is
 * told, in the order of each thread; nothing is accepted behind the end; and the memory stays while
 * a message about it is under way.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "conn/input.h"
#include "support/harness.h"
#include "support/peer.h"

struct foreign_record {
    uint32_t thread;
    uint32_t filler; // Bytes that follow.
    uint64_t number;
};

static void on_foreign(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    while (size > 0) {
        struct foreign_record record;
        memcpy(&record, data, sizeof(record));
        peer->wrong = peer->wrong || record.number != peer->foreign_next[record.thread];
        peer->foreign_next[record.thread]++;
        data += sizeof(record) + record.filler;
        size -= sizeof(record) + record.filler;
    }
}

static const struct cmdi_conn_ops foreign_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_foreign = on_foreign,
        .on_eof = peer_on_eof,
        .on_closing = peer_on_closing,
        .on_closed = peer_on_closed,
};

struct foreign_thread {
    struct peer *peer;
    uint32_t index;
    pthread_t thread;
    uint64_t accepted;
    int error; // Of the first that was refused.
};

enum {
    FOREIGN_THREADS = 4,
    FOREIGN_RECORDS = 20000,
};

static void *foreign_main(void *argument)
{
    struct foreign_thread *thread = argument;
    bool declined = false;
    while (thread->accepted < FOREIGN_RECORDS) {
        struct foreign_record record = {
                thread->index, (uint32_t)(thread->accepted % 50), thread->accepted};
        size_t size = sizeof(record) + record.filler;
        int error = 0;
        uint8_t *out = cmdi_conn_foreign_reserve(&thread->peer->conn, size, &error);
        if (out == NULL && error == -ENOBUFS) {
            continue; // The bound: the shard takes it.
        }
        if (out == NULL) {
            thread->error = error;
            break;
        }
        if (thread->accepted % 100 == 7 && !declined) {
            cmdi_conn_foreign_commit(&thread->peer->conn, 0); // Thought better of it.
            declined = true;
            continue;
        }
        memcpy(out, &record, sizeof(record));
        memset(out + sizeof(record), 0, record.filler);
        cmdi_conn_foreign_commit(&thread->peer->conn, size);
        thread->accepted++;
        declined = false;
    }
    return NULL;
}

static uint64_t foreign_total(const struct peer *peer)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        total += peer->foreign_next[i];
    }
    return total;
}

/* Four threads peer_append; the connection closes when `close_after` records have come. */
static void foreign_race(uint64_t close_after)
{
    struct foreign_thread threads[FOREIGN_THREADS];
    struct peer *peer = peer_open(&foreign_ops);
    uint64_t accepted = 0;
    peer->limits.output_size_max = 64 * 1024;
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        threads[i] = (struct foreign_thread){.peer = peer, .index = i};
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&threads[i].thread, NULL, foreign_main, &threads[i]), 0);
    }

    while (foreign_total(peer) < close_after) {
        peer_advance(peer);
    }
    if (close_after < FOREIGN_THREADS * FOREIGN_RECORDS) {
        cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "closed under them");
    }
    for (uint32_t i = 0; i < FOREIGN_THREADS; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        accepted += threads[i].accepted;
        CU_ASSERT_EQUAL(
                threads[i].error, threads[i].accepted < FOREIGN_RECORDS ? CMDS_E_CLOSED : 0);
    }
    peer_advance(peer);

    CU_ASSERT_EQUAL(foreign_total(peer), accepted); // What was accepted is told, also at the end.
    CU_ASSERT_TRUE(cmdi_conn_foreign_idle(&peer->conn));
    peer->closeds = peer->conn.state == CMDI_CONN_CLOSED; // Once more for each late message.
    peer_free(peer);
}

static void test_conn_foreign_appends_keep_their_order(void)
{
    foreign_race(FOREIGN_THREADS * FOREIGN_RECORDS);
}

static void test_conn_foreign_appends_end_with_the_connection(void)
{
    for (uint64_t close_after = 0; close_after < 2000; close_after += 100) {
        foreign_race(close_after);
    }
}

static void test_conn_tells_its_end_again_behind_a_message(void)
{
    struct peer *peer = peer_open(&foreign_ops);
    struct foreign_record record = {0};
    int error = 0;
    uint8_t *out = cmdi_conn_foreign_reserve(&peer->conn, sizeof(record), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, &record, sizeof(record));
    cmdi_conn_foreign_commit(&peer->conn, sizeof(record));
    cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "closed");

    cmdi_conn_run(peer->shard, &peer->conn.ready); // Before the mailbox is looked at.

    CU_ASSERT_EQUAL(peer->closeds, 1);
    CU_ASSERT_FALSE(cmdi_conn_foreign_idle(&peer->conn)); // So the memory has to stay.
    CU_ASSERT_PTR_NULL(cmdi_conn_foreign_reserve(&peer->conn, 8, &error));
    CU_ASSERT_EQUAL(error, CMDS_E_CLOSED);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->closeds, 2);
    CU_ASSERT_TRUE(cmdi_conn_foreign_idle(&peer->conn));
    CU_ASSERT_EQUAL(peer->foreign_next[0], 1);
    peer->closeds = 1;
    peer_free(peer);
}

static void test_conn_finish_takes_what_others_appended(void)
{
    struct peer *peer = peer_open(&foreign_ops);
    struct foreign_record record = {0};
    int error = 0;
    uint8_t *out = cmdi_conn_foreign_reserve(&peer->conn, sizeof(record), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, &record, sizeof(record));
    cmdi_conn_foreign_commit(&peer->conn, sizeof(record));

    cmdi_conn_finish(&peer->conn);

    CU_ASSERT_EQUAL(peer->foreign_next[0], 1);
    peer_advance(peer);
    peer_free(peer);
}

enum {
    BOUND = 64 * 1024,
    RECORD = 1000
};

/* Other threads append until they are refused. Returns: bytes that wait there. */
static size_t foreign_fill(struct peer *peer)
{
    int error = 0;
    struct foreign_record record = {.filler = RECORD - sizeof(record)};
    uint8_t *out = NULL;
    while ((out = cmdi_conn_foreign_reserve(&peer->conn, RECORD, &error)) != NULL) {
        memset(out, 0, RECORD);
        record.number = peer->foreign_next[3]++; // Only numbers them.
        memcpy(out, &record, sizeof(record));
        cmdi_conn_foreign_commit(&peer->conn, RECORD);
    }
    CU_ASSERT_EQUAL(error, -ENOBUFS);
    return atomic_load(&peer->conn.foreign_size);
}

static size_t own_fill(struct peer *peer)
{
    int error = 0;
    uint8_t *out = NULL;
    while ((out = cmdi_conn_reserve(&peer->conn, RECORD, &error)) != NULL) {
        memset(out, 0, RECORD);
        cmdi_conn_commit(&peer->conn, RECORD);
    }
    CU_ASSERT_EQUAL(error, -ENOBUFS);
    return cmdi_conn_output_size(&peer->conn);
}

static void on_foreign_output(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct peer *peer = peer_of(conn);
    if (peer->busy) {
        (void)foreign_fill(peer); // What is taken is neither here nor there, and still counts.
    }
    uint8_t *out = cmdi_conn_reserve_beyond(conn, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, data, size);
    cmdi_conn_commit(conn, size);
}

/* The bound is one for the shard and the others, whoever comes first, also while some is taken. */
static void foreign_bound(bool own_first)
{
    struct cmdi_conn_ops ops = foreign_ops;
    ops.on_foreign = on_foreign_output;
    struct peer *peer = peer_open(&ops);
    peer->limits.output_size_max = BOUND;
    peer->conn.hold_output = true;

    size_t own = own_first ? own_fill(peer) : 0;
    size_t foreign = foreign_fill(peer);
    own = own_fill(peer);
    CU_ASSERT(own + foreign >= BOUND / 2);
    CU_ASSERT(own + foreign <= BOUND + 2 * RECORD);
    peer->busy = true;
    cmdi_conn_foreign_take(&peer->conn);
    peer->busy = false;
    CU_ASSERT_EQUAL(cmdi_conn_output_size(&peer->conn), own + foreign);
    foreign = foreign_fill(peer);
    own = own_fill(peer);
    CU_ASSERT(own + foreign <= BOUND + 2 * RECORD);

    peer->conn.hold_output = false;
    cmdi_shard_flush(peer->shard, &peer->conn.flush);
    (void)peer_send_all(peer);
    CU_ASSERT(foreign_fill(peer) >= BOUND / 2 - RECORD); // There is room for them again.
    peer_advance(peer);
    (void)peer_send_all(peer);
    peer_free(peer);
}

static void test_conn_foreign_shares_the_bound_with_the_shard(void)
{
    foreign_bound(false);
    foreign_bound(true);
}

/* While the shard has not taken what waits there, its memory counts; an idle one has none. */
static void test_conn_foreign_memory_is_counted(void)
{
    struct peer *peer = peer_open(&foreign_ops);
    struct cmdi_account *account = &peer->shard->buffers.account;
    peer->limits.output_size_max = BOUND;
    int error = 0;

    size_t foreign = foreign_fill(peer);
    CU_ASSERT(cmdi_account_used(account) >= foreign);
    memset(peer->foreign_next, 0, sizeof(peer->foreign_next));
    peer_advance(peer);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0);

    account->size_max = 4096; // Others are refused at the shard's bound, for now.
    CU_ASSERT_PTR_NULL(cmdi_conn_foreign_reserve(&peer->conn, 5000, &error));
    CU_ASSERT_EQUAL(error, -ENOBUFS);
    account->size_max = 1 << 20;
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_conn_foreign_reserve(&peer->conn, 5000, &error));
    cmdi_conn_foreign_commit(&peer->conn, 0);
    cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "closed");
    peer_advance(peer);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0); // A closed one neither.
    peer_free(peer);
}

CU_TestInfo test_conn_foreign[] = {
        {"appends keep their order", test_conn_foreign_appends_keep_their_order},
        {"appends end with the connection", test_conn_foreign_appends_end_with_the_connection},
        {"tells its end again behind a message", test_conn_tells_its_end_again_behind_a_message},
        {"finish takes what others appended", test_conn_finish_takes_what_others_appended},
        {"shares the bound with the shard", test_conn_foreign_shares_the_bound_with_the_shard},
        {"memory is counted", test_conn_foreign_memory_is_counted},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_foreign", test_conn_foreign)
