/* SPDX-License-Identifier: MIT */
/* Ledgers: how they are made and found, and what happens at the end of a turn. See ledger.h. */
#include "telemetry/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    LEDGER_NAME_MAX = 256, // Beyond that a name is cut.
};

_Static_assert(offsetof(struct cmdi_type_block, sizes) <= 64, "what each command writes is a line");
_Static_assert(offsetof(struct cmdi_type_block, results[1]) <= 8192, "most types need two pages");

/* --- The end of a turn ------------------------------------------------------------------------ */

/* Apart: what is inlined works out buckets of those that are not there. */
static __attribute__((noinline)) void ledger_record(struct cmdi_ledger_shard *ledger,
        struct cmdi_durations *durations, uint64_t took_ns, uint32_t count)
{
    if (count == 0 || !ledger->keeps_durations) {
        return;
    }
    if (took_ns != ledger->took_ns) {
        ledger->took_ns = took_ns;
        ledger->took_bucket = cmdi_duration_bucket(cmdi_duration_units(took_ns));
    }
    cmdi_durations_record_in(durations, ledger->took_bucket, took_ns, count);
}

/* Those that were answered since they were last added up are of the latest run. */
static inline void ledger_add_up(struct cmdi_type_block *block)
{
    block->run_answered[block->latest_run] += (uint32_t)(block->answered - block->answered_then);
    block->answered_then = block->answered;
}

/* What was counted apart. */
static __attribute__((noinline)) void ledger_end_apart(struct cmdi_ledger_shard *ledger,
        struct cmdi_type_block *block, enum cmdi_run run, uint64_t took_ns)
{
    ledger_record(ledger, &block->durations[CMDI_STATUS_OK], took_ns, block->run_count[run]);
    block->run_count[run] = 0;
    block->run_apart[run] = false;
    for (uint32_t i = 0; i < CMDI_STATUSES - 1 && run == CMDI_RUN_TURN; i++) {
        ledger_record(ledger, &block->durations[i + 1], took_ns, block->turn_count[i]);
        block->turn_count[i] = 0;
    }
    for (uint32_t i = 0; i <= CMDI_RESULT_SLOTS && block->results[i].result != 0; i++) {
        struct cmdi_result_slot *slot = &block->results[i];
        ledger_record(ledger, &slot->durations, took_ns, slot->run_count[run]);
        slot->run_count[run] = 0;
    }
}

static inline void ledger_end_run(struct cmdi_ledger_shard *ledger, struct cmdi_type_block *block,
        enum cmdi_run run, uint64_t took_ns)
{
    ledger_add_up(block);
    ledger->more_key = 0;
    block->run_begun[run] = 0;
    if (block->latest_run == run) {
        block->latest_mark = CMDI_LEDGER_LATEST_NONE;
    }
    ledger_record(ledger, &block->both, took_ns, block->run_answered[run]);
    block->run_answered[run] = 0;
    if (CMDI_UNLIKELY(block->run_apart[run])) {
        ledger_end_apart(ledger, block, run, took_ns);
    }
}

static void ledger_end_turn(
        struct cmdi_ledger_shard *ledger, struct cmdi_type_block *block, uint64_t duration_ns)
{
    if (block->run_begun[CMDI_RUN_BEFORE] != 0) {
        ledger_end_run(ledger, block, CMDI_RUN_BEFORE, block->run_took_ns);
    }
    if (block->run_begun[CMDI_RUN_TURN] != 0) {
        ledger_end_run(ledger, block, CMDI_RUN_TURN, duration_ns);
    }
}

static void ledger_on_turn_end(struct cmdi_turn_note *note, uint64_t duration_ns)
{
    struct cmdi_ledger_shard *ledger = CMDI_CONTAINER(note, struct cmdi_ledger_shard, note);
    while (ledger->touched != CMDI_LEDGER_END) {
        struct cmdi_type_block *block = &ledger->blocks[ledger->touched - 1];
        ledger->touched = block->touched_next;
        block->touched_next = 0;
        ledger_end_turn(ledger, block, duration_ns);
    }
}

/* The turn's end will see the block. */
static void ledger_touch(struct cmdi_ledger_shard *ledger, uint32_t place)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    if (block->touched_next != 0) {
        return;
    }
    if (ledger->touched == CMDI_LEDGER_END) {
        cmdi_meter_note(&ledger->shard->meter, &ledger->note);
    }
    block->touched_next = ledger->touched;
    ledger->touched = place + 1;
}

/* How long did it take, until now? Returns: 0: it is of this turn. */
static uint64_t ledger_took(const struct cmdi_ledger_shard *ledger, uint64_t begun_ns)
{
    uint64_t now_ns = ledger->shard->now_ns;
    return now_ns > begun_ns ? now_ns - begun_ns : 0;
}

/* A run of those that had begun then; it may end another one. */
static enum cmdi_run ledger_begin_run(
        struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    uint64_t took_ns = ledger_took(ledger, begun_ns);
    enum cmdi_run run = took_ns == 0 ? CMDI_RUN_TURN : CMDI_RUN_BEFORE;
    CMDI_ASSERT(begun_ns != UINT64_MAX);
    ledger_touch(ledger, place);
    if (run == CMDI_RUN_BEFORE) {
        if (block->run_begun[run] != 0) {
            ledger_end_run(ledger, block, run, block->run_took_ns);
        }
        block->run_took_ns = took_ns;
    }
    block->run_begun[run] = ~begun_ns; // All that are of this turn are one run.
    return run;
}

/* Which run is that of those that had begun then? */
static inline enum cmdi_run ledger_run(
        struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t begun_ns)
{
    const struct cmdi_type_block *block = &ledger->blocks[place];
    return block->run_begun[CMDI_RUN_TURN] == ~begun_ns ? CMDI_RUN_TURN
           : block->run_begun[CMDI_RUN_BEFORE] == ~begun_ns
                   ? CMDI_RUN_BEFORE
                   : ledger_begin_run(ledger, place, begun_ns);
}

/* Which slot has results of this type? It gets one if there is one left. */
static struct cmdi_result_slot *ledger_slot(struct cmdi_type_block *block, uint32_t result)
{
    struct cmdi_result_slot *slot = block->results;
    while (slot->result != result + 1 && slot->result != 0 &&
            slot < &block->results[CMDI_RESULT_SLOT_OVER]) {
        slot++;
    }
    if (slot->result == 0) {
        __atomic_store_n(&slot->result, result + 1, __ATOMIC_RELEASE);
    }
    return slot;
}

/* --- What the shard counts -------------------------------------------------------------------- */

void cmdi_ledger_result_anew(struct cmdi_ledger_shard *ledger, uint32_t place, uint32_t result,
        uint64_t size, uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    struct cmdi_result_slot *slot = ledger_slot(block, result);
    enum cmdi_run run = ledger_run(ledger, place, begun_ns);
    cmdi_alone_add(&slot->count, 1);
    cmdi_frame_sizes_record(&slot->sizes, size);
    slot->run_count[run]++;
    block->run_apart[run] = true;
    ledger->more_key = cmdi_ledger_key(begun_ns);
    ledger->more_which = (uint64_t)place << 32 | result;
    ledger->more_slot = slot;
    ledger->more_run_count = &slot->run_count[run];
}

void cmdi_ledger_answered_anew(struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t mark,
        uint64_t size, uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    uint32_t result = cmdi_type_mark_place(mark);
    if (begun_ns == UINT64_MAX) {
        return;
    }
    if (ledger_slot(block, result) != block->results) {
        cmdi_ledger_result(ledger, place, result, size, begun_ns);
        cmdi_ledger_ended(ledger, place, CMDI_STATUS_OK, begun_ns);
        return;
    }
    enum cmdi_run run = ledger_run(ledger, place, begun_ns);
    ledger_add_up(block);
    block->latest_ns = begun_ns;
    block->latest_mark = mark;
    block->latest_run = (uint8_t)run;
    cmdi_ledger_answered(block, size);
}

void cmdi_ledger_ended(struct cmdi_ledger_shard *ledger, uint32_t place, enum cmdi_status status,
        uint64_t begun_ns)
{
    struct cmdi_type_block *block = &ledger->blocks[place];
    enum cmdi_run run = ledger_run(ledger, place, begun_ns);
    cmdi_alone_add(&block->count[status], 1);
    if (CMDI_LIKELY(status == CMDI_STATUS_OK)) {
        block->run_count[run]++;
        block->run_apart[run] = true;
    } else if (run == CMDI_RUN_TURN) {
        block->turn_count[status - 1]++;
        block->run_apart[run] = true;
    } else {
        ledger_record(ledger, &block->durations[status], ledger_took(ledger, begun_ns), 1);
    }
}

/* --- Sampled times ---------------------------------------------------------------------------- */

/* Random, of the mean that is asked for: what comes at regular times must not be met or missed always. */
static void ledger_draw_gap(struct cmdi_ledger_shard *ledger)
{
    uint32_t mean = ledger->exec_sample;
    ledger->exec_gap =
            mean == 0 ? UINT32_MAX : 1 + (uint32_t)(cmdi_shard_random() % (2 * (uint64_t)mean - 1));
    ledger->exec_left = ledger->exec_gap;
}

void cmdi_ledger_exec(struct cmdi_ledger_shard *ledger, uint32_t place, uint64_t took_ns)
{
    if (ledger->exec_sample != 0) {
        cmdi_durations_record(&ledger->blocks[place].exec, took_ns, ledger->exec_gap);
    }
    ledger_draw_gap(ledger);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void ledger_free_types(struct cmdi_ledger_type *types, uint32_t count)
{
    for (uint32_t i = 0; types != NULL && i < count; i++) {
        free(types[i].name);
    }
    free(types);
}

void cmdi_ledger_free(struct cmdi_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    for (uint32_t i = 0; ledger->shards != NULL && i < ledger->shard_count; i++) {
        free(ledger->shards[i].memory);
    }
    ledger_free_types(ledger->commands, ledger->command_count);
    ledger_free_types(ledger->results, ledger->result_count);
    free(ledger->shards);
    free(ledger);
}

/* Of a traced command "inner (trace)", as Go has it. */
static void ledger_name(const struct cmds_type *type, char name[LEDGER_NAME_MAX])
{
    const struct cmds_type *inner = cmdi_type_traces(type);
    (void)snprintf(name, LEDGER_NAME_MAX, "%s%s", (inner != NULL ? inner : type)->schema->name,
            inner != NULL ? " (trace)" : "");
}

static struct cmdi_ledger_type *ledger_copy_types(
        const struct cmds_type *const *types, uint32_t count)
{
    struct cmdi_ledger_type *copies = calloc((size_t)count + 1, sizeof(*copies));
    for (uint32_t i = 0; copies != NULL && i < count; i++) {
        char name[LEDGER_NAME_MAX];
        ledger_name(types[i], name);
        copies[i].number = types[i]->number;
        copies[i].name = strdup(name);
        if (copies[i].name == NULL) {
            ledger_free_types(copies, count);
            return NULL;
        }
    }
    return copies;
}

static bool ledger_has_types(const struct cmdi_ledger_type *own, uint32_t own_count,
        const struct cmds_type *const *types, uint32_t count)
{
    bool same = own_count == count;
    for (uint32_t i = 0; i < count && same; i++) {
        char name[LEDGER_NAME_MAX];
        ledger_name(types[i], name);
        same = own[i].number == types[i]->number && strcmp(own[i].name, name) == 0;
    }
    return same;
}

/* Pages that nobody writes to take no memory: of a large block the kernel gives them when they are. */
static int ledger_make_shard(
        struct cmdi_ledger *ledger, const struct cmds_runtime *runtime, uint32_t index)
{
    const struct cmds_telemetry_options *options = &runtime->telemetry_options;
    struct cmdi_ledger_shard *part = &ledger->shards[index];
    size_t align = _Alignof(struct cmdi_type_block);
    part->memory = calloc(1, ledger->command_count * sizeof(struct cmdi_type_block) + align);
    if (part->memory == NULL) {
        return -ENOMEM;
    }
    uintptr_t at = ((uintptr_t)part->memory + align - 1) & ~(uintptr_t)(align - 1);
    part->blocks = (struct cmdi_type_block *)at;
    part->shard = runtime->shards[index];
    part->note.fn = ledger_on_turn_end;
    part->touched = CMDI_LEDGER_END;
    part->held_mark = CMDI_LEDGER_HELD_NONE;
    part->took_bucket = -1; // Of 0 ns.
    part->keeps_durations = (options->off & CMDS_TELEMETRY_DURATIONS) == 0;
    part->exec_sample = (options->off & CMDS_TELEMETRY_EXEC) == 0 ? options->exec_sample : 0;
    ledger_draw_gap(part);
    return 0;
}

static struct cmdi_ledger *ledger_create(
        const struct cmds_runtime *runtime, const struct cmds_protocol *protocol)
{
    struct cmdi_ledger *ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL) {
        return NULL;
    }
    ledger->commands = ledger_copy_types(protocol->commands, protocol->command_count);
    ledger->command_count = ledger->commands != NULL ? protocol->command_count : 0;
    ledger->results = ledger_copy_types(protocol->results, protocol->result_count);
    ledger->result_count = ledger->results != NULL ? protocol->result_count : 0;
    ledger->shards = calloc(runtime->shard_count, sizeof(*ledger->shards));
    int code = ledger->commands == NULL || ledger->results == NULL || ledger->shards == NULL
                       ? -ENOMEM
                       : 0;
    for (uint32_t i = 0; i < runtime->shard_count && code == 0; i++) {
        ledger->shard_count++;
        code = ledger_make_shard(ledger, runtime, i);
    }
    if (code < 0) {
        cmdi_ledger_free(ledger);
        return NULL;
    }
    return ledger;
}

/* Under the scope's lock. */
static int ledger_find(const struct cmds_runtime *runtime, struct cmdi_scope *scope,
        const struct cmds_protocol *protocol, struct cmdi_ledger **out)
{
    struct cmdi_ledger **last = &scope->ledgers;
    uint32_t count = 0;
    for (; *last != NULL; last = &(*last)->next, count++) {
        if (ledger_has_types((*last)->commands, (*last)->command_count, protocol->commands,
                    protocol->command_count) &&
                ledger_has_types((*last)->results, (*last)->result_count, protocol->results,
                        protocol->result_count)) {
            *out = *last;
            return 0;
        }
    }
    if (count >= CMDI_LEDGERS_MAX) {
        return 0;
    }
    *last = ledger_create(runtime, protocol);
    *out = *last;
    return *last != NULL ? 0 : -ENOMEM;
}

int cmdi_ledger_find(struct cmds_runtime *runtime, struct cmdi_scope *scope,
        const struct cmds_protocol *protocol, struct cmdi_ledger **ledger)
{
    *ledger = NULL;
    if ((runtime->telemetry_options.off & CMDS_TELEMETRY_TYPES) != 0) {
        return 0;
    }
    cmdi_scope_lock(scope);
    int code = ledger_find(runtime, scope, protocol, ledger);
    cmdi_scope_unlock(scope);
    return code;
}

/* --- Exemplars -------------------------------------------------------------------------------- */

void cmdi_ledger_exemplify(struct cmdi_ledger_shard *ledger, uint32_t place,
        const struct cmds_span *span, uint64_t time_ns)
{
    struct cmdi_ledger_exemplar *exemplar = &ledger->blocks[place].exemplar;
    uint64_t ids[3];
    memcpy(ids, span->trace_id, sizeof(span->trace_id));
    memcpy(&ids[2], span->span_id, sizeof(span->span_id));
    uint64_t version = __atomic_load_n(&exemplar->version, __ATOMIC_RELAXED);
    __atomic_store_n(&exemplar->version, version + 1, __ATOMIC_RELAXED);
    // Each of these is seen no earlier than that it is odd.
    __atomic_store_n(&exemplar->took_ns, span->end_ns - span->start_ns, __ATOMIC_RELEASE);
    __atomic_store_n(&exemplar->time_ns, time_ns, __ATOMIC_RELEASE);
    __atomic_store_n(&exemplar->trace_id[0], ids[0], __ATOMIC_RELEASE);
    __atomic_store_n(&exemplar->trace_id[1], ids[1], __ATOMIC_RELEASE);
    __atomic_store_n(&exemplar->span_id, ids[2], __ATOMIC_RELEASE);
    __atomic_store_n(&exemplar->version, version + 2, __ATOMIC_RELEASE);
}

bool cmdi_ledger_exemplar(
        const struct cmdi_ledger_exemplar *exemplar, struct cmdi_ledger_exemplar *out)
{
    uint64_t version = __atomic_load_n(&exemplar->version, __ATOMIC_ACQUIRE);
    *out = (struct cmdi_ledger_exemplar){
            .version = version,
            .took_ns = __atomic_load_n(&exemplar->took_ns, __ATOMIC_ACQUIRE),
            .time_ns = __atomic_load_n(&exemplar->time_ns, __ATOMIC_ACQUIRE),
            .trace_id = {__atomic_load_n(&exemplar->trace_id[0], __ATOMIC_ACQUIRE),
                    __atomic_load_n(&exemplar->trace_id[1], __ATOMIC_ACQUIRE)},
            .span_id = __atomic_load_n(&exemplar->span_id, __ATOMIC_ACQUIRE),
    };
    return version != 0 && version % 2 == 0 &&
           __atomic_load_n(&exemplar->version, __ATOMIC_RELAXED) == version;
}
