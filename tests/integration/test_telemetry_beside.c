/* SPDX-License-Identifier: MIT */
/*
 * Numbers that are read by threads that are no shard, in every format, while shards count. What may go wrong: a word
 * that is read half written, a text that is cut or never ends, a counter that falls from one reading to the next, or
 * that lacks something in the end.
 */
#include <cmdstream/telemetry.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/world.h"

enum {
    FORMATS = CMDS_FORMAT_JSON + 1, // A reader for each.
    READ_MIN = 5,
    ECHOES_MIN = 200,
    OUT_SIZE = 512 * 1024,
};

struct reader {
    struct cmds_runtime *runtime;
    enum cmds_telemetry_format format;
    _Atomic uint32_t *over;
    _Atomic uint32_t reads;
    bool failed; // Nothing could be read, or a counter fell.
    uint64_t commands;
};

static const char commands[] = "\ncmdstream_server_commands_received_total ";

/* Of the text that has it. */
static void reader_check(struct reader *reader, const char *text)
{
    const char *line = strstr(text, commands);
    if (reader->format == CMDS_FORMAT_PROMETHEUS && line != NULL) {
        uint64_t now = strtoull(line + sizeof(commands) - 1, NULL, 10);
        reader->failed |= now < reader->commands;
        reader->commands = now;
    }
}

static void reader_read(struct reader *reader, char *out)
{
    int64_t size = cmds_telemetry_write(reader->runtime, reader->format, 0, out, OUT_SIZE);
    reader->failed |= size <= 0 || size >= OUT_SIZE;
    if (!reader->failed) {
        reader_check(reader, out);
    }
    atomic_fetch_add(&reader->reads, 1);
}

static void *reader_main(void *context)
{
    struct reader *reader = context;
    char *out = malloc(OUT_SIZE);
    reader->failed = out == NULL;
    while (!reader->failed && atomic_load(reader->over) == 0) {
        reader_read(reader, out);
    }
    free(out);
    return NULL;
}

/* Each of them has read some times. */
static bool all_have_read(struct reader *readers)
{
    for (uint32_t i = 0; i < FORMATS; i++) {
        if (atomic_load(&readers[i].reads) < READ_MIN && !readers[i].failed) {
            return false;
        }
    }
    return true;
}

static void test_beside_shards_that_count_all_formats_are_read(void)
{
    struct world world;
    struct raw raw;
    struct reader readers[FORMATS];
    pthread_t threads[FORMATS];
    _Atomic uint32_t over = 0;
    uint64_t echoes = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (uint32_t i = 0; i < FORMATS; i++) {
        readers[i] = (struct reader){.runtime = world.runtime, .format = i, .over = &over};
        CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, reader_main, &readers[i]) == 0);
    }
    while (echoes < ECHOES_MIN || !all_have_read(readers)) {
        CU_ASSERT_FATAL(world_echoes(&raw, ++echoes));
    }
    atomic_store(&over, 1);
    for (uint32_t i = 0; i < FORMATS; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT(!readers[i].failed && readers[i].reads >= READ_MIN);
    }

    char *out = malloc(OUT_SIZE);
    char words[128];
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    readers[0].commands = 0;
    WORLD_UNTIL(&world, (reader_read(&readers[0], out), readers[0].commands == echoes));
    (void)snprintf(words, sizeof(words), "%s%llu\n", commands, (unsigned long long)echoes);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, words)); // To the last one.
    free(out);
    raw_close(&raw);
    world_stop(&world);
}

CU_TestInfo test_telemetry_beside[] = {
        {"beside shards that count all formats are read",
                test_beside_shards_that_count_all_formats_are_read},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_beside", test_telemetry_beside)
