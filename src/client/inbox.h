/* SPDX-License-Identifier: MIT */
/*
 * Commands of other threads: encoded into the inbox under its lock, taken by the shard when its
 * mail comes.
 */
#ifndef CMDI_CLIENT_INBOX_H
#define CMDI_CLIENT_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "client/client.h"

/** As cmdi_client_send(), from another thread. Thread: any. Returns: as cmdi_client_send. */
int cmdi_client_inbox_send(struct cmdi_client *client, const struct cmdi_command *command);
/** Would it be taken? Thread: any. */
bool cmdi_client_inbox_has_room(struct cmdi_client *client, bool answered, size_t body_size);
/** What other threads have sent so far is the shard's. */
void cmdi_client_take_inbox(struct cmdi_client *client);
/** The state is DOWN: what waits is refused, and no more is taken. */
void cmdi_client_close_inbox(struct cmdi_client *client);
void cmdi_client_on_inbox(struct cmdi_shard *shard, struct cmdi_mail *mail);

#endif
