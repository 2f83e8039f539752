# SPDX-License-Identifier: MIT
"""The log of `cmdstream serve` in each of its forms: what reads it must be able to, line by line."""
import json
import os
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
            self.assertTrue(peer.until(lambda: "cmdstream: warning: " in server.log()))
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


if __name__ == "__main__":
    peer.main()
