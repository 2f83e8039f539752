/* SPDX-License-Identifier: MIT */
/* Pages that a process of the world has mapped: memory like any other, when it is counted and freed. */
#ifndef CMDI_SIM_MAP_H
#define CMDI_SIM_MAP_H

#include <sys/mman.h>

#include "sim/scheduler.h"

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);

struct cmdi_sim_blocks cmdi_sim_maps_of(const struct cmdi_sim_crew *crew);
/** Unmaps all of them. */
void cmdi_sim_maps_drop(const struct cmdi_sim_crew *crew);

#endif
