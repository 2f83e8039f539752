/* SPDX-License-Identifier: MIT */
/*
 * See <cmdstream/admin.h>, and admin.h here.
 *
 * What the ports hold belongs to the thread from its start until it was joined. It waits for three things:
 * peers, the time at which one of them has had enough of it, and the end.
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

enum {
    ADMIN_POLLS = CMDI_ADMIN_PORTS * CMDI_ADMIN_PORT_POLLS + 1, // The last one is the end.
};

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
    struct cmds_admin *admin = context;
    struct pollfd polls[ADMIN_POLLS];
    struct pollfd *stop = &polls[ADMIN_POLLS - 1];
    *stop = (struct pollfd){.fd = admin->stop_fd, .events = POLLIN};
    do {
        uint64_t now_ns = cmdi_admin_now_ns();
        int wait_ms = -1;
        for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
            int ms = cmdi_admin_port_wait(
                    &admin->ports[i], &polls[i * CMDI_ADMIN_PORT_POLLS], now_ns);
            wait_ms = ms >= 0 && (wait_ms < 0 || ms < wait_ms) ? ms : wait_ms;
        }
        stop->revents = 0;
        int ready = poll(polls, ADMIN_POLLS, wait_ms);
        CMDI_ADMIN_ASSERT(ready >= 0 || errno == EINTR || errno == ENOMEM);
        now_ns = cmdi_admin_now_ns();
        for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
            cmdi_admin_port_run(&admin->ports[i], now_ns);
        }
    } while (stop->revents == 0);
    return NULL;
}

static int admin_start_thread(struct cmds_admin *admin)
{
    // Signals that are sent to the process are the program's; those that a fault raises stay.
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked, before;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)sigdelset(&blocked, faults[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = -pthread_create(&admin->thread, NULL, admin_main, admin);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        (void)pthread_setname_np(admin->thread, "cmds-admin");
    }
    return code;
}

/* --- Life ------------------------------------------------------------------------------------- */

/* The thread does not run. */
static void admin_free(struct cmds_admin *admin)
{
    for (uint32_t i = 0; i < CMDI_ADMIN_PORTS; i++) {
        cmdi_admin_port_close(&admin->ports[i]);
    }
    if (admin->stop_fd >= 0) {
        (void)close(admin->stop_fd);
    }
    free(admin);
}

static int admin_start(struct cmds_admin *admin, const struct cmds_admin_options *options,
        struct cmds_error *error)
{
    int code = options->metrics == NULL ? 0
                                        : cmdi_admin_port_open(&admin->ports[0], "metrics",
                                                  options->metrics, options->allow_remote, error);
    if (code == 0 && options->admin != NULL) {
        code = cmdi_admin_port_open(&admin->ports[1], "admin", options->admin, false, error);
    }
    if (code < 0) {
        return code;
    }
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = admin->stop_fd < 0 ? -errno : admin_start_thread(admin);
    return code < 0 ? cmdi_admin_fail(
                              error, code, "the admin's thread does not start: %s", strerror(-code))
                    : 0;
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
    CMDI_ADMIN_ASSERT(pthread_equal(pthread_self(), admin->thread) == 0);
    uint64_t one = 1;
    ssize_t size = write(admin->stop_fd, &one, sizeof(one));
    CMDI_ADMIN_ASSERT(size == (ssize_t)sizeof(one));
    (void)pthread_join(admin->thread, NULL);
    admin_free(admin);
}
