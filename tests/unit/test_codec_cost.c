/* SPDX-License-Identifier: MIT */
/*
 * What a body may cost: bytes made to be expensive for each decoder, over schemas in which a few of
 * them say much. The work is counted (see support/cost.h), for a body and for one of four times its
 * length: it must stay within what the length pays for, whether the body is accepted or refused.
 *
 * CMDSTREAM_COST=1 prints every case, with the time beside the count.
 */
#include <cmdstream/codec.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>

#include "shop.pb-c.h"
#endif

#include "codec/codec.h"
#include "codec/protocol.h"
#include "codec/value.h"
#include "support/cost.h"
#include "support/harness.h"
#include "support/steep.h"

enum {
    SMALL = 50 * 1000,
    LARGE = 4 * SMALL,
    LEVELS = 15,
    ROWS = 512,
};

/* --- Schemas ---------------------------------------------------------------------------------- */

/* Rows that no macro makes: 512 bytes, whose names part at their end; and as many lists of these. */
static char row_names[ROWS][64];
static struct cmds_field byte_rows[ROWS], list_rows[ROWS];
static const struct cmds_schema bytes_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), ROWS, ROWS, "bytes", byte_rows, NULL, {0}};
static const struct cmds_schema lists_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), ROWS, ROWS * 16, "lists", list_rows, NULL, {0}};
struct rows {
    uint8_t first[ROWS];
    CMDS_ARRAY_OF(struct page) many;
    CMDS_ARRAY_OF(struct page) lists;
};
static const struct cmds_field rows_rows[] = {
        {"f", &bytes_schema, 0, ROWS, 0, ROWS, 0, CMDS_KIND_STRUCT, CMDS_SHAPE_ONE, 0, 0},
        {"m", &bytes_schema, ROWS, 16, 0, ROWS, 0, CMDS_KIND_STRUCT, CMDS_SHAPE_ARRAY, 0, 0},
        {"l", &lists_schema, ROWS + 16, 16, 0, ROWS * 16, 0, CMDS_KIND_STRUCT, CMDS_SHAPE_ARRAY, 0,
                0},
};
static const struct cmds_schema rows_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), 3, sizeof(struct rows), "rows", rows_rows, NULL, {0}};
static const struct cmds_field lists_list_rows[] = {
        {"l", &lists_schema, 0, 16, 0, ROWS * 16, 0, CMDS_KIND_STRUCT, CMDS_SHAPE_ARRAY, 0, 0}};
static const struct cmds_schema lists_list_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), 1, 16, "lists_list", lists_list_rows, NULL, {0}};
static const struct cmds_type rows_type = {sizeof(struct cmds_type), 1, CMDS_ROLE_COMMAND, 0, 0, 0,
        0, &rows_schema, NULL, NULL, NULL, NULL};

static const struct cmds_field holder_rows[] = {
        {"l", &lists_list_schema, 0, 16, 0, 16, 0, CMDS_KIND_STRUCT, CMDS_SHAPE_ARRAY, 0, 0}};
static const struct cmds_schema holder_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), 1, 16, "holder", holder_rows, NULL, {0}};
static const struct cmds_type holder_type = {sizeof(struct cmds_type), 6, CMDS_ROLE_COMMAND, 0, 0,
        0, 0, &holder_schema, NULL, NULL, NULL, NULL};
static const struct cmds_type lists_type = {sizeof(struct cmds_type), 5, CMDS_ROLE_COMMAND, 0, 0, 0,
        0, &lists_list_schema, NULL, NULL, NULL, NULL};

/* A list of structs with a list of structs ... of nothing but a number. */
static struct cmds_field level_rows[LEVELS][2];
static struct cmds_schema level_schemas[LEVELS];
static struct cmds_type level_type = {sizeof(struct cmds_type), 2, CMDS_ROLE_COMMAND, 0, 0, 0, 0,
        level_schemas, NULL, NULL, NULL, NULL};
struct level {
    CMDS_ARRAY_OF(struct level) items;
    int64_t number;
};

static void schemas_fill(void)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        (void)snprintf(row_names[i], sizeof(row_names[i]),
                "one_name_that_is_as_long_as_the_others_and_parts_late_%03u", i);
        byte_rows[i] = (struct cmds_field){
                row_names[i], NULL, i, 1, 0, 1, 0, CMDS_KIND_U8, CMDS_SHAPE_ONE, 0, 0};
        list_rows[i] = (struct cmds_field){row_names[i], &bytes_schema, i * 16, 16, 0, ROWS, 0,
                CMDS_KIND_STRUCT, CMDS_SHAPE_ARRAY, 0, 0};
    }
    for (uint32_t i = 0; i < LEVELS; i++) {
        bool last = i + 1 == LEVELS;
        level_rows[i][0] = (struct cmds_field){"i", last ? NULL : &level_schemas[i + 1], 0, 16, 0,
                last ? 8 : sizeof(struct level), 0, last ? CMDS_KIND_I64 : CMDS_KIND_STRUCT,
                CMDS_SHAPE_ARRAY, 0, 0};
        level_rows[i][1] =
                (struct cmds_field){"n", NULL, 16, 8, 0, 8, 0, CMDS_KIND_I64, CMDS_SHAPE_ONE, 0, 0};
        level_schemas[i] =
                (struct cmds_schema){sizeof(struct cmds_schema), sizeof(struct cmds_field), 2,
                        sizeof(struct level), "level", level_rows[i], NULL, {0}};
    }
}

/* --- Bodies ----------------------------------------------------------------------------------- */

/* What stands between head and units: how many there are, or how many bytes, as a format says it. */
enum counted {
    UNCOUNTED,
    MSGPACK_ARRAY,
    MSGPACK_MAP,
    LEB_COUNT,
    LEB_SIZE,
};

/* Bytes, of which the unit comes as often as there is room. */
struct form {
    const char *name;
    const struct cmds_type *type;
    const char *head;
    size_t head_size;
    const char *unit;
    size_t unit_size;
    const char *tail;
    size_t tail_size;
    enum counted counted;
};
#define FORM(name, type, head, counted, unit, tail)                                                \
    {                                                                                              \
        name, type, "" head, sizeof(head) - 1, "" unit, sizeof(unit) - 1, "" tail,                 \
                sizeof(tail) - 1, counted                                                          \
    }

static size_t put_count(uint8_t *out, enum counted counted, size_t count, size_t size)
{
    size_t used = 0;
    size_t value = counted == LEB_SIZE ? size : count;
    if (counted == MSGPACK_ARRAY || counted == MSGPACK_MAP) {
        out[used++] = counted == MSGPACK_ARRAY ? 0xdd : 0xdf;
        for (int shift = 24; shift >= 0; shift -= 8) {
            out[used++] = (uint8_t)(value >> shift);
        }
    } else if (counted != UNCOUNTED) {
        for (; value >= 0x80; value >>= 7) {
            out[used++] = (uint8_t)(value | 0x80);
        }
        out[used++] = (uint8_t)value;
    }
    return used;
}

static size_t form_fill(const struct form *form, uint8_t *out, size_t size)
{
    size_t count = (size - form->head_size - form->tail_size - 8) / form->unit_size;
    memcpy(out, form->head, form->head_size);
    size_t used = form->head_size;
    used += put_count(out + used, form->counted, count, count * form->unit_size);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + used, form->unit, form->unit_size);
        used += form->unit_size;
    }
    memcpy(out + used, form->tail, form->tail_size);
    return used + form->tail_size;
}

/* --- Measuring -------------------------------------------------------------------------------- */

static bool prints;

static uint64_t time_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void check_cost(const char *codec, const char *what, size_t size, int64_t used,
        uint64_t cost, uint64_t spent_ns)
{
    bool within = cost <= CMDI_COST_MIN + CMDI_COST_FACTOR * size;
    if (prints || !within) {
        printf("%-12s %-44s %7zu bytes: %8lld, %6.1f blocks and %6.1f ns a byte%s\n", codec, what,
                size, (long long)used, (double)cost / (double)size, (double)spent_ns / (double)size,
                within ? "" : "  TOO MUCH");
    }
    CU_ASSERT(within);
}

static void copy_cost(const char *codec, const struct form *form, size_t size, const void *value)
{
    char what[80];
    uint64_t begin_ns = time_ns(), begin = cmdi_cost;
    free(cmds_value_copy(form->type->schema, value));
    (void)snprintf(what, sizeof(what), "copy of: %s", form->name);
    check_cost(codec, what, size, 0, cmdi_cost - begin, time_ns() - begin_ns);
}

/* What came is sent back: paid for by both lengths. */
static void encode_cost(
        const struct cmds_codec *codec, const struct form *form, size_t size, const void *value)
{
    char what[80];
    uint64_t begin_ns = time_ns(), begin = cmdi_cost;
    int64_t encoded = codec->size(codec, form->type, value);
    CU_ASSERT_FATAL(encoded >= 0);
    uint8_t *body = malloc((size_t)encoded + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    (void)codec->encode(codec, form->type, value, body, (size_t)encoded);
    free(body);
    (void)snprintf(what, sizeof(what), "back: %s", form->name);
    check_cost(codec->name, what, size + (size_t)encoded, encoded, cmdi_cost - begin,
            time_ns() - begin_ns);
}

static void form_cost(const struct cmds_codec *codec, const struct form *form, size_t size)
{
    uint8_t *body = malloc(size);
    struct cmds_arena arena;
    void *value = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    size = form_fill(form, body, size);
    cmdi_arena_init(&arena, (size_t)1 << 30);
    for (int round = 0; round < (prints ? 5 : 1); round++) { // The first one meets fresh memory.
        uint64_t begin_ns = time_ns(), begin = cmdi_cost;
        int64_t used = cmdi_codec_decode(
                codec, form->type, (struct cmds_bytes){body, size}, NULL, &arena, &value);
        uint64_t cost = cmdi_cost - begin, spent_ns = time_ns() - begin_ns;
        if (round == 4 || !prints) {
            check_cost(codec->name, form->name, size, used, cost, spent_ns);
            if (used == (int64_t)size) {
                copy_cost(codec->name, form, size, value);
                encode_cost(codec, form, size, value);
            }
        }
    }
    cmdi_arena_fini(&arena);
    free(body);
}

static void forms_cost(const struct cmds_codec *codec, const struct form *forms, size_t count)
{
    prints = getenv("CMDSTREAM_COST") != NULL;
    schemas_fill();
    for (size_t i = 0; i < count; i++) {
        form_cost(codec, &forms[i], SMALL);
        form_cost(codec, &forms[i], LARGE);
    }
}
#define FORMS_COST(codec, forms) forms_cost((codec), (forms), sizeof(forms) / sizeof((forms)[0]))

/* --- Memory ----------------------------------------------------------------------------------- */

/*
 * The bytes that a value came in pay for its memory, also those that say nothing. Without these it is
 * refused, though they are our own encoding of it; and decoded once more, it is the same.
 */
static void memory_is_paid_for(const struct cmds_codec *codec, const struct form *form, size_t size)
{
    uint8_t body[4096], own[4096], second[4096];
    struct cmds_arena arena;
    void *value = NULL, *refused = NULL;
    CU_ASSERT_FATAL(size <= sizeof(body));
    size = form_fill(form, body, size);
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_decode(codec, form->type, (struct cmds_bytes){body, size}, &value), 0);
    struct cmds_message message = {form->type, value};
    int64_t encoded = cmds_codec_encode(codec, message, own, sizeof(own));
    CU_ASSERT_FATAL(encoded > 0 && encoded < (int64_t)size);
    struct cmds_bytes in = {own, (size_t)encoded};
    CU_ASSERT_EQUAL(cmds_codec_decode(codec, form->type, in, &refused), CMDS_E_LIMIT);
    free(value);

    value = calloc(1, form->type->schema->value_size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    cmdi_arena_init(&arena, 1 << 20);
    cmdi_arena_begin(&arena, form->type->schema->value_size, size);
    CU_ASSERT_EQUAL_FATAL(codec->decode(codec, form->type, in, &arena, value), encoded);
    message.value = value;
    CU_ASSERT_EQUAL(cmds_codec_encode(codec, message, second, sizeof(second)), encoded);
    CU_ASSERT_EQUAL(memcmp(own, second, (size_t)encoded), 0);
    cmdi_arena_fini(&arena);
    free(value);
}

/* --- The codecs ------------------------------------------------------------------------------- */

#define NAME_OF(digits) "one_name_that_is_as_long_as_the_others_and_parts_late_" digits

static void test_codec_cost_of_msgpack(void)
{
    static const struct form forms[] = {
            FORM("absent pages in structs", &steep_type, "\x91", MSGPACK_ARRAY, "\x90", ""),
            FORM("nil for structs", &steep_type, "\x91", MSGPACK_ARRAY, "\xc0", ""),
            FORM("structs of an empty text", &steep_type, "\x92\xc0", MSGPACK_ARRAY, "\x91\xa0",
                    ""),
            FORM("empty maps as structs", &rows_type, "\x92\xc0", MSGPACK_ARRAY, "\x80", ""),
            FORM("an optional struct, again and again", &steep_type, "", MSGPACK_MAP,
                    "\xa4"
                    "book\x80",
                    ""),
            FORM("an optional struct, nil", &steep_type, "", MSGPACK_MAP,
                    "\xa4"
                    "book\xc0",
                    ""),
            FORM("a text, again and again", &steep_type, "", MSGPACK_MAP, "\xa4text\xa0", ""),
            FORM("a text that changes", &steep_type, "", MSGPACK_MAP,
                    "\xa4text\xa0\xa4text\xb0----------------", ""),
            FORM("a name that is empty", &steep_type, "", MSGPACK_MAP, "\xa0\xc0", ""),
            FORM("a name that is no text", &steep_type, "", MSGPACK_MAP, "\x01\xc0", ""),
            FORM("names of 512", &rows_type, "\x91", MSGPACK_MAP, "\xd9\x39" NAME_OF("999") "\x01",
                    ""),
            FORM("names of 512, short", &rows_type, "\x91", MSGPACK_MAP, "\xa1o\x01", ""),
            FORM("names of 512, the last", &rows_type, "\x91", MSGPACK_MAP,
                    "\xd9\x39" NAME_OF("511") "\x01", ""),
            FORM("many structs with one name", &rows_type, "\x92\xc0", MSGPACK_ARRAY,
                    "\x81\xa1o\x01", ""),
            FORM("pairs", &steep_type, "\x97\xc0\xc0\xc0\xc0\xc0\xc0", MSGPACK_MAP, "\xa0\xa0", ""),
            FORM("extra elements", &steep_type, "", MSGPACK_ARRAY, "\xc0", ""),
            FORM("unknown arrays", &rows_type, "\x94\xc0\xc0\xc0", MSGPACK_ARRAY, "\x91\x90", ""),
            FORM("floats", &steep_type, "\x94\xc0\xc0\xc0", MSGPACK_ARRAY, "\x01", ""),
    };
    FORMS_COST(&cmds_codec_msgpack, forms);
}

#define TEN(unit) unit unit unit unit unit unit unit unit unit unit

static void test_codec_cost_of_msgpack_in_memory(void)
{
    static const struct form pages = FORM("pages, and elements that nobody knows", &shelf_type,
            "\xdc\x01\x2e\xdc\0\x14" TEN("\x90\x90") "\xa0", UNCOUNTED, "\xc0", "");
    memory_is_paid_for(&cmds_codec_msgpack, &pages, 27 + 300 + 8);
}

#ifdef WITH_JSON
#define DEEP_HEAD_7  "{\"i\":[{\"i\":[{\"i\":[{\"i\":[{\"i\":[{\"i\":[{\"i\":["
#define DEEP_HEAD_14 DEEP_HEAD_7 DEEP_HEAD_7
#define DEEP_TAIL_7  "]}]}]}]}]}]}]}"
#define DEEP_TAIL_14 DEEP_TAIL_7 DEEP_TAIL_7

static void test_codec_cost_of_json(void)
{
    static const struct form forms[] = {
            FORM("absent pages in structs", &steep_type, "{\"pages\":[{}", UNCOUNTED, ",{}", "]}"),
            FORM("null for structs", &steep_type, "{\"pages\":[null", UNCOUNTED, ",null", "]}"),
            FORM("structs of an empty text", &steep_type, "{\"lines\":[{}", UNCOUNTED,
                    ",{\"text\":\"\"}", "]}"),
            FORM("an optional struct, again and again", &steep_type, "{\"page\":null", UNCOUNTED,
                    ",\"book\":{},\"book\":null", "}"),
            FORM("an optional struct, null", &steep_type, "{\"page\":null", UNCOUNTED,
                    ",\"book\":null", "}"),
            FORM("a text, again and again", &steep_type, "{\"page\":null", UNCOUNTED,
                    ",\"text\":\"\"", "}"),
            FORM("a text that changes", &steep_type, "{\"page\":null", UNCOUNTED,
                    ",\"text\":\"\",\"text\":\"----------------\"", "}"),
            FORM("names of 512", &rows_type, "{\"f\":{\"\":0", UNCOUNTED,
                    ",\"" NAME_OF("999") "\":0", "}}"),
            FORM("names of 512, short", &rows_type, "{\"f\":{\"\":0", UNCOUNTED, ",\"o\":0", "}}"),
            FORM("names of 512, in another case", &rows_type, "{\"f\":{\"\":0", UNCOUNTED,
                    ",\"One_Name_that_is_as_long_as_the_others_and_parts_late_511\":0", "}}"),
            FORM("names of 512, escaped", &rows_type, "{\"f\":{\"\":0", UNCOUNTED,
                    ",\"\\u006fn\":0", "}}"),
            FORM("names of the long s", &rows_type, "{\"f\":{\"\":0", UNCOUNTED,
                    ",\"\xc5\xbf\xc5\xbf\":0", "}}"),
            FORM("lists inside of lists", &level_type, DEEP_HEAD_14 "{\"i\":[1", UNCOUNTED, ",1",
                    "]}" DEEP_TAIL_14),
            FORM("structs inside of lists", &level_type, DEEP_HEAD_14 "{}", UNCOUNTED, ",{}",
                    DEEP_TAIL_14),
            FORM("lists of one", &level_type, "{\"i\":[{}", UNCOUNTED, "," DEEP_HEAD_7 DEEP_TAIL_7,
                    "]}"),
            FORM("unknown lists", &steep_type, "{\"x\":[[]", UNCOUNTED, ",[]", "]}"),
            FORM("pairs", &steep_type, "{\"map\":{\"\":\"\"", UNCOUNTED, ",\"\":\"\"", "}}"),
            FORM("floats", &steep_type, "{\"floats\":[1", UNCOUNTED, ",1", "]}"),
            FORM("floats of many digits", &steep_type, "{\"floats\":[1", UNCOUNTED,
                    ",1.00000017881393432617187499", "]}"),
            FORM("doubles of many digits", &steep_type, "{\"doubles\":[1", UNCOUNTED,
                    ",2.4703282292062327208e-324", "]}"),
            FORM("doubles, subnormal", &steep_type, "{\"doubles\":[1", UNCOUNTED, ",5e-324", "]}"),
            FORM("text that is no UTF-8", &steep_type, "{\"string\":\"", UNCOUNTED, "\xff", "\"}"),
            FORM("text of escapes", &steep_type, "{\"string\":\"", UNCOUNTED, "\\n", "\"}"),
            FORM("text of escapes and letters", &steep_type, "{\"string\":\"", UNCOUNTED, "a\\n",
                    "\"}"),
            FORM("text of \\u", &steep_type, "{\"string\":\"", UNCOUNTED, "\\u0000", "\"}"),
            FORM("text of letters and others", &steep_type, "{\"string\":\"", UNCOUNTED,
                    "a\xc3\xa4", "\"}"),
            FORM("text of half and whole blocks", &steep_type, "{\"string\":\"", UNCOUNTED,
                    "0123456789abcde\xff", "\"}"),
            FORM("base64", &steep_type, "{\"bytes\":\"", UNCOUNTED, "AAAA", "\"}"),
            FORM("base64 of line ends", &steep_type, "{\"bytes\":\"", UNCOUNTED, "\\n", "\"}"),
            FORM("numbers as bytes", &steep_type, "{\"bytes\":[1", UNCOUNTED, ",1", "]}"),
            FORM("spaces", &steep_type, "{", UNCOUNTED, " ", "}"),
    };
    FORMS_COST(&cmds_codec_json, forms);
}

static void test_codec_cost_of_json_in_memory(void)
{
    static const struct form pages = FORM("pages, and spaces", &shelf_type,
            "{\"pages\":[{}" TEN(",{},{},{}") "]", UNCOUNTED, " ", "}");
    memory_is_paid_for(&cmds_codec_json, &pages, 1000);
}
#endif

#ifdef WITH_MUS
static void test_codec_cost_of_mus(void)
{
    static const struct form forms[] = {
            FORM("absent pages in structs", &steep_type, "", LEB_COUNT, "\x01", ""),
            FORM("structs of an empty text", &steep_type, "\0", LEB_COUNT, "\0", ""),
            FORM("empty lists of wide structs", &lists_type, "", LEB_COUNT, "\0", ""),
            FORM("empty lists in structs", &holder_type, "", LEB_COUNT, "\0", ""),
            FORM("lists of lists", &level_type, "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
                    LEB_COUNT, "\0\0", ""),
            FORM("pairs", &steep_type, "\0\0\1\0\0\0", LEB_COUNT, "\0\0", ""),
    };
    FORMS_COST(&cmds_codec_mus, forms);
}

static void test_codec_cost_of_mus_in_memory(void)
{
    static const struct form pages = FORM("pages, and a count of ten bytes", &shelf_type,
            "\x91\x80\x80\x80\x80\x80\x80\x80\x80\0" TEN("\1") "\1\1\1\1\1\1\1", LEB_SIZE, "n", "");
    memory_is_paid_for(&cmds_codec_mus, &pages, 17 + 10 + 8 + 41);
}

/* Bytes that come one by one: each look is paid for by its byte. */
static void test_codec_cost_of_mus_in_pieces(void)
{
    static const struct form form = FORM("in pieces", &level_type,
            "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", LEB_COUNT, "\x01\x01\x02\0\0", "");
    static uint8_t body[SMALL];
    struct cmds_codec_place place = {{0}};
    uint64_t begin = cmdi_cost;
    schemas_fill();
    size_t size = form_fill(&form, body, sizeof(body));
    int64_t need = 0;
    for (size_t there = 0; there <= size && need <= (int64_t)size; there++) {
        if ((int64_t)there >= need) {
            need = cmds_codec_mus.find_end(
                    &cmds_codec_mus, form.type, (struct cmds_bytes){body, there}, &place);
        }
    }
    check_cost("mus", form.name, 16 * size, need, cmdi_cost - begin, 0); // And a call for each.
}
#endif

#ifdef WITH_PROTOBUF
CMDS_PROTOBUF_COMMAND(node, 3, ShopNode, shop_node__descriptor);
CMDS_PROTOBUF_COMMAND(leaf, 4, ShopLeaf, shop_leaf__descriptor);

static void test_codec_cost_of_protobuf(void)
{
    static const struct form forms[] = {
            FORM("structs of nothing", &steep_type, "", UNCOUNTED, "\x0a\0", ""),
            FORM("structs of an empty text", &steep_type, "", UNCOUNTED, "\x12\x02\x0a\0", ""),
            FORM("an optional struct, again and again", &steep_type, "", UNCOUNTED, "\x1a\0", ""),
            FORM("a text, again and again", &steep_type, "", UNCOUNTED, "\x52\0", ""),
            FORM("a text that changes", &steep_type, "", UNCOUNTED,
                    "\x52\0\x52\x10----------------", ""),
            FORM("small messages of many rows", &rows_type, "", UNCOUNTED, "\x0a\x02\x08\x01", ""),
            FORM("small messages of many lists", &rows_type, "", UNCOUNTED, "\x1a\x02\x0a\0", ""),
            FORM("one message in many parts", &level_type, "", UNCOUNTED, "\x0a\x02\x0a\0", ""),
            FORM("lists of one", &level_type, "", UNCOUNTED,
                    "\x0a\x0a\x0a\x08\x0a\x06\x0a\x04\x0a\x02\x0a\0", ""),
            FORM("pairs", &steep_type, "", UNCOUNTED, "\x3a\0", ""),
            FORM("floats one by one", &steep_type, "", UNCOUNTED, "\x25----", ""),
            FORM("floats", &steep_type, "\x22", LEB_SIZE, "----", ""),
            FORM("unknown fields", &steep_type, "", UNCOUNTED, "\xf8\x01\0", ""),
            FORM("unknown groups", &steep_type, "", UNCOUNTED, "\xfb\x01\xfc\x01", ""),
            FORM("text that is not ASCII", &steep_type, "\x32", LEB_SIZE, "\xc3\xa4", ""),
            FORM("text that is half ASCII", &steep_type, "\x32", LEB_SIZE, "a\xc3\xa4", ""),
            FORM("messages of protobuf-c", &node_type, "", UNCOUNTED, "\x3a\0", ""),
            FORM("nested messages of protobuf-c", &node_type, "", UNCOUNTED,
                    "\x3a\x08\x3a\x06\x3a\x04\x3a\x02\x3a\0", ""),
            FORM("unknown fields of protobuf-c", &node_type, "", UNCOUNTED, "\x78\0", ""),
            FORM("texts of protobuf-c", &node_type, "", UNCOUNTED, "\x0a\0", ""),
            FORM("lists of protobuf-c", &leaf_type, "", UNCOUNTED, "\x1a\x01\x01", ""),
    };
    FORMS_COST(&cmds_codec_protobuf, forms);
}

static void test_codec_cost_of_protobuf_in_memory(void)
{
    static const struct form pages = FORM("pages, and fields that nobody knows", &shelf_type,
            TEN("\x0a\0\x0a\0"), UNCOUNTED, "\xf8\x07\x01", "");
    static const struct form leaves = FORM("messages, and a bool again and again", &leaf_type,
            TEN(TEN("\x6a\0\x6a\0\x6a\0\x6a\0\x6a\0")), UNCOUNTED,
            "\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\0", "");
    memory_is_paid_for(&cmds_codec_protobuf, &pages, 400);
    memory_is_paid_for(&cmds_codec_protobuf, &leaves, 1240);
}
#endif

static CU_TestInfo tests[] = {
        {"of msgpack", test_codec_cost_of_msgpack},
        {"of msgpack in memory", test_codec_cost_of_msgpack_in_memory},
#ifdef WITH_JSON
        {"of json", test_codec_cost_of_json},
        {"of json in memory", test_codec_cost_of_json_in_memory},
#endif
#ifdef WITH_MUS
        {"of mus", test_codec_cost_of_mus},
        {"of mus in memory", test_codec_cost_of_mus_in_memory},
        {"of mus in pieces", test_codec_cost_of_mus_in_pieces},
#endif
#ifdef WITH_PROTOBUF
        {"of protobuf", test_codec_cost_of_protobuf},
        {"of protobuf in memory", test_codec_cost_of_protobuf_in_memory},
#endif
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codec cost", tests)
