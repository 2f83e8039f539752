/* SPDX-License-Identifier: MIT */
/*
 * How a server's part on one shard ends. What may go wrong: it ends while a connection or a job of
 * the pool knows it, ends twice, or never.
 */
#include "server/server_shard.h"

#include "server/call.h"
#include "support/acts.h"
#include "support/harness.h"

struct owner {
    struct cmdi_shard *shard;
    struct cmdi_server_shard *server_shard;
    uint32_t closed, empty;
    bool in_close; // cmdi_server_shard_close() has not returned.
};

static void owner_on_connection_closed(struct cmdi_server_shard *server_shard)
{
    ((struct owner *)server_shard->owner)->closed++;
}

static void owner_on_empty(struct cmdi_server_shard *server_shard)
{
    struct owner *owner = server_shard->owner;
    CU_ASSERT_FALSE(owner->in_close);
    CU_ASSERT_EQUAL(server_shard->state, CMDI_SERVER_SHARD_ENDING);
    owner->empty++;
    cmdi_shard_ready(server_shard->shard, &server_shard->sweep); // It is taken out at the end.
    cmdi_calls_end_timers(server_shard);
    cmdi_server_shard_end(server_shard);
}

static int owner_push_job(
        struct cmdi_server_shard *server_shard, struct cmdi_job_queue *queue, struct cmdi_job *job)
{
    (void)server_shard;
    (void)queue;
    (void)job;
    return CMDS_E_CLOSED;
}

static const struct cmdi_server_shard_ops owner_ops = {
        .on_connection_closed = owner_on_connection_closed,
        .on_empty = owner_on_empty,
        .push_job = owner_push_job,
};

static void owner_open(struct owner *owner, struct app *app)
{
    struct cmdi_shard_options shard_options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct cmds_server_options options = acts_options(app);
    struct cmdi_server_core *core = NULL;
    *owner = (struct owner){.empty = 0};
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&owner->shard, &shard_options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_server_core_create(&core, &options, NULL), 0);
    owner->server_shard = cmdi_server_shard_create(core, owner->shard, &owner_ops, owner);
    CU_ASSERT_PTR_NOT_NULL_FATAL(owner->server_shard);
    cmdi_server_core_unref(core); // It holds its own.
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(owner->shard));
    CU_ASSERT_EQUAL(owner->server_shard->state, CMDI_SERVER_SHARD_OPEN);
}

static void owner_begin_close(struct owner *owner)
{
    owner->in_close = true;
    cmdi_server_shard_close(owner->server_shard);
    owner->in_close = false;
}

static void owner_advance(struct owner *owner)
{
    cmdi_shard_step(owner->shard, owner->shard->now_ns);
}

static void owner_close(struct owner *owner)
{
    owner_advance(owner);
    CU_ASSERT_EQUAL(owner->empty, 1);
    CU_ASSERT_EQUAL(cmdi_account_used(&owner->shard->buffers.account), 0);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(owner->shard);
}

static void test_server_shard_ends_when_it_is_empty(void)
{
    struct app app = {.act = acts_echo};
    struct owner owner;
    owner_open(&owner, &app);

    cmdi_server_shard_drain(owner.server_shard);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.empty, 0); // Drained is not closed.
    CU_ASSERT_TRUE(cmdi_server_shard_is_open(owner.server_shard));
    owner_begin_close(&owner);
    CU_ASSERT_FALSE(cmdi_server_shard_is_open(owner.server_shard));

    owner_close(&owner);
}

static void test_server_shard_waits_for_its_jobs(void)
{
    struct app app = {.act = acts_echo};
    struct owner owner;
    owner_open(&owner, &app);
    owner.server_shard->jobs = 2;

    owner_begin_close(&owner);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.empty, 0);
    cmdi_server_shard_job_ended(owner.server_shard);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.empty, 0);
    cmdi_server_shard_job_ended(owner.server_shard);
    CU_ASSERT_EQUAL(owner.empty, 0); // Not from inside what has just ended.

    owner_close(&owner);
}

static void test_server_shard_waits_for_its_connections(void)
{
    struct app app = {.act = acts_echo};
    struct owner owner;
    struct cmdi_list connection; // Never looked into: the sweep finds none in the pool.
    owner_open(&owner, &app);
    cmdi_list_init(&connection);
    cmdi_list_push(&owner.server_shard->connections, &connection);

    owner_begin_close(&owner);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.empty, 0);
    cmdi_server_shard_connection_closed(owner.server_shard); // One that could not be opened.
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.closed, 1);
    CU_ASSERT_EQUAL(owner.empty, 0);
    cmdi_list_remove(&connection);
    cmdi_server_shard_connection_closed(owner.server_shard);
    CU_ASSERT_EQUAL(owner.closed, 2);

    owner_close(&owner);
}

/* What a call has queued at its end, as a forward that reports its cancellation. */
static struct owner *late_owner;
static uint32_t late_runs;

static void run_late(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    CU_ASSERT_EQUAL(late_owner->empty, 0);
    late_runs++;
}

static void test_server_shard_ends_behind_what_was_queued(void)
{
    struct app app = {.act = acts_echo};
    struct owner owner;
    struct cmdi_work late;
    owner_open(&owner, &app);
    late_owner = &owner;
    late_runs = 0;
    cmdi_work_init(&late, run_late);

    owner_begin_close(&owner);
    cmdi_shard_ready(owner.shard, &late);

    owner_close(&owner);
    CU_ASSERT_EQUAL(late_runs, 1);
}

CU_TestInfo test_server_shard[] = {
        {"ends when it is empty", test_server_shard_ends_when_it_is_empty},
        {"waits for its jobs", test_server_shard_waits_for_its_jobs},
        {"waits for its connections", test_server_shard_waits_for_its_connections},
        {"ends behind what was queued", test_server_shard_ends_behind_what_was_queued},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("server_shard", test_server_shard)
