/* SPDX-License-Identifier: MIT */
/* The probes of a program, as its file has them: see base/usdt.h. */
#ifndef CMDI_TESTS_SUPPORT_USDT_H
#define CMDI_TESTS_SUPPORT_USDT_H

#include <stdint.h>

enum {
    USDT_MAX = 64,
    USDT_TEXT_MAX = 128,
};

struct usdt {
    char provider[USDT_TEXT_MAX], name[USDT_TEXT_MAX];
    char arguments[USDT_TEXT_MAX]; // "8@880(%rbx) 4@%eax"
    uint64_t offset;               // In the file, of the nop.
    uint64_t semaphore;            // 0: none.
};

/** Of an ELF file of this machine. Returns: how many were found, at most USDT_MAX; -errno. */
int usdt_read(const char *path, struct usdt found[USDT_MAX]);

#endif
