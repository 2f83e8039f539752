/* SPDX-License-Identifier: MIT */
#include "telemetry/escape.h"

#include "base/text.h"
#include "common/utf8.h"

/* A character of ASCII that may not stand as it is. */
static void escape_special(struct cmdi_output *output, char c, enum cmdi_escape escape)
{
    if (escape == CMDI_ESCAPE_JSON && c != '"' && c != '\\') {
        cmdi_output_text(output, "\\u00");
        cmdi_output_hex(output, (const uint8_t *)&c, 1);
    } else if (c == '"' || c == '\\') {
        cmdi_output_byte(output, '\\');
        cmdi_output_byte(output, (uint8_t)c);
    } else if (c == '\n') {
        cmdi_output_text(output, "\\n");
    } else {
        cmdi_output_byte(output, (uint8_t)cmdi_char_defuse(c));
    }
}

static bool is_special(uint8_t byte, enum cmdi_escape escape)
{
    if (escape == CMDI_ESCAPE_PLAIN) {
        return (byte < 0x20 && byte != '\n') || byte == 0x7f;
    }
    return byte < 0x20 || byte == 0x7f || byte == '\\' ||
           (byte == '"' && escape != CMDI_ESCAPE_LINE);
}

void cmdi_escape(struct cmdi_output *output, struct cmds_string text, enum cmdi_escape escape)
{
    const uint8_t *at = (const uint8_t *)text.data;
    const uint8_t *end = text.size > 0 ? at + text.size : at;
    const uint8_t *plain = at; // From here to `at` nothing has to change.
    while (at < end) {
        unsigned size = cmdi_utf8_size(at, end);
        if (size > 0 && !is_special(*at, escape)) {
            at += size;
            continue;
        }
        cmdi_output_bytes(output, plain, (size_t)(at - plain));
        if (size == 0) {
            cmdi_output_text(output, "\xef\xbf\xbd");
        } else {
            escape_special(output, (char)*at, escape);
        }
        plain = ++at;
    }
    if (end > plain) {
        cmdi_output_bytes(output, plain, (size_t)(end - plain));
    }
}
