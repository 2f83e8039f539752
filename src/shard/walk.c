/* SPDX-License-Identifier: MIT */
/* See walk.h. */
#include "shard/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/clock.h"
#include "ring/thread.h"
#include "shard/drive.h"
#include "shard/spans.h"

enum {
    WALK_VISIT_NS = 10 * 1000, // A part ends after so long: between two looks at the clock
    WALK_STRIDE = 32,          // so many are visited.
};

_Static_assert(CMDI_WALK_PER_TURN % WALK_STRIDE == 0, "a part is whole strides");

static struct cmdi_list *walk_list(const struct cmdi_walk *walk, struct cmdi_shard *shard)
{
    return walk->kind == CMDI_WALK_CONNS ? &shard->conns : &shard->calls;
}

/* --- On the shard ----------------------------------------------------------------------------- */

static bool errand_move(
        struct cmdi_errand *errand, enum cmdi_errand_state from, enum cmdi_errand_state to)
{
    uint32_t expected = from;
    return atomic_compare_exchange_strong(&errand->state, &expected, to);
}

static void walk_begin(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_errand *errand)
{
    errand->begun = errand->number;
    if (walk->kind == CMDI_WALK_SPANS) {
        shard->walk_next = NULL;
        errand->left = cmdi_spans_newest(shard->spans, walk->depth, &walk->spans_at);
        return;
    }
    shard->walk_next = walk_list(walk, shard)->next;
    errand->left = walk->kind == CMDI_WALK_CONNS ? shard->connection_count : shard->call_count;
}

/* Returns: there is more. */
static bool walk_some_spans(
        struct cmdi_walk *walk, struct cmdi_spans *spans, uint32_t *left, uint32_t max)
{
    for (uint32_t i = 0; i<max && * left> 0; i++) {
        const struct cmds_span *span = cmdi_spans_at(spans, --walk->spans_at);
        if (span == NULL) {
            *left = 0; // So are those behind it.
            return false;
        }
        --*left;
        walk->visit_span(walk, span);
        walk->count++;
    }
    return *left > 0;
}

/* Returns: there is more. */
static bool walk_some(
        struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_errand *errand, uint32_t max)
{
    if (walk->kind == CMDI_WALK_SPANS) {
        return walk_some_spans(walk, shard->spans, &errand->left, max);
    }
    struct cmdi_list *head = walk_list(walk, shard);
    for (uint32_t i = 0; i < max && errand->left > 0 && shard->walk_next != head; i++) {
        struct cmdi_list *node = shard->walk_next;
        shard->walk_next = node->next;
        errand->left--;
        walk->visit(walk, shard, node);
        walk->count++;
    }
    return errand->left > 0 && shard->walk_next != head;
}

/* Returns: there is more. `errand` is VISITING. */
static bool walk_part(struct cmdi_shard *shard, struct cmdi_errand *errand)
{
    if (errand->begun != errand->number) { // One that was given up may have been begun before.
        walk_begin(errand->walk, shard, errand);
    }
    uint64_t since_ns = cmdi_now_ns();
    uint32_t left = CMDI_WALK_PER_TURN;
    bool more = true;
    do { // What is visited may be in no cache, and the list in no page yet.
        more = walk_some(errand->walk, shard, errand, WALK_STRIDE);
        left -= WALK_STRIDE;
    } while (more && left > 0 && // Spans are looked at faster than that.
             (errand->walk->kind == CMDI_WALK_SPANS || cmdi_now_ns() - since_ns < WALK_VISIT_NS));
    shard->walk_next = more ? shard->walk_next : NULL;
    atomic_fetch_add(&errand->progress, 1);
    return more;
}

static void walk_run(struct cmdi_shard *shard, struct cmdi_work *work);

/* A wake is a system call: behind the enter, or the turn's sends would wait for it. */
static void walk_tell(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_errand *errand = CMDI_CONTAINER(work, struct cmdi_errand, work);
    if (errand_move(errand, CMDI_ERRAND_SEEN, CMDI_ERRAND_OVER)) {
        cmdi_futex_wake(&errand->state, 1);
        return;
    }
    work->fn = walk_run; // It was given up, and perhaps another one asks.
    cmdi_shard_ready(shard, work);
}

static void walk_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_errand *errand = CMDI_CONTAINER(work, struct cmdi_errand, work);
    while (!errand_move(errand, CMDI_ERRAND_ASKED, CMDI_ERRAND_VISITING)) {
        shard->walk_next = NULL;
        if (errand_move(errand, CMDI_ERRAND_DROPPED, CMDI_ERRAND_FREE)) {
            return; // Whoever asks next may have posted it again.
        }
    }
    bool more = walk_part(shard, errand);
    atomic_store(&errand->state, more ? CMDI_ERRAND_ASKED : CMDI_ERRAND_SEEN);
    if (more) {
        cmdi_shard_ready(shard, work);
        return;
    }
    work->fn = walk_tell;
    cmdi_shard_after(shard, work);
}

static void walk_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_errand *errand = CMDI_CONTAINER(mail, struct cmdi_errand, mail);
    cmdi_work_init(&errand->work, walk_run);
    cmdi_shard_ready(shard, &errand->work);
}

/* --- The asker -------------------------------------------------------------------------------- */

/* It has no other one in hand: a walk holds the runtime's turn. */
static void walk_ask(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_errand *errand,
        uint64_t now_ns)
{
    errand->walk = walk;
    errand->number++;
    bool is_there = errand_move(errand, CMDI_ERRAND_DROPPED, CMDI_ERRAND_ASKED);
    if (!is_there || atomic_load(&errand->owed_ns) == 0) {
        atomic_store(&errand->owed_ns, now_ns);
    }
    if (is_there) {
        return; // It is on its way, or waits there, since somebody gave it up.
    }
    CMDI_ASSERT(atomic_load(&errand->state) == CMDI_ERRAND_FREE);
    errand->mail.fn = walk_on_mail;
    atomic_store(&errand->state, CMDI_ERRAND_ASKED);
    cmdi_shard_post(shard, &errand->mail);
}

/* A turn that has begun long ago is silence, too. */
static uint64_t walk_silent_since(const struct cmdi_shard *shard, uint64_t moved_ns)
{
    uint64_t busy_ns = atomic_load_explicit(&shard->busy_since_ns, memory_order_relaxed);
    return busy_ns != 0 && busy_ns < moved_ns ? busy_ns : moved_ns;
}

/* Returns: the shard has nothing of the walk any more; *seen: all was visited. */
static bool walk_take(struct cmdi_errand *errand, bool *seen)
{
    *seen = errand_move(errand, CMDI_ERRAND_OVER, CMDI_ERRAND_FREE);
    return *seen;
}

/* The same without patience: one that is VISITING is over soon. */
static bool walk_give_up(struct cmdi_errand *errand, bool *seen)
{
    if (errand_move(errand, CMDI_ERRAND_ASKED, CMDI_ERRAND_DROPPED)) {
        *seen = false;
        return true;
    }
    if (errand_move(errand, CMDI_ERRAND_SEEN, CMDI_ERRAND_DROPPED)) {
        atomic_store(&errand->owed_ns, 0); // But for the wake it is done.
        *seen = true;
        return true;
    }
    return walk_take(errand, seen);
}

/* Returns: all was visited; false: the shard was given up. */
static bool walk_wait(const struct cmdi_shard *shard, struct cmdi_errand *errand, uint64_t end_ns)
{
    uint64_t moved_ns = cmdi_now_ns();
    uint32_t progress = atomic_load(&errand->progress);
    for (bool seen; !walk_take(errand, &seen);) {
        uint32_t state = atomic_load(&errand->state);
        uint64_t now_ns = cmdi_now_ns();
        if (atomic_load(&errand->progress) != progress) {
            progress = atomic_load(&errand->progress);
            moved_ns = now_ns;
        }
        uint64_t until_ns = walk_silent_since(shard, moved_ns) + CMDI_WALK_SILENCE_NS;
        until_ns = until_ns < end_ns ? until_ns : end_ns;
        if (now_ns >= until_ns && walk_give_up(errand, &seen)) {
            return seen;
        }
        if (state != CMDI_ERRAND_OVER) {
            uint64_t wait_ns = now_ns < until_ns ? until_ns - now_ns : WALK_VISIT_NS;
            cmdi_futex_wait(&errand->state, state, wait_ns);
        }
    }
    return true;
}

/* The caller is the shard's thread, and nothing else of it runs meanwhile. */
static void walk_inline(
        struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_errand *errand)
{
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    walk_begin(walk, shard, errand);
    (void)walk_some(walk, shard, errand, UINT32_MAX);
    shard->walk_next = NULL;
    (void)cmdi_shard_set_current(before);
}

/* Of threads that are no shard: they wait for as long as a shard's turn would take, and may come in between. */
static void walk_shared_spans(struct cmdi_walk *walk, struct cmdi_spans *spans)
{
    pthread_mutex_lock(&spans->lock);
    uint32_t left = cmdi_spans_newest(spans, walk->depth, &walk->spans_at);
    while (walk_some_spans(walk, spans, &left, CMDI_WALK_PER_TURN)) {
        pthread_mutex_unlock(&spans->lock);
        pthread_mutex_lock(&spans->lock);
    }
    pthread_mutex_unlock(&spans->lock);
}

static int walk_enter(struct cmds_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    bool is_open = atomic_load(&runtime->stopping) == 0;
    atomic_fetch_add(&runtime->walks, is_open);
    pthread_mutex_unlock(&runtime->lock);
    return is_open ? 0 : CMDS_E_CLOSED;
}

/* Under the lock, so that the runtime is not freed before the wake is over. */
static void walk_leave(struct cmds_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    if (atomic_fetch_sub(&runtime->walks, 1) == 1) {
        cmdi_futex_wake(&runtime->walks, 1);
    }
    pthread_mutex_unlock(&runtime->lock);
}

/* A mutex would wait as long as it takes. Returns: false: the others took all the time there is. */
static bool walk_take_turn(struct cmds_runtime *runtime, uint64_t end_ns)
{
    for (uint32_t is_taken = 0; !atomic_compare_exchange_strong(&runtime->walking, &is_taken, 1);
            is_taken = 0) {
        uint64_t now_ns = cmdi_now_ns();
        if (now_ns >= end_ns) {
            return false;
        }
        cmdi_futex_wait(&runtime->walking, 1, end_ns - now_ns);
    }
    return true;
}

static void walk_pass_turn(struct cmds_runtime *runtime)
{
    atomic_store(&runtime->walking, 0);
    cmdi_futex_wake(&runtime->walking, 1);
}

/* Returns: 0; CMDS_E_TIMEOUT. */
static int walk_shards(struct cmds_runtime *runtime, struct cmdi_walk *walk, uint64_t end_ns)
{
    bool seen = true;
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        struct cmdi_shard *shard = runtime->shards[i];
        struct cmdi_errand *errand = &runtime->errands[i];
        if (runtime->drive == CMDI_DRIVE_INLINE) {
            walk_inline(walk, shard, errand);
        } else {
            walk_ask(walk, shard, errand, cmdi_now_ns());
            seen &= walk_wait(shard, errand, end_ns);
        }
    }
    return seen ? 0 : CMDS_E_TIMEOUT;
}

/* Whoever asks first would have to turn it from then on: a thread that only looks must not. */
static bool walk_has_begun(const struct cmds_runtime *runtime)
{
    return runtime->drive == CMDI_DRIVE_THREAD || atomic_load(&runtime->turner_known) != 0 ||
           cmdi_runtime_is_foreign(runtime) || cmdi_shard_current() != NULL;
}

int cmdi_runtime_walk(struct cmds_runtime *runtime, struct cmdi_walk *walk)
{
    int code = walk_has_begun(runtime) ? cmdi_runtime_may_block(runtime) : -EXDEV;
    if (code < 0) {
        return code;
    }
    code = walk_enter(runtime);
    if (code < 0) {
        return code;
    }
    uint64_t end_ns = cmdi_now_ns() + CMDI_WALK_NS;
    code = CMDS_E_TIMEOUT;
    if (walk_take_turn(runtime, end_ns)) {
        code = walk_shards(runtime, walk, end_ns);
        if (walk->kind == CMDI_WALK_SPANS) {
            walk_shared_spans(walk, runtime->spans);
        }
        walk_pass_turn(runtime);
    }
    walk_leave(runtime);
    return code;
}

struct cmdi_errand *cmdi_errands_create(uint32_t count)
{
    return calloc(count, sizeof(struct cmdi_errand));
}

/* --- Rows ------------------------------------------------------------------------------------- */

int cmdi_rows_take(struct cmdi_rows *rows, void *list, size_t max, const size_t *count)
{
    uint32_t size = 0;
    if (count == NULL || (list == NULL && max > 0)) {
        return -EINVAL;
    }
    if (max > 0) {
        memcpy(&size, list, sizeof(size));
        if (size < 2 * sizeof(size) || size % sizeof(uint64_t) != 0) {
            return -EINVAL;
        }
    }
    *rows = (struct cmdi_rows){.data = list, .stride = size, .max = max};
    return 0;
}

void cmdi_rows_put(const struct cmdi_rows *rows, size_t index, const void *mine, size_t size)
{
    uint32_t stride = (uint32_t)rows->stride;
    char *row = rows->data + index * rows->stride;
    CMDI_ASSERT(index < rows->max && size > sizeof(stride));
    size = size < rows->stride ? size : rows->stride;
    memcpy(row, mine, size);
    memcpy(row, &stride, sizeof(stride));
}

void cmdi_rows_text(char *member, size_t size, const char *text)
{
    memcpy(member, text, strnlen(text, size - 1));
}
