/* SPDX-License-Identifier: MIT */
/*
 * Keepalive as values. It could call a living server lost, because a ping was still on its way, we had
 * been stopped, or the pong lay unread; wait for a dead one for ever, because commands are sent all the
 * time or output stands in the way of a ping; ping a busy connection; or not ping at all. Times are plain
 * numbers here.
 */
#include "client/keepalive.h"

#include "support/harness.h"

enum {
    IDLE = 1030, // No multiple of the interval.
    INTERVAL = 100,
    PATIENCE = 2 * INTERVAL,
    BEGIN = 50000,
};

/** A connection whose time passes, with a server that may answer. */
struct line {
    struct cmdi_keepalive keepalive;
    struct cmdi_keepalive_look look;
    uint64_t next_ms;
};

static void line_pass(struct line *line, uint64_t ms)
{
    line->look.now_ms += ms;
    line->look.awake_ms += ms;
}

static enum cmdi_keepalive_verdict line_check(struct line *line)
{
    line->next_ms = 0;
    return cmdi_keepalive_check(&line->keepalive, &line->look, &line->next_ms);
}

/* Bytes leave us; with `arrives` the other side has them. */
static void line_leave(struct line *line, uint64_t size, bool arrives)
{
    line->look.sent_size += size;
    line->look.sent_ms = line->look.now_ms;
    if (arrives) {
        line->look.delivered_size = line->look.sent_size;
    }
}

static void line_hear(struct line *line, uint64_t size)
{
    line->look.received_size += size;
    line->look.received_ms = line->look.now_ms;
}

static void line_ping(struct line *line, bool arrives)
{
    cmdi_keepalive_pinged(&line->keepalive, &line->look, true);
    line_leave(line, CMDI_KEEPALIVE_PING_SIZE, arrives);
}

static void line_send_command(struct line *line)
{
    line->look.sequence_sent++;
    line_leave(line, 20, true);
}

/* Up, and the first ping has arrived. */
static struct line line_begun(void)
{
    struct line line = {.look = {.now_ms = BEGIN, .awake_ms = 7 * BEGIN, .sequence_sent = 77}};
    cmdi_keepalive_begin(&line.keepalive, IDLE, INTERVAL, BEGIN);
    CU_ASSERT_EQUAL_FATAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, true);
    return line;
}

/* The first ping was answered; it is idle, and another one has been sent. */
static struct line line_pinged(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL_FATAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, true);
    return line;
}

static void test_keepalive_pings_at_once_and_then_when_idle(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, 10);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    CU_ASSERT_EQUAL(line.next_ms, BEGIN + IDLE);
    line_pass(&line, IDLE - 10);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    CU_ASSERT_EQUAL(line.next_ms, BEGIN + IDLE + INTERVAL);
}

static void test_keepalive_pings_each_interval_while_idle(void)
{
    struct line line = line_pinged();

    for (int i = 0; i < 100; i++) {
        line_hear(&line, 1); // The pong.
        line_pass(&line, INTERVAL - 1);
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
        CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + 1);
        line_pass(&line, 1);
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
        CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + INTERVAL);
        line_ping(&line, true);
    }
}

static void test_keepalive_waits_from_the_last_command(void)
{
    struct line line = line_pinged();

    line_pass(&line, 30);
    line_send_command(&line);
    line_hear(&line, 20);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + IDLE);
    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
}

/* Commands go out all the time, and nothing comes back. */
static void test_keepalive_asks_a_silent_server_though_commands_are_sent(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    uint64_t heard_ms = line.look.now_ms;
    enum cmdi_keepalive_verdict verdict = CMDI_KEEPALIVE_WAIT;
    while (verdict != CMDI_KEEPALIVE_LOST && line.look.now_ms < heard_ms + 10 * IDLE) {
        line_send_command(&line);
        verdict = line_check(&line);
        if (verdict == CMDI_KEEPALIVE_PING) {
            CU_ASSERT_TRUE(line.look.now_ms >= heard_ms + IDLE);
            line_ping(&line, true);
        }
        line_pass(&line, 1);
    }
    CU_ASSERT_EQUAL(verdict, CMDI_KEEPALIVE_LOST);
    CU_ASSERT_TRUE(line.look.now_ms <= heard_ms + IDLE + PATIENCE + 2);
}

static void test_keepalive_what_is_sent_and_answered_needs_no_ping(void)
{
    struct line line = line_begun();
    for (int i = 0; i < 10 * IDLE; i++) {
        line_send_command(&line);
        line_hear(&line, 20);
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
        line_pass(&line, 1);
    }
}

static void test_keepalive_silence_after_a_ping_is_a_loss(void)
{
    struct line line = line_pinged();

    uint64_t end_ms = line.look.now_ms + PATIENCE;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    while (line.next_ms < end_ms) {
        line_pass(&line, line.next_ms - line.look.now_ms);
        CU_ASSERT_EQUAL_FATAL(line_check(&line), CMDI_KEEPALIVE_PING);
        line_ping(&line, true); // Later pings do not lengthen the patience.
    }
    CU_ASSERT_EQUAL(line.next_ms, end_ms);
    line_pass(&line, end_ms - line.look.now_ms - 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

/* A ping just after something was heard: there is more patience, the same time in all. */
static void test_keepalive_who_was_just_heard_has_more_time(void)
{
    struct line line = line_begun();
    uint64_t end_ms = BEGIN + IDLE + PATIENCE;
    for (line_pass(&line, 1); line.look.now_ms < end_ms; line_pass(&line, 1)) {
        enum cmdi_keepalive_verdict verdict = line_check(&line);
        CU_ASSERT_NOT_EQUAL(verdict, CMDI_KEEPALIVE_LOST);
        if (verdict == CMDI_KEEPALIVE_PING) {
            line_ping(&line, true);
        }
    }
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

static void test_keepalive_anything_received_is_as_good_as_a_pong(void)
{
    struct line line = line_pinged();

    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line_pass(&line, 10 * PATIENCE);
    line_hear(&line, 500);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

static void test_keepalive_what_lies_unread_may_be_the_pong(void)
{
    struct line line = line_pinged();

    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line_pass(&line, 10 * PATIENCE);
    line.look.is_behind = true;
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line.look.is_behind = false;
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST); // The next ping decides.
}

/* A link that is slow: what is before the ping gets through, a little each time. */
static void test_keepalive_a_ping_on_its_way_has_no_answer(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, IDLE);
    line.look.output_size = 5000;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING); // Behind all of that.
    cmdi_keepalive_pinged(&line.keepalive, &line.look, true);
    line.look.output_size++;
    CU_ASSERT_TRUE(cmdi_keepalive_asks_delivered(&line.keepalive, line.look.received_size, 0));
    for (int i = 0; i < 50; i++) {
        line_pass(&line, PATIENCE - 1);
        line_leave(&line, 100, true);
        line.look.output_size -= 100;
        enum cmdi_keepalive_verdict verdict = line_check(&line);
        CU_ASSERT_TRUE(verdict == CMDI_KEEPALIVE_WAIT || verdict == CMDI_KEEPALIVE_BUSY);
    }
    line_leave(&line, 1, true);
    line.look.output_size = 0;
    line_pass(&line, INTERVAL / 2);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, PATIENCE - INTERVAL / 2 - 1); // From when it had left.
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

/*
 * A large command is one send, of which nothing counts as sent until all of it is; as long as some of
 * it gets through the link is slow, no more.
 */
static void test_keepalive_a_send_under_way_moves(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, IDLE);
    line.look.output_size = 5000;
    CU_ASSERT_TRUE(cmdi_keepalive_asks_delivered(&line.keepalive, line.look.received_size, 5000));
    line.look.taken_size = 17;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    cmdi_keepalive_pinged(&line.keepalive, &line.look, true);
    for (int i = 0; i < 50; i++) {
        line_pass(&line, PATIENCE - 1);
        line.look.taken_size += 100;
        enum cmdi_keepalive_verdict verdict = line_check(&line);
        CU_ASSERT_TRUE(verdict == CMDI_KEEPALIVE_WAIT || verdict == CMDI_KEEPALIVE_BUSY);
    }
    line_pass(&line, PATIENCE - 1);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

/* The first look after a ping sees that something got through, and then that it stands still. */
static void test_keepalive_patience_begins_with_what_got_through_last(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, IDLE);
    line.look.output_size = 5000;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    cmdi_keepalive_pinged(&line.keepalive, &line.look, true);
    line_pass(&line, INTERVAL);
    line_leave(&line, 3000, true);
    line.look.output_size -= 3000;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_BUSY);
    line_pass(&line, PATIENCE - 1);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

/* Nothing of what is before the ping gets through: it was not answered, and never will be. */
static void test_keepalive_output_that_stands_still_is_silence(void)
{
    for (int written = 0; written <= 1; written++) {
        struct line line = line_begun();
        line_hear(&line, 1);
        line_pass(&line, IDLE);
        line.look.output_size = 5000;
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
        cmdi_keepalive_pinged(&line.keepalive, &line.look, written == 1); // 0: no room for it.
        line_pass(&line, PATIENCE - 1);
        CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
        line_pass(&line, 1);
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    }
}

static void test_keepalive_a_ping_without_room_was_not_asked(void)
{
    struct line line = line_begun();
    line_hear(&line, 1);
    line_pass(&line, IDLE);
    line.look.output_size = 10;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    cmdi_keepalive_pinged(&line.keepalive, &line.look, false);
    line_leave(&line, 10, true);
    line.look.output_size = 0;
    line_pass(&line, 10 * PATIENCE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING); // Nothing was asked: nothing is lost.
}

static void test_keepalive_time_stopped_is_no_silence(void)
{
    struct line line = line_pinged();

    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line.look.now_ms += 100 * PATIENCE; // The clock went on, we did not.
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);

    /* Stopped before the first look after a ping: of that time at most an interval counts. */
    line = line_pinged();
    line.look.now_ms += 100 * PATIENCE;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_pass(&line, PATIENCE - INTERVAL - 1);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

static CU_TestInfo tests[] = {
        {"pings at once and then when idle", test_keepalive_pings_at_once_and_then_when_idle},
        {"pings each interval while idle", test_keepalive_pings_each_interval_while_idle},
        {"waits from the last command", test_keepalive_waits_from_the_last_command},
        {"asks a silent server though commands are sent",
                test_keepalive_asks_a_silent_server_though_commands_are_sent},
        {"what is sent and answered needs no ping",
                test_keepalive_what_is_sent_and_answered_needs_no_ping},
        {"silence after a ping is a loss", test_keepalive_silence_after_a_ping_is_a_loss},
        {"who was just heard has more time", test_keepalive_who_was_just_heard_has_more_time},
        {"anything received is as good as a pong",
                test_keepalive_anything_received_is_as_good_as_a_pong},
        {"what lies unread may be the pong", test_keepalive_what_lies_unread_may_be_the_pong},
        {"a ping on its way has no answer", test_keepalive_a_ping_on_its_way_has_no_answer},
        {"a send under way moves", test_keepalive_a_send_under_way_moves},
        {"patience begins with what got through last",
                test_keepalive_patience_begins_with_what_got_through_last},
        {"output that stands still is silence", test_keepalive_output_that_stands_still_is_silence},
        {"a ping without room was not asked", test_keepalive_a_ping_without_room_was_not_asked},
        {"time stopped is no silence", test_keepalive_time_stopped_is_no_silence},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("keepalive", tests)
