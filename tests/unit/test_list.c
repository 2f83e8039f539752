/* SPDX-License-Identifier: MIT */
/*
 * Intrusive lists. A removed node could stay linked in a neighbour, a second removal could tear
 * another list, and taking over a list could leave its nodes pointing to the old head.
 */
#include "base/list.h"

#include "support/harness.h"

struct item {
    int number;
    struct cmdi_list link;
};

/* The numbers in order, as decimal digits; both directions must agree. */
static int digits(const struct cmdi_list *head)
{
    int forward = 0;
    int backward = 0;
    int place = 1;
    for (const struct cmdi_list *node = head->next; node != head; node = node->next) {
        forward = forward * 10 + CMDI_CONTAINER(node, struct item, link)->number;
    }
    for (const struct cmdi_list *node = head->prev; node != head; node = node->prev) {
        backward += place * CMDI_CONTAINER(node, struct item, link)->number;
        place *= 10;
    }
    CU_ASSERT_EQUAL(forward, backward);
    return forward;
}

static void fill(struct cmdi_list *head, struct item items[4])
{
    cmdi_list_init(head);
    for (int i = 0; i < 4; i++) {
        items[i].number = i + 1;
        cmdi_list_init(&items[i].link);
        cmdi_list_push(head, &items[i].link);
    }
}

static void test_list_is_first_in_first_out(void)
{
    struct cmdi_list head;
    struct item items[4];
    fill(&head, items);
    CU_ASSERT_EQUAL(digits(&head), 1234);

    for (int i = 0; i < 4; i++) {
        struct cmdi_list *node = cmdi_list_pop(&head);
        CU_ASSERT_PTR_EQUAL(node, &items[i].link);
        CU_ASSERT_TRUE(cmdi_list_empty(node)); // In no list.
    }
    CU_ASSERT_PTR_NULL(cmdi_list_pop(&head));
    CU_ASSERT_TRUE(cmdi_list_empty(&head));
}

static void test_list_remove_anywhere_and_twice(void)
{
    struct cmdi_list head;
    struct item items[4];
    fill(&head, items);

    cmdi_list_remove(&items[1].link);
    cmdi_list_remove(&items[1].link);
    CU_ASSERT_EQUAL(digits(&head), 134);
    cmdi_list_remove(&items[0].link);
    cmdi_list_remove(&items[3].link);
    CU_ASSERT_EQUAL(digits(&head), 3);
    cmdi_list_push(&head, &items[1].link);
    CU_ASSERT_EQUAL(digits(&head), 32);
    cmdi_list_remove(&items[2].link);
    cmdi_list_remove(&items[1].link);
    CU_ASSERT_TRUE(cmdi_list_empty(&head));
}

static void test_list_take_moves_all_in_order(void)
{
    struct cmdi_list from;
    struct cmdi_list to;
    struct item items[4];
    fill(&from, items);

    cmdi_list_take(&to, &from); // `to` need not be initialized.

    CU_ASSERT_TRUE(cmdi_list_empty(&from));
    CU_ASSERT_EQUAL(digits(&to), 1234);
    cmdi_list_remove(&items[0].link); // The ends know their new head.
    cmdi_list_remove(&items[3].link);
    CU_ASSERT_EQUAL(digits(&to), 23);
    cmdi_list_push(&from, &items[0].link);
    CU_ASSERT_EQUAL(digits(&from), 1);
}

static void test_list_take_of_one_and_of_none(void)
{
    struct cmdi_list from;
    struct cmdi_list to;
    struct item items[4];
    fill(&from, items);
    for (int i = 1; i < 4; i++) {
        cmdi_list_remove(&items[i].link);
    }

    cmdi_list_take(&to, &from);
    CU_ASSERT_EQUAL(digits(&to), 1);
    cmdi_list_take(&to, &from);
    CU_ASSERT_TRUE(cmdi_list_empty(&to));
    CU_ASSERT_TRUE(cmdi_list_empty(&from));
}

static void test_list_append_keeps_the_order(void)
{
    struct cmdi_list first;
    struct cmdi_list second;
    struct cmdi_list none;
    struct item items[4];
    struct item more[4];
    fill(&first, items);
    fill(&second, more);
    cmdi_list_init(&none);

    cmdi_list_append(&first, &none);
    CU_ASSERT_EQUAL(digits(&first), 1234);
    cmdi_list_append(&first, &second);
    CU_ASSERT_EQUAL(digits(&first), 12341234);
    CU_ASSERT_TRUE(cmdi_list_empty(&second));
    cmdi_list_append(&none, &first);
    CU_ASSERT_EQUAL(digits(&none), 12341234);
    cmdi_list_remove(&items[3].link); // The seam holds.
    cmdi_list_remove(&more[3].link);
    CU_ASSERT_EQUAL(digits(&none), 123123);
    CU_ASSERT_TRUE(cmdi_list_empty(&first));
}

static CU_TestInfo tests[] = {
        {"is first in, first out", test_list_is_first_in_first_out},
        {"remove anywhere and twice", test_list_remove_anywhere_and_twice},
        {"take moves all in order", test_list_take_moves_all_in_order},
        {"take of one and of none", test_list_take_of_one_and_of_none},
        {"append keeps the order", test_list_append_keeps_the_order},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("list", tests)
