# SPDX-License-Identifier: MIT
"""`cmdstream call`: what comes back is what was sent, and a terminal obeys none of it."""
import json
import socket
import subprocess
import threading
import unittest

import peer
import program


class FakeServer:
    """Takes one connection; says the ServerInfo and answers its first command with `body`; None: says nothing."""

    def __init__(self, body):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.body = body
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        one, _ = self.listener.accept()
        with one:
            if self.body is not None:
                one.sendall(peer.SERVER_INFO)
                sequence, _, _ = peer.read_command(one)
                one.sendall(peer.frame(sequence, 0, self.body))
            while one.recv(65536):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(peer.PATIENCE_S)
        self.listener.close()


class Call(unittest.TestCase):
    def test_values_come_back_as_they_were_written(self):
        members = ('"float64":0.1', '"float64":5e-324', '"float64":1.7976931348623157e+308', '"float64":"-Infinity"',
                   '"float64":"NaN"', '"int64":-9223372036854775808', '"int64":9223372036854775807',
                   r'"string":"a\u0000b"', r'"string":"\u001b[2J\u009b2J\u007f\n\"\\"', '"string":"ü€😀"')
        with peer.Server("--shards", 1) as server:
            for member in members:
                done = program.run("call", server.address, "echo", "{%s}" % member)
                self.assertEqual((done.returncode, done.stderr), (0, ""), member)
                self.assertIn(member, done.stdout)
                self.assertTrue(done.stdout.endswith("\n"))
                self.assertFalse([letter for letter in done.stdout[:-1] if ord(letter) < 32 or 127 <= ord(letter) < 160])

    def test_mistakes_are_refused(self):
        for text in ('{"int64":1,"INT64":2}', '{"int64":9223372036854775808}', '{"int64":1.5}', '{"float64":"1"}',
                     '{"string":1}', '[1]', '{"a":1}', '{', '{} x'):
            done = program.run("call", "127.0.0.1:1", "echo", text)
            self.assertEqual((done.returncode, done.stdout), (2, ""), text)
            self.assertTrue(done.stderr.startswith("cmdstream call: "), text)

    def test_bytes_that_are_no_text_are_shown_and_told(self):
        body = peer.echo(1, b"a\xff\x00b")[3:]  # Without sequence, type and length: each is a byte here.
        with FakeServer(body) as server:
            done = program.run("call", server.address, "echo")
        if done.returncode != 0:
            self.assertIn("UTF-8", done.stderr)  # A codec may refuse it before.
            return
        self.assertEqual(json.loads(done.stdout)["string"], "a\ufffd\0b")
        self.assertIn("not UTF-8", done.stderr)

    def test_a_terminal_shows_what_is_waited_for(self):
        terminal = program.Terminal()  # First: without one nothing is begun.
        with FakeServer(None) as server:
            process = program.start("call", "--deadline-ms", 4000, server.address, "echo", stdout=subprocess.PIPE,
                                    stderr=terminal.slave)
            self.assertTrue(terminal.until(f"connecting to {server.address}, 1 of 4 s"), terminal.text)
            self.assertTrue(terminal.until("cmdstream call: "), terminal.text)
            self.assertEqual(process.wait(peer.PATIENCE_S), 1)
            process.stdout.close()
            terminal.close()
        terminal = program.Terminal()
        with peer.Server("--shards", 1) as server:
            process = program.start("call", server.address, "sleep", '{"ms":1500}', stdout=subprocess.PIPE,
                                    stderr=terminal.slave)
            self.assertTrue(terminal.until("waiting for a result of sleep"), terminal.text)
            self.assertEqual(process.wait(peer.PATIENCE_S), 0)
            process.stdout.close()
            terminal.close()

    def test_no_log_is_filled_by_waiting(self):
        with FakeServer(None) as server:
            done = program.run("call", "--deadline-ms", 1500, server.address, "echo")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    peer.main()
