/* SPDX-License-Identifier: MIT */
/*
 * Why io_uring is refused, in a sentence. The public half is <cmdstream/probe.h>.
 */
#ifndef CMDI_MACHINE_PROBE_H
#define CMDI_MACHINE_PROBE_H

#include <stddef.h>

enum {
    CMDI_KERNEL_RELEASE_MAX = 64
};

/**
 * Given the -errno of io_uring_setup, says which of sysctl, seccomp, kernel and memlock refused,
 * and what to do.
 *
 * Looks where the refusal can be seen, in this order: the sysctl's file, then the seccomp mode,
 * then the kernel's release, then the limits; the same EPERM comes from the first two.
 *
 * Thread:  any; reads /proc.
 * Returns: `error_code`. `text` is always terminated.
 */
int cmdi_probe_setup_error(int error_code, char *text, size_t size);
/** As `uname -r` says, cut at `size`, or "(unknown)". Thread: any. */
void cmdi_kernel_release(char *text, size_t size);

#endif
