/* SPDX-License-Identifier: MIT */
/* See resource.h. */
#include "otel/resource.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "otel/environment.h"
#include "otel/metrics.h"
#include "otel/pairs.h"

enum {
    RESOURCE_ATTRIBUTES = 1, // Of the message Resource.
    KEYS_MAX = 128,
    UUID_SIZE = 37,
    NAME_SIZE_MAX = 64,
};

/* What was written already: the first one under a key is the one that counts. */
struct list {
    struct cmdi_proto *proto;
    uint64_t count;
    char *keys[KEYS_MAX];
};

static bool has(const struct list *list, struct cmds_string key)
{
    for (uint64_t i = 0; i < list->count; i++) {
        if (cmds_string_equal(cmds_string_from(list->keys[i]), key)) {
            return true;
        }
    }
    return false;
}

/* Returns: is it to be written? Not when it is there already, nor when there are too many. */
static bool note(struct list *list, struct cmds_string key)
{
    if (has(list, key) || list->count == KEYS_MAX) {
        return false;
    }
    list->keys[list->count] = strndup(key.data, key.size);
    if (list->keys[list->count] == NULL) {
        list->proto->error = -ENOMEM;
        return false;
    }
    list->count++;
    return true;
}

static void add(struct list *list, const char *key, struct cmds_string value)
{
    if (note(list, cmds_string_from(key))) {
        cmdi_otlp_string(list->proto, RESOURCE_ATTRIBUTES, key, value);
    }
}

/* Pairs that were given as text, each of which is one. */
static void add_pairs(struct list *list, const char *text)
{
    if (text == NULL) {
        return;
    }
    size_t size = strlen(text) + 2;
    char *buffer = malloc(size);
    if (buffer == NULL) {
        list->proto->error = -ENOMEM;
        return;
    }
    struct cmds_pair pair;
    for (int code = 1; code != 0;) {
        code = cmdi_pairs_next(&text, buffer, size, &pair);
        if (code > 0) {
            add(list, pair.key.data, pair.value);
        }
    }
    free(buffer);
}

static int make_uuid(char text[UUID_SIZE])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return -errno;
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); // Version 4, at random.
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (int i = 0, at = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[at++] = '-';
        }
        at += snprintf(text + at, 3, "%02x", bytes[i]);
    }
    return 0;
}

int cmdi_resource_make(struct cmdi_proto *proto, const struct cmdi_settings *settings)
{
    char uuid[UUID_SIZE], unknown[NAME_SIZE_MAX];
    int code = make_uuid(uuid);
    if (code < 0) {
        return code;
    }
    struct list list = {.proto = proto};
    if (settings->service_name != NULL) {
        add(&list, "service.name", cmds_string_from(settings->service_name));
    }
    add_pairs(&list, settings->resource);
    add_pairs(&list, settings->resource2);
    (void)snprintf(unknown, sizeof(unknown), "unknown_service:%s", program_invocation_short_name);
    add(&list, "service.name", cmds_string_from(unknown));
    add(&list, "service.instance.id", cmds_string_from(uuid));
    add(&list, "telemetry.sdk.name", cmds_string_from("cmdstream"));
    add(&list, "telemetry.sdk.language", cmds_string_from("c"));
    add(&list, "telemetry.sdk.version", cmds_string_from(cmds_version()));
    if (note(&list, cmds_string_from("process.pid"))) {
        cmdi_otlp_integer(proto, RESOURCE_ATTRIBUTES, "process.pid", getpid());
    }
    for (uint64_t i = 0; i < list.count; i++) {
        free(list.keys[i]);
    }
    return proto->error;
}
