# SPDX-License-Identifier: MIT
"""A client on loopback whose server is away, on a port that the kernel also gives to clients.

Sooner or later the kernel gives the connect the very port that it connects to, and TCP connects it
to itself. That must be a refusal like any other, and leave the port to the server.
"""
import os
import subprocess
import sys
import unittest

import peer

TRIES_MIN = 24
TRIES = 500  # One of some four is such a one: chance decides.


class SelfConnect(unittest.TestCase):
    def test_it_is_refused_and_the_port_stays_free(self):
        address = "127.0.0.1:40000"
        own_end = False
        for number in range(TRIES):
            client = subprocess.run([peer.tool(), "call", address, "echo"], capture_output=True,
                                    text=True, timeout=peer.PATIENCE_S)
            self.assertEqual(client.returncode, 1)
            self.assertIn("refused", client.stderr)
            own_end = own_end or "its own end" in client.stderr
            if own_end and number >= TRIES_MIN:
                break
        self.assertTrue(own_end, client.stderr)
        with peer.Server("--shards", 1, listen=address) as server:
            self.assertTrue(peer.echoes(server.connect(), 1))


def in_namespace():
    """This program again, in a network of its own with a handful of ports."""
    prepare = "ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range='40000 40003'"
    here = f"{prepare} && exec '{sys.executable}' -B '{os.path.abspath(__file__)}'"
    environment = {**os.environ, "CMDSTREAM_TEST_INSIDE": "1"}
    try:
        if subprocess.run(["unshare", "-n", "sh", "-c", prepare], check=False).returncode != 0:
            raise OSError("no namespace, or no ip and sysctl")
    except OSError as error:
        print(f"***** SKIPPED: {error} *****")
        sys.exit(77)
    sys.exit(subprocess.run(["unshare", "-n", "sh", "-c", here], env=environment,
                            check=False).returncode)


if __name__ == "__main__":
    if os.environ.get("CMDSTREAM_TEST_INSIDE"):
        peer.main()
    in_namespace()
