/* SPDX-License-Identifier: MIT */
/*
 * TLS of the interop client: its options, and what its last handshake has shown.
 */
#ifndef CMDI_TESTS_INTEROP_SECURE_H
#define CMDI_TESTS_INTEROP_SECURE_H

#include "tool/tls.h"

struct secure {
    struct tool_tls options;
    struct cmds_tls *tls; // NULL: plain.
    bool resumes;         // A second handshake must resume the first; else it must not.
};

/* Returns: the option is one of TLS, and taken. */
bool secure_take(struct secure *secure, const char *name, const char *value);
/* Keeps `secure` where it is until it is closed. Returns: 0; negative. */
int secure_open(struct secure *secure, struct cmds_error *error);
void secure_close(struct secure *secure);
/* Of the last handshake, the first one or a later one. Returns: NULL; what is wrong with it. */
const char *secure_problem(const struct secure *secure, bool is_first);

#endif
