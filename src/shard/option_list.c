/* SPDX-License-Identifier: MIT */
/* See option_list.h. */
#include "shard/option_list.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "shard/runtime.h"

static const struct cmdi_option_row runtime_rows[] = {
        CMDI_OPTION(cmds_runtime_options, cpus, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_runtime_options, no_pinning, CMDS_OPTION_BOOL),
        CMDI_OPTION(cmds_runtime_options, spin_always, CMDS_OPTION_BOOL),
        CMDI_OPTION(cmds_runtime_options, spin_us, CMDS_OPTION_NUMBER),
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
        CMDI_OPTION(cmds_telemetry_options, off, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_telemetry_options, exec_sample, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_telemetry_options, stall_ms, CMDS_OPTION_NUMBER),
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
        cmdi_option_list_number(list, rows[i].name, (enum cmds_option_kind)rows[i].kind,
                row_number(&rows[i], options));
    }
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
    cmdi_option_list_number(
            &list, "log_level", CMDS_OPTION_NUMBER, cmds_runtime_log_level(runtime));
    cmdi_option_list_rows(&list, telemetry_rows, sizeof(telemetry_rows) / sizeof(telemetry_rows[0]),
            &runtime->telemetry_options);
    cmdi_option_list_number(&list, "trace", CMDS_OPTION_SET, runtime->spans != NULL);

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
