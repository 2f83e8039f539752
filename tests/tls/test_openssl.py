# SPDX-License-Identifier: MIT
"""Our server and openssl s_client, openssl s_server and our client: versions, ciphers, resumption, ALPN, and what is
never to be had: renegotiation, early data, old ciphers.
"""
import concurrent.futures
import contextlib
import os
import unittest

import tls_peer
from tls_peer import peer

ECHO = peer.echo(1, b"over TLS")
ANSWER = b"over TLS"
JSON = '{"bool":true,"int64":1,"string":"over TLS","float64":1.5}'
V12, V13 = "-tls1_2", "-tls1_3"
LAX = "ALL:eNULL:@SECLEVEL=0"


class Clients(unittest.TestCase):
    """openssl s_client at our server."""

    def echoes(self, server, *words, name=None):
        """All that it says of a connection over which an echo was answered."""
        own = ("-cert", tls_peer.pem(name), "-key", tls_peer.key(name)) if name else ()
        with tls_peer.s_client(server, *words, *own) as client:
            self.assertTrue(client.says(b"default"), (words, client.output, server.log()))
            client.send(ECHO)
            self.assertTrue(client.says(ANSWER), (words, client.output, server.log()))
            client.end_of_input()
            self.assertTrue(client.ends())
            return client.output.decode(errors="replace")

    def refused(self, server, *words):
        with tls_peer.s_client(server, *words) as client:
            self.assertTrue(client.ends(), client.output)
            said = client.output.decode(errors="replace")
            self.assertNotIn("default", said, words)
            return said

    def test_versions(self):
        with tls_peer.Server() as server:
            self.assertRegex(self.echoes(server, V13), r"New, TLSv1\.3, Cipher is TLS_")
            self.assertRegex(self.echoes(server, V12), r"New, TLSv1\.2, Cipher is ECDHE-ECDSA-(AES|CHACHA)")
            for old in ("-tls1_1", "-tls1"):
                said = self.refused(server, old, "-cipher", LAX)
                self.assertRegex(said, "alert (protocol version|handshake failure)|unsupported protocol")
        with tls_peer.Server("--tls-min-version", "1.3") as server:
            self.echoes(server, V13)
            self.assertRegex(self.refused(server, V12), "alert (protocol version|handshake failure)")
            self.assertTrue(server.says("TLS"))

    def test_mutual(self):
        with tls_peer.Server(*tls_peer.mutual()) as server:
            for version in (V12, V13):
                self.echoes(server, version, name="client")

    def test_ciphers(self):
        """Those of TLS 1.3, and with ECDHE and an AEAD; nothing without."""
        with tls_peer.Server() as server, tls_peer.Server(name="rsa_2048") as of_rsa:
            for cipher in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
                self.assertIn(cipher, self.echoes(server, V13, "-ciphersuites", cipher))
            for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
                self.echoes(server, V12, "-cipher", f"ECDHE-ECDSA-{cipher}")
                self.echoes(of_rsa, V12, "-cipher", f"ECDHE-RSA-{cipher}", "-CAfile", tls_peer.pem("ca_rsa"))
            for one, cipher in ((server, "ECDHE-ECDSA-AES128-SHA"), (server, "ECDHE-ECDSA-AES256-SHA384"),
                                (server, "aNULL"), (server, "eNULL"), (of_rsa, "kRSA"), (of_rsa, "ECDHE-RSA-AES256-SHA"),
                                (of_rsa, "DHE-RSA-AES128-GCM-SHA256"), (of_rsa, "AES128-GCM-SHA256")):
                self.assertIn("Cipher is (NONE)", self.refused(one, V12, "-cipher", f"{cipher}:@SECLEVEL=0"))
            for one in (server, of_rsa):
                self.assertTrue(one.says("no cipher in common"), one.log())

    def test_groups(self):
        with tls_peer.Server() as server:
            for group in ("X25519", "P-256", "P-384", "P-256:X25519", "P-521:X25519"):  # The last takes two hellos.
                self.echoes(server, V13, "-groups", group)
            self.refused(server, V13, "-groups", "ffdhe2048")

    def test_odd_ways_of_sending(self):
        with tls_peer.Server() as server:
            for words in (("-maxfraglen", "512"), ("-record_padding", "256"), ("-no_middlebox",), ("-max_send_frag", "512"),
                          ("-servername", "another.example"), ("-status",), ("-nextprotoneg", "x")):
                self.echoes(server, *words)

    def test_a_client_that_takes_small_records_alone(self):
        """Its answer has many of them."""
        large = b"y" * 40000
        with tls_peer.Server() as server:
            for version in (V12, V13):
                with tls_peer.s_client(server, version, "-maxfraglen", "512", "-quiet") as client:
                    self.assertTrue(client.says(b"default"), client.output)
                    client.send(peer.echo(1, large))
                    self.assertTrue(client.says(large), (len(client.output), server.log()))

    # ---- ALPN ----------------------------------------------------------------------------------
    def test_alpn(self):
        with tls_peer.Server("--tls-alpn", "one,two") as server:
            self.assertIn("ALPN protocol: one", self.echoes(server, "-alpn", "one"))
            self.assertIn("ALPN protocol: two", self.echoes(server, "-alpn", "x,two"))
            self.assertIn("alert no application protocol", self.refused(server, "-alpn", "x,y"))
            self.assertTrue(server.says("ALPN|protocol"), server.log())
            self.refused(server)
        with tls_peer.Server() as server:
            self.assertIn("No ALPN negotiated", self.echoes(server, "-alpn", "one"))

    # ---- Sessions ------------------------------------------------------------------------------
    def resumed(self, server, *words, name=None, second=None):
        """Whether a session of `server` is resumed, by `second` or the same."""
        path = str(tls_peer.folder() / f"session-{os.urandom(4).hex()}")
        self.echoes(server, *words, "-sess_out", path, name=name)
        if not os.path.exists(path):
            return False  # There is nothing to resume by.
        said = self.echoes(second or server, *words, "-sess_in", path, name=name)
        self.assertRegex(said, "Reused, |New, ")
        return "Reused, " in said

    def test_resumption(self):
        with tls_peer.Server() as server, tls_peer.Server() as other:
            self.assertTrue(self.resumed(server, V13))
            self.assertFalse(self.resumed(server, V12))
            self.assertFalse(self.resumed(server, V13, second=other))

    def test_no_resumption_where_certificates_are_required(self):
        with tls_peer.Server(*tls_peer.mutual()) as server, tls_peer.Server() as lax:
            for version in (V12, V13):
                self.assertFalse(self.resumed(server, version, name="client"))
                self.assertFalse(self.resumed(lax, version, name="client", second=server))

    def test_nor_where_they_are_optional(self):
        with tls_peer.Server("--tls-ca", tls_peer.pem("ca")) as server:
            for version in (V12, V13):
                self.assertFalse(self.resumed(server, version, name="client"))
                self.assertFalse(self.resumed(server, version))

    def test_a_session_is_no_certificate(self):
        """Of a server that asks for none, by a client that has none."""
        path = str(tls_peer.folder() / "session-without")
        with tls_peer.Server() as lax, tls_peer.Server(*tls_peer.mutual()) as server:
            for version in (V12, V13):
                self.echoes(lax, version, "-sess_out", path)
                self.refused(server, version, *(("-sess_in", path) if os.path.exists(path) else ()))

    def test_no_early_data(self):
        path, early = tls_peer.folder() / "session-early", tls_peer.folder() / "early"
        early.write_bytes(peer.echo(1, b"too early"))
        with tls_peer.Server() as server:
            said = self.echoes(server, V13, "-sess_out", path)
            self.assertIn("Max Early Data: 0", said)
            said = self.echoes(server, V13, "-sess_in", path, "-early_data", early)
            self.assertNotIn("Early data was accepted", said)
            self.assertNotIn("too early", said)

    # ---- Keys ----------------------------------------------------------------------------------
    def test_key_update(self):
        with tls_peer.Server() as server:
            for letter in (b"K\n", b"k\n"):  # Of both directions; of one.
                with tls_peer.s_client(server, V13) as client:
                    self.assertTrue(client.says(b"default"), client.output)
                    client.send(letter)
                    self.assertTrue(client.says(b"KEYUPDATE"), client.output)
                    client.send(ECHO)
                    self.assertTrue(client.says(ANSWER), (client.output, server.log()))

    def test_no_renegotiation(self):
        with tls_peer.Server() as server:
            with tls_peer.s_client(server, V12) as client:
                self.assertTrue(client.says(b"default"), client.output)
                client.send(b"R\n")
                self.assertTrue(client.says(b"RENEGOTIATING"), client.output)
                client.send(ECHO)
                peer.until(lambda: client.process.poll() is not None or ANSWER in client.output, 20)
                self.assertNotIn(b"verify return", client.output.split(b"RENEGOTIATING")[1])
            self.assertIn("Secure Renegotiation IS supported", self.echoes(server, V12))  # The extension alone.

    def test_it_lives(self):
        """Through a client that is killed at any moment."""
        with tls_peer.Server() as server:
            for number in range(8):
                with tls_peer.s_client(server) as client:
                    client.says(b"CONNECTED" if number % 2 else b"default")
            self.echoes(server)


@contextlib.contextmanager
def s_server(*words, name="server"):
    """With its `address`, for one client, to which it says a ServerInfo."""
    with tls_peer.OpenSSL("s_server", "-accept", "127.0.0.1:0", "-cert", tls_peer.pem(name), "-key", tls_peer.key(name),
                          "-naccept", "1", *words) as server:
        if not server.says(rb"ACCEPT 127\.0\.0\.1:\d+\s"):
            raise AssertionError(server.output)
        server.address = server.output.split(b"ACCEPT ")[1].split()[0].decode()
        server.send(peer.SERVER_INFO)
        yield server


class Servers(unittest.TestCase):
    """Our client at openssl s_server."""

    def served(self, *words, options=(), name="server"):
        """All that the server said of a connection over which it answered an echo."""
        with s_server(*words, name=name) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(tls_peer.call, server.address, *options, json=JSON)
            peer.until(lambda: done.done() or ANSWER in server.output)
            server.send(ECHO)
            self.assertEqual((done.result().returncode, done.result().stderr), (0, ""), (words, server.output))
            self.assertIn("over TLS", done.result().stdout)
            self.assertTrue(server.ends())
            return server.output.decode(errors="replace")

    def not_served(self, *words, sentence, options=(), alert=None, name="server"):
        with s_server("-msg", *words, name=name) as server:
            done = tls_peer.call(server.address, *options, json=JSON)
            self.assertEqual(done.returncode, 1, (words, done.stdout))
            self.assertRegex(done.stderr, sentence)
            self.assertTrue(server.ends())
            if alert:
                self.assertRegex(server.output.decode(errors="replace"), f"<<< TLS 1.., Alert .*{alert}")

    def test_versions(self):
        self.served(V13)
        self.served(V12)
        self.not_served("-tls1_1", "-cipher", LAX, sentence="TLS")
        self.not_served(V12, options=("--tls-min-version", "1.3"), sentence="TLS")

    def test_ciphers(self):
        for cipher in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
            self.served(V13, "-ciphersuites", cipher)
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
            self.served(V12, "-cipher", f"ECDHE-ECDSA-{cipher}")
            self.served(V12, "-cipher", f"ECDHE-RSA-{cipher}", name="rsa_2048", options=("--tls-server-name", "a.example"))
        for cipher in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "aNULL"):
            self.not_served(V12, "-cipher", f"{cipher}:@SECLEVEL=0", sentence="TLS")

    def test_groups(self):
        for group in ("X25519", "P-256", "P-384"):
            self.served(V13, "-groups", group)

    def test_tickets(self):
        for words in (("-num_tickets", "0"), ("-num_tickets", "1"), ("-num_tickets", "20"), ("-no_ticket",), (V12, "-no_ticket")):
            self.served(*words)

    def test_a_certificate_is_asked_for(self):
        for version in (V12, V13):
            asking = (version, "-CAfile", tls_peer.pem("ca"), "-Verify", "2")
            said = self.served(*asking, "-verify_return_error", options=tls_peer.own("client"))
            self.assertIn("CN = client", said)
            self.not_served(*asking, "-verify_return_error", sentence="certificate")
            self.served(version, "-CAfile", tls_peer.pem("ca"), "-verify", "2")

    def test_alpn(self):
        said = self.served("-alpn", "y,x", options=("--tls-alpn", "x"))
        self.assertIn("ALPN protocols advertised by the client: x", said)
        self.not_served("-alpn", "y", options=("--tls-alpn", "x"), sentence="ALPN|protocol")

    def test_name(self):
        """What it asks for is the name that it checks; an address is no name."""
        said = self.served("-servername", "other.example", "-cert2", tls_peer.pem("server"), "-key2", tls_peer.key("server"),
                           options=("--tls-server-name", "a.example"))
        self.assertIn('Hostname in TLS extension: "a.example"', said)
        self.assertNotIn("127.0.0.1", self.served("-servername", "x", "-cert2", tls_peer.pem("server"), "-key2",
                                                  tls_peer.key("server")).split("ACCEPT", 1)[1].split("\n", 1)[1])

    def test_alerts(self):
        """In the words of the other side."""
        for name, alert, sentence in (("expired", "certificate_expired", "has expired"),
                                      ("other_ca", "(unknown_ca|bad_certificate)", "CA"),
                                      ("cn_only", "(bad|unsupported)_certificate", "subjectAltName")):
            self.not_served(name=name, alert=alert, sentence=sentence, options=("--tls-server-name", "a.example"))


if __name__ == "__main__":
    tls_peer.main()
