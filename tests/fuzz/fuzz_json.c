/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as JSON: see support/fuzz/codec.h. Beside it jansson judges the grammar, in a type that
 * has no field, so that all of it is passed over. The two must agree in both directions, but for
 * what is told apart below.
 *
 * jansson accepts and we need not: more than 32 containers inside each other (CMDS_E_LIMIT); bytes
 * of NUL between the tokens, which it passes over.
 * We accept and jansson need not, because we do as Go: null as the whole; in text what is not UTF-8
 * and half a surrogate pair, which become U+FFFD; a name with \u0000 in it; where nobody asked for
 * the number, one that no double can hold, or no int64_t.
 */
#include <cmdstream/codec_json.h>

#include <jansson.h>

#include "support/fuzz/codec.h"

CMDS_COMMAND_EMPTY(nothing, 1);

/* Did jansson stop at something that Go replaces or does not look at, and not at the grammar? */
static bool is_forgiven(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
    case json_error_null_byte_in_key:
    case json_error_numeric_overflow:
        return true;
    case json_error_invalid_syntax:
        return strstr(error->text, "invalid Unicode '\\u") != NULL;
    default:
        return false;
    }
}

static void judge(int64_t used, const uint8_t *data, size_t size)
{
    json_error_t error;
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *tree = json_loadb((const char *)data, size, flags, &error);
    bool has_nul = size > 0 && memchr(data, '\0', size) != NULL;
    if ((json_is_object(tree) || json_is_null(tree)) && !has_nul) {
        REQUIRE(used == (int64_t)size || used == CMDS_E_LIMIT);
    } else if (tree != NULL && !has_nul) {
        REQUIRE(used == CMDS_E_PROTO); // Another kind of value than an object.
    } else if (tree == NULL && used >= 0) {
        REQUIRE(is_forgiven(&error));
    }
    json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t order = fuzz_decode(&cmds_codec_json, &shop_order_type, data, size);
    int64_t nothing = fuzz_decode(&cmds_codec_json, &nothing_type, data, size);
    (void)fuzz_decode(&cmds_codec_json, &steep_type, data, size);
    (void)fuzz_decode(&cmds_codec_json, &shelf_type, data, size);
    REQUIRE(order < 0 || nothing == order); // What is read is also passed over.
    judge(nothing, data, size);
    return 0;
}
