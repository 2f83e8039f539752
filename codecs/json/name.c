/* SPDX-License-Identifier: MIT */
/*
 * Which row a name means, as Go decides it: the one that has exactly this name, else the first that
 * has it but for case.
 *
 * A body can be made of nothing but names, and each of them is held against every row; what that
 * may cost is bounded by CMDI_JSON_ROWS_MAX, and most rows are passed over by their first byte.
 */
#include "json/json.h"

#include "json/scan.h"

enum {
    KEY_MAX = 3 * CMDI_JSON_NAME_MAX, // The Kelvin sign has three bytes and means one.
};

static const struct cmds_field *find_row(const struct cmds_schema *schema, struct cmds_bytes key);

const struct cmds_field *cmdi_json_find_row(
        const struct cmds_schema *schema, const struct cmdi_json_text *name)
{
    uint8_t key[KEY_MAX];
    if (name->size == 0 || name->size > sizeof(key)) {
        return NULL;
    }
    if (!name->changed) {
        return find_row(schema, (struct cmds_bytes){name->from, name->size});
    }
    cmdi_json_text_write(name, key);
    bool has_nul = memchr(key, '\0', name->size) != NULL; // It would pass for a row's end.
    return has_nul ? NULL : find_row(schema, (struct cmds_bytes){key, name->size});
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/*
 * The next character without its case: ASCII, and the two others that fold to it. At least one byte
 * is `left`; of a terminated name 3 may be, because nothing behind a NUL is looked at.
 */
static uint8_t fold(const uint8_t **at, size_t left)
{
    const uint8_t *from = *at;
    if (*from == 0xc5 && left >= 2 && from[1] == 0xbf) { // U+017F, the long s.
        *at += 2;
        return 's';
    }
    // U+212A, the Kelvin sign.
    if (*from == 0xe2 && left >= 3 && from[1] == 0x84 && from[2] == 0xaa) {
        *at += 3;
        return 'k';
    }
    *at += 1;
    return lower(*from);
}

enum match {
    MATCH_NONE,
    MATCH_FOLDED,
    MATCH_EXACT
};

/*
 * The key is not terminated, and has no NUL in it. Where the two part inside a character, neither
 * side folds to anything from there on, so nothing has to be taken back.
 */
static enum match match_name(const char *name, struct cmds_bytes key)
{
    const uint8_t *a = (const uint8_t *)name;
    const uint8_t *b = key.data, *b_end = b + key.size;
    while (b < b_end && *a == *b) {
        a++;
        b++;
    }
    if (b == b_end && *a == '\0') {
        return MATCH_EXACT;
    }
    while (b < b_end && *a != '\0') {
        if (lower(*a) == lower(*b)) {
            a++;
            b++;
        } else if (fold(&a, 3) != fold(&b, (size_t)(b_end - b))) {
            return MATCH_NONE;
        }
    }
    return b == b_end && *a == '\0' ? MATCH_FOLDED : MATCH_NONE;
}

static const struct cmds_field *find_row(const struct cmds_schema *schema, struct cmds_bytes key)
{
    const uint8_t *from = key.data;
    uint8_t first = fold(&from, key.size);
    uint8_t other = first == 's' ? 0xc5 : first == 'k' ? 0xe2 : first;
    const struct cmds_field *row = schema->fields, *folded = NULL;
    for (uint32_t i = 0; i < schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        uint8_t begins = (uint8_t)row->name[0];
        if (lower(begins) != first && begins != other) {
            continue;
        }
        enum match match = match_name(row->name, key);
        if (match == MATCH_EXACT) {
            return row;
        }
        folded = match == MATCH_FOLDED && folded == NULL ? row : folded;
    }
    return folded;
}
