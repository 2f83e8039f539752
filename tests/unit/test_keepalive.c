/* SPDX-License-Identifier: MIT */
/*
 * Keepalive as values. It could call a living server lost, because a ping had not left yet, we had
 * been stopped, or the pong lay unread; wait for a dead one for ever; ping a busy connection; or not
 * ping at all. Times are plain numbers here.
 */
#include "client/keepalive.h"

#include "support/harness.h"

enum {
    IDLE = 1030, // No multiple of the interval: patience ends between two pings.
    INTERVAL = 100,
    PATIENCE = IDLE + INTERVAL,
    BEGIN = 50000,
};

/** A connection whose time passes, with a server that may answer. */
struct line {
    struct cmdi_keepalive keepalive;
    struct cmdi_keepalive_look look;
    uint64_t next_ms;
};

static struct line line_begun(void)
{
    struct line line = {.look = {.now_ms = BEGIN, .awake_ms = 7 * BEGIN, .sequence_sent = 77}};
    cmdi_keepalive_begin(&line.keepalive, IDLE, INTERVAL, BEGIN);
    return line;
}

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

/* The ping is written; it leaves at once, or stays in the output. */
static void line_ping(struct line *line, bool leaves)
{
    cmdi_keepalive_pinged(&line->keepalive, &line->look);
    if (leaves) {
        line->look.sent_size += CMDI_KEEPALIVE_PING_SIZE;
        line->look.sent_ms = line->look.now_ms;
    } else {
        line->look.output_size += CMDI_KEEPALIVE_PING_SIZE;
    }
}

/* A ping has just left. */
static struct line line_pinged(void)
{
    struct line line = line_begun();
    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL_FATAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, true);
    return line;
}

static void line_send_command(struct line *line)
{
    line->look.sequence_sent++;
    line->look.sent_size += 20;
    line->look.sent_ms = line->look.now_ms;
}

static void test_keepalive_pings_first_whatever_else_is_sent(void)
{
    struct line line = line_begun();

    CU_ASSERT_EQUAL(cmdi_keepalive_first_ms(&line.keepalive), BEGIN + IDLE);
    line_pass(&line, IDLE);
    line_send_command(&line);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    CU_ASSERT_EQUAL(line.next_ms, BEGIN + IDLE + INTERVAL);
}

static void test_keepalive_pings_each_interval_while_idle(void)
{
    struct line line = line_pinged();

    for (int i = 0; i < 100; i++) {
        line.look.received_size++; // The pong.
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

    line.look.received_size++;
    line_pass(&line, 30);
    line_send_command(&line);
    line.look.received_size += 20;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + IDLE);
    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
}

static void test_keepalive_output_on_its_way_is_not_idle(void)
{
    struct line line = line_begun();

    line_pass(&line, IDLE);
    line.look.output_size = 1;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_BUSY);
    CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + INTERVAL);
    line.look.output_size = 0;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
}

static void test_keepalive_a_ping_that_was_not_written_is_tried_again(void)
{
    struct line line = line_begun();

    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING); // There was no memory for it.
    line_pass(&line, INTERVAL);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_pass(&line, 10 * PATIENCE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING); // Nothing was asked: nothing is lost.
}

static void test_keepalive_silence_after_a_ping_is_a_loss(void)
{
    struct line line = line_pinged();

    uint64_t end_ms = line.look.now_ms + PATIENCE;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    while (line.next_ms < end_ms) {
        CU_ASSERT_EQUAL_FATAL(line.next_ms, line.look.now_ms + INTERVAL);
        line_pass(&line, INTERVAL);
        CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
        line_ping(&line, true); // Later pings do not lengthen the patience.
    }
    CU_ASSERT_EQUAL(line.next_ms, end_ms); // Before the next ping would be due.
    line_pass(&line, end_ms - line.look.now_ms - 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    CU_ASSERT_EQUAL(line.next_ms, end_ms);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

static void test_keepalive_anything_received_is_as_good_as_a_pong(void)
{
    struct line line = line_pinged();

    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line_pass(&line, 10 * PATIENCE);
    line.look.received_size += 500;
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, true);
    line_pass(&line, PATIENCE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING); // Now it was looked at: from here on.
    line_pass(&line, PATIENCE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
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

static void test_keepalive_a_ping_that_has_not_left_has_no_answer(void)
{
    struct line line = line_begun();
    line_pass(&line, IDLE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, false);

    line_pass(&line, 10 * PATIENCE);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_BUSY);

    /* It leaves; half an interval later somebody looks. */
    line.look.sent_size += line.look.output_size;
    line.look.output_size = 0;
    line.look.sent_ms = line.look.now_ms;
    line_pass(&line, INTERVAL / 2);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    line_ping(&line, true);
    line_pass(&line, PATIENCE - INTERVAL / 2 - 1);
    CU_ASSERT_NOT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
    line_pass(&line, 1);
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_LOST);
}

static void test_keepalive_time_stopped_is_no_silence(void)
{
    struct line line = line_pinged();

    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_WAIT);
    line.look.now_ms += 100 * PATIENCE; // The clock went on, we did not.
    CU_ASSERT_EQUAL(line_check(&line), CMDI_KEEPALIVE_PING);
    CU_ASSERT_EQUAL(line.next_ms, line.look.now_ms + INTERVAL);

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
        {"pings first whatever else is sent", test_keepalive_pings_first_whatever_else_is_sent},
        {"pings each interval while idle", test_keepalive_pings_each_interval_while_idle},
        {"waits from the last command", test_keepalive_waits_from_the_last_command},
        {"output on its way is not idle", test_keepalive_output_on_its_way_is_not_idle},
        {"a ping that was not written is tried again",
                test_keepalive_a_ping_that_was_not_written_is_tried_again},
        {"silence after a ping is a loss", test_keepalive_silence_after_a_ping_is_a_loss},
        {"anything received is as good as a pong",
                test_keepalive_anything_received_is_as_good_as_a_pong},
        {"what lies unread may be the pong", test_keepalive_what_lies_unread_may_be_the_pong},
        {"a ping that has not left has no answer",
                test_keepalive_a_ping_that_has_not_left_has_no_answer},
        {"time stopped is no silence", test_keepalive_time_stopped_is_no_silence},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("keepalive", tests)
