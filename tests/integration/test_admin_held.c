/* SPDX-License-Identifier: MIT */
/*
 * The pages while an exec function holds up a shard. What may go wrong: a page that asks that shard waits as long
 * as it takes, and with it everybody who asks the same port for anything, and the end of the program; what it shows
 * looks whole; a request that waits for it is answered by nobody, or by two threads.
 */
#include <cmdstream/admin.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/world.h"

enum {
    GUESTS = 6,
    ANSWER_SIZE = 8192,
    TIMES = 3,
};

struct gate {
    _Atomic uint32_t entered, is_open;
};

/* On the shard, which does nothing else until the test lets it. */
static int exec_hold(struct cmds_call *call, const struct run *run)
{
    const struct world *world = cmds_call_receiver(call);
    struct gate *gate = world->context;
    atomic_fetch_add(&gate->entered, 1);
    while (atomic_load(&gate->is_open) == 0) {
        raw_pause(NULL);
    }
    return world_send_item(call, run->number, true);
}

struct place {
    struct world world;
    struct gate gate;
    struct cmds_admin *admin;
    struct raw raws[GUESTS];
    char address[128];
};

/* Until a shard is held up. */
static void place_open(struct place *place)
{
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    struct run run = {.number = 1};
    *place = (struct place){.admin = NULL};
    world_init(&place->world);
    place->world.exec = exec_hold;
    place->world.context = &place->gate;
    CU_ASSERT_FATAL(world_start(&place->world) == 0);
    options.admin = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(cmds_admin_open(&place->admin, place->world.runtime, &options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(
            cmds_admin_address(place->admin, 1, place->address, sizeof(place->address)), 0);
    for (uint32_t i = 0; i < GUESTS; i++) {
        CU_ASSERT_FATAL(world_connect(&place->world, &place->raws[i]));
    }
    WORLD_UNTIL(&place->world, atomic_load(&place->world.connected) == GUESTS);
    CU_ASSERT(raw_send(&place->raws[0], 1, run_message(&run)));
    WORLD_UNTIL(&place->world, atomic_load(&place->gate.entered) == 1);
}

static void place_let_go(struct place *place)
{
    uint64_t sequence = 0;
    bool last = false;
    atomic_store(&place->gate.is_open, 1);
    CU_ASSERT(world_read_item(&place->raws[0], &sequence, &last) == 1 && last);
}

/* `admin` was closed. */
static void place_close(struct place *place)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        raw_close(&place->raws[i]);
    }
    world_stop(&place->world);
}

/* --- Requests --------------------------------------------------------------------------------- */

static struct raw ask(const struct place *place, const char *path)
{
    struct raw raw;
    char text[256];
    int size = snprintf(text, sizeof(text),
            "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    CU_ASSERT_EQUAL_FATAL(raw_open(&raw, place->address, 0, NULL), 0);
    CU_ASSERT_FATAL(fcntl(raw.fd, F_SETFL, 0) == 0 && write(raw.fd, text, (size_t)size) == size);
    return raw;
}

/* All that comes until the end. */
static const char *answer(struct raw raw)
{
    static char text[ANSWER_SIZE];
    size_t size = 0;
    for (ssize_t got; (got = read(raw.fd, text + size, sizeof(text) - 1 - size)) > 0;) {
        size += (size_t)got;
    }
    text[size] = '\0';
    raw_close(&raw);
    return text;
}

static bool says(const struct place *place, const char *path, const char *words)
{
    const char *text = answer(ask(place, path));
    return strncmp(text, "HTTP/1.1 200", 12) == 0 && strstr(text, words) != NULL;
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_admin_held_says_which_shard_is_missing(void)
{
    struct place place;
    place_open(&place);
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT(says(&place, "/connections?format=json", "\"complete\":false,\"held_up\":[{"));
        CU_ASSERT(says(&place, "/connections?format=json", "\"type\":\"run\""));
        CU_ASSERT(says(&place, "/connections", "Not all of them"));
        CU_ASSERT(says(&place, "/calls", " by run\n"));
    }
    place_let_go(&place);
    WORLD_UNTIL(&place.world, says(&place, "/connections?format=json",
                                      "{\"count\":6,\"complete\":true,\"held_up\":[]"));
    cmds_admin_close(place.admin);
    place_close(&place);
}

/* Each list is asked for first, and what is asked for next is answered before it, or at least with it. */
static void test_admin_held_answers_others_while_pages_wait(void)
{
    struct place place;
    struct raw waiting[TIMES];
    place_open(&place);
    for (uint32_t i = 0; i < TIMES; i++) {
        waiting[i] = ask(&place, i % 2 == 0 ? "/connections" : "/calls");
        CU_ASSERT(says(&place, "/status", "shard"));
        CU_ASSERT(says(&place, "/config", "shard_count"));
    }
    for (uint32_t i = 0; i < TIMES; i++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(answer(waiting[i]), "held up for"));
    }
    place_let_go(&place);
    cmds_admin_close(place.admin);
    place_close(&place);
}

static void test_admin_held_closes_while_pages_wait(void)
{
    struct place place;
    struct raw waiting[TIMES];
    place_open(&place);
    for (uint32_t i = 0; i < TIMES; i++) {
        waiting[i] = ask(&place, "/connections");
    }
    cmds_admin_close(place.admin); // The shard is held up until after it.
    for (uint32_t i = 0; i < TIMES; i++) {
        (void)answer(waiting[i]); // An end comes, whatever comes before it.
    }
    place_let_go(&place);
    place_close(&place);
}

CU_TestInfo test_admin_held[] = {
        {"says which shard is missing", test_admin_held_says_which_shard_is_missing},
        {"answers others while pages wait", test_admin_held_answers_others_while_pages_wait},
        {"closes while pages wait", test_admin_held_closes_while_pages_wait},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("admin_held", test_admin_held)
