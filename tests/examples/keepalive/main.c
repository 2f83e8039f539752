/* SPDX-License-Identifier: MIT */
/*
 * Quiet connections. Servers, firewalls and routers forget those on which nothing happens: pings keep
 * them. And a peer that goes dark closes nothing: that it does not answer a ping is all there is to
 * notice. The server is a child of this program, so that it can be stopped as if its machine were gone.
 */
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmdstream/cmdstream.h>

struct ask {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("keepalive", commands, results);

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    struct answer answer = {ask->number};
    return cmds_call_send(call, answer_message(&answer));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static int serve(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.listen = "127.0.0.1:0";
    options.idle_timeout_ms = 1000;
    return cmds_server_main(&options);
}

/* Before this process has a runtime. `address` gets what the server says: "listening on ADDRESS". */
static pid_t start_server(char address[64])
{
    int said[2];
    if (pipe(said) < 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(said[1], STDOUT_FILENO);
        (void)close(said[0]);
        (void)close(said[1]);
        _exit(serve());
    }
    (void)close(said[1]);
    FILE *file = fdopen(said[0], "r");
    bool is_up = file != NULL && fscanf(file, "listening on %63s", address) == 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    return is_up ? pid : -1;
}

struct link {
    const char *name;
    struct cmds_sender *sender;
    sem_t changed; // Posted for each line below.
};

/* On a shard, where nothing should wait: it prints and says so. */
static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct link *link = context;
    (void)client;
    if (state == CMDS_CONNECTION_CONNECTING || cause->code == CMDS_E_CLOSED) {
        return; // It tries again; or we have closed it.
    }
    printf("%s: %s\n", link->name, state == CMDS_CONNECTION_UP ? "connected" : cause->text);
    (void)sem_post(&link->changed);
}

static int link_open(struct link *link, const char *address, struct cmds_group_options *group)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)sem_init(&link->changed, 0, 0);
    group->on_state = on_state;
    group->context = link;
    options.group = group;
    options.connect = address;
    int code = cmds_sender_open(&link->sender, &options, &error);
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    } else {
        (void)sem_wait(&link->changed);
    }
    return code;
}

static void look(const struct link *link)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    (void)cmds_group_connection(cmds_sender_group(link->sender), 0, &info);
    printf("%s: connection no. %" PRIu64 ", round trip %u us\n", link->name, info.up_count,
            info.rtt_us);
}

static int send_number(const struct link *link, int64_t number)
{
    struct ask ask = {number};
    return cmds_sender_send(link->sender, ask_message(&ask), 20000, NULL, NULL);
}

static int live(pid_t server, struct link *pinged, struct link *silent)
{
    printf("-- Nothing is sent until the server's idle limit is over. --\n");
    (void)sem_wait(&silent->changed);
    look(pinged);

    printf("-- The server goes dark: no end, no answer. --\n");
    (void)kill(server, SIGSTOP);
    (void)waitpid(server, NULL, WUNTRACED); // Until it has stopped.
    int code = send_number(pinged, 1);      // Ends when the connection is given up, not in 20 s.
    (void)sem_wait(&pinged->changed);
    printf("1: %s\n", cmds_error_text(code));

    printf("-- It is there again. --\n");
    (void)kill(server, SIGCONT);
    (void)sem_wait(&pinged->changed);
    code = send_number(pinged, 2);
    printf("2: %s\n", code == 0 ? "answered" : cmds_error_text(code));
    look(pinged);
    return code;
}

int main(void)
{
    struct link pinged = {.name = "pinged"}, silent = {.name = "silent"};
    struct cmds_group_options with = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_group_options without = CMDS_GROUP_OPTIONS_INIT(&protocol);
    char address[64];
    pid_t server = start_server(address);
    if (server < 0) {
        return 1;
    }
    with.keepalive_ms = 100;          // Pings after so much silence (by default 2.5 s),
    with.keepalive_interval_ms = 500; // of which two in a row may stay without an answer (1 s).
    without.keepalive_ms = CMDS_NEVER;
    without.reconnect_delay_ms = CMDS_NEVER; // So that it can be seen what becomes of it.
    int code = link_open(&pinged, address, &with);
    code = code < 0 ? code : link_open(&silent, address, &without);
    code = code < 0 ? code : live(server, &pinged, &silent);
    cmds_sender_close(pinged.sender, 1000);
    cmds_sender_close(silent.sender, 1000);
    (void)kill(server, SIGTERM);
    int status = 0;
    (void)waitpid(server, &status, 0);
    return code < 0 || status != 0;
}
