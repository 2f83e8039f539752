/* SPDX-License-Identifier: MIT */
/* TLS's double, of tests/support/mask.h, for the parties of a world. */
#ifndef CMDI_TESTS_SIM_VEIL_H
#define CMDI_TESTS_SIM_VEIL_H

#include <cmdstream/base.h>

struct cmds_tls;

/** Before each run. */
void veil_begin(void);
struct cmds_tls *veil_server(uint32_t server);
/** Of whoever connects to it. */
struct cmds_tls *veil_client(uint32_t server);

#endif
