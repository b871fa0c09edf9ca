# SPDX-License-Identifier: MIT
"""What the framework costs: modules, JSON, databases, the pool of threads.

Every workload is a few variants, run in turns on one server, and each is told
beside the first: the one that it is compared with.

Here: variants, and what they are compared with.  Not here: measuring, servers'
lives (bench.py).
"""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import typing

KEPT = ["-n", "64"]
PIPED = ["-n", "64", "-d", "16"]
VARIES = ["-v"]

WORKLOADS = ("module", "jsonw", "db-sqlite", "db-pg", "offload")


@dataclasses.dataclass
class Bench:
    """What bench.py lends."""

    options: typing.Any
    folder: str
    serve: typing.Callable      # (name, change of the config, environment)
    measure: typing.Callable    # (server, path, arguments of load, seconds)
    summarise: typing.Callable  # (samples)


def modules_add(config, bench, *names):
    build = os.path.dirname(bench.options.binary)
    config["modules"] = [
        {"name": "te", "file": f"{build}/modules/techempower.so",
         "prefix": "/te"},
        {"name": "hello", "file": f"{build}/modules/hello.so"},
        *({"name": name, "file": f"{bench.options.tools}/{name}.so"}
          for name in names),
    ]


def run_variants(bench, server, variants):
    """{name: summary}, measured in turns."""
    samples = {name: [] for name in variants}
    for turn in range(bench.options.rounds + 1):
        seconds = bench.options.seconds if turn > 0 else 0.3
        for name, (path, arguments) in variants.items():
            sample = bench.measure(server, path, arguments, seconds)
            if turn > 0:
                samples[name].append(sample)
    return {name: bench.summarise(list(s)) for name, s in samples.items()}


def print_variants(workload, summaries):
    base = next(iter(summaries.values()))
    print(f"\n{workload:<16} {'CPU us':>8} {'ratio':>6} {'more us':>8} "
          f"{'req/s':>9} {'times':>6} {'p50 us':>7} {'p99 us':>7} "
          f"{'errors':>6}  rounds (clean)")
    for name, s in summaries.items():
        s["ratio"] = s["cpu_us"] / base["cpu_us"]
        s["times"] = s["rps"] / base["rps"]
        print(f"{name:<16} {s['cpu_us']:8.3f} {s['ratio']:6.2f} "
              f"{s['cpu_us'] - base['cpu_us']:8.3f} {s['rps']:9.0f} "
              f"{s['times']:6.2f} {s['p50_us']:7.0f} {s['p99_us']:7.0f} "
              f"{s['errors']:6d}  {s['rounds']} ({s['clean']})", flush=True)


def tool_output(bench, name, *arguments):
    """Of a program beside load, pinned as the server is."""
    done = subprocess.run(
        ["taskset", "-c", "0", f"{bench.options.tools}/{name}", *arguments],
        capture_output=True, text=True, check=True)
    return done.stdout


@contextlib.contextmanager
def serving(bench, url, *modules, env=()):
    def change(config):
        modules_add(config, bench, *modules)
        config["databases"] = {"main": {"url": url}}

    server = bench.serve("framework", change, env)
    try:
        # The table is made and filled by the module when the worker starts.
        bench.measure(server, "/te/db", KEPT + VARIES, 0.3)
        yield server
    finally:
        server.stop()


def run_static(bench, workload):
    variants = {
        "module": {"respond": ("/plaintext", PIPED),
                   "module": ("/te/plaintext", PIPED),
                   "a parameter": ("/hello/Ada", PIPED)},
        "jsonw": {"hello": ("/hello/Ada", KEPT),
                  "writer": ("/te/json", KEPT),
                  "hello, 16 deep": ("/hello/Ada", PIPED),
                  "writer, 16 deep": ("/te/json", PIPED)},
    }[workload]
    with serving(bench, f"sqlite:{bench.folder}/{workload}.db") as server:
        summaries = run_variants(bench, server, variants)
    print_variants(workload, summaries)
    return summaries


def run_sqlite(bench):
    plain = []
    with serving(bench, f"sqlite:{bench.folder}/world.db") as server:
        summaries = run_variants(bench, server, {
            "respond": ("/plaintext", KEPT),
            "row": ("/te/db", KEPT + VARIES),
            "row, 16 deep": ("/te/db", PIPED + VARIES),
            "row of 20": ("/te/queries?queries=20", KEPT + VARIES)})
    for _ in range(bench.options.rounds):
        text = tool_output(bench, "bench_sql", f"{bench.folder}/plain.db", "0")
        plain.append(float(re.search(r"(\d+)/s of a core", text)[1]))
    plain_us = 1e6 / sorted(plain)[len(plain) // 2]
    row = summaries["row of 20"]
    row["cpu_us"] /= 20
    row["rps"] *= 20
    print_variants("db-sqlite", summaries)
    print(f"{'loop in C':<16} {plain_us:8.3f}")
    http_us = summaries["respond"]["cpu_us"]
    for name in ("row", "row, 16 deep", "row of 20"):
        share = plain_us / summaries[name]["cpu_us"]
        print(f"{name}: {share:.0%} of the loop's rate per core")
    share = (plain_us + http_us) / summaries["row"]["cpu_us"]
    print(f"row: {share:.0%} of the rate that the loop and an answer over "
          "HTTP come to together")
    return {**summaries, "plain": {"cpu_us": plain_us}}


def run_pg(bench):
    sys.path.insert(0, os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
    from postgres import Postgres, bindir
    if bindir() is None:
        print("bench: PostgreSQL is not installed", file=sys.stderr)
        return {}
    results = {}
    with Postgres() as pg:
        for kind, url in (("unix", pg.url), ("tcp", pg.tcp_url)):
            with serving(bench, url, "blocking",
                         env=[f"BENCH_PG_URL={url}"]) as server:
                results[kind] = run_variants(bench, server, {
                    "blocking": ("/blocking/db", KEPT + VARIES),
                    "driver": ("/te/db", KEPT + VARIES)})
            print_variants(f"db-pg, {kind}", results[kind])
    return {f"{name}, {kind}": s for kind, summaries in results.items()
            for name, s in summaries.items()}


def run_offload(bench):
    text = tool_output(bench, "bench_offload")
    print(f"\noffload, there and back\n{text}", end="", flush=True)
    return {f"{count} at a time": {"us": float(us)} for count, us in
            re.findall(r"(\d+) at a time: +([\d.]+) us", text)}


def run(bench, names):
    """{workload: {name: summary}}"""
    results = {}
    for name in names:
        if name == "db-sqlite":
            results[name] = run_sqlite(bench)
        elif name == "db-pg":
            results[name] = run_pg(bench)
        elif name == "offload":
            results[name] = run_offload(bench)
        else:
            results[name] = run_static(bench, name)
    return results
