/* SPDX-License-Identifier: MIT */
/*
 * What /status makes of the metrics. What may go wrong: a shard gets the number of another one, two metrics of
 * one figure are not added up, a bucket is off by one, a type of a server is taken for one of a group,
 * a quantile lies beside what was counted.
 */
#include "admin/snapshot.h"
#include "admin/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/harness.h"

static struct cmds_label label_of(const char *key, const char *value)
{
    return (struct cmds_label){key, cmds_string_from(value)};
}

static void add_number(struct cmdi_admin_snapshot *snapshot, const char *name, const char *shard,
        int64_t integer, double real)
{
    struct cmds_metric metric = {.name = name, .kind = CMDS_METRIC_COUNTER};
    struct cmds_label label = label_of("cmdstream.shard", shard);
    struct cmds_point point = {
            .labels = &label, .label_count = 1, .integer = integer, .real = real};
    CU_ASSERT_EQUAL(cmdi_admin_snapshot_add(snapshot, &metric, &point), 0);
}

static void test_snapshot_adds_up_what_a_shard_has_counted(void)
{
    struct cmdi_admin_snapshot *snapshot = cmdi_admin_snapshot_new(11);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    add_number(snapshot, "cmdstream.shard.busy", "1", 0, 0.5);
    add_number(snapshot, "cmdstream.turns", "10", 7, 0);
    add_number(snapshot, "cmdstream.server.connections", "1", 3, 0);
    add_number(snapshot, "cmdstream.client.connections", "1", 4, 0);
    add_number(snapshot, "cmdstream.server.commands_received", "0", 1, 0);
    add_number(snapshot, "cmdstream.client.commands_sent", "0", 2, 0);
    // Of no shard, of none of ours, and what is not shown.
    add_number(snapshot, "cmdstream.turns", "none", 1, 0);
    add_number(snapshot, "cmdstream.turns", "11", 1, 0);
    add_number(snapshot, "cmdstream.turns", "99999999999999999999", 1, 0);
    add_number(snapshot, "cmdstream.turns", "", 1, 0);
    add_number(snapshot, "cmdstream.enters", "0", 1, 0);
    add_number(snapshot, "process.cpu", "", 0, 1.25);
    add_number(snapshot, "process.start_time", "", 0, 1e9);
    add_number(snapshot, "process.resident_memory", "", 4096, 0);

    CU_ASSERT_EQUAL(snapshot->shards[1].busy_s, 0.5);
    CU_ASSERT_EQUAL(snapshot->shards[10].turns, 7);
    CU_ASSERT_EQUAL(snapshot->shards[1].connections, 7);
    CU_ASSERT_EQUAL(snapshot->shards[0].commands, 3);
    uint64_t turns = 0;
    for (uint32_t i = 0; i < 11; i++) {
        turns += snapshot->shards[i].turns;
    }
    CU_ASSERT_EQUAL(turns, 7);
    CU_ASSERT_EQUAL(snapshot->cpu_s, 1.25);
    CU_ASSERT_EQUAL(snapshot->start_s, 1e9);
    CU_ASSERT_EQUAL(snapshot->resident_bytes, 4096);
    cmdi_admin_snapshot_free(snapshot);
}

/* --- Types ------------------------------------------------------------------------------------ */

static void add_type(struct cmdi_admin_snapshot *snapshot, const char *metric_name,
        const char *name, const char *type, const char *status, int64_t count,
        const struct cmds_distribution *distribution)
{
    struct cmds_metric metric = {.name = metric_name};
    struct cmds_label labels[] = {label_of("cmd-stream.command.type", type),
            label_of("cmd-stream.command.status", status), label_of("cmdstream.name", name)};
    struct cmds_point point = {
            .labels = labels, .label_count = 3, .integer = count, .distribution = distribution};
    CU_ASSERT_EQUAL(cmdi_admin_snapshot_add(snapshot, &metric, &point), 0);
}

static void test_snapshot_tells_types_apart_by_side_name_and_type(void)
{
    static const uint64_t buckets[] = {5, 0, 3};
    struct cmds_distribution distribution = {.scale = 3,
            .offset = -80,
            .bucket_count = 3,
            .buckets = buckets,
            .zero_count = 2,
            .sum = 0.1};
    struct cmdi_admin_snapshot *snapshot = cmdi_admin_snapshot_new(1);
    add_type(snapshot, "cmd-stream.server.command.count", "", "add", "OK", 90, NULL);
    add_type(snapshot, "cmd-stream.server.command.count", "", "add", "FAILED", 7, NULL);
    add_type(snapshot, "cmd-stream.server.command.count", "", "add", "TIMEOUT", 2, NULL);
    add_type(snapshot, "cmd-stream.server.command.count", "", "add", "CANCELLED", 1, NULL);
    add_type(snapshot, "cmd-stream.server.command.count", "b", "add", "OK", 1, NULL);
    add_type(snapshot, "cmd-stream.client.command.count", "", "add", "OK", 1, NULL);
    add_type(snapshot, "cmd-stream.server.command.size", "", "other", "OK", 1, &distribution);
    add_type(snapshot, "cmd-stream.server.command.duration", "", "add", "OK", 0, &distribution);
    add_type(snapshot, "cmd-stream.server.command.duration", "", "add", "FAILED", 0, &distribution);

    CU_ASSERT_EQUAL_FATAL(snapshot->type_count, 3);
    const struct cmdi_admin_type *type = &snapshot->types[0];
    CU_ASSERT_FALSE(type->is_client);
    CU_ASSERT_EQUAL(strcmp(type->type, "add"), 0);
    CU_ASSERT_EQUAL(type->count, 100);
    CU_ASSERT_EQUAL(type->failed, 7);
    CU_ASSERT_EQUAL(type->timeout, 2);
    CU_ASSERT_EQUAL(type->cancelled, 1);
    CU_ASSERT_EQUAL(cmdi_admin_durations_count(&type->durations), 20);
    CU_ASSERT_EQUAL(type->durations.buckets[-80 - CMDI_ADMIN_BUCKET_FIRST], 10);
    CU_ASSERT_EQUAL(type->durations.buckets[-78 - CMDI_ADMIN_BUCKET_FIRST], 6);
    CU_ASSERT_TRUE(snapshot->types[2].is_client);
    CU_ASSERT_PTR_EQUAL(
            cmdi_admin_snapshot_find(snapshot, &snapshot->types[1]), &snapshot->types[1]);
    cmdi_admin_snapshot_free(snapshot);
}

static void test_snapshot_leaves_out_types_beyond_its_bound(void)
{
    struct cmdi_admin_snapshot *snapshot = cmdi_admin_snapshot_new(1);
    char name[400] = "";
    for (int i = 0; i < CMDI_ADMIN_TYPES_MAX + 3; i++) {
        (void)snprintf(name, sizeof(name), "type %d", i);
        add_type(snapshot, "cmd-stream.server.command.count", "", name, "OK", 1, NULL);
        CU_ASSERT_EQUAL(snapshot->types_left_out > 0, i >= CMDI_ADMIN_TYPES_MAX);
    }
    CU_ASSERT_EQUAL(snapshot->type_count, CMDI_ADMIN_TYPES_MAX);
    CU_ASSERT_EQUAL(snapshot->types_left_out, 3);
    cmdi_admin_snapshot_free(snapshot);

    snapshot = cmdi_admin_snapshot_new(1);
    memset(name, 'x', sizeof(name) - 1);
    add_type(snapshot, "cmd-stream.server.command.count", name, name, "OK", 1, NULL);
    add_type(snapshot, "cmd-stream.server.command.count", name, name, "OK", 1, NULL);
    CU_ASSERT_EQUAL_FATAL(snapshot->type_count, 1);
    CU_ASSERT_EQUAL(strlen(snapshot->types[0].type), CMDI_ADMIN_TYPE_NAME_SIZE - 1);
    cmdi_admin_snapshot_free(snapshot);
}

/* --- Durations -------------------------------------------------------------------------------- */

static struct cmdi_admin_durations durations_of(const struct cmds_distribution *distribution)
{
    struct cmdi_admin_snapshot *snapshot = cmdi_admin_snapshot_new(1);
    struct cmds_metric metric = {.name = "cmdstream.turn.duration"};
    struct cmds_point point = {.distribution = distribution};
    CU_ASSERT_EQUAL(cmdi_admin_snapshot_add(snapshot, &metric, &point), 0);
    struct cmdi_admin_durations durations = snapshot->turns;
    cmdi_admin_snapshot_free(snapshot);
    return durations;
}

static bool is_near(double value, double wanted)
{
    return fabs(value / wanted - 1) < 0.045;
}

static void test_snapshot_has_quantiles_within_a_bucket(void)
{
    // 90 below 2^-10 s, 9 below 2^-5, 1 below 1: each in the last of the eight buckets before that.
    uint64_t buckets[81] = {[0] = 90, [40] = 9, [80] = 1};
    struct cmds_distribution distribution = {
            .scale = 3, .offset = -81, .bucket_count = 81, .buckets = buckets};
    struct cmdi_admin_durations durations = durations_of(&distribution);
    CU_ASSERT_TRUE(is_near(cmdi_admin_durations_quantile(&durations, 0.5), exp2(-10)));
    CU_ASSERT_TRUE(is_near(cmdi_admin_durations_quantile(&durations, 0.9), exp2(-10)));
    CU_ASSERT_TRUE(is_near(cmdi_admin_durations_quantile(&durations, 0.99), exp2(-5)));
    CU_ASSERT_TRUE(is_near(cmdi_admin_durations_quantile(&durations, 1), 1));
    // Of the greatest, too, the middle of its bucket, which `cmdstream stats` shows: see test_tool_stats.c.
    CU_ASSERT_DOUBLE_EQUAL(cmdi_admin_durations_quantile(&durations, 1), exp2(-0.5 / 8), 1e-12);

    // What came between two looks; nothing at all; and what is too short for a bucket.
    struct cmdi_admin_durations before = durations;
    durations.buckets[-41 - CMDI_ADMIN_BUCKET_FIRST] += 5;
    struct cmdi_admin_durations since = cmdi_admin_durations_since(&durations, &before);
    CU_ASSERT_EQUAL(cmdi_admin_durations_count(&since), 5);
    CU_ASSERT_TRUE(is_near(cmdi_admin_durations_quantile(&since, 0.01), exp2(-5)));
    since = cmdi_admin_durations_since(&durations, &durations);
    CU_ASSERT_TRUE(isnan(cmdi_admin_durations_quantile(&since, 1))); // No value is no time.
    CU_ASSERT_TRUE(isnan(cmdi_admin_durations_quantile(&since, 0.5)));
    since.zero_count = 99;
    since.buckets[0] = 1;
    CU_ASSERT_EQUAL(cmdi_admin_durations_quantile(&since, 0.99), 0);
    CU_ASSERT_TRUE(cmdi_admin_durations_quantile(&since, 1) > 0);
    since = cmdi_admin_durations_since(&durations, NULL);
    CU_ASSERT_EQUAL(cmdi_admin_durations_count(&since), 105);
}

static void test_snapshot_takes_other_scales_by_their_ends(void)
{
    // A bucket that ends at 2^-4, at scales 0 to 5, is the one that ends there.
    static const uint64_t one = 1;
    for (int32_t scale = 0; scale <= 5; scale++) {
        struct cmds_distribution distribution = {.scale = scale,
                .offset = -4 * (1 << scale) - 1,
                .bucket_count = 1,
                .buckets = &one};
        struct cmdi_admin_durations durations = durations_of(&distribution);
        CU_ASSERT_EQUAL(durations.buckets[-33 - CMDI_ADMIN_BUCKET_FIRST], 1);
    }
    // And those that are beyond its ends are at its ends.
    static const int32_t offsets[] = {-100000, 100000};
    for (int i = 0; i < 2; i++) {
        struct cmds_distribution distribution = {
                .scale = 3, .offset = offsets[i], .bucket_count = 1, .buckets = &one};
        struct cmdi_admin_durations durations = durations_of(&distribution);
        CU_ASSERT_EQUAL(durations.buckets[i * (CMDI_ADMIN_BUCKETS - 1)], 1);
    }
}

/* --- Figures ---------------------------------------------------------------------------------- */

static void test_words_are_what_a_person_reads(void)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    static const struct {
        double value;
        const char *bytes, *time, *number;
    } rows[] = {
            {0, "0 B", "0 ns", "0"},
            {0.0000412, "0 B", "41 us", "0.00"},
            {0.5, "0 B", "500 ms", "0.50"},
            {1.25, "1 B", "1.2 s", "1.25"},
            {61, "61 B", "61 s", "61"},
            {1536, "1.5 KiB", "25m36s", "1,536"},
            {2981120, "2.8 MiB", "34d12h", "2,981,120"},
            {1e18, "888 PiB", "11574074074d01h", "1,000,000,000,000,000"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_STRING_EQUAL(cmdi_admin_bytes(text, rows[i].value), rows[i].bytes);
        CU_ASSERT_STRING_EQUAL(cmdi_admin_time(text, rows[i].value), rows[i].time);
        CU_ASSERT_STRING_EQUAL(cmdi_admin_number(text, rows[i].value), rows[i].number);
    }

    CU_ASSERT_STRING_EQUAL(cmdi_admin_time(text, NAN), "-");

    struct cmdi_admin_out out = {0};
    cmdi_admin_left(&out, "ab", 3);
    cmdi_admin_right(&out, "ab", 3);
    cmdi_admin_left(&out, "abcd\x1b", 3);
    cmdi_admin_right(&out, "abcd", 3);
    CU_ASSERT_EQUAL(out.size, 23);
    CU_ASSERT_EQUAL(memcmp(out.data, "ab    ab  abcd?  abcd  ", 23), 0);
    cmdi_admin_out_free(&out);
}

static CU_TestInfo tests[] = {
        {"adds up what a shard has counted", test_snapshot_adds_up_what_a_shard_has_counted},
        {"tells types apart by side, name and type",
                test_snapshot_tells_types_apart_by_side_name_and_type},
        {"leaves out types beyond its bound", test_snapshot_leaves_out_types_beyond_its_bound},
        {"has quantiles within a bucket", test_snapshot_has_quantiles_within_a_bucket},
        {"takes other scales by their ends", test_snapshot_takes_other_scales_by_their_ends},
        {"words are what a person reads", test_words_are_what_a_person_reads},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("admin_snapshot", tests)
