/* SPDX-License-Identifier: MIT */
/* See doctor_try.h. The main thread is the client: its sender lives on the server's own shards. */
#include "doctor_try.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "test_service.h"

enum {
    TRY_TIMEOUT_MS = 5000,
    TRY_NUMBER = 42,
    TRY_WORK_US = 10,
    TRY_DATA_SIZE = 16 << 20, // As `serve` has it for its default frame.
};

/* The first warning while one server is tried: the side that could not may have been the server. */
struct try_log {
    pthread_mutex_t mutex;
    char text[DOCTOR_TRY_TEXT_SIZE / 2];
};

static void try_on_log(void *context, enum cmds_log_level level, const char *text)
{
    struct try_log *log = context;
    pthread_mutex_lock(&log->mutex);
    if (level >= CMDS_LOG_WARN && log->text[0] == '\0') {
        snprintf(log->text, sizeof(log->text), "%s", text);
    }
    pthread_mutex_unlock(&log->mutex);
}

/* Behind the reason of a failure, and forgets it. */
static void try_add_log(struct try_log *log, struct doctor_try_server *server)
{
    pthread_mutex_lock(&log->mutex);
    if (!server->works && log->text[0] != '\0') {
        size_t used = strlen(server->text);
        snprintf(server->text + used, sizeof(server->text) - used, " (%s)", log->text);
    }
    log->text[0] = '\0';
    pthread_mutex_unlock(&log->mutex);
}

static const char *try_reason(int code, const struct cmds_error *error)
{
    return error->code < 0 ? error->text : cmds_error_text(code);
}

static int try_echo(struct cmds_sender *sender, struct cmds_error *error)
{
    struct cmds_result *result = NULL;
    struct command_echo echo = {.int64 = TRY_NUMBER, .string = CMDS_STRING("doctor")};
    int code =
            cmds_sender_send(sender, command_echo_message(&echo), TRY_TIMEOUT_MS, &result, error);
    const struct result_echo *answer = result_echo_of(result);
    if (code == 0 && (answer == NULL || answer->int64 != TRY_NUMBER ||
                             !cmds_string_equal(answer->string, echo.string))) {
        code = CMDS_E_PROTO;
    }
    cmds_result_free(result);
    return code;
}

static int try_work(struct cmds_sender *sender, struct cmds_error *error)
{
    struct cmds_result *result = NULL;
    struct command_work work = {TRY_WORK_US};
    int code =
            cmds_sender_send(sender, command_work_message(&work), TRY_TIMEOUT_MS, &result, error);
    cmds_result_free(result);
    return code;
}

/* Connections are dealt out to the shards in turn, and so are commands to connections. */
static void try_commands(
        struct cmds_runtime *runtime, const char *address, struct doctor_try_server *server)
{
    uint32_t count = cmds_runtime_shard_count(runtime);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&test_protocol);
    options.connect = address;
    options.client_count = count;
    options.runtime = runtime;
    options.connect_timeout_ms = TRY_TIMEOUT_MS;
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    const char *phase = "a client could not connect";
    int code = cmds_sender_open(&sender, &options, &error);
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        phase = "an echo was not answered";
        code = try_echo(sender, &error);
    }
    if (code == 0) {
        phase = "a command in the pool of threads was not answered";
        code = try_work(sender, &error);
    }
    cmds_sender_close(sender, 0);
    server->works = code == 0;
    if (code == 0) {
        snprintf(server->text, sizeof(server->text),
                "on %.120s: %u of %u connections answered, and the pool of threads", address, count,
                count);
    } else {
        snprintf(server->text, sizeof(server->text), "on %.60s: %s: %.250s", address, phase,
                try_reason(code, &error));
    }
}

static void try_server(struct cmds_runtime *runtime, struct tool_service *service,
        const char *listen, struct doctor_try_server *server)
{
    struct cmds_server_options options = tool_service_options(service);
    struct cmds_server *started = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    char address[256] = "";
    options.listen = listen;
    int code = cmds_server_start(&started, runtime, &options, &error);
    code = code < 0 ? code : cmds_server_address(started, 0, address, sizeof(address));
    server->tried = true;
    if (code < 0) {
        snprintf(server->text, sizeof(server->text), "on %.60s: it did not start: %.250s", listen,
                try_reason(code, &error));
    } else {
        try_commands(runtime, address, server);
    }
    cmds_server_close(started);
}

static void try_everything(struct doctor_try *trial)
{
    struct try_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tool_service service = {
            .clock = cmdi_tool_clock_calibrate(), .data_size_max = TRY_DATA_SIZE};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    char local[64];
    snprintf(local, sizeof(local), "unix:@cmdstream-doctor-%d", (int)getpid());
    trial->file_limit = cmdi_tool_raise_nofile();
    (void)signal(SIGPIPE, SIG_IGN);
    options.on_log = try_on_log;
    options.log_context = &log;
    int code = cmds_runtime_start(&runtime, &options, &error);
    trial->runtime_works = code == 0;
    if (code < 0) {
        snprintf(trial->runtime, sizeof(trial->runtime), "%s", try_reason(code, &error));
        return;
    }
    (void)cmds_runtime_describe(runtime, trial->runtime, sizeof(trial->runtime));
    trial->shard_count = cmds_runtime_shard_count(runtime);
    const char *const addresses[DOCTOR_TRY_SERVERS] = {"127.0.0.1:0", local};
    for (int i = 0; i < DOCTOR_TRY_SERVERS; i++) {
        try_server(runtime, &service, addresses[i], &trial->servers[i]);
        try_add_log(&log, &trial->servers[i]);
    }
    cmds_runtime_stop(runtime);
}

static struct doctor_try try_nothing(void)
{
    return (struct doctor_try){
            .file_limit = UINT64_MAX, .servers = {{.kind = "TCP"}, {.kind = "UNIX"}}};
}

/* The struct as it is: the child is a copy of this process, so its pointers mean the same here. */
static _Noreturn void try_in_child(int output, pid_t parent)
{
    struct doctor_try trial = try_nothing();
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
    if (getppid() == parent) {
        try_everything(&trial);
        (void)!write(output, &trial, sizeof(trial)); // Less than a pipe takes at once.
    }
    _exit(TOOL_EXIT_OK);
}
_Static_assert(sizeof(struct doctor_try) <= 4096, "the child's write is not cut");

int doctor_try_start(struct doctor_child *child)
{
    int ends[2];
    *child = (struct doctor_child){.output = -1};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0) {
        try_in_child(ends[1], parent);
    }
    int code = child->pid < 0 ? -errno : 0;
    child->output = ends[0];
    close(ends[1]);
    return code;
}

static void try_say_end(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        snprintf(text, size, "the process that tried was ended by %s; stderr may say why",
                strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, size, "the process that tried ended with status %d", WEXITSTATUS(status));
    }
}

void doctor_try_finish(struct doctor_child *child, struct doctor_try *trial)
{
    *trial = try_nothing();
    trial->file_limit = cmdi_tool_raise_nofile();
    if (child->pid <= 0) {
        snprintf(trial->runtime, sizeof(trial->runtime),
                "there could be no process to try it in: no descriptor, or no process is left");
        return;
    }
    struct pollfd wait = {.fd = child->output, .events = POLLIN};
    bool in_time = poll(&wait, 1, DOCTOR_TRY_MS) > 0;
    struct doctor_try found;
    bool is_whole = in_time && read(child->output, &found, sizeof(found)) == sizeof(found);
    close(child->output);
    if (!in_time) {
        (void)kill(child->pid, SIGKILL);
    }
    int status = 0;
    (void)waitpid(child->pid, &status, 0);
    if (is_whole) {
        *trial = found;
    } else if (in_time) {
        try_say_end(status, trial->runtime, sizeof(trial->runtime));
    } else {
        snprintf(trial->runtime, sizeof(trial->runtime), "it was not over after %d s",
                DOCTOR_TRY_MS / 1000);
    }
}
