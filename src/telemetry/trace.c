/* SPDX-License-Identifier: MIT */
/*
 * W3C's Trace Context and Baggage, as far as one who passes them on has to look at them. A traceparent
 * is read in full; a tracestate is checked against its grammar, since the next reader would refuse the
 * whole list for one bad member; a baggage is somebody else's text that must stay text.
 */
#include "telemetry/trace.h"

#include <string.h>

#include "base/hint.h"

enum {
    TRACEPARENT_LENGTH = CMDS_TRACEPARENT_SIZE - 1,
    TRACEPARENT_TRACE_ID = 3, // Where each part begins.
    TRACEPARENT_SPAN_ID = 36,
    TRACEPARENT_FLAGS = 53,
    VERSION_NEVER = 0xff,
    STATE_KEY_MAX = 256, // Of a simple key.
    STATE_TENANT_MAX = 241,
    STATE_SYSTEM_MAX = 14,
    STATE_VALUE_MAX = 256,
};

/* --- traceparent ------------------------------------------------------------------------------ */

/*
 * Eight bytes are sixteen digits, in one step, by the vector extensions that gcc and clang share: two
 * contexts for each traced command are most of what tracing costs.
 *
 * A range is moved to the least of the signed numbers and asked for what is above it: one comparison, and
 * one that x86-64 has.
 */
typedef int8_t hex_text __attribute__((vector_size(16)));
typedef uint8_t hex_octets __attribute__((vector_size(16)));
typedef uint16_t hex_pairs __attribute__((vector_size(16)));
typedef uint16_t hex_many __attribute__((vector_size(32)));
typedef uint8_t hex_bytes __attribute__((vector_size(8)));

/* Returns: of each character that is one of the `count` from `first` on -1, else 0. */
static inline hex_text hex_within(hex_octets block, uint8_t first, uint8_t count)
{
    return (hex_text)(block + (uint8_t)(0x80 - first)) < (int8_t)(INT8_MIN + count);
}

/* Upper case is refused: so W3C has it. Returns: of each character that is a digit -1, else 0. */
static inline hex_text hex_read(const char *text, hex_pairs *read)
{
    hex_octets block;
    hex_pairs pairs;
    memcpy(&block, text, sizeof(block));
    hex_text letters = hex_within(block, 'a', 6);
    hex_octets halves = (block & 0xf) + ((hex_octets)letters & 9); // 'a' is 0x61.
    memcpy(&pairs, &halves, sizeof(pairs));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    *read = (pairs << 4 | pairs >> 8) & 0xff;
#else
    *read = (pairs >> 4 | pairs) & 0xff;
#endif
    return letters | hex_within(block, '0', 10);
}

/* What is stored at once is loaded at once: the two halves of an id make one store. */
static inline void hex_store_two(uint8_t bytes[16], hex_pairs first, hex_pairs second)
{
    hex_many both;
    memcpy(&both, &first, sizeof(first));
    memcpy((char *)&both + sizeof(first), &second, sizeof(second));
    hex_octets read = __builtin_convertvector(both, hex_octets);
    memcpy(bytes, &read, sizeof(read));
}

static inline void hex_store(uint8_t bytes[8], hex_pairs pairs)
{
    hex_bytes read = __builtin_convertvector(pairs, hex_bytes);
    memcpy(bytes, &read, sizeof(read));
}

static inline bool hex_is_zero(hex_pairs pairs)
{
    uint64_t words[2];
    memcpy(words, &pairs, sizeof(words));
    return (words[0] | words[1]) == 0;
}

static inline bool hex_is(hex_text marks)
{
    int64_t words[2];
    memcpy(words, &marks, sizeof(words));
    return (words[0] & words[1]) == -1;
}

static inline char *hex_write(char *out, const uint8_t bytes[8])
{
    hex_bytes block;
    hex_text halves;
    memcpy(&block, bytes, sizeof(block));
    hex_pairs pairs = __builtin_convertvector(block, hex_pairs);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    pairs = pairs >> 4 | (pairs & 0xf) << 8;
#else
    pairs = (pairs & 0xf0) << 4 | (pairs & 0xf);
#endif
    memcpy(&halves, &pairs, sizeof(halves));
    halves += '0' + ((halves > 9) & ('a' - '0' - 10));
    memcpy(out, &halves, sizeof(halves));
    return out + sizeof(halves);
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Two digits, as a rule 00 or 01. Returns: below 0: they are none. */
static inline int hex_byte(const char *text)
{
    if (CMDI_LIKELY(text[0] == '0' && (text[1] & ~1) == '0')) {
        return text[1] - '0';
    }
    int high = hex_digit(text[0]);
    int low = hex_digit(text[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int cmds_trace_parse(struct cmds_trace *trace, struct cmds_string traceparent)
{
    const char *text = traceparent.data;
    hex_pairs first, second, span;
    if (traceparent.size < TRACEPARENT_LENGTH || text[2] != '-' ||
            text[TRACEPARENT_SPAN_ID - 1] != '-' || text[TRACEPARENT_FLAGS - 1] != '-') {
        return CMDS_E_PROTO;
    }
    int version = hex_byte(text);
    int flags = hex_byte(text + TRACEPARENT_FLAGS);
    hex_text digits = hex_read(text + TRACEPARENT_TRACE_ID, &first);
    digits &= hex_read(text + TRACEPARENT_TRACE_ID + sizeof(digits), &second);
    digits &= hex_read(text + TRACEPARENT_SPAN_ID, &span);
    if (version < 0 || version == VERSION_NEVER || flags < 0 || !hex_is(digits)) {
        return CMDS_E_PROTO;
    }
    // A later version may go on, behind another dash.
    if (traceparent.size > TRACEPARENT_LENGTH &&
            (version == 0 || text[TRACEPARENT_LENGTH] != '-')) {
        return CMDS_E_PROTO;
    }
    if (hex_is_zero(first | second) || hex_is_zero(span)) {
        return CMDS_E_PROTO;
    }
    hex_store_two(trace->trace_id, first, second);
    hex_store(trace->span_id, span);
    trace->flags = (uint8_t)flags;
    memset(trace->unused, 0, sizeof(trace->unused));
    trace->state = (struct cmds_string){NULL, 0};
    trace->baggage = (struct cmds_string){NULL, 0};
    return 0;
}

void cmds_trace_format(const struct cmds_trace *trace, char out[CMDS_TRACEPARENT_SIZE])
{
    char *at = out;
    memcpy(at, "00-", 3);
    at = hex_write(at + 3, trace->trace_id);
    at = hex_write(at, trace->trace_id + 8);
    *at++ = '-';
    at = hex_write(at, trace->span_id);
    memcpy(at, cmdi_trace_is_set(trace) ? "-01" : "-00", 4);
}

/* --- tracestate ------------------------------------------------------------------------------- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool state_key_rest(struct cmds_string key)
{
    for (size_t i = 1; i < key.size; i++) {
        char c = key.data[i];
        if (!is_lower(c) && !is_digit(c) && (c == '\0' || strchr("_-*/", c) == NULL)) {
            return false;
        }
    }
    return true;
}

/* "key", or "tenant@system", whose tenant may begin with a digit. */
static bool state_key_is_valid(struct cmds_string key)
{
    if (key.size == 0) {
        return false;
    }
    const char *at = memchr(key.data, '@', key.size);
    if (at == NULL) {
        return key.size <= STATE_KEY_MAX && is_lower(key.data[0]) && state_key_rest(key);
    }
    struct cmds_string tenant = {key.data, (size_t)(at - key.data)};
    struct cmds_string system = {at + 1, key.size - tenant.size - 1};
    return tenant.size >= 1 && tenant.size <= STATE_TENANT_MAX &&
           (is_lower(tenant.data[0]) || is_digit(tenant.data[0])) && state_key_rest(tenant) &&
           system.size >= 1 && system.size <= STATE_SYSTEM_MAX && is_lower(system.data[0]) &&
           state_key_rest(system);
}

static bool state_value_is_valid(struct cmds_string value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c < ' ' || c > '~' || c == ',' || c == '=') {
            return false;
        }
    }
    return value.size >= 1 && value.size <= STATE_VALUE_MAX;
}

static struct cmds_string string_trim(struct cmds_string string)
{
    while (string.size > 0 && is_blank(string.data[0])) {
        string.data++;
        string.size--;
    }
    while (string.size > 0 && is_blank(string.data[string.size - 1])) {
        string.size--;
    }
    return string;
}

/* Takes what is in front of the next comma. Returns: false: nothing was left. */
static bool state_next(struct cmds_string *left, struct cmds_string *member)
{
    if (left->data == NULL) {
        return false;
    }
    const char *comma = left->size > 0 ? memchr(left->data, ',', left->size) : NULL;
    size_t size = comma != NULL ? (size_t)(comma - left->data) : left->size;
    *member = string_trim((struct cmds_string){left->data, size});
    *left = comma != NULL ? (struct cmds_string){comma + 1, left->size - size - 1}
                          : (struct cmds_string){NULL, 0};
    return true;
}

bool cmdi_tracestate_is_valid(struct cmds_string state)
{
    struct cmds_string keys[CMDI_TRACESTATE_MEMBERS_MAX];
    struct cmds_string member;
    size_t count = 0;
    if (state.size > CMDS_TRACESTATE_MAX) {
        return false;
    }
    while (state_next(&state, &member)) {
        if (member.size == 0) {
            continue; // Empty ones are allowed.
        }
        const char *equals = memchr(member.data, '=', member.size);
        if (equals == NULL || count == CMDI_TRACESTATE_MEMBERS_MAX) {
            return false;
        }
        struct cmds_string key = {member.data, (size_t)(equals - member.data)};
        struct cmds_string value = {equals + 1, member.size - key.size - 1};
        if (!state_key_is_valid(key) || !state_value_is_valid(value)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (cmds_string_equal(keys[i], key)) {
                return false;
            }
        }
        keys[count++] = key;
    }
    return true;
}

bool cmdi_baggage_is_valid(struct cmds_string baggage)
{
    if (baggage.size > CMDS_BAGGAGE_MAX) {
        return false;
    }
    for (size_t i = 0; i < baggage.size; i++) {
        char c = baggage.data[i];
        if ((c < ' ' || c > '~') && c != '\t') {
            return false;
        }
    }
    return true;
}

/* --- A carrier -------------------------------------------------------------------------------- */

static const struct cmds_string traceparent_key = CMDS_STRING("traceparent");
static const struct cmds_string tracestate_key = CMDS_STRING("tracestate");
static const struct cmds_string baggage_key = CMDS_STRING("baggage");

/* The first of its name counts, as with cmds_map_find(): here all three in one pass. */
static inline void carrier_take(
        const struct cmds_string **found, struct cmds_string key, const struct cmds_pair *pair)
{
    if (pair->key.size == key.size && *found == NULL &&
            memcmp(pair->key.data, key.data, key.size) == 0) {
        *found = &pair->value;
    }
}

bool cmdi_trace_from_map(struct cmds_trace *trace, struct cmds_map map)
{
    const struct cmds_string *parent = NULL;
    const struct cmds_string *state = NULL;
    const struct cmds_string *baggage = NULL;
    if (map.count == 0 || map.count > CMDI_CARRIER_PAIRS_MAX) {
        return false;
    }
    for (size_t i = 0; i < map.count; i++) {
        carrier_take(&parent, traceparent_key, &map.items[i]);
        carrier_take(&state, tracestate_key, &map.items[i]);
        carrier_take(&baggage, baggage_key, &map.items[i]);
    }
    if (parent == NULL || cmds_trace_parse(trace, *parent) < 0) {
        return false;
    }
    if (state != NULL && cmdi_tracestate_is_valid(*state)) {
        trace->state = *state;
    }
    if (baggage != NULL && cmdi_baggage_is_valid(*baggage)) {
        trace->baggage = *baggage;
    }
    return true;
}

struct cmds_map cmdi_trace_to_map(const struct cmds_trace *trace, struct cmdi_carrier *carrier)
{
    size_t count = 0;
    cmds_trace_format(trace, carrier->traceparent);
    carrier->pairs[count++] = (struct cmds_pair){
            traceparent_key, {carrier->traceparent, sizeof(carrier->traceparent) - 1}};
    if (trace->state.size > 0 && cmdi_tracestate_is_valid(trace->state)) {
        carrier->pairs[count++] = (struct cmds_pair){tracestate_key, trace->state};
    }
    if (trace->baggage.size > 0 && cmdi_baggage_is_valid(trace->baggage)) {
        carrier->pairs[count++] = (struct cmds_pair){baggage_key, trace->baggage};
    }
    return (struct cmds_map){carrier->pairs, count};
}
