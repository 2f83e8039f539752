/* SPDX-License-Identifier: MIT */
/*
 * A server and a client of it in one program, on musl: commands of a shard and of the pool, and the
 * stacks that they run on. With LIBRARY it loads the library instead of having it inside.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include <cmdstream/cmdstream.h>

struct ask {
    int64_t number;
};
struct ask_pool {
    int64_t number;
};
struct answer {
    int64_t number, stack_size;
};
CMDS_COMMAND(ask, 0, number);
CMDS_COMMAND(ask_pool, 1, number);
CMDS_RESULT(answer, 0, number, stack_size);

static const struct cmds_type *const commands[] = {&ask_type, &ask_pool_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("smoke", commands, results);

#ifdef LIBRARY
#define CALL(name) (*(__typeof__(name) **)&(void *){dlsym(library, #name)})
static void *library;
#else
#define CALL(name) name
#endif

static int answer(struct cmds_call *call, int64_t number)
{
    pthread_attr_t attributes;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &size);
        (void)pthread_attr_destroy(&attributes);
    }
    struct answer answer = {number * 2, (int64_t)size};
    return CALL(cmds_call_send)(call, answer_message(&answer));
}

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    return answer(call, ask->number);
}

static int on_ask_pool(struct cmds_call *call, const struct ask_pool *ask)
{
    return answer(call, ask->number);
}

static const struct cmds_exec execs[] = {
        CMDS_EXEC(ask, on_ask), CMDS_EXEC_IN_POOL(ask_pool, on_ask_pool)};

static int check(struct cmds_sender *sender, struct cmds_message message, int64_t expected)
{
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (CALL(cmds_sender_send)(sender, message, 10000, &result, &error) < 0) {
        fprintf(stderr, "send: %s\n", error.text);
        return 1;
    }
    const struct answer *answer = result->value;
    int bad = answer->number != expected || answer->stack_size < 1000 * 1000;
    if (bad) {
        fprintf(stderr, "answer %lld, a stack of %lld bytes\n", (long long)answer->number,
                (long long)answer->stack_size);
    }
    CALL(cmds_result_free)(result);
    return bad;
}

int main(void)
{
#ifdef LIBRARY
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "dlopen: %s\n", dlerror());
        return 1;
    }
    const struct cmds_codec *codec = dlsym(library, "cmds_codec_msgpack");
#else
    const struct cmds_codec *codec = &cmds_codec_msgpack;
#endif
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_sender_options sender_options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    char address[128];
    runtime_options.shard_count = 2;
    options.listen = "127.0.0.1:0";
    options.codec = codec;
    sender_options.connect = address;
    sender_options.codec = codec;
    sender_options.runtime = NULL;
    int bad = CALL(cmds_runtime_start)(&runtime, &runtime_options, &error) < 0 ||
              CALL(cmds_server_start)(&server, runtime, &options, &error) < 0 ||
              CALL(cmds_server_address)(server, 0, address, sizeof(address)) < 0 ||
              CALL(cmds_sender_open)(&sender, &sender_options, &error) < 0;
    if (bad) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (int64_t i = 0; i < 100 && !bad; i++) {
        bad = check(sender, ask_message(&(struct ask){i}), i * 2) ||
              check(sender, ask_pool_message(&(struct ask_pool){i}), i * 2);
    }
    CALL(cmds_sender_close)(sender, 1000);
    CALL(cmds_server_close)(server);
    CALL(cmds_runtime_stop)(runtime);
#ifdef LIBRARY
    (void)dlclose(library);
#endif
    return bad;
}
