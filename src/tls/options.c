/* SPDX-License-Identifier: MIT */
/* See options.h. What a file holds is checked when it is read. */
#include "tls/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"
#include "tls/certificate_check.h"
#include "tls/crypto.h"

enum {
    HANDSHAKES_DEFAULT = 256,
    TICKET_LIFETIME_DEFAULT_S = 7200,
    ALPN_NAME_SIZE_MAX = 255,
};

/* ---- Texts ----------------------------------------------------------------------------------- */

/* Of one block: counted first, then copied. */
struct texts {
    char *at, *end; // NULL: they are only counted.
    size_t size;
};

static const char *texts_add(struct texts *texts, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    texts->size += size;
    if (texts->at == NULL) {
        return text;
    }
    CMDI_ASSERT(size <= (size_t)(texts->end - texts->at));
    char *copy = memcpy(texts->at, text, size);
    texts->at += size;
    return copy;
}

static void texts_add_all(struct texts *texts, struct cmdi_tls_options *options)
{
    for (uint32_t i = 0; i < options->pair_count; i++) {
        struct cmdi_tls_pair *pair = &options->pairs[i];
        pair->server_name = texts_add(texts, pair->server_name);
        pair->certificate.path = texts_add(texts, pair->certificate.path);
        pair->key.path = texts_add(texts, pair->key.path);
    }
    options->ca.path = texts_add(texts, options->ca.path);
    options->crl.path = texts_add(texts, options->crl.path);
    options->server_name = texts_add(texts, options->server_name);
    options->alpn = texts_add(texts, options->alpn);
}

/* Until now they were the caller's. */
static int copy_texts(struct cmdi_tls_options *options, struct cmds_error *error)
{
    struct texts texts = {.at = NULL};
    texts_add_all(&texts, options);
    options->texts = malloc(texts.size + 1);
    if (options->texts == NULL) {
        return cmdi_fail(error, -ENOMEM, "TLS: out of memory");
    }
    texts = (struct texts){.at = options->texts, .end = options->texts + texts.size};
    texts_add_all(&texts, options);
    return 0;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static int check_version(struct cmdi_tls_options *options, struct cmds_error *error)
{
    if (options->version_min == 0) {
        options->version_min = 12;
    }
    if (options->version_min != 12 && options->version_min != 13) {
        return cmdi_fail(error, -EINVAL, "TLS: version_min is %u: 12 or 13, for TLS 1.2 or 1.3",
                options->version_min);
    }
    if (!options->ciphers.has_tls12) {
        options->version_min = 13;
    }
    return 0;
}

static int check_ciphers(
        struct cmdi_tls_options *options, const char *list, struct cmds_error *error)
{
    options->ciphers = cmdi_ciphers_default(!cmdi_tls_aes_is_fast());
    return list != NULL ? cmdi_ciphers_parse(&options->ciphers, list, error) : 0;
}

static int check_alpn(const char *alpn, struct cmds_error *error)
{
    if (alpn == NULL) {
        return 0;
    }
    size_t size = strlen(alpn);
    if (size > CMDI_TLS_ALPN_SIZE_MAX) {
        return cmdi_fail(error, -EINVAL, "TLS: alpn: %zu characters, at most %d", size,
                CMDI_TLS_ALPN_SIZE_MAX);
    }
    for (size_t at = 0, part; at <= size; at += part + 1) {
        part = strcspn(alpn + at, ",");
        if (part == 0 || part > ALPN_NAME_SIZE_MAX) {
            return cmdi_fail(error, -EINVAL,
                    "TLS: alpn: names with a comma between them, of 1 to %d characters: one has "
                    "%zu",
                    ALPN_NAME_SIZE_MAX, part);
        }
        for (size_t i = at; i < at + part; i++) {
            if (alpn[i] <= ' ' || alpn[i] > '~') {
                return cmdi_fail(error, -EINVAL,
                        "TLS: alpn: a name has a blank, or a character that is not printable");
            }
        }
    }
    return 0;
}

/* A host, or an address where `address_too`. */
static bool is_host(const char *host, bool address_too)
{
    uint8_t address[CMDI_IP6_SIZE];
    bool is_address =
            inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    return is_address ? address_too : cmdi_host_is_dns_name(cmds_string_from(host));
}

static bool is_empty(const char *text)
{
    return text == NULL || *text == '\0';
}

/* Certificate and key, both. */
static int check_pair(const struct cmdi_tls_pair *pair, bool is_server, struct cmds_error *error)
{
    bool has_certificate = !is_empty(pair->certificate.path), has_key = !is_empty(pair->key.path);
    if (has_certificate && has_key) {
        return 0;
    }
    if (has_certificate != has_key) {
        return cmdi_fail(error, -EINVAL, "TLS: %s is there, and no %s: a certificate and its key",
                has_certificate ? pair->certificate.option : pair->key.option,
                has_certificate ? pair->key.option : pair->certificate.option);
    }
    return cmdi_fail(error, -EINVAL, "TLS: %s is %s", pair->certificate.option,
            is_server ? "missing: a server has a certificate and its key"
                      : "empty, and so is its key's: names of files, or NULL for none");
}

static int check_name(
        const struct cmdi_tls_options *options, uint32_t index, struct cmds_error *error)
{
    const char *name = options->pairs[index].server_name;
    if (is_empty(name)) {
        return cmdi_fail(error, -EINVAL, "TLS: names[%u].server_name is missing", index - 1);
    }
    if (!is_host(strncmp(name, "*.", 2) == 0 ? name + 2 : name, false)) {
        return cmdi_fail(error, -EINVAL,
                "TLS: names[%u].server_name \"%.80s\": a name of DNS, or \"*.\" and one; no "
                "address, "
                "no dot at the end",
                index - 1, name);
    }
    for (uint32_t i = 1; i < index; i++) {
        if (strcasecmp(options->pairs[i].server_name, name) == 0) {
            return cmdi_fail(error, -EINVAL,
                    "TLS: names[%u].server_name \"%.80s\": names[%u] has it", index - 1, name,
                    i - 1);
        }
    }
    return 0;
}

static int check_pairs(const struct cmdi_tls_options *options, struct cmds_error *error)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < options->pair_count; i++) {
        code = check_pair(&options->pairs[i], options->is_server, error);
        if (code == 0 && i > 0) {
            code = check_name(options, i, error);
        }
    }
    return code;
}

static int check_cas_of_server(const struct cmdi_tls_options *options, struct cmds_error *error)
{
    if (options->clients > CMDS_TLS_CLIENTS_REQUIRED) {
        return cmdi_fail(error, -EINVAL, "TLS: clients is %u: no member of enum cmds_tls_clients",
                options->clients);
    }
    if (options->clients == CMDS_TLS_CLIENTS_NONE) {
        bool has_ca = options->ca.path != NULL;
        return !has_ca && options->crl.path == NULL
                       ? 0
                       : cmdi_fail(error, -EINVAL,
                                 "TLS: %s is there, and clients is NONE: nobody is asked for a "
                                 "certificate; OPTIONAL or REQUIRED",
                                 has_ca ? options->ca.option : options->crl.option);
    }
    return !is_empty(options->ca.path)
                   ? 0
                   : cmdi_fail(error, -EINVAL,
                             "TLS: client_ca_file is missing: the CAs whose clients are let in "
                             "(clients is not NONE)");
}

static int check_trust_of_client(const struct cmdi_tls_options *options, struct cmds_error *error)
{
    if (options->unsafe_no_verification &&
            (options->ca.path != NULL || options->crl.path != NULL)) {
        return cmdi_fail(error, -EINVAL,
                "TLS: %s is there, and unsafe_no_verification: it would not be looked at",
                options->ca.path != NULL ? options->ca.option : options->crl.option);
    }
    if (options->crl.path != NULL && options->ca.path == NULL) {
        return cmdi_fail(error, -EINVAL, "TLS: crl_file is there, and no ca_file that it is of");
    }
    if (options->server_name != NULL && !is_host(options->server_name, true)) {
        return cmdi_fail(error, -EINVAL,
                "TLS: server_name \"%.80s\": a name of DNS or an address, as the server's "
                "certificate "
                "has it",
                options->server_name);
    }
    return 0;
}

/* ---- Of a server, of a client ---------------------------------------------------------------- */

/* `index`: 0: of the server or client itself. */
static void set_pair(struct cmdi_tls_options *options, uint32_t index, const char *certificate_file,
        const char *key_file)
{
    struct cmdi_tls_pair *pair = &options->pairs[index];
    char prefix[CMDI_TLS_OPTION_SIZE - sizeof("certificate_file")] = "";
    if (index > 0) {
        (void)snprintf(prefix, sizeof(prefix), "names[%u].", index - 1);
    }
    (void)snprintf(pair->certificate_option, CMDI_TLS_OPTION_SIZE, "%scertificate_file", prefix);
    (void)snprintf(pair->key_option, CMDI_TLS_OPTION_SIZE, "%skey_file", prefix);
    pair->certificate = (struct cmdi_file_name){pair->certificate_option, certificate_file};
    pair->key = (struct cmdi_file_name){pair->key_option, key_file};
}

static int options_create(
        struct cmdi_tls_options **options, uint32_t pair_count, struct cmds_error *error)
{
    struct cmdi_tls_options *created = calloc(1, sizeof(*created));
    if (created != NULL) {
        created->pairs = calloc(pair_count, sizeof(*created->pairs));
    }
    if (created == NULL || created->pairs == NULL) {
        free(created);
        return cmdi_fail(error, -ENOMEM, "TLS: out of memory");
    }
    created->pair_count = pair_count;
    *options = created;
    return 0;
}

/* Gives it; or destroys it, when something is wrong. */
static int options_finish(struct cmdi_tls_options **options, struct cmdi_tls_options *created,
        const char *ciphers, int code, struct cmds_error *error)
{
    if (code == 0) {
        code = check_pairs(created, error);
    }
    if (code == 0) {
        code = check_ciphers(created, ciphers, error);
    }
    if (code == 0) {
        code = check_version(created, error);
    }
    if (code == 0) {
        code = check_alpn(created->alpn, error);
    }
    if (code == 0) {
        code = copy_texts(created, error);
    }
    if (code < 0) {
        cmdi_tls_options_destroy(created);
        return code;
    }
    *options = created;
    return 0;
}

static int check_lifetime(uint32_t theirs, uint32_t *lifetime_s, struct cmds_error *error)
{
    *lifetime_s = theirs == 0 ? TICKET_LIFETIME_DEFAULT_S : theirs == CMDS_NEVER ? 0 : theirs;
    return *lifetime_s <= CMDI_TLS_TICKET_LIFETIME_MAX_S
                   ? 0
                   : cmdi_fail(error, -EINVAL,
                             "TLS: ticket_lifetime_s is %u: at most %d (7 days), or CMDS_NEVER",
                             theirs, CMDI_TLS_TICKET_LIFETIME_MAX_S);
}

int cmdi_tls_options_of_server(struct cmdi_tls_options **options,
        const struct cmds_tls_server_options *theirs, struct cmds_error *error)
{
    struct cmds_tls_server_options mine;
    int code = cmdi_options_take(&mine, sizeof(mine), theirs, "cmds_tls_server_options", error);
    if (code < 0) {
        return code;
    }
    if (mine.name_count > CMDI_TLS_NAMES_MAX || (mine.name_count > 0 && mine.names == NULL)) {
        return cmdi_fail(error, -EINVAL, "TLS: name_count is %u: at most %d, and names has them",
                mine.name_count, CMDI_TLS_NAMES_MAX);
    }
    struct cmdi_tls_options *created = NULL;
    code = options_create(&created, mine.name_count + 1, error);
    if (code < 0) {
        return code;
    }
    created->is_server = true;
    created->clients = mine.clients;
    created->version_min = mine.version_min;
    created->handshakes_max = mine.handshakes_max != 0 ? mine.handshakes_max : HANDSHAKES_DEFAULT;
    created->ca = (struct cmdi_file_name){"client_ca_file", mine.client_ca_file};
    created->crl = (struct cmdi_file_name){"crl_file", mine.crl_file};
    created->alpn = mine.alpn;
    set_pair(created, 0, mine.certificate_file, mine.key_file);
    for (uint32_t i = 0; i < mine.name_count; i++) {
        const struct cmds_tls_name *name = &mine.names[i];
        created->pairs[i + 1].server_name = name->server_name;
        set_pair(created, i + 1, name->certificate_file, name->key_file);
    }
    code = check_cas_of_server(created, error);
    if (code == 0) {
        code = check_lifetime(mine.ticket_lifetime_s, &created->ticket_lifetime_s, error);
    }
    if (created->clients != CMDS_TLS_CLIENTS_NONE) {
        created->ticket_lifetime_s = 0; // Who resumes shows no certificate.
    }
    return options_finish(options, created, mine.ciphers, code, error);
}

int cmdi_tls_options_of_client(struct cmdi_tls_options **options,
        const struct cmds_tls_client_options *theirs, struct cmds_error *error)
{
    struct cmds_tls_client_options mine;
    int code = cmdi_options_take(&mine, sizeof(mine), theirs, "cmds_tls_client_options", error);
    if (code == 0) {
        code = cmdi_unused_check(mine.unused, "cmds_tls_client_options", error);
    }
    if (code < 0) {
        return code;
    }
    struct cmdi_tls_options *created = NULL;
    code = options_create(&created, 1, error);
    if (code < 0) {
        return code;
    }
    created->version_min = mine.version_min;
    created->unsafe_no_verification = mine.unsafe_no_verification;
    created->no_resumption = mine.no_resumption;
    created->handshakes_max = HANDSHAKES_DEFAULT;
    created->ca = (struct cmdi_file_name){"ca_file", mine.ca_file};
    created->crl = (struct cmdi_file_name){"crl_file", mine.crl_file};
    created->server_name = mine.server_name;
    created->on_peer = mine.on_peer;
    created->on_peer_context = mine.context;
    created->alpn = mine.alpn;
    set_pair(created, 0, mine.certificate_file, mine.key_file);
    code = check_trust_of_client(created, error);
    if (mine.certificate_file == NULL && mine.key_file == NULL) {
        created->pair_count = 0;
    }
    return options_finish(options, created, mine.ciphers, code, error);
}

void cmdi_tls_options_destroy(struct cmdi_tls_options *options)
{
    if (options != NULL) {
        free(options->pairs);
        free(options->texts);
        free(options);
    }
}
