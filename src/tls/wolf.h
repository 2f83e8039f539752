/* SPDX-License-Identifier: MIT */
/*
 * wolfSSL's headers, in the one order that works: options.h says how the library was built, and without
 * it the structs of the others have other sizes. Only files of this folder include it.
 */
#ifndef CMDI_TLS_WOLF_H
#define CMDI_TLS_WOLF_H

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>

#endif
