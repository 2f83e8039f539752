/* SPDX-License-Identifier: MIT */
/*
 * What a server tells systemd. What may go wrong: a unit that never becomes ready or is killed while it
 * serves; a watchdog that is kept quiet by a thread that does nothing, while a shard hangs.
 */
#include "server/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/clock.h"
#include "support/world.h"

enum {
    HEARD_MAX = 1024,
    PERIOD_MS = 100, // Half of WATCHDOG_USEC.
    SILENCE_MS = 5 * PERIOD_MS,
};

/* --- Whoever listens -------------------------------------------------------------------------- */

struct ear {
    int fd;
    char name[64]; // For NOTIFY_SOCKET.
};

static void ear_open(struct ear *ear, bool abstract)
{
    static uint32_t number;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(ear->name, sizeof(ear->name), "%scmdstream-notify-%d-%u",
            abstract ? "@" : "/tmp/", (int)getpid(), number++);
    memcpy(address.sun_path, ear->name, strlen(ear->name));
    if (abstract) {
        address.sun_path[0] = '\0';
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(ear->name));
    ear->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_FATAL(ear->fd >= 0 && bind(ear->fd, (void *)&address, size) == 0);
}

static void ear_close(const struct ear *ear)
{
    (void)close(ear->fd);
    if (ear->name[0] == '/') {
        (void)unlink(ear->name);
    }
}

/* The next message, "" if none comes in time. */
static const char *ear_next(const struct ear *ear, int timeout_ms)
{
    static char heard[HEARD_MAX];
    struct pollfd wait = {.fd = ear->fd, .events = POLLIN};
    heard[0] = '\0';
    if (poll(&wait, 1, timeout_ms) == 1) {
        ssize_t size = recv(ear->fd, heard, HEARD_MAX - 1, MSG_DONTWAIT);
        heard[size > 0 ? size : 0] = '\0';
    }
    return heard;
}

/* The next one that is no sign of life. */
static const char *ear_news(const struct ear *ear)
{
    const char *heard = NULL;
    do {
        heard = ear_next(ear, RAW_GUARD_MS);
    } while (strcmp(heard, "WATCHDOG=1") == 0);
    return heard;
}

/* --- One message ------------------------------------------------------------------------------ */

static void test_notify_one_message(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct ear ear;
        ear_open(&ear, i == 0);
        CU_ASSERT_EQUAL(setenv("NOTIFY_SOCKET", ear.name, 1), 0);

        CU_ASSERT_EQUAL(cmds_notify("READY=1\nSTATUS=x"), 1);

        CU_ASSERT_STRING_EQUAL(ear_next(&ear, 0), "READY=1\nSTATUS=x");
        ear_close(&ear);
        CU_ASSERT(cmds_notify("READY=1") < 0); // Nobody is there any more.
    }
    (void)setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    CU_ASSERT_EQUAL(cmds_notify("READY=1"), -EAFNOSUPPORT);
    (void)setenv("NOTIFY_SOCKET", "", 1);
    CU_ASSERT_EQUAL(cmds_notify("READY=1"), 0);
    (void)unsetenv("NOTIFY_SOCKET");
    CU_ASSERT_EQUAL(cmds_notify("READY=1"), 0);
}

static uint64_t watchdog_period(const char *usec, const char *pid)
{
    struct cmdi_watchdog watchdog;
    (void)setenv("WATCHDOG_USEC", usec, 1);
    (void)(pid != NULL ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"));
    cmdi_watchdog_init(&watchdog, 0);
    return watchdog.period_ns;
}

static void test_notify_whose_watchdog_it_is(void)
{
    char mine[32], other[32];
    (void)snprintf(mine, sizeof(mine), "%d", (int)getpid());
    (void)snprintf(other, sizeof(other), "%d", (int)getppid());

    CU_ASSERT_EQUAL(watchdog_period("3000000", mine), 1500000000u);
    CU_ASSERT_EQUAL(watchdog_period("3000000", NULL), 1500000000u);
    CU_ASSERT_EQUAL(watchdog_period("3000000", other), 0);
    CU_ASSERT_EQUAL(watchdog_period("3000000", ""), 0);
    CU_ASSERT_EQUAL(watchdog_period("3 s", mine), 0);
    CU_ASSERT_EQUAL(watchdog_period("99999999999999999999", mine), 0);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

/* --- A service -------------------------------------------------------------------------------- */

static int hold_pipe[2], held_pipe[2]; // The exec function reads one, and writes the other.

static int exec_hangs(struct cmds_call *call, const struct run *run)
{
    char byte = 'h';
    if (run->what == 1) {
        (void)cmds_call_ref(call); // For ever.
        return write(held_pipe[1], &byte, 1) == 1 ? 0 : -EIO;
    }
    if (write(held_pipe[1], &byte, 1) != 1 || read(hold_pipe[0], &byte, 1) != 1) {
        return -EIO;
    }
    return world_send_item(call, 1, true);
}

/* In a process of its own: systemd's environment, and the main of a service. `errors`: its stderr. */
static pid_t service_start(const struct ear *ear, int errors)
{
    pid_t child = fork();
    if (child != 0) {
        CU_ASSERT_FATAL(child > 0);
        return child;
    }
    static struct world world;
    char number[32];
    world_init(&world);
    world.exec = exec_hangs;
    (void)setenv("NOTIFY_SOCKET", ear->name, 1);
    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", number, 1);
    (void)snprintf(number, sizeof(number), "%d", 2 * PERIOD_MS * 1000);
    (void)setenv("WATCHDOG_USEC", number, 1);
    (void)close(STDOUT_FILENO);
    (void)dup2(errors, STDERR_FILENO);
    _exit(cmds_server_main(&world.options));
}

static void test_notify_a_service(void)
{
    struct ear ear;
    struct raw raw;
    struct run run = {0};
    char byte = 'x';
    int status = -1;
    ear_open(&ear, true);
    CU_ASSERT_FATAL(pipe(hold_pipe) == 0 && pipe(held_pipe) == 0);
    pid_t child = service_start(&ear, STDERR_FILENO);

    const char *heard = ear_next(&ear, RAW_GUARD_MS);
    const char *on = strstr(heard, " on ");
    CU_ASSERT_EQUAL(strncmp(heard, "READY=1\nSTATUS=listening on 127.0.0.1:", 38), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(on);
    CU_ASSERT_FATAL(raw_open(&raw, on + 4, 0, NULL) == 0 && raw_server_info(&raw));
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(ear_next(&ear, RAW_GUARD_MS), "WATCHDOG=1");
    }

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    CU_ASSERT_EQUAL(read(held_pipe[0], &byte, 1), 1);
    while (ear_next(&ear, 0)[0] != '\0') {
        // From before.
    }
    uint32_t signs = 0; // Until the turn has lasted for a period, there may be two.
    while (signs < 10 && ear_next(&ear, SILENCE_MS)[0] != '\0') {
        signs++;
    }
    CU_ASSERT(signs <= 2);

    CU_ASSERT_EQUAL(write(hold_pipe[1], &byte, 1), 1);
    CU_ASSERT_STRING_EQUAL(ear_next(&ear, RAW_GUARD_MS), "WATCHDOG=1");
    CU_ASSERT_EQUAL(kill(child, SIGTERM), 0);
    CU_ASSERT_STRING_EQUAL(ear_news(&ear), "STOPPING=1\nSTATUS=draining, 1 connection is open");
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    raw_close(&raw);
    for (uint32_t i = 0; i < 2; i++) {
        (void)close(hold_pipe[i]);
        (void)close(held_pipe[i]);
    }
    ear_close(&ear);
}

/* When its time to drain is over, a service says what it cuts off. */
static void test_notify_what_is_left(void)
{
    struct ear ear;
    struct raw raw[2];
    struct run run = {.what = 1};
    char said[2048] = "", byte = 'x';
    int errors[2], status = -1;
    ssize_t size = 1;
    ear_open(&ear, true);
    CU_ASSERT_FATAL(pipe(hold_pipe) == 0 && pipe(held_pipe) == 0 && pipe(errors) == 0);
    pid_t child = service_start(&ear, errors[1]);
    (void)close(errors[1]);

    const char *on = strstr(ear_next(&ear, RAW_GUARD_MS), " on ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(on);
    char address[128];
    (void)snprintf(address, sizeof(address), "%s", on + 4);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(raw_open(&raw[i], address, 0, NULL) == 0 && raw_server_info(&raw[i]));
    }
    CU_ASSERT(raw_send(&raw[0], 1, run_message(&run)));
    CU_ASSERT_EQUAL(read(held_pipe[0], &byte, 1), 1);
    CU_ASSERT_EQUAL(kill(child, SIGTERM), 0);
    CU_ASSERT_STRING_EQUAL(ear_news(&ear), "STOPPING=1\nSTATUS=draining, 2 connections are open");
    CU_ASSERT_EQUAL(raw_drain(&raw[1]), RAW_EOF); // It has everything, and does not close.
    CU_ASSERT_EQUAL(kill(child, SIGTERM), 0);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    for (size_t used = 0; size > 0 && used < sizeof(said) - 1;
            used += (size_t)(size > 0 ? size : 0)) {
        size = read(errors[0], said + used, sizeof(said) - 1 - used);
    }

    CU_ASSERT_EQUAL(WEXITSTATUS(status), 2);
    CU_ASSERT_PTR_NOT_NULL(
            strstr(said, "connections are cut: 1 with calls that have not ended, 1 "
                         "whose peers got everything and have not closed; the oldest "
                         "call: run of 127.0.0.1:"));
    (void)close(errors[0]);
    for (uint32_t i = 0; i < 2; i++) {
        raw_close(&raw[i]);
        (void)close(hold_pipe[i]);
        (void)close(held_pipe[i]);
    }
    ear_close(&ear);
}

CU_TestInfo test_notify[] = {
        {"one message", test_notify_one_message},
        {"whose watchdog it is", test_notify_whose_watchdog_it_is},
        {"a service", test_notify_a_service},
        {"what is left", test_notify_what_is_left},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("notify", test_notify)
