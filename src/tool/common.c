/* SPDX-License-Identifier: MIT */
/* See common.h. */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#ifdef CMDSTREAM_HAS_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef CMDSTREAM_HAS_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

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

const struct cmds_codec *tool_codec_find(const char *command, const char *name)
{
    if (name == NULL) {
        return codecs[TOOL_CODEC_DEFAULT];
    }
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            return codecs[i];
        }
    }
    fprintf(stderr, "cmdstream %s: no codec \"%s\"; there are %s\n", command, name,
            TOOL_CODEC_NAMES);
    return NULL;
}

bool tool_server_info(const char *command, const char *text, struct cmds_bytes *info)
{
    *info = (struct cmds_bytes){0};
    if (text == NULL) {
        return true;
    }
    size_t size = strlen(text);
    if (size == 0 || size > TOOL_SERVER_INFO_MAX) {
        fprintf(stderr, "cmdstream %s: --server-info takes 1 to %d bytes, not %zu\n", command,
                TOOL_SERVER_INFO_MAX, size);
        return false;
    }
    *info = (struct cmds_bytes){text, size};
    return true;
}

uint32_t tool_spin(uint32_t spin_us)
{
    return spin_us == 0 ? CMDS_SPIN_OFF : spin_us;
}

void tool_log(void *context, enum cmds_log_level level, const char *text)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    const enum cmds_log_level *least = context;
    if (level >= *least && level <= CMDS_LOG_ERROR) {
        fprintf(stderr, "cmdstream: %s: %s\n", names[level],
                text); // One call, so lines stay whole.
    }
}

void tool_raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE,
                &limit); // What it would have cost to fail is told by accept or connect.
    }
}

uint32_t tool_cpus(uint16_t *cpus, uint32_t max)
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

int tool_cpus_bind(const uint16_t *cpus, uint32_t count)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < count; i++) {
        CPU_SET(cpus[i], &set);
    }
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}
