/* SPDX-License-Identifier: MIT */
#include "support/tls_wire.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const uint8_t *end_peek(void *context, size_t *size)
{
    struct tls_wire *in = ((struct tls_wire_end *)context)->in;
    *size = in->size - in->at;
    return *size > 0 ? in->data + in->at : NULL;
}

static void end_take(void *context, size_t size)
{
    ((struct tls_wire_end *)context)->in->at += size;
}

static int end_put(void *context, const uint8_t *data, size_t size)
{
    struct tls_wire *out = ((struct tls_wire_end *)context)->out;
    if (size > sizeof(out->data) - out->size) {
        return -ENOMEM;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
    return 0;
}

static void end_count(void *context, enum cmdi_security_event event)
{
    (void)context;
    (void)event;
}

static const struct cmdi_security_io end_io = {end_peek, end_take, end_put, end_count};

bool tls_wire_begin(struct tls_wire_end *end, const char *host)
{
    struct cmdi_security_peer peer = {
            .host = host, .address = end->address != NULL ? end->address : "memory"};
    return end->tls->security->begin(end->tls, &peer, &end_io, end, end->in->data + end->in->at,
                   end->in->size - end->in->at, &end->session, &end->error) == 0;
}

bool tls_wire_step(struct tls_wire_end *end)
{
    return end->tls->security->step(end->session, &end->error) == CMDI_SECURITY_DONE;
}

void tls_wire_end(struct tls_wire_end *end)
{
    if (end->session != NULL) {
        end->tls->security->end(end->session);
        end->session = NULL;
    }
}

/* ---- Over a descriptor ----------------------------------------------------------------------- */

static bool flush(struct tls_wire_end *end, int fd)
{
    struct tls_wire *out = end->out;
    while (out->at < out->size) {
        ssize_t size = write(fd, out->data + out->at, out->size - out->at);
        if (size <= 0) {
            return false;
        }
        out->at += (size_t)size;
    }
    out->at = out->size = 0;
    return true;
}

/* Waits for some. */
static bool fill(struct tls_wire_end *end, int fd)
{
    struct tls_wire *in = end->in;
    memmove(in->data, in->data + in->at, in->size - in->at);
    in->size -= in->at;
    in->at = 0;
    ssize_t size = read(fd, in->data + in->size, sizeof(in->data) - in->size);
    in->size += size > 0 ? (size_t)size : 0;
    return size > 0;
}

bool tls_wire_shake(struct tls_wire_end *end, const char *host, int fd)
{
    const struct cmdi_security *security = end->tls->security;
    while (security->weigh(end->tls, NULL, end->in->data, end->in->size) == CMDI_SECURITY_LACKS) {
        if (!fill(end, fd)) {
            return false;
        }
    }
    bool goes_on = tls_wire_begin(end, host);
    while (goes_on) {
        bool is_done = tls_wire_step(end);
        goes_on = flush(end, fd) && end->error.code == 0;
        if (is_done) {
            return goes_on;
        }
        goes_on = goes_on && fill(end, fd);
    }
    return false;
}

bool tls_wire_send(struct tls_wire_end *end, char byte, int fd)
{
    const uint8_t data = (uint8_t)byte;
    return end->tls->security->seal(end->session, &data, 1, &end->error) == 0 && flush(end, fd);
}

int tls_wire_receive(struct tls_wire_end *end, int fd)
{
    static _Thread_local uint8_t data[CMDI_SECURITY_RECORD_MAX];
    for (;;) {
        size_t size = 0;
        enum cmdi_security_result result =
                end->tls->security->open(end->session, data, sizeof(data), &size, &end->error);
        if (result == CMDI_SECURITY_DATA) {
            return data[0];
        }
        if (result == CMDI_SECURITY_FAILED || result == CMDI_SECURITY_CLOSED ||
                (result != CMDI_SECURITY_SPENT && !fill(end, fd))) {
            return -1;
        }
    }
}
