# SPDX-License-Identifier: MIT
"""What the scripts of perf/ share: where the programs are, running them, and telling how far to trust a figure."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import select
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments(description, quick, usual, pairs=None):
    """--build, --duration, --pairs, --quick; `quick` and `usual` are (seconds, pairs)."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release",
                        help="folder with the programs (default: build/release)")
    parser.add_argument("--duration", type=float, default=None,
                        help=f"seconds of each measurement (default {usual[0]})")
    if usual[1] is not None:
        parser.add_argument("--pairs", type=int, default=None,
                            help=f"how many alternating pairs (default {usual[1]})")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test: shorter and fewer; the figures mean little")
    parser.set_defaults(quick_values=quick, usual_values=usual)
    return parser


def parse(parser):
    options = parser.parse_args()
    seconds, pairs = options.quick_values if options.quick else options.usual_values
    options.duration = options.duration or seconds
    if pairs is not None:
        options.pairs = options.pairs or pairs
    options.tool = options.build / "cmdstream"
    options.limit = options.build / "perf/limit"
    for program in (options.tool, options.limit):
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


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, bind=None):
    """One measurement: the JSON object that the program prints. `bind`: the CPUs it may use."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                          preexec_fn=(lambda: os.sched_setaffinity(0, bind)) if bind else None)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    if result["errors"] != 0:
        sys.exit(f"{' '.join(command)}: {result['errors']} wrong answers")
    return result


def bench(options, *words, bind=None):
    return run([options.tool, "bench", "--json", "--warmup", 0.3, "--duration", options.duration,
                *words], bind)


def limit(options, *words):
    """The ceiling, on the CPUs that `bench` gives the first shard of each side."""
    all_cpus = cpus()
    return run([options.limit, "--json", "--warmup", 0.3, "--duration", options.duration,
                "--server-cpu", all_cpus[0], "--client-cpu", all_cpus[len(all_cpus) // 2], *words])


@contextlib.contextmanager
def server(command):
    """A server that prints `listening on ADDRESS`. Gives (process, address)."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        readable, _, _ = select.select([process.stdout], [], [], 20)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("listening on "):
            sys.exit(f"{command[0]}: it did not say where it listens")
        yield process, line.split()[2]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def busy_thread():
    """A foreign thread that wants a whole core, wherever the scheduler puts it."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def stolen():
    """(jiffies that the hypervisor or a neighbour took, all jiffies) of this machine so far."""
    with open("/proc/stat", encoding="ascii") as file:
        numbers = [int(word) for word in file.readline().split()[1:]]
    return (numbers[7] if len(numbers) > 7 else 0), sum(numbers[:8])


class Noise:
    """What else happened while we measured, for the line below the table."""

    def __init__(self):
        self.begin = stolen()
        self.load = os.getloadavg()[0]

    def text(self):
        end = stolen()
        percent = 100 * (end[0] - self.begin[0]) / max(1, end[1] - self.begin[1])
        return (f"Load before the run {self.load:.1f}; CPU stolen by the hypervisor while it ran "
                f"{percent:.0f} %. Only ratios within one run mean something.")


def machine():
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return (f"{len(cpus())} CPUs of {model}, Linux {platform.release()}, "
            f"{datetime.date.today().isoformat()}")


def median(values):
    return statistics.median(values)


def spread(values, form="{:.2f}"):
    return f"{form.format(min(values))}–{form.format(max(values))}"


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


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join("---" for _ in header) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
