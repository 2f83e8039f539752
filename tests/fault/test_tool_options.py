# SPDX-License-Identifier: MIT
"""Each option of --help is taken and does something; what would be ignored is refused by name."""
import json
import os
import re
import unittest

import peer
import program

ONE_CPU = min(os.sched_getaffinity(0))
SHORT = ("--duration", 0.05, "--warmup", 0)
SERVE = (
    ("--codec", "msgpack-map", "--server-info", "default", "--shards", 1, "--cpus", ONE_CPU, "--reuse-port",
     "--spin-always", "--spin-us", 50, "--workers", 2, "--max-connections", 10, "--max-in-flight", 8, "--max-frame", 4096,
     "--max-kept", 65536, "--max-memory", 33554432,
     "--max-output", 8192, "--server-info-timeout-ms", 1000, "--frame-timeout-ms", 1000, "--idle-timeout-ms", 1000,
     "--write-timeout-ms", 1000, "--exec-timeout-ms", 1000, "--drain-ms", 100, "--burn-us", 1, "--spans", 16,
     "--quiet"),
    ("--log", "json", "--log-level", "error"), ("--log-level", "warning"),
    ("--no-pin", "--verbose"),
    ("--metrics", "127.0.0.1:0", "--metrics-remote", "--admin", "127.0.0.1:0", "--admin-changes"),
)
BENCH = (
    ("--command", "echo", "--codec", "msgpack", *SHORT, "--conns", 2, "--in-flight", 2, "--threads", 1, "--dispatch",
     "round-robin", "--string-size", 5, "--deadline-ms", 9000, "--light", 1, "--idle", 1, "--spin-us", 0, "--client-spin-us",
     1, "--server-spin-us", 2, "--server-shards", 1, "--burn-us", 1, "--server-info", "x", "--share", "--json"),
    (*SHORT, "--blocking", "--callers", 2, "--sender-single", "--no-pin", "--progress", "--command", "work", "--work-us", 1,
     "--server-workers", 1, "--json"),
    (*SHORT, "--rate", 100, "--command", "stream", "--stream-count", 2, "--stream-size", 3, "--json"),
    (*SHORT, "--command", "sleep", "--sleep-ms", 1, "--own-threads", "--spin-always", "--conns", 1, "--hooks", "--json"),
)
CALL = ("--codec", "msgpack", "--server-info", "default", "--repeat", 2, "--deadline-ms", 9000, "--max-frame", 4096,
        "--in-flight", 1, "--count", 1, "--timeout-ms", 9000)
STRESS = (
    ("--duration", 0.3, "--warmup", 0.1, "--seed", 1, "--report", 0.1, "--sessions", 2, "--in-flight", 2, "--clients", 2,
     "--window", 3, "--rate", 1000, "--slow-sessions", 1, "--slow-clients", 1, "--callers", 1,
     "--reconnect-delay-max-ms", 100, "--threads", 1, "--fail-prob", 0.01,
     "--echo-prob", 0.5, "--max-stream-results", 3, "--payload-max", 20, "--large-prob", 0.1, "--dispatch", "p2c",
     "--delay-prob", 0.1, "--delay-max-ms", 3, "--deadline-ms", 9000, "--short-prob", 0.1, "--short-max-ms", 50,
     "--forget-prob", 0.1, "--resend-prob", 0.1, "--veto-prob", 0.1, "--cb-window-size", 10, "--cb-failure-rate", 0.9, "--cb-open-duration-ms", 50,
     "--cb-success-threshold", 1, "--no-pause-prob", 0.5, "--workload-pause-prob", 0.4, "--workload-pause-max-ms", 5,
     "--keepalive-pause-max-ms", 5, "--keepalive-time-ms", 50, "--keepalive-intvl-ms", 50, "--servers", 1, "--server-shards", 1,
     "--server-up-max-ms", 60000, "--server-down-max-ms", 5, "--server-stall-max-ms", 5, "--server-stop", "kill",
     "--chaos", "--chaos-faults", "split", "--chaos-every", "50", "--codec", "msgpack-map", "--json"),
    ("--like-go", "--no-breaker", "--duration", 0.3, "--server-up-max-ms", 60000, "--verbose", "--json"),
)
# Words, and what the sentence names.
REFUSED = (
    ((), "which command"), (("serv",), "did you mean serve"), (("--version", "x"), "x"), (("help", "bnch"), "bench"),
    (("serve", "--conns", 3), "--conns"), (("serve", "--shards", 0), "--shards"), (("serve", "--shards", "1x"), "1x"),
    (("serve", "--quiet", "--verbose"), "--quiet does not go with --verbose"),
    (("serve", "--quiet", "--log-level", "info"), "--quiet does not go with --log-level"),
    (("serve", "--verbose", "--log-level", "info"), "--verbose does not go with --log-level"),
    (("serve", "--log", "xml"), "--log takes text, json or journal, not \"xml\""),
    (("serve", "--log-level", "loud"), "--log-level takes debug, info, warn or error"),
    (("serve", "--cpus", ONE_CPU, "--no-pin"), "--cpus does not go with --no-pin"),
    (("serve", "--spin-always", "--spin-us", 0), "--spin-always"), (("serve", "--drain-ms", -1), "--drain-ms"),
    (("serve", "--listen", "a", "--listen", "b"), "given twice: --listen"), (("serve", "x"), "x"),
    (("serve", "--metrics-remote"), "--metrics-remote goes with --metrics"), (("serve", "--admin-changes"), "--admin"),
    (("bench", "--in-fligt", 3), "--in-flight"), (("bench", "--conns", 4294967297), "--conns"),
    (("bench", "--duration", 0), "--duration"), (("bench", "--rate", 0), "--rate"), (("bench", "--rate", "0x10"), "--rate"),
    (("bench", "--in-flight", 4, "--blocking"), "--in-flight does not go with --blocking"),
    (("bench", "--rate", 4, "--blocking"), "--rate does not go with --blocking"),
    (("bench", "--dispatch", "sticky", "--blocking"), "--dispatch"), (("bench", "--own-threads", "--blocking"), "--own-threads"),
    (("bench", "--callers", 3), "--callers goes with --blocking"), (("bench", "--sender-single"), "--blocking"),
    (("bench", "--blocking", "--sender-single", "--conns", 2), "--conns"), (("bench", "--server-pid", 1), "--connect"),
    (("bench", "--connect", "x", "--server-pid", 2**31 - 1), "--server-pid"),
    (("bench", "--light", 2, "--rate", 5), "--light"), (("bench", "--connect", "x", "--server-shards", 1), "--server-shards"),
    (("bench", "--connect", "x", "--burn-us", 1), "--burn-us"), (("bench", "--connect", "x", "--share"), "--share"),
    (("bench", "--stream-size", 4), "--stream-size says nothing about the command echo"),
    (("bench", "--command", "stream", "--string-size", 4), "--string-size"), (("bench", "--sleep-ms", 4), "--sleep-ms"),
    (("bench", "--work-us", 4), "--work-us"), (("bench", "--server-workers", 4), "--server-workers"),
    (("bench", "--own-threads", "--threads", 3, "--conns", 2), "--threads"), (("bench", "--codec", "xml"), "msgpack"),
    (("bench", "--string-size", "5x"), "--string-size"), (("bench", "--command", "ech"), "echo"),
    (("call", "127.0.0.1:1"), "missing"), (("call", "127.0.0.1:1", "eco"), "echo"), (("call", "a", "echo", "{}", "b"), "b"),
    (("call", "a", "echo", "{"), "JSON"), (("call", "--repeat", 0, "a", "echo"), "--repeat"), (("doctor", "x"), "x"),
    (("stats",), "missing"), (("stats", "--json", "--prometheus", "a:1"), "--prometheus does not go with --json"),
    (("stats", "--every", 0, "a:1"), "--every"), (("top", "--every", "1s", "a:1"), "--every"), (("top", "a:1", "b"), "b"),
    (("stress", "--serve", "a", "--connect", "b"), "--serve does not go with --connect"),
    (("stress", "--serve", "a", "--duration", 1), "--duration"), (("stress", "--server-stop", "burn"), "--server-stop"),
    (("stress", "--dispatch", "mine"), "--dispatch"),
    (("stress", "--connect", "a", "--server-stop", "kill"), "--server-stop"),
    (("stress", "--fail-prob", 0.6, "--echo-prob", 0.6), "--fail-prob"), (("stress", "--echo-prob", 2), "--echo-prob"),
    (("stress", "--no-pause-prob", 0.9, "--workload-pause-prob", 0.2), "--workload-pause-prob"),
    (("stress", "--serve", "a", "--chaos"), "--chaos"), (("stress", "--chaos-faults", "cut"), "--chaos"),
    (("stress", "--chaos", "--chaos-faults", "cut,fire"), '"cut,fire"'),
    (("stress", "--chaos", "--chaos-every", "9..3"), '"9..3"'),
    (("stress", "--sessions", 0, "--slow-sessions", 0, "--callers", 0), "nobody sends"), (("stress", "--codec", "xml"), "msgpack"),
)


def of_help(command):
    """But for those of TLS, which need certificates: test_tool_tls.py."""
    names = set(re.findall(r"^  (--[a-z-]+)", program.run(command, "--help").stdout, re.MULTILINE))
    return {name for name in names if not name.startswith("--tls")} - {"--help"}


def of_words(*lines):
    return {word for words in lines for word in words if str(word).startswith("--")}


class Options(unittest.TestCase):
    def test_serve_takes_every_option_of_its_help(self):
        self.assertEqual(of_words(*SERVE) | {"--listen"}, of_help("serve"))
        is_whole = "(not in this build)" not in program.run("serve", "--help").stdout  # With pages over HTTP.
        for words in SERVE if is_whole else SERVE[:-1]:
            with peer.Server(*words) as server:
                self.assertTrue(server.is_alive())

    def test_bench_takes_every_option_of_its_help(self):
        self.assertEqual(of_words(*BENCH) | {"--connect", "--server-pid"}, of_help("bench"))
        for words in BENCH:
            done = program.run("bench", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            taken = json.loads(done.stdout)["parameters"]
            for name in ("command", "conns", "in-flight", "callers", "light", "idle", "stream-count", "stream-size",
                         "sleep-ms", "work-us", "burn-us", "server-shards", "server-spin-us", "client-spin-us", "rate"):
                if "--" + name in words:
                    self.assertEqual(taken[name.replace("-", "_")], words[words.index("--" + name) + 1], name)

    def test_bench_counts_the_time_of_the_server_that_it_is_told_of(self):
        with peer.Server("--shards", 1) as server:
            words = ("bench", *SHORT, "--json", "--connect", server.address, "--server-pid")
            done = program.run(*words, server.pid)
            self.assertGreater(json.loads(done.stdout)["server_cpu_us_per_command"], 0)
            done = program.run(*words, 2**22)  # The kernel gives smaller ones.
            self.assertEqual(done.returncode, 1)
            self.assertIn("no such process", done.stderr)

    def test_call_and_doctor_take_every_option_of_their_help(self):
        self.assertEqual(of_words(CALL), of_help("call"))
        self.assertEqual(of_help("doctor"), {"--json"})
        with peer.Server("--shards", 1) as server:
            done = program.run("call", *CALL, server.address, "echo")
            self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, 2))

    def test_stats_and_top_have_these_options(self):
        """Which test_tool_stats.py uses."""
        self.assertEqual(of_help("stats"), {"--every", "--json", "--prometheus"})
        self.assertEqual(of_help("top"), {"--every"})

    def test_stress_takes_every_option_of_its_help(self):
        self.assertEqual(of_words(*STRESS) | {"--serve", "--connect"}, of_help("stress"))
        for words in STRESS:
            done = program.run("stress", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(json.loads(done.stdout)["success"], 0)

    def test_what_would_be_ignored_is_refused_by_name(self):
        for words, name in REFUSED:
            done = program.run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(name, done.stderr.split("\n\n")[0], words)
            self.assertEqual(done.stdout, "", words)

    def test_connections_beyond_the_limit_of_files_are_refused_at_once(self):
        for words in (("bench", "--idle", 100), ("bench", "--conns", 100), ("bench", "--light", 100),
                      ("bench", "--blocking", "--sender-single", "--callers", 100), ("stress", "--clients", 100),
                      ("serve", "--listen", "127.0.0.1:0", "--max-connections", 100)):
            done = program.run(*words, files=64)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn("this process may have 64: raise the hard limit", done.stderr, words)

    def test_a_bench_within_the_limit_of_files_runs(self):
        done = program.run("bench", *SHORT, "--conns", 4, "--idle", 4, "--threads", 1, "--server-shards", 1, files=64)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    peer.main()
