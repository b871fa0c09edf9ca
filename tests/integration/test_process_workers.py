# SPDX-License-Identifier: MIT
"""Workers that die, stall, come and go: what is lost, and what is said."""
import concurrent.futures
import os
import resource
import signal
import socket
import time

import pytest

from corelane import wait_until
from load import Load


def serving(srv):
    """{index: worker} of those that serve now."""
    status = srv.status()
    return {w["index"]: w for w in status["workers"]
            if w["state"] == "serving"} if status else {}


def generation(srv):
    return srv.status()["server"]["generation"]


def kill_worker(srv, index, number=signal.SIGKILL):
    pid = wait_until(lambda: serving(srv).get(index),
                     f"worker {index}")["pid"]
    os.kill(pid, number)
    return pid


# -- crashes ------------------------------------------------------------------------

def test_a_crash_is_named_and_replaced(corelane):
    srv = corelane(workers=2, crashes_ok=True)
    pid = kill_worker(srv, 1, signal.SIGSEGV)
    wait_until(lambda: serving(srv).get(1, {"pid": pid})["pid"] != pid,
               "the replacement")
    assert f"worker 1 (pid {pid}, gen 1) was killed by SIGSEGV" in srv.log()
    status = srv.status()
    assert status["server"]["crashes"] == 1
    assert serving(srv)[1]["restarts"] == 1
    assert srv.get("/hello").status == 200


def test_a_kill_under_load_loses_only_what_was_in_flight(corelane):
    srv = corelane(workers=2, crashes_ok=True)
    clients, kills = 8, 5
    with Load(srv.port, clients, keep_alive=False) as load:
        for _ in range(kills):
            pid = kill_worker(srv, 0)
            load.wait_more(100)
            wait_until(lambda: serving(srv).get(0, {"pid": pid})["pid"]
                       != pid, "the replacement")
    # A batch of at most 4 was accepted and unanswered; the queue is safe.
    assert len(load.lost) <= 4 * kills, load.lost
    assert load.answered > 100 * kills


def test_totals_never_fall_when_a_worker_dies(corelane):
    srv = corelane(workers=2, crashes_ok=True)
    for _ in range(20):
        srv.get("/hello")
    wait_until(lambda: srv.stats()["total"]["requests"] >= 20, "the counts")
    before = srv.stats()["total"]["requests"]
    kill_worker(srv, 0)
    kill_worker(srv, 1)
    wait_until(lambda: len(serving(srv)) == 2 and srv.status()["server"]["crashes"] == 2,
               "the replacements")
    assert srv.stats()["total"]["requests"] >= before


def test_a_crash_loop_backs_off_and_siblings_adopt(corelane):
    srv = corelane(workers=2, crashes_ok=True)
    for _ in range(4):
        pid = kill_worker(srv, 1)
        wait_until(lambda: f"worker 1 (pid {pid}, gen 1) was killed"
                   in srv.log(), "the death")
    for delay in (100, 200, 400):
        assert f"restarting in {delay} ms" in srv.log()
    # While worker 1 is away every new connection is answered all the same.
    for _ in range(20):
        assert srv.get("/hello").status == 200


def test_a_stalled_worker_is_found_and_replaced(corelane):
    srv = corelane({"timeouts": {"watchdog": "1s"}}, workers=2,
                   crashes_ok=True)
    pid = kill_worker(srv, 0, signal.SIGSTOP)
    wait_until(lambda: "worker 0" in srv.log() and "stalls" in srv.log(),
               "the watchdog")
    for _ in range(20):
        assert srv.get("/hello").status == 200
    wait_until(lambda: serving(srv).get(0, {"pid": pid})["pid"] != pid,
               "the replacement")
    assert srv.status()["server"]["stalls"] == 1


def test_a_supervisor_that_was_stopped_kills_nobody(corelane):
    srv = corelane({"timeouts": {"watchdog": "1s"}}, workers=2)
    everybody = srv.worker_pids() + [srv.pid]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)     # the machine sleeps: longer than the watchdog waits
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    assert srv.get("/hello").status == 200
    assert srv.status()["server"]["stalls"] == 0


def test_term_to_a_worker_drains_and_replaces_it(corelane):
    srv = corelane(workers=2, crashes_ok=True)
    with Load(srv.port, 4) as load:
        pid = kill_worker(srv, 0, signal.SIGTERM)
        wait_until(lambda: serving(srv).get(0, {"pid": pid})["pid"] != pid,
                   "the replacement")
        load.wait_more(100)
    assert load.lost == []
    assert srv.status()["server"]["crashes"] == 0


# -- scaling --------------------------------------------------------------------------

@pytest.mark.parametrize("keep_alive", [True, False])
def test_scaling_under_load_loses_nothing(corelane, keep_alive):
    srv = corelane(workers=2)
    with Load(srv.port, 8, keep_alive=keep_alive) as load:
        for count in (4, 1, 3, 2):
            code, out, err = srv.command("scale", str(count))
            assert code == 0, err
            assert f"{count} worker" in out
            assert len(srv.worker_pids()) == count
            assert len(serving(srv)) == count
            load.wait_more(100)
    assert load.lost == []


@pytest.mark.parametrize("count", ["0", "9"])
def test_scaling_out_of_bounds_is_refused(corelane, count):
    srv = corelane({"max_workers": 8}, workers=1)
    code, _, err = srv.command("scale", count)
    assert code == 1
    assert "from 1 to 8" in err
    assert len(srv.worker_pids()) == 1


def test_ttin_and_ttou_are_one_more_and_one_fewer(corelane):
    srv = corelane(workers=1)
    srv.signal(signal.SIGTTIN)
    wait_until(lambda: len(serving(srv)) == 2, "two workers")
    srv.signal(signal.SIGTTOU)
    wait_until(lambda: len(srv.worker_pids()) == 1, "one worker")
    srv.signal(signal.SIGTTOU)
    wait_until(lambda: "can't scale to 0" in srv.log(), "the refusal")
    assert srv.get("/hello").status == 200


def test_every_share_has_an_owner_after_scaling(corelane):
    """More connections at once than sockets: each of them is accepted."""
    srv = corelane({"max_workers": 8}, workers=5)
    assert srv.command("scale", "2")[0] == 0
    clients = [srv.connect() for _ in range(64)]
    for client in clients:
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
    for client in clients:
        assert client.final("GET").status == 200
        client.close()


# -- reload ---------------------------------------------------------------------------

@pytest.mark.parametrize("keep_alive", [True, False])
def test_reloads_under_load_lose_nothing(corelane, keep_alive):
    srv = corelane(workers=2)
    with Load(srv.port, 8, keep_alive=keep_alive) as load:
        for n in range(5):
            code, out, err = srv.command("reload")
            assert code == 0, err
            assert f"generation {n + 2} serves" in out
            assert generation(srv) == n + 2
            load.wait_more(100)
    assert load.lost == []


def test_a_reload_takes_the_new_configuration(corelane):
    srv = corelane()
    srv.configure({"routes": [{"path": "/new", "handler": "respond",
                               "body": "new"}]})
    assert srv.command("reload")[0] == 0
    assert srv.get("/new").body == b"new"
    assert srv.get("/hello").status == 404


def test_a_bad_reload_says_all_and_keeps_serving(corelane):
    srv = corelane(workers=2)
    workers = srv.worker_pids()
    with Load(srv.port, 4) as load:
        srv.configure({"bogus_one": 1, "bogus_two": 2})
        code, _, err = srv.command("reload")
        assert code == 1
        assert "bogus_one" in err and "bogus_two" in err
        assert "generation 1 goes on" in err
        load.wait_more(50)
    assert load.lost == []
    assert srv.worker_pids() == workers
    assert srv.status()["server"]["reloads_failed"] == 1
    srv.configure()
    assert srv.command("reload")[0] == 0


def test_a_reload_to_a_taken_port_keeps_serving(corelane):
    srv = corelane()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        srv.configure({"listen": [{"address": "127.0.0.1:0"},
                                  {"address": f"127.0.0.1:{port}"}]})
        code, _, err = srv.command("reload")
    assert code == 1
    assert f"already served by pid {os.getpid()}" in err
    assert srv.get("/hello").status == 200
    # What was bound meanwhile has been given back.
    assert srv.command("reload")[0] == 0


def test_a_generation_that_can_not_serve_is_given_up(corelane):
    srv = corelane(workers=2)
    with Load(srv.port, 4) as load:
        srv.configure({"access_log": {"file": "no/such/folder/access.log"}})
        code, _, err = srv.command("reload")
        assert code == 1
        assert "access_log: open" in err and "generation 1 goes on" in err
        load.wait_more(50)
    assert load.lost == []
    wait_until(lambda: len(srv.worker_pids()) == 2, "the failed ones to end")


def test_a_reload_adds_and_removes_addresses(corelane):
    srv = corelane()
    first = srv.port
    srv.configure({"listen": [{"address": "127.0.0.1:0"},
                              {"address": "127.0.0.1:0",
                               "protocol": "tcp", "handler": "echo"}]})
    assert srv.command("reload")[0] == 0
    addresses = {one["service"]: one["address"]
                 for one in srv.status()["listeners"]}
    assert addresses["http"] == f"127.0.0.1:{first}"
    tcp = int(addresses["tcp"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", tcp), 30) as client:
        client.sendall(b"ping")
        assert client.recv(100) == b"ping"
    srv.configure()
    assert srv.command("reload")[0] == 0

    def refused():
        try:
            socket.create_connection(("127.0.0.1", tcp), 5).close()
        except ConnectionRefusedError:
            return True
        return False
    wait_until(refused, "the removed address to refuse")
    assert srv.get("/hello").status == 200


def test_a_reload_may_raise_max_workers(corelane):
    srv = corelane({"max_workers": 2}, workers=2)
    srv.configure({"max_workers": 4})
    with Load(srv.port, 8, keep_alive=False) as load:
        assert srv.command("scale", "4")[0] == 1
        assert srv.command("reload")[0] == 0
        assert srv.command("scale", "4")[0] == 0
        load.wait_more(100)
    assert load.lost == []


def test_hup_reloads(corelane):
    srv = corelane()
    srv.signal(signal.SIGHUP)
    wait_until(lambda: generation(srv) == 2, "the new generation")


def test_a_scaled_number_survives_a_reload(corelane):
    srv = corelane(workers=2)
    assert srv.command("scale", "3")[0] == 0
    assert srv.command("reload")[0] == 0
    assert len(serving(srv)) == 3
    srv.configure(workers=1)
    assert srv.command("reload")[0] == 0
    assert {w["generation"] for w in serving(srv).values()
            if w["generation"] > 2} == {3}
    wait_until(lambda: len(srv.worker_pids()) == 1, "one worker")


# -- out of descriptors -------------------------------------------------------------

def test_no_descriptors_pauses_and_recovers(corelane):
    srv = corelane({"limits": {"connections": 200}}, workers=1)
    pid = srv.worker_pids()[0]
    used = len(os.listdir(f"/proc/{pid}/fd"))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 4, before[1]))
    clients = [srv.connect() for _ in range(12)]
    wait_until(lambda: "no new connections for 1 s" in srv.log(), "a pause")
    clients[0].send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
    assert clients[0].final("GET").status == 200
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    for client in clients[1:]:
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.final("GET").status == 200
    for client in clients:
        client.close()
    wait_until(lambda: srv.stats()["total"]["accept_errors"] > 0, "the count")
    assert srv.log().count("no new connections") <= 10


def test_no_room_leaves_clients_in_the_queue(corelane):
    srv = corelane({"limits": {"connections": 5}, "admin": None}, workers=1)
    first = [srv.connect() for _ in range(5)]
    for client in first:
        client.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.final("GET").status == 200
    late = srv.connect()
    late.send(b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
    first[0].close()
    assert late.final("GET").status == 200
    for client in first[1:] + [late]:
        client.close()


# -- statistics -----------------------------------------------------------------------

def test_many_readers_do_not_freeze_the_counts(corelane):
    """The supervisor writes the header of the statistics between readers; one
    whom it has met there must not keep the others out for good."""
    srv = corelane(workers=2)

    def read(until):
        while time.monotonic() < until:
            assert srv.get("/metrics", port=srv.admin_port).status == 200

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        until = time.monotonic() + 2
        for done in [pool.submit(read, until) for _ in range(4)]:
            done.result()
    before = srv.status()["total"]["requests"]
    for _ in range(4):      # whichever worker answers
        wait_until(lambda: srv.stats()["total"]["requests"] >= before,
                   "/stats to know what `corelane status` knew", 10)
