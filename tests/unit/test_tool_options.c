/* SPDX-License-Identifier: MIT */
/*
 * The option parser. What may go wrong: half a number taken for a number, a value out of range, a
 * mistake that ends with status 0, a default that parsing overwrites, a scan that remembers the one
 * before, an option that is ignored because it stands twice or beside another.
 */
#include "tool/options.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/harness.h"

struct values {
    const char *text;
    double real;
    uint32_t number;
    bool flag;
};
static const struct tool_option rows[] = {
        TOOL_TEXT(values, "text", "TEXT", text, "a text"),
        TOOL_DOUBLE(values, "real", "R", real, 0, 10, "a real number"),
        TOOL_U32(values, "number", "N", number, 1, 100, "a number (default 7)"),
        TOOL_FLAG(values, "flag", flag, "a flag"),
};
static const struct tool_command command = {.usage = "x [OPTIONS] A [B]",
        .about = "About it.\n",
        .options = rows,
        .option_count = sizeof(rows) / sizeof(rows[0]),
        .positional_min = 1,
        .positional_max = 2};

/* The words as a shell would split them. What it prints on stderr is not what is tested here. */
static int options_parse(const char *words_of_it, struct values *values, struct tool_line *line)
{
    static char words[256];
    char *argv[16] = {NULL};
    int argc = 0;
    *values = (struct values){.number = 7};
    snprintf(words, sizeof(words), "x %s", words_of_it);
    for (char *word = strtok(words, " "); word != NULL && argc < 15; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    int kept = dup(STDERR_FILENO);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(stderr);
    dup2(null, STDERR_FILENO);
    int status = cmdi_tool_options_parse(&command, argc, argv, values, line);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    return status;
}

static void test_options_reads_every_kind(void)
{
    struct values values;
    struct tool_line line;

    CU_ASSERT_EQUAL(options_parse("--text=hi --real 2.5 --number 100 --flag A", &values, &line),
            TOOL_PARSED);

    CU_ASSERT_STRING_EQUAL(values.text, "hi");
    CU_ASSERT(values.real > 2.49 && values.real < 2.51);
    CU_ASSERT_EQUAL(values.number, 100);
    CU_ASSERT_TRUE(values.flag);
    CU_ASSERT_EQUAL(line.positional, 7);
}

static void test_options_keeps_defaults_and_forgets_the_scan_before(void)
{
    struct values values;
    struct tool_line line;

    CU_ASSERT_EQUAL(options_parse("--number 5 A", &values, &line), TOOL_PARSED);
    CU_ASSERT_EQUAL(options_parse("A", &values, &line), TOOL_PARSED);

    CU_ASSERT_EQUAL(values.number, 7);
    CU_ASSERT_PTR_NULL(values.text);
    CU_ASSERT_FALSE(values.flag);
    CU_ASSERT_EQUAL(line.positional, 1);
}

static void test_options_refuses_what_is_no_number_in_range(void)
{
    static const char *const bad[] = {"--number 0 A", "--number 101 A", "--number 5x A",
            "--number -1 A", "--number x A", "--number 99999999999999999999 A", "--real 10.5 A",
            "--real nan A", "--number= A", "--real 0x1 A", "--real 1e999 A", "--number 1e1 A"};
    struct values values;
    struct tool_line line;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(options_parse(bad[i], &values, &line), TOOL_EXIT_USAGE);
    }
    CU_ASSERT_EQUAL(options_parse("--number 1 A", &values, &line), TOOL_PARSED);
}

static void test_options_refuses_unknown_missing_and_too_many(void)
{
    static const char *const bad[] = {"--nonsense A", "-z A", "--text", "--flag=1 A", "", "A B C"};
    struct values values;
    struct tool_line line;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(options_parse(bad[i], &values, &line), TOOL_EXIT_USAGE);
    }
    CU_ASSERT_EQUAL(options_parse("A B", &values, &line), TOOL_PARSED);
}

static void test_options_refuses_what_stands_twice(void)
{
    static const char *const bad[] = {
            "--number 1 --number 1 A", "--flag --flag A", "--text a A --text b"};
    struct values values;
    struct tool_line line;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(options_parse(bad[i], &values, &line), TOOL_EXIT_USAGE);
    }
}

static void test_options_knows_what_was_given(void)
{
    struct values values;
    struct tool_line line;

    CU_ASSERT_EQUAL(options_parse("--number 7 --flag A", &values, &line), TOOL_PARSED);

    CU_ASSERT_TRUE(cmdi_tool_options_given(&command, &line, "number")); // Though it is the default.
    CU_ASSERT_TRUE(cmdi_tool_options_given(&command, &line, "flag"));
    CU_ASSERT_FALSE(cmdi_tool_options_given(&command, &line, "text"));
    CU_ASSERT_FALSE(cmdi_tool_options_given(&command, &line, "nonsense"));
}

static void test_options_rules_forbid_and_demand(void)
{
    static const struct tool_rule rules[] = {
            {"real", "number", false, "they contradict each other"}, {"flag", "text", true, NULL}};
    static const struct {
        const char *words;
        bool good;
    } cases[] = {{"--real 1 A", true}, {"--number 1 A", true}, {"--real 1 --number 1 A", false},
            {"--flag A", false}, {"--flag --text x A", true}, {"--text x A", true}, {"A", true}};
    struct values values;
    struct tool_line line;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(options_parse(cases[i].words, &values, &line), TOOL_PARSED);
        CU_ASSERT_EQUAL(cmdi_tool_options_obey(&command, "x", &line, rules, 2), cases[i].good);
    }
}

static void test_options_a_slip_resembles(void)
{
    CU_ASSERT_TRUE(cmdi_tool_resembles("serv", "serve"));
    CU_ASSERT_TRUE(cmdi_tool_resembles("sevre", "serve"));
    CU_ASSERT_TRUE(cmdi_tool_resembles("in-fligt", "in-flight"));
    CU_ASSERT_TRUE(cmdi_tool_resembles("do", "doctor"));
    CU_ASSERT_FALSE(cmdi_tool_resembles("x", "serve"));
    CU_ASSERT_FALSE(cmdi_tool_resembles("", "serve"));
    CU_ASSERT_FALSE(cmdi_tool_resembles("launch", "serve"));
    CU_ASSERT_TRUE(cmdi_tool_resembles("sarvx", "serve"));
    CU_ASSERT_FALSE(cmdi_tool_resembles("sarvxx", "serve")); // Three letters are no slip.
}

static void test_options_help_names_every_option(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);

    cmdi_tool_options_help(&command, out);

    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Usage: cmdstream x [OPTIONS] A [B]\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "--text TEXT "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "--real R "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "a real number; at most 10\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "a number (default 7); 1 to 100\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "--flag "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "--help "));
    free(text);
}

static CU_TestInfo test_tool_options[] = {
        {"reads every kind", test_options_reads_every_kind},
        {"keeps defaults, and forgets the scan before",
                test_options_keeps_defaults_and_forgets_the_scan_before},
        {"refuses what is no number in range", test_options_refuses_what_is_no_number_in_range},
        {"refuses unknown, missing and too many",
                test_options_refuses_unknown_missing_and_too_many},
        {"refuses what stands twice", test_options_refuses_what_stands_twice},
        {"knows what was given", test_options_knows_what_was_given},
        {"rules forbid and demand", test_options_rules_forbid_and_demand},
        {"a slip resembles what was meant", test_options_a_slip_resembles},
        {"help names every option", test_options_help_names_every_option},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool options", test_tool_options)
