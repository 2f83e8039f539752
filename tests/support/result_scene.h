/* SPDX-License-Identifier: MIT */
/*
 * A call that is kept by its shard and by another thread, and its server's codec and transport: where a send calls
 * them, which it does without a lock, a test lets others do something. There is one thread: "elsewhere" is what is
 * sent while it is no shard's.
 */
#ifndef CMDI_TESTS_SUPPORT_RESULT_SCENE_H
#define CMDI_TESTS_SUPPORT_RESULT_SCENE_H

#include "conn/parts.h"
#include "support/acts.h"

struct scene {
    struct app app;
    struct cmds_test *test;
    struct cmds_call *kept; // By its shard and by the other thread.
    struct cmds_connection *connection;
    struct cmds_codec codec;
    struct cmdi_transport transport;
    // What others do in there, once.
    void (*in_size)(void), (*in_try)(void), (*in_encode)(void), (*in_send)(void);
    bool takes;      // What is sent to the peer; else it waits.
    bool lets_go;    // on_cancel lets go of the call, as programs do.
    bool knows_size; // Else the codec refuses to tell one.
    int64_t number;  // Of the last line.
    int code;        // Of what others do.
};

extern struct scene scene;

/** Opens it, and sends the command of the call that is kept. app.act keeps the next ones, in app.kept. */
void scene_open(void);
/** Lets go of the call if it is kept still. */
void scene_close(void);
/** From here on each frame is sent at once, if the peer takes it. */
void scene_send_each(bool takes);

/** Returns: as cmds_call_send(). */
int scene_send_of(struct cmds_call *call, bool from_shard, struct cmds_message message);
/** Of the call that is kept, as the next ones. A line has the next number. */
int scene_send_line(bool from_shard, bool last);
/** A last one, of so many bytes. */
int scene_send_value(bool from_shard, size_t size);
/** Not a last one, elsewhere. */
int scene_send_page(size_t size);
/** Elsewhere. Returns: as cmds_call_on_writable(). */
int scene_ask_writable(struct cmds_call *call, cmds_call_fn fn);
/** For the places above: the shard sends the last one. */
void scene_shard_sends_last(void);

#endif
