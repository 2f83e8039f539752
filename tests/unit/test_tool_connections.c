/* SPDX-License-Identifier: MIT */
/*
 * The connections in `cmdstream top`. What may go wrong: the columns that matter end behind the edge of the screen, a
 * column is left out that says something, a peer draws on the terminal, a list that is not whole looks so.
 */
#include "tool/connections.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "tool/http.h"

#define CONNECTION(side, name, peer, more)                                                         \
    "{\"shard\":0,\"side\":\"" side "\",\"name\":\"" name "\",\"peer\":\"" peer                    \
    "\",\"stage\":\"open\",\"in_flight\":12,\"age_ms\":3725000,\"idle_ms\":250,"                   \
    "\"recv_bytes\":812000,\"send_bytes\":79000000" more "}"
#define QUIET ",\"queued_bytes\":0,\"paused\":[]"
#define BUSY  ",\"queued_bytes\":1048576,\"paused\":[\"calls\",\"memory\"]"

static char *text_of(const char *page, uint32_t columns, uint32_t lines)
{
    char why[TOOL_HTTP_TEXT_SIZE] = "", *text = NULL;
    size_t size = 0;
    json_t *root = tool_connections_parse(page, strlen(page), why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    struct tool_table table = {.columns = columns, .lines = lines};
    table.out = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(table.out);
    tool_connections_print(&table, root);
    CU_ASSERT_EQUAL(fclose(table.out), 0);
    CU_ASSERT(table.line_count <= lines);
    json_decref(root);
    return text;
}

static void expect(const char *page, uint32_t columns, uint32_t lines, const char *golden)
{
    char *text = text_of(page, columns, lines);
    if (strcmp(text, golden) != 0) {
        printf("\n--- it is\n%s--- it should be\n%s---\n", text, golden);
    }
    CU_ASSERT_STRING_EQUAL(text, golden);
    free(text);
}

static void test_tool_connections_fit_on_a_screen_of_80_columns(void)
{
    expect("{\"count\":2,\"complete\":true,\"held_up\":[],\"connections\":[" CONNECTION("server",
                   "calc", "192.168.100.100:54321",
                   QUIET) "," CONNECTION("server", "calc", "10.0.0.1:9", QUIET) "]}",
            80, 23,
            "2 connections  server calc\n"
            "shard  peer                   stage  in flight    age    idle    recv   send\n"
            "    0  192.168.100.100:54321  open          12  1h 2m  250 ms  812 kB  79 MB\n"
            "    0  10.0.0.1:9             open          12  1h 2m  250 ms  812 kB  79 MB\n");
    expect("{\"count\":1,\"connections\":[" CONNECTION("client", "", "unix:", QUIET) "]}", 80, 23,
            "1 connection  client\n"
            "shard  peer   stage  in flight    age    idle    recv   send\n"
            "    0  unix:  open          12  1h 2m  250 ms  812 kB  79 MB\n");
    expect("{\"count\":0,\"connections\":[]}", 80, 23, "0 connections\n");
}

static void test_tool_connections_keep_a_column_that_says_something(void)
{
    expect("{\"count\":2,\"connections\":[" CONNECTION("server", "", "unix:a", BUSY) "," CONNECTION(
                   "client", "pool", "unix:b\\u001b[2J", QUIET) "]}",
            120, 23,
            "2 connections\n"
            "shard  side    name  peer        stage  in flight    age    idle    recv   send  "
            "queued  "
            "not read for\n"
            "    0  server        unix:a      open          12  1h 2m  250 ms  812 kB  79 MB  1.0 "
            "MB  "
            "calls memory\n"
            "    0  client  pool  unix:b?[2J  open          12  1h 2m  250 ms  812 kB  79 MB     0 "
            "B\n");
}

static void test_tool_connections_say_how_many_more_there_are(void)
{
    static const char page[] =
            "{\"count\":9,\"complete\":false,\"held_up\":[{\"shard\":1,\"turn_us\":2500000,"
            "\"type\":\"\"}],\"connections\":[{\"peer\":\"a\"},{\"peer\":\"b\"},{\"peer\":"
            "\"c\"}]}";
    static const char *const last[] = {"shard 1: held up for 2.5 s by no command\n", "... 9 more\n",
            "... 8 more\n", "... 7 more\n", "... 6 more\n"};
    for (uint32_t lines = 1; lines < 12; lines++) { // However small it is: no more than that.
        char *text = text_of(page, 80, lines);
        uint32_t count = 0;
        for (const char *at = text; *at != '\0'; at++) {
            count += *at == '\n';
        }
        CU_ASSERT(count <= lines);
        if (lines >= 4) {
            const char *wanted = last[lines - 4 < 4 ? lines - 4 : 4];
            CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(text, wanted));
            CU_ASSERT_STRING_EQUAL(strstr(text, wanted), wanted);
            CU_ASSERT_PTR_NOT_NULL(strstr(text, "Not all of them"));
        }
        free(text);
    }
}

static void test_tool_connections_are_those_of_a_service(void)
{
    static const char *const wrong[] = {
            "", "[]", "{}", "{\"connections\":1}", "peer\n127.0.0.1:5\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char why[TOOL_HTTP_TEXT_SIZE] = "";
        CU_ASSERT_PTR_NULL(tool_connections_parse(wrong[i], strlen(wrong[i]), why));
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "not the JSON of a cmdstream service"));
    }
    // What no service says looks odd, and that is all.
    char *text =
            text_of("{\"count\":1e300,\"held_up\":7,\"connections\":[7,{\"peer\":7,\"paused\":[7,"
                    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"],"
                    "\"queued_bytes\":1e300,\"name\":"
                    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}",
                    80, 23);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "connections"));
    free(text);
}

CU_TestInfo test_tool_connections[] = {
        {"fit on a screen of 80 columns", test_tool_connections_fit_on_a_screen_of_80_columns},
        {"keep a column that says something",
                test_tool_connections_keep_a_column_that_says_something},
        {"say how many more there are", test_tool_connections_say_how_many_more_there_are},
        {"are those of a service", test_tool_connections_are_those_of_a_service},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool_connections", test_tool_connections)
