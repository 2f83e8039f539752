/* SPDX-License-Identifier: MIT */
/*
 * The system calls. A socket could miss an option that the accepted ones are to inherit, a live
 * UNIX path could be taken away from its owner or a stale one block the next start, a futex could
 * sleep through its wake, and a quota could be looked for in the wrong place.
 */
#include "ring/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

/* --- Clock, random numbers, futex ------------------------------------------------------------- */

static void test_sys_clock_and_preemptions_never_go_back(void)
{
    uint64_t time = cmdi_now_ns();
    uint64_t preemptions = cmdi_preemptions();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = cmdi_now_ns();
        CU_ASSERT_FATAL(now >= time);
        time = now;
    }
    CU_ASSERT(cmdi_preemptions() >= preemptions);
}

static void *random_thread(void *context)
{
    uint64_t *values = context;
    for (int i = 0; i < 500; i++) {
        values[i] = cmdi_random();
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static void test_sys_random_repeats_neither_in_a_thread_nor_between_two(void)
{
    uint64_t values[1500];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&threads[i], NULL, random_thread, values + 500 * i), 0);
    }
    (void)random_thread(values + 1000);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_join(threads[i], NULL), 0);
    }
    qsort(values, 1500, sizeof(values[0]), compare);
    uint64_t all_ones = UINT64_MAX;
    uint64_t all_zeros = UINT64_MAX;
    for (int i = 0; i < 1500; i++) {
        CU_ASSERT_FATAL(i == 0 || values[i] != values[i - 1]);
        all_ones &= values[i];
        all_zeros &= ~values[i];
    }
    CU_ASSERT_EQUAL(all_ones, 0); // Each bit takes both values.
    CU_ASSERT_EQUAL(all_zeros, 0);
}

struct meeting {
    _Atomic uint32_t there, go;
};

static void *meeting_thread(void *context)
{
    struct meeting *meeting = context;
    atomic_store(&meeting->there, 1);
    cmdi_futex_wake(&meeting->there, 1);
    while (atomic_load(&meeting->go) == 0) {
        cmdi_futex_wait(&meeting->go, 0, UINT64_MAX);
    }
    return NULL;
}

static void test_sys_futex_wakes_who_waits(void)
{
    for (int i = 0; i < 200; i++) {
        struct meeting meeting = {0, 0};
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, meeting_thread, &meeting), 0);
        while (atomic_load(&meeting.there) == 0) {
            cmdi_futex_wait(&meeting.there, 0, UINT64_MAX);
        }
        atomic_store(&meeting.go, 1);
        cmdi_futex_wake(&meeting.go, 1);
        CU_ASSERT_EQUAL(pthread_join(thread, NULL),
                0); // A lost wake hangs here, and the alarm names the test.
    }
}

static void test_sys_futex_does_not_sleep_when_the_word_has_changed_or_time_is_up(void)
{
    _Atomic uint32_t word = 5;

    cmdi_futex_wait(&word, 4, UINT64_MAX);
    cmdi_futex_wait(&word, 5, 0);
    struct rusage usage;
    CU_ASSERT_EQUAL(getrusage(RUSAGE_THREAD, &usage), 0);
    long sleeps = usage.ru_nvcsw;
    uint64_t before = cmdi_now_ns();
    while (cmdi_now_ns() < before + 2000000) {
        cmdi_futex_wait(&word, 5, 1000000);
    }
    CU_ASSERT_EQUAL(getrusage(RUSAGE_THREAD, &usage), 0);
    CU_ASSERT(usage.ru_nvcsw > sleeps); // But it does sleep while it is to.
    CU_ASSERT_EQUAL(atomic_load(&word), 5);
}

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

/*
 * A socket that is bound to the port that it connects to, as the kernel may choose it, is its own
 * peer. A server must be able to bind the port right after it.
 */
static void test_sys_a_connection_to_itself_is_undone(void)
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

static void test_sys_accepted_sockets_inherit_and_addresses_agree(void)
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

static void test_sys_a_port_is_shared_only_when_all_ask_for_it(void)
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

static void test_sys_the_unspecified_ipv6_address_takes_ipv4_too(void)
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

static void test_sys_addresses_are_untouched_on_failure(void)
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

static void test_sys_send_now_never_waits_and_never_signals(void)
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

static void test_sys_a_stale_unix_path_is_replaced_and_a_live_one_is_not(void)
{
    expect_stale_replaced(false);
    expect_stale_replaced(true);
}

static void test_sys_a_unix_path_whose_backlog_is_full_is_alive(void)
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

static void test_sys_another_kind_of_file_is_never_removed(void)
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

static void test_sys_an_abstract_name_is_in_use_and_then_free(void)
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

/* --- CPUs ------------------------------------------------------------------------------------- */

static void test_sys_pinning_leaves_one_cpu(void)
{
    static uint16_t before[65536];
    static cpu_set_t saved;
    uint16_t now[2] = {0, 0};
    uint32_t count = cmdi_cpus_allowed(before, 65536);
    CU_ASSERT_FATAL(count >= 1);
    CU_ASSERT_EQUAL(cmdi_cpus_allowed(before, 0), 0);
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof(saved), &saved), 0);
    CU_ASSERT_EQUAL(count, (uint32_t)CPU_COUNT(&saved));

    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT(i == 0 || before[i] > before[i - 1]);
        CU_ASSERT_EQUAL(cmdi_cpu_pin(before[i]), 0);
        CU_ASSERT_EQUAL(cmdi_cpus_allowed(now, 2), 1);
        CU_ASSERT_EQUAL(now[0], before[i]);
        CU_ASSERT_EQUAL(sched_getcpu(), before[i]);
    }
    CU_ASSERT_EQUAL(cmdi_cpu_pin(UINT16_MAX), -EINVAL);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(saved), &saved), 0);
}

/* --- Quota: against a /proc of our own making, in a mount namespace --------------------------- */

struct quota_case {
    const char *cgroup, *mountinfo; // Of /proc/self; %s in the second is the folder with `files`.
    const char *files[3][2];        // Path and content.
    uint32_t percent;
};

#define V2_MOUNT(root)              "30 23 0:27 " root " %s rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT(root, controllers) "31 30 0:30 " root " %s rw - cgroup cgroup rw," controllers "\n"

static const struct quota_case quota_cases[] = {
        {"0::/a/b\n", V2_MOUNT("/"), {{"a/b/cpu.max", "150000 100000\n"}}, 150},
        {"0::/a/b\n", V2_MOUNT("/"), {{"a/b/cpu.max", "max 100000\n"}}, 0},
        {"0::/a/b\n", V2_MOUNT("/"),
                {{"a/b/cpu.max", "max 100000\n"}, {"a/cpu.max", "50000 100000\n"}}, 50},
        {"0::/a/b\n", V2_MOUNT("/"),
                {{"a/b/cpu.max", "200000 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 200},
        {"0::/\n", V2_MOUNT("/"), {{"cpu.max", "250000 1000000\n"}}, 25},
        {"0::/\n", V2_MOUNT("/"), {{"nothing", ""}}, 0},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "1 1000000\n"}}, 1}, // Never rounded to no quota.
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "100001 100000\n"}}, 101},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "garbage\n"}}, 0},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "100000 0\n"}}, 0},
        {"5:memory:/m\n3:cpu,cpuacct:/docker/x\n0::/\n", V1_MOUNT("/", "cpu,cpuacct"),
                {{"docker/x/cpu.cfs_quota_us", "50000\n"},
                        {"docker/x/cpu.cfs_period_us", "100000\n"}},
                50},
        {"3:cpu,cpuacct:/docker/x\n", V1_MOUNT("/docker/x", "cpuacct,cpu"), // Mounted from there.
                {{"cpu.cfs_quota_us", "400000\n"}, {"cpu.cfs_period_us", "100000\n"}}, 400},
        {"3:cpu:/docker/x/y\n",
                "22 1 0:21 / /proc rw - proc proc rw\n" V1_MOUNT("/docker/x", "cpu"),
                {{"y/cpu.cfs_quota_us", "70000\n"}, {"y/cpu.cfs_period_us", "100000\n"}}, 70},
        {"4:xcpu:/a\n", V1_MOUNT("/", "cpu"),
                {{"a/cpu.cfs_quota_us", "70000\n"}, {"a/cpu.cfs_period_us", "100000\n"}}, 0},
        {"3:cpu:/a\n0::/\n", V1_MOUNT("/", "cpu"),
                {{"a/cpu.cfs_quota_us", "-1\n"}, {"a/cpu.cfs_period_us", "100000\n"}}, 0},
        {"4:cpuset:/a\n2:cpuacct:/a\n", V1_MOUNT("/", "cpuset"),
                {{"a/cpu.cfs_quota_us", "100000\n"}}, 0},
        {"", V2_MOUNT("/"), {{"cpu.max", "100000 100000\n"}}, 0},
        {"0::/a\n", "22 1 0:21 / /proc rw - proc proc rw\n", {{"a/cpu.max", "100000 100000\n"}}, 0},
};
enum {
    QUOTA_CASES = sizeof(quota_cases) / sizeof(quota_cases[0]),
    QUOTA_FAILED = 1000000
};

/* A file, and the folders on its way. */
static bool write_file(const char *folder, const char *name, const char *content)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    return file != NULL && fputs(content, file) >= 0 && fclose(file) == 0;
}

static uint32_t quota_of(const struct quota_case *quota)
{
    static const char groups[] = "/proc/groups"; // Everything lies in the tmpfs that hides /proc.
    char mountinfo[256];
    (void)umount(groups);
    (void)mkdir(groups, 0700);
    bool made = mount("none", groups, "tmpfs", 0, NULL) == 0;
    for (int i = 0; i < 3 && quota->files[i][0] != NULL; i++) {
        made = made && write_file(groups, quota->files[i][0], quota->files[i][1]);
    }
    const char *at = strstr(quota->mountinfo, "%s");
    int before = at != NULL ? (int)(at - quota->mountinfo) : (int)strlen(quota->mountinfo);
    (void)snprintf(mountinfo, sizeof(mountinfo), "%.*s%s%s", before, quota->mountinfo,
            at != NULL ? groups : "", at != NULL ? at + 2 : "");
    made = made && write_file("/proc/self", "cgroup", quota->cgroup) &&
           write_file("/proc/self", "mountinfo", mountinfo);
    return made ? cmdi_cpu_quota_percent() : QUOTA_FAILED;
}

/* In a child: never returns. Nothing if namespaces are refused. */
static _Noreturn void quota_child(int out)
{
    bool apart = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!apart || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", "/proc", "tmpfs", 0, NULL) != 0) {
        _exit(0);
    }
    for (int i = 0; i < QUOTA_CASES; i++) {
        uint32_t percent = quota_of(&quota_cases[i]);
        if (write(out, &percent, sizeof(percent)) != (ssize_t)sizeof(percent)) {
            _exit(1);
        }
    }
    _exit(0);
}

static void test_sys_quota_is_the_least_of_the_cgroup_and_its_parents(void)
{
    uint32_t found[QUOTA_CASES] = {0};
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        quota_child(fds[1]);
    }
    cmdi_fd_close(fds[1]);
    size_t size = 0;
    for (ssize_t got; (got = read(fds[0], (char *)found + size, sizeof(found) - size)) > 0;) {
        size += (size_t)got;
    }
    cmdi_fd_close(fds[0]);
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    if (size == 0) {
        printf("(no mount namespaces here) ");
        return;
    }
    CU_ASSERT_EQUAL(size, sizeof(found));
    for (int i = 0; i < QUOTA_CASES; i++) {
        if (found[i] != quota_cases[i].percent) {
            printf("\n    case %d: %u instead of %u ", i, found[i], quota_cases[i].percent);
        }
        CU_ASSERT_EQUAL(found[i], quota_cases[i].percent);
    }
}

static CU_TestInfo tests[] = {
        {"clock and preemptions never go back", test_sys_clock_and_preemptions_never_go_back},
        {"random repeats neither in a thread nor between two",
                test_sys_random_repeats_neither_in_a_thread_nor_between_two},
        {"futex wakes who waits", test_sys_futex_wakes_who_waits},
        {"futex does not sleep when the word has changed or time is up",
                test_sys_futex_does_not_sleep_when_the_word_has_changed_or_time_is_up},
        {"a connection to itself is undone", test_sys_a_connection_to_itself_is_undone},
        {"accepted sockets inherit, and addresses agree",
                test_sys_accepted_sockets_inherit_and_addresses_agree},
        {"a port is shared only when all ask for it",
                test_sys_a_port_is_shared_only_when_all_ask_for_it},
        {"the unspecified IPv6 address takes IPv4 too",
                test_sys_the_unspecified_ipv6_address_takes_ipv4_too},
        {"addresses are untouched on failure", test_sys_addresses_are_untouched_on_failure},
        {"send now never waits and never signals", test_sys_send_now_never_waits_and_never_signals},
        {"a stale UNIX path is replaced and a live one is not",
                test_sys_a_stale_unix_path_is_replaced_and_a_live_one_is_not},
        {"a UNIX path whose backlog is full is alive",
                test_sys_a_unix_path_whose_backlog_is_full_is_alive},
        {"another kind of file is never removed", test_sys_another_kind_of_file_is_never_removed},
        {"an abstract name is in use and then free",
                test_sys_an_abstract_name_is_in_use_and_then_free},
        {"pinning leaves one CPU", test_sys_pinning_leaves_one_cpu},
        {"quota is the least of the cgroup and its parents",
                test_sys_quota_is_the_least_of_the_cgroup_and_its_parents},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sys", tests)
