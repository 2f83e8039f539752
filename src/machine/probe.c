/* SPDX-License-Identifier: MIT */
/*
 * The state of io_uring on this machine.
 *
 * Each feature is tried in the smallest real way: a setup flag by a ring that has it, an operation
 * by the kernel's own list, a multishot operation by letting it complete once, because kernels and
 * sandboxes exist that know the operation and not the flag. Kernel releases are printed for
 * orientation only. No state; any thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // accept4, sched_getaffinity.
#endif
#include "machine/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmdstream/probe.h>

#include "machine/cgroup.h"

/* Kernel ABI that liburing 2.3 does not name yet. */
enum {
    PROBE_SETUP_NO_SQARRAY = 1 << 16,
    PROBE_FEAT_RECVSEND_BUNDLE = 1 << 14,
    PROBE_FEAT_MIN_TIMEOUT = 1 << 15,
    PROBE_FEAT_NO_IOWAIT = 1 << 17,
    PROBE_REGISTER_SEND_MSG_RING = 31,
    PROBE_RING_ENTRIES = 8,
    PROBE_BUFFERS = 2,
    PROBE_BUFFER_SIZE = 64,
    PROBE_FILE_SIZE = 4096,
    PROBE_SECCOMP_FILTER = 2, // Of "Seccomp:" in /proc/self/status.
    PROBE_SHARD_KIB = 116,    // Of RLIMIT_MEMLOCK, for a shard with the default options; or more.
    PROBE_STRUCT_MAX = 4096,  // Beyond it nobody has set the size.
};
#define PROBE_FLAGS_BASE (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

/* --- Facts from /proc ------------------------------------------------------------------------- */

static bool probe_read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static int32_t probe_read_number(const char *path)
{
    char text[64];
    return probe_read_file(path, text, sizeof(text)) ? (int32_t)strtol(text, NULL, 10) : -1;
}

static int32_t probe_sysctl(void)
{
    return probe_read_number("/proc/sys/kernel/io_uring_disabled");
}

static int32_t probe_seccomp(void)
{
    char text[PROBE_FILE_SIZE];
    if (!probe_read_file("/proc/self/status", text, sizeof(text))) {
        return -1;
    }
    const char *line = strstr(text, "\nSeccomp:");
    return line != NULL ? (int32_t)strtol(line + strlen("\nSeccomp:"), NULL, 10) : -1;
}

static int64_t probe_limit(rlim_t limit)
{
    return limit == RLIM_INFINITY ? INT64_MAX : (int64_t)limit;
}

static int32_t probe_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (int32_t)CPU_COUNT(&set) : -1;
}

/* --- Why it is refused ------------------------------------------------------------------------ */

static void probe_explain_denied(
        int error_code, int32_t seccomp, const char *release, char *text, size_t size)
{
    const char *name = error_code == -ENOSYS ? "ENOSYS" : "EPERM";
    if (seccomp == PROBE_SECCOMP_FILTER) {
        snprintf(text, size,
                "io_uring is refused (%s) by a seccomp filter, as containers have by default: "
                "allow io_uring_setup, "
                "io_uring_enter and io_uring_register in its profile (Docker: --security-opt "
                "seccomp=PROFILE.json)",
                name);
    } else if (error_code == -ENOSYS) {
        snprintf(text, size,
                "kernel %s has no io_uring (ENOSYS): it is too old, built without CONFIG_IO_URING, "
                "or not Linux itself; "
                "cmdstream needs Linux 6.1 or newer",
                release);
    } else {
        snprintf(text, size,
                "io_uring is refused (%s) though kernel.io_uring_disabled and seccomp allow it: "
                "ask the security module "
                "(SELinux, AppArmor) of this machine",
                name);
    }
}

static void probe_explain_limits(int error_code, const char *release, char *text, size_t size)
{
    struct rlimit memlock = {0};
    (void)getrlimit(RLIMIT_MEMLOCK, &memlock);
    if (error_code == -ENOMEM) {
        snprintf(text, size,
                "io_uring has no memory for a ring (ENOMEM): a user's shards share "
                "RLIMIT_MEMLOCK, %lld KiB, and by default each takes %d or more; raise it "
                "(ulimit -l, LimitMEMLOCK=, --ulimit memlock=-1) or use fewer shards; or it is the "
                "cgroup's memory",
                (long long)(memlock.rlim_cur / 1024), PROBE_SHARD_KIB);
    } else if (error_code == -EMFILE || error_code == -ENFILE) {
        snprintf(text, size,
                "no file descriptor is left for a ring (%s): raise RLIMIT_NOFILE (ulimit -n, "
                "LimitNOFILE=)",
                error_code == -EMFILE ? "EMFILE" : "ENFILE");
    } else if (error_code == -EINVAL) {
        snprintf(text, size,
                "kernel %s does not know the setup flags that cmdstream needs (EINVAL: "
                "SINGLE_ISSUER, DEFER_TASKRUN); it "
                "needs Linux 6.1 or newer",
                release);
    } else {
        snprintf(text, size,
                "io_uring_setup failed on kernel %s: %s; `cmdstream doctor` looks at what there is",
                release, cmds_error_text(error_code));
    }
}

void cmdi_kernel_release(char *text, size_t size)
{
    struct utsname names;
    const char *release = uname(&names) == 0 ? names.release : "(unknown)";
    (void)snprintf(text, size, "%.*s", (int)size - 1, release);
}

int cmdi_probe_setup_error(int error_code, char *text, size_t size)
{
    char release[CMDI_KERNEL_RELEASE_MAX];
    cmdi_kernel_release(release, sizeof(release));
    int32_t sysctl = probe_sysctl();
    if (error_code == -EPERM && sysctl == 2) {
        snprintf(text, size,
                "io_uring is switched off on this machine (EPERM): kernel.io_uring_disabled is 2; "
                "as root: sysctl -w "
                "kernel.io_uring_disabled=0");
    } else if (error_code == -EPERM && sysctl == 1) {
        snprintf(text, size,
                "io_uring is kept for one group on this machine (EPERM): kernel.io_uring_disabled "
                "is 1; join the group of "
                "kernel.io_uring_group, or as root: sysctl -w kernel.io_uring_disabled=0");
    } else if (error_code == -EPERM || error_code == -ENOSYS || error_code == -EACCES) {
        probe_explain_denied(error_code, probe_seccomp(), release, text, size);
    } else {
        probe_explain_limits(error_code, release, text, size);
    }
    return error_code;
}

/* --- Features --------------------------------------------------------------------------------- */

static bool probe_setup_works(unsigned int flags)
{
    struct io_uring_params params = {.flags = flags};
    int fd = io_uring_setup(PROBE_RING_ENTRIES, &params);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static bool probe_opcode(const struct io_uring_probe *list, int opcode)
{
    return list != NULL && io_uring_opcode_supported(list, opcode) != 0;
}

/* One completion with these flags; a second is the limit, and none comes later than at once. */
static bool probe_completes(struct io_uring *ring, uint32_t flags)
{
    struct __kernel_timespec timeout = {.tv_sec = 1};
    struct io_uring_cqe *cqe = NULL;
    if (io_uring_submit_and_wait_timeout(ring, &cqe, 1, &timeout, NULL) < 0 || cqe == NULL) {
        return false;
    }
    bool completed = cqe->res >= 0 && (cqe->flags & flags) == flags;
    io_uring_cqe_seen(ring, cqe);
    return completed;
}

/* A byte through a socket pair into a provided buffer, and the receive continues. */
static bool probe_recv_over(
        struct io_uring *ring, struct io_uring_buf_ring *buffers, const int fds[2])
{
    // Never read: several probes at once do no harm.
    static char memory[PROBE_BUFFERS][PROBE_BUFFER_SIZE];
    struct io_uring_buf_reg registration = {
            .ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = PROBE_BUFFERS};
    if (io_uring_register_buf_ring(ring, &registration, 0) < 0) {
        return false;
    }
    io_uring_buf_ring_init(buffers);
    for (unsigned short i = 0; i < PROBE_BUFFERS; i++) {
        io_uring_buf_ring_add(buffers, memory[i], PROBE_BUFFER_SIZE, i, PROBE_BUFFERS - 1, i);
    }
    io_uring_buf_ring_advance(buffers, PROBE_BUFFERS);

    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_recv_multishot(sqe, fds[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    return send(fds[1], "x", 1, MSG_NOSIGNAL) == 1 &&
           probe_completes(ring, IORING_CQE_F_MORE | IORING_CQE_F_BUFFER);
}

static bool probe_multishot_recv(struct io_uring *ring)
{
    int fds[2];
    void *buffers = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        io_uring_queue_exit(ring);
        return false;
    }
    bool works = posix_memalign(&buffers, (size_t)sysconf(_SC_PAGESIZE),
                         (size_t)sysconf(_SC_PAGESIZE)) == 0 &&
                 probe_recv_over(ring, buffers, fds);
    close(fds[0]);
    close(fds[1]);
    io_uring_queue_exit(ring); // Before its buffer ring is freed.
    free(buffers);
    return works;
}

/* A connection to an autobound abstract address: nothing in the file system, no port. */
static bool probe_multishot_accept(struct io_uring *ring)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);
    bool works = listener >= 0 && client >= 0 &&
                 bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
                 getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
                 listen(listener, 1) == 0 &&
                 connect(client, (struct sockaddr *)&address, size) == 0;
    if (works) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        struct io_uring_cqe *cqe = NULL;
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
        works = io_uring_submit_and_wait(ring, 1) >= 0 && io_uring_peek_cqe(ring, &cqe) == 0 &&
                cqe->res >= 0 && (cqe->flags & IORING_CQE_F_MORE) != 0;
        if (cqe != NULL && cqe->res >= 0) {
            close(cqe->res);
        }
    }
    if (listener >= 0) {
        close(listener);
    }
    if (client >= 0) {
        close(client);
    }
    return works;
}

/* A message to this very ring, without one to send it from. */
static bool probe_send_msg_ring(struct io_uring *ring)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_MSG_RING, .fd = ring->ring_fd};
    return io_uring_register((unsigned int)-1, PROBE_REGISTER_SEND_MSG_RING, &sqe, 1) >= 0;
}

static bool probe_register_ring_fd(struct io_uring *ring)
{
    return io_uring_register_ring_fd(ring) == 1;
}

static void probe_add(struct cmds_probe *probe, struct cmds_probe_feature feature)
{
    if (probe->feature_count < CMDS_PROBE_FEATURES_MAX) {
        probe->features[probe->feature_count++] = feature;
    }
}

/*
 * Runs `try` on a ring of its own, with the flags of the real ones where the kernel has them.
 * `exits`: it ends the ring.
 */
static bool probe_on_ring(bool (*try)(struct io_uring *ring), bool exits)
{
    struct io_uring ring;
    if (io_uring_queue_init(PROBE_RING_ENTRIES, &ring, PROBE_FLAGS_BASE) < 0 &&
            io_uring_queue_init(PROBE_RING_ENTRIES, &ring, 0) < 0) {
        return false;
    }
    bool works = try(&ring);
    if (!exits) {
        io_uring_queue_exit(&ring);
    }
    return works;
}

static void probe_needed(
        struct cmds_probe *probe, const struct io_uring_probe *list, uint32_t features)
{
    const struct cmds_probe_feature rows[] = {
            {"single issuer", "6.0", "a ring without locks: its thread alone submits",
                    probe_setup_works(IORING_SETUP_SINGLE_ISSUER), true, {0}},
            {"deferred task work", "6.1",
                    "completions arrive when the shard asks for them, in batches",
                    probe_setup_works(PROBE_FLAGS_BASE), true, {0}},
            {"task-run flag", "5.19", "a shard sees without a system call that something is there",
                    probe_setup_works(PROBE_FLAGS_BASE | IORING_SETUP_TASKRUN_FLAG), true, {0}},
            {"wait with timeout", "5.11", "timers without a system call of their own",
                    (features & IORING_FEAT_EXT_ARG) != 0, true, {0}},
            {"no dropped completions", "5.5", "a burst waits in the kernel instead of being lost",
                    (features & IORING_FEAT_NODROP) != 0, true, {0}},
            {"connect, send, cancel", "5.5", "the operations that a connection needs",
                    probe_opcode(list, IORING_OP_CONNECT) && probe_opcode(list, IORING_OP_SEND) &&
                            probe_opcode(list, IORING_OP_ASYNC_CANCEL),
                    true, {0}},
            {"multishot accept", "5.19", "one operation accepts every connection",
                    probe_on_ring(probe_multishot_accept, false), true, {0}},
            {"multishot recv, buffer ring", "6.0",
                    "one operation receives for a connection's life, idle ones own no buffer",
                    probe_on_ring(probe_multishot_recv, true), true, {0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        probe_add(probe, rows[i]);
    }
}

static void probe_optional(
        struct cmds_probe *probe, const struct io_uring_probe *list, uint32_t features)
{
    const struct cmds_probe_feature rows[] = {
            {"registered ring fd", "5.18", "a cheaper enter",
                    probe_on_ring(probe_register_ring_fd, false), false, {0}},
            {"ring message", "5.18", "one shard wakes another without an eventfd",
                    probe_opcode(list, IORING_OP_MSG_RING), false, {0}},
            {"zero-copy send", "6.0", "large results leave without being copied",
                    probe_opcode(list, IORING_OP_SEND_ZC), false, {0}},
            {"no submission array", "6.6", "one load less for each operation",
                    probe_setup_works(PROBE_FLAGS_BASE | PROBE_SETUP_NO_SQARRAY), false, {0}},
            {"send and receive bundles", "6.10", "several buffers in one operation",
                    (features & PROBE_FEAT_RECVSEND_BUNDLE) != 0, false, {0}},
            {"minimum wait", "6.12", "a loaded shard may wait a little for a batch",
                    (features & PROBE_FEAT_MIN_TIMEOUT) != 0, false, {0}},
            {"message without a ring", "6.13", "any thread wakes a shard by one system call",
                    probe_on_ring(probe_send_msg_ring, false), false, {0}},
            {"no I/O wait", "6.15", "an idle server is not shown as waiting for disks",
                    (features & PROBE_FEAT_NO_IOWAIT) != 0, false, {0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        probe_add(probe, rows[i]);
    }
}

static void probe_features(struct cmds_probe *probe, uint32_t features)
{
    struct io_uring_probe *list = io_uring_get_probe();
    probe_needed(probe, list, features);
    probe_optional(probe, list, features);
    io_uring_free_probe(list);

    for (uint32_t i = 0; i < probe->feature_count && probe->error.code == 0; i++) {
        const struct cmds_probe_feature *feature = &probe->features[i];
        if (feature->needed && !feature->available) {
            probe->error.code = -ENOSYS;
            snprintf(probe->error.text, sizeof(probe->error.text),
                    "io_uring of kernel %s lacks \"%s\" (since %s): cmdstream needs Linux 6.1 or "
                    "newer",
                    probe->kernel_release, feature->name, feature->since);
        }
    }
}

/* --- The public function ---------------------------------------------------------------------- */

static void probe_facts(struct cmds_probe *probe)
{
    struct rlimit memlock = {0};
    struct rlimit nofile = {0};
    cmdi_kernel_release(probe->kernel_release, sizeof(probe->kernel_release));
#if defined(IO_URING_VERSION_MAJOR)
    snprintf(probe->liburing_version, sizeof(probe->liburing_version), "%d.%d",
            IO_URING_VERSION_MAJOR, IO_URING_VERSION_MINOR);
#else
    // 2.4 began to say it.
    snprintf(probe->liburing_version, sizeof(probe->liburing_version), "2.3");
#endif
    probe->io_uring_disabled = probe_sysctl();
    probe->seccomp_mode = probe_seccomp();
    probe->somaxconn = probe_read_number("/proc/sys/net/core/somaxconn");
    bool has_memlock = getrlimit(RLIMIT_MEMLOCK, &memlock) == 0;
    bool has_nofile = getrlimit(RLIMIT_NOFILE, &nofile) == 0;
    probe->memlock_bytes = has_memlock ? probe_limit(memlock.rlim_cur) : -1;
    probe->nofile_soft = has_nofile ? probe_limit(nofile.rlim_cur) : -1;
    probe->nofile_hard = has_nofile ? probe_limit(nofile.rlim_max) : -1;
    probe->shard_memlock_bytes = (int64_t)PROBE_SHARD_KIB * 1024;
    probe->cpu_count = probe_cpus();
    probe->cpu_quota_percent = (int32_t)cmdi_cgroup_cpu_percent();
}

int cmds_probe_run(struct cmds_probe *probe)
{
    /* A newer header has a longer one, whose further members are left as they are. */
    if (probe == NULL || probe->struct_size < sizeof(*probe) ||
            probe->struct_size > PROBE_STRUCT_MAX) {
        return -EINVAL;
    }
    *probe = (struct cmds_probe){.struct_size = probe->struct_size};
    probe_facts(probe);

    struct io_uring_params params = {0};
    int fd = io_uring_setup(PROBE_RING_ENTRIES, &params);
    if (fd < 0) {
        probe->setup_error = fd;
        probe->error.code =
                cmdi_probe_setup_error(fd, probe->error.text, sizeof(probe->error.text));
        return 0;
    }
    int code = io_uring_enter2((unsigned)fd, 0, 0, 0, NULL, 0);
    close(fd);
    if (code < 0) { // A sandbox may allow the set-up alone: every try below would fail.
        probe->error.code =
                cmdi_probe_setup_error(code, probe->error.text, sizeof(probe->error.text));
        return 0;
    }
    probe_features(probe, params.features);
    return 0;
}
