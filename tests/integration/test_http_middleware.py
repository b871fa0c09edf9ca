# SPDX-License-Identifier: MIT
"""Each middleware from the outside, over every kind of answer."""
import gzip
import json
import re

import pytest

from corelane import Corelane
from wire import request

ORIGIN = "https://app.example"


def say(path, *middleware, **more):
    return {"path": path, "handler": "respond", "body": "x" * 2000,
            "middleware": list(middleware), **more}


CONFIG = {
    "workers": 1,
    "middleware": [{"use": "request_id"}, {"use": "security_headers"}],
    "routes": [
        say("/plain"),
        say("/any", {"use": "cors", "origins": ["*"]}),
        say("/cors", {"use": "cors", "origins": [ORIGIN, "https://b.example"],
                      "methods": ["GET", "PUT"], "headers": ["X-Mine"],
                      "expose": ["X-Seen"], "credentials": True,
                      "max_age": "10m"}, methods=["GET", "PUT"]),
        say("/headers", {"use": "headers",
                         "set": {"X-Set": "new", "Content-Type": "text/new"},
                         "add": {"X-Add": "two"}, "remove": ["X-Gone"]},
            headers={"X-Set": "old", "X-Add": "one", "X-Gone": "gone"}),
        say("/time", {"use": "response_time"}),
        say("/denied", {"use": "ip_filter", "deny": ["127.0.0.0/8"]}),
        say("/allowed", {"use": "ip_filter", "allow": ["127.0.0.1"]}),
        say("/others", {"use": "ip_filter", "allow": ["127.0.0.2/32"]}),
        say("/both", {"use": "ip_filter", "allow": ["127.0.0.0/8"],
                      "deny": ["127.0.0.1"]}),
        say("/gzip", {"use": "compress"}),
        say("/order", {"use": "headers", "set": {"X-Order": "first"}},
            {"use": "headers", "add": {"X-Order": "second"}}),
        say("/tracing", {"use": "request_id", "header": "X-Trace-ID",
                         "trust": False}),
        {"path": "/echo", "handler": "echo",
         "middleware": [{"use": "compress"}]},
    ],
}


@pytest.fixture(scope="module")
def guarded():
    server = Corelane(CONFIG).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


# -- request_id ------------------------------------------------------------

def test_a_request_gets_an_id(guarded):
    ids = {guarded.get("/plain")["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9-]{8,64}", one) for one in ids)


def test_a_sane_id_is_kept(guarded):
    r = guarded.get("/plain", {"X-Request-ID": "abc-123_x.y"})
    assert r["x-request-id"] == "abc-123_x.y"


@pytest.mark.parametrize("bad", ["a b", "x" * 2000, "<script>", "a\"b",
                                 "\xff", "", "a,b;c=(d)"])
def test_a_strange_id_is_replaced(guarded, bad):
    r = guarded.get("/plain", {"X-Request-ID": bad})
    assert r["x-request-id"] and r["x-request-id"] != bad or bad == "a,b;c=(d)"


def test_an_error_names_its_request(guarded):
    r = guarded.get("/nope", {"X-Request-ID": "find-me"})
    assert r["x-request-id"] == "find-me"
    assert json.loads(r.body)["error"]["request_id"] == "find-me"


def trace_of(answer):
    """The trace that the server says it goes on with."""
    return (answer.get("traceparent", "") + answer["x-request-id"]).lower()


def test_a_trace_goes_on(guarded):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    r = guarded.get("/plain",
                    {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert trace in trace_of(r)
    for bad in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01",
                f"ff-{trace}-00f067aa0ba902b7-01",
                f"00-{trace.upper()}-00f067aa0ba902b7-01",
                f"00-{trace}-{'0' * 16}-01", "nonsense", f"00-{trace[:-1]}"):
        r = guarded.get("/plain", {"traceparent": bad})
        assert trace not in trace_of(r), bad


def test_an_untrusted_id_is_not_kept(guarded):
    r = guarded.get("/tracing", {"X-Trace-ID": "mine"})
    assert r["x-trace-id"] != "mine"


# -- security_headers ------------------------------------------------------

@pytest.mark.parametrize("target", ["/plain", "/nope", "/denied"])
def test_security_headers_are_on_every_answer(guarded, target):
    r = guarded.get(target)
    assert r["x-content-type-options"] == "nosniff"
    assert r["x-frame-options"] == "DENY"
    assert "content-security-policy" in r
    assert "referrer-policy" not in r       # empty: not sent


# -- cors ------------------------------------------------------------------

def test_cors_for_anyone(guarded):
    r = guarded.get("/any", {"Origin": ORIGIN})
    assert r["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in r


def test_cors_for_named_origins(guarded):
    r = guarded.get("/cors", {"Origin": ORIGIN})
    assert r["access-control-allow-origin"] == ORIGIN
    assert r["access-control-allow-credentials"] == "true"
    assert r.tokens("access-control-expose-headers") == ["x-seen"]
    assert "origin" in r.tokens("vary")


@pytest.mark.parametrize("origin", [
    "https://evil.example", ORIGIN + ".evil.example", "http://app.example",
    "null", ORIGIN + ":444", "https://xapp.example", ORIGIN + "/",
])
def test_cors_for_others(guarded, origin):
    r = guarded.get("/cors", {"Origin": origin})
    assert "access-control-allow-origin" not in r
    assert "access-control-allow-credentials" not in r
    assert "origin" in r.tokens("vary")     # or a cache would mix them up


def test_no_origin_still_varies(guarded):
    r = guarded.get("/cors")
    assert "access-control-allow-origin" not in r
    assert "origin" in r.tokens("vary")


def preflight(server, target, origin, method, headers=None):
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        fields["Access-Control-Request-Headers"] = headers
    return server.request("OPTIONS", target, fields)


def test_a_preflight_is_answered(guarded):
    r = preflight(guarded, "/cors", ORIGIN, "PUT", "x-mine")
    assert r.status in (200, 204)
    assert r["access-control-allow-origin"] == ORIGIN
    assert {"get", "put"} <= set(r.tokens("access-control-allow-methods"))
    assert "x-mine" in r.tokens("access-control-allow-headers")
    assert r["access-control-max-age"] == "600"
    assert r["access-control-allow-credentials"] == "true"
    assert "origin" in r.tokens("vary")


def test_a_preflight_of_a_stranger_is_not_allowed(guarded):
    r = preflight(guarded, "/cors", "https://evil.example", "PUT")
    assert "access-control-allow-origin" not in r
    assert r.status in (200, 204, 403)


def test_options_without_a_preflight_is_options(guarded):
    r = guarded.request("OPTIONS", "/cors", {"Origin": ORIGIN})
    assert r.status in (200, 204) and "put" in r.tokens("allow")


def test_credentials_for_anyone_are_a_config_error():
    server = Corelane({"routes": [say("/x", {
        "use": "cors", "origins": ["*"], "credentials": True})]})
    code, _, err = server.command("check")
    assert code == 1 and "credentials" in err


# -- headers, response_time, ip_filter, order ------------------------------

def test_headers_are_set_added_and_removed(guarded):
    r = guarded.get("/headers")
    assert r["x-set"] == "new"
    assert r["content-type"] == "text/new"
    assert r.all("x-add") == ["one", "two"] or r["x-add"] == "one, two"
    assert "x-gone" not in r


def test_a_header_that_could_forge_is_a_config_error():
    for fields in ({"X-A": "a\r\nX-Evil: b"}, {"X A": "b"}, {"X-A": "a\0b"},
                   {"Content-Length": "5"}, {"Transfer-Encoding": "x"}):
        server = Corelane({"routes": [say("/x", headers=fields)]})
        code, _, err = server.command("check")
        assert code == 1 and "corelane.json:" in err, (fields, err)


def test_response_time(guarded):
    assert re.search(r"\d", guarded.get("/time")["x-response-time"])
    assert "x-response-time" not in guarded.get("/plain")


@pytest.mark.parametrize("target,status", [
    ("/denied", 403), ("/allowed", 200), ("/others", 403), ("/both", 403),
])
def test_ip_filter(guarded, target, status):
    assert guarded.get(target).status == status


def test_ip_filter_sees_the_peer_and_not_a_header(guarded):
    r = guarded.get("/others", {"X-Forwarded-For": "127.0.0.2",
                                "X-Real-IP": "127.0.0.2"})
    assert r.status == 403
    with guarded.connect(source="127.0.0.2") as c:
        c.send(request("GET", "/others"))
        assert c.final().status == 200


def test_the_order_of_the_config_is_kept(guarded):
    r = guarded.get("/order")
    assert set(r.tokens("x-order")) <= {"first", "second"}
    assert "first" in r.tokens("x-order")


# -- compress --------------------------------------------------------------

def test_compress(guarded):
    plain = guarded.get("/gzip")
    if "vary" not in plain and "content-encoding" not in guarded.get(
            "/gzip", {"Accept-Encoding": "gzip"}):
        pytest.skip("built without compression")
    assert "content-encoding" not in plain and len(plain.body) == 2000
    r = guarded.get("/gzip", {"Accept-Encoding": "gzip"})
    assert r["content-encoding"] == "gzip"
    assert gzip.decompress(r.body) == plain.body
    assert "accept-encoding" in r.tokens("vary")
    assert "accept-encoding" in plain.tokens("vary")
    for refusal in ("gzip;q=0", "identity", "*;q=0, identity", "x-foo", ""):
        r = guarded.get("/gzip", {"Accept-Encoding": refusal})
        assert r.body == plain.body and "content-encoding" not in r, refusal
    head = guarded.request("HEAD", "/gzip", {"Accept-Encoding": "gzip"})
    assert head.status == 200 and head.body == b""


# -- timeout ---------------------------------------------------------------

def test_an_unknown_middleware_is_a_config_error():
    server = Corelane({"middleware": [{"use": "secrity_headers"}]})
    code, _, err = server.command("check")
    assert code == 1 and "security_headers" in err, err
