/* SPDX-License-Identifier: MIT */
/*
 * What happens when a shard's memory is short: who waits, and who pays.
 *
 * A connection that is refused waits. If its own output is under way, that will free memory; it
 * tries again when it has left. If not, it stands in shard->lacking, and at the end of each turn the
 * shard looks: whoever fits now goes on, first come first served; else the connection that holds
 * most is closed, one at a time, and its memory is waited for. So those who hold little are never
 * closed for those who hold much. The reserve of the account keeps small leases going meanwhile.
 */
#include <errno.h>

#include "conn/conn.h"
#include "conn/input.h"

enum {
    // Looking for memory that nobody uses costs a walk over what is free, and looking for somebody
    // who holds much one over the connections: not sooner again when there was none.
    RELIEVE_AGAIN_MS = 100,
    // What calls of a closed connection keep comes back when a worker or a thread lets go of them.
    RELIEVE_KEPT_MS = 250,
};

size_t cmdi_conn_held(const struct cmdi_conn *conn)
{
    size_t buffers = conn->fill.capacity + conn->flight.capacity + conn->stash.capacity;
    return buffers + (conn->ops->held != NULL ? conn->ops->held(conn) : 0);
}

int cmdi_conn_lack(struct cmdi_conn *conn, size_t size, bool input)
{
    struct cmdi_account *account = &conn->shard->buffers.account;
    size_t room = cmdi_buffers_room(size);
    // Of what stands before it in the output it may be rid; of the frame that it receives not.
    size_t least = input ? room : cmdi_buffers_room(size - conn->fill.end);
    if (conn->state >= CMDI_CONN_CLOSING || cmdi_account_allows(account, room) ||
            least > cmdi_account_mark(account)) {
        return -ENOMEM; // Malloc has none, or no end of others would make enough room.
    }
    room = room > cmdi_account_mark(account) ? least : room;
    account->refused = false; // It waits.
    conn->above_low = conn->above_low || !input;
    conn->lacks = conn->lacks > room ? conn->lacks : room;
    conn->lacks_input = conn->lacks_input || input;
    bool frees_itself = cmdi_conn_output_size(conn) > 0 && !conn->lacks_input;
    if (!frees_itself && cmdi_list_empty(&conn->lacking)) {
        cmdi_list_push(&conn->shard->lacking, &conn->lacking);
    }
    return -ENOBUFS;
}

void cmdi_conn_lack_over(struct cmdi_conn *conn)
{
    conn->lacks = 0;
    conn->lacks_input = false;
    cmdi_list_remove(&conn->lacking);
}

void cmdi_conn_evicted_closed(struct cmdi_conn *conn)
{
    struct cmdi_shard *shard = conn->shard;
    shard->evictions--;
    if (conn->ops->held != NULL && conn->ops->held(conn) > CMDI_ACCOUNT_SMALL) {
        shard->relieve_after_ms = shard->now_ms + RELIEVE_KEPT_MS;
    }
}

/* Those for whom there is room go on, in their order. */
static void relieve_waiting(struct cmdi_shard *shard)
{
    struct cmdi_account *account = &shard->buffers.account;
    uint64_t used = cmdi_account_used(account);
    while (!cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *conn = CMDI_CONTAINER(shard->lacking.next, struct cmdi_conn, lacking);
        uint64_t max =
                conn->lacks <= CMDI_ACCOUNT_SMALL ? account->size_max : cmdi_account_mark(account);
        if (used + conn->lacks > max) {
            return;
        }
        used += conn->lacks;
        cmdi_conn_lack_over(conn);
        cmdi_shard_flush(shard, &conn->flush); // Tells its owner that output is taken again.
        cmdi_conn_ready(conn);
    }
}

static struct cmdi_conn *relieve_find(struct cmdi_shard *shard, size_t *most)
{
    struct cmdi_conn *victim = NULL;
    for (struct cmdi_list *node = shard->conns.next; node != &shard->conns; node = node->next) {
        struct cmdi_conn *conn = CMDI_CONTAINER(node, struct cmdi_conn, on_shard);
        size_t held = conn->state < CMDI_CONN_CLOSING ? cmdi_conn_held(conn) : 0;
        if (held > *most) {
            *most = held;
            victim = conn;
        }
    }
    return victim;
}

static void relieve_evict(struct cmdi_shard *shard)
{
    size_t held = CMDI_ACCOUNT_SMALL; // Whoever holds less is not the cause.
    struct cmdi_conn *victim = relieve_find(shard, &held);
    if (victim != NULL) {
        victim->evicted = true;
        shard->evictions++;
        CMDI_COUNT(shard, memory_evictions, 1);
        CMDI_COUNT(shard, out_of_memory, 1);
        cmdi_conn_fail(victim, CMDS_E_MEMORY_LIMIT,
                "the shard's memory is short, and of all connections this one held most: %zu bytes",
                held);
    } else if (!cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *first = CMDI_CONTAINER(shard->lacking.next, struct cmdi_conn, lacking);
        CMDI_COUNT(shard, out_of_memory, 1);
        cmdi_conn_fail(first, CMDS_E_MEMORY_LIMIT,
                "no memory for %zu bytes, and no connection holds much of it", first->lacks);
        shard->relieve_after_ms =
                shard->now_ms + RELIEVE_AGAIN_MS; // One of them may have sufficed.
    } else {
        shard->relieve_none_ms = shard->now_ms;
    }
}

/* Is what the last one held still on its way back? Whoever waits for memory sees to a next look. */
static bool relieve_is_patient(struct cmdi_shard *shard)
{
    bool patient = shard->now_ms < shard->relieve_after_ms;
    if (patient && !cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *first = CMDI_CONTAINER(shard->lacking.next, struct cmdi_conn, lacking);
        cmdi_conn_watch(first, shard->relieve_after_ms);
    }
    return patient || shard->evictions > 0;
}

void cmdi_conn_relieve(struct cmdi_shard *shard)
{
    struct cmdi_account *account = &shard->buffers.account;
    bool refused = atomic_exchange_explicit(&account->shared_refused, false, memory_order_relaxed);
    refused = refused || account->refused;
    account->refused = false;
    if (shard->now_ms - shard->relieve_trim_ms >= RELIEVE_AGAIN_MS) {
        shard->relieve_trim_ms = shard->now_ms;
        cmdi_account_trim(account);
    }
    relieve_waiting(shard);
    bool rests = shard->now_ms - shard->relieve_none_ms < RELIEVE_AGAIN_MS;
    bool nearly_full = cmdi_account_used(account) > account->size_max - account->size_max / 16;
    bool waited_for = !cmdi_list_empty(&shard->lacking);
    if (!relieve_is_patient(shard) && (waited_for || ((refused || nearly_full) && !rests))) {
        relieve_evict(shard);
    }
}
