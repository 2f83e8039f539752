/* SPDX-License-Identifier: MIT */
/* Who sends all this: the attributes of OTLP's Resource, written once. Setup thread. */
#ifndef CMDI_OTEL_RESOURCE_H
#define CMDI_OTEL_RESOURCE_H

#include "otel/proto.h"
#include "otel/settings.h"

/**
 * service.name, service.instance.id (a new one for each exporter, so that a program that starts anew is
 * another instance), process.pid, telemetry.sdk.*; and whatever options and environment add or replace.
 *
 * Owner:   `proto` is empty, and has the Resource afterwards.
 * Returns: 0; -ENOMEM, -EFBIG; -errno of the kernel's random numbers.
 */
int cmdi_resource_make(struct cmdi_proto *proto, const struct cmdi_settings *settings);

#endif
