# SPDX-License-Identifier: MIT
"""When does a client give its server up? When it is silent, and only then.

A server that is stopped is found dead by its pings. One that drains, or whose results a slow reader
has not taken yet, lives. The programs run side by side: each takes longer than the client's
patience of 4 seconds after 3 seconds of rest.
"""
import os
import signal
import subprocess
import threading
import time
import unittest

import peer

NEVER = 4294967295


def call(server, command, json, **options):
    return subprocess.Popen(
        [peer.tool(), "call", "--deadline-ms", str(NEVER), server.address, command, json],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


class Alive(unittest.TestCase):
    def side_by_side(self, *tests):
        """Each is a function without a result; the first failure is told."""
        failures = []

        def run(test):
            try:
                test()
            except BaseException as failure:  # pylint: disable=broad-except
                failures.append(failure)

        threads = [threading.Thread(target=run, args=[test]) for test in tests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def stopped_server_is_given_up(self):
        with peer.Server("--shards", 1) as server:
            client = call(server, "sleep", '{"ms":3600000}')
            time.sleep(0.5)
            server.signal(signal.SIGSTOP)
            _, errors = client.communicate(timeout=peer.PATIENCE_S)
            self.assertEqual(client.returncode, 1)
            self.assertIn(b"no pong", errors)
            server.signal(signal.SIGKILL)
            server.may_fail = True

    def draining_server_is_waited_for(self):
        with peer.Server("--shards", 1, "--drain-ms", 60000) as server:
            client = call(server, "sleep", '{"ms":10000,"int64":77}')
            time.sleep(0.5)  # The client has not sent a ping yet.
            server.signal(signal.SIGTERM)
            output, errors = client.communicate(timeout=peer.PATIENCE_S)
            self.assertEqual(client.returncode, 0, errors)
            self.assertIn(b"77", output)

    def slow_reader_is_served(self):
        with peer.Server("--shards", 1) as server:
            client = call(server, "stream", '{"count":1000000,"size":1000}', bufsize=0)
            end = time.monotonic() + 14
            while time.monotonic() < end:
                self.assertNotEqual(os.read(client.stdout.fileno(), 15000), b"", "it ended")
                time.sleep(0.05)
            self.assertIsNone(client.poll())
            client.kill()
            client.communicate()

    def test_a_client_gives_up_who_is_silent_and_nobody_else(self):
        self.side_by_side(self.stopped_server_is_given_up, self.draining_server_is_waited_for,
                          self.slow_reader_is_served)


if __name__ == "__main__":
    peer.main()
