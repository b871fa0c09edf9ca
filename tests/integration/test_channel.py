# SPDX-License-Identifier: MIT
"""Channels: WebSocket raw and by protocol, event streams, POST and GET, who may
do what, and what survives a worker's death and a reload."""
import json
import os
import re
import signal
import time

import pytest

from channels import (EventStream, JWT, PROTOCOL, Protocol, ROUTES, bearer,
                      get, post, token)
from corelane import Corelane, module_path, wait_until
import wire
from ws_client import BINARY, TEXT, Violation, WebSocket, frame, message

POSITION = re.compile(r"[0-9a-f]{8}:[0-9]+")

CONFIG = {
    "workers": 2,
    "modules": [{"name": "gate", "file": module_path("gate")}],
    "channels": [
        {"match": "closed", "subscribe": "nobody", "publish": "nobody"},
        {"match": "read.*", "publish": "nobody"},
        {"match": "token.*", "subscribe": "token", "publish": "token"},
        {"match": "gate.*", "subscribe": "gate.owner",
         "publish": "gate.clean"},
        {"match": "who.*", "presence": "members", "join_leave": True,
         "members_max": 3},
        {"match": "small.*", "message_bytes": 16},
        {"match": "none.*", "history": {"messages": 0}},
        {"match": "*", "history": {"messages": 1000}},
    ],
    "routes": [
        {"path": "/channels/{channel}", "handler": "channel",
         "middleware": [JWT]},
        {"path": "/channels", "handler": "channel", "middleware": [JWT]},
        {"path": "/quiet/{channel}", "handler": "channel", "publish": False},
    ],
}


@pytest.fixture(scope="module")
def srv():
    server = Corelane(CONFIG).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


@pytest.fixture
def room(request):
    """A channel of the test's own."""
    return re.sub(r"[^A-Za-z0-9]", "-", request.node.name)[:80]


def raw(srv, channel, query="", **options):
    return WebSocket(srv.port, f"/channels/{channel}{query}", **options)


def subscribers(srv, channel):
    return get(srv, f"/channels/{channel}")[1]["subscribers"]


def wait_subscribers(srv, channel, count):
    wait_until(lambda: subscribers(srv, channel) == count,
               f"{count} subscribers")


# -- POST and GET ----------------------------------------------------------------

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
    ("/channels/token.1", "x", None, 403, "isn't allowed"),
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
        for text in ('1', '1.50', '"x\\u0041"', '-7e2', '18446744073709551615'):
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
    ('{"type":"ping","id":"%s"}' % ("x" * 63), "BAD_REQUEST"),
    ("[" * 5000, "BAD_REQUEST"),
    ('{"type":"subscribe"}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":7}', "BAD_REQUEST"),
    ('{"type":"subscribe","channel":""}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"a b"}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"a*b"}', "BAD_NAME"),
    ('{"type":"subscribe","channel":"%s"}' % ("n" * 256), "BAD_NAME"),
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


# -- presence --------------------------------------------------------------------

def test_members_come_and_go(srv):
    with Protocol(srv.port, f"/channels?access_token={token({'sub': 'ada'})}"
                  ) as p:
        p.subscribe("who.1", info={"color": "red"})
        join = p.message()
        assert join["type"] == "join"
        assert join["data"]["user"] == "ada"
        assert join["data"]["info"] == {"color": "red"}
        with Protocol(srv.port, f"/channels/who.1?info=%22hi%22&access_token="
                      + token({"sub": "bob"})) as q:
            assert q.receive()["type"] == "subscribed"
            assert p.message()["data"]["user"] == "bob"
            got = p.ask("presence", channel="who.1")
            assert got["subscribers"] == 2
            members = {m["user"]: m for m in got["members"]}
            assert members["ada"]["info"] == {"color": "red"}
            assert members["bob"]["info"] == "hi"
            assert members["ada"]["client"] == join["data"]["client"]
            assert abs(members["ada"]["since"] / 1000 - time.time()) < 60
            _, state = get(srv, "/channels/who.1?members=1")
            assert {m["user"] for m in state["members"]} == {"ada", "bob"}
            assert "members" not in get(srv, "/channels/who.1")[1]
        leave = p.message()
        assert leave["type"] == "leave" and leave["data"]["user"] == "bob"
        p.ask("unsubscribe", channel="who.1")
        wait_until(lambda: get(srv, "/channels/who.1?members=1")[1]["members"]
                   == [], "nobody to be left")


def test_an_answer_lists_so_many_members_and_says_that_there_are_more(srv):
    sockets = [raw(srv, "who.2") for _ in range(5)]
    try:
        wait_subscribers(srv, "who.2", 5)
        _, state = get(srv, "/channels/who.2?members=1")
        assert len(state["members"]) == 3 and state["more"] is True
        assert all(m["user"] == "" for m in state["members"])
    finally:
        for one in sockets:
            one.client.close()


def test_counting_rules_tell_no_members(srv, room):
    with Protocol(srv.port) as p:
        p.subscribe(room)
        got = p.ask("presence", channel=room)
        assert got["subscribers"] == 1 and "members" not in got


# -- who may ---------------------------------------------------------------------

def test_a_tokens_claims_allow_what_they_list(srv):
    claims = {"sub": "ada", "channels": {"sub": ["token.a*"],
                                         "pub": ["token.b", 7, "bad name"]}}
    me = bearer(claims)
    assert post(srv, "/channels/token.b", "x", headers=me)[0] == 200
    assert post(srv, "/channels/token.a", "x", headers=me)[0] == 403
    assert get(srv, "/channels/token.a1", me)[0] == 200
    assert get(srv, "/channels/token.b", me)[0] == 403
    with Protocol(srv.port, "/channels?access_token=" + token(claims)) as p:
        p.subscribe("token.a")
        p.subscribe("token.ab*")
        for other in ("token.b", "token.*", "token.b*"):
            assert p.ask("subscribe", channel=other)["code"] == "FORBIDDEN"
        assert p.ask("publish", channel="token.b", data=1)["type"] == \
            "published"
        assert p.ask("publish", channel="token.c", data=1)["code"] == \
            "FORBIDDEN"


@pytest.mark.parametrize("claims", [
    {}, {"channels": []}, {"channels": {"sub": "token.*"}},
    {"channels": {"sub": {"token.*": 1}}}, {"channels": {"pub": ["*"]}},
])
def test_claims_of_another_shape_allow_nothing(srv, claims):
    assert get(srv, "/channels/token.1", bearer(claims))[0] == 403


def test_a_pattern_opens_nothing_that_a_rule_in_front_closes(srv):
    with Protocol(srv.port) as p:
        assert p.ask("subscribe", channel="*")["code"] == "FORBIDDEN"
        assert p.ask("subscribe", channel="close*")["code"] == "FORBIDDEN"
        p.subscribe("closer*")


def test_a_modules_hook_decides(srv):
    ada = bearer({"sub": "ada"})
    assert get(srv, "/channels/gate.ada", ada)[0] == 200
    assert get(srv, "/channels/gate.bob", ada)[0] == 403
    assert get(srv, "/channels/gate.ada")[0] == 403
    assert post(srv, "/channels/gate.ada", "fine")[0] == 200
    with Protocol(srv.port, "/channels?access_token=" + token(
            {"sub": "bob"})) as p:
        p.subscribe("gate.bob")
        assert p.ask("subscribe", channel="gate.ada")["code"] == "FORBIDDEN"
        assert p.ask("publish", channel="gate.bob", data="ham")["type"] == \
            "published"
        assert p.ask("publish", channel="gate.bob", data="spam")["code"] == \
            "FORBIDDEN"


def test_a_bad_token_of_the_query_is_refused(srv):
    assert get(srv, "/channels/a?access_token=x.y.z")[0] == 401
    with pytest.raises(Violation, match="<401 "):
        raw(srv, "a", "?access_token=x.y.z")


def test_no_log_has_the_token_of_a_query(corelane):
    srv = corelane({"routes": CONFIG["routes"],
                    "access_log": {"format": "json", "file": "stdout"}})
    secret = token({"sub": "ada"})
    get(srv, f"/channels/a?x=1&access_token={secret}&limit=1")
    get(srv, f"/nowhere?access_token={secret}",
        [("Referer", f"http://t/?access_token={secret}")])
    srv.command("stop")
    lines = sorted((json.loads(line) for line in srv.output().splitlines()),
                   key=lambda line: line["target"])
    assert lines[0]["target"] == "/channels/a?x=1&access_token=***&limit=1"
    assert lines[1]["target"] == "/nowhere?access_token=***"
    assert secret not in srv.output() + srv.log()


def test_the_end_of_a_token_is_the_end_of_what_it_opened(srv, room):
    soon = "?access_token=" + token({"sub": "a", "exp": int(time.time()) + 2})
    with raw(srv, room, soon) as a, \
            Protocol(srv.port, "/channels" + soon) as b, \
            EventStream(srv.port, f"/channels/{room}" + soon) as c:
        assert a.event().code == 3005
        assert b.receive().code == 3005
        c.event("subscribed")
        with pytest.raises(wire.Ended):
            c.event()


# -- event streams ---------------------------------------------------------------

def test_a_stream_begins_with_where_it_is(srv, room):
    position = post(srv, f"/channels/{room}", "before")[1]["position"]
    with EventStream(srv.port, f"/channels/{room}") as s:
        first = s.event()
        assert first.name == "subscribed" and first.id == position
        told = json.loads(first.data)
        assert told["channel"] == room and told["position"] == position
        sent = post(srv, f"/channels/{room}", "two\nlines")[1]["position"]
        assert s.event() == (sent, "message", "two\nlines")
        sent = post(srv, f"/channels/{room}", b"\xff",
                    "application/octet-stream")[1]["position"]
        assert s.event() == (sent, "binary", "/w==")


def test_a_stream_comes_back_by_its_last_event(srv, room):
    ids = [post(srv, f"/channels/{room}", str(n))[1]["position"]
           for n in range(4)]
    with EventStream(srv.port, f"/channels/{room}", last_id=ids[1]) as s:
        first = s.event()
        assert json.loads(first.data)["recovered"] is True
        # Whoever is cut off here has been given nothing yet.
        assert first.id == ids[1]
        assert s.event() == (ids[2], "message", "2")
        assert s.event() == (ids[3], "message", "3")
    query = f"/channels/{room}?last_event_id={ids[2]}"
    with EventStream(srv.port, query) as s:
        s.event("subscribed")
        assert s.event().data == "3"


def test_a_stream_of_several_channels_comes_back_to_all(srv, room):
    a, b, c = (f"{room}.{x}" for x in "abc")
    target = f"/channels?channel={a}&channel={b}&channel={c}&channel={room}-*"
    with EventStream(srv.port, target) as s:
        for _ in range(4):
            s.event("subscribed")
        post(srv, f"/channels/{a}", "a1")
        post(srv, f"/channels/{b}", "b1")
        post(srv, f"/channels/{room}-x", "x1")
        got = [json.loads(s.event("message").data) for _ in range(3)]
        assert sorted((m["channel"], m["data"]) for m in got) == sorted([
            (a, "a1"), (b, "b1"), (room + "-x", "x1")])
        last = s.last_id
    post(srv, f"/channels/{a}", "a2")
    post(srv, f"/channels/{b}", "b2")
    post(srv, f"/channels/{c}", "c1")
    with EventStream(srv.port, target, last_id=last) as s:
        got = []
        while len(got) < 3:
            event = s.event()
            if event.name == "message":
                got.append(json.loads(event.data)["data"])
        assert sorted(got) == ["a2", "b2", "c1"]
        last = s.last_id
    with EventStream(srv.port, target, last_id=last) as s:
        told = [json.loads(s.event("subscribed").data) for _ in range(4)]
        assert [t.get("recovered") for t in told] == [True, True, True, None]
        assert all(t["missed"] == 0 for t in told)


def test_every_event_of_a_stream_of_several_is_a_place_to_come_back_to(
        srv, room):
    """Cut off behind any event: nothing is missed and nothing comes twice."""
    names = [f"{room}.{n}" for n in range(3)]
    target = "/channels?" + "&".join("channel=" + n for n in names)
    with EventStream(srv.port, target) as s:
        for _ in names:
            s.event("subscribed")
        last = s.event("position").id
    sent = []
    for n in range(12):
        name = names[n % 3]
        post(srv, f"/channels/{name}", str(n))
        sent.append(str(n))
    got = []
    while len(got) < len(sent):
        with EventStream(srv.port, target, last_id=last) as s:
            event = s.event("message")
            got.append(json.loads(event.data)["data"])
            last = event.id
    assert sorted(got, key=int) == sent


@pytest.mark.parametrize("target, status", [
    ("/channels/closed", 403), ("/channels/a%20b", 400),
    ("/channels", 400), ("/channels?channel=a&channel=closed", 403),
    ("/channels?channel=" + "&channel=".join(map(str, range(33))), 400),
    ("/channels/a?last_event_id=zzz", 400),
])
def test_a_stream_that_isnt_allowed_is_answered(srv, target, status):
    assert srv.get(target, [("Accept", "text/event-stream")]).status == status


def test_streams_and_sockets_are_subscribers_alike(srv, room):
    with EventStream(srv.port, f"/channels/{room}") as s, raw(srv, room) as w:
        s.event("subscribed")
        wait_subscribers(srv, room, 2)
        w.send(frame(TEXT, "x"))
        assert s.event().data == "x"
    wait_subscribers(srv, room, 0)


# -- what survives ---------------------------------------------------------------

def test_history_survives_a_reload(corelane):
    srv = corelane({"routes": ROUTES})
    first = post(srv, "/channels/a", "1")[1]["position"]
    assert srv.command("reload")[0] == 0
    second = post(srv, "/channels/a", "2")[1]["position"]
    assert second.split(":")[0] == first.split(":")[0]
    with Protocol(srv.port, f"/channels/a?since={first}") as p:
        assert p.receive()["recovered"] is True
        assert p.receive()["data"] == "2"


def test_a_killed_workers_clients_miss_nothing(corelane):
    srv = corelane({"routes": ROUTES, "channels": [
        {"match": "*", "presence": "members", "join_leave": True}]},
        crashes_ok=True)
    clients = [Protocol(srv.port, "/channels/a") for _ in range(8)]
    last = {}
    for n, p in enumerate(clients):
        assert p.receive()["type"] == "subscribed"
    wait_subscribers(srv, "a", 8)
    sent = [post(srv, "/channels/a", str(n))[1]["position"] for n in range(3)]
    for n, p in enumerate(clients):
        while True:
            got = p.message()
            if got["type"] == "message":
                last[n] = got["id"]
            if last.get(n) == sent[-1]:
                break
    victim = srv.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in srv.worker_pids(), "the worker to die")
    wait_until(lambda: len(srv.worker_pids()) == 2, "another in its place")
    srv.wait_ready()
    for n in range(3, 6):
        wait_until(lambda n=n: post(srv, "/channels/a", str(n))[0] == 200,
                   "a publish")
    recovered = 0
    for n, p in enumerate(clients):
        got = []
        try:
            while len(got) < 3:
                m = p.message()
                if m["type"] == "message":
                    got.append(m["data"])
        except (wire.Ended, ConnectionError):
            p.ws.client.close()
            recovered += 1
            p = clients[n] = Protocol(srv.port,
                                      f"/channels/a?since={last[n]}")
            assert p.receive()["recovered"] is True
            got = []
            while len(got) < 3:
                m = p.message()
                if m["type"] == "message":
                    got.append(m["data"])
        assert got == ["3", "4", "5"]
    assert recovered > 0, "the killed worker had none of eight connections"
    wait_subscribers(srv, "a", 8)
    state = get(srv, "/channels/a?members=1")[1]
    assert len(state["members"]) == 8
    for p in clients:
        p.ws.client.close()


# -- configuration ---------------------------------------------------------------

def check(corelane, config):
    srv = corelane(config, start=False)
    return srv.command("check")


def test_a_rule_that_never_holds_is_a_problem(corelane):
    code, _, told = check(corelane, {"channels": [
        {"match": "room.*"}, {"match": "*"}, {"match": "a"},
        {"match": "room.1"}]})
    assert code == 1
    assert "channels[2]: never reached: channels[1] (\"*\")" in told
    assert "channels[3]: never reached: channels[0] (\"room.*\")" in told


def test_a_hook_that_no_module_has_is_a_problem(corelane):
    code, _, told = check(corelane, {
        "modules": [{"name": "gate", "file": module_path("gate")}],
        "channels": [{"match": "*", "subscribe": "gate.nobody",
                      "publish": "other.clean"}]})
    assert code == 1
    assert "channels[0].subscribe: there is no channel rule 'gate.nobody'" \
        in told
    assert "channels[0].publish: there is no channel rule 'other.clean'" \
        in told


# -- the operator ----------------------------------------------------------------

def test_an_operator_publishes(srv, room):
    with raw(srv, room) as ws:
        wait_subscribers(srv, room, 1)
        code, out, _ = srv.command("publish", room, "hello all")
        assert code == 0
        assert re.match(r"[0-9a-f]{8}:1, 1 subscriber\n", out)
        assert ws.event() == message("hello all")
        code, out, _ = srv.command("publish", "--json", room, '{"a": 1}')
        assert ws.event() == message('{"a": 1}')
    # Rules' "publish" is for clients.
    assert srv.command("publish", "read.1", "x")[0] == 0


def test_an_operator_publishes_standard_input(srv, room):
    import subprocess
    import corelane as harness
    text = "x" * 60000 + "\nlast"
    done = subprocess.run([harness.binary(), "publish", room, "-c",
                           srv.config_file], input=(text + "\n").encode(),
                          capture_output=True, timeout=harness.PATIENCE)
    assert done.returncode == 0, done.stderr
    assert get(srv, f"/channels/{room}")[1]["history"][0]["data"] == text


@pytest.mark.parametrize("words, code, why", [
    (("a b", "x"), 2, "is no channel"),
    (("small.1", "x" * 17), 1, "longer than"),
    (("--json", "a", "{"), 1, "not published"),
    ((), 2, "say in which channel"),
    (("a", "b", "c"), 2, "too many"),
])
def test_an_operators_mistakes_are_told(srv, words, code, why):
    got, _, told = srv.command("publish", *words)
    assert got == code
    assert why in told


def test_an_operator_sees_the_channels(srv, room):
    with raw(srv, room):
        wait_subscribers(srv, room, 1)
        for n in range(3):
            post(srv, f"/channels/{room}", "12345")
        code, out, _ = srv.command("channels", room)
        assert code == 0
        header, line = out.splitlines()
        assert header.split() == ["CHANNEL", "SUBSCRIBERS", "MESSAGES", "/S",
                                  "BYTES"]
        assert line.split()[:3] == [room, "1", "3"]
        code, out, _ = srv.command("channels", "--json", room[:4] + "*")
        rows = {r["channel"]: r for r in json.loads(out)["channels"]}
        assert rows[room]["subscribers"] == 1
        assert rows[room]["messages"] == 3
        assert rows[room]["bytes"] == 15
        assert abs(rows[room]["last_ms"] / 1000 - time.time()) < 60
    assert srv.command("channels", "a b")[0] == 2


def test_a_stopped_worker_that_has_the_lock_stops_no_operator(srv):
    """A worker that is stopped holds it at worst; commands still answer."""
    pid = srv.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert srv.command("channels")[0] == 0
        assert srv.command("publish", "stopped", "x")[0] in (0, 1)
    finally:
        os.kill(pid, signal.SIGCONT)
