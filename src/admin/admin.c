/* SPDX-License-Identifier: MIT */
/*
 * See <cmdstream/admin.h>, and admin.h here.
 *
 * What a port holds belongs to its thread from the start of that until it was joined. It waits for three
 * things: peers, the time at which one of them has had enough of it, and the end.
 */
#include "admin/admin.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin/common.h"
#include "admin/snapshot.h"

/* --- Options ---------------------------------------------------------------------------------- */

/* The rules of <cmdstream/base.h>. */
static int take_options(struct cmds_admin_options *mine, const struct cmds_admin_options *theirs,
        struct cmds_error *error)
{
    if (theirs == NULL || theirs->struct_size < offsetof(struct cmds_admin_options, metrics)) {
        return cmdi_admin_fail(
                error, -EINVAL, "cmds_admin_options: start from CMDS_ADMIN_OPTIONS_INIT");
    }
    const unsigned char *bytes = (const unsigned char *)theirs;
    for (size_t i = sizeof(*mine); i < theirs->struct_size; i++) {
        if (bytes[i] != 0) {
            return cmdi_admin_fail(error, -E2BIG,
                    "cmds_admin_options: it sets an option that version %s does not have",
                    cmds_version());
        }
    }
    memset(mine, 0, sizeof(*mine));
    memcpy(mine, theirs, theirs->struct_size < sizeof(*mine) ? theirs->struct_size : sizeof(*mine));
    if ((mine->unused[0] | mine->unused[1]) != 0) {
        return cmdi_admin_fail(error, -E2BIG,
                "cmds_admin_options: it sets an option that version %s does not have",
                cmds_version());
    }
    if (mine->metrics == NULL && mine->admin == NULL) {
        return cmdi_admin_fail(
                error, -EINVAL, "cmds_admin_options: neither metrics nor admin has an address");
    }
    return 0;
}

/* --- The thread ------------------------------------------------------------------------------- */

static void *admin_main(void *context)
{
    struct cmdi_admin_port *port = context;
    struct pollfd polls[CMDI_ADMIN_PORT_POLLS + 1];
    struct pollfd *stop = &polls[CMDI_ADMIN_PORT_POLLS];
    *stop = (struct pollfd){.fd = port->admin->stop_fd, .events = POLLIN};
    locale_t locale = cmdi_admin_locale_enter();
    do {
        int wait_ms = cmdi_admin_port_wait(port, polls, cmdi_admin_now_ns());
        stop->revents = 0;
        int ready = poll(polls, CMDI_ADMIN_PORT_POLLS + 1, wait_ms);
        CMDI_ADMIN_ASSERT(ready >= 0 || errno == EINTR || errno == ENOMEM);
        cmdi_admin_port_run(port, cmdi_admin_now_ns());
    } while (stop->revents == 0);
    cmdi_admin_locale_leave(locale);
    return NULL;
}

/* *thread and *has_thread are set, or neither is. */
static int admin_start_thread(pthread_t *thread, bool *has_thread, void *(*fn)(void *context),
        void *context, const char *name)
{
    // Signals that are sent to the process are the program's; those that a fault raises stay.
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked, before;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)sigdelset(&blocked, faults[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = -pthread_create(thread, NULL, fn, context);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        *has_thread = true;
        (void)pthread_setname_np(*thread, name);
    }
    return code;
}

/* Those of a port. Only the private one has pages that ask shards. */
static int admin_start_threads(struct cmdi_admin_port *port, const char *name)
{
    struct cmdi_admin_desk *desk = &port->desk;
    int code = 0;
    if (port->place == CMDI_ADMIN_PRIVATE) {
        code = cmdi_admin_desk_open(desk);
        code = code < 0 ? code
                        : admin_start_thread(&desk->thread, &desk->has_thread, cmdi_admin_desk_main,
                                  desk, "cmds-admin-desk");
    }
    return code < 0 ? code
                    : admin_start_thread(&port->thread, &port->has_thread, admin_main, port, name);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void admin_free(struct cmds_admin *admin)
{
    uint64_t one = 1;
    ssize_t size = admin->stop_fd >= 0 ? write(admin->stop_fd, &one, sizeof(one)) : 0;
    CMDI_ADMIN_ASSERT(admin->stop_fd < 0 || size == (ssize_t)sizeof(one));
    for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
        if (admin->ports[i].has_thread) {
            (void)pthread_join(admin->ports[i].thread, NULL);
        }
        cmdi_admin_port_close(&admin->ports[i]);
    }
    if (admin->stop_fd >= 0) {
        (void)close(admin->stop_fd);
    }
    cmdi_admin_snapshot_free(admin->last_look);
    free(admin);
}

static int admin_start(struct cmds_admin *admin, const struct cmds_admin_options *options,
        struct cmds_error *error)
{
    const struct {
        const char *name, *address, *thread;
        bool allow_remote;
    } rows[CMDI_ADMIN_PORTS] = {
            {"metrics", options->metrics, "cmds-metrics", options->allow_remote},
            {"admin", options->admin, "cmds-admin", false},
    };
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->stop_fd < 0) {
        return cmdi_admin_fail(error, -errno, "an eventfd: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
        int code = rows[i].address == NULL ? 0
                                           : cmdi_admin_port_open(&admin->ports[i], rows[i].name,
                                                     rows[i].address, rows[i].allow_remote, error);
        if (code < 0) {
            return code;
        }
    }
    for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
        int code =
                rows[i].address == NULL ? 0 : admin_start_threads(&admin->ports[i], rows[i].thread);
        if (code < 0) {
            return cmdi_admin_fail(error, code, "%s: no thread: %s", rows[i].name, strerror(-code));
        }
    }
    return 0;
}

int cmds_admin_open(struct cmds_admin **out, struct cmds_runtime *runtime,
        const struct cmds_admin_options *options, struct cmds_error *error)
{
    struct cmds_admin_options mine;
    int code = take_options(&mine, options, error);
    if (code < 0) {
        return code;
    }
    if (runtime == NULL) {
        return cmdi_admin_fail(error, -EINVAL, "an admin has a runtime");
    }
    struct cmds_admin *admin = malloc(sizeof(*admin));
    if (admin == NULL) {
        return cmdi_admin_fail(error, -ENOMEM, "no memory for an admin");
    }
    *admin = (struct cmds_admin){.runtime = runtime,
            .pages = cmdi_admin_pages,
            .allow_changes = mine.allow_changes,
            .on_drain = mine.on_drain,
            .context = mine.context,
            .start_ns = cmdi_admin_now_ns(),
            .process = getpid(),
            .stop_fd = -1};
    cmdi_admin_port_init(&admin->ports[0], admin, CMDI_ADMIN_METRICS);
    cmdi_admin_port_init(&admin->ports[1], admin, CMDI_ADMIN_PRIVATE);
    code = admin_start(admin, &mine, error);
    if (code < 0) {
        admin_free(admin);
        return code;
    }
    *out = admin;
    return 0;
}

int cmds_admin_address(const struct cmds_admin *admin, uint32_t index, char *text, size_t size)
{
    // Nothing of a listener that is read here changes before the close.
    if (index >= CMDI_ADMIN_PORTS || admin->ports[index].daemon == NULL) {
        return -ENOENT;
    }
    const char *full = admin->ports[index].listener.text;
    size_t length = strlen(full);
    if (length >= size) {
        return -ENOBUFS;
    }
    memcpy(text, full, length + 1);
    return 0;
}

void cmds_admin_close(struct cmds_admin *admin)
{
    if (admin == NULL || getpid() != admin->process) {
        return;
    }
    for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
        CMDI_ADMIN_ASSERT(!admin->ports[i].has_thread ||
                          pthread_equal(pthread_self(), admin->ports[i].thread) == 0);
    }
    admin_free(admin);
}
