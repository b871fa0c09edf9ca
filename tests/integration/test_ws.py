# SPDX-License-Identifier: MIT
"""WebSockets between real processes: other people's clients, large and many
messages, clients that are slow or never read, workers that go or are killed."""
import asyncio
import os
import select
import signal
import time

import pytest

from corelane import wait_until
from ws_client import (BINARY, CLOSE, PING, TEXT, WebSocket, close_frame,
                       closed, frame, fragments, message, pong)

websockets = pytest.importorskip("websockets")

KIB, MIB = 1024, 1024 * 1024
RESTART = 1012


def total(server, field):
    return server.stats()["total"][field]


def counted(server, field, count):
    wait_until(lambda: total(server, field) == count, f"{field} = {count}")


def url(server):
    return f"ws://127.0.0.1:{server.port}/echo"


# -- clients that others have written --------------------------------------

@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("takeover", [False, True])
def test_a_client_of_another_make(corelane, compression, takeover):
    server = corelane({"websocket": {
        "deflate": {"context_takeover": takeover, "min_bytes": 0}}})
    texts = ["", "hello", "\u03ba\u1f79\u03c3\u03bc\u03b5" * 100,
             "x" * 70000, os.urandom(100), b"\0" * 200000]

    async def talk():
        async with websockets.connect(url(server), max_size=None,
                                      compression=compression) as ws:
            assert bool(ws.extensions) == (compression is not None)
            for text in texts * 3:
                await ws.send(text)
                assert await ws.recv() == text
            await ws.send(["a", "b", "c"])      # three fragments
            assert await ws.recv() == "abc"
            await (await ws.ping(b"there?"))
            await ws.close(3456, "enough")
            assert ws.close_code == 3456

    asyncio.run(talk())
    counted(server, "ws_closed_other", 1)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_16_mib_and_not_one_byte_more(corelane, compression):
    server = corelane()
    data = os.urandom(8 * MIB) + bytes(8 * MIB)

    async def talk():
        async with websockets.connect(url(server), max_size=None,
                                      compression=compression) as ws:
            await ws.send(data)
            assert await ws.recv() == data
            with pytest.raises(websockets.ConnectionClosed) as told:
                await ws.send(data + b"!")
                await ws.recv()
            assert told.value.rcvd.code == 1009

    asyncio.run(talk())
    counted(server, "ws_closed_too_big", 1)


def test_pings_of_the_server_are_answered_by_clients(corelane):
    server = corelane({"websocket": {"ping": "100ms", "pong": "10s"}})

    async def talk():
        async with websockets.connect(url(server)) as ws:
            await asyncio.sleep(0.5)            # several pings long
            await ws.send("still there")
            assert await ws.recv() == "still there"

    asyncio.run(talk())
    counted(server, "ws_closed_normal", 1)
    assert total(server, "ws_closed_silent") == 0


# -- delivery --------------------------------------------------------------

def test_byte_by_byte(corelane):
    server = corelane()
    data = (frame(TEXT, b"hello") + frame(PING, b"now") +
            b"".join(fragments(BINARY, b"abcdefgh", 4) for _ in range(2)) +
            close_frame(1000))

    with WebSocket(server.port, "/echo") as ws:
        for i in range(len(data)):
            ws.send(data[i:i + 1])
        assert ws.event() == message("hello")
        assert ws.event() == pong(b"now")
        assert ws.event() == message(b"abcdefgh")
        assert ws.event() == message(b"abcdefgh")
        assert ws.event() == closed(1000, "")
        ws.expect_end()


def test_the_log_says_why_a_socket_ended(corelane):
    server = corelane({"log": {"level": "debug"}})
    with WebSocket(server.port, "/echo") as ws:
        ws.send(frame(TEXT, b"hello", mask=None))
        assert ws.event() == closed(1002, "frame not masked")
    wait_until(lambda: "websocket: frame not masked\n" in server.log(), "the reason")


def test_10000_messages_in_one_go(corelane):
    server = corelane()
    texts = [f"message {i}" for i in range(10000)]

    with WebSocket(server.port, "/echo") as ws:
        ws.send(b"".join(frame(TEXT, text) for text in texts))
        for text in texts:
            assert ws.event() == message(text)
        ws.close()
    counted(server, "ws_messages_in", 10000)
    counted(server, "ws_messages_out", 10000)
    counted(server, "ws_closed_normal", 1)


def test_a_message_right_behind_the_request(corelane):
    server = corelane()

    with server.connect() as c:
        c.send(b"GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
               b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
               frame(TEXT, b"early") + close_frame())
        assert c.response().status == 101
        assert c._take(7) == b"\x81\x05early"
        assert c._take(2) == b"\x88\x00"
        c.expect_closed()


# -- clients that hold things up -------------------------------------------

def fill(ws):
    """Sends until the server takes no more."""
    sock, data = ws.client.sock, frame(BINARY, bytes(64 * KIB))
    sock.setblocking(False)
    while True:
        try:
            data = data[sock.send(data):] or frame(BINARY, bytes(64 * KIB))
        except BlockingIOError:
            if not select.select([], [sock], [], 0.3)[1]:
                return


def test_a_client_that_never_reads_is_cut_and_costs_others_nothing(corelane):
    server = corelane({"workers": 1, "timeouts": {"write": "1s"}})
    before = server.worker_memory()

    with WebSocket(server.port, "/echo") as other, \
            WebSocket(server.port, "/echo") as stuck:
        fill(stuck)
        # Its queue has an end: write_queue_bytes, and what was under way.
        assert server.worker_memory() - before < 16 * MIB
        for i in range(100):
            other.send_message(f"{i}")
            assert other.event() == message(f"{i}")
        counted(server, "websockets_active", 1)
        assert total(server, "ws_closed_cut") == 1
        assert total(server, "timeouts_write") == 1
        other.send_message("still there")
        assert other.event() == message("still there")
        other.close()


def test_a_client_that_reads_slowly_is_not_cut(corelane):
    server = corelane({"workers": 1, "timeouts": {"write": "1s"}})
    # Megabytes wait in the kernel: it takes a minute until it asks for more.
    with WebSocket(server.port, "/echo") as ws:
        ws.send(frame(BINARY, bytes(12 * MIB)))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert ws.client.sock.recv(16 * KIB)
            time.sleep(0.1)
        assert total(server, "websockets_active") == 1
        assert total(server, "timeouts_write") == 0


def test_a_flood_of_pings_fills_no_memory(corelane):
    server = corelane({"workers": 1, "timeouts": {"write": "60s"}})
    before = server.worker_memory()

    with WebSocket(server.port, "/echo") as ws:
        ws.client.sock.settimeout(30)
        ping = frame(PING, b"." * 125) * 1000
        for _ in range(200):                    # 25 MiB of them
            ws.send(ping)
        ws.send(frame(PING, b"the last"))
        assert server.worker_memory() - before < 16 * MIB
        while ws.event() != pong(b"the last"):
            pass
        ws.close()


# -- workers that go -------------------------------------------------------

def farewell(ws):
    """Reads to the close frame, answers it, and the connection must end."""
    got = ws.event()
    assert got == closed(RESTART, "the server is restarting")
    ws.send(close_frame(RESTART))
    ws.expect_end()


def test_a_reload_sends_clients_elsewhere(corelane):
    server = corelane({"timeouts": {"drain": "20s"}})
    clients = [WebSocket(server.port, "/echo") for _ in range(50)]
    old = set(server.worker_pids())
    assert server.command("reload")[0] == 0

    # The new workers serve while the old ones let go.
    with WebSocket(server.port, "/echo") as new:
        new.send_message("hello")
        assert new.event() == message("hello")
        for ws in clients:
            farewell(ws)
            ws.client.close()
        wait_until(lambda: not old & set(server.worker_pids()),
                   "the old workers to end")
        new.send_message("still there")
        assert new.event() == message("still there")
        new.close()


def test_a_drain_waits_for_no_client_that_is_gone(corelane):
    server = corelane({"timeouts": {"drain": "20s", "write": "500ms"}})

    with WebSocket(server.port, "/echo") as ws:
        server.signal(signal.SIGTERM)
        assert ws.event().code == RESTART
        # It never answers: timeouts.write, and not the whole drain.
        ws.expect_end(reset_ok=True)
        assert server.wait_exit(15) == 0


def test_a_killed_worker_takes_only_its_own(corelane):
    server = corelane({"workers": 2}, crashes_ok=True)
    clients = [WebSocket(server.port, "/echo") for _ in range(40)]
    counted(server, "websockets_active", 40)
    workers = server.stats()["workers"]
    victim = max(workers, key=lambda w: w["websockets_active"])
    lost = victim["websockets_active"]
    assert 0 < lost < 40, "the kernel gave one worker all of them"
    os.kill(victim["pid"], signal.SIGKILL)

    gone = 0
    for ws in clients:
        try:
            ws.send_message("there?")
            assert ws.event() == message("there?")
            ws.close()
        except (AssertionError, OSError):
            gone += 1
        ws.client.close()
    assert gone == lost
    wait_until(lambda: len(server.worker_pids()) == 2, "a new worker")


def test_what_is_closed_is_counted_by_cause(corelane):
    server = corelane({"workers": 1})
    for data, code in [(frame(CLOSE, b"\x03"), 1002),
                       (frame(TEXT, b"\xff"), 1007),
                       (frame(3), 1002)]:
        with WebSocket(server.port, "/echo") as ws:
            ws.send(data)
            assert ws.event().code == code
            ws.expect_end(reset_ok=True)
    WebSocket(server.port, "/echo").client.close()
    counted(server, "ws_closed_protocol", 2)
    counted(server, "ws_closed_data", 1)
    counted(server, "ws_closed_cut", 1)
    counted(server, "websockets_active", 0)
    assert total(server, "websockets") == 4
    metrics = server.get("/metrics", port=server.admin_port).body.decode()
    assert 'corelane_websocket_closes_total{cause="bad_data"} 1' in metrics
