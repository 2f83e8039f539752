# SPDX-License-Identifier: MIT
"""scripts/starve, on tests that are none of this project: which fail, hang, or are not there."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

STARVE = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "starve"


def starve(tests, *words):
    """Returns: its exit status, and what it says."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "CTestTestfile.cmake").write_text(
            "".join(f'add_test({name} {command})\n' for name, command in tests.items()))
        done = subprocess.run([sys.executable, "-B", STARVE, "--build", folder, "--tests", ".", "--busy", "0",
                               *words], check=False, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Starve(unittest.TestCase):
    def test_what_passes(self):
        status, said = starve({"good": "true", "skipped": 'sh -c "exit 77"'}, "--times", "3", "--stops")
        self.assertEqual(status, 0, said)
        self.assertIn("2 tests, 3 times: 0 runs failed", said)

    def test_what_fails_is_kept(self):
        status, said = starve({"starve_good": "true", "starve_bad": 'sh -c "echo why; exit 3"'}, "--times", "2")
        self.assertEqual(status, 1, said)
        self.assertIn("2 of 2 failed", said)
        kept = STARVE.parents[1] / "build" / "starve" / "starve_bad.1.1.out"
        self.assertIn(f"3: {kept.relative_to(STARVE.parents[1])}", said)
        self.assertEqual(kept.read_text(), "why\n")

    def test_what_hangs_is_ended(self):
        status, said = starve({"starve_hangs": "sleep 1000"}, "--times", "1", "--patience", "0.5")
        self.assertEqual(status, 1, said)
        self.assertIn("it hangs", said)

    def test_what_is_not_there(self):
        status, said = starve({"good": "true"}, "--tests", "nothing")
        self.assertEqual(status, 2, said)
        self.assertIn("no such test in", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
