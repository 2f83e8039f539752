/* SPDX-License-Identifier: MIT */
#include "support/sim/host.h"

#include <errno.h>
#include <string.h>

#include "ring/socket.h"
#include "sim/net.h"
#include "wire/frame.h"

/* --- A server ----------------------------------------------------------------------------------- */

static int listen_at(in_addr_t ip)
{
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(HOST_PORT);
    address.as.v4.sin_addr.s_addr = htonl(ip);
    int listener = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT(listener >= 0);
    return listener;
}

int host_listen(void)
{
    return listen_at(INADDR_LOOPBACK);
}

int host_listen_everywhere(void)
{
    return listen_at(INADDR_ANY);
}

bool host_accept(int listener, struct guest *guest, uint64_t ms)
{
    uint64_t until_ns = hall_now_ns() + ms * 1000000;
    *guest = (struct guest){.fd = cmdi_socket_accept_now(listener)};
    while (guest->fd == -EAGAIN && hall_now_ns() < until_ns) {
        hall_pause_us(20);
        guest->fd = cmdi_socket_accept_now(listener);
    }
    return guest->fd >= 0;
}

void host_inform(struct guest *guest, const char *info)
{
    uint8_t out[64];
    size_t size = strlen(info);
    CMDI_ASSERT(size < sizeof(out));
    out[0] = (uint8_t)size;
    memcpy(out + 1, info, size);
    CU_ASSERT_EQUAL(guest_write(guest, out, size + 1), size + 1);
}

void host_enter(int listener, struct guest *guest)
{
    bool came = host_accept(listener, guest, 1000);
    CMDI_ASSERT(came);
    host_inform(guest, "default");
}

void host_answer(struct guest *guest, uint64_t sequence, int64_t number)
{
    uint8_t out[CMDI_FRAME_HEADER_MAX + 4];
    CU_ASSERT(sequence > 0);
    if (sequence == 0) {
        return; // The command had not come.
    }
    guest->sequence = sequence - 1;
    size_t size = guest_encode(guest, out, &value_type, number);
    CU_ASSERT_EQUAL(guest_write(guest, out, size), size);
}

uint64_t host_expects(struct guest *guest, int64_t number, uint64_t ms)
{
    struct answer command;
    enum guest_event event = guest_read(guest, &command, ms);
    return event == GUEST_ANSWER && command.number == number ? command.sequence : 0;
}

bool host_is_left_alone(struct guest *guest)
{
    struct answer command;
    return guest_read(guest, &command, HALL_SETTLE_MS) == GUEST_NOTHING;
}

/* --- A group ------------------------------------------------------------------------------------ */

static void on_writable(void *context)
{
    ((struct asker *)context)->told++;
}

static void on_unexpected(void *context, const struct cmds_result *result)
{
    (void)result;
    ((struct asker *)context)->unexpected++;
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct asker *asker = context;
    (void)client;
    asker->ups += state == CMDS_CONNECTION_UP;
    asker->downs += state != CMDS_CONNECTION_UP;
    asker->code = state != CMDS_CONNECTION_UP ? cause->code : asker->code;
}

static void on_result(void *context, const struct cmds_result *result)
{
    struct asker *asker = context;
    asker->ended += result->last;
    asker->good += result->error == 0;
    asker->code = result->error != 0 ? result->error : asker->code;
}

static void on_closed(void *context)
{
    ((struct asker *)context)->closed++;
}

void asker_init(struct asker *asker, struct hall *hall)
{
    *asker = (struct asker){.options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol)};
    asker->options.connect = "127.0.0.1:9001";
    asker->options.deadline_ms = asker->options.connect_timeout_ms = CMDS_NEVER;
    asker->options.reconnect_delay_ms = CMDS_NEVER;
    asker->options.keepalive_ms = CMDS_NEVER; // What its server reads are commands.
    asker->options.context = asker;
    asker->options.on_writable = on_writable;
    asker->options.on_unexpected = on_unexpected;
    asker->options.on_state = on_state;
}

void asker_open(struct asker *asker, struct hall *hall)
{
    CU_ASSERT_EQUAL(cmds_group_open(&asker->group, hall->runtime, &asker->options, NULL), 0);
}

void asker_close(struct asker *asker)
{
    cmds_group_close(asker->group, on_closed, asker);
    HALL_UNTIL(asker->closed == 1);
}

int ask(struct asker *asker, int64_t number, uint32_t deadline_ms, struct cmds_ticket *ticket)
{
    struct act act = {number};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = deadline_ms;
    how.ticket = ticket;
    return cmds_group_send(asker->group, act_message(&act), &how, on_result, asker);
}

struct on_shard {
    void (*fn)(void *context);
    void *context;
    volatile bool begun, done;
    uint32_t hold_ms;
};

static void run_on_shard(void *context)
{
    struct on_shard *on_shard = context;
    on_shard->fn(on_shard->context);
    on_shard->done = true;
}

void hall_on_shard(struct hall *hall, void (*fn)(void *context), void *context)
{
    struct on_shard on_shard = {.fn = fn, .context = context};
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, run_on_shard, &on_shard), 0);
    HALL_UNTIL(on_shard.done);
}

static void run_hold_up(void *context)
{
    struct on_shard *on_shard = context;
    uint32_t hold_ms = on_shard->hold_ms;
    on_shard->begun = true; // The caller goes on.
    cmds_sim_sleep_ms(hold_ms);
}

void hall_hold_up(struct hall *hall, uint32_t ms)
{
    struct on_shard on_shard = {.hold_ms = ms};
    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, run_hold_up, &on_shard), 0);
    HALL_UNTIL(on_shard.begun);
}
