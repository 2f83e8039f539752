/* SPDX-License-Identifier: MIT */
/*
 * The publisher: a call is a subscription, kept until one of the two ends it. Each shard has those of
 * its own connections, so nothing of them is locked; a new price is posted to each shard.
 *
 * Nothing is queued for anybody. A subscriber that has no room gets, when it has some, the price that is
 * the newest by then: what it costs is the same whether it reads or not, and others do not notice.
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "feed.h"

enum {
    PUBLISHER_SHARDS_MAX = 64,
};

struct subscription {
    struct subscription *next, **from; // In its desk.
    struct cmds_call *call;            // A reference.
    uint64_t id;
    int64_t cents; // What it was sent last.
    bool is_new;   // It was sent nothing.
    bool is_over;  // Its next price is the last one.
    bool waits;    // For room.
};
/* What a shard has. */
struct desk {
    struct publisher *publisher;
    struct subscription *first;
    _Atomic bool is_posted; // A price is on its way here, whichever is the newest then.
};
struct publisher {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    const char *address;
    _Atomic int64_t cents;
    _Atomic bool is_ending;
    struct desk desks[PUBLISHER_SHARDS_MAX];
};

static void subscription_end(struct subscription *mine)
{
    *mine->from = mine->next;
    if (mine->next != NULL) {
        mine->next->from = mine->from;
    }
    cmds_call_set_context(mine->call, NULL);
    cmds_call_unref(mine->call);
    free(mine);
}

static void on_gone(struct cmds_call *call) // The subscriber has left.
{
    subscription_end(cmds_call_context(call));
}

static void on_room(struct cmds_call *call);

static void subscription_send(struct subscription *mine, int64_t cents)
{
    struct feed_price price = {cents, mine->is_over};
    if (mine->waits || (cents == mine->cents && !mine->is_new && !mine->is_over)) {
        return; // Later, or it has that price.
    }
    int code = cmds_call_send(mine->call, feed_price_message(&price));
    if (code == 0) {
        mine->cents = cents;
        mine->is_new = false;
    } else if (code == -ENOBUFS) {
        mine->waits = cmds_call_on_writable(mine->call, on_room) == 0;
    }
    if (code == 0 && price.last) {
        subscription_end(mine);
    }
}

static void on_room(struct cmds_call *call)
{
    struct publisher *publisher = cmds_call_receiver(call);
    struct subscription *mine = cmds_call_context(call);
    if (mine != NULL) { // Else the subscriber has left meanwhile.
        mine->waits = false;
        subscription_send(mine, publisher->cents);
    }
}

static struct desk *desk_of(struct publisher *publisher)
{
    return &publisher->desks[cmds_runtime_current_shard(publisher->runtime)];
}

static int subscribe(struct cmds_call *call, const struct feed_subscribe *command)
{
    struct publisher *publisher = cmds_call_receiver(call);
    struct desk *desk = desk_of(publisher);
    if (publisher->is_ending) {
        return CMDS_E_DRAINING; // The connection ends soon, and the subscriber asks again.
    }
    struct subscription *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return -ENOMEM;
    }
    *mine = (struct subscription){.next = desk->first,
            .from = &desk->first,
            .call = cmds_call_ref(call),
            .id = command->id,
            .is_new = true};
    if (mine->next != NULL) {
        mine->next->from = &mine->next;
    }
    desk->first = mine;
    cmds_call_set_context(call, mine);
    cmds_call_on_cancel(call, on_gone);
    subscription_send(mine, publisher->cents);
    return 0;
}

static int unsubscribe(struct cmds_call *call, const struct feed_unsubscribe *command)
{
    struct publisher *publisher = cmds_call_receiver(call);
    struct subscription *one = desk_of(publisher)->first;
    while (one != NULL && (cmds_call_connection(one->call) != cmds_call_connection(call) ||
                                  one->id != command->id)) {
        one = one->next;
    }
    if (one != NULL) {
        one->is_over = true;
        subscription_send(one, publisher->cents);
    }
    return 0;
}

static const struct cmds_exec publisher_execs[] = {
        CMDS_EXEC(feed_subscribe, subscribe), CMDS_EXEC(feed_unsubscribe, unsubscribe)};

static void desk_publish(void *context) // On the desk's shard.
{
    struct desk *desk = context;
    desk->is_posted = false; // Before the price is read: a later one posts again.
    int64_t cents = desk->publisher->cents;
    bool is_ending = desk->publisher->is_ending;
    for (struct subscription *one = desk->first, *next; one != NULL; one = next) {
        next = one->next;
        one->is_over = one->is_over || is_ending;
        subscription_send(one, cents);
    }
}

static void publisher_post(struct publisher *publisher)
{
    for (uint32_t i = 0; i < cmds_runtime_shard_count(publisher->runtime); i++) {
        struct desk *desk = &publisher->desks[i];
        if (!atomic_exchange(&desk->is_posted, true) &&
                cmds_runtime_post(publisher->runtime, i, desk_publish, desk) < 0) {
            desk->is_posted = false; // The next price tries again.
        }
    }
}

/* Thread: any. */
static void publisher_publish(struct publisher *publisher, int64_t cents)
{
    publisher->cents = cents;
    publisher_post(publisher);
}

static int publisher_start(struct publisher *publisher, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&feed, publisher_execs);
    options.listen = publisher->address;
    options.receiver = publisher;
    options.output_size_max = 4096; // To be full soon: what waits is old, and is sent all the same.
    options.slow_reader = CMDS_SLOW_READER_WAIT; // Or _CLOSE, if it should not stay for ever.
    publisher->is_ending = false;
    for (uint32_t i = 0; i < PUBLISHER_SHARDS_MAX; i++) {
        publisher->desks[i].publisher = publisher;
    }
    return cmds_server_start(&publisher->server, publisher->runtime, &options, error);
}

/* In order: each subscriber gets its last price. Returns: 0: all of them have got it. */
static int publisher_end(struct publisher *publisher)
{
    publisher->is_ending = true;
    publisher_post(publisher);
    int code = cmds_server_shutdown(publisher->server, 5000);
    cmds_server_close(publisher->server);
    return code;
}

#endif
