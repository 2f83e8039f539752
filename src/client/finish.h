/* SPDX-License-Identifier: MIT */
/*
 * The end of commands: by a result, a deadline, a forget, or the end of the connection. Exactly one
 * callback with `last` for each.
 *
 * Callbacks may send, forget and close, so nothing that they could change is held across one: an
 * entry is first taken out, or marked and put into the list `ended`, and then reported. The shard.
 */
#ifndef CMDI_CLIENT_FINISH_H
#define CMDI_CLIENT_FINISH_H

#include "client/client.h"
#include "client/count.h"
#include "client/entry.h"
#include "client/send.h"

/**
 * The end of every command that has an entry: with the server's last result (`answered`), which was
 * counted, or with an error after cmdi_client_end(). The entry is let go of first, since the callback may do
 * anything. One that the server still may answer stays in the window as a tombstone.
 */
static inline void cmdi_client_finish(struct cmdi_client *client, struct cmdi_pending *entry,
        const struct cmds_result *result, bool answered)
{
    struct cmdi_client_shard *client_shard = client->client_shard;
    cmds_result_fn on_result = entry->on_result;
    void *context = entry->context;
    CMDI_ASSERT_SLOW(on_result != NULL);
    if (!answered) {
        cmdi_client_count_entry(client_shard, entry, result->error);
    }
    if (answered) {
        cmdi_client_remove(client, entry);
        cmdi_pool_release(&client_shard->pool, entry);
    } else if ((entry->flags & CMDI_PENDING_OUT) != 0) {
        cmdi_pool_release(&client_shard->pool, entry);
    } else {
        entry->on_result = NULL;
        entry->extra = NULL;
        entry->deadline_ms = UINT64_MAX;
        entry->flags = 0;
    }
    cmdi_client_shard_tell(client_shard, on_result, context, result, true);
    if (answered) {
        /* Last: what goes out now may find no memory, and the ends of a lost connection come behind. */
        cmdi_client_tell_room(client);
    }
}

/**
 * Nobody waits for it from here on; cmdi_client_deliver() will say so. One that was never written
 * leaves the table at once.
 */
void cmdi_client_end(struct cmdi_client *client, struct cmdi_pending *entry, int code);
/** Tells everybody whose command has ended without a result. A callback may add to the list. */
void cmdi_client_deliver(struct cmdi_client *client);
/**
 * The last result of a command that has none from the server. `text` is borrowed, and used if the
 * sentence has to be made.
 */
struct cmds_result cmdi_client_error_result(
        const struct cmdi_client *client, uint64_t sequence, int code, struct cmds_error *text);
/** Ends all that is pending. The state is DOWN. */
void cmdi_client_end_all(struct cmdi_client *client);
/** Ends what was written; what waits goes on waiting. */
void cmdi_client_end_written(struct cmdi_client *client);

/**
 * Its callback will run with CMDS_E_CANCELLED, not inside this. Returns: 0; -ENOENT: nobody waits
 * for it.
 */
int cmdi_client_forget(struct cmdi_client *client, uint64_t sequence);
/** The same for a ticket that was marked; the callback runs inside this. */
void cmdi_client_forget_ticket(struct cmdi_client *client, struct cmdi_ticket *ticket);

void cmdi_client_on_deadline(struct cmdi_timer *timer, uint64_t now_ms);
void cmdi_client_on_ended(struct cmdi_shard *shard, struct cmdi_work *work);

#endif
