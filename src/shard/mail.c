/* SPDX-License-Identifier: MIT */
/*
 * A shard's mailbox.
 *
 * Wake suppression: the shard sets `sleeping`, looks at the mailbox once more, and only then waits;
 * a poster pushes, then looks at `sleeping`. Both sides use sequentially consistent operations, so
 * one of them sees the other; whoever clears `sleeping` sends the one wake-up.
 */
#include <stddef.h>

#include "base/assert.h"
#include "ring/ring.h"
#include "ring/thread.h"
#include "shard/shard.h"

void cmdi_shard_post(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_mail *head = atomic_load_explicit(&shard->mailbox, memory_order_relaxed);
    CMDI_ASSERT_SLOW(mail->fn != NULL);
    do {
        mail->next = head;
    } while (!atomic_compare_exchange_weak_explicit(
            &shard->mailbox, &head, mail, memory_order_seq_cst, memory_order_relaxed));
    if (atomic_load(&shard->sleeping) != 0 && atomic_exchange(&shard->sleeping, 0) != 0) {
        __atomic_fetch_add(&shard->counters.wakes, 1, __ATOMIC_RELAXED);
        cmdi_ring_wake(shard->ring);
    }
}

/* What came first, of what there is. */
static struct cmdi_mail *shard_oldest_mail(struct cmdi_shard *shard)
{
    if (shard->mail_left != NULL) {
        return shard->mail_left;
    }
    struct cmdi_mail *newest = atomic_exchange(&shard->mailbox, NULL);
    struct cmdi_mail *oldest = NULL;
    while (newest != NULL) { // Posted last, first in the list: turn it round.
        struct cmdi_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

uint32_t cmdi_shard_take_mail(struct cmdi_shard *shard, bool all)
{
    if (!cmdi_shard_has_mail(shard)) {
        return 0;
    }
    uint32_t count = 0;
    cmdi_shard_begin_step(shard);
    struct cmdi_mail *mail = shard_oldest_mail(shard);
    while (mail != NULL && (all || !shard->step_over)) {
        shard->mail_left = mail->next; // Before fn: the mail may be freed or posted again in there.
        mail->fn(shard, mail);
        mail = shard->mail_left;
        cmdi_shard_worked(shard, 1);
        count++;
    }
    CMDI_COUNT(&shard->counters, posts, count);
    return count;
}

struct shard_call {
    struct cmdi_mail mail;
    void (*fn)(struct cmdi_shard *shard, void *context);
    void *context;
    _Atomic uint32_t done;
};

static void shard_call_run(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct shard_call *call = CMDI_CONTAINER(mail, struct shard_call, mail);
    call->fn(shard, call->context);
    // The caller may be gone right after it; the wake needs only the address.
    atomic_store(&call->done, 1);
    cmdi_futex_wake(&call->done, 1);
}

void cmdi_shard_call(struct cmdi_shard *shard, void (*fn)(struct cmdi_shard *shard, void *context),
        void *context)
{
    if (cmdi_thread_owned == shard) {
        fn(shard, context);
        return;
    }
    /* Nobody else would run it, and this waits. */
    CMDI_ASSERT(shard->options.drive == CMDI_DRIVE_THREAD);
    struct shard_call call = {.mail = {.fn = shard_call_run}, .fn = fn, .context = context};
    cmdi_shard_post(shard, &call.mail);
    while (atomic_load(&call.done) == 0) {
        cmdi_futex_wait(&call.done, 0, UINT64_MAX);
    }
}

void cmdi_shard_take_last_mail(struct cmdi_shard *shard)
{
    (void)cmdi_shard_take_mail(shard, true); // What was left...
    (void)cmdi_shard_take_mail(shard, true); // ... and what has come.
}
