/* SPDX-License-Identifier: MIT */
/*
 * Options on their way to whoever lists them: see cmds_runtime_options_list(). Each object has a table of
 * its option struct, so that what is shown is what was taken.
 */
#ifndef CMDI_SHARD_OPTION_LIST_H
#define CMDI_SHARD_OPTION_LIST_H

#include <stddef.h>

#include <cmdstream/inspect.h>

/** What a number stands for. */
struct cmdi_option_word {
    uint64_t number;
    const char *word;
};
/** A member of an option struct. */
struct cmdi_option_row {
    const char *name;
    uint32_t offset;
    uint16_t size;
    uint16_t kind; // enum cmds_option_kind; of a number that has a word CMDS_OPTION_WORD is told.
    const struct cmdi_option_word *words; // NULL: it has none. The last one's word is NULL.
};
#define CMDI_OPTION(type, field, kind)                                                             \
    {                                                                                              \
#field, offsetof(struct type, field), sizeof(((struct type *)0)->field), kind, NULL        \
    }
/* `name`: where the field's own does not say it. */
#define CMDI_OPTION_WORDS(type, field, name, words)                                                \
    {                                                                                              \
        name, offsetof(struct type, field), sizeof(((struct type *)0)->field), CMDS_OPTION_NUMBER, \
                words                                                                              \
    }

struct cmdi_option_list {
    cmds_option_fn fn;
    void *context;
    // Whose they are; filled in by whoever goes through the objects.
    struct cmds_listed_option option;
};

/** Members of `options`. */
void cmdi_option_list_rows(struct cmdi_option_list *list, const struct cmdi_option_row *rows,
        size_t count, const void *options);
void cmdi_option_list_text(struct cmdi_option_list *list, const char *name, const char *text);
void cmdi_option_list_number(struct cmdi_option_list *list, const char *name,
        enum cmds_option_kind kind, uint64_t number);
void cmdi_option_list_word(
        struct cmdi_option_list *list, const char *name, const char *word, uint64_t number);

#endif
