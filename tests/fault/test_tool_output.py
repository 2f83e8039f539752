# SPDX-License-Identifier: MIT
"""What the program prints must arrive, or it says so and does not end with 0."""
import os
import subprocess
import unittest

import peer
import program

PRINTING = (("--help",), ("--version",), ("help", "bench"), ("serve", "--help"), ("bench", "--help"), ("call", "--help"),
            ("doctor", "--help"), ("doctor",), ("doctor", "--json"),
            ("bench", "--duration", 0.05, "--warmup", 0, "--conns", 1, "--in-flight", 1))


def closed(*words):
    """Run without a stdout at all."""
    return subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", peer.tool(), *map(str, words)], stderr=subprocess.PIPE,
                          text=True, timeout=peer.PATIENCE_S, check=False)


class Output(unittest.TestCase):
    def expect_failure(self, done):
        self.assertEqual(done.returncode, 1, done.args)
        self.assertIn("stdout does not take what is printed", done.stderr, done.args)

    def test_a_full_stdout_is_told(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for words in PRINTING:
                self.expect_failure(program.run(*words, stdout=full))

    def test_a_closed_stdout_is_told(self):
        for words in PRINTING:
            self.expect_failure(closed(*words))

    def test_a_server_that_cannot_say_where_it_listens_ends(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            self.expect_failure(program.run("serve", "--listen", "127.0.0.1:0", stdout=full))
        self.expect_failure(closed("serve", "--listen", "127.0.0.1:0"))

    def test_a_result_that_is_not_printed_is_told(self):
        with peer.Server("--shards", 1) as server, open("/dev/full", "w", encoding="ascii") as full:
            self.expect_failure(program.run("call", server.address, "echo", stdout=full))
            self.expect_failure(closed("call", server.address, "echo"))

    def test_a_reader_that_has_gone_needs_no_sentence(self):
        with peer.Server("--shards", 1) as server:
            for words in (("call", server.address, "stream", '{"count":100000,"size":64}'),
                          ("bench", "--connect", server.address, "--duration", 0.05, "--warmup", 0)):
                read, write = os.pipe()
                process = program.start(*words, stdout=write, stderr=subprocess.PIPE, text=True)
                os.close(write)
                os.close(read)
                self.assertEqual(process.communicate(timeout=peer.PATIENCE_S)[1], "")
                self.assertNotEqual(process.returncode, 0)

    def test_no_socket_takes_the_place_of_a_closed_stderr(self):
        with peer.Server("--shards", 1) as server:
            done = subprocess.run(["sh", "-c", 'exec "$@" 2>&- <&-', "sh", peer.tool(), "call", server.address, "fail"],
                                  stdout=subprocess.PIPE, timeout=peer.PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            one = server.connect()
            self.assertTrue(peer.echoes(one, 1))
            one.close()


if __name__ == "__main__":
    peer.main()
