/* SPDX-License-Identifier: MIT */
/* One command under two numbers, plain and with the context of a trace; and what codecs make of both. */
#ifndef CMDI_TESTS_SUPPORT_TRACED_H
#define CMDI_TESTS_SUPPORT_TRACED_H

#include <cmdstream/codec.h>
#include <cmdstream/schema.h>

#define TRACED_PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

struct sum {
    int64_t A, B;
};
CMDS_COMMAND_IDEMPOTENT(sum, 3, A, B);
CMDS_TRACED(sum_traced, 10, sum);

/** What stands on the wire in front of 2 and 3, and what for them. */
struct traced_bytes {
    struct cmds_bytes context; // The key "traceparent" and TRACED_PARENT.
    struct cmds_bytes empty;   // A map without pairs.
    struct cmds_bytes none;    // No map.
    struct cmds_bytes command;
    // Without one the two are the same on the wire, and read as no map.
    bool has_empty;
};

/** Asserts that the codec writes and reads exactly these. */
void traced_case(const struct cmds_codec *codec, const struct traced_bytes *bytes);

#endif
