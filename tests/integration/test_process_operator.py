# SPDX-License-Identifier: MIT
"""What an operator who has only the README and --help would trip over."""
import os
import re
import signal
import socket
import subprocess

import pytest

from corelane import Corelane, ROOT, binary, wait_until


def run(*words, **options):
    return subprocess.run([binary(), *words], capture_output=True, text=True,
                          timeout=30, stdin=subprocess.DEVNULL, **options)


# -- the command line ---------------------------------------------------------

@pytest.mark.parametrize("command", ["status", "reload", "stop", "reopen"])
def test_usage_names_what_was_missing(command):
    done = run(command)
    assert done.returncode == 2
    assert re.search(rf"^usage: corelane {command} .*-c FILE", done.stderr,
                     re.M)


def test_a_missing_file_is_told_as_that_and_not_as_a_missing_server():
    done = run("status", "-c", "/nonexistent/corelane.json")
    assert done.returncode == 1
    assert "/nonexistent/corelane.json" in done.stderr
    assert "No such file" in done.stderr


@pytest.mark.parametrize("key", ["user", "group"])
def test_check_knows_who_does_not_exist(key):
    srv = Corelane({key: "no-such-one-here"})
    done = run("check", "-c", srv.config_file)
    assert done.returncode == 1
    assert re.search(rf"corelane\.json: {key}: .*no-such-one-here",
                     done.stderr)


def test_a_mistyped_handler_key_is_named():
    srv = Corelane({"routes": [{"path": "/a", "handlr": "respond"}]})
    done = run("check", "-c", srv.config_file)
    assert done.returncode == 1
    assert 'routes[0].handlr: there is no such key; did you mean "handler"?' \
        in done.stderr


def test_the_readme_quotes_messages_that_exist():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    srv = Corelane({"timeouts": {"head": 10},
                    "routes": [{"path": "/a", "handler": "respond"}] * 2 +
                              [{"path": "/c", "handler": "respond",
                                "bdy": ""}]})
    done = run("check", "-c", srv.config_file)
    said = [line.split(": ", 1)[1] for line in done.stderr.splitlines()]
    quoted = re.findall(r"^corelane\.json:\d+:\d+: (.*)", readme, re.M)
    assert quoted and set(quoted) <= set(said)


# -- the start ----------------------------------------------------------------

def test_a_limit_that_leaves_few_connections_is_told(corelane):
    # Root may raise its own limit; a worker of anybody else may not.
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] \
        if os.geteuid() == 0 else []
    srv = Corelane()
    os.chmod(srv.dir, 0o777)
    process = subprocess.Popen(
        ["bash", "-c", 'ulimit -n 300; exec "$@"', "-", *prefix, binary(),
         "run", "-c", srv.config_file], stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "serving with" in line:
                break
        said = "".join(lines)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert re.search(r"warn .*limit on open files, 300, .*LimitNOFILE", said)


def test_a_low_port_says_what_it_takes(tmp_path):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start",
              encoding="ascii") as f:
        if int(f.read()) < 1024:
            pytest.skip("anybody may bind low ports here")
    srv = Corelane({"listen": [{"address": "127.0.0.1:1023"}]})
    os.chmod(srv.dir, 0o777)
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] \
        if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, binary(), "run", "-c", srv.config_file],
                          capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1023" in done.stderr and "below 1024" in done.stderr


# -- while it runs ------------------------------------------------------------

def test_admin_answers_while_the_server_drains(corelane):
    srv = corelane({"timeouts": {"drain": "30s"}}, workers=2)
    admin = [a for s, a in srv.addresses if s == "admin"][0]
    port = int(admin.rpartition(":")[2])
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        wait_until(lambda: srv.stats()["total"]["requests_active"] >= 1,
                   "the server to see the request")
        srv.signal(signal.SIGTERM)
        wait_until(lambda: srv.log().count("has drained and left") == 1,
                   "the idle worker to leave")
        for _ in range(8):
            assert srv.get("/ready", port=port).status == 503
        assert srv.get("/health", port=port).status == 200
        with pytest.raises(ConnectionRefusedError):
            srv.get("/hello")
        client.send(b"cde")
        assert client.final("POST").body == b"abcde"
    assert srv.wait_exit() == 0


def test_a_silent_admin_connection_does_not_hold_up_the_stop(corelane):
    srv = corelane({"timeouts": {"drain": "60s", "head": "60s",
                                 "idle": "60s"}}, workers=1)
    admin = [a for s, a in srv.addresses if s == "admin"][0]
    port = int(admin.rpartition(":")[2])
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        wait_until(lambda: srv.stats()["total"]["requests_active"] >= 1,
                   "the server to see the request")
        srv.signal(signal.SIGTERM)
        wait_until(lambda: "draining 1 connection" in srv.log(), "the drain")
        with socket.create_connection(("127.0.0.1", port)):
            assert srv.get("/ready", port=port).status == 503
            client.send(b"cde")
            assert client.final("POST").body == b"abcde"
            assert srv.wait_exit(30) == 0


def test_a_worker_that_leaves_says_which_it_was(corelane):
    srv = corelane(workers=1)
    pid = srv.worker_pids()[0]
    assert srv.command("reload")[0] == 0
    wait_until(lambda: f"worker 0 (pid {pid}, gen 1) has drained and left"
               in srv.log(), "the old worker to leave")


def test_lines_that_are_lost_are_told(corelane):
    srv = corelane({"access_log": {"file": "/dev/full"}})
    assert srv.get("/hello").status == 200
    wait_until(lambda: re.search(
        r"warn .*access log: .*No space left on device", srv.log()),
        "the warning")


def test_processor_time_is_in_seconds(corelane):
    srv = corelane(workers=1)
    admin = [a for s, a in srv.addresses if s == "admin"][0]
    text = srv.get("/metrics", port=int(admin.rpartition(":")[2])).body
    assert re.search(rb'^# TYPE corelane_worker_cpu_seconds gauge$', text,
                     re.M)
    assert re.search(rb'^corelane_worker_cpu_seconds\{.*\} \d+\.\d{3}$', text,
                     re.M)
    assert b"milliseconds" not in text
