/* SPDX-License-Identifier: MIT */
/*
 * Tables that a program of another version has made: with members that this library does not know,
 * and without some that it does. Each lies at the end of a page behind which nothing may be read.
 */
#include <cmdstream/codec.h>
#include <cmdstream/dispatch.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec/codec.h"
#include "codec/protocol.h"
#include "group/dispatch.h"
#include "support/harness.h"

struct note {
    int64_t number;
    struct cmds_string text;
};
CMDS_COMMAND(note, 0, number, text);
static const struct cmds_type *const note_commands[] = {&note_type};
static const struct cmds_type *const no_results[] = {NULL};
static const struct cmds_protocol notes = {
        sizeof(struct cmds_protocol), 1, 0, 0, "notes", note_commands, no_results};

/* `size` bytes: the first `from_size` as they are there, zeros behind them. */
static void *at_the_edge(const void *from, size_t from_size, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages =
            mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(pages, MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(mprotect(pages + page, page, PROT_NONE), 0);
    uint8_t *table = pages + page - size;
    memcpy(table, from, from_size < size ? from_size : size);
    return table;
}

static void away(const void *table)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)table & ~(uintptr_t)(page - 1);
    CU_ASSERT_EQUAL(munmap((void *)begin, 2 * page), 0);
}

/* A codec of `size` bytes, whose last byte is `last`. Returns: what start says. */
static int codec_outcome(uint32_t size, uint8_t last)
{
    struct cmds_codec mine = cmds_codec_msgpack;
    mine.struct_size = size;
    uint8_t *codec = at_the_edge(&mine, sizeof(mine), size);
    codec[size - 1] |= last;
    struct cmds_codec *table = (struct cmds_codec *)(void *)codec;
    int code = cmdi_codec_check(table, &notes, NULL);
    if (code == 0) {
        struct note note = {7, CMDS_STRING("seven")};
        uint8_t body[64];
        void *again = NULL;
        int64_t used = cmds_codec_encode(table, note_message(&note), body, sizeof(body));
        CU_ASSERT(used > 0);
        struct cmds_bytes in = {body, used > 0 ? (size_t)used : 0};
        CU_ASSERT_EQUAL(cmds_codec_decode(table, &note_type, in, &again), 0);
        table->flags |= CMDS_CODEC_SELF_DELIMITING; // The one that is asked for find_end.
        free(again);
        again = NULL;
        CU_ASSERT_EQUAL(cmds_codec_decode(table, &note_type, in, &again), 0);
        free(again);
    }
    away(table);
    return code;
}

static void test_tables_a_codec_of_another_version(void)
{
    const uint32_t least = offsetof(struct cmds_codec, find_end), size = sizeof(struct cmds_codec);
    CU_ASSERT_EQUAL(codec_outcome(size, 0), 0);
    CU_ASSERT_EQUAL(codec_outcome(size + 64, 0), 0);
    CU_ASSERT_EQUAL(codec_outcome(size + 64, 1), -E2BIG);
    CU_ASSERT_EQUAL(codec_outcome(size, 1), -E2BIG); // A member that is reserved today.
    CU_ASSERT_EQUAL(codec_outcome(least, 0), 0);
    CU_ASSERT_EQUAL(codec_outcome(least - 8, 0), -EINVAL);
    struct cmds_codec unsized = cmds_codec_msgpack, flagged = cmds_codec_msgpack;
    unsized.struct_size = 0;
    CU_ASSERT_EQUAL(cmdi_codec_check(&unsized, &notes, NULL), -EINVAL);
    flagged.flags = CMDS_CODEC_DESCRIPTORS << 1;
    CU_ASSERT_EQUAL(cmdi_codec_check(&flagged, &notes, NULL), -E2BIG);
    flagged.flags = 0;
    flagged.unused = 1;
    CU_ASSERT_EQUAL(cmdi_codec_check(&flagged, &notes, NULL), -E2BIG);
}

static int dispatch_outcome(uint32_t size, uint8_t last)
{
    struct cmds_dispatch mine = cmds_dispatch_round_robin;
    mine.struct_size = size;
    uint8_t *table = at_the_edge(&mine, sizeof(mine), size);
    table[size - 1] |= last;
    int code = cmdi_dispatch_check((struct cmds_dispatch *)(void *)table, NULL);
    away(table);
    return code;
}

static void test_tables_a_strategy_of_another_version(void)
{
    const uint32_t least = offsetof(struct cmds_dispatch, reserved);
    const uint32_t size = sizeof(struct cmds_dispatch);
    CU_ASSERT_EQUAL(dispatch_outcome(size, 0), 0);
    CU_ASSERT_EQUAL(dispatch_outcome(size + 64, 0), 0);
    CU_ASSERT_EQUAL(dispatch_outcome(size + 64, 1), -E2BIG);
    CU_ASSERT_EQUAL(dispatch_outcome(size, 1), -E2BIG);
    CU_ASSERT_EQUAL(dispatch_outcome(least, 0), 0);
    CU_ASSERT_EQUAL(dispatch_outcome(least - 8, 0), -EINVAL);
}

/* Rows of `stride`, a schema and a type that are longer by as much; the last byte of one is set. */
static int protocol_outcome(uint32_t more, unsigned set)
{
    uint32_t stride = sizeof(struct cmds_field) + more;
    uint8_t *rows = at_the_edge("", 0, 2 * (size_t)stride);
    for (size_t i = 0; i < 2; i++) {
        memcpy(rows + i * stride, &note_fields[i], sizeof(note_fields[i]));
    }
    struct cmds_schema mine = note_schema;
    mine.struct_size += more;
    mine.field_stride = stride;
    mine.fields = (struct cmds_field *)(void *)rows;
    uint8_t *schema = at_the_edge(&mine, sizeof(mine), mine.struct_size);
    struct cmds_type type = note_type;
    type.struct_size += more;
    type.schema = (struct cmds_schema *)(void *)schema;
    uint8_t *types = at_the_edge(&type, sizeof(type), type.struct_size);
    rows[2 * stride - 1] |= set == 1;
    schema[mine.struct_size - 1] |= set == 2;
    types[type.struct_size - 1] |= set == 3;
    const struct cmds_type *list[] = {(struct cmds_type *)(void *)types};
    struct cmds_protocol protocol = notes;
    protocol.commands = list;
    int code = cmds_protocol_check(&protocol, NULL);
    if (code == 0) {
        CU_ASSERT_TRUE(cmdi_type_same(list[0], &note_type));
        CU_ASSERT_EQUAL(codec_outcome(sizeof(struct cmds_codec), 0), 0);
    }
    cmdi_types_forget();
    away(rows);
    away(schema);
    away(types);
    return code;
}

static void test_tables_a_protocol_of_another_version(void)
{
    CU_ASSERT_EQUAL(protocol_outcome(0, 0), 0);
    CU_ASSERT_EQUAL(protocol_outcome(16, 0), 0);
    for (unsigned set = 1; set <= 3; set++) {
        CU_ASSERT_EQUAL(protocol_outcome(16, set), CMDS_E_SCHEMA);
    }
    struct cmds_type type = note_type; // Before descriptors had names.
    type.struct_size = offsetof(struct cmds_type, descriptor_name);
    struct cmds_type *shorter = at_the_edge(&type, sizeof(type), type.struct_size);
    const struct cmds_type *list[] = {shorter};
    struct cmds_protocol protocol = notes;
    protocol.commands = list;
    CU_ASSERT_EQUAL(cmds_protocol_check(&protocol, NULL), 0);
    CU_ASSERT_TRUE(cmdi_type_same(shorter, &note_type));
    cmdi_types_forget();
    away(shorter);
}

static CU_TestInfo tests[] = {
        {"a codec of another version", test_tables_a_codec_of_another_version},
        {"a strategy of another version", test_tables_a_strategy_of_another_version},
        {"a protocol of another version", test_tables_a_protocol_of_another_version},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tables", tests)
