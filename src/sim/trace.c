/* SPDX-License-Identifier: MIT */
/* What has happened: a hash of all of it, and the last events as text. */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/scheduler.h"
#include "sim/world.h"

enum {
    TRACE_TEXT_MAX = 160,
};

struct trace_event {
    uint64_t now_ns, a, b;
    uint32_t process, thread;
    const char *what; // NULL: `text` is there.
    char text[TRACE_TEXT_MAX];
};

static struct {
    uint64_t hash, count;
    struct trace_event *last; // The last ones, round and round.
    uint32_t capacity;
    bool failed, telling;
    locale_t locale; // "C", whatever the program has set.
    char failure[sizeof(((struct cmds_error *)0)->text)];
} trace;

/* Each word changes all of the hash: a multiplication of 64 bits, and its high half. */
static void trace_mix(uint64_t word)
{
    trace.hash = (trace.hash ^ word) * 0x9fb21c651e98df25u;
    trace.hash ^= trace.hash >> 32;
}

static void trace_mix_text(const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        uint64_t word = 0;
        size_t size = left < sizeof(word) ? left : sizeof(word);
        for (size_t i = 0; i < size; i++) {
            word |= (uint64_t)(uint8_t)text[i] << 8 * i;
        }
        trace_mix(word);
        text += size;
        left -= size;
    }
}

static void trace_line(const struct trace_event *event, char *line, size_t size)
{
    char who[48] = "world";
    if (event->process > 0) {
        (void)snprintf(
                who, sizeof(who), "%s/%u", cmdi_sim_process_name(event->process), event->thread);
    }
    int used = snprintf(line, size, "%12.6f ms  %-16s ",
            (double)(event->now_ns - CMDI_SIM_BEGIN_NS) / (double)CMDI_NS_PER_MS, who);
    if (used < 0 || (size_t)used >= size) {
        return;
    }
    if (event->what != NULL) {
        (void)snprintf(line + used, size - (size_t)used, "%s %llu %llu", event->what,
                (unsigned long long)event->a, (unsigned long long)event->b);
    } else {
        (void)snprintf(line + used, size - (size_t)used, "%s", event->text);
    }
}

static struct trace_event *trace_next(void)
{
    const struct cmdi_sim_thread *thread = cmdi_sim_thread();
    struct trace_event *event = &trace.last[trace.count++ % trace.capacity];
    event->now_ns = cmdi_sim_now();
    event->process = thread != NULL ? thread->crew->number : 0;
    event->thread = thread != NULL ? thread->number : 0;
    trace_mix(event->now_ns);
    trace_mix((uint64_t)event->process << 32 | event->thread);
    return event;
}

static void trace_show(const struct trace_event *event)
{
    const struct cmds_sim_options *options = cmdi_sim_options();
    if (options->on_event == NULL || trace.telling) {
        return;
    }
    char line[TRACE_TEXT_MAX + 80];
    int error = errno;
    trace_line(event, line, sizeof(line));
    trace.telling = true; // It may note something itself.
    struct cmdi_sim_thread *inside = cmdi_sim_step_out();
    options->on_event(options->event_context, line);
    cmdi_sim_step_in(inside);
    trace.telling = false;
    errno = error;
}

void cmdi_sim_trace(const char *what, uint64_t a, uint64_t b)
{
    struct trace_event *event = trace_next();
    event->what = what;
    event->a = a;
    event->b = b;
    trace_mix_text(what);
    trace_mix(a);
    trace_mix(b);
    trace_show(event);
}

static void trace_text(const char *format, va_list list)
{
    struct trace_event *event = trace_next();
    event->what = NULL;
    locale_t before = uselocale(trace.locale); // It is hashed: nobody's comma for a point.
    (void)vsnprintf(event->text, sizeof(event->text), format, list);
    (void)uselocale(before);
    trace_mix_text(event->text);
    trace_show(event);
}

void cmdi_sim_note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    trace_text(format, list);
    va_end(list);
}

void cmdi_sim_note_list(const char *format, va_list list)
{
    trace_text(format, list);
}

void cmdi_sim_fail_list(const char *format, va_list list)
{
    if (!trace.failed) {
        trace.failed = true;
        (void)vsnprintf(trace.failure, sizeof(trace.failure), format, list);
        cmdi_sim_note("FAILED: %s", trace.failure);
    }
}

void cmdi_sim_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    cmdi_sim_fail_list(format, list);
    va_end(list);
}

const char *cmdi_sim_failure(void)
{
    return trace.failed ? trace.failure : NULL;
}

uint64_t cmdi_sim_hash(void)
{
    return trace.hash;
}

uint64_t cmdi_sim_trace_count(void)
{
    return trace.count;
}

void cmdi_sim_trace_tell(void)
{
    uint64_t first = trace.count > trace.capacity ? trace.count - trace.capacity : 0;
    for (uint64_t i = first; i < trace.count; i++) {
        char line[TRACE_TEXT_MAX + 80];
        trace_line(&trace.last[i % trace.capacity], line, sizeof(line));
        (void)fprintf(stderr, "%s\n", line);
    }
}

void cmdi_sim_trace_begin(void)
{
    CMDI_ASSERT(trace.last == NULL && cmdi_sim_options()->event_count > 0);
    trace.hash = 0x243f6a8885a308d3u;
    trace.count = 0;
    trace.failed = false;
    trace.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    trace.capacity = cmdi_sim_options()->event_count;
    trace.last = cmdi_sim_alloc(trace.capacity * sizeof(*trace.last));
}

void cmdi_sim_trace_end(void)
{
    cmdi_sim_free(trace.last);
    trace.last = NULL;
    freelocale(trace.locale);
}
