/* SPDX-License-Identifier: MIT */
#include "support/result_scene.h"

#include <stdlib.h>

#include "server/call.h"
#include "support/harness.h"

struct scene scene;

static void let_in(void (**place)(void))
{
    void (*fn)(void) = *place;
    *place = NULL;
    if (fn != NULL) {
        fn();
    }
}

static int64_t scene_size(
        const struct cmds_codec *self, const struct cmds_type *type, const void *value)
{
    (void)self;
    let_in(&scene.in_size);
    return scene.knows_size ? cmds_codec_msgpack.size(&cmds_codec_msgpack, type, value)
                            : CMDS_E_LIMIT;
}

static int64_t scene_try_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t room)
{
    (void)self;
    let_in(&scene.in_try);
    return cmds_codec_msgpack.try_encode(&cmds_codec_msgpack, type, value, out, room);
}

static uint8_t *scene_encode(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    let_in(&scene.in_encode);
    return cmds_codec_msgpack.encode(&cmds_codec_msgpack, type, value, out, size);
}

static int64_t scene_send_now(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    (void)conn;
    (void)data;
    let_in(&scene.in_send);
    return scene.takes ? (int64_t)size : 0;
}

static void scene_let_go(void)
{
    struct cmds_call *kept = scene.kept;
    scene.kept = NULL;
    cmds_call_unref(kept);
    cmds_call_unref(kept);
}

static void on_cancel(struct cmds_call *call)
{
    ((struct app *)cmds_call_receiver(call))->cancels++;
    if (scene.lets_go) {
        scene_let_go();
    }
}

static int act_keep(struct cmds_call *call, const struct act *act)
{
    (void)act;
    scene.app.kept = cmds_call_ref(call);
    cmds_call_on_cancel(call, on_cancel);
    return 0;
}

void scene_open(void)
{
    scene = (struct scene){.app.act = act_keep, .codec = cmds_codec_msgpack, .knows_size = true};
    scene.codec.size = scene_size;
    scene.codec.try_encode = scene_try_encode;
    scene.codec.encode = scene_encode;
    struct cmds_server_options options = acts_options(&scene.app);
    options.output_size_max = 1024 * 1024;
    options.codec = &scene.codec;
    scene.test = acts_open_with(&options);
    CU_ASSERT_EQUAL(acts_send(scene.test, 1), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(scene.app.kept);
    scene.kept = scene.app.kept;
    scene.connection = scene.kept->connection;
    (void)cmds_call_ref(scene.kept);
    CU_ASSERT_EQUAL(cmds_test_result_count(scene.test), 0);
}

void scene_close(void)
{
    if (scene.kept != NULL) {
        scene_let_go();
    }
    cmds_test_close(scene.test);
}

void scene_send_each(bool takes)
{
    struct cmdi_conn *conn = &scene.connection->conn;
    scene.transport = *conn->transport;
    scene.transport.send_now = scene_send_now;
    scene.takes = takes;
    conn->transport = &scene.transport;
    conn->shard->flush_size = 1;
}

/* On the thread of the shard, or as another one. */
static struct cmdi_shard *scene_enter(bool from_shard)
{
    return cmdi_shard_set_current(from_shard ? scene.connection->conn.shard : NULL);
}

int scene_send_of(struct cmds_call *call, bool from_shard, struct cmds_message message)
{
    struct cmdi_shard *before = scene_enter(from_shard);
    int code = cmds_call_send(call, message);
    (void)cmdi_shard_set_current(before);
    return code;
}

int scene_ask_writable(struct cmds_call *call, cmds_call_fn fn)
{
    struct cmdi_shard *before = scene_enter(false);
    int code = cmds_call_on_writable(call, fn);
    (void)cmdi_shard_set_current(before);
    return code;
}

int scene_send_line(bool from_shard, bool last)
{
    struct line line = {++scene.number, last};
    return scene_send_of(scene.kept, from_shard, line_message(&line));
}

int scene_send_value(bool from_shard, size_t size)
{
    char *text = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    struct value value = {1, {text, size}};
    int code = scene_send_of(scene.kept, from_shard, value_message(&value));
    free(text);
    return code;
}

int scene_send_page(size_t size)
{
    char *text = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    struct page page = {{text, size}, false};
    int code = scene_send_of(scene.kept, false, page_message(&page));
    free(text);
    return code;
}

void scene_shard_sends_last(void)
{
    CU_ASSERT_EQUAL(scene_send_line(true, true), 0);
}
