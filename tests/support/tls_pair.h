/* SPDX-License-Identifier: MIT */
/*
 * Two sessions of a security layer, back to back in memory, through their tables alone: what one puts
 * lies in its `out` until a test moves it, byte by byte if it likes, into the other's `in`.
 *
 * The certificates are those of scripts/make-certs.sh, made anew for each program.
 */
#ifndef CMDI_TESTS_SUPPORT_TLS_PAIR_H
#define CMDI_TESTS_SUPPORT_TLS_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/tls.h>

#include "conn/security.h"

struct tls_bytes {
    uint8_t *data;
    size_t size, at, room; // at: those before it are taken.
};

struct tls_end {
    struct cmds_tls *tls; // Borrowed.
    struct cmdi_session *session;
    struct cmds_error error; // Of the last call.
    struct tls_bytes in, out;
    size_t piece_max;  // peek() shows no more at once; 0: all.
    bool lacks_memory; // put() fails.
    unsigned alerts_in, alerts_out, glitches;
    uint8_t got[CMDI_SECURITY_RECORD_MAX]; // By the last tls_open().
    size_t got_size;
};

struct tls_pair {
    struct tls_end client, server;
    const char *host; // That the client connects to. Default "a.example".
    // Called once they have begun; NULL: not.
    void (*client_begun)(struct cmdi_session *client), (*server_begun)(struct cmdi_session *server);
};

/** Path of a file that make-certs.sh makes, "server.pem". Static, until the eighth after it. */
const char *tls_file(const char *name);
/** The same of a name and ".pem", say. */
const char *tls_file_of(const char *name, const char *suffix);
/** By these certificates. `client_ca`: clients have to have one of it; NULL: none is asked for. */
struct cmds_tls *tls_new_server(const char *name, const char *client_ca);
/** `name`: its own certificate; NULL: none. */
struct cmds_tls *tls_new_client(const char *ca, const char *name);

void tls_pair_init(struct tls_pair *pair, struct cmds_tls *client, struct cmds_tls *server);
/** Ends both sessions. */
void tls_pair_fini(struct tls_pair *pair);
/** The same, and frees what tls_new_ has made for it. */
void tls_pair_free(struct tls_pair *pair);
/** begin(), and steps as long as there is something to move. Returns: both are done. */
bool tls_pair_connect(struct tls_pair *pair);
/** The same, after both sides have begun. */
bool tls_pair_shake(struct tls_pair *pair);
bool tls_pair_begin_client(struct tls_pair *pair);
/** With what has come for it. */
bool tls_pair_begin_server(struct tls_pair *pair);

/** Of what `from` has put, at most so many bytes. Returns: how many were moved. */
size_t tls_move(struct tls_end *from, struct tls_end *to, size_t size_max);
/** As if the peer had sent them. */
void tls_feed(struct tls_end *end, const void *data, size_t size);
enum cmdi_security_weight tls_weigh(const struct tls_end *end);
enum cmdi_security_result tls_step(struct tls_end *end);
enum cmdi_security_result tls_open(struct tls_end *end);
/** Returns: as seal(). */
int tls_seal(struct tls_end *end, const void *data, size_t size);
const struct cmds_tls_peer *tls_peer(const struct tls_end *end);

#endif
