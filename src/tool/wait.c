/* SPDX-License-Identifier: MIT */
/* See wait.h. The condition waits by the monotonic clock: the wall clock may jump. */
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "name.h"

enum {
    WAIT_MS_PER_S = 1000
};

bool cmdi_tool_wait_is_seen(void)
{
    return isatty(STDERR_FILENO) != 0;
}

static void wait_say(const struct tool_wait *wait, uint32_t seconds, bool terminal)
{
    char limit[32] = "";
    if (wait->limit_s > 0) {
        snprintf(limit, sizeof(limit), " of %u", wait->limit_s);
    }
    fprintf(stderr, "%s%s: %s, %u%s s%s", terminal ? "\r" : "", cmdi_tool_name(), wait->text,
            seconds, limit, terminal ? "" : "\n");
}

static void *wait_run(void *context)
{
    struct tool_wait *wait = context;
    bool terminal = cmdi_tool_wait_is_seen();
    uint32_t seconds = 0;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec++;
    pthread_mutex_lock(&wait->mutex);
    while (!wait->over) {
        if (pthread_cond_timedwait(&wait->changed, &wait->mutex, &at) == ETIMEDOUT) {
            wait_say(wait, ++seconds, terminal);
            at.tv_sec++;
        }
    }
    pthread_mutex_unlock(&wait->mutex);
    if (terminal && seconds > 0) {
        fputs("\r\033[K", stderr); // Back to the margin, and the line is empty.
    }
    return NULL;
}

void cmdi_tool_wait_begin(struct tool_wait *wait, bool shown, const char *text, uint32_t limit_ms)
{
    *wait = (struct tool_wait){
            .text = text, .limit_s = limit_ms == UINT32_MAX ? 0 : limit_ms / WAIT_MS_PER_S};
    if (!shown) {
        return;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&wait->mutex, NULL);
    pthread_cond_init(&wait->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); // Signals are the main thread's.
    wait->shown = pthread_create(&wait->thread, NULL, wait_run, wait) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void cmdi_tool_wait_end(struct tool_wait *wait)
{
    if (!wait->shown) {
        return;
    }
    pthread_mutex_lock(&wait->mutex);
    wait->over = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
    (void)pthread_join(wait->thread, NULL);
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->mutex);
    wait->shown = false;
}
