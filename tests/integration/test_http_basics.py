# SPDX-License-Identifier: MIT
"""Requests and answers as RFC 9110 and 9112 describe them: keep-alive,
pipelining, HEAD, OPTIONS, 100-continue, bodies, error pages."""
import json
import os
import random
import re
import subprocess

import pytest

import wire
from corelane import wait_until
from wire import chunked, request

CONFIG = {
    "buffers": {"body_memory": "16KiB"},
    "limits": {"body_bytes": "1MiB"},
}


@pytest.fixture(scope="module")
def spilling():
    """A server whose bodies move to a file early."""
    from corelane import Corelane
    server = Corelane({**CONFIG, "workers": 1}).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


# -- answers ---------------------------------------------------------------

def test_an_answer_has_what_rfc_9110_asks_for(server):
    r = server.get("/hello")
    assert (r.status, r.body) == (200, b"Hello, World!")
    assert r.reason == "OK" and r.minor == 1
    assert r["content-type"] == "text/plain"
    assert r["content-length"] == "13"
    assert re.fullmatch(
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|"
        r"Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT", r["date"])
    assert "connection" not in r


def test_json_is_json(server):
    r = server.get("/json")
    assert json.loads(r.body) == {"message": "Hello, World!"}
    assert r["content-type"].startswith("application/json")


def test_head_answers_as_get_without_the_body(server, connect):
    c = connect()
    for path in ("/hello", "/json", "/nope"):
        c.send(request("GET", path) + request("HEAD", path))
        got, head = c.final("GET"), c.final("HEAD")
        assert head.status == got.status and head.body == b""
        assert head["content-length"] == got["content-length"]
        assert head["content-type"] == got["content-type"]
    c.probe()


def test_a_204_has_neither_body_nor_length(server):
    r = server.get("/empty")
    assert r.status == 204 and r.framing == "none"


def test_options_tells_the_methods(server, connect):
    c = connect()
    c.send(request("OPTIONS", "/hello"))
    r = c.final()
    assert r.status in (200, 204)
    assert {"get", "head", "options"} <= set(r.tokens("allow"))
    assert "post" not in r.tokens("allow")
    c.send(request("OPTIONS", "*"))
    assert c.final().status in (200, 204)
    c.probe()


def test_a_wrong_method_is_405_with_allow(server, connect):
    c = connect()
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        c.send(request(method, "/hello"))
        r = c.final()
        assert r.status == 405
        assert {"get", "head"} <= set(r.tokens("allow"))
        assert method.lower() not in r.tokens("allow")
    c.probe()


# -- error bodies ----------------------------------------------------------

@pytest.mark.parametrize("target,method,status", [
    ("/nope", "GET", 404), ("/hello", "DELETE", 405), ("/hello", "BREW", 501),
    ("/hello%zz", "GET", 400),
])
def test_an_error_is_json_for_programs(server, target, method, status):
    r = server.request(method, target, {"Accept": "application/json"})
    assert r.status in (status, 400 if method == "BREW" else status)
    assert r["content-type"].split(";")[0] == "application/json"
    error = json.loads(r.body)["error"]
    # With or without the request_id middleware.
    assert set(error) == {"code", "message", "request_id"}
    assert isinstance(error["code"], str) and error["code"]
    assert isinstance(error["message"], str) and error["message"]


def test_an_error_is_a_page_for_browsers(server):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    r = server.get("/nope", {"Accept": accept})
    assert r.status == 404
    assert r["content-type"].startswith("text/html")
    assert b"404" in r.body and r.body.lstrip().lower().startswith(b"<!doc")


def test_without_an_accept_an_error_is_json(server):
    r = server.get("/nope")
    assert json.loads(r.body)["error"]["code"]


def test_an_error_never_echoes_markup(server):
    for target in ("/%3Cscript%3Ealert(1)%3C/script%3E", "/a\"<b>"):
        r = server.get(target, {"Accept": "text/html",
                                "X-Request-ID": "<script>"})
        assert r.status in (400, 404)
        assert b"<script" not in r.body and b"<b>" not in r.body


def test_a_refused_head_gets_a_body_too(server, connect):
    c = connect()
    c.send(b"GET / HTTP/1.1\r\nHost: t\r\nX : y\r\n\r\n")
    r = c.final()
    assert r.status == 400 and r.closes
    assert json.loads(r.body)["error"]["message"]
    c.expect_closed()


# -- keep-alive ------------------------------------------------------------

def test_a_connection_serves_many_requests(server, connect):
    c = connect()
    for _ in range(200):
        c.probe()


def test_http_1_0_closes_unless_asked(server, connect):
    c = connect()
    c.send(request("GET", "/hello", version="1.0"))
    r = c.final()
    assert r.status == 200 and "keep-alive" not in r.tokens("connection")
    c.expect_closed()
    c = connect()
    for _ in range(3):
        c.send(request("GET", "/hello", {"Connection": "keep-alive"},
                       version="1.0"))
        r = c.final()
        assert r.status == 200 and "keep-alive" in r.tokens("connection")
        assert "content-length" in r


def test_close_is_announced_and_done(server, connect):
    c = connect()
    c.send(request("GET", "/hello", {"Connection": "close"}))
    assert "close" in c.final().tokens("connection")
    c.expect_closed()


def test_requests_per_connection_are_limited(corelane):
    srv = corelane({"limits": {"requests_per_connection": 3}}, workers=1)
    with srv.connect() as c:
        c.send(request("GET", "/hello") * 5)
        answers = [c.final() for _ in range(3)]
        assert [r.closes for r in answers] == [False, False, True]
        c.expect_closed(reset_ok=False)


def test_a_half_closed_client_still_gets_its_answers(server, connect):
    c = connect()
    c.send(request("GET", "/hello") * 3)
    c.finish_sending()
    assert [c.final().status for _ in range(3)] == [200] * 3
    c.expect_closed()


# -- pipelining ------------------------------------------------------------

@pytest.mark.parametrize("depth", [1, 2, 3, 7, 16, 33, 64])
def test_a_pipeline_is_answered_in_order(server, connect, depth):
    c = connect()
    bodies = [b"%d:" % i + b"x" * (i * 37 % 400) for i in range(depth)]
    c.send(b"".join(request("POST", "/echo", body=b) for b in bodies))
    assert [c.final().body for _ in bodies] == bodies
    c.probe()


def test_a_pipeline_with_every_kind_of_answer(server, connect):
    one = [("GET", "/hello", b""), ("HEAD", "/hello", b""),
           ("POST", "/echo", b"abc"), ("GET", "/empty", b""),
           ("GET", "/nope", b""), ("DELETE", "/hello", b""),
           ("OPTIONS", "/hello", b"")]
    c = connect()
    c.send(b"".join(request(m, t, body=b) for m, t, b in one) * 8)
    for _ in range(8):
        statuses = [c.final(m).status for m, _, _ in one]
        assert statuses[:6] == [200, 200, 200, 204, 404, 405]
        assert statuses[6] in (200, 204)
    c.probe()


def test_a_pipeline_may_be_cut_anywhere(server):
    first = request("GET", "/hello")
    second = request("POST", "/echo", body=b"second")
    both = first + second
    for at in range(1, len(both)):
        with server.connect() as c:
            c.send(both[:at])
            if at >= len(first):        # the first must not wait for more
                assert c.final().body == b"Hello, World!"
                c.send(both[at:])
            else:
                c.send(both[at:])
                assert c.final().body == b"Hello, World!"
            assert c.final().body == b"second"


def test_a_long_pipeline_with_a_partial_tail(server, connect):
    c = connect()
    tail = request("POST", "/echo", body=b"the tail")
    for cut in (1, 20, len(tail) - 3):
        c.send(request("GET", "/hello") * 50 + tail[:cut])
        for _ in range(50):
            assert c.final().status == 200
        c.send(tail[cut:])
        assert c.final().body == b"the tail"


def test_a_very_long_pipeline_of_a_slow_reader(server, connect):
    c = connect(rcvbuf=4096)
    count, one = 4000, request("GET", "/hello")
    import threading
    sender = threading.Thread(target=lambda: c.send(one * count))
    sender.start()
    assert all(c.final().status == 200 for _ in range(count))
    sender.join()
    c.probe()


def test_random_traffic_random_cuts(server):
    """Random requests, cut at random places; seeded, so that it can be run
    again."""
    for seed in range(20):
        dice = random.Random(seed)
        wanted, data = [], b""
        for _ in range(20):
            body = dice.randbytes(dice.choice((0, 1, 5, 1000, 20000)))
            if dice.random() < 0.5 and body:
                data += request("POST", "/echo",
                                {"Transfer-Encoding": "chunked"})
                data += chunked(body, dice.randrange(1, 3000))
            else:
                data += request("POST", "/echo",
                                {"Content-Length": str(len(body))}, body)
            wanted.append(body)
        cuts = sorted(dice.randrange(len(data)) for _ in range(30))
        with server.connect() as c:
            c.send_split(data, *cuts)
            assert [c.final().body for _ in wanted] == wanted, seed


# -- 100-continue ----------------------------------------------------------

EXPECT = {"Expect": "100-continue"}


def test_continue_is_sent_when_a_body_is_awaited(server, connect):
    c = connect()
    c.send(request("POST", "/echo", {**EXPECT, "Content-Length": "5"}))
    assert c.response().status == 100
    c.send(b"hello")
    r = c.response()
    assert (r.status, r.body) == (200, b"hello")
    c.send(request("POST", "/echo",
                   {**EXPECT, "Transfer-Encoding": "chunked"}))
    assert c.response().status == 100
    c.send(chunked(b"again"))
    assert c.response().body == b"again"
    c.probe()


@pytest.mark.parametrize("target,headers,status", [
    ("/echo", {"Content-Length": "99999999"}, 413),
    ("/echo", {"Transfer-Encoding": "gzip, chunked"}, 501),
    ("/nope", {"Content-Length": "5"}, 404),
    ("/hello", {"Content-Length": "5"}, 405),
])
def test_continue_is_not_sent_when_it_is_refused(server, connect, target,
                                                 headers, status):
    c = connect()
    c.send(request("POST", target, {**EXPECT, **headers}))
    r = c.response()
    assert r.status == status
    if r.closes:
        c.finish_sending()
        c.expect_closed()


def test_continue_is_not_sent_without_need(server, connect):
    c = connect()
    c.send(request("GET", "/hello", EXPECT))
    assert c.response().status == 200
    c.send(request("POST", "/echo", {**EXPECT, "Content-Length": "5"},
                   version="1.0") + b"hello")
    assert c.response().status == 200


# -- bodies ----------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4095, 4096, 65535, 65536,
                                  65537, 262144, 1048576])
def test_an_echo_is_exact(server, connect, size):
    body = random.Random(size).randbytes(size)
    c = connect()
    c.send(request("POST", "/echo", {"Content-Length": str(size)}, body))
    assert c.final().body == body
    c.send(request("POST", "/echo", {"Transfer-Encoding": "chunked"})
           + chunked(body, 7000))
    assert c.final().body == body
    c.probe()


def test_an_echo_keeps_the_type_it_was_given(server):
    r = server.request("POST", "/echo", {"Content-Type": "text/x-mine"},
                       b"abc")
    assert r["content-type"] in ("text/x-mine", "application/octet-stream")


def test_chunks_of_one_byte(server, connect):
    body = bytes(range(256)) * 4
    c = connect()
    c.send(request("POST", "/echo", {"Transfer-Encoding": "chunked"})
           + chunked(body, 1, b"X-Trailer: dropped\r\n"))
    r = c.final()
    assert r.body == body and "x-trailer" not in r
    c.probe()


def open_temporaries(server):
    """Files the workers hold that have no name, or one outside its place."""
    found = []
    for pid in server.worker_pids():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                path = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if "(deleted)" in path and "memfd:" not in path:
                found.append(path)
    return found


@pytest.mark.parametrize("size", [16383, 16384, 16385, 200000, 1048576])
def test_a_large_body_spills_and_is_exact(spilling, size):
    body = random.Random(size).randbytes(size)
    with spilling.connect() as c:
        c.send(request("POST", "/echo", body=body))
        assert c.final().body == body
        c.probe()
    wait_until(lambda: not open_temporaries(spilling),
               "the temporary file to be closed")


def test_spilled_bodies_leave_no_file_and_no_memory(spilling):
    body = os.urandom(1 << 20)

    def names():
        return sorted(os.path.join(d, f) for d, _, fs in
                      os.walk(spilling.dir) for f in fs)
    spilling.request("POST", "/echo", body=body)
    before, files = spilling.worker_memory(), names()
    clients = [spilling.connect() for _ in range(32)]
    for c in clients:       # each has all but its last byte with the server
        c.send(request("POST", "/echo", body=body)[:-1])
    growth = spilling.worker_memory() - before
    assert growth < 32 * (1 << 20) / 4, growth
    for c in clients[::2]:
        c.send(body[-1:])
        assert c.final().body == body
    for c in clients:       # half of them give up
        c.close()
    wait_until(lambda: not open_temporaries(spilling),
               "abandoned temporary files to be closed")
    assert names() == files
    assert spilling.stats()


def test_an_abandoned_body_harms_nobody(server):
    for data in (request("POST", "/echo", {"Content-Length": "100000"}),
                 request("POST", "/echo", {"Content-Length": "5"}) + b"hel",
                 request("POST", "/echo", {"Transfer-Encoding": "chunked"})
                 + b"5\r\nhe"):
        for give_up in ("close", "abort"):
            c = server.connect()
            c.send(data)
            getattr(c, give_up)()
    assert server.get("/hello").status == 200


# -- real clients ----------------------------------------------------------

def curl(server, *words):
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "20", *words], capture_output=True,
        check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl(server):
    url = f"http://127.0.0.1:{server.port}"
    assert curl(server, f"{url}/hello") == b"Hello, World!"
    assert curl(server, "--http1.0", f"{url}/hello") == b"Hello, World!"
    assert curl(server, "-d", "a=b", f"{url}/echo") == b"a=b"
    head = curl(server, "-I", f"{url}/hello")
    assert head.startswith(b"HTTP/1.1 200") and b"13" in head
    out = curl(server, "-o", "/dev/null", "-w", "%{http_code} %{num_connects}"
               "\n", f"{url}/hello", "-o", "/dev/null", f"{url}/nope")
    assert out == b"200 1\n404 0\n"


def test_curl_uploads_a_large_file(server, tmp_path):
    data = os.urandom(1 << 20)
    (tmp_path / "up").write_bytes(data)
    url = f"http://127.0.0.1:{server.port}/echo"
    for more in ((), ("-H", "Transfer-Encoding: chunked"),
                 ("-H", "Expect: 100-continue")):
        assert curl(server, "-T", str(tmp_path / "up"), "-X", "POST", *more,
                    url) == data


def test_ab_keeps_its_http_1_0_connection(server):
    done = subprocess.run(
        ["ab", "-q", "-k", "-n", "500", "-c", "8",
         f"http://127.0.0.1:{server.port}/hello"], capture_output=True,
        timeout=30, check=True, text=True)
    assert "Keep-Alive requests:    500" in done.stdout, done.stdout
    assert "Failed requests:        0" in done.stdout, done.stdout


def test_no_two_answers_for_one_connection_reset(server):
    """A refusal reaches a client that is still sending (lingering close)."""
    c = server.connect()
    c.send(request("POST", "/echo", {"Content-Length": "50000000"}))
    c.send(b"x" * 3000000)
    r = c.final()
    assert r.status == 413
    assert isinstance(r, wire.Response)
    c.close()
