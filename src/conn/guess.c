/* SPDX-License-Identifier: MIT */
#include "conn/guess.h"

#include <stdio.h>
#include <string.h>

#include "wire/frame.h"
#include "wire/varint.h"

enum {
    GUESS_BYTES_SHOWN = 8,
};

static bool guess_begins(struct cmds_bytes bytes, const char *prefix)
{
    size_t size = strlen(prefix);
    return bytes.size >= size && memcmp(bytes.data, prefix, size) == 0;
}

static bool guess_is_http(struct cmds_bytes first)
{
    static const char *const begins[] = {
            "GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS ", "CONNECT ", "PRI * ", "HTTP/"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (guess_begins(first, begins[i])) {
            return true;
        }
    }
    return false;
}

/* A record of TLS: a handshake or an alert, then the version, 03 00 to 03 04. */
static bool guess_is_tls(struct cmds_bytes first)
{
    const uint8_t *bytes = first.data;
    return first.size >= 3 && (bytes[0] == 0x16 || bytes[0] == 0x15) && bytes[1] == 0x03 &&
           bytes[2] <= 0x04;
}

const char *cmdi_guess_peer(struct cmds_bytes first, bool is_secured)
{
    if (!is_secured && guess_is_tls(first)) {
        return "; this looks like TLS, and this end is plain";
    }
    if (guess_is_http(first)) {
        return "; this looks like HTTP";
    }
    if (guess_begins(first, "SSH-")) {
        return "; this looks like SSH";
    }
    return guess_begins(first, "{\"") ? "; this looks like JSON without a header in front" : "";
}

static bool guess_is_json(struct cmds_bytes body)
{
    return guess_begins(body, "{\"") || guess_begins(body, "{}") || guess_begins(body, "{ ") ||
           guess_begins(body, "{\n") || guess_begins(body, "null");
}

/* An array or a map, as a struct is written. */
static bool guess_is_msgpack(struct cmds_bytes body)
{
    const uint8_t *bytes = body.data;
    return body.size > 0 &&
           ((bytes[0] >= 0x80 && bytes[0] <= 0x9f) || (bytes[0] >= 0xdc && bytes[0] <= 0xdf));
}

/* A length that covers the rest, which a codec without lengths takes for the value's first bytes. */
static struct cmds_bytes guess_behind_length(struct cmds_bytes body)
{
    uint64_t length = 0;
    int used = cmdi_varint_decode(body.data, body.size, &length);
    if (used <= 0 || length > body.size - (size_t)used) {
        return (struct cmds_bytes){body.data, 0};
    }
    return (struct cmds_bytes){(const uint8_t *)body.data + used, (size_t)length};
}

static const char *guess_other(const struct cmds_codec *codec, struct cmds_bytes body)
{
    struct cmds_bytes value =
            (codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0 ? guess_behind_length(body) : body;
    if (strcmp(codec->name, "json") != 0 && guess_is_json(value)) {
        return "this looks like JSON; ";
    }
    if (strncmp(codec->name, "msgpack", 7) != 0 && guess_is_msgpack(value)) {
        return "this looks like msgpack; ";
    }
    return "";
}

static void guess_write(
        char text[CMDI_GUESS_TEXT_MAX], const struct cmds_codec *codec, struct cmds_bytes body)
{
    static const char digits[] = "0123456789abcdef";
    char shown[3 * GUESS_BYTES_SHOWN + 1];
    size_t size = 0;
    for (size_t i = 0; i < body.size && i < GUESS_BYTES_SHOWN; i++) {
        uint8_t byte = ((const uint8_t *)body.data)[i];
        shown[size++] = ' ';
        shown[size++] = digits[byte >> 4];
        shown[size++] = digits[byte & 15];
    }
    shown[size] = '\0';
    (void)snprintf(text, CMDI_GUESS_TEXT_MAX, "; %sanother codec than %.32s? It begins with%s",
            guess_other(codec, body), codec->name, size > 0 ? shown : " nothing");
}

const char *cmdi_guess_server(const struct cmdi_conn *conn, struct cmds_bytes info)
{
    const size_t before = cmdi_varint_size(info.size);
    const struct cmds_bytes first = {(const uint8_t *)info.data - before, info.size + before};
    return cmdi_guess_peer(first, conn->secured != NULL);
}

const char *cmdi_guess_first(const struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    const struct cmds_bytes first = {
            frame->body - frame->header_size, frame->header_size + frame->body_size};
    return conn->run_size == 0 ? cmdi_guess_peer(first, conn->secured != NULL) : "";
}

const char *cmdi_guess_codec(const struct cmdi_conn *conn, const struct cmds_codec *codec,
        const struct cmdi_frame *frame, char text[CMDI_GUESS_TEXT_MAX])
{
    const char *peer = cmdi_guess_first(conn, frame);
    if (peer[0] != '\0') {
        (void)snprintf(text, CMDI_GUESS_TEXT_MAX, "%s", peer);
    } else {
        guess_write(text, codec, (struct cmds_bytes){frame->body, frame->body_size});
    }
    return text;
}
