/* SPDX-License-Identifier: MIT */
/*
 * Groups of a cmds_test: the library's own groups and clients over a transport whose far side is this
 * file, which keeps what they send and says what the test wants it to say.
 *
 * So dispatch, window, deadlines, tickets, resends, forwards, keepalive and reconnecting are the real
 * ones; only sockets and the server are missing. The far side reads whole frames, as it takes all of
 * every send, and it speaks between two steps of the shard, as the kernel would.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "client/finish.h"
#include "codec/codec.h"
#include "conn/transport.h"
#include "group/group.h"
#include "group/group_shard.h"
#include "group/trace.h"
#include "shard/runtime.h"
#include "test/test.h"
#include "wire/frame.h"

/* A connection to the far side: the transport's state. */
struct test_line {
    struct cmdi_list link; // Of its group's lines. Until it is closed.
    uint32_t sending_size;
    uint8_t pings; // To be answered.
    bool is_opening : 1;
    bool owes_info : 1; // It is open, and the ServerInfo is to come.
    bool is_receiving : 1;
    bool is_stopped : 1; // The recv is to be ended.
    bool is_sending : 1;
    bool is_finished : 1; // Our FIN was seen.
    bool is_aborted : 1;
};
_Static_assert(sizeof(struct test_line) <= CMDI_TRANSPORT_STATE_MAX, "it is in the connection");

struct test_sent {
    struct cmds_test_command seen;
    void *copy;             // What seen.value is in.
    struct cmdi_conn *conn; // NULL: it is gone.
    bool is_one_way;
};

/* What the next command of a type meets. */
struct test_script {
    struct cmdi_list link;
    const struct cmds_type *type;
    int code;
    uint32_t result_count;
    struct cmds_message results[]; // Copies.
};

struct cmdi_test_group {
    struct cmdi_list link;
    struct cmdi_transport transport; // By it a connection finds its group.
    struct cmds_group *group;        // A count of its own.
    uint32_t in_flight_max, output_size_max;
    struct cmdi_list lines;
    struct cmdi_list scripts;
    struct test_sent **sent;
    uint32_t sent_count, sent_capacity;
    uint32_t met_count; // Of these, those for which a script was looked for.
    bool is_away;
    bool out_of_memory;
};

static struct test_line *line_of(struct cmdi_conn *conn)
{
    return (struct test_line *)(void *)conn->transport_state.bytes;
}
static struct cmdi_conn *conn_of_line(struct test_line *line)
{
    return CMDI_CONTAINER(line, struct cmdi_conn, transport_state);
}
static struct cmdi_test_group *group_of(const struct cmdi_conn *conn)
{
    struct cmdi_transport *transport = NULL;
    memcpy(&transport, &conn->transport, sizeof(transport)); // Ours, and not const.
    return CMDI_CONTAINER(transport, struct cmdi_test_group, transport);
}
static struct cmdi_client *client_of(struct cmdi_conn *conn)
{
    return CMDI_CONTAINER(conn, struct cmdi_client, conn);
}

/* --- What was sent ------------------------------------------------------------------------------ */

static struct test_sent *test_group_grow(struct cmdi_test_group *mine)
{
    if (mine->sent_count == mine->sent_capacity) {
        uint32_t capacity = mine->sent_capacity * 2 + 16;
        struct test_sent **grown = realloc(mine->sent, capacity * sizeof(struct test_sent *));
        if (grown == NULL) {
            return NULL;
        }
        mine->sent = grown;
        mine->sent_capacity = capacity;
    }
    struct test_sent *sent = calloc(1, sizeof(*sent));
    if (sent != NULL) {
        mine->sent[mine->sent_count++] = sent;
    }
    return sent;
}

static const struct cmdi_pending *test_sent_entry(const struct test_sent *sent)
{
    const struct cmdi_pending *entry =
            sent->conn != NULL
                    ? cmdi_pending_find(&client_of(sent->conn)->table, sent->seen.sequence)
                    : NULL;
    return entry != NULL && cmdi_pending_is_awaited(entry) ? entry : NULL;
}

static uint32_t test_deadline_left_ms(const struct test_sent *sent)
{
    const struct cmdi_pending *entry = test_sent_entry(sent);
    uint64_t now_ms = sent->conn->shard->now_ms;
    if (entry == NULL || entry->deadline_ms == UINT64_MAX) {
        return CMDS_NEVER;
    }
    /* One less: see cmdi_group_deadline(). */
    return entry->deadline_ms > now_ms ? (uint32_t)(entry->deadline_ms - now_ms - 1) : 0;
}

/* Returns: bytes of the body. */
static size_t test_group_take(
        struct cmdi_test_group *mine, struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    const struct cmdi_client_config *config = mine->group->config;
    const struct cmds_type *type = cmdi_type_table_find(config->commands, frame->type);
    struct cmds_arena arena;
    void *value = NULL;
    CMDI_ASSERT(type != NULL); // The client's own code wrote it.
    cmdi_arena_init(&arena, config->limits.frame_size_max + (size_t)CMDI_VALUE_SIZE_MAX);
    int64_t used = cmdi_codec_decode(config->codec, type,
            (struct cmds_bytes){frame->body, frame->body_size}, NULL, &arena, &value);
    void *copy = used >= 0 ? cmds_value_copy(type->schema, value) : NULL;
    struct test_sent *sent = copy != NULL ? test_group_grow(mine) : NULL;
    cmdi_arena_fini(&arena);
    if (sent == NULL) {
        free(copy);
        mine->out_of_memory = true;
        return used > 0 ? (size_t)used : frame->body_size;
    }
    struct cmds_message message = cmdi_group_untraced(type, copy);
    sent->copy = copy;
    sent->conn = conn;
    sent->is_one_way = type->one_way != 0;
    sent->seen = (struct cmds_test_command){.type = message.type,
            .value = message.value,
            .sequence = frame->sequence,
            .client = client_of(conn)->number,
            .size = (uint32_t)used};
    sent->seen.deadline_ms = test_deadline_left_ms(sent);
    return (size_t)used;
}

static void test_line_read(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct cmdi_test_group *mine = group_of(conn);
    bool self_delimiting = conn->limits->self_delimiting;
    while (size > 0) {
        struct cmdi_frame frame = {0};
        size_t missing = 0;
        int64_t whole = cmdi_frame_decode(
                &frame, data, size, conn->limits->frame_size_max, self_delimiting, &missing);
        CMDI_ASSERT(whole > 0); // A send begins with a frame and ends with one.
        size_t used = (size_t)whole;
        if (frame.sequence == 0) {
            line_of(conn)->pings++;
        } else {
            size_t body_size = test_group_take(mine, conn, &frame);
            used = frame.header_size + body_size;
        }
        data += used;
        size -= used;
    }
}

/* --- The transport ------------------------------------------------------------------------------ */

static int line_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address)
{
    struct test_line *line = line_of(conn);
    CMDI_ASSERT(fd < 0 && address != NULL);
    line->is_opening = true;
    cmdi_list_init(&line->link);
    cmdi_list_push(&group_of(conn)->lines, &line->link);
    return 0;
}

static void line_recv(struct cmdi_conn *conn, enum cmdi_recv_mode mode)
{
    (void)mode;
    line_of(conn)->is_receiving = true;
}

static void line_stop_recv(struct cmdi_conn *conn)
{
    line_of(conn)->is_stopped = true;
}

static void line_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct test_line *line = line_of(conn);
    line->is_sending = true;
    line->sending_size = (uint32_t)size;
    test_line_read(conn, data, size);
}

static int64_t line_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    test_line_read(conn, data, size);
    return (int64_t)size;
}

static void line_shut_write(struct cmdi_conn *conn)
{
    line_of(conn)->is_finished = true;
}

static void line_abort(struct cmdi_conn *conn)
{
    line_of(conn)->is_aborted = true;
}

static const struct cmdi_transport line_transport = {
        .state_size = sizeof(struct test_line),
        .open = line_open,
        .recv = line_recv,
        .stop_recv = line_stop_recv,
        .send = line_send,
        .send_now = line_send_now,
        .shut_write = line_shut_write,
        .abort = line_abort,
};

/* --- What the far side says --------------------------------------------------------------------- */

static void line_send_info(struct cmdi_conn *conn)
{
    uint8_t info[2 + CMDI_CLIENT_SERVER_INFO_MAX];
    uint8_t *end = cmdi_server_info_encode(info, group_of(conn)->group->config->server_info);
    cmdi_conn_feed(conn, info, (size_t)(end - info));
}

/* Of a message that was checked. Returns: 0; -ENOMEM; CMDS_E_LIMIT: no codec can carry it. */
static int test_sent_answer(
        const struct cmdi_test_group *mine, struct test_sent *sent, struct cmds_message message)
{
    const struct cmdi_client_config *config = mine->group->config;
    int64_t size = config->codec->size(config->codec, message.type, message.value);
    if (size < 0 || size > config->limits.frame_size_max) {
        return size < 0 ? (int)size : CMDS_E_LIMIT;
    }
    uint8_t *frame = malloc(CMDI_FRAME_HEADER_MAX + (size_t)size);
    if (frame == NULL) {
        return -ENOMEM;
    }
    uint8_t *end = cmdi_frame_header_encode(frame, sent->seen.sequence, message.type->number,
            (uint64_t)size, config->limits.self_delimiting);
    end = config->codec->encode(config->codec, message.type, message.value, end, (size_t)size);
    cmdi_conn_feed(sent->conn, frame, (size_t)(end - frame));
    free(frame);
    sent->seen.is_answered = cmdi_type_table_is_last(config->results, message.type, message.value);
    return 0;
}

/* As by its deadline: nothing comes, and the sender learns it. */
static void test_sent_fail(const struct test_sent *sent, int code)
{
    struct cmdi_client *client = client_of(sent->conn);
    struct cmdi_pending *entry = cmdi_pending_find(&client->table, sent->seen.sequence);
    struct cmds_error before = client->error; // Where the sentence is taken from.
    client->error = (struct cmds_error){0};
    (void)cmdi_fail(&client->error, code, "%s", cmds_error_text(code));
    cmdi_client_end(client, entry, code);
    cmdi_client_deliver(client);
    client->error = before;
}

static void test_script_free(struct test_script *script)
{
    for (uint32_t i = 0; i < script->result_count; i++) {
        void *value = NULL;
        // Ours, though a message has const.
        memcpy(&value, &script->results[i].value, sizeof(value));
        free(value);
    }
    free(script);
}

static struct test_script *test_group_script(
        struct cmdi_test_group *mine, const struct cmds_type *type)
{
    for (struct cmdi_list *at = mine->scripts.next; at != &mine->scripts; at = at->next) {
        struct test_script *script = CMDI_CONTAINER(at, struct test_script, link);
        if (script->type == type) {
            cmdi_list_remove(at);
            return script;
        }
    }
    return NULL;
}

static void test_group_meet(struct cmdi_test_group *mine, struct test_sent *sent)
{
    struct test_script *script = test_group_script(mine, sent->seen.type);
    if (script == NULL) {
        return;
    }
    for (uint32_t i = 0; i < script->result_count && sent->conn != NULL; i++) {
        int code = test_sent_answer(mine, sent, script->results[i]);
        mine->out_of_memory = mine->out_of_memory || code < 0;
    }
    int code = script->code;
    test_script_free(script);
    if (code < 0 && test_sent_entry(sent) != NULL) {
        test_sent_fail(sent, code); // Last: callbacks run.
    }
}

/* --- Driving ------------------------------------------------------------------------------------ */

/* Last of all: the connection may be freed. */
static void line_close(struct cmdi_test_group *mine, struct test_line *line)
{
    for (uint32_t i = 0; i < mine->sent_count; i++) {
        if (mine->sent[i]->conn == conn_of_line(line)) {
            mine->sent[i]->conn = NULL;
        }
    }
    cmdi_list_remove(&line->link);
    cmdi_conn_on_closed(conn_of_line(line));
}

static bool line_complete_open(struct cmdi_test_group *mine, struct test_line *line)
{
    if (line->is_opening) {
        int code = line->is_aborted ? -ECANCELED : mine->is_away ? -ECONNREFUSED : 0;
        line->is_opening = false;
        line->owes_info = code == 0;
        cmdi_conn_on_open(conn_of_line(line), code);
        return true;
    }
    if (line->owes_info && line->is_receiving) {
        line->owes_info = false;
        line_send_info(conn_of_line(line));
        return true;
    }
    return false;
}

static bool line_complete_recv(struct cmdi_test_group *mine, struct test_line *line)
{
    if (!line->is_receiving) {
        return false;
    }
    if (line->is_stopped || line->is_aborted || line->is_finished || mine->is_away) {
        bool is_stopped = line->is_stopped || line->is_aborted;
        int end = line->is_finished ? 0 : -ECONNRESET; // Our FIN is answered with its own.
        line->is_receiving = line->is_stopped = false;
        cmdi_conn_on_recv_end(conn_of_line(line), is_stopped ? -ECANCELED : end);
        return true;
    }
    if (line->pings > 0) {
        static const uint8_t pong = 0;
        line->pings--;
        cmdi_conn_feed(conn_of_line(line), &pong, sizeof(pong));
        return true;
    }
    return false;
}

static bool line_complete(struct cmdi_test_group *mine, struct test_line *line)
{
    if (line->is_sending) {
        line->is_sending = false;
        cmdi_conn_on_send(conn_of_line(line), (int32_t)line->sending_size);
        return true;
    }
    if (line_complete_open(mine, line) || line_complete_recv(mine, line)) {
        return true;
    }
    if (line->is_aborted) {
        line_close(mine, line);
        return true;
    }
    return false;
}

static bool test_group_complete(struct cmdi_test_group *mine)
{
    for (struct cmdi_list *at = mine->lines.next; at != &mine->lines; at = at->next) {
        if (line_complete(mine, CMDI_CONTAINER(at, struct test_line, link))) {
            return true;
        }
    }
    if (mine->met_count < mine->sent_count) {
        test_group_meet(mine, mine->sent[mine->met_count++]);
        return true;
    }
    return false;
}

static bool test_groups_complete(struct cmdi_list *groups)
{
    for (struct cmdi_list *at = groups->next; at != groups; at = at->next) {
        if (test_group_complete(CMDI_CONTAINER(at, struct cmdi_test_group, link))) {
            return true;
        }
    }
    return false;
}

/* --- Life --------------------------------------------------------------------------------------- */

static void test_group_free(struct cmdi_test_group *mine)
{
    for (uint32_t i = 0; i < mine->sent_count; i++) {
        free(mine->sent[i]->copy);
        free(mine->sent[i]);
    }
    while (!cmdi_list_empty(&mine->scripts)) {
        test_script_free(CMDI_CONTAINER(cmdi_list_pop(&mine->scripts), struct test_script, link));
    }
    cmds_group_unref(mine->group);
    free(mine->sent);
    free(mine);
}

static void test_groups_close(struct cmdi_list *groups)
{
    for (struct cmdi_list *at = groups->next; at != groups; at = at->next) {
        struct cmdi_test_group *mine = CMDI_CONTAINER(at, struct cmdi_test_group, link);
        cmds_group_close(mine->group, NULL, NULL);
    }
}

static void test_groups_free(struct cmdi_list *groups)
{
    while (!cmdi_list_empty(groups)) {
        test_group_free(CMDI_CONTAINER(cmdi_list_pop(groups), struct cmdi_test_group, link));
    }
}

static int test_group_begin(struct cmdi_test_group *mine, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    struct cmds_group_options taken;
    int code = cmdi_options_take(&taken, sizeof(taken), options, "cmds_group_options", error);
    if (code < 0) {
        return code;
    }
    taken.struct_size = sizeof(taken);
    taken.connect = "unix:cmds_test"; // One endpoint, and no name to look up.
    taken.tls = NULL;
    const struct cmdi_group_owner_ops owner_ops = {.transport = &mine->transport};
    code = cmdi_group_open(&mine->group, runtime, &taken, &owner_ops, error);
    if (code == 0) {
        (void)cmds_group_ref(mine->group);
        mine->in_flight_max = mine->group->config->in_flight_max;
        mine->output_size_max = mine->group->config->limits.output_size_max;
    }
    return code;
}

int cmds_test_group_open(struct cmds_test *test, struct cmds_group **group,
        const struct cmds_group_options *options, struct cmds_error *error)
{
    struct cmdi_test_group *mine = options != NULL ? calloc(1, sizeof(*mine)) : NULL;
    if (mine == NULL) {
        return options != NULL ? cmdi_fail(error, -ENOMEM, "no memory for a group of a test")
                               : cmdi_fail(error, -EINVAL, "open: options is NULL");
    }
    mine->transport = line_transport;
    cmdi_list_init(&mine->link);
    cmdi_list_init(&mine->lines);
    cmdi_list_init(&mine->scripts);
    struct cmdi_test_scope before = cmdi_test_enter(test);
    int code = test_group_begin(mine, cmds_test_runtime(test), options, error);
    cmdi_test_leave(before);
    if (code < 0) {
        free(mine);
        return code;
    }
    *group = mine->group;
    struct cmdi_test_groups *groups = cmdi_test_groups(test);
    groups->complete = test_groups_complete;
    groups->close = test_groups_close;
    groups->free = test_groups_free;
    cmdi_list_push(&groups->list, &mine->link);
    cmdi_test_drive(test);
    return 0;
}

/* --- What a test asks and wants ----------------------------------------------------------------- */

/* Returns: NULL: it is not one of this test's. */
static struct cmdi_test_group *test_group_find(
        struct cmds_test *test, const struct cmds_group *group)
{
    struct cmdi_list *groups = &cmdi_test_groups(test)->list;
    for (struct cmdi_list *at = groups->next; at != groups; at = at->next) {
        struct cmdi_test_group *mine = CMDI_CONTAINER(at, struct cmdi_test_group, link);
        if (mine->group == group) {
            return mine;
        }
    }
    return NULL;
}

/* It is one, and what hangs on it is there. */
static bool test_group_is_open(const struct cmdi_test_group *mine)
{
    return mine != NULL && atomic_load(&mine->group->state) == CMDI_GROUP_OPEN;
}

uint32_t cmds_test_group_count(struct cmds_test *test, const struct cmds_group *group)
{
    const struct cmdi_test_group *mine = test_group_find(test, group);
    cmdi_test_drive(test);
    return mine != NULL ? mine->sent_count : 0;
}

const struct cmds_test_command *cmds_test_group_sent(
        struct cmds_test *test, const struct cmds_group *group, uint32_t index)
{
    struct cmdi_test_group *mine = test_group_find(test, group);
    cmdi_test_drive(test);
    if (mine == NULL || index >= mine->sent_count) {
        return NULL;
    }
    struct test_sent *sent = mine->sent[index];
    sent->seen.is_awaited = test_sent_entry(sent) != NULL;
    return &sent->seen;
}

/* Returns: 0; -EINVAL, -ENOENT, CMDS_E_FINISHED, CMDS_E_GONE as of cmds_test_group_answer(). */
static int test_group_sent(struct cmds_test *test, const struct cmds_group *group, uint32_t index,
        struct cmdi_test_group **mine, struct test_sent **sent)
{
    *mine = test_group_find(test, group);
    if (*mine == NULL) {
        return -EINVAL;
    }
    cmdi_test_drive(test);
    if (index >= (*mine)->sent_count) {
        return -ENOENT;
    }
    *sent = (*mine)->sent[index];
    if ((*sent)->seen.is_answered || (*sent)->is_one_way) {
        return CMDS_E_FINISHED;
    }
    return (*sent)->conn != NULL ? 0 : CMDS_E_GONE;
}

static bool test_group_knows(const struct cmdi_test_group *mine, struct cmds_message message)
{
    return message.value != NULL && cmdi_type_table_has(&mine->group->results, message.type);
}

int cmds_test_group_answer(struct cmds_test *test, struct cmds_group *group, uint32_t index,
        struct cmds_message result)
{
    struct cmdi_test_group *mine = NULL;
    struct test_sent *sent = NULL;
    int code = test_group_sent(test, group, index, &mine, &sent);
    if (code == 0 && !test_group_knows(mine, result)) {
        code = CMDS_E_WRONG_TYPE;
    }
    if (code < 0) {
        return code;
    }
    struct cmdi_test_scope before = cmdi_test_enter(test);
    code = test_sent_answer(mine, sent, result);
    cmdi_test_leave(before);
    cmdi_test_drive(test);
    return code;
}

int cmds_test_group_fail(struct cmds_test *test, struct cmds_group *group, uint32_t index, int code)
{
    struct cmdi_test_group *mine = NULL;
    struct test_sent *sent = NULL;
    int refused = code >= 0 ? -EINVAL : test_group_sent(test, group, index, &mine, &sent);
    if (refused == 0 && test_sent_entry(sent) == NULL) {
        refused = CMDS_E_FINISHED;
    }
    if (refused < 0) {
        return refused;
    }
    struct cmdi_test_scope before = cmdi_test_enter(test);
    test_sent_fail(sent, code);
    cmdi_test_leave(before);
    cmdi_test_drive(test);
    return 0;
}

/* --- Beforehand --------------------------------------------------------------------------------- */

static struct test_script *test_script_create(
        const struct cmds_type *type, const struct cmds_message *results, uint32_t count)
{
    struct test_script *script =
            calloc(1, sizeof(*script) + (size_t)count * sizeof(script->results[0]));
    if (script == NULL) {
        return NULL;
    }
    script->type = type;
    cmdi_list_init(&script->link);
    for (; script->result_count < count; script->result_count++) {
        uint32_t i = script->result_count;
        void *copy = cmds_value_copy(results[i].type->schema, results[i].value);
        if (copy == NULL) {
            test_script_free(script);
            return NULL;
        }
        script->results[i] = (struct cmds_message){results[i].type, copy};
    }
    return script;
}

static int test_group_add(struct cmds_test *test, struct cmds_group *group,
        const struct cmds_type *type, const struct cmds_message *results, uint32_t count, int code)
{
    struct cmdi_test_group *mine = test_group_find(test, group);
    if (!test_group_is_open(mine) || (results == NULL && count > 0)) {
        return -EINVAL;
    }
    bool knows = cmdi_type_table_has(&group->commands, type) &&
                 (count + (uint32_t)(code < 0) == 0 || type->one_way == 0);
    for (uint32_t i = 0; i < count && knows; i++) {
        knows = test_group_knows(mine, results[i]);
    }
    if (!knows) {
        return CMDS_E_WRONG_TYPE;
    }
    cmdi_test_drive(test); // What was sent before it is not meant.
    struct test_script *script = test_script_create(type, results, count);
    if (script == NULL) {
        return -ENOMEM;
    }
    script->code = code;
    cmdi_list_push(&mine->scripts, &script->link);
    return 0;
}

int cmds_test_group_will_answer(struct cmds_test *test, struct cmds_group *group,
        const struct cmds_type *command, const struct cmds_message *results, uint32_t count)
{
    return test_group_add(test, group, command, results, count, 0);
}

int cmds_test_group_will_fail(
        struct cmds_test *test, struct cmds_group *group, const struct cmds_type *command, int code)
{
    return code < 0 ? test_group_add(test, group, command, NULL, 0, code) : -EINVAL;
}

/* --- Trouble ------------------------------------------------------------------------------------ */

void cmds_test_group_full(struct cmds_test *test, struct cmds_group *group, bool full)
{
    struct cmdi_test_group *mine = test_group_find(test, group);
    cmdi_test_drive(test);
    if (!test_group_is_open(mine)) {
        return;
    }
    struct cmdi_client_config *config = group->config;
    struct cmdi_client_shard *client_shard = &group->shards[0]->client_shard;
    config->in_flight_max = full ? 0 : mine->in_flight_max;
    config->limits.output_size_max = full ? 0 : mine->output_size_max;
    if (!full) {
        struct cmdi_test_scope before = cmdi_test_enter(test);
        config->ops->on_room(client_shard);
        cmdi_test_leave(before);
    }
    cmdi_test_drive(test);
}

void cmds_test_group_away(struct cmds_test *test, struct cmds_group *group, bool away)
{
    struct cmdi_test_group *mine = test_group_find(test, group);
    cmdi_test_drive(test); // What was sent before it was.
    if (mine != NULL) {
        mine->is_away = away;
        cmdi_test_drive(test);
    }
}
