/* SPDX-License-Identifier: MIT */
/* Memory that runs out once. See scarce.h. */
#include "support/scarce.h"

#include <stddef.h>

static unsigned long allocation_count, failing; // failing: 0: none does.

static bool allocation_fails(void)
{
    return ++allocation_count == failing;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(old, size);
}

void scarce_fail_at(unsigned long number)
{
    allocation_count = 0;
    failing = number;
}

bool scarce_has_failed(void)
{
    bool was_there = allocation_count >= failing;
    failing = 0;
    return was_there;
}
