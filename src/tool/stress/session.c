/* SPDX-License-Identifier: MIT */
/*
 * Sessions: each draws its next command from (seed, number), and when to send it. All of a session runs on
 * its worker's shard; time comes from the ticks that the main thread posts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "stress/draw.h"
#include "stress/stress.h"

enum {
    SESSION_FLIGHTS_MIN = 4,
    SESSION_NS_PER_MS = 1000 * 1000,
};

static void session_go(struct stress_session *session);
static void session_on_result(void *context, const struct cmds_result *result);

/* --- Lists ----------------------------------------------------------------------------------------- */

static void session_free_flight(struct stress_session *session, struct stress_flight *flight)
{
    flight->next = NULL;
    *session->end = flight;
    session->end = &flight->next;
}

static struct stress_flight *session_take_flight(struct stress_session *session)
{
    struct stress_flight *flight = session->first;
    session->first = flight->next;
    if (session->first == NULL) {
        session->end = &session->first;
    }
    return flight;
}

static void session_put_back(struct stress_session *session, struct stress_flight *flight)
{
    atomic_store_explicit(&flight->state, STRESS_FLIGHT_FREE, memory_order_relaxed);
    flight->next = session->first;
    if (session->first == NULL) {
        session->end = &flight->next;
    }
    session->first = flight;
}

static void session_wait_in(struct stress_session *session, struct stress_session **list,
        enum stress_session_state state)
{
    session->state = (uint8_t)state;
    session->next = *list;
    *list = session;
}

/* A pause longer than the wheel goes round more than once. */
static void session_pause(struct stress_session *session, uint64_t ms)
{
    struct stress_worker *worker = session->worker;
    session->due_ms = worker->now_ms + (ms > 0 ? ms : 1);
    session_wait_in(
            session, &worker->wheel[session->due_ms % STRESS_WHEEL_SIZE], STRESS_SESSION_PAUSED);
}

/* Each goes on, and may wait in the same list again. */
static void session_wake_all(struct stress_session **list)
{
    struct stress_session *session = *list;
    *list = NULL;
    while (session != NULL) {
        struct stress_session *next = session->next;
        session->state = STRESS_SESSION_READY;
        session_go(session);
        session = next;
    }
}

/* --- Sending --------------------------------------------------------------------------------------- */

static void session_forget_later(struct stress_session *session, struct cmds_ticket ticket)
{
    struct stress_worker *worker = session->worker;
    if (worker->forget_count < STRESS_FORGETS_MAX) {
        worker->forgets[worker->forget_count++] = (struct stress_ticket_due){ticket, session->lot};
    }
}

/* A command that no connection took. Returns: whether the session may go on at once. */
static bool session_refused(struct stress_session *session, struct stress_flight *flight, int code)
{
    struct stress_worker *worker = session->worker;
    session_put_back(session, flight);
    if (code == -ENOBUFS) {
        STRESS_COUNT(worker, full);
        session_wait_in(session, &worker->full, STRESS_SESSION_FULL);
        return false; // The same command again.
    }
    session->drawn++;
    STRESS_COUNT(worker, begun);
    STRESS_COUNT(worker, ended);
    stress_count_error(worker, flight, code, cmds_error_text(code));
    session_pause(session, stress_retry_ms(worker->stress, flight->number));
    return false;
}

/* Returns: false: it waits for something. */
static bool session_send(struct stress_session *session)
{
    struct stress_worker *worker = session->worker;
    uint64_t number = session->index << 32 | session->drawn;
    struct stress_draw draw = stress_draw(worker->stress, number);
    union stress_value value;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = draw.deadline_ms;
    how.ticket = draw.forget ? &ticket : NULL;
    how.sticky_key = session->index; // Of a strategy that cares.
    how.resend = draw.resend ? CMDS_RESEND_ONCE : CMDS_RESEND_NEVER;

    struct stress_flight *flight = session_take_flight(session);
    how.data = flight;
    stress_flight_begin(flight, &draw, number);
    struct cmds_group *group = atomic_load_explicit(&session->lot->group, memory_order_acquire);
    int code = cmds_group_send(
            group, stress_message(worker, &draw, number, &value), &how, session_on_result, flight);
    if (code < 0) {
        return session_refused(session, flight, code);
    }
    session->drawn++;
    session->out++;
    STRESS_COUNT(worker, begun);
    if (draw.forget) {
        session_forget_later(session, ticket);
    }
    return true;
}

static bool session_is_allowed(struct stress_session *session)
{
    struct stress_worker *worker = session->worker;
    if (!(worker->stress->options.rate > 0) || session->lot->manner == STRESS_LOT_SLOW) {
        return true;
    }
    if (worker->allowance < 1) {
        session_wait_in(session, &worker->thirsty, STRESS_SESSION_THIRST);
        return false;
    }
    worker->allowance -= 1;
    return true;
}

static void session_go(struct stress_session *session)
{
    const struct stress *stress = session->worker->stress;
    while (session->state == STRESS_SESSION_READY && session->out < session->lot->in_flight &&
            !atomic_load_explicit(&stress->stopping, memory_order_relaxed) &&
            session_is_allowed(session) && session_send(session)) {
    }
}

/* After a command: of a session with pauses, whether there is one, and how long it is. */
static uint64_t session_draw_pause(const struct stress_session *session, uint64_t number)
{
    const struct stress *stress = session->worker->stress;
    const struct stress_options *options = &stress->options;
    double share = stress_draw_share(stress, number, STRESS_PAUSE);
    if (session->lot->manner != STRESS_LOT_SLOW || share < options->no_pause_prob) {
        return 0;
    }
    if (share < options->no_pause_prob + options->workload_pause_prob) {
        return stress_draw_below(
                stress, number, STRESS_PAUSE, 1, (uint64_t)options->workload_pause_max_ms + 1);
    }
    STRESS_COUNT(session->worker, keepalive);
    return options->keepalive_time_ms + stress_draw_below(stress, number, STRESS_PAUSE, 1,
                                                (uint64_t)options->keepalive_pause_max_ms + 1);
}

/* The command of this flight has ended. */
static void session_flight_over(struct stress_flight *flight)
{
    struct stress_session *session = flight->session;
    uint64_t number = flight->number;
    session_free_flight(session, flight);
    session->out--;
    if (session->state != STRESS_SESSION_READY) {
        return;
    }
    uint64_t pause_ms = session_draw_pause(session, number);
    if (pause_ms > 0) {
        session_pause(session, pause_ms);
    } else {
        session_go(session);
    }
}

/* A list that any shard adds to, and its worker takes whole. */
static void session_give_back(struct stress_worker *owner, struct stress_flight *flight)
{
    struct stress_flight *first = atomic_load_explicit(&owner->returned, memory_order_relaxed);
    do {
        flight->next = first;
    } while (!atomic_compare_exchange_weak_explicit(
            &owner->returned, &first, flight, memory_order_release, memory_order_relaxed));
}

/* On the connection's shard, which is another one than the session's if that had no connection. */
static void session_on_result(void *context, const struct cmds_result *result)
{
    struct stress_flight *flight = context;
    struct stress_worker *owner = flight->session->worker;
    struct stress_worker *here = stress_worker_here(owner->stress);
    if (!stress_flight_result(here, flight, result)) {
        return;
    }
    if (here == owner) {
        session_flight_over(flight);
    } else {
        session_give_back(owner, flight);
    }
}

/* --- Ticks ----------------------------------------------------------------------------------------- */

static void session_tick_returned(struct stress_worker *worker)
{
    struct stress_flight *flight =
            atomic_exchange_explicit(&worker->returned, NULL, memory_order_acquire);
    while (flight != NULL) {
        struct stress_flight *next = flight->next;
        session_flight_over(flight);
        flight = next;
    }
}

static void session_tick_slot(struct stress_worker *worker, uint64_t ms)
{
    struct stress_session **slot = &worker->wheel[ms % STRESS_WHEEL_SIZE];
    struct stress_session *session = *slot;
    *slot = NULL;
    while (session != NULL) {
        struct stress_session *next = session->next;
        if (session->due_ms > worker->now_ms) {
            session_wait_in(session, slot, STRESS_SESSION_PAUSED);
        } else {
            session->state = STRESS_SESSION_READY;
            session_go(session);
        }
        session = next;
    }
}

static void session_tick_rate(struct stress_worker *worker, uint64_t passed_ms)
{
    const struct stress *stress = worker->stress;
    double per_ms = stress->options.rate / 1000.0 / stress->worker_count;
    worker->allowance += per_ms * (double)passed_ms;
    double most = per_ms * 100 > 1 ? per_ms * 100 : 1;
    worker->allowance = worker->allowance < most ? worker->allowance : most;
    session_wake_all(&worker->thirsty);
}

static void session_count_waiting(struct stress_worker *worker)
{
    uint32_t count = 0;
    for (struct stress_session *session = worker->full; session != NULL; session = session->next) {
        count++;
    }
    atomic_store_explicit(&worker->waiting, count, memory_order_relaxed);
}

void stress_tick(void *context)
{
    struct stress_worker *worker = context;
    atomic_store_explicit(&worker->ticking, false, memory_order_relaxed);
    uint64_t now_ms = cmdi_tool_now_ns() / SESSION_NS_PER_MS;
    uint64_t from_ms = worker->now_ms + 1;
    uint64_t passed_ms = now_ms - worker->now_ms;
    worker->now_ms = now_ms;
    for (uint32_t i = 0; i < worker->forget_count; i++) {
        struct stress_ticket_due *due = &worker->forgets[i];
        struct cmds_group *group = atomic_load_explicit(&due->lot->group, memory_order_acquire);
        (void)cmds_group_forget(group, due->ticket); // It may be over already.
    }
    worker->forget_count = 0;
    session_tick_returned(worker);
    if (atomic_exchange_explicit(&worker->writable, false, memory_order_relaxed)) {
        session_wake_all(&worker->full);
    }
    if (passed_ms > STRESS_WHEEL_SIZE) {
        from_ms = now_ms - STRESS_WHEEL_SIZE + 1; // Each slot once.
    }
    for (uint64_t ms = from_ms; ms <= now_ms; ms++) {
        session_tick_slot(worker, ms);
    }
    if (worker->stress->options.rate > 0) {
        session_tick_rate(worker, passed_ms);
    }
    if (atomic_load_explicit(&worker->stress->stopping, memory_order_relaxed)) {
        session_count_waiting(worker);
    }
}

/*
 * Of this shard's connections; but it may have been a session of another shard that they refused, and its
 * send may not have returned yet.
 */
void stress_on_writable(void *context)
{
    struct stress *stress = ((struct stress_lot *)context)->stress;
    for (uint32_t i = 0; i < stress->worker_count; i++) {
        atomic_store_explicit(&stress->workers[i].writable, true, memory_order_relaxed);
    }
    session_wake_all(&stress_worker_here(stress)->full);
}

/* --- Making ---------------------------------------------------------------------------------------- */

static uint32_t session_flight_count(const struct stress_lot *lot)
{
    uint32_t count = lot->in_flight * 2;
    return count > SESSION_FLIGHTS_MIN ? count : SESSION_FLIGHTS_MIN;
}

static void session_make(struct stress *stress, struct stress_lot *lot, uint32_t index,
        struct stress_flight *flights)
{
    struct stress_session *session = &stress->sessions[index];
    *session = (struct stress_session){
            .worker = &stress->workers[index % stress->worker_count], .lot = lot, .index = index};
    session->end = &session->first;
    for (uint32_t i = 0; i < session_flight_count(lot); i++) {
        flights[i].session = session;
        session_free_flight(session, &flights[i]);
    }
    // The first tick begins it.
    session->due_ms = session->worker->now_ms + 1;
    session_wait_in(session, &session->worker->wheel[session->due_ms % STRESS_WHEEL_SIZE],
            STRESS_SESSION_PAUSED);
}

int stress_sessions_make(struct stress *stress)
{
    size_t flight_count = 0;
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        stress->session_count += stress->lots[i].sessions;
        flight_count += (size_t)stress->lots[i].sessions * session_flight_count(&stress->lots[i]);
    }
    uint32_t worker_count = stress->worker_count + stress->options.callers;
    size_t workers_size = worker_count * sizeof(*stress->workers);
    stress->workers = aligned_alloc(64, workers_size);
    stress->sessions = calloc((size_t)stress->session_count + 1, sizeof(*stress->sessions));
    stress->flights = calloc(flight_count + 1, sizeof(*stress->flights));
    if (stress->workers == NULL || stress->sessions == NULL || stress->flights == NULL) {
        return -ENOMEM;
    }
    memset(stress->workers, 0, workers_size);
    for (uint32_t i = 0; i < worker_count; i++) {
        stress->workers[i].stress = stress;
        stress->workers[i].index = i;
        stress->workers[i].now_ms = cmdi_tool_now_ns() / SESSION_NS_PER_MS;
    }
    struct stress_flight *flights = stress->flights;
    uint32_t index = 0;
    for (uint32_t i = 0; i < STRESS_LOTS; i++) {
        struct stress_lot *lot = &stress->lots[i];
        for (uint32_t k = 0; k < lot->sessions; k++, index++) {
            session_make(stress, lot, index, flights);
            flights += session_flight_count(lot);
        }
    }
    return 0;
}

void stress_sessions_free(struct stress *stress)
{
    free(stress->flights);
    free(stress->sessions);
    free(stress->workers);
}

#define SESSION_SUM_(name, about)                                                                  \
    sum.name += atomic_load_explicit(&worker->counts.name, memory_order_relaxed);
struct stress_counters stress_sum(const struct stress *stress)
{
    struct stress_counters sum = {0};
    for (uint32_t i = 0; i < stress->worker_count + stress->options.callers; i++) {
        const struct stress_worker *worker = &stress->workers[i];
        STRESS_COUNTERS(SESSION_SUM_)
    }
    return sum;
}
