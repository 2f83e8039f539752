/* SPDX-License-Identifier: MIT */
/*
 * Who the other one is, and who decides whether it will do. What may go wrong: a client without a
 * certificate is turned away where it may have none, or let in where it may not; the program's own look
 * at the server is not asked, is asked too early, or is not listened to.
 */
#include <cmdstream/tls.h>

#include <string.h>

#include "support/harness.h"
#include "support/tls_pair.h"

struct look {
    int answer;
    unsigned count;
    char name[64], alpn[64], cipher[64];
    uint8_t version;
    bool verified;
};

static int look_on_peer(void *context, const struct cmds_tls_peer *peer)
{
    struct look *look = context;
    look->count++;
    look->version = peer->version;
    look->verified = peer->verified;
    snprintf(look->name, sizeof(look->name), "%s", peer->common_name);
    snprintf(look->alpn, sizeof(look->alpn), "%s", peer->alpn);
    snprintf(look->cipher, sizeof(look->cipher), "%s", peer->cipher);
    return look->answer;
}

static struct cmds_tls *who_server(enum cmds_tls_clients clients)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *tls = NULL;
    options.clients = (uint8_t)clients;
    options.certificate_file = tls_file("server.pem");
    options.key_file = tls_file("server.key");
    options.client_ca_file = clients != CMDS_TLS_CLIENTS_NONE ? tls_file("ca.pem") : NULL;
    options.alpn = "one,two";
    CU_ASSERT_EQUAL_FATAL(cmds_tls_server_new(&tls, &options, &error), 0);
    return tls;
}

static struct cmds_tls *who_client(const char *certificate, const char *key, struct look *look)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *tls = NULL;
    options.ca_file = tls_file("ca.pem");
    options.certificate_file = certificate != NULL ? tls_file(certificate) : NULL;
    options.key_file = key != NULL ? tls_file(key) : NULL;
    options.alpn = "two";
    options.no_resumption = true;
    options.on_peer = look != NULL ? look_on_peer : NULL;
    options.context = look;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_client_new(&tls, &options, &error), 0);
    return tls;
}

static void test_tls_who_a_client_may_have_no_certificate(void)
{
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_OPTIONAL);
    struct cmds_tls *client = who_client(NULL, NULL, NULL);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);

    CU_ASSERT_TRUE(tls_pair_connect(&pair));

    const struct cmds_tls_peer *peer = tls_peer(&pair.server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_FALSE(peer->verified);
    CU_ASSERT_STRING_EQUAL(peer->common_name, "");
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_tls_who_one_that_it_has_is_shown(void)
{
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_OPTIONAL);
    struct cmds_tls *client = who_client("client.pem", "client.key", NULL);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);

    CU_ASSERT_TRUE(tls_pair_connect(&pair));

    const struct cmds_tls_peer *peer = tls_peer(&pair.server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_TRUE(peer->verified);
    CU_ASSERT_STRING_EQUAL(peer->common_name, "client");
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_tls_who_is_required_is_not_let_in_without(void)
{
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_REQUIRED);
    struct cmds_tls *client = who_client(NULL, NULL, NULL);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);

    CU_ASSERT_FALSE(tls_pair_connect(&pair));

    CU_ASSERT_PTR_NULL(tls_peer(&pair.server));
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_tls_who_the_program_is_shown_once_all_is_known(void)
{
    struct look look = {.answer = 0};
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_NONE);
    struct cmds_tls *client = who_client(NULL, NULL, &look);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);

    CU_ASSERT_TRUE(tls_pair_connect(&pair));

    CU_ASSERT_EQUAL(look.count, 1);
    CU_ASSERT_TRUE(look.verified);
    CU_ASSERT_EQUAL(look.version, 13);
    CU_ASSERT_STRING_EQUAL(look.name, "s1");
    CU_ASSERT_STRING_EQUAL(look.alpn, "two");
    CU_ASSERT_EQUAL(strncmp(look.cipher, "TLS_", 4), 0);
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_tls_who_the_program_refuses_fails(void)
{
    struct look look = {.answer = -1};
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_NONE);
    struct cmds_tls *client = who_client(NULL, NULL, &look);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);

    CU_ASSERT_FALSE(tls_pair_connect(&pair));

    CU_ASSERT_EQUAL(look.count, 1);
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_CERTIFICATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(pair.client.error.text, "on_peer"));
    // The server is told, in order.
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT(tls_peer(&pair.server) != NULL || tls_step(&pair.server) == CMDI_SECURITY_DONE);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CLOSED);
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_tls_who_fails_otherwise_is_not_shown(void)
{
    struct look look = {.answer = 0};
    struct cmds_tls *server = who_server(CMDS_TLS_CLIENTS_NONE);
    struct cmds_tls *client = who_client(NULL, NULL, &look);
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    pair.host = "another.example.org";

    CU_ASSERT_FALSE(tls_pair_connect(&pair));

    CU_ASSERT_EQUAL(look.count, 0);
    tls_pair_fini(&pair);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static CU_TestInfo test_tls_who[] = {
        {"a client may have no certificate", test_tls_who_a_client_may_have_no_certificate},
        {"one that it has is shown", test_tls_who_one_that_it_has_is_shown},
        {"who is required is not let in without", test_tls_who_is_required_is_not_let_in_without},
        {"the program is shown, once all is known",
                test_tls_who_the_program_is_shown_once_all_is_known},
        {"whom the program refuses fails", test_tls_who_the_program_refuses_fails},
        {"who fails otherwise is not shown", test_tls_who_fails_otherwise_is_not_shown},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls who", test_tls_who)
