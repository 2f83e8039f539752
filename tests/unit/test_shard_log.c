/* SPDX-License-Identifier: MIT */
/*
 * The log of a shard. What could go wrong: a peer that floods it, or writes escapes into it.
 */
#include "shard/shard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ring/clock.h"
#include "support/harness.h"

static struct cmdi_shard *stepped_shard(const struct cmdi_log *log)
{
    struct cmdi_shard_options options = {.index = 5,
            .cpu = -1,
            .drive = CMDI_DRIVE_STEPPED,
            .memory_size_max = 1 << 20,
            .log = log};
    struct cmdi_shard *shard = NULL;
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&shard, &options, NULL), 0);
    return shard;
}

static char lines[4][600];
static uint32_t line_count;

static void keep_line(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    (void)level;
    if (line_count < 4) {
        (void)snprintf(lines[line_count], sizeof(lines[0]), "%s", text);
    }
    line_count++;
}

static void test_shard_log_is_bounded(void)
{
    const struct cmdi_log log = {.fn = keep_line};
    struct cmdi_shard *shard = stepped_shard(&log);
    char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    line_count = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        cmdi_shard_log(shard, CMDS_REASON_PROTO, CMDS_LOG_WARN, "number %u", i);
    }
    CU_ASSERT_EQUAL(line_count, 1);
    CU_ASSERT_STRING_EQUAL(lines[0], "number 0");
    cmdi_shard_log(shard, CMDS_REASON_SLOW, CMDS_LOG_WARN, "%s", text); // Another reason: its own.
    CU_ASSERT_EQUAL(line_count, 2);
    CU_ASSERT_EQUAL(strlen(lines[1]), 511);

    cmdi_shard_step(shard, 1000000000u);
    cmdi_shard_log(shard, CMDS_REASON_PROTO, CMDS_LOG_WARN, "again");
    CU_ASSERT_STRING_EQUAL(lines[2], "again (and 999 more like it)");
    cmdi_shard_step(shard, 2000000000u);
    cmdi_shard_log(shard, CMDS_REASON_PROTO, CMDS_LOG_WARN, "and again");
    CU_ASSERT_STRING_EQUAL(lines[3], "and again");
    cmdi_shard_destroy(shard);
}

static void test_shard_log_carries_no_control_characters(void)
{
    const struct cmdi_log log = {.fn = keep_line};
    struct cmdi_shard *shard = stepped_shard(&log);
    line_count = 0;

    cmdi_shard_log(shard, CMDS_REASON_PROTO, CMDS_LOG_WARN, "%s", "a\033[2J\r\nb\t\177 \303\244");

    CU_ASSERT_STRING_EQUAL(lines[0], "a?[2J??b?? \303\244");
    cmdi_shard_destroy(shard);
}

static struct cmds_log_record kept;
static char kept_text[600];
static uint32_t record_count;

static void keep_record(void *context, const struct cmds_log_record *record)
{
    CU_ASSERT_PTR_EQUAL(context, &kept);
    kept = *record;
    (void)snprintf(kept_text, sizeof(kept_text), "%s", record->text);
    record_count++;
}

static void test_shard_log_hands_out_records(void)
{
    const struct cmdi_log log = {
            .fn = keep_line, .on_record = keep_record, .record_context = &kept};
    const struct cmds_log_record about = {.level = CMDS_LOG_INFO,
            .reason = CMDS_REASON_CONNECT,
            .code = -ENOENT,
            .connection = 7,
            .peer = "192.0.2.1:1",
            .type = "calc_add",
            .sequence = 3};
    struct cmdi_shard *shard = stepped_shard(&log);
    uint64_t before_ns = cmdi_wall_ns();
    line_count = record_count = 0;

    for (uint32_t i = 0; i < 5; i++) {
        cmdi_shard_log_about(shard, &about, "number %u", i);
    }
    CU_ASSERT_EQUAL(record_count, 1);
    CU_ASSERT_EQUAL(kept.left_out, 0);
    cmdi_shard_step(shard, 1000000000u);
    cmdi_shard_log_about(shard, &about, "a\nb");

    CU_ASSERT_EQUAL(record_count, 2);
    CU_ASSERT_EQUAL(kept.struct_size, sizeof(kept));
    CU_ASSERT_EQUAL(kept.left_out, 4);
    CU_ASSERT_STRING_EQUAL(kept_text, "a?b");
    CU_ASSERT_STRING_EQUAL(lines[1], "a?b (and 4 more like it)");
    CU_ASSERT_EQUAL(kept.level, CMDS_LOG_INFO);
    CU_ASSERT_EQUAL(kept.reason, CMDS_REASON_CONNECT);
    CU_ASSERT_EQUAL(kept.shard, 5);
    CU_ASSERT_EQUAL(kept.code, -ENOENT);
    CU_ASSERT_EQUAL(kept.connection, 7);
    CU_ASSERT_STRING_EQUAL(kept.peer, "192.0.2.1:1");
    CU_ASSERT_STRING_EQUAL(kept.type, "calc_add");
    CU_ASSERT_EQUAL(kept.sequence, 3);
    CU_ASSERT(kept.time_ns >= before_ns && kept.time_ns <= cmdi_wall_ns());
    cmdi_shard_destroy(shard);
}

static void test_shard_log_leaves_out_what_nobody_wants(void)
{
    const struct cmdi_log log = {
            .on_record = keep_record, .record_context = &kept, .least = CMDS_LOG_WARN};
    struct cmdi_shard *shard = stepped_shard(&log);
    record_count = 0;

    cmdi_shard_log(shard, CMDS_REASON_TLS, CMDS_LOG_INFO, "below");
    CU_ASSERT_EQUAL(record_count, 0);
    cmdi_shard_log(shard, CMDS_REASON_TLS, CMDS_LOG_WARN, "at"); // In the same second.
    CU_ASSERT_EQUAL(record_count, 1);
    CU_ASSERT_EQUAL(kept.left_out, 0);
    cmdi_shard_destroy(shard);
}

static void test_shard_log_takes_records_alone(void)
{
    const struct cmdi_log log = {.on_record = keep_record, .record_context = &kept};
    struct cmdi_shard *shard = stepped_shard(&log);
    record_count = 0;

    cmdi_shard_log(shard, CMDS_REASON_TLS, CMDS_LOG_WARN, "alone");

    CU_ASSERT_EQUAL(record_count, 1);
    CU_ASSERT_STRING_EQUAL(kept_text, "alone");
    CU_ASSERT_EQUAL(kept.reason, CMDS_REASON_TLS);
    CU_ASSERT_PTR_NULL(kept.peer);
    cmdi_shard_destroy(shard);
}

CU_TestInfo test_shard_log[] = {
        {"is bounded", test_shard_log_is_bounded},
        {"carries no control characters", test_shard_log_carries_no_control_characters},
        {"hands out records", test_shard_log_hands_out_records},
        {"leaves out what nobody wants", test_shard_log_leaves_out_what_nobody_wants},
        {"takes records alone", test_shard_log_takes_records_alone},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("shard_log", test_shard_log)
