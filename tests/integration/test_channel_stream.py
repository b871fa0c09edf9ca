# SPDX-License-Identifier: MIT
"""Channels by event stream, and what survives a worker's death and a reload."""
import json
import os
import signal
import subprocess

import pytest

from channels import (EventStream, Protocol, ROUTES, get, post, raw, room,
                      srv, wait_subscribers)
import corelane as harness
from corelane import wait_until
import wire
from ws_client import TEXT, close_frame, frame


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


@pytest.mark.parametrize("target", ["/channels/{0}.1",
                                    "/channels?channel={0}.1&channel={0}.2"])
def test_a_slow_stream_gets_all_in_order(srv, room, target):
    """Less than its rule's queue_bytes behind: it catches up from the log."""
    names = [f"{room}.1", f"{room}.2"][:target.count("{0}")]
    with EventStream(srv.port, target.format(room), rcvbuf=4096) as s:
        for _ in names:
            s.event("subscribed")
        text = "x" * 2000
        for n in range(400):
            for name in names:
                post(srv, f"/channels/{name}", json.dumps([n, text]),
                     "application/json")
        last = {name: -1 for name in names}
        for _ in range(400 * len(names)):
            got = json.loads(s.event("message").data)
            name = got["channel"] if len(names) > 1 else names[0]
            number = got["data"][0] if len(names) > 1 else got[0]
            assert number == last[name] + 1
            last[name] = number


@pytest.mark.parametrize("target", ["/channels/{0}", "/channels?channel={0}"])
@pytest.mark.parametrize("last_id", ["zzz", "41", "{0}=zzz", "a" * 600])
def test_an_id_of_somebody_else_has_not_recovered(srv, room, target, last_id):
    """A browser can't mend it, and gives up for ever where it is refused."""
    post(srv, f"/channels/{room}", "1")
    with EventStream(srv.port, target.format(room),
                     last_id=last_id.format(room)) as s:
        assert json.loads(s.event("subscribed").data)["recovered"] is False
        assert "1" in s.event("message").data


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


def test_clients_of_a_generation_that_goes_are_sent_to_the_next(corelane):
    srv = corelane({"routes": ROUTES})
    sockets = [Protocol(srv.port, "/channels/a") for _ in range(4)]
    streams = [EventStream(srv.port, "/channels/a") for _ in range(4)]
    for p in sockets:
        assert p.receive()["type"] == "subscribed"
    wait_subscribers(srv, "a", 8)
    for s in streams:
        s.event("subscribed")
    first = post(srv, "/channels/a", "1")[1]["position"]
    reload = subprocess.Popen([harness.binary(), "reload", "-c",
                               srv.config_file], stdout=subprocess.DEVNULL)
    srv._first_workers = None
    for p in sockets:
        assert p.receive()["id"] == first
        assert p.receive().code == 1012
        p.ws.send(close_frame(1012))
        p.ws.expect_end()
    for s in streams:
        assert s.event() == (first, "message", "1")
        with pytest.raises(wire.Ended):
            s.event()
    assert reload.wait(harness.PATIENCE) == 0
    post(srv, "/channels/a", "2")
    with Protocol(srv.port, f"/channels/a?since={first}") as p:
        assert p.receive()["recovered"] is True
        assert p.receive()["data"] == "2"
    with EventStream(srv.port, "/channels/a", last_id=streams[0].last_id) as s:
        assert s.event().name == "subscribed"
        assert s.event().data == "2"


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
    # A worker's counts are published by its tick, behind what they count.
    wait_until(lambda: srv.stats()["total"]["websockets_active"] == 8,
               "the counts of all eight")
    victim = max(srv.stats()["workers"],
                 key=lambda w: w["websockets_active"])["pid"]
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
