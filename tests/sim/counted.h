/* SPDX-License-Identifier: MIT */
/* What the library has counted by type, held against what the oracle has seen. */
#ifndef CMDI_TESTS_SIM_COUNTED_H
#define CMDI_TESTS_SIM_COUNTED_H

#include <stdint.h>

#include <cmdstream/runtime.h>

enum {
    COUNTED_NAME_MAX = 16,
};

/** What a group of this number is called. */
void counted_name(uint32_t number, char name[COUNTED_NAME_MAX]);
/** Of a group that has closed: each command that was taken has ended once, as it was told. */
void counted_check_group(const struct cmds_runtime *runtime, uint32_t number);
/** All servers of it have closed: each command that was received has ended once. */
void counted_check_servers(const struct cmds_runtime *runtime, uint32_t number);

#endif
