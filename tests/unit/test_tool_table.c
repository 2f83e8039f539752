/* SPDX-License-Identifier: MIT */
/*
 * Tables of `cmdstream top` that the screen is too small for. What may go wrong: what is left out looks as if it
 * were not there, or it is just what whoever looks would have to see.
 */
#include "tool/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    SHARDS = 32,
    TYPES = 20,
};

/* Shard 29 is at its end, then 3; the others do little, those of a higher number more. */
static void figures_fill(struct tool_figures *figures, uint32_t shards, uint32_t types)
{
    *figures = (struct tool_figures){.shard_count = shards, .type_count = types, .connections = 8};
    figures->shards = calloc(shards, sizeof(*figures->shards));
    figures->types = calloc(types + 1u, sizeof(*figures->types));
    CU_ASSERT_FATAL(figures->shards != NULL && figures->types != NULL);
    for (uint32_t i = 0; i < shards; i++) {
        figures->shards[i].busy = i == 29 ? 1 : i == 3 ? 0.9 : i / 1000.0;
    }
    for (uint32_t i = 0; i < types; i++) {
        (void)snprintf(figures->types[i].name, TOOL_FIGURES_NAME_SIZE, "type_%u", i);
    }
}

/* The first word of each line, with a blank behind it. */
static void first_words(const struct tool_figures *figures, uint32_t lines, char words[512])
{
    char *text = NULL;
    size_t size = 0, end = 0;
    struct tool_table table = {.columns = 80, .lines = lines};
    table.out = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(table.out);
    tool_table_print(&table, figures);
    CU_ASSERT_EQUAL(fclose(table.out), 0);
    CU_ASSERT(table.line_count <= lines);
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        bool is_rest = strncmp(at, "... ", 4) == 0;
        end += (size_t)snprintf(
                words + end, 512 - end, "%.*s ", (int)strcspn(at, is_rest ? "\n" : " \n"), at);
    }
    free(text);
}

static void expect_words(uint32_t shards, uint32_t types, uint32_t lines, const char *golden)
{
    struct tool_figures figures;
    char words[512] = "";
    figures_fill(&figures, shards, types);
    first_words(&figures, lines, words);
    CU_ASSERT_STRING_EQUAL(words, golden);
    tool_figures_free(&figures);
}

static void test_tool_table_shows_the_busiest_shards_and_how_many_more(void)
{
    expect_words(
            SHARDS, 1, 15, "cmdstream  shard 29 3 31 30 28 27 26 ... 25 more all  type type_0 ");
    expect_words(SHARDS, 0, 8, "cmdstream  shard 29 3 31 ... 29 more all ");
    expect_words(4, 0, 10, "cmdstream  shard 0 1 2 3 all "); // There is room: in their order.
    expect_words(4, 1, 9, "cmdstream  shard 3 ... 3 more all  type type_0 ");
    expect_words(1, 0, 10, "cmdstream  shard all ");
}

static void test_tool_table_says_how_many_types_are_left_out(void)
{
    expect_words(2, TYPES, 13,
            "cmdstream  shard 0 1 all  type type_0 type_1 type_2 type_3 ... 16 more ");
    expect_words(SHARDS, TYPES, 12,
            "cmdstream  shard 29 3 ... 30 more all  type type_0 type_1 ... 18 more ");
    expect_words(2, 3, 11, "cmdstream  shard 0 1 all  type type_0 type_1 type_2 ");
}

static void test_tool_table_of_a_service_that_does_not_say_how_busy_it_is(void)
{
    struct tool_figures figures;
    char words[512] = "";
    figures_fill(&figures, SHARDS, 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        figures.shards[i].busy = NAN;
    }
    first_words(&figures, 8, words);
    CU_ASSERT_STRING_EQUAL(words, "cmdstream  shard 0 1 2 ... 29 more all ");
    tool_figures_free(&figures);
}

CU_TestInfo test_tool_table[] = {
        {"shows the busiest shards, and how many more",
                test_tool_table_shows_the_busiest_shards_and_how_many_more},
        {"says how many types are left out", test_tool_table_says_how_many_types_are_left_out},
        {"of a service that does not say how busy it is",
                test_tool_table_of_a_service_that_does_not_say_how_busy_it_is},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool_table", test_tool_table)
