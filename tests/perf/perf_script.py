# SPDX-License-Identifier: MIT
"""What the tests of perf/'s scripts share."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ["CMDSTREAM_PERF"]).parent
PATIENCE_S = 500
SKIPPED = 77
sys.path.insert(0, str(ROOT / "perf"))


def script(name, *words, **environment):
    return subprocess.run([sys.executable, "-B", ROOT / "perf" / name, *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, **environment})


def measuring(name, *words):
    """With a longer time if nothing was answered in a short one, as on a machine that has more to do."""
    for seconds in (0.2, 1):
        done = script(name, "--quick", "--duration", seconds, "--build", BUILD, *words)
        if "take a longer --duration" not in done.stderr:
            break
    return done


def leave_without_io_uring():
    """Skips the whole program where nothing can be measured."""
    if subprocess.run([BUILD / "cmdstream", "bench", "--duration", "0.01", "--warmup", "0"], check=False,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        print("io_uring is not to be had here")
        raise SystemExit(SKIPPED)
