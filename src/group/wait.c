/* SPDX-License-Identifier: MIT */
/*
 * What a group reports about itself, and waiting for it to change.
 *
 * A waiter links a futex word on its stack into the group's list, checks its condition, and sleeps
 * on the word. A change of the group sets the words of all waiters and wakes them; each checks
 * again. It clears its word before it checks: a change after the check has set the word again, and
 * the next sleep returns at once. No polling, and no cost where nobody waits.
 */
#include "group/wait.h"

#include <errno.h>

#include "base/error.h"
#include "base/time.h"
#include "group/connection.h"
#include "group/ref.h"
#include "ring/clock.h"
#include "ring/thread.h"
#include "shard/drive.h"

/* A thread that sleeps until something about the group changes. On its stack. */
struct group_waiter {
    struct cmdi_list link;
    _Atomic uint32_t woken;
};

void cmdi_group_wake(struct cmds_group *group)
{
    pthread_mutex_lock(&group->lock);
    for (struct cmdi_list *node = group->waiters.next; node != &group->waiters; node = node->next) {
        struct group_waiter *waiter = CMDI_CONTAINER(node, struct group_waiter, link);
        atomic_store(&waiter->woken, 1);
        cmdi_futex_wake(&waiter->woken, 1);
    }
    pthread_mutex_unlock(&group->lock);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

struct cmds_runtime *cmds_group_runtime(const struct cmds_group *group)
{
    return group != NULL ? group->runtime : NULL;
}

uint32_t cmds_group_connected(const struct cmds_group *group)
{
    return group != NULL ? atomic_load(&group->up_count) : 0;
}

uint32_t cmds_group_size(const struct cmds_group *group)
{
    return group != NULL ? group->options.client_count : 0;
}

/* The group is constant to the caller, but its count of users is not. */
static struct cmds_group *group_counted(const struct cmds_group *group)
{
    return (struct cmds_group *)(uintptr_t)group;
}

uint64_t cmds_group_pending(const struct cmds_group *group)
{
    uint64_t pending = 0;
    if (group == NULL || !cmdi_group_enter(group_counted(group))) {
        return 0;
    }
    uint32_t moves = 0;
    do {
        moves = atomic_load(&group->moves);
        /* First: those count on a shard before they do not here. */
        pending = atomic_load(&group->under_way);
        for (uint32_t i = 0; i < group->shard_count; i++) {
            pending += cmdi_group_shard_pending(group->shards[i]);
        }
    } while (moves != atomic_load(&group->moves));
    cmdi_group_leave(group_counted(group));
    return pending;
}

/* What is reported of each says so. The counts change a moment before that. */
static bool group_is_reported(struct cmds_group *group, bool or_up)
{
    bool reported = true;
    for (uint32_t i = 0; i < group->options.client_count && reported; i++) {
        struct cmdi_connection_view view;
        cmdi_connection_view(group, i, &view);
        reported =
                view.state == CMDS_CONNECTION_DOWN || (or_up && view.state == CMDS_CONNECTION_UP);
    }
    return reported;
}

/* Not before it is known why: who sees it may ask. */
bool cmds_group_done(const struct cmds_group *group)
{
    if (group == NULL) {
        return true;
    }
    struct cmds_group *mine = group_counted(group);
    if (cmdi_group_is_foreign(mine)) {
        return true; // Its connections are its parent's, and so is its lock.
    }
    if (atomic_load(&group->connecting_count) > 0 || atomic_load(&group->up_count) > 0) {
        return false;
    }
    if (!cmdi_group_enter(mine)) {
        return true; // It has closed.
    }
    bool done = group_is_reported(mine, false);
    cmdi_group_leave(mine);
    return done;
}

int cmds_group_error(const struct cmds_group *group, struct cmds_error *error)
{
    if (group == NULL) {
        return cmdi_fail(error, -EINVAL, "no group");
    }
    struct cmds_group *mine = group_counted(group); // Only for the lock.
    if (cmdi_group_is_foreign(mine)) {
        return cmdi_fail(error, CMDS_E_FORKED, "%s", cmds_error_text(CMDS_E_FORKED));
    }
    pthread_mutex_lock(&mine->lock);
    struct cmds_error first = group->first_error;
    pthread_mutex_unlock(&mine->lock);
    return first.code != 0 ? cmdi_fail(error, first.code, "%s", first.text) : 0;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* Returns: true: nothing to wait for. Whoever makes it true must call cmdi_group_wake(). */
typedef bool (*group_condition_fn)(struct cmds_group *group);

/* The caller has entered: it leaves soon after a close, which makes every condition true. */
static int group_wait_for(
        struct cmds_group *group, group_condition_fn condition, uint32_t timeout_ms)
{
    struct group_waiter waiter = {.woken = 0};
    uint64_t start_ms = cmdi_ns_to_ms(cmdi_now_ns());
    int code = cmdi_runtime_may_block(group->runtime);
    if (code < 0) {
        return code;
    }
    pthread_mutex_lock(&group->lock);
    cmdi_list_init(&waiter.link);
    cmdi_list_push(&group->waiters, &waiter.link);
    pthread_mutex_unlock(&group->lock);
    while (code == 0 && !condition(group)) {
        uint64_t waited_ms = cmdi_ns_to_ms(cmdi_now_ns()) - start_ms;
        uint32_t left_ms = timeout_ms == CMDS_NEVER ? CMDS_NEVER
                           : waited_ms < timeout_ms ? timeout_ms - (uint32_t)waited_ms
                                                    : 0;
        code = cmdi_runtime_wait(group->runtime, &waiter.woken, 0, left_ms);
        /* Before the next check, so that what comes after that is not lost. */
        atomic_store(&waiter.woken, 0);
    }
    pthread_mutex_lock(&group->lock);
    cmdi_list_remove(&waiter.link);
    pthread_mutex_unlock(&group->lock);
    return code;
}

/* Every connection is where it is to be by the newest list, or down. */
static bool group_has_settled(struct cmds_group *group)
{
    for (uint32_t i = 0; i < group->shard_count; i++) {
        if (atomic_load(&group->shards[i]->list_seen) != atomic_load(&group->list_version)) {
            return false;
        }
    }
    return atomic_load(&group->connecting_count) == 0 && group_is_reported(group, true);
}

/* Each is up, or has failed at least once. */
static bool group_has_tried(struct cmds_group *group)
{
    bool tried = true;
    for (uint32_t i = 0; i < group->options.client_count && tried; i++) {
        struct cmdi_connection_view view;
        cmdi_connection_view(group, i, &view);
        tried = view.state == CMDS_CONNECTION_UP || view.plain.code != 0;
    }
    return tried;
}

/* Asks each part with commands pending to report when none is left. */
static bool group_is_idle(struct cmds_group *group)
{
    uint32_t moves = 0;
    bool idle = false;
    do { // One that moves meanwhile is on neither shard when that is looked at.
        moves = atomic_load(&group->moves);
        idle = atomic_load(&group->under_way) == 0;
        for (uint32_t i = 0; i < group->shard_count; i++) {
            if (cmdi_group_shard_pending(group->shards[i]) > 0) {
                cmdi_group_shard_nudge(group->shards[i], CMDI_NUDGE_IDLE);
                idle = false;
            }
        }
    } while (idle && moves != atomic_load(&group->moves));
    return idle;
}

/* Not all are up: says how many are, and why the first that is missing is not. */
static int group_tell_missing(
        struct cmds_group *group, bool and_when, int code, struct cmds_error *error)
{
    uint32_t count = group->options.client_count;
    uint32_t up = cmds_group_connected(group);
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_connection_view view;
        cmdi_connection_view(group, i, &view);
        const struct cmds_error *why = and_when ? &view.error : &view.plain;
        if (view.state != CMDS_CONNECTION_UP && why->code != 0) {
            return cmdi_fail(
                    error, why->code, "%u of %u connected; client %u: %s", up, count, i, why->text);
        }
        if (view.state != CMDS_CONNECTION_UP && code < 0) {
            return cmdi_fail(error, code,
                    "%u of %u connected; client %u: still connecting to %.120s", up, count, i,
                    group->options.connect);
        }
    }
    return code;
}

bool cmdi_group_why_down(struct cmds_group *group, struct cmds_error *why)
{
    bool found = false;
    if (!cmdi_group_enter(group)) {
        return false;
    }
    for (uint32_t i = 0; i < group->options.client_count && !found; i++) {
        struct cmdi_connection_view view;
        if (cmds_group_connected(group) > 0) {
            break;
        }
        cmdi_connection_view(group, i, &view);
        found = view.error.code != 0;
        *why = view.error;
    }
    cmdi_group_leave(group);
    return found;
}

/* `is_open`: of a sender's: one that is up will do, and the error does not say what comes next. */
static int group_wait(struct cmds_group *group, group_condition_fn condition, bool is_open,
        uint32_t timeout_ms, struct cmds_error *error)
{
    if (!cmdi_group_enter(group)) {
        return cmdi_fail(error, CMDS_E_CLOSED, "wait: the group was closed");
    }
    int code = group_wait_for(group, condition, timeout_ms);
    if (code < 0 && code != CMDS_E_TIMEOUT) {
        (void)cmdi_fail(error, code, "wait: %s", cmds_error_text(code));
    } else if (!is_open || cmds_group_connected(group) == 0) {
        code = group_tell_missing(group, !is_open, code, error);
    }
    cmdi_group_leave(group);
    return code;
}

int cmds_group_wait(struct cmds_group *group, uint32_t timeout_ms, struct cmds_error *error)
{
    if (group == NULL) {
        return cmdi_fail(error, -EINVAL, "wait: no group");
    }
    return group_wait(group, group_has_settled, false, timeout_ms, error);
}

int cmdi_group_wait_first_round(struct cmds_group *group, struct cmds_error *error)
{
    return group_wait(group, group_has_tried, true, CMDS_NEVER, error);
}

int cmds_group_drain(struct cmds_group *group, uint32_t timeout_ms)
{
    if (group == NULL) {
        return -EINVAL;
    }
    if (!cmdi_group_enter(group)) {
        return 0; // With the group everything has ended.
    }
    int code = group_wait_for(group, group_is_idle, timeout_ms);
    cmdi_group_leave(group);
    return code;
}
