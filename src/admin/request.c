/* SPDX-License-Identifier: MIT */
/* See request.h. */
#include "admin/request.h"

#include <microhttpd.h>

const char *cmdi_admin_argument(const struct cmdi_admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *cmdi_admin_header(const struct cmdi_admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

void cmdi_admin_refuse(struct cmdi_admin_request *request, uint32_t status, const char *sentence)
{
    cmdi_admin_out_free(&request->out);
    request->status = status;
    request->content_type = "text/plain; charset=utf-8";
    request->nonce[0] = '\0';
    cmdi_admin_out_text(&request->out, sentence);
    cmdi_admin_out_text(&request->out, "\n");
}
