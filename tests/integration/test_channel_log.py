# SPDX-License-Identifier: MIT
"""The log of channels, as an operator and a killed worker leave it."""
import os
import re
import signal
import threading

import pytest

import wire
from channels import ROUTES, get, post
from corelane import wait_until


def metric(srv, name):
    text = srv.get("/metrics", port=srv.admin_port).body.decode()
    found = re.search(rf"^corelane_{name} (\d+)$", text, re.M)
    assert found, f"no {name}"
    return int(found[1])


def test_its_figures_are_told(corelane):
    srv = corelane({"routes": ROUTES, "channel_log": {
        "bytes": "300KiB", "channels": 20, "members": 30}})
    for n in range(3):
        assert post(srv, f"/channels/room.{n}", "four")[0] == 200
    told = srv.stats()["server"]["channels"]
    assert told == {
        "count": 3, "count_max": 20, "members": 0, "messages": 3,
        "message_bytes": 12, "evicted": 0, "log_bytes": 512 * 1024,
        "log_used_bytes": told["log_used_bytes"], "repairs": 0}
    assert 12 < told["log_used_bytes"] < 1000
    assert metric(srv, "channels") == 3
    assert metric(srv, "channels_max") == 20
    assert metric(srv, "channel_log_bytes") == 512 * 1024
    assert metric(srv, "channel_log_used_bytes") == told["log_used_bytes"]
    assert metric(srv, "channel_log_messages_total") == 3
    assert metric(srv, "channel_log_repairs_total") == 0
    assert re.search(r"^channels    3 of 20, 3 messages, log \d+B of "
                     r"512\.0KiB$", srv.command("status")[1], re.M)


def test_full_it_forgets_the_oldest_and_publishes_on(corelane):
    srv = corelane({"routes": ROUTES, "channel_log": {
        "bytes": "256KiB", "channels": 16}})
    data = "x" * 10000
    positions = [post(srv, "/channels/a", data)[1]["position"]
                 for _ in range(60)]
    assert [p.split(":")[1] for p in positions] == \
        [str(n) for n in range(1, 61)]
    assert metric(srv, "channel_log_evicted_total") > 30
    status, state = get(srv, "/channels/a?limit=100")
    ids = [m["id"] for m in state["history"]]
    assert status == 200 and 10 < len(ids) < 30
    assert ids == positions[-len(ids):]
    for n in range(40):
        assert post(srv, f"/channels/other.{n}", "1")[0] == 200
    assert metric(srv, "channels") == 16


def test_a_reload_tells_what_only_a_start_can_change(corelane):
    config = {"routes": ROUTES, "max_workers": 4}
    srv = corelane(config)
    first = post(srv, "/channels/a", "1")[1]["position"]
    assert srv.command("reload")[0] == 0
    assert "channel_log" not in srv.log()
    srv.configure({**config, "channel_log": {"members": 99},
                   "max_workers": 8})
    assert srv.command("reload")[0] == 0
    assert re.search(r"warn .*channel_log has changed", srv.log())
    assert re.search(r"warn .*max_workers has grown: .* beyond 8 ", srv.log())
    assert get(srv, "/channels/a")[1]["position"] == first


@pytest.mark.parametrize("key, value", [
    ("bytes", "100KiB"), ("channels", 3), ("members", -1)])
def test_a_log_too_small_is_a_problem(corelane, key, value):
    srv = corelane({"channel_log": {key: value}}, start=False)
    code, _, err = srv.command("check")
    assert code != 0
    assert f"channel_log.{key}" in err


def publish_until(srv, done, acknowledged, lock):
    number = 0
    while not done.is_set():
        text = f"{threading.get_ident()}.{number}"
        number += 1
        try:
            status, answer = post(srv, "/channels/a", text)
        except (OSError, wire.Ended):
            continue        # its worker died: published or not
        assert status == 200, answer
        with lock:
            acknowledged[answer["position"]] = text


def test_killed_workers_lose_and_repeat_nothing(corelane):
    """Workers are killed while they publish as fast as they can."""
    srv = corelane({"routes": ROUTES, "channels": [
        {"match": "*", "history": {"messages": 1000000, "bytes": "64MiB"}}]},
        crashes_ok=True)
    done, lock, acknowledged = threading.Event(), threading.Lock(), {}
    threads = [threading.Thread(target=publish_until, args=(
        srv, done, acknowledged, lock)) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(6):
            before = len(acknowledged)
            wait_until(lambda b=before: len(acknowledged) > b + 50,
                       "messages to be published")
            victim = srv.worker_pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda v=victim: v not in srv.worker_pids(),
                       "the worker to die")
    finally:
        done.set()
        for t in threads:
            t.join()
    wait_until(lambda: len(srv.worker_pids()) == 2, "all workers")
    srv.wait_ready()
    _, state = get(srv, "/channels/a?limit=1000000")
    there = {m["id"]: m["data"] for m in state["history"]}
    assert len(there) == len(state["history"])
    assert [int(p.split(":")[1]) for p in there] == \
        list(range(1, len(there) + 1))
    assert {p: there[p] for p in acknowledged} == acknowledged
    assert len(set(there.values())) == len(there)
