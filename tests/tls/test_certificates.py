# SPDX-License-Identifier: MIT
"""Certificates of every kind that a peer may come with. The wrong ones are refused, by the sentence that names the
reason on our side and by an alert at the other; the right ones are not.
"""
import os
import pathlib
import re
import ssl
import subprocess
import unittest

import tls_peer
from tls_peer import peer

# Alerts, as the ssl module calls those that it receives.
BAD = "SSLV3_ALERT_BAD_CERTIFICATE"
EXPIRED = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
REVOKED = "SSLV3_ALERT_CERTIFICATE_REVOKED"
UNSUPPORTED = "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"
UNKNOWN_CA = "TLSV1_ALERT_UNKNOWN_CA"
REQUIRED = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
ANY_BAD = f"{BAD}|{UNSUPPORTED}"

# Both sides' own: (certificate, sentence, alert).
WRONG = (
    ("expired", r"has expired: it was good until 2020-12-31", EXPIRED),
    ("future", r"is not good yet: from 2090-01-01", f"{EXPIRED}|{BAD}"),
    ("other_ca", r"CA", UNKNOWN_CA + "|" + BAD),
    ("under_not_ca_chain", r"CA", UNKNOWN_CA + "|" + BAD),
    ("other_usage", r"extendedKeyUsage", ANY_BAD),
    ("no_digital_signature", r"keyUsage lacks digitalSignature", ANY_BAD),
    ("sha1", r"(?i)sha-?1", ANY_BAD),
    ("sha1_rsa", r"(?i)sha-?1", ANY_BAD),
    ("md5", r"(?i)md5", ANY_BAD),
    ("pss_sha1", r"(?i)sha-?1", ANY_BAD),
    ("rsa_1024", r"1024 bits|too small", ANY_BAD),
    ("nul", r"NUL", ANY_BAD),
    ("control", r"not printable", ANY_BAD),
)
WRONG_SERVERS = (
    ("client", r"extendedKeyUsage", ANY_BAD),
    ("cn_only", r"no subjectAltName", ANY_BAD),
)
WRONG_CLIENTS = (
    ("wildcard", r"extendedKeyUsage", ANY_BAD),
)
RIGHT = ("server", "plain")
RIGHT_SERVERS = ("ed25519", "p384", "rsa_2048", "pss", "subject")

# (host that is asked for, certificate, sentence, None: it is right)
HOSTS = (
    ("a.example", "server", None),
    ("A.EXAMPLE", "server", None),
    ("b.example", "server", None),
    ("c.example", "server", r"is for a\.example.* not c\.example"),
    ("example", "server", r"not example"),
    ("x.a.example", "server", r"not x\.a\.example"),
    ("127.0.0.1", "server", None),
    ("::1", "server", None),
    ("127.0.0.2", "server", r"not 127\.0\.0\.2"),
    ("x.example", "wildcard", None),
    ("x.y.example", "wildcard", r"not x\.y\.example"),
    ("example", "wildcard", r"not example"),
    ("10.0.0.1", "ip", None),
    ("2001:db8::1", "ip", None),
    ("10.0.0.2", "ip", r"not 10\.0\.0\.2"),
    ("ip", "ip", r"not ip"),
    ("uri", "uri", r"not uri"),
    ("127.0.0.1", "wildcard", r"not 127\.0\.0\.1"),
)

def run_call(certificate, *options, server_name=tls_peer.NAME):
    """Our client, to a server with this certificate: (ended well, what it said, what the server saw)."""
    with tls_peer.Host(tls_peer.server_context(certificate)) as host:
        words = ("--tls-server-name", server_name) if server_name else ()
        done = tls_peer.call(host.address, *words, *options)
        peer.until(lambda: host.ended, 5)
        return done.returncode == 0, done.stderr, " ".join(host.problems)

def run_connect(certificate, *options):
    """A client with this certificate, to our server: (was served, what the server said, what the client saw)."""
    with tls_peer.Server(*tls_peer.mutual(), *options) as server:
        seen = ""
        try:
            with tls_peer.connect(server, tls_peer.client_context(certificate)) as one:
                good = peer.echoes(one, 1)
        except (OSError, EOFError) as problem:
            good, seen = False, tls_peer.reason(problem)
        if not good:
            server.says(r"certificate")
        return good, server.log(), seen

def why_not_refused(outcome, sentence, alert):
    good, said, seen = outcome
    if good:
        return "it was accepted"
    if not re.search(sentence, said):
        return f"refused without a word of {sentence!r}: {said!r}"
    if not re.search(alert, seen):
        return f"the alert was to be {alert}, and it was {seen!r}"
    return None

def why_not_accepted(outcome):
    good, said, seen = outcome
    return None if good else f"refused: {said!r}, and the peer saw {seen!r}"

class Certificates(unittest.TestCase):
    def test_wrong_certificates_of_servers(self):
        tls_peer.rows(self, WRONG + WRONG_SERVERS,
                      lambda row: why_not_refused(run_call(row[0]), *row[1:]))

    def test_wrong_certificates_of_clients(self):
        tls_peer.rows(self, WRONG + WRONG_CLIENTS,
                      lambda row: why_not_refused(run_connect(row[0]), *row[1:]))

    def test_right_certificates_of_servers(self):
        tls_peer.rows(self, [(name,) for name in RIGHT + RIGHT_SERVERS],
                      lambda row: why_not_accepted(run_call(row[0])))

    def test_right_certificates_of_clients(self):
        tls_peer.rows(self, [(name,) for name in RIGHT + ("client",)],
                      lambda row: why_not_accepted(run_connect(row[0])))

    def test_hosts(self):
        def run(row):
            host, certificate, sentence = row
            outcome = run_call(certificate, server_name=host)
            return why_not_refused(outcome, sentence, ANY_BAD) if sentence else why_not_accepted(outcome)
        tls_peer.rows(self, HOSTS, run)

    def test_the_host_of_the_address_is_what_is_checked(self):
        self.assertIsNone(why_not_accepted(run_call("server", server_name=None)))
        self.assertIsNone(why_not_refused(run_call("wildcard", server_name=None), r"not 127\.0\.0\.1", ANY_BAD))

    def test_a_server_that_nobody_but_itself_has_signed(self):
        self.assertIsNone(why_not_refused(run_call("ed25519_self"), "CA", UNKNOWN_CA + "|" + BAD))

    def test_a_chain_that_is_too_long(self):
        """Nine signatures are fine."""
        outcomes = {}
        for length in (9, 10):
            name = tls_peer.long_chain(length)
            outcomes[length] = run_call(name, "--tls-ca", tls_peer.pem("root"))
        self.assertIsNone(why_not_accepted(outcomes[9]))
        self.assertFalse(outcomes[10][0])
        self.assertRegex(outcomes[10][1], "more certificates|none of our CAs")

    # ---- Lists of what was revoked -------------------------------------------------------------
    def test_what_was_revoked(self):
        only = ("--tls-ca", tls_peer.pem("ca"))
        revoking = (*only, "--tls-crl", tls_peer.crl())
        self.assertIsNone(why_not_accepted(run_call("revoked", *only)))
        self.assertIsNone(why_not_refused(run_call("revoked", *revoking), "revoked", f"{REVOKED}|{BAD}"))
        self.assertIsNone(why_not_accepted(run_call("server", *revoking)))

    def test_what_was_revoked_of_clients(self):
        def run(certificate, *options):
            with tls_peer.Server(*tls_peer.mutual("ca"), *options) as server:
                try:
                    with tls_peer.connect(server, tls_peer.client_context(certificate)) as one:
                        return peer.echoes(one, 1), server.log(), ""
                except (OSError, EOFError) as problem:
                    server.says("revoked")
                    return False, server.log(), tls_peer.reason(problem)
        revoking = ("--tls-crl", tls_peer.crl())
        self.assertIsNone(why_not_accepted(run("server", *revoking)))
        self.assertIsNone(why_not_accepted(run("revoked")))
        self.assertIsNone(why_not_refused(run("revoked", *revoking), "revoked", f"{REVOKED}|{BAD}"))

    # ---- Clients without one ---------------------------------------------------------------------
    def test_a_client_without_a_certificate(self):
        for version, alert in ((ssl.TLSVersion.TLSv1_3, f"{REQUIRED}|{BAD}|HANDSHAKE_FAILURE"),
                               (ssl.TLSVersion.TLSv1_2, f"{BAD}|HANDSHAKE_FAILURE|EOF")):
            with tls_peer.Server(*tls_peer.mutual()) as server:
                context = tls_peer.client_context()
                context.minimum_version = context.maximum_version = version
                with self.assertRaises((OSError, EOFError)) as raised:
                    tls_peer.connect(server, context)
                self.assertRegex(tls_peer.reason(raised.exception), alert)
                self.assertTrue(server.says(r"(no|without a|its) certificate"), server.log())

    def test_our_client_without_a_certificate_is_told_so(self):
        with tls_peer.Server(*tls_peer.mutual()) as server:
            done = tls_peer.call(server.address)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "certificate")

    def test_our_client_with_a_certificate(self):
        with tls_peer.Server(*tls_peer.mutual()) as server:
            done = tls_peer.call(server.address, *tls_peer.own("client"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    # ---- Files -----------------------------------------------------------------------------------
    def config(self, server_options, client_options, sentence):
        """Refused at the start of either program, before there is a connection."""
        for command, options in (("serve", server_options), ("call", client_options)):
            if options is None:
                continue
            words = [peer.tool(), command, *options]
            words += ["--listen", "127.0.0.1:0"] if command == "serve" else ["--tls", "127.0.0.1:1", "echo"]
            with self.subTest(command, options=options):
                done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
                self.assertIn(done.returncode, (1, 2))
                self.assertRegex(done.stderr, sentence)
                self.assertNotIn("listening", done.stdout)

    def test_a_key_of_another_certificate(self):
        other = ("--tls-cert", tls_peer.pem("server"), "--tls-key", tls_peer.key("client"))
        self.config(other, (*other, "--tls-ca", tls_peer.pem("ca")), r"key")

    def test_a_key_that_others_may_read(self):
        path = pathlib.Path(tls_peer.folder() / "open.key")
        path.write_bytes(pathlib.Path(tls_peer.key("server")).read_bytes())
        words = ("--tls-cert", tls_peer.pem("server"), "--tls-key", str(path))
        for mode in (0o604, 0o640):
            os.chmod(path, mode)
            self.config(words, (*words, "--tls-ca", tls_peer.pem("ca")), r"open\.key.*(read|chmod)")
        os.chmod(path, 0o600)
        with peer.Server(*words):
            pass

    def test_a_ca_file_that_is_a_leaf(self):
        leaf = ("--tls-ca", tls_peer.pem("server"))
        self.config((*tls_peer.own("server"), *leaf, "--tls-require-client-cert"), leaf, r"server\.pem.*CA")

    def test_files_that_are_missing_empty_or_cut(self):
        folder = tls_peer.folder()
        whole = pathlib.Path(tls_peer.pem("ca")).read_bytes()
        (folder / "empty.pem").write_bytes(b"")
        (folder / "cut.pem").write_bytes(whole[:len(whole) // 2])
        (folder / "noise.pem").write_bytes(os.urandom(2000))
        for name in ("missing", "empty", "cut", "noise"):
            file = str(folder / f"{name}.pem")
            with self.subTest(name):
                self.config(("--tls-cert", file, "--tls-key", tls_peer.key("server")), None, name)
                self.config(("--tls-cert", tls_peer.pem("server"), "--tls-key", file), None, name)
                self.config((*tls_peer.own("server"), "--tls-ca", file, "--tls-require-client-cert"),
                            ("--tls-ca", file), name)
                self.config((*tls_peer.own("server"), *tls_peer.mutual("ca"), "--tls-crl", file),
                            ("--tls-ca", tls_peer.pem("ca"), "--tls-crl", file), name)

    def test_options_that_need_others(self):
        own = tls_peer.own("server")
        self.config(own[:2], (*own[:2], "--tls-ca", tls_peer.pem("ca")), r"key")
        self.config((*own, "--tls-require-client-cert"), None, r"ca")

if __name__ == "__main__":
    tls_peer.main()
