/* SPDX-License-Identifier: MIT */
/*
 * Lookups while memory runs out: each allocation of an answer fails once. What was known stays, nothing is
 * half known for ever, and soon the name is looked up again, also where there is no interval.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "group/directory.h"
#include "support/harness.h"
#include "support/scarce.h"

enum {
    NOW = 1000000,
    ALLOCATIONS_MAX = 1000,
    HOSTS = 3,
};

static int set(struct cmdi_directory *directory, const char *address)
{
    struct cmdi_place place = {.address = address};
    return cmdi_directory_set(directory, &place, 1, NOW, NULL);
}

/* Looks up what is due until `by_ms`, and finds `count` from 10.0.0.1 + `first` on. Returns: its news. */
static uint32_t look_up(
        struct cmdi_directory *directory, uint32_t first, uint32_t count, uint64_t by_ms)
{
    struct cmdi_address addresses[HOSTS];
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_FATAL(count <= HOSTS);
    CU_ASSERT_FATAL(cmdi_directory_due_ms(directory) <= by_ms);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_directory_begin(directory, by_ms));
    for (uint32_t i = 0; i < count; i++) {
        addresses[i] = (struct cmdi_address){.size = sizeof(addresses[0].as.v4)};
        addresses[i].as.v4.sin_family = AF_INET;
        addresses[i].as.v4.sin_port = htons(9000);
        addresses[i].as.v4.sin_addr.s_addr = htonl(0x0a000001u + first + i);
    }
    return cmdi_directory_answer(directory, addresses, count, &error, by_ms, 7777);
}

/* No endpoint waits for addresses that nobody will look up. Returns: how many endpoints there are. */
static uint32_t check_targets(const struct cmdi_directory *directory)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        struct cmdi_targets *targets = cmdi_endpoint_targets(directory->list[i]);
        CU_ASSERT(targets != NULL && targets->count > 0);
        cmdi_targets_unref(targets);
    }
    return directory->count;
}

/* Knows 10.0.0.1; without an interval the next lookup is for a connection that failed. */
static void begin(struct cmdi_directory *directory, const char *address)
{
    cmdi_directory_init(directory, CMDS_NEVER, false);
    CU_ASSERT_FATAL(set(directory, address) >= 0);
    (void)look_up(directory, 0, 1, NOW);
    CU_ASSERT_EQUAL(check_targets(directory), 1);
    cmdi_directory_failed(directory, directory->list[0], NOW);
}

/* What was found while memory was short is a failure, and is asked for again. Returns: it was short. */
static bool look_up_with_one_failure(struct cmdi_directory *directory, unsigned long number)
{
    uint64_t later_ms = NOW + CMDI_DIRECTORY_SPACING_MS;
    scarce_fail_at(number);
    uint32_t news = look_up(directory, 0, HOSTS, later_ms);
    bool failed = scarce_has_failed();
    CU_ASSERT(check_targets(directory) >= 1);
    CU_ASSERT_EQUAL(news & (CMDI_NEWS_FAILS | CMDI_NEWS_WORKS), failed ? CMDI_NEWS_FAILS : 0);
    if (failed) {
        CU_ASSERT_EQUAL(directory->error.code, -ENOMEM);
        CU_ASSERT_PTR_NOT_NULL(strstr(directory->error.text, "\"there.example:9000\": no memory"));
        news = look_up(directory, 0, HOSTS, later_ms + CMDI_DIRECTORY_SPACING_MS);
        CU_ASSERT_EQUAL(news & (CMDI_NEWS_FAILS | CMDI_NEWS_WORKS), CMDI_NEWS_WORKS);
    }
    CU_ASSERT_EQUAL(cmdi_directory_due_ms(directory), UINT64_MAX);
    return failed;
}

static void test_memory_of_an_answer(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        begin(&directory, "dns:there.example:9000");
        failed = look_up_with_one_failure(&directory, number);
        CU_ASSERT_EQUAL(check_targets(&directory), HOSTS);
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

static void test_memory_of_a_plain_name(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        begin(&directory, "there.example:9000");
        failed = look_up_with_one_failure(&directory, number);
        struct cmdi_targets *targets = cmdi_endpoint_targets(directory.list[0]);
        CU_ASSERT_EQUAL(targets->count, HOSTS);
        cmdi_targets_unref(targets);
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

/* An answer that was not read whole says nothing of who is missing. */
static void test_memory_drops_no_address(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        begin(&directory, "dns:there.example:9000");
        bool fails = true;
        for (uint32_t i = 0; fails && i <= CMDI_DIRECTORY_GONE_AFTER; i++) {
            scarce_fail_at(number);
            (void)look_up(&directory, HOSTS * (i + 1), 1, cmdi_directory_due_ms(&directory));
            fails = scarce_has_failed();
            failed = i == 0 ? fails : failed;
            CU_ASSERT_FATAL(directory.count > 0);
            CU_ASSERT_PTR_NOT_NULL(strstr(directory.list[0]->text, "10.0.0.1:"));
        }
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

static void test_memory_of_a_fixed_address(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        cmdi_directory_init(&directory, CMDS_NEVER, false);
        scarce_fail_at(number);
        int code = set(&directory, "10.0.0.1:9000");
        failed = scarce_has_failed();
        CU_ASSERT_EQUAL(code, failed ? -ENOMEM : CMDI_NEWS_LIST);
        CU_ASSERT_EQUAL(check_targets(&directory), failed ? 0 : 1);
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

/* And the one behind it fails: it is looked up again and again until all of it is known. */
static void test_memory_then_no_answer(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        uint64_t now_ms = NOW;
        cmdi_directory_init(&directory, CMDS_NEVER, false);
        CU_ASSERT_FATAL(set(&directory, "dns:there.example:9000") >= 0);
        scarce_fail_at(number);
        (void)look_up(&directory, 0, HOSTS, now_ms);
        failed = scarce_has_failed();
        for (uint32_t i = 0; failed && i < 6; i++) {
            now_ms = cmdi_directory_due_ms(&directory);
            CU_ASSERT_FATAL(now_ms < NOW + 60000);
            (void)look_up(&directory, 0, 0, now_ms);
        }
        if (failed) {
            (void)look_up(&directory, 0, HOSTS, cmdi_directory_due_ms(&directory));
        }
        CU_ASSERT_EQUAL(check_targets(&directory), HOSTS);
        CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

/* What was read of one counts as listed. The last allocation that can fail is that of the last address. */
static void test_memory_credits_what_was_read(void)
{
    bool failed = true, stays = false;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        uint64_t now_ms = NOW + CMDI_DIRECTORY_SPACING_MS;
        begin(&directory, "dns:there.example:9000");
        (void)look_up(&directory, 1, 1, now_ms); // Without 10.0.0.1.
        cmdi_directory_failed(&directory, directory.list[0], now_ms);
        now_ms = cmdi_directory_due_ms(&directory);
        scarce_fail_at(number);
        (void)look_up(&directory, 0, HOSTS, now_ms);
        failed = scarce_has_failed();
        if (failed) {
            (void)look_up(&directory, 1, 1, cmdi_directory_due_ms(&directory)); // Without it.
            stays = strstr(directory.list[0]->text, "10.0.0.1:") != NULL;
        }
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
    CU_ASSERT(stays);
}

/* Who asks once a second anyway goes on so. */
static void test_memory_makes_no_interval_longer(void)
{
    struct cmdi_directory directory;
    uint64_t now_ms = NOW;
    cmdi_directory_init(&directory, CMDI_DIRECTORY_SPACING_MS, false);
    CU_ASSERT_FATAL(set(&directory, "dns:there.example:9000") >= 0);
    (void)look_up(&directory, 0, 1, now_ms);
    for (int i = 0; i < 6; i++) {
        now_ms = cmdi_directory_due_ms(&directory);
        scarce_fail_at(1);
        (void)look_up(&directory, 0, HOSTS, now_ms);
        CU_ASSERT(scarce_has_failed());
        CU_ASSERT(cmdi_directory_due_ms(&directory) <= now_ms + CMDI_DIRECTORY_SPACING_MS * 6 / 5);
    }
    cmdi_directory_fini(&directory);
}

/* An answer that comes too late has failed already. */
static void test_memory_of_a_late_answer_fails_once(void)
{
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmdi_directory directory;
    uint64_t late_ms = NOW + CMDI_DIRECTORY_PATIENCE_MS;
    cmdi_directory_init(&directory, CMDS_NEVER, false);
    CU_ASSERT_FATAL(set(&directory, "dns:there.example:9000") >= 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_directory_begin(&directory, NOW));
    CU_ASSERT(cmdi_directory_late(&directory, late_ms) & CMDI_NEWS_FAILS);
    address.as.v4.sin_family = AF_INET;
    scarce_fail_at(1);
    uint32_t news = cmdi_directory_answer(&directory, &address, 1, &error, late_ms, 7777);
    CU_ASSERT(scarce_has_failed());
    CU_ASSERT_EQUAL(news, 0);
    CU_ASSERT_EQUAL(directory.sources[0].failures, 1);
    CU_ASSERT(cmdi_directory_due_ms(&directory) <= late_ms + 2000);
    cmdi_directory_fini(&directory);
}

static CU_TestInfo tests[] = {
        {"of an answer", test_memory_of_an_answer},
        {"of a plain name", test_memory_of_a_plain_name},
        {"drops no address", test_memory_drops_no_address},
        {"then no answer", test_memory_then_no_answer},
        {"credits what was read", test_memory_credits_what_was_read},
        {"makes no interval longer", test_memory_makes_no_interval_longer},
        {"of a late answer fails once", test_memory_of_a_late_answer_fails_once},
        {"of an address", test_memory_of_a_fixed_address},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("directory memory", tests)
