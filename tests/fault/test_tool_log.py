# SPDX-License-Identifier: MIT
"""The log of `cmdstream serve` in each of its forms: what reads it must be able to, line by line."""
import json
import os
import select
import signal
import socket
import tempfile
import unittest

import peer


def come_and_go(server):
    """A connection that works, and one that breaks the protocol."""
    one = server.connect()
    assert peer.echoes(one, 1)
    one.close()
    bad = server.connect()
    bad.sendall(b"\xff" * 20)
    assert peer.is_cut(bad, peer.PATIENCE_S)
    bad.close()


class Log(unittest.TestCase):
    def records(self, server):
        """Each line is an object. One that is being written has no end yet."""
        lines = server.log().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def reasons(self, server):
        return {record["attributes"]["cmdstream.reason"] for record in self.records(server)}

    def test_json_is_an_object_a_line(self):
        with peer.Server("--shards", 1, "--log", "json", "--log-level", "info") as server:
            come_and_go(server)
            self.assertTrue(peer.until(lambda: {"connect", "disconnect", "protocol"} <= self.reasons(server)))
        records = self.records(server)
        by_reason = {record["attributes"]["cmdstream.reason"]: record for record in records}
        self.assertIn("drain", by_reason)
        for record in records:
            self.assertRegex(record["timestamp"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
            self.assertEqual(record["severity_number"], {"INFO": 9, "WARN": 13}[record["severity_text"]])
        came = next(record["attributes"] for record in records  # The first one: a second may be left out.
                    if record["attributes"]["cmdstream.reason"] == "connect")
        went = by_reason["disconnect"]["attributes"]
        self.assertEqual(came["network.peer.address"], "127.0.0.1")
        self.assertEqual(came["network.peer.port"], went["network.peer.port"])
        self.assertEqual(came["cmdstream.connection"], went["cmdstream.connection"])
        self.assertEqual(by_reason["protocol"]["attributes"]["error.type"], "CMDS_E_PROTO")
        self.assertTrue(records[-1]["body"].startswith("cmdstream serve: drained"))

    def test_text_begins_with_warnings(self):
        with peer.Server("--shards", 1, "--log", "text") as server:
            come_and_go(server)
            self.assertTrue(peer.until(lambda: "cmdstream: warn: " in server.log()))
        self.assertNotIn("cmdstream: info: ", server.log())

    def test_the_journal_gets_fields_or_stderr_gets_text(self):
        journal = "/run/systemd/journal/socket"
        with peer.Server("--shards", 1, "--log", "journal") as server:
            come_and_go(server)
            if not os.path.exists(journal):
                self.assertTrue(peer.until(lambda: "127.0.0.1:" in server.log()))
        if not os.path.exists(journal):
            self.assertIn("cmdstream serve: drained", server.log())

    def test_systemd_is_told(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(folder, "notify")
            notify.bind(path)
            notify.settimeout(peer.PATIENCE_S)
            with peer.Server("--shards", 1, environment={"NOTIFY_SOCKET": path}):
                self.assertEqual(notify.recv(100), b"READY=1")
            self.assertEqual(notify.recv(100), b"STOPPING=1")

    def test_systemd_hears_that_the_shards_live_as_long_as_they_do(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(folder, "notify")
            notify.bind(path)
            notify.settimeout(peer.PATIENCE_S)

            def signs():
                """How many there are that nobody has read."""
                count = 0
                while select.select([notify], [], [], 0)[0]:
                    self.assertEqual(notify.recv(100), b"WATCHDOG=1")
                    count += 1
                return count
            # A period of 50 ms; and a turn that is a hundred of them long.
            with peer.Server("--shards", 1, "--burn-us", 1000000, "--drain-ms", 600000,
                             environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000"}) as server:
                self.assertEqual(notify.recv(100), b"READY=1")
                for _ in range(3):
                    self.assertEqual(notify.recv(100), b"WATCHDOG=1")
                with server.connect() as link:
                    signs()
                    link.sendall(b"".join(peer.echo(sequence) for sequence in range(1, 6)))
                    self.assertEqual(peer.read_frame(link)[0], 1)
                    self.assertLess(signs(), 20)
                    link.sendall(peer.sleep(6, 600000))  # It drains as long as this is not answered.
                    self.assertEqual(notify.recv(100), b"WATCHDOG=1")
                    server.signal(signal.SIGTERM)
                    while notify.recv(100) != b"STOPPING=1":
                        pass
                    for _ in range(3):
                        self.assertEqual(notify.recv(100), b"WATCHDOG=1")
                    peer.reset(link)

    def test_a_watchdog_of_another_process_hears_nothing(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(folder, "notify")
            notify.bind(path)
            notify.settimeout(peer.PATIENCE_S)
            for more in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}):
                with peer.Server("--shards", 1, environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000", **more}) as server:
                    self.assertEqual(notify.recv(100), b"READY=1")
                    with server.connect() as link:
                        for sequence in range(1, 200):
                            self.assertTrue(peer.echoes(link, sequence))
                self.assertEqual(notify.recv(100), b"STOPPING=1")


if __name__ == "__main__":
    peer.main()
