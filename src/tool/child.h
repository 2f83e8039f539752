/* SPDX-License-Identifier: MIT */
/*
 * This same program as a child process: started with other arguments, waited for until it says where it
 * listens, ended.
 *
 * A child gets its own process group, since ^C is for its parent, which ends it in order; and it dies with
 * the thread that has started it. Its stdout is a pipe to the parent.
 */
#ifndef CMDSTREAM_TOOL_CHILD_H
#define CMDSTREAM_TOOL_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    TOOL_CHILD_ARGUMENTS_MAX = 64,
    TOOL_CHILD_NUMBER_SIZE = 24,
    TOOL_CHILD_ADDRESS_SIZE = 256,
};

/* The texts are the caller's, but for numbers. Zeroed: none. */
struct tool_arguments {
    const char *list[TOOL_CHILD_ARGUMENTS_MAX + 1];
    char numbers[TOOL_CHILD_ARGUMENTS_MAX][TOOL_CHILD_NUMBER_SIZE];
    uint32_t count;
    bool too_many; // Then the child does not start.
};

struct tool_child {
    pid_t pid;  // 0: none.
    int output; // -1: none. What it prints.
    char address[TOOL_CHILD_ADDRESS_SIZE];
};

void tool_argument(struct tool_arguments *arguments, const char *argument);
/** `--name text`, nothing if `text` is NULL. */
void tool_argument_text(struct tool_arguments *arguments, const char *name, const char *text);
void tool_argument_number(struct tool_arguments *arguments, const char *name, uint64_t number);

/**
 * Starts `cmdstream` with these arguments, the first of which is the sub-command, and waits for its
 * first line, "listening on ADDRESS ...", which tells `address`.
 *
 * Thread:  one that outlives the child.
 * Returns: 0; -errno; -ECONNREFUSED: it said something else, or ended; -ETIMEDOUT. There is no child then.
 */
int tool_child_start(struct tool_child *child, const struct tool_arguments *arguments);
/** Has it ended by itself? It is waited for then, `status` is that of waitpid(), and there is no child. */
bool tool_child_has_ended(struct tool_child *child, int *status);
/**
 * Sends `number`, and SIGKILL if the child has not ended after so long. `line` (may be NULL) gets what it
 * printed after its first line, terminated.
 *
 * Returns: the status of waitpid(). 0 if there is none.
 */
int tool_child_end(
        struct tool_child *child, int number, uint32_t timeout_ms, char *line, size_t line_size);
/** "ended with status 3", "was ended by signal 6". Returns: `text`. */
const char *tool_child_how(int status, char *text, size_t size);

#endif
