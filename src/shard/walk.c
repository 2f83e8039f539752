/* SPDX-License-Identifier: MIT */
/* See walk.h. */
#include "shard/walk.h"

#include <errno.h>
#include <string.h>

#include "ring/thread.h"
#include "shard/drive.h"
#include "shard/spans.h"

static struct cmdi_list *walk_list(const struct cmdi_walk *walk, struct cmdi_shard *shard)
{
    return walk->kind == CMDI_WALK_CONNS ? &shard->conns : &shard->calls;
}

/* --- On the shard ----------------------------------------------------------------------------- */

static void walk_begin(struct cmdi_walk *walk, struct cmdi_shard *shard)
{
    if (walk->kind == CMDI_WALK_SPANS) {
        walk->left = cmdi_spans_newest(shard->spans, walk->depth, &walk->spans_at);
        return;
    }
    CMDI_ASSERT(shard->walk_next == NULL);
    shard->walk_next = walk_list(walk, shard)->next;
    walk->left = walk->kind == CMDI_WALK_CONNS ? shard->connection_count : shard->call_count;
}

/* Returns: there is more. */
static bool walk_some_spans(struct cmdi_walk *walk, struct cmdi_spans *spans, uint32_t max)
{
    for (uint32_t i = 0; i < max && walk->left > 0; i++) {
        const struct cmds_span *span = cmdi_spans_at(spans, --walk->spans_at);
        if (span == NULL) {
            walk->left = 0; // So are those behind it.
            return false;
        }
        walk->left--;
        walk->visit_span(walk, span);
        walk->count++;
    }
    return walk->left > 0;
}

/* Returns: there is more. */
static bool walk_some(struct cmdi_walk *walk, struct cmdi_shard *shard, uint32_t max)
{
    if (walk->kind == CMDI_WALK_SPANS) {
        return walk_some_spans(walk, shard->spans, max);
    }
    struct cmdi_list *head = walk_list(walk, shard);
    for (uint32_t i = 0; i < max && walk->left > 0 && shard->walk_next != head; i++) {
        struct cmdi_list *node = shard->walk_next;
        shard->walk_next = node->next;
        walk->left--;
        walk->visit(walk, shard, node);
        walk->count++;
    }
    return walk->left > 0 && shard->walk_next != head;
}

/* A wake is a system call: behind the enter, or the turn's sends would wait for it. */
static void walk_tell(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_walk *walk = CMDI_CONTAINER(work, struct cmdi_walk, work);
    (void)shard;
    // The caller may be gone right after it; the wake needs only the address.
    atomic_store(&walk->over, 1);
    cmdi_futex_wake(&walk->over, 1);
}

static void walk_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_walk *walk = CMDI_CONTAINER(work, struct cmdi_walk, work);
    if (walk_some(walk, shard, CMDI_WALK_PER_TURN)) {
        cmdi_shard_ready(shard, work);
        return;
    }
    shard->walk_next = NULL;
    work->fn = walk_tell;
    cmdi_shard_after(shard, work);
}

static void walk_on_mail(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_walk *walk = CMDI_CONTAINER(mail, struct cmdi_walk, mail);
    walk_begin(walk, shard);
    cmdi_work_init(&walk->work, walk_run);
    cmdi_shard_ready(shard, &walk->work);
}

/* --- The caller ------------------------------------------------------------------------------- */

static void walk_shard(struct cmdi_walk *walk, struct cmdi_shard *shard)
{
    walk->mail.fn = walk_on_mail;
    atomic_store(&walk->over, 0);
    cmdi_shard_post(shard, &walk->mail);
    while (atomic_load(&walk->over) == 0) {
        cmdi_futex_wait(&walk->over, 0, UINT64_MAX);
    }
}

/* The caller is the shard's thread, and nothing else of it runs meanwhile. */
static void walk_inline(struct cmdi_walk *walk, struct cmdi_shard *shard)
{
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    walk_begin(walk, shard);
    (void)walk_some(walk, shard, UINT32_MAX);
    shard->walk_next = NULL;
    (void)cmdi_shard_set_current(before);
}

/* Of threads that are no shard: they wait for as long as a shard's turn would take, and may come in between. */
static void walk_shared_spans(struct cmdi_walk *walk, struct cmdi_spans *spans)
{
    pthread_mutex_lock(&spans->lock);
    walk->left = cmdi_spans_newest(spans, walk->depth, &walk->spans_at);
    while (walk_some_spans(walk, spans, CMDI_WALK_PER_TURN)) {
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
    pthread_mutex_lock(&runtime->walk_lock);
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        if (runtime->drive == CMDI_DRIVE_INLINE) {
            walk_inline(walk, runtime->shards[i]);
        } else {
            walk_shard(walk, runtime->shards[i]);
        }
    }
    if (walk->kind == CMDI_WALK_SPANS) {
        walk_shared_spans(walk, runtime->spans);
    }
    pthread_mutex_unlock(&runtime->walk_lock);
    walk_leave(runtime);
    return 0;
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
