/* SPDX-License-Identifier: MIT */
/*
 * What a program says: lines of its log, and of cmds_server_main(). Thread: any.
 */
#ifndef CMDI_RING_OUTPUT_H
#define CMDI_RING_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/**
 * A line to a pipe, socket, terminal or file, at most PIPE_BUF bytes: as a whole, and without a wait
 * unless another process fills the same pipe in that instant. Returns: 0; -EAGAIN: there is no room;
 * -errno: nobody can read it.
 */
int cmdi_write_now(int fd, const void *data, size_t size);
/** getenv(). Thread: any, as long as nobody changes the environment. */
const char *cmdi_environment(const char *name);
/**
 * Reads JOURNAL_STREAM, once: before threads that change the environment. Whoever did not is read for
 * by cmdi_is_journal().
 */
void cmdi_output_init(void);
/** Is what is written to `fd` read by systemd's journal, as JOURNAL_STREAM says? */
bool cmdi_is_journal(int fd);
/**
 * One datagram to a UNIX socket, "@name" in the abstract namespace, which is not waited for. Returns: 0;
 * -EAGAIN: there is no room; -errno: nobody is there, or takes none of this size.
 */
int cmdi_datagram_now(const char *path, const void *data, size_t size);
/** A line to stdout, at once; `wrong`: to stderr. It waits for whoever reads it. printf. */
void cmdi_say(bool wrong, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
