/* SPDX-License-Identifier: MIT */
#include "telemetry/name.h"

enum {
    WORD_SIZE = 32,                              // Of a unit.
    TOTAL_SIZE = 5,                              // "total"
    WORDS_SIZE = CMDI_NAME_SIZE - TOTAL_SIZE - 1 // Of a name, which its user may add "_total" to.
};

/* UCUM's code -> Prometheus' word. Of others the code is the word. */
static const struct unit {
    const char *code;
    const char *word;
    const char *per; // Behind a '/'.
} units[] = {
        {"s", "seconds", "second"},
        {"ms", "milliseconds", "millisecond"},
        {"us", "microseconds", "microsecond"},
        {"ns", "nanoseconds", "nanosecond"},
        {"min", "minutes", "minute"},
        {"m", "meters", "minute"}, // A Collector reads it so, on either side.
        {"h", "hours", "hour"},
        {"d", "days", "day"},
        {"By", "bytes", "byte"},
        {"KiBy", "kibibytes", "kibibyte"},
        {"MiBy", "mebibytes", "mebibyte"},
        {"GiBy", "gibibytes", "gibibyte"},
        {"KBy", "kilobytes", "kilobyte"},
        {"MBy", "megabytes", "megabyte"},
        {"GBy", "gigabytes", "gigabyte"},
        {"Cel", "celsius", "celsius"},
        {"Hz", "hertz", "hertz"},
        {"V", "volts", "volt"},
        {"A", "amperes", "ampere"},
        {"J", "joules", "joule"},
        {"W", "watts", "watt"},
        {"g", "grams", "gram"},
        {"%", "percent", "percent"},
        {"1", "", ""},
};

/* Not isalnum(), which asks the locale. */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A name that grows by words. */
struct words {
    char *text;
    size_t used;
};

static void words_add(struct words *words, const char *text, size_t size)
{
    bool starts = true;
    for (size_t i = 0; i < size; i++) {
        if (!is_word(text[i])) {
            starts = true;
            continue;
        }
        bool joins = starts && words->used > 0;
        bool leads = words->used == 0 && is_digit(text[i]);
        if (words->used + joins + leads + 1 >= WORDS_SIZE) {
            break;
        }
        if (joins || leads) {
            words->text[words->used++] = '_';
        }
        words->text[words->used++] = text[i];
        starts = false;
    }
    words->text[words->used] = '\0';
}

static bool words_have(const struct words *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = strstr(words->text, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == words->text || at[-1] == '_') && (at[size] == '\0' || at[size] == '_')) {
            return true;
        }
    }
    return false;
}

/* The word of the unit's part from `at` to `end`; *word is empty if it has none. */
static void unit_word(const char *at, size_t size, bool is_per, char word[WORD_SIZE])
{
    word[0] = '\0';
    if (size == 0 || size >= WORD_SIZE || memchr(at, '{', size) != NULL) {
        return; // What is in braces is a remark.
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].code) == size && memcmp(units[i].code, at, size) == 0) {
            const char *found = is_per ? units[i].per : units[i].word;
            memcpy(word, found, strlen(found) + 1);
            return;
        }
    }
    char text[CMDI_NAME_SIZE] = "";
    struct words own = {text, 0};
    words_add(&own, at, size);
    if (own.used < WORD_SIZE) {
        memcpy(word, text, own.used + 1);
    }
}

static void words_add_unit(struct words *words, const char *unit, char word[WORD_SIZE])
{
    size_t size = strcspn(unit, "/");
    unit_word(unit, size, false, word);
    if (word[0] != '\0' && !words_have(words, word)) {
        words_add(words, word, strlen(word));
    }
    if (unit[size] == '/') {
        unit_word(unit + size + 1, strlen(unit + size + 1), true, word);
        if (word[0] != '\0') {
            words_add(words, "per", 3);
            words_add(words, word, strlen(word));
        }
        word[0] = '\0'; // "bytes_per_second" ends with the word of no unit.
    }
}

/* A counter's name has it once, at its end. */
static void words_drop_total(struct words *words, const struct cmds_metric *metric)
{
    while (metric->kind == CMDS_METRIC_COUNTER && words->used > TOTAL_SIZE &&
            strcmp(words->text + words->used - TOTAL_SIZE - 1, "_total") == 0) {
        words->used -= TOTAL_SIZE + 1;
        words->text[words->used] = '\0';
    }
}

const char *cmdi_name_metric(const struct cmds_metric *metric, char name[CMDI_NAME_SIZE])
{
    struct words words = {name, 0};
    words_add(&words, metric->name, strlen(metric->name));
    words_drop_total(&words, metric);
    char word[WORD_SIZE] = "";
    if (metric->unit != NULL) {
        words_add_unit(&words, metric->unit, word);
        if (metric->kind == CMDS_METRIC_GAUGE && strcmp(metric->unit, "1") == 0) {
            words_add(&words, "ratio", strlen("ratio"));
        }
        words_drop_total(&words, metric);
    }
    if (words.used == 0) {
        memcpy(name, "_", sizeof("_"));
        return NULL;
    }
    size_t size = strlen(word);
    const char *end = name + words.used - size;
    return size > 0 && words.used > size && end[-1] == '_' && strcmp(end, word) == 0 ? end : NULL;
}

void cmdi_name_sample(
        const struct cmds_metric *metric, const char *family, char name[CMDI_NAME_SIZE])
{
    size_t size = strlen(family);
    memcpy(name, family, size + 1);
    if (metric->kind == CMDS_METRIC_COUNTER) {
        memcpy(name + size, "_total", sizeof("_total"));
    }
}

void cmdi_name_label(struct cmdi_output *output, const char *key)
{
    if (is_digit(key[0])) {
        cmdi_output_text(output, "key_");
    } else if (!is_word(key[0]) && (key[0] == '\0' || is_word(key[1]))) {
        cmdi_output_text(output, "key");
    }
    for (; *key != '\0'; key++) {
        cmdi_output_byte(output, is_word(*key) ? (uint8_t)*key : '_');
    }
}
