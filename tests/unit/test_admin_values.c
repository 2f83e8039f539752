/* SPDX-License-Identifier: MIT */
/*
 * What the pages over HTTP make of headers, and how they write JSON. What may go wrong: Prometheus gets a form
 * that it did not ask for, or one of another version; a name that begins like localhost passes for it; a
 * form of another site passes for JSON; a byte that is no character ends up in JSON.
 */
#include "admin/accept.h"
#include "admin/common.h"
#include "admin/guard.h"
#include "admin/out.h"
#include "admin/parse.h"
#include "admin/words.h"

#include <locale.h>
#include <string.h>

#include "support/harness.h"

static const struct cmdi_admin_offer metrics[] = {
        {"text/plain", "version=0.0.4;charset=utf-8"},
        {"application/openmetrics-text", "version=1.0.0;charset=utf-8"},
        {"application/vnd.google.protobuf",
                "proto=io.prometheus.client.MetricFamily;encoding=delimited"},
        {"application/json", ""},
};
enum {
    TEXT,
    OPENMETRICS,
    PROTOBUF,
    JSON,
};

static const struct accept_case {
    const char *header;
    uint32_t index;
} accept_cases[] = {
        {NULL, TEXT},
        {"", TEXT},
        {"*/*", TEXT},
        {"image/png", TEXT},
        {"application/*", OPENMETRICS},
        {"application/json", JSON},
        {"APPLICATION/JSON", JSON},
        {"application/json;q=0", TEXT},
        {"*/*;q=0.1, application/json", JSON},
        {"*/*, application/json", JSON},
        {"*/*, application/json;q=0.5", TEXT},
        {"application/*;q=0, application/json;q=0.001", JSON},
        {"text/plain;q=0.5,application/json;q=0.6,application/openmetrics-text;q=0.55", JSON},
        {"application/openmetrics-text; version=0.0.1; charset=utf-8", TEXT},
        {"application/openmetrics-text; version=\"1.0.0\"", OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", OPENMETRICS},
        {"text/plain;version=1.0.0;q=0.9, application/openmetrics-text;q=0.1", OPENMETRICS},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                TEXT},
        // What Prometheus sends: 2.42, the same with native histograms, and 3.
        {"application/openmetrics-text;version=1.0.0,application/"
         "openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OPENMETRICS},
        {"application/"
         "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
         "application/openmetrics-text;version=1.0.0;q=0.8,application/"
         "openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                PROTOBUF},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
         "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OPENMETRICS},
        // What is broken is passed over.
        {",,, ;;; , application/json", JSON},
        {"application/json;q=x, text/plain;q=0.1", TEXT},
        {"application/json;;=;", JSON},
        {"application/json;q", TEXT},
        {"\"application/json", TEXT},
        {"application/json;x=\"a,b;q=0\"", JSON},
        {"application", TEXT},
        {"*/json", TEXT},
};

static void test_accept_takes_what_is_liked_best(void)
{
    for (size_t i = 0; i < sizeof(accept_cases) / sizeof(accept_cases[0]); i++) {
        uint32_t index = cmdi_admin_accept(accept_cases[i].header, metrics, 4);
        if (index != accept_cases[i].index) {
            printf("    %s: %u\n", accept_cases[i].header, index);
        }
        CU_ASSERT_EQUAL(index, accept_cases[i].index);
    }
}

static void test_guard_knows_this_machine_by_three_names(void)
{
    static const char *const good[] = {
            "localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:9464"};
    static const char *const bad[] = {"", "localhost.", "localhost.example",
            "localhost:", "localhost:a", "localhost:1a", "localhost:123456", "127.0.0.10",
            "127.0.0.1.example:80", "[::1]x", "::1", "xlocalhost", "localhost,evil", "evil"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CU_ASSERT_TRUE(cmdi_admin_host_is_local(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_FALSE(cmdi_admin_host_is_local(bad[i]));
    }
    CU_ASSERT_FALSE(cmdi_admin_host_is_local(NULL));
}

static void test_guard_knows_pages_of_other_sites(void)
{
    CU_ASSERT_TRUE(cmdi_admin_origin_is(NULL, "localhost:1"));
    CU_ASSERT_TRUE(cmdi_admin_origin_is("http://localhost:1", "localhost:1"));
    CU_ASSERT_FALSE(cmdi_admin_origin_is("http://localhost:2", "localhost:1"));
    CU_ASSERT_FALSE(cmdi_admin_origin_is("http://localhost:1.example", "localhost:1"));
    CU_ASSERT_FALSE(cmdi_admin_origin_is("https://localhost:1", "localhost:1"));
    CU_ASSERT_FALSE(cmdi_admin_origin_is("null", "null"));
    CU_ASSERT_FALSE(cmdi_admin_origin_is("http://localhost", NULL));

    CU_ASSERT_TRUE(cmdi_admin_is_json("application/json"));
    CU_ASSERT_TRUE(cmdi_admin_is_json("Application/JSON ; charset=utf-8"));
    CU_ASSERT_FALSE(cmdi_admin_is_json(NULL));
    CU_ASSERT_FALSE(cmdi_admin_is_json("application/json5"));
    CU_ASSERT_FALSE(cmdi_admin_is_json("text/plain"));
}

static bool parses(const char *body, const char *name, char *value, size_t size)
{
    const struct cmdi_admin_member member = {name, value, size};
    return cmdi_admin_parse(body, strlen(body), &member);
}

static void test_parse_takes_one_word_and_nothing_else(void)
{
    char value[5] = "....";

    CU_ASSERT_TRUE(parses(" { \"level\" : \"abc\" } \n", "level", value, 4));
    CU_ASSERT_STRING_EQUAL(value, "abc");
    value[4] = '.';
    CU_ASSERT_FALSE(parses("{\"level\":\"abcd\"}", "level", value, 4)); // Its room has an end.
    CU_ASSERT_EQUAL(value[4], '.');
    static const char *const bad[] = {"", "{}", "{\"level\":\"a\"}{}", "{\"level\":\"a\"}x",
            "{\"level\":\"a\",\"b\":\"c\"}", "{\"other\":\"a\"}", "{\"level\":\"a b\"}",
            "{\"level\":\"a\"", "{\"level\":a}", "[\"level\"]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_FALSE(parses(bad[i], "level", value, 4));
    }
    CU_ASSERT_TRUE(parses("", NULL, NULL, 0));
    CU_ASSERT_TRUE(parses(" {} ", NULL, NULL, 0));
    CU_ASSERT_FALSE(parses("{}{}", NULL, NULL, 0));
}

static void test_out_writes_json_of_any_bytes(void)
{
    static const char bytes[] = "a\"b\\c\n\x1b\x7f/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
                                "\xc3(\xff\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\0z\xe2\x82";
    static const char expected[] =
            "\"a\\\"b\\\\c\\u000a\\u001b\\u007f/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
            "?(????"
            "??"
            "????\\u0000z??\"";
    struct cmdi_admin_out out = {0};
    cmdi_admin_out_json(&out, (struct cmds_string){bytes, sizeof(bytes) - 1});
    CU_ASSERT_FALSE_FATAL(out.failed);
    CU_ASSERT_EQUAL(out.size, sizeof(expected) - 1);
    CU_ASSERT_EQUAL(memcmp(out.data, expected, out.size), 0);
    cmdi_admin_out_free(&out);

    cmdi_admin_out_plain(&out, (struct cmds_string){"a\x1b[31m\nb", 8});
    CU_ASSERT_EQUAL(out.size, 8);
    CU_ASSERT_EQUAL(memcmp(out.data, "a?[31m?b", 8), 0);
    cmdi_admin_out_free(&out);
}

static void test_out_grows_and_stays_failed(void)
{
    struct cmdi_admin_out out = {0};
    for (int i = 0; i < 10000; i++) {
        cmdi_admin_out_format(&out, "%09d\n", i);
    }
    CU_ASSERT_EQUAL_FATAL(out.size, 100000);
    CU_ASSERT_EQUAL(memcmp(out.data + 99990, "000009999\n", 10), 0);

    CU_ASSERT_FALSE(cmdi_admin_out_room(&out, SIZE_MAX / 2));
    cmdi_admin_out_text(&out, "more");
    CU_ASSERT_TRUE(out.failed);
    CU_ASSERT_EQUAL(out.size, 100000);
    cmdi_admin_out_free(&out);
    CU_ASSERT_FALSE(out.failed);
}

static void test_words_write_a_real_in_few_digits_that_read_back(void)
{
    static const struct {
        double number;
        const char *text;
    } rows[] = {{0, "0"}, {1, "1"}, {0.1, "0.1"}, {0.3, "0.3"}, {1e-9, "1e-09"},
            {0.1 + 0.2, "0.30000000000000004"}, {1.0 / 3, "0.3333333333333333"},
            {2.2250738585072014e-308, "2.2250738585072014e-308"}};
    char text[CMDI_ADMIN_WORD_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_STRING_EQUAL(cmdi_admin_real(text, rows[i].number), rows[i].text);
    }
}

static void test_common_has_a_point_whatever_the_program_has(void)
{
    locale_t locale = cmdi_admin_locale_enter();
    CU_ASSERT_FATAL(locale != (locale_t)0);
    CU_ASSERT(uselocale((locale_t)0) == locale); // This thread's, not the program's.
    cmdi_admin_locale_leave(locale);
    CU_ASSERT(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
}

static CU_TestInfo tests[] = {
        {"parse takes one word and nothing else", test_parse_takes_one_word_and_nothing_else},
        {"accept takes what is liked best", test_accept_takes_what_is_liked_best},
        {"guard knows this machine by three names", test_guard_knows_this_machine_by_three_names},
        {"guard knows pages of other sites", test_guard_knows_pages_of_other_sites},
        {"out writes JSON of any bytes", test_out_writes_json_of_any_bytes},
        {"out grows and stays failed", test_out_grows_and_stays_failed},
        {"words write a real in few digits that read back",
                test_words_write_a_real_in_few_digits_that_read_back},
        {"common has a point whatever the program has",
                test_common_has_a_point_whatever_the_program_has},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("admin_values", tests)
