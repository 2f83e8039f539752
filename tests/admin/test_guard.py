# SPDX-License-Identifier: MIT
"""Who may ask for a page, and what: the socket's mode, addresses, Host, Origin, methods, hostile requests."""
import os
import re
import socket
import stat
import unittest

import pages
from pages import ask, peer

PRIVATE = ("/", "/status", "/connections", "/calls", "/config", "/log", "/profile")  # What the metrics port does not have.


def refused(*words):
    """`cmdstream serve` does not start. Returns: why."""
    done = peer.subprocess.run([peer.tool(), "serve", "--listen", "127.0.0.1:0", *words], capture_output=True,
                               text=True, timeout=peer.PATIENCE_S, check=False)
    if done.returncode not in (1, 2):
        raise AssertionError(f"{words}: {done.returncode}, {done.stderr}")
    return done.stderr


class Guard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = pages.Server("--shards", 1, admin="127.0.0.1:0")
        cls.unix = pages.Server("--shards", 1, "--admin-changes")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.unix.stop()

    def test_the_socket_is_its_owners_alone(self):
        status = os.stat(self.unix.admin[5:])
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o600)
        self.assertEqual(status.st_uid, os.geteuid())

    def test_the_socket_goes_with_its_server_and_a_stale_one_is_replaced(self):
        with pages.Server("--shards", 1) as server:
            path = server.admin[5:]
            self.assertIn("Address already in use", refused("--admin", server.admin))
            self.assertTrue(os.path.exists(path))
            server.stop()
            self.assertFalse(os.path.exists(path))
        with pages.Server("--shards", 1, may_fail=True) as server:
            server.signal(9)
            server.process.wait()
            with pages.Server("--shards", 1, admin=server.admin) as other:
                self.assertEqual(ask(other.admin, "/status").status, 200)

    def test_a_file_that_is_no_socket_stays(self):
        path = f"{self.unix.folder}/file"
        with open(path, "w", encoding="ascii") as file:
            file.write("mine")
        self.assertIn("Address already in use", refused("--admin", f"unix:{path}"))
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine")

    def test_addresses_that_other_machines_reach_are_refused(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:80"):
            self.assertRegex(refused("--metrics", address),
                             f"other machines reach {re.escape(address)};.*allow_remote.*--metrics-remote")
            for remote in ((), ("--metrics", "127.0.0.1:0", "--metrics-remote")):
                why = refused("--admin", address, *remote)  # No option allows this.
                self.assertIn("other machines reach", why)
                self.assertNotIn("remote is set", why)
        with pages.Server("--shards", 1, "--metrics-remote", metrics="0.0.0.0:0") as server:
            self.assertEqual(ask("127.0.0.1:" + server.metrics.split(":")[1], "/healthz").status, 200)

    def test_what_is_no_address_is_refused_by_name(self):
        for address in ("", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "unix:",
                        "unix:@abstract", "unix:" + 108 * "x", "example.org:80", "[127.0.0.1]:80", 300 * "1" + ":80"):
            self.assertIn("metrics: ", refused("--metrics", address))
        self.assertIn("nowhere: No such file", refused("--admin", "unix:/nowhere/x").replace("/x", ""))

    def test_each_listener_has_its_own_pages_alone(self):
        for path in PRIVATE + ("/drain", "/metricsx", "/healthz/", "//healthz", "/..", ""):
            self.assertIn(ask(self.server.metrics, path or "/?").status, (400, 404), path)
        for path in ("/healthz", "/readyz", "/nothing", "/status/", "/%2e%2e/status"):
            self.assertEqual(ask(self.server.admin, path).status, 404, path)

    def test_a_path_that_there_is_not_is_answered_with_those_that_there_are(self):
        for path in ("/", "/metric", "/status"):
            answer = ask(self.server.metrics, path)
            self.assertEqual((answer.status, answer.text()),
                             (404, "There is no such page; there are /healthz, /readyz, /metrics.\n"))
        self.assertEqual(ask(self.server.admin, "/metric").text(), "There is no such page; / lists those that there are.\n")

    def test_a_port_is_asked_by_a_name_of_this_machine(self):
        port = self.server.admin.split(":")[1]
        for host in ("localhost", "LocalHost", "127.0.0.1", "[::1]", f"localhost:{port}", "127.0.0.1:1"):
            self.assertEqual(ask(self.server.admin, "/status", headers={"Host": host}).status, 200, host)
        for host in ("", "evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example",
                     "localhost:", "localhost:x", "localhost:1:2", "127.0.0.2", "localhost:123456", "[::1", "evil@localhost"):
            for path in PRIVATE:
                self.assertEqual(ask(self.server.admin, path, headers={"Host": host}).status, 403, host)
        self.assertIn(ask(self.server.admin, "/", headers={"Host": None}).status, (400, 403))
        self.assertEqual(ask(self.server.admin, "/", headers={"Host": None}, version="HTTP/1.0").status, 403)
        twice = {"Host": "localhost\r\nHost: evil.example"}
        self.assertIn(ask(self.server.admin, "/", headers=twice).status, (400, 403))

    def test_the_page_of_another_site_may_not_ask(self):
        for origin in ("http://evil.example", "null", "https://localhost", "http://localhost:1"):
            self.assertEqual(ask(self.server.admin, "/", headers={"Origin": origin}).status, 403, origin)
        self.assertEqual(ask(self.server.admin, "/", headers={"Origin": "http://localhost"}).status, 200)

    def test_a_socket_that_ssh_makes_a_port_is_guarded_as_a_port(self):
        for host in ("localhost", "localhost:9465", "127.0.0.1:9465", "[::1]:9465"):
            page = {"Host": host, "Origin": f"http://{host}"}
            self.assertEqual(ask(self.unix.admin, "/status", headers=page).status, 200, host)
        for path in PRIVATE:
            self.assertEqual(ask(self.unix.admin, path, headers={"Host": "evil.example:9465"}).status, 403, path)
        evil = {"Host": "evil.example:9465", "Origin": "http://evil.example:9465", **pages.JSON}
        self.assertEqual(ask(self.unix.admin, "/drain", method="POST", headers=evil, body=b"{}").status, 403)
        evil["Host"] = "localhost:9465"
        self.assertEqual(ask(self.unix.admin, "/drain", method="POST", headers=evil, body=b"{}").status, 403)
        self.assertEqual(ask(self.unix.metrics, "/readyz").status, 200)  # Nothing of this has drained it.

    def test_a_change_is_a_post_of_json_that_is_allowed(self):
        answer = ask(self.server.admin, "/drain", method="POST", headers=pages.JSON, body=b"{}")
        self.assertEqual(answer.status, 403)
        for word in ("cmds_admin_options.allow_changes", "--admin-changes"):
            self.assertIn(word, answer.text())
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post"):
            answer = ask(self.unix.admin, "/drain", method=method, headers=pages.JSON)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"), method)
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                     "application/jsonx", "text/plain; application/json"):
            answer = ask(self.unix.admin, "/drain", method="POST", headers={"Content-Type": kind}, body=b"{}")
            self.assertEqual(answer.status, 415, kind)
        for body in (b'{"a":1}', b"[]", b"{", b"{}{}", b"x", b"{\0}", b"}{"):
            self.assertEqual(ask(self.unix.admin, "/drain", method="POST", headers=pages.JSON, body=body).status, 400, body)
        big = ask(self.unix.admin, "/drain", method="POST", headers=pages.JSON, body=2000 * b" ")
        self.assertEqual(big.status, 413)
        self.assertEqual(ask(self.unix.metrics, "/readyz").status, 200)  # Nothing of this has drained it.

    def test_what_is_read_is_not_posted_to(self):
        for address, paths in ((self.unix.admin, PRIVATE), (self.unix.metrics, ("/healthz", "/readyz", "/metrics"))):
            for path in set(paths) - {"/log"}:
                answer = ask(address, path, method="POST", headers=pages.JSON, body=b"{}")
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"), path)

    def test_what_is_read_is_asked_by_head_too(self):
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(ask(self.unix.metrics, path, method="HEAD").status, 200, path)

    def test_every_answer_forbids_what_a_browser_might_do_with_it(self):
        for path in PRIVATE + ("/metrics", "/nothing"):
            for form in ("text", "json", "html"):
                answer = ask(self.server.admin, f"{path}?format={form}")
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertEqual(answer.headers["cache-control"], "no-store")
                policy = answer.headers["content-security-policy"]
                self.assertIn("default-src 'none'", policy)
                self.assertIn("frame-ancestors 'none'", policy)
                self.assertNotIn("unsafe", policy)
                self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_a_page_for_a_browser_asks_for_nothing_elsewhere(self):
        text = ask(self.server.admin, "/?format=html").text()
        self.assertEqual(re.findall(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|src=|<link", text), [])
        first = re.findall(r'nonce="(\w{32})"', text)
        again = re.findall(r'nonce="(\w{32})"', ask(self.server.admin, "/?format=html").text())
        self.assertEqual((len(first), len(set(first)), len(set(first + again))), (2, 1, 2))

    def test_hostile_requests_end_and_harm_nobody(self):
        waited_for = (b"\0" * 4096, b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HT", b"",  # What has no end.
                      b"GET /?" + 3000 * b"a&" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")  # More than there is room for.
        hostile = (b"GET " + 100000 * b"/" + b" HTTP/1.1\r\n\r\n",
                   b"GET / HTTP/1.1\r\n" + 2000 * b"X: y\r\n" + b"\r\n", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
                   b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 40000, b": : :\r\n\r\n",
                   b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                   b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                   b"POST /drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
                   b"GET /?format=%zz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                   b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: " + b'"' + 9000 * b",;=q" + b"\r\n\r\n")
        for address in (self.unix.admin, self.unix.metrics, self.server.admin):
            for data in waited_for:
                with pages.connect(address) as link:
                    link.sendall(data)
            for data in hostile:
                with pages.connect(address) as link:
                    try:
                        link.sendall(data)
                        link.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass  # It has ended it already.
                    self.assertNotIn(b" 202 ", pages.end_of(link)[:20], data[:60])
        self.assertEqual(ask(self.unix.admin, "/status").status, 200)
        self.assertEqual(ask(self.server.admin, "/status").status, 200)
        self.assertEqual(ask(self.unix.metrics, "/readyz").status, 200)


if __name__ == "__main__":
    pages.main()
