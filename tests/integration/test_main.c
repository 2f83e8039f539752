/* SPDX-License-Identifier: MIT */
/*
 * cmds_server_run(), in a child: a program whose job is to serve, and what it does around that. What may go
 * wrong: a function of it runs too early, twice or not at all; an end that waits for what the program
 * was not asked to end; a start that fails without a word.
 */
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HEARD_MAX = 1024,
    TEXT_MAX = 256,
};

/* A program. Its functions write a letter each to a pipe, on_started with the address behind it. */
struct program {
    struct world world;
    struct cmds_main_options main_options;
    struct cmds_runtime_options runtime_options;
    int fds[2], said[2]; // Letters; what the program printed.
    pid_t pid;
    int start_code;
    bool says_why, ends_calls, takes_long;
    struct cmds_call *_Atomic kept;
};

static void program_write(const struct program *program, const char *text)
{
    ssize_t size = (ssize_t)strlen(text);
    if (write(program->fds[1], text, (size_t)size) != size) {
        _exit(99);
    }
}

static int on_start(void *context, struct cmds_runtime *runtime, struct cmds_error *error)
{
    const struct program *program = context;
    program_write(program, cmds_runtime_shard_count(runtime) == 1 ? "S" : "s");
    if (program->says_why) {
        error->code = program->start_code;
        (void)snprintf(error->text, sizeof(error->text), "prices: no such host");
    }
    return program->start_code;
}

static void on_started(void *context, struct cmds_server *server)
{
    char address[128];
    char text[TEXT_MAX];
    if (cmds_server_address(server, 0, address, sizeof(address)) < 0) {
        _exit(98);
    }
    (void)snprintf(text, sizeof(text), "L%s\n", address);
    program_write(context, text);
}

static void on_drain(void *context, struct cmds_server *server)
{
    struct program *program = context;
    program_write(program, cmds_server_connection_count(server) == 1 ? "D" : "d");
    uint32_t long_ms = program->takes_long ? program->main_options.drain_timeout_ms + 1 : 0;
    for (uint64_t end_ms = raw_now_ms() + long_ms; raw_now_ms() < end_ms;) {
        raw_pause(NULL);
    }
    struct cmds_call *kept = atomic_exchange(&program->kept, NULL);
    if (program->ends_calls && kept != NULL) {
        (void)world_send_item(kept, 7, true);
        cmds_call_unref(kept);
    }
}

static void on_stop(void *context, struct cmds_runtime *runtime)
{
    program_write(context, runtime != NULL ? "E" : "e");
}

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct program *program = world->context;
    (void)run;
    atomic_store(&program->kept, cmds_call_ref(call));
    return 0;
}

static void program_init(struct program *program)
{
    memset(program, 0, sizeof(*program));
    world_init(&program->world);
    program->world.context = program;
    program->world.exec = exec_keep;
    program->main_options = (struct cmds_main_options)CMDS_MAIN_OPTIONS_INIT;
    program->runtime_options = (struct cmds_runtime_options)CMDS_RUNTIME_OPTIONS_INIT;
    program->runtime_options.shard_count = 1;
    program->main_options.runtime = &program->runtime_options;
    program->main_options.context = program;
    program->main_options.on_start = on_start;
    program->main_options.on_started = on_started;
    program->main_options.on_drain = on_drain;
    program->main_options.on_stop = on_stop;
}

static void program_start(struct program *program)
{
    CU_ASSERT_FATAL(pipe(program->fds) == 0 && pipe(program->said) == 0);
    (void)fflush(stdout);
    program->pid = fork();
    if (program->pid == 0) {
        (void)dup2(program->said[1], STDOUT_FILENO);
        (void)dup2(program->said[1], STDERR_FILENO);
        (void)close(program->said[0]);
        (void)close(program->said[1]);
        (void)close(program->fds[0]);
        _exit(cmds_server_run(&program->world.options, &program->main_options));
    }
    (void)close(program->fds[1]);
    (void)close(program->said[1]);
    CU_ASSERT_FATAL(program->pid > 0);
}

/* The bytes of a pipe, until this one or its end. */
static void hear(int fd, char *text, char until)
{
    size_t used = 0;
    while (used < HEARD_MAX - 1 && read(fd, text + used, 1) == 1 && text[used] != until) {
        used++;
    }
    text[used] = '\0';
}

/* Until it listens. Returns: its address, behind the letters in `heard`. */
static const char *program_listens(struct program *program, char *heard)
{
    hear(program->fds[0], heard, '\n');
    char *at = strchr(heard, 'L');
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    (void)snprintf(program->world.address, sizeof(program->world.address), "%.100s", at + 1);
    return program->world.address;
}

/* What it did and said from here to its end. Returns: its status. */
static int program_end(struct program *program, char *did, char *said)
{
    int status = 0;
    hear(program->fds[0], did, '\0');
    hear(program->said[0], said, '\0');
    (void)close(program->fds[0]);
    (void)close(program->said[0]);
    CU_ASSERT(waitpid(program->pid, &status, 0) == program->pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- Lives ---------------------------------------------------------------------------------------- */

static void test_main_calls_its_program_in_order(void)
{
    static struct program program;
    char heard[HEARD_MAX], did[HEARD_MAX], said[HEARD_MAX];
    struct raw raw;
    program_init(&program);
    program_start(&program);

    const char *address = program_listens(&program, heard);
    CU_ASSERT_EQUAL(heard[0], 'S'); // With one shard, as the options say.
    CU_ASSERT(world_connect(&program.world, &raw) && world_echoes(&raw, 1));
    CU_ASSERT(kill(program.pid, SIGTERM) == 0);
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);

    CU_ASSERT_EQUAL(program_end(&program, did, said), 0);
    CU_ASSERT_STRING_EQUAL(did, "DE");
    CU_ASSERT(strncmp(said, "listening on ", 13) == 0 && strstr(said, address) != NULL);
    raw_close(&raw);
}

static void test_main_is_quiet(void)
{
    static struct program program;
    char heard[HEARD_MAX], did[HEARD_MAX], said[HEARD_MAX];
    program_init(&program);
    program.main_options.quiet = true;
    program.main_options.on_drain = NULL;
    program.main_options.on_stop = NULL;
    program.main_options.runtime = NULL;
    program_start(&program);

    (void)program_listens(&program, heard);
    CU_ASSERT(kill(program.pid, SIGINT) == 0);

    CU_ASSERT_EQUAL(program_end(&program, did, said), 0);
    CU_ASSERT_STRING_EQUAL(did, "");
    // On a slow machine there is a line about a stall.
    CU_ASSERT_PTR_NULL(strstr(said, "listening"));
}

/* A subscription: nobody but the program knows how to end it. */
static int end_with_a_call(struct program *program, char *did, char *said, bool in_time)
{
    char heard[HEARD_MAX];
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    program_start(program);
    (void)program_listens(program, heard);
    CU_ASSERT_FATAL(world_connect(&program->world, &raw));
    CU_ASSERT(raw_send(&raw, 1, run_message(&(struct run){.number = 1})));
    CU_ASSERT(world_echoes(&raw, 2)); // The one before is kept.
    CU_ASSERT(kill(program->pid, SIGTERM) == 0);
    if (program->ends_calls) {
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 7);
    } else if (!in_time) {
        hear(program->fds[0], heard, 'D');
        CU_ASSERT(kill(program->pid, SIGINT) == 0);
    }
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    raw_close(&raw);
    return program_end(program, did, said);
}

static void test_main_lets_its_program_end_what_it_keeps(void)
{
    static struct program program;
    char did[HEARD_MAX], said[HEARD_MAX];
    program_init(&program);
    program.ends_calls = true;
    program.main_options.drain_timeout_ms = CMDS_NEVER;

    CU_ASSERT_EQUAL(end_with_a_call(&program, did, said, true), 0);

    CU_ASSERT_STRING_EQUAL(did, "DE");
}

static void test_main_drains_for_as_long_as_it_may(void)
{
    static struct program program;
    char did[HEARD_MAX], said[HEARD_MAX];
    program_init(&program);
    program.main_options.drain_timeout_ms = 20;

    CU_ASSERT_EQUAL(end_with_a_call(&program, did, said, true), 2);

    CU_ASSERT_STRING_EQUAL(did, "DE");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "cut: 1 with calls that have not ended"));
}

/* Nothing is open, so nothing is cut. */
static void test_main_drains_even_if_its_program_took_all_the_time(void)
{
    static struct program program;
    char heard[HEARD_MAX], did[HEARD_MAX], said[HEARD_MAX];
    program_init(&program);
    program.takes_long = true;
    program.main_options.drain_timeout_ms = 1;
    program_start(&program);
    (void)program_listens(&program, heard);
    CU_ASSERT(kill(program.pid, SIGTERM) == 0);

    CU_ASSERT_EQUAL(program_end(&program, did, said), 0);

    CU_ASSERT_STRING_EQUAL(did, "dE");
    CU_ASSERT_PTR_NULL(strstr(said, "cut"));
}

static void test_main_ends_at_once_with_a_second_signal(void)
{
    static struct program program;
    char did[HEARD_MAX], said[HEARD_MAX];
    program_init(&program);
    program.main_options.drain_timeout_ms = CMDS_NEVER;

    CU_ASSERT_EQUAL(end_with_a_call(&program, did, said, false), 2);

    CU_ASSERT_STRING_EQUAL(did, "E");
}

/* A function that never returns: its shard answers nobody any more. */
static int exec_hang(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    (void)run;
    program_write(world->context, "H");
    for (;;) {
        (void)pause();
    }
    return 0;
}

static void end_a_hung_shard(uint32_t drain_timeout_ms)
{
    static struct program program;
    char heard[HEARD_MAX], did[HEARD_MAX], said[HEARD_MAX];
    struct raw raw;
    program_init(&program);
    program.world.exec = exec_hang;
    program.main_options.drain_timeout_ms = drain_timeout_ms;
    program_start(&program);
    (void)program_listens(&program, heard);
    CU_ASSERT_FATAL(world_connect(&program.world, &raw));
    CU_ASSERT(raw_send(&raw, 1, run_message(&(struct run){.number = 1})));
    hear(program.fds[0], heard, 'H');
    CU_ASSERT(kill(program.pid, SIGTERM) == 0);
    hear(program.fds[0], heard, 'D');
    if (drain_timeout_ms == CMDS_NEVER) {
        CU_ASSERT(kill(program.pid, SIGTERM) == 0);
    }

    CU_ASSERT_EQUAL(program_end(&program, did, said), 2);

    CU_ASSERT_STRING_EQUAL(did, ""); // No orderly end.
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "shard 0 has been held up"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "by run,"));
    raw_close(&raw);
}

static void test_main_ends_though_a_shard_never_comes_back(void)
{
    end_a_hung_shard(CMDS_NEVER);
    end_a_hung_shard(20);
}

/* --- Starts that fail ----------------------------------------------------------------------------- */

/* What it says. */
static void fails(struct program *program, const char *does, const char *says)
{
    char did[HEARD_MAX], said[HEARD_MAX];
    program_start(program);
    CU_ASSERT_EQUAL(program_end(program, did, said), 1);
    CU_ASSERT_STRING_EQUAL(did, does);
    if (strstr(said, says) == NULL) {
        printf("\"%s\" has no \"%s\"\n", said, says);
        CU_FAIL("a start that fails does not say why");
    }
}

static void test_main_says_why_it_does_not_start(void)
{
    static struct program program;
    program_init(&program);
    program.start_code = -EHOSTUNREACH;
    fails(&program, "S", "on_start failed: ");
    program.says_why = true;
    fails(&program, "S", "prices: no such host");

    program_init(&program);
    program.world.options.listen = "nowhere";
    fails(&program, "SE", "nowhere"); // What was started is ended.

    program_init(&program);
    program.runtime_options.pool_thread_count = 2000;
    fails(&program, "", "pool_thread_count");
    program.runtime_options.pool_thread_count = 0;
    program.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    fails(&program, "", "CMDS_SHARDS_INLINE");
    program.main_options.unused3 = 1;
    fails(&program, "", "cmds_main_options");
    program.main_options.struct_size = 0;
    fails(&program, "", "INIT");
}

static CU_TestInfo tests[] = {
        {"calls its program in order", test_main_calls_its_program_in_order},
        {"is quiet", test_main_is_quiet},
        {"lets its program end what it keeps", test_main_lets_its_program_end_what_it_keeps},
        {"drains for as long as it may", test_main_drains_for_as_long_as_it_may},
        {"drains even if its program took all the time",
                test_main_drains_even_if_its_program_took_all_the_time},
        {"ends at once with a second signal", test_main_ends_at_once_with_a_second_signal},
        {"ends though a shard never comes back", test_main_ends_though_a_shard_never_comes_back},
        {"says why it does not start", test_main_says_why_it_does_not_start},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("main", tests)
