/* SPDX-License-Identifier: MIT */
/*
 * Blocks of memory that go together: what a value that was read from JSON points to.
 */
#ifndef CMDSTREAM_TOOL_MEMORY_H
#define CMDSTREAM_TOOL_MEMORY_H

#include <stddef.h>

enum {
    TOOL_MEMORY_MAX = 1 << 30 // Bytes of one value. More is no command, but a mistake.
};

/** All zero is empty. */
struct tool_memory {
    struct tool_block *newest;
    size_t size;
};
struct tool_block;

/** Zeroed, aligned for anything; never NULL for 0 bytes. Returns: NULL without memory, or beyond the bound. */
void *cmdi_tool_memory_get(struct tool_memory *memory, size_t size);
/**
 * A copy of a block, larger; what is new is zeroed. The old one is there until all go: who doubles wastes
 * no more than he has.
 *
 * Returns: NULL as above.
 */
void *cmdi_tool_memory_grow(
        struct tool_memory *memory, const void *block, size_t old_size, size_t size);
/** All of them at once. NULL is fine. */
void cmdi_tool_memory_free(struct tool_memory *memory);

#endif
