# SPDX-License-Identifier: MIT
"""The framework benchmark's six tests, held to the rules by which it verifies
them, on both databases."""
import concurrent.futures
import email.utils
import html.parser
import json

import pytest

from apps import DATABASES, database, serving

FORTUNES = [
    (1, "fortune: No such file or directory"),
    (2, "A computer scientist is someone who fixes things that aren't "
        "broken."),
    (3, "After enough decimal places, nobody gives a damn."),
    (4, "A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1"),
    (5, "A computer program does what you tell it to do, not what you want "
        "it to do."),
    (6, "Emacs is a nice operating system, but I prefer UNIX. \u2014 Tom "
        "Christaensen"),
    (7, "Any program that runs right is obsolete."),
    (8, "A list is only as strong as its weakest link. \u2014 Donald Knuth"),
    (9, "Feature: A bug with seniority."),
    (10, "Computers make very fast, very accurate mistakes."),
    (11, "<script>alert(\"This should not be displayed in a browser alert "
         "box.\");</script>"),
    (12, "フレームワークのベンチマーク"),
    (0, "Additional fortune added at request time."),
]


def app(url, workers=2):
    return {"workers": workers, "databases": {"main": {"url": url}},
            "routes": [],
            "modules": [{"name": "techempower", "file": "techempower.so"}]}


@pytest.fixture(scope="module", params=DATABASES)
def bench(request):
    with database(request.param) as url, serving(app(url)) as server:
        yield server


def checked(server, path, content_type):
    """An answer with the header fields that the rules ask for."""
    answer = server.get(path)
    assert answer.status == 200, answer
    assert answer["server"]
    assert email.utils.parsedate_to_datetime(answer["date"])
    assert answer["content-type"].split(";")[0] == content_type
    assert "content-length" in answer or "transfer-encoding" in answer
    return answer


def check_world(world):
    assert set(world) == {"id", "randomNumber"}
    for value in world.values():
        assert type(value) is int and 1 <= value <= 10000


def worlds(server, path):
    return json.loads(checked(server, path, "application/json").body)


def test_plaintext(bench):
    answer = checked(bench, "/plaintext", "text/plain")
    assert answer.body == b"Hello, World!"


def test_plaintext_pipelined(bench):
    one = b"GET /plaintext HTTP/1.1\r\nHost: t\r\n\r\n"
    with bench.connect() as client:
        client.send(one * 16)
        for _ in range(16):
            assert client.final("GET").body == b"Hello, World!"


def test_json(bench):
    assert worlds(bench, "/json") == {"message": "Hello, World!"}


def test_one_query(bench):
    seen = [worlds(bench, "/db") for _ in range(20)]
    for world in seen:
        check_world(world)
    assert len({world["id"] for world in seen}) > 1


@pytest.mark.parametrize("path", ["/queries", "/updates"])
@pytest.mark.parametrize("query, count", [
    ("", 1), ("?queries=", 1), ("?queries=foo", 1), ("?queries=0", 1),
    ("?queries=-7", 1), ("?queries=2x", 1), ("?queries=1", 1),
    ("?queries=2", 2), ("?queries=20", 20), ("?queries=500", 500),
    ("?queries=501", 500), ("?queries=99999999999999999999", 500),
])
def test_how_many_rows(bench, path, query, count):
    found = worlds(bench, path + query)
    assert isinstance(found, list) and len(found) == count
    for world in found:
        check_world(world)


def test_many_queries_give_many_rows(bench):
    found = worlds(bench, "/queries?queries=500")
    assert len({world["id"] for world in found}) > 400


def test_an_update_is_what_is_read_afterwards(bench):
    wanted = {}
    for _ in range(3):
        wanted.update((world["id"], world["randomNumber"])
                      for world in worlds(bench, "/updates?queries=500"))
    seen = {}
    for _ in range(40):
        seen.update((world["id"], world["randomNumber"])
                    for world in worlds(bench, "/queries?queries=500"))
    both = set(wanted) & set(seen)
    assert len(both) > 500
    # One update may name a row twice; the last one stands.
    differing = [i for i in both if wanted[i] != seen[i]]
    assert len(differing) <= len(both) // 20


def test_updates_change_the_numbers(bench):
    before = {}
    for _ in range(30):
        before.update((world["id"], world["randomNumber"])
                      for world in worlds(bench, "/queries?queries=500"))
    after = worlds(bench, "/updates?queries=500")
    known = [world for world in after if world["id"] in before]
    assert len(known) > 200
    changed = [world for world in known
               if before[world["id"]] != world["randomNumber"]]
    assert len(changed) > 0.95 * len(known)


def test_updates_at_once_do_not_hold_each_other_up(bench):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: worlds(bench, "/updates?queries=100"),
                              range(24)))
    assert all(len(one) == 100 for one in found)


class Rows(html.parser.HTMLParser):
    """The cells of a table, row by row, and every other tag seen."""

    def __init__(self):
        super().__init__()
        self.rows, self.tags, self.declarations = [], [], []

    def handle_decl(self, decl):
        self.declarations.append(decl.lower())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_fortunes(bench):
    answer = checked(bench, "/fortunes", "text/html")
    assert "charset=utf-8" in answer["content-type"].lower()
    page = Rows()
    page.feed(answer.body.decode("utf-8"))
    assert page.declarations == ["doctype html"]
    assert page.tags[:7] == ["html", "head", "title", "body", "table", "tr",
                             "th"]
    assert page.rows[0] == ["id", "message"]
    wanted = sorted(FORTUNES, key=lambda row: row[1].encode())
    assert page.rows[1:] == [[str(i), text] for i, text in wanted]


def test_no_fortune_is_a_script(bench):
    body = bench.get("/fortunes").body
    assert b"<script" not in body
    assert b"&lt;script&gt;alert(&quot;This should not" in body


def test_the_page_is_the_benchmarks_to_the_byte(bench):
    answer = bench.get("/fortunes").body.decode()
    first = "<!DOCTYPE html><html><head><title>Fortunes</title></head>" \
        "<body><table><tr><th>id</th><th>message</th></tr><tr><td>11</td><td>"
    assert answer.startswith(first)
    assert answer.endswith("</td></tr></table></body></html>")


@pytest.mark.parametrize("path", ["/db", "/queries?queries=500",
                                  "/updates?queries=500", "/fortunes"])
def test_clients_that_leave_hurt_nobody(bench, path):
    for turn in range(20):
        client = bench.connect()
        client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        if turn % 2:
            client.abort()
        else:
            client.close()
    assert len(worlds(bench, "/updates?queries=20")) == 20
    assert len(worlds(bench, "/queries?queries=500")) == 500


def test_tables_are_filled_once_by_workers_that_start_at_once():
    with database("postgresql") as url:
        with serving(app(url, workers=4)) as server:
            assert len(worlds(server, "/queries?queries=500")) == 500
        with serving(app(url, workers=4)) as server:
            page = Rows()
            page.feed(server.get("/fortunes").body.decode())
            assert len(page.rows) == 1 + len(FORTUNES)
