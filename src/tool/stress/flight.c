/* SPDX-License-Identifier: MIT */
/*
 * One command from its start to its one end. What is checked of each result: it is of the command's
 * connection and number, of the right type, in order, with the right text; the last one is marked as such,
 * and none comes after it.
 */
#include <errno.h>
#include <string.h>

#include "stress/draw.h"

enum {
    FLIGHT_COMPLAINTS_MAX = 20
};

/* Of a caller's thread. */
static _Thread_local struct stress_worker *flight_worker;

void stress_worker_be(struct stress_worker *worker)
{
    flight_worker = worker;
}

struct stress_worker *stress_worker_here(struct stress *stress)
{
    if (flight_worker != NULL) {
        return flight_worker;
    }
    int shard = cmds_runtime_current_shard(stress->runtime);
    return &stress->workers[shard > 0 ? shard : 0];
}

static void flight_keep_first(
        struct stress *stress, struct cmds_error *first, int code, const char *text)
{
    pthread_mutex_lock(&stress->mutex);
    if (first->code == 0) {
        first->code = code;
        snprintf(first->text, sizeof(first->text), "%s", text);
    }
    bool said = stress->complaints++ < FLIGHT_COMPLAINTS_MAX;
    pthread_mutex_unlock(&stress->mutex);
    if (said) {
        cmdi_tool_say("cmdstream stress: %s", text);
    }
}

void stress_wrong(struct stress_worker *worker, uint64_t number, const char *what)
{
    char text[sizeof(((struct cmds_error *)0)->text)];
    snprintf(text, sizeof(text), "VERIFY: command %llu of session %llu: %s",
            (unsigned long long)(number & UINT32_MAX), (unsigned long long)(number >> 32), what);
    STRESS_COUNT(worker, verify);
    flight_keep_first(worker->stress, &worker->stress->first_wrong, CMDS_E_PROTO, text);
}

void stress_flight_begin(
        struct stress_flight *flight, const struct stress_draw *draw, uint64_t number)
{
    flight->number = number;
    flight->sequence = 0;
    flight->count = draw->count;
    flight->size = draw->size;
    flight->got = 0;
    flight->kind = (uint8_t)draw->kind;
    flight->veto = draw->veto;
    atomic_store_explicit(&flight->state, STRESS_FLIGHT_OUT, memory_order_relaxed);
}

/* --- Errors ---------------------------------------------------------------------------------------- */

/* What restarts, cut connections and stalls bring about. */
static bool flight_is_network(int code)
{
    static const int codes[] = {CMDS_E_LOST, CMDS_E_NOT_SENT, CMDS_E_NOT_CONNECTED, CMDS_E_EOF,
            CMDS_E_CLOSED, CMDS_E_TLS_HANDSHAKE, CMDS_E_TLS_REFUSED, CMDS_E_SLOW_PEER,
            -ECONNREFUSED, -ECONNRESET, -ECONNABORTED, -EPIPE, -ETIMEDOUT, -ENETUNREACH,
            -EHOSTUNREACH, -ENOENT};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

void stress_count_error(struct stress_worker *worker, const struct stress_flight *flight, int code,
        const char *text)
{
    if (code == CMDS_E_TIMEOUT) {
        if (flight->sequence == 0) {
            STRESS_COUNT(worker, send_timeouts);
        } else {
            STRESS_COUNT(worker, result_timeouts);
        }
    } else if (code == CMDS_E_CANCELLED) {
        STRESS_COUNT(worker, cancelled);
    } else if (code == CMDS_E_NOT_ALLOWED) {
        STRESS_COUNT(worker, blocked);
    } else if (code == STRESS_VETO && flight->veto) {
        STRESS_COUNT(worker, vetoed);
    } else if (flight_is_network(code)) {
        STRESS_COUNT(worker, network);
        if (flight->kind == STRESS_KIND_FAIL && code == CMDS_E_LOST) {
            STRESS_COUNT(worker, fail);
        }
    } else {
        char all[sizeof(((struct cmds_error *)0)->text)];
        snprintf(all, sizeof(all), "unexpected: %s: %s", cmds_error_name(code), text);
        STRESS_COUNT(worker, unexpected);
        flight_keep_first(worker->stress, &worker->stress->first_unexpected, code, all);
    }
}

/* --- Results --------------------------------------------------------------------------------------- */

static uint64_t flight_key(const struct stress *stress, uint64_t number, uint64_t index)
{
    return stress_random(stress->options.seed, number, STRESS_TEXT + index);
}

/* Returns: what is wrong; NULL: nothing. */
static const char *flight_look_at_echo(
        const struct stress *stress, struct stress_flight *flight, const struct stress_echoed *echo)
{
    if (flight->kind != STRESS_KIND_ECHO) {
        return "an echo's answer to another command";
    }
    if ((uint64_t)echo->number != flight->number) {
        return "another command's answer";
    }
    if (echo->text.size != flight->size ||
            !stress_is(echo->text.data, echo->text.size, flight_key(stress, flight->number, 0))) {
        return "another text than the one that was sent";
    }
    return NULL;
}

static const char *flight_look_at_item(
        const struct stress *stress, struct stress_flight *flight, const struct stress_item *item)
{
    uint32_t index = flight->got;
    if (flight->kind != STRESS_KIND_STREAM) {
        return "a stream's item to another command";
    }
    if ((uint64_t)item->number != flight->number) {
        return "another command's item";
    }
    if (item->index != index) {
        return "an item that is not the next one";
    }
    if (item->last != (index == flight->count - 1)) {
        return "the mark of the last item on another one";
    }
    if (item->text.size !=
                    stress_item_size(stress->options.seed, flight->number, index, flight->size) ||
            !stress_is(
                    item->text.data, item->text.size, flight_key(stress, flight->number, index))) {
        return "an item with another text";
    }
    return NULL;
}

static const char *flight_look(
        const struct stress *stress, struct stress_flight *flight, const struct cmds_result *result)
{
    const struct stress_echoed *echo = stress_echoed_of(result);
    const struct stress_item *item = stress_item_of(result);
    if (result->sequence == 0 || (flight->sequence != 0 && flight->sequence != result->sequence)) {
        return "a result with another sequence";
    }
    flight->sequence = result->sequence;
    if (echo != NULL) {
        return result->last ? flight_look_at_echo(stress, flight, echo)
                            : "an echo's answer that is not the last";
    }
    if (item != NULL) {
        return result->last == item->last ? flight_look_at_item(stress, flight, item)
                                          : "an item that is the last for one side only";
    }
    return "a result of a type that is not of this protocol";
}

static void flight_take(
        struct stress_worker *here, struct stress_flight *flight, const struct cmds_result *result)
{
    const char *wrong = flight_look(here->stress, flight, result);
    flight->got++;
    if (wrong != NULL) {
        stress_wrong(here, flight->number, wrong);
        flight->kind = STRESS_KIND_FAIL; // Counts as no success.
    } else if (flight->kind == STRESS_KIND_STREAM) {
        STRESS_COUNT(here, items);
    }
    if (result->last && wrong == NULL) {
        if (flight->kind == STRESS_KIND_ECHO) {
            STRESS_COUNT(here, echo);
        } else {
            STRESS_COUNT(here, stream);
        }
    }
}

bool stress_flight_result(
        struct stress_worker *here, struct stress_flight *flight, const struct cmds_result *result)
{
    if (atomic_load_explicit(&flight->state, memory_order_relaxed) != STRESS_FLIGHT_OUT) {
        stress_wrong(here, flight->number, "a result or an end after the last one");
        return false;
    }
    if (result->error < 0) {
        if (!result->last) {
            stress_wrong(here, flight->number, "an error that is not the last result");
        }
        flight->sequence = result->sequence != 0 ? result->sequence : flight->sequence;
        stress_count_error(here, flight, result->error, result->text);
    } else {
        flight_take(here, flight, result);
    }
    if (!result->last && result->error == 0) {
        return false;
    }
    STRESS_COUNT(here, ended);
    atomic_store_explicit(&flight->state, STRESS_FLIGHT_FREE, memory_order_relaxed);
    return true;
}

/* Nobody remembers the command, but its texts say whether they are of one. */
void stress_on_late(void *context, const struct cmds_result *result)
{
    struct stress_lot *lot = context;
    struct stress_worker *here = stress_worker_here(lot->stress);
    const struct stress_echoed *echo = stress_echoed_of(result);
    const struct stress_item *item = stress_item_of(result);
    STRESS_COUNT(here, late);
    if (echo != NULL && !stress_is(echo->text.data, echo->text.size,
                                flight_key(lot->stress, (uint64_t)echo->number, 0))) {
        stress_wrong(here, (uint64_t)echo->number, "a late answer with another text");
    } else if (item != NULL &&
               !stress_is(item->text.data, item->text.size,
                       flight_key(lot->stress, (uint64_t)item->number, (uint64_t)item->index))) {
        stress_wrong(here, (uint64_t)item->number, "a late item with another text");
    } else if (echo == NULL && item == NULL) {
        stress_wrong(here, 0, "a late result that is no result");
    }
}
