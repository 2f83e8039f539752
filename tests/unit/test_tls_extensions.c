/* SPDX-License-Identifier: MIT */
/*
 * Extensions: what is read of them, what comes twice, and where their counts end. Of two that say
 * different things neither may count, and a name with a NUL is none that a program may see.
 */
#include "tls/extensions.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"

#define USAGE       BYTES("\x55\x1d\x0f")
#define PURPOSES    BYTES("\x55\x1d\x25")
#define CONSTRAINTS BYTES("\x55\x1d\x13")
#define OTHER       BYTES("\x2a\x03")

/* A right certificate with these extensions. The build is reset. */
static enum cmdi_certificate_fault parse(struct cmdi_certificate *it, struct cmds_bytes extensions)
{
    struct tls_parts parts = tls_parts();
    parts.extensions = extensions;
    struct cmds_bytes der = tls_build(&parts);
    uint8_t *exact = malloc(der.size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, der.data, der.size);
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(it, exact, der.size);
    free(exact);
    tls_build_reset();
    return fault;
}

static enum cmdi_certificate_fault fault_of(struct cmds_bytes extensions)
{
    struct cmdi_certificate it;
    return parse(&it, extensions);
}

static enum cmdi_certificate_fault fault_of_name(uint8_t tag, struct cmds_bytes value)
{
    return fault_of(tls_alt_names(tls_der(tag, value)));
}

static void test_extensions_names_are_printable(void)
{
    static const uint8_t texts[] = {0x81, 0x82, 0x86};
    for (size_t i = 0; i < sizeof(texts); i++) {
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES(" ~")), CMDI_CERTIFICATE_OK);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("")), CMDI_CERTIFICATE_BROKEN);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("a\0b")), CMDI_CERTIFICATE_NUL_IN_NAME);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("a\0")), CMDI_CERTIFICATE_NUL_IN_NAME);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("a\x1f")), CMDI_CERTIFICATE_BAD_CHARACTER);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("a\x7f")), CMDI_CERTIFICATE_BAD_CHARACTER);
        CU_ASSERT_EQUAL(fault_of_name(texts[i], BYTES("\xc3\xbc")), CMDI_CERTIFICATE_BAD_CHARACTER);
    }
}

static void test_extensions_addresses_have_one_of_two_sizes(void)
{
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("1234")), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("1234567890123456")), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("123")), CMDI_CERTIFICATE_BROKEN);
    // With a mask, as in a CA's constraints.
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("12345678")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of_name(0x87, BYTES("12345678901234567")), CMDI_CERTIFICATE_BROKEN);
}

static void test_extensions_other_names_are_counted_by_nobody(void)
{
    static const uint8_t tags[] = {0xa0, 0xa3, 0xa4, 0xa5, 0x88};
    struct cmdi_certificate it;
    for (size_t i = 0; i < sizeof(tags); i++) {
        CU_ASSERT_EQUAL(parse(&it, tls_alt_names(tls_der(tags[i], BYTES("\0\xff")))), 0);
        CU_ASSERT_TRUE(it.has_alt_names);
        CU_ASSERT_EQUAL(it.dns_count + it.ip_count + it.uri_count, 0);
    }
    CU_ASSERT_EQUAL(fault_of_name(0x89, BYTES("x")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of_name(0xa2, BYTES("x")), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of_name(0x02, BYTES("x")), CMDI_CERTIFICATE_BROKEN);
}

static void test_extensions_lists_are_not_empty_and_end(void)
{
    struct cmds_bytes names = BYTES("\x55\x1d\x11");
    CU_ASSERT_EQUAL(fault_of(tls_extension(names, BYTES("\x30\x00"))), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(names, BYTES("\x82\x01"
                                                        "a"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(names, BYTES("\x30\x03\x82\x01"
                                                        "a\x05\x00"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(names, BYTES("\x30\x03\x82\x02"
                                                        "a"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(PURPOSES, BYTES("\x30\x00"))), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(PURPOSES, BYTES("\x30\x03\x04\x01\x2a"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(PURPOSES, BYTES("\x30\x03\x06\x01\x2a\x05\x00"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(BYTES("")), CMDI_CERTIFICATE_BROKEN); // [3] with nothing in it.
}

static void test_extensions_usage_is_read(void)
{
    struct cmdi_certificate it;
    CU_ASSERT_EQUAL(parse(&it, tls_extension(USAGE, BYTES("\x03\x02\x05\xa0"))), 0);
    CU_ASSERT_TRUE(it.has_key_usage);
    CU_ASSERT_EQUAL(it.key_usage, 0xa000);
    CU_ASSERT_EQUAL(fault_of(tls_extension(USAGE, BYTES("\x03\x01\x00"))), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(
            fault_of(tls_extension(USAGE, BYTES("\x03\x02\x07\x00"))), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(USAGE, BYTES("\x03\x02\x07\x80\x05\x00"))),
            CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_EQUAL(fault_of(tls_extension(USAGE, BYTES("\x04\x01\x80"))), CMDI_CERTIFICATE_BROKEN);
}

static void test_extensions_purposes_are_read(void)
{
    static const struct {
        struct cmds_bytes purposes;
        bool for_server, for_client;
    } cases[] = {
            {{"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 10}, true, false},
            {{"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02", 10}, false, true},
            {{"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x03", 10}, false, false},
            {{"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02\x06\x01\x2a", 13}, false, true},
            {{"\x06\x04\x55\x1d\x25\x00", 6}, true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cmdi_certificate it;
        struct cmds_bytes list = tls_der(0x30, cases[i].purposes);
        CU_ASSERT_EQUAL(parse(&it, tls_extension(PURPOSES, list)), 0);
        CU_ASSERT_TRUE(it.has_extended_key_usage);
        CU_ASSERT_EQUAL(it.for_server, cases[i].for_server);
        CU_ASSERT_EQUAL(it.for_client, cases[i].for_client);
    }
}

static void test_extensions_constraints_say_who_is_a_ca(void)
{
    static const struct {
        struct cmds_bytes value;
        enum cmdi_certificate_fault fault;
        bool is_ca;
    } cases[] = {
            {{"\x30\x00", 2}, CMDI_CERTIFICATE_OK, false},
            {{"\x30\x03\x01\x01\xff", 5}, CMDI_CERTIFICATE_OK, true},
            {{"\x30\x03\x01\x01\x00", 5}, CMDI_CERTIFICATE_OK, false},
            {{"\x30\x06\x01\x01\xff\x02\x01\x00", 8}, CMDI_CERTIFICATE_OK, true},
            {{"\x30\x03\x02\x01\x00", 5}, CMDI_CERTIFICATE_OK, false},
            {{"\x30\x03\x01\x01\x01", 5}, CMDI_CERTIFICATE_BROKEN, false},
            {{"\x30\x06\x01\x01\xff\x02\x01\xff", 8}, CMDI_CERTIFICATE_BROKEN, false},
            {{"\x30\x08\x01\x01\xff\x02\x01\x00\x05\x00", 10}, CMDI_CERTIFICATE_BROKEN, false},
            {{"\x30\x00\x05\x00", 4}, CMDI_CERTIFICATE_BROKEN, false},
            {{"\x31\x00", 2}, CMDI_CERTIFICATE_BROKEN, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cmdi_certificate it;
        enum cmdi_certificate_fault fault = parse(&it, tls_extension(CONSTRAINTS, cases[i].value));
        CU_ASSERT_EQUAL(fault, cases[i].fault);
        CU_ASSERT_TRUE(fault != CMDI_CERTIFICATE_OK || it.is_ca == cases[i].is_ca);
    }
}

static void test_extensions_that_come_twice_are_refused(void)
{
    struct cmds_bytes names = tls_alt_names(tls_der(0x82, BYTES("a")));
    CU_ASSERT_EQUAL(fault_of(tls_join(names, names)), CMDI_CERTIFICATE_BROKEN);
    struct cmds_bytes usage = tls_extension(USAGE, BYTES("\x03\x02\x07\x80"));
    CU_ASSERT_EQUAL(fault_of(tls_join(usage, usage)), CMDI_CERTIFICATE_BROKEN);
    struct cmds_bytes purposes = tls_extension(PURPOSES, BYTES("\x30\x03\x06\x01\x2a"));
    CU_ASSERT_EQUAL(fault_of(tls_join(purposes, purposes)), CMDI_CERTIFICATE_BROKEN);
    struct cmds_bytes constraints = tls_extension(CONSTRAINTS, BYTES("\x30\x00"));
    CU_ASSERT_EQUAL(fault_of(tls_join(constraints, constraints)), CMDI_CERTIFICATE_BROKEN);
    names = tls_alt_names(tls_der(0x82, BYTES("a")));
    usage = tls_extension(USAGE, BYTES("\x03\x02\x07\x80"));
    CU_ASSERT_EQUAL(fault_of(tls_join(names, tls_join(usage, names))), CMDI_CERTIFICATE_BROKEN);
    struct cmds_bytes other = tls_extension(OTHER, BYTES("\xff")); // Nobody looks into it.
    CU_ASSERT_EQUAL(fault_of(tls_join(other, other)), CMDI_CERTIFICATE_OK);
}

static void test_extensions_of_a_wrong_shape_are_refused(void)
{
    static const struct cmds_bytes wrong[] = {
            {"\x31\x06\x06\x02\x2a\x03\x04\x00", 8},
            {"\x30\x04\x06\x02\x2a\x03", 6},                      // No value.
            {"\x30\x02\x04\x00", 4},                              // No type.
            {"\x30\x08\x06\x02\x2a\x03\x04\x00\x05\x00", 10},     // Something behind it.
            {"\x30\x09\x06\x02\x2a\x03\x01\x01\x01\x04\x00", 11}, // Neither critical nor not.
            {"\x30\x06\x06\x02\x2a\x03\x03\x00", 8},
            {"\x30\x06\x06\x02\x2a\x80\x04\x00", 8},
    };
    CU_ASSERT_EQUAL(fault_of(BYTES("\x30\x09\x06\x02\x2a\x03\x01\x01\xff\x04\x00")), 0);
    CU_ASSERT_EQUAL(fault_of(BYTES("\x30\x09\x06\x02\x2a\x03\x01\x01\x00\x04\x00")), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(fault_of(wrong[i]), CMDI_CERTIFICATE_BROKEN);
    }
    tls_build_reset();
    struct tls_parts parts = tls_parts();
    parts.body_tail = tls_der(0xa3, BYTES("\x30\x08\x30\x06\x06\x02\x2a\x03\x04\x00\x05\x00"));
    parts.extensions = (struct cmds_bytes){NULL, 0};
    struct cmdi_certificate it;
    struct cmds_bytes der = tls_build(&parts);
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, der.data, der.size), CMDI_CERTIFICATE_BROKEN);
    CU_ASSERT_STRING_EQUAL(it.part, "extensions");
}

static void test_extensions_have_limits(void)
{
    struct cmdi_certificate it;
    struct cmds_bytes name = tls_der(0x82, BYTES("a")), purpose = BYTES("\x06\x01\x2a");
    struct cmds_bytes most = tls_repeat(name, CMDI_CERTIFICATE_ALT_NAMES_MAX);
    CU_ASSERT_EQUAL(parse(&it, tls_alt_names(most)), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(it.dns_count, CMDI_CERTIFICATE_ALT_NAMES_MAX);
    most = tls_repeat(tls_der(0x82, BYTES("a")), CMDI_CERTIFICATE_ALT_NAMES_MAX + 1);
    CU_ASSERT_EQUAL(parse(&it, tls_alt_names(most)), CMDI_CERTIFICATE_TOO_MANY);
    CU_ASSERT_STRING_EQUAL(it.part, "subjectAltName");

    most = tls_der(0x30, tls_repeat(purpose, CMDI_CERTIFICATE_PURPOSES_MAX));
    CU_ASSERT_EQUAL(fault_of(tls_extension(PURPOSES, most)), CMDI_CERTIFICATE_OK);
    most = tls_der(0x30, tls_repeat(purpose, CMDI_CERTIFICATE_PURPOSES_MAX + 1));
    CU_ASSERT_EQUAL(fault_of(tls_extension(PURPOSES, most)), CMDI_CERTIFICATE_TOO_MANY);

    struct cmds_bytes other = tls_extension(OTHER, BYTES(""));
    CU_ASSERT_EQUAL(fault_of(tls_repeat(other, CMDI_CERTIFICATE_EXTENSIONS_MAX)), 0);
    other = tls_extension(OTHER, BYTES(""));
    CU_ASSERT_EQUAL(parse(&it, tls_repeat(other, CMDI_CERTIFICATE_EXTENSIONS_MAX + 1)),
            CMDI_CERTIFICATE_TOO_MANY);
    CU_ASSERT_STRING_EQUAL(it.part, "extensions");
}

static void test_extensions_fill_a_certificate_to_its_limit(void)
{
    size_t size = CMDI_CERTIFICATE_SIZE_MAX;
    static uint8_t zeros[CMDI_CERTIFICATE_SIZE_MAX + 1];
    struct cmdi_certificate it;
    struct tls_parts parts = tls_parts();
    parts.extensions = tls_extension(OTHER, tls_repeat(BYTES("x"), 32000));
    size_t rest = size - tls_build(&parts).size;
    tls_build_reset();
    parts = tls_parts();
    parts.extensions = tls_extension(OTHER, tls_repeat(BYTES("x"), 32000 + rest));
    struct cmds_bytes der = tls_build(&parts);
    CU_ASSERT_EQUAL(der.size, size);
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, der.data, der.size), CMDI_CERTIFICATE_OK);
    tls_build_reset();
    parts = tls_parts();
    parts.extensions = tls_extension(OTHER, tls_repeat(BYTES("x"), 32001 + rest));
    der = tls_build(&parts);
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, der.data, der.size), CMDI_CERTIFICATE_TOO_LARGE);
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, zeros, size + 1), CMDI_CERTIFICATE_TOO_LARGE);
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, NULL, 0), CMDI_CERTIFICATE_BROKEN);
    tls_build_reset();
}

static CU_TestInfo tests[] = {
        {"names are printable", test_extensions_names_are_printable},
        {"addresses have one of two sizes", test_extensions_addresses_have_one_of_two_sizes},
        {"other names are counted by nobody", test_extensions_other_names_are_counted_by_nobody},
        {"lists are not empty and end", test_extensions_lists_are_not_empty_and_end},
        {"usage is read", test_extensions_usage_is_read},
        {"purposes are read", test_extensions_purposes_are_read},
        {"constraints say who is a CA", test_extensions_constraints_say_who_is_a_ca},
        {"those that come twice are refused", test_extensions_that_come_twice_are_refused},
        {"those of a wrong shape are refused", test_extensions_of_a_wrong_shape_are_refused},
        {"they have limits", test_extensions_have_limits},
        {"they fill a certificate to its limit", test_extensions_fill_a_certificate_to_its_limit},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_extensions", tests)
