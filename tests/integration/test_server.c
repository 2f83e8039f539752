/* SPDX-License-Identifier: MIT */
/*
 * A server as its peers see it: bytes in, bytes out. TCP cuts frames where it likes, peers lie
 * about lengths, send what is no frame, or leave in the middle. Whatever one of them does, its
 * connection ends with one count, nothing is allocated on its word, and the others are served as
 * before.
 */
#include "support/world.h"

#include <errno.h>
#include <sys/socket.h>

/* --- Frames that are as they should be -------------------------------------------------------- */

static void test_server_answers_the_documented_bytes(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_FATAL(raw_open(&raw, world.address, 0, NULL) == 0);
    CU_ASSERT(raw_expect_hex(&raw, "0764656661756c74"));
    CU_ASSERT(raw_write_hex(&raw, WORLD_ECHO_HEX));
    CU_ASSERT(raw_expect_hex(&raw, WORLD_ECHO_HEX));
    /*
     * The largest sequence there is; a map in place of an array; fields left out; one field too
     * many.
     */
    CU_ASSERT(raw_write_hex(&raw, "ffffffffffffffff7f 000f94c3fba26869cb3ff8000000000000"));
    CU_ASSERT(raw_expect_hex(&raw, "ffffffffffffffff7f 000f94c3fba26869cb3ff8000000000000"));
    CU_ASSERT(raw_write_hex(&raw, "02000e 82 a4626f6f6cc3 a5696e743634 fb"));
    CU_ASSERT(raw_expect_hex(&raw, "02000d94c3fba0cb0000000000000000"));
    CU_ASSERT(raw_write_hex(&raw, "030010 95c3fba26869cb3ff8000000000000c0"));
    CU_ASSERT(raw_expect_hex(&raw, "03000f 94c3fba26869cb3ff8000000000000"));

    raw_close(&raw);
    world_stop(&world);
}

static void test_server_reads_frames_cut_anywhere(void)
{
    struct world world;
    struct raw raw;
    uint8_t frame[32];
    size_t size = raw_hex(WORLD_ECHO_HEX, frame, sizeof(frame));
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    uint64_t received = 0;

    for (size_t cut = 1; cut < size; cut++) {
        CU_ASSERT_FATAL(raw_write(&raw, frame, cut));
        received += cut; // Only when the server has seen the first part, the second one is a part.
        WORLD_UNTIL(&world, world_stats(&world).recv_bytes == received);
        CU_ASSERT_FATAL(raw_write(&raw, frame + cut, size - cut));
        received += size - cut;
        CU_ASSERT_FATAL(raw_expect_hex(&raw, WORLD_ECHO_HEX));
    }
    for (size_t i = 0; i < size; i++) {
        CU_ASSERT_FATAL(raw_write(&raw, frame + i, 1));
        received++;
        WORLD_UNTIL(&world, world_stats(&world).recv_bytes == received);
    }
    CU_ASSERT(raw_expect_hex(&raw, WORLD_ECHO_HEX));
    CU_ASSERT_EQUAL(atomic_load(&world.executed), size);

    raw_close(&raw);
    world_stop(&world);
}

static void test_server_answers_pings(void)
{
    struct world world;
    struct raw raw;
    uint8_t pings[1000] = {0};
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_write_hex(&raw, "00"));
    CU_ASSERT(raw_expect_hex(&raw, "00"));
    CU_ASSERT(raw_write_hex(&raw, "00" WORLD_ECHO_HEX "0000"));
    CU_ASSERT(raw_expect_hex(&raw, "00" WORLD_ECHO_HEX "0000"));
    CU_ASSERT(raw_write(&raw, pings, sizeof(pings)));
    CU_ASSERT_FATAL(raw_fill(&raw, sizeof(pings)));
    CU_ASSERT_EQUAL(memcmp(raw.data + raw.begin, pings, sizeof(pings)), 0);
    CU_ASSERT_EQUAL(world_stats(&world).pings_answered, 1004);

    raw_close(&raw);
    world_stop(&world);
}

enum {
    // What one flood may hold: a quarter of the shard's receive buffers, as leased.
    HOLD_MAX = 12 << 20,
    ANSWERED_MIN = 300000,
};
static uint8_t pings[1 << 20];

/* Nothing that is queued for a peer grows without a bound, pongs neither. */
static void test_server_bounds_pongs_that_nobody_reads(void)
{
    struct world world;
    struct raw raw, other;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    size_t written = 0;
    world_init(&world);
    world.options.listen = raw_unix_address("pongs"); // TCP has room for millions of them.
    world.options.write_timeout_ms = CMDS_NEVER; // However long a slow machine takes to get there.
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(
            raw_open(&raw, world.address, 4096, NULL) == 0 && world_connect(&world, &other));

    while (world_stats(&world).read_pauses == 0 && raw_now_ms() < until_ms) {
        int64_t some = raw_write_some(&raw, pings, sizeof(pings));
        CU_ASSERT_FATAL(some >= 0);
        written += (size_t)some;
        CU_ASSERT_FATAL(world_stats(&world).buffer_bytes < HOLD_MAX);
    }
    CU_ASSERT(world_stats(&world).read_pauses > 0); // It stopped reading,
    CU_ASSERT(world_echoes(&other, 1));
    CU_ASSERT_FATAL(raw_server_info(&raw)); // and goes on when the peer does.
    CU_ASSERT_FATAL(raw_fill(&raw, written < 4 << 20 ? written : 4 << 20));

    raw_close(&raw);
    raw_close(&other);
    world_stop(&world);
}

/* The peer reads its pongs, but sends far faster than a turn's share of frames is run. */
static void test_server_bounds_input_that_comes_faster_than_it_runs(void)
{
    struct world world;
    struct raw raw, other;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS, most = 0, sequence = 1;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw) && world_connect(&world, &other));

    while (world_stats(&world).pings_answered < ANSWERED_MIN && raw_now_ms() < until_ms) {
        CU_ASSERT_FATAL(raw_write_some(&raw, pings, sizeof(pings)) >= 0);
        while (recv(raw.fd, raw.data, raw.capacity, MSG_DONTWAIT) > 0) {
            // Thrown away: only its being read counts.
        }
        uint64_t now = world_stats(&world).buffer_bytes;
        most = now > most ? now : most;
        CU_ASSERT_FATAL(world_echoes(&other, sequence++));
    }
    CU_ASSERT(world_stats(&world).pings_answered >= ANSWERED_MIN);
    CU_ASSERT(most < HOLD_MAX);

    raw_close(&raw);
    raw_close(&other);
    world_stop(&world);
}

static void test_server_runs_many_frames_of_one_write(void)
{
    enum {
        COUNT = 5000
    };
    struct world world;
    struct raw raw;
    uint8_t *bytes = malloc(COUNT * 64);
    uint8_t body[32];
    size_t body_size = raw_hex("94c3fba26869cb3ff8000000000000", body, sizeof(body));
    size_t size = 0;
    world_init(&world);
    CU_ASSERT_FATAL(bytes != NULL && world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint64_t i = 1; i <= COUNT; i++) {
        size += raw_frame_encode(bytes + size, i, 0, body, body_size);
    }

    CU_ASSERT_FATAL(raw_write(&raw, bytes, size));
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct raw_frame frame;
        CU_ASSERT_FATAL(raw_read(&raw, &frame) == RAW_FRAME);
        CU_ASSERT_FATAL(frame.sequence == i && frame.type == 0 && frame.body_size == body_size &&
                        memcmp(frame.body, body, body_size) == 0);
    }
    CU_ASSERT_EQUAL(world_stats(&world).commands_received, COUNT);
    CU_ASSERT_EQUAL(world_stats(&world).results_sent, COUNT);

    free(bytes);
    raw_close(&raw);
    world_stop(&world);
}

/* --- After a wait ----------------------------------------------------------------------------- */

/* Writes once the inline shard of the test's thread has gone to sleep. */
struct late {
    struct world *world;
    struct raw *raws;
    uint8_t bytes[2][64 * 32];
    size_t sizes[2]; // 0: nothing.
    uint64_t sleeps;
    bool failed;
};

static void *write_late(void *argument)
{
    struct late *late = argument;
    while (world_stats(late->world).sleeps == late->sleeps) {
        raw_pause(NULL);
    }
    for (size_t i = 0; i < 2 && late->sizes[i] > 0; i++) {
        late->failed = !raw_write(&late->raws[i], late->bytes[i], late->sizes[i]) || late->failed;
    }
    return NULL;
}

/* The shard has run what came, or a first part of it. */
static void run_what_is_late(struct late *late)
{
    pthread_t thread;
    struct cmds_runtime *runtime = late->world->runtime;
    int handled = 0;
    while (cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT) > 0) {
        // What was there before.
    }
    late->sleeps = world_stats(late->world).sleeps;
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, write_late, late) == 0);
    do {
        handled = cmds_runtime_turn(runtime, RAW_GUARD_MS * 1000);
    } while (handled > 0 && world_stats(late->world).commands_received == 0);
    CU_ASSERT(handled > 0);
    CU_ASSERT(pthread_join(thread, NULL) == 0 && !late->failed);
}

static void test_server_sends_a_part_before_it_runs_the_rest(void)
{
    struct world world;
    struct raw raw;
    struct late late = {.world = &world, .raws = &raw};
    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint64_t i = 1; i <= 64; i++) {
        late.sizes[0] += raw_frame_encode(late.bytes[0] + late.sizes[0], i, 0, "\x90", 1);
    }

    run_what_is_late(&late);
    CU_ASSERT_EQUAL(world_stats(&world).commands_received, 32);
    for (uint64_t i = 1; i <= 64; i++) {
        struct raw_frame frame;
        CU_ASSERT_FATAL(raw_read(&raw, &frame) == RAW_FRAME && frame.sequence == i);
    }

    raw_close(&raw);
    world_stop(&world);
}

struct two {
    struct raw raws[2];
    uint32_t ran;
    bool first_has_left; // When the second one ran.
};

static int exec_look(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct two *two = world->context;
    char byte;
    if (++two->ran == 2) {
        int other = two->raws[1 - run->number].fd;
        two->first_has_left = recv(other, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    }
    return world_send_item(call, 0, true);
}

/* Returns: the first one's answer was there when the second one ran. */
static bool first_leaves_early(void)
{
    struct world world;
    struct two two = {.ran = 0};
    struct late late = {.world = &world, .raws = two.raws};
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.exec = exec_look;
    world.context = &two;
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &two.raws[0]) &&
                    world_connect(&world, &two.raws[1]));
    for (int64_t i = 0; i < 2; i++) {
        uint8_t body[32];
        int64_t size = cmds_codec_encode(
                &cmds_codec_msgpack, run_message(&(struct run){.number = i}), body, sizeof(body));
        CU_ASSERT_FATAL(size > 0);
        late.sizes[i] = raw_frame_encode(late.bytes[i], 1, 1, body, (size_t)size);
    }

    run_what_is_late(&late);
    CU_ASSERT_EQUAL(world_read_item(&two.raws[0], &sequence, &last), 0);
    CU_ASSERT_EQUAL(world_read_item(&two.raws[1], &sequence, &last), 0);

    raw_close(&two.raws[0]);
    raw_close(&two.raws[1]);
    world_stop(&world);
    return two.first_has_left;
}

/* Of a turn that something else ended the wait of, it is not so: it is tried again. */
static void test_server_sends_the_first_before_it_runs_the_others(void)
{
    bool left = false;
    for (int i = 0; i < 500 && !left; i++) {
        left = first_leaves_early();
    }
    CU_ASSERT(left);
}

static bool echoes_string(struct raw *raw, uint64_t sequence, const char *text, size_t size)
{
    struct echo echo = {.string = {text, size}};
    struct raw_frame frame;
    if (!raw_send(raw, sequence, echo_message(&echo)) || raw_read(raw, &frame) != RAW_FRAME) {
        return false;
    }
    struct echoed *echoed = raw_value(&frame, &echoed_type);
    bool same = frame.sequence == sequence && echoed != NULL &&
                cmds_string_equal(echoed->string, echo.string);
    free(echoed);
    return same;
}

static void test_server_echoes_every_size_to_the_limit(void)
{
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 4095, 4096, 4097, 32767, 32768, 32769,
            65535, 65536, 131072, 262144, 900 * 1024};
    struct world world;
    struct raw raw;
    size_t limit = 1024 * 1024;
    size_t around = 1 + 1 + 1 + 5 + 9; // array, bool, int, the string's header, float
    char *text = malloc(limit + 1);
    uint64_t sequence = 1;
    world_init(&world);
    world.options.frame_size_max = (uint32_t)limit;
    CU_ASSERT_FATAL(text != NULL && world_start(&world) == 0 && world_connect(&world, &raw));
    for (size_t i = 0; i <= limit; i++) {
        text[i] = (char)('a' + i % 23);
    }

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CU_ASSERT_FATAL(echoes_string(&raw, sequence++, text, sizes[i]));
    }
    /*
     * A frame that follows a large one begins at every place of a receive buffer and near its end.
     */
    for (size_t size = 32700; size < 32800; size++) {
        CU_ASSERT_FATAL(echoes_string(&raw, sequence++, text, size));
    }
    CU_ASSERT(echoes_string(&raw, sequence++, text, limit - around));
    struct echo echo = {.string = {text, limit - around + 1}};
    // The peer may be gone before all of it is written.
    (void)raw_send(&raw, sequence, echo_message(&echo));
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_LIMIT);

    free(text);
    raw_close(&raw);
    world_stop(&world);
}

static void test_server_takes_a_frame_of_16_mib(void)
{
    struct world world;
    struct raw raw;
    size_t size = (16u << 20) - 17;
    char *text = malloc(size);
    world_init(&world);
    CU_ASSERT_FATAL(text != NULL && world_start(&world) == 0 && world_connect(&world, &raw));
    memset(text, 'x', size);

    CU_ASSERT(echoes_string(&raw, 1, text, size));
    CU_ASSERT(world_echoes(&raw, 2));

    free(text);
    raw_close(&raw);
    world_stop(&world);
}

/* --- Frames that are not ---------------------------------------------------------------------- */

static const struct hostile {
    const char *what, *hex;
    bool proto; // Counted as a protocol error; else as the codec's.
} hostile[] = {
        {"a type nobody has", "01 05 00", true},
        {"type 2^31 + 5", "01 8580808008 00", true},
        {"type 2^63 - 1", "01 ffffffffffffffff7f 00", true},
        {"a varint of eleven bytes", "80808080808080808080 01", true},
        {"a varint of 65 bits", "ffffffffffffffffff02", true},
        {"sequence 2^63", "80808080808080808001 00 00", true},
        {"sequence 2^64 - 1", "ffffffffffffffffff01 00 00", true},
        {"a length one above the limit", "01 00 81808008", true},
        {"a length of 2^63 - 1", "01 00 ffffffffffffffff7f", true},
        {"a length of 2^64 - 1", "01 00 ffffffffffffffffff01", true},
        {"noise", "ffffffffffffffffffffffffffffffff", true},
        {"a body that ends too early", "01 00 05 94c3fba268", false},
        {"a body with a byte too many", "01 00 10 94c3fba26869cb3ff8000000000000 00", false},
        {"a byte that msgpack does not use", "01 00 01 c1", false},
        {"an array of 2^32 - 1", "01 00 05 ddffffffff", false},
        {"a map of 2^32 - 1", "01 00 05 dfffffffff", false},
        {"a string of 2^32 - 1", "01 00 08 94c3fbdbffffffff", false},
        {"a string for a bool", "01 00 0f 94a0fba26869cb3ff8000000000000", false},
        {"an empty body", "01 00 00", false},
};

static void test_server_closes_on_bad_bytes_and_serves_the_others(void)
{
    struct world world;
    struct raw bystander;
    uint64_t sequence = 1, proto = 0, codec = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &bystander));

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct raw raw;
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        CU_ASSERT_FATAL(world_echoes(&raw, 7)); // A good one first: it is the bad one that closes.
        CU_ASSERT(raw_write_hex(&raw, hostile[i].hex));
        if (raw_drain(&raw) == RAW_HANG) {
            printf("not closed: %s\n", hostile[i].what);
            CU_FAIL("a hostile frame did not close its connection");
        }
        raw_close(&raw);
        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == i + 1);
        proto += hostile[i].proto;
        codec += !hostile[i].proto;
        struct world_stats stats = world_stats(&world);
        if (stats.proto_errors != proto || stats.codec_errors != codec) {
            printf("%s: %llu proto, %llu codec\n", hostile[i].what,
                    (unsigned long long)stats.proto_errors, (unsigned long long)stats.codec_errors);
            CU_FAIL_FATAL("a hostile frame was not counted as what it is");
        }
        CU_ASSERT_FATAL(world_echoes(&bystander, sequence++));
        CU_ASSERT(world_stats(&world).buffer_bytes < 1024 * 1024);
        CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 1);
    }
    CU_ASSERT(world_logged(&world, "127.0.0.1:") > 0); // With the peer's address.

    raw_close(&bystander);
    world_stop(&world);
}

/* The claim of 16 MiB is legal, so the server waits; it must not believe it. */
static void test_server_allocates_nothing_by_claim(void)
{
    enum {
        COUNT = 100
    };
    struct world world;
    struct raw raw[COUNT];
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < COUNT; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raw[i]));
        CU_ASSERT(raw_write_hex(&raw[i], "01 00 80808008 94c3")); // 16 MiB are to follow.
    }
    WORLD_UNTIL(&world, world_stats(&world).recv_bytes == COUNT * 8);
    CU_ASSERT(world_stats(&world).buffer_bytes < COUNT * 8192);
    for (uint32_t i = 0; i < COUNT; i++) {
        raw_close(&raw[i]);
    }
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    WORLD_UNTIL(&world, world_stats(&world).buffer_bytes == 0);
    CU_ASSERT_EQUAL(world_stats(&world).proto_errors, COUNT); // They left inside a frame.

    world_stop(&world);
}

static void test_server_log_is_no_flood(void)
{
    enum {
        COUNT = 1000
    };
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    uint64_t start_ms = raw_now_ms();

    for (uint32_t i = 0; i < COUNT; i++) {
        struct raw raw;
        CU_ASSERT_FATAL(raw_open(&raw, world.address, 0, NULL) == 0);
        CU_ASSERT(raw_write_hex(&raw, "ffffffffffffffffffffffff"));
        CU_ASSERT(raw_drain(&raw) != RAW_HANG);
        raw_close(&raw);
    }
    WORLD_UNTIL(&world, world_stats(&world).proto_errors == COUNT);
    uint64_t seconds = (raw_now_ms() - start_ms) / 1000 + 2; // That it touched.
    world_stop(&world);                                      // Nobody logs any more.

    CU_ASSERT(world.log_count > 0);
    CU_ASSERT(world.log_count <= 2 * seconds); // One a second and shard.
}

/* --- Peers that leave ------------------------------------------------------------------------- */

static void answer_later(struct cmds_call *call)
{
    (void)world_send_item(call, 1, true); // Nobody may be there any more.
}

static int exec_later(struct cmds_call *call, const struct run *run)
{
    return cmds_call_after(call, (uint32_t)run->number, answer_later);
}

static void test_server_answers_after_a_half_close(void)
{
    struct world world;
    struct raw raw;
    bool seen[11] = {false};
    world_init(&world);
    world.exec = exec_later;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 10; i++) {
        struct run run = {.number = 10};
        struct echo echo = {.int64 = 1};
        CU_ASSERT(raw_send(&raw, i, i % 2 == 0 ? echo_message(&echo) : run_message(&run)));
    }
    raw_finish(&raw);
    for (uint64_t i = 1; i <= 10; i++) {
        struct raw_frame frame;
        CU_ASSERT_FATAL(raw_read(&raw, &frame) == RAW_FRAME);
        CU_ASSERT_FATAL(frame.sequence >= 1 && frame.sequence <= 10 && !seen[frame.sequence]);
        seen[frame.sequence] = true;
    }
    struct raw_frame none;
    CU_ASSERT_EQUAL(raw_read(&raw, &none), RAW_EOF);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_EOF);

    raw_close(&raw);
    world_stop(&world);
}

static void test_server_tells_why_a_connection_ended(void)
{
    struct world world;
    struct raw raw;
    uint32_t ended = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_FATAL(world_connect(&world, &raw));
    raw_close(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == ended + 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_EOF);
    ended++;
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == ended + 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_EOF);
    ended++;
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    CU_ASSERT(raw_write_hex(&raw, "01000f94c3"));
    raw_finish(&raw); // Inside a frame.
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == ended + 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_PROTO);
    raw_close(&raw);
    CU_ASSERT_EQUAL(atomic_load(&world.connected), atomic_load(&world.disconnected));

    world_stop(&world);
}

/* A peer that resets in the middle of everything, over and over, leaves nothing behind. */
static void test_server_survives_resets(void)
{
    struct world world;
    struct raw bystander;
    world_init(&world);
    world.exec = exec_later;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &bystander));

    for (uint32_t i = 0; i < 200; i++) {
        struct raw raw;
        struct run run = {.number = i % 5};
        CU_ASSERT_FATAL(raw_open(&raw, world.address, 0, NULL) == 0);
        if (i % 4 > 0) {
            CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
        }
        if (i % 4 > 1) {
            CU_ASSERT(raw_write_hex(&raw, "01000f94c3"));
        }
        if (i % 4 > 2) {
            char oob = 'x';
            (void)send(raw.fd, &oob, 1, MSG_OOB | MSG_NOSIGNAL);
        }
        raw_abort(&raw);
    }
    CU_ASSERT(world_echoes(&bystander, 1));
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 1);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == atomic_load(&world.connected) - 1);

    raw_close(&bystander);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"answers the documented bytes", test_server_answers_the_documented_bytes},
        {"reads frames cut anywhere", test_server_reads_frames_cut_anywhere},
        {"answers pings", test_server_answers_pings},
        {"bounds pongs that nobody reads", test_server_bounds_pongs_that_nobody_reads},
        {"bounds input that comes faster than it runs",
                test_server_bounds_input_that_comes_faster_than_it_runs},
        {"runs many frames of one write", test_server_runs_many_frames_of_one_write},
        {"sends a part before it runs the rest", test_server_sends_a_part_before_it_runs_the_rest},
        {"sends the first before it runs the others",
                test_server_sends_the_first_before_it_runs_the_others},
        {"echoes every size to the limit", test_server_echoes_every_size_to_the_limit},
        {"takes a frame of 16 MiB", test_server_takes_a_frame_of_16_mib},
        {"closes on bad bytes and serves the others",
                test_server_closes_on_bad_bytes_and_serves_the_others},
        {"allocates nothing by claim", test_server_allocates_nothing_by_claim},
        {"log is no flood", test_server_log_is_no_flood},
        {"answers after a half close", test_server_answers_after_a_half_close},
        {"tells why a connection ended", test_server_tells_why_a_connection_ended},
        {"survives resets", test_server_survives_resets},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("server", tests)
