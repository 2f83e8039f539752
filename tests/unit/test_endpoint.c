/* SPDX-License-Identifier: MIT */
/*
 * Looking names up. The name service may take for ever, and its answer may come while the one who
 * asked is leaving, or has asked again: nobody waits for it, nobody is called who has left, and
 * addresses that somebody still uses do not change under him.
 */
#include "group/endpoints.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#include "base/time.h"
#include "net/resolve.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "support/harness.h"

/* A name service that answers when the test lets it: 127.0.0.<answer>, or nothing of 0. */
static _Atomic uint32_t asked, answered, held, answer;

int getaddrinfo(
        const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    struct sockaddr_in *v4 = calloc(1, sizeof(*v4));
    struct addrinfo *info = calloc(1, sizeof(*info));
    (void)name;
    (void)service;
    (void)hints;
    atomic_fetch_add(&asked, 1);
    while (atomic_load(&held) != 0) {
        cmdi_futex_wait(&held, 1, 1000000);
    }
    uint32_t last = atomic_load(&answer);
    if (last == 0 || v4 == NULL || info == NULL) {
        free(v4);
        free(info);
        atomic_fetch_add(&answered, 1);
        return EAI_NONAME;
    }
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(0x7f000000 + last);
    *info = (struct addrinfo){.ai_family = AF_INET,
            .ai_addrlen = sizeof(*v4),
            .ai_addr = (struct sockaddr *)(void *)v4};
    *list = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list->ai_addr);
    free(list);
    atomic_fetch_add(&answered, 1);
}

static void setup(uint32_t last)
{
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    atomic_store(&held, 0);
    atomic_store(&answer, last);
}

static void wait_for(_Atomic uint32_t *word, uint32_t least)
{
    for (uint32_t now = 0; (now = atomic_load(word)) < least;) {
        cmdi_futex_wait(word, now, 1000000);
    }
}

/* What a lookup reported. */
struct report {
    _Atomic uint32_t count; // Reports so far.
    _Atomic uint32_t leave; // Futex: not before it is set does the report return.
    uint32_t address_count;
    int code;
    char text[CMDI_ADDRESS_TEXT_MAX];
};

static void on_resolved(void *context, const struct cmdi_address *addresses, uint32_t count,
        const struct cmds_error *error)
{
    struct report *report = context;
    report->address_count = count;
    report->code = error->code;
    if (count > 0) {
        cmdi_address_text(&addresses[0], report->text, sizeof(report->text));
    }
    atomic_fetch_add(&report->count, 1);
    wait_for(&report->leave, 1);
}

static void test_resolve_reports_addresses_or_why_there_are_none(void)
{
    struct cmdi_resolve *resolve = NULL;
    struct report found = {.leave = 1};
    struct report lost = {.leave = 1};

    setup(7);
    CU_ASSERT_EQUAL_FATAL(cmdi_resolve_begin(&resolve, "a.name:9000", CMDI_ADDRESSES_MAX, NULL,
                                  on_resolved, &found),
            0);
    wait_for(&found.count, 1);
    cmdi_resolve_let_go(resolve);
    CU_ASSERT_EQUAL(found.address_count, 1);
    CU_ASSERT_EQUAL(found.code, 0);
    CU_ASSERT_STRING_EQUAL(found.text, "127.0.0.7:9000");

    setup(0);
    CU_ASSERT_EQUAL_FATAL(cmdi_resolve_begin(&resolve, "a.name:9000", CMDI_ADDRESSES_MAX, NULL,
                                  on_resolved, &lost),
            0);
    wait_for(&lost.count, 1);
    cmdi_resolve_let_go(resolve);
    CU_ASSERT_EQUAL(lost.address_count, 0);
    CU_ASSERT_EQUAL(lost.code, -EHOSTUNREACH);
}

static void test_resolve_let_go_waits_for_no_name_service(void)
{
    struct cmdi_resolve *resolve = NULL;
    struct report *report = calloc(1, sizeof(*report));

    setup(7);
    atomic_store(&held, 1);
    CU_ASSERT_EQUAL_FATAL(cmdi_resolve_begin(&resolve, "a.name:9000", CMDI_ADDRESSES_MAX, NULL,
                                  on_resolved, report),
            0);
    wait_for(&asked, 1);
    cmdi_resolve_let_go(resolve); // Returns, though the answer never comes.
    CU_ASSERT_EQUAL(atomic_load(&report->count), 0);
    free(report); // Not touched any more: a sanitizer would see it.
    atomic_store(&held, 0);
    wait_for(&answered, 1);
    cmdi_resolve_let_go(NULL);
}

struct leaver {
    struct cmdi_resolve *resolve;
    _Atomic uint32_t gone;
};

static void *leaver_main(void *argument)
{
    struct leaver *leaver = argument;
    cmdi_resolve_let_go(leaver->resolve);
    atomic_store(&leaver->gone, 1);
    return NULL;
}

static void test_resolve_let_go_waits_for_a_report_under_way(void)
{
    struct report report = {.leave = 0};
    struct leaver leaver = {.gone = 0};
    pthread_t thread;

    setup(7);
    CU_ASSERT_EQUAL_FATAL(cmdi_resolve_begin(&leaver.resolve, "a.name:9000", CMDI_ADDRESSES_MAX,
                                  NULL, on_resolved, &report),
            0);
    wait_for(&report.count, 1);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, leaver_main, &leaver), 0);
    for (int i = 0; i < 20; i++) {
        cmdi_futex_wait(&leaver.gone, 0, 1000000);
        CU_ASSERT_EQUAL(atomic_load(&leaver.gone), 0); // The report still uses its context.
    }
    atomic_store(&report.leave, 1);
    cmdi_futex_wake(&report.leave, 1);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&leaver.gone), 1);
}

/* --- Endpoints -------------------------------------------------------------------------------- */

/* The endpoints of a group with as many slots, on two shards, and what they told. */
struct told {
    struct cmdi_endpoints endpoints;
    _Atomic uint32_t lists, targets, all;
};

static void on_news(void *context, uint32_t news)
{
    struct told *told = context;
    atomic_fetch_add(&told->lists, (news & CMDI_NEWS_LIST) != 0);
    atomic_fetch_add(&told->targets, (news & CMDI_NEWS_TARGETS) != 0);
    atomic_fetch_add(&told->all, 1);
}

static int told_init(
        struct told *told, const char *connect, uint32_t slot_count, struct cmds_error *error)
{
    const struct cmdi_endpoints_options options = {.connect = connect,
            .interval_ms = 30000,
            .slot_count = slot_count,
            .shard_count = 2,
            .on_news = on_news,
            .context = told};
    *told = (struct told){.all = 0};
    return cmdi_endpoints_init(&told->endpoints, &options, error);
}

static void told_fini(struct told *told)
{
    cmdi_endpoints_close(&told->endpoints);
    cmdi_endpoints_fini(&told->endpoints);
}

static uint64_t now_ms(void)
{
    return cmdi_ns_to_ms(cmdi_now_ns());
}

/* "127.0.0.1:9000"; "": it has none. */
static void check_slot(struct told *told, uint32_t slot, const char *expected)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmdi_endpoint *endpoint = cmdi_endpoints_of(&told->endpoints, slot, &error);
    CU_ASSERT_STRING_EQUAL(endpoint != NULL ? endpoint->text : "", expected);
    cmdi_endpoint_unref(endpoint);
}

static void test_endpoints_of_numeric_addresses_ask_nobody(void)
{
    struct told told;
    struct cmds_error error = CMDS_ERROR_INIT;

    setup(7);
    CU_ASSERT_EQUAL_FATAL(told_init(&told, "[::1]:9000", 3, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_endpoints_run(&told.endpoints, now_ms()), UINT64_MAX);
    check_slot(&told, 0, "[::1]:9000");
    check_slot(&told, 2, "[::1]:9000");
    struct cmdi_endpoint *endpoint = cmdi_endpoints_of(&told.endpoints, 1, &error);
    CU_ASSERT_EQUAL(endpoint->slot_count, 3);
    CU_ASSERT_FALSE(cmdi_endpoints_failed(&told.endpoints, endpoint, now_ms()));
    struct cmdi_targets *targets = cmdi_endpoint_targets(endpoint);
    cmdi_endpoint_unref(endpoint);
    told_fini(&told);
    CU_ASSERT_EQUAL_FATAL(targets->count, 1); // Ours, whatever became of the endpoint.
    CU_ASSERT_STRING_EQUAL(targets->list[0].text, "[::1]:9000");
    cmdi_targets_unref(targets);
    CU_ASSERT_EQUAL(atomic_load(&told.all) + atomic_load(&asked), 0);

    CU_ASSERT_EQUAL(told_init(&told, "nonsense", 3, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "nonsense") != NULL);
    cmdi_endpoints_fini(&told.endpoints);
    cmdi_endpoints_fini(&told.endpoints); // A zeroed one.
}

static void test_endpoints_of_a_name_are_looked_up_again_when_they_fail(void)
{
    struct told told;
    struct cmds_error error = CMDS_ERROR_INIT;

    setup(1);
    CU_ASSERT_EQUAL_FATAL(told_init(&told, "a.name:9000", 1, NULL), 0);
    struct cmdi_endpoint *endpoint = cmdi_endpoints_of(&told.endpoints, 0, &error);
    CU_ASSERT_PTR_NULL(cmdi_endpoint_targets(endpoint));
    (void)cmdi_endpoints_run(&told.endpoints, now_ms());
    wait_for(&told.targets, 1);
    struct cmdi_targets *first = cmdi_endpoint_targets(endpoint);

    atomic_store(&answer, 2);
    CU_ASSERT_TRUE(cmdi_endpoints_failed(&told.endpoints, endpoint, now_ms()));
    CU_ASSERT_FALSE(cmdi_endpoints_failed(&told.endpoints, endpoint, now_ms())); // As soon.
    (void)cmdi_endpoints_run(&told.endpoints, now_ms() + 5000);
    wait_for(&told.targets, 2);
    struct cmdi_targets *second = cmdi_endpoint_targets(endpoint);

    atomic_store(&answer, 0);
    (void)cmdi_endpoints_failed(&told.endpoints, endpoint, now_ms());
    (void)cmdi_endpoints_run(&told.endpoints, now_ms() + 5000);
    wait_for(&told.targets, 3);
    struct cmdi_targets *third = cmdi_endpoint_targets(endpoint);

    CU_ASSERT_STRING_EQUAL(first->list[0].text, "a.name:9000 (127.0.0.1:9000)");
    CU_ASSERT_STRING_EQUAL(second->list[0].text, "a.name:9000 (127.0.0.2:9000)");
    CU_ASSERT_PTR_EQUAL(third, second); // They stay.
    CU_ASSERT_EQUAL(
            cmdi_endpoints_heard(&told.endpoints, &error) & CMDI_NEWS_FAILS, CMDI_NEWS_FAILS);
    CU_ASSERT_EQUAL(error.code, -EHOSTUNREACH);
    CU_ASSERT_EQUAL(cmdi_endpoints_heard(&told.endpoints, &error), 0);
    cmdi_targets_unref(first);
    cmdi_targets_unref(second);
    cmdi_targets_unref(third);
    cmdi_endpoint_unref(endpoint);
    told_fini(&told);
}

static void test_endpoints_of_dns_come_and_their_slots_follow(void)
{
    struct told told;
    struct cmds_error error = CMDS_ERROR_INIT;

    setup(0);
    CU_ASSERT_EQUAL_FATAL(told_init(&told, "dns:a.name:9000", 2, NULL), 0);
    check_slot(&told, 0, "");
    (void)cmdi_endpoints_run(&told.endpoints, now_ms());
    wait_for(&told.targets, 1);
    CU_ASSERT_PTR_NULL(cmdi_endpoints_of(&told.endpoints, 1, &error));
    CU_ASSERT_EQUAL(error.code, -EHOSTUNREACH);

    atomic_store(&answer, 1);
    (void)cmdi_endpoints_run(&told.endpoints, now_ms() + 60000);
    wait_for(&told.lists, 1);
    check_slot(&told, 0, "127.0.0.1:9000");
    check_slot(&told, 1, "127.0.0.1:9000");

    atomic_store(&answer, 2);
    (void)cmdi_endpoints_run(&told.endpoints, now_ms() + 60000);
    wait_for(&told.lists, 2); // Now there are two.
    (void)cmdi_endpoints_run(&told.endpoints, now_ms() + 60000);
    wait_for(&told.lists, 3); // The first one was missing twice.
    check_slot(&told, 0, "127.0.0.2:9000");
    check_slot(&told, 1, "127.0.0.2:9000");
    CU_ASSERT_EQUAL(cmdi_endpoints_count(&told.endpoints), 1);
    told_fini(&told);
}

static void test_endpoints_turn_a_stranger_away_but_not_the_last(void)
{
    struct told told;
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL_FATAL(told_init(&told, "10.0.0.1:1,10.0.0.2:1", 2, NULL), 0);
    struct cmdi_endpoint *first = cmdi_endpoints_of(&told.endpoints, 0, &error);
    struct cmdi_endpoint *second = cmdi_endpoints_of(&told.endpoints, 1, &error);
    CU_ASSERT_PTR_NOT_EQUAL(first, second);

    struct cmdi_endpoint *other = cmdi_endpoints_turn_away(&told.endpoints, first, 0);
    CU_ASSERT_PTR_EQUAL(other, second);
    CU_ASSERT_EQUAL(second->slot_count, 2);
    CU_ASSERT_EQUAL(told.lists, 1);
    CU_ASSERT_PTR_NULL(cmdi_endpoints_turn_away(&told.endpoints, second, 1));
    CU_ASSERT_EQUAL(told.lists, 1);

    cmdi_endpoint_unref(other);
    cmdi_endpoint_unref(first);
    cmdi_endpoint_unref(second);
    told_fini(&told);
}

/* A lookup hangs. No other one begins beside it, and what it says in the end comes too late. */
static void test_endpoints_closed_drop_a_lookup_that_hangs(void)
{
    struct told told;

    setup(0);
    atomic_store(&held, 1);
    CU_ASSERT_EQUAL_FATAL(told_init(&told, "dns:a.name:9000", 1, NULL), 0);
    (void)cmdi_endpoints_run(&told.endpoints, now_ms());
    wait_for(&asked, 1);
    CU_ASSERT_EQUAL(cmdi_endpoints_run(&told.endpoints, now_ms() + 5100), UINT64_MAX);
    CU_ASSERT_EQUAL(atomic_load(&told.targets), 1); // It takes too long.
    CU_ASSERT_EQUAL(cmdi_endpoints_run(&told.endpoints, now_ms() + 3600000), UINT64_MAX);
    cmdi_endpoints_close(&told.endpoints);
    CU_ASSERT_EQUAL(cmdi_endpoints_run(&told.endpoints, now_ms()), UINT64_MAX); // Too late.
    cmdi_endpoints_fini(&told.endpoints);
    atomic_store(&held, 0);
    wait_for(&answered, 1);
    CU_ASSERT_EQUAL(atomic_load(&asked), 1);
    CU_ASSERT_EQUAL(atomic_load(&told.all), 1);
}

static void test_endpoints_closed_ask_nobody(void)
{
    struct told told;

    setup(1);
    CU_ASSERT_EQUAL_FATAL(told_init(&told, "dns:a.name:9000", 1, NULL), 0);
    cmdi_endpoints_close(&told.endpoints);
    CU_ASSERT_EQUAL(cmdi_endpoints_run(&told.endpoints, now_ms()), UINT64_MAX);
    CU_ASSERT_PTR_NULL(told.endpoints.resolve);
    told_fini(&told);
}

static CU_TestInfo test_endpoint[] = {
        {"resolve reports addresses, or why there are none",
                test_resolve_reports_addresses_or_why_there_are_none},
        {"let_go waits for no name service", test_resolve_let_go_waits_for_no_name_service},
        {"let_go waits for a report under way", test_resolve_let_go_waits_for_a_report_under_way},
        {"of numeric addresses ask nobody", test_endpoints_of_numeric_addresses_ask_nobody},
        {"of a name are looked up again when they fail",
                test_endpoints_of_a_name_are_looked_up_again_when_they_fail},
        {"of dns come, and their slots follow", test_endpoints_of_dns_come_and_their_slots_follow},
        {"turn a stranger away, but not the last",
                test_endpoints_turn_a_stranger_away_but_not_the_last},
        {"closed, ask nobody", test_endpoints_closed_ask_nobody},
        {"closed, drop a lookup that hangs", test_endpoints_closed_drop_a_lookup_that_hangs},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("endpoint", test_endpoint)
