#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The runner of the interop matrix: whatever goes wrong must make a row fail, and a skip must have a good reason.

Servers and clients are lines of Python here, and Go is a shell script.
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock

RUN = pathlib.Path(__file__).resolve().parent / "run"
LISTENS = "print('listening on 127.0.0.1:1 (fake)', flush=True); "


def server_that(ends):
    """SIGTERM is held back before it says that it listens: the runner may send it at once."""
    return ("import signal; ended = {signal.SIGTERM}; signal.pthread_sigmask(signal.SIG_BLOCK, ended); "
            f"{LISTENS} signal.sigwait(ended); {ends}")


GOOD_SERVER = server_that("exit(0)")
GOOD_CLIENT = """
import sys
for check in sys.argv[1].split(','):
    if check == 'reconnect':
        print('ready', flush=True)
        sys.stdin.readline()
    print('ok', check, flush=True)
"""


def load():
    loader = importlib.machinery.SourceFileLoader("interop_run", str(RUN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("interop_run", loader))
    loader.exec_module(module)
    return module


class Fake:
    """A host or a client, made of Python."""

    statuses = (0,)

    def __init__(self, code):
        self.code = code

    def serve(self, *_):
        return [sys.executable, "-c", self.code]

    def check(self, _address, _codec, checks, *_):
        return [sys.executable, "-c", self.code, ",".join(checks)]

    def ping(self, _):
        return ()


class TestCell(unittest.TestCase):
    def setUp(self):
        self.runner = load()

    def verdicts(self, server=GOOD_SERVER, client=GOOD_CLIENT):
        return self.runner.Cell(Fake(server), Fake(client), "json", 500).run()

    def all_rows(self, verdicts):
        self.assertEqual(list(verdicts), list(self.runner.ROWS))

    def test_good(self):
        verdicts = self.verdicts()
        self.all_rows(verdicts)
        self.assertEqual(set(verdicts.values()), {None})

    def test_a_server_that_does_not_start(self):
        verdicts = self.verdicts(server="exit('no such codec')")
        self.all_rows(verdicts)
        for why in verdicts.values():
            self.assertIn("no such codec", why)

    def test_a_server_that_does_not_come_back(self):
        """The fourth start is that of the reconnect, the fifth its second half."""
        with tempfile.TemporaryDirectory() as folder:
            counting = (f"import os; n = len(os.listdir({folder!r}))\n"
                        f"open(os.path.join({folder!r}, str(n)), 'w').close()\n"
                        "if n == 4: exit('the port is taken')\n")
            verdicts = self.verdicts(server=counting + GOOD_SERVER)
        self.all_rows(verdicts)
        self.assertIn("the port is taken", verdicts.pop("reconnect"))
        self.assertEqual(set(verdicts.values()), {None})

    def test_what_a_client_says(self):
        lines = "ok echo\\nFAIL stream\\nFAIL sleep: late\\nFAIL work:\\nok fail and more"
        verdicts = self.verdicts(client=f"print('{lines}')")
        self.all_rows(verdicts)
        self.assertIsNone(verdicts["echo"])
        self.assertEqual(verdicts["stream"], "no reason given")
        self.assertEqual(verdicts["sleep"], "late")
        self.assertEqual(verdicts["work"], "no reason given")
        for check in ("fail", "info", "long_info", "keepalive", "reconnect"):
            self.assertTrue(verdicts[check], check)

    def test_a_client_that_ends_badly(self):
        for why in self.verdicts(client=GOOD_CLIENT + "sys.exit('leaked')").values():
            self.assertIn("leaked", why)

    def test_a_server_that_ends_badly(self):
        for server in (server_that("exit('leaked')"), LISTENS + "import signal; signal.pause()"):
            for why in self.verdicts(server=server).values():
                self.assertIn("did not end well", why)

    def test_a_client_that_hangs(self):
        self.runner.CLIENT = 0.5
        for why in self.verdicts(client="import time; time.sleep(100)").values():
            self.assertTrue("running still" in why, why)

    def test_a_server_that_hangs_at_the_start(self):
        self.runner.START = 0.5
        mute = "import time; print('listening', end='', flush=True); time.sleep(100)"
        for why in self.verdicts(server=mute).values():
            self.assertIn("did not say where it listens", why)

    def test_a_server_that_hangs_at_the_end(self):
        self.runner.STOP = 0.5
        for why in self.verdicts(server=server_that("signal.sigwait(ended)")).values():
            self.assertIn("did not end well", why)

    def test_when_the_time_is_over(self):
        self.runner.END = time.monotonic()
        for why in self.verdicts().values():
            self.assertIn("are over", why)

    def test_the_table(self):
        cells = {"json": dict.fromkeys(self.runner.ROWS), "mus": {**dict.fromkeys(self.runner.ROWS), "echo": "wrong"}}
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            problems = self.runner.print_matrix("here", ("json", "mus"), cells)
        self.assertEqual(problems, ["here, mus, echo: wrong"])
        for text in self.runner.ROWS.values():
            self.assertIn(text, output.getvalue())
        self.assertEqual(output.getvalue().count("FAIL"), 1)


class StressFake:
    """A side of the stress test, made of Python."""

    def __init__(self, code):
        self.code = code

    def stress(self, *_):
        return [sys.executable, "-c", self.code]


class TestStress(unittest.TestCase):
    def setUp(self):
        self.runner = load()

    def problems(self, server=GOOD_SERVER, counts='"verify_errors": 0, "success": 5, "network_errors": 1', ends=""):
        host, client = StressFake(server), StressFake(f"print('{{\"total_commands\": 6, {counts}}}'); {ends}")
        with contextlib.redirect_stdout(io.StringIO()):
            return [self.runner.stress_verdict(host, client, "json")[0]]

    def test_good(self):
        self.assertEqual(self.problems(), [None])

    def test_each_reason_to_fail(self):
        for counts in ('"verify_errors": 1, "success": 5, "network_errors": 1',
                       '"verify_errors": 0, "success": 0, "network_errors": 1',
                       '"verify_errors": 0, "success": 5, "network_errors": 0'):
            self.assertIsNotNone(self.problems(counts=counts)[0], counts)
        self.assertIn("status 1", self.problems(ends="exit(1)")[0])

    def test_a_server_that_ends_badly(self):
        with self.assertRaises(self.runner.Problem):
            self.problems(server=server_that("exit(1)"))

    def test_every_way_is_counted(self):
        bad = StressFake("exit('no')")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(len(self.runner.run_stress(bad, bad, ("json", "msgpack"))), 4)


class TestChildren(unittest.TestCase):
    def test_they_die_with_the_runner(self):
        code = (f"import sys; sys.path.insert(0, {str(RUN.parent)!r}); from test_run import load\n"
                "import time; print(load().Child(['sleep', '1000']).process.pid, flush=True); time.sleep(1000)")
        with subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, text=True) as runner:
            child = int(runner.stdout.readline())
            self.assertTrue(pathlib.Path(f"/proc/{child}").exists())
            runner.kill()
        end = time.monotonic() + 10
        while self.lives(child) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertFalse(self.lives(child))

    @staticmethod
    def lives(pid):
        with contextlib.suppress(OSError):
            state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            return state != "Z"
        return False


class TestSkips(unittest.TestCase):
    def setUp(self):
        self.runner = load()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def go(self, script):
        path = pathlib.Path(self.folder.name) / "go"
        path.write_text("#!/bin/sh\n" + script, encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def exit_of(self, function, *arguments):
        """(code or message, what was printed) of a function that must not come back."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), self.assertRaises(SystemExit) as raised:
            function(*arguments)
        return raised.exception.code, output.getvalue()

    def test_no_go(self):
        for ci in ("", "true"):
            with unittest.mock.patch.dict(os.environ, {"GO": "/nowhere/go", "CI": ci}):
                code, said = self.exit_of(self.runner.find_go)
            self.assertEqual(code, self.runner.SKIPPED)
            self.assertIn("SKIPPED", said)

    def test_an_old_go(self):
        code, said = self.exit_of(self.runner.refuse_old_go, self.go("echo go version go1.19.8 linux/amd64"))
        self.assertEqual(code, self.runner.SKIPPED)
        self.assertIn("1.19.8", said)
        self.assertIn(self.runner.words_of(self.runner.go_needed()), said)

    def test_a_go_that_is_new_enough_or_fetches_one(self):
        self.runner.refuse_old_go(self.go("echo go version go1.99 linux/amd64"))
        self.runner.refuse_old_go(self.go("echo go version go1.${GOTOOLCHAIN:+21}${GOTOOLCHAIN:-99} linux/amd64"))

    def test_downloads(self):
        failing = "echo >&2 '{}'; exit 1"
        nobody = self.go(failing.format("x@v1: Get x: dial tcp: lookup x: no such host"))
        code, _ = self.exit_of(self.runner.download, nobody, "perf/go")
        self.assertEqual(code, self.runner.SKIPPED)
        for problem in ("verifying x@v1: checksum mismatch\nSECURITY ERROR\ndial tcp", "x@v1: reading x: 404 Not Found",
                        "go.mod:3: invalid go version"):
            code, _ = self.exit_of(self.runner.download, self.go(failing.format(problem)), "perf/go")
            self.assertIn(problem, code)
        self.runner.download(self.go("exit 0"), "perf/go")

    def test_missing_codecs(self):
        def choose(known, require, codec=None):
            with contextlib.redirect_stdout(io.StringIO()):
                return self.runner.choose_codecs(types.SimpleNamespace(codec=codec, require=require), known)
        known = ["msgpack", "msgpack-map"]
        self.assertEqual(choose(known, False), (known, []))
        codecs, problems = choose(known, True)
        self.assertEqual((codecs, len(problems)), (known, 3))
        self.assertTrue(choose([], False)[1])
        self.assertTrue(choose(known, False, ["json"])[1])


if __name__ == "__main__":
    unittest.main()
