# SPDX-License-Identifier: MIT
"""Health, readiness, metrics, statistics, the access log, raw TCP."""
import json
import os
import re
import threading

import pytest

import wire
from corelane import Corelane, wait_until
from wire import request

SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|'
    r'\\[\\"n])*",?)*\})? ([-+]?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|Inf|NaN))'
    r"( -?\d+)?")


def parse_metrics(text):
    """Prometheus text, strictly: {name{labels}: value}, types by family."""
    samples, types, last_family, closed = {}, {}, None, set()
    for line in text.split("\n"):
        if not line or line == "# EOF":
            continue
        m = re.fullmatch(r"# (HELP|TYPE|UNIT) (\S+) (.*)", line)
        if m:
            if m[1] == "TYPE":
                assert m[2] not in types, f"TYPE twice: {line}"
                types[m[2]] = m[3]
            continue
        m = SAMPLE.fullmatch(line)
        assert m, f"not a sample: {line!r}"
        key = m[1] + (m[2] or "")
        assert key not in samples, f"sample twice: {key}"
        samples[key] = float(m[3])
        family = re.sub(r"_(total|bucket|sum|count)$", "", m[1])
        if family != last_family:
            assert family not in closed, f"{family} is not in one piece"
            closed.add(last_family)
            last_family = family
    return samples, types


@pytest.fixture(scope="module")
def watched():
    server = Corelane({
        "listen": [{"address": "127.0.0.1:0"},
                   {"address": "127.0.0.1:0", "protocol": "tcp",
                    "handler": "echo"}],
    }).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def total(server, field):
    stats = server.stats()
    for place in (stats, stats.get("total", {}), stats.get("totals", {})):
        if field in place:
            return place[field]
    raise AssertionError(f"no {field} in {json.dumps(stats)[:500]}")


# -- health and readiness --------------------------------------------------

def test_health_and_ready(watched):
    for target in ("/health", "/ready"):
        r = watched.get(target, port=watched.admin_port)
        assert r.status == 200 and r.body
        assert watched.get(target).status == 404    # not on the public port
        r = watched.request("HEAD", target, port=watched.admin_port)
        assert r.status == 200
        r = watched.request("POST", target, port=watched.admin_port)
        assert r.status == 405


def test_the_admin_address_serves_no_public_route(watched):
    assert watched.get("/hello", port=watched.admin_port).status == 404


def test_handlers_can_stand_on_public_routes(corelane):
    srv = corelane({"admin": None, "routes": [
        {"path": f"/{name}", "handler": name}
        for name in ("health", "ready", "metrics", "stats")]})
    for name in ("health", "ready", "metrics", "stats"):
        assert srv.get(f"/{name}").status == 200
    json.loads(srv.get("/stats").body)


# -- metrics and stats -----------------------------------------------------

def test_metrics_are_prometheus_text(watched):
    r = watched.get("/metrics", port=watched.admin_port)
    assert r.status == 200
    assert r["content-type"].startswith("text/plain")
    assert "version=0.0.4" in r["content-type"]
    text = r.body.decode()
    assert text.endswith("\n") and "# EOF" not in text
    samples, types = parse_metrics(text)
    assert any(k.startswith("corelane_requests_total") for k in samples)
    assert "histogram" in types.values()
    assert all(t in ("counter", "gauge", "histogram", "summary", "info",
                     "stateset", "untyped", "unknown")
               for t in types.values())


def test_metrics_are_openmetrics_by_accept(watched):
    r = watched.get("/metrics", {"Accept": "application/openmetrics-text; "
                                           "version=1.0.0"},
                    port=watched.admin_port)
    assert r["content-type"].startswith("application/openmetrics-text")
    text = r.body.decode()
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1
    samples, types = parse_metrics(text)
    for family, kind in types.items():
        if kind == "counter":       # OpenMetrics: the family has no _total
            assert not family.endswith("_total"), family
            assert any(k.startswith(family + "_total") for k in samples)


def test_histograms_add_up(watched):
    watched.get("/hello")
    text = watched.get("/metrics", port=watched.admin_port).body.decode()
    samples, types = parse_metrics(text)
    for family, kind in types.items():
        if kind != "histogram":
            continue
        buckets = [(k, v) for k, v in samples.items()
                   if k.startswith(family + "_bucket")]
        by_series = {}
        for key, value in buckets:
            le = re.search(r'le="([^"]*)"', key)[1]
            series = re.sub(r',?le="[^"]*"', "", key)
            by_series.setdefault(series, []).append((float(le), value))
        for series, rows in by_series.items():
            values = [v for _, v in sorted(rows)]
            assert values == sorted(values), series
            assert sorted(rows)[-1][0] == float("inf"), series
            labels = series[len(family + "_bucket"):].replace("{}", "")
            assert samples[family + "_count" + labels] == values[-1]
            assert family + "_sum" + labels in samples


def test_requests_are_counted_exactly(corelane):
    srv = corelane()
    with srv.connect() as c:
        c.send(request("GET", "/hello") * 40 + request("GET", "/nope") * 10)
        for _ in range(50):
            c.final()
    wait_until(lambda: total(srv, "responses_4xx") >= 10,
               "10 errors to be counted")
    # What /stats itself asks for is counted too, or isn't: at least ours.
    assert total(srv, "requests") >= 50
    assert total(srv, "responses_2xx") >= 40
    assert total(srv, "responses_4xx") == 10


def test_open_connections_are_counted(watched):
    held = [watched.connect() for _ in range(25)]
    for c in held:
        c.probe()
    wait_until(lambda: total(watched, "connections_active") >= 25,
               "25 open connections to be counted")
    for c in held:
        c.close()
    wait_until(lambda: total(watched, "connections_active") < 25,
               "closed connections to be uncounted")


def test_totals_never_fall_when_workers_go(corelane):
    srv = corelane(None, workers=3)
    for _ in range(60):
        srv.get("/hello")
    wait_until(lambda: total(srv, "requests") >= 60, "60 requests")
    assert srv.command("scale", "1")[0] == 0
    assert total(srv, "requests") >= 60
    assert len(srv.worker_pids()) == 1


# -- raw TCP ---------------------------------------------------------------

def test_tcp_echo(watched):
    before = total(watched, "tcp_messages")
    with wire.Client(watched.tcp_port) as c:
        for data in (b"hello", b"\0\xff\r\n", os.urandom(5000)):
            c.send(data)
            assert c._take(len(data)) == data
        wait_until(lambda: total(watched, "tcp_active") >= 1,
                   "the TCP connection to be counted")
        c.finish_sending()
        c.expect_closed()
    wait_until(lambda: total(watched, "tcp_messages") >= before + 3,
               "three messages to be counted")
    wait_until(lambda: total(watched, "tcp_active") == 0,
               "the TCP connection to be uncounted")


def test_tcp_echo_of_much(watched):
    data = os.urandom(4 << 20)
    with wire.Client(watched.tcp_port) as c:
        sender = threading.Thread(target=c.send, args=(data,))
        sender.start()
        assert c._take(len(data)) == data
        sender.join()


def test_tcp_echo_to_one_who_never_reads(watched):
    """The server stops reading; nobody else notices."""
    sent = 0
    with wire.Client(watched.tcp_port, rcvbuf=4096) as c:
        c.sock.settimeout(2)
        try:
            while sent < 64 << 20:
                sent += c.sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "the server never stopped reading"
        assert watched.get("/hello").status == 200
        with wire.Client(watched.tcp_port) as other:
            other.send(b"hi")
            assert other._take(2) == b"hi"
        c.abort()


# -- the access log --------------------------------------------------------

def entries(server, path="access.log"):
    try:
        with open(server.path(path), "rb") as f:
            return [json.loads(line) for line in f.read().splitlines()]
    except FileNotFoundError:
        return []


def field(entry, *names):
    for name in names:
        if name in entry:
            return entry[name]
    raise AssertionError(f"none of {names} in {entry}")


@pytest.fixture
def logged(corelane):
    return corelane({
        "access_log": {"format": "json", "file": "access.log"},
        "middleware": [{"use": "request_id"}],
        "limits": {"body_bytes": "1MiB"},
        "routes": [
            {"path": "/hello", "handler": "respond", "body": "Hello, World!",
             "methods": ["GET"]},
            {"path": "/quiet", "handler": "respond", "body": "x",
             "middleware": [{"use": "access_log", "when": "never"}]},
            {"path": "/echo", "handler": "echo"}]}, workers=1)


def test_a_line_tells_the_request(logged):
    logged.get("/hello?a=b", {"User-Agent": "tester/1",
                              "X-Request-ID": "line-1"})
    wait_until(lambda: entries(logged), "the access log's line")
    one = entries(logged)[0]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", one["time"])
    assert one["request_id"] == "line-1"
    assert field(one, "remote", "peer", "client",
                 "remote_addr").startswith("127.0.0.1")
    assert one["method"] == "GET"
    assert field(one, "target", "path", "uri").startswith("/hello")
    assert one["status"] == 200
    assert any(isinstance(v, int) and v == 13 for k, v in one.items()
               if "bytes" in k)
    assert any("duration" in k or "time" in k for k in one if k != "time")
    assert field(one, "user_agent", "agent") == "tester/1"


def test_every_answer_has_its_line(logged):
    for target in ("/hello", "/nope", "/quiet", "/hello%zz"):
        logged.get(target)
    logged.request("DELETE", "/hello")
    with logged.connect() as c:
        c.send(b"GET / HTTP/1.1\r\nX : y\r\n\r\n")
        c.final()
        c.expect_closed()
    with logged.connect() as c:
        c.send(request("GET", "/hello") * 5)
        for _ in range(5):
            c.final()
    wait_until(lambda: len(entries(logged)) >= 10, "10 lines")
    statuses = [e["status"] for e in entries(logged)]
    assert sorted(statuses) == [200] * 6 + [400, 400, 404, 405]


HOSTILE = [
    ("User-Agent", "quote\" back\\slash"), ("User-Agent", "\x1b[31mred"),
    ("User-Agent", "\xff\xfe\x80"), ("User-Agent", "tab\there"),
    ("User-Agent", "\u00e9".encode().decode("latin-1")),
    ("User-Agent", "},{\"status\":200"), ("User-Agent", "a" * 10000),
    ("User-Agent", "\xed\xa0\x80 \xc0\xaf"), ("Referer", "\"\\\xff"),
]


def test_hostile_bytes_stay_within_their_line(logged):
    sent = 0
    for name, value in HOSTILE:
        with logged.connect() as c:
            c.send(request("GET", "/hello", {name: value}))
            c.final()
            sent += 1
    for target in ("/%0a%22%7d", "/a%5c%22", "/\"", "/%ff%fe", "/%1b[2J"):
        logged.get(target)
        sent += 1
    with logged.connect() as c:
        c.send(b"G\x1b[31m\"ET /\xff\"\\ HTTP/1.1\r\n\r\n")
        c.final()
        sent += 1
    wait_until(lambda: len(entries(logged)) >= sent, f"{sent} lines")
    with open(logged.path("access.log"), "rb") as f:
        data = f.read()
    data.decode("utf-8")                    # valid, whatever came in
    assert not set(data) & (set(range(32)) - {10}) and 127 not in data
    assert len(data.splitlines()) == sent   # nobody forged a line


def test_the_combined_format(corelane):
    srv = corelane({"access_log": {"format": "combined",
                                   "file": "access.log"}}, workers=1)
    srv.get("/hello", {"User-Agent": "a\"b\\c\xff", "Referer": "r"})

    def text():
        try:
            with open(srv.path("access.log"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""
    wait_until(text, "the line")
    assert re.fullmatch(
        rb'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d '
        rb'[+-]\d{4}\] "GET /hello HTTP/1\.1" 200 13 "r" '
        rb'"a(\\"|\\x22)b(\\\\|\\x5[cC])c(\\x[fF]{2})"\n', text()), text()


def test_a_client_that_goes_away_has_a_line_too(logged):
    c = logged.connect()
    c.send(request("POST", "/echo", {"Content-Length": "100"}) + b"abc")
    c.abort()
    logged.get("/hello")
    wait_until(lambda: any(e["status"] == 200 for e in entries(logged)),
               "the next one's line")


def test_a_full_disk_blocks_nobody(corelane):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    srv = corelane({"access_log": {"format": "json", "file": "/dev/full"}},
                   workers=1)
    with srv.connect() as c:
        for _ in range(20):
            c.send(request("GET", "/hello") * 50)
            for _ in range(50):
                assert c.final().status == 200
