/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.3 and 1.2, mutual where wanted, by wolfSSL. Library: cmdstream_tls, which is optional: the
 * core is MIT and knows nothing of wolfSSL, which is GPL; so is whatever is linked with this library.
 *
 *     struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
 *     options.certificate_file = "server.crt";
 *     options.key_file = "server.key";
 *     code = cmds_tls_server_new(&tls, &options, &error);
 *     server_options.tls = tls;                                // Or those of a group, a sender.
 *
 * Safe by default: a client checks the server's certificate and name; TLS 1.2 and 1.3 with forward
 * secrecy and AEAD ciphers alone; no renegotiation, no early data, no compression. No certificate that a
 * peer sends, its own or a CA's, may be signed with SHA-1 or MD5, have a key below RSA of 2048 bits or a
 * curve of 256, or an extendedKeyUsage that lacks the peer's side; a CA of our own file is trusted as it
 * is. A peer has to send its whole chain.
 */
#ifndef CMDSTREAM_TLS_H
#define CMDSTREAM_TLS_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_connection;
struct cmds_tls_peer;

/** TLS for one server or more, or for groups and senders. */
struct cmds_tls;

enum cmds_tls_clients {
    CMDS_TLS_CLIENTS_NONE,     // A client is not asked for a certificate.
    CMDS_TLS_CLIENTS_OPTIONAL, // It is, and may have none; a wrong one is refused.
    CMDS_TLS_CLIENTS_REQUIRED, // Mutual TLS.
};

/** One more certificate of a server, for clients that ask for this name (SNI). Frozen layout. */
struct cmds_tls_name {
    const char *server_name; // "a.example.org", or "*.example.org" for one label more.
    const char *certificate_file;
    const char *key_file;
};

/**
 * Start from CMDS_TLS_SERVER_OPTIONS_INIT. A field left at zero takes the default beside it. A path that
 * is relative counts from the working directory at each reading, a reload too. A certificate's file has
 * at most 512 KiB, a key's 64 KiB, one of CAs or of a CRL 16 MiB.
 */
struct cmds_tls_server_options {
    uint32_t struct_size;
    uint8_t clients;              // enum cmds_tls_clients. Default NONE.
    uint8_t version_min;          // 12 or 13. Default 12; 1.3 is preferred.
    uint16_t handshakes_max;      // Under way on a shard at a time. Default 256.
    const char *certificate_file; // PEM, the server's own first, then its chain: up to 9. Needed.
    const char *key_file;         // PEM. Needed; refused if its group or others may read it.
    const char *client_ca_file;   // PEM. Needed unless NONE; never the system's store.
    // PEM, lists of revoked certificates. NULL: none. Only unless NONE. If set, each CA of a chain has to
    // have a list in it that is in date: without, who comes with that chain is refused. A list must be
    // signed by one of client_ca_file's: CAs between them and the clients have to be in there too.
    const char *crl_file;
    const char *ciphers; // OpenSSL's names with colons. NULL: ours.
    // Names with commas, at most 1024 bytes. NULL: none. If set, the first of the client's that is among
    // them is agreed on, and a client that offers none of them is refused.
    const char *alpn;
    const struct cmds_tls_name *names; // Whoever asks for none of them gets certificate_file.
    uint32_t name_count;               // At most 1000.
    // For how long a client of TLS 1.3 may resume. Default 7200, at most 604800 (a week); CMDS_NEVER:
    // never. No client resumes where certificates are asked for, or without a fresh key exchange.
    uint32_t ticket_lifetime_s;
};

/**
 * Start from CMDS_TLS_CLIENT_OPTIONS_INIT. A field left at zero takes the default beside it. Files are as
 * of a server.
 *
 * Of connections of TLS 1.3 that ended well up to 64 sessions are kept, for the next connections to the
 * same servers: each is used once, and forgotten by a reload that changes the CAs, the CRL or our own
 * certificate. A server that resumes without a fresh key exchange is refused.
 */
struct cmds_tls_client_options {
    uint32_t struct_size;
    uint8_t version_min;         // 12 or 13. Default 12; 1.3 is preferred.
    bool unsafe_no_verification; // Any server will do: for tests alone.
    bool no_resumption;          // Every connection makes a whole handshake; none is kept.
    uint8_t unused;
    const char *ca_file;  // PEM. NULL: the system's store; its place, or SSL_CERT_FILE.
    const char *crl_file; // PEM, of ca_file's, as a server's crl_file is. NULL: none.
    // Asked for and checked. NULL: the host in `connect`. Needed for UNIX sockets.
    const char *server_name;
    const char *certificate_file; // PEM, our own first. NULL: none. Both or none.
    const char *key_file;         // PEM. Refused if its group or others may read it.
    const char *ciphers;          // OpenSSL's names with colons. NULL: ours.
    const char *alpn;             // Names with commas, best first. NULL: none.
    /**
     * A handshake went well, and this is the server. Negative refuses it all the same, as by its
     * fingerprint or by the ALPN that was agreed on. On the connection's shard; it calls nothing of the
     * library's. May be NULL. Owner: borrows `peer` until it returns.
     */
    int (*on_peer)(void *context, const struct cmds_tls_peer *peer);
    void *context; // Of on_peer.
};
#ifdef __cplusplus
#define CMDS_TLS_SERVER_OPTIONS_INIT cmds_detail::sized<struct cmds_tls_server_options>()
#define CMDS_TLS_CLIENT_OPTIONS_INIT cmds_detail::sized<struct cmds_tls_client_options>()
#else
#define CMDS_TLS_SERVER_OPTIONS_INIT                                                               \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_tls_server_options)                                      \
    }
#define CMDS_TLS_CLIENT_OPTIONS_INIT                                                               \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_tls_client_options)                                      \
    }
#endif

/**
 * What the handshake has shown of the peer. Strings are never NULL. Without a certificate they are
 * empty, the counts 0. The library makes it: it only grows at its end.
 */
struct cmds_tls_peer {
    const char *common_name, *subject, *issuer;
    const char *server_name;         // That the client asked for; "" without.
    const char *alpn;                // That was agreed on; "" without.
    const char *cipher;              // "TLS_AES_128_GCM_SHA256"
    const char *const *dns_names;    // Of the certificate's subjectAltName, like the next two.
    const char *const *ip_addresses; // As text.
    const char *const *uris;
    uint32_t dns_count, ip_count, uri_count;
    uint8_t version; // 12 or 13.
    bool verified; // Its certificate was checked: always with one, but for unsafe_no_verification.
    bool resumed;  // It showed no certificate again: all is as in the handshake before.
    uint8_t unused;
    uint8_t fingerprint[32]; // SHA-256 of the certificate; zeros without one.
    uint64_t not_after_s;    // Of the certificate, since 1970; 0 without one.
};

/**
 * Reads and checks all files.
 *
 * Owner:   copies the options. Gives *tls: cmds_tls_free().
 * Thread:  any but a shard: it reads files.
 * Returns: 0; -EINVAL, -E2BIG: an option, by name; CMDS_E_TLS_CONFIG: what a file holds, by name;
 *          -errno of a file, as it was opened or read; -EACCES: others may read the key; -EINVAL: it is
 *          no regular file; -EFBIG; -EBUSY: it was written to meanwhile; -ENOMEM.
 */
CMDS_NODISCARD CMDS_API int cmds_tls_server_new(struct cmds_tls **tls,
        const struct cmds_tls_server_options *options, struct cmds_error *error);
/** For groups and senders; as cmds_tls_server_new(). */
CMDS_NODISCARD CMDS_API int cmds_tls_client_new(struct cmds_tls **tls,
        const struct cmds_tls_client_options *options, struct cmds_error *error);
/**
 * Reads all files anew: connections from now on use what they hold, those that live keep what they
 * began with. All or nothing: on failure everything stays as it is. `error`: a fresh one each time, for
 * the first failure stays in it.
 *
 * Thread:  any but a shard. Several at a time wait for each other.
 * Returns: as cmds_tls_server_new().
 */
CMDS_NODISCARD CMDS_API int cmds_tls_reload(struct cmds_tls *tls, struct cmds_error *error);
/** After the close of all servers, groups and senders that use it. NULL is fine. Thread: any. */
CMDS_API void cmds_tls_free(struct cmds_tls *tls);

/**
 * One line for people: which wolfSSL, who makes AES, what it costs: "wolfSSL 5.5.4 (C only), AES by
 * libgcrypt 1.10.1". Static. Thread: any.
 */
CMDS_API const char *cmds_tls_library(void);

CMDS_END_

#endif
