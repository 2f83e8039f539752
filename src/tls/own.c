/* SPDX-License-Identifier: MIT */
/* See own.h. */
#include "tls/own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tls/certificate.h"
#include "tls/certificate_check.h"
#include "tls/keypair.h"
#include "tls/name.h"
#include "tls/pem.h"
#include "tls/refuse.h"

enum {
    SENTENCE_SIZE = 200,
    SUBJECT_SIZE = 80,
};

/* ---- The chain ------------------------------------------------------------------------------- */

/* What wolfSSL is given: the certificates of the file, and nothing else of it. */
struct chain {
    char *text;
    size_t size;
    unsigned count;
    uint8_t *leaf; // DER.
    size_t leaf_size;
};

static int chain_check(const struct cmdi_file *file, const struct chain *chain, const uint8_t *der,
        size_t size, struct cmds_error *error)
{
    struct cmdi_certificate certificate;
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&certificate, der, size);
    if (fault == CMDI_CERTIFICATE_OK) {
        return 0;
    }
    char sentence[SENTENCE_SIZE];
    (void)cmdi_certificate_fault_text(&certificate, fault, 0, NULL, sentence, sizeof(sentence));
    return cmdi_refuse_file(error, file, "certificate %u in it: %s", chain->count + 1, sentence);
}

static int chain_add(const struct cmdi_file *file, struct chain *chain,
        const struct cmdi_pem_block *block, struct cmds_error *error)
{
    if (chain->count == CMDI_CHAIN_COUNT_MAX) {
        return cmdi_refuse_file(error, file, "more than %d certificates: its own, and its chain",
                CMDI_CHAIN_COUNT_MAX);
    }
    uint8_t *der = malloc(cmdi_pem_size_max(block->body.size));
    if (der == NULL) {
        return cmdi_refuse_memory(error);
    }
    size_t size = cmdi_pem_decode(block->body, der);
    int code = chain_check(file, chain, der, size, error);
    if (code < 0 || chain->count > 0) {
        free(der);
    } else {
        chain->leaf = der;
        chain->leaf_size = size;
    }
    if (code == 0) {
        memcpy(chain->text + chain->size, block->all.data, block->all.size);
        chain->size += block->all.size;
        chain->text[chain->size++] = '\n';
        chain->count++;
    }
    return code;
}

static int chain_read(const struct cmdi_file *file, struct chain *chain, struct cmds_error *error)
{
    struct cmdi_pem pem = cmdi_pem_begin(file->bytes);
    struct cmdi_pem_block block;
    enum cmdi_pem_result result;
    chain->text = malloc(2 * file->bytes.size + 1);
    if (chain->text == NULL) {
        return cmdi_refuse_memory(error);
    }
    while ((result = cmdi_pem_next(&pem, &block)) == CMDI_PEM_BLOCK) {
        if (cmds_string_equal(block.label, cmds_string_from("CERTIFICATE"))) {
            int code = chain_add(file, chain, &block, error);
            if (code < 0) {
                return code;
            }
        }
    }
    if (result == CMDI_PEM_CUT) {
        return cmdi_refuse_cut(error, file);
    }
    return chain->count > 0 ? 0
                            : cmdi_refuse_file(error, file,
                                      "no certificate in it (PEM: -----BEGIN CERTIFICATE-----)");
}

static void chain_free(struct chain *chain)
{
    free(chain->text);
    free(chain->leaf);
}

/* What we could not work with, and a name that clients would refuse. */
static int check_leaf(const struct cmdi_file *file, const struct chain *chain,
        const char *server_name, struct cmds_error *error)
{
    struct cmdi_certificate leaf;
    enum cmdi_certificate_fault fault =
            cmdi_certificate_parse(&leaf, chain->leaf, chain->leaf_size);
    if (fault == CMDI_CERTIFICATE_OK) {
        fault = cmdi_certificate_check(&leaf, CMDI_CERTIFICATE_OF_SERVER);
        if (fault != CMDI_CERTIFICATE_SMALL_KEY && fault != CMDI_CERTIFICATE_UNKNOWN_KEY) {
            fault = CMDI_CERTIFICATE_OK; // The peer's to judge.
        }
    }
    if (fault == CMDI_CERTIFICATE_OK && server_name != NULL && strncmp(server_name, "*.", 2) != 0) {
        fault = cmdi_certificate_check_host(&leaf, server_name);
    }
    if (fault == CMDI_CERTIFICATE_OK) {
        return 0;
    }
    char sentence[SENTENCE_SIZE];
    (void)cmdi_certificate_fault_text(&leaf, fault, 0, server_name, sentence, sizeof(sentence));
    return cmdi_refuse_file(error, file, "%s", sentence);
}

static int load_chain(WOLFSSL_CTX *ctx, const struct cmdi_file *file, const char *server_name,
        struct chain *chain, struct cmds_error *error)
{
    int code = chain_read(file, chain, error);
    if (code == 0) {
        code = check_leaf(file, chain, server_name, error);
    }
    if (code < 0) {
        return code;
    }
    int result = wolfSSL_CTX_use_certificate_chain_buffer(
            ctx, (const unsigned char *)chain->text, (long)chain->size);
    return result == WOLFSSL_SUCCESS ? 0 : cmdi_refuse_wolf(error, file, result);
}

/* ---- The key --------------------------------------------------------------------------------- */

static bool ends_in(struct cmds_string label, const char *end)
{
    size_t size = strlen(end);
    return label.size >= size && memcmp(label.data + label.size - size, end, size) == 0;
}

/* An old form says it in a header within the block. */
static bool is_encrypted(const struct cmdi_pem_block *block)
{
    return cmds_string_equal(block->label, cmds_string_from("ENCRYPTED PRIVATE KEY")) ||
           memmem(block->body.data, block->body.size, "ENCRYPTED", strlen("ENCRYPTED")) != NULL;
}

/* The one key of the file. */
static int find_key(
        const struct cmdi_file *file, struct cmdi_pem_block *key, struct cmds_error *error)
{
    struct cmdi_pem pem = cmdi_pem_begin(file->bytes);
    struct cmdi_pem_block block;
    enum cmdi_pem_result result;
    unsigned count = 0;
    while ((result = cmdi_pem_next(&pem, &block)) == CMDI_PEM_BLOCK) {
        if (ends_in(block.label, "PRIVATE KEY")) {
            *key = block;
            count++;
        }
    }
    if (result == CMDI_PEM_CUT) {
        return cmdi_refuse_cut(error, file);
    }
    if (count != 1) {
        return cmdi_refuse_file(error, file,
                count == 0 ? "no private key in it (PEM: -----BEGIN PRIVATE KEY-----)"
                           : "more than one private key in it: there must be one alone");
    }
    if (is_encrypted(key)) {
        return cmdi_refuse_file(error, file,
                "encrypted, and there is nobody to ask for its passphrase: openssl pkey -in FILE "
                "-out OTHER, and guard that by its mode");
    }
    if (cmds_string_equal(key->label, cmds_string_from("OPENSSH PRIVATE KEY"))) {
        return cmdi_refuse_file(error, file, "a key of OpenSSH, in its own format");
    }
    return 0;
}

/* Of the leaf, which was parsed before. */
static int check_key(WOLFSSL_CTX *ctx, const struct cmdi_file *certificate,
        const struct cmdi_file *key, const struct chain *chain, uint8_t *der, size_t size,
        struct cmds_error *error)
{
    struct cmdi_certificate leaf;
    char subject[SUBJECT_SIZE] = "";
    if (cmdi_certificate_parse(&leaf, chain->leaf, chain->leaf_size) == CMDI_CERTIFICATE_OK) {
        if (cmdi_keypair_check(ctx, &leaf, der, size)) {
            return 0;
        }
        (void)cmdi_name_text(leaf.subject, subject, sizeof(subject));
    }
    return cmdi_refuse_file(error, key, "not the key of the first certificate (%s) in %s", subject,
            certificate->name.path);
}

static int load_key(WOLFSSL_CTX *ctx, const struct cmdi_file *certificate,
        const struct cmdi_file *file, const struct chain *chain, struct cmds_error *error)
{
    struct cmdi_pem_block block = {.label = {NULL, 0}};
    int code = find_key(file, &block, error);
    if (code < 0) {
        return code;
    }
    int result = wolfSSL_CTX_use_PrivateKey_buffer(
            ctx, block.all.data, (long)block.all.size, WOLFSSL_FILETYPE_PEM);
    if (result != WOLFSSL_SUCCESS) {
        return cmdi_refuse_wolf(error, file, result);
    }
    size_t size_max = cmdi_pem_size_max(block.body.size);
    uint8_t *der = malloc(size_max);
    if (der == NULL) {
        return cmdi_refuse_memory(error);
    }
    size_t size = cmdi_pem_decode(block.body, der);
    code = check_key(ctx, certificate, file, chain, der, size, error);
    explicit_bzero(der, size_max);
    free(der);
    return code;
}

int cmdi_own_load(WOLFSSL_CTX *ctx, const struct cmdi_file *certificate,
        const struct cmdi_file *key, const char *server_name, struct cmds_error *error)
{
    struct chain chain = {.text = NULL};
    int code = load_chain(ctx, certificate, server_name, &chain, error);
    if (code == 0) {
        code = load_key(ctx, certificate, key, &chain, error);
    }
    chain_free(&chain);
    return code;
}
