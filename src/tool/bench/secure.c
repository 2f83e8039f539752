/* SPDX-License-Identifier: MIT */
/*
 * TLS of a measurement. Handshakes are over when the load starts: what is measured is a connection that
 * lives.
 */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "name.h"

/* On any shard, and for each connection: the others are like the first. */
static int secure_on_peer(void *context, const struct cmds_tls_peer *peer)
{
    struct bench_secured *secured = context;
    if (!atomic_flag_test_and_set(&secured->known)) {
        secured->version = peer->version;
        snprintf(secured->cipher, sizeof(secured->cipher), "%s", peer->cipher);
    }
    return 0;
}

int cmdi_bench_secure_open(struct bench *bench)
{
    struct tool_tls *options = &bench->options.tls;
    if (!options->on) {
        return 0;
    }
    atomic_flag_clear(&bench->secured.known);
    options->on_peer = secure_on_peer;
    options->context = &bench->secured;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmdi_tool_tls_make_client(&bench->tls, options, &error);
    if (code < 0) {
        cmdi_tool_complain("bench", "%s", error.code < 0 ? error.text : cmds_error_text(code));
    }
    return code;
}

void cmdi_bench_secure_close(struct bench *bench)
{
    cmdi_tool_tls_free(bench->tls);
}
