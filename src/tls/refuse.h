/* SPDX-License-Identifier: MIT */
/* Sentences about a file that was read: "TLS: key_file /etc/x.key: ...". All are CMDS_E_TLS_CONFIG. */
#ifndef CMDI_TLS_REFUSE_H
#define CMDI_TLS_REFUSE_H

#include <cmdstream/base.h>

#include "tls/files.h"

int cmdi_refuse_file(struct cmds_error *error, const struct cmdi_file *file, const char *format,
        ...) __attribute__((format(printf, 3, 4)));
/** A block of it has no end. */
int cmdi_refuse_cut(struct cmds_error *error, const struct cmdi_file *file);
/** wolfSSL has refused it with this number. Returns: -ENOMEM for that one. */
int cmdi_refuse_wolf(struct cmds_error *error, const struct cmdi_file *file, int number);
/** Returns: -ENOMEM. */
int cmdi_refuse_memory(struct cmds_error *error);

#endif
