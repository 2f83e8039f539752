/* SPDX-License-Identifier: MIT */
/*
 * Places that a tracer may look at while the program runs: perf, bpftrace, SystemTap. Each is one nop, and
 * a note in the object that says where it is and where its arguments are, which stay in the registers or
 * the memory that they are in. So arguments are plain numbers that are at hand, and nothing is made for
 * them. Their names and what they mean: scripts/cmdstream.bt.
 *
 * There is no word that says whether somebody looks (a semaphore): a tracer would have to be told of the
 * process, and a test of it would cost more than the nop.
 */
#ifndef CMDI_BASE_USDT_H
#define CMDI_BASE_USDT_H

#ifdef CMDSTREAM_HAS_USDT

#include <sys/sdt.h>

/* Its macros are called with no argument where the standard wants one: clang says so at each use. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define CMDI_PROBE2(name, a, b)          DTRACE_PROBE2(cmdstream, name, a, b)
#define CMDI_PROBE3(name, a, b, c)       DTRACE_PROBE3(cmdstream, name, a, b, c)
#define CMDI_PROBE4(name, a, b, c, d)    DTRACE_PROBE4(cmdstream, name, a, b, c, d)
#define CMDI_PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(cmdstream, name, a, b, c, d, e)

#else

#define CMDI_PROBE2(name, a, b)          ((void)0)
#define CMDI_PROBE3(name, a, b, c)       ((void)0)
#define CMDI_PROBE4(name, a, b, c, d)    ((void)0)
#define CMDI_PROBE5(name, a, b, c, d, e) ((void)0)

#endif

#endif
