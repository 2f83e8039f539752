/* SPDX-License-Identifier: MIT */
/*
 * The office and its customers in a simulated world: the same code, linked with cmdstream::sim. When a
 * connection is lost with an order on its way nobody knows whether the office has sold a seat for it;
 * a customer who asks again may get a second one, unless the office remembers orders. No ordinary test
 * loses a connection at that moment. Some seed does, and then it does so each time.
 *
 *     sim_test                   finds such a seed, runs it again, and then the mended office
 *     sim_test [--fixed] SEED    that run, and what happened in it
 */
#include <cmdstream/sim.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "office.h"

enum {
    CUSTOMERS = 3,
    ORDERS = 40, // Of each.
    SEEDS = 100, // To find one that fails, and to believe that none does.
};

struct theatre { // The context of the office's program.
    struct office_book book;
    bool fixed;
};

/* What no seat may have: the customer of an earlier one. */
static void check(const struct office_book *book)
{
    uint32_t last = book->sold - 1;
    cmds_sim_note(cmds_sim_current(), "order %" PRIu64 ": seat %u", book->orders[last], last);
    for (uint32_t seat = 0; seat < last; seat++) {
        if (book->orders[seat] == book->orders[last]) {
            cmds_sim_fail(cmds_sim_current(), "order %" PRIu64 " has got the seats %u and %u",
                    book->orders[last], seat, last);
        }
    }
}

static int run_office(void *context)
{
    struct theatre *theatre = context;
    struct office_desk desk = {.book = &theatre->book,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .remembers = theatre->fixed,
            .on_sold = check};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&office, office_execs);
    options.listen = "0.0.0.0:9000";
    options.receiver = &desk;
    return cmds_server_main(&options);
}

/* As far as one connection lasts. Returns: the first order that has no answer. */
static uint64_t buy(uint64_t order, uint64_t end)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&office);
    options.connect = "office:9000";
    struct cmds_sender *sender = NULL;
    int code = cmds_sender_open(&sender, &options, NULL);
    while (code == 0 && order < end) {
        struct office_buy command = {order};
        code = cmds_sender_send(sender, office_buy_message(&command), 1000, NULL, NULL);
        order += code == 0; // Else it is asked again: CMDS_E_LOST says that it may have been done.
        cmds_sim_sleep_ms(50);
    }
    cmds_sender_close(sender, 1000);
    return order;
}

static int run_customer(void *context)
{
    uint64_t order = *(const uint64_t *)context, end = order + ORDERS;
    while (order < end) {
        order = buy(order, end);
        cmds_sim_sleep_ms(100);
    }
    return 0;
}

static void print_event(void *context, const char *text)
{
    (void)context;
    puts(text);
}

static int run(uint64_t seed, bool fixed, bool verbose, struct cmds_sim_report *report)
{
    struct theatre theatre = {.fixed = fixed};
    uint64_t orders[CUSTOMERS];
    struct cmds_sim *sim = NULL;
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.faults = CMDS_SIM_CUTS | CMDS_SIM_PARTITIONS | CMDS_SIM_RESTARTS | CMDS_SIM_STALLS;
    options.on_event = verbose ? print_event : NULL;
    int code = cmds_sim_open(&sim, &options, NULL);

    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT("office", run_office);
    program.daemon = true; // Customers come and go.
    program.context = &theatre;
    code = code < 0 ? code : cmds_sim_start(sim, &program, NULL, NULL);
    for (uint32_t i = 0; i < CUSTOMERS && code == 0; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "customer%u", i + 1);
        orders[i] = 1000 * (i + 1);
        program = (struct cmds_sim_program)CMDS_SIM_PROGRAM_INIT(name, run_customer);
        program.context = &orders[i];
        code = cmds_sim_start(sim, &program, NULL, NULL);
    }
    code = code < 0 ? code : cmds_sim_run(sim, NULL); // The story of a failure goes to stderr.
    if (sim != NULL) {
        cmds_sim_stats(sim, report);
    }
    cmds_sim_close(sim);
    return code;
}

static int run_many(void)
{
    struct cmds_sim_report report = CMDS_SIM_REPORT_INIT, again = CMDS_SIM_REPORT_INIT;
    uint64_t seed = 1;
    while (seed < SEEDS && run(seed, false, false, &report) == 0) {
        seed++;
    }
    int code = run(seed, false, false, &again);
    printf("an order that is repeated: %s\n", code < 0 ? "gets a second seat" : "no seed found");
    printf("the same seed: %s\n", report.hash == again.hash ? "the same run" : "another run");
    for (seed = 1; seed <= SEEDS; seed++) {
        if (run(seed, true, false, &report) < 0) {
            printf("seed %" PRIu64 " fails\n", seed);
            return 1;
        }
    }
    printf("an office that remembers: one seat each, in %d runs\n", SEEDS);
    return code == 0;
}

int main(int argc, char **argv)
{
    bool fixed = argc > 1 && strcmp(argv[1], "--fixed") == 0;
    if (argc <= 1 + fixed) {
        return run_many();
    }
    struct cmds_sim_report report = CMDS_SIM_REPORT_INIT;
    int code = run(strtoull(argv[1 + fixed], NULL, 10), fixed, true, &report);
    printf("hash %016" PRIx64 ", %u faults: %s\n", report.hash, report.faults_drawn,
            cmds_error_text(code));
    return code < 0;
}
