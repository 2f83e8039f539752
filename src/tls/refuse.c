/* SPDX-License-Identifier: MIT */
/* See refuse.h. */
#include "tls/refuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/error-crypt.h>

int cmdi_refuse_file(
        struct cmds_error *error, const struct cmdi_file *file, const char *format, ...)
{
    char sentence[sizeof(error->text)];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, list);
    va_end(list);
    return cmdi_fail(error, CMDS_E_TLS_CONFIG, "TLS: %s %s: %s", file->name.option, file->name.path,
            sentence);
}

int cmdi_refuse_cut(struct cmds_error *error, const struct cmdi_file *file)
{
    return cmdi_refuse_file(error, file,
            "a block in it has no end: half-written? Write another one, and rename it");
}

int cmdi_refuse_wolf(struct cmds_error *error, const struct cmdi_file *file, int number)
{
    if (number == MEMORY_E) {
        return cmdi_refuse_memory(error);
    }
    const char *reason = wolfSSL_ERR_reason_error_string((unsigned long)number);
    return cmdi_refuse_file(error, file, "wolfSSL cannot use it: %s (%d)",
            reason != NULL ? reason : "unknown", number);
}

int cmdi_refuse_memory(struct cmds_error *error)
{
    return cmdi_fail(error, -ENOMEM, "TLS: out of memory");
}
