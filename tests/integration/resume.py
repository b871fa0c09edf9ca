# SPDX-License-Identifier: MIT
"""Subscribers that disconnect at random and resume, and a publisher of numbers:
so what is lost or repeated shows.

    with Followers(srv.port, "numbers", count=4, total=20000) as followers:
        with Publisher(srv.port, "numbers") as publisher:
            publisher.publish(20000, rate=10000)
        for told in followers.results():
            assert told["lost"] == told["repeated"] == []

Every message is the next number.  A follower, by WebSocket with the JSON
protocol or by event stream, each in a process of its own, knows the position of
the last message that came whole; it breaks off in the middle of anything, with
a FIN or a RST, and comes back with that position.  What it then gets must be
the very next number: it never leaves out what it has already, nor asks again.

Here: clients.  Not here: whom they meet (test_lossless.py, scripts/bench).
"""
import collections
import json
import multiprocessing
import random
import re
import time

import wire
from ws_client import TEXT, Violation, WebSocket, close_frame, frame

PATIENCE = wire.TIMEOUT
# Messages that were sent and not acknowledged yet.
WINDOW = 200
EVENT = re.compile(rb"(?:id: ?([^\n]*)\n)?(?:event: ?([^\n]*)\n)?"
                   rb"(?:id: ?([^\n]*)\n)?((?:data: ?[^\n]*\n)+)\n")
GONE = (OSError, wire.Ended, wire.Malformed)


class Tally:
    """The numbers that have come, and what was wrong with them."""

    def __init__(self, kind):
        self.kind = kind
        self.last = 0
        self.position = None        # of the last
        self.told = {"kind": kind, "received": 0, "lost": [], "repeated": [],
                     "disconnects": 0, "cut": 0, "not_recovered": 0}

    def add(self, number, position):
        if number <= self.last:
            self.told["repeated"].append(number)
            return
        if number > self.last + 1:
            self.told["lost"].append((self.last + 1, number - 1))
        self.told["received"] += 1
        self.last, self.position = number, position

    def subscribed(self, answer):
        if self.position is not None and not answer.get("recovered"):
            self.told["not_recovered"] += 1


class EventFollower:
    """An event stream, resumed by Last-Event-ID."""

    def __init__(self, port, channel, tally):
        self.tally, self.text = tally, b""
        headers = [("Accept", "text/event-stream")]
        if tally.position is not None:
            headers.append(("Last-Event-ID", tally.position))
        self.client = wire.Client(port)
        self.client.send(wire.request("GET", f"/channels/{channel}", headers))
        answer = wire.parse_head(self.client._take_to(b"\r\n\r\n"))
        if answer.status != 200:
            raise wire.Malformed(f"no event stream: {answer!r}")
        self.is_ready = False

    def read(self):
        """Takes what is there; False at the end."""
        if not self.client.pending and not self.client.fill(1 << 18):
            return False
        self.text += self.client.pending
        self.client.pending = b""
        used = self.text.rfind(b"\n\n") + 2
        if used < 2:
            return True
        for match in EVENT.finditer(self.text[:used]):
            self._event(match)
        self.text = self.text[used:]
        return True

    def _event(self, match):
        name = match[2]
        data = match[4][5:].strip()
        if name == b"subscribed":
            self.tally.subscribed(json.loads(data))
            self.is_ready = True
        elif name is None or name == b"message":
            position = match[1] or match[3]
            if position is None:
                raise AssertionError(f"a message without an id: {match[0]!r}")
            self.tally.add(int(data), position.decode())


class SocketFollower:
    """A WebSocket with the JSON protocol, resumed by "since"."""

    def __init__(self, port, channel, tally):
        self.tally = tally
        self.ws = WebSocket(port, "/channels", protocols=["corelane.json"])
        self.client = self.ws.client
        wish = {"id": 1, "type": "subscribe", "channel": channel}
        if tally.position is not None:
            wish["since"] = tally.position
        self.ws.send(frame(TEXT, json.dumps(wish)))
        self.is_ready = False

    def read(self):
        """Takes a message; False at the end."""
        got = self.ws.event()
        if got.kind == "close":
            self.ws.send(close_frame(got.code))
            return False
        if got.kind == "ping":
            self.ws.send(frame(0xa, got.data))
            return True
        told = json.loads(got.data)
        if told["type"] == "message":
            self.tally.add(told["data"], told["id"])
        elif told["type"] == "subscribed":
            self.tally.subscribed(told)
            self.is_ready = True
        elif told["type"] == "error":
            raise AssertionError(f"subscribing: {told}")
        return True


KINDS = {"websocket": SocketFollower, "events": EventFollower}


def connect_again(make, seconds=PATIENCE):
    """A new connection, as soon as somebody takes one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return make()
        except GONE + (Violation,):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def follow_once(follower, tally, total, leave_after):
    """Reads until it is to leave, all have come, or the server ends it."""
    leave_at = tally.told["received"] + leave_after
    while tally.last < total and tally.told["received"] < leave_at:
        try:
            if not follower.read():
                tally.told["cut"] += 1
                return
        except GONE:
            tally.told["cut"] += 1
            return


def follow(kind, port, channel, total, stay, seed, pipe):
    """The life of one follower, in its process."""
    chance, tally = random.Random(seed), Tally(kind)
    try:
        follower = KINDS[kind](port, channel, tally)
        while not follower.is_ready:
            follower.read()
        pipe.send("ready")
        while tally.last < total:
            # Not before it has a position: what would it come back with?
            follow_once(follower, tally, total,
                        1 + int(chance.expovariate(1 / stay)))
            if tally.last >= total:
                break
            tally.told["disconnects"] += 1
            if chance.random() < 0.5:
                follower.client.abort()
            else:
                follower.client.close()
            time.sleep(chance.random() * 0.02)
            follower = connect_again(lambda: KINDS[kind](port, channel, tally))
        follower.client.close()
        pipe.send(tally.told)
    except BaseException as error:
        pipe.send({**tally.told, "error": f"{type(error).__name__}: {error}",
                   "last": tally.last})


class Followers:
    """`count` of them, half by WebSocket and half by event stream.  stay: how
    many messages one takes before it disconnects, on average."""

    def __init__(self, port, channel, count, total, stay=1000):
        kinds = list(KINDS)
        self.members = []
        for number in range(count):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(
                target=follow, daemon=True,
                args=(kinds[number % len(kinds)], port, channel, total, stay,
                      number, theirs))
            process.start()
            theirs.close()
            self.members.append((process, ours))

    def __enter__(self):
        try:
            for _, pipe in self.members:
                told = self._receive(pipe)
                if told != "ready":
                    raise AssertionError(f"a follower: {told}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process, pipe in self.members:
            pipe.close()
            process.terminate()
            process.join()

    @staticmethod
    def _receive(pipe, seconds=PATIENCE):
        if not pipe.poll(seconds):
            raise AssertionError(f"a follower said nothing in {seconds} s")
        return pipe.recv()

    def results(self, seconds=PATIENCE):
        """What each has counted, once it has the last message."""
        told = [self._receive(pipe, seconds) for _, pipe in self.members]
        return sorted(told, key=lambda one: one["kind"])


class Publisher:
    """Publishes the next numbers by the JSON protocol.  When its connection
    ends it asks what the last one is that the channel has, and goes on behind
    that: a number is published once, whatever became of its answer."""

    def __init__(self, port, channel):
        self.port, self.channel = port, channel
        self.acknowledged = 0
        self.reconnects = -1        # the first is none
        self.ws = None

    def __enter__(self):
        self._connect()
        return self

    def __exit__(self, *_):
        self.ws.client.close()

    def _connect(self):
        self.ws = connect_again(lambda: WebSocket(
            self.port, "/channels", protocols=["corelane.json"]))
        self.reconnects += 1
        self.waiting = collections.deque()

    def _wish(self, **wish):
        self.ws.send(frame(TEXT, json.dumps(
            {"channel": self.channel, **wish}, separators=(",", ":"))))

    def _answer(self):
        while True:
            got = self.ws.event()
            if got.kind == "close":
                raise wire.Ended(f"closed with {got.code}")
            if got.kind == "ping":
                self.ws.send(frame(0xa, got.data))
            elif got.kind == "message":
                return json.loads(got.data)

    def last(self):
        """The newest number of the channel's history."""
        self._wish(id=0, type="history", limit=1)
        told = self._answer()
        if told["type"] == "error":
            raise AssertionError(f"history: {told}")
        return told["messages"][-1]["data"] if told["messages"] else 0

    def publish(self, total, rate=None):
        """Numbers up to `total`; rate: at most so many a second."""
        started, first = time.monotonic(), self.acknowledged
        number = first
        while self.acknowledged < total:
            try:
                allowed = total
                if rate:
                    allowed = first + int(
                        (time.monotonic() - started) * rate) + 1
                number = self._send_some(number, min(total, allowed))
                self._take_answers(number)
                if number >= allowed and number < total:
                    time.sleep(0.001)
            except GONE:
                number = self._recover()

    def _send_some(self, number, limit):
        """A window's worth, in one write."""
        frames = []
        while number < limit and len(self.waiting) < WINDOW:
            number += 1
            self.waiting.append(number)
            frames.append(frame(TEXT, '{"id":%d,"type":"publish","channel":'
                                '"%s","data":%d}' % (number, self.channel,
                                                     number)))
        if frames and not self.ws.send(b"".join(frames)):
            raise wire.Ended("the server takes no more")
        return number

    def _take_answers(self, number):
        """At least one, where one is due, and half of a window."""
        while self.waiting and (len(self.waiting) > WINDOW // 2 or
                                self.ws.client.pending):
            self._take_one()
        if self.waiting and self.acknowledged < number and \
                self.ws.client.readable(0):
            self._take_one()

    def _take_one(self):
        told = self._answer()
        wanted = self.waiting.popleft()
        if told["type"] != "published" or told["id"] != wanted:
            raise AssertionError(f"{told} for number {wanted}")
        self.acknowledged = wanted

    def _recover(self):
        self.ws.client.close()
        for _ in range(100):
            try:
                self._connect()
                there = self.last()
                break
            except GONE:
                continue
        if there < self.acknowledged:
            raise AssertionError(f"{there} is the last number, though "
                                 f"{self.acknowledged} was acknowledged")
        self.acknowledged = there
        return there
