# SPDX-License-Identifier: MIT
"""`cmdstream serve` with its pages over HTTP, and requests to them over plain sockets."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "fault"))
import peer  # noqa: E402 pylint: disable=wrong-import-position

JSON = {"Content-Type": "application/json"}


def main():
    """As peer.main(); 77, and loudly, in a build without the pages."""
    if os.environ.get("CMDSTREAM_ADMIN") != "1":
        print("***** SKIPPED: this build has no pages over HTTP *****")
        sys.exit(77)
    peer.main()


class Server(peer.Server):
    """With a port for metrics, and with the pages on a UNIX socket, or on a port if `admin` says so."""

    def __init__(self, *options, admin=None, metrics="127.0.0.1:0", **more):
        self.folder = tempfile.mkdtemp()
        try:
            super().__init__("--metrics", metrics, "--admin", admin or f"unix:{self.folder}/admin.sock", *options,
                             **{"listen": f"unix:{self.folder}/listen.sock", **more})
            self.metrics = self.process.stdout.readline().split("metrics on ")[1].strip()
            self.admin = self.process.stdout.readline().split("admin on ")[1].strip()
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def stop(self, seconds=peer.PATIENCE_S):
        status = super().stop(seconds)
        shutil.rmtree(self.folder, ignore_errors=True)
        return status


class Traced:
    """The program traced.c: a service that asks itself, and what it traces, with its pages on a port."""

    def __init__(self, environment=None):
        self.process = subprocess.Popen([os.environ["CMDSTREAM_TRACED"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8", env={**os.environ, **(environment or {})})
        self.admin = self.process.stdout.readline().split("admin on ")[1].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=peer.PATIENCE_S)

    def visit(self, hops, text):
        """A trace through so many services, each of which notes the text."""
        self.process.stdin.write(f"{hops} {text}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "over\n"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def request(path, method="GET", headers=None, body=b"", version="HTTP/1.1"):
    """Bytes of a request. A header whose value is None is left out."""
    lines = {"Host": "localhost", "Connection": "close", **(headers or {})}
    if body:
        lines.setdefault("Content-Length", len(body))
    text = f"{method} {path} {version}\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return text.encode("latin-1") + b"\r\n" + body


def connect(address):
    return peer.connect(address, server_info=False)


def read_answer(link, has_body=True):
    """One answer, whose connection may stay. Raises EOFError if there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = link.recv(1)
        if not more:
            raise EOFError(head)
        head += more
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
    size = int(headers.get("content-length", 0)) if has_body else 0
    return Answer(int(status.split()[1]), headers, peer.read(link, size))


def ask(address, path, **how):
    with connect(address) as link:
        link.sendall(request(path, **how))
        return read_answer(link, how.get("method") != "HEAD")


def end_of(link):
    """What comes until the end, which a reset is, too."""
    data = b""
    try:
        while True:
            more = link.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionError:
        return data


__all__ = ["Answer", "JSON", "Server", "Traced", "ask", "connect", "end_of", "main", "peer", "read_answer", "request", "socket"]
