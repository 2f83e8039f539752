/* SPDX-License-Identifier: MIT */
/* See child.h. Between fork and exec are only calls that a process of many threads may make there. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum {
    CHILD_START_MS = 20000,
    CHILD_LINE_SIZE = 512,
    CHILD_LOOK_NS = 2 * 1000 * 1000,
    CHILD_EXIT_NOT_STARTED = 127,
};

void tool_argument(struct tool_arguments *arguments, const char *argument)
{
    if (arguments->count < TOOL_CHILD_ARGUMENTS_MAX) {
        arguments->list[arguments->count++] = argument;
        arguments->list[arguments->count] = NULL;
    } else {
        arguments->too_many = true;
    }
}

void tool_argument_text(struct tool_arguments *arguments, const char *name, const char *text)
{
    if (text != NULL) {
        tool_argument(arguments, name);
        tool_argument(arguments, text);
    }
}

void tool_argument_number(struct tool_arguments *arguments, const char *name, uint64_t number)
{
    tool_argument(arguments, name);
    if (arguments->count < TOOL_CHILD_ARGUMENTS_MAX) {
        char *text = arguments->numbers[arguments->count];
        snprintf(text, TOOL_CHILD_NUMBER_SIZE, "%llu", (unsigned long long)number);
        tool_argument(arguments, text);
    }
}

static void child_exec(const struct tool_arguments *arguments, int output, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
    if (getppid() != parent) {
        _exit(CHILD_EXIT_NOT_STARTED); // The parent ended before that.
    }
    (void)setpgid(0, 0);
    if (dup2(output, STDOUT_FILENO) >= 0) {
        execv("/proc/self/exe", (char *const *)(uintptr_t)arguments->list);
    }
    _exit(CHILD_EXIT_NOT_STARTED);
}

/* Up to an end of line, which is left out. Returns: false: it ended before, or the time is over. */
static bool child_read_line(const struct tool_child *child, char *line, size_t size)
{
    uint64_t until_ns = cmdi_tool_now_ns() + (uint64_t)CHILD_START_MS * 1000000;
    size_t used = 0;
    while (used < size - 1 && cmdi_tool_now_ns() < until_ns) {
        struct pollfd ready = {.fd = child->output, .events = POLLIN};
        if (poll(&ready, 1, 100) <= 0) {
            continue;
        }
        ssize_t got = read(child->output, line + used, 1);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        if (got == 1 && line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used += got == 1;
    }
    return false;
}

/* Of a line for people, or of one for programs. */
static bool child_take_address(struct tool_child *child, const char *line)
{
    static const char json[] = "{\"event\":\"listening\",\"address\":\"%255[^\"]";
    return sscanf(line, "listening on %255s", child->address) == 1 ||
           sscanf(line, json, child->address) == 1;
}

int tool_child_start(struct tool_child *child, const struct tool_arguments *arguments)
{
    int ends[2];
    *child = (struct tool_child){.output = -1};
    if (arguments->too_many) {
        return -E2BIG;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    fflush(NULL); // What is buffered belongs to the parent.
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0) {
        child_exec(arguments, ends[1], parent);
    }
    int code = child->pid < 0 ? -errno : 0;
    close(ends[1]);
    child->output = ends[0];
    if (code < 0) {
        child->pid = 0;
    }
    char line[CHILD_LINE_SIZE];
    if (code == 0 &&
            (!child_read_line(child, line, sizeof(line)) || !child_take_address(child, line))) {
        code = -ECONNREFUSED;
    }
    if (code < 0) {
        (void)tool_child_end(child, SIGKILL, 0, NULL, 0);
    }
    return code;
}

static void child_forget(struct tool_child *child)
{
    child->pid = 0;
    if (child->output >= 0) {
        close(child->output);
        child->output = -1;
    }
}

bool tool_child_has_ended(struct tool_child *child, int *status)
{
    if (child->pid <= 0 || waitpid(child->pid, status, WNOHANG) != child->pid) {
        return false;
    }
    child_forget(child);
    return true;
}

int tool_child_end(
        struct tool_child *child, int number, uint32_t timeout_ms, char *line, size_t line_size)
{
    int status = 0;
    if (line != NULL) {
        line[0] = '\0';
    }
    if (child->pid > 0) {
        (void)kill(child->pid, number);
        uint64_t until_ns = cmdi_tool_now_ns() + (uint64_t)timeout_ms * 1000000;
        pid_t ended;
        while ((ended = waitpid(child->pid, &status, WNOHANG)) == 0 &&
                cmdi_tool_now_ns() < until_ns) {
            struct timespec pause = {.tv_nsec = CHILD_LOOK_NS};
            nanosleep(&pause, NULL);
        }
        if (ended == 0) {
            (void)kill(child->pid, SIGKILL);
            (void)waitpid(child->pid, &status, 0);
        }
        if (line != NULL) {
            (void)child_read_line(child, line, line_size);
        }
    }
    child_forget(child);
    return status;
}

const char *tool_child_how(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(text, size, "was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
    }
    return text;
}
