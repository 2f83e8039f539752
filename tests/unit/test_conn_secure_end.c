/* SPDX-License-Identifier: MIT */
/*
 * The end of a connection with a security layer. close_notify is the peer's end, whatever follows it
 * or does not; a FIN without it may be somebody else's. Whoever fails is told why by an alert, which
 * has to leave before the close, but holds nothing up. Each end is reported once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/masked.h"

static uint8_t frames[PEER_WIRE_MAX], wire[2 * PEER_WIRE_MAX];

static void expect_error(const struct peer *peer, int code, const char *text)
{
    CU_ASSERT_EQUAL(peer->conn.error_code, code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->conn.error_text);
    CU_ASSERT_PTR_NOT_NULL(strstr(peer->conn.error_text, text)); // Behind whom it is about.
}

/* --- The peer's end --------------------------------------------------------------------------- */

/* Behind it nothing counts: not what comes, not that no FIN comes. */
static void test_secure_close_notify_is_the_end_of_the_input(void)
{
    struct masked masked;
    for (int how = 0; how < 4; how++) {
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        size_t size = peer_mixed_frames(frames, 8);
        masked_feed_data(&masked, frames, size, 50);
        masked_feed(&masked, MASK_NOTIFY);
        if (how == 1) {
            masked_feed_data(&masked, frames, size, 50); // It is in the same breath.
        }
        if (how == 2) {
            peer_recv_done(peer, 0);
        }
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 8);
        CU_ASSERT_EQUAL(peer->eofs, how == 2);
        CU_ASSERT_TRUE(cmdi_conn_peer_has_ended(&peer->conn));
        CU_ASSERT_NOT_EQUAL(peer->conn.more->finished_at, 0);
        if (how == 3) {
            masked_feed_data(&masked, frames, size, 50); // It comes before the cancel.
            peer_advance(peer);
        }
        if (how != 2) {
            CU_ASSERT_EQUAL(peer->stops, 1);
            peer_recv_done(peer, how == 0 ? 0 : -ECANCELED);
            peer_advance(peer);
        }
        CU_ASSERT_EQUAL(peer->frames, 8);
        CU_ASSERT_EQUAL(peer->eofs, 1);
        CU_ASSERT_EQUAL(peer->conn.error_code, 0);
        CU_ASSERT_EQUAL(peer->tls_counters.tls_truncated, 0);
        CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
        CU_ASSERT_FALSE(peer->receiving);
        masked_free(&masked);
    }
}

static void test_secure_close_notify_inside_a_frame_is_an_error(void)
{
    struct masked masked;
    for (int fin = 0; fin <= 1; fin++) {
        masked_shaken(&masked, true);
        size_t size = (size_t)(peer_put_frame(frames, 1, 10) - frames);
        masked_feed_data(&masked, frames, size - 1, 50);
        masked_feed(&masked, MASK_NOTIFY);
        if (fin) {
            peer_recv_done(masked.peer, 0);
        }
        peer_advance(masked.peer);
        if (!fin) {
            peer_recv_done(masked.peer, -ECANCELED);
            peer_advance(masked.peer);
        }
        CU_ASSERT_EQUAL(masked.peer->eofs, 1);
        expect_error(masked.peer, CMDS_E_PROTO, "the peer closed the connection inside a frame");
        CU_ASSERT_EQUAL(masked.peer->counters.proto_errors, 1);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_truncated, 0);
        masked_free(&masked);
    }
}

static void test_secure_fin_without_close_notify_is_counted(void)
{
    struct masked masked;
    for (int what = 0; what < 3; what++) { // Behind a frame, inside a record, inside a frame.
        masked_shaken(&masked, true);
        size_t size = (size_t)(peer_put_frame(frames, 1, 10) - frames);
        size_t end = (size_t)(mask_wrap(&masked.end, wire, frames, size - (what == 2), 50) - wire);
        cmdi_conn_feed(&masked.peer->conn, wire, end - (what == 1));
        peer_recv_done(masked.peer, 0);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->frames, what == 0);
        CU_ASSERT_EQUAL(masked.peer->eofs, 1);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_truncated, 1);
        CU_ASSERT_EQUAL(masked.peer->counters.proto_errors, what == 2);
        expect_error(masked.peer, what == 2 ? CMDS_E_PROTO : CMDS_E_EOF,
                what == 2 ? "the peer closed the connection inside a frame"
                          : "the peer closed the connection without close_notify");
        masked_free(&masked);
    }
}

static void test_secure_close_notify_waits_behind_a_pause(void)
{
    struct masked masked;
    for (int behind = 0; behind <= 1; behind++) { // A frame of which nothing has run.
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        cmdi_conn_pause(&peer->conn);
        peer_advance(peer);
        if (behind) {
            masked_feed_data(&masked, frames, peer_mixed_frames(frames, 2), 1);
        }
        masked_feed(&masked, MASK_NOTIFY);
        peer_advance(peer);
        peer_recv_done(peer, -ECANCELED);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->eofs, 0);
        CU_ASSERT_EQUAL(cmdi_conn_peer_has_ended(&peer->conn), !behind);

        cmdi_conn_resume(&peer->conn);
        peer_advance(peer);
        if (peer->receiving) {
            peer_recv_done(peer, -ECANCELED);
            peer_advance(peer);
        }
        CU_ASSERT_EQUAL(peer->frames, behind ? 2 : 0);
        CU_ASSERT_EQUAL(peer->eofs, 1);
        CU_ASSERT_EQUAL(peer->conn.error_code, 0);
        masked_free(&masked);
    }
}

/* A paused one whose peer sends what is no record learns it at once, and survives it. */
static void test_secure_paused_one_may_fail(void)
{
    struct masked masked;
    for (int server = 0; server <= 1; server++) {
        masked_shaken(&masked, server);
        if (!server) {
            masked_feed_data(&masked, "\004calc", 5, 5);
            peer_advance(masked.peer);
        }
        masked.peer->conn.transport = &peer_watching_transport;
        cmdi_conn_pause(&masked.peer->conn);
        peer_advance(masked.peer);
        cmdi_conn_feed(&masked.peer->conn, "GET /", 5);
        peer_advance(masked.peer);
        peer_recv_done(masked.peer, -ECANCELED);
        peer_advance(masked.peer);
        expect_error(masked.peer, CMDS_E_TLS_RECORD, "mask: no record");
        CU_ASSERT_EQUAL(masked.peer->counters.proto_errors, 1);
        masked_free(&masked);
    }
}

static void test_secure_close_notify_before_the_server_info(void)
{
    struct masked masked;
    masked_shaken(&masked, false);
    masked_feed_data(&masked, "\004ca", 3, 5);
    masked_feed(&masked, MASK_NOTIFY);
    peer_advance(masked.peer);
    peer_recv_done(masked.peer, -ECANCELED);
    peer_advance(masked.peer);
    expect_error(masked.peer, CMDS_E_EOF,
            "the peer closed the connection before its ServerInfo was whole");
    CU_ASSERT_EQUAL(masked.peer->eofs, 0);
    masked_free(&masked);
}

static void test_secure_fin_in_the_handshake(void)
{
    struct masked masked;
    for (int size = 0; size <= 13; size += 13) {
        mask_init(&masked.mask, true);
        masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
        (void)mask_put_hello(wire, 1, 11);
        cmdi_conn_feed(&masked.peer->conn, wire, (size_t)size); // A byte is missing.
        peer_recv_done(masked.peer, 0);
        peer_advance(masked.peer);
        expect_error(
                masked.peer, CMDS_E_EOF, "the peer closed the connection in the TLS handshake");
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 1);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_truncated, 0);
        masked_free(&masked);
    }
}

/* One that came together with bytes is in no event any more: a receive armed anew finds it. */
static void test_secure_reset_in_the_handshake_is_looked_for(void)
{
    struct masked masked;
    for (int is_server = 0; is_server <= 1; is_server++) {
        mask_init(&masked.mask, is_server != 0);
        masked_open(&masked, is_server ? &peer_secured_server_ops : &peer_client_ops, CMDS_NEVER);
        struct peer *peer = masked.peer;
        uint32_t recvs = peer->recvs;
        peer_pass_ms(peer, CMDI_SECURE_SILENT_MS - 1);
        CU_ASSERT_EQUAL(peer->stops, 0);
        peer_pass_ms(peer, 2);
        CU_ASSERT_EQUAL(peer->stops, (uint32_t)is_server); // A client has sent something.
        if (is_server) {
            peer_recv_done(peer, -ECANCELED);
            peer_advance(peer);
            CU_ASSERT_EQUAL(peer->recvs, recvs + 1);
            peer_recv_done(peer, -ECONNRESET);
            peer_advance(peer);
            expect_error(peer, CMDS_E_EOF, "reset");
        }
        masked_free(&masked);
    }
}

/* What it sent before its end is read: an alert says why it went, and commands still run. */
static void test_secure_fin_stands_behind_what_came(void)
{
    struct masked masked;
    mask_init(&masked.mask, false);
    masked_open(&masked, &peer_client_ops, CMDS_NEVER);
    (void)peer_send_all(masked.peer);
    masked_feed(&masked, MASK_ALERT);
    peer_recv_done(masked.peer, 0);
    peer_advance(masked.peer);
    expect_error(masked.peer, CMDS_E_TLS_REFUSED, "mask: an alert of the peer");
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_alerts_in, 1);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_alerts_out, 0);
    masked_free(&masked);

    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    masked_feed_hello(&masked, 1);
    masked_feed_hello(&masked, 3);
    masked_feed_data(&masked, frames, peer_mixed_frames(frames, 300), 40);
    masked_feed(&masked, MASK_NOTIFY);
    peer_recv_done(masked.peer, 0);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->frames, 300);
    CU_ASSERT_EQUAL(masked.peer->eofs, 1);
    masked_free(&masked);
}

/* --- Our end in order ------------------------------------------------------------------------- */

static void test_secure_finish_drains_notifies_shuts_and_lingers(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    struct peer *peer = masked.peer;
    peer_append(peer, "one", 3);
    peer_advance(peer);
    peer_append(peer, "two", 3);
    cmdi_conn_finish(&peer->conn);
    peer_advance(peer);
    CU_ASSERT_EQUAL(masked.mask.notifies, 0);
    CU_ASSERT_EQUAL(peer_send_all(peer), 3);

    CU_ASSERT_EQUAL(peer->shuts, 1);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    struct mask_found found = masked_look(&masked);
    CU_ASSERT_EQUAL(found.notifies, 1);
    CU_ASSERT_EQUAL(found.last, MASK_NOTIFY);
    CU_ASSERT_EQUAL(found.size, 6);
    CU_ASSERT_EQUAL(memcmp(masked.data, "onetwo", 6), 0);
    peer_pass_ms(peer, 900); // Up to linger_timeout_ms.
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
    masked_feed(&masked, MASK_NOTIFY); // It is thrown away with all else.
    peer_recv_done(peer, 0);
    peer_advance(peer);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(masked.mask.notifies, 1);
    masked_free(&masked);
}

static void test_secure_finish_of_an_idle_one_and_after_its_peer(void)
{
    struct masked masked;
    for (int how = 0; how < 3; how++) { // Idle, after close_notify alone, with a FIN.
        masked_shaken(&masked, how == 0);
        struct peer *peer = masked.peer;
        if (how > 0) {
            masked_feed_data(&masked, "\004calc", 5, 5);
            masked_feed(&masked, MASK_NOTIFY);
            peer_advance(peer);
            peer_recv_done(peer, how == 2 ? 0 : -ECANCELED);
            peer_advance(peer);
            CU_ASSERT_EQUAL(peer->eofs, 1);
        }
        cmdi_conn_finish(&peer->conn);
        (void)peer_send_all(peer);
        CU_ASSERT_EQUAL(masked_look(&masked).notifies, 1);
        CU_ASSERT_EQUAL(peer->shuts, 1);
        CU_ASSERT_EQUAL(peer->conn.state, how == 2 ? CMDI_CONN_CLOSED : CMDI_CONN_LINGERING);
        CU_ASSERT_EQUAL(peer->receiving, how != 2);
        masked_free(&masked);
    }
}

static void test_secure_finish_before_it_is_open(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    masked_feed_hello(&masked, 1);
    (void)peer_send_all(masked.peer);
    cmdi_conn_finish(&masked.peer->conn);
    peer_advance(masked.peer);
    expect_error(masked.peer, CMDS_E_CLOSED, "closed before it was open");
    CU_ASSERT_EQUAL(masked.mask.notifies, 0);
    CU_ASSERT_EQUAL(masked.peer->opens, 0);
    masked_free(&masked);
}

/* --- Alerts ----------------------------------------------------------------------------------- */

/* In a step and in a record; what was to be sent does not follow the alert. */
static void test_secure_server_says_why_it_refuses(void)
{
    struct masked masked;
    for (uint32_t step = 0; step <= 2; step++) {
        mask_init(&masked.mask, true);
        masked.mask.fails_in_step = step;
        masked.mask.fails_in_open = 1;
        masked.mask.is_light_at_last = true;
        masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
        struct peer *peer = masked.peer;
        masked_feed_hello(&masked, 1);
        (void)peer_send_all(peer);
        masked_feed_hello(&masked, 3);
        if (step == 0) {
            (void)peer_send_all(peer);
            masked_feed_data(&masked, "x", 1, 1);
        }
        int code = 0;
        uint8_t *out = cmdi_conn_reserve(&peer->conn, 3, &code);
        if (step != 1) {
            CU_ASSERT_PTR_NOT_NULL_FATAL(out);
            memcpy(out, "was", 3);
            peer->conn.fill.end += 3; // It is to be sent, and was not sealed.
        }
        (void)peer_send_all(peer);

        struct mask_found found = masked_look(&masked);
        CU_ASSERT_EQUAL(found.alerts, 1);
        CU_ASSERT_EQUAL(found.last, MASK_ALERT);
        CU_ASSERT_EQUAL(found.size, 0);
        CU_ASSERT_EQUAL(found.notifies, 0);
        CU_ASSERT_EQUAL(peer->shuts, 1);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_LINGERING);
        CU_ASSERT_EQUAL(
                peer->conn.error_code, step == 0 ? CMDS_E_TLS_RECORD : CMDS_E_TLS_CERTIFICATE);
        CU_ASSERT_EQUAL(peer->tls_counters.tls_failed, step != 0);
        CU_ASSERT_EQUAL(peer->tls_counters.tls_handshakes, step == 0);
        CU_ASSERT_EQUAL(peer->tls_counters.tls_alerts_out, 1);
        CU_ASSERT_EQUAL(peer->shard->seat_count, 0);
        CU_ASSERT_EQUAL(peer->closings, 0);
        peer_recv_done(peer, 0);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSED);
        masked_free(&masked);
    }
}

/* linger_timeout_ms may be long: a peer that does not close has a second to read it. */
static void test_secure_alert_lingers_for_a_second(void)
{
    struct masked masked;
    for (uint32_t linger_ms = 200; linger_ms <= 60000; linger_ms += 59800) {
        mask_init(&masked.mask, true);
        masked.mask.fails_in_step = 1;
        masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
        masked.peer->limits.linger_timeout_ms = linger_ms;
        masked_feed_hello(&masked, 1);
        (void)peer_send_all(masked.peer);
        peer_pass_ms(masked.peer, linger_ms == 200 ? 199 : 999);
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_LINGERING);
        peer_pass_ms(masked.peer, 2);
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
        masked_free(&masked);
    }
}

/* Nothing tells when the peer reads, so an alert it never takes has its time like all output. */
static void test_secure_alert_that_nobody_takes(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked.mask.fails_in_step = 1;
    masked_open(&masked, &peer_secured_server_ops, 5000);
    masked_feed_hello(&masked, 1);
    peer_advance(masked.peer);
    CU_ASSERT_PTR_NOT_NULL(masked.peer->sending);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_FINISHING);
    peer_pass_ms(masked.peer, 10200);
    CU_ASSERT(masked.peer->conn.state >= CMDI_CONN_CLOSING);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_TLS_CERTIFICATE);
    masked_free(&masked);
}

static void test_secure_server_without_an_alert_closes_at_once(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    cmdi_conn_feed(&masked.peer->conn, "GET / HTTP/1.0\r\n", 16);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
    expect_error(masked.peer, CMDS_E_TLS_RECORD, "mask: no record");
    CU_ASSERT_EQUAL(masked.peer->sent_size, 0);
    masked_free(&masked);

    mask_init(&masked.mask, true);
    masked.mask.cannot_begin = true;
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    masked_feed_hello(&masked, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
    expect_error(masked.peer, -ENOMEM, "mask: no memory for a session with client");
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 1);
    masked_free(&masked);
}

static void test_secure_client_says_why_and_closes_at_once(void)
{
    struct masked masked;
    for (uint32_t step = 1; step <= 3; step++) {
        mask_init(&masked.mask, false);
        masked.mask.fails_in_step = step;
        masked.mask.fails_in_open = 1;
        masked_open(&masked, &peer_client_ops, CMDS_NEVER);
        (void)peer_send_all(masked.peer);
        if (step > 1) {
            masked_feed_hello(&masked, 2);
            (void)peer_send_all(masked.peer);
        }
        if (step > 2) {
            masked_feed_data(&masked, "\004calc", 5, 5);
            peer_advance(masked.peer);
        }
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
        CU_ASSERT_EQUAL(masked_look(&masked).alerts, 1);
        CU_ASSERT_PTR_NULL(masked.peer->sending);
        CU_ASSERT_EQUAL(masked.peer->shuts, 0);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code,
                step == 3 ? CMDS_E_TLS_RECORD : CMDS_E_TLS_CERTIFICATE);
        CU_ASSERT_EQUAL(masked.peer->opens, step == 3);
        masked_free(&masked);
    }
}

/* Bytes of a send in flight may not be torn apart by an alert. */
static void test_secure_client_in_the_middle_of_a_send(void)
{
    struct masked masked;
    masked_shaken(&masked, false);
    masked.mask.fails_in_open = 2;
    masked_feed_data(&masked, "\004calc", 5, 5);
    peer_append(masked.peer, "hello", 5);
    peer_advance(masked.peer);
    CU_ASSERT_PTR_NOT_NULL(masked.peer->sending);
    masked_feed_data(&masked, "x", 1, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
    CU_ASSERT_EQUAL(masked_look(&masked).alerts, 0);
    masked_free(&masked);
}

static void test_secure_alert_of_the_peer(void)
{
    struct masked masked;
    for (int server = 0; server <= 1; server++) {
        masked_shaken(&masked, server);
        masked_feed(&masked, MASK_ALERT);
        (void)peer_send_all(masked.peer);
        expect_error(masked.peer, CMDS_E_TLS_REFUSED, "mask: an alert of the peer");
        CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_CLOSING);
        CU_ASSERT_EQUAL(masked_look(&masked).alerts, 0);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_alerts_in, 1);
        CU_ASSERT_EQUAL(masked.peer->counters.proto_errors, 0);
        masked_free(&masked);
    }
}

static CU_TestInfo tests[] = {
        {"close notify is the end of the input", test_secure_close_notify_is_the_end_of_the_input},
        {"close notify inside a frame is an error",
                test_secure_close_notify_inside_a_frame_is_an_error},
        {"fin without close notify is counted", test_secure_fin_without_close_notify_is_counted},
        {"close notify waits behind a pause", test_secure_close_notify_waits_behind_a_pause},
        {"paused one may fail", test_secure_paused_one_may_fail},
        {"close notify before the ServerInfo", test_secure_close_notify_before_the_server_info},
        {"fin in the handshake", test_secure_fin_in_the_handshake},
        {"reset in the handshake is looked for", test_secure_reset_in_the_handshake_is_looked_for},
        {"fin stands behind what came", test_secure_fin_stands_behind_what_came},
        {"finish drains notifies shuts and lingers",
                test_secure_finish_drains_notifies_shuts_and_lingers},
        {"finish of an idle one and after its peer",
                test_secure_finish_of_an_idle_one_and_after_its_peer},
        {"finish before it is open", test_secure_finish_before_it_is_open},
        {"server says why it refuses", test_secure_server_says_why_it_refuses},
        {"alert lingers for a second", test_secure_alert_lingers_for_a_second},
        {"alert that nobody takes", test_secure_alert_that_nobody_takes},
        {"server without an alert closes at once",
                test_secure_server_without_an_alert_closes_at_once},
        {"client says why and closes at once", test_secure_client_says_why_and_closes_at_once},
        {"client in the middle of a send", test_secure_client_in_the_middle_of_a_send},
        {"alert of the peer", test_secure_alert_of_the_peer},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure_end", tests)
