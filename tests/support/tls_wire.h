/* SPDX-License-Identifier: MIT */
/*
 * One session of a security layer with buffers of its own, for threads and processes beside the test:
 * support/tls_pair.h without an assertion, and over a descriptor too.
 */
#ifndef CMDI_TESTS_SUPPORT_TLS_WIRE_H
#define CMDI_TESTS_SUPPORT_TLS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/tls.h>

#include "conn/security.h"

enum {
    TLS_WIRE_SIZE = 64 * 1024
};

struct tls_wire {
    uint8_t data[TLS_WIRE_SIZE];
    size_t at, size; // Those before `at` were taken.
};

/** Zeroed, then the first three. */
struct tls_wire_end {
    struct cmds_tls *tls;
    struct tls_wire *in, *out;
    const char *address; // Of the peer. NULL: "memory".
    struct cmdi_session *session;
    struct cmds_error error;
};

bool tls_wire_begin(struct tls_wire_end *end, const char *host);
/** Returns: it is over, well. If it is over otherwise, `error` says so. */
bool tls_wire_step(struct tls_wire_end *end);
void tls_wire_end(struct tls_wire_end *end);

/** Begins, and steps until it is over, with a peer at this descriptor. */
bool tls_wire_shake(struct tls_wire_end *end, const char *host, int fd);
/** One byte leaves. */
bool tls_wire_send(struct tls_wire_end *end, char byte, int fd);
/** Returns: the byte that came; -1: none will. */
int tls_wire_receive(struct tls_wire_end *end, int fd);

#endif
