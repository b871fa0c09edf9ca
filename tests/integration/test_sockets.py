# SPDX-License-Identifier: MIT
"""Sockets of modules in real workers: both kinds, what is seen of them, and
what happens to them when workers go.  (How callbacks follow each other is
tests/unit/test_socket.c's.)"""
import json
import re

import pytest

from corelane import module_path, wait_until
from test_process_crash import deadly, story
from ws_client import TEXT, WebSocket, close_frame, frame, message


def sockets(corelane, config=None, **options):
    return corelane({"modules": [{"name": "sockets",
                                  "file": module_path("sockets")}],
                     "routes": [], **(config or {})}, workers=1, **options)


def told(srv):
    return srv.get("/both").body.decode()


def test_the_route_table_and_the_document_have_them(corelane):
    srv = sockets(corelane)
    code, out, err = srv.command("routes")
    assert code == 0, err
    for path, methods, kinds in (("/both", r"\*", "websocket, events"),
                                 ("/alone", "GET", "websocket"),
                                 ("/stream", "GET", "events")):
        assert re.search(rf"^{methods} +{path} +sockets\.\w+ \({kinds}\)",
                         out, re.M), out
    paths = json.loads(srv.get("/openapi.json", port=srv.admin_port).body)[
        "paths"]
    assert {"101", "200"} <= set(paths["/both"]["get"]["responses"])
    assert "101" not in paths["/both"]["post"]["responses"]
    alone = paths["/alone"]["get"]["responses"]
    assert "101" in alone and "426" in alone and "200" not in alone
    stream = paths["/stream"]["get"]["responses"]
    assert "200" in stream and "406" in stream and "101" not in stream


def test_a_message_is_answered_and_counted(corelane):
    srv = sockets(corelane)
    with WebSocket(srv.port, "/both") as ws:
        ws.send(frame(TEXT, b"hi"))
        assert ws.event() == message("hi")
        ws.send(frame(TEXT, b"wait"))
        assert ws.event() == message("waited")
        ws.close()
    wait_until(lambda: told(srv) == "1 1 1000", "the close to be told")
    assert re.search(r"sockets: waited \(socket \d+\)", srv.log())


def test_what_holds_the_loop_is_named(corelane):
    srv = sockets(corelane)
    with WebSocket(srv.port, "/both") as ws:
        ws.send(frame(TEXT, b"stall"))
        assert ws.event() == message("stall")
    wait_until(lambda: srv.stats()["total"]["loop_stalls"] == 1,
               "the stall to be counted")
    assert "sockets.both held the loop for " in srv.log()


def open_stream(srv, path="/both"):
    client = srv.connect()
    client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                "Accept: text/event-stream\r\n\r\n".encode())
    return client


def read_until(client, text):
    got = b""
    while text not in got:
        piece = client.sock.recv(65536)
        assert piece, got
        got += piece
    return got


def test_a_stream_is_a_socket_too(corelane):
    srv = sockets(corelane)
    stream = open_stream(srv)
    got = read_until(stream, b"data: two\n\n")
    assert b"\r\nContent-Type: text/event-stream" in got
    assert re.search(rb"id: 7\n", got) and b"event: hello\n" in got
    assert b"retry: 50\n" in got and b"data: one\n" in got
    with WebSocket(srv.port, "/both") as ws:
        ws.send(frame(TEXT, b"tell it"))
        assert read_until(stream, b"\n\n") == b"data: tell it\n\n"
        ws.send(frame(TEXT, b"tell end"))
        assert stream.sock.recv(1000) == b""
        wait_until(lambda: told(srv) == "2 1 1006", "the stream's close")
        ws.send(frame(TEXT, b"tell it"))
        assert ws.event() == message("nobody")
    stream.close()


def test_a_client_that_leaves_a_stream_is_noticed(corelane):
    srv = sockets(corelane)
    stream = open_stream(srv, "/stream")
    read_until(stream, b"\n\n")
    stream.close()
    wait_until(lambda: told(srv) == "1 1 1006", "the end to be told")


def test_a_client_that_leaves_while_its_message_waits_is_noticed(corelane):
    srv = sockets(corelane)
    ws = WebSocket(srv.port, "/alone")
    ws.send(frame(TEXT, b"ever"))
    ws.client.close()
    wait_until(lambda: told(srv) == "1 1 1006", "the end to be told")


def test_a_reload_sends_clients_elsewhere(corelane):
    srv = sockets(corelane, {"timeouts": {"drain": "5s"}})
    with WebSocket(srv.port, "/alone") as idle, \
            WebSocket(srv.port, "/alone") as busy:
        busy.send(frame(TEXT, b"ever"))
        code, _, err = srv.command("reload")
        assert code == 0, err
        for ws in (idle, busy):
            assert ws.event().code == 1012
            # What its message waits for doesn't keep it from closing.
            ws.send(close_frame(1012))
            ws.expect_end()
    wait_until(lambda: len(srv.worker_pids()) == 1, "the old worker to end")


WAYS = ["now", "later", "pool", "close"]


@pytest.mark.parametrize("way", WAYS)
def test_a_crash_in_a_callback_names_its_route(corelane, way):
    srv = deadly(corelane)
    pid = srv.worker_pids()[0]
    ws = WebSocket(srv.port, "/socket")
    ws.send(frame(TEXT, way.encode()))
    if way == "close":
        assert ws.event().code == 1000
        ws.client.close()
    wait_until(lambda: srv.worker_pids() not in ([], [pid])
               and srv.status()["server"]["workers_serving"] == 1,
               "the replacement")
    line = story(srv, pid)
    assert re.search(r"SIGSEGV( at 0x0)? in socket of /socket ", line), line
    assert "handler deadly.socket, " in line
    ws.client.close()
