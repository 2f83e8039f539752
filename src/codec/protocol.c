/* SPDX-License-Identifier: MIT */
/*
 * The checks that every start and open runs over the tables of a protocol, and the tables made from
 * it.
 *
 * The macros of schema.h make most contradictions impossible; what is left can be seen only here,
 * where all rows are together, or comes from tables written by hand. A refusal names the type and
 * the field. The checks recurse over nested schemas, never over input; a schema that contains
 * itself is refused by its depth before anything else walks it.
 */
#include "codec/protocol.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"
#include "codec/value.h"

enum {
    CMDI_STRUCT_SIZE_MAX = 4096 // Of a table's row: a newer header's is longer, but not that much.
};

#define TOO_NEW "%s %s: has something that this library (%s, older than the header) does not know"

/* --- One field -------------------------------------------------------------------------------- */

/* Where a row stands, for the sentence that refuses it. */
struct place {
    const struct cmds_schema *schema;
    const struct cmds_field *field;
    struct cmds_error *error;
};

#define REFUSE(place, format, ...)                                                                 \
    cmdi_fail((place)->error, CMDS_E_SCHEMA, "struct %s, field %s: " format,                       \
            (place)->schema->name, (place)->field->name, __VA_ARGS__)

/* Bytes of one item in memory; 0 where the row decides. */
static uint32_t kind_size(uint8_t kind)
{
    static const uint8_t sizes[] = {
            [CMDS_KIND_BOOL] = sizeof(bool),
            [CMDS_KIND_I8] = 1,
            [CMDS_KIND_I16] = 2,
            [CMDS_KIND_I32] = 4,
            [CMDS_KIND_I64] = 8,
            [CMDS_KIND_U8] = 1,
            [CMDS_KIND_U16] = 2,
            [CMDS_KIND_U32] = 4,
            [CMDS_KIND_U64] = 8,
            [CMDS_KIND_F32] = sizeof(float),
            [CMDS_KIND_F64] = sizeof(double),
            [CMDS_KIND_STRING] = sizeof(struct cmds_string),
            [CMDS_KIND_BYTES] = sizeof(struct cmds_bytes),
            [CMDS_KIND_MAP] = sizeof(struct cmds_map),
            [CMDS_KIND_STRUCT] = 0,
    };
    return sizes[kind];
}

static uint32_t schema_align(const struct cmds_schema *schema);

static uint32_t field_align(const struct cmds_field *field)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return _Alignof(void *);
    }
    switch (field->kind) {
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
    case CMDS_KIND_MAP:
        return _Alignof(void *);
    case CMDS_KIND_TEXT:
    case CMDS_KIND_BLOB:
    case CMDS_KIND_RESERVED:
        return 1;
    case CMDS_KIND_STRUCT:
        return schema_align(field->nested);
    default:
        return kind_size(field->kind);
    }
}

/* Of the struct itself. */
static uint32_t schema_align(const struct cmds_schema *schema)
{
    uint32_t align_max = 1;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        uint32_t align = field_align(cmds_schema_field(schema, i));
        align_max = align > align_max ? align : align_max;
    }
    return align_max;
}

static int item_check(const struct place *place)
{
    const struct cmds_field *field = place->field;
    uint32_t size = kind_size(field->kind);
    if (field->kind == CMDS_KIND_STRUCT) {
        if (field->nested == NULL) {
            return REFUSE(place, "%s", "no schema is given for the struct it holds");
        }
        size = field->nested->value_size;
    }
    if (field->item_size == 0 || (size != 0 && size != field->item_size)) {
        return REFUSE(place, "item_size is %u; it should be %u", field->item_size, size);
    }
    bool has_length = field->shape == CMDS_SHAPE_ARRAY || field->kind == CMDS_KIND_STRING ||
                      field->kind == CMDS_KIND_BYTES || field->kind == CMDS_KIND_MAP ||
                      field->kind == CMDS_KIND_TEXT;
    if (field->size_max != 0 && !has_length) {
        return REFUSE(place, "%s", "has a CMDS_MAX but no length that could be limited");
    }
    return 0;
}

static int shape_check(const struct place *place)
{
    const struct cmds_field *field = place->field;
    uint32_t size = field->size;
    switch (field->shape) {
    case CMDS_SHAPE_ONE:
        size = field->item_size;
        break;
    case CMDS_SHAPE_ARRAY:
        size = sizeof(struct cmdi_array);
        if (field->kind == CMDS_KIND_TEXT || field->kind == CMDS_KIND_BLOB) {
            return REFUSE(place, "%s",
                    "arrays of text or of blobs are not carried; use cmds_string or cmds_bytes");
        }
        break;
    case CMDS_SHAPE_OPTIONAL:
        if (field->item_offset < sizeof(bool) || field->item_offset > size ||
                field->item_size > size - field->item_offset) {
            return REFUSE(place, "%s", "the optional's value lies outside of it");
        }
        break;
    default:
        return REFUSE(place, "shape %u is unknown to this library", field->shape);
    }
    if (field->size != size) {
        return REFUSE(place, "size is %u; it should be %u", field->size, size);
    }
    if (field->size > place->schema->value_size ||
            field->offset > place->schema->value_size - field->size) {
        return REFUSE(place, "lies outside of the struct's %u bytes", place->schema->value_size);
    }
    return 0;
}

static int name_check(const struct place *place, uint32_t index)
{
    const char *name = place->field->name;
    if (name == NULL || name[0] == '\0') {
        return cmdi_fail(place->error, CMDS_E_SCHEMA, "struct %s: field %u has no name",
                place->schema->name, index);
    }
    const uint32_t counted = place->field->name_size;
    if (counted != 0 && counted != strlen(name)) {
        return REFUSE(place, "name_size is %u; it should be %zu, or 0", counted, strlen(name));
    }
    for (uint32_t i = 0; i < index; i++) {
        const struct cmds_field *other = cmds_schema_field(place->schema, i);
        if (other->kind != CMDS_KIND_RESERVED && strcmp(other->name, name) == 0) {
            return cmdi_fail(place->error, CMDS_E_SCHEMA,
                    "struct %s: two fields are named %s on the wire", place->schema->name, name);
        }
    }
    return 0;
}

static int schema_check(const struct cmds_schema *schema, uint32_t depth, struct cmds_error *error);

static int field_check(const struct place *place, uint32_t index, uint32_t depth)
{
    const struct cmds_field *field = place->field;
    if (!cmdi_is_zero(field, sizeof(*field), place->schema->field_stride)) {
        return cmdi_fail(place->error, CMDS_E_SCHEMA,
                "struct %s: field %u has something that this library (%s, older than the header) "
                "does not know",
                place->schema->name, index, CMDS_VERSION);
    }
    if (field->kind > CMDS_KIND_STRUCT) {
        return cmdi_fail(place->error, CMDS_E_SCHEMA,
                "struct %s: kind %u of field %u is unknown to this library", place->schema->name,
                field->kind, index);
    }
    if (field->kind == CMDS_KIND_RESERVED) {
        return 0;
    }
    int code = name_check(place, index);
    code = code < 0 ? code : item_check(place);
    code = code < 0 ? code : shape_check(place);
    if (code < 0) {
        return code;
    }
    if ((field->flags & ~CMDS_FIELD_IS_LAST_) != 0) {
        return REFUSE(place, "has flags 0x%x, of which this library knows 0x%x only", field->flags,
                (unsigned)CMDS_FIELD_IS_LAST_);
    }
    if ((field->flags & CMDS_FIELD_IS_LAST_) &&
            (field->kind != CMDS_KIND_BOOL || field->shape != CMDS_SHAPE_ONE)) {
        return REFUSE(place, "%s", "marks the last result: it must be a bool");
    }
    uint32_t levels =
            (field->shape == CMDS_SHAPE_ARRAY ? 1u : 0u) + (field->kind == CMDS_KIND_MAP ? 1u : 0u);
    if (depth + levels > CMDI_DEPTH_MAX) {
        return REFUSE(place, "nests more than %d levels deep, or contains itself", CMDI_DEPTH_MAX);
    }
    return field->kind == CMDS_KIND_STRUCT
                   ? schema_check(field->nested, depth + levels + 1, place->error)
                   : 0;
}

/* --- A struct --------------------------------------------------------------------------------- */

static const struct cmds_field *field_after(
        const struct cmds_schema *schema, const struct cmds_field *last)
{
    const struct cmds_field *next = NULL;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        bool after = last == NULL || field->offset > last->offset ||
                     (field->offset == last->offset && field > last);
        if (field->kind != CMDS_KIND_RESERVED && after &&
                (next == NULL || field->offset < next->offset)) {
            next = field;
        }
    }
    return next;
}

/*
 * Every byte belongs to one field or is padding: a gap as wide as the alignment of what follows
 * holds a forgotten member.
 */
static int cover_check(const struct cmds_schema *schema, struct cmds_error *error)
{
    uint32_t covered = 0;
    const struct cmds_field *last = NULL;
    const struct cmds_field *next = field_after(schema, NULL);
    if (next == NULL) {
        return 0; // Empty, or everything was removed: C has no struct without a member.
    }
    while (covered < schema->value_size) {
        uint32_t until = next != NULL ? next->offset : schema->value_size;
        uint32_t align = next != NULL ? field_align(next) : schema_align(schema);
        if (until < covered) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "struct %s: fields %s and %s lie over each other", schema->name, last->name,
                    next->name);
        }
        if (until - covered >= align) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "struct %s: bytes %u to %u belong to no field; was a member forgotten?",
                    schema->name, covered, until - 1);
        }
        if (next == NULL) {
            return 0;
        }
        covered = next->offset + next->size;
        last = next;
        next = field_after(schema, last);
    }
    if (next != NULL) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "struct %s: fields %s and %s lie over each other",
                schema->name, last->name, next->name);
    }
    return 0;
}

/*
 * Of a row or a struct that another version's header has made: none is shorter than in 0.1, and what
 * is longer than ours means nothing that we would have to know.
 */
static bool stride_is_sane(uint32_t size, size_t least)
{
    return size >= least && size <= CMDI_STRUCT_SIZE_MAX && size % _Alignof(void *) == 0;
}

static int schema_check(const struct cmds_schema *schema, uint32_t depth, struct cmds_error *error)
{
    if (!stride_is_sane(schema->struct_size, sizeof(*schema)) || schema->name == NULL ||
            schema->name[0] == '\0') {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "a schema without size or name, or of a header before 0.1: make it with "
                "CMDS_SCHEMA, "
                "and compile it anew");
    }
    if (!cmdi_is_zero(schema, sizeof(*schema), schema->struct_size)) {
        return cmdi_fail(error, CMDS_E_SCHEMA, TOO_NEW, "struct", schema->name, CMDS_VERSION);
    }
    if (!stride_is_sane(schema->field_stride, sizeof(struct cmds_field)) ||
            schema->field_count > CMDI_FIELD_COUNT_MAX ||
            (schema->field_count > 0 && schema->fields == NULL)) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "struct %s: %u fields with a stride of %u: make it with CMDS_SCHEMA", schema->name,
                schema->field_count, schema->field_stride);
    }
    if (schema->value_size == 0 || schema->value_size > CMDI_VALUE_SIZE_MAX) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "struct %s has %u bytes; 1 to %d are carried",
                schema->name, schema->value_size, CMDI_VALUE_SIZE_MAX);
    }
    if (depth > CMDI_DEPTH_MAX) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "struct %s nests more than %d levels deep, or contains itself", schema->name,
                CMDI_DEPTH_MAX);
    }
    for (uint32_t i = 0; i < schema->field_count; i++) {
        struct place place = {schema, cmds_schema_field(schema, i), error};
        int code = field_check(&place, i, depth);
        if (code < 0) {
            return code;
        }
    }
    return cover_check(schema, error);
}

/* --- Types ------------------------------------------------------------------------------------ */

static uint32_t last_offset_of(const struct cmds_type *type)
{
    if (type->last == CMDS_LAST_NEVER_) {
        return CMDI_LAST_NEVER;
    }
    if (type->last == CMDS_LAST_BY_VALUE_) {
        return CMDI_LAST_ASK;
    }
    for (uint32_t i = 0; i < type->schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(type->schema, i);
        if (field->flags & CMDS_FIELD_IS_LAST_) {
            return field->offset;
        }
    }
    return cmdi_type_is_error(type) ? CMDI_LAST_ERROR : CMDI_LAST_ALWAYS;
}

static int last_check(const struct cmds_type *type, struct cmds_error *error)
{
    const char *name = type->schema->name;
    uint32_t marked = 0;
    for (uint32_t i = 0; i < type->schema->field_count; i++) {
        marked += (cmds_schema_field(type->schema, i)->flags & CMDS_FIELD_IS_LAST_) != 0;
    }
    if (type->role == CMDS_ROLE_COMMAND &&
            (marked > 0 || type->last != CMDS_LAST_BY_FIELD_ || type->is_last != NULL)) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "command %s says which one is the last; only results do", name);
    }
    if (marked > 1) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "result %s has %u CMDS_LAST members; one decides",
                name, marked);
    }
    if (type->last > CMDS_LAST_BY_VALUE_ ||
            (type->last == CMDS_LAST_BY_VALUE_) != (type->is_last != NULL)) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "result %s: its last rule and its is_last function contradict each other", name);
    }
    if (marked > 0 && type->last != CMDS_LAST_BY_FIELD_) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "result %s has a CMDS_LAST member that its last rule overrides", name);
    }
    return 0;
}

static int type_check(const struct cmds_type *type, uint8_t role, struct cmds_error *error)
{
    const char *list = role == CMDS_ROLE_COMMAND ? "commands" : "results";
    const size_t least = offsetof(struct cmds_type, descriptor_name);
    if (type == NULL || !stride_is_sane(type->struct_size, least) || type->schema == NULL) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "the list of %s has an entry that is no type: make it with a macro", list);
    }
    int code = schema_check(type->schema, 1, error);
    if (code < 0) {
        return code;
    }
    if (!cmdi_is_zero(type, sizeof(*type), type->struct_size)) {
        return cmdi_fail(error, CMDS_E_SCHEMA, TOO_NEW, "type", type->schema->name, CMDS_VERSION);
    }
    const unsigned known = CMDS_TYPE_IDEMPOTENT | CMDS_TYPE_ERROR;
    if ((type->flags & ~known) != 0 || (type->error_members != 0 && !cmdi_type_is_error(type))) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "type %s: flags 0x%x, error_members 0x%x: this library (%s) does not know such a "
                "flag",
                type->schema->name, type->flags, type->error_members, CMDS_VERSION);
    }
    if (type->role != role) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "%s is in the list of %s and is none",
                type->schema->name, list);
    }
    if (cmdi_type_is_error(type)) {
        code = cmdi_error_type_check(type, error);
        if (code < 0) {
            return code;
        }
    }
    if ((type->one_way != 0 || (type->flags & CMDS_TYPE_IDEMPOTENT) != 0) &&
            role == CMDS_ROLE_RESULT) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "result %s is %s; only commands are",
                type->schema->name, type->one_way != 0 ? "one-way" : "idempotent");
    }
    if (cmdi_type_traces(type) != NULL && role == CMDS_ROLE_RESULT) {
        return cmdi_fail(
                error, CMDS_E_SCHEMA, "result %s is traced; only commands are", type->schema->name);
    }
    return last_check(type, error);
}

/* A map that may be absent, and the command, whose flags are its own. */
static bool traced_has_form(const struct cmds_type *type, const struct cmds_type *command)
{
    const struct cmds_schema *schema = type->schema;
    if (schema->field_count != 2 || schema->value_size > CMDI_TRACED_SIZE_MAX) {
        return false;
    }
    const struct cmds_field *carrier = cmdi_traced_carrier(type);
    const struct cmds_field *field = cmdi_traced_command(type);
    return carrier->kind == CMDS_KIND_MAP && carrier->shape == CMDS_SHAPE_OPTIONAL &&
           field->kind == CMDS_KIND_STRUCT && field->shape == CMDS_SHAPE_ONE &&
           type->descriptor == NULL && command->descriptor == NULL &&
           cmdi_schema_same(field->nested, command->schema) && type->one_way == command->one_way &&
           type->flags == command->flags;
}

/* Each traced type carries another command of the list. */
static int traced_check(const struct cmds_protocol *protocol, struct cmds_error *error)
{
    for (uint32_t i = 0; i < protocol->command_count; i++) {
        const struct cmds_type *type = protocol->commands[i];
        const struct cmds_type *traces = cmdi_type_traces(type);
        uint32_t count = 0;
        bool listed = false;
        for (uint32_t k = 0; traces != NULL && k < protocol->command_count; k++) {
            const struct cmds_type *other = protocol->commands[k];
            const struct cmds_type *others = cmdi_type_traces(other);
            listed |= others == NULL && cmdi_type_same(other, traces);
            count += others != NULL && others->number == traces->number;
        }
        if (traces != NULL && !listed) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "%s is a traced command whose own is not in the list", type->schema->name);
        }
        if (traces != NULL && count > 1) {
            return cmdi_fail(error, CMDS_E_SCHEMA, "%s has %u traced types; one carries it",
                    traces->schema->name, count);
        }
        if (traces != NULL && !traced_has_form(type, traces)) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "%s is no optional map and the struct of %s behind it: make it with "
                    "CMDS_TRACED",
                    type->schema->name, traces->schema->name);
        }
    }
    return 0;
}

static int types_check(const struct cmds_type *const *types, uint32_t count, uint8_t role,
        struct cmds_error *error)
{
    if (count > 0 && types == NULL) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "%u types and no list of them", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        int code = type_check(types[i], role, error);
        if (code < 0) {
            return code;
        }
        for (uint32_t k = 0; k < i; k++) {
            const char *a = types[k]->schema->name;
            const char *b = types[i]->schema->name;
            if (types[k]->number == types[i]->number) {
                return cmdi_fail(error, CMDS_E_SCHEMA, "%s and %s both have the number %u", a, b,
                        types[i]->number);
            }
            if (strcmp(a, b) == 0) {
                return cmdi_fail(error, CMDS_E_SCHEMA, "two %s are named %s",
                        role == CMDS_ROLE_COMMAND ? "commands" : "results", a);
            }
        }
    }
    return 0;
}

/* One says that a command failed, at most. */
static int errors_check(const struct cmds_protocol *protocol, struct cmds_error *error)
{
    const struct cmds_type *first = NULL;
    for (uint32_t i = 0; i < protocol->result_count; i++) {
        const struct cmds_type *type = protocol->results[i];
        if (cmdi_type_is_error(type) && first != NULL) {
            return cmdi_fail(error, CMDS_E_SCHEMA,
                    "%s and %s are both error results (CMDS_RESULT_ERROR); a protocol has one",
                    first->schema->name, type->schema->name);
        }
        first = cmdi_type_is_error(type) ? type : first;
    }
    return 0;
}

int cmds_protocol_check(const struct cmds_protocol *protocol, struct cmds_error *error)
{
    if (protocol == NULL || !stride_is_sane(protocol->struct_size, sizeof(*protocol))) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "no protocol is given: make it with CMDS_PROTOCOL");
    }
    if (!cmdi_is_zero(protocol, sizeof(*protocol), protocol->struct_size)) {
        return cmdi_fail(error, CMDS_E_SCHEMA, TOO_NEW, "protocol",
                protocol->name != NULL ? protocol->name : "", CMDS_VERSION);
    }
    if (protocol->unused != 0) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "protocol %s: unused is 0x%x: this library (%s) does not know what it means",
                protocol->name != NULL ? protocol->name : "", protocol->unused, CMDS_VERSION);
    }
    int code = types_check(protocol->commands, protocol->command_count, CMDS_ROLE_COMMAND, error);
    code = code < 0 ? code
                    : types_check(
                              protocol->results, protocol->result_count, CMDS_ROLE_RESULT, error);
    code = code < 0 ? code : errors_check(protocol, error);
    return code < 0 ? code : traced_check(protocol, error);
}

static const struct cmds_type *type_by_name(
        const struct cmds_type *const *types, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(types[i]->schema->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

const struct cmds_type *cmds_protocol_command(
        const struct cmds_protocol *protocol, const char *name)
{
    return type_by_name(protocol->commands, protocol->command_count, name);
}

const struct cmds_type *cmds_protocol_result(const struct cmds_protocol *protocol, const char *name)
{
    return type_by_name(protocol->results, protocol->result_count, name);
}

/* --- The table -------------------------------------------------------------------------------- */

static int entry_compare(const void *a, const void *b)
{
    uint32_t left = ((const struct cmdi_type_entry *)a)->type->number;
    uint32_t right = ((const struct cmdi_type_entry *)b)->type->number;
    return (left > right) - (left < right);
}

/* What each entry executes, and what carries it with a context. */
static void table_link(struct cmdi_type_table *table)
{
    for (uint32_t i = 0; i < table->dense_count + table->sparse_count; i++) {
        struct cmdi_type_entry *entry = &table->entries[i];
        const struct cmds_type *traces = entry->type != NULL ? cmdi_type_traces(entry->type) : NULL;
        if (traces != NULL) {
            struct cmdi_type_entry *own = cmdi_type_table_entry(table, traces->number);
            CMDI_ASSERT(own != NULL && own != entry); // The protocol was checked.
            own->traced = entry;
            entry->traced = entry;
            entry->command = own->type;
            entry->command_offset = (uint16_t)cmdi_traced_command(entry->type)->offset;
        }
    }
}

int cmdi_type_table_init(
        struct cmdi_type_table *table, const struct cmds_type *const *types, uint32_t count)
{
    uint32_t dense = 0, sparse = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (types[i]->number >= CMDI_TYPE_DENSE_MAX) {
            sparse++;
        } else if (types[i]->number >= dense) {
            dense = types[i]->number + 1;
        }
    }
    struct cmdi_type_entry *entries = calloc((size_t)dense + sparse + 1, sizeof(*entries));
    if (entries == NULL) {
        return -ENOMEM;
    }
    uint32_t next = dense;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = types[i]->number < CMDI_TYPE_DENSE_MAX ? types[i]->number : next++;
        CMDI_ASSERT(entries[index].type == NULL); // Numbers occur once: the protocol was checked.
        entries[index].type = types[i];
        entries[index].command = types[i];
        entries[index].place = (uint16_t)i;
        entries[index].last_offset = last_offset_of(types[i]);
    }
    CMDI_ASSERT(next == dense + sparse);
    qsort(entries + dense, sparse, sizeof(*entries), entry_compare);
    *table = (struct cmdi_type_table){entries, dense, sparse};
    table_link(table);
    return 0;
}

void cmdi_type_table_fini(struct cmdi_type_table *table)
{
    free(table->entries);
    *table = (struct cmdi_type_table){0};
    cmdi_types_forget();
}

struct cmdi_type_entry *cmdi_type_table_search(const struct cmdi_type_table *table, uint64_t number)
{
    uint32_t low = table->dense_count;
    uint32_t high = low + table->sparse_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct cmdi_type_entry *entry = &table->entries[middle];
        if (entry->type->number == number) {
            return entry;
        }
        if (entry->type->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool cmdi_type_is_last_slow(const struct cmdi_type_entry *entry, const void *value)
{
    CMDI_ASSERT(entry->last_offset > CMDI_LAST_ALWAYS);
    return entry->last_offset == CMDI_LAST_ASK ? entry->type->is_last(value)
                                               : entry->last_offset == CMDI_LAST_ERROR;
}
