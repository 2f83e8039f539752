/* SPDX-License-Identifier: MIT */
/*
 * At full speed: the window is kept full from the callbacks. Everything of `load` happens on one
 * shard until the runtime has stopped, so nothing is locked.
 */
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>

#include "calc.h"

struct load {
    struct cmds_group *group;
    struct calc_add next;
    int64_t sum;
    uint64_t failed, to_send;
    sem_t begun;
};

static void on_result(void *context, const struct cmds_result *result);

static void send_next(struct load *load)
{
    while (load->to_send > 0) {
        struct cmds_message message = calc_add_message(&load->next);
        int code = cmds_group_send(load->group, message, NULL, on_result, load);
        if (code == -ENOBUFS) {
            return; // The window is full; on_writable comes when it is not.
        }
        load->to_send--;
        load->failed += code < 0;
    }
}

static void on_result(void *context, const struct cmds_result *result) // Once, on the shard.
{
    struct load *load = context;
    const struct calc_value *value = calc_value_of(result); // Borrowed until we return.
    if (value != NULL) {
        load->sum += value->value;
    } else {
        load->failed++; // Lost, timed out, closed, not a calc_value: result->error, result->text.
    }
    send_next(load); // Any call is legal in any callback.
}

static void on_writable(void *context)
{
    send_next(context);
}

static void begin(void *context) // Posted by main: `load` belongs to the shard.
{
    struct load *load = context;
    send_next(load);
    (void)sem_post(&load->begun);
}

int main(int argc, char **argv)
{
    struct load load = {.next = {2, 3}, .to_send = 100000};
    (void)sem_init(&load.begun, 0, 0);
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = 1; // The callbacks need no lock.
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.on_writable = on_writable;
    options.context = &load;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = -1;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) == 0 &&
            cmds_group_open(&load.group, runtime, &options, &error) == 0 &&
            cmds_group_wait(load.group, 5000, &error) == 0 &&
            cmds_runtime_post(runtime, 0, begin, &load) == 0) {
        (void)sem_wait(&load.begun); // Before that there would be nothing to wait for.
        code = cmds_group_drain(load.group, 30000);
    }
    if (code < 0) {
        fprintf(stderr, "async: %s\n", error.code < 0 ? error.text : "not all results came");
    }
    cmds_runtime_stop(runtime); // Closes the group too; after it nobody else touches `load`.
    printf("sum %" PRId64 ", %" PRIu64 " failed\n", load.sum, load.failed);
    (void)sem_destroy(&load.begun);
    return code < 0;
}
