/* SPDX-License-Identifier: MIT */
/*
 * A struct cmds_tls without memory: each allocation of its making fails once. It is refused with a
 * sentence, nothing is left behind (AddressSanitizer sees that), and what there was before a reload is
 * there after it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/scarce.h"
#include "support/tls_pair.h"
#include "tls/context.h"

enum {
    ALLOCATIONS_MAX = 100000
};

/* ---- Tests ----------------------------------------------------------------------------------- */

enum {
    PATH_SIZE = 128
};
static char paths[8][PATH_SIZE];

static const char *file_of(unsigned index, const char *name)
{
    (void)snprintf(paths[index], PATH_SIZE, "%s", tls_file(name));
    return paths[index];
}

/* As much of it as there is. */
static struct cmds_tls_server_options server_options(struct cmds_tls_name *name)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = file_of(0, "server.pem");
    options.key_file = file_of(1, "server.key");
    options.clients = CMDS_TLS_CLIENTS_REQUIRED;
    options.client_ca_file = file_of(2, "ca.pem");
    options.crl_file = file_of(3, "ca.crl");
    options.alpn = "a,b";
    *name = (struct cmds_tls_name){
            "*.example", file_of(4, "wildcard.pem"), file_of(5, "wildcard.key")};
    options.names = name;
    options.name_count = 1;
    return options;
}

static void expect_refusal(const struct cmds_error *error, int code)
{
    // A wolfSSL within this program fails as well, and calls it as it likes.
    CU_ASSERT(code == -ENOMEM || code == CMDS_E_TLS_CONFIG);
    CU_ASSERT_EQUAL(error->code, code);
    CU_ASSERT_EQUAL(strncmp(error->text, "TLS: ", 5), 0);
}

static void test_memory_of_a_new_server(void)
{
    struct cmds_tls_name name;
    struct cmds_tls_server_options options = server_options(&name);
    struct cmds_tls *tls = NULL;
    unsigned long number = 1;
    for (bool failed = true; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        scarce_fail_at(number);
        int code = cmds_tls_server_new(&tls, &options, &error);
        failed = scarce_has_failed();
        if (code < 0) {
            expect_refusal(&error, code);
            CU_ASSERT_PTR_NULL(tls);
        } else {
            cmds_tls_free(tls); // wolfSSL can do without some.
            tls = NULL;
        }
        CU_ASSERT(failed || code == 0);
    }
    CU_ASSERT(number > 10 && number < ALLOCATIONS_MAX);
}

static void test_memory_of_a_new_client(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = file_of(0, "ca.pem");
    options.server_name = "a.example";
    struct cmds_tls *tls = NULL;
    unsigned long number = 1;
    for (bool failed = true; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        scarce_fail_at(number);
        int code = cmds_tls_client_new(&tls, &options, &error);
        failed = scarce_has_failed();
        if (code < 0) {
            expect_refusal(&error, code);
        } else {
            cmds_tls_free(tls);
        }
    }
}

static void test_memory_of_a_reload(void)
{
    struct cmds_tls_name name;
    struct cmds_tls_server_options options = server_options(&name);
    struct cmds_tls *tls = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_server_new(&tls, &options, NULL), 0);
    unsigned long number = 1;
    for (bool failed = true; failed && number < ALLOCATIONS_MAX; number++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        struct cmdi_context *before = cmdi_tls_hold(cmdi_tls_of(tls));
        scarce_fail_at(number);
        int code = cmds_tls_reload(tls, &error);
        failed = scarce_has_failed();
        struct cmdi_context *after = cmdi_tls_hold(cmdi_tls_of(tls));
        CU_ASSERT_EQUAL(before == after, code < 0);
        if (code < 0) {
            expect_refusal(&error, code);
        }
        cmdi_context_unref(before);
        cmdi_context_unref(after);
    }
    CU_ASSERT(number > 10 && number < ALLOCATIONS_MAX);
    cmds_tls_free(tls);
}

static void test_memory_is_not_what_lacks(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = file_of(0, "ca.pem");
    struct cmds_tls *tls = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_client_new(&tls, &options, NULL), 0);
    struct tls_pair pair;
    tls_pair_init(&pair, tls, tls);
    struct rlimit limit, none = {0, 0};
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);

    // wolfSSL opens a file for each session, unless it was built to ask the kernel.
    if (!tls_pair_begin_client(&pair)) {
        CU_ASSERT_EQUAL(pair.client.error.code, -EMFILE);
        CU_ASSERT_PTR_NOT_NULL(strstr(pair.client.error.text, "too many open files"));
    }

    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    tls_pair_fini(&pair);
    cmds_tls_free(tls);
}

static const CU_TestInfo test_tls_memory[] = {
        {"of a new server", test_memory_of_a_new_server},
        {"of a new client", test_memory_of_a_new_client},
        {"of a reload", test_memory_of_a_reload},
        {"is not what lacks", test_memory_is_not_what_lacks},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_memory", test_tls_memory)
