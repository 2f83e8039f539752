/* SPDX-License-Identifier: MIT */
/*
 * The plain system calls: clock, random numbers, futex, sockets, CPUs. No state but the generator
 * of each thread, so everything here is for any thread.
 *
 * Connections stay blocking: operations of the ring wait inside the kernel, where a non-blocking
 * socket would give -EAGAIN, and the one call made past the ring says MSG_DONTWAIT itself. An accept
 * waits also for a listening socket that does not block, and past the ring there is no such flag.
 */
#include "ring/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmdstream/base.h>

enum {
    SYS_CPUS_MAX = 65536, // What a uint16_t can name; more than any kernel is built for.
    SYS_CPU_WORDS = SYS_CPUS_MAX / (8 * sizeof(unsigned long)),
    SYS_KEEPALIVE_PROBES = 3,
    SYS_KEEPALIVE_S_MAX = 32767, // The kernel takes no more.
    SYS_TCP_INFO_ACKED = 15,     // tcpi_bytes_acked, as 64-bit words; libc's struct ends before it.
};
/* cpu_set_t ends at 1024 CPUs; the system calls take a mask of any size. */
struct sys_cpu_mask {
    unsigned long words[SYS_CPU_WORDS];
};
#define SYS_WORD_BITS (8 * sizeof(unsigned long))

/* --- Clock, random numbers, futex ------------------------------------------------------------- */

uint64_t cmdi_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(
            CLOCK_MONOTONIC, &now); // Cannot fail: the clock exists and the pointer is good.
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t cmdi_random(void)
{
    static _Thread_local uint64_t state;
    if (state == 0 && getrandom(&state, sizeof(state), GRND_NONBLOCK) != (ssize_t)sizeof(state)) {
        /*
         * So early after boot that the kernel has no entropy. Time and the thread's own address
         * must do.
         */
        state = cmdi_now_ns() ^ (uint64_t)(uintptr_t)&state << 16;
    }
    state += 0x9e3779b97f4a7c15u; // splitmix64.
    uint64_t value = state;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

void cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ns / 1000000000u),
            .tv_nsec = (long)(timeout_ns % 1000000000u),
    };
    /*
     * Every way to return is one that the caller expects: woken, changed, timed out, interrupted.
     */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
            timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void cmdi_futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void cmdi_sleep_ms(uint32_t ms)
{
    const struct timespec time = {
            .tv_sec = (time_t)(ms / 1000),
            .tv_nsec = (long)(ms % 1000) * 1000000,
    };
    (void)nanosleep(&time, NULL); // A signal ends it early: the callers look again.
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static int socket_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static bool address_is_tcp(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET || address->as.any.sa_family == AF_INET6;
}

/*
 * Half of the time in silence, then three probes in the rest of it. Neither is less than a second.
 */
static int socket_keep_alive(int fd, uint32_t keepalive_ms)
{
    int idle_s = keepalive_ms / 2000 < SYS_KEEPALIVE_S_MAX ? (int)(keepalive_ms / 2000)
                                                           : SYS_KEEPALIVE_S_MAX;
    int interval_s = idle_s / SYS_KEEPALIVE_PROBES;
    int error = socket_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (error < 0 || keepalive_ms == CMDS_NEVER) {
        return error;
    }
    error = socket_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s > 0 ? idle_s : 1);
    if (error == 0) {
        error = socket_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s > 0 ? interval_s : 1);
    }
    return error < 0 ? error : socket_flag(fd, IPPROTO_TCP, TCP_KEEPCNT, SYS_KEEPALIVE_PROBES);
}

int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms)
{
    int fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int error = 0;
    if (address_is_tcp(address)) {
        error = socket_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (error == 0 && keepalive_ms > 0) {
            error = socket_keep_alive(fd, keepalive_ms);
        }
    }
    if (error < 0) {
        cmdi_fd_close(fd);
        return error;
    }
    return fd;
}

/* What only a listener needs. */
static int socket_prepare(int fd, const struct cmdi_address *address, bool reuse_port)
{
    if (!address_is_tcp(address)) {
        return 0;
    }
    int error = socket_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && reuse_port) {
        error = socket_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (error == 0 && address->as.any.sa_family == AF_INET6 &&
            IN6_IS_ADDR_UNSPECIFIED(&address->as.v6.sin6_addr)) {
        error = socket_flag(
                fd, IPPROTO_IPV6, IPV6_V6ONLY, 0); // [::] is any address, also an IPv4 one.
    }
    return error;
}

/*
 * A socket's path that nobody listens on any more: its process ended without removing it. Never
 * another kind of file.
 */
static bool local_path_is_stale(const struct cmdi_address *address)
{
    struct stat status;
    if (lstat(address->as.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, &address->as.any, address->size) != 0 && errno == ECONNREFUSED;
    cmdi_fd_close(fd);
    return refused;
}

/* The path with its terminator, which an address of full length lacks. */
static struct cmdi_address local_terminated(const struct cmdi_address *address)
{
    struct cmdi_address copy = *address;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    if (copy.size > offset && copy.size < sizeof(copy.as.local)) {
        copy.as.local.sun_path[copy.size - offset] = '\0';
    }
    return copy;
}

/*
 * Two processes that replace the same stale path in the same instant can remove each other's: a
 * lock file would prevent it and would itself be left behind, so the last one wins.
 */
static int socket_bind(int fd, const struct cmdi_address *address)
{
    if (bind(fd, &address->as.any, address->size) == 0) {
        return 0;
    }
    int error = -errno;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    if (error != -EADDRINUSE || address->as.any.sa_family != AF_UNIX || address->size <= offset ||
            address->as.local.sun_path[0] == '\0' ||
            address->size - offset > sizeof(address->as.local.sun_path)) {
        return error;
    }
    struct cmdi_address path = local_terminated(address);
    if (path.as.local.sun_path[sizeof(path.as.local.sun_path) - 1] != '\0' ||
            !local_path_is_stale(&path)) {
        return error;
    }
    if (unlink(path.as.local.sun_path) != 0 && errno != ENOENT) {
        return -errno;
    }
    return bind(fd, &address->as.any, address->size) == 0 ? 0 : -errno;
}

int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms)
{
    int fd = cmdi_socket_open(address, keepalive_ms);
    if (fd < 0) {
        return fd;
    }
    int error = socket_prepare(fd, address, reuse_port);
    if (error == 0) {
        error = socket_bind(fd, address);
    }
    if (error == 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || listen(fd, backlog) != 0)) {
        error = -errno;
    }
    if (error < 0) {
        cmdi_fd_close(fd);
        return error;
    }
    return fd;
}

int cmdi_socket_accept_now(int fd)
{
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    return accepted < 0 ? -errno : accepted;
}

int cmdi_watch_init(struct cmdi_watch *watch)
{
    watch->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = watch->stop_fd};
    if (watch->poll_fd < 0 || watch->stop_fd < 0 ||
            epoll_ctl(watch->poll_fd, EPOLL_CTL_ADD, watch->stop_fd, &event) != 0) {
        int error = -errno;
        cmdi_watch_fini(watch);
        return error;
    }
    return 0;
}

void cmdi_watch_fini(struct cmdi_watch *watch)
{
    cmdi_fd_close(watch->poll_fd);
    cmdi_fd_close(watch->stop_fd);
    *watch = (struct cmdi_watch){.poll_fd = -1, .stop_fd = -1};
}

int cmdi_watch_add(struct cmdi_watch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
    return epoll_ctl(watch->poll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ? -errno : 0;
}

bool cmdi_watch_wait(struct cmdi_watch *watch)
{
    struct epoll_event events[16];
    int count = -1;
    do { // It has no other end than these.
        count = epoll_wait(watch->poll_fd, events, 16, -1);
    } while (count <= 0);
    bool stopped = false;
    for (int i = 0; i < count; i++) {
        stopped = stopped || events[i].data.fd == watch->stop_fd;
    }
    return !stopped;
}

void cmdi_watch_stop(struct cmdi_watch *watch)
{
    uint64_t one = 1;
    ssize_t written = write(watch->stop_fd, &one, sizeof(one));
    (void)written; // Into a counter that is 0.
}

/* Returns: the address has a path, and there is a file. */
static bool local_status(const struct cmdi_address *address, struct stat *status)
{
    struct cmdi_address path = local_terminated(address);
    const char *text = path.as.local.sun_path;
    return address->as.any.sa_family == AF_UNIX && text[0] != '\0' &&
           address->size <= sizeof(path.as.local) &&
           text[sizeof(path.as.local.sun_path) - 1] == '\0' && lstat(text, status) == 0;
}

void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    struct stat status;
    *file = (struct cmdi_socket_file){0};
    if (local_status(address, &status)) {
        *file = (struct cmdi_socket_file){status.st_dev, status.st_ino};
    }
}

void cmdi_socket_file_remove(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    struct stat status;
    bool noted = file->device != 0 || file->inode != 0;
    if (noted && local_status(address, &status) && status.st_dev == file->device &&
            status.st_ino == file->inode) {
        struct cmdi_address path = local_terminated(address);
        (void)unlink(path.as.local.sun_path); // Gone already: just as well.
    }
    *file = (struct cmdi_socket_file){0};
}

int cmdi_socket_local(int fd, struct cmdi_address *address)
{
    struct cmdi_address found = {.size = sizeof(found.as)};
    if (getsockname(fd, &found.as.any, &found.size) != 0) {
        return -errno;
    }
    *address = found;
    return 0;
}

int cmdi_socket_peer(int fd, struct cmdi_address *address)
{
    struct cmdi_address found = {.size = sizeof(found.as)};
    if (getpeername(fd, &found.as.any, &found.size) != 0) {
        return -errno;
    }
    *address = found;
    return 0;
}

void cmdi_socket_shutdown(int fd, int how)
{
    (void)shutdown(fd, how); // ENOTCONN: the peer was faster, and that is what was wanted.
}

int64_t cmdi_socket_send_now(int fd, const void *data, size_t size)
{
    ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

int cmdi_write_now(int fd, const void *data, size_t size)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (poll(&room, 1, 0) < 1) {
        return -EAGAIN;
    }
    if ((room.revents & POLLOUT) == 0 || (room.revents & POLLERR) != 0) {
        return -EPIPE; // A write would be a SIGPIPE.
    }
    return write(fd, data, size) < 0 ? -errno : 0;
}

bool cmdi_socket_is_local(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

size_t cmdi_socket_unread(int fd)
{
    int size = 0;
    return ioctl(fd, FIONREAD, &size) == 0 && size > 0 ? (size_t)size : 0;
}

int cmdi_socket_peek(int fd)
{
    unsigned char byte = 0;
    ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 1 ? byte : size == 0 ? -ENODATA : -errno;
}

int64_t cmdi_socket_acked(int fd, size_t *waiting)
{
    uint64_t info[SYS_TCP_INFO_ACKED + 1] = {0};
    socklen_t size = sizeof(info);
    int queued = 0;
    *waiting = ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (size_t)queued : 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) != 0 || size < sizeof(info)) {
        return -ENOTSUP;
    }
    return (int64_t)info[SYS_TCP_INFO_ACKED];
}

bool cmdi_socket_undo_self(int fd)
{
    struct cmdi_address ours = {.size = 0};
    struct cmdi_address theirs = {.size = 0};
    if (cmdi_socket_local(fd, &ours) < 0 || !address_is_tcp(&ours) ||
            cmdi_socket_peer(fd, &theirs) < 0 || ours.size != theirs.size ||
            memcmp(&ours.as, &theirs.as, ours.size) != 0) {
        return false;
    }
    /* A close would leave the port in TIME_WAIT, where no server could bind it; this does not. */
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &none, sizeof(none));
    return true;
}

void cmdi_fd_expect(int fd, uint32_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0) {
        return;
    }
    rlim_t last = limit.rlim_cur - 1 < count ? limit.rlim_cur - 1 : count;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)(last < INT32_MAX ? last : INT32_MAX));
    if (high >= 0) {
        cmdi_fd_close(high); // The table stays as large as it has become.
    }
}

void cmdi_fd_close(int fd)
{
    (void)close(fd); // Whatever it says, the number is free; a second try could hit another file.
}

/* --- CPUs ------------------------------------------------------------------------------------- */

uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max)
{
    struct sys_cpu_mask mask = {0};
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)(void *)&mask) != 0) {
        return 0;
    }
    for (uint32_t cpu = 0; cpu < SYS_CPUS_MAX && count < max; cpu++) {
        if (mask.words[cpu / SYS_WORD_BITS] >> (cpu % SYS_WORD_BITS) & 1) {
            cpus[count++] = (uint16_t)cpu;
        }
    }
    return count;
}

int cmdi_cpu_pin(uint16_t cpu)
{
    struct sys_cpu_mask mask = {0};
    mask.words[cpu / SYS_WORD_BITS] = 1ul << (cpu % SYS_WORD_BITS);
    return sched_setaffinity(0, sizeof(mask), (const cpu_set_t *)(const void *)&mask) == 0 ? 0
                                                                                           : -errno;
}

uint64_t cmdi_preemptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

/* --- The quota of a cgroup -------------------------------------------------------------------- */

/*
 * Where the CPU controller of this process is: in its own hierarchy (v1), or in the one for all
 * (v2).
 */
struct cgroup {
    bool v2;
    char path[PATH_MAX];  // As /proc/self/cgroup says: from the root of the hierarchy.
    char root[PATH_MAX];  // What of the hierarchy is mounted...
    char mount[PATH_MAX]; // ...and where.
};

/* Is `word` one of the words in `list`, which commas separate? */
static bool list_has(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += size) {
        bool begins = at == list || at[-1] == ',';
        bool ends = at[size] == '\0' || at[size] == ',' || at[size] == '\n';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/*
 * A line is `number:controllers:path`; the number is 0 and controllers empty in v2. A hybrid system
 * keeps CPU in v1.
 */
static bool cgroup_find_path(struct cgroup *cgroup)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file != NULL && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL || strlen(path + 1) >= sizeof(cgroup->path)) {
            continue;
        }
        *controllers++ = '\0';
        *path++ = '\0';
        bool v1 = list_has(controllers, "cpu");
        if (v1 || (!found && strcmp(line, "0") == 0 && *controllers == '\0')) {
            cgroup->v2 = !v1;
            strcpy(cgroup->path, path);
            found = true;
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/*
 * `id parent device root mount options ... - type source options`. Returns: this is the hierarchy
 * of `cgroup`.
 */
static bool cgroup_parse_mount(struct cgroup *cgroup, char *line)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    char *save = NULL;
    char *type = strtok_r(tail + 3, " \n", &save);
    const char *source = strtok_r(NULL, " \n", &save);
    const char *options = source != NULL ? strtok_r(NULL, " \n", &save) : NULL;
    if (options == NULL || strcmp(type, cgroup->v2 ? "cgroup2" : "cgroup") != 0 ||
            (!cgroup->v2 && !list_has(options, "cpu"))) {
        return false;
    }
    const char *field[5] = {NULL};
    save = NULL;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (field[i] == NULL || strlen(field[i]) >= PATH_MAX) {
            return false;
        }
    }
    strcpy(cgroup->root, field[3]);
    strcpy(cgroup->mount, field[4]);
    return true;
}

static bool cgroup_find_mount(struct cgroup *cgroup)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file != NULL && !found && getline(&line, &room, file) > 0) {
        found = cgroup_parse_mount(cgroup, line);
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* One number, or two, in a file of a cgroup's folder. Returns: how many were read. */
static int cgroup_read(const char *folder, const char *name, long long *first, long long *second)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int count = fscanf(file, "%lld %lld", first, second); // "max 100000" reads none: no quota.
    (void)fclose(file);
    return count;
}

/* Of one folder, in hundredths of a CPU. Returns: 0: no quota here. */
static uint32_t cgroup_quota(const struct cgroup *cgroup, const char *folder)
{
    long long quota = 0;
    long long period = 0;
    long long unused = 0;
    if (cgroup->v2) {
        if (cgroup_read(folder, "cpu.max", &quota, &period) != 2) {
            return 0;
        }
    } else if (cgroup_read(folder, "cpu.cfs_quota_us", &quota, &unused) != 1 ||
               cgroup_read(folder, "cpu.cfs_period_us", &period, &unused) != 1) {
        return 0;
    }
    if (quota <= 0 || period <= 0 || quota > LLONG_MAX / 200 || period > LLONG_MAX / 200) {
        return 0;
    }
    long long percent = (quota * 100 + period - 1) / period; // At least 1: a quota is never "none".
    return percent > UINT32_MAX ? UINT32_MAX : (uint32_t)percent;
}

uint32_t cmdi_cpu_quota_percent(void)
{
    struct cgroup *cgroup = calloc(1, sizeof(*cgroup)); // Three paths: too much for a small stack.
    char *folder = malloc(2 * PATH_MAX);
    uint32_t least = 0;
    if (cgroup == NULL || folder == NULL || !cgroup_find_path(cgroup) ||
            !cgroup_find_mount(cgroup)) {
        goto done;
    }
    /*
     * In a container the mount may begin at the container's own cgroup, which the path then begins
     * with as well.
     */
    const char *path = cgroup->path;
    size_t root_size = strlen(cgroup->root);
    if (root_size > 1 && strncmp(path, cgroup->root, root_size) == 0 &&
            (path[root_size] == '/' || path[root_size] == '\0')) {
        path += root_size;
    }
    size_t mount_size = strlen(cgroup->mount);
    (void)snprintf(folder, 2 * PATH_MAX, "%s%s", cgroup->mount, path);
    for (size_t size = strlen(folder); size >= mount_size;
            size = (size_t)(strrchr(folder, '/') - folder)) {
        folder[size] = '\0';
        uint32_t percent = strlen(folder) < PATH_MAX ? cgroup_quota(cgroup, folder) : 0;
        if (percent > 0 && (least == 0 || percent < least)) {
            least = percent; // A parent's quota holds for all below it.
        }
        if (size == mount_size || strrchr(folder, '/') == NULL) {
            break;
        }
    }
done:
    free(folder);
    free(cgroup);
    return least;
}
