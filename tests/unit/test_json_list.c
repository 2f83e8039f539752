/* SPDX-License-Identifier: MIT */
/*
 * Lists, maps and bytes of the codec json. What may go wrong: another byte than Go's; null, in each
 * place where Go takes it; an element that keeps something of an earlier one; keys that are not in
 * order; an end that is only what was promised.
 */
#include <cmdstream/codec_json.h>

#define CASE_CODEC cmds_codec_json
#include "support/codec_case.h"

struct pair {
    int64_t a, b;
};
CMDS_SCHEMA(pair, CMDS_AS(a, "A"), CMDS_AS(b, "B"));
struct lists {
    CMDS_OPTIONAL_OF(struct cmds_map) om;
    CMDS_OPTIONAL_OF(struct cmds_bytes) ob;
    CMDS_ARRAY_OF(float) floats;
    CMDS_ARRAY_OF(double) doubles;
    CMDS_ARRAY_OF(struct cmds_bytes) blobs;
    CMDS_ARRAY_OF(struct cmds_map) maps;
    CMDS_ARRAY_OF(uint8_t) raw;
    CMDS_ARRAY_OF(int8_t) bits;
    bool html;
};
CMDS_COMMAND(lists, 0, CMDS_OPTIONAL(om), CMDS_OPTIONAL(ob), CMDS_ARRAY(floats),
        CMDS_ARRAY(doubles), CMDS_ARRAY(blobs), CMDS_ARRAY(maps), CMDS_ARRAY(raw), CMDS_ARRAY(bits),
        CMDS_AS(html, "a<b>&c"));
struct nulls {
    uint8_t id[3];
    CMDS_ARRAY_OF(int64_t) numbers;
    CMDS_ARRAY_OF(struct pair) pairs;
    CMDS_ARRAY_OF(struct cmds_string) texts;
    CMDS_ARRAY_OF(uint8_t) raw;
    struct cmds_bytes bytes;
    struct cmds_map map;
    CMDS_OPTIONAL_OF(struct pair) pair;
    CMDS_OPTIONAL_OF(int64_t) one;
    struct cmds_string text;
    struct pair plain;
};
CMDS_COMMAND(nulls, 1, id, CMDS_ARRAY(numbers), CMDS_ARRAY(pairs, pair), CMDS_ARRAY(texts),
        CMDS_ARRAY(raw), bytes, map, CMDS_OPTIONAL(pair, pair), CMDS_OPTIONAL(one), text,
        CMDS_NESTED(plain, pair));

static const struct cmds_codec *const json = &cmds_codec_json;

/* A value of its own, or the end of the test: free(). */
static struct nulls *read_nulls(const char *body)
{
    struct nulls *nulls = case_value(json, &nulls_type, body, strlen(body));
    CU_ASSERT_PTR_NOT_NULL_FATAL(nulls);
    return nulls;
}

/* --- Shapes ----------------------------------------------------------------------------------- */

static void test_json_lists_of_every_kind_are_those_of_go(void)
{
    static const char go[] =
            "{\"om\":{\"k\":\"v\"},\"ob\":\"+/"
            "8=\",\"floats\":[0.1,-2.5,3.4028235e+38],\"doubles\":[0."
            "1,1e+300,-0],\"blobs\":[\"\",\"AQID\",\"/"
            "w==\"],\"maps\":[{},{\"a\":\"\\u003c1\\u003e\","
            "\"b\":\"2\"}],\"raw\":\"ABCD\",\"bits\":[-128,127],\"a\\u003cb\\u003e\\u0026c\":true}";
    static const struct cmds_pair one[] = {{CMDS_STRING("k"), CMDS_STRING("v")}},
                                  two[] = {{CMDS_STRING("b"), CMDS_STRING("2")},
                                          {CMDS_STRING("a"), CMDS_STRING("<1>")}};
    static const float floats[] = {0.1f, -2.5f, 3.4028235e38f};
    static const double doubles[] = {0.1, 1e300, -0.0};
    static const struct cmds_bytes blobs[] = {{NULL, 0}, {"\1\2\3", 3}, {"\xff", 1}};
    static const struct cmds_map maps[] = {{NULL, 0}, {two, 2}};
    static const uint8_t raw[] = {0, 16, 131};
    static const int8_t bits[] = {-128, 127};
    struct lists lists = {.om = {true, {one, 1}},
            .ob = {true, {"\xfb\xff", 2}},
            .floats = {floats, 3},
            .doubles = {doubles, 3},
            .blobs = {blobs, 3},
            .maps = {maps, 2},
            .raw = {raw, 3},
            .bits = {bits, 2},
            .html = true};
    char body[sizeof(go)];
    for (int round = 0; round < 2; round++) { // The value, and what comes back of it.
        CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(json, lists_message(&lists), body, sizeof(body)),
                (int64_t)sizeof(go) - 1);
        CU_ASSERT_EQUAL(memcmp(body, go, sizeof(go) - 1), 0);
        struct lists *again = case_value(json, &lists_type, go, sizeof(go) - 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        CU_ASSERT(again->floats.items[2] == floats[2] && again->doubles.items[1] == 1e300);
        CU_ASSERT(again->blobs.items[2].size == 1 && again->maps.items[0].count == 0);
        int64_t size = cmds_codec_encode(json, lists_message(again), body, sizeof(body));
        CU_ASSERT(size == (int64_t)sizeof(go) - 1 && memcmp(body, go, (size_t)size) == 0);
        free(again);
    }
    static const char nothing[] =
            "{\"om\":null,\"ob\":null,\"floats\":[],\"doubles\":[],\"blobs\":[],"
            "\"maps\":[],\"raw\":\"\",\"bits\":[],\"a\\u003cb\\u003e\\u0026c\":"
            "false}";
    lists = (struct lists){0};
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(json, lists_message(&lists), body, sizeof(body)),
            (int64_t)sizeof(nothing) - 1);
    CU_ASSERT_EQUAL(memcmp(body, nothing, sizeof(nothing) - 1), 0);
}

static void test_json_other_shapes_are_refused(void)
{
    REFUSES(lists_type, "{\"floats\":{}}");
    REFUSES(lists_type, "{\"floats\":1}");
    REFUSES(lists_type, "{\"floats\":\"AAAA\"}");
    REFUSES(lists_type, "{\"floats\":[\"1\"]}");
    REFUSES(lists_type, "{\"floats\":[1,[]]}");
    REFUSES(lists_type, "{\"floats\":[1}");
    REFUSES(lists_type, "{\"floats\":[1,]}");
    REFUSES(lists_type, "{\"floats\":[1 2]}");
    REFUSES(lists_type, "{\"floats\":[1e39]}");
    REFUSES(lists_type, "{\"maps\":[[]]}");
    REFUSES(lists_type, "{\"maps\":[{\"a\":1}]}");
    REFUSES(lists_type, "{\"maps\":[{\"a\"}]}");
    REFUSES(lists_type, "{\"om\":[]}");
    REFUSES(lists_type, "{\"om\":{\"a\":\"b\",}}");
    REFUSES(lists_type, "{\"om\":{\"a\":\"b\"]}");
    REFUSES(lists_type, "{\"ob\":{}}");
    REFUSES(lists_type, "{\"ob\":1}");
    REFUSES(lists_type, "{\"ob\":[\"1\"]}");
    REFUSES(lists_type, "{\"raw\":[-1]}");
    REFUSES(lists_type, "{\"raw\":[1.0]}");
    REFUSES(lists_type, "{\"raw\":[256]}");
    REFUSES(lists_type, "{\"raw\":[nul]}");
    ACCEPTS(lists_type, "{\"raw\":[ ],\"floats\":[ ],\"om\":{ },\"maps\":[ { } , { } ] }");
}

static void test_json_base64_is_strict(void)
{
    ACCEPTS(shop_order_type, "{\"invoice\":\"\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":\"AA==\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":\"AA\\n==\\r\"}");
    ACCEPTS(shop_order_type, "{\"invoice\":[0,255]}");
    REFUSES(shop_order_type, "{\"invoice\":\"A\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"A===\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA=\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA=A\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA==AAAA\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA====\"}");
    REFUSES(shop_order_type, "{\"invoice\":\"AA-_\"}");
    REFUSES(shop_order_type, "{\"invoice\":[256]}");
}

/* Each byte as each of four digits: the 64 that are one mean their place, any other is refused. */
static void test_json_base64_has_64_digits(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (uint32_t i = 0; i < 8 * 0x60; i++) {
        char body[32];
        char byte = (char)(0x20 + i / 8);
        const char *digit = strchr(digits, byte);
        uint32_t place = i % 4;
        int size = snprintf(body, sizeof(body), "{\"ob\":\"%sAAAA\"}", i % 8 < 4 ? "" : "\\n");
        body[(uint32_t)size - 6 + place] = byte;
        if (byte == '"' || byte == '\\' || byte == '=') { // The text's own, and padding.
            continue;
        }
        struct lists *lists = case_value(json, &lists_type, body, (size_t)size);
        CU_ASSERT_EQUAL_FATAL(lists != NULL, digit != NULL);
        if (lists != NULL) {
            const uint8_t *bytes = lists->ob.value.data;
            uint32_t bits = (uint32_t)(digit - digits) << 6 * (3 - place);
            CU_ASSERT_EQUAL(lists->ob.value.size, 3);
            CU_ASSERT_EQUAL((uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2], bits);
            free(lists);
        }
    }
}

/* --- null ------------------------------------------------------------------------------------- */

static void test_json_null_is_an_element(void)
{
    struct nulls *nulls =
            read_nulls("{\"id\":[1,2,3],\"id\":[null,7,null],\"numbers\":[null,1,null],"
                       "\"pairs\":[null,{\"A\":null,\"B\":2}],\"texts\":[null,\"x\"],"
                       "\"raw\":[null,1],\"bytes\":[2,null],\"map\":{\"a\":null}}");
    CU_ASSERT_EQUAL(memcmp(nulls->id, "\1\7\3", 3), 0); // Stays what it was.
    CU_ASSERT(nulls->numbers.count == 3 && nulls->numbers.items[0] == 0);
    CU_ASSERT(nulls->numbers.items[1] == 1 && nulls->numbers.items[2] == 0);
    CU_ASSERT(nulls->pairs.count == 2 && nulls->pairs.items[0].b == 0);
    CU_ASSERT(nulls->pairs.items[1].a == 0 && nulls->pairs.items[1].b == 2);
    CU_ASSERT(nulls->texts.count == 2 && nulls->texts.items[0].size == 0);
    CU_ASSERT(nulls->raw.count == 2 && nulls->raw.items[0] == 0 && nulls->raw.items[1] == 1);
    CU_ASSERT(nulls->bytes.size == 2 && memcmp(nulls->bytes.data, "\2", 2) == 0);
    CU_ASSERT(nulls->map.count == 1 && nulls->map.items[0].value.size == 0);
    CU_ASSERT_PTR_NOT_NULL(nulls->map.items[0].value.data);
    free(nulls);
    REFUSES(nulls_type, "{\"id\":[null,nul,null]}");
    REFUSES(nulls_type, "{\"map\":{null:\"a\"}}");
    REFUSES(nulls_type, "{\"numbers\":[nulll]}");
}

static void test_json_null_empties_or_leaves(void)
{
    struct nulls *nulls = read_nulls(
            "{\"id\":[1,2,3],\"id\":null,\"numbers\":[1],\"numbers\":null,\"pairs\":[{}],"
            "\"pairs\":null,\"raw\":\"AA==\",\"raw\":null,\"bytes\":\"AA==\",\"bytes\":null,"
            "\"map\":{\"a\":\"b\"},\"map\":null,\"one\":5,\"one\":null,\"text\":\"x\","
            "\"text\":null,\"plain\":{\"A\":1},\"plain\":null}");
    CU_ASSERT_EQUAL(memcmp(nulls->id, "\1\2\3", 3), 0);
    CU_ASSERT(nulls->numbers.count == 0 && nulls->pairs.count == 0 && nulls->raw.count == 0);
    CU_ASSERT(nulls->bytes.size == 0 && nulls->map.count == 0 && !nulls->one.has);
    CU_ASSERT(nulls->text.size == 1 && nulls->plain.a == 1);
    free(nulls);
}

static void test_json_a_new_element_begins_as_zero(void)
{
    // Memory of the arena that something else has used before: the elements lie in it.
    struct nulls value;
    struct cmds_arena arena;
    cmdi_arena_init(&arena, CASE_ARENA_MAX);
    memset(cmds_arena_alloc(&arena, 2048, 16), 0xa5, 2048);
    cmdi_arena_reset(&arena);
    memset(&value, 0, sizeof(value));
    struct cmds_bytes in = {
            CASE_BYTES("{\"pairs\":[{\"B\":1},{},{\"A\":2}],\"numbers\":[null,null],"
                       "\"raw\":[null,null]}")};
    CU_ASSERT_EQUAL(json->decode(json, &nulls_type, in, &arena, &value), (int64_t)in.size);
    const struct pair *pairs = value.pairs.items;
    CU_ASSERT(pairs[0].a == 0 && pairs[0].b == 1 && pairs[1].a == 0 && pairs[1].b == 0);
    CU_ASSERT(pairs[2].a == 2 && pairs[2].b == 0);
    CU_ASSERT(value.numbers.items[0] == 0 && value.numbers.items[1] == 0);
    CU_ASSERT(value.raw.items[0] == 0 && value.raw.items[1] == 0);
    cmdi_arena_fini(&arena);
    // A list that comes twice is another list; an optional that null took back is another value.
    struct nulls *nulls =
            read_nulls("{\"pairs\":[{\"A\":1}],\"pairs\":[{\"B\":2}],\"pair\":{\"A\":1},"
                       "\"pair\":null,\"pair\":{\"B\":2},\"map\":{\"a\":\"1\"},\"map\":{"
                       "\"b\":\"2\",\"b\":\"3\"}}");
    CU_ASSERT(nulls->pairs.count == 1 && nulls->pairs.items[0].a == 0);
    CU_ASSERT(nulls->pair.has && nulls->pair.value.a == 0 && nulls->pair.value.b == 2);
    CU_ASSERT_EQUAL(nulls->map.count, 2);
    const struct cmds_string *found =
            cmds_map_find(nulls->map, (struct cmds_string)CMDS_STRING("b"));
    CU_ASSERT(found != NULL && found->size == 1 && found->data[0] == '3');
    free(nulls);
    nulls = read_nulls(
            "{\"pair\":{\"A\":1},\"pair\":{\"B\":2},\"one\":1,\"one\":null,\"one\":null}");
    CU_ASSERT(nulls->pair.has && nulls->pair.value.a == 1 && nulls->pair.value.b == 2);
    CU_ASSERT_FALSE(nulls->one.has);
    free(nulls);
}

/* --- The writer ------------------------------------------------------------------------------- */

static void test_json_keys_of_a_map_are_sorted(void)
{
    static const struct cmds_pair pairs[] = {{CMDS_STRING("b"), CMDS_STRING("1")},
            {CMDS_STRING("a"), CMDS_STRING("2")}, {CMDS_STRING("ab"), CMDS_STRING("3")},
            {CMDS_STRING("b"), CMDS_STRING("4")}};
    struct shop_order order = {.labels = {pairs, 4}};
    char body[1024];
    int64_t size = cmds_codec_encode(json, shop_order_message(&order), body, sizeof(body) - 1);
    CU_ASSERT_FATAL(size > 0);
    body[size] = '\0';
    // The last stays last.
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "{\"a\":\"2\",\"ab\":\"3\",\"b\":\"1\",\"b\":\"4\"}"));
}

enum {
    PAIR_COUNT_MAX = 300,
};

/* Keys in a shuffled order, some of them equal, prefixes of each other, or above ASCII. */
static void pairs_fill(struct cmds_pair *pairs, size_t count, uint64_t *state)
{
    static char keys[PAIR_COUNT_MAX][8], values[PAIR_COUNT_MAX][8];
    for (size_t i = 0; i < count; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        size_t size = (size_t)(*state >> 61);
        for (size_t k = 0; k < size; k++) {
            keys[i][k] = (char)('a' + (*state >> (8 * k + 5)) % 3);
        }
        int value_size = snprintf(values[i], sizeof(values[i]), "%zu", i);
        pairs[i] = (struct cmds_pair){{keys[i], size}, {values[i], (size_t)value_size}};
    }
}

/* Which one it was before: decoded text is not terminated. */
static size_t pair_number(const struct cmds_pair *pair)
{
    size_t number = 0;
    for (size_t i = 0; i < pair->value.size; i++) {
        number = 10 * number + (size_t)(pair->value.data[i] - '0');
    }
    return number;
}

/* Equal keys stay in the order in which they were. */
static bool is_in_order(const struct cmds_pair *a, const struct cmds_pair *b)
{
    size_t size = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = memcmp(a->key.data, b->key.data, size);
    if (order != 0 || a->key.size != b->key.size) {
        return order != 0 ? order < 0 : a->key.size < b->key.size;
    }
    return pair_number(a) < pair_number(b);
}

static void test_json_maps_of_every_size_are_sorted(void)
{
    static struct cmds_pair pairs[PAIR_COUNT_MAX];
    static char body[20000];
    uint64_t state = 7;
    for (size_t count = 0; count <= PAIR_COUNT_MAX; count += count < 40 || count >= 250 ? 1 : 7) {
        pairs_fill(pairs, count, &state);
        struct nulls value = {.map = {pairs, count}};
        int64_t size = cmds_codec_encode(json, nulls_message(&value), body, sizeof(body));
        CU_ASSERT_FATAL(size > 0);
        struct nulls *again = case_value(json, &nulls_type, body, (size_t)size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        CU_ASSERT_EQUAL_FATAL(again->map.count, count);
        size_t sum = 0, disordered = 0, moved = 0;
        for (size_t i = 0; i < count; i++) {
            const struct cmds_pair *pair = &again->map.items[i];
            sum += pair_number(pair);
            disordered += i > 0 && !is_in_order(pair - 1, pair);
            moved += pair_number(pair) != i;
        }
        CU_ASSERT_EQUAL(sum, count > 0 ? count * (count - 1) / 2 : 0); // Each of them, once.
        CU_ASSERT(count <= 256 ? disordered == 0 : moved == 0);        // Above it, as they are.
        free(again);
    }
}

/* The end that encode returns is that of what it has written, whatever it was promised. */
static void test_json_encode_returns_the_real_end(void)
{
    struct case_numbers numbers = {.i64 = 1000, .f64 = 0.5};
    uint8_t out[256];
    int64_t size = json->size(json, &case_numbers_type, &numbers);
    CU_ASSERT_FATAL(size > 0 && size < 200);
    CU_ASSERT_PTR_EQUAL(
            json->encode(json, &case_numbers_type, &numbers, out, (size_t)size), out + size);
    numbers.i64 = 10000; // Changed by another thread, say.
    CU_ASSERT_PTR_EQUAL(
            json->encode(json, &case_numbers_type, &numbers, out, (size_t)size), out + size + 1);
    numbers.i64 = 1;
    CU_ASSERT_PTR_EQUAL(
            json->encode(json, &case_numbers_type, &numbers, out, (size_t)size), out + size - 3);
    numbers.f64 = strtod("nan", NULL);
    CU_ASSERT_PTR_EQUAL(
            json->encode(json, &case_numbers_type, &numbers, out, (size_t)size), out + size - 6);
}

static CU_TestInfo tests[] = {
        {"lists of every kind are those of go", test_json_lists_of_every_kind_are_those_of_go},
        {"other shapes are refused", test_json_other_shapes_are_refused},
        {"base64 is strict", test_json_base64_is_strict},
        {"base64 has 64 digits", test_json_base64_has_64_digits},
        {"null is an element", test_json_null_is_an_element},
        {"null empties or leaves", test_json_null_empties_or_leaves},
        {"a new element begins as zero", test_json_a_new_element_begins_as_zero},
        {"keys of a map are sorted", test_json_keys_of_a_map_are_sorted},
        {"maps of every size are sorted", test_json_maps_of_every_size_are_sorted},
        {"encode returns the real end", test_json_encode_returns_the_real_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json_list", tests)
