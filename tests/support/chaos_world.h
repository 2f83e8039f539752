/* SPDX-License-Identifier: MIT */
/*
 * A simulated world with a proxy of src/chaos in it, for tests of one fact. A test is the main function of
 * a process that has the proxy, the client and the target, as plain sockets: peers of cmdstream would end
 * what a fault leaves open. Each of its waits is in virtual time.
 */
#ifndef CMDI_TESTS_SUPPORT_CHAOS_WORLD_H
#define CMDI_TESTS_SUPPORT_CHAOS_WORLD_H

#include "chaos/chaos.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <cmdstream/runtime.h>

#include "net/address.h"
#include "ring/socket.h"
#include "sim/net.h"
#include "support/harness.h"
#include "support/sim_runs.h"

enum {
    PATIENCE_MS = 5000,
    HOUR_MS = 3600 * 1000,
    ROUTES = 2,
    MUCH = 1 << 20,
};
static const char *const listens[] = {"0.0.0.0:9000", "0.0.0.0:9001"};
static const char *const targets[] = {"127.0.0.1:9000", "127.0.0.1:9001"};

struct world {
    struct cmds_runtime *runtime;
    struct cmdi_chaos *chaos;
    struct cmdi_chaos_route routes[ROUTES];
    struct cmdi_chaos_options options;
    int listeners[ROUTES];
    int client, target; // The two ends of a connection through the proxy.
};

/* --- Sockets of the world ---------------------------------------------------------------------- */

static inline uint64_t now_ms(void)
{
    return cmds_sim_now_ns(cmds_sim_current()) / 1000000;
}

static inline struct cmdi_address address_of(const char *text)
{
    struct cmdi_address address;
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(text, &address, 1, NULL), 1);
    return address;
}

/* Returns: fd; -errno. */
static inline int connect_to(const char *text)
{
    struct cmdi_address address = address_of(text);
    int fd = cmdi_socket_open(&address, 0);
    if (fd < 0) {
        return fd;
    }
    int code = cmdi_sock_connect(cmdi_sock_of_fd(fd), &address);
    code = code == 0 ? -EINPROGRESS : code;
    while (code == -EINPROGRESS &&
            (code = cmdi_sock_connected(cmdi_sock_of_fd(fd))) == -EINPROGRESS) {
        cmds_sim_sleep_ms(1);
    }
    if (code < 0) {
        cmdi_fd_close(fd);
        return code;
    }
    return fd;
}

static inline int connect_route(const struct world *world, uint32_t route)
{
    char text[CMDI_ADDRESS_TEXT_MAX];
    cmdi_chaos_address(world->chaos, route, text, sizeof(text));
    return connect_to(text);
}

/* Returns: fd; -EAGAIN: nobody comes. */
static inline int accept_of(const struct world *world, uint32_t route, uint32_t patience_ms)
{
    int fd = cmdi_socket_accept_now(world->listeners[route]);
    for (uint32_t i = 0; fd == -EAGAIN && i < patience_ms; i++) {
        cmds_sim_sleep_ms(1);
        fd = cmdi_socket_accept_now(world->listeners[route]);
    }
    return fd;
}

/* The system may not take all of it at once. */
static inline void say(int fd, const void *data, size_t size)
{
    size_t said = 0;
    int64_t code = 0;
    for (uint32_t i = 0; said < size && (code >= 0 || code == -EAGAIN) && i < 1000; i++) {
        cmds_sim_sleep_ms(code < 0 ? 1 : 0);
        code = cmdi_sock_send(cmdi_sock_of_fd(fd), (const char *)data + said, size - said);
        said += code > 0 ? (size_t)code : 0;
    }
    CU_ASSERT_EQUAL(said, size);
}

/* Waits for something. Returns: how many bytes; 0: the end; -EAGAIN: nothing in so long; -errno. */
static inline int64_t hear(int fd, void *data, size_t size, uint32_t patience_ms)
{
    int64_t got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    for (uint32_t i = 0; got == -EAGAIN && i < patience_ms; i++) {
        cmds_sim_sleep_ms(1);
        got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    }
    return got;
}

/* Until the end, or an error, or silence. Returns: that; *size: how many bytes came before it. */
static inline int64_t hear_all(int fd, char *data, size_t room, size_t *size)
{
    int64_t got = 0;
    *size = 0;
    while (*size < room && (got = hear(fd, data + *size, room - *size, PATIENCE_MS)) > 0) {
        *size += (size_t)got;
    }
    return got;
}

static inline bool hears(int fd, const char *text)
{
    char data[256];
    size_t size = strlen(text);
    size_t had = 0;
    int64_t got = 1;
    while (had < size && (got = hear(fd, data + had, size - had, PATIENCE_MS)) > 0) {
        had += (size_t)got;
    }
    return had == size && memcmp(data, text, size) == 0;
}

static inline bool is_silent(int fd, uint32_t ms)
{
    char byte;
    return hear(fd, &byte, 1, ms) == -EAGAIN;
}

static inline bool is_reset(int fd)
{
    char byte;
    return hear(fd, &byte, 1, PATIENCE_MS) == -ECONNRESET;
}

static inline bool is_finished(int fd)
{
    char byte;
    return hear(fd, &byte, 1, PATIENCE_MS) == 0;
}

/* The proxy accepts, and then it resets: soon, or at once. */
static inline bool is_turned_away(const struct world *world, uint32_t route)
{
    int fd = connect_route(world, route);
    bool is = fd == -ECONNRESET || (fd >= 0 && is_reset(fd));
    if (fd >= 0) {
        cmdi_fd_close(fd);
    }
    return is;
}

/* --- A world ---------------------------------------------------------------------------------- */

/* A connection through route 0, from end to end. */
static inline void join(struct world *world)
{
    world->client = connect_route(world, 0);
    world->target = accept_of(world, 0, PATIENCE_MS);
    CU_ASSERT_FATAL(world->client >= 0 && world->target >= 0);
}

static inline void part(struct world *world)
{
    cmdi_fd_close(world->client);
    cmdi_fd_close(world->target);
}

static inline uint64_t open_count(const struct world *world)
{
    struct cmdi_chaos_counters counters;
    cmdi_chaos_stats(world->chaos, &counters);
    return counters.open;
}

static inline uint32_t strike(
        struct world *world, enum cmdi_chaos_kind kind, uint8_t ways, uint32_t ms)
{
    struct cmdi_chaos_event event = {
            .kind = kind, .scope = CMDI_CHAOS_ALL, .ways = ways, .lasts_ms = ms};
    return cmdi_chaos_do(world->chaos, &event);
}

static inline int world_begin(struct world *world)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    options.buffer_count_max = 64; // No large ones, as in the tool.
    for (uint32_t i = 0; i < ROUTES; i++) {
        struct cmdi_address address = address_of(listens[i]);
        world->listeners[i] = cmdi_socket_listen(&address, 64, false, 0);
        world->routes[i] = (struct cmdi_chaos_route){"127.0.0.1:0",
                world->routes[i].target != NULL ? world->routes[i].target : targets[i]};
    }
    world->options.routes = world->routes;
    world->options.route_count = ROUTES;
    int code = cmds_runtime_start(&world->runtime, &options, NULL);
    return code < 0 ? code
                    : cmdi_chaos_start(&world->chaos, world->runtime, 0, &world->options, NULL);
}

static inline void world_end(struct world *world)
{
    for (uint32_t i = 0; i < ROUTES; i++) {
        cmdi_fd_close(world->listeners[i]);
    }
    cmdi_chaos_close(world->chaos);
    cmds_runtime_stop(world->runtime);
}

struct run {
    void (*test)(struct world *world);
    struct cmdi_chaos_options options;
    const char *target;
    uint64_t seed;   // Of the world.
    uint32_t faults; // Of the world: enum cmds_sim_fault.
};

static inline int run_main(void *context)
{
    const struct run *run = context;
    struct world world = {.options = run->options, .routes = {{NULL, run->target}}};
    CU_ASSERT_EQUAL_FATAL(world_begin(&world), 0);
    run->test(&world);
    world_end(&world);
    return 0;
}

static inline void in_world(const struct run *run)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    struct run copy = *run;
    options.seed = run->seed != 0 ? run->seed : 3;
    options.faults = run->faults;
    options.time_max_ms = 3 * HOUR_MS;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "one", false, run_main, &copy);
    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
}

#endif
