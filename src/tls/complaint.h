/* SPDX-License-Identifier: MIT */
/*
 * The sentence for a certificate that was refused, whoever has refused it: wolfSSL, in one of two
 * numberings, or we. The same for every build of wolfSSL.
 *
 * No memory, any thread.
 */
#ifndef CMDI_TLS_COMPLAINT_H
#define CMDI_TLS_COMPLAINT_H

#include <stddef.h>

#include "tls/verify.h"

/**
 * For a check that has failed for other than memory: "its certificate (CN=s1) has expired: it was good
 * until 2024-02-29", with what helps.
 */
void cmdi_complaint_write(const struct cmdi_verify *verify, char *out, size_t size);

#endif
