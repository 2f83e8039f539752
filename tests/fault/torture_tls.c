/* SPDX-License-Identifier: MIT */
/* See torture_tls.h. */
#include "fault/torture_tls.h"

#include <stdlib.h>

#include "fault/torture.h"
#include "support/harness.h"
#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/memory.h>
#ifdef CMDI_TLS_GCRYPT
#include <gcrypt.h>
#endif

/*
 * Of zeros: wolfSSL 5.5 frees the key of a signature before it has set it up, if the block behind it fails.
 * Whether it dies of that would depend on what the memory has held before.
 */
static void *others_malloc(size_t size)
{
    void *block = calloc(1, size);
    atomic_fetch_add(&torture.others, block != NULL);
    return block;
}

static void *others_realloc(void *block, size_t size)
{
    void *grown = realloc(block, size);
    atomic_fetch_add(&torture.others, block == NULL && grown != NULL);
    return grown;
}

static void others_free(void *block)
{
    atomic_fetch_sub(&torture.others, block != NULL);
    free(block);
}

static int is_never_secure(const void *block)
{
    (void)block;
    return 0;
}

#ifdef __SANITIZE_ADDRESS__
/* What play_once() forgives wolfSSL. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libwolfssl\nleak:TLSX_KeyShare";
}
#endif

/* Theirs go through ours, wherever those libraries lie. */
void torture_take_allocators(void)
{
    CU_ASSERT_EQUAL(wolfSSL_SetAllocators(others_malloc, others_free, others_realloc), 0);
#ifdef CMDI_TLS_GCRYPT
    gcry_set_allocation_handler(
            others_malloc, others_malloc, is_never_secure, others_realloc, others_free);
#endif
    (void)is_never_secure;
}
