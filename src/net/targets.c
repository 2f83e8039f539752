/* SPDX-License-Identifier: MIT */
/* Snapshots of a lookup. See targets.h. */
#include "net/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Stands for all that could not be made. Its first count is never given back: it is not freed. */
static struct cmdi_targets targets_no_memory = {
        .refs = 1,
        .error = {.code = -ENOMEM, .text = "no memory for the addresses"},
};

struct cmdi_targets *cmdi_targets_create(const char *name, const struct cmdi_address *addresses,
        uint32_t count, const struct cmds_error *error)
{
    bool is_numeric = cmdi_address_is_numeric(name);
    struct cmdi_targets *targets = calloc(1, sizeof(*targets) + count * sizeof(targets->list[0]));
    CMDI_ASSERT(count > 0 || error->code != 0);
    if (targets == NULL) {
        return cmdi_targets_ref(&targets_no_memory);
    }
    atomic_store(&targets->refs, 1);
    targets->count = count;
    if (count == 0) {
        targets->error = *error;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_target *target = &targets->list[i];
        char text[CMDI_ADDRESS_TEXT_MAX];
        target->address = addresses[i];
        cmdi_address_text(&addresses[i], text, sizeof(text));
        if (is_numeric) {
            (void)snprintf(target->text, sizeof(target->text), "%s", text);
        } else {
            (void)snprintf(target->text, sizeof(target->text), "%.*s (%s)",
                    CMDI_ADDRESS_TEXT_MAX - 4, name, text);
        }
    }
    return targets;
}

struct cmdi_targets *cmdi_targets_ref(struct cmdi_targets *targets)
{
    uint32_t before = atomic_fetch_add_explicit(&targets->refs, 1, memory_order_relaxed);
    CMDI_ASSERT(before != 0);
    (void)before;
    return targets;
}

void cmdi_targets_unref(struct cmdi_targets *targets)
{
    if (targets != NULL &&
            atomic_fetch_sub_explicit(&targets->refs, 1, memory_order_acq_rel) == 1) {
        free(targets);
    }
}
