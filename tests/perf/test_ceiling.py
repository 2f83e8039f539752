# SPDX-License-Identifier: MIT
"""perf/ceiling, by io_uring and by epoll: every answer comes and is right, whatever the load and the buffers are, also
where a block is cut between two receives and a socket takes no more."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import unittest

PERF = pathlib.Path(os.environ["CMDSTREAM_PERF"])
WAYS = {"io_uring": PERF / "ceiling", "epoll": PERF / "ceiling-epoll"}
PATIENCE_S = 100
SKIPPED = 77
HEADER = 4  # Of a block: its length.


def ceiling(way, *words):
    return subprocess.run([WAYS[way], *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def pump(source, target):
    """Until one of them has ended."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


def spoil(listener, server, place):
    """Stands between a client and its server: one byte of each answer, that at place(its size), is another one."""
    with contextlib.suppress(OSError), listener.accept()[0] as client, socket.create_connection(server) as upstream:
        threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
        waiting = bytearray()
        while data := upstream.recv(1 << 16):
            waiting += data
            at = 0
            while len(waiting) - at >= HEADER:
                size = int.from_bytes(waiting[at:at + HEADER], "little")
                if len(waiting) - at < HEADER + size:
                    break
                waiting[at + HEADER + place(size)] ^= 1
                at += HEADER + size
            client.sendall(waiting[:at])
            del waiting[:at]


class Ceilings(unittest.TestCase):
    def once(self, way, seconds, *words):
        """Returns: how many commands were answered."""
        done = ceiling(way, "--json", "--warmup", 0, "--duration", seconds, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        result = json.loads(done.stdout)
        self.assertEqual((result["errors"], result["way"]), (0, way))
        return result["commands"]

    def measure(self, *words):
        """As long as it takes: a command may have megabytes, and the machine other things to do."""
        for way in WAYS:
            with self.subTest(way=way, words=words):
                self.assertTrue(any(self.once(way, seconds, *words) > 0 for seconds in (0.05, 0.5, 5, 50)))

    def test_blocks_of_one_size_and_of_many_come_back(self):
        self.measure("--conns", 3, "--in-flight", 5)
        self.measure("--conns", 3, "--in-flight", 5, "--size", "random", "--spin")

    def test_a_block_is_whole_again_after_any_number_of_receives(self):
        self.measure("--conns", 2, "--in-flight", 3, "--size", "random", "--buffer-size", 64)

    def test_more_than_a_socket_takes_arrives_in_its_order(self):
        self.measure("--conns", 2, "--in-flight", 2, "--size", 60000, "--stream", 100)
        self.measure("--conns", 2, "--in-flight", 200, "--size", 60000)

    def test_a_stream_arrives_in_its_order(self):
        self.measure("--conns", 1, "--in-flight", 2, "--size", 71, "--stream", 1000, "--spin")

    def test_many_connections_are_served(self):
        self.measure("--conns", 300, "--in-flight", 1)

    def spoiled(self, way, place, words, found):
        """One client beside a server whose answers are spoiled at that place."""
        with subprocess.Popen([WAYS[way], "--server"], stdout=subprocess.PIPE, text=True) as server, \
                socket.create_server(("127.0.0.1", 0)) as listener:
            between = None
            try:
                host, port = server.stdout.readline().split()[-1].split(":")
                between = threading.Thread(target=spoil, args=(listener, (host, int(port)), place), daemon=True)
                between.start()
                done = ceiling(way, "--client", f"127.0.0.1:{listener.getsockname()[1]}", "--conns", 1, "--json", "--warmup", 0,
                               *words)
                self.assertEqual((done.returncode, done.stderr), (1 if found else 0, ""))
                self.assertEqual(json.loads(done.stdout)["errors"] > 0, found)
            finally:
                server.kill()
                if between:
                    listener.shutdown(socket.SHUT_RDWR)  # Nobody may have come.
                    between.join(PATIENCE_S)

    def test_every_byte_is_compared_where_that_is_asked_for(self):
        self.measure("--conns", 3, "--in-flight", 5, "--size", "random", "--check")
        self.measure("--conns", 1, "--in-flight", 2, "--size", 2, "--check")
        self.measure("--conns", 1, "--in-flight", 2, "--size", 71, "--stream", 1000, "--check")
        loads = ((), ("--size", "random"), ("--size", 71, "--stream", 50))
        places = (lambda size: 1, lambda size: size // 2, lambda size: size - 2)
        for way in WAYS:
            for i, place in enumerate(places):
                for load in loads:
                    with self.subTest(way=way, place=i, load=load):
                        self.spoiled(way, place, (*load, "--in-flight", 3, "--duration", 0.2, "--check"), True)
            with self.subTest(way=way, check=False):
                self.spoiled(way, places[1], ("--in-flight", 3, "--duration", 0.2), False)
                self.spoiled(way, lambda size: size - 1, ("--in-flight", 3, "--duration", 0.2), True)

    def test_what_is_wrong_with_an_option_is_said(self):
        for way in WAYS:
            for words, said in ((("--conns", 0), "--conns"), (("--buffers", 3), "power of two"), (("x",), "--help"),
                                (("--stream", 5, "--size", "random"), "random")):
                done = ceiling(way, *words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)

    def test_help_is_printed(self):
        for way in WAYS:
            self.assertEqual(ceiling(way, "--help").returncode, 0)


if __name__ == "__main__":
    if ceiling("io_uring", "--duration", 0.01, "--warmup", 0).returncode != 0:
        print("io_uring is not to be had here")
        raise SystemExit(SKIPPED)
    unittest.main()
