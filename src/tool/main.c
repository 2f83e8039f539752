/* SPDX-License-Identifier: MIT */
/*
 * The program `cmdstream`: serve, bench, call, describe, chaos, stats, top, doctor, stress. Built on the
 * public headers alone, so that whatever it does, any program can do; but for chaos, whose proxy is the
 * library's own.
 */
#include "common.h"
#include "load.h"
#include "program.h"
#include "test_protocol.h"

static const struct tool_sub main_subs[] = {
        {"serve", "serve the test protocol: something to talk to", tool_serve},
        {"bench", "measure throughput and latency, against a server of its own or another",
                tool_bench},
        {"call", "send commands from the shell, print their results as JSON lines", cmdi_tool_call},
        {"describe", "print the types of the protocol, their fields and limits",
                cmdi_tool_describe},
        {"chaos", "stand between clients and servers, and treat connections badly", tool_chaos},
        {"stats", "show what a running service does: one table, or a row every so often",
                tool_stats},
        {"top", "the same on the whole terminal, again and again", tool_top},
        {"doctor", "say whether io_uring works here, what it offers, and what to do if not",
                tool_doctor},
        {"stress", "clients and servers that restart, stall and fail; each result is checked",
                tool_stress},
        {"completion", "print what a shell completes words with", cmdi_tool_completion},
};
static const struct tool_program main_program = {.name = "cmdstream",
        .title = CMDS_VERSION ": the Distributed Command Pattern on io_uring.",
        .examples = "\n"
                    "  $ cmdstream serve &\n"
                    "  $ cmdstream call 127.0.0.1:9000 echo '{\"string\":\"hi\",\"int64\":-5}'\n"
                    "  $ cmdstream bench --conns 8 --in-flight 128\n",
        .types = "  echo    "
                 "{\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":0}  the same back\n"
                 "  stream  "
                 "{\"count\":3,\"size\":8}                              so many results of so many "
                 "bytes\n"
                 "  sleep   "
                 "{\"ms\":100} and the four of echo                   the same back, later\n"
                 "  fail    "
                 "{}                                                closes the connection\n"
                 "  work    "
                 "{\"us\":1000}                                       burns CPU in the pool\n",
        .protocol = &test_protocol,
        .subs = main_subs,
        .sub_count = sizeof(main_subs) / sizeof(main_subs[0]),
        .load = tool_load};

int main(int argc, char **argv)
{
    return cmdi_tool_program_main(&main_program, argc, argv);
}
