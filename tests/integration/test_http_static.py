# SPDX-License-Identifier: MIT
"""Files: exact bytes, types, folders, and no way out of the root."""
import os
import socket

import pytest

import wire
from corelane import Corelane, wait_until
from wire import request

MIB = 1 << 20
LARGE = os.urandom(5 * MIB)
FILES = {
    "www/index.html": b"<h1>root</h1>",
    "www/a.txt": b"text",
    "www/empty.txt": b"",
    "www/large.bin": LARGE,
    "www/page.css": b"p{}",
    "www/page.js": b"1",
    "www/data.json": b"{}",
    "www/pic.svg": b"<svg/>",
    "www/pic.PNG": b"\x89PNG",
    "www/a.mine": b"mine",
    "www/none": b"no extension",
    "www/.hidden": b"hidden",
    "www/dir/index.html": b"<h1>dir</h1>",
    "www/dir/b.txt": b"b",
    "www/bare/b.txt": b"b",
    "www/a b%c.txt": b"odd name",
    "www/d\u00e9.txt": b"accent",
    "www/a\\b.txt": b"back slash",
    "www/changing": b"1",
    "secret.txt": b"SECRET",
    "www-secret/x.txt": b"SECRET",
}


@pytest.fixture(scope="module")
def site():
    server = Corelane({"workers": 1, "routes": [
        {"path": "/hello", "handler": "respond", "body": "Hello, World!"},
        {"path": "/f/{path:.*}", "handler": "static", "root": "www",
         "types": {".mine": "application/x-mine"}},
        {"path": "/i/{path:.*}", "handler": "static", "root": "www",
         "index": ["nope.html", "b.txt"]},
    ]}, files=FILES)
    root = server.path("www")
    os.symlink("a.txt", os.path.join(root, "inside"))
    os.symlink("../secret.txt", os.path.join(root, "outside"))
    os.symlink("/etc/passwd", os.path.join(root, "absolute"))
    os.symlink("..", os.path.join(root, "up"))
    os.symlink("loop", os.path.join(root, "loop"))
    os.symlink("gone", os.path.join(root, "dangling"))
    os.mkfifo(os.path.join(root, "pipe"))
    door = socket.socket(socket.AF_UNIX)
    door.bind(os.path.join(root, "door"))
    os.chmod(server.write("www/unreadable", b"x"), 0)
    server.start()
    yield server
    door.close()
    problems = server.finish()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path,body,media", [
    ("a.txt", b"text", "text/plain"),
    ("empty.txt", b"", "text/plain"),
    ("index.html", b"<h1>root</h1>", "text/html"),
    ("page.css", b"p{}", "text/css"),
    ("page.js", b"1", ("text/javascript", "application/javascript")),
    ("data.json", b"{}", "application/json"),
    ("pic.svg", b"<svg/>", "image/svg+xml"),
    ("pic.PNG", b"\x89PNG", "image/png"),
    ("a.mine", b"mine", "application/x-mine"),
    ("none", b"no extension", "application/octet-stream"),
    ("a%20b%25c.txt", b"odd name", "text/plain"),
    ("d%C3%A9.txt", b"accent", "text/plain"),
    ("a%5Cb.txt", b"back slash", "text/plain"),
    ("inside", b"text", "application/octet-stream"),
    ("dir/b.txt", b"b", "text/plain"),
    ("dir/../a.txt", b"text", "text/plain"),
    ("./a.txt?query=1", b"text", "text/plain"),
])
def test_a_file_is_served(site, path, body, media):
    with site.connect() as c:
        c.send(request("GET", f"/f/{path}") + request("HEAD", f"/f/{path}"))
        r, head = c.final("GET"), c.final("HEAD")
        assert (r.status, r.body) == (200, body)
        assert r["content-length"] == str(len(body))
        got = r["content-type"].split(";")[0]
        assert got in ((media,) if isinstance(media, str) else media)
        assert head.status == 200
        assert head["content-length"] == str(len(body))
        assert head["content-type"] == r["content-type"]
        c.probe()


def test_a_large_file_is_exact(site):
    with site.connect() as c:
        c.send((request("GET", "/f/large.bin") + request("GET", "/hello"))
               * 3)
        for _ in range(3):
            assert c.final().body == LARGE
            assert c.final().body == b"Hello, World!"
    assert site.get("/f/large.bin").body == LARGE


def test_a_large_file_through_a_small_window(site):
    with site.connect(rcvbuf=8192) as c:
        c.send(request("GET", "/f/large.bin"))
        assert c.final().body == LARGE
        c.probe()


def test_many_read_a_large_file_at_once(site):
    clients = [site.connect() for _ in range(12)]
    for c in clients:
        c.send(request("GET", "/f/large.bin"))
    for c in clients:
        assert c.final().body == LARGE
        c.close()


@pytest.mark.parametrize("path", ["", "?a=b"])
def test_a_folder_serves_its_index(site, path):
    assert site.get(f"/f/{path}").body == b"<h1>root</h1>"
    assert site.get(f"/f/dir/{path}").body == b"<h1>dir</h1>"
    r = site.get(f"/i/dir/{path}")          # the first that is there
    assert r.body == b"b" and r["content-type"].startswith("text/plain")


def test_a_folder_without_its_slash_is_a_redirect(site):
    r = site.get("/f/dir?a=b")
    assert r.status in (301, 302, 307, 308)
    assert r["location"].split("?")[0].endswith("/f/dir/")
    assert "://evil" not in r["location"]


@pytest.mark.parametrize("target", ["/f//evil.example/..", "/f/dir//",
                                    "//evil.example/%2e%2e/f/dir"])
def test_a_redirect_leads_nowhere_else(site, target):
    r = site.get(target)
    if 300 <= r.status < 400:
        location = r["location"]
        assert location.startswith("/") and not location.startswith("//")
        assert "\\" not in location


def test_a_folder_without_an_index_is_not_listed(site):
    r = site.get("/f/bare/")
    assert r.status in (403, 404) and b"b.txt" not in r.body


OUTSIDE = [
    "../secret.txt", "../../etc/passwd", "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt", "..%2fsecret.txt", "..%2f..%2f..%2fetc/passwd",
    "%252e%252e/secret.txt", "..%252fsecret.txt", ".%2e/secret.txt",
    "dir/../../secret.txt", "dir/%2e%2e/%2e%2e/secret.txt",
    "..\\secret.txt", "..%5csecret.txt", "%5c..%5csecret.txt",
    "../www-secret/x.txt", "%2e%2e/www-secret/x.txt", "..;/secret.txt",
    "%c0%ae%c0%ae/secret.txt", "%c0%ae%c0%ae%c0%afsecret.txt",
    "....//secret.txt", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd",
    "/%2e%2e/secret.txt", "outside", "absolute", "up/secret.txt",
    "up/www/../secret.txt", "up", "a.txt%00.html", "%00", "..%00/",
    "a.txt/", "a.txt/..%2fa.txt", "a.txt/../../secret.txt", "dangling",
    "loop", "loop/x", "nope", "nope/", "dir/nope.txt", "unreadable/x",
    "pipe", "door", "\u0000".encode().hex(), "a" * 300, "a/" * 400,
    "proc/self/environ", "....", "../", "..", "%2e%2e", "%2e%2e/",
    "...", "http:%2f%2fevil.example", "~root", "C:/secret.txt",
    "a.txt::$DATA", "A.TXT",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: p[:40])
def test_nothing_else_is_served(site, path):
    r = site.get(f"/f/{path}")
    assert r.status in (301, 302, 307, 308, 400, 403, 404, 414), r
    for leak in (b"SECRET", b"root:", b"<h1>", site.dir.encode(),
                 b"PATH="):
        assert leak not in r.body, r
    assert site.get("/hello").status == 200


def test_an_unreadable_file(site):
    r = site.get("/f/unreadable")
    if os.geteuid() == 0:       # root reads everything
        assert r.status in (200, 403, 404)
    else:
        assert r.status in (403, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(site, method):
    r = site.request(method, "/f/a.txt", body=b"new")
    assert r.status == 405 and "get" in r.tokens("allow")
    assert site.get("/f/a.txt").body == b"text"


def test_a_file_that_changes_is_served_anew(site):
    for body in (b"22", b"333", b""):
        site.write("www/new", body)
        os.replace(site.path("www", "new"), site.path("www", "changing"))
        wait_until(lambda b=body: site.get("/f/changing").body == b,
                   "the new file")
    os.unlink(site.path("www", "changing"))
    wait_until(lambda: site.get("/f/changing").status == 404, "the file gone")
    site.write("www/changing", b"1")


def test_a_file_cut_while_it_is_sent_ends_the_connection(site):
    """The length was promised: an early end must be seen, not filled up."""
    path = site.write("www/shrinks", b"s" * (16 * MIB))
    with site.connect(rcvbuf=4096) as c:
        c.send(request("GET", "/f/shrinks"))
        assert c.fill(1000)
        os.truncate(path, 100)
        with pytest.raises(wire.Ended):
            c.final()
    assert site.get("/hello").status == 200
    wait_until(lambda: body_of(site, "/f/shrinks") == b"s" * 100,
               "the new length")


def body_of(server, target):
    try:
        return server.get(target).body
    except wire.Ended:              # the old length is still remembered
        return None


def test_a_file_that_grows_while_it_is_sent_keeps_its_length(site):
    path = site.write("www/grows", b"g" * (8 * MIB))
    with site.connect(rcvbuf=4096) as c:
        c.send(request("GET", "/f/grows"))
        assert c.fill(1000)
        with open(path, "ab") as f:
            f.write(b"more" * 1000)
        assert c.final().body == b"g" * (8 * MIB)
        c.probe()


def test_readers_who_leave_keep_no_file_open(site):
    def open_files():
        return [f for pid in site.worker_pids()
                for f in os.listdir(f"/proc/{pid}/fd")]
    before = len(open_files())
    for _ in range(30):
        c = site.connect(rcvbuf=4096)
        c.send(request("GET", "/f/large.bin") * 2)
        assert c.fill(1000)
        c.abort()
    wait_until(lambda: len(open_files()) <= before + 1,
               "the files to be closed")


def test_a_root_that_is_not_there():
    server = Corelane({"routes": [{"path": "/f/{path:.*}",
                                   "handler": "static", "root": "nope"}]})
    code, _, err = server.command("check")
    assert (code, "root" in err) == (1, True) or code == 0
