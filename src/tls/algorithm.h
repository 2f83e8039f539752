/* SPDX-License-Identifier: MIT */
/*
 * The two places of a certificate that name an algorithm by its OID: how it is signed, and what its
 * key is. An OID that is not in the tables is no error here, only unknown. No memory, any thread.
 */
#ifndef CMDI_TLS_ALGORITHM_H
#define CMDI_TLS_ALGORITHM_H

#include "tls/certificate.h"
#include "tls/der.h"

/** An AlgorithmIdentifier: sets signature and signature_name. Returns: false: broken. */
bool cmdi_algorithm_signature(struct cmdi_der *from, struct cmdi_certificate *certificate);
/** A SubjectPublicKeyInfo: sets key, key_name, key_bits, public_key. Returns: false: broken. */
bool cmdi_algorithm_key(struct cmdi_der *from, struct cmdi_certificate *certificate);

#endif
