/* SPDX-License-Identifier: MIT */
/*
 * Contexts of traces as values. What may go wrong: a header that W3C calls bad is taken, or a good one
 * of a later version refused; a bad tracestate spoils the traceparent beside it; a baggage that is no
 * text is passed on; an id is zero; a ratio samples other traces than the peers' samplers do; the rate
 * has no end.
 */
#include "telemetry/trace.h"

#include <string.h>

#include "shard/spans.h"
#include "support/harness.h"

#define TRACE_ID       "12345678901234567890123456789012"
#define SPAN_ID        "1234567890123456"
#define ZEROS_16       "0000000000000000"
#define TIMES_10(text) text text text text text text text text text text

/* The cases of W3C's own test suite, and a few beside it. */
static const struct parent_case {
    const char *text;
    bool good;
    uint8_t flags;
} parent_cases[] = {
        {"00-" TRACE_ID "-" SPAN_ID "-01", true, 1},
        {"00-" TRACE_ID "-" SPAN_ID "-00", true, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-03", true, 3}, // Sampled, and the id is random.
        {"00-" TRACE_ID "-" SPAN_ID "-ff", true, 0xff},
        {"cc-" TRACE_ID "-" SPAN_ID "-01", true, 1},
        {"cc-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", true, 1},
        {"cc-" TRACE_ID "-" SPAN_ID "-01-", true, 1},
        {"fe-" TRACE_ID "-" SPAN_ID "-01", true, 1},
        {"cc-" TRACE_ID "-" SPAN_ID "-01.what-the-future-will-not-be-like", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-01-", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", false, 0},
        {"ff-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {".0-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"0.-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"0-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"000-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"00-" ZEROS_16 ZEROS_16 "-" SPAN_ID "-01", false, 0},
        {"00-.2345678901234567890123456789012-" SPAN_ID "-01", false, 0},
        {"00-1234567890123456789012345678901.-" SPAN_ID "-01", false, 0},
        {"00-1234567890123456789012345678901A-" SPAN_ID "-01", false, 0},
        {"00-" TRACE_ID "3-" SPAN_ID "-01", false, 0},
        {"00-1234567890123456789012345678901-" SPAN_ID "-01", false, 0},
        {"00-" TRACE_ID "-" ZEROS_16 "-01", false, 0},
        {"00-" TRACE_ID "-.234567890123456-01", false, 0},
        {"00-" TRACE_ID "-123456789012345.-01", false, 0},
        {"00-" TRACE_ID "-12345678901234567-01", false, 0},
        {"00-" TRACE_ID "-123456789012345-01", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-.0", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-0.", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-001", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-1", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-0A", false, 0},
        {" 00-" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "-01 ", false, 0},
        {"00_" TRACE_ID "-" SPAN_ID "-01", false, 0},
        {"00-" TRACE_ID "_" SPAN_ID "-01", false, 0},
        {"00-" TRACE_ID "-" SPAN_ID "_01", false, 0},
        {"00-", false, 0},
        {"", false, 0},
};

static void test_trace_parses_what_w3c_calls_good(void)
{
    for (size_t i = 0; i < sizeof(parent_cases) / sizeof(*parent_cases); i++) {
        struct cmds_trace trace;
        struct cmds_trace before;
        memset(&trace, 0x5a, sizeof(trace));
        before = trace;

        int code = cmds_trace_parse(&trace, cmds_string_from(parent_cases[i].text));

        CU_ASSERT_EQUAL(code, parent_cases[i].good ? 0 : CMDS_E_PROTO);
        CU_ASSERT(code == 0 || memcmp(&trace, &before, sizeof(trace)) == 0);
        CU_ASSERT(code != 0 || trace.flags == parent_cases[i].flags);
        CU_ASSERT(code != 0 || (trace.trace_id[0] == 0x12 && trace.trace_id[15] == 0x12 &&
                                       trace.span_id[7] == 0x56 && trace.state.size == 0));
    }
}

/* Every byte at every place of the ids: sixteen of them are digits. */
static void test_trace_knows_every_digit(void)
{
    static const char digits[] = "0123456789abcdef", parent[] = "00-" TRACE_ID "-" SPAN_ID "-01";
    uint32_t differ = 0;
    for (size_t at = 3; at < 52; at++) {
        for (unsigned byte = 0; byte < 256 && at != 35; byte++) {
            char text[sizeof(parent)];
            struct cmds_trace trace;
            memcpy(text, parent, sizeof(text));
            text[at] = (char)byte;
            bool is_digit = byte != 0 && strchr(digits, (int)byte) != NULL;
            struct cmds_string string = {text, sizeof(text) - 1};
            int code = cmds_trace_parse(&trace, string);
            char out[CMDS_TRACEPARENT_SIZE];
            if (code == 0) {
                cmds_trace_format(&trace, out);
            }
            differ += code != (is_digit ? 0 : CMDS_E_PROTO) ||
                      (code == 0 && memcmp(out, text, sizeof(text)) != 0);
        }
    }
    CU_ASSERT_EQUAL(differ, 0);
}

static void test_trace_formats_only_the_sampled_flag(void)
{
    struct cmds_trace trace;
    char out[CMDS_TRACEPARENT_SIZE];
    CU_ASSERT_EQUAL_FATAL(
            cmds_trace_parse(&trace, cmds_string_from("cc-" TRACE_ID "-" SPAN_ID "-ff-x")), 0);

    cmds_trace_format(&trace, out);

    CU_ASSERT_STRING_EQUAL(out, "00-" TRACE_ID "-" SPAN_ID "-01");
    trace.flags = 0xfe;
    cmds_trace_format(&trace, out);
    CU_ASSERT_STRING_EQUAL(out, "00-" TRACE_ID "-" SPAN_ID "-00");
}

#define T_240 TIMES_10(TIMES_10("t")) TIMES_10(TIMES_10("t")) TIMES_10("tttt")

static const struct state_case {
    const char *text;
    bool good;
} state_cases[] = {
        {"", true},
        {"foo=1", true},
        {"foo=1,bar=2", true},
        {"foo=1, bar=2", true},
        {"foo=1 \t , \t bar=2, \t baz=3", true},
        {"foo=1,", true},
        {"foo=1,,,bar=2", true},
        {" ", true},
        {"abcdefghijklmnopqrstuvwxyz0123456789_-*/=1", true},
        {"0a@b=1", true},
        {"foo= !\"#$%&'()*+-./0:;<>?@AZ[\\]^_`az{|}~", true},
        {T_240 "t@vvvvvvvvvvvvvv=1", true},
        {T_240 "tt@v=1", false},
        {"t@vvvvvvvvvvvvvvv=1", false},
        {T_240 "tttttttttttttttt=1", true},
        {T_240 "ttttttttttttttttt=1", false},
        {"foo", false},
        {"foo=1,bar", false},
        {"foo=", false},
        {"=1", false},
        {"foo =1", false},
        {"FOO=1", false},
        {"foo.bar=1", false},
        {"0a=1", false},
        {"foo@=1,bar=2", false},
        {"@foo=1,bar=2", false},
        {"foo@@bar=1,bar=2", false},
        {"foo@bar@baz=1,bar=2", false},
        {"foo@1=1", false},
        {"foo=1,foo=1", false},
        {"foo=1,foo=2", false},
        {"foo=bar=baz", false},
        {"foo=,bar=3", false},
        {"foo=b\xc3\xa4r", false},
        {"foo=a\tb", false},
};

static void test_trace_knows_a_tracestate(void)
{
    for (size_t i = 0; i < sizeof(state_cases) / sizeof(*state_cases); i++) {
        CU_ASSERT_EQUAL(cmdi_tracestate_is_valid(cmds_string_from(state_cases[i].text)),
                state_cases[i].good);
    }
}

static void test_trace_bounds_a_tracestate(void)
{
    char text[CMDS_TRACESTATE_MAX + 1];
    size_t used = 0;
    for (char key = 'a'; key <= 'z'; key++) {
        text[used++] = key;
        memcpy(text + used, "=1,", 3);
        used += 3;
    }
    memcpy(text + used, "a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,", 30);
    used += 30;
    CU_ASSERT(cmdi_tracestate_is_valid((struct cmds_string){text, used}));
    memcpy(text + used, "a7=1", 4);
    CU_ASSERT(!cmdi_tracestate_is_valid((struct cmds_string){text, used + 4}));

    memset(text, ',', sizeof(text));
    CU_ASSERT(cmdi_tracestate_is_valid((struct cmds_string){text, CMDS_TRACESTATE_MAX}));
    CU_ASSERT(!cmdi_tracestate_is_valid((struct cmds_string){text, sizeof(text)}));
}

static void test_trace_carrier_keeps_what_is_good(void)
{
    const struct cmds_pair pairs[] = {
            {CMDS_STRING("baggage"), CMDS_STRING("user=alice;x=1")},
            {CMDS_STRING("other"), CMDS_STRING("not ours")},
            {CMDS_STRING("tracestate"), CMDS_STRING("foo=1,foo=2")},
            {CMDS_STRING("traceparent"), CMDS_STRING("00-" TRACE_ID "-" SPAN_ID "-01")},
    };
    struct cmds_trace trace = {0};
    struct cmdi_carrier carrier;

    CU_ASSERT_FATAL(cmdi_trace_from_map(&trace, (struct cmds_map){pairs, 4}));

    CU_ASSERT_EQUAL(trace.state.size, 0); // A bad one spoils nothing else.
    CU_ASSERT(cmds_string_equal(trace.baggage, pairs[0].value));
    struct cmds_map map = cmdi_trace_to_map(&trace, &carrier);
    CU_ASSERT_EQUAL_FATAL(map.count, 2); // Unknown keys do not pass.
    CU_ASSERT(cmds_string_equal(map.items[0].key, pairs[3].key));
    CU_ASSERT(cmds_string_equal(map.items[0].value, pairs[3].value));
    CU_ASSERT(cmds_string_equal(map.items[1].value, pairs[0].value));
}

static void test_trace_carrier_without_a_context_is_none(void)
{
    struct cmds_pair pairs[CMDI_CARRIER_PAIRS_MAX + 1] = {
            {CMDS_STRING("traceparent"), CMDS_STRING("00-" TRACE_ID "-" SPAN_ID "-01")},
    };
    struct cmds_trace trace = {0};
    for (size_t i = 1; i <= CMDI_CARRIER_PAIRS_MAX; i++) {
        pairs[i] = (struct cmds_pair){CMDS_STRING("k"), CMDS_STRING("v")};
    }

    CU_ASSERT(!cmdi_trace_from_map(&trace, (struct cmds_map){NULL, 0}));
    CU_ASSERT(!cmdi_trace_from_map(&trace, (struct cmds_map){pairs + 1, 1}));
    CU_ASSERT(!cmdi_trace_from_map(&trace, (struct cmds_map){pairs, CMDI_CARRIER_PAIRS_MAX + 1}));
    CU_ASSERT(cmdi_trace_from_map(&trace, (struct cmds_map){pairs, CMDI_CARRIER_PAIRS_MAX}));
}

static void test_trace_baggage_is_text_of_a_size(void)
{
    static char text[CMDS_BAGGAGE_MAX + 1];
    memset(text, 'a', sizeof(text));
    CU_ASSERT(cmdi_baggage_is_valid((struct cmds_string){text, CMDS_BAGGAGE_MAX}));
    CU_ASSERT(!cmdi_baggage_is_valid((struct cmds_string){text, CMDS_BAGGAGE_MAX + 1}));
    CU_ASSERT(cmdi_baggage_is_valid((struct cmds_string)CMDS_STRING("k=v \t,x=%C3%A4")));
    CU_ASSERT(!cmdi_baggage_is_valid((struct cmds_string)CMDS_STRING("k=\xc3\xa4")));
    CU_ASSERT(!cmdi_baggage_is_valid((struct cmds_string)CMDS_STRING("k=\x7f")));
    CU_ASSERT(!cmdi_baggage_is_valid((struct cmds_string)CMDS_STRING("k=\n")));
}

static void test_trace_ids_are_never_zero(void)
{
    const uint64_t zeros[2] = {0, 0};
    const uint8_t none[16] = {0};
    uint8_t trace_id[16] = {0};
    uint8_t span_id[8] = {0};

    cmdi_trace_id(trace_id, zeros);
    cmdi_span_id(span_id, 0);

    CU_ASSERT(memcmp(trace_id, none, sizeof(trace_id)) != 0);
    CU_ASSERT(memcmp(span_id, none, sizeof(span_id)) != 0);
}

static void test_trace_ratio_goes_by_the_id(void)
{
    struct cmdi_sampler none;
    struct cmdi_sampler half;
    struct cmdi_sampler all;
    uint8_t low[16] = {[0] = 0xff, [8] = 0x7f, [9] = 0xff};
    uint8_t high[16] = {[8] = 0x80};
    uint8_t highest[16];
    memset(highest, 0xff, sizeof(highest));
    cmdi_sampler_init(&none, 0, UINT32_MAX);
    cmdi_sampler_init(&half, 0.5, UINT32_MAX);
    cmdi_sampler_init(&all, 1, UINT32_MAX);

    CU_ASSERT(cmdi_sampler_root(&half, low, 0)); // As TraceIDRatioBased of other languages.
    CU_ASSERT(!cmdi_sampler_root(&half, high, 0));
    CU_ASSERT(!cmdi_sampler_root(&none, low, 0));
    CU_ASSERT(cmdi_sampler_root(&all, highest, 0));
}

static void test_trace_rate_bounds_a_second(void)
{
    struct cmdi_sampler sampler;
    const uint8_t id[16] = {1};
    cmdi_sampler_init(&sampler, 1, 3);
    for (uint64_t second = 7; second < 9; second++) {
        uint32_t count = 0;
        for (uint64_t ms = 0; ms < 1000; ms += 100) {
            count += cmdi_sampler_root(&sampler, id, second * 1000 + ms);
        }
        CU_ASSERT_EQUAL(count, 3);
    }
    cmdi_sampler_init(&sampler, 1, 0);
    CU_ASSERT(!cmdi_sampler_root(&sampler, id, 0));
}

static void test_span_attributes_are_read_as_written(void)
{
    struct cmds_span span = {0};
    char longest[CMDS_SPAN_ATTRIBUTES_MAX];
    const char *key = NULL;
    struct cmds_string value = {NULL, 0};
    uint32_t at = 0;
    memset(longest, 'x', sizeof(longest));

    cmds_span_set(&span, "first", (struct cmds_string)CMDS_STRING("one"));
    cmds_span_set(&span, "empty", (struct cmds_string){NULL, 0});
    cmds_span_set(&span, "too.long", (struct cmds_string){longest, sizeof(longest) - 32});
    cmds_span_set(&span, "fits", (struct cmds_string){longest, sizeof(longest) - 33});

    CU_ASSERT_EQUAL(span.dropped_attributes, 1);
    CU_ASSERT_EQUAL(span.attribute_size, CMDS_SPAN_ATTRIBUTES_MAX);
    CU_ASSERT_FATAL(cmds_span_attribute(&span, &at, &key, &value));
    CU_ASSERT_STRING_EQUAL(key, "first");
    CU_ASSERT(cmds_string_equal(value, (struct cmds_string)CMDS_STRING("one")));
    CU_ASSERT_FATAL(cmds_span_attribute(&span, &at, &key, &value));
    CU_ASSERT_STRING_EQUAL(key, "empty");
    CU_ASSERT_EQUAL(value.size, 0);
    CU_ASSERT_FATAL(cmds_span_attribute(&span, &at, &key, &value));
    CU_ASSERT_STRING_EQUAL(key, "fits");
    CU_ASSERT_EQUAL(value.size, sizeof(longest) - 33);
    CU_ASSERT(!cmds_span_attribute(&span, &at, &key, &value));
    for (int i = 0; i < 300; i++) {
        cmds_span_set(&span, "more", (struct cmds_string)CMDS_STRING("x"));
    }
    CU_ASSERT_EQUAL(span.dropped_attributes, UINT8_MAX);
}

static CU_TestInfo test_trace[] = {
        {"parses what W3C calls good", test_trace_parses_what_w3c_calls_good},
        {"every digit is known", test_trace_knows_every_digit},
        {"formats only the sampled flag", test_trace_formats_only_the_sampled_flag},
        {"knows a tracestate", test_trace_knows_a_tracestate},
        {"bounds a tracestate", test_trace_bounds_a_tracestate},
        {"a carrier keeps what is good", test_trace_carrier_keeps_what_is_good},
        {"a carrier without a context is none", test_trace_carrier_without_a_context_is_none},
        {"a baggage is text of a size", test_trace_baggage_is_text_of_a_size},
        {"ids are never zero", test_trace_ids_are_never_zero},
        {"a ratio goes by the id", test_trace_ratio_goes_by_the_id},
        {"a rate bounds a second", test_trace_rate_bounds_a_second},
        {"attributes are read as written", test_span_attributes_are_read_as_written},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("trace", test_trace)
