/* SPDX-License-Identifier: MIT */
/*
 * What is asked of a peer's certificate beyond its chain and its dates, and the sentence for each fault.
 *
 * The TLS library has checked chain, dates and purposes; whether it looks at keyUsage, at a SHA-1
 * signature, at the size of a key, at IP addresses differs from build to build. Here it does not. No
 * memory, any thread.
 */
#ifndef CMDI_TLS_CERTIFICATE_CHECK_H
#define CMDI_TLS_CERTIFICATE_CHECK_H

#include "tls/certificate.h"

enum {
    CMDI_RSA_BITS_MIN = 2048,
    CMDI_EC_BITS_MIN = 256,
    CMDI_HOST_SIZE_MAX = 253, // Of a name of DNS, without the dot at its end.
};

/** Whose certificate is it? */
enum cmdi_certificate_owner {
    CMDI_CERTIFICATE_OF_SERVER,
    CMDI_CERTIFICATE_OF_CLIENT,
};

/** Algorithm of its signature, kind and size of its key; what it may be used for. */
CMDS_NODISCARD enum cmdi_certificate_fault cmdi_certificate_check(
        const struct cmdi_certificate *certificate, enum cmdi_certificate_owner owner);
/**
 * The same of a CA above it: for what those below it may be used. That it is a CA, and may sign, is
 * wolfSSL's to find.
 */
CMDS_NODISCARD enum cmdi_certificate_fault cmdi_certificate_check_ca(
        const struct cmdi_certificate *ca, enum cmdi_certificate_owner owner);

/** Labels of letters, digits, '-', '_' with dots between them; no address; no dot at the end. */
bool cmdi_host_is_dns_name(struct cmds_string name);

/**
 * Is it the certificate of this host? Only subjectAltName counts.
 *
 * An IP address in its usual form, without brackets or scope, is compared with IP entries, bit by bit.
 * Everything else is compared with DNS entries: ASCII, upper or lower case, a dot at the end of `host`
 * left out. "*." at the start of an entry stands for exactly one label. A `host` that is no name of DNS
 * (empty, with an empty label, with a character other than letters, digits, '-', '_', with a number as
 * its last label) is nobody's.
 */
CMDS_NODISCARD enum cmdi_certificate_fault cmdi_certificate_check_host(
        const struct cmdi_certificate *certificate, const char *host);

/**
 * Writes one sentence without a full stop, with what it was and what was wanted: "its certificate
 * (CN=s1) is for a.example, not b.example".
 *
 * `depth`: 0: its own; 1: "certificate 2 of its chain", and so on.
 * `host`:  what cmdi_certificate_check_host() was asked for; may be NULL for all other faults.
 * Returns: as cmdi_name_text().
 */
size_t cmdi_certificate_fault_text(const struct cmdi_certificate *certificate,
        enum cmdi_certificate_fault fault, unsigned depth, const char *host, char *out,
        size_t size);

#endif
