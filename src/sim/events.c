/* SPDX-License-Identifier: MIT */
/* The world's clock, and a heap of what happens when. */
#include "base/assert.h"
#include "sim/scheduler.h"
#include "sim/world.h"

#define EVENT_OFF UINT32_MAX // The place of what is not armed.

static struct {
    uint64_t now_ns, armed; // `armed`: how many ever were.
    struct cmdi_event **heap;
    uint32_t count, capacity;
} events;

uint64_t cmdi_sim_now(void)
{
    return events.now_ns;
}

void cmdi_sim_pass(uint64_t ns)
{
    events.now_ns += ns;
}

static bool event_before(const struct cmdi_event *one, const struct cmdi_event *other)
{
    return one->at_ns != other->at_ns ? one->at_ns < other->at_ns : one->order < other->order;
}

static void event_put(struct cmdi_event *event, uint32_t place)
{
    events.heap[place] = event;
    event->place = place;
}

static void event_up(struct cmdi_event *event, uint32_t place)
{
    while (place > 0 && event_before(event, events.heap[(place - 1) / 2])) {
        event_put(events.heap[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    event_put(event, place);
}

static void event_down(struct cmdi_event *event, uint32_t place)
{
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child + 1 < events.count && event_before(events.heap[child + 1], events.heap[child])) {
            child++;
        }
        if (child >= events.count || !event_before(events.heap[child], event)) {
            break;
        }
        event_put(events.heap[child], place);
        place = child;
    }
    event_put(event, place);
}

void cmdi_event_init(struct cmdi_event *event, cmdi_event_fn fn)
{
    CMDI_ASSERT(fn != NULL);
    *event = (struct cmdi_event){.place = EVENT_OFF, .fn = fn};
}

void cmdi_event_off(struct cmdi_event *event)
{
    if (event->place == EVENT_OFF) {
        return;
    }
    uint32_t place = event->place;
    CMDI_ASSERT(place < events.count && events.heap[place] == event);
    struct cmdi_event *last = events.heap[--events.count];
    event->place = EVENT_OFF;
    if (last != event) {
        event_down(last, place);
        event_up(last, last->place);
    }
}

void cmdi_event_at(struct cmdi_event *event, uint64_t at_ns)
{
    CMDI_ASSERT(event->fn != NULL);
    cmdi_event_off(event);
    if (events.count == events.capacity) {
        events.capacity = events.capacity > 0 ? events.capacity * 2 : 256;
        events.heap = cmdi_sim_realloc(events.heap, events.capacity * sizeof(struct cmdi_event *));
    }
    event->at_ns = at_ns > events.now_ns ? at_ns : events.now_ns;
    event->order = ++events.armed;
    event_up(event, events.count++);
}

uint64_t cmdi_sim_next_event(void)
{
    return events.count > 0 ? events.heap[0]->at_ns : CMDI_SIM_NEVER;
}

void cmdi_sim_fire_due(void)
{
    while (events.count > 0 && events.heap[0]->at_ns <= events.now_ns) {
        struct cmdi_event *event = events.heap[0];
        cmdi_event_off(event);
        event->fn(event);
    }
}

void cmdi_sim_events_begin(void)
{
    events.now_ns = CMDI_SIM_BEGIN_NS;
    events.armed = 0;
    CMDI_ASSERT(events.count == 0);
}

void cmdi_sim_events_end(void)
{
    for (uint32_t i = 0; i < events.count; i++) {
        events.heap[i]->place = EVENT_OFF;
    }
    cmdi_sim_free(events.heap);
    events.heap = NULL;
    events.count = events.capacity = 0;
}
