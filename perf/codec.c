/* SPDX-License-Identifier: MIT */
/*
 * What a codec costs: nanoseconds per size+encode and per decode, beside the library that a user would otherwise
 * take for the format, used as its manual shows it. (For MUS there is none.)
 *
 * The value is the one of the comparisons, {bool, int64, string of 0..1006 bytes, double}, 256 different ones,
 * so that lengths and branches do not repeat and all bodies stay in L2, as received bytes do. Rounds alternate between the rows of the table and the median of them is
 * printed: other work on the machine hits all rows alike. One thread, no I/O. Usage: codec [ROUNDS]
 */
#include <cmdstream/codec.h>

#include <msgpack.h>
#ifdef PERF_JSON
#include <cmdstream/codec_json.h>
#include <jansson.h>
#endif
#ifdef PERF_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef PERF_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#include <protobuf-c/protobuf-c.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codec/arena.h"

struct echo {
    bool flag;
    int64_t number;
    struct cmds_string text;
    double real;
};
CMDS_COMMAND(echo, 0, flag, number, text, real);

enum {
    VALUE_COUNT = 256,
    TEXT_MAX = 1006,
    BODY_MAX = TEXT_MAX + 128,
    ROUND_MAX = 201
};

static struct echo values[VALUE_COUNT];
static uint8_t bodies[VALUE_COUNT][BODY_MAX];
static size_t sizes[VALUE_COUNT];
static char text[TEXT_MAX];
static uint64_t sink; // Printed at the end: nothing may be optimised away.

static uint64_t random_next(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void values_fill(void)
{
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < VALUE_COUNT; i++) {
        values[i].flag = random_next() % 2 == 0;
        values[i].number = (int64_t)random_next();
        values[i].text = (struct cmds_string){text, random_next() % (TEXT_MAX + 1)};
        values[i].real = (double)random_next() / 7.0;
    }
}

static void bodies_fill(const struct cmds_codec *codec)
{
    for (int i = 0; i < VALUE_COUNT; i++) {
        int64_t size = codec->size(codec, &echo_type, &values[i]);
        uint8_t *end = codec->encode(codec, &echo_type, &values[i], bodies[i], (size_t)size);
        sizes[i] = (size_t)(end - bodies[i]);
    }
}

/* Each row of the table runs once over all values. Encoders write to one buffer, so that what differs is not the memory. */
static void ours_encode(const struct cmds_codec *codec)
{
    static uint8_t buffer[BODY_MAX];
    for (int i = 0; i < VALUE_COUNT; i++) {
        int64_t size = codec->size(codec, &echo_type, &values[i]);
        uint8_t *end = codec->encode(codec, &echo_type, &values[i], buffer, (size_t)size);
        sink += (uint64_t)(end - buffer);
    }
}

static void ours_decode(const struct cmds_codec *codec)
{
    static struct cmds_arena arena;
    cmdi_arena_init(&arena, 1 << 20);
    for (int i = 0; i < VALUE_COUNT; i++) {
        struct echo echo = {0};
        struct cmds_bytes in = {bodies[i], sizes[i]};
        sink += (uint64_t)codec->decode(codec, &echo_type, in, &arena, &echo);
        sink += echo.text.size + (uint64_t)echo.number;
        cmdi_arena_reset(&arena);
    }
    cmdi_arena_fini(&arena);
}

static void theirs_encode(const struct cmds_codec *codec)
{
    (void)codec;
    static msgpack_sbuffer buffer; // Reused, so that it allocates once.
    for (int i = 0; i < VALUE_COUNT; i++) {
        msgpack_packer packer;
        buffer.size = 0;
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        msgpack_pack_array(&packer, 4);
        values[i].flag ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer);
        msgpack_pack_int64(&packer, values[i].number);
        msgpack_pack_str(&packer, values[i].text.size);
        msgpack_pack_str_body(&packer, values[i].text.data, values[i].text.size);
        msgpack_pack_double(&packer, values[i].real);
        sink += buffer.size;
    }
}

static void theirs_decode(const struct cmds_codec *codec)
{
    (void)codec;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 2048);
    for (int i = 0; i < VALUE_COUNT; i++) {
        msgpack_object object;
        size_t used = 0;
        if (msgpack_unpack((const char *)bodies[i], sizes[i], &used, &zone, &object) !=
                        MSGPACK_UNPACK_SUCCESS ||
                object.type != MSGPACK_OBJECT_ARRAY) {
            abort();
        }
        sink += object.via.array.ptr[2].via.str.size + object.via.array.ptr[1].via.u64;
        msgpack_zone_clear(&zone);
    }
    msgpack_zone_destroy(&zone);
}

#ifdef PERF_JSON
static json_t *tree_of(const struct echo *echo)
{
    json_t *tree = json_object();
    (void)json_object_set_new(tree, "flag", json_boolean(echo->flag));
    (void)json_object_set_new(tree, "number", json_integer(echo->number));
    (void)json_object_set_new(tree, "text",
            json_stringn(echo->text.size > 0 ? echo->text.data : "", echo->text.size));
    (void)json_object_set_new(tree, "real", json_real(echo->real));
    return tree;
}

static void jansson_encode(const struct cmds_codec *codec)
{
    (void)codec;
    static char buffer[2 * BODY_MAX];
    for (int i = 0; i < VALUE_COUNT; i++) {
        json_t *tree = tree_of(&values[i]);
        sink += json_dumpb(tree, buffer, sizeof(buffer), JSON_COMPACT);
        json_decref(tree);
    }
}

static void jansson_decode(const struct cmds_codec *codec)
{
    (void)codec;
    for (int i = 0; i < VALUE_COUNT; i++) {
        json_t *tree = json_loadb((const char *)bodies[i], sizes[i], 0, NULL);
        if (tree == NULL) {
            abort();
        }
        sink += json_string_length(json_object_get(tree, "text")) +
                (uint64_t)json_integer_value(json_object_get(tree, "number"));
        json_decref(tree);
    }
}
#endif

#ifdef PERF_PROTOBUF
/* What protoc-c makes of the same message. */
struct echo_message {
    ProtobufCMessage base;
    protobuf_c_boolean flag;
    int64_t number;
    char *text;
    double real;
};
#define ECHO_FIELD(name, number, type)                                                             \
    {                                                                                              \
#name, number, PROTOBUF_C_LABEL_NONE, type, 0, offsetof(struct echo_message, name), NULL,  \
                NULL, 0, 0, NULL, NULL                                                             \
    }
static const ProtobufCFieldDescriptor echo_message_fields[] = {
        ECHO_FIELD(flag, 1, PROTOBUF_C_TYPE_BOOL), ECHO_FIELD(number, 2, PROTOBUF_C_TYPE_INT64),
        ECHO_FIELD(text, 3, PROTOBUF_C_TYPE_STRING), ECHO_FIELD(real, 4, PROTOBUF_C_TYPE_DOUBLE)};
static const unsigned echo_message_names[] = {0, 1, 3, 2};
static const ProtobufCIntRange echo_message_ranges[] = {{1, 0}, {0, 4}};
static const ProtobufCMessageDescriptor echo_message_descriptor = {
        PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC, "Echo", "Echo", "Echo", "",
        sizeof(struct echo_message), 4, echo_message_fields, echo_message_names, 1,
        echo_message_ranges, NULL, NULL, NULL, NULL};

static void protobuf_c_encode(const struct cmds_codec *codec)
{
    (void)codec;
    static uint8_t buffer[BODY_MAX];
    static char texts[TEXT_MAX + 1];
    for (int i = 0; i < VALUE_COUNT; i++) {
        struct echo_message message = {.base = PROTOBUF_C_MESSAGE_INIT(&echo_message_descriptor),
                .flag = values[i].flag,
                .number = values[i].number,
                .real = values[i].real};
        memcpy(texts, values[i].text.data, values[i].text.size); // It wants a C string.
        texts[values[i].text.size] = '\0';
        message.text = texts;
        sink += protobuf_c_message_get_packed_size(&message.base);
        sink += protobuf_c_message_pack(&message.base, buffer);
    }
}

static void protobuf_c_decode(const struct cmds_codec *codec)
{
    (void)codec;
    for (int i = 0; i < VALUE_COUNT; i++) {
        ProtobufCMessage *message =
                protobuf_c_message_unpack(&echo_message_descriptor, NULL, sizes[i], bodies[i]);
        if (message == NULL) {
            abort();
        }
        sink += (uint64_t)((struct echo_message *)message)->number;
        protobuf_c_message_free_unpacked(message, NULL);
    }
}
#endif

static const struct row {
    const char *name;
    const struct cmds_codec *codec;
    void (*encode)(const struct cmds_codec *codec);
    void (*decode)(const struct cmds_codec *codec);
} rows[] = {
        {"msgpack", &cmds_codec_msgpack, ours_encode, ours_decode},
        {"msgpack-map", &cmds_codec_msgpack_map, ours_encode, ours_decode},
        {"msgpack-c, object tree", &cmds_codec_msgpack, theirs_encode, theirs_decode},
#ifdef PERF_MUS
        {"mus", &cmds_codec_mus, ours_encode, ours_decode},
#endif
#ifdef PERF_PROTOBUF
        {"protobuf", &cmds_codec_protobuf, ours_encode, ours_decode},
        {"protobuf-c", &cmds_codec_protobuf, protobuf_c_encode, protobuf_c_decode},
#endif
#ifdef PERF_JSON
        {"json", &cmds_codec_json, ours_encode, ours_decode},
        {"jansson", &cmds_codec_json, jansson_encode, jansson_decode},
#endif
};
enum {
    ROW_COUNT = sizeof(rows) / sizeof(rows[0])
};

static double measure_ns(
        void (*run)(const struct cmds_codec *codec), const struct cmds_codec *codec)
{
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    run(codec);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    return ns / VALUE_COUNT;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    static double encode_ns[ROW_COUNT][ROUND_MAX], decode_ns[ROW_COUNT][ROUND_MAX];
    int rounds = argc > 1 ? atoi(argv[1]) : 101;
    rounds = rounds < 1 ? 1 : rounds > ROUND_MAX ? ROUND_MAX : rounds;
    values_fill();
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ROW_COUNT; i++) {
            bodies_fill(rows[i].codec);
            encode_ns[i][round] = measure_ns(rows[i].encode, rows[i].codec);
            decode_ns[i][round] = measure_ns(rows[i].decode, rows[i].codec);
        }
    }
    printf("%-24s %16s %10s\n", "ns per value, median", "size + encode", "decode");
    for (int i = 0; i < ROW_COUNT; i++) {
        qsort(encode_ns[i], (size_t)rounds, sizeof(double), compare);
        qsort(decode_ns[i], (size_t)rounds, sizeof(double), compare);
        printf("%-24s %16.1f %10.1f\n", rows[i].name, encode_ns[i][rounds / 2],
                decode_ns[i][rounds / 2]);
    }
    fprintf(stderr, "(%llu)\n", (unsigned long long)sink);
    return 0;
}
