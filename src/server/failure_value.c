/* SPDX-License-Identifier: MIT */
/* See failure_value.h. Any thread. */
#include "server/failure_value.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "common/utf8.h"

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
        const struct cmdi_error_type *failed, struct cmdi_failure_value *value, int64_t code)
{
    uint8_t *at = value->bytes + cmdi_error_code_offset(failed->type);
    int32_t narrow = code < INT32_MIN ? INT32_MIN : code > INT32_MAX ? INT32_MAX : (int32_t)code;
    if (failed->code_size == sizeof(narrow)) {
        memcpy(at, &narrow, sizeof(narrow));
    } else {
        memcpy(at, &code, sizeof(code));
    }
}

struct cmds_message cmdi_failure_message(const struct cmdi_error_type *failed,
        struct cmdi_failure_value *value, int64_t code, const char *text)
{
    size_t size = failure_text(value->text, failed->text_max, text);
    const struct cmds_string string = {value->text, size};
    memset(value->bytes, 0, failed->type->schema->value_size);
    failure_set_code(failed, value, code);
    memcpy(value->bytes + cmdi_error_text_offset(failed->type), &string, sizeof(string));
    return (struct cmds_message){failed->type, value->bytes};
}

const char *cmdi_failure_sentence(int64_t code)
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
    failed->text_max = text->size_max != 0 && text->size_max < CMDI_FAILURE_TEXT_SIZE
                               ? text->size_max
                               : CMDI_FAILURE_TEXT_SIZE - 1;
}

/* It has to fit into a frame, with the longest text that the library may give it. */
static int failure_check_size(struct cmdi_server_core *core, struct cmds_error *error)
{
    const struct cmds_codec *codec = core->options.codec;
    struct cmdi_failure_value value;
    char longest[CMDI_FAILURE_TEXT_SIZE];
    memset(longest, '"', sizeof(longest) - 1); // In JSON it takes two bytes.
    longest[sizeof(longest) - 1] = '\0';
    struct cmds_message message = cmdi_failure_message(&core->failed, &value, INT64_MIN, longest);
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
