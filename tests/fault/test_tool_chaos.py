# SPDX-License-Identifier: MIT
"""`cmdstream chaos` on real sockets: nothing is to be seen of it without a fault, each fault is what its name
says, and what it prints is what it did. That a fault comes at its time is for the simulated world, unit.sim_chaos."""
import errno
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import peer
import program

WORDS = b"a frame of some kind"


class Chaos(peer.Server):
    """A proxy with one route, to `target`."""

    def __init__(self, target, *options, listen="127.0.0.1:0"):
        super().__init__(command=[peer.tool(), "chaos", f"{listen}={target}", "--json", *map(str, options)])
        self.seed = json.loads(self.first)["seed"]

    def take_address(self, line):
        self.first = line
        return json.loads(line)["address"]

    def end(self):
        """Asks it to end. Returns: what it has printed since, as objects."""
        self.signal(signal.SIGTERM)
        lines = [json.loads(line) for line in self.process.stdout]
        self.process.wait(peer.PATIENCE_S)
        return lines


def connect(chaos):
    """Closed again if it fails."""
    if chaos.address.startswith("unix:"):
        return peer.connect(chaos.address, server_info=False)
    host, port = chaos.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), peer.PATIENCE_S)


class Target:
    """Listens; each connection through a proxy has two ends."""

    def __init__(self, family=socket.AF_INET, where=("127.0.0.1", 0)):
        self.listener = socket.socket(family)
        self.listener.bind(where)
        self.listener.listen(64)
        self.listener.settimeout(peer.PATIENCE_S)
        name = self.listener.getsockname()
        self.address = "unix:" + name if family == socket.AF_UNIX else "%s:%d" % name

    def join(self, chaos):
        client = connect(chaos)
        target, _ = self.listener.accept()
        target.settimeout(peer.PATIENCE_S)
        return client, target

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def rest(one):
    """All until the end. Returns: the bytes, and how it ended: 0 or an errno."""
    data = bytearray()
    try:
        while more := one.recv(65536):
            data += more
    except OSError as error:
        return bytes(data), error.errno
    return bytes(data), 0


def is_silent(one, seconds=0.2):
    one.settimeout(seconds)
    try:
        one.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        one.settimeout(peer.PATIENCE_S)


class Transparent(unittest.TestCase):
    def test_a_call_goes_through(self):
        with peer.Server("--shards", 1) as server, Chaos(server.address) as chaos:
            done = program.run("call", chaos.address, "echo", '{"string":"hi"}')
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn('"string":"hi"', done.stdout)
            summary = chaos.end()[-1]
            self.assertEqual((summary["event"], summary["connections"], summary["not_connected"]), ("summary", 1, 0))
            self.assertGreater(summary["bytes_up"], 0)
            self.assertEqual(sum(summary["faults"].values()), 0)
            self.assertEqual(chaos.process.returncode, 0)

    def test_ends_are_passed_on(self):
        with Target() as target, Chaos(target.address) as chaos:
            one, other = target.join(chaos)
            one.sendall(WORDS)
            one.shutdown(socket.SHUT_WR)
            self.assertEqual(rest(other), (WORDS, 0))
            other.sendall(b"after the end")  # One direction is over, no more.
            self.assertEqual(peer.read(one, 13), b"after the end")
            other.close()
            self.assertEqual(rest(one), (b"", 0))
            one.close()
            for end in range(2):
                ends = target.join(chaos)
                ends[end].sendall(WORDS)
                self.assertEqual(peer.read(ends[1 - end], len(WORDS)), WORDS)
                peer.reset(ends[end])
                self.assertEqual(rest(ends[1 - end]), (b"", errno.ECONNRESET))
                ends[1 - end].close()
            self.assertTrue(peer.until(lambda: chaos.descriptor_count() == chaos_idle(chaos)))

    def test_much_goes_through_unix_sockets_in_pieces(self):
        with tempfile.TemporaryDirectory() as folder:
            with Target(socket.AF_UNIX, folder + "/target") as target:
                with Chaos(target.address, "--split", 1000, listen=f"unix:{folder}/chaos") as chaos:
                    one, other = target.join(chaos)
                    data = os.urandom(1 << 20) * 8
                    thread = threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR)))
                    thread.start()
                    came = rest(other)
                    thread.join()
                    self.assertTrue(came == (data, 0))
                    one.close()
                    other.close()
                    self.assertEqual(chaos.end()[-1]["bytes_up"], len(data))
            self.assertEqual(os.listdir(folder), ["target"])  # The proxy's own socket is gone.

    def test_who_is_not_read_from_cannot_send(self):
        with Target() as target, Chaos(target.address, "--throttle", 1000) as chaos:
            one, other = target.join(chaos)
            before = chaos.resident_size()
            one.settimeout(1)
            with self.assertRaises(TimeoutError):
                while True:
                    one.send(bytes(65536))
            if not peer.is_sanitized():
                self.assertLess(chaos.resident_size() - before, 4 << 20)
            one.close()
            other.close()

    def test_a_target_that_is_away(self):
        with Target() as target:
            away = target.address
        with Chaos(away) as chaos:
            try:
                with connect(chaos) as one:
                    self.assertEqual(rest(one), (b"", errno.ECONNRESET))
            except ConnectionResetError:
                pass  # So soon that it has ended the connect.
            self.assertEqual(chaos.end()[-1]["not_connected"], 1)
            self.assertIn(f"its target {away}: Connection refused", chaos.log())


def chaos_idle(chaos):
    """Descriptors of a proxy without connections: so many are open at the start, its listener among them."""
    if not hasattr(chaos, "idle"):
        with Chaos("127.0.0.1:1") as fresh:
            chaos.idle = fresh.descriptor_count()
    return chaos.idle


class Faults(unittest.TestCase):
    def test_ends_at_a_byte(self):
        for fault, end in (("cut", 0), ("reset", errno.ECONNRESET)):
            for after in (0, 1, 19) if fault == "cut" else (1, 19):  # A reset at 0 may end the connect itself.
                with Target() as target, Chaos(target.address, "--faults", fault, "--after", after) as chaos:
                    one, other = target.join(chaos)
                    one.sendall(WORDS)
                    self.assertEqual(rest(other), (WORDS[:after], end))
                    self.assertEqual(rest(one)[1], end)
                    one.close()
                    other.close()
                    event, summary = chaos.end()
                    self.assertEqual((event["fault"], event["after_bytes"], event["connection"]), (fault, after, 1))
                    self.assertEqual((summary["faults"][fault], summary["bytes_up"]), (1, after))

    def test_half_open(self):
        for way, learns in (("up", 1), ("down", 0)):
            with Target() as target:
                with Chaos(target.address, "--faults", "half-open", "--after", 5, "--way", way) as chaos:
                    ends = target.join(chaos)
                    ends[0 if way == "up" else 1].sendall(b"hello")
                    self.assertEqual(rest(ends[learns])[1], errno.ECONNRESET)
                    ends[1 - learns].sendall(b"is anybody there?")
                    self.assertTrue(is_silent(ends[1 - learns]))
                    for one in ends:
                        one.close()

    def test_black_hole_for_a_call(self):
        with peer.Server("--shards", 1) as server:
            with Chaos(server.address, "--faults", "black-hole", "--way", "down") as chaos:
                done = program.run("call", "--deadline-ms", 500, chaos.address, "echo")
                self.assertEqual(done.returncode, 1)
                summary = chaos.end()[-1]
                self.assertEqual((summary["bytes_down"], summary["faults"]["black-hole"]), (0, summary["connections"]))

    def test_refused_and_hanging_until_it_heals(self):
        with Target() as target:
            with Chaos(target.address, "--faults", "refuse", "--until", 3) as chaos:
                with self.assertRaises(ConnectionRefusedError):
                    connect(chaos)
                self.assertTrue(peer.until(lambda: joins(target, chaos)))
            with Chaos(target.address, "--faults", "hang", "--until", 2) as chaos:
                one, other = target.join(chaos)  # It is accepted at once, and gets there when all is healed.
                one.sendall(WORDS)
                self.assertEqual(peer.read(other, len(WORDS)), WORDS)
                one.close()
                other.close()

    def test_a_delay_is_one_for_each_way(self):
        with Target() as target, Chaos(target.address, "--delay", "200") as chaos:
            one, other = target.join(chaos)
            start = time.monotonic()
            one.sendall(WORDS)
            self.assertEqual(peer.read(other, len(WORDS)), WORDS)
            self.assertGreater(time.monotonic() - start, 0.1)  # It counts from the begin of the turn that reads.
            one.close()
            other.close()


def joins(target, chaos):
    try:
        for one in target.join(chaos):
            one.close()
        return True
    except ConnectionRefusedError:
        return False


class Schedule(unittest.TestCase):
    OPTIONS = ("--faults", "all", "--every", "10..50", "--for", "10..100", "--way", "any")

    def plan(self, seed):
        done = program.run("chaos", "127.0.0.1:0=127.0.0.1:1", *self.OPTIONS, "--seed", seed, "--plan", "--json",
                           "--duration", 1)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_same_seed_is_the_same_schedule(self):
        plan = self.plan(7)
        self.assertEqual(plan, self.plan(7))
        self.assertNotEqual(plan, self.plan(8))
        self.assertGreater(len(plan), 15)
        names = ("s", "fault", "scope", "way", "for_ms")
        with Chaos("127.0.0.1:1", *self.OPTIONS, "--seed", 7, "--duration", 1) as chaos:
            lines = [json.loads(line) for line in chaos.process.stdout]
            self.assertEqual(chaos.process.wait(peer.PATIENCE_S), 0)
        came = [{name: line.get(name) for name in names} for line in lines if line["event"] == "fault"]
        self.assertGreater(len(came), 0)
        expected = [{name: line.get(name) for name in names} for line in plan]
        both = min(len(came), len(expected))  # A proxy that is woken late meets one more than the plan's second has.
        self.assertEqual(came[:both], expected[:both])
        self.assertEqual(lines[-1]["scheduled"], len(came))

    def test_a_server_lives_through_all_of_it(self):
        with peer.Server("--shards", 2) as server:
            with Chaos(server.address, "--faults", "all", "--every", "5..20", "--for", "1..100", "--after",
                       "0..3000", "--way", "any", "--until", 3) as chaos:
                done = program.run("bench", "--connect", chaos.address, "--conns", 8, "--duration", 1)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                self.assertTrue(chaos.is_alive() and server.is_alive())

                def answers():  # In the end all is healed, and each does.
                    return all(program.run("call", chaos.address, "echo").returncode == 0 for _ in range(20))
                self.assertTrue(peer.until(answers))
                self.assertEqual(chaos.end()[-1]["event"], "summary")
                self.assertEqual(chaos.process.returncode, 0)


class CommandLine(unittest.TestCase):
    def test_mistakes_are_refused(self):
        for words in ((), ("9000",), ("a=",), ("=b",), (":0=:1", "--every", "5"), (":0=:1", "--faults", "cutt"),
                      (":0=:1", "--faults", "cut,"), (":0=:1", "--faults", "cut:0"), (":0=:1", "--delay", "5..1"),
                      (":0=:1", "--delay", "5.."), (":0=:1", "--delay", "-1"), (":0=:1", "--way", "left"),
                      (":0=:1", "--faults", "refuse", "--after", "1"), (":0=:1", "--share", "5"), (":0=:1", "--plan"),
                      (":0=:1", "--faults", "cut", "--every", "0"), (":0=:1", "--scope", "two"),
                      (":0=:1", "--faults", "cut", "--every", "1", "--scope", "two")):
            done = program.run("chaos", *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertTrue(done.stderr.startswith("cmdstream chaos: "), words)
            self.assertEqual(len(done.stderr.splitlines()), 1, words)

    def test_what_cannot_be_is_said(self):
        with Target() as taken:
            for words, text in (((f"{taken.address}=127.0.0.1:1",), "listen"), (("127.0.0.1:0=nonsense",), "nonsense")):
                done = program.run("chaos", *words)
                self.assertEqual((done.returncode, done.stdout), (1, ""), words)
                self.assertIn(text, done.stderr)

    def test_lines_for_people(self):
        process = program.start("chaos", "127.0.0.1:0=127.0.0.1:1", "127.0.0.1:0=127.0.0.1:2", "--faults", "cut",
                                "--every", 10, "--seed", 3, stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        lines += process.stdout.read().splitlines()
        self.assertEqual(process.wait(peer.PATIENCE_S), 0)
        process.stdout.close()
        for number in (1, 2):
            self.assertRegex(lines[number - 1], rf"^listening on 127\.0\.0\.1:\d+ \(for 127\.0\.0\.1:{number}, seed 3\)$")
        self.assertIn("cut", lines[2])
        self.assertRegex(lines[-2], r"^\d+\.\d s: 0 connections")


if __name__ == "__main__":
    peer.main()
