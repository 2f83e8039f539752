/* SPDX-License-Identifier: MIT */
/* Numbers by the hash of a text. See roll.h. */
#include "group/roll.h"

#include <errno.h>
#include <stdlib.h>

int cmdi_roll_init(struct cmdi_roll *roll, uint32_t count_max)
{
    uint32_t size = 2;
    while (size < 2 * count_max) {
        size *= 2;
    }
    uint32_t *cells = calloc(size, sizeof(*cells));
    *roll = (struct cmdi_roll){.cells = cells,
            .mask = cells != NULL ? size - 1 : 0,
            .room = cells != NULL ? count_max : 0};
    return cells != NULL ? 0 : -ENOMEM;
}

void cmdi_roll_fini(struct cmdi_roll *roll)
{
    free(roll->cells);
    *roll = (struct cmdi_roll){.cells = NULL};
}
