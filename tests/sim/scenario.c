/* SPDX-License-Identifier: MIT */
/* See scenario.h. Most options are left alone in most scenarios, so that each has company it knows. */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include <cmdstream/codec.h>
#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

#include "sim/talk.h"

struct draw {
    uint64_t state;
};

static uint64_t draw_next(struct draw *draw)
{
    uint64_t z = draw->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* From `low` to `high`, both included. */
static uint32_t draw_between(struct draw *draw, uint32_t low, uint32_t high)
{
    return low + (uint32_t)(draw_next(draw) % (high - low + 1));
}

static bool draw_one_in(struct draw *draw, uint32_t n)
{
    return draw_next(draw) % n == 0;
}

/* 0, the default, but one in `n` times something between the two. */
static uint32_t draw_rarely(struct draw *draw, uint32_t n, uint32_t low, uint32_t high)
{
    uint32_t value = draw_between(draw, low, high);
    return draw_one_in(draw, n) ? value : 0;
}

/* As often small as large. */
static uint32_t draw_wide(struct draw *draw, uint32_t low, uint32_t high)
{
    uint32_t top = high;
    while (top / 2 > low && draw_one_in(draw, 2)) {
        top /= 2;
    }
    return draw_between(draw, low, top);
}

static void draw_server_limits(
        struct draw *draw, const struct scenario *scenario, struct scenario_server *server)
{
    uint32_t patience_ms = scenario->latency_us / 50; // Twenty times as long as a byte takes.
    server->in_flight_max = draw_rarely(draw, 3, 1, 20);
    server->frame_size_max = draw_rarely(draw, 4, 2048, 65536);
    server->output_size_max = draw_rarely(draw, 3, 4096, 65536);
    server->kept_size_max = draw_rarely(draw, 6, 1, 20000);
    server->connection_count_max = draw_rarely(draw, 8, 1, 12);
    server->queues = draw_one_in(draw, 2);
    server->is_patient = draw_one_in(draw, 3);
    server->pool_queue_max = draw_rarely(draw, 6, 1, 8);
    server->buffer_size = draw_rarely(draw, 4, 4096, 9000);
    server->buffer_count_max = draw_rarely(draw, 5, 1, 64);
    server->ring_entries = 32u << draw_between(draw, 0, 5);
    server->spin_us = draw_one_in(draw, 2) ? CMDS_SPIN_OFF : draw_between(draw, 1, 100);
    server->linger_ms = draw_rarely(draw, 6, 1, 500);
    server->strict = draw_one_in(draw, 5);
    if (server->strict) {
        server->idle_ms = draw_rarely(draw, 2, 50, 3000);
        server->frame_ms = draw_rarely(draw, 2, 5 + patience_ms, 500 + patience_ms);
        server->write_ms = draw_rarely(draw, 2, 5 + patience_ms, 500 + patience_ms);
        server->exec_ms = draw_rarely(draw, 2, 1, 1000);
        server->memory_size_max = draw_rarely(draw, 3, 1u << 20, 4u << 20);
    }
}

/* What has to be the same where a client is to speak with either. */
static void draw_kin(const struct scenario_server *one, struct scenario_server *server)
{
    server->kin = one->kin;
    server->port = one->port;
    server->host_of = server->number;
    server->codec = one->codec;
    server->masked = one->masked;
    server->frame_size_max = one->frame_size_max;
    memcpy(server->server_info, one->server_info, sizeof(server->server_info));
}

static void draw_server(struct draw *draw, struct scenario *scenario, uint32_t number)
{
    struct scenario_server *server = &scenario->servers[number];
    *server = (struct scenario_server){
            .number = number,
            .port = 9000 + number,
            .host_of = number,
            .kin = number,
            .codec = (uint8_t)draw_between(draw, 0, SCENARIO_CODECS - 1),
            .masked = draw_one_in(draw, 4),
            .fragile = draw_one_in(draw, 2),
            .is_main = draw_one_in(draw, 8),
            .is_inline = draw_one_in(draw, 8),
            .reuse_port = draw_one_in(draw, 4),
            .shards = draw_between(draw, 1, 4),
            .pool_threads = draw_between(draw, 0, 4),
            .upstream = number > 0 && draw_one_in(draw, 2) ? draw_between(draw, 0, number - 1)
                                                           : SCENARIO_NONE,
            .lives_ms = draw_rarely(draw, 3, 200, 4000),
            .drain_ms = draw_one_in(draw, 4) ? 0 : draw_wide(draw, 1, 20000),
    };
    if (number > 0 && draw_one_in(draw, 4)) {
        server->host_of = scenario->servers[draw_between(draw, 0, number - 1)].host_of;
    }
    if (server->is_main) { // Nobody gets at it, so it forwards nothing and lives for ever.
        server->upstream = SCENARIO_NONE;
        server->is_inline = server->reuse_port = false;
        server->lives_ms = server->pool_threads = 0;
        server->drain_ms = 10000;
    }
    (void)snprintf(server->name, sizeof(server->name), "server%u", number);
    (void)snprintf(server->server_info, sizeof(server->server_info),
            draw_one_in(draw, 2) ? "default" : "info-%u", number);
    draw_server_limits(draw, scenario, server);
    if (number > 0 && draw_one_in(draw, 2)) {
        draw_kin(&scenario->servers[draw_between(draw, 0, number - 1)], server);
    }
}

static void draw_client_limits(
        struct draw *draw, const struct scenario_server *server, struct scenario_client *client)
{
    uint32_t frame = server->frame_size_max != 0 ? server->frame_size_max : 16u << 20;
    client->frame_size_max = draw_one_in(draw, 4) ? 0 : server->frame_size_max;
    client->in_flight_max = draw_rarely(draw, 3, 1, 32);
    client->output_size_max = draw_rarely(draw, 3, 4096, 65536);
    client->deadline_ms = draw_rarely(draw, 2, 20, 10000);
    client->keepalive_ms = draw_one_in(draw, 3) ? CMDS_NEVER : draw_rarely(draw, 3, 1000, 5000);
    client->keepalive_interval_ms = draw_rarely(draw, 3, 1000, 3000);
    client->connect_ms = draw_rarely(draw, 4, 500, 8000);
    client->reconnect_ms = draw_one_in(draw, 3) ? CMDS_NEVER : draw_rarely(draw, 2, 1, 500);
    client->reconnect_max_ms = draw_rarely(draw, 2, 100, 3000);
    client->reconnect_count = draw_rarely(draw, 4, 1, 8);
    client->breaker_window = draw_rarely(draw, 3, 1, 20);
    client->breaker_percent = draw_between(draw, 1, 100);
    client->breaker_open_ms = draw_wide(draw, 1, 2000);
    client->breaker_threshold = draw_rarely(draw, 2, 1, 4);
    client->breaker_trials = draw_rarely(draw, 2, 1, 6);
    client->memory_size_max = draw_rarely(draw, 10, 1u << 20, 4u << 20);
    client->buffer_size = draw_rarely(draw, 4, 4096, 9000);
    client->buffer_count_max = draw_rarely(draw, 5, 1, 64);
    client->ring_entries = 32u << draw_between(draw, 0, 5);
    client->spin_us = draw_one_in(draw, 2) ? CMDS_SPIN_OFF : draw_between(draw, 1, 100);
    client->size_max = draw_one_in(draw, 6)   ? 400000
                       : draw_one_in(draw, 3) ? 20000
                                              : draw_wide(draw, 0, 600);
    // Room for the other fields, and for base64.
    client->size_max = client->size_max < (frame - 300) / 2 ? client->size_max : (frame - 300) / 2;
}

static void draw_client(struct draw *draw, struct scenario *scenario, uint32_t number)
{
    uint32_t server = draw_between(draw, 0, scenario->server_count - 1);
    struct scenario_client *client = &scenario->clients[number];
    *client = (struct scenario_client){
            .number = number,
            .server = server,
            .is_inline = draw_one_in(draw, 4),
            .fragile = draw_one_in(draw, 2),
            .is_stranger = draw_one_in(draw, 20),
            .is_sleepy = draw_one_in(draw, 6),
            .is_tough = draw_one_in(draw, 5),
            .is_hasty = draw_one_in(draw, 3),
            .forgets = draw_one_in(draw, 3),
            .sticky = draw_one_in(draw, 3),
            .shards = draw_between(draw, 1, 4),
            .groups = draw_between(draw, 1, 2),
            .connections = draw_wide(draw, 1, SCENARIO_CONNECTIONS_MAX),
            .threads = draw_rarely(draw, 2, 1, 3),
            .senders = draw_rarely(draw, 2, 1, 2),
            .commands = draw_wide(draw, 50, 3000),
            .at_once = draw_wide(draw, 1, 60),
            .think_us = draw_wide(draw, 0, 20000),
            .count_max = draw_wide(draw, 1, 60),
            .delay_max_ms = draw_wide(draw, 1, 300),
    };
    uint32_t hows = (1u << TALK_HARD) - 1;
    client->hows = draw_one_in(draw, 3) ? 1u << TALK_NOW : hows & (uint32_t)draw_next(draw);
    client->hows |= draw_one_in(draw, 3) ? 0 : 1u << TALK_NOW;
    client->hows |= client->hows == 0;
    client->hows |= client->is_tough ? 1u << TALK_HARD | 1u << TALK_CLOSE : 0;
    client->picks = draw_one_in(draw, 3);
    client->resends = draw_one_in(draw, 2);
    client->pauses = draw_one_in(draw, 3);
    client->moves = draw_one_in(draw, 2);
    client->names = draw_one_in(draw, 3);
    client->dispatch = (uint8_t)draw_between(draw, 0, 4);
    client->stream_size_max = draw_rarely(draw, 2, 1, 20000);
    (void)snprintf(client->name, sizeof(client->name), "client%u", number);
    draw_client_limits(draw, &scenario->servers[server], client);
}

static uint32_t draw_bits(struct draw *draw, uint32_t all)
{
    return draw_one_in(draw, 6) ? all : all & (uint32_t)draw_next(draw) & (uint32_t)draw_next(draw);
}

static void scenario_apply(struct scenario *scenario, const struct scenario_limits *limits)
{
    if (limits->load_ms != SCENARIO_NONE) {
        scenario->load_ms = limits->load_ms;
    }
    if (limits->faults != SCENARIO_NONE) {
        scenario->faults &= limits->faults;
    }
    if (limits->chaos != SCENARIO_NONE) {
        scenario->chaos &= limits->chaos;
    }
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        struct scenario_client *client = &scenario->clients[i];
        client->commands =
                client->commands < limits->commands ? client->commands : limits->commands;
        client->shards = client->shards < limits->shards ? client->shards : limits->shards;
        client->threads = client->threads < limits->threads ? client->threads : limits->threads;
        client->senders = client->senders < limits->threads ? client->senders : limits->threads;
        if (client->connections > limits->connections) {
            client->connections = limits->connections;
        }
        client->hows &= limits->hows;
        client->hows |= client->hows == 0;
    }
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        struct scenario_server *server = &scenario->servers[i];
        server->shards = server->shards < limits->shards ? server->shards : limits->shards;
    }
    /* The first ones are kept, as they were: so what is left is still the same. */
    if (limits->clients < scenario->client_count) {
        scenario->client_count = limits->clients;
    }
}

void scenario_draw(struct scenario *scenario, uint64_t seed, const struct scenario_limits *limits)
{
    struct draw draw = {.state = seed * 0x2545f4914f6cdd1du + 1};
    *scenario = (struct scenario){
            .seed = seed,
            .server_count = draw_wide(&draw, 1, SCENARIO_SERVERS_MAX),
            .client_count = draw_wide(&draw, 1, SCENARIO_CLIENTS_MAX),
            .load_ms = draw_wide(&draw, 500, 8000),
            .settle_ms = 120000,
            .latency_us = draw_wide(&draw, 10, 20000),
            .bytes_per_ms = draw_one_in(&draw, 4) ? draw_wide(&draw, 500, 100000) : 0,
            .cpu_count = draw_between(&draw, 1, 4),
            .file_count_max = 0,
    };
    uint32_t servers = scenario->server_count, clients = scenario->client_count;
    for (uint32_t i = 0; i < servers; i++) {
        draw_server(&draw, scenario, i);
    }
    for (uint32_t i = 0; i < clients; i++) {
        draw_client(&draw, scenario, i);
    }
    uint32_t kind = draw_between(&draw, 0, 3); // Calm, named faults, the world's own, both.
    uint32_t chaos = draw_bits(&draw, SCENARIO_CHAOS_ALL);
    uint32_t faults = draw_bits(&draw, CMDS_SIM_ALL_FAULTS);
    scenario->chaos = kind & 1 ? chaos : 0;
    scenario->faults = kind & 2 ? faults : draw_one_in(&draw, 2) ? CMDS_SIM_WALL_CLOCK : 0;
    scenario->chaos_ms = draw_wide(&draw, 50, 1000);
    scenario_apply(scenario, limits);
}

bool scenario_server_is_calm(const struct scenario *scenario, uint32_t number)
{
    const struct scenario_server *server = &scenario->servers[number];
    uint32_t unkind = (uint32_t)CMDS_SIM_ALL_FAULTS & ~(uint32_t)CMDS_SIM_WALL_CLOCK;
    bool host_is_fragile = false;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        bool same = scenario->servers[i].host_of == server->host_of;
        host_is_fragile = host_is_fragile || (same && scenario->servers[i].fragile);
    }
    /* A narrow link, or a limit of connections, is enough for a time limit. */
    return (scenario->faults & unkind) == 0 && (!host_is_fragile || scenario->chaos == 0) &&
           !server->strict && server->connection_count_max == 0 && scenario->bytes_per_ms == 0;
}

uint32_t scenario_kin(const struct scenario *scenario, uint32_t server)
{
    uint32_t kin = 0;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        kin |= scenario->servers[i].kin == scenario->servers[server].kin ? 1u << i : 0;
    }
    return kin;
}

bool scenario_lies(const struct scenario *scenario)
{
    return (scenario->faults & CMDS_SIM_NAMES) != 0 || (scenario->chaos & SCENARIO_NAME) != 0;
}

bool scenario_is_calm(const struct scenario *scenario, uint32_t number)
{
    const struct scenario_client *client = &scenario->clients[number];
    bool is_calm = scenario_server_is_calm(scenario, client->server);
    uint32_t kin = client->moves ? scenario_kin(scenario, client->server) : 0;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        is_calm = is_calm && ((kin & 1u << i) == 0 || scenario_server_is_calm(scenario, i));
    }
    return is_calm && (!client->fragile || scenario->chaos == 0) && !client->is_stranger &&
           !client->is_tough && client->memory_size_max == 0;
}

const struct cmds_codec *scenario_codec_of(enum scenario_codec codec)
{
    switch (codec) {
    case SCENARIO_MSGPACK_MAP:
        return &cmds_codec_msgpack_map;
#ifdef WITH_JSON
    case SCENARIO_JSON:
        return &cmds_codec_json;
#endif
#ifdef WITH_MUS
    case SCENARIO_MUS:
        return &cmds_codec_mus;
#endif
#ifdef WITH_PROTOBUF
    case SCENARIO_PROTOBUF:
        return &cmds_codec_protobuf;
#endif
    default:
        return &cmds_codec_msgpack;
    }
}

bool scenario_answers(const struct scenario *scenario)
{
    return scenario->seed % 3 != 0; // Not drawn: what is drawn stays as it was.
}

void scenario_describe(const struct scenario *scenario, char *text, size_t size)
{
    static const char *const codecs[] = {"msgpack", "map", "json", "mus", "protobuf"};
    size_t at = 0;
#define SAY(...)                                                                                   \
    do {                                                                                           \
        int said = snprintf(text + at, size - at, __VA_ARGS__);                                    \
        at = said < 0 || at + (size_t)said >= size ? size - 1 : at + (size_t)said;                 \
    } while (0)
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        const struct scenario_server *server = &scenario->servers[i];
        SAY("%s %s%s%s%s%s x%u", i == 0 ? "servers" : ",", codecs[server->codec],
                server->masked ? " masked" : "", server->is_main ? " main" : "",
                server->fragile ? " fragile" : "", server->strict ? " strict" : "", server->shards);
        if (server->upstream != SCENARIO_NONE) {
            SAY(" -> %u", server->upstream);
        }
    }
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        const struct scenario_client *client = &scenario->clients[i];
        SAY("%s to %u:%s%s%s%s %ux%u+%u+%u", i == 0 ? "; clients" : ",", client->server,
                client->is_inline ? " inline" : "", client->fragile ? " fragile" : "",
                client->is_tough ? " tough" : "", client->is_sleepy ? " sleepy" : "",
                client->groups, client->connections, client->threads, client->senders);
    }
    SAY("; faults %u, chaos %u", scenario->faults, scenario->chaos);
#undef SAY
}
