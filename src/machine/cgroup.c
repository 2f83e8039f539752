/* SPDX-License-Identifier: MIT */
/* How much of its CPUs a cgroup gives. No state; any thread. */
#include "machine/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Where the CPU controller of this process is: in its own hierarchy (v1), or in the one for all
 * (v2).
 */
struct cgroup {
    bool v2;
    char path[PATH_MAX];  // As /proc/self/cgroup says: from the root of the hierarchy.
    char root[PATH_MAX];  // What of the hierarchy is mounted...
    char mount[PATH_MAX]; // ...and where.
};

/* Is `word` one of the words in `list`, which commas separate? */
static bool list_has(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += size) {
        bool begins = at == list || at[-1] == ',';
        bool ends = at[size] == '\0' || at[size] == ',' || at[size] == '\n';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/*
 * A line is `number:controllers:path`; the number is 0 and controllers empty in v2. A hybrid system
 * keeps CPU in v1.
 */
static bool cgroup_find_path(struct cgroup *cgroup)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file != NULL && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL || strlen(path + 1) >= sizeof(cgroup->path)) {
            continue;
        }
        *controllers++ = '\0';
        *path++ = '\0';
        bool v1 = list_has(controllers, "cpu");
        if (v1 || (!found && strcmp(line, "0") == 0 && *controllers == '\0')) {
            cgroup->v2 = !v1;
            strcpy(cgroup->path, path);
            found = true;
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/*
 * `id parent device root mount options ... - type source options`. Returns: this is the hierarchy
 * of `cgroup`.
 */
static bool cgroup_parse_mount(struct cgroup *cgroup, char *line)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    char *save = NULL;
    char *type = strtok_r(tail + 3, " \n", &save);
    const char *source = strtok_r(NULL, " \n", &save);
    const char *options = source != NULL ? strtok_r(NULL, " \n", &save) : NULL;
    if (options == NULL || strcmp(type, cgroup->v2 ? "cgroup2" : "cgroup") != 0 ||
            (!cgroup->v2 && !list_has(options, "cpu"))) {
        return false;
    }
    const char *field[5] = {NULL};
    save = NULL;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (field[i] == NULL || strlen(field[i]) >= PATH_MAX) {
            return false;
        }
    }
    strcpy(cgroup->root, field[3]);
    strcpy(cgroup->mount, field[4]);
    return true;
}

static bool cgroup_find_mount(struct cgroup *cgroup)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file != NULL && !found && getline(&line, &room, file) > 0) {
        found = cgroup_parse_mount(cgroup, line);
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* One number, or two, in a file of a cgroup's folder. Returns: how many were read. */
static int cgroup_read(const char *folder, const char *name, long long *first, long long *second)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int count = fscanf(file, "%lld %lld", first, second); // "max 100000" reads none: no quota.
    (void)fclose(file);
    return count;
}

/* Of one folder, in hundredths of a CPU. Returns: 0: no quota here. */
static uint32_t cgroup_quota(const struct cgroup *cgroup, const char *folder)
{
    long long quota = 0;
    long long period = 0;
    long long unused = 0;
    if (cgroup->v2) {
        if (cgroup_read(folder, "cpu.max", &quota, &period) != 2) {
            return 0;
        }
    } else if (cgroup_read(folder, "cpu.cfs_quota_us", &quota, &unused) != 1 ||
               cgroup_read(folder, "cpu.cfs_period_us", &period, &unused) != 1) {
        return 0;
    }
    if (quota <= 0 || period <= 0 || quota > LLONG_MAX / 200 || period > LLONG_MAX / 200) {
        return 0;
    }
    long long percent = (quota * 100 + period - 1) / period; // At least 1: a quota is never "none".
    return percent > UINT32_MAX ? UINT32_MAX : (uint32_t)percent;
}

uint32_t cmdi_cgroup_cpu_percent(void)
{
    struct cgroup *cgroup = calloc(1, sizeof(*cgroup)); // Three paths: too much for a small stack.
    char *folder = malloc(2 * PATH_MAX);
    uint32_t least = 0;
    if (cgroup == NULL || folder == NULL || !cgroup_find_path(cgroup) ||
            !cgroup_find_mount(cgroup)) {
        goto done;
    }
    /*
     * In a container the mount may begin at the container's own cgroup, which the path then begins
     * with as well.
     */
    const char *path = cgroup->path;
    size_t root_size = strlen(cgroup->root);
    if (root_size > 1 && strncmp(path, cgroup->root, root_size) == 0 &&
            (path[root_size] == '/' || path[root_size] == '\0')) {
        path += root_size;
    }
    size_t mount_size = strlen(cgroup->mount);
    (void)snprintf(folder, 2 * PATH_MAX, "%s%s", cgroup->mount, path);
    for (size_t size = strlen(folder); size >= mount_size;
            size = (size_t)(strrchr(folder, '/') - folder)) {
        folder[size] = '\0';
        uint32_t percent = strlen(folder) < PATH_MAX ? cgroup_quota(cgroup, folder) : 0;
        if (percent > 0 && (least == 0 || percent < least)) {
            least = percent; // A parent's quota holds for all below it.
        }
        if (size == mount_size || strrchr(folder, '/') == NULL) {
            break;
        }
    }
done:
    free(folder);
    free(cgroup);
    return least;
}
