/* SPDX-License-Identifier: MIT */
/* What a program's struct says and this library knows, and what it does not. See options.h. */
#include "base/options.h"

#include <errno.h>

#include "base/assert.h"
#include "base/error.h"

enum {
    OPTIONS_SIZE_MIN = 8, // The smallest INIT macro; less is a struct that nobody started.
    OPTIONS_SIZE_MAX = 4096,
};

bool cmdi_is_zero(const void *table, size_t from, size_t size)
{
    const unsigned char *bytes = table;
    for (size_t i = from; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

int cmdi_table_check(
        const void *table, size_t known, size_t least, const char *name, struct cmds_error *error)
{
    CMDI_ASSERT(least >= sizeof(uint32_t) && least <= known);
    uint32_t size;
    memcpy(&size, table, sizeof(size));
    if (size < least || size > OPTIONS_SIZE_MAX) {
        return cmdi_fail(
                error, -EINVAL, "%s: struct_size is %u: it should be its size", name, size);
    }
    if (!cmdi_is_zero(table, known, size)) {
        return cmdi_fail(error, -E2BIG,
                "%s: has something that this library (%s, older than the header) does not know",
                name, CMDS_VERSION);
    }
    return 0;
}

int cmdi_unused_check(uint64_t unused, const char *name, struct cmds_error *error)
{
    return unused == 0 ? 0
                       : cmdi_fail(error, -E2BIG,
                                 "%s: an unused member is set: this library (%s) does not know it",
                                 name, CMDS_VERSION);
}

int cmdi_options_take(void *mine, size_t mine_size, const void *theirs, const char *name,
        struct cmds_error *error)
{
    CMDI_ASSERT(mine_size >= OPTIONS_SIZE_MIN && mine_size <= OPTIONS_SIZE_MAX);
    uint32_t size;
    memcpy(&size, theirs, sizeof(size));
    if (size < OPTIONS_SIZE_MIN || size > OPTIONS_SIZE_MAX) {
        return cmdi_fail(
                error, -EINVAL, "%s: struct_size is %u: start from its INIT macro", name, size);
    }
    if (!cmdi_is_zero(theirs, mine_size, size)) {
        return cmdi_fail(error, -E2BIG,
                "%s: sets an option that this library (%s, older than the header) does not have",
                name, CMDS_VERSION);
    }
    memset(mine, 0, mine_size);
    memcpy(mine, theirs, size < mine_size ? size : mine_size);
    return 0;
}
