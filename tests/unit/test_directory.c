/* SPDX-License-Identifier: MIT */
/*
 * Lists of endpoints and lookups, as values. A name service that is down for an hour must not cost one
 * connection, one that rotates its answers must not either, one that hangs must not pile up threads, and
 * a thousand groups that lost a server must not all ask at once, for ever, or half a minute too late.
 */
#include "group/directory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    NOW = 1000000,
    INTERVAL = 30000,
};

static void open_directory(struct cmdi_directory *directory, const char *connect)
{
    struct cmdi_place *places = NULL;
    cmdi_directory_init(directory, INTERVAL, false);
    int count = cmdi_places_read(&places, connect, NULL);
    CU_ASSERT_FATAL(count > 0);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_directory_set(directory, places, (uint32_t)count, NOW, NULL) & ~CMDI_NEWS_LIST, 0);
    free(places);
}

static uint32_t set(struct cmdi_directory *directory, const char *connect, uint64_t now_ms)
{
    struct cmdi_place *places = NULL;
    int count = cmdi_places_read(&places, connect, NULL);
    CU_ASSERT_FATAL(count > 0);
    int news = cmdi_directory_set(directory, places, (uint32_t)count, now_ms, NULL);
    free(places);
    CU_ASSERT_FATAL(news >= 0);
    return (uint32_t)news;
}

/* The lookup that is under way ends with 10.0.0.x for each digit of `hosts`; "": with an error. */
static uint32_t answer(struct cmdi_directory *directory, const char *hosts, uint64_t now_ms)
{
    struct cmdi_address addresses[64];
    struct cmds_error error = {.code = -EHOSTUNREACH, .text = "resolve: nobody knows it"};
    uint32_t count = 0;
    for (; hosts[count] != '\0'; count++) {
        addresses[count] = (struct cmdi_address){.size = sizeof(addresses[0].as.v4)};
        addresses[count].as.v4.sin_family = AF_INET;
        addresses[count].as.v4.sin_port = htons(9000);
        addresses[count].as.v4.sin_addr.s_addr =
                htonl(0x0a000000u + (uint32_t)(hosts[count] - '0'));
    }
    return cmdi_directory_answer(directory, addresses, count, &error, now_ms, 7777);
}

/* Looks up what is due. Returns: when it was. */
static uint64_t ask(struct cmdi_directory *directory, const char *expected)
{
    uint64_t due_ms = cmdi_directory_due_ms(directory);
    const char *name = NULL;
    CU_ASSERT_NOT_EQUAL_FATAL(due_ms, UINT64_MAX);
    CU_ASSERT_PTR_NULL(due_ms > 0 ? cmdi_directory_begin(directory, due_ms - 1) : NULL);
    name = cmdi_directory_begin(directory, due_ms);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    CU_ASSERT_STRING_EQUAL(name, expected);
    CU_ASSERT_PTR_NULL(cmdi_directory_begin(directory, due_ms)); // One at a time.
    return due_ms;
}

/* "1234": the hosts of 10.0.0.x:9000, in order. */
static void check_list(const struct cmdi_directory *directory, const char *hosts)
{
    char found[65] = "";
    CU_ASSERT_FATAL(directory->count < sizeof(found));
    for (uint32_t i = 0; i < directory->count; i++) {
        CU_ASSERT_EQUAL(strncmp(directory->list[i]->text, "10.0.0.", 7), 0);
        found[i] = directory->list[i]->text[7];
    }
    CU_ASSERT_STRING_EQUAL(found, hosts);
}

static bool is_about(uint64_t ms, uint64_t expected)
{
    return ms >= expected - expected / 5 && ms <= expected + expected / 5;
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void test_directory_reads_a_list(void)
{
    struct cmdi_directory directory;
    open_directory(
            &directory, "10.0.0.1:9000, 10.0.0.2:9000 ,[::1]:80,unix:/run/x\\,y,a.name:9000");

    CU_ASSERT_EQUAL_FATAL(directory.count, 5);
    CU_ASSERT_STRING_EQUAL(directory.list[0]->text, "10.0.0.1:9000");
    CU_ASSERT_STRING_EQUAL(directory.list[0]->host, "10.0.0.1");
    CU_ASSERT_STRING_EQUAL(directory.list[1]->text, "10.0.0.2:9000");
    CU_ASSERT_STRING_EQUAL(directory.list[2]->host, "::1");
    CU_ASSERT_STRING_EQUAL(directory.list[3]->text, "unix:/run/x,y");
    CU_ASSERT_PTR_NULL(directory.list[3]->host);
    CU_ASSERT_STRING_EQUAL(directory.list[4]->text, "a.name:9000");
    CU_ASSERT_STRING_EQUAL(directory.list[4]->host, "a.name");
    CU_ASSERT_TRUE(directory.list[4]->is_name);
    CU_ASSERT_EQUAL(directory.list[0]->targets->count, 1);
    CU_ASSERT_PTR_NULL(directory.list[4]->targets);
    CU_ASSERT_EQUAL(directory.list[4]->weight, 10);
    CU_ASSERT_NOT_EQUAL(directory.list[0]->number, directory.list[1]->number);
    cmdi_directory_fini(&directory);
}

static void check_refused(const char *connect, const char *part)
{
    struct cmdi_directory directory;
    struct cmdi_place *places = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    cmdi_directory_init(&directory, INTERVAL, false);

    int code = cmdi_places_read(&places, connect, &error);
    if (code > 0) {
        code = cmdi_directory_set(&directory, places, (uint32_t)code, NOW, &error);
        free(places);
    }

    CU_ASSERT_EQUAL(code, -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, part));
    CU_ASSERT_EQUAL(directory.count, 0);
    cmdi_directory_fini(&directory);
}

static void test_directory_refuses_what_is_no_address(void)
{
    check_refused("10.0.0.1", "10.0.0.1");
    check_refused("10.0.0.1:9000,", "missing");
    check_refused(",10.0.0.1:9000", "missing");
    check_refused("10.0.0.1:9000, ,10.0.0.2:9000", "missing");
    check_refused("10.0.0.1:9000,nonsense", "nonsense");
    check_refused("dns:", "no address");
    check_refused("dns:name", "port");
    check_refused("a\\,b:9000", "a comma");
    check_refused("dns: a:9000", "a space");
}

/* For TLS: a client that knows no name to check should not find out when it connects. */
static int set_one(const char *address, bool needs_host, struct cmds_error *error)
{
    struct cmdi_directory directory;
    const struct cmdi_place place = {.address = address};
    cmdi_directory_init(&directory, INTERVAL, needs_host);
    int code = cmdi_directory_set(&directory, &place, 1, NOW, error);
    cmdi_directory_fini(&directory);
    return code;
}

static void test_directory_that_needs_hosts_refuses_what_has_none(void)
{
    static const char *const nameless[] = {"unix:/run/x", "unix:@x", ":9000"};

    CU_ASSERT_EQUAL(set_one("a.example:9000", true, NULL), CMDI_NEWS_LIST);
    CU_ASSERT_EQUAL(set_one("dns:a.example:9000", true, NULL), 0);
    CU_ASSERT_EQUAL(set_one("[::1]:9000", true, NULL), CMDI_NEWS_LIST);
    for (size_t i = 0; i < sizeof(nameless) / sizeof(nameless[0]); i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        CU_ASSERT_EQUAL(set_one(nameless[i], false, NULL), CMDI_NEWS_LIST);
        CU_ASSERT_EQUAL(set_one(nameless[i], true, &error), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "server_name: "));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, nameless[i]));
    }
}

static void test_directory_has_each_address_once(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "10.0.0.1:9000,10.0.0.2:9000,10.0.0.1:9000,dns:a:9000,dns:a:9000");

    check_list(&directory, "12");
    CU_ASSERT_EQUAL(directory.source_count, 4 - 1);
    uint64_t now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "2133", now_ms), CMDI_NEWS_LIST);
    check_list(&directory, "123");
    cmdi_directory_fini(&directory);
}

/* Also where many have the same place in a table. */
static void test_directory_has_each_of_thousands_once(void)
{
    enum {
        HALF = 2048,
    };
    static char texts[HALF][24];
    static struct cmdi_place places[2 * HALF];
    static struct cmdi_endpoint *before[HALF];
    struct cmdi_directory directory;
    for (uint32_t i = 0; i < HALF; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "10.1.%u.%u:9000", i / 256, i % 256);
        places[i] = places[2 * HALF - 1 - i] = (struct cmdi_place){.address = texts[i]};
    }
    cmdi_directory_init(&directory, INTERVAL, false);
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, places, 2 * HALF, NOW, NULL), CMDI_NEWS_LIST);
    CU_ASSERT_EQUAL_FATAL(directory.count, HALF);
    for (uint32_t i = 0; i < HALF; i++) {
        before[i] = directory.list[i];
        CU_ASSERT_STRING_EQUAL(before[i]->text, texts[i]);
    }
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &places[HALF], HALF, NOW, NULL), CMDI_NEWS_LIST);
    CU_ASSERT_EQUAL_FATAL(directory.count, HALF);
    for (uint32_t i = 0; i < HALF; i++) {
        CU_ASSERT_PTR_EQUAL(directory.list[i], before[HALF - 1 - i]);
    }
    cmdi_directory_fini(&directory);
}

/* Of an answer as well, which says each address twice, and of which half are known. */
static void test_directory_reads_a_long_answer(void)
{
    enum {
        ALL = 1024,
    };
    static struct cmdi_address addresses[2 * ALL];
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmdi_directory directory;
    open_directory(&directory, "dns:shop:9000");
    for (uint32_t i = 0; i < 2 * ALL; i++) {
        addresses[i] = (struct cmdi_address){.size = sizeof(addresses[0].as.v4)};
        addresses[i].as.v4.sin_family = AF_INET;
        addresses[i].as.v4.sin_port = htons(9000);
        addresses[i].as.v4.sin_addr.s_addr = htonl(0x0a000000u + i / 2);
    }
    for (uint32_t round = 1; round <= 2; round++) {
        uint64_t at_ms = ask(&directory, "shop:9000");
        CU_ASSERT_EQUAL(cmdi_directory_answer(&directory, addresses, round * ALL, &error, at_ms, 0),
                CMDI_NEWS_LIST);
        CU_ASSERT_EQUAL(directory.count, round * ALL / 2);
    }
    cmdi_directory_fini(&directory);
}

static void test_directory_of_addresses_asks_nobody(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "10.0.0.1:9000,dns:10.0.0.2:9000");

    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
    CU_ASSERT_PTR_NULL(cmdi_directory_begin(&directory, UINT64_MAX - 1));
    cmdi_directory_failed(&directory, directory.list[0], NOW);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
    CU_ASSERT_FALSE(cmdi_directory_has_names(&directory));
    check_list(&directory, "12");
    cmdi_directory_fini(&directory);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void test_directory_adds_at_once_and_drops_at_the_second_answer(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(now_ms, NOW);
    CU_ASSERT_EQUAL(answer(&directory, "12", now_ms), CMDI_NEWS_LIST);
    check_list(&directory, "12");
    CU_ASSERT_EQUAL(directory.list[0]->since_ms, 0);
    struct cmdi_endpoint *second = directory.list[1];

    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "23", now_ms), CMDI_NEWS_LIST);
    check_list(&directory, "123");
    CU_ASSERT_EQUAL(directory.list[2]->since_ms, now_ms); // It begins slowly.
    CU_ASSERT_PTR_EQUAL(directory.list[1], second);

    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "32", now_ms), CMDI_NEWS_LIST);
    check_list(&directory, "23");
    CU_ASSERT_PTR_EQUAL(directory.list[0], second);

    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "32", now_ms), 0);
    cmdi_directory_fini(&directory);
}

static void test_directory_bears_answers_that_rotate(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "dns:a:9000");
    (void)answer(&directory, "1234", ask(&directory, "a:9000"));
    for (int i = 0; i < 100; i++) {
        uint64_t now_ms = ask(&directory, "a:9000");
        CU_ASSERT_EQUAL(answer(&directory, i % 2 == 0 ? "12" : "34", now_ms), 0);
    }
    check_list(&directory, "1234");
    cmdi_directory_fini(&directory);
}

static void test_directory_keeps_all_while_lookups_fail(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");
    (void)answer(&directory, "12", now_ms);
    uint64_t since_ms = now_ms;

    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_TRUE(is_about(now_ms - since_ms, INTERVAL));
    CU_ASSERT_EQUAL(answer(&directory, "", now_ms), CMDI_NEWS_FAILS);
    for (int i = 0; i < 100; i++) {
        since_ms = now_ms;
        now_ms = ask(&directory, "a:9000");
        CU_ASSERT_TRUE(is_about(now_ms - since_ms, INTERVAL));
        CU_ASSERT_EQUAL(answer(&directory, "", now_ms), 0); // It was said once.
    }
    check_list(&directory, "12");

    /* What was missing before the failures was missing once. */
    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "1", now_ms), CMDI_NEWS_WORKS);
    check_list(&directory, "12");
    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "", now_ms), CMDI_NEWS_FAILS);
    check_list(&directory, "12");
    cmdi_directory_fini(&directory);
}

static void test_directory_asks_again_while_nothing_is_known(void)
{
    static const uint64_t expected[] = {1000, 2000, 4000, 8000, 8000, 8000};
    struct cmdi_directory directory;
    open_directory(&directory, "dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        (void)answer(&directory, "", now_ms);
        uint64_t since_ms = now_ms;
        now_ms = ask(&directory, "a:9000");
        CU_ASSERT_TRUE(is_about(now_ms - since_ms, expected[i]));
        CU_ASSERT_TRUE(now_ms - since_ms >= 1000);
    }
    (void)answer(&directory, "1", now_ms);
    CU_ASSERT_TRUE(is_about(cmdi_directory_due_ms(&directory) - now_ms, INTERVAL));
    cmdi_directory_fini(&directory);
}

/* --- Failures of connections ------------------------------------------------------------------ */

static void test_directory_asks_when_a_connection_failed(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "10.0.0.9:9000,dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");
    (void)answer(&directory, "12", now_ms);

    cmdi_directory_failed(&directory, directory.list[0], now_ms + 5000); // No name's.
    CU_ASSERT_TRUE(cmdi_directory_due_ms(&directory) > now_ms + 20000);
    cmdi_directory_failed(&directory, directory.list[1], now_ms + 5000);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), now_ms + 5000);
    cmdi_directory_failed(&directory, directory.list[1], now_ms + 6000);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), now_ms + 5000);

    /* The next one a second later at the earliest, also if it failed while the lookup was under way. */
    now_ms = ask(&directory, "a:9000");
    cmdi_directory_failed(&directory, directory.list[1], now_ms + 10);
    (void)answer(&directory, "12", now_ms + 20);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), now_ms + 1020);
    now_ms = ask(&directory, "a:9000");
    (void)answer(&directory, "12", now_ms);
    cmdi_directory_failed(&directory, directory.list[2], now_ms + 1);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), now_ms + 1000);
    cmdi_directory_fini(&directory);
}

static void test_directory_of_a_plain_name_asks_only_then(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "a:9000");
    struct cmdi_endpoint *endpoint = directory.list[0];
    uint64_t now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "", now_ms), CMDI_NEWS_FAILS | CMDI_NEWS_TARGETS);
    CU_ASSERT_EQUAL(endpoint->targets->count, 0);
    CU_ASSERT_EQUAL(endpoint->targets->error.code, -EHOSTUNREACH);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);

    cmdi_directory_failed(&directory, endpoint, now_ms + 100);
    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "12", now_ms), CMDI_NEWS_WORKS | CMDI_NEWS_TARGETS);
    CU_ASSERT_EQUAL(endpoint->targets->count, 2);
    CU_ASSERT_STRING_EQUAL(endpoint->targets->list[1].text, "a:9000 (10.0.0.2:9000)");
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);

    cmdi_directory_failed(&directory, endpoint, now_ms + 5000);
    now_ms = ask(&directory, "a:9000");
    CU_ASSERT_EQUAL(answer(&directory, "", now_ms), CMDI_NEWS_FAILS | CMDI_NEWS_TARGETS);
    CU_ASSERT_EQUAL(endpoint->targets->count, 2); // They stay.
    cmdi_directory_fini(&directory);
}

static void test_directory_waits_for_a_lookup_that_hangs(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");
    (void)answer(&directory, "1", now_ms);
    now_ms = ask(&directory, "a:9000");

    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), now_ms + 5000);
    CU_ASSERT_EQUAL(cmdi_directory_late(&directory, now_ms + 4999), 0);
    CU_ASSERT_EQUAL(cmdi_directory_late(&directory, now_ms + 5000), CMDI_NEWS_FAILS);
    CU_ASSERT_EQUAL(cmdi_directory_late(&directory, now_ms + 5001), 0);
    cmdi_directory_failed(&directory, directory.list[0], now_ms + 6000);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX); // No second thread.
    CU_ASSERT_PTR_NULL(cmdi_directory_begin(&directory, now_ms + 3600000));

    CU_ASSERT_EQUAL(answer(&directory, "12", now_ms + 60000), CMDI_NEWS_LIST | CMDI_NEWS_WORKS);
    check_list(&directory, "12");
    cmdi_directory_fini(&directory);
}

static void test_directory_without_an_interval_asks_only_when_it_must(void)
{
    struct cmdi_directory directory;
    struct cmdi_place place = {.address = "dns:a:9000"};
    cmdi_directory_init(&directory, CMDS_NEVER, false);
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &place, 1, NOW, NULL), 0);
    uint64_t now_ms = ask(&directory, "a:9000");
    (void)answer(&directory, "1", now_ms);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
    cmdi_directory_failed(&directory, directory.list[0], now_ms + 9000);
    CU_ASSERT_EQUAL(ask(&directory, "a:9000"), now_ms + 9000);
    (void)answer(&directory, "", now_ms + 9000);
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
    cmdi_directory_fini(&directory);
}

/* --- Another list ----------------------------------------------------------------------------- */

static void test_directory_set_keeps_those_that_stay(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "10.0.0.1:9000,10.0.0.2:9000");
    struct cmdi_endpoint *second = directory.list[1];
    struct cmdi_endpoint *first = cmdi_endpoint_ref(directory.list[0]);

    atomic_store(&second->is_out, true);
    CU_ASSERT_EQUAL(set(&directory, "10.0.0.1:9000,10.0.0.2:9000", NOW), 0);
    CU_ASSERT_TRUE(second->is_out);
    CU_ASSERT_EQUAL(set(&directory, "10.0.0.2:9000,10.0.0.3:9000", NOW + 5), CMDI_NEWS_LIST);
    check_list(&directory, "23");
    CU_ASSERT_PTR_EQUAL(directory.list[0], second);
    CU_ASSERT_FALSE(second->is_out); // Another chance.
    CU_ASSERT_EQUAL(second->since_ms, 0);
    CU_ASSERT_EQUAL(directory.list[1]->since_ms, NOW + 5);
    CU_ASSERT_STRING_EQUAL(first->text, "10.0.0.1:9000"); // Ours.
    CU_ASSERT_EQUAL(first->refs, 1);
    cmdi_endpoint_unref(first);

    struct cmdi_place place = {.address = "10.0.0.3:9000", .weight = 20};
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &place, 1, NOW, NULL), CMDI_NEWS_LIST);
    CU_ASSERT_EQUAL(directory.list[0]->weight, 20);
    place.weight = 101;
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &place, 1, NOW, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &place, 0, NOW, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmdi_directory_set(&directory, &place, 4097, NOW, NULL), -E2BIG);
    check_list(&directory, "3");
    cmdi_directory_fini(&directory);
}

static void test_directory_set_leaves_a_lookup_alone(void)
{
    struct cmdi_directory directory;
    open_directory(&directory, "10.0.0.9:9000,dns:a:9000");
    uint64_t now_ms = ask(&directory, "a:9000");

    CU_ASSERT_EQUAL(set(&directory, "dns:b:9000,dns:a:9000", now_ms), CMDI_NEWS_LIST);
    CU_ASSERT_PTR_NULL(cmdi_directory_begin(&directory, now_ms)); // That of `a` is under way.
    CU_ASSERT_EQUAL(answer(&directory, "12", now_ms), CMDI_NEWS_LIST);
    check_list(&directory, "12");
    (void)ask(&directory, "b:9000");

    CU_ASSERT_EQUAL(set(&directory, "dns:a:9000", now_ms), 0);
    CU_ASSERT_EQUAL(answer(&directory, "34", now_ms), 0); // That of `b`, which has gone.
    check_list(&directory, "12");
    cmdi_directory_fini(&directory);
}

static CU_TestInfo tests[] = {
        {"reads a list", test_directory_reads_a_list},
        {"refuses what is no address", test_directory_refuses_what_is_no_address},
        {"that needs hosts refuses what has none",
                test_directory_that_needs_hosts_refuses_what_has_none},
        {"has each address once", test_directory_has_each_address_once},
        {"has each of thousands once", test_directory_has_each_of_thousands_once},
        {"reads a long answer", test_directory_reads_a_long_answer},
        {"of addresses asks nobody", test_directory_of_addresses_asks_nobody},
        {"adds at once, and drops at the second answer",
                test_directory_adds_at_once_and_drops_at_the_second_answer},
        {"bears answers that rotate", test_directory_bears_answers_that_rotate},
        {"keeps all while lookups fail", test_directory_keeps_all_while_lookups_fail},
        {"asks again while nothing is known", test_directory_asks_again_while_nothing_is_known},
        {"asks when a connection failed", test_directory_asks_when_a_connection_failed},
        {"of a plain name asks only then", test_directory_of_a_plain_name_asks_only_then},
        {"waits for a lookup that hangs", test_directory_waits_for_a_lookup_that_hangs},
        {"without an interval asks only when it must",
                test_directory_without_an_interval_asks_only_when_it_must},
        {"set keeps those that stay", test_directory_set_keeps_those_that_stay},
        {"set leaves a lookup alone", test_directory_set_leaves_a_lookup_alone},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("directory", tests)
