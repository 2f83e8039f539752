/* SPDX-License-Identifier: MIT */
/*
 * Where a log goes. What may go wrong: a line that its reader cannot read (JSON that a peer's bytes
 * break, a field of the journal that a line's end splits), a thread that waits for a reader who is
 * gone, a line that is lost without a word. Each test says it in a child, whose stderr it reads.
 */
#include "shard/sinks.h"

#include <cmdstream/log.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/harness.h"

enum {
    SAID_MAX = 65536,
    FULL = 16384, // Of a pipe: four pages.
};
static char said[SAID_MAX];
static enum cmds_log_level everything = CMDS_LOG_DEBUG;

/* What `say` writes to stderr, in `said`; at most what a pipe holds. */
static void hear(void (*say)(void))
{
    int pipes[2];
    int status = 1;
    CU_ASSERT_FATAL(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        say();
        _exit(0);
    }
    CU_ASSERT_FATAL(child > 0);
    (void)close(pipes[1]);
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < SAID_MAX - 1) {
        got = read(pipes[0], said + size, SAID_MAX - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    said[size] = '\0';
    (void)close(pipes[0]);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

/* Of a record with everything in it. */
static struct cmds_log_record whole_record(void)
{
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_WARN;
    record.reason = CMDS_REASON_EXEC;
    record.shard = 3;
    record.left_out = 12;
    record.code = CMDS_E_TIMEOUT;
    record.time_ns = 951827696789012345u; // 2000-02-29
    record.connection = 77;
    record.peer = "[2001:db8::1]:40022";
    record.type = "calc_add";
    record.sequence = 9;
    memcpy(record.trace_id, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
    memcpy(record.span_id, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
    record.text = "it \"failed\" \\ at \303\244\n\377\303";
    return record;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void say_whole_json(void)
{
    const struct cmds_log_record record = whole_record();
    cmds_log_json(NULL, &record);
}

static void test_json_says_everything(void)
{
    hear(say_whole_json);

    CU_ASSERT_STRING_EQUAL(said,
            "{\"timestamp\":\"2000-02-29T12:34:56.789012345Z\",\"severity_text\":\"WARN\","
            "\"severity_number\":13,\"body\":\"it \\\"failed\\\" \\\\ at \303\244???\","
            "\"attributes\":{\"cmdstream.reason\":\"exec\",\"cmdstream.shard\":3,"
            "\"cmdstream.connection\":77,\"network.peer.address\":\"2001:db8::1\","
            "\"network.peer.port\":40022,\"cmd-stream.command.type\":\"calc_add\","
            "\"cmd-stream.command.seq\":9,\"error.type\":\"CMDS_E_TIMEOUT\","
            "\"cmdstream.left_out\":12},\"trace_id\":\"0123456789abcdef0123456789abcdef\","
            "\"span_id\":\"fedcba9876543210\"}\n");
}

static void say_short_json(void)
{
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.text = "x";
    cmds_log_json(NULL, &record); // DEBUG: below the default.
    cmds_log_json(&everything, &record);
    record.level = CMDS_LOG_ERROR;
    record.peer = "unix:/run/x:9000";
    cmds_log_json(NULL, &record);
}

static void test_json_leaves_out_what_is_not_known(void)
{
    hear(say_short_json);

    CU_ASSERT_STRING_EQUAL(said,
            "{\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"severity_text\":\"DEBUG\","
            "\"severity_number\":5,\"body\":\"x\",\"attributes\":{\"cmdstream.reason\":\"other\","
            "\"cmdstream.shard\":0}}\n"
            "{\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"severity_text\":\"ERROR\","
            "\"severity_number\":17,\"body\":\"x\",\"attributes\":{\"cmdstream.reason\":\"other\","
            "\"cmdstream.shard\":0,\"network.peer.address\":\"unix:/run/x:9000\"}}\n");
}

static void say_longest_json(void)
{
    static char text[8192], name[8192];
    struct cmds_log_record record = whole_record();
    memset(text, '"', sizeof(text) - 1);
    memset(name, '\\', sizeof(name) - 1);
    record.text = text;
    record.peer = record.type = name;
    record.connection = record.sequence = UINT64_MAX;
    record.left_out = UINT32_MAX;
    cmds_log_json(NULL, &record);
}

static void test_json_of_any_length_is_one_whole_line(void)
{
    hear(say_longest_json);

    size_t size = strlen(said);
    CU_ASSERT(size > 2000 && size <= PIPE_BUF);
    CU_ASSERT_STRING_EQUAL(said + (size > 20 ? size - 20 : 0), "\"fedcba9876543210\"}\n");
    CU_ASSERT_PTR_EQUAL(strchr(said, '\n'), said + size - 1);
}

enum {
    DAYS = 200, // In steps that fall on all days of a month and of a leap year.
    DAY_STEP = 433,
};

static void say_days(void)
{
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    for (uint64_t i = 0; i < DAYS; i++) {
        record.time_ns = (i * DAY_STEP * 86400 + i * 431) * 1000000000u;
        cmds_log_json(&everything, &record);
    }
}

static void test_json_knows_the_calendar(void)
{
    const char *at = said;
    hear(say_days);

    for (uint64_t i = 0; i < DAYS; i++) {
        char expected[64];
        struct tm day;
        time_t seconds = (time_t)(i * DAY_STEP * 86400 + i * 431);
        CU_ASSERT_PTR_NOT_NULL_FATAL(gmtime_r(&seconds, &day));
        (void)strftime(expected, sizeof(expected), "{\"timestamp\":\"%Y-%m-%dT%H:%M:%S.", &day);
        CU_ASSERT_EQUAL(strncmp(at, expected, strlen(expected)), 0);
        at = strchr(at, '\n');
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        at++;
    }
}

/* --- stderr ----------------------------------------------------------------------------------- */

/* Its own pipe, which nobody reads until it is full. */
static void say_into_a_full_pipe(void)
{
    static char rest[SAID_MAX];
    int pipes[2];
    int out = dup(STDERR_FILENO);
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_WARN;
    record.text = "json";
    if (pipe(pipes) < 0 || fcntl(pipes[1], F_SETPIPE_SZ, FULL) != FULL) {
        _exit(1);
    }
    (void)dup2(pipes[1], STDERR_FILENO);
    if (write(STDERR_FILENO, rest, FULL) != FULL) { // Now it is full.
        _exit(1);
    }
    cmds_log_stderr(NULL, CMDS_LOG_WARN, "one");
    cmds_log_json(NULL, &record);
    cmds_log_stderr(NULL, CMDS_LOG_WARN, "three");
    if (read(pipes[0], rest, sizeof(rest)) != FULL) {
        _exit(1);
    }
    cmds_log_json(NULL, &record);
    cmds_log_stderr(NULL, CMDS_LOG_WARN, "five");
    ssize_t size = read(pipes[0], rest, sizeof(rest));
    _exit(size > 0 && write(out, rest, (size_t)size) == size ? 0 : 1);
}

static void test_lines_that_were_dropped_are_counted(void)
{
    hear(say_into_a_full_pipe);

    CU_ASSERT_PTR_NOT_NULL(strstr(said, "\"cmdstream.shard\":0,\"cmdstream.dropped\":3}}\nfive\n"));
}

static void say_to_the_journals_stream(void)
{
    char stream[64];
    struct stat status;
    if (fstat(STDERR_FILENO, &status) < 0) {
        _exit(1);
    }
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
            (unsigned long long)status.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    cmds_log_stderr(&everything, CMDS_LOG_DEBUG, "debug");
    cmds_log_stderr(&everything, CMDS_LOG_INFO, "info");
    cmds_log_stderr(&everything, CMDS_LOG_WARN, "warning");
    cmds_log_stderr(&everything, CMDS_LOG_ERROR, "error");
    int other[2];
    if (pipe(other) < 0) {
        _exit(1);
    }
    char text[64] = "";
    int out = dup(STDERR_FILENO);
    (void)dup2(other[1], STDERR_FILENO); // Not the journal's any more.
    cmds_log_stderr(&everything, CMDS_LOG_ERROR, "elsewhere");
    (void)dup2(out, STDERR_FILENO);
    ssize_t size = read(other[0], text, sizeof(text));
    _exit(size > 0 && write(out, text, (size_t)size) == size ? 0 : 1);
}

static void test_a_stream_of_the_journal_gets_priorities(void)
{
    hear(say_to_the_journals_stream);

    CU_ASSERT_STRING_EQUAL(said, "<7>debug\n<6>info\n<4>warning\n<3>error\nelsewhere\n");
}

/* --- The journal ------------------------------------------------------------------------------ */

static char journal_path[64];

/* Its socket. */
static int journal_listen(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(journal_path, sizeof(journal_path), "/tmp/cmdstream-journal-%d", (int)getpid());
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal_path);
    (void)unlink(journal_path);
    CU_ASSERT_FATAL(fd >= 0 && bind(fd, (void *)&address, sizeof(address)) == 0);
    return fd;
}

static void say_to_the_journal(void)
{
    struct cmds_log_record record = whole_record();
    cmdi_log_journal_path = journal_path;
    cmds_log_journal(NULL, &record);
    struct cmds_log_record little = CMDS_LOG_RECORD_INIT;
    little.level = CMDS_LOG_ERROR;
    little.text = "little";
    little.shard = CMDS_NO_SHARD;
    cmds_log_journal(NULL, &little);
    little.level = CMDS_LOG_INFO;
    cmds_log_journal(NULL, &little); // Below the default.
}

static void test_the_journal_gets_fields(void)
{
    char text[4096];
    int fd = journal_listen();

    hear(say_to_the_journal);

    ssize_t size = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    CU_ASSERT_FATAL(size > 0);
    text[size] = '\0';
    CU_ASSERT_STRING_EQUAL(text,
            "PRIORITY=4\nCMDSTREAM_REASON=exec\nCMDSTREAM_SHARD=3\n"
            "MESSAGE=it \"failed\" \\ at \303\244?\377\303\nCMDSTREAM_CONNECTION=77\n"
            "CMDSTREAM_PEER=[2001:db8::1]:40022\nCMDSTREAM_TYPE=calc_add\nCMDSTREAM_SEQUENCE=9\n"
            "CMDSTREAM_CODE=CMDS_E_TIMEOUT\nCMDSTREAM_LEFT_OUT=12\n"
            "TRACE_ID=0123456789abcdef0123456789abcdef\nSPAN_ID=fedcba9876543210\n");
    size = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    CU_ASSERT_FATAL(size > 0);
    text[size] = '\0';
    CU_ASSERT_STRING_EQUAL(text, "PRIORITY=3\nCMDSTREAM_REASON=other\nMESSAGE=little\n");
    CU_ASSERT(recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0);
    CU_ASSERT_STRING_EQUAL(said, "");
    (void)close(fd);
    (void)unlink(journal_path);
}

enum {
    FLOOD = 100000,
};

/* A journal that reads nothing is full at some time; a sink that waited for it would stay here. */
static void say_to_a_full_journal(void)
{
    struct cmds_log_record record = whole_record();
    cmdi_log_journal_path = journal_path;
    int pipes[2];
    int out = dup(STDERR_FILENO);
    char text[64] = "";
    ssize_t size = -1;
    if (pipe(pipes) < 0 || fcntl(pipes[0], F_SETFL, O_NONBLOCK) < 0) {
        _exit(1);
    }
    (void)dup2(pipes[1], STDERR_FILENO);
    record.text = "to stderr";
    for (uint32_t i = 0; i < FLOOD && size < 0; i++) {
        cmds_log_journal(NULL, &record);
        size = read(pipes[0], text, sizeof(text));
    }
    _exit(size > 0 && write(out, text, (size_t)size) == size ? 0 : 1);
}

static void test_what_the_journal_does_not_take_goes_to_stderr(void)
{
    int fd = journal_listen();
    hear(say_to_a_full_journal);
    CU_ASSERT_STRING_EQUAL(said, "to stderr\n");
    (void)close(fd);
    (void)unlink(journal_path);

    hear(say_to_the_journal); // There is none.
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "it \"failed\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "little\n"));
}

static void test_a_reason_has_a_name(void)
{
    CU_ASSERT_STRING_EQUAL(cmds_log_reason_name(CMDS_REASON_CONNECT), "connect");
    CU_ASSERT_STRING_EQUAL(cmds_log_reason_name(CMDS_REASON_DRAIN), "drain");
    CU_ASSERT_STRING_EQUAL(cmds_log_reason_name(CMDS_REASON_OTHER), "other");
    CU_ASSERT_STRING_EQUAL(cmds_log_reason_name(255), "other");
}

static void test_a_level_has_one_word_everywhere(void)
{
    enum cmds_log_level level = CMDS_LOG_DEBUG;
    for (uint32_t i = CMDS_LOG_DEBUG; i <= CMDS_LOG_ERROR; i++) {
        CU_ASSERT_EQUAL(cmds_log_level_from(&level, cmds_log_level_name(i)), 0);
        CU_ASSERT_EQUAL(level, i);
    }
    CU_ASSERT_STRING_EQUAL(cmds_log_level_name(CMDS_LOG_WARN), "warn");
    CU_ASSERT_STRING_EQUAL(cmds_log_level_name(CMDS_LOG_ERROR + 1), "other");

    CU_ASSERT_EQUAL(cmds_log_level_from(&level, "warning"), 0); // As syslog says.
    CU_ASSERT_EQUAL(level, CMDS_LOG_WARN);
    static const char *const wrong[] = {"", "WARN", "warnings", "loud", "other", NULL};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(cmds_log_level_from(&level, wrong[i]), -EINVAL);
    }
    CU_ASSERT_EQUAL(cmds_log_level_from(NULL, "warn"), -EINVAL);
    CU_ASSERT_EQUAL(level, CMDS_LOG_WARN); // Untouched.
}

CU_TestInfo test_sinks[] = {
        {"JSON says everything", test_json_says_everything},
        {"JSON leaves out what is not known", test_json_leaves_out_what_is_not_known},
        {"JSON of any length is one whole line", test_json_of_any_length_is_one_whole_line},
        {"JSON knows the calendar", test_json_knows_the_calendar},
        {"lines that were dropped are counted", test_lines_that_were_dropped_are_counted},
        {"a stream of the journal gets priorities", test_a_stream_of_the_journal_gets_priorities},
        {"the journal gets fields", test_the_journal_gets_fields},
        {"what the journal does not take goes to stderr",
                test_what_the_journal_does_not_take_goes_to_stderr},
        {"a reason has a name", test_a_reason_has_a_name},
        {"a level has one word everywhere", test_a_level_has_one_word_everywhere},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sinks", test_sinks)
