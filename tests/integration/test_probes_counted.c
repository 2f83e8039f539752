/* SPDX-License-Identifier: MIT */
/*
 * What the probes of a program are hit by, as the kernel counts it: what may go wrong is a command that
 * passes none, or two of the same. The program is a copy of this one, so that nobody else runs it; it
 * takes root, and uprobes of tracefs.
 */
#include "support/usdt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/world.h"

enum {
    COMMANDS = 300,
    PATH_SIZE = 256,
    LINE_SIZE = 512,
};

/* --- The program that is looked at ------------------------------------------------------------ */

static int send_commands(uint32_t count)
{
    static struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_sender *sender = NULL;
    struct echo echo = {.int64 = 7};
    world_init(&world);
    int code = world_start(&world);
    options.connect = world.address;
    code = code < 0 ? code : cmds_sender_open(&sender, &options, NULL);
    for (uint32_t i = 0; i < count && code == 0; i++) {
        struct cmds_result *result = NULL;
        code = cmds_sender_send(sender, echo_message(&echo), RAW_GUARD_MS, &result, NULL);
        cmds_result_free(result);
    }
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
    return code < 0 ? 1 : 0;
}

/* --- The kernel ------------------------------------------------------------------------------- */

static char folder[PATH_SIZE], program[PATH_SIZE], group[PATH_SIZE];
static struct usdt found[USDT_MAX];
static int found_count;

/* Returns: 0; -errno. */
static int write_text(const char *name, const char *text)
{
    char path[PATH_SIZE * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int code = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    (void)close(fd);
    return code;
}

/* In a mount namespace of its own, which ends with this process. */
static bool mount_tracefs(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/cmdstream-tracefs-XXXXXX");
    return geteuid() == 0 && mkdtemp(folder) != NULL && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tracefs", folder, "tracefs", 0, NULL) == 0;
}

static void unmount_tracefs(void)
{
    (void)umount2(folder, MNT_DETACH);
    (void)rmdir(folder);
}

static bool copy_program(void)
{
    struct stat status;
    (void)snprintf(program, sizeof(program), "/tmp/cmdstream-probes-%d", (int)getpid());
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(program, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    bool done = from >= 0 && to >= 0 && fstat(from, &status) == 0;
    while (done && lseek(from, 0, SEEK_CUR) < status.st_size) {
        done = sendfile(to, from, NULL, (size_t)status.st_size) > 0;
    }
    (void)close(from);
    (void)close(to);
    return done;
}

/* One event for each place: a probe may have several. */
static int arm(void)
{
    int code = 0;
    (void)snprintf(group, sizeof(group), "cmdstream_%d", (int)getpid());
    for (int i = 0; i < found_count && code == 0; i++) {
        char line[LINE_SIZE * 2];
        (void)snprintf(line, sizeof(line), "p:%s/%s_%d %s:0x%llx\n", group, found[i].name, i,
                program, (unsigned long long)found[i].offset);
        code = strcmp(found[i].provider, "cmdstream") == 0 ? write_text("uprobe_events", line) : 0;
    }
    char enable[LINE_SIZE];
    (void)snprintf(enable, sizeof(enable), "events/%s/enable", group);
    return code < 0 ? code : write_text(enable, "1");
}

static void disarm(void)
{
    char line[LINE_SIZE];
    (void)snprintf(line, sizeof(line), "events/%s/enable", group);
    (void)write_text(line, "0");
    for (int i = 0; i < found_count; i++) {
        (void)snprintf(line, sizeof(line), "-:%s/%s_%d\n", group, found[i].name, i);
        (void)write_text("uprobe_events", line);
    }
}

/* How often all places of a probe were passed. */
static uint64_t hits(const char *name)
{
    char path[PATH_SIZE * 2], line[LINE_SIZE], file[LINE_SIZE], event[LINE_SIZE];
    uint64_t sum = 0;
    (void)snprintf(path, sizeof(path), "%s/uprobe_profile", folder);
    FILE *profile = fopen(path, "re");
    while (profile != NULL && fgets(line, sizeof(line), profile) != NULL) {
        unsigned long long count = 0;
        if (sscanf(line, "%511s %511s %llu", file, event, &count) != 3 ||
                strcmp(file, program) != 0) {
            continue;
        }
        char *number = strrchr(event, '_');
        if (number != NULL && (size_t)(number - event) == strlen(name) &&
                strncmp(event, name, strlen(name)) == 0) {
            sum += count;
        }
    }
    if (profile != NULL) {
        (void)fclose(profile);
    }
    return sum;
}

static int run_program(void)
{
    char count[32];
    int status = -1;
    (void)snprintf(count, sizeof(count), "%d", COMMANDS);
    pid_t child = fork();
    if (child == 0) {
        (void)execl(program, program, "commands", count, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static void test_each_command_passes_each_probe_once(void)
{
    CU_ASSERT_FATAL(copy_program());
    found_count = usdt_read(program, found);
    int armed = found_count > 0 ? arm() : -ENOENT;
    if (armed < 0) {
        disarm();
        unmount_tracefs();
        (void)unlink(program);
        cmdi_test_skip("the kernel takes no uprobes here");
    }

    CU_ASSERT_EQUAL(run_program(), 0);

    CU_ASSERT_EQUAL(hits("command_begin"), COMMANDS);
    CU_ASSERT_EQUAL(hits("command_end"), COMMANDS);
    CU_ASSERT_EQUAL(hits("result_sent"), COMMANDS);
    CU_ASSERT_EQUAL(hits("send"), COMMANDS);
    CU_ASSERT_EQUAL(hits("reply"), COMMANDS);
    CU_ASSERT(hits("turn_end") > 0);
    CU_ASSERT(hits("connection_open") > 0);
    CU_ASSERT_EQUAL(hits("connection_open"), hits("connection_close"));
    disarm();
    (void)unlink(program);
}

CU_TestInfo test_probes_counted[] = {
        {"each command passes each probe once", test_each_command_passes_each_probe_once},
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "commands") == 0) {
        return send_commands((uint32_t)strtoul(argv[2], NULL, 10));
    }
#ifndef CMDSTREAM_HAS_USDT
    cmdi_test_skip("built without probes: sys/sdt.h is not there (systemtap-sdt-dev)");
#endif
    if (!mount_tracefs()) {
        (void)rmdir(folder);
        cmdi_test_skip("tracefs cannot be mounted: it takes root");
    }
    int status = cmdi_test_main("probes_counted", test_probes_counted, argc, argv);
    unmount_tracefs();
    return status;
}
