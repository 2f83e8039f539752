/* SPDX-License-Identifier: MIT */
/*
 * The tables of a protocol. Each contradiction that the compiler cannot see must be refused at
 * start with a sentence that names the type, and no protocol that is right may be; a type must be
 * found by its number whatever numbers there are.
 */
#include <stdio.h>

#include "codec/protocol.h"
#include "support/harness.h"
#include "support/shop.h"
#include "wire/varint.h"

struct value {
    int64_t value;
};
struct line {
    struct cmds_string text;
    bool last;
};
struct tick {
    uint32_t index;
};
CMDS_RESULT(value, 0, value);
CMDS_RESULT(line, 1, text, CMDS_LAST(last));
CMDS_RESULT_NEVER_LAST(tick, 300, index);
struct note {
    struct cmds_string text;
};
CMDS_COMMAND_ONE_WAY(note, 70000, text);
struct look {
    int64_t number;
};
CMDS_COMMAND_IDEMPOTENT(look, 70001, number);
CMDS_COMMAND_EMPTY_IDEMPOTENT(list, 70002);
CMDS_COMMAND_EMPTY(ping, 7);
struct padded {
    bool a;
    int64_t b;
    int32_t c;
};
CMDS_COMMAND(padded, 2, a, b, c); // Right: the holes are padding.

static const struct cmds_type *const good_commands[] = {
        &shop_order_type, &note_type, &ping_type, &padded_type};
static const struct cmds_type *const good_results[] = {&value_type, &line_type, &tick_type};
static const struct cmds_protocol good = CMDS_PROTOCOL("good", good_commands, good_results);

/* --- What is refused -------------------------------------------------------------------------- */

struct forgot {
    int64_t a, b;
};
CMDS_COMMAND(forgot, 0, a);
struct forgot_last {
    int32_t a, b, c;
};
CMDS_COMMAND(forgot_last, 0, a, b);
struct forgot_first {
    int64_t a;
    bool b;
};
CMDS_COMMAND(forgot_first, 0, b);
struct marked {
    bool x;
};
CMDS_COMMAND(marked, 0, CMDS_LAST(x));
struct same_name {
    int64_t a, b;
};
CMDS_COMMAND(same_name, 0, CMDS_AS(a, "x"), CMDS_AS(b, "x"));
struct no_name {
    int64_t a;
};
CMDS_COMMAND(no_name, 0, CMDS_AS(a, ""));
struct same_place {
    int64_t a;
};
CMDS_COMMAND(same_place, 0, a, CMDS_AS(a, "b"));
struct limited {
    int64_t a;
};
CMDS_COMMAND(limited, 0, CMDS_MAX(a, 5));
struct two_last {
    bool x, y;
};
CMDS_RESULT(two_last, 0, CMDS_LAST(x), CMDS_LAST(y));
struct never_last {
    bool x;
};
CMDS_RESULT_NEVER_LAST(never_last, 0, CMDS_LAST(x));
struct zero {
    int64_t a;
};
CMDS_COMMAND(zero, 0, a);

static void refuses_types(
        const struct cmds_type *a, const struct cmds_type *b, bool results, const char *words)
{
    const struct cmds_type *types[] = {a, b};
    struct cmds_protocol protocol = {.struct_size = sizeof(protocol), .name = "bad"};
    struct cmds_error error = CMDS_ERROR_INIT;
    uint32_t count = b != NULL ? 2 : 1;
    protocol.commands = results ? NULL : types;
    protocol.command_count = results ? 0 : count;
    protocol.results = results ? types : NULL;
    protocol.result_count = results ? count : 0;

    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, &error), CMDS_E_SCHEMA);
    CU_ASSERT_EQUAL(error.code, CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
    if (strstr(error.text, words) == NULL) {
        printf("got \"%s\", not \"%s\"\n", error.text, words);
    }
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), CMDS_E_SCHEMA);
}

static void test_schema_a_right_protocol_passes(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_protocol_check(&good, &error), 0);
    CU_ASSERT_EQUAL(error.code, 0);
    CU_ASSERT_STRING_EQUAL(error.text, "");
}

static void test_schema_forgotten_members_are_refused(void)
{
    refuses_types(&forgot_type, NULL, false, "struct forgot: bytes 8 to 15 belong to no field");
    refuses_types(
            &forgot_last_type, NULL, false, "struct forgot_last: bytes 8 to 11 belong to no field");
    refuses_types(&forgot_first_type, NULL, false,
            "struct forgot_first: bytes 0 to 7 belong to no field");
}

static void test_schema_contradicting_rows_are_refused(void)
{
    refuses_types(&same_name_type, NULL, false, "two fields are named x");
    refuses_types(&no_name_type, NULL, false, "field 0 has no name");
    refuses_types(&same_place_type, NULL, false, "fields a and b lie over each other");
    refuses_types(&limited_type, NULL, false, "no length that could be limited");
}

static void test_schema_contradicting_lists_are_refused(void)
{
    struct cmds_type renumbered = zero_type, nameless = zero_type;
    renumbered.number = 1;
    refuses_types(&zero_type, &forgot_type, false, "forgot");
    refuses_types(&zero_type, &zero_type, false, "zero and zero both have the number 0");
    refuses_types(&zero_type, &renumbered, false, "two commands are named zero");
    refuses_types(&value_type, NULL, false, "value is in the list of commands and is none");
    refuses_types(&zero_type, NULL, true, "zero is in the list of results and is none");
    nameless.schema = NULL;
    refuses_types(&nameless, NULL, false, "no type");
    nameless.struct_size = 0;
    refuses_types(&nameless, NULL, false, "no type");

    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_protocol_check(NULL, &error), CMDS_E_SCHEMA);
    struct cmds_protocol none = {0};
    CU_ASSERT_EQUAL(cmds_protocol_check(&none, NULL), CMDS_E_SCHEMA);
    none = (struct cmds_protocol){.struct_size = sizeof(none), .command_count = 1};
    CU_ASSERT_EQUAL(cmds_protocol_check(&none, NULL), CMDS_E_SCHEMA);
}

static void test_schema_contradicting_last_rules_are_refused(void)
{
    refuses_types(&marked_type, NULL, false, "command marked says which one is the last");
    refuses_types(&two_last_type, NULL, true, "2 CMDS_LAST members");
    refuses_types(&never_last_type, NULL, true, "overrides");
    struct cmds_type asked = value_type;
    asked.last = CMDS_LAST_BY_VALUE_;
    refuses_types(&asked, NULL, true, "contradict");
    struct cmds_type one_way = value_type;
    one_way.one_way = 1;
    refuses_types(&one_way, NULL, true, "one-way");
    struct cmds_type idempotent = value_type;
    idempotent.flags = CMDS_TYPE_IDEMPOTENT;
    refuses_types(&idempotent, NULL, true, "idempotent");
}

/* Rows by hand, each with one mistake. */
static void test_schema_impossible_rows_are_refused(void)
{
    static const struct cmds_field right = {
            "a", NULL, 0, 8, 0, 8, 0, CMDS_KIND_I64, CMDS_SHAPE_ONE, 0, 1};
    struct cmds_field row = right;
    struct cmds_schema schema = {sizeof(schema), sizeof(row), 1, 8, "hand", &row, NULL, {0}};
    struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = &schema};
    const struct cmds_type *types[] = {&type};
    const struct cmds_protocol protocol = CMDS_PROTOCOL("hand", types, good_results);
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
#define WITH(change, words) row = right, (change), refuses_types(&type, NULL, false, words)
    WITH(row.kind = 99, "kind 99");
    WITH(row.shape = 9, "shape 9");
    WITH(row.offset = 1, "lies outside");
    WITH(row.offset = UINT32_MAX, "lies outside");
    WITH(row.size = 4, "size is 4");
    WITH(row.item_size = 4, "item_size is 4");
    WITH(row.item_size = 0, "item_size is 0");
    WITH(row.kind = CMDS_KIND_STRUCT, "no schema");
    WITH((row.kind = CMDS_KIND_STRUCT, row.nested = &schema), "contains itself");
    WITH((row.shape = CMDS_SHAPE_OPTIONAL, row.item_offset = 0), "lies outside");
    WITH((row.shape = CMDS_SHAPE_ARRAY), "size is 8; it should be 16");
    WITH(row.flags = CMDS_FIELD_IS_LAST_, "must be a bool");
    WITH(row.flags = 2, "flags 0x2");
    WITH(row.name = NULL, "no name");
    WITH(row.name = "ab", "name_size is 1; it should be 2, or 0");
    WITH(row.name_size = 255, "name_size is 255; it should be 1, or 0");
#undef WITH
    row = right;
    schema.struct_size = offsetof(struct cmds_schema, compiled);
    refuses_types(&type, NULL, false, "of a header before 0.1");
    schema.struct_size = sizeof(schema);
    schema.field_stride = 7;
    refuses_types(&type, NULL, false, "stride of 7");
    schema.field_stride = sizeof(row);
    schema.value_size = 0;
    refuses_types(&type, NULL, false, "has 0 bytes");
}

struct long_names {
    bool a, bcd, e;
};
#define NAME_OF_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAME_OF_255                                                                                \
    NAME_OF_64 NAME_OF_64 NAME_OF_64                                                               \
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
CMDS_COMMAND(long_names, 0, CMDS_AS(a, NAME_OF_255), bcd, CMDS_AS(e, NAME_OF_255 "f"));

/* What does not fit into the row is counted by whoever needs it. */
static void test_schema_rows_say_how_long_their_names_are(void)
{
    const struct cmds_type *types[] = {&long_names_type};
    const struct cmds_protocol protocol = CMDS_PROTOCOL("long", types, good_results);
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
    CU_ASSERT_EQUAL(long_names_fields[0].name_size, 255);
    CU_ASSERT_EQUAL(long_names_fields[1].name_size, 3);
    CU_ASSERT_EQUAL(long_names_fields[2].name_size, 0);
    CU_ASSERT_EQUAL(line_fields[1].name_size, 4);
    CU_ASSERT(line_fields[1].flags == CMDS_FIELD_IS_LAST_ && line_fields[0].flags == 0);
}

/* A later library's flag must not be passed over in silence. */
static void test_schema_unknown_flags_are_refused(void)
{
    struct cmds_type type = zero_type;
    struct cmds_protocol protocol = good;
    for (unsigned bit = 2; bit < 8; bit++) {
        type.flags = (uint8_t)(1u << bit);
        refuses_types(&type, NULL, false, "does not know such a flag");
    }
    type.flags = 0;
    type.error_members = 1;
    refuses_types(&type, NULL, false, "does not know such a flag");
    protocol.unused = 1;
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), CMDS_E_SCHEMA);
}

struct oops {
    struct cmds_string text;
    int32_t other;
    int64_t code;
};
CMDS_RESULT_ERROR(oops, 3, CMDS_MAX(text, 100), other, CMDS_AS(code, "Code"));
struct ouch {
    int32_t code;
    struct cmds_string text;
};
CMDS_RESULT_ERROR(ouch, 4, code, text);

static void test_schema_error_results(void)
{
    static const struct cmds_type *const two[] = {&value_type, &oops_type, &ouch_type};
    static const struct cmds_type *const one[] = {&oops_type, &value_type};
    const struct cmds_protocol twice = CMDS_PROTOCOL("twice", good_commands, two);
    const struct cmds_protocol once = CMDS_PROTOCOL("once", good_commands, one);
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_protocol_check(&once, NULL), 0);
    CU_ASSERT_EQUAL(cmds_protocol_check(&twice, &error), CMDS_E_SCHEMA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "oops and ouch are both error results"));
    CU_ASSERT_EQUAL(oops_type.error_members,
            offsetof(struct oops, code) + 65536 * offsetof(struct oops, text));

    struct cmds_type type = oops_type;
    type.role = CMDS_ROLE_COMMAND;
    refuses_types(&type, NULL, false, "oops says that a command failed; only results");
    type = oops_type;
    type.error_members = offsetof(struct oops, other) + 65536 * offsetof(struct oops, other);
    refuses_types(&type, NULL, true, "error result oops: its code");
    type.error_members = 7;
    refuses_types(&type, NULL, true, "error result oops: its code");
    type = oops_type;
    type.last = CMDS_LAST_NEVER_;
    refuses_types(&type, NULL, true, "error result oops says which one is the last");
    type = marked_type;
    type.role = CMDS_ROLE_RESULT;
    type.flags = CMDS_TYPE_ERROR;
    refuses_types(&type, NULL, true, "error result marked");
}

static void test_schema_idempotent_commands(void)
{
    static const struct cmds_type *const types[] = {&look_type, &list_type};
    const struct cmds_protocol protocol = CMDS_PROTOCOL("idempotent", types, good_results);

    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
    CU_ASSERT_EQUAL(look_type.flags, CMDS_TYPE_IDEMPOTENT);
    CU_ASSERT_EQUAL(list_type.flags, CMDS_TYPE_IDEMPOTENT);
    CU_ASSERT_EQUAL(zero_type.flags, 0);
}

/* They are set aside for the library, and yet a protocol may have them, as in Go. */
static void test_schema_reserved_numbers_are_legal(void)
{
    struct cmds_type first = zero_type, last = shop_order_type;
    first.number = CMDS_NUMBER_RESERVED_MIN;
    last.number = CMDS_NUMBER_RESERVED_MAX;
    const struct cmds_type *const types[] = {&first, &last};
    const struct cmds_protocol protocol = CMDS_PROTOCOL("reserved", types, good_results);
    uint8_t wire[CMDI_VARINT_SIZE_MAX];

    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
    CU_ASSERT_PTR_EQUAL(cmdi_varint_encode(wire, CMDS_NUMBER_RESERVED_MIN), wire + 2);
    CU_ASSERT_EQUAL(memcmp(wire, "\x80\x7f", 2), 0);
    CU_ASSERT_PTR_EQUAL(cmdi_varint_encode(wire, CMDS_NUMBER_RESERVED_MAX), wire + 2);
    CU_ASSERT_EQUAL(memcmp(wire, "\xff\x7f", 2), 0);
}

/* A table built against a newer header has longer rows, of which it uses no more than we know. */
static void test_schema_longer_rows_are_read_by_their_stride(void)
{
    static const struct {
        struct cmds_field row;
        uint64_t newer;
    } rows[] = {{{"a", NULL, 0, 8, 0, 8, 0, CMDS_KIND_I64, CMDS_SHAPE_ONE, 0, 0}, 0},
            {{"b", NULL, 8, 8, 0, 8, 0, CMDS_KIND_I64, CMDS_SHAPE_ONE, 0, 0}, 0}};
    const struct cmds_schema schema = {
            sizeof(schema), sizeof(rows[0]), 2, 16, "newer", &rows[0].row, NULL, {0}};
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = &schema};
    const struct cmds_type *const types[] = {&type};
    const struct cmds_protocol protocol = CMDS_PROTOCOL("newer", types, good_results);
    const int64_t value[] = {1, 2};
    uint8_t out[8];

    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
    CU_ASSERT_EQUAL(cmds_codec_encode(&cmds_codec_msgpack, (struct cmds_message){&type, value}, out,
                            sizeof(out)),
            3);
    CU_ASSERT_EQUAL(memcmp(out, "\x92\1\2", 3), 0);
}

/* --- What is looked up ------------------------------------------------------------------------ */

static void test_schema_types_are_found_by_name(void)
{
    CU_ASSERT_PTR_EQUAL(cmds_protocol_command(&good, "note"), &note_type);
    CU_ASSERT_PTR_NULL(cmds_protocol_command(&good, "value"));
    CU_ASSERT_PTR_EQUAL(cmds_protocol_result(&good, "tick"), &tick_type);
    CU_ASSERT_PTR_NULL(cmds_protocol_result(&good, "note"));
    CU_ASSERT_PTR_NULL(cmds_protocol_result(&good, ""));
}

static void test_schema_types_are_found_by_number(void)
{
    static struct cmds_type types[600];
    const struct cmds_type *list[600];
    struct cmdi_type_table table;
    for (uint32_t i = 0; i < 600; i++) { // Even numbers, in no order, up to the end of the range.
        types[i] = value_type;
        types[i].number = 2 * (i * 7 % 600);
        types[i].number = types[i].number == 1198 ? UINT32_MAX : types[i].number;
        list[i] = &types[i];
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&table, list, 600), 0);

    for (uint32_t i = 0; i < 600; i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_type_table_find(&table, types[i].number), &types[i]);
        CU_ASSERT_PTR_NULL(
                cmdi_type_table_find(&table, (uint64_t)types[i].number + ((uint64_t)1 << 32)));
    }
    for (uint64_t number = 1; number < 1400; number += 2) {
        CU_ASSERT_PTR_NULL(cmdi_type_table_find(&table, number));
    }
    CU_ASSERT_PTR_NULL(cmdi_type_table_find(&table, UINT64_MAX));
    cmdi_type_table_fini(&table);
}

static void test_schema_an_empty_table_has_nothing(void)
{
    struct cmdi_type_table table;
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&table, NULL, 0), 0);
    CU_ASSERT_PTR_NULL(cmdi_type_table_find(&table, 0));
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, &value_type));
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, NULL));
    cmdi_type_table_fini(&table);
    cmdi_type_table_fini(&table);
}

/*
 * A header makes its types in each source file that includes it: the other file's copy is the same
 * type.
 */
static void test_schema_another_files_copy_is_the_same_type(void)
{
    struct cmdi_type_table table;
    struct cmds_schema schema = value_schema;
    struct cmds_type copy = value_type;
    copy.schema = &schema;
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&table, good_results, 3), 0);

    CU_ASSERT_TRUE(cmdi_type_table_has(&table, &value_type));
    CU_ASSERT_TRUE(cmdi_type_table_has(&table, &copy));
    CU_ASSERT_TRUE(cmdi_type_table_has(&table, &tick_type));
    // A command with the number of a result.
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, &zero_type));
    // Now by what the first time left.
    CU_ASSERT_TRUE(cmdi_type_table_has(&table, &copy));
    struct cmds_schema larger_schema = value_schema;
    larger_schema.value_size = 16;
    struct cmds_type larger = value_type;
    larger.schema = &larger_schema;
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, &larger));
    struct cmds_schema other_schema = value_schema;
    other_schema.name = "other";
    struct cmds_type other = value_type;
    other.schema = &other_schema;
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, &other));
    struct cmds_type moved = value_type;
    moved.number = 5;
    CU_ASSERT_FALSE(cmdi_type_table_has(&table, &moved));
    cmdi_type_table_fini(&table);
}

static bool index_is_odd(const void *value)
{
    return ((const struct tick *)value)->index % 2 == 1;
}

static void test_schema_the_last_result_is_told_by_its_rule(void)
{
    struct cmds_type asked = tick_type;
    asked.number = 9;
    asked.last = CMDS_LAST_BY_VALUE_;
    asked.is_last = index_is_odd;
    const struct cmds_type *const list[] = {&value_type, &line_type, &tick_type, &asked};
    struct cmdi_type_table table;
    CU_ASSERT_EQUAL_FATAL(cmdi_type_table_init(&table, list, 4), 0);

    CU_ASSERT_TRUE(cmdi_type_table_is_last(&table, &value_type, &(struct value){0}));
    CU_ASSERT_FALSE(cmdi_type_table_is_last(&table, &line_type, &(struct line){.last = false}));
    CU_ASSERT_TRUE(cmdi_type_table_is_last(&table, &line_type, &(struct line){.last = true}));
    CU_ASSERT_FALSE(cmdi_type_table_is_last(&table, &tick_type, &(struct tick){1}));
    CU_ASSERT_TRUE(cmdi_type_table_is_last(&table, &asked, &(struct tick){1}));
    CU_ASSERT_FALSE(cmdi_type_table_is_last(&table, &asked, &(struct tick){2}));
    cmdi_type_table_fini(&table);
}

static CU_TestInfo tests[] = {
        {"a right protocol passes", test_schema_a_right_protocol_passes},
        {"forgotten members are refused", test_schema_forgotten_members_are_refused},
        {"contradicting rows are refused", test_schema_contradicting_rows_are_refused},
        {"contradicting lists are refused", test_schema_contradicting_lists_are_refused},
        {"contradicting last rules are refused", test_schema_contradicting_last_rules_are_refused},
        {"impossible rows are refused", test_schema_impossible_rows_are_refused},
        {"rows say how long their names are", test_schema_rows_say_how_long_their_names_are},
        {"unknown flags are refused", test_schema_unknown_flags_are_refused},
        {"idempotent commands", test_schema_idempotent_commands},
        {"error results", test_schema_error_results},
        {"reserved numbers are legal", test_schema_reserved_numbers_are_legal},
        {"longer rows are read by their stride", test_schema_longer_rows_are_read_by_their_stride},
        {"types are found by name", test_schema_types_are_found_by_name},
        {"types are found by number", test_schema_types_are_found_by_number},
        {"an empty table has nothing", test_schema_an_empty_table_has_nothing},
        {"another file's copy is the same type", test_schema_another_files_copy_is_the_same_type},
        {"the last result is told by its rule", test_schema_the_last_result_is_told_by_its_rule},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("schema", tests)
