/* SPDX-License-Identifier: MIT */
/*
 * One block: the struct, the lists of pointers, the texts.
 *
 *     struct cmds_tls_peer | dns_names[] ip_addresses[] uris[] | "common name" "subject" ...
 */
#include "server/peer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    PEER_TEXTS = 6,
    PEER_LISTS = 3,
};

/* The members of a struct that point to something. */
struct peer_members {
    const char **texts[PEER_TEXTS];
    const char *const **lists[PEER_LISTS];
    uint32_t counts[PEER_LISTS];
};

static struct peer_members peer_members(struct cmds_tls_peer *peer)
{
    return (struct peer_members){
            .texts = {&peer->common_name, &peer->subject, &peer->issuer, &peer->server_name,
                    &peer->alpn, &peer->cipher},
            .lists = {&peer->dns_names, &peer->ip_addresses, &peer->uris},
            .counts = {peer->dns_count, peer->ip_count, peer->uri_count},
    };
}

static size_t peer_pointers(const struct peer_members *members)
{
    size_t count = 0;
    for (int i = 0; i < PEER_LISTS; i++) {
        count += members->counts[i];
    }
    return count;
}

static size_t peer_size(const struct peer_members *members)
{
    size_t size = sizeof(struct cmds_tls_peer) + peer_pointers(members) * sizeof(const char *);
    for (int i = 0; i < PEER_TEXTS; i++) {
        size += strlen(*members->texts[i]) + 1;
    }
    for (int i = 0; i < PEER_LISTS; i++) {
        for (uint32_t j = 0; j < members->counts[i]; j++) {
            size += strlen((*members->lists[i])[j]) + 1;
        }
    }
    return size;
}

/* Returns: where it stands now; *end is behind it. */
static const char *peer_put(char **end, const char *text)
{
    char *here = *end;
    size_t size = strlen(text) + 1;
    memcpy(here, text, size);
    *end += size;
    return here;
}

struct cmds_tls_peer *cmdi_peer_copy(const struct cmds_tls_peer *peer)
{
    struct cmds_tls_peer original = *peer;
    struct peer_members from = peer_members(&original);
    size_t size = peer_size(&from);
    struct cmds_tls_peer *copy = malloc(size);
    if (copy == NULL) {
        return NULL;
    }
    *copy = original;
    struct peer_members to = peer_members(copy);
    const char **pointer = (const char **)(copy + 1);
    char *end = (char *)(pointer + peer_pointers(&from));
    for (int i = 0; i < PEER_TEXTS; i++) {
        *to.texts[i] = peer_put(&end, *from.texts[i]);
    }
    for (int i = 0; i < PEER_LISTS; i++) {
        const char *const *list = *from.lists[i];
        *to.lists[i] = pointer;
        for (uint32_t j = 0; j < from.counts[i]; j++) {
            *pointer++ = peer_put(&end, list[j]);
        }
    }
    CMDI_ASSERT(end == (char *)copy + size);
    return copy;
}
