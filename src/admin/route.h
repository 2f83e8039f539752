/* SPDX-License-Identifier: MIT */
/*
 * From a request to its page, and back. The port's thread.
 */
#ifndef CMDI_ADMIN_ROUTE_H
#define CMDI_ADMIN_ROUTE_H

#include <stdbool.h>

#include <microhttpd.h>

#include "admin/request.h"

/**
 * Finds the page, and looks at who asks for it and how. Returns: false: it is refused, and `request` holds
 * the answer.
 */
bool cmdi_admin_route(struct cmdi_admin_request *request, const char *path, const char *method);
/** Runs the page of a request that has come whole. */
void cmdi_admin_serve(struct cmdi_admin_request *request);
/** Queues the answer. Returns: MHD_NO: no memory; the connection ends. */
enum MHD_Result cmdi_admin_respond(struct cmdi_admin_request *request);

#endif
