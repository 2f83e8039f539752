/* SPDX-License-Identifier: MIT */
/*
 * The pending table as values: what is put in is found under its sequence and under no other,
 * through growth, collisions and removal in any order; tickets: one name, one owner, and of forget
 * and close the first one wins.
 */
#include "client/pending.h"

#include <stdlib.h>

#include "client/extra.h"
#include "client/queue.h"
#include "support/harness.h"

enum {
    COUNT = 5000
};
static struct cmdi_pending entries[COUNT];

static void test_pending_finds_every_sequence_through_growth(void)
{
    struct cmdi_pending_table table;
    cmdi_pending_init(&table);

    for (uint64_t i = 0; i < COUNT; i++) {
        entries[i] = (struct cmdi_pending){.sequence = i * 3 + 1};
        cmdi_pending_insert(&table, &entries[i]);
    }
    CU_ASSERT_EQUAL(table.count, COUNT);
    CU_ASSERT_TRUE(table.mask + 1 >= COUNT / 2);
    for (uint64_t i = 0; i < COUNT; i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_pending_find(&table, i * 3 + 1), &entries[i]);
        CU_ASSERT_PTR_NULL(cmdi_pending_find(&table, i * 3 + 2));
    }

    cmdi_pending_fini(&table);
}

/* With gaps between them several share a bucket when it is split. */
static void test_pending_growth_keeps_what_shares_a_bucket(void)
{
    struct cmdi_pending_table table;
    cmdi_pending_init(&table);

    for (uint64_t i = 0; i < 100; i++) {
        entries[i] = (struct cmdi_pending){.sequence = 1 + i * CMDI_PENDING_BUCKETS_MIN};
        cmdi_pending_insert(&table, &entries[i]);
    }
    CU_ASSERT(table.mask + 1 > CMDI_PENDING_BUCKETS_MIN);
    for (uint64_t i = 0; i < 100; i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_pending_find(&table, entries[i].sequence), &entries[i]);
    }

    cmdi_pending_fini(&table);
}

static void test_pending_old_entries_stay_beside_new_ones(void)
{
    struct cmdi_pending_table table;
    cmdi_pending_init(&table);

    /* A slow command and a thousand quick ones that share its bucket. */
    entries[0] = (struct cmdi_pending){.sequence = 1};
    cmdi_pending_insert(&table, &entries[0]);
    for (uint64_t i = 1; i <= 1000; i++) {
        entries[i] = (struct cmdi_pending){.sequence = 1 + i * CMDI_PENDING_BUCKETS_MIN};
        cmdi_pending_insert(&table, &entries[i]);
        CU_ASSERT_PTR_EQUAL(cmdi_pending_find(&table, entries[i].sequence), &entries[i]);
        cmdi_pending_remove(&table, &entries[i]);
        CU_ASSERT_PTR_NULL(cmdi_pending_find(&table, entries[i].sequence));
    }
    CU_ASSERT_PTR_EQUAL(cmdi_pending_find(&table, 1), &entries[0]);
    CU_ASSERT_EQUAL(table.count, 1);
    // Never more than two at once: no growth.
    CU_ASSERT_EQUAL(table.mask + 1, CMDI_PENDING_BUCKETS_MIN);

    cmdi_pending_fini(&table);
}

static void test_pending_pop_takes_each_once_and_trim_gives_back(void)
{
    struct cmdi_pending_table table;
    uint32_t bucket = 0, popped = 0;
    cmdi_pending_init(&table);
    for (uint64_t i = 0; i < 100; i++) {
        entries[i] = (struct cmdi_pending){.sequence = i};
        cmdi_pending_insert(&table, &entries[i]);
    }
    cmdi_pending_trim(&table); // Not empty: nothing happens.
    CU_ASSERT_EQUAL(table.count, 100);

    for (struct cmdi_pending *entry; (entry = cmdi_pending_pop(&table, &bucket)) != NULL;
            popped++) {
        CU_ASSERT_EQUAL(entry->error, 0);
        entry->error = 1;
    }
    CU_ASSERT_EQUAL(popped, 100);
    CU_ASSERT_EQUAL(table.count, 0);
    cmdi_pending_trim(&table);
    CU_ASSERT_PTR_EQUAL(table.buckets, table.first);
    CU_ASSERT_EQUAL(table.mask + 1, CMDI_PENDING_BUCKETS_MIN);

    cmdi_pending_fini(&table);
}

static struct cmdi_list ticket_list;
static struct cmdi_list *ticket_list_of(struct cmdi_client *client)
{
    (void)client;
    return &ticket_list;
}

static void test_ticket_forget_wins_over_a_later_close_and_only_once(void)
{
    struct cmdi_tickets tickets;
    struct cmdi_pending_extra *list[200];
    struct cmdi_client *client = (struct cmdi_client *)(void *)entries; // Never looked at.
    cmdi_tickets_init(&tickets);
    cmdi_list_init(&ticket_list);

    for (int i = 0; i < 200; i++) {
        list[i] = cmdi_extra_open(&tickets);
        CU_ASSERT_PTR_NOT_NULL_FATAL(list[i]);
        CU_ASSERT_EQUAL(list[i]->ticket.id, (uint64_t)i + 1);
        list[i]->ticket.client = client;
    }
    CU_ASSERT_TRUE(cmdi_tickets_has(&tickets, 7));
    CU_ASSERT_PTR_EQUAL(cmdi_tickets_forget(&tickets, 7, ticket_list_of), client);
    CU_ASSERT_PTR_NULL(cmdi_tickets_forget(&tickets, 7, ticket_list_of));
    CU_ASSERT_FALSE(cmdi_tickets_has(&tickets, 7));
    CU_ASSERT_TRUE(cmdi_tickets_is_forgotten(&tickets, &list[6]->ticket));
    CU_ASSERT_TRUE(cmdi_extra_close(&tickets, list[6])); // Also out of the list.
    CU_ASSERT_PTR_NULL(cmdi_tickets_pop(&tickets, &ticket_list));
    CU_ASSERT_FALSE(cmdi_extra_close(&tickets, list[7]));
    CU_ASSERT_PTR_NULL(cmdi_tickets_forget(&tickets, 8, ticket_list_of));
    CU_ASSERT_PTR_EQUAL(cmdi_tickets_forget(&tickets, 9, ticket_list_of), client);
    CU_ASSERT_PTR_EQUAL(cmdi_tickets_pop(&tickets, &ticket_list), &list[8]->ticket);
    CU_ASSERT_FALSE(cmdi_tickets_has(&tickets, 0));
    CU_ASSERT_FALSE(cmdi_tickets_has(&tickets, UINT64_MAX));

    for (int i = 0; i < 200; i++) {
        if (i != 6 && i != 7) {
            CU_ASSERT_EQUAL(cmdi_extra_close(&tickets, list[i]), i == 8);
        }
    }
    CU_ASSERT_EQUAL(tickets.count, 0);
    cmdi_tickets_fini(&tickets);
}

static void test_queue_keeps_order_and_bytes_through_growth(void)
{
    struct cmdi_queue queue = {.data = NULL};
    int code = 0;
    uint64_t in = 0, out = 0;

    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++, in++) {
            size_t size = (size_t)(in * 37 % 301);
            struct cmdi_record *record = cmdi_queue_append(&queue, size, &code);
            CU_ASSERT_PTR_NOT_NULL_FATAL(record);
            CU_ASSERT_EQUAL((uintptr_t)record % _Alignof(struct cmdi_record), 0);
            record->sequence = in;
            memset(cmdi_record_body(record), (int)(in & 0x7f), size);
        }
        for (int i = 0; i < (round < 100 ? 5 : 9) && out < in; i++, out++) {
            struct cmdi_record *record = cmdi_queue_front(&queue);
            CU_ASSERT_PTR_NOT_NULL_FATAL(record);
            CU_ASSERT_EQUAL(record->sequence, out);
            CU_ASSERT_EQUAL(record->body_size, out * 37 % 301);
            for (size_t at = 0; at < record->body_size; at++) {
                CU_ASSERT_EQUAL_FATAL(cmdi_record_body(record)[at], out & 0x7f);
            }
            cmdi_queue_pop(&queue);
        }
    }
    CU_ASSERT_EQUAL(out, in);
    CU_ASSERT_EQUAL(cmdi_queue_size(&queue), 0);
    CU_ASSERT_PTR_NULL(cmdi_queue_front(&queue));
    cmdi_queue_trim(&queue);
    CU_ASSERT_PTR_NULL(queue.data);
}

static CU_TestInfo test_pending[] = {
        {"finds every sequence through growth", test_pending_finds_every_sequence_through_growth},
        {"growth keeps what shares a bucket", test_pending_growth_keeps_what_shares_a_bucket},
        {"old entries stay beside new ones", test_pending_old_entries_stay_beside_new_ones},
        {"pop takes each once, trim gives back",
                test_pending_pop_takes_each_once_and_trim_gives_back},
        {"ticket: forget wins over a later close, once",
                test_ticket_forget_wins_over_a_later_close_and_only_once},
        {"queue keeps order and bytes through growth",
                test_queue_keeps_order_and_bytes_through_growth},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("pending", test_pending)
