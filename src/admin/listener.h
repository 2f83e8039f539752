/* SPDX-License-Identifier: MIT */
/*
 * A socket that listens: on an address that was given as text, which only this machine reaches unless it
 * may be another one, or on a UNIX socket that only its owner may open. Any thread, one at a time.
 */
#ifndef CMDI_ADMIN_LISTENER_H
#define CMDI_ADMIN_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmdstream/base.h>

struct cmdi_admin_listener {
    int fd; // -1: it is closed.
    bool is_unix;
    struct sockaddr_un path; // is_unix
    dev_t device;            // is_unix: of the file, so that no other one is removed.
    ino_t inode;
    char text[sizeof("unix:") + sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/**
 * `name` is the option's, for the sentence. The socket does not block.
 *
 * Owner:   gives: cmdi_admin_unlisten(). On failure it is closed.
 * Returns: 0; -EINVAL: no address; -EACCES: other machines would reach it; -errno.
 */
int cmdi_admin_listen(struct cmdi_admin_listener *listener, const char *name, const char *address,
        bool allow_remote, struct cmds_error *error);
/** Removes the file, too. A closed one is fine. */
void cmdi_admin_unlisten(struct cmdi_admin_listener *listener);

#endif
