# SPDX-License-Identifier: MIT
"""`cmdstream stress`: it finds nothing where nothing is wrong, and says so where a server or a client lies."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import unittest

import peer
import program
import stress_texts

RESTARTS = ("--server-up-max-ms", 1500, "--server-down-max-ms", 300, "--server-stall-max-ms", 500)
ECHO, STREAM, FAIL = range(3)
ECHOED, ITEM = range(2)


def stress(*words):
    """Returns: (status, the object that it prints, stderr)."""
    done = program.run("stress", *words, "--json", "--seed", 7, "--report", 0)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Whole(unittest.TestCase):
    def good(self, status, result, errors):
        self.assertEqual(status, 0, errors)
        self.assertEqual((result["verify_errors"], result["unexpected_errors"], result["never_ended"]), (0, 0, 0))
        self.assertGreater(result["success_echo"], 0)
        self.assertGreater(result["success_stream"], 0)
        self.assertEqual(result["descriptors"]["closed"], result["descriptors"]["begin"])
        self.assertFalse(result["descriptors"]["grew"])
        ends = ("success", "cb_blocked", "send_timeouts", "result_timeouts", "cancelled", "vetoed",
                "network_errors", "unexpected_errors")
        self.assertEqual(sum(result[name] for name in ends), result["total_commands"])

    def test_servers_that_restart(self):
        status, result, errors = stress("--duration", 5, *RESTARTS, "--fail-prob", 0.001)
        self.good(status, result, errors)
        servers = result["servers"]
        self.assertGreater(servers["starts"], 1)
        ended = servers["kills"] + servers["drains"]
        self.assertIn(servers["starts"] - ended, (0, 1))  # The last one may be down when all ends.
        self.assertGreater(result["failed_as_asked"], 0)
        self.assertGreater(result["resent"], 0)
        self.assertGreater(result["connections_up"], 10)

    def test_a_proxy_that_treats_connections_badly(self):
        status, result, errors = stress("--duration", 4, "--chaos", "--chaos-every", "50..200", "--fail-prob", 0,
                                        "--server-up-max-ms", 60000)
        self.good(status, result, errors)
        self.assertGreater(result["network_errors"], 0)
        self.assertGreater(result["proxy"]["descriptors_peak"], result["proxy"]["descriptors_begin"])
        self.assertEqual(result["servers"]["count"], 1)
        self.assertLessEqual(result["proxy"]["descriptors_end"], result["proxy"]["descriptors_begin"])

    def test_several_servers_of_which_each_restarts_by_itself(self):
        status, result, errors = stress("--duration", 4, "--chaos", "--servers", 3, *RESTARTS)
        self.good(status, result, errors)
        self.assertEqual(result["servers"]["count"], 3)
        self.assertGreater(result["servers"]["starts"], 3)

    @unittest.skipUnless(os.environ.get("CMDSTREAM_TLS") == "1", "this build has no TLS")
    def test_tls(self):
        status, result, errors = stress("--duration", 4, "--tls", "--chaos", *RESTARTS, "--sessions", 8)
        self.good(status, result, errors)
        self.assertTrue(result["tls"])

    def test_a_rate_and_the_pauses_of_go(self):
        status, result, errors = stress("--duration", 2, "--server-up-max-ms", 60000, "--rate", 500, "--callers", 0)
        self.good(status, result, errors)
        self.assertLess(result["commands_per_second"], 1500)
        status, result, errors = stress("--duration", 2, "--server-up-max-ms", 60000, "--like-go")
        self.good(status, result, errors)
        self.assertLess(result["commands_per_second"], 1500)

    def test_each_side_alone_and_a_signal(self):
        with peer.Server(command=[peer.tool(), "stress", "--serve", "127.0.0.1:0", "--seed", "3",
                                  *map(str, RESTARTS)]) as server:
            clients = program.start("stress", "--connect", server.address, "--json", "--seed", 4, "--sessions", 4,
                                    "--report", 0.5, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while "Total Commands:" not in clients.stderr.readline():
                self.assertIsNone(clients.poll())
            clients.send_signal(signal.SIGINT)
            output, errors = clients.communicate(timeout=peer.PATIENCE_S)
            children = program.children(server.pid)
            status = server.stop()
        self.assertEqual((clients.returncode, status), (0, 0), errors)
        self.assertTrue(json.loads(output)["interrupted"])
        for child in children:
            self.assertTrue(peer.until(lambda child=child: program.is_gone(child)))


class FakeServer:
    """Answers a connection's commands, in JSON, by `answer(number of the command, type, fields)`, which returns a
    list of (type, fields), or of (sequence, type, fields)."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, EOFError):
            connection.sendall(peer.SERVER_INFO)
            while True:
                sequence, kind, body = peer.read_frame(connection)
                if sequence == 0:
                    connection.sendall(peer.PING)
                    continue
                for result in self.answer(sequence, kind, json.loads(body)):
                    number, type_, fields = result if len(result) == 3 else (sequence, *result)
                    connection.sendall(peer.frame(number, type_, json.dumps(fields).encode()))

    def close(self):
        self.listener.close()


def right(_, kind, fields):
    number = fields["number"]
    if kind == ECHO:
        return [(ECHOED, {"number": number, "text": fields["text"]})]
    if kind == FAIL:
        raise EOFError
    sizes = [stress_texts.item_size(fields["seed"], number, i, fields["size"]) for i in range(fields["count"])]
    return [(ITEM, {"number": number, "index": i, "last": i == len(sizes) - 1,
                    "text": stress_texts.text(fields["seed"], number, size, i).decode()})
            for i, size in enumerate(sizes)]


def wrong_byte(*command):
    results = right(*command)
    text = results[-1][1]["text"]
    results[-1][1]["text"] = chr(ord(text[0]) ^ 1) + text[1:] if text else "x"
    return results


def longer(*command):
    results = right(*command)
    results[0][1]["text"] += "0"
    return results


def another_number(*command):
    results = right(*command)
    results[0][1]["number"] += 1
    return results


def out_of_order(*command):
    results = right(*command)
    return results if len(results) == 1 else [results[1], results[0], *results[2:]]


def one_too_few(*command):
    results = right(*command)
    if results[0][0] == ITEM and len(results) > 1:
        del results[-1]
        results[-1][1]["last"] = True
    return results


def one_twice(*command):
    results = right(*command)
    return results if results[0][0] == ECHOED or len(results) == 1 else [results[0], *results]


def another_type(*command):
    results = right(*command)
    number = results[0][1]["number"]
    return [(ECHOED, {"number": number, "text": ""})] if results[0][0] == ITEM else results


class Swapped:
    """The answers of each two echoes, one for the other."""

    def __init__(self):
        self.first = None

    def __call__(self, sequence, kind, fields):
        if kind != ECHO:
            return right(sequence, kind, fields)
        if self.first is None:
            self.first = sequence, right(sequence, kind, fields)[0]
            return []
        other, answer = self.first
        self.first = None
        return [(other, *right(sequence, kind, fields)[0]), (sequence, *answer)]


class Lies(unittest.TestCase):
    def run_with(self, answer, *words, deadline_ms=1000):
        help_text = program.run("stress", "--help").stdout
        if "json" not in help_text.split("--codec")[1].split("\n")[0]:
            self.skipTest("this build has no JSON")
        server = FakeServer(answer)
        try:
            return stress("--connect", server.address, "--codec", "json", "--duration", 0.5, "--sessions", 1,
                          "--in-flight", 2, "--slow-sessions", 0, "--callers", 0, "--clients", 1, "--threads", 1, "--rate", 200,
                          "--fail-prob", 0, "--delay-prob", 0, "--large-prob", 0, "--short-prob", 0,
                          "--forget-prob", 0, "--deadline-ms", deadline_ms, *words)
        finally:
            server.close()

    def test_an_honest_server_in_another_language(self):
        status, result, errors = self.run_with(right)
        self.assertEqual((status, result["verify_errors"]), (0, 0), errors)
        self.assertGreater(result["success_stream"], 0)

    def test_each_lie_is_seen(self):
        for lie in (wrong_byte, longer, another_number, out_of_order, one_too_few, one_twice, another_type, Swapped()):
            with self.subTest(lie=lie):
                status, result, errors = self.run_with(lie)
                self.assertEqual(status, 1, errors)
                self.assertGreater(result["verify_errors"], 0)
                self.assertIn("VERIFY", result["first_wrong"])
                self.assertIn("FAILED: results were wrong", errors)

    def test_silence_is_no_success(self):
        status, result, errors = self.run_with(lambda *_: [], deadline_ms=100)
        self.assertEqual((status, result["success"]), (1, 0))
        self.assertGreater(result["result_timeouts"], 0)
        self.assertIn("not one command had its answer", errors)

    def test_a_second_answer_is_a_late_result_and_looked_at(self):
        status, result, errors = self.run_with(lambda *command: right(*command) * 2, "--echo-prob", 1)
        self.assertEqual((status, result["verify_errors"]), (0, 0), errors)
        self.assertGreater(result["late_results"], 0)
        status, result, errors = self.run_with(lambda *command: right(*command) + wrong_byte(*command),
                                               "--echo-prob", 1)
        self.assertEqual(status, 1)
        self.assertIn("late", result["first_wrong"])

    def test_a_client_that_lies_ends_its_server(self):
        seed, number = 5, 9
        body = json.dumps({"seed": seed, "number": number, "delay_ms": 0, "text": "not that"}).encode()
        server = peer.Server(command=[peer.tool(), "stress", "--serve", "127.0.0.1:0", "--codec", "json", "--json",
                                      "--server-up-max-ms", "600000"])
        try:
            with contextlib.suppress(OSError, EOFError):
                with server.connect() as client:
                    client.sendall(peer.frame(1, ECHO, body))
                    peer.read_frame(client)
            self.assertTrue(peer.until(lambda: "status 3" in server.log()))
            server.signal(signal.SIGTERM)
            counts = json.loads(server.process.stdout.readline())
        finally:
            status = server.stop()
        self.assertEqual((status, counts["failures"]), (1, 1))
        self.assertIn("VERIFY", server.log())


if __name__ == "__main__":
    peer.main()
