/* SPDX-License-Identifier: MIT */
/*
 * What a client says first, out of the bytes that it sent: is its ClientHello whole, and whom does it
 * ask for?
 *
 *     record 5 | type 1 | length 3 | version 2 | random 32 | id | suites | methods | extensions
 *
 * A server chooses its certificate by that, and makes its objects, before wolfSSL has seen a byte. So
 * a client that is silent or slow costs nothing but its bytes. Nothing is believed: every length is
 * compared with what holds it. Bytes in, values out: no memory, any thread.
 */
#ifndef CMDI_TLS_HELLO_H
#define CMDI_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_HELLO_NAME_MAX = 255,
};

enum cmdi_hello_state {
    CMDI_HELLO_CUT,     // It may become one.
    CMDI_HELLO_WHOLE,   // It is one, as far as its frame goes.
    CMDI_HELLO_REFUSED, // It never becomes one, or it is longer than CMDI_SECURITY_FLIGHT_MAX.
};

struct cmdi_hello {
    char server_name[CMDI_HELLO_NAME_MAX + 1]; // Printable, or empty: it asks for nobody.
    bool has_alpn;                             // It offers protocols.
    bool has_key_share;                        // Of TLS 1.3, for a key exchange.
    bool takes_psk_dhe;                        // To resume with a key exchange is fine for it.
};

/**
 * Looks at the frame alone: records and lengths. Its work is linear in the count of records.
 *
 * `data`: all that the client has sent.
 * Returns: REFUSED: *why is a sentence without its full stop, static.
 */
enum cmdi_hello_state cmdi_hello_look(const uint8_t *data, size_t size, const char **why);

/**
 * Reads a ClientHello that is WHOLE. What is broken inside of it is left to wolfSSL, which refuses it
 * with an alert: then *hello holds what came before.
 */
void cmdi_hello_read(const uint8_t *data, size_t size, struct cmdi_hello *hello);

#endif
