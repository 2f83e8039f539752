/* SPDX-License-Identifier: MIT */
/*
 * Certificates for the tests of src/tls: those that `openssl` made, by name, and those that a test puts
 * together out of parts of DER, to have one part wrong.
 */
#ifndef CMDI_TESTS_SUPPORT_TLS_H
#define CMDI_TESTS_SUPPORT_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

/** A literal as bytes, NUL bytes within it too. */
#define BYTES(literal) tls_bytes(literal, sizeof(literal) - 1)
static inline struct cmds_bytes tls_bytes(const char *data, size_t size)
{
    return (struct cmds_bytes){data, size};
}

/** Gives a block of exactly its size, for free(). Aborts if there is no such vector. */
struct cmds_bytes tls_vector(const char *name);
/** Its name; NULL: there are no more. */
const char *tls_vector_name(size_t index);

/* What follows lives in one block of memory until tls_build_reset(). */
void tls_build_reset(void);
/** Tag, shortest length, content. */
struct cmds_bytes tls_der(uint8_t tag, struct cmds_bytes content);
/** One behind the other. */
struct cmds_bytes tls_join(struct cmds_bytes first, struct cmds_bytes second);
/** The same element so many times. */
struct cmds_bytes tls_repeat(struct cmds_bytes element, size_t count);
/** SEQUENCE of an OID (its content) and a value (DER), in a SET: one part of a name. */
struct cmds_bytes tls_attribute(struct cmds_bytes oid, struct cmds_bytes value);
/** An extension of this OID (its content) with this DER in it. */
struct cmds_bytes tls_extension(struct cmds_bytes oid, struct cmds_bytes value);
/** subjectAltName with these names. */
struct cmds_bytes tls_alt_names(struct cmds_bytes names);

/** Of a certificate, each as DER; one without data is left out. */
struct tls_parts {
    struct cmds_bytes version, serial, algorithm, issuer, validity, subject, key, unique_ids;
    struct cmds_bytes extensions; // Those within [3] and its SEQUENCE.
    struct cmds_bytes body_tail;  // Behind the extensions.
    struct cmds_bytes algorithm_again, signature, tail;
};
/** A right one: version 3, P-256, for the host a. */
struct tls_parts tls_parts(void);
struct cmds_bytes tls_build(const struct tls_parts *parts);

#endif
