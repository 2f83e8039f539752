# SPDX-License-Identifier: MIT
"""A log that nobody reads: the pipe behind stderr is full, and the server goes on; whoever reads it later is told."""
import fcntl
import os
import unittest

import peer


class FullPipe:
    """A pipe without room, whose writing end is the server's stderr."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETFL, os.O_NONBLOCK)
        self.size = 0
        try:
            while True:
                self.size += os.write(self.writer, b"." * 4096)
        except BlockingIOError:
            pass
        fcntl.fcntl(self.writer, fcntl.F_SETFL, 0)  # As a program finds it.

    def take(self):
        """What is in it, without a wait; then there is room."""
        os.set_blocking(self.reader, False)
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


class Server(peer.Server):
    """With a stderr of ours."""

    def __init__(self, pipe, *options):
        self.pipe = pipe
        super().__init__(*options, prefix=("sh", "-c", f'exec "$@" 2>&{pipe.writer}', "sh"), pass_fds=(pipe.writer,))


def provoke(server):
    """A connection that breaks the protocol: one line in the log."""
    one = server.connect()
    one.sendall(b"\xff" * 20)
    assert peer.is_cut(one, peer.PATIENCE_S)
    one.close()


class Log(unittest.TestCase):
    def test_echoes_go_on_while_nobody_reads_the_log(self):
        pipe = FullPipe()
        with Server(pipe, "--shards", 1) as server:
            other = server.connect()
            self.assertTrue(peer.echoes(other, 1))
            provoke(server)
            self.assertTrue(peer.echoes(other, 2))

            told = [pipe.take()]

            def is_told():
                provoke(server)  # At most one line a second of each kind.
                told.append(pipe.take())
                return b"dropped)" in b"".join(told)

            self.assertTrue(peer.until(is_told))
            self.assertTrue(peer.echoes(other, 3))
            other.close()
        self.assertEqual(server.process.returncode, 0)
        pipe.close()

    def test_a_server_ends_although_nobody_reads_the_log(self):
        pipe = FullPipe()
        with Server(pipe, "--shards", 1, "--verbose") as server:
            one = server.connect()
            self.assertTrue(peer.echoes(one, 1))
            one.close()
        self.assertEqual(server.process.returncode, 0)
        pipe.close()

    def test_a_log_without_a_reader_ends_nothing(self):
        pipe = FullPipe()
        os.close(pipe.reader)
        pipe.reader = os.open(os.devnull, os.O_RDONLY)
        with Server(pipe, "--shards", 1) as server:
            other = server.connect()
            provoke(server)
            self.assertTrue(peer.echoes(other, 1))
            other.close()
        self.assertEqual(server.process.returncode, 0)
        pipe.close()


if __name__ == "__main__":
    peer.main()
