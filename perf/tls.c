/* SPDX-License-Identifier: MIT */
/*
 * What TLS costs without a network: two sessions back to back in memory, through the table that a
 * connection uses (src/conn/security.h). CPU time of the one thread. Prints one JSON object:
 *
 *   records      us per command: FRAME bytes there and back, two seals and two opens, by how many
 *                frames share a record
 *   handshakes   us of the server, us of the client, by certificate; mutual; resumed
 *   memory       bytes of malloc of an idle session, server and client
 *
 * Each figure is the median of ROUNDS. perf/tls builds it with one wolfSSL after the other, and prints
 * tables. Usage: tls CERTIFICATES [--quick], a folder of scripts/make-certs.sh.
 */
#include <cmdstream/tls.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conn/security.h"

enum {
    FRAME = 528, // About the mean of what perf/compare sends; 31 of them fill a record.
    ROUNDS = 7,
    ROUND_NS = 100000000,
    ROUND_QUICK_NS = 10000000,
    PIPE_SIZE = 65536,
    STEPS_MAX = 20,
    IDLE_COUNT = 64,
    PATH_SIZE = 256,
};

static const char *folder;
static int64_t round_ns = ROUND_NS;

static _Noreturn void fail(const char *what, const struct cmds_error *error)
{
    fprintf(stderr, "tls: %s: %s\n", what, error != NULL ? error->text : "");
    exit(1);
}

/* --- Two ends --------------------------------------------------------------------------------- */

struct end {
    const struct cmds_tls *tls;
    struct cmdi_session *session;
    struct end *peer;
    struct cmds_error error;
    uint8_t in[PIPE_SIZE]; // What has come for it. Taken from `at` on.
    size_t at, size;
    int64_t ns, bytes; // Of CPU, of malloc, that its own functions took.
    bool is_done;
};
struct pair {
    struct end client, server;
};

static const uint8_t *end_peek(void *context, size_t *size)
{
    struct end *end = context;
    *size = end->size - end->at;
    return *size > 0 ? end->in + end->at : NULL;
}

static void end_take(void *context, size_t size)
{
    struct end *end = context;
    end->at += size;
    if (end->at == end->size) {
        end->at = 0;
        end->size = 0;
    }
}

static int end_put(void *context, const uint8_t *data, size_t size)
{
    struct end *peer = ((struct end *)context)->peer;
    if (peer->size + size > PIPE_SIZE) {
        fail("more at a time than there is room for", NULL);
    }
    memcpy(peer->in + peer->size, data, size);
    peer->size += size;
    return 0;
}

static void end_count(void *context, enum cmdi_security_event event)
{
    (void)context;
    (void)event;
}

static const struct cmdi_security_io io = {end_peek, end_take, end_put, end_count};

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What malloc has handed out: small pieces, and those of mmap. */
static int64_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

static void end_step(struct end *end, bool weighs_memory)
{
    static const struct cmdi_security_peer to = {.host = "a.example", .address = "a.example:1"};
    static const struct cmdi_security_peer from = {.address = "client:2"};
    int64_t bytes = weighs_memory ? allocated() : 0;
    int64_t start = cpu_ns();
    int code = 0;
    if (end->session == NULL) {
        code = end->tls->security->begin((struct cmds_tls *)end->tls,
                end->tls->is_server ? &from : &to, &io, end, end->in + end->at, end->size - end->at,
                &end->session, &end->error);
    }
    enum cmdi_security_result result =
            code < 0 ? CMDI_SECURITY_FAILED : end->tls->security->step(end->session, &end->error);
    end->ns += cpu_ns() - start;
    end->bytes += weighs_memory ? allocated() - bytes : 0;
    end->is_done = result == CMDI_SECURITY_DONE;
    if (result == CMDI_SECURITY_FAILED) {
        fail("a handshake", &end->error);
    }
}

/* Opens all that has come. Returns: how many bytes these were. */
static size_t end_open(struct end *end)
{
    static uint8_t out[CMDI_SECURITY_RECORD_MAX];
    size_t size = 0, sum = 0;
    for (;;) {
        switch (end->tls->security->open(end->session, out, sizeof(out), &size, &end->error)) {
        case CMDI_SECURITY_DATA:
            sum += size;
            break;
        case CMDI_SECURITY_FAILED:
            fail("a record", &end->error);
        default:
            return sum;
        }
    }
}

static void end_seal(struct end *end, const uint8_t *data, size_t size)
{
    if (end->tls->security->seal(end->session, data, size, &end->error) < 0) {
        fail("a record", &end->error);
    }
}

/* A whole handshake, and the ticket behind it. */
static void pair_connect(
        struct pair *pair, struct cmds_tls *client, struct cmds_tls *server, bool weighs_memory)
{
    pair->client =
            (struct end){.tls = client, .peer = &pair->server, .error = CMDS_ERROR_INIT, .size = 0};
    pair->server =
            (struct end){.tls = server, .peer = &pair->client, .error = CMDS_ERROR_INIT, .size = 0};
    for (int i = 0; !pair->client.is_done || !pair->server.is_done; i++) {
        struct end *end = i % 2 == 0 ? &pair->client : &pair->server;
        if (i == STEPS_MAX) {
            fail("a handshake does not end", NULL);
        }
        if (!end->is_done) {
            end_step(end, weighs_memory);
        }
    }
    int64_t bytes = weighs_memory ? allocated() : 0;
    (void)end_open(&pair->client);
    pair->client.bytes += weighs_memory ? allocated() - bytes : 0;
}

static void pair_end(struct pair *pair)
{
    struct end *const ends[] = {&pair->client, &pair->server};
    for (int i = 0; i < 2; i++) {
        int64_t start = cpu_ns();
        ends[i]->tls->security->end(ends[i]->session);
        ends[i]->ns += cpu_ns() - start;
        ends[i]->session = NULL;
    }
}

/* --- Options ---------------------------------------------------------------------------------- */

struct kind {
    const char *name, *certificate, *ca; // Of the server; files of `folder`, without ".pem".
    bool mutual, resumes;
    const char *ciphers;
};

static const char *file_of(const char *name, const char *suffix)
{
    static char paths[8][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, suffix);
    return path;
}

static void make_contexts(
        const struct kind *kind, struct cmds_tls **client, struct cmds_tls **server)
{
    struct cmds_tls_server_options server_options = CMDS_TLS_SERVER_OPTIONS_INIT;
    server_options.certificate_file = file_of(kind->certificate, ".pem");
    server_options.key_file = file_of(kind->certificate, ".key");
    struct cmds_tls_client_options client_options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    client_options.ca_file = file_of(kind->ca, ".pem");
    client_options.ciphers = kind->ciphers;
    client_options.no_resumption = !kind->resumes;
    if (kind->mutual) {
        server_options.clients = CMDS_TLS_CLIENTS_REQUIRED;
        server_options.client_ca_file = file_of("ca", ".pem");
        client_options.certificate_file = file_of("client", ".pem");
        client_options.key_file = file_of("client", ".key");
    }
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_tls_server_new(server, &server_options, &error) < 0 ||
            cmds_tls_client_new(client, &client_options, &error) < 0) {
        fail(kind->name, &error);
    }
}

/* --- Figures ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double figures[ROUNDS])
{
    qsort(figures, ROUNDS, sizeof(figures[0]), compare);
    return figures[ROUNDS / 2];
}

static double record_us(struct pair *pair, size_t frames)
{
    static uint8_t data[CMDI_SECURITY_RECORD_MAX];
    size_t size = FRAME * frames;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 31);
    }
    double figures[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cpu_ns(), now = start;
        uint64_t commands = 0;
        while (now - start < round_ns) {
            for (int i = 0; i < 16; i++) {
                end_seal(&pair->client, data, size);
                size_t there = end_open(&pair->server);
                end_seal(&pair->server, data, size);
                if (there != size || end_open(&pair->client) != size) {
                    fail("bytes that were sent and did not come", NULL);
                }
                commands += frames;
            }
            now = cpu_ns();
        }
        figures[round] = (double)(now - start) / 1000 / (double)commands;
    }
    return median(figures);
}

static void print_records(void)
{
    static const struct kind kinds[] = {
            {"AES-128-GCM", "server", "ca", .ciphers = "TLS_AES_128_GCM_SHA256"},
            {"AES-256-GCM", "server", "ca", .ciphers = "TLS_AES_256_GCM_SHA384"},
            {"ChaCha20-Poly1305", "server", "ca", .ciphers = "TLS_CHACHA20_POLY1305_SHA256"},
    };
    static const size_t frames[] = {1, 4, 8, CMDI_SECURITY_RECORD_MAX / FRAME};
    static struct pair pair;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct cmds_tls *client, *server;
        make_contexts(&kinds[i], &client, &server);
        pair_connect(&pair, client, server, false);
        if (strcmp(client->security->peer(pair.client.session)->cipher, kinds[i].ciphers) != 0) {
            fail("another cipher than was asked for", NULL);
        }
        printf("%s\n    {\"name\": \"%s\"", i == 0 ? "" : ",", kinds[i].name);
        for (size_t j = 0; j < sizeof(frames) / sizeof(frames[0]); j++) {
            printf(", \"%zu\": %.3f", frames[j], record_us(&pair, frames[j]));
        }
        printf("}");
        pair_end(&pair);
        cmds_tls_free(client);
        cmds_tls_free(server);
    }
}

static const struct kind handshakes[] = {
        {"P-256", "server", "ca", .mutual = false},
        {"P-256, mutual", "server", "ca", .mutual = true},
        {"P-256, resumed", "server", "ca", .resumes = true},
        {"RSA-2048", "rsa_2048", "ca_rsa", .mutual = false},
        {"Ed25519", "ed25519", "ca", .mutual = false},
};

/* Returns: false: they were of another kind: nobody resumed. */
static bool handshake_us(const struct kind *kind, double *server, double *client)
{
    static struct pair pair;
    struct cmds_tls *client_tls, *server_tls;
    make_contexts(kind, &client_tls, &server_tls);
    double server_us[ROUNDS], client_us[ROUNDS];
    pair_connect(&pair, client_tls, server_tls, false); // The first; the next one takes its ticket.
    pair_end(&pair);
    bool right = true;
    for (int round = 0; right && round < ROUNDS; round++) {
        int64_t server_ns = 0, client_ns = 0, count = 0;
        while (right && server_ns + client_ns < round_ns) {
            pair_connect(&pair, client_tls, server_tls, false);
            right = client_tls->security->peer(pair.client.session)->resumed == kind->resumes;
            pair_end(&pair);
            server_ns += pair.server.ns;
            client_ns += pair.client.ns;
            count++;
        }
        server_us[round] = (double)server_ns / 1000 / (double)count;
        client_us[round] = (double)client_ns / 1000 / (double)count;
    }
    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
    if (right) {
        *server = median(server_us);
        *client = median(client_us);
    }
    return right;
}

static void print_handshakes(void)
{
    for (size_t i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++) {
        double server = 0, client = 0;
        printf("%s\n    {\"name\": \"%s\"", i == 0 ? "" : ",", handshakes[i].name);
        if (handshake_us(&handshakes[i], &server, &client)) {
            printf(", \"server_us\": %.1f, \"client_us\": %.1f", server, client);
        }
        printf("}");
    }
}

static void print_memory(void)
{
    static struct pair pairs[IDLE_COUNT];
    for (size_t i = 0; i < 2; i++) {
        struct cmds_tls *client, *server;
        make_contexts(&handshakes[i], &client, &server);
        pair_connect(&pairs[0], client, server, false); // What the first makes for all.
        pair_end(&pairs[0]);
        int64_t server_bytes = 0, client_bytes = 0;
        for (int j = 0; j < IDLE_COUNT; j++) {
            pair_connect(&pairs[j], client, server, true);
            server_bytes += pairs[j].server.bytes;
            client_bytes += pairs[j].client.bytes;
        }
        printf("%s\n    {\"name\": \"%s\", \"server\": %lld, \"client\": %lld}", i == 0 ? "" : ",",
                handshakes[i].name, (long long)(server_bytes / IDLE_COUNT),
                (long long)(client_bytes / IDLE_COUNT));
        for (int j = 0; j < IDLE_COUNT; j++) {
            pair_end(&pairs[j]);
        }
        cmds_tls_free(client);
        cmds_tls_free(server);
    }
}

int main(int argc, char **argv)
{
    bool is_quick = argc == 3 && strcmp(argv[2], "--quick") == 0;
    if (argc < 2 || argc > 3 || argv[1][0] == '-' || (argc == 3 && !is_quick)) {
        fprintf(stderr, "usage: tls CERTIFICATES [--quick]\n");
        return 2;
    }
    folder = argv[1];
    round_ns = is_quick ? ROUND_QUICK_NS : ROUND_NS;
    printf("{\"library\": \"%s\",\n \"records\": [", cmds_tls_library());
    print_records();
    printf("],\n \"handshakes\": [");
    print_handshakes();
    printf("],\n \"memory\": [");
    print_memory();
    printf("]}\n");
    return ferror(stdout) != 0 || fclose(stdout) != 0;
}
