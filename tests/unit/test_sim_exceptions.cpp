/* SPDX-License-Identifier: MIT */
/*
 * What a thread of a C++ program has thrown and caught is its own, although to the C++ library all threads
 * of a world are one: another one throws and catches while this one waits in its handler.
 */
#include <cmdstream/sim.h>

#include <pthread.h>
#include <sched.h>

#include <stdexcept>
#include <string>

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>

// Of support/harness.h, which is for C.
extern "C" int cmdi_test_main(const char *suite, const CU_TestInfo *tests, int argc, char **argv);

enum {
    THREADS = 3,
    ROUNDS = 30,
};

static unsigned mixed;

static void rethrow(const std::string &mine)
{
    try {
        throw;
    } catch (const std::exception &again) {
        mixed += mine != again.what();
    }
}

static void *throw_and_catch(void *argument)
{
    const std::string mine = std::to_string(reinterpret_cast<uintptr_t>(argument));
    for (int i = 0; i < ROUNDS; i++) {
        try {
            throw std::runtime_error(mine);
        } catch (const std::exception &caught) {
            (void)sched_yield();
            try {
                throw i;
            } catch (int other) {
                (void)sched_yield();
                mixed += other != i;
            }
            (void)sched_yield();
            mixed += mine != caught.what();
            rethrow(mine);
        }
    }
    return nullptr;
}

static int main_throws(void *)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], nullptr, throw_and_catch, reinterpret_cast<void *>(i)) !=
                0) {
            return 1;
        }
    }
    for (pthread_t thread : threads) {
        (void)pthread_join(thread, nullptr);
    }
    return 0;
}

static void test_sim_exceptions_are_their_threads_own()
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        cmds_sim *sim = nullptr;
        cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
        options.seed = seed;
        CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, nullptr), 0);
        cmds_sim_program program = CMDS_SIM_PROGRAM_INIT("throws", main_throws);
        CU_ASSERT_EQUAL(cmds_sim_start(sim, &program, nullptr, nullptr), 0);

        CU_ASSERT_EQUAL(cmds_sim_run(sim, nullptr), 0);

        cmds_sim_close(sim);
    }
    CU_ASSERT_EQUAL(mixed, 0);
}

static CU_TestInfo test_sim_exceptions[] = {
        {"exceptions are their thread's own", test_sim_exceptions_are_their_threads_own},
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    return cmdi_test_main("sim_exceptions", test_sim_exceptions, argc, argv);
}
