/* SPDX-License-Identifier: MIT */
/*
 * What a codec costs: nanoseconds per size+encode and per decode, beside msgpack-c used as its manual shows it.
 *
 * The value is the one of the comparisons, {bool, int64, string of 0..1006 bytes, double}, 256 different ones,
 * so that lengths and branches do not repeat and all bodies stay in L2, as received bytes do. Rounds alternate between the rows of the table and the median of them is
 * printed: other work on the machine hits all rows alike. One thread, no I/O. Usage: codec [ROUNDS]
 */
#include <cmdstream/codec.h>

#include <msgpack.h>
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
    BODY_MAX = TEXT_MAX + 64,
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

static const struct row {
    const char *name;
    const struct cmds_codec *codec;
    void (*encode)(const struct cmds_codec *codec);
    void (*decode)(const struct cmds_codec *codec);
} rows[] = {
        {"msgpack", &cmds_codec_msgpack, ours_encode, ours_decode},
        {"msgpack-map", &cmds_codec_msgpack_map, ours_encode, ours_decode},
        {"msgpack-c, object tree", &cmds_codec_msgpack, theirs_encode, theirs_decode},
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
