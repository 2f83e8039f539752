/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a peer's certificate. What is taken must lie within the bytes, count right, and display
 * as one clean line; one byte less or more must be refused; and a host may match only as a second,
 * plainer matcher says.
 */
#include "tls/certificate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tls/certificate_check.h"
#include "tls/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    TEXT_SIZE = 512
};

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

struct input {
    const uint8_t *data;
    size_t size;
};

static void check_within(const struct input *input, const void *data, size_t size)
{
    const uint8_t *at = data;
    REQUIRE(size == 0 || (at >= input->data && at + size <= input->data + input->size));
}

static void check_clean(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        REQUIRE((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
    }
}

/* Two calls with different room begin alike, and `length` is the same. */
static void check_name_text(struct cmds_bytes name)
{
    char small[16], text[TEXT_SIZE];
    size_t length = cmdi_name_text(name, text, sizeof(text));
    REQUIRE(cmdi_name_text(name, small, sizeof(small)) == length);
    REQUIRE(cmdi_name_text(name, NULL, 0) == length);
    REQUIRE(strlen(text) <= length && (length >= sizeof(text) || strlen(text) == length));
    REQUIRE(strncmp(small, text, strlen(small)) == 0);
    check_clean(text, strlen(text));
}

static void check_sentence(const struct cmdi_certificate *certificate,
        enum cmdi_certificate_fault fault, const char *host)
{
    char text[TEXT_SIZE];
    size_t length = cmdi_certificate_fault_text(certificate, fault, 0, host, text, sizeof(text));
    REQUIRE(length > 20 && (length >= sizeof(text) || strlen(text) == length));
    check_clean(text, strlen(text));
}

/* Case by strncasecmp, and the wildcard by the rest behind the first dot. */
static bool plainly_matches(const char *entry, size_t size, const char *host)
{
    const char *dot = strchr(host, '.');
    if (size > 2 && strncmp(entry, "*.", 2) == 0) {
        return dot != NULL && strlen(dot) == size - 1 && strncasecmp(dot, entry + 1, size - 1) == 0;
    }
    return strlen(host) == size && strncasecmp(entry, host, size) == 0;
}

static void check_host(const struct cmdi_certificate *certificate, const char *host)
{
    struct cmdi_alt_names names = cmdi_alt_names_begin(certificate);
    struct cmdi_alt_name name;
    bool is_there = false;
    while (cmdi_alt_names_next(&names, &name)) {
        is_there |= name.kind == CMDI_ALT_NAME_DNS &&
                    plainly_matches(name.value.data, name.value.size, host);
    }
    enum cmdi_certificate_fault fault = cmdi_certificate_check_host(certificate, host);
    REQUIRE((fault == CMDI_CERTIFICATE_OK) == is_there);
    check_sentence(certificate, fault, host);
}

static void check_names(const struct input *input, const struct cmdi_certificate *certificate)
{
    struct cmdi_alt_names names = cmdi_alt_names_begin(certificate);
    struct cmdi_alt_name name;
    uint32_t counts[CMDI_ALT_NAME_OTHER + 1] = {0};
    while (cmdi_alt_names_next(&names, &name)) {
        check_within(input, name.value.data, name.value.size);
        counts[name.kind]++;
        if (name.kind == CMDI_ALT_NAME_DNS || name.kind == CMDI_ALT_NAME_URI) {
            REQUIRE(name.value.size > 0);
            check_clean(name.value.data, name.value.size);
        }
        REQUIRE(name.kind != CMDI_ALT_NAME_IP || name.value.size == CMDI_IP4_SIZE ||
                name.value.size == CMDI_IP6_SIZE);
    }
    REQUIRE(certificate->dns_count == counts[CMDI_ALT_NAME_DNS]);
    REQUIRE(certificate->ip_count == counts[CMDI_ALT_NAME_IP]);
    REQUIRE(certificate->uri_count == counts[CMDI_ALT_NAME_URI]);
    REQUIRE(certificate->has_alt_names == (certificate->alt_names.size > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct cmdi_certificate certificate, other;
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&certificate, data, size);
    REQUIRE(fault <= CMDI_CERTIFICATE_BAD_CHARACTER && certificate.part != NULL);
    if (fault != CMDI_CERTIFICATE_OK) {
        check_sentence(&certificate, fault, NULL);
        return 0;
    }
    REQUIRE(cmdi_certificate_parse(&other, data, size - 1) != CMDI_CERTIFICATE_OK);
    check_within(&input, certificate.subject.data, certificate.subject.size);
    check_within(&input, certificate.issuer.data, certificate.issuer.size);
    check_within(&input, certificate.alt_names.data, certificate.alt_names.size);
    check_within(&input, certificate.common_name.data, certificate.common_name.size);
    check_clean(certificate.common_name.data, certificate.common_name.size);
    check_name_text(certificate.subject);
    check_name_text(certificate.issuer);
    check_names(&input, &certificate);
    check_host(&certificate, "a.example");
    check_host(&certificate, "a.b.example");
    (void)cmdi_certificate_check_host(&certificate, "127.0.0.1");
    check_sentence(
            &certificate, cmdi_certificate_check(&certificate, CMDI_CERTIFICATE_OF_SERVER), NULL);
    return 0;
}
