# SPDX-License-Identifier: MIT
"""`cmdstream bench`: what is measured is reported, whatever ends it, and errors are errors."""
import json
import re
import signal
import socket
import subprocess
import unittest

import peer
import program

SMALL = ("--conns", 1, "--in-flight", 1)


class Running:
    """A bench for longer than any test, with a line a second on stderr."""

    def __init__(self, *words, warmup=0):
        self.process = program.start("bench", "--progress", "--warmup", warmup, "--duration", 3000, *words,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, phase):
        """Reads progress lines, one comes each second, until one is of this phase."""
        for _ in range(peer.PATIENCE_S):
            line = self.process.stderr.readline()
            if not line or line.startswith(phase):
                return bool(line)
        return False

    def end(self):
        """Returns: (status, stdout)."""
        output, _ = self.process.communicate(timeout=peer.PATIENCE_S)
        return self.process.returncode, output


class Signals(unittest.TestCase):
    def test_a_signal_ends_the_measurement_and_what_was_measured_is_reported(self):
        ways = (("--json",), ("--json", "--own-threads"), ("--json", "--rate", 100))
        benches = [Running(*SMALL, *words) for words in ways]  # Beside each other: each takes seconds.
        for words, number, bench in zip(ways, (signal.SIGINT, signal.SIGTERM, signal.SIGINT), benches):
            self.assertTrue(bench.until("measuring"))
            server = program.children(bench.process.pid)
            bench.process.send_signal(number)
            status, output = bench.end()
            self.assertEqual(status, 128 + number, words)
            result = json.loads(output)
            self.assertTrue(result["interrupted"], words)
            self.assertGreater(result["commands"], 0, words)
            self.assertEqual(result["errors"], 0, words)
            self.assertLess(result["elapsed_s"], 3000, words)
            self.assertEqual(len(server), 1)
            self.assertTrue(peer.until(lambda: program.is_gone(server[0])), words)

    def test_blocking_callers_end_as_well(self):
        bench = Running("--json", "--blocking", "--callers", 2)
        self.assertTrue(bench.until("measuring"))
        bench.process.send_signal(signal.SIGTERM)
        status, output = bench.end()
        self.assertEqual(status, 143)
        self.assertGreater(json.loads(output)["commands"], 0)

    def test_a_second_signal_ends_it_at_once_and_its_server(self):
        bench = Running(*SMALL, "--command", "sleep", "--sleep-ms", 600000)
        self.assertTrue(bench.until("measuring"))
        server = program.children(bench.process.pid)
        bench.process.send_signal(signal.SIGINT)
        self.assertTrue(bench.until("waiting"))  # For an answer that comes in ten minutes.
        bench.process.send_signal(signal.SIGTERM)
        self.assertEqual(bench.end(), (143, ""))
        self.assertTrue(peer.until(lambda: program.is_gone(server[0])))

    def test_nothing_measured_is_said(self):
        bench = Running(*SMALL, warmup=3000)
        self.assertTrue(bench.until("warming up"))
        bench.process.send_signal(signal.SIGINT)
        output, errors = bench.process.communicate(timeout=peer.PATIENCE_S)
        self.assertEqual((bench.process.returncode, output), (130, ""))
        self.assertIn("nothing was measured", errors)


class Figures(unittest.TestCase):
    def test_a_server_that_is_not_there_is_said(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # And does not listen.
            address = f"127.0.0.1:{nobody.getsockname()[1]}"
            done = program.run("bench", *SMALL, "--connect", address)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"0 of 1 connected; client 0: connect {address}: refused", done.stderr)
        self.assertIn("(try 3, the last one)", done.stderr)

    def test_what_was_due_and_never_sent_is_no_error(self):
        words = (*SMALL, "--warmup", 0, "--duration", 0.3, "--rate", 2000000)
        done = program.run("bench", *words, "--json")
        result = json.loads(done.stdout)
        self.assertEqual((done.returncode, result["errors"]), (0, 0), result["first_error"])
        self.assertGreater(result["unsent"], 0)
        self.assertLess(result["commands_per_second"], 2000000)
        self.assertGreater(result["max_us"], 300000)  # From when the first of them was due.
        table = program.run("bench", *words).stdout
        self.assertRegex(table, r"commands/s +[\d,]+, and 2,000,000 were asked for")
        self.assertRegex(table, r"never sent +[\d,]+, though due")

    def test_an_empty_string_is_equal_to_itself_in_every_codec(self):
        line = re.search(r"--codec NAME\s+([\w-]+(?:, [\w-]+)*)", program.run("bench", "--help").stdout)
        loads = (("--string-size", 0), ("--command", "stream", "--stream-size", 0, "--stream-count", 2))
        running = [program.start("bench", *SMALL, "--warmup", 0, "--duration", 0.05, "--codec", codec, *words,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for codec in line[1].split(", ") for words in loads]
        for process in running:
            errors = process.communicate(timeout=peer.PATIENCE_S)[1]
            self.assertEqual(process.returncode, 0, (process.args, errors))
            self.assertNotIn("runtime error", errors, process.args)


if __name__ == "__main__":
    peer.main()
