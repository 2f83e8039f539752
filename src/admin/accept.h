/* SPDX-License-Identifier: MIT */
/*
 * Which of several forms a peer likes best: the header Accept. Bytes in, values out; any thread.
 */
#ifndef CMDI_ADMIN_ACCEPT_H
#define CMDI_ADMIN_ACCEPT_H

#include <stdint.h>

enum {
    CMDI_ADMIN_OFFERS_MAX = 4,
};

/** A form that we have: "text/plain" and "version=0.0.4;charset=utf-8", whose values have no quotes. */
struct cmdi_admin_offer {
    const char *type;
    const char *parameters; // "": none.
};

/**
 * The offer of the highest quality; among equals the one that was named most closely, then the first. A
 * parameter that is asked for and that the offer has must be the same; others do not matter.
 *
 * Returns: its index; 0 if `accept` is NULL, or takes none of them.
 */
uint32_t cmdi_admin_accept(
        const char *accept, const struct cmdi_admin_offer *offers, uint32_t count);

#endif
