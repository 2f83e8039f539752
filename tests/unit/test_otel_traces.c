/* SPDX-License-Identifier: MIT */
/*
 * Spans as bytes of OTLP. The golden request was made by another writer, from the .proto files. And spans
 * on their way into batches: which ones are due, and what stays where it is.
 */
#include "otel/traces.h"

#include <stdio.h>

#include "otel/spans.h"
#include "support/harness.h"
#include "support/otel_spans.h"

enum {
    AHEAD_NS = 1000000000,
    SIZE_LIMIT = 16 << 20,
};

/* The Resource with service.name = "t". */
static const char resource_bytes[] = "\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01t";
static const struct cmds_bytes resource = {resource_bytes, sizeof(resource_bytes) - 1};

static const char golden[] =
        "\x0a\x96\x05\x0a\x15\x0a\x13\x0a\x0c\x73\x65\x72\x76\x69\x63\x65\x2e\x6e\x61\x6d\x65\x12"
        "\x03\x0a\x01\x74\x12\xfc\x04\x0a\x12\x0a\x09\x63\x6d\x64\x73\x74\x72\x65\x61\x6d\x12\x05"
        "\x30\x2e\x31\x2e\x30\x12\x9d\x03\x0a\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"
        "\x0c\x0d\x0e\x0f\x12\x08\x01\x02\x03\x04\x05\x06\x07\x08\x22\x08\x02\x03\x04\x05\x06\x07"
        "\x08\x09\x2a\x17\x49\x6e\x76\x6f\x6b\x65\x20\x63\x61\x6c\x63\x5f\x61\x64\x64\x20\x28\x74"
        "\x72\x61\x63\x65\x29\x30\x02\x39\x05\xca\x9a\x3b\x00\x00\x00\x00\x41\x09\xca\x9a\x3b\x00"
        "\x00\x00\x00\x4a\x1d\x0a\x14\x6e\x65\x74\x77\x6f\x72\x6b\x2e\x70\x65\x65\x72\x2e\x61\x64"
        "\x64\x72\x65\x73\x73\x12\x05\x0a\x03\x3a\x3a\x31\x4a\x18\x0a\x11\x6e\x65\x74\x77\x6f\x72"
        "\x6b\x2e\x70\x65\x65\x72\x2e\x70\x6f\x72\x74\x12\x03\x18\xa8\x46\x4a\x1e\x0a\x15\x6e\x65"
        "\x74\x77\x6f\x72\x6b\x2e\x70\x72\x6f\x74\x6f\x63\x6f\x6c\x2e\x6e\x61\x6d\x65\x12\x05\x0a"
        "\x03\x74\x63\x70\x4a\x1e\x0a\x0a\x65\x72\x72\x6f\x72\x2e\x74\x79\x70\x65\x12\x10\x0a\x0e"
        "\x43\x4d\x44\x53\x5f\x45\x5f\x54\x49\x4d\x45\x4f\x55\x54\x4a\x0b\x0a\x04\x75\x73\x65\x72"
        "\x12\x03\x0a\x01\x78\x4a\x0a\x0a\x04\x6d\x6f\x72\x65\x12\x02\x0a\x00\x50\x03\x5a\x73\x09"
        "\x06\xca\x9a\x3b\x00\x00\x00\x00\x12\x06\x72\x65\x73\x75\x6c\x74\x1a\x1b\x0a\x15\x63\x6d"
        "\x64\x2d\x73\x74\x72\x65\x61\x6d\x2e\x72\x65\x73\x75\x6c\x74\x2e\x73\x65\x71\x12\x02\x18"
        "\x01\x1a\x1d\x0a\x16\x63\x6d\x64\x2d\x73\x74\x72\x65\x61\x6d\x2e\x72\x65\x73\x75\x6c\x74"
        "\x2e\x73\x69\x7a\x65\x12\x03\x18\xac\x02\x1a\x24\x0a\x16\x63\x6d\x64\x2d\x73\x74\x72\x65"
        "\x61\x6d\x2e\x72\x65\x73\x75\x6c\x74\x2e\x74\x79\x70\x65\x12\x0a\x0a\x08\x63\x61\x6c\x63"
        "\x5f\x73\x75\x6d\x5a\x14\x09\x07\xca\x9a\x3b\x00\x00\x00\x00\x12\x09\x6c\x6f\x6f\x6b\x65"
        "\x64\x20\x75\x70\x60\x02\x7a\x21\x12\x1d\x6e\x6f\x20\x72\x65\x73\x75\x6c\x74\x20\x77\x69"
        "\x74\x68\x69\x6e\x20\x74\x68\x65\x20\x64\x65\x61\x64\x6c\x69\x6e\x65\x18\x02\x85\x01\x01"
        "\x03\x00\x00\x12\xc5\x01\x0a\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
        "\x0e\x0f\x12\x08\x02\x03\x04\x05\x06\x07\x08\x09\x2a\x0d\x53\x65\x6e\x64\x20\x63\x61\x6c"
        "\x63\x5f\x61\x64\x64\x30\x03\x39\x01\xca\x9a\x3b\x00\x00\x00\x00\x41\x02\xca\x9a\x3b\x00"
        "\x00\x00\x00\x4a\x20\x0a\x14\x6e\x65\x74\x77\x6f\x72\x6b\x2e\x70\x65\x65\x72\x2e\x61\x64"
        "\x64\x72\x65\x73\x73\x12\x08\x0a\x06\x2f\x72\x75\x6e\x2f\x78\x4a\x1f\x0a\x15\x6e\x65\x74"
        "\x77\x6f\x72\x6b\x2e\x70\x72\x6f\x74\x6f\x63\x6f\x6c\x2e\x6e\x61\x6d\x65\x12\x06\x0a\x04"
        "\x75\x6e\x69\x78\x4a\x1c\x0a\x16\x63\x6d\x64\x2d\x73\x74\x72\x65\x61\x6d\x2e\x63\x6f\x6d"
        "\x6d\x61\x6e\x64\x2e\x73\x65\x71\x12\x02\x18\x07\x4a\x1d\x0a\x17\x63\x6d\x64\x2d\x73\x74"
        "\x72\x65\x61\x6d\x2e\x63\x6f\x6d\x6d\x61\x6e\x64\x2e\x73\x69\x7a\x65\x12\x02\x18\x0c\x85"
        "\x01\x01\x01\x00\x00";

static void test_traces_are_the_golden_bytes(void)
{
    struct cmdi_proto proto;
    struct cmds_span spans[2];
    cmdi_proto_init(&proto, SIZE_LIMIT);
    otel_span_server(&spans[0]);
    otel_span_client(&spans[1]);

    CU_ASSERT_EQUAL(cmdi_traces_write(&proto, resource, spans, 2, AHEAD_NS), 0);

    struct cmds_bytes bytes = cmdi_proto_bytes_of(&proto);
    CU_ASSERT_EQUAL_FATAL(bytes.size, sizeof(golden) - 1);
    CU_ASSERT_EQUAL(memcmp(bytes.data, golden, bytes.size), 0);
    cmdi_proto_fini(&proto);
}

static bool says(const struct cmdi_proto *proto, const char *text)
{
    struct cmds_bytes bytes = cmdi_proto_bytes_of(proto);
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

/* Addresses that are none, or were cut: nothing is said, and nothing is read beyond them. */
static void test_traces_of_odd_peers(void)
{
    static const char *const peers[][2] = {{"", ""}, {"unix:", "unix"}, {"[", ""}, {"]:1", "]"},
            {"[::1]:", "::1"}, {":5", "tcp"}, {"10.0.0.1:65535", "10.0.0.1"}, {"no port", ""}};
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        struct cmdi_proto proto;
        struct cmds_span span;
        cmdi_proto_init(&proto, SIZE_LIMIT);
        otel_span_client(&span);
        (void)snprintf(span.peer, sizeof(span.peer), "%s", peers[i][0]);
        CU_ASSERT_EQUAL(cmdi_traces_write(&proto, resource, &span, 1, 0), 0);
        CU_ASSERT_EQUAL(says(&proto, "network.peer.address"), peers[i][1][0] != '\0');
        CU_ASSERT_TRUE(says(&proto, peers[i][1]));
        cmdi_proto_fini(&proto);
    }
}

static void test_traces_of_what_was_not_sent(void)
{
    struct cmdi_proto proto;
    struct cmds_span span;
    cmdi_proto_init(&proto, SIZE_LIMIT);
    otel_span_client(&span);
    span.sequence = 0;
    span.error = CMDS_E_NOT_CONNECTED;
    CU_ASSERT_EQUAL(cmdi_traces_write(&proto, resource, &span, 1, 0), 0);
    CU_ASSERT_FALSE(says(&proto, "cmd-stream.command.seq"));
    CU_ASSERT_TRUE(says(&proto, "CMDS_E_NOT_CONNECTED"));
    cmdi_proto_fini(&proto);
}

/* ---- On their way ---------------------------------------------------------------------------- */

static uint32_t left; // In a ring that is none.

static uint32_t take(void *context, struct cmds_span *out, uint32_t count_max)
{
    (void)context;
    uint32_t count = left < count_max ? left : count_max;
    for (uint32_t i = 0; i < count; i++) {
        otel_span_client(&out[i]);
    }
    left -= count;
    return count;
}

/* What cmdi_spans_look() works on; the courier has no libcurl, and never sends. */
struct way {
    struct cmdi_source source;
    struct cmdi_target target;
    struct cmdi_tally tally;
    struct cmdi_otel_log log;
    struct cmdi_courier courier;
    struct cmdi_proto body;
    struct cmdi_spans spans;
};

static void way_init(struct way *way)
{
    *way = (struct way){.source = {.take = take}, .target = {.shown = "here"}};
    way->courier.target = &way->target;
    way->courier.name = "traces";
    way->courier.tally = &way->tally;
    way->courier.log = &way->log;
    cmdi_proto_init(&way->body, SIZE_LIMIT);
    CU_ASSERT_EQUAL_FATAL(cmdi_spans_init(&way->spans, &way->source, resource, 5000), 0);
}

static void way_look(struct way *way, uint64_t now_ms, uint32_t waiting, uint32_t count)
{
    CU_ASSERT_EQUAL(cmdi_spans_look(&way->spans, &way->courier, &way->body, now_ms), 0);
    CU_ASSERT_EQUAL(way->courier.queue.count, waiting);
    CU_ASSERT_EQUAL(way->spans.count, count);
}

static void way_fini(struct way *way)
{
    struct cmdi_batch batch;
    while (cmdi_queue_pop(&way->courier.queue, &batch)) {
        cmdi_batch_free(&batch);
    }
    cmdi_spans_fini(&way->spans);
    cmdi_proto_fini(&way->body);
}

static void test_spans_wait_for_company(void)
{
    struct way way;
    way_init(&way);
    left = 10;
    way_look(&way, 1000, 0, 10);
    left = 5;
    way_look(&way, 1099, 0, 10); // It looks ten times a second.
    way_look(&way, 1100, 0, 15);
    way_look(&way, 5999, 0, 15);
    way_look(&way, 6099, 1, 0); // Five seconds after the first one.
    CU_ASSERT_EQUAL(way.courier.queue.batches[0].item_count, 15);
    way_look(&way, 20000, 1, 0); // Nothing makes no batch.
    left = CMDI_SPANS_MAX + 1;
    way_look(&way, 20100, 2, 0); // So many do not wait.
    CU_ASSERT_EQUAL(left, 1);
    CU_ASSERT_EQUAL(way.courier.queue.batches[1].item_count, CMDI_SPANS_MAX);
    way_fini(&way);
}

static void test_spans_that_are_wanted_go_at_once(void)
{
    struct way way;
    way_init(&way);
    left = 10;
    way_look(&way, 1000, 0, 10);
    left = 1;
    way.spans.is_wanted = true;
    way_look(&way, 1001, 1, 0);
    CU_ASSERT_FALSE(way.spans.is_wanted);
    way_fini(&way);
}

/* No batch pushes out another one: spans stay where they are, and so does the wish for all of them. */
static void test_spans_stay_while_the_courier_is_full(void)
{
    struct way way;
    way_init(&way);
    left = 4 * CMDI_SPANS_MAX;
    way.spans.is_wanted = true;
    way_look(&way, 1000, 2, 0);
    CU_ASSERT_EQUAL(left, 2 * CMDI_SPANS_MAX);
    way_look(&way, 2000, 2, 0);
    CU_ASSERT_TRUE(way.spans.is_wanted);
    CU_ASSERT_EQUAL(left, 2 * CMDI_SPANS_MAX);

    struct cmdi_batch batch;
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE_FATAL(cmdi_queue_pop(&way.courier.queue, &batch));
        cmdi_batch_free(&batch);
    }
    way_look(&way, 2001, 2, 0);
    CU_ASSERT_EQUAL(left, 0);
    CU_ASSERT_EQUAL(way.tally.dropped, 0);
    way_fini(&way);
}

static CU_TestInfo tests[] = {
        {"traces are the golden bytes", test_traces_are_the_golden_bytes},
        {"traces of odd peers", test_traces_of_odd_peers},
        {"traces of what was not sent", test_traces_of_what_was_not_sent},
        {"spans wait for company", test_spans_wait_for_company},
        {"spans that are wanted go at once", test_spans_that_are_wanted_go_at_once},
        {"spans stay while the courier is full", test_spans_stay_while_the_courier_is_full},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel_traces", tests)
