/* SPDX-License-Identifier: MIT */
/*
 * The log of a shard. What could go wrong: a peer that floods it, or writes escapes into it.
 */
#include "shard/shard.h"

#include <stdio.h>
#include <string.h>

#include "support/harness.h"

static struct cmdi_shard *stepped_shard(const struct cmdi_log *log)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 20, .log = log};
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
        cmdi_shard_log(shard, CMDI_LOG_PROTO, CMDS_LOG_WARN, "number %u", i);
    }
    CU_ASSERT_EQUAL(line_count, 1);
    CU_ASSERT_STRING_EQUAL(lines[0], "number 0");
    cmdi_shard_log(shard, CMDI_LOG_SLOW, CMDS_LOG_WARN, "%s", text); // Another reason: its own.
    CU_ASSERT_EQUAL(line_count, 2);
    CU_ASSERT_EQUAL(strlen(lines[1]), 511);

    cmdi_shard_step(shard, 1000000000u);
    cmdi_shard_log(shard, CMDI_LOG_PROTO, CMDS_LOG_WARN, "again");
    CU_ASSERT_STRING_EQUAL(lines[2], "again (and 999 more like it)");
    cmdi_shard_step(shard, 2000000000u);
    cmdi_shard_log(shard, CMDI_LOG_PROTO, CMDS_LOG_WARN, "and again");
    CU_ASSERT_STRING_EQUAL(lines[3], "and again");
    cmdi_shard_destroy(shard);
}

static void test_shard_log_carries_no_control_characters(void)
{
    const struct cmdi_log log = {.fn = keep_line};
    struct cmdi_shard *shard = stepped_shard(&log);
    line_count = 0;

    cmdi_shard_log(shard, CMDI_LOG_PROTO, CMDS_LOG_WARN, "%s", "a\033[2J\r\nb\t\177 \303\244");

    CU_ASSERT_STRING_EQUAL(lines[0], "a?[2J??b?? \303\244");
    cmdi_shard_destroy(shard);
}

CU_TestInfo test_shard_log[] = {
        {"is bounded", test_shard_log_is_bounded},
        {"carries no control characters", test_shard_log_carries_no_control_characters},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("shard_log", test_shard_log)
