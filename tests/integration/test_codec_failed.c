/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail, in a protocol that has an error result, under every codec: whoever sent the command is
 * told, whatever it was, and nothing happens to the connection. Else a client waits until its deadline
 * for what the server has known all along.
 */
#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmdstream/cmdstream.h>

#include "support/harness.h"

enum {
    GUARD_MS = 20000,
};
enum how {
    WELL,
    SOFT,      // -ENOBUFS
    LIBRARY,   // What a send of the library's returned.
    HARD,      // The program's own.
    OWN,       // The program's own, and no errno.
    FAIL,      // cmds_call_fail()
    ELSEWHERE, // The same on another thread, with a text that JSON and Protobuf do not carry.
    UNFINISHED,
    LET_GO,   // The last reference, on another thread.
    SWALLOW,  // on_exec_error says that it has answered, and has not.
    ANSWERED, // on_exec_error answers.
    STREAM,   // After some results.
    AGAIN,    // In a later round.
    LATE,     // Kept until its time is over.
    SELF,     // The program's own error result.
};

struct act {
    int32_t how;
};
struct job {
    int32_t how;
};
struct shout {
    int32_t how;
};
struct part {
    int32_t index;
    bool last;
};
struct oops {
    int32_t retry_ms;
    struct cmds_string text;
    int64_t code;
};
CMDS_COMMAND(act, 0, how);
CMDS_COMMAND(job, 1, how);
CMDS_COMMAND_ONE_WAY(shout, 2, how);
CMDS_RESULT(part, 0, index, CMDS_LAST(last));
CMDS_RESULT_ERROR(oops, 9, retry_ms, CMDS_AS(text, "Text"), CMDS_AS(code, "Code"));

static const struct cmds_type *const commands[] = {&act_type, &job_type, &shout_type};
static const struct cmds_type *const results[] = {&part_type, &oops_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("failed", commands, results);

static _Atomic uint32_t disconnects, asked, cancels;

static int send_part(struct cmds_call *call, int32_t index, bool last)
{
    return cmds_call_send(call, part_message(&(struct part){index, last}));
}

static void *fail_elsewhere(void *context)
{
    cmds_call_fail(context, -ENOENT, "no \"such\" \xff thing\n\xc3\xa9");
    cmds_call_unref(context);
    return NULL;
}

static void *let_go(void *context)
{
    cmds_call_unref(context);
    return NULL;
}

static int on_thread(struct cmds_call *call, void *(*fn)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, cmds_call_ref(call)) != 0) {
        abort();
    }
    (void)pthread_detach(thread);
    return 0;
}

static void on_cancel(struct cmds_call *call)
{
    atomic_fetch_add(&cancels, 1);
    if (cmds_call_send(call, part_message(&(struct part){0, true})) == 0) {
        abort(); // Nobody waits any more.
    }
    cmds_call_unref(call);
}

static int exec(struct cmds_call *call, int32_t how)
{
    switch (how) {
    case SOFT:
        return -ENOBUFS;
    case LIBRARY:
        return cmds_call_send(call, act_message(&(struct act){0})); // Not a result.
    case HARD:
        return -EPERM;
    case OWN:
        return -77777;
    case FAIL:
        cmds_call_fail(call, -ENOENT, "no such thing");
        return 0;
    case ELSEWHERE:
        return on_thread(call, fail_elsewhere);
    case LET_GO:
        return on_thread(call, let_go);
    case UNFINISHED:
        return 0;
    case SWALLOW:
    case ANSWERED:
        return -EIO;
    case STREAM:
        return send_part(call, 1, false) < 0 || send_part(call, 2, false) < 0 ? 0 : -EPERM;
    case AGAIN:
        return cmds_call_round(call) < 3 ? CMDS_EXEC_AGAIN : CMDS_E_LIMIT;
    case LATE:
        cmds_call_on_cancel(call, on_cancel);
        (void)cmds_call_ref(call);
        return 0;
    case SELF:
        return cmds_call_send(call,
                oops_message(&(struct oops){250, CMDS_STRING("not now"), INT64_C(40000000000)}));
    default:
        return send_part(call, 7, true);
    }
}

static int exec_act(struct cmds_call *call, const struct act *act)
{
    return exec(call, act->how);
}

static int exec_job(struct cmds_call *call, const struct job *job)
{
    return exec(call, job->how);
}

static int exec_shout(struct cmds_call *call, const struct shout *shout)
{
    (void)call;
    return shout->how == HARD ? -EPERM : 0;
}

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    const struct act *act = act_of(call);
    (void)receiver;
    atomic_fetch_add(&asked, 1);
    if (act != NULL && act->how == ANSWERED) {
        return send_part(call, 8, true);
    }
    return act != NULL && act->how == SWALLOW ? 0 : error->code;
}

static void on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    (void)receiver;
    (void)connection;
    (void)cause;
    atomic_fetch_add(&disconnects, 1);
}

static const struct cmds_exec execs[] = {
        CMDS_EXEC(act, exec_act), CMDS_EXEC_IN_POOL(job, exec_job), CMDS_EXEC(shout, exec_shout)};

struct place {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_sender *sender;
};

static void place_open(
        struct place *place, const struct cmds_codec *codec, struct cmds_server_options options)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_sender_options sender = CMDS_SENDER_OPTIONS_INIT(&protocol);
    char address[64];
    runtime.shard_count = 1;
    options.listen = "127.0.0.1:0";
    options.codec = codec;
    options.on_disconnect = on_disconnect;
    atomic_store(&disconnects, 0);
    atomic_store(&asked, 0);
    atomic_store(&cancels, 0);
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&place->runtime, &runtime, &error), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&place->server, place->runtime, &options, &error), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_address(place->server, 0, address, sizeof(address)), 0);
    sender.connect = address;
    sender.codec = codec;
    CU_ASSERT_EQUAL_FATAL(cmds_sender_open(&place->sender, &sender, &error), 0);
}

static void place_stop(struct place *place)
{
    cmds_sender_close(place->sender, GUARD_MS);
    CU_ASSERT_EQUAL(cmds_server_shutdown(place->server, GUARD_MS), 0);
    cmds_server_close(place->server);
    cmds_runtime_stop(place->runtime);
}

static void place_close(struct place *place)
{
    CU_ASSERT_EQUAL(atomic_load(&disconnects), 0); // Whatever failed.
    place_stop(place);
}

/* The command is answered with this error, and the sender says so in words. */
static void fails(struct place *place, struct cmds_message command, int64_t code, const char *text)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_result *result = NULL;
    struct cmds_string said = {NULL, 0};
    int64_t number = 0;
    char words[64];
    int sent = cmds_sender_send(place->sender, command, GUARD_MS, &result, &error);
    CU_ASSERT_EQUAL(sent, CMDS_E_REMOTE);
    CU_ASSERT_EQUAL(error.code, CMDS_E_REMOTE);
    CU_ASSERT_FATAL(result != NULL);
    const struct oops *oops = oops_of(result);
    CU_ASSERT_FATAL(oops != NULL);
    CU_ASSERT(result->error == 0 && result->last && result->is_error);
    CU_ASSERT_EQUAL(cmds_result_cause(result), CMDS_E_REMOTE);
    CU_ASSERT(cmds_result_is_error(result, &number, &said) && number == oops->code);
    CU_ASSERT_EQUAL(oops->code, code);
    CU_ASSERT(cmds_string_equal(said, cmds_string_from(text)));
    if (!cmds_string_equal(oops->text, said) || oops->code != code) {
        fprintf(stderr, "%" PRId64 ": %.*s\n", oops->code, CMDS_STRING_ARGS(oops->text));
    }
    (void)snprintf(words, sizeof(words), "answered with oops %" PRId64, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
    cmds_result_free(result);
}

static void act_fails(struct place *place, enum how how, int64_t code, const char *text)
{
    fails(place, act_message(&(struct act){(int32_t)how}), code, text);
}

static void answers(struct place *place, enum how how, int32_t index)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_result *result = NULL;
    CU_ASSERT_EQUAL(cmds_sender_send(place->sender, act_message(&(struct act){(int32_t)how}),
                            GUARD_MS, &result, &error),
            0);
    const struct part *part = part_of(result);
    CU_ASSERT(part != NULL && part->index == index);
    CU_ASSERT_FALSE(cmds_result_is_error(result, NULL, NULL));
    cmds_result_free(result);
}

static int count_part(void *context, const struct cmds_result *result)
{
    int32_t *sum = context;
    const struct part *part = part_of(result);
    *sum += part != NULL ? part->index : 1000;
    return 0;
}

static void all_ways(const struct cmds_codec *codec)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct place place;
    place_open(&place, codec, options);
    act_fails(&place, SOFT, -ENOBUFS, cmds_error_text(-ENOBUFS));
    act_fails(&place, LIBRARY, CMDS_E_WRONG_TYPE, cmds_error_text(CMDS_E_WRONG_TYPE));
    act_fails(&place, HARD, -EPERM, cmds_error_text(-EPERM));
    act_fails(&place, OWN, -77777, "the command failed");
    act_fails(&place, FAIL, -ENOENT, "no such thing");
    act_fails(&place, ELSEWHERE, -ENOENT, "no \"such\" ? thing?\xc3\xa9");
    act_fails(&place, UNFINISHED, CMDS_E_UNFINISHED, cmds_error_text(CMDS_E_UNFINISHED));
    act_fails(&place, LET_GO, CMDS_E_UNFINISHED, cmds_error_text(CMDS_E_UNFINISHED));
    act_fails(&place, AGAIN, CMDS_E_LIMIT, cmds_error_text(CMDS_E_LIMIT));
    act_fails(&place, SELF, INT64_C(40000000000), "not now");
    fails(&place, job_message(&(struct job){SOFT}), -ENOBUFS, cmds_error_text(-ENOBUFS));
    fails(&place, job_message(&(struct job){HARD}), -EPERM, cmds_error_text(-EPERM));
    fails(&place, job_message(&(struct job){UNFINISHED}), CMDS_E_UNFINISHED,
            cmds_error_text(CMDS_E_UNFINISHED));
    CU_ASSERT_EQUAL(cmds_sender_send(place.sender, shout_message(&(struct shout){HARD}), GUARD_MS,
                            NULL, NULL),
            0); // Nobody is told, and the connection stays.
    answers(&place, WELL, 7);
    place_close(&place);
}

#define ALL_WAYS(codec)                                                                            \
    static void test_failed_in_##codec(void)                                                       \
    {                                                                                              \
        all_ways(&cmds_codec_##codec);                                                             \
    }
ALL_WAYS(msgpack)
ALL_WAYS(msgpack_map)
#ifdef WITH_JSON
ALL_WAYS(json)
#endif
#ifdef WITH_PROTOBUF
ALL_WAYS(protobuf)
#endif
#ifdef WITH_MUS
ALL_WAYS(mus)
#endif

static void test_failed_on_exec_error_is_asked_first(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct place place;
    options.on_exec_error = on_exec_error;
    place_open(&place, &cmds_codec_msgpack, options);
    answers(&place, ANSWERED, 8);
    CU_ASSERT_EQUAL(atomic_load(&asked), 1);
    act_fails(&place, HARD, -EPERM, cmds_error_text(-EPERM));
    CU_ASSERT_EQUAL(atomic_load(&asked), 2);
    act_fails(&place, SWALLOW, CMDS_E_UNFINISHED, cmds_error_text(CMDS_E_UNFINISHED));
    CU_ASSERT_EQUAL(atomic_load(&asked), 3);
    place_close(&place);
}

static void test_failed_ends_a_stream(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct place place;
    struct cmds_error error = CMDS_ERROR_INIT;
    int32_t sum = 0;
    place_open(&place, &cmds_codec_msgpack, options);
    CU_ASSERT_EQUAL(cmds_sender_send_multi(place.sender, act_message(&(struct act){STREAM}),
                            GUARD_MS, &error, count_part, &sum),
            CMDS_E_REMOTE);
    CU_ASSERT_EQUAL(sum, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "oops -1, EPERM: not permitted"));
    place_close(&place);
}

/* The deadline is told, and what the call had is freed. */
static void test_failed_by_its_deadline(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct place place;
    options.exec_timeout_ms = 300;
    options.on_exec_error = on_exec_error;
    place_open(&place, &cmds_codec_msgpack, options);
    act_fails(&place, LATE, CMDS_E_TIMEOUT, cmds_error_text(CMDS_E_TIMEOUT));
    answers(&place, WELL, 7);
    CU_ASSERT_EQUAL(atomic_load(&cancels), 1);
    CU_ASSERT_EQUAL(atomic_load(&asked), 0);
    place_close(&place);
}

static void test_failed_has_to_fit_into_a_frame(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_runtime_options settings = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    settings.shard_count = 1;
    options.listen = "127.0.0.1:0";
    options.frame_size_max = 200;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &settings, &error), 0);
    CU_ASSERT_EQUAL(cmds_server_start(&server, runtime, &options, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "frame_size_max 200: error result oops takes up to"));
    cmds_runtime_stop(runtime);
}

/* --- What an upstream has answered ------------------------------------------------------------ */

static struct cmds_group *upstream;

static void on_upstream(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    const struct part *part = part_of(result);
    (void)context;
    if (part != NULL) {
        (void)send_part(call, part->index, part->last);
    } else {
        cmds_call_fail_as(call, result);
    }
}

static int exec_relayed(struct cmds_call *call, const struct act *act)
{
    return cmds_group_forward(upstream, act_message(act), NULL, call, on_upstream, NULL);
}

static const struct cmds_exec relay_execs[] = {CMDS_EXEC(act, exec_relayed),
        CMDS_EXEC_IN_POOL(job, exec_job), CMDS_EXEC(shout, exec_shout)};

static void upstream_open(struct place *place, const char *address)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    options.connect = address;
    options.deadline_ms = 200;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&upstream, place->runtime, &options, &error), 0);
}

static void test_failed_upstream_is_passed_on(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_server_options relay_options = CMDS_SERVER_OPTIONS_INIT(&protocol, relay_execs);
    struct place behind, place;
    char address[64];
    place_open(&behind, &cmds_codec_msgpack, options);
    place_open(&place, &cmds_codec_msgpack, relay_options);
    CU_ASSERT_EQUAL(cmds_server_address(behind.server, 0, address, sizeof(address)), 0);
    upstream_open(&place, address);
    answers(&place, WELL, 7);
    act_fails(&place, FAIL, -ENOENT, "no such thing");
    act_fails(&place, SELF, INT64_C(40000000000), "not now");
    act_fails(&place, HARD, -EPERM, cmds_error_text(-EPERM));
    CU_ASSERT_EQUAL(atomic_load(&disconnects), 0);
    cmds_group_close(upstream, NULL, NULL);
    place_stop(&behind);

    upstream_open(&place, "127.0.0.1:1"); // Nobody listens there, and nobody is told where.
    act_fails(&place, WELL, CMDS_E_TIMEOUT, cmds_error_text(CMDS_E_TIMEOUT));
    cmds_group_close(upstream, NULL, NULL);
    place_stop(&place);
}

static CU_TestInfo tests[] = {
        {"in msgpack", test_failed_in_msgpack},
        {"in msgpack maps", test_failed_in_msgpack_map},
#ifdef WITH_JSON
        {"in json", test_failed_in_json},
#endif
#ifdef WITH_PROTOBUF
        {"in protobuf", test_failed_in_protobuf},
#endif
#ifdef WITH_MUS
        {"in mus", test_failed_in_mus},
#endif
        {"on_exec_error is asked first", test_failed_on_exec_error_is_asked_first},
        {"ends a stream", test_failed_ends_a_stream},
        {"by its deadline", test_failed_by_its_deadline},
        {"upstream is passed on", test_failed_upstream_is_passed_on},
        {"has to fit into a frame", test_failed_has_to_fit_into_a_frame},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("failed", tests)
