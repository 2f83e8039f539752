/* SPDX-License-Identifier: MIT */
/* Blocks, whichever way they come and go: all that is done for each is here, so that it is inlined. */
#include "ceiling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_SIZE = 4,
    // What the benchmark's frame has beside its string, and the four bytes of ours.
    SIZE_RANDOM_FIXED = 22,
    SIZE_RANDOM_STRING_MAX = 1006,
    // A stream's output is sent in pieces of this, while the next one is filled.
    STREAM_CHUNK_SIZE = 64 * 1024,
    OUT_SIZE_FIRST = 4096,
};
#define STREAM_BIT 0x80000000u

static uint32_t histogram_bucket(uint64_t value)
{
    if (value < (uint64_t)1 << HISTOGRAM_BITS) {
        return (uint32_t)value;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/* --- Connections --- */

void side_init(struct side *side, const struct options *options, bool is_server)
{
    *side = (struct side){.options = options, .is_server = is_server, .listener = -1};
    side->conns = allocate(CONNS_MAX * sizeof(struct conn *));
    side->source = allocate(SIZE_MAX_);
    for (uint32_t i = 0; i < SIZE_MAX_; i++) {
        side->source[i] = (uint8_t)('a' + i % 26);
    }
    way_init(side);
}

void side_add(struct side *side, int fd)
{
    if (side->conn_count == CONNS_MAX) {
        die("connections", EMFILE);
    }
    struct conn *conn = allocate(sizeof(*conn));
    conn->fd = fd;
    conn->index = side->conn_count++;
    if (!side->is_server) {
        conn->pending = allocate(side->options->in_flight * sizeof(*conn->pending));
    }
    side->conns[conn->index] = conn;
    side->open_count++;
    way_receive(side, conn);
}

void side_lose(struct side *side, int error)
{
    if (!side->is_server) {
        die("the server is gone", error < 0 ? error : ECONNRESET);
    }
    side->open_count--;
}

/* --- Output --- */

void conn_mark(struct side *side, struct conn *conn)
{
    if (!conn->dirty) {
        conn->dirty = true;
        conn->next_dirty = side->dirty;
        side->dirty = conn;
    }
}

static uint8_t *conn_room(struct side *side, struct conn *conn, size_t size)
{
    if (conn->fill_size + size > conn->fill_room) {
        size_t room = conn->fill_room > 0 ? conn->fill_room : OUT_SIZE_FIRST;
        while (room < conn->fill_size + size) {
            room *= 2;
        }
        conn->fill = realloc(conn->fill, room);
        if (conn->fill == NULL) {
            die("memory", ENOMEM);
        }
        conn->fill_room = room;
    }
    conn_mark(side, conn);
    uint8_t *at = conn->fill + conn->fill_size;
    conn->fill_size += size;
    return at;
}

/* A block with its first and last byte marked. */
static void conn_append(
        struct side *side, struct conn *conn, uint32_t size, uint8_t first, uint8_t last)
{
    uint8_t *at = conn_room(side, conn, HEADER_SIZE + size);
    memcpy(at, &size, HEADER_SIZE);
    memcpy(at + HEADER_SIZE, side->source, size);
    at[HEADER_SIZE] = first;
    at[HEADER_SIZE + size - 1] = last;
}

static uint8_t stream_first(uint32_t index)
{
    return (uint8_t)index;
}

static uint8_t stream_last(uint32_t index)
{
    return (uint8_t)(index >> 8 ^ 0x5a);
}

void conn_stream(struct side *side, struct conn *conn)
{
    while (conn->stream_left > 0 && conn->fill_size < STREAM_CHUNK_SIZE) {
        conn_append(side, conn, conn->stream_size, stream_first(conn->stream_index),
                stream_last(conn->stream_index));
        conn->stream_index++;
        conn->stream_left--;
    }
}

void conn_take(struct conn *conn)
{
    uint8_t *data = conn->fill;
    size_t room = conn->fill_room;
    conn->fill = conn->flight;
    conn->fill_room = conn->flight_room;
    conn->flight = data;
    conn->flight_room = room;
    conn->flight_size = conn->fill_size;
    conn->fill_size = 0;
    conn->sending = true;
}

void conn_drop(struct side *side, struct conn *conn, int result)
{
    if (!side->is_server) {
        die("send", result < 0 ? result : EPIPE);
    }
    conn->sending = false;
    conn->fill_size = 0;
    conn->stream_left = 0;
}

void side_flush(struct side *side)
{
    struct conn *conn = side->dirty;
    side->dirty = NULL;
    while (conn != NULL) {
        struct conn *next = conn->next_dirty;
        conn->dirty = false;
        if (!conn->sending && conn->fill_size > 0) {
            way_send(side, conn);
        }
        conn = next;
    }
}

/* --- Input --- */

static void client_command(struct side *side, struct conn *conn)
{
    const struct options *options = side->options;
    uint32_t slot = (conn->pending_head + conn->pending_count++) % options->in_flight;
    struct pending *pending = &conn->pending[slot];
    *pending = (struct pending){.sent_ns = side->now_ns, .size = options->size, .blocks = 1};
    side->in_flight++;
    if (options->stream > 0) {
        uint32_t request[3] = {STREAM_BIT | 8, options->stream, options->size};
        memcpy(conn_room(side, conn, sizeof(request)), request, sizeof(request));
        pending->blocks = options->stream;
        return;
    }
    if (options->size == SIZE_RANDOM) {
        side->random ^= side->random << 13;
        side->random ^= side->random >> 7;
        side->random ^= side->random << 17;
        pending->size =
                SIZE_RANDOM_FIXED + (uint32_t)((side->random >> 32) % (SIZE_RANDOM_STRING_MAX + 1));
    }
    pending->first = (uint8_t)side->sequence;
    pending->last = (uint8_t)(side->sequence++ >> 8 ^ 0xa5);
    conn_append(side, conn, pending->size, pending->first, pending->last);
}

/* The first byte and the last one say which block it is; those between them are of the source. */
static bool client_is_right(
        const struct side *side, const struct pending *pending, const uint8_t *data, uint32_t size)
{
    return data[0] == pending->first && data[size - 1] == pending->last &&
           (!side->options->check || memcmp(data + 1, side->source + 1, size - 2) == 0);
}

static void client_block(struct side *side, struct conn *conn, const uint8_t *data, uint32_t size)
{
    struct pending *pending = &conn->pending[conn->pending_head];
    if (conn->pending_count == 0 || size != pending->size) {
        fprintf(stderr, "ceiling: an answer of %u bytes that nobody waits for\n", size);
        exit(1);
    }
    if (side->options->stream > 0) {
        uint32_t index = conn->stream_index++;
        pending->first = stream_first(index);
        pending->last = stream_last(index);
    }
    if (!client_is_right(side, pending, data, size)) {
        side->errors++;
    }
    side->results++;
    side->bytes += HEADER_SIZE + size;
    if (--pending->blocks > 0) {
        return;
    }
    uint64_t took = side->now_ns - pending->sent_ns;
    side->histogram[histogram_bucket(took)]++;
    side->max_ns = took > side->max_ns ? took : side->max_ns;
    side->commands++;
    side->in_flight--;
    conn->pending_count--;
    conn->pending_head = (conn->pending_head + 1) % side->options->in_flight;
    if (!side->draining) {
        client_command(side, conn);
    }
}

/* One whole block, header and all. */
static void conn_block(struct side *side, struct conn *conn, const uint8_t *block, size_t size)
{
    if (!side->is_server) {
        client_block(side, conn, block + HEADER_SIZE, (uint32_t)size - HEADER_SIZE);
        return;
    }
    if ((block[3] & 0x80) == 0) {
        memcpy(conn_room(side, conn, size), block, size);
        return;
    }
    uint32_t count = 0;
    memcpy(&count, block + HEADER_SIZE, sizeof(count));
    memcpy(&conn->stream_size, block + HEADER_SIZE + sizeof(count), sizeof(conn->stream_size));
    if (size != HEADER_SIZE + 8 || conn->stream_size < SIZE_MIN || conn->stream_size > SIZE_MAX_) {
        die("a request for a stream", EPROTO);
    }
    conn->stream_left += count;
    conn_stream(side, conn);
}

/* Returns: the size of the block that begins here; 0: its header is not whole. */
static size_t block_size(const uint8_t *data, size_t size)
{
    uint32_t length = 0;
    if (size < HEADER_SIZE) {
        return 0;
    }
    memcpy(&length, data, HEADER_SIZE);
    length &= ~STREAM_BIT;
    if (length < SIZE_MIN || length > SIZE_MAX_) {
        die("the length of a block", EPROTO);
    }
    return HEADER_SIZE + (size_t)length;
}

static void conn_stash(struct conn *conn, const uint8_t *data, size_t size)
{
    if (conn->stash == NULL) {
        conn->stash = allocate(HEADER_SIZE + SIZE_MAX_);
    }
    memcpy(conn->stash + conn->stash_size, data, size);
    conn->stash_size += size;
}

/* Adds to a block that was cut. Returns: how many bytes it took. */
static size_t conn_complete(struct side *side, struct conn *conn, const uint8_t *data, size_t size)
{
    size_t used = 0;
    for (;;) {
        size_t wanted = block_size(conn->stash, conn->stash_size);
        if (wanted == conn->stash_size) {
            conn->stash_size = 0;
            conn_block(side, conn, conn->stash, wanted);
            return used;
        }
        size_t missing = (wanted == 0 ? HEADER_SIZE : wanted) - conn->stash_size;
        size_t piece = missing < size - used ? missing : size - used;
        if (piece == 0) {
            return used;
        }
        conn_stash(conn, data + used, piece);
        used += piece;
    }
}

void conn_input(struct side *side, struct conn *conn, const uint8_t *data, size_t size)
{
    size_t at = conn->stash_size > 0 ? conn_complete(side, conn, data, size) : 0;
    while (at < size) {
        size_t whole = block_size(data + at, size - at);
        if (whole == 0 || whole > size - at) {
            conn_stash(conn, data + at, size - at);
            return;
        }
        conn_block(side, conn, data + at, whole);
        at += whole;
    }
}

void side_command(struct side *side, uint32_t index)
{
    client_command(side, side->conns[index]);
}
