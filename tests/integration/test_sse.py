# SPDX-License-Identifier: MIT
"""Event streams as an EventSource sees them, and what system_stream tells,
held against /proc as this process reads it."""
import json
import os
import re
import subprocess
import threading
import time

import pytest

from channels import EventStream
from corelane import wait_until
import wire

ROUTES = [
    {"path": "/system", "handler": "system_stream", "interval": "200ms"},
    {"path": "/silent", "handler": "system_stream", "interval": "1h"},
    {"path": "/hello", "handler": "respond", "body": "Hello, World!"},
]


def start(corelane, workers=1, **config):
    return corelane({"routes": ROUTES, **config}, workers=workers)


def figures(stream):
    event = stream.event()
    assert event.name == "message"
    data = json.loads(event.data)
    assert str(data["id"]) == event.id
    return data


def meminfo():
    with open("/proc/meminfo") as f:
        fields = dict(line.split(":") for line in f)
    return {key: int(fields[key].split()[0]) * 1024
            for key in ("MemTotal", "MemAvailable")}


def process_count():
    return sum(name.isdigit() for name in os.listdir("/proc"))


def uptime():
    with open("/proc/uptime") as f:
        return float(f.read().split()[0])


def test_system_stream_tells_what_proc_tells(corelane):
    srv = start(corelane)
    before, started = uptime(), time.time() * 1000
    with EventStream(srv.port, "/system") as s:
        got = figures(s)
        memory, processes, after = meminfo(), process_count(), uptime()
        metrics = got["metrics"]
        assert before - 0.02 <= metrics["uptime"] <= after + 0.02
        assert started - 1 <= got["timestamp"] <= time.time() * 1000 + 1
        assert metrics["memory_total"] == memory["MemTotal"]
        used = memory["MemTotal"] - memory["MemAvailable"]
        assert abs(metrics["memory_used"] - used) < memory["MemTotal"] / 4
        assert abs(metrics["process_count"] - processes) <= \
            max(20, processes // 2)
        assert 0 <= metrics["cpu_usage"] <= 100


def test_system_stream_sees_the_machine_at_work(corelane):
    srv = start(corelane)
    with EventStream(srv.port, "/system") as s:
        figures(s)
        busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
        try:
            seen = [figures(s) for _ in range(4)]
        finally:
            busy.kill()
            busy.wait()
        least = 90 / os.cpu_count() * 0.3
        assert max(f["metrics"]["cpu_usage"] for f in seen) > least
        stamps = [f["timestamp"] for f in seen]
        assert stamps == sorted(stamps)
        assert [f["id"] for f in seen] == list(range(2, 6))


def test_system_stream_counts_the_server(corelane):
    srv = start(corelane, workers=2)
    for _ in range(20):
        assert srv.get("/hello").status == 200
    with EventStream(srv.port, "/system") as s:
        def counted():
            got = figures(s)["server"]
            return got["requests"] >= 21 and got["event_streams"] == 1 and \
                got["connections"] >= 1 and got["workers"] == 2 and \
                got["memory_bytes"] > 1 << 20
        wait_until(counted, "the server's own figures")


def test_ids_go_on_where_a_client_was(corelane):
    srv = start(corelane)
    with EventStream(srv.port, "/system") as s:
        assert [figures(s)["id"] for _ in range(3)] == [1, 2, 3]
    with EventStream(srv.port, "/system", last_id=s.last_id) as s:
        assert figures(s)["id"] == 4
    with EventStream(srv.port, "/system?last_event_id=41") as s:
        assert figures(s)["id"] == 42
    for bad in ("x", "-1", "18446744073709551615", "1e3"):
        with EventStream(srv.port, "/system", last_id=bad) as s:
            assert figures(s)["id"] == 1


def test_all_clients_of_a_worker_get_the_same_reading(corelane):
    srv = start(corelane)
    streams = [EventStream(srv.port, "/system") for _ in range(5)]
    try:
        def agree():
            stamps = {figures(s)["timestamp"] for s in streams}
            return len(stamps) == 1
        wait_until(agree, "the same reading for all")
    finally:
        for s in streams:
            s.client.close()
    wait_until(lambda: srv.stats()["total"]["sse_active"] == 0,
               "the streams to be gone")


def test_a_silent_stream_has_a_heartbeat(corelane):
    srv = start(corelane, sse={"heartbeat": "100ms", "retry": "750ms"})
    with EventStream(srv.port, "/silent") as s:
        assert s.response["cache-control"] == "no-cache"
        assert s.response["x-accel-buffering"] == "no"
        assert "transfer-encoding" not in s.response
        assert s.client._take_to(b"\n\n") == b"retry: 750"
        figures(s)
        for _ in range(3):
            assert s.client._take_to(b"\n\n") == b":"


def test_a_peer_that_has_vanished_is_found_and_counted(corelane):
    srv = start(corelane, sse={"heartbeat": "100ms"})
    s = EventStream(srv.port, "/silent")
    wait_until(lambda: srv.stats()["total"]["sse_active"] == 1, "the stream")
    s.client.abort()
    wait_until(lambda: srv.stats()["total"]["sse_active"] == 0, "its end")


@pytest.mark.parametrize("how", ["stop", "reload"])
def test_a_server_that_goes_sends_its_streams_away(corelane, how):
    srv = start(corelane, sse={"retry": "500ms"})
    streams = [EventStream(srv.port, "/silent") for _ in range(10)]
    for s in streams:
        figures(s)
    going = threading.Thread(
        target=lambda: srv.command(how))
    going.start()
    waits = []
    for s in streams:
        rest = s.client.read_to_end()
        assert s.client.end == "eof"
        waits.append(int(re.fullmatch(rb"(?:.*\n\n)?retry: (\d+)\n\n", rest,
                                      re.DOTALL)[1]))
        s.client.close()
    going.join()
    assert all(500 <= wait <= 1000 for wait in waits), waits
    assert len(set(waits)) > 1
    if how == "reload":
        with EventStream(srv.port, "/silent", last_id=s.last_id) as s:
            assert figures(s)["id"] == 2


def test_a_stream_isnt_compressed(corelane):
    srv = start(corelane, middleware=[{"use": "compress", "min_bytes": 1}])
    with EventStream(srv.port, "/system",
                     headers=[("Accept-Encoding", "gzip")]) as s:
        assert "content-encoding" not in s.response
        figures(s)


def test_what_a_client_sends_is_no_request(corelane):
    srv = start(corelane)
    with EventStream(srv.port, "/system") as s:
        figures(s)
        s.client.send(wire.request("GET", "/hello"))
        for _ in range(3):
            assert figures(s)["id"] > 1
