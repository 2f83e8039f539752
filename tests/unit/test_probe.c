/* SPDX-License-Identifier: MIT */
/*
 * The probe. What may go wrong: the wrong culprit named for a refusal (the same EPERM comes from a
 * sysctl and from seccomp), a sentence cut before its remedy, a feature that works called absent,
 * descriptors left open.
 *
 * A seccomp filter is put on a child of ours; what the child found comes back as its exit status.
 */

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmdstream/probe.h>

#include "machine/probe.h"
#include "support/harness.h"

enum {
    PROBE_TEXT_SIZE = sizeof(((struct cmds_error *)0)->text),
    CHILD_RIGHT = 0,
    CHILD_WRONG = 1,
    CHILD_CANNOT = 2
};

static const struct cmds_probe_feature *probe_feature(
        const struct cmds_probe *probe, const char *name)
{
    for (uint32_t i = 0; i < probe->feature_count; i++) {
        if (strcmp(probe->features[i].name, name) == 0) {
            return &probe->features[i];
        }
    }
    return NULL;
}

static int probe_open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return count;
}

static void test_probe_refuses_a_struct_that_was_not_begun(void)
{
    struct cmds_probe probe = {0};

    CU_ASSERT_EQUAL(cmds_probe_run(&probe), -EINVAL);
    CU_ASSERT_EQUAL(cmds_probe_run(NULL), -EINVAL);
}

static void test_probe_leaves_what_a_newer_header_has(void)
{
    struct {
        struct cmds_probe probe;
        uint64_t newer;
    } theirs = {.probe.struct_size = sizeof(theirs), .newer = 7};

    CU_ASSERT_EQUAL(cmds_probe_run(&theirs.probe), 0);

    CU_ASSERT_EQUAL(theirs.probe.struct_size, sizeof(theirs));
    CU_ASSERT(theirs.probe.kernel_release[0] != '\0');
    CU_ASSERT_EQUAL(theirs.newer, 7);
    theirs.probe.struct_size = 4097;
    CU_ASSERT_EQUAL(cmds_probe_run(&theirs.probe), -EINVAL);
    theirs.probe.struct_size = sizeof(theirs.probe) - 1;
    CU_ASSERT_EQUAL(cmds_probe_run(&theirs.probe), -EINVAL);
}

static void test_probe_finds_what_a_runtime_needs(void)
{
    struct cmds_probe probe = CMDS_PROBE_INIT;

    CU_ASSERT_EQUAL(cmds_probe_run(&probe), 0);

    if (probe.setup_error < 0) {
        cmdi_test_skip(probe.error.text);
    }
    CU_ASSERT(probe.kernel_release[0] != '\0' && probe.liburing_version[0] == '2');
    CU_ASSERT(probe.cpu_count >= 1 && probe.nofile_soft > 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(probe_feature(&probe, "multishot recv, buffer ring"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(probe_feature(&probe, "deferred task work"));
    bool all = true;
    for (uint32_t i = 0; i < probe.feature_count; i++) {
        CU_ASSERT(probe.features[i].since[0] != '\0' && probe.features[i].gives[0] != '\0');
        all = all && (probe.features[i].available || !probe.features[i].needed);
    }
    CU_ASSERT_EQUAL(all, probe.error.code == 0);
}

static void test_probe_leaves_no_descriptor_open(void)
{
    struct cmds_probe probe = CMDS_PROBE_INIT;
    (void)cmds_probe_run(&probe);
    int before = probe_open_fds();

    (void)cmds_probe_run(&probe);

    CU_ASSERT_EQUAL(probe_open_fds(), before);
}

static void test_probe_sentences_are_whole(void)
{
    static const int codes[] = {
            -EPERM, -ENOSYS, -EACCES, -ENOMEM, -EMFILE, -ENFILE, -EINVAL, -EIO, -E2BIG};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char text[PROBE_TEXT_SIZE];
        CU_ASSERT_EQUAL(cmdi_probe_setup_error(codes[i], text, sizeof(text)), codes[i]);
        CU_ASSERT(strlen(text) > 40 && strlen(text) < sizeof(text) - 1);
    }
}

static bool probe_forbid_io_uring(int error_number)
{
    struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // The number of the system call.
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error_number),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int probe_child(int error_number)
{
    if (!probe_forbid_io_uring(error_number)) {
        return CHILD_CANNOT;
    }
    struct cmds_probe probe = CMDS_PROBE_INIT;
    bool right = cmds_probe_run(&probe) == 0 && probe.setup_error == -error_number &&
                 probe.error.code == -error_number && probe.seccomp_mode == 2 &&
                 probe.feature_count == 0 && strstr(probe.error.text, "seccomp") != NULL &&
                 strstr(probe.error.text, "--security-opt") != NULL &&
                 probe.error.text[strlen(probe.error.text) - 1] == ')'; // The end of the remedy.
    return right ? CHILD_RIGHT : CHILD_WRONG;
}

static void probe_expect_seccomp(int error_number)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(probe_child(error_number));
    }
    int status = 0;
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT) {
        cmdi_test_skip("a seccomp filter cannot be set here");
    }
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RIGHT);
}

static void test_probe_names_seccomp_for_eperm(void)
{
    FILE *sysctl = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int disabled = 0;
    if (sysctl != NULL) {
        (void)!fscanf(sysctl, "%d", &disabled);
        fclose(sysctl);
    }
    if (disabled != 0) {
        cmdi_test_skip("kernel.io_uring_disabled is set, and rightly blamed first");
    }
    probe_expect_seccomp(EPERM);
}

static void test_probe_names_seccomp_for_enosys(void)
{
    probe_expect_seccomp(ENOSYS);
}

static CU_TestInfo test_probe[] = {
        {"refuses a struct that was not begun", test_probe_refuses_a_struct_that_was_not_begun},
        {"leaves what a newer header has", test_probe_leaves_what_a_newer_header_has},
        {"sentences are whole", test_probe_sentences_are_whole},
        {"leaves no descriptor open", test_probe_leaves_no_descriptor_open},
        {"finds what a runtime needs", test_probe_finds_what_a_runtime_needs},
        {"names seccomp for ENOSYS", test_probe_names_seccomp_for_enosys},
        {"names seccomp for EPERM", test_probe_names_seccomp_for_eperm},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("probe", test_probe)
