/* SPDX-License-Identifier: MIT */
/* What the programs of the world say, see ring/output.h: an event among the others. */
#include "ring/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "sim/scheduler.h"
#include "sim/world.h"

int cmdi_write_now(int fd, const void *data, size_t size)
{
    if (cmdi_sim_thread() == NULL) {
        return write(fd, data, size) < 0 ? -errno : 0;
    }
    const char *text = data;
    size -= size > 0 && text[size - 1] == '\n';
    cmdi_sim_note("%.*s", (int)size, text);
    return 0;
}

const char *cmdi_environment(const char *name)
{
    (void)name;
    return NULL; // No world has one.
}

void cmdi_output_init(void)
{
}

bool cmdi_is_journal(int fd)
{
    (void)fd;
    return false;
}

int cmdi_datagram_now(const char *path, const void *data, size_t size)
{
    (void)path;
    (void)data;
    (void)size;
    return -ENOENT; // No world has anybody there.
}

void cmdi_say(bool wrong, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (cmdi_sim_thread() != NULL) {
        cmdi_sim_note_list(format, list);
    } else {
        FILE *file = wrong ? stderr : stdout;
        (void)vfprintf(file, format, list);
        (void)fputc('\n', file);
    }
    va_end(list);
}
