/* SPDX-License-Identifier: MIT */
#include "support/sim/hall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring/socket.h"
#include "sim/net.h"
#include "support/sim_runs.h"
#include "wire/frame.h"

/* --- The server --------------------------------------------------------------------------------- */

static int exec_act(struct cmds_call *call, const struct act *act)
{
    struct hall *hall = cmds_call_receiver(call);
    hall->acts++;
    return hall->act(call, act);
}

static int exec_work(struct cmds_call *call, const struct work *work)
{
    struct hall *hall = cmds_call_receiver(call);
    hall->works++;
    return hall->work(call, work);
}

static int exec_big(struct cmds_call *call, const struct big *big)
{
    struct hall *hall = cmds_call_receiver(call);
    hall->bigs++;
    return hall->big(call, big);
}

static int exec_note(struct cmds_call *call, const struct note *note)
{
    struct hall *hall = cmds_call_receiver(call);
    (void)note;
    hall->notes++;
    return 0;
}

static const struct cmds_type *const commands[] = {&act_type, &work_type, &big_type, &note_type};
static const struct cmds_type *const results[] = {&value_type, &line_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("hall", commands, results);
static const struct cmds_exec execs[] = {CMDS_EXEC(act, exec_act),
        CMDS_EXEC_IN_POOL(work, exec_work), CMDS_EXEC(big, exec_big), CMDS_EXEC(note, exec_note)};

static int on_connect(void *receiver, struct cmds_connection *connection)
{
    (void)connection;
    ((struct hall *)receiver)->connects++;
    return 0;
}

static void on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct hall *hall = receiver;
    (void)connection;
    hall->disconnects++;
    hall->cause = cause->code;
}

static int work_echo(struct cmds_call *call, const struct work *work)
{
    return hall_answer(call, work->number);
}

static int big_echo(struct cmds_call *call, const struct big *big)
{
    return hall_answer(call, big->number);
}

struct cmds_server_options hall_options(struct hall *hall)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.listen = "127.0.0.1:9000";
    options.receiver = hall;
    options.on_connect = on_connect;
    options.on_disconnect = on_disconnect;
    return options;
}

void hall_init(struct hall *hall)
{
    *hall = (struct hall){.sim_options = CMDS_SIM_OPTIONS_INIT,
            .runtime_options = CMDS_RUNTIME_OPTIONS_INIT,
            .options = hall_options(hall),
            .act = hall_act_echo,
            .work = work_echo,
            .big = big_echo};
    hall->sim_options.time_max_ms = 600000;
    hall->runtime_options.shard_count = 1;
}

static int hall_main(void *context)
{
    struct hall *hall = context;
    int code = cmds_runtime_start(&hall->runtime, &hall->runtime_options, NULL);
    code = code < 0 ? code : cmds_server_start(&hall->server, hall->runtime, &hall->options, NULL);
    if (code == 0) {
        hall->script(hall);
    }
    cmds_server_close(hall->server);
    hall_forget(hall);
    cmds_runtime_stop(hall->runtime);
    return code;
}

void hall_run(struct hall *hall, uint64_t seed, void (*script)(struct hall *hall))
{
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    char text[256];
    hall->sim_options.seed = seed;
    hall->script = script;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &hall->sim_options, NULL), 0);
    (void)add(sim, "hall", false, hall_main, hall);
    int code = finish(sim, &report, text, sizeof(text));
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left + report.blocks_left + report.threads_left, 0);
}

int hall_answer(struct cmds_call *call, int64_t number)
{
    struct value value = {number};
    return cmds_call_send(call, value_message(&value));
}

int hall_act_echo(struct cmds_call *call, const struct act *act)
{
    return hall_answer(call, act->number);
}

static void count_cancel(struct cmds_call *call)
{
    ((struct hall *)cmds_call_receiver(call))->cancels++;
}

int hall_act_keep(struct cmds_call *call, const struct act *act)
{
    struct hall *hall = cmds_call_receiver(call);
    (void)act;
    CMDI_ASSERT(hall->kept_count < HALL_CALLS_MAX);
    cmds_call_on_cancel(call, count_cancel);
    hall->kept[hall->kept_count++] = cmds_call_ref(call);
    return 0;
}

int hall_answer_kept(struct hall *hall, int64_t number)
{
    CMDI_ASSERT(hall->kept_count > 0);
    struct cmds_call *call = hall->kept[0];
    hall->kept_count--;
    memmove(hall->kept, hall->kept + 1, hall->kept_count * sizeof(struct cmds_call *));
    int code = hall_answer(call, number);
    cmds_call_unref(call);
    return code;
}

void hall_forget(struct hall *hall)
{
    while (hall->kept_count > 0) {
        cmds_call_unref(hall->kept[--hall->kept_count]);
    }
}

struct cmds_server_counters hall_stats(const struct hall *hall)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(hall->server, &counters);
    return counters;
}

/* --- Time --------------------------------------------------------------------------------------- */

uint64_t hall_now_ns(void)
{
    return cmdi_sim_now();
}

void hall_pause_us(uint64_t us)
{
    cmdi_sim_sleep(us * 1000, "a test");
}

pthread_t hall_thread(void *(*fn)(void *context), void *context)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, fn, context);
    CMDI_ASSERT(code == 0);
    return thread;
}

/* --- Peers -------------------------------------------------------------------------------------- */

static struct cmdi_sock *guest_sock(struct guest *guest)
{
    struct cmdi_sock *sock = cmdi_sock_of_fd(guest->fd);
    CMDI_ASSERT(sock != NULL);
    return sock;
}

bool guest_try(struct guest *guest)
{
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(HALL_PORT);
    address.as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *guest = (struct guest){.fd = cmdi_socket_open(&address, 0)};
    if (guest->fd < 0) {
        return false;
    }
    int code = cmdi_sock_connect(guest_sock(guest), &address);
    while (code == 0 && (code = cmdi_sock_connected(guest_sock(guest))) == -EINPROGRESS) {
        hall_pause_us(10);
        code = 0;
    }
    if (code < 0) {
        guest_close(guest);
    }
    return code == 0;
}

void guest_open(struct guest *guest)
{
    CU_ASSERT_TRUE(guest_try(guest));
}

void guest_close(struct guest *guest)
{
    cmdi_fd_close(guest->fd);
    free(guest->data);
    *guest = (struct guest){.fd = -1};
}

void guest_finish(struct guest *guest)
{
    cmdi_sock_shutdown(guest_sock(guest), SHUT_WR);
}

/* What has come by now. Returns: something has. */
static bool guest_take(struct guest *guest)
{
    uint8_t bytes[4096];
    int64_t got = cmdi_sock_recv(guest_sock(guest), bytes, sizeof(bytes));
    if (got == -EAGAIN) {
        return false;
    }
    if (got <= 0) {
        guest->ended = guest->ended || got == 0;
        guest->reset = guest->reset || got < 0;
        return false;
    }
    if (guest->size + (size_t)got > guest->capacity) {
        guest->capacity = (guest->size + (size_t)got) * 2;
        guest->data = realloc(guest->data, guest->capacity);
        CMDI_ASSERT(guest->data != NULL);
    }
    memcpy(guest->data + guest->size, bytes, (size_t)got);
    guest->size += (size_t)got;
    return true;
}

static void guest_used(struct guest *guest, size_t size)
{
    guest->size -= size;
    memmove(guest->data, guest->data + size, guest->size);
}

/* The number of an array that begins with it, as MessagePack has it. */
static int64_t body_number(const uint8_t *body)
{
    uint64_t number = 0;
    uint32_t size = body[1] >= 0xcc && body[1] <= 0xcf ? 1u << (body[1] - 0xcc) : 0;
    for (uint32_t i = 0; i < size; i++) {
        number = number << 8 | body[2 + i];
    }
    return size > 0 ? (int64_t)number : body[1];
}

static bool body_is_last(const uint8_t *body)
{
    uint32_t size = body[1] >= 0xcc && body[1] <= 0xcf ? 1u << (body[1] - 0xcc) : 0;
    return body[2 + size] == 0xc3;
}

/* Returns: a frame was there. */
static bool guest_parse(struct guest *guest, struct answer *answer)
{
    struct cmdi_frame frame;
    size_t missing = 0;
    if (guest->size == 0) {
        return false;
    }
    int64_t size = cmdi_frame_decode(&frame, guest->data, guest->size, 1 << 20, false, &missing);
    CU_ASSERT(size >= 0);
    if (size <= 0) {
        return false;
    }
    *answer = (struct answer){.sequence = frame.sequence};
    if (frame.sequence != 0) {
        answer->type = frame.type;
        answer->number = body_number(frame.body);
        answer->last = frame.type == value_type.number || body_is_last(frame.body);
    }
    guest_used(guest, (size_t)size);
    return true;
}

enum guest_event guest_read(struct guest *guest, struct answer *answer, uint64_t ms)
{
    uint64_t until_ns = hall_now_ns() + ms * 1000000;
    for (;;) {
        while (guest_take(guest)) {
        }
        if (guest_parse(guest, answer)) {
            return GUEST_ANSWER;
        }
        if (guest->ended || guest->reset) {
            return guest->reset ? GUEST_RESET : GUEST_END;
        }
        if (hall_now_ns() >= until_ns) {
            return GUEST_NOTHING;
        }
        hall_pause_us(20);
    }
}

bool guest_is_in(struct guest *guest, uint64_t ms)
{
    uint64_t until_ns = hall_now_ns() + ms * 1000000;
    struct cmds_bytes info;
    int size = 0;
    while (!guest->informed && !guest->ended && !guest->reset) {
        (void)guest_take(guest);
        size = cmdi_server_info_decode(guest->data, guest->size, &info);
        CU_ASSERT(size >= 0);
        if (size > 0) {
            guest->informed = true;
            guest_used(guest, (size_t)size);
        } else if (hall_now_ns() >= until_ns) {
            break;
        } else {
            hall_pause_us(20);
        }
    }
    return guest->informed;
}

void guest_enter(struct guest *guest)
{
    guest_open(guest);
    CU_ASSERT_TRUE(guest_is_in(guest, 1000));
}

size_t guest_encode(struct guest *guest, uint8_t *out, const struct cmds_type *type, int64_t number)
{
    CMDI_ASSERT(number >= 0 && number < 65536);
    const uint8_t body[] = {0x91, 0xcd, (uint8_t)(number >> 8), (uint8_t)number};
    uint8_t *end =
            cmdi_frame_header_encode(out, ++guest->sequence, type->number, sizeof(body), false);
    memcpy(end, body, sizeof(body));
    return (size_t)(end - out) + sizeof(body);
}

size_t guest_write(struct guest *guest, const uint8_t *data, size_t size)
{
    int64_t sent = cmdi_sock_send(guest_sock(guest), data, size);
    return sent > 0 ? (size_t)sent : 0;
}

bool guest_send(struct guest *guest, const struct cmds_type *type, int64_t number)
{
    uint8_t out[CMDI_FRAME_HEADER_MAX + 4];
    size_t size = guest_encode(guest, out, type, number);
    return guest_write(guest, out, size) == size;
}

bool guest_expects(struct guest *guest, int64_t number, uint64_t ms)
{
    struct answer answer;
    return guest_read(guest, &answer, ms) == GUEST_ANSWER && answer.number == number &&
           answer.type == value_type.number;
}
