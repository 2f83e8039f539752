/* SPDX-License-Identifier: MIT */
/*
 * Several forwards of one call, over connections of two shards, whose servers the test plays. What may go
 * wrong: a callback runs on another shard than its call's, so that a fan-in without a lock is a race; it
 * cannot tell one from another; what the options say is not heeded; or a forward waits for a connection of
 * its own shard while there is one of another shard.
 */
#include <errno.h>
#include <string.h>

#include <cmdstream/dispatch.h>
#include <cmdstream/hooks.h>

#include "group/group.h"
#include "ring/socket.h"
#include "server/call.h"
#include "support/sim/host.h"

enum {
    SEEDS = 5,
    SHARDS = 2,
    PARTS = 3,
    AGAIN = 10, // Added to the number of a part that is asked for once more.
    AWAY_MS = 60000,
};

struct part {
    struct page *page;
    int64_t number;
};
struct page {
    struct cmds_call *call; // Borrowed; of sends a reference.
    struct part parts[PARTS];
    uint32_t left;
    int64_t sum;
    bool is_busy; // A callback of this page runs.
};
struct fan {
    struct asker asker;
    int listener;
    struct guest servers[SHARDS];
    struct page pages[SHARDS];           // By shard.
    bool sends;                          // In place of forwards.
    uint32_t lost, elsewhere;            // Callbacks on another shard than that of their call.
    const struct cmds_send_options *how; // Of forwards.
    uint32_t deadline_ms;                // What a hook was given last.
    void *data;
    uint32_t ended; // Forwards, the last of them with this error.
    int error;
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* A connection for each shard, which does not come back once it is lost. */
static void fan_open(struct fan *fan, struct hall *hall)
{
    fan->listener = host_listen();
    hall->context = fan;
    asker_init(&fan->asker, hall);
    fan->asker.options.client_count = SHARDS;
    fan->asker.options.reconnect_delay_ms = AWAY_MS;
}

static void fan_connect(struct fan *fan, struct hall *hall)
{
    asker_open(&fan->asker, hall);
    for (uint32_t i = 0; i < SHARDS; i++) {
        host_enter(fan->listener, &fan->servers[i]);
    }
    HALL_UNTIL(fan->asker.ups == SHARDS);
}

static void fan_close(struct fan *fan, uint32_t first)
{
    asker_close(&fan->asker);
    for (uint32_t i = first; i < SHARDS; i++) {
        guest_close(&fan->servers[i]);
    }
    cmdi_fd_close(fan->listener);
}

/* --- A fan-in ----------------------------------------------------------------------------------- */

static struct fan *fan_of(const struct cmds_call *call)
{
    return ((struct hall *)cmds_call_receiver(call))->context;
}

static void part_ask(struct part *part, int64_t number);

/* A part has come, or is asked for once more. The last one answers. */
static void part_on_result(struct part *part, const struct cmds_result *result)
{
    struct page *page = part->page;
    struct fan *fan = fan_of(page->call);
    const struct value *value = value_of(result);
    CU_ASSERT_FALSE(page->is_busy);
    page->is_busy = true;
    fan->elsewhere += cmdi_shard_current() != cmdi_call_shard(page->call);
    if (value == NULL) {
        CU_ASSERT_EQUAL(result->error, CMDS_E_LOST);
        fan->lost++;
        part_ask(part, part->number + AGAIN);
    } else {
        CU_ASSERT_EQUAL(value->number, part->number);
        page->sum += value->number;
        if (--page->left == 0) {
            (void)hall_answer(page->call, page->sum);
        }
    }
    page->is_busy = false;
}

static void part_on_forwarded(
        struct cmds_call *call, void *context, const struct cmds_result *result)
{
    struct part *part = context;
    CU_ASSERT_PTR_EQUAL(call, part->page->call);
    part_on_result(part, result);
}

static void part_on_sent(void *context, const struct cmds_result *result)
{
    struct part *part = context;
    struct cmds_call *call = part->page->call;
    part_on_result(part, result);
    cmds_call_unref(call);
}

static void part_ask(struct part *part, int64_t number)
{
    struct page *page = part->page;
    struct fan *fan = fan_of(page->call);
    struct act act = {number};
    if (fan->sends) {
        (void)cmds_call_ref(page->call);
        CU_ASSERT_EQUAL(
                cmds_group_send(fan->asker.group, act_message(&act), NULL, part_on_sent, part), 0);
    } else {
        CU_ASSERT_EQUAL(cmds_group_forward(fan->asker.group, act_message(&act), NULL, page->call,
                                part_on_forwarded, part),
                0);
    }
}

static int act_fan_out(struct cmds_call *call, const struct act *act)
{
    struct page *page = &fan_of(call)->pages[cmdi_call_shard(call)->index];
    (void)act;
    *page = (struct page){.call = call, .left = PARTS};
    for (uint32_t i = 0; i < PARTS; i++) {
        page->parts[i] = (struct part){page, i + 1};
        part_ask(&page->parts[i], i + 1);
    }
    return 0;
}

/* Reads so many commands, and answers them but for the last `kept`, the first of which is *kept. */
static void serve(struct guest *server, uint32_t count, uint32_t kept, struct answer *first_kept)
{
    struct answer command;
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(guest_read(server, &command, 100), GUEST_ANSWER);
        if (i + kept < count) {
            host_answer(server, command.sequence, command.number % AGAIN);
        } else if (i + kept == count) {
            *first_kept = command;
        }
    }
}

/* Of each page one part has come when one of the connections is lost: the other one has them all then. */
static void script_fan_in(struct hall *hall)
{
    struct fan fan = {.sends = hall->context != NULL};
    struct guest guests[SHARDS];
    struct answer kept = {.sequence = 0};
    fan_open(&fan, hall);
    fan_connect(&fan, hall);
    for (uint32_t i = 0; i < SHARDS; i++) {
        guest_enter(&guests[i]);
        (void)guest_send(&guests[i], &act_type, 0);
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        serve(&fan.servers[i], PARTS, PARTS - 1, &kept);
    }
    HALL_UNTIL(fan.pages[0].left == PARTS - 1 && fan.pages[1].left == PARTS - 1);
    guest_close(&fan.servers[0]);
    HALL_UNTIL(fan.lost == PARTS - 1);
    for (uint32_t i = 0; i < PARTS - 1; i++) {
        host_answer(&fan.servers[1], kept.sequence + i, kept.number + i);
    }
    serve(&fan.servers[1], PARTS - 1, 0, NULL);

    for (uint32_t i = 0; i < SHARDS; i++) {
        CU_ASSERT_TRUE(guest_expects(&guests[i], 1 + 2 + 3, 100));
    }
    /* Sends come on the shard of their connection: client.h says so, and why forwards are better. */
    CU_ASSERT_EQUAL(fan.elsewhere, fan.sends ? PARTS - 1 : 0);
    guest_close(&guests[0]);
    guest_close(&guests[1]);
    fan_close(&fan, 1);
}

static void fan_in(bool sends)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_fan_out;
    hall.runtime_options.shard_count = SHARDS;
    hall.context = sends ? &hall : NULL;

    run_all(&hall, script_fan_in);
}

static void test_sim_fan_in_of_forwards_stays_on_the_shard_of_its_call(void)
{
    fan_in(false);
}

static void test_sim_fan_in_of_sends_follows_the_connections(void)
{
    fan_in(true);
}

/* --- Options ------------------------------------------------------------------------------------ */

enum {
    DEADLINE_MS = 50,
};

static uint64_t picked_key; // That the strategy was given last.

static uint32_t pick_key(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    (void)candidate;
    (void)source;
    picked_key = key;
    return (uint32_t)(key % count);
}
static const struct cmds_dispatch by_key = {.struct_size = sizeof(by_key),
        .version = CMDS_DISPATCH_VERSION,
        .name = "by key",
        .pick = pick_key};

static int before_send(void *context, struct cmds_sent_command *command)
{
    struct fan *fan = context;
    fan->data = command->data;
    fan->deadline_ms = command->deadline_ms;
    return 0;
}

static void on_ended(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    struct fan *fan = fan_of(call);
    CU_ASSERT_PTR_EQUAL(context, &fan->error);
    CU_ASSERT_PTR_EQUAL(cmdi_shard_current(), cmdi_call_shard(call));
    fan->ended++;
    fan->error = result->error;
    if (result->error == 0) {
        (void)hall_answer(call, value_of(result)->number);
    }
}

static int act_as_told(struct cmds_call *call, const struct act *act)
{
    struct fan *fan = fan_of(call);
    int code = cmds_group_forward(
            fan->asker.group, act_message(act), fan->how, call, on_ended, &fan->error);
    return code < 0 ? hall_answer(call, -code % AGAIN) : 0;
}

/* The key says which connection; one waits for room with it, and goes the same way. */
static void script_key(struct hall *hall)
{
    struct fan fan = {.sends = false};
    struct guest guest;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    fan_open(&fan, hall);
    fan.asker.options.dispatch = &by_key;
    fan.asker.options.in_flight_max = 1;
    fan_connect(&fan, hall);
    guest_enter(&guest);
    how.sticky_key = 7;
    fan.how = &how;
    for (int64_t i = 0; i < PARTS; i++) {
        (void)guest_send(&guest, &act_type, i); // The first two fill both windows.
        HALL_UNTIL(hall->acts == i + 1);
    }
    CU_ASSERT_EQUAL(picked_key, 7);
    picked_key = 0;
    for (uint32_t i = 0; i < SHARDS; i++) {
        serve(&fan.servers[i], 1, 0, NULL);
    }
    HALL_UNTIL(picked_key == 7); // Of the one that waited.
    struct answer command;
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (guest_read(&fan.servers[i], &command, 10) == GUEST_ANSWER) {
            host_answer(&fan.servers[i], command.sequence, 1);
        }
    }
    HALL_UNTIL(fan.ended == PARTS);
    guest_close(&guest);
    fan_close(&fan, 0);
}

static void test_sim_fan_in_has_a_sticky_key(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_as_told;

    run_all(&hall, script_key);
}

/* Its deadline goes before the group's, which is none, but not before that of its call. */
static void script_deadline(struct hall *hall)
{
    struct fan fan = {.sends = false};
    struct guest guest;
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *const list[] = {&hooks};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    bool is_cut = hall->options.exec_timeout_ms != 0;
    fan_open(&fan, hall);
    hooks.context = &fan;
    hooks.before_send = before_send;
    fan.asker.options.hooks = list;
    fan.asker.options.hooks_count = 1;
    fan_connect(&fan, hall);
    guest_enter(&guest);
    how.deadline_ms = DEADLINE_MS;
    how.data = &fan;
    fan.how = &how;
    uint64_t begun_ns = hall_now_ns();
    (void)guest_send(&guest, &act_type, 1);

    HALL_UNTIL(fan.ended == 1);
    CU_ASSERT(fan.error == CMDS_E_TIMEOUT || (is_cut && fan.error == CMDS_E_CANCELLED));
    CU_ASSERT_PTR_EQUAL(fan.data, &fan);
    CU_ASSERT(fan.deadline_ms <= (is_cut ? DEADLINE_MS / 2 + 1 : DEADLINE_MS));
    CU_ASSERT(fan.deadline_ms > DEADLINE_MS / 4);
    CU_ASSERT(hall_now_ns() - begun_ns < 2 * DEADLINE_MS * UINT64_C(1000000));
    guest_close(&guest);
    fan_close(&fan, 0);
}

static void test_sim_fan_in_has_its_deadline_and_its_data(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_as_told;

    run_all(&hall, script_deadline);
    hall.options.exec_timeout_ms = DEADLINE_MS / 2;
    run_all(&hall, script_deadline);
}

/* What a forward cannot have is refused, not ignored. */
static void script_refused(struct hall *hall)
{
    struct fan fan = {.sends = false};
    struct guest guest;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options wrong[] = {CMDS_SEND_OPTIONS_INIT, CMDS_SEND_OPTIONS_INIT,
            CMDS_SEND_OPTIONS_INIT, CMDS_SEND_OPTIONS_INIT, CMDS_SEND_OPTIONS_INIT};
    const int codes[] = {-EINVAL, -EINVAL, -EINVAL, -E2BIG, -EINVAL};
    fan_open(&fan, hall);
    fan_connect(&fan, hall);
    guest_enter(&guest);
    wrong[0].ticket = &ticket;
    wrong[1].resend = CMDS_RESEND_ONCE;
    wrong[2].resend = CMDS_RESEND_NEVER + 1;
    wrong[3].unused = 1;
    wrong[4].struct_size = 1;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fan.how = &wrong[i];
        (void)guest_send(&guest, &act_type, 1);
        CU_ASSERT_TRUE(guest_expects(&guest, -codes[i] % AGAIN, 100));
    }
    wrong[1].resend = CMDS_RESEND_NEVER;
    fan.how = &wrong[1];
    (void)guest_send(&guest, &act_type, 1);
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct answer command;
        if (guest_read(&fan.servers[i], &command, 10) == GUEST_ANSWER) {
            host_answer(&fan.servers[i], command.sequence, 1);
        }
    }
    CU_ASSERT_TRUE(guest_expects(&guest, 1, 100));
    CU_ASSERT_EQUAL(fan.ended, 1);
    guest_close(&guest);
    fan_close(&fan, 0);
}

static void test_sim_fan_in_refuses_what_a_forward_cannot_have(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_as_told;

    run_all(&hall, script_refused);
}

/* --- While nothing is up ------------------------------------------------------------------------ */

enum {
    CROWD = 3, // Shards, and a caller on each: one of them has no connection.
    BODY_SIZE = 1000,
};

static char text[BODY_SIZE];

/* Every second one has a body that does not fit into what each of them has. */
static int act_ask(struct cmds_call *call, const struct act *act)
{
    struct fan *fan = fan_of(call);
    struct big big = {act->number, {text, BODY_SIZE}};
    struct cmds_message message = act->number % 2 != 0 ? big_message(&big) : act_message(act);
    return cmds_group_forward(fan->asker.group, message, NULL, call, on_ended, &fan->error);
}

/* All callers ask while both connections are being made. */
static void crowd_asks(struct fan *fan, struct hall *hall, struct guest guests[CROWD])
{
    fan_open(fan, hall);
    asker_open(&fan->asker, hall);
    for (int64_t i = 0; i < CROWD; i++) {
        guest_enter(&guests[i]);
        (void)guest_send(&guests[i], &work_type, 0); // An answer, for those who do not read it.
        (void)guest_send(&guests[i], &act_type, i + 1);
    }
    HALL_UNTIL(hall_stats(hall).results_sent == CROWD);
    HALL_UNTIL(hall->acts == CROWD && cmds_group_pending(fan->asker.group) == CROWD);
    CU_ASSERT_TRUE(host_accept(fan->listener, &fan->servers[0], 100));
    CU_ASSERT_TRUE(host_accept(fan->listener, &fan->servers[1], 100));
}

/* The first one that is up takes all of them; the other one still waits for its ServerInfo. */
static void script_first_up(struct hall *hall)
{
    struct fan fan = {.sends = false};
    struct guest guests[CROWD];
    struct answer command;
    bool seen[CROWD] = {false};
    crowd_asks(&fan, hall, guests);
    host_inform(&fan.servers[1], "default");
    for (uint32_t i = 0; i < CROWD; i++) {
        CU_ASSERT_EQUAL_FATAL(guest_read(&fan.servers[1], &command, 100), GUEST_ANSWER);
        host_answer(&fan.servers[1], command.sequence, command.number);
        CU_ASSERT_FALSE(seen[command.number - 1]);
        seen[command.number - 1] = true;
    }
    for (int64_t i = 0; i < CROWD; i++) {
        CU_ASSERT_TRUE(guest_expects(&guests[i], 0, 100));
        CU_ASSERT_TRUE(guest_expects(&guests[i], i + 1, 100));
    }
    HALL_UNTIL(fan.ended == CROWD && cmds_group_pending(fan.asker.group) == 0);
    // Whoever counts them meanwhile begins anew: a drain would miss one that went.
    CU_ASSERT_TRUE(atomic_load(&fan.asker.group->moves) > 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&guests[i]);
    }
    fan_close(&fan, 0);
}

/* The callers go while it comes up: each forward ends once, wherever it is. */
static void script_nobody_left(struct hall *hall)
{
    struct fan fan = {.sends = false};
    struct guest guests[CROWD];
    crowd_asks(&fan, hall, guests);
    host_inform(&fan.servers[1], "default");
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&guests[i]);
    }
    HALL_UNTIL(fan.ended == CROWD && cmds_group_pending(fan.asker.group) == 0);
    fan_close(&fan, 0);
}

static void test_sim_fan_in_goes_to_the_first_that_is_up(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_ask;
    hall.runtime_options.shard_count = CROWD;

    run_all(&hall, script_first_up);
    run_all(&hall, script_nobody_left);
}

static CU_TestInfo tests[] = {
        {"of forwards stays on the shard of its call",
                test_sim_fan_in_of_forwards_stays_on_the_shard_of_its_call},
        {"of sends follows the connections", test_sim_fan_in_of_sends_follows_the_connections},
        {"has a sticky key", test_sim_fan_in_has_a_sticky_key},
        {"has its deadline and its data", test_sim_fan_in_has_its_deadline_and_its_data},
        {"refuses what a forward cannot have", test_sim_fan_in_refuses_what_a_forward_cannot_have},
        {"goes to the first that is up", test_sim_fan_in_goes_to_the_first_that_is_up},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_fan_in", tests)
