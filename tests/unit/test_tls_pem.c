/* SPDX-License-Identifier: MIT */
/*
 * Blocks of PEM: what stands between them is skipped, half a block is not, and base64 is taken in its one
 * right form.
 */
#include "tls/pem.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

static struct cmdi_pem pem_of(const char *text)
{
    return cmdi_pem_begin((struct cmds_bytes){text, strlen(text)});
}

static bool is_text(struct cmds_string string, const char *text)
{
    return cmds_string_equal(string, cmds_string_from(text));
}

static void test_pem_blocks_in_their_order(void)
{
    static const char text[] = "words\n"
                               "-----BEGIN A B-----\nAAAA\n-----END A B-----\n"
                               " -----BEGIN C-----\n" // Not at the start of a line.
                               "-----BEGIN D-----\r\n-----END D-----";
    struct cmdi_pem pem = pem_of(text);
    struct cmdi_pem_block block;

    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_BLOCK);
    CU_ASSERT(is_text(block.label, "A B") && is_text(block.body, "\nAAAA\n"));
    CU_ASSERT_EQUAL(block.all.size, strlen("-----BEGIN A B-----\nAAAA\n-----END A B-----"));
    CU_ASSERT_PTR_EQUAL(block.all.data, strchr(text, '-'));
    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_BLOCK);
    CU_ASSERT(is_text(block.label, "D") && is_text(block.body, "\r\n"));
    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_END);
    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_END);
}

static void test_pem_of_an_editor_with_a_mark(void)
{
    struct cmdi_pem pem = pem_of("\xef\xbb\xbf-----BEGIN A-----\r\nAAAA\r\n-----END A-----\r\n");
    struct cmdi_pem_block block;
    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_BLOCK);
    CU_ASSERT(is_text(block.label, "A") && is_text(block.body, "\r\nAAAA\r\n"));
    CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_END);
}

static void test_pem_nothing(void)
{
    static const char *const texts[] = {
            "", "\n", "-", "-----BEGIN", "-----END A-----\n", "BEGIN A"};
    struct cmdi_pem_block block;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cmdi_pem pem = pem_of(texts[i]);
        CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_END);
    }
    struct cmdi_pem empty = cmdi_pem_begin((struct cmds_bytes){NULL, 0});
    CU_ASSERT_EQUAL(cmdi_pem_next(&empty, &block), CMDI_PEM_END);
}

static void test_pem_half_a_block(void)
{
    static const char whole[] = "-----BEGIN A-----\nAAAA\n-----END A-----";
    struct cmdi_pem_block block;
    for (size_t size = strlen("-----BEGIN "); size < strlen(whole); size++) {
        char *cut = malloc(size); // Of its size: a sanitizer sees who reads behind it.
        CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
        memcpy(cut, whole, size);
        struct cmdi_pem pem = cmdi_pem_begin((struct cmds_bytes){cut, size});
        CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_CUT);
        free(cut);
    }
    static const char *const texts[] = {"-----BEGIN A-----\n-----END B-----\n",
            "-----BEGIN A-----\n-----END A----\n", "-----BEGIN -----\n-----END -----\n",
            "-----BEGIN A\n-----\n-----END A-----\n",
            "-----BEGIN A-----\nAAAA\n-----BEGIN A-----\nAAAA\n-----END B-----\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cmdi_pem pem = pem_of(texts[i]);
        CU_ASSERT_EQUAL(cmdi_pem_next(&pem, &block), CMDI_PEM_CUT);
    }
}

static size_t decode(const char *text, uint8_t *out, size_t room)
{
    struct cmds_string body = cmds_string_from(text);
    CU_ASSERT_FATAL(cmdi_pem_size_max(body.size) <= room);
    return cmdi_pem_decode(body, out);
}

static void test_pem_base64(void)
{
    uint8_t out[64];
    CU_ASSERT_EQUAL(decode("Zm9v", out, sizeof(out)), 3);
    CU_ASSERT_EQUAL(memcmp(out, "foo", 3), 0);
    CU_ASSERT_EQUAL(decode("\nZm\r\n9 v\tYg==\n", out, sizeof(out)), 4);
    CU_ASSERT_EQUAL(memcmp(out, "foob", 4), 0);
    CU_ASSERT_EQUAL(decode("Zm9vYmE=", out, sizeof(out)), 5);
    CU_ASSERT_EQUAL(decode("+/+/", out, sizeof(out)), 3);
    CU_ASSERT_EQUAL(memcmp(out, "\xfb\xff\xbf", 3), 0);

    static const char *const wrong[] = {"", " ", "Z", "Zm", "Zm9", "Zm9vY", "Zm9v=", "Zm=9",
            "Z===", "====", "Zm9v====", "Zm9-", "Proc-Type: 4,ENCRYPTED\n\nZm9v", "Zm9\xc3\xa4"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(decode(wrong[i], out, sizeof(out)), 0);
    }
}

static void test_pem_decodes_within_its_room(void)
{
    char text[130];
    for (size_t size = 0; size < sizeof(text); size++) {
        memset(text, 'A', sizeof(text));
        uint8_t *out = malloc(cmdi_pem_size_max(size));
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        CU_ASSERT_EQUAL(cmdi_pem_decode((struct cmds_string){text, size}, out),
                size % 4 == 0 ? size / 4 * 3 : 0);
        free(out);
    }
}

static const CU_TestInfo test_tls_pem[] = {
        {"blocks in their order", test_pem_blocks_in_their_order},
        {"of an editor with a mark", test_pem_of_an_editor_with_a_mark},
        {"nothing", test_pem_nothing},
        {"half a block", test_pem_half_a_block},
        {"base64", test_pem_base64},
        {"decodes within its room", test_pem_decodes_within_its_room},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_pem", test_tls_pem)
