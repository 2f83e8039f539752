# SPDX-License-Identifier: MIT
"""perf/compare and perf/figures: the comparison runs to its end with tiny settings and skips nothing silently; tables,
ratios and the README's figures are what was measured."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

from perf_script import BUILD, leave_without_io_uring, measuring, script
import compare_report
import measure

GO = shutil.which(os.environ.get("GO", "go")) or shutil.which("/usr/local/go/bin/go")


class Compare(unittest.TestCase):
    def test_without_go_it_says_so(self):
        done = script("compare", "--no-setup", "--quick", "--build", BUILD, GO=shutil.which("true"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("perf/go/go.mod demands", done.stderr)

    @unittest.skipUnless(GO and (BUILD / "perf/burst").exists(), "Go is not installed, or perf/ not built")
    def test_it_runs_and_what_is_missing_is_shouted(self):
        with tempfile.TemporaryDirectory() as folder:
            done = measuring("compare", "--no-setup", "--output", folder)
            if "go build" in done.stderr or "is Go " in done.stderr:
                self.skipTest(done.stderr[-500:])  # Its modules are not to be had.
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            text = (pathlib.Path(folder) / "compare.md").read_text(encoding="utf-8")
            summary = json.loads((pathlib.Path(folder) / "compare.json").read_text(encoding="utf-8"))

        for words in ("Linux", "commit", "Medians of 1 runs", "0.8 of Go's best", "of our best", "CPU µs per command"):
            self.assertIn(words, text)
        self.assertIn("8 × 128, commands/s", summary["rows"])
        for one in summary["missing"]:
            self.assertIn(f"NOT MEASURED: {one}", done.stderr)
        self.assertEqual("8 × 128 beside Redis, commands/s" in summary["rows"],
                         not any("Redis" in one for one in summary["missing"]))


class Made(unittest.TestCase):
    """What is made of what was found."""

    def test_the_floor_is_what_pauses_alone_make_of_a_percentile(self):
        self.assertEqual(measure.floor_us([[], []], 1), 0)
        # One pause of 10 ms in a second: one command in a hundred waits, one in a thousand 9 ms or more.
        self.assertAlmostEqual(measure.floor_us([[10_000_000], []], 1), 9000, delta=1)
        # The same on each CPU: two in a thousand wait at least 9 ms, one 9.5.
        self.assertAlmostEqual(measure.floor_us([[10_000_000], [10_000_000]], 1), 9500, delta=1)
        self.assertEqual(measure.floor_us([[100_000]], 1), measure.floor_us([[100_000]], 1, share=0.5))

    def test_a_ratio_is_of_one_turn_and_beside_the_better_setting(self):
        results = compare_report.Results()
        for peer, values in (("cmdstream msgpack", (300, 400)), ("Go mus, its defaults", (5, 5)), ("Go mus, 64 KiB buffers", (10, 20))):
            for repetition, value in enumerate(values):
                results.add({"commands_per_second": value}, peer=peer, repetition=repetition,
                            **compare_report.at("closed", 8, 128))
        row = compare_report.summary(results)["8 × 128, commands/s"]
        self.assertEqual((row["ratio"], row["low"], row["high"]), (25, 20, 30))
        self.assertNotIn("8 × 128 beside Redis, commands/s", compare_report.summary(results))


class Figures(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.readme = self.path / "README.md"
        self.readme.write_text("# A\n<!-- perf/figures writes this -->\nold\n## B\nrest\n", encoding="utf-8")

    def tearDown(self):
        self.folder.cleanup()

    def figures(self, *words):
        return script("figures", "--results", self.path, "--readme", self.readme, *words)

    def summary(self, name, rows):
        text = json.dumps({"machine": "a machine", "commit": "abc", "runs": 3, "rows": rows})
        (self.path / f"{name}.json").write_text(text, encoding="utf-8")

    def test_the_table_has_what_was_measured_and_names_what_was_not(self):
        row = {"ours": "4.00 M", "beside": "the ceiling: epoll, 64 KiB", "theirs": "8.00 M", "ratio": 0.5, "low": 0.4,
               "high": 0.6}
        self.summary("against_limit", {"8 × 128, commands/s": row})
        self.summary("compare", {"CPU µs per command, both sides, 8 × 128": {**row, "ratio": 0.025}})

        self.assertEqual(self.figures("--check").returncode, 1)
        self.assertEqual(self.figures().returncode, 0)
        self.assertEqual(self.figures("--check").returncode, 0)
        text = self.readme.read_text(encoding="utf-8")

        self.assertIn("| 8 × 128, commands/s | 4.00 M | the ceiling: epoll, 64 KiB | 8.00 M | **0.50** (0.40–0.60) |", text)
        self.assertIn("**1/40**", text)
        self.assertIn("| 1 × 1 spinning, p50 µs | – | not measured |", text)
        self.assertIn("a machine, commit abc, medians of 3 runs", text)
        self.assertTrue(text.startswith("# A\n<!--") and text.endswith("\n\n## B\nrest\n"))
        self.assertNotIn("old", text)

    def test_what_it_lacks_is_named(self):
        done = self.figures()
        self.assertEqual(done.returncode, 1)
        self.assertIn("against_limit.json", done.stderr)
        self.summary("against_limit", {})
        self.summary("compare", {})
        self.readme.write_text("# A\n", encoding="utf-8")
        self.assertIn("no line says", self.figures().stderr)


if __name__ == "__main__":
    leave_without_io_uring()
    unittest.main()
