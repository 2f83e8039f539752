/* SPDX-License-Identifier: MIT */
/*
 * Everything that the public headers have of macros, used once: it must compile in each standard, as C
 * and as C++, without a warning, whatever warnings a program has on. With CMDI_IN_EXTERN_C the first
 * include stands inside of extern "C", as programs do with headers of C.
 */
#if defined(__cplusplus) && defined(CMDI_IN_EXTERN_C)
extern "C" {
#endif
#include <cmdstream/cmdstream.h>
#include <cmdstream/codec.h>
#include <cmdstream/codec_json.h>
#include <cmdstream/codec_mus.h>
#include <cmdstream/codec_protobuf.h>
#include <cmdstream/dispatch.h>
#include <cmdstream/probe.h>
#include <cmdstream/test.h>
#if defined(__cplusplus) && defined(CMDI_IN_EXTERN_C)
}
#endif

#include <stdio.h>

enum use_state {
    USE_NEW,
    USE_OLD
};
struct use_part {
    int64_t number;
    struct cmds_string name;
};
struct use_all {
    bool flag;
    signed char i8;
    short i16;
    int i32;
    long i64;
    long long wide;
    unsigned char u8;
    unsigned short u16;
    unsigned u32;
    unsigned long u64;
    float f32;
    double f64;
    enum use_state state;
    struct cmds_string string;
    struct cmds_bytes bytes;
    struct cmds_map map;
    char text[16];
    uint8_t blob[8];
    struct use_part part;
    CMDS_ARRAY_OF(struct use_part) parts;
    CMDS_ARRAY_OF(int32_t) numbers;
    CMDS_ARRAY_OF(struct cmds_map) maps;
    CMDS_OPTIONAL_OF(int64_t) maybe;
    CMDS_OPTIONAL_OF(struct use_part) maybe_part;
};
struct use_line {
    struct cmds_string text;
    bool last;
};
struct use_tell {
    int64_t number;
};
struct use_find {
    int64_t number;
};
CMDS_SCHEMA(use_part, number, CMDS_MAX(name, 100));
CMDS_COMMAND(use_all, 0, flag, i8, i16, i32, i64, wide, u8, u16, u32, u64, f32, f64, state,
        CMDS_AS(string, "String"), CMDS_MAX(bytes, 1000), map, text, blob,
        CMDS_NESTED(part, use_part), CMDS_ARRAY(parts, use_part), CMDS_ARRAY(numbers),
        CMDS_ARRAY(maps), CMDS_OPTIONAL(maybe), CMDS_OPTIONAL(maybe_part, use_part), CMDS_RESERVED);
CMDS_COMMAND_ONE_WAY(use_tell, 1, number);
CMDS_COMMAND_EMPTY(use_nothing, 2);
CMDS_COMMAND_IDEMPOTENT(use_find, 3, number);
CMDS_COMMAND_EMPTY_IDEMPOTENT(use_list, 4);
CMDS_RESULT(use_line, 0, text, CMDS_LAST(last));
CMDS_RESULT_EMPTY(use_done, 1);
struct use_error {
    double retry_s;
    struct cmds_string text;
    int64_t code;
};
CMDS_RESULT_ERROR(use_error, 2, retry_s, CMDS_MAX(text, 100), CMDS_AS(code, "Code"));

static const struct cmds_type *const use_commands[] = {
        &use_all_type, &use_tell_type, &use_nothing_type, &use_find_type, &use_list_type};
static const struct cmds_type *const use_results[] = {
        &use_line_type, &use_done_type, &use_error_type};
static const struct cmds_protocol use_protocol = CMDS_PROTOCOL("use", use_commands, use_results);

static int use_exec_all(struct cmds_call *call, const struct use_all *all)
{
    struct use_line line = {all->string, true};
    (void)use_all_of(call);
    return cmds_call_send(call, use_line_message(&line));
}

static int use_exec_nothing(struct cmds_call *call, const struct use_nothing *nothing)
{
    struct use_done done = {nothing->unused};
    return cmds_call_send(call, use_done_message(&done));
}

static const struct cmds_exec use_execs[] = {
        CMDS_EXEC(use_all, use_exec_all), CMDS_EXEC_IN_POOL(use_nothing, use_exec_nothing)};

static uint32_t use_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const struct cmds_candidate *first = candidate(source, 0);
    (void)self, (void)state, (void)key;
    return (first->flags & CMDS_CANDIDATE_DOWN) != 0 ? 1 % count : first->in_flight % count;
}

int main(void)
{
    static const struct cmds_pair pairs[] = {{CMDS_STRING("key"), CMDS_STRING("value")}};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options server_options = CMDS_SERVER_OPTIONS_INIT(&use_protocol, use_execs);
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&use_protocol);
    struct cmds_sender_options sender_options = CMDS_SENDER_OPTIONS_INIT(&use_protocol);
    struct cmds_send_options send_options = CMDS_SEND_OPTIONS_INIT;
    struct cmds_runtime_counters runtime_counters = CMDS_RUNTIME_COUNTERS_INIT;
    struct cmds_server_counters server_counters = CMDS_SERVER_COUNTERS_INIT;
    struct cmds_group_counters group_counters = CMDS_GROUP_COUNTERS_INIT;
    struct cmds_breaker_options breaker_options = CMDS_BREAKER_OPTIONS_INIT;
    struct cmds_breaker_info breaker_info = CMDS_BREAKER_INFO_INIT;
    struct cmds_probe probe = CMDS_PROBE_INIT;
    struct cmds_map map = {pairs, 1};
    const struct cmds_string *value = cmds_map_find(map, cmds_string_from("key"));
    struct use_tell tell = {1};
    struct cmds_message message = use_tell_message(&tell);
    const struct cmds_field *row = cmds_schema_field(message.type->schema, 0);
    uint32_t (*pick)(const struct cmds_dispatch *, void *, uint64_t, uint32_t, cmds_candidate_fn,
            const void *) = use_pick;
    if (value->size > 0 && row->size > 0 && pick == use_pick) {
        (void)printf("%.*s %.*s\n", CMDS_STRING_ARGS(*value), CMDS_STRING_ARGS(pairs[0].key));
    }
    runtime_options.shard_count = send_options.deadline_ms;
    group_options.codec = &cmds_codec_msgpack_map;
    sender_options.group = &group_options;
    breaker_options.success_threshold = breaker_info.trials;
    if (cmds_breaker_state(CMDS_NULL_) == CMDS_BREAKER_OPEN) {
        return cmds_breaker_new(CMDS_NULL_, &breaker_options, &error);
    }
    (void)runtime_counters, (void)server_counters, (void)group_counters;
    (void)server_options, (void)probe, (void)sender_options, (void)runtime_options;
    return cmds_protocol_check(&use_protocol, &error);
}
