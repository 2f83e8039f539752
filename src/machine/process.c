/* SPDX-License-Identifier: MIT */
/* The figures of /proc/self. No state; any thread. */
#include "machine/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    PROCESS_TEXT_MAX = 1024, // A line of stat has about 350 bytes.
    PROCESS_STATE = 2, // Fields behind the name in parentheses, counted as proc(5) does from 0.
    PROCESS_USER = 13,
    PROCESS_SYSTEM = 14,
    PROCESS_START = 21,
    PROCESS_VIRTUAL = 22,
    PROCESS_RESIDENT = 23,
};

/* In one read, without memory of its own. */
static int process_stat(char text[PROCESS_TEXT_MAX])
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t size = read(fd, text, PROCESS_TEXT_MAX - 1);
    int code = size < 0 ? -errno : 0;
    (void)close(fd);
    text[size > 0 ? size : 0] = '\0';
    return code;
}

/* The name may hold anything, blanks and parentheses as well: the last one ends it. */
static const char *process_field(const char *text, int field)
{
    const char *at = strrchr(text, ')');
    for (int i = PROCESS_STATE - 1; at != NULL && i < field; i++) {
        at = strchr(at, ' ');
        at = at != NULL ? at + 1 : NULL;
    }
    return at;
}

static uint64_t process_number(const char *text, int field)
{
    const char *at = process_field(text, field);
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static int process_fd_count(uint64_t *count)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return -errno;
    }
    *count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        *count += entry->d_name[0] != '.';
    }
    *count -= *count > 0; // The folder's own.
    (void)closedir(folder);
    return 0;
}

/* Ticks are since the machine began, times without those in which it slept included. */
static double process_start(uint64_t ticks, double per_s)
{
    struct timespec wall, boot;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    double began =
            (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9;
    return began + (double)ticks / per_s;
}

int cmdi_process_read(struct cmdi_process *process)
{
    char text[PROCESS_TEXT_MAX];
    struct cmdi_process now = {0};
    struct rlimit limit = {0};
    int code = process_stat(text);
    code = code < 0 ? code : process_fd_count(&now.fd_count);
    if (code < 0) {
        return code;
    }
    double per_s = (double)sysconf(_SC_CLK_TCK);
    now.cpu_s =
            (double)(process_number(text, PROCESS_USER) + process_number(text, PROCESS_SYSTEM)) /
            per_s;
    now.start_s = process_start(process_number(text, PROCESS_START), per_s);
    now.virtual_size = process_number(text, PROCESS_VIRTUAL);
    now.resident_size = process_number(text, PROCESS_RESIDENT) * (uint64_t)sysconf(_SC_PAGESIZE);
    now.fd_count_max = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (uint64_t)limit.rlim_cur : 0;
    *process = now;
    return 0;
}
