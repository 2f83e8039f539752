# SPDX-License-Identifier: MIT
"""The scripts of perf/ but compare: each runs to its end with tiny settings, and says what is wrong with its options. What
they find here is not looked at."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

from perf_script import BUILD, leave_without_io_uring, measuring, script

SCRIPTS = ("against_limit", "against_plain", "compare", "compiling", "fairness", "figures", "instructions", "memory", "storm",
           "syscalls", "tls")
HAS_TLS = os.environ["CMDSTREAM_TLS"] == "1"


class Scripts(unittest.TestCase):
    def succeeds(self, name, *words, status=0, **environment):
        done = script(name, *words, **environment)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def measures(self, name, *words):
        done = measuring(name, *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def test_each_has_a_help(self):
        for name in SCRIPTS:
            with self.subTest(name=name):
                self.assertIn(f"usage: {name}", self.succeeds(name, "--help").stdout)

    def test_an_option_that_is_wrong_is_named(self):
        for name in SCRIPTS:
            with self.subTest(name=name):
                self.assertIn("--nonsense", self.succeeds(name, "--nonsense", status=2).stderr)
        for name in ("against_limit", "compare", "fairness"):
            self.assertIn("--duration", self.succeeds(name, "--duration", 0, status=2).stderr)

    def test_a_build_that_is_missing_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("against_limit", "fairness", "instructions", "memory", "storm", "syscalls"):
                self.assertIn(f"{folder}/cmdstream is missing", self.succeeds(name, "--build", folder, status=1).stderr)

    def test_against_limit_names_the_better_ceiling_and_writes_every_run(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.measures("against_limit", "--only", "64", "--output", folder)
            files = {path.name: path.read_text(encoding="utf-8") for path in pathlib.Path(folder).iterdir()}

        self.assertEqual(set(files), {"against_limit.md", "against_limit.csv", "against_limit.json"})
        for name, row in json.loads(files["against_limit.json"])["rows"].items():
            self.assertIn(f"| {name} |", done.stdout)
            self.assertRegex(row["beside"], r"^the ceiling: (io_uring, \d+ × \d+|epoll, \d+) KiB")
            self.assertGreater(row["ratio"], 0)
        for side in ("cmdstream", "io_uring", "epoll"):
            self.assertIn(f",{side},", files["against_limit.csv"])

    def test_against_limit_says_which_measures_there_are(self):
        self.assertIn("8 × 128, commands/s",
                      self.succeeds("against_limit", "--only", "nothing", "--build", BUILD, status=2).stderr)

    def test_compiling_tells_what_a_member_costs(self):
        done = self.succeeds("compiling", "--messages", 2, "--members", 3)
        self.assertRegex(done.stdout, r"\| \*\*each member\*\* \| \*\*\d+\.\d\*\* \| \*\*[1-9]\d*\*\* \|")
        self.assertRegex(done.stdout, r"\| includes them \| code \| \d+ \| 0 \|")
        self.assertIn("more than 15", self.succeeds("compiling", "--members", 16, status=2).stderr)
        failed = self.succeeds("compiling", "--messages", 1, status=1, CC="false")
        self.assertIn("compiling: false fails", failed.stderr)

    def test_fairness_runs(self):
        self.measures("fairness", "--only", "shared", "--only", "light", "--only", "callers")

    def test_instructions_counts_both_sides_or_says_what_it_lacks(self):
        done = script("instructions", "--build", BUILD, "--steps", 100000)
        if done.returncode == 0:
            self.assertRegex(done.stdout, r"\| client \| \*\*[\d,]+\*\* \| .*load_on_result \d+")
            self.assertRegex(done.stdout, r"\| server \| \*\*[\d,]+\*\* \| .*service_echo \d+")
        else:
            self.assertRegex(done.stderr, "cannot be traced|this counts on x86-64 alone|binutils")

    def test_memory_runs(self):
        self.measures("memory", "--connections", 40)

    @unittest.skipUnless(HAS_TLS, "built without TLS")
    def test_against_plain_runs(self):
        self.measures("against_plain", "--only", "1 × 64")

    @unittest.skipUnless(HAS_TLS and shutil.which("openssl"), "built without TLS, or no openssl")
    def test_storm_runs(self):
        self.measures("storm", "--at-once", 4, "--only", "traffic")

    def test_syscalls_runs_or_says_what_it_lacks(self):
        if shutil.which("strace"):
            self.measures("syscalls")
        else:
            self.assertIn("strace is missing", self.succeeds("syscalls", "--build", BUILD, status=1).stderr)


if __name__ == "__main__":
    leave_without_io_uring()
    unittest.main()
