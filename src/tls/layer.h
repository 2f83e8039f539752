/* SPDX-License-Identifier: MIT */
/*
 * The table of functions that a connection uses: conn/security.h, by wolfSSL.
 */
#ifndef CMDI_TLS_LAYER_H
#define CMDI_TLS_LAYER_H

#include "conn/security.h"

extern const struct cmdi_security cmdi_tls_security;

#endif
