/* SPDX-License-Identifier: MIT */
/*
 * What a handshake has shown, for programs: one block of memory with all of its strings.
 *
 * Constant from its creation on. Any thread, where the caller keeps it.
 */
#ifndef CMDI_TLS_PEER_H
#define CMDI_TLS_PEER_H

#include <stdbool.h>

#include <cmdstream/tls.h>

struct cmdi_peer {
    struct cmds_tls_peer face; // First.
    /* Of the same block; empty unless they were to be kept. */
    const char *host;
    struct cmds_bytes leaf;
};

struct cmdi_peer_facts {
    struct cmds_bytes leaf; // DER; empty: it has none.
    struct cmds_string server_name, alpn, cipher;
    uint8_t version; // 12 or 13.
    bool verified, resumed;
    bool is_kept;     // For a session that resumes this one: the leaf, and
    const char *host; // whose certificate it was checked to be; "" if it was not.
};

/**
 * A certificate that cannot be read, which nobody has checked then, shows its fingerprint alone.
 *
 * Owner:   copies all. Gives *peer: free().
 * Returns: 0; -ENOMEM.
 */
CMDS_NODISCARD int cmdi_peer_create(struct cmdi_peer **peer, const struct cmdi_peer_facts *facts);

#endif
