/* SPDX-License-Identifier: MIT */
/* See held.h. */
#include "admin/held.h"

#include "admin/words.h"

void cmdi_admin_held_find(struct cmds_runtime *runtime, int code, struct cmdi_admin_held *held)
{
    struct cmds_listed_shard *list = held->list;
    size_t count = 0;
    *held = (struct cmdi_admin_held){.is_whole = code != CMDS_E_TIMEOUT};
    list[0] = (struct cmds_listed_shard)CMDS_LISTED_SHARD_INIT;
    if (held->is_whole || cmds_runtime_shards(runtime, list, CMDI_ADMIN_HELD_MAX, &count) < 0) {
        return;
    }
    count = count < CMDI_ADMIN_HELD_MAX ? count : CMDI_ADMIN_HELD_MAX;
    for (size_t i = 0; i < count; i++) {
        if (list[i].unanswered_us > 0) {
            list[held->count++] = list[i];
        }
    }
}

void cmdi_admin_held_text(struct cmdi_admin_out *out, const struct cmdi_admin_held *held)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    if (!held->is_whole) {
        cmdi_admin_out_text(out, "Not all of them: not every shard has answered in time.\n");
    }
    for (size_t i = 0; i < held->count; i++) {
        const struct cmds_listed_shard *shard = &held->list[i];
        cmdi_admin_out_format(out, "shard %u: held up for %s by ", shard->shard,
                cmdi_admin_time(text, (double)shard->turn_us / 1e6));
        cmdi_admin_out_plain(
                out, cmds_string_from(shard->type[0] != '\0' ? shard->type : "no command"));
        cmdi_admin_out_text(out, "\n");
    }
}

void cmdi_admin_held_json(struct cmdi_admin_out *out, const struct cmdi_admin_held *held)
{
    cmdi_admin_out_format(out, ",\"complete\":%s,\"held_up\":[", held->is_whole ? "true" : "false");
    for (size_t i = 0; i < held->count; i++) {
        const struct cmds_listed_shard *shard = &held->list[i];
        cmdi_admin_out_format(out,
                "%s{\"shard\":%u,\"turn_us\":%llu,\"unanswered_us\":%llu,\"type\":",
                i == 0 ? "" : ",", shard->shard, (unsigned long long)shard->turn_us,
                (unsigned long long)shard->unanswered_us);
        cmdi_admin_out_json(out, cmds_string_from(shard->type));
        cmdi_admin_out_text(out, "}");
    }
    cmdi_admin_out_text(out, "]");
}
