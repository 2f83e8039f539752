/* SPDX-License-Identifier: MIT */
/*
 * Chains of CAs, right ones and wrong ones of every kind that scripts/make-certs.sh makes, at
 * both sides, with and without lists of what is revoked. By every build of wolfSSL the same is refused,
 * with a sentence that says which certificate of the chain it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls.h"
#include "support/tls_pair.h"
#include "support/tls_swap.h"
#include "tls/anchors.h"

struct chain {
    const char *name; // What the peer shows.
    const char *ca;   // What the other side trusts, and its lists; NULL: none.
    const char *crl;
    const char *why; // It is refused; NULL: it is right.
};

#define NO_ISSUER(leaf, issuer)                                                                    \
    "its certificate (CN=" leaf ") is signed by none of our CAs (" issuer "); check ca_file, and " \
    "whether it sends its chain"
#define CA_OF(number, name) "certificate " number " of its chain (CN=Sub CA" name ")"
#define FORGEABLE           " is signed by ecdsa-with-SHA1, which can be forged: SHA-256 or better is needed"
#define SMALL(bits, kind, least)                                                                   \
    " has a key of " bits " bits (" kind "): at least " least " are needed"
#define NOT_ITS_NAME(leaf) "its certificate (CN=" leaf ") has a name that its CA may not give"
#define NO_LIST            " is of a CA that crl_file has no list of"

static const struct chain chains[] = {
        {"server", "ca", NULL, NULL},
        {"chain_2", "ca", NULL, NULL},
        {"chain_3", "ca", NULL, NULL},
        {"chain_root", "ca", NULL, NULL},
        {"under_sub", "ca_and_sub", NULL, NULL},
        {"chain_2", "ca_and_sub", NULL, NULL},
        {"chain_2", "sub", NULL, NULL}, // A CA that another has signed is trusted as it is.

        // What we hold we have chosen; what is above it does not matter.
        {"chain_ca_sha1", "ca_sha1", NULL, NULL},
        {"chain_sha1", "sub_sha1", NULL, NULL},
        {"chain_cross", "ca", NULL, NULL},

        {"under_sub", "ca", NULL, NO_ISSUER("under_sub", "CN=Sub CA")},
        {"chain_2", "ca_rsa", NULL, NO_ISSUER("under_sub", "CN=Sub CA")},
        {"chain_not_ca", "ca", NULL, NO_ISSUER("under_not_ca", "CN=No CA,O=Example")},
        {"chain_no_sign", "ca", NULL, NO_ISSUER("under_no_sign", "CN=Sub CA no_sign")},
        {"chain_sha1", "ca", NULL, CA_OF("2", " sha1") FORGEABLE},
        {"chain_deep", "ca", NULL, CA_OF("3", " sha1") FORGEABLE},
        {"chain_rsa_1024", "ca", NULL, CA_OF("2", " rsa_1024") SMALL("1024", "RSA", "2048")},
        {"chain_rsa_2040", "ca", NULL, CA_OF("2", " rsa_2040") SMALL("2040", "RSA", "2048")},
        {"chain_p224", "ca", NULL, CA_OF("2", " p224") SMALL("224", "P-224", "256")},
        {"chain_expired", "ca", NULL,
                CA_OF("2", " expired") " has expired: it was good until 2020-12-31 23:59:59 UTC; "
                                       "renew it, or check the clock"},
        {"chain_path", "ca", NULL,
                CA_OF("2", " 3") " stands deeper below a CA than that CA allows"},

        // wolfSSL does not ask what a CA may say of addresses and URIs: who has any is refused there.
        {"chain_ip", "ca", NULL, NULL},
        {"under_ip", "sub_ip", NULL, NULL},
        {"chain_ip_address", "ca", NULL, NOT_ITS_NAME("under_ip_address")},
        {"chain_ip_uri", "ca", NULL, NOT_ITS_NAME("under_ip_uri")},
        {"under_ip_address", "sub_ip", NULL, NOT_ITS_NAME("under_ip_address")},

        // A list for each CA that is used, or it is refused.
        {"server", "ca", "ca.crl", NULL},
        {"chain_2", "ca_and_sub", "both.crl", NULL},
        {"chain_revoked", "ca", NULL, NULL},
        {"chain_revoked", "ca", "ca_sub.crl", CA_OF("2", " revoked") " is revoked, by crl_file"},
        {"revoked", "ca", "ca.crl", "its certificate (CN=revoked) is revoked, by crl_file"},
        {"chain_2", "ca_and_sub", "ca.crl", "its certificate (CN=under_sub)" NO_LIST},
        {"chain_2", "ca_and_sub", "sub.crl", CA_OF("2", "") NO_LIST},
        {"chain_2", "ca", "ca.crl", "its certificate (CN=under_sub)" NO_LIST},
};
enum {
    CHAIN_COUNT = sizeof(chains) / sizeof(chains[0])
};

#define NO_SERVER " is not for a server: its extendedKeyUsage lacks serverAuth"
#define NO_CLIENT " is not for a client: its extendedKeyUsage lacks clientAuth"

/* Where a CA says what for those below it may be used: whose certificate it is makes the difference. */
static const struct {
    const char *name, *ca;
    const char *why_no_server, *why_no_client; // As above.
} purposes[] = {
        {"chain_for_any", "ca", NULL, NULL},
        {"chain_for_both", "ca", NULL, NULL},
        {"chain_for_server", "ca", NULL, CA_OF("2", " for_server") NO_CLIENT},
        {"chain_for_client", "ca", CA_OF("2", " for_client") NO_SERVER, NULL},
        {"chain_for_other", "ca", CA_OF("2", " for_other") NO_SERVER,
                CA_OF("2", " for_other") NO_CLIENT},
        {"chain_low", "ca", CA_OF("3", " for_other") NO_SERVER, CA_OF("3", " for_other") NO_CLIENT},
        {"chain_for_other", "sub_for_other", NULL, NULL}, // What we hold we have chosen.
        {"chain_low", "sub_low", NULL, NULL},
};
enum {
    PURPOSE_COUNT = sizeof(purposes) / sizeof(purposes[0])
};

static const char *shown;

/* Our own options take none of the wrong ones. */
static void show(struct cmdi_session *server)
{
    tls_swap(server, wolfTLS_server_method(), shown, NULL);
}

static void show_to_server(struct cmdi_session *client)
{
    tls_swap(client, wolfTLS_client_method(), shown, "ca");
    tls_swap_name(client);
}

static struct cmds_tls *new_client(const char *ca, const char *crl, struct cmds_error *error)
{
    struct cmds_tls *tls = NULL;
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = tls_file_of(ca, ".pem");
    options.crl_file = crl != NULL ? tls_file(crl) : NULL;
    options.no_resumption = true;
    CU_ASSERT_EQUAL(cmds_tls_client_new(&tls, &options, error), error->code);
    return tls;
}

static struct cmds_tls *new_server(const char *ca, const char *crl)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = tls_file("server.pem");
    options.key_file = tls_file("server.key");
    options.clients = CMDS_TLS_CLIENTS_REQUIRED;
    options.client_ca_file = tls_file_of(ca, ".pem");
    options.crl_file = crl != NULL ? tls_file(crl) : NULL;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, &options, &error), 0);
    return tls;
}

/* `why`: NULL: it went well. A client's words; a server's are of client_ca_file. */
static void check(const struct tls_end *end, bool is_done, const char *why)
{
    const char *text = strstr(end->error.text, ":1: "), *file = strstr(end->error.text, "client_");
    char said[sizeof(end->error.text)] = "";
    text = text != NULL ? text : strstr(end->error.text, ":2: ");
    if (text != NULL) {
        int size = file != NULL ? (int)(file - text - 4) : (int)strlen(text + 4);
        snprintf(said, sizeof(said), "%.*s%s", size, text + 4,
                file != NULL ? file + strlen("client_") : "");
    }
    CU_ASSERT_EQUAL(is_done, why == NULL);
    CU_ASSERT_EQUAL(end->error.code, why == NULL ? 0 : CMDS_E_TLS_CERTIFICATE);
    if (strcmp(said, why != NULL ? why : "") != 0) {
        printf("\n    %s: \"%s\"\n", shown, end->error.text);
    }
    CU_ASSERT_STRING_EQUAL(said, why != NULL ? why : "");
    CU_ASSERT_EQUAL(end->alerts_out, why != NULL);
}

/* The same client again. */
static void shows(
        struct cmds_tls *client, struct cmds_tls *server, const char *name, const char *why)
{
    struct tls_pair pair;
    shown = name;
    tls_pair_init(&pair, client, server);
    pair.server_begun = show;
    bool is_done = tls_pair_connect(&pair);
    check(&pair.client, is_done, why);
    tls_pair_fini(&pair);
}

static void client_checks(struct cmds_tls *server, const struct chain *chain)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *client = new_client(chain->ca, chain->crl, &error);
    shows(client, server, chain->name, chain->why);
    cmds_tls_free(client);
}

static void server_checks(struct cmds_tls *client, const struct chain *chain)
{
    struct tls_pair pair;
    shown = chain->name;
    tls_pair_init(&pair, client, new_server(chain->ca, chain->crl));
    pair.client_begun = show_to_server;
    bool is_done = tls_pair_connect(&pair);
    check(&pair.server, is_done, chain->why);
    tls_pair_fini(&pair);
    cmds_tls_free(pair.server.tls);
}

static void test_a_client_checks_a_chain(void)
{
    struct cmds_tls *server = tls_new_server("server", NULL);
    for (size_t i = 0; i < CHAIN_COUNT; i++) {
        client_checks(server, &chains[i]);
    }
    cmds_tls_free(server);
}

static void test_a_server_checks_a_chain(void)
{
    struct cmds_tls *client = tls_new_client("ca", NULL);
    for (size_t i = 0; i < CHAIN_COUNT; i++) {
        server_checks(client, &chains[i]);
    }
    cmds_tls_free(client);
}

static void test_a_ca_says_what_for(void)
{
    struct cmds_tls *client = tls_new_client("ca", NULL), *server = tls_new_server("server", NULL);
    for (size_t i = 0; i < PURPOSE_COUNT; i++) {
        client_checks(server,
                &(struct chain){purposes[i].name, purposes[i].ca, NULL, purposes[i].why_no_server});
        server_checks(client,
                &(struct chain){purposes[i].name, purposes[i].ca, NULL, purposes[i].why_no_client});
    }
    cmds_tls_free(client);
    cmds_tls_free(server);
}

/* wolfSSL remembers CAs that came; what is right does not depend on what came before. */
static void test_no_connection_depends_on_another(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *client = new_client("ca", NULL, &error);
    struct cmds_tls *server = tls_new_server("server", NULL);
    shows(client, server, "chain_2", NULL);
    shows(client, server, "under_sub", NO_ISSUER("under_sub", "CN=Sub CA"));
    shows(client, server, "chain_3", NULL);
    shows(client, server, "under_sub_2", NO_ISSUER("under_sub_2", "CN=Sub CA 2"));
    shows(client, server, "chain_gap", NO_ISSUER("under_sub_2", "CN=Sub CA 2"));
    shows(client, server, "chain_sha1", CA_OF("2", " sha1") FORGEABLE);
    shows(client, server, "under_sha1", NO_ISSUER("under_sha1", "CN=Sub CA sha1"));
    shows(client, server, "chain_beside", CA_OF("3", " sha1") FORGEABLE);
    shows(client, server, "under_sha1", NO_ISSUER("under_sha1", "CN=Sub CA sha1"));
    shows(client, server, "chain_for_other", CA_OF("2", " for_other") NO_SERVER);
    shows(client, server, "under_for_other", NO_ISSUER("under_for_other", "CN=Sub CA for_other"));
    shows(client, server, "chain_2", NULL);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

/* Their dates were asked for when they were read, which may be long ago. */
static void test_a_ca_of_ours_expires(void)
{
    struct cmdi_anchors anchors = {.all = NULL};
    struct cmdi_certificate ca;
    struct cmds_bytes der = tls_vector("ca");
    bool constrains = false;
    CU_ASSERT_EQUAL_FATAL(cmdi_certificate_parse(&ca, der.data, der.size), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL_FATAL(cmdi_anchors_add(&anchors, &ca), 0);
    CU_ASSERT_TRUE(cmdi_anchors_have_name(&anchors, ca.subject, ca.not_after_s, &constrains));
    CU_ASSERT_FALSE(cmdi_anchors_have_name(&anchors, ca.subject, ca.not_after_s + 1, &constrains));
    CU_ASSERT_TRUE(cmdi_anchors_have(&anchors, &ca)); // Somebody may have renewed it.
    CU_ASSERT_FALSE(constrains);
    cmdi_anchors_fini(&anchors);
    free((void *)der.data);
}

static void check_list(const char *ca, const char *crl, const char *why)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_PTR_NULL(new_client(ca, crl, &error));
    CU_ASSERT_EQUAL(error.code, CMDS_E_TLS_CONFIG);
    if (strstr(error.text, why) == NULL) {
        printf("\n    \"%s\"\n", error.text);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, why));
}

static void test_lists_that_will_not_do(void)
{
    check_list("ca", "ca_old.crl", "list 1 in it has expired: fetch a new one");
    check_list("ca", "both.crl", "list 2 in it was signed by none of the CAs that are trusted");
    check_list("ca_other", "ca.crl", "list 1 in it was signed by none of the CAs that are trusted");
}

CU_TestInfo test_tls_chains[] = {
        {"a client checks a chain", test_a_client_checks_a_chain},
        {"a server checks a chain", test_a_server_checks_a_chain},
        {"a CA says what for", test_a_ca_says_what_for},
        {"no connection depends on another", test_no_connection_depends_on_another},
        {"a CA of ours expires", test_a_ca_of_ours_expires},
        {"lists that will not do", test_lists_that_will_not_do},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_chains", test_tls_chains)
