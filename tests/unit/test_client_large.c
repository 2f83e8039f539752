/* SPDX-License-Identifier: MIT */
/*
 * Large commands of other threads: the codec writes them without the lock that the shard takes, too. What may go
 * wrong: it has it all the same; they overtake others, or are overtaken; the end comes while one is written.
 */
#include <pthread.h>

#include "client/inbox.h"
#include "client/room.h"
#include "support/harness.h"
#include "support/rig.h"

static struct rig *scene_rig;
static bool lock_was_free, closes;
static struct outcome more[2 * RIG_WINDOW]; // Asked while one is written, each in the one before.
static uint32_t more_count, accepted;

static int ask_large(struct outcome *outcome);

static uint8_t *encode_large(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    pthread_mutex_t *lock = &scene_rig->client.inbox.room->lock;
    lock_was_free = pthread_mutex_trylock(lock) == 0;
    if (lock_was_free) {
        (void)pthread_mutex_unlock(lock);
    }
    if (closes) {
        cmdi_inbox_close(&scene_rig->client.inbox);
    }
    if (more_count > 0) {
        more_count--;
        bool is_taken = ask_large(&more[more_count]) == 0;
        accepted += is_taken;
        // Who is refused is not told of room.
        CU_ASSERT_TRUE(
                is_taken || !cmdi_client_has_room(&scene_rig->client, CMDI_ROOM_ELSEWHERE, size));
    }
    return cmds_codec_raw.encode(&cmds_codec_raw, type, value, out, size);
}

static struct rig *scene_open(struct cmds_codec *codec, bool closes_meanwhile)
{
    scene_rig = rig_connected();
    *codec = cmds_codec_raw;
    codec->encode = encode_large;
    scene_rig->config.codec = codec;
    closes = closes_meanwhile;
    accepted = more_count = 0;
    return scene_rig;
}

static int ask_large(struct outcome *outcome)
{
    static char text[100000];
    const struct ask ask = {{text, sizeof(text)}};
    struct cmdi_command command = outcome_command(outcome, RIG_NEVER);
    command.value = &ask;
    command.body_size = sizeof(text);
    struct cmdi_shard *shard = cmdi_shard_set_current(NULL);
    int code = cmdi_client_inbox_send(&outcome->rig->client, &command);
    (void)cmdi_shard_set_current(shard);
    return code;
}

/* The shard takes that lock, and senders to other connections do. It goes out as the others, and in their order. */
static void test_client_large_is_written_without_the_lock(void)
{
    struct cmds_codec codec;
    struct rig *rig = scene_open(&codec, false);
    struct outcome outcomes[3] = {{.rig = rig}, {.rig = rig}, {.rig = rig}};
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&outcomes[0]), 0);
    CU_ASSERT_EQUAL(ask_large(&outcomes[1]), 0);
    CU_ASSERT_TRUE(lock_was_free);
    CU_ASSERT_EQUAL(outcome_ask_elsewhere(&outcomes[2]), 0);
    rig_advance_ms(rig, 1);

    CU_ASSERT_EQUAL(rig_pending(rig), 3);
    for (uint8_t i = 0; i < 3; i++) {
        rig_answer(rig, (uint8_t)(i + 1), &done_type);
        EXPECT_ENDED(outcomes[i], 0);
    }
    struct cmdi_account *account = &rig->shard->buffers.account;
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(atomic_load(&account->shared_size), 0);
    rig_free(rig);
}

static void test_client_large_that_comes_too_late_is_refused(void)
{
    struct cmds_codec codec;
    struct rig *rig = scene_open(&codec, true);
    struct outcome outcome = {.rig = rig};

    CU_ASSERT_EQUAL(ask_large(&outcome), CMDS_E_NOT_CONNECTED);

    CU_ASSERT_EQUAL(outcome.results, 0);
    CU_ASSERT_EQUAL(atomic_load(&rig->shard->buffers.account.shared_size), 0);
    rig_free(rig);
}

/* They are in the window while they are written: no more threads write one than it has places. */
static void test_client_large_counts_while_it_is_written(void)
{
    struct cmds_codec codec;
    struct rig *rig = scene_open(&codec, false);
    struct outcome outcome = {.rig = rig};
    more_count = sizeof(more) / sizeof(more[0]);
    for (uint32_t i = 0; i < more_count; i++) {
        more[i] = (struct outcome){.rig = rig};
    }

    CU_ASSERT_EQUAL(ask_large(&outcome), 0);

    CU_ASSERT_EQUAL(accepted + 1, RIG_WINDOW);
    more_count = 0;
    rig_advance_ms(rig, 1);
    CU_ASSERT_EQUAL(rig_pending(rig), RIG_WINDOW);
    rig_free(rig);
}

static CU_TestInfo test_client_large[] = {
        {"is written without the lock", test_client_large_is_written_without_the_lock},
        {"counts while it is written", test_client_large_counts_while_it_is_written},
        {"that comes too late is refused", test_client_large_that_comes_too_late_is_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("client_large", test_client_large)
