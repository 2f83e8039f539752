/* SPDX-License-Identifier: MIT */
/* Hosts and processes: where they are, how they start, stand still, and end. See process.h. */
#include "sim/process.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/net.h"

enum {
    HOSTS_PER_NET = 250,
    HOST_FIRST_PORT = 32768, // Of those for who names none.
};

static struct cmds_sim *world; // The one there is.

struct cmds_sim *cmdi_sim_world(void)
{
    return world;
}

void cmdi_sim_set_world(struct cmds_sim *sim)
{
    world = sim;
}

const struct cmds_sim_options *cmdi_sim_options(void)
{
    return world != NULL ? &world->options : NULL;
}

static char *text_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(cmdi_sim_alloc(size), text, size);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

struct cmdi_sim_host *cmdi_sim_host(void)
{
    struct cmds_sim_process *process = cmdi_process();
    return process != NULL ? process->host : NULL;
}

struct cmdi_sim_host *cmdi_sim_host_named(const char *name)
{
    for (struct cmdi_list *node = world->hosts.next; node != &world->hosts; node = node->next) {
        struct cmdi_sim_host *host = CMDI_CONTAINER(node, struct cmdi_sim_host, link);
        if (strcmp(host->name, name) == 0) {
            return host;
        }
    }
    return NULL;
}

static struct cmdi_sim_host *host_at(struct in_addr v4)
{
    if (ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET) {
        return cmdi_sim_host();
    }
    for (struct cmdi_list *node = world->hosts.next; node != &world->hosts; node = node->next) {
        struct cmdi_sim_host *host = CMDI_CONTAINER(node, struct cmdi_sim_host, link);
        if (host->v4.s_addr == v4.s_addr) {
            return host;
        }
    }
    return NULL;
}

struct cmdi_sim_host *cmdi_sim_host_of(const struct cmdi_address *address)
{
    const struct in6_addr *v6 = &address->as.v6.sin6_addr;
    if (address->as.any.sa_family == AF_INET) {
        return host_at(address->as.v4.sin_addr);
    }
    if (address->as.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
        struct in_addr v4;
        memcpy(&v4, v6->s6_addr + 12, sizeof(v4));
        return host_at(v4);
    }
    bool here = address->as.any.sa_family == AF_UNIX ||
                (address->as.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(v6));
    return here ? cmdi_sim_host() : NULL;
}

void cmdi_sim_host_text(const struct cmdi_sim_host *host, char *text, size_t size)
{
    const char *done = inet_ntop(AF_INET, &host->v4, text, (socklen_t)size);
    CMDI_ASSERT(done != NULL);
}

static struct cmdi_sim_host *host_add(const char *name)
{
    struct cmdi_sim_host *host = cmdi_sim_alloc(sizeof(*host));
    uint32_t index = world->host_count++;
    CMDI_ASSERT(index < HOSTS_PER_NET * 256);
    host->name = text_copy(name);
    host->number = world->host_count;
    host->v4.s_addr = htonl(10u << 24 | index / HOSTS_PER_NET << 8 | (index % HOSTS_PER_NET + 1));
    host->port_next = HOST_FIRST_PORT;
    cmdi_list_init(&host->socks);
    cmdi_list_init(&host->link);
    cmdi_list_push(&world->hosts, &host->link);
    return host;
}

void cmdi_host_destroy(struct cmdi_sim_host *host)
{
    cmdi_list_remove(&host->link);
    cmdi_sim_free(host->name);
    cmdi_sim_free(host);
}

void cmdi_host_power_off(struct cmdi_sim_host *host)
{
    if (host->is_off) {
        return;
    }
    cmdi_sim_note("%s loses power", host->name);
    host->is_off = true;
    cmdi_net_power_off(host); // First, so that nobody is told of what the processes leave.
    struct cmds_sim_process *own = NULL;
    for (struct cmdi_list *node = world->processes.next; node != &world->processes;
            node = node->next) {
        struct cmds_sim_process *process = CMDI_CONTAINER(node, struct cmds_sim_process, link);
        if (process->host == host && process == cmdi_process()) {
            own = process;
        } else if (process->host == host) {
            cmdi_process_kill(process);
        }
    }
    if (own != NULL) {
        cmdi_process_kill(own);
    }
}

/* --- States ----------------------------------------------------------------------------------- */

#define STATE_BIT(state) (1u << (state))
static const uint8_t process_next[] = {
        [CMDI_PROCESS_PLANNED] = STATE_BIT(CMDI_PROCESS_RUNNING) | STATE_BIT(CMDI_PROCESS_KILLED),
        [CMDI_PROCESS_RUNNING] = STATE_BIT(CMDI_PROCESS_ENDING),
        [CMDI_PROCESS_ENDING] = STATE_BIT(CMDI_PROCESS_ENDED) | STATE_BIT(CMDI_PROCESS_KILLED),
        [CMDI_PROCESS_ENDED] = STATE_BIT(CMDI_PROCESS_RUNNING),
        [CMDI_PROCESS_KILLED] = STATE_BIT(CMDI_PROCESS_RUNNING),
};

static void process_move(struct cmds_sim_process *process, enum cmdi_process_state next)
{
    CMDI_ASSERT((process_next[process->state] & STATE_BIT(next)) != 0);
    process->state = (uint8_t)next;
}

struct cmds_sim_process *cmdi_process(void)
{
    struct cmdi_sim_crew *crew = cmdi_sim_crew();
    return crew != NULL ? CMDI_CONTAINER(crew, struct cmds_sim_process, crew) : NULL;
}

const char *cmdi_sim_process_name(uint32_t number)
{
    for (struct cmdi_list *node = world->processes.next; node != &world->processes;
            node = node->next) {
        const struct cmds_sim_process *process =
                CMDI_CONTAINER(node, struct cmds_sim_process, link);
        if (process->number == number) {
            return process->name;
        }
    }
    return "?";
}

/* --- Its end ---------------------------------------------------------------------------------- */

static void process_count_left(const struct cmds_sim_process *process)
{
    struct cmdi_sim_blocks blocks = cmdi_sim_memory_of(&process->crew);
    world->blocks_left += blocks.count;
    world->bytes_left += blocks.bytes;
    world->files_left += process->file_count;
    world->threads_left += process->threads_left;
    bool left = blocks.count > 0 || process->file_count > 0 || process->threads_left > 0;
    if (left) {
        cmdi_sim_note("%s leaves %llu bytes in %llu blocks, %u descriptors, %u threads",
                process->name, (unsigned long long)blocks.bytes, (unsigned long long)blocks.count,
                process->file_count, process->threads_left);
    }
}

static void process_drop(struct cmds_sim_process *process)
{
    cmdi_sim_crew_drop(&process->crew);
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&process->parts)) != NULL) {
        struct cmdi_sim_part *part = CMDI_CONTAINER(node, struct cmdi_sim_part, link);
        part->die(part);
    }
    cmdi_files_drop(process);
    cmdi_sim_memory_drop(&process->crew);
}

/* In the loop, behind everything that the process has done. */
static void process_clear(struct cmdi_event *event)
{
    struct cmds_sim_process *process = CMDI_CONTAINER(event, struct cmds_sim_process, clear);
    if (!process->killed) {
        process_count_left(process);
    }
    process_drop(process);
    process_move(process, process->killed ? CMDI_PROCESS_KILLED : CMDI_PROCESS_ENDED);
    if (process->restart_wanted) {
        cmdi_process_start(process);
    }
}

static void process_end(struct cmds_sim_process *process, bool killed)
{
    process_move(process, CMDI_PROCESS_ENDING);
    process->killed = killed;
    process->restart_wanted = false;
    cmdi_event_off(&process->resume);
    cmdi_sim_crew_stop(&process->crew, true);
    cmdi_event_at(&process->clear, cmdi_sim_now());
}

void cmdi_process_kill(struct cmds_sim_process *process)
{
    if (process->state == CMDI_PROCESS_PLANNED) {
        process_move(process, CMDI_PROCESS_KILLED);
    }
    process->restart_wanted = false;
    if (process->state != CMDI_PROCESS_RUNNING) {
        return;
    }
    cmdi_sim_note("%s is killed", process->name);
    process_end(process, true);
    if (process == cmdi_process()) {
        cmdi_sim_thread_exit(NULL);
    }
}

bool cmdi_process_is_over(const struct cmds_sim_process *process)
{
    return (process->state == CMDI_PROCESS_ENDED || process->state == CMDI_PROCESS_KILLED) &&
           !cmdi_event_is_armed(&process->restart);
}

/* --- Its start -------------------------------------------------------------------------------- */

/* Also those that have ended, and that nobody has joined. */
static uint32_t process_threads(const struct cmds_sim_process *process)
{
    uint32_t count = 0;
    const struct cmdi_list *all = &process->crew.threads;
    for (const struct cmdi_list *node = all->next; node != all; node = node->next) {
        count++;
    }
    return count;
}

noreturn void cmdi_process_exit(int status)
{
    struct cmds_sim_process *process = cmdi_process();
    CMDI_ASSERT(process->state == CMDI_PROCESS_RUNNING);
    process->threads_left = process_threads(process) - 1;
    cmdi_sim_note("%s ends with %d", process->name, status);
    if (status != 0) {
        cmdi_sim_fail("the main function of %s returned %d", process->name, status);
    }
    process_end(process, false);
    cmdi_sim_thread_exit(NULL);
}

static void *process_main(void *argument)
{
    struct cmds_sim_process *process = argument;
    cmdi_process_exit(process->main(process->context));
}

noreturn void cmdi_process_thread_exit(void *result)
{
    struct cmds_sim_process *process = cmdi_process();
    if (process->crew.thread_count == 1) { // The last one.
        cmdi_process_exit(0);
    }
    cmdi_sim_thread_exit(result);
}

void cmdi_process_start(struct cmds_sim_process *process)
{
    if (process->state == CMDI_PROCESS_ENDING) {
        process->restart_wanted = true;
        return;
    }
    if (process->state == CMDI_PROCESS_RUNNING || !world->runs) {
        return;
    }
    process_move(process, CMDI_PROCESS_RUNNING);
    cmdi_event_off(&process->restart);
    process->start_count++;
    process->stop_asked = false;
    process->stops_pending = 0;
    process->threads_left = 0;
    process->counted = 0;
    process->host->is_off = false;
    cmdi_sim_queue_init(&process->signalled);
    cmdi_sim_crew_init(&process->crew, process->number);
    cmdi_sim_note(process->start_count == 1 ? "%s starts" : "%s starts again", process->name);
    (void)cmdi_sim_thread_new(&process->crew, process_main, process, "main", 0);
    if (world->ending) {
        cmdi_process_terminate(process);
    }
}

static void process_restart(struct cmdi_event *event)
{
    cmdi_process_start(CMDI_CONTAINER(event, struct cmds_sim_process, restart));
}

void cmdi_process_restart_at(struct cmds_sim_process *process, uint64_t at_ns)
{
    cmdi_event_at(&process->restart, at_ns);
}

/* --- While it runs ---------------------------------------------------------------------------- */

static void process_go_on(struct cmdi_event *event)
{
    struct cmds_sim_process *process = CMDI_CONTAINER(event, struct cmds_sim_process, resume);
    cmdi_sim_note("%s goes on", process->name);
    cmdi_sim_crew_stop(&process->crew, false);
}

void cmdi_process_stall(struct cmds_sim_process *process, uint64_t until_ns)
{
    if (process->state != CMDI_PROCESS_RUNNING || until_ns <= cmdi_sim_now()) {
        return;
    }
    if (cmdi_event_is_armed(&process->resume) && process->resume.at_ns >= until_ns) {
        return;
    }
    cmdi_sim_note("%s stands still for %.1f ms", process->name,
            (double)(until_ns - cmdi_sim_now()) / 1e6);
    cmdi_event_at(&process->resume, until_ns);
    cmdi_sim_crew_stop(&process->crew, true);
    if (process == cmdi_process()) { // Parked behind this wait.
        cmdi_sim_sleep(0, "going on");
    }
}

void cmdi_process_resume(struct cmds_sim_process *process)
{
    if (cmdi_event_is_armed(&process->resume)) {
        cmdi_event_off(&process->resume);
        process_go_on(&process->resume);
    }
}

void cmdi_process_terminate(struct cmds_sim_process *process)
{
    if (process->state == CMDI_PROCESS_RUNNING) {
        cmdi_sim_note("%s is asked to end", process->name);
        process->stop_asked = true;
        process->stops_pending++;
        (void)cmdi_sim_wake(&process->signalled, UINT32_MAX);
    }
}

void cmdi_sim_part_add(struct cmdi_sim_part *part)
{
    struct cmds_sim_process *process = cmdi_process();
    CMDI_ASSERT(process != NULL && part->die != NULL);
    cmdi_list_init(&part->link);
    cmdi_list_push(&process->parts, &part->link);
}

void cmdi_sim_part_remove(struct cmdi_sim_part *part)
{
    cmdi_list_remove(&part->link);
}

/* --- As an object ----------------------------------------------------------------------------- */

static bool process_name_is_taken(const char *name)
{
    for (struct cmdi_list *node = world->processes.next; node != &world->processes;
            node = node->next) {
        if (strcmp(CMDI_CONTAINER(node, struct cmds_sim_process, link)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

struct cmds_sim_process *cmdi_process_add(const struct cmds_sim_program *program)
{
    if (process_name_is_taken(program->name)) {
        return NULL;
    }
    const char *host_name = program->host != NULL ? program->host : program->name;
    struct cmdi_sim_host *host = cmdi_sim_host_named(host_name);
    struct cmds_sim_process *process = cmdi_sim_alloc(sizeof(*process));
    process->host = host != NULL ? host : host_add(host_name);
    process->name = text_copy(program->name);
    process->main = program->main;
    process->context = program->context;
    process->daemon = program->daemon;
    process->number = ++world->process_count;
    cmdi_sim_host_text(process->host, process->address, sizeof(process->address));
    cmdi_event_init(&process->clear, process_clear);
    cmdi_event_init(&process->resume, process_go_on);
    cmdi_event_init(&process->restart, process_restart);
    cmdi_sim_crew_init(&process->crew, process->number);
    cmdi_sim_queue_init(&process->signalled);
    cmdi_list_init(&process->parts);
    cmdi_list_init(&process->link);
    cmdi_list_push(&world->processes, &process->link);
    return process;
}

void cmdi_process_destroy(struct cmds_sim_process *process)
{
    CMDI_ASSERT(cmdi_sim_thread() == NULL);
    process_drop(process);
    cmdi_event_off(&process->clear);
    cmdi_event_off(&process->resume);
    cmdi_event_off(&process->restart);
    cmdi_list_remove(&process->link);
    cmdi_sim_free(process->name);
    cmdi_sim_free(process);
}
