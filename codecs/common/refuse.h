/* SPDX-License-Identifier: MIT */
/*
 * How a codec's check() says that it cannot carry a type. As a codec of a user does, without the core's
 * cmdi_fail(), which another library cannot see; so a sentence has no text from outside in it.
 */
#ifndef CMDI_COMMON_REFUSE_H
#define CMDI_COMMON_REFUSE_H

#include <stdarg.h>
#include <stdio.h>

#include <cmdstream/codec.h>

/** Fills an empty `error`, unless it is NULL. Returns: CMDS_E_SCHEMA. */
__attribute__((format(printf, 2, 3))) static inline int cmdi_refuse(
        struct cmds_error *error, const char *format, ...)
{
    if (error != NULL && error->code == 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
        error->code = CMDS_E_SCHEMA;
    }
    return CMDS_E_SCHEMA;
}

#endif
