/* SPDX-License-Identifier: MIT */
/*
 * The codecs under a connection: the vectors of the wire's document through a server, and MUS,
 * whose frames have no length. There a frame may be cut anywhere, may be nothing but a type, or may
 * claim bytes that will never come.
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

#include "support/world.h"

/*
 * A server with this codec answers these bytes with those. The command comes byte by byte if `cut`.
 */
CMDS_UNUSED_ static void answers(
        const struct cmds_codec *codec, const char *command, const char *result, bool cut)
{
    struct world world;
    struct raw raw;
    uint8_t bytes[256];
    size_t size = raw_hex(command, bytes, sizeof(bytes));
    world_init(&world);
    world.options.codec = codec;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (size_t i = 0; cut && i < size; i++) {
        CU_ASSERT(raw_write(&raw, bytes + i, 1));
    }
    CU_ASSERT(cut || raw_write(&raw, bytes, size));
    CU_ASSERT(raw_expect_hex(&raw, result));
    raw_close(&raw);
    world_stop(&world);
}

#ifdef WITH_JSON
#define JSON_ECHO                                                                                  \
    "7b22626f6f6c223a747275652c22696e743634223a2d352c22737472696e67223a226869222c22666c6f61743634" \
    "223a312e357d"
/* As the Go test of the document spells the names. */
#define JSON_ECHO_GO                                                                               \
    "7b22426f6f6c223a747275652c22496e743634223a2d352c22537472696e67223a226869222c22466c6f61743634" \
    "223a312e357d"

static void test_codecs_json(void)
{
    answers(&cmds_codec_json, "010034" JSON_ECHO_GO, "010034" JSON_ECHO, false);
    answers(&cmds_codec_json, "010034" JSON_ECHO "00", "010034" JSON_ECHO "00", true);
}
#endif

#ifdef WITH_PROTOBUF
#define PROTOBUF_ECHO "080110fbffffffffffffffff011a02686921000000000000f83f"

static void test_codecs_protobuf(void)
{
    answers(&cmds_codec_protobuf, "01001a" PROTOBUF_ECHO, "01001a" PROTOBUF_ECHO, true);
    answers(&cmds_codec_protobuf, "010000", "010000", false); // Zeros are nothing.
}
#endif

#ifdef WITH_MUS
#define MUS_ECHO "0109026869000000000000f83f"

static void test_codecs_mus(void)
{
    answers(&cmds_codec_mus, "0100" MUS_ECHO, "0100" MUS_ECHO, false);
    answers(&cmds_codec_mus,
            "0100" MUS_ECHO "00"
            "0200" MUS_ECHO,
            "0100" MUS_ECHO "00"
            "0200" MUS_ECHO,
            true);
}

/* A claim beyond the limit of a frame is refused when it is read, not after it was waited for. */
static void test_codecs_mus_claims_close(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options.codec = &cmds_codec_mus;
    world.options.frame_size_max = 4096;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT(raw_write_hex(&raw, "01000109"
                                  "8827"
                                  "6161")); // A string of 5000 bytes.
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_LIMIT);
    raw_close(&raw);
    world_stop(&world);
}

CMDS_COMMAND_EMPTY(knock, 0);

static int exec_knock(struct cmds_call *call, const struct knock *command)
{
    (void)command;
    return cmds_call_send(call, item_message(&(struct item){.index = 7, .last = true}));
}

/* A command without fields is its sequence and its type: nothing more is waited for. */
static void test_codecs_mus_nothing_is_a_body(void)
{
    static const struct cmds_type *const commands[] = {&knock_type};
    static const struct cmds_type *const results[] = {&item_type};
    static const struct cmds_protocol protocol = CMDS_PROTOCOL("knock", commands, results);
    static const struct cmds_exec execs[] = {CMDS_EXEC(knock, exec_knock)};
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options = (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    world.options.listen = "127.0.0.1:0";
    world.options.codec = &cmds_codec_mus;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    CU_ASSERT(raw_write_hex(&raw, "0100"
                                  "0200"));
    CU_ASSERT(raw_expect_hex(&raw, "01010e0100"
                                   "02010e0100"));
    raw_close(&raw);
    world_stop(&world);
}
#endif

static CU_TestInfo tests[] = {
#ifdef WITH_JSON
        {"json", test_codecs_json},
#endif
#ifdef WITH_PROTOBUF
        {"protobuf", test_codecs_protobuf},
#endif
#ifdef WITH_MUS
        {"mus", test_codecs_mus},
        {"mus claims close", test_codecs_mus_claims_close},
        {"mus nothing is a body", test_codecs_mus_nothing_is_a_body},
#endif
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codecs", tests)
