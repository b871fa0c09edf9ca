# SPDX-License-Identifier: MIT
"""Routes: which of several patterns serves a path, hosts, methods."""
import pytest

from corelane import Corelane
from wire import request


def say(path, word, **more):
    return {"path": path, "handler": "respond", "body": word, **more}


ROUTES = [
    say("/", "root"),
    say("/a", "static a"),
    say("/a/", "static a slash"),
    say("/users/{id}", "plain"),
    say("/users/me", "static"),
    say("/users/{id:[0-9]+}", "number"),
    say("/users/{id}/posts", "posts"),
    say("/users/{id}/posts/{post}", "post"),
    say("/users/{path:.*}", "tail"),
    say("/users/me/settings", "settings"),
    say("/v/{major}", "version"),
    say("/files/{path:.*}", "files"),
    say("/code/{c:[a-z]{2}-[A-Z]{2}}", "code"),
    say("/alt/{c:a|bb}", "alternative"),
    say("/m", "get", methods=["GET"]),
    say("/m", "post", methods=["POST"]),
    say("/p", "put only", methods=["PUT"]),
    say("/m/{id:[0-9]+}", "number get", methods=["GET"]),
    say("/m/{id}", "any put", methods=["PUT"]),
    say("/h", "any host"),
    say("/h", "host one", host="one.example"),
    say("/only", "two", host="two.example"),
    say("/h/{id}", "any host's parameter"),
    say("/h/x", "host one's static", host="one.example"),
    say("/options", "mine", methods=["OPTIONS", "GET"]),
    say("/heads", "own head", methods=["HEAD"]),
    {"path": "/to/{name}", "handler": "redirect", "to": "/users/{name}"},
    {"path": "/to-permanent", "handler": "redirect", "to": "/a",
     "status": 308},
    {"path": "/to-elsewhere", "handler": "redirect",
     "to": "https://example.org/", "status": 301, "keep_query": False},
    {"path": "/teapot", "handler": "respond", "status": 418,
     "headers": {"X-Kind": "pot", "content-type": "text/tea"},
     "body": "short and stout"},
    {"path": "/list", "handler": "respond", "json": [1, "two", None]},
]


@pytest.fixture(scope="module")
def routed():
    server = Corelane({"workers": 1, "routes": ROUTES}).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path,word", [
    ("/", "root"),
    ("/a", "static a"),
    ("/a/", "static a slash"),
    ("/a?b=/users/me", "static a"),
    ("/users/me", "static"),                # static > expression > plain
    ("/users/mee", "plain"),
    ("/users/m", "plain"),
    ("/users/42", "number"),
    ("/users/42x", "plain"),
    ("/users/x42", "plain"),                # the whole segment must match
    ("/users/%34%32", "number"),
    ("/users/a%2Fb", "plain"),
    ("/users/me/settings", "settings"),
    ("/users/me/posts", "posts"),           # backs out of the static "me"
    ("/users/42/posts", "posts"),
    ("/users/42/posts/7", "post"),
    ("/users/42/posts/7/x", "tail"),
    ("/users/me/other", "tail"),
    ("/users/a/b/c/d", "tail"),
    ("/files/", "files"),
    ("/files/a", "files"),
    ("/files/a/b/../c", "files"),
    ("/v/1", "version"),
    ("/code/en-GB", "code"),
    ("/alt/a", "alternative"),
    ("/alt/bb", "alternative"),
    ("/h", "any host"),
    ("/h/x", "any host's parameter"),
])
def test_a_path_is_served_by(routed, path, word):
    r = routed.get(path)
    assert (r.status, r.body.decode()) == (200, word)


@pytest.mark.parametrize("path", [
    "/b", "/A", "/code/en-GBx", "/code/xen-GB", "/code/EN-gb", "/alt/ab",
    "/alt/abb", "/alt/b", "/v/", "/v/1/2", "/only", "/users", "/m/", "/a/b",
])
def test_a_path_is_not_there(routed, path):
    assert routed.get(path).status == 404


@pytest.mark.parametrize("host,path,word", [
    ("one.example", "/h", "host one"),
    ("ONE.Example", "/h", "host one"),
    ("one.example:8080", "/h", "host one"),
    ("two.example", "/h", "any host"),
    ("two.example", "/only", "two"),
    ("one.example", "/h/x", "host one's static"),
    ("one.example", "/a", "static a"),
    ("xone.example", "/h", "any host"),
])
def test_a_host_is_served_by(routed, host, path, word):
    r = routed.get(path, {"Host": host})
    assert (r.status, r.body.decode()) == (200, word)
    with routed.connect() as c:         # the authority of an absolute-form
        c.send(request("GET", f"http://{host}{path}", host="ignored"))
        assert c.final().body.decode() == word


def test_methods_of_one_path(routed):
    assert routed.get("/m").body == b"get"
    assert routed.request("POST", "/m").body == b"post"
    assert routed.request("HEAD", "/m").status == 200
    r = routed.request("DELETE", "/m")
    assert r.status == 405
    assert {"get", "head", "post"} <= set(r.tokens("allow"))
    assert "delete" not in r.tokens("allow")
    r = routed.get("/p")
    assert r.status == 405 and "put" in r.tokens("allow")
    assert "get" not in r.tokens("allow")


def test_a_method_of_a_lesser_pattern(routed):
    assert routed.get("/m/1").body == b"number get"
    r = routed.request("PUT", "/m/1")
    assert (r.status, r.body) in ((200, b"any put"), (405, r.body))
    if r.status == 405:
        assert "get" in r.tokens("allow")
    assert routed.request("PUT", "/m/x").body == b"any put"
    assert routed.get("/m/x").status == 405


def test_options_and_head_of_ones_own(routed):
    assert routed.request("OPTIONS", "/options").body == b"mine"
    r = routed.request("OPTIONS", "/m")
    assert r.status in (200, 204)
    assert {"get", "head", "post", "options"} <= set(r.tokens("allow"))
    assert routed.request("HEAD", "/heads").status == 200
    assert routed.get("/heads").status == 405


def test_respond(routed):
    r = routed.get("/teapot")
    assert r.status == 418 and r.body == b"short and stout"
    assert r["x-kind"] == "pot" and r["content-type"] == "text/tea"
    assert routed.get("/list").body.replace(b" ", b"") == b'[1,"two",null]'
    assert routed.get("/a")["content-type"].startswith("text/plain")


@pytest.mark.parametrize("target,status,location", [
    ("/to/anna", 302, "/users/anna"),
    ("/to/anna?x=1&y", 302, "/users/anna?x=1&y"),
    ("/to-permanent", 308, "/a"),
    ("/to-elsewhere?x=1", 301, "https://example.org/"),
])
def test_redirect(routed, target, status, location):
    r = routed.get(target)
    assert (r.status, r["location"]) == (status, location)


@pytest.mark.parametrize("name", [
    "%0d%0aX-Evil:%20yes", "%0aX-Evil:%20yes", "a%0d%0a%0d%0a<script>",
    "%2F%2Fevil.example", "a%20b", "%C3%A9", "%22%3E%3Cb%3E", "%7f",
])
def test_a_redirect_forges_no_field(routed, name):
    with routed.connect() as c:
        c.send(request("GET", f"/to/{name}"))
        r = c.final()               # the strict parser sees a raw CR or LF
        assert "x-evil" not in r
        assert r.status in (302, 400, 500)
        if r.status == 302:
            assert r["location"].startswith("/users/")
            assert not set(r["location"]) & set("\r\n <>\"\x7f")
            assert "//" not in r["location"]
        if not r.closes:
            c.probe("/a")


def test_the_route_table_can_be_seen(routed):
    code, out, _ = routed.command("routes")
    assert code == 0
    for route in ROUTES:
        assert route["path"] in out


def test_a_duplicate_route_is_a_config_error():
    server = Corelane({"routes": [say("/x/{a}", "1"), say("/x/{b}", "2")]})
    code, _, err = server.command("check")
    assert code == 1 and "routes[1]" in err, err


def test_a_bad_expression_is_a_config_error():
    server = Corelane({"routes": [say("/x/{a:[}", "1")]})
    code, _, err = server.command("check")
    assert code == 1 and "routes[0]" in err, err


def test_an_expensive_expression_stops_nobody(corelane):
    srv = corelane({"routes": [say("/x/{a:(a+)+b}", "1"),
                               say("/hello", "hello")]}, workers=1)
    r = srv.get("/x/" + "a" * 2000)
    assert r.status in (404, 500)
    assert srv.get("/hello").body == b"hello"


def test_a_thousand_routes(corelane):
    routes = [say(f"/r{i}/{{id}}/{'x' * (i % 7)}z", str(i))
              for i in range(1000)]
    srv = corelane({"routes": routes}, workers=1)
    with srv.connect() as c:
        for i in range(0, 1000, 37):
            c.send(request("GET", f"/r{i}/7/{'x' * (i % 7)}z"))
            assert c.final().body == str(i).encode()
