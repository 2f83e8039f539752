/* SPDX-License-Identifier: MIT */
/* What the compiler cannot know: which way a branch goes nearly always. */
#ifndef CMDI_BASE_HINT_H
#define CMDI_BASE_HINT_H

#define CMDI_LIKELY(x)   __builtin_expect(!!(x), 1)
#define CMDI_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
