/* SPDX-License-Identifier: MIT */
/*
 * A route. While `refuse` lasts its listener is closed, and bound anew afterwards: whoever connects
 * meanwhile is refused by the kernel, as with a server that is away.
 */
#include "chaos/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chaos/link.h"
#include "ring/socket.h"

enum {
    TARGET_BACKLOG = 4096,
    TARGET_KNOWN_MS = 1000, // So long an address that was looked up is taken for true.
    TARGET_AGAIN_MS = 50,   // The port is another's for the moment.
};

static struct cmdi_shard *target_shard(const struct cmdi_chaos_target *target)
{
    return target->chaos->shard;
}

static bool target_suffers(const struct cmdi_chaos_target *target, enum cmdi_chaos_kind kind)
{
    return target->spells[kind].until_ms > cmdi_shard_clock_ms(target_shard(target));
}

/* --- Where it is ------------------------------------------------------------------------------ */

static void target_on_looked_up(struct cmdi_shard *shard, struct cmdi_mail *mail);

/* Of the lookup's thread. */
static void target_on_resolved(void *context, const struct cmdi_address *addresses, uint32_t count,
        const struct cmds_error *error)
{
    struct cmdi_chaos_target *target = context;
    memcpy(target->found, addresses, count * sizeof(addresses[0]));
    target->found_count = count;
    target->found_error = *error;
    cmdi_shard_post(target_shard(target), &target->mail);
}

/* Returns: its addresses are known; else a lookup is under way, or could not begin. */
static int target_look_up(struct cmdi_chaos_target *target)
{
    uint64_t now_ms = cmdi_shard_clock_ms(target_shard(target));
    if (target->address_count > 0 &&
            (target->is_numeric || now_ms - target->known_ms < TARGET_KNOWN_MS)) {
        return 1;
    }
    if (target->resolve != NULL) {
        return 0;
    }
    return cmdi_resolve_begin(
            &target->resolve, target->text, CMDI_ADDRESSES_MAX, NULL, target_on_resolved, target);
}

/* A link that waits goes on, if nothing holds it. */
static void target_go_on(struct cmdi_chaos_target *target, struct cmdi_link *link)
{
    if (target_suffers(target, CMDI_CHAOS_HANG)) {
        cmdi_link_wait(link);
        return;
    }
    int code = target_look_up(target);
    if (code > 0) {
        cmdi_link_connect(link);
    } else if (code == 0) {
        cmdi_link_wait(link);
    } else {
        cmdi_link_refuse(link, "no thread for its name could be started");
    }
}

static void target_on_looked_up(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_chaos_target *target = CMDI_CONTAINER(mail, struct cmdi_chaos_target, mail);
    cmdi_resolve_let_go(target->resolve);
    target->resolve = NULL;
    memcpy(target->addresses, target->found, target->found_count * sizeof(target->found[0]));
    target->address_count = target->found_count;
    target->known_ms = shard->now_ms;
    for (struct cmdi_list *node = target->links.next; node != &target->links; node = node->next) {
        struct cmdi_link *link = CMDI_CONTAINER(node, struct cmdi_link, link);
        bool waits = link->state == CMDI_LINK_WAITING && !target_suffers(target, CMDI_CHAOS_HANG);
        if (waits && target->address_count > 0) {
            cmdi_link_connect(link);
        } else if (waits) {
            cmdi_link_refuse(link, target->found_error.text);
        }
    }
}

/* --- The listener ----------------------------------------------------------------------------- */

static struct cmdi_chaos_target *target_of(struct cmdi_listener *listener)
{
    return CMDI_CONTAINER(listener, struct cmdi_chaos_target, listener);
}

static void target_on_accepted(struct cmdi_listener *listener, int fd)
{
    struct cmdi_chaos_target *target = target_of(listener);
    struct cmdi_chaos *chaos = target->chaos;
    if (chaos->closing || cmdi_link_open(target, fd) < 0) {
        cmdi_socket_reset(fd);
        cmdi_fd_close(fd);
        return;
    }
    target_go_on(target, CMDI_CONTAINER(target->links.prev, struct cmdi_link, link));
}

static bool target_may_accept(struct cmdi_listener *listener)
{
    const struct cmdi_chaos *chaos = target_of(listener)->chaos;
    return chaos->link_count < chaos->options.connection_count_max;
}

static void target_on_accept_error(struct cmdi_listener *listener, int code, uint32_t rest_ms)
{
    cmdi_shard_log(listener->shard, CMDS_REASON_ACCEPT, CMDS_LOG_WARN,
            "accept: %s; next try in %u ms", strerror(-code), rest_ms);
}

static void target_settle(struct cmdi_chaos_target *target);

/* Perhaps because a fault began that is over by now. */
static void target_on_listener_closed(struct cmdi_listener *listener)
{
    struct cmdi_chaos_target *target = target_of(listener);
    target->chaos->listening -= target->listens;
    target->listens = false;
    target_settle(target);
    target->chaos->on_gone(target->chaos);
}

static const struct cmdi_listener_ops target_listener_ops = {
        .on_accepted = target_on_accepted,
        .may_accept = target_may_accept,
        .on_error = target_on_accept_error,
        .on_closed = target_on_listener_closed,
};

/* LISTENING. Returns: 0; -ENOMEM: it is CLOSED. */
static int target_accept(struct cmdi_chaos_target *target)
{
    int code = cmdi_listener_start(&target->listener);
    if (code < 0) {
        cmdi_listener_close(&target->listener);
        return code;
    }
    target->listens = true;
    target->chaos->listening++;
    return 0;
}

/* Returns: 0; else the next try is up to the caller. */
static int target_listen_again(struct cmdi_chaos_target *target)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code =
            cmdi_listener_bind(&target->listener, &target->bound, TARGET_BACKLOG, false, 0, &error);
    code = code < 0 ? code : target_accept(target);
    if (code < 0) {
        cmdi_shard_log(target_shard(target), CMDS_REASON_ACCEPT, CMDS_LOG_WARN,
                "cannot listen again yet: %s", error.text);
    }
    return code;
}

/*
 * The listener is as the faults want it, or will be when on_closed is called. Returns: when to look again;
 * UINT64_MAX: need not be.
 */
static uint64_t target_settle_listener(struct cmdi_chaos_target *target)
{
    if (target_suffers(target, CMDI_CHAOS_REFUSE)) {
        cmdi_listener_stop(&target->listener);
        return UINT64_MAX;
    }
    uint64_t again_ms = cmdi_shard_clock_ms(target_shard(target)) + TARGET_AGAIN_MS;
    return target->listens || target_listen_again(target) == 0 ? UINT64_MAX : again_ms;
}

/* Links that were held go on. */
static void target_settle_links(struct cmdi_chaos_target *target)
{
    for (struct cmdi_list *node = target->links.next; node != &target->links; node = node->next) {
        struct cmdi_link *link = CMDI_CONTAINER(node, struct cmdi_link, link);
        if (link->state == CMDI_LINK_WAITING && target->resolve == NULL) {
            target_go_on(target, link);
        }
    }
}

/* Everything is as the faults want it, and the timer is armed for the next change. */
static void target_settle(struct cmdi_chaos_target *target)
{
    struct cmdi_shard *shard = target_shard(target);
    if (target->chaos->closing || !target->has_begun) {
        return;
    }
    uint64_t wake_ms = target_settle_listener(target);
    target_settle_links(target);
    for (uint32_t kind = CMDI_CHAOS_REFUSE; kind <= CMDI_CHAOS_HANG; kind++) {
        uint64_t until_ms = target->spells[kind].until_ms;
        bool is_next = target_suffers(target, kind) && until_ms < wake_ms;
        wake_ms = is_next ? until_ms : wake_ms;
    }
    if (wake_ms != UINT64_MAX) {
        cmdi_shard_timer(shard, &target->timer, wake_ms);
    } else {
        cmdi_shard_timer_off(shard, &target->timer);
    }
}

static void target_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    target_settle(CMDI_CONTAINER(timer, struct cmdi_chaos_target, timer));
}

int cmdi_chaos_target_start(struct cmdi_chaos_target *target)
{
    int code = 0;
    target->has_begun = true;
    if (target_suffers(target, CMDI_CHAOS_REFUSE)) {
        cmdi_listener_close(&target->listener); // Nobody was accepted yet, and nobody will be.
    } else {
        code = target_accept(target);
    }
    if (code == 0) {
        target_settle(target);
    }
    return code;
}

void cmdi_chaos_target_resume(struct cmdi_chaos_target *target)
{
    cmdi_listener_resume(&target->listener);
}

void cmdi_chaos_target_stop(struct cmdi_chaos_target *target)
{
    CMDI_ASSERT(target->chaos->closing);
    cmdi_shard_timer_off(target_shard(target), &target->timer);
    cmdi_listener_stop(&target->listener);
    for (struct cmdi_list *node = target->links.next; node != &target->links; node = node->next) {
        cmdi_link_drop(CMDI_CONTAINER(node, struct cmdi_link, link));
    }
}

/* --- Faults ----------------------------------------------------------------------------------- */

uint32_t cmdi_chaos_target_befall(struct cmdi_chaos_target *target, enum cmdi_chaos_kind kind,
        uint8_t ways, uint64_t until_ms)
{
    uint32_t count = 0;
    uint64_t now_ms = cmdi_shard_clock_ms(target_shard(target));
    if (kind < CMDI_CHAOS_LASTING) {
        cmdi_spell_add(&target->spells[kind], ways, until_ms, now_ms);
    }
    if (kind == CMDI_CHAOS_REFUSE || kind == CMDI_CHAOS_HANG) {
        target->chaos->counters.faults[kind]++;
        target_settle(target);
        return 1;
    }
    for (struct cmdi_list *node = target->links.next; node != &target->links; node = node->next) {
        struct cmdi_link *link = CMDI_CONTAINER(node, struct cmdi_link, link);
        if (!cmdi_link_is_live(link)) {
            continue;
        }
        count++;
        if (kind < CMDI_CHAOS_LASTING) {
            target->chaos->counters.faults[kind]++;
            cmdi_link_look(link);
        } else {
            cmdi_link_befall(link, kind, ways, until_ms);
        }
    }
    return count;
}

void cmdi_chaos_target_heal(struct cmdi_chaos_target *target)
{
    memset(target->spells, 0, sizeof(target->spells));
    for (struct cmdi_list *node = target->links.next; node != &target->links; node = node->next) {
        struct cmdi_link *link = CMDI_CONTAINER(node, struct cmdi_link, link);
        memset(link->spells, 0, sizeof(link->spells));
        cmdi_link_look(link);
    }
    target_settle(target);
}

/* --- Life ------------------------------------------------------------------------------------- */

int cmdi_chaos_target_init(struct cmdi_chaos_target *target, struct cmdi_chaos *chaos,
        uint32_t index, const struct cmdi_chaos_route *route, struct cmds_error *error)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    target->chaos = chaos;
    target->index = index;
    target->text = strdup(route->target);
    target->is_numeric = cmdi_address_is_numeric(route->target);
    target->mail.fn = target_on_looked_up;
    cmdi_list_init(&target->links);
    cmdi_timer_init(&target->timer, target_on_timer);
    cmdi_listener_init(&target->listener, chaos->shard, &target_listener_ops, true);
    if (target->text == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a route");
    }
    if (target->is_numeric) {
        int count =
                cmdi_address_resolve(route->target, target->addresses, CMDI_ADDRESSES_MAX, error);
        if (count < 0) {
            return count;
        }
        target->address_count = (uint32_t)count;
    }
    int count = cmdi_address_resolve(route->listen, addresses, CMDI_ADDRESSES_MAX, error);
    if (count < 0) {
        return count;
    }
    int code =
            cmdi_listener_bind(&target->listener, &addresses[0], TARGET_BACKLOG, false, 0, error);
    target->bound = target->listener.address;
    return code;
}

void cmdi_chaos_target_forget(struct cmdi_chaos_target *target)
{
    struct cmdi_resolve *resolve = target->resolve;
    target->resolve = NULL;
    cmdi_resolve_let_go(resolve);
}

void cmdi_chaos_target_fini(struct cmdi_chaos_target *target)
{
    CMDI_ASSERT(target->chaos == NULL || cmdi_list_empty(&target->links));
    if (target->chaos != NULL && target->listener.state == CMDI_LISTENER_LISTENING) {
        cmdi_listener_close(&target->listener);
    }
    free(target->text);
}
