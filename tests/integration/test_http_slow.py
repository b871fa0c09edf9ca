# SPDX-License-Identifier: MIT
"""Timeouts and slow clients: every phase ends by itself, and nobody waits for
somebody else's slowness.  No test asserts how long a thing took."""
import json
import os
import socket
import time

import pytest

import wire
from corelane import Corelane, is_sanitized, wait_until
from wire import request

MIB = 1 << 20
SHORT = {"head": "300ms", "body": "300ms", "write": "400ms", "idle": "300ms"}
LONG = "60s"


@pytest.fixture(scope="module")
def short():
    """One worker, all timeouts short, and a large file to send."""
    server = Corelane({
        "workers": 1, "timeouts": SHORT,
        "limits": {"body_bytes": "8MiB"},
        "routes": [
            {"path": "/hello", "handler": "respond", "body": "Hello, World!"},
            {"path": "/echo", "handler": "echo"},
            {"path": "/files/{path:.*}", "handler": "static", "root": "www"},
        ]}, files={"www/large": os.urandom(8 * MIB)}).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def counted(server, field, at_least):
    """Waits until the published counters say so."""
    def total():
        stats = server.stats()
        return find(stats, field)
    wait_until(lambda: total() >= at_least, f"{field} >= {at_least}")


def find(stats, field):
    """A total in /stats, wherever the document keeps its totals."""
    for place in (stats, stats.get("total", {}), stats.get("totals", {})):
        if field in place:
            return place[field]
    raise AssertionError(f"no {field} in {json.dumps(stats)[:500]}")


# -- the four timeouts -----------------------------------------------------

@pytest.mark.parametrize("part", [
    b"G", b"GET /hello HTTP/1.1\r\n", b"GET /hello HTTP/1.1\r\nHost: t\r\n",
    b"\r\n",
])
def test_a_head_that_never_ends_is_408(short, part):
    with short.connect() as c:
        c.send(part)
        if part == b"\r\n":             # no request line yet: silence is fine
            rest = c.read_to_end()
            assert rest == b"" or b" 408 " in rest.split(b"\r\n")[0]
            return
        r = c.final()
        assert r.status == 408 and r.closes
        c.expect_closed()


def test_a_head_that_trickles_is_408(short):
    """The limit is on the head as a whole, not on each byte."""
    with short.connect() as c:
        sent = 0
        head = b"GET /hello HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 100000
        while not c.readable(0.01) and sent < len(head):
            c.send(head[sent:sent + 1])
            sent += 1
        assert sent < 10000, "the head was never given up"
        assert c.final().status == 408


def test_a_second_head_that_never_ends_is_408(short):
    with short.connect() as c:
        c.send(request("GET", "/hello") + b"GET /hello HTT")
        assert c.final().status == 200
        assert c.final().status == 408
        c.expect_closed()


@pytest.mark.parametrize("data", [
    request("POST", "/echo", {"Content-Length": "100"}) + b"abc",
    request("POST", "/echo", {"Content-Length": "100"}),
    request("POST", "/echo", {"Transfer-Encoding": "chunked"}) + b"5\r\nhe",
    request("POST", "/echo", {"Transfer-Encoding": "chunked"}) + b"5",
])
def test_a_body_that_stalls_is_408(short, data):
    with short.connect() as c:
        c.send(data)
        r = c.final()
        assert r.status == 408 and r.closes
        c.expect_closed()


def test_a_body_that_moves_is_no_stall(corelane):
    """The body's limit is on silence: a slow body that moves is served."""
    srv = corelane({"timeouts": {"body": "1s"}}, workers=1)
    with srv.connect() as c:
        c.send(request("POST", "/echo", {"Content-Length": "30"}))
        for _ in range(30):             # 1.5 s and more in all
            assert not c.readable(0.05)
            c.send(b"x")
        assert c.final().body == b"x" * 30


def test_an_idle_connection_closes_in_silence(short):
    for before in (b"", request("GET", "/hello")):
        with short.connect() as c:
            if before:
                c.send(before)
                assert c.final().status == 200
            c.expect_closed()


def test_a_reader_that_stops_is_cut(short):
    before = find(short.stats(), "timeouts_write")
    clients = [short.connect(rcvbuf=4096) for _ in range(3)]
    for c in clients:
        c.send(request("GET", "/files/large"))
    counted(short, "timeouts_write", before + 3)
    for c in clients:
        with pytest.raises((wire.Ended, AssertionError)):
            c.final()
        c.close()


def test_a_reader_that_is_slow_is_not_cut(corelane):
    """Megabytes wait in the kernel: it takes long until it asks for more."""
    server = corelane({"timeouts": {"write": "1s"}, "routes": [
        {"path": "/{path:.*}", "handler": "static", "root": "www"}]},
        files={"www/large": bytes(24 * MIB)})
    with server.connect() as client:
        client.send(request("GET", "/large"))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert client.sock.recv(16384)
            time.sleep(0.1)
        assert find(server.stats(), "timeouts_write") == 0


def test_timeouts_are_counted(short):
    stats = short.stats()
    with short.connect() as c:
        c.send(b"GET / HT")
        assert c.final().status == 408
    with short.connect() as c:
        c.send(request("POST", "/echo", {"Content-Length": "9"}))
        assert c.final().status == 408
    counted(short, "timeouts_head", find(stats, "timeouts_head") + 1)
    counted(short, "timeouts_body", find(stats, "timeouts_body") + 1)


# -- slow clients and the others -------------------------------------------

@pytest.fixture(scope="module")
def patient():
    """One worker with timeouts that no test reaches."""
    server = Corelane({
        "workers": 1,
        "timeouts": {"head": LONG, "body": LONG, "write": LONG,
                     "idle": LONG},
        "limits": {"body_bytes": "8MiB", "write_queue_bytes": "256KiB"},
        "buffers": {"body_memory": "64KiB"},
        "routes": [
            {"path": "/hello", "handler": "respond", "body": "Hello, World!"},
            {"path": "/echo", "handler": "echo"},
            {"path": "/files/{path:.*}", "handler": "static", "root": "www"},
        ]}, files={"www/large": os.urandom(8 * MIB)}).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def others_are_served(server):
    for _ in range(50):
        assert server.get("/hello").body == b"Hello, World!"


def test_200_slow_heads_stop_nobody(patient):
    head = request("GET", "/hello", {"X": "y" * 60})
    clients = [patient.connect() for _ in range(200)]
    for i in range(len(head) - 1):      # all of them, a byte at a time
        for c in clients:
            c.send(head[i:i + 1])
        if i % 20 == 0:
            assert patient.get("/hello").status == 200
    others_are_served(patient)
    for c in clients:
        c.send(head[-1:])
        assert c.final().status == 200
        c.close()


def test_200_slow_bodies_stop_nobody(patient):
    body = os.urandom(50)
    clients = [patient.connect() for _ in range(200)]
    for c in clients:
        c.send(request("POST", "/echo", {"Content-Length": "50"}))
    for i in range(len(body)):
        for c in clients:
            c.send(body[i:i + 1])
        if i % 10 == 0:
            assert patient.get("/hello").status == 200
    for c in clients:
        assert c.final().body == body
        c.close()


@pytest.mark.parametrize("method,target,body", [
    ("GET", "/files/large", b""), ("POST", "/echo", os.urandom(2 * MIB)),
], ids=["file", "echo"])
def test_slow_readers_stop_nobody(patient, method, target, body):
    count = 200 if method == "GET" else 24
    want = body or patient.get(target).body
    before = patient.worker_memory()
    clients = [patient.connect(rcvbuf=4096) for _ in range(count)]
    for c in clients:
        c.send(request(method, target, body=body))
    for c in clients[:20]:              # they do read, a little
        assert c.fill(1000)
    others_are_served(patient)
    if not is_sanitized():
        growth = patient.worker_memory() - before
        assert growth < count * 768 * 1024, growth
    for c in clients[:2]:               # and get every byte in the end
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        assert c.final().body == want
    for c in clients:
        c.abort()
    others_are_served(patient)


def test_a_reader_that_pipelines_and_never_reads_is_held_back(patient):
    """Answers wait in a bounded queue; then the server stops reading."""
    before = patient.worker_memory()
    c = patient.connect(rcvbuf=4096, timeout=5)
    one = request("GET", "/hello") * 100
    c.sock.setblocking(False)
    sent = 0
    while sent < 64 * MIB:
        try:
            sent += c.sock.send(one)
        except BlockingIOError:
            others_are_served(patient)
            try:                        # still full: it has stopped reading
                sent += c.sock.send(one)
            except BlockingIOError:
                break
    assert sent < 64 * MIB, "the server never stopped reading"
    if not is_sanitized():
        assert patient.worker_memory() - before < 4 * MIB
    c.abort()
    others_are_served(patient)


# -- memory that may not grow with what a client sends ---------------------

def test_endless_input_does_not_grow_the_worker(patient):
    def pour(data, more, count):
        with patient.connect() as c:
            c.send(data)
            for _ in range(count):
                if not c.send(more):
                    break
    warm = (b"GET /hello HTTP/1.1\r\nHost: t\r\nX: ", b"y" * 65536, 8)
    pour(*warm)
    before = patient.worker_memory()
    for _ in range(10):
        pour(*warm)
        pour(b"GET /", b"a" * 65536, 8)
        pour(b"GET /hello HTTP/1.1\r\nHost: t\r\n", b"X: y\r\n" * 8192, 8)
        pour(request("POST", "/echo", {"Transfer-Encoding": "chunked"})
             + b"5;", b"x" * 65536, 8)
        pour(request("POST", "/echo", {"Transfer-Encoding": "chunked"})
             + b"0\r\nX: ", b"x" * 65536, 8)
        pour(request("POST", "/echo", {"Transfer-Encoding": "chunked"}),
             b"1\r\nx\r\n" * 8192, 8)
        pour(b"", b"\r\n" * 32768, 8)
        pour(b"", os.urandom(65536), 8)
        pour(b"GET /nope HTTP/1.1\r\nHost: t\r\n\r\n" * 10,
             b"\0" * 65536, 8)
    assert patient.get("/hello").status == 200
    if not is_sanitized():
        assert patient.worker_memory() - before < 2 * MIB


def test_a_thousand_idle_connections_are_cheap(patient):
    clients = [patient.connect() for _ in range(50)]
    for c in clients:
        c.probe()
    before = patient.worker_memory()
    for _ in range(800):
        c = patient.connect()
        c.send(request("POST", "/echo", body=b"x" * 30000))
        assert len(c.final().body) == 30000
        clients.append(c)
    others_are_served(patient)
    if not is_sanitized():              # no buffer stays with an idle one
        assert patient.worker_memory() - before < 800 * 2048
    for c in clients[::100]:
        c.probe()
    for c in clients:
        c.close()


def test_limits_on_connections(corelane):
    srv = corelane({"limits": {"connections": 20}}, workers=1)
    held = [srv.connect() for _ in range(20)]
    for c in held:
        c.probe()
    more = [srv.connect() for _ in range(5)]
    for c in held:                      # those who are in are served
        c.probe()
    for c in held[:10]:
        c.close()
    # The others were refused, or waited until there was room.
    for c in more:
        c.send(request("GET", "/hello"))
        try:
            assert c.final().status in (200, 503)
        except wire.Ended:
            pass
        c.close()
    wait_until(lambda: served(srv), "room for another connection")
    for c in held[10:]:
        c.close()


def served(server):
    try:
        return server.get("/hello").status == 200
    except (wire.Ended, OSError):
        return False


def test_limits_on_connections_per_address(corelane):
    srv = corelane({"limits": {"connections_per_ip": 3},
                    "admin": {"address": "127.0.0.1:0"}}, workers=1)
    held = []
    for _ in range(3):
        c = srv.connect()
        c.probe()
        held.append(c)
    with srv.connect() as c:
        c.send(request("GET", "/hello"))
        try:
            assert c.final().status in (429, 503)
        except wire.Ended:
            pass                        # or no answer at all
    with srv.connect(source="127.0.0.2") as c:
        c.probe()                       # somebody else is not concerned
    held.pop().close()
    wait_until(lambda: served(srv), "the address to be let in again")
    for c in held:
        c.probe()
        c.close()
