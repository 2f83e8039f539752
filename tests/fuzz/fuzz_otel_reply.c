/* SPDX-License-Identifier: MIT */
/*
 * What a backend answers, of any bytes: it is read within its bounds, says nothing that is not in it, and a
 * body that is refused says nothing at all. The same bytes as pairs of OTEL_EXPORTER_OTLP_HEADERS.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "otel/pairs.h"
#include "otel/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_pairs(const char *text, size_t size)
{
    char *buffer = malloc(size + 2);
    struct cmds_pair pair;
    CMDI_ASSERT(buffer != NULL);
    const char *end = text + strlen(text);
    for (int code = 1; code != 0;) {
        code = cmdi_pairs_next(&text, buffer, size + 2, &pair);
        CMDI_ASSERT(text <= end);
        if (code > 0) {
            CMDI_ASSERT(pair.key.size > 0 && pair.key.size + pair.value.size <= size);
            CMDI_ASSERT(pair.key.data[pair.key.size] == '\0');
            CMDI_ASSERT(pair.value.data[pair.value.size] == '\0');
        }
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cmdi_partial partial;
    char *copy = malloc(size + 1); // So that a byte too far is seen.
    CMDI_ASSERT(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    int code = cmdi_reply_read((struct cmds_bytes){data, size}, &partial);
    CMDI_ASSERT(code == 0 || code == CMDS_E_PROTO);
    CMDI_ASSERT(code == 0 || (partial.rejected == 0 && partial.message.size == 0));
    CMDI_ASSERT(partial.rejected <= INT64_MAX && partial.message.size <= size);
    fuzz_pairs(copy, strlen(copy));
    free(copy);
    return 0;
}
