/* SPDX-License-Identifier: MIT */
/* See option_list.h. */
#include "shard/option_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "shard/runtime.h"
#include "shard/spans.h"

static const struct cmdi_option_word spin_words[] = {{0, "off"}, {0, NULL}};
static const struct cmdi_option_row runtime_rows[] = {
        CMDI_OPTION(cmds_runtime_options, cpus, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_runtime_options, no_pinning, CMDS_OPTION_BOOL),
        CMDI_OPTION(cmds_runtime_options, spin_always, CMDS_OPTION_BOOL),
        CMDI_OPTION_WORDS(cmds_runtime_options, spin_us, "spin_us", spin_words),
        CMDI_OPTION(cmds_runtime_options, pool_thread_count, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, pool_queue_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, buffer_size, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, buffer_count_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, memory_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, ring_entries, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, shard_stack_size, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, pool_stack_size, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_runtime_options, on_log, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_runtime_options, on_record, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_runtime_options, on_pool_thread_start, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_runtime_options, on_pool_thread_stop, CMDS_OPTION_SET),
};
static const struct cmdi_option_row telemetry_rows[] = {
        CMDI_OPTION_WORDS(cmds_telemetry_options, exec_sample, "telemetry.exec_sample", NULL),
        CMDI_OPTION_WORDS(cmds_telemetry_options, stall_ms, "telemetry.stall_ms", NULL),
};

static uint64_t row_number(const struct cmdi_option_row *row, const char *options)
{
    uint64_t number = 0;
    const char *field = options + row->offset;
    if (row->kind == CMDS_OPTION_SET) { // A pointer: its number is nobody's business.
        for (uint16_t i = 0; i < row->size; i++) {
            number |= field[i] != 0;
        }
        return number;
    }
    uint32_t word;
    CMDI_ASSERT(row->size == 1 || row->size == sizeof(word) || row->size == sizeof(number));
    if (row->size == sizeof(word)) {
        memcpy(&word, field, sizeof(word));
        return word;
    }
    if (row->size == sizeof(number)) {
        memcpy(&number, field, sizeof(number));
        return number;
    }
    return (unsigned char)*field;
}

/* The word for it; NULL: it is a quantity. */
static const char *row_word(const struct cmdi_option_row *row, uint64_t number)
{
    size_t size = strlen(row->name);
    const char *end = row->name + size - (size < 3 ? size : 3);
    if (row->kind == CMDS_OPTION_NUMBER && number == CMDS_NEVER && strcmp(end, "_ms") == 0) {
        return "never";
    }
    for (const struct cmdi_option_word *at = row->words; at != NULL && at->word != NULL; at++) {
        if (at->number == number) {
            return at->word;
        }
    }
    return NULL;
}

static void list_give(struct cmdi_option_list *list, const char *name, enum cmds_option_kind kind)
{
    list->option.name = name;
    list->option.kind = (uint8_t)kind;
    list->fn(list->context, &list->option);
}

void cmdi_option_list_number(struct cmdi_option_list *list, const char *name,
        enum cmds_option_kind kind, uint64_t number)
{
    list->option.number = number;
    list->option.text = "";
    list_give(list, name, kind);
}

void cmdi_option_list_word(
        struct cmdi_option_list *list, const char *name, const char *word, uint64_t number)
{
    list->option.number = number;
    list->option.text = word;
    list_give(list, name, CMDS_OPTION_WORD);
}

void cmdi_option_list_text(struct cmdi_option_list *list, const char *name, const char *text)
{
    list->option.number = 0;
    list->option.text = text;
    list_give(list, name, CMDS_OPTION_TEXT);
}

void cmdi_option_list_rows(struct cmdi_option_list *list, const struct cmdi_option_row *rows,
        size_t count, const void *options)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = row_number(&rows[i], options);
        const char *word = row_word(&rows[i], number);
        if (word != NULL) {
            cmdi_option_list_word(list, rows[i].name, word, number);
        } else {
            cmdi_option_list_number(
                    list, rows[i].name, (enum cmds_option_kind)rows[i].kind, number);
        }
    }
}

/* --- The runtime's ---------------------------------------------------------------------------- */

/* What is not kept: "sizes durations". */
static void list_telemetry(struct cmdi_option_list *list, const struct cmds_telemetry_options *from)
{
    static const struct cmdi_option_word parts[] = {{CMDS_TELEMETRY_TYPES, "types"},
            {CMDS_TELEMETRY_SIZES, "sizes"}, {CMDS_TELEMETRY_DURATIONS, "durations"},
            {CMDS_TELEMETRY_EXEC, "exec"}};
    char text[64] = "";
    size_t size = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if ((from->off & parts[i].number) != 0) {
            size += (size_t)snprintf(
                    text + size, sizeof(text) - size, "%s%s", size > 0 ? " " : "", parts[i].word);
            CMDI_ASSERT(size < sizeof(text));
        }
    }
    cmdi_option_list_word(list, "telemetry.off", text[0] != '\0' ? text : "nothing", from->off);
    cmdi_option_list_rows(
            list, telemetry_rows, sizeof(telemetry_rows) / sizeof(telemetry_rows[0]), from);
}

/* How it is now: sampling may have been changed since the start. */
static void list_trace(struct cmdi_option_list *list, const struct cmds_runtime *runtime)
{
    const struct cmdi_spans *spans = runtime->spans;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    cmdi_option_list_number(list, "trace", CMDS_OPTION_SET, spans != NULL);
    if (spans == NULL || cmds_runtime_sampling(runtime, &sampling) < 0) {
        return;
    }
    cmdi_option_list_number(
            list, "trace.span_count", CMDS_OPTION_NUMBER, (uint64_t)spans->mask + 1);
    cmdi_option_list_number(
            list, "trace.span_rate_max", CMDS_OPTION_NUMBER, sampling.span_rate_max);
    list->option.real = sampling.root_ratio;
    cmdi_option_list_number(list, "trace.root_ratio", CMDS_OPTION_REAL, 0);
    list->option.real = 0;
    cmdi_option_list_number(list, "trace.on_span_end", CMDS_OPTION_SET, spans->on_end != NULL);
}

int cmds_runtime_options_list(struct cmds_runtime *runtime, cmds_option_fn fn, void *context)
{
    if (runtime == NULL || fn == NULL) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    struct cmdi_option_list list = {
            .fn = fn, .context = context, .option = {.object = "runtime", .owner = ""}};
    cmdi_option_list_number(&list, "shard_count", CMDS_OPTION_NUMBER, runtime->shard_count);
    cmdi_option_list_rows(
            &list, runtime_rows, sizeof(runtime_rows) / sizeof(runtime_rows[0]), &runtime->options);
    uint32_t level = cmds_runtime_log_level(runtime);
    cmdi_option_list_word(&list, "log_level", cmds_log_level_name(level), level);
    list_telemetry(&list, &runtime->telemetry_options);
    list_trace(&list, runtime);

    pthread_mutex_lock(&runtime->lock);
    uint32_t index = 0;
    for (struct cmdi_list *node = runtime->services.next; node != &runtime->services;
            node = node->next) {
        const struct cmdi_service *service = CMDI_CONTAINER(node, struct cmdi_service, link);
        list.option.index = index++;
        if (service->list_options != NULL) {
            service->list_options(service, &list);
        }
    }
    pthread_mutex_unlock(&runtime->lock);
    return 0;
}
