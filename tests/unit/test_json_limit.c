/* SPDX-License-Identifier: MIT */
/*
 * The limits of the codec json. What may go wrong: a limit that is off by one, or is asked after
 * the memory was taken; more memory than the elements need, or room for fewer than come; depth that
 * is counted in one of two ways through a value; a struct that a hostile body could search for
 * minutes.
 */
#include <cmdstream/codec_json.h>

#define CASE_CODEC cmds_codec_json
#include "support/codec_case.h"
#include "support/steep.h"

struct pair {
    int64_t a, b;
};
CMDS_SCHEMA(pair, a, b);
struct rooms {
    CMDS_ARRAY_OF(int64_t) numbers;
    CMDS_ARRAY_OF(struct pair) pairs;
    CMDS_ARRAY_OF(struct cmds_string) texts;
    CMDS_ARRAY_OF(struct cmds_bytes) blobs;
    CMDS_ARRAY_OF(struct cmds_map) maps;
    CMDS_ARRAY_OF(uint8_t) raw;
    struct cmds_bytes bytes;
    struct cmds_map map;
    CMDS_OPTIONAL_OF(struct cmds_map) om;
    CMDS_OPTIONAL_OF(struct cmds_bytes) ob;
};
CMDS_COMMAND(rooms, 0, CMDS_ARRAY(numbers), CMDS_ARRAY(pairs, pair), CMDS_ARRAY(texts),
        CMDS_ARRAY(blobs), CMDS_ARRAY(maps), CMDS_ARRAY(raw), bytes, map, CMDS_OPTIONAL(om),
        CMDS_OPTIONAL(ob));
struct blobs {
    uint8_t id[3];
    uint8_t behind[5];
};
CMDS_COMMAND(blobs, 2, id, behind);

static const struct cmds_codec *const json = &cmds_codec_json;

static void test_json_limits_hold(void)
{
    ACCEPTS(case_limits_type,
            "{\"text\":\"xyz\",\"bytes\":\"AAAA\",\"name\":\"abc\",\"id\":[1,2]}");
    EXCEEDS(case_limits_type, "{\"text\":\"xyz!\"}");
    EXCEEDS(case_limits_type, "{\"bytes\":\"AAAAAA==\"}");
    EXCEEDS(case_limits_type, "{\"name\":\"abcd\"}");
    REFUSES(case_limits_type, "{\"id\":[1]}");
    REFUSES(case_limits_type, "{\"id\":[1,2,3]}");
    ACCEPTS(case_limits_type, "{\"map\":{\"a\":\"b\"}}");
    EXCEEDS(case_limits_type, "{\"map\":{\"a\":\"b\",\"c\":null}}");
}

/* Rows may have limits that no macro gives them: of an array, of what is optional. */
static void test_json_limits_of_rows_made_by_hand_hold(void)
{
    struct cmds_field fields[sizeof(rooms_fields) / sizeof(rooms_fields[0])];
    struct cmds_schema schema = rooms_schema;
    struct cmds_type limited_type = rooms_type;
    memcpy(fields, rooms_fields, sizeof(fields));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        fields[i].size_max = 2;
    }
    schema.fields = fields;
    limited_type.schema = &schema;
    ACCEPTS(limited_type, "{\"numbers\":[1,2],\"raw\":\"AAA=\",\"ob\":\"AAA=\"}");
    ACCEPTS(limited_type, "{\"raw\":[1,2],\"ob\":[1,2],\"om\":{\"a\":\"long\",\"long\":\"\"}}");
    ACCEPTS(limited_type, "{\"blobs\":[\"AAAAAAAA\",\"AAAAAAAA\"]}"); // Of the array, not of them.
    ACCEPTS(limited_type, "{\"maps\":[{\"a\":\"\",\"b\":\"\",\"c\":\"\"}]}");
    EXCEEDS(limited_type, "{\"numbers\":[1,2,3]}");
    EXCEEDS(limited_type, "{\"raw\":\"AAAA\"}");
    EXCEEDS(limited_type, "{\"raw\":[1,2,3]}");
    EXCEEDS(limited_type, "{\"ob\":\"AAAA\"}");
    EXCEEDS(limited_type, "{\"om\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}");
    EXCEEDS(limited_type, "{\"blobs\":[\"\",\"\",\"\"]}");
    EXCEEDS(limited_type, "{\"maps\":[{},{},{}]}");
}

struct leaf {
    int64_t a;
};
CMDS_SCHEMA(leaf, a);
struct twig {
    CMDS_ARRAY_OF(struct leaf) leaves;
};
CMDS_SCHEMA(twig, CMDS_ARRAY(leaves, leaf));
struct tree {
    CMDS_ARRAY_OF(struct twig) twigs;
};
CMDS_COMMAND(tree, 3, CMDS_ARRAY(twigs, twig));

/* Lists inside of lists are not counted ahead for ever: the last ones grow, and have their limit too. */
static void test_json_limits_of_lists_that_were_not_counted_hold(void)
{
    enum {
        TWIGS = 30
    };
    struct cmds_field twig_row = twig_fields[0], tree_row = tree_fields[0];
    struct cmds_schema twigs = twig_schema, trees = tree_schema;
    struct cmds_type limited_type = tree_type;
    twig_row.size_max = 2;
    twigs.fields = &twig_row;
    tree_row.nested = &twigs;
    trees.fields = &tree_row;
    limited_type.schema = &trees;
    char body[2048] = "{\"twigs\":[";
    for (int i = 0; i < TWIGS; i++) {
        (void)strcat(body, "{\"leaves\":[{\"a\":1},{\"a\":2}]},");
    }
    size_t size = strlen(body);
    memcpy(body + size, "{}]}", 5);
    CU_ASSERT_EQUAL(case_outcome(json, &limited_type, body, size + 4), (int64_t)size + 4);

    memcpy(body + size - 3, ",{}]},{}]}", 11); // One more in the last of them.
    CU_ASSERT_EQUAL(case_outcome(json, &limited_type, body, strlen(body)), CMDS_E_LIMIT);
}

static void test_json_an_element_too_many_is_written_nowhere(void)
{
    struct blobs value;
    struct cmds_arena arena;
    void *exact = NULL;
    struct cmds_bytes in = {CASE_BYTES("{\"behind\":[9,9,9,9,9],\"id\":[1,2,3,4,5,6]}")};
    CU_ASSERT_EQUAL(case_decode(json, &blobs_type, in, &value, &arena, &exact), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(memcmp(value.behind, "\t\t\t\t\t", 5), 0);
    cmdi_arena_fini(&arena);
    free(exact);
}

static void test_json_limits_of_bytes_and_counts_hold(void)
{
    ACCEPTS(case_limits_type, "{\"bytes\":[1,2,3]}");
    EXCEEDS(case_limits_type, "{\"bytes\":[1,2,3,4]}");
    EXCEEDS(case_limits_type, "{\"bytes\":[1,2,3,4],\"bytes\":[]}"); // Also one that is replaced.
    ACCEPTS(case_limits_type, "{\"bytes\":\"AA\\n\\n\\n\\nAA\"}");
    ACCEPTS(case_limits_type, "{\"bytes\":\"\"}");
    REFUSES(case_limits_type, "{\"bytes\":\"AAAAAAA\"}");
    REFUSES(case_limits_type, "{\"bytes\":\"AAAAA===\"}");
    REFUSES(case_limits_type, "{\"id\":[1,2,3]}");
    REFUSES(case_limits_type, "{\"id\":[1,2,null]}");
    REFUSES(case_limits_type, "{\"id\":[]}");
    REFUSES(case_limits_type, "{\"id\":\"AAA=\"}");
    REFUSES(case_limits_type, "{\"id\":[1,2}");
    ACCEPTS(case_limits_type, "{\"map\":{}}");
    EXCEEDS(case_limits_type, "{\"map\":{\"a\":\"b\",\"a\":\"b\"}}");
    EXCEEDS(case_limits_type, "{\"name\":\"abcd\",\"name\":\"\"}");
}

/* A body of `count` elements between a head and a tail. Returns: its size; free(*body). */
static size_t body_repeat(
        char **body, const char *head, const char *element, size_t count, const char *tail)
{
    size_t head_size = strlen(head), size = strlen(element), tail_size = strlen(tail);
    char *at = *body = malloc(head_size + count * (size + 1) + tail_size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at, head, head_size);
    at += head_size;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        memcpy(at, element, size);
        at += size;
    }
    memcpy(at, tail, tail_size);
    return head_size + count * size + (count > 0 ? count - 1 : 0) + tail_size;
}

static void test_json_lists_take_the_room_of_their_elements(void)
{
    static const struct {
        const char *head, *element, *tail;
        size_t item_size;
    } cases[] = {
            {"{\"numbers\":[", "1", "]}", sizeof(int64_t)},
            {"{\"pairs\":[", "{}", "]}", sizeof(struct pair)},
            {"{\"texts\":[", "\"]\"", "]}", sizeof(struct cmds_string)},
            {"{\"map\":{", "\"\":\"}\"", "}}", sizeof(struct cmds_pair)},
            {"{\"raw\":[", "1", "]}", 1},
            {"{\"bytes\":[", "null", "]}", 1},
    };
    enum {
        COUNT = 50000
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *body;
        size_t size = body_repeat(&body, cases[i].head, cases[i].element, COUNT, cases[i].tail);
        size_t room = COUNT * cases[i].item_size;
        for (size_t missing = 0; missing <= 16; missing += 16) {
            struct rooms value = {0};
            struct cmds_arena arena;
            cmdi_arena_init(&arena, room - missing);
            int64_t used = json->decode(
                    json, &rooms_type, (struct cmds_bytes){body, size}, &arena, &value);
            CU_ASSERT_EQUAL(used, missing == 0 ? (int64_t)size : CMDS_E_LIMIT);
            cmdi_arena_fini(&arena);
        }
        // Cut in the middle: nothing is taken for what is not whole.
        struct rooms value = {0};
        struct cmds_arena arena;
        cmdi_arena_init(&arena, CASE_ARENA_MAX);
        CU_ASSERT_EQUAL(json->decode(json, &rooms_type, (struct cmds_bytes){body, size - 2}, &arena,
                                &value),
                CMDS_E_PROTO);
        CU_ASSERT_EQUAL(arena.size, 0);
        cmdi_arena_fini(&arena);
        free(body);
    }
    char *base64;
    size_t base64_size = body_repeat(&base64, "{\"bytes\":\"", "AAA", 16384, "A\"}");
    memset(base64 + 10, 'A', base64_size - 12); // As many letters as four times 16384.
    for (size_t missing = 0; missing <= 16; missing += 16) {
        struct rooms value = {0};
        struct cmds_arena arena;
        cmdi_arena_init(&arena, 3 * 16384 - missing);
        struct cmds_bytes in = {base64, base64_size};
        CU_ASSERT_EQUAL(json->decode(json, &rooms_type, in, &arena, &value),
                missing == 0 ? (int64_t)base64_size : CMDS_E_LIMIT);
        cmdi_arena_fini(&arena);
    }
    free(base64);
    char *body; // Structs are larger than what says them: the arena's bound is what holds.
    size_t size = body_repeat(&body, "{\"items\":[", "{}", 100000, "]}");
    CU_ASSERT_EQUAL(case_outcome(json, &case_list_type, body, size), CMDS_E_LIMIT);
    free(body);
}

/* `count` times an opening and a closing around what is innermost. */
static size_t body_nest(char *body, const char *open, const char *inner, char close, size_t count)
{
    size_t size = strlen(open), at = 0;
    for (size_t i = 0; i < count; i++, at += size) {
        memcpy(body + at, open, size);
    }
    memcpy(body + at, inner, strlen(inner));
    at += strlen(inner);
    memset(body + at, close, count);
    return at + count;
}

static void test_json_depth_is_32(void)
{
    static char body[400000], whole[400100];
    static const struct {
        const char *open;
        char close;
    } kinds[] = {{"[", ']'}, {"{\"x\":", '}'}};
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t depth = 1; depth <= 40; depth++) { // Inside the struct, which is one more.
            size_t size = body_nest(body, kinds[kind].open, "1", kinds[kind].close, depth);
            int whole_size = snprintf(whole, sizeof(whole), "{\"x\":%.*s}", (int)size, body);
            CU_ASSERT_EQUAL(case_outcome(json, &rooms_type, whole, (size_t)whole_size),
                    depth + 1 <= 32 ? whole_size : CMDS_E_LIMIT);
        }
        // However deep, it does not recurse.
        size_t size = body_nest(body, kinds[kind].open, "1", kinds[kind].close, 50000);
        CU_ASSERT_EQUAL(case_outcome(json, &rooms_type, body, size),
                kind == 0 ? CMDS_E_PROTO : CMDS_E_LIMIT);
    }
    // Inside of an element that is for us, and behind one that was closed.
    size_t size = body_nest(body, "[", "", ']', 29);
    int whole_size =
            snprintf(whole, sizeof(whole), "{\"pairs\":[{\"x\":%.*s},{\"x\":%.*s}],\"x\":[%.*s]}",
                    (int)size, body, (int)size, body, (int)size, body);
    CU_ASSERT_EQUAL(case_outcome(json, &rooms_type, whole, (size_t)whole_size), whole_size);
    size = body_nest(body, "[", "", ']', 30);
    whole_size = snprintf(whole, sizeof(whole), "{\"pairs\":[{\"x\":%.*s}]}", (int)size, body);
    CU_ASSERT_EQUAL(case_outcome(json, &rooms_type, whole, (size_t)whole_size), CMDS_E_LIMIT);
}

/* --- The schema ------------------------------------------------------------------------------- */

enum {
    ROW_COUNT_MAX = 600,
};

/* A struct of `count` bools, each of which has its own name. */
static struct cmds_schema wide_schema(struct cmds_field *fields, uint32_t count)
{
    static char names[ROW_COUNT_MAX][16];
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "f%u", i);
        fields[i] = (struct cmds_field){.name = names[i],
                .offset = i,
                .size = 1,
                .item_size = 1,
                .kind = CMDS_KIND_BOOL,
                .shape = CMDS_SHAPE_ONE};
    }
    return (struct cmds_schema){sizeof(struct cmds_schema), sizeof(struct cmds_field), count, count,
            "wide", fields, NULL, {0}};
}

static void test_json_too_many_or_too_long_names_are_refused_at_start(void)
{
    static struct cmds_field fields[ROW_COUNT_MAX], outer[1];
    char name[300];
    memset(name, 'n', sizeof(name));
    for (uint32_t count = 511; count <= 514; count++) {
        struct cmds_schema wide = wide_schema(fields, count), nest = wide;
        outer[0] = (struct cmds_field){.name = "inner",
                .nested = &wide,
                .size = count,
                .item_size = count,
                .kind = CMDS_KIND_STRUCT,
                .shape = CMDS_SHAPE_ONE};
        nest.name = "nest";
        nest.fields = outer;
        nest.field_count = 1;
        struct cmds_type flat_type = rooms_type, nest_type = rooms_type;
        flat_type.schema = &wide;
        nest_type.schema = &nest;
        struct cmds_error error = CMDS_ERROR_INIT;
        int expected = count <= 512 ? 0 : CMDS_E_SCHEMA;
        CU_ASSERT_EQUAL(json->check(json, &flat_type, NULL), expected);
        CU_ASSERT_EQUAL(json->check(json, &nest_type, &error), expected);
        CU_ASSERT_EQUAL(error.code, expected);
        if (expected < 0) {
            CU_ASSERT(strstr(error.text, "json") != NULL && strstr(error.text, "wide") != NULL);
            CU_ASSERT(strstr(error.text, "nest") != NULL && strstr(error.text, "512") != NULL);
        }
    }
    for (size_t size = 254; size <= 257; size++) {
        struct cmds_schema wide = wide_schema(fields, 3);
        struct cmds_type type = rooms_type;
        struct cmds_error error = CMDS_ERROR_INIT;
        type.schema = &wide;
        name[size] = '\0';
        fields[1].name = name;
        CU_ASSERT_EQUAL(json->check(json, &type, &error), size <= 255 ? 0 : CMDS_E_SCHEMA);
        fields[1].kind = CMDS_KIND_RESERVED; // Whose name nobody looks at.
        CU_ASSERT_EQUAL(json->check(json, &type, NULL), 0);
        name[size] = 'n';
    }
    CU_ASSERT_EQUAL(json->check(json, &shop_order_type, NULL), 0);
}

static void test_json_the_longest_name_is_found(void)
{
    static struct cmds_field fields[3];
    static char name[256], body[2000];
    memset(name, 'k', 255);
    struct cmds_schema wide = wide_schema(fields, 3);
    struct cmds_type type = rooms_type;
    type.schema = &wide;
    fields[2].name = name;
    static const char *const letters[] = {"k", "K", "\u212a", "\\u212a"};
    for (size_t i = 0; i < 4; i++) {
        char *at = body + snprintf(body, sizeof(body), "{\"");
        for (int k = 0; k < 255; k++) {
            const char *letter = i == 3 && k > 0 ? "\u212a" : letters[i];
            memcpy(at, letter, strlen(letter));
            at += strlen(letter);
        }
        size_t size = (size_t)(at + snprintf(at, 16, "\":true}") - body);
        bool value[3] = {0};
        struct cmds_arena arena;
        cmdi_arena_init(&arena, CASE_ARENA_MAX);
        CU_ASSERT_EQUAL(json->decode(json, &type, (struct cmds_bytes){body, size}, &arena, value),
                (int64_t)size);
        CU_ASSERT(value[2] && !value[0] && arena.size == 0);
        cmdi_arena_fini(&arena);
    }
}

#define FIVE(text) text text text text text

/* Only what has been filled is cleared; an absent optional is null in our own encoding too. */
static void test_json_null_for_nothing_is_free(void)
{
    ACCEPTS(steep_type, "{" FIVE("\"book\":null,") "\"book\":null}");
    ACCEPTS(steep_type, "{\"book\":{},\"book\":null," FIVE("\"book\":null,") "\"book\":{}}");
    EXCEEDS(steep_type, "{" FIVE("\"book\":{},\"book\":null,") "\"book\":null}");
    struct steep *steep =
            case_value(json, &steep_type, CASE_BYTES("{\"book\":{\"blob\":null},\"book\":null}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(steep);
    CU_ASSERT_FALSE(steep->book.has);
    free(steep);
}

static CU_TestInfo tests[] = {
        {"limits hold", test_json_limits_hold},
        {"limits of rows made by hand hold", test_json_limits_of_rows_made_by_hand_hold},
        {"limits of lists that were not counted hold",
                test_json_limits_of_lists_that_were_not_counted_hold},
        {"an element too many is written nowhere",
                test_json_an_element_too_many_is_written_nowhere},
        {"limits of bytes and counts hold", test_json_limits_of_bytes_and_counts_hold},
        {"lists take the room of their elements", test_json_lists_take_the_room_of_their_elements},
        {"depth is 32", test_json_depth_is_32},
        {"too many or too long names are refused at start",
                test_json_too_many_or_too_long_names_are_refused_at_start},
        {"the longest name is found", test_json_the_longest_name_is_found},
        {"null for nothing is free", test_json_null_for_nothing_is_free},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json_limit", tests)
