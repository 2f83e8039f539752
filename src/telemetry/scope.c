/* SPDX-License-Identifier: MIT */
/* Scopes and tallies: see scope.h for who holds what. */
#include "telemetry/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "telemetry/ledger.h"

/* A label goes into formats of others, whose readers refuse all of it for one bad byte. */
int cmdi_scope_check_name(const char *name, struct cmds_error *error)
{
    size_t size = name != NULL ? strnlen(name, CMDI_NAME_SIZE_MAX + 1) : 0;
    if (size > CMDI_NAME_SIZE_MAX) {
        return cmdi_fail(error, -EINVAL, "name: more than %d bytes", CMDI_NAME_SIZE_MAX);
    }
    for (size_t i = 0; i < size; i++) {
        if (name[i] < ' ' || name[i] > '~') {
            return cmdi_fail(error, -EINVAL, "name: byte %zu is no printable ASCII", i);
        }
    }
    return 0;
}

/* --- Scopes ----------------------------------------------------------------------------------- */

static void scope_free(struct cmdi_scope *scope)
{
    if (scope == NULL) {
        return;
    }
    /* What is still in the list belongs to a group whose runtime was stopped without its thread. */
    (void)pthread_mutex_destroy(&scope->lock);
    while (scope->ledgers != NULL) {
        struct cmdi_ledger *ledger = scope->ledgers;
        scope->ledgers = ledger->next;
        cmdi_ledger_free(ledger);
    }
    free(scope->past);
    free(scope->name);
    free(scope);
}

static struct cmdi_scope *scope_create(
        const struct cmdi_telemetry *telemetry, enum cmdi_scope_kind kind, const char *name)
{
    struct cmdi_scope *scope = calloc(1, sizeof(*scope));
    if (scope == NULL) {
        return NULL;
    }
    scope->kind = kind;
    scope->rows = kind == CMDI_SCOPE_SERVER ? cmdi_server_rows : cmdi_client_rows;
    scope->row_count = kind == CMDI_SCOPE_SERVER ? CMDI_SERVER_ROWS : CMDI_CLIENT_ROWS;
    scope->places = telemetry->shard_count + 1;
    cmdi_list_init(&scope->tallies);
    (void)pthread_mutex_init(&scope->lock, NULL); // Cannot fail with default attributes on Linux.
    scope->name = strdup(name);
    scope->past = calloc((size_t)scope->places * scope->row_count, sizeof(uint64_t));
    if (scope->name == NULL || scope->past == NULL) {
        scope_free(scope);
        return NULL;
    }
    return scope;
}

static void telemetry_free(struct cmdi_telemetry *telemetry)
{
    uint32_t count = atomic_load(&telemetry->scope_count);
    for (uint32_t i = 0; i < count; i++) {
        scope_free(telemetry->scopes[i]);
    }
    struct cmdi_own *own = atomic_load(&telemetry->own);
    if (own != NULL) {
        telemetry->free_own(own);
    }
    (void)pthread_mutex_destroy(&telemetry->lock);
    free(telemetry);
}

struct cmdi_telemetry *cmdi_telemetry_of(struct cmds_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    struct cmdi_telemetry *telemetry = atomic_load(&runtime->telemetry);
    if (telemetry == NULL && (telemetry = calloc(1, sizeof(*telemetry))) != NULL) {
        telemetry->shard_count = runtime->shard_count;
        (void)pthread_mutex_init(&telemetry->lock, NULL); // As above.
        runtime->free_telemetry = telemetry_free;
        atomic_store(&runtime->telemetry, telemetry);
    }
    pthread_mutex_unlock(&runtime->lock);
    return telemetry;
}

static struct cmdi_scope *scope_of(
        const struct cmdi_telemetry *telemetry, enum cmdi_scope_kind kind, const char *name)
{
    uint32_t count = atomic_load(&telemetry->scope_count);
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_scope *scope = telemetry->scopes[i];
        if (scope->kind == kind && strcmp(scope->name, name) == 0) {
            return scope;
        }
    }
    return NULL;
}

/* Names have places but for the last ones, one for each kind without a name. Under the lock. */
static struct cmdi_scope *scope_add(
        struct cmdi_telemetry *telemetry, enum cmdi_scope_kind kind, const char *name)
{
    uint32_t count = atomic_load(&telemetry->scope_count);
    struct cmdi_scope *scope = scope_of(telemetry, kind, name);
    if (scope == NULL && count >= CMDI_SCOPES_MAX - CMDI_SCOPE_KINDS) {
        name = "";
        scope = scope_of(telemetry, kind, name);
    }
    if (scope == NULL) {
        CMDI_ASSERT(count < CMDI_SCOPES_MAX);
        scope = scope_create(telemetry, kind, name);
        telemetry->scopes[count] = scope;
        atomic_store(&telemetry->scope_count, count + (scope != NULL));
    }
    return scope;
}

struct cmdi_scope *cmdi_scope_find(
        struct cmds_runtime *runtime, enum cmdi_scope_kind kind, const char *name)
{
    struct cmdi_telemetry *telemetry = cmdi_telemetry_of(runtime);
    if (telemetry == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&telemetry->lock);
    struct cmdi_scope *scope = scope_add(telemetry, kind, name != NULL ? name : "");
    pthread_mutex_unlock(&telemetry->lock);
    return scope;
}

/* --- Tallies ---------------------------------------------------------------------------------- */

void cmdi_tally_begin(
        struct cmdi_tally *tally, struct cmdi_scope *scope, uint32_t place, cmdi_tally_fn read)
{
    CMDI_ASSERT(tally->scope == NULL && place < scope->places);
    tally->scope = scope;
    tally->place = place;
    tally->read = read;
    cmdi_list_init(&tally->link);
    pthread_mutex_lock(&scope->lock);
    cmdi_list_push(&scope->tallies, &tally->link);
    pthread_mutex_unlock(&scope->lock);
}

void cmdi_tally_end(struct cmdi_tally *tally)
{
    struct cmdi_scope *scope = tally->scope;
    uint64_t rows[CMDI_ROWS_MAX] = {0};
    if (scope == NULL) {
        return;
    }
    pthread_mutex_lock(&scope->lock);
    uint64_t *past = scope->past + (size_t)tally->place * scope->row_count;
    tally->read(tally, rows);
    for (uint32_t i = 0; i < scope->row_count; i++) {
        past[i] += scope->rows[i].is_gauge ? 0 : rows[i];
    }
    cmdi_list_remove(&tally->link);
    pthread_mutex_unlock(&scope->lock);
    tally->scope = NULL;
}

void cmdi_scope_read(struct cmdi_scope *scope, bool by_place, uint64_t *sums)
{
    size_t rows = scope->row_count;
    pthread_mutex_lock(&scope->lock);
    for (size_t place = 0; place < scope->places; place++) {
        for (size_t i = 0; i < rows; i++) {
            sums[(by_place ? place * rows : 0) + i] += scope->past[place * rows + i];
        }
    }
    const struct cmdi_list *node = scope->tallies.next;
    for (; node != &scope->tallies; node = node->next) {
        const struct cmdi_tally *tally = CMDI_CONTAINER(node, struct cmdi_tally, link);
        tally->read(tally, sums + (by_place ? tally->place * rows : 0));
    }
    pthread_mutex_unlock(&scope->lock);
}
