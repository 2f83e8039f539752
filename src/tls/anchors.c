/* SPDX-License-Identifier: MIT */
/* See anchors.h. */
#include "tls/anchors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/digest.h"

struct cmdi_anchor {
    uint8_t name[CMDI_DIGEST_SIZE], key[CMDI_DIGEST_SIZE];
    int64_t not_after_s;
    bool constrains_more;
};

static void digest_name(struct cmds_bytes subject, uint8_t out[CMDI_DIGEST_SIZE])
{
    struct cmdi_digest digest;
    cmdi_digest_begin(&digest);
    cmdi_digest_add(&digest, subject);
    cmdi_digest_end(&digest, out);
}

static void anchor_of(struct cmdi_anchor *anchor, const struct cmdi_certificate *certificate)
{
    struct cmdi_digest digest;
    anchor->not_after_s = certificate->not_after_s;
    anchor->constrains_more = certificate->constrains_more;
    digest_name(certificate->subject, anchor->name);
    cmdi_digest_begin(&digest);
    cmdi_digest_add_text(&digest, certificate->key_name);
    cmdi_digest_add(&digest, certificate->public_key);
    cmdi_digest_end(&digest, anchor->key);
}

int cmdi_anchors_add(struct cmdi_anchors *anchors, const struct cmdi_certificate *ca)
{
    if (anchors->count == anchors->room) {
        size_t room = anchors->room > 0 ? 2 * anchors->room : 4;
        struct cmdi_anchor *all = realloc(anchors->all, room * sizeof(*all));
        if (all == NULL) {
            return -ENOMEM;
        }
        anchors->all = all;
        anchors->room = room;
    }
    anchor_of(&anchors->all[anchors->count++], ca);
    return 0;
}

void cmdi_anchors_fini(struct cmdi_anchors *anchors)
{
    free(anchors->all);
    *anchors = (struct cmdi_anchors){.all = NULL};
}

bool cmdi_anchors_have(
        const struct cmdi_anchors *anchors, const struct cmdi_certificate *certificate)
{
    struct cmdi_anchor wanted;
    anchor_of(&wanted, certificate);
    for (size_t i = 0; i < anchors->count; i++) {
        const struct cmdi_anchor *anchor = &anchors->all[i];
        if (memcmp(anchor->name, wanted.name, sizeof(wanted.name)) == 0 &&
                memcmp(anchor->key, wanted.key, sizeof(wanted.key)) == 0) {
            return true;
        }
    }
    return false;
}

bool cmdi_anchors_have_name(const struct cmdi_anchors *anchors, struct cmds_bytes subject,
        int64_t now_s, bool *constrains_more)
{
    uint8_t wanted[CMDI_DIGEST_SIZE];
    bool found = false;
    digest_name(subject, wanted);
    for (size_t i = 0; i < anchors->count; i++) {
        const struct cmdi_anchor *anchor = &anchors->all[i];
        if (now_s <= anchor->not_after_s && memcmp(anchor->name, wanted, sizeof(wanted)) == 0) {
            found = true;
            *constrains_more = *constrains_more || anchor->constrains_more;
        }
    }
    return found;
}
