/* SPDX-License-Identifier: MIT */
/*
 * What processes of a world hold, and how hosts are found: descriptors, which a kernel numbers from the
 * lowest on and which are closed once; names, which may move.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "sim/process.h"
#include "support/harness.h"
#include "support/sim_runs.h"

static int main_of_three(void *context)
{
    (void)context;
    return 3;
}

static uint32_t first_of(const char *name, char *text)
{
    struct in_addr addresses[4];
    uint32_t count = cmdi_sim_look_up(name, addresses, 4);
    *text = '\0';
    if (count > 0) {
        (void)inet_ntop(AF_INET, &addresses[0], text, INET_ADDRSTRLEN);
    }
    return count;
}

static void test_sim_world_has_names_that_move(void)
{
    char text[INET_ADDRSTRLEN];
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "one", false, main_of_three, NULL);
    (void)add(sim, "two", false, main_of_three, NULL);

    CU_ASSERT_EQUAL(first_of("two", text), 1);
    CU_ASSERT_STRING_EQUAL(text, "10.0.0.2");
    CU_ASSERT_EQUAL(first_of("three", text), 0);
    CU_ASSERT_EQUAL(cmds_sim_set_name(sim, "two", "10.0.0.1,10.0.0.2"), 0);
    CU_ASSERT_EQUAL(first_of("two", text), 2);
    CU_ASSERT_STRING_EQUAL(text, "10.0.0.1");
    CU_ASSERT_EQUAL(cmdi_sim_set_name("two", "10.9.9.9", true), 0); // A fault goes first.
    CU_ASSERT_EQUAL(first_of("two", text), 1);
    CU_ASSERT_EQUAL(cmdi_sim_set_name("two", NULL, true), 0);
    CU_ASSERT_EQUAL(first_of("two", text), 2);
    CU_ASSERT_EQUAL(cmds_sim_set_name(sim, "two", ""), 0);
    CU_ASSERT_EQUAL(first_of("two", text), 0);
    CU_ASSERT_EQUAL(cmds_sim_set_name(sim, "two", "10.0.0.1,"), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sim_set_name(sim, "two", "one"), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sim_set_name(sim, "two", NULL), 0);
    CU_ASSERT_EQUAL(first_of("two", text), 1);

    cmds_sim_close(sim);
}

static uint32_t files_released;

static void file_released(struct cmdi_file *file)
{
    files_released++;
    cmdi_sim_free(file);
}

static struct cmdi_file *file_new(void)
{
    struct cmdi_file *file = cmdi_sim_alloc(sizeof(*file));
    *file = (struct cmdi_file){.refs = 1, .released = file_released};
    return file;
}

static int main_files(void *context)
{
    (void)context;
    bool good = true;
    for (int fd = 3; fd < 20; fd++) {
        good = good && cmdi_fd_add(file_new()) == fd;
    }
    struct cmdi_file *extra = file_new();
    good = good && cmdi_fd_add(extra) == -EMFILE; // And stays ours.
    cmdi_file_unref(cmdi_fd_take(7));
    good = good && cmdi_fd_get(7) == NULL && cmdi_fd_get(2) == NULL && cmdi_fd_get(20) == NULL;
    good = good && cmdi_fd_add(extra) == 7 && cmdi_fd_get(7) == extra;
    return good ? 0 : 1;
}

static void test_sim_files_take_the_lowest_number(void)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim *sim = NULL;
    struct cmds_sim_report report;
    options.file_count_max = 20;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    (void)add(sim, "files", false, main_files, NULL);
    files_released = 0;

    CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);

    CU_ASSERT_EQUAL(files_released, 18);
    CU_ASSERT_EQUAL(report.files_left, 17);
}

static int main_closes_twice(void *context)
{
    (void)context;
    int fd = cmdi_fd_add(file_new());
    cmdi_file_unref(cmdi_fd_take(fd));
    cmdi_file_unref(cmdi_fd_take(fd));
    return 0;
}

static void test_sim_files_are_closed_once(void)
{
    char text[256];
    struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
    (void)add(sim, "twice", false, main_closes_twice, NULL);

    CU_ASSERT_EQUAL(finish(sim, NULL, text, sizeof(text)), CMDS_E_SIM);

    CU_ASSERT_STRING_EQUAL(text, "seed 1: descriptor 3 is closed and is not open");
}

static CU_TestInfo test_sim_files[] = {
        {"a world has names that move", test_sim_world_has_names_that_move},
        {"descriptors take the lowest number", test_sim_files_take_the_lowest_number},
        {"descriptors are closed once", test_sim_files_are_closed_once},
        CU_TEST_INFO_NULL,
};

CMDI_TEST_MAIN("sim_files", test_sim_files)
