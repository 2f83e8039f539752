# SPDX-License-Identifier: MIT
"""The example `later` under connects and resets: its thread lets go of calls at the very moments at which
their connections go.

CMDSTREAM_SOAK_SECONDS is how long (3); ten minutes are a soak.
"""
import os
import pathlib
import random
import threading
import time
import unittest

import peer

SECONDS = float(os.environ.get("CMDSTREAM_SOAK_SECONDS", "3"))


def get(sequence, key):
    return peer.frame(sequence, 0, b"\x91" + bytes([0xA0 | len(key)]) + key)


class Later(unittest.TestCase):
    def test_calls_are_let_go_of_while_connections_come_and_go(self):
        program = pathlib.Path(peer.tool()).parent / "examples" / "later_server"
        if not program.exists():
            self.skipTest(f"{program} is not built")
        with peer.Server(command=[str(program), "127.0.0.1:0"]) as server:
            self.ends = 0
            threads = [threading.Thread(target=self.hurry, args=(server, seed)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertTrue(server.is_alive(), server.log()[-2000:])
            self.assertGreater(self.ends, 0)
            calm = server.connect()
            calm.sendall(get(1, b"end"))
            self.assertEqual(peer.read_frame(calm)[0], 1)
            calm.close()

    def hurry(self, server, seed):
        """Connects, asks for 1 to 64 values, reads some of them or none, and is gone."""
        chance = random.Random(seed)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and server.is_alive():
            try:
                one = server.connect()
                count = chance.randint(1, 64)
                one.sendall(b"".join(get(i, b"key") for i in range(1, count + 1)))
                if chance.random() < 0.5:
                    one.settimeout(0.1)  # Its queue was full, perhaps: then nothing comes.
                    one.recv(100)
                time.sleep(chance.random() * 0.002)
                peer.reset(one)
            except (OSError, EOFError):
                pass  # The server is gone: said above.
            self.ends += 1


if __name__ == "__main__":
    peer.main()
