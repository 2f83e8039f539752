/* SPDX-License-Identifier: MIT */
/*
 * The counter, and the functions that the compiler and the linker lead to it. A part of a program
 * only if that asks for it: see cost.h.
 */
#include "support/cost.h"

#include <stddef.h>

uint64_t cmdi_cost;

/* By this name too, because a fuzzer's library has a function of that name which counts nothing. */
void __wrap___sanitizer_cov_trace_pc(void);
void __wrap___sanitizer_cov_trace_pc(void)
{
    cmdi_cost++;
}

#define COUNT(size) (cmdi_cost += 1 + (size) / 16)

void *__real_memset(void *to, int byte, size_t size);
void *__wrap_memset(void *to, int byte, size_t size);
void *__wrap_memset(void *to, int byte, size_t size)
{
    COUNT(size);
    return __real_memset(to, byte, size);
}

void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    COUNT(size);
    return __real_memcpy(to, from, size);
}

int __real_memcmp(const void *a, const void *b, size_t size);
int __wrap_memcmp(const void *a, const void *b, size_t size);
int __wrap_memcmp(const void *a, const void *b, size_t size)
{
    COUNT(size);
    return __real_memcmp(a, b, size);
}

void *__real_memchr(const void *at, int byte, size_t size);
void *__wrap_memchr(const void *at, int byte, size_t size);
void *__wrap_memchr(const void *at, int byte, size_t size)
{
    COUNT(size);
    return __real_memchr(at, byte, size);
}

size_t __real_strlen(const char *text);
size_t __wrap_strlen(const char *text);
size_t __wrap_strlen(const char *text)
{
    size_t size = __real_strlen(text);
    COUNT(size);
    return size;
}

size_t __real_strnlen(const char *text, size_t size_max);
size_t __wrap_strnlen(const char *text, size_t size_max);
size_t __wrap_strnlen(const char *text, size_t size_max)
{
    size_t size = __real_strnlen(text, size_max);
    COUNT(size);
    return size;
}
