/* SPDX-License-Identifier: MIT */
/*
 * A shard's account. A charge could pass the bound, take the reserve that others live on, be lost
 * on its way back, or wrap.
 */
#include "base/account.h"

#include "support/harness.h"

enum {
    KIB = 1024
};

static void test_account_the_last_eighth_is_for_small_sizes(void)
{
    struct cmdi_account account;
    cmdi_account_init(&account, 800 * KIB);

    CU_ASSERT_TRUE(cmdi_account_charge(&account, 700 * KIB)); // To the byte.
    CU_ASSERT_FALSE(account.refused);
    CU_ASSERT_FALSE(cmdi_account_charge(&account, CMDI_ACCOUNT_SMALL + 1));
    CU_ASSERT_TRUE(account.refused);
    CU_ASSERT_TRUE(cmdi_account_charge(&account, CMDI_ACCOUNT_SMALL));
    CU_ASSERT_TRUE(cmdi_account_charge_reserve(&account, 84 * KIB));
    CU_ASSERT_EQUAL(cmdi_account_used(&account), 800 * KIB);
    CU_ASSERT_FALSE(cmdi_account_charge(&account, 1));
    CU_ASSERT_FALSE(cmdi_account_charge_reserve(&account, 1));
    CU_ASSERT_EQUAL(cmdi_account_used(&account), 800 * KIB); // What was refused is not charged.

    cmdi_account_sub(&account, 800 * KIB);
    CU_ASSERT_EQUAL(cmdi_account_used(&account), 0);
}

static void test_account_other_threads_share_the_bound(void)
{
    struct cmdi_account account;
    cmdi_account_init(&account, 800 * KIB);

    CU_ASSERT_TRUE(cmdi_account_charge_shared(&account, 400 * KIB));
    CU_ASSERT_FALSE(cmdi_account_charge(&account, 301 * KIB));
    CU_ASSERT_TRUE(cmdi_account_charge(&account, 300 * KIB));
    CU_ASSERT_FALSE(atomic_load(&account.shared_refused));
    CU_ASSERT_FALSE(cmdi_account_charge_shared(&account, 20 * KIB));
    CU_ASSERT_TRUE(atomic_load(&account.shared_refused));

    cmdi_account_free_shared(&account, 400 * KIB);
    CU_ASSERT_EQUAL(cmdi_account_used(&account), 300 * KIB);
}

static void test_account_absurd_sizes_do_not_wrap(void)
{
    struct cmdi_account account;
    cmdi_account_init(&account, 800 * KIB);
    CU_ASSERT_TRUE(cmdi_account_charge(&account, 1));

    CU_ASSERT_FALSE(cmdi_account_charge(&account, SIZE_MAX));
    CU_ASSERT_FALSE(cmdi_account_charge_reserve(&account, SIZE_MAX));
    CU_ASSERT_FALSE(cmdi_account_charge_shared(&account, SIZE_MAX));
    CU_ASSERT_EQUAL(cmdi_account_used(&account), 1);

    CU_ASSERT_TRUE(cmdi_account_charge(NULL, SIZE_MAX)); // Nobody counts.
}

static CU_TestInfo tests[] = {
        {"the last eighth is for small sizes", test_account_the_last_eighth_is_for_small_sizes},
        {"other threads share the bound", test_account_other_threads_share_the_bound},
        {"absurd sizes do not wrap", test_account_absurd_sizes_do_not_wrap},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("account", tests)
