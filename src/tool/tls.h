/* SPDX-License-Identifier: MIT */
/*
 * The options --tls-... of the sub-commands: their rows, what of them contradicts what, and the TLS
 * that they describe.
 *
 * A client asks for TLS by --tls alone; no other option does so in passing. A server has it as soon as
 * it has a certificate. In a build without TLS the options stand in --help all the same, and whoever
 * gives one is told what is missing.
 */
#ifndef CMDSTREAM_TOOL_TLS_H
#define CMDSTREAM_TOOL_TLS_H

#include <stdbool.h>

#include <cmdstream/tls.h>

#include "options.h"

/* A sub-command's struct has one of these, as `tls`. */
struct tool_tls {
    const char *certificate, *key, *ca, *crl, *server_name, *min_version, *ciphers, *alpn;
    bool on; // Of a client.
    bool require_client_certificate;

    /* No options, but of a client's program: see cmds_tls_client_options. */
    int (*on_peer)(void *context, const struct cmds_tls_peer *peer);
    void *context;
};

#ifdef CMDSTREAM_HAS_TLS
#define TOOL_TLS_ABSENT ""
#else
#define TOOL_TLS_ABSENT " (this build has no TLS)"
#endif

#define TOOL_ROWS_TLS_CLIENT(type)                                                                 \
    TOOL_FLAG(type, "tls", tls.on,                                                                 \
            "TLS; the server's certificate must be valid and for its host" TOOL_TLS_ABSENT),       \
            TOOL_TEXT(type, "tls-ca", "FILE", tls.ca,                                              \
                    "CAs, one of which must have signed it (default: the system's)"),              \
            TOOL_TEXT(type, "tls-crl", "FILE", tls.crl, "what these have revoked"),                \
            TOOL_TEXT(type, "tls-server-name", "NAME", tls.server_name,                            \
                    "what the certificate must be for (default: the host in ADDRESS)"),            \
            TOOL_TEXT(type, "tls-cert", "FILE", tls.certificate,                                   \
                    "our own, for a server that asks, with its chain"),                            \
            TOOL_TEXT(type, "tls-key", "FILE", tls.key, "its key, which nobody else may read"),    \
            TOOL_ROWS_TLS_BOTH(type)

#define TOOL_ROWS_TLS_SERVER(type)                                                                 \
    TOOL_TEXT(type, "tls-cert", "FILE", tls.certificate,                                           \
            "serve TLS alone, with this certificate and its chain" TOOL_TLS_ABSENT),               \
            TOOL_TEXT(type, "tls-key", "FILE", tls.key, "its key, which nobody else may read"),    \
            TOOL_TEXT(type, "tls-ca", "FILE", tls.ca,                                              \
                    "CAs: a client may show a certificate, and one of these must have signed it"), \
            TOOL_TEXT(type, "tls-crl", "FILE", tls.crl, "what these have revoked"),                \
            TOOL_FLAG(type, "tls-require-client-cert", tls.require_client_certificate,             \
                    "it must show one"),                                                           \
            TOOL_ROWS_TLS_BOTH(type)

#define TOOL_ROWS_TLS_BOTH(type)                                                                   \
    TOOL_TEXT(type, "tls-min-version", "V", tls.min_version, "1.2 or 1.3 (default 1.2)"),          \
            TOOL_TEXT(type, "tls-ciphers", "LIST", tls.ciphers,                                    \
                    "OpenSSL's names, with colons, best first (default: AEAD ciphers alone)"),     \
            TOOL_TEXT(type, "tls-alpn", "LIST", tls.alpn,                                          \
                    "names of protocols, with commas, a client's best first (default: none)")

/**
 * `name` is the sub-command's. Returns: TOOL_PARSED; else the exit status, and one line on stderr: the
 * options contradict each other, or this build has no TLS.
 */
int cmdi_tool_tls_check_client(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options);
/** As cmdi_tool_tls_check_client(). */
int cmdi_tool_tls_check_server(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options);
/**
 * Reads the files of options that were checked.
 *
 * Owner:   gives *tls: cmdi_tool_tls_free(). NULL if the options ask for no TLS.
 * Returns: 0; negative, and `error` says why.
 */
int cmdi_tool_tls_make_client(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error);
/** As cmdi_tool_tls_make_client(). */
int cmdi_tool_tls_make_server(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error);
/** Reads the files anew. Returns: 0; negative: all stays as it was, and `error` says why. */
int cmdi_tool_tls_reload(struct cmds_tls *tls, struct cmds_error *error);
/** After all that uses it has closed. NULL is fine. */
void cmdi_tool_tls_free(struct cmds_tls *tls);
/** What makes TLS, in a line. Static. Returns: NULL: this build has no TLS. */
const char *cmdi_tool_tls_library(void);

#endif
