/* SPDX-License-Identifier: MIT */
/*
 * Our own ways through msgpack beside those that they were made from: every value is written as msgpack-c's
 * packer writes it, byte for byte, in two walks and in one, and refused with the same code; whatever bytes come, they are read as the
 * reader over msgpack-c's parser reads them. Over schemas and values by chance, and bytes that are nearly right. The
 * same for structs that have code of their own (compiled.h), up to wherever that stops.
 *
 * CMDS_TWIN_FIRST and CMDS_TWIN_ROUNDS choose other rounds; a round that fails names its number.
 */
#include "codec/arena.h"
#include "msgpack/msgpack.h"
#include "support/harness.h"
#include "support/try_case.h"
#include "support/twin.h"

enum {
    ROUNDS = 1500,
    ODD = 9,    // Bodies of each value that are written as others write, or beyond a limit.
    BODIES = 8, // Broken ones of each.
    ARENA_MAX = 1 << 24,
};

/* --- Structs with code ------------------------------------------------------------------------ */

struct plain {
    bool b;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
    struct cmds_string string;
    struct cmds_bytes bytes;
};
CMDS_SCHEMA(plain, b, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, string, bytes);

struct narrow {
    struct cmds_string first;
    struct cmds_bytes second;
    struct cmds_string third;
    bool last;
};
CMDS_SCHEMA(
        narrow, CMDS_MAX(first, 5), CMDS_MAX(second, 32), CMDS_MAX(third, 255), CMDS_LAST(last));

/* The code stops in the middle, and what follows is nested, is a list of what has code, or is plain. */
struct mixed {
    int64_t number;
    struct cmds_string name;
    struct narrow inner;
    CMDS_ARRAY_OF(struct plain) many;
    CMDS_OPTIONAL_OF(struct narrow) perhaps;
    CMDS_OPTIONAL_OF(int64_t) count;
    char text[12];
    uint8_t blob[5];
    struct cmds_map map;
    double behind;
};
CMDS_SCHEMA(mixed, number, CMDS_AS(name, "n"), CMDS_NESTED(inner, narrow), CMDS_ARRAY(many, plain),
        CMDS_OPTIONAL(perhaps, narrow), CMDS_OPTIONAL(count), text, blob, map, behind);

/* It stops at once. */
struct late {
    CMDS_ARRAY_OF(int64_t) numbers;
    int64_t behind;
};
CMDS_SCHEMA(late, CMDS_ARRAY(numbers), behind);
struct removed {
    uint32_t before;
    int16_t behind;
};
CMDS_SCHEMA(removed, before, CMDS_RESERVED, behind);

struct fifteen {
    int64_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
};
CMDS_SCHEMA(fifteen, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
struct sixteen {
    int64_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
};
CMDS_SCHEMA(sixteen, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);

static const struct cmds_schema *const coded[] = {&plain_schema, &narrow_schema, &mixed_schema,
        &late_schema, &removed_schema, &fifteen_schema, &sixteen_schema};
enum {
    CODED = sizeof(coded) / sizeof(coded[0]),
};

static uint64_t executions;

/* What one of the two has made of a body, as msgpack-c writes it. */
struct outcome {
    struct cmds_arena arena;
    int64_t used;
    msgpack_sbuffer bytes;
};

static void outcome_take(struct outcome *outcome, const struct cmds_type *type,
        struct cmds_bytes body, bool by_codec)
{
    const struct cmds_schema *schema = type->schema;
    void *value = calloc(1, schema->value_size);
    TWIN_NEED(value != NULL);
    cmdi_arena_init(&outcome->arena, ARENA_MAX);
    cmdi_arena_begin(&outcome->arena, schema->value_size, body.size);
    msgpack_sbuffer_init(&outcome->bytes);
    outcome->used = by_codec ? cmds_codec_msgpack.decode(
                                       &cmds_codec_msgpack, type, body, &outcome->arena, value)
                             : cmdi_msgpack_read(schema, body, &outcome->arena, value);
    if (outcome->used >= 0) {
        TWIN_NEED(twin_encode(schema, value, 0, NULL, &outcome->bytes) == 0);
    }
    free(value);
}

static void outcome_drop(struct outcome *outcome)
{
    msgpack_sbuffer_destroy(&outcome->bytes);
    cmdi_arena_fini(&outcome->arena);
}

/* What the straight way gives up is zero for who begins anew. */
static bool is_left_clean(const struct cmds_type *type, const uint8_t *data, size_t size)
{
    const size_t value_size = type->schema->value_size;
    struct cmds_arena arena;
    uint8_t *value = calloc(2, value_size);
    TWIN_NEED(value != NULL);
    cmdi_arena_init(&arena, ARENA_MAX);
    cmdi_arena_begin(&arena, value_size, size);
    bool clean = cmdi_msgpack_read_straight(
                         type->schema, (struct cmds_bytes){data, size}, &arena, value) ||
                 memcmp(value, value + value_size, value_size) == 0;
    cmdi_arena_fini(&arena);
    free(value);
    return clean;
}

static bool is_read_alike(const struct cmds_type *type, const uint8_t *data, size_t size)
{
    struct outcome ours, theirs;
    // So that the byte behind the last one is none of the block, even if there are none.
    uint8_t *block = malloc(size + 1);
    TWIN_NEED(block != NULL);
    uint8_t *exact = block + 1;
    memcpy(exact, data, size);
    outcome_take(&ours, type, (struct cmds_bytes){exact, size}, true);
    outcome_take(&theirs, type, (struct cmds_bytes){exact, size}, false);
    bool alike = ours.used == theirs.used && ours.bytes.size == theirs.bytes.size &&
                 (ours.bytes.size == 0 ||
                         memcmp(ours.bytes.data, theirs.bytes.data, ours.bytes.size) == 0);
    outcome_drop(&ours);
    outcome_drop(&theirs);
    alike = alike && is_left_clean(type, exact, size);
    free(block);
    executions++;
    return alike;
}

static bool is_written_alike(const struct cmds_codec *codec, const struct cmds_type *type,
        const uint8_t *value, msgpack_sbuffer *buffer)
{
    bool as_map = codec == &cmds_codec_msgpack_map;
    int code = twin_encode(type->schema, value, as_map ? UINT64_MAX : 0, NULL, buffer);
    int64_t size = codec->size(codec, type, value);
    executions++;
    if (code < 0 || size != (int64_t)buffer->size) {
        return code < 0 && size == code && try_agrees_everywhere(codec, type, value, NULL, size);
    }
    const uint8_t guard = 0x5a; // More is stored than counts, but not behind the end.
    uint8_t *bytes = malloc((size_t)size + 1);
    TWIN_NEED(bytes != NULL);
    bytes[size] = guard;
    bool alike = codec->encode(codec, type, value, bytes, (size_t)size) == bytes + size &&
                 memcmp(bytes, buffer->data, (size_t)size) == 0 && bytes[size] == guard &&
                 try_agrees_everywhere(codec, type, value, bytes, size);
    free(bytes);
    return alike;
}

/* A few bytes are others, missing, or too many. Returns: the size. */
static size_t break_body(struct twin *twin, uint8_t *body, size_t size)
{
    static const uint8_t heads[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
            0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1,
            0xd2, 0xd3, 0xd4, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    uint32_t near = size < 64 ? (uint32_t)size : 64;
    switch (twin_below(twin, 8)) {
    case 0:
        return twin_below(twin, (uint32_t)size + 1);
    case 1:
        body[size] = heads[twin_below(twin, sizeof(heads))];
        return size + 1;
    case 2:
        memmove(body + 1, body, size);
        body[0] = heads[twin_below(twin, sizeof(heads))];
        return size + 1;
    case 3:
        body[twin_below(twin, near)] = (uint8_t)twin_next(twin);
        return size;
    case 4: // One more, or less, of a count, a length or a number.
        body[twin_below(twin, near)] += (uint8_t)(twin_below(twin, 2) == 0 ? 1 : -1);
        return size;
    case 5:
        for (uint32_t i = 0; i < near; i++) {
            body[i] = twin_below(twin, 6) == 0 ? (uint8_t)twin_next(twin) : body[i];
        }
        return size;
    default:
        body[twin_below(twin, (uint32_t)size)] = heads[twin_below(twin, sizeof(heads))];
        return size;
    }
}

static bool are_read_alike(
        struct twin *twin, const struct cmds_type *type, const msgpack_sbuffer *buffer)
{
    bool alike = is_read_alike(type, (const uint8_t *)buffer->data, buffer->size);
    uint8_t *body = malloc(buffer->size + 8);
    TWIN_NEED(body != NULL);
    for (int i = 0; i < BODIES && alike; i++) {
        memcpy(body, buffer->data, buffer->size);
        size_t size = break_body(twin, body, buffer->size);
        size = size > 0 && twin_below(twin, 3) == 0 ? break_body(twin, body, size) : size;
        alike = is_read_alike(type, body, size);
    }
    free(body);
    return alike;
}

static bool is_schema_good(struct twin *twin, const struct cmds_schema *schema)
{
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = schema};
    uint8_t *value = twin_block(twin, schema->value_size);
    twin_fill(twin, schema, value);
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    bool good = is_written_alike(&cmds_codec_msgpack, &type, value, &buffer) &&
                is_written_alike(&cmds_codec_msgpack_map, &type, value, &buffer);
    uint64_t maps[] = {0, UINT64_MAX, twin_next(twin)};
    for (int i = 0; i < 3 + ODD && good; i++) {
        struct twin *odd = i < 3 ? NULL : twin;
        if (twin_encode(schema, value, maps[i % 3], odd, &buffer) == 0) {
            good = are_read_alike(twin, &type, &buffer);
        }
    }
    msgpack_sbuffer_destroy(&buffer);
    return good;
}

static bool is_round_good(uint64_t number)
{
    static struct twin twin;
    twin = (struct twin){.state = number};
    twin.breaks_limits = twin_below(&twin, 4) == 0;
    bool good = is_schema_good(&twin, twin_schema(&twin, 0));
    twin_fini(&twin);
    twin.breaks_limits = twin_below(&twin, 4) == 0;
    good = good && is_schema_good(&twin, coded[number % CODED]);
    twin_fini(&twin);
    return good;
}

static uint64_t asked(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_msgpack_is_written_and_read_as_msgpack_c_does_it(void)
{
    uint64_t first = asked("CMDS_TWIN_FIRST", 1), rounds = asked("CMDS_TWIN_ROUNDS", ROUNDS);
    for (uint64_t number = first; number < first + rounds; number++) {
        if (!is_round_good(number)) {
            printf("round %llu\n", (unsigned long long)number);
            CU_FAIL_FATAL("it differs");
        }
    }
    printf("(%llu executions) ", (unsigned long long)executions);
    CU_ASSERT(executions >= rounds * 2);
}

/* How many rows the code of a schema leaves, of a value that is written as we write it; and both ways alike. */
static size_t rows_left(const struct cmds_schema *schema)
{
    static struct twin twin;
    twin = (struct twin){.state = 1};
    uint8_t *value = twin_block(&twin, schema->value_size), out[4096];
    twin_fill(&twin, schema, value);
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = schema};
    int64_t size = cmds_codec_msgpack.size(&cmds_codec_msgpack, &type, value);
    CU_ASSERT_FATAL(size > 0 && size <= (int64_t)sizeof(out));
    struct cmds_written_ written = schema->compiled.write(out, out + sizeof(out), value);
    (void)cmds_codec_msgpack.encode(&cmds_codec_msgpack, &type, value, out, (size_t)size);
    struct cmds_read_ read = schema->compiled.read(out, out + size, value);
    // Room for the rows alone, and for what they hold.
    size_t room = CMDS_ITEM_ROOM_ * ((size_t)schema->field_count + 2) + (size_t)size;
    CU_ASSERT_EQUAL(schema->compiled.write(out, out + room, value).left, written.left);
    CU_ASSERT_EQUAL(read.left, written.left);
    CU_ASSERT(read.left != 0 || (read.at == out + size && written.at == out + size));
    twin_fini(&twin);
    return read.left;
}

static void test_msgpack_code_takes_what_is_plain(void)
{
#if defined(__OPTIMIZE__) && !defined(CMDS_NO_COMPILED_CODEC)
    CU_ASSERT_EQUAL(rows_left(&plain_schema), 0);
    CU_ASSERT_EQUAL(rows_left(&narrow_schema), 0);
    CU_ASSERT_EQUAL(rows_left(&fifteen_schema), 0);
    CU_ASSERT_EQUAL(rows_left(&mixed_schema), 8);
    CU_ASSERT_EQUAL(rows_left(&late_schema), 2);
    CU_ASSERT_EQUAL(rows_left(&removed_schema), 2);
    CU_ASSERT_PTR_NULL(sixteen_schema.compiled.of);
#else
    CU_ASSERT_PTR_NULL(plain_schema.compiled.of);
    (void)rows_left;
#endif
}

/* --- Who calls it ----------------------------------------------------------------------------- */

struct counted {
    int64_t number; // 0 to 127.
};
CMDS_COMMAND(counted, 0, number);
CMDS_TRACED(counted_traced, 1, counted);
struct counted_many {
    CMDS_ARRAY_OF(struct counted) many;
    struct counted inner;
};
CMDS_SCHEMA(counted_many, CMDS_ARRAY(many, counted), CMDS_NESTED(inner, counted));

static uint32_t reads, writes;

static struct cmds_read_ counted_read_here(const uint8_t *at, const uint8_t *behind, void *to)
{
    struct counted *counted = to;
    if (behind - at < 2 || at[0] != 0x91 || at[1] > 0x7f) {
        return (struct cmds_read_){at, CMDS_NOT_BEGUN_};
    }
    reads++;
    counted->number = at[1];
    return (struct cmds_read_){at + 2, 0};
}

static struct cmds_written_ counted_write_here(
        uint8_t *out, const uint8_t *behind, const void *from)
{
    const struct counted *counted = from;
    if (behind - out < 2) {
        return (struct cmds_written_){out, CMDS_NOT_BEGUN_};
    }
    writes++;
    out[0] = 0x91;
    out[1] = (uint8_t)counted->number;
    return (struct cmds_written_){out + 2, 0};
}

/* Writes and reads it. Returns: as often as so the code was called, both ways. */
static bool is_called(const struct cmds_schema *schema, const void *from, uint32_t count)
{
    const struct cmds_codec *codec = &cmds_codec_msgpack;
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = schema};
    uint8_t out[256], again[256];
    uint64_t to[16] = {0};
    struct cmds_arena arena;
    reads = writes = 0;
    int64_t size = codec->try_encode(codec, &type, from, out, sizeof(out));
    CU_ASSERT_FATAL(size > 0);
    cmdi_arena_init(&arena, ARENA_MAX);
    cmdi_arena_begin(&arena, schema->value_size, (size_t)size);
    CU_ASSERT_EQUAL(
            codec->decode(codec, &type, (struct cmds_bytes){out, (size_t)size}, &arena, to), size);
    bool called = reads == count && writes == count;
    CU_ASSERT_EQUAL(codec->try_encode(codec, &type, to, again, sizeof(again)), size);
    CU_ASSERT_EQUAL(memcmp(out, again, (size_t)size), 0);
    cmdi_arena_fini(&arena);
    return called;
}

static void test_msgpack_code_is_called_wherever_the_struct_is(void)
{
    static const struct counted three[] = {{1}, {2}, {127}};
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const struct cmds_pair pair = {CMDS_STRING("traceparent"), {parent, sizeof(parent) - 1}};
    struct cmds_schema schema = counted_schema, many = counted_many_schema;
    struct cmds_schema traced = *counted_traced_type.schema;
    struct cmds_field many_rows[2], traced_rows[2];
    schema.compiled = (struct cmds_compiled){&schema, counted_read_here, counted_write_here};
    memcpy(many_rows, counted_many_fields, sizeof(many_rows));
    memcpy(traced_rows, counted_traced_fields, sizeof(traced_rows));
    many_rows[0].nested = many_rows[1].nested = traced_rows[1].nested = &schema;
    many.fields = many_rows;
    traced.fields = traced_rows;

    CU_ASSERT_TRUE(is_called(&schema, &three[1], 1));
    CU_ASSERT_TRUE(is_called(&many, &(struct counted_many){{three, 3}, {5}}, 4));
    CU_ASSERT_TRUE(is_called(&traced, &(struct counted_traced){{true, {&pair, 1}}, {7}}, 1));
    CU_ASSERT_TRUE(is_called(&traced, &(struct counted_traced){{false, {NULL, 0}}, {7}}, 1));
}

/* A float that is no number keeps its bits only as far as msgpack-c keeps them. */
static void test_msgpack_what_is_no_number_is_read_alike(void)
{
    struct only {
        float number;
    };
    static const struct cmds_field row = {
            "n", NULL, 0, 4, 0, 4, 0, CMDS_KIND_F32, CMDS_SHAPE_ONE, 0, 1};
    const struct cmds_schema schema = {
            sizeof(schema), sizeof(row), 1, sizeof(struct only), "only", &row, NULL, CMDS_NO_CODE_};
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = &schema};
    for (uint32_t i = 0; i < 24; i++) {
        uint32_t bits = 0x7f800000u | 1u << i % 23 | (i == 23 ? 1u << 31 : 0);
        const uint8_t body[] = {0x91, 0xca, (uint8_t)(bits >> 24), (uint8_t)(bits >> 16),
                (uint8_t)(bits >> 8), (uint8_t)bits};
        CU_ASSERT_TRUE(is_read_alike(&type, body, sizeof(body)));
    }
}

/* As a program that has learnt of other rows at run time does it. */
static void test_msgpack_a_copy_with_other_rows_goes_by_these(void)
{
    static const struct cmds_field row = {
            "a", NULL, 0, 1, 0, 1, 0, CMDS_KIND_I8, CMDS_SHAPE_ONE, 0, 1};
    static const uint8_t body[] = {0x91, 0x05};
    struct cmds_schema schema = removed_schema;
    schema.fields = &row;
    schema.field_count = 1;
    schema.value_size = 1;
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = &schema};
    struct cmds_arena arena;
    int8_t got[4] = {0, 9, 9, 9};
    uint8_t out[64];
    cmdi_arena_init(&arena, ARENA_MAX);
    CU_ASSERT_EQUAL(cmds_codec_msgpack.decode(&cmds_codec_msgpack, &type,
                            (struct cmds_bytes){body, sizeof(body)}, &arena, got),
            sizeof(body));
    CU_ASSERT(got[0] == 5 && got[1] == 9 && got[2] == 9 && got[3] == 9);
    CU_ASSERT_EQUAL(
            cmds_codec_msgpack.try_encode(&cmds_codec_msgpack, &type, got, out, sizeof(out)),
            sizeof(body));
    CU_ASSERT_EQUAL(memcmp(out, body, sizeof(body)), 0);
    cmdi_arena_fini(&arena);
}

static void test_msgpack_nothing_is_no_value(void)
{
    const struct cmds_codec *codecs[] = {&cmds_codec_msgpack, &cmds_codec_msgpack_map};
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = &removed_schema};
    for (size_t i = 0; i < 2; i++) {
        struct removed got = {0};
        struct cmds_arena arena;
        cmdi_arena_init(&arena, ARENA_MAX);
        CU_ASSERT_EQUAL(
                codecs[i]->decode(codecs[i], &type, (struct cmds_bytes){NULL, 0}, &arena, &got),
                CMDS_E_PROTO);
        cmdi_arena_fini(&arena);
    }
}

static const CU_TestInfo tests[] = {
        {"code is called wherever the struct is",
                test_msgpack_code_is_called_wherever_the_struct_is},
        {"what is no number is read alike", test_msgpack_what_is_no_number_is_read_alike},
        {"a copy with other rows goes by these", test_msgpack_a_copy_with_other_rows_goes_by_these},
        {"nothing is no value", test_msgpack_nothing_is_no_value},
        {"the code of a schema takes what is plain", test_msgpack_code_takes_what_is_plain},
        {"it is written and read as msgpack-c does it",
                test_msgpack_is_written_and_read_as_msgpack_c_does_it},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("msgpack_twin", tests)
