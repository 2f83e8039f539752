/* SPDX-License-Identifier: MIT */
/* The list of the pages. Nothing but the object knows it by name: a page may show the list that it is in. */
#include "admin/admin.h"
#include "admin/pages.h"

const struct cmdi_admin_page cmdi_admin_pages[] = {
        {.path = "/healthz",
                .about = "the process lives",
                .places = CMDI_ADMIN_METRICS,
                .fn = cmdi_admin_page_healthz},
        {.path = "/readyz",
                .about = "it takes new work, 503 from the first moment of a drain",
                .places = CMDI_ADMIN_METRICS,
                .fn = cmdi_admin_page_readyz},
        {.path = "/",
                .about = "the same as /status",
                .places = CMDI_ADMIN_PRIVATE,
                .has_forms = true,
                .fn = cmdi_admin_page_status},
        {.path = "/status",
                .about = "what runs, since when, on what",
                .places = CMDI_ADMIN_PRIVATE,
                .has_forms = true,
                .fn = cmdi_admin_page_status},
        {.path = "/profile",
                .about = "how to look at its threads with perf and bpftrace",
                .places = CMDI_ADMIN_PRIVATE,
                .has_forms = true,
                .fn = cmdi_admin_page_profile},
        {.path = "/drain",
                .about = "POST {}: ends what runs, and takes no new work",
                .places = CMDI_ADMIN_PRIVATE,
                .is_change = true,
                .fn = cmdi_admin_page_drain,
                .is_there = cmdi_admin_can_drain},
        {.path = NULL},
};
