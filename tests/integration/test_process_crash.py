# SPDX-License-Identifier: MIT
"""What is said of a worker that died: the request, the handler, the place; to
the operator in the log, to modules in the next worker.  And what modules count,
which outlives the worker that counted it."""
import os
import re
import signal

import pytest

from corelane import is_sanitized, module_path, wait_until

# A sanitizer catches what kills: here it is to die as anybody does.
QUIET = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:handle_sigbus=0:"
         "handle_sigfpe=0:handle_sigill=0:use_sigaltstack=0"}


def deadly(corelane, config=None, workers=1):
    return corelane({"middleware": [{"use": "request_id"}],
                     "modules": [{"name": "deadly",
                                  "file": module_path("deadly")}],
                     "routes": [{"path": "/wait", "handler": "respond",
                                 "delay": "3600s"},
                                {"path": "/hello", "handler": "respond",
                                 "body": "hi"}],
                     **(config or {})},
                    workers=workers, env=QUIET, crashes_ok=True)


def hang(srv, target):
    """A request that no answer comes to; returns once it is in the worker."""
    before = srv.stats()["total"]["requests_active"]
    client = srv.connect()
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n"
                "X-Request-ID: the-id-of-it\r\n\r\n".encode())
    wait_until(lambda: srv.stats()["total"]["requests_active"] > before,
               "the request to be in flight")
    return client


def kill_by(srv, target):
    """Sends a request that is its worker's last."""
    pid = srv.worker_pids()[0]
    client = srv.connect()
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n"
                "X-Request-ID: the-id-of-it\r\n\r\n".encode())
    wait_until(lambda: srv.worker_pids() not in ([], [pid])
               and srv.status()["server"]["workers_serving"] == 1,
               "the replacement")
    client.close()
    return pid


def story(srv, pid):
    """The line of the supervisor's log that tells a death."""
    return next(line for line in srv.log().splitlines()
                if f"(pid {pid}, gen 1) " in line
                and ("was killed" in line or "exited" in line))


# -- killed from outside --------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_names_what_waited(corelane, number):
    srv = deadly(corelane)
    client = hang(srv, "/wait?a=1")
    pid = srv.worker_pids()[0]
    os.kill(pid, number)
    wait_until(lambda: srv.worker_pids() not in ([], [pid]), "the replacement")
    assert re.search(
        r"was killed by SIG(KILL|SEGV) while GET /wait\?a=1 waited "
        r"\(request the-id-of-it, handler respond, \d+ ms\)", story(srv, pid))
    assert srv.status()["server"]["crashes"] == 1
    client.close()


def test_an_idle_worker_is_said_to_be_idle(corelane):
    srv = deadly(corelane)
    assert srv.get("/hello").status == 200
    pid = srv.worker_pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: srv.worker_pids() not in ([], [pid]), "the replacement")
    assert "was killed by SIGKILL while idle" in story(srv, pid)


def test_what_a_client_sends_cannot_forge_a_line(corelane):
    srv = deadly(corelane)
    client = srv.connect()
    client.send(b"GET /wait?\xc2\x9b31m%0aerror HTTP/1.1\r\nHost: x\r\n\r\n"
                b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    other = hang(srv, "/wait?%0d%0aerror")
    pid = srv.worker_pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: srv.worker_pids() not in ([], [pid]), "the replacement")
    assert "GET /wait?%0d%0aerror" in story(srv, pid)
    assert "\x9b" not in srv.log()
    client.close()
    other.close()


# -- killed by a module ---------------------------------------------------------

WAYS = [
    ("/null/7", r"SIGSEGV( at 0x0)? in GET /null/7 ", "deadly.null"),
    ("/call", r"SIGSEGV( at 0x0)? in GET /call ", "deadly.call"),
    ("/abort", r"SIGABRT in GET /abort ", "deadly.abort"),
    ("/divide", r"SIGFPE in GET /divide ", "deadly.divide"),
    ("/overflow", r"SIGSEGV( at 0x[0-9a-f]+)? in GET /overflow ",
     "deadly.overflow"),
    ("/late", r"SIGSEGV( at 0x0)? in GET /late ", "deadly.late"),
    ("/exit", r"exited with code 3 in GET /exit ", "deadly.exit"),
    ("/pool", r"SIGSEGV( at 0x0)? (in GET /pool \(.*on the pool, "
     r"|in GET /pool )", "deadly.pool"),
    ("/pool_overflow", r"SIGSEGV( at 0x[0-9a-f]+)? in GET /pool_overflow ",
     "deadly.pool_overflow"),
]


@pytest.mark.parametrize("target,want,handler", WAYS,
                         ids=[way[0] for way in WAYS])
def test_a_crash_names_request_and_handler(corelane, target, want, handler):
    srv = deadly(corelane)
    pid = kill_by(srv, target)
    line = story(srv, pid)
    assert re.search(want, line), line
    assert f"request the-id-of-it, handler {handler}, " in line
    assert srv.status()["server"]["crashes"] == 1
    assert srv.get("/hello").status == 200


@pytest.mark.skipif(is_sanitized(), reason="the sanitizer's handlers stay")
@pytest.mark.parametrize("target", [
    "/null/7", "/call", "/abort", "/divide", "/overflow", "/pool",
    "/pool_overflow"])
def test_a_crash_names_the_place_in_the_code(corelane, target):
    srv = deadly(corelane)
    kill_by(srv, target)
    wait_until(lambda: re.search(r"worker 0: #\d+ deadly\.so\+0x[0-9a-f]+",
                                 srv.log()), "the way through the code")


def test_the_next_worker_is_told_by_request_and_phase(corelane):
    srv = deadly(corelane)
    kill_by(srv, "/null/7")
    wait_until(lambda: b"GET /null/7" in srv.get("/reports").body,
               "the report")
    report = srv.get("/reports").body.decode()
    assert report.startswith("worker 0 signal 11 code 0 at ")
    assert "in GET /null/7 id the-id-of-it phase handler" in report
    # Told once: the one after it hears of its own predecessor.
    pid = srv.worker_pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: b"signal 9" in srv.get("/reports").body, "the report")
    assert b"phase idle" in srv.get("/reports").body


def test_a_stall_names_the_route_that_holds_the_loop(corelane):
    srv = deadly(corelane, {"timeouts": {"watchdog": "1s"}})
    pid = kill_by(srv, "/endless")
    assert re.search(
        r"stalls: no heartbeat for \d+ ms: held the loop for \d+\.\d s in "
        r"GET /endless \(request the-id-of-it, handler deadly.endless\)",
        srv.log())
    assert "after a stall in GET /endless" in story(srv, pid)
    assert srv.status()["server"]["stalls"] == 1


# -- what modules count -----------------------------------------------------------

def metrics(srv):
    text = srv.get("/metrics", port=srv.admin_port).body.decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if not line.startswith("#")}


def test_modules_metrics_survive_their_worker_and_a_reload(corelane):
    srv = deadly(corelane)
    for _ in range(3):
        assert srv.get("/count").status == 204
    name = "corelane_deadly_counts_total"
    wait_until(lambda: metrics(srv).get(name) == 6, "the count")
    os.kill(srv.worker_pids()[0], signal.SIGKILL)
    wait_until(lambda: srv.status()["server"]["workers_serving"] == 1,
               "the replacement")
    assert srv.get("/count").status == 204
    wait_until(lambda: metrics(srv).get(name) == 8, "the count")
    code, _, err = srv.command("reload")
    assert code == 0, err
    assert srv.get("/count").status == 204
    wait_until(lambda: metrics(srv).get(name) == 10, "the count")
    assert metrics(srv)["corelane_deadly_times_count"] == 5
    assert metrics(srv)['corelane_deadly_times_bucket{le="0.0025"}'] == 5
    modules = srv.stats()["total"]["modules"]
    assert modules["deadly_counts_total"] == 10
    assert modules["deadly_times"]["count"] == 5


def test_a_module_sees_the_servers_figures(corelane):
    srv = deadly(corelane, workers=2)
    client = srv.connect()
    wait_until(lambda: srv.get("/figures").body.startswith(b"2 "),
               "the figures")
    client.close()
