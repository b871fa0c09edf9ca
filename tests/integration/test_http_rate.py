# SPDX-License-Identifier: MIT
"""How often a client may ask: all workers together, whatever becomes of
them."""
import base64
import hashlib
import hmac
import json
import os
import signal

import pytest

from corelane import Corelane, wait_until

SECRET = "0123456789abcdef0123456789abcdef"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(subject):
    text = ".".join(b64(json.dumps(part).encode())
                    for part in ({"alg": "HS256"}, {"sub": subject}))
    mac = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return [("Authorization", f"Bearer {text}.{b64(mac)}")]


def say(path, *middleware, **more):
    return {"path": path, "handler": "respond", "body": path,
            "middleware": list(middleware), **more}


def rate(requests=3, per="1h", **keys):
    return {"use": "rate_limit", "requests": requests, "per": per, **keys}


@pytest.fixture(scope="module")
def limited():
    server = Corelane({
        "workers": 1,
        "routes": [
            say("/ip", rate()),
            say("/other", rate()),
            say("/header", rate(by="header", name="X-API-Key")),
            say("/claim", {"use": "jwt", "algorithms": ["HS256"],
                           "secret": SECRET}, rate(by="claim", name="sub")),
            say("/users/{id}", rate(by="route")),
            say("/burst", rate(10, burst=2)),
            say("/busy", rate(1, status=503)),
            say("/quick", rate(1000, "1s", burst=1)),
        ],
    }).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def statuses(srv, path, count, headers=()):
    return [srv.get(path, headers).status for _ in range(count)]


def test_fields_tell_how_many_are_left(limited):
    for left in (2, 1, 0):
        r = limited.get("/ip")
        assert r.status == 200
        assert r["RateLimit-Limit"] == "3"
        assert r["RateLimit-Remaining"] == str(left)
        reset = int(r["RateLimit-Reset"])
        assert (2 - left) * 1200 < reset <= (3 - left) * 1200
        assert r["RateLimit"] == f'"default";r={left};t={reset}'
        assert r["RateLimit-Policy"] == '"default";q=3;w=3600'
        assert "Retry-After" not in r
    r = limited.get("/ip")
    assert r.status == 429
    assert json.loads(r.body)["error"]["code"] == "TOO_MANY_REQUESTS"
    assert r["RateLimit-Remaining"] == "0"
    assert 0 < int(r["Retry-After"]) <= 1200


def test_each_limit_counts_for_itself(limited):
    assert statuses(limited, "/other", 4) == [200, 200, 200, 429]


def test_by_header(limited):
    for key in ("a", "b"):
        assert statuses(limited, "/header", 4, [("x-api-key", key)]) == \
            [200, 200, 200, 429]
    # Without it the address counts.
    assert statuses(limited, "/header", 4) == [200, 200, 200, 429]


def test_by_claim(limited):
    for subject in ("ann", "bob", 7):
        assert statuses(limited, "/claim", 4, bearer(subject)) == \
            [200, 200, 200, 429]
    assert limited.get("/claim").status == 401


def test_by_route(limited):
    assert [limited.get(f"/users/{i}").status for i in range(4)] == \
        [200, 200, 200, 429]


def test_a_burst_of_its_own(limited):
    assert statuses(limited, "/burst", 3) == [200, 200, 429]


def test_a_status_of_its_own(limited):
    assert statuses(limited, "/busy", 2) == [200, 503]


def test_it_ends(limited):
    wait_until(lambda: limited.get("/quick").status == 200, "the first")
    wait_until(lambda: limited.get("/quick").status == 200, "another")


def test_refusals_are_counted(limited):
    before = limited.stats()["total"]["rate_limited"]
    statuses(limited, "/busy", 2)
    wait_until(lambda: limited.stats()["total"]["rate_limited"] > before,
               "the count")


def worker_pids(srv):
    return {w["index"]: w["pid"] for w in srv.status()["workers"]
            if w["state"] == "serving"}


def ask_all(srv, count, path="/"):
    """Over many connections, so that every worker gets some."""
    return sum(srv.get(path).status == 200 for _ in range(count))


def test_workers_count_together_and_survive(corelane):
    srv = corelane({"routes": [say("/", rate(60))]}, workers=4,
                   crashes_ok=True)
    got = ask_all(srv, 30)
    before = worker_pids(srv)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(worker_pids(srv)) == 4 and
               not set(worker_pids(srv).values()) & set(before.values()),
               "new workers")
    got += ask_all(srv, 20)
    assert srv.command("reload")[0] == 0
    got += ask_all(srv, 40)
    # None is forgotten; in a slow test one a minute may have come back.
    assert 60 <= got <= 62
    assert srv.get("/").status == 429


def test_another_limit_starts_anew(corelane):
    srv = corelane({"routes": [say("/", rate(2))]}, workers=1)
    assert ask_all(srv, 3) == 2
    srv.configure({"routes": [say("/", rate(4))]}, workers=1)
    assert srv.command("reload")[0] == 0
    assert ask_all(srv, 5) == 4


@pytest.mark.parametrize("keys, words", [
    ({"requests": 0}, ["requests", "1 to"]),
    ({"by": "header"}, ["name", "is missing"]),
    ({"by": "ip", "name": "x"}, ["name"]),
    ({"by": "host"}, ["by"]),
    ({"status": 200}, ["status"]),
    ({"requests": 1, "per": "1d", "burst": 1000}, ["burst", "a year"]),
    ({"per": "0s"}, ["per"]),
])
def test_what_is_refused(corelane, keys, words):
    srv = corelane({"routes": [say("/", {**rate(), **keys})]}, start=False)
    code, _, err = srv.command("check")
    assert code == 1
    for word in words:
        assert word in err, err
