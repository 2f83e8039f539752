/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream doctor`: will it work here, how well, and what to do if not.
 *
 * The probe brings facts, doctor_try.h the proof; the judgement is here: a problem stops a server, a
 * warning costs something under load. Each has its remedy beside it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/probe.h>

#include "common.h"
#include "doctor_try.h"
#include "options.h"
#include "tls.h"
#include "wait.h"

enum {
    DOCTOR_FINDINGS_MAX = 16,
    DOCTOR_TEXT_SIZE = 480,
    DOCTOR_SOMAXCONN_GOOD = 1024,
    DOCTOR_SECCOMP_FILTER = 2, // Of cmds_probe.seccomp_mode.
    DOCTOR_SERVERS_GOOD = 2, // That RLIMIT_MEMLOCK has room for: one, and the one that follows it.
};

struct doctor_options {
    bool json;
};
static const struct tool_option doctor_rows[] = {
        TOOL_FLAG(doctor_options, "json", json, "print one JSON object"),
};
static const struct tool_command doctor_command = {
        .usage = "doctor [OPTIONS]",
        .about = "Looks at what a server or a client needs: the kernel, io_uring and its features "
                 "one by one, the sysctl,\n"
                 "seccomp, limits, CPUs. Then it does what `cmdstream serve` does with its "
                 "default options: a runtime with\n"
                 "as many shards, servers on 127.0.0.1 and on a UNIX socket, and through each an "
                 "echo for every shard and a\n"
                 "command in the pool of threads. Each problem comes with its remedy.\n",
        .notes = "A port, an address or CPUs that you name to `serve` are not tried: it says so "
                 "itself when it starts.\n\n"
                 "Exit status: 0 fine (warnings do not count); 1 something will not work; 2 a bad "
                 "option.\n",
        .options = doctor_rows,
        .option_count = sizeof(doctor_rows) / sizeof(doctor_rows[0]),
};

struct doctor_finding {
    bool problem; // Else a warning.
    char text[DOCTOR_TEXT_SIZE];
};
struct doctor {
    struct cmds_probe probe;
    struct doctor_try trial;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    uint32_t finding_count, problem_count;
};

static struct doctor_finding *doctor_find(struct doctor *doctor, bool problem)
{
    static struct doctor_finding overflow; // There are fewer kinds of finding than places.
    if (doctor->finding_count == DOCTOR_FINDINGS_MAX) {
        return &overflow;
    }
    doctor->problem_count += problem;
    struct doctor_finding *finding = &doctor->findings[doctor->finding_count++];
    finding->problem = problem;
    return finding;
}

/* The shards of a server with the default options: the allowed CPUs, or what a quota gives. */
static int64_t doctor_shards(const struct cmds_probe *probe)
{
    int64_t quota = ((int64_t)probe->cpu_quota_percent + 99) / 100;
    int64_t cpus = probe->cpu_count > 0 ? probe->cpu_count : 1;
    return quota > 0 && quota < cpus ? quota : cpus;
}

static void doctor_judge_memlock(struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    int64_t room = probe->memlock_bytes / probe->shard_memlock_bytes;
    int64_t shards = doctor_shards(probe);
    if (probe->memlock_bytes >= 0 && room < shards * DOCTOR_SERVERS_GOOD) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "RLIMIT_MEMLOCK, %lld KiB for all processes of a user, has room for %lld shards of "
                "%lld KiB where the kernel counts rings, and a server here has %lld; what others "
                "hold of it cannot be seen: raise it (ulimit -l, LimitMEMLOCK=, --ulimit "
                "memlock=-1)",
                (long long)(probe->memlock_bytes / 1024), (long long)room,
                (long long)(probe->shard_memlock_bytes / 1024), (long long)shards);
    }
}

static void doctor_judge_limits(struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    uint64_t beside = cmdi_tool_files_needed(0, doctor->trial.shard_count);
    if (doctor->trial.file_limit < beside + TOOL_CONNECTIONS_DEFAULT) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "at most %llu open files, and each connection is one: a server has at most about "
                "%llu, not its default of %d; raise the hard limit (ulimit -Hn, LimitNOFILE=)",
                (unsigned long long)doctor->trial.file_limit,
                (unsigned long long)(doctor->trial.file_limit > beside
                                             ? doctor->trial.file_limit - beside
                                             : 0),
                TOOL_CONNECTIONS_DEFAULT);
    }
    if (probe->somaxconn >= 0 && probe->somaxconn < DOCTOR_SOMAXCONN_GOOD) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "only %d connections may wait to be accepted, a burst of more is refused or "
                "delayed: sysctl -w "
                "net.core.somaxconn=4096",
                probe->somaxconn);
    }
    doctor_judge_memlock(doctor);
    if (probe->cpu_quota_percent > 0 && probe->cpu_quota_percent < probe->cpu_count * 100) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "a cgroup gives %d.%02d CPUs of the %d that are allowed: there will be fewer "
                "shards, and they will not "
                "spin (latency is higher); raise cpu.max for more",
                probe->cpu_quota_percent / 100, probe->cpu_quota_percent % 100, probe->cpu_count);
    } else if (probe->cpu_count == 1) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "one CPU only: a server and a client here take it from each other");
    }
}

/* By the words of cmds_tls_library(): nothing else knows how a wolfSSL was built. */
static void doctor_judge_tls(struct doctor *doctor)
{
    const char *library = cmdi_tool_tls_library();
    if (library == NULL) {
        return;
    }
    if (strstr(library, "(C only)") != NULL) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "TLS handshakes are slow, 0.2 to 1.5 ms each, and a connection takes 60 to 80 KB: "
                "this wolfSSL has no assembly; run scripts/build-wolfssl.sh and build anew");
    }
    if (strstr(library, "no fast AES") != NULL) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "TLS is slow, 4 us and more for each command: neither this wolfSSL nor libgcrypt "
                "has "
                "AES of this CPU; install libgcrypt20-dev and build anew");
    }
}

static void doctor_judge(struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    if (probe->error.code < 0) {
        bool filtered = probe->setup_error == 0 && probe->seccomp_mode == DOCTOR_SECCOMP_FILTER;
        snprintf(doctor_find(doctor, true)->text, DOCTOR_TEXT_SIZE, "%s%s", probe->error.text,
                filtered ? "; or the seccomp filter of this process refuses it: allow "
                           "io_uring_setup, io_uring_enter and io_uring_register in its profile"
                         : "");
    } else if (!doctor->trial.runtime_works) {
        snprintf(doctor_find(doctor, true)->text, DOCTOR_TEXT_SIZE,
                "a runtime did not start: %.400s", doctor->trial.runtime);
    }
    for (int i = 0; i < DOCTOR_TRY_SERVERS; i++) {
        const struct doctor_try_server *server = &doctor->trial.servers[i];
        if (server->tried && !server->works) {
            snprintf(doctor_find(doctor, true)->text, DOCTOR_TEXT_SIZE, "a server does not work %s",
                    server->text);
        }
    }
    if (probe->io_uring_disabled == 1 && probe->error.code == 0) {
        snprintf(doctor_find(doctor, false)->text, DOCTOR_TEXT_SIZE,
                "kernel.io_uring_disabled is 1: this user may use io_uring, others may not "
                "(kernel.io_uring_group)");
    }
    if (strcmp(cmds_version(), CMDS_VERSION) != 0) {
        snprintf(doctor_find(doctor, true)->text, DOCTOR_TEXT_SIZE,
                "this program was built for cmdstream %s and runs with %s: install both from one "
                "build",
                CMDS_VERSION, cmds_version());
    }
    doctor_judge_limits(doctor);
    doctor_judge_tls(doctor);
}

/* --- For people ------------------------------------------------------------------------------- */

static void doctor_print_limit(const char *name, int64_t value, const char *unit)
{
    if (value == INT64_MAX) {
        printf("%-26s unlimited\n", name);
    } else if (value < 0) {
        printf("%-26s unknown\n", name);
    } else {
        printf("%-26s %lld%s\n", name, (long long)value, unit);
    }
}

static const char *doctor_sysctl_text(int32_t value)
{
    switch (value) {
    case -1:
        return "no such sysctl (allowed)";
    case 0:
        return "0 (allowed)";
    case 1:
        return "1 (for one group only)";
    default:
        return "2 (for nobody)";
    }
}

static const char *doctor_seccomp_text(int32_t value)
{
    return value == 0 ? "none" : value == 1 ? "strict" : value == 2 ? "a filter" : "unknown";
}

static void doctor_print_facts(const struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    printf("%-26s %s\n", "cmdstream", cmds_version());
    printf("%-26s %s (built against)\n", "liburing", probe->liburing_version);
    printf("%-26s %s\n", "jansson", jansson_version_str());
    printf("%-26s %s\n", "TLS",
            cmdi_tool_tls_library() != NULL ? cmdi_tool_tls_library() : "not in this build");
    printf("%-26s %s\n", "kernel", probe->kernel_release);
    printf("%-26s %s\n", "kernel.io_uring_disabled", doctor_sysctl_text(probe->io_uring_disabled));
    printf("%-26s %s\n", "seccomp", doctor_seccomp_text(probe->seccomp_mode));
    doctor_print_limit("memlock",
            probe->memlock_bytes == INT64_MAX ? INT64_MAX : probe->memlock_bytes / 1024, " KiB");
    printf("%-26s %lld of about %lld KiB of it each, where the kernel counts rings\n",
            "shards of a server", (long long)doctor_shards(probe),
            (long long)(probe->shard_memlock_bytes / 1024));
    doctor_print_limit("open files, soft", probe->nofile_soft, "");
    doctor_print_limit("open files, hard", probe->nofile_hard, "");
    doctor_print_limit("net.core.somaxconn", probe->somaxconn, "");
    doctor_print_limit("CPUs allowed", probe->cpu_count, "");
    if (probe->cpu_quota_percent > 0) {
        printf("%-26s %d.%02d CPUs\n", "cgroup cpu.max", probe->cpu_quota_percent / 100,
                probe->cpu_quota_percent % 100);
    } else {
        printf("%-26s no quota\n", "cgroup cpu.max");
    }
}

static void doctor_print_features(const struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    printf("\nio_uring                    since  \n");
    if (probe->setup_error < 0) {
        printf("  refused: %s\n", cmds_error_name(probe->setup_error));
    }
    for (uint32_t i = 0; i < probe->feature_count; i++) {
        const struct cmds_probe_feature *feature = &probe->features[i];
        const char *mark = feature->available ? "yes" : feature->needed ? "NO " : "no ";
        printf("  %s %-28s %-5s %s%s\n", mark, feature->name, feature->since, feature->gives,
                feature->needed ? " (needed)" : "");
    }
    printf("\nruntime: %s\n", doctor->trial.runtime);
    for (int i = 0; i < DOCTOR_TRY_SERVERS; i++) {
        const struct doctor_try_server *server = &doctor->trial.servers[i];
        printf("server, %s: %s\n", server->kind, server->tried ? server->text : "not tried");
    }
}

static void doctor_print(const struct doctor *doctor)
{
    doctor_print_facts(doctor);
    doctor_print_features(doctor);
    printf("\n");
    for (uint32_t i = 0; i < doctor->finding_count; i++) {
        printf("%s: %s\n", doctor->findings[i].problem ? "PROBLEM" : "warning",
                doctor->findings[i].text);
    }
    if (doctor->problem_count == 0) {
        printf("%s\n", doctor->finding_count == 0 ? "Everything is fine." : "It works.");
    }
}

/* --- For programs ----------------------------------------------------------------------------- */

static json_t *doctor_json_features(const struct cmds_probe *probe)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < probe->feature_count; i++) {
        const struct cmds_probe_feature *feature = &probe->features[i];
        (void)json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", feature->name, "since",
                              feature->since, "gives", feature->gives, "available",
                              (int)feature->available, "needed", (int)feature->needed));
    }
    return list;
}

static json_t *doctor_json_findings(const struct doctor *doctor, bool problems)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < doctor->finding_count; i++) {
        if (doctor->findings[i].problem == problems) {
            (void)json_array_append_new(list, json_string(doctor->findings[i].text));
        }
    }
    return list;
}

static json_t *doctor_json_servers(const struct doctor_try *trial)
{
    json_t *list = json_array();
    for (int i = 0; i < DOCTOR_TRY_SERVERS; i++) {
        const struct doctor_try_server *server = &trial->servers[i];
        (void)json_array_append_new(list,
                json_pack("{s:s, s:b, s:b, s:s}", "kind", server->kind, "tried", (int)server->tried,
                        "works", (int)server->works, "text", server->text));
    }
    return list;
}

/* Unknown is null, no limit is -1. */
static json_t *doctor_json_limit(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value == INT64_MAX ? -1 : value);
}

static void doctor_print_json(const struct doctor *doctor)
{
    const struct cmds_probe *probe = &doctor->probe;
    json_t *object = json_pack("{s:b, s:s, s:s, s:s, s:s?, s:s, s:i, s:o, s:o}", "ok",
            doctor->problem_count == 0, "version", cmds_version(), "liburing",
            probe->liburing_version, "jansson", jansson_version_str(), "tls",
            cmdi_tool_tls_library(), "kernel", probe->kernel_release, "setup_error",
            (int)probe->setup_error, "io_uring_disabled",
            doctor_json_limit(probe->io_uring_disabled), "seccomp",
            doctor_json_limit(probe->seccomp_mode));
    json_t *limits = json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:i}", "memlock_bytes",
            doctor_json_limit(probe->memlock_bytes), "shard_memlock_bytes",
            (json_int_t)probe->shard_memlock_bytes, "server_shards",
            (json_int_t)doctor_shards(probe), "nofile_soft", doctor_json_limit(probe->nofile_soft),
            "nofile_hard", doctor_json_limit(probe->nofile_hard), "somaxconn",
            doctor_json_limit(probe->somaxconn), "cpus", doctor_json_limit(probe->cpu_count),
            "cpu_quota_percent", (int)probe->cpu_quota_percent);
    if (object == NULL || limits == NULL || json_object_update(object, limits) < 0) {
        fprintf(stderr, "cmdstream doctor: out of memory\n");
    } else {
        (void)json_object_set_new(object, "features", doctor_json_features(probe));
        (void)json_object_set_new(object, "runtime", json_string(doctor->trial.runtime));
        (void)json_object_set_new(object, "servers", doctor_json_servers(&doctor->trial));
        (void)json_object_set_new(object, "problems", doctor_json_findings(doctor, true));
        (void)json_object_set_new(object, "warnings", doctor_json_findings(doctor, false));
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(limits);
    json_decref(object);
}

int tool_doctor(int argc, char **argv)
{
    struct doctor_options options = {0};
    struct tool_line line;
    int status = cmdi_tool_options_parse(&doctor_command, argc, argv, &options, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    struct doctor doctor = {.probe = CMDS_PROBE_INIT};
    struct doctor_child child;
    struct tool_wait wait;
    (void)doctor_try_start(&child); // doctor_try_finish() says that there is none.
    cmdi_tool_wait_begin(
            &wait, cmdi_tool_wait_is_seen(), "starting a server and asking it", UINT32_MAX);
    (void)cmds_probe_run(&doctor.probe);
    doctor_try_finish(&child, &doctor.trial);
    cmdi_tool_wait_end(&wait);
    doctor_judge(&doctor);
    if (options.json) {
        doctor_print_json(&doctor);
    } else {
        doctor_print(&doctor);
    }
    return doctor.problem_count == 0 ? TOOL_EXIT_OK : TOOL_EXIT_FAILED;
}
