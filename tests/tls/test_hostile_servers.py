# SPDX-License-Identifier: MIT
"""Servers that break TLS: our client refuses each, ends in good order, and says why."""
import os
import struct
import unittest

import tls13
import tls_peer
from tls13 import ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE
from tls_peer import peer

MANY = 2000
DEADLINE_MS = 1500  # For a server that is silent.


class Host(tls_peer.Listener):
    """One that does `act` with the server's side of TLS 1.3."""

    def __init__(self, act):
        self.act = act
        super().__init__()

    def serve(self, connection):
        one = tls13.Server(connection)
        try:
            self.act(one)
            one.end()
        except tls13.Ended:
            pass


def plain(data):
    return lambda one: one.send_raw(data)


def silent(one):
    one.end()


def closes(one):
    one.take_hello()
    one.peer.close()


# ---- In the handshake ----------------------------------------------------------------------------
def begin(one, *more):
    one.send_hello(one.take_hello())
    one.send_message(tls13.message(tls13.ENCRYPTED_EXTENSIONS, tls13.vector(2, b"".join(more))))


def certificate(one, name="server"):
    one.send_message(tls13.certificate_message(tls_peer.der(name)))


def without_certificate(one):
    begin(one)
    one.finish()


def without_verify(one):
    """A certificate that anybody can copy, and not a word of proof."""
    begin(one)
    certificate(one)
    one.finish()


def another_key(one):
    begin(one)
    certificate(one)
    one.send_message(one.certificate_verify(tls_peer.key("client")))
    one.finish()


def noise_for_a_signature(one):
    begin(one)
    certificate(one)
    one.send_message(tls13.message(tls13.CERTIFICATE_VERIFY, b"\4\3" + tls13.vector(2, os.urandom(70))))
    one.finish()


def empty_list(one):
    begin(one)
    one.send_message(tls13.certificate_message())
    one.finish()


def broken_certificate(one):
    begin(one)
    one.send_message(tls13.certificate_message(b"\x30\x82\xff\xff" + os.urandom(500)))
    one.finish()


def unasked_protocol(one):
    """ALPN, which the client has not offered."""
    begin(one, tls13.extension(16, tls13.vector(2, tls13.vector(1, b"x"))))
    certificate(one)
    one.send_message(one.certificate_verify(tls_peer.key("server")))
    one.finish()


def wrong_finished(one):
    begin(one)
    certificate(one)
    one.send_message(one.certificate_verify(tls_peer.key("server")))
    one.send_message(tls13.message(tls13.FINISHED, os.urandom(32)))


def hello_with(cipher=tls13.CHACHA20_POLY1305_SHA256, version=b"\3\3", extensions=None):
    def act(one):
        one.take_hello()
        share = tls13.extension(51, b"\0\x1d" + tls13.vector(2, os.urandom(32)))
        body = (version + os.urandom(32) + tls13.vector(1, one.session) + struct.pack(">H", cipher) + b"\0"
                + tls13.vector(2, tls13.extension(43, b"\3\4") + share if extensions is None else extensions))
        one.send_message(tls13.message(tls13.SERVER_HELLO, body))
    return act


TLS = "TLS"

# (name, what the server does, what our client says)
WITHIN = (
    ("HTTP", plain(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3), TLS),
    ("a ServerInfo in the clear", plain(peer.SERVER_INFO), TLS),
    ("noise", plain(b"\xf7" + os.urandom(500)), TLS),
    ("silence", silent, r"TLS handshake.*(time|ms)|DEADLINE|TIMEOUT"),
    ("a close", closes, TLS),
    ("an alert", plain(tls13.record(ALERT, b"\2\x28")), "handshake_failure"),
    ("records of nothing", plain(tls13.record(HANDSHAKE, b"") * MANY), "without a byte in it"),
    ("CCS without end", plain(tls13.record(CHANGE_CIPHER_SPEC, b"\1") * MANY), TLS),
    ("a message of 16 MiB, begun", plain(tls13.record(HANDSHAKE, b"\2\xff\xff\xff" + bytes(16000)) * 4), TLS),
    ("a ClientHello", plain(tls13.record(HANDSHAKE, tls13.client_hello())), TLS),
    ("a cipher that was not offered", hello_with(cipher=0x1305), TLS),
    ("TLS 1.1", hello_with(cipher=0xC009, version=b"\3\2", extensions=b""), TLS),
    ("a key share of zeros", hello_with(extensions=tls13.extension(43, b"\3\4") + tls13.extension(
        51, b"\0\x1d" + tls13.vector(2, bytes(32)))), TLS),
    ("a group that was not offered", hello_with(extensions=tls13.extension(43, b"\3\4") + tls13.extension(
        51, b"\1\0" + tls13.vector(2, os.urandom(256)))), TLS),
    ("a version that was not offered", hello_with(extensions=tls13.extension(43, b"\3\5")), TLS),
    ("no certificate", without_certificate, TLS),
    ("an empty list of certificates", empty_list, TLS),
    ("a certificate that is noise", broken_certificate, "certificate"),
    ("a certificate without CertificateVerify", without_verify, TLS),
    ("the CertificateVerify of another key", another_key, TLS),
    ("noise for a CertificateVerify", noise_for_a_signature, TLS),
    ("a protocol that was not offered", unasked_protocol, TLS),
    ("a wrong Finished", wrong_finished, TLS),
)


# ---- After it ------------------------------------------------------------------------------------
def many(*what):
    return lambda one: [one.send(*what) for _ in range(MANY)]


def key_updates(one):
    for _ in range(MANY):
        one.update_keys(asks=True)


def sealed(*what):
    return lambda one: one.send(*what)


def torn_info(one):
    one.sendall(peer.SERVER_INFO[:4])
    one.send_alert(tls13.WARNING, tls13.CLOSE_NOTIFY)


def cut_info(one):
    one.sendall(peer.SERVER_INFO[:4])
    one.peer.close()


TICKET = tls13.message(tls13.NEW_TICKET, struct.pack(">II", 7200, 1) + tls13.vector(1, b"\1") + tls13.vector(2, bytes(200)) + b"\0\0")

AFTER = (
    ("a record of a tag alone", lambda one: one.send_raw(one.writing.seal(b"")), "too short to hold sealed data"),
    ("an unknown type", sealed(99, b"x"), TLS),
    ("an empty record of a handshake", sealed(HANDSHAKE, b""), TLS),
    ("a CCS", plain(tls13.record(CHANGE_CIPHER_SPEC, b"\1")), TLS),
    ("a ServerInfo in the clear", plain(peer.SERVER_INFO + bytes(40)), TLS),
    ("data in the clear", plain(tls13.record(DATA, peer.SERVER_INFO * 5)), TLS),
    ("a record of 16 KiB + 300", sealed(DATA, bytes(16384 + 300)), "longer than the protocol allows"),
    ("2,000 KeyUpdates", key_updates, "brought no data"),
    ("2,000 records of padding", many(DATA, b"", 10), "brought no data"),
    ("2,000 warnings", many(ALERT, bytes([tls13.WARNING, tls13.USER_CANCELED])), TLS),
    ("2,000 tickets", many(HANDSHAKE, TICKET), TLS),
    ("a broken ticket", sealed(HANDSHAKE, tls13.message(tls13.NEW_TICKET, bytes(3))), TLS),
    ("a ticket of 60 KiB", lambda one: [one.send(HANDSHAKE, piece) for piece in (
        tls13.message(tls13.NEW_TICKET, bytes(12) + tls13.vector(2, bytes(60000)))[at:at + 16000]
        for at in range(0, 60018, 16000))], TLS),
    ("a certificate is asked for once more", sealed(HANDSHAKE, tls13.message(tls13.CERTIFICATE_REQUEST, bytes(3))), TLS),
    ("a fatal alert", sealed(ALERT, bytes([tls13.FATAL, 49])), "access_denied"),
    ("close_notify in a ServerInfo", torn_info, "lost|closed|end"),
    ("a cut in a ServerInfo", cut_info, "lost|closed|end"),
)


class HostileServers(unittest.TestCase):
    def each(self, table, make):
        def why(row):
            _, act, pattern = row
            with Host(make(act)) as host:
                done = tls_peer.call(host.address, deadline_ms=DEADLINE_MS)
            if done.returncode != 1:
                return f"it ended with {done.returncode}: {done.stdout!r} {done.stderr!r}"
            if not tls_peer.re.search(pattern, done.stderr):
                return f"without a word of {pattern!r}: {done.stderr!r}"
            return None
        tls_peer.rows(self, table, why)

    def test_within_the_handshake(self):
        self.each(WITHIN, lambda act: act)

    def test_after_the_handshake(self):
        def make(act):
            def run(one):
                one.handshake(tls_peer.der("server"), tls_peer.key("server"))
                act(one)
            return run
        self.each(AFTER, make)

    def test_the_same_server_in_good_order(self):
        """So that what is refused above is refused for what it does."""
        def serve(one):
            one.handshake(tls_peer.der("server"), tls_peer.key("server"))
            for _ in range(5):
                one.send(HANDSHAKE, TICKET)
                one.update_keys(asks=True)
            one.sendall(peer.SERVER_INFO)
            sequence, kind, body = peer.read_command(one)
            one.sendall(peer.frame(sequence, kind, body))
        with Host(serve) as host:
            done = tls_peer.call(host.address)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    tls_peer.main()
