/* SPDX-License-Identifier: MIT */
/*
 * Bytes into a caller's buffer, as snprintf: what does not fit is counted and not written, so one run
 * over all values tells the size that it takes. Any thread; nothing here keeps state.
 */
#ifndef CMDI_TELEMETRY_OUTPUT_H
#define CMDI_TELEMETRY_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cmdi_output {
    char *out; // NULL, if `size` is 0: it only counts.
    size_t size;
    uint64_t used; // What it would have taken so far.
};

enum {
    CMDI_OUTPUT_REAL_SIZE = 32 // A double as text, terminated.
};

static inline void cmdi_output_bytes(struct cmdi_output *output, const void *data, size_t size)
{
    if (output->used < output->size) {
        size_t room = output->size - (size_t)output->used;
        memcpy(output->out + output->used, data, size < room ? size : room);
    }
    output->used += size;
}

static inline void cmdi_output_byte(struct cmdi_output *output, uint8_t byte)
{
    if (output->used < output->size) {
        output->out[output->used] = (char)byte;
    }
    output->used++;
}

static inline void cmdi_output_text(struct cmdi_output *output, const char *text)
{
    cmdi_output_bytes(output, text, strlen(text));
}

/** Replaces bytes that were written before; those that did not fit stay out. */
void cmdi_output_patch(struct cmdi_output *output, uint64_t at, const void *data, size_t size);
void cmdi_output_unsigned(struct cmdi_output *output, uint64_t number);
void cmdi_output_signed(struct cmdi_output *output, int64_t number);
/** `size` bytes as lower-case hexadecimal digits. */
void cmdi_output_hex(struct cmdi_output *output, const uint8_t *bytes, size_t size);

/**
 * The few digits that read back as the same double, with a point whatever the locale's is; "+Inf",
 * "-Inf", "NaN".
 */
void cmdi_real_text(double number, char text[CMDI_OUTPUT_REAL_SIZE]);

#endif
