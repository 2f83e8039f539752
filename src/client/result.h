/* SPDX-License-Identifier: MIT */
/*
 * What a sender needs to keep a result's value beyond its callback, in memory of its own. Any
 * thread.
 */
#ifndef CMDI_CLIENT_RESULT_H
#define CMDI_CLIENT_RESULT_H

#include <stddef.h>

#include <cmdstream/client.h>

/** Bytes that a copy of the value and of what it points to takes; `result` has a value. */
size_t cmdi_result_value_size(const struct cmds_result *result);
/**
 * Copies it into `room`, which is aligned for any object. Returns: the copy; NULL if it does not
 * fit.
 */
const void *cmdi_result_value_into(const struct cmds_result *result, void *room, size_t size);
/** What the server says in an error result, as CMDS_E_REMOTE. `error` may be NULL. */
void cmdi_result_say_error(const struct cmds_result *result, struct cmds_error *error);

#endif
