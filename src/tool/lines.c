/* SPDX-License-Identifier: MIT */
/* See lines.h. */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINES_ROOM_FIRST = 64 << 10,
};

static bool lines_is_blank(struct cmds_string line)
{
    return strspn(line.data, " \t\r") >= line.size;
}

/* One that has been read. A last line needs no end. Its end becomes a NUL. */
static bool lines_take(struct tool_lines *lines, struct cmds_string *line)
{
    char *begin = lines->data + lines->begin;
    size_t size = lines->end - lines->begin;
    if (size == 0) {
        return false;
    }
    char *end = memchr(begin + lines->seen, '\n', size - lines->seen);
    lines->seen = size;
    if (end == NULL && !lines->over) {
        return false;
    }
    end = end != NULL ? end : begin + size;
    *end = '\0';
    *line = (struct cmds_string){begin, (size_t)(end - begin)};
    lines->begin += line->size + (line->size < size);
    lines->seen = 0;
    lines->number++;
    return true;
}

/* For a read, and for a NUL behind it. */
static int lines_make_room(struct tool_lines *lines)
{
    if (lines->begin > 0) {
        memmove(lines->data, lines->data + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (lines->end + 1 < lines->room) {
        return 0;
    }
    if (lines->room > TOOL_LINE_MAX) {
        return CMDS_E_LIMIT;
    }
    size_t room = lines->room > 0 ? 2 * lines->room : LINES_ROOM_FIRST;
    char *data = realloc(lines->data, room);
    if (data == NULL) {
        return -ENOMEM;
    }
    lines->data = data;
    lines->room = room;
    return 0;
}

/* Returns: 1: there is more; 0: there would be a wait. */
static int lines_read(struct tool_lines *lines, bool may_block)
{
    int code = lines_make_room(lines);
    struct pollfd ready = {.fd = lines->fd, .events = POLLIN};
    if (code < 0 || (!may_block && poll(&ready, 1, 0) <= 0)) {
        return code;
    }
    ssize_t got = read(lines->fd, lines->data + lines->end, lines->room - lines->end - 1);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    }
    lines->over = got == 0;
    lines->end += (size_t)got;
    return 1;
}

int cmdi_tool_lines_next(struct tool_lines *lines, bool may_block, struct cmds_string *line)
{
    for (;;) {
        while (lines_take(lines, line)) {
            if (!lines_is_blank(*line)) {
                return 1;
            }
        }
        if (lines->over) {
            return CMDS_E_EOF;
        }
        int code = lines_read(lines, may_block);
        if (code <= 0) {
            return code;
        }
    }
}

void cmdi_tool_lines_free(struct tool_lines *lines)
{
    free(lines->data);
    lines->data = NULL;
}
