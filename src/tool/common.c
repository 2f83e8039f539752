/* SPDX-License-Identifier: MIT */
/* See common.h. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef CMDSTREAM_HAS_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef CMDSTREAM_HAS_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

#include "name.h"
#include "options.h"

enum {
    COMMON_FILES_PER_SHARD = 4, // Ring, event, listener, and one that opens for a moment.
    COMMON_FILES_BESIDE = 8,    // The standard ones, pipes, what is kept for a full table.
};

static const struct cmds_codec *const codecs[] = {
        &cmds_codec_msgpack,
        &cmds_codec_msgpack_map,
#ifdef CMDSTREAM_HAS_JSON
        &cmds_codec_json,
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
        &cmds_codec_protobuf,
#endif
#ifdef CMDSTREAM_HAS_MUS
        &cmds_codec_mus,
#endif
};

const struct cmds_codec *cmdi_tool_codec_find(const char *command, const char *name)
{
    if (name == NULL) {
        return codecs[TOOL_CODEC_DEFAULT];
    }
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            return codecs[i];
        }
    }
    cmdi_tool_complain(command, "no codec \"%s\"; there are %s", name, TOOL_CODEC_NAMES);
    return NULL;
}

bool cmdi_tool_server_info(const char *command, const char *text, struct cmds_bytes *info)
{
    *info = (struct cmds_bytes){0};
    if (text == NULL) {
        return true;
    }
    size_t size = strlen(text);
    if (size == 0 || size > TOOL_SERVER_INFO_MAX) {
        cmdi_tool_complain(
                command, "--server-info takes 1 to %d bytes, not %zu", TOOL_SERVER_INFO_MAX, size);
        return false;
    }
    *info = (struct cmds_bytes){text, size};
    return true;
}

uint32_t cmdi_tool_spin(uint32_t spin_us)
{
    return spin_us == 0 ? CMDS_SPIN_OFF : spin_us;
}

uint64_t cmdi_tool_raise_nofile(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        limit = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised : limit;
    }
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

uint64_t cmdi_tool_files_needed(uint64_t connections, uint32_t shards)
{
    return connections + (uint64_t)shards * COMMON_FILES_PER_SHARD + COMMON_FILES_BESIDE;
}

bool cmdi_tool_files_suffice(const char *command, uint64_t connections, uint32_t shards)
{
    uint64_t needed = cmdi_tool_files_needed(connections, shards);
    uint64_t limit = cmdi_tool_raise_nofile();
    if (needed > limit) {
        cmdi_tool_complain(command,
                "%llu connections take about %llu open files, and this process may have %llu: "
                "raise "
                "the hard limit (ulimit -Hn, LimitNOFILE=)",
                (unsigned long long)connections, (unsigned long long)needed,
                (unsigned long long)limit);
        return false;
    }
    return true;
}

void cmdi_tool_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)!open("/", O_PATH); // The lowest number that is free, which is this one.
        }
    }
}

int cmdi_tool_flush(void)
{
    static int first_error;
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && first_error == 0) {
        first_error = errno != 0 ? -errno : -EIO;
    }
    return first_error;
}

int cmdi_tool_finish(int status)
{
    int code = cmdi_tool_flush();
    if (code < 0 && code != -EPIPE) {
        fprintf(stderr, "%s: stdout does not take what is printed: %s\n", cmdi_tool_name(),
                strerror(-code));
    }
    return code < 0 && status == TOOL_EXIT_OK ? TOOL_EXIT_FAILED : status;
}

uint32_t cmdi_tool_cpus(uint16_t *cpus, uint32_t max)
{
    cpu_set_t set;
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return 0;
    }
    for (uint16_t cpu = 0; cpu < CPU_SETSIZE && count < max; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpus[count++] = cpu;
        }
    }
    return count;
}

int cmdi_tool_cpus_bind(const uint16_t *cpus, uint32_t count)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < count; i++) {
        CPU_SET(cpus[i], &set);
    }
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}
