# SPDX-License-Identifier: MIT
"""What the scripts of perf/ share: where the programs are, running them, and telling how far to trust a figure."""
import argparse
import concurrent.futures
import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments(description, quick, usual, pairs=None):
    """--build, --duration, --pairs, --quick; `quick` and `usual` are (seconds, pairs)."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release",
                        help="folder with the programs (default: build/release)")
    parser.add_argument("--duration", type=seconds_of, default=None, metavar="S",
                        help=f"seconds of each measurement (default {usual[0]})")
    if usual[1] is not None:
        parser.add_argument("--pairs", type=count_of, default=None, metavar="N",
                            help=f"how many alternating pairs (default {usual[1]})")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test: shorter and fewer; the figures mean little")
    parser.set_defaults(quick_values=quick, usual_values=usual)
    return parser


def seconds_of(text):
    """For argparse: a time that can be measured."""
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return value


def count_of(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def program(main):
    """Ends the program with main()'s status, kindly: ^C without a traceback, and 1 if stdout did not take all."""
    try:
        try:
            status = main()
        except SystemExit as end:
            status = end.code
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted; what was not printed was not measured")
        status = 130
    except OSError as error:
        from_a_peer = isinstance(error, (TimeoutError, ConnectionError)) and not isinstance(error, BrokenPipeError)
        if error.filename is not None or from_a_peer:
            raise
        if not isinstance(error, BrokenPipeError):  # A reader that has gone needs no sentence.
            say(f"stdout does not take what is printed: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Or the interpreter tries once more.
        status = 1
    sys.exit(status)


def parse(parser):
    options = parser.parse_args()
    seconds, pairs = options.quick_values if options.quick else options.usual_values
    if options.duration is None:
        options.duration = seconds
    if pairs is not None and options.pairs is None:
        options.pairs = pairs
    options.tool = options.build / "cmdstream"
    options.ceiling, options.ceiling_epoll = options.build / "perf/ceiling", options.build / "perf/ceiling-epoll"
    for program in (options.tool, options.ceiling, options.ceiling_epoll):
        if not program.exists():
            sys.exit(f"{program} is missing: cmake --preset release && cmake --build --preset release")
    raise_nofile()
    return options


def raise_nofile():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpus():
    return sorted(os.sched_getaffinity(0))


def halves():
    """(the server's, the client's) CPUs; where there is only one, they share it."""
    all_cpus = cpus()
    half = len(all_cpus) // 2
    return (all_cpus[:half], all_cpus[half:]) if half else (all_cpus, all_cpus)


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- Processes -----------------------------------------------------------------------------------
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
WRONG_ANSWER = "an answer was not the one to its command"  # As cmdstream bench and the peers in perf/go say it.


def child(command, bind=None, **how):
    """A process that dies with us, however we die. `bind`: the CPUs it may use."""
    parent = os.getpid()

    def begin():
        LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != parent:  # We died before that.
            os._exit(1)
        if bind:
            os.sched_setaffinity(0, bind)
    return subprocess.Popen([str(word) for word in command], text=True, preexec_fn=begin, **how)


def finish(command, bind=None, seconds=300, **how):
    """Runs a program to its end: (status, output, errors). One that takes longer is killed, and so are we."""
    process = child(command, bind, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        sys.exit(f"{words_of(command)}: it was not over after {seconds} s")
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()
    return process.returncode, output, errors


def words_of(command):
    return " ".join(map(str, command))


def status_text(status):
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def run(command, bind=None, seconds=300, may_err=False):
    """One measurement: the JSON object that the program prints. `may_err`: commands may be late or lost, but a wrong
    answer ends it all the same."""
    status, output, problem = finish(command, bind, seconds)
    try:
        result = json.loads(output)
    except ValueError:
        sys.exit(f"{words_of(command)}: {status_text(status)}\n{output}{problem}")
    errors, first = result["errors"], result.get("first_error")
    if errors and not (may_err and first != WRONG_ANSWER and not result.get("wrong")):
        sys.exit(f"{words_of(command)}: {errors} errors, the first: {first or 'unknown'}\n{problem}")
    if status not in ((0, 1) if errors else (0,)):
        sys.exit(f"{words_of(command)}: {status_text(status)}, after it had printed its figures\n{problem}")
    return result


def bench(options, *words, bind=None):
    return run([options.tool, "bench", "--json", "--warmup", 0.3, "--duration", options.duration,
                *words], bind)


def ceiling(options, *words, program=None, seconds=None):
    """The ceiling by io_uring, or by `program`, on the CPUs that `bench` gives the first shard of each side."""
    server_cpus, client_cpus = halves()
    return run([program or options.ceiling, "--json", "--warmup", 0.3 if seconds is None else 0.1, "--duration",
                seconds or options.duration, "--server-cpu", server_cpus[0], "--client-cpu", client_cpus[0], *words])


@contextlib.contextmanager
def running(command, bind=None, **how):
    """A process for as long as the block lasts: then it is asked to end, and made to after a failure."""
    process = child(command, bind, **how)
    try:
        yield process
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    finally:
        process.kill()  # Does nothing to one that has ended.
        process.wait()
        if process.stdout:
            process.stdout.close()


def first_line(pipe, seconds):
    """What a program says first; what there is of it when the time is over or the program has ended."""
    line, until = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], max(0, until - time.monotonic()))
        byte = os.read(pipe.fileno(), 1) if readable else b""
        if not byte:
            break
        line += byte
    return line.decode(errors="replace")


@contextlib.contextmanager
def server(command, bind=None, seconds=20):
    """A server that prints `listening on ADDRESS` within so many seconds. Gives (process, address)."""
    def fail(what):
        errors.seek(0)
        status = process.poll()
        ended = "" if status is None else f" ({status_text(status)})"
        sys.exit(f"{words_of(command)}: {what}{ended}\n{errors.read()}")

    with tempfile.TemporaryFile("w+") as errors, \
            running(command, bind, stdout=subprocess.PIPE, stderr=errors) as process:
        line = first_line(process.stdout, seconds)
        if not line.startswith("listening on "):
            fail("it did not say where it listens")
        yield process, line.split()[2]
        if process.poll() is not None:
            fail("it ended while it was measured")


@contextlib.contextmanager
def busy_thread():
    """A foreign thread that wants a whole core, wherever the scheduler puts it."""
    with running([sys.executable, "-c", "while True: pass"]):
        yield


def version_of(command, pattern, default="unknown", **how):
    with contextlib.suppress(OSError):
        match = re.search(pattern, finish(command, **how)[1])
        return match[1] if match else default
    return default


LONGER = "take a longer --duration"


def some(value, what, seconds):
    """A figure, or the end if there is none: nothing was measured where nothing was answered."""
    if not value:
        sys.exit(f"{what}: nothing was answered within {seconds:g} s: {LONGER}")
    return value


# ---- Figures -------------------------------------------------------------------------------------
def stolen():
    """(jiffies that the hypervisor or a neighbour took, all jiffies) of this machine so far."""
    with open("/proc/stat", encoding="ascii") as file:
        numbers = [int(word) for word in file.readline().split()[1:]]
    return (numbers[7] if len(numbers) > 7 else 0), sum(numbers[:8])


GAP_NS = 200_000  # A loop that only looks at the clock is kept from its CPU when it misses so much.
PAUSE_NS = 20_000  # And this much is more than any look takes.


def pauses(cpu, seconds):
    """The nanoseconds that such a loop missed, one number for each time."""
    os.sched_setaffinity(0, {cpu})
    found = []
    begin = last = time.monotonic_ns()
    while last - begin < seconds * 10**9:
        now = time.monotonic_ns()
        if now - last > PAUSE_NS:
            found.append(now - last)
        last = now
    return found


def pauses_everywhere(seconds):
    """Of each CPU, all at once: [[nanoseconds]]"""
    with concurrent.futures.ProcessPoolExecutor(len(cpus())) as pool:
        return list(pool.map(pauses, cpus(), [seconds] * len(cpus())))


def floor_us(found, seconds, share=0.001):
    """What that share of the commands would wait on such CPUs, one of each side, if nothing took any time but the
    pauses, and commands came evenly: no percentile of any program can be better. `found`: [[nanoseconds]]."""
    gaps = sorted(gap for one in found for gap in one)

    def late(wait):
        return sum(gap - wait for gap in gaps if gap > wait) / (seconds * 10**9)
    low, high = 0, max(gaps, default=0)
    while high - low > 100:
        middle = (low + high) / 2
        low, high = (middle, high) if late(middle) > share else (low, middle)
    return high / 1000


class Noise:
    """What else happens where we measure, for the line below the table."""

    def __init__(self):
        self.begin = stolen()
        self.load = os.getloadavg()[0]
        found = [[gap for gap in one if gap > GAP_NS] for one in pauses_everywhere(1)]
        self.missed = sum(map(sum, found)) / 10**7 / len(found)  # Percent of a second.
        self.longest = max((max(one) for one in found if one), default=0) / 10**6

    def text(self):
        end = stolen()
        percent = 100 * (end[0] - self.begin[0]) / max(1, end[1] - self.begin[1])
        return (f"Load before the run {self.load:.1f}; CPU stolen by the hypervisor while it ran "
                f"{percent:.0f} %; before it, a busy loop on each CPU at once was kept from running for "
                f"{self.missed:.1f} % of a second, up to {self.longest:.1f} ms at a time. "
                "Only ratios within one run mean something.")


def machine():
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return (f"{len(cpus())} CPUs of {model}, Linux {platform.release()}, "
            f"{datetime.date.today().isoformat()}")


def commit():
    git = ["git", "--no-optional-locks", "-C", ROOT]
    found = version_of([*git, "rev-parse", "--short", "HEAD"], r"(\w+)")
    changes = version_of([*git, "status", "--porcelain", ":!perf/results", ":!README.md"], r"(.)")
    return found + (" with changes" if changes != "unknown" else "")


def results_folder(options):
    """Where files go: what a smoke test or a part finds does not replace the results of a whole run."""
    part = options.quick or getattr(options, "only", None)
    folder = (options.output or (options.build / "perf/results" if part else ROOT / "perf/results")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_summary(path, rows, runs, **about):
    """What the README's table is made of. `rows`: {title: {"ours", "beside", "theirs", "ratio", "low", "high"}}, where
    ratios are of runs in turn, and the first three are text. A whole run's figures go into the README."""
    summary = {"machine": machine(), "commit": commit(), "runs": runs, **about, "rows": rows}
    path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if path.parent == ROOT / "perf/results":
        status, _, problem = finish([ROOT / "perf/figures"])
        say("README.md has the new figures" if status == 0 else f"README.md is as it was: {problem.strip()}")


def median(values):
    return statistics.median(values)


def spread(values, form="{:.2f}"):
    return f"{form.format(min(values))}–{form.format(max(values))}"


def figures_spread(values):
    return f"{figure(min(values))}–{figure(max(values))}"


def verdict(held, ratios):
    """Behind the bar. Pairs that differ by half among themselves were disturbed: neither word can be trusted."""
    noisy = len(ratios) > 1 and max(ratios) > 1.5 * min(ratios)
    words = ([] if held else ["missed"]) + (["disturbed: run it again"] if noisy else [])
    return f" ({', '.join(words)})" if words else ""


def figure(value):
    """Few digits: more would be a lie."""
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.0f} k"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def table_text(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---" for _ in header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def table(header, rows):
    print(table_text(header, rows), end="")
