# SPDX-License-Identifier: MIT
"""The echo handler against every case of ws_cases.py, and compression with
every combination of its parameters (sections 12 and 13)."""
import random

import pytest

import ws_cases
from corelane import Corelane
from ws_cases import Await, Chops
from ws_client import Violation, WebSocket, close_frame, frame

KIB, MIB = 1024, 1024 * 1024
CONFIG = {
    "workers": 1,
    # Room for the largest message, on its way in and on its way out.
    "websocket": {"message_bytes": "17MiB"},
    "limits": {"write_queue_bytes": "34MiB"},
}


@pytest.fixture(scope="module")
def echo():
    """The server as it is shipped, but for sizes."""
    yield from serve(CONFIG)


@pytest.fixture(scope="module")
def echo_keeping():
    """One that keeps compression's context where a client agrees."""
    yield from serve({**CONFIG, "websocket": {
        **CONFIG["websocket"],
        "deflate": {"context_takeover": True, "window_bits": 15,
                    "min_bytes": 0}}})


def serve(config):
    server = Corelane(config).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


# -- sections 1 to 10 ---------------------------------------------------------

class Run:
    """One case on one connection."""

    def __init__(self, ws, case):
        self.ws, self.case = ws, case
        self.seen = 0

    def go(self):
        for step in self.case.steps:
            if isinstance(step, Await):
                self.expect(step.count)
            elif isinstance(step, Chops):
                self.ws.client.send_parts(
                    step.data[at:at + step.size]
                    for at in range(0, len(step.data), step.size))
            else:
                self.ws.send(step)
        self.expect(len(self.case.events))
        self.end()

    def expect(self, count):
        """Reads until `count` events have come, each the one that it should."""
        for wanted in self.case.events[self.seen:count]:
            got = self.ws.event()
            assert got == wanted, f"{shorten(got)} for {shorten(wanted)}"
        self.seen = count

    def end(self):
        who, code = self.case.end
        if who == "client":
            self.ws.close(code)
            return
        got = self.ws.event()
        assert (got.kind, got.code) == ("close", code), shorten(got)
        if who == "server":
            # Ours completes the handshake.
            self.ws.send(close_frame(code))
        self.ws.expect_end(reset_ok=who == "server")


def shorten(event):
    text = repr(event)
    return text if len(text) < 300 else f"{text[:290]}... ({len(text)})"


@pytest.mark.parametrize("section", ws_cases.SECTIONS)
def test_the_echo_server_conforms(echo, section):
    ran, failed = 0, []
    for case in ws_cases.SECTIONS[section]():
        ran += 1
        try:
            with WebSocket(echo.port, "/echo") as ws:
                Run(ws, case).go()
        except AssertionError as error:
            failed.append(f"{case.number} ({case.sentence}): "
                          f"{type(error).__name__}: {error}")
    assert ran and not failed, "\n".join([f"{len(failed)} of {ran}:", *failed])


# -- sections 12 and 13: compression ------------------------------------------

SIZES = (16, 64, 256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB,
         128 * KIB)
OFFERS = {  # what is asked of the server, in the order of section 13
    "13.1": "permessage-deflate; client_max_window_bits",
    "13.2": "permessage-deflate; client_max_window_bits; "
            "server_no_context_takeover",
    "13.3": "permessage-deflate; client_max_window_bits; "
            "server_max_window_bits=9",
    "13.4": "permessage-deflate; client_max_window_bits; "
            "server_max_window_bits=15",
    "13.5": "permessage-deflate; client_max_window_bits; "
            "server_no_context_takeover; server_max_window_bits=9",
    "13.6": "permessage-deflate; client_max_window_bits; "
            "server_no_context_takeover; server_max_window_bits=15",
    "13.8": "permessage-deflate",
    "13.9": "permessage-deflate; client_no_context_takeover",
    "13.10": "permessage-deflate; client_max_window_bits=9",
    "13.11": "permessage-deflate; client_no_context_takeover; "
             "server_no_context_takeover; client_max_window_bits=10; "
             "server_max_window_bits=10",
}
WORDS = ("the quick brown fox jumps over the lazy dog while a server answers "
         "its clients one after the other and none of them has to wait "
         "w\u00e4hrend \u03ba\u1f79\u03c3\u03bc\u03b5 \U0001f600").split()


def text_of(kind, size, seed):
    """A message of about that many bytes, the same each time."""
    chance = random.Random(f"{kind} {size} {seed}")
    if kind == "random":
        return chance.randbytes(size)
    if kind == "repeated":
        return chr(33 + seed % 90) * size
    if kind == "json":
        item = '{"id":%d,"name":"%s","tags":["%s","%s"]},'
        parts = [item % (chance.randrange(1 << 30), chance.choice(WORDS),
                         chance.choice(WORDS), chance.choice(WORDS))
                 for _ in range(size // 50 + 1)]
        return "[" + "".join(parts)[:size]
    parts = [chance.choice(WORDS) for _ in range(size // 5 + 1)]
    if kind == "html":
        parts = [f"<p class='x{len(part)}'>{part}</p>" for part in parts]
    return " ".join(parts)[:size]


def exchange(ws, messages, fragment=None):
    """All of them go, and all of them come back."""
    for data in messages:
        ws.send_message(data, fragment)
        got = ws.event()
        assert (got.kind, got.data) == ("message", data), (
            f"{shorten(got)} for {shorten(data)}")


@pytest.mark.parametrize("kind", ["json", "random", "html", "text", "repeated"])
def test_compressed_messages_of_all_sizes(echo, kind):
    """12: every kind of content, whole and in fragments."""
    for size in SIZES:
        with WebSocket(echo.port, "/echo", offer=OFFERS["13.1"]) as ws:
            assert ws.deflate, "an ordinary offer was not taken"
            exchange(ws, [text_of(kind, size, i) for i in range(12)])
            exchange(ws, [text_of(kind, size, i) for i in range(3)], 256)
            ws.close()


@pytest.mark.parametrize("keeps", [False, True], ids=["fresh", "takeover"])
@pytest.mark.parametrize("number", OFFERS)
def test_compression_with_these_parameters(echo, echo_keeping, number, keeps):
    """13: each answer keeps to its offer, and each side to the answer."""
    server = echo_keeping if keeps else echo
    with WebSocket(server.port, "/echo", offer=OFFERS[number]) as ws:
        assert ws.deflate, f"not taken: {OFFERS[number]}"
        if not keeps:
            assert not ws.deflate.server_keeps
        for kind in ("json", "random", "text"):
            for size in (0, 1, 16, KIB, 32 * KIB, 128 * KIB):
                exchange(ws, [text_of(kind, size, i) for i in range(4)])
            exchange(ws, [text_of(kind, 32 * KIB, 9)], 1024)
        ws.close()


def test_a_context_that_is_kept_makes_messages_smaller(echo_keeping):
    """Otherwise the tests above would pass with no context at all."""
    with WebSocket(echo_keeping.port, "/echo", offer=OFFERS["13.1"]) as ws:
        assert ws.deflate.server_keeps and ws.deflate.client_keeps
        text, lengths = text_of("random", KIB, 1).hex(), []
        for _ in range(2):
            ws.send_message(text)
            got = ws.read_frame()
            assert got.rsv == 4, "the echo isn't compressed"
            lengths.append(len(got.payload))
            assert ws.deflate.decompress(got.payload).decode() == text
        assert lengths[1] < lengths[0] / 4, lengths


@pytest.mark.parametrize("offers, taken", [
    # 13.7: the first that it can.
    ("permessage-deflate; server_max_window_bits=9; "
     "server_no_context_takeover, permessage-deflate", True),
    ("permessage-deflate; unknown, permessage-deflate", True),
    ("permessage-deflate; server_max_window_bits=7, permessage-deflate; "
     "client_max_window_bits", True),
    ("x-webkit-deflate-frame, permessage-deflate", True),
    ('permessage-deflate; server_max_window_bits="10"', True),
    ("permessage-deflate; server_max_window_bits", False),
    ("permessage-deflate; server_max_window_bits=16", False),
    ("permessage-deflate; server_max_window_bits=010", False),
    ("permessage-deflate; client_max_window_bits=7", False),
    ("permessage-deflate; server_no_context_takeover=1", False),
    ("permessage-deflate; server_no_context_takeover; "
     "server_no_context_takeover", False),
    ("permessage-deflate-x", False),
], ids=lambda value: str(value)[-50:])
def test_what_becomes_of_an_offer(echo, offers, taken):
    with WebSocket(echo.port, "/echo",
                   headers=[("Sec-WebSocket-Extensions", offers)],
                   offer=None if not taken else "permessage-deflate; "
                   "client_max_window_bits") as ws:
        assert (ws.deflate is not None) == taken
        exchange(ws, [text_of("json", 4 * KIB, 0)])
        ws.close()


def test_a_window_of_256_bytes_is_declined_or_kept(echo_keeping):
    """zlib can't compress with one: who takes the offer all the same must not
    look back further."""
    with WebSocket(echo_keeping.port, "/echo", offer="permessage-deflate; "
                   "server_max_window_bits=8") as ws:
        for kind in ("json", "text", "repeated"):
            exchange(ws, [text_of(kind, 16 * KIB, i) for i in range(4)])
        ws.close()


class Raw:
    """A connection with compression, for frames that are wrong."""

    def __init__(self, server):
        self.ws = WebSocket(server.port, "/echo", offer=OFFERS["13.1"])

    def __enter__(self):
        return self.ws

    def __exit__(self, *_):
        self.ws.client.close()


def fails_with(ws, code):
    got = ws.event()
    assert (got.kind, got.code) == ("close", code), shorten(got)
    ws.send(close_frame(code))
    ws.expect_end(reset_ok=True)


@pytest.mark.parametrize("what, code, frames", [
    ("RSV1 on a continuation", 1002,
     [frame(1, b"a", fin=False), frame(0, b"b", rsv=4)]),
    ("RSV1 on a ping", 1002, [frame(9, b"a", rsv=4)]),
    ("RSV2 beside RSV1", 1002, [frame(1, b"a", rsv=6)]),
    ("what doesn't inflate", 1007, [frame(1, b"\xff\xff\xff\xff", rsv=4)]),
    ("text that isn't UTF-8 once inflated", 1007,
     [frame(1, b"\x00\x03\x00\xfc\xff\xed\xa0\x80\x00", rsv=4)]),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_bad_compressed_frames(echo, what, code, frames):
    with Raw(echo) as ws:
        for one in frames:
            ws.send(one)
        fails_with(ws, code)


def test_a_bomb_is_too_big(echo):
    with Raw(echo) as ws:
        ws.send_message("\0" * (64 * MIB))
        fails_with(ws, 1009)
    with WebSocket(echo.port, "/echo") as ws:
        exchange(ws, ["others are served"])
        ws.close()


def test_an_uncompressed_message_among_compressed_ones(echo_keeping):
    with Raw(echo_keeping) as ws:
        exchange(ws, [text_of("json", KIB, 1)])
        ws.send(frame(1, "plain"))
        assert ws.event().data == "plain"
        exchange(ws, [text_of("json", KIB, 2)])
        ws.close()


def test_a_client_that_asks_for_too_much_is_told(echo):
    """9: a message over the limit closes with 1009, and at once: by its
    header alone."""
    with WebSocket(echo.port, "/echo") as ws:
        ws.send(frame(2, b"x" * (18 * MIB))[:14])
        fails_with(ws, 1009)
    with WebSocket(echo.port, "/echo") as ws:
        ws.send(frame(2, b"x" * (10 * MIB), fin=False))
        ws.send(frame(0, b"x" * (10 * MIB))[:14])
        fails_with(ws, 1009)


def test_the_checker_finds_what_is_wrong():
    """A masked frame, a long length, a stray continuation from a server."""
    class Canned:
        def __init__(self, data):
            self.data = data

        def _take(self, count):
            taken, self.data = self.data[:count], self.data[count:]
            return taken

    for data in (b"\x81\x82....aa", b"\x81\x7e\x00\x02aa", b"\x80\x00",
                 b"\xc1\x00", b"\x83\x00", b"\x09\x00", b"\x81\x01\xff",
                 b"\x88\x01a"):
        ws = WebSocket.__new__(WebSocket)
        ws.client, ws.deflate, ws._message = Canned(data), None, None
        with pytest.raises(Violation):
            ws.event()
