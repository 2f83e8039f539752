/* SPDX-License-Identifier: MIT */
/*
 * The blocking sender: open, send, close. See sender.h for how callers and shards meet; send_multi
 * is in stream.c.
 *
 * futex_wake costs a shard 13 to 18 us. So of all callers whose results came in one turn the shard
 * wakes only the first, after the turn's enter; each caller that wakes up wakes the next one before
 * it returns.
 *
 * Why the chain does not break: `claim` has one winner. If the shard wins, the caller is in the
 * chain, and a caller whose time is over waits until the chain has come to it. If the caller wins,
 * it leaves, and the shard frees the block when the result comes, without putting it into the
 * chain.
 */
#include "group/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "client/finish.h"
#include "client/result.h"
#include "client/send.h"
#include "group/command.h"
#include "group/ref.h"
#include "group/wait.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "shard/drive.h"

enum {
    SENDER_GRACE_MS = 50,     // For a shard to end a command by its deadline.
    SENDER_BLOCK_SIZE = 1024, // Of a wait with room for its result: malloc's fast path.
    SENDER_RING_ENTRIES = 64, // Of its own runtime: some programs open a sender for each request.
    SENDER_BUFFERS_MAX = 512,
    SENDER_STREAM_SIZE = 1024 * 1024,
    SENDER_REST_NS = 10 * 1000 * 1000, // After so long without a call the ring is turned first,
    SENDER_TURNS_MAX = 16,             // so often at most.
};

enum sender_claim {
    SENDER_WAITING,
    SENDER_CLAIMED,   // The shard has filled it in: `done` will be set.
    SENDER_ABANDONED, // The caller is gone: the shard frees it.
};

/** One caller. `result` is first: on success the block is what the caller is given. */
struct cmdi_sender_wait {
    struct cmds_result result;
    struct cmds_sender *sender;
    struct cmds_result *large; // Instead, if it did not fit.
    struct cmdi_sender_wait *wake_next;
    _Atomic uint32_t claim; // enum sender_claim
    _Atomic uint32_t done;  // Futex.
    int32_t code;           // Why there is no result; its text is in `room`.
    bool more;              // A result came that was not the last. The shard's.
    _Alignas(16) uint8_t room[];
};
#define SENDER_ROOM_SIZE (SENDER_BLOCK_SIZE - offsetof(struct cmdi_sender_wait, room))

/* --- Time and the way in ---------------------------------------------------------------------- */

uint32_t cmdi_sender_left_ms(const struct cmdi_sender_time *time)
{
    if (time->until_ns == UINT64_MAX) {
        return CMDS_NEVER;
    }
    uint64_t now_ns = cmdi_now_ns();
    return now_ns < time->until_ns ? (uint32_t)cmdi_ns_to_ms_up(time->until_ns - now_ns) : 0;
}

uint32_t cmdi_sender_patience_ms(
        const struct cmds_sender *sender, const struct cmdi_sender_time *time)
{
    uint32_t left_ms = cmdi_sender_left_ms(time);
    bool waits = sender->group->tracker.is_used && left_ms < CMDS_NEVER - SENDER_GRACE_MS;
    return waits ? left_ms + SENDER_GRACE_MS : left_ms;
}

/* One user less; the last one wakes a close that waits. */
static void sender_drop(_Atomic uint32_t *users)
{
    uint32_t before = atomic_fetch_sub(users, 1);
    CMDI_ASSERT((before & ~CMDI_SENDER_CLOSING) > 0);
    if (before == (CMDI_SENDER_CLOSING | 1)) {
        cmdi_futex_wake(users, 1); // By address only: the sender may be gone.
    }
}

/*
 * Between two calls of a single thread nobody turns its ring. What has happened meanwhile comes first: a
 * command for a connection that ended long ago would be lost with it.
 */
static void sender_catch_up(struct cmds_sender *sender, uint64_t now_ns)
{
    bool has_rested = now_ns - sender->entered_ns >= SENDER_REST_NS;
    sender->entered_ns = now_ns;
    for (int i = 0; has_rested && i < SENDER_TURNS_MAX; i++) {
        has_rested = cmds_runtime_turn(sender->runtime, CMDS_TURN_NOWAIT) > 0;
    }
}

int cmdi_sender_enter(struct cmds_sender *sender, uint32_t timeout_ms,
        struct cmdi_sender_time *time, struct cmds_error *error)
{
    int code = (atomic_fetch_add(&sender->users, 1) & CMDI_SENDER_CLOSING) != 0 ? CMDS_E_CLOSED : 0;
    if (code == 0) {
        code = cmdi_runtime_may_block(sender->runtime);
    }
    if (code < 0) {
        sender_drop(&sender->users);
        return cmdi_fail(error, code, "send: %s", cmds_error_text(code));
    }
    uint64_t now_ns = cmdi_now_ns();
    time->timeout_ms = timeout_ms != 0 ? timeout_ms : sender->group->options.deadline_ms;
    time->until_ns =
            time->timeout_ms == CMDS_NEVER ? UINT64_MAX : now_ns + cmdi_ms_to_ns(time->timeout_ms);
    if (sender->is_single) {
        sender_catch_up(sender, now_ns);
    }
    return 0;
}

void cmdi_sender_leave(struct cmds_sender *sender)
{
    sender_drop(&sender->users);
}

/*
 * On a shard. The count of waiters is read after `room` was raised, and a waiter raises the count
 * before it reads `room`: so either it sees that `room` has changed, or it is woken.
 */
static void sender_on_room(void *context)
{
    struct cmds_sender *sender = context;
    atomic_fetch_add(&sender->room, 1);
    if (atomic_load(&sender->room_waiters) > 0) {
        cmdi_futex_wake(&sender->room, INT32_MAX);
    }
}

/*
 * Until `room` is not `seen` any more, or the time is over. Returns: 0; CMDS_E_TIMEOUT; why a turn
 * failed.
 */
static int sender_wait_room(
        struct cmds_sender *sender, uint32_t seen, const struct cmdi_sender_time *time)
{
    atomic_fetch_add(&sender->room_waiters, 1);
    int code = cmdi_runtime_wait(sender->runtime, &sender->room, seen, cmdi_sender_left_ms(time));
    atomic_fetch_sub(&sender->room_waiters, 1);
    return code;
}

/* One attempt. */
static int sender_try(struct cmds_sender *sender, struct cmds_message command,
        const struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    if (how->deadline_ms == 0) {
        return CMDS_E_TIMEOUT;
    }
    if ((atomic_load(&sender->users) & CMDI_SENDER_CLOSING) != 0) {
        return CMDS_E_CLOSED;
    }
    return cmdi_group_send(sender->group, command, how, end);
}

/* Which bound has refused it, as far as can be seen afterwards? */
static const char *sender_what_is_full(struct cmds_sender *sender)
{
    const struct cmds_group *group = sender->group;
    bool is_window = true;
    if (!cmdi_group_enter(sender->group)) {
        return "window";
    }
    for (uint32_t i = 0; i < group->options.client_count && is_window; i++) {
        const struct cmdi_client *client = group->clients[i];
        is_window = cmdi_client_state(client) == CMDI_CLIENT_DOWN ||
                    !cmdi_client_in_window(client, true) ||
                    !cmdi_client_shard_may_add(client->client_shard);
    }
    cmdi_group_leave(sender->group);
    return is_window ? "window" : "output (output_size_max), or the memory of a shard,";
}

/* Of what a send may return by itself, these are the ones that are no CMDS_E_. */
static bool sender_is_of_a_hook(const struct cmds_sender *sender, int code)
{
    return sender->group->tracker.hooks.count > 0 && code > CMDS_E_PROTO && code != -ENOMEM &&
           code != -EXDEV;
}

/* Nothing but the command itself was wrong: which part of it? */
static bool sender_is_refused(
        struct cmds_sender *sender, struct cmds_message command, int code, struct cmds_error *error)
{
    struct cmds_error why = CMDS_ERROR_INIT;
    bool may_be = code == CMDS_E_LIMIT || code == CMDS_E_WRONG_TYPE || code == -EINVAL;
    if (!may_be || cmds_group_check(sender->group, command, &why) != code) {
        return false;
    }
    (void)cmdi_fail(error, code, "send: %s", why.text);
    return true;
}

static int sender_fail(struct cmds_sender *sender, struct cmds_message command, int code,
        uint32_t timeout_ms, struct cmds_error *error)
{
    struct cmds_error why = CMDS_ERROR_INIT;
    if (sender_is_refused(sender, command, code, error)) {
        return code;
    }
    bool is_down = (code == CMDS_E_NOT_CONNECTED || code == CMDS_E_TIMEOUT) &&
                   cmdi_group_why_down(sender->group, &why);
    if (code == CMDS_E_TIMEOUT) {
        return cmdi_fail(error, code, "the %s was full for %u ms%s%.190s",
                sender_what_is_full(sender), timeout_ms, is_down ? "; not connected: " : "",
                why.text);
    }
    if (code == CMDS_E_NOT_ALLOWED) {
        cmdi_guard_explain(sender->group, error);
        return code;
    }
    if (is_down) {
        return cmdi_fail(error, code, "not connected: %s", why.text);
    }
    if (sender_is_of_a_hook(sender, code)) {
        struct cmdi_code_text room;
        return cmdi_fail(error, code, "send: before_send of a hook returned %s",
                cmdi_program_code(&room, code));
    }
    return cmdi_fail(error, code, "send: %s", cmds_error_text(code));
}

int cmdi_sender_fail_late(struct cmds_sender *sender, int code, const char *what,
        uint32_t timeout_ms, struct cmds_error *error)
{
    struct cmds_error why = CMDS_ERROR_INIT;
    const char *connect = sender->group->options.connect;
    if (code != CMDS_E_TIMEOUT) {
        return cmdi_fail(error, code, "%.120s: %s", connect, cmds_error_text(code));
    }
    if (cmdi_group_why_down(sender->group, &why)) {
        return cmdi_fail(
                error, code, "%s within %u ms; not connected: %.190s", what, timeout_ms, why.text);
    }
    return cmdi_fail(error, code, "%.120s: %s within %u ms", connect, what, timeout_ms);
}

int cmdi_sender_take_options(struct cmds_send_options *mine,
        const struct cmds_send_options *options, struct cmds_error *error)
{
    *mine = (struct cmds_send_options)CMDS_SEND_OPTIONS_INIT;
    int code = options == NULL ? 0
                               : cmdi_options_take(
                                         mine, sizeof(*mine), options, "cmds_send_options", error);
    code = code < 0 ? code : cmdi_unused_check(mine->unused, "cmds_send_options", error);
    if (code == 0 && mine->resend > CMDS_RESEND_NEVER) {
        code = cmdi_fail(error, -EINVAL, "cmds_send_options: resend: there is no %u", mine->resend);
    }
    return code;
}

int cmdi_sender_queue(struct cmds_sender *sender, struct cmds_message command,
        const struct cmdi_sender_time *time, const struct cmds_send_options *options,
        cmds_result_fn on_result, void *context, struct cmds_error *error)
{
    struct cmds_send_options how = *options;
    struct cmdi_kept kept;
    const struct cmdi_send_end end = {on_result, context, &kept};
    kept.is_kept = false;
    for (;;) {
        /* Before the attempt, so that room that comes after it is not missed. */
        uint32_t seen = atomic_load(&sender->room);
        how.deadline_ms = cmdi_sender_left_ms(time);
        int code = sender_try(sender, command, &how, &end);
        if (code == -ENOBUFS) {
            code = sender_wait_room(sender, seen, time);
            if (code == 0) {
                continue;
            }
        }
        if (kept.is_kept) { // Of a group with hooks: they learn that it was not sent.
            cmdi_kept_refuse(sender->group, &kept, command.value, code);
        }
        return code < 0 ? sender_fail(sender, command, code, time->timeout_ms, error) : 0;
    }
}

/* --- On the shard ----------------------------------------------------------------------------- */

static void sender_set_done(struct cmdi_sender_wait *wait)
{
    _Atomic uint32_t *done = &wait->done;
    CMDI_ASSERT_SLOW(atomic_load(done) == 0);
    atomic_store(done, 1);
    /* The caller may have freed the block: the wake needs only its address. */
    cmdi_futex_wake(done, 1);
}

static void sender_on_after(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    struct cmdi_sender_shard *sender_shard = CMDI_CONTAINER(work, struct cmdi_sender_shard, work);
    struct cmdi_sender_wait *first = sender_shard->waits;
    sender_shard->waits = NULL;
    sender_shard->waits_tail = &sender_shard->waits;
    if (first != NULL) {
        sender_set_done(first);
    }
    while (sender_shard->sleepers != NULL) {
        struct cmdi_sender_sleeper *sleeper = sender_shard->sleepers;
        sender_shard->sleepers = sleeper->next;
        sleeper->wake(sleeper);
    }
}

/* The part on the shard that runs the caller; its work will run after this turn. */
static struct cmdi_sender_shard *sender_here(struct cmds_sender *sender)
{
    struct cmdi_shard *shard = cmdi_shard_current();
    CMDI_ASSERT(shard != NULL && shard->options.runtime == sender->runtime);
    struct cmdi_sender_shard *sender_shard = &sender->shards[shard->index];
    cmdi_shard_after(shard, &sender_shard->work);
    return sender_shard;
}

void cmdi_sender_wake_after(struct cmds_sender *sender, struct cmdi_sender_sleeper *sleeper)
{
    struct cmdi_sender_shard *sender_shard = sender_here(sender);
    sleeper->next = sender_shard->sleepers;
    sender_shard->sleepers = sleeper;
}

/* Into the wait's own room, or a block of its own. */
static void sender_keep(struct cmdi_sender_wait *wait, const struct cmds_result *result)
{
    wait->result = *result;
    wait->result.text = "";
    wait->result.value = cmdi_result_value_into(result, wait->room, SENDER_ROOM_SIZE);
    if (wait->result.value != NULL) {
        return;
    }
    wait->large = cmds_result_copy(result);
    if (wait->large == NULL) {
        wait->code = -ENOMEM;
        (void)snprintf((char *)wait->room, SENDER_ROOM_SIZE, "no memory for the result");
    }
}

static void sender_on_result(void *context, const struct cmds_result *result)
{
    struct cmdi_sender_wait *wait = context;
    if (!result->last) {
        /* It will end with CMDS_E_CANCELLED, here. */
        wait->more = true;
        (void)cmdi_client_forget(wait->sender->group->clients[result->client], result->sequence);
        return;
    }
    uint32_t expected = SENDER_WAITING;
    if (!atomic_compare_exchange_strong(&wait->claim, &expected, SENDER_CLAIMED)) {
        CMDI_ASSERT(expected == SENDER_ABANDONED);
        free(wait);
        return;
    }
    if (wait->more) {
        wait->code = CMDS_E_MORE_RESULTS;
        (void)snprintf(
                (char *)wait->room, SENDER_ROOM_SIZE, "%s", cmds_error_text(CMDS_E_MORE_RESULTS));
    } else if (result->error != 0) {
        wait->code = result->error;
        (void)snprintf((char *)wait->room, SENDER_ROOM_SIZE, "%s", result->text);
    } else {
        sender_keep(wait, result);
    }
    struct cmdi_sender_shard *sender_shard = sender_here(wait->sender);
    *sender_shard->waits_tail = wait;
    sender_shard->waits_tail = &wait->wake_next;
}

/* --- Send ------------------------------------------------------------------------------------- */

/*
 * Returns: 0: it is done, and the next one in the chain was woken; else the shard frees the wait.
 */
static int sender_sleep(struct cmds_sender *sender, struct cmdi_sender_wait *wait,
        const struct cmdi_sender_time *time)
{
    int code = cmdi_runtime_wait(
            sender->runtime, &wait->done, 0, cmdi_sender_patience_ms(sender, time));
    if (code < 0) {
        uint32_t expected = SENDER_WAITING;
        if (atomic_compare_exchange_strong(&wait->claim, &expected, SENDER_ABANDONED)) {
            return code;
        }
        CMDI_ASSERT(expected == SENDER_CLAIMED);
        /* The shard has claimed it: it is in the chain, which comes to it in a moment. */
        while (atomic_load(&wait->done) == 0 && code != -EXDEV) {
            code = cmdi_runtime_wait(sender->runtime, &wait->done, 0, CMDS_NEVER);
        }
    }
    if (wait->wake_next != NULL) {
        sender_set_done(wait->wake_next);
    }
    return 0;
}

static int sender_take(
        struct cmdi_sender_wait *wait, struct cmds_result **result, struct cmds_error *error)
{
    int code = wait->code;
    if (CMDI_UNLIKELY(wait->result.is_error) && code == 0) {
        code = CMDS_E_REMOTE; // And the result.
        cmdi_result_say_error(wait->large != NULL ? wait->large : &wait->result, error);
    }
    if (wait->code < 0) {
        (void)cmdi_fail(error, code, "%s", (const char *)wait->room);
        free(wait);
    } else if (wait->large != NULL) {
        *result = wait->large;
        free(wait);
    } else {
        *result = &wait->result; // The whole block.
    }
    return code;
}

static int sender_send(struct cmds_sender *sender, struct cmds_message command,
        const struct cmdi_sender_time *time, const struct cmds_send_options *options,
        struct cmds_result **result, struct cmds_error *error)
{
    struct cmdi_sender_wait *wait = malloc(SENDER_BLOCK_SIZE);
    if (wait == NULL) {
        return cmdi_fail(error, -ENOMEM, "send: no memory");
    }
    *wait = (struct cmdi_sender_wait){.sender = sender};
    int code = cmdi_sender_queue(sender, command, time, options, sender_on_result, wait, error);
    if (code < 0 || command.type->one_way != 0) {
        free(wait); // No callback will come.
        *result = code < 0 ? *result : NULL;
        return code;
    }
    code = sender_sleep(sender, wait, time);
    if (code < 0) {
        return cmdi_sender_fail_late(sender, code, "no result", time->timeout_ms, error);
    }
    return sender_take(wait, result, error);
}

int cmds_sender_send_with(struct cmds_sender *sender, struct cmds_message command,
        const struct cmds_send_options *how, struct cmds_result **result, struct cmds_error *error)
{
    struct cmdi_sender_time time;
    struct cmds_send_options mine;
    struct cmds_result *unwanted = NULL;
    if (sender == NULL) {
        return cmdi_fail(error, -EINVAL, "send: no sender");
    }
    int code = cmdi_sender_take_options(&mine, how, error);
    code = code < 0 ? code : cmdi_sender_enter(sender, mine.deadline_ms, &time, error);
    if (code < 0) {
        return code;
    }
    code = sender_send(sender, command, &time, &mine, result != NULL ? result : &unwanted, error);
    cmds_result_free(unwanted);
    cmdi_sender_leave(sender);
    return code;
}

int cmds_sender_send(struct cmds_sender *sender, struct cmds_message command, uint32_t timeout_ms,
        struct cmds_result **result, struct cmds_error *error)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = timeout_ms;
    return cmds_sender_send_with(sender, command, &how, result, error);
}

struct cmds_group *cmds_sender_group(struct cmds_sender *sender)
{
    return sender != NULL ? sender->group : NULL;
}

/* --- Open and close --------------------------------------------------------------------------- */

static int sender_group_options(struct cmds_group_options *group,
        const struct cmds_sender_options *mine, struct cmds_error *error)
{
    *group = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(mine->protocol);
    if (mine->group != NULL) {
        int code = cmdi_options_take(
                group, sizeof(*group), mine->group, "cmds_sender_options.group", error);
        if (code < 0) {
            return code;
        }
        group->struct_size = sizeof(*group);
    }
    group->protocol = mine->protocol != NULL ? mine->protocol : group->protocol;
    group->connect = mine->connect != NULL ? mine->connect : group->connect;
    group->codec = mine->codec != NULL ? mine->codec : group->codec;
    group->tls = mine->tls != NULL ? mine->tls : group->tls;
    group->name = mine->name != NULL ? mine->name : group->name;
    group->client_count = mine->client_count != 0 ? mine->client_count : group->client_count;
    group->connect_timeout_ms =
            mine->connect_timeout_ms != 0 ? mine->connect_timeout_ms : group->connect_timeout_ms;
    return 0;
}

/* The runtime given, or one of our own. */
static int sender_start_runtime(struct cmds_sender *sender, const struct cmds_sender_options *mine,
        struct cmds_error *error)
{
    if (mine->runtime != NULL) {
        sender->runtime = mine->runtime;
        return mine->single_thread
                       ? cmdi_fail(error, -EINVAL, "single_thread: not together with a runtime")
                       : 0;
    }
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = mine->single_thread ? CMDS_SHARDS_INLINE : 1;
    /* It is one thread among the program's own: the scheduler knows better. */
    options.no_pinning = true;
    options.ring_entries = SENDER_RING_ENTRIES;
    options.buffer_count_max = SENDER_BUFFERS_MAX;
    int code = cmds_runtime_start(&sender->runtime, &options, error);
    sender->owns_runtime = code == 0;
    sender->is_single = mine->single_thread;
    return code;
}

static int sender_make_shards(struct cmds_sender *sender)
{
    uint32_t count = cmds_runtime_shard_count(sender->runtime);
    sender->shards = calloc(count, sizeof(*sender->shards));
    if (sender->shards == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        cmdi_work_init(&sender->shards[i].work, sender_on_after);
        sender->shards[i].waits_tail = &sender->shards[i].waits;
    }
    return 0;
}

/* on_closed would be too early: another shard may still be waking those whose results came last. */
static void sender_on_gone(void *context)
{
    _Atomic uint32_t *gone = &((struct cmds_sender *)context)->gone;
    atomic_store(gone, 1);
    cmdi_futex_wake(gone, 1);
}

/* Ends all that is pending; connections have `linger_ms` to end in order. */
static void sender_free(struct cmds_sender *sender, uint32_t linger_ms)
{
    if (sender->group != NULL) {
        (void)cmdi_group_begin_close(sender->group, linger_ms);
        cmds_group_close(sender->group, NULL, NULL); // Takes the opener's handle.
        (void)cmdi_runtime_wait(sender->runtime, &sender->gone, 0, CMDS_NEVER);
    }
    for (uint32_t users = 0;
            (users = atomic_load(&sender->users)) != 0 && users != CMDI_SENDER_CLOSING;) {
        cmdi_futex_wait(&sender->users, users, UINT64_MAX);
    }
    cmds_group_unref(sender->group);
    if (sender->owns_runtime) {
        cmds_runtime_stop(sender->runtime);
    }
    free(sender->shards);
    free(sender);
}

static int sender_take_stream_sizes(struct cmds_sender *sender,
        const struct cmds_sender_options *mine, struct cmds_error *error)
{
    uint32_t max = mine->stream_size_max != 0 ? mine->stream_size_max : SENDER_STREAM_SIZE;
    uint32_t low = mine->stream_size_low != 0 ? mine->stream_size_low : max / 4;
    sender->stream_size_max = max;
    sender->stream_size_low = low;
    return low <= max ? 0
                      : cmdi_fail(error, -EINVAL, "stream_size_low %u: at most stream_size_max, %u",
                                low, max);
}

static int sender_connect(struct cmds_sender *sender, const struct cmds_sender_options *mine,
        struct cmds_error *error)
{
    struct cmds_group_options options;
    int code = sender_take_stream_sizes(sender, mine, error);
    code = code < 0 ? code : sender_group_options(&options, mine, error);
    if (code == 0) {
        code = sender_start_runtime(sender, mine, error);
    }
    if (code == 0) {
        code = cmdi_runtime_may_block(sender->runtime);
        code = code < 0 ? cmdi_fail(error, code, "open: %s", cmds_error_text(code))
                        : sender_make_shards(sender);
    }
    if (code == 0) {
        const struct cmdi_group_owner_ops owner_ops = {
                .on_room = sender_on_room, .on_gone = sender_on_gone, .context = sender};
        code = cmdi_group_open(&sender->group, sender->runtime, &options, &owner_ops, error);
    }
    if (code == 0) {
        (void)cmds_group_ref(sender->group);
    }
    if (code == 0 && !mine->connect_later) {
        /* Each client has connect_timeout_ms. */
        code = cmdi_group_wait_first_round(sender->group, error);
    }
    return code;
}

int cmds_sender_open(struct cmds_sender **out, const struct cmds_sender_options *options,
        struct cmds_error *error)
{
    struct cmds_sender_options mine;
    if (out == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "open: sender or options is NULL");
    }
    int code = cmdi_options_take(&mine, sizeof(mine), options, "cmds_sender_options", error);
    code = code < 0 ? code
                    : cmdi_unused_check(
                              mine.unused[0] | mine.unused[1], "cmds_sender_options", error);
    if (code < 0) {
        return code;
    }
    if (cmdi_shard_current() != NULL) {
        return cmdi_fail(error, -EDEADLK, "open: %s", cmds_error_text(-EDEADLK));
    }
    struct cmds_sender *sender = calloc(1, sizeof(*sender));
    if (sender == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a sender");
    }
    code = sender_connect(sender, &mine, error);
    if (code < 0) {
        sender_free(sender, 0);
        /* Unless a sentence that says more is there already. */
        return cmdi_fail(error, code, "open: %s", cmds_error_text(code));
    }
    *out = sender;
    return 0;
}

void cmds_sender_close(struct cmds_sender *sender, uint32_t timeout_ms)
{
    if (sender == NULL || cmdi_runtime_may_block(sender->runtime) < 0) {
        return; // On a shard it would wait for itself.
    }
    struct cmdi_sender_time time = {.timeout_ms = timeout_ms};
    time.until_ns =
            timeout_ms == CMDS_NEVER ? UINT64_MAX : cmdi_now_ns() + cmdi_ms_to_ns(timeout_ms);
    atomic_fetch_or(&sender->users, CMDI_SENDER_CLOSING);
    atomic_fetch_add(&sender->room, 1);
    /* Those that wait for room learn that there will be none. */
    cmdi_futex_wake(&sender->room, INT32_MAX);
    /* What has not ended by then ends with CMDS_E_CLOSED. */
    (void)cmds_group_drain(sender->group, timeout_ms);
    uint32_t left_ms = cmdi_sender_left_ms(&time);
    sender_free(sender, left_ms < CMDI_GROUP_LINGER_MS ? left_ms : CMDI_GROUP_LINGER_MS);
}

int cmds_sender_stats(struct cmds_sender *sender, struct cmds_group_counters *counters)
{
    return cmds_group_stats(sender != NULL ? sender->group : NULL, counters);
}
