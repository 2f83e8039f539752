/* SPDX-License-Identifier: MIT */
/*
 * Tickets as values: for how long each opens, where it does not, and that no byte of it may change. The
 * clock is the test's.
 */
#include "tls/tickets.h"

#include <string.h>

#include "support/harness.h"

enum {
    LIFETIME_S = 7200,
    PERIOD_S = LIFETIME_S / 2,
    SIZE = 100,
};

struct ticket {
    uint8_t key_name[WOLFSSL_TICKET_NAME_SZ], iv[WOLFSSL_TICKET_IV_SZ];
    uint8_t bytes[SIZE + CMDI_TICKET_TAG_SIZE];
};

static struct cmdi_ticket_scope scope_new(uint32_t lifetime_s)
{
    struct cmdi_ticket_scope scope = {.digest = "somewhere"};
    CU_ASSERT_EQUAL_FATAL(cmdi_tls_tickets_create(&scope.tickets, lifetime_s, NULL), 0);
    return scope;
}

static struct ticket seal(const struct cmdi_ticket_scope *scope, uint64_t now_s)
{
    struct ticket ticket;
    memset(ticket.bytes, 'x', SIZE);
    CU_ASSERT(cmdi_tls_tickets_seal(scope, now_s, ticket.key_name, ticket.iv, ticket.bytes, SIZE));
    return ticket;
}

static bool opens(const struct cmdi_ticket_scope *scope, uint64_t now_s, struct ticket ticket)
{
    if (!cmdi_tls_tickets_open(
                scope, now_s, ticket.key_name, ticket.iv, ticket.bytes, sizeof(ticket.bytes))) {
        return false;
    }
    for (size_t i = 0; i < SIZE; i++) {
        CU_ASSERT_EQUAL(ticket.bytes[i], 'x');
    }
    return true;
}

static void test_tickets_open_again(void)
{
    struct cmdi_ticket_scope scope = scope_new(LIFETIME_S);
    struct ticket first = seal(&scope, 1000), second = seal(&scope, 1000);

    CU_ASSERT(opens(&scope, 1000, first) && opens(&scope, 1000, second));
    CU_ASSERT(opens(&scope, 1000, first)); // And again: who resumes brings no data with it.
    CU_ASSERT_EQUAL(memcmp(first.key_name, second.key_name, sizeof(first.key_name)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(first.iv, second.iv, sizeof(first.iv)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(first.bytes, second.bytes, SIZE), 0);
    cmdi_tls_tickets_destroy(scope.tickets);
    cmdi_tls_tickets_destroy(NULL);
}

static void test_tickets_live_as_long_as_was_said(void)
{
    struct cmdi_ticket_scope scope = scope_new(LIFETIME_S);
    struct ticket early = seal(&scope, 0), late = seal(&scope, PERIOD_S - 1);
    struct ticket next = seal(&scope, PERIOD_S), third = seal(&scope, 2 * PERIOD_S);

    CU_ASSERT_EQUAL(memcmp(early.key_name, late.key_name, sizeof(early.key_name)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(late.key_name, next.key_name, sizeof(late.key_name)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(next.key_name, third.key_name, sizeof(next.key_name)), 0);
    // The first key is good as long as its last ticket is.
    CU_ASSERT(opens(&scope, PERIOD_S - 1 + LIFETIME_S, late));
    CU_ASSERT_FALSE(opens(&scope, PERIOD_S + LIFETIME_S, late));
    CU_ASSERT(opens(&scope, PERIOD_S + LIFETIME_S, next));
    (void)seal(&scope, 3 * PERIOD_S); // The first key's place is taken.
    CU_ASSERT_FALSE(opens(&scope, 0, early));
    CU_ASSERT(opens(&scope, 3 * PERIOD_S, next) && opens(&scope, 3 * PERIOD_S, third));
    cmdi_tls_tickets_destroy(scope.tickets);
}

static void test_tickets_of_a_second(void)
{
    struct cmdi_ticket_scope scope = scope_new(1);
    struct ticket ticket = seal(&scope, 5);
    CU_ASSERT(opens(&scope, 6, ticket));
    CU_ASSERT_FALSE(opens(&scope, 7, ticket));
    cmdi_tls_tickets_destroy(scope.tickets);
}

static void test_tickets_are_good_where_they_were_made(void)
{
    struct cmdi_ticket_scope scope = scope_new(LIFETIME_S), other = scope;
    other.digest[31] ^= 1;
    struct ticket ticket = seal(&scope, 0);
    CU_ASSERT_FALSE(opens(&other, 0, ticket));
    struct cmdi_ticket_scope elsewhere = scope_new(LIFETIME_S); // Other keys.
    (void)seal(&elsewhere, 0);
    CU_ASSERT_FALSE(opens(&elsewhere, 0, ticket));
    CU_ASSERT(opens(&scope, 0, ticket));
    cmdi_tls_tickets_destroy(elsewhere.tickets);
    cmdi_tls_tickets_destroy(scope.tickets);
}

static void test_tickets_that_were_changed(void)
{
    struct cmdi_ticket_scope scope = scope_new(LIFETIME_S);
    struct ticket ticket = seal(&scope, 0);
    for (size_t i = 0; i < sizeof(ticket); i++) {
        struct ticket changed = ticket;
        ((uint8_t *)&changed)[i] ^= 0x80;
        CU_ASSERT_FALSE(opens(&scope, 0, changed));
    }
    for (size_t size = 0; size < sizeof(ticket.bytes); size++) {
        struct ticket cut = ticket;
        CU_ASSERT_FALSE(cmdi_tls_tickets_open(&scope, 0, cut.key_name, cut.iv, cut.bytes, size));
    }
    cmdi_tls_tickets_destroy(scope.tickets);
}

static int call(
        struct cmdi_ticket_scope *scope, int seals, struct ticket *ticket, int size, int *size_out)
{
    uint8_t mac[WOLFSSL_TICKET_MAC_SZ] = {0};
    int result = cmdi_tls_tickets_callback(
            NULL, ticket->key_name, ticket->iv, mac, seals, ticket->bytes, size, size_out, scope);
    CU_ASSERT(seals == 0 || result != WOLFSSL_TICKET_RET_OK || mac[0] != 0); // wolfSSL looks.
    return result;
}

static void test_tickets_by_the_callback(void)
{
    struct cmdi_ticket_scope scope = scope_new(LIFETIME_S);
    struct ticket ticket = {.bytes = "x"};
    int size = SIZE + CMDI_TICKET_TAG_SIZE - 1;
    CU_ASSERT_EQUAL(call(&scope, 1, &ticket, SIZE, &size), WOLFSSL_TICKET_RET_FATAL); // No room.
    size = sizeof(ticket.bytes);
    CU_ASSERT_EQUAL(call(&scope, 1, &ticket, SIZE, &size), WOLFSSL_TICKET_RET_OK);
    CU_ASSERT_EQUAL(size, SIZE + CMDI_TICKET_TAG_SIZE);
    struct ticket again = ticket;
    CU_ASSERT_EQUAL(call(&scope, 0, &again, size, &size), WOLFSSL_TICKET_RET_OK);
    CU_ASSERT(size == SIZE && again.bytes[0] == 'x');
    // It was opened where it lay.
    CU_ASSERT_EQUAL(call(&scope, 0, &again, sizeof(again.bytes), &size), WOLFSSL_TICKET_RET_REJECT);
    CU_ASSERT_EQUAL(call(&scope, 0, &ticket, -1, &size), WOLFSSL_TICKET_RET_REJECT);
    CU_ASSERT_EQUAL(
            call(&scope, 0, &ticket, CMDI_TICKET_SIZE_MAX + 1, &size), WOLFSSL_TICKET_RET_REJECT);
    struct cmdi_ticket_scope none = {.tickets = NULL};
    CU_ASSERT_EQUAL(
            call(&none, 0, &ticket, sizeof(ticket.bytes), &size), WOLFSSL_TICKET_RET_REJECT);
    size = sizeof(ticket.bytes);
    CU_ASSERT_NOT_EQUAL(call(&none, 1, &ticket, SIZE, &size), WOLFSSL_TICKET_RET_OK);
    cmdi_tls_tickets_destroy(scope.tickets);
}

static const CU_TestInfo test_tls_tickets[] = {
        {"open again", test_tickets_open_again},
        {"live as long as was said", test_tickets_live_as_long_as_was_said},
        {"of a second", test_tickets_of_a_second},
        {"are good where they were made", test_tickets_are_good_where_they_were_made},
        {"that were changed", test_tickets_that_were_changed},
        {"by the callback", test_tickets_by_the_callback},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_tickets", test_tls_tickets)
