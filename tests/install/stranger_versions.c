/* SPDX-License-Identifier: MIT */
/*
 * A stranger's program that was built against the headers of another version: a codec, a strategy and
 * a protocol of its own go through a server's exec function and into a group. tests/install/run
 * changes the headers; what it adds is zero here, or set where STRANGER_SETS is defined.
 */
#include <stdio.h>
#include <string.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/dispatch.h>
#include <cmdstream/test.h>

struct point {
    int64_t x, y;
};
struct sum {
    int64_t sum;
};
CMDS_COMMAND(point, 0, x, y);
CMDS_RESULT(sum, 0, sum);
static const struct cmds_type *const commands[] = {&point_type};
static const struct cmds_type *const results[] = {&sum_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("stranger", commands, results);

static int add(struct cmds_call *call, const struct point *point)
{
    struct sum sum = {point->x + point->y};
    return cmds_call_send(call, sum_message(&sum));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(point, add)};

static uint32_t first_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self, (void)state, (void)key, (void)candidate, (void)source;
    return count - 1;
}
static struct cmds_dispatch dispatch = {.struct_size = sizeof(struct cmds_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "first",
        .pick = first_pick};

static int serve(const struct cmds_codec *codec, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_test *test = NULL;
    struct point point = {3, 4};
    options.codec = codec;
    int code = cmds_test_open(&test, &options, error);
    if (code == 0) {
        code = cmds_test_send(test, point_message(&point));
        const struct sum *sum = sum_of(cmds_test_result(test, 0));
        code = code == 0 && (sum == NULL || sum->sum != 7) ? CMDS_E_PROTO : code;
    }
    cmds_test_close(test);
    return code;
}

static int ask(const struct cmds_codec *codec, struct cmds_error *error)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    runtime_options.shard_count = CMDS_SHARDS_INLINE;
    options.connect = "unix:@a stranger's where nobody listens";
    options.codec = codec;
    options.dispatch = &dispatch;
    int code = cmds_runtime_start(&runtime, &runtime_options, error);
    if (code == 0) {
        code = cmds_group_open(&group, runtime, &options, error);
        cmds_group_close(group, NULL, NULL);
    }
    cmds_runtime_stop(runtime);
    return code;
}

int main(void)
{
    /* As a codec of its own would be: a table in this program, of this program's size. */
    static struct cmds_codec codec;
    struct cmds_error error = CMDS_ERROR_INIT;
    size_t known = cmds_codec_msgpack.struct_size;
    memcpy(&codec, &cmds_codec_msgpack, known < sizeof(codec) ? known : sizeof(codec));
    codec.struct_size = sizeof(codec);
#ifdef STRANGER_SETS
    codec.added_later = 1;
#endif
    int code = serve(&codec, &error);
    code = code == 0 ? ask(&codec, &error) : code;
#ifdef STRANGER_SETS
    printf("%s\n", error.text);
    return code == -7 && strstr(error.text, "codec") != NULL ? 0 : 1; /* -E2BIG, by name. */
#else
    if (code != 0) {
        fprintf(stderr, "%d: %s\n", code, error.text);
    }
    return code == 0 ? 0 : 1;
#endif
}
