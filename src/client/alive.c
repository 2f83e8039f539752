/* SPDX-License-Identifier: MIT */
/* What keepalive.h decides of is read off a connection here, and done. */
#include "client/alive.h"

#include "client/memory.h"
#include "client/state.h"

/*
 * A pong. For the keepalive it is as good as anything received; a server that does not read for a
 * while sends some unasked, of which the first may be taken for an answer.
 */
int cmdi_client_on_ping(struct cmdi_conn *conn)
{
    struct cmdi_client *client = CMDI_CONTAINER(conn, struct cmdi_client, conn);
    if (client->pinged_ns != 0) {
        uint64_t rtt_us = (conn->shard->now_ns - client->pinged_ns) / 1000;
        atomic_store_explicit(&client->rtt_us,
                rtt_us == 0           ? 1
                : rtt_us < UINT32_MAX ? (uint32_t)rtt_us
                                      : UINT32_MAX,
                memory_order_relaxed);
        client->pinged_ns = 0;
    }
    return 0;
}

/* Without room there is none: the next look is after an interval all the same. */
static void client_ping(struct cmdi_client *client, const struct cmdi_keepalive_look *look)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&client->conn, CMDI_KEEPALIVE_PING_SIZE, &code);
    if (out != NULL) {
        *out = 0;
        cmdi_conn_commit(&client->conn, CMDI_KEEPALIVE_PING_SIZE);
        CMDI_COUNT(&client->client_shard->counters, pings_sent, 1);
        if (client->pinged_ns == 0 && look->output_size == 0) {
            client->pinged_ns = client->conn.shard->now_ns;
        }
    }
    cmdi_keepalive_pinged(&client->keepalive, look, out != NULL);
}

void cmdi_client_on_keepalive(struct cmdi_client *client, uint64_t now_ms)
{
    struct cmdi_conn *conn = &client->conn;
    size_t output_size = cmdi_conn_output_size(conn);
    uint64_t taken_size = 0;
    bool asks = cmdi_keepalive_asks_delivered(&client->keepalive, conn->received_size, output_size);
    uint64_t delivered_size = asks ? cmdi_conn_delivered_size(conn, &taken_size) : conn->sent_size;
    struct cmdi_keepalive_look look = {
            .now_ms = now_ms,
            .awake_ms = cmdi_shard_awake_ms(conn->shard),
            .sent_ms = conn->sent_at,
            .received_ms = conn->received_at,
            .sent_size = conn->sent_size,
            .delivered_size = delivered_size,
            .taken_size = taken_size,
            .received_size = conn->received_size,
            .sequence_sent = client->sequence_sent,
            .output_size = output_size,
            .is_behind = cmdi_conn_is_behind(conn),
    };
    uint64_t next_ms = 0;
    enum cmdi_keepalive_verdict verdict = cmdi_keepalive_check(&client->keepalive, &look, &next_ms);
    if (verdict == CMDI_KEEPALIVE_LOST) {
        cmdi_conn_fail(&client->conn, CMDS_E_LOST, "no pong for %u ms",
                (unsigned)client->keepalive.patience_ms);
        return;
    }
    if (verdict == CMDI_KEEPALIVE_PING) {
        client_ping(client, &look);
    }
    if (verdict != CMDI_KEEPALIVE_WAIT) {
        cmdi_client_trim(client);
    }
    client->look_at_ms = next_ms;
    cmdi_client_arm(client, next_ms);
}

/* With a ping before anything else: a server that will not read for a while knows of pings then. */
void cmdi_client_begin_keepalive(struct cmdi_client *client, uint64_t now_ms)
{
    const struct cmdi_client_config *config = client->client_shard->config;
    cmdi_client_disarm(client);
    client->look_at_ms = UINT64_MAX;
    client->pinged_ns = 0;
    if (config->keepalive_ms != CMDS_NEVER) {
        cmdi_keepalive_begin(
                &client->keepalive, config->keepalive_ms, config->keepalive_interval_ms, now_ms);
        cmdi_client_on_keepalive(client, now_ms);
    }
}
