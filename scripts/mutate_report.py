# SPDX-License-Identifier: MIT
"""What scripts/mutate tells of its results: a line for each fault, the totals, the report."""
FOLDERS = ("shard", "conn", "server", "client", "group", "net", "codec", "telemetry", "chaos", "admin",
           "otel", "tool")


def by(row, who):
    return (row.get(who) or {}).get("by", "")


def line_of(mutant, row):
    parts = []
    for who in ("unit", "integration", "simulation"):
        if who in row:
            parts.append(f"{who}: {by(row, who) or '-'}")
    return f"{mutant.name:44} {', '.join(parts) or 'not asked'}  ({row.get('seconds', 0)} s)"


def current(mutants, rows):
    """The answers about these faults as they are now. A fault whose text has changed since was never asked for."""
    return {mutant.name: rows[mutant.name] for mutant in mutants
            if rows.get(mutant.name, {}).get("digest") == mutant.digest}


def is_asked(row):
    return "unit" in row and "simulation" in row


def cell(row, who, seeds=0):
    """Nothing: it was not asked. Of a simulation that ran fewer seeds than the others, how many."""
    if who not in row or by(row, who):
        return by(row, who)
    ran = row[who].get("seeds", seeds)
    return "-" if not 0 < ran < seeds else f"- of {ran}"


def seeds_of(rows):
    """So many have run where there was time for all and nothing was found."""
    return max([0, *((row.get("simulation") or {}).get("seeds", 0) for row in rows.values())])


def say_totals(mutants, rows):
    """Only of those that both were asked for."""
    stale = sum(mutant.name in rows for mutant in mutants)
    rows = current(mutants, rows)
    stale -= len(rows)
    counts = {"both": 0, "unit": 0, "simulation": 0, "none": 0, "integration": 0}
    asked = [mutant for mutant in mutants if is_asked(rows.get(mutant.name, {}))]
    for mutant in asked:
        row = rows[mutant.name]
        unit, simulation = by(row, "unit"), by(row, "simulation")
        counts["both" if unit and simulation else "unit" if unit else "simulation" if simulation else "none"] += 1
        counts["integration"] += bool(not unit and not simulation and by(row, "integration"))
    lines = [f"planted: {len(mutants)}, of which the library once had {sum(m.was for m in mutants)}"]
    if stale > 0:
        lines.append(f"asked for with another text than they have now, and so left out: {stale}")
    if len(asked) < len(mutants):
        lines.append(f"unit tests and the simulation were asked for {len(asked)} of them, and of these are:")
    return lines + [f"found by unit tests and by the simulation: {counts['both']}",
                    f"found by unit tests alone: {counts['unit']}",
                    f"found by the simulation alone: {counts['simulation']}",
                    f"found by neither: {counts['none']}, of which integration tests find {counts['integration']}"]


def report(mutants, rows, path, note):
    """RESULTS.md: what was planted, who has found it."""
    out = ["# Planted faults, and who finds them", "", "Written by `scripts/mutate --report`. `~`: the test failed "
           "once of two times; `-`: nobody; `- of 40`: nobody, and no more seeds than that have run; an empty cell: not "
           "asked. A fault with a `*` is one that the library had.", ""]
    out += [note, ""] if note else []
    out += [f"- {line}" for line in say_totals(mutants, rows)]
    rows = current(mutants, rows)
    seeds = seeds_of(rows)
    missing = [mutant for mutant in mutants if is_asked(rows.get(mutant.name, {})) and
               not by(rows[mutant.name], "unit") and not by(rows[mutant.name], "simulation")]
    if missing:
        out += ["", "## Found by neither", "", "| fault | breaks | integration tests | why |", "|---|---|---|---|"]
        out += [f"| {m.name}{' *' if m.was else ''} | {m.breaks} | {cell(rows[m.name], 'integration')} "
                f"| {m.missed} |" for m in missing]
    for who, whose in (("unit", "unit tests"), ("simulation", "the simulation")):
        names = [mutant.name for mutant in mutants if who not in rows.get(mutant.name, {})]
        if names:
            out += ["", f"Not asked of {whose}, {len(names)}: {', '.join(names)}."]
    for folder in FOLDERS:
        some = [mutant for mutant in mutants if mutant.source == f"{folder}.toml"]
        if not some:
            continue
        out += ["", f"## {folder}", "", "| fault | kind | unit tests | simulation |", "|---|---|---|---|"]
        for mutant in some:
            row = rows.get(mutant.name, {})
            out.append(f"| {mutant.name}{' *' if mutant.was else ''} | {mutant.kind} | {cell(row, 'unit')} "
                       f"| {cell(row, 'simulation', seeds)} |")
    path.write_text("\n".join(out) + "\n")
