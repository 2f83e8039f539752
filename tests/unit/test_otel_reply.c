/* SPDX-License-Identifier: MIT */
/*
 * What a backend says, which may lie: what it means for a batch, when the next try is, what was not
 * taken. And the few batches that wait.
 */
#include "otel/reply.h"

#include <errno.h>
#include <zlib.h>

#include "otel/batch.h"
#include "support/harness.h"

static void test_reply_verdicts(void)
{
    static const long again[] = {0, 429, 502, 503, 504};
    static const long lost[] = {100, 301, 400, 401, 404, 413, 500, 501, 505, 999, -1};
    CU_ASSERT_EQUAL(cmdi_reply_verdict(200), CMDI_VERDICT_SENT);
    CU_ASSERT_EQUAL(cmdi_reply_verdict(202), CMDI_VERDICT_SENT);
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        CU_ASSERT_EQUAL(cmdi_reply_verdict(again[i]), CMDI_VERDICT_AGAIN);
    }
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        CU_ASSERT_EQUAL(cmdi_reply_verdict(lost[i]), CMDI_VERDICT_LOST);
    }
}

static void test_reply_delay_backs_off_with_jitter(void)
{
    for (uint32_t tries = 1; tries < 40; tries++) {
        int64_t whole = tries <= 4 ? 500 << (tries - 1) : 8000;
        CU_ASSERT_EQUAL(cmdi_reply_delay_ms(tries, 0, 0, 0), whole);
        for (uint64_t random = 1; random < 10000; random += 97) {
            int64_t delay = cmdi_reply_delay_ms(tries, 0, random, 0);
            CU_ASSERT(delay >= whole / 2 && delay <= whole);
        }
    }
    CU_ASSERT(cmdi_reply_delay_ms(1, 0, 1, 0) != cmdi_reply_delay_ms(1, 0, 2, 0));
}

static void test_reply_delay_is_at_least_what_is_asked_for(void)
{
    for (uint64_t random = 0; random < 10000; random += 97) {
        int64_t delay = cmdi_reply_delay_ms(1, 3000, random, 0);
        CU_ASSERT(delay >= 3000 && delay <= 3300);
    }
}

static void test_reply_delay_ends(void)
{
    CU_ASSERT_EQUAL(cmdi_reply_delay_ms(9, 0, 0, 22000), 8000);
    CU_ASSERT_EQUAL(cmdi_reply_delay_ms(9, 0, 0, 22001), -ETIMEDOUT);
    CU_ASSERT_EQUAL(cmdi_reply_delay_ms(1, 30001, 0, 0), -ETIMEDOUT);
    CU_ASSERT_EQUAL(cmdi_reply_delay_ms(9, 0, 0, UINT64_MAX), -ETIMEDOUT);
}

static void test_reply_reads_a_partial_success(void)
{
    struct cmdi_partial partial;
    static const char some[] = "\x0a\x08\x08\x05\x12\x04oops";
    CU_ASSERT_EQUAL(cmdi_reply_read((struct cmds_bytes){some, sizeof(some) - 1}, &partial), 0);
    CU_ASSERT_EQUAL(partial.rejected, 5);
    CU_ASSERT_EQUAL(partial.message.size, 4);
    CU_ASSERT_EQUAL(memcmp(partial.message.data, "oops", 4), 0);

    CU_ASSERT_EQUAL(cmdi_reply_read((struct cmds_bytes){"", 0}, &partial), 0);
    CU_ASSERT_EQUAL(partial.rejected, 0);
    CU_ASSERT_EQUAL(partial.message.size, 0);

    static const char other[] = "\x10\x01\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08"
                                "\x0a\x02\x08\x02"; // Fields that we do not know in front.
    CU_ASSERT_EQUAL(cmdi_reply_read((struct cmds_bytes){other, sizeof(other) - 1}, &partial), 0);
    CU_ASSERT_EQUAL(partial.rejected, 2);

    static const char negative[] = "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    CU_ASSERT_EQUAL(
            cmdi_reply_read((struct cmds_bytes){negative, sizeof(negative) - 1}, &partial), 0);
    CU_ASSERT_EQUAL(partial.rejected, 0);
}

/* Every part of it, and what claims to be longer than it is. */
static void test_reply_refuses_what_is_cut(void)
{
    static const char some[] = "\x0a\x08\x08\x05\x12\x04oops";
    struct cmdi_partial partial;
    for (size_t cut = 1; cut < sizeof(some) - 1; cut++) {
        CU_ASSERT_EQUAL(cmdi_reply_read((struct cmds_bytes){some, cut}, &partial), CMDS_E_PROTO);
        CU_ASSERT_EQUAL(partial.rejected, 0);
    }
    static const char *const bad[] = {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x02\x00",
            "\x0b", "\x0a\x03\x12\x7fx", "<html>", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cmds_bytes body = {bad[i], strlen(bad[i])};
        CU_ASSERT_EQUAL(cmdi_reply_read(body, &partial), CMDS_E_PROTO);
    }
}

static void test_batch_is_compressed_where_it_helps(void)
{
    struct cmdi_batch batch;
    char text[5000], back[6000];
    memset(text, 'a', sizeof(text));
    CU_ASSERT_EQUAL_FATAL(
            cmdi_batch_make(&batch, (struct cmds_bytes){text, sizeof(text)}, 7, true), 0);
    CU_ASSERT_TRUE(batch.is_gzip);
    CU_ASSERT(batch.size < 200);
    z_stream stream = {.next_in = batch.data,
            .avail_in = (uInt)batch.size,
            .next_out = (Bytef *)back,
            .avail_out = sizeof(back)};
    CU_ASSERT_EQUAL_FATAL(inflateInit2(&stream, 15 + 16), Z_OK);
    CU_ASSERT_EQUAL(inflate(&stream, Z_FINISH), Z_STREAM_END);
    CU_ASSERT_EQUAL(stream.total_out, sizeof(text));
    (void)inflateEnd(&stream);
    CU_ASSERT_EQUAL(memcmp(text, back, sizeof(text)), 0);
    cmdi_batch_free(&batch);

    CU_ASSERT_EQUAL_FATAL(cmdi_batch_make(&batch, (struct cmds_bytes){"short", 5}, 1, true), 0);
    CU_ASSERT_FALSE(batch.is_gzip);
    CU_ASSERT_EQUAL(batch.size, 5);
    CU_ASSERT_EQUAL(memcmp(batch.data, "short", 5), 0);
    cmdi_batch_free(&batch);
}

static void test_queue_drops_the_oldest(void)
{
    struct cmdi_queue queue = {.count = 0};
    struct cmdi_batch batch;
    for (uint64_t i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL_FATAL(cmdi_batch_make(&batch, (struct cmds_bytes){"x", 1}, i, false), 0);
        CU_ASSERT_EQUAL(cmdi_queue_push(&queue, &batch), i <= 2 ? 0 : 1);
        CU_ASSERT_PTR_NULL(batch.data);
    }
    for (uint64_t i = 2; i <= 3; i++) {
        CU_ASSERT_TRUE(cmdi_queue_pop(&queue, &batch));
        CU_ASSERT_EQUAL(batch.item_count, i);
        cmdi_batch_free(&batch);
    }
    CU_ASSERT_FALSE(cmdi_queue_pop(&queue, &batch));
}

static CU_TestInfo tests[] = {
        {"verdicts", test_reply_verdicts},
        {"delay backs off with jitter", test_reply_delay_backs_off_with_jitter},
        {"delay is at least what is asked for", test_reply_delay_is_at_least_what_is_asked_for},
        {"delay ends", test_reply_delay_ends},
        {"reads a partial success", test_reply_reads_a_partial_success},
        {"refuses what is cut", test_reply_refuses_what_is_cut},
        {"a batch is compressed where it helps", test_batch_is_compressed_where_it_helps},
        {"a queue drops the oldest", test_queue_drops_the_oldest},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel_reply", tests)
