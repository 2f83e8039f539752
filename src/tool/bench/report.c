/* SPDX-License-Identifier: MIT */
/*
 * What `bench` measured: a table for people, an object for programs. Rates are over the time
 * between the two samples; latencies are of the commands that began in the measured time, merged
 * over the workers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "json.h"

struct report_latency {
    uint64_t count;
    double p50, p90, p99, p999, max; // Microseconds.
};

struct report {
    double seconds, commands, results, megabytes; // The last three per second.
    double client_cpu, server_cpu;                // Microseconds per command; negative: unknown.
    uint64_t errors, unsent;
    const char *first_error;
    struct report_latency latency, light;
};

uint64_t cmdi_bench_errors(const struct bench *bench)
{
    uint64_t errors = 0;
    for (uint32_t i = 0; i < bench->worker_count; i++) {
        errors += atomic_load_explicit(&bench->workers[i].errors, memory_order_relaxed);
    }
    return errors;
}

static struct report_latency report_latency(
        const struct tool_clock *clock, const struct cmdi_histogram *histogram)
{
    return (struct report_latency){
            .count = histogram->count,
            .p50 = tool_clock_to_us(clock, cmdi_histogram_quantile(histogram, 0.5)),
            .p90 = tool_clock_to_us(clock, cmdi_histogram_quantile(histogram, 0.9)),
            .p99 = tool_clock_to_us(clock, cmdi_histogram_quantile(histogram, 0.99)),
            .p999 = tool_clock_to_us(clock, cmdi_histogram_quantile(histogram, 0.999)),
            .max = tool_clock_to_us(clock, histogram->max),
    };
}

static struct report report_make(struct bench *bench)
{
    const struct bench_sample *from = &bench->from;
    const struct bench_sample *to = &bench->to;
    double seconds = (double)(to->at_ns - from->at_ns) / 1e9;
    double commands = (double)(to->commands - from->commands);
    bool server_known = from->server_cpu_ns >= 0 && to->server_cpu_ns >= 0 && commands > 0;
    struct report report = {.seconds = seconds, .client_cpu = -1, .server_cpu = -1};
    if (seconds > 0) {
        report.commands = commands / seconds;
        report.results = (double)(to->results - from->results) / seconds;
        report.megabytes = (double)(to->bytes - from->bytes) / 1e6 / seconds;
    }
    if (commands > 0) {
        report.client_cpu = (double)(to->client_cpu_ns - from->client_cpu_ns) / 1e3 / commands;
    }
    if (server_known) {
        report.server_cpu = (double)(to->server_cpu_ns - from->server_cpu_ns) / 1e3 / commands;
    }
    report.errors = cmdi_bench_errors(bench);
    struct bench_worker *first = &bench->workers[0];
    for (uint32_t i = 0; i < bench->worker_count; i++) {
        struct bench_worker *worker = &bench->workers[i];
        report.unsent += worker->unsent;
        if (report.first_error == NULL && worker->first_error.code < 0) {
            report.first_error = worker->first_error.text;
        }
        if (i > 0) {
            cmdi_histogram_merge(&first->latency, &worker->latency);
            cmdi_histogram_merge(&first->light, &worker->light);
        }
    }
    report.latency = report_latency(&bench->plan.clock, &first->latency);
    report.light = report_latency(&bench->plan.clock, &first->light);
    return report;
}

/* --- The table -------------------------------------------------------------------------------- */

/* 1234567 -> "1,234,567". */
static const char *report_thousands(double number, char *text, size_t size)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%.0f", number);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static void report_latency_row(const char *name, const struct report_latency *latency)
{
    if (latency->count == 0) {
        printf("%-22s%10s%10s%10s%10s%10s\n", name, "-", "-", "-", "-", "-");
        return;
    }
    printf("%-22s%10.1f%10.1f%10.1f%10.1f%10.1f\n", name, latency->p50, latency->p90, latency->p99,
            latency->p999, latency->max);
}

/* Per command: without one there is nothing to say, which is not the same as unknown. */
static void report_cpu_row(const char *name, double us, bool any)
{
    if (us < 0) {
        printf("%-22s%10s\n", name, any ? "unknown" : "-");
    } else {
        printf("%-22s%10.3f\n", name, us);
    }
}

static const char *report_version(const struct bench *bench)
{
    return bench->secured.version == 12 ? "1.2" : "1.3";
}

static void report_title(const struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    const char *plural = options->threads == 1 ? "" : "s";
    if (bench->signal != 0) {
        printf("ended by a signal: %.1f s of %.1f were measured\n",
                (double)(bench->to.at_ns - bench->from.at_ns) / 1e9, options->duration);
    }
    printf("%s, %s, %s", options->command, bench->plan.codec->name, bench->server.address);
    if (bench->secured.version != 0) {
        printf(", TLS %s, %s", report_version(bench), bench->secured.cipher);
    }
    printf(": ");
    if (options->blocking) {
        printf("%u blocking callers, %s\n", options->callers,
                options->sender_single ? "each with a sender of its own" : "one sender");
    } else if (options->rate > 0) {
        printf("%u connection%s, %.10g commands/s asked for, %u client thread%s\n", options->conns,
                options->conns == 1 ? "" : "s", options->rate, options->threads, plural);
    } else {
        printf("%u connection%s x %u in flight, %u client %s%s\n", options->conns,
                options->conns == 1 ? "" : "s", options->in_flight, options->threads,
                options->own_threads ? "thread" : "shard", plural);
    }
}

static void report_table(const struct bench *bench, const struct report *report)
{
    char text[48];
    report_title(bench);
    printf("%-22s%16s", "commands/s", report_thousands(report->commands, text, sizeof(text)));
    if (bench->options.rate > 0) {
        printf(", and %s were asked for",
                report_thousands(bench->options.rate, text, sizeof(text)));
    }
    putchar('\n');
    printf("%-22s%16s\n", "results/s", report_thousands(report->results, text, sizeof(text)));
    printf("%-22s%16.1f\n", "MB/s of results", report->megabytes);
    printf("\n%-22s%10s%10s%10s%10s%10s\n", "latency, us", "p50", "p90", "p99", "p99.9", "max");
    report_latency_row("", &report->latency);
    if (bench->options.light > 0) {
        report_latency_row("light connections", &report->light);
    }
    printf("\nCPU us per command\n");
    report_cpu_row("  client", report->client_cpu, report->commands > 0);
    report_cpu_row("  server", report->server_cpu, report->commands > 0);
    if (report->unsent > 0) {
        printf("\n%-22s%16s, though due: the rate is more than can be reached here, and the\n"
               "%40slatencies count these, too, from when each was due\n",
                "never sent", report_thousands((double)report->unsent, text, sizeof(text)), "");
    }
    printf("\n%-22s%16llu%s%s\n", "errors", (unsigned long long)report->errors,
            report->first_error != NULL ? ", the first: " : "",
            report->first_error != NULL ? report->first_error : "");
}

/* --- The object ------------------------------------------------------------------------------- */

/* What is open stays open; only the commas have to be known. */
struct bench_report {
    bool comma;
};

static void report_name(struct bench_report *object, const char *name)
{
    printf("%s\"%s\":", object->comma ? "," : "", name);
    object->comma = true;
}

static void report_begin(struct bench_report *object, const char *name)
{
    report_name(object, name);
    putchar('{');
    object->comma = false;
}

static void report_end(struct bench_report *object)
{
    putchar('}');
    object->comma = true;
}

void cmdi_bench_report_text(struct bench_report *report, const char *name, const char *value)
{
    report_name(report, name);
    if (value == NULL) {
        fputs("null", stdout);
    } else {
        (void)cmdi_tool_json_write_string(stdout, cmds_string_from(value));
    }
}

static void report_bool(struct bench_report *object, const char *name, bool value)
{
    report_name(object, name);
    fputs(value ? "true" : "false", stdout);
}

static void report_real(struct bench_report *object, const char *name, double value, bool known)
{
    report_name(object, name);
    if (known) {
        printf("%.9g", value);
    } else {
        fputs("null", stdout);
    }
}

void cmdi_bench_report_count(struct bench_report *report, const char *name, uint64_t value)
{
    report_name(report, name);
    printf("%llu", (unsigned long long)value);
}

static void report_json_latency(
        struct bench_report *object, const char *prefix, const struct report_latency *latency)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"p50_us", latency->p50}, {"p90_us", latency->p90}, {"p99_us", latency->p99},
            {"p999_us", latency->p999}, {"max_us", latency->max}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s%s", prefix, rows[i].name);
        report_real(object, name, rows[i].value, latency->count > 0);
    }
}

/* null: plain. */
static void report_tls(const struct bench *bench, struct bench_report *object)
{
    if (bench->secured.version == 0) {
        cmdi_bench_report_text(object, "tls", NULL);
        return;
    }
    report_begin(object, "tls");
    cmdi_bench_report_text(object, "version", report_version(bench));
    cmdi_bench_report_text(object, "cipher", bench->secured.cipher);
    report_end(object);
}

static void report_parameters(const struct bench *bench, struct bench_report *object)
{
    const struct bench_options *options = &bench->options;
    report_begin(object, "parameters");
    cmdi_bench_report_text(object, "command", options->command);
    cmdi_bench_report_text(object, "codec", bench->plan.codec->name);
    cmdi_bench_report_text(object, "address", bench->server.address);
    report_tls(bench, object);
    cmdi_bench_report_text(object, "mode",
            options->blocking      ? (options->sender_single ? "blocking-single" : "blocking")
            : options->rate > 0    ? "open"
            : options->own_threads ? "closed-own-threads"
                                   : "closed");
    cmdi_bench_report_text(object, "dispatch", bench->plan.sticky ? "sticky" : "round-robin");
    report_bool(object, "hooks", options->hooks);
    report_bool(object, "own_server", options->connect == NULL);
    cmdi_bench_report_count(object, "conns", options->conns);
    cmdi_bench_report_count(object, "in_flight", options->in_flight);
    cmdi_bench_report_count(object, "threads", options->threads);
    cmdi_bench_report_count(object, "callers", options->callers);
    cmdi_bench_report_count(object, "light", options->light);
    cmdi_bench_report_count(object, "idle", options->idle);
    report_real(object, "rate", options->rate, options->rate > 0);
    bench->plan.subject->report(bench, object);
    report_real(object, "duration_s", options->duration, true);
    report_real(object, "warmup_s", options->warmup, true);
    cmdi_bench_report_count(object, "client_spin_us", options->client_spin_us);
    cmdi_bench_report_count(object, "server_spin_us", options->server_spin_us);
    cmdi_bench_report_count(object, "server_shards", options->server_shards);
    report_bool(object, "pinned_apart",
            options->connect == NULL && !options->share && !options->no_pin);
    report_end(object);
}

static void report_json(const struct bench *bench, const struct report *report)
{
    struct bench_report line = {0};
    struct bench_report *object = &line;
    putchar('{');
    report_real(object, "commands_per_second", report->commands, true);
    report_real(object, "results_per_second", report->results, true);
    report_real(object, "mb_per_second", report->megabytes, true);
    report_json_latency(object, "", &report->latency);
    if (bench->options.light > 0) {
        report_json_latency(object, "light_", &report->light);
        cmdi_bench_report_count(object, "light_commands", report->light.count);
    }
    report_real(object, "client_cpu_us_per_command", report->client_cpu, report->client_cpu >= 0);
    report_real(object, "server_cpu_us_per_command", report->server_cpu, report->server_cpu >= 0);
    cmdi_bench_report_count(object, "errors", report->errors);
    cmdi_bench_report_text(object, "first_error", report->first_error);
    cmdi_bench_report_count(object, "unsent", report->unsent);
    report_bool(object, "interrupted", bench->signal != 0);
    report_real(object, "elapsed_s", report->seconds, true);
    cmdi_bench_report_count(object, "commands", bench->to.commands - bench->from.commands);
    cmdi_bench_report_count(object, "results", bench->to.results - bench->from.results);
    report_parameters(bench, object);
    puts("}");
}

void cmdi_bench_report(struct bench *bench)
{
    struct report report = report_make(bench);
    if (bench->options.json) {
        report_json(bench, &report);
    } else {
        report_table(bench, &report);
    }
}
