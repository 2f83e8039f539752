# SPDX-License-Identifier: MIT
"""The ssl module of Python at both ends of ours: bytes one by one, records cut and joined, half-closed and cut
connections, resumption, keys that are updated, certificates that are replaced.
"""
import contextlib
import os
import pathlib
import select
import shutil
import signal
import socket
import ssl
import threading
import unittest

import tls13
import tls_peer
from tls_peer import peer

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
STEP = 16384


class InTurns:
    """Who reads from it writes as well, whenever the peer takes something: an ssl socket is not for two threads."""

    def __init__(self, one, data):
        self.one, self.left = one, memoryview(data)
        one.setblocking(False)

    def recv(self, size):
        while True:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if self.left:
                    self.left = self.left[self.one.send(self.left[: 1 << 14]) :]
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return self.one.recv(size)
            if not any(select.select([self.one], [self.one] if self.left else [], [], peer.PATIENCE_S)):
                raise TimeoutError(f"{len(self.left)} bytes were not taken, and nothing came")


class Peer:
    """A client over memory: what goes over the network is cut into pieces of `size` bytes. As a socket to tests/fault/peer.py."""

    def __init__(self, server, context, size):
        host, port = server.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), peer.PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing, self.size = ssl.MemoryBIO(), ssl.MemoryBIO(), size
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=tls_peer.NAME)
        self.pump(self.tls.do_handshake)

    def pump(self, act):
        while True:
            try:
                result = act()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                more = self.socket.recv(self.size)
                if more:
                    self.incoming.write(more)
                else:
                    self.incoming.write_eof()

    def flush(self):
        data = self.outgoing.read()
        for at in range(0, len(data), self.size):
            self.socket.sendall(data[at:at + self.size])

    def recv(self, size):
        return self.pump(lambda: self.tls.read(size))

    def sendall(self, data):
        for at in range(0, len(data), STEP):
            self.pump(lambda at=at: self.tls.write(data[at:at + STEP]))

    def close(self):
        self.socket.close()


def context_of(version, name=None):
    context = tls_peer.client_context(name)
    context.minimum_version = context.maximum_version = version
    return context


class Python(unittest.TestCase):
    def setUp(self):
        self.server = tls_peer.Server()
        self.addCleanup(self.server.__exit__, None, None, None)

    def connect(self, version=ssl.TLSVersion.TLSv1_3, **how):
        one = tls_peer.connect(self.server, context_of(version), **how)
        self.addCleanup(one.close)
        return one

    # ---- Bytes ---------------------------------------------------------------------------------
    def test_bytes_one_by_one(self):
        for version in VERSIONS:
            for size in (1, 2, 5, 6, 21, 1000):
                one = Peer(self.server, context_of(version), size)
                self.assertEqual(peer.read(one, len(peer.SERVER_INFO)), peer.SERVER_INFO)
                for number in range(1, 4):
                    self.assertTrue(peer.echoes(one, number, b"x" * 300 * number))
                one.close()

    def test_one_byte_a_record(self):
        for version in VERSIONS:
            one = self.connect(version)
            for byte in peer.echo(1, b"z" * 500):
                one.sendall(bytes([byte]))
            self.assertEqual(peer.read_frame(one)[0], 1)

    def test_many_frames_a_record_and_many_records_a_frame(self):
        for version in VERSIONS:
            one = self.connect(version)
            one.sendall(b"".join(peer.echo(number) for number in range(1, 301)))
            self.assertEqual([peer.read_frame(one)[0] for _ in range(300)], list(range(1, 301)))
            large = os.urandom(3 << 20)
            one.sendall(peer.echo(301, large))
            number, _, body = peer.read_frame(one)
            self.assertEqual(number, 301)
            self.assertIn(large, body)

    def test_a_stream_to_a_reader_that_lets_it_wait(self):
        """It is more than sockets hold: the server waits, and goes on."""
        one = self.connect()
        one.sendall(peer.stream(1, 3000, 5000))
        other = self.connect()
        self.assertTrue(peer.echoes(other, 1))
        total = 0
        for _ in range(3000):
            number, kind, body = peer.read_frame(one)
            self.assertEqual((number, kind), (1, 1))
            total += len(body)
        self.assertGreater(total, 3000 * 5000)
        self.assertTrue(peer.echoes(one, 2))

    def test_both_sides_write_first_and_read_then(self):
        frames = 400
        one = InTurns(self.connect(), b"".join(peer.echo(i, b"q" * 20000) for i in range(1, frames + 1)))
        for _ in range(frames):
            self.assertGreater(len(peer.read_frame(one)[2]), 20000)
        self.assertEqual(len(one.left), 0)

    # ---- Ends ----------------------------------------------------------------------------------
    def test_half_closed(self):
        """close_notify says that no command comes; what was asked is answered, then the server says the same."""
        client = tls13.connect(self.server.address, peer.PATIENCE_S).handshake()
        self.assertEqual(peer.read(client, len(peer.SERVER_INFO)), peer.SERVER_INFO)
        client.sendall(peer.sleep(1, 300) + peer.echo(2))
        client.send_alert(tls13.WARNING, tls13.CLOSE_NOTIFY)
        self.assertEqual([peer.read_frame(client)[0] for _ in range(2)], [2, 1])
        self.assertEqual(client.end(), tls13.CLOSE_NOTIFY)

    def test_closed_in_order(self):
        for version in VERSIONS:
            one = self.connect(version)
            self.assertTrue(peer.echoes(one, 1))
            self.assertEqual(one.unwrap().recv(1), b"")  # Raises without its close_notify.

    def test_cut_without_close_notify(self):
        """What was received whole is executed; then it ends, and nothing waits for a peer that is gone."""
        one = self.connect()
        one.sendall(peer.echo(1))
        socket.socket.shutdown(one, socket.SHUT_WR)  # Its own would forget TLS.
        self.assertEqual(peer.read_frame(one)[0], 1)
        self.assertTrue(peer.is_cut(one, peer.PATIENCE_S))

    def test_gone_at_every_moment(self):
        """Reset or cut after any number of bytes of the handshake and of a command: nothing is left of it."""
        before = self.server.descriptor_count()
        for version in VERSIONS:
            for size in (0, 1, 5, 6, 100, 300, 400, 500, 600, 700):
                self.go_away(context_of(version), size, reset=size % 2 == 0)
        self.assertTrue(peer.until(lambda: self.server.descriptor_count() == before), self.server.log())
        self.assertTrue(peer.echoes(self.connect(), 1))

    def go_away(self, context, size, reset):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=tls_peer.NAME)
        host, port = self.server.address.rsplit(":", 1)
        plain = socket.create_connection((host, int(port)), peer.PATIENCE_S)
        while size > 0:
            try:
                tls.do_handshake()
                tls.write(peer.echo(1))
            except ssl.SSLWantReadError:
                pass
            data = outgoing.read(size)
            plain.sendall(data)
            size -= len(data)
            if size > 0 and not data:
                incoming.write(plain.recv(65536))
        if reset:
            peer.reset(plain)
        plain.close()

    # ---- Sessions ------------------------------------------------------------------------------
    def test_resumption(self):
        context = context_of(ssl.TLSVersion.TLSv1_3)
        one = tls_peer.connect(self.server, context)
        self.assertTrue(peer.echoes(one, 1))
        self.assertFalse(one.session_reused)
        for _ in range(3):
            two = tls_peer.connect(self.server, context, session=one.session)
            self.assertTrue(two.session_reused)
            self.assertTrue(peer.echoes(two, 1))
            one.close()
            one = two
        one.close()

    def test_required_certificates_are_shown_in_every_version(self):
        for version in VERSIONS:
            context = tls_peer.server_context("server", ca="ca")
            context.minimum_version = context.maximum_version = version
            with tls_peer.Host(context) as host:
                done = tls_peer.call(host.address, *tls_peer.own("client"))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(host.handshakes[0][2], tls_peer.der("client"))

    def test_our_client_and_a_server_whose_records_are_small(self):
        for version in VERSIONS:
            context = tls_peer.server_context("server")
            context.minimum_version = context.maximum_version = version
            with tls_peer.Host(context, step=1) as host:
                done = tls_peer.call(host.address)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    # ---- Files that are replaced ---------------------------------------------------------------
    def test_files_are_read_anew(self):
        folder = tls_peer.folder() / "reload"
        folder.mkdir()
        certificate, key = folder / "one.pem", folder / "one.key"

        def put(name, of_key=None):
            shutil.copy(tls_peer.pem(name), certificate)
            shutil.copy(tls_peer.key(of_key or name), key)

        def reload(server, pattern):
            count = len(server.log())
            server.signal(signal.SIGHUP)
            self.assertTrue(peer.until(lambda: tls_peer.re.search(pattern, server.log()[count:]), 20), server.log())

        def shown(server):
            with tls_peer.connect(server) as one:
                self.assertTrue(peer.echoes(one, 1))
                return one.getpeercert(True)

        put("server")
        with peer.Server("--shards", 1, "--tls-cert", certificate, "--tls-key", key) as server:
            old = tls_peer.connect(server)
            self.assertEqual(shown(server), tls_peer.der("server"))
            put("p384")
            reload(server, "read anew|reload|new")
            self.assertEqual(shown(server), tls_peer.der("p384"))
            put("plain", of_key="server")  # Half of a replacement.
            reload(server, "not the key")
            self.assertEqual(shown(server), tls_peer.der("p384"))
            certificate.write_bytes(pathlib.Path(tls_peer.pem("plain")).read_bytes()[:100])
            reload(server, "one.pem")
            self.assertEqual(shown(server), tls_peer.der("p384"))
            put("plain")
            reload(server, "read anew|reload|new")
            self.assertEqual(shown(server), tls_peer.der("plain"))
            self.assertTrue(peer.echoes(old, 1))
            old.close()

    def test_files_are_read_anew_under_load(self):
        """Whoever comes meanwhile is served, by the old context or the new one."""
        stopping = threading.Event()

        def reload():
            while not stopping.wait(0.002):
                self.server.signal(signal.SIGHUP)
        thread = threading.Thread(target=reload)
        thread.start()
        try:
            for version in VERSIONS * 40:
                with tls_peer.connect(self.server, context_of(version)) as one:
                    self.assertTrue(peer.echoes(one, 1))
        finally:
            stopping.set()
            thread.join()

    def test_a_reset_while_an_alert_is_on_its_way(self):
        for _ in range(20):
            client = tls13.connect(self.server.address, peer.PATIENCE_S).handshake()
            client.send(77, b"x")
            peer.reset(client.peer)
        self.assertTrue(peer.echoes(self.connect(), 1))


if __name__ == "__main__":
    tls_peer.main()
