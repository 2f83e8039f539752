/* SPDX-License-Identifier: MIT */
/*
 * Every codec's way in one walk beside its way in two: over schemas and values by chance, in every room around the size,
 * it writes the same bytes or gives up, and it gives up where the other one refuses. What may go wrong: another byte; a
 * limit, a NULL or a text that is none that only one of them sees; a byte behind the room.
 *
 * CMDS_TWIN_FIRST and CMDS_TWIN_ROUNDS choose other rounds; a round that fails names its number.
 */
#include <cmdstream/codec.h>
#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

#include "support/harness.h"
#include "support/traced.h"
#include "support/try_case.h"
#include "support/twin.h"

enum {
    ROUNDS = 1500,
};

static const struct cmds_codec *const codecs[] = {
        &cmds_codec_msgpack,
        &cmds_codec_msgpack_map,
#ifdef WITH_MUS
        &cmds_codec_mus,
#endif
#ifdef WITH_PROTOBUF
        &cmds_codec_protobuf,
#endif
#ifdef WITH_JSON
        &cmds_codec_json,
#endif
};
enum {
    CODEC_COUNT = sizeof(codecs) / sizeof(codecs[0]),
};

struct word {
    struct cmds_string text;
    int8_t number;
};
CMDS_COMMAND(word, 0, text, number);

static uint64_t written[CODEC_COUNT], refused[CODEC_COUNT];

static bool is_tried_alike(size_t index, const struct cmds_type *type, const uint8_t *value)
{
    const struct cmds_codec *codec = codecs[index];
    if (codec->check != NULL && codec->check(codec, type, NULL) < 0) {
        return true;
    }
    int64_t size = codec->size(codec, type, value);
    if (size < 0) {
        refused[index]++;
        return try_agrees_everywhere(codec, type, value, NULL, size);
    }
    uint8_t *bytes = malloc((size_t)size + 1);
    TWIN_NEED(bytes != NULL);
    bool alike = codec->encode(codec, type, value, bytes, (size_t)size) == bytes + size &&
                 try_agrees_everywhere(codec, type, value, bytes, size);
    free(bytes);
    written[index]++;
    return alike;
}

static bool is_round_good(uint64_t number)
{
    static struct twin twin;
    bool good = true;
    twin = (struct twin){.state = number};
    twin.breaks_limits = twin_below(&twin, 4) == 0;
    twin.breaks_texts = twin_below(&twin, 8) == 0;
    const struct cmds_schema *schema = twin_schema(&twin, 0);
    const struct cmds_type type = {
            .struct_size = sizeof(type), .role = CMDS_ROLE_COMMAND, .schema = schema};
    uint8_t *value = twin_block(&twin, schema->value_size);
    twin_fill(&twin, schema, value);
    for (size_t i = 0; i < CODEC_COUNT && good; i++) {
        good = is_tried_alike(i, &type, value);
    }
    twin_fini(&twin);
    return good;
}

static uint64_t asked(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_codec_in_one_walk_is_what_it_is_in_two(void)
{
    uint64_t first = asked("CMDS_TWIN_FIRST", 1), rounds = asked("CMDS_TWIN_ROUNDS", ROUNDS);
    for (uint64_t number = first; number < first + rounds; number++) {
        if (!is_round_good(number)) {
            printf("round %llu\n", (unsigned long long)number);
            CU_FAIL_FATAL("it differs");
        }
    }
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        CU_ASSERT(written[i] > rounds / 2);
        CU_ASSERT(refused[i] > rounds / 100);
    }
}

/* A context is written at once if its sizes are those of most: beside each of these are others. */
static void test_codec_a_carrier_of_every_size_is_what_it_is_in_two(void)
{
    static const char text[] = "traceparent!", parent[] = TRACED_PARENT "!";
    struct cmds_pair pairs[2];
    struct sum_traced sum = {{true, {pairs, 0}}, {2, 300}};
    uint32_t differ = 0;
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        for (size_t kind = 0; kind < 3 * 3 * 3 * 3; kind++) {
            size_t key = kind % 3, value = kind / 3 % 3, nothing = kind / 27;
            pairs[0] = (struct cmds_pair){{nothing == 1 ? NULL : text, 10 + key},
                    {nothing == 2 ? NULL : parent, sizeof(parent) - 3 + value}};
            pairs[1] = (struct cmds_pair){CMDS_STRING("tracestate"), CMDS_STRING("a=b")};
            sum.MapCarrier.value.count = kind / 9 % 3;
            differ += !is_tried_alike(i, &sum_traced_type, (const uint8_t *)&sum);
        }
        // What is there, and does not count.
        pairs[0] = (struct cmds_pair){CMDS_STRING("traceparent"), {parent, sizeof(parent) - 2}};
        sum.MapCarrier.has = false;
        sum.MapCarrier.value = (struct cmds_map){pairs, 1};
        differ += !is_tried_alike(i, &sum_traced_type, (const uint8_t *)&sum);
        sum.MapCarrier.has = true;
        sum.MapCarrier.value = (struct cmds_map){NULL, 1};
        differ += !is_tried_alike(i, &sum_traced_type, (const uint8_t *)&sum);
        sum.MapCarrier.value.items = pairs;
    }
    CU_ASSERT_EQUAL(differ, 0);
}

/* Each of these takes more room than it has bytes, some as much as there is; of no other text is the bound so near. */
static void test_codec_text_that_grows_is_what_it_is_in_two(void)
{
    static const char *const grows[] = {
            "\x01", "<", "\"", "\xff", "\xe2\x80\xa8", "a<", "\xc3\xa4"};
    char text[1100];
    uint32_t differ = 0;
    for (size_t kind = 0; kind < sizeof(grows) / sizeof(grows[0]); kind++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = grows[kind][i % strlen(grows[kind])];
        }
        for (size_t size = 0; size < sizeof(text); size += 1 + size / 40) {
            const struct word word = {{text, size}, 3};
            for (size_t i = 0; i < CODEC_COUNT; i++) {
                differ += !is_tried_alike(i, &word_type, (const uint8_t *)&word);
            }
        }
    }
    CU_ASSERT_EQUAL(differ, 0);
}

static const CU_TestInfo tests[] = {
        {"in one walk it is what it is in two", test_codec_in_one_walk_is_what_it_is_in_two},
        {"a carrier of every size is what it is in two",
                test_codec_a_carrier_of_every_size_is_what_it_is_in_two},
        {"a text that grows is what it is in two", test_codec_text_that_grows_is_what_it_is_in_two},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codec_try", tests)
