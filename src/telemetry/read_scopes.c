/* SPDX-License-Identifier: MIT */
/* Reading what servers and groups count: all of it is added up first, then told metric by metric. */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "telemetry/reading.h"

/* The scopes of one kind, and what they have counted. */
struct scopes {
    uint32_t count, places, row_count;
    const struct cmdi_row *rows;
    struct cmdi_scope *list[CMDI_SCOPES_MAX];
    uint64_t *sums; // [count][places][row_count]
};

static int scopes_gather(
        struct scopes *scopes, const struct cmdi_reading *reading, enum cmdi_scope_kind kind)
{
    struct cmdi_telemetry *telemetry = atomic_load(&reading->runtime->telemetry);
    uint32_t total = telemetry != NULL ? atomic_load(&telemetry->scope_count) : 0;
    for (uint32_t i = 0; i < total; i++) {
        if (telemetry->scopes[i]->kind == kind) {
            scopes->list[scopes->count++] = telemetry->scopes[i];
        }
    }
    scopes->rows = kind == CMDI_SCOPE_SERVER ? cmdi_server_rows : cmdi_client_rows;
    scopes->row_count = kind == CMDI_SCOPE_SERVER ? CMDI_SERVER_ROWS : CMDI_CLIENT_ROWS;
    scopes->places = cmdi_reading_by_shard(reading) ? reading->runtime->shard_count + 1 : 1;
    size_t size = (size_t)scopes->places * scopes->row_count;
    scopes->sums = calloc(scopes->count + 1, size * sizeof(uint64_t));
    if (scopes->sums == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < scopes->count; i++) {
        cmdi_scope_read(scopes->list[i], cmdi_reading_by_shard(reading), scopes->sums + i * size);
    }
    return 0;
}

static void scopes_tell(const struct scopes *scopes, struct cmdi_reading *reading)
{
    struct cmds_metric metrics[CMDI_ROWS_MAX];
    size_t size = (size_t)scopes->places * scopes->row_count;
    for (uint32_t row = 0; row < scopes->row_count; row++) {
        metrics[row] = cmdi_row_metric(&scopes->rows[row]);
        for (uint32_t i = 0; i < scopes->count; i++) {
            const struct cmdi_scope *scope = scopes->list[i];
            if (scope->name[0] != '\0') {
                cmdi_reading_label(reading, "cmdstream.name", scope->name);
            }
            cmdi_reading_number(reading, &metrics[row], scopes->sums + i * size + row,
                    scopes->row_count, scopes->places, cmdi_row_per_unit(&scopes->rows[row]));
            cmdi_reading_unlabel(reading, 0);
        }
    }
}

void cmdi_read_scopes(struct cmdi_reading *reading)
{
    for (uint32_t kind = 0; kind < CMDI_SCOPE_KINDS && reading->code == 0; kind++) {
        struct scopes scopes = {0};
        reading->code = scopes_gather(&scopes, reading, (enum cmdi_scope_kind)kind);
        if (reading->code == 0) {
            scopes_tell(&scopes, reading);
        }
        free(scopes.sums);
    }
}
