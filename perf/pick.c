/* SPDX-License-Identifier: MIT */
/*
 * What it costs to pick one of the connections of a shard: by the short way, as a send does, and by
 * the public table, as a strategy of a program's own would be asked. Nanoseconds per pick, of the
 * best of some rounds.
 *
 *     pick [round-robin|least|p2c|sticky [count]]    # perf stat pick least 16
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group/dispatch.h"
#include "group/group_shard.h"
#include "group/send.h"
#include "ring/clock.h"

enum {
    COUNT_MAX = 64,
    PICKS = 5000,
    ROUNDS = 400, // Many: another program may have the core in most of them.
};

static struct cmdi_client clients[COUNT_MAX];
static struct cmdi_client *list[COUNT_MAX];
static struct cmdi_shard shard;
static struct cmdi_client_config config;
static struct cmds_group group;
static struct cmdi_group_shard group_shard;
static struct cmdi_endpoint endpoints[COUNT_MAX];

static void setup(uint32_t count)
{
    config.in_flight_max = 1024;
    group_shard.client_shard.shard = &shard;
    group_shard.client_shard.config = &config;
    group_shard.group = &group;
    group_shard.list = list;
    group_shard.client_count = group_shard.up_count = count;
    group_shard.all_up = true;
    for (uint32_t i = 0; i < count; i++) {
        clients[i].number = i;
        list[i] = &clients[i];
        atomic_store(&endpoints[i].hash, (i + 1) * UINT64_C(0xd6e8feb86659fd93));
        atomic_store(&endpoints[i].weight, CMDI_ENDPOINT_WEIGHT);
        atomic_store(&clients[i].endpoint, &endpoints[i]);
        atomic_store(&clients[i].state, CMDI_CLIENT_UP);
        atomic_store(&clients[i].in_flight, i * 7 % 5);
        cmdi_latency_observe(&clients[i].latency, 100 + i * 11 % 7, 0);
    }
}

/* Each pick changes what the next one sees, as a send does. */
static double measure(void)
{
    double best = 1e9;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t since_ns = cmdi_now_ns();
        for (uint32_t i = 0; i < PICKS; i++) {
            struct cmdi_client *client = list[cmdi_group_shard_pick(&group_shard, i % 1000 + 1)];
            uint32_t in_flight = atomic_load_explicit(&client->in_flight, memory_order_relaxed);
            atomic_store_explicit(&client->in_flight, (in_flight + 1) % 8, memory_order_relaxed);
            shard.now_ms += i % 64 == 0;
        }
        double ns = (double)(cmdi_now_ns() - since_ns) / PICKS;
        best = ns < best ? ns : best;
    }
    return best;
}

static int row(const struct cmds_dispatch *dispatch, uint32_t count)
{
    if (cmdi_picker_init(&group_shard.picker, dispatch, count, NULL) < 0) {
        return 1;
    }
    setup(count);
    group_shard.takes_turns = dispatch == &cmds_dispatch_round_robin;
    double way = measure();
    group_shard.picker.short_pick = NULL;
    double table = measure();
    printf("%-12s %2u connections: %5.1f ns, by its table %5.1f ns\n", dispatch->name, count, way,
            dispatch == &cmds_dispatch_round_robin ? 0 : table);
    cmdi_picker_fini(&group_shard.picker);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct cmds_dispatch *const all[] = {&cmds_dispatch_round_robin,
            &cmds_dispatch_least, &cmds_dispatch_p2c, &cmds_dispatch_sticky};
    static const uint32_t counts[] = {2, 4, 8, 16, 64};
    int code = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
            if ((argc < 2 || strcmp(argv[1], all[i]->name) == 0) &&
                    (argc < 3 || (uint32_t)atoi(argv[2]) == counts[j])) {
                code |= row(all[i], counts[j]);
            }
        }
    }
    return code;
}
