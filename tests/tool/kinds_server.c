/* SPDX-License-Identifier: MIT */
/* kinds_server ADDRESS CODEC: gives back what it gets. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CMDSTREAM_HAS_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef CMDSTREAM_HAS_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

#include "kinds.h"

static _Atomic uint64_t one_way_count;

#define KINDS_EXEC(tag)                                                                            \
    static int tag##_echo(struct cmds_call *call, const struct tag *value)                         \
    {                                                                                              \
        return cmds_call_send(call, (struct cmds_message){&tag##_back, value});                    \
    }
KINDS_ECHOED(KINDS_EXEC)

static int take(struct cmds_call *call, const struct kinds_one_way *value)
{
    (void)call;
    (void)value;
    one_way_count++;
    return 0;
}

static int count(struct cmds_call *call, const struct kinds_count *value)
{
    (void)value;
    struct kinds_counted counted = {one_way_count};
    return cmds_call_send(call, kinds_counted_message(&counted));
}

static int feed(struct cmds_call *call, const struct kinds_feed *value)
{
    if (value->count < -1) {
        cmds_call_fail(call, -ENOENT, "no such feed");
        return 0;
    }
    struct kinds_tick tick = {.index = (int32_t)cmds_call_round(call)};
    tick.last = value->count >= 0 && tick.index + 1 >= value->count;
    int code = cmds_call_send(call, kinds_tick_message(&tick));
    return code < 0 || tick.last ? code : CMDS_EXEC_AGAIN;
}

#define KINDS_EXEC_ROW(tag) CMDS_EXEC(tag, tag##_echo),
static const struct cmds_exec execs[] = {KINDS_ECHOED(KINDS_EXEC_ROW)
                                                 CMDS_EXEC(kinds_one_way, take),
        CMDS_EXEC(kinds_count, count), CMDS_EXEC(kinds_feed, feed)};

int main(int argc, char **argv)
{
    static const struct cmds_codec *const codecs[] = {
            &cmds_codec_msgpack,
            &cmds_codec_msgpack_map,
#ifdef CMDSTREAM_HAS_JSON
            &cmds_codec_json,
#endif
#ifdef CMDSTREAM_HAS_MUS
            &cmds_codec_mus,
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
            &cmds_codec_protobuf,
#endif
    };
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&kinds, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:0";
    for (size_t i = 0; argc > 2 && i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        options.codec = strcmp(codecs[i]->name, argv[2]) == 0 ? codecs[i] : options.codec;
    }
    return cmds_server_main(&options);
}
