/* SPDX-License-Identifier: MIT */
/*
 * A client without a network: over a transport that keeps what is sent, on a shard whose clock
 * somebody moves. A command could end twice or never, a refused one could be called back, a place in
 * the window could be lost with a command that ended early, and bytes that did not come through the
 * shard's buffers could count as silence. One thread.
 */
#include "client/life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/finish.h"
#include "client/inbox.h"
#include "client/room.h"
#include "client/send.h"
#include "ring/socket.h"
#include "support/harness.h"

enum {
    WINDOW = 3,
    IDLE = 1000,
    INTERVAL = 100,
    NEVER = -1, // Instead of a deadline.
};

struct ask {
    struct cmds_bytes data;
};
struct done {
    struct cmds_bytes data;
};
struct part {
    struct cmds_bytes data;
};
CMDS_COMMAND(ask, 0, data);
CMDS_RESULT(done, 0, data);
CMDS_RESULT_NEVER_LAST(part, 1, data);
static const struct cmds_type *const results[] = {&done_type, &part_type};

/** What became of one command. */
struct outcome {
    struct rig *rig;
    uint32_t results, lasts;
    int code;
    char text[128];
    bool sends_again; // Inside its last callback.
    int again_code;
};

struct rig {
    struct cmdi_shard *shard;
    struct cmdi_client_shard client_shard;
    struct cmdi_client client;
    struct cmdi_client_config config;
    struct cmdi_type_table results;
    struct cmdi_tickets tickets;
    struct cmdi_list forgotten;
    bool opening, receiving, sending, aborted;
    uint64_t sent_size; // By the transport.
    int holds;
    uint32_t ups, downs, closeds, idles, rooms, unexpected;
};

static struct rig *rig_of_conn(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct rig, client.conn);
}

static struct rig *rig_of(struct cmdi_client_shard *client_shard)
{
    return CMDI_CONTAINER(client_shard, struct rig, client_shard);
}

/* --- A transport ------------------------------------------------------------------------------ */

static int fake_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)address;
    cmdi_fd_close(fd);
    rig_of_conn(conn)->opening = true;
    return 0;
}

static void fake_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)mode;
    rig_of_conn(conn)->receiving = true;
}

static void fake_stop_recv(struct cmdi_conn *conn)
{
    (void)conn;
}

static void fake_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)data;
    rig_of_conn(conn)->sending = true;
    rig_of_conn(conn)->sent_size += size;
}

static int64_t fake_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)data;
    rig_of_conn(conn)->sent_size += size;
    return (int64_t)size;
}

static void fake_abort(struct cmdi_conn *conn)
{
    rig_of_conn(conn)->aborted = true;
}

static const struct cmdi_transport fake_transport = {
        .open = fake_open,
        .recv = fake_recv,
        .stop_recv = fake_stop_recv,
        .send = fake_send,
        .send_now = fake_send_now,
        .shut_write = fake_stop_recv,
        .abort = fake_abort,
};

/* --- A group ---------------------------------------------------------------------------------- */

static void rig_on_state(struct cmdi_client *client, bool connected)
{
    struct rig *rig = rig_of(client->client_shard);
    rig->ups += connected;
    rig->downs += !connected;
}

static void rig_on_unexpected(struct cmdi_client *client, const struct cmds_result *result)
{
    (void)result;
    rig_of(client->client_shard)->unexpected++;
}

static void rig_on_room(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->rooms++;
}

static void rig_on_idle(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->idles++;
}

static void rig_on_closed(struct cmdi_client *client)
{
    rig_of(client->client_shard)->closeds++;
}

static void rig_hold(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->holds++;
}

static void rig_release(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->holds--;
}

static const struct cmdi_client_ops rig_ops = {
        .on_state = rig_on_state,
        .on_unexpected = rig_on_unexpected,
        .on_room = rig_on_room,
        .on_idle = rig_on_idle,
        .on_closed = rig_on_closed,
        .hold = rig_hold,
        .release = rig_release,
};

/* --- Driving ---------------------------------------------------------------------------------- */

static void rig_advance_ms(struct rig *rig, uint64_t ms)
{
    (void)cmdi_shard_step(rig->shard, rig->shard->now_ns + ms * 1000000);
    while (rig->sending && !rig->aborted) {
        rig->sending = false;
        cmdi_conn_on_send(&rig->client.conn, (int32_t)rig->client.conn.send_size);
        (void)cmdi_shard_step(rig->shard, rig->shard->now_ns);
    }
}

static void rig_feed(struct rig *rig, const void *data, size_t size)
{
    cmdi_conn_feed(&rig->client.conn, data, size);
    rig_advance_ms(rig, 0);
}

/* A result without data: sequence, type, size. */
static void rig_answer(struct rig *rig, uint8_t sequence, const struct cmds_type *type)
{
    const uint8_t frame[] = {sequence, (uint8_t)type->number, 0};
    rig_feed(rig, frame, sizeof(frame));
}

/* What was in flight ends, after the connection was given up. */
static void rig_end_operations(struct rig *rig)
{
    struct cmdi_conn *conn = &rig->client.conn;
    rig_advance_ms(rig, 0);
    if (!rig->client.conn_live) {
        return;
    }
    CU_ASSERT_TRUE_FATAL(rig->aborted);
    if (rig->sending) {
        cmdi_conn_on_send(conn, -ECANCELED);
    }
    if (rig->receiving) {
        cmdi_conn_on_recv_end(conn, -ECANCELED);
    }
    if (rig->opening) {
        cmdi_conn_on_open(conn, -ECANCELED);
    }
    rig->sending = rig->receiving = rig->opening = rig->aborted = false;
    cmdi_conn_on_closed(conn);
    rig_advance_ms(rig, 0);
}

static struct rig *rig_open(void)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .no_ring = true, .memory_size_max = 1 << 30};
    struct rig *rig = calloc(1, sizeof(*rig));
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig);
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&rig->shard, &options, NULL), 0);
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(rig->shard));
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&rig->results, results, 2), 0);
    cmdi_tickets_init(&rig->tickets);
    cmdi_list_init(&rig->forgotten);
    rig->config = (struct cmdi_client_config){
            .ops = &rig_ops,
            .codec = &cmds_codec_raw,
            .results = &rig->results,
            .tickets = &rig->tickets,
            .transport = &fake_transport,
            .connect = "nowhere",
            .server_info = {"info", 4},
            .limits = {.frame_size_max = 1 << 20,
                    .output_size_max = 1 << 20,
                    .server_info_timeout_ms = CMDS_NEVER,
                    .frame_timeout_ms = CMDS_NEVER,
                    .write_timeout_ms = CMDS_NEVER,
                    .idle_timeout_ms = CMDS_NEVER,
                    .linger_timeout_ms = CMDS_NEVER},
            .decode_size_max = 1 << 20,
            .in_flight_max = WINDOW,
            .connect_timeout_ms = CMDS_NEVER,
            .keepalive_ms = IDLE,
            .keepalive_interval_ms = INTERVAL,
    };
    cmdi_client_shard_init(&rig->client_shard, rig->shard, &rig->config);
    cmdi_client_init(&rig->client, &rig->client_shard, 0);
    rig_advance_ms(rig, 1000000);
    return rig;
}

static void rig_connect(struct rig *rig)
{
    struct cmdi_address address;
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve("127.0.0.1:1", &address, 1, NULL), 1);
    struct cmdi_targets *targets = cmdi_targets_create("nowhere", &address, 1, NULL);
    cmdi_client_connect(&rig->client, targets);
    cmdi_targets_unref(targets);
    CU_ASSERT_TRUE_FATAL(rig->opening);
    rig->opening = false;
    cmdi_conn_on_open(&rig->client.conn, 0);
    rig_feed(rig, "\004info", 5);
    CU_ASSERT_EQUAL_FATAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    CU_ASSERT_EQUAL(rig->ups, 1);
}

static struct rig *rig_connected(void)
{
    struct rig *rig = rig_open();
    rig_connect(rig);
    return rig;
}

static uint64_t rig_pending(struct rig *rig)
{
    return atomic_load(&rig->client_shard.pending) + atomic_load(&rig->client.queued);
}

/* Closes it; everything that was accepted has ended then. */
static void rig_free(struct rig *rig)
{
    cmdi_client_close(&rig->client, 0);
    rig_end_operations(rig);
    CU_ASSERT_EQUAL(rig->closeds, 1);
    CU_ASSERT_EQUAL(rig->downs, 1);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    CU_ASSERT_EQUAL(rig->client_shard.pool.live, 0);
    CU_ASSERT_EQUAL(rig->tickets.count, 0);
    CU_ASSERT_EQUAL(rig->holds, 0);
    cmdi_client_fini(&rig->client);
    cmdi_client_shard_fini(&rig->client_shard);
    cmdi_tickets_fini(&rig->tickets);
    cmdi_type_table_fini(&rig->results);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(rig->shard);
    free(rig);
}

static void outcome_take(void *context, const struct cmds_result *result);

static struct cmdi_command command_for(struct outcome *outcome, int deadline_ms)
{
    static const struct ask ask = {{"question", 8}};
    return (struct cmdi_command){
            .type = &ask_type,
            .value = &ask,
            .body_size = 8,
            .on_result = outcome_take,
            .context = outcome,
            .deadline_ms = deadline_ms == NEVER
                                   ? UINT64_MAX
                                   : outcome->rig->shard->now_ms + (uint64_t)deadline_ms,
    };
}

static int ask_by(struct outcome *outcome, int deadline_ms)
{
    struct cmdi_command command = command_for(outcome, deadline_ms);
    return cmdi_client_send(&outcome->rig->client, &command);
}

static int ask_from_elsewhere(struct outcome *outcome)
{
    struct cmdi_command command = command_for(outcome, NEVER);
    return cmdi_client_send_foreign(&outcome->rig->client, &command);
}

static void outcome_take(void *context, const struct cmds_result *result)
{
    struct outcome *outcome = context;
    outcome->results++;
    outcome->lasts += result->last;
    outcome->code = result->error;
    (void)snprintf(outcome->text, sizeof(outcome->text), "%s", result->text);
    if (result->last && outcome->sends_again) {
        outcome->sends_again = false;
        outcome->again_code = ask_by(outcome, NEVER);
    }
}

#define EXPECT_ENDED(outcome, expected)                                                            \
    do {                                                                                           \
        CU_ASSERT_EQUAL((outcome).lasts, 1);                                                       \
        CU_ASSERT_EQUAL((outcome).code, (expected));                                               \
    } while (0)

/* --- Ends ------------------------------------------------------------------------------------- */

static void test_client_results_end_with_the_last(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};

    CU_ASSERT_EQUAL(ask_by(&outcome, NEVER), 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 1);
    rig_answer(rig, 1, &part_type);
    rig_answer(rig, 1, &part_type);
    CU_ASSERT_EQUAL(outcome.results, 2);
    CU_ASSERT_EQUAL(outcome.lasts, 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 1);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(outcome.results, 3);
    EXPECT_ENDED(outcome, 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    CU_ASSERT_EQUAL(rig->client_shard.counters.results_received, 3);
    rig_answer(rig, 1, &done_type); // Once more: nobody waits for it.
    CU_ASSERT_EQUAL(outcome.results, 3);
    CU_ASSERT_EQUAL(rig->unexpected, 1);
    rig_free(rig);
}

static void test_client_unknown_result_is_an_end(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};

    CU_ASSERT_EQUAL(ask_by(&outcome, NEVER), 0);
    rig_feed(rig, (const uint8_t[]){1, 9, 2, 'h', 'i'}, 5);
    EXPECT_ENDED(outcome, CMDS_E_UNKNOWN_RESULT);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    rig_free(rig);
}

static void test_client_deadline_ends_once_and_keeps_the_place(void)
{
    struct rig *rig = rig_connected();
    struct outcome early[WINDOW], late = {.rig = rig};
    for (int i = 0; i < WINDOW; i++) {
        early[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(ask_by(&early[i], 10), 0);
    }
    CU_ASSERT_EQUAL(ask_by(&late, NEVER), -ENOBUFS); // The window is full...

    rig_advance_ms(rig, 9);
    CU_ASSERT_EQUAL(early[0].results, 0);
    rig_advance_ms(rig, 1);
    for (int i = 0; i < WINDOW; i++) {
        EXPECT_ENDED(early[i], CMDS_E_TIMEOUT);
    }
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(ask_by(&late, NEVER), -ENOBUFS); // ...and stays so: the server still works.
    CU_ASSERT_FALSE(cmdi_client_has_room(&rig->client, CMDI_ROOM_HERE, 8));

    rig->client_shard.wants_room = true;
    rig_answer(rig, 2, &done_type);
    EXPECT_ENDED(early[1], CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(rig->unexpected, 1);
    CU_ASSERT_EQUAL(rig->client_shard.counters.unexpected_results, 1);
    CU_ASSERT_EQUAL(rig->rooms, 1);
    CU_ASSERT_TRUE(cmdi_client_has_room(&rig->client, CMDI_ROOM_HERE, 8));
    CU_ASSERT_EQUAL(ask_by(&late, NEVER), 0);
    rig_answer(rig, 4, &done_type);
    EXPECT_ENDED(late, 0);
    CU_ASSERT_EQUAL(rig->rooms, 2);
    rig_free(rig);
}

static void test_client_each_deadline_has_its_time(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcomes[WINDOW];
    for (int i = 0; i < WINDOW; i++) {
        outcomes[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(ask_by(&outcomes[i], 30 - 10 * i), 0);
    }

    for (int i = WINDOW - 1; i >= 0; i--) {
        rig_advance_ms(rig, 9);
        CU_ASSERT_EQUAL(outcomes[i].results, 0);
        rig_advance_ms(rig, 1);
        EXPECT_ENDED(outcomes[i], CMDS_E_TIMEOUT);
        CU_ASSERT_STRING_EQUAL(outcomes[i].text, "nowhere: no result within the deadline");
        CU_ASSERT_EQUAL(rig->client_shard.counters.deadlines, (uint64_t)(WINDOW - i));
    }
    rig_free(rig);
}

static void test_client_what_ended_in_the_backlog_needs_no_place(void)
{
    struct rig *rig = rig_open();
    struct outcome ended[WINDOW], kept[WINDOW];
    for (int i = 0; i < WINDOW; i++) {
        ended[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(ask_by(&ended[i], 10), 0);
    }
    rig_advance_ms(rig, 10);
    for (int i = 0; i < WINDOW; i++) {
        EXPECT_ENDED(ended[i], CMDS_E_TIMEOUT);
        kept[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(ask_by(&kept[i], NEVER), 0);
    }

    rig_connect(rig);
    CU_ASSERT_EQUAL(rig->client.sequence_sent, 2 * WINDOW);
    CU_ASSERT_EQUAL(rig->client.waiting, 0);
    for (int i = 0; i < WINDOW; i++) {
        rig_answer(rig, (uint8_t)(WINDOW + 1 + i), &done_type);
        EXPECT_ENDED(kept[i], 0);
    }
    CU_ASSERT_EQUAL(rig->unexpected, 0);
    rig_free(rig);
}

static void test_client_forget_needs_no_answer(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    CU_ASSERT_EQUAL(ask_by(&outcome, NEVER), 0);

    CU_ASSERT_EQUAL(cmdi_client_forget(&rig->client, 1), 0);
    rig_advance_ms(rig, 0);
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    CU_ASSERT_STRING_EQUAL(outcome.text, cmds_error_text(CMDS_E_CANCELLED));
    CU_ASSERT_EQUAL(rig->client.table.count, 1); // The server still works on it.
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(outcome.results, 1);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    rig_free(rig);
}

static void test_client_forget_ends_once(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    CU_ASSERT_EQUAL(ask_by(&outcome, 10), 0);

    CU_ASSERT_EQUAL(cmdi_client_forget(&rig->client, 1), 0);
    CU_ASSERT_EQUAL(outcome.results, 0); // Not inside the call.
    CU_ASSERT_EQUAL(cmdi_client_forget(&rig->client, 1), -ENOENT);
    rig_answer(rig, 1, &done_type); // The answer, just before the callback.
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(rig->unexpected, 1);
    rig_advance_ms(rig, 100); // Nor does the deadline end it again.
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(cmdi_client_forget(&rig->client, 1), -ENOENT);
    CU_ASSERT_EQUAL(cmdi_client_forget(&rig->client, 2), -ENOENT);
    rig_free(rig);
}

static struct rig *ticket_rig;
static struct cmdi_list *forgotten_of(struct cmdi_client *client)
{
    (void)client;
    return &ticket_rig->forgotten;
}

/* With a ticket, which is forgotten when `forgets`. Its sequence is 1. */
static void ask_with_ticket(struct outcome *outcome, bool forgets)
{
    struct rig *rig = outcome->rig;
    struct cmdi_command command = command_for(outcome, NEVER);
    command.extra = cmdi_extra_open(&rig->tickets);
    CU_ASSERT_PTR_NOT_NULL_FATAL(command.extra);
    command.extra->ticket.client = &rig->client;
    uint64_t id = command.extra->ticket.id;
    CU_ASSERT_EQUAL_FATAL(cmdi_client_send(&rig->client, &command), 0);
    CU_ASSERT_TRUE(cmdi_tickets_has(&rig->tickets, id));
    ticket_rig = rig;
    if (forgets) {
        CU_ASSERT_PTR_EQUAL(cmdi_tickets_forget(&rig->tickets, id, forgotten_of), &rig->client);
    }
}

static void test_client_ticket_lives_as_long_as_its_command(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    ask_with_ticket(&outcome, false);

    rig_answer(rig, 1, &part_type);
    CU_ASSERT_EQUAL(rig->tickets.count, 1);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(rig->tickets.count, 0);
    CU_ASSERT_EQUAL(outcome.results, 2);
    EXPECT_ENDED(outcome, 0);
    rig_free(rig);
}

static void test_client_ticket_forgotten_before_the_result_wins(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    ask_with_ticket(&outcome, true);

    rig_answer(rig, 1, &part_type); // Another thread has forgotten it, and its mail is under way.
    CU_ASSERT_EQUAL(outcome.results, 0);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(outcome.results, 1);
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(rig->tickets.count, 0);
    CU_ASSERT_PTR_NULL(cmdi_tickets_pop(&rig->tickets, &rig->forgotten));
    rig_free(rig);
}

static void test_client_ticket_forgotten_ends_its_command(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    ask_with_ticket(&outcome, true);

    struct cmdi_ticket *ticket = cmdi_tickets_pop(&rig->tickets, &rig->forgotten);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ticket);
    cmdi_client_forget_ticket(&rig->client, ticket);
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(rig->tickets.count, 0);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(outcome.results, 1);
    rig_free(rig);
}

static void test_client_lost_connection_tells_what_may_have_been_executed(void)
{
    struct rig *rig = rig_open();
    struct outcome unsent = {.rig = rig}, sent = {.rig = rig}, left = {.rig = rig};
    CU_ASSERT_EQUAL(ask_by(&left, 10), 0); // In the backlog: there is no connection yet.
    rig_advance_ms(rig, 10);
    EXPECT_ENDED(left, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(rig->client.table.count, 0); // Never written: it needs no place.

    rig_connect(rig);
    CU_ASSERT_EQUAL(ask_by(&sent, NEVER), 0);
    CU_ASSERT_EQUAL(ask_from_elsewhere(&unsent), 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 2);
    cmdi_conn_fail(&rig->client.conn, CMDS_E_LOST, "said so");
    rig_end_operations(rig);
    EXPECT_ENDED(sent, CMDS_E_LOST);
    CU_ASSERT_STRING_EQUAL(sent.text, rig->client.error.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(sent.text, "127.0.0.1:1 lost: said so"));
    EXPECT_ENDED(unsent, CMDS_E_NOT_SENT);
    EXPECT_ENDED(left, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_DOWN);
    rig_free(rig);
}

static void test_client_refused_sends_are_not_called_back(void)
{
    struct rig *rig = rig_connected();
    struct outcome in[WINDOW], refused = {.rig = rig};
    for (int i = 0; i < WINDOW; i++) {
        in[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(ask_by(&in[i], NEVER), 0);
    }

    CU_ASSERT_EQUAL(ask_by(&refused, NEVER), -ENOBUFS);
    CU_ASSERT_EQUAL(ask_from_elsewhere(&refused), -ENOBUFS);
    CU_ASSERT_EQUAL(rig_pending(rig), WINDOW);
    cmdi_client_close(&rig->client, 0);
    CU_ASSERT_EQUAL(ask_by(&refused, NEVER), CMDS_E_NOT_CONNECTED);
    CU_ASSERT_EQUAL(ask_from_elsewhere(&refused), CMDS_E_NOT_CONNECTED);
    for (int i = 0; i < WINDOW; i++) {
        EXPECT_ENDED(in[i], CMDS_E_CLOSED);
    }
    CU_ASSERT_EQUAL(refused.results, 0);
    rig_free(rig);
}

static void test_client_callback_may_send(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig, .sends_again = true};
    rig->client_shard.wants_idle = true;
    CU_ASSERT_EQUAL(ask_by(&outcome, NEVER), 0);

    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(outcome.again_code, 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 1);
    CU_ASSERT_EQUAL(rig->idles, 0); // What it has sent is pending before its own end counts.
    rig_answer(rig, 2, &done_type);
    CU_ASSERT_EQUAL(outcome.lasts, 2);
    CU_ASSERT_EQUAL(rig->idles, 1);
    rig_free(rig);
}

/* --- Keepalive -------------------------------------------------------------------------------- */

static void test_client_bytes_that_were_fed_keep_it_alive(void)
{
    struct rig *rig = rig_connected();

    uint64_t sent_size = rig->sent_size;
    rig_advance_ms(rig, IDLE);
    CU_ASSERT_EQUAL(rig->sent_size, sent_size + 1); // A ping.
    for (int i = 0; i < 100; i++) {
        rig_feed(rig, "", 1); // A pong.
        rig_advance_ms(rig, INTERVAL);
    }
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    CU_ASSERT_EQUAL(rig->sent_size, sent_size + 101);
    for (int i = 0; i < 2 * IDLE / INTERVAL && rig->downs == 0; i++) {
        rig_advance_ms(rig, INTERVAL);
    }
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_DOWN);
    CU_ASSERT_EQUAL(rig->client.error.code, CMDS_E_LOST);
    rig_free(rig);
}

static CU_TestInfo tests[] = {
        {"results end with the last", test_client_results_end_with_the_last},
        {"unknown result is an end", test_client_unknown_result_is_an_end},
        {"deadline ends once and keeps the place",
                test_client_deadline_ends_once_and_keeps_the_place},
        {"each deadline has its time", test_client_each_deadline_has_its_time},
        {"what ended in the backlog needs no place",
                test_client_what_ended_in_the_backlog_needs_no_place},
        {"forget needs no answer", test_client_forget_needs_no_answer},
        {"forget ends once", test_client_forget_ends_once},
        {"ticket lives as long as its command", test_client_ticket_lives_as_long_as_its_command},
        {"ticket forgotten before the result wins",
                test_client_ticket_forgotten_before_the_result_wins},
        {"ticket forgotten ends its command", test_client_ticket_forgotten_ends_its_command},
        {"lost connection tells what may have been executed",
                test_client_lost_connection_tells_what_may_have_been_executed},
        {"refused sends are not called back", test_client_refused_sends_are_not_called_back},
        {"callback may send", test_client_callback_may_send},
        {"bytes that were fed keep it alive", test_client_bytes_that_were_fed_keep_it_alive},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("client", tests)
