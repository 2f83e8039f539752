/* SPDX-License-Identifier: MIT */
/*
 * Allocations of wolfSSL and libgcrypt that go through ours, and so fail when a test says so, wherever
 * those libraries lie.
 */
#ifndef CMDI_TESTS_FAULT_TORTURE_TLS_H
#define CMDI_TESTS_FAULT_TORTURE_TLS_H

/** Before the first cmds_tls. From then on torture.others counts. */
void torture_take_allocators(void);

#endif
