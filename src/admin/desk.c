/* SPDX-License-Identifier: MIT */
/* See desk.h. */
#include "admin/desk.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <microhttpd.h>

#include "admin/common.h"
#include "admin/route.h"

void cmdi_admin_desk_init(struct cmdi_admin_desk *desk)
{
    *desk = (struct cmdi_admin_desk){.served_fd = -1};
    (void)pthread_mutex_init(&desk->lock, NULL); // Cannot fail with default attributes on Linux.
    (void)pthread_cond_init(&desk->changed, NULL);
}

int cmdi_admin_desk_open(struct cmdi_admin_desk *desk)
{
    desk->served_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return desk->served_fd < 0 ? -errno : 0;
}

bool cmdi_admin_desk_resumed(struct cmdi_admin_desk *desk)
{
    uint64_t count = 0;
    return desk->served_fd >= 0 && read(desk->served_fd, &count, sizeof(count)) > 0;
}

/* libmicrohttpd looks for those that were resumed when it runs, and does not always say that it has to. */
static void desk_resume(struct cmdi_admin_desk *desk, struct MHD_Connection *connection)
{
    uint64_t one = 1;
    MHD_resume_connection(connection); // It is the port's from here on.
    ssize_t size = write(desk->served_fd, &one, sizeof(one));
    CMDI_ADMIN_ASSERT(size == (ssize_t)sizeof(one));
}

/* Its place in the queue is free again. */
static struct cmdi_admin_request *desk_pop(struct cmdi_admin_desk *desk)
{
    struct cmdi_admin_request *request = desk->waiting[0];
    desk->waiting_count--;
    memmove(desk->waiting, desk->waiting + 1,
            desk->waiting_count * sizeof(struct cmdi_admin_request *));
    return request;
}

/* Returns: the next one; NULL: it ends. */
static struct cmdi_admin_request *desk_next(struct cmdi_admin_desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    while (!desk->ends && desk->waiting_count == 0) {
        pthread_cond_wait(&desk->changed, &desk->lock);
    }
    struct cmdi_admin_request *request = desk->ends ? NULL : desk_pop(desk);
    pthread_mutex_unlock(&desk->lock);
    return request;
}

void *cmdi_admin_desk_main(void *context)
{
    struct cmdi_admin_desk *desk = context;
    locale_t locale = cmdi_admin_locale_enter();
    for (struct cmdi_admin_request *request; (request = desk_next(desk)) != NULL;) {
        cmdi_admin_serve(request);
        request->is_served = true;
        desk_resume(desk, request->connection);
    }
    cmdi_admin_locale_leave(locale);
    return NULL;
}

bool cmdi_admin_desk_take(struct cmdi_admin_desk *desk, struct cmdi_admin_request *request)
{
    pthread_mutex_lock(&desk->lock);
    bool has_room = desk->waiting_count < CMDI_ADMIN_DESK_MAX;
    if (has_room) {
        MHD_suspend_connection(request->connection);
        desk->waiting[desk->waiting_count++] = request;
        pthread_cond_signal(&desk->changed);
    }
    pthread_mutex_unlock(&desk->lock);
    return has_room;
}

void cmdi_admin_desk_fini(struct cmdi_admin_desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    desk->ends = true;
    pthread_cond_signal(&desk->changed);
    pthread_mutex_unlock(&desk->lock);
    if (desk->has_thread) {
        (void)pthread_join(desk->thread, NULL);
    }
    while (desk->waiting_count > 0) { // libmicrohttpd ends none that is suspended.
        MHD_resume_connection(desk_pop(desk)->connection);
    }
    if (desk->served_fd >= 0) {
        (void)close(desk->served_fd);
        desk->served_fd = -1;
    }
    (void)pthread_cond_destroy(&desk->changed);
    (void)pthread_mutex_destroy(&desk->lock);
}
