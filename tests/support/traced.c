/* SPDX-License-Identifier: MIT */
#include "support/traced.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

static void traced_both_ways(const struct cmds_codec *codec, const struct sum_traced *value,
        struct cmds_bytes carrier, struct cmds_bytes command, bool has)
{
    const struct cmds_message message = {&sum_traced_type, value};
    uint8_t expected[256];
    uint8_t body[256];
    void *read = NULL;
    size_t size = carrier.size + command.size;
    memcpy(expected, carrier.data, carrier.size);
    memcpy(expected + carrier.size, command.data, command.size);

    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(codec, message, body, sizeof(body)), (int64_t)size);
    CU_ASSERT_EQUAL(memcmp(body, expected, size), 0);
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_decode(codec, &sum_traced_type, (struct cmds_bytes){body, size}, &read), 0);
    const struct sum_traced *back = read;
    CU_ASSERT_EQUAL(back->MapCarrier.has, has);
    CU_ASSERT_EQUAL_FATAL(back->MapCarrier.value.count, value->MapCarrier.value.count);
    for (size_t i = 0; i < back->MapCarrier.value.count; i++) {
        const struct cmds_pair *pair = &value->MapCarrier.value.items[i];
        CU_ASSERT(cmds_string_equal(back->MapCarrier.value.items[i].key, pair->key));
        CU_ASSERT(cmds_string_equal(back->MapCarrier.value.items[i].value, pair->value));
    }
    CU_ASSERT_EQUAL(back->Cmd.A, 2);
    CU_ASSERT_EQUAL(back->Cmd.B, 3);
    free(read);
}

void traced_case(const struct cmds_codec *codec, const struct traced_bytes *bytes)
{
    const struct cmds_pair pair = {CMDS_STRING("traceparent"), CMDS_STRING(TRACED_PARENT)};
    struct sum_traced value = {.MapCarrier = {true, {&pair, 1}}, .Cmd = {2, 3}};
    CU_ASSERT_EQUAL(codec->check != NULL ? codec->check(codec, &sum_traced_type, NULL) : 0, 0);
    traced_both_ways(codec, &value, bytes->context, bytes->command, true);
    value.MapCarrier.value.count = 0;
    traced_both_ways(codec, &value, bytes->empty, bytes->command, bytes->has_empty);
    value.MapCarrier.has = false;
    traced_both_ways(codec, &value, bytes->none, bytes->command, false);
}
