/* SPDX-License-Identifier: MIT */
/*
 * Frames that are written where they leave from, in one walk. What may go wrong: another byte than in two walks, where
 * the guess at the length was wrong by a byte or more; a length that is not the shortest; bytes behind the room or the
 * bound; a codec that cannot, or gives up, being taken at its word; a frame of which something stays.
 */
#include "conn/direct.h"

#include <stdlib.h>

#include "support/harness.h"
#include "support/peer.h"

enum {
    TEXT_MAX = 70000,
    FRAME_MAX = TEXT_MAX + 64,
};

struct text {
    struct cmds_string text;
};
CMDS_COMMAND(text, 5, text);
struct bounded {
    struct cmds_string text;
};
CMDS_COMMAND(bounded, 5, CMDS_MAX(text, 9));

static char letters[TEXT_MAX];

/* The frame as it is written in two walks. Returns: its size. */
static size_t expected_frame(const struct cmds_codec *codec, uint64_t sequence, size_t text_size,
        bool self_delimiting, uint8_t *out)
{
    const struct text value = {{letters, text_size}};
    int64_t size = codec->size(codec, &text_type, &value);
    CU_ASSERT_FATAL(size >= 0);
    uint8_t *body = cmdi_frame_header_encode(
            out, sequence, text_type.number, (uint64_t)size, self_delimiting);
    return (size_t)(codec->encode(codec, &text_type, &value, body, (size_t)size) - out);
}

/* One walk, nothing is committed. Returns: its size; 0: it did not go so. */
static size_t write_direct(
        struct peer *peer, const struct cmds_codec *codec, uint64_t sequence, size_t text_size)
{
    const struct text value = {{letters, text_size}};
    size_t body_size = 0, before = peer->conn.fill.end;
    size_t size =
            cmdi_conn_write_direct(&peer->conn, sequence, codec, text_message(&value), &body_size);
    CU_ASSERT_EQUAL(peer->conn.fill.end, before); // Whoever has written it commits it.
    CU_ASSERT(size == 0 || (int64_t)body_size == codec->size(codec, &text_type, &value));
    return size;
}

static bool is_direct_alike(
        struct peer *peer, const struct cmds_codec *codec, uint64_t sequence, size_t text_size)
{
    static uint8_t expected[FRAME_MAX];
    size_t size =
            expected_frame(codec, sequence, text_size, peer->limits.self_delimiting, expected);
    return write_direct(peer, codec, sequence, text_size) == size &&
           memcmp(peer->conn.fill.data + peer->conn.fill.end, expected, size) == 0;
}

/* A peer with room for all of it, before anything is sent. */
static struct peer *roomy_peer(bool self_delimiting)
{
    struct peer *peer = peer_open(&peer_server_ops);
    int code = 0;
    memset(letters, 'l', sizeof(letters));
    peer->limits.self_delimiting = self_delimiting;
    peer->limits.output_size_max = 64 << 20;
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_conn_reserve(&peer->conn, 16 << 20, &code));
    return peer;
}

static void test_direct_frames_are_those_of_two_walks(void)
{
    // Each follows one whose length has fewer bytes, more, or as many.
    static const size_t sizes[] = {0, 10, 120, 126, 127, 128, 125, 200, 5, 16380, 16379, 16381, 3,
            65535, 127, 65536, 65537, 130, 131, 1, 70000, 2, 70000, 16384, 300};
    struct peer *peer = roomy_peer(false);
    uint64_t sequence = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack, sequence, sizes[i]));
        CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack_map, sequence, sizes[i]));
        sequence = sequence * 7 + 100;
    }
    for (size_t size = 100; size < 140; size++) {
        CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack, CMDI_SEQUENCE_MAX, size));
    }
    (void)peer_send_all(peer);
    peer_free(peer);
}

/* The guess is the last one's: what is alike is not moved. */
static void test_direct_length_is_guessed_by_the_last_one(void)
{
    struct peer *peer = roomy_peer(false);
    CU_ASSERT_EQUAL(peer->conn.length_more, 0);
    CU_ASSERT(write_direct(peer, &cmds_codec_msgpack, 1, 1000) > 0);
    CU_ASSERT_EQUAL(peer->conn.length_more, 1);
    CU_ASSERT(write_direct(peer, &cmds_codec_msgpack, 2, 20000) > 0);
    CU_ASSERT_EQUAL(peer->conn.length_more, 2);
    CU_ASSERT(write_direct(peer, &cmds_codec_msgpack, 3, 10) > 0);
    CU_ASSERT_EQUAL(peer->conn.length_more, 0);
    (void)peer_send_all(peer);
    peer_free(peer);
}

static void test_direct_has_no_length_where_the_codec_finds_the_end(void)
{
    struct peer *peer = roomy_peer(true);
    for (size_t size = 0; size < 1000; size += 37) {
        CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack, 1 + size, size));
    }
    (void)peer_send_all(peer);
    peer_free(peer);
}

/* Whatever room is left, nothing is written behind it, and nothing stays of what found too little. */
static void test_direct_keeps_to_its_room(void)
{
    struct peer *peer = peer_open(&peer_server_ops);
    int direct = 0, not_direct = 0;
    memset(letters, 'l', sizeof(letters));
    for (size_t text_size = 3500; text_size < 4200; text_size++) {
        struct cmdi_conn_buffer *fill = &peer->conn.fill;
        CU_ASSERT_PTR_NULL(fill->data);
        // With malloc'ed buffers a sanitizer sees a byte too many; else the next frame's place.
        size_t size = write_direct(peer, &cmds_codec_msgpack, 1, text_size);
        CU_ASSERT(size <= 4096);
        direct += size > 0;
        not_direct += size == 0;
        CU_ASSERT_EQUAL(fill->data == NULL, size == 0); // What is refused leaves nothing.
        if (size == 0) {
            CU_ASSERT(text_size > 4096 - 128); // What is kept for the rows and the header.
        }
        CU_ASSERT_EQUAL(fill->end, 0);
        peer_append(peer, letters, 1);
        (void)peer_send_all(peer);
    }
    CU_ASSERT(direct > 400);
    CU_ASSERT(not_direct > 100);
    peer_free(peer);
}

/* A bound is judged by the way in two walks alone. */
static void test_direct_leaves_what_is_near_a_bound(void)
{
    struct peer *peer = roomy_peer(false);
    const size_t body = 1 + 3 + 1000;
    peer->limits.frame_size_max = (uint32_t)body;
    CU_ASSERT(write_direct(peer, &cmds_codec_msgpack, 1, 1000) > 0);
    CU_ASSERT_EQUAL(write_direct(peer, &cmds_codec_msgpack, 2, 1001), 0);
    peer->limits.frame_size_max = FRAME_MAX;

    peer_append(peer, letters, 500);
    peer->limits.output_size_max = 2 * (500 + 1000);
    CU_ASSERT_EQUAL(write_direct(peer, &cmds_codec_msgpack, 2, 1000), 0);
    size_t size = write_direct(peer, &cmds_codec_msgpack, 2, 800);
    CU_ASSERT(size > 800);
    CU_ASSERT(cmdi_conn_output_size(&peer->conn) + size < peer->limits.output_size_max / 2);
    peer->limits.output_size_max = 2 * 500;
    CU_ASSERT_EQUAL(write_direct(peer, &cmds_codec_msgpack, 3, 0), 0);
    peer->limits.output_size_max = 500;
    CU_ASSERT_EQUAL(write_direct(peer, &cmds_codec_msgpack, 3, 0), 0);
    (void)peer_send_all(peer);
    peer_free(peer);
}

static void test_direct_leaves_what_is_refused(void)
{
    struct peer *peer = roomy_peer(false);
    const struct bounded fits = {{letters, 9}}, large = {{letters, 10}}, null = {{NULL, 1}};
    size_t size = 0;
    CU_ASSERT(cmdi_conn_write_direct(
                      &peer->conn, 1, &cmds_codec_msgpack, bounded_message(&fits), &size) > 0);
    CU_ASSERT_EQUAL(cmdi_conn_write_direct(
                            &peer->conn, 1, &cmds_codec_msgpack, bounded_message(&large), &size),
            0);
    CU_ASSERT_EQUAL(cmdi_conn_write_direct(
                            &peer->conn, 1, &cmds_codec_msgpack, bounded_message(&null), &size),
            0);
    peer_free(peer);
}

/* --- Codecs of others ------------------------------------------------------------------------- */

static int64_t gives_up(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    (void)type;
    (void)value;
    memset(out, 0xee, room); // It may.
    return CMDS_E_LIMIT;
}

/* As snprintf() does, and decode(): how much there would have to be. */
static int64_t asks_for_more(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    (void)type;
    (void)value;
    (void)out;
    return (int64_t)room + 1;
}
static int64_t asks_for_much_more(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)asks_for_more(self, type, value, out, room);
    return INT64_MAX;
}

static void test_direct_takes_no_size_beyond_the_room(void)
{
    struct peer *peer = roomy_peer(false);
    struct cmds_codec codec = cmds_codec_msgpack;
    peer->limits.frame_size_max = UINT32_MAX;
    codec.try_encode = asks_for_more;
    CU_ASSERT_EQUAL(write_direct(peer, &codec, 1, 10), 0);
    codec.try_encode = asks_for_much_more;
    CU_ASSERT_EQUAL(write_direct(peer, &codec, 1, 10), 0);
    CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack, 1, 10));
    (void)peer_send_all(peer);
    peer_free(peer);
}

static void test_direct_goes_by_what_the_codec_has(void)
{
    struct peer *peer = roomy_peer(false);
    struct cmds_codec codec = cmds_codec_msgpack;
    CU_ASSERT(write_direct(peer, &codec, 1, 10) > 0);
    codec.try_encode = NULL;
    CU_ASSERT_EQUAL(write_direct(peer, &codec, 2, 10), 0);
    codec.try_encode = gives_up;
    CU_ASSERT_EQUAL(write_direct(peer, &codec, 2, 10), 0);
    codec.struct_size = offsetof(struct cmds_codec, try_encode); // It ends before that.
    CU_ASSERT_EQUAL(write_direct(peer, &codec, 2, 10), 0);
    CU_ASSERT(is_direct_alike(peer, &cmds_codec_msgpack, 2, 10));
    (void)peer_send_all(peer);
    peer_free(peer);
}

static const CU_TestInfo tests[] = {
        {"frames are those of two walks", test_direct_frames_are_those_of_two_walks},
        {"length is guessed by the last one", test_direct_length_is_guessed_by_the_last_one},
        {"no length where the codec finds the end",
                test_direct_has_no_length_where_the_codec_finds_the_end},
        {"keeps to its room", test_direct_keeps_to_its_room},
        {"leaves what is near a bound", test_direct_leaves_what_is_near_a_bound},
        {"leaves what is refused", test_direct_leaves_what_is_refused},
        {"takes no size beyond the room", test_direct_takes_no_size_beyond_the_room},
        {"goes by what the codec has", test_direct_goes_by_what_the_codec_has},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_direct", tests)
