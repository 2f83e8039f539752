/* SPDX-License-Identifier: MIT */
/*
 * The options --tls-... . What may go wrong: one is given and nothing comes of it, so that somebody
 * believes in encryption, or in a check, that is not there.
 */
#include "tool/tls.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/harness.h"

struct values {
    struct tool_tls tls;
};
static const struct tool_option client_rows[] = {TOOL_ROWS_TLS_CLIENT(values)};
static const struct tool_option server_rows[] = {TOOL_ROWS_TLS_SERVER(values)};
static const struct tool_command client = {.usage = "x",
        .about = "",
        .options = client_rows,
        .option_count = sizeof(client_rows) / sizeof(client_rows[0])};
static const struct tool_command server = {.usage = "x",
        .about = "",
        .options = server_rows,
        .option_count = sizeof(server_rows) / sizeof(server_rows[0])};

static char said[512];

static int tls_check(const struct tool_command *command, char *words, struct values *values)
{
    char *argv[24] = {NULL};
    int argc = 0;
    struct tool_line line;
    for (char *word = strtok(words, " "); word != NULL && argc < 23; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    int status = cmdi_tool_options_parse(command, argc, argv, values, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    return command == &client ? cmdi_tool_tls_check_client(command, "x", &line, &values->tls)
                              : cmdi_tool_tls_check_server(command, "x", &line, &values->tls);
}

/* The words as a shell would split them; what goes to stderr is in `said` then. */
static int tls_parse(
        const struct tool_command *command, const char *words_of_it, struct values *values)
{
    static char words[256];
    snprintf(words, sizeof(words), "x %s", words_of_it);
    *values = (struct values){0};
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);

    int status = tls_check(command, words, values);

    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    return status;
}

struct row {
    const char *words, *says; // NULL: it is fine.
};
static const struct row client_cases[] = {
        {"--tls", NULL},
        {"--tls --tls-ca a --tls-crl b --tls-server-name c --tls-cert d --tls-key e "
         "--tls-min-version 1.3 --tls-ciphers f --tls-alpn g",
                NULL},
        {"--tls --tls-min-version 1.2", NULL},
        {"--tls-ca a", "--tls-ca goes with --tls\n"},
        {"--tls-crl a", "--tls-crl goes with --tls\n"},
        {"--tls-server-name a", "--tls-server-name goes with --tls\n"},
        {"--tls-cert a --tls-key b", "--tls-cert goes with --tls\n"},
        {"--tls-key a", "--tls-key goes with --tls\n"},
        {"--tls-min-version 1.3", "--tls-min-version goes with --tls\n"},
        {"--tls-ciphers a", "--tls-ciphers goes with --tls\n"},
        {"--tls-alpn a", "--tls-alpn goes with --tls\n"},
        {"--tls --tls-cert a", "--tls-cert goes with --tls-key\n"},
        {"--tls --tls-key a", "--tls-key goes with --tls-cert\n"},
        {"--tls --tls-crl a", "--tls-crl goes with --tls-ca: "},
        {"--tls --tls-min-version 1.1", "--tls-min-version is 1.2 or 1.3, not \"1.1\"\n"},
        {"--tls --tls-min-version 13", "--tls-min-version is 1.2 or 1.3, not \"13\"\n"},
};
static const struct row server_cases[] = {
        {"--tls-cert a --tls-key b", NULL},
        {"--tls-cert a --tls-key b --tls-ca c", NULL},
        {"--tls-cert a --tls-key b --tls-ca c --tls-crl d --tls-require-client-cert "
         "--tls-min-version 1.3 --tls-ciphers e --tls-alpn f",
                NULL},
        {"--tls-cert a", "--tls-cert goes with --tls-key\n"},
        {"--tls-key a", "--tls-key goes with --tls-cert\n"},
        {"--tls-ca a", "--tls-ca goes with --tls-cert: "},
        {"--tls-ca a --tls-require-client-cert", "--tls-ca goes with --tls-cert: "},
        {"--tls-cert a --tls-key b --tls-crl c", "--tls-crl goes with --tls-ca: "},
        {"--tls-cert a --tls-key b --tls-require-client-cert",
                "--tls-require-client-cert goes with --tls-ca: "},
        {"--tls-require-client-cert", "--tls-require-client-cert goes with --tls-ca: "},
        {"--tls-min-version 1.2", "--tls-min-version goes with --tls-cert: "},
        {"--tls-ciphers a", "--tls-ciphers goes with --tls-cert: "},
        {"--tls-alpn a", "--tls-alpn goes with --tls-cert: "},
        {"--tls-cert a --tls-key b --tls-min-version x",
                "--tls-min-version is 1.2 or 1.3, not \"x\"\n"},
};

static void tls_check_cases(
        const struct tool_command *command, const struct row *rows, size_t count)
{
    struct values values;
    for (size_t i = 0; i < count; i++) {
        int status = tls_parse(command, rows[i].words, &values);
#ifdef CMDSTREAM_HAS_TLS
        CU_ASSERT_EQUAL(status, rows[i].says == NULL ? TOOL_PARSED : TOOL_EXIT_USAGE);
        CU_ASSERT(rows[i].says == NULL ? said[0] == '\0' : strstr(said, rows[i].says) != NULL);
#else
        CU_ASSERT_EQUAL(status, TOOL_EXIT_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, ": this build has no TLS; "));
        CU_ASSERT_PTR_NOT_NULL(strstr(said, "cmdstream x: --tls"));
#endif
    }
}

static void test_tls_client_refuses_what_would_be_ignored(void)
{
    tls_check_cases(&client, client_cases, sizeof(client_cases) / sizeof(client_cases[0]));
}

static void test_tls_server_refuses_what_would_be_ignored(void)
{
    tls_check_cases(&server, server_cases, sizeof(server_cases) / sizeof(server_cases[0]));
}

static void test_tls_there_is_none_unless_asked_for(void)
{
    struct values values;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *tls = (void *)&values;

    CU_ASSERT_EQUAL(tls_parse(&client, "", &values), TOOL_PARSED);
    CU_ASSERT_EQUAL(cmdi_tool_tls_make_client(&tls, &values.tls, &error), 0);
    CU_ASSERT_PTR_NULL(tls);

    tls = (void *)&values;
    CU_ASSERT_EQUAL(tls_parse(&server, "", &values), TOOL_PARSED);
    CU_ASSERT_EQUAL(cmdi_tool_tls_make_server(&tls, &values.tls, &error), 0);
    CU_ASSERT_PTR_NULL(tls);
    cmdi_tool_tls_free(tls);
}

static CU_TestInfo test_tool_tls[] = {
        {"a client refuses what would be ignored", test_tls_client_refuses_what_would_be_ignored},
        {"a server refuses what would be ignored", test_tls_server_refuses_what_would_be_ignored},
        {"there is none unless asked for", test_tls_there_is_none_unless_asked_for},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool tls", test_tool_tls)
