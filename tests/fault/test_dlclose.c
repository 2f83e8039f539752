/* SPDX-License-Identifier: MIT */
/*
 * A program loads the shared library, uses it, and unloads it while threads of it run: a shard, and
 * a resolver that may take its time. The code under them must stay.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/world.h"

/* POSIX's own way around ISO C, which has no conversion from an object's pointer to a function's. */
#define LOAD(library, name)                                                                        \
    __typeof__(name) *loaded_##name = NULL;                                                        \
    *(void **)(&loaded_##name) = dlsym((library), #name)

static int use_and_unload(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    void *library = dlopen(SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    LOAD(library, cmds_runtime_start);
    LOAD(library, cmds_runtime_stop);
    LOAD(library, cmds_group_open);
    LOAD(library, cmds_codec_msgpack);
    options.shard_count = 2;
    group_options.connect = "a-name-that-nobody-has.invalid:9000";
    group_options.codec = loaded_cmds_codec_msgpack;
    if (loaded_cmds_runtime_start(&runtime, &options, NULL) < 0 ||
            loaded_cmds_group_open(&group, runtime, &group_options, NULL) < 0) {
        return 2;
    }
    (void)dlclose(library);
    (void)usleep(20000); // The threads go on, or fall: no event tells that they have not fallen.
    loaded_cmds_runtime_stop(runtime);
    return 0;
}

static void test_dlclose_while_threads_run(void)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(60);
        _exit(use_and_unload());
    }
    CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

CU_TestInfo test_dlclose[] = {
        {"while threads run", test_dlclose_while_threads_run},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("dlclose", test_dlclose)
