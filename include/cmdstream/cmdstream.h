/* SPDX-License-Identifier: MIT */
/* Everything a server or a client needs. */
#ifndef CMDSTREAM_CMDSTREAM_H
#define CMDSTREAM_CMDSTREAM_H

#include <cmdstream/base.h>
#include <cmdstream/breaker.h>
#include <cmdstream/client.h>
#include <cmdstream/codec.h>
#include <cmdstream/dispatch.h>
#include <cmdstream/hooks.h>
#include <cmdstream/inspect.h>
#include <cmdstream/log.h>
#include <cmdstream/runtime.h>
#include <cmdstream/schema.h>
#include <cmdstream/server.h>
#include <cmdstream/stats.h>
#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

#endif
