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
import unittest.mock

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))
sys.dont_write_bytecode = True
import check
import check_objects

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

    def ratchet(self, lines=None, comments=None, circles=None):
        value = {"lines": lines or {}, "comments": comments or {}, "circles": circles or []}
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

    def test_seam_is_for_one_place(self):
        self.write("src/group/forward.c", '#include "server/call_observer.h"\n')
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
        self.write("src/tool/a.c", "")
        self.write("src/tool/bench/a.c", '#include "base/histogram.h"\n')  # The one exception.
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
        self.write("src/base/a.c", long_function(60))
        self.accepted()
        self.write("src/base/a.c", long_function(61))
        self.refused("cmdi_long has 61 lines, at most 60")

    def test_file_length(self):
        self.write("src/base/a.c", "int cmdi_x;\n" * 699)
        self.accepted()
        self.write("src/base/a.c", "int cmdi_x;\n" * 700)
        self.refused("src/base/a.c has 701 lines, at most 700")

    def test_scripts_have_a_length_too(self):
        self.write("perf/table", "pass\n" * 700, licence="#!/usr/bin/env python3\n")
        self.refused("perf/table has 701 lines, at most 700")
        self.write("perf/table", "def f():\n" + "    pass\n" * 60, licence="#!/usr/bin/env python3\n")
        self.refused("perf/table:2: f has 61 lines, at most 60")
        self.write("perf/table", ":\n" * 700, licence="#!/usr/bin/env bash\n")
        self.refused("perf/table has 701 lines, at most 700")
        self.write("perf/table", "data\n" * 700, licence="no script\n")
        self.accepted()
        self.write("tests/x/test_a.py", "pass\n" * 701, licence="")
        self.refused("tests/x/test_a.py has 701 lines, at most 700")
        self.write("tests/x/test_a.py", "", licence="")
        self.write("README.md", "line\n" * 151, licence="")
        self.refused("README.md has 151 lines, at most 150")

    def test_ratchet_holds(self):
        self.ratchet(lines={"src/base/a.c:cmdi_long": 80})
        self.write("src/base/a.c", long_function(80))
        self.accepted()
        self.write("src/base/a.c", long_function(81))
        self.refused("cmdi_long has 81 lines, at most 80")

    def test_ratchet_shrinks(self):
        self.ratchet(lines={"src/base/a.c:cmdi_long": 80})
        self.write("src/base/a.c", long_function(75))
        self.refused("something has shrunk")
        self.accepted("--ratchet")
        self.write("src/base/a.c", long_function(76))
        self.refused("at most 75")

    # ---- comments ----
    def test_comment_inside_a_statement(self):
        good = "enum {\n    A = 1, // One.\n    // The other.\n    B = 2,\n};\n"
        self.write("src/base/a.h", good)
        self.accepted()
        self.write("src/base/a.h", "enum {\n    A =\n            // One.\n            1,\n};\n")
        self.refused("src/base/a.h:4: a comment breaks this statement")
        self.write("src/base/a.h", "int cmdi_a(\n        // Why.\n        int b);\n")
        self.refused("src/base/a.h:3: a comment breaks this statement")

    def test_comment_that_broke_a_statement(self):
        self.write("src/base/a.h", "int cmdi_a(\n        int b); // Why.\n")
        self.refused("src/base/a.h:3: a comment breaks this statement")
        self.ratchet(comments={"src/base/a.h": 1})
        self.accepted()
        self.write("src/base/a.h", "// Why.\nint cmdi_a(int b);\n")
        self.refused("something has shrunk")
        self.accepted("--ratchet")
        long = "int cmdi_" + "a" * 90 + "(\n        int b); // Not in one line without it either.\n"
        self.write("src/base/a.h", long)
        self.accepted()

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

    # ---- objects ----
    def build(self, **sources):
        """`src_net_a="..."`: src/net/a.c, compiled. Returns: the arguments that make them be seen."""
        build = self.root / "build"
        for key, text in sources.items():
            name = key.replace("_", "/", 2) + ".c"
            target = build / "CMakeFiles/x.dir" / (name + ".o")
            target.parent.mkdir(parents=True, exist_ok=True)
            self.write(name, text)
            subprocess.run(["cc", "-c", "-w", "-o", target, self.root / name], check=True)
        return "--build", str(build)

    def test_symbol_against_the_arrow(self):
        use = "int cmdi_f(void); int cmdi_g(void) { return cmdi_f(); }\n"
        self.accepted(*self.build(src_wire_a="int cmdi_f(void) { return 1; }\n", src_conn_a=use))
        use = use.replace("cmdi_g", "cmdi_h")
        self.refused("src/codec/a.c:0: cmdi_f of src/wire/a.c: codec may use: base",
                     *self.build(src_codec_a=use))

    def test_a_name_that_two_files_have(self):
        build = self.build(src_net_a="int cmdi_f(void) { return 1; }\n",
                           src_tls_a="int cmdi_f(void) { return 2; }\n")
        self.refused("cmdi_f: src/net/a.c has a global name like that too", *build)
        self.build(src_tls_a="static int cmdi_f(void) { return 2; }\n")
        self.accepted(*build)

    def test_seam_for_a_symbol(self):
        use = "extern int cmds_codec_msgpack; int cmdi_f(void) { return cmds_codec_msgpack; }\n"
        codec = self.build(codecs_msgpack_a="int cmds_codec_msgpack;\n", src_server_a=use)
        self.accepted(*codec)
        self.build(src_client_a=use.replace("cmdi_f", "cmdi_g"))
        self.refused("src/client/a.c:0: cmds_codec_msgpack of codecs/msgpack/a.c: client may use", *codec)
        (self.root / "src/client/a.c").unlink()
        self.build(src_server_a="int cmdi_f;\n")
        self.refused("SEAMS: src/server does not use cmds_codec_msgpack any more", *codec)

    def test_objects_without_a_source_are_old(self):
        build = self.build(src_codec_a="int cmdi_g(void) { return socket(1, 1, 0); }\n")
        self.refused("src/codec/a.c:0: socket asks the kernel", *build)
        (self.root / "src/codec/a.c").unlink()
        self.build(src_codec_b="int cmdi_g;\n")
        self.accepted(*build)

    def test_tool_uses_public_functions(self):
        use = "int cmds_f(void); int main(void) { return cmds_f() + close(1); }\n"
        self.accepted(*self.build(src_codec_a="int cmds_f(void) { return 1; }\n", src_tool_a=use))
        self.refused("src/tool/a.c:0: cmdi_f of src/codec/a.c: tool may use: public functions only",
                     *self.build(src_codec_a="int cmdi_f(void) { return 1; }\n",
                                 src_tool_a=use.replace("cmds_f", "cmdi_f")))

    def test_narrow_header(self):
        self.write("src/ring/ring.h", "int cmdi_ring_f(void);\n")
        use = "int cmdi_ring_f(void); int cmdi_g(void) { return cmdi_ring_f(); }\n"
        build = self.build(src_ring_ring="int cmdi_ring_f(void) { return 1; }\n", src_shard_a=use)
        self.accepted(*build)
        self.build(src_client_a=use.replace("cmdi_g", "cmdi_h"))
        self.refused("src/client/a.c:0: cmdi_ring_f: ring/ring.h is for src/shard/", *build)

    def test_core_that_asks_the_kernel(self):
        pure = "char *cmdi_f(char *a) { strlen(memcpy(a, malloc(1), 1)); return a; }\n"
        self.accepted(*self.build(src_base_a=pure))
        for call in ("socket", "close", "read", "poll", "pthread_create", "pthread_cond_wait", "sigwait",
                     "getaddrinfo", "unlink", "uname", "clock_gettime", "nanosleep", "getrandom", "puts"):
            build = self.build(src_base_a=f"int cmdi_f(void) {{ return {call}(); }}\n")
            self.refused(f"src/base/a.c:0: {call} asks the kernel or is not known", *build)
        self.accepted(*self.build(src_base_a=pure, src_ring_a="int cmdi_g(void) { return close(1); }\n",
                                  src_machine_a="int cmdi_h(void) { return close(1); }\n"))

    def test_symbol_of_the_seam_that_no_header_declares(self):
        use = "int cmdi_f(void); int cmdi_g(void) { return cmdi_f(); }\n"
        build = self.build(src_ring_a="int cmdi_f(void) { return 1; }\n", src_shard_a=use)
        self.refused("src/shard/a.c:0: cmdi_f of src/ring/a.c: no header of its folder declares it",
                     *build)
        self.write("src/ring/a.h", "int cmdi_f(void);\n")
        self.accepted(*build)
        self.write("src/ring/b.h", "int cmdi_e(void);\n")
        self.build(src_ring_b="int cmdi_e(void) { return 1; }\n")
        self.refused("src/ring/b.h:0: cmdi_e is used in no other file", *build)

    def test_circle_of_files(self):
        ring = "int cmdi_{1}(void); int cmdi_{0}(void) {{ return cmdi_{1}(); }}\n"
        build = self.build(src_conn_a=ring.format("a", "b"), src_conn_b=ring.format("b", "c"),
                           src_conn_c=ring.format("c", "a"))
        files = ["src/conn/a.c", "src/conn/b.c", "src/conn/c.c"]
        self.refused(f"each uses a symbol of the next: {' '.join(files)}", *build)
        self.ratchet(circles=[files[:2]])
        self.refused("each uses a symbol of the next", *build)
        self.ratchet(circles=[files])
        self.accepted(*build)
        self.build(src_conn_b=ring.format("b", "a"))
        self.refused("something has shrunk", *build)
        self.accepted(*build, "--ratchet")
        self.build(src_conn_b=ring.format("b", "c"))
        self.refused("each uses a symbol of the next", *build)

    def test_no_objects_is_said(self):
        (self.root / "build").mkdir()
        self.assertIn("objects: not checked, none in", self.check("--build", self.root / "build").stdout)
        self.assertIn("objects: not checked, no --build", self.check().stdout)

    def test_folders_that_there_are(self):
        for folder in check_objects.ARROWS:
            (self.root / "src" / folder).mkdir(parents=True, exist_ok=True)
        self.write("CMakeLists.txt", "file(GLOB a src/base/*.c src/tool/*.c)\n", licence="")
        self.accepted()
        (self.root / "src/tool").rmdir()
        self.refused("CMakeLists.txt:1: there is no src/tool")
        (self.root / "src/wire").rmdir()
        self.refused("scripts/check_objects.py:1: there is no src/wire")

    def test_arrows_without_circles(self):
        self.assertEqual(check_objects.arrow_circles({"a": "b", "b": "c", "c": ""}, {}), [])
        self.assertEqual(check_objects.arrow_circles({"a": "b", "b": "c", "c": "a"}, {}), [["a", "b", "c"]])
        seams = {("src/c/x.c", "a/a.h"): "why"}
        self.assertEqual(check_objects.arrow_circles({"a": "b", "b": "c", "c": ""}, seams), [["a", "b", "c"]])
        problems = []
        with unittest.mock.patch.dict(check_objects.ARROWS, base="test"):
            check_objects.check_plan(self.root, lambda *problem: problems.append(problem))
        self.assertIn("the arrows lead in a circle: base", problems[0][2])

    def test_arrows_that_nothing_takes(self):
        build = self.build(src_wire_a="int cmdi_f(void) { return 1; }\n",
                           src_conn_a="int cmdi_f(void); int cmdi_g(void) { return cmdi_f(); }\n")
        self.write("src/ring/a.h", "")
        self.write("src/net/a.c", '#include "ring/a.h"\n')
        self.accepted(*build)
        self.write("CMakeLists.txt", "", licence="")
        output = self.check(*build).stdout
        self.assertIn("ARROWS: conn does not use shard", output)
        self.assertNotIn("ARROWS: conn does not use wire", output)
        self.assertNotIn("ARROWS: net does not use ring", output)

    # ---- commits ----
    def commits(self, *messages):
        """Under our own base, of which there is none here: every one of them is looked at."""
        def git(*arguments):
            subprocess.run(["git", "-C", self.root, "-c", "user.name=a", "-c", "user.email=a@b.c",
                            *arguments], check=True, capture_output=True, input="")
        git("init", "-q")
        git("commit", "--allow-empty", "-q", "-m", "A title before the rule that is much longer than "
            "seventy-two characters can be")
        base = subprocess.run(["git", "-C", self.root, "rev-parse", "HEAD"], check=True,
                              capture_output=True, text=True).stdout.strip()
        for message in messages:
            git("commit", "--allow-empty", "-q", "-m", message)
        checker = check.Checker(self.root)
        with unittest.mock.patch.object(check, "COMMITS_AFTER", base):
            self.assertIsNone(checker.check_commits())
        return "\n".join(checker.problems)

    @unittest.skipUnless(shutil.which("git"), "no git")
    def test_commits(self):
        self.assertEqual(self.commits("t" * 72, "title\n\nbody\nand more"), "")
        self.assertIn("a title of 73 characters, at most 72: ttt", self.commits("t" * 73, "title"))
        self.assertIn("the line after the title is not blank: b", self.commits("good", "title\nb\n\nc"))

    def test_commits_that_cannot_be_looked_at(self):
        result = self.check("--commits")
        self.assertIn("***** commits: NOT checked, this is no git repository", result.stdout)
        self.assertEqual(result.returncode, 77)
        if not shutil.which("git"):
            self.skipTest("no git: what is said of a shallow history is not looked at")
        subprocess.run(["git", "init", "-q", self.root], check=True)
        result = self.check("--commits")
        self.assertIn("***** commits: NOT checked, the history does not reach back", result.stdout)
        self.assertEqual(result.returncode, 77)

    def test_the_map_is_whole(self):
        self.write("include/cmdstream/base.h", "")
        self.write("tests/unit/test_a.c", "")
        self.write("docs/map.md", "[base](../src/base), `base`, [page](https://x.y/z), [here](#map)\n", licence="")
        self.refused("docs/map.md:1: has no link to tests/unit")
        self.write("docs/map.md", "[base](../src/base), [unit](../tests/unit)\n", licence="")
        self.refused("docs/map.md:1: does not name base.h")
        self.write("docs/map.md", "[base](../src/base), [unit](../tests/unit), `base`\n", licence="")
        self.accepted()
        self.write("README.md", "line\n![plot](perf/plot.svg) and [a part](docs/map.md#map)\n", licence="")
        self.refused("README.md:2: there is no perf/plot.svg")

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
