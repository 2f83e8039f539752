/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a peer sends: ServerInfo, then frames to the end. A frame that is whole must
 * also be the same frame when its bytes come one by one, no decision may be taken back when more
 * bytes come, and `missing` must not promise too much.
 */
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    BODY_SIZE_MAX = 300,
    CUTS_MAX = 2 * CMDI_FRAME_HEADER_MAX + 8
};

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

/*
 * The same beginning cut shorter: it waits, and asks for no more than there is; or an error has
 * shown already.
 */
static void check_cut(const uint8_t *data, size_t cut, int64_t whole, bool self_delimiting)
{
    struct cmdi_frame frame;
    size_t missing = 0;
    uint8_t *exact = malloc(cut > 0 ? cut : 1);
    REQUIRE(exact != NULL);
    memcpy(exact, data, cut);
    int64_t used = cmdi_frame_decode(&frame, exact, cut, BODY_SIZE_MAX, self_delimiting, &missing);
    free(exact);
    REQUIRE(used == 0 || used == whole);
    REQUIRE(used != 0 || missing >= 1);
    REQUIRE(used != 0 || whole <= 0 || missing <= (size_t)whole - cut);
    REQUIRE(used <= 0 || (size_t)used <= cut);
}

/* The short way has read what the long one reads. */
static void check_header(
        const struct cmdi_frame *frame, const uint8_t *data, size_t size, bool self_delimiting)
{
    struct cmdi_frame slow = {0};
    uint64_t length = 0;
    REQUIRE(cmdi_frame_header_decode(&slow, data, size, self_delimiting, &length) == 1);
    REQUIRE(slow.sequence == frame->sequence && slow.header_size == frame->header_size);
    REQUIRE(slow.sequence == 0 || slow.type == frame->type);
    REQUIRE(slow.sequence == 0 || self_delimiting || length == frame->body_size);
}

/* Returns: the size of the frame that begins here; 0 or an error: none. */
static int64_t check_frame(const uint8_t *data, size_t size, bool self_delimiting)
{
    struct cmdi_frame frame = {0};
    size_t missing = 0;
    int64_t used = cmdi_frame_decode(&frame, data, size, BODY_SIZE_MAX, self_delimiting, &missing);
    size_t end = used > 0 ? (size_t)used : size;
    for (size_t cut = 0; cut < end && cut < CUTS_MAX; cut++) {
        check_cut(data, cut, used, self_delimiting);
    }
    if (used > 0) {
        REQUIRE((size_t)used <= size && frame.header_size <= (size_t)used);
        REQUIRE(frame.header_size <= CMDI_FRAME_HEADER_MAX);
        check_cut(data, end - 1, used, self_delimiting);
        check_header(&frame, data, size, self_delimiting);
    }
    if (used > 0 && frame.sequence > 0) {
        REQUIRE(frame.sequence <= CMDI_SEQUENCE_MAX);
        REQUIRE(self_delimiting || frame.body_size <= BODY_SIZE_MAX);
        REQUIRE(frame.body == data + frame.header_size);
        REQUIRE(frame.body + frame.body_size == data + (self_delimiting ? size : (size_t)used));
    }
    REQUIRE(used >= 0 || used == CMDS_E_PROTO || (used == CMDS_E_LIMIT && !self_delimiting));
    return used;
}

static size_t check_server_info(const uint8_t *data, size_t size)
{
    uint8_t again[2 + CMDI_SERVER_INFO_MAX];
    struct cmds_bytes info = {NULL, 0};
    int used = cmdi_server_info_decode(data, size, &info);
    if (used <= 0) {
        REQUIRE(info.data == NULL);
        return 0;
    }
    REQUIRE(info.size >= 1 && info.size <= CMDI_SERVER_INFO_MAX);
    REQUIRE((size_t)used <= size && (const uint8_t *)info.data + info.size == data + used);
    REQUIRE(cmdi_server_info_encode(again, info) <= again + used);
    return (size_t)used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = check_server_info(data, size); at < size;) {
        int64_t used = check_frame(data + at, size - at, false);
        (void)check_frame(data + at, size - at, true);
        if (used <= 0) {
            break;
        }
        at += (size_t)used;
    }
    return 0;
}
