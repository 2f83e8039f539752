/* SPDX-License-Identifier: MIT */
/*
 * What the checks of the interop client share: whom they ask, why one has failed, and one echo.
 */
#ifndef CMDI_TESTS_INTEROP_TARGET_H
#define CMDI_TESTS_INTEROP_TARGET_H

#include "secure.h"
#include "tool/test_protocol.h"

enum {
    ANSWER_MS = 20000, // A server that is slower does not answer.
};

struct target {
    const char *address;
    const struct cmds_codec *codec;
    struct cmds_bytes server_info;
    uint32_t ping_ms; // Between the pings of the check of keepalive.
    bool nan;         // The codec has words for NaN and the infinities.
    struct secure secure;
};

/* Says why the check has failed. Main thread. Returns: false. */
__attribute__((format(printf, 1, 2))) bool because(const char *format, ...);
bool because_of(const char *what, int code, const struct cmds_error *error);
void because_not(void); // A check begins.
/* What was said last. */
const char *target_reason(void);

/* The same codes as cmds_sender_open(). */
int target_open(const struct target *target, uint32_t clients, struct cmds_sender **sender,
        struct cmds_error *error);
/* Returns: NULL: it could not, and has said why. */
struct cmds_sender *target_must_open(const struct target *target, uint32_t clients);

/* Bit for bit: a NaN is the same as itself, and -0 is not 0. */
bool echo_same(const struct command_echo *sent, const struct result_echo *got);
/* Any thread: says nothing but yes or no, and the error. */
bool echo_once(
        struct cmds_sender *sender, const struct command_echo *echo, struct cmds_error *error);
/* Says why. Main thread. */
bool echo_check(struct cmds_sender *sender, const struct command_echo *echo);

#endif
