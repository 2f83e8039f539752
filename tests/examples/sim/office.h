/* SPDX-License-Identifier: MIT */
/* A box office: whoever sends an order gets a seat for it. */
#ifndef OFFICE_H
#define OFFICE_H

#include <pthread.h>

#include <cmdstream/cmdstream.h>

struct office_buy {
    uint64_t order; // A number that its buyer has made up.
};
struct office_seat {
    uint32_t number;
};

CMDS_COMMAND(office_buy, 0, order);
CMDS_RESULT(office_seat, 0, number);

static const struct cmds_type *const office_commands[] = {&office_buy_type};
static const struct cmds_type *const office_results[] = {&office_seat_type};
static const struct cmds_protocol office = CMDS_PROTOCOL("office", office_commands, office_results);

enum {
    OFFICE_SEATS = 1000
};
/* What the office writes down: it survives whatever happens to the program. */
struct office_book {
    uint32_t sold;
    uint64_t orders[OFFICE_SEATS]; // Whose each seat is.
};
/* The program. */
struct office_desk {
    struct office_book *book;
    pthread_mutex_t lock; // Each shard sells.
    bool remembers;       // That an order has its seat already. It should, always.
    void (*on_sold)(const struct office_book *book);
};

static inline int office_sell(struct cmds_call *call, const struct office_buy *buy)
{
    struct office_desk *desk = cmds_call_receiver(call);
    struct office_book *book = desk->book;
    (void)pthread_mutex_lock(&desk->lock);
    struct office_seat seat = {desk->remembers ? 0 : book->sold};
    while (seat.number < book->sold && book->orders[seat.number] != buy->order) {
        seat.number++;
    }
    if (seat.number == book->sold && seat.number < OFFICE_SEATS) {
        book->orders[book->sold++] = buy->order;
        desk->on_sold(book);
    }
    (void)pthread_mutex_unlock(&desk->lock);
    return cmds_call_send(call, office_seat_message(&seat));
}
static const struct cmds_exec office_execs[] = {CMDS_EXEC(office_buy, office_sell)};

#endif
