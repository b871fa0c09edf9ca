# SPDX-License-Identifier: MIT
"""Authors who read no documentation, and clients who leave: a module that does
everything wrong that can be done wrong, over real processes."""
import json
import os
import random
import re
import sqlite3
import threading
from urllib.parse import quote

import pytest

import wire
from corelane import is_sanitized, module_path, wait_until

ENDLESS = quote("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 "
                "FROM t) SELECT count(*) FROM t")


def config(**settings):
    return {"modules": [{"name": "hostile", "file": module_path("hostile")}],
            "databases": {"main": {"url": "sqlite:test.db", "timeout": "2s"}},
            "middleware": [{"use": "hostile.use"}],
            "offload_threads": 2, **settings}


def counts(srv):
    return json.loads(srv.get("/counts").body)


def told(srv, *parts):
    """Waits for a line of the log that has all of the parts."""
    return wait_until(lambda: [line for line in srv.log().splitlines()
                               if all(part in line for part in parts)],
                      f"a line with {parts}")


# -- mistakes -----------------------------------------------------------------

NEITHER = ", which is neither a status nor an errno"
NOTHING = "returned LANE_ASYNC with nothing under way"
MISTAKES = [
    ("/twice", "hostile.twice: answered twice"),
    ("/stalls", "hostile.stalls: " + NOTHING),
    ("/result?n=0", "hostile.result: returned without an answer"),
    ("/result?n=1", "hostile.result: " + NOTHING),
    ("/result?n=2", NEITHER),
    ("/result?n=199", NEITHER),
    ("/result?n=600", NEITHER),
    ("/result?n=-4000", NEITHER),
    ("/result?n=min", NEITHER),
    ("/result?n=-5", "hostile.result: Input/output error"),
    ("/content?n=101", "hostile.content: Invalid argument"),
    ("/stream?n=1&status=99", "hostile.stream: Invalid argument"),
    ("/redirect?to=a%0d%0ab:c", "hostile.redirect: Invalid argument"),
    ("/large", "the head of the response has more than 65536 bytes"),
    ("/sql?sql=nonsense", "SQL: 42601: "),
    ("/sql?db=none&sql=x", "no database is called 'none'"),
    ("/transaction?sql=select+1&end=twice",
     "a statement in a transaction that has ended"),
]


@pytest.fixture(scope="module")
def erring():
    from corelane import Corelane
    srv = Corelane(config(), workers=1).start()
    yield srv
    problems = srv.finish()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("target,text", MISTAKES,
                         ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_a_logged_500_that_says_nothing(erring, target, text):
    answer = erring.get(target)
    assert answer.status == 500, answer
    error = json.loads(answer.body)["error"]
    assert error["code"] == "INTERNAL_ERROR"
    assert error["message"].lower() in ("internal error",
                                        "internal server error")
    line = told(erring, text, error["request_id"])[0]
    if "hostile: " not in line:             # lane_log() names its module
        assert f"route {target.partition('?')[0]}: " in line


SHAPES = ["errno", "fail", "async", "stream", "ok"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_failing_error_hook_leaves_the_plain_error(erring, shape):
    answer = erring.get(f"/result?n=404&shape={shape}")
    assert answer.status == 404
    assert answer["content-type"] == "application/json"
    error = json.loads(answer.body)["error"]
    assert error["code"] == "NOT_FOUND"
    told(erring, "module hostile: on_request_error returned",
         error["request_id"], "route /result: ")


@pytest.mark.parametrize("how", ["answer", "stream", "fail"])
@pytest.mark.parametrize("target,status,body", [
    ("/after?ms=1&", 200, b"done"), ("/hello?", 200, b"Hello, World!"),
    ("/result?n=404&", 404, None), ("/nowhere?", 404, None)])
def test_an_after_hook_answers_too_late(erring, target, status, body, how):
    before = len(erring.log())
    answer = erring.get(f"{target}after={how}")
    assert answer.status == status
    if "/nowhere" in target:            # no route, but the global middleware
        assert "x-after" in answer
    assert body is None or answer.body == body
    wait_until(lambda: "the after hook of hostile.use answered, which is too "
               "late (request " in erring.log()[before:], "the log")


def test_what_a_client_sends_ends_no_field(erring):
    answer = erring.get("/fields?v=a%0d%0aX-Bad:1&name=X-A")
    assert answer.body == b"-22 0 -22" and "x-bad" not in answer
    assert erring.get("/fields?v=a&name=X%0d%0aA").body == b"0 -22 0"
    assert erring.get("/fields?v=a%3bb&name=Content-Length").body \
        == b"0 -22 -22"
    assert erring.get("/param/a%00b").status == 400
    assert erring.get("/param/a%2Fb").status == 200


def test_what_was_left_under_way_never_comes(erring):
    """An answer cancels the rest, whoever has begun it: the handler itself,
    while a slow client takes its content, or middleware that goes on."""
    with erring.connect(rcvbuf=4096) as slow:
        slow.send(wire.request("GET", "/leaves-text"))
        assert erring.get("/after?ms=60&use=leave").status == 200
        assert erring.get("/after?ms=60&use=hold").status == 200
        assert len(slow.final().body) == 4 << 20
    wait_until(lambda: counts(erring)["begun"] == counts(erring)["ended"],
               "all to end")
    assert counts(erring)["late"] == 0


def test_defers_may_call_what_they_like(erring):
    for query in ("ms=1", "how=offload&ms=1", "ms=1&use=wait&use_ms=1"):
        assert erring.get(f"/defers?{query}").body == b"done"
    for _ in range(20):
        with erring.connect() as client:
            client.send(wire.request("GET", "/defers?how=offload&ms=20"))
            client.abort()
    wait_until(lambda: counts(erring)["begun"] == counts(erring)["ended"],
               "all to end")
    assert counts(erring)["late"] == 0
    assert counts(erring)["spawned"] > 3


def test_tasks_that_spawn_for_ever_hold_nobody_up(corelane):
    srv = corelane(config(), workers=1)
    assert srv.get("/spawn?n=-1").body == b"done"
    first = counts(srv)["spawned"]
    for _ in range(20):
        assert srv.get("/hello").status == 200
    assert counts(srv)["spawned"] > first


def test_validation_tells_its_bounds_exactly(erring):
    answer = erring.request(
        "POST", "/declared/7", [("Content-Type", "application/json")],
        b'{"name": "a", "age": 9007199254740992}')
    assert answer.status == 422
    error = json.loads(answer.body)["error"]
    assert error["field"] == "age"
    assert error["message"].endswith("from -1 to 9007199254740991")


# -- clients that leave -------------------------------------------------------

def kinds():
    def get(target):
        return wire.request("GET", target)
    form = (b"--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n"
            b"\r\n" + b"x" * 100000)
    return {
        "offload": get("/offload?ms=5"),
        "many jobs": get("/offload?ms=1&n=20"),
        "timer": get("/after?ms=40"),
        "foreign thread": get("/hold?ms=5&times=3"),
        "never posted": get("/never"),
        "retry": get("/retry?n=99&ms=10"),
        "statement": get(f"/sql?sql={ENDLESS}"),
        "transaction": get("/transaction?ms=20&sql=select+1"),
        "slow transaction": get(f"/transaction?sql={ENDLESS}"),
        "stream": get("/stream?n=1000"),
        "flood": get("/flood?n=50"),
        "upload": wire.request("POST", "/upload?ms=5", [
            ("Content-Length", "40000")]) + b"x" * 20000,
        "form": wire.request("POST", "/form", [
            ("Content-Length", "4000000"),
            ("Content-Type", "multipart/form-data; boundary=b")]) + form,
        "middleware": get("/after?ms=5&use=wait&use_ms=20"),
        "defers": get("/defers?ms=10"),
        "pipelined": get("/offload?ms=5") + get("/never") + get("/hello"),
    }


def leave(client, rng):
    how = rng.randrange(3)
    if how == 0:
        client.abort()
    elif how == 1:
        client.finish_sending()
    client.close()


def open_files(srv):
    return sum(len(os.listdir(f"/proc/{pid}/fd"))
               for pid in srv.worker_pids())


def is_quiet(srv):
    total = srv.stats()["total"]
    return not (total["connections_active"] or total["offload_running"] or
                total["offload_queue"] or total["sql_waiting"])


def test_clients_that_leave_at_any_point_leave_nothing(corelane):
    srv = corelane(config(timeouts={"request": "1s", "drain": "2s"}),
                   workers=2)
    rng = random.Random(7)
    files, memory = open_files(srv), []
    for _ in range(3):
        for data in kinds().values():
            for _ in range(12):
                client = srv.connect()
                client.send(data)
                if rng.random() < 0.5:
                    client.readable(rng.random() / 100)
                leave(client, rng)
        # Of 192 clients a round; what opens once is an eventfd per worker, and
        # SQLite's readers with three files each.
        wait_until(lambda: is_quiet(srv) and open_files(srv) <= files + 32,
                   "all to be over")
        memory.append(srv.worker_memory())
    if not is_sanitized():
        assert memory[2] <= memory[0] + (4 << 20), memory
    for _ in range(8):                  # one worker or the other
        wait_until(lambda: (seen := counts(srv))["begun"] == seen["ended"],
                   "all to end")
        assert counts(srv)["late"] == 0
    assert srv.get("/sql?sql=select+7").body == b"7"
    assert srv.get("/transaction?sql=select+1").status == 200
    assert srv.get("/offload?ms=1").body == b"done"


def test_a_reset_behind_pipelined_requests_is_noticed(corelane):
    """The next request is here, so that nothing is read any more."""
    srv = corelane(config(), workers=1)
    client = srv.connect()
    client.send(wire.request("GET", "/never") + wire.request("GET", "/hello"))
    wait_until(lambda: counts(srv)["begun"] == 1, "the handler to wait")
    client.abort()
    wait_until(lambda: counts(srv)["ended"] == 1, "the reset to be noticed")
    # Who only sends no more gets all answers.
    with srv.connect() as client:
        client.send(wire.request("GET", "/after?ms=1500") +
                    wire.request("GET", "/hello"))
        client.finish_sending()
        assert client.final().body == b"done"
        assert client.final().body == b"Hello, World!"


def test_a_client_that_does_not_read_is_held_back(corelane):
    srv = corelane(config(), workers=1)
    with srv.connect(rcvbuf=4096) as client:
        client.send(wire.request("GET", "/flood?n=1000000"))
        # It ends after three pieces were dropped, far from a million.
        wait_until(lambda: counts(srv)["dropped"] == 3, "the queue to fill")
        assert 65536 <= len(client.final().body) < 64 << 20


# -- what is full, or out ------------------------------------------------------

def test_a_full_queue_is_a_503_that_says_when(corelane):
    srv = corelane(config(limits={"offload_queue": 4}), workers=1)
    answer = srv.get("/offload?ms=50&n=40")
    assert answer.status == 503 and answer["retry-after"] == "1"
    wait_until(lambda: is_quiet(srv), "the pool to be idle")
    assert srv.get("/offload?ms=1").body == b"done"


def test_a_locked_file_is_a_503_and_comes_back(corelane):
    srv = corelane(config(), workers=2)
    assert srv.get("/sql?sql=create+table+t(x)").status == 200
    other = sqlite3.connect(srv.path("test.db"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for target in ("/sql?sql=insert+into+t+values(1)",
                   "/transaction?sql=insert+into+t+values(1)"):
        answer = srv.get(target)
        assert answer.status == 503 and answer["retry-after"] == "1"
        assert b"locked" not in answer.body
    assert srv.get("/sql?sql=select+count(*)+from+t").body == b"0"
    other.execute("ROLLBACK")
    other.close()
    assert srv.get("/sql?sql=insert+into+t+values(1)").status == 200


@pytest.mark.parametrize("target", [
    "/offload?ms=300&n=5", "/hold?ms=1000&times=2", "/never",
    f"/sql?sql={ENDLESS}", "/transaction?ms=9000&sql=select+1",
    "/flood?n=1000000", "/defers?how=offload&ms=300"])
def test_a_worker_stops_with_work_under_way(corelane, target):
    srv = corelane(config(timeouts={"drain": "200ms"}), workers=2)
    clients = [srv.connect() for _ in range(4)]
    for client in clients:
        client.send(wire.request("GET", target))
    wait_until(lambda: srv.stats()["total"]["connections_active"] >= 4,
               "the requests")
    srv.stop()
    for client in clients:
        client.close()


def test_reloads_and_a_dead_worker_among_all_that(corelane):
    srv = corelane(config(timeouts={"request": "1s", "drain": "1s"}),
                   workers=2, crashes_ok=True)
    stop = threading.Event()
    bad = []

    def visit(seed):
        rng = random.Random(seed)
        targets = ["/offload?ms=2", "/after?ms=2", "/hold?ms=2&times=1",
                   "/sql?sql=select+7", "/transaction?sql=select+1",
                   "/stream?n=5", "/retry?n=2&ms=1", "/defers?ms=1"]
        while not stop.is_set():
            try:
                with srv.connect() as client:
                    client.send(wire.request("GET", rng.choice(targets)))
                    if rng.random() < 0.3:
                        client.abort()
                    elif (answer := client.final()).status != 200:
                        bad.append(answer)
            except (wire.Ended, OSError):
                pass                    # of the worker that was killed

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        for workers in (3, 1, 2):
            assert srv.command("reload")[0] == 0
            assert srv.command("scale", str(workers))[0] == 0
        os.kill(srv.worker_pids()[0], 9)
        wait_until(lambda: re.search(r"was killed by SIGKILL", srv.log()),
                   "the death to be noticed")
        wait_until(lambda: len(srv.worker_pids()) == 2, "another worker")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not bad, bad[:3]
    assert srv.get("/sql?sql=select+7").body == b"7"
