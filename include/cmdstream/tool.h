/* SPDX-License-Identifier: MIT */
/*
 * A tool for a protocol of one's own, in three lines. Library: cmdstream_tool.
 *
 *     #include <cmdstream/tool.h>
 *     #include "calc.h"
 *     int main(int argc, char **argv) { return cmds_tool_main(argc, argv, &calc); }
 *
 * makes a program that sends any command of the protocol from the shell, measures a server, and says
 * what the protocol has:
 *
 *     $ calc call 127.0.0.1:9000 add '{"a":2,"b":3}'
 *     {"type":"value","value":5}
 *     $ calc call 127.0.0.1:9000 add - <lines.json          each line a command; --in-flight 64: so many at once
 *     $ calc bench --connect 127.0.0.1:9000 --command add --value '{"a":2}' --conns 8 --in-flight 128
 *     $ calc describe greet
 *     $ source <(calc completion bash)
 *
 * A type is named by its struct's tag, or by that without the protocol's name in front: `add` for
 * calc_add in the protocol "calc". JSON has the forms of codec_json.h; a mistake in it is told with its
 * field and its place: "add.a takes an integer, not a string, at column 6". All codecs and TLS can be had
 * that this build of the library has. `--help` of each sub-command says the rest.
 */
#ifndef CMDSTREAM_TOOL_H
#define CMDSTREAM_TOOL_H

#include <cmdstream/schema.h>

CMDS_BEGIN_

/**
 * What a main returns. It reads standard input, prints to stdout and stderr, takes SIGINT and SIGTERM
 * while `bench` measures, and ignores SIGPIPE then: it is a program, not a function within one. The
 * program's name in all that is said is the last part of argv[0].
 *
 * Owner:   keeps `argv` and `protocol` until it returns.
 * Thread:  the first of the process; once.
 * Returns: the exit status: 0; 1: a command failed, or could not be sent, and stderr says why; 2: a wrong
 *          argument, or a protocol whose tables contradict each other; 130, 143: a signal ended `bench`.
 */
CMDS_API int cmds_tool_main(int argc, char **argv, const struct cmds_protocol *protocol);

/**
 * A protocol for `cmdstream --protocol FILE.so call`: what a shared object has that says
 * CMDS_EXPORT_PROTOCOL(calc), once, in a file that is not a header. It needs no library:
 *
 *     cc -shared -fPIC calc_protocol.c -o calc_protocol.so
 */
struct cmds_protocol_export {
    uint32_t struct_size;
    uint32_t version;    // CMDS_PROTOCOL_EXPORT_VERSION
    const char *library; // CMDS_VERSION of the headers that it was built with.
    const struct cmds_protocol *protocol;
};
enum {
    CMDS_PROTOCOL_EXPORT_VERSION = 1
};
#ifdef __cplusplus
#define CMDS_EXTERN_ extern "C"
#else
#define CMDS_EXTERN_ extern
#endif
#define CMDS_EXPORT_PROTOCOL(protocol)                                                             \
    CMDS_EXTERN_ __attribute__((visibility("default")))                                            \
    const struct cmds_protocol_export cmds_protocol_exported;                                      \
    const struct cmds_protocol_export cmds_protocol_exported = {                                   \
            sizeof(struct cmds_protocol_export), CMDS_PROTOCOL_EXPORT_VERSION, CMDS_VERSION,       \
            &(protocol)}

CMDS_END_

#endif
