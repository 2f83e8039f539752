/* SPDX-License-Identifier: MIT */
/* Links between hosts: how long something takes, and what is wrong with them. */
#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    LINK_JUMPS_ONE_IN = 40, // A latency that is many times as long, under CMDS_SIM_DELAYS.
    LINK_JUMP_MAX = 100,
    LINK_LOCAL_NS = 5 * 1000, // Within a host.
};

struct link {
    struct cmdi_list link;
    const struct cmdi_sim_host *from, *to;
    struct cmdi_link_plan plan;
};
static struct cmdi_list links;

static struct link *link_find(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to)
{
    for (struct cmdi_list *node = links.next; node != &links; node = node->next) {
        struct link *link = CMDI_CONTAINER(node, struct link, link);
        if (link->from == from && link->to == to) {
            return link;
        }
    }
    return NULL;
}

void cmdi_net_set_link(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to,
        const struct cmdi_link_plan *plan)
{
    struct link *link = link_find(from, to);
    if (link == NULL) {
        link = cmdi_sim_alloc(sizeof(*link));
        link->from = from;
        link->to = to;
        cmdi_list_init(&link->link);
        cmdi_list_push(&links, &link->link);
    }
    link->plan = *plan;
    net_unblocked();
}

void cmdi_net_heal(void)
{
    for (struct cmdi_list *node = links.next; node != &links; node = node->next) {
        CMDI_CONTAINER(node, struct link, link)->plan = (struct cmdi_link_plan){0};
    }
    net_unblocked();
}

bool net_is_blocked(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to)
{
    const struct link *link = link_find(from, to);
    return link != NULL && link->plan.blocked;
}

uint64_t net_arrival(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, size_t size,
        uint64_t *busy_ns)
{
    const struct cmds_sim_options *options = cmdi_sim_options();
    const struct link *link = link_find(from, to);
    if (link != NULL && link->plan.blocked) {
        return CMDI_SIM_NEVER;
    }
    uint64_t mean_ns = from == to ? LINK_LOCAL_NS : (uint64_t)options->latency_us * CMDI_NS_PER_US;
    uint64_t latency_ns = mean_ns / 2 + cmdi_sim_below(CMDI_CHANCE_NETWORK, mean_ns + 1);
    if (cmdi_sim_befalls(CMDS_SIM_DELAYS, CMDI_CHANCE_NETWORK, LINK_JUMPS_ONE_IN)) {
        latency_ns *= 1 + cmdi_sim_below(CMDI_CHANCE_NETWORK, LINK_JUMP_MAX);
    }
    uint64_t rate = options->bytes_per_ms;
    if (link != NULL) {
        latency_ns += link->plan.slow_ns;
        rate = link->plan.bytes_per_ms > 0 ? link->plan.bytes_per_ms : rate;
    }
    uint64_t now_ns = cmdi_sim_now();
    uint64_t begin_ns = *busy_ns > now_ns ? *busy_ns : now_ns;
    *busy_ns = begin_ns + (uint64_t)size * CMDI_NS_PER_MS / rate;
    return *busy_ns + latency_ns;
}

void net_links_begin(void)
{
    cmdi_list_init(&links);
}

void net_links_end(void)
{
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&links)) != NULL) {
        cmdi_sim_free(CMDI_CONTAINER(node, struct link, link));
    }
}
