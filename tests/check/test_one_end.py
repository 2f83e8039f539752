#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A command ends in one place. What is to be done at each end (hooks, spans, counters) is done there,
and would be missed by a second place that nobody has thought of."""
import pathlib
import re
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent / "src"
PLACE = "client/client_shard.h"


def lines_with(pattern, *folders):
    found = []
    for folder in folders:
        for path in sorted((SOURCE / folder).glob("*.[ch]")):
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.S)
            found += [path.relative_to(SOURCE).as_posix() for _ in re.finditer(pattern, text)]
    return found


class OneEndTest(unittest.TestCase):
    def test_callback_of_a_command_has_one_caller(self):
        self.assertEqual(lines_with(r"\bon_result\(", "client"), [PLACE])

    def test_pending_has_one_writer(self):
        writes = r"atomic_(store|exchange|fetch_\w+)(_explicit)?\(\s*&[\w.>-]*\bpending\b"
        self.assertEqual(lines_with(writes, "client", "group"), [PLACE])

    def test_a_command_that_is_over_is_told_by_these(self):
        tells = r"\bcmdi_client_shard_tell\([^;{]*,\s*true\)"
        # With an entry; without one, left by another thread; of a group, and never sent, or resting before it
        # is sent again.
        self.assertEqual(lines_with(tells, "client"), ["client/finish.h", "client/inbox.c"])
        self.assertEqual(lines_with(tells, "group"), ["group/attempt.c", "group/resend.c"])


if __name__ == "__main__":
    unittest.main()
