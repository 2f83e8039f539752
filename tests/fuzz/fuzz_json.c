/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as JSON: see support/fuzz/codec.h. Beside it jansson judges the grammar: what it accepts as an object that has
 * no name of ours must be skipped as a whole.
 */
#include <cmdstream/codec_json.h>

#include <jansson.h>

#include "support/fuzz/codec.h"

CMDS_COMMAND_EMPTY(nothing, 1);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_decode(&cmds_codec_json, &shop_order_type, data, size);
    int64_t used = fuzz_decode(&cmds_codec_json, &nothing_type, data, size);
    json_t *tree = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    bool has_nul = size > 0 && memchr(data, '\0', size) != NULL; // jansson passes over it.
    if (json_is_object(tree) && !has_nul) {
        REQUIRE(used == (int64_t)size || used == CMDS_E_LIMIT); // Deeper than 32.
    }
    json_decref(tree);
    return 0;
}
