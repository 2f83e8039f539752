# SPDX-License-Identifier: MIT
"""/spans and /sampling: what is kept of traces, in text and JSON, whatever a stranger has written into it; and who begins
a trace, changed while the service runs."""
import re
import unittest

import pages
from pages import ask, peer

HOSTILE = '<script>alert(1)</script>"\'\\ &amp; \x1b[31m \u202e'


class Spans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.traced = pages.Traced()
        cls.traced.visit(2, HOSTILE)
        cls.traced.visit(0, "short")

    @classmethod
    def tearDownClass(cls):
        cls.traced.__exit__()

    def spans(self, query=""):
        answer = ask(self.traced.admin, f"/spans?format=json&{query}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def test_a_trace_is_whole_and_a_look_takes_nothing(self):
        for _ in range(3):
            found = self.spans()
            self.assertEqual((found["kept"], found["count"], len(found["spans"])), (True, 8, 8))
        hops = [span for span in found["spans"] if "short" not in str(span["attributes"])]
        traces = {span["trace_id"] for span in found["spans"]}
        self.assertEqual(len(traces), 2)
        longest = max(traces, key=lambda trace: sum(span["trace_id"] == trace for span in found["spans"]))
        inside = {span["parent_id"]: span for span in self.spans(f"trace={longest}")["spans"]}
        names, at, last = [], "", None
        while at in inside:
            last, at = inside[at], inside[at]["span_id"]
            names.append(last["name"])
        self.assertEqual(names, ["Send visit (trace)", "Invoke visit (trace)"] * 3)
        self.assertEqual([event["name"] for event in last["events"]], ["is there", "result"])
        self.assertEqual(last["attributes"], [{"key": "visit.text", "value": HOSTILE}])
        self.assertTrue(hops)

    def test_it_finds_what_it_is_asked_for(self):
        self.assertEqual(self.spans("kind=client")["count"], 4)
        self.assertEqual(self.spans("kind=server&type=visit")["count"], 4)
        self.assertEqual(self.spans("type=%3Cb%3E")["count"], 0)
        self.assertEqual(self.spans("failed=1")["count"], 0)
        self.assertEqual(self.spans("min_us=1000000000")["count"], 0)
        self.assertEqual(len(self.spans("limit=3")["spans"]), 3)
        slowest = [span["duration_us"] for span in self.spans("order=slowest")["spans"]]
        self.assertEqual(slowest, sorted(slowest, reverse=True))
        ends = [span["start_us"] + span["duration_us"] for span in self.spans()["spans"]]
        self.assertEqual([round(end, 2) for end in ends], [round(end, 2) for end in sorted(ends, reverse=True)])

    def test_what_makes_no_sense_is_refused_by_name(self):
        for query in ("limit=1001", "limit=x", "limit=", "min_us=-1", "failed=yes", "order=oldest", "kind=both", "trace=1",
                      "trace=" + 32 * "0", "trace=" + 32 * "G", "trace=" + 33 * "a"):
            answer = ask(self.traced.admin, f"/spans?{query}")
            self.assertEqual(answer.status, 400, query)
            self.assertIn(query.split("=")[0], answer.text())

    def test_text_is_a_waterfall_without_control_characters(self):
        text = ask(self.traced.admin, "/spans?format=text").text()
        self.assertTrue(text.startswith("8 spans\n\ntrace "))
        self.assertEqual(len(re.findall(r"^trace [0-9a-f]{32}  20\d\d-\d\d-\d\dT", text, re.M)), 2)
        lines = [line for line in text.splitlines() if "visit" in line]
        self.assertEqual(len(lines), 8)
        depths = [len(re.search(r"\|  ( *)(?:Send|Invoke)", line).group(1)) // 2 for line in lines]
        self.assertEqual(sorted(depths), [0, 0, 1, 1, 2, 3, 4, 5])
        self.assertTrue(all(re.search(r"\| *=+ *\|", line) for line in lines))
        self.assertNotIn("\x1b", text)

    def test_one_that_keeps_none_says_so(self):
        with pages.Server("--shards", 1) as server:
            self.assertEqual(ask(server.admin, "/spans?format=json").json(), {"kept": False, "count": 0, "spans": []})
            for path in ("/spans", "/sampling"):
                self.assertRegex(ask(server.admin, path).text(), r"^No spans are kept: cmds_runtime_options\.trace .*--spans N")
            self.assertFalse(ask(server.admin, "/sampling?format=json").json()["kept"])

    def test_a_failure_and_a_full_ring_are_seen(self):
        with pages.Server("--shards", 1, "--spans", 16) as server:
            with server.connect() as link:
                link.sendall(peer.frame(1, 3, b"\x90"))  # fail
                pages.end_of(link)
            self.assertTrue(peer.until(lambda: ask(server.admin, "/spans?format=json&failed=1").json()["count"] == 1))
            with server.connect() as link:
                for sequence in range(1, 41):
                    self.assertTrue(peer.echoes(link, sequence))
            found = ask(server.admin, "/spans?format=json").json()
            self.assertEqual([span["sequence"] for span in found["spans"]], list(range(40, 24, -1)))
            self.assertEqual(ask(server.admin, "/sampling?format=json").json()["dropped"], 25)


class Sampling(unittest.TestCase):
    def test_it_is_changed_where_that_is_allowed(self):
        def post(body, **more):
            return ask(server.admin, "/sampling", method="POST", headers={**pages.JSON, **more}, body=body)

        def now():
            answer = ask(server.admin, "/sampling?format=json").json()
            return answer["ratio"], answer["rate"]
        with pages.Server("--shards", 2, "--spans", 64) as server:
            self.assertEqual(post(b'{"ratio":0}').status, 403)
            self.assertEqual(now(), (1, 1000))
        with pages.Server("--shards", 2, "--spans", 64, "--admin-changes") as server:
            self.assertEqual(post(b'{"ratio":0.25}').json()["ratio"], 0.25)
            self.assertEqual(now(), (0.25, 1000))
            self.assertEqual(post(b' { "rate" : 7 , "ratio" : 1e-1 } ').status, 200)
            self.assertEqual(now(), (0.1, 7))
            self.assertIn("ratio: 0.1\nrate: 7 ", ask(server.admin, "/sampling").text())
            for wrong in (b"", b"{}", b"[]", b'{"ratio":2}', b'{"ratio":-1}', b'{"ratio":"1"}', b'{"rate":1.5}', b'{"rate":1e10}',
                          b'{"ratio":1,"ratio":1}', b'{"ratio":1,}', b'{"ratio":01}', b'{"ratio":.5}', b'{"ratio":1.}',
                          b'{"ratio":nan}', b'{"ratio":1e}', b'{"x":1}', b'{"ratio":1}x', b'{"ratio":' + 40 * b"1" + b"}"):
                self.assertEqual(post(wrong).status, 400, wrong)
            for wrong in (b'{"for":-1}', b'{"for":1.5}', b'{"for":86401}', b'{"ratio":1,"for":"ever"}'):
                self.assertEqual(post(wrong).status, 400, wrong)
            self.assertEqual(post(b'{"ratio":1}', **{"Content-Type": "text/plain"}).status, 415)
            self.assertEqual(now(), (0.1, 7))
            self.assertEqual(post(b'{"ratio":0}').status, 200)
            with server.connect() as link:
                for sequence in range(1, 21):
                    self.assertTrue(peer.echoes(link, sequence))
                self.assertEqual(ask(server.admin, "/spans?format=json").json()["count"], 0)
                self.assertEqual(post(b'{"ratio":1,"rate":1000000}').status, 200)
                for sequence in range(21, 41):
                    self.assertTrue(peer.echoes(link, sequence))
                self.assertEqual(ask(server.admin, "/spans?format=json").json()["count"], 20)

    def test_a_change_goes_back_by_itself_unless_it_is_asked_to_stay(self):
        def post(body):
            return ask(server.admin, "/sampling", method="POST", headers=pages.JSON, body=body).json()
        with pages.Server("--shards", 2, "--spans", 64, "--admin-changes") as server:
            first = ask(server.admin, "/sampling?format=json").json()
            self.assertEqual((first["for"], first["after"]), (0, {"ratio": 1, "rate": 1000}))
            self.assertIn("for: ever\n", ask(server.admin, "/sampling").text())
            asked = post(b'{"ratio":0.1}')
            self.assertTrue(590 < asked["for"] <= 600, asked)
            self.assertEqual(asked["after"], {"ratio": 1, "rate": 1000})
            self.assertRegex(ask(server.admin, "/sampling").text(), r"for: (10m00s|9m5\ds)\nthen: ratio 1, rate 1000\n")
            self.assertEqual(post(b'{"ratio":0.5,"rate":9,"for":1}')["ratio"], 0.5)
            self.assertTrue(peer.until(lambda: ask(server.admin, "/sampling?format=json").json() == first))
            asked = post(b'{"ratio":0.1,"for":0}')
            self.assertEqual((asked["for"], asked["after"]), (0, {"ratio": 0.1, "rate": 1000}))
            self.assertEqual(post(b'{"rate":5,"for":86400}')["after"], {"ratio": 0.1, "rate": 1000})

    def test_one_that_keeps_none_takes_no_change(self):
        with pages.Server("--shards", 1, "--admin-changes") as server:
            answer = ask(server.admin, "/sampling", method="POST", headers=pages.JSON, body=b'{"ratio":1}')
            self.assertEqual(answer.status, 409)


if __name__ == "__main__":
    pages.main()
