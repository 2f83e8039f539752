/* SPDX-License-Identifier: MIT */
/*
 * What a codec costs: nanoseconds and allocations per size+encode and per decode, beside the library
 * that a user would otherwise take for the format, used as its manual shows it. (For MUS there is
 * none.) A codec that has try_encode() encodes by it, as nearly all sends do. Prints a Markdown table.
 *
 * The value is the one of the comparisons, {bool, int64, string of 0..1006 bytes, double}, and for our
 * codecs a number alone and an order as well, which has all kinds in all shapes. There are 256 different ones, so that
 * lengths and branches do not repeat and all bodies stay in L2, as received bytes do. Rounds alternate
 * between the rows of the table and the median of them is printed: other work on the machine hits all
 * rows alike. A row that fails, or leaves a part of a body unread, ends
 * the program. One thread, no I/O. Usage: codec [ROUNDS]
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
#include <string.h>
#include <time.h>

#include "codec/arena.h"

struct echo {
    bool flag;
    int64_t number;
    struct cmds_string text;
    double real;
};
CMDS_COMMAND(echo, 0, flag, number, text, real);

/* What many answers are. */
struct count {
    int64_t number;
};
CMDS_RESULT(count, 0, number);

struct place {
    struct cmds_string street;
    char country[3];
};
struct line {
    uint64_t article;
    int32_t count;
    double price;
};
struct order {
    uint8_t id[16];
    char customer[32];
    struct place place;
    CMDS_ARRAY_OF(struct line) lines;
    CMDS_ARRAY_OF(int64_t) coupons;
    CMDS_ARRAY_OF(struct cmds_string) tags;
    CMDS_OPTIONAL_OF(int64_t) limit;
    CMDS_OPTIONAL_OF(struct place) billing;
    struct cmds_map labels;
    struct cmds_bytes signature;
    float rate;
    int8_t zone;
    uint16_t port;
    uint32_t flags;
    bool gift;
};
CMDS_SCHEMA(place, street, country);
CMDS_SCHEMA(line, article, count, price);
CMDS_COMMAND(order, 1, id, customer, CMDS_NESTED(place, place), CMDS_ARRAY(lines, line),
        CMDS_ARRAY(coupons), CMDS_ARRAY(tags), CMDS_OPTIONAL(limit), CMDS_OPTIONAL(billing, place),
        labels, CMDS_MAX(signature, 64), rate, zone, port, flags, gift);

enum {
    VALUE_COUNT = 256,
    TEXT_MAX = 1006,
    BODY_MAX = 2048,
    ROOM = 16384, // Of the buffer that one is encoded into: half of what a send has.
    LIST_MAX = 6,
    ROUND_MAX = 201
};

static struct echo values[VALUE_COUNT];
static struct echo prints[VALUE_COUNT]; // The same, but for their text: printable, and random.
static struct order orders[VALUE_COUNT];
static struct count counts[VALUE_COUNT]; // Of every length.
static uint8_t bodies[VALUE_COUNT][BODY_MAX];
static size_t sizes[VALUE_COUNT];
static char text[TEXT_MAX], printable[TEXT_MAX + VALUE_COUNT];
static struct cmds_arena arena; // Of our decoders; emptied after each value, as a shard does it.
static uint64_t sink;           // Printed at the end: nothing may be optimised away.
static uint64_t allocations;

/*
 * What the libraries allocate comes here too, because these are visible to them. A sanitizer has its
 * own functions in this place.
 */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#pragma GCC visibility push(default)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *data, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *data, size_t size)
{
    allocations++;
    return __libc_realloc(data, size);
}
#pragma GCC visibility pop
#endif

/* A codec that fails is fast, and must not win. */
static void need(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "codec: %s failed\n", what);
        abort();
    }
}

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

static void counts_fill(void)
{
    for (int i = 0; i < VALUE_COUNT; i++) {
        counts[i].number = (int64_t)random_next() >> random_next() % 64;
    }
}

/* As the bench has it: 5 of 95 characters are escaped in JSON. */
static void prints_fill(void)
{
    for (size_t i = 0; i < sizeof(printable); i++) {
        printable[i] = (char)(' ' + random_next() % 95);
    }
    for (int i = 0; i < VALUE_COUNT; i++) {
        prints[i] = values[i];
        prints[i].text.data = printable + i;
    }
}

static struct cmds_string text_of(size_t size_max)
{
    return (struct cmds_string){text, random_next() % (size_max + 1)};
}

static struct place place_of(void)
{
    return (struct place){text_of(40), "DE"};
}

static void order_fill(struct order *order)
{
    static struct line lines[VALUE_COUNT][LIST_MAX];
    static int64_t coupons[VALUE_COUNT][LIST_MAX];
    static struct cmds_string tags[VALUE_COUNT][LIST_MAX];
    static struct cmds_pair labels[VALUE_COUNT][LIST_MAX];
    ptrdiff_t at = order - orders;
    for (int i = 0; i < LIST_MAX; i++) {
        lines[at][i] = (struct line){random_next() >> random_next() % 64,
                (int32_t)(random_next() % 100), (double)random_next() / 100.0};
        coupons[at][i] = (int64_t)random_next() >> random_next() % 64;
        tags[at][i] = text_of(12);
        labels[at][i] = (struct cmds_pair){text_of(8), text_of(24)};
    }
    memset(order->id, 7, sizeof(order->id));
    memcpy(order->customer, text, random_next() % (sizeof(order->customer) - 1));
    order->place = place_of();
    order->lines.items = lines[at];
    order->lines.count = random_next() % (LIST_MAX + 1);
    order->coupons.items = coupons[at];
    order->coupons.count = random_next() % (LIST_MAX + 1);
    order->tags.items = tags[at];
    order->tags.count = random_next() % (LIST_MAX + 1);
    order->limit.has = random_next() % 2 == 0;
    order->limit.value = order->limit.has ? (int64_t)random_next() : 0;
    order->billing.has = random_next() % 2 == 0;
    if (order->billing.has) {
        order->billing.value = place_of();
    }
    order->labels = (struct cmds_map){labels[at], random_next() % (LIST_MAX + 1)};
    order->signature = (struct cmds_bytes){text, random_next() % 65};
    order->rate = (float)(random_next() % 1000) / 8.0f;
    order->zone = (int8_t)random_next();
    order->port = (uint16_t)random_next();
    order->flags = (uint32_t)random_next();
    order->gift = random_next() % 2 == 0;
}

/* What is encoded. */
static const struct subject {
    const struct cmds_type *type;
    const void *values;
} echoes = {&echo_type, values}, printables = {&echo_type, prints}, numbers = {&count_type, counts},
  all_kinds = {&order_type, orders};

static const void *value_at(const struct subject *subject, int i)
{
    size_t size = subject->type->schema->value_size;
    return (const char *)subject->values + size * (size_t)i;
}

static inline size_t ours_encode_one(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *value, uint8_t *out)
{
    int64_t size = -1;
    if (codec->try_encode != NULL) { // As a send does it.
        size = codec->try_encode(codec, type, value, out, ROOM);
        need(size >= 0, codec->name); // Of Protobuf a zero has no bytes.
        return (size_t)size;
    }
    size = codec->size(codec, type, value);
    need(size >= 0 && size <= BODY_MAX, codec->name);
    uint8_t *end = codec->encode(codec, type, value, out, (size_t)size);
    need(end == out + size, codec->name);
    return (size_t)size;
}

static void ours_decode_one(
        const struct cmds_codec *codec, const struct subject *subject, int i, void *value)
{
    struct cmds_bytes in = {bodies[i], sizes[i]};
    int64_t used = codec->decode(codec, subject->type, in, &arena, value);
    need(used == (int64_t)sizes[i], codec->name);
}

/* What comes out is what went in: it has the same bytes. */
static void bodies_fill(const struct cmds_codec *codec, const struct subject *subject)
{
    static uint8_t again[ROOM];
    for (int i = 0; i < VALUE_COUNT; i++) {
        union {
            struct echo echo;
            struct count count;
            struct order order;
        } value;
        memset(&value, 0, sizeof(value));
        sizes[i] = ours_encode_one(codec, subject->type, value_at(subject, i), again);
        need(sizes[i] <= BODY_MAX, codec->name);
        memcpy(bodies[i], again, sizes[i]);
        ours_decode_one(codec, subject, i, &value);
        int64_t size = codec->size(codec, subject->type, &value);
        need(size == (int64_t)sizes[i], codec->name);
        (void)codec->encode(codec, subject->type, &value, again, sizes[i]);
        need(memcmp(again, bodies[i], sizes[i]) == 0, codec->name);
        cmdi_arena_reset(&arena);
    }
}

/*
 * Each row of the table runs once over all values. Encoders write to one buffer, so that what
 * differs is not the memory.
 */
static void ours_encode(const struct cmds_codec *codec, const struct subject *subject)
{
    static uint8_t buffer[ROOM];
    for (int i = 0; i < VALUE_COUNT; i++) {
        sink += ours_encode_one(codec, subject->type, value_at(subject, i), buffer);
    }
}

static void echo_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    for (int i = 0; i < VALUE_COUNT; i++) {
        struct echo echo = {0};
        ours_decode_one(codec, subject, i, &echo);
        sink += echo.text.size + (uint64_t)echo.number;
        cmdi_arena_reset(&arena);
    }
}

static void count_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    for (int i = 0; i < VALUE_COUNT; i++) {
        struct count count = {0};
        ours_decode_one(codec, subject, i, &count);
        sink += (uint64_t)count.number;
        cmdi_arena_reset(&arena);
    }
}

static void order_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    for (int i = 0; i < VALUE_COUNT; i++) {
        struct order order;
        memset(&order, 0, sizeof(order));
        ours_decode_one(codec, subject, i, &order);
        sink += order.lines.count + order.flags;
        cmdi_arena_reset(&arena);
    }
}

static void msgpack_c_encode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
    static msgpack_sbuffer buffer; // Reused, so that it allocates once.
    for (int i = 0; i < VALUE_COUNT; i++) {
        msgpack_packer packer;
        buffer.size = 0;
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        int code = msgpack_pack_array(&packer, 4);
        code |= values[i].flag ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer);
        code |= msgpack_pack_int64(&packer, values[i].number);
        code |= msgpack_pack_str(&packer, values[i].text.size);
        code |= msgpack_pack_str_body(&packer, values[i].text.data, values[i].text.size);
        code |= msgpack_pack_double(&packer, values[i].real);
        need(code == 0 && buffer.size == sizes[i], "msgpack-c");
        sink += buffer.size;
    }
}

static void msgpack_c_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
    msgpack_zone zone;
    msgpack_zone_init(&zone, 2048);
    for (int i = 0; i < VALUE_COUNT; i++) {
        msgpack_object object;
        size_t used = 0;
        msgpack_unpack_return code =
                msgpack_unpack((const char *)bodies[i], sizes[i], &used, &zone, &object);
        need(code == MSGPACK_UNPACK_SUCCESS && used == sizes[i] &&
                        object.type == MSGPACK_OBJECT_ARRAY,
                "msgpack-c");
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

static void jansson_encode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
    static char buffer[2 * BODY_MAX];
    for (int i = 0; i < VALUE_COUNT; i++) {
        json_t *tree = tree_of(&values[i]);
        size_t size = json_dumpb(tree, buffer, sizeof(buffer), JSON_COMPACT);
        need(size > 0 && size <= sizeof(buffer), "jansson");
        sink += size;
        json_decref(tree);
    }
}

static void jansson_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
    for (int i = 0; i < VALUE_COUNT; i++) {
        json_t *tree = json_loadb((const char *)bodies[i], sizes[i], 0, NULL);
        need(tree != NULL, "jansson"); // Also for bytes behind the value.
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

static void protobuf_c_encode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
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
        size_t size = protobuf_c_message_get_packed_size(&message.base);
        need(size == sizes[i] && protobuf_c_message_pack(&message.base, buffer) == size,
                "protobuf-c");
        sink += size;
    }
}

static void protobuf_c_decode(const struct cmds_codec *codec, const struct subject *subject)
{
    (void)codec;
    (void)subject;
    for (int i = 0; i < VALUE_COUNT; i++) {
        ProtobufCMessage *message =
                protobuf_c_message_unpack(&echo_message_descriptor, NULL, sizes[i], bodies[i]);
        need(message != NULL, "protobuf-c");
        sink += (uint64_t)((struct echo_message *)message)->number;
        protobuf_c_message_free_unpacked(message, NULL);
    }
}
#endif

typedef void (*run_fn)(const struct cmds_codec *codec, const struct subject *subject);

static const struct row {
    const char *name;
    const struct cmds_codec *codec;
    const struct subject *subject;
    run_fn encode, decode;
} rows[] = {
        {"msgpack", &cmds_codec_msgpack, &echoes, ours_encode, echo_decode},
        {"msgpack, a number", &cmds_codec_msgpack, &numbers, ours_encode, count_decode},
        {"msgpack, all kinds", &cmds_codec_msgpack, &all_kinds, ours_encode, order_decode},
        {"msgpack-map", &cmds_codec_msgpack_map, &echoes, ours_encode, echo_decode},
        {"msgpack-map, a number", &cmds_codec_msgpack_map, &numbers, ours_encode, count_decode},
        {"msgpack-map, all kinds", &cmds_codec_msgpack_map, &all_kinds, ours_encode, order_decode},
        {"msgpack-c, object tree", &cmds_codec_msgpack, &echoes, msgpack_c_encode,
                msgpack_c_decode},
#ifdef PERF_MUS
        {"mus", &cmds_codec_mus, &echoes, ours_encode, echo_decode},
        {"mus, a number", &cmds_codec_mus, &numbers, ours_encode, count_decode},
        {"mus, all kinds", &cmds_codec_mus, &all_kinds, ours_encode, order_decode},
#endif
#ifdef PERF_PROTOBUF
        {"protobuf", &cmds_codec_protobuf, &echoes, ours_encode, echo_decode},
        {"protobuf, a number", &cmds_codec_protobuf, &numbers, ours_encode, count_decode},
        {"protobuf, all kinds", &cmds_codec_protobuf, &all_kinds, ours_encode, order_decode},
        {"protobuf-c", &cmds_codec_protobuf, &echoes, protobuf_c_encode, protobuf_c_decode},
#endif
#ifdef PERF_JSON
        {"json", &cmds_codec_json, &echoes, ours_encode, echo_decode},
        {"json, text to escape", &cmds_codec_json, &printables, ours_encode, echo_decode},
        {"json, a number", &cmds_codec_json, &numbers, ours_encode, count_decode},
        {"json, all kinds", &cmds_codec_json, &all_kinds, ours_encode, order_decode},
        {"jansson", &cmds_codec_json, &echoes, jansson_encode, jansson_decode},
#endif
};
enum {
    ROW_COUNT = sizeof(rows) / sizeof(rows[0])
};

struct cost {
    double ns[ROUND_MAX]; // Of each round, per value.
    double allocations;   // Of the last round, per value: by then buffers have grown.
};

static void cost_take(struct cost *cost, int round, run_fn run, const struct row *row)
{
    struct timespec begin, end;
    uint64_t before = allocations;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    run(row->codec, row->subject);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    cost->ns[round] = ns / VALUE_COUNT;
    cost->allocations = (double)(allocations - before) / VALUE_COUNT;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double cost_median_ns(struct cost *cost, int rounds)
{
    qsort(cost->ns, (size_t)rounds, sizeof(double), compare);
    return cost->ns[rounds / 2];
}

int main(int argc, char **argv)
{
    static struct cost encode[ROW_COUNT], decode[ROW_COUNT];
    char *end = NULL;
    long asked = argc > 1 ? strtol(argv[1], &end, 10) : 101;
    if (argc > 2 || (argc > 1 && (end == argv[1] || *end != '\0')) || asked < 1 ||
            asked > ROUND_MAX) {
        fprintf(stderr, "Usage: codec [ROUNDS]; 1 to %d rounds (default 101)\n", ROUND_MAX);
        return 2;
    }
    int rounds = (int)asked;
    cmdi_arena_init(&arena, 1 << 20);
    values_fill();
    prints_fill();
    counts_fill();
    for (int i = 0; i < VALUE_COUNT; i++) {
        order_fill(&orders[i]);
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ROW_COUNT; i++) {
            bodies_fill(rows[i].codec, rows[i].subject);
            cost_take(&encode[i], round, rows[i].encode, &rows[i]);
            cost_take(&decode[i], round, rows[i].decode, &rows[i]);
        }
    }
    printf("| per value, medians of %d rounds | size + encode, ns | allocations | decode, ns | "
           "allocations |\n|---|---|---|---|---|\n",
            rounds);
    for (int i = 0; i < ROW_COUNT; i++) {
        printf("| %s | %.1f | %.2f | %.1f | %.2f |\n", rows[i].name,
                cost_median_ns(&encode[i], rounds), encode[i].allocations,
                cost_median_ns(&decode[i], rounds), decode[i].allocations);
    }
    fprintf(stderr, "(%llu)\n", (unsigned long long)sink);
    cmdi_arena_fini(&arena);
    if (fflush(stdout) != 0) {
        perror("codec: stdout");
        return 1;
    }
    return 0;
}
