/* SPDX-License-Identifier: MIT */
/*
 * What other threads leave for an object of a shard, also while it ends: everything that was
 * accepted comes, in the order of each thread; nothing is accepted behind the end; the memory is
 * counted, and stays while a mail is under way.
 */
#include "shard/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/base.h>

#include "support/harness.h"

enum {
    THREADS = 4,
    RECORDS = 20000,
    BOUND = 64 * 1024,
    LARGE = CMDI_INBOX_PART_MIN,
};

struct record {
    uint32_t thread;
    uint32_t filler; // Bytes that follow.
    uint64_t number;
};

/* An owner: it counts the records of each thread, which come as 0, 1, 2... */
struct owner {
    struct cmdi_inbox_room room;
    struct cmdi_inbox inbox;
    uint64_t next[THREADS];
    uint32_t mails;
    bool wrong;
    void (*meanwhile)(struct owner *owner); // What was taken has not been given back yet.
};

static void owner_take(struct owner *owner)
{
    cmdi_inbox_lock(&owner->inbox);
    struct cmdi_inbox_bytes taken = cmdi_inbox_take(&owner->inbox);
    CU_ASSERT_EQUAL(cmdi_inbox_size(&owner->inbox) > 0, cmdi_inbox_promises(&owner->inbox) > 0);
    cmdi_inbox_unlock(&owner->inbox);
    struct cmdi_inbox_run run = {0};
    size_t size = 0;
    while (cmdi_inbox_next_run(&taken, &run)) {
        size += run.size;
        for (size_t at = 0; at < run.size;) {
            struct record record;
            memcpy(&record, run.data + at, sizeof(record));
            owner->wrong = owner->wrong || record.number != owner->next[record.thread];
            owner->next[record.thread]++;
            at += sizeof(record) + record.filler;
        }
    }
    CU_ASSERT_EQUAL(size, cmdi_inbox_bytes_size(&taken));
    if (owner->meanwhile != NULL) {
        owner->meanwhile(owner);
    }
    cmdi_inbox_give_back(&owner->inbox, &taken);
    CU_ASSERT_PTR_NULL(taken.data);
    CU_ASSERT_PTR_NULL(taken.parts);
}

static void owner_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct owner *owner = CMDI_CONTAINER(mail, struct owner, inbox.mail);
    CU_ASSERT_PTR_EQUAL(shard, owner->room.shard);
    owner->mails++;
    cmdi_inbox_arrived(&owner->inbox);
    owner_take(owner);
}

static void owner_open(struct owner *owner)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 30};
    struct cmdi_shard *shard = NULL;
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_create(&shard, &options, NULL), 0);
    CU_ASSERT_PTR_NULL(cmdi_shard_set_current(shard));
    *owner = (struct owner){.wrong = false};
    cmdi_inbox_room_init(&owner->room, shard);
    cmdi_inbox_init(&owner->inbox, &owner->room, owner_on_mail);
}

static void owner_advance(struct owner *owner)
{
    cmdi_shard_step(owner->room.shard, owner->room.shard->now_ns);
}

static void owner_close(struct owner *owner)
{
    struct cmdi_shard *shard = owner->room.shard;
    cmdi_inbox_close(&owner->inbox);
    owner_advance(owner);
    cmdi_inbox_trim(&owner->inbox);
    CU_ASSERT_FALSE(cmdi_inbox_is_posted(&owner->inbox));
    CU_ASSERT_EQUAL(cmdi_account_used(&shard->buffers.account), 0);
    CU_ASSERT_FALSE(owner->wrong);
    cmdi_inbox_fini(&owner->inbox);
    cmdi_inbox_room_fini(&owner->room);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(shard);
}

/* As a sender does it. Returns: 0; why it was refused. */
static int leave(struct owner *owner, uint32_t thread, uint32_t filler, uint64_t number)
{
    struct cmdi_inbox *inbox = &owner->inbox;
    struct record record = {thread, filler, number};
    int code = -ENOBUFS;
    cmdi_inbox_lock(inbox);
    uint8_t *out = NULL;
    if (inbox->closed || cmdi_inbox_size(inbox) + sizeof(record) + filler <= BOUND) {
        out = cmdi_inbox_reserve(inbox, sizeof(record) + filler, &code);
    }
    if (out != NULL) {
        memcpy(out, &record, sizeof(record));
        memset(out + sizeof(record), 0, filler);
        cmdi_inbox_commit(inbox, sizeof(record) + filler);
        cmdi_inbox_post(inbox);
    }
    cmdi_inbox_unlock(inbox);
    return code;
}

/* The same of a large one, which is a part; `meanwhile` it is written. */
static int leave_part_with(struct owner *owner, uint32_t thread, uint32_t filler, uint64_t number,
        void (*meanwhile)(struct owner *owner))
{
    struct cmdi_inbox *inbox = &owner->inbox;
    struct record record = {thread, filler, number};
    size_t size = sizeof(record) + filler;
    cmdi_inbox_lock(inbox);
    int code = cmdi_inbox_promise(inbox, size);
    cmdi_inbox_unlock(inbox);
    if (code < 0) {
        return code;
    }
    struct cmdi_inbox_part *part = cmdi_inbox_part_new(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(part);
    memcpy(part->data, &record, sizeof(record));
    memset(part->data + sizeof(record), 0, filler);
    if (meanwhile != NULL) {
        meanwhile(owner);
    }
    cmdi_inbox_lock(inbox);
    code = inbox->closed ? CMDS_E_CLOSED : 0;
    if (code == 0) {
        cmdi_inbox_append(inbox, part);
        cmdi_inbox_post(inbox);
    } else {
        free(part);
    }
    cmdi_inbox_unlock(inbox);
    return code;
}

static int leave_part(struct owner *owner, uint32_t thread, uint32_t filler, uint64_t number)
{
    return leave_part_with(owner, thread, filler, number, NULL);
}

/* --- Order and end ---------------------------------------------------------------------------- */

struct sender {
    struct owner *owner;
    uint32_t index;
    pthread_t thread;
    uint64_t accepted;
    int code; // Of the first that was refused for good.
};

static void *sender_main(void *argument)
{
    struct sender *sender = argument;
    while (sender->accepted < RECORDS) {
        bool is_large = sender->accepted % 1000 == 999;
        int code = is_large ? leave_part(sender->owner, sender->index, LARGE, sender->accepted)
                            : leave(sender->owner, sender->index, (uint32_t)(sender->accepted % 50),
                                      sender->accepted);
        if (code == 0) {
            sender->accepted++;
        } else if (code != -ENOBUFS) { // The bound: the shard takes what waits.
            sender->code = code;
            break;
        }
    }
    return NULL;
}

static uint64_t owner_total(const struct owner *owner)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        total += owner->next[i];
    }
    return total;
}

/* Four threads leave records; the inbox closes when `close_after` of them have come. */
static void race(uint64_t close_after)
{
    struct owner owner;
    struct sender senders[THREADS];
    uint64_t accepted = 0;
    owner_open(&owner);
    for (uint32_t i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.owner = &owner, .index = i};
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]), 0);
    }

    while (owner_total(&owner) < close_after) {
        owner_advance(&owner);
    }
    cmdi_inbox_close(&owner.inbox);
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(senders[i].thread, NULL);
        accepted += senders[i].accepted;
        CU_ASSERT_EQUAL(senders[i].code, senders[i].accepted < RECORDS ? CMDS_E_CLOSED : 0);
    }
    owner_advance(&owner);

    CU_ASSERT_EQUAL(owner_total(&owner), accepted); // What was accepted comes, also at the end.
    owner_close(&owner);
}

static void test_inbox_keeps_the_order_of_each_thread(void)
{
    race((uint64_t)THREADS * RECORDS);
}

static void test_inbox_ends_under_its_senders(void)
{
    for (uint64_t close_after = 0; close_after < 2000; close_after += 100) {
        race(close_after);
    }
}

static void test_inbox_posts_one_mail_for_many(void)
{
    struct owner owner;
    owner_open(&owner);

    for (uint64_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(leave(&owner, 0, 8, i), 0);
    }
    CU_ASSERT_EQUAL(cmdi_inbox_size(&owner.inbox), 10 * (sizeof(struct record) + 8));
    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&owner.inbox));
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.mails, 1);
    CU_ASSERT_EQUAL(owner.next[0], 10);
    CU_ASSERT_FALSE(cmdi_inbox_is_posted(&owner.inbox));
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 10), 0);
    owner_advance(&owner);

    CU_ASSERT_EQUAL(owner.mails, 2);
    CU_ASSERT_EQUAL(owner.next[0], 11);
    owner_close(&owner);
}

static void test_inbox_may_be_taken_before_its_mail(void)
{
    struct owner owner;
    owner_open(&owner);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 0), 0);

    owner_take(&owner);

    CU_ASSERT_EQUAL(owner.next[0], 1);
    CU_ASSERT_TRUE(cmdi_inbox_is_posted(&owner.inbox)); // So the memory has to stay.
    cmdi_inbox_close(&owner.inbox);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 1), CMDS_E_CLOSED);
    owner_advance(&owner);
    CU_ASSERT_FALSE(cmdi_inbox_is_posted(&owner.inbox));
    CU_ASSERT_EQUAL(owner.next[0], 1);
    owner_close(&owner);
}

static void test_inbox_is_not_changed_by_what_is_not_committed(void)
{
    struct owner owner;
    int code = 0;
    owner_open(&owner);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 0), 0);

    cmdi_inbox_lock(&owner.inbox);
    uint8_t *out = cmdi_inbox_reserve(&owner.inbox, 5000, &code); // Thought better of it.
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memset(out, 0xff, 5000);
    cmdi_inbox_unlock(&owner.inbox);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 1), 0);
    owner_advance(&owner);

    CU_ASSERT_EQUAL(owner.next[0], 2);
    owner_close(&owner);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static uint64_t fill(struct owner *owner)
{
    uint64_t count = 0;
    while (leave(owner, 0, 1000, owner->next[0] + count) == 0) {
        count++;
    }
    return count * (sizeof(struct record) + 1000);
}

/* What waits counts; a small buffer is kept until memory is asked for back, a large one is not. */
static void test_inbox_memory_is_counted(void)
{
    struct owner owner;
    owner_open(&owner);
    struct cmdi_account *account = &owner.room.shard->buffers.account;

    uint64_t size = fill(&owner);
    CU_ASSERT(size > BOUND / 2);
    CU_ASSERT(cmdi_account_used(account) >= size);
    owner_advance(&owner);
    CU_ASSERT(cmdi_account_used(account) >= size);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0);

    uint64_t next = owner.next[0];
    CU_ASSERT_EQUAL(leave(&owner, 0, 10, next), 0);
    cmdi_inbox_trim(&owner.inbox); // Not what somebody waits for.
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.next[0], next + 1);
    cmdi_inbox_lock(&owner.inbox);
    int code = 0;
    CU_ASSERT_PTR_NOT_NULL(cmdi_inbox_reserve(&owner.inbox, 2 * BOUND, &code));
    cmdi_inbox_unlock(&owner.inbox);
    owner_take(&owner); // Grown beyond what is kept.
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0);
    owner_close(&owner);
}

static void test_inbox_is_refused_at_the_bound_of_the_shard(void)
{
    struct owner owner;
    int code = 0;
    owner_open(&owner);
    struct cmdi_account *account = &owner.room.shard->buffers.account;

    account->size_max = 4096;
    cmdi_inbox_lock(&owner.inbox);
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, 5000));
    CU_ASSERT_PTR_NULL(cmdi_inbox_reserve(&owner.inbox, 5000, &code));
    CU_ASSERT_EQUAL(code, -ENOMEM); // There will never be as much.
    CU_ASSERT_TRUE(cmdi_inbox_has_room(&owner.inbox, 100));
    cmdi_account_add(account, 4000);
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, 100));
    CU_ASSERT_PTR_NULL(cmdi_inbox_reserve(&owner.inbox, 100, &code));
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    cmdi_account_sub(account, 4000);
    account->size_max = 1 << 20;
    CU_ASSERT_TRUE(cmdi_inbox_has_room(&owner.inbox, 5000));
    CU_ASSERT_PTR_NOT_NULL(cmdi_inbox_reserve(&owner.inbox, 5000, &code));
    CU_ASSERT_EQUAL(code, 0);
    account->size_max = 4096; // What it has already costs nothing.
    CU_ASSERT_TRUE(cmdi_inbox_has_room(&owner.inbox, 5000));
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, 5001));
    cmdi_inbox_unlock(&owner.inbox);
    cmdi_inbox_close(&owner.inbox);
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, 1));
    account->size_max = 1 << 20;
    owner_close(&owner);
}

/* --- Parts ------------------------------------------------------------------------------------ */

static void leave_both(struct owner *owner)
{
    uint64_t next = owner->next[1];
    owner->meanwhile = NULL;
    CU_ASSERT_EQUAL(leave_part(owner, 1, LARGE, next), 0);
    CU_ASSERT_EQUAL(leave(owner, 1, 8, next + 1), 0);
}

static void leave_large(struct owner *owner)
{
    owner->meanwhile = NULL;
    CU_ASSERT_EQUAL(leave_part(owner, 1, LARGE, owner->next[1]), 0);
}

/* Each lies where it was left: first, last, between others, one behind the other. */
static void test_inbox_parts_keep_the_order(void)
{
    static const char ways[][8] = {"P", "p", "Pp", "pP", "PP", "pPPp", "PpPP", "ppPpP", "PppPPpp"};
    struct owner owner;
    owner_open(&owner);
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        size_t size = 0;
        for (const char *way = ways[i]; *way != '\0'; way++, number++) {
            uint32_t filler = *way == 'P' ? LARGE : 40;
            CU_ASSERT_EQUAL(*way == 'P' ? leave_part(&owner, 0, filler, number)
                                        : leave(&owner, 0, filler, number),
                    0);
            size += sizeof(struct record) + filler;
        }
        CU_ASSERT_EQUAL(cmdi_inbox_size(&owner.inbox), size);
        owner_advance(&owner);
        CU_ASSERT_EQUAL(owner.next[0], number);
    }
    owner_close(&owner);
}

/* What is left while the shard reads waits for its next look, also a part of an inbox that has nothing else. */
static void test_inbox_parts_may_be_left_while_it_is_read(void)
{
    struct owner owner;
    owner_open(&owner);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 0), 0);
    owner.meanwhile = leave_large;
    owner_take(&owner);
    CU_ASSERT_EQUAL(leave(&owner, 1, 8, 1), 0);
    owner_take(&owner);
    CU_ASSERT_EQUAL(owner.next[1], 2);
    CU_ASSERT_EQUAL(leave_part(&owner, 0, LARGE, 1), 0);
    owner.meanwhile = leave_both;
    owner_take(&owner);
    cmdi_inbox_trim(&owner.inbox); // Not what waits.
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.next[0], 2);
    CU_ASSERT_EQUAL(owner.next[1], 4);
    owner_close(&owner);
}

static void test_inbox_parts_are_counted_and_refused(void)
{
    struct owner owner;
    owner_open(&owner);
    struct cmdi_account *account = &owner.room.shard->buffers.account;
    CU_ASSERT_EQUAL(leave_part(&owner, 0, LARGE, 0), 0);
    CU_ASSERT(cmdi_account_used(account) >= LARGE);
    owner_advance(&owner);
    cmdi_account_trim(account);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0);
    CU_ASSERT_PTR_NULL(owner.inbox.store); // Nor what it has while it is in use.

    account->size_max = LARGE;
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, LARGE));
    CU_ASSERT_EQUAL(leave_part(&owner, 0, LARGE, 1), -ENOMEM); // There will never be as much.
    account->size_max = 4 * LARGE;
    CU_ASSERT_TRUE(cmdi_inbox_has_room(&owner.inbox, LARGE));
    cmdi_account_add(account, 3 * LARGE);
    CU_ASSERT_FALSE(cmdi_inbox_has_room(&owner.inbox, LARGE));
    CU_ASSERT_EQUAL(leave_part(&owner, 0, LARGE, 1), -ENOBUFS);
    cmdi_account_sub(account, 3 * LARGE);

    cmdi_inbox_close(&owner.inbox);
    CU_ASSERT_EQUAL(leave_part(&owner, 0, LARGE, 1), CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0);
    CU_ASSERT_EQUAL(owner.next[0], 1);
    owner_close(&owner);
}

/* The owner gives back what it does not use: not what it has promised a place in. */
static void trim_meanwhile(struct owner *owner)
{
    CU_ASSERT(cmdi_inbox_size(&owner->inbox) > LARGE);
    CU_ASSERT_EQUAL(cmdi_inbox_promises(&owner->inbox), 1);
    cmdi_inbox_trim(&owner->inbox);
    // The buffer that was kept is gone.
    CU_ASSERT_EQUAL(
            cmdi_account_used(&owner->room.shard->buffers.account), cmdi_inbox_size(&owner->inbox));
    CU_ASSERT_EQUAL(leave(owner, 0, 8, 1), 0); // It was not in front of it.
}

/* The end does not wait for who writes: nothing of it counts, and the shard may go. */
static void end_meanwhile(struct owner *owner)
{
    CU_ASSERT(cmdi_account_used(&owner->room.shard->buffers.account) > LARGE);
    cmdi_inbox_close(&owner->inbox);
    cmdi_inbox_trim(&owner->inbox);
    CU_ASSERT_PTR_NULL(owner->inbox.store);
    CU_ASSERT_EQUAL(cmdi_account_used(&owner->room.shard->buffers.account), 0);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(owner->room.shard);
    owner->room.shard = NULL;
}

static void test_inbox_part_that_was_promised_is_written_beside_it(void)
{
    struct owner owner;
    owner_open(&owner);
    cmdi_inbox_lock(&owner.inbox);
    CU_ASSERT_EQUAL(cmdi_inbox_promise(&owner.inbox, LARGE), 0);
    CU_ASSERT(cmdi_account_used(&owner.room.shard->buffers.account) > LARGE);
    cmdi_inbox_break_promise(&owner.inbox, LARGE);
    CU_ASSERT_EQUAL(cmdi_inbox_size(&owner.inbox), 0);
    CU_ASSERT_EQUAL(cmdi_account_used(&owner.room.shard->buffers.account), 0);
    cmdi_inbox_unlock(&owner.inbox);
    CU_ASSERT_EQUAL(leave(&owner, 0, 8, 0), 0);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(leave_part_with(&owner, 0, LARGE, 2, trim_meanwhile), 0);
    CU_ASSERT_EQUAL(cmdi_inbox_promises(&owner.inbox), 0);
    owner_advance(&owner);
    CU_ASSERT_EQUAL(owner.next[0], 3);
    owner_close(&owner);

    owner_open(&owner);
    CU_ASSERT_EQUAL(leave_part_with(&owner, 0, LARGE, 0, end_meanwhile), CMDS_E_CLOSED);
    cmdi_inbox_fini(&owner.inbox);
    cmdi_inbox_room_fini(&owner.room);
}

CU_TestInfo test_inbox[] = {
        {"keeps the order of each thread", test_inbox_keeps_the_order_of_each_thread},
        {"ends under its senders", test_inbox_ends_under_its_senders},
        {"posts one mail for many", test_inbox_posts_one_mail_for_many},
        {"may be taken before its mail", test_inbox_may_be_taken_before_its_mail},
        {"is not changed by what is not committed",
                test_inbox_is_not_changed_by_what_is_not_committed},
        {"memory is counted", test_inbox_memory_is_counted},
        {"is refused at the bound of the shard", test_inbox_is_refused_at_the_bound_of_the_shard},
        {"parts keep the order", test_inbox_parts_keep_the_order},
        {"parts may be left while it is read", test_inbox_parts_may_be_left_while_it_is_read},
        {"parts are counted and refused", test_inbox_parts_are_counted_and_refused},
        {"part that was promised is written beside it",
                test_inbox_part_that_was_promised_is_written_beside_it},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("inbox", test_inbox)
