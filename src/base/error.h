/* SPDX-License-Identifier: MIT */
/*
 * Recording failures.
 *
 * Every sentence that the core puts into a struct cmds_error is written here, so that one place keeps
 * what the public header promises of it: the first failure stays, the text is terminated, and no byte
 * of a peer reaches a terminal raw. A failure that is a code alone leaves the text empty. Any thread;
 * nothing here keeps state.
 */
#ifndef CMDI_BASE_ERROR_H
#define CMDI_BASE_ERROR_H

#include <stdarg.h>

#include <cmdstream/base.h>

/**
 * Records `code` and the sentence, unless `error` is NULL or holds a failure already.
 *
 * Owner:   borrows everything.
 * Thread:  any, one at a time for one `error`.
 * Returns: `code`, so that `return cmdi_fail(...)` is the whole of an error path.
 */
int cmdi_fail(struct cmds_error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/** The same for a function that has the `...` itself. */
int cmdi_fail_list(struct cmds_error *error, int code, const char *format, va_list list)
        __attribute__((format(printf, 3, 0)));

/** Room for one. */
struct cmdi_code_text {
    char text[128];
};
/**
 * A code that a function of the program returned: "-28 (ENOSPC)", "-7777". Our sentence for an errno
 * would be about something else. Of the library's own codes it stands there:
 * "CMDS_E_LOST: the connection was lost before the result came".
 *
 * Owner:   borrows `room`, and writes it.
 * Thread:  any.
 * Returns: the text in `room`.
 */
const char *cmdi_program_code(struct cmdi_code_text *room, int code);

#endif
