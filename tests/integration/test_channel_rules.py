# SPDX-License-Identifier: MIT
"""Who may use channels and who is there; the operator's commands."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from channels import (CONFIG, EventStream, Protocol, bearer, get, post, raw,
                      room, srv, token, wait_subscribers)
import corelane as harness
from corelane import module_path, wait_until
import wire
from ws_client import Violation, WebSocket, message


# -- presence --------------------------------------------------------------------

def test_members_come_and_go(srv):
    with Protocol(srv.port, f"/channels?access_token={token({'sub': 'ada'})}"
                  ) as p:
        p.subscribe("who.1", info={"color": "red"})
        join = p.message()
        assert join["type"] == "join"
        assert join["data"]["user"] == "ada"
        assert join["data"]["info"] == {"color": "red"}
        with Protocol(srv.port, "/channels/who.1?info=%22hi%22&access_token="
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


def test_who_is_refused_is_told_what_was_missing(srv):
    with Protocol(srv.port) as p:
        assert p.ask("subscribe", channel="token.a")["message"] == \
            "that takes a token, and the connection brought none"
    with Protocol(srv.port, "/channels?access_token=" + token(
            {"channels": {"sub": ["token.a"]}})) as p:
        assert p.ask("publish", channel="token.a", data=1)["message"] == \
            "the token doesn't list this channel for that"


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
    srv.wait_exit()
    lines = sorted((json.loads(line) for line in srv.output().splitlines()),
                   key=lambda line: line["target"])
    assert lines[0]["target"] == "/channels/a?x=1&access_token=***&limit=1"
    assert lines[1]["target"] == "/nowhere?access_token=***"
    assert secret not in srv.output() + srv.log()


@pytest.mark.parametrize("origin, status", [
    (None, 200), ("http://t", 200), ("http://evil.example", 403),
    ("null", 403), ("https://t:8443", 403),
])
def test_pages_of_other_hosts_cant_publish(srv, room, origin, status):
    headers = [("Origin", origin)] if origin else []
    assert post(srv, f"/channels/{room}", "x", "text/plain",
                headers)[0] == status


def test_pages_that_are_listed_may_publish(corelane):
    srv = corelane({"routes": [
        {"path": "/c/{channel}", "handler": "channel",
         "origins": ["https://good.example"]}]})
    for origin, status in (("https://good.example", 200), ("http://t", 403)):
        assert post(srv, "/c/a", "x", headers=[("Origin", origin)])[0] == \
            status
    WebSocket(srv.port, "/c/a", headers=[
        ("Origin", "https://good.example")]).client.close()


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
    assert "channels[0].subscribe: there is no channel rule 'gate.nobody'; " \
        "the module has 'gate.owner' and others" in told
    assert "channels[0].publish: there is no channel rule 'other.clean': " \
        'no module of "modules" has this name' in told


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
    assert srv.command("channels", "nobody.was.here")[:2] == (
        0, "no channel is 'nobody.was.here'\n")


def test_a_stopped_worker_that_has_the_lock_stops_no_operator(srv):
    """A worker that is stopped holds it at worst; commands still answer."""
    pid = srv.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert srv.command("channels")[0] == 0
        assert srv.command("publish", "stopped", "x")[0] in (0, 1)
    finally:
        os.kill(pid, signal.SIGCONT)
