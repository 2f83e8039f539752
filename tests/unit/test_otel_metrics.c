/* SPDX-License-Identifier: MIT */
/*
 * OTLP as bytes. The golden requests were made by another writer, from the .proto files: what both agree
 * on is not a mistake of one. And deltas: what a total was before is not sent twice.
 */
#include "otel/metrics.h"

#include <errno.h>

#include "support/harness.h"
#include "support/otel_points.h"

enum {
    SIZE_MAX_TEST = 1 << 20,
};

/* The Resource with service.name = "t". */
static const char resource[] = "\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01t";
static const struct cmdi_metrics_plan plan = {
        .resource = {resource, sizeof(resource) - 1}, .start_ns = 1000};
static const struct cmdi_metrics_plan plan_explicit = {
        .resource = {resource, sizeof(resource) - 1}, .start_ns = 1000, .is_explicit = true};

static const char golden_exponential[] =
        "\x0a\xe5\x02\x0a\x15\x0a\x13\x0a\x0c\x73\x65\x72\x76\x69\x63\x65\x2e\x6e\x61\x6d\x65\x12"
        "\x03\x0a\x01\x74\x12\xcb\x02\x0a\x12\x0a\x09\x63\x6d\x64\x73\x74\x72\x65\x61\x6d\x12\x05"
        "\x30\x2e\x31\x2e\x30\x12\x67\x0a\x03\x6e\x2e\x68\x12\x0c\x41\x20\x68\x69\x73\x74\x6f\x67"
        "\x72\x61\x6d\x2e\x1a\x01\x73\x52\x4f\x0a\x4b\x0a\x07\x0a\x01\x6b\x12\x02\x0a\x00\x11\xe8"
        "\x03\x00\x00\x00\x00\x00\x00\x19\xd0\x07\x00\x00\x00\x00\x00\x00\x21\x2f\x01\x00\x00\x00"
        "\x00\x00\x00\x29\x00\x00\x00\x00\x00\x00\xf4\x3f\x30\x06\x39\x02\x00\x00\x00\x00\x00\x00"
        "\x00\x42\x08\x08\x09\x12\x04\x01\x00\xac\x02\x71\x00\x00\x00\x00\x00\x00\x70\x3e\x10\x02"
        "\x12\x28\x0a\x03\x6e\x2e\x67\x12\x08\x41\x20\x67\x61\x75\x67\x65\x2e\x1a\x01\x73\x2a\x14"
        "\x0a\x12\x19\xd0\x07\x00\x00\x00\x00\x00\x00\x21\x00\x00\x00\x00\x00\x00\xe0\x3f\x12\xa1"
        "\x01\x0a\x03\x6e\x2e\x63\x12\x0a\x41\x20\x63\x6f\x75\x6e\x74\x65\x72\x2e\x1a\x09\x7b\x63"
        "\x6f\x6d\x6d\x61\x6e\x64\x7d\x3a\x82\x01\x0a\x25\x11\xe8\x03\x00\x00\x00\x00\x00\x00\x19"
        "\xd0\x07\x00\x00\x00\x00\x00\x00\x31\x2c\x01\x00\x00\x00\x00\x00\x00\x3a\x08\x0a\x01\x6b"
        "\x12\x03\x0a\x01\x62\x0a\x55\x11\xe8\x03\x00\x00\x00\x00\x00\x00\x19\xd0\x07\x00\x00\x00"
        "\x00\x00\x00\x2a\x2e\x11\xdc\x05\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x00\x00\x00\x04"
        "\x40\x22\x08\x00\x01\x02\x03\x04\x05\x06\x07\x2a\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08"
        "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x31\x07\x00\x00\x00\x00\x00\x00\x00\x3a\x08\x0a\x01\x6b\x12"
        "\x03\x0a\x01\x61\x10\x02\x18\x01";

static const char golden_explicit[] =
        "\x0a\xea\x03\x0a\x15\x0a\x13\x0a\x0c\x73\x65\x72\x76\x69\x63\x65\x2e\x6e\x61\x6d\x65\x12"
        "\x03\x0a\x01\x74\x12\xd0\x03\x0a\x12\x0a\x09\x63\x6d\x64\x73\x74\x72\x65\x61\x6d\x12\x05"
        "\x30\x2e\x31\x2e\x30\x12\xb9\x03\x0a\x03\x6e\x2e\x68\x12\x0c\x41\x20\x68\x69\x73\x74\x6f"
        "\x67\x72\x61\x6d\x2e\x1a\x01\x73\x4a\xa0\x03\x0a\x9b\x03\x11\xe8\x03\x00\x00\x00\x00\x00"
        "\x00\x19\xd0\x07\x00\x00\x00\x00\x00\x00\x21\x2f\x01\x00\x00\x00\x00\x00\x00\x29\x00\x00"
        "\x00\x00\x00\x00\xf4\x3f\x32\xb8\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x2d\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x3a\xb0\x01\x00\x00"
        "\x00\x00\x00\x00\xc0\x3e\x00\x00\x00\x00\x00\x00\xd0\x3e\x00\x00\x00\x00\x00\x00\xe0\x3e"
        "\x00\x00\x00\x00\x00\x00\xf0\x3e\x00\x00\x00\x00\x00\x00\x00\x3f\x00\x00\x00\x00\x00\x00"
        "\x10\x3f\x00\x00\x00\x00\x00\x00\x20\x3f\x00\x00\x00\x00\x00\x00\x30\x3f\x00\x00\x00\x00"
        "\x00\x00\x40\x3f\x00\x00\x00\x00\x00\x00\x50\x3f\x00\x00\x00\x00\x00\x00\x60\x3f\x00\x00"
        "\x00\x00\x00\x00\x70\x3f\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x00\x00\x00\x90\x3f"
        "\x00\x00\x00\x00\x00\x00\xa0\x3f\x00\x00\x00\x00\x00\x00\xb0\x3f\x00\x00\x00\x00\x00\x00"
        "\xc0\x3f\x00\x00\x00\x00\x00\x00\xd0\x3f\x00\x00\x00\x00\x00\x00\xe0\x3f\x00\x00\x00\x00"
        "\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x10\x40\x4a\x07"
        "\x0a\x01\x6b\x12\x02\x0a\x00\x10\x02";

static void assert_bytes(const struct cmdi_proto *proto, const char *golden, size_t size)
{
    struct cmds_bytes bytes = cmdi_proto_bytes_of(proto);
    CU_ASSERT_EQUAL_FATAL(bytes.size, size);
    CU_ASSERT_EQUAL(memcmp(bytes.data, golden, size), 0);
}

/* ---- The writer ------------------------------------------------------------------------------ */

static void test_proto_writes_from_the_end(void)
{
    struct cmdi_proto proto;
    cmdi_proto_init(&proto, SIZE_MAX_TEST);
    CU_ASSERT_EQUAL(cmdi_proto_bytes_of(&proto).size, 0);

    cmdi_proto_sint(&proto, 3, -1);
    size_t mark = cmdi_proto_mark(&proto);
    cmdi_proto_fixed32(&proto, 5, 0x01020304);
    cmdi_proto_text(&proto, 4, NULL);
    cmdi_proto_text(&proto, 4, "");
    cmdi_proto_wrap(&proto, 2, mark);
    cmdi_proto_uint(&proto, 1, UINT64_MAX);

    static const char golden[] = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                 "\x12\x05\x2d\x04\x03\x02\x01\x18\x01";
    assert_bytes(&proto, golden, sizeof(golden) - 1);
    cmdi_proto_reset(&proto);
    CU_ASSERT_EQUAL(cmdi_proto_bytes_of(&proto).size, 0);
    cmdi_proto_fini(&proto);
}

static void test_proto_grows_and_stops(void)
{
    struct cmdi_proto proto;
    cmdi_proto_init(&proto, 8192);
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';

    for (int i = 0; i < 8; i++) {
        cmdi_proto_text(&proto, 1, text);
    }
    struct cmds_bytes bytes = cmdi_proto_bytes_of(&proto);
    CU_ASSERT_EQUAL_FATAL(bytes.size, 8 * 1003);
    CU_ASSERT_EQUAL(memcmp(bytes.data, "\x0a\xe8\x07xxx", 6), 0);
    CU_ASSERT_EQUAL(memcmp((const char *)bytes.data + 7 * 1003, "\x0a\xe8\x07xxx", 6), 0);

    cmdi_proto_text(&proto, 1, text); // Beyond the limit, and so is all that follows.
    cmdi_proto_uint(&proto, 1, 1);
    CU_ASSERT_EQUAL(proto.error, -EFBIG);
    CU_ASSERT_EQUAL(cmdi_proto_bytes_of(&proto).size, 0);
    cmdi_proto_fini(&proto);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void test_metrics_are_the_golden_bytes(void)
{
    struct cmdi_proto proto;
    struct cmdi_metrics metrics;
    cmdi_proto_init(&proto, SIZE_MAX_TEST);

    cmdi_metrics_begin(&metrics, &plan, &proto, NULL, 2000);
    CU_ASSERT_EQUAL(otel_points_read(NULL, 0, cmdi_metrics_point, &metrics), 0);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 4);
    assert_bytes(&proto, golden_exponential, sizeof(golden_exponential) - 1);

    cmdi_proto_reset(&proto);
    cmdi_metrics_begin(&metrics, &plan_explicit, &proto, NULL, 2000);
    CU_ASSERT_EQUAL(cmdi_metrics_point(&metrics, &otel_histogram, &otel_histogram_point), 0);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 1);
    assert_bytes(&proto, golden_explicit, sizeof(golden_explicit) - 1);
    cmdi_proto_fini(&proto);
}

/* Of the bytes of a request: `count` fixed64 that stand behind the tag and size of field 6. */
static bool explicit_counts(struct cmds_bytes bytes, uint64_t counts[23])
{
    const uint8_t *at = memmem(bytes.data, bytes.size, "\x32\xb8\x01", 3);
    if (at == NULL) {
        return false;
    }
    memcpy(counts, at + 3, 23 * sizeof(uint64_t));
    return true;
}

/* The bounds are inclusive above, in both forms: a value of 2^e is in the bucket that ends there. */
static void test_metrics_explicit_bounds_at_each_octave(void)
{
    struct cmdi_proto proto;
    cmdi_proto_init(&proto, SIZE_MAX_TEST);
    for (int32_t index = -200; index < 40; index++) {
        static const uint64_t one = 1;
        struct cmds_distribution distribution = otel_distribution;
        distribution.offset = index;
        distribution.bucket_count = 1;
        distribution.buckets = &one;
        distribution.zero_count = 0;
        struct cmds_point point = {.distribution = &distribution};
        struct cmdi_metrics metrics;
        cmdi_proto_reset(&proto);
        cmdi_metrics_begin(&metrics, &plan_explicit, &proto, NULL, 2000);
        CU_ASSERT_EQUAL(cmdi_metrics_point(&metrics, &otel_histogram, &point), 0);
        CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 1);

        int32_t power = -19; // The first bound that is not below 2^((index + 1) / 8).
        while (power * 8 < index + 1) {
            power++;
        }
        uint64_t counts[23];
        CU_ASSERT_FATAL(explicit_counts(cmdi_proto_bytes_of(&proto), counts));
        CU_ASSERT_EQUAL(counts[power + 19 < 22 ? power + 19 : 22], 1);
    }
    cmdi_proto_fini(&proto);
}

/* The first bound, which tells the unit. */
static double first_bound_of(const struct cmds_metric *metric)
{
    static const struct cmdi_metrics_plan milliseconds = {
            .resource = {resource, sizeof(resource) - 1},
            .start_ns = 1000,
            .is_explicit = true,
            .is_milliseconds = true};
    struct cmdi_proto proto;
    struct cmdi_metrics metrics;
    double bound = 0;
    cmdi_proto_init(&proto, SIZE_MAX_TEST);
    cmdi_metrics_begin(&metrics, &milliseconds, &proto, NULL, 2000);
    CU_ASSERT_EQUAL(cmdi_metrics_point(&metrics, metric, &otel_histogram_point), 0);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 1);
    struct cmds_bytes bytes = cmdi_proto_bytes_of(&proto);
    const uint8_t *at = memmem(bytes.data, bytes.size, "\x3a\xb0\x01", 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(&bound, at + 3, sizeof(bound));
    cmdi_proto_fini(&proto);
    return bound;
}

/* Only what Go has is in Go's milliseconds, of which 1024 are a second. */
static void test_metrics_bounds_by_unit_and_name(void)
{
    struct cmds_metric metric = otel_histogram;
    CU_ASSERT_EQUAL(first_bound_of(&metric), 0x1p-19);
    metric.name = "cmd-stream.server.command.duration";
    CU_ASSERT_EQUAL(first_bound_of(&metric), 0x1p-9);
    metric.unit = "By";
    CU_ASSERT_EQUAL(first_bound_of(&metric), 8);
    metric.unit = NULL;
    CU_ASSERT_EQUAL(first_bound_of(&metric), 8);
}

static void test_metrics_too_large_are_an_error(void)
{
    struct cmdi_proto proto;
    struct cmdi_metrics metrics;
    cmdi_proto_init(&proto, 4096);
    cmdi_metrics_begin(&metrics, &plan, &proto, NULL, 2000);

    int code = 0;
    for (int i = 0; i < 1000 && code == 0; i++) {
        code = cmdi_metrics_point(&metrics, &otel_counter, &otel_counter_a);
    }

    CU_ASSERT_EQUAL(code, -EFBIG);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), -EFBIG);
    cmdi_proto_fini(&proto);
}

/* ---- Deltas ---------------------------------------------------------------------------------- */

static void test_deltas_of_counters(void)
{
    struct cmdi_deltas *deltas = cmdi_deltas_new(1000);
    static struct cmdi_delta_point less;
    struct cmds_point point = otel_counter_a;
    CU_ASSERT_PTR_NOT_NULL_FATAL(deltas);

    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &point, &less), 1);
    CU_ASSERT_EQUAL(less.point.integer, 7);
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &point, &less), 0);
    point.integer = 10;
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &point, &less), 1);
    CU_ASSERT_EQUAL(less.point.integer, 3);
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &otel_counter_b, &less), 1);
    CU_ASSERT_EQUAL(less.point.integer, 300); // Another label, another point.
    point.integer = 4;
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &point, &less), 1);
    CU_ASSERT_EQUAL(less.point.integer, 4); // It has begun anew.

    CU_ASSERT_EQUAL(cmdi_deltas_since(deltas), 1000);
    cmdi_deltas_next(deltas, 2000);
    CU_ASSERT_EQUAL(cmdi_deltas_since(deltas), 2000);
    cmdi_deltas_free(deltas);
}

static void test_deltas_of_histograms(void)
{
    struct cmdi_deltas *deltas = cmdi_deltas_new(1000);
    static struct cmdi_delta_point less;
    struct cmds_distribution now = otel_distribution;
    struct cmds_point point = {.distribution = &now};
    CU_ASSERT_PTR_NOT_NULL_FATAL(deltas);

    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_histogram, &point, &less), 1);
    CU_ASSERT_EQUAL(less.distribution.bucket_count, 3);
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_histogram, &point, &less), 0);

    uint64_t buckets[] = {4, 0, 1, 5, 300, 0, 2}; // Wider on both sides.
    now.buckets = buckets;
    now.bucket_count = 7;
    now.offset = -7;
    now.count = 314;
    now.sum = 2.25;
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_histogram, &point, &less), 1);
    static const uint64_t added[] = {4, 0, 0, 5, 0, 0, 2};
    CU_ASSERT_EQUAL_FATAL(less.distribution.bucket_count, 7);
    CU_ASSERT_EQUAL(memcmp(less.distribution.buckets, added, sizeof(added)), 0);
    CU_ASSERT_EQUAL(less.distribution.offset, -7);
    CU_ASSERT_EQUAL(less.distribution.count, 11);
    CU_ASSERT_EQUAL(less.distribution.zero_count, 0);
    CU_ASSERT_EQUAL(less.distribution.sum, 1.0);

    buckets[3]++;
    now.count++;
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_histogram, &point, &less), 1);
    CU_ASSERT_EQUAL_FATAL(less.distribution.bucket_count, 1); // What is empty at the edges goes.
    CU_ASSERT_EQUAL(less.distribution.offset, -4);
    CU_ASSERT_EQUAL(less.distribution.buckets[0], 1);
    cmdi_deltas_free(deltas);
}

static void test_deltas_are_bounded(void)
{
    struct cmdi_deltas *deltas = cmdi_deltas_new(1000);
    static struct cmdi_delta_point less;
    CU_ASSERT_PTR_NOT_NULL_FATAL(deltas);
    for (uint32_t i = 0; i <= CMDI_DELTAS_MAX; i++) {
        struct cmds_label label = {"k", {(const char *)&i, sizeof(i)}};
        struct cmds_point point = {.labels = &label, .label_count = 1, .integer = 1};
        int code = cmdi_deltas_take(deltas, &otel_counter, &point, &less);
        CU_ASSERT_EQUAL_FATAL(code, i < CMDI_DELTAS_MAX ? 1 : -ENOBUFS);
    }
    uint32_t first = 0;
    struct cmds_label label = {"k", {(const char *)&first, sizeof(first)}};
    struct cmds_point point = {.labels = &label, .label_count = 1, .integer = 3};
    CU_ASSERT_EQUAL(cmdi_deltas_take(deltas, &otel_counter, &point, &less), 1);
    CU_ASSERT_EQUAL(less.point.integer, 2);
    cmdi_deltas_free(deltas);
}

static void test_metrics_as_deltas(void)
{
    struct cmdi_proto proto;
    struct cmdi_metrics metrics;
    struct cmdi_deltas *deltas = cmdi_deltas_new(1000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(deltas);
    cmdi_proto_init(&proto, SIZE_MAX_TEST);

    cmdi_metrics_begin(&metrics, &plan, &proto, deltas, 2000);
    CU_ASSERT_EQUAL(otel_points_read(NULL, 0, cmdi_metrics_point, &metrics), 0);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 4);
    struct cmds_bytes bytes = cmdi_proto_bytes_of(&proto);
    static const char delta_monotonic[] = "\x10\x01\x18\x01";
    CU_ASSERT_PTR_NOT_NULL(memmem(bytes.data, bytes.size, delta_monotonic, 4));

    cmdi_proto_reset(&proto);
    cmdi_metrics_begin(&metrics, &plan, &proto, deltas, 3000);
    CU_ASSERT_EQUAL(metrics.since_ns, 2000);
    CU_ASSERT_EQUAL(otel_points_read(NULL, 0, cmdi_metrics_point, &metrics), 0);
    CU_ASSERT_EQUAL(cmdi_metrics_end(&metrics), 1); // The gauge: nothing was added to the others.
    cmdi_deltas_free(deltas);
    cmdi_proto_fini(&proto);
}

static CU_TestInfo tests[] = {
        {"proto writes from the end", test_proto_writes_from_the_end},
        {"proto grows, and stops at its limit", test_proto_grows_and_stops},
        {"metrics are the golden bytes", test_metrics_are_the_golden_bytes},
        {"explicit bounds at each octave", test_metrics_explicit_bounds_at_each_octave},
        {"bounds by unit and name", test_metrics_bounds_by_unit_and_name},
        {"metrics that are too large are an error", test_metrics_too_large_are_an_error},
        {"deltas of counters", test_deltas_of_counters},
        {"deltas of histograms", test_deltas_of_histograms},
        {"deltas are bounded", test_deltas_are_bounded},
        {"metrics as deltas", test_metrics_as_deltas},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel_metrics", tests)
