/* SPDX-License-Identifier: MIT */
/* The option `listen`: several addresses with commas, each of which may stand for several. */
#include "server/listen.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "net/address.h"
#include "server/accept.h"
#include "server/server.h"

static int listen_add_acceptors(
        struct cmds_server *server, const struct cmdi_address *first, struct cmds_error *error)
{
    const struct cmds_server_options *options = &server->core->options;
    uint32_t count = options->reuse_port ? server->runtime->shard_count : 1;
    struct cmdi_address address = *first;
    if (options->reuse_port && address.as.any.sa_family == AF_UNIX) {
        return cmdi_fail(error, -EINVAL, "listen: reuse_port is not for UNIX sockets");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (server->acceptor_count == server->acceptor_count_max) {
            return cmdi_fail(
                    error, -EINVAL, "listen: more than %d addresses", CMDI_ADDRESSES_OF_SERVER_MAX);
        }
        uint32_t shard =
                options->reuse_port ? i : server->acceptor_count % server->runtime->shard_count;
        struct cmdi_acceptor *acceptor = &server->acceptors[server->acceptor_count];
        int code = cmdi_acceptor_open(
                acceptor, server, server->runtime->shards[shard], &address, error);
        if (code < 0) {
            return code;
        }
        server->acceptor_count++;
        address = acceptor->listener.address; // All shards share the port that 0 became.
    }
    return 0;
}

/* The first of a list. */
static int listen_one(struct cmds_server *server, const char **list, struct cmds_error *error)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    char word[CMDI_ADDRESS_TEXT_MAX * 2];
    size_t size = cmdi_address_list_take(list, word, sizeof(word));
    if (size >= sizeof(word)) {
        return cmdi_fail(error, -EINVAL, "listen: an address of %zu characters: at most %zu", size,
                sizeof(word) - 1);
    }
    int count = cmdi_address_resolve(word, addresses, CMDI_ADDRESSES_MAX, error);
    int code = count < 0 ? count : -EADDRNOTAVAIL;
    for (int i = 0; i < count && code < 0; i++) { // The first that works: [::] takes IPv4 too.
        struct cmds_error last = CMDS_ERROR_INIT;
        code = listen_add_acceptors(server, &addresses[i], &last);
        if (code < 0 && i + 1 == count) {
            (void)cmdi_fail(error, code, "%s", last.text);
        }
    }
    return code;
}

int cmdi_listen(struct cmds_server *server, struct cmds_error *error)
{
    const char *at = server->core->options.listen;
    int code = 0;
    if (at == NULL || *at == '\0') {
        return cmdi_fail(error, -EINVAL, "listen: no address; for instance \"127.0.0.1:9000\"");
    }
    while (code == 0 && at != NULL && *at != '\0') {
        code = listen_one(server, &at, error);
    }
    return code;
}

int cmds_server_address(const struct cmds_server *server, uint32_t index, char *text, size_t size)
{
    char full[CMDI_ADDRESS_TEXT_MAX];
    uint32_t step = server->core->options.reuse_port ? server->runtime->shard_count : 1;
    if (index >= server->acceptor_count / step) {
        return -ENOENT;
    }
    cmdi_address_text(&server->acceptors[index * step].listener.address, full, sizeof(full));
    if (strlen(full) >= size) {
        return -ENOBUFS;
    }
    memcpy(text, full, strlen(full) + 1);
    return 0;
}
