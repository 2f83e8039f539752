# SPDX-License-Identifier: MIT
"""Peers that misbehave, against the program `cmdstream serve`: what the tests of this folder share.

A frame of the test protocol is made by a function of its command (echo, stream, sleep, work); a
connection is a plain socket. A test waits for facts (until()), never for a time alone.
"""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SERVER_INFO = bytes.fromhex("0764656661756c74")
PATIENCE_S = 60  # A fact that has not come by then does not come.
CRASHES = (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)


# ---- The test protocol, in msgpack -----------------------------------------------------------------
def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def frame(sequence, kind, body):
    return varint(sequence) + varint(kind) + varint(len(body)) + body


def _int64(number):
    return struct.pack(">Bq", 0xD3, number)


def _string(data):
    return struct.pack(">BI", 0xDB, len(data)) + data


def _echo_fields(data):
    return b"\xc3" + _int64(1) + _string(data) + struct.pack(">Bd", 0xCB, 1.5)


def echo(sequence, data=b"hi"):
    return frame(sequence, 0, b"\x94" + _echo_fields(data))


def stream(sequence, count, size):
    return frame(sequence, 1, b"\x92" + _int64(count) + _int64(size))


def sleep(sequence, milliseconds, data=b""):
    return frame(sequence, 2, b"\x95" + _int64(milliseconds) + _echo_fields(data))


def work(sequence, microseconds):
    return frame(sequence, 4, b"\x91" + _int64(microseconds))


PING = b"\x00"


# ---- Connections -----------------------------------------------------------------------------------
def connect(address, receive_buffer=0, server_info=True, timeout=PATIENCE_S):
    """`receive_buffer`: SO_RCVBUF, so that little fits between the server and a peer that does not read."""
    if address.startswith("unix:"):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(timeout)
        path = address[5:]
        peer.connect("\0" + path[1:] if path.startswith("@") else path)
    else:
        host, port = address.rsplit(":", 1)
        peer = socket.socket()
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(timeout)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.connect((host, int(port)))
    if server_info and read(peer, len(SERVER_INFO)) != SERVER_INFO:
        raise AssertionError("another ServerInfo than the default one")
    return peer


def read(peer, size):
    """Exactly `size` bytes. Raises EOFError at the peer's end."""
    data = bytearray()
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise EOFError(f"{len(data)} of {size} bytes, then the end")
        data += more
    return bytes(data)


def read_varint(peer):
    number = shift = 0
    while True:
        byte = read(peer, 1)[0]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number


def read_frame(peer):
    """Returns: (sequence, type, body); a pong is (0, None, b"")."""
    sequence = read_varint(peer)
    if sequence == 0:
        return 0, None, b""
    kind = read_varint(peer)
    return sequence, kind, read(peer, read_varint(peer))


def read_command(peer):
    """As a server, whose client pings first. Returns: as read_frame()."""
    while True:
        sequence, kind, body = read_frame(peer)
        if sequence != 0:
            return sequence, kind, body
        peer.sendall(b"\0")


def echoes(peer, sequence, data=b"hi"):
    """The server answers an echo on this connection: it lives, and takes part."""
    peer.sendall(echo(sequence, data))
    return read_frame(peer)[0] == sequence


def is_cut(peer, seconds=0.0):
    """Has the server ended this connection, as far as can be seen within so many seconds? Throws away what comes."""
    end = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([peer], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            if not peer.recv(1 << 16):
                return True
        except OSError:
            return True


def reset(peer):
    """Closes with a RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def vanish(peer):
    """Gone without a FIN or a RST, as by a power cut. Returns: False: this kernel or user may not."""
    try:
        peer.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR: close() sends nothing.
    except OSError:
        return False
    peer.close()
    return True


def until(fact, seconds=PATIENCE_S):
    """Waits for fact() to be true. Returns: whether it became so."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# ---- The server ------------------------------------------------------------------------------------
class Server:
    """`cmdstream serve` on a port of its own; with `with`, stopped at the end and looked at then.

    `command` is another program that prints "listening on ADDRESS", with all its arguments."""

    def __init__(self, *options, listen="127.0.0.1:0", environment=None, prefix=(), may_fail=False,
                 command=None, pass_fds=()):
        self.may_fail = may_fail
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*prefix, *(command or [tool(), "serve", "--listen", listen, *map(str, options)])],
            stdout=subprocess.PIPE, stderr=self.errors, text=True, pass_fds=pass_fds,
            env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline()
        if "listening" not in line:
            self.process.kill()
            self.process.wait()
            if -self.process.returncode in CRASHES:
                say_crashed(signal.Signals(-self.process.returncode).name)
            raise AssertionError(f"no start: {line!r} {self.log()!r}")
        self.address = self.take_address(line)
        self.pid = self.process.pid

    def take_address(self, line):
        return line.split("listening on ")[1].split(" (")[0].strip()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.stop()
        if kind is not None:
            print(f"the server had ended with {status}, and its log:\n{self.log()[-20000:]}", file=sys.stderr)
        if kind is None and not self.may_fail and status not in (0, 2):
            raise AssertionError(f"the server ended with {status}: {self.log()[-2000:]}")

    def connect(self, **options):
        return connect(self.address, **options)

    def log(self):
        """All of it so far. A seek would move the place where the server writes next."""
        with open(f"/proc/self/fd/{self.errors.fileno()}", encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_alive(self):
        return self.process.poll() is None

    def is_stopped(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def resident_size(self):
        """Bytes of memory in use."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def processor_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, seconds=PATIENCE_S):
        """Drains. Returns: the exit status, negative if a signal ended it."""
        if self.is_alive():
            if self.is_stopped():  # Else it may meet the leak sanitizer at its end, which waits for a SIGSTOP of its own.
                self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                say_crashed("HUNG")
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        if -self.process.returncode in CRASHES:
            say_crashed(signal.Signals(-self.process.returncode).name)
        return self.process.returncode


def say_crashed(how):
    """scripts/test looks for it: a test that fails like this is not tried again."""
    print(f"CRASHED: {how}", file=sys.stderr)


def tool():
    """The program under test."""
    path = os.environ.get("CMDSTREAM")
    if not path:
        sys.exit("CMDSTREAM is not set: the path of the program cmdstream")
    return path


def is_sanitized():
    """Memory is not measured where a sanitizer keeps what was freed."""
    return bool(os.environ.get("CMDSTREAM_SANITIZED"))


def main():
    """Runs the tests of the calling module; 77, and loudly, if all of them were skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    for test, why in result.skipped:
        print(f"***** SKIPPED: {test}: {why} *****")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped and len(result.skipped) == result.testsRun else 0)
