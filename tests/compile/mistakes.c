/* SPDX-License-Identifier: MIT */
/*
 * What must not compile, in C or in C++: each mistake here would otherwise be a wrong value on the wire,
 * or a struct read as another one. tests/compile/run compiles this file once for each number of MISTAKE;
 * 0 has none of them, and must compile.
 */
#include <cmdstream/cmdstream.h>

struct add {
    int64_t a, b;
};
struct line {
    struct cmds_string text;
    bool last;
};
struct item {
    uint64_t sku;
    double price;
};
struct place {
    char country[3];
};

CMDS_SCHEMA(item, sku, price);
CMDS_SCHEMA(place, country);
CMDS_COMMAND(add, 0, a, b);
CMDS_RESULT(line, 0, text, CMDS_LAST(last));

void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs);

#if MISTAKE == 0 /* Everything that the mistakes are near to, done right. */
struct row {
    struct item item;
    CMDS_ARRAY_OF(struct item) items;
    CMDS_OPTIONAL_OF(struct item) option;
    int64_t number;
};
CMDS_COMMAND(row, 1, CMDS_NESTED(item, item), CMDS_ARRAY(items, item), CMDS_OPTIONAL(option, item),
        number);
static int exec_add(struct cmds_call *call, const struct add *add)
{
    struct line line = {CMDS_STRING("x"), add->a == add->b};
    return cmds_call_send(call, line_message(&line));
}
extern const struct cmds_exec execs_of_file[1];
const struct cmds_exec execs_of_file[] = {CMDS_EXEC(add, exec_add)};
void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs)
{
    (void)call;
    (void)text;
    (void)execs;
    const struct line *line = line_of(result);
    (void)line;
}
#elif MISTAKE == 1 /* A field that is a bare pointer to characters: whose, and how long? */
struct row {
    const char *text;
};
CMDS_SCHEMA(row, text);
#elif MISTAKE == 2 /* A field that the struct does not have. */
struct row {
    int number;
};
CMDS_SCHEMA(row, numbr);
#elif MISTAKE == 3 /* Another struct than the message's. */
int send_line(struct cmds_call *call, const struct add *add);
int send_line(struct cmds_call *call, const struct add *add)
{
    return cmds_call_send(call, line_message(add));
}
#elif MISTAKE == 4 /* An exec function of another command. */
static int exec_line(struct cmds_call *call, const struct line *line)
{
    (void)call;
    return line->last;
}
extern const struct cmds_exec execs_of_file[1];
const struct cmds_exec execs_of_file[] = {CMDS_EXEC(add, exec_line)};
#elif MISTAKE == 5 /* A result is not executed. */
static int exec_line(struct cmds_call *call, const struct line *line)
{
    (void)call;
    return line->last;
}
extern const struct cmds_exec execs_of_file[1];
const struct cmds_exec execs_of_file[] = {CMDS_EXEC(line, exec_line)};
#elif MISTAKE == 6 /* What says that a result is the last is a bool. */
struct row {
    int last;
};
CMDS_RESULT(row, 1, CMDS_LAST(last));
#elif MISTAKE == 7 /* A result read as another struct. */
void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs)
{
    const struct item *item = line_of(result);
    (void)item;
}
#elif MISTAKE == 8 /* The length of the table is taken from the array, which a pointer is not. */
static const struct cmds_type *const commands[] = {&add_type};
static const struct cmds_type *const results[] = {&line_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("p", commands, results);
void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)options;
}
#elif MISTAKE == 9 /* Kinds that the wire does not have. */
struct row {
    long double number;
};
CMDS_SCHEMA(row, number);
#elif MISTAKE == 10
struct row {
    unsigned number : 3;
};
CMDS_SCHEMA(row, number);
#elif MISTAKE == 11
struct row {
    int64_t *number;
};
CMDS_SCHEMA(row, number);
#elif MISTAKE == 12
struct row {
    int64_t numbers[4];
};
CMDS_SCHEMA(row, numbers);
#elif MISTAKE == 13
struct row {
    char letter;
};
CMDS_SCHEMA(row, letter);
#elif MISTAKE == 14 /* Decoding could not write it. */
struct row {
    const int64_t number;
};
CMDS_SCHEMA(row, number);
#elif MISTAKE == 15 /* A struct inside a struct says of which schema it is, */
struct row {
    struct item item;
};
CMDS_SCHEMA(row, item);
#elif MISTAKE == 16 /* and says the right one: alone, */
struct row {
    struct item item;
};
CMDS_SCHEMA(row, CMDS_NESTED(item, place));
#elif MISTAKE == 17 /* in an array, */
struct row {
    CMDS_ARRAY_OF(struct item) items;
};
CMDS_SCHEMA(row, CMDS_ARRAY(items, place));
#elif MISTAKE == 18 /* or in an option. */
struct row {
    CMDS_OPTIONAL_OF(struct item) item;
};
CMDS_SCHEMA(row, CMDS_OPTIONAL(item, place));
#elif MISTAKE == 19 /* A row without fields, or with a number that is none. */
CMDS_COMMAND(item, 1);
#elif MISTAKE == 20
CMDS_COMMAND(item, -1, sku, price);
#elif MISTAKE == 21 /* A command is not read from a result. */
void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs)
{
    const struct add *add = add_of(result);
    (void)add;
}
#elif MISTAKE == 22 /* CMDS_STRING measures a literal; a pointer has no length. */
void use(struct cmds_call *call, const struct cmds_result *result, const char *text,
        const struct cmds_exec *execs)
{
    struct cmds_string string = CMDS_STRING(text);
    (void)string;
}
#endif
