# SPDX-License-Identifier: MIT
"""WebSockets, event streams and channels: what a message costs, how long it
takes to another worker, what a subscriber that waits costs, and whether one is
ever lost.

Here: workloads and what is said about them.  Not here: measuring CPU time,
servers' lives (bench.py).
"""

import contextlib
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
import typing

import many

HERE = os.path.dirname(os.path.abspath(__file__))

ECHO, CHANNEL = "/echo", "/channels/bench"
WORKLOADS = {  # path, arguments of tests/bench/load_ws.c
    "ws-echo": (ECHO, ["echo", "-n", "64"]),
    "ws-echo16": (ECHO, ["echo", "-n", "64", "-d", "16"]),
    "broadcast": (CHANNEL, ["broadcast", "-n", "1000"]),
    "broadcast8": (CHANNEL, ["broadcast", "-n", "1000", "-d", "8"]),
    "broadcast64": (CHANNEL, ["broadcast", "-n", "1000", "-d", "64"]),
}
LATENCY = "latency"
LATENCY_COUNT = 2000
CLIENTS = {  # path, arguments of tests/bench/load_crowd.c
    "websocket": (ECHO, []),
    "subscriber": (CHANNEL, []),
    "events": (CHANNEL, ["-e"]),
}
# One route for each, and a queue that no burst here fills.
ROUTES = [{"path": ECHO, "handler": "echo"},
          {"path": "/channels/{channel}", "handler": "channel"},
          {"path": "/channels", "handler": "channel"}]
RULE = {"match": "bench", "queue_bytes": "64MiB"}
READY_SECONDS = 120


class Failed(Exception):
    pass


class Bench(typing.NamedTuple):
    """What bench.py lends."""

    options: typing.Any
    folder: str
    serve: typing.Callable      # (name, change of the config)
    floor: typing.Callable      # () -> the floor for WebSockets
    measured: typing.Callable   # (server, client's pid, run) -> a sample
    in_turns: typing.Callable   # (servers, measure) -> {name: summary}
    pss_bytes: typing.Callable  # (pids)


def config_change(config, workers=1):
    config["routes"] = ROUTES + config["routes"]
    config["channels"] = [RULE, {"match": "*"}]
    config["workers"] = config["max_workers"] = workers


class Client:
    """A load program that says "ready", and does what it is told by lines."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self, seconds=READY_SECONDS):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        text = self.process.stdout.readline() if ready else ""
        if not text:
            self.process.kill()
            raise Failed(self.process.stderr.read().strip() or
                         f"nothing in {seconds} s")
        return text.strip()

    def tell(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def expect(self, word):
        line = self.line()
        if line != word:
            raise Failed(f"'{line}' in the place of '{word}'")


def measure(bench, server, workload, seconds):
    path, (mode, *arguments) = WORKLOADS[workload]
    command = ["taskset", "-c", "1", f"{bench.options.tools}/load_ws", mode,
               "-p", str(server.port), "-u", path, "-s", str(seconds),
               *arguments]

    def run():
        client.tell()
        return json.loads(client.line(seconds + 30))

    with Client(command) as client:
        client.expect("ready")
        return bench.measured(server, client.process.pid, run)


def run_workloads(bench, names):
    """{workload: {name: summary}}, the floor and ours in turns."""
    results = {}
    if not names:
        return results
    floor = bench.floor()
    ours = None
    try:
        ours = bench.serve("corelane", config_change)
        for name in names:
            results[name] = bench.in_turns(
                [floor, ours], lambda server, seconds, name=name: measure(
                    bench, server, name, seconds))
            print_workload(name, results[name])
    finally:
        floor.stop()
        if ours:
            ours.stop()
    return results


def print_workload(workload, summaries):
    what = "deliveries" if workload.startswith("broadcast") else "messages"
    print(f"\n{workload:<12} {'CPU us':>8} {'ratio':>6} {what + '/s':>12} "
          f"{'p50 us':>7} {'p99 us':>7} {'errors':>6}  rounds (clean)")
    for name, s in summaries.items():
        print(f"{name:<12} {s['cpu_us']:8.3f} {s['ratio'] or 0:6.2f} "
              f"{s['rps']:12.0f} {s['p50_us']:7.0f} {s['p99_us']:7.0f} "
              f"{s['errors']:6d}  {s['rounds']} ({s['clean']})", flush=True)


# -- latency --------------------------------------------------------------------

def integration_import():
    """The tests' clients serve here too."""
    folder = os.path.join(HERE, "..", "integration")
    if folder not in sys.path:
        sys.path.insert(0, folder)


def worker_of(sock, pids):
    """The process that has the other end of a connection."""
    ends = ["%02X%02X%02X%02X:%04X" % (*reversed(socket.inet_aton(host)), port)
            for host, port in (sock.getpeername(), sock.getsockname())]
    inode = None
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1:3] == ends:
                inode = fields[9]
    for pid in pids:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]":
                    return pid
    raise Failed("a connection that no worker has")


def subscriber_find(server, publisher, at_home):
    """A subscriber on the publisher's worker, or on the other one."""
    import ws_client
    pids = server.pids()
    home = worker_of(publisher.client.sock, pids)
    for _ in range(200):
        ws = ws_client.WebSocket(server.port, CHANNEL)
        if (worker_of(ws.client.sock, pids) == home) == at_home:
            return ws
        ws.client.close()
    raise Failed("200 connections, and all with one worker")


def latency_measure(bench, publisher, subscriber):
    fds = [ws.client.sock.fileno() for ws in (publisher, subscriber)]
    for ws in (publisher, subscriber):
        ws.client.sock.settimeout(None)
    command = [f"{bench.options.tools}/load_ws", "latency",
               "-n", str(LATENCY_COUNT), "-f", str(fds[0]), "-F", str(fds[1])]
    with Client(command, pass_fds=fds) as client:
        client.expect("ready")
        client.tell()
        return json.loads(client.line())


def run_latency(bench):
    """From a publish to its delivery, one at a time on a server at rest."""
    integration_import()
    import ws_client
    results = {}

    def change(config):
        config_change(config, workers=2)
        config["cpu_affinity"] = True

    server = bench.serve("corelane", change, pinned=False)
    try:
        for where, at_home in (("same worker", True),
                               ("another worker", False)):
            publisher = ws_client.WebSocket(server.port, CHANNEL)
            subscriber = subscriber_find(server, publisher, at_home)
            results[where] = latency_measure(bench, publisher, subscriber)
            # Nobody else listens when the next pair is measured.
            publisher.client.close()
            subscriber.client.close()
    finally:
        server.stop()
    print(f"\n{'latency, two workers':<22} {'p50 us':>7} {'p99 us':>7} "
          f"{'errors':>6}  messages")
    for where, r in results.items():
        print(f"{where:<22} {r['p50_us']:7.0f} {r['p99_us']:7.0f} "
              f"{r['errors']:6d}  {r['requests']}", flush=True)
    return results


# -- those who wait ---------------------------------------------------------------

def crowd_command(bench, kind, port, count, network=None):
    path, arguments = CLIENTS[kind]
    where = ["-a", network] if network else []
    return [f"{bench.options.tools}/load_crowd", "-p", str(port), "-u", path,
            "-n", str(count), *arguments, *where]


def run_idle(bench, count, kind):
    """Bytes of one worker's memory per client that waits: of `count` more than
    there are, so that what the first of them cost once isn't counted."""
    def crowd(number):
        client = stack.enter_context(Client(crowd_command(
            bench, kind, server.port, number)))
        client.expect("ready")
        time.sleep(1.5)
        return bench.pss_bytes(server.pids())

    server = bench.serve("corelane", config_change)
    try:
        with contextlib.ExitStack() as stack:
            before = crowd(1000)
            held = crowd(count)
        time.sleep(1.5)
        after = bench.pss_bytes(server.pids())
    finally:
        server.stop()
    return {"bytes_per_connection": (held - before) / count,
            "base_bytes": before, "after_bytes": after}


def publish(port, data):
    """One message by HTTP; the time at which it was sent."""
    integration_import()
    import wire
    with wire.Client(port) as client:
        sent_ns = time.monotonic_ns()
        client.send(wire.request(
            "POST", CHANNEL, {"Content-Type": "text/plain"}, data))
        answer = client.final("POST")
        if answer.status not in (200, 201, 202):
            raise Failed(f"publishing: {answer!r}")
    return sent_ns


def publish_to_all(server, crowd):
    """Publishes once; (reached, seconds to the first, to the last)."""
    for client in crowd:
        client.tell()
        client.expect("armed")
    sent_ns = publish(server.port, b"one message for everybody")
    told = [json.loads(client.line()) for client in crowd]
    return (sum(one["reached"] for one in told),
            (min(one["first_ns"] for one in told) - sent_ns) / 1e9,
            (max(one["last_ns"] for one in told) - sent_ns) / 1e9)


def run_subscribers(bench, count, kind):
    """As many as it takes of workers and of clients' processes."""
    workers = many.workers_for(count)
    share = many.per_process()
    server = bench.serve("corelane", lambda config: many_config(
        config, workers), pinned=False)
    try:
        time.sleep(1)
        before, slab = bench.pss_bytes(server.pids()), many.kernel_bytes()
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(Client(crowd_command(
                bench, kind, server.port, min(share, count - first),
                f"127.1.{index}"), preexec_fn=files_raise))
                for index, first in enumerate(range(0, count, share))]
            for client in crowd:
                client.expect("ready")
            opened = time.monotonic() - start
            time.sleep(2)
            held, slab_held = bench.pss_bytes(server.pids()), many.kernel_bytes()
            rounds = [publish_to_all(server, crowd) for _ in range(3)]
            again = bench.pss_bytes(server.pids())
    except Failed as error:
        with open(f"{bench.folder}/corelane.out", encoding="utf-8") as log:
            raise Failed(f"{error}\n{log.read()[-2000:]}") from None
    finally:
        server.stop()
    figures = {"subscribers": count, "workers": workers, "kind": kind,
               "open_seconds": opened,
               "bytes_per_subscriber": (held - before) / count,
               "bytes_per_subscriber_after": (again - before) / count,
               "kernel_bytes_per_subscriber": (slab_held - slab) / count,
               "rounds": [{"reached": r, "first_seconds": first,
                           "last_seconds": last} for r, first, last in rounds]}
    print_subscribers(figures)
    return figures


def many_config(config, workers):
    config_change(config, workers)
    config["limits"]["connections"] = "auto"
    config["log"]["level"] = "warn"


def files_raise():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def print_subscribers(f):
    last = sorted(r["last_seconds"] for r in f["rounds"])[len(f["rounds"]) // 2]
    times = 1e6 / f["subscribers"]
    print(f"\n{f['subscribers']} subscribers ({f['kind']}) on {f['workers']} "
          f"workers, opened in {f['open_seconds']:.1f} s: "
          f"{f['bytes_per_subscriber']:.0f} bytes each of the workers' memory "
          f"({f['bytes_per_subscriber_after']:.0f} after the publishes), "
          f"{f['kernel_bytes_per_subscriber']:.0f} of the kernel's (both ends)")
    for r in f["rounds"]:
        print(f"  one publish reached {r['reached']}: the first after "
              f"{r['first_seconds'] * 1e3:.1f} ms, the last after "
              f"{r['last_seconds'] * 1e3:.0f} ms")
    print(f"  a million like these: {last * times:.1f} s to the last on as many "
          f"CPUs, {f['bytes_per_subscriber'] * 1e6 / 2**20:.0f} MiB of the "
          "workers' memory and "
          f"{f['kernel_bytes_per_subscriber'] / 2 * 1e6 / 2**20:.0f} MiB of the "
          "kernel's for this end", flush=True)
