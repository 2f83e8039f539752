/* SPDX-License-Identifier: MIT */
/* The faults that lie on the links between hosts, and what of them the network is told. */
#include "base/assert.h"
#include "sim/faults.h"

/* One direction between two hosts, once something was wrong with it. */
struct link {
    struct cmdi_list link; // links.all.
    const struct cmdi_sim_host *from, *to;
    bool asked_block;
    uint64_t asked_slow_ns;
};
struct link_fault {
    struct cmdi_list link; // links.faults.
    struct cmdi_event event;
    struct cmdi_link_fault what;
    struct link *on;
    bool begun;
};
static struct {
    struct cmdi_list all, faults;
} links;

static struct link *link_of(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to)
{
    for (struct cmdi_list *node = links.all.next; node != &links.all; node = node->next) {
        struct link *link = CMDI_CONTAINER(node, struct link, link);
        if (link->from == from && link->to == to) {
            return link;
        }
    }
    struct link *link = cmdi_sim_alloc(sizeof(*link));
    link->from = from;
    link->to = to;
    cmdi_list_init(&link->link);
    cmdi_list_push(&links.all, &link->link);
    return link;
}

static void link_tell(const struct link *link)
{
    struct cmdi_link_plan plan = {
            .blocked = link->asked_block,
            .slow_ns = link->asked_slow_ns,
    };
    for (struct cmdi_list *node = links.faults.next; node != &links.faults; node = node->next) {
        const struct link_fault *fault = CMDI_CONTAINER(node, struct link_fault, link);
        const struct cmdi_link_plan *add = &fault->what.plan;
        if (fault->on != link || !fault->begun) {
            continue;
        }
        plan.blocked = plan.blocked || add->blocked;
        plan.slow_ns += add->slow_ns;
        if (add->bytes_per_ms > 0 &&
                (plan.bytes_per_ms == 0 || add->bytes_per_ms < plan.bytes_per_ms)) {
            plan.bytes_per_ms = add->bytes_per_ms;
        }
    }
    cmdi_net_set_link(link->from, link->to, &plan);
}

static void fault_free(struct link_fault *fault)
{
    cmdi_event_off(&fault->event);
    cmdi_list_remove(&fault->link);
    cmdi_sim_free(fault);
}

static void fault_due(struct cmdi_event *event)
{
    struct link_fault *fault = CMDI_CONTAINER(event, struct link_fault, event);
    struct link *link = fault->on;
    if (!fault->begun && cmdi_sim_now() < fault->what.end_ns) {
        fault->begun = true;
        cmdi_event_at(&fault->event, fault->what.end_ns);
    } else {
        fault_free(fault);
    }
    link_tell(link);
}

void cmdi_links_befall(const struct cmdi_link_fault *what)
{
    CMDI_ASSERT(what->end_ns != CMDI_SIM_NEVER);
    struct link_fault *fault = cmdi_sim_alloc(sizeof(*fault));
    fault->what = *what;
    fault->on = link_of(what->from, what->to);
    cmdi_event_init(&fault->event, fault_due);
    cmdi_list_init(&fault->link);
    cmdi_list_push(&links.faults, &fault->link);
    cmdi_event_at(&fault->event, what->begin_ns);
}

void cmdi_links_set_blocked(
        const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, bool blocked)
{
    struct link *link = link_of(from, to);
    link->asked_block = blocked;
    link_tell(link);
}

void cmdi_links_set_slow(
        const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, uint64_t slow_ns)
{
    struct link *link = link_of(from, to);
    link->asked_slow_ns = slow_ns;
    link_tell(link);
}

static void links_forget(void)
{
    while (!cmdi_list_empty(&links.faults)) {
        fault_free(CMDI_CONTAINER(links.faults.next, struct link_fault, link));
    }
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&links.all)) != NULL) {
        cmdi_sim_free(CMDI_CONTAINER(node, struct link, link));
    }
}

void cmdi_links_heal(void)
{
    links_forget();
    cmdi_net_heal();
}

void cmdi_links_begin(void)
{
    cmdi_list_init(&links.all);
    cmdi_list_init(&links.faults);
}

void cmdi_links_end(void)
{
    links_forget();
}
