# SPDX-License-Identifier: MIT
"""scripts/demo: a step that fails ends it with a sentence, and whatever ends it, nothing is left running.

The program is the one under test; setup and build are played, so that no build of another kind begins.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import peer
import program

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(0o755)


class Demo:
    """A folder like the repository, as far as scripts/demo sees it. `words`: what the program does in place of a
    sub-command, by its name."""

    def __init__(self, setup="true", cmake="true", words=()):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        (root / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/demo", root / "scripts/demo")
        script(root / "scripts/setup", setup)
        script(root / "bin/cmake", cmake)
        cases = "\n".join(f"{name}) {command};;" for name, command in words)
        script(root / "build/release/cmdstream", f'case $1 in\n{cases}\nesac\nexec "{peer.tool()}" "$@"')
        self.process = subprocess.Popen(
            [root / "scripts/demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=program.begin(),
            env={**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}", "CMDSTREAM_DEMO_SECONDS": "0.2",
                 "TMPDIR": str(root), "CMDSTREAM_BUILD_DIR": "build"})
        self.text = ""

    def until(self, words):
        while words not in self.text:
            line = self.process.stdout.readline()
            if not line:
                return False
            self.text += line
        return True

    def end(self):
        """Returns: (status, output)."""
        self.text += self.process.communicate(timeout=peer.PATIENCE_S)[0]
        return self.process.returncode, self.text

    def left(self):
        """Processes of its session, whatever group they are in."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] not in "ZX":
                found.append(int(pid))
        return found

    def files_left(self):
        return sorted(path.name for path in pathlib.Path(self.folder.name).glob("tmp.*"))


class Demos(unittest.TestCase):
    def expect_end(self, demo, status, words):
        ended, output = demo.end()
        self.assertEqual(ended, status, output)
        self.assertIn(words, output.splitlines()[-1] if status == 1 else output)
        self.assertTrue(peer.until(lambda: not demo.left()), output)
        self.assertEqual(demo.files_left(), [])
        demo.folder.cleanup()
        return output

    def test_it_goes_through_and_knows_its_server(self):
        output = self.expect_end(Demo(), 0, "all is well")
        self.assertNotIn("unknown", output)
        self.assertIn("100000 of 100000 results came", output)

    def test_each_step_that_fails_ends_it_with_a_sentence(self):
        steps = ((Demo(setup="exit 3"), "could not be installed"), (Demo(cmake="echo no; exit 3"), "the build failed"),
                 (Demo(words=[("doctor", "exit 1")]), "cannot run here"),
                 (Demo(words=[("serve", "echo no; exit 1")]), "the server does not listen"),
                 (Demo(words=[("bench", "exit 1")]), "the measurement failed"),
                 (Demo(words=[("call", "exit 1")]), "the stream did not begin"),
                 (Demo(words=[("call", "echo one; exit 4")]), "the call ended with 4"))
        for demo, words in steps:
            self.expect_end(demo, 1, words)

    def test_nothing_is_left_running_by_a_signal(self):
        steps = ((dict(cmake="sleep 3000"), "demo: building"), (dict(words=[("doctor", "sleep 3000")]), "demo: building"),
                 (dict(words=[("bench", "sleep 3000")]), "$ cmdstream bench"),
                 (dict(words=[("call", "echo one; sleep 3000")]), "$ kill -TERM"))
        for (how, words), number in zip(steps, (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
            demo = Demo(**how)
            self.assertTrue(demo.until(words), demo.text)
            self.assertTrue(peer.until(lambda: len(demo.left()) > 1))
            demo.process.send_signal(number)
            self.expect_end(demo, 128 + number, "")


if __name__ == "__main__":
    peer.main()
