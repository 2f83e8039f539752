/* SPDX-License-Identifier: MIT */
/* See memory.h. */
#include "memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct tool_block {
    struct tool_block *older;
    alignas(max_align_t) char data[];
};

void *cmdi_tool_memory_get(struct tool_memory *memory, size_t size)
{
    if (size > TOOL_MEMORY_MAX - memory->size) {
        return NULL;
    }
    struct tool_block *block = calloc(1, sizeof(*block) + size);
    if (block == NULL) {
        return NULL;
    }
    block->older = memory->newest;
    memory->newest = block;
    memory->size += size;
    return block->data;
}

void *cmdi_tool_memory_grow(
        struct tool_memory *memory, const void *block, size_t old_size, size_t size)
{
    void *data = cmdi_tool_memory_get(memory, size);
    if (data != NULL && old_size > 0) {
        memcpy(data, block, old_size);
    }
    return data;
}

void cmdi_tool_memory_free(struct tool_memory *memory)
{
    struct tool_block *block = memory != NULL ? memory->newest : NULL;
    while (block != NULL) {
        struct tool_block *older = block->older;
        free(block);
        block = older;
    }
    if (memory != NULL) {
        *memory = (struct tool_memory){0};
    }
}
