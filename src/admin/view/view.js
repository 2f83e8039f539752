"use strict";
// One page for all paths: it fetches the JSON of its own path once a second, and draws it.

// ---- Small things ------------------------------------------------------------------------------------
const SVG = "http://www.w3.org/2000/svg";

/** An element. Text becomes text: what a peer has named itself is never taken for markup. */
function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        if (typeof value === "function") {
            element.addEventListener(name, value);
        } else if (value !== null && value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? "" : value);
        }
    }
    element.append(...children);
    return element;
}

function draw(tag, attributes, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        element.setAttribute(name, value);
    }
    if (text !== undefined) {
        element.textContent = text;
    }
    return element;
}

/** Only if it differs, so that what a person has marked stays so. */
function say(element, text) {
    if (element.textContent !== String(text)) {
        element.textContent = text;
    }
}

const number = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

function count(value) {
    return value === null || value === undefined ? "" : number.format(value);
}

function duration(seconds) {
    const days = Math.floor(seconds / 86400), rest = Math.floor(seconds);
    const two = (value) => String(value).padStart(2, "0");
    return `${days ? days + "d " : ""}${two(Math.floor(rest / 3600) % 24)}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
}

/** Of a metric: bytes and seconds in what a person reads. */
function amount(value, unit) {
    if (typeof value !== "number") {
        return value;
    }
    return unit === "By" ? bytes(value) : unit === "s" ? time(value)
        : Number.isInteger(value) || value >= 100 ? count(value) : value.toPrecision(3);
}

function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (value >= 1024 && at < units.length - 1) {
        value /= 1024;
        at++;
    }
    return `${at === 0 || value >= 100 ? count(value) : value.toFixed(1)} ${units[at]}`;
}

/** Of seconds: "41 µs". */
function time(seconds) {
    if (seconds === null) {
        return "-";
    }
    if (seconds === 0 || seconds >= 1000) {
        return `${count(seconds)} s`;
    }
    const [factor, unit] = seconds < 1e-6 ? [1e9, "ns"] : seconds < 1e-3 ? [1e6, "µs"] : seconds < 1 ? [1e3, "ms"] : [1, "s"];
    const value = seconds * factor;
    return `${value < 10 ? value.toFixed(1) : count(value)} ${unit}`;
}

function labels(point) {
    return Object.entries(point.labels).map(([key, value]) => `${key.replace(/^cmd-?stream\./, "")}=${value}`).join(" ");
}

/** Of the JSON of /metrics: {metric, point, key}. */
function pointsOf(metrics) {
    return metrics.metrics.flatMap((metric) => metric.points.map((point) =>
        ({metric, point, key: metric.name + " " + labels(point)})));
}

// ---- Parts of a page ---------------------------------------------------------------------------------
const SPARK_COUNT = 60;

/** A row of figures, each with a name, and perhaps a line of what it was in the last minute. */
class Facts {
    constructor(parent) {
        this.root = parent.appendChild(make("div", {class: "facts"}));
        this.facts = new Map();
    }

    set(name, text, value) {
        if (!this.facts.has(name)) {
            const fact = {strong: make("strong"), svg: draw("svg", {viewBox: "0 0 100 28", preserveAspectRatio: "none"}), values: []};
            this.root.append(make("div", {class: "fact"}, make("span", {}, name), fact.strong, value === undefined ? "" : fact.svg));
            this.facts.set(name, fact);
        }
        const fact = this.facts.get(name);
        say(fact.strong, text);
        if (value !== undefined) {
            fact.values = [...fact.values, value].slice(-SPARK_COUNT);
            const most = Math.max(...fact.values, 1e-9), step = 100 / (SPARK_COUNT - 1);
            const first = 100 - step * (fact.values.length - 1);
            const points = fact.values.map((one, at) => `${first + at * step},${26 - 24 * one / most}`);
            fact.svg.replaceChildren(
                draw("polygon", {class: "spark-area", points: [`${first},28`, ...points, "100,28"].join(" ")}),
                draw("polyline", {class: "spark", points: points.join(" "), "vector-effect": "non-scaling-stroke"}));
        }
    }
}

/** `columns`: {title, text, cell(row)}, whose cell gives a text, or an element for whoever wants more. */
class Table {
    constructor(parent, title, columns, empty) {
        this.columns = columns;
        this.note = make("small");
        this.body = make("tbody");
        this.empty = make("div", {class: "empty"}, empty || "None.");
        this.table = make("table", {},
            make("thead", {}, make("tr", {},
                ...columns.map((column) => make("th", {class: column.text ? "text" : null}, column.title)))),
            this.body);
        this.root = parent.appendChild(make("section", {}, make("h2", {}, title, this.note), this.table, this.empty));
        this.lines = [];
    }

    line(index) {
        if (index === this.lines.length) {
            const cells = this.columns.map((column) => make("td", {class: column.kind || (column.text ? "text" : null)}));
            const row = this.body.appendChild(make("tr", {}, ...cells));
            const line = {row, cells, value: null};
            row.addEventListener("click", () => this.choose && this.choose(line.value));
            this.lines.push(line);
        }
        return this.lines[index];
    }

    set(rows, note, chosen) {
        say(this.note, note || "");
        this.table.hidden = rows.length === 0;
        this.empty.hidden = rows.length > 0;
        rows.forEach((row, index) => {
            const line = this.line(index);
            line.value = row;
            line.row.className = [index === chosen ? "chosen" : "", this.choose ? "can-choose" : ""].join(" ").trim();
            this.columns.forEach((column, at) => {
                const value = column.cell(row, index);
                if (value instanceof Node) {
                    line.cells[at].replaceChildren(value);
                } else {
                    say(line.cells[at], value === null || value === undefined ? "" : value);
                }
            });
        });
        for (const line of this.lines.splice(rows.length)) {
            line.row.remove();
        }
    }
}

/** What a counter has grown by. */
function grown(now, before, name) {
    return now[name] - (before ? before[name] : 0);
}

function typeKey(type) {
    return `${type.side} ${type.name} ${type.type}`;
}

/** A bar: what a shard works, and what it looks for work. */
function gauge(busy, spin) {
    const percent = (part) => Math.max(0, Math.min(100, 100 * part));
    const svg = draw("svg", {class: "gauge", viewBox: "0 0 100 8", preserveAspectRatio: "none"});
    svg.append(draw("rect", {class: "rest", width: 100, height: 8}));
    svg.append(draw("rect", {class: "spin", width: percent(busy + spin), height: 8}));
    svg.append(draw("rect", {width: percent(busy), height: 8}));
    const span = make("span", {class: "gauged"}, svg, `${count(100 * busy)} %`);
    return span;
}

/** A histogram of seconds: bucket i ends at 2^((offset + i + 1) / 2^scale). */
class Durations {
    constructor(json) {
        this.scale = json.scale ?? 3;
        this.offset = json.offset ?? 0;
        this.buckets = json.buckets ?? [];
        this.zero = json.zero_count ?? 0;
        this.count = this.zero + this.buckets.reduce((sum, value) => sum + value, 0);
    }

    static between(now, before) {
        const since = new Durations(now);
        if (before && before.buckets) {
            since.buckets = since.buckets.map((value, at) =>
                Math.max(0, value - (before.buckets[at + since.offset - before.offset] ?? 0)));
            since.zero -= before.zero_count;
            since.count = since.zero + since.buckets.reduce((sum, value) => sum + value, 0);
        }
        return since;
    }

    end(index) {
        return 2 ** ((this.offset + index + 1) / 2 ** this.scale);
    }

    /** The middle of its bucket, as in the text and in `cmdstream stats`; null: there is no value. */
    quantile(quantile) {
        if (this.count === 0) {
            return null;
        }
        let seen = this.zero;
        if (seen >= quantile * this.count) {
            return 0;
        }
        for (let i = 0; i < this.buckets.length; i++) {
            seen += this.buckets[i];
            if (seen >= quantile * this.count) {
                return this.end(i - 0.5);
            }
        }
        return 0;
    }
}

/** A histogram, drawn: all of it pale, what came since the last look on top; each in parts of its greatest. */
class Chart {
    constructor(parent) {
        this.title = make("span");
        this.note = make("small");
        this.svg = draw("svg", {viewBox: "0 0 1000 180", preserveAspectRatio: "none", role: "img"});
        this.words = make("div", {class: "axis"});
        this.root = parent.appendChild(make("section", {}, make("h2", {}, this.title, this.note),
            make("div", {class: "chart"}, this.svg, this.words)));
    }

    set(title, all, since) {
        say(this.title, title);
        const median = time(all.quantile(0.5)), late = time(all.quantile(0.99));
        say(this.note, all.count ? `${count(all.count)} in all, p50 ${median}, p99 ${late}; ${count(since.count)} since the last look` : "none yet");
        this.root.hidden = all.count === 0;
        const parts = [], size = Math.max(1, all.buckets.length), step = 1000 / size;
        for (const [durations, kind] of [[all, "all"], [since, "since"]]) {
            const most = Math.max(1, ...durations.buckets);
            durations.buckets.forEach((value, at) => {
                if (value > 0) {
                    // The root: one that is rare can be seen beside one that is not.
                    const height = Math.max(1, 170 * Math.sqrt(value / most));
                    const inset = kind === "all" ? 0 : step / 4;
                    parts.push(draw("rect", {class: kind, x: at * step + inset, width: Math.max(0.5, step - 2 * inset - step / 20),
                        y: 180 - height, height}));
                }
            });
        }
        const words = [];
        for (let exponent = -10; exponent <= 3; exponent++) {
            const at = (Math.log2(10 ** exponent) * 2 ** all.scale - all.offset) * step;
            if (at >= 0 && at <= 1000) {
                parts.push(draw("line", {x1: at, x2: at, y1: 0, y2: 180}));
                const word = make("span", {}, time(10 ** exponent));
                word.style.left = `${at / 10}%`;
                words.push(word);
            }
        }
        this.svg.replaceChildren(...parts);
        this.words.replaceChildren(...words);
    }
}

/** What a call waits for, by its stage. */
const waits = {kept: "whoever keeps it", pool: "the pool", again: "its next round", room: "its peer to take results"};

/** Of a list: which shards have not answered, and what holds them up. */
function missing(now) {
    const each = now.held_up.map((row) => `shard ${row.shard} is held up for ${time(row.turn_us / 1e6)} by ${row.type || "no command"}`);
    return now.complete ? "" : ` Not all of them: ${each.join(", ") || "a shard has not answered in time"}.`;
}

function shown(listed, all) {
    return listed < all ? `${count(listed)} of ${count(all)}` : count(all);
}

// ---- Traces ------------------------------------------------------------------------------------------
const SPAN_WORDS = {trace: /^[0-9a-f]{32}$/, type: /./, kind: /^(server|client)$/, failed: /^1$/, min_us: /^\d{1,9}$/, order: /^slowest$/};

/** What the address of this page asks for, so that it can be sent to somebody. */
function spanWords() {
    const asked = new URLSearchParams(location.search), words = new URLSearchParams();
    for (const [name, form] of Object.entries(SPAN_WORDS)) {
        if (form.test(asked.get(name) || "")) {
            words.set(name, asked.get(name));
        }
    }
    return words;
}

function setSpanWord(name, value) {
    const words = spanWords();
    words.delete(name);
    if (value) {
        words.set(name, value);
    }
    history.replaceState(null, "", `/spans${words.size ? "?" + words : ""}`);
    look();
}

/** Spans by trace, in the order of the list; each behind its parent, with its depth. */
function tracesOf(spans) {
    const traces = new Map();
    for (const span of spans) {
        if (!traces.has(span.trace_id)) {
            traces.set(span.trace_id, []);
        }
        traces.get(span.trace_id).push(span);
    }
    return [...traces].map(([id, list]) => {
        list.sort((one, other) => one.start_us - other.start_us);
        const ids = new Set(list.map((span) => span.span_id)), inside = new Map(), rows = [], placed = new Set();
        for (const span of list) {
            const parent = span.parent_id !== span.span_id && ids.has(span.parent_id) ? span.parent_id : "";
            inside.set(parent, [...(inside.get(parent) || []), span]);
        }
        const place = (span, depth) => {
            if (!placed.has(span.span_id)) {
                placed.add(span.span_id);
                rows.push({span, depth});
                (inside.get(span.span_id) || []).forEach((child) => place(child, depth + 1));
            }
        };
        (inside.get("") || []).forEach((span) => place(span, 0));
        list.forEach((span) => place(span, 0)); // Whose parents are a circle: a peer may say so.
        const start = list[0].start_us, end = Math.max(...list.map((span) => span.start_us + span.duration_us));
        return {id, rows, start, took: end - start};
    });
}

/** What is known of a span beside its place in time. */
function drawSpan(span, start) {
    const facts = [["started", `${time((span.start_us - start) / 1e6)} after the trace, ${span.time}`], ["peer", span.peer],
        ["span", span.span_id], ["parent", span.parent_id && span.parent_id + (span.remote_parent ? ", in another process" : "")],
        ["sequence", span.sequence || ""], ["size", bytes(span.size)], ["error", span.error && `${span.error}: ${span.error_text}`],
        ...span.attributes.map((one) => [one.key, one.value]),
        ...span.events.map((one) => [`+ ${time(one.after_us / 1e6)}`, one.number ? `result ${one.number}: ${one.type}, ${bytes(one.size)}` : one.name]),
        ["left out", [[span.dropped_events, "events"], [span.dropped_attributes, "attributes"]].filter(([many]) => many)
            .map(([many, what]) => `${many} ${what}`).join(", ")]];
    return make("dl", {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** A bar for each span, where in its trace it was open; a click says more of it. `open`: of which it does. */
function drawTrace(trace, open) {
    const first = trace.rows[0].span, many = trace.rows.length;
    const link = make("a", {href: `/spans?trace=${trace.id}`}, trace.id);
    const root = make("section", {class: "trace"}, make("h2", {}, first.name,
        make("small", {}, `${time(trace.took / 1e6)}, ${many} span${many > 1 ? "s" : ""}, ${first.time.slice(11, 23)} UTC`), make("small", {}, link)));
    for (const {span, depth} of trace.rows) {
        const scale = 1000 / Math.max(trace.took, 1e-3), at = Math.min(997, (span.start_us - trace.start) * scale);
        const svg = draw("svg", {viewBox: "0 0 1000 14", preserveAspectRatio: "none", class: "bar"});
        svg.append(draw("rect", {class: "rest", width: 1000, height: 14}), draw("rect", {x: at, height: 14,
            width: Math.max(3, Math.min(1000 - at, span.duration_us * scale)), class: span.error ? "bad" : span.kind}));
        const name = make("span", {class: "name"}, span.name, span.error ? make("b", {class: "bad"}, " " + span.error) : "");
        name.style.paddingLeft = `${Math.min(depth, 12) * 14}px`;
        const line = make("button", {class: "span", "aria-expanded": open.has(span.span_id)}, name, svg,
            make("span", {class: "took"}, time(span.duration_us / 1e6)));
        const more = make("div", {class: "more", hidden: !open.has(span.span_id)}, drawSpan(span, trace.start));
        line.addEventListener("click", () => {
            more.hidden = !more.hidden;
            line.setAttribute("aria-expanded", !more.hidden);
            open[more.hidden ? "delete" : "add"](span.span_id);
        });
        root.append(line, more);
    }
    return root;
}

// ---- The pages ---------------------------------------------------------------------------------------
const toBeLookedAt = "to be looked at: cmds_admin_options.allow_changes is not set (cmdstream serve: --admin-changes)";

/** Each: what it is called in the bar, what it makes at first, what it does with each answer. */
const views = {
    "/status": {
        title: "Status",
        make(main) {
            const parts = {facts: new Facts(main), chosen: null};
            parts.shards = new Table(main, "Shards", [
                {title: "shard", cell: (row) => row.shard},
                {title: "busy", text: true, cell: (row) => gauge(row.busy, row.spin)},
                {title: "turns/s", cell: (row) => count(row.turns)},
                {title: "commands/turn", cell: (row) => amount(row.turns ? row.commands / row.turns : 0, "")},
                {title: "commands/s", cell: (row) => count(row.commands)},
                {title: "received/s", cell: (row) => bytes(row.recv_bytes)},
                {title: "sent/s", cell: (row) => bytes(row.send_bytes)},
                {title: "connections", cell: (row) => count(row.now.connections)},
                {title: "memory", cell: (row) => bytes(row.now.memory_bytes)},
            ]);
            parts.types = new Table(main, "Commands", [
                {title: "type", text: true, kind: "text name", cell: (row) => row.now.type},
                {title: "of", text: true, cell: (row) => `${row.now.side} ${row.now.name}`},
                {title: "a second", cell: (row) => amount(row.count, "")},
                {title: "errors/s", cell: (row) => row.errors ? make("b", {class: "bad"}, amount(row.errors, "")) : "0"},
                ...[["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["max", 1]].map(([title, quantile]) =>
                    ({title, cell: (row) => time(row.durations.quantile(quantile))})),
                {title: "in all", cell: (row) => count(row.now.count)},
                {title: "p99 in all", cell: (row) => time(row.all.quantile(0.99))},
                {title: "", cell: (row) => make("a", {href: `/spans?type=${encodeURIComponent(row.now.type.replace(/ \(trace\)$/, ""))}`}, "spans")},
            ], "No command yet.");
            parts.types.choose = (row) => {
                parts.chosen = typeKey(row.now);
                look();
            };
            parts.chart = new Chart(main);
            parts.turns = new Chart(main);
            parts.about = main.appendChild(make("section", {}, make("h2", {}, "Runs on"), make("p")));
            return parts;
        },
        update(parts, now, previous, seconds) {
            previous = previous || {cpu_s: 0, shards: [], types: [], turns: {}};
            seconds = previous.pid ? seconds : now.uptime_s;
            const rate = (name) => now.shards.reduce((sum, shard, at) =>
                sum + grown(shard, previous.shards[at], name) / seconds, 0);
            const sum = (name) => now.shards.reduce((all, shard) => all + shard[name], 0);
            parts.facts.set("commands a second", count(rate("commands")), rate("commands"));
            parts.facts.set("CPU", `${count(100 * (now.cpu_s - previous.cpu_s) / seconds)} %`, now.cpu_s - previous.cpu_s);
            parts.facts.set("connections", count(sum("connections")), sum("connections"));
            parts.facts.set("received a second", bytes(rate("recv_bytes")), rate("recv_bytes"));
            parts.facts.set("resident memory", bytes(now.resident_bytes), now.resident_bytes);
            parts.facts.set("up", duration(now.uptime_s));
            parts.shards.set(now.shards.map((shard, at) => {
                const row = {now: shard, shard: shard.shard};
                for (const name of ["turns", "commands", "recv_bytes", "send_bytes"]) {
                    row[name] = grown(shard, previous.shards[at], name) / seconds;
                }
                row.busy = grown(shard, previous.shards[at], "busy_s") / seconds;
                row.spin = grown(shard, previous.shards[at], "spin_s") / seconds;
                return row;
            }));
            const before = new Map(previous.types.map((type) => [typeKey(type), type]));
            const rows = now.types.map((type) => {
                const last = before.get(typeKey(type));
                return {
                    now: type,
                    count: grown(type, last, "count") / seconds,
                    errors: (grown(type, last, "failed") + grown(type, last, "timeout") + grown(type, last, "cancelled")) / seconds,
                    durations: Durations.between(type.durations, last && last.durations),
                    all: new Durations(type.durations),
                };
            });
            let chosen = rows.findIndex((row) => typeKey(row.now) === parts.chosen);
            if (chosen < 0) { // The busiest.
                chosen = rows.reduce((best, row, at) => best < 0 || row.now.count > rows[best].now.count ? at : best, -1);
            }
            parts.types.set(rows, now.types_left_out ? "not all of them" : "", chosen);
            if (chosen >= 0) {
                const row = rows[chosen];
                parts.chart.set(`${row.now.type}: how long it takes`, row.all, row.durations);
            } else {
                parts.chart.root.hidden = true;
            }
            parts.turns.set("Turns of the shards: how long they take", new Durations(now.turns),
                Durations.between(now.turns, previous.turns));
            say(parts.about.querySelector("p"), `cmdstream ${now.version}, process ${now.pid}; ${now.description}`);
        },
    },
    "/metrics": {
        title: "Metrics",
        make(main) {
            const search = make("input", {type: "search", placeholder: "part of a name or a label", input: () => look()});
            const table = new Table(main, "Metrics", [
                {title: "name", text: true, kind: "text name", cell: (row) => row.metric.name},
                {title: "labels", text: true, cell: (row) => labels(row.point)},
                {title: "now", cell: (row) => amount(row.point.value ?? row.point.count, row.metric.unit)},
                {title: "a second", cell: (row) => row.rate},
                {title: "unit", text: true, cell: (row) => row.metric.unit.replace(/[{}]/g, "")},
                {title: "", text: true, cell: (row) => row.metric.description},
            ], "No metric has that in its name or its labels.");
            table.root.querySelector("h2").append(search);
            return {search, table};
        },
        update(parts, now, previous, seconds) {
            const before = new Map(previous ? pointsOf(previous).map((row) => [row.key, row.point]) : []);
            const words = parts.search.value.toLowerCase();
            const rows = pointsOf(now).filter((row) => row.key.toLowerCase().includes(words));
            for (const row of rows) {
                const last = before.get(row.key);
                const grows = row.metric.kind !== "gauge" && last;
                const by = grows ? (row.point.value ?? row.point.count) - (last.value ?? last.count) : 0;
                row.rate = grows && by > 0 ? amount(by / seconds, row.metric.unit) : "";
            }
            parts.table.set(rows, `${rows.length} points`);
        },
    },
    "/connections": {
        title: "Connections",
        query: "limit=500",
        make(main) {
            return {
                table: new Table(main, "Connections", [
                    {title: "peer", text: true, kind: "text name", cell: (row) => row.peer},
                    {title: "of", text: true, cell: (row) => `${row.side} ${row.name}`},
                    {title: "shard", cell: (row) => row.shard},
                    {title: "stage", text: true, cell: (row) => row.stage + (row.tls_version ? `, TLS 1.${row.tls_version - 10}` : "")},
                    {title: "in flight", cell: (row) => count(row.in_flight)},
                    {title: "age", cell: (row) => duration(row.age_ms / 1000)},
                    {title: "idle", cell: (row) => time(row.idle_ms / 1000)},
                    {title: "received", cell: (row) => bytes(row.recv_bytes)},
                    {title: "a second", cell: (row) => row.rate},
                    {title: "sent", cell: (row) => bytes(row.send_bytes)},
                    {title: "queued", cell: (row) => row.queued_bytes ? bytes(row.queued_bytes) : ""},
                    {title: "not read for", text: true, kind: "text bad", cell: (row) => row.paused.join(", ")},
                ], "Nobody is connected."),
            };
        },
        update(parts, now, previous, seconds) {
            const key = (row) => `${row.side} ${row.shard} ${row.id}`;
            const before = new Map(previous ? previous.connections.map((row) => [key(row), row.recv_bytes]) : []);
            for (const row of now.connections) {
                const by = row.recv_bytes - (before.get(key(row)) ?? row.recv_bytes);
                row.rate = by > 0 ? bytes(by / seconds) : "";
            }
            parts.table.set(now.connections, shown(now.connections.length, now.count) + missing(now));
        },
    },
    "/calls": {
        title: "Calls",
        query: "limit=500",
        make(main) {
            return {
                table: new Table(main, "Calls that have outlived their exec function", [
                    {title: "age", cell: (row) => time(row.age_us / 1e6)},
                    {title: "type", text: true, kind: "text name", cell: (row) => row.type},
                    {title: "waits for", text: true, cell: (row) => waits[row.stage] || row.stage},
                    {title: "round", cell: (row) => row.round || ""},
                    {title: "results", cell: (row) => row.results || ""},
                    {title: "peer", text: true, cell: (row) => row.peer},
                    {title: "of", text: true, cell: (row) => row.name},
                    {title: "shard", cell: (row) => row.shard},
                    {title: "", text: true, cell: (row) => row.finished ? "finished" : row.cancelled ? "cancelled" : ""},
                ], "No call waits for anything."),
            };
        },
        update(parts, now) {
            parts.table.set(now.calls, shown(now.calls.length, now.count) + missing(now));
        },
    },
    "/spans": {
        title: "Spans",
        words: () => spanWords().toString(),
        make(main) {
            const parts = {note: make("small"), traces: new Map(), open: new Set()};
            parts.list = make("div", {class: "traces"});
            parts.empty = make("div", {class: "empty"});
            const choose = (name, value) => make("button", {"data-name": name, "data-value": value, click: () => {
                setSpanWord(name, spanWords().get(name) === value ? "" : value);
            }}, value === "1" ? name : value);
            const field = (name, placeholder) => make("input", {type: "search", placeholder, "data-name": name,
                value: spanWords().get(name) || "", change: (event) => setSpanWord(name, event.target.value.trim())});
            parts.buttons = [choose("order", "slowest"), choose("failed", "1"), choose("kind", "server"), choose("kind", "client")];
            main.append(make("section", {}, make("h2", {}, "Spans that are kept", parts.note),
                make("div", {class: "filters"}, ...parts.buttons, field("type", "type of commands"),
                    field("min_us", "at least so many µs"), field("trace", "trace: 32 hexadecimal digits")), parts.empty), parts.list);
            return parts;
        },
        update(parts, now) {
            const words = spanWords();
            for (const button of parts.buttons) {
                button.setAttribute("aria-pressed", words.get(button.dataset.name) === button.dataset.value);
            }
            say(parts.note, now.kept ? shown(now.spans.length, now.count) + missing(now) : "");
            parts.empty.hidden = now.spans.length > 0;
            say(parts.empty, now.kept ? "None, or none that is as it is asked for."
                : "No spans are kept: cmds_runtime_options.trace is not set (cmdstream serve: --spans N).");
            const cards = tracesOf(now.spans).map((trace) => {
                const said = trace.rows.map((row) => row.span.span_id).join();
                const last = parts.traces.get(trace.id);
                return last && last.said === said ? last : {id: trace.id, said, root: drawTrace(trace, parts.open)};
            });
            const shows = [...parts.list.children];
            if (cards.length !== shows.length || cards.some((card, at) => card.root !== shows[at])) {
                parts.list.replaceChildren(...cards.map((card) => card.root));
            }
            parts.traces = new Map(cards.map((card) => [card.id, card]));
        },
    },
    "/config": {
        title: "Config",
        make(main) {
            return {main, tables: []};
        },
        update(parts, config) {
            config.objects.forEach((object, at) => {
                if (!parts.tables[at]) {
                    parts.tables[at] = new Table(parts.main, `${object.object} ${object.name}`, [
                        {title: "option", text: true, kind: "text name", cell: (row) => row.name},
                        {title: "value", text: true, cell: (row) => typeof row.value === "number" ? count(row.value) : String(row.value)},
                    ]);
                }
                parts.tables[at].set(object.options);
            });
            for (const table of parts.tables.splice(config.objects.length)) {
                table.root.remove();
            }
        },
    },
    "/log": {
        title: "Log",
        make(main) {
            const note = make("small");
            const levels = ["debug", "info", "warn", "error"].map((level) => make("button", {click: async () => {
                await fetch("/log", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({level})});
                look();
            }}, level));
            main.append(make("section", {}, make("h2", {}, "The least level that is logged", note), make("div", {class: "lines"}, make("div", {}, ...levels))));
            return {levels, note};
        },
        update(parts, log) {
            say(parts.note, views["/log"].may_change ? "" : toBeLookedAt);
            for (const button of parts.levels) {
                button.setAttribute("aria-pressed", button.textContent === log.level);
                button.disabled = !views["/log"].may_change;
            }
        },
    },
    "/sampling": {
        title: "Sampling",
        make(main) {
            const note = make("small"), facts = new Facts(main);
            const forSeconds = make("select", {"data-name": "for"}, ...[[60, "a minute"], [600, "10 minutes"], [3600, "an hour"], [86400, "a day"], [0, "ever"]]
                .map(([value, text]) => make("option", {value, selected: value === 600}, text)));
            const change = async (values) => {
                const body = JSON.stringify({...values, for: Number(forSeconds.value)});
                const answer = await fetch("/sampling", {method: "POST", headers: {"Content-Type": "application/json"}, body});
                say(note, answer.ok ? "" : await answer.text());
                look();
            };
            const line = (name, choices, placeholder) => {
                const input = make("input", {placeholder, "data-name": name, change: (event) => change({[name]: Number(event.target.value)})});
                return make("div", {}, ...choices.map((value) => make("button", {"data-name": name, "data-value": value,
                    click: () => change({[name]: value})}, count(value) === "0" && value > 0 ? String(value) : count(value))), input);
            };
            main.append(
                make("section", {}, make("h2", {}, "Of commands that come without a context so many begin a trace", note),
                    make("div", {class: "lines"}, line("ratio", [0, 0.001, 0.01, 0.1, 1], "0 to 1"))),
                make("section", {}, make("h2", {}, "And of these at most so many a second, on each shard"),
                    make("div", {class: "lines"}, line("rate", [0, 10, 100, 1000, 10000], "traces"))),
                make("section", {}, make("h2", {}, "What is chosen above holds for"),
                    make("div", {class: "lines"}, make("div", {}, forSeconds, " and then it is by itself as it was before"))));
            return {facts, note, controls: main.querySelectorAll("button[data-name], input[data-name], select[data-name]")};
        },
        update(parts, now) {
            const may = now.kept && views["/sampling"].may_change;
            parts.facts.set("ratio", now.kept ? `${Number((100 * now.ratio).toPrecision(4))} %` : "none");
            parts.facts.set("traces a second and shard", now.kept ? count(now.rate) : "none");
            parts.facts.set("for", !now.kept || now.for === 0 ? "ever"
                : `${duration(now.for)}, then ${Number((100 * now.after.ratio).toPrecision(4))} %, ${count(now.after.rate)} a second`);
            parts.facts.set("spans that gave way before they were taken", count(now.dropped));
            if (!may) {
                say(parts.note, now.kept ? toBeLookedAt
                    : "no spans are kept: cmds_runtime_options.trace is not set (cmdstream serve: --spans N)");
            }
            for (const control of parts.controls) {
                control.disabled = !may;
                control.setAttribute("aria-pressed", String(now[control.dataset.name]) === control.dataset.value);
            }
        },
    },
    "/profile": {
        title: "Profile",
        make(main) {
            const lines = make("div", {class: "lines"});
            main.append(make("section", {},
                make("h2", {}, "Type one of these", make("small", {}, "on this machine, as root")), lines));
            return {
                lines,
                threads: new Table(main, "Threads", [
                    {title: "name", text: true, kind: "text name", cell: (row) => row.name},
                    {title: "id", cell: (row) => row.tid},
                ]),
            };
        },
        update(parts, profile) {
            parts.threads.set(profile.threads);
            if (parts.said !== profile.commands.join("\n")) {
                parts.said = profile.commands.join("\n");
                parts.lines.replaceChildren(...profile.commands.map((line) => {
                    const button = make("button", {click: () => navigator.clipboard.writeText(line)}, "copy");
                    return make("div", {}, make("code", {}, line), button);
                }));
            }
        },
    },
};

// ---- The frame ---------------------------------------------------------------------------------------
const path = views[location.pathname] ? location.pathname : "/status";
const view = views[path];
const nav = make("nav");
const stateText = make("span", {}, "…");
const state = make("span", {class: "state"}, make("i"), stateText);
const pause = make("button", {click: togglePause}, "pause");
const notice = make("p", {class: "notice", hidden: true});
const main = make("main", {}, notice);
const bar = make("header", {}, make("b", {}, "cmdstream"), nav, state, pause);
document.body.append(bar, main);
const parts = view.make(main);
let paused = false, looking = false, previous = null, before = 0;

function togglePause() {
    paused = !paused;
    say(pause, paused ? "go on" : "pause");
    show(paused ? "paused" : "", paused ? "paused" : "…");
}

function show(kind, text) {
    state.className = `state ${kind}`;
    say(stateText, text);
}

function showPages(pages) {
    if (nav.childElementCount > 0) {
        return;
    }
    for (const page of pages) {
        if (page.is_change && views[page.path]) {
            views[page.path].may_change = true;
        } else if (views[page.path]) {
            nav.append(make("a", {href: page.path, "aria-current": page.path === path ? "page" : null}, views[page.path].title));
        } else if (page.is_change && page.path === "/drain") {
            nav.after(make("button", {class: "danger", click: drain}, "drain"));
        }
    }
}

async function drain() {
    if (confirm("Drain? What runs ends, and nothing new is taken.")) {
        await fetch("/drain", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
    }
}

async function get(where) {
    const words = views[where].words ? views[where].words() : views[where].query;
    const query = words ? "&" + words : "";
    const answer = await fetch(`${where}?format=json${query}`, {cache: "no-store"});
    if (!answer.ok) {
        throw new Error(await answer.text());
    }
    return answer.json();
}

async function look() {
    if (paused || document.hidden || looking) {
        return;
    }
    looking = true;
    try {
        const status = path === "/status" ? null : await get("/status");
        const now = await get(path);
        const seconds = (performance.now() - before) / 1000;
        showPages((status || now).pages);
        view.update(parts, now, previous, seconds);
        previous = now;
        before = performance.now();
        notice.hidden = !(status || now).draining;
        say(notice, "It drains: what runs ends, and nothing new is taken.");
        show("", "live");
    } catch (error) {
        show("lost", "no answer");
    }
    looking = false;
    document.body.dataset.looks = 1 + Number(document.body.dataset.looks || 0);
}

async function run() {
    await look();
    setTimeout(run, 1000);
}
document.title = `cmdstream: ${view.title.toLowerCase()}`;
run();
