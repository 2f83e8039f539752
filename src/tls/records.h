/* SPDX-License-Identifier: MIT */
/*
 * A session whose handshake is over: records in, records out, and the word that nothing more comes. As
 * conn/security.h has it.
 */
#ifndef CMDI_TLS_RECORDS_H
#define CMDI_TLS_RECORDS_H

#include "tls/session.h"

enum cmdi_security_result cmdi_records_open(struct cmdi_session *session, uint8_t *out, size_t room,
        size_t *size, struct cmds_error *error);
int cmdi_records_seal(
        struct cmdi_session *session, const uint8_t *data, size_t size, struct cmds_error *error);
void cmdi_records_notify(struct cmdi_session *session);

#endif
