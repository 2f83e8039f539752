/* SPDX-License-Identifier: MIT */
/* Reads without having logged in, logs in wrongly, then rightly, reads, and asks what it was measured as. */
#include <inttypes.h>
#include <stdio.h>

#include "vault.h"

static void ask(struct cmds_sender *sender, struct cmds_message command)
{
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)cmds_sender_send(sender, command, 5000, &result, &error);
    const struct vault_text *text = vault_text_of(result);
    const struct vault_error *failed = vault_error_of(result);
    struct cmds_string what = text != NULL     ? text->text
                              : failed != NULL ? failed->text
                                               : cmds_string_from(error.text);
    printf("%s: %.*s\n", command.type->schema->name, CMDS_STRING_ARGS(what));
    cmds_result_free(result);
}

static int print_time(void *context, const struct cmds_result *result)
{
    const struct vault_time *time = vault_time_of(result);
    (void)context;
    if (time == NULL) {
        return -1;
    }
    printf("%.*s: %" PRId64 " calls%s\n", CMDS_STRING_ARGS(time->type), time->calls,
            time->measured ? ", measured" : "");
    return 0;
}

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&vault);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.client_count = 1; // Who has logged in is a matter of the connection.
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_sender_open(&sender, &options, &error) < 0) {
        fprintf(stderr, "vault: %s\n", error.text);
        return 1;
    }
    ask(sender, vault_read_message(&(struct vault_read){0}));
    ask(sender, vault_login_message(&(struct vault_login){CMDS_STRING("please")}));
    ask(sender, vault_login_message(&(struct vault_login){CMDS_STRING("sesame")}));
    ask(sender, vault_read_message(&(struct vault_read){0}));
    ask(sender, vault_read_message(&(struct vault_read){7}));
    int code = cmds_sender_send_multi(
            sender, vault_times_message(&(struct vault_times){0}), 5000, &error, print_time, NULL);
    cmds_sender_close(sender, 1000);
    return code < 0;
}
