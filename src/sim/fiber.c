/* SPDX-License-Identifier: MIT */
/*
 * What a function call preserves is all that has to be kept of a fiber that does not run: it called
 * cmdi_fiber_swap(). Its registers lie on its own stack.
 */
#include "sim/fiber.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/map.h"

enum {
    FIBER_GUARD = 64 * 1024, // Below the stack; whoever runs over it is ended by the kernel.
    FIBER_KEPT_MAX = 64,     // Stacks of the usual size.
    // As programs are used to. What is not touched costs nothing.
    FIBER_STACK_SIZE = 8 * 1024 * 1024,
};

/** Puts the registers on this stack, its top into *from, and takes the registers from the other. */
void cmdi_fiber_swap(void **from, void *to);
/** Where a new stack begins: calls what lies in its registers. */
void cmdi_fiber_begin(void);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl cmdi_fiber_swap\n"
        ".hidden cmdi_fiber_swap\n"
        ".type cmdi_fiber_swap, @function\n"
        "cmdi_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size cmdi_fiber_swap, .-cmdi_fiber_swap\n"
        ".globl cmdi_fiber_begin\n"
        ".hidden cmdi_fiber_begin\n"
        ".type cmdi_fiber_begin, @function\n"
        "cmdi_fiber_begin:\n"
        "    movq %r12, %rdi\n"
        "    callq *%r13\n"
        "    ud2\n"
        ".size cmdi_fiber_begin, .-cmdi_fiber_begin\n");
enum {
    FIBER_WORDS = 9, // Six registers, where to return to, and two for the alignment.
    FIBER_WORD_ARGUMENT = 3,
    FIBER_WORD_FN = 2,
    FIBER_WORD_RETURN = 6
};
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl cmdi_fiber_swap\n"
        ".hidden cmdi_fiber_swap\n"
        ".type cmdi_fiber_swap, %function\n"
        "cmdi_fiber_swap:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size cmdi_fiber_swap, .-cmdi_fiber_swap\n"
        ".globl cmdi_fiber_begin\n"
        ".hidden cmdi_fiber_begin\n"
        ".type cmdi_fiber_begin, %function\n"
        "cmdi_fiber_begin:\n"
        "    mov x0, x19\n"
        "    blr x20\n"
        "    brk #1\n"
        ".size cmdi_fiber_begin, .-cmdi_fiber_begin\n");
enum {
    FIBER_WORDS = 20,
    FIBER_WORD_ARGUMENT = 0,
    FIBER_WORD_FN = 1,
    FIBER_WORD_RETURN = 11 // x30.
};
#else
#error "the simulation changes stacks by hand: this processor is missing here"
#endif

static uint8_t *fiber_kept[FIBER_KEPT_MAX];
static uint32_t fiber_kept_count;

static uint8_t *fiber_map_stack(size_t size)
{
    uint8_t *memory = __real_mmap(NULL, size + FIBER_GUARD, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, FIBER_GUARD, PROT_NONE) != 0) {
        cmdi_die(
                "the simulation has no memory for a stack of %zu bytes: %s", size, strerror(errno));
    }
    return memory + FIBER_GUARD;
}

static void fiber_unmap_stack(uint8_t *stack, size_t size)
{
    (void)__real_munmap(stack - FIBER_GUARD, size + FIBER_GUARD);
}

/*
 * The address sanitizer knows one stack for each thread, and is told of each change. Of the loop's stack
 * it alone knows the bounds, and tells them to whoever comes from there. Weak: the program may be built
 * with it, and this library without.
 */
__attribute__((weak)) void __sanitizer_start_switch_fiber(
        void **shadow, const void *stack, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(
        void *shadow, const void **stack_before, size_t *size_before);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void *memory, size_t size);

static struct cmdi_fiber *fiber_left; // Who was left for the one that is entered.

static void fiber_leaves(struct cmdi_fiber *from, struct cmdi_fiber *to)
{
    fiber_left = from;
    if (__sanitizer_start_switch_fiber != NULL) {
        __sanitizer_start_switch_fiber(&from->shadow, to->stack, to->size);
    }
}

static void fiber_entered(struct cmdi_fiber *fiber)
{
    if (__sanitizer_finish_switch_fiber != NULL) {
        const void *stack = NULL;
        size_t size = 0;
        __sanitizer_finish_switch_fiber(fiber->shadow, &stack, &size);
        fiber_left->stack = stack;
        fiber_left->size = size;
    }
}

/*
 * Where it looks for uses of what a function has returned from, a fiber has a second stack, which goes
 * when it is the running one's and is left for good. It does not run: for a moment it is said to.
 */
static void fiber_drop_shadow(struct cmdi_fiber *fiber)
{
    void *running = NULL;
    const void *stack = NULL;
    size_t size = 0;
    if (fiber->shadow == NULL || __sanitizer_start_switch_fiber == NULL) {
        return;
    }
    __sanitizer_start_switch_fiber(&running, fiber->stack, fiber->size);
    __sanitizer_finish_switch_fiber(fiber->shadow, &stack, &size);
    __sanitizer_start_switch_fiber(NULL, stack, size);
    __sanitizer_finish_switch_fiber(running, NULL, NULL);
}

/*
 * Frames that will never be left have poisoned it, and the next fiber begins with a clean one. Below its
 * top all frames were left.
 */
static void fiber_clean(const struct cmdi_fiber *fiber)
{
    if (__asan_unpoison_memory_region != NULL) {
        const uint8_t *end = (const uint8_t *)fiber->memory + fiber->size;
        __asan_unpoison_memory_region(fiber->top, (size_t)(end - (const uint8_t *)fiber->top));
    }
}

static void fiber_main(void *argument)
{
    struct cmdi_fiber *fiber = argument;
    fiber_entered(fiber);
    fiber->fn(fiber->argument);
    cmdi_die("the simulation: a thread's stack was left");
}

void cmdi_fiber_init_loop(struct cmdi_fiber *fiber)
{
    *fiber = (struct cmdi_fiber){.stack = NULL};
}

void cmdi_fiber_init(
        struct cmdi_fiber *fiber, size_t stack_size, void (*fn)(void *argument), void *argument)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = stack_size < FIBER_STACK_SIZE ? FIBER_STACK_SIZE
                                                : (stack_size + page - 1) / page * page;
    bool usual = size == FIBER_STACK_SIZE;
    uint8_t *stack =
            usual && fiber_kept_count > 0 ? fiber_kept[--fiber_kept_count] : fiber_map_stack(size);
    uintptr_t *top = (uintptr_t *)(void *)(stack + size) - FIBER_WORDS;
    memset(top, 0, FIBER_WORDS * sizeof(*top));
    top[FIBER_WORD_ARGUMENT] = (uintptr_t)fiber;
    top[FIBER_WORD_FN] = (uintptr_t)fiber_main;
    top[FIBER_WORD_RETURN] = (uintptr_t)cmdi_fiber_begin;
    *fiber = (struct cmdi_fiber){.top = top,
            .memory = stack,
            .stack = stack,
            .size = size,
            .fn = fn,
            .argument = argument};
}

void cmdi_fiber_fini(struct cmdi_fiber *fiber)
{
    uint8_t *stack = fiber->memory;
    CMDI_ASSERT(stack != NULL);
    fiber_drop_shadow(fiber);
    fiber_clean(fiber);
    if (fiber->size == FIBER_STACK_SIZE && fiber_kept_count < FIBER_KEPT_MAX) {
        fiber_kept[fiber_kept_count++] = stack;
    } else {
        fiber_unmap_stack(stack, fiber->size);
    }
    *fiber = (struct cmdi_fiber){.stack = NULL};
}

void cmdi_fiber_trim(void)
{
    while (fiber_kept_count > 0) {
        fiber_unmap_stack(fiber_kept[--fiber_kept_count], FIBER_STACK_SIZE);
    }
}

void cmdi_fiber_switch(struct cmdi_fiber *from, struct cmdi_fiber *to)
{
    fiber_leaves(from, to);
    cmdi_fiber_swap(&from->top, to->top);
    fiber_entered(from);
}
