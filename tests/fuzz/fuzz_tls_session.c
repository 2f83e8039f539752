/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a peer of TLS sends, to a session of the library, in pieces. Whatever comes, the
 * session waits or fails with a sentence; it does not crash, does not read behind an end, and does not
 * go on for ever. No peer gets as far as DONE: it would have to answer what is new each time.
 *
 *     flags 1 | piece 1 | stream      bit 0: we are a server; bit 1: one that wants certificates
 */
#include <stdlib.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "conn/security.h"
#include "support/tls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

enum {
    KIND_COUNT = 4,
    STEPS_MAX = 10000,
};

/* What the session may have. */
struct stream {
    const uint8_t *data;
    size_t size, at;
    size_t came; // Of size: those behind it are still on their way.
};

static const uint8_t *stream_peek(void *context, size_t *size)
{
    struct stream *stream = context;
    *size = stream->came - stream->at;
    return *size > 0 ? stream->data + stream->at : NULL;
}

static void stream_take(void *context, size_t size)
{
    struct stream *stream = context;
    REQUIRE(size <= stream->came - stream->at)
    stream->at += size;
}

static int stream_put(void *context, const uint8_t *data, size_t size)
{
    (void)context;
    REQUIRE(data != NULL && size > 0)
    return 0;
}

static void stream_count(void *context, enum cmdi_security_event event)
{
    (void)context;
    (void)event;
}

static struct cmds_tls *tls_of(unsigned kind)
{
    static struct cmds_tls *all[KIND_COUNT];
    if (all[kind] != NULL) {
        return all[kind];
    }
    int code;
    if ((kind & 1) == 0) {
        struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
        options.ca_file = (kind & 2) == 0 ? tls_file("ca.pem") : NULL;
        options.unsafe_no_verification = (kind & 2) != 0;
        code = cmds_tls_client_new(&all[kind], &options, NULL);
    } else {
        struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
        options.certificate_file = tls_file("server.pem");
        options.key_file = tls_file("server.key");
        options.clients = (kind & 2) != 0 ? CMDS_TLS_CLIENTS_REQUIRED : CMDS_TLS_CLIENTS_NONE;
        options.client_ca_file = (kind & 2) != 0 ? tls_file("ca.pem") : NULL;
        code = cmds_tls_server_new(&all[kind], &options, NULL);
    }
    REQUIRE(code == 0)
    return all[kind];
}

/* Returns: the session goes on. */
static bool step(struct cmds_tls *tls, struct cmdi_session **session, struct stream *stream)
{
    static const struct cmdi_security_io io = {stream_peek, stream_take, stream_put, stream_count};
    static const struct cmdi_security_peer peer = {.host = "a.example", .address = "peer"};
    struct cmds_error error = CMDS_ERROR_INIT;
    enum cmdi_security_result result = CMDI_SECURITY_FAILED;
    if (*session != NULL || tls->security->begin(tls, &peer, &io, stream, stream->data + stream->at,
                                    stream->came - stream->at, session, &error) == 0) {
        result = tls->security->step(*session, &error);
    }
    REQUIRE(result != CMDI_SECURITY_DONE)
    REQUIRE((result == CMDI_SECURITY_FAILED) == (error.code < 0 && error.text[0] != '\0'))
    return result != CMDI_SECURITY_FAILED;
}

/* Certificates take several seconds, which are not the first input's. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)tls_file("ca.pem");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct cmds_tls *tls = tls_of(data[0] % KIND_COUNT);
    size_t piece = data[1] == 0 ? size : data[1];
    struct stream stream = {.data = data + 2, .size = size - 2};
    struct cmdi_session *session = NULL;
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        enum cmdi_security_weight weight = tls->security->weigh(
                tls, session, stream.data + stream.at, stream.came - stream.at);
        if (weight != CMDI_SECURITY_LACKS && !step(tls, &session, &stream)) {
            break;
        }
        if (stream.came == stream.size) {
            break;
        }
        stream.came += piece < stream.size - stream.came ? piece : stream.size - stream.came;
    }
    if (session != NULL) {
        tls->security->end(session);
    }
    return 0;
}
