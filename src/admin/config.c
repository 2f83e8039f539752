/* SPDX-License-Identifier: MIT */
/* The page /config: the options of the runtime and of what runs on it, as they are in effect. */
#include <string.h>

#include <microhttpd.h>

#include <cmdstream/inspect.h>

#include "admin/admin.h"
#include "admin/pages.h"
#include "admin/words.h"

struct config {
    struct cmdi_admin_request *request;
    uint32_t object_count;
    // Of the object that is being written. Static text, and a number.
    const char *object;
    uint32_t index;
};

/* Of one that is no number. */
static const char *option_word(const struct cmds_listed_option *option)
{
    if (option->kind == CMDS_OPTION_TEXT || option->kind == CMDS_OPTION_WORD) {
        return option->text;
    }
    bool is_bool = option->kind == CMDS_OPTION_BOOL;
    return option->number != 0 ? (is_bool ? "yes" : "set") : (is_bool ? "no" : "not set");
}

/* Returns: this option is the first one of another object. */
static bool config_begins(struct config *config, const struct cmds_listed_option *option)
{
    if (config->object_count > 0 && strcmp(config->object, option->object) == 0 &&
            config->index == option->index) {
        return false;
    }
    config->object_count++;
    config->object = option->object;
    config->index = option->index;
    return true;
}

static void config_text(void *context, const struct cmds_listed_option *option)
{
    struct config *config = context;
    struct cmdi_admin_out *out = &config->request->out;
    char number[CMDI_ADMIN_WORD_SIZE];
    if (config_begins(config, option)) {
        cmdi_admin_out_text(out, config->object_count > 1 ? "\n" : "");
        cmdi_admin_out_plain(out, cmds_string_from(option->object));
        cmdi_admin_out_text(out, option->owner[0] != '\0' ? " " : "");
        cmdi_admin_out_plain(out, cmds_string_from(option->owner));
        cmdi_admin_out_text(out, "\n");
    }
    cmdi_admin_out_text(out, "  ");
    cmdi_admin_left(out, option->name, 24);
    if (option->kind == CMDS_OPTION_NUMBER) {
        cmdi_admin_out_text(out, cmdi_admin_number(number, (double)option->number));
    } else if (option->kind == CMDS_OPTION_REAL) {
        cmdi_admin_out_text(out, cmdi_admin_real(number, option->real));
    } else {
        cmdi_admin_out_plain(out, cmds_string_from(option_word(option)));
    }
    cmdi_admin_out_text(out, "\n");
}

static void config_json(void *context, const struct cmds_listed_option *option)
{
    struct config *config = context;
    struct cmdi_admin_out *out = &config->request->out;
    bool begins = config_begins(config, option);
    if (begins) {
        cmdi_admin_out_text(out, config->object_count > 1 ? "]},\n" : "\n");
        cmdi_admin_out_format(out, "{\"object\":\"%s\",\"name\":", option->object);
        cmdi_admin_out_json(out, cmds_string_from(option->owner));
        cmdi_admin_out_text(out, ",\"options\":[");
    }
    cmdi_admin_out_format(out, "%s\n{\"name\":\"%s\",\"value\":", begins ? "" : ",", option->name);
    char real[CMDI_ADMIN_WORD_SIZE];
    if (option->kind == CMDS_OPTION_NUMBER) {
        cmdi_admin_out_format(out, "%llu}", (unsigned long long)option->number);
    } else if (option->kind == CMDS_OPTION_REAL) {
        cmdi_admin_out_format(out, "%s}", cmdi_admin_real(real, option->real));
    } else if (option->kind == CMDS_OPTION_BOOL) {
        cmdi_admin_out_text(out, option->number != 0 ? "true}" : "false}");
    } else {
        cmdi_admin_out_json(out, cmds_string_from(option_word(option)));
        cmdi_admin_out_text(out, "}");
    }
}

void cmdi_admin_page_config(struct cmdi_admin_request *request)
{
    struct config config = {.request = request};
    bool is_json = request->form == CMDI_ADMIN_JSON;
    cmdi_admin_out_text(&request->out, is_json ? "{\"objects\":[" : "");
    int code = cmds_runtime_options_list(
            request->admin->runtime, is_json ? config_json : config_text, &config);
    if (code < 0) {
        cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, cmds_error_text(code));
        return;
    }
    cmdi_admin_out_text(&request->out, is_json ? "]}]}\n" : "");
}
