/* SPDX-License-Identifier: MIT */
/* See secure.h. */
#include "secure.h"

#include <stdatomic.h>
#include <string.h>

static struct {
    atomic_bool is_right, is_resumed;
} shown; // By the last handshake, on a shard.

static int on_peer(void *context, const struct cmds_tls_peer *peer)
{
    const struct secure *secure = context;
    const char *alpn = secure->options.alpn != NULL ? secure->options.alpn : "";
    shown.is_right =
            peer->verified && strcmp(peer->common_name, "s1") == 0 && strcmp(peer->alpn, alpn) == 0;
    shown.is_resumed = peer->resumed;
    return 0;
}

const char *secure_problem(const struct secure *secure, bool is_first)
{
    bool resumes = !is_first && secure->resumes;
    if (!shown.is_right) {
        return "another peer or protocol than the right one";
    }
    return shown.is_resumed == resumes ? NULL : resumes ? "not resumed" : "resumed";
}

bool secure_take(struct secure *secure, const char *name, const char *value)
{
    struct tool_tls *tls = &secure->options;
    const struct {
        const char *name, **value;
    } options[] = {{"--tls-ca", &tls->ca}, {"--tls-cert", &tls->certificate},
            {"--tls-key", &tls->key}, {"--tls-alpn", &tls->alpn}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(name, options[i].name) == 0) {
            *options[i].value = value;
            tls->on = true;
            return true;
        }
    }
    secure->resumes |= strcmp(name, "--tls-resumes") == 0 && strcmp(value, "yes") == 0;
    return strcmp(name, "--tls-resumes") == 0;
}

int secure_open(struct secure *secure, struct cmds_error *error)
{
    secure->options.min_version = "1.2";
    secure->options.on_peer = on_peer;
    secure->options.context = secure;
    return cmdi_tool_tls_make_client(&secure->tls, &secure->options, error);
}

void secure_close(struct secure *secure)
{
    cmdi_tool_tls_free(secure->tls);
}
