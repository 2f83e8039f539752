/* SPDX-License-Identifier: MIT */
/* The error result of a protocol as a value: what it is made of, and whether it can be sent. */
#ifndef CMDI_SERVER_FAILURE_VALUE_H
#define CMDI_SERVER_FAILURE_VALUE_H

#include "server/options.h"

enum {
    CMDI_FAILURE_TEXT_SIZE = 252, // As of struct cmds_error.
};

/** An error result, and the text that it points to. */
struct cmdi_failure_value {
    _Alignas(16) uint8_t bytes[CMDI_ERROR_SIZE_MAX];
    char text[CMDI_FAILURE_TEXT_SIZE];
};

/**
 * Finds the protocol's error type, and refuses one that could not be sent. Of a core whose tables are
 * made. Thread: setup. Returns: 0; -EINVAL: frame_size_max is less than it takes.
 */
int cmdi_failure_init(struct cmdi_server_core *core, struct cmds_error *error);
/** Fills `value` in. Returns: a message of it. */
struct cmds_message cmdi_failure_message(const struct cmdi_error_type *failed,
        struct cmdi_failure_value *value, int64_t code, const char *text);
/** What is said of a code to somebody else: no more than anybody knows. */
const char *cmdi_failure_sentence(int64_t code);

#endif
