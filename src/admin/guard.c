/* SPDX-License-Identifier: MIT */
/* See guard.h. */
#include "admin/guard.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* "" or ":9465". */
static bool is_port(const char *text)
{
    size_t digits = text[0] == ':' ? strspn(text + 1, "0123456789") : 0;
    return text[0] == '\0' || (digits > 0 && digits <= 5 && text[1 + digits] == '\0');
}

bool cmdi_admin_host_is_local(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; host != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = strlen(names[i]);
        if (strncasecmp(host, names[i], size) == 0 && is_port(host + size)) {
            return true;
        }
    }
    return false;
}

bool cmdi_admin_origin_is(const char *origin, const char *host)
{
    static const char scheme[] = "http://";
    if (origin == NULL) {
        return true;
    }
    return host != NULL && strncasecmp(origin, scheme, sizeof(scheme) - 1) == 0 &&
           strcasecmp(origin + sizeof(scheme) - 1, host) == 0;
}

bool cmdi_admin_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    if (content_type == NULL || strncasecmp(content_type, json, sizeof(json) - 1) != 0) {
        return false;
    }
    const char *rest = content_type + sizeof(json) - 1;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}
