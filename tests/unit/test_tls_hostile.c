/* SPDX-License-Identifier: MIT */
/*
 * Peers that mean harm, or speak something else. No byte of theirs may crash, stall or pass: each ends
 * in a sentence, and where TLS has an alert for it and wolfSSL knows that, in an alert.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_swap.h"

#define OPEN_CLIENT  "TLS with client.address:2: "
#define SHAKE_CLIENT "TLS handshake with client.address:2: "

static void connect_right(struct tls_pair *pair)
{
    tls_pair_init(pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(pair));
    while (tls_open(&pair->client) == CMDI_SECURITY_DATA) {
    }
}

/* ---- Before a handshake ---------------------------------------------------------------------- */

static void test_what_is_no_tls_is_refused_before_anything_is_made(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
            {"GET / HTTP/1.1\r\n", 16, SHAKE_CLIENT "plaintext on a TLS port"},
            {"\x15\3\3\0\2\1\0", 7, SHAKE_CLIENT "plaintext on a TLS port"},
            {"\x16\3\1\xff\xff", 5, SHAKE_CLIENT "a TLS record longer than the protocol allows"},
            {"\x16\3\1\0\4\2\0\0\0", 9, SHAKE_CLIENT "its first message is no ClientHello"},
            {"\x16\3\1\0\4\1\x7f\0\0", 9, SHAKE_CLIENT "its ClientHello is above 16 KiB"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair pair;
        tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
        tls_feed(&pair.server, cases[i].bytes, cases[i].size);
        CU_ASSERT_EQUAL(tls_weigh(&pair.server), CMDI_SECURITY_LIGHT);
        CU_ASSERT_FALSE(tls_pair_begin_server(&pair));
        CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_RECORD);
        CU_ASSERT_STRING_EQUAL(pair.server.error.text, cases[i].text);
        CU_ASSERT_EQUAL(pair.server.out.size, 0);
        tls_pair_free(&pair);
    }
}

static void test_a_client_refuses_a_server_in_plaintext(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_EMPTY);
    tls_feed(&pair.client, "\x08hello", 6);
    CU_ASSERT_EQUAL(tls_step(&pair.client), CMDI_SECURITY_FAILED);
    CU_ASSERT_STRING_EQUAL(pair.client.error.text,
            "TLS handshake with server.address:1: the server answers in plaintext, not in TLS");
    tls_pair_free(&pair);
}

static void test_a_client_has_to_know_whom_it_wants(void)
{
    static char long_name[300];
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    pair.host = NULL;
    CU_ASSERT_FALSE(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_CONFIG);
    memset(long_name, 'a', sizeof(long_name) - 1);
    pair.host = long_name;
    CU_ASSERT_FALSE(tls_pair_begin_client(&pair));
    CU_ASSERT_EQUAL(pair.client.error.code, -ENAMETOOLONG);
    tls_pair_free(&pair);
}

/* ---- In a handshake -------------------------------------------------------------------------- */

/* One byte of one side's output is wrong. */
struct flaw {
    bool of_client;
    size_t at;
    uint8_t mask;
};

static void move_flawed(
        struct tls_end *from, struct tls_end *to, const struct flaw *flaw, bool is_it)
{
    size_t at = from->out.at;
    if (is_it && flaw->at >= at && flaw->at < from->out.size) {
        from->out.data[flaw->at] ^= flaw->mask;
    }
    tls_move(from, to, SIZE_MAX);
}

/* Returns: both sides are done. Neither may be done with a peer that has not said all it should. */
static bool shake_flawed(struct tls_pair *pair, const struct flaw *flaw, size_t sizes[2])
{
    enum cmdi_security_result client = CMDI_SECURITY_EMPTY, server = CMDI_SECURITY_EMPTY;
    CU_ASSERT_TRUE_FATAL(tls_pair_begin_client(pair));
    for (unsigned round = 0; round < 10; round++) {
        if (client != CMDI_SECURITY_FAILED && client != CMDI_SECURITY_DONE) {
            client = tls_step(&pair->client);
        }
        move_flawed(&pair->client, &pair->server, flaw, flaw->of_client);
        if (pair->server.session == NULL &&
                (tls_weigh(&pair->server) == CMDI_SECURITY_LACKS || !tls_pair_begin_server(pair))) {
            break;
        }
        if (server != CMDI_SECURITY_FAILED && server != CMDI_SECURITY_DONE) {
            server = tls_step(&pair->server);
        }
        move_flawed(&pair->server, &pair->client, flaw, !flaw->of_client);
    }
    sizes[0] = pair->client.out.size;
    sizes[1] = pair->server.out.size;
    if (client == CMDI_SECURITY_DONE) {
        (void)tls_open(&pair->client);
    }
    return client == CMDI_SECURITY_DONE && server == CMDI_SECURITY_DONE;
}

/* What a MAC covers: all but the headers of records, which may come in another form. */
static void check_flaws(bool of_client, const char *client_name, const char *client_ca)
{
    struct cmds_tls *client = tls_new_client("ca", client_name);
    struct cmds_tls *server = tls_new_server("server", client_ca);
    size_t sizes[2];
    struct flaw flaw = {.of_client = of_client, .at = SIZE_MAX};
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    CU_ASSERT_TRUE(shake_flawed(&pair, &flaw, sizes));
    tls_pair_fini(&pair);
    size_t size = sizes[of_client ? 0 : 1], passed = 0;
    for (flaw.at = 0; flaw.at < size; flaw.at++) {
        size_t ignored[2];
        flaw.mask = (uint8_t)(1u << flaw.at % 8);
        tls_pair_init(&pair, client, server);
        passed += shake_flawed(&pair, &flaw, ignored) ? 1 : 0;
        tls_pair_fini(&pair);
    }
    // Versions in headers of records, which nobody looks at, and tickets, behind the handshake.
    CU_ASSERT_TRUE(passed < size / 2);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

static void test_a_flaw_anywhere_of_a_client_is_found(void)
{
    check_flaws(true, "client", "ca");
}

static void test_a_flaw_anywhere_of_a_server_is_found(void)
{
    check_flaws(false, NULL, NULL);
}

/* ---- A wolfSSL that lets something through --------------------------------------------------- */

static void check_nothing(struct cmdi_session *session)
{
    wolfSSL_set_verify(session->object, WOLFSSL_VERIFY_NONE, NULL);
}

static void test_a_server_wants_a_certificate_in_its_hands(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", "ca"));
    pair.server_begun = check_nothing;
    CU_ASSERT_FALSE(tls_pair_connect(&pair));
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_CERTIFICATE);
    CU_ASSERT_STRING_EQUAL(
            pair.server.error.text, SHAKE_CLIENT "it has no certificate, and one is required");
    CU_ASSERT_PTR_NULL(tls_peer(&pair.server));
    tls_pair_free(&pair);
}

static void test_a_client_wants_a_certificate_in_its_hands(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    pair.client_begun = check_nothing;
    CU_ASSERT_FALSE(tls_pair_connect(&pair));
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_CERTIFICATE);
    CU_ASSERT_PTR_NULL(tls_peer(&pair.client));
    tls_pair_free(&pair);
}

static void take_cbc(struct cmdi_session *session)
{
    CU_ASSERT_EQUAL(
            wolfSSL_set_cipher_list(session->object, "ECDHE-ECDSA-AES128-SHA256"), WOLFSSL_SUCCESS);
}

static void take_cbc_client(struct cmdi_session *client)
{
    tls_swap(client, wolfTLSv1_2_client_method(), NULL, "ca");
    tls_swap_name(client);
    take_cbc(client);
}

static void take_cbc_server(struct cmdi_session *server)
{
    tls_swap(server, wolfTLSv1_2_server_method(), "server", NULL);
    take_cbc(server);
}

static void test_a_cipher_that_is_none_of_ours_ends_it(void)
{
    struct tls_pair pair;
    tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", NULL));
    pair.client_begun = take_cbc_client;
    pair.server_begun = take_cbc_server;
    CU_ASSERT_FALSE(tls_pair_connect(&pair));
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_HANDSHAKE);
    CU_ASSERT_STRING_EQUAL(pair.client.error.text,
            "TLS handshake with server.address:1: it came to a version or a cipher that we did not "
            "offer");
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_HANDSHAKE);
    tls_pair_free(&pair);
}

/* ---- Records --------------------------------------------------------------------------------- */

static void check_record(const char *bytes, size_t size, const char *text)
{
    struct tls_pair pair;
    connect_right(&pair);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, "good", 4), 0);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    tls_feed(&pair.server, bytes, size);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_FAILED);
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_RECORD);
    if (strcmp(pair.server.error.text, text) != 0) {
        printf("\n    \"%s\"\n", pair.server.error.text);
    }
    CU_ASSERT_STRING_EQUAL(pair.server.error.text, text);
    tls_pair_free(&pair);
}

static void test_a_record_too_short_for_its_tag_is_not_shown_to_wolfssl(void)
{
    // CVE-2024-0901: 21 bytes that make wolfSSL before 5.7.0 read 64 KiB behind a block.
    static const char record[21] = "\x17\3\3\0\x10";
    check_record(record, sizeof(record), OPEN_CLIENT "a TLS record too short to hold sealed data");
}

static void test_records_that_do_not_belong_there_are_refused(void)
{
    check_record("GET /", 5, OPEN_CLIENT "a TLS record of an unknown type");
    check_record("\x17\2\3\0\x20", 5, OPEN_CLIENT "a TLS record of an unknown version");
    check_record("\x17\3\3\0\0", 5, OPEN_CLIENT "a TLS record without a byte in it");
    check_record("\x17\3\3\x41\1", 5, OPEN_CLIENT "a TLS record longer than the protocol allows");
}

static void test_a_changed_record_is_refused_and_told(void)
{
    struct tls_pair pair;
    connect_right(&pair);
    CU_ASSERT_EQUAL(tls_seal(&pair.client, "good", 4), 0);
    pair.client.out.data[pair.client.out.size - 1] ^= 1;
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_FAILED);
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_RECORD);
    CU_ASSERT_STRING_EQUAL(pair.server.error.text,
            OPEN_CLIENT "a record was changed on its way, or is no record of it");
    CU_ASSERT_EQUAL(pair.server.alerts_out, 1);

    tls_move(&pair.server, &pair.client, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair.client), CMDI_SECURITY_FAILED);
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_REFUSED);
    CU_ASSERT_EQUAL(pair.client.alerts_in, 1);
    tls_pair_free(&pair);
}

static void test_plaintext_after_the_handshake_is_refused(void)
{
    static const char *const records[] = {
            "\x16\3\3\0\4\0\0\0\0", "\x14\3\3\0\1\1xxx", "\x15\3\3\0\2\2\x28xx"};
    static const size_t sizes[] = {9, 6, 7};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct tls_pair pair;
        connect_right(&pair);
        tls_feed(&pair.server, records[i], sizes[i]);
        CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_FAILED);
        tls_pair_free(&pair);
    }
}

/* ---- Work without end ------------------------------------------------------------------------ */

static void test_key_updates_are_answered_a_few_at_a_time(void)
{
    struct tls_pair pair;
    connect_right(&pair);
    for (unsigned i = 0; i < 40; i++) {
        CU_ASSERT_EQUAL(wolfSSL_update_keys(pair.client.session->object), WOLFSSL_SUCCESS);
    }
    CU_ASSERT_EQUAL(tls_seal(&pair.client, "data", 4), 0);
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_SPENT);
    CU_ASSERT_EQUAL(tls_open(&pair.server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair.server.got_size, 4);
    CU_ASSERT_EQUAL(pair.server.glitches, 40);
    tls_pair_free(&pair);
}

static void test_key_updates_without_end_are_refused(void)
{
    struct tls_pair pair;
    connect_right(&pair);
    for (unsigned i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(wolfSSL_update_keys(pair.client.session->object), WOLFSSL_SUCCESS);
    }
    tls_move(&pair.client, &pair.server, SIZE_MAX);
    enum cmdi_security_result result;
    unsigned calls = 0;
    while ((result = tls_open(&pair.server)) == CMDI_SECURITY_SPENT) {
        calls++;
    }
    CU_ASSERT_EQUAL(result, CMDI_SECURITY_FAILED);
    CU_ASSERT_TRUE(calls < 4);
    CU_ASSERT_STRING_EQUAL(
            pair.server.error.text, OPEN_CLIENT "too many TLS records that brought no data");
    tls_pair_free(&pair);
}

CU_TestInfo test_tls_hostile[] = {
        {"what is no TLS is refused before anything is made",
                test_what_is_no_tls_is_refused_before_anything_is_made},
        {"a client refuses a server in plaintext", test_a_client_refuses_a_server_in_plaintext},
        {"a client has to know whom it wants", test_a_client_has_to_know_whom_it_wants},
        {"a flaw anywhere of a client is found", test_a_flaw_anywhere_of_a_client_is_found},
        {"a flaw anywhere of a server is found", test_a_flaw_anywhere_of_a_server_is_found},
        {"a server wants a certificate in its hands",
                test_a_server_wants_a_certificate_in_its_hands},
        {"a client wants a certificate in its hands",
                test_a_client_wants_a_certificate_in_its_hands},
        {"a cipher that is none of ours ends it", test_a_cipher_that_is_none_of_ours_ends_it},
        {"a record too short for its tag is not shown to wolfSSL",
                test_a_record_too_short_for_its_tag_is_not_shown_to_wolfssl},
        {"records that do not belong there are refused",
                test_records_that_do_not_belong_there_are_refused},
        {"a changed record is refused and told", test_a_changed_record_is_refused_and_told},
        {"plaintext after the handshake is refused", test_plaintext_after_the_handshake_is_refused},
        {"key updates are answered a few at a time", test_key_updates_are_answered_a_few_at_a_time},
        {"key updates without end are refused", test_key_updates_without_end_are_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_hostile", test_tls_hostile)
