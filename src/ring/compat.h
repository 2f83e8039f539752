/* SPDX-License-Identifier: MIT */
/*
 * What liburing 2.3 (Debian 12) does not know by name. The values are kernel ABI; whether the
 * running kernel has them is decided at run time. Goes when the floor is liburing 2.10.
 */
#ifndef CMDI_RING_COMPAT_H
#define CMDI_RING_COMPAT_H

#include <liburing.h>

#ifndef IORING_ACCEPT_POLL_FIRST
#define IORING_ACCEPT_POLL_FIRST (1U << 2) // 6.10
#endif
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) // 6.15
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17) // 6.15
#endif
#ifndef IORING_FEAT_RECVSEND_BUNDLE
// 6.10: came with ACCEPT_POLL_FIRST, which has no bit of its own.
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14)
#endif

#endif
