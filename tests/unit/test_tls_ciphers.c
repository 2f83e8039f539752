/* SPDX-License-Identifier: MIT */
/* Lists of ciphers: ours, a user's, and names that are for none of us. */
#include "tls/ciphers.h"

#include <errno.h>
#include <string.h>

#include "support/harness.h"

static void test_ciphers_default(void)
{
    struct cmdi_ciphers aes = cmdi_ciphers_default(false), chacha = cmdi_ciphers_default(true);

    CU_ASSERT(aes.count == CMDI_CIPHERS_MAX && chacha.count == CMDI_CIPHERS_MAX);
    CU_ASSERT(aes.has_tls12 && aes.has_tls13);
    CU_ASSERT(aes.suites[0] == 0x1301 && chacha.suites[0] == 0x1303);
    CU_ASSERT(aes.suites[3] == 0xc02b && chacha.suites[3] == 0xcca9);
    for (size_t i = 0; i < aes.count; i++) {
        CU_ASSERT(cmdi_ciphers_have(&chacha, aes.suites[i]));
        CU_ASSERT_EQUAL(aes.suites[i] >> 8 == 0x13, i < 3); // TLS 1.3 is preferred.
    }
    CU_ASSERT_FALSE(cmdi_ciphers_have(&aes, 0x002f)); // AES128-SHA
    char text[CMDI_CIPHERS_TEXT_SIZE];
    cmdi_ciphers_text(&aes, text);
    CU_ASSERT_EQUAL(strncmp(text, "TLS13-AES128-GCM-SHA256:TLS13-AES256-", 37), 0);
}

static void test_ciphers_of_a_user(void)
{
    struct cmdi_ciphers ciphers = {.count = 0};
    CU_ASSERT_EQUAL(cmdi_ciphers_parse(&ciphers,
                            "TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES256-GCM-SHA384", NULL),
            0);
    CU_ASSERT(ciphers.count == 2 && ciphers.suites[0] == 0x1303 && ciphers.suites[1] == 0xc030);
    CU_ASSERT(ciphers.has_tls13 && ciphers.has_tls12);
    CU_ASSERT_EQUAL(cmdi_ciphers_parse(&ciphers, "TLS_AES_128_GCM_SHA256", NULL), 0);
    CU_ASSERT(ciphers.count == 1 && !ciphers.has_tls12);
    char text[CMDI_CIPHERS_TEXT_SIZE];
    cmdi_ciphers_text(&ciphers, text);
    CU_ASSERT_STRING_EQUAL(text, "TLS13-AES128-GCM-SHA256");
}

static void test_ciphers_that_are_refused(void)
{
    static const char *const lists[] = {"", ":",
            "TLS_AES_128_GCM_SHA256:", ":TLS_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256::TLS_AES_256_GCM_SHA384", "tls_aes_128_gcm_sha256", "DEFAULT",
            "ALL", "HIGH:!aNULL", "AES128-SHA", "ECDHE-RSA-AES128-SHA", "NULL-SHA256",
            "ADH-AES128-SHA", "AES128-GCM-SHA256", "RC4-SHA", "TLS_AES_128_CCM_SHA256",
            "TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct cmdi_ciphers ciphers = {.count = 0};
        struct cmds_error error = CMDS_ERROR_INIT;
        CU_ASSERT_EQUAL(cmdi_ciphers_parse(&ciphers, lists[i], &error), -EINVAL);
        CU_ASSERT_EQUAL(strncmp(error.text, "TLS: ciphers: ", 14), 0);
        CU_ASSERT_EQUAL(ciphers.count, 0);
    }
}

static const CU_TestInfo test_tls_ciphers[] = {
        {"default", test_ciphers_default},
        {"of a user", test_ciphers_of_a_user},
        {"that are refused", test_ciphers_that_are_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_ciphers", test_tls_ciphers)
