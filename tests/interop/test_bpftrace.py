#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The script that comes with the library, by a real bpftrace.

  test_bpftrace.py PROGRAM SCRIPT

`PROGRAM commands N` sends so many, one after the other, to a server of its own. A copy of it is looked at, so that
nobody else runs it, and begins when all probes are attached. 77, loudly, where there is no bpftrace, or none that may look.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

COMMANDS = 300
ECHO = 0  # The number of their type.
LIMIT_S = 50


def skip(reason):
    print(f"***** SKIPPED: {reason} *****")
    sys.exit(77)


def look(program, count, *words):
    """What bpftrace prints of the program, until that has ended."""
    done = subprocess.run(["bpftrace", "-c", f"{program} commands {count}", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False)
    return done.returncode, done.stdout


def histogram(said, name):
    """How many values are in it, however they are spread."""
    lines = re.search(rf"^@{re.escape(name)}: *\n((?:[\[(].*\|\n)+)", said, re.M)
    assert lines is not None, f"no @{name} in:\n{said}"
    return sum(int(count) for count in re.findall(r"[\])] +(\d+) \|", lines.group(1)))


def check(program, script):
    code, said = look(program, COMMANDS, script, program)
    assert code == 0, said
    assert histogram(said, f"command_us[{ECHO}]") == COMMANDS, said
    assert re.search(rf"^@failed\[{ECHO}\]: 0$", said, re.M), said
    for name in ("turn_us", "handled"):  # Of each shard.
        assert re.search(rf"^@{name}\[\d+, 0\]: *$", said, re.M), said
    assert "@begin" not in said, said  # Of those that have ended nothing is kept.


def main(program, script):
    if shutil.which("bpftrace") is None:
        skip("bpftrace is not there")
    if b"\0cmdstream\0command_begin\0" not in b"\0" + pathlib.Path(program).read_bytes():
        skip("built without probes: sys/sdt.h is not there (systemtap-sdt-dev)")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(program, folder)
        code, said = look(copy, 1, "-e", f"uprobe:{copy}:main {{ @mains = count(); }}")
        if code != 0 or "@mains: 1" not in said:
            skip(f"bpftrace may not look here: it takes root, and uprobes:\n{said}")
        check(copy, script)
    print(f"{COMMANDS} commands, each of them counted")


if __name__ == "__main__":
    main(*sys.argv[1:])
