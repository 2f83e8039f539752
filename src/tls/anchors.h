/* SPDX-License-Identifier: MIT */
/*
 * The CAs that we hold ourselves, known again by name and key, as RFC 5280 has it: the same CA comes in
 * other certificates too, one that an older CA has signed, say. Nothing that a peer sends makes one.
 *
 * Filled by one thread, then constant.
 */
#ifndef CMDI_TLS_ANCHORS_H
#define CMDI_TLS_ANCHORS_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/certificate.h"

struct cmdi_anchor;

struct cmdi_anchors {
    struct cmdi_anchor *all; // Owned.
    size_t count, room;
};

/** Returns: 0; -ENOMEM. */
int cmdi_anchors_add(struct cmdi_anchors *anchors, const struct cmdi_certificate *ca);
void cmdi_anchors_fini(struct cmdi_anchors *anchors);

/** Is it one of them, by name and key? */
bool cmdi_anchors_have(
        const struct cmdi_anchors *anchors, const struct cmdi_certificate *certificate);
/**
 * Is one of this name good at this time, in seconds since 1970? Dates were asked for when they were read.
 *
 * `subject`: DER. *constrains_more: set if it is so of one of them, as of a struct cmdi_certificate.
 */
bool cmdi_anchors_have_name(const struct cmdi_anchors *anchors, struct cmds_bytes subject,
        int64_t now_s, bool *constrains_more);

#endif
