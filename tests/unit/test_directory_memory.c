/* SPDX-License-Identifier: MIT */
/*
 * Lookups while memory runs out: each allocation of an answer fails once. What was known stays, nothing is
 * half known for ever, and soon the name is looked up again, also where there is no interval.
 */
#include <arpa/inet.h>
#include <errno.h>

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

/* Looks up what is due until `by_ms`: 10.0.0.1, 10.0.0.2, so many. */
static void look_up(struct cmdi_directory *directory, uint32_t count, uint64_t by_ms)
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
        addresses[i].as.v4.sin_addr.s_addr = htonl(0x0a000001u + i);
    }
    (void)cmdi_directory_answer(directory, addresses, count, &error, by_ms, 7777);
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

static void test_memory_of_an_answer(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        cmdi_directory_init(&directory, CMDS_NEVER, false);
        CU_ASSERT_FATAL(set(&directory, "dns:there.example:9000") >= 0);
        look_up(&directory, 1, NOW);
        CU_ASSERT_EQUAL(check_targets(&directory), 1);
        cmdi_directory_failed(&directory, directory.list[0], NOW);
        uint64_t later_ms = NOW + CMDI_DIRECTORY_SPACING_MS;
        scarce_fail_at(number);
        look_up(&directory, HOSTS, later_ms);
        failed = scarce_has_failed();
        CU_ASSERT(check_targets(&directory) >= 1);
        if (failed) {
            look_up(&directory, HOSTS, later_ms + CMDI_DIRECTORY_SPACING_MS);
        }
        CU_ASSERT_EQUAL(check_targets(&directory), HOSTS);
        CU_ASSERT_EQUAL(cmdi_directory_due_ms(&directory), UINT64_MAX);
        cmdi_directory_fini(&directory);
    }
    CU_ASSERT(!failed);
}

static void test_memory_of_a_plain_name(void)
{
    bool failed = true;
    for (unsigned long number = 1; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmdi_directory directory;
        cmdi_directory_init(&directory, CMDS_NEVER, false);
        CU_ASSERT_FATAL(set(&directory, "there.example:9000") >= 0);
        look_up(&directory, 1, NOW);
        cmdi_directory_failed(&directory, directory.list[0], NOW);
        uint64_t later_ms = NOW + CMDI_DIRECTORY_SPACING_MS;
        scarce_fail_at(number);
        look_up(&directory, HOSTS, later_ms);
        failed = scarce_has_failed();
        CU_ASSERT_EQUAL(check_targets(&directory), 1);
        if (failed) {
            look_up(&directory, HOSTS, later_ms + CMDI_DIRECTORY_SPACING_MS);
        }
        struct cmdi_targets *targets = cmdi_endpoint_targets(directory.list[0]);
        CU_ASSERT_EQUAL(targets->count, HOSTS);
        cmdi_targets_unref(targets);
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

static CU_TestInfo tests[] = {
        {"of an answer", test_memory_of_an_answer},
        {"of a plain name", test_memory_of_a_plain_name},
        {"of an address", test_memory_of_a_fixed_address},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("directory memory", tests)
