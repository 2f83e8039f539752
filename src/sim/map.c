/* SPDX-License-Identifier: MIT */
/* mmap and munmap of the programs of the world, led here by the linker (--wrap). See map.h. */
#include "sim/map.h"

#include <errno.h>

#include "base/assert.h"

enum {
    MAP_FAILS_ONE_IN = 300,
};

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);

struct map {
    char *begin;
    size_t size;
    const struct cmdi_sim_crew *crew;
};
static struct {
    struct map *table;
    uint32_t count, capacity;
} maps;

static void map_add(struct map map)
{
    if (maps.count == maps.capacity) {
        maps.capacity = maps.capacity > 0 ? maps.capacity * 2 : 64;
        maps.table = cmdi_sim_realloc(maps.table, maps.capacity * sizeof(*maps.table));
    }
    maps.table[maps.count++] = map;
}

static void map_remove(uint32_t index)
{
    maps.table[index] = maps.table[--maps.count];
    if (maps.count == 0) {
        cmdi_sim_free(maps.table);
        maps.table = NULL;
        maps.capacity = 0;
    }
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    struct cmdi_sim_crew *crew = cmdi_sim_crew();
    if (crew != NULL && cmdi_sim_befalls(CMDS_SIM_MEMORY, CMDI_CHANCE_MEMORY, MAP_FAILS_ONE_IN)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *mapped = __real_mmap(address, size, protection, flags, fd, offset);
    if (crew != NULL && mapped != MAP_FAILED) {
        map_add((struct map){.begin = mapped, .size = size, .crew = crew});
    }
    return mapped;
}

/* All of a mapping, or from one of its ends on. */
int __wrap_munmap(void *address, size_t size)
{
    char *begin = address;
    for (uint32_t i = 0; cmdi_sim_has_worlds() && i < maps.count; i++) {
        struct map *map = &maps.table[i];
        if (begin < map->begin || begin >= map->begin + map->size) {
            continue;
        }
        CMDI_ASSERT(begin == map->begin || begin + size == map->begin + map->size);
        map->begin += begin == map->begin ? size : 0;
        map->size -= size;
        if (map->size == 0) {
            map_remove(i);
        }
        break;
    }
    return __real_munmap(address, size);
}

struct cmdi_sim_blocks cmdi_sim_maps_of(const struct cmdi_sim_crew *crew)
{
    struct cmdi_sim_blocks blocks = {0};
    for (uint32_t i = 0; i < maps.count; i++) {
        if (maps.table[i].crew == crew) {
            blocks.count++;
            blocks.bytes += maps.table[i].size;
        }
    }
    return blocks;
}

void cmdi_sim_maps_drop(const struct cmdi_sim_crew *crew)
{
    for (uint32_t i = maps.count; i > 0; i--) {
        if (maps.table[i - 1].crew == crew) {
            (void)__real_munmap(maps.table[i - 1].begin, maps.table[i - 1].size);
            map_remove(i - 1);
        }
    }
}
