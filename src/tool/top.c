/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream top`: the table of `stats`, drawn anew once a second on a terminal, by the sequences that
 * every terminal knows. What is drawn and when is this thread's alone: it waits for a key, a signal, or
 * the next reading.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "common.h"
#include "connections.h"
#include "options.h"
#include "stats.h"
#include "table.h"
#include "watch.h"

enum {
    TOP_COLUMNS = 80, // Of a terminal that does not say.
    TOP_LINES = 24,
    TOP_EVERY_MAX_S = 3600,
    TOP_MESSAGE_SIZE = TOOL_HTTP_TEXT_SIZE + 32,
};

static const char top_keys[] = "q quit  s sort  c connections  p pause";
static const char top_begin[] = "\x1b[?1049h\x1b[?25l"; // The other screen, no cursor.
static const char top_end[] = "\x1b[?25h\x1b[?1049l";
static const char top_home[] = "\x1b[H";
static const char top_rest[] = "\x1b[K"; // Of the line.
static const char top_below[] = "\x1b[J";

struct top_options {
    double every;
};
static const struct tool_option top_rows[] = {
        TOOL_DOUBLE(top_options, "every", "S", every, 0, TOP_EVERY_MAX_S,
                "seconds from one reading to the next (default 1)"),
};
static const struct tool_command top_command = {
        .usage = "top [OPTIONS] ADDRESS",
        .about = "Shows what a service does, again and again, on the whole terminal. Without one "
                 "it is "
                 "`stats --every 1`.\n"
                 "It is read where the service has its metrics, over HTTP (cmdstream_admin, "
                 "`cmdstream "
                 "serve --metrics`).\n",
        .notes = "Keys:\n"
                 "  q  ends it\n"
                 "  s  sorts by the next of: cmd/s, p99, err/s, name\n"
                 "  c  shows the connections, where ADDRESS is that of the admin pages; and back. "
                 "What "
                 "all have in common\n"
                 "     stands above them; \"queued\" and \"not read for\" are there where they say "
                 "something\n"
                 "  p  pauses, and goes on\n\n"
                 "Where there is no room for all shards or types, a line says how many are left "
                 "out; of the shards the\n"
                 "busiest stay.\n\n"
                 "ADDRESS is HOST:PORT, [::1]:PORT or unix:PATH. The columns are those of "
                 "`cmdstream stats "
                 "--help`.\n"
                 "NO_COLOR in the environment: without colors.\n\n"
                 "  $ cmdstream serve --metrics 127.0.0.1:9464 &\n"
                 "  $ cmdstream top 127.0.0.1:9464\n\n"
                 "Exit status: 0; 1 the service could not be read at first, and stderr says why; 2 "
                 "a bad argument, an\n"
                 "ADDRESS that is none among them. Without a terminal that of `stats --every`.\n",
        .options = top_rows,
        .option_count = sizeof(top_rows) / sizeof(top_rows[0]),
        .positional_min = 1,
        .positional_max = 1,
};

struct top {
    struct tool_watch watch;
    struct tool_figures figures;
    bool has_figures;
    enum tool_figures_sort sort;
    bool shows_connections, is_paused, is_colored, is_over;
    json_t *connections;             // The page. NULL: none has come.
    char lacks[TOOL_HTTP_TEXT_SIZE]; // Why there is no such page; "": there is, or nobody asked.
    char why[TOOL_HTTP_TEXT_SIZE];   // Why there is nothing newer; "": there is.
    double every;
    uint64_t next_ns; // When the next reading is due.
};

/* --- Signals, and the terminal ------------------------------------------------------------------ */

static volatile sig_atomic_t top_ends, top_resized;

static void top_on_signal(int number)
{
    if (number == SIGWINCH) {
        top_resized = 1;
    } else {
        top_ends = 1;
    }
}

/* Blocked but while something is waited for, so that none is missed. `waiting`: the mask of a wait. */
static void top_take_signals(sigset_t *waiting)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    struct sigaction action = {.sa_handler = top_on_signal};
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaddset(&blocked, numbers[i]);
        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)pthread_sigmask(SIG_BLOCK, &blocked, waiting);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigdelset(waiting, numbers[i]);
    }
}

/* Keys come one by one, and are not shown; ^Z would leave the terminal as it is now. */
static bool top_take_terminal(struct termios *before)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, before) < 0) {
        return false;
    }
    raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void top_measure(struct tool_table *table)
{
    struct winsize size = {.ws_row = 0};
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    table->columns = is_known && size.ws_col > 0 ? size.ws_col : TOP_COLUMNS;
    table->lines = is_known && size.ws_row > 0 ? size.ws_row : TOP_LINES;
}

/* --- Frames ----------------------------------------------------------------------------------- */

/* The last line: why nothing is new, or the keys. */
static void top_print_foot(struct top *top, struct tool_table *table)
{
    char line[TOP_MESSAGE_SIZE];
    if (top->why[0] != '\0') {
        (void)snprintf(line, sizeof(line), "%s", top->why);
    } else {
        (void)snprintf(line, sizeof(line), "%s  by %s%s", top_keys,
                tool_figures_sort_name(top->sort), top->is_paused ? "  PAUSED" : "");
    }
    table->lines++;
    tool_table_line(table, top->why[0] != '\0' ? "31" : "2", line);
}

static void top_print_connections(struct top *top, struct tool_table *table)
{
    if (top->lacks[0] != '\0') {
        tool_table_line(table, NULL, "No connections can be shown:");
        tool_table_line(table, NULL, top->lacks);
        tool_table_line(
                table, NULL, "They are a page of the admin address: `cmdstream serve --admin`,");
        tool_table_line(
                table, NULL, "cmds_admin_options.admin. Key c goes back to what is counted.");
        return;
    }
    if (top->connections != NULL) {
        tool_connections_print(table, top->connections);
    }
}

/* One write of the whole frame: a terminal shows no half of it. */
static void top_show(const char *frame, uint32_t line_count)
{
    fputs(top_home, stdout);
    for (uint32_t i = 0; i < line_count; i++) {
        size_t size = strcspn(frame, "\n");
        printf("%.*s%s%s", (int)size, frame, top_rest, i + 1 < line_count ? "\n" : "");
        frame += size + 1;
    }
    fputs(top_below, stdout);
}

static void top_draw(struct top *top)
{
    char *frame = NULL;
    size_t size = 0;
    struct tool_table table = {.is_colored = top->is_colored};
    top_measure(&table);
    table.out = open_memstream(&frame, &size);
    if (table.out == NULL) {
        return;
    }
    table.lines -= table.lines > 1; // The last one is the foot.
    if (top->shows_connections) {
        top_print_connections(top, &table);
    } else if (top->has_figures) {
        tool_table_print(&table, &top->figures);
    } else {
        tool_table_line(&table, NULL, "reading ...");
    }
    while (table.line_count < table.lines) {
        tool_table_line(&table, NULL, "");
    }
    top_print_foot(top, &table);
    if (fclose(table.out) == 0) {
        top_show(frame, table.line_count);
    }
    free(frame);
    top->is_over = cmdi_tool_flush() < 0 || top->is_over; // The terminal is gone.
}

/* --- Readings --------------------------------------------------------------------------------- */

static void top_read_connections(struct top *top)
{
    struct tool_http answer = {0};
    char why[TOOL_HTTP_TEXT_SIZE] = "";
    json_t *page = NULL;
    int code = tool_watch_get(&top->watch, &answer, "/connections", "application/json", why);
    if (code == 0) {
        page = tool_connections_parse(answer.body, answer.body_size, why);
    }
    bool is_no_page = code == -ENOENT;
    memcpy(is_no_page ? top->lacks : top->why, why, sizeof(why));
    if (page != NULL || is_no_page) {
        json_decref(top->connections);
        top->connections = page;
    }
    if (page != NULL) {
        top->lacks[0] = '\0';
    }
    tool_http_free(&answer);
}

/* Returns: 0; negative: the service cannot be read. */
static int top_read(struct top *top)
{
    struct tool_figures figures = {.seconds = 0};
    bool is_made = false;
    top->why[0] = '\0';
    int code = tool_watch_read(&top->watch, &figures, &is_made, top->why);
    if (is_made) {
        tool_figures_free(&top->figures);
        top->figures = figures;
        top->has_figures = true;
        tool_figures_sort(&top->figures, top->sort);
    }
    if (code == 0 && top->shows_connections) {
        top_read_connections(top);
    }
    return code;
}

static void top_on_key(struct top *top, char key)
{
    switch (key) {
    case 'q':
    case 'Q':
    case 4: // ^D
        top->is_over = true;
        break;
    case 's':
        top->sort = (enum tool_figures_sort)((top->sort + 1) % TOOL_SORTS);
        tool_figures_sort(&top->figures, top->sort);
        break;
    case 'c':
        top->shows_connections = !top->shows_connections;
        top->why[0] = '\0';
        if (top->shows_connections) {
            top_read_connections(top);
        }
        break;
    case 'p':
        top->is_paused = !top->is_paused;
        break;
    default:
        break;
    }
}

/* Returns: something has happened that is to be drawn. */
static bool top_wait(struct top *top, const sigset_t *mask)
{
    struct pollfd poller = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t now_ns = cmdi_tool_now_ns();
    uint64_t left_ns = top->next_ns > now_ns ? top->next_ns - now_ns : 0;
    struct timespec left = {
            .tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};
    char keys[64];
    int ready = ppoll(&poller, 1, top->is_paused ? NULL : &left, mask);
    top->is_over = top->is_over || top_ends != 0;
    if (ready > 0) {
        ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));
        top->is_over = top->is_over || count == 0 || (count < 0 && errno != EAGAIN);
        for (ssize_t i = 0; i < count; i++) {
            top_on_key(top, keys[i]);
        }
        return true;
    }
    if (top_resized != 0) {
        top_resized = 0;
        return true;
    }
    return false;
}

static void top_run(struct top *top, const sigset_t *mask)
{
    top_draw(top);
    while (!top->is_over) {
        if (top_wait(top, mask)) {
            top_draw(top);
        } else if (!top->is_over && !top->is_paused && cmdi_tool_now_ns() >= top->next_ns) {
            (void)top_read(top); // The foot says why not.
            top->next_ns = cmdi_tool_now_ns() + (uint64_t)(top->every * 1e9);
            top_draw(top);
        }
    }
}

static int top_on_terminal(struct top *top)
{
    sigset_t mask;
    struct termios before;
    const char *no_color = getenv("NO_COLOR");
    if (top_read(top) < 0) { // While it can still be said on this screen.
        fprintf(stderr, "cmdstream top: %s\n", top->why);
        return TOOL_EXIT_FAILED;
    }
    top->is_colored = no_color == NULL || no_color[0] == '\0';
    top->next_ns = cmdi_tool_now_ns() + (uint64_t)(top->every * 1e9);
    top_take_signals(&mask);
    if (!top_take_terminal(&before)) {
        fprintf(stderr, "cmdstream top: the terminal cannot be set: %s\n", strerror(errno));
        return TOOL_EXIT_FAILED;
    }
    fputs(top_begin, stdout);
    top_run(top, &mask);
    fputs(top_end, stdout);
    (void)cmdi_tool_flush();
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return TOOL_EXIT_OK;
}

int tool_top(int argc, char **argv)
{
    struct top_options options = {.every = 1};
    struct tool_line line;
    int status = cmdi_tool_options_parse(&top_command, argc, argv, &options, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (options.every < TOOL_STATS_EVERY_MIN) {
        fprintf(stderr, "cmdstream top: --every takes %g seconds or more\n", TOOL_STATS_EVERY_MIN);
        return TOOL_EXIT_USAGE;
    }
    if (!tool_stats_takes("top", argv[line.positional])) {
        return TOOL_EXIT_USAGE;
    }
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
        return tool_stats_rows("top", argv[line.positional], options.every);
    }
    struct top top = {.watch = {.address = argv[line.positional]}, .every = options.every};
    status = top_on_terminal(&top);
    tool_figures_free(&top.figures);
    tool_watch_end(&top.watch);
    json_decref(top.connections);
    return status;
}
