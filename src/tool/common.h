/* SPDX-License-Identifier: MIT */
/*
 * What the sub-commands share: the codecs by name, and a few facts about this
 * process.
 */
#ifndef CMDSTREAM_TOOL_COMMON_H
#define CMDSTREAM_TOOL_COMMON_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/cmdstream.h>

#include "log.h"

enum {
    TOOL_CODEC_DEFAULT = 0,
    TOOL_CPUS_MAX = 1024,
    TOOL_SERVER_INFO_MAX = 1024,
    TOOL_CONNECTIONS_DEFAULT = 10000 // That a server allows; see connection_count_max.
};

/* What a build left out is not named. */
#ifdef CMDSTREAM_HAS_JSON
#define TOOL_CODEC_JSON ", json"
#else
#define TOOL_CODEC_JSON ""
#endif
#ifdef CMDSTREAM_HAS_PROTOBUF
#define TOOL_CODEC_PROTOBUF ", protobuf"
#else
#define TOOL_CODEC_PROTOBUF ""
#endif
#ifdef CMDSTREAM_HAS_MUS
#define TOOL_CODEC_MUS ", mus"
#else
#define TOOL_CODEC_MUS ""
#endif
/** For the help of --codec; a new codec is a new row in common.c and a word here. */
#define TOOL_CODEC_NAMES "msgpack, msgpack-map" TOOL_CODEC_JSON TOOL_CODEC_PROTOBUF TOOL_CODEC_MUS

/** What a noun ends with behind a number: "1 command", "2 commands". */
static inline const char *cmdi_tool_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/** NULL, and a line on stderr that lists the names, if there is none of that name. */
const struct cmds_codec *cmdi_tool_codec_find(const char *command, const char *name);
/**
 * `text` as ServerInfo; a line on stderr and false if it is empty or too long. NULL: none, the
 * default.
 */
bool cmdi_tool_server_info(const char *command, const char *text, struct cmds_bytes *info);
/** What an option --spin-us means to the runtime, where 0 is its default. */
uint32_t cmdi_tool_spin(uint32_t spin_us);

/**
 * The limit of open files up to what this process may have: a connection is one.
 *
 * Returns: the limit as it is now; UINT64_MAX: none.
 */
uint64_t cmdi_tool_raise_nofile(void);
/**
 * The open files that `connections` take on so many shards of this process, with its rings and
 * standard files.
 */
uint64_t cmdi_tool_files_needed(uint64_t connections, uint32_t shards);
/** Raises the limit. Returns: false, and a line on stderr, if `connections` are more than it. */
bool cmdi_tool_files_suffice(const char *command, uint64_t connections, uint32_t shards);

/**
 * Descriptors 0 to 2 that the caller closed are opened, so that no socket or ring gets their number
 * and what is printed; reading and writing them still fails. The first thing that a program does.
 */
void cmdi_tool_standard_files(void);
/** Writes out what is printed. Returns: 0; -errno of the first failure, from then on. */
int cmdi_tool_flush(void);
/**
 * The last thing that a program does. Returns: `status`; TOOL_EXIT_FAILED in place of 0, and a line
 * on stderr, if stdout did not take all. A reader that has gone (`| head -1`) needs no line.
 */
int cmdi_tool_finish(int status);
/** The CPUs of this process, in order. Returns: how many. */
uint32_t cmdi_tool_cpus(uint16_t *cpus, uint32_t max);
/** Binds the calling thread, and those that it starts, to `count` CPUs. Returns: 0, -errno. */
int cmdi_tool_cpus_bind(const uint16_t *cpus, uint32_t count);

/* The sub-commands. `argv[0]` is the sub-command's name. They return the exit status. */
int tool_serve(int argc, char **argv);
int tool_bench(int argc, char **argv);
int cmdi_tool_bench_own(int argc, char **argv); // Of a protocol without a server here.
int cmdi_tool_call(int argc, char **argv);
int cmdi_tool_completion(int argc, char **argv);
int cmdi_tool_describe(int argc, char **argv);
int tool_chaos(int argc, char **argv);
int tool_stats(int argc, char **argv);
int tool_top(int argc, char **argv);
int tool_doctor(int argc, char **argv);
int tool_stress(int argc, char **argv);

#endif
