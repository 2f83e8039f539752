/* SPDX-License-Identifier: MIT */
/* Networks by the command ip, which each Linux has or can have. See netns.h. */
#include "support/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "support/harness.h"

/* --- Being somebody else ---------------------------------------------------------------------- */

static bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* Whoever is not root becomes it, in a world where that means little. Once. */
static bool netns_be_root(void)
{
    char uid[32], gid[32];
    if (geteuid() == 0) {
        return true;
    }
    (void)snprintf(uid, sizeof(uid), "0 %u 1", (unsigned)geteuid());
    (void)snprintf(gid, sizeof(gid), "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER) == 0 && file_write("/proc/self/setgroups", "deny") &&
           file_write("/proc/self/uid_map", uid) && file_write("/proc/self/gid_map", gid);
}

/* --- ip --------------------------------------------------------------------------------------- */

/* Runs `ip WORDS`, in the network of `child`, or in ours if that is 0. */
__attribute__((format(printf, 2, 3))) static bool ip(pid_t child, const char *words, ...)
{
    char line[256];
    int size = child == 0 ? snprintf(line, sizeof(line), "ip ")
                          : snprintf(line, sizeof(line), "nsenter -t %d -n ip ", (int)child);
    va_list values;
    va_start(values, words);
    (void)vsnprintf(line + size, sizeof(line) - (size_t)size, words, values);
    va_end(values);
    return system(line) == 0;
}

static bool netns_connect(pid_t child)
{
    return ip(0, "link set lo up") &&
           ip(0, "link add here type veth peer name there netns %d", (int)child) &&
           ip(0, "addr add " NETNS_HERE "/24 dev here") && ip(0, "link set here up") &&
           ip(child, "addr add " NETNS_THERE "/24 dev there") && ip(child, "link set lo up") &&
           ip(child, "link set there up");
}

bool netns_darken(pid_t child, enum netns_dark how)
{
    static const char nobody[] = "lladdr 02:00:00:00:00:99 nud permanent";
    if (how == NETNS_PULLED) {
        return ip(child, "link set there down");
    }
    return ip(0, "neigh replace " NETNS_THERE " dev here %s", nobody) &&
           ip(child, "neigh replace " NETNS_HERE " dev there %s", nobody);
}

bool netns_light(pid_t child, enum netns_dark how)
{
    if (how == NETNS_PULLED) {
        return ip(child, "link set there up");
    }
    return ip(0, "neigh del " NETNS_THERE " dev here") &&
           ip(child, "neigh del " NETNS_HERE " dev there");
}

/* --- Two machines ----------------------------------------------------------------------------- */

/* The child's part: it says that it has a network, and waits until there is a cable. */
static int netns_there(int told, int go, int (*there)(void *context), void *context)
{
    char byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (write(told, &byte, 1) != 1 || read(go, &byte, 1) != 1) {
        return 1;
    }
    return there(context);
}

pid_t netns_begin(int (*there)(void *context), void *context)
{
    int told[2], go[2];
    char byte = 'n';
    (void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    if (system("command -v ip nsenter >/dev/null") != 0) {
        cmdi_test_skip("no `ip` or `nsenter` here: install iproute2 and util-linux");
    }
    if (!netns_be_root() || unshare(CLONE_NEWNET) < 0) {
        cmdi_test_skip("no network namespace may be made here");
    }
    if (pipe(told) < 0 || pipe(go) < 0) {
        cmdi_test_skip("no pipe can be had here");
    }
    pid_t child = fork();
    if (child == 0) {
        _exit(netns_there(told[1], go[0], there, context));
    }
    (void)close(told[1]);
    if (child < 0 || read(told[0], &byte, 1) != 1 || byte != 'y' || !netns_connect(child)) {
        cmdi_test_skip("no pair of network namespaces can be connected here");
    }
    if (write(go[1], &byte, 1) != 1) {
        cmdi_test_skip("the other process has ended");
    }
    return child;
}

bool netns_resolve_at(const char *address)
{
    char path[] = "/tmp/cmdstream-resolv-XXXXXX", line[64];
    int fd = mkstemp(path);
    (void)snprintf(line, sizeof(line), "nameserver %s\n", address);
    bool ok = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line) &&
              netns_be_root() && unshare(CLONE_NEWNS) == 0 &&
              mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
              mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
    }
    return ok;
}
