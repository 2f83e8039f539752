/* SPDX-License-Identifier: MIT */
/*
 * Whose memory is whose: a killed process gives back its own, all of it and nothing else, and whoever
 * calls the library where no world is is told so.
 */
#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/sim_runs.h"

/* What survives a process, as its program's context. */
struct disk {
    char *text;
    size_t size;
    struct cmds_sim_process *writer;
};

static int main_writes(void *context)
{
    struct disk *disk = context;
    size_t size = disk->size + 1000;
    char *grown = realloc(disk->text, size);
    if (grown == NULL) {
        return 1;
    }
    memset(grown + disk->size, 'x', size - disk->size);
    disk->text = grown;
    disk->size = size;
    cmds_sim_wait_stop();
    return 0;
}

static int main_kills_the_writer(void *context)
{
    struct disk *disk = context;
    for (int i = 0; i < 3; i++) {
        cmds_sim_sleep_ms(30);
        cmds_sim_kill(disk->writer);
        cmds_sim_restart(disk->writer);
    }
    cmds_sim_sleep_ms(30);
    return 0;
}

static void test_sim_memory_of_the_outside_stays(void)
{
    struct disk disk = {.text = malloc(10), .size = 10};
    CU_ASSERT_PTR_NOT_NULL_FATAL(disk.text);
    memset(disk.text, 'x', disk.size);
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    disk.writer = add(sim, "writer", true, main_writes, &disk);
    (void)add(sim, "killer", false, main_kills_the_writer, &disk);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(report.blocks_left, 0);
    CU_ASSERT_EQUAL(disk.size, 10 + 4 * 1000);
    for (size_t i = 0; i < disk.size; i++) {
        CU_ASSERT_FATAL(disk.text[i] == 'x');
    }
    free(disk.text);
}

static char *given;

static int main_gives(void *context)
{
    (void)context;
    given = malloc(100);
    cmds_sim_sleep_ms(100);
    return given != NULL ? 0 : 1;
}

static int main_takes(void *context)
{
    (void)context;
    cmds_sim_sleep_ms(50);
    char *grown = realloc(given, 200); // Another's it stays, and is left with that.
    given = grown != NULL ? grown : given;
    return 0;
}

static void test_sim_memory_stays_whose_it_was(void)
{
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "gives", false, main_gives, NULL);
    (void)add(sim, "takes", false, main_takes, NULL);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(report.blocks_left, 1);
    CU_ASSERT_EQUAL(report.bytes_left, 200);
}

static int main_allocates(void *context)
{
    char *texts[] = {strdup("four"), strndup("three and more", 5), reallocarray(NULL, 3, 4)};
    (void)context;
    texts[2] = reallocarray(texts[2], 6, 4);
    return texts[0] != NULL && texts[1] != NULL && texts[2] != NULL &&
                           strcmp(texts[1], "three") == 0
                   ? 0
                   : 1;
}

static void test_sim_memory_of_every_kind_is_counted(void)
{
    struct cmds_sim_report report;
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "allocates", false, main_allocates, NULL);

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(report.blocks_left, 3);
    CU_ASSERT_EQUAL(report.bytes_left, 5 + 6 + 24);
}

static void start_outside(void)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    _exit(cmds_runtime_start(&runtime, &options, NULL) < 0 ? 2 : 3);
}

static void test_sim_library_called_outside_says_so(void)
{
    int ends[2] = {-1, -1}, status = 0;
    char text[256] = "";
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        start_outside();
    }
    (void)close(ends[1]);
    (void)waitpid(child, &status, 0);

    CU_ASSERT(read(ends[0], text, sizeof(text) - 1) > 0);

    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "outside of a world"));
    (void)close(ends[0]);
}

static CU_TestInfo test_sim_memory[] = {
        {"memory of the outside stays", test_sim_memory_of_the_outside_stays},
        {"memory stays whose it was", test_sim_memory_stays_whose_it_was},
        {"memory of every kind is counted", test_sim_memory_of_every_kind_is_counted},
        {"the library called outside says so", test_sim_library_called_outside_says_so},
        CU_TEST_INFO_NULL,
};

CMDI_TEST_MAIN("sim_memory", test_sim_memory)
