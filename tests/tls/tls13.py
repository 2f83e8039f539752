# SPDX-License-Identifier: MIT
"""Both sides of TLS 1.3, with records and messages that a test makes itself: of any kind, any length, at any moment.

X25519, ChaCha20-Poly1305 and SHA-256 alone, in plain Python: slow, and it checks nothing of the other side but its
Finished. It is no example for anything but a peer that misbehaves. A server's signatures are made by openssl.
"""
import hashlib
import hmac
import os
import socket
import struct
import subprocess

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, NEW_TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED, KEY_UPDATE = 13, 15, 20, 24
CHACHA20_POLY1305_SHA256 = 0x1303
TAG_SIZE = 16
# Descriptions of alerts.
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, USER_CANCELED = 0, 10, 20, 22, 90
WARNING, FATAL = 1, 2


# ---- X25519 --------------------------------------------------------------------------------------
PRIME = 2**255 - 19
BASE_POINT = (9).to_bytes(32, "little")


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & (2**255 - 8) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for bit in range(254, -1, -1):
        now = k >> bit & 1
        if now != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


# ---- ChaCha20-Poly1305 ---------------------------------------------------------------------------
SIGMA = struct.unpack("<4I", b"expand 32-byte k")
QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
MASK = 0xFFFFFFFF


def chacha20_block(key, counter, nonce):
    begin = (*SIGMA, *key, counter, *nonce)
    x = list(begin)
    for _ in range(10):
        for a, b, c, d in QUARTERS:
            xa, xb, xc, xd = x[a], x[b], x[c], x[d]
            xa = xa + xb & MASK
            xd ^= xa
            xd = xd << 16 & MASK | xd >> 16
            xc = xc + xd & MASK
            xb ^= xc
            xb = xb << 12 & MASK | xb >> 20
            xa = xa + xb & MASK
            xd ^= xa
            xd = xd << 8 & MASK | xd >> 24
            xc = xc + xd & MASK
            xb ^= xc
            x[a], x[b], x[c], x[d] = xa, xb << 7 & MASK | xb >> 25, xc, xd
    return struct.pack("<16I", *(one + two & MASK for one, two in zip(x, begin)))


def chacha20(key, nonce, data):
    key, nonce = struct.unpack("<8I", key), struct.unpack("<3I", nonce)
    stream = b"".join(chacha20_block(key, 1 + at // 64, nonce) for at in range(0, len(data), 64))
    size = len(data)
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream[:size], "big")).to_bytes(size, "big")


def padded(data):
    return data + bytes(-len(data) % 16)


def poly1305_tag(key, nonce, sealed, header):
    one_time = chacha20_block(struct.unpack("<8I", key), 0, struct.unpack("<3I", nonce))
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    text = padded(header) + padded(sealed) + struct.pack("<QQ", len(header), len(sealed))
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(one_time[16:32], "little") & 2**128 - 1).to_bytes(16, "little")


# ---- Secrets -------------------------------------------------------------------------------------
EMPTY_HASH = hashlib.sha256(b"").digest()


def expand_label(secret, label, context, size):
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + bytes([len(context)]) + context
    assert size <= 32
    return hmac.digest(secret, info + b"\1", "sha256")[:size]


class Keys:
    """One direction: a secret, and what is made of it."""

    def __init__(self, secret):
        self.secret = secret
        self.key, self.iv, self.number = expand_label(secret, b"key", b"", 32), expand_label(secret, b"iv", b"", 12), 0

    def updated(self):
        return Keys(expand_label(self.secret, b"traffic upd", b"", 32))

    def nonce(self):
        number = self.number
        self.number += 1
        return bytes(one ^ two for one, two in zip(self.iv, number.to_bytes(12, "big")))

    def finished(self, transcript):
        return hmac.digest(expand_label(self.secret, b"finished", b"", 32), transcript, "sha256")

    def seal(self, inner):
        """A whole record around these bytes, the last of which should be a type."""
        header = struct.pack(">BHH", DATA, 0x0303, len(inner) + TAG_SIZE)
        nonce = self.nonce()
        sealed = chacha20(self.key, nonce, inner)
        return header + sealed + poly1305_tag(self.key, nonce, sealed, header)

    def open(self, header, body):
        nonce = self.nonce()
        sealed, tag = body[:-TAG_SIZE], body[-TAG_SIZE:]
        assert poly1305_tag(self.key, nonce, sealed, header) == tag, "a record does not open"
        return chacha20(self.key, nonce, sealed)


# ---- Messages ------------------------------------------------------------------------------------
def message(kind, body):
    return struct.pack(">I", kind << 24 | len(body)) + body


def record(kind, body, version=0x0303):
    """In the clear."""
    return struct.pack(">BHH", kind, version, len(body)) + body


def vector(size_of_size, data):
    return len(data).to_bytes(size_of_size, "big") + data


def extension(number, data):
    return struct.pack(">H", number) + vector(2, data)


def client_hello(public=None, server_name=None, alpn=None, more=b"", versions=b"\x03\x04"):
    groups, signatures = b"\0\x1d", bytes.fromhex("0403080708040805080605030401")
    share = groups + vector(2, public or os.urandom(32))
    extensions = (extension(43, vector(1, versions)) + extension(10, vector(2, groups))
                  + extension(13, vector(2, signatures)) + extension(51, vector(2, share)) + more)
    if server_name:
        extensions += extension(0, vector(2, b"\0" + vector(2, server_name)))
    if alpn:
        extensions += extension(16, vector(2, vector(1, alpn)))
    body = (b"\3\3" + os.urandom(32) + vector(1, os.urandom(32))
            + vector(2, struct.pack(">H", CHACHA20_POLY1305_SHA256)) + b"\1\0" + vector(2, extensions))
    return message(CLIENT_HELLO, body)


def certificate_message(*chain):
    """Of DER; none is an empty list."""
    return message(CERTIFICATE, b"\0" + vector(3, b"".join(vector(3, der) + b"\0\0" for der in chain)))


def find_extension(text, at, number):
    """In the list that begins at `at`. Returns: its data, or None."""
    end = at + 2 + int.from_bytes(text[at:at + 2], "big")
    at += 2
    while at < end:
        found, size = struct.unpack(">HH", text[at:at + 4])
        if found == number:
            return text[at + 4:at + 4 + size]
        at += 4 + size
    return None


class Ended(Exception):
    """The other side has closed. `alert` is what it said before, or None."""

    def __init__(self, alert):
        super().__init__(f"closed, alert {alert}")
        self.alert = alert


class Peer:
    """What both sides do. `peer` is a connected socket."""

    def __init__(self, peer):
        self.peer = peer
        self.transcript = b""
        self.received = b""
        self.reading = self.writing = None  # Keys, when there are some.
        self.messages = self.plain = b""  # Of a handshake, and data: received and not yet taken.
        self.alert = None  # The last that came.
        self.secret = os.urandom(32)
        self.master = self.client_keys = self.server_keys = None  # Of the handshake.

    def send(self, kind, body=b"", padding=0):
        """One record: in the clear until there are keys."""
        if self.writing:
            self.peer.sendall(self.writing.seal(body + bytes([kind]) + bytes(padding)))
        else:
            self.peer.sendall(record(kind, body, 0x0301))

    def send_raw(self, data):
        self.peer.sendall(data)

    def send_alert(self, level, description):
        self.send(ALERT, bytes([level, description]))

    def read(self, size):
        while len(self.received) < size:
            try:
                more = self.peer.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Ended(self.alert)
            self.received += more
        data, self.received = self.received[:size], self.received[size:]
        return data

    def receive(self):
        """(kind, body) of the next record; an alert is kept, a KeyUpdate obeyed. Raises Ended, socket.timeout."""
        while True:
            header = self.read(5)
            kind, _, size = struct.unpack(">BHH", header)
            body = self.read(size)
            if kind == CHANGE_CIPHER_SPEC:
                continue
            if kind == DATA and self.reading:
                body = self.reading.open(header, body).rstrip(b"\0")
                kind, body = body[-1], body[:-1]
            if kind == ALERT:
                self.alert = body[1]
                continue
            if kind == HANDSHAKE and body[0] == KEY_UPDATE:
                self.reading = self.reading.updated()
            return kind, body

    def next_message(self):
        """(kind, whole message), noted in the transcript."""
        while len(self.messages) < 4 or len(self.messages) < 4 + int.from_bytes(self.messages[1:4], "big"):
            kind, body = self.receive()
            assert kind == HANDSHAKE, f"a record of type {kind} in the handshake"
            self.messages += body
        size = 4 + int.from_bytes(self.messages[1:4], "big")
        one, self.messages = self.messages[:size], self.messages[size:]
        return one[0], one

    def hash(self):
        return hashlib.sha256(self.transcript).digest()

    def recv(self, size):
        """As a socket does, of the data; b"" when the other side has closed. Tickets are thrown away."""
        while not self.plain:
            try:
                kind, body = self.receive()
            except Ended:
                return b""
            if kind == DATA:
                self.plain = body
        data, self.plain = self.plain[:size], self.plain[size:]
        return data

    def sendall(self, data):
        """As a socket does, in records of 16 KiB."""
        for at in range(0, len(data), 16384):
            self.send(DATA, data[at:at + 16384])

    def update_keys(self, asks=False):
        self.send(HANDSHAKE, message(KEY_UPDATE, bytes([asks])))
        self.writing = self.writing.updated()

    def end(self):
        """Reads to the end. Returns: the last alert, or None."""
        try:
            while True:
                self.receive()
        except Ended as ended:
            return ended.alert

    # ---- Secrets ---------------------------------------------------------------------------------
    def agree(self, share):
        """After the ServerHello."""
        early = hmac.digest(bytes(32), bytes(32), "sha256")
        derived = expand_label(early, b"derived", EMPTY_HASH, 32)
        self.master = hmac.digest(derived, x25519(self.secret, share), "sha256")
        self.client_keys = Keys(expand_label(self.master, b"c hs traffic", self.hash(), 32))
        self.server_keys = Keys(expand_label(self.master, b"s hs traffic", self.hash(), 32))

    def data_keys(self):
        """(client's, server's), after the server's Finished."""
        derived = expand_label(self.master, b"derived", EMPTY_HASH, 32)
        secret = hmac.digest(derived, bytes(32), "sha256")
        return tuple(Keys(expand_label(secret, label, self.hash(), 32)) for label in (b"c ap traffic", b"s ap traffic"))

    def send_message(self, text):
        self.transcript += text
        self.send(HANDSHAKE, text)

    def send_finished(self, keys):
        self.send_message(message(FINISHED, keys.finished(self.hash())))

    def take_finished(self, keys):
        """Notes messages up to the other side's Finished, which must be right. Returns: their types."""
        kinds = []
        while FINISHED not in kinds:
            before = self.hash()
            kind, text = self.next_message()
            self.transcript += text
            kinds.append(kind)
        assert text[4:] == keys.finished(before), "the other side's Finished is wrong"
        return kinds


class Client(Peer):
    """Not yet a byte is sent: hello(), then flight(), then finish(); or handshake()."""

    asked = False  # For a certificate.
    later = None  # The keys of the data.

    def hello(self, **what):
        """The ClientHello, as a message, which is not sent."""
        self.transcript = client_hello(x25519(self.secret, BASE_POINT), **what)
        return self.transcript

    def take_server_hello(self):
        kind, text = self.next_message()
        assert kind == SERVER_HELLO, kind
        self.transcript += text
        at = 4 + 2 + 32
        at += 1 + text[at] + 2 + 1  # Session, cipher, compression.
        share = find_extension(text, at, 51)
        assert share, "the server has not taken X25519 of TLS 1.3"
        self.agree(share[4:])

    def flight(self):
        """Reads the server's first flight to its end, and has the keys of the handshake then."""
        self.take_server_hello()
        self.reading = self.server_keys
        self.asked = CERTIFICATE_REQUEST in self.take_finished(self.server_keys)
        self.later, self.reading = self.data_keys()
        self.writing = self.client_keys

    def finish(self):
        """The client's Finished; from then on the keys are those of the data."""
        self.send_finished(self.client_keys)
        self.writing = self.later

    def handshake(self, **what):
        self.send(HANDSHAKE, self.hello(**what))
        self.flight()
        if self.asked:
            self.send_message(certificate_message())
        self.finish()
        return self


class Server(Peer):
    """take_hello(), then flight(), then finish(); or handshake()."""

    session = b""

    def take_hello(self):
        kind, text = self.next_message()
        assert kind == CLIENT_HELLO, kind
        self.transcript = text
        at = 4 + 2 + 32
        self.session = text[at + 1:at + 1 + text[at]]
        at += 1 + text[at]
        at += 2 + int.from_bytes(text[at:at + 2], "big")  # Ciphers.
        at += 1 + text[at]  # Compression.
        shares = find_extension(text, at, 51)
        assert shares, "no TLS 1.3"
        at = 2
        while shares[at:at + 2] != b"\0\x1d":
            assert at < len(shares), "no key share of X25519"
            at += 4 + int.from_bytes(shares[at + 2:at + 4], "big")
        return shares[at + 4:at + 36]

    def send_hello(self, share):
        """From then on the keys are those of the handshake."""
        own = b"\0\x1d" + vector(2, x25519(self.secret, BASE_POINT))
        body = (b"\3\3" + os.urandom(32) + vector(1, self.session) + struct.pack(">H", CHACHA20_POLY1305_SHA256)
                + b"\0" + vector(2, extension(43, b"\3\4") + extension(51, own)))
        self.send_message(message(SERVER_HELLO, body))
        self.agree(share)
        self.writing, self.reading = self.server_keys, self.client_keys

    def certificate_verify(self, key_file):
        """By a key of P-256."""
        text = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + self.hash()
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key_file], input=text, capture_output=True, check=True)
        return message(CERTIFICATE_VERIFY, b"\4\3" + vector(2, done.stdout))

    def finish(self):
        """The server's Finished, then the client's; from then on the keys are those of the data."""
        self.send_finished(self.server_keys)
        reading, self.writing = self.data_keys()
        self.take_finished(self.client_keys)
        self.reading = reading

    def handshake(self, certificate, key_file):
        self.send_hello(self.take_hello())
        self.send_message(message(ENCRYPTED_EXTENSIONS, b"\0\0"))
        self.send_message(certificate_message(certificate))
        self.send_message(self.certificate_verify(key_file))
        self.finish()
        return self


def connect(address, timeout):
    host, port = address.rsplit(":", 1)
    peer = socket.create_connection((host, int(port)), timeout)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Client(peer)
