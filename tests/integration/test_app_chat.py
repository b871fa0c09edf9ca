# SPDX-License-Identifier: MIT
"""The chat module: what is said reaches everybody, once, from whichever worker;
who comes back gets what was missed."""
import asyncio
import json
import os
import re
import signal
import time

import pytest

from apps import SECRET, bearer, serving
from chat import chat_config, wait_websockets
from corelane import PATIENCE

websockets = pytest.importorskip(
    "websockets", reason="needs python3-websockets")

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                   r"[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Person:
    """One socket in a room, and all that it was told."""

    def __init__(self, srv, socket):
        self.srv, self.socket = srv, socket
        self.told = []
        self.last = ""

    async def next(self):
        got = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        self.told.append(got)
        if got.get("channel", "").startswith("chat.room."):
            self.last = got["id"]
        return got

    async def wait(self, condition):
        """The next that fits; what comes before it is only kept."""
        while not condition(got := await self.next()):
            pass
        return got

    async def hear(self, content):
        got = await self.wait(lambda m: m["type"] == "message"
                              and m["data"].get("content") == content)
        return got["data"]

    async def say(self, content, **more):
        await self.socket.send(json.dumps({"content": content, **more}))

    async def ask(self, **message):
        await self.socket.send(json.dumps(message))

    @property
    def contents(self):
        return [m["data"]["content"] for m in self.told
                if m["type"] == "message" and "content" in m["data"]]


async def come(srv, query, headers=()):
    socket = await websockets.connect(
        f"ws://127.0.0.1:{srv.port}/chat/socket?{query}",
        extra_headers=dict(headers))
    person = Person(srv, socket)
    person.welcome = await person.wait(lambda m: m["type"] == "welcome")
    return person


@pytest.fixture(scope="module")
def srv():
    with serving(chat_config()) as server:
        yield server


def test_a_message_has_what_the_server_says_of_it(srv):
    async def talk():
        ada = await come(srv, "room=shape&name=Ada")
        bob = await come(srv, "room=shape&name=Bob")
        before = int(time.time())
        await ada.ask(type="message", content="hello", id="mine",
                      user_id="eve", username="Eve", timestamp=7)
        data = await bob.hear("hello")
        assert set(data) == {"id", "user_id", "username", "content",
                             "timestamp", "message_type"}
        assert UUID4.fullmatch(data["id"])
        assert data["user_id"] == ada.welcome["user_id"]
        assert re.fullmatch(r"anonymous_\d{8}", data["user_id"])
        assert data["username"] == "Ada"
        assert before <= data["timestamp"] <= time.time() + 1
        assert data["message_type"] == "Text"
        assert data == await ada.hear("hello")
        await ada.socket.close()
        left = await bob.hear("User Ada left the chat")
        assert left["message_type"] == "System"
        assert left["user_id"] == "system"
        await bob.socket.close()

    asyncio.run(talk())


def test_who_joins_is_told_to_all(srv):
    async def talk():
        ada = await come(srv, "room=join&name=Ada")
        told = await ada.hear("User Ada joined the chat")
        assert told["message_type"] == "System"
        bob = await come(srv, "room=join&name=Bob")
        await ada.hear("User Bob joined the chat")
        await bob.hear("User Ada joined the chat")       # history
        await bob.hear("User Bob joined the chat")
        await ada.ask(type="who")
        who = await ada.wait(lambda m: m["type"] == "presence")
        assert who["subscribers"] == 2
        assert {m["info"]["username"] for m in who["members"]} \
            == {"Ada", "Bob"}
        await bob.socket.close()
        await ada.wait(lambda m: m["type"] == "leave")
        await ada.socket.close()

    asyncio.run(talk())


ESCAPED = [
    ("<b>", "&lt;b&gt;"),
    ("&lt;", "&amp;lt;"),
    ("a & b", "a &amp; b"),
    ("\"'", "&quot;&#39;"),
    ("ümläut 漢字 🎉", "ümläut 漢字 🎉"),
    ("é" * 1001, "é" * 1000),
    ("<" * 1005, "&lt;" * 1000),
]


@pytest.mark.parametrize("said,heard", ESCAPED,
                         ids=["markup", "an entity", "an ampersand", "quotes",
                              "letters", "too long", "long and escaped"])
def test_content_is_cut_and_escaped_once(srv, said, heard):
    async def talk():
        ada = await come(srv, "room=escape&name=Ada")
        await ada.say(said)
        await ada.hear(heard)
        await ada.socket.close()

    asyncio.run(talk())


MISTAKES = [
    ("not json", "JSON"),
    ("[1]", "JSON"),
    ('{"content":"a"', "JSON"),
    ('{"type":"message"}', "EMPTY"),
    ('{"content":7}', "EMPTY"),
    ('{"content":" \\n\\t"}', "EMPTY"),
    ('{"content":"a","message_type":"System"}', "MESSAGE_TYPE"),
    ('{"content":"a","message_type":1}', "MESSAGE_TYPE"),
    ('{"type":"shout"}', "TYPE"),
    (b'{"content":"a"}', "JSON"),
]


def test_a_mistake_is_told_and_costs_nothing_else(srv):
    async def talk():
        ada = await come(srv, "room=mistakes&name=Ada")
        for text, code in MISTAKES:
            await ada.socket.send(text)
            got = await ada.wait(lambda m: m["type"] == "error")
            assert got["code"] == code, (text, got)
            assert got["message"]
        await asyncio.sleep(1.5)      # the bucket fills again
        await ada.say("still here")
        await ada.hear("still here")
        await ada.socket.close()

    asyncio.run(talk())


@pytest.mark.parametrize("kind", ["Text", "Image", "File"])
def test_kinds_are_the_clients(srv, kind):
    async def talk():
        ada = await come(srv, f"room=kind-{kind}&name=Ada")
        await ada.say("https://example.org/a?b=1", message_type=kind)
        got = await ada.hear("https://example.org/a?b=1")
        assert got["message_type"] == kind
        await ada.socket.close()

    asyncio.run(talk())


BAD_QUERIES = ["room=a.b", "room=" + "x" * 33, "room=a%20b", "name=",
               "name=" + "x" * 33, "name=a%0ab", "user=admin",
               "user=anonymous_123"]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_bad_query_is_refused(srv, query):
    async def talk():
        with pytest.raises(websockets.InvalidStatusCode) as error:
            await come(srv, query)
        assert error.value.status_code == 400

    asyncio.run(talk())


def test_a_plain_request_is_told_what_is_here(srv):
    assert srv.get("/chat/socket").status == 426
    answer = srv.get("/chat")
    assert answer.status == 308
    for path, kind in {"": "text/html", "chat.js": "text/javascript",
                       "chat.css": "text/css",
                       "icon.svg": "image/svg+xml"}.items():
        answer = srv.get("/chat/" + path)
        assert answer.status == 200 and len(answer.body) > 100
        assert answer["content-type"].startswith(kind)
    assert srv.get("/chat/absent.js").status == 404


def test_another_pages_origin_is_refused(srv):
    async def talk():
        with pytest.raises(websockets.InvalidStatusCode) as error:
            await come(srv, "room=x", {"Origin": "http://elsewhere"})
        assert error.value.status_code == 403

    asyncio.run(talk())


def test_typing_is_told_and_not_kept(srv):
    async def talk():
        ada = await come(srv, "room=typing&name=Ada")
        bob = await come(srv, "room=typing&name=Bob")
        await ada.ask(type="typing")
        await ada.ask(type="typing")            # at once: not told again
        await ada.say("typed")

        def typing():
            return [m["data"] for m in bob.told
                    if "typing" in m.get("data", {})]

        # Of two channels the order is nobody's.
        while not typing() or "typed" not in bob.contents:
            await bob.next()
        assert typing() == [{"typing": ada.welcome["user_id"],
                             "username": "Ada"}]
        room = json.loads(srv.get("/chat/rooms/typing").body)
        assert room["subscribers"] == 2 and len(room["members"]) == 2
        assert [m["content"] for m in room["messages"]][-1] == "typed"
        await ada.socket.close()
        await bob.socket.close()

    asyncio.run(talk())


def test_who_sends_too_fast_is_slowed_and_at_last_closed(srv):
    async def talk():
        eve = await come(srv, "room=flood&name=Eve")
        with pytest.raises(websockets.ConnectionClosed):
            for _ in range(200):
                await eve.say("spam")
            while True:
                await eve.next()
        assert eve.socket.close_code == 3508
        # As many as may come at once, and what the time has added.
        assert 10 <= eve.contents.count("spam") <= 40
        assert any(m.get("code") == "RATE_LIMIT" for m in eve.told)

    asyncio.run(talk())


def test_who_somebody_is():
    config = chat_config()
    config["modules"][0]["middleware"] = [
        {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET,
         "required": False}]

    async def talk(srv):
        cases = [
            (bearer(sub="ada", name="Ada L."), "name=Eve", "ada", "Ada L."),
            (bearer(sub="ada"), "", "ada", "ada"),
            ({"X-User-ID": "bob"}, "name=Bob", "bob", "Bob"),
            ({"X-User-ID": "b o b"}, "", None, None),
            ({}, "user=anonymous_12345678", "anonymous_12345678",
             "anonymous_12345678"),
            ({}, "name=%3Ci%3E", None, "&lt;i&gt;"),
        ]
        for headers, query, user, name in cases:
            person = await come(srv, query, headers)
            if user is None:
                assert re.fullmatch(r"anonymous_\d{8}",
                                    person.welcome["user_id"])
            else:
                assert person.welcome["user_id"] == user
            if name is not None:
                assert person.welcome["username"] == name
            await person.socket.close()

    with serving(config) as srv:
        asyncio.run(talk(srv))


def test_listeners_without_a_socket_hear_it_too(srv):
    async def talk():
        ada = await come(srv, "room=listen&name=Ada")
        reader, writer = await asyncio.open_connection("127.0.0.1", srv.port)
        writer.write(b"GET /chat/socket?room=listen HTTP/1.1\r\nHost: x\r\n"
                     b"Accept: text/event-stream\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert b"200 OK" in head and b"text/event-stream" in head
        await ada.say("to all")
        text = await asyncio.wait_for(reader.readuntil(b'"to all"'), PATIENCE)
        assert b"\nid: " in text
        writer.close()
        await ada.socket.close()

    asyncio.run(talk())


def test_a_killed_workers_people_come_back_and_miss_nothing(corelane):
    srv = corelane(chat_config(), crashes_ok=True)

    async def two_workers():
        """Ada, and Bob on the other worker; the pid of Bob's."""
        ada = await come(srv, "room=kill&name=Ada")
        await ada.hear("User Ada joined the chat")
        count = wait_websockets(srv, 1)
        hers = max(count, key=count.get)
        while True:
            bob = await come(srv, "room=kill&name=Bob")
            count = wait_websockets(srv, 2)
            if count[hers] == 1:
                return ada, bob, next(p for p in count if p != hers)
            await bob.socket.close()
            await ada.hear("User Bob left the chat")

    async def talk():
        ada, bob, pid = await two_workers()
        await ada.say("before")
        await bob.hear("before")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await bob.next()
        said = [f"while away {i}" for i in range(5)]
        for text in said:
            await ada.say(text)
            await ada.hear(text)
        again = await come(srv, "room=kill&name=Bob&user="
                           f"{bob.welcome['user_id']}&since={bob.last}")
        assert again.welcome["recovered"] and again.welcome["resumed"]
        assert again.welcome["missed"] == 5
        assert again.welcome["user_id"] == bob.welcome["user_id"]
        await ada.say("after")
        await again.hear("after")
        assert again.contents == said + ["after"]
        await ada.hear("after")
        # He hasn't been away, to others: the worker's death was no leave.
        assert "User Bob left the chat" not in ada.contents[
            ada.contents.index("before"):]
        await ada.socket.close()
        await again.socket.close()

    asyncio.run(talk())


def test_who_was_cut_off_has_left_when_he_stays_away(corelane):
    srv = corelane(chat_config(grace_ms=300))

    async def talk():
        ada = await come(srv, "room=cut&name=Ada")
        bob = await come(srv, "room=cut&name=Bob")
        bob.socket.transport.abort()
        await ada.hear("User Bob left the chat")
        await ada.socket.close()

    asyncio.run(talk())


def test_a_position_that_means_nothing_is_told(srv):
    async def talk():
        ada = await come(srv, "room=lost&name=Ada&since=00000001:5")
        assert ada.welcome["resumed"] and not ada.welcome["recovered"]
        await ada.socket.close()
        eve = await come(srv, "room=lost&name=Eve&since=nonsense")
        assert not eve.welcome["recovered"]
        await eve.socket.close()

    asyncio.run(talk())
