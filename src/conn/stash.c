/* SPDX-License-Identifier: MIT */
/*
 * What a connection has received and not run:
 *
 *     stash: [ begin ... end )   then the slices, oldest first      = its bytes in their order
 *
 * Slices are the shard's buffers, which all its connections share. What cannot be run in place goes
 * to the stash, which is leased memory. With a security layer the stash has what was opened; what
 * cannot stay in slices goes to conn->secured->raw.
 */
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"

void cmdi_conn_drop_stash(struct cmdi_conn *conn)
{
    cmdi_buffers_return(&conn->shard->buffers, conn->more->stash.data, conn->more->stash.capacity);
    conn->more->stash = (struct cmdi_conn_buffer){0};
}

void cmdi_conn_drop_raw(struct cmdi_conn *conn)
{
    if (conn->secured != NULL) {
        cmdi_conn_return(conn, &conn->secured->raw);
    }
}

void cmdi_conn_drop_slices(struct cmdi_conn *conn)
{
    if (conn->running) {
        return; // A callback may be reading them; the run comes back here.
    }
    cmdi_receive_drop(&conn->shard->receive, &conn->slices);
    cmdi_conn_drop_raw(conn);
    if (!cmdi_conn_is_resting(conn)) {
        cmdi_conn_drop_stash(conn);
        cmdi_conn_drop_place(conn);
    }
}

bool cmdi_conn_stash_room(struct cmdi_conn *conn, struct cmdi_conn_buffer *stash, size_t size)
{
    size_t used = stash->end - stash->begin;
    if (stash->end + size <= stash->capacity) {
        return true;
    }
    if (used + size <= stash->capacity && stash->begin >= used) {
        memcpy(stash->data, stash->data + stash->begin, used); // They do not overlap.
    } else {
        struct cmdi_conn_buffer grown = {0};
        grown.data = cmdi_buffers_lease(&conn->shard->buffers, used + size, &grown.capacity);
        if (grown.data == NULL) {
            return false;
        }
        if (used > 0) {
            memcpy(grown.data, stash->data + stash->begin, used);
        }
        cmdi_conn_return(conn, stash);
        *stash = grown;
    }
    stash->begin = 0;
    stash->end = used;
    return true;
}

/* Where bytes go as they were received. */
static struct cmdi_conn_buffer *stash_of_received(struct cmdi_conn *conn)
{
    return conn->secured == NULL ? &conn->more->stash : &conn->secured->raw;
}

bool cmdi_conn_stash_append(struct cmdi_conn *conn, const void *data, size_t size)
{
    struct cmdi_conn_buffer *stash = stash_of_received(conn);
    if (!cmdi_conn_stash_room(conn, stash, size)) {
        return false;
    }
    memcpy(stash->data + stash->end, data, size);
    stash->end += size;
    return true;
}

int cmdi_conn_stash_slice(struct cmdi_conn *conn, size_t size)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    struct cmds_bytes slice = cmdi_receive_oldest(receive, &conn->slices);
    size_t take = size < slice.size ? size : slice.size;
    if (!cmdi_conn_stash_append(conn, slice.data, take)) {
        const struct cmdi_conn_buffer *stash = stash_of_received(conn);
        return cmdi_conn_lack(conn, stash->end - stash->begin + take, true);
    }
    conn->more->stash_ns = cmdi_receive_arrived_ns(receive, &conn->slices);
    (void)cmdi_receive_use(receive, &conn->slices, take);
    return 0;
}

int cmdi_conn_stash_all(struct cmdi_conn *conn)
{
    int code = 0;
    while (conn->slices.count > 0 && code == 0) {
        code = cmdi_conn_stash_slice(conn, SIZE_MAX); // One after the other, in order.
    }
    return code;
}

/* --- The codec's place in a frame that is cut ------------------------------------------------- */

bool cmdi_conn_open_place(struct cmdi_conn *conn)
{
    size_t capacity = 0;
    void *place = cmdi_buffers_lease(&conn->shard->buffers, sizeof(*conn->more->place), &capacity);
    CMDI_ASSERT(place == NULL || capacity == CMDI_BUFFER_SIZE_MIN);
    conn->more->place = place;
    if (place != NULL) {
        *conn->more->place = (struct cmds_codec_place){.words = {0}};
    }
    return place != NULL;
}

void cmdi_conn_drop_place(struct cmdi_conn *conn)
{
    void *place = conn->more->place;
    cmdi_buffers_return(&conn->shard->buffers, place, CMDI_BUFFER_SIZE_MIN);
    conn->more->place = NULL;
}
