/* SPDX-License-Identifier: MIT */
/* See pages.h: the small ones. */
#include "admin/pages.h"

#include <string.h>

#include <microhttpd.h>

#include "admin/admin.h"

/* --- Health ----------------------------------------------------------------------------------- */

void cmdi_admin_page_healthz(struct cmdi_admin_request *request)
{
    cmdi_admin_out_text(&request->out, "ok\n");
}

void cmdi_admin_page_readyz(struct cmdi_admin_request *request)
{
    if (cmds_runtime_is_draining(request->admin->runtime)) {
        cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "draining");
        return;
    }
    cmdi_admin_out_text(&request->out, "ready\n");
}

/* --- Drain ------------------------------------------------------------------------------------ */

bool cmdi_admin_can_drain(const struct cmds_admin *admin)
{
    return admin->on_drain != NULL;
}

/* Nothing but blanks, or an object without members: what it might ask for is not there. */
static bool is_empty_object(const char *body, size_t size)
{
    char marks[3] = "";
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (strchr(" \t\r\n", body[i]) == NULL || body[i] == '\0') {
            if (count == 2) {
                return false;
            }
            marks[count++] = body[i];
        }
    }
    return count == 0 || strcmp(marks, "{}") == 0;
}

void cmdi_admin_page_drain(struct cmdi_admin_request *request)
{
    struct cmds_admin *admin = request->admin;
    if (!is_empty_object(request->body, request->body_size)) {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, "A drain takes no members: {}.");
        return;
    }
    if (!admin->was_asked_to_drain && !cmds_runtime_is_draining(admin->runtime)) {
        admin->on_drain(admin->context);
    }
    admin->was_asked_to_drain = true;
    request->status = MHD_HTTP_ACCEPTED;
    request->content_type = "application/json";
    cmdi_admin_out_text(&request->out, "{\"drain\":\"asked for\"}\n");
}
