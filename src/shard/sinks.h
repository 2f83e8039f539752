/* SPDX-License-Identifier: MIT */
/* What is not public of the sinks of a log: all else is <cmdstream/log.h>. */
#ifndef CMDI_SHARD_SINKS_H
#define CMDI_SHARD_SINKS_H

/** Where systemd's journal listens. A test has one of its own, before the first line. */
extern const char *cmdi_log_journal_path;

/** A child that was forked: the thread that wrote a line in that moment is not in it. */
void cmdi_sinks_in_child(void);

#endif
