/* SPDX-License-Identifier: MIT */
/*
 * A server's connection over a transport that takes its time to open, as one with a handshake does.
 * What may go wrong: the program hears of a peer that is not known yet, of one that never was, or
 * twice of the end of one; one that comes late, or behind another, is not drained or closed.
 */
#include "server/connection.h"

#include <errno.h>

#include "conn/parts.h"
#include "support/acts.h"
#include "support/harness.h"

struct desk {
    struct app app;
    struct cmdi_shard *shard;
    struct cmdi_server_shard *server_shard;
    struct cmds_connection *connection;
    uint32_t closed, empty, drains;
};

/* --- The transport ---------------------------------------------------------------------------- */

static uint32_t received, sent_size;

static int slow_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)conn;
    CU_ASSERT(fd == -1 && address == NULL);
    return 0;
}
static int quick_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)slow_open(conn, fd, address);
    return 1;
}
static void slow_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)conn;
    (void)mode;
    received++;
}
static void slow_nothing(struct cmdi_conn *conn)
{
    (void)conn;
}
static void slow_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)conn;
    (void)data;
    sent_size += (uint32_t)size;
}
static const struct cmdi_transport slow_transport = {
        .open = slow_open,
        .recv = slow_recv,
        .stop_recv = slow_nothing,
        .send = slow_send,
        .shut_write = slow_nothing,
        .abort = cmdi_conn_on_closed,
};

static const struct cmdi_transport quick_transport = {
        .open = quick_open,
        .recv = slow_recv,
        .stop_recv = slow_nothing,
        .send = slow_send,
        .shut_write = slow_nothing,
        .abort = cmdi_conn_on_closed,
};

/* --- A server's part on one shard ------------------------------------------------------------- */

static void desk_on_connection_closed(struct cmdi_server_shard *server_shard)
{
    ((struct desk *)server_shard->owner)->closed++;
}
static void desk_on_empty(struct cmdi_server_shard *server_shard)
{
    ((struct desk *)server_shard->owner)->empty++;
    cmdi_server_shard_end(server_shard);
}
static void desk_drain(struct cmds_connection *connection)
{
    CU_ASSERT_EQUAL(connection->in_flight, 0); // Nothing here calls.
    ((struct desk *)connection->server_shard->owner)->drains++;
}
static const struct cmdi_server_shard_ops desk_ops = {
        .on_connection_closed = desk_on_connection_closed,
        .on_empty = desk_on_empty,
        .drain = desk_drain,
};

static void desk_step(struct desk *desk)
{
    cmdi_shard_step(desk->shard, desk->shard->now_ns);
}

/* With a connection that is being opened. */
static void desk_open(struct desk *desk)
{
    struct cmdi_shard_options shard_options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct cmdi_server_core *core = NULL;
    *desk = (struct desk){.app = {.act = acts_echo}};
    received = sent_size = 0;
    struct cmds_server_options options = acts_options(&desk->app);
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&desk->shard, &shard_options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_server_core_create(&core, &options, NULL), 0);
    desk->server_shard = cmdi_server_shard_create(core, desk->shard, &desk_ops, desk);
    CU_ASSERT_PTR_NOT_NULL_FATAL(desk->server_shard);
    cmdi_server_core_unref(core);
    (void)cmdi_shard_set_current(desk->shard);
    desk->connection = cmdi_connection_open(desk->server_shard, &slow_transport, -1, "slow");
    CU_ASSERT_PTR_NOT_NULL_FATAL(desk->connection);
    desk_step(desk);
    CU_ASSERT_EQUAL(desk->connection->state, CMDI_CONNECTION_NEW);
    CU_ASSERT_EQUAL(desk->connection->conn.state, CMDI_CONN_CONNECTING);
    CU_ASSERT_EQUAL(desk->app.connects + received + sent_size, 0);
}

/* All connections are closed by now, or are with the server's part. */
static void desk_close_all(
        struct desk *desk, uint32_t count, uint32_t connects, uint32_t disconnects)
{
    cmdi_server_shard_close(desk->server_shard);
    desk_step(desk);
    CU_ASSERT_EQUAL(desk->closed, count);
    CU_ASSERT_EQUAL(desk->empty, 1);
    CU_ASSERT_EQUAL(desk->app.connects, connects);
    CU_ASSERT_EQUAL(desk->app.disconnects, disconnects);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(desk->shard);
}

/* Of one connection. */
static void desk_close(struct desk *desk, uint32_t connects, uint32_t disconnects)
{
    desk_close_all(desk, 1, connects, disconnects);
}

static void test_connection_is_told_when_it_is_open(void)
{
    struct desk desk;
    desk_open(&desk);
    cmdi_conn_on_open(&desk.connection->conn, 0);
    desk_step(&desk);
    CU_ASSERT_EQUAL(desk.connection->state, CMDI_CONNECTION_ACCEPTED);
    CU_ASSERT_EQUAL(desk.app.connects, 1);
    CU_ASSERT_EQUAL(received, 1);
    CU_ASSERT(sent_size > 0); // The ServerInfo.
    desk_close(&desk, 1, 1);
    CU_ASSERT_EQUAL(desk.app.cause, CMDS_E_CLOSED);
}

static void test_connection_that_does_not_open_was_never_there(void)
{
    struct desk desk;
    desk_open(&desk);
    cmdi_conn_on_open(&desk.connection->conn, -EPROTO);
    desk_step(&desk);
    CU_ASSERT_EQUAL(desk.closed, 1);
    desk_close(&desk, 0, 0);
}

static void test_connection_that_is_refused_is_not_told_of_its_end(void)
{
    struct desk desk;
    desk_open(&desk);
    desk.app.refuse = true;
    cmdi_conn_on_open(&desk.connection->conn, 0);
    desk_step(&desk);
    CU_ASSERT_EQUAL(desk.closed, 1);
    CU_ASSERT_EQUAL(sent_size, 0);
    desk_close(&desk, 1, 0);
}

static void test_connection_that_opens_may_be_closed(void)
{
    struct desk desk;
    desk_open(&desk);
    desk_close(&desk, 0, 0);
}

/* Drained before it was open: its peer has sent nothing that was received. */
static void test_connection_that_opens_may_be_drained(void)
{
    struct desk desk;
    desk_open(&desk);
    cmdi_server_shard_drain(desk.server_shard);
    desk_step(&desk);
    CU_ASSERT_EQUAL(desk.app.connects, 0);
    CU_ASSERT_EQUAL(desk.drains, 1);
    desk_close(&desk, 0, 0);
}

/* It was under way when its server began to drain. */
static void test_connection_that_comes_late_is_drained(void)
{
    struct desk desk;
    desk_open(&desk);
    cmdi_server_shard_drain(desk.server_shard);
    desk_step(&desk);

    struct cmds_connection *late =
            cmdi_connection_open(desk.server_shard, &quick_transport, -1, "late");
    CU_ASSERT_PTR_NOT_NULL_FATAL(late);
    desk_step(&desk);

    CU_ASSERT_EQUAL_FATAL(late->conn.input, CMDI_INPUT_STOPPING);
    cmdi_conn_on_recv_end(&late->conn, -ECANCELED);
    desk_step(&desk);
    CU_ASSERT_EQUAL(late->state, CMDI_CONNECTION_EOF); // It closes when its output has left.
    desk_close_all(&desk, 2, 1, 1);
}

/* The first one is closed, and a mail for it is under way: both stand in the list. */
static void test_connection_behind_one_that_waits_for_a_mail_is_closed(void)
{
    struct desk desk;
    desk_open(&desk);
    struct cmds_connection *second =
            cmdi_connection_open(desk.server_shard, &quick_transport, -1, "second");
    CU_ASSERT_PTR_NOT_NULL_FATAL(second);
    struct cmdi_inbox *inbox = &desk.connection->inbox;
    cmdi_inbox_lock(inbox);
    cmdi_inbox_post(inbox);
    cmdi_inbox_unlock(inbox);
    cmdi_conn_fail(&desk.connection->conn, CMDS_E_CLOSED, "closed");
    cmdi_conn_run(desk.shard, &desk.connection->conn.ready);
    CU_ASSERT_EQUAL(desk.connection->state, CMDI_CONNECTION_TOLD);
    CU_ASSERT_EQUAL(desk.closed, 0);

    desk_close_all(&desk, 2, 1, 1);
}

static CU_TestInfo test_connection[] = {
        {"is told when it is open", test_connection_is_told_when_it_is_open},
        {"that does not open was never there", test_connection_that_does_not_open_was_never_there},
        {"that is refused is not told of its end",
                test_connection_that_is_refused_is_not_told_of_its_end},
        {"that opens may be closed", test_connection_that_opens_may_be_closed},
        {"that opens may be drained", test_connection_that_opens_may_be_drained},
        {"that comes late is drained", test_connection_that_comes_late_is_drained},
        {"behind one that waits for a mail is closed",
                test_connection_behind_one_that_waits_for_a_mail_is_closed},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("connection", test_connection)
