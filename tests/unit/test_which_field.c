/* SPDX-License-Identifier: MIT */
/*
 * The field behind CMDS_E_LIMIT: its path, what it has and what it may have, of values that are to be
 * sent and of bytes that came, under every codec. What may go wrong: another field is blamed; the walk
 * follows what a peer claims; a long path runs over its room.
 */
#include "codec/which.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif

#include "codec/arena.h"
#include "support/harness.h"

struct place {
    struct cmds_string street;
    char country[4];
};
struct piece {
    uint64_t sku;
    struct place from;
    CMDS_OPTIONAL_OF(struct place) billing;
};
struct order {
    bool gift;
    char customer[8];
    uint8_t id[4];
    struct cmds_string note;
    struct cmds_bytes invoice;
    struct cmds_map labels;
    CMDS_ARRAY_OF(struct piece) items;
    CMDS_ARRAY_OF(int64_t) coupons;
    struct place to;
    double rate;
};
CMDS_SCHEMA(place, CMDS_MAX(street, 20), country);
CMDS_SCHEMA(piece, sku, CMDS_NESTED(from, place), CMDS_OPTIONAL(billing, place));
CMDS_COMMAND(order, 0, gift, CMDS_MAX(customer, 6), CMDS_RESERVED, id, CMDS_MAX(note, 10),
        CMDS_MAX(invoice, 5), CMDS_MAX(labels, 2), CMDS_ARRAY(items, piece), CMDS_ARRAY(coupons),
        CMDS_NESTED(to, place), rate);

/* The same without a limit: what a peer of another mind sends. */
struct wide_place {
    struct cmds_string street;
    struct cmds_string country;
};
struct wide_piece {
    uint64_t sku;
    struct wide_place from;
    CMDS_OPTIONAL_OF(struct wide_place) billing;
};
struct wide {
    bool gift;
    struct cmds_string customer;
    uint8_t id[4];
    struct cmds_string note;
    struct cmds_bytes invoice;
    struct cmds_map labels;
    CMDS_ARRAY_OF(struct wide_piece) items;
    CMDS_ARRAY_OF(int64_t) coupons;
    struct wide_place to;
    double rate;
};
CMDS_SCHEMA(wide_place, street, country);
CMDS_SCHEMA(wide_piece, sku, CMDS_NESTED(from, wide_place), CMDS_OPTIONAL(billing, wide_place));
CMDS_COMMAND(wide, 0, gift, customer, CMDS_RESERVED, id, note, invoice, labels,
        CMDS_ARRAY(items, wide_piece), CMDS_ARRAY(coupons), CMDS_NESTED(to, wide_place), rate);

static const struct cmds_codec *const codecs[] = {
        &cmds_codec_msgpack,
        &cmds_codec_msgpack_map,
#ifdef WITH_JSON
        &cmds_codec_json,
#endif
#ifdef WITH_PROTOBUF
        &cmds_codec_protobuf,
#endif
#ifdef WITH_MUS
        &cmds_codec_mus,
#endif
};
enum {
    CODECS = sizeof(codecs) / sizeof(codecs[0]),
};

/* --- To be sent ------------------------------------------------------------------------------- */

static bool refuses(const struct order *order, int code, const char *text)
{
    bool all = true;
    for (size_t i = 0; i < CODECS; i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        int got = cmds_message_check(codecs[i], order_message(order), &error);
        bool is = got == code && error.code == code && strcmp(error.text, text) == 0;
        if (!is) {
            fprintf(stderr, "%s: %d \"%s\", not \"%s\"\n", codecs[i]->name, got, error.text, text);
        }
        all = all && is;
    }
    return all;
}

static struct order order_ok(void)
{
    return (struct order){.customer = "ann", .note = CMDS_STRING("short"), .rate = 1.5};
}

static void test_which_field_is_named_when_it_is_sent(void)
{
    struct order order = order_ok();
    CU_ASSERT_EQUAL(cmds_message_check(codecs[0], order_message(&order), NULL), 0);

    order.note = cmds_string_from("eleven byte");
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.note has 11 bytes, at most 10"));
    order = order_ok();
    memcpy(order.customer, "seven-b", 8);
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.customer has 7 bytes, at most 6"));
    memcpy(order.customer, "no end..", 8);
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.customer has no end within its 8 bytes"));
    order = order_ok();
    order.invoice = (struct cmds_bytes){"123456", 6};
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.invoice has 6 bytes, at most 5"));
    order.invoice = (struct cmds_bytes){NULL, 6};
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.invoice has 6 bytes, at most 5"));
    order.invoice = (struct cmds_bytes){NULL, 3};
    CU_ASSERT(refuses(&order, -EINVAL, "order.invoice is NULL, and has 3 bytes"));
    order = order_ok();
    struct cmds_pair pairs[3] = {{CMDS_STRING("a"), CMDS_STRING("b")}, {{NULL, 0}, {NULL, 0}},
            {CMDS_STRING("c"), {NULL, 2}}};
    order.labels = (struct cmds_map){pairs, 3};
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.labels has 3 pairs, at most 2"));
    order.labels = (struct cmds_map){pairs + 1, 2};
    CU_ASSERT(refuses(&order, -EINVAL, "order.labels[1] is NULL, and has 2 bytes"));
}

static void test_which_field_has_a_path(void)
{
    struct piece pieces[4];
    memset(pieces, 0, sizeof(pieces));
    struct order order = order_ok();
    order.items.items = pieces;
    order.items.count = 4;
    pieces[3].from.street = cmds_string_from("a street of twenty-six...");
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.items[3].from.street has 25 bytes, at most 20"));
    pieces[2].billing.value.street = pieces[3].from.street;
    // What is not there is not looked at.
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.items[3].from.street has 25 bytes, at most 20"));
    pieces[3].from.street.size = 20;
    CU_ASSERT_EQUAL(cmds_message_check(codecs[0], order_message(&order), NULL), 0);
    pieces[2].billing.has = true;
    CU_ASSERT(refuses(
            &order, CMDS_E_LIMIT, "order.items[2].billing.street has 25 bytes, at most 20"));
    order = order_ok();
    memcpy(order.to.country, "DEU!", 4);
    CU_ASSERT(refuses(&order, CMDS_E_LIMIT, "order.to.country has no end within its 4 bytes"));
    order = order_ok();
    order.coupons.count = 4;
    CU_ASSERT(refuses(&order, -EINVAL, "order.coupons is NULL, and has 4 elements"));
}

/* --- That came -------------------------------------------------------------------------------- */

enum {
    ARENA_MAX = 1 << 20,
    BODY_MAX = 4096,
};

/* Encodes what has no limits, decodes what has, and asks why not. `cut`: bytes that are missing. */
static bool is_refused_as(
        const struct cmds_codec *codec, const struct wide *wide, size_t cut, const char *text)
{
    static uint8_t body[BODY_MAX];
    struct cmds_arena arena;
    struct cmds_error error = CMDS_ERROR_INIT;
    void *value = NULL;
    int64_t size = cmds_codec_encode(codec, wide_message(wide), body, sizeof(body));
    CU_ASSERT_FATAL(size > (int64_t)cut);
    struct cmds_bytes in = {body, (size_t)size - cut};
    cmdi_arena_init(&arena, ARENA_MAX);
    CU_ASSERT_EQUAL(cmds_codec_decode(codec, &order_type, in, &value), CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(cmdi_which_decode(codec, &order_type, in, &arena, &error), CMDS_E_LIMIT);
    cmdi_arena_fini(&arena);
    bool is = error.code == CMDS_E_LIMIT && strcmp(error.text, text) == 0;
    if (!is) {
        fprintf(stderr, "%s: \"%s\", not \"%s\"\n", codec->name, error.text, text);
    }
    return is;
}

static bool is_refused(const struct wide *wide, const char *text)
{
    bool all = true;
    for (size_t i = 0; i < CODECS; i++) {
        all = is_refused_as(codecs[i], wide, 0, text) && all;
    }
    return all;
}

static struct wide wide_ok(void)
{
    return (struct wide){.customer = CMDS_STRING("ann"), .note = CMDS_STRING("short"), .rate = 1.5};
}

static void test_which_field_is_named_when_it_came(void)
{
    struct wide wide = wide_ok();
    wide.note = cmds_string_from("eleven byte");
    CU_ASSERT(is_refused(&wide, "order.note has 11 bytes, at most 10"));
    wide = wide_ok();
    wide.customer = cmds_string_from("seven-b");
    CU_ASSERT(is_refused(&wide, "order.customer has 7 bytes, at most 6"));
    wide.customer = cmds_string_from("more than there is room for");
    CU_ASSERT(is_refused(&wide, "order.customer has 27 bytes, at most 6"));
    wide = wide_ok();
    wide.invoice = (struct cmds_bytes){"123456", 6};
    CU_ASSERT(is_refused(&wide, "order.invoice has 6 bytes, at most 5"));
    wide = wide_ok();
    struct cmds_pair pairs[3] = {{CMDS_STRING("a"), CMDS_STRING("b")},
            {CMDS_STRING("c"), CMDS_STRING("d")}, {CMDS_STRING("e"), CMDS_STRING("f")}};
    wide.labels = (struct cmds_map){pairs, 3};
    CU_ASSERT(is_refused(&wide, "order.labels has 3 pairs, at most 2"));
}

static void test_which_field_that_came_has_a_path(void)
{
    struct wide_piece pieces[4];
    memset(pieces, 0, sizeof(pieces));
    for (int i = 0; i < 4; i++) {
        pieces[i].sku = 7;
    }
    struct wide wide = wide_ok();
    wide.items.items = pieces;
    wide.items.count = 4;
    pieces[3].from.street = cmds_string_from("a street of twenty-six...");
    CU_ASSERT(is_refused(&wide, "order.items[3].from.street has 25 bytes, at most 20"));
    pieces[2].billing.has = true;
    pieces[2].billing.value.country = cmds_string_from("DEU!");
    CU_ASSERT(is_refused(&wide, "order.items[2].billing.country has 4 bytes, at most 3"));
    wide = wide_ok();
    wide.to.country = cmds_string_from("DEU!");
    CU_ASSERT(is_refused(&wide, "order.to.country has 4 bytes, at most 3"));
}

#ifdef WITH_MUS
/* A count is refused before what it counts is there. */
static void test_which_field_of_mus_may_be_cut(void)
{
    struct wide wide = wide_ok();
    wide.note = cmds_string_from("eleven byte");
    for (size_t cut = 1; cut < 20; cut++) {
        CU_ASSERT(
                is_refused_as(&cmds_codec_mus, &wide, cut, "order.note has 11 bytes, at most 10"));
    }
}

/* Gigabytes that are claimed are not made room for. */
static void test_which_field_of_mus_may_be_a_lie(void)
{
    static const uint8_t body[] = {0, 0, 4, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07};
    struct cmds_arena arena;
    struct cmds_error error = CMDS_ERROR_INIT;
    cmdi_arena_init(&arena, ARENA_MAX);
    CU_ASSERT_EQUAL(cmdi_which_decode(&cmds_codec_mus, &order_type,
                            (struct cmds_bytes){body, sizeof(body)}, &arena, &error),
            CMDS_E_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "order: larger than codec mus takes"));
    CU_ASSERT(arena.size <= 2 * CMDI_ARENA_USE_MIN);
    cmdi_arena_fini(&arena);
}
#endif

/* --- What has no field ------------------------------------------------------------------------ */

struct leaf {
    struct cmds_string a_name_that_is_as_long_as_any_that_a_person_may_think_of;
};
struct twig {
    struct leaf a_name_that_is_as_long_as_any_that_a_person_may_think_of;
};
struct branch {
    struct twig a_name_that_is_as_long_as_any_that_a_person_may_think_of;
};
CMDS_SCHEMA(leaf, CMDS_MAX(a_name_that_is_as_long_as_any_that_a_person_may_think_of, 1));
CMDS_SCHEMA(twig, CMDS_NESTED(a_name_that_is_as_long_as_any_that_a_person_may_think_of, leaf));
CMDS_COMMAND(
        branch, 1, CMDS_NESTED(a_name_that_is_as_long_as_any_that_a_person_may_think_of, twig));

static void test_which_field_has_a_path_that_ends(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct branch branch = {{{{"xx", 2}}}};
    CU_ASSERT_EQUAL(
            cmds_message_check(&cmds_codec_msgpack, branch_message(&branch), &error), CMDS_E_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "branch.a_name_that_is_as_long"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, " has 2 bytes, at most 1"));
    CU_ASSERT(strlen(error.text) < 160);
}

struct blob {
    struct cmds_bytes data;
};
CMDS_COMMAND(blob, 2, CMDS_MAX(data, 3));

static void test_which_field_of_raw(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_arena arena;
    const struct blob blob = {{"four", 4}};
    cmdi_arena_init(&arena, ARENA_MAX);
    CU_ASSERT_EQUAL(cmds_message_check(&cmds_codec_raw, blob_message(&blob), &error), CMDS_E_LIMIT);
    CU_ASSERT_STRING_EQUAL(error.text, "blob.data has 4 bytes, at most 3");
    error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmdi_which_decode(&cmds_codec_raw, &blob_type, blob.data, &arena, &error),
            CMDS_E_LIMIT);
    CU_ASSERT_STRING_EQUAL(error.text, "blob.data has 4 bytes, at most 3");
    cmdi_arena_fini(&arena);
}

static void test_which_field_is_asked_with_nothing(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(
            cmds_message_check(NULL, (struct cmds_message){&order_type, NULL}, &error), -EINVAL);
    CU_ASSERT_EQUAL(error.code, -EINVAL);
    CU_ASSERT_EQUAL(cmds_message_check(&cmds_codec_raw, (struct cmds_message){NULL, &error}, NULL),
            -EINVAL);
}

static CU_TestInfo tests[] = {
        {"is named when it is sent", test_which_field_is_named_when_it_is_sent},
        {"has a path", test_which_field_has_a_path},
        {"is named when it came", test_which_field_is_named_when_it_came},
        {"that came has a path", test_which_field_that_came_has_a_path},
#ifdef WITH_MUS
        {"of mus may be cut", test_which_field_of_mus_may_be_cut},
        {"of mus may be a lie", test_which_field_of_mus_may_be_a_lie},
#endif
        {"has a path that ends", test_which_field_has_a_path_that_ends},
        {"of raw", test_which_field_of_raw},
        {"is asked with nothing", test_which_field_is_asked_with_nothing},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("which_field", tests)
