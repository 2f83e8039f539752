#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks each rule of scripts/check.py in a small tree of its own: a checker that has stopped seeing
would otherwise look like a clean tree."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
LICENCE = "/* SPDX-License-Identifier: MIT */\n"


def long_function(lines):
    return "int cmdi_long(void)\n{\n" + "    ;\n" * (lines - 3) + "}\n"


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        (self.root / "scripts").mkdir()
        self.write("src/base/a.h", "int cmdi_a(void);\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text, licence=LICENCE):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(licence + text, encoding="utf-8")

    def ratchet(self, value):
        (self.root / "scripts/check_ratchet.json").write_text(json.dumps(value), encoding="utf-8")

    def check(self, *arguments):
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "scripts/check.py"), "--root", str(self.root), *arguments],
            capture_output=True, text=True, check=False,
        )

    def refused(self, words, *arguments):
        result = self.check(*arguments)
        self.assertIn(words, result.stdout + result.stderr)
        self.assertEqual(result.returncode, 1, result.stdout)

    def accepted(self, *arguments):
        result = self.check(*arguments)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    # ---- includes ----
    def test_include_along_the_arrow(self):
        self.write("src/wire/frame.c", '#include "wire/frame.h"\n#include "base/a.h"\n')
        self.accepted()

    def test_include_against_the_arrow(self):
        self.write("src/base/a.c", '#include "wire/frame.h"\n')
        self.refused("src/base/a.c:2: \"wire/frame.h\": base may include: nothing")

    def test_client_never_includes_server(self):
        self.write("src/client/a.c", '#include "server/call.h"\n')
        self.refused("client may include")

    def test_seam_is_for_one_folder(self):
        self.write("src/group/a.c", '#include "server/call_observer.h"\n')
        self.accepted()
        self.write("src/client/a.c", '#include "server/call_observer.h"\n')
        self.refused("client may include")

    def test_folder_without_arrows(self):
        self.write("src/extra/a.c", '#include "base/a.h"\n')
        self.refused("src/extra is not in the table")

    def test_include_without_folder(self):
        self.write("src/base/a.c", '#include "a.h"\n')
        self.refused('with its folder, "base/a.h"')

    def test_internal_include_in_angles(self):
        self.write("src/base/a.c", "#include <net/if.h>\n")  # The system's, not ours.
        self.accepted()
        self.write("src/base/a.c", "#include <base/a.h>\n")
        self.refused("internal headers in quotes")

    def test_tool_includes_its_own(self):
        self.write("src/tool/a.h", "")
        self.write("src/tool/a.c", '#include <cmdstream/base.h>\n#include "a.h"\n')
        self.accepted()

    def test_tool_includes_internals(self):
        self.write("src/tool/a.c", '#include "base/a.h"\n')
        self.refused("src/tool includes public headers only")
        self.write("src/tool/a.c", '#include "base/histogram.h"\n')  # The one exception.
        self.accepted()

    def test_liburing_outside_ring(self):
        self.write("src/ring/a.c", "#include <liburing.h>\n")
        self.accepted()
        self.write("src/net/a.c", "#include <liburing.h>\n")
        self.refused("src/net/a.c:2: <liburing.h> belongs into src/ring/")

    def test_public_header_with_third_party(self):
        self.write("include/cmdstream/a.h", "#include <stdint.h>\n#include <cmdstream/b.h>\n")
        self.accepted()
        self.write("include/cmdstream/a.h", "#include <pthread.h>\n")
        self.refused("public headers take the C library only")

    def test_example_includes_internals(self):
        self.write("tests/examples/calc/client.c", '#include "calc.h"\n#include "base/a.h"\n')
        self.refused("an example is what a user can write")

    # ---- length ----
    def test_function_length(self):
        self.write("src/base/a.c", long_function(70))
        self.accepted()
        self.write("src/base/a.c", long_function(71))
        self.refused("cmdi_long has 71 lines, at most 70")

    def test_file_length(self):
        self.write("src/base/a.c", "int cmdi_x;\n" * 999)
        self.accepted()
        self.write("src/base/a.c", "int cmdi_x;\n" * 1000)
        self.refused("src/base/a.c has 1001 lines, at most 1000")

    def test_ratchet_holds(self):
        self.ratchet({"src/base/a.c:cmdi_long": 80})
        self.write("src/base/a.c", long_function(80))
        self.accepted()
        self.write("src/base/a.c", long_function(81))
        self.refused("cmdi_long has 81 lines, at most 80")

    def test_ratchet_shrinks(self):
        self.ratchet({"src/base/a.c:cmdi_long": 80})
        self.write("src/base/a.c", long_function(75))
        self.refused("something has shrunk")
        self.accepted("--ratchet")
        self.write("src/base/a.c", long_function(76))
        self.refused("at most 75")

    # ---- words, licence, format ----
    def test_todo_needs_an_issue(self):
        self.write("src/base/a.c", "/* TO" "DO(#12): later. */\n")
        self.accepted()
        self.write("src/base/a.c", "/* TO" "DO: later. */\n")
        self.refused("carries the number of its issue")
        self.write("src/base/a.c", "/* FIX" "ME */\n")
        self.refused("say it as")

    def test_licence(self):
        self.write("src/base/a.c", "int cmdi_x;\n", licence="")
        self.refused("opens every file")

    def test_format(self):
        if "no clang-format" in self.check().stdout:
            self.skipTest("no clang-format of the right version")
        shutil.copy(REPOSITORY / ".clang-format", self.root)
        self.write("src/base/a.c", "int  cmdi_x ;\n")
        self.refused("clang-format -i src/base/a.c")

    # ---- symbols ----
    def library(self, source, static=""):
        self.write("lib.c", source)
        library = self.root / "libcmdstream.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, self.root / "lib.c"], check=True)
        if static:
            self.write("static.c", static)
            subprocess.run(["cc", "-c", "-o", self.root / "s.o", self.root / "static.c"], check=True)
            subprocess.run(["ar", "rc", self.root / "libcmdstream.a", self.root / "s.o"], check=True)
        return str(library)

    def test_exported_prefix(self):
        self.accepted("--library", self.library("int cmds_x(void) { return 1; }\n"))
        self.refused("exports cmdi_x", "--library", self.library("int cmdi_x(void) { return 1; }\n"))

    def test_static_prefix(self):
        source = "int cmds_x(void) { return 1; }\n"
        self.accepted("--library", self.library(source, "int cmdi_y;\n"))
        self.refused("libcmdstream.a:0: helper", "--library", self.library(source, "int helper;\n"))

    def test_declared_and_missing(self):
        self.write("include/cmdstream/a.h", "CMDS_API int cmds_x(void);\nCMDS_API int cmds_y(\n        int a);\n")
        self.refused("cmds_y is declared, but",
                     "--library", self.library("int cmds_x(void) { return 1; }\n"))

    def test_a_generated_file_is_what_its_script_writes(self):
        script = "scripts/gen_each.py"
        shutil.copy(REPOSITORY / script, self.root / script)
        (self.root / "include/cmdstream").mkdir(parents=True)
        subprocess.run([sys.executable, self.root / script], check=True)
        self.assertEqual(self.check().returncode, 0)
        with (self.root / "include/cmdstream/each.h").open("a", encoding="utf-8") as file:
            file.write("\n")
        result = self.check()
        self.assertEqual(result.returncode, 1)
        self.assertIn("each.h:1: not what scripts/gen_each.py writes", result.stdout)


if __name__ == "__main__":
    unittest.main()
