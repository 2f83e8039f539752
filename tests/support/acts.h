/* SPDX-License-Identifier: MIT */
/*
 * A protocol of two commands, and a server's options and exec functions for cmds_test: each test
 * says in its `struct app` what they do, and reads there what was seen.
 */
#ifndef CMDI_TESTS_SUPPORT_ACTS_H
#define CMDI_TESTS_SUPPORT_ACTS_H

#include <cmdstream/cmdstream.h>
#include <cmdstream/test.h>

struct act {
    int64_t number;
    struct cmds_string text;
};
struct work {
    int64_t number;
};
struct value {
    int64_t value;
    struct cmds_string text;
};
struct line {
    int64_t number;
    bool last;
};
struct page {
    struct cmds_string text;
    bool last;
};
CMDS_COMMAND(act, 0, number, text);
CMDS_COMMAND(work, 1, number);
CMDS_RESULT(value, 0, value, text);
CMDS_RESULT(line, 1, number, CMDS_LAST(last));
CMDS_RESULT(page, 2, text, CMDS_LAST(last));

/* What the exec functions do, and what was seen; one per test. */
struct app {
    int (*act)(struct cmds_call *call, const struct act *act);
    int (*work)(struct cmds_call *call, const struct work *work);
    struct cmds_call *kept;
    uint32_t runs, timers, cancels, connects, disconnects, starts, stops, errors, invoked;
    int cause, error, answer, code;
    bool refuse, rearm;
    char order[16];
    struct cmds_test *other;
};

/** Of a server whose receiver is `app`. */
struct cmds_server_options acts_options(struct app *app);
struct cmds_test *acts_open_with(const struct cmds_server_options *options);
struct cmds_test *acts_open(struct app *app);
int acts_send(struct cmds_test *test, int64_t number);
int acts_answer(struct cmds_call *call, int64_t number);

/** For app.act: the number doubled and the text. */
int acts_echo(struct cmds_call *call, const struct act *act);
/** For app.act: as many lines as the command's number says, one in each round. */
int acts_stream(struct cmds_call *call, const struct act *act);

#endif
