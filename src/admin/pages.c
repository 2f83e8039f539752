/* SPDX-License-Identifier: MIT */
/* See pages.h: the small ones. */
#include "admin/pages.h"

#include <string.h>

#include <microhttpd.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/parse.h"

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

void cmdi_admin_page_drain(struct cmdi_admin_request *request)
{
    struct cmds_admin *admin = request->admin;
    const struct cmdi_admin_member none = {.name = NULL};
    if (!cmdi_admin_parse(request->body, request->body_size, &none)) {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, "A drain takes no members: {}.");
        return;
    }
    if (!admin->was_asked_to_drain && !cmds_runtime_is_draining(admin->runtime)) {
        cmdi_admin_log_change(request, "drain");
        admin->on_drain(admin->context);
    }
    admin->was_asked_to_drain = true;
    request->status = MHD_HTTP_ACCEPTED;
    request->content_type = "application/json";
    cmdi_admin_out_text(&request->out, "{\"drain\":\"asked for\"}\n");
}

/* --- Log -------------------------------------------------------------------------------------- */

void cmdi_admin_page_log(struct cmdi_admin_request *request)
{
    const char *name = cmds_log_level_name(cmds_runtime_log_level(request->admin->runtime));
    if (request->form == CMDI_ADMIN_JSON) {
        cmdi_admin_out_format(&request->out, "{\"level\":\"%s\"}\n", name);
    } else {
        cmdi_admin_out_format(&request->out,
                "level: %s\nPOST {\"level\":\"debug\"}, info, warn or error changes it.\n", name);
    }
}

/* The line about the change passes by the old level or by the new one, by whichever lets more pass. */
static int set_level(struct cmdi_admin_request *request, enum cmds_log_level wanted)
{
    struct cmds_runtime *runtime = request->admin->runtime;
    enum cmds_log_level before = cmds_runtime_log_level(runtime);
    static const char line[] = "log level from %s to %s";
    if (wanted == before) {
        return 0;
    }
    if (wanted > before) {
        cmdi_admin_log_change(
                request, line, cmds_log_level_name(before), cmds_log_level_name(wanted));
    }
    int code = cmds_runtime_set_log_level(runtime, wanted);
    if (code == 0 && wanted < before) {
        cmdi_admin_log_change(
                request, line, cmds_log_level_name(before), cmds_log_level_name(wanted));
    }
    return code;
}

void cmdi_admin_page_set_log(struct cmdi_admin_request *request)
{
    char word[16];
    const struct cmdi_admin_member level = {.name = "level", .value = word, .size = sizeof(word)};
    enum cmds_log_level wanted;
    if (cmdi_admin_parse(request->body, request->body_size, &level) &&
            cmds_log_level_from(&wanted, word) == 0 && set_level(request, wanted) == 0) {
        request->form = CMDI_ADMIN_JSON;
        request->content_type = "application/json";
        cmdi_admin_page_log(request);
        return;
    }
    cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST,
            "{\"level\":\"debug\"}, or info, warn, error, and nothing else.");
}
