# SPDX-License-Identifier: MIT
"""The page of chat in a real browser: two tabs, on two workers."""
import os
import signal

import pytest

from chat import chat_config, wait_websockets
from corelane import wait_until


class Tab:
    """One window; each call switches to it first."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.switch_to.new_window("tab")
        self.window = browser.current_window_handle
        browser.get_log("browser")      # what an earlier page has left
        browser.get(url)

    def run(self, script, *args):
        self.browser.switch_to.window(self.window)
        return self.browser.execute_script(script, *args)

    def find(self, selector):
        self.browser.switch_to.window(self.window)
        return self.browser.find_element("css selector", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])]"
                        ".map((e) => e.textContent)", selector)

    def wait_state(self, state="connected"):
        wait_until(lambda: self.run(
            "return document.body.dataset.state") == state,
            f"the page to be {state}")

    def wait_text(self, selector, text):
        wait_until(lambda: text in self.texts(selector),
                   f"'{text}' in {selector}")

    def say(self, text):
        self.find("#text").send_keys(text + "\n")

    def close(self):
        self.browser.switch_to.window(self.window)
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])

    def complaints(self):
        """What the console has: scripts that failed, what the policy for
        content forbids."""
        self.browser.switch_to.window(self.window)
        return [e["message"] for e in self.browser.get_log("browser")
                if e["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def tabs(browser):
    opened = []

    def open_tab(srv, query):
        tab = Tab(browser, f"http://127.0.0.1:{srv.port}/chat/?{query}")
        opened.append(tab)
        return tab

    yield open_tab
    for tab in opened:
        tab.close()


def on_two_workers(srv, tabs, room):
    """Two tabs in a room, and the pid of the second one's worker."""
    ada = tabs(srv, f"room={room}&name=Ada")
    ada.wait_state()
    count = wait_websockets(srv, 1)
    hers = max(count, key=count.get)
    bob = tabs(srv, f"room={room}&name=Bob")
    while True:
        bob.wait_state()
        count = wait_websockets(srv, 2)
        if count[hers] == 1:
            return ada, bob, next(pid for pid in count if pid != hers)
        bob.find("#leave").click()
        wait_websockets(srv, 1)
        bob.find("#door button").click()


def test_two_tabs_on_two_workers_chat(corelane, tabs):
    srv = corelane(chat_config())
    ada, bob, _ = on_two_workers(srv, tabs, "lobby")
    ada.wait_text(".system", "User Bob joined the chat")
    for tab, me, other in ((ada, "Ada (you)", "Bob"),
                           (bob, "Bob (you)", "Ada")):
        tab.wait_text("#people .who", me)
        tab.wait_text("#people .who", other)
    ada.find("#text").send_keys("Hello")
    bob.wait_text("#typing", "Ada is typing...")
    ada.say(", Bob!")
    bob.wait_text(".message .what", "Hello, Bob!")
    bob.say("Hello, Ada!")
    ada.wait_text(".message:not(.own) .what", "Hello, Ada!")
    assert ada.texts(".message.own .what") == ["Hello, Bob!"]
    assert ada.texts("#typing") == [""]
    # Nothing is told twice, and nothing is forbidden by the policy.
    assert len(bob.texts(".message")) == 2
    assert ada.complaints() == [] and bob.complaints() == []


MARKUP = ("<img src=x onerror=\"document.title='taken over'\">"
          "<script>alert(1)</script> &lt;b&gt; &amp; 'quoted'")


def test_markup_is_shown_as_text(corelane, tabs):
    srv = corelane(chat_config())
    ada = tabs(srv, "room=lobby&name=" + "%3Cb%3EAda")
    bob = tabs(srv, "room=lobby&name=Bob")
    ada.wait_state()
    bob.wait_state()
    ada.say(MARKUP)
    bob.wait_text(".what", MARKUP)
    bob.wait_text(".by b", "<b>Ada")
    bob.wait_text("#people .who", "<b>Ada")
    bob.wait_text(".system", "User <b>Ada joined the chat")
    assert bob.run("return document.querySelectorAll("
                   "'#log img, #log script, #log b b, #people b').length") == 0
    assert "taken over" not in bob.run("return document.title")
    # A link that would run something isn't one.
    for kind, text, links in (("File", "javascript:alert(1)", 0),
                              ("Image", "https://example.org/a.png", 1)):
        ada.run("document.getElementById('kind').value = arguments[0]", kind)
        ada.say(text)
        wait_until(lambda: text in "".join(bob.texts(".what")), text)
        assert bob.run("return document.querySelectorAll('.what a').length") \
            == links
    assert bob.complaints() == []


def test_a_killed_workers_tab_comes_back_and_misses_nothing(corelane, tabs):
    srv = corelane(chat_config(), crashes_ok=True)
    ada, bob, pid = on_two_workers(srv, tabs, "kill")
    ada.say("before")
    bob.wait_text(".what", "before")
    # His way back is blocked, so that something is missed for certain.
    bob.run("""
        const Real = WebSocket;
        window.blocked = true;
        window.WebSocket = function (url) {
            return new Real(window.blocked ? "/nowhere" : url);
        };
        window.WebSocket.OPEN = Real.OPEN;
    """)
    os.kill(pid, signal.SIGKILL)
    bob.wait_state("waiting")
    said = [f"while away {i}" for i in range(5)]
    for text in said:
        ada.say(text)
        ada.wait_text(".what", text)
    bob.run("window.blocked = false")
    bob.wait_state("connected")
    bob.wait_text(".what", said[-1])
    ada.say("after")
    bob.wait_text(".what", "after")
    assert bob.texts(".what") == ["before", *said, "after"]
    bob.wait_text(".break", "Back again: 5 missed")
    assert bob.texts(".break.lost") == []
    bob.say("I am back")
    ada.wait_text(".message:not(.own) .what", "I am back")
    assert "User Bob left the chat" not in ada.texts(".system")[
        len(ada.texts(".system")) - 1:]


def test_the_door_lets_in_who_has_a_good_room(corelane, tabs):
    srv = corelane(chat_config())
    ada = tabs(srv, "room=not%20good&name=Ada")
    assert ada.run("return document.body.dataset.state") == "idle"
    ada.find("#room").clear()
    ada.find("#room").send_keys("good")
    ada.find("#door button").click()
    ada.wait_state()
    assert ada.texts("#title") == ["good"]
    assert ada.run("return document.activeElement.id") == "text"
    ada.find("#leave").click()
    ada.wait_state("idle")
    wait_websockets(srv, 0)
    assert ada.complaints() == []


def test_the_newest_message_stays_in_view(corelane, tabs, browser):
    """A phone's keyboard takes half of the window; a long text makes its field
    grow."""
    srv = corelane(chat_config())
    ada = tabs(srv, "room=small&name=Ada")
    ada.wait_state()
    for n in range(4):
        ada.say(f"{n} " + "word " * 60)
    ada.wait_text(".message.own .what", "3 " + "word " * 60)
    gap = ("const log = document.getElementById('log'); return "
           "log.scrollHeight - log.scrollTop - log.clientHeight")
    size = browser.get_window_size()
    try:
        browser.set_window_size(500, 450)
        wait_until(lambda: ada.run("return innerWidth") < 720 and
                   ada.run(gap) < 2, "the end of the log")
        ada.find("#text").send_keys("x" * 300)
        wait_until(lambda: ada.run(gap) < 2, "the end of the log")
        # Who is here isn't shown by name there, but still told.
        assert ada.find("#people .who").is_displayed()
        # Who reads what is old isn't taken away from it.
        ada.run("document.getElementById('log').scrollTop = 0")
        wait_until(lambda: ada.run("return !room.follows"), "the scroll")
        browser.set_window_size(500, 550)
        wait_until(lambda: ada.run("return room.size === sizeOfLog()"),
                   "the new size")
        assert ada.run("return document.getElementById('log').scrollTop") == 0
    finally:
        browser.set_window_size(size["width"], size["height"])
