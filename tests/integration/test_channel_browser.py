# SPDX-License-Identifier: MIT
"""The README's page, in a real browser: it stays connected, and misses nothing
when its worker is killed; and what EventSource does by itself."""
import os
import re
import signal

import pytest

from channels import ROUTES, post
from corelane import ROOT, wait_until

STREAM_PAGE = '<ul id="list"></ul><script src="stream.js"></script>'
STREAM = """
const events = new EventSource("/channels?channel=room.1&channel=room.2");
events.onmessage = (e) => list.append(Object.assign(
  document.createElement("li"), { textContent: JSON.parse(e.data).data }));
"""


def of_the_readme(language):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        found = re.findall(rf"```{language}\n(.*?)```", f.read(), re.S)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def srv(corelane):
    # The shipped configuration has the middleware that forbids inline scripts.
    return corelane(
        {"middleware": [{"use": "security_headers"}],
         "routes": [*ROUTES, {"path": "/{path:.*}", "handler": "static",
                              "root": "www"}],
         "sse": {"retry": "50ms"}},
        files={"www/readme.html": of_the_readme("html"),
               "www/room.js": of_the_readme("js"),
               "www/stream.html": STREAM_PAGE, "www/stream.js": STREAM},
        crashes_ok=True)


def items(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('li')]"
        ".map((e) => e.textContent)")


def wait_subscribed(srv, count=1):
    wait_until(lambda: srv.stats()["total"]["subscriptions"] >= count,
               "a subscription")


def kill_a_worker(srv):
    """The one that has the browser's connection."""
    for worker in srv.stats()["workers"]:
        if worker["subscriptions"] > 0:
            os.kill(worker["pid"], signal.SIGKILL)
            return worker["pid"]
    raise AssertionError("no worker has a subscription")


@pytest.mark.parametrize("page, channels", [
    ("readme.html", ["room.1"]), ("stream.html", ["room.1", "room.2"])])
def test_a_page_misses_nothing_when_its_worker_dies(srv, browser, page,
                                                    channels):
    browser.get(f"http://127.0.0.1:{srv.port}/{page}")
    wait_subscribed(srv, len(channels))
    want = []

    def publish():
        for channel in channels:
            number = str(len(want))
            wait_until(lambda: post(srv, f"/channels/{channel}", number,
                                    "application/json")[0] == 200,
                       "a publish")
            want.append(number)

    publish()
    wait_until(lambda: sorted(items(browser), key=int) == want, f"{want}")
    for _ in range(3):
        victim = kill_a_worker(srv)
        wait_until(lambda: victim not in srv.worker_pids(), "its death")
        publish()
        wait_until(lambda: len(items(browser)) >= len(want), f"{want}")
        assert sorted(items(browser), key=int) == want
        wait_subscribed(srv, len(channels))
    browser.get("about:blank")
