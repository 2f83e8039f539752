/* SPDX-License-Identifier: MIT */
/*
 * What a machine and the rest of a process do to a runtime: a sandbox that refuses one system call
 * of three, little locked memory, signals, forks, fewer shards than CPUs, small stacks.
 *
 * What changes the process for good is done in a child, which answers by its exit status.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/world.h"

/* The thread sanitizer does not let the child of several threads start one of its own. */
#if defined(__SANITIZE_THREAD__)
#define CHILD_MAY_START false
#else
#define CHILD_MAY_START true
#endif

enum {
    CHILD_SECONDS_MAX = 60,
    CHILD_CANNOT = 77, // It could not make the machine as bad as the test wants it.
    CHILD_BAD = 1,     // The first fact that is not as it should be; 2, 3... for those after it.
};

/* Runs `fn` in a child. Returns: its exit status; -signal. */
static int in_child(int (*fn)(void *context), void *context)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        (void)alarm(CHILD_SECONDS_MAX);
        (void)signal(SIGALRM, SIG_DFL); // A hang ends it.
        _exit(fn(context));
    }
    int status = 0;
    CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int start(struct cmds_runtime **runtime, uint32_t shards, struct cmds_error *error)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = shards;
    return cmds_runtime_start(runtime, &options, error);
}

/* --- A sandbox that allows set-up and not enter ----------------------------------------------- */

static bool refuse_enter(int code)
{
    struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct refusal {
    uint32_t shards;
    int code;
};

static int start_without_enter(void *context)
{
    const struct refusal *refusal = context;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (!refuse_enter(refusal->code)) {
        return CHILD_CANNOT;
    }
    int code = start(&runtime, refusal->shards, &error);
    if (code != -refusal->code || runtime != NULL) {
        return CHILD_BAD;
    }
    return strstr(error.text, "seccomp") != NULL && strstr(error.text, "io_uring_enter") != NULL
                   ? 0
                   : CHILD_BAD + 1;
}

static void test_machine_refused_enter_fails_the_start(void)
{
    const struct refusal refusals[] = {
            {2, EPERM}, {2, ENOSYS}, {CMDS_SHARDS_INLINE, EPERM}, {CMDS_SHARDS_INLINE, EACCES}};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct refusal refusal = refusals[i];
        int status = in_child(start_without_enter, &refusal);
        if (status == CHILD_CANNOT) {
            printf("***** no seccomp filter can be set here: not tested ***** ");
            return;
        }
        CU_ASSERT_EQUAL(status, 0);
    }
}

/* The filter comes when everything runs: the process says what happened, and ends. */
static int lose_enter(void *context)
{
    int *log = context;
    struct cmds_runtime *runtime = NULL;
    if (dup2(log[1], STDERR_FILENO) < 0 || start(&runtime, 2, NULL) < 0) {
        return CHILD_CANNOT;
    }
    struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) !=
                    0) {
        return CHILD_CANNOT;
    }
    for (;;) {
        (void)pause(); // A shard looks at its memory every second.
    }
}

static void test_machine_lost_enter_ends_with_a_sentence(void)
{
    int log[2];
    char text[1024] = "";
    CU_ASSERT_FATAL(pipe(log) == 0);
    int status = in_child(lose_enter, log);
    (void)close(log[1]);
    ssize_t size = read(log[0], text, sizeof(text) - 1);
    (void)close(log[0]);
    if (status == CHILD_CANNOT) {
        printf("***** no seccomp filter can be set here: not tested ***** ");
        return;
    }
    CU_ASSERT_EQUAL(status, -SIGABRT);
    CU_ASSERT(size > 0 && strstr(text, "io_uring_enter: Operation not permitted") != NULL);
}

/* --- Little locked memory --------------------------------------------------------------------- */

enum {
    MEMLOCK = 512 * 1024,
    SENDERS_MEMLOCK = 1024 * 1024, // Of some dozens; what is closed comes back late.
    SENDERS = 100,
};

/* As an ordinary user, whom the kernel lets lock little. */
static bool become_small(rlim_t memlock)
{
    struct rlimit limit = {memlock, memlock};
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           (geteuid() != 0 ||
                   (setresgid(64321, 64321, 64321) == 0 && setresuid(64321, 64321, 64321) == 0));
}

static int open_many_senders(void *context)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    options.connect = context;
    if (!become_small(SENDERS_MEMLOCK)) {
        return CHILD_CANNOT;
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        struct cmds_sender *sender = NULL;
        struct cmds_error error = CMDS_ERROR_INIT;
        if (cmds_sender_open(&sender, &options, &error) < 0) {
            (void)fprintf(stderr, "sender %u: %s\n", i, error.text);
            return CHILD_BAD;
        }
        cmds_sender_close(sender, 1000);
    }
    return 0;
}

/* What a closed ring had locked comes back late: whoever opens the next one waits for it. */
static void test_machine_a_sender_for_each_request(void)
{
    struct world world;
    world_init(&world);
    world.runtime_options.shard_count = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    int status = CHILD_MAY_START ? in_child(open_many_senders, world.address) : CHILD_CANNOT;
    if (status == CHILD_CANNOT) {
        printf("***** this process cannot become a small user, or a child start threads: not "
               "tested ***** ");
    } else {
        CU_ASSERT_EQUAL(status, 0);
    }
    world_stop(&world);
}

static void count_memlock(void *context, enum cmds_log_level level, const char *text)
{
    bool says = level == CMDS_LOG_WARN && strstr(text, "RLIMIT_MEMLOCK") != NULL;
    atomic_fetch_add((_Atomic uint32_t *)context, says);
}

static int start_too_many(void *context)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)context;
    if (!become_small(MEMLOCK)) {
        return CHILD_CANNOT;
    }
    int code = start(&runtime, 200, &error);
    if (code == 0) {
        return CHILD_CANNOT; // This kernel does not count rings.
    }
    bool says =
            strstr(error.text, "RLIMIT_MEMLOCK") != NULL && strstr(error.text, "512 KiB") != NULL;
    if (code != -ENOMEM || !says) {
        (void)fprintf(stderr, "%d \"%s\"\n", code, error.text);
        return CHILD_BAD;
    }
    /* A moment later it works, with more shards than there is room for at their full size. */
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    _Atomic uint32_t logged = 0;
    options.shard_count = 5;
    options.on_log = count_memlock;
    options.log_context = &logged;
    if (cmds_runtime_start(&runtime, &options, &error) < 0) {
        return CHILD_BAD + 1;
    }
    return atomic_load(&logged) > 0 ? 0 : CHILD_BAD + 2;
}

static void count_fewer_buffers(void *context, enum cmds_log_level level, const char *text)
{
    bool says = level == CMDS_LOG_WARN && strstr(text, "receive buffers (of 32768)") != NULL &&
                strstr(text, " 32768 receive") == NULL;
    atomic_fetch_add((_Atomic uint32_t *)context, says);
}

/* Many receive buffers are a luxury: whoever starts later goes without rather than not at all. */
static int start_with_many_buffers(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    _Atomic uint32_t logged = 0;
    (void)context;
    if (!become_small(MEMLOCK)) {
        return CHILD_CANNOT;
    }
    options.shard_count = 1;
    struct cmds_runtime *runtime = NULL;
    if (start(&runtime, 200, &error) == 0) {
        return CHILD_CANNOT; // This kernel does not count rings.
    }
    options.buffer_count_max = 32768; // 512 KiB, all that there is, and the queues.
    options.on_log = count_fewer_buffers;
    options.log_context = &logged;
    if (cmds_runtime_start(&runtime, &options, &error) < 0) {
        (void)fprintf(stderr, "%s\n", error.text);
        return CHILD_BAD;
    }
    cmds_runtime_stop(runtime);
    return atomic_load(&logged) > 0 ? 0 : CHILD_BAD + 1;
}

/* `child` cannot tell anything where the kernel does not count rings. */
static void check_with_little_memlock(int (*child)(void *))
{
    int status = in_child(child, NULL);
    if (status == CHILD_CANNOT) {
        printf("***** rings are not counted here: not tested ***** ");
        return;
    }
    CU_ASSERT_EQUAL(status, 0);
}

static void test_machine_too_many_buffers_for_memlock(void)
{
    check_with_little_memlock(start_with_many_buffers);
}

static void test_machine_too_many_shards_for_memlock(void)
{
    check_with_little_memlock(start_too_many);
}

/* --- Signals, stacks, CPUs -------------------------------------------------------------------- */

struct thread_facts {
    sigset_t mask;
    size_t stack_size;
    int cpu_count;
    int child_status; // Of a child that was forked there.
    _Atomic uint32_t known;
};

static int child_mask(void *context)
{
    (void)context;
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) || sigismember(&mask, SIGINT) || sigismember(&mask, SIGCHLD)
                   ? CHILD_BAD
                   : 0;
}

static void learn(struct thread_facts *facts)
{
    pthread_attr_t attributes;
    cpu_set_t cpus;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &facts->mask);
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &facts->stack_size);
        (void)pthread_attr_destroy(&attributes);
    }
    facts->cpu_count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child_mask(NULL));
    }
    if (pid < 0 || waitpid(pid, &facts->child_status, 0) != pid) {
        facts->child_status = -1;
    }
    atomic_store(&facts->known, 1);
}

static void learn_on_shard(void *context)
{
    learn(context);
}

static int learn_in_pool(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    (void)run;
    learn(world->context);
    return world_send_item(call, 0, true);
}

static void check_signals(const struct thread_facts *facts)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    static const int sent[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM, SIGPIPE};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        CU_ASSERT_EQUAL(sigismember(&facts->mask, faults[i]), 0);
    }
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        CU_ASSERT_EQUAL(sigismember(&facts->mask, sent[i]), 1);
    }
    CU_ASSERT_EQUAL(facts->child_status, 0);
}

/* What /proc says that a thread of this process blocks. Returns: whether it is the library's. */
static bool read_blocked(const char *thread, uint64_t *blocked)
{
    char path[64];
    char line[256];
    bool is_ours = false;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", thread);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        is_ours = is_ours || strncmp(line, "Name:\tcmds-", 11) == 0;
        (void)sscanf(line, "SigBlk: %" SCNx64, blocked);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return is_ours;
}

/* How many threads of the library block what they should, and nothing that a fault raises. */
static uint32_t count_open_threads(void)
{
    uint32_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CU_ASSERT_FATAL(tasks != NULL);
    for (const struct dirent *task = NULL; (task = readdir(tasks)) != NULL;) {
        uint64_t blocked = 0;
        if (read_blocked(task->d_name, &blocked)) {
            count += (blocked >> (SIGSEGV - 1) & 1) == 0 && (blocked >> (SIGTERM - 1) & 1) == 1;
        }
    }
    (void)closedir(tasks);
    return count;
}

/* All threads of a server, also those on which nothing of the program ever runs. */
static void test_machine_no_thread_blocks_a_fault(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    // Two shards and a deputy; one that has just begun still blocks everything, as libc lets it.
    WORLD_UNTIL(&world, count_open_threads() == 3);

    world_stop(&world);
}

enum {
    STACK = 32 * 1024 * 1024, // More than any usual default.
};

static void test_machine_threads_are_as_promised(void)
{
    struct world world;
    struct raw raw;
    struct raw_frame frame;
    struct thread_facts shard = {.cpu_count = 0}, pool = {.cpu_count = 0};
    struct pool command = {.text = CMDS_STRING("")};
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.shard_stack_size = STACK;
    world.runtime_options.pool_stack_size = STACK;
    world.exec = learn_in_pool;
    world.context = &pool;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_post(world.runtime, 0, learn_on_shard, &shard) == 0);
    WORLD_UNTIL(&world, atomic_load(&shard.known) != 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw) && raw_send(&raw, 1, pool_message(&command)) &&
                    raw_read(&raw, &frame) == RAW_FRAME);
    WORLD_UNTIL(&world, atomic_load(&pool.known) != 0);

    check_signals(&shard);
    check_signals(&pool);
    CU_ASSERT(shard.stack_size >= STACK);
    CU_ASSERT(pool.stack_size >= STACK);
    raw_close(&raw);
    world_stop(&world);
}

/* How many descriptors the kernel has a table for. */
static rlim_t descriptor_table_size(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    uint64_t size = 0;
    char line[256];
    CU_ASSERT_FATAL(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "FDSize: %" SCNu64, &size);
    }
    (void)fclose(file);
    return size;
}

/* Else each doubling of the table would hold up the shard that opens the one too many. */
static void test_machine_descriptors_are_expected(void)
{
    struct world world;
    struct rlimit limit;
    world_init(&world);
    world.options.connection_count_max = 5000;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t expected = limit.rlim_cur < 5000 ? limit.rlim_cur : 5000;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT(descriptor_table_size() >= expected);
    world_stop(&world);
}

static int cpus_of_shard(const char *cpus, uint32_t shards)
{
    struct world world;
    struct thread_facts facts = {.cpu_count = 0};
    world_init(&world);
    world.runtime_options.shard_count = shards;
    world.runtime_options.cpus = cpus;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_post(world.runtime, 0, learn_on_shard, &facts) == 0);
    WORLD_UNTIL(&world, atomic_load(&facts.known) != 0);
    world_stop(&world);
    return facts.cpu_count;
}

/* Several small servers must not meet on the first CPU. */
static void test_machine_few_shards_are_not_pinned(void)
{
    cpu_set_t cpus;
    char first[16];
    CU_ASSERT_FATAL(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
    int count = CPU_COUNT(&cpus);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &cpus)) {
        cpu++;
    }
    (void)snprintf(first, sizeof(first), "%zu", cpu);
    if (count > 1) {
        CU_ASSERT_EQUAL(cpus_of_shard(NULL, 1), count);
    } else {
        printf("***** one CPU: not tested ***** ");
    }
    CU_ASSERT_EQUAL(cpus_of_shard(first, 1), 1);
    if (count <= 16) {
        CU_ASSERT_EQUAL(cpus_of_shard(NULL, (uint32_t)count), 1);
    }
}

/* --- fork ------------------------------------------------------------------------------------- */

struct family {
    struct world *world;
    struct cmds_group *group;
    struct cmds_sender *sender;
    struct cmds_runtime *inline_runtime;
    _Atomic uint32_t called;
};

static void on_nothing(void *context)
{
    atomic_fetch_add(&((struct family *)context)->called, 1);
}

static void on_no_result(void *context, const struct cmds_result *result)
{
    (void)result;
    on_nothing(context);
}

static bool forked(int code)
{
    return code == CMDS_E_FORKED;
}

static int child_calls(void *context)
{
    struct family *family = context;
    struct world *world = family->world;
    struct cmds_server_options options = world->options;
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_server *server = NULL;
    struct cmds_group *group = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct echo echo = {.string = CMDS_STRING("")};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket;
    struct cmds_endpoint endpoint = CMDS_ENDPOINT_INIT(world->address);
    how.ticket = &ticket;
    group_options.connect = world->address;
    bool refused =
            forked(cmds_server_start(&server, world->runtime, &options, &error)) &&
            forked(error.code) && forked(cmds_server_shutdown(world->server, 1000)) &&
            forked(cmds_group_open(&group, world->runtime, &group_options, NULL)) &&
            forked(cmds_group_wait(family->group, 1000, NULL)) &&
            forked(cmds_group_drain(family->group, 1000)) &&
            forked(cmds_group_set_endpoints(family->group, &endpoint, 1, NULL)) &&
            forked(cmds_group_pause(family->group, 0)) &&
            forked(cmds_group_resume(family->group, 0)) &&
            forked(cmds_group_send(
                    family->group, echo_message(&echo), NULL, on_no_result, family)) &&
            forked(cmds_group_send(
                    family->group, echo_message(&echo), &how, on_no_result, family)) &&
            forked(cmds_sender_send(family->sender, echo_message(&echo), 1000, &result, NULL)) &&
            forked(cmds_runtime_post(world->runtime, 0, on_nothing, family)) &&
            forked(cmds_runtime_turn(family->inline_runtime, 0));
    if (!refused || server != NULL || group != NULL || result != NULL) {
        return CHILD_BAD;
    }
    cmds_sender_close(family->sender, 1000);
    cmds_group_close(family->group, on_nothing, family);
    cmds_server_close(world->server);
    cmds_runtime_stop(family->inline_runtime);
    cmds_runtime_stop(world->runtime);
    struct cmds_runtime *own = NULL;
    if (atomic_load(&family->called) != 0 || (CHILD_MAY_START && start(&own, 1, NULL) < 0)) {
        return CHILD_BAD + 1;
    }
    cmds_runtime_stop(own); // One that the child has made is whole.
    return 0;
}

static void child_on_shard(void *context)
{
    struct family *family = context;
    int code = in_child(child_calls, family);
    atomic_store(&family->called, code == 0 ? 1 : 2);
}

static void test_machine_a_child_is_refused(void)
{
    struct world world;
    struct family family = {.world = &world};
    struct raw raw;
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_sender_options sender = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    group.connect = world.address;
    sender.connect = world.address;
    runtime.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(cmds_group_open(&family.group, world.runtime, &group, NULL) == 0 &&
                    cmds_group_wait(family.group, RAW_GUARD_MS, NULL) == 0);
    CU_ASSERT_FATAL(cmds_sender_open(&family.sender, &sender, NULL) == 0);
    CU_ASSERT_FATAL(cmds_runtime_start(&family.inline_runtime, &runtime, NULL) == 0 &&
                    cmds_runtime_turn(family.inline_runtime, 0) >= 0);

    CU_ASSERT_EQUAL(in_child(child_calls, &family), 0);
    CU_ASSERT_FATAL(cmds_runtime_post(world.runtime, 0, child_on_shard, &family) == 0);
    WORLD_UNTIL(&world, atomic_load(&family.called) != 0);
    CU_ASSERT_EQUAL(atomic_load(&family.called), 1);

    /* The parent has noticed nothing. */
    CU_ASSERT(world_connect(&world, &raw) && world_echoes(&raw, 1));
    raw_close(&raw);
    cmds_sender_close(family.sender, 1000);
    cmds_group_close(family.group, NULL, NULL);
    cmds_runtime_stop(family.inline_runtime);
    world_stop(&world);
}

CU_TestInfo test_machine[] = {
        {"a refused enter fails the start", test_machine_refused_enter_fails_the_start},
        {"a lost enter ends with a sentence", test_machine_lost_enter_ends_with_a_sentence},
        {"a sender for each request", test_machine_a_sender_for_each_request},
        {"too many shards for memlock", test_machine_too_many_shards_for_memlock},
        {"too many buffers for memlock", test_machine_too_many_buffers_for_memlock},
        {"threads are as promised", test_machine_threads_are_as_promised},
        {"no thread blocks a fault", test_machine_no_thread_blocks_a_fault},
        {"descriptors are expected", test_machine_descriptors_are_expected},
        {"few shards are not pinned", test_machine_few_shards_are_not_pinned},
        {"a child is refused", test_machine_a_child_is_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("machine", test_machine)
