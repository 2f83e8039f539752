/* SPDX-License-Identifier: MIT */
/*
 * cmds_sender_send_multi: many results, passed on to the caller's thread.
 *
 * The shard copies each result into the stream's queue and wakes the caller at the end of the turn,
 * if it sleeps. When too much waits there it pauses the stream's connection, and the caller, or the
 * end of the stream, lets it read on. The stream is counted: one for the caller, one for the command,
 * one while it is in the list of a sender_shard.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "client/finish.h"
#include "client/pause.h"
#include "client/result.h"
#include "group/sender.h"
#include "ring/thread.h"
#include "shard/drive.h"

struct stream_item {
    struct stream_item *next;
    struct cmds_result *result;
    size_t size; // Of both.
};

struct sender_stream {
    struct cmds_sender *sender;
    struct cmdi_sender_sleeper sleeper; // The shard's.
    bool is_listed;                     // `sleeper` is in a list. The shard's.
    int cut;                            // Why the shard has forgotten the rest. The shard's.
    _Atomic uint32_t refs;
    _Atomic uint32_t ready; // Futex: there is something in the queue, or it is over.

    pthread_mutex_t lock; // Of all below.
    struct stream_item *items, **items_tail;
    size_t size;           // Of the items, and of those that the caller has taken and not told.
    bool is_paused;        // Its connection does not read because of it.
    uint32_t client;       // That one. Valid with is_paused.
    bool is_over;          // Nothing follows.
    bool is_left;          // The caller wants no more.
    struct cmds_error end; // Why it is over; code 0: the last result is among the items.
};

static void stream_free_items(struct stream_item *item)
{
    while (item != NULL) {
        struct stream_item *next = item->next;
        cmds_result_free(item->result);
        free(item);
        item = next;
    }
}

static void stream_unref(struct sender_stream *stream)
{
    uint32_t before = atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel);
    CMDI_ASSERT(before > 0);
    if (before == 1) {
        CMDI_ASSERT(!stream->is_listed);
        stream_free_items(stream->items);
        (void)pthread_mutex_destroy(&stream->lock);
        free(stream);
    }
}

/* --- On the shard ----------------------------------------------------------------------------- */

static void stream_wake(struct cmdi_sender_sleeper *sleeper)
{
    struct sender_stream *stream = CMDI_CONTAINER(sleeper, struct sender_stream, sleeper);
    stream->is_listed = false;
    if (atomic_exchange(&stream->ready, 1) == 0) {
        cmdi_futex_wake(&stream->ready, 1);
    }
    stream_unref(stream);
}

static void stream_wake_later(struct sender_stream *stream)
{
    if (!stream->is_listed) {
        stream->is_listed = true;
        atomic_fetch_add(&stream->refs, 1);
        cmdi_sender_wake_after(stream->sender, &stream->sleeper);
    }
}

/* Under the lock. Returns: 0; -ENOMEM. */
static int stream_append(struct sender_stream *stream, const struct cmds_result *result)
{
    struct stream_item *item = malloc(sizeof(*item));
    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct stream_item){
            .result = cmds_result_copy(result),
            .size = sizeof(*item) + sizeof(*result) + cmdi_result_value_size(result),
    };
    if (item->result == NULL) {
        free(item);
        return -ENOMEM;
    }
    *stream->items_tail = item;
    stream->items_tail = &item->next;
    stream->size += item->size;
    return 0;
}

/*
 * Under the lock. So much waits that its connection is to wait as well: the one that is being read
 * brings no further result.
 */
static void stream_pause_if_full(struct sender_stream *stream, const struct cmds_result *result)
{
    if (!stream->is_paused && stream->size >= stream->sender->stream_size_max) {
        stream->is_paused = true;
        stream->client = result->client;
        cmdi_client_pause(stream->sender->group->clients[stream->client]);
    }
}

/* Under the lock. Thread: any; of the sender's group, which has not gone, or of its shards. */
static void stream_read_on(struct sender_stream *stream)
{
    if (stream->is_paused) {
        stream->is_paused = false;
        /* CMDS_E_CLOSED: with the group nothing is read any more. */
        (void)cmds_group_resume(stream->sender->group, stream->client);
    }
}

/* Under the lock. */
static void stream_end(struct sender_stream *stream, const struct cmds_result *result, int code)
{
    stream->is_over = true;
    if (stream->cut != 0 || code < 0) {
        (void)cmdi_fail(
                &stream->end, stream->cut != 0 ? stream->cut : code, "no memory for a result");
    } else if (result->error != 0) {
        (void)cmdi_fail(&stream->end, result->error, "%s", result->text);
    } else if (result->is_error) {
        cmdi_result_say_error(result, &stream->end);
    }
}

static void stream_on_result(void *context, const struct cmds_result *result)
{
    struct sender_stream *stream = context;
    int code = 0;
    CMDI_ASSERT(!stream->is_over);
    pthread_mutex_lock(&stream->lock);
    if (!stream->is_left && stream->cut == 0 && result->error == 0 && !result->is_error) {
        code = stream_append(stream, result);
    }
    if (result->last) {
        stream_end(stream, result, code);
        stream_read_on(stream);
    } else if (!stream->is_left) {
        stream_pause_if_full(stream, result);
    }
    pthread_mutex_unlock(&stream->lock);
    stream_wake_later(stream);
    if (result->last) {
        stream_unref(stream);
    } else if (code < 0) {
        stream->cut = code; // It ends with CMDS_E_CANCELLED, here.
        (void)cmdi_client_forget(stream->sender->group->clients[result->client], result->sequence);
    }
}

/* --- On the caller's thread ------------------------------------------------------------------- */

/* Done with an item. */
static void stream_took(struct sender_stream *stream, struct stream_item *item)
{
    pthread_mutex_lock(&stream->lock);
    CMDI_ASSERT(item->size <= stream->size);
    stream->size -= item->size;
    if (stream->size <= stream->sender->stream_size_low) {
        stream_read_on(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    cmds_result_free(item->result);
    free(item);
}

/*
 * Tells what is there. Returns: what `each` returned; *over: nothing follows, for the reason in
 * `end`.
 */
static int stream_tell(struct sender_stream *stream, cmds_result_each_fn each, void *context,
        bool *over, struct cmds_error *end)
{
    int stop = 0;
    atomic_store(&stream->ready, 0); // Before the check: what comes after it wakes us.
    pthread_mutex_lock(&stream->lock);
    struct stream_item *item = stream->items;
    stream->items = NULL;
    stream->items_tail = &stream->items;
    *over = stream->is_over;
    *end = stream->end;
    pthread_mutex_unlock(&stream->lock);
    while (item != NULL && stop == 0) {
        struct stream_item *next = item->next;
        stop = each(context, item->result);
        stream_took(stream, item);
        item = next;
    }
    stream_free_items(item);
    return stop;
}

/*
 * Until the last result, or the end of our patience. Returns: as cmds_sender_send_multi; *over:
 * nothing is to be forgotten.
 */
static int stream_run(struct sender_stream *stream, const struct cmdi_sender_time *time,
        struct cmds_error *error, cmds_result_each_fn each, void *context, bool *over)
{
    for (;;) {
        struct cmds_error end = CMDS_ERROR_INIT;
        int stop = stream_tell(stream, each, context, over, &end);
        if (stop != 0) {
            return stop;
        }
        if (*over) {
            return end.code < 0 ? cmdi_fail(error, end.code, "%s", end.text) : 0;
        }
        int code = cmdi_runtime_wait(stream->sender->runtime, &stream->ready, 0,
                cmdi_sender_patience_ms(stream->sender, time));
        if (code < 0) {
            return cmdi_sender_fail_late(
                    stream->sender, code, "no last result", time->timeout_ms, error);
        }
    }
}

static int stream_send(struct cmds_sender *sender, struct cmds_message command,
        const struct cmdi_sender_time *time, const struct cmds_send_options *options,
        struct cmds_error *error, cmds_result_each_fn each, void *context)
{
    struct sender_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return cmdi_fail(error, -ENOMEM, "send: no memory");
    }
    struct cmds_ticket own = {0};
    struct cmds_send_options how = *options;
    how.ticket = how.ticket != NULL ? how.ticket : &own;
    stream->sender = sender;
    stream->sleeper.wake = stream_wake;
    stream->items_tail = &stream->items;
    (void)pthread_mutex_init(&stream->lock, NULL); // Cannot fail without attributes.
    atomic_store(&stream->refs, 2);
    int code = cmdi_sender_queue(sender, command, time, &how, stream_on_result, stream, error);
    own = *how.ticket; // The caller may use his own again in `each`.
    if (code < 0 || command.type->one_way != 0) {
        stream_unref(stream); // No callback will come.
        stream_unref(stream);
        return code;
    }
    bool over = false;
    code = stream_run(stream, time, error, each, context, &over);
    pthread_mutex_lock(&stream->lock);
    stream->is_left = true;
    pthread_mutex_unlock(&stream->lock);
    if (!over) {
        (void)cmds_group_forget(sender->group, own); // -ENOENT: it has ended meanwhile.
    }
    stream_unref(stream);
    return code;
}

int cmds_sender_send_multi_with(struct cmds_sender *sender, struct cmds_message command,
        const struct cmds_send_options *how, struct cmds_error *error, cmds_result_each_fn each,
        void *context)
{
    struct cmdi_sender_time time;
    struct cmds_send_options mine;
    if (sender == NULL || each == NULL) {
        return cmdi_fail(error, -EINVAL, "send: sender or each is NULL");
    }
    int code = cmdi_sender_take_options(&mine, how, error);
    code = code < 0 ? code : cmdi_sender_enter(sender, mine.deadline_ms, &time, error);
    if (code < 0) {
        return code;
    }
    code = stream_send(sender, command, &time, &mine, error, each, context);
    cmdi_sender_leave(sender);
    return code;
}

int cmds_sender_send_multi(struct cmds_sender *sender, struct cmds_message command,
        uint32_t timeout_ms, struct cmds_error *error, cmds_result_each_fn each, void *context)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = timeout_ms;
    return cmds_sender_send_multi_with(sender, command, &how, error, each, context);
}
