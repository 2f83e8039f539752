/* SPDX-License-Identifier: MIT */
/*
 * A result later, from elsewhere: the exec function keeps the call and returns; a thread of our own
 * answers it. The call outlives the function, its connection and the server.
 */
#include <signal.h>
#include <stdio.h>

#include "jobs.h"
#include "lookup.h"

static void *answer_all(void *argument) // Another thread, which may take its time.
{
    struct cmds_call *call = NULL;
    while ((call = jobs_pop(argument)) != NULL) {
        const struct lookup_get *get = lookup_get_of(call); // Ours since cmds_call_keep_command.
        char text[300];
        (void)snprintf(text, sizeof(text), "the value of %.*s", CMDS_STRING_ARGS(get->key));
        struct lookup_found found = {cmds_string_from(text)};
        (void)cmds_call_send(call, lookup_found_message(&found)); // CMDS_E_GONE: nobody waits.
        cmds_call_unref(call);
    }
    return NULL;
}

static int get(struct cmds_call *call, const struct lookup_get *command)
{
    (void)command; // Borrowed: gone when we return, unless we keep a copy.
    int code = cmds_call_keep_command(call);
    if (code == 0) {
        code = jobs_push(cmds_call_receiver(call), cmds_call_ref(call));
        if (code < 0) {
            cmds_call_unref(call);
        }
    }
    return code;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(lookup_get, get)};

int main(int argc, char **argv)
{
    static struct jobs jobs = {
            .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&lookup, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.receiver = &jobs;
    sigset_t all, before;
    pthread_t thread;
    (void)sigfillset(&all); // Signals are cmds_server_main's.
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, answer_all, &jobs) != 0) {
        return 1;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    int status = cmds_server_main(&options);
    jobs_stop(&jobs);
    (void)pthread_join(thread, NULL);
    return status;
}
