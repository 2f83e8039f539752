/* SPDX-License-Identifier: MIT */
/*
 * Sessions that go on where an earlier one was: a shorter handshake, and no certificate in it. So who
 * the server is must come from the first one, be checked as then, and count for nobody else.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_swap.h"
#include "tls/tickets.h"

enum {
    MINUTE_S = 60,
};

/* Of the calendar, for wolfSSL too. 0: as it is. */
static time_t now_s;

__attribute__((visibility("default"))) time_t time(time_t *out)
{
    struct timespec now = {.tv_sec = now_s};
    if (now_s == 0) {
        (void)clock_gettime(CLOCK_REALTIME, &now);
    }
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

static struct cmds_tls *client, *server;

static void set_up(const char *name, const char *client_ca)
{
    client = tls_new_client("ca", name);
    server = tls_new_server("server", client_ca);
}

static void tear_down(void)
{
    cmds_tls_free(client);
    cmds_tls_free(server);
}

/* One connection to this host, with a word from the server: its ticket comes before it. */
static void connect_once(const char *host, struct tls_pair *pair)
{
    tls_pair_init(pair, client, server);
    pair->host = host;
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(pair));
    CU_ASSERT_EQUAL(tls_seal(&pair->server, "word", 4), 0);
    tls_move(&pair->server, &pair->client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair->client), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair->client.glitches, 0);
}

static bool connect_is_resumed(const char *host)
{
    struct tls_pair pair;
    connect_once(host, &pair);
    bool is_resumed = tls_peer(&pair.client)->resumed;
    CU_ASSERT_EQUAL(tls_peer(&pair.server)->resumed, is_resumed);
    tls_pair_fini(&pair);
    return is_resumed;
}

static void test_the_next_connection_resumes(void)
{
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    }
    tear_down();
}

static void test_the_identity_is_that_of_the_first(void)
{
    struct tls_pair first, next;
    set_up(NULL, NULL);
    connect_once("a.example", &first);
    struct cmds_tls_peer known = *tls_peer(&first.client);
    tls_pair_fini(&first);
    connect_once("a.example", &next);
    const struct cmds_tls_peer *peer = tls_peer(&next.client);
    CU_ASSERT_TRUE(peer->resumed);
    CU_ASSERT_TRUE(peer->verified);
    CU_ASSERT_STRING_EQUAL(peer->common_name, "s1");
    CU_ASSERT_STRING_EQUAL(peer->server_name, "a.example");
    CU_ASSERT_EQUAL(memcmp(peer->fingerprint, known.fingerprint, sizeof(known.fingerprint)), 0);
    CU_ASSERT_EQUAL(peer->dns_count, 2);
    CU_ASSERT_STRING_EQUAL(tls_peer(&next.server)->server_name, "a.example");
    tls_pair_fini(&next);
    tear_down();
}

static void test_a_session_is_nobody_elses(void)
{
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    CU_ASSERT_FALSE(connect_is_resumed("b.example"));
    CU_ASSERT_FALSE(connect_is_resumed("127.0.0.1"));
    CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    tear_down();
}

static void test_a_session_is_used_once(void)
{
    struct tls_pair first, second;
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    connect_once("a.example", &first);
    connect_once("a.example", &second);
    CU_ASSERT_TRUE(tls_peer(&first.client)->resumed);
    CU_ASSERT_FALSE(tls_peer(&second.client)->resumed);
    tls_pair_fini(&first);
    tls_pair_fini(&second);
    tear_down();
}

/* Its certificate ends within the time of the ticket: who resumed would know somebody by it after that. */
static void test_a_session_ends_with_its_certificate(void)
{
    struct tls_pair pair;
    now_s = 2493070200; // 2048-12-31 23:30:00 UTC
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    now_s += 29 * MINUTE_S;
    CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    now_s += 2 * MINUTE_S;
    tls_pair_init(&pair, client, server);
    pair.host = "a.example";
    CU_ASSERT_FALSE(tls_pair_connect(&pair));
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_CERTIFICATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(pair.client.error.text, "has expired"));
    tls_pair_fini(&pair);
    tear_down();
    now_s = 0;
}

static void test_a_session_that_failed_is_not_kept(void)
{
    struct tls_pair pair;
    set_up(NULL, NULL);
    connect_once("a.example", &pair);
    tls_feed(&pair.client, "GET /", 5);
    CU_ASSERT_EQUAL(tls_open(&pair.client), CMDI_SECURITY_FAILED);
    tls_pair_fini(&pair);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    tear_down();
}

/* What it began with is used up, and a server need not send another ticket. */
static void test_a_session_without_a_new_ticket_is_not_kept(void)
{
    struct tls_pair pair;
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    tls_pair_init(&pair, client, server);
    CU_ASSERT_TRUE(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT_TRUE(tls_pair_begin_server(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.server), CMDI_SECURITY_EMPTY);
    tls_move(&pair.server, &pair.client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_DONE);
    CU_ASSERT_TRUE(tls_peer(&pair.client)->resumed);
    tls_pair_fini(&pair); // The server's ticket never comes.
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    tear_down();
}

static void give_no_ticket(struct cmdi_session *session)
{
    CU_ASSERT_EQUAL(wolfSSL_no_ticket_TLSv13(session->object), 0);
}

/* Of two servers at one address: what the other did not take is not offered with another secret. */
static void test_a_session_that_was_refused_is_not_kept(void)
{
    struct tls_pair pair;
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    struct cmds_tls *other = tls_new_server("server", NULL);
    tls_pair_init(&pair, client, other);
    pair.server_begun = give_no_ticket;
    CU_ASSERT_TRUE(tls_pair_connect(&pair));
    tls_pair_fini(&pair);
    cmds_tls_free(other);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    tear_down();
}

static void test_mutual_tls_is_never_resumed(void)
{
    set_up("client", "ca");
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    tear_down();
}

static void test_a_ticket_of_another_server_is_no_ticket(void)
{
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    cmds_tls_free(server);
    server = tls_new_server("server", NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    tear_down();
}

/* ---- Forward secrecy ------------------------------------------------------------------------- */

static void offer_psk_ke_alone(struct cmdi_session *session)
{
    CU_ASSERT_EQUAL(wolfSSL_no_dhe_psk(session->object), 0);
}

static bool connects_fully(void (*client_begun)(struct cmdi_session *session))
{
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    pair.client_begun = client_begun;
    bool is_done = tls_pair_connect(&pair);
    CU_ASSERT_TRUE(is_done);
    if (!is_done) {
        printf("\n    %s\n    %s\n", pair.client.error.text, pair.server.error.text);
    } else {
        CU_ASSERT_FALSE(tls_peer(&pair.client)->resumed);
        CU_ASSERT_FALSE(tls_peer(&pair.server)->resumed);
        CU_ASSERT_EQUAL(tls_seal(&pair.server, "word", 4), 0);
        tls_move(&pair.server, &pair.client, SIZE_MAX);
        CU_ASSERT_EQUAL(tls_open(&pair.client), CMDI_SECURITY_DATA);
    }
    tls_pair_fini(&pair);
    return is_done;
}

static void test_nobody_resumes_here_without_a_key_exchange(void)
{
    set_up(NULL, NULL);
    CU_ASSERT_FALSE(connect_is_resumed("a.example"));
    CU_ASSERT_TRUE(connects_fully(offer_psk_ke_alone)); // With a ticket that was good.
    CU_ASSERT_TRUE(connects_fully(NULL));               // Which got it no other one.
    CU_ASSERT_TRUE(connect_is_resumed("a.example"));
    tear_down();
}

/* One that resumes by psk_ke if it can: our client has to offer it, as wolfSSL has no option. */
static WOLFSSL_CTX *careless;

static void be_careless(struct cmdi_session *session)
{
    wolfSSL_free(session->object);
    session->object = wolfSSL_new(careless);
    CU_ASSERT_PTR_NOT_NULL_FATAL(session->object);
    cmdi_verify_attach(&session->handshake->verify, session->object, WOLFSSL_VERIFY_NONE);
    cmdi_shim_attach(&session->shim, session->object);
    session->shim.takes_no_ticket = false;
}

static void make_careless(struct cmdi_ticket_scope *scope)
{
    int pem = WOLFSSL_FILETYPE_PEM;
    careless = wolfSSL_CTX_new(wolfTLS_server_method());
    CU_ASSERT_PTR_NOT_NULL_FATAL(careless);
    CU_ASSERT_EQUAL(wolfSSL_CTX_use_certificate_file(careless, tls_file("server.pem"), pem), 1);
    CU_ASSERT_EQUAL(wolfSSL_CTX_use_PrivateKey_file(careless, tls_file("server.key"), pem), 1);
    CU_ASSERT_EQUAL_FATAL(cmdi_tls_tickets_create(&scope->tickets, 60, NULL), 0);
    CU_ASSERT_EQUAL(wolfSSL_CTX_set_TicketEncCb(careless, cmdi_tls_tickets_callback), 1);
    CU_ASSERT_EQUAL(wolfSSL_CTX_set_TicketEncCtx(careless, scope), 1);
    CU_ASSERT_EQUAL(wolfSSL_CTX_no_dhe_psk(careless), 0);
}

static void connect_to_careless(
        struct tls_pair *pair, void (*client_begun)(struct cmdi_session *session))
{
    tls_pair_init(pair, client, server);
    pair->client_begun = client_begun;
    pair->server_begun = be_careless;
    (void)tls_pair_connect(pair);
}

/* And its ticket comes. */
static void connect_fully_to_careless(void)
{
    struct tls_pair pair;
    connect_to_careless(&pair, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls_peer(&pair.client));
    CU_ASSERT_FALSE(tls_peer(&pair.client)->resumed);
    CU_ASSERT_EQUAL_FATAL(tls_seal(&pair.server, "word", 4), 0);
    tls_move(&pair.server, &pair.client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair.client), CMDI_SECURITY_DATA);
    tls_pair_fini(&pair);
}

static void check_without_key_exchange(const struct tls_end *end)
{
    CU_ASSERT_EQUAL(end->error.code, CMDS_E_TLS_HANDSHAKE);
    if (strstr(end->error.text, ": it has resumed a session without a fresh key exchange") ==
            NULL) {
        CU_FAIL("another sentence");
        printf("\n    \"%s\"\n", end->error.text);
    }
    CU_ASSERT_PTR_NULL(tls_peer(end));
}

static void test_a_server_that_resumes_without_a_key_exchange_is_refused(void)
{
    struct tls_pair pair;
    struct cmdi_ticket_scope scope = {.digest = "careless"};
    set_up(NULL, NULL);
    make_careless(&scope);
    connect_fully_to_careless();
    connect_to_careless(&pair, NULL);
    CU_ASSERT(pair.client.error.code < 0); // By wolfSSL: some versions do not get so far.
    CU_ASSERT_PTR_NULL(tls_peer(&pair.client));
    tls_pair_fini(&pair);

    connect_fully_to_careless(); // The session was used up.
    connect_to_careless(&pair, offer_psk_ke_alone);
    check_without_key_exchange(&pair.client);
    check_without_key_exchange(&pair.server); // Whatever wolfSSL has thought.
    tls_pair_fini(&pair);
    wolfSSL_CTX_free(careless);
    cmdi_tls_tickets_destroy(scope.tickets);
    tear_down();
}

CU_TestInfo test_tls_resumption[] = {
        {"the next connection resumes", test_the_next_connection_resumes},
        {"the identity is that of the first", test_the_identity_is_that_of_the_first},
        {"a session is nobody else's", test_a_session_is_nobody_elses},
        {"a session is used once", test_a_session_is_used_once},
        {"a session ends with its certificate", test_a_session_ends_with_its_certificate},
        {"a session that failed is not kept", test_a_session_that_failed_is_not_kept},
        {"a session without a new ticket is not kept",
                test_a_session_without_a_new_ticket_is_not_kept},
        {"a session that was refused is not kept", test_a_session_that_was_refused_is_not_kept},
        {"mutual TLS is never resumed", test_mutual_tls_is_never_resumed},
        {"a ticket of another server is no ticket", test_a_ticket_of_another_server_is_no_ticket},
        {"nobody resumes here without a key exchange",
                test_nobody_resumes_here_without_a_key_exchange},
        {"a server that resumes without a key exchange is refused",
                test_a_server_that_resumes_without_a_key_exchange_is_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_resumption", test_tls_resumption)
