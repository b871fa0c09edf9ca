# SPDX-License-Identifier: MIT
"""A WebSocket from the client's side, frame by frame and without mercy.

    with WebSocket(srv.port, "/ws") as ws:
        ws.send(frame(TEXT, b"hello"))       # raw bytes: well formed or not
        assert ws.event() == message("hello")
        ws.send(close_frame(1000))
        assert ws.event() == closed(1000)
        ws.expect_end()

What the server sends is held to RFC 6455 and RFC 7692 to the letter: no mask,
the shortest length, control frames whole and short, continuations where they
belong, text that is UTF-8, no reserved bit that was not agreed on.

Here: handshake, frames, messages, compression.  Not here: what a server should
answer (ws_cases.py).
"""
import base64
import collections
import hashlib
import os
import re
import struct
import zlib

import wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x8f\x17\xc3\x5a"
TAIL = b"\x00\x00\xff\xff"          # what a compressed message is sent without

Frame = collections.namedtuple("Frame", "opcode fin rsv payload")
Event = collections.namedtuple("Event", "kind data code")


def message(data):
    """A whole message: str is text, bytes is binary."""
    return Event("message", data, None)


def ping(data=b""):
    return Event("ping", data, None)


def pong(data=b""):
    return Event("pong", data, None)


def closed(code, reason=None):
    """A close frame; code None: an empty one; reason None: any."""
    return Event("close", reason, code)


class Violation(AssertionError):
    """The server sent what the RFCs do not allow."""


def masked(data, mask=MASK):
    """`data` XORed with the mask."""
    if not data:
        return b""
    whole = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "little") ^
            int.from_bytes(whole, "little")).to_bytes(len(data), "little")


def header(opcode, length, fin=True, rsv=0, mask=MASK):
    """A client's frame header; mask None: without one, which is wrong."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask else 0
    if length < 126:
        text = struct.pack("!BB", first, bit | length)
    elif length < 65536:
        text = struct.pack("!BBH", first, bit | 126, length)
    else:
        text = struct.pack("!BBQ", first, bit | 127, length)
    return text + (mask or b"")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK):
    if isinstance(payload, str):
        payload = payload.encode()
    return (header(opcode, len(payload), fin, rsv, mask) +
            (masked(payload, mask) if mask else payload))


def fragments(opcode, payload, size, rsv=0):
    """A message in frames of `size` bytes, as one string of bytes.  The size
    is a multiple of 4, so that the mask fits all of it at once."""
    assert size % 4 == 0
    covered, parts = masked(payload), []
    for at in range(0, max(len(payload), 1), size):
        piece = covered[at:at + size]
        parts += [header(opcode if at == 0 else CONTINUATION, len(piece),
                         at + size >= len(payload), rsv if at == 0 else 0),
                  piece]
    return b"".join(parts)


def close_frame(code=None, reason=b""):
    if code is None:
        return frame(CLOSE)
    if isinstance(reason, str):
        reason = reason.encode()
    return frame(CLOSE, struct.pack("!H", code) + reason)


def parse_extension(text):
    """{"server_max_window_bits": "10", ...} of one permessage-deflate."""
    name, *parameters = [part.strip() for part in text.split(";")]
    if name != "permessage-deflate":
        raise Violation(f"extension {name!r} was never offered")
    agreed = {}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key in agreed:
            raise Violation(f"{key} twice in {text!r}")
        agreed[key] = value.strip('"') if value else None
    return agreed


class Deflate:
    """Both directions of permessage-deflate as a server has answered it."""

    def __init__(self, answer, offer):
        self.agreed = parse_extension(answer)
        self._check(parse_extension(offer))
        self.server_keeps = "server_no_context_takeover" not in self.agreed
        self.client_keeps = "client_no_context_takeover" not in self.agreed
        self.server_bits = int(self.agreed.get("server_max_window_bits") or 15)
        self.client_bits = int(self.agreed.get("client_max_window_bits") or 15)
        self._in = self._out = None

    def _check(self, offer):
        """What the answer may say (RFC 7692 7.1)."""
        for key, value in self.agreed.items():
            if key.endswith("_no_context_takeover"):
                if value is not None:
                    raise Violation(f"{key} has a value, {value!r}")
            elif key.endswith("_max_window_bits"):
                if not re.fullmatch(r"[89]|1[0-5]", value or ""):
                    raise Violation(f"{key} is {value!r}")
            else:
                raise Violation(f"no parameter of that name: {key}")
        if "server_no_context_takeover" in offer and \
                "server_no_context_takeover" not in self.agreed:
            raise Violation("server_no_context_takeover was asked for")
        if "server_max_window_bits" in offer:
            told = self.agreed.get("server_max_window_bits")
            if told is None or int(told) > int(
                    offer["server_max_window_bits"]):
                raise Violation(f"a window of {told} bits, past the offer")
        if "client_max_window_bits" in self.agreed:
            if "client_max_window_bits" not in offer:
                raise Violation("client_max_window_bits was not offered")
            limit = offer["client_max_window_bits"]
            if limit and int(self.agreed["client_max_window_bits"]) > int(
                    limit):
                raise Violation("client_max_window_bits past the offer")

    def compress(self, data):
        if self._out is None or not self.client_keeps:
            self._out = zlib.compressobj(6, zlib.DEFLATED,
                                         -max(self.client_bits, 9))
        text = self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)
        assert text.endswith(TAIL)
        return text[:-4]

    def decompress(self, data):
        if self._in is None or not self.server_keeps:
            self._in = zlib.decompressobj(-self.server_bits)
        try:
            text = self._in.decompress(data + TAIL)
        except zlib.error as error:
            raise Violation(f"a message doesn't inflate: {error}") from None
        if self._in.unconsumed_tail or self._in.unused_data:
            raise Violation("bytes behind a compressed message")
        return text


class WebSocket:
    def __init__(self, port, target="/ws", headers=(), offer=None,
                 protocols=None, **options):
        """offer: of permessage-deflate, .deflate is None when it was not
        taken; protocols: subprotocols; options: wire.Client's."""
        self.deflate = None
        self.protocol = None
        self._message = None        # (opcode, is_compressed, parts)
        self.client = wire.Client(port, **options)
        try:
            self._shake_hands(target, list(headers), offer, protocols or [])
        except BaseException:
            self.client.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def _shake_hands(self, target, headers, offer, protocols):
        key = base64.b64encode(os.urandom(16))
        headers += [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                    ("Sec-WebSocket-Key", key.decode()),
                    ("Sec-WebSocket-Version", "13")]
        if offer:
            headers.append(("Sec-WebSocket-Extensions", offer))
        if protocols:
            headers.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
        self.client.send(wire.request("GET", target, headers))
        self.response = answer = self.client.response()
        if answer.status != 101:
            raise Violation(f"no WebSocket: {answer!r}")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if answer["sec-websocket-accept"] != accept:
            raise Violation(f"Sec-WebSocket-Accept isn't {accept}")
        if answer["upgrade"].lower() != "websocket" or \
                "upgrade" not in answer.tokens("connection"):
            raise Violation(f"no upgrade: {answer!r}")
        extension = answer.get("sec-websocket-extensions")
        if extension is not None:
            if not offer:
                raise Violation(f"an extension without an offer: {extension}")
            self.deflate = Deflate(extension, offer)
        self.protocol = answer.get("sec-websocket-protocol")
        if self.protocol is not None and self.protocol not in protocols:
            raise Violation(f"protocol {self.protocol!r} was not offered")

    # -- sending -----------------------------------------------------------

    def send(self, data):
        return self.client.send(data)

    def send_message(self, data, size=None):
        """Text or binary, compressed where that was agreed; size: of the
        fragments, a multiple of 4."""
        opcode, rsv = (TEXT, 0) if isinstance(data, str) else (BINARY, 0)
        text = data.encode() if isinstance(data, str) else data
        if self.deflate:
            text, rsv = self.deflate.compress(text), 4
        if size:
            self.send(fragments(opcode, text, size, rsv))
        else:
            self.send(frame(opcode, text, rsv=rsv))

    # -- receiving ---------------------------------------------------------

    def read_frame(self):
        """The server's next frame."""
        first, second = self.client._take(2)
        opcode, fin, rsv = first & 15, bool(first & 0x80), first >> 4 & 7
        if second & 0x80:
            raise Violation("a server's frame is masked")
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack("!H", self.client._take(2))
            if length < 126:
                raise Violation(f"a length of {length} in two bytes")
        elif length == 127:
            length, = struct.unpack("!Q", self.client._take(8))
            if length < 65536:
                raise Violation(f"a length of {length} in eight bytes")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(f"opcode {opcode}")
        if opcode >= CLOSE and (not fin or length > 125 or rsv):
            raise Violation(f"a control frame: fin {fin}, {length} bytes")
        if rsv and (rsv != 4 or not self.deflate or opcode == CONTINUATION):
            raise Violation(f"reserved bits {rsv}, opcode {opcode}")
        return Frame(opcode, fin, rsv, self.client._take(length))

    def event(self):
        """The next message, ping, pong or close."""
        while True:
            got = self.read_frame()
            if got.opcode == PING:
                return ping(got.payload)
            if got.opcode == PONG:
                return pong(got.payload)
            if got.opcode == CLOSE:
                return self._close_of(got.payload)
            if (got.opcode == CONTINUATION) != (self._message is not None):
                raise Violation(f"opcode {got.opcode} out of order")
            if got.opcode != CONTINUATION:
                self._message = (got.opcode, got.rsv != 0, [])
            opcode, is_compressed, parts = self._message
            parts.append(got.payload)
            if got.fin:
                self._message = None
                return self._message_of(opcode, is_compressed, parts)

    def _message_of(self, opcode, is_compressed, parts):
        data = b"".join(parts)
        if is_compressed:
            data = self.deflate.decompress(data)
        if opcode == BINARY:
            return message(data)
        try:
            return message(data.decode())
        except UnicodeDecodeError as error:
            raise Violation(f"text that isn't UTF-8: {error}") from None

    @staticmethod
    def _close_of(payload):
        if len(payload) == 1:
            raise Violation("half a close code")
        if not payload:
            return closed(None, "")
        code, = struct.unpack("!H", payload[:2])
        return closed(code, payload[2:].decode())

    def expect_end(self, reset_ok=False):
        """The server must close the connection now, and send nothing more.
        reset_ok: what it never read of ours may turn its close into a reset."""
        self.client.expect_closed(reset_ok)

    def close(self, code=1000):
        """The whole handshake; the server's part of it is checked."""
        self.send(close_frame(code))
        got = self.event()
        if got.kind != "close" or got.code != code:
            raise Violation(f"a close was answered by {got!r}")
        self.expect_end()
