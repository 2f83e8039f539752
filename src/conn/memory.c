/* SPDX-License-Identifier: MIT */
/* The memory that a connection holds, and that it waits for: see relieve.c. */
#include <errno.h>

#include "conn/parts.h"
#include "conn/secure.h"

enum {
    // What calls of a closed connection keep comes back when a worker or a thread lets go of them.
    RELIEVE_KEPT_MS = 250,
};

size_t cmdi_conn_held(const struct cmdi_conn *conn)
{
    const struct cmdi_conn_more *more = conn->more;
    size_t buffers = conn->fill.capacity + more->flight.capacity + more->stash.capacity;
    buffers +=
            conn->secured != NULL ? conn->secured->raw.capacity + conn->secured->wire.capacity : 0;
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
    if (!frees_itself && cmdi_list_empty(&conn->more->lacking)) {
        cmdi_list_push(&conn->shard->lacking, &conn->more->lacking);
    }
    return -ENOBUFS;
}

void cmdi_conn_lack_over(struct cmdi_conn *conn)
{
    conn->lacks = 0;
    conn->lacks_input = false;
    if (!cmdi_conn_is_resting(conn)) {
        cmdi_list_remove(&conn->more->lacking);
    }
}

void cmdi_conn_evicted_closed(struct cmdi_conn *conn)
{
    struct cmdi_shard *shard = conn->shard;
    shard->evictions--;
    if (conn->ops->held != NULL && conn->ops->held(conn) > CMDI_ACCOUNT_SMALL) {
        shard->relieve_after_ms = shard->now_ms + RELIEVE_KEPT_MS;
    }
}
