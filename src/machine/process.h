/* SPDX-License-Identifier: MIT */
/* What the kernel says of this process. */
#ifndef CMDI_MACHINE_PROCESS_H
#define CMDI_MACHINE_PROCESS_H

#include <stdint.h>

struct cmdi_process {
    double cpu_s;   // User and system time, of all its threads.
    double start_s; // When it began: seconds since 1970.
    uint64_t resident_size, virtual_size;
    uint64_t fd_count, fd_count_max; // Descriptors, and how many it may have.
};

/**
 * Thread: any; reads /proc, and holds a descriptor meanwhile. Returns: 0; -errno: one of it cannot be
 * read, and `process` is as it was.
 */
int cmdi_process_read(struct cmdi_process *process);

#endif
