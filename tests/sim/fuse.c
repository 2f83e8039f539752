/* SPDX-License-Identifier: MIT */
/* See fuse.h. */
#include "sim/fuse.h"

#include "sim/oracle.h"

static void fuse_on_state(void *context, enum cmds_breaker_state state)
{
    struct fuse *fuse = context;
    fuse->opened += state == CMDS_BREAKER_OPEN;
}

static void fuse_on_success(void *context, enum cmds_breaker_state state)
{
    struct fuse *fuse = context;
    (void)state;
    fuse->successes++;
}

static void fuse_on_failure(void *context, enum cmds_breaker_state state)
{
    struct fuse *fuse = context;
    (void)state;
    fuse->failures++;
}

void fuse_begin(struct fuse *fuse, const struct scenario_client *plan)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    *fuse = (struct fuse){.breaker = NULL};
    options.window_size = plan->breaker_window;
    options.failure_rate = (double)plan->breaker_percent / 100;
    options.open_ms = plan->breaker_open_ms;
    options.success_threshold = plan->breaker_threshold;
    options.half_open_max = plan->breaker_trials;
    options.context = fuse;
    options.on_state = fuse_on_state;
    options.on_success = fuse_on_success;
    options.on_failure = fuse_on_failure;
    if (plan->breaker_window == 0 || cmds_breaker_new(&fuse->breaker, &options, NULL) < 0) {
        fuse->breaker = NULL;
    }
}

struct cmds_breaker_info fuse_look(const struct fuse *fuse)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    if (fuse->breaker != NULL) {
        cmds_breaker_look(fuse->breaker, &info);
    }
    return info;
}

void fuse_sent(struct fuse *fuse, int code, const struct cmds_breaker_info *before)
{
    if (code != CMDS_E_NOT_ALLOWED) {
        return;
    }
    struct cmds_breaker_info now = fuse_look(fuse);
    fuse->refused++;
    if (fuse->breaker == NULL || (before != NULL && before->state == CMDS_BREAKER_CLOSED &&
                                         before->opened == now.opened)) {
        (void)oracle_fail("a command was refused, and the breaker was closed");
    }
}

void fuse_touch(const struct fuse *fuse)
{
    if (fuse->breaker == NULL || !oracle_chance(200)) {
        return;
    }
    if (oracle_chance(2)) {
        cmds_breaker_open(fuse->breaker);
    } else {
        cmds_breaker_reset(fuse->breaker);
    }
}

static void fuse_check(const struct fuse *fuse, const struct oracle_sums *sums)
{
    if (fuse->successes < sums->good || fuse->successes > sums->good_max) {
        (void)oracle_fail("a breaker saw %llu successes, and there were %llu to %llu",
                (unsigned long long)fuse->successes, (unsigned long long)sums->good,
                (unsigned long long)sums->good_max);
    }
    if (fuse->failures < sums->bad || fuse->failures > sums->bad_max) {
        (void)oracle_fail("a breaker saw %llu failures, and there were %llu to %llu",
                (unsigned long long)fuse->failures, (unsigned long long)sums->bad,
                (unsigned long long)sums->bad_max);
    }
}

void fuse_end(struct fuse *fuse, uint32_t life)
{
    struct cmds_breaker_info info = fuse_look(fuse);
    struct oracle_sums sums = oracle_life_sums(life);
    if (fuse->breaker == NULL) {
        return;
    }
    if (info.trials != 0) {
        (void)oracle_fail(
                "a breaker waits for %u trials, and all commands have ended", info.trials);
    }
    if (info.refused != fuse->refused || info.opened != fuse->opened) {
        (void)oracle_fail(
                "a breaker has refused %llu and opened %llu times, and it did %llu and %llu times",
                (unsigned long long)info.refused, (unsigned long long)info.opened,
                (unsigned long long)fuse->refused, (unsigned long long)fuse->opened);
    }
    fuse_check(fuse, &sums);
    cmds_breaker_free(fuse->breaker);
}
