/* SPDX-License-Identifier: MIT */
/* See common.h. */
#include "admin/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void cmdi_admin_broken(const char *fact, const char *file, int line)
{
    fprintf(stderr, "cmdstream_admin: %s:%d: %s does not hold\n", file, line, fact);
    abort();
}

int cmdi_admin_fail(struct cmds_error *error, int code, const char *format, ...)
{
    CMDI_ADMIN_ASSERT(code < 0);
    if (error == NULL || error->code != 0) {
        return code;
    }
    va_list list;
    va_start(list, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    for (char *c = error->text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    error->code = code;
    return code;
}

locale_t cmdi_admin_locale_enter(void)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (locale != (locale_t)0) {
        (void)uselocale(locale);
    }
    return locale;
}

void cmdi_admin_locale_leave(locale_t locale)
{
    if (locale != (locale_t)0) {
        (void)uselocale(LC_GLOBAL_LOCALE);
        freelocale(locale);
    }
}

uint64_t cmdi_admin_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
