/* SPDX-License-Identifier: MIT */
/* The page /sampling: which traces begin here, and how that is changed. */
#include <errno.h>

#include <microhttpd.h>

#include <cmdstream/trace.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/pages.h"
#include "admin/parse.h"
#include "admin/words.h"

enum {
    SAMPLING_FOR_S = 600, // Whoever looks for a cause need not come back to undo it.
    SAMPLING_FOR_MAX_S = 86400,
};

void cmdi_admin_page_sampling(struct cmdi_admin_request *request)
{
    struct cmds_runtime *runtime = request->admin->runtime;
    struct cmdi_admin_out *out = &request->out;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    bool is_kept = cmds_runtime_sampling(runtime, &sampling) == 0;
    unsigned long long dropped = cmds_span_dropped(runtime);
    char ratio[CMDI_ADMIN_WORD_SIZE], after[CMDI_ADMIN_WORD_SIZE], left[CMDI_ADMIN_WORD_SIZE];
    (void)cmdi_admin_real(ratio, sampling.root_ratio);
    (void)cmdi_admin_real(after, sampling.after_ratio);
    uint32_t left_s = (sampling.for_ms + 999) / 1000;
    if (request->form == CMDI_ADMIN_JSON) {
        cmdi_admin_out_format(out,
                "{\"kept\":%s,\"ratio\":%s,\"rate\":%u,\"for\":%u,\"after\":{\"ratio\":%s,"
                "\"rate\":%u},\"dropped\":%llu}\n",
                is_kept ? "true" : "false", ratio, sampling.span_rate_max, left_s, after,
                sampling.after_rate_max, dropped);
    } else if (!is_kept) {
        cmdi_admin_out_text(out, CMDI_ADMIN_NO_SPANS "\n");
    } else {
        cmdi_admin_out_format(out, "ratio: %s\nrate: %u a second and shard\nfor: %s\n", ratio,
                sampling.span_rate_max, left_s == 0 ? "ever" : cmdi_admin_time(left, left_s));
        if (left_s != 0) {
            cmdi_admin_out_format(out, "then: ratio %s, rate %u\n", after, sampling.after_rate_max);
        }
        cmdi_admin_out_format(out,
                "spans dropped: %llu\n"
                "POST {\"ratio\":0.1,\"rate\":100,\"for\":600}, or some of these, changes it, for "
                "so "
                "many seconds:\n%d if it does not say, at most %d, 0: for ever.\n",
                dropped, SAMPLING_FOR_S, SAMPLING_FOR_MAX_S);
    }
}

/* Returns: false: it is there, and no whole number up to `max`. */
static bool sampling_whole(const struct cmdi_admin_number *number, uint32_t max)
{
    return !number->is_there ||
           (number->value <= max && number->value == (double)(uint32_t)number->value);
}

static void sampling_log(const struct cmdi_admin_request *request,
        const struct cmds_sampling *before, const struct cmds_sampling *now)
{
    char ratio_before[CMDI_ADMIN_WORD_SIZE], ratio[CMDI_ADMIN_WORD_SIZE],
            left[CMDI_ADMIN_WORD_SIZE];
    uint32_t for_s = now->for_ms / 1000;
    cmdi_admin_log_change(request, "sampling from ratio %s, rate %u to ratio %s, rate %u, for %s",
            cmdi_admin_real(ratio_before, before->root_ratio), before->span_rate_max,
            cmdi_admin_real(ratio, now->root_ratio), now->span_rate_max,
            for_s == 0 ? "ever" : cmdi_admin_time(left, for_s));
}

/* Returns: the code of the library; -EINVAL: what is asked for makes no sense. */
static int sampling_change(const struct cmdi_admin_request *request,
        const struct cmdi_admin_number *ratio, const struct cmdi_admin_number *rate,
        const struct cmdi_admin_number *seconds)
{
    struct cmds_runtime *runtime = request->admin->runtime;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    int code = cmds_runtime_sampling(runtime, &sampling);
    const struct cmds_sampling before = sampling;
    if (code < 0) {
        return code;
    }
    if (!sampling_whole(rate, UINT32_MAX) || !sampling_whole(seconds, SAMPLING_FOR_MAX_S)) {
        return -EINVAL;
    }
    uint32_t for_s = seconds->is_there ? (uint32_t)seconds->value : SAMPLING_FOR_S;
    sampling.for_ms = for_s * 1000;
    sampling.root_ratio = ratio->is_there ? ratio->value : sampling.root_ratio;
    sampling.span_rate_max = rate->is_there ? (uint32_t)rate->value : sampling.span_rate_max;
    code = cmds_runtime_set_sampling(runtime, &sampling);
    if (code == 0) {
        sampling_log(request, &before, &sampling);
    }
    return code;
}

void cmdi_admin_page_set_sampling(struct cmdi_admin_request *request)
{
    struct cmdi_admin_number numbers[] = {{.name = "ratio"}, {.name = "rate"}, {.name = "for"}};
    int code = -EINVAL;
    if (cmdi_admin_parse_numbers(request->body, request->body_size, numbers, 3)) {
        code = sampling_change(request, &numbers[0], &numbers[1], &numbers[2]);
    }
    if (code == 0) {
        request->form = CMDI_ADMIN_JSON;
        request->content_type = "application/json";
        cmdi_admin_page_sampling(request);
    } else if (code == -ENOTSUP) {
        cmdi_admin_refuse(request, MHD_HTTP_CONFLICT, CMDI_ADMIN_NO_SPANS);
    } else {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST,
                "{\"ratio\":0.1,\"rate\":100,\"for\":600}, or some of these, and nothing else: a "
                "ratio "
                "from 0 to 1, a whole number of traces, whole seconds up to a day, 0: for ever.");
    }
}
