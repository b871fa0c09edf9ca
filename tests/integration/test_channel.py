# SPDX-License-Identifier: MIT
"""Channels: POST and GET, batches, raw WebSockets, the JSON protocol."""
import json
import re
import time

import pytest

from channels import (POSITION, PROTOCOL, ROUTES, Protocol, get, post, raw,
                      room, srv, subscribers, wait_subscribers)
import wire
from ws_client import BINARY, TEXT, Violation, WebSocket, frame, message


# -- POST and GET ----------------------------------------------------------------

def test_the_route_table_tells_what_a_channel_speaks(srv):
    code, out, _ = srv.command("routes")
    assert code == 0 and re.search(r" channel \(websocket, events\)$", out, re.M)


def test_an_answer_ends_its_line(srv, room):
    assert srv.get(f"/channels/{room}").body.endswith(b"}\n")


def test_a_post_says_where_its_message_is(srv, room):
    status, first = post(srv, f"/channels/{room}", "hello")
    assert status == 200
    assert first["channel"] == room and first["subscribers"] == 0
    assert POSITION.fullmatch(first["position"])
    _, second = post(srv, f"/channels/{room}", "again")
    epoch, offset = first["position"].split(":")
    assert second["position"] == f"{epoch}:{int(offset) + 1}"


@pytest.mark.parametrize("kind, sent, told", [
    (None, "hello", {"data": "hello"}),
    ("text/plain", "héllo \u0001\n", {"data": "héllo \u0001\n"}),
    ("application/x-www-form-urlencoded", "a=b&c", {"data": "a=b&c"}),
    ("application/json", '{"a": [1, 2.50, "x"]}', {"data": {"a": [1, 2.5, "x"]}}),
    ("application/problem+json; charset=utf-8", "null", {"data": None}),
    ("application/octet-stream", b"\x00\xff\xfe", {"data64": "AP/+"}),
    ("image/png", b"\x89PNG", {"data64": "iVBORw=="}),
])
def test_content_becomes_data_by_its_type(srv, room, kind, sent, told):
    status, answer = post(srv, f"/channels/{room}", sent, kind)
    assert status == 200
    _, state = get(srv, f"/channels/{room}")
    got = state["history"][-1]
    assert got["id"] == answer["position"]
    for key, value in told.items():
        assert got[key] == value


def test_json_is_handed_on_digit_by_digit(srv, room):
    text = '{"n": 12345678901234567890, "z": 1, "a": 1.10}'
    with raw(srv, room) as ws:
        post(srv, f"/channels/{room}", text, "application/json")
        assert ws.event() == message(text)


@pytest.mark.parametrize("target, body, kind, status, why", [
    ("/channels/a%20b", "x", None, 400, "a channel's name has"),
    ("/channels/a*", "x", None, 400, "a channel's name has"),
    ("/channels/" + "n" * 256, "x", None, 400, "a channel's name has"),
    ("/channels/closed", "x", None, 403, "isn't allowed"),
    ("/channels/read.1", "x", None, 403, "isn't allowed"),
    ("/quiet/open", "x", None, 403, "isn't allowed"),
    ("/channels/token.1", "x", None, 403, "takes a token"),
    ("/channels/gate.1", "some spam", None, 403, "isn't allowed"),
    ("/channels/small.1", "12345678901234567", None, 413, "longer"),
    ("/channels/open", b"\xff", "text/plain", 400, "UTF-8"),
    ("/channels/open", '{"a":\n 1,}', "application/json", 400,
     "line 2, column 4"),
    ("/channels/open", "", "application/json", 400, "line 1"),
])
def test_what_cant_be_published_is_told_why(srv, target, body, kind, status,
                                            why):
    got, answer = post(srv, target, body, kind)
    assert got == status
    assert why in answer["error"]["message"]


def test_a_channel_without_a_rule_isnt_there(corelane):
    srv = corelane({"channels": [{"match": "a.*"}], "routes": ROUTES})
    assert post(srv, "/channels/b", "x")[0] == 404
    assert get(srv, "/channels/b")[0] == 404
    assert post(srv, "/channels/a.", "x")[0] == 200
    with Protocol(srv.port) as p:
        assert p.ask("subscribe", channel="*")["code"] == "NOT_FOUND"
        p.subscribe("a.*")


def test_a_get_tells_history_by_limit_and_position(srv, room):
    ids = [post(srv, f"/channels/{room}", str(n))[1]["position"]
           for n in range(5)]
    _, state = get(srv, f"/channels/{room}?limit=2")
    assert [m["data"] for m in state["history"]] == ["3", "4"]
    assert state["position"] == ids[-1]
    assert "recovered" not in state
    _, state = get(srv, f"/channels/{room}?since={ids[1]}")
    assert [m["data"] for m in state["history"]] == ["2", "3", "4"]
    assert state["recovered"] is True
    _, state = get(srv, f"/channels/{room}?since=00000001:1")
    assert state["recovered"] is False
    assert get(srv, f"/channels/{room}?since=here")[0] == 400
    assert get(srv, f"/channels/{room}?limit=-1")[0] == 400
    assert get(srv, "/channels/a*")[0] == 400
    assert get(srv, "/channels/closed")[0] == 403


def test_a_get_without_a_name_tells_of_those_that_are_asked_for(srv, room):
    post(srv, f"/channels/{room}", "x")
    status, answer = get(srv, f"/channels?channel={room}&channel={room}-2")
    assert status == 200
    assert [c["channel"] for c in answer["channels"]] == [room, room + "-2"]
    assert answer["channels"][1]["position"] is None
    assert get(srv, "/channels")[0] == 400


# -- batches ---------------------------------------------------------------------

def test_a_batch_publishes_to_many_channels(srv, room):
    names = [f"{room}.{n}" for n in range(3)]
    body = json.dumps({"channels": names, "data": {"n": 1}})
    status, answer = post(srv, "/channels", body, "application/json")
    assert status == 200 and answer["published"] == 3
    assert [r["channel"] for r in answer["results"]] == names
    for name in names:
        assert get(srv, f"/channels/{name}")[1]["history"][0]["data"] == {
            "n": 1}


def test_each_message_of_a_batch_has_its_own_answer(srv, room):
    body = json.dumps({"messages": [
        {"channel": room, "data": "a"},
        {"channel": "closed", "data": "b"},
        {"channel": "no name", "data": "c"},
        {"channel": room},
        {"data": 1},
        7,
        {"channel": "small.1", "data": "x" * 20},
        {"channel": room, "data": None},
    ]})
    status, answer = post(srv, "/channels", body, "application/json")
    assert status == 200
    assert (answer["published"], answer["failed"]) == (2, 6)
    codes = [r.get("error", {}).get("code") for r in answer["results"]]
    assert codes == [None, "FORBIDDEN", "BAD_NAME", "BAD_REQUEST",
                     "BAD_REQUEST", "BAD_REQUEST", "CONTENT_TOO_LARGE", None]
    _, state = get(srv, f"/channels/{room}")
    assert [m["data"] for m in state["history"]] == ["a", None]


@pytest.mark.parametrize("body, status", [
    ("", 400), ("[]", 400), ("{}", 400), ('{"channels":["a"]}', 400),
    ('{"messages":[],"data":1}', 400), ('{"messages":{}}', 400),
    ('{"messages":[', 400),
    (json.dumps({"channels": ["a"] * 1001, "data": 1}), 413),
])
def test_a_batch_that_is_none_is_refused_as_a_whole(srv, body, status):
    assert post(srv, "/channels", body, "application/json")[0] == status


# -- raw WebSockets --------------------------------------------------------------

def test_raw_messages_go_to_everyone_their_sender_too(srv, room):
    with raw(srv, room) as a, raw(srv, room) as b:
        wait_subscribers(srv, room, 2)
        a.send(frame(TEXT, "héllo"))
        assert a.event() == message("héllo")
        assert b.event() == message("héllo")
        b.send(frame(BINARY, b"\xff\x00"))
        assert a.event() == message(b"\xff\x00")
    wait_subscribers(srv, room, 0)


def test_a_raw_socket_gets_what_any_worker_publishes(srv, room):
    with raw(srv, room) as ws:
        wait_subscribers(srv, room, 1)
        for n in range(20):
            post(srv, f"/channels/{room}", f"{n}")
        assert [ws.event().data for _ in range(20)] == [
            str(n) for n in range(20)]


def test_a_raw_socket_resumes_where_it_was(srv, room):
    ids = [post(srv, f"/channels/{room}", str(n))[1]["position"]
           for n in range(4)]
    with raw(srv, room, f"?since={ids[0]}") as ws:
        assert [ws.event().data for _ in range(3)] == ["1", "2", "3"]
    with raw(srv, room, f"?last_event_id={ids[2]}") as ws:
        assert ws.event().data == "3"
    with raw(srv, room, "?history=2") as ws:
        assert [ws.event().data for _ in range(2)] == ["2", "3"]


def test_a_raw_socket_that_cant_recover_is_told_by_the_close(srv, room):
    post(srv, f"/channels/{room}", "x")
    with raw(srv, room, "?since=00000001:1") as ws:
        got = ws.event()
        assert (got.kind, got.code) == ("close", 3504)


@pytest.mark.parametrize("channel, opcode, data, code", [
    ("read.1", TEXT, b"x", 1008),
    ("small.1", TEXT, b"x" * 17, 1009),
    ("small.*", TEXT, b"x", 1008),
])
def test_a_raw_message_that_isnt_allowed_closes(srv, channel, opcode, data,
                                                code):
    with raw(srv, channel) as ws:
        ws.send(frame(opcode, data))
        got = ws.event()
        assert (got.kind, got.code) == ("close", code)


def test_a_route_without_publish_only_tells(srv, room):
    with WebSocket(srv.port, f"/quiet/{room}") as ws:
        wait_subscribers(srv, room, 1)
        post(srv, f"/channels/{room}", "one")
        assert ws.event() == message("one")
        ws.send(frame(TEXT, "no"))
        assert ws.event().code == 1008
    with Protocol(srv.port, f"/quiet/{room}") as p:
        p.message()
        assert p.ask("publish", channel=room, data=1)["code"] == "FORBIDDEN"


@pytest.mark.parametrize("target, status", [
    ("/channels/closed", 403), ("/channels/token.1", 403),
    ("/channels/a%20b", 400), ("/channels/a?since=x", 400),
    ("/channels/a?history=x", 400), ("/channels/a?info=%7B", 400),
])
def test_an_upgrade_that_isnt_allowed_is_answered(srv, target, status):
    for options in ({}, {"protocols": [PROTOCOL]}):
        with pytest.raises(Violation, match=f"<{status} "):
            WebSocket(srv.port, target, **options)


def test_a_page_of_another_host_cant_open_a_socket(srv):
    with pytest.raises(Violation, match="<403 "):
        WebSocket(srv.port, "/channels/a",
                  headers=[("Origin", "https://evil.example")])


# -- the protocol ----------------------------------------------------------------

def test_a_request_is_answered_with_its_id_as_it_was(srv, room):
    with Protocol(srv.port) as p:
        for text in ('1', '1.50', '"x\\u0041"', '-7e2', '18446744073709551615',
                     '"%s"' % ("x" * 64)):
            p.send('{"type":"ping","id":%s}' % text)
            assert p.ws.event().data == '{"id":%s,"type":"pong"}' % text
        p.send('{"type":"ping"}')
        assert p.ws.event().data == '{"type":"pong"}'


def test_subscribe_publish_unsubscribe(srv, room):
    with Protocol(srv.port) as p, Protocol(srv.port) as q:
        got = p.subscribe(room)
        assert got["channel"] == room and got["subscribers"] == 1
        assert "recovered" not in got
        assert q.subscribe(room)["subscribers"] == 2
        sent = q.ask("publish", channel=room, data={"text": "hi"})
        assert sent["type"] == "published"
        assert POSITION.fullmatch(sent["position"])
        for one in (p, q):
            got = one.message()
            assert got["type"] == "message" and got["channel"] == room
            assert got["id"] == sent["position"]
            assert got["data"] == {"text": "hi"}
            assert abs(got["time"] / 1000 - time.time()) < 60
        assert p.ask("unsubscribe", channel=room)["type"] == "unsubscribed"
        q.ask("publish", channel=room, data=2)
        p.pong()
        assert not p.news
        assert q.message()["data"] == 2
        wait_subscribers(srv, room, 1)


def test_the_paths_channel_is_subscribed_to_already(srv, room):
    position = post(srv, f"/channels/{room}", "first")[1]["position"]
    post(srv, f"/channels/{room}", "second")
    with Protocol(srv.port, f"/channels/{room}") as p:
        got = p.receive()
        assert got["type"] == "subscribed" and got["channel"] == room
        assert got["missed"] == 0 and "id" not in got
    with Protocol(srv.port, f"/channels/{room}?since={position}") as p:
        got = p.receive()
        assert (got["recovered"], got["missed"]) == (True, 1)
        assert p.receive()["data"] == "second"


def test_without_a_name_the_protocol_needs_no_subprotocol(srv, room):
    with WebSocket(srv.port, "/channels") as ws:
        ws.send(frame(TEXT, '{"type":"ping"}'))
        assert json.loads(ws.event().data) == {"type": "pong"}


def test_the_subprotocol_is_agreed_on(srv):
    ws = WebSocket(srv.port, "/channels", protocols=["other", PROTOCOL])
    with ws:
        assert ws.protocol == PROTOCOL


def test_what_was_missed_comes_before_what_is_new(srv, room):
    ids = [post(srv, f"/channels/{room}", str(n))[1]["position"]
           for n in range(10)]
    with Protocol(srv.port) as p:
        got = p.subscribe(room, since=ids[3])
        assert (got["recovered"], got["missed"]) == (True, 6)
        assert got["position"] == ids[-1]
        post(srv, f"/channels/{room}", "live")
        data = [p.message()["data"] for _ in range(7)]
        assert data == ["4", "5", "6", "7", "8", "9", "live"]


def test_a_position_of_another_time_isnt_recovered(srv, room):
    post(srv, f"/channels/{room}", "x")
    with Protocol(srv.port) as p:
        got = p.subscribe(room, since="00000001:1")
        assert got["recovered"] is False


def test_without_history_nothing_recovers(srv):
    first = post(srv, "/channels/none.1", "a")[1]["position"]
    post(srv, "/channels/none.1", "b")
    with Protocol(srv.port) as p:
        assert p.subscribe("none.1", since=first)["recovered"] is False


def test_a_new_subscriber_may_ask_for_some_history(srv, room):
    for n in range(5):
        post(srv, f"/channels/{room}", str(n))
    with Protocol(srv.port) as p:
        assert p.subscribe(room, history=2)["missed"] == 2
        assert [p.message()["data"] for _ in range(2)] == ["3", "4"]


def test_history_is_told_without_subscribing(srv, room):
    ids = [post(srv, f"/channels/{room}", str(n))[1]["position"]
           for n in range(5)]
    with Protocol(srv.port) as p:
        got = p.ask("history", channel=room, limit=2)
        assert got["type"] == "history" and got["position"] == ids[-1]
        assert [m["data"] for m in got["messages"]] == ["3", "4"]
        got = p.ask("history", channel=room, since=ids[2])
        assert got["recovered"] is True
        assert [m["id"] for m in got["messages"]] == ids[3:]


def test_a_pattern_gets_every_channel_that_it_matches(srv, room):
    with Protocol(srv.port) as p:
        p.subscribe(room + ".*")
        for name in ("a", "b.c", ""):
            post(srv, f"/channels/{room}.{name}", name)
        post(srv, f"/channels/{room}", "not this")
        got = [p.message() for _ in range(3)]
        assert [(m["channel"], m["data"]) for m in got] == [
            (f"{room}.a", "a"), (f"{room}.b.c", "b.c"), (f"{room}.", "")]
        p.pong()
        assert not p.news


@pytest.mark.parametrize("text, code", [
    ("", "BAD_REQUEST"), ("hello", "BAD_REQUEST"), ("[]", "BAD_REQUEST"),
    ("null", "BAD_REQUEST"), ("{}", "BAD_REQUEST"), ('{"type":1}', "BAD_REQUEST"),
    ('{"type":"fly"}', "BAD_REQUEST"), ('{"type":"ping","type":"ping"}',
                                        "BAD_REQUEST"),
    ('{"type":"ping"} x', "BAD_REQUEST"),
    ('{"type":"ping","id":{}}', "BAD_REQUEST"),
    ('{"type":"ping","id":"%s"}' % ("x" * 65), "BAD_REQUEST"),
    ("[" * 5000, "BAD_REQUEST"),
    ('{"type":"subscribe"}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":7}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":""}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"a b"}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"a*b"}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"%s"}' % ("n" * 256), "BAD_NAME"),
    ('{"type":"subscribe","channel":"%s*"}' % ("n" * 255), "BAD_NAME"),
    ('{"type":"subscribe","channel":"a","since":"x"}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":"a","since":1}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":"a","history":-1}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":"a","info":"%s"}' % ("x" * 300),
     "BAD_REQUEST"),
    ('{"type":"subscribe","channel":"closed"}', "FORBIDDEN"),
    ('{"type":"subscribe","channel":"token.1"}', "FORBIDDEN"),
    ('{"type":"publish","channel":"a"}', "BAD_REQUEST"),
    ('{"type":"publish","channel":"a*","data":1}', "BAD_NAME"),
    ('{"type":"publish","channel":"read.1","data":1}', "FORBIDDEN"),
    ('{"type":"publish","channel":"small.1","data":"%s"}' % ("x" * 20),
     "CONTENT_TOO_LARGE"),
    ('{"type":"unsubscribe","channel":"never"}', "NOT_SUBSCRIBED"),
    ('{"type":"presence","channel":"a.*"}', "BAD_NAME"),
    ('{"type":"history","channel":"a*"}', "BAD_NAME"),
    ('{"type":"history","channel":"closed"}', "FORBIDDEN"),
])
def test_an_error_is_answered_and_closes_nothing(srv, text, code):
    with Protocol(srv.port) as p:
        p.send(text)
        got = p.receive()
        assert got["type"] == "error" and got["code"] == code
        assert got["message"]
        p.pong()


def test_a_binary_message_is_an_error(srv):
    with Protocol(srv.port) as p:
        p.ws.send(frame(BINARY, b'{"type":"ping"}'))
        assert p.receive()["code"] == "BAD_REQUEST"
        p.pong()


def test_twice_the_same_subscription_is_an_error(srv, room):
    with Protocol(srv.port) as p:
        p.subscribe(room)
        got = p.ask("subscribe", channel=room)
        assert got["code"] == "ALREADY_SUBSCRIBED"
        assert subscribers(srv, room) == 1


def test_subscriptions_of_a_connection_are_counted(srv, room):
    with Protocol(srv.port) as p:
        for n in range(128):
            p.subscribe(f"{room}.{n}")
        assert p.ask("subscribe", channel=room)["code"] == "TOO_MANY"
        p.ask("unsubscribe", channel=f"{room}.5")
        p.subscribe(room)


def test_a_flood_of_errors_closes(srv):
    with Protocol(srv.port) as p:
        for _ in range(101):
            p.send("x")
        got = [p.receive() for _ in range(101)]
        assert all(one["type"] == "error" for one in got[:-1])
        assert got[-1].code == 1008


def test_a_client_that_reads_no_answers_isnt_read(srv, room):
    with Protocol(srv.port, rcvbuf=4096) as p:
        post(srv, f"/channels/{room}", "x" * 60000)
        request = frame(TEXT, json.dumps(
            {"type": "history", "channel": room, "id": 1}))
        many, sent, limit = memoryview(request * 1000), 0, 64 << 20
        p.ws.client.sock.settimeout(1)
        try:
            while sent < limit:
                sent += p.ws.client.sock.send(many[sent % len(request):])
        except TimeoutError:
            pass
        assert sent < limit, "a million requests of 60 KB each were taken"
        p.ws.client.sock.settimeout(wire.TIMEOUT)
        for _ in range(200):
            assert p.receive()["type"] == "history"
