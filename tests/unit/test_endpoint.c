/* SPDX-License-Identifier: MIT */
/*
 * Looking names up. The name service may take for ever, and its answer may come while the one who
 * asked is leaving, or has asked again: nobody waits for it, nobody is called who has left, and
 * addresses that somebody still uses do not change under him.
 */
#include "group/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#include "net/resolve.h"
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

static void count_one(void *context)
{
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static void test_endpoint_of_a_numeric_address_asks_nobody(void)
{
    struct cmdi_group_endpoint endpoint;
    struct cmds_error error = CMDS_ERROR_INIT;
    _Atomic uint32_t told = 0;

    setup(7);
    CU_ASSERT_EQUAL(cmdi_group_endpoint_init(&endpoint, "[::1]:9000", NULL, count_one, &told), 0);
    CU_ASSERT_TRUE(cmdi_group_endpoint_resolve(&endpoint));
    struct cmdi_targets *targets = cmdi_group_endpoint_targets(&endpoint);
    cmdi_group_endpoint_close(&endpoint);
    cmdi_group_endpoint_fini(&endpoint);
    CU_ASSERT_EQUAL_FATAL(targets->count, 1); // Ours, whatever became of the endpoint.
    CU_ASSERT_STRING_EQUAL(targets->list[0].text, "[::1]:9000");
    CU_ASSERT_EQUAL(targets->error.code, 0);
    cmdi_targets_unref(targets);
    CU_ASSERT_EQUAL(atomic_load(&told) + atomic_load(&asked), 0);

    CU_ASSERT_EQUAL(
            cmdi_group_endpoint_init(&endpoint, "nonsense", &error, count_one, &told), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "nonsense") != NULL);
    cmdi_group_endpoint_fini(&endpoint);
    endpoint = (struct cmdi_group_endpoint){.connect = NULL};
    cmdi_group_endpoint_fini(&endpoint);
}

static void test_endpoint_resolved_again_leaves_the_old_addresses_alone(void)
{
    struct cmdi_group_endpoint endpoint;
    _Atomic uint32_t told = 0;

    setup(1);
    CU_ASSERT_EQUAL(cmdi_group_endpoint_init(&endpoint, "a.name:9000", NULL, count_one, &told), 0);
    CU_ASSERT_PTR_NULL(cmdi_group_endpoint_targets(&endpoint));
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint));
    wait_for(&told, 1);
    struct cmdi_targets *first = cmdi_group_endpoint_targets(&endpoint);

    atomic_store(&answer, 2);
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint));
    wait_for(&told, 2);
    struct cmdi_targets *second = cmdi_group_endpoint_targets(&endpoint);

    atomic_store(&answer, 0);
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint));
    wait_for(&told, 3);
    struct cmdi_targets *third = cmdi_group_endpoint_targets(&endpoint);

    CU_ASSERT_STRING_EQUAL(first->list[0].text, "a.name:9000 (127.0.0.1:9000)");
    CU_ASSERT_STRING_EQUAL(second->list[0].text, "a.name:9000 (127.0.0.2:9000)");
    CU_ASSERT_EQUAL(third->count, 0);
    CU_ASSERT_EQUAL(third->error.code, -EHOSTUNREACH);
    cmdi_targets_unref(first);
    cmdi_targets_unref(second);
    cmdi_targets_unref(third);
    cmdi_group_endpoint_close(&endpoint);
    cmdi_group_endpoint_fini(&endpoint);
}

/* One lookup hangs. Another one takes its place, and what the first one says comes too late. */
static void test_endpoint_drops_a_lookup_that_hangs(void)
{
    struct cmdi_group_endpoint endpoint;
    _Atomic uint32_t told = 0;

    setup(0);
    atomic_store(&held, 1);
    CU_ASSERT_EQUAL(cmdi_group_endpoint_init(&endpoint, "a.name:9000", NULL, count_one, &told), 0);
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint));
    wait_for(&asked, 1);
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint));
    wait_for(&asked, 2);
    cmdi_group_endpoint_close(&endpoint);
    CU_ASSERT_FALSE(cmdi_group_endpoint_resolve(&endpoint)); // Too late: nothing begins.
    cmdi_group_endpoint_fini(&endpoint);
    atomic_store(&held, 0);
    wait_for(&answered, 2);
    CU_ASSERT_EQUAL(atomic_load(&asked), 2);
    CU_ASSERT_EQUAL(atomic_load(&told), 0);
}

static CU_TestInfo test_endpoint[] = {
        {"resolve reports addresses, or why there are none",
                test_resolve_reports_addresses_or_why_there_are_none},
        {"let_go waits for no name service", test_resolve_let_go_waits_for_no_name_service},
        {"let_go waits for a report under way", test_resolve_let_go_waits_for_a_report_under_way},
        {"a numeric address asks nobody", test_endpoint_of_a_numeric_address_asks_nobody},
        {"resolved again, it leaves the old addresses alone",
                test_endpoint_resolved_again_leaves_the_old_addresses_alone},
        {"a lookup that hangs is dropped", test_endpoint_drops_a_lookup_that_hangs},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("endpoint", test_endpoint)
