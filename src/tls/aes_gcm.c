/* SPDX-License-Identifier: MIT */
/* See aes_gcm.h. */
#include "tls/aes_gcm.h"

#include <errno.h>
#include <gcrypt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    KEY_SIZE_MAX = 32,
    SIZES = 2, // Of keys: libgcrypt has an algorithm for each.
};

static const struct {
    size_t key_size;
    int algorithm;
} aes_sizes[SIZES] = {{16, GCRY_CIPHER_AES128}, {32, GCRY_CIPHER_AES256}};

struct aes_slot {
    uint8_t key[KEY_SIZE_MAX]; // Of the handle that `size` says. The rest is zero.
    uint32_t size;             // Index of aes_sizes; SIZES: none has a key.
    gcry_cipher_hd_t handles[SIZES];
};
struct aes_thread {
    const void *owners[CMDI_AES_GCM_HANDLES]; // Together, because they are searched.
    struct aes_slot slots[CMDI_AES_GCM_HANDLES];
    uint32_t next; // That a new owner takes.
};

static pthread_key_t aes_thread_key;
static enum {
    AES_NOT_TRIED,
    AES_READY,
    AES_OUT, // It is not to be used.
} aes_state; // Written by the start alone.

static void aes_thread_end(void *data)
{
    struct aes_thread *thread = data;
    for (int i = 0; i < CMDI_AES_GCM_HANDLES; i++) {
        for (int size = 0; size < SIZES; size++) {
            gcry_cipher_close(thread->slots[i].handles[size]); // Wipes it. NULL is fine.
        }
    }
    explicit_bzero(thread, sizeof(*thread));
    free(thread);
}

static struct aes_thread *aes_thread(void)
{
    struct aes_thread *thread = pthread_getspecific(aes_thread_key);
    if (thread != NULL) {
        return thread;
    }
    thread = calloc(1, sizeof(*thread));
    if (thread == NULL) {
        return NULL;
    }
    for (int i = 0; i < CMDI_AES_GCM_HANDLES; i++) {
        thread->slots[i].size = SIZES;
    }
    if (pthread_setspecific(aes_thread_key, thread) != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

/* Takes the same time wherever the difference is. */
static bool aes_key_is(const struct aes_slot *slot, const uint8_t key[KEY_SIZE_MAX])
{
    uint64_t difference = 0;
    for (size_t i = 0; i < KEY_SIZE_MAX; i += sizeof(uint64_t)) {
        uint64_t ours, theirs;
        memcpy(&ours, slot->key + i, sizeof(ours));
        memcpy(&theirs, key + i, sizeof(theirs));
        difference |= ours ^ theirs;
    }
    return difference == 0;
}

static struct aes_slot *aes_slot_of(struct aes_thread *thread, const void *owner)
{
    for (uint32_t i = 0; i < CMDI_AES_GCM_HANDLES; i++) {
        if (thread->owners[i] == owner) {
            return &thread->slots[i];
        }
    }
    uint32_t i = thread->next;
    thread->next = (i + 1) % CMDI_AES_GCM_HANDLES;
    thread->owners[i] = owner;
    return &thread->slots[i];
}

/* Returns: false: it has no key now. */
static bool aes_slot_take(struct aes_slot *slot, uint32_t size, const uint8_t key[KEY_SIZE_MAX])
{
    gcry_cipher_hd_t *handle = &slot->handles[size];
    slot->size = SIZES;
    if (*handle == NULL && gcry_cipher_open(handle, aes_sizes[size].algorithm, GCRY_CIPHER_MODE_GCM,
                                   0) != GPG_ERR_NO_ERROR) {
        *handle = NULL;
        return false;
    }
    if (gcry_cipher_setkey(*handle, key, aes_sizes[size].key_size) != GPG_ERR_NO_ERROR) {
        return false;
    }
    memcpy(slot->key, key, KEY_SIZE_MAX);
    slot->size = size;
    return true;
}

/* The handle with the record's key. Returns: NULL: there is none. */
static gcry_cipher_hd_t aes_handle(const struct cmdi_aes_gcm *record)
{
    CMDI_ASSERT(aes_state == AES_READY);
    uint32_t size = 0;
    while (size < SIZES && aes_sizes[size].key_size != record->key_size) {
        size++;
    }
    struct aes_thread *thread = size < SIZES ? aes_thread() : NULL;
    if (thread == NULL) {
        return NULL;
    }
    uint8_t key[KEY_SIZE_MAX] = {0};
    memcpy(key, record->key, record->key_size);
    struct aes_slot *slot = aes_slot_of(thread, record->owner);
    bool has = (slot->size == size && aes_key_is(slot, key)) || aes_slot_take(slot, size, key);
    explicit_bzero(key, sizeof(key));
    return has ? slot->handles[size] : NULL;
}

/* The handle is ready for the record's bytes. Returns: NULL: nothing was done. */
static gcry_cipher_hd_t aes_begin(const struct cmdi_aes_gcm *record)
{
    gcry_cipher_hd_t handle = aes_handle(record);
    if (handle == NULL || gcry_cipher_setiv(handle, record->iv, CMDI_AES_GCM_IV_SIZE) != 0 ||
            (record->extra_size > 0 &&
                    gcry_cipher_authenticate(handle, record->extra, record->extra_size) != 0)) {
        return NULL;
    }
    return handle;
}

int cmdi_aes_gcm_seal(const struct cmdi_aes_gcm *record, uint8_t tag[CMDI_AES_GCM_TAG_SIZE])
{
    gcry_cipher_hd_t handle = aes_begin(record);
    if (handle == NULL) {
        return -ENOTSUP;
    }
    if (record->size > 0 && gcry_cipher_encrypt(handle, record->out, record->size, record->in,
                                    record->size) != GPG_ERR_NO_ERROR) {
        return -EIO;
    }
    return gcry_cipher_gettag(handle, tag, CMDI_AES_GCM_TAG_SIZE) == GPG_ERR_NO_ERROR ? 0 : -EIO;
}

int cmdi_aes_gcm_open(const struct cmdi_aes_gcm *record, const uint8_t tag[CMDI_AES_GCM_TAG_SIZE])
{
    gcry_cipher_hd_t handle = aes_begin(record);
    if (handle == NULL) {
        return -ENOTSUP;
    }
    if (record->size > 0 && gcry_cipher_decrypt(handle, record->out, record->size, record->in,
                                    record->size) != GPG_ERR_NO_ERROR) {
        return -EIO;
    }
    gcry_error_t error = gcry_cipher_checktag(handle, tag, CMDI_AES_GCM_TAG_SIZE);
    if (error == GPG_ERR_NO_ERROR) {
        return 0;
    }
    if (record->size > 0) {
        memset(record->out, 0, record->size); // Nobody is to see what nobody vouches for.
    }
    return gcry_err_code(error) == GPG_ERR_CHECKSUM ? -EBADMSG : -EIO;
}

static void aes_slot_forget(struct aes_slot *slot)
{
    static const uint8_t nothing[KEY_SIZE_MAX];
    for (int size = 0; size < SIZES; size++) {
        if (slot->handles[size] != NULL) {
            (void)gcry_cipher_setkey(slot->handles[size], nothing, aes_sizes[size].key_size);
        }
    }
    explicit_bzero(slot->key, sizeof(slot->key));
    slot->size = SIZES;
}

void cmdi_aes_gcm_forget(void)
{
    CMDI_ASSERT(aes_state == AES_READY);
    struct aes_thread *thread = pthread_getspecific(aes_thread_key);
    for (int i = 0; thread != NULL && i < CMDI_AES_GCM_HANDLES; i++) {
        aes_slot_forget(&thread->slots[i]);
    }
}

unsigned cmdi_aes_gcm_keys(void)
{
    CMDI_ASSERT(aes_state == AES_READY);
    const struct aes_thread *thread = pthread_getspecific(aes_thread_key);
    unsigned count = 0;
    for (int i = 0; thread != NULL && i < CMDI_AES_GCM_HANDLES; i++) {
        count += thread->slots[i].size != SIZES;
    }
    return count;
}

unsigned cmdi_aes_gcm_handles(void)
{
    CMDI_ASSERT(aes_state == AES_READY);
    const struct aes_thread *thread = pthread_getspecific(aes_thread_key);
    unsigned count = 0;
    for (int i = 0; thread != NULL && i < CMDI_AES_GCM_HANDLES; i++) {
        for (int size = 0; size < SIZES; size++) {
            count += thread->slots[i].handles[size] != NULL;
        }
    }
    return count;
}

/* --- The start -------------------------------------------------------------------------------- */

static bool aes_has(const char *feature)
{
    char *list = gcry_get_config(0, "hwflist"); // ":intel-cpu:intel-aesni:", and the like.
    bool found = list != NULL && strstr(list, feature) != NULL;
    gcry_free(list);
    return found;
}

/* Both AES and the multiplication of GCM. In C they are slower than ChaCha20, and their time tells of keys. */
static bool aes_cpu_helps(void)
{
    return (aes_has(":intel-aesni:") && aes_has(":intel-pclmul:")) ||
           (aes_has(":arm-aes:") && aes_has(":arm-pmull:")) || aes_has(":ppc-vcrypto:");
}

enum {
    ANSWER_SIZE = 61, // Of the text; the tag follows.
    ANSWER_EXTRA_SIZE = 13,
};

/* Of OpenSSL, for what aes_answers_right() asks with a key of 16 bytes, and of 32. */
static const uint8_t aes_answers[SIZES][ANSWER_SIZE + CMDI_AES_GCM_TAG_SIZE] = {
        {0xfb, 0xde, 0x46, 0x44, 0x9f, 0x93, 0x87, 0x33, 0x8e, 0xd8, 0xfa, 0x80, 0xdf, 0xec, 0xce,
                0x24, 0x2c, 0xcb, 0x08, 0x1e, 0x33, 0x80, 0x89, 0xf0, 0x39, 0x48, 0x20, 0xc5, 0xd9,
                0xc1, 0xd3, 0x31, 0x93, 0x31, 0x0c, 0x01, 0x95, 0x46, 0xe1, 0x35, 0x8b, 0x15, 0xb4,
                0xa3, 0xee, 0x9c, 0x04, 0xec, 0xab, 0x4d, 0x56, 0x76, 0xe3, 0x22, 0x00, 0xf0, 0x6f,
                0x6a, 0xbe, 0xea, 0x96, 0x45, 0xa9, 0x32, 0x43, 0x9d, 0xe3, 0xf5, 0xb3, 0xa3, 0x5a,
                0x38, 0xfa, 0xab, 0x2f, 0xc0, 0x15},
        {0xbc, 0xcc, 0x61, 0x5f, 0x74, 0xb9, 0x57, 0x8d, 0x95, 0x08, 0x4f, 0x66, 0x7f, 0xfd, 0xaa,
                0xd9, 0x09, 0xd7, 0xc4, 0x63, 0xc1, 0xff, 0xcc, 0x2e, 0xd6, 0x3b, 0x6f, 0xbb, 0x2e,
                0xc5, 0xd0, 0x74, 0x8f, 0x97, 0x5d, 0x77, 0x70, 0xff, 0x25, 0x53, 0xa7, 0xd8, 0x9f,
                0xe4, 0x55, 0x9b, 0xee, 0x36, 0xf7, 0x72, 0x2e, 0xf0, 0xd5, 0x54, 0xf1, 0x5c, 0xf6,
                0x52, 0xe3, 0x30, 0x85, 0xc3, 0x54, 0x2d, 0x83, 0xbb, 0x40, 0x2f, 0xa6, 0x64, 0x7b,
                0x91, 0xf0, 0x73, 0x90, 0x54, 0xb5},
};

/* first, first + 7, first + 14, ... */
static void aes_fill(uint8_t *data, size_t size, uint8_t first)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(first + 7 * i);
    }
}

/* It seals as OpenSSL does, opens that again, and sees a wrong tag. */
static bool aes_answers_right(uint32_t size)
{
    uint8_t key[KEY_SIZE_MAX], iv[CMDI_AES_GCM_IV_SIZE], extra[ANSWER_EXTRA_SIZE];
    uint8_t text[ANSWER_SIZE], data[ANSWER_SIZE], tag[CMDI_AES_GCM_TAG_SIZE];
    aes_fill(key, sizeof(key), 1);
    aes_fill(iv, sizeof(iv), 2);
    aes_fill(extra, sizeof(extra), 3);
    aes_fill(text, sizeof(text), 4);
    memcpy(data, text, sizeof(data));
    struct cmdi_aes_gcm record = {
            .owner = aes_answers,
            .key = key,
            .key_size = aes_sizes[size].key_size,
            .iv = iv,
            .extra = extra,
            .extra_size = sizeof(extra),
            .in = data,
            .out = data,
            .size = sizeof(data),
    };
    if (cmdi_aes_gcm_seal(&record, tag) != 0 ||
            memcmp(data, aes_answers[size], sizeof(data)) != 0 ||
            memcmp(tag, aes_answers[size] + sizeof(data), sizeof(tag)) != 0) {
        return false;
    }
    if (cmdi_aes_gcm_open(&record, tag) != 0 || memcmp(data, text, sizeof(data)) != 0 ||
            cmdi_aes_gcm_seal(&record, tag) != 0) {
        return false;
    }
    tag[0] ^= 1;
    return cmdi_aes_gcm_open(&record, tag) == -EBADMSG;
}

/* libgcrypt as the application has made it, or as this needs it. */
static bool aes_library_starts(void)
{
    if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
        if (gcry_check_version("1.9.0") == NULL) {
            return false;
        }
        gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    }
    return gcry_check_version("1.9.0") != NULL;
}

bool cmdi_aes_gcm_start(void)
{
    if (aes_state == AES_NOT_TRIED) {
        aes_state = aes_library_starts() && aes_cpu_helps() &&
                                    pthread_key_create(&aes_thread_key, aes_thread_end) == 0
                            ? AES_READY
                            : AES_OUT;
        if (aes_state == AES_READY && !(aes_answers_right(0) && aes_answers_right(1))) {
            aes_state = AES_OUT; // What this thread has of it stays until it ends.
        }
    }
    return aes_state == AES_READY;
}

bool cmdi_aes_gcm_is_best(void)
{
    return gcry_check_version("1.11.0") != NULL && aes_has(":intel-vaes-vpclmul:");
}

const char *cmdi_aes_gcm_version(void)
{
    return gcry_check_version(NULL);
}
