# SPDX-License-Identifier: MIT
"""A tool for a protocol of one's own: every kind of field from a shell and back, under every codec; streams,
one-way commands, lines; what is wrong is told with its field; a protocol from a shared object; words that bash
completes."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fault"))
import peer  # noqa: E402
import program  # noqa: E402

BUILD = pathlib.Path(os.environ["KINDS"])
TOOL = BUILD / "kinds_tool"
SHORT = ("--conns", 1, "--in-flight", 4, "--threads", 1, "--warmup", 0, "--json")


def run(*words, command=(TOOL,), text=None):
    """Returns: the ended process, with stdout and stderr as text."""
    return subprocess.run([*map(str, command), *map(str, words)], input=text, capture_output=True, text=True,
                          timeout=peer.PATIENCE_S, check=False)


def described(*words, **how):
    return json.loads(run("describe", "--json", *words, **how).stdout)


def commands():
    return [kind for kind in described()["types"] if kind["role"] == "command"]


def codecs():
    """Those of the build, by the help."""
    line = next(line for line in run("call", "--help").stdout.splitlines() if "--codec NAME" in line)
    return line.split("NAME")[1].split("(")[0].strip().split(", ")


def bench(*words, **how):
    """Of a moment; of a longer one where the machine does not get to it. Returns: the report, and the process."""
    for seconds in (0.02, 0.5, 5):
        done = run("bench", *SHORT, "--duration", seconds, *words, **how)
        report = json.loads(done.stdout) if done.returncode == 0 else {}
        if report.get("commands") != 0:
            break
    return report, done


def server(codec="msgpack"):
    return peer.Server(command=[str(BUILD / "kinds_server"), "127.0.0.1:0", codec])


class Kinds(unittest.TestCase):
    def good(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_there_are_twenty_types_and_every_kind_in_every_shape(self):
        found = set()

        def walk(fields):
            for field in fields:
                found.add((field["kind"], field["shape"]))
                walk(field.get("fields", ()))
        types = commands()
        for kind in types:
            walk(kind["fields"])
        self.assertGreaterEqual(len(types), 20)
        scalars = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double",
                   "string", "bytes", "map of strings", "text", "struct", "reserved")
        self.assertEqual({kind for kind, shape in found if shape == "one"}, set(scalars))
        self.assertLessEqual({"bool", "int8", "int64", "uint8", "uint32", "float", "double", "string", "bytes", "struct"},
                             {kind for kind, shape in found if shape == "array"})
        self.assertLessEqual({"bool", "int16", "uint64", "double", "string", "bytes", "struct"},
                             {kind for kind, shape in found if shape == "optional"})

    def test_each_type_comes_back_under_each_codec(self):
        for codec in codecs():
            with server(codec) as there:
                for kind in commands():
                    if kind["name"] in ("one_way", "count", "feed"):
                        continue
                    done = run("call", "--codec", codec, there.address, kind["name"], json.dumps(kind["example"]))
                    self.assertEqual(self.good(done), [{"type": kind["name"], **kind["example"]}], (codec, kind["name"]))
                for name in ("kinds_arrays", "optionals"):  # By the struct's tag; and nothing in it.
                    self.assertEqual(len(self.good(run("call", "--codec", codec, there.address, name))), 1)

    def test_each_type_is_measured_under_each_codec(self):
        for codec in codecs():
            with server(codec) as there:
                for kind in commands():
                    value = ("--value", '{"count":3}') if kind["name"] == "feed" else ()
                    report, done = bench("--codec", codec, "--connect", there.address, "--command", kind["name"], *value)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual((report["errors"], report["parameters"]["command"]), (0, kind["name"]))
                    self.assertGreater(report["commands"], 0, (codec, kind["name"]))

    def test_a_stream_ends_where_it_is_told_to(self):
        with server() as there:
            self.assertEqual([tick["index"] for tick in self.good(run("call", there.address, "feed", '{"count":3}'))],
                             [0, 1, 2])
            failed = run("call", there.address, "feed", '{"count":-2}')
            self.assertEqual((failed.returncode, json.loads(failed.stdout)),
                             (1, {"type": "error", "code": -2, "text": "no such feed"}))
            self.assertIn("the server has answered that the command failed", failed.stderr)
            ticks = self.good(run("call", "--count", 5, there.address, "feed", '{"count":-1}'))
            self.assertEqual([tick["index"] for tick in ticks], [0, 1, 2, 3, 4])
            done = run("call", "--timeout-ms", 50, there.address, "feed", '{"count":-1}')
            self.assertGreater(len(self.good(done)), 0)

    def test_a_one_way_command_prints_nothing_and_arrives(self):
        with server() as there:
            self.assertEqual(self.good(run("call", "--repeat", 3, there.address, "one_way", '{"text":"x"}')), [])
            text = "".join('{"text":"%d"}\n' % i for i in range(97))
            self.assertEqual(self.good(run("call", there.address, "one_way", "-", text=text)), [])
            peer.until(lambda: self.good(run("call", there.address, "count")) == [{"type": "counted", "one_way": 100}])

    def test_lines_are_commands(self):
        text = "".join('{"number":%d}\n\n' % i for i in range(100))
        with server() as there:
            results = self.good(run("call", there.address, "idempotent", "-", text=text))
            self.assertEqual([result["number"] for result in results], list(range(100)))
            results = self.good(run("call", "--in-flight", 16, there.address, "idempotent", "-", text=text))
            self.assertEqual(sorted((result["line"], result["number"]) for result in results),
                             [(2 * i + 1, i) for i in range(100)])
            done = run("call", there.address, "idempotent", "-", text='{"number":1}\n{"number":"x"}\n{"nmber":2}\n{"number":3}')
        self.assertEqual(done.returncode, 1)
        self.assertEqual([json.loads(line)["number"] for line in done.stdout.splitlines()], [1, 3])
        self.assertEqual(done.stderr.splitlines(), [
            "kinds_tool call: line 2: idempotent.number takes an integer, not a string, at column 11",
            'kinds_tool call: line 3: idempotent has no field "nmber"; did you mean "number"?, at column 2',
            "kinds_tool call: 2 of 4 commands failed"])

    def test_what_is_wrong_is_told_with_its_name(self):
        for words, expected in (
                (("call", "127.0.0.1:1", "array_structs", '{"lines":[{},{"to":{"y":"x"}}]}'),
                 "array_structs.lines[1].to.y takes an integer, not a string, at column 25"),
                (("call", "127.0.0.1:1", "limits", '{"text":"abcd"}'), "limits.text takes at most 3 bytes, not 4"),
                (("call", "127.0.0.1:1", "limits", '{"map":{"a":"","b":""}}'), "limits.map takes at most 1 pairs, not 2"),
                (("call", "127.0.0.1:1", "text", '{"key":[1,2]}'), "text.key takes exactly 6 bytes, not 2"),
                (("call", "127.0.0.1:1", "bool", '{"on":true,"on":true}'), "bool.on is there twice"),
                (("call", "127.0.0.1:1", "bool", "[" * 100000), "bool takes an object, not an array"),
                (("call", "127.0.0.1:1", "nested", '{"line":' * 10000), 'nested.line has no field "line"'),
                (("call", "127.0.0.1:1", "sigend"), 'no command "sigend"; did you mean signed'),
                (("describe", "kinds_bol"), 'no type "kinds_bol"; did you mean bool'),
                (("bench", "--command", "bool"), "which server? --connect ADDRESS"),
                (("bench", "--connect", "a", "--command", "bool", "--value", '{"on":1}'), "bool.on takes true or false"),
                (("call", "--coedc", "x", "a", "b"), "did you mean --codec"),
                (("cal",), 'no command "cal"; did you mean call')):
            done = run(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(expected, done.stderr)
            self.assertTrue(done.stderr.startswith("kinds_tool"), done.stderr)

    def test_hostile_lines_end_in_sentences(self):
        random.seed(14)
        examples = [json.dumps(kind["example"]) for kind in commands()]
        lines = []
        for _ in range(3000):
            line = list(random.choice(examples))
            for _ in range(random.randrange(1, 4)):
                line[random.randrange(len(line))] = random.choice('{}[]",:\\0-.e9tfnul\x01\x7f\x9b')
            lines.append("".join(line))
        lines += ["[" * 1000000, '{"' + "a" * 1000000, '{"line":{"name":"' + "x" * 5000000 + '"']
        with server() as there:
            done = run("call", "--in-flight", 64, there.address, "nested", "-", text="\n".join(lines))
            self.assertTrue(there.is_alive())
        self.assertEqual(done.returncode, 1)
        told = done.stderr.splitlines()
        self.assertTrue(all(line.startswith("kinds_tool call: ") for line in told))
        self.assertEqual(len(told) - 1 + len(done.stdout.splitlines()), len(lines))
        self.assertFalse([letter for letter in done.stderr if ord(letter) < 32 and letter != "\n"])

    def test_a_program_says_who_it_is(self):
        self.assertTrue(run("--version").stdout.startswith("kinds_tool: protocol kinds, cmdstream "))
        self.assertIn("kinds_tool call [OPTIONS] ADDRESS TYPE [JSON]", run("help", "call").stdout)
        text = run("describe").stdout
        for words in ("protocol kinds: 21 commands, 21 results", "command one_way (kinds_one_way), number 18, one way",
                      "number 17, idempotent", 'the last if "last" is set', "at most 15 bytes", "exactly 6 bytes",
                      "array of kinds_line", "optional kinds_point", "map of strings"):
            self.assertIn(words, text)


class Exported(unittest.TestCase):
    """`cmdstream --protocol FILE.so`"""

    def cmdstream(self, path, *words):
        return run("--protocol", path, *words, command=(peer.tool(),))

    def test_a_shared_object_is_as_good_as_a_program(self):
        good = BUILD / "kinds_good.so"
        self.assertEqual(json.loads(self.cmdstream(good, "describe", "--json").stdout), described())
        with server() as there:
            done = self.cmdstream(good, "call", there.address, "bool", '{"on":true}')
            self.assertEqual((done.returncode, done.stdout), (0, '{"type":"bool","on":true}\n'), done.stderr)
            report, _ = bench("--connect", there.address, "--command", "map",
                              command=(peer.tool(), "--protocol", good))
            self.assertEqual(report["errors"], 0)

    def test_what_cannot_be_loaded_is_refused_and_told(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(BUILD / "kinds_good.so", folder)
            text = pathlib.Path(folder) / "text.so"
            text.write_text("no object")
            for path, expected in ((BUILD / "absent.so", "No such file"), (folder, "it is no file"), (text, "text.so"),
                                   ("kinds_good.so", "write ./FILE.so"),
                                   (BUILD / "kinds_none.so", "CMDS_EXPORT_PROTOCOL"),
                                   (BUILD / "kinds_later.so", "exported in form 99"),
                                   (BUILD / "kinds_other.so", "headers of cmdstream 9.9.0")):
                done = subprocess.run([peer.tool(), "--protocol", str(path), "describe"], cwd=folder, text=True,
                                      capture_output=True, check=False, env={**os.environ, "LD_LIBRARY_PATH": folder})
                self.assertEqual((done.returncode, done.stdout), (2, ""), path)
                self.assertIn(expected, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


@unittest.skipUnless(shutil.which("bash"), "no bash")
class Completion(unittest.TestCase):
    def complete(self, tool, *words, name=None):
        """What bash would offer for the last of the words."""
        name = name or pathlib.Path(tool).name
        script = ('source <("$1" completion bash); function=$(complete -p "$2" | sed "s/.*-F \\([^ ]*\\) .*/\\1/"); '
                  'COMP_WORDS=("$1" "${@:3}"); COMP_CWORD=$(($# - 2)); "$function"; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "bash", str(tool), name, *map(str, words)], capture_output=True,
                              text=True, check=False, cwd=BUILD)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_the_tool_of_a_protocol(self):
        self.assertEqual(self.complete(TOOL, "d"), ["describe"])
        self.assertEqual(self.complete(TOOL, "call", "127.0.0.1:1", "optional"), ["optionals", "optional_texts"])
        self.assertEqual(self.complete(TOOL, "call", "--codec", "msgpack-"), ["msgpack-map"])
        self.assertEqual(self.complete(TOOL, "call", "--codec", "msgpack", "a", "arr"),
                         ["arrays", "array_texts", "array_structs"])
        self.assertEqual(self.complete(TOOL, "bench", "--command", "ma"), ["map"])
        self.assertEqual(self.complete(TOOL, "describe", "tic"), ["tick"])
        self.assertEqual(self.complete(TOOL, "call", "--tls-ca", "kinds_go"), ["kinds_good.so"])
        self.assertEqual(self.complete(TOOL, "call", "a", "bool", ""), [])
        self.assertEqual(self.complete(TOOL, "call", "--deadline-ms", ""), [])

    def test_every_sub_command_offers_the_options_of_its_help(self):
        for tool in (TOOL, peer.tool()):
            for sub in self.complete(tool, ""):
                if sub == "help" or sub.startswith("-"):
                    continue
                text = run(sub, "--help", command=(tool,)).stdout
                shown = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
                self.assertEqual(self.complete(tool, sub, "--"), shown, sub)

    def test_a_protocol_that_is_loaded(self):
        self.assertEqual(self.complete(peer.tool(), "--protocol", "./kinds_good.so", "call", "a", "boo"), ["bool"])
        self.assertEqual(self.complete(peer.tool(), "--protocol", "./kinds_go"), ["./kinds_good.so"])
        self.assertEqual(self.complete(peer.tool(), "call", "a", "ec"), ["echo"])


if __name__ == "__main__":
    peer.main()
