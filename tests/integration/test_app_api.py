# SPDX-License-Identifier: MIT
"""The articles' application from the outside, the same on both databases."""
import concurrent.futures
import http.server
import json
import os
import re
import signal
import threading
import time

import pytest

from apps import DATABASES, SECRET, bearer, database, serving, token
from corelane import Corelane, wait_until
from postgres import Postgres
from wire import request

ADA = {"name": "Ada Byron", "email": "byron@example.com"}
POST = {"title": "A title", "body": "A body.", "author": "Ada"}


def app(url, workers=2, config=None, timeout="20s", more=(), **over):
    """The configuration of a server with the application."""
    return {
        "workers": workers,
        "databases": {"main": {"url": url}},
        "modules": [{
            "name": "api", "file": "api.so", "config": config or {},
            "middleware": [
                *more,
                {"use": "api.tracking"},
                {"use": "timeout", "after": timeout, "status": 408},
                {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET,
                 "methods": ["POST", "PUT", "DELETE"]},
            ]}],
        **over}


@pytest.fixture(scope="module", params=DATABASES)
def url(request):
    with database(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def api(url):
    with serving(app(url, config={"failure_rate": 0})) as server:
        yield server


def call(server, method, path, body=None, headers=None):
    """A request with a token; JSON both ways."""
    data = b""
    fields = bearer() if headers is None else dict(headers)
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields.setdefault("Content-Type", "application/json")
    answer = server.request(method, path, fields, data)
    answer.json = json.loads(answer.body) if answer.body else None
    if answer.body:
        assert answer["content-type"].startswith("application/json")
    return answer


def unique(prefix="user"):
    return f"{prefix}.{time.monotonic_ns()}@example.com"


def create_user(server, version="v2", **over):
    body = {"name": "Someone", "email": unique(), **over}
    if version == "v1":
        del body["email"]
    answer = call(server, "POST", f"/api/{version}/users", body)
    assert answer.status == 201, answer
    return answer


def create_post(server, version="v2", **over):
    answer = call(server, "POST", f"/api/{version}/posts", {**POST, **over})
    assert answer.status == 201, answer
    return answer


def metric(server, name):
    text = server.get("/metrics", port=server.admin_port).body.decode()
    found = re.search(rf"^corelane_api_{name}(?:{{[^}}]*}})? (\d+)", text, re.M)
    return int(found.group(1)) if found else 0


# -- users -----------------------------------------------------------------

def test_a_list_of_users_in_the_first_version(api):
    answer = call(api, "GET", "/api/v1/users")
    assert answer.status == 200
    assert set(answer.json) == {"users", "version"}
    assert answer.json["version"] == "v1"
    assert {"user_id": 1, "version": "v1", "name": "Ada Lovelace"} \
        in answer.json["users"]


def test_a_list_of_users_in_the_second_version(api):
    answer = call(api, "GET", "/api/v2/users")
    assert answer.status == 200
    assert set(answer.json) == {"users", "version", "pagination"}
    assert answer.json["version"] == "v2"
    assert {"id": 1, "name": "Ada Lovelace"} in answer.json["users"]
    assert answer.json["pagination"]["page"] == 1
    assert answer.json["pagination"]["total"] >= 3


def test_a_user_in_both_versions(api):
    assert call(api, "GET", "/api/v1/users/2").json == {
        "user_id": 2, "version": "v1", "name": "Alan Turing"}
    assert call(api, "GET", "/api/v2/users/2").json == {
        "user_id": 2, "version": "v2", "profile": {
            "name": "Alan Turing", "email": "alan@example.com",
            "created_at": "2026-01-02T00:00:00Z"}}


def test_head_answers_as_get_does(api):
    got, head = (api.request(method, "/api/v1/users/1")
                 for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head["content-length"] == got["content-length"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_user_is_created_where_location_says(api, version):
    before = metric(api, "users_created_total")
    made = create_user(api, version, name="Zoë \"Z\" <b>\n")
    ident = made.json["user_id"]
    assert made["location"] == f"/api/{version}/users/{ident}"
    got = call(api, "GET", made["location"])
    assert (got.status, got.json) == (200, made.json)
    shown = made.json if version == "v1" else made.json["profile"]
    assert shown["name"] == "Zoë \"Z\" <b>\n"
    wait_until(lambda: metric(api, "users_created_total") > before,
               "the counter of users")


def test_a_user_knows_when_it_was_created(api):
    text = create_user(api).json["profile"]["created_at"]
    seconds = time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) \
        - time.timezone
    assert abs(seconds - time.time()) < 60


def test_a_change_in_the_first_version_keeps_what_it_cannot_see(api):
    email = unique()
    ident = create_user(api, email=email).json["user_id"]
    changed = call(api, "PUT", f"/api/v1/users/{ident}", {"name": "New"})
    assert (changed.status, changed.json) == (
        200, {"user_id": ident, "version": "v1", "name": "New"})
    profile = call(api, "GET", f"/api/v2/users/{ident}").json["profile"]
    assert (profile["name"], profile["email"]) == ("New", email)


def test_a_change_in_the_second_version(api):
    ident = create_user(api).json["user_id"]
    body = {"name": "Newer", "email": unique()}
    changed = call(api, "PUT", f"/api/v2/users/{ident}", body)
    assert changed.status == 200
    assert {k: changed.json["profile"][k] for k in body} == body
    assert call(api, "GET", f"/api/v2/users/{ident}").json == changed.json


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("what", ["users", "posts"])
def test_what_is_deleted_is_gone(api, version, what):
    if what == "users":
        ident = create_user(api).json["user_id"]
    else:
        ident = create_post(api).json["id"]
    path = f"/api/{version}/{what}/{ident}"
    gone = call(api, "DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    for method, body in (("GET", None), ("DELETE", None),
                         ("PUT", {**ADA, **POST})):
        again = call(api, method, path, body)
        assert (again.status, again.json) == (
            404, {"error": "Resource not found"}), method


def test_an_id_is_never_given_again(api):
    first = create_user(api).json["user_id"]
    call(api, "DELETE", f"/api/v1/users/{first}")
    assert create_user(api).json["user_id"] > first


def test_two_users_cannot_share_an_address(api):
    email = unique()
    create_user(api, email=email)
    again = call(api, "POST", "/api/v2/users", {"name": "B", "email": email})
    assert again.status == 409
    assert again.json["code"] == "CONFLICT" and email not in str(again.json)


# -- posts -----------------------------------------------------------------

def test_posts_in_both_versions(api):
    v1, v2 = (call(api, "GET", f"/api/{v}/posts").json for v in ("v1", "v2"))
    assert (v1["message"], v2["message"]) == ("Posts API v1", "Posts API v2")
    assert set(v1["posts"][0]) == {"id", "title", "author", "body"}
    assert set(v2["posts"][0]) == {"id", "title", "author", "created_at"}
    assert set(v2["pagination"]) == {"page", "total"}
    one = call(api, "GET", "/api/v1/posts/1").json
    assert (one["message"], one["id"]) == ("Posts API v1", 1)
    two = call(api, "GET", "/api/v2/posts/1").json
    assert (two["message"], two["body"]) == ("Posts API v2", one["body"])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_post_is_created_and_changed(api, version):
    made = create_post(api, version, body="漢字 & <b>")
    where = made["location"]
    assert where == f"/api/{version}/posts/{made.json['id']}"
    assert call(api, "GET", where).json == made.json
    assert (made.json["body"], made.json["author"]) == ("漢字 & <b>", "Ada")
    changed = call(api, "PUT", where, {"title": "T", "body": "B"})
    assert changed.status == 200
    assert (changed.json["title"], changed.json["author"]) == ("T", "ada")


def test_a_post_is_by_the_bearer_unless_it_says_otherwise(api):
    body = {"title": "T", "body": "B"}
    made = call(api, "POST", "/api/v1/posts", body, bearer(sub="grace"))
    assert made.json["author"] == "grace"


# -- pages -----------------------------------------------------------------

def test_pages_follow_each_other_and_end(url):
    with serving(app(url)) as server:
        for _ in range(7):
            create_post(server)
        seen, page = [], 1
        while True:
            answer = call(server, "GET",
                          f"/api/v2/posts?page={page}&per_page=3").json
            total = answer["pagination"]["total"]
            assert answer["pagination"]["page"] == page
            if not answer["posts"]:
                break
            assert len(answer["posts"]) <= 3
            seen += [post["id"] for post in answer["posts"]]
            page += 1
        assert seen == sorted(set(seen)) and len(seen) == total


@pytest.mark.parametrize("query, field", [
    ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"),
    ("page=", "page"), ("page=1.5", "page"), ("page=1000001", "page"),
    ("page=99999999999999999999", "page"), ("per_page=0", "per_page"),
    ("per_page=101", "per_page"), ("per_page=1;DROP+TABLE+users", "per_page"),
])
@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v2/posts"])
def test_a_page_that_makes_no_sense_is_refused(api, path, query, field):
    answer = call(api, "GET", f"{path}?{query}")
    assert answer.status == 400
    assert answer.json["code"] == "VALIDATION_ERROR"
    assert answer.json["message"] == f"Validation failed for field: {field}"


# -- what is refused -------------------------------------------------------

@pytest.mark.parametrize("method, path, body, field", [
    ("POST", "/api/v1/users", {}, "name"),
    ("POST", "/api/v1/users", {"name": ""}, "name"),
    ("POST", "/api/v1/users", {"name": "x" * 101}, "name"),
    ("POST", "/api/v1/users", {"name": 7}, "name"),
    ("POST", "/api/v1/users", {"name": None}, "name"),
    ("POST", "/api/v2/users", {"name": "A"}, "email"),
    ("POST", "/api/v2/users", {"name": "A", "email": "nope"}, "email"),
    ("POST", "/api/v2/users", {"name": "A", "email": "a b@c.d"}, "email"),
    ("POST", "/api/v2/users", {"name": "A", "email": ["a@b.c"]}, "email"),
    ("PUT", "/api/v1/users/1", {}, "name"),
    ("PUT", "/api/v2/users/1", {"email": "a@b.c"}, "name"),
    ("PUT", "/api/v1/users/x", {"name": "A"}, "id"),
    ("DELETE", "/api/v1/users/0", None, "id"),
    ("GET", "/api/v1/users/x", None, "id"),
    ("GET", "/api/v2/users/-1", None, "id"),
    ("GET", "/api/v2/users/99999999999999999999", None, "id"),
    ("POST", "/api/v1/posts", {"title": "T"}, "body"),
    ("POST", "/api/v2/posts", {"body": "B"}, "title"),
    ("POST", "/api/v2/posts", {**POST, "author": ""}, "author"),
    ("PUT", "/api/v2/posts/1", {**POST, "title": {}}, "title"),
    ("GET", "/api/performance?beside=nothing", None, "beside"),
    ("GET", "/api/retry?kind=nothing", None, "kind"),
    ("GET", "/api/slow?ms=-1", None, "ms"),
    ("GET", "/api/slow?ms=60001", None, "ms"),
])
def test_a_wrong_value_is_named(api, method, path, body, field):
    answer = call(api, method, path, body)
    assert answer.status == 400
    assert set(answer.json) == {"error", "message", "code"}
    assert answer.json["code"] == "VALIDATION_ERROR"
    assert answer.json["message"] == f"Validation failed for field: {field}"
    assert answer.json["error"].startswith(field + " ")


@pytest.mark.parametrize("body, headers, status", [
    (b"{", {}, 400), (b"[]", {}, 400), (b"\xff", {}, 400),
    (b'{"name":"A","name":"B"}', {}, 400),
    (b'{"name":"A"} x', {}, 400), (b"[" * 1000, {}, 400),
    (b"<name>A</name>", {"Content-Type": "text/xml"}, 415),
])
def test_content_that_is_no_json_is_refused(api, body, headers, status):
    answer = call(api, "POST", "/api/v1/users", body, {**bearer(), **headers})
    assert answer.status == status
    assert {"error", "message", "code"} >= set(answer.json) > {"error"}


def test_sql_in_a_value_stays_a_value(api):
    name = "'); DROP TABLE users; --"
    made = create_user(api, name=name)
    assert made.json["profile"]["name"] == name
    assert call(api, "GET", "/api/v1/users").status == 200


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/v1/users"), ("POST", "/api/v2/users"),
    ("PUT", "/api/v1/users/1"), ("DELETE", "/api/v2/users/1"),
    ("POST", "/api/v1/posts"), ("PUT", "/api/v2/posts/1"),
    ("DELETE", "/api/v1/posts/1"),
])
@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x.y.z"},
    {"Authorization": "Basic YTpi"},
    {"Authorization": "Bearer " + token(secret="x" * 40)},
    {"Authorization": "Bearer " + token(exp=1)},
], ids=["none", "empty", "nonsense", "basic", "forged", "expired"])
def test_who_writes_needs_a_token(api, method, path, headers):
    answer = call(api, method, path, {**ADA, **POST}, headers)
    assert answer.status == 401
    assert answer.json == {"error": "Authentication failed",
                           "code": "AUTH_REQUIRED"}
    assert answer["www-authenticate"].startswith("Bearer")


def test_a_token_may_not_permit_writing(api):
    answer = call(api, "POST", "/api/v1/users", ADA,
                  bearer(permissions=["read"]))
    assert answer.status == 403
    assert answer.json["code"] == "AUTH_ERROR"
    assert answer.json["message"] == "The token does not permit: write"


def test_nobody_writes_where_the_middleware_was_forgotten(url):
    config = app(url)
    config["modules"][0]["middleware"] = []
    with serving(config) as server:
        answer = call(server, "POST", "/api/v1/users", ADA)
    assert answer.status == 401
    assert answer.json["code"] == "AUTH_REQUIRED"


def test_a_token_by_corelane_token_is_good(api):
    code, out, err = api.command(
        "token", "--claims", '{"sub":"cli","permissions":["write"]}')
    assert code == 0, err
    made = call(api, "POST", "/api/v1/posts", {"title": "T", "body": "B"},
                {"Authorization": "Bearer " + out.strip()})
    assert (made.status, made.json["author"]) == (201, "cli")


@pytest.mark.parametrize("path", ["/api/v3/users", "/api/v0/posts/1",
                                  "/api/v10/users/1", "/api/v99/things"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_version_is_refused(api, method, path):
    answer = call(api, method, path)
    assert answer.status == 400
    assert answer.json["message"] == "Validation failed for field: version"


@pytest.mark.parametrize("path", ["/api/v1/things", "/api/v2/things/7",
                                  "/api/nothing", "/api/v1/users/1/posts"])
def test_another_resource_is_not_found(api, path):
    answer = call(api, "GET", path)
    assert (answer.status, answer.json) == (
        404, {"error": "Resource not found"})


@pytest.mark.parametrize("path, allowed", [
    ("/api/v1/users", {"get", "head", "post", "options"}),
    ("/api/v2/posts/1", {"get", "head", "put", "delete", "options"}),
    ("/api/health", {"get", "head", "options"}),
])
def test_another_method_is_not_allowed(api, path, allowed):
    answer = call(api, "PATCH", path)
    assert (answer.status, answer.json) == (
        405, {"error": "Method not allowed"})
    assert set(answer.tokens("allow")) == allowed


def test_errors_elsewhere_keep_the_shape_of_the_server(api):
    answer = api.get("/nope")
    assert answer.status == 404
    assert set(json.loads(answer.body)["error"]) >= {"code", "message"}


# -- the pages beside ------------------------------------------------------

def fibonacci():
    numbers = [0, 1]
    while len(numbers) < 30:
        numbers.append(numbers[-1] + numbers[-2])
    return [numbers[i % 30] for i in range(1000)]


@pytest.mark.parametrize("query, rows", [("", 3), ("?beside=query", 3),
                                         ("?beside=timer", 0)])
def test_a_computation_beside_a_query(api, query, rows):
    answer = call(api, "GET", "/api/performance" + query)
    assert answer.status == 200
    assert set(answer.json) == {"status", "data", "db_result",
                                "processing_time_ms", "timestamp"}
    assert answer.json["status"] == "success"
    assert answer.json["data"] == fibonacci()
    beside = answer.json["db_result"]
    assert set(beside) == {"query_result", "rows_affected",
                           "execution_time_ms"}
    assert beside["query_result"] == "success"
    assert beside["rows_affected"] >= rows
    if "timer" in query:
        assert beside["execution_time_ms"] >= 5
    taken = answer.json["processing_time_ms"]
    assert taken >= beside["execution_time_ms"] >= 0
    assert answer["x-processing-time"] == f"{taken}ms"
    assert abs(answer.json["timestamp"] - time.time()) < 60


def test_a_computation_holds_nobody_up(url):
    with serving(app(url, workers=1)) as server:
        with server.connect() as slow, server.connect() as quick:
            slow.send(request("GET", "/api/performance") * 3)
            for _ in range(20):
                quick.send(request("GET", "/hello"))
                assert quick.final("GET").status == 200
            for _ in range(3):
                assert slow.final("GET").status == 200
        assert "held the loop" not in server.log()


def test_retry_tries_again_and_tells_how_often(url):
    def attempts(server):
        return [call(server, "GET", "/api/retry").json.get("attempts", 0)
                for _ in range(12)]

    config = {"failure_rate": 0.5, "seed": 7, "retry_ms": 1}
    with serving(app(url, workers=1, config=config)) as server:
        first = attempts(server)
        assert set(first) > {1, 2}
        wait_until(lambda: metric(server, "retries_total") == sum(
            max(n - 1, 2 if n == 0 else 0) for n in first), "the counter")
    with serving(app(url, workers=1, config=config)) as server:
        assert attempts(server) == first


def test_without_failures_the_first_attempt_stands(api):
    answer = call(api, "GET", "/api/retry")
    assert answer.json["status"] == "success"
    assert answer.json["attempts"] == 1


@pytest.mark.parametrize("kind, status, code, tried", [
    ("database", 500, "DB_ERROR", 2), ("internal", 500, "INTERNAL_ERROR", 2),
    ("validation", 400, "VALIDATION_ERROR", 0)])
def test_what_always_fails_is_told_by_its_kind(
        url, kind, status, code, tried):
    config = {"failure_rate": 1, "retry_ms": 1}
    with serving(app(url, workers=1, config=config)) as server:
        answer = call(server, "GET", f"/api/retry?kind={kind}")
        assert answer.status == status
        assert set(answer.json) == {"error", "message", "code"}
        assert answer.json["code"] == code
        call(server, "GET", f"/api/retry?kind={kind}")
        wait_until(lambda: metric(server, "retries_total") == 2 * tried,
                   "the counter of retries")


def test_what_takes_too_long_is_cut_off(url):
    with serving(app(url, timeout="100ms")) as server:
        answer = call(server, "GET", "/api/slow?ms=60000")
        assert (answer.status, answer.json) == (
            408, {"error": "Request Timeout",
                  "message": "Request took too long to process"})
        answer = call(server, "GET", "/api/slow?ms=0")
        assert (answer.status, answer.json["waited_ms"]) == (200, 0)


def test_health_tells_what_is_so(api):
    answer = call(api, "GET", "/api/health")
    assert answer.status == 200
    assert set(answer.json) == {"status", "timestamp", "memory",
                                "connections", "uptime_seconds"}
    assert answer.json["status"] == "healthy"
    memory = answer.json["memory"]
    with open("/proc/meminfo", encoding="ascii") as f:
        real = {line.split(":")[0]: int(line.split()[1]) for line in f}
    total_mb = real["MemTotal"] // 1024
    assert abs(memory["used_mb"] + memory["available_mb"] - total_mb) <= 2
    assert 0 < memory["usage_percent"] < 100
    assert abs(memory["usage_percent"]
               - 100 * memory["used_mb"] / total_mb) < 1
    assert abs(answer.json["timestamp"] - time.time()) < 60


def test_health_counts_connections_and_requests(api):
    def connections():
        return call(api, "GET", "/api/health").json["connections"]

    before = connections()["total_processed"]
    with api.connect() as one, api.connect() as two:
        one.probe("/api/health")
        two.probe("/api/health")
        wait_until(lambda: connections()["active"] >= 3,
                   "the connections to be counted")
    wait_until(lambda: connections()["total_processed"] >= before + 3,
               "the requests to be counted")


def test_stats_are_measured(url):
    with serving(app(url, config={"failure_rate": 1, "retry_ms": 1})) as server:
        def stats():
            return call(server, "GET", "/api/stats").json

        for _ in range(4):
            assert call(server, "GET", "/api/retry").status == 500
            assert call(server, "GET", "/api/slow?ms=20").status == 200
        now = wait_until(
            lambda: (now := stats())["errors"] == 4 and now["requests"]
            * now["mean_time_ms"] >= 80 and now, "all of it to be counted")
    assert now["requests"] >= 8
    assert now["error_rate_percent"] == pytest.approx(
        100 * now["errors"] / now["requests"])
    assert now["workers"] == 2 and now["memory_bytes"] > 1 << 20


def test_every_answer_tells_the_counts(url):
    with serving(app(url)) as server, server.connect() as client:
        for count in range(5):
            client.send(request("GET", "/api/v1/users/1"))
            answer = client.final("GET")
            assert int(answer["x-active-connections"]) == 1
            assert int(answer["x-total-requests"]) == count


def test_the_log_has_a_line_at_the_start_and_one_at_the_end(url):
    more = [{"use": "api.logging"}]
    with serving(app(url, more=more)) as server:
        answer = server.get("/api/v1/users/1", {"User-Agent": "tester/1"})
        assert abs(int(answer["x-request-start"]) - time.time()) < 60
        wait_until(lambda: re.search(
            r"GET /api/v1/users/1: 200 in \d+ ms", server.log()), "the end")
        assert "GET /api/v1/users/1 from 127.0.0.1, tester/1" in server.log()


def test_a_path_of_its_own_can_be_bound_otherwise(url):
    config = app(url, routes=[
        {"path": "/api/v1/users/{id}", "handler": "api.user_v1",
         "middleware": [{"use": "headers", "set": {"X-Mine": "yes"}}]},
        {"path": "/people/{id}", "handler": "api.user_v1"}])
    with serving(config) as server:
        own, other = (call(server, "GET", path)
                      for path in ("/api/v1/users/1", "/people/1"))
        assert (own.status, other.status) == (200, 200)
        assert own.json == other.json and own["x-mine"] == "yes"
        ident = create_user(server, "v1").json["user_id"]
        assert call(server, "DELETE", f"/api/v1/users/{ident}").status == 204


def test_too_many_requests_are_told_in_its_shape(url):
    more = [{"use": "rate_limit", "requests": 2, "per": "1h", "burst": 2}]
    with serving(app(url, more=more)) as server:
        answers = [call(server, "GET", "/api/v1/users/1") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json == {"error": "Too many requests",
                               "message": "Rate limit exceeded",
                               "code": "RATE_LIMIT"}
    assert int(answers[2]["retry-after"]) > 0


# -- several at once -------------------------------------------------------

def test_many_write_at_once_and_nothing_is_lost(api):
    def total():
        return call(api, "GET", "/api/v2/users?per_page=1"
                    ).json["pagination"]["total"]

    before = total()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_user(api, "v1").json["user_id"],
                             range(80)))
    assert len(set(made)) == 80 and total() == before + 80


def test_clients_that_leave_hurt_nobody(api):
    paths = ["/api/performance", "/api/performance?beside=timer",
             "/api/v1/users", "/api/slow?ms=30000", "/api/retry",
             "/api/health"]
    post = request("POST", "/api/v1/posts", {
        **bearer(), "Content-Type": "application/json"},
        json.dumps(POST).encode())
    for turn in range(5):
        clients = [api.connect() for _ in range(2 * len(paths))]
        for i, client in enumerate(clients):
            client.send(request("GET", paths[i % len(paths)]))
        for i, client in enumerate(clients):
            if (i + turn) % 2:
                client.abort()
            else:
                client.close()
        with api.connect() as client:
            client.send(post[:-3])
            client.abort()
    assert call(api, "GET", "/api/v1/users/1").status == 200
    assert call(api, "GET", "/api/performance").status == 200


def test_workers_that_start_at_once_fill_the_tables_once():
    with serving(app("sqlite:fresh.db", workers=4)) as server:
        answer = call(server, "GET", "/api/v2/users").json
        assert answer["pagination"]["total"] == 3


def test_what_was_written_outlives_the_server(tmp_path):
    url = f"sqlite:{tmp_path}/kept.db"
    with serving(app(url)) as server:
        made = create_user(server).json
    with serving(app(url)) as server:
        assert call(server, "GET",
                    f"/api/v2/users/{made['user_id']}").json == made


# -- when things break -----------------------------------------------------

class Monitor(http.server.BaseHTTPRequestHandler):
    """Remembers what it is told."""
    told = []

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.told.append(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_dead_worker_is_reported_by_the_next():
    monitor = http.server.HTTPServer(("127.0.0.1", 0), Monitor)
    threading.Thread(target=monitor.serve_forever, daemon=True).start()
    where = f"http://127.0.0.1:{monitor.server_port}/crashes"
    try:
        with serving(app("sqlite:a.db", config={"monitor": where}),
                     crashes_ok=True) as server:
            victim = server.worker_pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: "a worker died" in server.log(), "the log")
            told = wait_until(lambda: Monitor.told, "the monitor")[0]
            assert (told["pid"], told["signal"]) == (victim, signal.SIGKILL)
            wait_until(lambda: metric(server, "crashes_total") == 1,
                       "the counter")
    finally:
        monitor.shutdown()
        monitor.server_close()


def check_is_out(server):
    answer = call(server, "GET", "/api/v1/users")
    assert answer.status == 503
    assert int(answer["retry-after"]) > 0
    assert answer.json == {"error": "Database error",
                           "message": "Database operation failed",
                           "code": "DB_ERROR"}


def test_a_database_that_comes_late_gets_its_tables():
    with Postgres() as pg:
        pg.stop()
        with serving(app(pg.url)) as server:
            check_is_out(server)
            assert call(server, "GET", "/api/health").json["status"] \
                == "degraded"
            answer = call(server, "GET", "/api/performance")
            assert (answer.status, answer.json["code"]) == (503, "DB_ERROR")
            assert "the tables can't be made yet" in server.log()
            pg.start()
            wait_until(lambda: server.log().count("the tables are made now")
                       == 2, "both workers to have seen to the tables")
            assert create_user(server).status == 201
            assert call(server, "GET", "/api/health").json["status"] \
                == "healthy"


def test_a_file_that_cannot_be_made_yet_gets_its_tables_later(tmp_path):
    folder = tmp_path / "later"
    with serving(app(f"sqlite:{folder}/api.db")) as server:
        check_is_out(server)
        folder.mkdir()
        wait_until(lambda: server.log().count("the tables are made now") == 2,
                   "both workers to have seen to the tables")
        assert create_user(server).status == 201


def test_a_database_that_goes_and_comes_back():
    with Postgres() as pg, serving(app(pg.url)) as server:
        made = create_user(server)
        pg.stop(signal.SIGQUIT)
        wait_until(lambda: call(server, "GET", "/api/v1/users").status == 503,
                   "the loss to be noticed")
        check_is_out(server)
        answer = call(server, "POST", "/api/v1/users", ADA)
        assert (answer.status, answer.json["code"]) == (503, "DB_ERROR")
        pg.start()
        wait_until(lambda: all(
            call(server, "GET", made["location"]).json == made.json
            for _ in range(8)), "every worker to use the database again")


def test_a_database_that_freezes_holds_up_nobody_else():
    with Postgres() as pg:
        config = app(pg.url)
        config["databases"]["main"]["timeout"] = "300ms"
        with serving(config) as server:
            made = create_user(server)
            pids = pg.freeze()
            try:
                answer = call(server, "GET", "/api/v1/users")
                assert (answer.status, answer.json["code"]) == (503,
                                                                "DB_ERROR")
                assert int(answer["retry-after"]) > 0
                assert server.get("/api/health").status == 200
            finally:
                pg.thaw(pids)
            wait_until(lambda: all(
                call(server, "GET", made["location"]).json == made.json
                for _ in range(8)), "every worker to use it again")


def test_a_module_without_its_database_says_so():
    config = app("sqlite:a.db")
    config["databases"] = {"other": {"url": "sqlite:a.db"}}
    server = Corelane(config, exit_code=None, crashes_ok=True)
    server.start(wait=False)
    try:
        assert server.wait_exit() == 1
        assert '"databases" has no "main"' in server.log()
    finally:
        server.finish()


@pytest.mark.parametrize("config, what", [
    ({"failure_rate": 2}, "failure_rate"), ({"retry_ms": "x"}, "retry_ms"),
    ({"monitor": "nowhere"}, "monitor"), ({"sede": 1}, "seed"),
])
def test_a_wrong_key_of_the_module_is_told(config, what):
    server = Corelane(app("sqlite:a.db", config=config))
    code, _, err = server.command("check")
    assert code == 1 and what in err
