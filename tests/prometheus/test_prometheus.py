# SPDX-License-Identifier: MIT
"""A real Prometheus takes what is written: both texts and protobuf with native histograms, of points made by hand
and of a runtime that works; and the dashboard's queries find it there.

What may go wrong that our own readers do not see: a line for which all of a scrape is refused, a name that no
query finds, buckets that are added up wrongly, a histogram that arrives one bucket off, an exemplar that is lost,
a panel that asks for a name which nobody writes.
"""
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

import prometheus

PROMETHEUS, PROMTOOL = prometheus.find()
SAMPLES = os.environ["CMDSTREAM_SAMPLES"]
ROUNDS = 3  # So many different scrapes have arrived before anything is asked.

# Job -> number of its format, its Content-Type.
FORMATS = {
    "text": (0, "text/plain; version=0.0.4; charset=utf-8"),
    "open": (1, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    "native": (2, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"),
}
COUNT = "cmd_stream_server_command_count_total"
DURATION = "cmd_stream_server_command_duration_seconds"
SIZE = "cmd_stream_server_command_size_bytes"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


# Of panels: what these ask for nothing of ours writes in this test.
WITHOUT_DATA = (
    'cmdstream_shard!=""',  # Nobody is scraped by shard,
    "cmdstream_spans_dropped_total",  # nor keeps spans.
    'cmd_stream_client_command_count_total{job=~"$job", instance=~"$instance", cmd_stream_command_type=~"$type", cmd_stream_command_status!="OK"}',
)
ALERTS = pathlib.Path(__file__).parent / "../../docs/grafana/alerts.yml"
DASHBOARD = pathlib.Path(__file__).parent / "../../docs/grafana/cmdstream.json"


def panels():
    """Yields: title and query of all targets of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def chosen(query, job):
    """The query as Grafana sends it, with this choice of jobs and all types."""
    for name, value in (("$__rate_interval", "1h"), ("$job", job), ("$instance", ".*"), ("$type", ".*"), ("$per_second", "1")):
        query = query.replace(name, value)
    return query


def last(series):
    """Of the last scrape that went well: on a machine with too much to do one may come too late."""
    return f"last_over_time({series}[1h])"


def samples(job, number):
    return subprocess.run([SAMPLES, str(FORMATS[job][0]), str(number)], stdout=subprocess.PIPE, check=True).stdout


class Live:
    """A program with a server and a client, which work before each scrape."""

    def __init__(self):
        self.process = subprocess.Popen([os.environ["CMDSTREAM_LIVE"]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.admin = self.process.stdout.readline().decode().strip()  # "": it was built without.

    def samples(self, number):
        with self.lock:
            self.process.stdin.write(b"%d\n" % number)
            self.process.stdin.flush()
            size = self.process.stdout.readline()
            if not size:
                raise AssertionError(f"the live program ended: {self.process.wait()}")
            return self.process.stdout.read(int(size))

    def close(self):
        with self.lock:
            self.process.stdin.close()
            self.process.stdout.close()
            return self.process.wait(prometheus.PATIENCE_S)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /JOB: the samples of a round that is later by one each time; GET /live: of the live program."""
    live = None
    rounds = dict.fromkeys(FORMATS, 0)
    accepted = {}

    def do_GET(self):
        job = self.path.strip("/")
        self.accepted[job] = self.headers.get("Accept", "")
        if job == "live":
            job = "open"
            body = self.live.samples(FORMATS[job][0])
        else:
            self.rounds[job] += 1  # Each job is asked by one scraper, one scrape after the other.
            body = samples(job, self.rounds[job])
        self.send_response(200)
        self.send_header("Content-Type", FORMATS[job][1])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class TestPrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.live = Handler.live = Live()
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        address = cls.instance = f"127.0.0.1:{cls.server.server_address[1]}"
        targets = {job: (address, f"/{job}") for job in (*FORMATS, "live")}
        if cls.live.admin:
            targets["admin"] = (cls.live.admin, "/metrics")
        cls.jobs = tuple(targets)
        cls.prometheus = prometheus.Prometheus(PROMETHEUS, cls.folder.name, targets)
        prometheus.until(lambda: all(cls.rounds_of(job) >= ROUNDS for job in FORMATS), "scrape of each format")
        for job in cls.jobs[len(FORMATS):]:
            query = f'count_over_time(cmdstream_build_info{{job="{job}"}}[1h]) >= 2'
            prometheus.until(lambda query=query: cls.prometheus.value(query), "two scrapes of the live program")

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.close()
        cls.server.shutdown()
        cls.server.server_close()
        code = cls.live.close()
        cls.folder.cleanup()
        if code != 0:
            raise AssertionError(f"the live program ends with {code}")

    @classmethod
    def rounds_of(cls, job):
        """How many different scrapes of it are kept. A scrape that is refused leaves none."""
        return cls.prometheus.value(last(f'{COUNT}{{job="{job}", cmd_stream_command_status="FAILED"}}') + " / 3") or 0

    def value_of(self, name, job):
        return self.prometheus.value(last(f'{name}{{job="{job}"}}'))

    def quantile_of(self, share, name, job):
        # rate() takes native histograms as well, which last_over_time() of this Prometheus does not.
        return self.prometheus.value(f'histogram_quantile({share}, rate({name}{{job="{job}"}}[1h]))')

    def test_prometheus_finds_every_target_up(self):
        up = {labels["job"]: value for labels, value in self.prometheus.vector("max_over_time(up[1h])")}
        self.assertEqual(up, dict.fromkeys(self.jobs, 1.0))
        self.assertIn("application/vnd.google.protobuf", Handler.accepted["native"])

    def test_prometheus_keeps_every_sample(self):
        counts = self.prometheus.vector("max_over_time(scrape_samples_scraped[1h])")
        counts = {labels["job"]: value for labels, value in counts}
        lines = [line for line in samples("text", 1).splitlines() if not line.startswith(b"#")]
        self.assertEqual(counts["text"], len(lines))
        self.assertEqual(counts["open"], len(lines))
        self.assertEqual(counts["native"], 9)

    def test_prometheus_reads_the_values(self):
        for job in FORMATS:
            with self.subTest(job=job):
                name = 'a "hostile\\ name\n?[31m\ufffd'
                (labels, value), = self.prometheus.vector(
                    last(f'{COUNT}{{job="{job}", cmd_stream_command_status="OK"}}'))
                self.assertEqual(labels["cmdstream_name"], name)
                self.assertEqual(labels["cmd_stream_command_type"], "calc_add")
                self.assertEqual(value % 100, 0)
                self.assertEqual(self.value_of("cmdstream_connections", job), 7)
                self.assertGreaterEqual(self.value_of("cmdstream_shard_busy_seconds_total", job), ROUNDS * 0.25)

    def test_prometheus_finds_quantiles_in_text(self):
        for job in ("text", "open"):
            with self.subTest(job=job):
                half = self.quantile_of(0.5, DURATION + "_bucket", job)
                self.assertGreater(half, 2 ** -16)  # 20 us, within a factor of two.
                self.assertLessEqual(half, 2 ** -15)
                late = self.quantile_of(0.995, DURATION + "_bucket", job)
                self.assertGreater(late, 2 ** -7)  # 10 ms.
                self.assertLessEqual(late, 2 ** -6)
                size = self.quantile_of(0.5, SIZE + "_bucket", job)
                self.assertGreater(size, 16)
                self.assertLessEqual(size, 64)

    def test_prometheus_finds_quantiles_in_native_histograms(self):
        for share, value in ((0.25, 20e-6), (0.7, 21e-6), (0.85, 100e-6), (0.95, 1e-3), (0.999, 10e-3)):
            with self.subTest(share=share):
                # Within its bucket, of 2^(1/8): one beside it would be out of this.
                found = self.quantile_of(share, DURATION, "native")
                self.assertLess(abs(found / value - 1), 2 ** (1 / 8) - 1)
        for share, bound in ((0.3, 32), (0.9, 4096)):
            with self.subTest(share=share):
                found = self.quantile_of(share, SIZE, "native")
                self.assertGreater(found, bound / 2)
                self.assertLessEqual(found, bound)

    def test_prometheus_counts_native_histograms(self):
        count = prometheus.until(lambda: self.prometheus.value(f'histogram_count({DURATION}{{job="native"}})'),
                                 "native histogram")
        self.assertEqual(count % 100, 0)
        together = self.prometheus.value(f'histogram_quantile(0.25, sum(rate({DURATION}{{job="native"}}[1h])))')
        self.assertLess(abs(together / 20e-6 - 1), 2 ** (1 / 8) - 1)

    def test_prometheus_keeps_exemplars(self):
        now = time.time()
        for job, query in (("open", f'{DURATION}_bucket{{job="open"}}'), ("native", f'{DURATION}{{job="native"}}')):
            with self.subTest(job=job):
                # Its time is that of the sample, long ago.
                found = self.prometheus.ask("query_exemplars", query=query, start=0, end=now)
                (series), = found
                self.assertEqual(series["exemplars"][0]["labels"],
                                 {"trace_id": TRACE, "span_id": "00f067aa0ba902b7"})
                self.assertEqual(float(series["exemplars"][0]["value"]), 0.01)
                if job == "open":
                    self.assertEqual(series["seriesLabels"]["le"], "0.015625")

    def test_prometheus_knows_types_and_units(self):
        for job, count in (("text", COUNT), ("open", COUNT.removesuffix("_total")), ("native", COUNT)):
            with self.subTest(job=job):
                known = {one["metric"]: one for one in self.prometheus.ask(
                    "targets/metadata", match_target=f'{{job="{job}"}}')}
                self.assertEqual(known[count]["type"], "counter")
                self.assertEqual(known[count]["help"], "Number of server commands.")
                self.assertEqual(known[DURATION]["type"], "histogram")
                self.assertEqual(known[DURATION]["help"], 'Duration of "server" commands.')
                self.assertEqual(known["cmdstream_connections"]["type"], "gauge")
                self.assertEqual(known[DURATION]["unit"], "seconds" if job == "open" else "")

    def test_promtool_takes_the_rules_for_alerts(self):
        done = subprocess.run([PROMTOOL, "check", "rules", ALERTS], capture_output=True, text=True,
                              timeout=prometheus.PATIENCE_S, check=False)
        self.assertEqual((done.returncode, "5 rules found" in done.stdout), (0, True), done.stdout + done.stderr)

    def test_alerts_fire_when_they_should_and_not_when_not(self):
        done = subprocess.run([PROMTOOL, "test", "rules", pathlib.Path(__file__).parent / "alerts_test.yml"],
                              capture_output=True, text=True, timeout=prometheus.PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_series_that_alerts_ask_for_are_there(self):
        names = set(re.findall(r"\bcmd_?stream_[a-z_]+(?=[{\[])", ALERTS.read_text(encoding="utf-8")))
        self.assertEqual(len(names), 8, names)
        for name in sorted(names):
            with self.subTest(name=name):
                prometheus.until(lambda name=name: self.prometheus.vector(name), "data for it")

    def test_promtool_has_no_complaint(self):
        for name, text in (("by hand", samples("text", 1)), ("live", self.live.samples(FORMATS["text"][0]))):
            with self.subTest(name):
                done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True,
                                      timeout=prometheus.PATIENCE_S, check=False)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_prometheus_reads_a_live_runtime(self):
        (labels, value), = self.prometheus.vector(last('cmdstream_server_commands_received_total{job="live"}'))
        self.assertEqual(labels["cmdstream_name"], "live")
        self.assertEqual(value % 20, 0)
        self.assertGreaterEqual(value, 40)
        (labels, _), = self.prometheus.vector(last(f'{COUNT}{{job="live"}}'))
        self.assertEqual((labels["cmd_stream_command_type"], labels["cmd_stream_command_status"]), ("live_add", "OK"))
        received = last('cmdstream_server_commands_received_total{job="live"}')
        for name in ("cmdstream_client_commands_sent_total", COUNT, DURATION + "_count", SIZE + "_count",
                     "cmd_stream_server_result_count_total"):
            with self.subTest(name=name):  # In one query: between two there may be a scrape.
                self.assertEqual(self.prometheus.value(last(f'{name}{{job="live"}}') + " - on () " + received), 0)
        self.assertGreater(self.value_of("process_start_time_seconds", "live"), 1e9)

    def test_prometheus_scrapes_cmdstream_admin(self):
        if not self.live.admin:
            self.skipTest("this build is without cmdstream_admin")
        # It asks for native histograms first, of everybody, and that is what admin gives it.
        for name, job in (("cmdstream_turn_duration_seconds", "admin"),
                          ("cmdstream_turn_duration_seconds_bucket", "live")):
            def seconds(name=name, job=job):
                value = self.quantile_of(0.5, name, job)
                return value is not None and value > 0  # NaN, while no turn is between two scrapes.

            prometheus.until(seconds, f"turn in {job}")
        self.assertGreater(self.value_of("cmdstream_server_commands_received_total", "admin"), 0)

    # ---- The dashboard -------------------------------------------------------------------------
    def test_dashboard_queries_find_data(self):
        without_data = [chosen(words, ".*") for words in WITHOUT_DATA]
        for title, query in panels():
            with self.subTest(panel=title, query=query):
                query = chosen(query, ".*")
                if any(words in query for words in without_data):
                    self.prometheus.vector(query)
                else:  # A gauge has none while the last scrape is one that came too late.
                    prometheus.until(lambda query=query: self.prometheus.vector(query), "data for it")

    def test_dashboard_shows_durations_of_either_kind(self):
        queries = [query for title, query in panels() if title == "Duration, p50" and "server" in query]
        self.assertEqual(len(queries), 1)
        for job, low, high in (("text", 2 ** -16, 2 ** -15), ("native", 19e-6, 22e-6)):
            with self.subTest(job=job):
                value = self.prometheus.value(chosen(queries[0], job))
                self.assertGreater(value, low)
                self.assertLess(value, high)
        slow = chosen(queries[0].replace("$per_second", "1000"), "text")
        self.assertLess(self.prometheus.value(slow), 2 ** -15 / 1000)

    def test_dashboard_variables_have_values(self):
        variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
        queries = {one["name"]: one["query"]["query"] for one in variables if one["type"] == "query"}
        self.assertEqual(set(queries), {"job", "instance", "type"})
        for name, query in queries.items():
            with self.subTest(name=name):
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
                found = self.prometheus.ask(f"label/{label}/values", **{"match[]": chosen(series, ".*")})
                wanted = {"job": "live", "instance": self.instance, "type": "calc_add"}[name]
                self.assertIn(wanted, found)


if __name__ == "__main__":
    unittest.main()
