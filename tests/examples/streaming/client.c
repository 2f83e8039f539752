/* SPDX-License-Identifier: MIT */
/* Reads a stream to its end, then the beginning of one that would take years. */
#include <inttypes.h>
#include <stdio.h>

#include "range.h"

enum {
    ENOUGH = 1
};

struct sum {
    int64_t count, total, count_max;
};

static int add_up(void *context, const struct cmds_result *result) // On our thread.
{
    struct sum *sum = context;
    const struct range_number *number = range_number_of(result);
    if (number == NULL) {
        return cmds_result_cause(result);
    }
    sum->count++;
    sum->total += number->number;
    return sum->count == sum->count_max ? ENOUGH : 0; // Not 0: no more, please.
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&range);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct range_count whole = {1, 100000}, endless = {1, INT64_MAX};
    struct sum sum = {.count_max = -1}, begin = {.count_max = 10};
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send_multi(
                sender, range_count_message(&whole), 20000, &error, add_up, &sum);
    }
    if (code == 0) {
        code = cmds_sender_send_multi(
                sender, range_count_message(&endless), 20000, &error, add_up, &begin);
    }
    if (code < 0) {
        fprintf(stderr, "range: %s\n", error.text);
    } else {
        printf("%" PRId64 " numbers, %" PRId64 "\n", sum.count, sum.total);
        printf("%" PRId64 " numbers, %" PRId64 "\n", begin.count, begin.total);
    }
    cmds_sender_close(sender, 0);
    return code < 0;
}
