# SPDX-License-Identifier: MIT
"""What the tests of this folder share: certificates, the programs `cmdstream serve` and `call` over TLS, and the ssl
module of Python as their honest peer."""
import atexit
import concurrent.futures
import contextlib
import functools
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/fault"))
import peer  # pylint: disable=wrong-import-position

NAME = "a.example"  # In the certificate `server`, and in most of the wrong ones.
SIDE_BY_SIDE = 4  # So many rows of a table at a time: most of each is waiting.
SKIPPED = 77
PATIENCE_S = 20


# ---- What there is -------------------------------------------------------------------------------
def skip(why):
    print(f"***** SKIPPED: {why} *****", flush=True)
    sys.exit(SKIPPED)


def tool_help(command):
    return subprocess.run([peer.tool(), command, "--help"], capture_output=True, text=True, check=False).stdout


def main():
    """peer.main(), where there is all that it takes."""
    if not shutil.which("openssl"):
        skip("openssl is not installed")
    if "has no TLS" in tool_help("serve"):
        skip("this build of cmdstream is without TLS")
    peer.main()


@functools.cache
def folder():
    """With the certificates of scripts/make-certs.sh; gone at our end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="cmdstream-tls-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    subprocess.run([ROOT / "scripts/make-certs.sh", path], check=True, stdout=subprocess.DEVNULL)
    join(path / "all.pem", *(path / f"{name}.pem" for name in ("ca", "ca_rsa")))
    for name in ("under_not_ca", "not_ca"):  # A chain, and a bundle that calls the middle of it a CA.
        join(path / f"{name}_chain.pem", path / f"{name}.pem", path / "not_ca.pem")
    return path


def openssl(*words, **how):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder(), **how)


@functools.cache
def root():
    """A CA of its own, that may have CAs under it."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key", "-out",
            "root.pem", "-days", 3650, "-subj", "/CN=root")
    return "root"


def long_chain(length):
    """Returns: the name of a certificate for NAME that is so many signatures below root()."""
    above, chain = root(), []
    for number in range(length, 0, -1):
        name = f"chain_{length}" if number == 1 else f"chain_{length}_{number}"
        use = f"subjectAltName=DNS:{NAME}" if number == 1 else "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", "request", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", "request", "-CA", f"{above}.pem", "-CAkey", f"{above}.key", "-CAcreateserial", "-days",
                3650, "-extfile", "/dev/stdin", "-out", f"{name}.pem", input=use.encode())
        chain.insert(0, (folder() / f"{name}.pem").read_text(encoding="ascii"))
        above = name
    (folder() / f"{name}.key").chmod(0o600)
    (folder() / f"{name}.pem").write_text("".join(chain), encoding="ascii")
    return name


def join(to, *parts):
    to.write_text("".join(part.read_text(encoding="ascii") for part in parts), encoding="ascii")


def pem(name):
    return str(folder() / f"{name}.pem")


def key(name):
    return str(folder() / f"{name.removesuffix('_chain')}.key")


def der(name):
    return (folder() / f"{name}.der").read_bytes()


CRL = "ca.crl"


def crl():
    return str(folder() / CRL)


# ---- Our side ------------------------------------------------------------------------------------
def own(name):
    """Options of both programs: this certificate."""
    return "--tls-cert", pem(name), "--tls-key", key(name)


def mutual(ca="all"):
    return "--tls-ca", pem(ca), "--tls-require-client-cert"


class Server(peer.Server):
    """`cmdstream serve` over TLS, one shard."""

    def __init__(self, *options, name="server", **how):
        super().__init__("--shards", 1, "--drain-ms", 0, *own(name), *options, **how)

    def says(self, pattern):
        """Returns: the log has come to hold this, sooner or later."""
        return peer.until(lambda: re.search(pattern, self.log()), PATIENCE_S)


def call(address, *options, command="echo", json='{"string":"hi"}', deadline_ms=10000):
    """`cmdstream call` over TLS, to its end. Without a CA among the options it is `all`."""
    if "--tls-ca" not in options:
        options = ("--tls-ca", pem("all"), *options)
    words = [peer.tool(), "call", "--deadline-ms", deadline_ms, "--tls", *options, address, command, json]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=peer.PATIENCE_S, check=False)


# ---- The honest peer -----------------------------------------------------------------------------
def lax(context):
    """Ours are the checks that count: it speaks with any certificate."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def client_context(name=None, ca="ca"):
    context = lax(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.load_verify_locations(pem(ca))
    if name:
        context.load_cert_chain(pem(name), key(name))
    return context


def connect(server, context=None, session=None, timeout=peer.PATIENCE_S, server_info=True):
    """A client of the ssl module, which has read the ServerInfo."""
    host, port = server.address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        one = (context or client_context()).wrap_socket(plain, server_hostname=NAME, session=session)
    except BaseException:
        plain.close()
        raise
    if server_info and peer.read(one, len(peer.SERVER_INFO)) != peer.SERVER_INFO:
        raise AssertionError("another ServerInfo than the default one")
    return one


def reason(error):
    """Of an error of the ssl module: "TLSV1_ALERT_UNKNOWN_CA", or what else there is."""
    return getattr(error, "reason", None) or str(error) or repr(error)


def server_context(name, ca=None):
    context = lax(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(pem(name), key(name))
    if ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pem(ca))
    return context


class Listener:
    """Gives each connection to serve(), on a thread of its own."""

    def __init__(self):
        self.problems, self.ended = [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:" + str(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        connection.settimeout(peer.PATIENCE_S)
        try:
            self.serve(connection)
        except (OSError, EOFError) as problem:
            self.problems.append(reason(problem))
        finally:
            connection.close()
            self.ended += 1


class Host(Listener):
    """A server of the ssl module, which answers echoes. `problems` are what ended its connections, `handshakes` those
    that it has made: (version, was it resumed, certificate of the peer as DER or None).

    `step`: so many bytes of what it says are a record."""

    def __init__(self, context, step=1 << 14):
        self.context, self.step = context, step
        self.handshakes = []
        super().__init__()

    def serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as one:
            self.handshakes.append((one.version(), one.session_reused, one.getpeercert(True)))
            self.say(one, peer.SERVER_INFO)
            self.answer(one)

    def say(self, one, data):
        for at in range(0, len(data), self.step):
            one.sendall(data[at:at + self.step])

    def answer(self, one):
        while True:
            sequence, kind, body = peer.read_frame(one)
            self.say(one, peer.PING if kind is None else peer.frame(sequence, kind, body))


# ---- openssl -------------------------------------------------------------------------------------
class OpenSSL:
    """A run of openssl, as binary pipes; it does not outlive us by more than the test."""

    def __init__(self, *words, merge=True):
        self.process = subprocess.Popen(["openssl", *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT if merge else subprocess.DEVNULL)
        self.output = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join(peer.PATIENCE_S)
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def read(self):
        while more := self.process.stdout.read1(65536):
            self.output += more

    def says(self, pattern, seconds=20):
        return peer.until(lambda: re.search(pattern, self.output), seconds)

    def send(self, data):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def ends(self):
        """Returns: it has ended by itself, and all of its output is there."""
        try:
            self.process.wait(peer.PATIENCE_S)
        except subprocess.TimeoutExpired:
            return False
        self.reader.join(peer.PATIENCE_S)
        return True

    def end_of_input(self):
        self.process.stdin.close()


def s_client(server, *words, ca="ca"):
    return OpenSSL("s_client", "-connect", server.address, "-CAfile", pem(ca), "-verify_return_error",
                   "-servername", NAME, *words)


# ---- Tables --------------------------------------------------------------------------------------
def rows(test, table, run):
    """run(row) of each, some at a time. It returns what is wrong, or None; all of it is told."""
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        problems = [f"{row[0]}: {problem}" for row, problem in zip(table, pool.map(run, table)) if problem]
    if problems:
        test.fail(f"{len(problems)} of {len(table)}\n" + "\n".join(problems))


def terminate(process):
    process.send_signal(signal.SIGTERM)
    process.wait(peer.PATIENCE_S)
