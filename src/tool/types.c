/* SPDX-License-Identifier: MIT */
/* See types.h. */
#include "types.h"

#include <string.h>

#include "json.h"
#include "options.h"
#include "program.h"

/* What stands behind `prefix` and an underscore. Returns: NULL: it does not begin so. */
static const char *type_behind(const char *tag, const char *prefix)
{
    size_t size = strlen(prefix);
    bool begins = size > 0 && strncmp(tag, prefix, size) == 0 && tag[size] == '_';
    return begins && tag[size + 1] != '\0' ? tag + size + 1 : NULL;
}

const char *cmdi_tool_type_name(const struct cmds_type *type)
{
    const char *tag = type->schema->name;
    const char *protocol = cmdi_tool_program()->protocol->name;
    const char *rest = type_behind(tag, protocol != NULL ? protocol : "");
    rest = rest != NULL ? rest : type_behind(tag, "command");
    rest = rest != NULL ? rest : type_behind(tag, "result");
    return rest != NULL ? rest : tag;
}

bool cmdi_tool_type_is_plain(const struct cmds_type *type)
{
    return type->traces == NULL && type->descriptor == NULL;
}

/* By the tag; else by the short name. */
static const struct cmds_type *type_find(const char *name)
{
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    const struct cmds_type *found = cmds_protocol_command(protocol, name);
    for (uint32_t i = 0; found == NULL && i < protocol->command_count; i++) {
        if (strcmp(cmdi_tool_type_name(protocol->commands[i]), name) == 0) {
            found = protocol->commands[i];
        }
    }
    return found;
}

/* Names those that may have been meant, or, if `all`, each. Returns: how many. */
static uint32_t type_suggest(const struct cmds_type *const *types, uint32_t count, const char *name,
        bool all, uint32_t named)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *short_name = cmdi_tool_type_name(types[i]);
        if (all || cmdi_tool_resembles(name, short_name) ||
                cmdi_tool_resembles(name, types[i]->schema->name)) {
            const char *lead = all ? "; there are " : "; did you mean ";
            fprintf(stderr, "%s%s", named > 0 ? (all ? ", " : " or ") : lead, short_name);
            named++;
        }
    }
    return named;
}

void cmdi_tool_type_unknown(const char *sub, const char *name, bool results)
{
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    fprintf(stderr, "%s %s: no %s \"%s\"", cmdi_tool_name(), sub, results ? "type" : "command",
            name);
    uint32_t result_count = results ? protocol->result_count : 0;
    uint32_t named = 0;
    for (int all = 0; all < 2 && named == 0; all++) {
        named = type_suggest(protocol->commands, protocol->command_count, name, all != 0, 0);
        named = type_suggest(protocol->results, result_count, name, all != 0, named);
    }
    fputc('\n', stderr);
}

const struct cmds_type *cmdi_tool_type_command(const char *sub, const char *name)
{
    const struct cmds_type *type = type_find(name);
    if (type == NULL) {
        cmdi_tool_type_unknown(sub, name, false);
        return NULL;
    }
    if (type->traces != NULL) {
        cmdi_tool_complain(sub, "%s carries %s with the context of a trace: name that one",
                cmdi_tool_type_name(type), cmdi_tool_type_name(type->traces));
        return NULL;
    }
    if (type->descriptor != NULL) {
        cmdi_tool_complain(sub,
                "%s is described to protobuf-c alone, by no rows: there is no JSON for it",
                cmdi_tool_type_name(type));
        return NULL;
    }
    return type;
}

int cmdi_tool_type_read(const char *sub, const struct cmds_type *type, struct cmds_string json,
        struct tool_memory *memory, void *value)
{
    char text[TOOL_JSON_TEXT_SIZE];
    int code =
            cmdi_tool_json_read(type->schema, cmdi_tool_type_name(type), json, memory, value, text);
    if (code < 0) {
        cmdi_tool_complain(sub, "%s", text);
    }
    return code;
}

void cmdi_tool_types_list(FILE *out)
{
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    int width = 0;
    for (uint32_t i = 0; i < protocol->command_count; i++) {
        int size = (int)strlen(cmdi_tool_type_name(protocol->commands[i]));
        width = size > width ? size : width;
    }
    for (uint32_t i = 0; i < protocol->command_count; i++) {
        const struct cmds_type *type = protocol->commands[i];
        if (cmdi_tool_type_is_plain(type)) {
            fprintf(out, "  %-*s ", width, cmdi_tool_type_name(type));
            cmdi_tool_json_write_example(out, type->schema);
            fputc('\n', out);
        }
    }
}
