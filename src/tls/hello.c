/* SPDX-License-Identifier: MIT */
/*
 * The frame first, over all records; then what is inside, in one piece. Nearly every ClientHello lies
 * in one record and is read where it is; one that was cut into several is copied together.
 */
#include "tls/hello.h"

#include <string.h>

#include "base/assert.h"
#include "conn/security.h"
#include "tls/gate.h"

enum {
    HELLO_RECORD_HANDSHAKE = 22,
    HELLO_VERSION_MAJOR = 3,
    HELLO_CLIENT_HELLO = 1,
    HELLO_HEADER_SIZE = 4,
    HELLO_VERSION_AND_RANDOM = 2 + 32,
    HELLO_EXTENSION_SERVER_NAME = 0,
    HELLO_EXTENSION_ALPN = 16,
    HELLO_EXTENSION_PSK_MODES = 45,
    HELLO_EXTENSION_KEY_SHARE = 51,
    HELLO_NAME_IS_HOST = 0,
    HELLO_PSK_DHE = 1,
};

/* ---- The frame ------------------------------------------------------------------------------- */

/* The next record, as far as it is there. */
struct record {
    const uint8_t *body;
    size_t size;    // Of its body.
    size_t arrived; // Of that.
};

static size_t hello_number(const uint8_t *bytes, size_t count)
{
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* A header that the gate refuses has its sentence; one that it lets pass does not belong here. */
static const char *hello_why_not(const uint8_t *data, size_t size)
{
    struct cmdi_tls_gate gate;
    size_t passed = 0;
    cmdi_tls_gate_init(&gate, true);
    if (cmdi_tls_gate_pass(&gate, data, size, &passed) == CMDI_TLS_GATE_REFUSE) {
        return cmdi_tls_gate_text(gate.reason);
    }
    return "its first flight is no ClientHello";
}

/*
 * The record at the start of `data`. Returns: WHOLE: its header is there, and is one of a handshake;
 * CUT: that much of its header as is there is.
 */
static enum cmdi_hello_state hello_record(const uint8_t *data, size_t size, struct record *record)
{
    size_t shown = size < CMDI_TLS_HEADER_SIZE ? size : CMDI_TLS_HEADER_SIZE;
    if ((shown > 0 && data[0] != HELLO_RECORD_HANDSHAKE) ||
            (shown > 1 && data[1] != HELLO_VERSION_MAJOR)) {
        return CMDI_HELLO_REFUSED;
    }
    if (shown < CMDI_TLS_HEADER_SIZE) {
        return CMDI_HELLO_CUT;
    }
    record->body = data + CMDI_TLS_HEADER_SIZE;
    record->size = hello_number(data + 3, 2);
    record->arrived = size - CMDI_TLS_HEADER_SIZE;
    if (record->size == 0 || record->size > CMDI_SECURITY_RECORD_MAX) {
        return CMDI_HELLO_REFUSED;
    }
    if (record->arrived > record->size) {
        record->arrived = record->size;
    }
    return CMDI_HELLO_WHOLE;
}

/* The handshake header, as far as it has come. Its size goes to *size once it is there. */
static bool hello_is_header(const uint8_t *header, size_t count, size_t *size)
{
    if (count > 0 && header[0] != HELLO_CLIENT_HELLO) {
        return false;
    }
    if (count == HELLO_HEADER_SIZE) {
        *size = hello_number(header + 1, HELLO_HEADER_SIZE - 1);
    }
    return true;
}

static enum cmdi_hello_state hello_is_too_long(const char **why)
{
    *why = "its ClientHello is above 16 KiB";
    return CMDI_HELLO_REFUSED;
}

enum cmdi_hello_state cmdi_hello_look(const uint8_t *data, size_t size, const char **why)
{
    uint8_t header[HELLO_HEADER_SIZE];
    size_t header_size = 0;
    size_t wanted = SIZE_MAX; // Of the body, once the header is there.
    size_t come = 0;          // Header and body.
    size_t at = 0;
    while (at < size) {
        struct record record;
        enum cmdi_hello_state state = hello_record(data + at, size - at, &record);
        if (state == CMDI_HELLO_REFUSED) {
            *why = hello_why_not(data, size);
            return CMDI_HELLO_REFUSED;
        }
        if (state == CMDI_HELLO_CUT) {
            break;
        }
        for (size_t i = 0; i < record.arrived && header_size < HELLO_HEADER_SIZE; i++) {
            header[header_size++] = record.body[i];
        }
        come += record.arrived;
        if (!hello_is_header(header, header_size, &wanted)) {
            *why = "its first message is no ClientHello";
            return CMDI_HELLO_REFUSED;
        }
        at += CMDI_TLS_HEADER_SIZE + record.arrived;
        if (wanted != SIZE_MAX && come >= HELLO_HEADER_SIZE + wanted) {
            at -= come - (HELLO_HEADER_SIZE + wanted); // Where it ends.
            return at <= CMDI_SECURITY_FLIGHT_MAX ? CMDI_HELLO_WHOLE : hello_is_too_long(why);
        }
    }
    bool is_too_long = size >= CMDI_SECURITY_FLIGHT_MAX ||
                       (wanted != SIZE_MAX && wanted > CMDI_SECURITY_FLIGHT_MAX);
    return is_too_long ? hello_is_too_long(why) : CMDI_HELLO_CUT;
}

/* ---- Inside ---------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* Returns: false: there is not so much. */
static bool hello_skip(struct reader *reader, size_t size, const uint8_t **bytes)
{
    if (size > reader->left) {
        return false;
    }
    if (bytes != NULL) {
        *bytes = reader->at;
    }
    reader->at += size;
    reader->left -= size;
    return true;
}

/* A length of `width` bytes, and as many bytes as it says. */
static bool hello_vector(struct reader *reader, size_t width, struct reader *vector)
{
    const uint8_t *length;
    const uint8_t *bytes;
    if (!hello_skip(reader, width, &length)) {
        return false;
    }
    size_t size = hello_number(length, width);
    if (!hello_skip(reader, size, &bytes)) {
        return false;
    }
    *vector = (struct reader){bytes, size};
    return true;
}

/* What is no printable ASCII is nobody's name, and would not be fit for a log. */
static void hello_keep_name(struct reader name, struct cmdi_hello *hello)
{
    bool is_fit = name.left > 0 && name.left <= CMDI_HELLO_NAME_MAX;
    for (size_t i = 0; is_fit && i < name.left; i++) {
        is_fit = name.at[i] > ' ' && name.at[i] <= '~';
    }
    if (is_fit) {
        memcpy(hello->server_name, name.at, name.left);
        hello->server_name[name.left] = '\0';
    }
}

static void hello_read_names(struct reader extension, struct cmdi_hello *hello)
{
    struct reader names;
    if (!hello_vector(&extension, 2, &names)) {
        return;
    }
    const uint8_t *kind;
    struct reader name;
    while (hello_skip(&names, 1, &kind) && hello_vector(&names, 2, &name)) {
        if (*kind == HELLO_NAME_IS_HOST) {
            hello_keep_name(name, hello);
            return;
        }
    }
}

/* As wolfSSL does, the last one counts. */
static void hello_read_psk_modes(struct reader extension, struct cmdi_hello *hello)
{
    struct reader modes;
    hello->takes_psk_dhe = hello_vector(&extension, 1, &modes) && modes.left > 0 &&
                           memchr(modes.at, HELLO_PSK_DHE, modes.left) != NULL;
}

static void hello_read_body(struct reader body, struct cmdi_hello *hello)
{
    struct reader skipped, extensions, extension;
    if (!hello_skip(&body, HELLO_VERSION_AND_RANDOM, NULL) || !hello_vector(&body, 1, &skipped) ||
            !hello_vector(&body, 2, &skipped) || !hello_vector(&body, 1, &skipped) ||
            !hello_vector(&body, 2, &extensions)) {
        return;
    }
    const uint8_t *type;
    while (hello_skip(&extensions, 2, &type) && hello_vector(&extensions, 2, &extension)) {
        switch (hello_number(type, 2)) {
        case HELLO_EXTENSION_SERVER_NAME:
            hello_read_names(extension, hello);
            break;
        case HELLO_EXTENSION_ALPN:
            hello->has_alpn = true;
            break;
        case HELLO_EXTENSION_PSK_MODES:
            hello_read_psk_modes(extension, hello);
            break;
        case HELLO_EXTENSION_KEY_SHARE:
            hello->has_key_share = true;
            break;
        default:
            break;
        }
    }
}

/* The bodies of its records, one behind the other. Returns: their size, of which all fits. */
static size_t hello_join(const uint8_t *data, size_t size, uint8_t *out, size_t room)
{
    size_t joined = 0;
    struct record record;
    while (size > 0 && hello_record(data, size, &record) == CMDI_HELLO_WHOLE) {
        size_t count = record.arrived < room - joined ? record.arrived : room - joined;
        memcpy(out + joined, record.body, count);
        joined += count;
        data += CMDI_TLS_HEADER_SIZE + record.arrived;
        size -= CMDI_TLS_HEADER_SIZE + record.arrived;
    }
    return joined;
}

void cmdi_hello_read(const uint8_t *data, size_t size, struct cmdi_hello *hello)
{
    hello->server_name[0] = '\0';
    hello->has_alpn = hello->has_key_share = hello->takes_psk_dhe = false;
    struct record record;
    if (size == 0 || hello_record(data, size, &record) != CMDI_HELLO_WHOLE) {
        return;
    }
    uint8_t joined[CMDI_SECURITY_FLIGHT_MAX];
    struct reader message = {record.body, record.arrived};
    struct reader body;
    if (record.arrived < HELLO_HEADER_SIZE ||
            hello_number(record.body + 1, 3) > record.arrived - HELLO_HEADER_SIZE) {
        message = (struct reader){joined, hello_join(data, size, joined, sizeof(joined))};
    }
    if (hello_skip(&message, 1, NULL) && hello_vector(&message, 3, &body)) {
        hello_read_body(body, hello);
    }
}
