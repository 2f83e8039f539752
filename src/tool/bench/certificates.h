/* SPDX-License-Identifier: MIT */
/*
 * What `bench --tls` needs for a server of its own: a certificate for 127.0.0.1 with its key, and the
 * CA that signed it. They are carried along, so that a measurement takes no other program and leaves no
 * file behind: each is a file in memory, which goes away with the last process that has it open.
 */
#ifndef CMDSTREAM_TOOL_BENCH_CERTIFICATES_H
#define CMDSTREAM_TOOL_BENCH_CERTIFICATES_H

enum {
    BENCH_PATH_SIZE = 32
};

struct bench_file {
    int fd;                     // -1: none. A child inherits it.
    char path[BENCH_PATH_SIZE]; // "/proc/self/fd/5": in such a child, too.
};

struct bench_certificates {
    struct bench_file ca, certificate, key;
};

#define BENCH_CERTIFICATES_INIT                                                                    \
    {                                                                                              \
        {-1, ""}, {-1, ""},                                                                        \
        {                                                                                          \
            -1, ""                                                                                 \
        }                                                                                          \
    }

/** Of an initialized one. Returns: 0; -errno. */
int bench_certificates_open(struct bench_certificates *certificates);
void bench_certificates_close(struct bench_certificates *certificates);

#endif
