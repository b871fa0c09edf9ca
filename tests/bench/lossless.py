# SPDX-License-Identifier: MIT
"""Messages at rate to subscribers that disconnect at random and resume: none
may be lost, and none may come twice.

Here: the server and the sums.  Not here: the clients
(tests/integration/resume.py).
"""

import time

import realtime

CHANNEL = "numbers"
SUBSCRIBERS = 8
RATE = 25000
STAY = 5000
WORKERS = 2


def config_change(config):
    realtime.config_change(config, workers=WORKERS)
    config["channels"] = [{
        "match": "*", "queue_bytes": "64MiB",
        "history": {"messages": 1000000, "bytes": "1GiB", "age": "1h"}}]
    config["channel_log"] = {"bytes": "256MiB"}


def run(bench, total):
    realtime.integration_import()
    import resume
    server = bench.serve("corelane", config_change, pinned=False)
    try:
        with resume.Followers(server.port, CHANNEL, SUBSCRIBERS, total,
                              stay=STAY) as followers:
            start = time.monotonic()
            with resume.Publisher(server.port, CHANNEL) as publisher:
                publisher.publish(total, rate=RATE)
            published = time.monotonic() - start
            results = followers.results(600)
        ended = time.monotonic() - start
    except AssertionError as error:
        raise realtime.Failed(str(error)) from None
    finally:
        server.stop()
    return tell(total, results, published, ended)


def tell(total, results, published, ended):
    for one in results:
        if "error" in one:
            raise realtime.Failed(str(one))
    lost = sum(last - first + 1 for one in results
               for first, last in one["lost"])
    figures = {
        "messages": total, "subscribers": len(results),
        "published_per_second": total / published, "seconds": ended,
        "lost": lost,
        "repeated": sum(len(one["repeated"]) for one in results),
        "not_recovered": sum(one["not_recovered"] for one in results),
        "disconnects": sum(one["disconnects"] for one in results),
        "cut": sum(one["cut"] for one in results),
    }
    print(f"\n{total} messages, {figures['published_per_second']:.0f} a "
          f"second, to {len(results)} subscribers on {WORKERS} workers: "
          f"{figures['disconnects']} disconnects ({figures['cut']} by the "
          f"server), {figures['not_recovered']} not recovered; {lost} lost, "
          f"{figures['repeated']} repeated; {ended:.0f} s", flush=True)
    return figures
