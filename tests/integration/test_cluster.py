# SPDX-License-Identifier: MIT
"""Channels of several machines: two corelanes that share a real Redis."""
import json
import os
import re
import shutil
import signal
import threading

import pytest

from channels import EventStream, Protocol, ROUTES, get, post
from corelane import Corelane, proc_stat, wait_until
from redis_server import Redis
from ws_client import WebSocket

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None,
                                reason="redis-server is not installed")


@pytest.fixture
def redis():
    with Redis() as server:
        yield server


@pytest.fixture
def machine(corelane):
    """Starts one more machine of a cluster; it is connected."""
    def start(redis, config=None, connected=True, **options):
        srv = corelane({
            "workers": 1,
            "cluster": {"engine": "redis", "url": redis.url,
                        "connect": "1s", "timeout": "2s"},
            "channels": [{"match": "*", "history": {"messages": 1000}}],
            "routes": ROUTES, **(config or {})}, **options)
        if connected:
            wait_connected(srv)
        return srv

    return start


@pytest.fixture
def pair(machine, redis):
    return machine(redis), machine(redis)


def cluster(srv):
    return srv.status()["cluster"]


def wait_connected(srv, value=1):
    wait_until(lambda: cluster(srv)["connected"] == value,
               f"the bridge's connection to be {value}")


def wait_sent(srv, count):
    wait_until(lambda: cluster(srv)["sent"] >= count and
               cluster(srv)["lag_messages"] == 0, f"{count} to be sent")


def bridge_pid(srv):
    for pid in srv.worker_pids():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"bridge" in f.read():
                    return pid
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def wait_past(redis, channel):
    """Until Redis's clock is well past a channel's last message: what comes a
    few milliseconds before a subscription may count as behind it."""
    last = int(redis.cli("XREVRANGE", f"corelane:s:{channel}", "+", "-",
                         "COUNT", "1").split("-")[0])
    wait_until(lambda: int(redis.cli("TIME").split()[0]) * 1000 > last + 1000,
               "a second to pass")


def publish(srv, channel, data):
    status, answer = post(srv, f"/channels/{channel}", data)
    assert status == 200, answer
    return answer["position"]


def publish_many(srv, channel, name, first, count):
    body = json.dumps({"messages": [
        {"channel": channel, "data": f"{name}{n}"}
        for n in range(first, first + count)]})
    status, answer = post(srv, "/channels", body, "application/json")
    assert status == 200 and answer["published"] == count, answer


def take(p, count):
    """The next so many messages' data."""
    return [p.message()["data"] for _ in range(count)]


def of(name, count):
    return [f"{name}{n}" for n in range(count)]


def by_sender(data):
    """{"a": ["a0", "a1"], ...} in the order in which they came."""
    found = {}
    for text in data:
        found.setdefault(text[0], []).append(text)
    return found


def history(srv, channel, limit=1000):
    return [m["data"] for m in
            get(srv, f"/channels/{channel}?limit={limit}")[1]["history"]]


# -- what is published at one is told at the other ----------------------------

def test_a_room_is_one_room_on_both(pair):
    a, b = pair
    with Protocol(a.port) as at_a, EventStream(b.port, "/channels/r") as at_b:
        at_a.subscribe("r")
        for n in range(50):
            publish(a, "r", f"a{n}")
            publish(b, "r", f"b{n}")
        assert by_sender(take(at_a, 100)) == {"a": of("a", 50),
                                              "b": of("b", 50)}
        assert by_sender([at_b.event("message").data for _ in range(100)]) == {
            "a": of("a", 50), "b": of("b", 50)}
        at_a.pong()
        assert not at_a.news


@pytest.mark.parametrize("kind, sent", [
    ("text/plain", "héllo\r\n\u0001"),
    ("application/json", '{"n": 12345678901234567890,\n"z": 1.10}'),
    ("application/octet-stream", bytes(range(256))),
    ("text/plain", ""),
])
def test_every_byte_and_its_kind_arrive(pair, kind, sent):
    a, b = pair
    with WebSocket(b.port, "/channels/kinds") as ws:
        post(a, "/channels/kinds", sent, kind)
        assert ws.event().data == sent
    mine, others = (get(srv, "/channels/kinds")[1]["history"][0]
                    for srv in pair)
    del mine["id"], others["id"]
    assert mine == others


def test_what_follows_a_subscription_is_never_missed(pair):
    a, b = pair
    with Protocol(b.port) as p:
        for n in range(100):
            p.subscribe(f"new.{n}")
            publish(a, f"new.{n}", f"m{n}")
        assert sorted(take(p, 100)) == sorted(of("m", 100))


def test_patterns_cross_as_well(pair):
    a, b = pair
    with Protocol(b.port) as p:
        p.subscribe("room.*")
        for n in range(20):
            publish(a, f"room.{n % 4}", f"m{n}")
            publish(a, "other", "x")
        assert take(p, 20) == of("m", 20)
        p.subscribe("room.1")
        publish(a, "room.1", "both")
        publish(a, "room.2", "end")
        got = [p.message() for _ in range(3)]
        assert sorted(m["data"] for m in got) == ["both", "both", "end"]


def test_a_prefix_may_have_any_characters(machine, redis):
    config = {"cluster": {"engine": "redis", "url": redis.url,
                          "prefix": "a*b?[c]\\: "}}
    a, b = machine(redis, config), machine(redis, config)
    with Protocol(b.port) as p:
        p.subscribe("room.*")
        p.subscribe("x")
        publish(a, "room.1", "one")
        publish(a, "x", "two")
        assert sorted(take(p, 2)) == ["one", "two"]


def test_history_of_another_machine_is_no_news(pair, redis):
    a, b = pair
    publish_many(a, "old", "m", 0, 30)
    wait_sent(a, 30)
    wait_past(redis, "old")
    with Protocol(b.port) as p:
        p.subscribe("old")
        wait_until(lambda: history(b, "old") == of("m", 30),
                   "the history to be there")
        publish(a, "old", "new")
        assert p.message()["data"] == "new"
        got = p.ask("history", channel="old", limit=3)
        assert [m["data"] for m in got["messages"]] == ["m28", "m29", "new"]


def test_machines_that_share_no_prefix_share_nothing(machine, redis):
    a = machine(redis)
    b = machine(redis, {"cluster": {"engine": "redis", "url": redis.url,
                                    "prefix": "other:"}})
    with Protocol(b.port) as p:
        p.subscribe("r")
        publish(a, "r", "a")
        wait_sent(a, 1)
        publish(b, "r", "b")
        assert p.message()["data"] == "b"


# -- who comes from another machine -------------------------------------------

def test_a_client_that_moves_recovers(pair):
    a, b = pair
    with Protocol(a.port) as p, Protocol(b.port) as other:
        p.subscribe("r")
        other.subscribe("r")
        for n in range(10):
            publish(a if n % 2 else b, "r", f"m{n}")
            position = p.message()["id"]
        p.ws.client.close()
        for n in range(10, 20):
            publish(a if n % 2 else b, "r", f"m{n}")
        take(other, 20)
        with Protocol(b.port) as moved:
            got = moved.subscribe("r", since=position)
            assert got["recovered"] is True and got["missed"] == 10
            assert sorted(take(moved, 10)) == sorted(of("m", 20)[10:])
            publish(a, "r", "live")
            assert moved.message()["data"] == "live"


def cold_start(a, redis):
    """Twenty messages at one machine, in a channel that nobody has at the
    other: the position after ten of them."""
    publish_many(a, "r", "m", 0, 10)
    position = publish(a, "r", "m10")
    publish_many(a, "r", "m", 11, 10)
    wait_sent(a, 21)
    wait_past(redis, "r")
    return position


def test_a_client_recovers_in_a_channel_that_nobody_had_here(pair, redis):
    a, b = pair
    position = cold_start(a, redis)
    with Protocol(b.port) as p:
        p.send('{"id":1,"type":"subscribe","channel":"r","since":"%s"}'
               '' % position)
        p.send('{"id":2,"type":"ping"}')
        got = p.receive()
        assert got["recovered"] is True and got["missed"] == 10
        assert take(p, 10) == of("m", 21)[11:]
        assert p.receive() == {"id": 2, "type": "pong"}
        publish(a, "r", "live")
        assert p.message()["data"] == "live"


def test_an_event_stream_recovers_as_well(pair, redis):
    a, b = pair
    position = cold_start(a, redis)
    with EventStream(b.port, "/channels/r", last_id=position) as stream:
        told = json.loads(stream.event("subscribed").data)
        assert told["recovered"] is True and told["missed"] == 10
        assert [json.loads(stream.event("message").data)
                for _ in range(10)] == of("m", 21)[11:]
    with EventStream(b.port, f"/channels?channel=x&channel=r"
                     f"&last_event_id=r%3D{position}") as stream:
        told = [json.loads(stream.event("subscribed").data)
                for _ in range(2)]
        assert {t["channel"]: t.get("recovered") for t in told} == {
            "x": None, "r": True}


def test_a_raw_websocket_recovers_as_well(pair, redis):
    a, b = pair
    position = cold_start(a, redis)
    with WebSocket(b.port, f"/channels/r?since={position}") as ws:
        assert [json.loads(ws.event().data) for _ in range(10)] == \
            of("m", 21)[11:]


def test_history_is_waited_for(pair, redis):
    a, b = pair
    cold_start(a, redis)
    with Protocol(b.port) as p:
        assert p.subscribe("r", history=5)["missed"] == 5
        assert take(p, 5) == of("m", 21)[16:]


def test_a_machine_that_was_started_anew_recovers_its_own(machine, redis):
    a = machine(redis)
    position = cold_start(a, redis)
    a.stop()
    a = machine(redis)
    with Protocol(a.port) as p:
        got = p.subscribe("r", since=position)
        assert got["recovered"] is True
        assert take(p, 10) == of("m", 21)[11:]


def test_nobody_waits_for_a_redis_that_is_away(machine, redis):
    a, b = machine(redis), machine(redis)
    position = cold_start(a, redis)
    redis.kill()
    wait_connected(b, 0)
    with Protocol(b.port) as p:
        assert p.subscribe("r", since=position)["recovered"] is False
    redis.start()
    wait_connected(b)
    redis.freeze()
    try:
        with Protocol(b.port) as p:
            assert p.subscribe("r", since=position)["recovered"] is False
            assert p.ask("publish", channel="r",
                         data="mine")["type"] == "published"
            assert p.message()["data"] == "mine"
    finally:
        redis.thaw()


def test_a_position_that_is_too_old_is_told(machine, redis):
    config = {"channels": [{"match": "*", "history": {"messages": 5}}]}
    a, b = machine(redis, config), machine(redis, config)
    with Protocol(b.port) as other:
        other.subscribe("r")
        position = publish(a, "r", "first")
        publish_many(a, "r", "m", 0, 20)
        take(other, 21)
        with Protocol(b.port) as p:
            got = p.subscribe("r", since=position)
            assert got["recovered"] is False
            assert take(p, got["missed"]) == of("m", 20)[-5:]


# -- Redis comes and goes -----------------------------------------------------

@pytest.mark.parametrize("keeps", [False, True])
def test_redis_is_killed_while_both_publish(machine, keeps):
    with Redis(keeps=keeps) as redis:
        a, b = machine(redis), machine(redis)
        with Protocol(a.port) as at_a, Protocol(b.port) as at_b, \
                Protocol(b.port) as by_pattern:
            at_a.subscribe("r")
            at_b.subscribe("r")
            by_pattern.subscribe("*")
            for n in range(0, 300, 50):
                publish_many(a, "r", "a", n, 50)
                publish_many(b, "r", "b", n, 50)
                if n == 50:
                    redis.kill()
                if n == 200:
                    redis.start()
            want = {"a": of("a", 300), "b": of("b", 300)}
            for p in (at_a, at_b, by_pattern):
                assert by_sender(take(p, 600)) == want
            publish(a, "r", "end")
            for p in (at_a, at_b, by_pattern):
                assert p.message()["data"] == "end"
        for srv in (a, b):
            figures = cluster(srv)
            assert figures["missed"] == 0 and figures["dropped"] == 0
            assert figures["reconnects"] >= 1
            log = srv.log()
            assert log.count("bridge: lost redis") == 1
            assert "again, after" in log


def test_local_delivery_goes_on_without_redis(machine, redis):
    a = machine(redis)
    redis.kill()
    wait_connected(a, 0)
    with Protocol(a.port) as p:
        p.subscribe("r")
        publish_many(a, "r", "m", 0, 100)
        assert take(p, 100) == of("m", 100)
    wait_until(lambda: cluster(a)["lag_messages"] == 100, "them to wait")
    redis.start()
    wait_sent(a, 100)


def test_a_server_starts_without_redis(machine, redis):
    redis.kill()
    a = machine(redis, connected=False)
    wait_until(lambda: "can't connect to redis+unix:" in a.log(),
               "it to be told")
    assert a.get("/hello").status == 404 or True
    publish(a, "r", "early")
    redis.start()
    b = machine(redis)
    wait_connected(a)
    with Protocol(b.port) as p:
        p.subscribe("r")
        wait_until(lambda: history(b, "r") == ["early"], "its history")


def test_a_redis_that_freezes_holds_up_nobody(pair, redis):
    a, b = pair
    with Protocol(a.port) as at_a, Protocol(b.port) as at_b:
        at_a.subscribe("r")
        at_b.subscribe("r")
        publish(a, "r", "a0")
        assert take(at_b, 1) == ["a0"]
        redis.freeze()
        try:
            for n in range(1, 100):
                publish(a, "r", f"a{n}")
                assert at_a.news or True
            assert take(at_a, 100) == of("a", 100)
            wait_until(lambda: "no answer for 2000 ms" in a.log(),
                       "it to be told")
            assert cluster(a)["connected"] == 0
        finally:
            redis.thaw()
        assert take(at_b, 99) == of("a", 100)[1:]


def test_what_the_log_has_lost_is_counted_on_both_sides(machine, redis):
    config = {"channel_log": {"bytes": "256KiB"}}
    a, b = machine(redis, config), machine(redis, config)
    with Protocol(b.port) as p:
        p.subscribe("r")
        publish(a, "r", "first")
        assert p.message()["data"] == "first"
        position = publish(b, "other", "x")
        redis.kill()
        wait_connected(a, 0)
        wait_connected(b, 0)
        count = 1000
        publish_many(a, "r", "x" * 300 + "-", 0, count)
        redis.start()
        wait_connected(a)
        wait_until(lambda: cluster(a)["lag_messages"] == 0, "all to be sent")
        got = [p.message()["data"]]
        while not got[-1].endswith(f"-{count - 1}"):
            got.append(p.message()["data"])
        numbers = [int(text.rpartition("-")[2]) for text in got]
        assert numbers == sorted(set(numbers))
        missing = count - len(numbers)
        assert missing > 0 and position
        assert cluster(a)["dropped"] == missing
        assert cluster(b)["missed"] == missing


# -- the bridge ---------------------------------------------------------------

def test_the_bridge_is_killed_under_load(machine, redis):
    config = {"cluster": {"engine": "redis", "url": redis.url,
                          "history": 20000}}
    a, b = (machine(redis, config, crashes_ok=True) for _ in range(2))
    with Protocol(a.port) as at_a, Protocol(b.port) as at_b:
        at_a.subscribe("r")
        at_b.subscribe("r")

        def load(srv, name):
            for n in range(0, 2000, 20):
                publish_many(srv, "r", name, n, 20)

        threads = [threading.Thread(target=load, args=args)
                   for args in ((a, "a"), (b, "b"))]
        for thread in threads:
            thread.start()
        killed = 0
        while any(thread.is_alive() for thread in threads):
            for srv in (a, b):
                wait_connected(srv)
                os.kill(bridge_pid(srv), signal.SIGKILL)
                killed += 1
                before = killed
                wait_until(lambda: cluster(srv)["restarts"] > 0 and
                           bridge_pid(srv), f"restart {before}")
        for thread in threads:
            thread.join()
        want = {"a": of("a", 2000), "b": of("b", 2000)}
        assert by_sender(take(at_a, 4000)) == want
        assert by_sender(take(at_b, 4000)) == want
        publish(a, "r", "end")
        assert at_a.message()["data"] == at_b.message()["data"] == "end"
    assert killed >= 2
    assert "the bridge (pid" in a.log() and "SIGKILL; restarting" in a.log()


def test_a_bridge_that_stands_still_is_replaced(machine, redis):
    a = machine(redis, {"timeouts": {"watchdog": "1s", "drain": "2s"}},
                crashes_ok=True)
    pid = bridge_pid(a)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: bridge_pid(a) not in (pid, None), "another bridge")
    assert "stalls: no heartbeat" in a.log()
    wait_connected(a)


def test_a_reload_brings_changes_and_ends_a_cluster(machine, redis):
    a, b = machine(redis), machine(redis)
    with Protocol(b.port) as p:
        p.subscribe("r")
        old = dict(a.config)
        a.configure({**old, "cluster": None})
        assert a.command("reload")[0] == 0
        wait_until(lambda: bridge_pid(a) is None, "the bridge to leave")
        assert "cluster" not in a.status()
        publish(a, "r", "alone")
        a.configure({**old, "cluster": {**old["cluster"], "history": 7}})
        assert a.command("reload")[0] == 0
        wait_connected(a)
        publish(a, "r", "together")
        assert take(p, 2) == ["alone", "together"]


def test_what_was_published_last_is_sent_before_a_stop(pair):
    a, b = pair
    with Protocol(b.port) as p:
        p.subscribe("r")
        publish_many(a, "r", "m", 0, 500)
        a.stop()
        assert take(p, 500) == of("m", 500)


# -- what is told -------------------------------------------------------------

def test_a_wrong_password_is_told_and_never_shown(machine):
    with Redis(password="right-one") as redis:
        a = machine(redis)
        assert "right-one" not in a.log()
        b = machine(redis, {"cluster": {
            "engine": "redis",
            "url": redis.url.replace("right-one", "wrong-one")}},
            connected=False)
        wait_until(lambda: "WRONGPASS" in b.log(), "it to be told")
        assert ":***@" in b.log() and "wrong-one" not in b.log()
        c = machine(redis, {"cluster": {
            "engine": "redis", "url": f"redis+unix://{redis.socket}"}},
            connected=False)
        wait_until(lambda: "NOAUTH" in c.log(), "it to be told")


def test_a_port_a_user_and_a_database(machine):
    with Redis(port=True) as redis:
        redis.cli("ACL", "SETUSER", "kim", "on", ">sec:ret", "~*", "&*",
                  "+@all")
        url = f"redis://kim:sec%3Aret@localhost:{redis.port}/3"
        config = {"cluster": {"engine": "redis", "url": url}}
        a, b = machine(redis, config), machine(redis, config)
        with Protocol(b.port) as p:
            p.subscribe("r")
            publish(a, "r", "x")
            assert p.message()["data"] == "x"
        assert "corelane:s:r" in redis.cli("-n", "3", "KEYS", "*")
        assert redis.cli("-n", "0", "KEYS", "*").strip() == ""


def test_history_over_there_is_bounded(machine, redis):
    a = machine(redis, {"cluster": {"engine": "redis", "url": redis.url,
                                    "history": 50, "history_age": "60s"}})
    publish_many(a, "r", "m", 0, 1000)
    wait_sent(a, 1000)
    assert 50 <= int(redis.cli("XLEN", "corelane:s:r")) <= 200
    assert 50000 < int(redis.cli("PTTL", "corelane:s:r")) <= 60000


def test_figures_are_told_everywhere(pair):
    a, b = pair
    with Protocol(b.port) as p:
        p.subscribe("r")
        publish_many(a, "r", "m", 0, 10)
        take(p, 10)
    wait_sent(a, 10)
    assert a.stats()["cluster"]["sent"] == 10
    assert b.stats()["cluster"]["received"] == 10
    metrics = a.get("/metrics", port=a.admin_port).body.decode()
    assert re.search(r"^corelane_cluster_connected 1$", metrics, re.M)
    assert re.search(r"^corelane_cluster_sent_total 10$", metrics, re.M)
    assert re.search(r"^corelane_cluster_lag_messages 0$", metrics, re.M)
    assert re.search(r"^cluster +connected, 10 sent",
                     a.command("status")[1], re.M)


def test_what_else_stands_in_redis_harms_nobody(pair, redis):
    a, b = pair
    with Protocol(b.port) as p:
        p.subscribe("r")
        publish(a, "r", "first")
        assert p.message()["data"] == "first"
        for text in ("", "x", "1-1", "1-1 ", "99999999999999-1 junk\nx"):
            redis.cli("PUBLISH", "corelane:c:r", text)
        redis.cli("PUBLISH", "corelane:c:", "x")
        assert cluster(b)["connected"] == 1
        wait_until(lambda: cluster(b)["refused"] == 1, "it to be counted")
        publish(a, "r", "second")
        assert p.message()["data"] == "second"


@pytest.mark.parametrize("url", [
    "http://x", "redis://", "redis://host:0", "redis+unix://x"])
def test_check_knows_a_url_that_is_none(url):
    srv = Corelane({"cluster": {"engine": "redis", "url": url}})
    code, _, err = srv.command("check")
    assert code == 1
    assert re.search(r"cluster\.url: must be \"redis://", err)
    shutil.rmtree(srv.dir)


def test_no_bridge_outlives_its_server(machine, redis):
    a = machine(redis, crashes_ok=True, exit_code=None)
    pid = bridge_pid(a)
    a.signal(signal.SIGKILL)
    wait_until(lambda: proc_stat(pid) is None or proc_stat(pid)[0] == "Z",
               "the bridge to end")
