/* SPDX-License-Identifier: MIT */
/* The client that the unit tests play with: see rig.h. */
#include "support/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring/socket.h"

static const struct cmds_type *const results[] = {&done_type, &part_type};

static struct rig *rig_of_conn(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct rig, client.conn);
}

static struct rig *rig_of(struct cmdi_client_shard *client_shard)
{
    return CMDI_CONTAINER(client_shard, struct rig, client_shard);
}

/* --- A transport ------------------------------------------------------------------------------ */

static int fake_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    (void)address;
    cmdi_fd_close(fd);
    rig_of_conn(conn)->opening = true;
    return 0;
}

static void fake_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)mode;
    rig_of_conn(conn)->receiving = true;
}

static void fake_stop_recv(struct cmdi_conn *conn)
{
    (void)conn;
}

static void fake_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)data;
    rig_of_conn(conn)->sending = true;
    rig_of_conn(conn)->sent_size += size;
}

static int64_t fake_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)data;
    rig_of_conn(conn)->sent_size += size;
    return (int64_t)size;
}

static void fake_abort(struct cmdi_conn *conn)
{
    rig_of_conn(conn)->aborted = true;
}

static const struct cmdi_transport fake_transport = {
        .open = fake_open,
        .recv = fake_recv,
        .stop_recv = fake_stop_recv,
        .send = fake_send,
        .send_now = fake_send_now,
        .shut_write = fake_stop_recv,
        .abort = fake_abort,
};

/* --- A group ---------------------------------------------------------------------------------- */

static void rig_on_state(struct cmdi_client *client)
{
    struct rig *rig = rig_of(client->client_shard);
    bool connected = cmdi_client_is_up(client);
    rig->ups += connected;
    rig->downs += !connected;
}

static struct cmdi_endpoint *rig_on_stranger(struct cmdi_client *client)
{
    struct rig *rig = rig_of(client->client_shard);
    struct cmdi_endpoint *other = rig->other;
    rig->other = NULL;
    return other;
}

static void rig_on_unexpected(struct cmdi_client *client, const struct cmds_result *result)
{
    (void)result;
    rig_of(client->client_shard)->unexpected++;
}

static void rig_on_room(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->rooms++;
}

static void rig_on_idle(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->idles++;
}

static void rig_on_closed(struct cmdi_client *client)
{
    rig_of(client->client_shard)->closeds++;
}

static void rig_hold(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->holds++;
}

static void rig_release(struct cmdi_client_shard *client_shard)
{
    rig_of(client_shard)->holds--;
}

static void rig_on_timeout(struct cmdi_client *client, uint32_t took_ms)
{
    (void)client;
    (void)took_ms;
}

static void rig_on_answer(struct cmdi_client *client)
{
    (void)client;
}

static const struct cmdi_client_ops rig_ops = {
        .on_state = rig_on_state,
        .on_stranger = rig_on_stranger,
        .on_timeout = rig_on_timeout,
        .on_answer = rig_on_answer,
        .on_unexpected = rig_on_unexpected,
        .on_room = rig_on_room,
        .on_backlog = rig_on_room,
        .on_idle = rig_on_idle,
        .on_closed = rig_on_closed,
        .hold = rig_hold,
        .release = rig_release,
};

/* --- Driving ---------------------------------------------------------------------------------- */

void rig_advance_ms(struct rig *rig, uint64_t ms)
{
    cmdi_shard_step(rig->shard, rig->shard->now_ns + ms * 1000000);
    while (rig->sending && !rig->aborted) {
        rig->sending = false;
        cmdi_conn_on_send(&rig->client.conn, (int32_t)rig->client.conn.more->send_size);
        cmdi_shard_step(rig->shard, rig->shard->now_ns);
    }
}

void rig_feed(struct rig *rig, const void *data, size_t size)
{
    cmdi_conn_feed(&rig->client.conn, data, size);
    rig_advance_ms(rig, 0);
}

void rig_answer(struct rig *rig, uint8_t sequence, const struct cmds_type *type)
{
    const uint8_t frame[] = {sequence, (uint8_t)type->number, 0};
    rig_feed(rig, frame, sizeof(frame));
}

void rig_end_operations(struct rig *rig)
{
    struct cmdi_conn *conn = &rig->client.conn;
    rig_advance_ms(rig, 0);
    if (!rig->client.conn_live) {
        return;
    }
    CU_ASSERT_TRUE_FATAL(rig->aborted);
    if (rig->sending) {
        cmdi_conn_on_send(conn, -ECANCELED);
    }
    if (rig->receiving) {
        cmdi_conn_on_recv_end(conn, -ECANCELED);
    }
    if (rig->opening) {
        cmdi_conn_on_open(conn, -ECANCELED);
    }
    rig->sending = rig->receiving = rig->opening = rig->aborted = false;
    cmdi_conn_on_closed(conn);
    rig_advance_ms(rig, 0);
}

struct rig *rig_open(void)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct rig *rig = calloc(1, sizeof(*rig));
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig);
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&rig->shard, &options, NULL), 0);
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(rig->shard));
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&rig->results, results, 2), 0);
    cmdi_tickets_init(&rig->tickets);
    cmdi_list_init(&rig->forgotten);
    cmdi_endpoint_store_init(&rig->endpoints);
    rig->config = (struct cmdi_client_config){
            .ops = &rig_ops,
            .codec = &cmds_codec_raw,
            .results = &rig->results,
            .tickets = &rig->tickets,
            .transport = &fake_transport,
            .connect = "nowhere",
            .protocol = "rig",
            .server_info = {"info", 4},
            .limits = {.frame_size_max = 1 << 20,
                    .output_size_max = 1 << 20,
                    .server_info_timeout_ms = CMDS_NEVER,
                    .frame_timeout_ms = CMDS_NEVER,
                    .write_timeout_ms = CMDS_NEVER,
                    .idle_timeout_ms = CMDS_NEVER,
                    .linger_timeout_ms = CMDS_NEVER},
            .decode_size_max = 1 << 20,
            .in_flight_max = RIG_WINDOW,
            .connect_timeout_ms = CMDS_NEVER,
            .backoff = {.delay_ms = CMDS_NEVER},
            .keepalive_ms = RIG_IDLE_MS,
            .keepalive_interval_ms = RIG_INTERVAL_MS,
    };
    cmdi_client_shard_init(&rig->client_shard, rig->shard, &rig->config);
    cmdi_client_init(&rig->client, &rig->client_shard, 0);
    rig_advance_ms(rig, 1000000);
    return rig;
}

struct cmdi_endpoint *rig_endpoint(struct rig *rig, const char *text)
{
    struct cmdi_address address;
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(text, &address, 1, NULL), 1);
    struct cmdi_targets *targets = cmdi_targets_create("nowhere", &address, 1, NULL);
    struct cmdi_endpoint *endpoint = cmdi_endpoint_create(&rig->endpoints, text, NULL, targets);
    CU_ASSERT_PTR_NOT_NULL_FATAL(endpoint);
    return endpoint;
}

void rig_greet(struct rig *rig)
{
    struct cmdi_endpoint *endpoint = rig_endpoint(rig, "127.0.0.1:1");
    cmdi_client_assign(&rig->client, endpoint, NULL);
    cmdi_endpoint_unref(endpoint);
    CU_ASSERT_TRUE_FATAL(rig->opening);
    rig->opening = false;
    cmdi_conn_on_open(&rig->client.conn, 0);
    rig_feed(rig, "\004info", 5);
}

void rig_connect(struct rig *rig)
{
    rig_greet(rig);
    CU_ASSERT_EQUAL_FATAL(cmdi_client_state(&rig->client), CMDI_CLIENT_UP);
    CU_ASSERT_EQUAL(rig->ups, 1);
}

struct rig *rig_connected(void)
{
    struct rig *rig = rig_open();
    rig_connect(rig);
    return rig;
}

uint64_t rig_pending(struct rig *rig)
{
    return atomic_load(&rig->client_shard.pending) + atomic_load(&rig->client.queued);
}

void rig_free(struct rig *rig)
{
    cmdi_client_close(&rig->client, 0);
    rig_end_operations(rig);
    CU_ASSERT_EQUAL(rig->closeds, 1);
    CU_ASSERT_EQUAL(rig->downs, 1);
    CU_ASSERT_EQUAL(rig_pending(rig), 0);
    CU_ASSERT_EQUAL(rig->client.table.count, 0);
    CU_ASSERT_EQUAL(rig->client_shard.pool.live, 0);
    CU_ASSERT_EQUAL(rig->tickets.count, 0);
    CU_ASSERT_EQUAL(rig->holds, 0);
    CU_ASSERT_EQUAL(rig->client_shard.counters.conn.connections, 0);
    cmdi_client_fini(&rig->client);
    cmdi_endpoint_store_fini(&rig->endpoints);
    cmdi_client_shard_fini(&rig->client_shard);
    cmdi_tickets_fini(&rig->tickets);
    cmdi_type_table_fini(&rig->results);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(rig->shard);
    free(rig);
}

static void outcome_take(void *context, const struct cmds_result *result);

struct cmdi_command outcome_command(struct outcome *outcome, int deadline_ms)
{
    static const struct ask ask = {{"question", 8}};
    return (struct cmdi_command){
            .type = &ask_type,
            .value = &ask,
            .body_size = 8,
            .on_result = outcome_take,
            .context = outcome,
            .deadline_ms = deadline_ms == RIG_NEVER
                                   ? UINT64_MAX
                                   : outcome->rig->shard->now_ms + (uint64_t)deadline_ms,
    };
}

int outcome_ask(struct outcome *outcome, int deadline_ms)
{
    struct cmdi_command command = outcome_command(outcome, deadline_ms);
    return cmdi_client_send(&outcome->rig->client, &command);
}

int outcome_ask_elsewhere(struct outcome *outcome)
{
    struct cmdi_command command = outcome_command(outcome, RIG_NEVER);
    return cmdi_client_inbox_send(&outcome->rig->client, &command);
}

static void outcome_take(void *context, const struct cmds_result *result)
{
    struct outcome *outcome = context;
    outcome->results++;
    outcome->lasts += result->last;
    outcome->rig->ends += result->last;
    outcome->place = result->last ? outcome->rig->ends : outcome->place;
    outcome->code = result->error;
    (void)snprintf(outcome->text, sizeof(outcome->text), "%s", result->text);
    if (result->last && outcome->sends_again) {
        outcome->sends_again = false;
        outcome->again_code = outcome_ask(outcome, RIG_NEVER);
    }
}
