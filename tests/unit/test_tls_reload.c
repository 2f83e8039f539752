/* SPDX-License-Identifier: MIT */
/*
 * Reloads while other threads begin sessions: none of those may fail, or see the half of a reload, and
 * files that are half-written change nothing. Thread sanitizer sees the rest.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_wire.h"

enum {
    RELOADS = 1000,
    THREADS = 3,
    ROUNDS_MAX = 20,
};

/* ---- Two sessions back to back, without an assertion: those are for the test's thread -------- */

static bool shake(struct tls_wire_end *client, struct tls_wire_end *server)
{
    bool is_client_done = false, is_server_done = false;
    if (!tls_wire_begin(client, "a.example")) {
        return false;
    }
    is_client_done = tls_wire_step(client);
    if (!tls_wire_begin(server, NULL)) {
        return false;
    }
    for (int i = 0; i < ROUNDS_MAX && !(is_client_done && is_server_done); i++) {
        is_server_done = is_server_done || tls_wire_step(server);
        is_client_done = is_client_done || tls_wire_step(client);
        if (client->error.code != 0 || server->error.code != 0) {
            return false;
        }
    }
    return is_client_done && is_server_done;
}

/* ---- Threads that do nothing else ------------------------------------------------------------ */

struct worker {
    pthread_t thread;
    struct cmds_tls *client, *server;
    atomic_bool *stops;
    unsigned done, failed;
    struct cmds_error error; // Of the first failure.
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct tls_wire *wires = malloc(2 * sizeof(*wires));
    while (wires != NULL && !atomic_load(worker->stops)) {
        wires[0].at = wires[0].size = wires[1].at = wires[1].size = 0;
        struct tls_wire_end client = {.tls = worker->client, .in = &wires[0], .out = &wires[1]};
        struct tls_wire_end server = {.tls = worker->server, .in = &wires[1], .out = &wires[0]};
        if (shake(&client, &server)) {
            worker->done++;
        } else if (worker->failed++ == 0) {
            worker->error = client.error.code != 0 ? client.error : server.error;
        }
        tls_wire_end(&client);
        tls_wire_end(&server);
    }
    free(wires);
    return NULL;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static char certificate_path[128], key_path[128], ca_path[128];

struct text {
    char data[16 * 1024];
    size_t size;
};

static struct text read_file(const char *name)
{
    struct text text;
    FILE *file = fopen(tls_file(name), "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    text.size = fread(text.data, 1, sizeof(text.data), file);
    fclose(file);
    return text;
}

/* In place, as one should not. */
static void write_file(const char *path, const struct text *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text->data, size), (ssize_t)size);
    close(fd);
}

/* The next descriptor that the process gets: as before, if all files were closed. */
static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    return fd;
}

/* ---- The test -------------------------------------------------------------------------------- */

struct pair_of_files {
    struct text certificate, key;
};

/* One change of certificate, as a careless program makes it. */
static void change(struct cmds_tls *server, const struct pair_of_files *next)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    write_file(certificate_path, &next->certificate, next->certificate.size / 2);
    CU_ASSERT_EQUAL(cmds_tls_reload(server, &error), CMDS_E_TLS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "half-written"));
    write_file(certificate_path, &next->certificate, next->certificate.size);
    CU_ASSERT_EQUAL(cmds_tls_reload(server, NULL), CMDS_E_TLS_CONFIG); // The key is the old one.
    write_file(key_path, &next->key, next->key.size);
    CU_ASSERT_EQUAL(cmds_tls_reload(server, NULL), 0);
}

static void reload_both(struct cmds_tls *client, struct cmds_tls *server)
{
    struct pair_of_files files[2] = {{read_file("server.pem"), read_file("server.key")},
            {read_file("ed25519.pem"), read_file("ed25519.key")}};
    struct text ca = read_file("ca.pem");
    for (int i = 0; i < RELOADS; i += 5) { // As many as are below.
        change(server, &files[(i + 1) % 2]);
        write_file(ca_path, &ca, ca.size / 3);
        CU_ASSERT_EQUAL(cmds_tls_reload(client, NULL), CMDS_E_TLS_CONFIG);
        write_file(ca_path, &ca, ca.size);
        CU_ASSERT_EQUAL(cmds_tls_reload(client, NULL), 0);
    }
}

static void test_reload_while_sessions_begin(void)
{
    static struct worker workers[THREADS];
    struct text text = read_file("server.pem");
    snprintf(certificate_path, sizeof(certificate_path), "%s", tls_file("live.pem"));
    snprintf(key_path, sizeof(key_path), "%s", tls_file("live.key"));
    snprintf(ca_path, sizeof(ca_path), "%s", tls_file("live_ca.pem"));
    write_file(certificate_path, &text, text.size);
    text = read_file("server.key");
    write_file(key_path, &text, text.size);
    text = read_file("ca.pem");
    write_file(ca_path, &text, text.size);
    struct cmds_tls_server_options server_options = CMDS_TLS_SERVER_OPTIONS_INIT;
    server_options.certificate_file = certificate_path;
    server_options.key_file = key_path;
    struct cmds_tls_client_options client_options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    client_options.ca_file = ca_path;
    struct cmds_tls *server = NULL, *client = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_server_new(&server, &server_options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_tls_client_new(&client, &client_options, NULL), 0);
    atomic_bool stops = false;
    int fd = next_fd();
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = client, .server = server, .stops = &stops};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }

    reload_both(client, server);

    atomic_store(&stops, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        CU_ASSERT(workers[i].done > 0);
        CU_ASSERT_EQUAL(workers[i].failed, 0);
        CU_ASSERT_STRING_EQUAL(workers[i].error.text, "");
    }
    CU_ASSERT_EQUAL(next_fd(), fd);
    cmds_tls_free(client);
    cmds_tls_free(server);
}

struct reloader {
    pthread_t thread;
    struct cmds_tls *tls;
    int code;
};

static void *reload_often(void *context)
{
    struct reloader *reloader = context;
    for (int i = 0; i < RELOADS / 20 && reloader->code == 0; i++) {
        reloader->code = cmds_tls_reload(reloader->tls, NULL);
    }
    return NULL;
}

static void test_reload_by_several_threads(void)
{
    struct reloader reloaders[THREADS];
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = tls_file("server.pem");
    options.key_file = tls_file("server.key");
    struct cmds_tls *tls = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_server_new(&tls, &options, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        reloaders[i] = (struct reloader){.tls = tls};
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&reloaders[i].thread, NULL, reload_often, &reloaders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(reloaders[i].thread, NULL);
        CU_ASSERT_EQUAL(reloaders[i].code, 0);
    }
    cmds_tls_free(tls);
}

static const CU_TestInfo test_tls_reload[] = {
        {"while sessions begin", test_reload_while_sessions_begin},
        {"by several threads", test_reload_by_several_threads},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_reload", test_tls_reload)
