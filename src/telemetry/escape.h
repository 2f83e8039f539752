/* SPDX-License-Identifier: MIT */
/*
 * Text that anybody may have chosen, for a place between quotes.
 */
#ifndef CMDI_TELEMETRY_ESCAPE_H
#define CMDI_TELEMETRY_ESCAPE_H

#include <cmdstream/base.h>

#include "telemetry/output.h"

enum cmdi_escape {
    CMDI_ESCAPE_QUOTED, // \\ \" \n, as in labels of Prometheus; other control characters become '?'.
    CMDI_ESCAPE_LINE,   // \\ \n, as in HELP of text format 0.0.4; the same.
    CMDI_ESCAPE_JSON,   // As JSON has them.
    CMDI_ESCAPE_PLAIN   // Length-prefixed text: what a reader of QUOTED would have in the end.
};

/** Each byte that is no UTF-8 becomes U+FFFD. */
void cmdi_escape(struct cmdi_output *output, struct cmds_string text, enum cmdi_escape escape);

#endif
