#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/bench [OPTIONS]

CPU time per request of one worker, beside a server that does the least
possible (tests/bench/floor.c), and beside other servers that are installed.

Machines are shared and noisy, so a throughput says little.  What counts is the
CPU time that the server's processes used per request, from the scheduler's own
clock: servers pinned to CPU 0, the client to CPU 1, one after another in turns
with the floor, the median of the rounds, and its ratio to the floor's of the
same rounds.  Rounds in which others used the two CPUs are left out where two
clean ones remain.

What a request costs: ka1, ka64, ka512 (so many connections that are kept),
pipe16 (64 connections, 16 requests in one write), close (a connection each),
json, file.

What the framework costs (tests/bench/framework.py), each beside what it is
compared with:
  module     a module's handler, and one with a parameter of its path, beside
             the handler `respond`: pipelined, so that it shows
  jsonw      JSON by the streaming writer, beside the module hello
  db-sqlite  a random row of SQLite, beside the same query in a loop in C
  db-pg      a random row of PostgreSQL at 64 connections, beside a module that
             waits for its answer; starts a PostgreSQL of its own
  offload    the way to the pool of threads and back

WebSockets and channels (tests/bench/realtime.py), beside their own floor
(tests/bench/floor_ws.c):
  ws-echo, ws-echo16         64 connections, 1 and 16 messages in flight
  broadcast, broadcast8, broadcast64
                             one publisher, 1000 subscribers, so many messages
                             in flight; the time is that of a delivery
  latency                    from publish to delivery, on the same worker and on
                             another, with nothing else to do
"""

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import framework
import lossless
import many
import peers
import realtime

WORKLOADS = {  # path, arguments of tests/bench/load.c
    "ka1": ("/plaintext", ["-n", "1"]),
    "ka64": ("/plaintext", ["-n", "64"]),
    "ka512": ("/plaintext", ["-n", "512"]),
    "pipe16": ("/plaintext", ["-n", "64", "-d", "16"]),
    "close": ("/plaintext", ["-n", "64", "-c", "-H", "Connection: close"]),
    "json": ("/json", ["-n", "64"]),
    "file": ("/16k.bin", ["-n", "64"]),
}
FLOOR_PATHS = {"close": "/c"}
FILE_BYTES = 16384
SERVER_CPU, CLIENT_CPU = 0, 1
NOISE_MAX = 0.12
IDLE_SETTLE_SECONDS = 1.5


class BenchError(Exception):
    pass


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def session_pids(leader):
    """The processes of a server: it was started as a session's leader."""
    pids = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = read_text(f"/proc/{entry}/stat").rsplit(")", 1)[1].split()
            if int(fields[3]) == leader:
                pids.append(int(entry))
    return pids


def cpu_ns(pids):
    """What the scheduler charged to all their threads, in nanoseconds."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                stat = read_text(f"/proc/{pid}/task/{task}/schedstat")
                total += int(stat.split()[0])
    return total


def pss_bytes(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in read_text(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def busy_seconds():
    """How long the two CPUs have worked, for anybody."""
    total = 0
    for line in read_text("/proc/stat").splitlines():
        name, *ticks = line.split()
        if name in (f"cpu{SERVER_CPU}", f"cpu{CLIENT_CPU}"):
            ticks = [int(tick) for tick in ticks[:8]]
            total += sum(ticks) - ticks[3] - ticks[4]
    return total / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """A server in a session of its own, pinned to the server's CPU."""

    def __init__(self, name, command, port, log, pinned=True):
        self.name, self.port = name, port
        pin = ["taskset", "-c", str(SERVER_CPU)] if pinned else []
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [*pin, *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)
        try:
            self.wait_until_serving(log)
        except BenchError:
            self.stop()
            raise

    def wait_until_serving(self, log):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.05)
        raise BenchError(f"{self.name} doesn't serve:\n{read_text(log)}")

    def pids(self):
        return session_pids(self.process.pid)

    def stop(self):
        """Asks every process to end, then makes it."""
        for sign, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                self.process.poll()
                if not self.pids():
                    return
                time.sleep(0.02)


def corelane_config(folder, port, shipped, binary):
    config = {
        "workers": 1,
        "cpu_affinity": False,
        "run_dir": f"{folder}/run",
        "access_log": None,
        "log": {"level": "warn"},
        "listen": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": f"127.0.0.1:{free_port()}"},
        "timeouts": {"idle": "600s"},
        "limits": {"connections": 18000},
        "middleware": [],
        "routes": [
            {"path": "/plaintext", "handler": "respond",
             "headers": {"content-type": "text/plain"},
             "body": "Hello, World!"},
            {"path": "/json", "handler": "respond",
             "json": {"message": "Hello, World!"}},
            {"path": "/{path:.*}", "handler": "static",
             "root": f"{folder}/www"},
        ],
    }
    if shipped:
        shown = subprocess.run(
            [binary, "check", "-c", "config/corelane.json", "--print"],
            capture_output=True, text=True, check=True)
        effective = json.loads(shown.stdout)
        config["middleware"] = [entry for entry in effective["middleware"]
                                if entry["use"] != "access_log"]
    path = os.path.join(folder, "corelane.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    return path


def files_write(folder):
    os.makedirs(f"{folder}/www")
    os.makedirs(f"{folder}/run")
    bodies = {"plaintext": b"Hello, World!",
              "json": b'{"message":"Hello, World!"}',
              "16k.bin": bytes(i * 7 & 255 for i in range(FILE_BYTES))}
    for name, body in bodies.items():
        with open(f"{folder}/www/{name}", "wb") as file:
            file.write(body)


def servers_start(options, folder, stack):
    """The floor first, then ours, then the peers that are installed."""
    def start(name, command, port):
        server = Server(name, command, port, f"{folder}/{name}.out")
        stack.callback(server.stop)
        servers.append(server)

    servers = []
    port = free_port()
    start("floor", [f"{options.tools}/floor", str(port)], port)
    port = free_port()
    start("corelane", [options.binary, "run", "-c", corelane_config(
        folder, port, options.shipped, options.binary)], port)
    for name in options.peers:
        if not peers.find(name):
            print(f"bench: {name} is not installed", file=sys.stderr)
            continue
        port = free_port()
        start(name, peers.command(name, folder, port), port)
    return servers


def load_command(options, server, arguments):
    return ["taskset", "-c", str(CLIENT_CPU), f"{options.tools}/load",
            "-p", str(server.port), *arguments]


def measure(options, server, workload, seconds):
    path, arguments = WORKLOADS[workload]
    if server.name == "floor":
        path = FLOOR_PATHS.get(workload, path)
    return measure_path(options, server, path, arguments, seconds)


def measured(server, client_pid, run):
    """A sample: run() returns what the client says, and what it says of how
    many is what the CPU time between is divided by."""
    pids = server.pids()
    own, client, busy = cpu_ns(pids), cpu_ns([client_pid]), busy_seconds()
    started = time.monotonic()
    result = run()
    elapsed = time.monotonic() - started
    own, busy = cpu_ns(pids) - own, busy_seconds() - busy
    client = cpu_ns([client_pid]) - client
    if result["requests"] == 0:
        raise BenchError(f"{server.name}: nothing was answered")
    return sample_of(result, own, elapsed, busy - (own + client) / 1e9)


def sample_of(result, own_ns, elapsed, others_seconds):
    return {
        "cpu_us": own_ns / 1e3 / result["requests"],
        "rps": result["requests"] / result["seconds"],
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
        "errors": result["errors"],
        "load": own_ns / 1e9 / elapsed,
        "noise": max(0, others_seconds) / elapsed,
    }


def measure_path(options, server, path, arguments, seconds):
    command = load_command(options, server,
                           ["-u", path, "-s", str(seconds), *arguments])
    pids = server.pids()
    own, busy, times = cpu_ns(pids), busy_seconds(), os.times()
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True,
                          timeout=seconds + 30)
    elapsed = time.monotonic() - started
    own, busy, after = cpu_ns(pids) - own, busy_seconds() - busy, os.times()
    if done.returncode != 0:
        raise BenchError(f"{server.name}, {path}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    client = (after.children_user + after.children_system -
              times.children_user - times.children_system)
    if result["requests"] == 0:
        raise BenchError(f"{server.name}, {path}: nothing was answered")
    return sample_of(result, own, elapsed, busy - own / 1e9 - client)


def summarise(samples):
    """The median of each figure, over clean rounds where there are two."""
    clean = [s for s in samples if s["noise"] < NOISE_MAX]
    used = clean if len(clean) >= 2 else samples
    summary = {key: statistics.median(s[key] for s in used)
               for key in used[0] if key != "errors"}
    summary["errors"] = sum(s["errors"] for s in samples)
    summary["rounds"], summary["clean"] = len(samples), len(clean)
    return summary


def run_workload(options, servers, workload):
    return in_turns(options, servers, lambda server, seconds: measure(
        options, server, workload, seconds))


def in_turns(options, servers, measure_one):
    """{name: summary}; the floor is measured beside every second server."""
    samples = {server.name: [] for server in servers}
    failed = set()
    floor, others = servers[0], servers[1:]

    def attempt(server, seconds):
        """One run of who has not failed yet."""
        if server in failed:
            return []
        try:
            return [measure_one(server, seconds)]
        except (BenchError, realtime.Failed) as error:
            print(f"bench: {server.name}: {error}", file=sys.stderr)
            failed.add(server)
            return []

    for server in servers:
        attempt(server, 0.2)
    for turn in range(options.rounds):
        shift = turn % len(others)
        order = []
        for i, server in enumerate(others[shift:] + others[:shift]):
            order += [floor, server] if i % 2 == 0 else [server]
        for server in order:
            samples[server.name] += attempt(server, options.seconds)
    summaries = {name: summarise(s) for name, s in samples.items() if s}
    base = summaries.get("floor", {}).get("cpu_us")
    for summary in summaries.values():
        summary["ratio"] = summary["cpu_us"] / base if base else None
    return summaries


def measure_idle(options, server):
    """Bytes of the server's memory per connection that waits."""
    measure(options, server, "ka64", 0.3)
    time.sleep(IDLE_SETTLE_SECONDS)
    before = pss_bytes(server.pids())
    command = load_command(options, server,
                           ["-u", "/plaintext", "-i", "-n", str(options.idle)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE) as client:
        try:
            ready, _, _ = select.select([client.stdout], [], [], 60)
            if not ready or client.stdout.readline().strip() != "ready":
                raise BenchError(f"{server.name}: no {options.idle} connections")
            time.sleep(IDLE_SETTLE_SECONDS)
            held = pss_bytes(server.pids())
        finally:
            client.stdin.close()
            client.kill()
    time.sleep(IDLE_SETTLE_SECONDS)
    after = pss_bytes(server.pids())
    return {"bytes_per_connection": (held - before) / options.idle,
            "base_bytes": before, "after_bytes": after}


def print_workload(workload, summaries):
    print(f"\n{workload:<10} {'CPU us':>8} {'ratio':>6} {'req/s':>9} "
          f"{'p50 us':>7} {'p99 us':>7} {'errors':>6}  rounds (clean)")
    for name, s in summaries.items():
        print(f"{name:<10} {s['cpu_us']:8.3f} {s['ratio'] or 0:6.2f} "
              f"{s['rps']:9.0f} {s['p50_us']:7.0f} {s['p99_us']:7.0f} "
              f"{s['errors']:6d}  {s['rounds']} ({s['clean']})", flush=True)


def print_idle(count, results):
    print(f"\nidle, {count} connections   bytes each     before      after")
    for name, r in results.items():
        print(f"{name:<24} {r['bytes_per_connection']:12.0f} "
              f"{r['base_bytes'] / 2**20:6.1f} MiB "
              f"{r['after_bytes'] / 2**20:6.1f} MiB", flush=True)


def run_many(options, folder):
    """One server with the workers it takes, and a crowd of clients."""
    port = free_port()
    path = corelane_config(folder, port, False, options.binary)
    config = json.loads(read_text(path))
    config["workers"] = many.workers_for(options.many)
    config["max_workers"] = config["workers"]
    config["limits"]["connections"] = "auto"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    server = Server("corelane", [options.binary, "run", "-c", path], port,
                    f"{folder}/many.log", pinned=False)
    try:
        figures = many.measure(server, options.many, pss_bytes)
    except OSError as error:
        raise BenchError(f"{error}\n{read_text(f'{folder}/many.log')}") from None
    finally:
        server.stop()
    print(f"{figures['connections']} idle connections on "
          f"{config['workers']} workers: opened and answered in "
          f"{figures['open_seconds']:.1f} s, asked again in "
          f"{figures['again_seconds']:.1f} s; "
          f"{figures['bytes_per_connection']:.0f} bytes each of the workers' "
          f"memory ({figures['bytes_per_connection_again']:.0f} after they "
          "have all been busy), "
          f"{figures['kernel_bytes_per_connection']:.0f} of the "
          "kernel's (both ends)")
    return {"many": figures}


def serve(options, folder, name, change, env=(), pinned=True):
    """One of ours, its configuration changed."""
    port = free_port()
    path = corelane_config(folder, port, options.shipped, options.binary)
    config = json.loads(read_text(path))
    change(config)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    command = ["env", *env, options.binary, "run", "-c", path]
    return Server(name, command, port, f"{folder}/{name}.out", pinned)


def run_framework(options, folder, names):
    """{workload: {name: summary}} of those that are the framework's."""
    return framework.run(framework.Bench(
        options=options, folder=folder, summarise=summarise,
        serve=lambda *args: serve(options, folder, *args),
        measure=lambda *args: measure_path(options, *args)), names)


def realtime_bench(options, folder):
    def floor():
        port = free_port()
        return Server("floor", [f"{options.tools}/floor_ws", str(port)], port,
                      f"{folder}/floor_ws.out")

    return realtime.Bench(
        options=options, folder=folder, floor=floor, measured=measured,
        serve=lambda *args, **more: serve(options, folder, *args, **more),
        in_turns=lambda *args: in_turns(options, *args), pss_bytes=pss_bytes)


def name_list(known):
    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"'{name}' is none of {', '.join(known)}")
        return names
    return parse


def options_parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__.partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    known = [*WORKLOADS, *framework.WORKLOADS, *realtime.WORKLOADS,
             realtime.LATENCY]
    add("-w", "--workloads", type=name_list(known), metavar="LIST",
        default=["ka64", "pipe16", "close"],
        help="any of those above (default: ka64,pipe16,close)")
    add("-r", "--rounds", type=int, default=5, help="default: 5")
    add("-d", "--seconds", type=float, default=1.5, help="of a round: 1.5")
    add("--peers", type=name_list(peers.PEERS), metavar="LIST",
        default=[name for name in peers.PEERS if peers.find(name)],
        help="default: those that are installed; '' for none")
    add("--shipped", action="store_true",
        help="with the middleware of config/corelane.json, but no access log")
    add("--idle", type=int, metavar="N", default=0,
        help="measure the memory of N idle connections instead")
    add("--many", type=int, metavar="N", default=0,
        help="hold N connections with many workers and clients instead")
    add("--as", dest="kind", choices=list(realtime.CLIENTS), default=None,
        help="the N of --idle are WebSockets, subscribers of a channel by "
        "WebSocket, or event streams; those of --subscribers the latter two")
    add("--subscribers", type=int, metavar="N", default=0,
        help="hold N subscribers with many workers and clients, and publish to "
        "all of them")
    add("--lossless", type=int, metavar="N", default=0,
        help="publish N messages to subscribers that disconnect at random and "
        "resume, and count what is lost or repeated")
    add("--json", metavar="FILE", help="also write all the figures there")
    add("--binary", default="build/corelane", help=argparse.SUPPRESS)
    add("--tools", default="build/tests/bench", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind == "websocket" and options.subscribers:
        parser.error("--subscribers are --as subscriber or events")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("rounds and seconds are more than 0")
    if not {SERVER_CPU, CLIENT_CPU} <= os.sched_getaffinity(0):
        parser.error("needs CPU 0 and CPU 1: one for the server, one for load")
    options.binary = os.path.abspath(options.binary)
    options.tools = os.path.abspath(options.tools)
    return options


def run(options, folder):
    if options.many:
        return run_many(options, folder)
    realtime_one = realtime_bench(options, folder)
    if options.subscribers:
        return {"subscribers": realtime.run_subscribers(
            realtime_one, options.subscribers, options.kind or "subscriber")}
    if options.lossless:
        return {"lossless": lossless.run(realtime_one, options.lossless)}
    if options.idle and options.kind:
        results = {"corelane": realtime.run_idle(realtime_one, options.idle,
                                                 options.kind)}
        print_idle(options.idle, results)
        return {"idle": results}
    if options.idle:
        return run_servers(options, folder, [])

    def named(known):
        return [name for name in options.workloads if name in known]

    results = run_framework(options, folder, named(framework.WORKLOADS))
    results.update(realtime.run_workloads(realtime_one,
                                          named(realtime.WORKLOADS)))
    if realtime.LATENCY in options.workloads:
        results[realtime.LATENCY] = realtime.run_latency(realtime_one)
    return {**results, **run_servers(options, folder, named(WORKLOADS))}


def run_servers(options, folder, workloads):
    """What is measured on all servers: one after the other, in turns."""
    results = {}
    if not workloads and not options.idle:
        return results
    with contextlib.ExitStack() as stack:
        servers = servers_start(options, folder, stack)
        if options.idle:
            for server in servers:
                try:
                    results[server.name] = measure_idle(options, server)
                except BenchError as error:
                    print(f"bench: {error}", file=sys.stderr)
            print_idle(options.idle, results)
            return {"idle": results}
        for workload in workloads:
            results[workload] = run_workload(options, servers, workload)
            print_workload(workload, results[workload])
    return results


def main():
    # Ends by an exception, so that every server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = options_parse()
    folder = tempfile.mkdtemp(prefix="corelane-bench-")
    try:
        files_write(folder)
        os.chmod(folder, 0o755)
        results = run(options, folder)
    except (BenchError, realtime.Failed) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
