/* SPDX-License-Identifier: MIT */
/* The public face: a world's life, and its programs' ways to it. See <cmdstream/sim.h>. */
#include <cmdstream/sim.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "sim/faults.h"
#include "sim/libc.h"
#include "sim/net.h"
#include "sim/process.h"

enum {
    SIM_CPUS_MAX = 256,
    SIM_FILES_MIN = 16,
    SIM_NAME_MAX = 63,
    SIM_HEAD_START_MS = 10, // Of daemons.
};

/* Each process of the world. */
#define SIM_EACH(sim, process)                                                                     \
    for (struct cmds_sim_process *process = sim_next(sim, NULL); process != NULL;                  \
            process = sim_next(sim, process))

static struct cmds_sim_process *sim_next(const struct cmds_sim *sim, struct cmds_sim_process *last)
{
    const struct cmdi_list *node = last != NULL ? last->link.next : sim->processes.next;
    return node != &sim->processes ? CMDI_CONTAINER(node, struct cmds_sim_process, link) : NULL;
}

/* --- Open and close --------------------------------------------------------------------------- */

static int sim_take_options(struct cmds_sim_options *mine, const struct cmds_sim_options *options,
        struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_sim_options", error);
    if (code < 0) {
        return code;
    }
    cmdi_default(&mine->fault_interval_ms, 500);
    cmdi_default(&mine->faults_until_ms, 10000);
    cmdi_default(&mine->time_max_ms, 600000);
    cmdi_default(&mine->latency_us, 100);
    cmdi_default(&mine->bytes_per_ms, 1000000);
    cmdi_default(&mine->cpu_count, 2);
    cmdi_default(&mine->file_count_max, 1024);
    cmdi_default(&mine->event_count, 64);
    if ((mine->faults & ~(uint32_t)CMDS_SIM_ALL_FAULTS) != 0) {
        return cmdi_fail(error, -EINVAL, "faults: there is no fault %u", mine->faults);
    }
    if (mine->cpu_count > SIM_CPUS_MAX) {
        return cmdi_fail(error, -EINVAL, "cpu_count: at most %d", SIM_CPUS_MAX);
    }
    if (mine->file_count_max < SIM_FILES_MIN) {
        return cmdi_fail(error, -EINVAL, "file_count_max: at least %d", SIM_FILES_MIN);
    }
    return 0;
}

int cmds_sim_open(
        struct cmds_sim **sim, const struct cmds_sim_options *options, struct cmds_error *error)
{
    if (sim == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "cmds_sim_open: an argument is NULL");
    }
    struct cmds_sim_options mine = {0};
    int code = sim_take_options(&mine, options, error);
    if (code < 0) {
        return code;
    }
    if (cmdi_sim_world() != NULL) {
        return cmdi_fail(error, -EBUSY, "there is a world already: one at a time");
    }
    struct cmds_sim *made = cmdi_sim_alloc(sizeof(*made));
    made->options = mine;
    cmdi_list_init(&made->hosts);
    cmdi_list_init(&made->processes);
    cmdi_sim_set_world(made);
    cmdi_sim_events_begin();
    cmdi_sim_chance_begin(mine.seed);
    cmdi_sim_trace_begin();
    cmdi_sim_scheduler_begin();
    cmdi_sim_wall_begin();
    cmdi_sim_names_begin();
    cmdi_net_begin();
    cmdi_links_begin();
    *sim = made;
    return 0;
}

void cmds_sim_close(struct cmds_sim *sim)
{
    if (sim == NULL) {
        return;
    }
    CMDI_ASSERT(sim == cmdi_sim_world() && cmdi_sim_thread() == NULL);
    if (sim->runs) {
        cmdi_faults_end();
    }
    while (!cmdi_list_empty(&sim->processes)) {
        cmdi_process_destroy(sim_next(sim, NULL));
    }
    cmdi_links_end();
    cmdi_net_end();
    while (!cmdi_list_empty(&sim->hosts)) {
        cmdi_host_destroy(CMDI_CONTAINER(sim->hosts.next, struct cmdi_sim_host, link));
    }
    cmdi_sim_names_end();
    cmdi_sim_scheduler_end();
    cmdi_sim_trace_end();
    cmdi_sim_events_end();
    cmdi_sim_set_world(NULL);
    cmdi_sim_free(sim);
}

static bool sim_is_name(const char *name)
{
    return name != NULL && *name != '\0' && strlen(name) <= SIM_NAME_MAX &&
           strpbrk(name, " ,:/[]") == NULL;
}

int cmds_sim_start(struct cmds_sim *sim, const struct cmds_sim_program *program,
        struct cmds_sim_process **process, struct cmds_error *error)
{
    if (sim == NULL || program == NULL) {
        return cmdi_fail(error, -EINVAL, "cmds_sim_start: an argument is NULL");
    }
    struct cmds_sim_program mine = {0};
    int code = cmdi_options_take(&mine, sizeof(mine), program, "cmds_sim_program", error);
    uint32_t unused =
            mine.unused[0] | (uint32_t)mine.unused[1] << 8 | (uint32_t)mine.unused[2] << 16;
    if (code == 0) {
        code = cmdi_unused_check(unused, "cmds_sim_program", error);
    }
    if (code < 0) {
        return code;
    }
    if (mine.main == NULL) {
        return cmdi_fail(error, -EINVAL, "cmds_sim_program: there is no main");
    }
    if (!sim_is_name(mine.name) || (mine.host != NULL && !sim_is_name(mine.host))) {
        return cmdi_fail(error, -EINVAL,
                "cmds_sim_program: a name has 1 to %d characters, and no space, comma, colon, "
                "slash "
                "or bracket",
                SIM_NAME_MAX);
    }
    struct cmds_sim_process *made = cmdi_process_add(&mine);
    if (made == NULL) {
        return cmdi_fail(error, -EEXIST, "there is a process %s already", mine.name);
    }
    cmdi_process_start(made);
    if (process != NULL) {
        *process = made;
    }
    return 0;
}

/* --- Run -------------------------------------------------------------------------------------- */

static bool sim_is_over(const struct cmds_sim *sim, bool daemons)
{
    SIM_EACH(sim, process)
    {
        if ((daemons || !process->daemon) && !cmdi_process_is_over(process)) {
            return false;
        }
    }
    return true;
}

/* What is down stays down: nobody asks it for anything any more. */
static void sim_ask_to_end(struct cmds_sim *sim)
{
    sim->ending = true;
    SIM_EACH(sim, process)
    {
        cmdi_event_off(&process->restart);
        cmdi_process_terminate(process);
    }
}

static void sim_describe_failure(const struct cmds_sim *sim, bool threads)
{
    (void)fprintf(stderr, "The last events of seed %llu:\n", (unsigned long long)sim->options.seed);
    cmdi_sim_trace_tell();
    if (threads) {
        (void)fprintf(stderr, "The threads:\n");
        SIM_EACH(sim, process)
        {
            cmdi_sim_crew_describe(&process->crew, process->name);
        }
    }
    (void)fprintf(stderr, "Seed %llu has failed: %s\n", (unsigned long long)sim->options.seed,
            cmdi_sim_failure());
}

/* Returns: false: it is over, or cannot go on; *stuck: threads are the ones to look at. */
static bool sim_go_on(struct cmds_sim *sim, bool *idle, bool *stuck)
{
    if (!sim->ending && sim_is_over(sim, false)) {
        sim_ask_to_end(sim);
    }
    if (sim->ending && sim_is_over(sim, true)) {
        return false;
    }
    bool was_idle = *idle;
    *idle = !cmdi_sim_turn(); // Once is not enough: the last event may have been the end of a process.
    if (cmdi_sim_now() > CMDI_SIM_BEGIN_NS + cmdi_ms_to_ns(sim->options.time_max_ms)) {
        *stuck = true;
        cmdi_sim_fail("it is not over after %u ms of its time", sim->options.time_max_ms);
    } else if (*idle && was_idle) {
        *stuck = true;
        cmdi_sim_fail("nobody can go on: every thread waits for another");
    }
    return true;
}

/* Whoever uses a service finds it there, at first. */
static void sim_start_planned(struct cmds_sim *sim)
{
    uint64_t head_start_ns = cmdi_sim_about(CMDI_CHANCE_SCHEDULE, cmdi_ms_to_ns(SIM_HEAD_START_MS));
    SIM_EACH(sim, process)
    {
        if (process->state == CMDI_PROCESS_PLANNED && process->daemon) {
            cmdi_process_start(process);
        } else if (process->state == CMDI_PROCESS_PLANNED) {
            cmdi_process_restart_at(process, cmdi_sim_now() + head_start_ns);
        }
    }
}

int cmds_sim_run(struct cmds_sim *sim, struct cmds_error *error)
{
    if (sim == NULL || sim->runs) {
        return cmdi_fail(error, -EINVAL, "cmds_sim_run: a world runs once");
    }
    CMDI_ASSERT(cmdi_sim_thread() == NULL);
    sim->runs = true;
    cmdi_crash_begin();
    cmdi_faults_begin();
    sim_start_planned(sim);
    bool idle = false, stuck = false;
    while (cmdi_sim_failure() == NULL && sim_go_on(sim, &idle, &stuck)) {
    }
    cmdi_faults_end();
    cmdi_crash_end();
    if (cmdi_sim_failure() == NULL) {
        return 0;
    }
    sim_describe_failure(sim, stuck);
    return cmdi_fail(error, CMDS_E_SIM, "seed %llu: %s", (unsigned long long)sim->options.seed,
            cmdi_sim_failure());
}

void cmds_sim_stats(const struct cmds_sim *sim, struct cmds_sim_report *report)
{
    struct cmdi_net_counters net = cmdi_net_counters();
    struct cmds_sim_report full = {
            .struct_size = report->struct_size,
            .faults_drawn = sim->faults_drawn,
            .hash = cmdi_sim_hash(),
            .event_count = cmdi_sim_trace_count(),
            .time_ns = cmds_sim_now_ns(sim),
            .switch_count = cmdi_sim_switch_count(),
            .connection_count = net.connections,
            .segment_count = net.segments,
            .byte_count = net.bytes,
            .blocks_left = sim->blocks_left,
            .bytes_left = sim->bytes_left,
            .files_left = sim->files_left,
            .threads_left = sim->threads_left,
    };
    size_t size = report->struct_size < sizeof(full) ? report->struct_size : sizeof(full);
    memcpy(report, &full, size);
}

/* --- For programs ----------------------------------------------------------------------------- */

struct cmds_sim *cmds_sim_current(void)
{
    return cmdi_sim_thread() != NULL ? cmdi_sim_world() : NULL;
}

/* Of a function that only a program of the world may call. */
static struct cmds_sim_process *sim_caller(const char *function)
{
    struct cmds_sim_process *process = cmdi_process();
    if (process == NULL) {
        cmdi_die("%s() is called outside of the simulated world", function);
    }
    return process;
}

struct cmds_sim_process *cmds_sim_self(void)
{
    return sim_caller("cmds_sim_self");
}

uint64_t cmds_sim_random(struct cmds_sim *sim)
{
    (void)sim;
    return cmdi_sim_draw(CMDI_CHANCE_PROGRAM);
}

uint64_t cmds_sim_now_ns(const struct cmds_sim *sim)
{
    (void)sim;
    return cmdi_sim_now() - CMDI_SIM_BEGIN_NS;
}

void cmds_sim_sleep_ms(uint32_t ms)
{
    (void)sim_caller("cmds_sim_sleep_ms");
    cmdi_sim_sleep(cmdi_ms_to_ns(ms), "a time");
}

void cmds_sim_note(struct cmds_sim *sim, const char *format, ...)
{
    (void)sim;
    va_list list;
    va_start(list, format);
    cmdi_sim_note_list(format, list);
    va_end(list);
}

void cmds_sim_fail(struct cmds_sim *sim, const char *format, ...)
{
    (void)sim;
    va_list list;
    va_start(list, format);
    cmdi_sim_fail_list(format, list);
    va_end(list);
}

void cmds_sim_wait_stop(void)
{
    struct cmds_sim_process *process = sim_caller("cmds_sim_wait_stop");
    while (!process->stop_asked) {
        (void)cmdi_sim_wait(&process->signalled, CMDI_SIM_NEVER, "being asked to end");
    }
}

bool cmds_sim_stopping(void)
{
    struct cmds_sim_process *process = sim_caller("cmds_sim_stopping");
    cmdi_sim_yield(); // A loop that asks again and again lets others run.
    return process->stop_asked;
}

/* --- Faults by name --------------------------------------------------------------------------- */

void cmds_sim_terminate(struct cmds_sim_process *process)
{
    cmdi_process_terminate(process);
}

void cmds_sim_kill(struct cmds_sim_process *process)
{
    cmdi_event_off(&process->restart);
    cmdi_process_kill(process);
}

void cmds_sim_power_off(struct cmds_sim_process *process)
{
    SIM_EACH(cmdi_sim_world(), other)
    {
        if (other->host == process->host) {
            cmdi_event_off(&other->restart);
        }
    }
    cmdi_host_power_off(process->host);
}

void cmds_sim_restart(struct cmds_sim_process *process)
{
    cmdi_process_start(process);
}

bool cmds_sim_is_running(const struct cmds_sim_process *process)
{
    return process->state == CMDI_PROCESS_RUNNING;
}

uint32_t cmds_sim_start_count(const struct cmds_sim_process *process)
{
    return process->start_count;
}

void cmds_sim_stall(struct cmds_sim_process *process, uint32_t ms)
{
    cmdi_process_stall(process, cmdi_sim_now() + cmdi_ms_to_ns(ms));
}

void cmds_sim_block(struct cmds_sim_process *from, struct cmds_sim_process *to)
{
    cmdi_sim_note("nothing gets from %s to %s", from->host->name, to->host->name);
    cmdi_links_set_blocked(from->host, to->host, true);
}

void cmds_sim_unblock(struct cmds_sim_process *from, struct cmds_sim_process *to)
{
    cmdi_sim_note("%s gets through to %s again", from->host->name, to->host->name);
    cmdi_links_set_blocked(from->host, to->host, false);
}

void cmds_sim_slow(
        struct cmds_sim_process *one, struct cmds_sim_process *other, uint32_t latency_ms)
{
    cmdi_sim_note("%u ms more between %s and %s", latency_ms, one->host->name, other->host->name);
    cmdi_links_set_slow(one->host, other->host, cmdi_ms_to_ns(latency_ms));
    if (one->host != other->host) {
        cmdi_links_set_slow(other->host, one->host, cmdi_ms_to_ns(latency_ms));
    }
}

uint32_t cmds_sim_cut(struct cmds_sim_process *one, struct cmds_sim_process *other)
{
    uint32_t count = cmdi_net_cut(one->host, other->host, UINT32_MAX);
    cmdi_sim_note(
            "%u connections between %s and %s are cut", count, one->host->name, other->host->name);
    return count;
}

void cmds_sim_heal(struct cmds_sim *sim)
{
    cmdi_sim_note("everything is healed");
    cmdi_links_heal();
    SIM_EACH(sim, process)
    {
        cmdi_process_resume(process);
    }
}

int cmds_sim_set_name(struct cmds_sim *sim, const char *name, const char *addresses)
{
    (void)sim;
    return sim_is_name(name) ? cmdi_sim_set_name(name, addresses, false) : -EINVAL;
}

const char *cmds_sim_address(const struct cmds_sim_process *process)
{
    return process->address;
}

void cmds_sim_jump_wall_clock(struct cmds_sim *sim, int64_t ms)
{
    (void)sim;
    cmdi_sim_note("the time of day jumps by %lld ms", (long long)ms);
    cmdi_sim_wall_jump(ms * (int64_t)CMDI_NS_PER_MS);
}
