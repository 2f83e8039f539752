/* SPDX-License-Identifier: MIT */
/*
 * The pages: each reads what its request asks for and writes it, as text or as JSON. The port's thread;
 * of those that ask shards the desk's.
 */
#ifndef CMDI_ADMIN_PAGES_H
#define CMDI_ADMIN_PAGES_H

#include "admin/request.h"

// Where there is nothing to show of traces.
#define CMDI_ADMIN_NO_SPANS                                                                        \
    "No spans are kept: cmds_runtime_options.trace is not set (`cmdstream serve`: --spans N)."

void cmdi_admin_page_healthz(struct cmdi_admin_request *request);
void cmdi_admin_page_readyz(struct cmdi_admin_request *request);
void cmdi_admin_page_metrics(struct cmdi_admin_request *request);
void cmdi_admin_page_status(struct cmdi_admin_request *request);
void cmdi_admin_page_connections(struct cmdi_admin_request *request);
void cmdi_admin_page_calls(struct cmdi_admin_request *request);
void cmdi_admin_page_spans(struct cmdi_admin_request *request);
void cmdi_admin_page_sampling(struct cmdi_admin_request *request);
void cmdi_admin_page_set_sampling(struct cmdi_admin_request *request);
void cmdi_admin_page_config(struct cmdi_admin_request *request);
void cmdi_admin_page_profile(struct cmdi_admin_request *request);
void cmdi_admin_page_log(struct cmdi_admin_request *request);
void cmdi_admin_page_set_log(struct cmdi_admin_request *request);
void cmdi_admin_page_drain(struct cmdi_admin_request *request);
bool cmdi_admin_can_drain(const struct cmds_admin *admin);

/** Of a page that asks the shards: `code` is what came of it. */
void cmdi_admin_refuse_list(struct cmdi_admin_request *request, int code);

#endif
