/* SPDX-License-Identifier: MIT */
/* Units of time. A clock's value ends in its unit, _ns or _ms; what lies between them is here. */
#ifndef CMDI_BASE_TIME_H
#define CMDI_BASE_TIME_H

#include <stdint.h>

#define CMDI_NS_PER_US 1000u
#define CMDI_NS_PER_MS 1000000u
#define CMDI_NS_PER_S  1000000000u
#define CMDI_US_PER_S  1000000u
#define CMDI_MS_PER_S  1000u

static inline uint64_t cmdi_ms_to_ns(uint64_t ms)
{
    return ms * CMDI_NS_PER_MS;
}

static inline uint64_t cmdi_ns_to_ms(uint64_t ns)
{
    return ns / CMDI_NS_PER_MS;
}

/** Rounded up: what is due then is not early. */
static inline uint64_t cmdi_ns_to_ms_up(uint64_t ns)
{
    return (ns + CMDI_NS_PER_MS - 1) / CMDI_NS_PER_MS;
}

#endif
