/* SPDX-License-Identifier: MIT */
/* See tickets.h. ChaCha20-Poly1305: without the help of a CPU no table of AES shows by its time. */
#include "tls/tickets.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/shim.h"

#include <wolfssl/wolfcrypt/chacha20_poly1305.h>

enum {
    KEY_COUNT = 3,
    KEY_SIZE = CHACHA20_POLY1305_AEAD_KEYSIZE,
    NONCE_SIZE = CHACHA20_POLY1305_AEAD_IV_SIZE,
};
_Static_assert((int)NONCE_SIZE <= (int)WOLFSSL_TICKET_IV_SZ, "a nonce fits into the iv");
_Static_assert((int)CMDI_TICKET_TAG_SIZE == CHACHA20_POLY1305_AEAD_AUTHTAG_SIZE, "its tag");

struct ticket_key {
    bool is_there;
    uint64_t born_s;
    uint8_t name[WOLFSSL_TICKET_NAME_SZ]; // Random: two processes have no name in common.
    uint8_t key[KEY_SIZE];
};

struct cmdi_tls_tickets {
    uint64_t lifetime_s, period_s; // A key seals for a period.
    pthread_mutex_t mutex;         // For the keys.
    unsigned newest;
    struct ticket_key keys[KEY_COUNT];
};

static bool randomize(void *out, size_t size)
{
    ssize_t got;
    do {
        got = getrandom(out, size, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size; // So few bytes come whole.
}

/* Returns: 0; -errno. */
static int make_key(struct cmdi_tls_tickets *tickets, uint64_t now_s)
{
    struct ticket_key key = {.is_there = true, .born_s = now_s};
    if (!randomize(key.name, sizeof(key.name)) || !randomize(key.key, sizeof(key.key))) {
        return -EAGAIN;
    }
    tickets->newest = (tickets->newest + 1) % KEY_COUNT;
    tickets->keys[tickets->newest] = key;
    explicit_bzero(&key, sizeof(key));
    return 0;
}

static uint64_t clock_s(void)
{
    struct timespec now;
    CMDI_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return (uint64_t)now.tv_sec;
}

int cmdi_tls_tickets_create(
        struct cmdi_tls_tickets **tickets, uint32_t lifetime_s, struct cmds_error *error)
{
    CMDI_ASSERT(lifetime_s > 0);
    struct cmdi_tls_tickets *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return cmdi_fail(error, -ENOMEM, "TLS: out of memory");
    }
    created->lifetime_s = lifetime_s;
    created->period_s = (lifetime_s + 1) / 2;
    CMDI_ASSERT(pthread_mutex_init(&created->mutex, NULL) == 0);
    *tickets = created;
    return 0;
}

void cmdi_tls_tickets_destroy(struct cmdi_tls_tickets *tickets)
{
    if (tickets != NULL) {
        (void)pthread_mutex_destroy(&tickets->mutex);
        explicit_bzero(tickets, sizeof(*tickets));
        free(tickets);
    }
}

/* The key that seals now. */
static bool take_newest(struct cmdi_tls_tickets *tickets, uint64_t now_s, struct ticket_key *key)
{
    pthread_mutex_lock(&tickets->mutex);
    const struct ticket_key *newest = &tickets->keys[tickets->newest];
    bool is_good = newest->is_there && now_s < newest->born_s + tickets->period_s;
    if (!is_good) {
        is_good = make_key(tickets, now_s) == 0;
    }
    *key = tickets->keys[tickets->newest];
    pthread_mutex_unlock(&tickets->mutex);
    return is_good;
}

static bool take_named(struct cmdi_tls_tickets *tickets, uint64_t now_s,
        const uint8_t name[WOLFSSL_TICKET_NAME_SZ], struct ticket_key *key)
{
    bool found = false;
    pthread_mutex_lock(&tickets->mutex);
    for (size_t i = 0; i < KEY_COUNT && !found; i++) {
        const struct ticket_key *at = &tickets->keys[i];
        found = at->is_there && memcmp(at->name, name, sizeof(at->name)) == 0 &&
                now_s < at->born_s + tickets->period_s + tickets->lifetime_s;
        if (found) {
            *key = *at;
        }
    }
    pthread_mutex_unlock(&tickets->mutex);
    return found;
}

/* What is sealed beside the ticket. */
struct covered {
    uint8_t key_name[WOLFSSL_TICKET_NAME_SZ];
    uint8_t iv[WOLFSSL_TICKET_IV_SZ];
    uint8_t scope[CMDI_DIGEST_SIZE];
};

static struct covered cover(
        const struct cmdi_ticket_scope *scope, const uint8_t *key_name, const uint8_t *iv)
{
    struct covered covered;
    memcpy(covered.key_name, key_name, sizeof(covered.key_name));
    memcpy(covered.iv, iv, sizeof(covered.iv));
    memcpy(covered.scope, scope->digest, sizeof(covered.scope));
    return covered;
}

bool cmdi_tls_tickets_seal(const struct cmdi_ticket_scope *scope, uint64_t now_s,
        uint8_t key_name[WOLFSSL_TICKET_NAME_SZ], uint8_t iv[WOLFSSL_TICKET_IV_SZ], uint8_t *ticket,
        size_t size)
{
    struct ticket_key key;
    if (!take_newest(scope->tickets, now_s, &key)) {
        return false;
    }
    memset(iv, 0, WOLFSSL_TICKET_IV_SZ);
    memcpy(key_name, key.name, sizeof(key.name));
    bool is_sealed = randomize(iv, NONCE_SIZE);
    if (is_sealed) {
        struct covered covered = cover(scope, key_name, iv);
        is_sealed = wc_ChaCha20Poly1305_Encrypt(key.key, iv, (const byte *)&covered,
                            sizeof(covered), ticket, (word32)size, ticket, ticket + size) == 0;
    }
    explicit_bzero(&key, sizeof(key));
    return is_sealed;
}

bool cmdi_tls_tickets_open(const struct cmdi_ticket_scope *scope, uint64_t now_s,
        const uint8_t key_name[WOLFSSL_TICKET_NAME_SZ], const uint8_t iv[WOLFSSL_TICKET_IV_SZ],
        uint8_t *ticket, size_t size)
{
    struct ticket_key key;
    if (size <= CMDI_TICKET_TAG_SIZE || !take_named(scope->tickets, now_s, key_name, &key)) {
        return false;
    }
    size -= CMDI_TICKET_TAG_SIZE;
    struct covered covered = cover(scope, key_name, iv);
    bool is_good = wc_ChaCha20Poly1305_Decrypt(key.key, iv, (const byte *)&covered, sizeof(covered),
                           ticket, (word32)size, ticket + size, ticket) == 0;
    explicit_bzero(&key, sizeof(key));
    return is_good;
}

int cmdi_tls_tickets_callback(WOLFSSL *object, unsigned char key_name[WOLFSSL_TICKET_NAME_SZ],
        unsigned char iv[WOLFSSL_TICKET_IV_SZ], unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seals,
        unsigned char *ticket, int size, int *size_out, void *context)
{
    const struct cmdi_ticket_scope *scope = context;
    const struct cmdi_shim *shim = wolfSSL_GetIOReadCtx(object);
    bool is_refused = seals == 0 && shim != NULL && shim->takes_no_ticket;
    if (is_refused || scope->tickets == NULL || size <= 0 || size > CMDI_TICKET_SIZE_MAX) {
        return WOLFSSL_TICKET_RET_REJECT;
    }
    if (seals == 0) {
        bool is_good = cmdi_tls_tickets_open(scope, clock_s(), key_name, iv, ticket, (size_t)size);
        *size_out = is_good ? size - CMDI_TICKET_TAG_SIZE : 0;
        return is_good ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_REJECT;
    }
    // *size_out: how much room there is.
    if (*size_out < size + CMDI_TICKET_TAG_SIZE ||
            !cmdi_tls_tickets_seal(scope, clock_s(), key_name, iv, ticket, (size_t)size)) {
        return WOLFSSL_TICKET_RET_FATAL;
    }
    memset(mac, 0xff, WOLFSSL_TICKET_MAC_SZ); // It must not be zero.
    *size_out = size + CMDI_TICKET_TAG_SIZE;
    return WOLFSSL_TICKET_RET_OK;
}
