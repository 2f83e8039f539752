/* SPDX-License-Identifier: MIT */
/* See ciphers.h. */
#include "tls/ciphers.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/line.h"

/* TLS 1.3 first, and the fastest with the help of a CPU first. */
static const struct cipher {
    uint16_t suite;
    bool is_tls13, is_chacha;
    const char *name; // OpenSSL's; of TLS 1.3 everybody's.
    const char *wolf;
} ciphers_all[CMDI_CIPHERS_MAX] = {
        {0x1301, true, false, "TLS_AES_128_GCM_SHA256", "TLS13-AES128-GCM-SHA256"},
        {0x1302, true, false, "TLS_AES_256_GCM_SHA384", "TLS13-AES256-GCM-SHA384"},
        {0x1303, true, true, "TLS_CHACHA20_POLY1305_SHA256", "TLS13-CHACHA20-POLY1305-SHA256"},
        {0xc02b, false, false, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL},
        {0xc02f, false, false, "ECDHE-RSA-AES128-GCM-SHA256", NULL},
        {0xc02c, false, false, "ECDHE-ECDSA-AES256-GCM-SHA384", NULL},
        {0xc030, false, false, "ECDHE-RSA-AES256-GCM-SHA384", NULL},
        {0xcca9, false, true, "ECDHE-ECDSA-CHACHA20-POLY1305", NULL},
        {0xcca8, false, true, "ECDHE-RSA-CHACHA20-POLY1305", NULL},
};

static void add(struct cmdi_ciphers *ciphers, const struct cipher *cipher)
{
    CMDI_ASSERT(ciphers->count < CMDI_CIPHERS_MAX);
    ciphers->suites[ciphers->count++] = cipher->suite;
    ciphers->has_tls13 |= cipher->is_tls13;
    ciphers->has_tls12 |= !cipher->is_tls13;
}

struct cmdi_ciphers cmdi_ciphers_default(bool chacha_first)
{
    struct cmdi_ciphers ciphers = {.count = 0};
    for (int i = 0; i < 4; i++) { // TLS 1.3 then 1.2, of each the preferred ones first.
        for (size_t at = 0; at < CMDI_CIPHERS_MAX; at++) {
            const struct cipher *cipher = &ciphers_all[at];
            if (cipher->is_tls13 == (i < 2) &&
                    (cipher->is_chacha == chacha_first) == (i % 2 == 0)) {
                add(&ciphers, cipher);
            }
        }
    }
    return ciphers;
}

bool cmdi_ciphers_have(const struct cmdi_ciphers *ciphers, uint16_t suite)
{
    for (size_t i = 0; i < ciphers->count; i++) {
        if (ciphers->suites[i] == suite) {
            return true;
        }
    }
    return false;
}

static int add_name(struct cmdi_ciphers *ciphers, struct cmds_string name, struct cmds_error *error)
{
    for (size_t i = 0; i < CMDI_CIPHERS_MAX; i++) {
        if (cmds_string_equal(name, cmds_string_from(ciphers_all[i].name))) {
            if (cmdi_ciphers_have(ciphers, ciphers_all[i].suite)) {
                return cmdi_fail(
                        error, -EINVAL, "TLS: ciphers: %s is there twice", ciphers_all[i].name);
            }
            add(ciphers, &ciphers_all[i]);
            return 0;
        }
    }
    int shown = name.size <= 40 ? (int)name.size : 40;
    return cmdi_fail(error, -EINVAL,
            "TLS: ciphers: \"%.*s\" is none of: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
            "TLS_CHACHA20_POLY1305_SHA256, and ECDHE-ECDSA-*, ECDHE-RSA-* with *: "
            "AES128-GCM-SHA256, AES256-GCM-SHA384, CHACHA20-POLY1305",
            shown, name.data);
}

int cmdi_ciphers_parse(struct cmdi_ciphers *ciphers, const char *list, struct cmds_error *error)
{
    struct cmdi_ciphers parsed = {.count = 0};
    for (;;) {
        size_t size = strcspn(list, ":");
        int code = add_name(&parsed, (struct cmds_string){list, size}, error);
        if (code < 0) {
            return code;
        }
        if (list[size] == '\0') {
            break;
        }
        list += size + 1;
    }
    if (!parsed.has_tls13) {
        return cmdi_fail(error, -EINVAL,
                "TLS: ciphers: there is none of TLS 1.3: add TLS_AES_128_GCM_SHA256 or another "
                "TLS_*");
    }
    *ciphers = parsed;
    return 0;
}

void cmdi_ciphers_text(const struct cmdi_ciphers *ciphers, char text[CMDI_CIPHERS_TEXT_SIZE])
{
    struct cmdi_line line = cmdi_line_begin(text, CMDI_CIPHERS_TEXT_SIZE);
    for (size_t i = 0; i < ciphers->count; i++) {
        const struct cipher *cipher = ciphers_all;
        while (cipher->suite != ciphers->suites[i]) {
            cipher++;
        }
        cmdi_line_text(&line, i > 0 ? ":" : "");
        cmdi_line_text(&line, cipher->wolf != NULL ? cipher->wolf : cipher->name);
    }
    CMDI_ASSERT(!line.is_full);
}
