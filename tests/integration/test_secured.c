/* SPDX-License-Identifier: MIT */
/*
 * Servers, groups and senders whose connections are secured, by a layer that only pretends. What may go
 * wrong: somebody is let in before it is known who it is; a handshake that never ends holds up a
 * shutdown or a seat; an error does not say which phase failed; a call asks for a peer that is gone.
 */
#include <errno.h>

#include "support/mask.h"
#include "support/secured.h"

/* The first bytes of a client that speaks TLS: record, version, size; ClientHello, size, version. */
#define CLIENT_HELLO "16 03 01 00 f1 01 00 00 ed 03 03 5a 11 c0 de"

static void test_secured_client_at_a_plain_server_is_recognised(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options.linger_timeout_ms = 50;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw));

    CU_ASSERT_TRUE(raw_write_hex(&raw, CLIENT_HELLO));

    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(world_logged(&world, "looks like TLS, and this end is plain"), 1);
    raw_close(&raw);

    CU_ASSERT_FATAL(world_connect(&world, &raw)); // The same bytes later are a mistake like others.
    CU_ASSERT_TRUE(world_echoes(&raw, 1));
    CU_ASSERT_TRUE(raw_write_hex(&raw, CLIENT_HELLO));
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 2);
    CU_ASSERT_EQUAL(world_logged(&world, "looks like TLS"), 1);
    raw_close(&raw);
    world_stop(&world);
}

enum {
    SOON_MS = 50,
    SILENT = 6, // Connections.
};

/* A pair that fits: the host in `connect` is the server's name. */
struct masks {
    struct mask server, client;
};

static void masks_init(struct masks *masks)
{
    mask_init(&masks->server, true);
    mask_init(&masks->client, false);
    masks->server.name = "127.0.0.1";
    masks->client.name = "client-1";
    masks->client.checks_host = true;
}

/* All sessions are gone. */
static void masks_fini(const struct masks *masks)
{
    CU_ASSERT_EQUAL(atomic_load(&masks->server.sessions), 0);
    CU_ASSERT_EQUAL(atomic_load(&masks->client.sessions), 0);
}

static void masks_check(void (*check)(struct cmds_tls *server, struct cmds_tls *client))
{
    struct masks masks;
    masks_init(&masks);
    check(&masks.server.tls, &masks.client.tls);
    masks_fini(&masks);
}

/* --- What works over any layer ---------------------------------------------------------------- */

static void test_secured_identity_is_seen_wherever_it_is_asked_for(void)
{
    struct masks masks;
    masks_init(&masks);
    secured_check_identity(&masks.server.tls, &masks.client.tls, "client-1");
    masks_fini(&masks);
}

static void test_secured_frames_of_all_sizes(void)
{
    struct masks masks;
    masks_init(&masks);
    secured_check_sizes(&masks.server.tls, &masks.client.tls, "127.0.0.1:0");
    masks.server.name = masks.client.tls.server_name = "said"; // Such an address names no host.
    secured_check_sizes(&masks.server.tls, &masks.client.tls, raw_unix_address("secured"));
    masks_fini(&masks);
}

static void test_secured_streams_and_windows(void)
{
    masks_check(secured_check_bounds);
}

static void test_secured_keepalive(void)
{
    masks_check(secured_check_keepalive);
}

static void test_secured_senders(void)
{
    masks_check(secured_check_senders);
}

static void test_secured_forwarding(void)
{
    masks_check(secured_check_forward);
}

static void test_secured_drain(void)
{
    masks_check(secured_check_drain);
}

static void test_secured_storm(void)
{
    struct masks masks;
    masks_init(&masks);
    masks.server.tls.handshakes_max = 1;
    secured_check_storm(&masks.server.tls, &masks.client.tls);
    masks_fini(&masks);
}

static void test_secured_listener_on_each_shard(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.options.reuse_port = true;
    secured.guest.options.client_count = 16;
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));

    for (int64_t i = 0; i < 64; i++) {
        CU_ASSERT_EQUAL(guest_echo(&secured.guest, i, NULL), 0);
    }

    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 64);
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), 64);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_handshakes, 16);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* --- Refused ---------------------------------------------------------------------------------- */

static void test_secured_server_of_another_name_is_refused(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    masks.server.name = "somebody";
    secured_init(&secured, &masks.server.tls, &masks.client.tls);

    int code = secured_refused(&secured, "client 0: TLS handshake with 127.0.0.1:");

    CU_ASSERT_EQUAL(code, CMDS_E_TLS_CERTIFICATE);
    WORLD_UNTIL(&secured.world, world_logged(&secured.world, "an alert of the peer") == 1);
    struct cmds_group_counters client = guest_counters(&secured.guest);
    struct cmds_server_counters server = secured_counters(&secured);
    CU_ASSERT_EQUAL(client.tls_failed, 1);
    CU_ASSERT_EQUAL(client.tls_alerts_out, 1);
    CU_ASSERT_EQUAL(server.tls_failed, 1);
    CU_ASSERT_EQUAL(server.tls_alerts_in, 1);
    CU_ASSERT_EQUAL(client.tls_handshakes + server.tls_handshakes, 0);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.connected), 0);
    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_secured_client_of_another_name_is_refused(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    masks.server.wants = "client-2";
    secured_init(&secured, &masks.server.tls, &masks.client.tls);

    int code = secured_refused(&secured, "after the handshake: mask: an alert of the peer");

    CU_ASSERT_EQUAL(code, CMDS_E_TLS_REFUSED);
    WORLD_UNTIL(&secured.world, world_logged(&secured.world, "TLS handshake with 127.0.0.1:") == 1);
    CU_ASSERT_EQUAL(world_logged(&secured.world, ": closed: "), 0); // The peer is named once.
    CU_ASSERT_EQUAL(guest_counters(&secured.guest).tls_alerts_in, 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_alerts_out, 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_failed, 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.connected), 0);
    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_secured_client_that_on_connect_refuses(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.expected = secured.refused = "client-1";

    CU_ASSERT_EQUAL(secured_refused(&secured, "ServerInfo of 127.0.0.1:"), CMDS_E_EOF);

    CU_ASSERT_EQUAL(secured_counters(&secured).connections_refused, 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_handshakes, 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.connected), 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.disconnected), 0);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* --- One side only ---------------------------------------------------------------------------- */

static void test_secured_client_at_a_plain_server(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    secured_init(&secured, NULL, &masks.client.tls);
    secured.world.options.on_connect = NULL; // They would miss the peer's name.
    secured.world.options.on_disconnect = NULL;

    CU_ASSERT_EQUAL(secured_refused(&secured, "TLS handshake with 127.0.0.1:"), CMDS_E_TLS_RECORD);

    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_plain_client_at_a_secured_server(void)
{
    struct masks masks;
    struct secured secured;
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, NULL);
    secured.guest.options.connect_timeout_ms = SOON_MS;

    CU_ASSERT_EQUAL(secured_refused(&secured, "or does it want TLS?"), CMDS_E_TIMEOUT);

    secured_stop(&secured);
    masks_fini(&masks);
}

static void silent_serve(struct raw_server *server, struct raw *peer, void *context)
{
    (void)context;
    (void)peer;
    while (!atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
}

static void test_secured_client_at_a_server_that_says_nothing(void)
{
    struct masks masks;
    struct guest guest;
    struct world world;
    struct raw_server server;
    masks_init(&masks);
    world_init(&world);
    guest_init(&guest);
    guest.options.tls = &masks.client.tls;
    guest.options.connect_timeout_ms = SOON_MS;
    CU_ASSERT_FATAL(world_start(&world) == 0 && raw_server_start(&server, silent_serve, NULL) == 0);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, server.address), 0);

    CU_ASSERT_EQUAL(cmds_group_wait(guest.group, RAW_GUARD_MS, &guest.error), CMDS_E_TIMEOUT);

    CU_ASSERT_PTR_NOT_NULL(strstr(guest.error.text, ": TLS handshake with 127.0.0.1:"));
    CU_ASSERT_PTR_NOT_NULL(strstr(guest.error.text, "; is it a TLS server?"));
    CU_ASSERT_EQUAL(guest_counters(&guest).tls_failed, 1);
    guest_close(&guest, &world);
    raw_server_stop(&server);
    world_stop(&world);
    masks_fini(&masks);
}

static void test_secured_client_that_closes_in_the_handshake(void)
{
    struct masks masks;
    struct guest guest;
    struct world world;
    struct raw_server server;
    masks_init(&masks);
    world_init(&world);
    guest_init(&guest);
    guest.options.tls = &masks.client.tls;
    guest.options.client_count = SILENT;
    CU_ASSERT_FATAL(world_start(&world) == 0 && raw_server_start(&server, silent_serve, NULL) == 0);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, server.address), 0);
    for (int64_t i = 0; i < SILENT; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&masks.client.begins) == SILENT);

    cmds_group_close(guest.group, guest_on_closed, &guest);

    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_CLOSED), SILENT);
    answers_free(guest.answers);
    answers_free(guest.unexpected);
    raw_server_stop(&server);
    world_stop(&world);
    masks_fini(&masks);
}

/* --- A server and peers that stop in the middle ----------------------------------------------- */

/* So many connect; some say nothing, some a part of the first flight, some all of it. */
static void silent_open(struct raw *raws, const struct world *world)
{
    uint8_t hello[MASK_HEADER_SIZE + 16];
    size_t size = (size_t)(mask_put_hello(hello, 1, 16) - hello);
    for (uint32_t i = 0; i < SILENT; i++) {
        CU_ASSERT_FATAL(raw_open(&raws[i], world->address, 0, NULL) == 0);
        CU_ASSERT_TRUE(i % 3 == 0 || raw_write(&raws[i], hello, i % 3 == 1 ? size / 2 : size));
    }
}

static void silent_close(struct raw *raws)
{
    for (uint32_t i = 0; i < SILENT; i++) {
        (void)raw_drain(&raws[i]);
        CU_ASSERT_TRUE(raws[i].eof || raws[i].reset);
        raw_close(&raws[i]);
    }
}

static void test_secured_shutdown_waits_for_no_handshake(void)
{
    struct masks masks;
    struct secured secured;
    struct raw raws[SILENT];
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.options.server_info_timeout_ms = CMDS_NEVER;
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));
    silent_open(raws, &secured.world);
    WORLD_UNTIL(&secured.world, atomic_load(&masks.server.begins) == 1 + SILENT / 3);
    WORLD_UNTIL(&secured.world, cmds_server_connection_count(secured.world.server) == 1 + SILENT);

    CU_ASSERT_EQUAL(cmds_server_shutdown(secured.world.server, RAW_GUARD_MS), 0);

    silent_close(raws);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.connected), 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.disconnected), 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_waiting, 0);
    CU_ASSERT_EQUAL(world_logged(&secured.world, ": closed: "), 0); // An end like others.
    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_secured_close_waits_for_no_handshake(void)
{
    struct masks masks;
    struct secured secured;
    struct raw raws[SILENT];
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.options.server_info_timeout_ms = CMDS_NEVER;
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));
    silent_open(raws, &secured.world);
    WORLD_UNTIL(&secured.world, atomic_load(&masks.server.begins) == 1 + SILENT / 3);

    cmds_server_close(secured.world.server);

    secured.world.server = NULL;
    silent_close(raws);
    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_secured_handshake_has_its_time(void)
{
    struct masks masks;
    struct secured secured;
    struct raw raws[SILENT];
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.options.server_info_timeout_ms = SOON_MS;
    CU_ASSERT_TRUE_FATAL(secured_start(&secured));

    silent_open(raws, &secured.world);

    WORLD_UNTIL(&secured.world, secured_counters(&secured).tls_failed == SILENT);
    silent_close(raws);
    CU_ASSERT_TRUE(
            world_logged(&secured.world, "the TLS handshake was not over within 50 ms") >= 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).slow_consumers, 0);
    WORLD_UNTIL(&secured.world, cmds_server_connection_count(secured.world.server) == 1);
    CU_ASSERT_EQUAL(guest_echo(&secured.guest, 7, NULL), 0); // Ours stays.
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), 1);
    secured_stop(&secured);
    masks_fini(&masks);
}

static void test_secured_handshake_has_a_seat(void)
{
    struct masks masks;
    struct secured secured;
    struct raw raw;
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.options.connection_count_max = 1;
    CU_ASSERT_FATAL(world_start(&secured.world) == 0);
    CU_ASSERT_FATAL(raw_open(&raw, secured.world.address, 0, NULL) == 0);
    WORLD_UNTIL(&secured.world, cmds_server_connection_count(secured.world.server) == 1);

    CU_ASSERT_EQUAL_FATAL(
            guest_open(&secured.guest, secured.world.runtime, secured.world.address), 0);
    CU_ASSERT_EQUAL(
            cmds_group_wait(secured.guest.group, RAW_GUARD_MS, &secured.guest.error), CMDS_E_EOF);

    CU_ASSERT_EQUAL(secured_counters(&secured).connections_refused, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(secured.guest.error.text, "TLS handshake with 127.0.0.1:"));
    raw_close(&raw);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* They have the only seats, and say nothing more. */
static void test_secured_silent_peers_make_room(void)
{
    struct masks masks;
    struct secured secured;
    struct raw raws[SILENT];
    masks_init(&masks);
    masks.server.tls.handshakes_max = 1;
    secured_init(&secured, &masks.server.tls, &masks.client.tls);
    secured.world.runtime_options.shard_count = 1;
    secured.world.options.server_info_timeout_ms = CMDS_NEVER;
    secured.guest.options.connect_timeout_ms = RAW_GUARD_MS;
    CU_ASSERT_FATAL(world_start(&secured.world) == 0);
    silent_open(raws, &secured.world);
    WORLD_UNTIL(&secured.world, atomic_load(&masks.server.begins) == 1);

    CU_ASSERT_FATAL(guest_open(&secured.guest, secured.world.runtime, secured.world.address) == 0);
    CU_ASSERT_EQUAL(cmds_group_wait(secured.guest.group, RAW_GUARD_MS, NULL), 0);

    CU_ASSERT_TRUE(world_logged(&secured.world, "and others wait for the seat") >= 1);
    CU_ASSERT_TRUE(secured_counters(&secured).tls_failed >= 2);
    cmds_server_close(secured.world.server);
    secured.world.server = NULL;
    silent_close(raws);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* So many handshakes at a time leave memory about, which a quiet shard gives back. */
static void test_secured_many_handshakes_leave_nothing_about(void)
{
    enum {
        MANY = 20,
    };
    struct masks masks;
    struct secured secured;
    struct raw raws[MANY];
    uint8_t hello[64];
    size_t size = (size_t)(mask_put_hello(hello, 1, 10) - hello);
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, NULL);
    secured.world.runtime_options.shard_count = 1;
    CU_ASSERT_FATAL(world_start(&secured.world) == 0);
    for (int i = 0; i < MANY; i++) {
        CU_ASSERT_FATAL(raw_open(&raws[i], secured.world.address, 0, NULL) == 0);
        CU_ASSERT_TRUE(raw_write(&raws[i], hello, size));
    }
    WORLD_UNTIL(&secured.world, atomic_load(&masks.server.begins) == MANY);
    uint32_t before = atomic_load(&mask_trims);
    for (int i = 0; i < MANY; i++) {
        raw_close(&raws[i]);
    }
    WORLD_UNTIL(&secured.world, atomic_load(&mask_trims) > before);
    CU_ASSERT_EQUAL(atomic_load(&masks.server.sessions), 0);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* A peer that has shaken hands sends a command, and ends without saying so. */
static void test_secured_end_without_a_word_is_counted(void)
{
    struct masks masks;
    struct secured secured;
    struct mask_end end = {0};
    struct raw raw;
    uint8_t command[64], bytes[256];
    uint8_t *at = bytes;
    masks_init(&masks);
    secured_init(&secured, &masks.server.tls, NULL);
    secured.expected = "raw";
    CU_ASSERT_FATAL(world_start(&secured.world) == 0);
    CU_ASSERT_FATAL(raw_open(&raw, secured.world.address, 0, NULL) == 0);
    at = mask_put_hello(at, 1, 10);
    at = mask_put(at, MASK_HELLO, "\x03:raw", 6);
    at = mask_put(at, MASK_GLITCH, NULL, 0);
    at = mask_put_data(&end, at, command, raw_hex(WORLD_ECHO_HEX, command, sizeof(command)));
    CU_ASSERT_TRUE(raw_write(&raw, bytes, (size_t)(at - bytes)));

    raw_finish(&raw);

    WORLD_UNTIL(&secured.world, secured_counters(&secured).tls_truncated == 1);
    WORLD_UNTIL(&secured.world, atomic_load(&secured.world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.executed), 1); // It was whole.
    CU_ASSERT_EQUAL(atomic_load(&secured.seen[SECURED_INVOKER]), 1);
    CU_ASSERT_EQUAL(secured_counters(&secured).tls_glitches, 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.world.cause), CMDS_E_EOF);
    raw_close(&raw);
    secured_stop(&secured);
    masks_fini(&masks);
}

/* --- Options ---------------------------------------------------------------------------------- */

static void test_secured_options_are_refused_by_name(void)
{
    struct masks masks;
    struct secured secured;
    struct cmds_group *group = NULL;
    masks_init(&masks);
    secured_init(&secured, &masks.client.tls, &masks.client.tls);
    CU_ASSERT_EQUAL(world_start(&secured.world), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(secured.world.error.text, "tls: "));

    secured.guest.options.connect = "unix:@nobody";
    CU_ASSERT_EQUAL(cmds_group_open(&group, secured.world.runtime, &secured.guest.options,
                            &secured.guest.error),
            -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(secured.guest.error.text, "server_name: "));

    secured.guest.options.connect = "127.0.0.1:1";
    secured.guest.options.tls = &masks.server.tls;
    secured.guest.error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_group_open(&group, secured.world.runtime, &secured.guest.options,
                            &secured.guest.error),
            -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(secured.guest.error.text, "tls: "));
    CU_ASSERT_PTR_NULL(group);
    secured_stop(&secured);
}

CU_TestInfo test_secured[] = {
        {"client at a plain server is recognised",
                test_secured_client_at_a_plain_server_is_recognised},
        {"identity is seen wherever it is asked for",
                test_secured_identity_is_seen_wherever_it_is_asked_for},
        {"frames of all sizes", test_secured_frames_of_all_sizes},
        {"streams and windows", test_secured_streams_and_windows},
        {"keepalive", test_secured_keepalive},
        {"senders", test_secured_senders},
        {"forwarding", test_secured_forwarding},
        {"drain", test_secured_drain},
        {"storm", test_secured_storm},
        {"listener on each shard", test_secured_listener_on_each_shard},
        {"server of another name is refused", test_secured_server_of_another_name_is_refused},
        {"client of another name is refused", test_secured_client_of_another_name_is_refused},
        {"client that on connect refuses", test_secured_client_that_on_connect_refuses},
        {"client at a plain server", test_secured_client_at_a_plain_server},
        {"plain client at a secured server", test_plain_client_at_a_secured_server},
        {"client at a server that says nothing", test_secured_client_at_a_server_that_says_nothing},
        {"client that closes in the handshake", test_secured_client_that_closes_in_the_handshake},
        {"shutdown waits for no handshake", test_secured_shutdown_waits_for_no_handshake},
        {"close waits for no handshake", test_secured_close_waits_for_no_handshake},
        {"handshake has its time", test_secured_handshake_has_its_time},
        {"handshake has a seat", test_secured_handshake_has_a_seat},
        {"silent peers make room", test_secured_silent_peers_make_room},
        {"many handshakes leave nothing about", test_secured_many_handshakes_leave_nothing_about},
        {"end without a word is counted", test_secured_end_without_a_word_is_counted},
        {"options are refused by name", test_secured_options_are_refused_by_name},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("secured", test_secured)
