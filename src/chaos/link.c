/* SPDX-License-Identifier: MIT */
/*
 * A connection through the proxy: moves bytes from side to side, and what faults make of it.
 *
 * One function, link_run(), looks at everything: what may be sent, received, passed on, and when to look
 * again. It is called whenever something may have changed. See inside.h for the states.
 */
#include "chaos/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ring/socket.h"

enum {
    LINK_ENDING_MS = 2000,         // After FINs of ours: for both peers to finish.
    LINK_RESET_PATIENCE_MS = 1000, // A reset waits so long for the bytes before it.
    LINK_DELAY_STEPS = 60,         // A delay is told apart in so many steps: marks are few.
};

#define BIT(state) (1u << CMDI_LINK_##state)

static const uint8_t link_moves[] = {
        [CMDI_LINK_WAITING] = BIT(CONNECTING) | BIT(CLOSING),
        [CMDI_LINK_CONNECTING] = BIT(OPEN) | BIT(CLOSING),
        [CMDI_LINK_OPEN] = BIT(HALF) | BIT(ENDING) | BIT(CLOSING),
        [CMDI_LINK_HALF] = BIT(CLOSING),
        [CMDI_LINK_ENDING] = BIT(CLOSING),
        [CMDI_LINK_CLOSING] = 0,
};

static void link_move(struct cmdi_link *link, enum cmdi_link_state next)
{
    CMDI_ASSERT((link_moves[link->state] >> next & 1) != 0);
    link->state = (uint8_t)next;
}

static struct cmdi_chaos *link_chaos(const struct cmdi_link *link)
{
    return link->target->chaos;
}

static struct cmdi_shard *link_shard(const struct cmdi_link *link)
{
    return link_chaos(link)->shard;
}

static const struct cmdi_chaos_options *link_options(const struct cmdi_link *link)
{
    return &link_chaos(link)->options;
}

static uint64_t link_now(const struct cmdi_link *link)
{
    return cmdi_shard_clock_ms(link_shard(link));
}

bool cmdi_link_is_live(const struct cmdi_link *link)
{
    return link->state <= CMDI_LINK_OPEN;
}

/* --- What befalls it -------------------------------------------------------------------------- */

static uint64_t spell_until(const struct cmdi_spell *spell, uint32_t way, uint64_t now_ms)
{
    return spell->until_ms > now_ms && (spell->ways >> way & 1) != 0 ? spell->until_ms : 0;
}

/* Its own and its target's. Returns: when the later one heals; 0: there is none. */
static uint64_t link_spell(
        const struct cmdi_link *link, enum cmdi_chaos_kind kind, uint32_t way, uint64_t now_ms)
{
    uint64_t own = spell_until(&link->spells[kind], way, now_ms);
    uint64_t targets = spell_until(&link->target->spells[kind], way, now_ms);
    return own > targets ? own : targets;
}

static void link_wake_by(struct cmdi_link *link, uint64_t at_ms)
{
    link->wake_ms = at_ms < link->wake_ms ? at_ms : link->wake_ms;
}

/* When a byte that comes now is to leave. */
static uint64_t link_due(struct cmdi_link *link, uint32_t way, uint64_t now_ms)
{
    struct cmdi_chaos_range range = link_options(link)->delay_ms;
    if (link_spell(link, CMDI_CHAOS_DELAY, way, now_ms) == 0) {
        return now_ms;
    }
    uint64_t step = range.max / LINK_DELAY_STEPS + 1u;
    uint64_t due = now_ms + cmdi_draw_range(&link->draw, range);
    return (due + step - 1) / step * step;
}

/* How many of `size` ripe bytes go now. 0: none, and the timer is told when. */
static size_t link_allowance(struct cmdi_link *link, uint32_t way, size_t size, uint64_t now_ms)
{
    const struct cmdi_chaos_options *options = link_options(link);
    if ((link->trigger_ways >> way & 1) != 0 && size > link->trigger_left) {
        size = link->trigger_left;
    }
    if (size > options->split && link_spell(link, CMDI_CHAOS_SPLIT, way, now_ms) != 0) {
        size = options->split;
    }
    if (size > 0 && link_spell(link, CMDI_CHAOS_THROTTLE, way, now_ms) != 0) {
        uint64_t wait_ms = 0;
        size = cmdi_bucket_allow(&link->buckets[way], options->throttle, now_ms, size, &wait_ms);
        if (size == 0) {
            link_wake_by(link, now_ms + wait_ms);
        } else {
            cmdi_bucket_spend(&link->buckets[way], size);
        }
    }
    return size;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void link_on_gone(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_link *link = CMDI_CONTAINER(work, struct cmdi_link, closed);
    struct cmdi_chaos *chaos = link_chaos(link);
    for (uint32_t way = 0; way < 2; way++) {
        cmdi_buffers_return(&shard->buffers, link->pipes[way].data, link->pipes[way].capacity);
    }
    cmdi_list_remove(&link->link);
    free(link);
    chaos->link_count--;
    chaos->on_gone(chaos);
}

/* Both sides close; what has led here may still look at the link. */
static void link_close(struct cmdi_link *link, bool reset)
{
    link_move(link, CMDI_LINK_CLOSING);
    cmdi_shard_timer_off(link_shard(link), &link->timer);
    for (uint32_t i = 0; i < 2; i++) {
        if (cmdi_side_is_open(&link->sides[i]) && !link->sides[i].aborted) {
            cmdi_side_abort(&link->sides[i], reset);
        }
    }
}

void cmdi_link_drop(struct cmdi_link *link)
{
    if (link->state != CMDI_LINK_CLOSING) {
        link_close(link, true);
    }
}

static void link_watch(struct cmdi_link *link, uint32_t i)
{
    struct cmdi_side *side = &link->sides[i];
    if ((link->over >> i & 1) == 0 && !cmdi_side_does(side, CMDI_SIDE_WATCH)) {
        cmdi_side_watch(side);
    }
}

/*
 * What the one that never learns still sends is taken and dropped: its FIN would not come through a
 * window that is shut.
 */
static void link_halve(struct cmdi_link *link, uint32_t victim)
{
    struct cmdi_side *other = &link->sides[1 - victim];
    link_move(link, CMDI_LINK_HALF);
    cmdi_shard_timer_off(link_shard(link), &link->timer);
    cmdi_side_abort(&link->sides[victim], true);
    if (!cmdi_side_does(other, CMDI_SIDE_RECV)) {
        cmdi_side_recv(other);
    }
}

/* A FIN each, wherever the bytes stand. What they still send is received, or a close would reset them. */
static void link_cut(struct cmdi_link *link)
{
    link_move(link, CMDI_LINK_ENDING);
    link->over = 0;
    for (uint32_t i = 0; i < 2; i++) {
        cmdi_side_finish(&link->sides[i]);
        if (!cmdi_side_does(&link->sides[i], CMDI_SIDE_RECV)) {
            cmdi_side_recv(&link->sides[i]);
        }
    }
    cmdi_shard_timer(link_shard(link), &link->timer, link_now(link) + LINK_ENDING_MS);
}

/* --- The way to the target -------------------------------------------------------------------- */

static void link_refuse(struct cmdi_link *link, const char *reason)
{
    struct cmdi_chaos *chaos = link_chaos(link);
    chaos->counters.not_connected++;
    cmdi_shard_log(chaos->shard, CMDS_REASON_CLIENT, CMDS_LOG_WARN,
            "connection %llu is reset: its target %s: %s", (unsigned long long)link->number,
            link->target->text, reason);
    link_close(link, true);
}

/* CONNECTING, and nothing is under way. */
static void link_try_next(struct cmdi_link *link)
{
    const struct cmdi_chaos_target *target = link->target;
    while (link->address_next < target->address_count) {
        int code = cmdi_side_connect(&link->sides[1], &target->addresses[link->address_next++]);
        if (code == 0) {
            return;
        }
        link->connect_code = code;
    }
    link_refuse(link, strerror(-link->connect_code));
}

void cmdi_link_connect(struct cmdi_link *link)
{
    CMDI_ASSERT(link->target->address_count > 0);
    link_move(link, CMDI_LINK_CONNECTING);
    link_try_next(link);
}

void cmdi_link_refuse(struct cmdi_link *link, const char *reason)
{
    CMDI_ASSERT(link->state == CMDI_LINK_WAITING);
    link_refuse(link, reason);
}

/* --- Moving bytes ----------------------------------------------------------------------------- */

/* Returns: the link is no longer OPEN. */
static bool link_pass_end(struct cmdi_link *link, uint32_t way, uint64_t now_ms)
{
    const struct cmdi_pipe *pipe = &link->pipes[way];
    enum cmdi_pipe_end end = cmdi_pipe_ended(pipe, now_ms);
    bool is_pushed = cmdi_pipe_size(pipe) > 0 && now_ms < pipe->end_due_ms + LINK_RESET_PATIENCE_MS;
    if (end == CMDI_PIPE_RESET && is_pushed) {
        link_wake_by(link, pipe->end_due_ms + LINK_RESET_PATIENCE_MS);
    } else if (end == CMDI_PIPE_RESET) {
        link_close(link, true);
    } else if (end == CMDI_PIPE_FINISHED && (link->passed >> way & 1) == 0) {
        link->passed |= (uint8_t)(1u << way);
        cmdi_side_finish(&link->sides[1 - way]);
        if ((link->passed | link->broken) == CMDI_CHAOS_BOTH) {
            link_close(link, false);
        }
    }
    return link->state != CMDI_LINK_OPEN;
}

static void link_send(struct cmdi_link *link, uint32_t way, uint64_t now_ms)
{
    struct cmdi_side *to = &link->sides[1 - way];
    if (cmdi_side_does(to, CMDI_SIDE_SEND) || (link->broken >> way & 1) != 0) {
        return;
    }
    struct cmds_bytes bytes = cmdi_pipe_ripe(&link->pipes[way], now_ms);
    bytes.size = bytes.size > 0 ? link_allowance(link, way, bytes.size, now_ms) : 0;
    if (bytes.size > 0) {
        bool counts = (link->trigger_ways >> way & 1) != 0;
        link->trigger_left -= counts ? (uint32_t)bytes.size : 0;
        link->moved += counts ? bytes.size : 0;
        cmdi_side_send(to, bytes);
    }
}

/* A receive fills a whole buffer: it is armed only where there is room for one. */
static void link_recv(struct cmdi_link *link, uint32_t way)
{
    struct cmdi_pipe *pipe = &link->pipes[way];
    struct cmdi_side *from = &link->sides[way];
    size_t received = cmdi_ring_buffer_size_max(&link_shard(link)->options.ring);
    size_t most = link_options(link)->buffer_size - received;
    bool is_over = pipe->end != CMDI_PIPE_GOES_ON || (link->broken >> way & 1) != 0;
    if (is_over || cmdi_side_does(from, CMDI_SIDE_RECV)) {
        return;
    }
    if (cmdi_pipe_size(pipe) <= most) {
        cmdi_side_recv(from);
    } else {
        link_watch(link, way); // A reset is not behind what it does not read.
    }
}

/* Returns: the link is no longer OPEN. */
static bool link_run_way(struct cmdi_link *link, uint32_t way, uint64_t now_ms)
{
    uint64_t hole_ms = link_spell(link, CMDI_CHAOS_BLACK_HOLE, way, now_ms);
    if (hole_ms != 0) {
        link_wake_by(link, hole_ms);
        link_watch(link, way);
        return false;
    }
    link_send(link, way, now_ms);
    if (link_pass_end(link, way, now_ms)) {
        return true;
    }
    link_recv(link, way);
    link_wake_by(link, cmdi_pipe_next_ms(&link->pipes[way], now_ms));
    return false;
}

static void link_run(struct cmdi_link *link)
{
    if (link->state != CMDI_LINK_OPEN) {
        return;
    }
    uint64_t now_ms = link_now(link);
    link->wake_ms = UINT64_MAX;
    if (link_run_way(link, 0, now_ms) || link_run_way(link, 1, now_ms)) {
        return;
    }
    if (link->wake_ms == UINT64_MAX) {
        cmdi_shard_timer_off(link_shard(link), &link->timer);
    } else {
        cmdi_shard_timer(link_shard(link), &link->timer, link->wake_ms);
    }
}

void cmdi_link_look(struct cmdi_link *link)
{
    link_run(link);
}

static void link_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmdi_link *link = CMDI_CONTAINER(timer, struct cmdi_link, timer);
    if (link->state == CMDI_LINK_ENDING) {
        link_close(link, true);
    } else {
        link_run(link);
    }
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void link_disarm_trigger(struct cmdi_link *link)
{
    link->trigger = CMDI_CHAOS_KINDS;
    link->trigger_ways = 0;
    link->trigger_left = 0;
}

/* The next fault that comes by bytes. */
static void link_draw_trigger(struct cmdi_link *link)
{
    const uint32_t kinds = ~(1u << CMDI_CHAOS_REFUSE | 1u << CMDI_CHAOS_HANG);
    const struct cmdi_chaos_options *options = link_options(link);
    uint32_t share = options->share != 0 ? options->share : 100;
    bool is_hit = cmdi_draw_below(&link->draw, 100) < share;
    enum cmdi_chaos_kind kind = cmdi_plan_draw_kind(options, &link->draw, kinds);
    uint8_t ways = cmdi_plan_draw_ways(options, &link->draw);
    uint32_t left = cmdi_draw_range(&link->draw, options->after_bytes);
    link_disarm_trigger(link);
    if (options->by_bytes && is_hit && kind != CMDI_CHAOS_KINDS) {
        link->trigger = (uint8_t)kind;
        link->trigger_ways = ways;
        link->trigger_left = left;
    }
}

static void link_strike(
        struct cmdi_link *link, enum cmdi_chaos_kind kind, uint8_t ways, uint64_t until_ms)
{
    if (kind < CMDI_CHAOS_OF_LINKS) {
        cmdi_spell_add(&link->spells[kind], ways, until_ms, link_now(link));
        link_run(link);
    } else if (link->state != CMDI_LINK_OPEN || kind == CMDI_CHAOS_RESET) {
        link_close(link, true);
    } else if (kind == CMDI_CHAOS_CUT) {
        link_cut(link);
    } else {
        bool drawn = cmdi_draw_below(&link->draw, 2) != 0;
        link_halve(link, ways == CMDI_CHAOS_UP || (ways != CMDI_CHAOS_DOWN && drawn) ? 1 : 0);
    }
}

void cmdi_link_befall(
        struct cmdi_link *link, enum cmdi_chaos_kind kind, uint8_t ways, uint64_t until_ms)
{
    CMDI_ASSERT(cmdi_link_is_live(link));
    CMDI_ASSERT(kind != CMDI_CHAOS_REFUSE && kind != CMDI_CHAOS_HANG);
    link_chaos(link)->counters.faults[kind]++;
    link_strike(link, kind, ways, until_ms);
}

/* It has moved as many bytes as the trigger wants, and they have left. */
static void link_befallen_by_bytes(struct cmdi_link *link)
{
    struct cmdi_chaos *chaos = link_chaos(link);
    struct cmdi_chaos_event event = {.at_ms = cmdi_chaos_ms(chaos),
            .kind = (enum cmdi_chaos_kind)link->trigger,
            .by_bytes = true,
            .ways = link->trigger_ways,
            .target = link->target->index,
            .count = 1,
            .connection = link->number,
            .bytes = link->moved};
    for (uint32_t way = 0; way < 2; way++) {
        bool counts = (link->trigger_ways >> way & 1) != 0;
        if (counts && cmdi_side_does(&link->sides[1 - way], CMDI_SIDE_SEND)) {
            return;
        }
    }
    if (!cmdi_plan_is_on(&chaos->options, event.at_ms)) {
        link_disarm_trigger(link);
        return;
    }
    if (event.kind < CMDI_CHAOS_LASTING) {
        event.lasts_ms = cmdi_plan_draw_lasts(&chaos->options, &link->draw, event.at_ms);
    }
    link_draw_trigger(link);
    if (event.lasts_ms == CMDS_NEVER || link->trigger_left == 0) {
        link_disarm_trigger(link); // It has what it was to have, and for good.
    }
    if (chaos->options.on_event != NULL) {
        chaos->options.on_event(chaos->options.context, &event);
    }
    cmdi_link_befall(
            link, event.kind, event.ways, cmdi_chaos_until(link_now(link), event.lasts_ms));
}

static void link_check_trigger(struct cmdi_link *link)
{
    if (link->state == CMDI_LINK_OPEN && link->trigger != CMDI_CHAOS_KINDS &&
            link->trigger_left == 0) {
        link_befallen_by_bytes(link);
    }
}

/* --- What its sides say ----------------------------------------------------------------------- */

static struct cmdi_link *link_of(struct cmdi_side *side)
{
    return CMDI_CONTAINER(side - side->index, struct cmdi_link, sides);
}

static void link_on_opened(struct cmdi_link *link)
{
    link_move(link, CMDI_LINK_OPEN);
    link_check_trigger(link);
    link_run(link);
}

static void link_on_connected(struct cmdi_side *side, int result)
{
    struct cmdi_link *link = link_of(side);
    CMDI_ASSERT(link->state == CMDI_LINK_CONNECTING && side->index == 1);
    if (result == 0) {
        link_on_opened(link);
    } else {
        link->connect_code = result;
        cmdi_side_abort(side, true); // Then the next address.
    }
}

/* Side `index` takes no more. Of what it has sent, everything is passed on that has come. */
static void link_break(struct cmdi_link *link, uint32_t way)
{
    link->broken |= (uint8_t)(1u << way);
    if ((link->passed >> (1 - way) & 1) != 0 || link->broken == CMDI_CHAOS_BOTH) {
        link_close(link, true);
    }
}

static void link_on_sent(struct cmdi_side *side, int result)
{
    struct cmdi_link *link = link_of(side);
    struct cmdi_chaos_counters *counters = &link_chaos(link)->counters;
    uint32_t way = 1u - side->index;
    struct cmdi_pipe *pipe = &link->pipes[way];
    if (result > 0) {
        cmdi_pipe_take(pipe, (size_t)result);
        counters->bytes_up += way == 0 ? (uint64_t)result : 0;
        counters->bytes_down += way == 1 ? (uint64_t)result : 0;
    }
    if (pipe->data != NULL && cmdi_pipe_size(pipe) == 0) {
        cmdi_buffers_return(&link_shard(link)->buffers, pipe->data, pipe->capacity);
        pipe->data = NULL;
    }
    if (result <= 0 && link->state == CMDI_LINK_OPEN) {
        link_break(link, way);
    }
    link_check_trigger(link);
    link_run(link);
}

/* Returns: there is memory for what has come. */
static bool link_has_memory(struct cmdi_link *link, struct cmdi_pipe *pipe)
{
    if (pipe->data == NULL) {
        pipe->data = cmdi_buffers_lease(
                &link_shard(link)->buffers, link_options(link)->buffer_size, &pipe->capacity);
    }
    return pipe->data != NULL;
}

/* OPEN. */
static void link_take(struct cmdi_link *link, uint32_t way, int result, struct cmds_bytes bytes)
{
    struct cmdi_pipe *pipe = &link->pipes[way];
    uint64_t now_ms = link_now(link);
    bool passes = result == -EAGAIN || result == -EINTR;
    if (pipe->end != CMDI_PIPE_GOES_ON || passes) {
        link_run(link); // A watch was faster, and what came is behind a reset; or nothing came.
    } else if (result == -ENOBUFS) {
        (void)cmdi_receive_grow(&link_shard(link)->receive, link_shard(link)->counters.turns);
        link_run(link);
    } else if (result > 0 && !link_has_memory(link, pipe)) {
        cmdi_shard_log(link_shard(link), CMDS_REASON_MEMORY, CMDS_LOG_WARN,
                "connection %llu is reset: no memory for what it has sent",
                (unsigned long long)link->number);
        link_close(link, true);
    } else if (result > 0) {
        cmdi_pipe_put(pipe, bytes, link_due(link, way, now_ms));
        link_run(link);
    } else {
        cmdi_pipe_finish(pipe, result == 0 ? CMDI_PIPE_FINISHED : CMDI_PIPE_RESET,
                link_due(link, way, now_ms));
        link_run(link);
    }
}

static void link_on_received(struct cmdi_side *side, int result, struct cmds_bytes bytes)
{
    struct cmdi_link *link = link_of(side);
    bool is_over = result <= 0 && result != -ENOBUFS && result != -EAGAIN && result != -EINTR;
    if (link->state == CMDI_LINK_OPEN) {
        link_take(link, side->index, result, bytes);
    } else if (link->state != CMDI_LINK_CLOSING && !is_over) {
        cmdi_side_recv(side); // HALF, ENDING: what still comes is dropped.
    } else if (link->state == CMDI_LINK_HALF) {
        link_close(link, true);
    } else if (link->state == CMDI_LINK_ENDING) {
        link->over |= (uint8_t)(1u << side->index);
        if (link->over == CMDI_CHAOS_BOTH) {
            link_close(link, false);
        }
    }
}

/* Nobody is there any more, and nothing will move that could tell. */
static bool link_is_lost(const struct cmdi_link *link, uint64_t now_ms)
{
    if (link->state == CMDI_LINK_WAITING) {
        return link->target->spells[CMDI_CHAOS_HANG].until_ms == UINT64_MAX;
    }
    return link->over == CMDI_CHAOS_BOTH &&
           link_spell(link, CMDI_CHAOS_BLACK_HOLE, 0, now_ms) == UINT64_MAX &&
           link_spell(link, CMDI_CHAOS_BLACK_HOLE, 1, now_ms) == UINT64_MAX;
}

static void link_on_watched(struct cmdi_side *side, int events)
{
    struct cmdi_link *link = link_of(side);
    uint32_t way = side->index;
    uint64_t now_ms = link_now(link);
    bool failed = (events & CMDI_SIDE_FAILED) != 0;
    struct cmdi_pipe *pipe = &link->pipes[way];
    if (!cmdi_link_is_live(link)) {
        return; // It receives, and learns so.
    }
    link->over |= (uint8_t)(1u << way);
    if ((failed && link->state <= CMDI_LINK_CONNECTING) || link_is_lost(link, now_ms)) {
        link_close(link, true);
    } else if (link->state == CMDI_LINK_OPEN && failed && pipe->end != CMDI_PIPE_RESET &&
               link_spell(link, CMDI_CHAOS_BLACK_HOLE, way, now_ms) == 0) {
        cmdi_pipe_finish(pipe, CMDI_PIPE_RESET, link_due(link, way, now_ms));
        link_run(link);
    }
}

static void link_on_closed(struct cmdi_side *side)
{
    struct cmdi_link *link = link_of(side);
    if (link->state == CMDI_LINK_CONNECTING) {
        link_try_next(link);
    } else if (link->state == CMDI_LINK_CLOSING && !cmdi_side_is_open(&link->sides[0]) &&
               !cmdi_side_is_open(&link->sides[1])) {
        cmdi_shard_ready(link_shard(link), &link->closed);
    }
}

static const struct cmdi_side_ops link_side_ops = {
        .on_connected = link_on_connected,
        .on_received = link_on_received,
        .on_sent = link_on_sent,
        .on_watched = link_on_watched,
        .on_closed = link_on_closed,
};

/* --- Its beginning ---------------------------------------------------------------------------- */

/* What lasts at its target befalls it as well. */
static void link_count_spells(struct cmdi_link *link)
{
    uint64_t now_ms = link_now(link);
    for (uint32_t kind = 0; kind < CMDI_CHAOS_OF_LINKS; kind++) {
        bool lasts = link->target->spells[kind].until_ms > now_ms;
        link_chaos(link)->counters.faults[kind] += lasts;
    }
}

int cmdi_link_open(struct cmdi_chaos_target *target, int fd)
{
    struct cmdi_chaos *chaos = target->chaos;
    struct cmdi_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return -ENOMEM;
    }
    link->target = target;
    link->number = ++chaos->number;
    link->state = CMDI_LINK_WAITING;
    cmdi_list_init(&link->link);
    cmdi_timer_init(&link->timer, link_on_timer);
    cmdi_work_init(&link->closed, link_on_gone);
    cmdi_draw_init(&link->draw, chaos->options.seed, link->number);
    cmdi_side_init(&link->sides[0], chaos->shard, &link_side_ops, 0);
    cmdi_side_init(&link->sides[1], chaos->shard, &link_side_ops, 1);
    if (cmdi_side_take(&link->sides[0], fd) < 0) {
        free(link);
        return -ENOMEM;
    }
    link_draw_trigger(link);
    cmdi_list_push(&target->links, &link->link);
    chaos->link_count++;
    chaos->counters.accepted++;
    link_count_spells(link);
    return 0;
}

void cmdi_link_wait(struct cmdi_link *link)
{
    CMDI_ASSERT(link->state == CMDI_LINK_WAITING);
    link_watch(link, 0);
}
