/* SPDX-License-Identifier: MIT */
/*
 * Numbers, text with something in it that needs a second look, and values that are passed over.
 *
 * Text is walked twice, by the same lines: first it is only measured, then, if the caller can use
 * it, written; once, if it is short enough for the caller's scratch. Whatever Go replaces becomes U+FFFD: a
 * byte that is no UTF-8, half a surrogate pair.
 */
#include "json/scan.h"

#include "common/utf8.h"
#include "json/window.h"

/* --- Numbers ---------------------------------------------------------------------------------- */

static inline const uint8_t *digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

int cmdi_json_take_number(struct cmdi_json_scan *scan, bool *integer)
{
    *integer = true;
    (void)cmdi_json_peek(scan);
    const uint8_t *end = scan->end;
    const uint8_t *first = scan->at + (scan->at < end && *scan->at == '-');
    const uint8_t *at = digits_end(first, end);
    if (at == first || (*first == '0' && at - first > 1)) {
        return CMDS_E_PROTO;
    }
    if (at < end && *at == '.') {
        *integer = false;
        first = at + 1;
        at = digits_end(first, end);
        if (at == first) {
            return CMDS_E_PROTO;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        *integer = false;
        first = at + 1;
        first += first < end && (*first == '+' || *first == '-');
        at = digits_end(first, end);
        if (at == first) {
            return CMDS_E_PROTO;
        }
    }
    scan->at = at;
    return 0;
}

/* --- Text ------------------------------------------------------------------------------------- */

/* Text on its way out or, without `out`, only measured. */
struct walk {
    const uint8_t *at, *end;
    uint8_t *out;
    // What it says, and how much of that is known to be said, or may be written; SIZE_MAX: without `out`.
    size_t size, room;
    bool changed;
};

/* Text that the scratch has no room for is measured to its end, and written in a further walk. */
static void walk_add(struct walk *walk, const void *data, size_t size)
{
    if (CMDI_UNLIKELY(size > walk->room - walk->size)) {
        walk->out = NULL;
        walk->room = SIZE_MAX;
    }
    if (walk->out != NULL) {
        memcpy(walk->out + walk->size, data, size);
    }
    walk->size += size;
}

static int walk_to_quote(struct walk *walk);

int cmdi_json_take_text_slow(struct cmdi_json_scan *scan, const uint8_t *plain, uint8_t *scratch,
        size_t room, struct cmdi_json_text *text)
{
    const uint8_t *from = scan->at + 1;
    struct walk walk = {.at = plain,
            .end = scan->end,
            .out = scratch,
            .room = scratch != NULL ? room : SIZE_MAX};
    walk_add(&walk, from, (size_t)(plain - from));
    int code = walk_to_quote(&walk);
    if (code < 0) {
        return code;
    }
    *text = (struct cmdi_json_text){from, walk.at, walk.size, walk.changed, walk.out != NULL};
    scan->at = walk.at + 1;
    return 0;
}

void cmdi_json_text_write(const struct cmdi_json_text *text, uint8_t *out)
{
    struct walk walk = {.at = text->from, .end = text->end + 1, .out = out, .room = text->size};
    (void)walk_to_quote(&walk); // It has found the quote before.
}

/* A character that stands there in another way. */
static void walk_add_rune(struct walk *walk, uint32_t rune)
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    uint8_t bytes[4];
    size_t size = 1u + (rune >= 0x80) + (rune >= 0x800) + (rune >= 0x10000);
    for (size_t i = size - 1; i > 0; i--) {
        bytes[i] = (uint8_t)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    bytes[0] = (uint8_t)(leads[size] | rune);
    walk_add(walk, bytes, size);
    walk->changed = true;
}

/* One more than the digit's value; 0: it is no hex digit. */
#define TO_9 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
#define TO_F 11, 12, 13, 14, 15, 16
static const uint8_t hex_values[256] = {['0'] = TO_9, ['A'] = TO_F, ['a'] = TO_F};

/* Four hex digits at `at`. Returns: -1 if they are none. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        if (hex_values[at[i]] == 0) {
            return -1;
        }
        value = value << 4 | (hex_values[at[i]] - 1);
    }
    return value;
}

/*
 * \uXXXX, `at` behind the u. Two that are a surrogate pair are one character; half a pair is none,
 * and what follows it is read for itself.
 */
static int walk_unicode(struct walk *walk)
{
    int32_t first = hex4(walk->at, walk->end);
    if (first < 0) {
        return CMDS_E_PROTO;
    }
    walk->at += 4;
    if (first < 0xd800 || first > 0xdfff) {
        walk_add_rune(walk, (uint32_t)first);
        return 0;
    }
    bool follows = walk->end - walk->at >= 2 && walk->at[0] == '\\' && walk->at[1] == 'u';
    int32_t second = follows ? hex4(walk->at + 2, walk->end) : -1;
    if (first < 0xdc00 && second >= 0xdc00 && second <= 0xdfff) {
        walk->at += 6;
        walk_add_rune(
                walk, 0x10000u + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00));
    } else {
        walk_add_rune(walk, 0xfffd);
    }
    return 0;
}

/* Behind a backslash: what it means, and MEANS; 0: nothing by itself. */
#define MEANS 0x80
static const uint8_t meanings[256] = {['"'] = MEANS | '"',
        ['\\'] = MEANS | '\\',
        ['/'] = MEANS | '/',
        ['b'] = MEANS | '\b',
        ['f'] = MEANS | '\f',
        ['n'] = MEANS | '\n',
        ['r'] = MEANS | '\r',
        ['t'] = MEANS | '\t'};

static int walk_escape(struct walk *walk)
{
    if (walk->end - walk->at < 2) {
        return CMDS_E_PROTO;
    }
    uint8_t letter = walk->at[1];
    walk->at += 2;
    if (letter == 'u') {
        return walk_unicode(walk);
    }
    if (meanings[letter] == 0) {
        return CMDS_E_PROTO;
    }
    const uint8_t meaning = meanings[letter] ^ MEANS;
    walk_add(walk, &meaning, 1);
    walk->changed = true;
    return 0;
}

enum {
    BLOCK_ROOM = 2 * CMDI_JSON_BLOCK,
};

/* Backslashes; and a quote, a control character, no ASCII. */
CMDI_BLOCK_INLINED_ struct cmdi_json_window window_of_block(const uint8_t *at)
{
    cmdi_block block = cmdi_block_load(at);
    cmdi_block odd = cmdi_block_unprintable(block) | (cmdi_block)(block == '"');
    return (struct cmdi_json_window){
            cmdi_block_bits((cmdi_block)(block == '\\')), cmdi_block_bits(odd)};
}

CMDI_BLOCK_INLINED_ struct cmdi_json_window window_at(const uint8_t *at, size_t width)
{
    struct cmdi_json_window first = window_of_block(at);
    return width == CMDI_JSON_BLOCK ? first
                                    : cmdi_json_window_join(first, window_of_block(at + 16),
                                              window_of_block(at + 32), window_of_block(at + 48));
}

/*
 * Two usual forms of an escape: a letter, and \u00xx that is ASCII. Nothing here is a branch, because it would be
 * guessed wrongly each time. Returns: what it means; 0x80 and more: it is another one.
 */
CMDI_BLOCK_INLINED_ unsigned usual_escape(const uint8_t *at, size_t *used)
{
    const unsigned is_unicode = memcmp(at, "\\u00", 4) == 0;
    // What is no digit is a large value here.
    const unsigned ascii = (hex_values[at[4]] - 1u) << 4 | (hex_values[at[5]] - 1u);
    const unsigned meaning = meanings[at[1]] ^ MEANS;
    *used = 2 + 4 * (size_t)is_unicode;
    return meaning ^ ((meaning ^ ascii) & (0 - is_unicode));
}

/* Returns: all of it was walked; false: something odd is next. */
CMDI_BLOCK_INLINED_ bool walk_window(struct walk *walk, const size_t width)
{
    const uint8_t *const at = walk->at;
    uint8_t *out = walk->out != NULL ? walk->out + walk->size : NULL;
    struct cmdi_json_window window = window_at(at, width);
    size_t from = 0, stop;
    for (;;) {
        uint64_t special = window.escapes | window.odd;
        stop = special != 0 ? (size_t)__builtin_ctzll(special) : width;
        if (stop == width || (window.odd >> stop & 1) != 0) {
            break;
        }
        size_t used;
        unsigned value = usual_escape(at + stop, &used);
        if (CMDI_UNLIKELY(value >= 0x80)) {
            window.odd |= UINT64_C(1) << stop;
            break;
        }
        if (out != NULL) {
            cmdi_json_window_copy(out, at + from, stop - from, width);
            out += stop - from;
            *out++ = (uint8_t)value;
        }
        walk->size += stop - from + 1;
        walk->changed = true;
        from = stop + used;
        uint64_t left = from < CMDI_JSON_WINDOW ? UINT64_MAX << from : 0;
        window.escapes &= left;
        window.odd &= left;
    }
    if (stop > from) {
        if (out != NULL) {
            cmdi_json_window_copy(out, at + from, stop - from, width);
        }
        walk->size += stop - from;
    }
    walk->at = at + (stop > from ? stop : from);
    return window.odd == 0;
}

/* As far as there is room for windows, and until something odd: what is left to walk_to_quote(). */
static void walk_windows(struct walk *walk)
{
    bool goes_on = true;
    while (goes_on && walk->end - walk->at >= CMDI_JSON_WINDOW_ROOM &&
            walk->room - walk->size >= CMDI_JSON_WINDOW_ROOM) {
        goes_on = walk_window(walk, CMDI_JSON_WINDOW);
    }
    while (goes_on && walk->end - walk->at >= BLOCK_ROOM && walk->room - walk->size >= BLOCK_ROOM) {
        goes_on = walk_window(walk, CMDI_JSON_BLOCK);
    }
}

/* To the closing quote, which `at` then stands on. */
static int walk_to_quote(struct walk *walk)
{
    for (;;) {
        const uint8_t *plain = cmdi_json_plain_end(walk->at, walk->end);
        walk_add(walk, walk->at, (size_t)(plain - walk->at));
        walk->at = plain;
        if (plain == walk->end || *plain < 0x20) {
            return CMDS_E_PROTO;
        }
        if (*plain == '"') {
            return 0;
        }
        if (*plain == '\\') {
            size_t used;
            if (walk->end - plain >= BLOCK_ROOM && usual_escape(plain, &used) < 0x80) {
                walk_windows(walk); // Where one is there are more, mostly.
            }
            int code = walk->at == plain ? walk_escape(walk) : 0;
            if (code < 0) {
                return code;
            }
            continue;
        }
        unsigned size = cmdi_utf8_size(plain, walk->end);
        if (size == 0) {
            walk_add_rune(walk, 0xfffd);
        } else {
            walk_add(walk, plain, size);
        }
        walk->at += size > 0 ? size : 1;
    }
}

/* --- What is passed over ---------------------------------------------------------------------- */

/* Containers that are open inside a value that is skipped. */
struct nest {
    unsigned floor;   // Depth outside of the value.
    uint64_t objects; // A bit for each: is it an object? The innermost is the lowest.
    int64_t count;    // Elements of the outermost.
};
_Static_assert(CMDI_DEPTH_MAX < 64, "a bit for each level");

static int skip_scalar(struct cmdi_json_scan *scan, uint8_t first);
static int skip_to_value(struct cmdi_json_scan *scan, struct nest *nest, bool opened);

int64_t cmdi_json_skip(struct cmdi_json_scan *scan)
{
    struct nest nest = {.floor = scan->depth};
    for (;;) {
        uint8_t first = cmdi_json_peek(scan);
        bool opened = first == '{' || first == '[';
        if (opened) {
            nest.objects = nest.objects << 1 | (first == '{');
        }
        int code = opened ? cmdi_json_open(scan) : skip_scalar(scan, first);
        int more = code < 0 ? code : skip_to_value(scan, &nest, opened);
        if (more <= 0) {
            return more < 0 ? more : nest.count;
        }
    }
}

/*
 * Behind a value, or behind the bracket of a container that was `opened`. Returns: 1: another value
 * follows; 0: the outermost is closed, or there was none; CMDS_E_PROTO.
 */
static int skip_to_value(struct cmdi_json_scan *scan, struct nest *nest, bool opened)
{
    while (scan->depth > nest->floor) {
        bool object = (nest->objects & 1) != 0;
        int more = cmdi_json_next(scan, object ? '}' : ']', opened);
        if (more == 0) {
            nest->objects >>= 1;
            opened = false;
            continue;
        }
        nest->count += scan->depth == nest->floor + 1;
        if (more > 0 && object) {
            struct cmdi_json_text name;
            int code = cmdi_json_take_text(scan, &name);
            code = code < 0 ? code : cmdi_json_take(scan, ':');
            return code < 0 ? code : 1;
        }
        return more;
    }
    return 0;
}

static int skip_scalar(struct cmdi_json_scan *scan, uint8_t first)
{
    struct cmdi_json_text text;
    bool integer;
    switch (first) {
    case '"':
        return cmdi_json_take_text(scan, &text);
    case 't':
        return cmdi_json_take_word(scan, "true", 4);
    case 'f':
        return cmdi_json_take_word(scan, "false", 5);
    case 'n':
        return cmdi_json_take_null(scan);
    default:
        return cmdi_json_take_number(scan, &integer);
    }
}
