/* SPDX-License-Identifier: MIT */
/* What a test changes about the sinks of a log: all else is <cmdstream/log.h>. */
#ifndef CMDI_SHARD_SINKS_H
#define CMDI_SHARD_SINKS_H

/** Where systemd's journal listens. A test has one of its own, before the first line. */
extern const char *cmdi_log_journal_path;

#endif
