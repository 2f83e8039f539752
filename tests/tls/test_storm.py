# SPDX-License-Identifier: MIT
"""Many handshakes at once, and many that never end: everybody honest is served, the neighbours meanwhile, and nothing is
left of it. The figures are those of perf/storm.
"""
import resource
import ssl
import threading
import time
import unittest

import storm
import tls13
import tls_peer
from tls13 import HANDSHAKE
from tls_peer import peer

AT_ONCE = 500
SLOW = 1000
SEATS = 64  # Handshakes under way of a shard.
TIMEOUT_MS = 4000


class Echoes(threading.Thread):
    """A neighbour: it asks, waits for the answer, and asks again, until told to stop. `answered` are so many."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.peer = tls_peer.connect(server)
        self.answered, self.problem, self.stopping = 0, None, False
        self.start()

    def run(self):
        try:
            while not self.stopping:
                if not peer.echoes(self.peer, self.answered + 1):
                    raise AssertionError("another answer")
                self.answered += 1
        except (OSError, EOFError, AssertionError) as problem:
            self.problem = problem

    def goes_on(self):
        """It is answered now, too."""
        before = self.answered
        return peer.until(lambda: self.answered > before + 10 or self.problem, 20) and not self.problem

    def stop(self):
        self.stopping = True
        self.join()
        self.peer.close()
        return self.problem


class Storms(unittest.TestCase):
    def setUp(self):
        self.server = tls_peer.Server("--server-info-timeout-ms", TIMEOUT_MS, "--quiet")
        self.addCleanup(self.server.__exit__, None, None, None)
        self.neighbour = Echoes(self.server)
        self.assertTrue(self.neighbour.goes_on())
        self.descriptors = self.server.descriptor_count()

    def ends_well(self):
        """Nothing is left, and the neighbour has noticed nothing."""
        self.assertTrue(peer.until(lambda: self.server.descriptor_count() == self.descriptors), self.server.log())
        self.assertTrue(self.neighbour.goes_on(), self.neighbour.problem)
        self.assertIsNone(self.neighbour.stop())

    def test_handshakes_at_once(self):
        """All of them are done, if some come again: whoever is slow makes room for others. The neighbour is answered
        between them."""
        context = tls_peer.client_context()
        before, left, end = self.neighbour.answered, AT_ONCE, time.monotonic() + peer.PATIENCE_S
        while left > 0:
            with storm.Storm(self.server.address, context, left, tls_peer.NAME) as clients:
                done = clients.run(peer.PATIENCE_S)
                for one in done[::50]:
                    self.assertTrue(self.echoes(one))
            left -= len(done)
            self.assertLess(time.monotonic(), end, f"{left} of {AT_ONCE} were not served")
        self.assertGreater(self.neighbour.answered, before + 10)
        self.ends_well()

    @staticmethod
    def echoes(client):
        """One of a storm takes part as anybody does."""
        client.tls.write(peer.echo(1))
        client.socket.setblocking(True)
        client.socket.settimeout(peer.PATIENCE_S)
        client.socket.sendall(client.outgoing.read())
        while True:
            try:
                return client.tls.read(100)[:1] == b"\1"
            except ssl.SSLWantReadError:
                client.incoming.write(client.socket.recv(65536))

    def test_hellos_that_come_byte_by_byte(self):
        """A thousand of them: who comes meanwhile is served, and they are cut in their time."""
        hello = tls13.record(HANDSHAKE, tls13.client_hello(), 0x0301)
        slow = [peer.connect(self.server.address, server_info=False) for _ in range(SLOW)]
        end = time.monotonic() + TIMEOUT_MS / 1000 - 1.5
        at = 0
        while time.monotonic() < end:
            for one in slow:
                one.send(hello[at:at + 1])
            at += 1
            with tls_peer.connect(self.server) as honest:
                self.assertTrue(peer.echoes(honest, 1))
            self.assertTrue(self.neighbour.goes_on())
            time.sleep(0.5)
        self.assertTrue(at > 1)
        for one in slow:
            self.assertTrue(peer.is_cut(one, peer.PATIENCE_S))
            one.close()
        self.ends_well()

    def test_handshakes_that_are_begun_and_left(self):
        """More than may be under way: they hold up nobody for ever."""
        left = [tls13.connect(self.server.address, peer.PATIENCE_S) for _ in range(3 * SEATS)]
        for one in left:
            one.send(HANDSHAKE, tls13.client_hello())
        with tls_peer.connect(self.server) as honest:
            self.assertTrue(peer.echoes(honest, 1))
        self.assertTrue(self.neighbour.goes_on())
        for one in left:
            self.assertTrue(peer.is_cut(one.peer, peer.PATIENCE_S))
            one.peer.close()
        self.ends_well()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < SLOW + 100:
        tls_peer.skip(f"{most} open files are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tls_peer.main()
