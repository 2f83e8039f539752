# SPDX-License-Identifier: MIT
"""Many clients of TLS in one thread, for tests and measurements: connected first, and then all of their ClientHellos leave
at once.
"""
import selectors
import socket
import ssl
import time

SERVER_INFO = bytes.fromhex("0764656661756c74")


class Client:
    """One of them. `answered_s`, `done_s`: when the first byte came, and the ServerInfo; None: not yet."""

    def __init__(self, address, context, name):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.data, self.problem = b"", None
        self.answered_s = self.done_s = None
        self.go_on()
        self.hello = self.outgoing.read()

    def go_on(self):
        """With what has come: handshake, then data."""
        try:
            self.tls.do_handshake()
            while len(self.data) < len(SERVER_INFO):
                self.data += self.tls.read(100)
        except ssl.SSLWantReadError:
            pass

    def is_over(self):
        return self.done_s is not None or self.problem is not None

    def take(self, now_s):
        try:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.incoming.write(more)
            self.answered_s = self.answered_s or now_s
            self.go_on()
            self.socket.sendall(self.outgoing.read())
        except OSError as problem:
            self.problem = str(problem)
        if self.data == SERVER_INFO:
            self.done_s = now_s

    def close(self):
        self.socket.close()


class Storm:
    """With `with`, closed at the end. `clients` are its own; `begin_s` is when the first hello left."""

    def __init__(self, address, context, count, name):
        self.clients = [Client(address, context, name) for _ in range(count)]
        self.begin_s = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.clients:
            one.close()

    def run(self, seconds):
        """Until all of them are over, or so long. Returns: those that have got their ServerInfo."""
        with selectors.DefaultSelector() as selector:
            for one in self.clients:
                selector.register(one.socket, selectors.EVENT_READ, one)
            self.begin_s = time.monotonic()
            for one in self.clients:
                one.socket.send(one.hello)
            left, end_s = len(self.clients), self.begin_s + seconds
            while left > 0 and time.monotonic() < end_s:
                for key, _ in selector.select(max(0.0, end_s - time.monotonic())):
                    key.data.take(time.monotonic() - self.begin_s)
                    if key.data.is_over():
                        selector.unregister(key.fileobj)
                        left -= 1
        return [one for one in self.clients if one.done_s is not None]
