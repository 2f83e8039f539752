/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream stats` and `top`. What may go wrong: a rate of the wrong pair, a quantile of all that ever was,
 * a restart that looks like a load, a line that is wider than the screen, a terminal that is left as it must
 * not be, a service that says what it likes.
 */
#include "tool/figures.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "support/harness.h"
#include "tool/common.h"
#include "tool/http.h"
#include "tool/table.h"

enum {
    PAGE_SIZE_MAX = 16384,
    OUTPUT_MAX = 4 * 1024 * 1024,
    GUARD_MS = 60000,
};
static const double start_s = 1700000000.5;
static const double wall_s = 1700000000.5 + 3 * 3600 + 12 * 60 + 5;

/* --- A service -------------------------------------------------------------------------------- */

#define SHARD(number, value) "{\"labels\":{\"cmdstream.shard\":\"" number "\"},\"value\":" value "}"
#define SHARDS(name, value)                                                                        \
    "{\"name\":\"" name "\",\"points\":[" SHARD("0", value) "," SHARD("1", value) "]},"
#define TYPE(type, status)                                                                         \
    "{\"labels\":{\"cmd-stream.command.type\":\"" type                                             \
    "\",\"cmd-stream.command.status\":\"" status "\"},"
#define NAMED(number, value)                                                                       \
    "{\"labels\":{\"cmdstream.name\":\"calc\\u001b[2J\",\"cmdstream.shard\":\"" number             \
    "\"},\"value\":" value "}"
#define SPREAD(offset, buckets)                                                                    \
    "\"scale\":3,\"offset\":" offset ",\"zero_count\":0,\"buckets\":[" buckets "]}"

/*
 * Of two shards, what it has counted `n` seconds after its start; before the first one there was a command
 * of half a second.
 */
static void page_write(char *page, unsigned n, double start)
{
    int size = snprintf(page, PAGE_SIZE_MAX,
            "{\"metrics\":[{\"name\":\"cmdstream.build_info\",\"points\":[{\"labels\":"
            "{\"cmdstream.version\":\"0.1.0\"},\"value\":1}]},"
            "{\"name\":\"process.start_time\",\"points\":[{\"labels\":{},\"value\":%.3f}]}," SHARDS(
                    "cmdstream.turns", "%u") SHARDS("cmdstream.memory_bytes",
                    "%u") SHARDS("cmdstream.shard.busy",
                    "%.2f") SHARDS("cmdstream.server.recv_bytes",
                    "%u") SHARDS("cmdstream.server.send_bytes",
                    "%u") "{\"name\":\"cmdstream.server.connections\",\"points\":[" NAMED("0",
                    "5") "," NAMED("1",
                    "3") "]},"
                         "{\"name\":\"cmdstream.server.commands_received\",\"points\":[" SHARD(
                                 "0", "%u") "," SHARD("1", "%u") "," SHARD("none", "77") "]},",
            start, 1000 + 12410 * n, 500 + 9000 * n, 3100000u, 900u, 0.61 * n, 0.05 * n, 812000 * n,
            900 * n, 790000 * n, 99999 * n, 1490560 * n, 1490 * n);
    (void)snprintf(page + size, PAGE_SIZE_MAX - (size_t)size,
            "{\"name\":\"cmd-stream.server.command.count\",\"points\":[" TYPE("calc_add",
                    "OK") "\"value\":%u}," TYPE("calc_div", "OK") "\"value\":%u}," TYPE("calc_div",
                    "FAILED") "\"value\":%u}]},"
                              "{\"name\":\"cmd-stream.client.command.count\",\"points\":[" TYPE(
                                      "calc_add",
                                      "OK") "\"value\":5}]},"
                                            "{\"name\":\"cmd-stream.server.command.duration\","
                                            "\"points\":[" TYPE("calc_add", "OK") SPREAD("-118",
                                                    "%u,%u,0,0,0,0,0,0,%u") "," TYPE("calc_add",
                                                    "FAILED") SPREAD("-9",
                                                    "1") "]},"
                                                         "{\"name\":\"cmdstream.turn.duration\","
                                                         "\"points\":[{\"labels\":{}," SPREAD(
                                                                 "-108", "%u") "]}]}",
            2981120 * n, 3 * n, 2 * n, 70 * n, 28 * n, 2 * n, 100 * n);
}

static json_t *page(unsigned n, double start)
{
    char text[PAGE_SIZE_MAX];
    char why[TOOL_HTTP_TEXT_SIZE] = "";
    page_write(text, n, start);
    json_t *root = tool_figures_parse(text, strlen(text), why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    return root;
}

/* `top` gets the other one, below. */
int __real_tool_figures_make(struct tool_figures *figures, const json_t *before,
        const json_t *after, double seconds, double wall);

/* Of readings `from` and `to` seconds after the start. */
static struct tool_figures figures_of(unsigned from, unsigned to)
{
    struct tool_figures figures = {.seconds = 0};
    json_t *before = page(from, start_s);
    json_t *after = page(to, start_s);
    CU_ASSERT_EQUAL_FATAL(__real_tool_figures_make(&figures, before, after, to - from, wall_s), 0);
    json_decref(before);
    json_decref(after);
    return figures;
}

/* --- Figures ---------------------------------------------------------------------------------- */

static bool is_near(double a, double b)
{
    return fabs(a - b) <= fabs(b) * 1e-9;
}

static void test_tool_stats_rates_are_of_what_came_between(void)
{
    struct tool_figures figures = figures_of(3, 5);

    CU_ASSERT(strcmp(figures.version, "0.1.0") == 0 && strcmp(figures.name, "calc?[2J") == 0);
    CU_ASSERT(is_near(figures.uptime, wall_s - start_s) && !figures.restarted);
    CU_ASSERT(figures.shard_count == 2 && figures.connections == 8);
    CU_ASSERT(is_near(figures.busy, 0.33) && is_near(figures.turns, 21410));
    CU_ASSERT(is_near(figures.memory, 3100900) && is_near(figures.recv, 812900));
    CU_ASSERT(is_near(figures.shards[0].busy, 0.61) && is_near(figures.shards[1].turns, 9000));
    CU_ASSERT(is_near(figures.shards[0].commands, 1490560) && figures.shards[1].memory == 900);
    CU_ASSERT(figures.type_count == 3 && strcmp(figures.types[0].name, "calc_add") == 0);
    CU_ASSERT(is_near(figures.types[0].commands, 2981120) && figures.types[0].errors == 0);
    CU_ASSERT(is_near(figures.types[1].commands, 5) && is_near(figures.types[1].errors, 2));
    CU_ASSERT(figures.types[2].is_client && figures.types[2].commands == 0);
    CU_ASSERT(is_near(figures.commands, 2981125) && is_near(figures.errors, 2));
    tool_figures_free(&figures);
}

static void test_tool_stats_quantiles_are_of_what_came_between(void)
{
    struct tool_figures figures = figures_of(3, 5);

    /* 70 %, 28 % and 2 %; the half second is older. */
    CU_ASSERT(is_near(figures.types[0].p50, exp2(-117.5 / 8)));
    CU_ASSERT(is_near(figures.types[0].p99, exp2(-109.5 / 8)));
    CU_ASSERT(is_near(figures.types[0].max, exp2(-109.5 / 8)));
    CU_ASSERT(is_near(figures.p50, figures.types[0].p50) &&
              is_near(figures.p99, figures.types[0].p99));
    CU_ASSERT(is_near(figures.turn_p99, exp2(-107.5 / 8)));
    CU_ASSERT(isnan(figures.types[1].p50) && isnan(figures.types[2].max));
    tool_figures_free(&figures);
}

static void test_tool_stats_a_restart_is_no_load(void)
{
    struct tool_figures figures = {.seconds = 0};
    json_t *before = page(9, start_s);
    json_t *after = page(2, start_s + 100);

    CU_ASSERT_EQUAL_FATAL(__real_tool_figures_make(&figures, before, after, 1, wall_s), 0);
    CU_ASSERT(figures.restarted && figures.turns == 0 && figures.commands == 0);
    CU_ASSERT(isnan(figures.p50) && figures.shards[0].recv == 0 && figures.memory == 3100900);
    tool_figures_free(&figures);
    json_decref(before);
    json_decref(after);
}

static void test_tool_stats_what_is_not_counted_is_not_known(void)
{
    static const char little[] = "{\"metrics\":[{\"name\":\"cmdstream.turns\",\"points\":[]},7,"
                                 "{\"name\":\"cmdstream.server.exec_errors\",\"points\":[{}]}]}";
    static const char *const wrong[] = {"", "[]", "{\"metrics\":{}}", "{\"metrics\":[", "<html>"};
    char why[TOOL_HTTP_TEXT_SIZE];
    struct tool_figures figures = {.seconds = 0};
    /* Numbers that no service has do nothing but look odd. */
    static const char wild[] =
            "{\"metrics\":[{\"name\":\"cmdstream.turn.duration\",\"points\":["
            "{\"scale\":-2147483648,\"offset\":4096,\"buckets\":[9223372036854775807,1]},"
            "{\"scale\":-2147483648,\"offset\":-2049,\"buckets\":[9223372036854775807,"
            "9223372036854775807,-9223372036854775807,\"x\"],\"zero_count\":9223372036854775807},"
            "{\"scale\":3,\"offset\":9223372036854775807,\"buckets\":[1]}]}]}";
    json_t *root = tool_figures_parse(wild, strlen(wild), why);
    CU_ASSERT_EQUAL_FATAL(__real_tool_figures_make(&figures, root, root, 1, wall_s), 0);
    tool_figures_free(&figures);
    json_decref(root);
    root = tool_figures_parse(little, strlen(little), why);
    CU_ASSERT_EQUAL_FATAL(__real_tool_figures_make(&figures, root, root, 1, wall_s), 0);

    CU_ASSERT(isnan(figures.turns) && isnan(figures.busy) && isnan(figures.commands));
    CU_ASSERT(isnan(figures.uptime) && isnan(figures.memory) && isnan(figures.turn_p99));
    CU_ASSERT(figures.errors == 0 && figures.shard_count == 0 && figures.type_count == 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_PTR_NULL(tool_figures_parse(wrong[i], strlen(wrong[i]), why));
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "not the JSON of a cmdstream service"));
    }
    tool_figures_free(&figures);
    json_decref(root);
}

static void test_tool_stats_types_are_sorted(void)
{
    struct tool_figures figures = figures_of(1, 2);

    tool_figures_sort(&figures, TOOL_SORT_ERRORS);
    CU_ASSERT_EQUAL(strcmp(figures.types[0].name, "calc_div"), 0);
    tool_figures_sort(&figures, TOOL_SORT_NAME);
    CU_ASSERT(strcmp(figures.types[0].name, "calc_add") == 0 && figures.types[1].is_client);
    tool_figures_sort(&figures, TOOL_SORT_P99);
    CU_ASSERT(strcmp(figures.types[0].name, "calc_add") == 0 && !figures.types[0].is_client);
    tool_figures_free(&figures);
}

/* --- Text ------------------------------------------------------------------------------------- */

static void test_tool_stats_cells_say_it_in_few_digits(void)
{
    static const struct {
        double number;
        const char *count, *time, *size, *part, *age;
    } rows[] = {
            {NAN, "-", "-", "-", "-", "-"},
            {0, "0", "0 ns", "0 B", "0 %", "0s"},
            {0.25, "0.2", "250 ms", "0 B", "25 %", "0s"},
            {0.000041, "0", "41 us", "0 B", "0 %", "0s"},
            {0.00125, "0", "1.2 ms", "0 B", "0 %", "0s"},
            {9.97, "10", "10 s", "10 B", "997 %", "9s"},
            {59.9, "60", "60 s", "60 B", "5990 %", "59s"},
            {999.7, "1,000", "1000 s", "1.0 kB", "99970 %", "16m 39s"},
            {3725, "3,725", "3725 s", "3.7 kB", "372500 %", "1h 2m"},
            {2981120, "2,981,120", "2981120 s", "3.0 MB", "298112000 %", "34d 12h"},
    };
    char text[TOOL_TABLE_CELL_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_STRING_EQUAL(tool_cell_count(text, rows[i].number), rows[i].count);
        CU_ASSERT_STRING_EQUAL(tool_cell_time(text, rows[i].number), rows[i].time);
        CU_ASSERT_STRING_EQUAL(tool_cell_size(text, rows[i].number), rows[i].size);
        CU_ASSERT_STRING_EQUAL(tool_cell_part(text, rows[i].number), rows[i].part);
        CU_ASSERT_STRING_EQUAL(tool_cell_age(text, rows[i].number), rows[i].age);
    }
}

/* The whole table, as `stats` prints it. */
static const char golden_table[] =
        "calc?[2J  cmdstream 0.1.0  up 3h 12m  2 shards  8 connections  turn p99 90 us\n"
        "\n"
        "shard   busy     turns/s       cmd/s  cmd/turn        recv       send    memory\n"
        "0       61 %      12,410   1,490,560       120    812 kB/s   790 kB/s    3.1 MB\n"
        "1        5 %       9,000       1,490       0.2     900 B/s   100 kB/s     900 B\n"
        "all     33 %      21,410   2,981,125       139    813 kB/s   890 kB/s    3.1 MB\n"
        "\n"
        "type                                  cmd/s    err/s      p50      p99      max\n"
        "calc_add                 server   2,981,120        0    38 us    76 us    76 us\n"
        "calc_div                 server           5        2        -        -        -\n"
        "calc_add                 client           0        0        -        -        -\n";

static char *table_text(const struct tool_figures *figures, uint32_t columns, uint32_t lines)
{
    char *text = NULL;
    size_t size = 0;
    struct tool_table table = {.columns = columns, .lines = lines};
    table.out = open_memstream(&text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(table.out);
    tool_table_print(&table, figures);
    CU_ASSERT_EQUAL(fclose(table.out), 0);
    return text;
}

static void expect_text(const char *text, const char *golden)
{
    if (strcmp(text, golden) != 0) {
        printf("\n--- it is\n%s--- it should be\n%s---\n", text, golden);
    }
    CU_ASSERT_STRING_EQUAL(text, golden);
}

static void test_tool_stats_the_table(void)
{
    struct tool_figures figures = figures_of(3, 5);
    char *text = table_text(&figures, TOOL_TABLE_ANY, TOOL_TABLE_ANY);
    expect_text(text, golden_table);
    free(text);

    for (uint32_t lines = 1; lines < 16;
            lines++) { // However small it is: no more, and none is wider.
        text = table_text(&figures, 20, lines);
        uint32_t count = 0;
        for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
            CU_ASSERT(strcspn(at, "\n") <= 20);
            count++;
        }
        CU_ASSERT_EQUAL(count, lines < 11 ? lines : 11);
        free(text);
    }
    tool_figures_free(&figures);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* Answers, one connection after the other, until it is told to end. */
struct host {
    int fd;
    char address[32];
    _Atomic(const char *) raw; // What it says; NULL: pages.
    _Atomic uint32_t readings; // Pages of metrics that were asked for.
    _Atomic uint32_t is_over;
    pthread_t thread;
    char request[1024];        // The last one, of...
    _Atomic uint32_t requests; // ... so many that have come.
};

static void host_open(struct host *host)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    *host = (struct host){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CU_ASSERT_FATAL(bind(host->fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    CU_ASSERT_FATAL(listen(host->fd, 16) == 0);
    CU_ASSERT_FATAL(getsockname(host->fd, (struct sockaddr *)&at, &size) == 0);
    (void)snprintf(host->address, sizeof(host->address), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void host_say(int fd, const char *text)
{
    for (size_t size = strlen(text); size > 0;) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text += sent;
        size -= (size_t)sent;
    }
}

static void host_answer(struct host *host, int fd)
{
    char body[PAGE_SIZE_MAX];
    char head[128];
    if (host->raw != NULL) {
        host_say(fd, host->raw);
        return;
    }
    if (strncmp(host->request, "GET /connections ", 17) == 0) {
        (void)snprintf(body, sizeof(body),
                "{\"count\":1,\"connections\":[{\"peer\":\"127.0.0.1:5\\u001b[31m\"}]}");
    } else {
        page_write(body, ++host->readings, start_s);
    }
    (void)snprintf(
            head, sizeof(head), "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", strlen(body));
    host_say(fd, head);
    host_say(fd, body);
}

static void *host_main(void *context)
{
    struct host *host = context;
    for (;;) {
        int fd = accept4(host->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || host->is_over != 0) {
            (void)close(fd);
            return NULL;
        }
        size_t size = 0;
        ssize_t got = 1;
        host->request[0] = '\0';
        while (strstr(host->request, "\r\n\r\n") == NULL && got > 0) {
            got = recv(fd, host->request + size, sizeof(host->request) - 1 - size, 0);
            size += got > 0 ? (size_t)got : 0;
            host->request[size] = '\0';
        }
        host->requests++;
        host_answer(host, fd);
        (void)close(fd);
    }
}

static void host_start(struct host *host)
{
    CU_ASSERT_EQUAL_FATAL(pthread_create(&host->thread, NULL, host_main, host), 0);
}

static void host_close(struct host *host)
{
    struct tool_http answer = {0};
    char why[TOOL_HTTP_TEXT_SIZE];
    host->is_over = 1;
    (void)tool_http_get(&answer, host->address, "/", "*/*", why); // Wakes it.
    tool_http_free(&answer);
    (void)pthread_join(host->thread, NULL);
    (void)close(host->fd);
}

static void test_tool_stats_http_takes_what_is_whole(void)
{
    static const struct {
        const char *raw;
        int status;
        const char *body; // NULL: an error...
        const char *why;  // ... of these words.
    } rows[] = {
            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", 200, "ok", NULL},
            {"HTTP/1.0 404 Not Found\r\n\r\nno such page\n", 404, "no such page\n", NULL},
            {"HTTP/1.1 200 OK\r\nX: y\r\n\r\nContent-Length: 99\r\n", 200, "Content-Length: 99\r\n",
                    NULL},
            {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 0, NULL, "cut off"},
            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, NULL,
                    "in pieces"},
            {"HTTP/1.1 200 OK\r\n", 0, NULL, "does not speak HTTP"},
            {"SSH-2.0-x\r\n\r\n", 0, NULL, "does not speak HTTP"},
            {"", 0, NULL, "does not speak HTTP"},
    };
    struct host host;
    host_open(&host);
    host.raw = "";
    host_start(&host);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tool_http answer = {0};
        char why[TOOL_HTTP_TEXT_SIZE] = "";
        host.raw = rows[i].raw;
        int code = tool_http_get(&answer, host.address, "/x?y", "text/plain", why);
        CU_ASSERT_EQUAL(answer.status, rows[i].status);
        CU_ASSERT_EQUAL(code == 0, rows[i].body != NULL);
        CU_ASSERT(code != 0 || strcmp(answer.body, rows[i].body) == 0);
        CU_ASSERT(code == 0 || strstr(why, rows[i].why) != NULL);
        CU_ASSERT(code == 0 || strncmp(why, host.address, strlen(host.address)) == 0);
        CU_ASSERT_EQUAL_FATAL(host.requests, i + 1); // It is the host's until then.
        CU_ASSERT_EQUAL(strncmp(host.request, "GET /x?y HTTP/1.0\r\nHost: 127.0.0.1:", 35), 0);
        tool_http_free(&answer);
    }
    host_close(&host);
}

static void test_tool_stats_http_refuses_what_is_no_address(void)
{
    static const char *const wrong[] = {"", "x", ":1", "a:b", "a:1:2", "a:123456789012345678",
            "[]:1", "::1:9", "unix:", "http://x", "127.0.0.1:9464/"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tool_http answer = {0};
        char why[TOOL_HTTP_TEXT_SIZE] = "";
        CU_ASSERT_EQUAL(tool_http_get(&answer, wrong[i], "/", "*/*", why), -EINVAL);
        CU_ASSERT(why[0] != '\0' && answer.data == NULL);
    }
}

/* --- On a terminal ---------------------------------------------------------------------------- */

/* Each reading is one second after the one before, whatever the clock says. */
int __wrap_tool_figures_make(struct tool_figures *figures, const json_t *before,
        const json_t *after, double seconds, double wall);
int __wrap_tool_figures_make(struct tool_figures *figures, const json_t *before,
        const json_t *after, double seconds, double wall)
{
    (void)seconds;
    (void)wall;
    return __real_tool_figures_make(figures, before, after, 1, wall_s);
}

struct screen {
    struct host host;
    int fd; // The terminal's other end.
    pid_t pid;
    char *output; // All that was written to it.
    size_t size;
    char frame[OUTPUT_MAX / 64]; // The last whole one, as plain text.
};

static void screen_set_size(
        const struct screen *screen, unsigned short columns, unsigned short lines)
{
    struct winsize size = {.ws_row = lines, .ws_col = columns};
    CU_ASSERT_EQUAL(ioctl(screen->fd, TIOCSWINSZ, &size), 0);
}

/* The child is made before there is another thread. Returns: false: no terminal can be had here. */
static bool screen_open(struct screen *screen, bool is_colored)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    *screen = (struct screen){.pid = -1};
    screen->output = malloc(OUTPUT_MAX);
    CU_ASSERT_PTR_NOT_NULL_FATAL(screen->output);
    host_open(&screen->host);
    screen->pid = forkpty(&screen->fd, NULL, NULL, &size);
    if (screen->pid == 0) {
        static char top[] = "top", every[] = "--every", seconds[] = "0.02";
        char *argv[] = {top, every, seconds, screen->host.address, NULL};
        (void)(is_colored ? unsetenv("NO_COLOR") : setenv("NO_COLOR", "1", 1));
        _exit(tool_top(4, argv));
    }
    if (screen->pid < 0) {
        printf("***** SKIPPED: no pseudo-terminal can be had here: %s *****\n", strerror(errno));
        (void)close(screen->host.fd);
        free(screen->output);
        return false;
    }
    host_start(&screen->host);
    return true;
}

/* Without the sequences, and line ends as in C. */
static void screen_plain(struct screen *screen, const char *from, size_t size)
{
    char *to = screen->frame;
    for (size_t i = 0; i < size; i++) {
        if (from[i] == '\x1b') {
            while (i < size && (from[i] < 'A' || from[i] > 'z' || from[i] == '[')) {
                i++;
            }
        } else if (from[i] != '\r') {
            *to++ = from[i];
        }
    }
    *to = '\0';
}

/* Reads on, and finds the last frame that is whole. Returns: false: the program has ended. */
static bool screen_read(struct screen *screen)
{
    struct pollfd poller = {.fd = screen->fd, .events = POLLIN};
    ssize_t got = -1;
    CU_ASSERT_FATAL(poll(&poller, 1, GUARD_MS) > 0);
    CU_ASSERT_FATAL(screen->size + 65536 < OUTPUT_MAX);
    got = read(screen->fd, screen->output + screen->size, 65536);
    if (got <= 0) {
        return false;
    }
    screen->size += (size_t)got;
    screen->output[screen->size] = '\0';
    const char *begin = NULL;
    const char *end = NULL;
    for (const char *at = screen->output; (at = strstr(at, "\x1b[H")) != NULL; at++) {
        const char *its_end = strstr(at, "\x1b[J");
        begin = its_end != NULL ? at + 3 : begin;
        end = its_end != NULL ? its_end : end;
    }
    if (begin != NULL) {
        screen_plain(screen, begin, (size_t)(end - begin));
    }
    return true;
}

static uint32_t screen_lines(const struct screen *screen)
{
    uint32_t count = 1;
    for (const char *at = screen->frame; *at != '\0'; at++) {
        count += *at == '\n';
    }
    return count;
}

/* Until a frame of so many lines has the words. */
static void screen_until(struct screen *screen, uint32_t lines, const char *words)
{
    screen->size = 0; // What was before is of no interest.
    do {
        CU_ASSERT_FATAL(screen_read(screen));
    } while (screen_lines(screen) != lines || strstr(screen->frame, words) == NULL);
}

static void screen_press(const struct screen *screen, const char *keys)
{
    CU_ASSERT_EQUAL(write(screen->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* It ends by itself, and leaves the terminal as it was. */
static void screen_close(struct screen *screen)
{
    int status = 0;
    struct termios now;
    static const char end[] = "\x1b[?25h\x1b[?1049l";
    screen->size = 0;
    while (screen->size < sizeof(end) - 1 ||
            memcmp(screen->output + screen->size - (sizeof(end) - 1), end, sizeof(end) - 1) != 0) {
        if (!screen_read(screen)) {
            break;
        }
    }
    CU_ASSERT(screen->size >= sizeof(end) - 1 &&
              strcmp(screen->output + screen->size - (sizeof(end) - 1), end) == 0);
    CU_ASSERT(waitpid(screen->pid, &status, 0) == screen->pid && status == 0);
    CU_ASSERT(
            tcgetattr(screen->fd, &now) == 0 && (now.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO));
    (void)close(screen->fd);
    host_close(&screen->host);
    free(screen->output);
}

static const char golden_frame[] =
        "calc?[2J  cmdstream 0.1.0  up 3h 12m  2 shards  8 connections  turn p99 90 us\n"
        "\n"
        "shard   busy     turns/s       cmd/s  cmd/turn        recv       send    memory\n"
        "0       61 %      12,410   1,490,560       120    812 kB/s   790 kB/s    3.1 MB\n"
        "1        5 %       9,000       1,490       0.2     900 B/s   100 kB/s     900 B\n"
        "all     33 %      21,410   2,981,125       139    813 kB/s   890 kB/s    3.1 MB\n"
        "\n"
        "type                                  cmd/s    err/s      p50      p99      max\n"
        "calc_add                 server   2,981,120        0    38 us    76 us    76 us\n"
        "calc_div                 server           5        2        -        -        -\n"
        "calc_add                 client           0        0        -        -        -\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "\n"
        "q quit  s sort  c connections  p pause  by cmd/s";
static const char golden_small[] = "calc?[2J  cmdstream 0.1.0  up 3h 12m  2 shards  8 connection\n"
                                   "\n"
                                   "shard   busy     turns/s       cmd/s  cmd/turn        recv  \n"
                                   "0       61 %      12,410   1,490,560       120    812 kB/s  \n"
                                   "1        5 %       9,000       1,490       0.2     900 B/s  \n"
                                   "all     33 %      21,410   2,981,125       139    813 kB/s  \n"
                                   "\n"
                                   "type                                  cmd/s    err/s      p5\n"
                                   "calc_add                 server   2,981,120        0    38 u\n"
                                   "calc_div                 server           5        2        \n"
                                   "calc_add                 client           0        0        \n"
                                   "q quit  s sort  c connections  p pause  by cmd/s";

static void test_tool_stats_top_draws_frames(void)
{
    static struct screen screen;
    if (!screen_open(&screen, true)) {
        return;
    }
    screen_until(&screen, 24, "calc_add");
    expect_text(screen.frame, golden_frame);
    CU_ASSERT_PTR_NOT_NULL(strstr(screen.output, "\x1b[7mshard"));
    CU_ASSERT_PTR_NOT_NULL(strstr(screen.output, "\x1b[31mcalc_div"));

    screen_set_size(&screen, 60, 12);
    screen_until(&screen, 12, "calc_add");
    expect_text(screen.frame, golden_small);

    screen_set_size(&screen, 80, 24);
    screen_press(&screen, "q");
    screen_close(&screen);
}

static void test_tool_stats_top_listens_to_keys(void)
{
    static struct screen screen;
    if (!screen_open(&screen, false)) {
        return;
    }
    screen_until(&screen, 24, "calc_add");
    screen_press(&screen, "s");
    screen_until(&screen, 24, "by p99");
    screen_press(&screen, "ss");
    screen_until(&screen, 24, "by name");
    screen_press(&screen, "c");
    screen_until(&screen, 24, "  127.0.0.1:5?[31m  ");
    CU_ASSERT_PTR_NULL(strstr(screen.frame, "calc_add"));
    screen_press(&screen, "c");
    screen_until(&screen, 24, "calc_add");
    screen_press(&screen, "p");
    screen_until(&screen, 24, "PAUSED");
    uint32_t readings = screen.host.readings;
    screen_press(&screen, "sx");
    screen_until(&screen, 24, "by cmd/s  PAUSED");
    CU_ASSERT_EQUAL(screen.host.readings, readings);
    screen_press(&screen, "p");
    while (screen.host.readings == readings) {
        CU_ASSERT_FATAL(screen_read(&screen));
    }
    CU_ASSERT_PTR_NULL(strstr(screen.output, "\x1b[7m")); // NO_COLOR
    CU_ASSERT_PTR_NULL(strstr(screen.output, "\x1b[31m"));
    CU_ASSERT_EQUAL(kill(screen.pid, SIGTERM), 0);
    screen_close(&screen);
}

CU_TestInfo test_tool_stats[] = {
        {"rates are of what came between", test_tool_stats_rates_are_of_what_came_between},
        {"quantiles are of what came between", test_tool_stats_quantiles_are_of_what_came_between},
        {"a restart is no load", test_tool_stats_a_restart_is_no_load},
        {"what is not counted is not known", test_tool_stats_what_is_not_counted_is_not_known},
        {"types are sorted", test_tool_stats_types_are_sorted},
        {"cells say it in few digits", test_tool_stats_cells_say_it_in_few_digits},
        {"the table", test_tool_stats_the_table},
        {"HTTP takes what is whole", test_tool_stats_http_takes_what_is_whole},
        {"HTTP refuses what is no address", test_tool_stats_http_refuses_what_is_no_address},
        {"top draws frames", test_tool_stats_top_draws_frames},
        {"top listens to keys", test_tool_stats_top_listens_to_keys},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tool_stats", test_tool_stats)
