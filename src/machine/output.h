/* SPDX-License-Identifier: MIT */
/*
 * Lines to where a program writes its log.
 */
#ifndef CMDI_MACHINE_OUTPUT_H
#define CMDI_MACHINE_OUTPUT_H

#include <stddef.h>

/**
 * A line to a pipe, socket, terminal or file, at most PIPE_BUF bytes: as a whole, and without a wait
 * unless another process fills the same pipe in that instant. Returns: 0; -EAGAIN: there is no room;
 * -errno: nobody can read it.
 */
int cmdi_write_now(int fd, const void *data, size_t size);

#endif
