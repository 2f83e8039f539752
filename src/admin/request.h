/* SPDX-License-Identifier: MIT */
/*
 * What a page is given, and what it gives. The port's thread; of a page that asks shards the desk's, as
 * long as its connection is suspended.
 */
#ifndef CMDI_ADMIN_REQUEST_H
#define CMDI_ADMIN_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/out.h"

struct MHD_Connection;
struct cmdi_admin_port;
struct cmds_admin;

enum {
    CMDI_ADMIN_BODY_SIZE_MAX = 1024, // Of a request.
};

enum cmdi_admin_form {
    CMDI_ADMIN_TEXT, // Also what a page has that comes in one form alone.
    CMDI_ADMIN_JSON,
    CMDI_ADMIN_HTML,
};

struct cmdi_admin_request {
    struct cmds_admin *admin;
    struct cmdi_admin_port *port;
    struct MHD_Connection *connection; // Whose headers and arguments these are.
    const struct cmdi_admin_page *page;
    enum cmdi_admin_form form;
    bool is_too_large; // More came than `body` has room for.
    bool is_served;    // The answer is there.
    size_t body_size;
    char body[CMDI_ADMIN_BODY_SIZE_MAX];

    /* The answer. */
    uint32_t status;
    const char *content_type; // Static.
    char nonce[33];           // Of the scripts and styles in `out`; "": there are none.
    struct cmdi_admin_out out;
};

enum cmdi_admin_place {
    CMDI_ADMIN_METRICS = 1, // A set of bits: where a page is shown.
    CMDI_ADMIN_PRIVATE = 2,
};

struct cmdi_admin_page {
    const char *path;
    const char *about; // What the list of pages says of it.
    // What its query may have, as "by, empty"; `format` goes without saying if it has_forms. NULL: nothing else.
    const char *arguments;
    uint8_t places;   // enum cmdi_admin_place
    bool is_change;   // POST, else GET.
    bool has_forms;   // Text, JSON and HTML; else it says by itself what it is.
    bool asks_shards; // It waits for them, but for its HTML: written at the desk.
    bool is_probe;    // A machine asks it whether all is well: no query makes that worse.
    void (*fn)(struct cmdi_admin_request *request);
    /** NULL: it is always there. */
    bool (*is_there)(const struct cmds_admin *admin);
};

/** An argument of the query ("by" in "?by=shard"). Returns: NULL: it is not there. */
const char *cmdi_admin_argument(const struct cmdi_admin_request *request, const char *name);
/**
 * One that is a number; *number stays as it is without it. Returns: false: it is none, or above `max`, and the
 * request is refused.
 */
bool cmdi_admin_argument_number(
        struct cmdi_admin_request *request, const char *name, size_t max, size_t *number);
/** The first header of this name. Returns: NULL: it is not there. */
const char *cmdi_admin_header(const struct cmdi_admin_request *request, const char *name);
/** A sentence instead of the page; NULL: the caller writes it. */
void cmdi_admin_refuse(struct cmdi_admin_request *request, uint32_t status, const char *sentence);

#endif
