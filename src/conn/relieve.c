/* SPDX-License-Identifier: MIT */
/*
 * What happens when a shard's memory is short: which connection waits, and which one pays.
 *
 * A connection that is refused waits (memory.c). If its own output is under way, that will free
 * memory, and the connection tries again when the output has left. If not, it stands in
 * shard->lacking. At the end of each turn the shard checks: a connection whose request fits now
 * continues, first come first served; else the connection that holds most is closed, one at a time,
 * and its memory is waited for. So a connection that holds little is never closed for one that holds
 * much, unless it has a receive buffer that the other one needs to become open. The reserve of the
 * account keeps small leases going meanwhile.
 */
#include "conn/parts.h"

enum {
    // Looking for memory that nobody uses costs a walk over what is free, and looking for somebody
    // who holds much one over the connections: not sooner again when there was none.
    RELIEVE_AGAIN_MS = 100,
};

static struct cmdi_conn *relieve_conn_of(struct cmdi_list *node)
{
    return CMDI_CONTAINER(node, struct cmdi_conn_more, lacking)->conn;
}

/* Those for whom there is room go on, in their order. */
static void relieve_waiting(struct cmdi_shard *shard)
{
    struct cmdi_account *account = &shard->buffers.account;
    uint64_t used = cmdi_account_used(account);
    while (!cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *conn = relieve_conn_of(shard->lacking.next);
        CMDI_ASSERT(conn->lacks > 0 && conn->state < CMDI_CONN_CLOSING);
        uint64_t max =
                conn->lacks <= CMDI_ACCOUNT_SMALL ? account->size_max : cmdi_account_mark(account);
        if (used + conn->lacks > max) {
            return;
        }
        used += conn->lacks;
        cmdi_conn_lack_over(conn);
        cmdi_shard_flush(shard, &conn->more->flush); // Tells its owner that output is taken again.
        cmdi_conn_ready(conn);
    }
}

static struct cmdi_conn *relieve_find(struct cmdi_shard *shard, size_t *most)
{
    struct cmdi_conn *victim = NULL;
    for (struct cmdi_list *node = shard->conns.next; node != &shard->conns; node = node->next) {
        struct cmdi_conn *conn = CMDI_CONTAINER(node, struct cmdi_conn, on_shard);
        size_t held = conn->state < CMDI_CONN_CLOSING ? cmdi_conn_held(conn) : 0;
        if (held > *most) {
            *most = held;
            victim = conn;
        }
    }
    return victim;
}

/*
 * A connection that is not open yet gives back what waits for it, and is opened again.
 * Where receive buffers are lacking, which it needs to become open, and a connection that has some waits
 * for memory, each would wait for the other for ever. Returns: who has them; NULL: nobody.
 */
static struct cmdi_conn *relieve_find_holder(
        const struct cmdi_shard *shard, const struct cmdi_conn *victim)
{
    if (victim->state >= CMDI_CONN_OPEN || cmdi_list_empty(&shard->receive.starved)) {
        return NULL;
    }
    for (struct cmdi_list *node = shard->lacking.next; node != &shard->lacking; node = node->next) {
        struct cmdi_conn *conn = relieve_conn_of(node);
        if (conn->slices.count > 0) {
            return conn;
        }
    }
    return NULL;
}

/* It waits for memory in vain. */
static void relieve_give_up(struct cmdi_shard *shard, struct cmdi_conn *conn, const char *why)
{
    CMDI_COUNT(conn->counters, out_of_memory, 1);
    cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory for %zu bytes, and %s", conn->lacks, why);
    // One of them may have sufficed.
    shard->relieve_after_ms = shard->now_ms + RELIEVE_AGAIN_MS;
}

static void relieve_evict(struct cmdi_shard *shard)
{
    size_t held = CMDI_ACCOUNT_SMALL; // A connection that holds less is not the cause.
    struct cmdi_conn *victim = relieve_find(shard, &held);
    struct cmdi_conn *holder = victim != NULL ? relieve_find_holder(shard, victim) : NULL;
    if (holder != NULL) {
        relieve_give_up(
                shard, holder, "who holds most of it lacks the receive buffer that this one has");
    } else if (victim != NULL) {
        victim->evicted = true;
        shard->evictions++;
        CMDI_COUNT(victim->counters, memory_evictions, 1);
        CMDI_COUNT(victim->counters, out_of_memory, 1);
        cmdi_conn_fail(victim, CMDS_E_MEMORY_LIMIT,
                "the shard's memory is short, and of all connections this one held most: %zu bytes",
                held);
    } else if (!cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *first = relieve_conn_of(shard->lacking.next);
        relieve_give_up(shard, first, "no connection holds much of it");
    } else {
        shard->relieve_none_ms = shard->now_ms;
    }
}

/* Is what the last one held still on its way back? Whoever waits for memory sees to a next look. */
static bool relieve_is_patient(struct cmdi_shard *shard)
{
    bool patient = shard->now_ms < shard->relieve_after_ms;
    if (patient && !cmdi_list_empty(&shard->lacking)) {
        struct cmdi_conn *first = relieve_conn_of(shard->lacking.next);
        cmdi_conn_timer_by(first, shard->relieve_after_ms);
    }
    return patient || shard->evictions > 0;
}

void cmdi_conn_relieve(struct cmdi_shard *shard)
{
    struct cmdi_account *account = &shard->buffers.account;
    bool refused = atomic_exchange_explicit(&account->shared_refused, false, memory_order_relaxed);
    refused = refused || account->refused;
    account->refused = false;
    if (shard->now_ms - shard->relieve_trim_ms >= RELIEVE_AGAIN_MS) {
        shard->relieve_trim_ms = shard->now_ms;
        cmdi_account_trim(account);
    }
    relieve_waiting(shard);
    bool rests = shard->now_ms - shard->relieve_none_ms < RELIEVE_AGAIN_MS;
    bool nearly_full = cmdi_account_used(account) > account->size_max - account->size_max / 16;
    bool waited_for = !cmdi_list_empty(&shard->lacking);
    if (!relieve_is_patient(shard) && (waited_for || ((refused || nearly_full) && !rests))) {
        relieve_evict(shard);
    }
}
