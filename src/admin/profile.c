/* SPDX-License-Identifier: MIT */
/*
 * The page /profile. There is no profiler in here, and nothing is forked: perf and bpftrace look at the
 * process from outside, and this page prints the lines to type.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/pages.h"

enum {
    PROFILE_THREADS_MAX = 256, // That are named; all of them are counted.
    PROFILE_NAME_SIZE = 16,    // What the kernel keeps.
};

struct profile_thread {
    int id;
    char name[PROFILE_NAME_SIZE];
};

struct profile {
    uint32_t count, shard_count; // Those of this library's, shards first.
    struct profile_thread threads[PROFILE_THREADS_MAX];
};

/* Returns: false: it has ended. */
static bool thread_name(int tasks_fd, const char *task, char name[PROFILE_NAME_SIZE])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%.40s/comm", task);
    int fd = openat(tasks_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, name, PROFILE_NAME_SIZE);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (size <= 0) {
        return false;
    }
    name[size - 1] = '\0'; // It was an end of line.
    return true;
}

static int compare_threads(const void *a, const void *b)
{
    const struct profile_thread *one = a, *other = b;
    bool is_shard = strncmp(one->name, "cmds-shard", 10) == 0;
    bool other_is = strncmp(other->name, "cmds-shard", 10) == 0;
    return is_shard != other_is ? (is_shard ? -1 : 1)
                                : (one->id > other->id) - (one->id < other->id);
}

static void profile_read(struct profile *profile)
{
    *profile = (struct profile){0};
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry = tasks == NULL ? NULL : readdir(tasks);
    for (; entry != NULL && profile->count < PROFILE_THREADS_MAX; entry = readdir(tasks)) {
        struct profile_thread *thread = &profile->threads[profile->count];
        if (entry->d_name[0] != '.' && thread_name(dirfd(tasks), entry->d_name, thread->name) &&
                strncmp(thread->name, "cmds-", 5) == 0) {
            thread->id = atoi(entry->d_name);
            profile->shard_count += strncmp(thread->name, "cmds-shard", 10) == 0;
            profile->count++;
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    qsort(profile->threads, profile->count, sizeof(profile->threads[0]), compare_threads);
}

/* "perf ... -t 12,13 ...": of the shards; where the caller is the shard, of the process. */
static void write_command(struct cmdi_admin_out *out, const struct profile *profile, uint32_t which)
{
    static const char *const before[] = {"perf top -g ", "perf record -F 99 -g ", "perf stat -d ",
            "bpftrace -e 'profile:hz:99 /pid == "};
    static const char *const after[] = {
            "", " -- sleep 10 && perf report", " -- sleep 10", "/ { @[comm, ustack] = count(); }'"};
    cmdi_admin_out_text(out, before[which]);
    if (which == 3) {
        cmdi_admin_out_format(out, "%d", (int)getpid());
    } else if (profile->shard_count == 0) {
        cmdi_admin_out_format(out, "-p %d", (int)getpid());
    } else {
        for (uint32_t i = 0; i < profile->shard_count; i++) {
            cmdi_admin_out_format(out, "%s%d", i == 0 ? "-t " : ",", profile->threads[i].id);
        }
    }
    cmdi_admin_out_text(out, after[which]);
}

static void profile_text(struct cmdi_admin_out *out, const struct profile *profile)
{
    cmdi_admin_out_text(out, "Threads:\n");
    for (uint32_t i = 0; i < profile->count; i++) {
        cmdi_admin_out_format(out, "%8d  ", profile->threads[i].id);
        cmdi_admin_out_plain(out, cmds_string_from(profile->threads[i].name));
        cmdi_admin_out_text(out, "\n");
    }
    cmdi_admin_out_text(out, "\nOn this machine, as root:\n");
    for (uint32_t i = 0; i < 4; i++) {
        cmdi_admin_out_text(out, "  ");
        write_command(out, profile, i);
        cmdi_admin_out_text(out, "\n");
    }
}

static void profile_json(struct cmdi_admin_out *out, const struct profile *profile)
{
    cmdi_admin_out_format(out, "{\"pid\":%d,\"threads\":[", (int)getpid());
    for (uint32_t i = 0; i < profile->count; i++) {
        cmdi_admin_out_format(
                out, "%s{\"tid\":%d,\"name\":", i == 0 ? "" : ",", profile->threads[i].id);
        cmdi_admin_out_json(out, cmds_string_from(profile->threads[i].name));
        cmdi_admin_out_text(out, "}");
    }
    cmdi_admin_out_text(out, "],\"commands\":[");
    for (uint32_t i = 0; i < 4; i++) {
        struct cmdi_admin_out line = {0};
        write_command(&line, profile, i);
        cmdi_admin_out_text(out, i == 0 ? "" : ",");
        cmdi_admin_out_json(out, (struct cmds_string){line.data, line.size});
        out->failed |= line.failed;
        cmdi_admin_out_free(&line);
    }
    cmdi_admin_out_text(out, "]}\n");
}

void cmdi_admin_page_profile(struct cmdi_admin_request *request)
{
    struct profile profile;
    profile_read(&profile);
    if (request->form == CMDI_ADMIN_JSON) {
        profile_json(&request->out, &profile);
    } else {
        profile_text(&request->out, &profile);
    }
}
