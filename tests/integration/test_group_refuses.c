/* SPDX-License-Identifier: MIT */
/*
 * What a group refuses, and by which code: values that are not of the protocol, options by their
 * names, and calls that would block a shard.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/guest.h"

static void test_group_refuses_what_is_not_of_the_protocol(void)
{
    static char large[4096];
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.frame_size_max = 1000;
    guest_start(&guest, &world);
    struct echoed echoed = {0};
    struct echo echo = {.string = {large, sizeof(large)}};

    CU_ASSERT_EQUAL(cmds_group_send(guest.group, echoed_message(&echoed), NULL, answers_take,
                            guest.answers),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(cmds_group_send(guest.group, (struct cmds_message){NULL, NULL}, NULL,
                            answers_take, guest.answers),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, echo_message(&echo), NULL, answers_take, guest.answers),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* On the shard itself, where a send goes straight. */
static void guest_start_inline(struct guest *guest, struct world *world)
{
    world_init(world);
    guest_init(guest);
    world->runtime_options.shard_count = CMDS_SHARDS_INLINE;
    guest_start(guest, world);
    WORLD_UNTIL(world, cmds_group_connected(guest->group) == 1);
}

/* Of an older header there may be no more memory than it says: its `how` ends behind eight bytes. */
static void test_group_reads_no_more_of_how_than_there_is(void)
{
    struct world world;
    struct guest guest;
    struct echo echo = {.int64 = 7, .string = CMDS_STRING("")};
    struct cmds_message message = echo_message(&echo);
    const uint32_t older[2] = {8, 0}, none[2] = {4, 0};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages =
            mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    void *end = pages + page - sizeof(older);
    struct cmds_send_options *how = end;
    guest_start_inline(&guest, &world);

    memcpy(how, older, sizeof(older));
    CU_ASSERT_EQUAL(cmds_group_send(guest.group, message, how, answers_take, guest.answers), 0);
    memcpy(how, none, sizeof(none));
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, message, how, answers_take, guest.answers), -EINVAL);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 1);
    (void)munmap(pages, 2 * page);

    struct cmds_send_options whole = CMDS_SEND_OPTIONS_INIT;
    whole.unused = 1;
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, message, &whole, answers_take, guest.answers), -E2BIG);
    whole.unused = 0;
    whole.resend = CMDS_RESEND_NEVER + 1;
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, message, &whole, answers_take, guest.answers), -EINVAL);
    guest_close(&guest, &world);
    world_stop(&world);
}

/* The only thread of a child has the address of the one that turns the runtime of its parent. */
static void test_group_refuses_a_child_of_an_inline_runtime(void)
{
    struct world world;
    struct guest guest;
    struct echo echo = {.string = CMDS_STRING("")};
    int status = -1;
    guest_start_inline(&guest, &world);

    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(RAW_GUARD_MS / 1000);
        int code = cmds_group_send(
                guest.group, echo_message(&echo), NULL, answers_take, guest.answers);
        _exit(code == CMDS_E_FORKED ? 0 : 1);
    }
    CU_ASSERT_TRUE(pid > 0 && waitpid(pid, &status, 0) == pid);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

static int open_with(struct world *world, void (*change)(struct cmds_group_options *options),
        struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_group *group = NULL;
    options.connect = "127.0.0.1:1";
    change(&options);
    *error = (struct cmds_error)CMDS_ERROR_INIT;
    return cmds_group_open(&group, world->runtime, &options, error);
}
static void change_connect(struct cmds_group_options *options)
{
    options->connect = "127.0.0.1";
}
static void change_count(struct cmds_group_options *options)
{
    options->client_count = 65537;
}
static void change_window(struct cmds_group_options *options)
{
    options->in_flight_max = 1048577;
}
static void change_info(struct cmds_group_options *options)
{
    options->server_info = (struct cmds_bytes){"x", 1025};
}
static void change_output(struct cmds_group_options *options)
{
    options->output_size_max = 4095;
}
static void change_frame(struct cmds_group_options *options)
{
    options->frame_size_max = 1024 * 1024 * 1024 + 1;
}
static void change_protocol(struct cmds_group_options *options)
{
    options->protocol = NULL;
}
static void change_dispatch(struct cmds_group_options *options)
{
    static struct cmds_dispatch dispatch;
    options->dispatch = &dispatch;
}
static void change_size(struct cmds_group_options *options)
{
    options->struct_size = 0;
}
static void change_codec(struct cmds_group_options *options)
{
    static struct cmds_codec codec;
    codec = cmds_codec_msgpack;
    codec.decode = NULL;
    options->codec = &codec;
}

static void test_group_bad_options_are_named(void)
{
    struct world world;
    struct cmds_error error;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(open_with(&world, change_connect, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "port") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_count, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "client_count") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_window, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "in_flight_max") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_info, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "server_info") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_output, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "output_size_max 4095") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_frame, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "frame_size_max 1073741825") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_protocol, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "protocol") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_dispatch, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "dispatch") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_size, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "struct_size") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_codec, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "codec: it lacks") != NULL);

    world_stop(&world);
}

struct blocked {
    struct guest *guest;
    int wait, drain;
    _Atomic uint32_t done;
};

static void block_on_shard(void *context)
{
    struct blocked *blocked = context;
    blocked->wait = cmds_group_wait(blocked->guest->group, 1000, NULL);
    blocked->drain = cmds_group_drain(blocked->guest->group, 1000);
    atomic_store(&blocked->done, 1);
}

static void test_group_blocking_calls_on_a_shard_are_refused(void)
{
    struct world world;
    struct guest guest;
    struct blocked blocked = {.guest = &guest};
    world_init(&world);
    guest_init(&guest);
    guest_start(&guest, &world);

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, block_on_shard, &blocked), 0);
    WORLD_UNTIL(&world, atomic_load(&blocked.done) == 1);
    CU_ASSERT_EQUAL(blocked.wait, -EDEADLK);
    CU_ASSERT_EQUAL(blocked.drain, -EDEADLK);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_group_refuses[] = {
        {"refuses what is not of the protocol", test_group_refuses_what_is_not_of_the_protocol},
        {"reads no more of `how` than there is", test_group_reads_no_more_of_how_than_there_is},
        {"refuses a child of an inline runtime", test_group_refuses_a_child_of_an_inline_runtime},
        {"bad options are named", test_group_bad_options_are_named},
        {"blocking calls on a shard are refused", test_group_blocking_calls_on_a_shard_are_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_refuses", test_group_refuses)
