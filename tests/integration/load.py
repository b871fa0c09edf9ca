# SPDX-License-Identifier: MIT
"""Clients that never rest, and count what they lost.

    with Load(srv.port, clients=8) as load:
        srv.command("reload")
        load.wait_more(200)              # answered since now
    assert load.lost == []

Each client sends a request, reads the whole answer, and sends the next: on the
same connection while the server keeps it, or on a new one each time
(keep_alive=False).  What is lost is a request whose bytes were sent and whose
answer did not come, or a connection that was refused.
"""
import threading

import wire
from corelane import wait_until


class Load:
    def __init__(self, port, clients=8, keep_alive=True, target="/hello"):
        self.port = port
        self.keep_alive = keep_alive
        self.target = target
        self.answered = 0
        self.lost = []              # what went wrong, in words
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True)
                         for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_more(20)
        return self

    def __exit__(self, *exc):
        self._done.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def wait_more(self, count):
        """Until `count` more requests were answered."""
        goal = self.answered + count
        wait_until(lambda: self.answered >= goal or self._all_ended(),
                   f"{count} more answers (lost: {self.lost[:3]})")

    def _all_ended(self):
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self):
        while not self._done.is_set():
            try:
                self._talk()
            except (OSError, AssertionError) as error:
                with self._lock:
                    self.lost.append(f"{type(error).__name__}: {error}")

    def _talk(self):
        with wire.Client(self.port) as client:
            while not self._done.is_set():
                headers = [] if self.keep_alive else [("Connection", "close")]
                client.send(wire.request("GET", self.target, headers))
                answer = client.final("GET")
                assert answer.status == 200, answer
                with self._lock:
                    self.answered += 1
                if answer.closes:
                    return
