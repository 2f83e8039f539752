# SPDX-License-Identifier: MIT
"""The pages in a real browser: figures that live, histograms that are drawn, nothing that it complains of. Skipped,
loudly, where no Chromium is to be had."""
import sys
import unittest

import browser
import pages
from pages import peer

LOOKS = "Number(document.body?.dataset.looks || 0)"  # How often the page has looked so far.


class InABrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = pages.Server("--shards", 2, "--admin-changes", "--drain-ms", 600000,
                                  admin="127.0.0.1:0", listen="127.0.0.1:0")
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.server.stop()

    def open(self, path):
        self.browser.open(f"http://{self.server.admin}{path}")
        self.assertTrue(self.browser.until(f"location.pathname === '{path}' && {LOOKS} > 0"), path)
        self.assertEqual(self.browser.run("document.querySelector('.state').innerText"), "live")

    def tearDown(self):
        # A favicon is asked for by the browser itself.
        problems = [problem for problem in self.browser.problems if "favicon" not in problem]
        self.browser.problems.clear()
        self.assertEqual(problems, [])

    def test_figures_live(self):
        self.open("/status")
        commands = "[...document.querySelectorAll('table')][0].rows[1].cells.length"
        self.assertGreater(self.browser.run(commands), 5)
        first = self.browser.run("document.querySelector('main').innerText")
        with self.server.connect() as link:
            self.assertTrue(peer.echoes(link, 1))
            self.assertTrue(self.browser.until(
                f"document.querySelector('main').innerText !== {first!r} && {LOOKS} > 1"))
            connections = "[...document.querySelectorAll('.fact')].find(f => f.innerText.startsWith('connections')).innerText"
            self.assertTrue(self.browser.until(f"{connections}.endsWith('1')"))
        self.assertTrue(self.browser.until(f"{connections}.endsWith('0')"))

    def test_a_histogram_is_drawn_of_the_type_that_is_chosen(self):
        with self.server.connect() as link:
            self.assertTrue(peer.echoes(link, 1))
            link.sendall(peer.stream(2, 1, 1))
            peer.read_frame(link)
        self.open("/status")
        titles = "[...document.querySelectorAll('section h2')].map(h2 => h2.innerText).join()"
        for kind in ("stream", "echo"):
            self.browser.run(f"[...document.querySelectorAll('tr.can-choose')].find(tr => tr.innerText.includes('{kind}')).click()")
            self.assertTrue(self.browser.until(f"{titles}.includes('command_{kind}: how long it takes')"), kind)
        self.assertTrue(self.browser.until("document.querySelectorAll('.chart rect.all').length > 0"))
        self.assertTrue(self.browser.until("[...document.querySelectorAll('.chart rect.all')].every("
                                           "rect => Number(rect.getAttribute('height')) > 0)"))

    def test_every_page_of_the_bar_shows_what_its_json_says(self):
        self.open("/status")
        paths = self.browser.run("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
        self.assertLessEqual({"/status", "/metrics", "/connections", "/calls", "/profile"}, set(paths))
        link = self.server.connect()
        link.sendall(peer.sleep(1, 600000))
        try:
            for path, words in (("/metrics", "cmdstream.server.connections"), ("/connections", "127.0.0.1:"),
                                ("/calls", "sleep"), ("/profile", "cmds-shard-1"), ("/config", "connection_count_max")):
                self.open(path)
                self.assertTrue(self.browser.until(f"document.body.innerText.includes('{words}')"), path)
        finally:
            peer.reset(link)  # One that has merely finished would wait for its answer.

    def test_metrics_may_be_searched(self):
        self.open("/metrics")
        self.browser.run("document.querySelector('input').value = 'SERVER.pings';"
                         "document.querySelector('input').dispatchEvent(new Event('input'))")
        self.assertTrue(self.browser.until("document.querySelectorAll('tbody tr').length === 1"))
        self.assertIn("cmdstream.server.pings_answered", self.browser.text())

    def test_the_level_of_the_log_is_changed_by_a_button(self):
        self.open("/log")
        pressed = "document.querySelector('button[aria-pressed=true]')?.innerText"
        for level in ("error", "warn"):
            self.browser.run(f"[...document.querySelectorAll('.lines button')].find(b => b.innerText === '{level}').click()")
            self.assertTrue(self.browser.until(f"{pressed} === '{level}'"), level)
            self.assertEqual(pages.ask(self.server.admin, "/log?format=json").json(), {"level": level})

    def test_spans_are_a_waterfall_and_text_stays_text(self):
        hostile = "<img src=x onerror='document.hacked=1'>"
        bars = "document.querySelectorAll('.trace .bar rect:not(.rest)').length"
        with pages.Traced() as traced:
            traced.visit(2, hostile)
            traced.visit(0, "short")
            self.browser.open(f"http://{traced.admin}/spans")
            self.assertTrue(self.browser.until(f"location.port === '{traced.admin.split(':')[1]}' && {bars} === 8"))
            self.assertEqual(self.browser.run("document.querySelectorAll('.trace').length"), 2)
            indents = self.browser.run("[...document.querySelectorAll('.trace:last-child .span .name')].map(e => e.style.paddingLeft)")
            self.assertEqual(indents, [f"{14 * depth}px" for depth in range(6)])
            self.browser.run("document.querySelector('.trace:last-child button.span:last-of-type').click()")
            more = "document.querySelector('.more:not([hidden])')?.innerText"
            self.assertTrue(self.browser.until(f"{more}?.includes('is there')"))
            self.assertIn(hostile, self.browser.run(more))
            self.assertTrue(self.browser.until(f"{LOOKS} > 2 && {more}?.includes('is there')"))  # It stays open.
            self.assertIsNone(self.browser.run("document.hacked ?? null"))
            self.browser.run("[...document.querySelectorAll('.filters button')].find(b => b.innerText === 'client').click()")
            self.assertTrue(self.browser.until(f"{bars} === 4 && location.search === '?kind=client'"))
            self.browser.run("document.querySelector('.trace a').click()")
            self.assertTrue(self.browser.until("location.search.startsWith('?trace=') && document.querySelectorAll('.trace').length === 1"))
            self.open("/status")

    def test_sampling_is_changed_by_a_button(self):
        with pages.Traced() as traced:
            self.browser.open(f"http://{traced.admin}/sampling")
            button = "document.querySelector('button[data-name=ratio][data-value=\"0.01\"]')"
            self.assertTrue(self.browser.until(f"{button} && !{button}.disabled"))
            self.browser.run(f"{button}.click()")
            self.assertTrue(self.browser.until(f"{button}.getAttribute('aria-pressed') === 'true'"))
            now = pages.ask(traced.admin, "/sampling?format=json").json()
            self.assertEqual((now["ratio"], now["after"]["ratio"], now["for"] > 0), (0.01, 1, True))
            self.assertTrue(self.browser.until("document.body.innerText.includes(', then 100 %')"))
            self.browser.run("document.querySelector('select').value = '0'; " + button.replace("0.01", "0.1") + ".click()")
            self.assertTrue(self.browser.until("!document.body.innerText.includes(', then ')"))
            now = pages.ask(traced.admin, "/sampling?format=json").json()
            self.assertEqual((now["ratio"], now["for"]), (0.1, 0))
            self.open("/status")

    def test_it_is_dark_where_it_is_wanted_so(self):
        colour = "getComputedStyle(document.body).backgroundColor"
        self.open("/status")
        self.browser.dark(False)
        light = self.browser.run(colour)
        self.browser.dark(True)
        self.assertNotEqual(self.browser.run(colour), light)
        self.browser.dark(False)

    def test_a_pause_stops_looking_and_a_drain_is_asked_for_and_told(self):
        self.open("/status")
        self.browser.run("[...document.querySelectorAll('button')].find(b => b.innerText === 'pause').click()")
        self.assertEqual(self.browser.run("document.querySelector('.state').innerText"), "paused")
        self.browser.run("[...document.querySelectorAll('button')].find(b => b.innerText === 'go on').click()")
        with pages.Server("--shards", 1, "--admin-changes", "--drain-ms", 600000, admin="127.0.0.1:0",
                          listen="127.0.0.1:0") as other:
            link = other.connect()
            link.sendall(peer.echo(1) + peer.sleep(2, 600000))
            peer.read_frame(link)
            self.browser.open(f"http://{other.admin}/status")
            self.assertTrue(self.browser.until(
                f"location.port === '{other.admin.split(':')[1]}' && document.querySelector('button.danger') && {LOOKS} > 0"))
            self.browser.run("window.confirm = () => true; document.querySelector('button.danger').click()")
            self.assertTrue(self.browser.until("!document.querySelector('.notice').hidden"))
            self.assertEqual(pages.ask(other.metrics, "/readyz").status, 503)
            self.open("/status")  # A page of the one that ends would go on asking for figures.
            peer.reset(link)


if __name__ == "__main__":
    try:
        browser.Browser().close()
    except browser.NoBrowser as error:
        print(f"***** SKIPPED: the pages are not tried in a browser: {error} *****")
        sys.exit(77)
    pages.main()
