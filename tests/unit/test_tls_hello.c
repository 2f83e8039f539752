/* SPDX-License-Identifier: MIT */
/*
 * What a client says first. It may come in any pieces, of TCP and of TLS, and be broken anywhere: it
 * must not be taken for whole too early, nor be waited for without end, and nothing may be read that
 * did not come.
 */
#include "tls/hello.h"

#include <stdlib.h>
#include <string.h>

#include "conn/security.h"
#include "support/harness.h"

enum {
    HEADER = 5,
    ROOM = 64 * 1024,
};

struct bytes {
    uint8_t data[ROOM];
    size_t size;
};

static void add(struct bytes *bytes, const void *data, size_t size)
{
    CU_ASSERT_FATAL(size <= sizeof(bytes->data) - bytes->size);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void add_number(struct bytes *bytes, size_t number, size_t width)
{
    for (size_t i = width; i > 0; i--) {
        uint8_t byte = (uint8_t)(number >> 8 * (i - 1));
        add(bytes, &byte, 1);
    }
}

static void add_vector(struct bytes *bytes, size_t width, const void *data, size_t size)
{
    add_number(bytes, size, width);
    add(bytes, data, size);
}

static void add_extension(struct bytes *bytes, size_t type, const void *data, size_t size)
{
    add_number(bytes, type, 2);
    add_vector(bytes, 2, data, size);
}

static void add_name(struct bytes *extensions, const char *name)
{
    static struct bytes list;
    static struct bytes extension;
    list.size = extension.size = 0;
    add_number(&list, 0, 1);
    add_vector(&list, 2, name, strlen(name));
    add_vector(&extension, 2, list.data, list.size);
    add_extension(extensions, 0, extension.data, extension.size);
}

/* A ClientHello with these extensions, without records. */
static void make_message(struct bytes *message, const struct bytes *extensions)
{
    static const uint8_t random[34] = {3, 3};
    static struct bytes body;
    body.size = message->size = 0;
    add(&body, random, sizeof(random));
    add_vector(&body, 1, "session", 7);
    add_vector(&body, 2, "\x13\x01\x13\x02", 4);
    add_vector(&body, 1, "\0", 1);
    if (extensions != NULL) {
        add_vector(&body, 2, extensions->data, extensions->size);
    }
    add_number(message, 1, 1);
    add_vector(message, 3, body.data, body.size);
}

/* In records of so many bytes. */
static void make_records(struct bytes *wire, const struct bytes *message, size_t piece)
{
    wire->size = 0;
    for (size_t at = 0; at < message->size; at += piece) {
        size_t left = message->size - at;
        add(wire, "\x16\3\1", 3);
        add_vector(wire, 2, message->data + at, left < piece ? left : piece);
    }
}

/* With a name, a protocol, and an extension that nobody asks for. */
static void make_right(struct bytes *wire, size_t piece)
{
    static struct bytes extensions;
    static struct bytes message;
    extensions.size = 0;
    add_extension(&extensions, 43, "\2\3\4", 3);
    add_name(&extensions, "a.example");
    add_extension(&extensions, 16, "\0\3\2h2", 5);
    make_message(&message, &extensions);
    make_records(wire, &message, piece);
}

/* In a block of exactly its size, so that the sanitizer sees a read behind the end. */
static enum cmdi_hello_state look(const uint8_t *data, size_t size, const char **why)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    *why = NULL;
    enum cmdi_hello_state state = cmdi_hello_look(exact, size, why);
    CU_ASSERT_EQUAL(*why != NULL, state == CMDI_HELLO_REFUSED);
    free(exact);
    return state;
}

static struct cmdi_hello read_exact(const uint8_t *data, size_t size)
{
    struct cmdi_hello hello;
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    cmdi_hello_read(exact, size, &hello);
    free(exact);
    return hello;
}

static void check_every_cut(size_t piece)
{
    static struct bytes wire;
    const char *why;
    make_right(&wire, piece);
    for (size_t size = 0; size < wire.size; size++) {
        CU_ASSERT_EQUAL(look(wire.data, size, &why), CMDI_HELLO_CUT);
        (void)read_exact(wire.data, size);
    }
    CU_ASSERT_EQUAL(look(wire.data, wire.size, &why), CMDI_HELLO_WHOLE);
    struct cmdi_hello hello = read_exact(wire.data, wire.size);
    CU_ASSERT_STRING_EQUAL(hello.server_name, "a.example");
    CU_ASSERT_TRUE(hello.has_alpn);
}

static void test_hello_waits_at_every_cut(void)
{
    check_every_cut(SIZE_MAX / 2);
}

static void test_hello_waits_at_every_cut_of_its_records(void)
{
    check_every_cut(1);
    check_every_cut(3);
    check_every_cut(100);
}

static void test_hello_may_be_followed_by_more(void)
{
    static struct bytes wire;
    const char *why;
    make_right(&wire, SIZE_MAX / 2);
    add(&wire, "\x17\3\3\0\1x", 6);

    CU_ASSERT_EQUAL(look(wire.data, wire.size, &why), CMDI_HELLO_WHOLE);
    CU_ASSERT_STRING_EQUAL(read_exact(wire.data, wire.size).server_name, "a.example");
}

static void test_hello_may_ask_for_nobody(void)
{
    static struct bytes wire;
    static struct bytes message;
    static struct bytes extensions;
    make_message(&message, NULL);
    make_records(&wire, &message, SIZE_MAX / 2);
    struct cmdi_hello hello = read_exact(wire.data, wire.size);
    CU_ASSERT_STRING_EQUAL(hello.server_name, "");
    CU_ASSERT_FALSE(hello.has_alpn);

    add_name(&extensions, "with a blank");
    make_message(&message, &extensions);
    make_records(&wire, &message, SIZE_MAX / 2);
    CU_ASSERT_STRING_EQUAL(read_exact(wire.data, wire.size).server_name, "");
}

static void test_hello_says_how_it_would_resume(void)
{
    static const struct {
        const char *modes; // The extension, if it has a byte.
        size_t size;
        bool takes_psk_dhe;
    } cases[] = {
            {"", 0, false}, {"\1\1", 2, true}, {"\2\0\1", 3, true}, {"\3\7\1\0", 4, true},
            {"\1\0", 2, false}, {"\2\0\2", 3, false}, {"\0", 1, false}, {"\2\1", 2, false}, // Cut.
            {"\1\0\1", 3, false}, // What is behind the list does not count.
    };
    static struct bytes wire;
    static struct bytes message;
    static struct bytes extensions;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool has_share = i % 2 != 0;
        extensions.size = 0;
        if (cases[i / 2].size > 0) {
            add_extension(&extensions, 45, cases[i / 2].modes, cases[i / 2].size);
        }
        if (has_share) {
            add_extension(&extensions, 51, "\0\0", 2);
        }
        make_message(&message, &extensions);
        make_records(&wire, &message, SIZE_MAX / 2);
        struct cmdi_hello hello = read_exact(wire.data, wire.size);
        CU_ASSERT_EQUAL(hello.takes_psk_dhe, cases[i / 2].takes_psk_dhe);
        CU_ASSERT_EQUAL(hello.has_key_share, has_share);
    }
}

static void test_hello_reads_nothing_behind_a_wrong_length(void)
{
    static struct bytes wire;
    make_right(&wire, SIZE_MAX / 2);
    for (size_t at = HEADER + 4; at < wire.size; at++) {
        uint8_t right = wire.data[at];
        for (unsigned wrong = 0; wrong < 256; wrong += 15) {
            wire.data[at] = (uint8_t)wrong;
            (void)read_exact(wire.data, wire.size);
        }
        wire.data[at] = right;
    }
}

static void test_hello_refuses_what_is_none(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *why;
    } cases[] = {
            {"GET / HTTP/1.1", 1, "plaintext on a TLS port"},
            {"\x80\x2e\1\3\1", 1, "plaintext on a TLS port"},
            {"\x17\3\3\0\x20", 1, "plaintext on a TLS port"},
            {"\x16\2", 2, "a TLS record of an unknown version"},
            {"\x16\3\1\0\0", 5, "a TLS record without a byte in it"},
            {"\x16\3\1\xff\xff", 5, "a TLS record longer than the protocol allows"},
            {"\x16\3\1\0\4\2", 6, "its first message is no ClientHello"},
            {"\x16\3\1\0\1\1\x17", 7, "its first flight is no ClientHello"},
            {"\x16\3\1\x40\1", 5, "its first flight is no ClientHello"},
            {"\x16\3\1\0\4\1\1\0\0", 9, "its ClientHello is above 16 KiB"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why;
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        CU_ASSERT_EQUAL(look(bytes, cases[i].size, &why), CMDI_HELLO_REFUSED);
        CU_ASSERT_STRING_EQUAL(why, cases[i].why);
        CU_ASSERT_EQUAL(look(bytes, cases[i].size - 1, &why), CMDI_HELLO_CUT);
    }
}

/* Padding that makes the whole flight `size` bytes long. */
static void make_long(struct bytes *wire, size_t size)
{
    static struct bytes extensions;
    static struct bytes message;
    static const uint8_t zeros[ROOM];
    for (size_t padding = 0;; padding = size - wire->size) {
        extensions.size = 0;
        add_extension(&extensions, 21, zeros, padding);
        make_message(&message, &extensions);
        make_records(wire, &message, CMDI_SECURITY_RECORD_MAX);
        if (padding > 0) {
            break;
        }
    }
    CU_ASSERT_EQUAL_FATAL(wire->size, size);
}

static void test_hello_has_an_end(void)
{
    static struct bytes wire;
    const char *why;
    make_long(&wire, CMDI_SECURITY_FLIGHT_MAX);
    CU_ASSERT_EQUAL(look(wire.data, wire.size - 1, &why), CMDI_HELLO_CUT);
    CU_ASSERT_EQUAL(look(wire.data, wire.size, &why), CMDI_HELLO_WHOLE);

    make_long(&wire, CMDI_SECURITY_FLIGHT_MAX + 1);
    CU_ASSERT_EQUAL(look(wire.data, wire.size - 1, &why), CMDI_HELLO_REFUSED);
    CU_ASSERT_EQUAL(look(wire.data, wire.size, &why), CMDI_HELLO_REFUSED);
    CU_ASSERT_STRING_EQUAL(why, "its ClientHello is above 16 KiB");
}

static void test_hello_in_records_of_one_byte_has_the_same_end(void)
{
    static struct bytes wire;
    static struct bytes message;
    static struct bytes extensions;
    static const uint8_t zeros[4096];
    const char *why;
    add_extension(&extensions, 21, zeros, sizeof(zeros));
    make_message(&message, &extensions);
    make_records(&wire, &message, 1);
    CU_ASSERT_FATAL(wire.size > CMDI_SECURITY_FLIGHT_MAX);

    CU_ASSERT_EQUAL(look(wire.data, CMDI_SECURITY_FLIGHT_MAX - 1, &why), CMDI_HELLO_CUT);
    CU_ASSERT_EQUAL(look(wire.data, CMDI_SECURITY_FLIGHT_MAX, &why), CMDI_HELLO_REFUSED);
    CU_ASSERT_EQUAL(look(wire.data, wire.size, &why), CMDI_HELLO_REFUSED);
}

CU_TestInfo test_tls_hello[] = {
        {"hello waits at every cut", test_hello_waits_at_every_cut},
        {"hello waits at every cut of its records", test_hello_waits_at_every_cut_of_its_records},
        {"hello may be followed by more", test_hello_may_be_followed_by_more},
        {"hello may ask for nobody", test_hello_may_ask_for_nobody},
        {"hello says how it would resume", test_hello_says_how_it_would_resume},
        {"hello reads nothing behind a wrong length",
                test_hello_reads_nothing_behind_a_wrong_length},
        {"hello refuses what is none", test_hello_refuses_what_is_none},
        {"hello has an end", test_hello_has_an_end},
        {"hello in records of one byte has the same end",
                test_hello_in_records_of_one_byte_has_the_same_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_hello", test_tls_hello)
