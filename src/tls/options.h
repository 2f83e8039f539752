/* SPDX-License-Identifier: MIT */
/*
 * The options of a server or a client, checked and copied: what both have in common, by one name.
 */
#ifndef CMDI_TLS_OPTIONS_H
#define CMDI_TLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/tls.h>

#include "tls/ciphers.h"
#include "tls/files.h"

enum {
    CMDI_TLS_NAMES_MAX = 1000, // Of cmds_tls_server_options.names.
    CMDI_TLS_ALPN_SIZE_MAX = 1024,
    CMDI_TLS_OPTION_SIZE = 40,                      // "names[999].certificate_file"
    CMDI_TLS_TICKET_LIFETIME_MAX_S = 7 * 24 * 3600, // RFC 8446.
};

/** A certificate with its key, and for whom it is. */
struct cmdi_tls_pair {
    const char *server_name; // NULL: for everybody else.
    struct cmdi_file_name certificate, key;
    char certificate_option[CMDI_TLS_OPTION_SIZE], key_option[CMDI_TLS_OPTION_SIZE];
};

struct cmdi_tls_options {
    bool is_server;
    bool unsafe_no_verification, no_resumption; // Of a client.
    uint8_t clients;                            // Of a server. enum cmds_tls_clients
    uint8_t version_min;                        // 12 or 13.
    uint16_t handshakes_max;                    // Of a client the default.
    uint32_t ticket_lifetime_s;                 // Of a server; 0: no tickets.
    struct cmdi_tls_pair *pairs; // The one for everybody else first; none: a client without.
    uint32_t pair_count;
    struct cmdi_file_name ca, crl; // Paths are NULL: none, of a client the system's.
    const char *server_name;       // Of a client. NULL: the host.
    int (*on_peer)(void *context, const struct cmds_tls_peer *peer); // Of a client. NULL: none.
    void *on_peer_context;
    const char *alpn; // NULL: none.
    struct cmdi_ciphers ciphers;
    char *texts; // What all those point into, but static ones.
};

/** Gives *options: cmdi_tls_options_destroy(). Returns: as cmds_tls_server_new(). */
int cmdi_tls_options_of_server(struct cmdi_tls_options **options,
        const struct cmds_tls_server_options *theirs, struct cmds_error *error);
int cmdi_tls_options_of_client(struct cmdi_tls_options **options,
        const struct cmds_tls_client_options *theirs, struct cmds_error *error);
/** NULL is fine. */
void cmdi_tls_options_destroy(struct cmdi_tls_options *options);

#endif
