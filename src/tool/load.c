/* SPDX-License-Identifier: MIT */
/* See load.h, and CMDS_EXPORT_PROTOCOL of <cmdstream/tool.h>. */
#include "load.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmdstream/tool.h>

enum {
    LOAD_NAME_SIZE = 600,
};

static const struct tool_program *load_fail(const char *path, const char *why)
{
    fprintf(stderr, "%s: --protocol %s: %s\n", cmdi_tool_name(), path, why);
    return NULL;
}

/* What can be said better than the loader does. Returns: NULL: nothing speaks against it. */
static const char *load_objection(const char *path)
{
    struct stat status;
    if (strchr(path, '/') == NULL) {
        return "nothing is looked for: write ./FILE.so, or the whole path";
    }
    if (stat(path, &status) < 0) {
        return strerror(errno);
    }
    return S_ISREG(status.st_mode) ? NULL : "it is no file";
}

/* While the major version is 0, a new minor one may change what exists. */
static bool load_is_of_this_version(const char *library)
{
    unsigned major = 0, minor = 0;
    return library != NULL && sscanf(library, "%u.%u.", &major, &minor) == 2 &&
           major == CMDS_VERSION_MAJOR && minor == CMDS_VERSION_MINOR;
}

static const struct tool_program *load_check(
        const char *path, const struct cmds_protocol_export *exported)
{
    char text[320];
    struct cmds_error error = CMDS_ERROR_INIT;
    if (exported->struct_size < sizeof(*exported) ||
            exported->version != CMDS_PROTOCOL_EXPORT_VERSION) {
        snprintf(text, sizeof(text),
                "exported in form %u, and this is cmdstream %s, which knows %d", exported->version,
                CMDS_VERSION, CMDS_PROTOCOL_EXPORT_VERSION);
        return load_fail(path, text);
    }
    if (!load_is_of_this_version(exported->library)) {
        snprintf(text, sizeof(text), "built with the headers of cmdstream %.32s, and this is %s",
                exported->library != NULL ? exported->library : "(none)", CMDS_VERSION);
        return load_fail(path, text);
    }
    if (exported->protocol == NULL || cmds_protocol_check(exported->protocol, &error) < 0) {
        return load_fail(path, exported->protocol == NULL ? "it exports NULL" : error.text);
    }
    static char name[LOAD_NAME_SIZE];
    static struct tool_program program;
    snprintf(name, sizeof(name), "cmdstream --protocol %.512s", path);
    program = cmdi_tool_own_program(name, exported->protocol);
    cmdi_tool_set_name(name);
    return &program;
}

const struct tool_program *tool_load(const char *path)
{
    const char *objection = load_objection(path);
    if (objection != NULL) {
        return load_fail(path, objection);
    }
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        return load_fail(path, dlerror());
    }
    const struct cmds_protocol_export *exported = dlsym(object, "cmds_protocol_exported");
    if (exported == NULL) {
        return load_fail(path,
                "it exports no protocol: one of its sources says CMDS_EXPORT_PROTOCOL(name), of "
                "<cmdstream/tool.h>");
    }
    return load_check(path, exported);
}
