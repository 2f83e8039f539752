/* SPDX-License-Identifier: MIT */
/* The command line of `cmdstream chaos`. See chaos.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaos.h"
#include "clock.h"
#include "common.h"

enum {
    CHAOS_MS_PER_S = 1000,
    CHAOS_DAY_S = 86400,
    CHAOS_MS_MAX = CHAOS_DAY_S * CHAOS_MS_PER_S,
    CHAOS_BYTES_MAX = 1 << 30,
    CHAOS_WEIGHT_MAX = 1000,
    CHAOS_WORD_MAX = 64,
    CHAOS_THROTTLE = 10000, // Defaults of faults that are drawn.
    CHAOS_SPLIT = 1,
};
static const struct cmdi_chaos_range chaos_delay = {100, 1000};
static const struct cmdi_chaos_range chaos_lasts = {100, 2000};

static const struct tool_option chaos_rows[] = {
        TOOL_TEXT(tool_chaos_options, "delay", "MS", delay,
                "what comes leaves so much later; of MIN..MAX each piece draws its own"),
        TOOL_U32(tool_chaos_options, "throttle", "BYTES", throttle, 1, UINT32_MAX,
                "a second, each way of a connection"),
        TOOL_U32(tool_chaos_options, "split", "BYTES", split, 1, CHAOS_BYTES_MAX,
                "of a piece, each sent by itself; 1: single bytes"),
        TOOL_TEXT(tool_chaos_options, "faults", "LIST", faults,
                "those below, with commas; cut:3,reset: cut three times as often; all"),
        TOOL_TEXT(tool_chaos_options, "every", "MS", every,
                "one of --faults comes so long after the last; MIN..MAX: drawn"),
        TOOL_TEXT(tool_chaos_options, "after", "BYTES", after,
                "one of --faults befalls each connection at that byte; MIN..MAX: drawn"),
        TOOL_TEXT(tool_chaos_options, "for", "MS", lasts,
                "until what lasts heals; MIN..MAX: drawn; 0: never (default 100..2000)"),
        TOOL_TEXT(tool_chaos_options, "scope", "LIST", scope,
                "whom one of --every befalls: one, target, all (default one,all: drawn)"),
        TOOL_U32(tool_chaos_options, "share", "PERCENT", share, 1, 100,
                "of the connections --after befalls so many (default 100)"),
        TOOL_TEXT(tool_chaos_options, "way", "WAY", way,
                "up: from the client to the target; down; both; any: each time drawn (default "
                "both)"),
        TOOL_U32(tool_chaos_options, "seed", "N", seed, 0, UINT32_MAX,
                "all that is drawn follows from it (default: drawn, and told)"),
        TOOL_DOUBLE(tool_chaos_options, "until", "S", until, 0, CHAOS_DAY_S,
                "then all that --faults has done heals, and none comes (default 0: never)"),
        TOOL_DOUBLE(tool_chaos_options, "duration", "S", duration, 0, CHAOS_DAY_S,
                "then it ends (default 0: at SIGTERM or SIGINT)"),
        TOOL_FLAG(tool_chaos_options, "plan", plan,
                "print what --every will do until --duration (default 60), and do none of it"),
        TOOL_U32(tool_chaos_options, "max-connections", "N", max_connections, 1, 100000,
                "more wait to be accepted (default 10000)"),
        TOOL_U32(tool_chaos_options, "buffer", "BYTES", buffer, 65536, CHAOS_BYTES_MAX,
                "read ahead each way of a connection, so much in each --delay (default 65536)"),
        TOOL_FLAG(tool_chaos_options, "quiet", quiet,
                "no line for each fault or connection that fails"),
        TOOL_FLAG(tool_chaos_options, "json", json, "each line is a JSON object"),
};

#define CHAOS_LINE(name, text, about) "  " text ": " about "\n"
static const struct tool_command chaos_command = {
        .usage = "chaos [OPTIONS] LISTEN=TARGET...",
        .about =
                "A proxy that treats connections badly. Whoever connects to LISTEN reaches TARGET, "
                "both of them addresses as\n"
                "in 127.0.0.1:9000, :0 (any port), host.name:9000, unix:/run/x. Without an option "
                "nothing can be told from a\n"
                "direct connection: FIN for FIN, reset for reset, and who reads slowly slows the "
                "sender down. Prints\n"
                "`listening on ADDRESS (for TARGET, seed N)` when it is ready, a line for each "
                "fault, and a "
                "summary at its end.\n",
        .notes = "Faults; the first ones last, and heal:\n" CMDI_CHAOS_FAULTS(
                CHAOS_LINE) "\n"
                            "--delay, --throttle and --split are there all the time, unless "
                            "--faults names "
                            "them: then they say how much\n"
                            "(100..1000, 10000 and 1 by default). --faults alone: from the "
                            "beginning, for "
                            "every connection, for good.\n"
                            "With --every in time, with --after at a byte; with both, both. A "
                            "connection's "
                            "bytes are those that it has\n"
                            "passed on, of both ways or of the one that --way names. half-open: "
                            "with --way up "
                            "the target's end is reset.\n\n"
                            "  $ cmdstream chaos :9100=127.0.0.1:9000 --delay 20..80 --throttle "
                            "100000\n"
                            "  $ cmdstream chaos :9100=127.0.0.1:9000 --faults cut --after 1000\n"
                            "  $ cmdstream chaos :9100=host:9000 :9101=host:9001 --faults "
                            "cut:3,reset,half-open,black-hole --every 500..3000 \\\n"
                            "        --for 100..10000 --seed 7 --duration 60\n\n"
                            "Exit status: 0 ended as asked; 1 could not start, or print; 2 a bad "
                            "option.\n",
        .options = chaos_rows,
        .option_count = sizeof(chaos_rows) / sizeof(chaos_rows[0]),
        .positional_min = 1,
        .positional_max = CMDI_CHAOS_ROUTES_MAX,
};

/* --- Words ------------------------------------------------------------------------------------ */

static bool chaos_wrong(const char *option, const char *wants, const char *text)
{
    fprintf(stderr, "cmdstream chaos: --%s takes %s, not \"%s\"\n", option, wants, text);
    return false;
}

/* A number, all digits, up to `max`. Returns: behind it; NULL: there is none. */
static const char *chaos_number(const char *text, uint32_t max, uint32_t *number)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return NULL;
    }
    unsigned long long value = strtoull(text, &end, 10);
    *number = (uint32_t)value;
    return value <= max ? end : NULL;
}

/* "20", "20..80" */
static bool chaos_range(
        const char *option, const char *text, uint32_t max, struct cmdi_chaos_range *range)
{
    char wants[CHAOS_WORD_MAX];
    const char *at = chaos_number(text, max, &range->min);
    range->max = range->min;
    if (at != NULL && strncmp(at, "..", 2) == 0) {
        at = chaos_number(at + 2, max, &range->max);
    }
    if (at == NULL || *at != '\0' || range->min > range->max) {
        (void)snprintf(wants, sizeof(wants), "N or MIN..MAX, up to %u", max);
        return chaos_wrong(option, wants, text);
    }
    return true;
}

/* The next word of a list with commas. Returns: behind it; NULL: there was none, or it is too long. */
static const char *chaos_word(const char *text, char *word)
{
    size_t size = strcspn(text, ",");
    if (size == 0 || size >= CHAOS_WORD_MAX) {
        return NULL;
    }
    memcpy(word, text, size);
    word[size] = '\0';
    return text[size] == ',' && text[size + 1] != '\0' ? text + size + 1
           : text[size] == '\0'                        ? text + size
                                                       : NULL;
}

static bool chaos_take_fault(struct cmdi_chaos_options *options, char *word)
{
    uint32_t weight = 1;
    bool found = false;
    char *colon = strchr(word, ':');
    if (colon != NULL) {
        *colon = '\0';
        const char *end = chaos_number(colon + 1, CHAOS_WEIGHT_MAX, &weight);
        if (end == NULL || *end != '\0' || weight == 0) {
            return false;
        }
    }
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        if (strcmp(word, "all") == 0 || strcmp(word, cmdi_chaos_kind_name(kind)) == 0) {
            options->faults[kind] = weight;
            found = true;
        }
    }
    return found;
}

static bool chaos_faults(struct cmdi_chaos_options *options, const char *text)
{
    static const char wants[] = "names of faults with commas, each perhaps with :1 to :1000";
    char word[CHAOS_WORD_MAX];
    const char *at = text;
    do {
        at = chaos_word(at, word);
        if (at == NULL || !chaos_take_fault(options, word)) {
            return chaos_wrong("faults", wants, text);
        }
    } while (*at != '\0');
    return true;
}

static bool chaos_scopes(struct cmdi_chaos_options *options, const char *text)
{
    char word[CHAOS_WORD_MAX];
    const char *at = text;
    do {
        uint8_t before = options->scopes;
        at = chaos_word(at, word);
        for (uint32_t scope = 0; at != NULL && scope < CMDI_CHAOS_SCOPES; scope++) {
            if (strcmp(word, cmdi_chaos_scope_name(scope)) == 0) {
                options->scopes |= (uint8_t)(1u << scope);
            }
        }
        if (at == NULL || before == options->scopes) {
            return chaos_wrong("scope", "one, target and all, with commas", text);
        }
    } while (*at != '\0');
    return true;
}

static bool chaos_way(struct cmdi_chaos_options *options, const char *text)
{
    static const char *const names[] = {"any", "up", "down", "both"}; // By their bits.
    for (uint8_t way = CMDI_CHAOS_ANY; way <= CMDI_CHAOS_BOTH; way++) {
        if (strcmp(text, names[way]) == 0) {
            options->ways = way;
            return true;
        }
    }
    return chaos_wrong("way", "up, down, both or any", text);
}

/* LISTEN=TARGET */
static bool chaos_route(struct tool_chaos *chaos, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0') {
        fprintf(stderr,
                "cmdstream chaos: \"%s\" is no LISTEN=TARGET, as in "
                "127.0.0.1:9100=127.0.0.1:9000\n",
                text);
        return false;
    }
    *equals = '\0';
    chaos->routes[chaos->options.route_count++] = (struct cmdi_chaos_route){text, equals + 1};
    return true;
}

/* --- All of it -------------------------------------------------------------------------------- */

static const struct tool_rule chaos_rules[] = {
        {"every", "faults", true, "which ones?"},
        {"after", "faults", true, "which ones?"},
        {"until", "faults", true, NULL},
        {"for", "faults", true, NULL},
        {"scope", "every", true, NULL},
        {"share", "after", true, NULL},
        {"plan", "every", true, "there is no schedule"},
        {"plan", "quiet", false, NULL},
};

/* What is not drawn is there always; what is drawn has a strength. */
static void chaos_strengths(
        struct cmdi_chaos_options *options, const struct tool_chaos_options *line)
{
    const bool given[] = {[CMDI_CHAOS_DELAY] = line->delay != NULL,
            [CMDI_CHAOS_THROTTLE] = line->throttle > 0,
            [CMDI_CHAOS_SPLIT] = line->split > 0};
    for (uint32_t kind = CMDI_CHAOS_DELAY; kind <= CMDI_CHAOS_SPLIT; kind++) {
        if (given[kind] && options->faults[kind] == 0) {
            options->always |= 1u << kind;
        }
    }
    options->delay_ms = given[CMDI_CHAOS_DELAY] ? options->delay_ms : chaos_delay;
    options->throttle = line->throttle > 0 ? line->throttle : CHAOS_THROTTLE;
    options->split = line->split > 0 ? line->split : CHAOS_SPLIT;
}

/* Refuse and hang befall no connection that is there. */
static bool chaos_can_come_by_bytes(const struct cmdi_chaos_options *options)
{
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        if (options->faults[kind] > 0 && kind != CMDI_CHAOS_REFUSE && kind != CMDI_CHAOS_HANG) {
            return true;
        }
    }
    fprintf(stderr,
            "cmdstream chaos: --after is for faults of connections; refuse and hang are not\n");
    return false;
}

static bool chaos_words(struct tool_chaos *chaos)
{
    const struct tool_chaos_options *line = &chaos->line;
    struct cmdi_chaos_options *options = &chaos->options;
    options->lasts_ms = chaos_lasts;
    options->ways = CMDI_CHAOS_BOTH;
    options->by_bytes = line->after != NULL;
    bool right = (line->faults == NULL || chaos_faults(options, line->faults)) &&
                 (line->delay == NULL ||
                         chaos_range("delay", line->delay, CHAOS_MS_MAX, &options->delay_ms)) &&
                 (line->every == NULL ||
                         chaos_range("every", line->every, CHAOS_MS_MAX, &options->every_ms)) &&
                 (line->lasts == NULL ||
                         chaos_range("for", line->lasts, CHAOS_MS_MAX, &options->lasts_ms)) &&
                 (line->after == NULL || chaos_range("after", line->after, CHAOS_BYTES_MAX,
                                                 &options->after_bytes)) &&
                 (line->scope == NULL || chaos_scopes(options, line->scope)) &&
                 (line->way == NULL || chaos_way(options, line->way));
    if (right && line->every != NULL && options->every_ms.max == 0) {
        return chaos_wrong("every", "at least 1 ms", line->every);
    }
    return right && (line->after == NULL || chaos_can_come_by_bytes(options));
}

int tool_chaos_parse(struct tool_chaos *chaos, int argc, char **argv)
{
    struct tool_line line;
    struct cmdi_chaos_options *options = &chaos->options;
    int status = cmdi_tool_options_parse(&chaos_command, argc, argv, &chaos->line, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (!cmdi_tool_options_obey(&chaos_command, "chaos", &line, chaos_rules,
                sizeof(chaos_rules) / sizeof(chaos_rules[0])) ||
            !chaos_words(chaos)) {
        return TOOL_EXIT_USAGE;
    }
    for (int i = line.positional; i < argc; i++) {
        if (!chaos_route(chaos, argv[i])) {
            return TOOL_EXIT_USAGE;
        }
    }
    bool has_seed = cmdi_tool_options_given(&chaos_command, &line, "seed");
    options->routes = chaos->routes;
    options->seed =
            has_seed ? chaos->line.seed : (uint32_t)(cmdi_tool_now_ns() ^ (uint64_t)getpid());
    options->share = (uint8_t)chaos->line.share;
    options->until_ms = (uint32_t)(chaos->line.until * CHAOS_MS_PER_S);
    options->buffer_size = chaos->line.buffer;
    options->connection_count_max = chaos->line.max_connections;
    chaos_strengths(options, &chaos->line);
    return TOOL_PARSED;
}
