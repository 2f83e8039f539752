/* SPDX-License-Identifier: MIT */
/*
 * Sessions of TLS, two back to back. What may go wrong: bytes are lost or doubled where records are
 * cut; a record that wolfSSL holds is forgotten; an end is taken for a cut, or a cut for an end; a
 * failure has no sentence, or leaves something behind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_swap.h"

enum {
    BYTES_SIZE = 100 * 1000,
    HUGE_SIZE = 20 * 1000 * 1000,
};

static uint8_t bytes[BYTES_SIZE];

static void fill_bytes(void)
{
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
}

static void only_12(struct cmdi_session *client)
{
    tls_swap(client, wolfTLSv1_2_client_method(), "client", "ca");
    tls_swap_name(client);
}

/* A pair of this version. */
static void make_pair(
        struct tls_pair *pair, const char *name, const char *client_ca, uint8_t version)
{
    fill_bytes();
    tls_pair_init(pair, tls_new_client("ca", name), tls_new_server("server", client_ca));
    pair->client_begun = version == 12 ? only_12 : NULL;
}

/* A pair of the right ones, connected. */
static void connect_right(struct tls_pair *pair, uint8_t version)
{
    make_pair(pair, NULL, NULL, version);
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(pair));
}

/* Opens records until there are none. Returns: how many bytes came, all of them as they were sent. */
static size_t open_all(struct tls_end *end, size_t at)
{
    enum cmdi_security_result result;
    while ((result = tls_open(end)) == CMDI_SECURITY_DATA) {
        CU_ASSERT_EQUAL_FATAL(memcmp(end->got, bytes + at, end->got_size), 0);
        at += end->got_size;
    }
    CU_ASSERT_TRUE(result == CMDI_SECURITY_EMPTY || result == CMDI_SECURITY_CUT);
    return at;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void check_one_way(struct tls_end *from, struct tls_end *to)
{
    CU_ASSERT_EQUAL(tls_seal(from, bytes, sizeof(bytes)), 0);
    tls_move(from, to, SIZE_MAX);
    CU_ASSERT_EQUAL(open_all(to, 0), sizeof(bytes));
    CU_ASSERT_EQUAL(tls_open(to), CMDI_SECURITY_EMPTY);
}

static void check_bytes(uint8_t version)
{
    struct tls_pair pair;
    connect_right(&pair, version);
    check_one_way(&pair.client, &pair.server);
    check_one_way(&pair.server, &pair.client);
    CU_ASSERT_EQUAL(tls_peer(&pair.client)->version, version);
    CU_ASSERT_EQUAL(tls_peer(&pair.server)->version, version);
    CU_ASSERT_EQUAL(pair.client.glitches, 0);
    CU_ASSERT_EQUAL(pair.server.glitches, 0);
    tls_pair_free(&pair);
}

static void test_bytes_go_both_ways_in_13(void)
{
    check_bytes(13);
}

static void test_bytes_go_both_ways_in_12(void)
{
    check_bytes(12);
}

static void test_a_record_is_little_longer_than_what_it_carries(void)
{
    for (uint8_t version = 12; version <= 13; version++) {
        struct tls_pair pair;
        connect_right(&pair, version);
        size_t before = pair.client.out.size;
        CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 1), 0);
        CU_ASSERT_TRUE(pair.client.out.size - before <= 1 + CMDI_SECURITY_OVERHEAD_MAX);
        before = pair.client.out.size;
        CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 3 * CMDI_SECURITY_RECORD_MAX), 0);
        CU_ASSERT_TRUE(pair.client.out.size - before <=
                       3 * (CMDI_SECURITY_RECORD_MAX + CMDI_SECURITY_OVERHEAD_MAX));
        tls_pair_free(&pair);
    }
}

static void test_each_call_opens_one_record(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 10), 0);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes + 10, 20), 0);
    tls_move(&pair.client, &pair.server, SIZE_MAX);

    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair.server.got_size, 10);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair.server.got_size, 20);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_EMPTY);
    tls_pair_free(&pair);
}

static void test_a_cut_record_waits_for_its_rest(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    (void)tls_open(&pair.server); // Nothing is left of the handshake.
    CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 100), 0);
    size_t size = pair.client.out.size - pair.client.out.at;
    for (size_t i = 0; i + 1 < size; i++) {
        CU_ASSERT_EQUAL(tls_move(&pair.client, &pair.server, 1), 1);
        CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CUT);
    }
    CU_ASSERT_EQUAL(tls_move(&pair.client, &pair.server, 1), 1);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair.server.got_size, 100);
    CU_ASSERT_EQUAL(memcmp(pair.server.got, bytes, 100), 0);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_EMPTY);
    tls_pair_free(&pair);
}

static void test_pieces_of_what_came_are_joined(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    pair.server.piece_max = 7;
    check_one_way(&pair.client, &pair.server);
    tls_pair_free(&pair);
}

static void test_a_huge_write_leaves_whole(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    uint8_t *huge = calloc(1, HUGE_SIZE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(huge);
    memcpy(huge + HUGE_SIZE - BYTES_SIZE, bytes, BYTES_SIZE);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, huge, HUGE_SIZE), 0);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    size_t at = 0;
    while (tls_open(&pair.server) == CMDI_SECURITY_DATA) {
        CU_ASSERT_EQUAL_FATAL(memcmp(pair.server.got, huge + at, pair.server.got_size), 0);
        at += pair.server.got_size;
    }
    CU_ASSERT_EQUAL(at, HUGE_SIZE);
    free(huge);
    tls_pair_free(&pair);
}

/* ---- The handshake --------------------------------------------------------------------------- */

/* Every byte alone; a step only where weigh() says that there is something to do. */
static void shake_byte_by_byte(struct tls_pair *pair)
{
    enum cmdi_security_result client = CMDI_SECURITY_EMPTY, server = CMDI_SECURITY_EMPTY;
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(pair));
    CU_ASSERT_EQUAL(tls_weigh(&pair->client), CMDI_SECURITY_HEAVY);
    client = tls_step(&pair->client);
    for (unsigned i = 0; i < BYTES_SIZE; i++) {
        if (client == CMDI_SECURITY_DONE && server == CMDI_SECURITY_DONE) {
            break;
        }
        tls_move(&pair->client, &pair->server, 1);
        if (server != CMDI_SECURITY_DONE && tls_weigh(&pair->server) != CMDI_SECURITY_LACKS) {
            CU_ASSERT_TRUE_FATAL(pair->server.session != NULL || tls_pair_begin_server(pair));
            server = tls_step(&pair->server);
        }
        tls_move(&pair->server, &pair->client, 1);
        if (client != CMDI_SECURITY_DONE && tls_weigh(&pair->client) != CMDI_SECURITY_LACKS) {
            client = tls_step(&pair->client);
        }
        CU_ASSERT_FATAL(client != CMDI_SECURITY_FAILED && server != CMDI_SECURITY_FAILED);
    }
    CU_ASSERT_EQUAL(client, CMDI_SECURITY_DONE);
    CU_ASSERT_EQUAL(server, CMDI_SECURITY_DONE);
}

static void test_a_handshake_may_come_byte_by_byte(void)
{
    for (uint8_t version = 12; version <= 13; version++) {
        struct tls_pair pair;
        make_pair(&pair, "client", "ca", version);
        shake_byte_by_byte(&pair);
        tls_move(&pair.client, &pair.server, SIZE_MAX);
        tls_move(&pair.server, &pair.client, SIZE_MAX);
        check_one_way(&pair.client, &pair.server);
        check_one_way(&pair.server, &pair.client);
        tls_pair_free(&pair);
    }
}

static void test_a_server_waits_for_the_first_flight_and_makes_nothing(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_LACKS);
    while (tls_move(&pair.client, &pair.server, 1) > 0 &&
            pair.client.out.at < pair.client.out.size) {
        CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_LACKS);
    }
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_HEAVY);
    CU_ASSERT_TRUE(tls_pair_begin_server(&pair));
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_HEAVY);
    CU_ASSERT_PTR_NULL(tls_peer(&pair.server));
    tls_pair_free(&pair);
}

/* Up to the client's second flight, which has come to the server. */
static void shake_to_second_flight(struct tls_pair *pair)
{
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(pair));
    CU_ASSERT_EQUAL(tls_step(&pair->client), CMDI_SECURITY_EMPTY);
    tls_move(&pair->client, &pair->server, SIZE_MAX);
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_server(pair));
    CU_ASSERT_EQUAL(tls_step(&pair->server), CMDI_SECURITY_EMPTY);
    CU_ASSERT_EQUAL(tls_weigh(&pair->server), CMDI_SECURITY_LACKS);
    tls_move(&pair->server, &pair->client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_weigh(&pair->client), CMDI_SECURITY_HEAVY);
    CU_ASSERT_EQUAL(tls_step(&pair->client), CMDI_SECURITY_DONE);
    tls_move(&pair->client, &pair->server, SIZE_MAX);
}

static void test_a_second_flight_weighs_what_its_certificate_does(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", "client"), tls_new_server("server", NULL));
    shake_to_second_flight(&pair);
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_LIGHT);
    CU_ASSERT_EQUAL(tls_step(&pair.server), CMDI_SECURITY_DONE);
    tls_pair_free(&pair);

    tls_pair_init(&pair, tls_new_client("ca", "client"), tls_new_server("server", "ca"));
    shake_to_second_flight(&pair);
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_HEAVY);
    CU_ASSERT_EQUAL(tls_step(&pair.server), CMDI_SECURITY_DONE);
    tls_pair_free(&pair);
}

static void show_no_key(struct cmdi_session *client)
{
    CU_ASSERT_EQUAL(wolfSSL_NoKeyShares(client->object), WOLFSSL_SUCCESS);
}

static void test_a_client_may_be_asked_for_another_key(void)
{
    struct tls_pair pair;
    make_pair(&pair, NULL, NULL, 13);
    pair.client_begun = show_no_key;
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_server(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.server), CMDI_SECURITY_EMPTY); // HelloRetryRequest.
    tls_move(&pair.server, &pair.client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_HEAVY);
    CU_ASSERT_TRUE(tls_pair_shake(&pair));
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->server_name, "a.example");
    check_one_way(&pair.client, &pair.server);
    tls_pair_free(&pair);
}

static void test_a_session_may_end_at_any_time(void)
{
    for (unsigned steps = 0; steps < 3; steps++) {
        struct tls_pair pair;
        tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
        CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
        if (steps > 0) {
            CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
            tls_move(&pair.client, &pair.server, SIZE_MAX);
            CU_ASSERT_TRUE_FATAL(tls_pair_begin_server(&pair));
        }
        if (steps > 1) {
            CU_ASSERT_EQUAL(tls_step(&pair.server), CMDI_SECURITY_EMPTY);
        }
        tls_pair_free(&pair);
    }
}

/* ---- What the handshake has shown ------------------------------------------------------------ */

static void test_a_client_sees_the_server(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    const struct cmds_tls_peer *peer = tls_peer(&pair.client);
    CU_ASSERT_STRING_EQUAL(peer->common_name, "s1");
    CU_ASSERT_STRING_EQUAL(peer->subject, "CN=s1,OU=East,O=Example\\, Ltd,C=DE");
    CU_ASSERT_STRING_EQUAL(peer->issuer, "CN=Test CA,O=Example");
    CU_ASSERT_STRING_EQUAL(peer->server_name, "a.example");
    CU_ASSERT_STRING_EQUAL(peer->alpn, "");
    CU_ASSERT_STRING_EQUAL(peer->cipher, "TLS_AES_128_GCM_SHA256");
    CU_ASSERT_EQUAL_FATAL(peer->dns_count, 2);
    CU_ASSERT_STRING_EQUAL(peer->dns_names[0], "a.example");
    CU_ASSERT_STRING_EQUAL(peer->dns_names[1], "B.Example");
    CU_ASSERT_EQUAL_FATAL(peer->ip_count, 2);
    CU_ASSERT_STRING_EQUAL(peer->ip_addresses[0], "127.0.0.1");
    CU_ASSERT_STRING_EQUAL(peer->ip_addresses[1], "::1");
    CU_ASSERT_EQUAL_FATAL(peer->uri_count, 1);
    CU_ASSERT_STRING_EQUAL(peer->uris[0], "spiffe://example/s1");
    CU_ASSERT_EQUAL(peer->not_after_s, 2493071999); // 2048-12-31
    CU_ASSERT_TRUE(peer->verified);
    CU_ASSERT_FALSE(peer->resumed);
    tls_pair_free(&pair);
}

static void test_a_server_sees_whom_a_client_asks_for(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    const struct cmds_tls_peer *peer = tls_peer(&pair.server);
    static const uint8_t zeros[sizeof(peer->fingerprint)];
    CU_ASSERT_STRING_EQUAL(peer->server_name, "a.example");
    CU_ASSERT_STRING_EQUAL(peer->common_name, "");
    CU_ASSERT_STRING_EQUAL(peer->subject, "");
    CU_ASSERT_EQUAL(memcmp(peer->fingerprint, zeros, sizeof(zeros)), 0);
    CU_ASSERT_FALSE(peer->verified);
    tls_pair_free(&pair);
}

static void test_a_server_sees_the_client(void)
{
    for (uint8_t version = 12; version <= 13; version++) {
        struct tls_pair pair;
        make_pair(&pair, "client", "ca", version);
        CU_ASSERT_TRUE_FATAL(tls_pair_connect(&pair));
        const struct cmds_tls_peer *peer = tls_peer(&pair.server);
        static const uint8_t zeros[sizeof(peer->fingerprint)];
        CU_ASSERT_STRING_EQUAL(peer->subject, "CN=client");
        CU_ASSERT_TRUE(peer->verified);
        CU_ASSERT_NOT_EQUAL(memcmp(peer->fingerprint, zeros, sizeof(zeros)), 0);
        tls_pair_free(&pair);
    }
}

static void test_an_address_is_checked_and_not_asked_for(void)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "[::1]", "[::1%lo]"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct tls_pair pair;
        tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
        pair.host = hosts[i];
        CU_ASSERT_TRUE(tls_pair_connect(&pair));
        CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->server_name, "");
        tls_pair_free(&pair);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

static void check_half_close(uint8_t version)
{
    struct tls_pair pair;
    connect_right(&pair, version);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 10), 0);
    pair.client.tls->security->notify(pair.client.session);
    tls_move(&pair.client, &pair.server, SIZE_MAX);

    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CLOSED);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CLOSED);

    CU_ASSERT_EQUAL(tls_seal(&pair.server, bytes, sizeof(bytes)), 0);
    pair.server.tls->security->notify(pair.server.session);
    tls_move(&pair.server, &pair.client, SIZE_MAX);
    size_t at = 0;
    enum cmdi_security_result result;
    while ((result = tls_open(&pair.client)) == CMDI_SECURITY_DATA) {
        at += pair.client.got_size;
    }
    CU_ASSERT_EQUAL(at, sizeof(bytes));
    CU_ASSERT_EQUAL(result, CMDI_SECURITY_CLOSED);
    CU_ASSERT_EQUAL(pair.client.alerts_in + pair.client.alerts_out, 0);
    CU_ASSERT_EQUAL(pair.server.alerts_in + pair.server.alerts_out, 0);
    CU_ASSERT_EQUAL(pair.client.glitches + pair.server.glitches, 0);
    tls_pair_free(&pair);
}

static void test_the_end_is_said_and_the_other_side_may_go_on(void)
{
    check_half_close(13);
    check_half_close(12);
}

static void test_what_comes_behind_the_end_is_not_opened(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    pair.client.tls->security->notify(pair.client.session);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    tls_feed(&pair.server, "GET /", 5);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CLOSED);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_CLOSED);
    tls_pair_free(&pair);
}

static void test_an_end_in_the_handshake_is_a_refusal(void)
{
    static const uint8_t close_notify[] = {21, 3, 3, 0, 2, 1, 0};
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    tls_feed(&pair.client, close_notify, sizeof(close_notify));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_FAILED);
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_REFUSED);
    tls_pair_free(&pair);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void test_no_memory_for_what_leaves_fails_the_session(void)
{
    struct tls_pair pair;
    connect_right(&pair, 13);
    pair.client.lacks_memory = true;
    CU_ASSERT_EQUAL(tls_seal(&pair.client, bytes, 10), -ENOMEM);
    CU_ASSERT_STRING_EQUAL(pair.client.error.text, "TLS with server.address:1, after the "
                                                   "handshake: out of memory");
    tls_pair_free(&pair);

    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
    pair.client.lacks_memory = true;
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_FAILED);
    CU_ASSERT_EQUAL(pair.client.error.code, -ENOMEM);
    tls_pair_free(&pair);
}

CU_TestInfo test_tls_session[] = {
        {"bytes go both ways in 1.3", test_bytes_go_both_ways_in_13},
        {"bytes go both ways in 1.2", test_bytes_go_both_ways_in_12},
        {"a record is little longer than what it carries",
                test_a_record_is_little_longer_than_what_it_carries},
        {"each call opens one record", test_each_call_opens_one_record},
        {"a cut record waits for its rest", test_a_cut_record_waits_for_its_rest},
        {"pieces of what came are joined", test_pieces_of_what_came_are_joined},
        {"a huge write leaves whole", test_a_huge_write_leaves_whole},
        {"a handshake may come byte by byte", test_a_handshake_may_come_byte_by_byte},
        {"a server waits for the first flight and makes nothing",
                test_a_server_waits_for_the_first_flight_and_makes_nothing},
        {"a second flight weighs what its certificate does",
                test_a_second_flight_weighs_what_its_certificate_does},
        {"a client may be asked for another key", test_a_client_may_be_asked_for_another_key},
        {"a session may end at any time", test_a_session_may_end_at_any_time},
        {"a client sees the server", test_a_client_sees_the_server},
        {"a server sees whom a client asks for", test_a_server_sees_whom_a_client_asks_for},
        {"a server sees the client", test_a_server_sees_the_client},
        {"an address is checked and not asked for", test_an_address_is_checked_and_not_asked_for},
        {"the end is said and the other side may go on",
                test_the_end_is_said_and_the_other_side_may_go_on},
        {"what comes behind the end is not opened", test_what_comes_behind_the_end_is_not_opened},
        {"an end in the handshake is a refusal", test_an_end_in_the_handshake_is_a_refusal},
        {"no memory for what leaves fails the session",
                test_no_memory_for_what_leaves_fails_the_session},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_session", test_tls_session)
