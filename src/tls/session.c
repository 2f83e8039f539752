/* SPDX-License-Identifier: MIT */
/* See session.h. */
#include "tls/session.h"

const struct cmdi_security cmdi_tls_security = {
        .version = CMDI_SECURITY_VERSION,
};
