/* SPDX-License-Identifier: MIT */
/*
 * CPUs. A pinned thread could run elsewhere, and a quota could be looked for in the wrong place.
 */
#include "ring/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

static void test_cpu_preemptions_never_go_back(void)
{
    uint64_t preemptions = cmdi_preemptions();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = cmdi_preemptions();
        CU_ASSERT_FATAL(now >= preemptions);
        preemptions = now;
    }
}

static void test_cpu_pinning_leaves_one_cpu(void)
{
    static uint16_t before[65536];
    static cpu_set_t saved;
    uint16_t now[2] = {0, 0};
    uint32_t count = cmdi_cpus_allowed(before, 65536);
    CU_ASSERT_FATAL(count >= 1);
    CU_ASSERT_EQUAL(cmdi_cpus_allowed(before, 0), 0);
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof(saved), &saved), 0);
    CU_ASSERT_EQUAL(count, (uint32_t)CPU_COUNT(&saved));

    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT(i == 0 || before[i] > before[i - 1]);
        CU_ASSERT_EQUAL(cmdi_cpu_pin(before[i]), 0);
        CU_ASSERT_EQUAL(cmdi_cpus_allowed(now, 2), 1);
        CU_ASSERT_EQUAL(now[0], before[i]);
        CU_ASSERT_EQUAL(sched_getcpu(), before[i]);
    }
    CU_ASSERT_EQUAL(cmdi_cpu_pin(UINT16_MAX), -EINVAL);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(saved), &saved), 0);
}

/* --- Quota: against a /proc of our own making, in a mount namespace --------------------------- */

struct quota_case {
    const char *cgroup, *mountinfo; // Of /proc/self; %s in the second is the folder with `files`.
    const char *files[3][2];        // Path and content.
    uint32_t percent;
};

#define V2_MOUNT(root)              "30 23 0:27 " root " %s rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT(root, controllers) "31 30 0:30 " root " %s rw - cgroup cgroup rw," controllers "\n"

static const struct quota_case quota_cases[] = {
        {"0::/a/b\n", V2_MOUNT("/"), {{"a/b/cpu.max", "150000 100000\n"}}, 150},
        {"0::/a/b\n", V2_MOUNT("/"), {{"a/b/cpu.max", "max 100000\n"}}, 0},
        {"0::/a/b\n", V2_MOUNT("/"),
                {{"a/b/cpu.max", "max 100000\n"}, {"a/cpu.max", "50000 100000\n"}}, 50},
        {"0::/a/b\n", V2_MOUNT("/"),
                {{"a/b/cpu.max", "200000 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 200},
        {"0::/\n", V2_MOUNT("/"), {{"cpu.max", "250000 1000000\n"}}, 25},
        {"0::/\n", V2_MOUNT("/"), {{"nothing", ""}}, 0},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "1 1000000\n"}}, 1}, // Never rounded to no quota.
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "100001 100000\n"}}, 101},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "garbage\n"}}, 0},
        {"0::/a\n", V2_MOUNT("/"), {{"a/cpu.max", "100000 0\n"}}, 0},
        {"5:memory:/m\n3:cpu,cpuacct:/docker/x\n0::/\n", V1_MOUNT("/", "cpu,cpuacct"),
                {{"docker/x/cpu.cfs_quota_us", "50000\n"},
                        {"docker/x/cpu.cfs_period_us", "100000\n"}},
                50},
        {"3:cpu,cpuacct:/docker/x\n", V1_MOUNT("/docker/x", "cpuacct,cpu"), // Mounted from there.
                {{"cpu.cfs_quota_us", "400000\n"}, {"cpu.cfs_period_us", "100000\n"}}, 400},
        {"3:cpu:/docker/x/y\n",
                "22 1 0:21 / /proc rw - proc proc rw\n" V1_MOUNT("/docker/x", "cpu"),
                {{"y/cpu.cfs_quota_us", "70000\n"}, {"y/cpu.cfs_period_us", "100000\n"}}, 70},
        {"4:xcpu:/a\n", V1_MOUNT("/", "cpu"),
                {{"a/cpu.cfs_quota_us", "70000\n"}, {"a/cpu.cfs_period_us", "100000\n"}}, 0},
        {"3:cpu:/a\n0::/\n", V1_MOUNT("/", "cpu"),
                {{"a/cpu.cfs_quota_us", "-1\n"}, {"a/cpu.cfs_period_us", "100000\n"}}, 0},
        {"4:cpuset:/a\n2:cpuacct:/a\n", V1_MOUNT("/", "cpuset"),
                {{"a/cpu.cfs_quota_us", "100000\n"}}, 0},
        {"", V2_MOUNT("/"), {{"cpu.max", "100000 100000\n"}}, 0},
        {"0::/a\n", "22 1 0:21 / /proc rw - proc proc rw\n", {{"a/cpu.max", "100000 100000\n"}}, 0},
};
enum {
    QUOTA_CASES = sizeof(quota_cases) / sizeof(quota_cases[0]),
    QUOTA_FAILED = 1000000
};

/* A file, and the folders on its way. */
static bool write_file(const char *folder, const char *name, const char *content)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    return file != NULL && fputs(content, file) >= 0 && fclose(file) == 0;
}

static uint32_t quota_of(const struct quota_case *quota)
{
    static const char groups[] = "/proc/groups"; // Everything lies in the tmpfs that hides /proc.
    char mountinfo[256];
    (void)umount(groups);
    (void)mkdir(groups, 0700);
    bool made = mount("none", groups, "tmpfs", 0, NULL) == 0;
    for (int i = 0; i < 3 && quota->files[i][0] != NULL; i++) {
        made = made && write_file(groups, quota->files[i][0], quota->files[i][1]);
    }
    const char *at = strstr(quota->mountinfo, "%s");
    int before = at != NULL ? (int)(at - quota->mountinfo) : (int)strlen(quota->mountinfo);
    (void)snprintf(mountinfo, sizeof(mountinfo), "%.*s%s%s", before, quota->mountinfo,
            at != NULL ? groups : "", at != NULL ? at + 2 : "");
    made = made && write_file("/proc/self", "cgroup", quota->cgroup) &&
           write_file("/proc/self", "mountinfo", mountinfo);
    return made ? cmdi_cpu_quota_percent() : QUOTA_FAILED;
}

/* In a child: never returns. Nothing if namespaces are refused. */
static _Noreturn void quota_child(int out)
{
    bool apart = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!apart || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", "/proc", "tmpfs", 0, NULL) != 0) {
        _exit(0);
    }
    for (int i = 0; i < QUOTA_CASES; i++) {
        uint32_t percent = quota_of(&quota_cases[i]);
        if (write(out, &percent, sizeof(percent)) != (ssize_t)sizeof(percent)) {
            _exit(1);
        }
    }
    _exit(0);
}

static void test_cpu_quota_is_the_least_of_the_cgroup_and_its_parents(void)
{
    uint32_t found[QUOTA_CASES] = {0};
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        quota_child(fds[1]);
    }
    (void)close(fds[1]);
    size_t size = 0;
    for (ssize_t got; (got = read(fds[0], (char *)found + size, sizeof(found) - size)) > 0;) {
        size += (size_t)got;
    }
    (void)close(fds[0]);
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    if (size == 0) {
        printf("(no mount namespaces here) ");
        return;
    }
    CU_ASSERT_EQUAL(size, sizeof(found));
    for (int i = 0; i < QUOTA_CASES; i++) {
        if (found[i] != quota_cases[i].percent) {
            printf("\n    case %d: %u instead of %u ", i, found[i], quota_cases[i].percent);
        }
        CU_ASSERT_EQUAL(found[i], quota_cases[i].percent);
    }
}

static CU_TestInfo test_cpu[] = {
        {"preemptions never go back", test_cpu_preemptions_never_go_back},
        {"pinning leaves one CPU", test_cpu_pinning_leaves_one_cpu},
        {"quota is the least of the cgroup and its parents",
                test_cpu_quota_is_the_least_of_the_cgroup_and_its_parents},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("cpu", test_cpu)
