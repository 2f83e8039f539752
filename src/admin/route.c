/* SPDX-License-Identifier: MIT */
/* See route.h. */
#include "admin/route.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "admin/accept.h"
#include "admin/admin.h"
#include "admin/common.h"
#include "admin/guard.h"
#include "admin/view.h"

static const struct cmdi_admin_offer forms[] = {
        [CMDI_ADMIN_TEXT] = {"text/plain", ""},
        [CMDI_ADMIN_JSON] = {"application/json", ""},
        [CMDI_ADMIN_HTML] = {"text/html", ""},
};
enum {
    FORM_COUNT = sizeof(forms) / sizeof(forms[0]),
    STRANGER_SIZE_MAX = 64, // Of a parameter that nobody knows, in the answer.
};

/* --- Before the body is read ------------------------------------------------------------------ */

static bool is_shown(const struct cmdi_admin_page *page, const struct cmdi_admin_request *request,
        const char *path)
{
    return (page->places & request->port->place) != 0 && strcmp(page->path, path) == 0 &&
           (page->is_there == NULL || page->is_there(request->admin));
}

/* What is read and what changes it may have the same path; else the method is the wrong one. */
static const struct cmdi_admin_page *find_page(
        const struct cmdi_admin_request *request, const char *path, bool is_change)
{
    const struct cmdi_admin_page *found = NULL;
    for (const struct cmdi_admin_page *page = request->admin->pages; page->path != NULL; page++) {
        if (is_shown(page, request, path) && (found == NULL || page->is_change == is_change)) {
            found = page;
        }
    }
    return found;
}

static enum MHD_Result count_value(
        void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    (void)value;
    *(uint32_t *)context += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    return MHD_YES;
}

/* Of the private place. A UNIX socket too: `ssh -L` makes it a port, for any page in that browser. */
static bool comes_from_here(struct cmdi_admin_request *request)
{
    uint32_t hosts = 0;
    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_value, &hosts);
    const char *host = cmdi_admin_header(request, MHD_HTTP_HEADER_HOST);
    if (hosts != 1 || !cmdi_admin_host_is_local(host)) {
        cmdi_admin_refuse(request, MHD_HTTP_FORBIDDEN,
                "This page is asked for as localhost, 127.0.0.1 or [::1], by no other name.");
        return false;
    }
    if (!cmdi_admin_origin_is(cmdi_admin_header(request, MHD_HTTP_HEADER_ORIGIN), host)) {
        cmdi_admin_refuse(request, MHD_HTTP_FORBIDDEN, "The page of another site asks for this.");
        return false;
    }
    return true;
}

static bool may_change(struct cmdi_admin_request *request)
{
    if (!request->admin->allow_changes) {
        cmdi_admin_refuse(request, MHD_HTTP_FORBIDDEN,
                "Changes are not allowed here: cmds_admin_options.allow_changes is not set "
                "(`cmdstream serve`: --admin-changes).");
        return false;
    }
    if (!cmdi_admin_is_json(cmdi_admin_header(request, MHD_HTTP_HEADER_CONTENT_TYPE))) {
        cmdi_admin_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                "A change is a POST with Content-Type: application/json.");
        return false;
    }
    return true;
}

static bool choose_form(struct cmdi_admin_request *request)
{
    static const char *const names[FORM_COUNT] = {"text", "json", "html"};
    const char *name = cmdi_admin_argument(request, "format");
    if (name == NULL) {
        request->form = cmdi_admin_accept(
                cmdi_admin_header(request, MHD_HTTP_HEADER_ACCEPT), forms, FORM_COUNT);
        return true;
    }
    for (uint32_t i = 0; i < FORM_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            request->form = i;
            return true;
        }
    }
    cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, "format is text, json or html.");
    return false;
}

/* --- The query -------------------------------------------------------------------------------- */

/* One of "by, empty". */
static bool is_listed(const char *list, const char *name, size_t name_size)
{
    for (const char *at = list; at != NULL && *at != '\0'; at += strspn(at, ", ")) {
        size_t size = strcspn(at, ",");
        if (size == name_size && memcmp(at, name, size) == 0) {
            return true;
        }
        at += size;
    }
    return false;
}

struct stranger {
    const struct cmdi_admin_page *page;
    const char *name; // The first parameter that the page does not know. NULL: none.
    size_t size;
};

static enum MHD_Result find_stranger(void *context, enum MHD_ValueKind kind, const char *name,
        size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    (void)value;
    (void)value_size;
    struct stranger *stranger = context;
    const struct cmdi_admin_page *page = stranger->page;
    bool is_known = name_size == 0 || is_listed(page->arguments, name, name_size) ||
                    (page->has_forms && is_listed("format", name, name_size));
    if (!is_known) {
        stranger->name = name;
        stranger->size = name_size;
    }
    return is_known ? MHD_YES : MHD_NO;
}

/*
 * A parameter that means nothing here is a mistake of whoever asks: "?emtpy=1" would be answered, and be
 * something else than was asked for. But a scrape with one parameter too many, of a configuration that many
 * targets share or of another version, must not end in no figures at all. Every scraper of Prometheus' kind
 * says in a header that it is one.
 */
static bool knows_its_arguments(struct cmdi_admin_request *request)
{
    const struct cmdi_admin_page *page = request->page;
    struct stranger stranger = {.page = page};
    struct cmdi_admin_out *out = &request->out;
    if (page->is_probe ||
            cmdi_admin_header(request, "X-Prometheus-Scrape-Timeout-Seconds") != NULL) {
        return true;
    }
    (void)MHD_get_connection_values_n(
            request->connection, MHD_GET_ARGUMENT_KIND, find_stranger, &stranger);
    if (stranger.name == NULL) {
        return true;
    }
    size_t size = stranger.size < STRANGER_SIZE_MAX ? stranger.size : STRANGER_SIZE_MAX;
    cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, NULL);
    cmdi_admin_out_plain(out, (struct cmds_string){stranger.name, size});
    cmdi_admin_out_text(out, " is no parameter of this page; ");
    cmdi_admin_out_text(
            out, page->arguments != NULL || page->has_forms ? "it has " : "it has none");
    cmdi_admin_out_text(out, page->arguments != NULL ? page->arguments : "");
    cmdi_admin_out_text(out, page->arguments != NULL && page->has_forms ? ", " : "");
    cmdi_admin_out_text(out, page->has_forms ? "format.\n" : ".\n");
    return false;
}

/* --- All of it -------------------------------------------------------------------------------- */

/* The metrics port has no list of its few pages, so that the refusal is one. */
static void refuse_path(struct cmdi_admin_request *request)
{
    struct cmdi_admin_out *out = &request->out;
    if (request->port->place == CMDI_ADMIN_PRIVATE) {
        cmdi_admin_refuse(request, MHD_HTTP_NOT_FOUND,
                "There is no such page; / lists those that there are.");
        return;
    }
    cmdi_admin_refuse(request, MHD_HTTP_NOT_FOUND, NULL);
    cmdi_admin_out_text(out, "There is no such page; there are");
    const char *comma = " ";
    for (const struct cmdi_admin_page *page = request->admin->pages; page->path != NULL; page++) {
        if (is_shown(page, request, page->path)) {
            cmdi_admin_out_text(out, comma);
            cmdi_admin_out_text(out, page->path);
            comma = ", ";
        }
    }
    cmdi_admin_out_text(out, ".\n");
}

bool cmdi_admin_route(struct cmdi_admin_request *request, const char *path, const char *method)
{
    enum cmdi_admin_place place = request->port->place;
    if (place == CMDI_ADMIN_PRIVATE && !comes_from_here(request)) {
        return false;
    }
    bool is_get =
            strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    bool is_post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    request->page = find_page(request, path, is_post);
    if (request->page == NULL) {
        refuse_path(request);
        return false;
    }
    if (request->page->is_change ? !is_post : !is_get) {
        cmdi_admin_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                request->page->is_change ? "This changes something: POST." : "This is read: GET.");
        return false;
    }
    return (!request->page->is_change || may_change(request)) && knows_its_arguments(request) &&
           (!request->page->has_forms || choose_form(request));
}

/* --- The answer ------------------------------------------------------------------------------- */

void cmdi_admin_serve(struct cmdi_admin_request *request)
{
    if (request->is_too_large) {
        cmdi_admin_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "That is too much.");
        return;
    }
    request->status = MHD_HTTP_OK;
    request->content_type =
            request->form == CMDI_ADMIN_JSON ? "application/json" : "text/plain; charset=utf-8";
    if (request->form == CMDI_ADMIN_HTML) {
        cmdi_admin_view(request);
    } else {
        request->page->fn(request);
    }
}

static bool add_headers(const struct cmdi_admin_request *request, struct MHD_Response *response)
{
    static const char *const always[][2] = {
            {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
            {MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff"},
            {"Referrer-Policy", "no-referrer"},
            {MHD_HTTP_HEADER_X_FRAME_OPTIONS, "DENY"},
    };
    char policy[256] = "default-src 'none'; frame-ancestors 'none'";
    if (request->nonce[0] != '\0') {
        (void)snprintf(policy, sizeof(policy),
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
                "connect-src 'self'; style-src 'nonce-%s'; script-src 'nonce-%s'",
                request->nonce, request->nonce);
    }
    bool done = MHD_add_response_header(
                        response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type) == MHD_YES &&
                MHD_add_response_header(
                        response, MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, policy) == MHD_YES;
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        done = done && MHD_add_response_header(response, always[i][0], always[i][1]) == MHD_YES;
    }
    if (request->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        const char *path = request->page->path;
        bool may_read = !find_page(request, path, false)->is_change;
        bool may_change = find_page(request, path, true)->is_change;
        done = done && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                               may_read && may_change ? "GET, HEAD, POST"
                               : may_change           ? "POST"
                                                      : "GET, HEAD") == MHD_YES;
    }
    return done;
}

enum MHD_Result cmdi_admin_respond(struct cmdi_admin_request *request)
{
    CMDI_ADMIN_ASSERT(request->status >= 200 && request->content_type != NULL);
    if (request->out.failed) {
        cmdi_admin_out_free(&request->out);
        return MHD_NO;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
            request->out.size, request->out.data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        cmdi_admin_out_free(&request->out);
        return MHD_NO;
    }
    request->out = (struct cmdi_admin_out){0}; // It is the response's.
    enum MHD_Result result = MHD_NO;
    if (add_headers(request, response)) {
        result = MHD_queue_response(request->connection, request->status, response);
    }
    MHD_destroy_response(response);
    return result;
}
