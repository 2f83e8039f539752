/* SPDX-License-Identifier: MIT */
/* See view.h. */
#include "admin/view.h"

#include <stdio.h>
#include <sys/random.h>

#include <microhttpd.h>

/* Of this response alone, so that no other script runs in the page. Returns: false: no random bytes. */
static bool view_make_nonce(struct cmdi_admin_request *request)
{
    unsigned char random[(sizeof(request->nonce) - 1) / 2];
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        (void)snprintf(request->nonce + 2 * i, 3, "%02x", random[i]);
    }
    return true;
}

void cmdi_admin_view(struct cmdi_admin_request *request)
{
    struct cmdi_admin_out *out = &request->out;
    if (!view_make_nonce(request)) {
        cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "No random bytes yet: try again.");
        return;
    }
    request->content_type = "text/html; charset=utf-8";
    cmdi_admin_out_format(out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n<title>cmdstream</title>\n"
            "<style nonce=\"%s\">\n",
            request->nonce);
    cmdi_admin_out_bytes(out, cmdi_admin_view_css, cmdi_admin_view_css_size);
    cmdi_admin_out_format(
            out, "</style>\n</head>\n<body>\n<script nonce=\"%s\">\n", request->nonce);
    cmdi_admin_out_bytes(out, cmdi_admin_view_js, cmdi_admin_view_js_size);
    cmdi_admin_out_text(out, "</script>\n</body>\n</html>\n");
}
