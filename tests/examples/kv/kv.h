/* SPDX-License-Identifier: MIT */
/* Values by their keys, for a time or for ever. */
#ifndef KV_H
#define KV_H

#include <cmdstream/cmdstream.h>

struct kv_set {
    struct cmds_string key, value;
    uint32_t ttl_ms; // 0: for ever.
};
struct kv_get {
    struct cmds_string key;
};
struct kv_scan {
    struct cmds_string prefix;
};
struct kv_value {
    bool found;
    struct cmds_string value;
};
struct kv_pair {
    struct cmds_string key, value;
};
struct kv_done {
    int64_t count; // Of keys: stored now, or sent by a scan.
};

CMDS_COMMAND(kv_set, 0, CMDS_MAX(key, 31), CMDS_MAX(value, 63), ttl_ms);
CMDS_COMMAND(kv_get, 1, CMDS_MAX(key, 31));
CMDS_COMMAND(kv_scan, 2, CMDS_MAX(prefix, 31));
CMDS_RESULT(kv_value, 0, found, value);
CMDS_RESULT_NEVER_LAST(kv_pair, 1, key, value);
CMDS_RESULT(kv_done, 2, count);

static const struct cmds_type *const kv_commands[] = {&kv_set_type, &kv_get_type, &kv_scan_type};
static const struct cmds_type *const kv_results[] = {&kv_value_type, &kv_pair_type, &kv_done_type};
static const struct cmds_protocol kv = CMDS_PROTOCOL("kv", kv_commands, kv_results);

#endif
