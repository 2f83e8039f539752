/* SPDX-License-Identifier: MIT */
/*
 * Text and names of the codec json. What may go wrong: a character that must be seen passes inside
 * of a block of sixteen bytes, or at its edge, or behind the last one; half a surrogate pair takes
 * what follows it along; a name means another field than it does in Go, or a long one, an escaped
 * one, one with a NUL in it means anything; an unknown name takes memory.
 */
#include <cmdstream/codec_json.h>

#define CASE_CODEC cmds_codec_json
#include "support/codec_case.h"
#include "json/print.h"
#include "json/scan.h"

struct twins {
    int64_t lower, upper;
};
CMDS_COMMAND(twins, 1, CMDS_AS(lower, "name"), CMDS_AS(upper, "NAME"));
struct signs {
    int64_t key, sum, ask, kelvin, first, long_s;
};
CMDS_COMMAND(signs, 2, CMDS_AS(key, "Key"), CMDS_AS(sum, "sum"), CMDS_AS(ask, "ask"),
        CMDS_AS(kelvin, "x\u212a"), CMDS_AS(first, "\u212ay"), CMDS_AS(long_s, "\u017fx"));
struct edges {
    int64_t letters, slash, slashes;
};
CMDS_COMMAND(edges, 4, CMDS_AS(letters, "az@[`{"), CMDS_AS(slash, "\\x"), CMDS_AS(slashes, "\\\\"));
struct html {
    bool angle;
    int64_t umlaut;
};
CMDS_COMMAND(html, 3, CMDS_AS(angle, "a<b>&c"), CMDS_AS(umlaut, "Gr\u00f6\u00dfe"));

static const struct cmds_codec *const json = &cmds_codec_json;

/* String -> what Go writes for it. */
static void test_json_text_is_escaped_as_go_does(void)
{
    static const struct {
        struct cmds_string text;
        const char *written;
    } cases[] = {
            {CMDS_STRING("plain"), "plain"},
            {CMDS_STRING("\"\\/\b\f\n\r\t\0\x1f\x7f"),
                    "\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"},
            {CMDS_STRING("<a href='x'>&amp;</a>"),
                    "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"},
            {CMDS_STRING("\u2028 \u2029 \u202a"), "\\u2028 \\u2029 \u202a"},
            {CMDS_STRING("\xff\xc0\x80\xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82"),
                    "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd "
                    "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd"},
            {CMDS_STRING("\u00e9 \u20ac \U0001f600"), "\u00e9 \u20ac \U0001f600"},
            {CMDS_STRING("xxxxxxxxxxxxxxxxx<yyyyyyyyyyyyyyyy\xf0\x9f"),
                    "xxxxxxxxxxxxxxxxx\\u003cyyyyyyyyyyyyyyyy\\ufffd\\ufffd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct echo echo = {.text = cases[i].text};
        char body[256], expected[256];
        int size = snprintf(expected, sizeof(expected),
                "{\"Bool\":false,\"Int64\":0,\"String\":\"%s\",\"Float64\":0}", cases[i].written);
        CU_ASSERT_EQUAL_FATAL(
                cmds_codec_encode(json, echo_message(&echo), body, sizeof(body)), size);
        CU_ASSERT_EQUAL(memcmp(body, expected, (size_t)size), 0);
    }
}

enum {
    // A window and the room that it needs, some blocks, and a part that is none.
    LINE_SIZE_MAX = 100,
    PIECES_MAX = 200,
    PIECE_SIZE_MAX = 8,
};

/* What stands in text, and what is written for it and read from it. */
static const struct special {
    const char *text, *written;
    size_t size;
} specials[] = {
        {"\0", "\\u0000", 1},
        {"\x1f", "\\u001f", 1},
        {"\n", "\\n", 1},
        {"\"", "\\\"", 1},
        {"\\", "\\\\", 1},
        {"<", "\\u003c", 1},
        {">", "\\u003e", 1},
        {"&", "\\u0026", 1},
        {" ", " ", 1},
        {"!", "!", 1},
        {"#", "#", 1},
        {"\x7f", "\x7f", 1},
        {"\u00e9", "\u00e9", 2},
        {"\U0001f600", "\U0001f600", 4},
        {"\u2028", "\\u2028", 3},
        {"\xff", "\\ufffd", 1},
        {"\x80", "\\ufffd", 1},
};
enum {
    SPECIAL_COUNT = sizeof(specials) / sizeof(specials[0])
};

/* `size` letters, of which those at `at` are replaced. Returns: the size that it has then. */
static size_t line_fill(
        char *line, size_t size, size_t at, const char *replacement, size_t replacement_size)
{
    memset(line, 'x', size);
    memcpy(line + at, replacement, replacement_size);
    memset(line + at + replacement_size, 'y', size - at - 1);
    return size - 1 + replacement_size;
}

static void test_json_writer_sees_every_place_of_a_block(void)
{
    char line[LINE_SIZE_MAX + 8], written[LINE_SIZE_MAX + 8], body[256], expected[256];
    for (size_t i = 0; i < SPECIAL_COUNT; i++) {
        const struct special *special = &specials[i];
        for (size_t size = 1; size <= LINE_SIZE_MAX; size++) {
            for (size_t at = 0; at < size; at++) {
                size_t line_size = line_fill(line, size, at, special->text, special->size);
                size_t written_size =
                        line_fill(written, size, at, special->written, strlen(special->written));
                struct echo echo = {.text = {line, line_size}};
                int expected_size = snprintf(expected, sizeof(expected),
                        "{\"Bool\":false,\"Int64\":0,\"String\":\"%.*s\",\"Float64\":0}",
                        (int)written_size, written);
                int64_t body_size =
                        cmds_codec_encode(json, echo_message(&echo), body, sizeof(body));
                CU_ASSERT_EQUAL_FATAL(body_size, expected_size);
                CU_ASSERT_EQUAL(memcmp(body, expected, (size_t)expected_size), 0);
            }
        }
    }
}

/* The same text, as it stands in a body and as its escape; both with more behind it and without. */
static void check_read(const struct special *special, size_t size, size_t at, bool escaped)
{
    char line[LINE_SIZE_MAX + 8], meant[LINE_SIZE_MAX + 8], body[256];
    const char *sent = escaped ? special->written : special->text;
    size_t sent_size = escaped ? strlen(special->written) : special->size;
    size_t line_size = line_fill(line, size, at, sent, sent_size);
    bool replaced = (uint8_t)special->text[0] >= 0x80 && special->size == 1;
    size_t meant_size = replaced ? line_fill(meant, size, at, "\ufffd", 3)
                                 : line_fill(meant, size, at, special->text, special->size);
    static const char *const ends[] = {"\"}", "\",\"unknown\":\"0123456789abcdef\"}"};
    for (size_t end = 0; end < 2; end++) {
        memcpy(body, "{\"String\":\"", 11);
        memcpy(body + 11, line, line_size);
        memcpy(body + 11 + line_size, ends[end], strlen(ends[end]));
        size_t body_size = 11 + line_size + strlen(ends[end]);
        bool refused = !escaped && ((uint8_t)special->text[0] < 0x20 || special->text[0] == '"' ||
                                           special->text[0] == '\\');
        if (refused) {
            int64_t used = case_outcome(json, &echo_type, body, body_size);
            CU_ASSERT_EQUAL(used, CMDS_E_PROTO);
            continue;
        }
        struct echo *echo = case_value(json, &echo_type, body, body_size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
        CU_ASSERT(echo->text.size == meant_size && memcmp(echo->text.data, meant, meant_size) == 0);
        free(echo);
    }
}

static void test_json_reader_sees_every_place_of_a_block(void)
{
    for (size_t i = 0; i < SPECIAL_COUNT; i++) {
        for (size_t size = 1; size <= LINE_SIZE_MAX; size++) {
            for (size_t at = 0; at < size; at++) {
                check_read(&specials[i], size, at, false);
                check_read(&specials[i], size, at, true);
            }
        }
    }
}

/* Letters and, one of `one_in`, specials: as a program has them, as they are written, and as they are read then. */
struct pieces {
    char text[PIECES_MAX * PIECE_SIZE_MAX], written[PIECES_MAX * PIECE_SIZE_MAX],
            read[PIECES_MAX * PIECE_SIZE_MAX];
    size_t text_size, written_size, read_size;
};

static void piece_add(char *to, size_t *size, const char *piece, size_t piece_size)
{
    memcpy(to + *size, piece, piece_size);
    *size += piece_size;
}

static void pieces_fill(struct pieces *pieces, size_t count, uint32_t one_in, uint32_t *random)
{
    pieces->text_size = pieces->written_size = pieces->read_size = 0;
    for (size_t i = 0; i < count; i++) {
        *random = *random * 1664525 + 1013904223;
        const uint32_t drawn = *random >> 8;
        const char letter = (char)('a' + drawn % 26);
        const struct special plain = {&letter, &letter, 1};
        const struct special *special =
                drawn % one_in == 0 ? &specials[drawn / one_in % SPECIAL_COUNT] : &plain;
        const size_t written_size = special == &plain ? 1 : strlen(special->written);
        // A byte that is no UTF-8 is read as what stands for it; and it must not become a part of a character.
        const bool replaced = (uint8_t)special->text[0] >= 0x80 && special->size == 1;
        piece_add(pieces->text, &pieces->text_size, special->text, special->size);
        piece_add(pieces->written, &pieces->written_size, special->written, written_size);
        piece_add(pieces->read, &pieces->read_size, replaced ? "\ufffd" : special->text,
                replaced ? 3 : special->size);
    }
}

static void check_pieces(const struct pieces *pieces)
{
    static const char before[] = "{\"Bool\":false,\"Int64\":0,\"String\":\"";
    static const char behind[] = "\",\"Float64\":0}";
    char body[PIECES_MAX * PIECE_SIZE_MAX + 128], expected[sizeof(body)];
    struct echo echo = {.text = {pieces->text, pieces->text_size}};
    size_t size = 0;
    piece_add(expected, &size, before, sizeof(before) - 1);
    piece_add(expected, &size, pieces->written, pieces->written_size);
    piece_add(expected, &size, behind, sizeof(behind) - 1);
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_encode(json, echo_message(&echo), body, sizeof(body)), (int64_t)size);
    CU_ASSERT_EQUAL_FATAL(memcmp(body, expected, size), 0);
    struct echo *again = case_value(json, &echo_type, body, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_EQUAL_FATAL(again->text.size, pieces->read_size);
    CU_ASSERT_EQUAL_FATAL(memcmp(again->text.data, pieces->read, pieces->read_size), 0);
    free(again);

    // The same with an escape that is none at its end, where `"}` was.
    static const char *const bad[] = {"\\x", "\\u00g0", "\\u0", "\\", "\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t cut = sizeof(before) - 1 + pieces->written_size;
        piece_add(body, &cut, bad[i], strlen(bad[i]));
        piece_add(body, &cut, behind, sizeof(behind) - 1);
        CU_ASSERT_EQUAL_FATAL(case_outcome(json, &echo_type, body, cut), CMDS_E_PROTO);
    }
}

static bool is_untouched(const char *from, const char *end)
{
    while (from < end && *from == '~') {
        from++;
    }
    return from == end;
}

static size_t pieces_quote(const struct pieces *pieces, char *body)
{
    size_t size = 0;
    piece_add(body, &size, "\"", 1);
    piece_add(body, &size, pieces->written, pieces->written_size);
    piece_add(body, &size, "\"", 1);
    return size;
}

/* Blocks are copied whole as long as there is room for that, and no longer. */
static void check_bounds(const struct pieces *pieces)
{
    char body[PIECES_MAX * PIECE_SIZE_MAX + 2], out[PIECES_MAX * PIECE_SIZE_MAX + 100];
    size_t size = pieces_quote(pieces, body);
    struct cmdi_json_scan scan = {(const uint8_t *)body, (const uint8_t *)body + size, 0};
    struct cmdi_json_text text;
    CU_ASSERT_EQUAL_FATAL(cmdi_json_take_text(&scan, &text), 0);
    CU_ASSERT_EQUAL_FATAL(text.size, pieces->read_size);
    memset(out, '~', sizeof(out));
    cmdi_json_text_write(&text, (uint8_t *)out);
    CU_ASSERT_FATAL(is_untouched(out + text.size, out + sizeof(out)));
    memset(out, '~', sizeof(out));
    size = cmdi_json_string_size((const uint8_t *)pieces->text, pieces->text_size);
    (void)cmdi_json_string_write((uint8_t *)out, (const uint8_t *)pieces->text, pieces->text_size);
    CU_ASSERT_FATAL(is_untouched(out + size, out + sizeof(out)));
}

/* With room for all that it says the text is built while it is read, else it is only measured. */
static void check_scratch(const struct pieces *pieces, size_t room)
{
    char body[PIECES_MAX * PIECE_SIZE_MAX + 2];
    uint8_t out[PIECES_MAX * PIECE_SIZE_MAX + 100];
    size_t size = pieces_quote(pieces, body);
    struct cmdi_json_scan scan = {(const uint8_t *)body, (const uint8_t *)body + size, 0};
    struct cmdi_json_text text;
    const uint8_t *plain;
    if (cmdi_json_take_plain_text(&scan, &text, &plain) == 0) {
        return;
    }
    memset(out, '~', sizeof(out));
    CU_ASSERT_EQUAL_FATAL(cmdi_json_take_text_slow(&scan, plain, out, room, &text), 0);
    CU_ASSERT_EQUAL_FATAL(text.size, pieces->read_size);
    CU_ASSERT_EQUAL_FATAL(text.built, room >= text.size);
    CU_ASSERT_FATAL(!text.built || memcmp(out, pieces->read, text.size) == 0);
    CU_ASSERT_FATAL(is_untouched((const char *)out + room, (const char *)out + sizeof(out)));
    CU_ASSERT_PTR_EQUAL(scan.at, scan.end);
}

static void check_scratches(const struct pieces *pieces)
{
    const size_t size = pieces->read_size;
    const size_t rooms[] = {0, size / 2, size - (size > 0), size, size + 1, size + 64, size + 99};
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        check_scratch(pieces, rooms[i]);
    }
}

static void test_json_text_may_be_full_of_specials(void)
{
    static const uint32_t densities[] = {1, 2, 5, 20, 60};
    static struct pieces pieces;
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(densities) / sizeof(densities[0]); i++) {
        for (size_t count = 0; count <= PIECES_MAX; count++) {
            for (uint32_t turn = 0; turn < 4; turn++) {
                pieces_fill(&pieces, count, densities[i], &random);
                check_pieces(&pieces);
                check_bounds(&pieces);
                check_scratches(&pieces);
            }
        }
    }
}

/* Around the length up to which one is built while it is read, and far beyond it. */
static void test_json_text_with_escapes_may_be_long(void)
{
    enum {
        LONGEST = 5000
    };
    static char text[LONGEST], body[6 * LONGEST + 128];
    for (size_t size = 1; size <= LONGEST; size += size < 1950 ? 97 : size < 2150 ? 1 : 313) {
        for (size_t i = 0; i < size; i++) {
            text[i] = i % 9 == size % 9 ? '<' : (char)('a' + i % 26);
        }
        text[size / 2] = '\n';
        struct echo echo = {.text = {text, size}};
        int64_t used = cmds_codec_encode(json, echo_message(&echo), body, sizeof(body));
        CU_ASSERT_FATAL(used > (int64_t)size);
        struct echo *again = case_value(json, &echo_type, body, (size_t)used);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        CU_ASSERT_EQUAL_FATAL(again->text.size, size);
        CU_ASSERT_EQUAL_FATAL(memcmp(again->text.data, text, size), 0);
        free(again);
    }
}

static void test_json_text_is_read_as_go_does(void)
{
    static const struct {
        const char *body;
        struct cmds_string text;
    } cases[] = {
            {"{\"String\":\"\\u0041\\n\\/\\\"\"}", CMDS_STRING("A\n/\"")},
            {"{\"String\":\"\\ud83d\\ude00\"}", CMDS_STRING("\U0001f600")},
            {"{\"String\":\"\\ud83dx\\ude00\\ud83d\\u0041\"}", CMDS_STRING("\ufffdx\ufffd\ufffd"
                                                                           "A")},
            {"{\"String\":\"a\\u0000b\"}", CMDS_STRING("a\0b")},
            {"{\"String\":\"a\xff\xc3\xa9\xed\xa0\x80\"}",
                    CMDS_STRING("a\ufffd\u00e9\ufffd\ufffd\ufffd")},
            {"{\"String\":\"\"}", CMDS_STRING("")},
            {"{\"String\":\"\\u00e9\\u00E9\\u017F\\uABCD\\uabcd\\u07ff\\u0800\\uffff\"}",
                    CMDS_STRING("\u00e9\u00e9\u017f\uabcd\uabcd\u07ff\u0800\uffff")},
            {"{\"String\":\"\\u0080\\u007f\\uD83D\\uDE00\\udbff\\udfff\\ud800\\udc00\"}",
                    CMDS_STRING("\xc2\x80\x7f\U0001f600\U0010ffff\U00010000")},
            // Half a pair, and behind it: another half, a letter, an escape, the end.
            {"{\"String\":\"\\ud800\\ud800\\udc00\"}", CMDS_STRING("\ufffd\U00010000")},
            {"{\"String\":\"\\udc00\\udc00\\udc00\\ud800\"}",
                    CMDS_STRING("\ufffd\ufffd\ufffd\ufffd")},
            {"{\"String\":\"\\ud83d\\n\\ud83d\\\\ude00\"}", CMDS_STRING("\ufffd\n\ufffd\\ude00")},
            {"{\"String\":\"\\ud83d\\ue000\\ud83d\\udbff\"}",
                    CMDS_STRING("\ufffd\ue000\ufffd\ufffd")},
            {"{\"String\":\"\\ud83dude00\\ud83d\"}", CMDS_STRING("\ufffdude00\ufffd")},
            {"{\"String\":\"\\udfff\\ud83d\\nde00\\ud83dxude00\"}",
                    CMDS_STRING("\ufffd\ufffd\nde00\ufffdxude00")},
            {"{\"String\":\"\\b\\f\\r\\t\\\\\"}", CMDS_STRING("\b\f\r\t\\")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct echo *echo = case_value(json, &echo_type, cases[i].body, strlen(cases[i].body));
        CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
        CU_ASSERT_TRUE(cmds_string_equal(echo->text, cases[i].text));
        free(echo);
    }
    REFUSES(echo_type, "{\"String\":\"\\ud83d\\u12\"}");
    REFUSES(echo_type, "{\"String\":\"\\u12\"}");
    REFUSES(echo_type, "{\"String\":\"\\u123G\"}");
    REFUSES(echo_type, "{\"String\":\"\\u12-4\"}");
    REFUSES(echo_type, "{\"String\":\"\\u1`34\"}");
    REFUSES(echo_type, "{\"String\":\"\\U0041\"}");
    REFUSES(echo_type, "{\"String\":\"\\'\"}");
    REFUSES(echo_type, "{\"String\":\"\\\0\"}");
    REFUSES(echo_type, "{\"String\":\"\\");
    REFUSES(echo_type, "{\"String\":\"\\u0041");
    REFUSES(echo_type, "{\"String\":\"\\ud83d");
    REFUSES(echo_type, "{\"String\":\"\\ud83d\\");
    REFUSES(echo_type, "{\"String\":\"\\ud83d\\u");
    REFUSES(echo_type, "{\"String\":\"\\ud83d\\ude0");
    REFUSES(case_limits_type, "{\"name\":\"a\\u0000\"}"); // A C string would end there.
}

static void test_json_text_that_says_what_it_is_is_not_copied(void)
{
    static const char body[] = "{\"String\":\"\u00e9 plain text, and a \u20ac behind a block\"}";
    struct echo echo;
    struct cmds_arena arena;
    void *exact = NULL;
    struct cmds_bytes in = {body, sizeof(body) - 1};
    CU_ASSERT_EQUAL(case_decode(json, &echo_type, in, &echo, &arena, &exact), (int64_t)in.size);
    CU_ASSERT_EQUAL(arena.size, 0);
    CU_ASSERT_PTR_EQUAL(echo.text.data, (const char *)exact + 11);
    cmdi_arena_fini(&arena);
    free(exact);
}

/* What decode says, and that it has not taken a byte for it. */
static int64_t outcome_without_memory(const struct cmds_type *type, const void *body, size_t size)
{
    struct shop_order value; // The largest.
    struct cmds_arena arena;
    void *exact = NULL;
    CU_ASSERT_FATAL(type->schema->value_size <= sizeof(value));
    int64_t used = case_decode(json, type, (struct cmds_bytes){body, size}, &value, &arena, &exact);
    CU_ASSERT_EQUAL(arena.size, 0);
    cmdi_arena_fini(&arena);
    free(exact);
    return used;
}

static void test_json_limits_of_text_come_before_memory(void)
{
    CU_ASSERT_EQUAL(
            outcome_without_memory(&case_limits_type, CASE_BYTES("{\"text\":\"\\u0041bcd\"}")),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(
            outcome_without_memory(&case_limits_type, CASE_BYTES("{\"text\":\"a\xff\xff\"}")),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(
            outcome_without_memory(&case_limits_type, CASE_BYTES("{\"name\":\"\\u0041bcd\"}")),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(
            outcome_without_memory(&case_limits_type, CASE_BYTES("{\"bytes\":\"AAAAAA==\"}")),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(outcome_without_memory(&case_limits_type, CASE_BYTES("{\"bytes\":[1,2,3,4]}")),
            CMDS_E_LIMIT);
    // At the limit, and so many bytes more in the body.
    ACCEPTS(case_limits_type, "{\"text\":\"\\u0041\\n\\u0043\",\"name\":\"\\u0041bc\"}");
    ACCEPTS(case_limits_type, "{\"bytes\":\"A\\nA\\r\\nA\\u0041\"}");
    static char hostile[200000];
    memset(hostile, 0xff, sizeof(hostile));
    memcpy(hostile, "{\"Customer\":\"", 13);
    memcpy(hostile + sizeof(hostile) - 2, "\"}", 2);
    CU_ASSERT_EQUAL(
            outcome_without_memory(&shop_order_type, hostile, sizeof(hostile)), CMDS_E_LIMIT);
}

/* --- Names ------------------------------------------------------------------------------------ */

static void test_json_names_match_without_regard_to_case(void)
{
    struct echo *echo = case_value(json, &echo_type,
            CASE_BYTES("{\"bool\":true,\"INT64\":7,\"s\\u0074ring\":\"x\",\"fLoAt64\":2}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT(echo->flag && echo->number == 7 && echo->text.size == 1 && echo->real == 2);
    free(echo);
    // A long s folds to s.
    echo = case_value(json, &echo_type, CASE_BYTES("{\"\u017ftring\":\"x\"}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT_EQUAL(echo->text.size, 1);
    free(echo);
    struct twins *twins =
            case_value(json, &twins_type, CASE_BYTES("{\"NAME\":2,\"name\":1,\"Name\":3}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(twins);
    CU_ASSERT_EQUAL(twins->upper, 2); // Exactly first; of those without regard to case, the first.
    CU_ASSERT_EQUAL(twins->lower, 3);
    free(twins);
}

/* Each row is given its own number, or none is. */
static void check_signs(const char *body, bool found)
{
    struct signs *signs = case_value(json, &signs_type, body, strlen(body));
    CU_ASSERT_PTR_NOT_NULL_FATAL(signs);
    const int64_t expected[] = {1, 2, 3, 4, 5, 6};
    const struct signs nothing = {0};
    CU_ASSERT_EQUAL(memcmp(signs, found ? (const void *)expected : &nothing, sizeof(nothing)), 0);
    free(signs);
}

static void test_json_kelvin_and_long_s_are_letters(void)
{
    check_signs(
            "{\"\u212aey\":1,\"\u017fum\":2,\"a\u017f\u212a\":3,\"Xk\":4,\"ky\":5,\"sX\":6}", true);
    check_signs("{\"\\u212aEY\":1,\"S\\u0055m\":2,\"A\\u017fK\":3,\"X\u212a\":4,\"\u212aY\":5,"
                "\"\\u017Fx\":6}",
            true);
    check_signs("{\"Sx\":6,\"Ky\":5,\"xK\":4,\"aSk\":3,\"SUM\":2,\"KEY\":1}", true);
    // Their neighbours are not.
    check_signs("{\"\u212bey\":1,\"\u20aaey\":1,\"\u017eum\":2,\"a\u0160k\":3,\"x\u2129\":4,"
                "\"\u20aay\":5,"
                "\"\u0178x\":6}",
            false);
    // Other letters have a case that counts, unlike in Go.
    struct html *html = case_value(json, &html_type,
            CASE_BYTES("{\"gR\u00f6\u00dfE\":1,\"GR\u00d6\u00dfE\":2,\"A<B>&C\":true}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(html);
    CU_ASSERT(html->umlaut == 1 && html->angle);
    free(html);
}

static void test_json_case_is_that_of_letters_only(void)
{
    struct edges *edges = case_value(json, &edges_type,
            CASE_BYTES("{\"AZ@[`{\":1,\"az`[`{\":2,\"az@{`{\":3,\"az@[@{\":4,\"az@[`[\":5}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(edges);
    CU_ASSERT_EQUAL(edges->letters, 1);
    free(edges);
    // What a name says counts, not the bytes that it begins with: those are the next row's.
    edges = case_value(
            json, &edges_type, CASE_BYTES("{\"az@[`{\":1,\"\\\\x\":2,\"\\\\x\":3,\"\\\\X\":4}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(edges);
    CU_ASSERT(edges->letters == 1 && edges->slash == 4 && edges->slashes == 0);
    free(edges);
    edges = case_value(json, &edges_type,
            CASE_BYTES("{\"\\\\\\\\\":1,\"\\u005c\\u005C\":2,\"\\u005cX\":3,\"\\\\\":4}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(edges);
    CU_ASSERT(edges->slash == 3 && edges->slashes == 2);
    free(edges);
}

/* The end of a row's name is its NUL, and a removed row has none. */
static void test_json_rows_end_where_their_names_do(void)
{
    struct cmds_field fields[sizeof(echo_fields) / sizeof(echo_fields[0])];
    struct cmds_schema schema = echo_schema;
    struct cmds_type type = echo_type;
    memcpy(fields, echo_fields, sizeof(fields));
    fields[0].name = "Bool\0more";
    fields[1].name = NULL;
    fields[1].kind = CMDS_KIND_RESERVED;
    schema.fields = fields;
    type.schema = &schema;
    struct echo *echo = case_value(json, &type,
            CASE_BYTES("{\"Int64\":[],\"Bool\\u0000more\":1,\"bool\\u0000more\":1,\"Bool\":true,"
                       "\"Int64\":[],\"String\":\"x\",\"bool\":null}"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    CU_ASSERT(echo->flag && echo->text.size == 1);
    free(echo);
}

static void test_json_names_are_escaped_too(void)
{
    static const char expected[] = "{\"a\\u003cb\\u003e\\u0026c\":true,\"Gr\u00f6\u00dfe\":0}";
    struct html html = {.angle = true};
    char body[64];
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(json, html_message(&html), body, sizeof(body)),
            (int64_t)sizeof(expected) - 1);
    CU_ASSERT_EQUAL(memcmp(body, expected, sizeof(expected) - 1), 0);
    struct html *again = case_value(json, &html_type, body, sizeof(expected) - 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_TRUE(again->angle);
    free(again);
}

static void test_json_other_names_are_nobodys(void)
{
    static const char *const names[] = {"", "B", "Boo", "Booll", "Bool ", "ool", "Bool\\u0000",
            "Bool\\u0000x", "\\u0000", "\\u0000Bool", "bool\\u0000", "\\u0042ool\\u0000", "Bo\xffl",
            "Bo\\ud800l", "\u017f", "\u212a", "\xe2\x84", "\xc5", "Float6", "Float644"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char body[64];
        int size = snprintf(body, sizeof(body), "{\"%s\":[1]}", names[i]); // No field is an array.
        CU_ASSERT_EQUAL(outcome_without_memory(&echo_type, body, (size_t)size), size);
    }
    // Around the most that a name can be, three bytes for each of 255; plain and escaped.
    static char body[2000];
    for (size_t size = 760; size <= 770; size++) {
        for (int escaped = 0; escaped < 2; escaped++) {
            int head = snprintf(body, sizeof(body), "{\"%s", escaped ? "\\u0042" : "B");
            memset(body + head, 'o', size - 1);
            memcpy(body + head + size - 1, "\":[1]}", 6);
            size_t body_size = (size_t)head + size - 1 + 6;
            CU_ASSERT_EQUAL(
                    outcome_without_memory(&echo_type, body, body_size), (int64_t)body_size);
        }
    }
}

/* Unknown names between known ones, and fields in another order. */
static void test_json_order_of_names_does_not_matter(void)
{
    static const char *const bodies[] = {
            "{\"x\":1,\"Bool\":true,\"x\":[],\"Int64\":7,\"String\":\"s\",\"x\":{},\"Float64\":2}",
            "{\"Float64\":2,\"String\":\"s\",\"Int64\":7,\"Bool\":true,\"x\":null}",
            "{\"Float64\":3,\"Float64\":2,\"Int64\":7,\"String\":\"s\",\"Bool\":true}",
            "{\"float64\":2,\"INT64\":7,\"string\":\"s\",\"\\u0042ool\":true}",
            "{\"bool\":false,\"Int64\":7,\"bool\":true,\"STRING\":\"s\",\"Float64\":2}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct echo *echo = case_value(json, &echo_type, bodies[i], strlen(bodies[i]));
        CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
        CU_ASSERT(echo->flag && echo->number == 7 && echo->text.size == 1 && echo->real == 2);
        free(echo);
    }
}

static CU_TestInfo tests[] = {
        {"text is escaped as go does", test_json_text_is_escaped_as_go_does},
        {"writer sees every place of a block", test_json_writer_sees_every_place_of_a_block},
        {"reader sees every place of a block", test_json_reader_sees_every_place_of_a_block},
        {"text may be full of specials", test_json_text_may_be_full_of_specials},
        {"text with escapes may be long", test_json_text_with_escapes_may_be_long},
        {"text is read as go does", test_json_text_is_read_as_go_does},
        {"text that says what it is is not copied",
                test_json_text_that_says_what_it_is_is_not_copied},
        {"limits of text come before memory", test_json_limits_of_text_come_before_memory},
        {"names match without regard to case", test_json_names_match_without_regard_to_case},
        {"kelvin and long s are letters", test_json_kelvin_and_long_s_are_letters},
        {"case is that of letters only", test_json_case_is_that_of_letters_only},
        {"rows end where their names do", test_json_rows_end_where_their_names_do},
        {"names are escaped too", test_json_names_are_escaped_too},
        {"other names are nobodys", test_json_other_names_are_nobodys},
        {"order of names does not matter", test_json_order_of_names_does_not_matter},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json_text", tests)
