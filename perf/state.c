/* SPDX-License-Identifier: MIT */
/*
 * What it costs an exec function to change state, by whose it is: a counter of the shard's own, one
 * of all shards that is atomic or behind a mutex, one whose owner is asked by a post. Nanoseconds of
 * a shard per change, both sides of a post together, of the best of some rounds on a runtime that
 * runs: once with nothing between two changes, once with the work that a small command makes.
 *
 *     state [shards [counter|own|atomic|mutex|post|batch]]
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/runtime.h>

enum {
    SHARDS_MAX = 16,
    CHANGES = 100000,  // By each shard, in a round.
    CHUNK = 512,       // And in a turn, as with so many commands in one read.
    BATCH = 32,        // Changes that one post carries.
    BATCHES = 512,     // That may be on their way,
    POSTS_MAX = 16384, // and changes; a shard takes 65536 posts.
    ROUNDS = 30,       // Many: another program may have the core in most of them.
    STEPS = 120,       // Of work between two changes.
};

enum way {
    NOTHING,
    COUNTER, // Of the shard's own, which nobody else reads.
    OWN,     // The same, atomic: others may read it.
    ATOMIC,  // One for all.
    MUTEX,   // One for all, and its lock.
    POST,    // The next shard owns it, and gets a post for each change,
    BATCHED, // or for so many.
    WAYS
};
static const char *const names[WAYS] = {
        "nothing", "counter", "own", "atomic", "mutex", "post", "batch"};

struct batch {
    _Atomic bool is_busy;
    uint32_t count;
    uint64_t amounts[BATCH];
    struct worker *to;
};
struct worker {
    _Alignas(64) uint64_t count;
    _Atomic uint64_t own;
    uint64_t seed;
    uint32_t shard, left, batch;
    struct worker *next;
    struct batch batches[BATCHES];
};

static struct worker workers[SHARDS_MAX];
static struct cmds_runtime *runtime;
static uint32_t shard_count, steps;
static enum way way;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(64) uint64_t of_all;
static _Alignas(64) _Atomic uint64_t atomic_of_all;
static _Alignas(64) _Atomic uint32_t done; // Shards that have made their changes, or had them made.
static uint64_t end_ns;
static sem_t over;

static void finish(void)
{
    if (atomic_fetch_add(&done, 1) + 1 == shard_count) {
        end_ns = cmds_now_ns();
        (void)sem_post(&over);
    }
}

static void work(struct worker *worker)
{
    for (uint32_t i = 0; i < steps; i++) {
        worker->seed = (worker->seed ^ worker->seed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    }
}

/* Runs on the owner's shard. */
static void owner_add(struct worker *owner, uint64_t amount, uint32_t changes)
{
    owner->count += amount;
    owner->own += changes;
    if (owner->own == CHANGES) {
        finish();
    }
}

static void run_one(void *context)
{
    owner_add(context, 1, 1);
}

static void run_batch(void *context)
{
    struct batch *batch = context;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        sum += batch->amounts[i];
    }
    owner_add(batch->to, sum, batch->count);
    batch->count = 0;
    atomic_store_explicit(&batch->is_busy, false, memory_order_release);
}

/* Returns: false: too many posts wait. */
static bool change_by_batch(struct worker *worker)
{
    struct batch *batch = &worker->batches[worker->batch];
    if (atomic_load_explicit(&batch->is_busy, memory_order_acquire)) {
        return false;
    }
    batch->amounts[batch->count++] = 1;
    if (batch->count == BATCH || worker->left == 1) {
        batch->to = worker->next;
        batch->is_busy = true;
        worker->batch = (worker->batch + 1) % BATCHES;
        return cmds_runtime_post(runtime, worker->next->shard, run_batch, batch) == 0;
    }
    return true;
}

static bool change(struct worker *worker)
{
    switch (way) {
    case COUNTER:
        *(volatile uint64_t *)&worker->count += 1;
        return true;
    case OWN:
        atomic_fetch_add_explicit(&worker->own, 1, memory_order_relaxed);
        return true;
    case ATOMIC:
        atomic_fetch_add_explicit(&atomic_of_all, 1, memory_order_relaxed);
        return true;
    case MUTEX:
        (void)pthread_mutex_lock(&mutex);
        of_all++;
        (void)pthread_mutex_unlock(&mutex);
        return true;
    case POST:
        return cmds_runtime_post(runtime, worker->next->shard, run_one, worker->next) == 0;
    case BATCHED:
        return change_by_batch(worker);
    default:
        return true;
    }
}

static bool has_room(struct worker *worker)
{
    return (way != POST && way != BATCHED) ||
           CHANGES - worker->left - worker->next->own < POSTS_MAX;
}

static void worker_run(void *context)
{
    struct worker *worker = context;
    uint32_t count = has_room(worker) ? CHUNK : 0;
    for (uint32_t i = 0; i < count && worker->left > 0; i++) {
        work(worker);
        if (!change(worker)) {
            break;
        }
        worker->left--;
    }
    if (worker->left == 0) {
        if (way != POST && way != BATCHED) { // There the owner says so.
            finish();
        }
    } else if (cmds_runtime_post(runtime, worker->shard, worker_run, worker) < 0) {
        abort();
    }
}

static double measure(void)
{
    done = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        struct worker *worker = &workers[i];
        worker->next = &workers[(i + 1) % shard_count];
        worker->shard = i;
        worker->left = CHANGES;
        worker->own = 0;
        worker->seed = i + 1;
    }
    uint64_t since_ns = cmds_now_ns();
    for (uint32_t i = 0; i < shard_count; i++) {
        if (cmds_runtime_post(runtime, i, worker_run, &workers[i]) < 0) {
            abort();
        }
    }
    (void)sem_wait(&over);
    return (double)(end_ns - since_ns) / CHANGES;
}

/* In turns with the same without a change, so that both meet the same machine. */
static double measure_with(uint32_t work_steps, enum way which)
{
    double best[2] = {1e9, 1e9};
    steps = work_steps;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        way = round % 2 == 0 ? NOTHING : which;
        double ns = measure();
        best[round % 2] = ns < best[round % 2] ? ns : best[round % 2];
    }
    return best[1] - best[0];
}

int main(int argc, char **argv)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    shard_count = options.shard_count = argc > 1 ? (uint32_t)atoi(argv[1]) : 2;
    if (shard_count == 0 || shard_count > SHARDS_MAX || sem_init(&over, 0, 0) < 0 ||
            cmds_runtime_start(&runtime, &options, &error) < 0) {
        fprintf(stderr, "state: %s\n", error.text);
        return 1;
    }
    for (int i = COUNTER; i < WAYS; i++) {
        if (argc < 3 || strcmp(argv[2], names[i]) == 0) {
            double alone = measure_with(0, (enum way)i);
            printf("%-8s %u shards: %6.1f ns, between other work %6.1f ns\n", names[i], shard_count,
                    alone, measure_with(STEPS, (enum way)i));
        }
    }
    cmds_runtime_stop(runtime);
    return 0;
}
