/* SPDX-License-Identifier: MIT */
/* At full speed: the window is kept full from the callbacks. Everything of `load` happens on one shard, so nothing is locked. */
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>

#include "../calc/calc.h"

struct load {
    struct cmds_group *group;
    struct calc_add next;
    int64_t sum;
    uint64_t failed, to_send, to_come;
    sem_t done;
};

static void on_result(void *context, const struct cmds_result *result);

static void count_one(struct load *load, bool failed)
{
    load->failed += failed;
    if (--load->to_come == 0) {
        (void)sem_post(&load->done); // main waits.
    }
}

static void send_next(struct load *load)
{
    while (load->to_send > 0) {
        struct cmds_message message = calc_add_message(&load->next);
        int error = cmds_group_send(load->group, message, NULL, on_result, load);
        if (error == -ENOBUFS) {
            return; // The window is full; on_writable comes when it is not.
        }
        load->to_send--;
        if (error < 0) {
            count_one(load, true);
        }
    }
}

static void on_result(void *context, const struct cmds_result *result) // Once, on the shard.
{
    struct load *load = context;
    const struct calc_value *value = calc_value_of(result); // Borrowed until we return.
    load->sum += value != NULL ? value->value : 0;
    send_next(load);                // Any call is legal in any callback.
    count_one(load, value == NULL); // Why: result->error, result->text.
}

static void on_writable(void *context)
{
    send_next(context);
}

int main(int argc, char **argv)
{
    struct load load = {.next = {2, 3}, .to_send = 100000, .to_come = 100000};
    (void)sem_init(&load.done, 0, 0);
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = 1;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.on_writable = on_writable;
    options.context = &load;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_runtime_start(&runtime, &runtime_options, &error);
    if (code == 0) {
        code = cmds_group_open(&load.group, runtime, &options, &error);
    }
    if (code == 0) {
        code = cmds_group_wait(load.group, 5000, &error);
    }
    if (code == 0) { // Begins on the shard, where the callbacks run.
        code = cmds_runtime_post(runtime, 0, on_writable, &load);
    }
    if (code == 0) {
        (void)sem_wait(&load.done); // Each command ends, with a result or by its deadline.
    } else {
        fprintf(stderr, "async: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime); // Closes the group too; after it nobody else touches `load`.
    printf("sum %" PRId64 ", %" PRIu64 " failed\n", load.sum, load.failed);
    (void)sem_destroy(&load.done);
    return code < 0;
}
