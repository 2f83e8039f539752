/* SPDX-License-Identifier: MIT */
/* See resume.h. */
#include "tls/resume.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tls/digest.h"

/* Empty: `session` is NULL. */
struct kept {
    uint64_t stamp; // The higher, the younger.
    uint8_t peer[CMDI_DIGEST_SIZE];
    uint8_t policy[CMDI_RESUME_POLICY_SIZE];
    WOLFSSL_SESSION *session;
    uint8_t *leaf;
    size_t leaf_size;
};

struct cmdi_resume {
    pthread_mutex_t mutex; // For the rest.
    uint64_t stamp;
    struct kept kept[CMDI_RESUME_COUNT_MAX];
};

int cmdi_resume_create(struct cmdi_resume **resume)
{
    struct cmdi_resume *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return -ENOMEM;
    }
    CMDI_ASSERT(pthread_mutex_init(&created->mutex, NULL) == 0);
    *resume = created;
    return 0;
}

static void kept_free(struct kept *kept)
{
    if (kept->session != NULL) {
        wolfSSL_SESSION_free(kept->session);
    }
    free(kept->leaf);
    *kept = (struct kept){.session = NULL};
}

void cmdi_resume_destroy(struct cmdi_resume *resume)
{
    if (resume == NULL) {
        return;
    }
    for (size_t i = 0; i < CMDI_RESUME_COUNT_MAX; i++) {
        kept_free(&resume->kept[i]);
    }
    (void)pthread_mutex_destroy(&resume->mutex);
    free(resume);
}

static void digest_peer(const struct cmdi_resume_key *key, uint8_t peer[CMDI_DIGEST_SIZE])
{
    struct cmdi_digest digest;
    cmdi_digest_begin(&digest);
    cmdi_digest_add_text(&digest, key->server_name);
    cmdi_digest_add_text(&digest, key->address);
    cmdi_digest_end(&digest, peer);
}

/* An empty place, or the oldest. */
static struct kept *find_place(struct cmdi_resume *resume)
{
    struct kept *oldest = &resume->kept[0];
    for (size_t i = 1; i < CMDI_RESUME_COUNT_MAX && oldest->session != NULL; i++) {
        struct kept *kept = &resume->kept[i];
        if (kept->session == NULL || kept->stamp < oldest->stamp) {
            oldest = kept;
        }
    }
    return oldest;
}

void cmdi_resume_keep(struct cmdi_resume *resume, const struct cmdi_resume_key *key,
        WOLFSSL_SESSION *session, struct cmds_bytes leaf)
{
    CMDI_ASSERT(session != NULL);
    struct kept fresh = {.session = session, .leaf_size = leaf.size};
    digest_peer(key, fresh.peer);
    memcpy(fresh.policy, key->policy, sizeof(fresh.policy));
    if (leaf.size > 0) {
        fresh.leaf = malloc(leaf.size);
        if (fresh.leaf == NULL) {
            kept_free(&fresh);
            return;
        }
        memcpy(fresh.leaf, leaf.data, leaf.size);
    }
    pthread_mutex_lock(&resume->mutex);
    struct kept *place = find_place(resume);
    struct kept old = *place;
    fresh.stamp = ++resume->stamp;
    *place = fresh;
    pthread_mutex_unlock(&resume->mutex);
    kept_free(&old);
}

bool cmdi_resume_take(struct cmdi_resume *resume, const struct cmdi_resume_key *key,
        WOLFSSL_SESSION **session, struct cmds_bytes *leaf)
{
    uint8_t peer[CMDI_DIGEST_SIZE];
    digest_peer(key, peer);
    struct kept taken = {.session = NULL};
    struct kept *best = NULL;
    pthread_mutex_lock(&resume->mutex);
    for (size_t i = 0; i < CMDI_RESUME_COUNT_MAX; i++) {
        struct kept *kept = &resume->kept[i];
        if (kept->session != NULL && memcmp(kept->peer, peer, sizeof(peer)) == 0 &&
                memcmp(kept->policy, key->policy, sizeof(kept->policy)) == 0 &&
                (best == NULL || kept->stamp > best->stamp)) {
            best = kept;
        }
    }
    if (best != NULL) {
        taken = *best;
        *best = (struct kept){.session = NULL};
    }
    pthread_mutex_unlock(&resume->mutex);
    if (taken.session == NULL) {
        return false;
    }
    *session = taken.session;
    *leaf = (struct cmds_bytes){taken.leaf, taken.leaf_size};
    return true;
}

void cmdi_resume_drop_others(struct cmdi_resume *resume, const uint8_t *policy)
{
    for (size_t i = 0; i < CMDI_RESUME_COUNT_MAX; i++) {
        struct kept other = {.session = NULL};
        pthread_mutex_lock(&resume->mutex);
        struct kept *kept = &resume->kept[i];
        if (kept->session != NULL && memcmp(kept->policy, policy, sizeof(kept->policy)) != 0) {
            other = *kept;
            *kept = (struct kept){.session = NULL};
        }
        pthread_mutex_unlock(&resume->mutex);
        kept_free(&other);
    }
}
