#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house that a program can hold: a rule is not a rule until it stands here.

  includes   which folder of src/ may include which, and who may include a third party's header
  objects    the same for symbols, so that nothing is used through a third folder's header; no circle
             of files; nothing but src/ring and src/machine asks the kernel (scripts/check_objects.py,
             where the tables are)
  symbols    the shared library exports every function that a public header declares, and only names
             that begin with cmds_; other global names of the static library begin with cmdi_
  length     a file has at most 700 lines, a function 60, README.md 150
  comments   no // comment inside a statement, nor one that broke the statement into lines
  format     clang-format, in the version that .clang-format was written for
  words      no work left without the number of its issue
  licence    the SPDX line opens every source file
  generated  a file that a script writes is what the script writes today
  map        docs/map.md has a link to each folder and names each public header; no link of README.md
             and docs/ leads nowhere
  commits    a commit's title has at most 72 characters, the line after it is blank

scripts/check.py [--library libcmdstream.so] [--build FOLDER] [--ratchet] [--root FOLDER]
scripts/check.py --commits

Older offenders stand in scripts/check_ratchet.json with their length, their number of comments, or
their circle of files, which may only shrink; --ratchet writes what has shrunk back to the file.
--commits looks at the commits alone, 77: it cannot. The exit status is 1 when a rule is broken.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import check_objects
import check_text
from check_objects import ARROWS, CODEC_ARROWS

# Third party's header -> places that may include it.
THIRD_PARTY = {
    "liburing": ("src/ring/", "src/machine/", "perf/ceiling/"),
    "msgpack": ("codecs/msgpack/", "tests/", "perf/"),
    "jansson": ("src/tool/", "tests/", "perf/codec.c"),
    "protobuf-c": ("codecs/protobuf/", "perf/codec.c"),
    "wolfssl": ("src/tls/", "tests/"),
    "curl": ("src/otel/",),
    "zlib": ("src/otel/", "tests/"),
    "gcrypt": ("src/tls/", "tests/fault/torture_tls.c"),
    "microhttpd": ("src/admin/",),
    "CUnit": ("tests/",),
    "sys/sdt": ("src/base/usdt.h",),
}
STANDARD_HEADERS = set(  # type_traits: under __cplusplus.
    "assert.h errno.h float.h inttypes.h limits.h math.h stdbool.h stddef.h stdint.h stdio.h "
    "stdlib.h string.h time.h type_traits".split()
)

# Of .hpp, whose users have them anyway.
CPP_HEADERS = set(
    "cerrno condition_variable cstring iterator memory mutex new string_view utility".split()
)

# Script that knows --check -> what it writes.
GENERATED = {"scripts/gen_each.py": "include/cmdstream/each.h", "perf/figures": "README.md"}

MAPPED = ("src", "codecs", "tests", "perf")  # Folders whose folders are in docs/map.md.

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 60
LINES_MAX = {"README.md": 150}  # Of single files.
COMMIT_TITLE_MAX = 72
# The commit from which on titles are looked at: older ones cannot be mended any more.
COMMITS_AFTER = "e82741f88e52552e644cdd9dd5eaf76d29f76154"
CLANG_FORMAT_MAJOR = 14

C_FOLDERS = ("include", "src", "codecs", "tests", "perf")
C_SUFFIXES = (".c", ".h", ".cpp", ".hpp")
TEXT_FOLDERS = C_FOLDERS + ("scripts", ".ci", ".github")
TEXT_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".cmake", ".in", ".md", ".map", ".txt", "")


class Checker:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.notes = []

    def check_tree(self, arguments):
        self.check_includes()
        self.check_ratcheted(arguments.build, arguments.ratchet)
        self.check_words()
        self.check_licence()
        self.check_map()
        self.check_generated()
        self.check_format()
        if arguments.library:
            self.check_symbols(arguments.library.resolve())
        else:
            self.notes.append("symbols: not checked, no --library")

    def report(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}")

    def files(self, folders, suffixes):
        for folder in folders:
            for path in sorted((self.root / folder).rglob("*")):
                if path.is_file() and path.suffix in suffixes and "corpus" not in path.parts:
                    yield path.relative_to(self.root).as_posix(), path

    def c_files(self):
        for name, path in self.files(C_FOLDERS, C_SUFFIXES):
            yield name, path.read_text(encoding="utf-8").splitlines()

    # ---- includes ------------------------------------------------------------------------------
    def check_includes(self):
        for name, lines in self.c_files():
            for number, line in enumerate(lines, 1):
                match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
                if match:
                    self.check_include(name, number, match[1] == '"', match[2])

    def check_include(self, name, number, quoted, header):
        if not quoted:
            self.check_angle_include(name, number, header)
            return
        parts = name.split("/")
        if parts[0] == "include":
            self.report(name, number, f'"{header}": a public header includes by <cmdstream/...>')
        elif parts[0] == "src":
            self.check_arrow(name, number, header, parts[1], ARROWS.get(parts[1]))
        elif parts[0] == "codecs":
            self.check_arrow(name, number, header, parts[1], CODEC_ARROWS)
        elif name.startswith("tests/examples/") and "/" in header:
            self.report(name, number, f'"{header}": an example is what a user can write')

    def check_arrow(self, name, number, header, folder, allowed):
        if allowed is None:
            self.report(name, number, f"src/{folder} is not in the table of scripts/check.py")
        elif check_objects.seam(name, header):
            return
        elif folder == "tool":
            if not (self.root / "src/tool" / header).is_file():
                self.report(name, number, f'"{header}": src/tool includes public headers only')
        else:
            target = header.split("/")[0]
            if "/" not in header:
                self.report(name, number, f'"{header}": with its folder, "{folder}/{header}"')
            elif target != folder and target not in allowed.split():
                self.report(name, number, f'"{header}": {folder} may include: {allowed or "nothing"}')

    def check_angle_include(self, name, number, header):
        for party, places in THIRD_PARTY.items():
            if re.match(rf"{party}(\.h|/)", header) and not name.startswith(places):
                self.report(name, number, f"<{header}> belongs into {' '.join(places)}")
        if name.startswith("include/") and not header.startswith("cmdstream/"):
            if header not in STANDARD_HEADERS | (CPP_HEADERS if name.endswith(".hpp") else set()):
                self.report(name, number, f"<{header}>: public headers take the C library only")
        if name.startswith(("src/", "codecs/")) and (self.root / "src" / header).is_file():
            self.report(name, number, f'<{header}>: internal headers in quotes, "{header}"')

    # ---- symbols -------------------------------------------------------------------------------
    def check_symbols(self, library):
        exported = set()
        for name, kind in self.nm("-D", library):
            if kind != "A":  # The version node itself.
                exported.add(name.split("@")[0])
        for name in sorted(exported):
            if not name.startswith("cmds_"):
                self.report(library.name, 0, f"exports {name}, which does not begin with cmds_")
        for header, number, name in self.public_functions():
            if name not in exported:
                self.report(header, number, f"{name} is declared, but the library does not have it")
        for path in sorted(library.parent.glob("**/libcmdstream_*.so")):
            self.check_other_symbols(path)
        for static in (library.with_name("libcmdstream.a"),
                       *library.parent.glob("**/libcmdstream_tls.a"),
                       *library.parent.glob("**/libcmdstream_admin.a"),
                       *library.parent.glob("**/libcmdstream_otel.a"),
                       *library.parent.glob("**/libcmdstream_tool.a")):
            if not static.exists():
                continue
            for name in sorted({name for name, _ in self.nm("--extern-only", static)}):
                if not re.match(r"cmd[si]_", name) and name != check_objects.SDT_BASE:
                    self.report(static.name, 0, f"{name}: a global name begins with cmds_ or cmdi_")

    def check_other_symbols(self, library):
        """A codec of its own, TLS: what its header declares, and nothing else."""
        header = "include/cmdstream/" + library.stem.removeprefix("libcmdstream_") + ".h"
        declared = {name for place, _, name in self.public_functions(others=True) if place == header}
        exported = {name.split("@")[0] for name, kind in self.nm("-D", library) if kind != "A"}
        for name in sorted(declared ^ exported):
            self.report(library.name, 0, f"{name} is either declared in {header} or exported, not both")

    def nm(self, option, library):
        text = subprocess.run(
            ["nm", option, "--defined-only", "--portability", str(library)],
            check=True, capture_output=True, text=True,
        ).stdout
        for line in text.splitlines():
            fields = line.split()
            if len(fields) >= 2 and not line.endswith(":"):
                yield fields[0], fields[1]

    def public_functions(self, others=False):
        """Of the core; or of what are libraries of their own: include/cmdstream/codec_*.h, tls.h, sim.h,
        admin.h, otel.h, tool.h."""
        for name, lines in self.c_files():
            if not name.startswith("include/") or others != bool(re.search(r"/(codec_|otel\.|tls\.|tool\.|sim\.|admin\.)", name)):
                continue
            text = "\n".join(lines)
            for match in re.finditer(r"\bCMDS_API\b[^;{}#]*?\b(cmds_\w+)\s*(\(|;|\[)", text):
                yield name, text.count("\n", 0, match.start()) + 1, match[1]

    # ---- length, comments, and the ratchet -------------------------------------------------------
    def lengths(self):
        """The offenders: {"src/x.c": lines, "src/x.c:function": lines}, and where each stands."""
        found, places = {}, {}
        for name, path in self.measured_files():
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            if len(lines) > LINES_MAX.get(name, FILE_LINES_MAX):
                found[name], places[name] = len(lines), 1
            functions = ()
            if path.suffix in C_SUFFIXES:
                functions = check_text.c_functions(lines)
            elif check_text.is_python(name, text):
                functions = check_text.python_functions(text)
            for function, start, count in functions:
                if count > FUNCTION_LINES_MAX:
                    found[f"{name}:{function}"], places[f"{name}:{function}"] = count, start
        return found, places

    def measured_files(self):
        """Sources, scripts with and without a suffix, files of CMake, README.md."""
        for name, path in self.files(TEXT_FOLDERS, TEXT_SUFFIXES):
            if path.suffix in C_SUFFIXES + (".py", ".sh", ".cmake") or path.name == "CMakeLists.txt":
                yield name, path
            elif path.suffix == "" and path.read_bytes().startswith(b"#!"):
                yield name, path
        for name in ("README.md", "CMakeLists.txt"):
            if (self.root / name).is_file():
                yield name, self.root / name

    def check_length(self, old):
        found, places = self.lengths()
        for key, count in found.items():
            name = key.split(":")[0]
            limit = FUNCTION_LINES_MAX if ":" in key else LINES_MAX.get(name, FILE_LINES_MAX)
            if count > old.get(key, limit):
                self.report(name, places[key],
                            f"{key.split(':')[-1]} has {count} lines, at most {old.get(key, limit)}")
        return {key: min(count, found[key]) for key, count in old.items() if key in found}

    def check_comments(self, old):
        found = {}
        for name, lines in self.c_files():
            places = list(check_text.broken_statements(lines))
            if places:
                found[name] = len(places)
            if len(places) > old.get(name, 0):
                for number in places:
                    self.report(name, number, "a comment breaks this statement: put it above")
        return {name: min(count, found[name]) for name, count in old.items() if name in found}

    def check_ratcheted(self, build, write):
        """The rules that older code may break as far as it does. `build`: None without objects."""
        path = self.root / "scripts/check_ratchet.json"
        old = {"lines": {}, "comments": {}, "circles": []}
        if path.exists():
            old.update(json.loads(path.read_text(encoding="utf-8")))
        now = {
            "lines": self.check_length(old["lines"]),
            "comments": self.check_comments(old["comments"]),
            "circles": old["circles"],
        }
        found = check_objects.check(self.root, build, old["circles"], self.report, self.notes.append)
        if found is not None:  # What is new is refused, not written.
            now["circles"] = [circle for circle in found
                              if any(set(circle) <= set(known) for known in old["circles"])]
        if now != old and write:
            path.write_text(json.dumps(now, indent=4, sort_keys=True) + "\n", encoding="utf-8")
        elif now != old:
            self.report("scripts/check_ratchet.json", 1,
                        "something has shrunk: scripts/check.py --ratchet, so that it stays so")

    # ---- commits -------------------------------------------------------------------------------
    def git(self, *arguments):
        return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True)

    def check_commits(self):
        """Returns: why nothing could be looked at; None: all were."""
        if not shutil.which("git") or not (self.root / ".git").exists():
            return "this is no git repository"
        if self.git("merge-base", "--is-ancestor", COMMITS_AFTER, "HEAD").returncode != 0:
            return f"the history does not reach back to {COMMITS_AFTER[:9]}"
        log = self.git("log", "--no-merges", "--format=%h%n%B%x00", f"{COMMITS_AFTER}..HEAD")
        for text in log.stdout.split("\0"):
            number, _, message = text.strip("\n").partition("\n")
            lines = message.split("\n")
            if len(lines[0]) > COMMIT_TITLE_MAX:
                self.report(number, 1, f"a title of {len(lines[0])} characters, at most "
                                       f"{COMMIT_TITLE_MAX}: {lines[0]}")
            if len(lines) > 1 and lines[1]:
                self.report(number, 2, f"the line after the title is not blank: {lines[1]}")
        return None

    # ---- format, words, licence ----------------------------------------------------------------
    def check_format(self):
        program = shutil.which(f"clang-format-{CLANG_FORMAT_MAJOR}") or shutil.which("clang-format")
        version = ""
        if program:
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        if not re.search(rf"version {CLANG_FORMAT_MAJOR}\.", version):
            self.notes.append(f"format: not checked, no clang-format {CLANG_FORMAT_MAJOR}")
            return
        names = [name for name, _ in self.files(C_FOLDERS, C_SUFFIXES)]
        if not names or not (self.root / ".clang-format").exists():
            return
        output = subprocess.run(
            [program, "--dry-run", "--style=file", *names],
            cwd=self.root, capture_output=True, text=True,
        ).stderr
        seen = set()
        for match in re.finditer(r"^([^\s:]+):(\d+):\d+: (?:warning|error): (.*)$", output, re.M):
            if match[1] not in seen:  # The first of each file says enough.
                seen.add(match[1])
                self.report(match[1], match[2], f"clang-format -i {match[1]}")

    def check_words(self):
        for name, path in self.files(TEXT_FOLDERS, TEXT_SUFFIXES):
            if name == "scripts/check.py":
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(r"\b(FIXME|XXX)\b", line):
                    self.report(name, number, "say it as TODO(#issue)")
                elif re.search(r"\bTODO\b(?!\(#\d+\))", line):
                    self.report(name, number, "a TODO carries the number of its issue: TODO(#12)")

    def check_licence(self):
        for name, lines in self.c_files():
            if not lines or lines[0] != "/* SPDX-License-Identifier: MIT */":
                self.report(name, 1, "/* SPDX-License-Identifier: MIT */ opens every file")

    def check_map(self):
        names = [path for path in (self.root / "README.md", *sorted(self.root.glob("docs/*.md")))
                 if path.exists()]
        linked = set()
        for path in names:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", line):
                    place = (path.parent / target).resolve()
                    if path.name == "map.md":
                        linked.add(place)
                    if not place.exists():
                        self.report(path.relative_to(self.root), number, f"there is no {target}")
        self.check_map_is_whole(linked)

    def check_map_is_whole(self, linked):
        path = self.root / "docs/map.md"
        if not path.exists():
            return
        for folder in MAPPED:
            for place in sorted((self.root / folder).glob("[a-z]*/")):
                if place.is_dir() and place.resolve() not in linked:
                    self.report("docs/map.md", 1, f"has no link to {folder}/{place.name}")
        text = path.read_text(encoding="utf-8")
        for header in sorted((self.root / "include/cmdstream").glob("*.h")):
            if f"`{header.stem}`" not in text:
                self.report("docs/map.md", 1, f"does not name {header.name}")

    def check_generated(self):
        for script, name in GENERATED.items():
            if (self.root / script).exists():
                result = subprocess.run([sys.executable, "-B", script, "--check"], cwd=self.root,
                                        capture_output=True, text=True)
                if result.returncode != 0:
                    self.report(name, 1, f"not what {script} writes: run it")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--library", type=pathlib.Path, help="the shared library, to see its names")
    parser.add_argument("--build", type=pathlib.Path, help="a build's folder, to see its objects")
    parser.add_argument("--ratchet", action="store_true", help="write what has shrunk")
    parser.add_argument("--commits", action="store_true", help="look at commits, and nothing else")
    arguments = parser.parse_args()

    checker = Checker(arguments.root.resolve())
    skipped = None
    if arguments.commits:
        skipped = checker.check_commits()
        if skipped:
            print(f"***** commits: NOT checked, {skipped} *****")
    else:
        checker.check_tree(arguments)
    for line in checker.notes + checker.problems:
        print(line)
    print(f"check: {len(checker.problems)} problems")
    return 77 if skipped else 1 if checker.problems else 0


if __name__ == "__main__":
    sys.exit(main())
