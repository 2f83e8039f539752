/* SPDX-License-Identifier: MIT */
/*
 * Subjects and issuers: sequences of attributes, each of one of a dozen types of string. They become
 * one line of text as RFC 4514 has it, last attribute first: "CN=s1,OU=east,O=Example\, Ltd".
 *
 * Two different names never give the same line, so that a program may compare them. No memory, any
 * thread.
 */
#ifndef CMDI_TLS_NAME_H
#define CMDI_TLS_NAME_H

#include <cmdstream/base.h>

#include "tls/certificate.h"
#include "tls/der.h"

/**
 * Reads a Name and checks all of it: a NUL in a string of bytes, bytes that are no UTF-8 where they
 * should be, a control character in a common name.
 *
 * Owner: *name and *common_name borrow the DER. *common_name is the last one, and empty where there
 *        is none or where it is of a type that is not UTF-8 or ASCII.
 */
CMDS_NODISCARD enum cmdi_certificate_fault cmdi_name_parse(
        struct cmdi_der *from, struct cmds_bytes *name, struct cmds_string *common_name);

/**
 * Writes the name as one line of UTF-8 without a control character: such a byte is \0A, and so is one
 * above 127 in a string that is not UTF-8. An attribute of a rare type is OID=#hex.
 *
 * `name`:  as it was parsed. `out` may be NULL if `size` is 0.
 * Returns: how long the line is, without the NUL. If that is not below `size`, `out` holds only as many
 *          whole characters as fit, which is not the name of the peer.
 */
size_t cmdi_name_text(struct cmds_bytes name, char *out, size_t size);

#endif
