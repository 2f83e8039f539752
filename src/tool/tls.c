/* SPDX-License-Identifier: MIT */
/* See tls.h. */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "name.h"

static const struct tool_rule client_rules[] = {
        {"tls-ca", "tls", true, NULL},
        {"tls-crl", "tls", true, NULL},
        {"tls-server-name", "tls", true, NULL},
        {"tls-cert", "tls", true, NULL},
        {"tls-key", "tls", true, NULL},
        {"tls-min-version", "tls", true, NULL},
        {"tls-ciphers", "tls", true, NULL},
        {"tls-alpn", "tls", true, NULL},
        {"tls-cert", "tls-key", true, NULL},
        {"tls-key", "tls-cert", true, NULL},
        {"tls-crl", "tls-ca", true, "a list of revocations is of a CA"},
};
static const struct tool_rule server_rules[] = {
        {"tls-cert", "tls-key", true, NULL},
        {"tls-key", "tls-cert", true, NULL},
        {"tls-ca", "tls-cert", true, "a server has TLS by its certificate"},
        {"tls-crl", "tls-ca", true, "a list of revocations is of a CA"},
        {"tls-require-client-cert", "tls-ca", true, "somebody must have signed it"},
        {"tls-min-version", "tls-cert", true, "a server has TLS by its certificate"},
        {"tls-ciphers", "tls-cert", true, "a server has TLS by its certificate"},
        {"tls-alpn", "tls-cert", true, "a server has TLS by its certificate"},
};

#ifdef CMDSTREAM_HAS_TLS

/* 13 of "1.3"; 0: the default; -1: there is no such version here. */
static int tls_version(const char *text)
{
    if (text == NULL) {
        return 0;
    }
    return strcmp(text, "1.2") == 0 ? 12 : strcmp(text, "1.3") == 0 ? 13 : -1;
}

static int tls_check(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options, const struct tool_rule *rules,
        size_t rule_count)
{
    if (!cmdi_tool_options_obey(command, name, line, rules, rule_count)) {
        return TOOL_EXIT_USAGE;
    }
    if (tls_version(options->min_version) < 0) {
        cmdi_tool_complain(
                name, "--tls-min-version is 1.2 or 1.3, not \"%s\"", options->min_version);
        return TOOL_EXIT_USAGE;
    }
    return TOOL_PARSED;
}

int cmdi_tool_tls_make_client(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error)
{
    *tls = NULL;
    if (!options->on) {
        return 0;
    }
    struct cmds_tls_client_options client = CMDS_TLS_CLIENT_OPTIONS_INIT;
    client.version_min = (uint8_t)tls_version(options->min_version);
    client.ca_file = options->ca;
    client.crl_file = options->crl;
    client.server_name = options->server_name;
    client.certificate_file = options->certificate;
    client.key_file = options->key;
    client.ciphers = options->ciphers;
    client.alpn = options->alpn;
    client.on_peer = options->on_peer;
    client.context = options->context;
    return cmds_tls_client_new(tls, &client, error);
}

int cmdi_tool_tls_make_server(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error)
{
    *tls = NULL;
    if (options->certificate == NULL) {
        return 0;
    }
    struct cmds_tls_server_options server = CMDS_TLS_SERVER_OPTIONS_INIT;
    server.clients = options->require_client_certificate ? CMDS_TLS_CLIENTS_REQUIRED
                     : options->ca != NULL               ? CMDS_TLS_CLIENTS_OPTIONAL
                                                         : CMDS_TLS_CLIENTS_NONE;
    server.version_min = (uint8_t)tls_version(options->min_version);
    server.certificate_file = options->certificate;
    server.key_file = options->key;
    server.client_ca_file = options->ca;
    server.crl_file = options->crl;
    server.ciphers = options->ciphers;
    server.alpn = options->alpn;
    return cmds_tls_server_new(tls, &server, error);
}

int cmdi_tool_tls_reload(struct cmds_tls *tls, struct cmds_error *error)
{
    return cmds_tls_reload(tls, error);
}

void cmdi_tool_tls_free(struct cmds_tls *tls)
{
    cmds_tls_free(tls);
}

const char *cmdi_tool_tls_library(void)
{
    return cmds_tls_library();
}

#else

/* By the rules, whose options are all there are but a client's --tls itself. */
static int tls_check(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options, const struct tool_rule *rules,
        size_t rule_count)
{
    const char *given = options->on ? "tls" : NULL;
    for (size_t i = 0; given == NULL && i < rule_count; i++) {
        given = cmdi_tool_options_given(command, line, rules[i].option) ? rules[i].option : NULL;
    }
    if (given == NULL) {
        return TOOL_PARSED;
    }
    cmdi_tool_complain(name,
            "--%s: this build has no TLS; it takes libwolfssl-dev (scripts/setup) and cmake "
            "-DCMDSTREAM_TLS=ON",
            given);
    return TOOL_EXIT_USAGE;
}

int cmdi_tool_tls_make_client(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error)
{
    (void)options;
    (void)error;
    *tls = NULL;
    return 0;
}

int cmdi_tool_tls_make_server(
        struct cmds_tls **tls, const struct tool_tls *options, struct cmds_error *error)
{
    return cmdi_tool_tls_make_client(tls, options, error);
}

int cmdi_tool_tls_reload(struct cmds_tls *tls, struct cmds_error *error)
{
    (void)tls;
    (void)error;
    return -ENOSYS;
}

void cmdi_tool_tls_free(struct cmds_tls *tls)
{
    (void)tls;
}

const char *cmdi_tool_tls_library(void)
{
    return NULL;
}

#endif

int cmdi_tool_tls_check_client(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options)
{
    return tls_check(command, name, line, options, client_rules,
            sizeof(client_rules) / sizeof(client_rules[0]));
}

int cmdi_tool_tls_check_server(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_tls *options)
{
    return tls_check(command, name, line, options, server_rules,
            sizeof(server_rules) / sizeof(server_rules[0]));
}
