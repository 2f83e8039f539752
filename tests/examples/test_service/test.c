/* SPDX-License-Identifier: MIT */
/*
 * The exec function of ../service/quotes_server.c, which asks another server, without a network: the test
 * is the other server.
 */
#define main server_main
#include "quotes_server.c"
#undef main

#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/test.h>

#define CHECK(fact)                                                                                \
    ((fact) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #fact), exit(1)))

static struct app app;
static struct cmds_test *test;

static void ask(uint64_t sku, uint32_t count)
{
    struct quotes_get get = {sku, count};
    CHECK(cmds_test_send(test, quotes_get_message(&get)) == 0); // It keeps its call.
}

static const struct prices_get *asked(uint32_t index)
{
    const struct cmds_test_command *sent = cmds_test_group_sent(test, app.prices, index);
    return sent != NULL && sent->type == &prices_get_type ? sent->value : NULL;
}

static const struct quotes_quote *quote(uint32_t index)
{
    return quotes_quote_of(cmds_test_result(test, index));
}

int main(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&quotes, execs);
    struct cmds_group_options upstream = CMDS_GROUP_OPTIONS_INIT(&prices);
    struct prices_price price = {250};
    struct cmds_message answer = prices_price_message(&price);
    struct cmds_error error = CMDS_ERROR_INIT;
    options.receiver = &app;
    if (cmds_test_open(&test, &options, &error) < 0 ||
            cmds_test_group_open(test, &app.prices, &upstream, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    ask(7, 3);
    CHECK(asked(0)->sku == 7);
    CHECK(cmds_test_result_count(test) == 0); // It waits for the price.
    CHECK(cmds_test_group_answer(test, app.prices, 0, answer) == 0);
    CHECK(quote(0)->cents == 750);

    CHECK(cmds_test_group_will_answer(test, app.prices, &prices_get_type, &answer, 1) == 0);
    ask(8, 2);
    CHECK(quote(1)->cents == 500); // Answered beforehand.

    cmds_test_group_full(test, app.prices, true); // The other one is slow,
    ask(9, 1);
    CHECK(asked(2) == NULL);
    cmds_test_group_full(test, app.prices, false);
    CHECK(asked(2)->sku == 9); // and this one has waited.

    cmds_test_disconnect(test); // Nobody wants it any more: the other one's answer neither.
    CHECK(!cmds_test_group_sent(test, app.prices, 2)->is_awaited);

    cmds_test_close(test); // Closes the group too.
    printf("ok\n");
    return 0;
}
