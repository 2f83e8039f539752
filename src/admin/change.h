/* SPDX-License-Identifier: MIT */
/*
 * Whoever changes a running service is named in its log: of what they did the service itself may show nothing
 * later. The thread that serves the request.
 */
#ifndef CMDI_ADMIN_CHANGE_H
#define CMDI_ADMIN_CHANGE_H

#include "admin/request.h"

/**
 * One line of the level WARN about a change that this request makes: "log level from warn to debug". Who asks stands
 * in front, as far as the kernel says. Owner: borrows.
 */
void cmdi_admin_log_change(const struct cmdi_admin_request *request, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#endif
