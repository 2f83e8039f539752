/* SPDX-License-Identifier: MIT */
/*
 * Sockets. One could miss an option that the accepted ones are to inherit, and a live UNIX path could be
 * taken away from its owner or a stale one block the next start.
 */
#include "ring/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/clock.h"
#include "support/harness.h"

/* --- TCP -------------------------------------------------------------------------------------- */

static struct cmdi_address ipv4(uint16_t port)
{
    return (struct cmdi_address){
            .as.v4 = {.sin_family = AF_INET,
                    .sin_port = htons(port),
                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
            .size = sizeof(struct sockaddr_in),
    };
}

static int socket_number(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    CU_ASSERT_EQUAL(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* `idle_s` and `interval_s` of the probes; 0: there are none. */
static void expect_tcp_options(int fd, int idle_s, int interval_s)
{
    CU_ASSERT_NOT_EQUAL(socket_number(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    CU_ASSERT_EQUAL(socket_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0); // It cuts slow readers.
    CU_ASSERT_EQUAL(socket_number(fd, SOL_SOCKET, SO_KEEPALIVE) != 0, idle_s > 0);
    if (idle_s > 0) {
        CU_ASSERT_EQUAL(socket_number(fd, IPPROTO_TCP, TCP_KEEPIDLE), idle_s);
        CU_ASSERT_EQUAL(socket_number(fd, IPPROTO_TCP, TCP_KEEPINTVL), interval_s);
        CU_ASSERT_EQUAL(socket_number(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    }
}

/* Returns: the accepted end of a connection; *fd: the other one. */
static int connected(int *fd)
{
    struct cmdi_address address = ipv4(0);
    int listener = cmdi_socket_listen(&address, 1, false, 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(listener, &address), 0);
    *fd = cmdi_socket_open(&address, 0);
    CU_ASSERT_EQUAL_FATAL(connect(*fd, &address.as.any, address.size), 0);
    int accepted = cmdi_socket_accept_now(listener);
    CU_ASSERT_FATAL(accepted >= 0);
    cmdi_fd_close(listener);
    return accepted;
}

/* A FIN before it, and the peer would take it for an orderly end. */
static void test_socket_a_reset_is_no_fin(void)
{
    int fd = -1;
    int peer = connected(&fd);
    char text[8];
    CU_ASSERT_EQUAL(cmdi_socket_send_now(fd, "last", 4), 4);

    cmdi_socket_reset(fd);

    CU_ASSERT_EQUAL(recv(peer, text, sizeof(text), 0), 4);
    CU_ASSERT_EQUAL(recv(peer, text, sizeof(text), 0), -1);
    CU_ASSERT_EQUAL(errno, ECONNRESET);
    CU_ASSERT(recv(fd, text, sizeof(text), MSG_DONTWAIT) <= 0 && errno != EAGAIN);
    cmdi_fd_close(fd);
    cmdi_fd_close(peer);
}

/*
 * A socket that is bound to the port that it connects to, as the kernel may choose it, is its own
 * peer. A server must be able to bind the port right after it.
 */
static void test_socket_a_connection_to_itself_is_undone(void)
{
    struct cmdi_address self = ipv4(0);
    struct cmdi_address other = ipv4(0);
    int fd = cmdi_socket_open(&self, 0);
    CU_ASSERT_FATAL(fd >= 0 && bind(fd, &self.as.any, self.size) == 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(fd, &self), 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, &self.as.any, self.size), 0);

    CU_ASSERT_TRUE(cmdi_socket_undo_self(fd));
    cmdi_fd_close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // Without SO_REUSEADDR.
    CU_ASSERT_EQUAL(bind(fd, &self.as.any, self.size), 0);
    CU_ASSERT_EQUAL(listen(fd, 1), 0);

    int client = cmdi_socket_open(&self, 0);
    CU_ASSERT_EQUAL_FATAL(connect(client, &self.as.any, self.size), 0);
    CU_ASSERT_FALSE(cmdi_socket_undo_self(client));
    CU_ASSERT_EQUAL(cmdi_socket_peer(client, &other), 0); // It still has its peer.
    cmdi_fd_close(client);
    cmdi_fd_close(fd);
}

/* That of a client which ended in between is in TIME_WAIT for a minute, or even alive. */
static void test_socket_a_connection_to_itself_keeps_no_server_away(void)
{
    struct cmdi_address address = ipv4(0);
    int fd = cmdi_socket_open(&address, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, &address.as.any, address.size), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(fd, &address), 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, &address.as.any, address.size), 0);
    int listener = cmdi_socket_listen(&address, 1, false, 0);
    CU_ASSERT(listener >= 0);
    cmdi_fd_close(listener);
    cmdi_fd_close(fd);
    listener = cmdi_socket_listen(&address, 1, false, 0);
    CU_ASSERT(listener >= 0);
    cmdi_fd_close(listener);
}

static void test_socket_accepted_sockets_inherit_and_addresses_agree(void)
{
    struct cmdi_address any_port = ipv4(0);
    struct cmdi_address bound = {.size = 0};
    struct cmdi_address ours = {.size = 0};
    struct cmdi_address theirs = {.size = 0};
    int listener = cmdi_socket_listen(&any_port, 16, false, 120000);
    CU_ASSERT_FATAL(listener >= 0);
    CU_ASSERT_NOT_EQUAL(fcntl(listener, F_GETFD) & FD_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(listener, &bound), 0);
    CU_ASSERT_NOT_EQUAL(bound.as.v4.sin_port, 0);

    int client = cmdi_socket_open(&bound, 1000);
    CU_ASSERT_FATAL(client >= 0);
    CU_ASSERT_EQUAL_FATAL(connect(client, &bound.as.any, bound.size), 0);
    int server = accept(listener, NULL, NULL);
    CU_ASSERT_FATAL(server >= 0);

    CU_ASSERT_NOT_EQUAL(fcntl(client, F_GETFD) & FD_CLOEXEC, 0);
    CU_ASSERT_EQUAL(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
    expect_tcp_options(client, 1, 1); // The least there is.
    expect_tcp_options(server, 60, 20);
    CU_ASSERT_EQUAL(cmdi_socket_local(client, &ours), 0);
    CU_ASSERT_EQUAL(cmdi_socket_peer(server, &theirs), 0);
    CU_ASSERT_EQUAL(ours.size, theirs.size);
    CU_ASSERT_EQUAL(ours.as.v4.sin_port, theirs.as.v4.sin_port);
    CU_ASSERT_EQUAL(cmdi_socket_peer(client, &theirs), 0);
    CU_ASSERT_EQUAL(theirs.as.v4.sin_port, bound.as.v4.sin_port);
    cmdi_fd_close(server);
    cmdi_fd_close(client);
    cmdi_fd_close(listener);
}

static void test_socket_a_port_is_shared_only_when_all_ask_for_it(void)
{
    struct cmdi_address address = ipv4(0);
    int first = cmdi_socket_listen(&address, 16, true, 0);
    CU_ASSERT_FATAL(first >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_local(first, &address), 0);

    int second = cmdi_socket_listen(&address, 16, true, 0);
    CU_ASSERT(second >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 16, false, 0), -EADDRINUSE);

    cmdi_fd_close(first);
    cmdi_fd_close(second);
}

static void test_socket_the_unspecified_ipv6_address_takes_ipv4_too(void)
{
    struct cmdi_address any = {
            .as.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT},
            .size = sizeof(struct sockaddr_in6),
    };
    int listener = cmdi_socket_listen(&any, 16, false, 0);
    if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL) {
        printf("(no IPv6 here) ");
        return;
    }
    CU_ASSERT_FATAL(listener >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_local(listener, &any), 0);
    CU_ASSERT_EQUAL(any.size, sizeof(struct sockaddr_in6));
    struct cmdi_address v4 = ipv4(ntohs(any.as.v6.sin6_port));
    int client = cmdi_socket_open(&v4, 0);
    CU_ASSERT_EQUAL(connect(client, &v4.as.any, v4.size), 0);
    cmdi_fd_close(client);
    cmdi_fd_close(listener);
}

static void test_socket_addresses_are_untouched_on_failure(void)
{
    struct cmdi_address address = {.size = 99};
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);

    CU_ASSERT_EQUAL(cmdi_socket_local(fds[0], &address), -ENOTSOCK);
    CU_ASSERT_EQUAL(cmdi_socket_peer(fds[0], &address), -ENOTSOCK);
    CU_ASSERT_EQUAL(address.size, 99);
    address.as.any.sa_family = AF_UNSPEC;
    CU_ASSERT_EQUAL(cmdi_socket_open(&address, 0), -EAFNOSUPPORT);
    cmdi_fd_close(fds[0]);
    cmdi_fd_close(fds[1]);
}

static void test_socket_send_now_never_waits_and_never_signals(void)
{
    static const char bytes[65536];
    int fds[2];
    int64_t sent = 0;
    int64_t total = 0;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);

    while ((sent = cmdi_socket_send_now(fds[0], bytes, sizeof(bytes))) > 0) {
        total += sent;
    }
    CU_ASSERT_EQUAL(sent, -EAGAIN);
    CU_ASSERT(total > 0);
    cmdi_socket_shutdown(fds[1], SHUT_RDWR);
    cmdi_socket_shutdown(fds[1], SHUT_RDWR); // Twice is nothing.
    CU_ASSERT_EQUAL(cmdi_socket_send_now(fds[0], "x", 1), -EPIPE);
    cmdi_fd_close(fds[0]);
    cmdi_fd_close(fds[1]);
}

/* --- UNIX sockets ----------------------------------------------------------------------------- */

struct folder {
    char path[64], file[80];
};

static void folder_init(struct folder *folder)
{
    strcpy(folder->path, "/tmp/cmdstream-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder->path));
    (void)snprintf(folder->file, sizeof(folder->file), "%s/socket", folder->path);
}

static void folder_fini(const struct folder *folder)
{
    (void)unlink(folder->file);
    CU_ASSERT_EQUAL(rmdir(folder->path), 0);
}

/* `with_end`: as some callers do, the size counts the terminator. */
static struct cmdi_address local(const char *path, bool with_end)
{
    struct cmdi_address address = {.as.local.sun_family = AF_UNIX};
    strcpy(address.as.local.sun_path, path);
    address.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + with_end);
    return address;
}

static bool can_connect(const struct cmdi_address *address)
{
    int fd = cmdi_socket_open(address, 1000);
    CU_ASSERT_FATAL(fd >= 0);
    bool connected = connect(fd, &address->as.any, address->size) == 0;
    cmdi_fd_close(fd);
    return connected;
}

static void expect_stale_replaced(bool with_end)
{
    struct folder folder;
    folder_init(&folder);
    struct cmdi_address address = local(folder.file, with_end);
    int first = cmdi_socket_listen(&address, 16, false, 1000);
    CU_ASSERT_FATAL(first >= 0);
    CU_ASSERT_TRUE(can_connect(&address));

    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 16, false, 0), -EADDRINUSE); // Alive.
    CU_ASSERT_TRUE(can_connect(&address)); // And still its owner's.
    cmdi_fd_close(first);
    CU_ASSERT_FALSE(can_connect(&address));
    int second = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT(second >= 0);
    CU_ASSERT_TRUE(can_connect(&address));

    cmdi_fd_close(second);
    folder_fini(&folder);
}

static void test_socket_a_stale_unix_path_is_replaced_and_a_live_one_is_not(void)
{
    expect_stale_replaced(false);
    expect_stale_replaced(true);
}

static void test_socket_a_unix_path_whose_backlog_is_full_is_alive(void)
{
    struct folder folder;
    int clients[16];
    int count = 0;
    folder_init(&folder);
    struct cmdi_address address = local(folder.file, true);
    int listener = cmdi_socket_listen(&address, 0, false, 0);
    CU_ASSERT_FATAL(listener >= 0);
    for (bool full = false; !full && count < 16;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CU_ASSERT_FATAL(fd >= 0);
        full = connect(fd, &address.as.any, address.size) != 0;
        clients[count++] = fd;
    }

    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 16, false, 0), -EADDRINUSE);
    CU_ASSERT_EQUAL(access(folder.file, F_OK), 0);

    while (count > 0) {
        cmdi_fd_close(clients[--count]);
    }
    cmdi_fd_close(listener);
    folder_fini(&folder);
}

/*
 * What a ring does for a process that was killed: the listener is there for a while longer. Here a
 * child of it keeps it.
 */
static pid_t listens_and_leaves(const struct cmdi_address *address)
{
    int listening[2];
    char byte;
    CU_ASSERT_FATAL(pipe2(listening, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        int fd = cmdi_socket_listen(address, 64, false, 0);
        if (fd >= 0 && write(listening[1], "x", 1) == 1 && fork() == 0) {
            (void)usleep(50000);
        }
        _exit(0);
    }
    cmdi_fd_close(listening[1]);
    CU_ASSERT_EQUAL(read(listening[0], &byte, 1), 1);
    cmdi_fd_close(listening[0]);
    return pid;
}

/* `reaped`: else it is a zombie by then, which has ended as well. */
static void expect_waited_for(bool reaped)
{
    struct folder folder;
    folder_init(&folder);
    struct cmdi_address address = local(folder.file, true);
    pid_t pid = listens_and_leaves(&address);
    siginfo_t how;
    CU_ASSERT(waitid(P_PID, (id_t)pid, &how, WEXITED | (reaped ? 0 : WNOWAIT)) == 0);

    int fd = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT(fd >= 0);

    CU_ASSERT(reaped || waitpid(pid, NULL, 0) == pid);
    cmdi_fd_close(fd);
    folder_fini(&folder);
}

static void test_socket_a_unix_path_of_a_process_that_has_ended_is_waited_for(void)
{
    expect_waited_for(true);
    expect_waited_for(false);
}

static void test_socket_another_kind_of_file_is_never_removed(void)
{
    struct folder folder;
    folder_init(&folder);
    struct cmdi_address address = local(folder.file, true);
    int fd = open(folder.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    cmdi_fd_close(fd);

    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 16, false, 0), -EADDRINUSE);

    CU_ASSERT_EQUAL(access(folder.file, F_OK), 0);
    folder_fini(&folder);
}

static void test_socket_an_abstract_name_is_in_use_and_then_free(void)
{
    struct cmdi_address address = {.as.local.sun_family = AF_UNIX};
    int size = snprintf(address.as.local.sun_path + 1, sizeof(address.as.local.sun_path) - 1,
            "cmdstream-test-%d-%llx", (int)getpid(), (unsigned long long)cmdi_random());
    address.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    struct cmdi_address bound = {.size = 0};

    int first = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT_FATAL(first >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_local(first, &bound), 0);
    CU_ASSERT_EQUAL(bound.size, address.size);
    CU_ASSERT_EQUAL(memcmp(&bound.as, &address.as, address.size), 0);
    CU_ASSERT_TRUE(can_connect(&address));
    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 16, false, 0), -EADDRINUSE);
    cmdi_fd_close(first);
    int second = cmdi_socket_listen(&address, 16, false, 0);
    CU_ASSERT(second >= 0);
    cmdi_fd_close(second);
}

static CU_TestInfo test_socket[] = {
        {"a reset is no FIN", test_socket_a_reset_is_no_fin},
        {"a connection to itself is undone", test_socket_a_connection_to_itself_is_undone},
        {"a connection to itself keeps no server away",
                test_socket_a_connection_to_itself_keeps_no_server_away},
        {"accepted sockets inherit, and addresses agree",
                test_socket_accepted_sockets_inherit_and_addresses_agree},
        {"a port is shared only when all ask for it",
                test_socket_a_port_is_shared_only_when_all_ask_for_it},
        {"the unspecified IPv6 address takes IPv4 too",
                test_socket_the_unspecified_ipv6_address_takes_ipv4_too},
        {"addresses are untouched on failure", test_socket_addresses_are_untouched_on_failure},
        {"send now never waits and never signals",
                test_socket_send_now_never_waits_and_never_signals},
        {"a stale UNIX path is replaced and a live one is not",
                test_socket_a_stale_unix_path_is_replaced_and_a_live_one_is_not},
        {"a UNIX path whose backlog is full is alive",
                test_socket_a_unix_path_whose_backlog_is_full_is_alive},
        {"a UNIX path of a process that has ended is waited for",
                test_socket_a_unix_path_of_a_process_that_has_ended_is_waited_for},
        {"another kind of file is never removed",
                test_socket_another_kind_of_file_is_never_removed},
        {"an abstract name is in use and then free",
                test_socket_an_abstract_name_is_in_use_and_then_free},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("socket", test_socket)
