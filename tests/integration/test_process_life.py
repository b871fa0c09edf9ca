# SPDX-License-Identifier: MIT
"""Start, stop, and what an operator meets: exit codes, locks, logs, titles."""
import os
import re
import signal
import socket
import subprocess
import tempfile

import pytest

from corelane import Corelane, binary, module_path, proc_stat, wait_until


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Servers that never start leave their folders where pytest clears up;
    their paths are longer than a unix socket's may be, too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def run(*words, **options):
    return subprocess.run([binary(), *words], capture_output=True, text=True,
                          timeout=30, stdin=subprocess.DEVNULL, **options)


def title(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        # A title that ends where the arguments did gets a blank behind it.
        return f.read().split(b"\0")[0].decode().rstrip(" ")


# -- the command line ---------------------------------------------------------

def test_help_teaches_and_succeeds():
    done = run("--help")
    assert done.returncode == 0
    for word in ("check", "reload", "scale N", "--now", "Signals"):
        assert word in done.stdout


def test_version_and_build():
    assert re.fullmatch(r"corelane \d+\.\d+\.\d+\n", run("-v").stdout)
    assert "libevent" in run("-V").stdout


@pytest.mark.parametrize("words, says", [
    (["relaod"], "did you mean 'reload'?"),
    (["frobnicate"], "unknown command"),
    ([], "-c FILE"),
    (["run"], "-c FILE"),
    (["status"], "-s SOCKET"),
    (["scale", "-s", "x"], "how many"),
    (["scale", "many", "-s", "x"], "not 'many'"),
    (["check", "-c", "x", "--now"], "no such option"),
    (["stop", "-s", "x", "extra"], "too many"),
    (["-w", "0", "-c", "x"], "-w must be"),
    (["--frob"], "--help"),
])
def test_wrong_usage_is_2_and_says_what(words, says):
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_command_without_a_server_fails_with_the_reason(tmp_path):
    done = run("status", "-s", str(tmp_path / "control.sock"))
    assert done.returncode == 1
    assert "no server runs here" in done.stderr


# -- start ----------------------------------------------------------------------

def test_a_config_error_is_1_and_binds_nothing():
    srv = Corelane({"bogus_key": 1})
    done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert "bogus_key" in done.stderr
    assert not os.path.exists(srv.path("run", "corelane.pid"))


def test_check_binds_and_touches_nothing(corelane):
    srv = corelane()
    taken = Corelane({"listen": [{"address": f"127.0.0.1:{srv.port}"}]})
    done = run("check", "-c", taken.config_file)
    assert done.returncode == 0, done.stderr
    assert not os.path.exists(taken.path("run"))
    assert run("check", "-c", srv.config_file).returncode == 0
    assert srv.get("/hello").status == 200


def test_a_second_instance_in_the_same_run_dir_is_refused(corelane):
    srv = corelane()
    done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert f"already running as pid {srv.pid}" in done.stderr
    assert srv.get("/hello").status == 200


def test_a_second_instance_on_the_same_address_is_told_by_whom(corelane):
    srv = corelane()
    other = Corelane({"listen": [{"address": f"127.0.0.1:{srv.port}"}]})
    done = run("run", "-c", other.config_file)
    assert done.returncode == 1
    assert (f"cannot listen on 127.0.0.1:{srv.port}: already served by pid "
            f"{srv.pid} (") in done.stderr


def test_a_port_of_another_program_is_told_by_whom():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        srv = Corelane({"listen": [{"address": f"127.0.0.1:{port}"}]})
        done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert f"already served by pid {os.getpid()}" in done.stderr


def test_too_few_files_for_the_connections_are_told_before_the_start():
    srv = Corelane({"limits": {"connections": 10000000}})
    done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert "raise LimitNOFILE or lower limits.connections" in done.stderr


def test_connections_of_databases_and_to_other_servers_count_as_files():
    def others(**config):
        srv = Corelane({"limits": {"connections": 10000000}, **config})
        done = run("run", "-c", srv.config_file)
        return int(re.search(r"(\d+) others", done.stderr)[1])

    plain = others()
    database = {"url": "sqlite:a.db", "connections": 40}
    assert others(databases={"main": database}) >= plain + 40
    module = {"name": "deadly", "file": module_path("deadly")}
    assert others(modules=[module]) >= plain + 100


def test_a_database_that_cant_be_opened_is_told_by_check():
    srv = Corelane({"offload_threads": 0,
                    "databases": {"main": {"url": "sqlite:a.db"}}})
    done = run("check", "-c", srv.config_file)
    assert done.returncode == 1
    assert "databases.main: " in done.stderr
    # Without SQLite, or without the pool that it works on.
    assert ("-Dsqlite=enabled" in done.stderr
            or '"offload_threads" must be at least 1' in done.stderr)


def test_more_workers_than_the_file_says(corelane):
    srv = corelane(workers=1, options=["-w", "3"])
    assert len(srv.worker_pids()) == 3


def test_a_unix_socket_is_served_and_removed(corelane, tmp_path):
    path = str(tmp_path / "c.sock")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()                   # a dead socket in the way is replaced
    srv = corelane({"listen": [{"address": "127.0.0.1:0"},
                               {"address": f"unix:{path}"}]})
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(path)
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: t\r\n"
                       b"Connection: close\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    srv.stop()
    assert not os.path.exists(path)


def test_titles_say_who_is_who(corelane):
    srv = corelane(workers=2)
    assert title(srv.pid) == "corelane: supervisor"
    titles = sorted(title(pid) for pid in srv.worker_pids())
    assert titles == ["corelane: worker 0 (gen 1)",
                      "corelane: worker 1 (gen 1)"]


def test_the_run_dir_is_private(corelane):
    srv = corelane()
    assert os.stat(srv.path("run")).st_mode & 0o777 == 0o750
    mode = os.stat(srv.path("run", "control.sock")).st_mode
    assert mode & 0o777 == 0o600
    with open(srv.path("run", "corelane.pid"), encoding="ascii") as f:
        assert int(f.read()) == srv.pid


def test_a_worker_that_can_not_serve_ends_the_start_with_its_reason():
    srv = Corelane({"access_log": {"file": "no/such/folder/access.log"}})
    done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert "access_log: open" in done.stderr
    assert "No such file or directory" in done.stderr
    assert "serving with" not in done.stderr


# -- stop --------------------------------------------------------------------------

@pytest.mark.parametrize("number",
                         [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_stops_gracefully(corelane, number):
    srv = corelane()
    srv.signal(number)
    assert srv.wait_exit() == 0
    assert not os.path.exists(srv.path("run", "corelane.pid"))
    assert not os.path.exists(srv.path("run", "control.sock"))
    assert re.search(r"stopped after \d+ s: ", srv.log())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_drains_all_the_same(corelane, number):
    srv = corelane(workers=2)
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        wait_until(lambda: srv.stats()["total"]["connections_active"] >= 2,
                   "the server to see the request")
        os.killpg(srv.pid, number)       # Ctrl-C; a service manager's stop
        wait_until(lambda: "draining 1 connection" in srv.log(),
                   "the worker's drain")
        client.send(b"cde")
        assert client.final("POST").body == b"abcde"
    assert srv.wait_exit() == 0


def test_stop_returns_when_it_is_stopped(corelane):
    srv = corelane()
    code, out, err = srv.command("stop")
    assert (code, out, err) == (0, "stopped\n", "")
    assert srv.wait_exit(5) == 0


def test_a_request_in_flight_is_answered_before_the_stop(corelane):
    srv = corelane()
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        wait_until(lambda: srv.stats()["total"]["connections_active"] >= 2,
                   "the server to see the request")
        srv.signal(signal.SIGTERM)
        wait_until(lambda: "draining 1 connection" in srv.log(),
                   "the worker's drain")
        client.send(b"cde")
        answer = client.final("POST")
    assert answer.body == b"abcde" and answer.closes
    assert srv.wait_exit() == 0


def test_a_second_signal_forces(corelane):
    srv = corelane({"timeouts": {"drain": "60s"}})
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        wait_until(lambda: srv.stats()["total"]["connections_active"] >= 2,
                   "the server to see the request")
        srv.signal(signal.SIGTERM)
        wait_until(lambda: "stopping: draining" in srv.log(), "the drain")
        assert srv.process.poll() is None
        srv.signal(signal.SIGTERM)
        assert srv.wait_exit(20) == 0


def test_stop_now_does_not_wait(corelane):
    srv = corelane({"timeouts": {"drain": "60s"}})
    with srv.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n"
                    b"Content-Length: 5\r\n\r\nab")
        code, _, _ = srv.command("stop", "--now")
        assert code == 0
        assert srv.wait_exit(5) == 0


# -- what must not kill it -----------------------------------------------------------

def test_closed_standard_streams_kill_nothing():
    srv = Corelane({"log": {"file": "log.txt"},
                    "listen": [{"address": "127.0.0.1:0"}]})
    srv.write("log.txt", b"")
    process = subprocess.Popen(
        f"exec {binary()} run -c {srv.config_file} <&- >&- 2>&-", shell=True,
        start_new_session=True)
    try:
        status = wait_until(srv.status, "the server")
        port = int(status["listeners"][0]["address"].rpartition(":")[2])
        assert srv.get("/hello", port=port).status == 200
        assert srv.command("stop")[0] == 0
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_log_on_a_full_disk_kills_nothing(corelane):
    srv = corelane({"access_log": {"file": "/dev/full"}})
    for _ in range(5):
        assert srv.get("/hello").status == 200
    assert srv.command("reload")[0] == 0
    assert srv.get("/hello").status == 200


def test_no_orphans_after_the_supervisor_is_killed():
    srv = Corelane(workers=3).start()
    workers = srv.worker_pids()
    port = srv.port
    os.kill(srv.pid, signal.SIGKILL)
    srv.process.wait(10)
    wait_until(lambda: not any(
        (s := proc_stat(pid)) and s[0] != "Z" for pid in workers),
        "the workers to end")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    srv.start()                      # nothing that is left is in the way
    srv.stop()


def test_logs_are_opened_again_after_rotation(corelane):
    srv = corelane({"access_log": {"file": "access.log"}}, workers=2)
    log = srv.path("access.log")

    def written(path):
        return os.path.exists(path) and os.path.getsize(path) > 0

    for how in ("command", "signal"):
        srv.get("/hello")
        wait_until(lambda: written(log), "a line")
        os.rename(log, log + "." + how)
        if how == "command":
            code, _, err = srv.command("reopen")
            assert code == 0, err
        else:
            srv.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(log), "the new file")


def test_usr2_says_that_it_can_not(corelane):
    srv = corelane()
    srv.signal(signal.SIGUSR2)
    wait_until(lambda: "upgrade is not available" in srv.log(), "the word")
    assert srv.get("/hello").status == 200


def test_systemd_is_told(tmp_path):
    path = str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(30)
        srv = Corelane(env={"NOTIFY_SOCKET": path,
                            "WATCHDOG_USEC": "200000"}).start()
        told = {}

        def heard(word):
            while word not in told:
                for line in sock.recv(1000).decode().splitlines():
                    key, _, value = line.partition("=")
                    told[key] = value
            return told[word]

        assert heard("READY") == "1"
        assert heard("MAINPID") == str(srv.pid)
        assert heard("WATCHDOG") == "1"
        told.clear()
        assert srv.command("reload")[0] == 0
        assert heard("RELOADING") == "1"
        assert int(heard("MONOTONIC_USEC")) > 0
        assert heard("READY") == "1"
        srv.stop()
        assert heard("STOPPING") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_workers_are_the_configured_user_and_the_supervisor_stays(corelane):
    srv = corelane({"user": "nobody"})
    for pid in srv.worker_pids():
        assert os.stat(f"/proc/{pid}").st_uid == 65534
    assert os.stat(f"/proc/{srv.pid}").st_uid == 0
    assert srv.get("/hello").status == 200


def test_an_unknown_user_is_refused():
    srv = Corelane({"user": "no-such-user-here"})
    done = run("run", "-c", srv.config_file)
    assert done.returncode == 1
    assert "no-such-user-here" in done.stderr


def test_a_broken_file_still_finds_its_server(corelane):
    srv = corelane()
    srv.configure('{"run_dir": "run", "workers": oops}')
    assert srv.command("status")[0] == 0
    code, _, err = srv.command("reload")
    assert code == 1 and "corelane.json:1:" in err
    assert srv.get("/hello").status == 200
    srv.configure()
