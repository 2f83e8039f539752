/* SPDX-License-Identifier: MIT */
/* `describe`: what a protocol has, for people and, with --json, for programs. */
#include <stdio.h>
#include <string.h>

#include <cmdstream/codec.h>

#include "common.h"
#include "json.h"
#include "program.h"
#include "rows.h"
#include "types.h"

enum {
    DESCRIBE_KIND_SIZE = 128,
    DESCRIBE_NAME_WIDTH = 20,
    DESCRIBE_KIND_WIDTH = 22,
};

struct describe_options {
    bool json;
};
static const struct tool_option describe_rows[] = {
        TOOL_FLAG(describe_options, "json", json, "print one JSON object"),
};
static const struct tool_command describe_command = {
        .usage = "describe [OPTIONS] [TYPE]",
        .about = "Prints the types of the protocol, or one of them: numbers, fields, limits, which "
                 "result is the last, and\n"
                 "an example in JSON. TYPE is the name of a command or of a result, or the tag of "
                 "its "
                 "struct.\n",
        .notes = "Exit status: 0; 2 a bad argument, or no such type.\n",
        .options = describe_rows,
        .option_count = sizeof(describe_rows) / sizeof(describe_rows[0]),
        .positional_max = 1,
};

/* --- Words ------------------------------------------------------------------------------------ */

static const char *describe_kind_word(uint8_t kind)
{
    static const char *const words[] = {[CMDS_KIND_RESERVED] = "reserved",
            [CMDS_KIND_BOOL] = "bool",
            [CMDS_KIND_I8] = "int8",
            [CMDS_KIND_I16] = "int16",
            [CMDS_KIND_I32] = "int32",
            [CMDS_KIND_I64] = "int64",
            [CMDS_KIND_U8] = "uint8",
            [CMDS_KIND_U16] = "uint16",
            [CMDS_KIND_U32] = "uint32",
            [CMDS_KIND_U64] = "uint64",
            [CMDS_KIND_F32] = "float",
            [CMDS_KIND_F64] = "double",
            [CMDS_KIND_STRING] = "string",
            [CMDS_KIND_BYTES] = "bytes",
            [CMDS_KIND_MAP] = "map of strings",
            [CMDS_KIND_TEXT] = "text",
            [CMDS_KIND_BLOB] = "bytes",
            [CMDS_KIND_STRUCT] = "struct"};
    return kind < sizeof(words) / sizeof(words[0]) ? words[kind] : "unknown";
}

/* "optional array of order_item": what a field is, without its limit. */
static void describe_kind(const struct cmds_field *field, char text[DESCRIBE_KIND_SIZE])
{
    const char *kind =
            field->kind == CMDS_KIND_STRUCT ? field->nested->name : describe_kind_word(field->kind);
    const char *shape = field->shape == CMDS_SHAPE_ARRAY      ? "array of "
                        : field->shape == CMDS_SHAPE_OPTIONAL ? "optional "
                                                              : "";
    snprintf(text, DESCRIBE_KIND_SIZE, "%s%s", shape, kind);
}

/* What a field takes at most, in a word or two; "" if nothing says. */
static void describe_limit(const struct cmds_field *field, char text[DESCRIBE_KIND_SIZE])
{
    const char *unit = field->shape == CMDS_SHAPE_ARRAY ? "elements"
                       : field->kind == CMDS_KIND_MAP   ? "pairs"
                                                        : "bytes";
    text[0] = '\0';
    if (field->kind == CMDS_KIND_TEXT) {
        snprintf(text, DESCRIBE_KIND_SIZE, "at most %u bytes", field->item_size - 1);
    } else if (field->kind == CMDS_KIND_BLOB) {
        snprintf(text, DESCRIBE_KIND_SIZE, "exactly %u bytes", field->item_size);
    } else if (field->size_max > 0) {
        snprintf(text, DESCRIBE_KIND_SIZE, "at most %u %s", field->size_max, unit);
    }
}

static const char *describe_last(const struct cmds_type *type)
{
    for (uint32_t i = 0; i < type->schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(type->schema, i);
        if ((field->flags & CMDS_FIELD_IS_LAST_) != 0) {
            return field->name;
        }
    }
    return NULL;
}

/* --- For people ------------------------------------------------------------------------------- */

static void describe_fields(const struct cmds_schema *schema, int indent)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        char kind[DESCRIBE_KIND_SIZE], limit[DESCRIBE_KIND_SIZE];
        describe_kind(field, kind);
        describe_limit(field, limit);
        bool last = (field->flags & CMDS_FIELD_IS_LAST_) != 0;
        const char *note = last ? "set in the last result" : limit;
        printf("%*s%-*s %-*s%s%s\n", indent, "", DESCRIBE_NAME_WIDTH - indent,
                field->kind == CMDS_KIND_RESERVED ? "-" : field->name,
                note[0] != '\0' ? DESCRIBE_KIND_WIDTH : 0, kind, note[0] != '\0' ? " " : "", note);
        if (field->kind == CMDS_KIND_STRUCT) {
            describe_fields(field->nested, indent + 2);
        }
    }
}

static void describe_flags(const struct cmds_type *type)
{
    if (type->traces != NULL) {
        printf(", %s with the context of a trace", cmdi_tool_type_name(type->traces));
    }
    if (type->role == CMDS_ROLE_COMMAND) {
        printf("%s%s\n", type->one_way ? ", one way: no result comes" : "",
                (type->flags & CMDS_TYPE_IDEMPOTENT) != 0 ? ", idempotent" : "");
        return;
    }
    const char *field = describe_last(type);
    if (type->last == CMDS_LAST_NEVER_) {
        puts(", never the last");
    } else if (type->last == CMDS_LAST_BY_VALUE_) {
        puts(", its value says whether it is the last");
    } else if (field != NULL) {
        printf(", the last if \"%s\" is set\n", field);
    } else {
        puts(", always the last");
    }
}

static void describe_type(const struct cmds_type *type)
{
    bool command = type->role == CMDS_ROLE_COMMAND;
    printf("%s %s (%s), number %u", command ? "command" : "result", cmdi_tool_type_name(type),
            type->schema->name, type->number);
    describe_flags(type);
    if (type->descriptor != NULL) {
        puts("  its fields are those of a protobuf-c descriptor");
        return;
    }
    describe_fields(type->schema, 2);
    printf("  %-*s ", DESCRIBE_NAME_WIDTH - 2, "example");
    cmdi_tool_json_write_example(stdout, type->schema);
    fputc('\n', stdout);
}

/* --- For programs ----------------------------------------------------------------------------- */

static void describe_json_text(const char *name, const char *text)
{
    printf("\"%s\":", name);
    (void)cmdi_tool_json_write_string(stdout, cmds_string_from(text));
}

static void describe_json_fields(const struct cmds_schema *schema);

static void describe_json_field(const struct cmds_field *field)
{
    static const char *const shapes[] = {"one", "array", "optional"};
    fputc('{', stdout);
    describe_json_text("name", field->name);
    fputc(',', stdout);
    describe_json_text("kind", describe_kind_word(field->kind));
    fputc(',', stdout);
    describe_json_text("shape", shapes[field->shape]);
    if (field->kind == CMDS_KIND_TEXT || field->kind == CMDS_KIND_BLOB) {
        printf(",\"%s\":%u", field->kind == CMDS_KIND_TEXT ? "max" : "size",
                field->item_size - (field->kind == CMDS_KIND_TEXT));
    } else if (field->size_max > 0) {
        printf(",\"max\":%u", field->size_max);
    }
    if (field->kind == CMDS_KIND_STRUCT) {
        fputc(',', stdout);
        describe_json_text("struct", field->nested->name);
        fputc(',', stdout);
        describe_json_fields(field->nested);
    }
    fputc('}', stdout);
}

static void describe_json_fields(const struct cmds_schema *schema)
{
    fputs("\"fields\":[", stdout);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        fputs(i == 0 ? "" : ",", stdout);
        describe_json_field(cmds_schema_field(schema, i));
    }
    fputc(']', stdout);
}

static void describe_json_rules(const struct cmds_type *type)
{
    const char *field = describe_last(type);
    if (type->role == CMDS_ROLE_COMMAND) {
        printf(",\"one_way\":%s,\"idempotent\":%s,\"traces\":", type->one_way ? "true" : "false",
                (type->flags & CMDS_TYPE_IDEMPOTENT) != 0 ? "true" : "false");
        if (type->traces == NULL) {
            fputs("null", stdout);
        } else {
            (void)cmdi_tool_json_write_string(stdout, cmds_string_from(type->traces->schema->name));
        }
        return;
    }
    fputc(',', stdout);
    describe_json_text("last", type->last == CMDS_LAST_NEVER_      ? "never"
                               : type->last == CMDS_LAST_BY_VALUE_ ? "value"
                               : field != NULL                     ? "field"
                                                                   : "always");
    if (field != NULL) {
        fputc(',', stdout);
        describe_json_text("last_field", field);
    }
}

static void describe_json_type(const struct cmds_type *type)
{
    fputc('{', stdout);
    describe_json_text("name", cmdi_tool_type_name(type));
    fputc(',', stdout);
    describe_json_text("tag", type->schema->name);
    printf(",\"role\":\"%s\",\"number\":%u", type->role == CMDS_ROLE_COMMAND ? "command" : "result",
            type->number);
    describe_json_rules(type);
    printf(",\"descriptor\":%s,", type->descriptor != NULL ? "true" : "false");
    describe_json_fields(type->schema);
    fputs(",\"example\":", stdout);
    cmdi_tool_json_write_example(stdout, type->schema);
    fputc('}', stdout);
}

/* --- Which ------------------------------------------------------------------------------------ */

static bool describe_is(const struct cmds_type *type, const char *name)
{
    return name == NULL || strcmp(type->schema->name, name) == 0 ||
           strcmp(cmdi_tool_type_name(type), name) == 0;
}

/* Those of one list that have the name. Returns: how many there have been, `count` before them. */
static uint32_t describe_list(const struct cmds_type *const *types, uint32_t type_count,
        const char *name, bool json, uint32_t count)
{
    for (uint32_t i = 0; i < type_count; i++) {
        if (!describe_is(types[i], name)) {
            continue;
        }
        if (json) {
            fputs(count == 0 ? "" : ",", stdout);
            describe_json_type(types[i]);
        } else {
            fputs(count == 0 && name != NULL ? "" : "\n", stdout);
            describe_type(types[i]);
        }
        count++;
    }
    return count;
}

static bool describe_has(const struct cmds_protocol *protocol, const char *name)
{
    for (uint32_t i = 0; i < protocol->command_count; i++) {
        if (describe_is(protocol->commands[i], name)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < protocol->result_count; i++) {
        if (describe_is(protocol->results[i], name)) {
            return true;
        }
    }
    return false;
}

int cmdi_tool_describe(int argc, char **argv)
{
    struct describe_options options = {0};
    struct tool_line line;
    int status = cmdi_tool_options_parse(&describe_command, argc, argv, &options, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    const char *name = line.positional < argc ? argv[line.positional] : NULL;
    if (name != NULL && !describe_has(protocol, name)) {
        cmdi_tool_type_unknown("describe", name, true);
        return TOOL_EXIT_USAGE;
    }
    if (options.json) {
        fputc('{', stdout);
        describe_json_text("protocol", protocol->name);
        fputs(",\"types\":[", stdout);
    } else if (name == NULL) {
        printf("protocol %s: %u command%s, %u result%s\n", protocol->name, protocol->command_count,
                cmdi_tool_plural(protocol->command_count), protocol->result_count,
                cmdi_tool_plural(protocol->result_count));
    }
    uint32_t count =
            describe_list(protocol->commands, protocol->command_count, name, options.json, 0);
    (void)describe_list(protocol->results, protocol->result_count, name, options.json, count);
    fputs(options.json ? "]}\n" : "", stdout);
    return TOOL_EXIT_OK;
}
