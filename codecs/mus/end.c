/* SPDX-License-Identifier: MIT */
/*
 * Where does a value of MUS end? A walk that makes nothing, for values that come in pieces.
 *
 * It can be left anywhere and continues there: its place in the schema is a row, and the elements
 * that are left of that row's list, for each level of nested structs. So the bytes of a value are
 * read once, whatever pieces they come in; if decode() began anew for every piece, a peer
 * could cost the square of what it sends. (Levels beyond those that a place has room for, which no
 * checked type has, are begun anew.) No state but the place, any thread.
 */
#include "base/hint.h"
#include "mus/reader.h"

enum {
    LEVELS = CMDS_CODEC_PLACE_WORDS - 2,
};
_Static_assert((int)LEVELS >= (int)CMDI_DEPTH_MAX, "every level of a checked type has its place");

struct level {
    uint32_t row;
    // Elements of this row that have not been passed; 0: its count was not read yet. Of an optional map
    // one more: 1 once it is known to be there.
    uint32_t left;
};

struct place {
    uint64_t at;    // Everything before it has been passed.
    uint64_t depth; // Levels in use.
    struct level levels[LEVELS];
};
_Static_assert(sizeof(struct place) == sizeof(struct cmds_codec_place), "it is kept in there");

struct walk {
    struct cmdi_mus_reader reader;
    const uint8_t *begin;
    struct place place;
};

static int walk_struct(struct walk *walk, const struct cmds_schema *schema, unsigned level);

/* What is passed on this level stays passed. */
static inline void walk_keep(struct walk *walk, unsigned level)
{
    if (level < LEVELS) {
        walk->place.at = (uint64_t)(walk->reader.at - walk->begin);
    }
}

static int skip(struct walk *walk, size_t size)
{
    size_t left = cmdi_mus_bytes_left(&walk->reader);
    if (CMDI_UNLIKELY(size > left)) {
        return cmdi_mus_short_by(&walk->reader, size - left);
    }
    walk->reader.at += size;
    return 0;
}

static int skip_span(struct walk *walk, size_t size_max)
{
    struct cmds_bytes span;
    return cmdi_mus_read_span(&walk->reader, size_max, &span);
}

static int skip_pair(struct walk *walk)
{
    int code = skip_span(walk, CMDI_MUS_COUNT_MAX);
    return code != 0 ? code : skip_span(walk, CMDI_MUS_COUNT_MAX);
}

static int skip_item(
        struct walk *walk, const struct cmds_field *row, uint32_t row_max, unsigned level)
{
    uint64_t value = 0;
    switch (row->kind) {
    case CMDS_KIND_RESERVED:
        return 0;
    case CMDS_KIND_BOOL:
    case CMDS_KIND_I8:
    case CMDS_KIND_U8:
        return skip(walk, 1);
    case CMDS_KIND_F32:
        return skip(walk, 4);
    case CMDS_KIND_F64:
        return skip(walk, 8);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        return skip_span(walk, cmdi_mus_count_max(row_max));
    case CMDS_KIND_TEXT:
        return skip_span(walk, row->item_size - 1);
    case CMDS_KIND_BLOB:
        return skip_span(walk, row->item_size);
    case CMDS_KIND_MAP: // The pairs of its list.
        return skip_pair(walk);
    case CMDS_KIND_STRUCT:
        return walk_struct(walk, row->nested, level + 1);
    default:
        return cmdi_mus_read_varint(&walk->reader, &value);
    }
}

/* `none`: what here->left is before the count was read. */
static int walk_list(struct walk *walk, const struct cmds_field *row, struct level *here,
        unsigned level, uint32_t none)
{
    bool is_map = row->kind == CMDS_KIND_MAP;
    size_t size_min = is_map ? CMDI_MUS_PAIR_SIZE_MIN : cmdi_mus_item_size_min(row);
    if (here->left == none) {
        size_t count = 0;
        size_t count_max = cmdi_mus_count_max(row->size_max);
        int code = cmdi_mus_read_count(&walk->reader, count_max, &count);
        if (code != 0 || count == 0) {
            return code;
        }
        here->left = (uint32_t)count + none;
        walk_keep(walk, level);
    }
    size_t bytes = cmdi_mus_bytes_left(&walk->reader);
    // An element that is passed in part may need less than the fewest bytes of a whole one.
    if (here->left - none - 1 > bytes / size_min) {
        return cmdi_mus_short_by(&walk->reader, (here->left - none - 1) * size_min - bytes);
    }
    for (; here->left > none; here->left--) {
        const uint8_t *from = walk->reader.at;
        int code = skip_item(walk, row, 0, level);
        if (CMDI_UNLIKELY(code == 0 && walk->reader.at == from)) {
            return CMDS_E_PROTO; // Structs that are nothing: see check().
        }
        if (code != 0) {
            return cmdi_mus_list_short(&walk->reader, code, here->left - none - 1, size_min);
        }
        walk_keep(walk, level);
    }
    return 0;
}

static int walk_optional(
        struct walk *walk, const struct cmds_field *row, struct level *here, unsigned level)
{
    if (here->left == 0) {
        if (cmdi_mus_bytes_left(&walk->reader) == 0) {
            return cmdi_mus_short_by(&walk->reader, 1);
        }
        if (*walk->reader.at++ == CMDI_MUS_NIL) {
            return 0;
        }
        here->left = 1;
        walk_keep(walk, level);
    }
    if (row->kind == CMDS_KIND_MAP) {
        return walk_list(walk, row, here, level, 1);
    }
    return skip_item(walk, row, row->size_max, level);
}

static int walk_row(
        struct walk *walk, const struct cmds_field *row, struct level *here, unsigned level)
{
    if (row->shape == CMDS_SHAPE_OPTIONAL) {
        return walk_optional(walk, row, here, level);
    }
    if (row->shape == CMDS_SHAPE_ARRAY || row->kind == CMDS_KIND_MAP) {
        return walk_list(walk, row, here, level, 0);
    }
    return skip_item(walk, row, row->size_max, level);
}

static int walk_struct(struct walk *walk, const struct cmds_schema *schema, unsigned level)
{
    struct level own = {0, 0};
    struct level *here = level < LEVELS ? &walk->place.levels[level] : &own;
    if (level < LEVELS && level >= walk->place.depth) {
        *here = own; // Entered just now.
        walk->place.depth = level + 1;
    }
    for (; here->row < schema->field_count; here->row++, here->left = 0) {
        int code = walk_row(walk, cmds_schema_field(schema, here->row), here, level);
        if (code != 0) {
            return code;
        }
        walk_keep(walk, level);
    }
    walk->place.depth = level < LEVELS ? level : LEVELS;
    return 0;
}

int64_t cmdi_mus_find_end(
        const struct cmds_schema *schema, struct cmds_bytes in, struct cmds_codec_place *place)
{
    static const uint8_t nothing[1];
    struct walk walk = {.begin = in.data != NULL ? in.data : nothing};
    memcpy(&walk.place, place, sizeof(*place));
    walk.reader =
            (struct cmdi_mus_reader){walk.begin + walk.place.at, walk.begin + in.size, 0, NULL};
    int code = walk_struct(&walk, schema, 0);
    memcpy(place, &walk.place, sizeof(*place));
    return cmdi_mus_outcome(&walk.reader, in, code);
}
