# SPDX-License-Identifier: MIT
"""Peers that are gone while their commands are executed give their places and descriptors back."""
import os
import threading
import unittest

import peer

HOUR_MS = 3600000
PLACES = 10


class Gone(unittest.TestCase):
    def check_places(self, server, before):
        """All of them are free again, and honest clients are served."""
        self.assertTrue(peer.until(lambda: server.descriptor_count() == before), server.log())
        for _ in range(PLACES + 1):
            one = server.connect()
            self.assertTrue(peer.echoes(one, 1))
            one.close()

    def test_resets_at_the_bound_are_noticed(self):
        with peer.Server("--shards", 1, "--max-connections", PLACES, "--max-in-flight", 8) as server:
            before = server.descriptor_count()
            for number in [8, 9] * (PLACES // 2):  # At the bound, and beyond: it does not read.
                one = server.connect()
                one.sendall(b"".join(peer.sleep(i, HOUR_MS) for i in range(1, number + 1)))
                one.sendall(peer.PING if number == 8 else b"")
                if number == 8:
                    self.assertEqual(peer.read_frame(one)[0], 0)  # All of it has been read.
                peer.reset(one)
            self.check_places(server, before)

    def test_peers_that_closed_have_their_time(self):
        with peer.Server("--shards", 1, "--idle-timeout-ms", 1000) as server:
            before = server.descriptor_count()
            for _ in range(PLACES):
                one = server.connect()
                one.sendall(peer.sleep(1, HOUR_MS))
                one.close()
            self.check_places(server, before)

    def test_peers_that_vanished_are_found(self):
        with peer.Server("--shards", 1, "--idle-timeout-ms", 1000) as server:
            before = server.descriptor_count()
            for _ in range(PLACES):
                one = server.connect()
                one.sendall(peer.sleep(1, HOUR_MS) + peer.PING)
                self.assertEqual(peer.read_frame(one)[0], 0)
                if not peer.vanish(one):
                    one.close()
                    self.skipTest("TCP_REPAIR is not for this user")
            self.check_places(server, before)


class Killed(unittest.TestCase):
    """What a killed server listened on is in use until the kernel has taken its ring down, some time after the process
    has gone. Who supervises it starts the next one at once; here, so that it is sure to be too early, before."""

    def follows(self, listen):
        with peer.Server("--shards", 1, listen=listen, may_fail=True) as first:
            threading.Timer(0.3, first.process.kill).start()
            try:
                with peer.Server("--shards", 1, listen=first.address) as second, second.connect() as one:
                    return peer.echoes(one, 1)
            except AssertionError as error:  # All slept for longer than it waits.
                self.assertIn("Address already in use", str(error))
                return False

    def check(self, listen):
        self.assertTrue(any(self.follows(listen) for _ in range(5)))

    def test_the_next_one_has_its_port(self):
        self.check("127.0.0.1:0")

    def test_the_next_one_has_its_name(self):
        self.check(f"unix:@cmdstream-killed-{os.getpid()}")


if __name__ == "__main__":
    peer.main()
