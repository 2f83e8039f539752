/* SPDX-License-Identifier: MIT */
/* What names mean: the hosts', unless a program has said otherwise, or a fault. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sim/process.h"

enum {
    NAMES_ADDRESSES_MAX = 32,
};

struct name {
    struct cmdi_list link;
    char *text;
    bool drawn; // By a fault, which goes before what a program has said.
    struct in_addr addresses[NAMES_ADDRESSES_MAX];
    uint32_t count; // 0: nobody knows it.
};
static struct cmdi_list names;

static struct name *name_find(const char *text, bool drawn)
{
    for (struct cmdi_list *node = names.next; node != &names; node = node->next) {
        struct name *name = CMDI_CONTAINER(node, struct name, link);
        if (name->drawn == drawn && strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

static void name_free(struct name *name)
{
    cmdi_list_remove(&name->link);
    cmdi_sim_free(name->text);
    cmdi_sim_free(name);
}

uint32_t cmdi_sim_look_up(const char *text, struct in_addr *addresses, uint32_t max)
{
    const struct name *name = name_find(text, true);
    name = name != NULL ? name : name_find(text, false);
    if (name != NULL) {
        uint32_t count = name->count < max ? name->count : max;
        memcpy(addresses, name->addresses, count * sizeof(*addresses));
        return count;
    }
    const struct cmdi_sim_host *host = cmdi_sim_host_named(text);
    if (host == NULL || max == 0) {
        return 0;
    }
    addresses[0] = host->v4;
    return 1;
}

/* Separated by commas. Returns: how many; -EINVAL. */
static int name_parse(const char *list, struct in_addr *addresses)
{
    int count = 0;
    while (*list != '\0') {
        char text[INET_ADDRSTRLEN];
        size_t size = strcspn(list, ",");
        if (size == 0 || size >= sizeof(text) || count == NAMES_ADDRESSES_MAX) {
            return -EINVAL;
        }
        memcpy(text, list, size);
        text[size] = '\0';
        if (inet_pton(AF_INET, text, &addresses[count++]) != 1) {
            return -EINVAL;
        }
        list += size;
        if (*list == ',' && *++list == '\0') {
            return -EINVAL;
        }
    }
    return count;
}

int cmdi_sim_set_name(const char *text, const char *addresses, bool drawn)
{
    struct in_addr parsed[NAMES_ADDRESSES_MAX];
    int count = addresses != NULL ? name_parse(addresses, parsed) : 0;
    if (count < 0) {
        return count;
    }
    struct name *name = name_find(text, drawn);
    if (addresses == NULL) {
        cmdi_sim_note("%s means what it meant before", text);
        if (name != NULL) {
            name_free(name);
        }
        return 0;
    }
    cmdi_sim_note("%s means %s", text, count > 0 ? addresses : "nobody");
    if (name == NULL) {
        name = cmdi_sim_alloc(sizeof(*name));
        size_t size = strlen(text) + 1;
        name->drawn = drawn;
        name->text = memcpy(cmdi_sim_alloc(size), text, size);
        cmdi_list_init(&name->link);
        cmdi_list_push(&names, &name->link);
    }
    memcpy(name->addresses, parsed, (size_t)count * sizeof(*parsed));
    name->count = (uint32_t)count;
    return 0;
}

void cmdi_sim_names_begin(void)
{
    cmdi_list_init(&names);
}

void cmdi_sim_names_end(void)
{
    while (!cmdi_list_empty(&names)) {
        name_free(CMDI_CONTAINER(names.next, struct name, link));
    }
}
