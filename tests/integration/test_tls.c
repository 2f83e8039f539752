/* SPDX-License-Identifier: MIT */
/*
 * Servers, groups and senders over TLS, with the certificates of scripts/make-certs.sh. What has to
 * work over any layer works over this one; beside it what only certificates can do wrong.
 */
#include <errno.h>

#include "support/secured.h"
#include "support/tls_pair.h"

enum {
    RELOADS = 50,
};

/* --- Two sides -------------------------------------------------------------------------------- */

struct sides {
    struct cmds_tls_server_options server_options;
    struct cmds_tls_client_options client_options;
    struct cmds_tls *server, *client;
};

/* Mutual: the server is "s1" for 127.0.0.1 and a.example, the client is "client". */
static void sides_init(struct sides *sides)
{
    *sides = (struct sides){CMDS_TLS_SERVER_OPTIONS_INIT, CMDS_TLS_CLIENT_OPTIONS_INIT, NULL, NULL};
    sides->server_options.certificate_file = tls_file("server.pem");
    sides->server_options.key_file = tls_file("server.key");
    sides->server_options.clients = CMDS_TLS_CLIENTS_REQUIRED;
    sides->server_options.client_ca_file = tls_file("ca.pem");
    sides->client_options.ca_file = tls_file("ca.pem");
    sides->client_options.certificate_file = tls_file("client.pem");
    sides->client_options.key_file = tls_file("client.key");
}

/* A client is nobody. */
static void sides_init_one(struct sides *sides)
{
    sides_init(sides);
    sides->server_options.clients = CMDS_TLS_CLIENTS_NONE;
    sides->server_options.client_ca_file = NULL;
    sides->client_options.certificate_file = sides->client_options.key_file = NULL;
}

static void sides_make(struct sides *sides)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_tls_server_new(&sides->server, &sides->server_options, &error) < 0 ||
            cmds_tls_client_new(&sides->client, &sides->client_options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    CU_ASSERT_EQUAL_FATAL(error.code, 0);
}

static void sides_free(struct sides *sides)
{
    cmds_tls_free(sides->server);
    cmds_tls_free(sides->client);
}

static void sides_check(void (*check)(struct cmds_tls *server, struct cmds_tls *client))
{
    struct sides sides;
    sides_init(&sides);
    sides_make(&sides);
    check(sides.server, sides.client);
    sides_free(&sides);
}

/* --- What works over any layer ---------------------------------------------------------------- */

static void test_tls_identity_is_seen_wherever_it_is_asked_for(void)
{
    struct sides sides;
    sides_init(&sides);
    sides_make(&sides);
    secured_check_identity(sides.server, sides.client, "client");
    sides_free(&sides);
    sides_init_one(&sides);
    sides_make(&sides);
    secured_check_identity(sides.server, sides.client, "");
    sides_free(&sides);
}

static void test_tls_frames_of_all_sizes(void)
{
    struct sides sides;
    sides_init(&sides);
    sides_make(&sides);
    secured_check_sizes(sides.server, sides.client, "127.0.0.1:0");
    secured_check_sizes(sides.server, sides.client, "[::1]:0");
    sides_free(&sides);
    sides.client_options.server_name = "a.example"; // Such an address names no host.
    sides_make(&sides);
    secured_check_sizes(sides.server, sides.client, raw_unix_address("tls"));
    sides_free(&sides);
}

static void test_tls_streams_and_windows(void)
{
    sides_check(secured_check_bounds);
}

static void test_tls_keepalive(void)
{
    sides_check(secured_check_keepalive);
}

static void test_tls_senders(void)
{
    sides_check(secured_check_senders);
}

static void test_tls_forwarding(void)
{
    sides_check(secured_check_forward);
}

static void test_tls_drain(void)
{
    sides_check(secured_check_drain);
}

/* --- Refused ---------------------------------------------------------------------------------- */

/* The guest does not come up; the words are in its error, and in the server's log. */
static void sides_refuse(struct sides *sides, int code, const char *words, const char *logged)
{
    struct secured secured;
    sides_make(sides);
    secured_init(&secured, sides->server, sides->client);
    CU_ASSERT_EQUAL(secured_refused(&secured, words), code);
    WORLD_UNTIL(&secured.world, world_logged(&secured.world, logged) > 0);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.connected), 0);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_failed, 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_handshakes, 0);
    secured_stop(&secured);
    sides_free(sides);
}

static void test_tls_server_of_another_name_is_refused(void)
{
    struct sides sides;
    sides_init(&sides);
    sides.server_options.certificate_file = tls_file("wildcard.pem");
    sides.server_options.key_file = tls_file("wildcard.key");
    sides_refuse(&sides, CMDS_E_TLS_CERTIFICATE,
            "client 0: TLS handshake with 127.0.0.1:", "the peer refused: alert 42");
}

static void test_tls_server_of_another_ca_is_refused(void)
{
    struct sides sides;
    sides_init(&sides);
    sides.client_options.ca_file = tls_file("ca_other.pem");
    sides_refuse(
            &sides, CMDS_E_TLS_CERTIFICATE, "its certificate (CN=s1", "the peer refused: alert");
}

static void test_tls_client_of_another_ca_is_refused(void)
{
    struct sides sides;
    sides_init(&sides);
    sides.server_options.client_ca_file = tls_file("ca_other.pem");
    sides_refuse(&sides, CMDS_E_TLS_REFUSED, "after the handshake: the peer refused: alert",
            "its certificate (CN=client");
}

static void test_tls_client_without_a_certificate_is_refused(void)
{
    struct sides sides;
    sides_init(&sides);
    sides.client_options.certificate_file = sides.client_options.key_file = NULL;
    sides_refuse(&sides, CMDS_E_TLS_REFUSED, "after the handshake: the peer refused: alert",
            "TLS handshake with 127.0.0.1:");
}

static void test_tls_client_that_on_connect_refuses(void)
{
    struct sides sides;
    struct secured secured;
    sides_init(&sides);
    sides_make(&sides);
    secured_init(&secured, sides.server, sides.client);
    secured.refused = "client";
    CU_ASSERT_EQUAL(secured_refused(&secured, "ServerInfo of 127.0.0.1:"), CMDS_E_EOF);
    CU_ASSERT_EQUAL(secured_counters(&secured).connections_refused, 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.disconnected), 0);
    secured_stop(&secured);
    sides_free(&sides);
}

/* --- One side only ---------------------------------------------------------------------------- */

static void test_tls_client_at_a_plain_server(void)
{
    struct sides sides;
    struct secured secured;
    sides_init(&sides);
    sides_make(&sides);
    secured_init(&secured, NULL, sides.client);
    secured.world.options.on_connect = NULL; // They would miss the peer's name.
    secured.world.options.on_disconnect = NULL;
    CU_ASSERT_EQUAL(secured_refused(&secured, "TLS handshake with 127.0.0.1:"), CMDS_E_TLS_RECORD);
    secured_stop(&secured);
    sides_free(&sides);
}

static void test_plain_client_at_a_tls_server(void)
{
    struct sides sides;
    struct secured secured;
    struct raw raw;
    sides_init(&sides);
    sides_make(&sides);
    secured_init(&secured, sides.server, NULL);
    secured.guest.options.connect_timeout_ms = 300;
    CU_ASSERT_EQUAL(secured_refused(&secured, "or does it want TLS?"), CMDS_E_TIMEOUT);
    CU_ASSERT_FATAL(raw_open(&raw, secured.world.address, 0, NULL) == 0);
    CU_ASSERT_TRUE(raw_write_hex(&raw, WORLD_ECHO_HEX)); // It does not wait for the ServerInfo.
    WORLD_UNTIL(&secured.world, world_logged(&secured.world, "TLS handshake with 127.0.0.1:") > 0);
    CU_ASSERT_EQUAL(raw_drain(&raw) != RAW_HANG, true);
    raw_close(&raw);
    secured_stop(&secured);
    sides_free(&sides);
}

/* --- Many ------------------------------------------------------------------------------------- */

static void test_tls_storm_is_served_few_at_a_time(void)
{
    struct sides sides;
    sides_init(&sides);
    sides.server_options.handshakes_max = 2;
    sides_make(&sides);
    secured_check_storm(sides.server, sides.client);
    sides_free(&sides);
}

static void test_tls_client_comes_again_with_what_it_kept(void)
{
    struct sides sides;
    struct secured secured;
    struct guest again;
    sides_init_one(&sides);
    sides_make(&sides);
    secured_init(&secured, sides.server, sides.client);
    secured.expected = "";
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));
    CU_ASSERT_EQUAL(guest_echo(&secured.guest, 1, NULL), 0); // The ticket comes before the answer.
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 1);
    guest_close(&secured.guest, &secured.world);

    guest_init(&again);
    again.options.tls = sides.client;
    CU_ASSERT_FATAL(guest_open(&again, secured.world.runtime, secured.world.address) == 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(again.group, RAW_GUARD_MS, &again.error), 0);

    CU_ASSERT_EQUAL(secured_counters(&secured).tls_resumed, 1);
    CU_ASSERT_EQUAL(guest_counters(&again).tls_resumed, 1);
    CU_ASSERT(secured_counters(&secured).tls_handshake_us > 0);
    CU_ASSERT(guest_counters(&again).tls_handshake_us > 0);
    CU_ASSERT_EQUAL(guest_echo(&again, 2, NULL), 0);
    WORLD_UNTIL(&secured.world, guest_last(&again) == 1);
    secured.guest = again;
    secured_stop(&secured);
    sides_free(&sides);
}

static void test_tls_reload_beside_traffic(void)
{
    struct sides sides;
    struct secured secured;
    sides_init(&sides);
    sides_make(&sides);
    secured_init(&secured, sides.server, sides.client);
    secured.expected = "client";
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));

    for (int i = 0; i < RELOADS; i++) {
        struct guest guest;
        guest_init(&guest);
        guest.options.tls = sides.client;
        CU_ASSERT_FATAL(guest_open(&guest, secured.world.runtime, secured.world.address) == 0);
        CU_ASSERT_EQUAL(cmds_tls_reload(sides.server, NULL), 0);
        CU_ASSERT_EQUAL(cmds_tls_reload(sides.client, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
        CU_ASSERT_EQUAL(guest_echo(&secured.guest, i, NULL), 0);
        WORLD_UNTIL(&secured.world, guest_last(&guest) == 1);
        guest_close(&guest, &secured.world);
    }

    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == RELOADS);
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), RELOADS);
    secured_stop(&secured);
    sides_free(&sides);
}

CU_TestInfo test_tls[] = {
        {"identity is seen wherever it is asked for",
                test_tls_identity_is_seen_wherever_it_is_asked_for},
        {"frames of all sizes", test_tls_frames_of_all_sizes},
        {"streams and windows", test_tls_streams_and_windows},
        {"keepalive", test_tls_keepalive},
        {"senders", test_tls_senders},
        {"forwarding", test_tls_forwarding},
        {"drain", test_tls_drain},
        {"server of another name is refused", test_tls_server_of_another_name_is_refused},
        {"server of another ca is refused", test_tls_server_of_another_ca_is_refused},
        {"client of another ca is refused", test_tls_client_of_another_ca_is_refused},
        {"client without a certificate is refused",
                test_tls_client_without_a_certificate_is_refused},
        {"client that on connect refuses", test_tls_client_that_on_connect_refuses},
        {"client at a plain server", test_tls_client_at_a_plain_server},
        {"plain client at a tls server", test_plain_client_at_a_tls_server},
        {"storm is served few at a time", test_tls_storm_is_served_few_at_a_time},
        {"client comes again with what it kept", test_tls_client_comes_again_with_what_it_kept},
        {"reload beside traffic", test_tls_reload_beside_traffic},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls", test_tls)
