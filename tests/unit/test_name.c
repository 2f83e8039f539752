/* SPDX-License-Identifier: MIT */
/*
 * Names of the network. One address too many could be written, the port forgotten in one family, and
 * a name that nobody knows could be refused without a reason.
 */
#include "ring/name.h"

#include <errno.h>
#include <string.h>

#include "support/harness.h"

enum {
    ADDRESSES_MAX = 8,
    PORT = 4321,
};

static void test_name_of_this_host_has_addresses_with_the_port(void)
{
    struct cmdi_address addresses[ADDRESSES_MAX];
    const char *why = NULL;

    int count = cmdi_name_resolve("localhost", PORT, addresses, ADDRESSES_MAX, &why);

    CU_ASSERT_FATAL(count >= 1 && count <= ADDRESSES_MAX);
    CU_ASSERT_PTR_NULL(why);
    for (int i = 0; i < count; i++) {
        const struct cmdi_address *address = &addresses[i];
        if (address->as.any.sa_family == AF_INET) {
            CU_ASSERT_EQUAL(address->size, sizeof(address->as.v4));
            CU_ASSERT_EQUAL(address->as.v4.sin_port, htons(PORT));
        } else {
            CU_ASSERT_EQUAL_FATAL(address->as.any.sa_family, AF_INET6);
            CU_ASSERT_EQUAL(address->size, sizeof(address->as.v6));
            CU_ASSERT_EQUAL(address->as.v6.sin6_port, htons(PORT));
        }
    }
}

static void test_name_with_more_addresses_than_there_is_room_for(void)
{
    struct cmdi_address addresses[2];
    struct cmdi_address before;
    const char *why = NULL;
    memset(addresses, 0x55, sizeof(addresses));
    before = addresses[1];

    CU_ASSERT_EQUAL(cmdi_name_resolve("localhost", PORT, addresses, 1, &why), 1);

    CU_ASSERT_EQUAL(memcmp(&addresses[1], &before, sizeof(before)), 0);
}

static void test_name_that_nobody_knows_has_a_reason(void)
{
    struct cmdi_address address;
    const char *why = NULL;

    CU_ASSERT_EQUAL(
            cmdi_name_resolve("no.such.host.invalid", PORT, &address, 1, &why), -EHOSTUNREACH);

    CU_ASSERT_PTR_NOT_NULL_FATAL(why);
    CU_ASSERT(strlen(why) > 0);
}

static void test_name_of_an_interface(void)
{
    CU_ASSERT(cmdi_interface_index("lo") > 0);
    CU_ASSERT_EQUAL(cmdi_interface_index("nosuchif"), 0);
}

static CU_TestInfo test_name[] = {
        {"of this host has addresses with the port",
                test_name_of_this_host_has_addresses_with_the_port},
        {"with more addresses than there is room for",
                test_name_with_more_addresses_than_there_is_room_for},
        {"that nobody knows has a reason", test_name_that_nobody_knows_has_a_reason},
        {"of an interface", test_name_of_an_interface},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("name", test_name)
