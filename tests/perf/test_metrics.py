# SPDX-License-Identifier: MIT
"""How large a scrape is: the numbers that perf/metrics fills in are the same each time, so that only what is written of
them makes a difference. How long it takes is not looked at."""
import re
import subprocess
import unittest

from perf_script import BUILD, PATIENCE_S, leave_without_io_uring

TEXT_SIZE_MAX = 1_500_000
OTHER_SIZE_MAX = 400_000  # A protobuf, and JSON.
SHARDS, TYPES = 64, 100


class Metrics(unittest.TestCase):
    def sizes(self):
        """Of each format, by its content type without parameters."""
        done = subprocess.run([BUILD / "perf" / "metrics", str(SHARDS), str(TYPES)], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return {kind: int(size) for kind, size in re.findall(r"^([^\s;]+).*; (\d+) bytes$", done.stdout, re.M)}

    def test_many_shards_and_types_make_a_scrape_of_limited_size(self):
        limits = {"text/plain": TEXT_SIZE_MAX, "application/openmetrics-text": TEXT_SIZE_MAX,
                  "application/vnd.google.protobuf": OTHER_SIZE_MAX, "application/json": OTHER_SIZE_MAX}

        sizes = self.sizes()

        self.assertEqual(set(sizes), set(limits))
        for kind, limit in limits.items():
            self.assertLessEqual(sizes[kind], limit, kind)
            self.assertGreater(sizes[kind], limit // 2, kind)  # Else it is not full, and shows nothing.


if __name__ == "__main__":
    leave_without_io_uring()
    unittest.main()
