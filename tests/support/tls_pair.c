/* SPDX-License-Identifier: MIT */
#include "support/tls_pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    PATH_SIZE = 128,
    PATH_COUNT = 8,
    ROUNDS_MAX = 100,
};

/* ---- Certificates ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/cmdstream-certs-XXXXXX";

static void remove_folder(void)
{
    char command[PATH_SIZE];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
}

static void make_folder(void)
{
    char command[1024];
    if (mkdtemp(folder) == NULL) {
        cmdi_test_skip("no folder for certificates in /tmp");
    }
    atexit(remove_folder);
    snprintf(command, sizeof(command), "%s %s", MAKE_CERTS, folder);
    if (system(command) != 0) {
        cmdi_test_skip("scripts/make-certs.sh failed: is openssl installed?");
    }
}

const char *tls_file_of(const char *name, const char *suffix)
{
    static char paths[PATH_COUNT][PATH_SIZE];
    static unsigned next;
    static bool is_made;
    if (!is_made) {
        is_made = true;
        make_folder();
    }
    char *path = paths[next++ % PATH_COUNT];
    snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, suffix);
    return path;
}

const char *tls_file(const char *name)
{
    return tls_file_of(name, "");
}

/* ---- What a connection is to a session ------------------------------------------------------- */

static void bytes_add(struct tls_bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size);
        bytes->data = realloc(bytes->data, bytes->room);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bytes->data);
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static const uint8_t *end_peek(void *context, size_t *size)
{
    struct tls_end *end = context;
    size_t left = end->in.size - end->in.at;
    *size = end->piece_max > 0 && end->piece_max < left ? end->piece_max : left;
    return left > 0 ? end->in.data + end->in.at : NULL;
}

static void end_take(void *context, size_t size)
{
    struct tls_end *end = context;
    CU_ASSERT_FATAL(size <= end->in.size - end->in.at);
    end->in.at += size;
}

static int end_put(void *context, const uint8_t *data, size_t size)
{
    struct tls_end *end = context;
    if (end->lacks_memory) {
        return -ENOMEM;
    }
    bytes_add(&end->out, data, size);
    return 0;
}

static void end_count(void *context, enum cmdi_security_event event)
{
    struct tls_end *end = context;
    switch (event) {
    case CMDI_SECURITY_ALERT_IN:
        end->alerts_in++;
        break;
    case CMDI_SECURITY_ALERT_OUT:
        end->alerts_out++;
        break;
    case CMDI_SECURITY_GLITCH:
        end->glitches++;
        break;
    }
}

static const struct cmdi_security_io end_io = {
        .peek = end_peek, .take = end_take, .put = end_put, .count = end_count};

/* ---- One end --------------------------------------------------------------------------------- */

size_t tls_move(struct tls_end *from, struct tls_end *to, size_t size_max)
{
    size_t left = from->out.size - from->out.at;
    size_t size = left < size_max ? left : size_max;
    if (size > 0) {
        bytes_add(&to->in, from->out.data + from->out.at, size);
        from->out.at += size;
    }
    return size;
}

void tls_feed(struct tls_end *end, const void *data, size_t size)
{
    bytes_add(&end->in, data, size);
}

enum cmdi_security_weight tls_weigh(const struct tls_end *end)
{
    return end->tls->security->weigh(
            end->tls, end->session, end->in.data + end->in.at, end->in.size - end->in.at);
}

static void forget_error(struct tls_end *end)
{
    end->error = (struct cmds_error)CMDS_ERROR_INIT;
}

/* A failure, and nothing else, has a sentence. */
static enum cmdi_security_result checked(
        const struct tls_end *end, enum cmdi_security_result result)
{
    bool has_failed = result == CMDI_SECURITY_FAILED;
    CU_ASSERT_EQUAL(end->error.code < 0, has_failed);
    CU_ASSERT_EQUAL(end->error.text[0] != '\0', has_failed);
    return result;
}

enum cmdi_security_result tls_step(struct tls_end *end)
{
    forget_error(end);
    return checked(end, end->tls->security->step(end->session, &end->error));
}

enum cmdi_security_result tls_open(struct tls_end *end)
{
    forget_error(end);
    end->got_size = 0;
    enum cmdi_security_result result = end->tls->security->open(
            end->session, end->got, sizeof(end->got), &end->got_size, &end->error);
    CU_ASSERT_EQUAL(end->got_size > 0, result == CMDI_SECURITY_DATA);
    return checked(end, result);
}

int tls_seal(struct tls_end *end, const void *data, size_t size)
{
    forget_error(end);
    return end->tls->security->seal(end->session, data, size, &end->error);
}

const struct cmds_tls_peer *tls_peer(const struct tls_end *end)
{
    return end->tls->security->peer(end->session);
}

/* ---- Both kinds of TLS ----------------------------------------------------------------------- */

static struct cmds_tls *made(struct cmds_tls *tls, const struct cmds_error *error)
{
    if (tls == NULL) {
        fprintf(stderr, "%s\n", error->text);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    return tls;
}

struct cmds_tls *tls_new_server(const char *name, const char *client_ca)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = tls_file_of(name, ".pem");
    options.key_file = tls_file_of(name, ".key");
    if (client_ca != NULL) {
        options.clients = CMDS_TLS_CLIENTS_REQUIRED;
        options.client_ca_file = tls_file_of(client_ca, ".pem");
    }
    (void)cmds_tls_server_new(&tls, &options, &error);
    return made(tls, &error);
}

struct cmds_tls *tls_new_client(const char *ca, const char *name)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = tls_file_of(ca, ".pem");
    if (name != NULL) {
        options.certificate_file = tls_file_of(name, ".pem");
        options.key_file = tls_file_of(name, ".key");
    }
    (void)cmds_tls_client_new(&tls, &options, &error);
    return made(tls, &error);
}

/* ---- Two ------------------------------------------------------------------------------------- */

void tls_pair_init(struct tls_pair *pair, struct cmds_tls *client, struct cmds_tls *server)
{
    *pair = (struct tls_pair){.client.tls = client, .server.tls = server, .host = "a.example"};
}

static void end_fini(struct tls_end *end)
{
    if (end->session != NULL) {
        end->tls->security->end(end->session);
    }
    free(end->in.data);
    free(end->out.data);
}

void tls_pair_fini(struct tls_pair *pair)
{
    end_fini(&pair->client);
    end_fini(&pair->server);
}

void tls_pair_free(struct tls_pair *pair)
{
    tls_pair_fini(pair);
    cmds_tls_free(pair->client.tls);
    cmds_tls_free(pair->server.tls);
}

static bool end_begin(struct tls_end *end, const char *host, const char *address)
{
    struct cmdi_security_peer peer = {.host = host, .address = address};
    forget_error(end);
    int code = end->tls->security->begin(end->tls, &peer, &end_io, end, end->in.data + end->in.at,
            end->in.size - end->in.at, &end->session, &end->error);
    CU_ASSERT_EQUAL(code == 0, end->session != NULL);
    CU_ASSERT_EQUAL(end->error.code, code);
    return code == 0;
}

bool tls_pair_begin_client(struct tls_pair *pair)
{
    if (!end_begin(&pair->client, pair->host, "server.address:1")) {
        return false;
    }
    if (pair->client_begun != NULL) {
        pair->client_begun(pair->client.session);
    }
    return true;
}

bool tls_pair_begin_server(struct tls_pair *pair)
{
    if (!end_begin(&pair->server, NULL, "client.address:2")) {
        return false;
    }
    if (pair->server_begun != NULL) {
        pair->server_begun(pair->server.session);
    }
    return true;
}

bool tls_pair_shake(struct tls_pair *pair)
{
    enum cmdi_security_result client = CMDI_SECURITY_EMPTY, server = CMDI_SECURITY_EMPTY;
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        bool client_goes_on = client != CMDI_SECURITY_DONE && client != CMDI_SECURITY_FAILED;
        bool server_goes_on = server != CMDI_SECURITY_DONE && server != CMDI_SECURITY_FAILED;
        if (!client_goes_on && !server_goes_on) {
            break;
        }
        if (client_goes_on) {
            client = tls_step(&pair->client);
        }
        tls_move(&pair->client, &pair->server, SIZE_MAX);
        if (server_goes_on) {
            server = tls_step(&pair->server);
        }
        tls_move(&pair->server, &pair->client, SIZE_MAX);
    }
    return client == CMDI_SECURITY_DONE && server == CMDI_SECURITY_DONE;
}

bool tls_pair_connect(struct tls_pair *pair)
{
    if (!tls_pair_begin_client(pair)) {
        return false;
    }
    enum cmdi_security_result result = tls_step(&pair->client);
    CU_ASSERT_EQUAL_FATAL(result, CMDI_SECURITY_EMPTY);
    tls_move(&pair->client, &pair->server, SIZE_MAX);
    return tls_pair_begin_server(pair) && tls_pair_shake(pair);
}
