/* SPDX-License-Identifier: MIT */
/*
 * Long runs of text that stands for itself, in steps of 64 bytes: by AVX2 where the processor has it, else
 * by blocks. Each function takes a multiple of a step, up to `size`, and returns how much it took. No
 * state, any thread.
 */
#ifndef CMDI_JSON_RUN_H
#define CMDI_JSON_RUN_H

#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_JSON_RUN = 64,
};

/** What the reader takes as it is. */
size_t cmdi_json_run_read(const uint8_t *at, size_t size);
/** What the writer writes as it is: not <, > and &. */
size_t cmdi_json_run_size(const uint8_t *at, size_t size);
/** The same, and copies it to `out`. */
size_t cmdi_json_run_write(uint8_t *out, const uint8_t *at, size_t size);

#endif
