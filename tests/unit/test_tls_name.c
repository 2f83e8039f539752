/* SPDX-License-Identifier: MIT */
/*
 * A subject as text. A program may compare the line and a terminal may get it: two different names must
 * not give the same line, no control character may come through, and a cut line must be known as one.
 */
#include "tls/name.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"

enum {
    TEXT_SIZE = 2048
};

#define CN BYTES("\x55\x04\x03")
#define O  BYTES("\x55\x04\x0a")

/* Of these parts; the text is empty if they were refused. */
static enum cmdi_certificate_fault parse(
        struct cmds_bytes parts, char *text, struct cmds_string *common_name)
{
    struct cmds_bytes name;
    struct cmdi_der from = cmdi_der_of(tls_der(0x30, parts));
    enum cmdi_certificate_fault fault = cmdi_name_parse(&from, &name, common_name);
    text[0] = '\0';
    if (fault == CMDI_CERTIFICATE_OK) {
        CU_ASSERT_TRUE(cmdi_der_is_empty(from));
        CU_ASSERT_EQUAL(cmdi_name_text(name, text, TEXT_SIZE), strlen(text));
    }
    return fault;
}

static void expect_text(struct cmds_bytes parts, const char *expected)
{
    char text[TEXT_SIZE];
    struct cmds_string common_name;
    CU_ASSERT_EQUAL(parse(parts, text, &common_name), CMDI_CERTIFICATE_OK);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void expect_value(uint8_t tag, struct cmds_bytes value, const char *expected)
{
    char line[TEXT_SIZE] = "O=";
    tls_build_reset();
    strncat(line, expected, sizeof(line) - 3);
    expect_text(tls_attribute(O, tls_der(tag, value)), line);
}

static void test_name_text_is_of_rfc_4514(void)
{
    struct cmds_bytes der = tls_vector("subject"), server = tls_vector("server");
    struct cmdi_certificate certificate;
    char text[TEXT_SIZE];

    CU_ASSERT_EQUAL_FATAL(cmdi_certificate_parse(&certificate, der.data, der.size), 0);
    (void)cmdi_name_text(certificate.subject, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "CN=\\ s\\ ,2.5.4.12=#0C0178,"
                                 "O=M\xc3\xbcller+OU=\\#1 \\\"a\\\"\\, b\\;\\<c\\>=\\\\d\\ ,"
                                 "UID=7,DC=example");
    CU_ASSERT_TRUE(cmds_string_equal(certificate.common_name, cmds_string_from(" s ")));
    CU_ASSERT_EQUAL_FATAL(cmdi_certificate_parse(&certificate, server.data, server.size), 0);
    (void)cmdi_name_text(certificate.subject, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "CN=s1,OU=East,O=Example\\, Ltd,C=DE");
    (void)cmdi_name_text(certificate.issuer, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "CN=Test CA,O=Example");
    free((void *)der.data);
    free((void *)server.data);
}

static void test_name_text_escapes_what_is_special(void)
{
    expect_value(0x0c, BYTES("a+b"), "a\\+b");
    expect_value(0x0c, BYTES("a#b c"), "a#b c");
    expect_value(0x0c, BYTES("#"), "\\#");
    expect_value(0x0c, BYTES(" "), "\\ ");
    expect_value(0x0c, BYTES("  "), "\\ \\ ");
    expect_value(0x0c, BYTES(""), "");
    expect_value(0x0c, BYTES("a=b"), "a=b");
}

static void test_name_text_lets_no_control_character_through(void)
{
    expect_value(0x0c, BYTES("a\nb\x1b[m\x7f"), "a\\0Ab\\1B[m\\7F");
    expect_value(0x16, BYTES("\x1f\x20\x1e"), "\\1F \\1E");
    expect_value(0x0c, BYTES("\xc2\x9b\xc2\xa0"), "\\C2\\9B\xc2\xa0"); // The first is U+009B.
    expect_value(0x0c, BYTES("\xe2\x82\xac\xf0\x9f\x98\x80"), "\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_value(0x14, BYTES("M\xfcller"), "M\\FCller"); // Teletex.
    expect_value(0x13, BYTES("\xc3\xbc"), "\\C3\\BC");   // Printable, which has no such letter.
    expect_value(0x14, BYTES("\x80"), "\\80");
    expect_value(0x12, BYTES("12"), "12");
    expect_value(0x1a, BYTES("v"), "v");
    expect_value(0x1e, BYTES("\0a\0b"), "#1E0400610062"); // UTF-16.
    expect_value(0x02, BYTES("\x05"), "#020105");
}

static void test_name_text_writes_the_numbers_of_a_type(void)
{
    static const struct {
        struct cmds_bytes oid;
        const char *text;
    } cases[] = {
            {{"\x00", 1}, "0.0=#0C0178"},
            {{"\x27", 1}, "0.39=#0C0178"},
            {{"\x28", 1}, "1.0=#0C0178"},
            {{"\x4f\x01", 2}, "1.39.1=#0C0178"},
            {{"\x50", 1}, "2.0=#0C0178"},
            {{"\x2a\x81\x80\x00", 4}, "1.2.16384=#0C0178"},
            {{"\x88\x37\x03", 3}, "2.999.3=#0C0178"},
            {{"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}, "1.2.9223372036854775807=#0C0178"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tls_build_reset();
        expect_text(tls_attribute(cases[i].oid, BYTES("\x0c\x01x")), cases[i].text);
    }
}

static void test_name_common_name_is_the_last_one(void)
{
    char text[TEXT_SIZE];
    struct cmds_string common_name;
    tls_build_reset();
    struct cmds_bytes a = tls_attribute(CN, tls_der(0x0c, BYTES("a")));
    struct cmds_bytes b = tls_attribute(CN, tls_der(0x13, BYTES("b")));
    struct cmds_bytes wide = tls_attribute(CN, tls_der(0x1e, BYTES("\0w")));
    struct cmds_bytes latin = tls_attribute(CN, tls_der(0x14, BYTES("\xfc"
                                                                    "a")));
    struct cmds_bytes other = tls_attribute(O, tls_der(0x0c, BYTES("o")));

    CU_ASSERT_EQUAL(parse(tls_join(a, tls_join(b, other)), text, &common_name), 0);
    CU_ASSERT_TRUE(cmds_string_equal(common_name, cmds_string_from("b")));
    CU_ASSERT_STRING_EQUAL(text, "O=o,CN=b,CN=a");
    CU_ASSERT_EQUAL(parse(tls_join(a, wide), text, &common_name), 0);
    CU_ASSERT_EQUAL(common_name.size, 0); // Not the one before it.
    CU_ASSERT_EQUAL(parse(tls_join(a, latin), text, &common_name), 0);
    CU_ASSERT_EQUAL(common_name.size, 0);
    CU_ASSERT_EQUAL(parse(other, text, &common_name), 0);
    CU_ASSERT_EQUAL(common_name.size, 0);
    CU_ASSERT_EQUAL(parse(BYTES(""), text, &common_name), 0);
    CU_ASSERT_EQUAL(common_name.size, 0);
    CU_ASSERT_STRING_EQUAL(text, "");
}

static enum cmdi_certificate_fault fault_of(
        struct cmds_bytes oid, uint8_t tag, struct cmds_bytes value)
{
    char text[TEXT_SIZE];
    struct cmds_string common_name;
    tls_build_reset();
    return parse(tls_attribute(oid, tls_der(tag, value)), text, &common_name);
}

static void test_name_refuses_bytes_that_are_no_text(void)
{
    static const uint8_t byte_strings[] = {0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a};
    for (size_t i = 0; i < sizeof(byte_strings); i++) {
        CU_ASSERT_EQUAL(fault_of(O, byte_strings[i], BYTES("a\0b")), CMDI_CERTIFICATE_NUL_IN_NAME);
        CU_ASSERT_EQUAL(fault_of(CN, byte_strings[i], BYTES("b\0")), CMDI_CERTIFICATE_NUL_IN_NAME);
        CU_ASSERT_EQUAL(
                fault_of(CN, byte_strings[i], BYTES("a\n")), CMDI_CERTIFICATE_BAD_CHARACTER);
        CU_ASSERT_EQUAL(fault_of(O, byte_strings[i], BYTES("a\n")), CMDI_CERTIFICATE_OK);
    }
    CU_ASSERT_EQUAL(fault_of(CN, 0x0c, BYTES("\xc2\x80")), CMDI_CERTIFICATE_BAD_CHARACTER);
    CU_ASSERT_EQUAL(fault_of(CN, 0x0c, BYTES("\xc2\xa0")), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(fault_of(O, 0x0c, BYTES("\xff")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(O, 0x0c, BYTES("\xc3")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(O, 0x0c, BYTES("\xc0\x80")), CMDI_CERTIFICATE_BROKEN); // A NUL in two.
}

static void test_name_refuses_a_shape_that_is_not_its_own(void)
{
    char text[TEXT_SIZE];
    struct cmds_string common_name;
    static const struct cmds_bytes wrong[] = {
            {"\x30\x00", 2},                                              // No SET.
            {"\x31\x00", 2},                                              // An empty one.
            {"\x31\x02\x30\x00", 4},                                      // No type.
            {"\x31\x07\x30\x05\x06\x03\x55\x04\x03", 9},                  // No value.
            {"\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x05\x00\x05\x00", 13}, // Two values.
            {"\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x01", 11},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        tls_build_reset();
        CU_ASSERT_EQUAL(parse(wrong[i], text, &common_name), CMDI_CERTIFICATE_BROKEN);
    }
    // A number of more than 63 bits in the type.
    CU_ASSERT_EQUAL(
            fault_of(BYTES("\x2a\x81\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), 0x0c, BYTES("x")),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(
            fault_of(BYTES("\x2a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 0x0c, BYTES("x")),
            CMDI_CERTIFICATE_BROKEN);
    struct cmds_bytes name;
    struct cmdi_der from = cmdi_der_of(BYTES("\x31\x00"));
    CU_ASSERT_EQUAL(cmdi_name_parse(&from, &name, &common_name), CMDI_CERTIFICATE_BROKEN);
}

static void test_name_has_a_limit_of_parts(void)
{
    char *text = malloc(TEXT_SIZE);
    struct cmds_string common_name;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    tls_build_reset();
    struct cmds_bytes part = tls_attribute(O, BYTES("\x0c\x01x"));

    struct cmds_bytes most = tls_repeat(part, CMDI_CERTIFICATE_NAME_PARTS_MAX);
    CU_ASSERT_EQUAL(parse(most, text, &common_name), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(strlen(text), 4 * CMDI_CERTIFICATE_NAME_PARTS_MAX - 1);
    CU_ASSERT_EQUAL(parse(tls_join(most, part), text, &common_name), CMDI_CERTIFICATE_TOO_MANY);
    // In one SET as well.
    struct cmds_bytes inner = {(const uint8_t *)part.data + 2, part.size - 2};
    struct cmds_bytes set = tls_der(0x31, tls_repeat(inner, CMDI_CERTIFICATE_NAME_PARTS_MAX + 1));
    CU_ASSERT_EQUAL(parse(set, text, &common_name), CMDI_CERTIFICATE_TOO_MANY);
    free(text);
}

static void test_name_text_is_cut_between_characters(void)
{
    tls_build_reset();
    struct cmds_bytes parts = tls_attribute(CN, tls_der(0x0c, BYTES("\xe2\x82\xac,b"))), name;
    struct cmds_string common_name;
    struct cmdi_der from = cmdi_der_of(tls_der(0x30, parts));
    static const char *const expected[] = {"", "", "CN", "CN=", "CN=", "CN=", "CN=\xe2\x82\xac",
            "CN=\xe2\x82\xac", "CN=\xe2\x82\xac\\,", "CN=\xe2\x82\xac\\,b"};

    CU_ASSERT_EQUAL_FATAL(cmdi_name_parse(&from, &name, &common_name), 0);
    CU_ASSERT_EQUAL(cmdi_name_text(name, NULL, 0), 9);
    for (size_t size = 1; size <= 10; size++) {
        char *text = malloc(size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT_EQUAL(cmdi_name_text(name, text, size), 9);
        CU_ASSERT_STRING_EQUAL(text, expected[size - 1]);
        free(text);
    }
}

static CU_TestInfo tests[] = {
        {"the text is of RFC 4514", test_name_text_is_of_rfc_4514},
        {"the text escapes what is special", test_name_text_escapes_what_is_special},
        {"the text lets no control character through",
                test_name_text_lets_no_control_character_through},
        {"the text writes the numbers of a type", test_name_text_writes_the_numbers_of_a_type},
        {"the common name is the last one", test_name_common_name_is_the_last_one},
        {"bytes that are no text are refused", test_name_refuses_bytes_that_are_no_text},
        {"a shape that is not its own is refused", test_name_refuses_a_shape_that_is_not_its_own},
        {"there is a limit of parts", test_name_has_a_limit_of_parts},
        {"the text is cut between characters", test_name_text_is_cut_between_characters},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_name", tests)
