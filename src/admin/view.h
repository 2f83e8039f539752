/* SPDX-License-Identifier: MIT */
/*
 * What a browser gets, the same for each page: a script that fetches the page's JSON once a second and
 * draws it. It comes with its style, and asks for nothing elsewhere.
 */
#ifndef CMDI_ADMIN_VIEW_H
#define CMDI_ADMIN_VIEW_H

#include "admin/request.h"

/* view/view.css and view/view.js as the build has found them. */
extern const unsigned char cmdi_admin_view_css[], cmdi_admin_view_js[];
extern const size_t cmdi_admin_view_css_size, cmdi_admin_view_js_size;

void cmdi_admin_view(struct cmdi_admin_request *request);

#endif
