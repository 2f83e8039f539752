# SPDX-License-Identifier: MIT
"""Peers that make a server hold memory: by commands that are kept, by calls that nobody waits for, by results that
nobody reads. What they hold is bounded, it comes back, and others do not pay for it."""
import unittest

import peer

MEBI = 1024 * 1024
HOUR_MS = 3600000


class Memory(unittest.TestCase):
    def assert_resident(self, server, size, what):
        """At most so many bytes, soon."""
        if not peer.is_sanitized():
            peer.until(lambda: server.resident_size() <= size, 15)
            self.assertLessEqual(server.resident_size(), size, what)

    def test_kept_commands_of_one_connection_are_bounded(self):
        with peer.Server("--shards", 1, "--drain-ms", 200) as server:
            before = server.resident_size()
            hog, other = server.connect(timeout=2), server.connect()
            self.assertTrue(peer.echoes(other, 1))
            blob = b"z" * (4 * MEBI)
            taken = 0
            try:
                while taken < 60:
                    hog.sendall(peer.sleep(taken + 1, HOUR_MS, blob))
                    taken += 1
            except TimeoutError:
                pass  # It stopped reading: what follows waits in the peer's own kernel.
            self.assertLess(taken, 30)
            self.assert_resident(server, before + 64 * MEBI, "while they are kept")
            self.assertTrue(peer.echoes(other, 2))
            hog.close()
            other.close()

    def test_kept_commands_go_with_their_connection(self):
        with peer.Server("--shards", 1, "--drain-ms", 200) as server:
            before = server.resident_size()
            hog, other = server.connect(), server.connect()
            for i in range(1, 4):
                hog.sendall(peer.sleep(i, HOUR_MS, b"z" * (4 * MEBI)))
            self.assertTrue(peer.echoes(hog, 4))
            peer.reset(hog)
            self.assert_resident(server, before + 8 * MEBI, "when the connection is gone")
            self.assertTrue(peer.echoes(other, 3))
            other.close()

    def test_calls_of_closed_connections_leave_nothing(self):
        with peer.Server("--shards", 1, "--drain-ms", 200) as server:
            keeper = server.connect()
            keeper.sendall(peer.sleep(1, HOUR_MS))
            self.assertTrue(peer.echoes(keeper, 2))
            before = server.resident_size()
            sleeps = b"".join(peer.sleep(i, HOUR_MS) for i in range(1, 1023))
            many = [server.connect() for _ in range(100)]
            for i, one in enumerate(many):
                one.sendall(sleeps + peer.echo(1023))
                self.assertEqual(peer.read_frame(one)[0], 1023)
                keeper.sendall(peer.sleep(i + 3, HOUR_MS))  # Among theirs lies one that stays.
            if not peer.is_sanitized():
                self.assertGreater(server.resident_size(), before + 30 * MEBI)
            for one in many:
                peer.reset(one)
            self.assert_resident(server, before + 16 * MEBI, "100,000 calls that nobody waits for")
            self.assertTrue(peer.echoes(keeper, 1000))
            keeper.close()

    def test_who_holds_much_pays_and_not_who_holds_little(self):
        with peer.Server("--shards", 1, "--max-memory", 128 * MEBI) as server:
            innocents = [server.connect() for _ in range(10)]
            hogs = [server.connect(receive_buffer=4096) for _ in range(16)]
            for hog in hogs:
                hog.sendall(peer.stream(1, 100, 8 * MEBI + 1))  # It leases 16 MiB for each.
            self.assertTrue(peer.until(lambda: sum(map(peer.is_cut, hogs)) > 0))
            innocents += [server.connect() for _ in range(10)]
            for sequence in range(1, 11):
                for innocent in innocents:
                    self.assertTrue(peer.echoes(innocent, sequence, b"i" * 300 * sequence * sequence))
            self.assertIn("held most", server.log())
            self.assertLess(sum(map(peer.is_cut, hogs)), len(hogs))
            self.assert_resident(server, 160 * MEBI, "with hogs")
            for one in hogs + innocents:
                one.close()


if __name__ == "__main__":
    peer.main()
