/* SPDX-License-Identifier: MIT */
/*
 * The connections of a runtime, for somebody who lists them: facts as the shard has them, copied by it
 * into the program's array.
 */
#include <string.h>

#include <cmdstream/inspect.h>
#include <cmdstream/tls.h>

#include "conn/conn.h"
#include "shard/walk.h"

struct conn_list {
    struct cmdi_walk walk;
    struct cmdi_rows rows;
    size_t count;
};

// By enum cmdi_conn_state. One that is CLOSED is in no list.
static const uint8_t conn_stages[] = {
        [CMDI_CONN_CONNECTING] = CMDS_STAGE_CONNECTING,
        [CMDI_CONN_SECURING] = CMDS_STAGE_TLS,
        [CMDI_CONN_SERVER_INFO] = CMDS_STAGE_SERVER_INFO,
        [CMDI_CONN_OPEN] = CMDS_STAGE_OPEN,
        [CMDI_CONN_FINISHING] = CMDS_STAGE_FINISHING,
        [CMDI_CONN_LINGERING] = CMDS_STAGE_LINGERING,
        [CMDI_CONN_CLOSING] = CMDS_STAGE_CLOSING,
};

/* But for the reasons of its owner. */
static uint32_t conn_pauses(const struct cmdi_conn *conn)
{
    bool is_ended = conn->input == CMDI_INPUT_STOPPING || conn->input == CMDI_INPUT_STOPPED ||
                    conn->input == CMDI_INPUT_ENDED;
    return (conn->lacks > 0 ? CMDS_PAUSE_MEMORY : 0u) |
           (conn->input == CMDI_INPUT_STARVED ? CMDS_PAUSE_BUFFERS : 0u) |
           (is_ended ? CMDS_PAUSE_END : 0u);
}

static void conn_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    struct conn_list *list = CMDI_CONTAINER(walk, struct conn_list, walk);
    const struct cmdi_conn *conn = CMDI_CONTAINER(node, struct cmdi_conn, on_shard);
    CMDI_ASSERT(conn->state < CMDI_CONN_CLOSED);
    if (conn->ops->describe == NULL || list->count++ >= list->rows.max) {
        return;
    }
    const struct cmds_tls_peer *tls_peer = cmdi_conn_tls_peer(conn);
    uint64_t now_ms = cmdi_shard_clock_ms(shard);
    uint64_t moved_at = conn->received_at > conn->sent_at ? conn->received_at : conn->sent_at;
    struct cmds_listed_connection row = {
            .shard = shard->index,
            .stage = conn_stages[conn->state],
            .tls_version = tls_peer != NULL ? tls_peer->version : 0,
            .pauses = conn_pauses(conn),
            .age_ms = now_ms - conn->begun_at,
            .idle_ms = now_ms - moved_at,
            .recv_bytes = conn->received_size,
            .send_bytes = conn->sent_size,
            .queued_bytes = cmdi_conn_output_size(conn),
    };
    conn->ops->describe(conn, &row);
    cmdi_rows_put(&list->rows, list->count - 1, &row, sizeof(row));
}

int cmds_runtime_connections(struct cmds_runtime *runtime, struct cmds_listed_connection *list,
        size_t count_max, size_t *count)
{
    struct conn_list mine = {.walk = {.kind = CMDI_WALK_CONNS, .visit = conn_visit}};
    int code = cmdi_rows_take(&mine.rows, list, count_max, count);
    code = code < 0 ? code : cmdi_runtime_walk(runtime, &mine.walk);
    if (code == 0 || code == CMDS_E_TIMEOUT) {
        *count = mine.count;
    }
    return code;
}
