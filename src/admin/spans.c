/* SPDX-License-Identifier: MIT */
/*
 * The page /spans: what the shards keep of traces, looked at and not taken. Names, attributes and peers may be
 * a stranger's text: whatever is written here is escaped, and what is drawn from it is text.
 */
#include "admin/spans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <microhttpd.h>

#include "admin/admin.h"
#include "admin/common.h"
#include "admin/held.h"
#include "admin/pages.h"
#include "admin/words.h"

enum {
    SPANS_LIMIT_DEFAULT = 200,
    SPANS_DEPTH = 16384, // Of each shard's, so that a look ends soon however large the rings are.
    SPANS_BAR = 32,      // Characters.
    SPANS_US_MAX = 1000000000,
};

struct spans_page {
    struct cmdi_admin_out *out;
    struct cmds_span_query query;
    size_t limit, count; // How many there are.
    uint32_t listed;
    struct cmds_span *list;
    struct cmdi_admin_held held;
    uint64_t realtime_ns; // What CLOCK_REALTIME is ahead of the spans' clock. It may wrap.
};

/* --- The question ----------------------------------------------------------------------------- */

static int hex_digit(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* Returns: false: it is no id of a trace. */
static bool spans_trace(uint8_t trace_id[16], const char *text)
{
    uint8_t bits = 0;
    if (strlen(text) != 32) {
        return false;
    }
    for (size_t i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        trace_id[i] = (uint8_t)(high << 4 | low);
        bits |= trace_id[i];
    }
    return bits != 0;
}

/* One of two words. Returns: it is the second; *is_known: it is one of them, or not there. */
static bool spans_choice(
        struct cmdi_admin_request *request, const char *name, const char *words[2], bool *is_known)
{
    const char *text = cmdi_admin_argument(request, name);
    bool is_second = text != NULL && strcmp(text, words[1]) == 0;
    *is_known = *is_known && (text == NULL || is_second || strcmp(text, words[0]) == 0);
    return is_second;
}

/* Returns: false: it is refused. */
static bool spans_ask(struct cmdi_admin_request *request, struct spans_page *page)
{
    static const char *failed[2] = {"0", "1"}, *order[2] = {"newest", "slowest"};
    const char *kind = cmdi_admin_argument(request, "kind");
    const char *trace = cmdi_admin_argument(request, "trace");
    size_t min_us = 0;
    bool is_known = true;
    page->query = (struct cmds_span_query)CMDS_SPAN_QUERY_INIT;
    page->query.depth = SPANS_DEPTH;
    page->limit = SPANS_LIMIT_DEFAULT;
    if (!cmdi_admin_argument_number(request, "limit", CMDI_ADMIN_SPANS_MAX, &page->limit) ||
            !cmdi_admin_argument_number(request, "min_us", SPANS_US_MAX, &min_us)) {
        return false;
    }
    page->query.duration_min_ns = min_us * 1000;
    page->query.type = cmdi_admin_argument(request, "type");
    page->query.failed = spans_choice(request, "failed", failed, &is_known);
    page->query.slowest = spans_choice(request, "order", order, &is_known);
    if (!is_known) {
        cmdi_admin_refuse(
                request, MHD_HTTP_BAD_REQUEST, "failed is 0 or 1, order is newest or slowest.");
    } else if (kind != NULL && strcmp(kind, "server") != 0 && strcmp(kind, "client") != 0) {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, "kind is server or client.");
    } else if (trace != NULL && !spans_trace(page->query.trace_id, trace)) {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST,
                "trace is 32 hexadecimal digits, a to f small, not all of them 0.");
    } else {
        page->query.kind = kind == NULL                  ? 0
                           : strcmp(kind, "client") == 0 ? CMDS_SPAN_CLIENT
                                                         : CMDS_SPAN_SERVER;
        return true;
    }
    return false;
}

/* --- Parts of both forms ---------------------------------------------------------------------- */

static void write_hex(struct cmdi_admin_out *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        cmdi_admin_out_format(out, "%02x", bytes[i]);
    }
}

/* "2026-11-27T12:00:01.123456Z" */
static void write_time(const struct spans_page *page, uint64_t monotonic_ns)
{
    uint64_t ns = monotonic_ns + page->realtime_ns;
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm = {0};
    char text[32] = "";
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    cmdi_admin_out_format(page->out, "%s.%06uZ", text, (unsigned)(ns % 1000000000 / 1000));
}

static uint64_t realtime_ahead_ns(void)
{
    struct timespec real;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    return (uint64_t)real.tv_sec * 1000000000 + (uint64_t)real.tv_nsec - cmdi_admin_now_ns();
}

/* --- Text ------------------------------------------------------------------------------------- */

static const char *ns_text(char text[CMDI_ADMIN_WORD_SIZE], uint64_t ns)
{
    return cmdi_admin_time(text, (double)ns / 1e9);
}

/* Where in its trace it was open: at least one character of the bar. */
static void text_bar(struct cmdi_admin_out *out, const struct cmds_span *span, uint64_t start_ns,
        uint64_t all_ns)
{
    char bar[SPANS_BAR + 1];
    double scale = all_ns > 0 ? (double)SPANS_BAR / (double)all_ns : 0;
    uint32_t from = (uint32_t)((double)(span->start_ns - start_ns) * scale);
    uint32_t to = from + (uint32_t)((double)cmdi_admin_span_duration_ns(span) * scale);
    from = from < SPANS_BAR ? from : SPANS_BAR - 1;
    memset(bar, ' ', SPANS_BAR);
    for (uint32_t i = from; i == from || (i < to && i < SPANS_BAR); i++) {
        bar[i] = span->error != 0 ? '!' : '=';
    }
    bar[SPANS_BAR] = '\0';
    cmdi_admin_out_format(out, "|%s|  ", bar);
}

static void text_span(struct cmdi_admin_out *out, const struct cmdi_admin_branch *branch,
        uint64_t start_ns, uint64_t all_ns)
{
    const struct cmds_span *span = branch->span;
    char word[CMDI_ADMIN_WORD_SIZE], name[CMDI_ADMIN_SPAN_NAME_SIZE];
    cmdi_admin_right(out, ns_text(word, span->start_ns - start_ns), 9);
    cmdi_admin_right(out, ns_text(word, cmdi_admin_span_duration_ns(span)), 7);
    text_bar(out, span, start_ns, all_ns);
    for (uint32_t i = 0; i < branch->depth && i < SPANS_BAR; i++) {
        cmdi_admin_out_text(out, "  ");
    }
    cmdi_admin_out_plain(out, cmds_string_from(cmdi_admin_span_name(name, span)));
    cmdi_admin_out_text(out, "  ");
    cmdi_admin_out_plain(out, cmds_string_from(span->peer));
    if (span->error != 0) {
        cmdi_admin_out_format(out, "  %s", cmds_error_name(span->error));
    }
    uint32_t at = 0;
    const char *key = NULL;
    for (struct cmds_string value; cmds_span_attribute(span, &at, &key, &value);) {
        cmdi_admin_out_text(out, "  ");
        cmdi_admin_out_plain(out, cmds_string_from(key));
        cmdi_admin_out_text(out, "=");
        cmdi_admin_out_plain(out, value);
    }
    cmdi_admin_out_text(out, "\n");
}

static void text_trace(
        const struct spans_page *page, const struct cmdi_admin_branch *branches, uint32_t count)
{
    uint64_t start_ns = UINT64_MAX, end_ns = 0;
    char word[CMDI_ADMIN_WORD_SIZE];
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_span *span = branches[i].span;
        start_ns = span->start_ns < start_ns ? span->start_ns : start_ns;
        end_ns = span->end_ns > end_ns ? span->end_ns : end_ns;
    }
    uint64_t all_ns = end_ns > start_ns ? end_ns - start_ns : 0;
    cmdi_admin_out_text(page->out, "\ntrace ");
    write_hex(page->out, branches[0].span->trace_id, sizeof(branches[0].span->trace_id));
    cmdi_admin_out_text(page->out, "  ");
    write_time(page, start_ns);
    cmdi_admin_out_format(page->out, "  %s\n", ns_text(word, all_ns));
    for (uint32_t i = 0; i < count; i++) {
        text_span(page->out, &branches[i], start_ns, all_ns);
    }
}

/* Returns: 0; -ENOMEM. */
static int spans_text(const struct spans_page *page)
{
    struct cmdi_admin_branch *branches = calloc(CMDI_ADMIN_SPANS_MAX, sizeof(*branches));
    bool is_done[CMDI_ADMIN_SPANS_MAX] = {false};
    if (branches == NULL) {
        return -ENOMEM;
    }
    if (page->listed < page->count) {
        cmdi_admin_out_format(page->out, "%u of ", page->listed);
    }
    cmdi_admin_out_format(page->out, "%zu span%s\n", page->count, page->count == 1 ? "" : "s");
    cmdi_admin_held_text(page->out, &page->held);
    for (uint32_t i = 0; i < page->listed; i++) {
        if (!is_done[i]) {
            text_trace(page, branches,
                    cmdi_admin_spans_tree(branches, page->list, page->listed, i, is_done));
        }
    }
    free(branches);
    return 0;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_text(struct cmdi_admin_out *out, const char *name, struct cmds_string text)
{
    cmdi_admin_out_format(out, ",\"%s\":", name);
    cmdi_admin_out_json(out, text);
}

/* Of nanoseconds, to the last one. */
static void json_us(struct cmdi_admin_out *out, const char *name, uint64_t ns)
{
    cmdi_admin_out_format(
            out, ",\"%s\":%llu.%03u", name, (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

static void json_event(struct cmdi_admin_out *out, const struct cmds_span *span, uint32_t index)
{
    const struct cmds_span_event *event = &span->events[index];
    uint64_t after_ns = event->time_ns > span->start_ns ? event->time_ns - span->start_ns : 0;
    cmdi_admin_out_format(
            out, "%s{\"number\":%u,\"size\":%u", index == 0 ? "" : ",", event->number, event->size);
    json_us(out, "after_us", after_ns);
    bool is_result = event->number > 0;
    json_text(out, "name", cmds_string_from(is_result ? "result" : event->name));
    json_text(out, "type", cmds_string_from(is_result ? cmdi_admin_span_type(event->type) : ""));
    cmdi_admin_out_text(out, "}");
}

static void json_attributes(struct cmdi_admin_out *out, const struct cmds_span *span)
{
    uint32_t at = 0;
    const char *key = NULL, *comma = "";
    cmdi_admin_out_text(out, ",\"attributes\":[");
    for (struct cmds_string value; cmds_span_attribute(span, &at, &key, &value); comma = ",") {
        cmdi_admin_out_format(out, "%s{\"key\":", comma);
        cmdi_admin_out_json(out, cmds_string_from(key));
        json_text(out, "value", value);
        cmdi_admin_out_text(out, "}");
    }
    cmdi_admin_out_text(out, "]");
}

static void json_ids(struct cmdi_admin_out *out, const struct cmds_span *span)
{
    static const uint8_t none[sizeof(span->parent_id)] = {0};
    cmdi_admin_out_text(out, "{\"trace_id\":\"");
    write_hex(out, span->trace_id, sizeof(span->trace_id));
    cmdi_admin_out_text(out, "\",\"span_id\":\"");
    write_hex(out, span->span_id, sizeof(span->span_id));
    cmdi_admin_out_text(out, "\",\"parent_id\":\"");
    if (memcmp(span->parent_id, none, sizeof(none)) != 0) {
        write_hex(out, span->parent_id, sizeof(span->parent_id));
    }
    cmdi_admin_out_format(out, "\",\"remote_parent\":%s",
            (span->flags & CMDS_SPAN_REMOTE_PARENT) != 0 ? "true" : "false");
}

static void json_span(const struct spans_page *page, const struct cmds_span *span)
{
    struct cmdi_admin_out *out = page->out;
    char name[CMDI_ADMIN_SPAN_NAME_SIZE];
    json_ids(out, span);
    json_text(out, "name", cmds_string_from(cmdi_admin_span_name(name, span)));
    json_text(out, "type", cmds_string_from(cmdi_admin_span_type(span->type)));
    cmdi_admin_out_format(out, ",\"kind\":\"%s\",\"time\":\"",
            span->kind == CMDS_SPAN_CLIENT ? "client" : "server");
    write_time(page, span->start_ns);
    cmdi_admin_out_text(out, "\"");
    json_us(out, "start_us", span->start_ns);
    json_us(out, "duration_us", cmdi_admin_span_duration_ns(span));
    json_text(out, "error", cmds_string_from(span->error != 0 ? cmds_error_name(span->error) : ""));
    json_text(out, "error_text",
            cmds_string_from(span->error != 0 ? cmds_error_text(span->error) : ""));
    cmdi_admin_out_format(
            out, ",\"sequence\":%llu,\"size\":%u", (unsigned long long)span->sequence, span->size);
    json_text(out, "peer", cmds_string_from(span->peer));
    cmdi_admin_out_text(out, ",\"events\":[");
    for (uint32_t i = 0; i < span->event_count && i < CMDS_SPAN_EVENTS_MAX; i++) {
        json_event(out, span, i);
    }
    cmdi_admin_out_text(out, "]");
    json_attributes(out, span);
    cmdi_admin_out_format(out, ",\"dropped_events\":%u,\"dropped_attributes\":%u}",
            span->dropped_events, span->dropped_attributes);
}

static void spans_json(const struct spans_page *page)
{
    cmdi_admin_out_format(page->out, "{\"kept\":true,\"count\":%zu", page->count);
    cmdi_admin_held_json(page->out, &page->held);
    cmdi_admin_out_text(page->out, ",\"spans\":[");
    for (uint32_t i = 0; i < page->listed; i++) {
        cmdi_admin_out_text(page->out, i == 0 ? "\n" : ",\n");
        json_span(page, &page->list[i]);
    }
    cmdi_admin_out_text(page->out, "]}\n");
}

/* --- The page --------------------------------------------------------------------------------- */

static void spans_none(struct cmdi_admin_request *request)
{
    cmdi_admin_out_text(&request->out, request->form == CMDI_ADMIN_JSON
                                               ? "{\"kept\":false,\"count\":0,\"spans\":[]}\n"
                                               : CMDI_ADMIN_NO_SPANS "\n");
}

void cmdi_admin_page_spans(struct cmdi_admin_request *request)
{
    struct spans_page page = {.out = &request->out, .realtime_ns = realtime_ahead_ns()};
    if (!spans_ask(request, &page)) {
        return;
    }
    page.list = page.limit > 0 ? malloc(page.limit * sizeof(*page.list)) : NULL;
    int code = page.list == NULL && page.limit > 0
                       ? -ENOMEM
                       : cmds_span_look(request->admin->runtime, &page.query, page.list, page.limit,
                                 &page.count);
    if (code == 0 || code == CMDS_E_TIMEOUT) {
        cmdi_admin_held_find(request->admin->runtime, code, &page.held);
        code = 0;
        page.listed = (uint32_t)(page.count < page.limit ? page.count : page.limit);
        if (request->form == CMDI_ADMIN_JSON) {
            spans_json(&page);
        } else {
            code = spans_text(&page);
        }
    }
    if (code == -ENOTSUP) {
        spans_none(request);
    } else if (code < 0) {
        cmdi_admin_refuse_list(request, code);
    }
    free(page.list);
}
