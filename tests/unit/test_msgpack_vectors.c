/* SPDX-License-Identifier: MIT */
/*
 * Bodies as other implementations print them. The array form is ours byte for byte; the map form of
 * Go holds an int64 in nine bytes, where ours is the shortest: it must be read, and what we write
 * must differ from it in nothing else.
 */
#include <cmdstream/codec.h>

#include <stdlib.h>

#define CASE_CODEC cmds_codec_msgpack
#include "support/codec_case.h"

static const struct echo echo_value = {true, -5, CMDS_STRING("hi"), 1.5};
static const char array_form[] = "\x94\xc3\xfb\xa2hi\xcb\x3f\xf8\0\0\0\0\0\0";
static const char go_map_form[] =
        "\x84\xa4"
        "Bool\xc3\xa5Int64\xd3\xff\xff\xff\xff\xff\xff\xff\xfb\xa6String\xa2hi"
        "\xa7"
        "Float64\xcb\x3f\xf8\0\0\0\0\0\0";
static const char our_map_form[] = "\x84\xa4"
                                   "Bool\xc3\xa5Int64\xfb\xa6String\xa2hi\xa7"
                                   "Float64\xcb\x3f\xf8\0\0\0\0\0\0";

static void writes(const struct cmds_codec *codec, const char *bytes, size_t size)
{
    uint8_t out[128];
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_encode(codec, echo_message(&echo_value), out, sizeof(out)), (int64_t)size);
    CU_ASSERT_EQUAL(memcmp(out, bytes, size), 0);
}

static void reads(const char *bytes, size_t size)
{
    void *value = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(&cmds_codec_msgpack, &echo_type,
                                  (struct cmds_bytes){bytes, size}, &value),
            0);
    const struct echo *echo = value;
    CU_ASSERT_TRUE(echo->flag);
    CU_ASSERT_EQUAL(echo->number, -5);
    CU_ASSERT_TRUE(cmds_string_equal(echo->text, echo_value.text));
    CU_ASSERT_EQUAL(echo->real, 1.5);
    free(value);
}

static void test_vectors_array_form_is_written_byte_for_byte(void)
{
    CU_ASSERT_EQUAL(sizeof(array_form) - 1, 0x0f); // The length of the vector.
    writes(&cmds_codec_msgpack, array_form, sizeof(array_form) - 1);
    reads(array_form, sizeof(array_form) - 1);
}

static void test_vectors_map_form_of_go_is_read(void)
{
    CU_ASSERT_EQUAL(sizeof(go_map_form) - 1, 0x31);
    reads(go_map_form, sizeof(go_map_form) - 1);
}

static void test_vectors_map_form_is_written_with_short_integers(void)
{
    writes(&cmds_codec_msgpack_map, our_map_form, sizeof(our_map_form) - 1);
    reads(our_map_form, sizeof(our_map_form) - 1);
}

/*
 * The same value as other encoders may say it: str8, str16 and bin for a string, wide heads, fields
 * in another order.
 */
static void test_vectors_other_encodings_of_the_same_value_are_read(void)
{
#define READS(literal) reads(literal, sizeof(literal) - 1)
    READS("\x94\xc3\xd0\xfb\xd9\x02hi\xca\x3f\xc0\0\0");
    READS("\xdc\0\4\xc3\xd1\xff\xfb\xda\0\2hi\xcb\x3f\xf8\0\0\0\0\0\0");
    READS("\xdd\0\0\0\4\xc3\xd2\xff\xff\xff\xfb\xdb\0\0\0\2hi\xcb\x3f\xf8\0\0\0\0\0\0");
    READS("\x94\xc3\xfb\xc4\2hi\xcb\x3f\xf8\0\0\0\0\0\0");
    READS("\xde\0\4\xa7"
          "Float64\xcb\x3f\xf8\0\0\0\0\0\0\xa6String\xa2hi\xa5Int64\xfb\xa4"
          "Bool\xc3");
    READS("\xdf\0\0\0\4\xa5Int64\xfb\xa4"
          "Bool\xc3\xd9\6String\xa2hi\xc4\7"
          "Float64\xca\x3f\xc0\0\0");
}

static CU_TestInfo tests[] = {
        {"array form is written byte for byte", test_vectors_array_form_is_written_byte_for_byte},
        {"map form of Go is read", test_vectors_map_form_of_go_is_read},
        {"map form is written with short integers",
                test_vectors_map_form_is_written_with_short_integers},
        {"other encodings of the same value are read",
                test_vectors_other_encodings_of_the_same_value_are_read},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("msgpack vectors", tests)
