/* SPDX-License-Identifier: MIT */
/* Mutexes of the programs of the world, as conditions need them. See lock.c. Inside, and no yield. */
#ifndef CMDI_SIM_LOCK_H
#define CMDI_SIM_LOCK_H

#include <pthread.h>
#include <stdint.h>

/** Waits for it. Returns: 0; what libc says; ETIMEDOUT. */
int cmdi_sim_lock(pthread_mutex_t *mutex, uint64_t until_ns);
int cmdi_sim_unlock(pthread_mutex_t *mutex);

#endif
