/* SPDX-License-Identifier: MIT */
/* See request.h. */
#include "admin/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

const char *cmdi_admin_argument(const struct cmdi_admin_request *request, const char *name)
{
    const char *value = NULL;
    bool is_there = MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                            strlen(name), &value, NULL) == MHD_YES;
    return is_there && value == NULL ? "" : value; // "?by" is not nothing.
}

bool cmdi_admin_argument_number(
        struct cmdi_admin_request *request, const char *name, size_t max, size_t *number)
{
    const char *text = cmdi_admin_argument(request, name);
    if (text == NULL) {
        return true;
    }
    size_t digits = strspn(text, "0123456789");
    bool is_number = digits > 0 && digits < 12 && text[digits] == '\0';
    size_t value = is_number ? strtoul(text, NULL, 10) : SIZE_MAX;
    if (value > max) {
        char sentence[80];
        (void)snprintf(sentence, sizeof(sentence), "%s is a number, at most %zu.", name, max);
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, sentence);
        return false;
    }
    *number = value;
    return true;
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
    if (sentence != NULL) {
        cmdi_admin_out_text(&request->out, sentence);
        cmdi_admin_out_text(&request->out, "\n");
    }
}
