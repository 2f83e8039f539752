/* SPDX-License-Identifier: MIT */
/* A program fails a call, from whatever thread: off the shard by a message, which has the texts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "server/call.h"

struct call_failure {
    struct cmdi_mail mail;
    struct cmds_call *call; // A reference.
    struct cmdi_failure failure;
    char text[sizeof(((struct cmds_error *)0)->text)];
    char told[sizeof(((struct cmds_error *)0)->text)];
};

static void call_on_failure(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct call_failure *failure = CMDI_CONTAINER(mail, struct call_failure, mail);
    cmdi_call_failed(failure->call, &failure->failure);
    cmdi_call_unref_here(failure->call);
    free(failure);
}

static const char *call_copy_text(char *to, size_t size, const char *text)
{
    if (text != NULL) {
        (void)snprintf(to, size, "%s", text);
    }
    return text != NULL ? to : NULL;
}

void cmdi_call_fail(struct cmds_call *call, const struct cmdi_failure *why)
{
    struct cmdi_server_shard *server_shard = call->connection->server_shard;
    if (cmdi_shard_current() != NULL && cmdi_shard_current() == server_shard->shard &&
            !server_shard->ended) {
        (void)cmds_call_ref(call); // on_exec_error may close the connection: on_cancel lets go.
        cmdi_call_failed(call, why);
        cmdi_call_unref_here(call);
        return;
    }
    struct call_failure *failure = calloc(1, sizeof(*failure));
    if (failure == NULL) {
        return; // The caller's unref will count it as unfinished.
    }
    failure->mail.fn = call_on_failure;
    failure->failure = *why;
    failure->failure.text = call_copy_text(failure->text, sizeof(failure->text), why->text);
    failure->failure.told = call_copy_text(failure->told, sizeof(failure->told), why->told);
    pthread_mutex_lock(&server_shard->lock);
    if (server_shard->ended) {
        free(failure);
    } else {
        failure->call = cmds_call_ref(call);
        cmdi_shard_post(server_shard->shard, &failure->mail);
    }
    pthread_mutex_unlock(&server_shard->lock);
}

void cmds_call_fail(struct cmds_call *call, int code, const char *text)
{
    struct cmdi_code_text room;
    char own[192]; // Without a text of the program's its code has to do; for the peer its sentence.
    code = code < 0 ? code : -EINVAL;
    text = text != NULL && text[0] != '\0' ? text : NULL;
    if (text == NULL) {
        (void)snprintf(
                own, sizeof(own), "cmds_call_fail() with %s", cmdi_program_code(&room, code));
    }
    cmdi_call_fail(call,
            &(struct cmdi_failure){.code = code, .text = text != NULL ? text : own, .told = text});
}
