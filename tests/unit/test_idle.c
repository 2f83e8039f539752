/* SPDX-License-Identifier: MIT */
/*
 * Idle connections of a server: what they keep, and that what they gave back is there again when it is
 * needed. What may go wrong: one that is in the middle of something rests and forgets it; one never
 * rests; one that wakes without memory goes on with what is everybody's.
 */
#include <errno.h>
#include <string.h>

#include "conn/parts.h"
#include "server/connection.h"
#include "support/acts.h"
#include "support/harness.h"

enum {
    CONNECTIONS = 10000,
    // Of user space, in the shard's account: with its slot of a completion it stays within 512.
    IDLE_SIZE_MAX = 466,
    REST_MS = 1001,
};

struct hall {
    struct app app;
    struct cmdi_shard *shard;
    struct cmdi_server_shard *server_shard;
    uint32_t closed;
};

/* --- A transport that takes everything at once ------------------------------------------------ */

static struct cmds_connection *sending;

static int still_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)conn;
    CU_ASSERT(fd == -1 && address == NULL);
    return 1;
}
static void still_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)conn;
    (void)mode;
}
static void still_nothing(struct cmdi_conn *conn)
{
    (void)conn;
}
static void still_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    sending = cmdi_connection_of(conn);
}
static int closed_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)conn;
    (void)fd;
    (void)address;
    return -ENOMEM;
}
static const struct cmdi_transport closed_transport = {.open = closed_open};
static const struct cmdi_transport still_transport = {
        .open = still_open,
        .recv = still_recv,
        .stop_recv = still_nothing,
        .send = still_send,
        .shut_write = still_nothing,
        .abort = cmdi_conn_on_closed,
};

/* --- A server's part on one shard ------------------------------------------------------------- */

static void hall_on_connection_closed(struct cmdi_server_shard *server_shard)
{
    ((struct hall *)server_shard->owner)->closed++;
}
static void hall_drain(struct cmds_connection *connection)
{
    (void)connection;
}
static const struct cmdi_server_shard_ops hall_ops = {
        .on_connection_closed = hall_on_connection_closed,
        .on_empty = cmdi_server_shard_end,
        .drain = hall_drain,
};

/* Time passes; what is sent has been taken. */
static void hall_advance_ms(struct hall *hall, uint64_t ms)
{
    cmdi_shard_step(hall->shard, hall->shard->now_ns + ms * 1000000);
    while (sending != NULL) {
        struct cmdi_conn *conn = &sending->conn;
        sending = NULL;
        cmdi_conn_on_send(conn, (int32_t)conn->more->send_size);
        cmdi_shard_step(hall->shard, hall->shard->now_ns);
    }
}

static void hall_open(struct hall *hall)
{
    struct cmdi_shard_options shard_options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct cmdi_server_core *core = NULL;
    *hall = (struct hall){.app = {.act = acts_echo}};
    struct cmds_server_options options = acts_options(&hall->app);
    options.idle_timeout_ms = CMDS_NEVER;
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&hall->shard, &shard_options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_server_core_create(&core, &options, NULL), 0);
    hall->server_shard = cmdi_server_shard_create(core, hall->shard, &hall_ops, hall);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hall->server_shard);
    cmdi_server_core_unref(core);
    (void)cmdi_shard_set_current(hall->shard);
    sending = NULL;
    hall_advance_ms(hall, 5000);
}

static void hall_close(struct hall *hall)
{
    cmdi_server_shard_close(hall->server_shard);
    hall_advance_ms(hall, 0);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(hall->shard);
}

static struct cmds_connection *hall_connect(struct hall *hall)
{
    struct cmds_connection *connection =
            cmdi_connection_open(hall->server_shard, &still_transport, -1, "127.0.0.1:54321");
    CU_ASSERT_PTR_NOT_NULL_FATAL(connection);
    hall_advance_ms(hall, 0);
    CU_ASSERT_EQUAL(connection->conn.state, CMDI_CONN_OPEN);
    return connection;
}

/* Sequence 1 of type 0: an act {5, ""}. */
static const uint8_t act_frame[] = {1, 0, 3, 0x92, 5, 0xa0};

static void hall_act(struct hall *hall, struct cmds_connection *connection)
{
    uint32_t runs = hall->app.runs;
    cmdi_conn_feed(&connection->conn, act_frame, sizeof(act_frame));
    hall_advance_ms(hall, 0);
    CU_ASSERT_EQUAL(hall->app.runs, runs + 1);
}

static bool is_resting(const struct cmds_connection *connection)
{
    return cmdi_conn_is_resting(&connection->conn);
}

/* --- What they keep --------------------------------------------------------------------------- */

static uint64_t hall_used(struct hall *hall)
{
    cmdi_account_trim(&hall->shard->buffers.account);
    return cmdi_account_used(&hall->shard->buffers.account);
}

static void test_idle_connections_keep_little(void)
{
    static struct cmds_connection *connections[CONNECTIONS];
    struct hall hall;
    hall_open(&hall);
    uint64_t before = hall_used(&hall);

    for (int i = 0; i < CONNECTIONS; i++) {
        connections[i] = hall_connect(&hall);
    }
    hall_advance_ms(&hall, REST_MS);
    uint64_t greeted = hall_used(&hall) - before;
    for (int i = 0; i < CONNECTIONS; i++) {
        hall_act(&hall, connections[i]);
    }
    hall_advance_ms(&hall, REST_MS);
    uint64_t answered = hall_used(&hall) - before;

    /* A chunk of each pool may be as good as empty; without pools there is an end to what is counted. */
    uint64_t spare = CMDI_POOLS_KEEP_NOTHING ? 0 : 2 * 64 * 1024;
    CU_ASSERT(CMDI_POOLS_KEEP_NOTHING || greeted <= CONNECTIONS * IDLE_SIZE_MAX + spare);
    CU_ASSERT(CMDI_POOLS_KEEP_NOTHING || answered <= CONNECTIONS * IDLE_SIZE_MAX + spare);
    CU_ASSERT_EQUAL(hall.server_shard->more_pool.live, 0);
    hall_close(&hall);
    CU_ASSERT_EQUAL(hall.closed, CONNECTIONS);
}

/* --- One in the middle of something ----------------------------------------------------------- */

static void test_idle_connection_rests_and_answers(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    CU_ASSERT_FALSE(is_resting(connection)); // It has just been greeted.

    for (int i = 0; i < 3; i++) {
        hall_advance_ms(&hall, REST_MS);
        CU_ASSERT_TRUE(is_resting(connection));
        hall_act(&hall, connection);
        CU_ASSERT_FALSE(is_resting(connection));
    }

    hall_close(&hall);
    CU_ASSERT_EQUAL(hall.closed, 1);
}

/* One that is asked again and again does not give back what it needs the next moment. */
static void test_idle_connection_that_is_asked_stays_awake(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    struct cmdi_conn_more *more = connection->conn.more;

    for (int i = 0; i < 10; i++) {
        hall_advance_ms(&hall, REST_MS - 2);
        CU_ASSERT_PTR_EQUAL(connection->conn.more, more);
        hall_act(&hall, connection);
    }

    hall_close(&hall);
}

static void test_idle_connection_keeps_a_part_of_a_frame(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall_advance_ms(&hall, REST_MS);

    cmdi_conn_feed(&connection->conn, act_frame, 4);
    hall_advance_ms(&hall, 2 * REST_MS);
    CU_ASSERT_FALSE(is_resting(connection));
    cmdi_conn_feed(&connection->conn, act_frame + 4, sizeof(act_frame) - 4);
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.app.runs, 1);
    hall_advance_ms(&hall, REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));

    hall_close(&hall);
}

static int act_keep(struct cmds_call *call, const struct act *act)
{
    struct app *app = cmds_call_receiver(call);
    (void)act;
    app->kept = cmds_call_ref(call);
    return 0;
}

static void test_idle_connection_keeps_its_calls(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall.app.act = act_keep;
    hall_act(&hall, connection);

    hall_advance_ms(&hall, 3 * REST_MS);
    CU_ASSERT_FALSE(is_resting(connection));
    CU_ASSERT_EQUAL(acts_answer(hall.app.kept, 1), 0);
    cmds_call_unref(hall.app.kept);
    hall_advance_ms(&hall, 0);
    hall_advance_ms(&hall, 4 * REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));

    hall_close(&hall);
}

/* A hundred thousand that wait for news are not a hundred thousand timers a second. */
static void test_idle_connection_that_waits_is_looked_at_seldom(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall.app.act = act_keep;
    hall_act(&hall, connection);
    uint32_t looks = 0;

    for (uint64_t at_ms = 0, ms = 0; ms < 100 * REST_MS; ms++) {
        hall_advance_ms(&hall, 1);
        looks += connection->conn.timer.at_ms != at_ms;
        at_ms = connection->conn.timer.at_ms;
    }
    CU_ASSERT(looks > 0 && looks < 20);
    CU_ASSERT_FALSE(is_resting(connection));
    CU_ASSERT_EQUAL(acts_answer(hall.app.kept, 1), 0);
    cmds_call_unref(hall.app.kept);
    hall_advance_ms(&hall, 0);
    hall_advance_ms(&hall, 31 * REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));

    hall_close(&hall);
}

/* Nobody looks at what a peer takes that may take its time: for that none stays awake. */
static void test_idle_connection_rests_without_a_limit_of_writing(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    struct cmdi_conn_limits limits = *connection->conn.limits;
    limits.write_timeout_ms = CMDS_NEVER;
    connection->conn.limits = &limits;

    hall_act(&hall, connection);
    hall_advance_ms(&hall, REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));
    hall_act(&hall, connection);
    hall_advance_ms(&hall, REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));

    hall_close(&hall);
}

/* What a call has waited for may be queued longer than the call lives: memory that nobody gives back. */
static void test_idle_connection_rests_whatever_its_calls_have_waited_for(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall.app.act = act_keep;
    hall_act(&hall, connection);
    struct cmdi_connection_more *more = cmdi_connection_more(connection);

    cmdi_shard_refused(hall.shard, &more->memory_work);
    cmdi_shard_timer(hall.shard, &more->read_on_timer, hall.shard->now_ms + 10 * REST_MS);
    cmds_call_unref(hall.app.kept); // Without an answer: nothing is leased, and given back, for it.
    hall_advance_ms(&hall, 2 * REST_MS);
    CU_ASSERT_TRUE(is_resting(connection));
    CU_ASSERT_TRUE(cmdi_list_empty(&hall.shard->refused));

    hall_close(&hall);
}

/* A call that is kept outlives its connection, and what that has. */
static void test_idle_calls_outlive_their_connection(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall.app.act = act_keep;
    hall_act(&hall, connection);

    cmdi_conn_fail(&connection->conn, CMDS_E_CLOSED, "closed");
    hall_advance_ms(&hall, REST_MS);
    CU_ASSERT_EQUAL(hall.closed, 1);
    CU_ASSERT_EQUAL(hall.server_shard->more_pool.live, 1);
    cmds_call_unref(hall.app.kept);
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.server_shard->more_pool.live, 0);

    hall_close(&hall);
}

/* --- The end of one that rests ---------------------------------------------------------------- */

static void test_idle_connection_ends_as_others_do(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *failed = hall_connect(&hall);
    struct cmds_connection *left = hall_connect(&hall);
    struct cmds_connection *drained = hall_connect(&hall);
    hall_advance_ms(&hall, REST_MS);
    CU_ASSERT_TRUE(is_resting(failed) && is_resting(left) && is_resting(drained));

    cmdi_conn_fail(&failed->conn, CMDS_E_CLOSED, "closed");
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.closed, 1);
    cmdi_conn_on_recv_end(&left->conn, 0); // Its peer's FIN.
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.app.cause, CMDS_E_EOF);
    CU_ASSERT_EQUAL(hall.closed, 2);
    cmdi_server_shard_drain(hall.server_shard);
    hall_advance_ms(&hall, 0);
    cmdi_conn_on_recv_end(&drained->conn, -ECANCELED);
    hall_advance_ms(&hall, 0);
    hall_advance_ms(&hall, 60000); // Its peer never closes.
    CU_ASSERT_EQUAL(hall.closed, 3);
    CU_ASSERT_EQUAL(hall.app.cause, CMDS_E_DRAINING);

    hall_close(&hall);
}

/* No timer of it fires in what is another's memory by then. */
static void test_idle_connection_that_never_opened_leaves_nothing(void)
{
    struct hall hall;
    hall_open(&hall);

    CU_ASSERT_PTR_NULL(
            cmdi_connection_open(hall.server_shard, &closed_transport, -1, "127.0.0.1:54321"));
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&hall.shard->timers), CMDI_TIMER_NONE);
    CU_ASSERT_EQUAL(hall.server_shard->more_pool.live, 0);
    CU_ASSERT_EQUAL(hall.server_shard->connection_pool.live, 0);
    struct cmds_connection *connection = hall_connect(&hall);
    hall_advance_ms(&hall, REST_MS);
    hall_act(&hall, connection);

    hall_close(&hall);
}

/* What has come cannot be run: the connection says so, and ends. */
static void test_idle_connection_that_cannot_wake_ends(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *asked = hall_connect(&hall);
    struct cmds_connection *left = hall_connect(&hall);
    hall_advance_ms(&hall, REST_MS);
    (void)hall_used(&hall); // The pool keeps nothing.
    hall.shard->buffers.account.size_max = 1;

    cmdi_conn_feed(&asked->conn, act_frame, sizeof(act_frame));
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.app.runs, 0);
    CU_ASSERT_EQUAL(hall.app.cause, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(hall.closed, 1);
    hall.app.cause = 0;
    cmdi_conn_on_recv_end(&left->conn, 0);
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.app.cause, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(hall.closed, 2);

    hall_close(&hall);
}

/* A drain of many that rest must not need the memory of as many that are busy. */
static void test_idle_connection_that_cannot_wake_is_drained_all_the_same(void)
{
    struct hall hall;
    hall_open(&hall);
    struct cmds_connection *connection = hall_connect(&hall);
    hall_advance_ms(&hall, REST_MS);
    (void)hall_used(&hall); // The pool keeps nothing.
    hall.shard->buffers.account.size_max = 1;

    cmdi_server_shard_drain(hall.server_shard);
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL_FATAL(hall.closed, 0); // What has come until its receive has ended is run.
    cmdi_conn_on_recv_end(&connection->conn, -ECANCELED);
    hall_advance_ms(&hall, 0);
    CU_ASSERT_EQUAL(hall.closed, 1);
    CU_ASSERT_EQUAL(hall.app.cause, CMDS_E_DRAINING);
    CU_ASSERT_EQUAL(atomic_load(&hall.server_shard->cut_code), 0);

    hall_close(&hall);
}

CU_TestInfo test_idle[] = {
        {"connections keep little", test_idle_connections_keep_little},
        {"connection rests and answers", test_idle_connection_rests_and_answers},
        {"connection that is asked stays awake", test_idle_connection_that_is_asked_stays_awake},
        {"connection keeps a part of a frame", test_idle_connection_keeps_a_part_of_a_frame},
        {"connection keeps its calls", test_idle_connection_keeps_its_calls},
        {"connection that waits is looked at seldom",
                test_idle_connection_that_waits_is_looked_at_seldom},
        {"connection rests without a limit of writing",
                test_idle_connection_rests_without_a_limit_of_writing},
        {"connection rests whatever its calls have waited for",
                test_idle_connection_rests_whatever_its_calls_have_waited_for},
        {"calls outlive their connection", test_idle_calls_outlive_their_connection},
        {"connection ends as others do", test_idle_connection_ends_as_others_do},
        {"connection that never opened leaves nothing",
                test_idle_connection_that_never_opened_leaves_nothing},
        {"connection that cannot wake ends", test_idle_connection_that_cannot_wake_ends},
        {"connection that cannot wake is drained all the same",
                test_idle_connection_that_cannot_wake_is_drained_all_the_same},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("idle", test_idle)
