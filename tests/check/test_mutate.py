#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What scripts/mutate reports: a row must not claim what nobody has asked, or what was asked of another
fault of the same name."""
import pathlib
import sys
import tempfile
import types
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))
sys.dont_write_bytecode = True
import mutate_report


def fault(name):
    return types.SimpleNamespace(name=name, kind="kind", breaks="breaks", missed="", was=False, source="net.toml",
                                 digest="new")


def row(unit=None, simulation=None, digest="new"):
    parts = {"unit": unit, "simulation": simulation}
    return {"digest": digest, **{who: part for who, part in parts.items() if part is not None}}


FOUND = {"by": "unit.one", "how": "FAILED"}
SEEN = {"by": "seed 7", "how": "failed"}
NOT_SEEN = {"seeds": 200, "differ": 3, "doubtful": 0}
HURRIED = {"seeds": 40, "differ": 0, "doubtful": 0}


class ReportTest(unittest.TestCase):
    def report(self, **rows):
        rows = {name.replace("_", "-"): value for name, value in rows.items()}
        faults = [fault(name) for name in rows] + [fault("never-asked")]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "RESULTS.md"
            mutate_report.report(faults, rows, path, "")
            return path.read_text()

    def test_counts_those_that_both_were_asked_for(self):
        text = self.report(both=row(FOUND, SEEN), unit=row(FOUND, NOT_SEEN), seed=row({}, SEEN),
                           none=row({}, NOT_SEEN), half=row(FOUND))
        self.assertIn("- planted: 6,", text)
        self.assertIn("were asked for 4 of them", text)
        self.assertIn("by unit tests and by the simulation: 1\n", text)
        self.assertIn("by unit tests alone: 1\n", text)
        self.assertIn("by the simulation alone: 1\n", text)
        self.assertIn("by neither: 1,", text)
        self.assertIn("| none | breaks |", text)

    def test_says_what_was_not_asked(self):
        text = self.report(half=row(FOUND))
        self.assertIn("| half | kind | unit.one |  |", text)
        self.assertIn("| never-asked | kind |  |  |", text)
        self.assertIn("Not asked of unit tests, 1: never-asked.\n", text)
        self.assertIn("Not asked of the simulation, 2: half, never-asked.\n", text)

    def test_leaves_out_what_was_asked_of_another_text(self):
        text = self.report(changed=row(FOUND, SEEN, digest="old"), same=row(FOUND, SEEN))
        self.assertIn("left out: 1\n", text)
        self.assertIn("were asked for 1 of them", text)
        self.assertIn("| changed | kind |  |  |", text)

    def test_says_which_ran_fewer_seeds(self):
        text = self.report(all=row(FOUND, NOT_SEEN), few=row(FOUND, HURRIED))
        self.assertIn("| all | kind | unit.one | - |", text)
        self.assertIn("| few | kind | unit.one | - of 40 |", text)


if __name__ == "__main__":
    unittest.main()
