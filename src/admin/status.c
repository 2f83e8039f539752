/* SPDX-License-Identifier: MIT */
/* The page / and /status: what runs, since when, on what. */
#include <unistd.h>

#include "admin/admin.h"
#include "admin/common.h"
#include "admin/pages.h"

enum {
    STATUS_DESCRIPTION_SIZE = 1024,
};

static double uptime_s(const struct cmds_admin *admin)
{
    return (double)(cmdi_admin_now_ns() - admin->start_ns) / 1e9;
}

static const struct cmdi_admin_page *next_page(
        const struct cmds_admin *admin, const struct cmdi_admin_page *page)
{
    while (page->path != NULL && ((page->places & CMDI_ADMIN_PRIVATE) == 0 ||
                                         (page->is_there != NULL && !page->is_there(admin)) ||
                                         (page->is_change && !admin->allow_changes))) {
        page++;
    }
    return page;
}

static void status_text(struct cmdi_admin_request *request, const char *description)
{
    struct cmds_admin *admin = request->admin;
    struct cmdi_admin_out *out = &request->out;
    uint64_t seconds = (uint64_t)uptime_s(admin);
    cmdi_admin_out_format(out, "cmdstream %s  pid %d  up %llud %02lluh %02llum %02llus%s\n",
            cmds_version(), (int)getpid(), (unsigned long long)(seconds / 86400),
            (unsigned long long)(seconds / 3600 % 24), (unsigned long long)(seconds / 60 % 60),
            (unsigned long long)(seconds % 60),
            cmds_runtime_is_draining(admin->runtime) ? "  DRAINING" : "");
    cmdi_admin_out_plain(out, cmds_string_from(description));
    cmdi_admin_out_text(out, "\n\n");
    for (const struct cmdi_admin_page *page = next_page(admin, admin->pages); page->path != NULL;
            page = next_page(admin, page + 1)) {
        cmdi_admin_out_format(out, "%-14s %s\n", page->path, page->about);
    }
}

static void status_json(struct cmdi_admin_request *request, const char *description)
{
    struct cmds_admin *admin = request->admin;
    struct cmdi_admin_out *out = &request->out;
    cmdi_admin_out_format(out,
            "{\"version\":\"%s\",\"pid\":%d,\"uptime_s\":%.3f,\"draining\":%s,\"shard_count\":%u,",
            cmds_version(), (int)getpid(), uptime_s(admin),
            cmds_runtime_is_draining(admin->runtime) ? "true" : "false",
            cmds_runtime_shard_count(admin->runtime));
    cmdi_admin_out_text(out, "\"description\":");
    cmdi_admin_out_json(out, cmds_string_from(description));
    cmdi_admin_out_text(out, ",\"pages\":[");
    const char *comma = "";
    for (const struct cmdi_admin_page *page = next_page(admin, admin->pages); page->path != NULL;
            page = next_page(admin, page + 1)) {
        cmdi_admin_out_format(out, "%s{\"path\":\"%s\",\"is_change\":%s,\"about\":", comma,
                page->path, page->is_change ? "true" : "false");
        cmdi_admin_out_json(out, cmds_string_from(page->about));
        cmdi_admin_out_text(out, "}");
        comma = ",";
    }
    cmdi_admin_out_text(out, "]}\n");
}

void cmdi_admin_page_status(struct cmdi_admin_request *request)
{
    char description[STATUS_DESCRIPTION_SIZE];
    (void)cmds_runtime_describe(request->admin->runtime, description, sizeof(description));
    if (request->form == CMDI_ADMIN_JSON) {
        status_json(request, description);
    } else {
        status_text(request, description);
    }
}
