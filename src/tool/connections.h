/* SPDX-License-Identifier: MIT */
/*
 * The connections of a service as `cmdstream top` shows them: of the JSON of cmdstream_admin's page /connections. A
 * column is as wide as what stands in it, and one that says nothing is left out, so that a row fits on a usual screen.
 */
#ifndef CMDSTREAM_TOOL_CONNECTIONS_H
#define CMDSTREAM_TOOL_CONNECTIONS_H

#include <jansson.h>

#include "table.h"

/**
 * Reads what `text` says. Owner: gives: json_decref(). Returns: NULL, and `why` (TOOL_HTTP_TEXT_SIZE bytes), if it is no
 * such JSON.
 */
json_t *tool_connections_parse(const char *text, size_t size, char *why);
/** All that there is room for, and how many more there are. Owner: borrows. */
void tool_connections_print(struct tool_table *table, const json_t *root);

#endif
