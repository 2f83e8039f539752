/* SPDX-License-Identifier: MIT */
/* Threads that are held up. See hold.h. */
#include "support/hold.h"

#include <stdatomic.h>
#include <stddef.h>

#include "support/raw.h"

static _Atomic bool holds, may_go;

void hold_begin(void)
{
    atomic_store(&holds, false);
    atomic_store(&may_go, false);
}

void hold_here(void *unused)
{
    (void)unused;
    atomic_store(&holds, true);
    while (!atomic_load(&may_go)) {
        raw_pause(NULL);
    }
}

bool hold_is_on(void)
{
    return atomic_load(&holds);
}

void hold_end(void)
{
    atomic_store(&may_go, true);
}
