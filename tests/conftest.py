# SPDX-License-Identifier: MIT
"""What every Python test shares: where the harness is, and its fixtures.

    def test_a_default_server_says_hello(server):     # shared, read only
        assert server.get("/hello").status == 200

    def test_with_a_config_of_its_own(corelane):      # started here, stopped
        srv = corelane({"timeouts": {"head": "200ms"}})   # and checked after
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "integration"))

from browser import open_browser  # noqa: E402  (through the line above)
from corelane import Corelane  # noqa: E402


@pytest.fixture
def corelane():
    """A factory of servers; each is stopped, and checked, after the test."""
    started = []

    def start(config=None, start=True, **options):
        server = Corelane(config, **options)
        started.append(server)
        return server.start() if start else server

    yield start
    problems = []
    for server in reversed(started):
        problems += server.finish()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def server():
    """One server with the harness's own routes, for tests that change nothing."""
    shared = Corelane(None)
    shared.start()
    yield shared
    problems = shared.finish()
    assert not problems, "\n".join(problems)


@pytest.fixture
def connect(server):
    """Opens connections to the shared server and closes them after the test."""
    opened = []

    def open_one(**options):
        client = server.connect(**options)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A browser without a screen, one for all tests."""
    driver = open_browser(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()
