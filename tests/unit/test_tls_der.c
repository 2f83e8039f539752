/* SPDX-License-Identifier: MIT */
/*
 * DER, one element: the forms that BER allows and DER does not, lengths that point behind the end, and
 * dates that no calendar has. A reader that has refused something has not moved.
 */
#include "tls/der.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"

static bool next(struct cmds_bytes bytes, uint8_t *tag, struct cmds_bytes *content)
{
    uint8_t *exact = malloc(bytes.size > 0 ? bytes.size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, bytes.data, bytes.size);
    struct cmdi_der from = {exact, exact + bytes.size}, inner = {NULL, NULL};
    bool is_right = cmdi_der_next(&from, tag, &inner);
    if (is_right) {
        CU_ASSERT_TRUE(inner.at >= exact && inner.end >= inner.at && inner.end == from.at);
        size_t start = (size_t)(inner.at - exact);
        *content = (struct cmds_bytes){(const uint8_t *)bytes.data + start, cmdi_der_size(inner)};
    } else {
        CU_ASSERT_PTR_EQUAL(from.at, exact);
    }
    free(exact);
    return is_right;
}

static void test_der_next_reads_each_form_of_a_length(void)
{
    static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 65535};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        tls_build_reset();
        struct cmds_bytes element = tls_der(0x04, tls_repeat(BYTES("x"), sizes[i])), content;
        uint8_t tag = 0;
        CU_ASSERT_TRUE(next(tls_join(element, BYTES("\x05\x00")), &tag, &content));
        CU_ASSERT_EQUAL(tag, 0x04);
        CU_ASSERT_EQUAL(content.size, sizes[i]);
        struct cmds_bytes cut = {element.data, element.size - 1};
        CU_ASSERT_FALSE(next(cut, &tag, &content));
    }
}

static void test_der_next_refuses_what_is_only_ber(void)
{
    static const struct cmds_bytes wrong[] = {
            {"", 0}, {"\x04", 1}, {"\x30\x80\x00\x00", 4}, // Indefinite.
            {"\x04\x81\x01x", 4},                          // Not the shortest form.
            {"\x04\x81\x7fx", 4}, {"\x04\x82\x00\x01x", 5},
            {"\x04\x81", 2},                                  // A length that is cut.
            {"\x04\x82\x01", 3}, {"\x04\x83\x01\x00\x00", 5}, // 64 KiB.
            {"\x04\x84\x00\x00\x00\x01x", 7}, {"\x04\xffx", 3},
            {"\x1f\x01\x00", 3},                   // A tag of more than one byte.
            {"\xbf\x1f\x00", 3}, {"\x04\x02x", 3}, // Behind the end.
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct cmds_bytes content;
        uint8_t tag = 0;
        CU_ASSERT_FALSE(next(wrong[i], &tag, &content));
    }
    // These are refused for their form, not for what is missing behind it.
    tls_build_reset();
    struct cmds_bytes content,
            long_form = tls_join(BYTES("\x04\x81\x7f"), tls_repeat(BYTES("x"), 127));
    uint8_t tag = 0;
    CU_ASSERT_FALSE(next(long_form, &tag, &content));
    long_form = tls_join(BYTES("\x30\x80"), tls_repeat(BYTES("\0"), 128));
    CU_ASSERT_FALSE(next(long_form, &tag, &content));
    long_form = tls_join(BYTES("\x04\x82\x00\xff"), tls_repeat(BYTES("x"), 255));
    CU_ASSERT_FALSE(next(long_form, &tag, &content));
}

static void test_der_take_wants_its_tag(void)
{
    struct cmdi_der from = cmdi_der_of(BYTES("\x04\x01x")), start = from, content;

    CU_ASSERT_FALSE(cmdi_der_take(&from, CMDI_DER_INTEGER, &content));
    CU_ASSERT_PTR_EQUAL(from.at, start.at);
    CU_ASSERT_TRUE(cmdi_der_take(&from, CMDI_DER_OCTET_STRING, &content));
    CU_ASSERT_TRUE(cmdi_der_is_empty(from));
    CU_ASSERT_FALSE(cmdi_der_take(&from, CMDI_DER_OCTET_STRING, &content));
}

static bool take_oid(struct cmds_bytes bytes)
{
    struct cmdi_der from = cmdi_der_of(bytes), start = from, content;
    bool is_right = cmdi_der_take_oid(&from, &content);
    CU_ASSERT_EQUAL(is_right, from.at != start.at);
    return is_right;
}

static void test_der_oid_is_in_its_shortest_form(void)
{
    CU_ASSERT_TRUE(take_oid(BYTES("\x06\x01\x2a")));
    CU_ASSERT_TRUE(take_oid(BYTES("\x06\x03\x2a\x86\x48")));
    CU_ASSERT_TRUE(take_oid(BYTES("\x06\x03\x81\x80\x01"))); // 0x80 within a number.
    CU_ASSERT_TRUE(take_oid(BYTES("\x06\x04\x81\x80\x80\x01")));
    CU_ASSERT_FALSE(take_oid(BYTES("\x06\x03\x2a\x81\x80")));
    CU_ASSERT_FALSE(take_oid(BYTES("\x06\x00")));
    CU_ASSERT_FALSE(take_oid(BYTES("\x06\x02\x2a\x86"))); // Its last number does not end.
    CU_ASSERT_FALSE(take_oid(BYTES("\x06\x03\x2a\x80\x01")));
    CU_ASSERT_FALSE(take_oid(BYTES("\x06\x02\x80\x01")));
    CU_ASSERT_FALSE(take_oid(BYTES("\x04\x01\x2a")));
}

/* Returns: the size of the number; -1: refused. */
static int take_unsigned(struct cmds_bytes bytes)
{
    struct cmdi_der from = cmdi_der_of(bytes), start = from, content;
    bool is_right = cmdi_der_take_unsigned(&from, &content);
    CU_ASSERT_EQUAL(is_right, from.at != start.at);
    return is_right ? (int)cmdi_der_size(content) : -1;
}

static void test_der_unsigned_is_neither_negative_nor_padded(void)
{
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x01\x00")), 1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x01\x7f")), 1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x02\x00\x80")), 1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x02\x01\x00")), 2);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x01\x80")), -1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x02\x00\x7f")), -1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x02\x00\x00")), -1);
    CU_ASSERT_EQUAL(take_unsigned(BYTES("\x02\x00")), -1);
}

static bool take_integer(struct cmds_bytes bytes)
{
    struct cmdi_der from = cmdi_der_of(bytes), content;
    bool is_right = cmdi_der_take_integer(&from, &content);
    CU_ASSERT_TRUE(!is_right || cmdi_der_size(content) == bytes.size - 2);
    return is_right;
}

static void test_der_integer_is_in_its_shortest_form(void)
{
    CU_ASSERT_TRUE(take_integer(BYTES("\x02\x01\x00")));
    CU_ASSERT_TRUE(take_integer(BYTES("\x02\x01\xff")));
    CU_ASSERT_TRUE(take_integer(BYTES("\x02\x02\x00\x80")));
    CU_ASSERT_TRUE(take_integer(BYTES("\x02\x02\xff\x7f")));
    CU_ASSERT_FALSE(take_integer(BYTES("\x02\x02\x00\x7f")));
    CU_ASSERT_FALSE(take_integer(BYTES("\x02\x02\xff\x80")));
    CU_ASSERT_FALSE(take_integer(BYTES("\x02\x00")));
    CU_ASSERT_FALSE(take_integer(BYTES("\x0a\x01\x00")));
}

static void test_der_boolean_is_all_or_nothing(void)
{
    static const struct cmds_bytes wrong[] = {
            {"\x01\x01\x01", 3}, {"\x01\x00", 2}, {"\x01\x02\xff\xff", 4}};
    struct cmdi_der from = cmdi_der_of(BYTES("\x01\x01\xff\x01\x01\x00"));
    bool value = false;

    CU_ASSERT_TRUE(cmdi_der_take_boolean(&from, &value));
    CU_ASSERT_TRUE(value);
    CU_ASSERT_TRUE(cmdi_der_take_boolean(&from, &value));
    CU_ASSERT_FALSE(value);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        from = cmdi_der_of(wrong[i]);
        CU_ASSERT_FALSE(cmdi_der_take_boolean(&from, &value));
        CU_ASSERT_PTR_EQUAL(from.at, wrong[i].data);
    }
}

static bool take_octets(struct cmds_bytes bytes)
{
    struct cmdi_der from = cmdi_der_of(bytes), content;
    return cmdi_der_take_octets(&from, &content);
}

static int take_flags(struct cmds_bytes bytes)
{
    struct cmdi_der from = cmdi_der_of(bytes);
    uint16_t flags = 0;
    return cmdi_der_take_flags(&from, &flags) ? flags : -1;
}

static void test_der_bits_that_do_not_count_are_zero(void)
{
    CU_ASSERT_TRUE(take_octets(BYTES("\x03\x02\x00\x01")));
    CU_ASSERT_TRUE(take_octets(BYTES("\x03\x01\x00")));
    CU_ASSERT_FALSE(take_octets(BYTES("\x03\x02\x01\x02")));
    CU_ASSERT_FALSE(take_octets(BYTES("\x03\x00")));
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x02\x07\x80")), 0x8000);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x03\x07\x00\x80")), 0x0080);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x04\x00\x01\x02\x03")), 0x0102);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x01\x00")), 0);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x02\x07\xc0")), -1);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x02\x08\x00")), -1);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x01\x01")), -1);
    CU_ASSERT_EQUAL(take_flags(BYTES("\x03\x00")), -1);
}

/* Returns: INT64_MIN: refused. */
static int64_t take_time(uint8_t tag, const char *text)
{
    tls_build_reset();
    int64_t seconds = 0;
    struct cmdi_der from = cmdi_der_of(tls_der(tag, (struct cmds_bytes){text, strlen(text)}));
    return cmdi_der_take_time(&from, &seconds) ? seconds : INT64_MIN;
}

static void test_der_time_is_what_the_calendar_says(void)
{
    CU_ASSERT_EQUAL(take_time(0x17, "700101000000Z"), 0);
    CU_ASSERT_EQUAL(take_time(0x17, "691231235959Z"), -1);
    CU_ASSERT_EQUAL(take_time(0x17, "491231235959Z"), 2524607999);
    CU_ASSERT_EQUAL(take_time(0x17, "500101000000Z"), -631152000);
    CU_ASSERT_EQUAL(take_time(0x17, "000229120000Z"), 951825600);
    CU_ASSERT_EQUAL(take_time(0x17, "000301000000Z"), 951868800);
    CU_ASSERT_EQUAL(take_time(0x17, "240228235959Z") + 1, take_time(0x17, "240229000000Z"));
    CU_ASSERT_EQUAL(take_time(0x17, "231231235959Z") + 1, take_time(0x17, "240101000000Z"));
    CU_ASSERT_EQUAL(take_time(0x18, "20241115013330Z"), 1731634410);
    CU_ASSERT_EQUAL(take_time(0x18, "20500101000000Z"), 2524608000);
    CU_ASSERT_EQUAL(take_time(0x18, "21000301000000Z"), 4107542400);
    CU_ASSERT_EQUAL(take_time(0x18, "99991231235959Z"), 253402300799);
    CU_ASSERT_EQUAL(take_time(0x18, "00000101000000Z"), -62167219200);
    CU_ASSERT_EQUAL(take_time(0x18, "00010101000000Z"), -62135596800);
}

static void test_der_time_refuses_what_no_calendar_has(void)
{
    static const char *const wrong[] = {"230229000000Z", "240230000000Z", "240001000000Z",
            "241301000000Z", "240100000000Z", "240132000000Z", "240431000000Z", "240101240000Z",
            "240101006000Z", "240101000060Z", "24010100000Z", "2401010000000Z", "240101000000z",
            "240101000000+", "2401010000Z", "24010100000AZ", "/40101000000Z", "2:0101000000Z", ""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(take_time(0x17, wrong[i]), INT64_MIN);
    }
    CU_ASSERT_EQUAL(take_time(0x18, "240101000000Z"), INT64_MIN); // The other form's text.
    CU_ASSERT_EQUAL(take_time(0x17, "20240101000000Z"), INT64_MIN);
    CU_ASSERT_EQUAL(take_time(0x18, "21000229000000Z"), INT64_MIN);
    CU_ASSERT_EQUAL(take_time(0x18, "2x240101000000"), INT64_MIN);
    CU_ASSERT_EQUAL(take_time(0x18, "20x40101000000Z"), INT64_MIN);
    CU_ASSERT_EQUAL(take_time(0x18, "20240101000000.5Z"), INT64_MIN);
    CU_ASSERT_EQUAL(take_time(0x0c, "240101000000Z"), INT64_MIN);
    CU_ASSERT_NOT_EQUAL(take_time(0x18, "20000229000000Z"), INT64_MIN);
}

static CU_TestInfo tests[] = {
        {"next reads each form of a length", test_der_next_reads_each_form_of_a_length},
        {"next refuses what is only BER", test_der_next_refuses_what_is_only_ber},
        {"take wants its tag", test_der_take_wants_its_tag},
        {"an OID is in its shortest form", test_der_oid_is_in_its_shortest_form},
        {"an unsigned is neither negative nor padded",
                test_der_unsigned_is_neither_negative_nor_padded},
        {"an integer is in its shortest form", test_der_integer_is_in_its_shortest_form},
        {"a boolean is all or nothing", test_der_boolean_is_all_or_nothing},
        {"bits that do not count are zero", test_der_bits_that_do_not_count_are_zero},
        {"a time is what the calendar says", test_der_time_is_what_the_calendar_says},
        {"a time that no calendar has is refused", test_der_time_refuses_what_no_calendar_has},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_der", tests)
