/* SPDX-License-Identifier: MIT */
/*
 * A thread for one name. See resolve.h.
 *
 * `fn` runs under the lock of the block. So let_go, which takes `fn` away under the same lock,
 * either comes first, and `fn` never runs, or waits until `fn` has returned.
 */
#include "net/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "ring/thread.h"

struct cmdi_resolve {
    pthread_mutex_t lock;
    cmdi_resolved_fn fn; // NULL: nobody wants to know any more. Under the lock.
    void *context;       // As long as `fn` is there.
    uint32_t refs;       // The thread's and the owner's. Under the lock.
    uint32_t address_max;
    char *text; // Behind the addresses.
    struct cmdi_address addresses[];
};

/* Called with the lock held. */
static void resolve_unref(struct cmdi_resolve *resolve)
{
    CMDI_ASSERT(resolve->refs > 0);
    bool last = --resolve->refs == 0;
    pthread_mutex_unlock(&resolve->lock);
    if (last) {
        (void)pthread_mutex_destroy(&resolve->lock);
        free(resolve);
    }
}

static void *resolve_main(void *argument)
{
    struct cmdi_resolve *resolve = argument;
    struct cmds_error error = CMDS_ERROR_INIT;
    int count =
            cmdi_address_resolve(resolve->text, resolve->addresses, resolve->address_max, &error);
    CMDI_ASSERT(count != 0 && (count > 0) == (error.code == 0));
    pthread_mutex_lock(&resolve->lock);
    if (resolve->fn != NULL) {
        resolve->fn(resolve->context, resolve->addresses, count > 0 ? (uint32_t)count : 0, &error);
    }
    resolve_unref(resolve);
    return NULL;
}

int cmdi_resolve_begin(struct cmdi_resolve **out, const char *text, uint32_t address_max,
        struct cmds_error *error, cmdi_resolved_fn fn, void *context)
{
    size_t size = strlen(text) + 1;
    struct cmdi_resolve *resolve =
            calloc(1, sizeof(*resolve) + address_max * sizeof(resolve->addresses[0]) + size);
    CMDI_ASSERT(fn != NULL && address_max > 0);
    if (resolve == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory to resolve \"%s\"", text);
    }
    (void)pthread_mutex_init(&resolve->lock, NULL); // Cannot fail without attributes.
    resolve->address_max = address_max;
    resolve->text = memcpy(&resolve->addresses[address_max], text, size);
    resolve->fn = fn;
    resolve->context = context;
    resolve->refs = 2;
    *out = resolve;
    int code = cmdi_thread_start(NULL, resolve_main, resolve, "cmds-resolve", 0);
    if (code < 0) {
        *out = NULL;
        (void)pthread_mutex_destroy(&resolve->lock);
        free(resolve);
        return cmdi_fail(error, code, "resolve \"%s\": no thread could be started: %s", text,
                cmds_error_text(code));
    }
    return 0;
}

void cmdi_resolve_let_go(struct cmdi_resolve *resolve)
{
    if (resolve != NULL) {
        pthread_mutex_lock(&resolve->lock);
        resolve->fn = NULL;
        resolve_unref(resolve);
    }
}
