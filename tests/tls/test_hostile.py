# SPDX-License-Identifier: MIT
"""Clients that break TLS, before, in and after the handshake: each is cut, with a line in the log that says why; the
server lives, and a neighbour notices nothing.
"""
import os
import random
import ssl
import unittest

import tls13
import tls_peer
from tls13 import ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE
from tls_peer import peer

HELLO_MS = 700  # For a handshake, where it is to end by time.
MANY = 2000
HTTP = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def forgiving(send):
    """A server that has closed resets what is still sent."""
    try:
        send()
    except (BrokenPipeError, ConnectionResetError):
        pass


class Case:
    """One server, a neighbour on it, and a client that misbehaves."""

    def __init__(self, test, *options):
        self.test = test
        self.server = tls_peer.Server(*options, may_fail=False)

    def __enter__(self):
        self.server.__enter__()
        context = tls_peer.client_context("client")
        self.neighbour = tls_peer.connect(self.server, context)
        self.number = 0
        self.neighbour_lives()
        self.client = tls13.connect(self.server.address, peer.PATIENCE_S)
        return self

    def __exit__(self, *error):
        self.client.peer.close()
        self.neighbour.close()
        return self.server.__exit__(*error)

    def neighbour_lives(self):
        self.number += 1
        self.test.assertTrue(peer.echoes(self.neighbour, self.number), self.server.log())

    def greet(self):
        """After the handshake: the ServerInfo is read."""
        self.test.assertEqual(peer.read(self.client, len(peer.SERVER_INFO)), peer.SERVER_INFO)

    def is_cut(self, line, alert=None):
        """`line`: a pattern in the log, if there should be one. `alert`: what the client must have been told; several: one of them."""
        said = self.client.end()
        self.client.peer.close()  # Or the server waits a while, that its alert is not lost.
        self.test.assertTrue(line is None or self.server.says(line), f"no line with {line!r}: {self.server.log()!r}")
        if alert is not None:
            self.test.assertIn(said, alert if isinstance(alert, tuple) else (alert,), self.server.log())
        self.server_lives()

    def server_lives(self):
        self.neighbour_lives()
        self.test.assertTrue(self.server.is_alive())
        with tls_peer.connect(self.server, tls_peer.client_context("client")) as one:
            self.test.assertTrue(peer.echoes(one, 1))


def sealed(kind, body, padding=0):
    return lambda case: case.client.send(kind, body, padding)


def raw(data):
    return lambda case: case.client.send_raw(data)


def tag_only(case):
    """21 bytes that seal not even a type."""
    case.client.send_raw(case.client.writing.seal(b""))


def no_type(case):
    case.client.send_raw(case.client.writing.seal(bytes(20)))


def broken_tag(case):
    record = bytearray(case.client.writing.seal(peer.PING + bytes([DATA])))
    record[-1] ^= 1
    case.client.send_raw(bytes(record))


def many(*what):
    def send(case):
        forgiving(lambda: [case.client.send(*what) for _ in range(MANY)])
    return send


def key_updates(case):
    forgiving(lambda: [case.client.update_keys(asks=True) for _ in range(MANY)])


def torn_frame(case):
    case.client.send(DATA, peer.echo(1)[:7])
    case.client.send_alert(tls13.WARNING, tls13.CLOSE_NOTIFY)


def cut_record(case):
    case.client.send_raw(case.client.writing.seal(peer.echo(1) + bytes([DATA]))[:-3])
    case.client.peer.shutdown(tls_peer.socket.SHUT_WR)


def torn_stream(case):
    """A FIN that anybody on the way could have made."""
    case.client.peer.shutdown(tls_peer.socket.SHUT_WR)


# Said by what stands before the library, which never sees these.
SHORT = r"a TLS record too short to hold sealed data"
TYPE = r"a TLS record of an unknown type"
VERSION = r"a TLS record of an unknown version"
EMPTY = r"a TLS record without a byte in it"
LONG = r"a TLS record longer than the protocol allows"
NOTHING = r"too many TLS records that brought no data"

# (name, what it does after the handshake, line, alert that the client must see; None: whichever)
AFTER = (
    ("a record of a tag alone", tag_only, SHORT, None),
    ("a record without a type", no_type, "TLS", None),
    ("an unknown type, sealed", sealed(99, b"x"), "TLS", None),
    ("an unknown type, in the clear", raw(tls13.record(99, b"x" * 40)), TYPE, None),
    ("another version of records", raw(tls13.record(DATA, b"x" * 40, 0x0203)), VERSION, None),
    ("an empty record", raw(tls13.record(DATA, b"")), EMPTY, None),
    ("an empty record of a handshake", sealed(HANDSHAKE, b""), "TLS", None),
    ("a CCS", raw(tls13.record(CHANGE_CIPHER_SPEC, b"\1")), "TLS", None),
    ("a CCS, sealed", sealed(CHANGE_CIPHER_SPEC, b"\1"), "TLS", None),
    ("data in the clear", raw(tls13.record(DATA, peer.echo(1))), "TLS", None),
    ("a handshake in the clear", raw(tls13.record(HANDSHAKE, tls13.client_hello())), "TLS", None),
    ("an alert in the clear", raw(tls13.record(ALERT, b"\2\0")), "TLS", None),
    ("another tag", broken_tag, "TLS", tls13.BAD_RECORD_MAC),
    ("a record of 16 KiB + 300", sealed(DATA, bytes(16384 + 300)), LONG, None),
    ("data of 16 KiB + 1", sealed(DATA, bytes(16384 + 1)), "TLS", None),
    ("a ClientHello once more", sealed(HANDSHAKE, tls13.client_hello()), "TLS", None),
    ("a ticket", sealed(HANDSHAKE, tls13.message(tls13.NEW_TICKET, bytes(40))), "TLS", None),
    ("a CertificateRequest", sealed(HANDSHAKE, tls13.message(tls13.CERTIFICATE_REQUEST, bytes(8))), "TLS", None),
    ("an unknown message", sealed(HANDSHAKE, tls13.message(77, b"x")), "TLS", None),
    ("a message of 16 MiB, begun", sealed(HANDSHAKE, b"\x18\xff\xff\xff" + bytes(1000)), "TLS", None),
    ("a KeyUpdate of another form", sealed(HANDSHAKE, tls13.message(tls13.KEY_UPDATE, b"\7")), "TLS", None),
    ("2,000 KeyUpdates", key_updates, NOTHING, None),
    ("2,000 records of padding", many(DATA, b"", 10), NOTHING, None),
    ("2,000 warnings", many(ALERT, bytes([tls13.WARNING, tls13.USER_CANCELED])), "TLS", None),
    ("a fatal alert", sealed(ALERT, bytes([tls13.FATAL, 80])), r"alert", None),
    ("an unknown alert", sealed(ALERT, bytes([tls13.FATAL, 250])), "alert|TLS", None),
    ("an alert of one byte", sealed(ALERT, b"\2"), "TLS", None),
    ("close_notify within a frame", torn_frame, r"frame|mid", None),
    ("a record cut by a FIN", cut_record, None, None),
    ("a FIN without close_notify", torn_stream, None, None),
)


# ---- In a handshake ------------------------------------------------------------------------------
def without_verify(client):
    """The certificate of somebody whose key one does not have, and not a word of proof."""
    client.send_message(tls13.certificate_message(tls_peer.der("client")))
    client.finish()


def wrong_verify(client):
    client.send_message(tls13.certificate_message(tls_peer.der("client")))
    client.send_message(tls13.message(tls13.CERTIFICATE_VERIFY, b"\4\3" + tls13.vector(2, os.urandom(70))))
    client.finish()


def without_certificate(client):
    client.finish()


def no_certificate(client):
    client.send_message(tls13.certificate_message())
    client.finish()


def broken_certificate(client):
    client.send_message(tls13.certificate_message(b"\x30\x82\xff\xff" + os.urandom(500)))
    client.finish()


def long_chain(client):
    client.send_message(tls13.certificate_message(*[tls_peer.der("client")] * 20))
    client.finish()


def wrong_finished(client):
    client.send_message(tls13.message(tls13.FINISHED, os.urandom(32)))


def data_first(client):
    client.send(DATA, peer.echo(1))


def finished_in_the_clear(client):
    client.send_raw(tls13.record(HANDSHAKE, tls13.message(tls13.FINISHED, os.urandom(32))))


WITHIN = (
    ("a certificate without CertificateVerify", without_verify, True),
    ("a certificate with a wrong CertificateVerify", wrong_verify, True),
    ("no message with a certificate", without_certificate, True),
    ("an empty list of certificates", no_certificate, True),
    ("a certificate that is noise", broken_certificate, True),
    ("a chain of 20", long_chain, True),
    ("a wrong Finished", wrong_finished, False),
    ("data before the Finished", data_first, False),
    ("a Finished in the clear", finished_in_the_clear, False),
)


# ---- Before one ----------------------------------------------------------------------------------
def hello_of(size):
    return tls13.client_hello(more=tls13.extension(21, bytes(size)))


def in_records(text, size):
    return b"".join(tls13.record(HANDSHAKE, text[at:at + size], 0x0301) for at in range(0, len(text), size))


LOW_ORDER = tls13.client_hello(public=bytes(32))
OLD = tls13.client_hello(versions=b"\3\1")
PLAIN = r"plaintext on a TLS port"
TOO_LONG = r"its ClientHello is above 16 KiB"

# (name, bytes, line)
FIRST = (
    ("HTTP", HTTP, PLAIN),
    ("a command in the clear", peer.echo(1), PLAIN),
    ("a ping in the clear", peer.PING * 100, PLAIN),
    ("noise", b"\xf7" + os.urandom(2000), PLAIN),
    ("SSL 2.0", b"\x80\x2e\1\3\1" + bytes(43), PLAIN),
    ("data first", tls13.record(DATA, bytes(40)), "TLS"),
    ("an alert first", tls13.record(ALERT, b"\2\x28"), "TLS"),
    ("a ClientHello of 17 KiB", in_records(hello_of(17 * 1024), 16384), TOO_LONG),
    ("a ClientHello of 60 KiB", in_records(hello_of(60 * 1024), 16384), TOO_LONG),
    ("a ClientHello of 16 MiB, begun", in_records(b"\1\xff\xff\xff" + bytes(40000), 16384), TOO_LONG),
    ("TLS 1.0", tls13.record(HANDSHAKE, OLD, 0x0301), "TLS"),
    ("a key share of zeros", tls13.record(HANDSHAKE, LOW_ORDER, 0x0301), "TLS"),
    ("a ServerHello", tls13.record(HANDSHAKE, tls13.message(tls13.SERVER_HELLO, bytes(80)), 0x0301), "TLS"),
    ("an empty ClientHello", tls13.record(HANDSHAKE, tls13.message(tls13.CLIENT_HELLO, b""), 0x0301), "TLS"),
    ("records of nothing", tls13.record(HANDSHAKE, b"", 0x0301) * MANY, EMPTY),
    ("CCS without end", tls13.record(CHANGE_CIPHER_SPEC, b"\1", 0x0301) * MANY, "TLS"),
)


def spoiled(chance):
    """A ClientHello with a few bytes changed, or cut and filled up, or with a length that lies."""
    text = bytearray(tls13.client_hello(server_name=b"a.example", alpn=b"x"))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(38, len(text))
        kind = chance.randrange(3)
        if kind == 0:
            text[at] = chance.randrange(256)
        elif kind == 1:
            del text[at:at + chance.randint(1, 8)]
        else:
            text[at:at] = chance.randbytes(chance.randint(1, 8))
        if len(text) < 60:
            break
    text[1:4] = (len(text) - 4).to_bytes(3, "big")
    return tls13.record(HANDSHAKE, bytes(text), 0x0301)


class Hostile(unittest.TestCase):
    def each(self, table, run):
        def why(row):
            try:
                run(row)
            except (AssertionError, OSError, EOFError) as problem:
                return f"{type(problem).__name__}: {problem}"
            return None
        tls_peer.rows(self, table, why)

    def test_after_the_handshake(self):
        def run(row):
            _, act, line, alert = row
            with Case(self) as case:
                case.client.handshake()
                case.greet()
                forgiving(lambda: act(case))
                case.is_cut(line, alert)
        self.each(AFTER, run)

    def test_within_the_handshake(self):
        def run(row):
            _, act, mutual = row
            with Case(self, *(tls_peer.mutual() if mutual else ())) as case:
                case.client.send(HANDSHAKE, case.client.hello())
                case.client.flight()
                self.assertEqual(case.client.asked, mutual)
                forgiving(lambda: act(case.client))
                forgiving(lambda: case.client.send(DATA, peer.echo(1)))
                self.assertFalse(self.is_served(case.client), "it was served")
                case.is_cut("TLS")
        self.each(WITHIN, run)

    @staticmethod
    def is_served(client):
        try:
            return peer.read(client, len(peer.SERVER_INFO)) == peer.SERVER_INFO
        except (AssertionError, EOFError):  # Its records do not open: the keys are not of one mind.
            return False

    def test_before_the_handshake(self):
        def run(row):
            _, data, line = row
            with Case(self) as case:
                forgiving(lambda: case.client.send_raw(data))
                case.is_cut(line)
        self.each(FIRST, run)

    def test_spoiled_hellos(self):
        """On one server: what counts is that it lives. A mended one is served at the end."""
        chance = random.Random(7)
        with Case(self) as case:
            for _ in range(200):
                one = tls13.connect(case.server.address, peer.PATIENCE_S)
                forgiving(lambda one=one: one.send_raw(spoiled(chance)))
                one.peer.shutdown(tls_peer.socket.SHUT_WR)
                one.peer.close()
            case.server_lives()

    # ---- Slow ones -----------------------------------------------------------------------------
    def slow(self, send):
        """Cut when its time is over, however much comes meanwhile."""
        with Case(self, "--server-info-timeout-ms", HELLO_MS) as case:
            forgiving(lambda: send(case.client))
            case.is_cut(r"handshake.*(ms|time)|(ms|time).*handshake")

    def test_a_silent_client(self):
        self.slow(lambda client: None)

    def test_a_hello_byte_by_byte(self):
        def send(client):
            for byte in tls13.record(HANDSHAKE, client.hello(), 0x0301):
                client.send_raw(bytes([byte]))
                if peer.is_cut(client.peer, 0.05):
                    return
            self.fail("it was not cut")
        self.slow(send)

    def test_a_hello_and_no_more(self):
        self.slow(lambda client: client.send(HANDSHAKE, client.hello()))

    def test_half_a_hello(self):
        self.slow(lambda client: client.send_raw(tls13.record(HANDSHAKE, client.hello(), 0x0301)[:100]))

    # ---- What is odd and honest ----------------------------------------------------------------
    def honest(self, send, *options):
        with Case(self, *options) as case:
            send(case)
            case.client.flight()
            case.client.finish()
            case.greet()
            self.assertTrue(peer.echoes(case.client, 1))
            case.neighbour_lives()

    def test_a_hello_in_small_records(self):
        self.honest(lambda case: case.client.send_raw(in_records(case.client.hello(), 20)))

    def test_a_large_hello(self):
        self.honest(lambda case: case.client.send_raw(
            in_records(case.client.hello(more=tls13.extension(21, bytes(14 * 1024))), 16384)))

    def test_a_hello_in_small_pieces(self):
        def send(case):
            for byte in tls13.record(HANDSHAKE, case.client.hello(), 0x0301):
                case.client.send_raw(bytes([byte]))
        self.honest(send)

    def test_what_brings_nothing_is_borne_between_data(self):
        with Case(self) as case:
            client = case.client.handshake()
            case.greet()
            for number in range(1, 201):
                client.update_keys(asks=number % 2 == 0)
                client.send(DATA, peer.PING, padding=number)
                self.assertEqual(client.recv(1), peer.PING)
            case.neighbour_lives()

    def test_frames_and_records_are_cut_where_they_like(self):
        data = b"x" * 40000
        frame = peer.echo(1, data) + peer.PING
        with Case(self) as case:
            client = case.client.handshake()
            case.greet()
            stream = b"".join(client.writing.seal(frame[at:at + size] + bytes([DATA]))
                              for at, size in pieces(len(frame), random.Random(3)))
            for at, size in pieces(len(stream), random.Random(4)):
                client.send_raw(stream[at:at + size])
            number, _, answer = peer.read_frame(client)
            self.assertEqual(number, 1)
            self.assertIn(data, answer)
            self.assertEqual(client.recv(1), peer.PING)

    def test_a_client_without_tls_at_a_server_with_it(self):
        """The client waits for a ServerInfo, the server for a ClientHello: both end, and say so."""
        with Case(self, "--server-info-timeout-ms", HELLO_MS) as case:
            done = tls_peer.subprocess.run(
                [peer.tool(), "call", "--deadline-ms", "3000", case.server.address, "echo"],
                capture_output=True, text=True, timeout=peer.PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr)
            case.server_lives()

    def test_a_client_with_tls_at_a_server_without_it(self):
        with peer.Server("--shards", 1) as server:
            with self.assertRaises((OSError, EOFError)):
                tls_peer.connect(server)
            self.assertTrue(peer.until(lambda: "TLS" in server.log()), server.log())
            done = tls_peer.call(server.address, deadline_ms=3000)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "TLS")

    def test_an_old_protocol_is_refused(self):
        with Case(self) as case:
            context = tls_peer.client_context()
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            with self.assertRaises(ssl.SSLError) as raised:
                tls_peer.connect(case.server, context)
            self.assertRegex(tls_peer.reason(raised.exception), "PROTOCOL_VERSION|HANDSHAKE_FAILURE|UNSUPPORTED")
            case.server_lives()


def pieces(size, chance):
    """[(where, how much)]"""
    at, found = 0, []
    while at < size:
        found.append((at, min(chance.choice((1, 2, 3, 100, 1000, 5000)), size - at)))
        at += found[-1][1]
    return found


if __name__ == "__main__":
    tls_peer.main()
