/* SPDX-License-Identifier: MIT */
/*
 * When a connection that stopped reading at a bound reads on. What may go wrong: it reads beyond its
 * bound, it stops for good, or it stops and goes for every single call.
 */
#include "server/window.h"

#include <string.h>

#include "server/call.h"
#include "support/acts.h"
#include "support/harness.h"

enum {
    IN_FLIGHT = 8,
    KEPT = 1000,
    OUTPUT = 8192,
};

/* Its connection is not reading: with so many calls, so much kept. */
static struct cmds_connection *pause_with(struct cmds_call *call, uint32_t in_flight, size_t kept)
{
    struct cmds_connection *connection = call->connection;
    connection->in_flight = in_flight;
    connection->kept_size = kept;
    cmdi_shard_timer_off(connection->conn.shard, &cmdi_connection_more(connection)->read_on_timer);
    cmdi_conn_pause(&connection->conn);
    return connection;
}

/* As it was: this call alone. */
static int restore(struct cmds_call *call)
{
    struct cmds_connection *connection = pause_with(call, 1, 0);
    cmdi_conn_resume(&connection->conn);
    return acts_answer(call, 1);
}

/* The output comes to its mark. */
static void fill_output(struct cmdi_conn *conn)
{
    int code = 0;
    while (!cmdi_conn_output_high(conn)) {
        uint8_t *out = cmdi_conn_reserve(conn, 100, &code);
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        memset(out, 0, 100); // Pongs.
        cmdi_conn_commit(conn, 100);
    }
}

static void run_on_shard(int (*act)(struct cmds_call *call, const struct act *act))
{
    struct app app = {.act = act};
    struct cmds_server_options options = acts_options(&app);
    options.in_flight_max = IN_FLIGHT;
    options.kept_size_max = KEPT;
    options.output_size_max = OUTPUT;
    struct cmds_test *test = acts_open_with(&options);
    CU_ASSERT_EQUAL(acts_send(test, 1), 0);
    CU_ASSERT_EQUAL(app.runs, 1);
    cmds_test_close(test);
}

static int act_fill(struct cmds_call *call, const struct act *act)
{
    (void)act;
    CU_ASSERT_TRUE(cmdi_window_is_full(pause_with(call, IN_FLIGHT, 0)));
    CU_ASSERT_FALSE(cmdi_window_is_full(pause_with(call, IN_FLIGHT - 1, 0)));
    CU_ASSERT_TRUE(cmdi_window_is_full(pause_with(call, 1, KEPT)));
    CU_ASSERT_FALSE(cmdi_window_is_full(pause_with(call, 1, KEPT - 1)));
    return restore(call);
}

static void test_window_is_full_at_each_bound(void)
{
    run_on_shard(act_fill);
}

/* What becomes of a connection that is paused so. */
static void expect_read_on(
        struct cmds_call *call, uint32_t in_flight, size_t kept, bool reads, bool timer)
{
    struct cmds_connection *connection = pause_with(call, in_flight, kept);
    cmdi_window_read_on(connection);
    CU_ASSERT_EQUAL(!connection->conn.paused, reads);
    CU_ASSERT_EQUAL(cmdi_timer_armed(&cmdi_connection_more(connection)->read_on_timer), timer);
}

static int act_read_on(struct cmds_call *call, const struct act *act)
{
    (void)act;
    expect_read_on(call, IN_FLIGHT, 0, false, false); // The next call that ends sees to it.
    expect_read_on(call, IN_FLIGHT - 1, 0, false, true);
    expect_read_on(call, IN_FLIGHT - IN_FLIGHT / 4, 0, true, false);
    expect_read_on(call, 1, KEPT, false, false);
    expect_read_on(call, 1, KEPT - KEPT / 4 + 1, false, true);
    expect_read_on(call, 1, KEPT - KEPT / 4, true, false);
    return restore(call);
}

static void test_window_reads_on_with_a_quarter_free(void)
{
    run_on_shard(act_read_on);
}

static int act_timer(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct cmds_connection *connection = pause_with(call, IN_FLIGHT - 1, 0);
    struct cmdi_timer *timer = &cmdi_connection_more(connection)->read_on_timer;
    timer->fn(timer, 0);
    CU_ASSERT_FALSE(connection->conn.paused);
    connection = pause_with(call, IN_FLIGHT, 0);
    timer->fn(timer, 0); // Full again since.
    CU_ASSERT_TRUE(connection->conn.paused);
    return restore(call);
}

static void test_window_reads_on_a_moment_later(void)
{
    run_on_shard(act_timer);
}

/* It would never fire if every call that ends moved it. */
static int act_timer_stays(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct cmds_connection *connection = pause_with(call, IN_FLIGHT - 1, 0);
    struct cmdi_shard *shard = connection->conn.shard;
    cmdi_window_read_on(connection);
    uint64_t at_ms = cmdi_connection_more(connection)->read_on_timer.at_ms;
    shard->now_ms++;
    cmdi_window_read_on(connection);
    CU_ASSERT_EQUAL(cmdi_connection_more(connection)->read_on_timer.at_ms, at_ms);
    shard->now_ms--;
    return restore(call);
}

static void test_window_timer_stays_where_it_is(void)
{
    run_on_shard(act_timer_stays);
}

static int act_output(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct cmds_connection *connection = pause_with(call, 1, 0);
    struct cmdi_conn *conn = &connection->conn;
    fill_output(conn);
    conn->above_low = false;
    cmdi_window_read_on(connection);
    CU_ASSERT_TRUE(conn->paused);
    CU_ASSERT_TRUE(conn->above_low); // on_output_low is owed.
    conn->above_low = false;
    cmdi_connection_more(connection)
            ->read_on_timer.fn(&cmdi_connection_more(connection)->read_on_timer, 0);
    CU_ASSERT_TRUE(conn->paused && conn->above_low);

    cmdi_conn_resume(conn);
    conn->above_low = false;
    cmdi_window_hold_back(connection);
    CU_ASSERT_TRUE(conn->paused && conn->above_low);
    (void)pause_with(call, IN_FLIGHT, 0);
    cmdi_window_on_output_low(connection);
    CU_ASSERT_TRUE(conn->paused); // Its calls are at their bound, too.
    (void)pause_with(call, IN_FLIGHT - 1, 0);
    cmdi_window_on_output_low(connection);
    CU_ASSERT_FALSE(conn->paused);
    return restore(call);
}

static void test_window_waits_for_the_output(void)
{
    run_on_shard(act_output);
}

static int act_charge(struct cmds_call *call, const struct act *act)
{
    (void)act;
    struct cmds_connection *connection = pause_with(call, 1, 0);
    struct cmdi_server_shard *server_shard = connection->server_shard;
    struct cmdi_account *account = &server_shard->shard->buffers.account;
    uint64_t used = cmdi_account_used(account);
    uint64_t size_max = account->size_max;
    CU_ASSERT_TRUE(cmdi_window_charge(connection, KEPT));
    CU_ASSERT_EQUAL(cmdi_account_used(account), used + KEPT);
    CU_ASSERT_EQUAL(connection->kept_size, KEPT);
    CU_ASSERT_EQUAL(server_shard->kept_size, KEPT);
    cmdi_window_uncharge(connection, KEPT);
    CU_ASSERT_EQUAL(cmdi_account_used(account), used);
    CU_ASSERT_FALSE(connection->conn.paused); // There is capacity again.
    account->size_max = used;
    CU_ASSERT_FALSE(cmdi_window_charge(connection, KEPT));
    account->size_max = size_max;
    CU_ASSERT_EQUAL(connection->kept_size + server_shard->kept_size, 0);
    return restore(call);
}

static void test_window_counts_what_is_kept(void)
{
    run_on_shard(act_charge);
}

CU_TestInfo test_window[] = {
        {"is full at each bound", test_window_is_full_at_each_bound},
        {"reads on with a quarter free", test_window_reads_on_with_a_quarter_free},
        {"reads on a moment later", test_window_reads_on_a_moment_later},
        {"timer stays where it is", test_window_timer_stays_where_it_is},
        {"waits for the output", test_window_waits_for_the_output},
        {"counts what is kept", test_window_counts_what_is_kept},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("window", test_window)
