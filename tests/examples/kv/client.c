/* SPDX-License-Identifier: MIT */
/* Stores two values, one of them for a moment, and looks at what is there. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "kv.h"

static int set(struct cmds_sender *sender, const char *key, const char *value, uint32_t ttl_ms,
        struct cmds_error *error)
{
    struct kv_set set = {cmds_string_from(key), cmds_string_from(value), ttl_ms};
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, kv_set_message(&set), 20000, &result, error);
    cmds_result_free(result);
    return code;
}

static int on_pair(void *context, const struct cmds_result *result)
{
    const struct kv_pair *pair = kv_pair_of(result);
    (void)context;
    if (pair != NULL) {
        printf("%.*s: %.*s\n", CMDS_STRING_ARGS(pair->key), CMDS_STRING_ARGS(pair->value));
    }
    return 0;
}

/* Returns: 1: it is there; 0: it is not; negative: why nobody knows. */
static int has(struct cmds_sender *sender, const char *key, struct cmds_error *error)
{
    struct kv_get get = {cmds_string_from(key)};
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, kv_get_message(&get), 20000, &result, error);
    const struct kv_value *value = kv_value_of(result);
    code = code < 0 || value == NULL ? code : value->found;
    cmds_result_free(result);
    return code;
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&kv);
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct kv_scan scan = {CMDS_STRING("user:")};
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    int code = cmds_sender_open(&sender, &options, &error);
    code = code < 0 ? code : set(sender, "user:ada", "Lovelace", 0, &error);
    code = code < 0 ? code : set(sender, "user:alan", "Turing", 0, &error);
    code = code < 0 ? code : set(sender, "session", "of a moment", 30, &error);
    code = code < 0 ? code
                    : cmds_sender_send_multi(
                              sender, kv_scan_message(&scan), 20000, &error, on_pair, NULL);
    while (code >= 0 && (code = has(sender, "session", &error)) > 0) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (code < 0) {
        fprintf(stderr, "kv: %s\n", error.text);
    } else {
        printf("the session has expired, %s\n",
                has(sender, "user:ada", &error) > 0 ? "ada has not" : "and ada, too");
    }
    cmds_sender_close(sender, 1000);
    return code < 0;
}
