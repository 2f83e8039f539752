/* SPDX-License-Identifier: MIT */
/*
 * A publisher of prices and three subscribers. One does not read for a while, one leaves, and the
 * publisher ends twice, in order and not, while the others go on.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "publisher.h"

/* --- A subscriber ----------------------------------------------------------------------------- */

struct subscriber {
    const char *name;
    struct cmds_group *group;
    _Atomic int64_t cents; // The newest that has come.
    _Atomic uint32_t count, ended, lost;
    _Atomic bool is_leaving;
};

static void on_price(void *context, const struct cmds_result *result);

static void subscriber_ask(struct subscriber *subscriber)
{
    struct feed_subscribe command = {1};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = CMDS_NEVER;  // Of a stream it is for the whole.
    how.resend = CMDS_RESEND_ONCE; // If it met a publisher that was ending.
    (void)cmds_group_send(subscriber->group, feed_subscribe_message(&command), &how, on_price,
            subscriber); // Fails only when the group is closed.
}

/* With an error the connection is lost, and the group is making another one. */
static void on_price(void *context, const struct cmds_result *result)
{
    struct subscriber *subscriber = context;
    const struct feed_price *price = feed_price_of(result);
    if (price != NULL) {
        subscriber->count++;
        subscriber->cents = price->cents;
        subscriber->ended += price->last;
    } else {
        subscriber->lost += result->error == CMDS_E_LOST;
    }
    if (result->last && !subscriber->is_leaving) {
        subscriber_ask(subscriber); // Again, and it waits until there is a publisher.
    }
}

static int subscriber_open(struct subscriber *subscriber, struct cmds_runtime *runtime,
        const char *address, struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed);
    options.connect = address;
    options.client_count = 1; // What unsubscribes goes the same way.
    int code = cmds_group_open(&subscriber->group, runtime, &options, error);
    if (code == 0) {
        subscriber_ask(subscriber);
    }
    return code;
}

static int subscriber_leave(struct subscriber *subscriber)
{
    struct feed_unsubscribe command = {1};
    subscriber->is_leaving = true;
    return cmds_group_send(subscriber->group, feed_unsubscribe_message(&command), NULL, NULL, NULL);
}

/* --- What happens ----------------------------------------------------------------------------- */

static struct subscriber anna = {.name = "anna"}, ben = {.name = "ben"}, carl = {.name = "carl"};

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void wait_for_price(struct subscriber *subscriber, int64_t cents)
{
    while (subscriber->cents != cents) {
        nap();
    }
    printf("%s has %" PRId64 "\n", subscriber->name, cents);
}

/* Prices, each of which anna gets, until there is no room for carl. Returns: the newest one. */
static int64_t publish_until_refused(struct publisher *publisher)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    int64_t cents = publisher->cents;
    while (counters.results_refused == 0) {
        publisher_publish(publisher, ++cents);
        while (anna.cents != cents) {
            (void)sched_yield();
        }
        cmds_server_stats(publisher->server, &counters);
    }
    return cents;
}

static void live_with_a_slow_one(struct publisher *publisher)
{
    printf("-- Carl does not read. --\n");
    (void)cmds_group_pause(carl.group, 0);
    int64_t cents = publish_until_refused(publisher);
    printf("there is no room for carl\n");
    publisher_publish(publisher, 20000);
    wait_for_price(&anna, 20000);
    wait_for_price(&ben, 20000);
    for (int i = 1; i <= 1000; i++) {
        publisher_publish(publisher, 20000 + i); // Of these he will see the newest.
    }
    (void)cmds_group_resume(carl.group, 0);
    wait_for_price(&carl, 21000);
    printf("carl has seen them all: %s\n", carl.count < cents - 10000 + 1000 ? "no" : "yes");
}

static int live_through_restarts(struct publisher *publisher, struct cmds_error *error)
{
    printf("-- The publisher ends in order, and is there again. --\n");
    int code = publisher_end(publisher);
    printf("all have got their last price: %s\n", code == 0 ? "yes" : "no");
    publisher->cents = 40000;
    code = publisher_start(publisher, error);
    if (code < 0) {
        return code;
    }
    wait_for_price(&anna, 40000);
    wait_for_price(&carl, 40000);

    printf("-- The publisher ends without a word, and is there again. --\n");
    cmds_server_close(publisher->server);
    publisher->cents = 50000;
    code = publisher_start(publisher, error);
    if (code < 0) {
        return code;
    }
    wait_for_price(&anna, 50000);
    wait_for_price(&carl, 50000);
    printf("anna: ended %u times, lost %u times\n", anna.ended, anna.lost);
    return 0;
}

static int live(struct publisher *publisher, struct cmds_error *error)
{
    struct subscriber *all[] = {&anna, &ben, &carl};
    publisher->cents = 10000;
    int code = publisher_start(publisher, error);
    for (int i = 0; i < 3 && code == 0; i++) {
        code = subscriber_open(all[i], publisher->runtime, publisher->address, error);
    }
    if (code < 0) {
        return code;
    }
    for (int i = 0; i < 3; i++) {
        wait_for_price(all[i], 10000);
    }
    live_with_a_slow_one(publisher);

    printf("-- Ben has seen enough. --\n");
    wait_for_price(&ben, 21000);
    code = subscriber_leave(&ben);
    while (code == 0 && ben.ended == 0) {
        nap();
    }
    publisher_publish(publisher, 30000);
    wait_for_price(&anna, 30000);
    printf("ben has %" PRId64 "\n", ben.cents);
    return code < 0 ? code : live_through_restarts(publisher, error);
}

int main(void)
{
    static struct publisher publisher;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    char address[64]; // A UNIX socket holds little, so that it is soon seen who does not read.
    (void)snprintf(address, sizeof(address), "unix:@cmdstream-pubsub-%d", (int)getpid());
    publisher.address = address;
    options.shard_count = 2;
    int code = cmds_runtime_start(&publisher.runtime, &options, &error);
    code = code < 0 ? code : live(&publisher, &error);
    if (code < 0) {
        fprintf(stderr, "pubsub: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(publisher.runtime); // Closes groups and servers.
    return code < 0;
}
