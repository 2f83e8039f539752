/* SPDX-License-Identifier: MIT */
/*
 * Texts to addresses and back.
 *
 * What is numeric is read by inet_pton alone, so that a shard may do it; only a name goes to the
 * resolver, which blocks and which the callers therefore run on a thread of its own. A text that is
 * no address at all counts as numeric: it is refused without asking anybody.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"
#include "ring/name.h"

#define ADDRESS_UNIX "unix:"
#define ADDRESS_DNS  "dns:"

struct address_parts {
    char host[CMDI_HOST_MAX];
    uint16_t port;
    bool bracketed;
};

static bool address_is_unix(const char *text)
{
    return strncmp(text, ADDRESS_UNIX, sizeof(ADDRESS_UNIX) - 1) == 0;
}

static int address_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 5) {
        return -EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -EINVAL;
        }
        value = value * 10 + (uint32_t)(*text - '0');
    }
    if (value > UINT16_MAX) {
        return -EINVAL;
    }
    *port = (uint16_t)value;
    return 0;
}

/* "host:port", "[v6]:port", ":port" to their parts. */
static int address_split(const char *text, struct address_parts *parts, struct cmds_error *error)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return cmdi_fail(error, -EINVAL,
                "address \"%s\": a port is missing, as in \"127.0.0.1:9000\"", text);
    }
    if (strcspn(text, ", ") < (size_t)(colon - text)) {
        return cmdi_fail(
                error, -EINVAL, "address \"%s\": a comma or a space in the name of one host", text);
    }
    const char *host_end = colon;
    parts->bracketed = text[0] == '[';
    if (parts->bracketed) {
        host++;
        host_end--;
        if (host_end < host || *host_end != ']') {
            return cmdi_fail(
                    error, -EINVAL, "address \"%s\": not of the form \"[::1]:9000\"", text);
        }
    } else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return cmdi_fail(error, -EINVAL,
                "address \"%s\": IPv6 goes into brackets, as in \"[::1]:9000\"", text);
    }
    size_t size = (size_t)(host_end - host);
    if (size >= sizeof(parts->host)) {
        return cmdi_fail(error, -EINVAL, "address \"%.64s...\": the name is too long", text);
    }
    memcpy(parts->host, host, size);
    parts->host[size] = '\0';
    if (address_port(colon + 1, &parts->port) < 0) {
        return cmdi_fail(
                error, -EINVAL, "address \"%s\": the port is not a number of 0..65535", text);
    }
    return 0;
}

static void address_set_v4(struct cmdi_address *address, struct in_addr host, uint16_t port)
{
    *address = (struct cmdi_address){.size = sizeof(address->as.v4)};
    address->as.v4.sin_family = AF_INET;
    address->as.v4.sin_addr = host;
    address->as.v4.sin_port = htons(port);
}

static void address_set_v6(
        struct cmdi_address *address, struct in6_addr host, uint32_t scope, uint16_t port)
{
    *address = (struct cmdi_address){.size = sizeof(address->as.v6)};
    address->as.v6.sin6_family = AF_INET6;
    address->as.v6.sin6_addr = host;
    address->as.v6.sin6_scope_id = scope;
    address->as.v6.sin6_port = htons(port);
}

/* "::1", or with the interface that a link-local address needs: "fe80::1%eth0". */
static bool address_read_v6(const char *host, struct in6_addr *address, uint32_t *scope)
{
    char text[INET6_ADDRSTRLEN + 1];
    const char *percent = strchr(host, '%');
    size_t size = percent != NULL ? (size_t)(percent - host) : strlen(host);
    *scope = 0;
    if (size >= sizeof(text)) {
        return false;
    }
    memcpy(text, host, size);
    text[size] = '\0';
    if (inet_pton(AF_INET6, text, address) != 1) {
        return false;
    }
    if (percent != NULL) {
        *scope = cmdi_interface_index(percent + 1);
        if (*scope == 0) {
            *scope = (uint32_t)strtoul(percent + 1, NULL, 10);
        }
        return *scope != 0;
    }
    return true;
}

/* Returns: how many addresses the parts stand for without a name service; 0: it is a name. */
static uint32_t address_numeric(
        const struct address_parts *parts, struct cmdi_address *addresses, uint32_t max)
{
    struct in_addr v4 = {.s_addr = htonl(INADDR_ANY)};
    struct in6_addr v6 = IN6ADDR_ANY_INIT;
    uint32_t scope = 0;
    CMDI_ASSERT(max > 0);
    if (parts->host[0] == '\0' && !parts->bracketed) {
        // Takes IPv4 as well, where there is IPv6.
        address_set_v6(&addresses[0], v6, 0, parts->port);
        if (max == 1) {
            return 1;
        }
        address_set_v4(&addresses[1], v4, parts->port);
        return 2;
    }
    if (!parts->bracketed && inet_pton(AF_INET, parts->host, &v4) == 1) {
        address_set_v4(&addresses[0], v4, parts->port);
        return 1;
    }
    if (parts->bracketed && address_read_v6(parts->host, &v6, &scope)) {
        address_set_v6(&addresses[0], v6, scope, parts->port);
        return 1;
    }
    return 0;
}

static int address_unix(const char *text, struct cmdi_address *address, struct cmds_error *error)
{
    const char *path = text + sizeof(ADDRESS_UNIX) - 1;
    bool is_abstract = path[0] == '@';
    size_t size = strlen(path);
    if (size == 0 || (is_abstract && size == 1)) {
        return cmdi_fail(
                error, -EINVAL, "address \"%s\": the path is missing, as in \"unix:/run/x\"", text);
    }
    if (size >= sizeof(address->as.local.sun_path)) {
        return cmdi_fail(error, -EINVAL, "address \"%.64s...\": a UNIX path has at most %zu bytes",
                text, sizeof(address->as.local.sun_path) - 1);
    }
    *address = (struct cmdi_address){0};
    address->as.local.sun_family = AF_UNIX;
    memcpy(address->as.local.sun_path, path, size);
    if (is_abstract) {
        // Its name is as long as the size says: no terminator.
        address->as.local.sun_path[0] = '\0';
    }
    address->size =
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (is_abstract ? 0 : 1));
    return 1;
}

static int address_name(const char *text, const struct address_parts *parts,
        struct cmdi_address *addresses, uint32_t max, struct cmds_error *error)
{
    const char *why = NULL;
    int code = cmdi_name_resolve(parts->host, parts->port, addresses, max, &why);
    return code < 0 ? cmdi_fail(error, code, "resolve \"%s\": %s", text, why) : code;
}

bool cmdi_address_is_numeric(const char *text)
{
    struct address_parts parts;
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    return address_is_unix(text) || address_split(text, &parts, NULL) < 0 || parts.bracketed ||
           address_numeric(&parts, addresses, CMDI_ADDRESSES_MAX) > 0;
}

bool cmdi_address_lacks_port(const char *text)
{
    struct address_parts parts;
    return !address_is_unix(text) && address_split(text, &parts, NULL) == 0 && parts.port == 0;
}

const char *cmdi_address_dns(const char *text)
{
    size_t size = sizeof(ADDRESS_DNS) - 1;
    return strncmp(text, ADDRESS_DNS, size) == 0 ? text + size : NULL;
}

/* Up to the next comma that no backslash stands before. */
static size_t address_list_size(const char *text)
{
    size_t size = strcspn(text, ",");
    while (text[size] == ',' && size > 0 && text[size - 1] == '\\') {
        size += 1 + strcspn(text + size + 1, ",");
    }
    return size;
}

size_t cmdi_address_list_take(const char **list, char *item, size_t room)
{
    const char *from = *list + strspn(*list, " ");
    size_t left = address_list_size(from), size = 0;
    *list = from[left] == ',' ? from + left + 1 : NULL;
    while (left > 0 && from[left - 1] == ' ') {
        left--;
    }
    for (size_t i = 0; i < left; i++, size++) {
        i += from[i] == '\\' && i + 1 < left && from[i + 1] == ',';
        if (size < room) {
            item[size] = from[i];
        }
    }
    if (size < room) {
        item[size] = '\0';
    }
    return size;
}

uint32_t cmdi_address_list_count(const char *list)
{
    uint32_t count = 1;
    for (size_t at = address_list_size(list); list[at] == ','; count++) {
        at += 1 + address_list_size(list + at + 1);
    }
    return count;
}

int cmdi_address_resolve(
        const char *text, struct cmdi_address *addresses, uint32_t max, struct cmds_error *error)
{
    struct address_parts parts;
    if (max == 0) {
        return cmdi_fail(error, -EINVAL, "address \"%s\": no room for it", text);
    }
    if (address_is_unix(text)) {
        return address_unix(text, &addresses[0], error);
    }
    int code = address_split(text, &parts, error);
    if (code < 0) {
        return code;
    }
    uint32_t count = address_numeric(&parts, addresses, max);
    if (count > 0) {
        return (int)count;
    }
    if (parts.bracketed) {
        return cmdi_fail(
                error, -EINVAL, "address \"%s\": not an IPv6 address between the brackets", text);
    }
    return address_name(text, &parts, addresses, max, error);
}

int cmdi_address_host(const char *text, char *host)
{
    struct address_parts parts;
    if (address_is_unix(text)) {
        return -ENOENT;
    }
    if (address_split(text, &parts, NULL) < 0) {
        return -EINVAL;
    }
    size_t size = parts.bracketed ? strcspn(parts.host, "%") : strlen(parts.host);
    if (size == 0) {
        return -ENOENT;
    }
    memcpy(host, parts.host, size);
    host[size] = '\0';
    return 0;
}

static void address_text_unix(const struct cmdi_address *address, char *text, size_t size)
{
    char path[sizeof(address->as.local.sun_path) + 1];
    size_t head = offsetof(struct sockaddr_un, sun_path);
    CMDI_ASSERT(size > 0 && address->size <= sizeof(address->as));
    size_t path_size = address->size > head ? (size_t)address->size - head : 0;
    bool is_abstract = path_size > 0 && address->as.local.sun_path[0] == '\0';
    if (path_size > sizeof(address->as.local.sun_path)) {
        path_size = sizeof(address->as.local.sun_path);
    }
    memcpy(path, address->as.local.sun_path, path_size);
    path[path_size] = '\0';
    if (is_abstract) {
        path[0] = '@';
    }
    size_t end = is_abstract ? path_size : strlen(path);
    for (size_t i = 0; i < end; i++) {
        path[i] = cmdi_char_defuse(path[i]); // A peer chose it; it may end in a terminal.
    }
    (void)snprintf(text, size, ADDRESS_UNIX "%s", path);
}

/* What a socket that takes both kinds says of IPv4: "::ffff:192.0.2.1". */
static bool address_is_mapped(const struct cmdi_address *address)
{
    return address->as.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->as.v6.sin6_addr);
}

void cmdi_address_text(const struct cmdi_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    bool is_mapped = address_is_mapped(address);
    if (address->as.any.sa_family == AF_INET || is_mapped) {
        const void *bytes = is_mapped ? (const void *)&address->as.v6.sin6_addr.s6_addr[12]
                                      : (const void *)&address->as.v4.sin_addr;
        uint16_t port = is_mapped ? address->as.v6.sin6_port : address->as.v4.sin_port;
        (void)inet_ntop(AF_INET, bytes, host, sizeof(host));
        (void)snprintf(text, size, "%s:%u", host, (unsigned)ntohs(port));
    } else if (address->as.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->as.v6.sin6_addr, host, sizeof(host));
        unsigned port = ntohs(address->as.v6.sin6_port);
        if (address->as.v6.sin6_scope_id != 0) {
            (void)snprintf(
                    text, size, "[%s%%%u]:%u", host, (unsigned)address->as.v6.sin6_scope_id, port);
        } else {
            (void)snprintf(text, size, "[%s]:%u", host, port);
        }
    } else {
        address_text_unix(address, text, size);
    }
}
