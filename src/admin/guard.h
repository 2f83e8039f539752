/* SPDX-License-Identifier: MIT */
/*
 * Who may ask on the private listener. Any web page may make a browser of this machine send a request to a
 * port of the loopback interface, and to a UNIX socket that `ssh -L` has made one: by a name of its own that
 * it lets point to 127.0.0.1, which the header Host gives away, or by a form, which the headers Origin and
 * Content-Type do. Bytes in, values out; any thread.
 */
#ifndef CMDI_ADMIN_GUARD_H
#define CMDI_ADMIN_GUARD_H

#include <stdbool.h>

/** "localhost", "127.0.0.1", "[::1]", with or without a port. NULL is none. */
bool cmdi_admin_host_is_local(const char *host);
/** The page that asks came from `host` itself, or it is no page that asks (NULL). */
bool cmdi_admin_origin_is(const char *origin, const char *host);
/** "application/json", with or without parameters: no form can send that. NULL is not. */
bool cmdi_admin_is_json(const char *content_type);

#endif
