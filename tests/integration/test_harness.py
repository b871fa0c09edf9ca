# SPDX-License-Identifier: MIT
"""The harness itself must be able to fail: its parser against bad answers."""
import socket
import threading

import pytest

import wire


def answer(data, method="GET"):
    """What wire.Client makes of `data` sent by a server that then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        peer, _ = listener.accept()
        peer.recv(1)
        peer.sendall(data)
        peer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with wire.Client(listener.getsockname()[1]) as client:
            client.send(b"x")
            response = client.final(method)
            response.rest = client.read_to_end()
            return response
    finally:
        thread.join()
        listener.close()


BAD = {
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a space before the colon":
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                   b"Content-Length: 0\r\n\r\n",
    "chunked for HTTP/1.0": b"HTTP/1.0 200 OK\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length on a 204": b"HTTP/1.1 204 No Content\r\n"
                         b"Content-Length: 0\r\n\r\n",
    "a chunk size that is none": b"HTTP/1.1 200 OK\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunk data without its CRLF":
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\naXX0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_answer_is_seen(name):
    with pytest.raises(wire.Malformed):
        answer(BAD[name])


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\r\nContent-Len",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"",
])
def test_a_cut_answer_is_seen(data):
    with pytest.raises(wire.Ended):
        answer(data)


def test_bodies_are_read_by_their_framing():
    r = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc")
    assert (r.body, r.rest, r.framing) == (b"ab", b"c", "length")
    r = answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"2\r\nab\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\nrest")
    assert (r.body, r.rest, r.chunks) == (b"ab0123456789", b"rest", [2, 10, 0])
    r = answer(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    assert (r.body, r.framing, r.closes) == (b"all of it", "close", True)
    r = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD")
    assert (r.body, r.framing) == (b"", "none")


def test_bytes_after_the_end_are_seen():
    listener = socket.create_server(("127.0.0.1", 0))
    with wire.Client(listener.getsockname()[1]) as client:
        peer, _ = listener.accept()
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 ")
        peer.close()
        assert client.final().status == 200
        with pytest.raises(AssertionError, match="bytes after"):
            client.expect_closed()
    listener.close()
