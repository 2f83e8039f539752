/* SPDX-License-Identifier: MIT */
/* Failing a call from outside: see call_fail.c. */
#ifndef CMDI_SERVER_CALL_FAIL_H
#define CMDI_SERVER_CALL_FAIL_H

#include <stdbool.h>
#include <stdint.h>

struct cmds_call;

/** Why a call failed. What the peer is told is another sentence: it must not learn of our inside. */
struct cmdi_failure {
    int code;          // Negative.
    const char *text;  // For the log and on_exec_error. NULL: the code says it.
    int64_t told_code; // For the peer. 0: `code`.
    const char *told;  // For the peer. NULL: the code says it.
    // It is the library's own doing, whatever the code: the connection stays.
    bool spares;
};

/** As cmdi_call_failed() of call.h, from any thread that holds a reference; off the shard soon after. Copies its texts. */
void cmdi_call_fail(struct cmds_call *call, const struct cmdi_failure *failure);

#endif
