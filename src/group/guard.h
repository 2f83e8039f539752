/* SPDX-License-Identifier: MIT */
/*
 * Breakers of endpoints: each endpoint of a group has one, which lives and is reused with it.
 *
 * A command's permit is that of the endpoint whose connection takes it. It lies in a pass, which
 * stands between that connection and the command's callback: below hooks, attempts and resends, so
 * that each try has its own.
 *
 *     dispatch picks --> claim: a pass, and the command's callback is the pass's
 *                          |
 *                          +-- the connection takes it --> its results: the pass tells the breaker
 *                          +-- it does not --------------> drop: the permit is given back
 *                          +-- handed over --------------> a claim there; then the old one is dropped
 *
 * Whoever has the command has the pass: the thread that sends it until a connection has taken it, from
 * then on that connection's shard. A pass counts only if its connection still goes to the endpoint that
 * gave the permit, and only if that one has not become another one: the breaker knows by its epochs.
 * So nothing keeps an endpoint for its permits.
 */
#ifndef CMDI_GROUP_GUARD_H
#define CMDI_GROUP_GUARD_H

#include <stdbool.h>

#include <cmdstream/breaker.h>
#include <cmdstream/client.h>

#include "client/client.h"
#include "group/stock.h"

struct cmdi_pass;

/** A command on its way to a connection, as the caller's with the callback of `pass`. */
struct cmdi_guarded {
    struct cmdi_pass *pass; // NULL: it has none; of a command without an answer.
    struct cmdi_command command;
};

/** Of a group. */
struct cmdi_guard {
    bool is_used;
    struct cmds_breaker_options options; // Of each breaker.
    struct cmdi_stock stock;             // Passes of threads that are no shard of ours.
};

/** Thread: setup. Returns: 0; -EINVAL, -E2BIG: an option. */
int cmdi_guard_init(struct cmdi_guard *guard, const struct cmds_group_options *options,
        struct cmds_error *error);
/** A zeroed one is fine. */
void cmdi_guard_fini(struct cmdi_guard *guard);
/** For cmdi_endpoint_store_guard(); its context is the group. */
extern const struct cmdi_endpoint_ops cmdi_guard_endpoint_ops;
/** Bytes of a pass. */
size_t cmdi_pass_size(void);

/**
 * May `command` go to `client`, whose endpoint has this breaker? A command without an answer needs a
 * breaker that is closed, and gets no pass.
 *
 * Thread:  any that is inside the group.
 * Returns: 0, and guarded->command is to be sent, whose pass ends with it or by cmdi_guard_drop();
 *          CMDS_E_NOT_ALLOWED; -ENOBUFS: the shard's memory is short; -ENOMEM.
 */
int cmdi_guard_claim(struct cmdi_client *client, struct cmds_breaker *breaker, uint64_t now_ms,
        const struct cmdi_command *command, struct cmdi_guarded *guarded);
/** Nobody took the command, or somebody else has. NULL is fine. Thread: that which has the pass. */
void cmdi_guard_drop(struct cmdi_pass *pass);
/** The command gets back the callback that it had. Returns: its pass; NULL: it had none. */
struct cmdi_pass *cmdi_guard_unwrap(struct cmdi_command *command);

/** Why a send of this group is CMDS_E_NOT_ALLOWED: whose breaker, and when again. Thread: any. */
void cmdi_guard_explain(struct cmds_group *group, struct cmds_error *error);

#endif
