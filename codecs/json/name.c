/* SPDX-License-Identifier: MIT */
/*
 * Which row a name means, as Go decides it: the one that has exactly this name, else the first that
 * has it but for case.
 *
 * What a body made of nothing but names may cost is bounded by names.h; the hash there is that of a
 * name without its case.
 */
#include "json/json.h"

#include "common/names.h"
#include "json/scan.h"

enum {
    KEY_MAX = 3 * CMDI_JSON_NAME_MAX, // The Kelvin sign has three bytes and means one.
};

static int find_row(struct cmdi_work *work, const struct cmds_schema *schema, struct cmds_bytes key,
        const struct cmds_field **found);

int cmdi_json_find_row(struct cmdi_work *work, const struct cmds_schema *schema,
        const struct cmdi_json_text *name, const struct cmds_field **found)
{
    uint8_t key[KEY_MAX];
    *found = NULL;
    if (name->size == 0 || name->size > sizeof(key)) {
        return 0;
    }
    if (!name->changed) {
        return find_row(work, schema, (struct cmds_bytes){name->from, name->size}, found);
    }
    cmdi_json_text_write(name, key);
    bool has_nul = memchr(key, '\0', name->size) != NULL; // It would pass for a row's end.
    struct cmds_bytes bytes = {key, name->size};
    return has_nul ? 0 : find_row(work, schema, bytes, found);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/*
 * The next character without its case: ASCII, and the two others that fold to it. At least one byte
 * is `left`; of a terminated name 3 may be, because nothing behind a NUL is read.
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
static enum match match_name(const char *name, struct cmds_bytes key, size_t *steps)
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
    bool same = true;
    while (b < b_end && *a != '\0') {
        if (lower(*a) == lower(*b)) {
            a++;
            b++;
        } else if (fold(&a, 3) != fold(&b, (size_t)(b_end - b))) {
            same = false;
            break;
        }
    }
    *steps += (size_t)(b - (const uint8_t *)key.data);
    return same && b == b_end && *a == '\0' ? MATCH_FOLDED : MATCH_NONE;
}

bool cmdi_json_names_alike(const char *a, const char *b)
{
    size_t steps = 0;
    return match_name(a, (struct cmds_bytes){b, strlen(b)}, &steps) != MATCH_NONE;
}

static uint32_t folded_hash(const uint8_t *name, size_t size)
{
    const uint8_t *end = name + size;
    uint32_t hash = 2166136261u;
    while (name < end) {
        hash = (hash ^ fold(&name, (size_t)(end - name))) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* The rows one after the other. */
static const struct cmds_field *find_by_comparing(
        struct cmdi_work *work, const struct cmds_schema *schema, struct cmds_bytes key)
{
    const uint8_t *from = key.data;
    uint8_t first = fold(&from, key.size);
    uint8_t other = first == 's' ? 0xc5 : first == 'k' ? 0xe2 : first;
    const struct cmds_field *row = schema->fields, *folded = NULL;
    enum match match = MATCH_NONE;
    size_t steps = schema->field_count;
    for (uint32_t i = 0; match != MATCH_EXACT && i < schema->field_count;
            i++, row = cmdi_row_after(row, schema->field_stride)) {
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        uint8_t begins = (uint8_t)row->name[0];
        if (lower(begins) != first && begins != other) {
            continue;
        }
        match = match_name(row->name, key, &steps);
        if (match == MATCH_EXACT || (match == MATCH_FOLDED && folded == NULL)) {
            folded = row;
        }
    }
    cmdi_work_spend(work, steps);
    return folded;
}

/* Returns: 0; CMDS_E_LIMIT. *found: NULL: none has this name. */
static int find_row(struct cmdi_work *work, const struct cmds_schema *schema, struct cmds_bytes key,
        const struct cmds_field **found)
{
    if (work->steps_left > 0) {
        *found = find_by_comparing(work, schema, key);
        return 0;
    }
    const struct cmdi_names *names = cmdi_names_of(work, schema, folded_hash);
    if (names == NULL) {
        return CMDS_E_LIMIT;
    }
    uint32_t hash = folded_hash(key.data, key.size), slot = hash;
    size_t steps = 0;
    for (uint32_t next; (next = cmdi_names_next(names, hash, &slot)) != 0;) {
        const struct cmds_field *row = cmds_schema_field(schema, next - 1);
        enum match match = match_name(row->name, key, &steps);
        if (match == MATCH_EXACT) {
            *found = row;
            return 0;
        }
        *found = match == MATCH_FOLDED && *found == NULL ? row : *found;
    }
    return 0;
}
