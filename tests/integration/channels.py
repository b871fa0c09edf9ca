# SPDX-License-Identifier: MIT
"""Clients of channels: the JSON protocol, event streams, publishing, tokens.

    with Protocol(srv.port) as p:
        p.subscribe("room.1")
        p.ask("publish", channel="room.1", data={"text": "hi"})
        assert p.message()["data"] == {"text": "hi"}

    with EventStream(srv.port, "/channels/room.1") as s:
        assert s.event().data == "hi"
"""
import base64
import collections
import hashlib
import hmac
import json
import re

import pytest

from corelane import Corelane, module_path, wait_until
import wire
from ws_client import TEXT, WebSocket, frame

PROTOCOL = "corelane.json"
SECRET = "0123456789abcdef0123456789abcdef"
JWT = {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET, "query": True,
       "required": False}

ROUTES = [
    {"path": "/channels/{channel}", "handler": "channel"},
    {"path": "/channels", "handler": "channel"},
]

SseEvent = collections.namedtuple("SseEvent", "id name data")


def token(claims):
    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    text = ".".join(b64(json.dumps(part).encode())
                    for part in ({"alg": "HS256"}, claims))
    mac = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + b64(mac)


def bearer(claims):
    return [("Authorization", "Bearer " + token(claims))]


def post(srv, target, data, kind=None, headers=()):
    """(status, parsed JSON or text) of a POST."""
    headers = list(headers)
    if kind:
        headers.append(("Content-Type", kind))
    body = data.encode() if isinstance(data, str) else data
    answer = srv.request("POST", target, headers, body)
    return answer.status, json.loads(answer.body)


def get(srv, target, headers=()):
    answer = srv.get(target, headers)
    return answer.status, json.loads(answer.body)


class Protocol:
    """The JSON protocol.  What isn't asked for is kept for message()."""

    def __init__(self, port, target="/channels", **options):
        self.ws = WebSocket(port, target, protocols=[PROTOCOL], **options)
        self.news = collections.deque()
        self.next_id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.client.close()

    def send(self, text):
        self.ws.send(frame(TEXT, text))

    def receive(self):
        """The next message of the server, parsed; or its close."""
        got = self.ws.event()
        if got.kind == "close":
            return got
        assert got.kind == "message", got
        return json.loads(got.data)

    def answer(self, want):
        """The answer to a request by its id, or an error without one."""
        while True:
            got = self.receive()
            if not isinstance(got, dict):
                raise AssertionError(f"closed: {got!r}")
            if got.get("id") == want and "channel" not in got or \
                    got.get("id") == want and got["type"] != "message":
                return got
            self.news.append(got)

    def ask(self, kind, **fields):
        number = self.next_id
        self.next_id += 1
        self.send(json.dumps({"id": number, "type": kind, **fields}))
        return self.answer(number)

    def subscribe(self, channel, **fields):
        got = self.ask("subscribe", channel=channel, **fields)
        assert got["type"] == "subscribed", got
        return got

    def message(self):
        """The next message, join or leave."""
        return self.news.popleft() if self.news else self.receive()

    def pong(self):
        """Everything sent so far has been handled."""
        assert self.ask("ping")["type"] == "pong"


class EventStream:
    def __init__(self, port, target, headers=(), last_id=None, **options):
        headers = [("Accept", "text/event-stream"), *headers]
        if last_id is not None:
            headers.append(("Last-Event-ID", last_id))
        self.client = wire.Client(port, **options)
        self.last_id = last_id
        try:
            self.client.send(wire.request("GET", target, headers))
            self.response = wire.parse_head(self.client._take_to(b"\r\n\r\n"))
            assert self.response.status == 200, self.response
            assert self.response["content-type"].startswith(
                "text/event-stream")
        except BaseException:
            self.client.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def event(self, name=None):
        """The next event as a browser has it; name: the next of that name."""
        while True:
            fields = {"data": [], "event": None}
            for line in self.client._take_to(b"\n\n").decode().split("\n"):
                key, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if key == "data":
                    fields["data"].append(value)
                elif key == "event":
                    fields["event"] = value
                elif key == "id":
                    self.last_id = value
            if fields["data"] and name in (None, fields["event"] or "message"):
                return SseEvent(self.last_id, fields["event"] or "message",
                                "\n".join(fields["data"]))


# -- a server with every kind of rule -------------------------------------------

POSITION = re.compile(r"[0-9a-f]{8}:[0-9]+")

CONFIG = {
    "workers": 2,
    "modules": [{"name": "gate", "file": module_path("gate")}],
    "channels": [
        {"match": "closed", "subscribe": "nobody", "publish": "nobody"},
        {"match": "read.*", "publish": "nobody"},
        {"match": "token.*", "subscribe": "token", "publish": "token"},
        {"match": "gate.*", "subscribe": "gate.owner",
         "publish": "gate.clean"},
        {"match": "who.*", "presence": "members", "join_leave": True,
         "members_max": 3},
        {"match": "small.*", "message_bytes": 16},
        {"match": "none.*", "history": {"messages": 0}},
        {"match": "*", "history": {"messages": 1000}},
    ],
    "routes": [
        {"path": "/channels/{channel}", "handler": "channel",
         "middleware": [JWT]},
        {"path": "/channels", "handler": "channel", "middleware": [JWT]},
        {"path": "/quiet/{channel}", "handler": "channel", "publish": False},
    ],
}


@pytest.fixture(scope="module")
def srv():
    server = Corelane(CONFIG).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


@pytest.fixture
def room(request):
    """A channel of the test's own."""
    return re.sub(r"[^A-Za-z0-9]", "-", request.node.name)[:80]


def raw(srv, channel, query="", **options):
    return WebSocket(srv.port, f"/channels/{channel}{query}", **options)


def subscribers(srv, channel):
    return get(srv, f"/channels/{channel}")[1]["subscribers"]


def wait_subscribers(srv, channel, count):
    wait_until(lambda: subscribers(srv, channel) == count,
               f"{count} subscribers")
