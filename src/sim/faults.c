/* SPDX-License-Identifier: MIT */
/*
 * What befalls the world, and when: drawn one after the other, each for a while that ends before the
 * faults do. Each is an event with a text of its own, so that the last events of a failure tell a story.
 */
#include "sim/faults.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/libc.h"

enum {
    FAULTS_TRIES = 8, // To find somebody whom it can befall.
};

static struct {
    struct cmdi_event next, name_over;
    char name[64]; // Means something else until name_over.
} faults;

static uint64_t draw_below(uint64_t bound)
{
    return cmdi_sim_below(CMDI_CHANCE_FAULTS, bound);
}

static uint64_t faults_until(void)
{
    return CMDI_SIM_BEGIN_NS + cmdi_ms_to_ns(cmdi_sim_options()->faults_until_ms);
}

/* Short ones that hit a moment, long ones that hit a timer. Returns: when it is over. */
static uint64_t draw_end(uint64_t now_ns)
{
    static const uint32_t means_ms[] = {2, 20, 200, 2000};
    uint64_t ns = cmdi_sim_about(CMDI_CHANCE_FAULTS, cmdi_ms_to_ns(means_ms[draw_below(4)]));
    uint64_t until_ns = faults_until();
    return until_ns - now_ns > ns ? now_ns + ns : until_ns;
}

static double ms_until(uint64_t end_ns)
{
    return (double)(end_ns - cmdi_sim_now()) / (double)CMDI_NS_PER_MS;
}

static struct cmdi_sim_host *draw_host(void)
{
    struct cmdi_list *node = cmdi_sim_world()->hosts.next;
    for (uint64_t i = draw_below(cmdi_sim_world()->host_count); i > 0; i--) {
        node = node->next;
    }
    return CMDI_CONTAINER(node, struct cmdi_sim_host, link);
}

static struct cmds_sim_process *draw_process(void)
{
    struct cmdi_list *node = cmdi_sim_world()->processes.next;
    for (uint64_t i = draw_below(cmdi_sim_world()->process_count); i > 0; i--) {
        node = node->next;
    }
    return CMDI_CONTAINER(node, struct cmds_sim_process, link);
}

/* Returns: false: there is only one host. */
static bool draw_pair(struct cmdi_sim_host **one, struct cmdi_sim_host **other)
{
    *one = *other = draw_host();
    while (cmdi_sim_world()->host_count > 1 && *one == *other) {
        *other = draw_host();
    }
    return *one != *other;
}

/* --- Of the network --------------------------------------------------------------------------- */

static bool fault_cut(void)
{
    for (uint32_t i = 0; i < FAULTS_TRIES; i++) {
        struct cmdi_sim_host *one = NULL, *other = NULL;
        (void)draw_pair(&one, &other);
        uint32_t count = cmdi_net_cut(one, other, draw_below(2) == 0 ? 1 : UINT32_MAX);
        if (count > 0) {
            cmdi_sim_note("fault: %u connections between %s and %s are cut", count, one->name,
                    other->name);
            return true;
        }
    }
    return false;
}

static bool fault_slow(void)
{
    struct cmdi_link_fault fault = {.begin_ns = cmdi_sim_now()};
    struct cmdi_sim_host *one = NULL, *other = NULL;
    bool both = draw_below(2) == 0;
    fault.end_ns = draw_end(fault.begin_ns);
    (void)draw_pair(&one, &other);
    if (draw_below(2) == 0) {
        fault.plan.slow_ns = cmdi_sim_about(CMDI_CHANCE_FAULTS, 20 * CMDI_NS_PER_MS);
        cmdi_sim_note("fault: what %s sends to %s%s takes %.1f ms more, for %.1f ms", one->name,
                other->name, both ? ", and back," : "",
                (double)fault.plan.slow_ns / (double)CMDI_NS_PER_MS, ms_until(fault.end_ns));
    } else {
        fault.plan.bytes_per_ms = 1 + draw_below(1000);
        cmdi_sim_note("fault: what %s sends to %s%s clogs, %llu bytes per ms, for %.1f ms",
                one->name, other->name, both ? ", and back," : "",
                (unsigned long long)fault.plan.bytes_per_ms, ms_until(fault.end_ns));
    }
    fault.from = one;
    fault.to = other;
    cmdi_links_befall(&fault);
    if (both && one != other) {
        fault.from = other;
        fault.to = one;
        cmdi_links_befall(&fault);
    }
    return true;
}

/* Swizzled: each link breaks and heals at a time of its own, in orders that have nothing in common. */
static void partition_block(const struct cmdi_sim_host *from, const struct cmdi_sim_host *to,
        uint64_t end_ns, bool swizzled)
{
    uint64_t now_ns = cmdi_sim_now();
    struct cmdi_link_fault fault = {
            .from = from, .to = to, .plan.blocked = true, .begin_ns = now_ns, .end_ns = end_ns};
    if (swizzled) {
        uint64_t half_ns = (end_ns - now_ns) / 2;
        fault.begin_ns += draw_below(half_ns);
        fault.end_ns -= draw_below(half_ns);
    }
    cmdi_links_befall(&fault);
}

/* The hosts of the one side and those of the other. */
static void partition_split(uint64_t side, uint64_t end_ns, bool swizzled)
{
    const struct cmdi_list *hosts = &cmdi_sim_world()->hosts;
    for (struct cmdi_list *i = hosts->next; i != hosts; i = i->next) {
        for (struct cmdi_list *j = hosts->next; j != hosts; j = j->next) {
            const struct cmdi_sim_host *from = CMDI_CONTAINER(i, struct cmdi_sim_host, link);
            const struct cmdi_sim_host *to = CMDI_CONTAINER(j, struct cmdi_sim_host, link);
            if ((side >> from->number % 64 & 1) != (side >> to->number % 64 & 1)) {
                partition_block(from, to, end_ns, swizzled);
            }
        }
    }
}

static bool fault_partition(void)
{
    struct cmdi_sim_host *one = NULL, *other = NULL;
    if (!draw_pair(&one, &other)) {
        return false;
    }
    uint64_t end_ns = draw_end(cmdi_sim_now());
    bool swizzled = draw_below(3) == 0;
    const char *how = swizzled ? ", one link after the other" : "";
    switch (draw_below(4)) {
    case 0:
        cmdi_sim_note("fault: nothing gets from %s to %s for %.1f ms", one->name, other->name,
                ms_until(end_ns));
        partition_block(one, other, end_ns, false);
        break;
    case 1:
        cmdi_sim_note("fault: %s and %s do not reach each other for %.1f ms%s", one->name,
                other->name, ms_until(end_ns), how);
        partition_block(one, other, end_ns, swizzled);
        partition_block(other, one, end_ns, swizzled);
        break;
    case 2:
        cmdi_sim_note("fault: %s and all others do not reach each other for %.1f ms%s", one->name,
                ms_until(end_ns), how);
        partition_split((uint64_t)1 << one->number % 64, end_ns, swizzled);
        break;
    default:
        cmdi_sim_note("fault: the network is split in two for %.1f ms%s", ms_until(end_ns), how);
        partition_split(cmdi_sim_draw(CMDI_CHANCE_FAULTS), end_ns, swizzled);
        break;
    }
    return true;
}

/* --- Of processes ----------------------------------------------------------------------------- */

/* What is no daemon is the test itself. */
static bool process_may_die(const struct cmds_sim_process *process)
{
    return process->daemon || process->state != CMDI_PROCESS_RUNNING;
}

static bool host_may_die(const struct cmdi_sim_host *host)
{
    const struct cmdi_list *all = &cmdi_sim_world()->processes;
    for (struct cmdi_list *node = all->next; node != all; node = node->next) {
        const struct cmds_sim_process *process =
                CMDI_CONTAINER(node, struct cmds_sim_process, link);
        if (process->host == host && !process_may_die(process)) {
            return false;
        }
    }
    return true;
}

static void power_off_for_a_while(struct cmdi_sim_host *host, uint64_t end_ns)
{
    struct cmdi_list *all = &cmdi_sim_world()->processes;
    for (struct cmdi_list *node = all->next; node != all; node = node->next) {
        struct cmds_sim_process *process = CMDI_CONTAINER(node, struct cmds_sim_process, link);
        if (process->host == host && process->state == CMDI_PROCESS_RUNNING) {
            cmdi_process_restart_at(process, end_ns);
        }
    }
    cmdi_host_power_off(host);
}

static bool fault_restart(void)
{
    for (uint32_t i = 0; i < FAULTS_TRIES && !cmdi_sim_world()->ending; i++) {
        struct cmds_sim_process *process = draw_process();
        if (process->state != CMDI_PROCESS_RUNNING || !process_may_die(process)) {
            continue;
        }
        uint64_t end_ns = draw_end(cmdi_sim_now());
        if (draw_below(3) == 0 && host_may_die(process->host)) {
            cmdi_sim_note(
                    "fault: no power for %s, for %.1f ms", process->host->name, ms_until(end_ns));
            power_off_for_a_while(process->host, end_ns);
        } else {
            cmdi_sim_note("fault: %s is killed, for %.1f ms", process->name, ms_until(end_ns));
            cmdi_process_restart_at(process, end_ns);
            cmdi_process_kill(process);
        }
        return true;
    }
    return false;
}

static bool fault_stall(void)
{
    for (uint32_t i = 0; i < FAULTS_TRIES; i++) {
        struct cmds_sim_process *process = draw_process();
        if (process->state == CMDI_PROCESS_RUNNING) {
            cmdi_process_stall(process, draw_end(cmdi_sim_now()));
            return true;
        }
    }
    return false;
}

/* --- Of names and of the time of day ---------------------------------------------------------- */

static void name_over(struct cmdi_event *event)
{
    (void)event;
    (void)cmdi_sim_set_name(faults.name, NULL, true);
}

static bool fault_name(void)
{
    if (cmdi_event_is_armed(&faults.name_over)) {
        return false;
    }
    char addresses[2 * INET_ADDRSTRLEN + 1] = "";
    const struct cmdi_sim_host *host = draw_host();
    if (strlen(host->name) >= sizeof(faults.name)) {
        return false;
    }
    switch (draw_below(4)) {
    case 0:
        cmdi_sim_host_text(draw_host(), addresses, sizeof(addresses));
        break;
    case 1:
        (void)snprintf(addresses, sizeof(addresses), "10.255.255.1"); // Nobody's.
        break;
    case 2: {
        char text[INET_ADDRSTRLEN];
        cmdi_sim_host_text(host, text, sizeof(text));
        (void)snprintf(addresses, sizeof(addresses), "10.255.255.1,%s", text);
        break;
    }
    default:
        break;
    }
    uint64_t end_ns = draw_end(cmdi_sim_now());
    cmdi_sim_note(
            "fault: another meaning of the name %s, for %.1f ms", host->name, ms_until(end_ns));
    (void)snprintf(faults.name, sizeof(faults.name), "%s", host->name);
    (void)cmdi_sim_set_name(faults.name, addresses, true);
    cmdi_event_at(&faults.name_over, end_ns);
    return true;
}

static bool fault_wall_clock(void)
{
    static const uint64_t means_ms[] = {2, 1000, 3600 * 1000, 24 * 3600 * 1000};
    uint64_t ms = cmdi_sim_about(CMDI_CHANCE_FAULTS, means_ms[draw_below(4)]);
    int64_t jump_ms = draw_below(2) == 0 ? (int64_t)ms : -(int64_t)ms;
    cmdi_sim_note("fault: the time of day jumps by %lld ms", (long long)jump_ms);
    cmdi_sim_wall_jump(jump_ms * (int64_t)CMDI_NS_PER_MS);
    return true;
}

/* --- One after the other ---------------------------------------------------------------------- */

static const struct {
    enum cmds_sim_fault kind;
    bool (*befall)(void); // Returns: it has befallen somebody.
} fault_kinds[] = {
        {CMDS_SIM_CUTS, fault_cut},
        {CMDS_SIM_DELAYS, fault_slow},
        {CMDS_SIM_PARTITIONS, fault_partition},
        {CMDS_SIM_RESTARTS, fault_restart},
        {CMDS_SIM_STALLS, fault_stall},
        {CMDS_SIM_NAMES, fault_name},
        {CMDS_SIM_WALL_CLOCK, fault_wall_clock},
};
enum {
    FAULT_KINDS = sizeof(fault_kinds) / sizeof(fault_kinds[0])
};

static void faults_arm(void)
{
    uint64_t mean_ns = cmdi_ms_to_ns(cmdi_sim_options()->fault_interval_ms);
    uint64_t at_ns = cmdi_sim_now() + cmdi_sim_about(CMDI_CHANCE_FAULTS, mean_ns);
    if (at_ns < faults_until()) {
        cmdi_event_at(&faults.next, at_ns);
    }
}

static void fault_due(struct cmdi_event *event)
{
    (void)event;
    uint32_t allowed[FAULT_KINDS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        if ((cmdi_sim_options()->faults & fault_kinds[i].kind) != 0) {
            allowed[count++] = i;
        }
    }
    if (fault_kinds[allowed[draw_below(count)]].befall()) {
        cmdi_sim_world()->faults_drawn++;
    }
    faults_arm();
}

void cmdi_faults_begin(void)
{
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        kinds |= fault_kinds[i].kind;
    }
    cmdi_event_init(&faults.next, fault_due);
    cmdi_event_init(&faults.name_over, name_over);
    if ((cmdi_sim_options()->faults & kinds) != 0 && cmdi_sim_world()->process_count > 0) {
        faults_arm();
    }
}

void cmdi_faults_end(void)
{
    cmdi_event_off(&faults.next);
    cmdi_event_off(&faults.name_over);
}
