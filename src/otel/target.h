/* SPDX-License-Identifier: MIT */
/* Where the batches of one signal go, and how: a part of settings.h. Setup thread. */
#ifndef CMDI_OTEL_TARGET_H
#define CMDI_OTEL_TARGET_H

#include "otel/settings.h"

/** Fills settings->targets[signal]. Returns: 0; -EINVAL: an option, by name; -ENOMEM. */
int cmdi_target_init(struct cmdi_settings *settings, enum cmdi_signal signal,
        const struct cmds_otel_options *options, struct cmds_error *error);
void cmdi_target_fini(struct cmdi_target *target);

#endif
