/* SPDX-License-Identifier: MIT */
/*
 * The block is laid out twice by the same code: once without memory, which counts, and once for good.
 *
 *     struct cmdi_peer | pointers to the names | the leaf | strings
 */
#include "tls/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tls/certificate.h"
#include "tls/name.h"
#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/hash.h>

enum {
    PEER_SHA256_SIZE = 32,
};

/* Where the next bytes go; NULL: they are counted only. */
struct block {
    char *at;
    size_t size;
};

static const char *peer_put(struct block *block, const char *text, size_t size)
{
    const char *put = "";
    block->size += size + 1;
    if (block->at != NULL) {
        memcpy(block->at, text, size);
        block->at[size] = '\0';
        put = block->at;
        block->at += size + 1;
    }
    return put;
}

static const char *peer_put_string(struct block *block, struct cmds_string string)
{
    return string.size > 0 ? peer_put(block, string.data, string.size) : "";
}

static const char *peer_put_name(struct block *block, struct cmds_bytes name)
{
    const char *put = "";
    size_t size = cmdi_name_text(name, NULL, 0);
    block->size += size + 1;
    if (block->at != NULL) {
        (void)cmdi_name_text(name, block->at, size + 1);
        put = block->at;
        block->at += size + 1;
    }
    return put;
}

static const char *peer_put_alt_name(struct block *block, const struct cmdi_alt_name *name)
{
    char address[INET6_ADDRSTRLEN];
    if (name->kind != CMDI_ALT_NAME_IP) {
        return peer_put(block, name->value.data, name->value.size);
    }
    int family = name->value.size == CMDI_IP4_SIZE ? AF_INET : AF_INET6;
    const char *text = inet_ntop(family, name->value.data, address, sizeof(address));
    CMDI_ASSERT(text != NULL); // There is room for all.
    return peer_put(block, text, strlen(text));
}

/* Each kind's names behind those of the kind before. `names`: has room for all of them, or is NULL. */
static void peer_put_alt_names(
        struct block *block, const struct cmdi_certificate *certificate, const char **names)
{
    size_t at[CMDI_ALT_NAME_OTHER] = {
            [CMDI_ALT_NAME_DNS] = 0,
            [CMDI_ALT_NAME_IP] = certificate->dns_count,
            [CMDI_ALT_NAME_URI] = certificate->dns_count + certificate->ip_count,
    };
    struct cmdi_alt_names list = cmdi_alt_names_begin(certificate);
    struct cmdi_alt_name name;
    while (cmdi_alt_names_next(&list, &name)) {
        if (name.kind != CMDI_ALT_NAME_OTHER) {
            const char *put = peer_put_alt_name(block, &name);
            if (names != NULL) {
                names[at[name.kind]] = put;
            }
            at[name.kind]++;
        }
    }
}

static size_t peer_name_count(const struct cmdi_certificate *certificate)
{
    return (size_t)certificate->dns_count + certificate->ip_count + certificate->uri_count;
}

/* Strings and names; `names` as above. */
static void peer_lay_out(struct cmdi_peer *made, struct block *block,
        const struct cmdi_peer_facts *facts, const struct cmdi_certificate *certificate,
        const char **names)
{
    struct cmds_tls_peer *peer = &made->face;
    made->host = peer_put_string(block, cmds_string_from(facts->is_kept ? facts->host : ""));
    peer->server_name = peer_put_string(block, facts->server_name);
    peer->alpn = peer_put_string(block, facts->alpn);
    peer->cipher = peer_put_string(block, facts->cipher);
    peer->common_name = peer_put_string(block, certificate->common_name);
    peer->subject = peer_put_name(block, certificate->subject);
    peer->issuer = peer_put_name(block, certificate->issuer);
    peer_put_alt_names(block, certificate, names);
    peer->dns_names = names;
    peer->ip_addresses = names != NULL ? names + certificate->dns_count : NULL;
    peer->uris = names != NULL ? peer->ip_addresses + certificate->ip_count : NULL;
    peer->dns_count = certificate->dns_count;
    peer->ip_count = certificate->ip_count;
    peer->uri_count = certificate->uri_count;
    peer->not_after_s = certificate->not_after_s > 0 ? (uint64_t)certificate->not_after_s : 0;
}

/* Returns: 0; -ENOMEM. */
static int peer_set_fingerprint(struct cmds_tls_peer *peer, struct cmds_bytes leaf)
{
    _Static_assert(sizeof(peer->fingerprint) == PEER_SHA256_SIZE, "SHA-256");
    if (leaf.size == 0) {
        return 0;
    }
    return wc_Sha256Hash(leaf.data, (word32)leaf.size, peer->fingerprint) == 0 ? 0 : -ENOMEM;
}

int cmdi_peer_create(struct cmdi_peer **peer, const struct cmdi_peer_facts *facts)
{
    struct cmdi_certificate certificate;
    if (facts->leaf.size == 0 || cmdi_certificate_parse(&certificate, facts->leaf.data,
                                         facts->leaf.size) != CMDI_CERTIFICATE_OK) {
        CMDI_ASSERT(!facts->verified || facts->leaf.size == 0);
        certificate = (struct cmdi_certificate){0};
    }
    struct cmdi_peer counted;
    struct block block = {0};
    peer_lay_out(&counted, &block, facts, &certificate, NULL);
    size_t names_size = peer_name_count(&certificate) * sizeof(char *);
    size_t leaf_size = facts->is_kept ? facts->leaf.size : 0;
    struct cmdi_peer *made = calloc(1, sizeof(*made) + names_size + leaf_size + block.size);
    if (made == NULL) {
        return -ENOMEM;
    }
    const char **names = (const char **)(made + 1);
    uint8_t *leaf = (uint8_t *)(made + 1) + names_size;
    if (leaf_size > 0) {
        memcpy(leaf, facts->leaf.data, leaf_size);
        made->leaf = (struct cmds_bytes){leaf, leaf_size};
    }
    size_t counted_size = block.size;
    block = (struct block){.at = (char *)leaf + leaf_size};
    peer_lay_out(made, &block, facts, &certificate, names);
    CMDI_ASSERT(block.size == counted_size);
    made->face.version = facts->version;
    made->face.verified = facts->verified;
    made->face.resumed = facts->resumed;
    int code = peer_set_fingerprint(&made->face, facts->leaf);
    if (code < 0) {
        free(made);
        return code;
    }
    *peer = made;
    return 0;
}
