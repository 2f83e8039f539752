/* SPDX-License-Identifier: MIT */
/*
 * What counting by command type takes of the memory. What may go wrong: a type that never occurs takes some, one
 * that occurs takes more than docs/telemetry.md says, or what is switched off has its blocks all the same.
 * Pages are asked of the kernel before anything is read: reading maps those that nobody wrote.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmdstream/cmdstream.h>

#include "support/harness.h"
#include "telemetry/ledger.h"
#include "telemetry/scope.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_IS_OURS 0 // The sanitizer's writes to what it gives.
#else
#define MALLOC_IS_OURS 1
#endif

enum {
    PAGE = 4096,
    TYPES = 100, // So many that their blocks are pages of their own.
    USED = 10,   // Every tenth of them.
    COMMANDS = 200 * USED,
    // docs/telemetry.md: of a type in use, and of one that ends in every way.
    USED_SIZE_MAX = 12 * 1024,
    BLOCK_SIZE_MAX = 28 * 1024,
    PATIENCE_MS = 30000,
};
_Static_assert(sizeof(struct cmdi_type_block) <= BLOCK_SIZE_MAX, "docs/telemetry.md says so");

struct ask {
    int64_t number;
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(answer, 0, number);

static struct cmds_schema schemas[TYPES];
static struct cmds_type types[TYPES];
static const struct cmds_type *commands[TYPES];
static struct cmds_exec execs[TYPES];
static char names[TYPES][16];
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("memory", commands, results);

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    const struct answer answer = {ask->number};
    return cmds_call_send(call, answer_message(&answer));
}

static void types_make(void)
{
    static const struct cmds_exec exec = CMDS_EXEC(ask, on_ask);
    for (uint32_t i = 0; i < TYPES; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "ask_%u", i);
        schemas[i] = *ask_type.schema;
        schemas[i].name = names[i];
        types[i] = ask_type;
        types[i].schema = &schemas[i];
        types[i].number = i;
        commands[i] = &types[i];
        execs[i] = exec;
        execs[i].type = &types[i];
    }
}

/* --- A server and a group that ask each other --------------------------------------------------- */

struct rig {
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_group *group;
    uint32_t sent, answers;
};

static void send_next(struct rig *rig);

static void on_answer(void *context, const struct cmds_result *result)
{
    struct rig *rig = context;
    CU_ASSERT_EQUAL(result->error, 0);
    rig->answers++;
    send_next(rig);
}

static void send_next(struct rig *rig)
{
    const struct ask ask = {1};
    uint32_t place = rig->sent % USED * (TYPES / USED);
    if (rig->sent < COMMANDS) {
        rig->sent++;
        CU_ASSERT_EQUAL(cmds_group_send(rig->group, (struct cmds_message){&types[place], &ask},
                                NULL, on_answer, rig),
                0);
    }
}

static void rig_open(struct rig *rig, uint32_t off)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_server_options server = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    char address[64];
    types_make();
    *rig = (struct rig){.sent = 0};
    telemetry.off = off;
    options.shard_count = CMDS_SHARDS_INLINE;
    options.telemetry = off != 0 ? &telemetry : NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&rig->runtime, &options, NULL), 0);
    server.listen = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(cmds_server_start(&rig->server, rig->runtime, &server, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_address(rig->server, 0, address, sizeof(address)), 0);
    group.connect = address;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&rig->group, rig->runtime, &group, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(rig->group, PATIENCE_MS, NULL), 0);
}

static void rig_run(struct rig *rig)
{
    send_next(rig);
    while (rig->answers < COMMANDS) {
        CU_ASSERT_FATAL(cmds_runtime_turn(rig->runtime, CMDS_NEVER) >= 0);
    }
}

static void rig_close(struct rig *rig)
{
    cmds_group_close(rig->group, NULL, NULL);
    cmds_server_close(rig->server);
    cmds_runtime_stop(rig->runtime);
}

static const struct cmdi_ledger *ledger_of(struct rig *rig, enum cmdi_scope_kind kind)
{
    struct cmdi_scope *scope = cmdi_scope_find(rig->runtime, kind, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(scope);
    return scope->ledgers;
}

/* --- Pages -------------------------------------------------------------------------------------- */

/* Returns: bytes of the blocks of the only shard that are memory. */
static size_t resident_size(const struct cmdi_ledger *ledger)
{
    static unsigned char is_there[TYPES * BLOCK_SIZE_MAX / PAGE + 2];
    size_t size = 0;
    uintptr_t from = (uintptr_t)ledger->shards[0].blocks & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = (uintptr_t)(ledger->shards[0].blocks + ledger->command_count);
    CU_ASSERT_EQUAL_FATAL(mincore((void *)from, end - from, is_there), 0);
    for (size_t i = 0; i * PAGE < end - from; i++) {
        size += (is_there[i] & 1) != 0 ? PAGE : 0;
    }
    return size;
}

static void check_resident(struct rig *rig, enum cmdi_scope_kind kind)
{
    const struct cmdi_ledger *ledger = ledger_of(rig, kind);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ledger);
    CU_ASSERT_EQUAL_FATAL(ledger->shard_count, 1);
    size_t size = resident_size(ledger);
    CU_ASSERT(size >= (size_t)USED * PAGE);
    CU_ASSERT(size <= (size_t)USED * USED_SIZE_MAX);
}

/* --- The tests ---------------------------------------------------------------------------------- */

static void test_telemetry_memory_is_of_types_in_use(void)
{
    struct rig rig;
    if (!MALLOC_IS_OURS || sysconf(_SC_PAGESIZE) != PAGE) {
        printf("not here: the sanitizer has malloc, or pages have another size ... ");
        return;
    }
    CU_ASSERT_EQUAL(mallopt(M_MMAP_THRESHOLD, 128 * 1024), 1); // Blocks are the kernel's pages.
    CU_ASSERT_EQUAL(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0); // Else a page is 2 MiB.
    rig_open(&rig, 0);

    rig_run(&rig);

    check_resident(&rig, CMDI_SCOPE_SERVER);
    check_resident(&rig, CMDI_SCOPE_CLIENT);
    rig_close(&rig);
}

static void test_telemetry_memory_is_none_when_off(void)
{
    struct rig rig;
    rig_open(&rig, CMDS_TELEMETRY_ALL);

    rig_run(&rig);

    CU_ASSERT_PTR_NULL(ledger_of(&rig, CMDI_SCOPE_SERVER));
    CU_ASSERT_PTR_NULL(ledger_of(&rig, CMDI_SCOPE_CLIENT));
    rig_close(&rig);
}

static CU_TestInfo tests[] = {
        {"is none when off", test_telemetry_memory_is_none_when_off},
        {"is of types in use", test_telemetry_memory_is_of_types_in_use},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_memory", tests)
