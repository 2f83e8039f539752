# SPDX-License-Identifier: MIT
"""What the other tests of this folder stand on: a server that is started, asked and stopped."""
import unittest

import peer


class Peers(unittest.TestCase):
    def test_a_server_echoes_and_pongs_and_ends(self):
        with peer.Server("--shards", 1) as server:
            one = server.connect()
            self.assertTrue(peer.echoes(one, 1))
            one.sendall(peer.PING)
            self.assertEqual(peer.read_frame(one)[0], 0)
            one.close()
        self.assertEqual(server.process.returncode, 0)

    def test_frames_of_each_command_are_understood(self):
        with peer.Server("--shards", 1) as server:
            one = server.connect()
            one.sendall(peer.stream(1, 3, 10) + peer.sleep(2, 1) + peer.work(3, 1))
            sequences = sorted(peer.read_frame(one)[0] for _ in range(5))
            self.assertEqual(sequences, [1, 1, 1, 2, 3])
            self.assertFalse(peer.is_cut(one))
            one.close()


if __name__ == "__main__":
    peer.main()
