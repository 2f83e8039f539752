# SPDX-License-Identifier: MIT
"""serve, call and bench over TLS: who gets in and who does not, and what they are told; a certificate
that is renewed while clients are served."""
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

import peer
import program

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHORT = ("--duration", 0.05, "--warmup", 0)
HI = ("echo", '{"string":"hi"}')
WITH_TLS = os.environ.get("CMDSTREAM_TLS") == "1"
FOLDER = None  # Of the certificates.


def setUpModule():
    global FOLDER
    if not WITH_TLS:
        return
    if shutil.which("openssl") is None:
        raise unittest.SkipTest("openssl is missing: scripts/setup")
    FOLDER = tempfile.TemporaryDirectory()
    subprocess.run([ROOT / "scripts/make-certs.sh", FOLDER.name], check=True, stdout=subprocess.DEVNULL)


def tearDownModule():
    if FOLDER is not None:
        FOLDER.cleanup()


def file(name):
    return os.path.join(FOLDER.name, name)


def pair(name):
    return "--tls-cert", file(name + ".pem"), "--tls-key", file(name + ".key")


def serve(*words, certificate="server", **how):
    return peer.Server("--shards", 1, *pair(certificate), *words, **how)


def mutual(*words, **how):
    return serve("--tls-ca", file("ca.pem"), "--tls-require-client-cert", *words, **how)


def call(server, *words, ca="ca"):
    return program.run("call", "--tls", "--tls-ca", file(ca + ".pem"), *words, server.address, *HI)


def shown(server, name="a.example", alpn=(), version=None, certificate=None):
    """What a foreign client sees of the server: its certificate, the ALPN, ServerInfo has come."""
    context = ssl.create_default_context(cafile=file("ca.pem"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.maximum_version = version
    if certificate is not None:
        context.load_cert_chain(file(certificate + ".pem"), file(certificate + ".key"))
    host, port = server.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=peer.PATIENCE_S) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secured:
            if peer.read(secured, len(peer.SERVER_INFO)) != peer.SERVER_INFO:
                raise AssertionError("no ServerInfo")
            return secured.getpeercert(True), secured.selected_alpn_protocol(), secured.version()


def der(name):
    return pathlib.Path(file(name + ".der")).read_bytes()


def load_tests(loader, *_):
    """A build has TLS or has none, as it was asked to."""
    kinds = (Tls, Reload) if WITH_TLS else (Without,)
    return unittest.TestSuite(loader.loadTestsFromTestCase(kind) for kind in kinds)


class Without(unittest.TestCase):
    def test_a_build_without_says_so(self):
        for words in (("serve", "--tls-cert", "a", "--tls-key", "b"), ("serve", "--tls-require-client-cert"),
                      ("call", "--tls", "a", "echo"), ("call", "--tls-ca", "x", "a", "echo"), ("bench", "--tls")):
            done = program.run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("this build has no TLS; ", done.stderr, words)
            self.assertEqual(done.stdout, "", words)


class Tls(unittest.TestCase):
    def good(self, done, text='"string":"hi"'):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(text, done.stdout)

    def refused(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    # ---- Who gets in
    def test_a_call_with_the_right_ca(self):
        with serve() as server:
            self.good(call(server))
            self.good(call(server, "--tls-server-name", "a.example"))
            self.good(call(server, "--tls-min-version", "1.3", "--repeat", 2))
            self.good(call(server, "--tls-alpn", "cmdstream"))  # Of which the server knows nothing.

    def test_every_option_of_a_server_is_taken(self):
        with mutual("--tls-crl", file("ca.crl"), "--tls-min-version", "1.3", "--tls-alpn", "cmdstream",
                    "--tls-ciphers", "TLS_AES_256_GCM_SHA384") as server:
            self.good(call(server, *pair("client"), "--tls-crl", file("ca.crl"), "--tls-alpn", "other,cmdstream",
                           "--tls-ciphers", "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"))
            self.refused(call(server, *pair("client"), "--tls-alpn", "other"), "TLS")
            self.refused(call(server, *pair("client"), "--tls-alpn", "cmdstream",
                              "--tls-ciphers", "TLS_AES_128_GCM_SHA256"), "TLS")

    def test_a_server_says_that_it_has_tls(self):
        for options, words in (((), ", TLS)"), (("--tls-ca", file("ca.pem")), ", TLS)"),
                               (("--tls-ca", file("ca.pem"), "--tls-require-client-cert"), ", mutual TLS)")):
            server = program.start("serve", "--quiet", "--listen", "127.0.0.1:0", *pair("server"), *options,
                                   stdout=subprocess.PIPE, text=True)
            line = server.stdout.readline()
            server.terminate()
            server.communicate()
            self.assertTrue(line.endswith(words + "\n"), line)

    def test_mutual(self):
        with mutual() as server:
            self.good(call(server, *pair("client")))
            self.refused(call(server), "TLS", "certificate")
            self.refused(call(server, *pair("other_ca")), "TLS")
            self.good(call(server, *pair("client")))

    def test_a_certificate_may_be_shown_and_a_wrong_one_is_refused(self):
        with serve("--tls-ca", file("ca.pem")) as server:
            self.good(call(server))
            self.good(call(server, *pair("client")))
            self.refused(call(server, *pair("other_ca")), "TLS")

    def test_a_wrong_ca_a_wrong_name_and_a_revoked_server(self):
        with serve() as server:
            self.refused(call(server, ca="ca_rsa"), "certificate", server.address)
            self.refused(call(server, "--tls-server-name", "b.other"), "b.other", "a.example")
        with serve(certificate="revoked") as server:
            named = ("--tls-server-name", "a.example")
            self.good(call(server, *named))
            self.refused(call(server, *named, "--tls-crl", file("ca.crl")), "revoked")

    def test_without_a_ca_the_system_decides(self):
        with serve() as server:
            self.refused(program.run("call", "--tls", server.address, *HI), "certificate")

    def test_plain_and_tls_do_not_understand_each_other_and_say_so(self):
        with serve() as server:
            self.refused(program.run("call", "--deadline-ms", 500, server.address, *HI), "TLS")
        with peer.Server("--shards", 1) as server:
            self.refused(call(server), "TLS")

    def test_a_unix_socket_needs_a_name(self):
        with tempfile.TemporaryDirectory() as folder, serve(listen=f"unix:{folder}/s") as server:
            self.refused(call(server), "server_name")
            self.good(call(server, "--tls-server-name", "a.example"))

    def test_the_least_version_and_alpn_as_a_foreigner_sees_them(self):
        with serve("--tls-alpn", "cmdstream") as server:
            self.assertEqual(shown(server, alpn=("other", "cmdstream"))[1:], ("cmdstream", "TLSv1.3"))
            self.assertEqual(shown(server, alpn=("cmdstream",), version=ssl.TLSVersion.TLSv1_2)[2], "TLSv1.2")
            with self.assertRaises((ssl.SSLError, OSError, EOFError)):
                shown(server, alpn=("other",))
        with serve("--tls-min-version", "1.3") as server:
            self.assertEqual(shown(server)[2], "TLSv1.3")
            with self.assertRaises((ssl.SSLError, OSError, EOFError)):
                shown(server, version=ssl.TLSVersion.TLSv1_2)

    # ---- What cannot be
    def test_files_that_cannot_be(self):
        with tempfile.TemporaryDirectory() as folder:
            open_to_all = os.path.join(folder, "open.key")
            shutil.copy(file("server.key"), open_to_all)
            os.chmod(open_to_all, 0o644)
            empty = os.path.join(folder, "empty.pem")
            pathlib.Path(empty).write_bytes(b"")
            for words, name in (
                    (("--tls-cert", file("server.pem"), "--tls-key", open_to_all), "open.key"),
                    (("--tls-cert", file("server.pem"), "--tls-key", file("ed25519.key")), "ed25519.key"),
                    (("--tls-cert", file("missing.pem"), "--tls-key", file("server.key")), "missing.pem"),
                    (("--tls-cert", empty, "--tls-key", file("server.key")), "empty.pem"),
                    ((*pair("server"), "--tls-ca", empty), "empty.pem"),
                    ((*pair("server"), "--tls-ciphers", "NULL-SHA"), "cipher")):
                self.refused(program.run("serve", "--listen", "127.0.0.1:0", *words), name)
            self.refused(program.run("call", "--tls", "--tls-ca", empty, "127.0.0.1:1", *HI), "empty.pem")
            self.refused(program.run("bench", *SHORT, "--tls", "--connect", "127.0.0.1:1", "--tls-ca", empty), "empty.pem")

    def test_what_of_a_bench_would_be_ignored(self):
        for words in (("--tls-ca", "x"), ("--tls-crl", "x", "--tls-ca", "x"), ("--tls-server-name", "x"),
                      ("--tls-cert", "x", "--tls-key", "x"), ("--tls-alpn", "x")):
            done = program.run("bench", "--tls", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("goes with --connect", done.stderr, words)

    # ---- Measuring
    def bench(self, *words):
        for duration in (0.05, 0.5, 5):  # On a busy machine nobody may get a turn in the first.
            done = program.run("bench", "--duration", duration, "--warmup", 0, "--json", "--tls", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual(report["errors"], 0)
            if report["commands"] > 0:
                return report["parameters"]
        self.fail(f"no command went through: {words}")

    def test_a_bench_brings_what_it_needs(self):
        for words in ((), ("--blocking",), ("--blocking", "--sender-single"), ("--own-threads",), ("--rate", 500),
                      ("--light", 2, "--idle", 2), ("--command", "stream", "--stream-count", 3)):
            tls = self.bench(*words)["tls"]
            self.assertEqual(tls["version"], "1.3", words)
            self.assertTrue(tls["cipher"].startswith("TLS_"), words)
        tls = self.bench("--tls-ciphers", "TLS_AES_256_GCM_SHA384", "--tls-min-version", "1.3")["tls"]
        self.assertEqual(tls["cipher"], "TLS_AES_256_GCM_SHA384")
        done = program.run("bench", *SHORT, "--tls", "--tls-ciphers", "TLS_AES_256_GCM_SHA384")
        self.assertIn("TLS 1.3, TLS_AES_256_GCM_SHA384", done.stdout)

    def test_a_plain_bench_has_none(self):
        done = program.run("bench", *SHORT, "--json")
        self.assertIsNone(json.loads(done.stdout)["parameters"]["tls"])
        self.assertNotIn("TLS", program.run("bench", *SHORT).stdout)

    def test_a_bench_of_another_server(self):
        with mutual() as server:
            there = ("--connect", server.address, "--tls-ca", file("ca.pem"))
            self.bench(*there, *pair("client"))
            done = program.run("bench", *SHORT, "--tls", *there)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("certificate", done.stderr)


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.take("server")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def take(self, name):
        """The server's files are those of this certificate from now on."""
        for kind in ("pem", "key"):
            shutil.copy(file(f"{name}.{kind}"), self.path("new"))
            os.chmod(self.path("new"), 0o600)
            os.replace(self.path("new"), self.path("my." + kind))

    def serve(self, *words):
        return peer.Server("--shards", 1, "--tls-cert", self.path("my.pem"), "--tls-key", self.path("my.key"), *words)

    def hang_up(self, server, words):
        """SIGHUP, and the line that the server has for it."""
        before = server.log().count(words)
        server.signal(signal.SIGHUP)
        self.assertTrue(peer.until(lambda: server.log().count(words) > before), server.log())

    def test_a_renewed_certificate_is_shown_to_those_who_come_then(self):
        with self.serve() as server:
            self.assertEqual(shown(server)[0], der("server"))
            self.take("ed25519")
            self.assertEqual(shown(server)[0], der("server"))
            self.hang_up(server, "TLS: reloaded")
            self.assertEqual(shown(server)[0], der("ed25519"))
            self.assertEqual(len(server.log().splitlines()), 1)

    def test_a_broken_file_changes_nothing_and_is_named(self):
        with self.serve() as server:
            whole = pathlib.Path(file("ed25519.pem")).read_bytes()
            pathlib.Path(self.path("my.pem")).write_bytes(whole[:len(whole) // 2])
            self.hang_up(server, "TLS: not reloaded")
            self.assertIn("my.pem", server.log())
            self.assertEqual(shown(server)[0], der("server"))
            pathlib.Path(self.path("my.pem")).write_bytes(whole)  # The key is still the other one's.
            self.hang_up(server, "TLS: not reloaded")
            self.assertEqual(shown(server)[0], der("server"))
            self.take("ed25519")
            self.hang_up(server, "TLS: reloaded")
            self.assertEqual(shown(server)[0], der("ed25519"))

    def test_who_streams_does_not_notice(self):
        count = 20000
        with self.serve() as server:
            client = program.start("call", "--tls", "--tls-ca", file("ca.pem"), "--tls-server-name", "a.example",
                                   "--repeat", 3, "--deadline-ms", 60000, server.address, "stream",
                                   json.dumps({"count": count, "size": 100}),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertIn('"index":0', client.stdout.readline())
            self.take("ed25519")
            self.hang_up(server, "TLS: reloaded")
            pathlib.Path(self.path("my.pem")).write_bytes(b"")
            self.hang_up(server, "TLS: not reloaded")
            self.assertEqual(shown(server)[0], der("ed25519"))
            lines = sum(1 for _ in client.stdout)  # communicate() would forget what readline() has read ahead.
            errors = client.communicate(timeout=peer.PATIENCE_S)[1]
            self.assertEqual((client.returncode, errors), (0, ""))
            self.assertEqual(lines, 3 * count - 1)

    def test_a_renewed_ca_counts_for_those_who_come_then(self):
        shutil.copy(file("ca_other.pem"), self.path("ca.pem"))
        with self.serve("--tls-ca", self.path("ca.pem"), "--tls-require-client-cert") as server:
            mine = ("--tls-server-name", "a.example", *pair("client"))
            self.assertEqual(call(server, *mine).returncode, 1)
            shutil.copy(file("ca.pem"), self.path("ca.pem"))
            self.hang_up(server, "TLS: reloaded")
            self.assertEqual(call(server, *mine).returncode, 0)

    def test_quiet_says_what_failed_alone(self):
        with self.serve("--quiet") as server:
            self.take("ed25519")
            server.signal(signal.SIGHUP)
            self.assertTrue(peer.until(lambda: shown(server)[0] == der("ed25519")))
            self.assertEqual(server.log(), "")
            os.unlink(self.path("my.key"))
            self.hang_up(server, "TLS: not reloaded")
            self.assertIn("my.key", server.log())


if __name__ == "__main__":
    sys.exit(peer.main())
