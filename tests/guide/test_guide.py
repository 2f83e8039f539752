# SPDX-License-Identifier: MIT
"""tests/guide/test_guide.py BUILD: what docs/guide.md shows is what works.

Each block of code names its file (```c server.c) and is added to it, so a chapter can build a program in
pieces; every file with a main is compiled, and warnings are errors (but for functions of a header that it
does not use). Each block of console is a session: the commands behind `$` run one after the other, in the
folder of the programs, and say what stands below them, line by line. One that ends in ` &` goes on, and has
said its lines before the next one starts; at the end of its session it gets SIGTERM, and has to end with 0.
`fg` waits for the last of them to end by itself. `...` stands for any number of lines, `…` within a line for
any text.

All of it happens in a network namespace of its own, so addresses may be those of the text.
"""
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/guide.md"
LIMIT_S = 60
LANGUAGES = {"c", "cpp"}
OTHERS = {"ini", "yaml", "json", "text", "sh"}  # Shown, and not run.
LIBRARIES = {"tls": "cmdstream_tls", "admin": "cmdstream_admin", "otel": "cmdstream_otel",
             "tool": "cmdstream_tool", "codec_json": "cmdstream_codec_json"}


class Wrong(Exception):
    pass


def blocks(text):
    """(line, language, file, lines) of each block."""
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None and line.startswith("```"):
            words = line[3:].split()
            inside = (number, words[0] if words else "", words[1] if len(words) > 1 else None, [])
        elif inside is not None and line == "```":
            yield inside
            inside = None
        elif inside is not None:
            inside[3].append(line)


def split(text):
    """The files, and the sessions as (line, [(command, expected lines)])."""
    files, sessions = {}, []
    for number, language, name, lines in blocks(text):
        if language in LANGUAGES:
            if name is None:
                raise Wrong(f"line {number}: a block of code names its file: ```{language} NAME")
            files.setdefault(name, []).extend(lines)
        elif language == "console":
            commands = []
            for line in lines:
                if line.startswith("$ "):
                    commands.append((line[2:], []))
                elif commands:
                    commands[-1][1].append(line)
                else:
                    raise Wrong(f"line {number}: a session begins with a command")
            sessions.append((number, commands))
        elif language not in OTHERS:
            raise Wrong(f"line {number}: what is a block of \"{language}\"?")
    return files, sessions


def cached(build, name):
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split("=", 1)[1]
    raise Wrong(f"no {name} in CMakeCache.txt")


def simulation(build):
    """What a program in a simulated world is linked with, in place of the library; None: there is none."""
    library = build / "src/sim/libcmdstream_sim.a"
    if not library.exists():
        return None
    names = re.search(r"set\(CMDSTREAM_SIM_WRAPPED(.*?)\)", (ROOT / "src/sim/CMakeLists.txt").read_text(), re.S)
    wrapped = re.findall(r"[A-Za-z_]+", names[1])
    return [str(library), *(f"-Wl,--wrap={name}" for name in wrapped), "-luring", "-lmsgpackc"]


def compile_program(build, work, name, text):
    is_cpp = name.endswith(".cpp")
    compiler = cached(build, "CMAKE_CXX_COMPILER" if is_cpp else "CMAKE_C_COMPILER")
    needed = ["cmdstream"] + [library for header, library in LIBRARIES.items()
                              if f"<cmdstream/{header}.h>" in text]
    command = [compiler, "-std=c++17" if is_cpp else "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra",
               "-Werror", "-Wno-unused-function", f"-I{ROOT / 'include'}", name, "-o", name.rsplit(".", 1)[0], "-pthread"]
    if "<cmdstream/sim.h>" in text:
        world = simulation(build)
        if world is None:
            return f"{name}: this build has no simulation"
        command += world
        needed = []
    for library in needed:
        found = next((place / f"lib{library}.so" for place in (build, *build.glob("src/*"), build / "codecs")
                      if (place / f"lib{library}.so").exists()), None)
        if found is None:
            return f"{name}: this build has no lib{library}.so"
        command += [f"-L{found.parent}", f"-Wl,-rpath,{found.parent}", f"-l{library}"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"{name} does not compile:\n{done.stderr}")
    return None


def matches(expected, said):
    """Do the lines say what was expected?"""
    if not expected:
        return not said
    if expected[0] == "...":
        return any(matches(expected[1:], said[i:]) for i in range(len(said) + 1))
    pattern = ".*".join(re.escape(part) for part in expected[0].split("…"))
    return bool(said) and re.fullmatch(pattern, said[0]) is not None and matches(expected[1:], said[1:])


class Background:
    """A command that goes on; its lines are read as they come."""

    def __init__(self, command, work):
        self.command = command
        self.lines = []
        self.read_count = 0
        self.changed = threading.Condition()
        self.process = subprocess.Popen(shlex.split(command), cwd=work, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def wait_for(self, expected):
        self.read_count = len(expected)
        with self.changed:
            if not self.changed.wait_for(lambda: matches(expected + ["..."], self.lines), LIMIT_S):
                raise Wrong(f"$ {self.command} &\nexpected:\n{expected}\nsaid:\n{self.lines}")

    def end_by_itself(self, expected):
        """As `fg` of a shell: its command, and what it has still to say."""
        status = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        said = [self.command] + self.lines[self.read_count:]
        if status != 0 or not matches(expected, said):
            raise Wrong(f"$ fg\nexpected:\n{expected}\nended with {status}, said:\n{said}")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        if status != 0:
            raise Wrong(f"$ {self.command} & ended with {status}: {self.lines}")


def run_session(number, commands, work):
    running = []
    try:
        for command, expected in commands:
            if command.endswith(" &"):
                running.append(Background(command[:-2], work))
                running[-1].wait_for(expected)
                continue
            if command == "fg":
                running.pop().end_by_itself(expected)
                continue
            done = subprocess.run(["bash", "-c", command], cwd=work, text=True, timeout=LIMIT_S,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if not matches(expected, done.stdout.splitlines()):
                raise Wrong(f"line {number}: $ {command}\nexpected:\n{expected}\nsaid:\n{done.stdout}")
        for background in running:
            background.end()
        running.clear()
    finally:
        for background in running:
            background.process.kill()
            background.process.wait()


def in_own_network(build):
    """Runs this program again where the loopback is nobody else's. Returns its status."""
    probe = ["unshare", "--map-root-user", "--net"]
    if os.geteuid() == 0:
        probe = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*probe, "true"], capture_output=True).returncode:
        print("***** SKIPPED: no network namespace can be made here *****")
        return 77
    return subprocess.run([*probe, sys.executable, "-B", __file__, build, "inside"]).returncode


def loopback_up():
    """As `ip link set lo up`, which need not be installed."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2:] != ["inside"]:
        return in_own_network(build)
    loopback_up()
    os.environ["PATH"] = f"{build}:{os.environ['PATH']}"  # For `cmdstream`.
    files, sessions = split(GUIDE.read_text())
    skipped = []
    if not (build / "cmdstream").exists():
        print("***** SKIPPED: this build has no program cmdstream *****")
        sessions = [session for session in sessions
                    if not any(command.startswith("cmdstream ") for command, _ in session[1])]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for name, lines in files.items():
            (work / name).write_text("\n".join(lines) + "\n")
        for name, lines in files.items():
            if any(re.match(r"int main\(", line) for line in lines):
                lack = compile_program(build, work, name, "\n".join(lines))
                if lack is not None:
                    skipped.append(name.rsplit(".", 1)[0])
                    print(f"***** SKIPPED: {lack} *****")
        for number, commands in sessions:
            if any(f"./{name} " in command + " " for command, _ in commands for name in skipped):
                continue
            run_session(number, commands, work)
            print(f"ok: the session of line {number}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        print(f"docs/guide.md: {wrong}", file=sys.stderr)
        sys.exit(1)
