# SPDX-License-Identifier: MIT
"""Nothing is lost, and nothing comes twice: subscribers that disconnect at
random while workers are killed and the configuration is loaded anew.

The long run of the same is `scripts/bench --lossless 1000000`.
"""
import os
import random
import signal
import threading
import time

from corelane import wait_until
from resume import Followers, Publisher

CHANNEL = "numbers"
CONFIG = {
    "channels": [{"match": "*", "queue_bytes": "16MiB",
                  "history": {"messages": 100000, "bytes": "32MiB",
                              "age": "1h"}}],
    "routes": [{"path": "/channels/{channel}", "handler": "channel"},
               {"path": "/channels", "handler": "channel"}],
}


def all_came(followers, total):
    """What the followers say; each must have every number once."""
    results = followers.results()
    for told in results:
        assert "error" not in told, told
        assert told["lost"] == [] and told["repeated"] == [], told
        assert told["received"] == total and told["not_recovered"] == 0, told
    return results


class Trouble:
    """Does something to the server again and again until it is left."""

    def __init__(self, make):
        self.make, self.count, self.error = make, 0, None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the trouble-maker hangs"
        assert self.error is None, self.error

    def _run(self):
        try:
            while not self._done.is_set():
                self.make()
                self.count += 1
        except BaseException as error:
            self.error = error


def serving_pids(srv):
    status = srv.status()
    return {worker["index"]: worker["pid"] for worker in status["workers"]
            if worker["state"] == "serving"} if status else {}


def test_subscribers_that_come_and_go_miss_nothing(corelane):
    srv = corelane(CONFIG, workers=2)
    total = 20000
    with Followers(srv.port, CHANNEL, 6, total, stay=500) as followers:
        with Publisher(srv.port, CHANNEL) as publisher:
            publisher.publish(total)
        assert publisher.reconnects == 0
        results = all_came(followers, total)
    assert all(told["disconnects"] >= 5 for told in results), results


def test_killed_workers_lose_and_repeat_nothing(corelane):
    srv = corelane(CONFIG, workers=2, crashes_ok=True)
    chance, total = random.Random(1), 20000

    def kill():
        before = wait_until(lambda: (pids := serving_pids(srv)) and
                            len(pids) == 2 and pids, "two workers")
        index = chance.randrange(2)
        os.kill(before[index], signal.SIGKILL)
        wait_until(lambda: serving_pids(srv).get(index, before[index])
                   != before[index], "the replacement")

    with Followers(srv.port, CHANNEL, 6, total, stay=2000) as followers:
        with Trouble(kill) as kills, \
                Publisher(srv.port, CHANNEL) as publisher:
            publisher.publish(total, rate=5000)
        all_came(followers, total)
    assert kills.count >= 3 and srv.status()["server"]["crashes"] >= 3


def test_reloads_and_scaling_lose_and_repeat_nothing(corelane):
    srv = corelane(CONFIG, workers=2)
    total = 20000
    steps = [("reload",), ("scale", "3"), ("reload",), ("scale", "1"),
             ("scale", "2")]

    def change():
        code, _, complaint = srv.command(*steps[0])
        assert code == 0, complaint
        steps.append(steps.pop(0))
        time.sleep(0.05)            # between changes, some messages

    with Followers(srv.port, CHANNEL, 6, total, stay=2000) as followers:
        with Trouble(change) as changes, \
                Publisher(srv.port, CHANNEL) as publisher:
            publisher.publish(total, rate=5000)
        all_came(followers, total)
    assert changes.count >= 3
