/* SPDX-License-Identifier: MIT */
/*
 * The probes of this program, which the library is linked into. What may go wrong: one is not there, or
 * has lost an argument, so that a script counts something else; one wants a tracer to say that it looks.
 */
#include "support/usdt.h"

#include "support/world.h"

#ifdef CMDSTREAM_HAS_USDT

static const struct {
    const char *name;
    uint32_t arguments;
} probes[] = {
        {"command_begin", 4},
        {"command_end", 4},
        {"result_sent", 5},
        {"connection_open", 2},
        {"connection_close", 3},
        {"send", 4},
        {"reply", 4},
        {"turn_end", 3},
};
enum {
    PROBE_COUNT = sizeof(probes) / sizeof(probes[0]),
};

static uint32_t argument_count(const char *text)
{
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '@';
    }
    return count;
}

/* A server and a client: both are in this program, or they would have no probes here. */
static void answer_one(void)
{
    struct world world;
    struct echo echo = {.int64 = 7};
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.connect = world.address;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, NULL) == 0);
    CU_ASSERT_EQUAL(cmds_sender_send(sender, echo_message(&echo), RAW_GUARD_MS, &result, NULL), 0);
    cmds_result_free(result);
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

static void test_probes_are_all_there(void)
{
    answer_one();
    static struct usdt found[USDT_MAX];
    uint32_t seen[PROBE_COUNT] = {0};
    int count = usdt_read("/proc/self/exe", found);
    CU_ASSERT_FATAL(count > 0 && count < USDT_MAX);

    for (int i = 0; i < count; i++) {
        if (strcmp(found[i].provider, "cmdstream") != 0) {
            continue; // libc has some.
        }
        uint32_t known = 0;
        while (known < PROBE_COUNT && strcmp(probes[known].name, found[i].name) != 0) {
            known++;
        }
        CU_ASSERT_FATAL(known < PROBE_COUNT);
        CU_ASSERT_EQUAL(argument_count(found[i].arguments), probes[known].arguments);
        CU_ASSERT_EQUAL(found[i].semaphore, 0);
        CU_ASSERT(found[i].offset > 0);
        seen[known]++;
    }
    for (uint32_t i = 0; i < PROBE_COUNT; i++) {
        CU_ASSERT(seen[i] > 0);
    }
}

CU_TestInfo test_probes[] = {
        {"are all there", test_probes_are_all_there},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("probes", test_probes)
#else
int main(void)
{
    cmdi_test_skip("built without probes: sys/sdt.h is not there (systemtap-sdt-dev)");
}
#endif
