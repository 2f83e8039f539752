/* SPDX-License-Identifier: MIT */
/*
 * The extensions of a certificate that somebody asks for: subjectAltName, keyUsage, extendedKeyUsage,
 * basicConstraints. The others are counted and skipped. No memory, any thread.
 */
#ifndef CMDI_TLS_EXTENSIONS_H
#define CMDI_TLS_EXTENSIONS_H

#include "tls/certificate.h"
#include "tls/der.h"

/** `from`: what [3] holds. */
enum cmdi_certificate_fault cmdi_extensions_parse(
        struct cmdi_der from, struct cmdi_certificate *certificate);
/** The next name of subjectAltName. *from is moved only if it is right. */
enum cmdi_certificate_fault cmdi_extensions_alt_name(
        struct cmdi_der *from, struct cmdi_alt_name *name);

#endif
