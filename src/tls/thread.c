/* SPDX-License-Identifier: MIT */
/* See thread.h. */
#include "tls/thread.h"

#include "tls/wolf.h"

#ifdef FP_ECC

#include <pthread.h>

#include <wolfssl/wolfcrypt/ecc.h>

static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static int thread_code; // Of the key: without one the tables stay.

static void thread_end(void *key)
{
    (void)key;
    wc_ecc_fp_free();
}

static void thread_create_key(void)
{
    thread_code = pthread_key_create(&thread_key, thread_end);
}

void cmdi_tls_thread_works(void)
{
    if (pthread_once(&thread_once, thread_create_key) == 0 && thread_code == 0) {
        (void)pthread_setspecific(thread_key, &thread_key); // Any value but NULL.
    }
}

#else

void cmdi_tls_thread_works(void)
{
}

#endif
