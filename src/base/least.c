/* SPDX-License-Identifier: MIT */
/* See least.h. */
#include "base/least.h"

#include <errno.h>
#include <stdlib.h>

int cmdi_least_init(struct cmdi_least *least, size_t max)
{
    *least = (struct cmdi_least){.max = max};
    least->heap = max > 0 ? calloc(max, sizeof(*least->heap)) : NULL;
    return max > 0 && least->heap == NULL ? -ENOMEM : 0;
}

void cmdi_least_fini(struct cmdi_least *least)
{
    free(least->heap);
    *least = (struct cmdi_least){.heap = NULL};
}

static void least_swap(struct cmdi_least_key *a, struct cmdi_least_key *b)
{
    struct cmdi_least_key old = *a;
    *a = *b;
    *b = old;
}

/* The last one was added. */
static void least_sift_up(struct cmdi_least_key *heap, size_t count)
{
    for (size_t i = count - 1; i > 0 && heap[i].key > heap[(i - 1) / 2].key; i = (i - 1) / 2) {
        least_swap(&heap[i], &heap[(i - 1) / 2]);
    }
}

/* The first one was replaced. */
static void least_sift_down(struct cmdi_least_key *heap, size_t count)
{
    size_t i = 0;
    for (size_t child = 1; child < count; child = 2 * i + 1) {
        child += child + 1 < count && heap[child + 1].key > heap[child].key;
        if (heap[child].key <= heap[i].key) {
            return;
        }
        least_swap(&heap[i], &heap[child]);
        i = child;
    }
}

bool cmdi_least_take(struct cmdi_least *least, uint64_t key, size_t *row)
{
    struct cmdi_least_key *heap = least->heap;
    if (least->count < least->max) {
        *row = least->count++;
        heap[*row] = (struct cmdi_least_key){key, *row};
        least_sift_up(heap, least->count);
        return true;
    }
    if (least->count == 0 || key >= heap[0].key) {
        return false;
    }
    *row = heap[0].row;
    heap[0].key = key;
    least_sift_down(heap, least->count);
    return true;
}
