#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""OTLP as others read it.

  test_otel.py reader CLIENT               by a reader of Protobuf that stands here, and knows the numbers
                                           of OTLP's fields and nothing of our writer
  test_otel.py collector CLIENT PROGRAM    by the OpenTelemetry Collector that tests/interop/collector/build
                                           makes; 77 where it has not made one
  test_otel.py example SERVER CLIENT       those of tests/examples/otel: two processes, one trace

CLIENT is otel_client, which exports the points and spans of tests/support/otel_points.h and
otel_spans.h.
"""
import contextlib
import gzip
import http.server
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading

LIMIT = 60  # Seconds, of anything.


# ---- The reader ----------------------------------------------------------------------------------
def fields(data):
    """(number, value) of a message: int of a varint, bytes of all else."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
            continue
        size = {1: 8, 5: 4}.get(tag & 7)
        if size is None:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size = varint()
        assert at + size <= len(data), "a length beyond the end"
        found.append((tag >> 3, data[at:at + size]))
        at += size
    return found


def text(value):
    return value.decode()


def fixed(value):
    return struct.unpack("<Q", value)[0]


def signed(value):
    return struct.unpack("<q", value)[0]


def real(value):
    return struct.unpack("<d", value)[0]


def zigzag(value):
    return value >> 1 ^ -(value & 1)


def packed(form):
    return lambda value: [one[0] for one in struct.iter_unpack(form, value)]


def varints(value):
    return [number for _, number in fields(b"".join(b"\x08" + one for one in cut_varints(value)))]


def cut_varints(value):
    return re.findall(rb"[\x80-\xff]*[\x00-\x7f]", value, re.S)


def message(names):
    """A reader of messages with these fields: number -> (name, reader, is repeated)."""
    def read(data):
        value = {name: [] for name, _, repeated in names.values() if repeated}
        for number, field in fields(data):
            name, reader, repeated = names[number]  # KeyError: a field that is none.
            if repeated:
                value[name].append(reader(field))
            else:
                assert name not in value, f"{name} twice"
                value[name] = reader(field)
        return value
    return read


ANY = message({1: ("string", text, False), 3: ("int", int, False)})
KEY_VALUE = message({1: ("key", text, False), 2: ("value", ANY, False)})
EXEMPLAR = message({2: ("time", fixed, False), 3: ("double", real, False),
                    4: ("span_id", bytes.hex, False), 5: ("trace_id", bytes.hex, False)})
NUMBER = message({2: ("start", fixed, False), 3: ("time", fixed, False), 4: ("double", real, False),
                  5: ("exemplars", EXEMPLAR, True), 6: ("int", signed, False),
                  7: ("attributes", KEY_VALUE, True)})
BUCKETS = message({1: ("offset", zigzag, False), 2: ("counts", varints, False)})
EXPONENTIAL = message({1: ("attributes", KEY_VALUE, True), 2: ("start", fixed, False),
                       3: ("time", fixed, False), 4: ("count", fixed, False), 5: ("sum", real, False),
                       6: ("scale", zigzag, False), 7: ("zero_count", fixed, False),
                       8: ("positive", BUCKETS, False), 11: ("exemplars", EXEMPLAR, True),
                       14: ("zero_threshold", real, False)})
EXPLICIT = message({2: ("start", fixed, False), 3: ("time", fixed, False), 4: ("count", fixed, False),
                    5: ("sum", real, False), 6: ("counts", packed("<Q"), False),
                    7: ("bounds", packed("<d"), False), 8: ("exemplars", EXEMPLAR, True),
                    9: ("attributes", KEY_VALUE, True)})


def data(point):
    return message({1: ("points", point, True), 2: ("temporality", int, False),
                    3: ("monotonic", bool, False)})


METRIC = message({1: ("name", text, False), 2: ("description", text, False), 3: ("unit", text, False),
                  5: ("gauge", data(NUMBER), False), 7: ("sum", data(NUMBER), False),
                  9: ("histogram", data(EXPLICIT), False),
                  10: ("exponential", data(EXPONENTIAL), False)})
SCOPE = message({1: ("name", text, False), 2: ("version", text, False)})
SCOPES = message({1: ("scope", SCOPE, False), 2: ("metrics", METRIC, True)})
RESOURCE = message({1: ("attributes", KEY_VALUE, True)})
RESOURCES = message({1: ("resource", RESOURCE, False), 2: ("scopes", SCOPES, True)})
REQUEST = message({1: ("resources", RESOURCES, True)})


EVENT = message({1: ("time", fixed, False), 2: ("name", text, False), 3: ("attributes", KEY_VALUE, True)})
STATUS = message({2: ("message", text, False), 3: ("code", int, False)})
SPAN = message({1: ("trace_id", bytes.hex, False), 2: ("span_id", bytes.hex, False),
                4: ("parent_id", bytes.hex, False), 5: ("name", text, False), 6: ("kind", int, False),
                7: ("start", fixed, False), 8: ("end", fixed, False),
                9: ("attributes", KEY_VALUE, True), 10: ("dropped_attributes", int, False),
                11: ("events", EVENT, True), 12: ("dropped_events", int, False),
                15: ("status", STATUS, False), 16: ("flags", bytes.hex, False)})
SCOPE_SPANS = message({1: ("scope", SCOPE, False), 2: ("spans", SPAN, True)})
TRACES = message({1: ("resources", message({1: ("resource", RESOURCE, False),
                                            2: ("scopes", SCOPE_SPANS, True)}), True)})


def check(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} and not {wanted!r}")


def check_points(body, is_explicit, temporality):
    (resources,) = REQUEST(body)["resources"]
    who = {one["key"]: one["value"] for one in resources["resource"]["attributes"]}
    check("service.name", who["service.name"], {"string": "interop"})
    check("host.name", who["host.name"], {"string": "a host"})
    check("process.pid", list(who["process.pid"]), ["int"])
    (scopes,) = resources["scopes"]
    check("scope", scopes["scope"]["name"], "cmdstream")
    metrics = {one["name"]: one for one in scopes["metrics"]}
    check("names", sorted(metrics), ["n.c", "n.g", "n.h"])

    counter = metrics["n.c"]["sum"]
    check("the counter's form", (counter["temporality"], counter["monotonic"]), (temporality, True))
    points = {one["attributes"][0]["value"]["string"]: one for one in counter["points"]}
    check("the counter", {key: one["int"] for key, one in points.items()}, {"a": 7, "b": 300})
    check("its start", points["a"]["start"], 1000)
    check("its exemplar", points["a"]["exemplars"],
          [{"time": 1500, "double": 2.5, "span_id": bytes(range(8)).hex(),
            "trace_id": bytes(range(16)).hex()}])
    (gauge,) = metrics["n.g"]["gauge"]["points"]
    check("the gauge", (gauge["double"], "start" in gauge), (0.5, False))
    check("its unit", metrics["n.g"]["unit"], "s")

    histogram = metrics["n.h"]["histogram" if is_explicit else "exponential"]
    check("the histogram's form", histogram["temporality"], temporality)
    (point,) = histogram["points"]
    check("count and sum", (point["count"], point["sum"]), (303, 1.25))
    check("label", point["attributes"], [{"key": "k", "value": {"string": ""}}])
    if is_explicit:
        check("bounds", point["bounds"], [2.0 ** power for power in range(-19, 3)])
        check("counts", {i: n for i, n in enumerate(point["counts"]) if n}, {0: 2, 19: 301})
    else:
        check("buckets", point["positive"], {"offset": -5, "counts": [1, 0, 300]})
        check("scale", (point["scale"], point["zero_count"], point["zero_threshold"]),
              (3, 2, 2.0 ** -24))


def attributes(value):
    return {one["key"]: next(iter(one["value"].values())) for one in value["attributes"]}


def check_spans(body):
    (resources,) = TRACES(body)["resources"]
    check("service.name", attributes(resources["resource"])["service.name"], "interop")
    server, client = resources["scopes"][0]["spans"]
    check("names", (server["name"], client["name"]), ("Invoke calc_add (trace)", "Send calc_add"))
    check("kinds", (server["kind"], client["kind"]), (2, 3))
    check("one trace", (server["trace_id"], client["trace_id"]), (bytes(range(16)).hex(),) * 2)
    check("the parent", (server["parent_id"], "parent_id" in client), (client["span_id"], False))
    check("times", (server["end"] - server["start"], server["start"] - client["start"]), (4, 4))
    check("the server's attributes", attributes(server),
          {"network.peer.address": "::1", "network.peer.port": 9000, "network.protocol.name": "tcp",
           "error.type": "CMDS_E_TIMEOUT", "user": "x", "more": ""})
    check("the client's attributes", attributes(client),
          {"network.peer.address": "/run/x", "network.protocol.name": "unix",
           "cmd-stream.command.seq": 7, "cmd-stream.command.size": 12})
    check("events", [(one["name"], attributes(one)) for one in server["events"]],
          [("result", {"cmd-stream.result.seq": 1, "cmd-stream.result.size": 300,
                       "cmd-stream.result.type": "calc_sum"}), ("looked up", {})])
    check("dropped", (server["dropped_attributes"], server["dropped_events"]), (3, 2))
    check("status", (server["status"]["code"], "status" in client), (2, False))
    check("flags", (server["flags"], client["flags"]), ("01030000", "01010000"))


@contextlib.contextmanager
def backend():
    """(address, list of (path, x-key, body) that grows)"""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            requests.append((self.path, self.headers["x-key"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def read_by_us(client):
    with backend() as (address, requests):
        for words, is_explicit, temporality in ([], False, 2), (["explicit", "gzip"], True, 2), \
                (["delta"], False, 1):
            subprocess.run([client, address, *words], check=True, timeout=LIMIT)
            bodies = {path: body for path, _, body in requests}
            check("paths", sorted(bodies), ["/v1/metrics", "/v1/traces"])
            check("header", {key for _, key, _ in requests}, {"value"})
            check_points(bodies["/v1/metrics"], is_explicit, temporality)
            check_spans(bodies["/v1/traces"])
            requests.clear()


# ---- The example ---------------------------------------------------------------------------------
def run_example(server, client, address):
    """What the client says on stderr."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("OTEL_") and not name.lower().endswith("_proxy")}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
    with subprocess.Popen([server, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                          env=environment) as process:
        watch = threading.Timer(LIMIT, process.kill)
        watch.start()
        try:
            where = process.stdout.readline().split()[-1]
            done = subprocess.run([client, where], check=True, timeout=LIMIT, env=environment,
                                  capture_output=True, text=True)
            check("the client's answer", done.stdout, "5\n")
            process.terminate()
            check("the server's end", process.wait(), 0)
        finally:
            watch.cancel()
            process.kill()
    return done.stderr


def example(server, client):
    check("what the client says", one_trace(server, client), "")
    said = run_example(server, client, "http://127.0.0.1:1")
    check("of a backend that is not there", "otel: traces to " in said, True)


def one_trace(server, client):
    with backend() as (address, requests):
        said = run_example(server, client, address)
        spans, names = {}, set()
        for path, _, body in requests:
            for resources in (TRACES if path == "/v1/traces" else REQUEST)(body)["resources"]:
                who = attributes(resources["resource"])["service.name"]
                if path == "/v1/traces":
                    spans.update({who: one for one in resources["scopes"][0]["spans"]})
                else:
                    names.update((who, one["name"]) for one in resources["scopes"][0]["metrics"])
    check("services with spans", sorted(spans), ["calc-client", "calc-server"])
    sent, executed = spans["calc-client"], spans["calc-server"]
    check("one trace", executed["trace_id"], sent["trace_id"])
    check("the parents", (executed["parent_id"], "parent_id" in sent), (sent["span_id"], False))
    check("names", (sent["name"], executed["name"]),
          ("Send calc_add (trace)", "Invoke calc_add (trace)"))
    check("events", [one["name"] for one in executed["events"]], ["adding", "result"])
    check("peer", attributes(sent)["network.peer.address"], "127.0.0.1")
    for name in ("calc-server", "cmdstream.server.commands_received"), \
            ("calc-server", "cmd-stream.server.command.duration"), \
            ("calc-client", "cmdstream.client.results_received"), \
            ("calc-client", "cmd-stream.client.command.duration"):
        check(name, name in names, True)
    return said


# ---- The Collector -------------------------------------------------------------------------------
CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
exporters: {debug: {verbosity: detailed}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [debug]}
    traces: {receivers: [otlp], exporters: [debug]}
"""


@contextlib.contextmanager
def collector(program):
    """(address, function that ends it and returns what it printed)"""
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "config.yaml")
        config.write_text(CONFIG, encoding="utf-8")
        process = subprocess.Popen([program, "--config", config], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        watch = threading.Timer(LIMIT, process.kill)
        watch.start()
        try:
            address, is_ready = None, False
            while not is_ready:
                line = process.stdout.readline()
                if not line:
                    sys.exit("the collector does not start")
                match = re.search(r'Starting HTTP server.*"endpoint": "([0-9.:]+)"', line)
                address = f"http://{match[1]}" if match else address
                is_ready = "Everything is ready" in line

            def end():
                process.terminate()
                return process.communicate()[0]

            yield address, end
        finally:
            watch.cancel()
            process.kill()
            process.wait()


def wants(printed, *patterns):
    for pattern in patterns:
        if not re.search(pattern, printed, re.M):
            sys.exit(f"{printed}\nthe collector did not print: {pattern}")


def read_by_collector(client, program):
    if not pathlib.Path(program).is_file():
        print(f"***** SKIPPED: no Collector at {program}: tests/interop/collector/build makes it *****")
        sys.exit(77)
    with collector(program) as (address, end):
        for words in [], ["explicit", "gzip"], ["delta"]:
            subprocess.run([client, address, *words], check=True, timeout=LIMIT)
        printed = end()
    wants(printed, r"-> service\.name: Str\(interop\)", r"-> host\.name: Str\(a host\)",
          r"InstrumentationScope cmdstream \d", r"-> Name: n\.c$", r"-> Unit: \{command\}$",
          r"-> IsMonotonic: true", r"-> AggregationTemporality: Cumulative",
          r"-> AggregationTemporality: Delta", r"^Value: 300$", r"^Value: 0\.5", r"-> k: Str\(b\)",
          r"Trace ID: 000102030405060708090a0b0c0d0e0f", r"-> DataType: ExponentialHistogram",
          r"^Count: 303$", r"^Sum: 1\.25", r"^Bucket \(0\.648420, 0\.707107\], Count: 1$",
          r"^Bucket \(0\.771105, 0\.840896\], Count: 300$", r"-> DataType: Histogram$",
          r"ExplicitBounds #0: 0\.000002", r"ExplicitBounds #21: 4\.0", r"Buckets #19, Count: 301",
          r"Trace ID +: 000102030405060708090a0b0c0d0e0f", r"Parent ID +: 0203040506070809",
          r"Name +: Invoke calc_add \(trace\)", r"Name +: Send calc_add$", r"Kind +: Server",
          r"Kind +: Client", r"Status code +: Error", r"Status message +: no result within the deadline",
          r"-> network\.peer\.port: Int\(9000\)", r"-> Name: looked up",
          r"-> cmd-stream\.result\.type: Str\(calc_sum\)")


def main():
    what, client = sys.argv[1:3]
    if what == "reader":
        read_by_us(client)
    elif what == "example":
        example(client, sys.argv[3])
    else:
        read_by_collector(client, sys.argv[3])
    print(f"ok: {what}")


if __name__ == "__main__":
    main()
