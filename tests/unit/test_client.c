/* SPDX-License-Identifier: MIT */
/*
 * A client without a network: over a transport that keeps what is sent, on a shard whose clock
 * somebody moves. A command could end twice or never, a refused one could be called back, a place in
 * the window could be lost with a command that ended early, bytes that did not come through the
 * shard's buffers could count as silence, and a connection could be begun anew while it still closes,
 * or never. One thread.
 */
#include "support/rig.h"

#include <errno.h>
#include <string.h>

enum {
    RETRY_MS = 10,
    SHORT_MS = 20,
    LONG_MS = 500,
    LARGE_SIZE = 1000 * 1000,
    MANY = 4096,
};

static char large_text[LARGE_SIZE];
static const struct ask large = {{large_text, LARGE_SIZE}};

/* --- Ends ------------------------------------------------------------------------------------- */

static void test_client_results_end_with_the_last(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};

    CU_ASSERT_EQUAL(outcome_ask(&outcome, RIG_NEVER), 0);
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

/* In one walk, without having been measured: what cannot go so leaves no trace. */
static void test_client_sends_directly_where_nothing_stands_in_its_way(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    struct cmdi_command command = outcome_command(&outcome, RIG_NEVER);
    size_t body_size = 0;
    int code = 0;
    command.body_size = CMDI_NOT_MEASURED;
    // `raw` has no such way.
    CU_ASSERT_FALSE(cmdi_client_send_direct(&rig->client, &command, &body_size));
    rig->config.codec = &cmds_codec_msgpack;
    rig->client.conn.lacks = 1;
    CU_ASSERT_FALSE(cmdi_client_send_direct(&rig->client, &command, &body_size));
    rig->client.conn.lacks = 0;
    CU_ASSERT_PTR_NOT_NULL(cmdi_queue_append(&rig->client.backlog, 1, &code));
    // Another one goes first.
    CU_ASSERT_FALSE(cmdi_client_send_direct(&rig->client, &command, &body_size));
    cmdi_queue_clear(&rig->client.backlog);
    CU_ASSERT_EQUAL(rig->client.sequence, 0);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.conn.fill.end, 0);

    for (uint64_t i = 1; i <= RIG_WINDOW; i++) {
        CU_ASSERT_TRUE(cmdi_client_send_direct(&rig->client, &command, &body_size));
        CU_ASSERT_EQUAL(rig->client.sequence, i);
        CU_ASSERT_EQUAL(rig->client.sequence_sent, i);
        CU_ASSERT_EQUAL(rig_pending(rig), i);
        CU_ASSERT_EQUAL((int64_t)body_size,
                cmds_codec_msgpack.size(&cmds_codec_msgpack, command.type, command.value));
    }
    size_t size = rig->client.conn.fill.end;
    // The window is full.
    CU_ASSERT_FALSE(cmdi_client_send_direct(&rig->client, &command, &body_size));
    CU_ASSERT_EQUAL(rig->client.conn.fill.end, size);
    CU_ASSERT_EQUAL(rig->client.sequence, RIG_WINDOW);
    CU_ASSERT_EQUAL(rig->client_shard.counters.commands_sent, RIG_WINDOW);
    rig->config.codec = &cmds_codec_raw;
    for (uint8_t i = 1; i <= RIG_WINDOW; i++) {
        rig_answer(rig, i, &done_type);
    }
    CU_ASSERT_EQUAL(outcome.lasts, RIG_WINDOW);
    rig_free(rig);

    rig = rig_open(); // Not up.
    rig->config.codec = &cmds_codec_msgpack;
    CU_ASSERT_FALSE(cmdi_client_send_direct(&rig->client, &command, &body_size));
    rig_free(rig);
}

static void test_client_unknown_result_is_an_end(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};

    CU_ASSERT_EQUAL(outcome_ask(&outcome, RIG_NEVER), 0);
    rig_feed(rig, (const uint8_t[]){1, 9, 2, 'h', 'i'}, 5);
    EXPECT_ENDED(outcome, CMDS_E_UNKNOWN_RESULT);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    rig_free(rig);
}

/* So that a server that fails fast does not look like a fast one. */
static void test_client_failure_costs_what_was_left(void)
{
    struct rig *rig = rig_connected();
    struct outcome good = {.rig = rig}, bad = {.rig = rig};

    CU_ASSERT_EQUAL(outcome_ask(&good, LONG_MS), 0);
    rig_advance_ms(rig, SHORT_MS);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(
            cmdi_latency_us(&rig->client.latency, (uint32_t)rig->shard->now_ms), SHORT_MS * 1000);

    CU_ASSERT_EQUAL(outcome_ask(&bad, LONG_MS), 0);
    rig_advance_ms(rig, SHORT_MS);
    rig_feed(rig, (const uint8_t[]){2, 9, 2, 'h', 'i'}, 5); // Nobody knows this type.
    EXPECT_ENDED(bad, CMDS_E_UNKNOWN_RESULT);
    CU_ASSERT_EQUAL(
            cmdi_latency_us(&rig->client.latency, (uint32_t)rig->shard->now_ms), LONG_MS * 1000);
    rig_free(rig);
}

static void test_client_deadline_ends_once_and_keeps_the_place(void)
{
    struct rig *rig = rig_connected();
    struct outcome early[RIG_WINDOW], late = {.rig = rig};
    for (int i = 0; i < RIG_WINDOW; i++) {
        early[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&early[i], 10), 0);
    }
    CU_ASSERT_EQUAL(outcome_ask(&late, RIG_NEVER), -ENOBUFS); // The window is full...

    rig_advance_ms(rig, 9);
    CU_ASSERT_EQUAL(early[0].results, 0);
    rig_advance_ms(rig, 1);
    for (int i = 0; i < RIG_WINDOW; i++) {
        EXPECT_ENDED(early[i], CMDS_E_TIMEOUT);
    }
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    /* ...and stays so: the server still works. */
    CU_ASSERT_EQUAL(outcome_ask(&late, RIG_NEVER), -ENOBUFS);
    CU_ASSERT_FALSE(cmdi_client_has_room(&rig->client, CMDI_ROOM_HERE, 8));

    rig->client_shard.wants_room = true;
    rig_answer(rig, 2, &done_type);
    EXPECT_ENDED(early[1], CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(rig->unexpected, 1);
    CU_ASSERT_EQUAL(rig->client_shard.counters.unexpected_results, 1);
    CU_ASSERT_EQUAL(rig->rooms, 1);
    CU_ASSERT_TRUE(cmdi_client_has_room(&rig->client, CMDI_ROOM_HERE, 8));
    CU_ASSERT_EQUAL(outcome_ask(&late, RIG_NEVER), 0);
    rig_answer(rig, 4, &done_type);
    EXPECT_ENDED(late, 0);
    CU_ASSERT_EQUAL(rig->rooms, 2);
    rig_free(rig);
}

static void test_client_each_deadline_has_its_time(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcomes[RIG_WINDOW];
    for (int i = 0; i < RIG_WINDOW; i++) {
        outcomes[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&outcomes[i], 30 - 10 * i), 0);
    }

    for (int i = RIG_WINDOW - 1; i >= 0; i--) {
        rig_advance_ms(rig, 9);
        CU_ASSERT_EQUAL(outcomes[i].results, 0);
        rig_advance_ms(rig, 1);
        EXPECT_ENDED(outcomes[i], CMDS_E_TIMEOUT);
        CU_ASSERT_STRING_EQUAL(outcomes[i].text, "127.0.0.1:1: no result within the deadline");
        CU_ASSERT_EQUAL(rig->client_shard.counters.deadlines, (uint64_t)(RIG_WINDOW - i));
    }
    rig_free(rig);
}

static void test_client_what_ended_in_the_backlog_needs_no_place(void)
{
    struct rig *rig = rig_open();
    struct outcome ended[RIG_WINDOW], kept[RIG_WINDOW];
    for (int i = 0; i < RIG_WINDOW; i++) {
        ended[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&ended[i], 10), 0);
    }
    rig_advance_ms(rig, 10);
    for (int i = 0; i < RIG_WINDOW; i++) {
        EXPECT_ENDED(ended[i], CMDS_E_TIMEOUT);
        kept[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&kept[i], RIG_NEVER), 0);
    }

    rig_connect(rig);
    CU_ASSERT_EQUAL(rig->client.sequence_sent, 2 * RIG_WINDOW);
    CU_ASSERT_EQUAL(rig->client.waiting, 0);
    for (int i = 0; i < RIG_WINDOW; i++) {
        rig_answer(rig, (uint8_t)(RIG_WINDOW + 1 + i), &done_type);
        EXPECT_ENDED(kept[i], 0);
    }
    CU_ASSERT_EQUAL(rig->unexpected, 0);
    rig_free(rig);
}

static void test_client_forget_needs_no_answer(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    CU_ASSERT_EQUAL(outcome_ask(&outcome, RIG_NEVER), 0);

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
    CU_ASSERT_EQUAL(outcome_ask(&outcome, 10), 0);

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
    struct cmdi_command command = outcome_command(outcome, RIG_NEVER);
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

/* On its way from another client: the shard takes back what was reserved for it. */
static void test_client_ticket_forgotten_takes_no_memory(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    struct cmdi_account *account = &rig->shard->buffers.account;
    ask_with_ticket(&outcome, true);
    struct cmdi_ticket *ticket = cmdi_tickets_pop(&rig->tickets, &rig->forgotten);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ticket);
    struct cmdi_command command = outcome_command(&outcome, RIG_NEVER);
    command.extra = CMDI_CONTAINER(ticket, struct cmdi_pending_extra, ticket);
    command.is_moved = true;

    CU_ASSERT_EQUAL(cmdi_client_inbox_send(&rig->client, &command), CMDS_E_CANCELLED);

    rig_advance_ms(rig, 1);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(atomic_load(&account->shared_size), 0);
    cmdi_client_forget_ticket(&rig->client, ticket);
    EXPECT_ENDED(outcome, CMDS_E_CANCELLED);
    rig_free(rig);
}

static void test_client_lost_connection_tells_what_may_have_been_executed(void)
{
    struct rig *rig = rig_open();
    struct outcome unsent = {.rig = rig}, sent = {.rig = rig}, left = {.rig = rig};
    CU_ASSERT_EQUAL(outcome_ask(&left, 10), 0); // In the backlog: there is no connection yet.
    rig_advance_ms(rig, 10);
    EXPECT_ENDED(left, CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(rig->client.table.count, 0); // Never written: it needs no place.

    rig_connect(rig);
    CU_ASSERT_EQUAL(outcome_ask(&sent, RIG_NEVER), 0);
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&unsent), 0);
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

/* What takes the place of a command that was answered may find no memory, and the connection is lost. */
static void test_client_result_comes_before_the_loss_behind_it(void)
{
    struct rig *rig = rig_open();
    struct cmdi_account *account = &rig->shard->buffers.account;
    struct outcome answered = {.rig = rig}, sent = {.rig = rig}, waits = {.rig = rig};
    struct cmdi_command command = outcome_command(&waits, RIG_NEVER);
    uint64_t size_max = account->size_max;
    command.value = &large;
    command.body_size = LARGE_SIZE;
    CU_ASSERT_EQUAL(outcome_ask(&answered, RIG_NEVER), 0);
    CU_ASSERT_EQUAL(outcome_ask(&sent, RIG_NEVER), 0);
    CU_ASSERT_EQUAL(cmdi_client_send(&rig->client, &command), 0);
    rig->config.in_flight_max = 2; // As if two threads had overshot the window.
    rig_connect(rig);

    /* For the input, not for the one that waits. */
    account->size_max = cmdi_account_used(account) + CMDI_ACCOUNT_SMALL;
    rig_answer(rig, 1, &done_type);
    account->size_max = size_max;

    EXPECT_ENDED(answered, 0);
    EXPECT_ENDED(sent, CMDS_E_LOST);
    EXPECT_ENDED(waits, CMDS_E_NOT_SENT);
    CU_ASSERT_EQUAL(answered.place, 1);
    rig_free(rig);
}

/* What lies there cannot be run: others have the memory that it needs, and nobody knows how long. */
static void test_client_deadline_does_not_wait_for_memory(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    CU_ASSERT_EQUAL(outcome_ask(&outcome, 10), 0);
    rig->client.conn.lacks_input = true;
    rig_feed(rig, "\x02", 1);
    rig_advance_ms(rig, 12);
    EXPECT_ENDED(outcome, CMDS_E_TIMEOUT);
    rig->client.conn.lacks_input = false;
    rig_free(rig);
}

/* From another thread, before there is a connection; and the shard has no room to keep it. */
static void test_client_without_room_to_wait_says_so(void)
{
    struct rig *rig = rig_open();
    struct outcome first = {.rig = rig}, outcome = {.rig = rig};
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&first), 0);
    rig_advance_ms(rig, 1); // It waits, and there is an entry for the next one.
    cmdi_queue_clear(&rig->client.backlog);
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&outcome), 0);
    struct cmdi_account *account = &rig->shard->buffers.account;
    uint64_t size_max = account->size_max;
    // An entry of a pool that is malloc, no more.
    account->size_max = cmdi_account_used(account) + 1024;
    rig_advance_ms(rig, 1);
    EXPECT_ENDED(outcome, CMDS_E_NOT_SENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(outcome.text, "no room for what waits"));
    account->size_max = size_max;
    rig_free(rig);
}

/* It has an entry by the time at which there is no room for its bytes. */
static void test_client_without_memory_to_wait_leaves_no_trace(void)
{
    struct rig *rig = rig_open();
    struct outcome first = {.rig = rig}, refused = {.rig = rig};
    struct cmdi_account *account = &rig->shard->buffers.account;
    uint64_t size_max = account->size_max;
    CU_ASSERT_EQUAL(outcome_ask(&first, RIG_NEVER), 0); // There is an entry for the next one.
    cmdi_queue_clear(&rig->client.backlog);
    account->size_max = cmdi_account_used(account) + 1024; // One of a pool that is malloc, no more.

    CU_ASSERT(outcome_ask(&refused, RIG_NEVER) < 0);
    account->size_max = size_max;
    CU_ASSERT_EQUAL(rig->client.table.count, 1);
    cmdi_client_close(&rig->client, 0);
    EXPECT_ENDED(first, CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(refused.results, 0);
    rig_free(rig);
}

/* There is room again when some of them have ended. Each goes out, and gives its buffer to the next one. */
static void test_client_at_the_bound_of_memory_is_to_wait(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    struct cmdi_account *account = &rig->shard->buffers.account;
    uint64_t size_max = account->size_max;
    int code = outcome_ask(&outcome, RIG_NEVER), count = 0;
    rig->config.in_flight_max = MANY;
    cmdi_account_add(account, LARGE_SIZE); // Others have that, and most of it.
    account->size_max = cmdi_account_used(account) + 1024;

    while (code == 0 && count < MANY) {
        rig_advance_ms(rig, 0);
        code = outcome_ask(&outcome, RIG_NEVER);
        count += code == 0;
    }
    account->size_max = size_max;
    cmdi_account_sub(account, LARGE_SIZE);
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT(count > 0 && count < MANY);
    rig_free(rig);
}

/* The first of them may find no memory, and then the connection is lost as soon as it is up. */
static void test_client_is_up_before_what_waits_goes_out(void)
{
    struct rig *rig = rig_open();
    struct outcome outcome = {.rig = rig};
    struct cmdi_command command = outcome_command(&outcome, RIG_NEVER);
    struct cmdi_account *account = &rig->shard->buffers.account;
    uint64_t size_max = account->size_max;
    command.value = &large;
    command.body_size = LARGE_SIZE;
    CU_ASSERT_EQUAL(cmdi_client_send(&rig->client, &command), 0);

    account->size_max = cmdi_account_used(account) + CMDI_ACCOUNT_SMALL;
    rig_greet(rig);
    account->size_max = size_max;
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_DOWN);
    CU_ASSERT_EQUAL(rig->ups, 1);
    EXPECT_ENDED(outcome, CMDS_E_NOT_SENT);
    rig_free(rig);
}

static void test_client_nobody_overtakes_what_waits(void)
{
    struct rig *rig = rig_open();
    struct outcome outcomes[RIG_WINDOW], next = {.rig = rig};
    for (int i = 0; i < RIG_WINDOW; i++) {
        outcomes[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&outcomes[i], RIG_NEVER), 0);
    }
    rig->config.in_flight_max = RIG_WINDOW - 1; // As if two threads had overshot the window.
    rig_connect(rig);
    CU_ASSERT_EQUAL(rig->client.sequence_sent, RIG_WINDOW - 1);

    rig->config.in_flight_max = RIG_WINDOW + 1;
    CU_ASSERT_EQUAL(outcome_ask(&next, RIG_NEVER), 0);
    CU_ASSERT_EQUAL(rig->client.sequence_sent, RIG_WINDOW - 1);
    rig_answer(rig, 1, &done_type);
    CU_ASSERT_EQUAL(rig->client.sequence_sent, RIG_WINDOW + 1);
    rig_free(rig);
}

static void test_client_refused_sends_are_not_called_back(void)
{
    struct rig *rig = rig_connected();
    struct outcome in[RIG_WINDOW], refused = {.rig = rig};
    for (int i = 0; i < RIG_WINDOW; i++) {
        in[i] = (struct outcome){.rig = rig};
        CU_ASSERT_EQUAL(outcome_ask(&in[i], RIG_NEVER), 0);
    }

    CU_ASSERT_EQUAL(outcome_ask(&refused, RIG_NEVER), -ENOBUFS);
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&refused), -ENOBUFS);
    CU_ASSERT_EQUAL(rig_pending(rig), RIG_WINDOW);
    cmdi_client_close(&rig->client, 0);
    CU_ASSERT_EQUAL(outcome_ask(&refused, RIG_NEVER), CMDS_E_NOT_CONNECTED);
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&refused), CMDS_E_NOT_CONNECTED);
    for (int i = 0; i < RIG_WINDOW; i++) {
        EXPECT_ENDED(in[i], CMDS_E_CLOSED);
    }
    CU_ASSERT_EQUAL(refused.results, 0);
    rig_free(rig);
}

/* The message of the inbox may come later than that of the close. */
static void test_client_writes_what_was_sent_elsewhere_before_its_close(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig};
    struct cmdi_command command = outcome_command(&outcome, RIG_NEVER);
    command.on_result = NULL;
    uint64_t written = rig->client.sequence_sent;

    CU_ASSERT_EQUAL(cmdi_client_inbox_send(&rig->client, &command), 0);
    cmdi_client_close(&rig->client, 0);

    CU_ASSERT_EQUAL(rig->client.sequence_sent, written + 1);
    rig_free(rig);
}

static void test_client_callback_may_send(void)
{
    struct rig *rig = rig_connected();
    struct outcome outcome = {.rig = rig, .sends_again = true};
    rig->client_shard.wants_idle = true;
    CU_ASSERT_EQUAL(outcome_ask(&outcome, RIG_NEVER), 0);

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
    rig_advance_ms(rig, RIG_IDLE_MS);
    CU_ASSERT_EQUAL(rig->sent_size, sent_size + 1); // A ping.
    for (int i = 0; i < 100; i++) {
        rig_feed(rig, "", 1); // A pong.
        rig_advance_ms(rig, RIG_INTERVAL_MS);
    }
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    CU_ASSERT_EQUAL(rig->sent_size, sent_size + 101);
    for (int i = 0; i < 2 * RIG_IDLE_MS / RIG_INTERVAL_MS && rig->downs == 0; i++) {
        rig_advance_ms(rig, RIG_INTERVAL_MS);
    }
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_DOWN);
    CU_ASSERT_EQUAL(rig->client.error.code, CMDS_E_LOST);
    rig_free(rig);
}

/* --- A connection that is slow to close --------------------------------------------------------- */

static void test_client_comes_back_when_the_old_connection_has_closed(void)
{
    struct rig *rig = rig_connected();
    rig->config.backoff = (struct cmdi_backoff_options){RETRY_MS, RETRY_MS, 0};

    cmdi_conn_fail(&rig->client.conn, CMDS_E_LOST, "said so");
    rig_advance_ms(rig, 0);
    CU_ASSERT_TRUE(rig->aborted);
    for (int i = 0; i < 10; i++) {
        rig_advance_ms(rig, RETRY_MS); // The pause is over long before what was in flight.
    }
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_WAITING);
    CU_ASSERT_FALSE(rig->opening);

    rig_end_operations(rig);
    CU_ASSERT_EQUAL(cmdi_client_state(&rig->client), CMDI_CLIENT_CONNECT);
    CU_ASSERT_TRUE_FATAL(rig->opening);
    rig->opening = false;
    cmdi_conn_on_open(&rig->client.conn, 0);
    rig_feed(rig, "\004info", 5);
    CU_ASSERT_EQUAL(rig->ups, 2);
    rig->downs = 0; // Of what follows.
    rig_free(rig);
}

static CU_TestInfo tests[] = {
        {"results end with the last", test_client_results_end_with_the_last},
        {"unknown result is an end", test_client_unknown_result_is_an_end},
        {"failure costs what was left", test_client_failure_costs_what_was_left},
        {"deadline ends once and keeps the place",
                test_client_deadline_ends_once_and_keeps_the_place},
        {"each deadline has its time", test_client_each_deadline_has_its_time},
        {"sends directly where nothing stands in its way",
                test_client_sends_directly_where_nothing_stands_in_its_way},
        {"what ended in the backlog needs no place",
                test_client_what_ended_in_the_backlog_needs_no_place},
        {"forget needs no answer", test_client_forget_needs_no_answer},
        {"forget ends once", test_client_forget_ends_once},
        {"ticket lives as long as its command", test_client_ticket_lives_as_long_as_its_command},
        {"ticket forgotten before the result wins",
                test_client_ticket_forgotten_before_the_result_wins},
        {"ticket forgotten ends its command", test_client_ticket_forgotten_ends_its_command},
        {"ticket forgotten takes no memory", test_client_ticket_forgotten_takes_no_memory},
        {"lost connection tells what may have been executed",
                test_client_lost_connection_tells_what_may_have_been_executed},
        {"result comes before the loss behind it",
                test_client_result_comes_before_the_loss_behind_it},
        {"deadline does not wait for memory", test_client_deadline_does_not_wait_for_memory},
        {"without room to wait says so", test_client_without_room_to_wait_says_so},
        {"without memory to wait leaves no trace",
                test_client_without_memory_to_wait_leaves_no_trace},
        {"at the bound of memory is to wait", test_client_at_the_bound_of_memory_is_to_wait},
        {"is up before what waits goes out", test_client_is_up_before_what_waits_goes_out},
        {"nobody overtakes what waits", test_client_nobody_overtakes_what_waits},
        {"refused sends are not called back", test_client_refused_sends_are_not_called_back},
        {"writes what was sent elsewhere before its close",
                test_client_writes_what_was_sent_elsewhere_before_its_close},
        {"callback may send", test_client_callback_may_send},
        {"bytes that were fed keep it alive", test_client_bytes_that_were_fed_keep_it_alive},
        {"comes back when the old connection has closed",
                test_client_comes_back_when_the_old_connection_has_closed},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("client", tests)
