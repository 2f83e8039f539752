/* SPDX-License-Identifier: MIT */
/*
 * A session until its handshake is over: as conn/security.h has it.
 */
#ifndef CMDI_TLS_HANDSHAKE_H
#define CMDI_TLS_HANDSHAKE_H

#include "tls/session.h"

enum cmdi_security_weight cmdi_handshake_weigh(const struct cmds_tls *tls,
        const struct cmdi_session *session, const uint8_t *data, size_t size);
int cmdi_handshake_begin(struct cmds_tls *tls, const struct cmdi_security_peer *peer,
        const struct cmdi_security_io *io, void *context, const uint8_t *data, size_t size,
        struct cmdi_session **session, struct cmds_error *error);
enum cmdi_security_result cmdi_handshake_step(
        struct cmdi_session *session, struct cmds_error *error);

#endif
