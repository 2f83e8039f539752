/* SPDX-License-Identifier: MIT */
/*
 * The error result of a call.
 *
 * It has to leave when there is no room, so it is taken beyond the output's bound. That stays a bound,
 * since a call has one at most, of at most 1.5 KiB or so, and above the bound no further command is
 * read: in_flight_max of them. Without any memory the connection is closed, as when a result of
 * another thread finds none: the client then learns that the answer is lost, instead of waiting.
 */
#include "server/failure.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"
#include "common/utf8.h"
#include "server/result.h"

enum {
    FAILURE_TEXT_SIZE = 252, // As of struct cmds_error.
};

/* An error result, and the text that it points to. */
struct failure_value {
    _Alignas(16) uint8_t bytes[CMDI_ERROR_SIZE_MAX];
    char text[FAILURE_TEXT_SIZE];
};

/* Of `from` as much as there is room for, in whole characters. Returns: its size. */
static size_t failure_text(char *to, size_t size_max, const char *from)
{
    const uint8_t *at = (const uint8_t *)from;
    const uint8_t *end = at + strlen(from);
    size_t size = 0;
    while (at < end) {
        unsigned used = cmdi_utf8_size(at, end);
        unsigned step = used > 0 ? used : 1;
        if (size + step > size_max) {
            break;
        }
        memcpy(to + size, at, step);
        if (step == 1) {
            to[size] = used == 0 ? '?' : cmdi_char_defuse(to[size]);
        }
        size += step;
        at += step;
    }
    return size;
}

static void failure_set_code(
        const struct cmdi_error_type *failed, struct failure_value *value, int64_t code)
{
    uint8_t *at = value->bytes + cmdi_error_code_offset(failed->type);
    int32_t narrow = code < INT32_MIN ? INT32_MIN : code > INT32_MAX ? INT32_MAX : (int32_t)code;
    if (failed->code_size == sizeof(narrow)) {
        memcpy(at, &narrow, sizeof(narrow));
    } else {
        memcpy(at, &code, sizeof(code));
    }
}

static struct cmds_message failure_message(const struct cmdi_error_type *failed,
        struct failure_value *value, int64_t code, const char *text)
{
    size_t size = failure_text(value->text, failed->text_max, text);
    const struct cmds_string string = {value->text, size};
    memset(value->bytes, 0, failed->type->schema->value_size);
    failure_set_code(failed, value, code);
    memcpy(value->bytes + cmdi_error_text_offset(failed->type), &string, sizeof(string));
    return (struct cmds_message){failed->type, value->bytes};
}

/* What is said of a code to somebody else: no more than anybody knows. */
static const char *failure_sentence(int64_t code)
{
    bool is_known =
            code >= CMDS_E_MIN_ && code < 0 && strcmp(cmds_error_name((int)code), "unknown") != 0;
    return is_known ? cmds_error_text((int)code) : "the command failed";
}

/* --- The type --------------------------------------------------------------------------------- */

static void failure_take_type(struct cmdi_error_type *failed, const struct cmds_type *type)
{
    const struct cmds_field *code =
            cmdi_schema_field_at(type->schema, cmdi_error_code_offset(type));
    const struct cmds_field *text =
            cmdi_schema_field_at(type->schema, cmdi_error_text_offset(type));
    failed->type = type;
    failed->code_size = code->size;
    failed->text_max = text->size_max != 0 && text->size_max < FAILURE_TEXT_SIZE
                               ? text->size_max
                               : FAILURE_TEXT_SIZE - 1;
}

/* It has to fit into a frame, with the longest text that the library may give it. */
static int failure_check_size(struct cmdi_server_core *core, struct cmds_error *error)
{
    const struct cmds_codec *codec = core->options.codec;
    struct failure_value value;
    char longest[FAILURE_TEXT_SIZE];
    memset(longest, '"', sizeof(longest) - 1); // In JSON it takes two bytes.
    longest[sizeof(longest) - 1] = '\0';
    struct cmds_message message = failure_message(&core->failed, &value, INT64_MIN, longest);
    int64_t size = codec->size(codec, message.type, message.value);
    if (size < 0) {
        return cmdi_fail(error, (int)size, "codec %s: error result %s: %s", codec->name,
                message.type->schema->name, cmds_error_text((int)size));
    }
    return size <= core->options.frame_size_max
                   ? 0
                   : cmdi_fail(error, -EINVAL,
                             "frame_size_max %u: error result %s takes up to %lld bytes",
                             core->options.frame_size_max, message.type->schema->name,
                             (long long)size);
}

int cmdi_failure_init(struct cmdi_server_core *core, struct cmds_error *error)
{
    const struct cmds_protocol *protocol = core->options.protocol;
    for (uint32_t i = 0; i < protocol->result_count; i++) {
        if (cmdi_type_is_error(protocol->results[i])) {
            failure_take_type(&core->failed, protocol->results[i]);
            return failure_check_size(core, error);
        }
    }
    return 0;
}

/* --- Telling ---------------------------------------------------------------------------------- */

static void failure_lost(struct cmds_connection *connection, uint64_t sequence, int code)
{
    if (code < 0 && connection->conn.state == CMDI_CONN_OPEN) {
        cmdi_conn_fail(&connection->conn, code,
                "the error result of command %llu could not be sent: %s",
                (unsigned long long)sequence, cmds_error_text(code));
    }
}

void cmdi_failure_tell(struct cmds_call *call, const struct cmdi_failure *failure)
{
    const struct cmdi_error_type *failed = &call->core->failed;
    if (failed->type == NULL || call->type->one_way != 0 || atomic_load(&call->finished) != 0 ||
            atomic_load(&call->cancelled) != 0 || call->connection->conn.state != CMDI_CONN_OPEN) {
        return;
    }
    struct failure_value value;
    int64_t code = failure->told_code != 0 ? failure->told_code : failure->code;
    const char *text = failure->told != NULL ? failure->told : failure_sentence(code);
    int sent = cmdi_result_send_beyond(call, failure_message(failed, &value, code, text));
    if (sent != CMDS_E_FINISHED && sent != CMDS_E_GONE) {
        failure_lost(call->connection, call->sequence, sent);
    }
}

bool cmdi_failure_tell_unread(struct cmds_connection *connection, const struct cmds_type *command,
        uint64_t sequence, int code)
{
    const struct cmdi_error_type *failed = &connection->server_shard->core->failed;
    if (failed->type == NULL) {
        return false;
    }
    if (command->one_way == 0) {
        struct failure_value value;
        failure_lost(connection, sequence,
                cmdi_result_send_bare(connection, sequence,
                        failure_message(failed, &value, code, failure_sentence(code))));
    }
    return true;
}
