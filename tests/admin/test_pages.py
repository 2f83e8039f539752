# SPDX-License-Identifier: MIT
"""What the pages say, in each of their forms; that a drain is told first, and that nothing secret is told."""
import json
import os
import re
import signal
import time
import unittest

import pages
from pages import ask, peer

FORMS = ("text", "json", "html")
KINDS = {"text": "text/plain; charset=utf-8", "json": "application/json", "html": "text/html; charset=utf-8"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = pages.Server("--shards", 2)
        cls.paths = [page["path"] for page in ask(cls.server.admin, "/?format=json").json()["pages"] if not page["is_change"]]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_each_page_has_three_forms(self):
        self.assertIn("/status", self.paths)
        for path in self.paths:
            for form in FORMS:
                answer = ask(self.server.admin, f"{path}?format={form}")
                kind = KINDS[form] if (path, form) != ("/metrics", "text") else "text/plain; version=0.0.4; charset=utf-8"
                self.assertEqual((answer.status, answer.headers["content-type"]), (200, kind), path)
                self.assertGreater(len(answer.body), 10)
                if form == "json":
                    self.assertIsInstance(answer.json(), dict)
            self.assertEqual(ask(self.server.admin, f"{path}?format=xml").status, 400)

    def test_who_asks_gets_the_form_that_it_likes(self):
        for accept, form in ((None, "text"), ("*/*", "text"), (BROWSER, "html"), ("application/json", "json"),
                             ("application/json;q=0.9, text/*;q=0.1", "json"), ("image/png", "text")):
            for path in self.paths:
                answer = ask(self.server.admin, path, headers={"Accept": accept})
                self.assertEqual(answer.headers["content-type"].split(";")[0], KINDS[form].split(";")[0], accept)

    def test_a_head_has_no_body(self):
        with pages.connect(self.server.admin) as link:
            link.sendall(pages.request("/status", method="HEAD"))
            head, body = pages.end_of(link).split(b"\r\n\r\n", 1)
            self.assertIn(b"200 OK", head)
            self.assertEqual(body, b"")

    def test_a_connection_serves_many(self):
        with pages.connect(self.server.admin) as link:
            for _ in range(20):
                link.sendall(pages.request("/status?format=json", headers={"Connection": None}))
                self.assertEqual(pages.read_answer(link).json()["pid"], self.server.pid)
            link.sendall(5 * pages.request("/status", headers={"Connection": None}))
            for _ in range(5):
                self.assertEqual(pages.read_answer(link).status, 200)

    def test_status_says_what_runs(self):
        status = ask(self.server.admin, "/status?format=json").json()
        self.assertEqual((status["pid"], status["shard_count"], status["draining"]), (self.server.pid, 2, False))
        self.assertIn("io_uring", status["description"])
        self.assertIn(f"pid {self.server.pid}", ask(self.server.admin, "/").text())

    def connections(self):
        return sum(shard["connections"] for shard in ask(self.server.admin, "/status?format=json").json()["shards"])

    def test_status_adds_up_to_what_was_sent(self):
        before = ask(self.server.admin, "/status?format=json").json()
        with self.server.connect() as link:
            link.sendall(b"".join(peer.echo(i) for i in range(1, 301)))
            for i in range(1, 301):
                self.assertEqual(peer.read_frame(link)[0], i)
            self.assertTrue(peer.until(lambda: self.connections() == 1))
            now = ask(self.server.admin, "/status?format=json").json()
        for name, by in (("commands", 300), ("results", 300), ("recv_bytes", 300 * len(peer.echo(1)))):
            grown = sum(shard[name] for shard in now["shards"]) - sum(shard[name] for shard in before["shards"])
            self.assertGreaterEqual(grown, by, name)
            self.assertLess(grown, by + 1000, name)
        self.assertEqual([shard["shard"] for shard in now["shards"]], [0, 1])
        was, is_now = ({type["type"]: type for type in status["types"]}.get("command_echo", {"count": 0, "failed": 0})
                       for status in (before, now))
        self.assertEqual((is_now["count"] - was["count"], is_now["failed"] - was["failed"]), (300, 0))
        self.assertEqual(is_now["durations"]["count"], is_now["count"])
        self.assertIn("command_echo", ask(self.server.admin, "/status").text())
        turns = now["turns"]
        self.assertEqual(turns["count"], sum(turns["buckets"]) + turns["zero_count"])
        self.assertGreater(turns["count"], 0)
        self.assertLessEqual(turns["p50_s"], turns["max_s"])

    def test_status_is_up_since_its_process_began(self):
        metrics = ask(self.server.admin, "/metrics?format=text").text()
        began = float(re.search(r"^process_start_time_seconds (\S+)", metrics, re.M)[1])
        tick, before = 0.02, time.time()
        now = began + ask(self.server.admin, "/status?format=json").json()["uptime_s"]
        self.assertLess(before - tick, now)
        self.assertLess(now, time.time() + tick)

    def test_text_of_status_is_since_the_last_look_at_it(self):
        with pages.Server("--shards", 1) as server:
            self.assertIn("Since the start, ", ask(server.admin, "/").text())
            ask(server.admin, "/?format=json")
            self.assertIn("Since the last look, ", ask(server.admin, "/status").text())
            table = ask(server.admin, "/status").text().split("\n\n")[1].splitlines()
            self.assertEqual((table[1].split()[:2], table[2].split()[0]), (["shard", "busy"], "0"))

    def test_text_of_status_has_no_time_of_what_did_not_happen(self):
        with pages.Server("--shards", 1) as server, server.connect() as link:
            self.assertTrue(peer.echoes(link, 1))
            self.assertTrue(peer.until(lambda: sum(  # JSON is no look.
                type["durations"]["count"] for type in ask(server.admin, "/?format=json").json()["types"]) == 1))

            def times():
                row = next(line for line in ask(server.admin, "/").text().splitlines() if line.startswith("command_echo"))
                return [re.split(" {2,}", part.strip())[-4:] for part in row.split("|")]
            since, ever = times()
            self.assertEqual(since, ever)
            self.assertRegex(ever[3], "^[0-9.]+ [num]?s$")
            self.assertTrue(peer.until(lambda: times()[0] == ["-", "-", "-", "-"]))
            self.assertEqual(times()[1], ever)

    def test_no_page_tells_what_is_secret(self):
        canary = "CaNaRy7531"
        with pages.Server("--shards", 1, "--server-info", canary, environment={"CANARY": canary},
                          listen="127.0.0.1:0") as server:
            link = peer.connect(server.address, server_info=False)
            link.sendall(peer.sleep(1, 600000, canary.encode()))
            self.assertTrue(peer.until(lambda: ask(server.admin, "/calls?format=json").json()["count"] == 1))
            for address, paths in ((server.admin, self.paths + ["/nothing"]), (server.metrics, ["/metrics", "/readyz"])):
                for path in paths:
                    for form in FORMS:
                        self.assertNotIn(canary, ask(address, f"{path}?format={form}").text(), path)
            peer.reset(link)

    def test_connections_says_who_is_there(self):
        with self.server.connect() as link:
            link.sendall(peer.sleep(1, 600000) + peer.sleep(2, 600000))
            self.assertTrue(peer.until(lambda: ask(self.server.admin, "/calls?format=json").json()["count"] == 2))
            listed = ask(self.server.admin, "/connections?format=json").json()
            self.assertEqual((listed["count"], len(listed["connections"])), (1, 1))
            one = listed["connections"][0]
            self.assertEqual((one["side"], one["stage"], one["in_flight"], one["paused"]), ("server", "open", 2, []))
            self.assertGreaterEqual(one["recv_bytes"], len(peer.sleep(1, 600000)) * 2)
            text = ask(self.server.admin, "/connections").text().splitlines()
            self.assertEqual((text[0], len(text)), ("1 connection", 3))
            self.assertIn("server", text[2])
            self.assertEqual(ask(self.server.admin, "/connections?limit=0").text().splitlines()[0], "0 of 1 connection")
        self.assertTrue(peer.until(lambda: ask(self.server.admin, "/connections?format=json").json()["count"] == 0))

    def test_calls_says_what_waits_the_oldest_first(self):
        with self.server.connect() as link:
            for sequence in (1, 2, 3):
                link.sendall(peer.sleep(sequence, 600000))
                self.assertTrue(peer.until(
                    lambda: ask(self.server.admin, "/calls?format=json").json()["count"] == sequence))  # pylint: disable=cell-var-from-loop
            calls = ask(self.server.admin, "/calls?format=json&limit=2").json()
            self.assertEqual([call["sequence"] for call in calls["calls"]], [1, 2])
            self.assertEqual((calls["count"], calls["calls"][0]["stage"]), (3, "kept"))
            self.assertGreaterEqual(calls["calls"][0]["age_us"], calls["calls"][1]["age_us"])
            self.assertIn("sleep", calls["calls"][0]["type"])
            text = ask(self.server.admin, "/calls").text().splitlines()
            self.assertEqual((text[0], len(text)), ("3 calls", 5))
        self.assertTrue(peer.until(lambda: ask(self.server.admin, "/calls?format=json").json()["count"] == 0))

    def test_a_limit_is_a_number(self):
        for path in ("/connections", "/calls"):
            for limit in ("", "x", "-1", "1x", "100001", "99999999999999999999"):
                self.assertEqual(ask(self.server.admin, f"{path}?limit={limit}").status, 400, limit)

    def test_a_parameter_that_a_page_does_not_know_is_named_beside_those_that_it_has(self):
        has = {"/metrics": "by, empty, milliseconds, format", "/connections": "limit, format", "/calls": "limit, format",
               "/spans": "trace, type, kind, failed, min_us, order, limit, format"}
        for path in self.paths:
            for query, name in (("limt=1", "limt"), ("nothing", "nothing"), ("format=json&Format=json", "Format"),
                                ("%1b%5b31m=1", "?[31m"), (100 * "x" + "=1", 64 * "x")):
                answer = ask(self.server.admin, f"{path}?{query}")
                self.assertEqual((answer.status, answer.text()),
                                 (400, f"{name} is no parameter of this page; it has {has.get(path, 'format')}.\n"))
                self.assertEqual(answer.headers["content-type"], KINDS["text"])
        self.assertEqual(ask(self.server.admin, "/status?&").status, 200)
        self.assertEqual(ask(self.server.metrics, "/metrics?limit=1").text(),
                         "limit is no parameter of this page; it has by, empty, milliseconds, format.\n")
        with pages.Server("--shards", 1, "--admin-changes") as server:
            answer = ask(server.admin, "/log?level=debug", method="POST", headers=pages.JSON, body=b'{"level":"debug"}')
            self.assertEqual((answer.status, answer.text()), (400, "level is no parameter of this page; it has none.\n"))
        for path in ("/healthz", "/readyz"):  # Whoever restarts a service by these may add what it likes.
            self.assertEqual(ask(self.server.metrics, f"{path}?verbose").status, 200)

    def test_config_has_what_was_given_and_the_defaults_of_what_was_not(self):
        with pages.Server("--shards", 1, "--max-in-flight", 77, "--exec-timeout-ms", 4321, "--workers", 3,
                          "--server-info", "CaNaRy") as server:
            objects = ask(server.admin, "/config?format=json").json()["objects"]
            self.assertEqual([one["object"] for one in objects], ["runtime", "server"])
            runtime, of_server = ({option["name"]: option["value"] for option in one["options"]} for one in objects)
            self.assertEqual((runtime["shard_count"], runtime["pool_thread_count"], runtime["buffer_size"]), (1, 3, 32768))
            self.assertEqual((of_server["in_flight_max"], of_server["exec_timeout_ms"], of_server["backlog"]), (77, 4321, 4096))
            self.assertEqual((of_server["listen"], of_server["server_info"], of_server["tls"]), (server.address, "set", "not set"))
            self.assertIs(of_server["reuse_port"], False)
            text = ask(server.admin, "/config").text()
            self.assertRegex(text, r"in_flight_max +77\n")
            self.assertNotIn("CaNaRy", text)
        with pages.Server("--shards", 1) as server:
            self.assertRegex(ask(server.admin, "/config").text(), r"exec_timeout_ms +never\n")
            self.assertRegex(ask(server.admin, "/config").text(), r"trace +not set\n")

    def test_config_says_in_words_what_a_number_stands_for(self):
        with pages.Server("--shards", 1, "--spans", 16, "--log-level", "info") as server:
            runtime, of_server = ({option["name"]: option["value"] for option in one["options"]}
                                  for one in ask(server.admin, "/config?format=json").json()["objects"])
            self.assertEqual((runtime["log_level"], runtime["telemetry.off"], runtime["trace"]), ("info", "nothing", "set"))
            self.assertEqual((runtime["trace.span_count"], runtime["trace.root_ratio"]), (16, 1))
            self.assertEqual((of_server["overflow"], of_server["slow_reader"]), ("refuse", "close"))
            text = ask(server.admin, "/config").text()
            for line in (r"log_level +info", r"trace\.root_ratio +1", r"trace\.span_count +16", r"overflow +refuse"):
                self.assertRegex(text, line + r"\n")

    def test_the_level_of_the_log_is_changed_where_that_is_allowed(self):
        def post(body):
            return ask(server.admin, "/log", method="POST", headers=pages.JSON, body=body)
        body = b'{"level":"warn"}'
        self.assertEqual(ask(self.server.admin, "/log", method="POST", headers=pages.JSON, body=body).status, 403)
        with pages.Server("--shards", 1, "--admin-changes") as server:
            for level in ("debug", "error", "info", "warn"):
                answer = post(b' { "level" : "%s" } ' % level.encode())
                self.assertEqual((answer.status, answer.json()), (200, {"level": level}))
                self.assertEqual(ask(server.admin, "/log?format=json").json(), {"level": level})
                self.assertIn(f"level: {level}", ask(server.admin, "/log").text())
            self.assertEqual(post(b'{"level":"warning"}').json(), {"level": "warn"})  # As syslog says.
            for wrong in (b"", b"{}", b'{"level":"loud"}', b'{"level":7}', b'{"level":"debug","x":"y"}', b'{"level":"debug"',
                          b'{"level":"de\\u0062ug"}', b'{"LEVEL":"debug"}', b'{"level":"debug"}x', b'{"level":"debug\0"}',
                          b'{"level":"' + 500 * b"d" + b'"}', b'["debug"]', b'{"level":" debug"}'):
                self.assertEqual(post(wrong).status, 400, wrong)
            self.assertEqual(ask(server.admin, "/log?format=json").json(), {"level": "warn"})
            answer = ask(server.admin, "/log", method="PUT", headers=pages.JSON, body=body)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD, POST"))

    def test_each_change_is_a_line_of_the_log(self):
        def post(path, body):
            return ask(server.admin, path, method="POST", headers=pages.JSON, body=body).status

        def lines():
            records = [json.loads(line) for line in server.log().splitlines()]
            return [record for record in records if record["attributes"]["cmdstream.reason"] == "admin"]
        with pages.Server("--shards", 1, "--spans", 16, "--admin-changes", "--log", "json", "--log-level", "info") as server:
            who = f"unix:pid {os.getpid()}, uid {os.geteuid()}"
            for path, body, text in (
                    ("/log", b'{"level":"warn"}', "log level from info to warn"),
                    ("/log", b'{"level":"error"}', "log level from warn to error"),  # By the old one.
                    ("/log", b'{"level":"debug"}', "log level from error to debug"),
                    ("/log", b'{"level":"debug"}', None),
                    ("/log", b'{"level":"loud"}', None),
                    ("/sampling", b'{"ratio":0.25}', "sampling from ratio 1, rate 1000 to ratio 0.25, rate 1000, for 10m00s"),
                    ("/sampling", b'{"rate":7,"for":0}', "sampling from ratio 0.25, rate 1000 to ratio 0.25, rate 7, for ever"),
                    ("/sampling", b'{"ratio":2}', None),
                    ("/drain", b'{"x":1}', None),
                    ("/drain", b"{}", "drain")):
                before = len(lines())
                post(path, body)
                self.assertEqual([line["body"] for line in lines()[before:]], [f"{who}: admin: {text}"] if text else [], body)
            self.assertEqual({line["severity_text"] for line in lines()}, {"WARN"})
            for line in lines():  # Of no shard and of no address.
                self.assertEqual(set(line["attributes"]), {"cmdstream.reason"})
        with pages.Server("--shards", 1, "--admin-changes", admin="127.0.0.1:0") as server:
            self.assertEqual(post("/log", b'{"level":"error"}'), 200)
            self.assertRegex(server.log(), r"warn: 127\.0\.0\.1:\d+: admin: log level from warn to error\n")

    def test_profile_names_the_threads_of_the_shards(self):
        profile = ask(self.server.admin, "/profile?format=json").json()
        shards = [str(thread["tid"]) for thread in profile["threads"] if thread["name"].startswith("cmds-shard-")]
        self.assertEqual(len(shards), 2)
        for line in profile["commands"][:3]:
            self.assertIn(",".join(shards), line)
        self.assertIn(str(self.server.pid), profile["commands"][3])
        text = ask(self.server.admin, "/profile").text()
        for line in profile["commands"]:
            self.assertIn(line, text)

    def test_the_process_is_healthy_and_ready(self):
        self.assertEqual(ask(self.server.metrics, "/healthz").text(), "ok\n")
        self.assertEqual(ask(self.server.metrics, "/readyz").text(), "ready\n")


class Metrics(unittest.TestCase):
    PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    FORMATS = {  # What is accepted: how the answer's Content-Type begins.
        None: "text/plain; version=0.0.4",
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5": "application/openmetrics-text; version=1.0.0",
        PROTOBUF + ",application/openmetrics-text;version=1.0.0;q=0.8": "application/vnd.google.protobuf",
        "application/json": "application/json"}

    @classmethod
    def setUpClass(cls):
        cls.server = pages.Server("--shards", 2)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def value(self, name, path="/metrics"):
        """Of a metric without labels, in text."""
        lines = ask(self.server.metrics, path).text().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name)

    def test_each_collector_gets_the_format_that_it_asks_for(self):
        for address in (self.server.metrics, self.server.admin):
            for accept, kind in self.FORMATS.items():
                answer = ask(address, "/metrics", headers={"Accept": accept})
                self.assertEqual(answer.status, 200)
                self.assertTrue(answer.headers["content-type"].startswith(kind), accept)
                self.assertIn(b"cmdstream", answer.body)
        text = ask(self.server.metrics, "/metrics", headers={"Accept": "application/openmetrics-text"}).text()
        self.assertTrue(text.endswith("# EOF\n"))

    def test_a_help_stands_by_itself(self):
        helps = re.findall(r"^# HELP (\S+) (.*)$", ask(self.server.metrics, "/metrics?empty=1").text(), re.M)
        self.assertGreater(len(helps), 50)
        for name, text in helps:  # Whoever reads one has not read the one before.
            self.assertRegex(text, r"^[A-Za-z\"0-9]", name)
            self.assertNotRegex(text, r"\.\.\.|\bof those\b", name)

    def test_commands_are_counted_to_the_last_one(self):
        before = self.value("cmdstream_server_commands_received_total")
        with self.server.connect() as link:
            link.sendall(b"".join(peer.echo(i) for i in range(1, 501)))
            for i in range(1, 501):
                self.assertEqual(peer.read_frame(link)[0], i)
        self.assertEqual(self.value("cmdstream_server_commands_received_total"), before + 500)
        self.assertEqual(self.value("cmdstream_server_commands_received_total", "/metrics?by=shard"), before + 500)

    def test_numbers_may_be_had_by_shard(self):
        for address in (self.server.metrics, self.server.admin):
            metrics = {metric["name"]: metric["points"] for metric in
                       ask(address, "/metrics?format=json&by=shard").json()["metrics"]}
            shards = [point["labels"]["cmdstream.shard"] for point in metrics["cmdstream.turns"]]
            self.assertEqual(shards, ["0", "1"])
        metrics = {metric["name"]: metric["points"] for metric in
                   ask(self.server.metrics, "/metrics?format=json").json()["metrics"]}
        self.assertEqual(metrics["cmdstream.turns"][0]["labels"], {})

    def test_what_it_does_not_know_is_refused_by_name(self):
        for words, name in (("by=type", "by"), ("empty=yes", "empty"), ("milliseconds=2", "milliseconds"),
                            ("empty", "empty"), ("format=xml", "format")):
            answer = ask(self.server.metrics, f"/metrics?{words}")
            self.assertEqual(answer.status, 400)
            self.assertTrue(answer.text().startswith(name), words)

    def test_what_is_on_may_be_off(self):
        def names(query):
            return {line.rsplit(" ", 1)[0] for line in ask(self.server.metrics, f"/metrics{query}").text().splitlines() if line[0] != "#"}
        self.assertEqual(names("?by=all&empty=0&milliseconds=0"), names(""))
        self.assertGreater(len(names("?empty=1")), len(names("")))

    def test_a_scrape_with_a_parameter_that_means_nothing_is_answered(self):
        scrape = {"X-Prometheus-Scrape-Timeout-Seconds": "10"}
        query = "?match[]=x&collect[]=y&by=shard&verbose"
        self.assertEqual(ask(self.server.metrics, f"/metrics{query}").status, 400)
        answer = ask(self.server.metrics, f"/metrics{query}", headers=scrape)
        self.assertEqual(answer.status, 200)
        self.assertIn('cmdstream_turns_total{cmdstream_shard="1"}', answer.text())
        self.assertEqual(ask(self.server.metrics, "/metrics?by=type", headers=scrape).status, 400)  # It means something.

    def test_metrics_are_told_while_it_drains(self):
        with pages.Server("--shards", 1, "--drain-ms", 600000) as server:
            link = server.connect()
            link.sendall(peer.echo(1) + peer.sleep(2, 600000))
            peer.read_frame(link)
            server.signal(signal.SIGTERM)
            self.assertTrue(peer.until(lambda: ask(server.metrics, "/readyz").status == 503))
            self.assertIn("cmdstream_server_connections 1", ask(server.metrics, "/metrics").text())
            link.close()


class Drain(unittest.TestCase):
    def drain(self, server, begin):
        """A call is in flight; /readyz says 503 while the drain waits for it."""
        link = server.connect()
        link.sendall(peer.echo(1))
        peer.read_frame(link)
        link.sendall(peer.sleep(2, 600000))
        self.assertEqual(ask(server.metrics, "/readyz").status, 200)
        begin()
        self.assertTrue(peer.until(lambda: ask(server.metrics, "/readyz").status == 503))
        self.assertEqual(ask(server.metrics, "/readyz").text(), "draining\n")
        self.assertEqual(ask(server.metrics, "/healthz").status, 200)
        self.assertTrue(ask(server.admin, "/status?format=json").json()["draining"])
        self.assertIn("DRAINING", ask(server.admin, "/status").text())
        self.assertTrue(server.is_alive())
        link.close()  # Nobody waits for the answer any more.
        self.assertEqual(server.process.wait(peer.PATIENCE_S), 0)

    def test_a_signal_turns_readyz_first(self):
        with pages.Server("--shards", 1, "--drain-ms", 600000) as server:
            self.drain(server, lambda: server.signal(signal.SIGTERM))

    def test_a_post_drains_and_a_second_one_does_no_harm(self):
        def post():
            answer = ask(server.admin, "/drain", method="POST", headers=pages.JSON, body=b" {} ")
            self.assertEqual((answer.status, answer.json()), (202, {"drain": "asked for"}))

        def twice():
            post()
            post()
        with pages.Server("--shards", 1, "--drain-ms", 600000, "--admin-changes") as server:
            self.assertIn("/drain", ask(server.admin, "/").text())
            self.drain(server, twice)


class Stalled(unittest.TestCase):
    def test_eight_that_stall_hold_their_places_for_a_while_and_nothing_else(self):
        with pages.Server("--shards", 1) as server:
            stalled = [pages.connect(server.metrics) for _ in range(8)]
            for link in stalled[:4]:
                link.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
            # The commands, and the other listener, do not wait for them; who comes to this one waits a while.
            with server.connect() as link:
                self.assertTrue(peer.echoes(link, 1))
            self.assertEqual(ask(server.admin, "/status").status, 200)
            with pages.connect(server.metrics) as link:
                link.sendall(pages.request("/healthz"))
                self.assertEqual(pages.read_answer(link).status, 200)
            for link in stalled:
                pages.end_of(link)
                link.close()


if __name__ == "__main__":
    pages.main()
