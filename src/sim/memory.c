/* SPDX-License-Identifier: MIT */
/*
 * The memory of the programs of the world: the linker leads their calls of malloc and the like here
 * (--wrap). It is libc's, with a note of which process has it: when that is killed, the kernel would give
 * it back, and when it ends by itself, whatever is left can be counted. A block that is reallocated stays
 * whose it was: also nobody's, if it was allocated outside.
 *
 * Memory that libc or a shared library has allocated is in no note, and free() does with it what it
 * always does.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/map.h"
#include "sim/scheduler.h"
#include "sim/world.h"

enum {
    MEMORY_FAILS_ONE_IN = 300,
    MEMORY_TABLE_MIN = 4096,
};

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
void __wrap_free(void *memory);

/* --- The simulation's own --------------------------------------------------------------------- */

static void *memory_must(void *memory, size_t size)
{
    if (memory == NULL && size > 0) {
        cmdi_die("the simulation has no memory for %zu bytes", size);
    }
    return memory;
}

void *cmdi_sim_alloc(size_t size)
{
    return memory_must(__real_calloc(1, size), size);
}

void *cmdi_sim_realloc(void *memory, size_t size)
{
    return memory_must(__real_realloc(memory, size), size);
}

void cmdi_sim_free(void *memory)
{
    __real_free(memory);
}

/* --- Notes: a hash table with open addresses -------------------------------------------------- */

struct note {
    void *memory; // NULL: free.
    const struct cmdi_sim_crew *crew;
    size_t size;
};
static struct {
    struct note *table;
    uint32_t count, capacity; // Capacity: 0, or a power of two.
} notes;

static uint32_t note_home(const void *memory)
{
    uint64_t hash = ((uint64_t)(uintptr_t)memory >> 4) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash >> 32) & (notes.capacity - 1);
}

static void note_insert(struct note note)
{
    uint32_t place = note_home(note.memory);
    while (notes.table[place].memory != NULL) {
        place = (place + 1) & (notes.capacity - 1);
    }
    notes.table[place] = note;
}

static void note_grow(void)
{
    struct note *old = notes.table;
    uint32_t old_capacity = notes.capacity;
    notes.capacity = old_capacity > 0 ? old_capacity * 2 : MEMORY_TABLE_MIN;
    notes.table = cmdi_sim_alloc(notes.capacity * sizeof(*notes.table));
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].memory != NULL) {
            note_insert(old[i]);
        }
    }
    cmdi_sim_free(old);
}

static void *note_add_of(const struct cmdi_sim_crew *crew, void *memory, size_t size)
{
    if (memory != NULL && crew != NULL) {
        if (notes.count * 2 >= notes.capacity) {
            note_grow();
        }
        notes.count++;
        note_insert((struct note){.memory = memory, .crew = crew, .size = size});
    }
    return memory;
}

static void *note_add(void *memory, size_t size)
{
    return note_add_of(cmdi_sim_crew(), memory, size);
}

/* Those behind it that its place had displaced move up. */
static void note_close_gap(uint32_t gap)
{
    uint32_t mask = notes.capacity - 1;
    for (uint32_t i = (gap + 1) & mask; notes.table[i].memory != NULL; i = (i + 1) & mask) {
        uint32_t home = note_home(notes.table[i].memory);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            notes.table[gap] = notes.table[i];
            gap = i;
        }
    }
    notes.table[gap].memory = NULL;
}

/* Returns: whose it was. NULL: nobody's of the world. */
static const struct cmdi_sim_crew *note_remove(const void *memory)
{
    const struct cmdi_sim_crew *crew = NULL;
    if (memory == NULL || !cmdi_sim_has_worlds() || notes.count == 0) {
        return NULL;
    }
    uint32_t mask = notes.capacity - 1;
    for (uint32_t i = note_home(memory); notes.table[i].memory != NULL; i = (i + 1) & mask) {
        if (notes.table[i].memory == memory) {
            crew = notes.table[i].crew;
            notes.count--;
            note_close_gap(i);
            break;
        }
    }
    if (notes.count == 0) {
        cmdi_sim_free(notes.table);
        notes.table = NULL;
        notes.capacity = 0;
    }
    return crew;
}

struct cmdi_sim_blocks cmdi_sim_memory_of(const struct cmdi_sim_crew *crew)
{
    struct cmdi_sim_blocks blocks = cmdi_sim_maps_of(crew);
    for (uint32_t i = 0; i < notes.capacity; i++) {
        if (notes.table[i].memory != NULL && notes.table[i].crew == crew) {
            blocks.count++;
            blocks.bytes += notes.table[i].size;
        }
    }
    return blocks;
}

void cmdi_sim_memory_drop(const struct cmdi_sim_crew *crew)
{
    cmdi_sim_maps_drop(crew);
    struct note *old = notes.table;
    uint32_t old_capacity = notes.capacity;
    notes.table = NULL;
    notes.count = notes.capacity = 0;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].memory != NULL && old[i].crew == crew) {
            __real_free(old[i].memory);
        } else if (old[i].memory != NULL) {
            if (notes.count * 2 >= notes.capacity) {
                note_grow();
            }
            notes.count++;
            note_insert(old[i]);
        }
    }
    cmdi_sim_free(old);
}

/* --- What programs call ----------------------------------------------------------------------- */

static bool memory_fails(void)
{
    return cmdi_sim_thread() != NULL &&
           cmdi_sim_befalls(CMDS_SIM_MEMORY, CMDI_CHANCE_MEMORY, MEMORY_FAILS_ONE_IN);
}

/* What lay there is no lock any more. */
static void memory_forget_locks(void *memory)
{
    if (memory != NULL && cmdi_sim_has_worlds() && cmdi_sim_locks_any()) {
        cmdi_sim_locks_forget(memory, malloc_usable_size(memory));
    }
}

void *__wrap_malloc(size_t size)
{
    if (memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return note_add(__real_malloc(size), size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return note_add(__real_calloc(count, size), count * size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (size > 0 && memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    if (memory == NULL) {
        return note_add(__real_realloc(NULL, size), size);
    }
    memory_forget_locks(memory);
    void *moved = __real_realloc(memory, size);
    if (moved != NULL || size == 0) {
        (void)note_add_of(note_remove(memory), moved, size);
    }
    return moved;
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return __wrap_realloc(memory, count * size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return note_add(__real_aligned_alloc(alignment, size), size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (memory_fails()) {
        return ENOMEM;
    }
    int code = __real_posix_memalign(memory, alignment, size);
    if (code == 0) {
        (void)note_add(*memory, size);
    }
    return code;
}

char *__wrap_strdup(const char *text)
{
    if (memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return note_add(__real_strdup(text), strlen(text) + 1);
}

char *__wrap_strndup(const char *text, size_t max)
{
    if (memory_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return note_add(__real_strndup(text, max), strnlen(text, max) + 1);
}

void __wrap_free(void *memory)
{
    memory_forget_locks(memory);
    (void)note_remove(memory);
    __real_free(memory);
}
