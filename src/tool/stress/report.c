/* SPDX-License-Identifier: MIT */
/*
 * What a stress test has found: the lines of the Go stress test, and an object for programs. All counts
 * are since the start.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "stress/stress.h"

struct report {
    struct stress_counters sum;
    uint64_t total, success;
    double seconds;
};

static struct report report_make(const struct stress *stress)
{
    struct report report = {.sum = stress_sum(stress)};
    const struct stress_counters *sum = &report.sum;
    report.success = sum->echo + sum->stream;
    report.total = sum->ended;
    report.seconds = (double)(stress->end_ns - stress->start_ns) / 1e9;
    return report;
}

static struct cmds_breaker_info report_breakers(const struct stress *stress)
{
    struct cmds_breaker_info sum = CMDS_BREAKER_INFO_INIT;
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        sum.opened += stress->lots[i].opened;
        sum.refused += stress->lots[i].refused;
    }
    return sum;
}

static void report_line(
        FILE *out, const struct report *report, const char *name, uint64_t count, const char *more)
{
    double share = report->total > 0 ? (double)count * 100 / (double)report->total : 0;
    fprintf(out, "  - %-20s%llu (%.1f%%)%s\n", name, (unsigned long long)count, share, more);
}

void stress_report(const struct stress *stress, FILE *out)
{
    struct report report = report_make(stress);
    const struct stress_counters *sum = &report.sum;
    double rate = report.seconds > 0 ? (double)report.total / report.seconds : 0;
    fprintf(out, "\n--- [STRESS TEST SUMMARY] ---\n");
    fprintf(out, "Total Commands: %llu (%.0f/s for %.1f s, seed %u)\n",
            (unsigned long long)report.total, rate, report.seconds, stress->options.seed);
    report_line(out, &report, "Success:", report.success, "");
    report_line(out, &report, "CB Blocked:", sum->blocked, "");
    fprintf(out, "  - %-20s%llu\n", "Keepalive Triggers:", (unsigned long long)sum->keepalive);
    fprintf(out, "  - %-20s%llu\n", "Late Results:", (unsigned long long)sum->late);
    report_line(out, &report, "Send Timeouts:", sum->send_timeouts, "");
    report_line(out, &report, "Result Timeouts:", sum->result_timeouts, "");
    report_line(out, &report, "Cancelled, Vetoed:", sum->cancelled + sum->vetoed, "");
    report_line(out, &report, "Network Error:", sum->network, "");
    report_line(out, &report, "Unexpected Error:", sum->unexpected, "");
    report_line(out, &report, "Verify Error:", sum->verify, " [CRITICAL]");
    fprintf(out, "  - %-20s%llu now, %llu at most; %llu KiB, %llu at most\n",
            "Descriptors, memory:", (unsigned long long)stress->watch.last.descriptors,
            (unsigned long long)stress->watch.descriptors_peak,
            (unsigned long long)stress->watch.last.memory_kib,
            (unsigned long long)stress->watch.memory_peak_kib);
    fprintf(out, "-----------------------------\n");
    fflush(out);
}

/* --- The object ------------------------------------------------------------------------------------ */

static void report_set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value != NULL ? value : json_null());
}

static void report_count(json_t *object, const char *name, uint64_t value)
{
    report_set(object, name, json_integer((json_int_t)value));
}

static json_t *report_error(const struct cmds_error *error)
{
    return error->code < 0 ? json_string(error->text) : json_null();
}

static json_t *report_descriptors(const struct stress_watch *watch)
{
    json_t *object = json_object();
    report_count(object, "begin", watch->begin.descriptors);
    report_count(object, "after_warmup", watch->after_warm.descriptors);
    report_count(object, "end", watch->last.descriptors);
    report_count(object, "peak", watch->descriptors_peak);
    report_count(object, "closed", watch->closed.descriptors);
    report_set(object, "grew", json_boolean(stress_watch_descriptors_grew(watch)));
    return object;
}

static json_t *report_memory(const struct stress_watch *watch)
{
    json_t *object = json_object();
    report_count(object, "begin", watch->begin.memory_kib);
    report_count(object, "after_warmup", watch->after_warm.memory_kib);
    report_count(object, "end", watch->last.memory_kib);
    report_count(object, "peak", watch->memory_peak_kib);
    report_count(object, "closed", watch->closed.memory_kib);
    report_set(object, "grew", json_boolean(stress_watch_memory_grew(watch)));
    return object;
}

static json_t *report_servers(const struct stress *stress)
{
    json_t *object = json_object();
    struct stress_served served = stress_served_sum(stress);
    report_count(object, "count", stress->backend_count);
    report_count(object, "starts", served.starts);
    report_count(object, "kills", served.kills);
    report_count(object, "drains", served.drains);
    report_count(object, "stalls", served.stalls);
    report_count(object, "failures", served.failures);
    report_count(object, "descriptors_peak", served.descriptors_peak);
    report_count(object, "rss_peak_kib", served.memory_peak_kib);
    return object;
}

static json_t *report_proxy(const struct stress *stress)
{
    json_t *object = json_object();
    struct stress_backend sum = stress_proxies_sum(stress);
    report_count(object, "descriptors_begin", sum.proxy_begin.descriptors);
    report_count(object, "descriptors_end", sum.proxy_end.descriptors);
    report_count(object, "descriptors_peak", sum.proxy_peak.descriptors);
    report_count(object, "rss_begin_kib", sum.proxy_begin.memory_kib);
    report_count(object, "rss_end_kib", sum.proxy_end.memory_kib);
    report_count(object, "rss_peak_kib", sum.proxy_peak.memory_kib);
    return object;
}

void stress_report_json(const struct stress *stress)
{
    struct report report = report_make(stress);
    const struct stress_counters *sum = &report.sum;
    json_t *object = json_object();
    report_count(object, "total_commands", report.total);
    report_count(object, "verify_errors", sum->verify + stress->left);
    report_count(object, "success", report.success);
    report_count(object, "success_echo", sum->echo);
    report_count(object, "success_stream", sum->stream);
    report_count(object, "failed_as_asked", sum->fail);
    report_count(object, "stream_items", sum->items);
    report_count(object, "cb_blocked", sum->blocked);
    report_count(object, "keepalive_triggers", sum->keepalive);
    report_count(object, "late_results", sum->late);
    report_count(object, "send_timeouts", sum->send_timeouts);
    report_count(object, "result_timeouts", sum->result_timeouts);
    report_count(object, "cancelled", sum->cancelled);
    report_count(object, "vetoed", sum->vetoed);
    report_count(object, "hooked", sum->hooked);
    report_count(object, "resent", stress->resent);
    report_count(object, "pings_sent", stress->pings);
    report_count(object, "cb_opened", report_breakers(stress).opened);
    report_count(object, "network_errors", sum->network);
    report_count(object, "unexpected_errors", sum->unexpected);
    report_count(object, "waits_for_room", sum->full);
    report_count(object, "connections_up", sum->ups);
    report_count(object, "never_ended", stress->left);
    report_count(object, "never_woken", stress->never_woken);
    report_set(object, "first_unexpected", report_error(&stress->first_unexpected));
    report_set(object, "first_wrong", report_error(&stress->first_wrong));
    report_set(object, "elapsed_s", json_real(report.seconds));
    report_set(object, "commands_per_second",
            json_real(report.seconds > 0 ? (double)report.total / report.seconds : 0));
    report_count(object, "seed", stress->options.seed);
    report_set(object, "codec", json_string(stress->codec->name));
    report_set(object, "tls", json_boolean(stress->options.tls.on));
    report_set(object, "interrupted", json_boolean(stress->signal != 0));
    report_set(object, "descriptors", report_descriptors(&stress->watch));
    report_set(object, "rss_kib", report_memory(&stress->watch));
    report_set(object, "servers",
            stress->options.connect == NULL ? report_servers(stress) : json_null());
    report_set(object, "proxy", stress->options.chaos ? report_proxy(stress) : json_null());
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

/* --- The verdict ----------------------------------------------------------------------------------- */

static bool report_fail_if(bool bad, const char *what)
{
    if (bad) {
        cmdi_tool_say("cmdstream stress: FAILED: %s", what);
    }
    return bad;
}

bool stress_has_failed(const struct stress *stress)
{
    struct report report = report_make(stress);
    bool failed = report_fail_if(report.sum.verify > 0, "results were wrong");
    failed |= report_fail_if(stress->left > 0, "commands never ended");
    failed |= report_fail_if(report.sum.hooked != report.sum.hook_ends,
            "hooks saw more commands begin than end, or less");
    failed |= report_fail_if(report.sum.blocked != report_breakers(stress).refused,
            "a breaker says that it refused more commands, or less");
    failed |= report_fail_if(stress->never_woken > 0, "on_writable never came");
    failed |= report_fail_if(report.sum.unexpected > 0, "errors that should not be");
    failed |= report_fail_if(report.success == 0, "not one command had its answer");
    for (uint32_t i = 0; i < stress->backend_count; i++) {
        failed |= report_fail_if(stress_backend_leaks(&stress->backends[i]),
                "the proxy holds connections that nobody has");
    }
    failed |= report_fail_if(stress_served_sum(stress).failures > 0, "a server ended badly");
    failed |= report_fail_if(stress_proxies_sum(stress).proxy_failed, "the proxy ended badly");
    failed |=
            report_fail_if(stress_watch_descriptors_grew(&stress->watch), "open descriptors grew");
    return failed;
}
