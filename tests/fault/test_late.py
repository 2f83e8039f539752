# SPDX-License-Identifier: MIT
"""A server that is stopped, as by a paused container or a debugger, while its peers go on.

When it wakes up its limits have passed, but everything that the peers sent in time lies in its
sockets: none of them may be cut. More peers than a kernel tells of in one enter.
"""
import resource
import signal
import time
import unittest

import peer

PEERS = 700
LIMIT_MS = 3000


class Late(unittest.TestCase):
    def stop_and_go(self, option, before, meanwhile, answers):
        with peer.Server("--shards", 1, option, LIMIT_MS) as server:
            peers = [server.connect() for _ in range(PEERS)]
            for one in peers:
                one.sendall(before)
            self.assertTrue(peer.echoes(server.connect(), 1))  # What came before it is behind it.
            server.signal(signal.SIGSTOP)
            for one in peers:
                one.sendall(meanwhile)
            time.sleep(LIMIT_MS / 1000 + 0.5)  # So that the limit passes.
            server.signal(signal.SIGCONT)
            for one in peers:
                for answer in answers:
                    self.assertEqual(peer.read_frame(one)[0], answer)
                one.close()

    def test_peers_that_were_not_idle_are_kept(self):
        self.stop_and_go("--idle-timeout-ms", peer.echo(1), peer.PING, [1, 0])

    def test_frames_that_got_whole_meanwhile_are_run(self):
        frame = peer.echo(1)
        self.stop_and_go("--frame-timeout-ms", frame[:5], frame[5:], [1])


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < PEERS + 100:
        print(f"***** SKIPPED: {most} open files are too few *****")
        raise SystemExit(77)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    peer.main()
