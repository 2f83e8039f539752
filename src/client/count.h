/* SPDX-License-Identifier: MIT */
/* Commands and results as they are counted by type. The shard. */
#ifndef CMDI_CLIENT_COUNT_H
#define CMDI_CLIENT_COUNT_H

#include "client/client.h"
#include "client/pending.h"
#include "telemetry/ledger.h"

/** The place of a type of commands in the ledger; 0 without one. */
static inline uint32_t cmdi_client_place(
        const struct cmdi_client_shard *client_shard, uint64_t type)
{
    return CMDI_LIKELY(client_shard->ledger != NULL)
                   ? cmdi_type_table_entry(client_shard->config->commands, type)->place
                   : 0;
}
static inline uint32_t cmdi_client_result_place(
        const struct cmdi_client_shard *client_shard, uint64_t type)
{
    return cmdi_type_table_entry(client_shard->config->results, type)->place;
}
/** The entry is that of a command of this type, which was sent then. */
static inline void cmdi_client_count_begin(struct cmdi_client_shard *client_shard,
        struct cmdi_pending *entry, uint32_t place, uint64_t begun_ns)
{
    entry->flags |= place << CMDI_PENDING_PLACE_SHIFT;
    entry->begun_ns = begun_ns != 0 ? begun_ns : client_shard->shard->clock_ns;
}
static inline enum cmdi_status cmdi_client_status(int code)
{
    return CMDI_LIKELY(code == 0)     ? CMDI_STATUS_OK
           : code == CMDS_E_TIMEOUT   ? CMDI_STATUS_TIMEOUT
           : code == CMDS_E_CANCELLED ? CMDI_STATUS_CANCELLED
                                      : CMDI_STATUS_FAILED;
}
/** One whose type has this place has ended with this code. `begun_ns`: as of a command. */
static inline void cmdi_client_count_end_at(
        struct cmdi_client_shard *client_shard, uint32_t place, int code, uint64_t begun_ns)
{
    if (client_shard->ledger != NULL && begun_ns != CMDI_BEGUN_ELSEWHERE) {
        cmdi_ledger_ended(client_shard->ledger, place, cmdi_client_status(code),
                begun_ns != 0 ? begun_ns : client_shard->shard->clock_ns);
    }
}
/** The same of one of this type. */
static inline void cmdi_client_count_end(
        struct cmdi_client_shard *client_shard, uint64_t type, int code, uint64_t begun_ns)
{
    cmdi_client_count_end_at(client_shard, cmdi_client_place(client_shard, type), code, begun_ns);
}
/** The same of one with an entry, after it was marked as ended. */
static inline void cmdi_client_count_entry(
        struct cmdi_client_shard *client_shard, const struct cmdi_pending *entry, int code)
{
    cmdi_client_count_end_at(
            client_shard, entry->flags >> CMDI_PENDING_PLACE_SHIFT, code, entry->ended_begun_ns);
}
/** What a result's frame has in front of it. */
static inline size_t cmdi_client_header_size(
        const struct cmdi_client_shard *client_shard, const struct cmds_result *result)
{
    return cmdi_frame_header_size(result->sequence, result->type->number, result->size,
            client_shard->config->limits.self_delimiting);
}
/** A frame was written, of a command of this type. */
static inline void cmdi_client_count_sent(
        struct cmdi_client_shard *client_shard, uint32_t place, size_t size)
{
    if (CMDI_LIKELY(client_shard->ledger != NULL)) {
        cmdi_ledger_command(client_shard->ledger, place, size);
    }
}
/**
 * A result of this type, by its place, that somebody waited for; `size` with its header. `place`: of the
 * command's type.
 */
static inline void cmdi_client_count_result(struct cmdi_client_shard *client_shard, uint32_t place,
        uint32_t result, size_t size, uint64_t begun_ns)
{
    if (CMDI_LIKELY(client_shard->ledger != NULL) && begun_ns != CMDI_BEGUN_ELSEWHERE) {
        cmdi_ledger_result(client_shard->ledger, place, result, size, begun_ns);
    }
}

#endif
