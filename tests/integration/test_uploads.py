# SPDX-License-Identifier: MIT
"""Content that a module takes piece by piece, from clients of every kind."""
import os
import time

import pytest

from corelane import module_path, wait_until

HEAD = ("POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        "{fields}\r\n")


def uploads(corelane, **config):
    return corelane({"modules": [{"name": "uploads",
                                  "file": module_path("uploads")}],
                     "routes": [], **config}, workers=1)


def head(path, **fields):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n"
                    for name, value in fields.items())
    return HEAD.format(path=path, fields=lines).encode()


def chunks(data, size):
    for at in range(0, len(data), size):
        piece = data[at:at + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def answer(client):
    response = client.response("POST")
    return response.status, response.body


def counts(srv):
    return [int(n) for n in srv.get("/ended").body.split()]


DATA = os.urandom(300_000)
WANT = b"%d %d" % (len(DATA), sum(DATA))


@pytest.mark.parametrize("path", ["/count", "/slow"])
@pytest.mark.parametrize("step", [70_000, 1_500_000])
def test_every_byte_arrives_once(corelane, path, step):
    srv = uploads(corelane)
    client = srv.connect()
    client.send(head(path, Content_Length=len(DATA)))
    for at in range(0, len(DATA), step):
        client.send(DATA[at:at + step])
    assert answer(client) == (200, WANT)
    client = srv.connect()
    client.send(head(path, Transfer_Encoding="chunked"))
    for piece in chunks(DATA, 7777):
        client.send(piece)
    assert answer(client) == (200, WANT)


def test_content_byte_by_byte_and_none_at_all(corelane):
    srv = uploads(corelane)
    client = srv.connect()
    client.send(head("/count", Content_Length=30))
    for at in range(30):
        client.send(DATA[at:at + 1])
    assert answer(client) == (200, b"30 %d" % sum(DATA[:30]))
    client = srv.connect()
    client.send(head("/count", Content_Length=0))
    assert answer(client) == (200, b"0 0")


def test_an_early_answer_comes_before_the_content_is_whole(corelane):
    srv = uploads(corelane)
    client = srv.connect()
    client.send(head("/early", Content_Length=len(DATA)))
    client.send(DATA[:100])
    assert answer(client)[0] == 403


def test_a_handler_that_never_answers_is_a_told_500(corelane):
    srv = uploads(corelane)
    client = srv.connect()
    client.send(head("/never", Content_Length=3) + b"abc")
    assert answer(client)[0] == 500
    assert "uploads.never: returned without an answer" in srv.log()


def test_bad_framing_in_the_middle_is_a_400(corelane):
    srv = uploads(corelane)
    client = srv.connect()
    client.send(head("/count", Transfer_Encoding="chunked"))
    client.send(b"5\r\nabcde\r\n")
    client.send(b"zz\r\n")
    assert answer(client)[0] == 400
    wait_until(lambda: counts(srv) == [1, 1], "the upload's end")


def test_a_client_that_leaves_ends_its_upload(corelane):
    srv = uploads(corelane)
    for _ in range(20):
        client = srv.connect()
        client.send(head("/slow", Content_Length=len(DATA)) + DATA[:50_000])
        client.close()
    wait_until(lambda: counts(srv) == [20, 20], "twenty uploads' end")


def test_a_client_that_stops_gets_a_408_by_the_body_timeout(corelane):
    srv = uploads(corelane, timeouts={"body": "300ms", "request": "100ms"})
    client = srv.connect()
    client.send(head("/count", Content_Length=100) + b"abc")
    assert answer(client)[0] == 408
    wait_until(lambda: counts(srv) == [1, 1], "the upload's end")


def test_an_upload_may_take_longer_than_a_handler(corelane):
    """timeouts.request begins when the content has come."""
    srv = uploads(corelane, timeouts={"body": "20s", "request": "50ms"})
    client = srv.connect()
    client.send(head("/count", Content_Length=8))
    began = time.monotonic()
    for at in range(8):
        client.send(DATA[at:at + 1])
        wait_until(lambda: time.monotonic() - began > 0.05 * (at + 1),
                   "a slow client")
    assert answer(client) == (200, b"8 %d" % sum(DATA[:8]))


def test_too_much_is_a_413(corelane):
    srv = uploads(corelane, limits={"body_bytes": 1000})
    client = srv.connect()
    client.send(head("/count", Transfer_Encoding="chunked"))
    client.send(b"800\r\n" + DATA[:0x800] + b"\r\n0\r\n\r\n")
    assert answer(client)[0] == 413
