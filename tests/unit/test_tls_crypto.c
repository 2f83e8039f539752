/* SPDX-License-Identifier: MIT */
/*
 * AES-GCM of libgcrypt says what that of wolfSSL says: for each size, each key, wherever its handles
 * come from. What nobody vouches for is not shown.
 */
#include "tls/crypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/aes.h>

#include "support/harness.h"

#ifdef CMDI_TLS_GCRYPT
#include "tls/aes_gcm.h"

enum {
    SIZE_MAX_EACH = 1024,
    SIZE_RECORD = 16384,
    SIZE_EXTRA = 64,
    KEYS = 3 * CMDI_AES_GCM_HANDLES + 1,
    THREADS = 4,
    THREAD_KEYS = 40,
    THREAD_ROUNDS = 50,
};

static uint8_t text[SIZE_RECORD], ours[SIZE_RECORD], theirs[SIZE_RECORD];

static void fill(uint8_t *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

struct record {
    struct cmdi_aes_gcm gcm;
    uint8_t key[32], iv[CMDI_AES_GCM_IV_SIZE], extra[SIZE_EXTRA], tag[CMDI_AES_GCM_TAG_SIZE];
};

static void make_record(struct record *record, size_t key_size, uint32_t seed)
{
    fill(record->key, sizeof(record->key), seed);
    fill(record->iv, sizeof(record->iv), seed + 1);
    fill(record->extra, sizeof(record->extra), seed + 2);
    record->gcm = (struct cmdi_aes_gcm){
            .owner = record,
            .key = record->key,
            .key_size = key_size,
            .iv = record->iv,
            .extra = record->extra,
    };
}

static bool cpu_has_aes(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
    return false; // Not known here.
#endif
}

static void begin(void)
{
    CU_ASSERT_EQUAL_FATAL(cmdi_tls_crypto_start(NULL), 0);
    if (!cmdi_aes_gcm_start()) {
        CU_ASSERT_FALSE_FATAL(cpu_has_aes());
        cmdi_test_skip("this CPU does not help with AES");
    }
    fill(text, sizeof(text), 7);
}

/* What wolfSSL says, by itself. */
static bool wolf_seals(
        const struct cmdi_aes_gcm *record, uint8_t *out, uint8_t tag[CMDI_AES_GCM_TAG_SIZE])
{
    Aes aes;
    bool done = wc_AesInit(&aes, NULL, INVALID_DEVID) == 0 &&
                wc_AesGcmSetKey(&aes, record->key, (word32)record->key_size) == 0 &&
                wc_AesGcmEncrypt(&aes, out, record->in, (word32)record->size, record->iv,
                        CMDI_AES_GCM_IV_SIZE, tag, CMDI_AES_GCM_TAG_SIZE, record->extra,
                        (word32)record->extra_size) == 0;
    wc_AesFree(&aes);
    return done;
}

/* Seals as wolfSSL does, elsewhere and in place, and opens what that has sealed. */
static bool agrees(struct record *record, size_t size, size_t extra_size)
{
    uint8_t tag[CMDI_AES_GCM_TAG_SIZE];
    record->gcm.size = size;
    record->gcm.extra_size = extra_size;
    record->gcm.in = text;
    record->gcm.out = ours;
    if (!wolf_seals(&record->gcm, theirs, tag) ||
            cmdi_aes_gcm_seal(&record->gcm, record->tag) != 0 || memcmp(ours, theirs, size) != 0 ||
            memcmp(record->tag, tag, sizeof(tag)) != 0) {
        return false;
    }
    memcpy(ours, text, size);
    record->gcm.in = ours;
    if (cmdi_aes_gcm_seal(&record->gcm, record->tag) != 0 || memcmp(ours, theirs, size) != 0) {
        return false;
    }
    if (cmdi_aes_gcm_open(&record->gcm, tag) != 0 || memcmp(ours, text, size) != 0) {
        return false;
    }
    record->gcm.in = theirs;
    memset(ours, 0, size);
    return cmdi_aes_gcm_open(&record->gcm, tag) == 0 && memcmp(ours, text, size) == 0;
}

static void test_gcm_each_size(void)
{
    static const size_t key_sizes[] = {16, 32}, extra_sizes[] = {0, 5, 13, SIZE_EXTRA};
    begin();
    for (size_t i = 0; i < 2; i++) {
        struct record record;
        make_record(&record, key_sizes[i], (uint32_t)i);
        size_t wrong = 0;
        for (size_t size = 0; size <= SIZE_MAX_EACH; size++) {
            wrong += !agrees(&record, size, extra_sizes[size % 4]);
        }
        for (size_t extra = 0; extra <= SIZE_EXTRA; extra++) {
            wrong += !agrees(&record, 300, extra);
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT(agrees(&record, SIZE_RECORD - 1, 5));
        CU_ASSERT(agrees(&record, SIZE_RECORD, 13));
    }
}

/* Every bit of a tag counts, and all that was authenticated does. */
static void test_gcm_wrong_tags(void)
{
    begin();
    struct record record;
    make_record(&record, 16, 3);
    static const uint8_t nothing[100];
    CU_ASSERT(agrees(&record, 100, 13));
    memcpy(theirs, text, 100);
    record.gcm.in = theirs;
    record.gcm.out = theirs;
    CU_ASSERT_EQUAL(cmdi_aes_gcm_seal(&record.gcm, record.tag), 0);
    record.gcm.out = ours;
    for (int bit = 0; bit < CMDI_AES_GCM_TAG_SIZE * 8; bit++) {
        record.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), -EBADMSG);
        CU_ASSERT_EQUAL(memcmp(ours, nothing, 100), 0);
        record.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), 0);
    uint8_t *const parts[] = {&theirs[0], &theirs[99], &record.extra[0], &record.extra[12],
            &record.iv[0], &record.key[0], &record.key[15]};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *parts[i] ^= 0x80;
        CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), -EBADMSG);
        *parts[i] ^= 0x80;
    }
    CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), 0);
    record.gcm.size = 0;
    record.gcm.in = NULL;
    record.gcm.out = NULL;
    CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), -EBADMSG);
}

/* More keys than handles, of both sizes, in turn and over and over: always the right one. */
static void test_gcm_many_keys(void)
{
    begin();
    static struct record records[KEYS];
    for (uint32_t i = 0; i < KEYS; i++) {
        make_record(&records[i], i % 3 == 0 ? 32 : 16, 100 + i);
    }
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            CU_ASSERT(agrees(&records[(i * (round + 1)) % KEYS], 61, 13));
        }
    }
    CU_ASSERT(cmdi_aes_gcm_handles() <= 2 * CMDI_AES_GCM_HANDLES);
    for (uint32_t i = 0; i < KEYS; i++) { // One owner, another key each time.
        fill(records[0].key, 32, 200 + i);
        records[0].gcm.key_size = i % 2 == 0 ? 16 : 32;
        CU_ASSERT(agrees(&records[0], 61, 13));
        records[0].key[records[0].gcm.key_size - 1] ^= 1; // And one that hardly differs.
        CU_ASSERT(agrees(&records[0], 61, 13));
    }
}

/* A key of 16 bytes is not the key of 32 that has zeros behind it. */
static void test_gcm_sizes_of_keys(void)
{
    begin();
    struct record record;
    make_record(&record, 16, 9);
    memset(record.key + 16, 0, 16);
    CU_ASSERT(agrees(&record, 61, 13));
    record.gcm.key_size = 32;
    CU_ASSERT(agrees(&record, 61, 13));
    record.gcm.key_size = 24;
    record.gcm.in = text;
    CU_ASSERT_EQUAL(cmdi_aes_gcm_seal(&record.gcm, record.tag), -ENOTSUP);
    CU_ASSERT_EQUAL(cmdi_aes_gcm_open(&record.gcm, record.tag), -ENOTSUP);
}

static void test_gcm_keys_are_forgotten(void)
{
    begin();
    struct record records[3];
    for (uint32_t i = 0; i < 3; i++) {
        make_record(&records[i], i == 0 ? 32 : 16, 300 + i);
        CU_ASSERT(agrees(&records[i], 61, 13));
    }
    unsigned handles = cmdi_aes_gcm_handles();
    CU_ASSERT(cmdi_aes_gcm_keys() >= 3);

    cmdi_aes_gcm_forget();

    CU_ASSERT_EQUAL(cmdi_aes_gcm_keys(), 0);
    CU_ASSERT_EQUAL(cmdi_aes_gcm_handles(), handles);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT(agrees(&records[i], 61, 13));
    }
    CU_ASSERT(cmdi_aes_gcm_keys() >= 3);
}

/* A thread seals and opens with its own keys. Returns: NULL: all was right. */
static void *thread_run(void *seed)
{
    struct record record;
    uint8_t data[200] = {0}, was[200];
    unsigned before = cmdi_aes_gcm_handles();
    make_record(&record, 16, 1);
    record.gcm.in = data;
    record.gcm.out = data;
    record.gcm.size = sizeof(data);
    for (int i = 0; i < 3; i++) {
        (void)cmdi_aes_gcm_seal(&record.gcm, record.tag);
    }
    if (before != 0 || cmdi_aes_gcm_handles() != 1) { // Its own, and one for one owner.
        return seed;
    }
    for (uint32_t i = 0; i < THREAD_KEYS * THREAD_ROUNDS; i++) {
        make_record(&record, i % 2 == 0 ? 16 : 32, *(uint32_t *)seed + i % THREAD_KEYS);
        record.gcm.owner = (const uint8_t *)seed + i % THREAD_KEYS;
        fill(was, sizeof(was), i);
        memcpy(data, was, sizeof(data));
        record.gcm.in = data;
        record.gcm.out = data;
        record.gcm.size = i % sizeof(data);
        if (cmdi_aes_gcm_seal(&record.gcm, record.tag) != 0 ||
                cmdi_aes_gcm_open(&record.gcm, record.tag) != 0 ||
                memcmp(data, was, sizeof(data)) != 0) {
            return seed;
        }
    }
    return NULL;
}

static void test_gcm_threads(void)
{
    begin();
    pthread_t threads[THREADS];
    static uint32_t seeds[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        seeds[i] = i * 1000;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, thread_run, &seeds[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        CU_ASSERT_EQUAL(pthread_join(threads[i], &wrong), 0);
        CU_ASSERT_PTR_NULL(wrong);
    }
}
#else
static void test_gcm_each_size(void)
{
    cmdi_test_skip("built without libgcrypt");
}
#endif

/* --- Under wolfSSL ----------------------------------------------------------------------------- */

/* As wolfSSL's own: seals `size` bytes of zero. */
static bool seals_alike(int device, word32 key_size, word32 iv_size, word32 tag_size, word32 size)
{
    static const uint8_t key[32] = "a key that wolfSSL knows", iv[32] = "an iv of any length ...";
    uint8_t out[2][256] = {{0}}, tag[2][16] = {{0}}, plain[256] = {1};
    const int devices[] = {device, INVALID_DEVID};
    bool right = true;
    for (int i = 0; i < 2; i++) {
        Aes aes;
        right = right && wc_AesInit(&aes, NULL, devices[i]) == 0 &&
                wc_AesGcmSetKey(&aes, key, key_size) == 0 &&
                wc_AesGcmEncrypt(
                        &aes, out[i], out[i], size, iv, iv_size, tag[i], tag_size, key, 13) == 0;
        right = right && wc_AesGcmDecrypt(&aes, plain, out[i], size, iv, iv_size, tag[i], tag_size,
                                 key, 13) == 0;
        tag[i][0] ^= 1;
        right = right && wc_AesGcmDecrypt(&aes, plain, out[i], size, iv, iv_size, tag[i], tag_size,
                                 key, 13) == AES_GCM_AUTH_E;
        wc_AesFree(&aes);
    }
    return right && memcmp(out[0], out[1], sizeof(out[0])) == 0 && memcmp(tag[0], tag[1], 16) == 0;
}

static void test_crypto_device(void)
{
    CU_ASSERT_EQUAL_FATAL(cmdi_tls_crypto_start(NULL), 0);
    int device = cmdi_tls_crypto_device();
    CU_ASSERT(seals_alike(device, 16, 12, 16, 200));
    CU_ASSERT(seals_alike(device, 32, 12, 16, 200));
    CU_ASSERT(seals_alike(device, 16, 12, 16, 0));
    CU_ASSERT(seals_alike(device, 24, 12, 16, 200)); // These are wolfSSL's own.
    CU_ASSERT(seals_alike(device, 16, 16, 16, 200));
    CU_ASSERT(seals_alike(device, 16, 12, 12, 200));
}

/* It says one thing, which fits the rest, however often it is asked. */
static void test_crypto_text(void)
{
    const char *line = cmdi_tls_crypto_text();
    CU_ASSERT_EQUAL(strncmp(line, "wolfSSL ", 8), 0);
    CU_ASSERT(strstr(line, LIBWOLFSSL_VERSION_STRING) != NULL);
    CU_ASSERT_EQUAL(
            strstr(line, "by libgcrypt") != NULL, cmdi_tls_crypto_device() != INVALID_DEVID);
    CU_ASSERT_EQUAL(strstr(line, "no fast AES") == NULL, cmdi_tls_aes_is_fast());
    CU_ASSERT_EQUAL(cmdi_tls_crypto_start(NULL), 0);
    CU_ASSERT_PTR_EQUAL(cmdi_tls_crypto_text(), line);
    printf("(%s) ", line);
}

static CU_TestInfo test_tls_crypto[] = {
        {"a device is as wolfSSL alone", test_crypto_device},
        {"it says what it is", test_crypto_text},
#ifdef CMDI_TLS_GCRYPT
        {"wrong tags", test_gcm_wrong_tags},
        {"many keys", test_gcm_many_keys},
        {"keys are forgotten", test_gcm_keys_are_forgotten},
        {"sizes of keys", test_gcm_sizes_of_keys},
        {"threads", test_gcm_threads},
#endif
        {"each size", test_gcm_each_size},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_crypto", test_tls_crypto)
