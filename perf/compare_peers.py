# SPDX-License-Identifier: MIT
"""The peers of perf/compare: what runs each of them, and what an idle connection costs its server."""
import contextlib
import csv
import dataclasses
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time

import measure

ECHO_SIZE = 530  # The mean frame of the benchmark's data.
SETTLE = 0.3  # Seconds before what is measured.
LOOK_S, REST_S = 0.2, 3  # Of a server's memory: from one look to the next, and how long it is the same.
# For the estimate, in seconds: a burst of each kind of peer.
BURST_OURS, BURST_GO, BURST_GRPC = 0.6, 3.5, 10


# ---- Peers ---------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Load:
    conns: int
    in_flight: int
    duration: float
    words: tuple = ()  # More options of `bench`.
    ceiling: tuple = ("--size", "random")  # What perf/ceiling takes for the same.
    spin: tuple = ()  # Options of both sides of ours; the others cannot.
    may_err: bool = False
    settle: float = SETTLE

    def options(self):
        return ("--json", "--conns", self.conns, "--in-flight", self.in_flight, "--warmup", self.settle, "--duration",
                self.duration)


class Served:
    """A peer with a server and a client of its own: serve(), bench() and burst() are their command lines."""

    def run(self, load):
        server_cpus, client_cpus = measure.halves()
        with measure.server(self.serve(load.spin), server_cpus) as (process, address):
            result = measure.run(self.bench(address, process.pid, load), client_cpus, may_err=load.may_err)
            result["rss_mib"] = rss_bytes(process.pid) / (1 << 20)
            return result

    def run_burst(self, conns, commands, sleep_ms):
        server_cpus, client_cpus = measure.halves()
        with measure.server(self.serve_burst(), server_cpus) as (_, address):
            return measure.run(self.burst(address, conns, commands, sleep_ms), client_cpus, seconds=360)


@dataclasses.dataclass(frozen=True)
class Secure:
    """TLS 1.3 by the same certificate, of P-256, for either language; both choose AES-128-GCM where it is fast."""

    folder: pathlib.Path  # Of scripts/make-certs.sh.
    words = ("--tls-min-version", "1.3")

    def server(self):
        return ("--tls-cert", self.folder / "server.pem", "--tls-key", self.folder / "server.key", *self.words)

    def client(self):
        return ("--tls", "--tls-ca", self.folder / "ca.pem", *self.words)

    def wrap(self, connection):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        return context.wrap_socket(connection, server_hostname="127.0.0.1")


class Plain:
    """Without TLS."""

    @staticmethod
    def server():
        return ()

    @staticmethod
    def client():
        return ()

    @staticmethod
    def wrap(connection):
        return connection


def over(secure):
    return " over TLS" if secure is not Plain else ""


class Ours(Served):
    burst_seconds = BURST_OURS

    def __init__(self, tools, codec, secure=Plain):
        self.tools, self.codec, self.secure = tools, ("--codec", codec), secure
        self.name = self.family = f"cmdstream {codec}{over(secure)}"
        self.column = f"cmdstream_tcp_{codec}"

    def serve(self, spin=()):
        return [self.tools.ours, "serve", "--quiet", "--listen", "127.0.0.1:0", *self.codec, *self.secure.server(), *spin]

    def serve_burst(self):
        return [*self.serve(), "--max-in-flight", 1 << 20, "--max-output", 1 << 30]

    def bench(self, address, pid, load):
        return [self.tools.ours, "bench", "--connect", address, "--server-pid", pid, *self.codec, *self.secure.client(),
                *load.spin, *load.options(), *load.words]

    def burst(self, address, conns, commands, sleep_ms):
        return [self.tools.burst, "--connect", address, *self.codec, "--conns", conns, "--commands", commands,
                "--sleep-ms", sleep_ms]


class Go(Served):
    """cmd-stream-go, or gRPC-Go with codec None."""

    def __init__(self, tools, codec, buffers, secure=Plain):
        self.secure = secure
        self.program = tools.go if codec else tools.grpc
        self.codec = ("--codec", codec) if codec else ()
        self.buffers = ("--buffer-size", buffers)
        self.burst_seconds = BURST_GO if codec else BURST_GRPC
        self.family = f"Go {codec}{over(secure)}" if codec else "gRPC-Go"
        self.name = self.family + (", 64 KiB buffers" if buffers else ", its defaults")
        self.column = (f"cmd-stream_tcp_{codec}" if codec else "grpc_http2_protobuf") + ("_64k" if buffers else "")

    def serve(self, _=()):
        return [self.program, "serve", "--listen", "127.0.0.1:0", *self.codec, *self.buffers, *self.secure.server()]

    serve_burst = serve

    def connected(self, address):
        return [self.program, "bench", "--connect", address, *self.codec, *self.buffers, *self.secure.client()]

    def bench(self, address, pid, load):
        return [*self.connected(address), "--server-pid", pid, *load.options(), *load.words]

    def burst(self, address, conns, commands, sleep_ms):
        return [*self.connected(address), "--json", "--conns", conns, "--burst", commands, "--command", "sleep",
                "--sleep-ms", sleep_ms]


class Ceiling:
    """perf/ceiling: it is both sides, and pins them itself, to one core each."""

    name = family = "the ceiling"

    def __init__(self, tools):
        self.program = tools.ceiling

    def run(self, load):
        server_cpus, client_cpus = measure.halves()
        return measure.run([self.program, "--server-cpu", server_cpus[0], "--client-cpu", client_cpus[0],
                            *load.options(), *load.ceiling])


class Redis:
    """ECHO of the same bytes both ways, by redis-benchmark."""

    name = family = "Redis ECHO"

    def __init__(self):
        # Debian's redis-tools has the server under another name; it goes by the name that it is called by.
        self.program = shutil.which("redis-server") or shutil.which("redis-check-rdb")

    def is_there(self):
        return bool(self.program and shutil.which("redis-benchmark"))

    def version(self):
        return measure.version_of(["redis-server", "--version"], r"v=(\S+)", executable=self.program)

    def run(self, load):
        server_cpus, client_cpus = measure.halves()
        with self.server(server_cpus) as port:
            command = ["redis-benchmark", "-p", port, "-c", load.conns, "-P", load.in_flight, "-n",
                       int(load.duration * 600_000), "--csv", "ECHO", "x" * ECHO_SIZE]
            status, output, problem = measure.finish(command, client_cpus, 120)
        if status != 0 or not output.strip():
            sys.exit(f"redis-benchmark: {measure.status_text(status)}\n{output}{problem}")
        return {"commands_per_second": float(next(csv.reader([output.splitlines()[-1]]))[1])}

    @contextlib.contextmanager
    def server(self, cpus):
        """The port of a server. A port that is free now may be another's a moment later: then the next one is tried."""
        for _ in range(5):
            port = free_port()
            with measure.running(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
                                  "no"], cpus, executable=self.program, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL) as process:
                if redis_answers(process, port):
                    yield port
                    return
        sys.exit("redis-server did not start")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis_answers(process, port):
    """Until this very process answers there; False if it ends before, as it does when the port is another's."""
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"INFO server\r\n")
            answer = b""
            while b"\r\nprocess_id:" not in answer or not answer.endswith(b"\n"):
                piece = connection.recv(4096)
                if not piece:
                    break
                answer += piece
            if f"\r\nprocess_id:{process.pid}\r\n".encode() in answer:
                return True
        time.sleep(0.05)
    return False


# ---- Memory --------------------------------------------------------------------------------------
def rss_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024


def private_bytes(pid):
    """Heap and stacks, as perf/memory counts them: not what is shared with the kernel."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Anonymous:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) * 1024


def settled_bytes(pid):
    """What it is when it has neither grown nor shrunk for a while: what idle connections need no more they give back
    within two seconds."""
    last, since = -1, 0
    for _ in range(100):
        now = private_bytes(pid)
        since = since + 1 if now == last else 0
        if since >= REST_S / LOOK_S:
            break
        last = now
        time.sleep(LOOK_S)
    return last


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            sys.exit("a server closed a connection that was to be idle")
        data += piece
    return data


def greet_ours(connection):
    """ServerInfo `default`, and a ping answered."""
    receive(connection, 8)
    connection.sendall(b"\0")
    receive(connection, 1)


def greet_http2(connection):
    """Preface and settings of both sides, and both acknowledged: what a connection has behind it before its first
    call."""
    settings, acknowledge = 4, 1  # A type of frame, and a flag in it.

    def frame(flags):
        return bytes((0, 0, 0, settings, flags, 0, 0, 0, 0))

    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(0))
    missing = {0, acknowledge}
    while missing:
        header = receive(connection, 9)
        receive(connection, int.from_bytes(header[:3], "big"))
        if header[3] == settings:
            missing.discard(header[4] & acknowledge)
            if not header[4] & acknowledge:
                connection.sendall(frame(acknowledge))


def connect(stack, peer, address, count):
    host, port = address.rsplit(":", 1)
    for _ in range(count):
        connection = stack.enter_context(peer.secure.wrap(socket.create_connection((host, int(port)), 10)))
        (greet_http2 if peer.family == "gRPC-Go" else greet_ours)(connection)
