# SPDX-License-Identifier: MIT
"""HTTP/1.1 from the client's side, byte by byte and without mercy.

    with Client(port) as c:
        c.send(request("GET", "/hello"))
        r = c.final("GET")               # strict: a malformed answer raises
        assert r.status == 200 and r["content-type"] == "text/plain"
        c.expect_closed()                # or c.probe(): still open and in step

The parser follows RFC 9112 to the letter and refuses what a lenient client
would forgive: bare LF, both framings, a body where none may be, a missing
length on a kept connection.
"""
import os
import re
import select
import socket
import struct

TIMEOUT = float(os.environ.get("CORELANE_PATIENCE", "30"))
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t -~\x80-\xff]*)")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?")


class Malformed(AssertionError):
    """The server sent what RFC 9112 does not allow."""


class Ended(AssertionError):
    """The connection ended before a whole response."""


class Response:
    def __init__(self, minor, status, reason, fields, head):
        self.minor = minor          # 0 or 1 of HTTP/1.x
        self.status = status
        self.reason = reason
        self.fields = fields        # [(lower-case name, value)], in order
        self.head = head            # raw bytes
        self.body = b""
        self.framing = "none"       # or "length", "chunked", "close"
        self.chunks = []            # sizes, where chunked

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def __getitem__(self, name):
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} fields {name} in {self!r}"
        return found[0]

    def __contains__(self, name):
        return bool(self.all(name))

    def tokens(self, name):
        """The members of a comma-separated list field, lower case."""
        return [t.strip().lower() for v in self.all(name)
                for t in v.split(",") if t.strip()]

    @property
    def closes(self):
        """The server announces that it will close."""
        if "close" in self.tokens("connection"):
            return True
        return self.framing == "close"

    def __repr__(self):
        return (f"<{self.status} {self.head!r} + {self.framing} "
                f"{len(self.body)} bytes {self.body[:200]!r}>")


def request(method, target, headers=(), body=b"", version="1.1", host="t"):
    """The bytes of a well-formed request; a body gets its Content-Length."""
    headers = list(headers.items() if isinstance(headers, dict) else headers)
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/{version}"]
    if host is not None and "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(data, size=None, trailer=b""):
    """`data` as a chunked body, in chunks of `size` bytes."""
    size = size or max(len(data), 1)
    out = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                   (data[i:i + size] for i in range(0, len(data), size)))
    return out + b"0\r\n" + trailer + b"\r\n"


def parse_head(head):
    """A response head, without its final empty line, strictly."""
    lines = head.split(b"\r\n")
    m = STATUS_LINE.fullmatch(lines[0])
    if not m:
        raise Malformed(f"status line {lines[0]!r}")
    fields = []
    for line in lines[1:]:
        f = FIELD_LINE.fullmatch(line)
        if not f:
            raise Malformed(f"field line {line!r}")
        fields.append((f[1].decode().lower(), f[2].decode("latin-1")))
    return Response(int(m[1]), int(m[2]), m[3].decode("latin-1"), fields,
                    head)


def framing_of(response, method):
    """How the body ends (RFC 9112 6.3): "none", "length", ..."""
    lengths = response.all("content-length")
    codings = response.all("transfer-encoding")
    if len(lengths) > 1 or len(codings) > 1:
        raise Malformed(f"framing twice: {response!r}")
    if lengths and codings:
        raise Malformed(f"both framings: {response!r}")
    if lengths and not re.fullmatch(r"[0-9]+", lengths[0]):
        raise Malformed(f"Content-Length {lengths[0]!r}")
    if codings and (codings[0] != "chunked" or response.minor == 0):
        raise Malformed(f"Transfer-Encoding {codings[0]!r}: {response!r}")
    if response.status < 200 or response.status == 204:
        if lengths or codings:
            raise Malformed(f"framing on a {response.status}: {response!r}")
        return "none"
    if method == "HEAD" or response.status == 304:
        return "none"
    if codings:
        return "chunked"
    return "length" if lengths else "close"


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=TIMEOUT, rcvbuf=None,
                 path=None, source=None):
        """path: a unix socket instead; rcvbuf: a small window, for slow
        readers; source: an address to connect from."""
        family = socket.AF_UNIX if path else (
            socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(path or (host, port))
        if not path:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""          # received, not yet parsed
        self.end = None             # None, "eof" or "reset"
        self.broken = False         # the peer no longer takes what we send

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Closes with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def finish_sending(self):
        """Half-close: no more bytes from here."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    # -- sending -----------------------------------------------------------

    def send(self, data):
        """Sends everything; False when the server took it no more."""
        if self.broken:
            return False
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise AssertionError("the server stopped reading") from None
        except (BrokenPipeError, ConnectionResetError):
            self.broken = True
        return not self.broken

    def send_parts(self, parts):
        for part in parts:
            if part and not self.send(part):
                return False
        return True

    def send_bytewise(self, data):
        return self.send_parts(data[i:i + 1] for i in range(len(data)))

    def send_split(self, data, *positions):
        """Sends in pieces cut at the positions."""
        cuts = [0, *sorted(positions), len(data)]
        return self.send_parts(data[a:b] for a, b in zip(cuts, cuts[1:]))

    # -- receiving ---------------------------------------------------------

    def fill(self, size=65536):
        """Reads once into `pending`; False at the end of the connection."""
        if self.end:
            return False
        try:
            data = self.sock.recv(size)
        except socket.timeout:
            raise AssertionError(
                f"no answer; pending {self.pending[:300]!r}") from None
        except ConnectionResetError:
            self.end = "reset"
            return False
        if not data:
            self.end = "eof"
            return False
        self.pending += data
        return True

    def readable(self, seconds=0.0):
        return bool(self.pending) or bool(
            select.select([self.sock], [], [], seconds)[0])

    def _take(self, count):
        parts, have = [self.pending], len(self.pending)
        self.pending = b""
        while have < count:
            if not self.fill():
                self.pending = b"".join(parts)
                raise Ended(f"{self.end} after {have} of {count} bytes")
            parts.append(self.pending)
            have += len(self.pending)
            self.pending = b""
        data = b"".join(parts)
        self.pending = data[count:]
        return data[:count]

    def _take_to(self, mark, limit=262144):
        while mark not in self.pending:
            if len(self.pending) > limit:
                raise Malformed(f"no {mark!r} in {limit} bytes")
            if not self.fill():
                raise Ended(f"{self.end} after {self.pending[:300]!r}")
        data, _, self.pending = self.pending.partition(mark)
        return data

    def response(self, method="GET"):
        """The next response, interim ones (1xx) too."""
        r = parse_head(self._take_to(b"\r\n\r\n"))
        r.framing = framing_of(r, method)
        if r.framing == "length":
            r.body = self._take(int(r["content-length"]))
        elif r.framing == "chunked":
            r.body = self._chunked_body(r)
        elif r.framing == "close":
            while self.fill():
                pass
            if self.end != "eof":
                raise Ended("reset within a close-delimited body")
            r.body, self.pending = self.pending, b""
        return r

    def _chunked_body(self, r):
        body = []
        while True:
            line = self._take_to(b"\r\n")
            m = CHUNK_LINE.fullmatch(line)
            if not m:
                raise Malformed(f"chunk line {line!r}")
            size = int(m[1], 16)
            r.chunks.append(size)
            if size == 0:
                break
            body.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise Malformed("chunk data not followed by CRLF")
        while (line := self._take_to(b"\r\n")):
            if not FIELD_LINE.fullmatch(line):
                raise Malformed(f"trailer line {line!r}")
        return b"".join(body)

    def final(self, method="GET"):
        """The next final response; interim ones are kept in .interim."""
        self.interim = []
        while True:
            r = self.response(method)
            if r.status >= 200:
                return r
            self.interim.append(r)

    def expect_closed(self, reset_ok=False):
        """The server must close, without one more byte."""
        while not self.pending and self.fill():
            pass
        if self.pending:
            raise AssertionError(f"bytes after the end: {self.pending!r}")
        if self.end == "reset" and not reset_ok:
            raise AssertionError("a reset instead of a close")

    def read_to_end(self):
        """All bytes up to the end of the connection."""
        while self.fill():
            pass
        data, self.pending = self.pending, b""
        return data

    def probe(self, target="/hello", status=200):
        """Proves that the connection is open and that nothing was in between:
        the next bytes are the answer to a request sent now."""
        if self.pending:
            raise AssertionError(f"unasked bytes {self.pending!r}")
        marker = b"probe"
        self.send(request("POST", "/echo", body=marker)
                  if target is None else request("GET", target))
        r = self.final("GET")
        if r.status != status or (target is None and r.body != marker):
            raise AssertionError(f"the probe got {r!r}")
        if self.pending:
            raise AssertionError(f"bytes after the probe {self.pending!r}")
        return r
