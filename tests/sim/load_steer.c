/* SPDX-License-Identifier: MIT */
/* What a client does to its groups beside sending: see load.h. */
#include "sim/load.h"

/* --- Pauses -------------------------------------------------------------------------------------- */

void load_pause(
        struct load_group *group, struct cmds_group *handle, uint32_t client, bool in_result)
{
    if (!group->load->plan->pauses || group->is_closing || !oracle_chance(50)) {
        return;
    }
    int code = cmds_group_pause(handle, client);
    if (code == 0) {
        group->pauses[client]++;
        oracle_group_paused(group->number, client, in_result);
    } else if (code != CMDS_E_CLOSED) {
        (void)oracle_fail("cmds_group_pause(): %s", cmds_error_name(code));
    }
}

static void load_resume(struct load_group *group, struct cmds_group *handle, uint32_t client)
{
    group->pauses[client]--;
    oracle_group_resumes(group->number, client);
    int code = cmds_group_resume(handle, client);
    if (code != 0 && code != CMDS_E_CLOSED) {
        (void)oracle_fail("cmds_group_resume(): %s", cmds_error_name(code));
    }
}

void load_resume_some(struct load_group *group, struct cmds_group *handle, uint32_t one_in)
{
    for (uint32_t i = 0; i < group->load->plan->connections; i++) {
        while (group->pauses[i] > 0 && oracle_chance(one_in)) {
            load_resume(group, handle, i);
        }
    }
}
