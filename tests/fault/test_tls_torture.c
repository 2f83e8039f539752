/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of TLS fails once, ours and those of wolfSSL and libgcrypt: two sides that are made,
 * shake hands, carry bytes, take new files and part are played again and again in memory, each time
 * with another allocation that fails, alone or with all that come after it. Whatever fails has a
 * sentence; nothing is left behind; who gets through has been checked; who must not get through does
 * not, whatever fails; and when the shortage is over, it works.
 *
 * A wolfSSL in C alone allocates for every number: of a scene with many calls a part is taken, every
 * n-th, from an offset that CMDSTREAM_TORTURE_SEED sets (by default the time). CMDSTREAM_TORTURE_ALL
 * takes all; CMDSTREAM_TORTURE_SCENE and CMDSTREAM_TORTURE_AT take one scene, one call.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmdstream/tls.h>

#include "fault/torture.h"
#include "fault/torture_tls.h"
#include "support/harness.h"
#include "support/raw.h"
#include "support/tls_pair.h"

enum {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    PLAYS_MAX = 15, // Of a scene.
#else
    PLAYS_MAX = 200,
#endif
    PLAY_SECONDS_MAX = 60,
    ROOM = 256 * 1024, // Of what lies between the two: it does not grow while calls fail.
    DATA_SIZE = 40000, // Of three records.
};

/* What a play is about. */
struct scene {
    const char *name;
    const char *server;                    // Its certificate.
    const char *ca;                        // That a client believes.
    const char *client;                    // Its certificate; NULL: none.
    bool asks;                             // The server does, for one of `ca`.
    bool server_is_wrong, client_is_wrong; // The other side has to refuse it.
    bool resumes, reloads;
};

static const struct scene scenes[] = {
        {.name = "mutual", .server = "server", .ca = "ca", .client = "client", .asks = true},
        {.name = "resumed", .server = "server", .ca = "ca", .resumes = true},
        {.name = "new files",
                .server = "server",
                .ca = "ca",
                .client = "client",
                .asks = true,
                .reloads = true},
        {.name = "chains", .server = "chain_3", .ca = "ca", .client = "chain_2", .asks = true},
        {.name = "RSA", .server = "rsa_2048", .ca = "ca_rsa"},
        {.name = "Ed25519", .server = "ed25519", .ca = "ca"},
        {.name = "a server of another CA",
                .server = "other_ca",
                .ca = "ca",
                .server_is_wrong = true},
        {.name = "a server that is too old",
                .server = "expired",
                .ca = "ca",
                .server_is_wrong = true},
        {.name = "a server of a weak CA",
                .server = "chain_sha1",
                .ca = "ca",
                .server_is_wrong = true},
        {.name = "another server", .server = "ip", .ca = "ca", .server_is_wrong = true},
        {.name = "a client of another CA",
                .server = "server",
                .ca = "ca",
                .client = "other_ca",
                .asks = true,
                .client_is_wrong = true},
        {.name = "a client of a weak CA",
                .server = "server",
                .ca = "ca",
                .client = "chain_p224",
                .asks = true,
                .client_is_wrong = true},
        {.name = "a client without a certificate",
                .server = "server",
                .ca = "ca",
                .asks = true,
                .client_is_wrong = true},
};

#define NONE UINT64_MAX // No call has that number.

static struct play {
    const struct scene *scene;
    uint64_t at;
    bool onwards;
    const char *wrong; // NULL: all was as it should be.
} play;

static void is_wrong(const char *what)
{
    if (play.wrong == NULL) {
        play.wrong = what;
    }
}

/* ---- Two sides ------------------------------------------------------------------------------- */

static void check_code(int code, const struct cmds_error *error)
{
    if (code < 0 && (error->code != code || error->text[0] == '\0')) {
        is_wrong("a failure without a sentence");
    }
}

static struct cmds_tls *new_server(const struct scene *scene)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = tls_file_of(scene->server, ".pem");
    options.key_file = tls_file_of(scene->server, ".key");
    options.alpn = "cmdstream";
    if (scene->asks) {
        options.clients = CMDS_TLS_CLIENTS_REQUIRED;
        options.client_ca_file = tls_file_of(scene->ca, ".pem");
    }
    check_code(cmds_tls_server_new(&tls, &options, &error), &error);
    return tls;
}

static struct cmds_tls *new_client(const struct scene *scene)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = tls_file_of(scene->ca, ".pem");
    options.alpn = "cmdstream";
    if (scene->client != NULL) {
        options.certificate_file = tls_file_of(scene->client, ".pem");
        options.key_file = tls_file_of(scene->client, ".key");
    }
    check_code(cmds_tls_client_new(&tls, &options, &error), &error);
    return tls;
}

/* What only the test needs does not fail. */
static void give_room(struct tls_bytes *bytes)
{
    uint32_t armed = atomic_exchange(&torture.armed, 0);
    bytes->data = malloc(ROOM);
    bytes->room = bytes->data != NULL ? ROOM : 0;
    atomic_store(&torture.armed, armed);
}

static void check_peer(const struct cmds_tls_peer *peer, bool is_wanted, bool is_refused)
{
    static const uint8_t zeros[sizeof(peer->fingerprint)];
    if (peer == NULL) {
        return;
    }
    if (is_refused) {
        is_wrong("somebody wrong was accepted");
    } else if (is_wanted && (!peer->verified || peer->issuer[0] == '\0' ||
                                    memcmp(peer->fingerprint, zeros, sizeof(zeros)) == 0)) {
        is_wrong("somebody unknown was accepted");
    }
    if (strcmp(peer->alpn, "cmdstream") != 0) {
        is_wrong("another protocol");
    }
}

/* Returns: both have ended well. */
static bool shake(struct tls_pair *pair)
{
    const struct scene *scene = play.scene;
    if (!tls_pair_begin_client(pair) || tls_step(&pair->client) == CMDI_SECURITY_FAILED) {
        return false;
    }
    tls_move(&pair->client, &pair->server, SIZE_MAX);
    if (!tls_pair_begin_server(pair)) {
        return false;
    }
    bool is_done = tls_pair_shake(pair);
    check_peer(tls_peer(&pair->client), true, scene->server_is_wrong);
    check_peer(tls_peer(&pair->server), scene->asks, scene->client_is_wrong);
    return is_done;
}

/* Returns: it goes on. */
static bool carry(struct tls_end *from, struct tls_end *to)
{
    static uint8_t data[DATA_SIZE];
    size_t got = 0;
    for (size_t i = 0; i < DATA_SIZE; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    int code = tls_seal(from, data, DATA_SIZE);
    check_code(code, &from->error);
    if (code < 0) {
        return false;
    }
    tls_move(from, to, SIZE_MAX);
    for (;;) {
        enum cmdi_security_result result = tls_open(to);
        if (result == CMDI_SECURITY_FAILED) {
            return false;
        }
        if (result == CMDI_SECURITY_EMPTY || result == CMDI_SECURITY_CUT) {
            break;
        }
        if (got + to->got_size > DATA_SIZE || memcmp(data + got, to->got, to->got_size) != 0) {
            is_wrong("other bytes");
            return false;
        }
        got += to->got_size;
    }
    if (got != DATA_SIZE) {
        is_wrong("bytes that are lost");
    }
    return got == DATA_SIZE;
}

/* Returns: all went well. */
static bool connect_once(struct cmds_tls *client, struct cmds_tls *server, bool *is_resumed)
{
    static struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    give_room(&pair.client.in);
    give_room(&pair.client.out);
    give_room(&pair.server.in);
    give_room(&pair.server.out);
    bool is_done =
            shake(&pair) && carry(&pair.client, &pair.server) && carry(&pair.server, &pair.client);
    if (is_done) {
        *is_resumed = tls_peer(&pair.client)->resumed;
        client->security->notify(pair.client.session);
        tls_move(&pair.client, &pair.server, SIZE_MAX);
        is_done = tls_open(&pair.server) == CMDI_SECURITY_CLOSED;
    }
    tls_pair_fini(&pair);
    return is_done;
}

static void reload(struct cmds_tls *tls)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    check_code(cmds_tls_reload(tls, &error), &error);
}

static void serve(struct cmds_tls *client, struct cmds_tls *server)
{
    const struct scene *scene = play.scene;
    bool is_right = !scene->server_is_wrong && !scene->client_is_wrong, is_resumed = false;
    bool is_done = connect_once(client, server, &is_resumed);
    if (scene->reloads) {
        reload(server);
        reload(client);
    }
    if (scene->reloads || scene->resumes) {
        is_done = connect_once(client, server, &is_resumed) && is_done;
    }
    if (atomic_load(&torture.failed) > 0) {
        torture_disarm();
        is_done = connect_once(client, server, &is_resumed); // The shortage is over.
    } else if (is_resumed != scene->resumes) {
        is_wrong("not resumed, or resumed");
    }
    if (is_done != is_right) {
        is_wrong(is_right ? "nothing works" : "somebody wrong was accepted");
    }
}

/* A thread has memory of its own in those libraries, which goes with it. */
static void *play_on_thread(void *unused)
{
    (void)unused;
    torture_arm(play.at, play.onwards);
    struct cmds_tls *server = new_server(play.scene);
    struct cmds_tls *client = server != NULL ? new_client(play.scene) : NULL;
    if (client != NULL) {
        serve(client, server);
    } else if (atomic_load(&torture.failed) == 0) {
        is_wrong("no TLS at all");
    }
    torture_disarm();
    cmds_tls_free(client);
    cmds_tls_free(server);
    return NULL;
}

/*
 * wolfSSL 5.5 loses the key share of a server for which it cannot make a key: one block, once.
 *
 * Returns: calls that were counted.
 */
static uint64_t play_once(const struct scene *scene, uint64_t at, bool onwards)
{
    pthread_t thread;
    int64_t blocks = torture_own_blocks(), theirs = atomic_load(&torture.others);
    play = (struct play){.scene = scene, .at = at, .onwards = onwards};
    (void)alarm(PLAY_SECONDS_MAX);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, play_on_thread, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_join(thread, NULL), 0);
    theirs = atomic_load(&torture.others) - theirs;
    int64_t ours = torture_own_blocks() - blocks;
    bool is_first = at == NONE; // What is made once for a process stays.
    bool is_clean = ours == 0 && (theirs == 0 || (theirs == 1 && atomic_load(&torture.failed) > 0));
    if (play.wrong != NULL || (!is_clean && !is_first)) {
        const char *first = atomic_load(&torture.first);
        printf("\n    %s, call %llu%s (%s): %s, %lld of our blocks left behind, %lld of others",
                scene->name, (unsigned long long)at, onwards ? " and all after" : "",
                first != NULL ? first : "none", play.wrong != NULL ? play.wrong : "right",
                (long long)ours, (long long)theirs);
        CU_FAIL("see the line above");
    }
    return atomic_load(&torture.calls);
}

static void play_scene(const struct scene *scene, bool onwards, uint64_t *played, uint64_t *all)
{
    const char *only = getenv("CMDSTREAM_TORTURE_AT"), *seed = getenv("CMDSTREAM_TORTURE_SEED");
    uint64_t number = seed != NULL ? strtoull(seed, NULL, 10) : raw_now_ms();
    (void)play_once(scene, NONE, false);
    uint64_t calls = play_once(scene, NONE - 1, false);
    uint64_t step = getenv("CMDSTREAM_TORTURE_ALL") != NULL ? 1 : calls / PLAYS_MAX + 1;
    CU_ASSERT(calls > 0);
    *all += calls;
    if (only != NULL) {
        (void)play_once(scene, strtoull(only, NULL, 10), onwards);
        return;
    }
    for (uint64_t at = 1 + number % step; at <= calls; at += step, (*played)++) {
        (void)play_once(scene, at, onwards);
    }
}

static void play_all(bool onwards)
{
    const char *only = getenv("CMDSTREAM_TORTURE_SCENE");
    uint64_t played = 0, all = 0;
    (void)tls_file("ca.pem");
    torture_take_allocators();
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        if (only == NULL || strcmp(only, scenes[i].name) == 0) {
            play_scene(&scenes[i], onwards, &played, &all);
        }
    }
    printf("%s%llu of %llu calls ... ", played < all ? "***** a part: " : "",
            (unsigned long long)played, (unsigned long long)all);
}

static void test_one_allocation_fails(void)
{
    play_all(false);
}

static void test_allocations_fail_from_one_on(void)
{
    play_all(true);
}

CU_TestInfo test_tls_torture[] = {
        {"one allocation fails", test_one_allocation_fails},
        {"allocations fail from one on", test_allocations_fail_from_one_on},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_torture", test_tls_torture)
