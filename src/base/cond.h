/* SPDX-License-Identifier: MIT */
/* A condition whose times are those of CLOCK_MONOTONIC. */
#ifndef CMDI_BASE_COND_H
#define CMDI_BASE_COND_H

#include <pthread.h>
#include <time.h>

static inline void cmdi_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

#endif
