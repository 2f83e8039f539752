/* SPDX-License-Identifier: MIT */
/*
 * What this machine offers to a runtime, found out without starting one: for programs that want to
 * say so before they try, and for `cmdstream doctor`.
 *
 * Features are tried, not derived from the kernel's version. The probe makes a small ring or two
 * and closes them; it keeps no state.
 */
#ifndef CMDSTREAM_PROBE_H
#define CMDSTREAM_PROBE_H

#include <cmdstream/base.h>

CMDS_BEGIN_

enum {
    CMDS_PROBE_FEATURES_MAX = 32
};

/** One thing that io_uring can do or cannot. All text is static. */
struct cmds_probe_feature {
    const char *name;  // "multishot recv"
    const char *since; // The first kernel that has it: "6.0".
    const char *gives; // What it is good for, in one phrase.
    bool available;
    bool needed; // Without it a runtime does not start; else it is a gain.
    uint8_t unused[6];
};

/** Filled in by cmds_probe_run(). A number that could not be read is -1. See base.h for other sizes. */
struct cmds_probe {
    uint32_t struct_size; // CMDS_PROBE_INIT
    uint32_t feature_count;
    char kernel_release[64];
    char liburing_version[16]; // Built against.
    int32_t setup_error;       // 0, or the -errno of io_uring_setup.
    // The sysctl kernel.io_uring_disabled: 0 allowed, 1 for a group only, 2 for nobody; -1: there
    // is none.
    int32_t io_uring_disabled;
    int32_t seccomp_mode;      // 0 none, 1 strict, 2 a filter.
    int32_t somaxconn;         // Longest queue of connections that wait to be accepted.
    int64_t memlock_bytes;     // RLIMIT_MEMLOCK; INT64_MAX: no limit.
    int64_t nofile_soft;       // RLIMIT_NOFILE: a connection is a file.
    int64_t nofile_hard;       //
    int32_t cpu_count;         // That this process may use.
    int32_t cpu_quota_percent; // cgroup's cpu.max in hundredths of a CPU; 0: no quota.
    // What one shard with the default options takes of RLIMIT_MEMLOCK at least, on kernels that count
    // rings (before 5.12, and recent ones) and for users without CAP_IPC_LOCK; it takes 48 KiB more
    // where the limit is 1 MiB or more for each shard: buffer_count_max.
    int64_t shard_memlock_bytes;
    struct cmds_error error; // Why a runtime will not start, and what to do; code 0: it will.
    struct cmds_probe_feature features[CMDS_PROBE_FEATURES_MAX];
};
#ifdef __cplusplus
#define CMDS_PROBE_INIT cmds_detail::sized<struct cmds_probe>()
#else
#define CMDS_PROBE_INIT                                                                            \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_probe)                                                   \
    }
#endif

/**
 * Looks at everything.
 *
 * Thread:  any; takes some milliseconds of system calls.
 * Returns: 0, whatever was found; -EINVAL: not begun with CMDS_PROBE_INIT.
 */
CMDS_API int cmds_probe_run(struct cmds_probe *probe);

CMDS_END_

#endif
