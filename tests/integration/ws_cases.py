# SPDX-License-Identifier: MIT
"""What a WebSocket server has to answer: a table of numbered cases.

The numbers are those of the Autobahn test suite's sections, which every
implementation is compared by; the cases are written anew from RFC 6455 and
RFC 7692, and where the suite would let a server choose they don't.

A case is a script against an echo server.  Its steps are sent one after the
other; Await(n) waits for n events first.  `events` are all that may come, in
order, and `end` says how it ends: CLEAN, we close and get our code back;
fails(code), the server closes with that code and nobody asked it to; or
answers(code), the script itself has closed.

Here: what is sent and what must come.  Not here: sockets (ws_client.py), the
server and its configuration (test_ws_conformance.py).
"""
import collections
import functools
import random

from ws_client import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT,
                       close_frame, frame, fragments, message, pong)

KIB, MIB = 1024, 1024 * 1024

Case = collections.namedtuple("Case", "number sentence steps events end")
Await = collections.namedtuple("Await", "count")
Chops = collections.namedtuple("Chops", "data size")
End = collections.namedtuple("End", "who code")

CLEAN = End("client", 1000)
PROTOCOL, BAD_DATA = 1002, 1007

GREEK = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!"
KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5"
# Where its third byte stands is a surrogate, which UTF-8 has none of.
BROKEN = KOSME.encode() + b"\xed\xa0\x80" + b"edited"
PAST_END = KOSME.encode() + b"\xf4\x90\x80\x80" + b"edited"


def fails(code):
    return End("server", code)


def answers(code):
    return End("script", code)


def bytewise(*parts):
    return Chops(b"".join(parts), 1)


def framing():
    """1: whole messages of every form of length."""
    for section, opcode, fill in (("1.1", TEXT, "*"), ("1.2", BINARY, b"\xfe")):
        for i, length in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            yield Case(f"{section}.{i}", f"a message of {length} bytes",
                       [frame(opcode, fill * length)],
                       [message(fill * length)], CLEAN)
        yield Case(f"{section}.8", "a message of 65536 bytes in pieces of 997",
                   [Chops(frame(opcode, fill * 65536), 997)],
                   [message(fill * 65536)], CLEAN)
    yield Case("1.3.1", "the mask is any: zero, and one that makes zeros",
               [frame(TEXT, "zero", mask=b"\0\0\0\0"),
                frame(BINARY, b"\1\2\3\4" * 9, mask=b"\1\2\3\4")],
               [message("zero"), message(b"\1\2\3\4" * 9)], CLEAN)
    yield Case("1.3.2", "a client's frame without a mask fails",
               [frame(TEXT, "Hello", mask=None)], [], fails(PROTOCOL))
    yield Case("1.3.3", "an empty frame without a mask fails",
               [frame(PING, mask=None)], [], fails(PROTOCOL))
    for i, text in enumerate((
            b"\x81\xfe\x00\x05" + b"\0" * 4 + b"Hello",
            b"\x81\xff" + b"\0" * 7 + b"\x05" + b"\0" * 4 + b"Hello",
            b"\x82\xff" + b"\0" * 6 + b"\xff\xff" + b"\0" * 4 + b"x" * 65535
            ), 4):
        yield Case(f"1.3.{i}", "a length that isn't in its shortest form fails",
                   [text], [], fails(PROTOCOL))
    yield Case("1.3.7", "a length with its highest bit set fails",
               [b"\x82\xff\x80" + b"\0" * 7 + b"\0" * 4], [], fails(PROTOCOL))


def pings():
    """2: pings are answered with what they carry, pongs are not."""
    odd = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    for i, (what, payload) in enumerate((
            ("empty", b""), ("text", b"Hello, world!"), ("no UTF-8", odd),
            ("125 bytes", b"\xfe" * 125)), 1):
        yield Case(f"2.{i}", f"a ping, {what}, is answered",
                   [frame(PING, payload)], [pong(payload)], CLEAN)
    yield Case("2.5", "a ping of 126 bytes fails",
               [frame(PING, b"\xfe" * 126)], [], fails(PROTOCOL))
    yield Case("2.6", "a ping of 125 bytes, one at a time, is answered",
               [bytewise(frame(PING, b"\xfe" * 125))],
               [pong(b"\xfe" * 125)], CLEAN)
    yield Case("2.7", "an empty pong that nobody asked for is ignored",
               [frame(PONG)], [], CLEAN)
    yield Case("2.8", "a pong that nobody asked for is ignored",
               [frame(PONG, b"unsolicited")], [], CLEAN)
    yield Case("2.9", "such a pong leaves the next ping alone",
               [frame(PONG, b"unsolicited"), frame(PING, b"ping")],
               [pong(b"ping")], CLEAN)
    ten = [b"payload-%d" % i for i in range(10)]
    yield Case("2.10", "ten pings are answered in order",
               [frame(PING, one) for one in ten], [pong(p) for p in ten], CLEAN)
    yield Case("2.11", "ten pings, one byte at a time, are answered in order",
               [bytewise(*(frame(PING, one) for one in ten))],
               [pong(one) for one in ten], CLEAN)


def reserved_bits():
    """3: without an extension no reserved bit may be set."""
    hello, after = frame(TEXT, "Hello, world!"), frame(PING)
    got = [message("Hello, world!")]
    bad = PROTOCOL
    yield Case("3.1", "RSV 1 on text fails",
               [frame(TEXT, "Hello, world!", rsv=1)], [], fails(bad))
    yield Case("3.2", "RSV 2 behind a message fails, the message is echoed",
               [hello + frame(TEXT, "x", rsv=2) + after], got, fails(bad))
    yield Case("3.3", "RSV 3, frame by frame",
               [hello, frame(TEXT, "x", rsv=3), after], got, fails(bad))
    yield Case("3.4", "RSV 4, byte by byte",
               [bytewise(hello, frame(TEXT, "x", rsv=4), after)], got,
               fails(bad))
    yield Case("3.5", "RSV 5 on binary fails",
               [frame(BINARY, b"\x00\xff\xfe", rsv=5)], [], fails(bad))
    yield Case("3.6", "RSV 6 on a ping fails",
               [frame(PING, b"Hello", rsv=6)], [], fails(bad))
    yield Case("3.7", "RSV 7 on a close fails",
               [frame(CLOSE, rsv=7)], [], fails(bad))


def opcodes():
    """4: reserved opcodes."""
    hello, after = frame(TEXT, "Hello, world!"), frame(PING)
    got = [message("Hello, world!")]
    for section, first in (("4.1", 3), ("4.2", 11)):
        yield Case(f"{section}.1", f"opcode {first} fails",
                   [frame(first)], [], fails(PROTOCOL))
        yield Case(f"{section}.2", f"opcode {first + 1} with content fails",
                   [frame(first + 1, "reserved")], [], fails(PROTOCOL))
        yield Case(f"{section}.3", f"opcode {first + 2} behind a message",
                   [hello + frame(first + 2) + after], got, fails(PROTOCOL))
        yield Case(f"{section}.4", f"opcode {first + 3}, frame by frame",
                   [hello, frame(first + 3, "reserved"), after], got,
                   fails(PROTOCOL))
        yield Case(f"{section}.5", f"opcode {first + 4}, byte by byte",
                   [bytewise(hello, frame(first + 4, "reserved"), after)], got,
                   fails(PROTOCOL))


def ways(parts):
    """The same frames at once, one by one, and byte by byte."""
    return ("at once", [b"".join(parts)]), ("frame by frame", list(parts)), (
        "byte by byte", [bytewise(*parts)])


def fragmentation():
    """5: messages in parts, and what may stand between them."""
    first = frame(TEXT, "fragment1", fin=False)
    last = frame(CONTINUATION, "fragment2")
    whole = message("fragment1fragment2")
    stray = frame(CONTINUATION, "nothing to continue")
    stray_open = frame(CONTINUATION, "nothing to continue", fin=False)
    hello = frame(TEXT, "Hello, world!")
    yield Case("5.1", "a ping in two fragments fails",
               [frame(PING, "a", fin=False), frame(CONTINUATION, "b")], [],
               fails(PROTOCOL))
    yield Case("5.2", "a pong in two fragments fails",
               [frame(PONG, "a", fin=False), frame(CONTINUATION, "b")], [],
               fails(PROTOCOL))
    for start, what, parts, events, end in (
            (3, "text in two fragments", [first, last], [whole], CLEAN),
            (6, "a ping between two fragments",
             [first, frame(PING, "ping"), last], [pong(b"ping"), whole], CLEAN),
            (9, "a final continuation of nothing fails", [stray, hello], [],
             fails(PROTOCOL)),
            (12, "a continuation of nothing fails", [stray_open, hello], [],
             fails(PROTOCOL))):
        for i, (how, steps) in enumerate(ways(parts)):
            yield Case(f"5.{start + i}", f"{what}, {how}", steps, events, end)
    yield Case("5.15", "a continuation behind a whole message fails",
               [first + last + stray_open + hello], [whole], fails(PROTOCOL))
    yield Case("5.16", "continuations of nothing, twice",
               [stray_open, hello, stray_open, hello], [], fails(PROTOCOL))
    yield Case("5.17", "final continuations of nothing, twice",
               [stray, hello, stray, hello], [], fails(PROTOCOL))
    yield Case("5.18", "a message within a message fails",
               [first, frame(TEXT, "fragment2")], [], fails(PROTOCOL))
    parts = [frame(TEXT, "f1", fin=False),
             frame(CONTINUATION, "f2", fin=False), frame(PING, "1"),
             frame(CONTINUATION, "f3", fin=False),
             frame(CONTINUATION, "f4", fin=False), frame(PING, "2"),
             frame(CONTINUATION, "f5")]
    got = [pong(b"1"), pong(b"2"), message("f1f2f3f4f5")]
    yield Case("5.19", "pings between five fragments, waited for",
               [*parts[:3], Await(1), *parts[3:6], Await(2), parts[6]],
               got, CLEAN)
    yield Case("5.20", "pings between five fragments, at once",
               [b"".join(parts)], got, CLEAN)
    yield Case("5.21", "a binary message within a text message fails",
               [first, frame(BINARY, b"x")], [], fails(PROTOCOL))
    yield Case("5.22", "empty fragments are fragments",
               [frame(BINARY, fin=False), frame(CONTINUATION, fin=False),
                frame(CONTINUATION, b"x", fin=False), frame(CONTINUATION)],
               [message(b"x")], CLEAN)


def utf8_pieces():
    """6.1 to 6.4: text that is cut, and text that must fail at once."""
    empty = [frame(TEXT, fin=False), frame(CONTINUATION, fin=False),
             frame(CONTINUATION)]
    yield Case("6.1.1", "an empty text", [frame(TEXT)], [message("")], CLEAN)
    yield Case("6.1.2", "three empty fragments", empty, [message("")], CLEAN)
    yield Case("6.1.3", "content between empty fragments",
               [empty[0], frame(CONTINUATION, "mid", fin=False), empty[2]],
               [message("mid")], CLEAN)
    text = GREEK.encode()
    got = [message(GREEK)]
    for i, (what, cuts) in enumerate((
            ("whole", []),
            ("cut between characters", [len("Hello-\u00b5".encode())]),
            ("cut at every byte", range(1, len(text))),
            ("cut within a character", [len(b"Hello-") + 1])), 1):
        yield Case(f"6.2.{i}", f"valid UTF-8, {what}", cut(text, cuts), got,
                   CLEAN)
    yield Case("6.2.5", "four bytes of one character in four frames",
               cut("\U0001f600".encode(), [1, 2, 3]), [message("\U0001f600")],
               CLEAN)
    yield Case("6.3.1", "invalid UTF-8 in one frame", [frame(TEXT, BROKEN)], [],
               fails(BAD_DATA))
    yield Case("6.3.2", "invalid UTF-8, a frame for each byte",
               cut(BROKEN, range(1, len(BROKEN))), [], fails(BAD_DATA))
    # The rest is never sent: who waits for it hangs.
    start, bad = PAST_END[:11], PAST_END[11:15]
    yield Case("6.4.1", "a bad fragment fails before the last one comes",
               [frame(TEXT, start, fin=False),
                frame(CONTINUATION, bad, fin=False)], [], fails(BAD_DATA))
    yield Case("6.4.2", "a bad second byte fails before the third comes",
               [frame(TEXT, start + bad[:2], fin=False)], [], fails(BAD_DATA))
    whole = frame(TEXT, PAST_END)
    at = len(whole) - len(PAST_END)
    yield Case("6.4.3", "a bad character fails before its frame is whole",
               [whole[:at + 11], whole[at + 11:at + 15]], [], fails(BAD_DATA))
    yield Case("6.4.4", "a bad byte fails before its frame is whole",
               [whole[:at + 12], whole[at + 12:at + 13]], [], fails(BAD_DATA))
    yield Case("6.4.5", "a character that the end cuts off fails",
               [frame(TEXT, "\u20ac".encode()[:2])], [], fails(BAD_DATA))
    yield Case("6.4.6", "a character that ends in an empty last frame fails",
               [frame(TEXT, "\u20ac".encode()[:2], fin=False),
                frame(CONTINUATION)], [], fails(BAD_DATA))
    yield Case("6.4.7", "binary is no text",
               [frame(BINARY, BROKEN)], [message(BROKEN)], CLEAN)


def cut(data, positions):
    """A text message, its content cut there into frames."""
    positions = [0, *positions, len(data)]
    count = len(positions) - 1
    return [frame(TEXT if i == 0 else CONTINUATION,
                  data[positions[i]:positions[i + 1]], fin=i == count - 1)
            for i in range(count)]


def lonely(first, last):
    """Start bytes, none of them followed by what it needs."""
    return b"".join(bytes((byte, 0x20)) for byte in range(first, last + 1))


def utf8_texts():
    """(what, [bytes]) for 6.5 to 6.23; Python says what is valid."""
    kosme = KOSME.encode()
    cut_off = [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80",
               b"\xfc\x80\x80\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf",
               b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"]
    planes = [chr(plane << 16 | low).encode() for plane in range(1, 17)
              for low in (0xfffe, 0xffff)]
    surrogates = [chr(code).encode("utf-8", "surrogatepass") for code in
                  (0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff)]
    return [
        ("some valid text", [b"hello$world", "hello\xa2world".encode(),
                             "hello\u20acworld".encode(),
                             "hello\U00024b62world".encode(), kosme]),
        ("every beginning of a text",
         [kosme[:i] for i in range(1, len(kosme) + 1)]),
        ("the first of each length",
         [chr(c).encode() for c in (0, 0x80, 0x800, 0x10000)]),
        ("the first of five and six bytes",
         [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
        ("the last of each length",
         [chr(c).encode() for c in (0x7f, 0x7ff, 0xffff, 0x10ffff)]),
        ("the last of what four to six bytes could say",
         [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf",
          b"\xfd\xbf\xbf\xbf\xbf\xbf"]),
        ("other boundaries",
         [chr(c).encode() for c in (0xd7ff, 0xe000, 0xfffd, 0x10ffff)] +
         [b"\xf4\x90\x80\x80"]),
        ("continuation bytes alone",
         [b"\x80", b"\xbf"] + [(b"\x80\xbf" * 3)[:n] for n in range(2, 7)] +
         [bytes(range(0x80, 0xc0))]),
        ("start bytes alone",
         [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7),
          lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)]),
        ("the last byte missing", cut_off),
        ("all of these in a row", [b"".join(cut_off)]),
        ("impossible bytes", [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
        ("a slash in too many bytes",
         [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
          b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf"]),
        ("the most that is still too long",
         [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",
          b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"]),
        ("NUL in too many bytes",
         [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",
          b"\xf8\x80\x80\x80\x80", b"\xfc\x80\x80\x80\x80\x80"]),
        ("single surrogates", surrogates),
        ("pairs of surrogates",
         [high + low for high in surrogates[:4]
          for low in (surrogates[4], surrogates[6])]),
        ("codes that are no characters, and yet valid",
         [b"\xef\xbf\xbe", b"\xef\xbf\xbf", *planes]),
        ("specials", [chr(c).encode() for c in range(0xfff9, 0x10000)]),
    ]


def utf8_kuhn():
    """6.5 to 6.23: Markus Kuhn's stress test, whole and in single bytes."""
    for section, (what, texts) in enumerate(utf8_texts(), 5):
        for i, data in enumerate(texts, 1):
            try:
                events, end = [message(data.decode())], CLEAN
            except UnicodeDecodeError:
                events, end = [], fails(BAD_DATA)
            number = f"6.{section}.{i}"
            yield Case(number, what, [frame(TEXT, data)], events, end)
            yield Case(f"{number}b", f"{what}, a frame for each byte",
                       cut(data, range(1, len(data))), events, end)


def closes():
    """7: the end of a connection."""
    hello = frame(TEXT, "Hello World!")
    one = close_frame(1000)
    yield Case("7.1.1", "a message, then a close", [hello, one],
               [message("Hello World!")], answers(1000))
    yield Case("7.1.2", "a second close is ignored", [one + close_frame(1001)],
               [], answers(1000))
    yield Case("7.1.3", "a ping behind a close is ignored",
               [one + frame(PING)], [], answers(1000))
    yield Case("7.1.4", "text behind a close is ignored", [one + hello], [],
               answers(1000))
    yield Case("7.1.5", "a close within a message",
               [frame(TEXT, "a", fin=False) + one + frame(CONTINUATION, "b")],
               [], answers(1000))
    big = "BAsd7&jh23" * 26214
    yield Case("7.1.6", "256 KiB, a close and a ping",
               [frame(TEXT, big) + one + frame(PING)], [message(big)],
               answers(1000))
    yield Case("7.3.1", "an empty close", [close_frame()], [], answers(None))
    yield Case("7.3.2", "a close of one byte fails", [frame(CLOSE, b"a")], [],
               fails(PROTOCOL))
    yield Case("7.3.3", "a close with a code", [one], [], answers(1000))
    yield Case("7.3.4", "a close with a reason", [close_frame(1000, "Bye")], [],
               answers(1000))
    yield Case("7.3.5", "the longest reason", [close_frame(1000, "*" * 123)],
               [], answers(1000))
    yield Case("7.3.6", "a reason that is too long fails",
               [close_frame(1000, "*" * 124)], [], fails(PROTOCOL))
    yield Case("7.5.1", "a reason that isn't UTF-8 fails",
               [close_frame(1000, BROKEN)], [], fails(BAD_DATA))
    yield Case("7.5.2", "a reason that ends within a character fails",
               [close_frame(1000, b"\xe2\x82")], [], fails(BAD_DATA))
    for i, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                              1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999),
                             1):
        yield Case(f"7.7.{i}", f"{code} is a code that may be sent",
                   [close_frame(code)], [], answers(code))
    for i, code in enumerate((0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000,
                              2999), 1):
        yield Case(f"7.9.{i}", f"{code} is none that may be sent",
                   [close_frame(code)], [], fails(PROTOCOL))
    for i, code in enumerate((5000, 65535), 1):
        yield Case(f"7.13.{i}", f"{code} is out of range", [close_frame(code)],
                   [], fails(PROTOCOL))


def content_of(opcode, size):
    """A message of that many bytes, and what an echo of it is."""
    data = random.Random(size).randbytes(size // 2).hex()
    return data if opcode == TEXT else data.encode()[::-1]


def sizes(number, opcode):
    for i, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB,
                              16 * MIB), 1):
        data = content_of(opcode, size)
        yield Case(f"{number}.{i}", f"a message of {size // KIB} KiB",
                   [frame(opcode, data)], [message(data)], CLEAN)


def fragment_sizes(number, opcode):
    data = content_of(opcode, 4 * MIB)
    encoded = data.encode() if opcode == TEXT else data
    for i, size in enumerate((64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB,
                              256 * KIB, MIB, 4 * MIB), 1):
        yield Case(f"{number}.{i}", f"4 MiB in frames of {size}",
                   [fragments(opcode, encoded, size)], [message(data)], CLEAN)


def piece_sizes(number, opcode):
    data = content_of(opcode, MIB)
    for i, size in enumerate((64, 128, 256, 512, KIB, 2 * KIB), 1):
        yield Case(f"{number}.{i}", f"1 MiB sent by {size} bytes",
                   [Chops(frame(opcode, data), size)], [message(data)], CLEAN)


def round_trips(number, opcode):
    for i, size in enumerate((0, 16, 64, 256, KIB, 4 * KIB), 1):
        data = content_of(opcode, size)
        one = frame(opcode, data)
        yield Case(f"{number}.{i}", f"1000 times a message of {size}",
                   [step for n in range(1000) for step in (one, Await(n + 1))],
                   [message(data)] * 1000, CLEAN)


def many():
    """10: fragments of a size that divides nothing."""
    text = "*" * 65536
    parts = [frame(TEXT if at == 0 else CONTINUATION, text[at:at + 1300],
                   fin=at + 1300 >= len(text))
             for at in range(0, len(text), 1300)]
    yield Case("10.1.1", "64 KiB in fragments of 1300", parts, [message(text)],
               CLEAN)


# By the numbers that their cases begin with.
SECTIONS = {
    "1": framing, "2": pings, "3": reserved_bits, "4": opcodes,
    "5": fragmentation, "6.1": utf8_pieces, "6.5": utf8_kuhn, "7": closes,
    **{number: functools.partial(make, number, opcode)
       for number, make, opcode in (
           ("9.1", sizes, TEXT), ("9.2", sizes, BINARY),
           ("9.3", fragment_sizes, TEXT), ("9.4", fragment_sizes, BINARY),
           ("9.5", piece_sizes, TEXT), ("9.6", piece_sizes, BINARY),
           ("9.7", round_trips, TEXT), ("9.8", round_trips, BINARY))},
    "10": many,
}
