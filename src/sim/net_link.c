/* SPDX-License-Identifier: MIT */
/* Links between hosts: how long something takes, and what is wrong with them. */
#include "base/assert.h"
#include "base/time.h"
#include "sim/net_inside.h"

enum {
    LINK_JUMPS_ONE_IN = 40, // A latency that is many times as long, under CMDS_SIM_DELAYS.
    LINK_JUMP_MAX = 100,
    LINK_LOCAL_NS = 5 * 1000, // Within a host.
    LINK_ROW_MIN = 8,
};

/* By the numbers of the hosts, which begin at 1: rows are as long as they had to be. */
struct link_row {
    struct net_link **links;
    uint32_t size;
};
static struct {
    struct link_row *rows;
    uint32_t size;
} links;

static uint32_t link_grown(uint32_t size, uint32_t number)
{
    size = size > 0 ? size : LINK_ROW_MIN;
    while (size <= number) {
        size *= 2;
    }
    return size;
}

static struct link_row *link_row(uint32_t number)
{
    if (number >= links.size) {
        uint32_t size = link_grown(links.size, number);
        links.rows = cmdi_sim_realloc(links.rows, size * sizeof(struct link_row));
        while (links.size < size) {
            links.rows[links.size++] = (struct link_row){0};
        }
    }
    return &links.rows[number];
}

struct net_link *net_link(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to)
{
    struct link_row *row = link_row(from->number);
    if (to->number >= row->size) {
        uint32_t size = link_grown(row->size, to->number);
        row->links = cmdi_sim_realloc(row->links, size * sizeof(struct net_link *));
        while (row->size < size) {
            row->links[row->size++] = NULL;
        }
    }
    struct net_link **link = &row->links[to->number];
    if (*link == NULL) {
        *link = cmdi_sim_alloc(sizeof(**link));
        cmdi_list_init(&(*link)->coming);
    }
    return *link;
}

/* What is on it and has not departed goes by the new plan. */
static void link_set(struct net_link *link, const struct cmdi_link_plan *plan)
{
    bool was_blocked = link->plan.blocked;
    uint64_t now_ns = cmdi_sim_now();
    link->plan = *plan;
    if (plan->blocked && !was_blocked) {
        link->blocked_ns = now_ns;
    }
    if (plan->blocked && was_blocked) {
        return;
    }
    link->busy_ns = now_ns;
    struct cmdi_list coming;
    cmdi_list_take(&coming, &link->coming);
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&coming)) != NULL) {
        struct cmdi_sock *sock = CMDI_CONTAINER(node, struct cmdi_sock, on_link);
        cmdi_list_push(&link->coming, node);
        if (plan->blocked) {
            flow_hold(sock);
        } else {
            flow_again(sock, was_blocked ? now_ns - link->blocked_ns : 0);
        }
    }
}

void cmdi_net_set_link(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to,
        const struct cmdi_link_plan *plan)
{
    link_set(net_link(from, to), plan);
}

void cmdi_net_heal(void)
{
    static const struct cmdi_link_plan none;
    for (uint32_t from = 0; from < links.size; from++) {
        for (uint32_t to = 0; to < links.rows[from].size; to++) {
            struct net_link *link = links.rows[from].links[to];
            if (link != NULL) {
                link_set(link, &none);
            }
        }
    }
}

bool net_is_blocked(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to)
{
    return net_link(from, to)->plan.blocked;
}

uint64_t net_arrival(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, size_t size,
        uint64_t *departs_ns)
{
    const struct cmds_sim_options *options = cmdi_sim_options();
    struct net_link *link = net_link(from, to);
    *departs_ns = CMDI_SIM_NEVER;
    if (link->plan.blocked) {
        return CMDI_SIM_NEVER;
    }
    uint64_t mean_ns = from == to ? LINK_LOCAL_NS : (uint64_t)options->latency_us * CMDI_NS_PER_US;
    uint64_t latency_ns = mean_ns / 2 + cmdi_sim_below(CMDI_CHANCE_NETWORK, mean_ns + 1);
    if (cmdi_sim_befalls(CMDS_SIM_DELAYS, CMDI_CHANCE_NETWORK, LINK_JUMPS_ONE_IN)) {
        latency_ns *= 1 + cmdi_sim_below(CMDI_CHANCE_NETWORK, LINK_JUMP_MAX);
    }
    uint64_t rate = link->plan.bytes_per_ms > 0 ? link->plan.bytes_per_ms : options->bytes_per_ms;
    uint64_t now_ns = cmdi_sim_now();
    *departs_ns = size > 0 && link->busy_ns > now_ns ? link->busy_ns : now_ns;
    if (size > 0) { // What has no bytes is small enough to get in between.
        link->busy_ns = *departs_ns + (uint64_t)size * CMDI_NS_PER_MS / rate;
    }
    return (size > 0 ? link->busy_ns : now_ns) + latency_ns + link->plan.slow_ns;
}

void net_links_begin(void)
{
    links.rows = NULL;
    links.size = 0;
}

void net_links_end(void)
{
    for (uint32_t from = 0; from < links.size; from++) {
        for (uint32_t to = 0; to < links.rows[from].size; to++) {
            cmdi_sim_free(links.rows[from].links[to]);
        }
        cmdi_sim_free(links.rows[from].links);
    }
    cmdi_sim_free(links.rows);
    net_links_begin();
}
