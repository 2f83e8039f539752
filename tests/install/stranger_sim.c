/* SPDX-License-Identifier: MIT */
/*
 * A stranger's world: a server and its customer, by each codec that the package has for the simulation.
 * The customer sleeps for an hour: a program that was not linked with what the library asks of the linker
 * would really do so.
 */
#include <stdio.h>
#include <time.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>
#ifdef STRANGER_json
#include <cmdstream/codec_json.h>
#endif
#ifdef STRANGER_protobuf
#include <cmdstream/codec_protobuf.h>
#endif
#ifdef STRANGER_mus
#include <cmdstream/codec_mus.h>
#endif

struct twice {
    int64_t number;
};
struct value {
    int64_t number;
};
CMDS_COMMAND(twice, 0, number);
CMDS_RESULT(value, 0, number);
static const struct cmds_type *const commands[] = {&twice_type};
static const struct cmds_type *const results[] = {&value_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("stranger", commands, results);

static const struct cmds_codec *const codecs[] = {
        &cmds_codec_msgpack,
#ifdef STRANGER_json
        &cmds_codec_json,
#endif
#ifdef STRANGER_protobuf
        &cmds_codec_protobuf,
#endif
#ifdef STRANGER_mus
        &cmds_codec_mus,
#endif
};

static int on_twice(struct cmds_call *call, const struct twice *twice)
{
    struct value value = {2 * twice->number};
    return cmds_call_send(call, value_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(twice, on_twice)};

static int run_server(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.listen = "0.0.0.0:9000";
    options.codec = *(const struct cmds_codec *const *)context;
    return cmds_server_main(&options);
}

static int run_customer(void *context)
{
    struct timespec hour = {.tv_sec = 3600};
    (void)nanosleep(&hour, NULL);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    options.connect = "server:9000";
    options.codec = *(const struct cmds_codec *const *)context;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct twice twice = {21};
    int code = cmds_sender_open(&sender, &options, NULL);
    code = code < 0 ? code : cmds_sender_send(sender, twice_message(&twice), 1000, &result, NULL);
    const struct value *value = value_of(result);
    code = code == 0 && (value == NULL || value->number != 42) ? 1 : code;
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return code;
}

static int run(const struct cmds_codec *codec, uint64_t *hash)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    options.time_max_ms = 2 * 3600 * 1000;
    struct cmds_sim_program server = CMDS_SIM_PROGRAM_INIT("server", run_server);
    struct cmds_sim_program customer = CMDS_SIM_PROGRAM_INIT("customer", run_customer);
    struct cmds_sim_report report = CMDS_SIM_REPORT_INIT;
    struct cmds_sim *sim = NULL;
    server.daemon = true;
    server.context = customer.context = &codec;
    int code = cmds_sim_open(&sim, &options, NULL);
    code = code < 0 ? code : cmds_sim_start(sim, &server, NULL, NULL);
    code = code < 0 ? code : cmds_sim_start(sim, &customer, NULL, NULL);
    code = code < 0 ? code : cmds_sim_run(sim, NULL);
    if (sim != NULL) {
        cmds_sim_stats(sim, &report);
    }
    cmds_sim_close(sim);
    *hash = report.hash;
    return code;
}

int main(void)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        uint64_t hash[2];
        int code = run(codecs[i], &hash[0]);
        code = code < 0 ? code : run(codecs[i], &hash[1]);
        if (code < 0 || hash[0] != hash[1]) {
            fprintf(stderr, "the world with %s: %s\n", codecs[i]->name,
                    code < 0 ? cmds_error_text(code) : "not the same twice");
            return 1;
        }
    }
    return 0;
}
