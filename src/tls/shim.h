/* SPDX-License-Identifier: MIT */
/*
 * Between wolfSSL and the connection's buffers: wolfSSL's two I/O callbacks.
 *
 * What is read passes the gate; what the gate keeps back, wolfSSL never sees. What is written is put at
 * once and whole, so wolfSSL never waits for room, and never repeats a write.
 *
 * One at a time, on the connection's shard.
 */
#ifndef CMDI_TLS_SHIM_H
#define CMDI_TLS_SHIM_H

#include <stdbool.h>

#include "conn/security.h"
#include "tls/gate.h"
#include "tls/wolf.h"

struct cmdi_shim {
    const struct cmdi_security_io *io;
    void *context; // Of io.
    struct cmdi_tls_gate gate;
    bool lacks_memory;    // put() has failed.
    bool takes_no_ticket; // Of a server: see tickets.h.
};

void cmdi_shim_init(
        struct cmdi_shim *shim, const struct cmdi_security_io *io, void *context, bool is_server);
/** The object reads and writes through `shim` from now on. Owner: keeps `shim`. */
void cmdi_shim_attach(struct cmdi_shim *shim, WOLFSSL *object);

/** Why there was nothing more for wolfSSL. Between a call of it and its cmdi_tls_gate_end_call(). */
enum cmdi_security_result cmdi_shim_lack(const struct cmdi_shim *shim);

#endif
