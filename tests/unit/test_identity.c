/* SPDX-License-Identifier: MIT */
/*
 * Which type a value is of. The pointer that a result or a command holds is the peer's choice, so a
 * value of another protocol must never be read as a struct of this one, however much the two have in
 * common; and a header's type is the same in every source file.
 */
#include <cmdstream/test.h>

#include <stdlib.h>
#include <string.h>

#include "codec/protocol.h"
#include "support/harness.h"
#include "support/twice.h"

/* Of another protocol: the tag and the number and the size of twice_pair, but other members. */
static const struct cmds_field other_rows[] = {
        {"a", NULL, 0, 16, 0, 16, 0, CMDS_KIND_STRING, CMDS_SHAPE_ONE, 0, 0},
        {"parts", &twice_part_schema, 16, 16, 0, sizeof(struct twice_part), 0, CMDS_KIND_STRUCT,
                CMDS_SHAPE_ARRAY, 0, 0},
};
static const struct cmds_schema other_schema = {sizeof(struct cmds_schema),
        sizeof(struct cmds_field), 2, sizeof(struct twice_pair), "twice_pair", other_rows, NULL,
        {0}};
static const struct cmds_type other_type = {sizeof(struct cmds_type), 0, CMDS_ROLE_RESULT, 0, 0, 0,
        0, &other_schema, NULL, NULL, NULL, NULL};

static const struct cmds_type *const commands[] = {&twice_ask_type};
static const struct cmds_type *const results[] = {&twice_pair_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("twice", commands, results);

static bool here, elsewhere, other;

static int exec_ask(struct cmds_call *call, const struct twice_ask *ask)
{
    static const struct twice_part part = {CMDS_STRING("part")};
    struct twice_pair pair = {ask->number, 5, {&part, 1}};
    struct cmds_message wrong = {&other_type, &pair};
    here = twice_ask_of(call) == ask;
    elsewhere = twice_ask_elsewhere(call) == ask;
    other = cmds_call_value(call, &other_type) != NULL || cmds_call_value(call, NULL) != NULL;
    int code = cmds_call_send(call, wrong);
    CU_ASSERT_EQUAL(code, CMDS_E_WRONG_TYPE);
    return cmds_call_send(call, twice_message_elsewhere(&pair));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(twice_ask, exec_ask)};

static void test_identity_is_what_the_type_says(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_test *test = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_test_open(&test, &options, NULL), 0);

    struct twice_ask ask = {0x41414141};
    CU_ASSERT_EQUAL(cmds_test_send(test, twice_ask_message(&ask)), 0);

    CU_ASSERT(here && elsewhere && !other);
    const struct cmds_result *result = cmds_test_result(test, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    CU_ASSERT_PTR_NOT_EQUAL(twice_type_elsewhere(), &twice_pair_type);
    CU_ASSERT_PTR_NOT_NULL(twice_pair_of(result));
    for (int i = 0; i < 3; i++) { // By looking, then by what is known.
        CU_ASSERT_PTR_NOT_NULL(twice_pair_elsewhere(result));
    }
    CU_ASSERT_PTR_NULL(cmds_result_value(result, &other_type));
    CU_ASSERT_PTR_NULL(cmds_result_value(result, NULL));
    cmds_test_close(test);
}

/* Every member of a row and of a type counts. */
static void test_identity_any_difference_is_another_type(void)
{
    struct cmds_field rows[3];
    for (int i = 0; i < 12; i++) {
        memcpy(rows, twice_pair_fields, sizeof(rows));
        struct cmds_schema part = twice_part_schema, schema = twice_pair_schema;
        struct cmds_type type = twice_pair_type;
        schema.fields = rows;
        type.schema = &schema;
        rows[2].nested = &part;
        CU_ASSERT_TRUE(cmdi_type_same(&twice_pair_type, &type));
        cmdi_types_forget(); // As a server does that lets go of it: there will be another one here.
        type.number += i == 0;
        type.role = i == 1 ? CMDS_ROLE_COMMAND : type.role;
        type.last = i == 2 ? CMDS_LAST_NEVER_ : type.last;
        schema.name = i == 3 ? "twice_pair_" : schema.name;
        schema.field_count -= i == 4;
        rows[0].name = i == 5 ? "c" : rows[0].name;
        rows[1].kind = i == 6 ? CMDS_KIND_U64 : rows[1].kind;
        rows[1].offset -= i == 7 ? 8 : 0;
        rows[2].nested = i == 8 ? &schema : rows[2].nested;
        part.name = i == 9 ? "part" : part.name;
        rows[2].size_max = i == 10 ? 7 : 0;
        type.flags = i == 11;
        CU_ASSERT_FALSE(cmdi_type_same(&twice_pair_type, &type));
    }
}

/* A descriptor that two libraries have brought along is told apart by its name. */
static void test_identity_of_descriptors(void)
{
    static const int one, two;
    struct cmds_type a = twice_pair_type, b = twice_pair_type;
    a.descriptor = &one;
    b.descriptor = &two;
    CU_ASSERT_FALSE(cmdi_type_same(&a, &b));
    a.descriptor_name = "pair__descriptor";
    b.descriptor_name = "ask__descriptor";
    CU_ASSERT_FALSE(cmdi_type_same(&a, &b));
    b.descriptor_name = "pair__descriptor";
    CU_ASSERT_TRUE(cmdi_type_same(&a, &b));
    cmdi_types_forget();
    b.struct_size = offsetof(struct cmds_type, descriptor_name); // By an older header.
    CU_ASSERT_FALSE(cmdi_type_same(&a, &b));
    b.descriptor = NULL;
    CU_ASSERT_FALSE(cmdi_type_same(&a, &b));
    cmdi_types_forget();
}

static CU_TestInfo tests[] = {
        {"is what the type says", test_identity_is_what_the_type_says},
        {"any difference is another type", test_identity_any_difference_is_another_type},
        {"of descriptors", test_identity_of_descriptors},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("identity", tests)
