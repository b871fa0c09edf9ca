# SPDX-License-Identifier: MIT
"""What waits without blocking: sub-requests to a server of the tests' own, and
real clients that leave while something is under way for them."""
import http.server
import json
import random
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from corelane import Corelane, module_path, wait_until


class Handler(http.server.BaseHTTPRequestHandler):
    """The other server: every path is a way to answer."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        path, _, rest = self.path.partition("?")
        length = int(self.headers.get("Content-Length", 0))
        self.content = self.rfile.read(length)
        with self.server.lock:
            self.server.requests += 1
        getattr(self, "do_" + path.strip("/").replace("-", "_"))(rest)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do

    def do_echo(self, _):
        told = f"{self.command} {self.headers.get('X-One')} " \
            f"{self.headers.get('Content-Type')} {self.content.decode()}"
        self.answer(200, told.encode(), X_Want="wanted")

    def do_status(self, rest):
        self.answer(int(rest), b"as you like")

    def do_big(self, rest):
        self.answer(200, b"x" * int(rest))

    def do_endless(self, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            self.server.lost.release()
            self.close_connection = True

    def do_loop(self, _):
        self.answer(302, Location="/loop", X_Want="loop")

    def do_once(self, _):
        self.answer(302, Location="/echo", X_Want="not this one")

    def do_elsewhere(self, _):
        self.answer(302, Location="file:///etc/passwd")

    def do_long_head(self, _):
        self.answer(200, X_Long="x" * 60000, X_Longer="x" * 60000)

    def do_close(self, _):
        self.close_connection = True

    def do_cut(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"not all of it")
        self.close_connection = True

    def do_garbage(self, _):
        self.wfile.write(b"\x00\x01 what\r\n\r\n")
        self.close_connection = True

    def do_stuck(self, _):
        """Never answers; notes when the other side has gone."""
        self.server.stuck.release()
        if not self.connection.recv(1):
            self.server.lost.release()
        self.close_connection = True


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.connections = self.requests = 0
        self.stuck = threading.Semaphore(0)
        self.lost = threading.Semaphore(0)
        threading.Thread(target=self.serve_forever, args=(0.01,),
                         daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, *_):
        pass


class SecureUpstream(Upstream):
    """The same over TLS, with a certificate that nobody has signed."""

    def __init__(self, folder):
        key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", key, "-out", cert], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        super().__init__()

    def get_request(self):
        client, address = super().get_request()
        return self.context.wrap_socket(
            client, server_side=True, do_handshake_on_connect=False), address

    def url(self, path):
        return super().url(path).replace("http:", "https:", 1)


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


def config(**settings):
    return {"modules": [{"name": "waits", "file": module_path("waits")}],
            **settings}


@pytest.fixture
def srv(corelane):
    return corelane(config(), workers=1)


def target(path, **query):
    return path + "?" + urllib.parse.urlencode(query)


def fetch(srv, url, **query):
    """(status, error, X-Want, body) of a sub-request."""
    answer = srv.get(target("/fetch", url=url, **query))
    assert answer.status == 200, answer
    status, error, want, body = answer.body.decode().split("|", 3)
    return int(status), error, want, body


def counts(srv):
    return json.loads(srv.get("/counts").body)


# -- sub-requests -------------------------------------------------------------

def test_an_answer_comes_whole(srv, upstream):
    assert fetch(srv, upstream.url("echo")) == (
        200, "", "wanted", "GET None None ")
    assert fetch(srv, upstream.url("echo"), body="a b", header="X-One: 1") == (
        200, "", "wanted", "POST 1 None a b")
    assert fetch(srv, upstream.url("echo"), method="PUT", body="{}",
                 header="Content-Type: application/json") == (
        200, "", "wanted", "PUT None application/json {}")
    assert fetch(srv, upstream.url("echo"), method="DELETE")[3] \
        == "DELETE None None "
    assert fetch(srv, upstream.url("echo"), method="HEAD") == (
        200, "", "wanted", "")
    assert fetch(srv, upstream.url("echo"), header="X-One:")[3] \
        == "GET  None "
    assert fetch(srv, upstream.url("status?503")) == (
        503, "", "-", "as you like")
    assert fetch(srv, upstream.url("big?1000000"))[3] == "x" * 1000000
    wait_until(lambda: srv.stats()["total"]["fetches"] == 8, "the count")
    assert srv.stats()["total"]["fetch_errors"] == 0


def test_connections_are_used_again(srv, upstream):
    for _ in range(50):
        assert fetch(srv, upstream.url("echo"))[0] == 200
    assert upstream.requests == 50
    assert upstream.connections == 1


def test_another_corelane_answers(srv):
    other = Corelane(None, workers=1).start()
    try:
        for _ in range(20):
            assert fetch(srv, f"http://127.0.0.1:{other.port}/hello")[3] \
                == "Hello, World!"
        wait_until(lambda: other.stats()["total"]["requests"] >= 20,
                   "the requests to be counted")
    finally:
        other.stop()


def test_sixty_four_at_once(srv, upstream):
    for _ in range(3):
        answer = srv.get(target("/fan", url=upstream.url("echo"), n=64))
        assert (answer.status, answer.body) == (200, b"64")
    assert upstream.requests == 192
    assert upstream.connections <= 64


def test_what_goes_wrong_is_told(srv, upstream):
    closed = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    port = closed.server_address[1]
    closed.server_close()
    large = "the answer is larger than max_bytes"
    cases = [
        (f"http://127.0.0.1:{port}/", {}, "the connection was refused"),
        (upstream.url("stuck"), {"timeout": 50}, "it took too long"),
        (upstream.url("big?1001"), {"max": 1000}, large),
        (upstream.url("endless"), {"max": 100000}, large),
        (upstream.url("long-head"), {}, "the answer's header is too large"),
        (upstream.url("loop"), {"redirects": 5}, "too many redirects"),
        (upstream.url("elsewhere"), {"redirects": 5},
         "only http and https are fetched"),
        (upstream.url("close"), {}, "the server closed without an answer"),
        (upstream.url("cut"), {}, "the connection was lost"),
        (upstream.url("garbage"), {}, "the answer isn't HTTP"),
        ("file:///etc/passwd", {}, "only http and https are fetched"),
        ("http://", {}, "the URL can't be understood"),
        ("http://a\r\nX: y/", {}, "the URL can't be understood"),
        ("http://name.invalid/", {}, "the host name isn't known"),
    ]
    for url, query, error in cases:
        status, told, _, body = fetch(srv, url, **query)
        assert (status, told, body) == (0, error, ""), url
    wait_until(lambda: srv.stats()["total"]["fetch_errors"] == len(cases),
               "the errors to be counted")


def test_a_certificate_that_nobody_signed_is_refused(srv, tmp_path):
    secure = SecureUpstream(tmp_path)
    try:
        status, told, _, body = fetch(srv, secure.url("echo"))
        assert (status, body) == (0, "") and "certificate" in told, told
        assert secure.requests == 0
    finally:
        secure.shutdown()
        secure.server_close()


def test_redirects_are_followed_when_asked(srv, upstream):
    assert fetch(srv, upstream.url("once")) == (302, "", "not this one", "")
    status, _, want, body = fetch(srv, upstream.url("once"), redirects=1)
    assert (status, want, body) == (200, "wanted", "GET None None ")


def test_what_would_split_a_request_is_refused(srv, upstream):
    for header in ("A: b\r\nC: d", "A", "A b: c", ": d", "A: \x01",
                   "Content-Length: 5", "Transfer-Encoding: chunked"):
        assert srv.get(target("/fetch", url=upstream.url("echo"),
                              header=header)).status == 500, header
    for method in ("GET /x HTTP/1.1\r\nA:", "", "A B"):
        assert srv.get(target("/fetch", url=upstream.url("echo"),
                              method=method)).status == 500, method
    assert upstream.requests == 0


def test_the_environment_has_no_say(corelane, upstream):
    srv = corelane(config(), workers=1, env={
        "http_proxy": "http://127.0.0.1:1/", "ALL_PROXY": "socks5://x"})
    assert fetch(srv, upstream.url("echo"))[0] == 200


# -- clients that leave -------------------------------------------------------

def leave(srv, path, has_begun=None):
    """A client that asks and is gone as soon as its request has begun."""
    before = counts(srv)["started"]
    has_begun = has_begun or (lambda: counts(srv)["started"] > before)
    with srv.connect() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        wait_until(has_begun, "the request to begin")
        client.abort()


def test_a_fetch_ends_with_its_client(srv, upstream):
    for _ in range(5):
        leave(srv, target("/fetch", url=upstream.url("stuck"),
                          timeout=600000),
              lambda: upstream.stuck.acquire(blocking=False))
        assert upstream.lost.acquire(timeout=10)
    wait_until(lambda: counts(srv)["ended"] == 5, "the contexts to end")
    assert counts(srv)["done"] == 0
    # What comes after finds everything in order.
    assert fetch(srv, upstream.url("echo"))[0] == 200


@pytest.mark.parametrize("kind", ["offload", "hold"])
def test_what_runs_elsewhere_ends_there(srv, kind):
    for i in range(3):
        leave(srv, f"/{kind}?gated=1",
              lambda wanted=i + 1: counts(srv)["working"] == wanted)
    wait_until(lambda: srv.stats()["total"]["requests_aborted"] == 3,
               "the server to notice")
    # What a thread of the pool works on keeps its context's memory.
    assert counts(srv)["ended"] == (0 if kind == "offload" else 3)
    srv.get("/release?n=3")
    wait_until(lambda: counts(srv)["worked"] == 3, "the work to end")
    wait_until(lambda: counts(srv)["ended"] == 3, "the contexts to end")
    assert counts(srv)["done"] == 0
    assert srv.get(f"/{kind}?ms=1").body == b"done"


def test_a_timer_ends_with_its_client(srv):
    for _ in range(3):
        leave(srv, "/after?ms=600000")
    wait_until(lambda: counts(srv)["ended"] == 3, "the contexts to end")
    assert srv.get("/after?ms=1").body == b"done"


def test_many_leave_at_any_time(srv, upstream):
    """Before, while and after each wait comes, and all is counted once."""
    chance = random.Random(3)
    paths = [target("/fetch", url=upstream.url("echo")), "/offload?ms=1",
             "/hold?ms=1", "/after?ms=1"]
    for i in range(400):
        with srv.connect() as client:
            client.send(f"GET {paths[i % 4]} HTTP/1.1\r\nHost: t\r\n\r\n"
                        .encode())
            client.readable(chance.choice([0, 0, 0.001, 0.002]))
            client.abort()
    wait_until(lambda: (c := counts(srv))["ended"] == c["started"],
               "every context to end")
    assert fetch(srv, upstream.url("echo"))[0] == 200


def test_a_deadline_ends_what_waits(corelane, upstream):
    srv = corelane(config(timeouts={"request": "200ms", "drain": "2s"}),
                   workers=1)
    for path in (target("/fetch", url=upstream.url("stuck")),
                 "/after?ms=600000", "/hold?gated=1", "/offload?gated=1"):
        assert srv.get(path).status == 503, path
    srv.get("/release?n=2")
    wait_until(lambda: counts(srv)["ended"] == 4, "the contexts to end")
    assert counts(srv)["done"] == 0


def test_a_server_that_stops_leaves_nothing(corelane, upstream):
    srv = corelane(config(timeouts={"drain": "200ms"}), workers=2)
    clients = [srv.connect() for _ in range(8)]
    for i, client in enumerate(clients):
        path = [target("/fetch", url=upstream.url("stuck")), "/offload?ms=400",
                "/hold?ms=600000", "/after?ms=600000"][i % 4]
        client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    for _ in range(2):
        assert upstream.stuck.acquire(timeout=10)
    srv.stop()
    for client in clients:
        client.close()
