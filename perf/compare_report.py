# SPDX-License-Identifier: MIT
"""What perf/compare found: the rows, the tables made of them, the goals, and the plots."""
import csv
import dataclasses
import functools
import operator
import shutil
import subprocess

import measure

STREAM_COUNT, STREAM_SIZE = 20_000, 64
CONNS = (1, 2, 4, 8, 16)
GO = "Go mus"  # Its fastest codec.
GO_SHARES, OUR_SHARES = (0.5, 0.8, 0.95), (0.25, 0.5, 0.8, 0.95)  # Of what Go reaches at best in the closed loop; of ours.
BURST_COMMANDS = 100_000

COLUMNS = ("measure", "peer", "conns", "in_flight", "rate", "load", "repetition", "commands_per_second",
           "results_per_second", "p50_us", "p90_us", "p99_us", "p999_us", "max_us", "client_cpu_us_per_command",
           "server_cpu_us_per_command", "errors", "unsent", "rss_mib", "idle_connection_bytes")
BURST_COLUMNS = ("peer", "clients", "repetition", "count", "ns", "qps", "mean", "med", "max", "min", "p99", "sleep_ms",
                 "b_per_op", "allocs_per_op")
# The Go benchmark's files: {name: (column of burst.csv, divided by, decimals)}. Its p99 is the 99.9th percentile.
FIXED = {"sec": ("ns", 1e9, 3), "cop": ("mean", 1e9, 3), "max": ("max", 1e9, 3), "med": ("med", 1e9, 3),
         "min": ("min", 1e9, 3), "p99": ("p99", 1e9, 3), "b": ("b_per_op", 1e3, 3), "allocs": ("allocs_per_op", 1, 3),
         "qps": ("qps", 1, 0)}
UNCHECKED = ("the ceiling", "Redis ECHO")


# ---- What was found ------------------------------------------------------------------------------
class Results:
    def __init__(self):
        self.rows = []  # {COLUMNS: value}
        self.bursts = []  # {BURST_COLUMNS: value}, and the peer's `column` in the files of FIXED.

    def add(self, result, **what):
        self.rows.append({**{column: result.get(column) for column in COLUMNS}, **what})

    def add_burst(self, result, **what):
        burst = {**result, **result["burst"]}
        self.bursts.append({**{column: burst.get(column) for column in BURST_COLUMNS}, **what,
                            "qps": round(burst["count"] / burst["ns"] * 1e9)})

    def select(self, **where):
        return [row for row in self.rows if all(row[key] == value for key, value in where.items())]

    def series(self, value, **where):
        """{repetition: value(row)} where there is a value."""
        found = {row["repetition"]: value(row) for row in self.select(**where)}
        return {repetition: one for repetition, one in found.items() if one is not None}

    def median(self, key, **where):
        return median_of(self.series(operator.itemgetter(key), **where))

    def names(self, **where):
        return list(dict.fromkeys(row["peer"] for row in self.select(**where)))

    def best(self, family, value, more, **where):
        """The series of a peer in its better setting."""
        settings = {(row["peer"], row["in_flight"]) for row in self.select(**where)
                    if row["peer"] == family or row["peer"].startswith(family + ",")}
        found = [self.series(value, **{**where, "peer": peer, "in_flight": in_flight}) for peer, in_flight in settings]
        found = [series for series in found if series]
        return (max if more else min)(found, key=median_of) if found else {}

    def burst_median(self, key, peer, clients, sleep_ms):
        return median_of(dict(enumerate(
            row[key] for row in self.bursts
            if (row["peer"], row["clients"], row["sleep_ms"]) == (peer, clients, sleep_ms) and row[key] is not None)))

    def burst_peers(self, sleep_ms):
        """{name: column}"""
        return {row["peer"]: row["column"] for row in self.bursts if row["sleep_ms"] == sleep_ms}

    def write(self, path):
        write_csv(path, COLUMNS, self.rows)

    def write_bursts(self, folder):
        write_csv(folder / "burst.csv", BURST_COLUMNS, self.bursts)
        for sleep_ms in {row["sleep_ms"] for row in self.bursts}:
            self.write_fixed(folder / ("fixed" if sleep_ms else "fixed-no-delay"), sleep_ms)

    def write_fixed(self, folder, sleep_ms):
        folder.mkdir(exist_ok=True)
        peers = self.burst_peers(sleep_ms)
        clients = sorted({row["clients"] for row in self.bursts if row["sleep_ms"] == sleep_ms})
        for name, (key, unit, decimals) in FIXED.items():
            rows = []
            for count in clients:
                values = [self.burst_median(key, peer, count, sleep_ms) for peer in peers]
                rows.append([count, *("" if value is None else f"{value / unit:.{decimals}f}" for value in values)])
            with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([["clients", *peers.values()], *rows])


def median_of(series):
    return measure.median(series.values()) if series else None


def write_csv(path, columns, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def both_cpu(row):
    """Of server and client, per command."""
    sides = (row["server_cpu_us_per_command"], row["client_cpu_us_per_command"])
    return None if None in sides else sum(sides)


# ---- Tables --------------------------------------------------------------------------------------
def cell(value, form=measure.figure):
    return "–" if value is None else form(value)


def short(value):
    return f"{value:.2f}" if value < 10 else measure.figure(value)


def micro(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def label(peer):
    return peer + (" *" if peer in UNCHECKED else "")


def closed_table(results):
    rows = []
    for peer in results.names(measure="closed", conns=8, in_flight=128):
        at = functools.partial(results.median, measure="closed", peer=peer, conns=8, in_flight=128)
        single = results.median("commands_per_second", measure="closed", peer=peer, conns=1, in_flight=64)
        rows.append([label(peer), cell(single), cell(at("commands_per_second")), cell(at("p50_us"), micro),
                     cell(at("p999_us"), micro), cell(at("server_cpu_us_per_command"), "{:.2f}".format),
                     cell(at("client_cpu_us_per_command"), "{:.2f}".format), cell(at("rss_mib"), "{:.0f}".format)])
    return measure.table_text(["echo", "1 × 64, commands/s", "8 × 128, commands/s", "p50 µs at 8 × 128", "p99.9 µs",
                               "server CPU µs per command", "client CPU µs", "server RSS MiB"], rows)


def throughput(results, peer):
    """[(connections, commands/s)]"""
    return [(conns, results.median("commands_per_second", measure="closed", peer=peer, conns=conns, in_flight=128))
            for conns in CONNS]


def conns_table(results):
    rows = [[label(peer), *(cell(value) for _, value in throughput(results, peer))]
            for peer in results.names(measure="closed", conns=1, in_flight=128)]
    return measure.table_text(["commands/s, 128 in flight on each of", *map(str, CONNS)], rows)


LATENCIES = {"p50": "p50_us", "p90": "p90_us", "p99": "p99_us", "p99.9": "p999_us", "max": "max_us"}


def latency_table(results):
    rows = []
    for name, title in (("sleeping", "1 × 1, sleeping"), ("spinning", "1 × 1, ours spinning"),
                        ("latency", "4 × 64, default options")):
        for peer in results.names(measure=name):
            rows.append([title, label(peer), *(cell(results.median(key, measure=name, peer=peer), micro)
                                               for key in LATENCIES.values())])
    return measure.table_text(["latency, µs", "", *LATENCIES], rows)


def secure_table(results):
    rows = []
    for peer in results.names(measure="closed, TLS"):
        def at(key, name, conns, in_flight, form=measure.figure, peer=peer):
            return cell(results.median(key, measure=f"{name}, TLS", peer=peer, conns=conns, in_flight=in_flight), form)
        rows.append([peer, at(RATE, "closed", 1, 64), at(RATE, "closed", 8, 128),
                     at("server_cpu_us_per_command", "closed", 8, 128, "{:.2f}".format),
                     at("p50_us", "sleeping", 1, 1, micro), at("p50_us", "spinning", 1, 1, micro)])
    return measure.table_text(["TLS 1.3 beside plain", "1 × 64, commands/s", "8 × 128, commands/s",
                               "server CPU µs per command", "1 × 1, sleeping, p50 µs", "ours spinning, p50 µs"], rows)


def stream_table(results):
    rows = [[label(peer), cell(results.median("results_per_second", measure="stream", peer=peer))]
            for peer in results.names(measure="stream")]
    return measure.table_text([f"one stream of {STREAM_SIZE} B results, {STREAM_COUNT:,} to a command", "results/s"],
                              rows)


def lanes(results):
    """{name: (rows of the open loop)}"""
    found = {}
    for row in results.select(measure="open"):
        found.setdefault(f"{row['peer']}, {row['in_flight']} in flight", []).append(row)
    return found


def open_table(results):
    """Beside what is found, the floor: what the machine's own pauses make of a p99.9, measured just before."""
    rows = []
    for load in dict.fromkeys(row["load"] for row in results.select(measure="open")):
        floor = results.median("p999_us", measure="floor", load=load)
        for name, found in lanes(results).items():
            series = [row for row in found if row["load"] == load]
            if not series:
                continue

            def at(key, form=micro, series=series):
                values = [row[key] for row in series if row[key] is not None]
                return f"{form(measure.median(values))} ({form(min(values))}–{form(max(values))})" if values else "–"
            rate = series[0]["rate"]
            answered = measure.median([row["commands_per_second"] for row in series]) / rate
            rows.append([f"{load}: {rate:,}/s", name, f"{100 * answered:.0f} %", at("p50_us"), at("p99_us"), at("p999_us"),
                         cell(floor, micro)])
    return measure.table_text(["open loop, 8 connections", "at most", "answered", "p50 µs", "p99 µs", "p99.9 µs",
                               "the machine's own p99.9"], rows)


def memory_table(results):
    rows = [[row["peer"], f"{row['idle_connection_bytes']:,.0f}"] for row in results.select(measure="memory")]
    table = measure.table_text(["server's own memory for an idle connection", "bytes"], rows)
    return f"{table}\nWith so few connections a block of 64 KiB more or less shows; `perf/memory` opens more.\n"


def burst_table(results, sleep_ms):
    rows = [[peer, *(cell(results.burst_median("qps", peer, conns, sleep_ms)) for conns in CONNS)]
            for peer in results.burst_peers(sleep_ms)]
    delay = f"{sleep_ms} ms each" if sleep_ms else "without delay"
    count = max((row["count"] for row in results.bursts), default=BURST_COMMANDS)
    return measure.table_text([f"{count:,} commands at once, {delay}: commands/s over", *map(str, CONNS)], rows)


# ---- Bars ----------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Bar:
    """`beside` None: first bar and goal are for the figure itself; else for the ratio."""

    title: str
    key: object  # Of a row; or a function of it.
    more: bool  # Is better.
    beside: str
    first: float
    goal: float
    where: dict
    ours: str = "cmdstream msgpack"

    def value(self, row):
        return self.key(row) if callable(self.key) else row[self.key]


def at(name, conns, in_flight):
    return {"measure": name, "conns": conns, "in_flight": in_flight}


RATE = "commands_per_second"
SECURE = "cmdstream msgpack over TLS"
REDIS = "Redis ECHO"
BARS = (
    Bar("8 × 128, commands/s", RATE, True, GO, 30, 40, at("closed", 8, 128)),
    Bar("1 × 64, commands/s", RATE, True, GO, 25, 30, at("closed", 1, 64)),
    Bar("1 × 64, ours spinning, commands/s", RATE, True, GO, 25, 30, at("closed, spinning", 1, 64)),
    Bar("1 × 1, ours spinning, p50 µs", "p50_us", False, GO, 1 / 5, 1 / 6, at("spinning", 1, 1)),
    Bar("1 × 1, sleeping, p50 µs", "p50_us", False, GO, None, 0.9, at("sleeping", 1, 1)),
    Bar("CPU µs per command, both sides, 8 × 128", both_cpu, False, GO, 1 / 30, 1 / 40, at("closed", 8, 128)),
    *(Bar(f"open loop at {share} of Go's best, p99.9 µs", "p999_us", False, GO, None, 1 / 50,
          {"measure": "open", "load": f"{share} of Go's best"}) for share in GO_SHARES),
    Bar("8 × 128 beside Redis, commands/s", RATE, True, REDIS, 2.5, 3, at("closed", 8, 128)),
    Bar("one stream, results/s", "results_per_second", True, None, 5e6, 10e6, at("stream", 1, 1)),
    Bar("idle connection, bytes", "idle_connection_bytes", False, None, 640, 512, {"measure": "memory"}),
)
MORE_BARS = (
    Bar("8 × 128 over TLS, commands/s", RATE, True, "Go mus over TLS", None, 10, at("closed, TLS", 8, 128), SECURE),
    Bar("1 × 64 over TLS, commands/s", RATE, True, "Go mus over TLS", None, 10, at("closed, TLS", 1, 64), SECURE),
    Bar("1 × 1 over TLS, ours spinning, p50 µs", "p50_us", False, "Go mus over TLS", None, 1 / 4,
        at("spinning, TLS", 1, 1), SECURE),
    Bar("8 × 128 over TLS, commands/s", RATE, True, "cmdstream msgpack", None, 0.4, at("closed, TLS", 8, 128), SECURE),
    Bar("1 × 1 over TLS, spinning, p50 µs", "p50_us", False, "cmdstream msgpack", None, 1.3,
        at("spinning, TLS", 1, 1), SECURE),
)


def bar_text(bar):
    if bar >= 1000:
        return measure.figure(bar)
    return f"1/{1 / bar:.0f}" if bar < 0.4 else f"{bar:g}"


def verdict(value, bar, more):
    if bar is None:
        return "–"
    if value is None:
        word = "not measured"
    else:
        word = "held" if (value >= bar if more else value <= bar) else "**missed**"
    return f"{'≥' if more else '≤'} {bar_text(bar)}: {word}"


def both_sides(results, bar):
    """(ours, theirs, ratios), by the better setting of each; ratios are of one turn each."""
    ours = results.best(bar.ours, bar.value, bar.more, **bar.where)
    theirs = results.best(bar.beside, bar.value, bar.more, **bar.where) if bar.beside else {}
    return ours, theirs, [ours[repetition] / theirs[repetition] for repetition in ours if theirs.get(repetition)]


def bar_row(results, bar):
    ours, theirs, ratios = both_sides(results, bar)
    ratio = measure.median(ratios) if ratios else None
    value = ratio if bar.beside else median_of(ours)
    form = "{:.1f}" if ratio and ratio >= 10 else "{:.3f}"
    return [bar.title, cell(median_of(ours), short), label(bar.beside) if bar.beside else "–",
            cell(median_of(theirs), short), cell(ratio, lambda one: f"**{form.format(one)}**"),
            measure.spread(ratios, form) if ratios else "–", verdict(value, bar.first, bar.more),
            verdict(value, bar.goal, bar.more)]


def bars_table(results, bars=BARS):
    return measure.table_text(["cmdstream with msgpack", "", "beside", "", "ratio", "of the repetitions", "first bar",
                               "goal"], [bar_row(results, bar) for bar in bars])


def summary(results):
    """For measure.write_summary(): the bars that have a peer beside them. A measure that is missing stays missing."""
    rows = {}
    for bar in BARS:
        ours, theirs, ratios = both_sides(results, bar)
        if ratios:
            rows[bar.title] = {"ours": short(median_of(ours)), "beside": bar.beside, "theirs": short(median_of(theirs)),
                               "ratio": measure.median(ratios), "low": min(ratios), "high": max(ratios)}
    return rows


# ---- Plots ---------------------------------------------------------------------------------------
def rising(rows):
    """[(rate, median p99)] of one lane."""
    found = {}
    for row in rows:
        if row["p99_us"] is not None:
            found.setdefault(row["rate"], []).append(row["p99_us"])
    return [(rate, measure.median(values)) for rate, values in sorted(found.items())]


COUNTS, NAMES = ", ".join(map(str, CONNS)), ", ".join(f'"{name}" {x}' for x, name in enumerate(LATENCIES))


def plots_of(results):
    """{file: (title, x, y, logarithmic, marks on x, {line: [(x, y)]})}"""
    return {"open": ("Echo at a fixed rate, 8 connections", "commands/s asked for", "p99 µs", "xy", None,
                     {name: rising(rows) for name, rows in lanes(results).items()})}


def more_plots_of(results):
    percentiles = {peer: [(x, results.median(key, measure="latency", peer=peer))
                          for x, key in enumerate(LATENCIES.values())] for peer in results.names(measure="latency")}
    bursts = {peer: [(conns, results.burst_median("qps", peer, conns, 30)) for conns in CONNS]
              for peer in results.burst_peers(30)}
    by_conns = {peer: throughput(results, peer) for peer in results.names(measure="closed", conns=1, in_flight=128)}
    return {
        "throughput": ("Echo, 128 in flight on each connection", "connections", "commands/s", "xy", COUNTS, by_conns),
        "latency": ("Echo, 4 connections × 64 in flight", "percentile", "µs", "y", NAMES, percentiles),
        "burst": ("All at once, 30 ms each", "connections", "commands/s", "xy", COUNTS, bursts),
    }


def gnuplot_script(path, title, x, y, logarithmic, marks, lines):
    script = ['set terminal svg size 1000,520 font "sans,13" background "#ffffff" noenhanced', f'set output "{path}"',
              f'set title "{title}"', f'set xlabel "{x}"', f'set ylabel "{y}"', f"set logscale {logarithmic}",
              "set grid", "set key outside right top", 'set format y "%.0s%c"',
              f"set xtics ({marks})" if marks else 'set format x "%.0s%c"',
              f"set xrange [{CONNS[0]}:{CONNS[-1]}]" if x == "connections" else "",
              "plot " + ", ".join(f'"-" with linespoints linewidth 2 title "{label(line)}"' for line in lines)]
    for points in lines.values():
        script += [*(f"{a} {b}" for a, b in points), "e"]
    return "\n".join(script) + "\n"


def plot(plots, folder, missing):
    """The files that it drew; what it could not draw is added to `missing`: the figures matter more."""
    drawn = []
    if not shutil.which("gnuplot"):
        missing.append("plots (gnuplot is not installed)")
        return drawn
    for name, (title, x, y, logarithmic, marks, lines) in plots.items():
        path = folder / f"{name}.svg"
        path.unlink(missing_ok=True)
        lines = {line: [point for point in points if point[1]] for line, points in lines.items()}
        lines = {line: points for line, points in lines.items() if points}
        if not lines:
            missing.append(f"plot {path.name} (no figures)")
            continue
        problem = draw(gnuplot_script(path, title, x, y, logarithmic, marks, lines))
        if problem is None and path.exists():
            drawn.append(path.name)
        else:
            missing.append(f"plot {path.name} (gnuplot: {problem or 'wrote nothing'})")
    return drawn


def draw(script):
    """None, or what gnuplot found wrong."""
    try:
        done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return " ".join(done.stderr.split())[-200:] or "failed" if done.returncode else None
