/* SPDX-License-Identifier: MIT */
/* The table of descriptors of each process: as a kernel has it, the lowest free number is the next. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "sim/process.h"

enum {
    FILES_FIRST = 3, // Below are those of every program.
    // A program that finds no descriptor when it has just begun cannot do anything but end.
    FILES_UNHARMED = 16,
    FILES_CHANCE = 128,
};

void cmdi_file_ref(struct cmdi_file *file)
{
    CMDI_ASSERT(file->refs > 0);
    file->refs++;
}

void cmdi_file_unref(struct cmdi_file *file)
{
    if (file == NULL) {
        return;
    }
    CMDI_ASSERT(file->refs > 0);
    if (--file->refs == 0) {
        file->released(file);
    }
}

static uint32_t files_lowest_free(const struct cmds_sim_process *process)
{
    uint32_t number = FILES_FIRST;
    while (number < process->file_capacity && process->files[number] != NULL) {
        number++;
    }
    return number;
}

static void files_make_room(struct cmds_sim_process *process, uint32_t number)
{
    if (number < process->file_capacity) {
        return;
    }
    uint32_t capacity = number < 32 ? 64 : number * 2;
    process->files = cmdi_sim_realloc(process->files, capacity * sizeof(struct cmdi_file *));
    memset(process->files + process->file_capacity, 0,
            (capacity - process->file_capacity) * sizeof(struct cmdi_file *));
    process->file_capacity = capacity;
}

int cmdi_fd_add(struct cmdi_file *file)
{
    struct cmds_sim_process *process = cmdi_process();
    CMDI_ASSERT(process != NULL && file->refs > 0);
    uint32_t number = files_lowest_free(process);
    process->file_adds++;
    if (number >= cmdi_sim_options()->file_count_max) {
        return -EMFILE;
    }
    if (process->file_adds > FILES_UNHARMED &&
            cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, FILES_CHANCE)) {
        cmdi_sim_trace("no descriptor", number, process->file_count);
        return -EMFILE;
    }
    files_make_room(process, number);
    process->files[number] = file;
    process->file_count++;
    return (int)number;
}

struct cmdi_file *cmdi_fd_get(int fd)
{
    const struct cmds_sim_process *process = cmdi_process();
    bool known = process != NULL && fd >= FILES_FIRST && (uint32_t)fd < process->file_capacity;
    return known ? process->files[fd] : NULL;
}

struct cmdi_file *cmdi_fd_replace(int fd, struct cmdi_file *file)
{
    struct cmdi_file *before = cmdi_fd_get(fd);
    CMDI_ASSERT(before != NULL && file->refs > 0);
    cmdi_process()->files[fd] = file;
    return before;
}

struct cmdi_file *cmdi_fd_take(int fd)
{
    struct cmdi_file *file = cmdi_fd_get(fd);
    if (file == NULL) {
        cmdi_sim_fail("descriptor %d is closed and is not open", fd);
        return NULL;
    }
    struct cmds_sim_process *process = cmdi_process();
    process->files[fd] = NULL;
    process->file_count--;
    return file;
}

void cmdi_files_drop(struct cmds_sim_process *process)
{
    for (uint32_t number = FILES_FIRST; number < process->file_capacity; number++) {
        struct cmdi_file *file = process->files[number];
        process->files[number] = NULL;
        cmdi_file_unref(file);
    }
    cmdi_sim_free(process->files);
    process->files = NULL;
    process->file_capacity = process->file_count = process->file_adds = 0;
}
