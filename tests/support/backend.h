/* SPDX-License-Identifier: MIT */
/*
 * An HTTP server that lies: what takes OTLP, or behaves as if. It answers by a script, on a thread of its
 * own, and keeps what it was asked.
 */
#ifndef CMDI_TESTS_SUPPORT_BACKEND_H
#define CMDI_TESTS_SUPPORT_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum backend_act {
    BACKEND_ANSWER,  // `text` as it is: a whole answer, half of one, or garbage.
    BACKEND_SILENCE, // Nothing, and the connection stays.
};

struct backend_step {
    enum backend_act act;
    const char *text;
    size_t size;   // 0: strlen(text)
    bool is_end;   // The connection is closed behind it.
    bool is_reset; // It is reset, and nothing is answered.
};

#define BACKEND_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct backend;

/** `steps`: for one request after the other; the last one for all that follow. */
struct backend *backend_start(const struct backend_step *steps, size_t count);
void backend_stop(struct backend *backend);
/** "http://127.0.0.1:PORT" */
const char *backend_url(const struct backend *backend);
/** Waits until it has been asked so often. Returns: false: a minute has gone by. */
bool backend_wait(struct backend *backend, uint32_t requests);
uint32_t backend_requests(struct backend *backend);
/** Of the last request: its head, terminated, and its body. Owner: free(). */
char *backend_head(struct backend *backend);
uint8_t *backend_body(struct backend *backend, size_t *size);

#endif
