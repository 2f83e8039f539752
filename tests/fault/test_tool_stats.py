# SPDX-License-Identifier: MIT
"""`cmdstream stats` and `top` against services that are not what they should be, and one that is."""
import http.server
import json
import os
import re
import socketserver
import tempfile
import threading
import unittest

import peer
import program


def page(number):
    def points(*values):
        return [{"labels": {"cmdstream.shard": str(i)}, "value": value} for i, value in enumerate(values)]
    return json.dumps({"metrics": [
        {"name": "cmdstream.turns", "points": points(1000 * number, 0)},
        {"name": "cmdstream.memory_bytes", "points": points(3100000, 900)},
        {"name": "cmdstream.server.connections", "points": points(5, 3)}]})


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers["Accept"], self.headers["Host"]))
        status, text = server.says(len(server.asked))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self):
        return "a client"

    def log_message(self, *words):
        pass


class Host:
    """Answers with says(n), status and text, the n-th request."""

    def __init__(self, says, path=None):
        kind = socketserver.UnixStreamServer if path else socketserver.TCPServer
        self.server = kind(path or ("127.0.0.1", 0), Service)
        self.server.says, self.server.asked = says, []
        self.address = "unix:" + path if path else "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def pages_until(last):
    return lambda number: (200, page(number)) if number <= last else (503, "draining\nand more")


class Stats(unittest.TestCase):
    def test_one_table(self):
        with Host(pages_until(9)) as host:
            done = program.run("stats", host.address)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(host.server.asked[0], ("/metrics?format=json&by=shard", "application/json", host.address))
        self.assertRegex(done.stdout, r"(?m)^cmdstream -  up -  2 shards  8 connections  turn p99 -$")
        self.assertRegex(done.stdout, r"(?m)^0 +- +[1-9][0-9,.]* +- +- +-/s +-/s +3\.1 MB$")

    def test_a_real_service(self):
        with tempfile.TemporaryDirectory() as folder:
            address = "unix:" + os.path.join(folder, "admin.sock")
            try:
                server = peer.Server("--shards", 2, "--admin", address)
            except AssertionError as error:
                if "no pages over HTTP" in str(error):
                    self.skipTest(str(error))
                raise
            with server, server.connect():
                done = program.run("stats", "--json", address)
                names = {metric["name"] for metric in json.loads(done.stdout)["metrics"]}
                self.assertLessEqual({"cmdstream.turns", "cmdstream.shard.busy", "cmdstream.server.recv_bytes"}, names)
                done = program.run("stats", address)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertRegex(done.stdout, r"(?m)^cmdstream [0-9.]+  up [0-9].*  2 shards  1 connection  turn p99 ")
                for shard in ("0", "1", "all"):
                    self.assertRegex(done.stdout, r"(?m)^%s +[0-9]+ %% +[0-9,.]+ +[0-9,.]+ " % shard)
                self.assertNotIn("type", done.stdout)  # None has run.
                self.assertEqual(program.run("call", server.address, "echo").returncode, 0)
                done = program.run("stats", address)
                self.assertRegex(done.stdout, r"(?m)^type .* cmd/s +err/s +p50 +p99 +max$")
                self.assertRegex(done.stdout, r"(?m)^\S*echo +server +[0-9.]+ +0 ")
                done = program.run("stats", "--prometheus", address)
                self.assertIn("\n# TYPE cmdstream_turns_total counter\n", done.stdout)

    def test_what_the_service_writes_as_it_is(self):
        with Host(lambda number: (200, "# HELP\nx 1\n")) as host:
            for option, asked in (("--prometheus", ("/metrics", "text/plain", host.address)),
                                  ("--json", ("/metrics?format=json&by=shard", "application/json", host.address))):
                done = program.run("stats", option, "http://" + host.address)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "# HELP\nx 1\n", ""))
                self.assertEqual(host.server.asked[-1], asked)

    def test_rows_until_the_service_ends(self):
        for words in (("stats",), ("top",)):
            with Host(pages_until(25)) as host:
                done = program.run(*words, "--every", 0.01, host.address, stdin=program.subprocess.DEVNULL)
            lines = done.stdout.splitlines()
            self.assertEqual((done.returncode, len(lines)), (1, 26), done.stdout)
            self.assertEqual([i for i, line in enumerate(lines) if line.endswith("conns")], [0, 21])
            self.assertTrue(all(re.search(r" 3\.1 MB +8$", line) for line in lines[1:20]), lines)
            self.assertIn("GET /metrics?format=json&by=shard: 503: draining\n", done.stderr)

    def test_a_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "admin.sock")
            with Host(pages_until(9), path) as host:
                done = program.run("stats", "--json", host.address)
            self.assertEqual((done.returncode, done.stdout), (0, page(1)))
            self.assertEqual(host.server.asked[0][2], "localhost")
            done = program.run("stats", "--json", "unix:" + path + "x")
            self.assertEqual(done.returncode, 1)
            self.assertIn("No such file", done.stderr)

    def test_exit_codes_are_those_of_the_help(self):
        with Host(pages_until(2)) as host:
            for words in (("stats",), ("top",)):
                self.assertIn("Exit status: 0; 1 the service", program.run(*words, "--help").stdout)
                for wrong in ("x", "", ":1", "a:b", "unix:", "h:0", "h:65536", "h:102913", "http://x", "unix:/" + 200 * "x"):
                    done = program.run(*words, wrong, stdin=program.subprocess.DEVNULL)
                    self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), wrong)
                    self.assertIn(f"cmdstream {words[0]}: {wrong[:20]}", done.stderr)
                for more in (("--every", 0), ("--every", 0.001), ("--every", -1), ("--every", "x"), ("--nonsense",), ("an.argument",)):
                    done = program.run(*words, *more, host.address, stdin=program.subprocess.DEVNULL)
                    self.assertEqual((done.returncode, done.stdout), (2, ""), more)
                    self.assertIn(str(more[0]) if more[0].startswith("--") else "one argument too many", done.stderr)
                self.assertEqual(program.run(*words).returncode, 2)
            self.assertEqual(program.run("stats", "--json", "--prometheus", host.address).returncode, 2)
            self.assertEqual(host.server.asked, [])
            self.assertEqual(program.run("stats", host.address).returncode, 0)
            self.assertEqual(program.run("stats", host.address).returncode, 1)  # It drains.
            with open("/dev/full", "wb") as full:
                self.assertEqual(program.run("stats", "--help", stdout=full).returncode, 1)
        self.assertEqual(program.run("stats", "no.such.host.invalid:1").returncode, 1)

    def test_connections_that_an_address_lacks_are_said_to_be_lacking(self):
        terminal = program.Terminal()
        self.addCleanup(terminal.close)

        def says(number):
            if host.server.asked[-1][0] == "/connections":
                return 404, "There is no such page.\n"
            return 200, page(number)
        with Host(says) as host:
            top = program.start("top", "--every", 0.02, host.address, stdin=terminal.slave, stdout=terminal.slave,
                                stderr=program.subprocess.PIPE)
            self.assertTrue(terminal.until("shard "))
            os.write(terminal.master, b"c")
            self.assertTrue(terminal.until("They are a page of the admin address"), terminal.text)
            self.assertIn("GET /connections: 404: There is no such page.", terminal.text)
            terminal.text = ""
            self.assertTrue(terminal.until("They are a page of the admin address"))  # It stays.
            self.assertTrue(terminal.until("q quit"))
            os.write(terminal.master, b"c")
            terminal.text = ""
            self.assertTrue(terminal.until("shard "))
            os.write(terminal.master, b"q")
            self.assertEqual((top.wait(peer.PATIENCE_S), top.stderr.read()), (0, b""))
            top.stderr.close()

    def test_what_is_no_service_is_said(self):
        with Host(lambda number: (200, "<html>")) as host:
            done = program.run("stats", host.address)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not the JSON of a cmdstream service", done.stderr)
        for words in (("stats", host.address), ("top", host.address)):
            done = program.run(*words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(host.address + ": cannot be read: Connection refused", done.stderr)


if __name__ == "__main__":
    peer.main()
