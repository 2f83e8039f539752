/* SPDX-License-Identifier: MIT */
/*
 * A client that comes again: with its ticket it resumes, and knows whom it speaks to as before; where it
 * should not resume there is a whole handshake. Client and server are two processes: within one, wolfSSL
 * has a cache of sessions that both share, and whatever resumes by that proves nothing.
 */
#include "tls/resume.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_wire.h"
#include "tls/context.h"

enum {
    PATH_SIZE = 128,
    RELOADS_BYTE = 'r', // That a client sends: the server reads its files anew.
};

static struct tls_wire wires[2]; // Of one connection at a time, in each process.

/* ---- The server's process -------------------------------------------------------------------- */

struct server {
    pid_t pid;
    struct sockaddr_un address;
};

/* One connection: a byte comes, and whether it was resumed goes. Returns: the byte; -1. */
static int serve_one(struct cmds_tls *tls, int fd)
{
    wires[0].at = wires[0].size = wires[1].at = wires[1].size = 0;
    struct tls_wire_end end = {.tls = tls, .in = &wires[0], .out = &wires[1]};
    int byte = -1;
    if (tls_wire_shake(&end, NULL, fd)) {
        const struct cmds_tls_peer *peer = tls->security->peer(end.session);
        byte = tls_wire_receive(&end, fd);
        (void)tls_wire_send(&end, peer->resumed ? 'R' : 'F', fd);
    }
    tls_wire_end(&end);
    return byte;
}

static _Noreturn void serve(int listener, const struct cmds_tls_server_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_tls_server_new(&tls, options, &error) < 0) {
        fprintf(stderr, "server: %s\n", error.text);
        _exit(1);
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            _exit(1);
        }
        if (serve_one(tls, fd) == RELOADS_BYTE && cmds_tls_reload(tls, &error) < 0) {
            fprintf(stderr, "server: %s\n", error.text);
            _exit(1);
        }
        close(fd);
    }
}

static struct server server_start(const struct cmds_tls_server_options *options)
{
    static unsigned count;
    struct server server = {.address.sun_family = AF_UNIX};
    char name[32];
    snprintf(name, sizeof(name), "server%u", count++);
    const char *path = tls_file(name);
    CU_ASSERT_FATAL(strlen(path) < sizeof(server.address.sun_path));
    strcpy(server.address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(
            bind(listener, (struct sockaddr *)&server.address, sizeof(server.address)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 8), 0);
    server.pid = fork();
    CU_ASSERT_FATAL(server.pid >= 0);
    if (server.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // A test that fails half-way leaves nobody behind.
        serve(listener, options);
    }
    close(listener);
    return server;
}

static void server_stop(const struct server *server)
{
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
}

/* ---- The client's ---------------------------------------------------------------------------- */

enum outcome {
    FAILED,
    FULL,
    RESUMED
};

/* What both sides say of one connection; they must agree. */
static enum outcome come_with(
        struct cmds_tls *tls, const struct server *server, const char *host, char byte)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(
            connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)), 0);
    wires[0].at = wires[0].size = wires[1].at = wires[1].size = 0;
    struct tls_wire_end end = {
            .tls = tls, .in = &wires[0], .out = &wires[1], .address = "the same"};
    enum outcome outcome = FAILED;
    if (tls_wire_shake(&end, host, fd) && tls_wire_send(&end, byte, fd)) {
        const struct cmds_tls_peer *peer = tls->security->peer(end.session);
        int answer = tls_wire_receive(&end, fd); // And the ticket, in front of it.
        outcome = answer == 'R' ? RESUMED : answer == 'F' ? FULL : FAILED;
        CU_ASSERT_EQUAL(peer->resumed, outcome == RESUMED);
        CU_ASSERT_EQUAL(peer->version, 13);
        // As in the first: of the certificate that was checked then.
        if (cmdi_tls_of(tls)->verifies) {
            CU_ASSERT(peer->verified && peer->common_name[0] != '\0' && peer->dns_count > 0);
            CU_ASSERT(peer->fingerprint[0] != 0 || peer->fingerprint[1] != 0);
        }
    }
    tls_wire_end(&end);
    close(fd);
    return outcome;
}

static enum outcome come(struct cmds_tls *tls, const struct server *server, const char *host)
{
    return come_with(tls, server, host, 'x');
}

static const char *file_of(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s", tls_file(name));
    return path;
}

static char certificate_path[PATH_SIZE], key_path[PATH_SIZE], ca_path[PATH_SIZE];

static struct cmds_tls_server_options server_options(void)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = file_of(certificate_path, "server.pem");
    options.key_file = file_of(key_path, "server.key");
    return options;
}

static struct cmds_tls_client_options client_options(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = file_of(ca_path, "ca.pem");
    return options;
}

static struct cmds_tls *client_of(const struct cmds_tls_client_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_client_new(&tls, options, &error), 0);
    return tls;
}

/* As it is now, by another name: so that a test may change it. */
static void copy_file(const char *from, const char *to)
{
    char command[3 * PATH_SIZE], path[PATH_SIZE];
    snprintf(command, sizeof(command), "cp -p %s %s", file_of(path, from), tls_file(to));
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_resume_again_and_again(void)
{
    struct cmds_tls_server_options server_opts = server_options();
    struct cmds_tls_client_options client_opts = client_options();
    struct server server = server_start(&server_opts);
    struct cmds_tls *client = client_of(&client_opts);

    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);
    // Of another name: not with that one.
    CU_ASSERT_EQUAL(come(client, &server, "b.example"), FULL);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);

    cmds_tls_free(client);
    client = client_of(&client_opts); // It knows of no ticket.
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    cmds_tls_free(client);
    server_stop(&server);
}

static void test_resume_not_where_somebody_does_not_want_it(void)
{
    struct cmds_tls_server_options server_opts = server_options();
    struct cmds_tls_client_options client_opts = client_options();
    struct server server = server_start(&server_opts);
    client_opts.no_resumption = true;
    struct cmds_tls *client = client_of(&client_opts);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    cmds_tls_free(client);
    server_stop(&server);

    server_opts.ticket_lifetime_s = CMDS_NEVER;
    server = server_start(&server_opts);
    client_opts.no_resumption = false;
    client = client_of(&client_opts);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    cmds_tls_free(client);
    server_stop(&server);
}

static void test_resume_not_where_certificates_are_asked_for(void)
{
    char pem[PATH_SIZE], key[PATH_SIZE], ca[PATH_SIZE];
    struct cmds_tls_client_options client_opts = client_options();
    client_opts.certificate_file = file_of(pem, "client.pem");
    client_opts.key_file = file_of(key, "client.key");
    for (int clients = CMDS_TLS_CLIENTS_OPTIONAL; clients <= CMDS_TLS_CLIENTS_REQUIRED; clients++) {
        struct cmds_tls_server_options server_opts = server_options();
        server_opts.clients = (uint8_t)clients;
        server_opts.client_ca_file = file_of(ca, "ca.pem");
        struct server server = server_start(&server_opts);
        struct cmds_tls *client = client_of(&client_opts);
        CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
        CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
        cmds_tls_free(client);
        server_stop(&server);
    }
}

/* Gives the kept session of one key to another. */
static void move_session(struct cmds_tls *tls, const char *from, const char *to)
{
    struct cmdi_tls *mine = cmdi_tls_of(tls);
    struct cmdi_context *context = cmdi_tls_hold(mine);
    struct cmdi_resume_key key = {from, "the same", cmdi_context_policy(context)};
    WOLFSSL_SESSION *session = NULL;
    struct cmds_bytes leaf = {NULL, 0};
    CU_ASSERT_FATAL(cmdi_resume_take(mine->resume, &key, &session, &leaf));
    key.server_name = to;
    cmdi_resume_keep(mine->resume, &key, session, leaf);
    free((void *)(uintptr_t)leaf.data);
    cmdi_context_unref(context);
}

static void test_resume_not_with_the_ticket_of_another_name(void)
{
    char pem[PATH_SIZE], key[PATH_SIZE];
    struct cmds_tls_name name = {
            "b.example", file_of(pem, "server.pem"), file_of(key, "server.key")};
    struct cmds_tls_server_options server_opts = server_options();
    server_opts.names = &name;
    server_opts.name_count = 1;
    struct cmds_tls_client_options client_opts = client_options();
    struct server server = server_start(&server_opts);
    struct cmds_tls *client = client_of(&client_opts);

    // A client that knows no better: the server has one key for both, and does not open it.
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    move_session(client, "a.example", "b.example");
    CU_ASSERT_EQUAL(come(client, &server, "b.example"), FULL);
    CU_ASSERT_EQUAL(come(client, &server, "b.example"), RESUMED);
    cmds_tls_free(client);
    server_stop(&server);
}

static void test_resume_not_after_the_server_began_anew(void)
{
    struct cmds_tls_server_options server_opts = server_options();
    struct cmds_tls_client_options client_opts = client_options();
    struct server server = server_start(&server_opts);
    struct cmds_tls *client = client_of(&client_opts);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);
    server_stop(&server);
    server = server_start(&server_opts);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL); // Its keys are others.
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);
    cmds_tls_free(client);
    server_stop(&server);
}

static void test_resume_after_a_reload(void)
{
    char pem[PATH_SIZE], key[PATH_SIZE], ca[PATH_SIZE];
    struct cmds_tls_server_options server_opts = server_options();
    struct cmds_tls_client_options client_opts = client_options();
    copy_file("server.pem", "live.pem");
    copy_file("server.key", "live.key");
    copy_file("ca.pem", "live_ca.pem");
    server_opts.certificate_file = file_of(pem, "live.pem");
    server_opts.key_file = file_of(key, "live.key");
    client_opts.ca_file = file_of(ca, "live_ca.pem");
    struct server server = server_start(&server_opts);
    struct cmds_tls *client = client_of(&client_opts);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FULL);

    // A new certificate of the server changes nothing for those who come again.
    copy_file("ed25519.pem", "live.pem");
    copy_file("ed25519.key", "live.key");
    CU_ASSERT_EQUAL(come_with(client, &server, "a.example", RELOADS_BYTE), RESUMED);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);

    // The same CAs; then others, by which the server is not known any more.
    CU_ASSERT_EQUAL(cmds_tls_reload(client, NULL), 0);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), RESUMED);
    copy_file("ca_rsa.pem", "live_ca.pem");
    CU_ASSERT_EQUAL(cmds_tls_reload(client, NULL), 0);
    CU_ASSERT_EQUAL(come(client, &server, "a.example"), FAILED);
    cmds_tls_free(client);
    server_stop(&server);
}

static const CU_TestInfo test_tls_resume[] = {
        {"again and again", test_resume_again_and_again},
        {"not where somebody does not want it", test_resume_not_where_somebody_does_not_want_it},
        {"not where certificates are asked for", test_resume_not_where_certificates_are_asked_for},
        {"not with the ticket of another name", test_resume_not_with_the_ticket_of_another_name},
        {"not after the server began anew", test_resume_not_after_the_server_began_anew},
        {"after a reload", test_resume_after_a_reload},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_resume", test_tls_resume)
